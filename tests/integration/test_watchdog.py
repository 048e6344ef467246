# SPDX-License-Identifier: MIT
"""Watchdogs that bite whatever the program does, and the board that neither runs nor waits."""
import os
import select
import signal
import subprocess
import sys
import time

import pytest

from mpydtest import process_exists, timeout

WDT, HARD, SOFT, DEEPSLEEP = 3, 2, 5, 4
WATCHDOG, SOFTWARE = 5, 2
MAIN, REPL = 3, 4

# A program that is bitten once: at the boot after that it stays at the REPL.
ONCE = """
import machine, time
if machine.reset_cause() not in (machine.WDT_RESET,):
    w = machine.WDT(timeout={0})
    w.feed()
    t = time.ticks_us()
    with open('/fed', 'w') as f:
        f.write(str(t))
    print('armed')
{1}
"""

HANGS = {
    "computes": "while True: pass",
    "sleeps": "time.sleep(1000)",
    "lightsleep": "machine.lightsleep(1000000)",
    "blocks in C": "n = 20000000; x = 7 ** n",  # not folded by the compiler
    "without Ctrl-C": "import micropython; micropython.kbd_intr(-1)\n    while True: pass",
    "with interrupts off": "machine.disable_irq()\n    while True: pass",
    "catches everything": ("while True:\n        try:\n            while True: pass\n"
                           "        except BaseException: pass"),
    "in a callback": ("import micropython\n"
                      "    def f(_):\n        while True: pass\n"
                      "    micropython.schedule(f, 0)\n    time.sleep(1000)"),
    "waits for input": "input()",
    "waits for a connection": "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1); s.accept()",
    "finalisers do not end": ("import sys\n    def f():\n        while True: pass\n"
                              "    sys.atexit(f)\n    sys.exit()"),
}


def dies_at(pid, within=30):
    """Waits for the end of a process that is not ours; the time."""
    fd = os.pidfd_open(pid)
    try:
        assert select.select([fd], [], [], timeout(within))[0], "it was not bitten"
        return time.monotonic()
    finally:
        os.close(fd)


def bitten(b, before=1):
    """The properties once the next board is at its REPL."""
    return b.wait(lambda p: p["HardResets"] > before and p["State"] == "idle",
                  what="the boot after a bite")


@pytest.mark.parametrize("how", HANGS)
def test_bites(boards, how):
    b = boards({"main.py": ONCE.format(300, "    " + HANGS[how])})
    b.wait_log("armed")
    pid = b.board_pid()
    died = dies_at(pid) if process_exists(pid) else None
    p = bitten(b)
    assert p["ResetCause"] == "WDT_RESET" and p["ResetReason"] == "WATCHDOG"
    assert p["Crashes"] == 0 and p["WatchdogTimeout"] == 0
    if died:  # not before its time; how late is for the benchmark to say
        assert 0.3 <= died - int(b.read("fed")) / 1e6 < 0.3 + timeout(2)
    row = b.wait_history(lambda rows: len(rows) == 2)[1]
    assert (row["cause"], row["reason"], row["stage"]) == (WDT, WATCHDOG, MAIN)
    assert row["signal"] == signal.SIGKILL
    assert row["detail"] == "machine.WDT was not fed for 300ms in main.py"
    assert "watchdog reset" in b.ctl("history").stdout


@pytest.mark.parametrize("load", [0, 4])
def test_bites_a_stopped_process(boards, load):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(load)]
    try:
        b = boards({"main.py": ONCE.format(500, "    while True: w.feed()")})
        b.wait_log("armed")
        time.sleep(1)  # it is fed
        pid = b.board_pid()
        os.kill(pid, signal.SIGSTOP)
        stopped = time.monotonic()
        assert 0.5 - 0.05 <= dies_at(pid) - stopped < 0.5 + timeout(2)
        assert bitten(b)["ResetCause"] == "WDT_RESET"
    finally:
        for p in busy:
            p.kill()
            p.wait()


def test_fed_it_does_not_bite(boards):
    b = boards({"main.py": ONCE.format(300, "    for _ in range(20): time.sleep_ms(100); w.feed()\n"
                                            "    print('fed')\n    machine.WDT(timeout=60000)")})
    b.wait_log("fed")
    p = b.wait_state("idle")
    assert p["HardResets"] == 1
    assert p["WatchdogTimeout"] == 60_000_000 and p["WatchdogFedBefore"] < timeout(20) * 1e6
    text = b.ctl("status").stdout
    assert "machine.WDT is armed, 1min; last fed" in text
    status = b.ctl_json("status")
    assert status["watchdog_timeout"] == 60_000_000 and status["watchdog2_timeout"] == 0


def test_status_without_one(boards):
    b = boards()
    b.wait_state("idle")
    assert "Watchdog" not in b.ctl("status").stdout
    assert b.get("WatchdogTimeout") == 0 and b.get("WatchdogFedBefore") == 0


def test_traceback_is_kept(boards):
    """main.py ended in an exception and nobody feeds any more."""
    b = boards({"main.py": ONCE.format(400, "    1 // 0")})
    bitten(b)
    row = b.wait_history(lambda rows: len(rows) == 2)[1]
    assert row["cause"] == WDT and row["stage"] == REPL
    assert "ZeroDivisionError" in row["traceback"]
    assert "ZeroDivisionError" in b.ctl("history", "show", str(row["id"])).stdout


def test_survives_soft_resets(boards):
    """It runs on, must be fed by the next VM, and bites it when it is not."""
    b = boards({"main.py": """
import machine, os, time
def count():
    n = int(open('/n').read()) + 1 if 'n' in os.listdir() else 1
    with open('/n', 'w') as f: f.write(str(n))
    return n
n = count()
if n == 1:
    machine.WDT(timeout=1500)
    machine.soft_reset()
elif n < 5:
    time.sleep_ms(700)      # together longer than the time
    machine.WDT(timeout=1500).feed()
    machine.soft_reset()
elif n == 5:
    print('not fed any more')
"""})
    p = bitten(b)
    assert p["ResetCause"] == "WDT_RESET"
    rows = b.wait_history(lambda rows: len(rows) == 6)
    assert [r["cause"] for r in rows] == [1, SOFT, SOFT, SOFT, SOFT, WDT]
    time.sleep(2)  # off until it is armed again
    p = b.control.properties()
    assert p["HardResets"] == 2 and p["SoftResets"] == 4 and p["WatchdogTimeout"] == 0


def test_setting_it_anew_and_no_way_to_stop_it(boards):
    b = boards()
    repl = b.friendly()
    repl.line("import machine, gc; w = machine.WDT(timeout=86400000)")
    assert "AttributeError" in repl.line("w.stop()")
    assert "ValueError" in repl.line("machine.WDT(timeout=0)")
    repl.line("del w; gc.collect()")
    assert b.get("WatchdogTimeout") == 86400 * 1_000_000
    repl.line("w = machine.WDT(0, 300)")
    bitten(b)


def test_other_resets_switch_it_off(boards):
    b = boards({"main.py": "import machine, time\n"
                           "c = machine.reset_cause()\n"
                           "if c == machine.PWRON_RESET:\n"
                           "    machine.WDT(timeout=400)\n    machine.reset()\n"
                           "if c == machine.HARD_RESET:\n"
                           "    time.sleep(1)\n    machine.WDT(timeout=400)\n"
                           "    machine.deepsleep(1500)\n"})
    p = b.wait(lambda p: p["State"] == "idle" and p["ResetCause"] == "DEEPSLEEP_RESET")
    assert p["WatchdogTimeout"] == 0
    time.sleep(1)
    rows = b.wait_history(lambda rows: len(rows) == 3)
    assert [r["cause"] for r in rows] == [1, HARD, DEEPSLEEP]
    assert b.get("HardResets") == 3


def test_does_not_bite_while_a_reset_is_held_back(boards):
    """The rate limit is the supervisor's doing."""
    b = boards({"boot.py": "import machine\nw = machine.WDT(timeout=600)\n",
                "main.py": "import machine, os\n"
                           "if 'stay' in os.listdir(): machine.WDT(timeout=60000)\n"
                           "else: machine.soft_reset()\n"},
               config={"reset": {"burst": "2", "rate": "1/2s"}})
    b.wait(lambda p: p["ResetsDelayed"] >= 2)
    b.put({"stay": ""})
    p = b.wait_state("idle")
    assert p["HardResets"] == 1, b.history()


def test_bites_in_a_storm_are_limited(boards):
    b = boards({"main.py": "import machine\nmachine.WDT(timeout=10)\nwhile True: pass\n"},
               config={"reset": {"burst": "3", "rate": "1/1min"}})
    p = b.wait(lambda p: p["State"] == "waiting")
    assert "too fast" in p["Problem"] and p["ResetCause"] == "WDT_RESET"
    assert p["HardResets"] <= 5


@pytest.mark.parametrize("where", ["while True: pass", "time.sleep(100)"])
def test_warning_comes_first(boards, where):
    b = boards({"main.py": f"""
import machine, time
def save(w):
    with open('/saved', 'w') as f: f.write(str(time.ticks_us()))
if machine.reset_cause() != machine.WDT_RESET:
    w = machine.WDT(timeout=1500, warn=1200, callback=save)
    with open('/fed', 'w') as f: f.write(str(time.ticks_us()))
    {where}
"""})
    bitten(b)
    after = (int(b.read("saved")) - int(b.read("fed"))) / 1e6
    assert 0.2 < after < 1.5


def test_warning_may_feed(boards):
    b = boards({"main.py": """
import machine
n = 0
def f(w):
    global n
    n += 1
    print('warned', n)
    if n < 4: w.feed()
if machine.reset_cause() != machine.WDT_RESET:
    machine.WDT(timeout=600, warn=300, callback=f)
    while True: pass
"""})
    bitten(b)
    assert b.log_count("warned 4") == 1 and b.log_count("warned 5") == 0


def test_operators_stop_is_not_a_bite(boards):
    b = boards({"main.py": "import machine\nmachine.WDT(timeout=60000)\nwhile True: pass\n"})
    b.wait(lambda p: p["WatchdogTimeout"] > 0)
    b.ctl("reset", "--hard")
    b.wait(lambda p: p["HardResets"] == 2 and p["Stage"] == "main.py")
    assert b.get("ResetReason") == "RESET_PIN"


# ---- the board that neither runs nor waits ----

STUCK = "print('begins')\nn = 20000000\nx = 7 ** n\n"


def test_stalled_board_is_reported(boards):
    """Not reset: nobody has said so."""
    b = boards({"main.py": STUCK})
    b.wait_log("begins")
    p = b.wait(lambda p: p["StalledBoottime"] > 0, timeout=40, what="the stall")
    assert p["HardResets"] == 1
    b.wait_log("The board is stalled in main.py")
    assert "neither runs Python nor waits" in b.ctl("status").stdout
    b.control.reset("hard")
    b.wait(lambda p: p["HardResets"] == 2 and p["StalledBoottime"] == 0)


def test_stalled_board_is_reset_when_configured(boards):
    b = boards({"main.py": "import machine\nif machine.reset_cause() != machine.WDT_RESET:\n"
                           "    print('begins')\n    n = 20000000\n    x = 7 ** n\n"},
               config={"watchdog": {"stall-after": "1s"}})
    p = bitten(b)
    assert p["ResetCause"] == "WDT_RESET" and p["ResetReason"] == "WATCHDOG"
    row = b.wait_history(lambda rows: len(rows) == 2)[1]
    assert row["cause"] == WDT and row["stage"] == MAIN
    assert row["detail"] == "stalled in main.py for 1s ([watchdog] stall-after)"
    events = b.ctl("log").stdout
    assert "The board is stalled in main.py" in events


def test_stopped_while_it_computes_is_stalled(boards):
    b = boards({"main.py": "while True: pass\n"}, config={"watchdog": {"stall-after": "1s"}})
    b.wait_stage("main.py")
    time.sleep(0.3)
    pid = b.board_pid()
    os.kill(pid, signal.SIGSTOP)
    dies_at(pid)
    assert b.wait(lambda p: p["HardResets"] == 2)["ResetCause"] == "WDT_RESET"


@pytest.mark.parametrize("program", [
    "while True: pass",
    "import time\nwhile True: time.sleep_ms(1)",
    "import time\ntime.sleep(1000)",
    "input()",
    "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1); s.accept()",
    "",                                                       # the REPL
    "machine = __import__('machine'); machine.disable_irq()\nwhile True: pass",
    "import gc\nwhile True: gc.collect()",
    "import time\nwhile True: time.sleep(1.4)\n",             # wakes between looks
    "def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nf(40)",
    "while True: print('x' * 5000)",
])
def test_busy_or_waiting_is_not_stalled(boards, program):
    b = boards({"main.py": program + "\n"}, config={"watchdog": {"stall-after": "1s"}})
    b.wait(lambda p: p["Stage"] in ("main.py", "repl"))
    time.sleep(4)
    p = b.control.properties()
    assert p["HardResets"] == 1 and p["StalledBoottime"] == 0, b.log[-2000:]


# ---- suspension ----

def test_suspended_for_a_while(boards):
    """Bounded, shown, in the history; and then they bite."""
    b = boards({"main.py": "import machine, time\nw = machine.WDT(timeout=500)\n"
                           "print('fed')\nwhile True:\n    w.feed()\n    time.sleep_ms(20)\n"})
    b.wait_log("fed")
    for bad in ("16min", "0", "soon"):
        r = b.ctl("snooze", "--watchdogs", bad, check=False)
        assert r.returncode == 64 and "neither off nor a time up to 15min" in r.stderr, (bad, r)
    assert "bites for 5s" in b.ctl("snooze", "--watchdogs", "5s").stdout
    assert "no watchdog bites for" in b.ctl("status").stdout
    pid = b.board_pid()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(2)
    assert b.board_pid() == pid and process_exists(pid)
    p = b.wait(lambda p: p["BoardPid"] not in (0, pid), what="the bite")
    assert p["ResetCause"] == "WDT_RESET"
    names = [r["name"] for r in b.ctl_json("history") if r["type"] == "event"]
    assert names.index("watchdogs-suspended") < names.index("watchdogs-resumed")
    assert "no watchdog bites for" not in b.ctl("status").stdout


def test_suspension_that_is_taken_back(boards):
    b = boards({"main.py": "import machine\nmachine.WDT(timeout=300)\nprint('armed')\nwhile True: pass\n"},
               start=False)
    b.start()
    b.ctl("snooze", "--watchdogs", "15min")  # also for one that is set later
    b.ctl("reset", "--no-wait")
    p = b.wait(lambda p: p["State"] == "running" and p["WatchdogsSuspendedUsec"] > 0, what="a life without bites")
    pid = p["BoardPid"]
    time.sleep(1)
    assert b.board_pid() == pid
    b.ctl("snooze", "--watchdogs", "off")
    p = b.wait(lambda p: p["BoardPid"] not in (0, pid), what="the bite")
    assert p["ResetCause"] == "WDT_RESET"
    b.ctl("snooze", "--watchdogs", "off")  # again, and nothing happens
