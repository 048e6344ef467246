# SPDX-License-Identifier: MIT
"""The VM itself: upstream's perf_bench, and how long a garbage collection takes. Beside it the unix port, built of the
same source with the same optimisation, and python3. Each time is taken by the script, around what it measures."""
import math
import re
import subprocess

from mpydtest.paths import micropython_dir

from measure import Figure, Series, median
from subjects import Board

PARAMETERS = (1000, 1000)  # benchrun.py's: a large machine
END = b"\x04\x04>"

# Live objects in three quarters of the heap, many small ones; each collection finds some garbage.
COLLECT = """\
import gc
try:
    from time import ticks_us, ticks_diff
except ImportError:
    from time import perf_counter
    ticks_us, ticks_diff = lambda: int(perf_counter() * 1000000), lambda a, b: a - b
gc.disable()
kept = [[(i, str(i)) for i in range(500)] for _ in range({lists})]
gc.collect()
for _ in range({n}):
    for _ in range(1000): [0]
    t = ticks_us(); gc.collect(); print("@span", ticks_diff(ticks_us(), t))
"""
LISTS = {8: 80, 64: 640}


class Raw:
    """A board at its raw REPL: runs a script and gives what it printed."""

    def __init__(self, board):
        self.stream = board.stream
        board.prompt()
        board.raw_repl()

    def run(self, code):
        """In a fresh VM."""
        self.stream.write(b"\x04")
        self.stream.read_until(b"raw REPL; CTRL-B to exit\r\n>")
        self.stream.write_while_reading(code.encode() + b"\x04")
        answer = self.stream.read_until(END, 120)
        if b"Traceback" in answer:
            raise RuntimeError(answer.decode(errors="replace"))
        return answer.partition(b"OK")[2].removesuffix(END).decode()


def by_program(argv):
    def run(code):
        return subprocess.run([*argv, "-c", code], check=True, capture_output=True, text=True, timeout=120).stdout
    return run


def scripts():
    folder = micropython_dir() / "tests/perf_bench"
    tail = (folder / "benchrun.py").read_text() + "bm_run(%d, %d)\n" % PARAMETERS
    return {p.stem: p.read_text() + tail for p in sorted(folder.glob("*_*.py"))}


def seconds(run, code):
    """As benchrun.py prints it: µs, the amount of work, the result."""
    return int(run(code).split()[0]) / 1e6


def perf_figures(env, n):
    others = {"micropython": by_program([env.micropython]), "python3": by_program([env.python, "-S"])}
    figures, ratios = [], {name: [] for name in others}
    with Board(env) as board:
        ours = Raw(board)
        for name, code in scripts().items():
            times = {"mpyd": []}
            for _ in range(n):  # in turn, so that a slow moment of the machine is everybody's
                times["mpyd"].append(seconds(ours.run, code))
                for other, run in others.items():
                    if other == "python3" and ("micropython" in code or name.startswith("core_import")):
                        continue  # viper and .mpy files
                    times.setdefault(other, []).append(seconds(run, code))
            for other in others:
                if other in times:
                    ratios[other].append(median(times["mpyd"]) / median(times[other]))
            figures.append(Figure(f"perf_bench {name}", Series("mpyd", "s", times.pop("mpyd")),
                                  [Series(other, "s", values) for other, values in times.items()]))
    means = {other: math.exp(sum(map(math.log, values)) / len(values)) for other, values in ratios.items()}
    figures.append(Figure("perf_bench, all: time against micropython's, geometric mean",
                          Series("mpyd", "ratio", [means["micropython"]]), [], aim=1.0))
    figures.append(Figure("perf_bench, all: time against python3's, geometric mean",
                          Series("mpyd", "ratio", [means["python3"]]), []))
    return figures


def collect_figures(env, n):
    figures = []
    for megabytes, lists in LISTS.items():
        code = COLLECT.format(lists=lists, n=n)
        programs = {"micropython": by_program([env.micropython, "-X", f"heapsize={megabytes}m"]),
                    "python3": by_program([env.python, "-S"])}
        config = {"board": {"heap": f"{megabytes}M", "heap-max": f"{megabytes}M"}}
        with Board(env, config=config) as board:
            runs = {"mpyd": Raw(board).run, **programs}
            values = {name: [int(us) / 1e6 for us in re.findall(r"@span (\d+)", run(code))]
                      for name, run in runs.items()}
        ours = Series("mpyd", "s", values.pop("mpyd"))
        figures.append(Figure(f"gc.collect(), heap of {megabytes} MiB, three quarters in use", ours,
                              [Series(name, "s", v) for name, v in values.items()]))
    return figures


def speed_figures(env, n):
    return perf_figures(env, n) + collect_figures(env, 4 * n)
