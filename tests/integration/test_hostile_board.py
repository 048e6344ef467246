# SPDX-License-Identifier: MIT
"""A board that breaks the rules of its link, its page and its end does not hurt the supervisor."""
import signal
import time

import pytest

from mpydtest import Repl, board_program, process_exists, timeout
from mpydtest import test_module as built

QUICK = {"stop": {"interrupt-timeout": "200ms", "abort-timeout": "200ms"},
         "reset": {"burst": "3", "rate": "1/1min"}}


@pytest.fixture
def hostile(boards):
    def make(mode, config=None):
        return boards({"mode": mode}, config=config or QUICK, board=built("hostile-board"))
    return make


@pytest.mark.parametrize("mode,what", [
    ("garbage-later", "it sent a malformed message"),
    ("short", "it sent a malformed message"),
    ("over-long", "it sent an over-long message"),
    ("supervisors-message", "only the supervisor sends"),
    ("watchdog-range", "it sent a malformed message"),
    ("unread-flood", "more input than it can have been sent"),
])
def test_bad_message_is_the_boards_fault(hostile, mode, what):
    b = hostile(mode)
    b.wait_log(what)
    p = b.wait(lambda p: p["State"] == "waiting", what="the rate limit holding it back")
    # Each of them is refused, logged once, and recorded as the board's crash.
    assert p["Crashes"] == p["HardResets"] - 1 == 4
    b.wait_log("next boot is held back")
    assert b.log_count("The board broke the rules") == 4
    rows = b.wait_history(lambda rows: sum(1 + r["repeats"] for r in rows) >= 5)
    assert what in rows[-1]["detail"] and rows[-1]["signal"] == signal.SIGKILL


def test_empty_message_ends_the_link_not_the_daemon(hostile):
    b = hostile("empty")
    b.wait_state("idle")
    b.control.reset("soft")  # it does not hear: the forced stop ends it
    b.wait(lambda p: p["SoftResets"] == 1 and p["State"] == "idle")


def test_watchdog_fed_from_the_future(hostile):
    b = hostile("watchdog-future")
    p = b.wait(lambda p: p["ResetCause"] == "WDT_RESET")
    assert p["Crashes"] == 0


def test_flood_of_watchdogs(hostile):
    b = hostile("watchdog-flood")
    b.wait_log("flooding")
    for _ in range(5):
        time.sleep(0.2)
        assert b.get("Watchdog2Timeout") > 0 and b.get("WatchdogFedBefore") < timeout(20) * 1e6
    p = b.control.properties()
    assert p["HardResets"] == 1
    b.control.reset("hard")
    b.wait(lambda p: p["HardResets"] == 2)


def test_descriptors_that_nobody_asked_for(hostile):
    b = hostile("descriptors")
    b.wait_state("idle")
    _, before, _ = b.memory()
    b.wait_log("descriptors sent")
    _, after, _ = b.memory()
    assert after <= before + 1


def test_lies_are_not_believed(hostile):
    b = hostile("liar")
    b.wait_log("lies are told")
    p = b.control.properties()
    assert p["Stage"] in ("repl", "stopping") and p["Crashes"] == 0
    assert "\x1b" not in b.log and "\x1b" not in b.ctl("status").stdout
    assert b.log.count("ended with an uncaught exception") == 1


def test_floods_do_not_drown_the_supervisor(hostile):
    b = hostile("flood")
    b.wait_state("idle")
    repl = Repl.open(b.repl_path())
    try:
        slowest = 0
        for _ in range(20):
            start = time.monotonic()
            b.control.properties()
            slowest = max(slowest, time.monotonic() - start)
            repl.read_for(0.02)
        assert slowest < 2
        rss, fds, _ = b.memory()
        repl.read_for(1)
        assert b.memory()[0] - rss < 16 << 20
    finally:
        repl.close()
    b.control.reset("hard")
    b.wait(lambda p: p["HardResets"] == 2)


def test_resizing_the_retained_page_is_refused(hostile):
    b = hostile("resize")
    b.wait_log("resizing is over")
    assert b.log_count("resized") == 0, b.log
    assert b.log_count("shrink: Operation not permitted") == 1
    assert b.log_count("grow: Operation not permitted") == 1
    b.control.reset("hard")
    b.wait_log("resizing is over", count=2)
    assert b.get("Crashes") == 0


def test_scribbling_over_the_retained_page(hostile):
    b = hostile("scribble", {"reset": {"burst": "100"}})
    for n in range(1, 10):
        b.wait_log("scribbling", count=n)
        b.control.properties()
        b.hard_reset()
    assert b.get("Crashes") == 0


def test_scribbled_page_is_no_danger_to_the_next_board(boards, tmp_path):
    """A good board after a bad one: the memory that it finds is garbage, not a crash."""
    link = tmp_path / "board"
    tmp_path.chmod(0o755)
    link.symlink_to(built("hostile-board"))
    b = boards({"mode": "scribble"}, board=link)
    b.wait_log("scribbling")
    link.unlink()
    link.symlink_to(board_program())
    b.hard_reset()
    repl = b.friendly()
    assert repl.line("import machine; machine.RTC().memory()") == "b''\r\n"
    assert repl.line("n = machine.RTC().memory(b'good'); machine.RTC().memory()") == "b'good'\r\n"
    assert repl.line("machine.RTC().datetime()[0] >= 2020") == "True\r\n"


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("mode", ["stubborn", "close-all", "empty-promise"])
def test_board_that_does_not_end_is_killed(hostile, mode, kind):
    b = hostile(mode, {"stop": {"interrupt-timeout": "200ms", "abort-timeout": "200ms"}})
    b.wait(lambda p: p["State"] in ("idle", "stopping"))
    if mode == "close-all":
        b.wait_log("closing the link")
    pid = b.board_pid()
    counter = "SoftResets" if kind == "soft" else "HardResets"
    before = b.get(counter)
    b.control.reset(kind)
    b.wait(lambda p: p[counter] > before and p["BoardPid"] not in (0, pid))
    assert not process_exists(pid)


@pytest.mark.parametrize("mode", ["stubborn", "flood", "scribble", "close-all"])
def test_daemon_stops_with_a_hostile_board(hostile, mode):
    b = hostile(mode)
    b.wait_state("idle")
    assert b.stop() == 0
