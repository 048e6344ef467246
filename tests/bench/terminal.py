# SPDX-License-Identifier: MIT
"""The console: throughput both ways, a tool's round trip. All spans begin before the
benchmark's write to the terminal and end when the last byte of the answer was read from it, on
CLOCK_MONOTONIC."""
import sys
import time

from measure import Figure, Series
from subjects import PROMPT, Board, Terminal

PAYLOAD = 4 << 20
CHUNK = 1024


# ---- throughput ----

OUTPUT = f"""\
import sys
b = "x" * {CHUNK}
for i in range({PAYLOAD // CHUNK}): n = sys.stdout.write(b)
print("@end")
"""
INPUT = f"""\
import sys
n, b = {PAYLOAD}, bytearray({CHUNK})
print("@go")
while n > 0: n -= sys.stdin.buffer.readinto(b if n >= {CHUNK} else memoryview(b)[:n])
print("@end")
"""


def output_rate(stream, begin):
    start = stream.write(begin)
    got = stream.read_until(b"@end", 60).count(b"x")
    if got != PAYLOAD:
        raise RuntimeError(f"{got} bytes of {PAYLOAD} arrived")
    return PAYLOAD / ((stream.arrived - start) / 1e9)


def input_rate(stream):
    stream.read_until(b"@go")
    time.sleep(0.01)
    start = time.monotonic_ns()
    stream.write_while_reading(b"y" * PAYLOAD)
    stream.read_until(b"@end", 60)
    return PAYLOAD / ((stream.arrived - start) / 1e9)


def throughput_figures(env, n):
    payload = env.work / "payload"
    payload.write_bytes(b"x" * PAYLOAD)
    # Each waits for a line, so that starting the program is not part of the span.
    reader = 'read go; cat "$1"; printf @end'
    writer = f'printf "@go\\n"; head -c {PAYLOAD} >/dev/null; printf @end'

    def of_terminals(make, measure):
        values = []
        for _ in range(n):
            with Terminal(make, raw=True) as t:
                time.sleep(0.05)
                values.append(measure(t.stream))
        return values

    def output(stream):
        return output_rate(stream, b"\n")

    ours_out, ours_in = [], []
    with Board(env) as board:
        board.prompt()
        board.raw_repl()
        for _ in range(n):
            ours_out.append(output_rate(board.stream, OUTPUT.encode() + b"\x04"))
            board.stream.read_until(b"\x04>")
            board.stream.write(b"import micropython; micropython.kbd_intr(-1)\n" + INPUT.encode() +
                               b"\x04")
            ours_in.append(input_rate(board.stream))
            board.stream.read_until(b"\x04>")
    script_out, script_in = env.work / "output.py", env.work / "input.py"
    script_out.write_text("import sys; sys.stdin.readline()\n" + OUTPUT)
    script_in.write_text(INPUT)
    return [
        Figure(f"console, board → client, {PAYLOAD >> 20} MiB",
               Series("mpyd", "B/s", ours_out),
               [Series("micropython", "B/s", of_terminals([env.micropython, script_out], output)),
                Series("python3", "B/s", of_terminals([env.python, script_out], output)),
                Series("cat", "B/s",
                       of_terminals(["/bin/sh", "-c", reader, "sh", payload], output))]),
        Figure(f"console, client → board, {PAYLOAD >> 20} MiB",
               Series("mpyd", "B/s", ours_in),
               [Series("micropython", "B/s",
                       of_terminals([env.micropython, script_in], input_rate)),
                Series("python3", "B/s", of_terminals([env.python, script_in], input_rate)),
                Series("head -c", "B/s", of_terminals(["/bin/sh", "-c", writer], input_rate))]),
    ]


# ---- a tool's round trip ----

def raw_paste_spans(stream, n):
    """What mpremote does for one eval or exec once it is in the raw REPL."""
    values = []
    for i in range(n):
        start = stream.write(b"\x05A\x01")
        answer = stream.read_until(b"R\x01")
        while len(stream.buffer) < 3:  # the window's size and its first credit
            stream.read_more(time.monotonic() + 5)
        window = int.from_bytes(stream.buffer[:2], "little")
        stream.buffer = stream.buffer[3:]
        code = b"print(repr(%d + 1))" % i
        if window < len(code) or answer != b"R\x01":
            raise RuntimeError(f"no raw-paste mode: {answer!r}, window {window}")
        stream.write(code + b"\x04")
        result = stream.read_until(b"\x04>")
        values.append((stream.arrived - start) / 1e9)
        if b"%d\r\n\x04\x04>" % (i + 1) not in result:
            raise RuntimeError(f"unexpected answer {result!r}")
    return values


def line_spans(stream, n):
    """A line typed at the prompt, echo and next prompt included."""
    values = []
    for i in range(n):
        start = stream.write(b"print(%d + 1)\r" % i)
        result = stream.read_until(PROMPT)
        values.append((stream.arrived - start) / 1e9)
        if b"%d" % (i + 1) not in result:
            raise RuntimeError(f"unexpected answer {result!r}")
    return values


def mpremote_spans(env, path, n):
    """mpremote's own code, loaded once: its eval() polls, and sleeps 10 ms between two looks."""
    sys.path.insert(0, str(env.mpremote))
    from mpremote.transport_serial import SerialTransport

    values = []
    transport = SerialTransport(str(path), timeout=20)
    try:
        transport.enter_raw_repl(soft_reset=False)
        for i in range(n):
            start = time.monotonic_ns()
            answer = transport.eval(f"{i} + 1")
            values.append((time.monotonic_ns() - start) / 1e9)
            if answer != i + 1:
                raise RuntimeError(f"mpremote got {answer!r}")
        transport.exit_raw_repl()
    finally:
        transport.close()
    return values


def eval_figures(env, n):
    with Board(env) as board:
        board.prompt()
        lines = line_spans(board.stream, n)
        board.raw_repl()
        evals = raw_paste_spans(board.stream, n)
        board.prompt()
        tool = mpremote_spans(env, board.run / "repl", n)
    others = []
    for name, argv in (("micropython, line at the prompt", [env.micropython]),
                       ("python3 -i, line at the prompt", [env.python, "-S", "-q", "-i"])):
        with Terminal(argv) as t:
            t.stream.read_until(PROMPT)
            others.append(Series(name, "s", line_spans(t.stream, n)))
    return [Figure("eval by mpremote's own code, round trip", Series("mpyd", "s", tool), others),
            Figure("eval, the same protocol without its polling",
                   Series("mpyd", "s", evals), others),
            Figure("a line at the prompt", Series("mpyd", "s", lines), others)]
