# SPDX-License-Identifier: MIT
"""The reset button and the status LED at the board itself, on the simulated chip."""
import time

import pytest

BUTTON = {"gpio": {"chip": "simulated"}, "reset": {"burst": "100000", "rate": "unlimited", "button": "GPIO17",
                                                   "button-long": "1s"}}
LED = {"gpio": {"chip": "simulated"}, "led": {"line": "GPIO27"}}
FOREVER = "import time\nwhile True: time.sleep(1)\n"


def level(board, line):
    return int(board.ctl("pin", "get", line).stdout)


def press(board, seconds=0.1):
    """Down, and up again."""
    board.ctl("pin", "set", "GPIO17", "0")
    time.sleep(seconds)
    board.ctl("pin", "set", "GPIO17", "open")


def lit(board, seconds):
    """How the LED looked: a list of its levels, as often as one can look."""
    end, seen = time.monotonic() + seconds, []
    while time.monotonic() < end:
        seen.append(level(board, "GPIO27"))
    return seen


def blinks_in_a_row(board):
    """How many blinks stand between two pauses."""
    rises, last, end = [], None, time.monotonic() + 30
    while time.monotonic() < end:
        now = level(board, "GPIO27")
        if now == 1 and last == 0:
            rises.append(time.monotonic())
        last = now
        begins = [i for i in range(1, len(rises)) if rises[i] - rises[i - 1] > 3]
        if len(begins) >= 2:  # one whole row has been seen
            return begins[1] - begins[0]
    raise AssertionError(f"no two pauses: {rises}")


# ---- the button ----

@pytest.mark.parametrize("kind, cause", [("hard", "HARD_RESET"), ("soft", "SOFT_RESET")])
def test_a_short_press_resets(boards, kind, cause):
    b = boards({"main.py": FOREVER}, config={**BUTTON, "reset": {**BUTTON["reset"], "button-press": kind}})
    b.wait_state("running")
    pid = b.board_pid()
    press(b)
    p = b.wait(lambda p: p["State"] == "running" and p["BoardPid"] != pid, what="another board")
    assert (p["ResetCause"], p["SafeMode"]) == (cause, "")
    if kind == "hard":
        assert p["ResetReason"] == "RESET_PIN"
    assert "the reset button was pressed" in p["LastReset"]
    assert b.wait_history(lambda rows: any("the reset button was pressed" in r["detail"] for r in rows))


def test_one_press_is_one_reset_and_the_line_is_not_the_scripts(boards):
    b = boards({}, config=BUTTON)
    b.wait_state("idle")
    press(b, 0.3)
    b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "idle", what="the reset")
    time.sleep(1.5)  # past the window for a second press
    repl = b.friendly()
    repl.line("from machine import Pin")
    assert "OSError: [Errno 16] EBUSY: GPIO17 is used by mpyd" in repl.line("Pin(17)")
    assert b.get("HardResets") == 2


def test_held_it_means_safe_mode(boards):
    b = boards({"main.py": FOREVER}, config=BUTTON)
    b.wait_state("running")
    b.ctl("pin", "set", "GPIO17", "0")
    p = b.wait(lambda p: p["SafeMode"] != "" and p["State"] == "idle", what="safe mode, while it is still held")
    assert p["SafeMode"] == "USER" and "button" in p["SafeModeText"]
    resets = p["HardResets"]
    b.ctl("pin", "set", "GPIO17", "open")
    time.sleep(0.5)
    assert b.get("HardResets") == resets  # letting go is no press
    time.sleep(1)
    press(b)
    p = b.wait(lambda p: p["SafeMode"] == "" and p["State"] == "running", what="its program again")


def test_a_second_press_during_the_boot_means_safe_mode(boards):
    b = boards({"main.py": FOREVER}, config=BUTTON)
    b.wait_state("running")
    pid = b.board_pid()
    press(b)
    b.wait(lambda p: p["BoardPid"] not in (0, pid), what="the boot")
    press(b, 0.05)
    p = b.wait(lambda p: p["SafeMode"] != "" and p["State"] == "idle", what="safe mode")
    assert p["SafeMode"] == "USER"


def test_a_press_leads_out_of_a_hang_that_hears_nothing(boards):
    b = boards({"main.py": "import micropython\nmicropython.kbd_intr(-1)\nwhile True:\n    try:\n"
                           "        while True: pass\n    except BaseException: pass\n"}, config=BUTTON)
    b.wait_state("running")
    press(b)
    b.wait(lambda p: p["HardResets"] == 2, what="the reset")


@pytest.mark.parametrize("config, says", [
    ({"reset": {"button": "GPIO99"}}, "[reset] button = GPIO99: this machine has no such line"),
    ({"led": {"line": "GPIO99"}}, "[led] line = GPIO99: this machine has no such line"),
    ({"reset": {"button": "GPIO4"}, "led": {"line": "GPIO4"}}, "[led] line = GPIO4: the line cannot be had, it is used by "
                                                               "mpyd"),
])
def test_a_line_that_cannot_be_had_is_told_and_the_board_runs(boards, config, says):
    b = boards({"main.py": FOREVER}, config={"gpio": {"chip": "simulated"}, **config})
    b.wait_state("running")
    b.wait_log(says)


def test_a_missing_led_is_told_once(boards):
    b = boards({}, config={"gpio": {"chip": "simulated"}, "led": {"line": "GPIO99"}})
    for _ in range(3):
        b.hard_reset()
    assert b.log_count("[led] line = GPIO99: this machine has no such line") == 1


# ---- the LED ----

def test_off_while_the_program_runs_and_on_at_the_repl(boards):
    b = boards({"main.py": FOREVER}, config=LED)
    b.wait_state("running")
    assert set(lit(b, 0.5)) == {0}
    repl = b.open_repl()
    repl.prompt()
    b.wait(lambda _: level(b, "GPIO27") == 1, what="light")
    assert set(lit(b, 1)) == {1}


@pytest.mark.parametrize("main, config, n", [("pass\n", {}, 1), ("1 / 0\n", {"recovery": {"after-exception": "off"}}, 2)])
def test_how_the_program_ended(boards, main, config, n):
    b = boards({"main.py": main}, config={**LED, **config})
    b.wait_state("idle")
    assert blinks_in_a_row(b) == n


def test_safe_mode_blinks_three_times(boards):
    b = boards({"main.py": FOREVER}, config=LED)
    b.wait_state("running")
    b.ctl("safe-mode", "enter")
    b.wait(lambda p: p["SafeMode"] != "" and p["State"] == "idle", what="safe mode")
    assert blinks_in_a_row(b) == 3


def test_active_low(boards):
    b = boards({"main.py": FOREVER}, config={**LED, "led": {"line": "GPIO27", "active": "low"}})
    b.wait_state("running")
    assert set(lit(b, 0.5)) == {1}


def test_a_script_may_have_it_until_the_next_hard_reset(boards):
    b = boards({}, config=LED)
    b.wait_state("idle")
    repl = b.friendly()
    repl.line("from machine import Pin")
    assert repl.line("led = Pin(27, Pin.OUT, value=0); led.value()") == "0\r\n"
    assert set(lit(b, 1)) == {0}
    repl.line("led.on()")
    repl.write(b"\x04")
    repl.read_until(b">>> ")
    assert set(lit(b, 0.5)) == {1}  # still the script's
    repl.line("from machine import Pin")
    repl.line("Pin(27).off()")
    assert set(lit(b, 0.5)) == {0}
    repl.close()
    b.hard_reset()
    b.wait(lambda _: level(b, "GPIO27") == 1, what="light: it is ours again")


# ---- other LEDs ----

@pytest.fixture
def leds(tmp_path):
    """A tree in the place of /, with LEDs of the kernel's in it."""
    def put(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    put("proc/vmstat", "oom_kill 0\n")
    put("proc/sys/kernel/random/boot_id", "00000001-0000-4000-8000-000000000000\n")
    put("sys/class/leds/ACT/max_brightness", "255\n")
    put("sys/class/leds/ACT/brightness", "0\n")
    put("sys/class/leds/ACT/trigger", "none [mmc0] timer\n")
    put("sys/class/leds/rgb:status/max_brightness", "100\n")
    put("sys/class/leds/rgb:status/brightness", "0\n")
    put("sys/class/leds/rgb:status/multi_index", "green red blue\n")
    put("sys/class/leds/rgb:status/multi_intensity", "0 0 0\n")
    return tmp_path


def led_board(boards, leds, where, files=()):
    return boards(dict(files), config={"gpio": {"chip": "simulated"}, "led": {"line": where}},
                  arguments=["--host-root", leds])


def test_a_led_of_the_kernels(boards, leds):
    led = leds / "sys/class/leds/ACT"
    b = led_board(boards, leds, "/sys/class/leds/ACT", {"main.py": FOREVER})
    b.wait_state("running")
    assert (led / "trigger").read_text() == "none" and (led / "brightness").read_text() == "0"
    repl = b.open_repl()
    repl.prompt()
    b.wait(lambda _: (led / "brightness").read_text() == "255", what="light")
    repl.close()
    assert b.stop() == 0
    assert (led / "trigger").read_text() == "mmc0"  # the kernel's again


def test_a_led_with_colours(boards, leds):
    led = leds / "sys/class/leds/rgb:status"
    b = led_board(boards, leds, "/sys/class/leds/rgb:status", {"main.py": FOREVER})
    b.wait_state("running")
    b.ctl("safe-mode", "enter")
    b.wait(lambda _: (led / "multi_intensity").read_text() == "100 100 0", what="yellow")
    assert (led / "brightness").read_text() in ("0", "100")


def test_three_lines_are_red_green_and_blue(boards):
    b = boards({"main.py": "pass\n"}, config={"gpio": {"chip": "simulated"}, "led": {"line": "GPIO5 GPIO6 GPIO13"}})
    b.wait_state("idle")
    seen, end = set(), time.monotonic() + 30
    while (0, 1, 0) not in seen and time.monotonic() < end:  # its program has ended: green
        seen.add(tuple(level(b, line) for line in ("GPIO5", "GPIO6", "GPIO13")))
    assert (0, 1, 0) in seen and not any(red or blue for red, _, blue in seen), seen
    repl = b.friendly()
    repl.line("from machine import Pin")
    assert repl.line("Pin(6, Pin.OUT, value=0).value()") == "0\r\n"  # one is asked for: all are given


def test_a_led_that_is_not_there(boards, leds):
    b = led_board(boards, leds, "/sys/class/leds/nope", {})
    b.wait_state("idle")
    b.wait_log("[led] line = /sys/class/leds/nope: this machine has no such LED, going on without; ls /sys/class/leds/")
    assert len(b.get("Warnings")) == 1


@pytest.mark.parametrize("where", ["/sys/class/leds/../x", "/etc/passwd", "GPIO1 GPIO2", "a b c d"])
def test_what_is_no_led(boards, where):
    b = boards({}, config={"gpio": {"chip": "simulated"}, "led": {"line": where}})
    b.wait_state("idle")
    assert "not a LED; write a line such as GPIO27, three of them, /sys/class/leds/NAME, or none" in \
        b.get("ConfigWarnings")[0]
