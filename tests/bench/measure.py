# SPDX-License-Identifier: MIT
"""What the benchmark can know about a machine and a process: samples, clocks, /proc."""
import math
import os
import pathlib
import platform
import time

from mpydtest.paths import build_options


def percentile(values, p):
    """The smallest sample that is not below p per cent of all (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * p / 100) - 1)]


def median(values):
    ordered = sorted(values)
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def show_seconds(v):
    if abs(v) < 1e-3:
        return f"{v * 1e6:.0f} µs"
    if abs(v) < 1:
        return f"{v * 1e3:.{2 if abs(v) < 0.1 else 0}f} ms"
    return f"{v:.2f} s"


UNITS = {
    "s": show_seconds,
    "B/s": lambda v: f"{v / 1e6:.1f} MB/s" if v >= 1e5 else f"{v / 1e3:.1f} kB/s",
    "1/s": lambda v: f"{v:.0f} /s",
    "B": lambda v: f"{v / 2**20:.2f} MiB",
    "wake-ups/min": lambda v: f"{v:.0f} /min",
    "ratio": lambda v: f"{v:.2f}",
    "cpu/min": lambda v: f"{v * 1e3:.2f} ms/min",
}


class Series:
    """Samples of one figure, of one program."""

    def __init__(self, name, unit, values):
        self.name, self.unit, self.values = name, unit, list(values)

    @property
    def n(self):
        return len(self.values)

    @property
    def median(self):
        return median(self.values)

    @property
    def bad_end(self):
        """p99, on the side that hurts."""
        return percentile(self.values, 1) if self.unit.endswith("/s") else percentile(self.values, 99)

    def cells(self):
        show = UNITS[self.unit]
        return [self.name, show(self.median), show(self.bad_end), str(self.n)]


class Figure:
    """One line of the table: ours, and what else one could use."""

    def __init__(self, title, ours, others, aim=None, p99_aim=None):
        self.title, self.ours, self.others = title, ours, others
        self.aim, self.p99_aim = aim, p99_aim

    def aim_cells(self):
        if self.aim is None:
            return ["", ""]
        show = UNITS[self.ours.unit]
        text = f"≤ {show(self.aim)}" if self.aim else "0"
        met = self.ours.median <= self.aim
        if self.p99_aim is not None:
            met = met and self.ours.bad_end <= self.p99_aim
            if self.p99_aim:
                text += f", p99 ≤ {show(self.p99_aim)}"
        return [text, "yes" if met else "NO"]


class ClockWatch:
    """Scripts stamp with CLOCK_REALTIME, the only clock that every interpreter here reads with
    nanoseconds. That is sound as long as nobody sets it meanwhile, which this checks."""

    def __init__(self):
        self.offset = self._offset()

    @staticmethod
    def _offset():
        return (time.clock_gettime_ns(time.CLOCK_REALTIME) -
                time.clock_gettime_ns(time.CLOCK_MONOTONIC))

    def step(self):
        """By how many seconds it moved against CLOCK_MONOTONIC."""
        return (self._offset() - self.offset) / 1e9


# ---- processes ----

def pss(pid):
    """Proportional set size in bytes: what this process costs the machine."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no Pss in /proc/{pid}/smaps_rollup")


def activity(pid):
    """(wake-ups, CPU seconds) of all of a process's threads since they began. A thread that slept
    and runs again has made a context switch when it went to sleep; preemptions are counted with
    them, for they too are work."""
    wakeups, cpu = 0, 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith(("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")):
                wakeups += int(line.split()[1])
        try:
            cpu += int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:  # a kernel without it counts in ticks
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return wakeups, cpu


# ---- the machine ----

def debian_version():
    try:
        return "Debian " + pathlib.Path("/etc/debian_version").read_text().strip()
    except OSError:
        return platform.platform()


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model", "Hardware")):
            return line.partition(":")[2].strip()
    return platform.machine()


def filesystem(path):
    """Type of the file system that path is on."""
    path, best = os.path.realpath(path), ("", "?")
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind = line.split()[:3]
        inside = path == where or path.startswith(where.rstrip("/") + "/")
        if inside and len(where) >= len(best[0]):
            best = (where, kind)
    return best[1]


def describe_machine(state_dir):
    options = build_options()
    text = (f"{os.cpu_count()} cores ({cpu_model()}), "
            f"Linux {platform.release()} {platform.machine()}, {debian_version()}, "
            f"Python {platform.python_version()}; state on {filesystem(state_dir)}; "
            f"buildtype {options['buildtype']}; "
            f"{'root' if os.geteuid() == 0 else 'an ordinary user'}")
    if options["b_sanitize"] not in ("none", []):
        text += "; built with a sanitizer, so that the figures mean nothing"
    return text


def cpus_busy(seconds=1):
    """How busy all CPUs are while the benchmark does nothing, in per cent."""
    def read():
        values = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        values = [int(v) for v in values]
        return sum(values), values[3] + values[4]  # all; idle and waiting for a disk

    before = read()
    time.sleep(seconds)
    total, idle = (b - a for a, b in zip(before, read()))
    return 100 * (total - idle) / max(total, 1)


def flush_spans(directory, n):
    values = []
    path = pathlib.Path(directory) / "flush-probe"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(n):
            os.write(fd, b"x" * 4096)
            start = time.monotonic_ns()
            os.fdatasync(fd)
            values.append((time.monotonic_ns() - start) / 1e9)
    finally:
        os.close(fd)
        path.unlink()
    return values


def machine_figures(directory):
    """For scale: what a commit must cost at least."""
    spans = flush_spans(directory, 100)
    return [Figure("one fdatasync of 4 KiB", Series("the disk", "s", spans), [])]
