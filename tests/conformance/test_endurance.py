# SPDX-License-Identifier: MIT
"""Thousands of resets leave everything where it was (S12)."""
import pytest

from mpydtest import is_sanitized
from mpydtest.items import item

RESETS = 1000
WARM_UP = 300  # until bounded things (the log's ring, caches) are full
KIB = 1024


def soft(b, repl):
    repl.soft_reset()


def hard(b, repl):
    # mpremote's way: from the raw REPL.
    n = b.get("HardResets")
    repl.write(b"\x01")
    repl.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    repl.write(b"import machine; machine.reset()\x04")
    repl.read_until(b"MicroPython v")
    repl.read_until(b"\n>>> ")
    assert b.get("HardResets") == n + 1


@item("S12", "holds over 1,000 soft and 1,000 hard resets, also for the daemon's own memory")
@pytest.mark.parametrize("reset", [soft, hard])
def test_S12_resets_leave_nothing_behind(boards, reset):
    b = boards({"main.py": "x = [bytearray(1000) for _ in range(20)]\n"},
               config={"history": {"max-size": "1M"}})
    repl = b.friendly()
    free = "import gc; n = gc.collect(); print(gc.mem_free())"
    repl.line(free)
    fresh = int(repl.line(free))
    for _ in range(WARM_UP):
        reset(b, repl)
    rss, fds, processes = b.memory()
    assert processes == 1
    for _ in range(RESETS):
        reset(b, repl)
    repl.line(free)
    assert abs(int(repl.line(free)) - fresh) <= 2 * KIB
    b.wait_state("idle")
    rss_after, fds_after, processes_after = b.memory()
    assert processes_after == 1
    assert fds_after == fds
    if not is_sanitized():  # which keeps what is freed
        assert rss_after - rss <= 256 * KIB, f"{rss} → {rss_after}"
    total = b.get("SoftResets" if reset is soft else "HardResets")
    assert total >= WARM_UP + RESETS
    assert b.get("Crashes") == 0
