# SPDX-License-Identifier: MIT
"""Pins over resets (SPEC 7: S3, S5, S15, S16), here on the simulated chip; tests/system/vm/test_pin_suite.py runs
this file on the kernel's gpio-sim."""
import time

import pytest

from mpydtest.header import CHIP, drive, lay_down, level, lines
from mpydtest.items import item


@pytest.fixture(autouse=True)
def world():
    lay_down()


@item("S3", "pins are inputs")
def test_S03_a_hard_reset_makes_inputs_of_all_pins(boards):
    b = boards({}, config=CHIP)
    repl = b.friendly()
    repl.line("from machine import Pin, RTC, reset")
    repl.line("Pin(17, Pin.OUT, value=1); Pin(4, Pin.OPEN_DRAIN, value=0); RTC().memory(b'kept')")
    assert lines(b)["GPIO17"]["direction"] == "output" and level(b, "GPIO17") == 1
    b.hard_reset()
    for name in ("GPIO17", "GPIO4"):
        line = lines(b)[name]
        assert (line["direction"], line["used"]) == ("input", False)
    repl = b.friendly()
    assert repl.line("from machine import Pin, RTC; Pin(17)") == "Pin(GPIO17, mode=IN)\r\n"
    assert repl.line("RTC().memory()") == "b'kept'\r\n"


@item("S5")
def test_S05_the_reset_button_is_a_hard_reset(boards):
    b = boards({"boot.py": "open('/n', 'a').write('x')\n"}, config={**CHIP, "reset": {"button": "GPIO22"}})
    b.wait_state("idle")
    pid = b.board_pid()
    drive(b, "GPIO22", "0")
    time.sleep(0.1)
    drive(b, "GPIO22", "open")
    p = b.wait(lambda p: p["State"] == "idle" and p["BoardPid"] not in (0, pid), what="another board")
    assert (p["ResetCause"], p["ResetReason"]) == ("HARD_RESET", "RESET_PIN")
    assert b.read("n") == "xx"


@item("S15")
def test_S15_a_high_pin_stays_high_over_soft_resets(boards):
    b = boards({"main.py": "from machine import Pin\nprint('@', Pin(17), Pin(17).value())\n"}, config=CHIP)
    b.wait_state("idle")
    repl = b.friendly()
    repl.line("from machine import Pin")
    repl.line("led = Pin(17, Pin.OUT, value=1)")
    for _ in range(5):
        repl.write(b"\x04")
        assert b"@ Pin(GPIO17, mode=OUT) 1\r\n" in repl.read_until(b">>> ")
    # and saying so again does not drop it
    repl.line("from machine import Pin")
    assert repl.line("Pin(17, Pin.OUT).value()") == "1\r\n"


@item("S15")
def test_S15_it_stays_so_when_the_old_vm_had_to_be_killed(boards):
    deaf = ("import machine\nmachine.Pin(17, machine.Pin.OUT, value=1)\nmachine.disable_irq()\n"
            "print('deaf')\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass\n")
    b = boards({}, config={**CHIP, "stop": {"interrupt-timeout": "100ms", "abort-timeout": "100ms"}})
    repl = b.friendly()
    repl.write(b"exec(" + repr(deaf).encode() + b")\r")
    repl.read_until(b"deaf")
    pid = b.board_pid()
    b.ctl("reset", "--soft")
    b.wait(lambda p: p["State"] == "idle" and p["BoardPid"] not in (0, pid), what="another board")
    line = lines(b)["GPIO17"]
    assert (line["direction"], line["used"], line["level"]) == ("output", True, 1)


@item("S16")
def test_S16_no_handler_of_before_fires(boards):
    b = boards({}, config=CHIP)
    repl = b.friendly()
    repl.line("from machine import Pin")
    repl.line("button = Pin(4, Pin.IN, Pin.PULL_UP)")
    repl.line("_ = button.irq(lambda p: print('edge'), Pin.IRQ_FALLING)")
    drive(b, "GPIO4", "0")
    repl.read_until(b"edge")
    drive(b, "GPIO4", "open")
    repl.write(b"\x04")
    repl.read_until(b">>> ")
    repl.line("from machine import Pin")
    for _ in range(3):
        drive(b, "GPIO4", "0")
        drive(b, "GPIO4", "1")
    assert b"edge" not in repl.read_for(0.5)
    # Nor do edges of before reach a handler of now.
    repl.line("seen = []")
    repl.line("_ = Pin(4).irq(lambda p: seen.append(p.irq().flags()), Pin.IRQ_FALLING)")
    time.sleep(0.2)
    assert repl.line("seen") == "[]\r\n"
    assert repl.line("Pin(4)") == "Pin(GPIO4, mode=IN, pull=PULL_UP)\r\n"
    drive(b, "GPIO4", "0")
    drive(b, "GPIO4", "1")
    b.wait(lambda _: repl.line("seen") == "[2]\r\n", what="the new handler's edge")
