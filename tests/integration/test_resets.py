# SPDX-License-Identifier: MIT
"""Bad days of a board: programs that do not stop, boards that are killed, storms, sleep; and what
the history keeps of each end."""
import ctypes
import os
import signal
import time

import pytest

from mpydtest import process_exists, timeout
from mpydtest.paths import is_sanitized

STOP = {"stop": {"interrupt-timeout": "300ms", "abort-timeout": "300ms"}}
# Enums of include/mpyd/reset.h, as they are stored.
PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5
POWER_ON, BROWNOUT, SOFTWARE, DEEP_SLEEP_ALARM, RESET_PIN, WATCHDOG, UNKNOWN = range(7)
KIND_SOFT, KIND_HARD, KIND_DEEPSLEEP = range(3)
OFF, BOOT_INTERNAL, BOOT, MAIN, REPL = range(5)

STUBBORN = {
    # name: (program, SIGKILL is needed)
    "catches": ("while True:\n    try:\n        while True: pass\n"
                "    except KeyboardInterrupt: print('caught')\n", False),
    "bare except": ("while True:\n    try:\n        while True: pass\n"
                    "    except: print('caught')\n", False),
    "except BaseException": ("import time\nwhile True:\n    try: time.sleep(9)\n"
                             "    except BaseException: print('caught')\n", False),
    "finally": ("def f():\n    try:\n        while True: pass\n"
                "    finally:\n        while True: pass\nf()\n", False),
    "disabled": ("import micropython\nmicropython.kbd_intr(-1)\nwhile True: pass\n", False),
    "stuck in C": ("print('begins')\nx = 7 ** 20000000\n", True),
}


def wait_begun(b):
    b.wait_stage("main.py")
    time.sleep(0.1)  # well into its loop


@pytest.mark.parametrize("program", STUBBORN)
def test_forced_stop(boards, program):
    source, needs_kill = STUBBORN[program]
    b = boards({"main.py": source}, config=STOP)
    wait_begun(b)
    pid = b.board_pid()
    start = time.monotonic()
    b.control.reset("soft")
    b.wait(lambda p: p["SoftResets"] == 1 and p["Stage"] == "main.py")
    assert time.monotonic() - start < timeout(5)
    assert not process_exists(pid)
    rows = b.wait_history(lambda rows: len(rows) == 2)
    assert (rows[1]["signal"] == signal.SIGKILL) == needs_kill, rows[1]
    assert rows[1]["kind"] == KIND_SOFT and rows[1]["cause"] == SOFT
    assert b.get("Crashes") == 0


def test_program_that_obeys_is_not_aborted(boards):
    b = boards({"main.py": "try:\n    while True: pass\nfinally: open('/cleaned', 'w').close()\n"},
               config=STOP)
    wait_begun(b)
    b.control.reset("soft")
    b.wait(lambda p: p["SoftResets"] == 1 and p["Stage"] == "main.py")
    assert (b.flash / "cleaned").exists()
    assert b.log_count("aborting") == 0


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_stopped_process_is_reset_all_the_same(boards, kind):
    b = boards({"main.py": "while True: pass\n"}, config=STOP)
    wait_begun(b)
    pid = b.board_pid()
    os.kill(pid, signal.SIGSTOP)
    counter = "SoftResets" if kind == "soft" else "HardResets"
    before = b.get(counter)
    b.control.reset(kind)
    b.wait(lambda p: p[counter] > before and p["BoardPid"] not in (0, pid))
    assert not process_exists(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL,
                                    signal.SIGFPE, signal.SIGSYS])
def test_board_killed_from_outside(boards, number):
    # A sanitizer's handler would make another signal of these.
    options = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0"
    b = boards({"main.py": "print('runs')\nwhile True: pass\n"}, environ={"ASAN_OPTIONS": options})
    wait_begun(b)
    pid = b.board_pid()
    os.kill(pid, number)
    p = b.wait(lambda p: p["HardResets"] == 2 and p["Stage"] == "main.py" and p["BoardPid"] != pid)
    assert p["Crashes"] == 1
    assert p["ResetCause"] == "HARD_RESET" and p["ResetReason"] == "UNKNOWN"
    rows = b.wait_history(lambda rows: len(rows) == 2)
    assert rows[1]["signal"] == number and rows[1]["exit_status"] == -1
    assert rows[1]["stage"] == MAIN and rows[1]["reason"] == UNKNOWN
    assert signal.Signals(number).name in rows[1]["detail"]
    assert signal.Signals(number).name in b.ctl("history").stdout


PTRACE_SEIZE, WALL = 0x4206, 0x40000000


def test_board_whose_end_a_tracer_has(boards):
    """strace or gdb hears first that a process of theirs has ended, and takes its time to pass that on (ptrace(2))."""
    b = boards({"main.py": "print('runs')\nwhile True: pass\n"})
    wait_begun(b)
    pid = b.board_pid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) < 0:
        pytest.skip(f"may not trace the board: {os.strerror(ctypes.get_errno())}")
    os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    assert b.get("HardResets") == 1 and os.path.exists(f"/proc/{pid}")
    assert os.waitpid(pid, WALL) == (pid, signal.SIGKILL)
    p = b.wait(lambda p: p["HardResets"] == 2 and p["Stage"] == "main.py" and p["BoardPid"] != pid)
    assert p["Crashes"] == 1
    assert b.wait_history(lambda rows: len(rows) == 2)[1]["signal"] == signal.SIGKILL


DEEP = "t = ()\nfor i in range(%d): t = (t,)\nprint('deep')\nhash(t)\n"
DEEP_IN_A_THREAD = ("import _thread\nt = ()\nfor i in range(100000): t = (t,)\nprint('deep')\n"
                    "_thread.start_new_thread(hash, (t,))\nwhile True: pass\n")


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer has a handler of its own")
@pytest.mark.parametrize("program", [DEEP % 1000000, DEEP_IN_A_THREAD])
def test_overflow_of_the_c_stack_says_so(boards, program):
    """Recursion in C that nobody counts. Python's own is an exception."""
    b = boards({"main.py": "def f(): f()\ntry: f()\nexcept RuntimeError: print('counted')\n" + program},
               config={"safe-mode": {"strikes": "1"}, "board": {"heap-max": "200M"}})
    b.wait_log("counted")
    b.wait(lambda p: p["Crashes"] == 1 and p["SafeMode"] == "STACK_OVERFLOW", what="the overflow")
    row = b.wait_history(lambda rows: len(rows) == 2)[1]
    assert row["signal"] == signal.SIGSEGV and "The C stack has overflowed" in row["detail"]
    assert "last-words" in row["evidence"]


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer has a handler of its own")
def test_another_fault_is_no_overflow(boards):
    b = boards({"main.py": "@micropython.viper\ndef f():\n    ptr8(4096)[0] = 1\nf()\n"},
               config={"safe-mode": {"strikes": "1"}})
    b.wait(lambda p: p["Crashes"] == 1 and p["SafeMode"] == "HARD_FAULT", what="the fault")
    row = b.wait_history(lambda rows: len(rows) == 2)[1]
    assert row["signal"] == signal.SIGSEGV and "overflow" not in row["detail"]


def test_runaway_allocation_is_an_exception(boards):
    """The heap grows to its limit and no further: neither the board nor the daemon ends by it, nor does the host care."""
    b = boards({"main.py": "kept = []\nwhile True:\n    kept.append(bytearray(50000))\n"},
               config={"board": {"heap-max": "4M"}})
    b.wait(lambda p: p["State"] == "idle" and "MemoryError" in p["LastTraceback"], what="the exception")
    assert b.get("Crashes") == 0
    r = b.friendly()  # which clears the globals, as a soft reset does
    assert r.line("import gc; gc.mem_free() > 0") == "True\r\n"
    resident = int(open(f"/proc/{b.board_pid()}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < (4 + 12) * 2**20 or is_sanitized()


def test_history_has_a_row_of_each_kind_of_end(boards):
    b = boards({"boot.py": "import machine, os\n"
                           "n = int(open('/n').read()) + 1 if 'n' in os.listdir() else 1\n"
                           "with open('/n', 'w') as f: f.write(str(n))\n"
                           "if n == 2: machine.soft_reset()\n",
                "main.py": "if n == 3: machine.reset()\n"
                           "if n == 4: machine.deepsleep(100)\n"
                           "if n == 5: raise ValueError('on purpose')\n"})
    b.wait_state("idle")                      # 1
    b.control.reset("soft")                   # 2: boot.py resets softly, 3: main.py hard, 4: sleeps
    b.wait(lambda p: p["State"] == "idle" and p["ResetCause"] == "DEEPSLEEP_RESET")  # 5: raises
    repl = b.friendly()
    repl.write(b"\x04")                       # 6
    repl.read_until(b"MPY: soft reboot")
    repl.sync()
    b.hard_reset()                            # 7
    b.wait_state("idle")
    os.kill(b.board_pid(), signal.SIGKILL)    # 8
    b.wait(lambda p: p["Crashes"] == 1 and p["State"] == "idle")
    repl.close()
    b.restart()                               # 9
    b.wait_state("idle")
    rows = b.wait_history(lambda rows: len(rows) >= 9)
    told = [(r["cause"], r["reason"], r["kind"], r["stage"]) for r in rows]
    assert told == [
        (PWRON, POWER_ON, KIND_HARD, OFF),
        (SOFT, POWER_ON, KIND_SOFT, REPL),
        (SOFT, POWER_ON, KIND_SOFT, BOOT),
        (HARD, SOFTWARE, KIND_HARD, MAIN),
        (DEEPSLEEP, DEEP_SLEEP_ALARM, KIND_HARD, OFF),  # told when it fell asleep
        (SOFT, DEEP_SLEEP_ALARM, KIND_SOFT, REPL),
        (HARD, RESET_PIN, KIND_HARD, REPL),
        (HARD, UNKNOWN, KIND_HARD, REPL),
        (HARD, RESET_PIN, KIND_HARD, OFF),
    ], rows
    assert "ValueError: on purpose" in rows[5]["traceback"]
    assert [bool(r["traceback"]) for r in rows] == [False] * 5 + [True] + [False] * 3
    boot_id = open("/proc/sys/kernel/random/boot_id").read().strip().replace("-", "")
    for before, row in zip([None, *rows], rows):
        assert row["boot_id"] == boot_id
        assert abs(row["realtime_usec"] / 1e6 - time.time()) < timeout(120)
        assert row["late"] in (0, 1) and row["clock_synced"] in (0, 1)
        assert not before or row["boottime_usec"] > before["boottime_usec"]
    assert [r["id"] for r in b.ctl_json("history", "--only", "resets")] == [r["id"] for r in rows]

    # Together with what else happened it is one time line.
    line = b.ctl_json("history", "--since", "1d")
    assert [r["id"] for r in line] == sorted({r["id"] for r in line})
    assert [r["name"] or r["cause"] for r in line] == [
        "daemon-start", "PWRON_RESET", "SOFT_RESET", "SOFT_RESET", "HARD_RESET",
        "deep-sleep", "DEEPSLEEP_RESET", "exception", "SOFT_RESET", "HARD_RESET", "HARD_RESET",
        "board-stop", "daemon-stop", "daemon-start", "HARD_RESET"]
    slept, raised, stopped = line[5], line[7], line[11]
    assert slept["stage"] == "main.py" and slept["uptime_usec"] > 0
    assert slept["detail"] == "machine.deepsleep() from main.py"
    assert raised["detail"] == "main.py: ValueError: on purpose"
    assert "ValueError: on purpose" in raised["traceback"] and raised["stage"] == "main.py"
    assert stopped["detail"] == "mpyd stopped" and stopped["stage"] == "repl"
    assert stopped["exit_status"] == 0 and stopped["signal"] is None
    assert stopped["uptime_usec"] > 0 and stopped["traceback"] is None
    totals = b.ctl_json("history", "--totals")["totals"]
    assert totals == {"resets": 9, "power-ons": 1, "soft-resets": 3, "hard-resets": 4,
                      "deep-sleep-wakes": 1, "crashes": 1, "exception": 1, "deep-sleep": 1,
                      "daemon-start": 2, "daemon-stop": 1, "board-stop": 1}


def stop_and_read(b, forced=False):
    """The last entries of the history, once mpyd has stopped."""
    b.stop()
    return {r["name"]: r for r in b.events()}


def test_the_end_of_a_life_by_a_stop_is_told(boards):
    """A program that is made to stop when mpyd does: what it was at, for how long, its traceback."""
    b = boards({"main.py": "import time\n"
                           "try:\n"
                           "    while True: time.sleep(1)\n"
                           "finally:\n"
                           "    raise ValueError('pump left on')\n"})
    b.wait_state("running")
    time.sleep(0.5)
    end = stop_and_read(b)["board-stop"]
    assert end["stage"] == "main.py" and end["detail"] == "mpyd stopped"
    assert 500_000 <= end["uptime_usec"] < timeout(60) * 1e6
    assert end["exit_status"] == 0 and end["signal"] is None
    assert "ValueError: pump left on" in end["traceback"]
    shown = b.ctl("history", "show", str(end["id"])).stdout
    assert "in main.py, after" in shown and "pump left on" in shown and "status 0" in shown


def test_the_end_of_a_life_that_had_to_be_killed_is_told(boards):
    b = boards({"main.py": "while True:\n    try: x = 10 ** 10000000\n    except: pass\n"},
               config={"stop": {"interrupt-timeout": "200ms", "abort-timeout": "200ms"}})
    b.wait_state("running")
    end = stop_and_read(b)["board-stop"]
    assert end["stage"] == "main.py" and end["signal"] == signal.SIGKILL


def test_the_end_of_a_life_that_sleeps_is_told(boards):
    """Power that goes while it sleeps leaves nothing more to write: it is on disk before."""
    b = boards({"main.py": "import machine\nmachine.deepsleep(3600_000)\n"})
    b.wait_state("deep-sleep")
    deadline = time.monotonic() + timeout(20)
    while not (slept := b.events("deep-sleep")):
        assert time.monotonic() < deadline
    os.kill(b.pid, signal.SIGKILL)
    b.process.wait()
    assert b.events("deep-sleep") == slept and len(slept) == 1
    assert slept[0]["stage"] == "main.py" and slept[0]["signal"] == signal.SIGKILL
    b.expected_exit = -signal.SIGKILL
    assert b.events("board-stop") == []


def test_totals_count_what_a_storm_coalesces(boards):
    b = boards({"main.py": "import machine, os\n"
                           "n = int(open('/n').read()) + 1 if 'n' in os.listdir() else 1\n"
                           "open('/n', 'w').write(str(n))\n"
                           "try: raise ValueError('always')\n"
                           "finally: n < 150 and machine.reset()\n"},
               config={"reset": {"burst": 1000}})
    b.wait(lambda p: p["State"] == "idle" and p["HardResets"] == 150, timeout=60)
    b.hard_reset()
    b.wait_history(lambda rows: sum(1 + r["repeats"] for r in rows) == 151)
    totals = b.ctl_json("history", "--totals")["totals"]
    assert totals["resets"] == 151 and totals["hard-resets"] == 150
    assert len(b.ctl_json("history", "--since", "1d")) < 60


def test_record_is_durable_before_the_first_line(boards):
    b = boards({"boot.py": "while True: pass\n"})
    for n in range(1, 4):
        b.wait(lambda p: p["HardResets"] == n and p["Stage"] == "boot.py")
        rows = b.history()  # now, not soon
        assert len(rows) == n and not rows[-1]["late"]
        b.control.reset("hard")


def test_storm_is_limited_counted_and_visible(boards):
    b = boards({"main.py": "import machine\nmachine.reset()\n"},
               config={"reset": {"burst": "5", "rate": "2/s"}})
    p = b.wait(lambda p: p["ResetsDelayed"] >= 1, what="a reset that is held back")
    assert 6 <= p["HardResets"] <= 8
    time.sleep(2)
    later = b.control.properties()
    assert 2 <= later["HardResets"] - p["HardResets"] <= 6
    assert later["ResetsDelayed"] - p["ResetsDelayed"] >= 2
    b.wait(lambda p: p["State"] == "waiting" and "too fast" in p["Problem"])
    assert "too fast" in b.ctl("status").stdout
    # All of them were alike: the history counts them in few rows.
    total = b.get("HardResets")
    rows = b.wait_history(lambda rows: sum(1 + r["repeats"] for r in rows) >= total)
    assert len(rows) <= total
    # Somebody can still come in between.
    repl = b.open_repl()
    (b.flash / "main.py").unlink()
    b.wait_state("idle")
    repl.sync()


def test_a_sleep_that_is_held_back_is_told(boards):
    """One that is longer than that is not, and says nothing."""
    b = boards({"main.py": "import machine\nmachine.deepsleep(100)\n"},
               config={"reset": {"burst": "2", "rate": "1/2s"}})
    b.wait_log("The next boot is held back (resets come too fast) for")
    p = b.wait(lambda p: p["State"] == "deep-sleep" and p["Problem"] == "resets come too fast")
    assert p["ResetsDelayed"] >= 1
    assert "too fast" in b.ctl("status").stdout
    b.put({"main.py": "import machine\nmachine.deepsleep(3000)\n"})
    b.wait(lambda p: p["State"] == "deep-sleep" and p["Problem"] == "", what="a sleep as it was asked for")


def test_storm_of_soft_resets_is_limited_too(boards):
    b = boards({"boot.py": "raise SystemExit\n"}, config={"reset": {"burst": "5", "rate": "2/s"}})
    b.wait(lambda p: p["ResetsDelayed"] >= 2)
    assert b.get("SoftResets") <= 12


def test_tools_at_the_repl_are_not_held_back(boards):
    b = boards(config={"reset": {"burst": "3", "rate": "1/1min"}})
    repl = b.friendly()
    for _ in range(10):
        repl.soft_reset()
    for _ in range(10):
        repl.write(b"import machine; machine.reset()\r")
        repl.read_until(b"MicroPython v")
        repl.sync()
    assert b.get("ResetsDelayed") == 0


def test_operators_order_is_not_held_back(boards):
    b = boards({"main.py": "import machine\nmachine.reset()\n"},
               config={"reset": {"burst": "1", "rate": "1/1min"}})
    b.wait_state("waiting")
    (b.flash / "main.py").unlink()
    b.ctl("reset")
    b.wait_state("idle")


@pytest.mark.parametrize("wake", ["timer", "mpyctl", "nothing but mpyctl"])
def test_deep_sleep_wakes(boards, wake):
    sleep = {"timer": "300", "mpyctl": "60000", "nothing but mpyctl": ""}[wake]
    b = boards({"main.py": "import machine\n"
                           "if machine.reset_cause() == machine.PWRON_RESET:\n"
                           f"    machine.deepsleep({sleep})\n"})
    p = b.wait_state("deep-sleep")
    assert p["BoardPid"] == 0
    assert (p["NextBootBoottime"] != 0) == (wake != "nothing but mpyctl")
    if wake != "timer":
        assert "sleep" in b.ctl("status").stdout
        b.ctl("reset")
    p = b.wait_state("idle")
    assert p["ResetCause"] == ("DEEPSLEEP_RESET" if wake == "timer" else "HARD_RESET")


def test_interrupt_from_the_control_socket(boards):
    b = boards({"main.py": "print('begins')\nwhile True: pass\n"})
    b.wait_log("begins")
    b.ctl("interrupt")
    b.wait_stage("repl")
    assert b.get("SoftResets") == 0 and b.get("HardResets") == 1


@pytest.mark.parametrize("caller, body", [
    ("Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=f)", "while True: pass"),
    ("Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=f)", "time.sleep(99)"),
    ("Pin('GPIO4', Pin.IN, Pin.PULL_UP).irq(f, Pin.IRQ_FALLING, hard=True)", "while True: pass"),
    ("Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=lambda t: micropython.schedule(f, 0))", "time.sleep(99)"),
], ids=["timer-computes", "timer-sleeps", "hard-pin-computes", "scheduled-sleeps"])
def test_a_callback_that_does_not_end_at_the_prompt(boards, request, caller, body):
    """Ctrl-C is a key there, as on a board; the order ends the callback, and only that."""
    b = boards({"main.py": "import time, micropython\nfrom machine import Pin, Timer\n"
                           f"def f(_):\n    print('in it')\n    {body}\n{caller}\n"},
               config={"gpio": {"chip": "simulated"}})
    b.wait_stage("repl")
    if "hard" in caller:
        b.ctl("pin", "set", "GPIO4", "0")
    b.wait_log(": in it")
    if "computes" in request.node.callspec.id:
        stuck = b.ctl("exec", "print(1)", check=False)
        assert stuck.returncode == 124 and "mpyctl interrupt" in stuck.stderr
    b.ctl("interrupt")
    b.wait_log("KeyboardInterrupt")
    assert b.ctl("exec", "--resume", "print(1)").stdout == "1\n"
    for _ in range(20):
        b.ctl("interrupt")  # nothing runs, nothing is interrupted
    assert b.ctl("exec", "--resume", "print(2)").stdout == "2\n"
    assert b.get("SoftResets") == 0 and b.get("HardResets") == 1
    if "hard" in caller:  # it was no fault of the handler's
        b.ctl("pin", "set", "GPIO4", "1")
        b.ctl("pin", "set", "GPIO4", "0")
        b.wait_log(": in it", 2)


def test_a_soft_reset_interrupts_a_callback_at_the_prompt(boards):
    """As it does a program: what it must tidy up is done."""
    b = boards({"main.py": "from machine import Timer\ndef f(_):\n    print('in it')\n"
                           "    try:\n        while True: pass\n    finally:\n        print('tidied up')\n"
                           "Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=f)\n"})
    b.wait_stage("repl")
    b.wait_log(": in it")
    b.ctl("reset", "--soft")
    b.wait_log(": tidied up")
    b.wait(lambda p: p["SoftResets"] == 1)
    assert "aborting it" not in b.log


def test_an_interrupt_waits_for_interrupts_that_are_off(boards):
    b = boards({"main.py": "import machine, time\nfrom machine import Timer\ndef f(_):\n    m = machine.disable_irq()\n"
                           "    print('in it')\n    t = time.ticks_ms()\n"
                           "    while time.ticks_diff(time.ticks_ms(), t) < 1500: pass\n    print('whole')\n"
                           "    machine.enable_irq(m)\n    while True: pass\n"
                           "Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=f)\n"})
    b.wait_stage("repl")
    b.wait_log(": in it")
    b.ctl("interrupt")
    b.wait_log("KeyboardInterrupt")
    assert b.log.index(": whole") < b.log.index("KeyboardInterrupt")
    assert b.ctl("exec", "--resume", "print(1)").stdout == "1\n"
