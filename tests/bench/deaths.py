# SPDX-License-Identifier: MIT
"""How long a board is gone: from its death, of each kind, to the first line of the next boot.py. The death is the
benchmark's own doing (a signal, an operator's order) or a time that is known (a watchdog's deadline); the line stamps
itself. Both are CLOCK_MONOTONIC."""
import contextlib
import os
import signal
import subprocess
import time

from mpydtest.control import Control

from measure import Figure, Series
from subjects import Board, Stream

PAUSE_SECONDS = 0.02  # each finds the machine at rest
AIM_SECONDS = 0.010   # as a hard reset: seeing the death is a part of it
WDT_MS = 50

BOOT = "import time; t = time.ticks_us()\nprint('@boot', t)\n"
HANG = "while True:\n    try:\n        while True: pass\n    except BaseException: pass\n"
BITTEN = f"import machine, time\nw = machine.WDT(timeout={WDT_MS}); print('@fed', time.ticks_us())\nwhile True: pass\n"

# What a loop that starts it again costs: the death is seen by wait(2) in a shell.
OTHER = "import time; t = time.monotonic(); import os; print('@boot', t, os.getpid(), flush=True); time.sleep(60)"


def booted(stream):
    stream.read_until(b"@boot ")
    return int(stream.read_until(b"\n").split()[0]) / 1e6


def spans(env, n, main, kill):
    """kill(board) → when it died."""
    values = []
    with Board(env, {"boot.py": BOOT, "main.py": main}) as board:
        booted(board.stream)
        while len(values) < n:
            time.sleep(PAUSE_SECONDS)
            died = kill(board)
            values.append(booted(board.stream) - died)
    return values


def by_signal(number):
    def kill(board):
        pid = board.board_pid
        now = time.monotonic()
        os.kill(pid, number)
        return now
    return kill


def by_order():
    controls = {}

    def kill(board):
        if board not in controls:
            controls[board] = Control(board.run / "control")
        now = time.monotonic()
        controls[board].reset("hard")
        return now
    return kill


def by_watchdog(board):
    board.stream.read_until(b"@fed ")
    return int(board.stream.read_until(b"\n").split()[0]) / 1e6 + WDT_MS / 1e3


def loop_spans(env, n, number):
    script = env.work / "killed-from-outside.py"
    script.write_text(OTHER)
    read_end, write_end = os.pipe()
    shell = subprocess.Popen(["/bin/sh", "-c", "while :; do \"$0\" -S \"$1\" || :; done", env.python, script],
                             stdout=write_end, stderr=subprocess.DEVNULL, start_new_session=True)
    os.close(write_end)
    stream, values = Stream(read_end), []
    try:
        while True:
            stream.read_until(b"@boot ")
            began, pid = stream.read_until(b"\n").split()
            if values:
                values[-1] = float(began) - values[-1]
            if len(values) == n:
                return values
            time.sleep(PAUSE_SECONDS)
            values.append(time.monotonic())
            os.kill(int(pid), number)
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        with contextlib.suppress(OSError):
            os.close(read_end)


def death_figures(env, n):
    kinds = [("SIGSEGV", HANG, by_signal(signal.SIGSEGV), signal.SIGSEGV),
             ("SIGKILL, as the OOM killer's", HANG, by_signal(signal.SIGKILL), signal.SIGKILL),
             ("an operator's hard reset of a program that hears nothing", HANG, by_order(), None),
             ("a bite of machine.WDT", BITTEN, by_watchdog, None)]
    figures = []
    for what, main, kill, number in kinds:
        others = [Series("sh loop, python3", "s", loop_spans(env, n, number))] if number else []
        figures.append(Figure(f"death to first line of boot.py: {what}",
                              Series("mpyd", "s", spans(env, n, main, kill)), others, aim=AIM_SECONDS,
                              p99_aim=2 * AIM_SECONDS))
    return figures
