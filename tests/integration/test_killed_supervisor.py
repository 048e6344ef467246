# SPDX-License-Identifier: MIT
"""mpyd is killed (SIGKILL) at random moments, while it starts and in the middle of real resets, some hundred times:
no record is lost that a board has seen as durable, none is there twice, no board is left over, and none of it is held
against the program."""
import collections
import os
import pathlib
import random
import re
import signal
import sqlite3
import time

from mpydtest import timeout

KILLS = int(os.environ.get("MPYD_KILLS") or 300)
PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5
# Each boot notes its cause, which a hard reset's row must have too; then the next reset comes, of either kind.
BOOT_PY = """
import machine, os
with open('boots.txt', 'a') as f:
    f.write('%d\\n' % machine.reset_cause())
kind = os.urandom(1)[0]
if kind < 100:
    machine.reset()
elif kind < 150:
    machine.soft_reset()
elif kind < 170:
    machine.deepsleep(1)
"""
MAIN_PY = "import machine\nmachine.WDT(timeout=10)\nwhile True: pass\n"


def boards_of(b):
    """Processes of boards that have this one's flash open."""
    found = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (proc / "comm").read_text().strip() == "mpyd-board" and \
                    any(os.readlink(fd).startswith(str(b.dir)) for fd in (proc / "fd").iterdir()):
                found.append(int(proc.name))
        except OSError:
            continue  # it has just ended
    return found


def hard_boots(b):
    """Causes that boards have seen, in order, without those of soft resets."""
    path = b.flash / "boots.txt"
    return [c for c in map(int, path.read_text().split()) if c != SOFT] if path.exists() else []


def hard_rows(b):
    """Causes that are stored, in order, a row counts its like too."""
    return [row["cause"] for row in b.history() for _ in range(1 + row["repeats"]) if row["cause"] != SOFT]


def is_subsequence(part, whole):
    it = iter(whole)
    return all(any(x == y for y in it) for x in part)


def test_killed_at_random_moments(boards):
    b = boards({"boot.py": BOOT_PY, "main.py": MAIN_PY, "boots.txt": ""},
               config={"safe-mode": {"strikes": "10"}, "history": {"commit-timeout": "10s"}}, start=False)
    n_boots = n_rows = n_orders = 0
    whole = collections.Counter()
    for i in range(KILLS):
        b.start(wait=random.random() < 0.8)  # else it dies somewhere in its start
        if b.log_count("the REPL is at") and random.random() < 0.7:
            try:
                b.control.reset("hard")  # one that keeps being killed holds its board back otherwise
                n_orders += 1
            except OSError:
                pass  # not up yet
        time.sleep(random.uniform(0, 0.1))
        assert len(boards_of(b)) <= 1, b.log
        b.stop(signal.SIGKILL)  # and waits until everything that it had started ends: its stderr is closed
        deadline = time.monotonic() + timeout(10)
        while boards_of(b):
            assert time.monotonic() < deadline, "a board has outlived its mpyd"
            time.sleep(0.001)

        if not (b.state_dir / "history.db").exists():
            continue
        try:
            boots, rows = hard_boots(b), hard_rows(b)
        except sqlite3.OperationalError:  # killed before it had made its tables
            assert n_rows == 0 and not hard_boots(b)
            continue
        seen, stored = len(boots) - n_boots, len(rows) - n_rows
        whole[stored - seen] += 1
        # Whoever saw its boot was stored before; a board may be killed between its record and its first line, and
        # that for each order of the test that interrupts a boot.
        assert 0 <= stored - seen <= 2, (i, seen, stored, boots[-5:], rows[-5:], b.log[-2000:])
        assert is_subsequence(boots[n_boots:], rows[n_rows:]), (boots[n_boots:], rows[n_rows:])
        n_boots, n_rows = len(boots), len(rows)

    # There was something to lose, and it died in the middle of it.
    assert n_boots > KILLS / 2 and n_orders > KILLS / 3 and whole[0] > 0 and whole[1] > 0, (n_boots, n_orders, whole)
    with sqlite3.connect(f"file:{b.state_dir}/history.db?mode=ro", uri=True) as db:
        assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
        twice = db.execute("select boottime_usec, cause, count(*) from resets group by 1, 2 having count(*) > 1")
        assert twice.fetchall() == []
    strikes = re.search(r"strikes=(\d+)", (b.state_dir / "host-mark").read_text())
    bites = sum(c == WDT for c in hard_rows(b))
    assert not strikes or int(strikes[1]) <= bites, (strikes, bites)

    b.put({"boot.py": "", "main.py": ""})
    b.start()
    b.control.reset("hard")
    p = b.wait_state("idle")
    assert (p["SafeMode"], p["HistoryState"]) == ("", "ok")
    assert boards_of(b) == [p["BoardPid"]]
