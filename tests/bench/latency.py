# SPDX-License-Identifier: MIT
"""How soon a program is out of whatever it does: by Ctrl-C at the terminal, and, where it does not hear that, by the
supervisor, which aborts the VM. Spans begin before the write to the terminal or the order on the control bus."""
import random
import time

from mpydtest.control import Control

from measure import Figure, Series
from subjects import PROMPT, Board, Terminal

# What a program does when it is to stop. All three interpreters understand it.
DOING = {
    "computing": "while 1: pass",
    "computing with large integers": "n = 3 ** 20000\nwhile 1: n * n",
    "in time.sleep()": "time.sleep(99)",
    "in select.poll()": "p = select.poll(); p.register(s, 1); p.poll()",
    "in socket.accept()": "s.accept()",
    "in input()": "input()",
    "in asyncio.run()": "async def f(): await asyncio.sleep(99)\nasyncio.run(f())",
}
SETUP = ("import time, select, socket, asyncio", "s = socket.socket()",
         "s.bind(socket.getaddrinfo('127.0.0.1', 0)[0][-1])", "s.listen(1)")
BOOT = "import time; print('@boot', time.ticks_us())\n"
DEAF_MAIN = """\
import micropython, {modules}
micropython.kbd_intr(-1)
{setup}
print("@hangs")
while True:
    try:
        exec({doing!r})
    except BaseException: pass
"""
INTERRUPT_MS = 100


def interrupt_spans(stream, doing, n):
    """stream is at a prompt. The line says that it runs, so that Ctrl-C meets running code."""
    values = []
    line = f'print("run"+"ning"); exec({doing!r})\r'.encode()
    for _ in range(n):
        stream.write(line)
        stream.read_until(b"running")
        time.sleep(random.uniform(0.002, 0.008))
        start = stream.write(b"\x03")
        stream.read_until(b"KeyboardInterrupt")
        values.append((stream.arrived - start) / 1e9)
        stream.read_until(PROMPT)
    return values


def prepare(stream):
    for line in SETUP:
        stream.write(line.encode() + b"\r")
        stream.read_until(PROMPT)


def interrupt_figures(env, n):
    programs = [("micropython", [env.micropython]), ("python3 -i", [env.python, "-S", "-q", "-i"])]
    figures = []
    with Board(env) as board:
        board.prompt()
        prepare(board.stream)
        for what, doing in DOING.items():
            others = []
            for name, argv in programs:
                with Terminal(argv) as t:
                    t.stream.read_until(PROMPT)
                    prepare(t.stream)
                    others.append(Series(name, "s", interrupt_spans(t.stream, doing, n)))
            figures.append(Figure(f"Ctrl-C → KeyboardInterrupt shown, {what}",
                                  Series("mpyd", "s", interrupt_spans(board.stream, doing, n)), others))
    return figures


def abort_figures(env, n):
    """Nobody else does it: a python3 that hears nothing is killed."""
    figures = []
    for what, doing in DOING.items():
        main = DEAF_MAIN.format(modules=SETUP[0].removeprefix("import "), setup="\n".join(SETUP[1:]), doing=doing)
        config = {"stop": {"interrupt-timeout": f"{INTERRUPT_MS}ms"}}
        values = []
        with Board(env, {"boot.py": BOOT, "main.py": main}, config) as board:
            control = Control(board.run / "control")
            for _ in range(n):
                board.stream.read_until(b"@hangs")
                time.sleep(random.uniform(0.005, 0.01))
                start = time.monotonic()
                control.reset("soft")
                board.stream.read_until(b"@boot ")
                booted = int(board.stream.read_until(b"\n")) / 1e6
                values.append(booted - start - INTERRUPT_MS / 1e3)
            control.close()
        figures.append(Figure(f"deaf program aborted, to the first line of boot.py: {what}",
                              Series("mpyd", "s", values), []))
    return figures
