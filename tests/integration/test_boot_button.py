# SPDX-License-Identifier: MIT
"""The safe-mode button, held while the board boots (SPEC 3), on the simulated chip: what letting go selects, what
a person sees of it, and that a button that is missing, off or stuck keeps no board from its program."""
import time

import pytest

FOREVER = "import time\nwhile True: time.sleep(1)\n"
BUTTON = {"gpio": {"chip": "simulated"}, "led": {"line": "GPIO27"},
          "safe-mode": {"strikes": "off", "button": "GPIO22", "hold": "500ms", "factory-hold": "2s"}}


def config(**safe_mode):
    return {**BUTTON, "safe-mode": {**BUTTON["safe-mode"], **safe_mode}}


@pytest.fixture
def board(boards, tmp_path):
    (tmp_path / "main.py").write_text("# as new\n")
    b = boards({"main.py": FOREVER}, config={**BUTTON, "board": {"defaults": str(tmp_path)}})
    b.wait_state("running")
    return b


def hold(board, line="GPIO22"):
    board.ctl("pin", "set", line, "0")


def let_go(board, line="GPIO22"):
    board.ctl("pin", "set", line, "open")


def reset_while_held(board):
    hold(board)
    resets = board.get("HardResets")
    board.ctl("reset", "--no-wait")
    return board.wait(lambda p: p["HardResets"] == resets + 1 and p["State"] == "waiting", what="the held board")


def level(board, line="GPIO27"):
    return int(board.ctl("pin", "get", line).stdout)


def flips(board, seconds):
    end, seen = time.monotonic() + seconds, []
    while time.monotonic() < end:
        seen.append(level(board))
    return sum(a != b for a, b in zip(seen, seen[1:]))


def test_free_it_is_a_normal_boot(board):
    board.hard_reset()
    board.wait_state("running")
    assert "button" not in board.log


def test_a_short_press_is_nothing(board):
    p = reset_while_held(board)
    assert (p["BoardPid"], p["Problem"]) == (0, "its safe-mode button is held")
    let_go(board)
    p = board.wait_state("running")
    assert (p["SafeMode"], p["Problem"], p["FactoryReset"]) == ("", "", "")


def test_held_it_is_safe_mode_until_the_next_hard_reset(board):
    reset_while_held(board)
    time.sleep(0.6)
    assert board.get("State") == "waiting"  # letting go selects
    let_go(board)
    p = board.wait_state("idle")
    assert (p["SafeMode"], p["SafeModeText"]) == ("USER", "safe mode: its button was held")
    assert "button" in board.events("safe-mode")[0]["detail"]
    repl = board.friendly()
    assert repl.line("1 + 1") == "2\r\n"
    repl.close()
    board.hard_reset()
    assert board.wait_state("running")["SafeMode"] == ""


def test_held_on_it_is_a_factory_reset(board):
    reset_while_held(board)
    time.sleep(2.2)
    assert board.read("main.py") == FOREVER
    let_go(board)
    p = board.wait_state("idle")
    assert p["FactoryReset"].startswith("done: what was on it is in ") and p["SafeMode"] == ""
    assert board.read("main.py") == "# as new\n"
    assert (board.state_dir / "before-factory-reset/1/main.py").read_text() == FOREVER
    assert "asked for by the safe-mode button" in board.events("factory-reset")[0]["detail"]


def test_the_led_counts_the_stages(boards):
    """One blink a second for safe mode, two for the factory reset."""
    b = boards({"main.py": FOREVER}, config=config(**{"factory-hold": "4s"}))
    b.wait_state("running")
    reset_while_held(b)
    assert level(b) == 0
    time.sleep(0.5)
    assert 1 <= flips(b, 2) <= 5
    time.sleep(1.5)
    assert any(flips(b, 2) >= 6 for _ in range(5))  # one that looks seldom misses some
    let_go(b)
    b.wait_state("idle")


def test_without_factory_reset(boards):
    b = boards({"main.py": FOREVER}, config=config(**{"factory-hold": "off"}))
    b.wait_state("running")
    reset_while_held(b)
    time.sleep(2.5)
    let_go(b)
    assert b.wait_state("idle")["SafeMode"] == "USER"
    assert b.read("main.py") == FOREVER


def test_locked(boards):
    """[safe-mode] button-enabled=no"""
    b = boards({"main.py": FOREVER}, config=config(**{"button-enabled": "no"}))
    b.wait_state("running")
    hold(b)
    b.hard_reset()
    assert b.wait_state("running")["SafeMode"] == ""
    assert "button" not in b.log


def test_active_high(boards):
    b = boards({"main.py": FOREVER}, config=config(**{"button-active": "high"}))
    b.wait_state("running")
    hold(b)
    b.hard_reset()  # low is free
    b.wait_state("running")
    b.ctl("pin", "set", "GPIO22", "1")
    b.ctl("reset", "--no-wait")
    b.wait(lambda p: p["State"] == "waiting", what="the held board")
    time.sleep(0.6)
    let_go(b)  # its pull-down
    assert b.wait_state("idle")["SafeMode"] == "USER"


def test_soft_resets_do_not_look(board):
    hold(board)
    board.ctl("reset", "--soft")
    assert board.wait_state("running")["SafeMode"] == ""


def test_another_reset_while_it_is_held(board):
    """Is recorded as such, and changes nothing for the finger."""
    reset_while_held(board)
    resets = len(board.history())
    board.ctl("reset", "--no-wait")
    board.ctl("reset", "--no-wait")
    board.wait_history(lambda rows: len(rows) >= resets + 2)
    assert board.get("State") == "waiting"
    time.sleep(0.6)
    let_go(board)
    assert board.wait_state("idle")["SafeMode"] == "USER"


def test_stopping_while_it_is_held(board):
    reset_while_held(board)
    assert board.stop() == 0
    board.start()
    board.wait_state("running")


@pytest.mark.parametrize("line, says", [
    ("GPIO99", "[safe-mode] button = GPIO99: this machine has no such line, going on without; mpyctl pin lists them"),
    ("GPIO27", "the line cannot be had, it is used by mpyd, going on without: Device or resource busy"),
])
def test_one_that_cannot_be_had_is_a_warning(boards, line, says):
    """It is "not held"."""
    b = boards({"main.py": FOREVER}, config=config(button=line))
    p = b.wait_state("running")
    assert len(p["Warnings"]) == 1 and says in p["Warnings"][0]
    assert b.log_count(says) == 1
    assert "Warning" in b.ctl("status").stdout
    b.hard_reset()
    assert b.log_count(says) == 1  # once


def test_stuck_it_keeps_one_boot_and_no_more(boards):
    b = boards({"main.py": FOREVER}, config=config(hold="100ms", **{"factory-hold": "off"}))
    b.wait_state("running")
    hold(b)
    b.ctl("reset", "--no-wait")
    p = b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "running", 60, "the boot all the same")
    assert p["SafeMode"] == "" and "stuck" in p["Warnings"][0]
    b.hard_reset()  # and waits no second time
    b.wait_state("running", 10)
    let_go(b)
    b.wait(lambda p: p["Warnings"] == [], what="the warning's end")
    reset_while_held(b)
    time.sleep(0.3)
    let_go(b)
    assert b.wait_state("idle")["SafeMode"] == "USER"
