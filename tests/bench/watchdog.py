# SPDX-License-Identifier: MIT
"""How late a watchdog bites: from the moment at which machine.WDT's time is over to the end of the
board's process.

The script stamps its last feed with time.ticks_us(), which is CLOCK_MONOTONIC; the end is seen by the
benchmark on a pidfd. On a loaded machine the benchmark itself would wait for a processor: it has a
real-time priority then, as mpyd has (systemd/mpyd.service.in)."""
import contextlib
import os
import select
import subprocess
import time

from mpydtest.board import children

from measure import Figure, Series
from subjects import Board

TIMEOUT_MS = 400
FEED_MS = 100
AIM_SECONDS = 0.010

MAIN = f"""\
import machine, time
w = machine.WDT(timeout={TIMEOUT_MS})
print("@begin")
time.sleep_ms({FEED_MS})
w.feed(); fed = time.ticks_us()
print("@fed", fed)
while True: pass
"""


@contextlib.contextmanager
def load(n):
    """n programs that want a processor each, all the time."""
    busy = [subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(n)]
    try:
        yield
    finally:
        for p in busy:
            p.kill()
            p.wait()


@contextlib.contextmanager
def urgent():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def lateness(board, n):
    values = []
    while len(values) < n:
        board.stream.read_until(b"@begin")
        pids = children(board.process.pid)
        if len(pids) != 1:  # we were late: the next life is on its way
            continue
        with contextlib.closing(os.fdopen(os.pidfd_open(pids[0]), closefd=True)) as f:
            board.stream.read_until(b"@fed ")
            fed = int(board.stream.read_until(b"\n"))
            if not select.select([f], [], [], 30)[0]:
                raise TimeoutError("it was not bitten")
            values.append(time.monotonic() - fed / 1e6 - TIMEOUT_MS / 1e3)
    return values


def watchdog_figures(env, n):
    cpus = os.cpu_count() or 1
    all_busy = f"{cpus} of {cpus} processors busy"
    figures = []
    for where, busy, real_time in (("idle machine", 0, True), (all_busy, cpus, True),
                                   (f"{all_busy}, mpyd without its priority", cpus, False)):
        with Board(env, {"main.py": MAIN}, real_time=real_time) as board, load(busy), urgent():
            values = lateness(board, n)
        aim = AIM_SECONDS if real_time else None
        figures.append(Figure(f"machine.WDT: how late it bites, {where}",
                              Series("mpyd", "s", values), [], aim=aim, p99_aim=aim))
    return figures
