# SPDX-License-Identifier: MIT
"""Measures mpyd and what else one could use, side by side, and prints one table.

Two ways to take time, each named beside its figures: spans that both begin and end in scripts are
stamped by the scripts with time.time_ns() (CLOCK_REALTIME; a clock that was set meanwhile is
noticed), spans that begin and end at the terminal by the benchmark itself with CLOCK_MONOTONIC. A
figure is the median of its samples, with the 99th percentile (for rates: the 1st) and the number
of samples. Resets are measured one at a time, a pause apart. Nothing here fails because something
is slow: the exit status tells only whether everything worked.
"""
import argparse
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

from mpydtest.paths import BUILD, SOURCE, board_program, micropython_dir, mpyd_program

import deaths
import idle
import latency
import resets
import speed
import terminal
import transfer
import watchdog
from measure import ClockWatch, cpus_busy, describe_machine, machine_figures
from table import print_table, rows_of, write_markdown

SECTIONS = ["machine", "exec", "soft", "hard", "death", "interrupt", "abort", "throughput", "eval", "memory", "idle",
            "watchdog", "transfer", "speed"]


BUSY_MAX = 10  # per cent


class Env:
    """Where the programs are, and a directory for what is measured."""

    def __init__(self, args):
        self.mpyd = mpyd_program()
        self.board = board_program()
        self.mpremote = micropython_dir() / "tools/mpremote"
        self.exec_stamp = args.exec_stamp.resolve()
        self.slow_fsync = args.slow_fsync.resolve()
        self.micropython = args.micropython.resolve()
        self.python = args.python
        # The history is measured on the disk that the build is on, not on a /tmp in memory.
        self.state_parent = self.work = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD))
        self.work.chmod(0o755)

    def shim_environ(self, ms):
        return {"LD_PRELOAD": str(self.slow_fsync), "SLOW_FSYNC_MS": str(ms)}


def sections(env, quick):
    """name → what makes its figures."""
    few, some, many = (10, 20, 50) if quick else (50, 100, 300)
    return {
        "machine": lambda: machine_figures(env.state_parent),
        "exec": lambda: resets.exec_figures(env, some),
        "soft": lambda: resets.soft_figures(env, many),
        "hard": lambda: resets.hard_figures(env, some if quick else 2 * some),
        "death": lambda: deaths.death_figures(env, some),
        "interrupt": lambda: latency.interrupt_figures(env, some),
        "abort": lambda: latency.abort_figures(env, few),
        "throughput": lambda: terminal.throughput_figures(env, 2 if quick else 5),
        "eval": lambda: terminal.eval_figures(env, many),
        "memory": lambda: idle.memory_figures(env, 2 if quick else 5),
        "idle": lambda: idle.idle_figures(env),
        "watchdog": lambda: watchdog.watchdog_figures(env, few),
        "transfer": lambda: transfer.transfer_figures(env, 2 if quick else 5),
        "speed": lambda: speed.speed_figures(env, 2 if quick else 7),
    }


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--exec-stamp", required=True, type=pathlib.Path, help="the helper of that name")
    p.add_argument("--slow-fsync", required=True, type=pathlib.Path,
                   help="the library of that name")
    p.add_argument("--micropython", required=True, type=pathlib.Path,
                   help="unix port of the pinned source")
    p.add_argument("--python", default="/usr/bin/python3", help="the python3 to compare with")
    p.add_argument("--only", action="append", choices=SECTIONS, help="may be repeated")
    p.add_argument("--quick", action="store_true", help="few samples: does it work?")
    p.add_argument("--update-figures", action="store_true",
                   help="put the table into docs/FIGURES.md")
    return p.parse_args()


def main():
    args = parse_arguments()
    env = Env(args)
    all_sections = sections(env, args.quick)
    wanted = [s for s in SECTIONS if not args.only or s in args.only]
    machine = describe_machine(env.state_parent)
    figures, broken = [], []
    clock, begun, busy = ClockWatch(), time.monotonic(), cpus_busy()
    try:
        for name in wanted:
            started = time.monotonic()
            try:
                figures += all_sections[name]()
            except Exception:
                broken.append(name)
                traceback.print_exc()
            print(f"{name}: {time.monotonic() - started:.1f} s", file=sys.stderr)
    finally:
        shutil.rmtree(env.work, ignore_errors=True)

    rows = rows_of(figures)
    machine += (f"; the CPUs were {busy:.0f} % busy with other things before the run, "
                f"{cpus_busy():.0f} % after it")
    print(f"\n{machine}\n")
    print_table(rows, sys.stdout)
    if abs(clock.step()) > 0.001:
        broken.append(f"clock set by {clock.step():+.3f} s, spans stamped by scripts are wrong")
    print(f"\n{time.monotonic() - begun:.0f} s in all." +
          (f" DID NOT WORK: {', '.join(broken)}" if broken else ""))
    if busy > BUSY_MAX:
        print(f"Other things had the CPUs before the run ({busy:.0f} %): these are no figures to keep.")
    elif args.update_figures and not broken:
        write_markdown(SOURCE / "docs/FIGURES.md", "run", machine, rows, time.monotonic() - begun)
    return 1 if broken else 0


sys.exit(main())
