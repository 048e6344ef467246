# SPDX-License-Identifier: MIT
"""What a board keeps over the end of its daemon: nothing over a stop, all that a soft reset keeps over a
hand-over."""
import packages
import pytest
from conftest import install

MAIN = "import machine\nprint('cause', machine.reset_cause(), machine.RTC().memory())\n"
KEEP = "__import__('machine').RTC().memory(b'kept')"
HARD, SOFT = 2, 5


@pytest.fixture
def kept(board):
    """A board that has something to lose, and its terminal."""
    board.write("/var/lib/mpyd/flash/main.py", MAIN)
    board.run(f"mpyctl eval \"{KEEP}\"")
    return board, board.run("readlink /run/mpyd/repl")


def test_stop_forgets_what_systemd_kept(kept):
    board, _ = kept
    board.run("systemctl stop mpyd")
    assert not board.path("/run/mpyd/repl").is_symlink()
    board.run("systemctl start mpyd")
    board.log_shows(f"cause {HARD} b''")


def test_hand_over_is_a_soft_reset(kept):
    board, terminal = kept
    board.run("mpyctl restart --keep-pins")
    board.log_shows(f"cause {SOFT} b'kept'")
    assert board.run("readlink /run/mpyd/repl") == terminal
    assert "handed over" in board.run("mpyctl history")
    board.run("mpyctl restart")  # the word holds for one stop
    board.log_shows(f"cause {HARD} b'kept'")


def test_upgrade_hands_over(kept, suite, tmp_path):
    board, terminal = kept
    deb = packages.find(suite)
    install(board, packages.with_version(deb, packages.field(deb, "Version") + "+1", tmp_path))
    board.log_shows(f"cause {SOFT} b'kept'")
    assert board.run("readlink /run/mpyd/repl") == terminal
