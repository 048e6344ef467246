# SPDX-License-Identifier: MIT
"""machine.Pin and mpyctl pin: what programs do with pins, who may have them, and what becomes of them when something
goes wrong. Here on the simulated chip; tests/system/vm/test_pin_suite.py runs this file on the kernel's gpio-sim,
without what is marked simulated."""
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from mpydtest import timeout
from mpydtest.header import CHIP, LABEL, drive, lay_down, let_go, level, lines


LOST = "Edges at GPIO4 come faster than its handler is called: some are lost."


@pytest.fixture(autouse=True)
def world():
    lay_down()


@pytest.fixture
def board(boards):
    return boards({}, config=CHIP)


@pytest.fixture
def repl(board):
    r = board.friendly()
    r.line("from machine import Pin, Signal; import time")
    return r


def run(repl, code):
    return repl.line(f"exec({code!r})")


def error(repl, code):
    """The last line of the traceback."""
    return repl.line(code).strip().splitlines()[-1]


# ---- what a pin is ----

def test_one_object_for_a_line(repl):
    assert repl.line("Pin(17) is Pin('GPIO17') is Pin.board.GPIO17 is Pin.cpu.GPIO17 is Pin(Pin(17))") == "True\r\n"
    assert repl.line("Pin(17)") == "Pin(GPIO17, mode=IN)\r\n"
    assert repl.line("Pin('GP17') is Pin(17), Pin.board.GP4 is Pin(4)") == "(True, True)\r\n"  # a Pico's names
    for wrong in ("GP99", "GP", "GP1x", "GPX"):
        assert error(repl, f"Pin('{wrong}')") == f"ValueError: Pin({wrong}) doesn't exist"


def test_the_board_lists_its_lines_and_requests_none(board, repl):
    """TAB and hasattr() try many words; a line is taken when its pin is used, not before."""
    names = repl.line("dir(Pin.board) == dir(Pin.cpu), len([n for n in dir(Pin.board) if n.startswith('GPIO')])")
    assert names == "(True, 28)\r\n"
    repl.write(b"Pin.board.GPIO1\t")
    told = repl.read_until(b">>> Pin.board.GPIO1")
    assert all(f"GPIO{n}".encode() in told for n in range(10, 20))
    repl.write(b"\x03")
    repl.read_until(b">>> ")
    assert repl.line("hasattr(Pin.board, 'GPIO99'), getattr(Pin.board, '4', None), Pin.board.GP7") == (
        "(False, None, Pin(GPIO7))\r\n")
    assert not any(line["consumer"] == "mpyd" for line in lines(board).values())
    # Each way to use one.
    for n, use in enumerate((".value()", "()", ".on()", ".toggle()", ".mode()", ".pull()", ".init(Pin.IN)",
                             ".irq(print, Pin.IRQ_FALLING)", ".low()"), 10):
        repl.line(f"Pin.board.GPIO{n}{use}")
        assert lines(board)[f"GPIO{n}"]["consumer"] == "mpyd", use
    repl.line("Signal(Pin.board.GPIO20, invert=True).value()")
    repl.line("import machine; machine.time_pulse_us(Pin.board.GPIO21, 1, 10); Pin(Pin.board.GPIO22)")
    assert [n for n in range(28) if lines(board)[f"GPIO{n}"]["consumer"] == "mpyd"] == [*range(10, 19), 20, 21, 22]
    assert repl.line("Pin.board.GPIO22, Pin.board.GPIO22 is Pin(22)") == "(Pin(GPIO22, mode=IN), True)\r\n"


def test_names_of_lines_in_threads(boards):
    """All begin with one: who comes second waits for the answer to who came first."""
    b = boards({"main.py": """
import time, _thread
from machine import Pin
said = []
def f(n):
    while not go:
        time.sleep_ms(1)
    try:
        said.append(getattr(Pin.board, "GPIO%d" % n).value())
    except Exception as e:
        said.append(e)
go = False
for n in range(10, 20):
    _thread.start_new_thread(f, (n,))
go = True
while len(said) < 10:
    time.sleep_ms(1)
print("said", set(said))
"""}, config=CHIP)
    b.wait_log(": said {0}")


def test_a_name_that_is_known_is_not_asked_for_again(board, repl):
    """Not in a handler with hard=True either, which may not allocate."""
    repl.line("p = Pin(4, Pin.IN, Pin.PULL_UP); q = Pin.board.GP5; q.init(Pin.OUT)")
    repl.line("p.irq(lambda p: Pin.board.GP5.on(), Pin.IRQ_FALLING, hard=True)")
    repl.line("time.sleep(1.2)")
    drive(board, "GPIO4", "0")
    run(repl, "while not q.value(): time.sleep_ms(5)")
    assert repl.line("q.value()") == "1\r\n"


def test_a_pin_of_a_class_of_ones_own(board, repl):
    run(repl, "class Own(Pin):\n    def __init__(self, *args, **kwargs):\n"
              "        try: Signal(self).value()\n"
              "        except TypeError as e: self.early = e\n"
              "        super().__init__(*args, **kwargs)\n"
              "    def twice(self):\n        return self.value() * 2")
    repl.line("p = Own(6, Pin.OUT, value=1); s = Signal(p, invert=True)")
    assert repl.line("p.twice(), s.value(), p(), p.early") == "(2, 0, 1, TypeError('not a Pin',))\r\n"
    repl.line("s.on()")
    assert repl.line("p.value()") == "0\r\n"


def test_the_board_lists_what_scripts_may_have(boards):
    b = boards({}, config={**CHIP, "pins": {"allow": "GPIO1? GPIO4", "reserve": "GPIO17"}})
    repl = b.friendly()
    repl.line("from machine import Pin")
    want = ["GPIO4", *(f"GPIO{n}" for n in range(10, 20) if n != 17)]
    assert sorted(eval(repl.line("[n for n in dir(Pin.board) if n[0] == 'G']"))) == sorted(want)


def test_levels(board, repl):
    repl.line("p = Pin(17, Pin.OUT)")
    assert repl.line("p.value(), p()") == "(0, 0)\r\n"
    for code, want in (("p.on()", 1), ("p.off()", 0), ("p.high()", 1), ("p.low()", 0), ("p.toggle()", 1),
                       ("p.toggle()", 0), ("p(1)", 1), ("p.value(0)", 0), ("p.init(Pin.OUT, value=1)", 1),
                       ("p.init(Pin.OUT)", 1), ("p.value([])", 0)):
        repl.line(code)
        assert level(board, "GPIO17") == want, code
    # What is written to an input is driven when it becomes an output.
    repl.line("p.init(Pin.IN); p.value(1)")
    assert repl.line("p.value()") == "0\r\n"
    repl.line("p.mode(Pin.OUT)")
    assert level(board, "GPIO17") == 1


def test_pulls_and_modes(board, repl):
    repl.line("p = Pin(4, Pin.IN, Pin.PULL_UP)")
    assert repl.line("p.value(), p.mode() == Pin.IN, p.pull() == Pin.PULL_UP") == "(1, True, True)\r\n"
    repl.line("p.pull(Pin.PULL_DOWN)")
    assert repl.line("p.value()") == "0\r\n"
    assert lines(board)["GPIO4"]["pull"] == "down"
    repl.line("p.pull(None)")
    assert repl.line("p.pull()") == ""  # None
    drive(board, "GPIO4", "1")
    assert repl.line("p.value()") == "1\r\n"


def test_open_drain(board, repl):
    repl.line("p = Pin(4, Pin.OPEN_DRAIN, Pin.PULL_UP)")
    assert repl.line("p.value()") == "1\r\n"  # let go, and pulled
    drive(board, "GPIO4", "0")
    assert repl.line("p.value()") == "0\r\n"  # somebody else pulls it low
    drive(board, "GPIO4", "open")
    repl.line("p.off()")
    assert level(board, "GPIO4") == 0
    repl.line("p.on()")
    let_go("GPIO4")
    assert level(board, "GPIO4") == 1


def test_open_drain_that_was_let_go_stays_so_over_a_soft_reset(board, repl):
    """Also when it is said again while somebody else pulls it low."""
    repl.line("Pin(4, Pin.OPEN_DRAIN, Pin.PULL_UP)")
    drive(board, "GPIO4", "0")
    repl.write(b"\x04")
    repl.read_until(b">>> ")
    repl.line("from machine import Pin")
    assert repl.line("Pin(4, Pin.OPEN_DRAIN).value()") == "0\r\n"
    drive(board, "GPIO4", "open")
    assert level(board, "GPIO4") == 1


def test_signal(board, repl):
    repl.line("s = Signal(Pin(17, Pin.OUT), invert=True)")
    repl.line("s.on()")
    assert level(board, "GPIO17") == 0
    repl.line("s = Signal(22, Pin.OUT, value=1, invert=True)")
    assert (level(board, "GPIO22"), repl.line("s.value()")) == (0, "1\r\n")


def test_software_buses(repl):
    repl.line("from machine import SoftI2C, SoftSPI, time_pulse_us")
    assert repl.line("SoftI2C(scl=Pin(3), sda=Pin(2), freq=100000)") == "SoftI2C(scl=GPIO3, sda=GPIO2, freq=100000)\r\n"
    assert repl.line("SoftI2C(scl=Pin(5), sda=Pin(4), timeout=1000).scan()") == "[]\r\n"  # as on a bus with its resistors
    repl.line("spi = SoftSPI(baudrate=100000, sck=Pin(11), mosi=Pin(10), miso=Pin(10))")
    repl.line("Pin(9, Pin.IN, Pin.PULL_UP); spi = SoftSPI(baudrate=100000, sck=Pin(11), mosi=Pin(10), miso=Pin(9))")
    repl.line("Pin(9, Pin.IN, Pin.PULL_UP)")
    assert repl.line("spi.read(2)") == "b'\\xff\\xff'\r\n"
    assert repl.line("time_pulse_us(Pin(9), 0, 1000)") == "-2\r\n"
    # Numbers and names do as well, as on a Pico.
    assert repl.line("SoftI2C(scl=3, sda='GP2')") == "SoftI2C(scl=GPIO3, sda=GPIO2, freq=500000)\r\n"
    repl.line("spi = SoftSPI(sck=11, mosi='GPIO10', miso=9); Pin(9, Pin.IN, Pin.PULL_UP)")
    assert repl.line("spi.read(1)") == "b'\\xff'\r\n"
    assert repl.line("time_pulse_us(9, 0, 1000)") == "-2\r\n"
    assert error(repl, "time_pulse_us(99, 0, 1000)") == "ValueError: Pin(GPIO99) doesn't exist"
    assert error(repl, "SoftI2C(scl=1.5, sda=2)").startswith("TypeError: ")


# ---- edges ----

def test_edges_come_one_by_one(board, repl):
    repl.line("seen = []")
    repl.line("i = Pin(4, Pin.IN, Pin.PULL_UP).irq(lambda p: seen.append((p is Pin(4), p.irq().flags())))")
    assert repl.line("i.trigger() == Pin.IRQ_RISING | Pin.IRQ_FALLING") == "True\r\n"
    for _ in range(10):
        drive(board, "GPIO4", "0")
        drive(board, "GPIO4", "1")
    want = repr([(True, 2), (True, 1)] * 10)
    board.wait(lambda _: repl.line("seen").replace("\r\n", "") == want, what=want)
    repl.line("Pin(4).irq(None, priority=3)")
    drive(board, "GPIO4", "0")
    repl.line("time.sleep_ms(200)")
    assert repl.line("len(seen)") == "20\r\n"


def test_no_trigger_switches_edges_off(board, repl):
    """What programs do in the handler itself, to have peace from a bouncing contact."""
    repl.line("seen = []; p = Pin(4, Pin.IN, Pin.PULL_UP)")
    repl.line("exec('def once(p):\\n  seen.append(p.irq().flags())\\n  p.irq(trigger=0)')")
    for off in "p.irq(None, 0)", "p.irq(handler=None, trigger=0)", "p.irq(print, 0)", "Pin(5, Pin.OUT).irq(trigger=0)":
        assert repl.line(f"({off}).trigger()") == "0\r\n"
    repl.line("_ = p.irq(once)")
    drive(board, "GPIO4", "0")
    board.wait(lambda _: repl.line("seen") == "[2]\r\n", what="an edge")
    drive(board, "GPIO4", "1")
    repl.line("time.sleep_ms(200)")
    assert repl.line("seen, p.irq().trigger()") == "([2], 0)\r\n"
    repl.line("_ = p.irq(once, Pin.IRQ_FALLING)")
    drive(board, "GPIO4", "0")
    board.wait(lambda _: repl.line("seen") == "[2, 2]\r\n", what="an edge")


def test_an_edge_has_its_own_time(board, repl):
    """Also when its handler is called much later."""
    repl.line("seen = []; p = Pin(4, Pin.IN, Pin.PULL_UP); from machine import disable_irq, enable_irq")
    assert repl.line("p.irq_ticks_us()") == "0\r\n"
    repl.line("_ = p.irq(lambda p: seen.append((p.irq_ticks_us(), time.ticks_us())))")
    repl.write(b"s = disable_irq(); t = time.ticks_us(); time.sleep(2); u = time.ticks_us(); time.sleep(1); enable_irq(s)\r")
    time.sleep(0.5)
    drive(board, "GPIO4", "0")
    time.sleep(0.3)
    drive(board, "GPIO4", "1")
    repl.read_until(b">>> ")
    board.wait(lambda _: repl.line("len(seen)") == "2\r\n", what="both edges")
    assert repl.line("all(time.ticks_diff(a, t) > 0 and time.ticks_diff(u, a) > 0 for a, b in seen)") == "True\r\n"
    assert repl.line("time.ticks_diff(seen[1][0], seen[0][0]) >= 300000") == "True\r\n"
    assert repl.line("all(time.ticks_diff(b, a) > 1000000 for a, b in seen)") == "True\r\n"


def test_an_edge_of_its_own_making(repl):
    """It is there before the answer to what made it."""
    repl.line("seen = []")
    repl.line("p = Pin(4, Pin.IN, Pin.PULL_DOWN)")
    repl.line("_ = p.irq(lambda p: seen.append(p.irq().flags()), Pin.IRQ_RISING)")
    repl.line("p.init(pull=Pin.PULL_UP); time.sleep_ms(200)")
    assert repl.line("seen") == "[1]\r\n"


def test_an_edge_ends_a_sleep_and_a_hard_handler_may_not_allocate(board, repl):
    repl.line("import machine")
    repl.line("p = Pin(4, Pin.IN, Pin.PULL_UP)")
    repl.line("n = bytearray(1)")
    run(repl, "def hard(p):\n    n[0] += 1\n")
    repl.line("_ = p.irq(hard, Pin.IRQ_FALLING, hard=True)")
    repl.write(b"machine.lightsleep(); print('woken', n[0])\r")
    repl.read_until(b"\r\n")
    drive(board, "GPIO4", "0")
    repl.read_until(b"woken 1")
    repl.read_until(b">>> ")
    drive(board, "GPIO4", "1")
    repl.line("_ = p.irq(lambda p: [0] * 1000, Pin.IRQ_FALLING, hard=True)")
    drive(board, "GPIO4", "0")
    text = repl.read_until(b"MemoryError")
    assert b"Uncaught exception in Pin(GPIO4) interrupt handler" in text


def test_an_exception_of_a_hard_handler_says_what_it_is(board, repl):
    """The emergency buffer is there from the start; a program that asks for one, as on a board, gets its own."""
    repl.line("p = Pin(4, Pin.IN, Pin.PULL_UP); seen = []")
    for code, says in (("import micropython", b"list index out of range"),
                       ("micropython.alloc_emergency_exception_buf(0)", b""),
                       ("micropython.alloc_emergency_exception_buf(100)", b"list index out of range")):
        assert repl.line(code) == ""
        repl.line("_ = p.irq(lambda p: seen[9], Pin.IRQ_FALLING, hard=True)")
        drive(board, "GPIO4", "0")
        repl.read_until(b"IndexError:")
        assert repl.read_until(b"\n").strip() == says
        drive(board, "GPIO4", "1")


def test_a_handler_that_raises_goes_on(board, repl):
    repl.line("_ = Pin(4, Pin.IN, Pin.PULL_UP).irq(lambda p: 1 / 0, Pin.IRQ_FALLING)")
    for _ in range(2):
        drive(board, "GPIO4", "0")
        repl.read_until(b"ZeroDivisionError")
        drive(board, "GPIO4", "1")


@pytest.mark.simulated  # the kernel drops edges while a line is configured
def test_a_storm_of_edges_does_not_take_the_board(board, repl):
    repl.line("n = 0")
    run(repl, "def count(p):\n    global n\n    n += 1\n")
    repl.line("p = Pin(4, Pin.IN, Pin.PULL_UP); _ = p.irq(count)")
    run(repl, "for i in range(2000):\n    p.init(pull=Pin.PULL_DOWN if i % 2 else Pin.PULL_UP)\n")
    assert int(repl.line("n")) in (1999, 2000)
    assert repl.line("1 + 1") == "2\r\n"


@pytest.mark.simulated  # by the chip of the test, which keeps each edge
@pytest.mark.parametrize("hard", [False, True])
def test_edges_that_come_faster_than_their_handler_leave_the_program_time(board, repl, hard):
    """The program sleeps, is called by others, and hears Ctrl-C."""
    run(repl, "def slow(p):\n    end = time.ticks_add(time.ticks_us(), 250000)\n"
              "    while time.ticks_diff(end, time.ticks_us()) > 0: pass\n")
    repl.line(f"_ = Pin(4, Pin.IN, Pin.PULL_UP).irq(slow, hard={hard})")
    stop = threading.Event()

    def storm():
        n = 0
        while not stop.is_set():
            drive(board, "GPIO4", "01"[n % 2])
            n += 1

    source = threading.Thread(target=storm)
    source.start()
    try:
        board.wait_log(LOST)  # more wait than may
        repl.write(b"time.sleep_ms(100); print('sl' + 'ept')\r")
        repl.read_until(b"slept\r\n")
        repl.read_until(b">>> ")
        repl.write(b"exec(\"print('on' + 'ward')\\nwhile True: pass\")\r")
        repl.read_until(b"onward\r\n")
        repl.write(b"\x03")
        repl.read_until(b"KeyboardInterrupt")
        repl.read_until(b">>> ")
    finally:
        stop.set()
        source.join()


@pytest.mark.simulated  # by the chip of the test, which keeps each edge
def test_a_soft_reset_while_edges_come(boards):
    """They are left alone before the heap goes in which the pin and its handler lie."""
    b = boards({"main.py": """
import machine, time
from machine import Pin
memory = machine.RTC()
n = len(memory.memory())
Pin(4, Pin.IN, Pin.PULL_UP).irq(lambda p: [bytes(100) for i in range(20)])
if n < 30:
    memory.memory(b'x' * (n + 1))
    time.sleep_ms(30)
    machine.soft_reset()
print('soft resets:', n)
"""}, config={**CHIP, "reset": {"burst": "1000"}})
    stop = threading.Event()

    def storm():
        n = 0
        while not stop.is_set():
            drive(b, "GPIO4", "01"[n % 2])
            n += 1

    source = threading.Thread(target=storm)
    source.start()
    try:
        b.wait_log("soft resets: 30", timeout=60)
    finally:
        stop.set()
        source.join()
    assert b.get("Crashes") == 0 and b.get("SoftResets") == 30


def test_edges_that_are_lost_are_told(board, repl):
    repl.line("import machine, sys; n = 0")
    run(repl, "def count(p):\n    global n\n    n += 1\n")
    repl.line("p = Pin(4, Pin.IN, Pin.PULL_UP); _ = p.irq(count)")
    repl.write(b"exec(\"s = machine.disable_irq(); print('o' + 'ff'); _ = sys.stdin.read(1); machine.enable_irq(s)\")\r")
    repl.read_until(b"off\r\n")
    for i in range(200):  # from outside: what the board does to a line the kernel does not always see as an edge
        drive(board, "GPIO4", "0" if i % 2 == 0 else "1")
    repl.write(b"x")
    repl.read_until(b">>> ")
    board.wait_log(LOST)
    assert 64 <= int(repl.line("n")) <= 64 + 16  # those that the pin keeps, and what the chip may keep of the last ones


def test_edges_that_the_kernel_loses_are_told(board, repl):
    """It keeps sixteen that nobody reads: of a board that does not get the processor."""
    repl.line("n = 0")
    run(repl, "def count(p):\n    global n\n    n += 1\n")
    repl.line("p = Pin(4, Pin.IN, Pin.PULL_UP); _ = p.irq(count)")
    drive(board, "GPIO4", "0")
    deadline = time.monotonic() + timeout(20)
    while repl.line("n") != "1\r\n":
        assert time.monotonic() < deadline
    assert LOST not in board.log
    pid = board.board_pid()
    os.kill(pid, signal.SIGSTOP)
    for i in range(60):  # fewer than a pin keeps
        drive(board, "GPIO4", "1" if i % 2 == 0 else "0")
    os.kill(pid, signal.SIGCONT)
    drive(board, "GPIO4", "1")
    board.wait_log(LOST)
    assert int(repl.line("n")) < 62


# ---- errors ----

@pytest.mark.parametrize("code, says", [
    ("Pin(99)", "ValueError: Pin(GPIO99) doesn't exist"),
    ("Pin('nothing')", "ValueError: Pin(nothing) doesn't exist"),
    ("Pin(-1)", "ValueError: Pin(-1) doesn't exist"),
    ("Pin('')", "ValueError: not the name of a pin"),
    ("Pin('x' * 64)", "ValueError: not the name of a pin"),
    ("Pin(4, 7)", "ValueError: mode is Pin.IN, Pin.OUT or Pin.OPEN_DRAIN"),
    ("Pin(4, Pin.IN, 7)", "ValueError: pull is None, Pin.PULL_UP or Pin.PULL_DOWN"),
    ("Pin(4, Pin.OUT).irq(print)", "ValueError: an output has no interrupt"),
    ("Pin(5).irq(7)", "TypeError: handler must be callable"),
    ("Pin(5).irq(print, 4)", "ValueError: trigger is Pin.IRQ_RISING, Pin.IRQ_FALLING, both or 0"),
    ("Pin(5).irq(print, debounce=-1)", "ValueError: debounce is 0 to 10000000 us"),
    ("Pin.board.NOTHING", "AttributeError: 'board' object has no attribute 'NOTHING'"),
    ("Pin()", "TypeError: function missing 1 required positional arguments"),
])
def test_errors(repl, code, says):
    assert error(repl, code) == says


def test_a_line_under_two_names_is_busy(repl):
    repl.line(f"Pin('{LABEL}:17')")
    assert error(repl, "Pin(17)") == "OSError: [Errno 16] EBUSY: GPIO17 is used by mpyd"


def test_configuration_keeps_lines(boards):
    b = boards({}, config={**CHIP, "pins": {"allow": "GPIO1? GPIO4", "reserve": "GPIO17"}})
    repl = b.friendly()
    repl.line("from machine import Pin")
    for n in (17, 5):
        said = error(repl, f"Pin({n})")
        assert said == f"OSError: [Errno 1] EPERM: [pins] of mpyd.conf keeps GPIO{n} from scripts"
    assert repl.line("Pin(18), Pin(4)") == "(Pin(GPIO18, mode=IN), Pin(GPIO4, mode=IN))\r\n"


def test_no_chip(boards):
    b = boards({}, config={"gpio": {"chip": "off"}})
    repl = b.friendly()
    repl.line("from machine import Pin")
    assert error(repl, "Pin(4)") == "ValueError: Pin(GPIO4) doesn't exist"
    assert b.ctl("pin").stdout == "This machine has no GPIO lines.\n"


# ---- safe state ----

SAFE = {**CHIP, "pins": {"safe-state": "GPIO17=0 GPIO27=1"}}


def test_safe_levels_from_the_start_on(boards):
    b = boards({}, config=SAFE)
    b.wait_state("idle")
    now = lines(b)
    assert [(now[n]["direction"], now[n]["used"], level(b, n)) for n in ("GPIO17", "GPIO27", "GPIO4")] == \
        [("output", True, 0), ("output", True, 1), ("input", False, 0)]
    repl = b.friendly()
    repl.line("from machine import Pin")
    assert repl.line("Pin(27).value(), Pin(27)") == "(1, Pin(GPIO27, mode=OUT))\r\n"
    repl.line("Pin(17, Pin.OUT, value=1); Pin(27).off(); Pin(4, Pin.OUT, value=1)")
    assert (level(b, "GPIO17"), level(b, "GPIO27"), level(b, "GPIO4")) == (1, 0, 1)
    b.hard_reset()
    now = lines(b)
    assert [(now[n]["direction"], now[n]["level"]) for n in ("GPIO17", "GPIO27")] == [("output", 0), ("output", 1)]
    assert (now["GPIO4"]["direction"], now["GPIO4"]["used"]) == ("input", False)


# In its first life only, which RTC memory tells; the ones that follow leave the pins alone.
ONCE = """
from machine import Pin, RTC
if RTC().memory() == b'':
    RTC().memory(b'been here')
    Pin(17, Pin.OUT, value=1)
    Pin(4, Pin.OUT, value=1)
    import machine
    input()
    %s
"""


@pytest.mark.parametrize("end", ["killed", "while True: pass", "machine.deepsleep(600000)", "machine.reset()"])
def test_whatever_ends_a_life_makes_pins_safe(boards, end):
    if end == "while True: pass":
        end = "machine.WDT(timeout=50)\n    while True: pass"
    b = boards({"main.py": ONCE % end}, config=SAFE)
    b.wait(lambda p: p["State"] == "running" and lines(b)["GPIO4"]["level"] == 1, what="pins of main.py")
    assert level(b, "GPIO17") == 1
    pid = b.board_pid()
    if end == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        b.open_repl().write(b"\r")
    b.wait(lambda p: p["State"] in ("idle", "deep-sleep") and p["BoardPid"] != pid, what="what follows")
    now = lines(b)
    assert (now["GPIO17"]["direction"], now["GPIO17"]["level"]) == ("output", 0)
    assert (now["GPIO4"]["direction"], now["GPIO4"]["used"]) == ("input", False)


@pytest.mark.simulated  # a chip that ends with its daemon
@pytest.mark.parametrize("left", ["GPIO17\nGPIO99\n", "", "x" * 70000, "\n\n\0\n" + "y" * 5000 + "\nGPIO4"])
def test_what_a_crashed_daemon_left_behind(boards, left):
    """Whatever stands in that file. (That lines are made safe, tests/system/vm/test_gpio.py shows: a simulated
    chip ends with its daemon.)"""
    b = boards({"main.py": "from machine import Pin\nPin(17, Pin.OUT, value=1)\n"}, config=CHIP)
    b.wait(lambda p: p["State"] == "idle" and level(b, "GPIO17") == 1, what="the pin")
    mark = b.run_dir / "pins"
    assert mark.read_text() == "GPIO17\n"
    b.stop(signal.SIGKILL)
    assert mark.read_text() == "GPIO17\n"
    mark.write_text(left)
    (b.flash / "main.py").unlink()
    b.start()
    b.wait_state("idle")
    assert lines(b)["GPIO17"]["used"] is False
    assert not mark.exists() or left == "x" * 70000  # too large to be ours: not read


def test_a_mistake_in_safe_state_is_told(boards):
    b = boards({}, config={**CHIP, "pins": {"safe-state": "GPIO17=2"}})
    assert any("[pins] safe-state = GPIO17=2: not a state of lines; write input, or lines and their levels" in w
               for w in b.get("ConfigWarnings"))
    c = boards({}, config={**CHIP, "pins": {"safe-state": "GPIO99=1"}})
    c.wait_log("[pins] safe-state: failed to take line GPIO99")


# ---- mpyctl pin ----

def test_list(board, repl):
    repl.line("Pin(17, Pin.OUT, value=1); Pin(4, Pin.IN, Pin.PULL_UP)")
    text = board.ctl("pin").stdout.splitlines()
    assert text[0].split() == ["LINE", "LEVEL", "DIRECTION", "PULL", "USED", "BY", "CHIP"]
    assert len(text) == 29
    row = {line.split()[0]: line.split()[1:] for line in text[1:]}
    assert row["GPIO17"] == ["1", "output", "mpyd", f"{LABEL}:17"]
    assert row["GPIO4"] == ["1", "input", "up", "mpyd", f"{LABEL}:4"]
    assert row["GPIO5"][-2:] == ["input", f"{LABEL}:5"]


@pytest.mark.simulated  # which has all lines
@pytest.mark.parametrize("arguments, code, says", [
    (["get", "GPIO99"], 9, "There is no line \"GPIO99\""),
    (["set", "GPIO99", "1"], 9, "There is no line \"GPIO99\""),
    (["set", "GPIO4", "2"], 64, "\"2\" is no level"),
    (["get"], 64, "Usage: mpyctl pin"),
    (["stare"], 64, "\"stare\" is not one of list, get, set, watch and pulse"),
    (["pulse", "GPIO99"], 9, "There is no line \"GPIO99\""),
    (["pulse"], 64, "Usage: mpyctl pin"),
    (["pulse", "GPIO5", "--time", "soon"], 64, "\"soon\" is no time"),
    (["pulse", "GPIO5", "--time", "2min"], 2, "a pulse lasts 1 ms to 60 s"),
    (["pulse", "GPIO5", "--time", "0"], 2, "a pulse lasts 1 ms to 60 s"),
    (["list", "--high"], 64, "--high and --time are for pulse"),
])
def test_mistakes(board, arguments, code, says):
    r = board.ctl("pin", *arguments, check=False)
    assert (r.returncode, says in r.stderr) == (code, True), r.stderr


def test_a_pulse(board, repl):
    """Low is an open drain's: against the world's pull-up. It holds the line meanwhile, and nothing after it."""
    drive(board, "GPIO5", "1")
    assert board.ctl("pin", "pulse", "GPIO5", "--time", "60s").stdout == "GPIO5 is held low for 1min.\n"
    row = lines(board)["GPIO5"]
    assert (row["direction"], row["consumer"]) == ("open-drain", "mpyd-pulse")
    assert (board.run_dir / "pins").read_text() == "GPIO5\n"  # for the run after a crash
    r = board.ctl("pin", "pulse", "GPIO5", check=False)
    assert r.returncode == 2 and "GPIO5 is used by mpyd-pulse" in r.stderr
    assert "GPIO5 is used by mpyd-pulse" in error(repl, "Pin(5)")
    board.ctl("reset")
    assert lines(board)["GPIO5"]["consumer"] == "mpyd-pulse"  # the board's resets are none of its business

    assert board.ctl("pin", "pulse", "GPIO6", "--high", "--time", "300ms").stdout == "GPIO6 is held high for 300ms.\n"
    row = lines(board)["GPIO6"]
    assert (row["direction"], row["level"]) == ("output", 1)
    board.wait(lambda p: not lines(board)["GPIO6"]["used"], what="its end")
    assert (lines(board)["GPIO6"]["direction"], level(board, "GPIO6")) == ("input", 0)
    assert (board.run_dir / "pins").read_text() == "GPIO5\n"
    board.wait_log("Line GPIO6 is held high for 300ms: asked for by mpyctl")


def test_pulses_are_bounded(board):
    for n in range(16):
        board.ctl("pin", "pulse", f"GPIO{n}", "--time", "60s")
    r = board.ctl("pin", "pulse", "GPIO16", check=False)
    assert r.returncode == 2 and "too many pulses at a time" in r.stderr
    board.stop()  # with none left standing; the sanitizers look on
    board.start()
    board.wait_state("idle")
    assert not any(entry["used"] for entry in lines(board).values())


def test_real_lines_are_not_driven(boards):
    b = boards({}, config={"gpio": {"chip": "kernel"}})
    r = b.ctl("pin", "set", "GPIO4", "1", check=False)
    assert r.returncode == 2 and "only simulated lines can be driven from outside" in r.stderr


@pytest.mark.simulated  # a line that nobody holds has a level
def test_watch_tells_each_change(boards):
    b = boards({"main.py": "from machine import Pin\np = Pin(17, Pin.OUT, value=0)\n"},
               config={"gpio": {"chip": "simulated"}})
    b.wait_state("idle")
    p = subprocess.Popen(b.ctl_command("--json", "pin", "watch", "GPIO17", "GPIO4"), stdout=subprocess.PIPE, text=True)
    try:
        seen = [json.loads(p.stdout.readline()) for _ in range(2)]  # as they are now
        assert {(x["name"], x["level"], x["direction"]) for x in seen} == {("GPIO17", 0, "output"), ("GPIO4", 0, "input")}
        repl = b.friendly()
        repl.line("p.on()")
        x = json.loads(p.stdout.readline())
        assert (x["name"], x["level"], x["consumer"]) == ("GPIO17", 1, "mpyd")
        drive(b, "GPIO4", "1")
        x = json.loads(p.stdout.readline())
        assert (x["name"], x["level"], x["used"]) == ("GPIO4", 1, False)
    finally:
        p.kill()
        p.wait()
    assert b.ctl("pin", "watch", "GPIO99", check=False).returncode == 9


def test_debounce(board):
    """What lasts shorter is not seen, neither as an edge nor as a level."""
    r = board.friendly()
    r.line("from machine import Pin; import time; seen = []")
    r.line("p = Pin(4, Pin.IN, Pin.PULL_UP)")
    r.line("i = p.irq(lambda p: seen.append(p.irq().flags()), debounce=2000000)")
    for level in "01010":  # bounces, and comes to rest low
        drive(board, "GPIO4", level)
    assert r.line("p.value(), seen") == "(1, [])\r\n"
    assert r.line("time.sleep(2.5); p.value(), seen") == "(0, [2])\r\n"
    drive(board, "GPIO4", "1")
    drive(board, "GPIO4", "0")  # too short to be anything
    assert r.line("time.sleep(2.5); p.value(), seen") == "(0, [2])\r\n"


# ---- sleep ----

SLEEPER = """import machine
from machine import Pin
if machine.reset_cause() == machine.DEEPSLEEP_RESET:
    print('woken', machine.wake_reason())
    while True: pass
Pin(4, Pin.IN, Pin.PULL_UP).irq(trigger=Pin.IRQ_FALLING, wake=machine.DEEPSLEEP)
machine.deepsleep(%s)
"""


@pytest.mark.parametrize("time_ms", ["", "600000"])
def test_a_pin_ends_a_deep_sleep(boards, time_ms):
    b = boards({"main.py": SLEEPER % time_ms}, config=CHIP)
    b.wait_state("deep-sleep")
    assert lines(b)["GPIO4"]["used"]  # it is watched
    drive(b, "GPIO4", "1")  # no falling edge
    assert b.get("State") == "deep-sleep"
    drive(b, "GPIO4", "0")
    p = b.wait_state("running")
    assert (p["ResetCause"], p["ResetReason"]) == ("DEEPSLEEP_RESET", "DEEP_SLEEP_ALARM")
    b.wait_log("woken 2")
    assert b.wait_history(lambda rows: rows and rows[-1]["detail"] == "wake by GPIO4")
    # A soft reset is no other wake: mpremote makes one before it asks.
    b.put({"main.py": "import machine\nprint('still', machine.reset_cause(), machine.wake_reason())\n"})
    b.control.reset("soft")
    b.wait_log("still 5 2")
    assert not lines(b)["GPIO4"]["used"]
    for level in "1010":
        drive(b, "GPIO4", level)  # of no meaning any more
    assert b.get("HardResets") == p["HardResets"]


def test_the_time_ends_it_all_the_same(boards):
    b = boards({"main.py": SLEEPER % 300}, config=CHIP)
    b.wait_state("running")
    b.wait_log("woken 4")


def test_an_edge_while_it_falls_asleep_is_not_lost(boards):
    """The program has seen to everything but the press that comes just now."""
    b = boards({"main.py": (SLEEPER % "").replace("machine.deepsleep()", "import time\nprint('ready')\n"
                                                                         "machine.disable_irq()\ntime.sleep(2)\n"
                                                                         "machine.deepsleep()")}, config=CHIP)
    b.wait_log("ready")
    drive(b, "GPIO4", "0")
    b.wait_state("running")
    b.wait_log("woken")


def test_a_pin_ends_a_light_sleep(board):
    r = board.friendly()
    r.line("import machine, time; from machine import Pin")
    r.line("p = Pin(4, Pin.IN, Pin.PULL_UP); i = p.irq(trigger=Pin.IRQ_FALLING, wake=machine.SLEEP)")
    r.write(b"t = time.ticks_ms(); machine.lightsleep(60000); time.ticks_diff(time.ticks_ms(), t) < 50000\r")
    time.sleep(0.5)
    drive(board, "GPIO4", "0")
    assert b"True" in r.read_until(b">>> ")
    assert r.line("machine.wake_reason() == machine.PIN_WAKE") == "True\r\n"
    r.line("machine.lightsleep(1)")
    assert r.line("machine.wake_reason() == machine.RTC_WAKE") == "True\r\n"
    # without wake= an edge does not cut it short, and its handler runs meanwhile
    r.line("seen = []; i = p.irq(seen.append, Pin.IRQ_FALLING)")
    r.write(b"t = time.ticks_ms(); machine.lightsleep(1500); time.ticks_diff(time.ticks_ms(), t) >= 1500, len(seen)\r")
    time.sleep(0.3)
    drive(board, "GPIO4", "1")
    drive(board, "GPIO4", "0")
    assert b"(True, 1)" in r.read_until(b">>> ")


@pytest.mark.parametrize("wake", ["8", "-1", "'x'"])
def test_what_is_no_sleep(board, wake):
    r = board.friendly()
    r.line("from machine import Pin")
    out = r.line(f"Pin(4).irq(wake={wake})")
    assert "ValueError: wake is machine.SLEEP, machine.DEEPSLEEP or both" in out or "TypeError" in out
