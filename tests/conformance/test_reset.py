# SPDX-License-Identifier: MIT
"""Hard and soft reset: what starts them, what they tell, what survives (SPEC 7 and 2)."""
import os
import pathlib
import re
import select
import signal
import time

import pytest

from mpydtest.items import item
from mpydtest.paths import timeout

CAUSE = "import machine; print('cause', machine.reset_cause())"
PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5
ONCE = """
import machine, os
try:
    os.stat('/done')
except OSError:
    open('/done', 'w').close()
    {0}
"""


def cause(repl):
    return int(repl.line(CAUSE).split()[1])


@item("S4")
def test_S04_reset_never_returns(boards):
    b = boards({"main.py": ONCE.format("""
    class Guard:
        def __enter__(self): return self
        def __exit__(self, *a): open('/exit', 'w').close()
    try:
        with Guard():
            machine.reset()
            open('/after', 'w').close()
    finally:
        open('/finally', 'w').close()
""")})
    b.wait(lambda p: p["State"] == "idle" and p["HardResets"] == 2)
    for name in ("exit", "after", "finally"):
        assert not (b.flash / name).exists(), name
    assert cause(b.friendly()) == HARD


@item("S5")
@pytest.mark.parametrize("by", ["mpyctl", "control socket"])
def test_S05_operators_reset_is_a_hard_reset(boards, by):
    b = boards({"boot.py": "open('/n', 'a').write('x')\n"})
    repl = b.friendly()
    repl.line("relic = 1")
    if by == "mpyctl":
        b.ctl("reset", "--hard")
    else:
        b.control.reset("hard")
        b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "idle")
    repl.sync()
    assert "NameError" in repl.line("relic")
    assert b.read("n") == "xx"
    assert cause(repl) == HARD
    assert b.get("ResetReason").endswith("RESET_PIN")


@item("S6")
def test_S06_wake_from_deepsleep_is_a_hard_boot(boards):
    b = boards({"boot.py": "open('/n', 'a').write('x')\n"})
    repl = b.friendly()
    repl.line("import machine; relic = 1")
    repl.line("n = machine.RTC().memory(b'kept')")
    before = time.monotonic()
    repl.write(b"machine.deepsleep(600)\r")
    b.wait_state("deep-sleep")
    assert b.board_pid() == 0
    b.wait_state("idle")
    assert time.monotonic() - before >= 0.6
    repl.sync()
    assert "NameError" in repl.line("relic")
    assert b.read("n") == "xx"
    assert repl.line("import machine; machine.RTC().memory()") == "b'kept'\r\n"
    assert cause(repl) == DEEPSLEEP
    assert b.get("ResetReason").endswith("DEEP_SLEEP_ALARM")


@item("S7")
@pytest.mark.parametrize("how", ["while True: pass", "n = 20000000; x = 7 ** n",
                                 "import micropython; micropython.kbd_intr(-1)\n    while True: pass"])
def test_S07_watchdog_resets_hard(boards, how):
    b = boards({"boot.py": "open('/n', 'a').write('x')\n",
                "main.py": "import machine\n"
                           "if machine.reset_cause() == machine.PWRON_RESET:\n"
                           "    n = machine.RTC().memory(b'kept')\n    relic = 1\n"
                           f"    w = machine.WDT(timeout=300)\n    {how}\n"})
    b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "idle")
    repl = b.friendly()
    assert "NameError" in repl.line("relic")
    assert repl.line("machine.RTC().memory()") == "b'kept'\r\n"
    assert cause(repl) == WDT
    assert b.read("n") == "xx"
    assert b.get("ResetReason") == "WATCHDOG"


@item("S14", "timers and the watchdog; PWM, UART, I2C, SPI and ADC wait for their modules")
def test_S14_timers_are_inactive_after_a_soft_reset(board):
    """Virtual ones and numbered ones, periodic and one that would have fired after the reset."""
    def fired():
        deadline = time.monotonic() + timeout(20)
        while not (board.flash / "fired").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    repl = board.friendly()
    repl.line("import machine; note = lambda t: open('/fired', 'a').write('x')")
    for arguments in ("-1, period=50", "0, period=50", "-1, mode=machine.Timer.ONE_SHOT, period=700"):
        repl.line(f"machine.Timer({arguments}, callback=note)")
    fired()
    repl.soft_reset()
    (board.flash / "fired").unlink()
    time.sleep(1)
    assert repl.line("'fired' in __import__('os').listdir()") == "False\r\n"
    # They can be used again.
    repl.line("import machine; t = machine.Timer(0, period=50, callback=lambda t: open('/fired', 'w').close())")
    fired()


@item("S14")
def test_S14_watchdog_runs_on_over_a_soft_reset(boards):
    b = boards()
    repl = b.friendly()
    repl.line("import machine; w = machine.WDT(timeout=3000)")
    for _ in range(3):
        time.sleep(1.2)
        repl.soft_reset()
        repl.line("import machine; machine.WDT(timeout=3000).feed()")
    assert b.get("HardResets") == 1 and b.get("WatchdogTimeout") == 3_000_000
    repl.soft_reset()
    b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "idle")
    repl.sync()
    assert cause(repl) == WDT


@item("S9")
def test_S09_reset_cause_tells_the_cause(boards):
    b = boards()
    repl = b.friendly()
    repl.line("import machine")
    names = "PWRON_RESET HARD_RESET WDT_RESET DEEPSLEEP_RESET SOFT_RESET".split()
    assert repl.line(f"[getattr(machine, n) for n in {names}]") == "[1, 2, 3, 4, 5]\r\n"

    def now(expected, reason):
        assert cause(repl) == expected
        assert cause(repl) == expected  # it is stable
        assert b.get("ResetReason") == reason

    now(PWRON, "POWER_ON")
    repl.soft_reset()
    now(SOFT, "POWER_ON")
    repl.write(b"import machine; machine.reset()\r")
    b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "idle")
    repl.sync()
    now(HARD, "SOFTWARE")
    b.hard_reset()
    repl.sync()
    now(HARD, "RESET_PIN")
    os.kill(b.board_pid(), signal.SIGKILL)
    b.wait(lambda p: p["HardResets"] == 4 and p["State"] == "idle")
    repl.sync()
    now(HARD, "UNKNOWN")
    repl.write(b"import machine; machine.WDT(timeout=50)\r")
    b.wait(lambda p: p["HardResets"] == 5 and p["State"] == "idle")
    repl.sync()
    now(WDT, "WATCHDOG")
    repl.soft_reset()
    now(SOFT, "WATCHDOG")
    repl.write(b"import machine; machine.deepsleep(50)\r")
    b.wait(lambda p: p["HardResets"] == 6 and p["State"] == "idle")
    repl.sync()
    now(DEEPSLEEP, "DEEP_SLEEP_ALARM")
    repl.soft_reset()
    now(SOFT, "DEEP_SLEEP_ALARM")
    b.restart()
    repl = b.friendly()
    now(HARD, "RESET_PIN")


@item("S10")
def test_S10_ctrl_d_on_an_empty_prompt(board):
    repl = board.friendly()
    repl.line("relic = 1")
    repl.write(b"\x04")
    text = repl.read_until(b"\n>>> ")
    assert b"\r\nMPY: soft reboot\r\nMicroPython v1.25.0" in text
    assert "NameError" in repl.line("relic")
    assert board.get("SoftResets") == 1


CASES = {
    "boot.py": {"boot.py": ONCE.format("machine.soft_reset()")},
    "main.py": {"main.py": ONCE.format("machine.soft_reset()")},
    "with an argument": {"main.py": ONCE.format("machine.soft_reset(3)")},
    "sys.exit": {"main.py": ONCE.format("import sys; sys.exit()")},
    "a function": {"main.py": "import helper\n",
                   "helper.py": "def f():\n    machine.soft_reset()\n" + ONCE.format("f()")},
    "a callback": {"main.py": ONCE.format(
        "import micropython, time; micropython.schedule(lambda _: machine.soft_reset(), 0); "
        "time.sleep(10)")},
}


@item("S11")
@pytest.mark.parametrize("place", CASES)
def test_S11_soft_reset_from(boards, place):
    b = boards(CASES[place])
    b.wait(lambda p: p["State"] == "idle" and p["SoftResets"] == 1, what="one soft reset")
    assert cause(b.friendly()) == SOFT
    assert b.get("HardResets") == 1


@item("S11")
def test_S11_soft_reset_from_the_repl_is_system_exit(board):
    repl = board.friendly()
    repl.line("import machine, sys")
    assert repl.line("machine.soft_reset is sys.exit") == "True\r\n"
    code = "exec('try: machine.soft_reset()\\nexcept SystemExit: print(\"caught\")')"
    assert repl.line(code) == "caught\r\n"
    assert board.get("SoftResets") == 0
    code = "exec('try: machine.soft_reset()\\nfinally: print(\"finally\")')\r"
    repl.write(code.encode())
    text = repl.read_until(b"MPY: soft reboot\r\n")
    assert b"\nfinally\r\n" in text
    repl.read_until(b"\n>>> ")
    repl.write(b"import machine; machine.soft_reset()\r")
    repl.read_until(b"MPY: soft reboot\r\n")
    repl.sync()
    assert board.get("SoftResets") == 2


@item("S13")
def test_S13_nothing_of_the_old_interpreter_is_left(boards):
    b = boards({"helper.py": "print('helper is loaded')\n"})
    repl = b.friendly()
    fresh = repl.line("import sys; sorted(sys.modules), sys.path, sys.ps1")
    assert repl.line("import helper") == "helper is loaded\r\n"
    assert repl.line("import helper") == ""
    repl.line("x = 1; o = object(); sys.path.append('/extra')")
    repl.write(b"sys.ps1 = '? '\r")
    repl.read_until(b"\n? ")
    repl.write(b"\x04")
    repl.read_until(b"MPY: soft reboot\r\n")
    repl.sync()
    for name in ("x", "o", "helper"):
        assert "NameError" in repl.line(name)
    assert repl.line("import sys; sorted(sys.modules), sys.path, sys.ps1") == fresh
    assert repl.line("import helper") == "helper is loaded\r\n"


@item("S19")
def test_S19_open_files_are_closed_with_their_content(board):
    repl = board.friendly()
    repl.line("f = open('/log.txt', 'w'); n = f.write('written ' * 1000)")
    repl.line("g = open('/other.txt', 'wb'); n = g.write(b'x' * 5)")
    repl.soft_reset()
    assert board.read("log.txt") == "written " * 1000
    assert repl.line("len(open('/log.txt').read())") == "8000\r\n"
    assert repl.line("f = open('/log.txt', 'a'); n = f.write('more'); f.close()") == ""
    assert board.read("log.txt").endswith("written more")
    assert board.read("other.txt") == "xxxxx"


@item("S22")
def test_S22_console_stays_open(boards):
    b = boards({"boot.py": "import time\ntime.sleep(0.2)\n"})
    b.wait_state("idle")
    repl = b.open_repl()
    repl.sync()
    device = os.readlink(b.repl_path())
    for kind in ("soft", "hard", "deepsleep", "crash", "soft"):
        if kind == "soft":
            repl.soft_reset()
        elif kind == "hard":
            b.hard_reset()
        elif kind == "deepsleep":
            n = b.get("HardResets")
            repl.write(b"import machine; machine.deepsleep(50)\r")
            b.wait(lambda p: p["HardResets"] > n and p["State"] == "idle")
        else:
            n = b.get("HardResets")
            os.kill(b.board_pid(), signal.SIGKILL)
            b.wait(lambda p: p["HardResets"] > n and p["State"] == "idle")
        poller = select.poll()
        poller.register(repl.fd, 0)
        assert poller.poll(0) == [], kind  # neither POLLHUP nor POLLERR
        assert os.readlink(b.repl_path()) == device
        repl.sync()


@item("S22")
@pytest.mark.parametrize("pause", [0, 0.02, 0.1], ids=["with it", "at the reset", "into boot.py"])
def test_S22_type_ahead_over_a_soft_reset(boards, pause):
    b = boards({"boot.py": "import time\ntime.sleep(0.2)\n"})
    repl = b.friendly()
    for _ in range(3):
        lines = b"".join(b"n%d = %d\r" % (i, i) for i in range(400))
        repl.write(b"\x04" + (b"" if pause else lines))
        if pause:
            time.sleep(pause)
            repl.write(lines)
        repl.write(b"print('last', sum(globals()['n%d' % i] for i in range(400)))\r")
        text = repl.read_until(b"\nlast 79800\r\n")
        assert text.count(b"MPY: soft reboot\r\n") == 1
        assert text.count(b">>> n") == 400  # each line was echoed once
        repl.sync()


@item("S22")
def test_S22_no_output_is_lost_after_the_reset_text(boards):
    b = boards({"boot.py": "for i in range(2000): print('line', i)\n"})
    repl = b.friendly()
    expected = "".join(f"line {i}\r\n" for i in range(2000))
    for _ in range(5):
        assert repl.soft_reset().startswith(expected + "MicroPython v")


def frequency_of_this_host():
    """What Linux says of the processor: its top frequency, or where it does not say, the present one."""
    try:
        return int(pathlib.Path(
            "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").read_text()) * 1000
    except FileNotFoundError:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    if found := re.search(r"^model name.* @ ([0-9.]+)GHz", text, flags=re.M):
        return round(float(found[1]) * 1000) * 1000000
    if found := re.search(r"^cpu MHz\s*: ([0-9.]+)", text, flags=re.M):
        return round(float(found[1])) * 1000000
    pytest.skip("Linux does not say what frequency this processor has")


@item("S25")
def test_S25_freq_is_the_same(board):
    repl = board.friendly()
    told = []
    for reset in (lambda: None, repl.soft_reset, repl.soft_reset, board.hard_reset):
        reset()
        repl.sync()
        told.append(int(repl.line("import machine; machine.freq()")))
        for wanted in ("100", "100, 100"):
            assert "ValueError: the frequency is the host's affair" in repl.line(f"machine.freq({wanted})")
    # Where only the present frequency is known, it moves by itself, but not by a quarter.
    host = frequency_of_this_host()
    assert all(abs(hz - host) < host / 4 for hz in told), (told, host)
    assert max(told) - min(told) < host / 4, told
    if pathlib.Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").exists():
        assert set(told) == {host}


@item("S26")
def test_S26_rtc_continues(board):
    repl = board.friendly()
    get = "import machine, time; d = machine.RTC().datetime(); " \
          "print(time.mktime((d[0], d[1], d[2], d[4], d[5], d[6], 0, 0)))"
    repl.line("import machine; machine.RTC().datetime((2031, 2, 3, 0, 4, 5, 6, 0))")
    assert repl.line("machine.RTC().datetime()[:3]") == "(2031, 2, 3)\r\n"
    for reset in (repl.soft_reset, board.hard_reset):
        start = time.monotonic()
        before = int(repl.line(get))
        reset()
        repl.sync()
        after = int(repl.line(get))
        passed = time.monotonic() - start
        assert -1 <= after - before - passed < 1


@item("S45")
def test_S45_documented_pattern_restarts_the_board(boards):
    pattern = ("import machine, sys\nimport my_app\n"
               "try:\n    my_app.main()\n"
               "except Exception as e:\n    print('Fatal error in main:')\n"
               "    sys.print_exception(e)\n"
               "machine.reset()\n")
    app = ("import machine, os\n"
           "def main():\n"
           "    with open('/lives', 'a') as f: f.write(str(machine.reset_cause()))\n"
           "    n = os.stat('/lives')[6]\n"
           "    if n == 1: return\n"
           "    if n == 2: raise ValueError('on purpose')\n"
           "    while True: pass\n")
    b = boards({"main.py": pattern, "my_app.py": app})
    b.wait(lambda p: p["HardResets"] == 3 and p["State"] == "running")
    b.wait_log("ValueError: on purpose")
    assert b.log_count("Fatal error in main:") == 1
    repl = b.open_repl()
    repl.prompt()
    assert b.read("lives") == "122"
    assert cause(repl) == HARD


@item("S46")
def test_S46_keyboard_interrupt_passes_except_exception(boards):
    b = boards({"main.py": "import machine\nprint('begins')\n"
                           "try:\n    while True: pass\nexcept Exception: pass\nmachine.reset()\n"})
    b.wait_log("begins")
    repl = b.open_repl()
    repl.write(b"\x03")
    text = repl.read_until(b"\n>>> ")
    assert b"KeyboardInterrupt: \r\n" in text
    assert b.get("HardResets") == 1


@item("S47")
@pytest.mark.parametrize("end", ["pass", "raise ValueError", "while True: pass"],
                         ids=["end", "exception", "Ctrl-C"])
def test_S47_reset_in_finally_always_resets(boards, end):
    b = boards({"main.py": f"import machine\nprint('begins')\ntry:\n    {end}\n"
                           "finally: machine.reset()\n"})
    for n in range(1, 4):
        b.wait_log("begins", count=n)
        if end.startswith("while"):
            b.open_repl().write(b"\x03")
        b.wait(lambda p: p["HardResets"] > n, what="a hard reset")
    assert b.get("SoftResets") == 0


@item("S52")
def test_S52_soft_reset_from_raw_repl_skips_main(boards):
    b = boards({"boot.py": "open('/order.txt', 'a').write('boot ')\n",
                "main.py": "open('/order.txt', 'a').write('main ')\n"})
    repl = b.friendly()
    repl.enter_raw()
    repl.soft_reset_raw()
    assert b.read("order.txt") == "boot main boot "
    repl.soft_reset_raw()  # it is still the raw one
    assert b.read("order.txt") == "boot main boot boot "
    repl.leave_raw()
    repl.soft_reset()
    assert b.read("order.txt") == "boot main boot boot boot main "
    repl.enter_raw()
    b.hard_reset()  # the mode does not survive this one
    b.wait_state("idle")
    assert b.read("order.txt").endswith("boot main ")
    repl.sync()
