# SPDX-License-Identifier: MIT
"""A board that does not start ends in back-off and a clear status, never in a spin."""
import pathlib
import shutil
import time

import pytest

from mpydtest import board_program
from mpydtest import test_module as built

BACKOFF = {"board": {"start-timeout": "300ms"},
           "reset": {"backoff-min": "100ms", "backoff-max": "400ms", "burst": "20", "rate": "1/s"}}


@pytest.fixture
def bad_board(boards):
    """mode → a running daemon whose board is hostile-board in that mode."""
    def make(mode, config=None):
        return boards({"mode": mode}, config=config or BACKOFF, board=built("hostile-board"))
    return make


def check_backoff(b, problem):
    """It waits longer and longer, says why, and answers meanwhile."""
    p = b.wait(lambda p: p["State"] == "waiting" and problem in p["Problem"],
               what=f"a problem with {problem!r} in it")
    assert p["BoardPid"] == 0 and p["Stage"] == "off"
    assert p["NextBootBoottime"] > 0
    # It begins with 100 ms and is soon at 400 ms: 7 times at most, and it does not give up.
    before = b.log_count("next boot is held back")
    time.sleep(2)
    attempts = b.log_count("next boot is held back") - before
    assert 2 <= attempts <= 7, b.log
    status = b.ctl("status").stdout
    assert problem in status, status
    assert b.ctl_json("status")["problem"] != ""


@pytest.mark.parametrize("program,problem", [
    ("/nonexistent/mpyd-board", "No such file"),
    ("/tmp", "directory"),
    ("/etc/passwd", "ermission denied"),
    ("/bin/false", "exit status 1"),
    ("/bin/true", "exit status 0"),
], ids=["missing", "a directory", "not executable", "fails", "ends"])
def test_program_cannot_be_a_board(boards, program, problem):
    b = boards(board=program, config=BACKOFF)
    if problem in ("directory", "ermission denied"):  # fork succeeds, execve does not
        problem = "does not start"
    check_backoff(b, problem)


@pytest.mark.parametrize("mode,problem", [
    ("crash", "SIGABRT"),
    ("crash-after-hello", "SIGABRT"),
    ("exit", "exit status 3"),
    ("hang", "no sign of life"),
    ("hang-after-hello", "no sign of life"),
    ("garbage", "malformed message"),
    ("version", "another version"),
    ("reset-before-stage", "before its first stage"),
])
def test_board_fails_before_its_first_stage(bad_board, mode, problem):
    check_backoff(bad_board(mode), problem)


def clock_ticks(pid):
    """Processor time that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_processor_is_idle_while_it_waits(bad_board):
    b = bad_board("crash", {"reset": {"backoff-min": "10s", "backoff-max": "60s"}})
    b.wait_state("waiting")
    before = clock_ticks(b.pid)
    time.sleep(1)
    assert clock_ticks(b.pid) - before <= 5  # of 100 in a second


def test_recovers_when_the_program_is_there_again(boards, tmp_path):
    link = tmp_path / "mpyd-board"
    tmp_path.chmod(0o755)
    b = boards(board=link, config=BACKOFF)
    b.wait(lambda p: p["State"] == "waiting")
    link.symlink_to(board_program())
    p = b.wait_state("idle")
    assert p["Problem"] == ""


def test_file_in_the_place_of_the_flash(boards):
    b = boards(files=None, config=BACKOFF, start=False)
    b.flash.write_text("not a directory")
    b.start()
    check_backoff(b, "Not a directory")
    b.flash.unlink()
    b.wait_state("idle")
    assert b.flash.is_dir()


def test_flash_that_goes_away_is_made_again(boards):
    b = boards({"main.py": "print('main runs')\n"})
    b.wait_state("idle")
    shutil.rmtree(b.flash)
    b.hard_reset()
    repl = b.friendly()
    assert repl.line("f = open('x', 'w'); n = f.write('new'); f.close(); n") == "3\r\n"
    assert b.read("x") == "new"


def test_an_order_does_not_wait_for_the_back_off(bad_board):
    b = bad_board("crash", {"reset": {"backoff-min": "60s", "backoff-max": "60s"}})
    b.wait_state("waiting")
    before = b.get("Crashes")
    b.control.reset("hard")
    b.wait(lambda p: p["Crashes"] > before and p["State"] == "waiting")


def test_stops_at_once_while_it_waits(bad_board):
    b = bad_board("crash", {"reset": {"backoff-min": "60s", "backoff-max": "60s"}})
    b.wait_state("waiting")
    start = time.monotonic()
    assert b.stop() == 0
    assert time.monotonic() - start < 5
