# SPDX-License-Identifier: MIT
"""How fast machine.Pin is, beside python3-libgpiod and C on libgpiod: on gpio-sim, in an emulated machine, all in one
run. The figures compare; for what a board does measure there.

Rates: rounds of so many operations, each round timed by its program. Latency: from the moment before the level of a line
is changed from outside (sysfs) to the handler's first statement, or the return of the read, both CLOCK_MONOTONIC; the
change of the level itself is in it, the same for all."""
import os
import sys
import time

from machines.host import SOURCE
from machines.machine import quote

sys.path[:0] = [str(SOURCE / "tests/bench"), str(SOURCE / "tests/harness"), str(SOURCE / "tests/system/vm")]

from measure import Figure, Series  # noqa: E402
from table import print_table, rows_of, write_markdown  # noqa: E402
from test_gpio import CHIP  # noqa: E402

N, ROUNDS, EDGES = 2000, 15, 200
LINE, INPUT = 17, 4

MPYD_RATE = """
import time
from machine import Pin
p = Pin({line}, Pin.{mode})
set, get, toggle = p.value, p.value, p.toggle
def rate(f):
    begin = time.ticks_us()
    f()
    return {n} * 1e6 / time.ticks_diff(time.ticks_us(), begin)
def do_set():
    for i in range({n}): set(i & 1)
def do_get():
    for i in range({n}): get()
def do_toggle():
    for i in range({n}): toggle()
for i in range({rounds}): print(round(rate(do_{what})))
"""
MPYD_EDGES = """
import time
from machine import Pin
seen, now = [], time.ticks_us
Pin({line}, Pin.IN).irq(lambda p: seen.append(now()))
print('ready')
while len(seen) < {n}: time.sleep_ms(50)
for t in seen: print(t)
"""
PYTHON = """
import gpiod, sys, time
from gpiod.line import Direction, Edge, Value
chip, line, n = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
out = sys.argv[1] in ("set", "toggle")
r = gpiod.request_lines(chip, config={line: gpiod.LineSettings(
    direction=Direction.OUTPUT if out else Direction.INPUT, edge_detection=Edge.BOTH if sys.argv[1] == "edges" else Edge.NONE)})
values, now = (Value.INACTIVE, Value.ACTIVE), time.monotonic_ns
def do_set():
    for i in range(n): r.set_value(line, values[i & 1])
def do_get():
    for i in range(n): r.get_value(line)
if sys.argv[1] == "edges":
    seen = []
    print("ready", flush=True)
    while len(seen) < n:
        for e in r.read_edge_events(): seen.append(now())
    for t in seen: print(t // 1000)
else:
    f = do_set if out else do_get
    for i in range(int(sys.argv[5])):
        begin = now()
        f()
        print(round(n * 1e9 / (now() - begin)))
"""
# The finger on the line: waits until the other is ready, then changes the level and says when.
FINGER = """
import os, sys, time
ready, path, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
while not (os.path.exists(ready) and 'ready' in open(ready).read()): time.sleep(0.1)
time.sleep(0.5)
fd = os.open(path, os.O_WRONLY)
for i in range(n):
    t = time.monotonic_ns()
    os.pwrite(fd, b'pull-up' if i % 2 == 0 else b'pull-down', 0)
    print(t // 1000)
    time.sleep(0.02)
"""


def numbers(text):
    return [float(line) for line in text.split() if line.replace(".", "").isdigit()]


class Bench:
    def __init__(self, machine):
        self.machine = machine
        self.sim = machine.run(CHIP).split()[-1]
        self.chip = machine.run("ls /dev/gpiochip* | tail -n 1").strip()
        machine.push(SOURCE / "tests/system/bench/pin-loop.c", "/root/pin-loop.c")
        machine.run("gcc -O2 -Wall -Wextra -o /root/pin-loop /root/pin-loop.c -lgpiod", 300)
        machine.write("/root/pins.py", PYTHON)
        machine.write("/root/finger.py", FINGER)

    def programs(self, what, line):
        """name → command that prints what it has measured."""
        if what == "edges":
            ours, more = MPYD_EDGES.format(line=line, n=EDGES), f"edges {self.chip} {line} {EDGES}"
        else:
            mode = "IN" if what == "get" else "OUT"
            ours = MPYD_RATE.format(line=line, n=N, rounds=ROUNDS, what=what, mode=mode)
            more = f"{'set' if what == 'toggle' else what} {self.chip} {line} {N} {ROUNDS}"
        return {"machine.Pin": f"mpyctl exec {quote(ours)}", "python3-libgpiod": f"python3 /root/pins.py {more}",
                "C, libgpiod": f"/root/pin-loop {more}"}

    def rates(self, title, what):
        series = []
        for name, command in self.programs(what, LINE).items():
            values = numbers(self.machine.run(command, 300))
            assert len(values) == ROUNDS, (name, values)
            series.append(Series(name, "1/s", values))
            self.let_go()
        return Figure(title, series[0], series[1:])

    def latency(self):
        series = []
        for name, command in self.programs("edges", INPUT).items():
            self.machine.run(f"echo pull-down >{self.sim}/sim_gpio{INPUT}/pull; rm -f /root/seen")
            self.machine.start(f"{command} >/root/seen 2>&1; echo done >>/root/seen")
            pressed = numbers(self.machine.run(
                f"python3 /root/finger.py /root/seen {self.sim}/sim_gpio{INPUT}/pull {EDGES}", 300))
            seen = numbers(self.machine.until("cat /root/seen", lambda out: "done" in out, 60))
            assert len(pressed) == len(seen) == EDGES, (name, len(pressed), len(seen))
            values = [(b - a) / 1e6 for a, b in zip(pressed, seen)]
            assert min(values) > 0, values
            series.append(Series(name, "s", values))
            self.let_go()
        return Figure("edge of a line → its handler", series[0], series[1:])

    def let_go(self):
        self.machine.run("mpyctl reset")  # the next one takes the line


def test_pins(bench_machine, request):
    begun, bench = time.monotonic(), Bench(bench_machine)
    figures = [bench.rates("levels set a second", "set"), bench.rates("Pin.toggle() a second; others: levels set", "toggle"),
               bench.rates("levels read a second", "get"), bench.latency()]
    rows = rows_of(figures)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print()
        print_table(rows, sys.stdout)
    if os.environ.get("MPYD_UPDATE_FIGURES"):
        about = "Debian 13, " + bench_machine.run("uname -sr").strip() + ", gpio-sim, emulated by QEMU without KVM"
        write_markdown(SOURCE / "docs/FIGURES.md", "pins", about, rows, time.monotonic() - begun)
