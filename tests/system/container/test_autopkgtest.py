# SPDX-License-Identifier: MIT
"""debian/tests, which Debian's autopkgtest runs on an installed package."""
from machines.host import SOURCE


def test_board(board):
    board.push(SOURCE / "debian/tests/board", "/root/board")
    assert "remembers" in board.run("sh /root/board", 120)
