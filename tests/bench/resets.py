# SPDX-License-Identifier: MIT
"""Starting and starting again: exec → first statement, soft and hard reset, restarted services.

Both ends of each span are stamped by the scripts themselves with time.time_ns(). The end's stamp
goes to RTC memory (which outlives the board; the others print it), so nothing is printed or written
to a file within a span. Resets are PAUSE_MS apart: each is one of its own, as in life, and finds
the machine at rest.
"""
import subprocess

from measure import Figure, Series
from subjects import Board, Loop, stamps

PAUSE_MS = 20

# The first life waits for the benchmark, which must have opened the terminal to see what it prints.
BOARD_BOOT = """\
import time; now = time.time_ns()
import machine
memory = machine.RTC().memory()
if memory:
    left, then = (int(n) for n in memory.split())
    if then:
        print("@span", now - then)
"""
BOARD_RESET = """\
if memory and left > 0 and {condition}:
    time.sleep_ms({pause})
    machine.RTC().memory("%d %d" % (left - 1, time.time_ns())); machine.{reset}()
"""
BOARD_MAIN = """\
if not memory:
    input()
    left = {n}
"""
# Where a hard reset comes from alternates: the history counts resets that are all alike in one row,
# and it is the row of its own that is to be measured.
BOARD_TAIL = """\
if left > 0:
    time.sleep_ms({pause})
    machine.RTC().memory("%d %d" % (left - 1, time.time_ns())); machine.{reset}()
print("@done")
"""

SERVICE = """\
import time; now = time.time_ns()
print("@begin", now)
time.sleep({pause})
print("@end", time.time_ns()); {end}
"""


def board_spans(env, reset, n, **options):
    from_boot = "left % 2" if reset == "reset" else "False"
    values = {"n": n, "reset": reset, "pause": PAUSE_MS, "condition": from_boot}
    files = {
        "boot.py": BOARD_BOOT + BOARD_RESET.format(**values),
        "main.py": BOARD_MAIN.format(**values) + BOARD_TAIL.format(**values),
    }
    with Board(env, files, **options) as board:
        board.stream.write(b"\r")
        lines = board.stream.read_lines("@done", 60)
    spans = stamps("\n".join(lines), "span")
    if len(spans) != n:
        raise RuntimeError(f"{len(spans)} spans of {n}:\n" + "\n".join(lines[-20:]))
    return [s / 1e9 for s in spans]


def service_spans(argv, n, environ=None):
    """End of a script → its first statement in the next process."""
    with Loop(argv, environ) as loop:
        values, end = [], None
        while len(values) < n:
            word, _, stamp = loop.stream.read_until(b"\n").decode().strip().partition(" ")
            if word == "@end":
                end = int(stamp)
            elif word == "@begin" and end:
                values.append((int(stamp) - end) / 1e9)
                end = None
    return values


def sh_loop(*argv):
    return ["/bin/sh", "-c", 'while :; do "$@"; done', "sh", *argv]


# A service manager that remembers why, as mpyd does: a committed row before each start.
REMEMBERING_LOOP = """\
import sqlite3, subprocess, sys, time
db = sqlite3.connect(sys.argv[1])
db.execute("pragma journal_mode=wal")
db.execute("pragma synchronous=full")
db.execute("create table restart(at real, status integer)")
while True:
    status = subprocess.run(sys.argv[2:], env={}).returncode
    with db:
        db.execute("insert into restart values(?, ?)", (time.time(), status))
"""


def exec_figures(env, n):
    first = 'import time; print("@first", time.time_ns())\n'
    main = ("import time; now = time.time_ns()\n"
            "import machine\n"
            "memory = machine.RTC().memory()\n"
            "if not memory:\n"
            "    input()\n"
            f"left = int(memory) if memory else {n}\n"
            "if memory:\n"
            '    print("@first", now)\n'
            "if left > 0:\n"
            f"    time.sleep_ms({PAUSE_MS})\n"
            "    machine.RTC().memory(str(left - 1)); machine.soft_reset()\n"
            'print("@done")\n')
    with Board(env, {"main.py": main}, exec_stamp=True) as board:
        board.stream.write(b"\r")
        lines = board.stream.read_lines("@done", 60)
        execs = stamps((board.dir / "state/flash/exec-stamps").read_text(), "exec")
    firsts = stamps("\n".join(lines), "first")
    if len(execs) != n + 1 or len(firsts) != n:
        raise RuntimeError(f"{len(execs)} starts, {len(firsts)} stamps of {n}")
    ours = [(f - e) / 1e9 for e, f in zip(execs[1:], firsts)]

    def other(*argv):
        values = []
        for _ in range(n):
            p = subprocess.run([env.exec_stamp, *argv, first], capture_output=True, text=True,
                               timeout=20, check=True)
            values.append((stamps(p.stdout, "first")[0] - stamps(p.stderr, "exec")[0]) / 1e9)
        return values

    return [Figure("exec → first statement of main.py",
                   Series("mpyd-board", "s", ours),
                   [Series("micropython -c", "s", other(env.micropython, "-c")),
                    Series("python3 -S -c", "s", other(env.python, "-S", "-c"))])]


def service_file(env, name, pause, end="pass"):
    path = env.work / name
    path.write_text(SERVICE.format(pause=pause, end=end))
    return path


def soft_figures(env, n):
    service = service_file(env, "service.py", PAUSE_MS / 1000)
    return [Figure("soft reset: end of main.py → first line of boot.py",
                   Series("mpyd", "s", board_spans(env, "soft_reset", n)),
                   [Series("sh loop, micropython", "s",
                           service_spans(sh_loop(env.micropython, service), n)),
                    Series("sh loop, python3", "s",
                           service_spans(sh_loop(env.python, service), n))],
                   aim=2e-3, p99_aim=4e-3)]


def hard_figures(env, n):
    """machine.reset() → first line of boot.py, which waits for the history's commit."""
    end = "import os, sys; sys.stdout.flush(); os.kill(os.getpid(), 9)"
    killed = service_file(env, "killed.py", PAUSE_MS / 1000, end)

    def remembering(name, environ=None):
        db = env.work / f"{name}.db"
        return [env.python, "-c", REMEMBERING_LOOP, db, env.python, killed]

    loop = Series("sh loop, python3 killed", "s", service_spans(sh_loop(env.python, killed), n))
    figures = [
        Figure("hard reset: machine.reset() → boot.py, this disk",
               Series("mpyd", "s", board_spans(env, "reset", n)),
               [Series("python3 loop + SQLite", "s",
                       service_spans(remembering("disk"), n))],
               aim=10e-3, p99_aim=20e-3),
        Figure("hard reset, not waiting for the commit",
               Series("mpyd, commit-timeout=0", "s",
                      board_spans(env, "reset", n, config={"history": {"commit-timeout": "0"}})),
               [loop], aim=10e-3, p99_aim=20e-3),
    ]
    for ms, count, other_count in ((0, n, n), (20, max(n // 4, 10), max(n // 8, 10)), (2000, 6, 2)):
        # Past commit-timeout (500 ms) the board boots and its record is marked late.
        aim = 10e-3 + min(ms / 1000, 0.5)
        figures.append(Figure(
            f"hard reset, each fsync takes {ms} ms",
            Series("mpyd", "s", board_spans(env, "reset", count, shim_ms=ms)),
            [Series("python3 loop + SQLite", "s",
                    service_spans(remembering(f"slow-{ms}"), other_count, env.shim_environ(ms)))],
            aim=aim, p99_aim=2 * aim if ms == 0 else None))
    return figures
