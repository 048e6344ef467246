# SPDX-License-Identifier: MIT
"""Ctrl-C while other programs want all of the machine (SPEC 7: S55). Runs alone: it would burden whatever runs beside."""
import os
import subprocess
import sys

import pytest
from test_interrupt import BUSY, check_that_ctrl_c_is_quick

from mpydtest.items import item


@pytest.fixture
def load():
    """Two loops for each processor."""
    loops = []
    try:
        for _ in range(2 * os.cpu_count()):
            loops.append(subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"],
                                          stdout=subprocess.PIPE))
        for p in loops:
            assert p.stdout.readline() == b"\n"  # it loops
        yield
        assert [p.poll() for p in loops] == [None] * len(loops)
    finally:
        for p in loops:
            p.kill()
            p.wait()
            p.stdout.close()


@item("S55")
@pytest.mark.parametrize("kind", ["while", "calls", "time.sleep", "select.poll", "asyncio", "input", "socket.accept",
                                  "bignum"])
def test_S55_ctrl_c_is_quick_under_load(board, load, kind):
    check_that_ctrl_c_is_quick(board.raw(), kind)
