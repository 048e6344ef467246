# SPDX-License-Identifier: MIT
"""Disks that are slow, full, read-only or full of nonsense: the board goes on, history as far as it
can."""
import contextlib
import sqlite3
import time

import pytest

from mpydtest import test_module as built
from mpydtest import timeout

SLOW = "2000"  # ms that each flush takes


@pytest.fixture
def slow_disk(boards, tmp_path):
    """A running daemon with a history, under which each fsync takes 2 s from now on."""
    def make(files=(), config=None):
        delay = tmp_path / "delay"
        delay.write_text("0")
        b = boards(files, config=config, preload=[built("../slow-fsync.so")],
                   environ={"SLOW_FSYNC_FILE": str(delay)})
        b.wait_state("idle")
        b.wait_history(lambda rows: len(rows) == 1)
        delay.write_text(SLOW)
        return b
    return make


def test_first_start_on_a_slow_disk(boards):
    """A database is made with a dozen of flushes; the board does not wait for them."""
    start = time.monotonic()
    b = boards(preload=[built("../slow-fsync.so")], environ={"SLOW_FSYNC_MS": SLOW})
    b.wait_log("did not take the record of this reset in time")
    b.wait_state("idle")
    assert time.monotonic() - start < timeout(1.9)
    b.friendly()


def test_slow_disk_is_really_slow(slow_disk):
    """Otherwise the tests below show nothing."""
    b = slow_disk()
    start = time.monotonic()
    b.hard_reset()
    rows = b.wait_history(lambda rows: len(rows) == 2 and rows[1]["late"])
    assert time.monotonic() - start > 1.9, rows


def test_slow_disk_does_not_delay_mpremote(slow_disk):
    b = slow_disk()
    b.wait_state("idle")
    for n in range(5):
        start = time.monotonic()
        assert b.mpremote("eval", f"{n} + 1").stdout == f"{n + 1}\n"
        assert time.monotonic() - start < timeout(1.9), "as long as a flush"


def test_slow_disk_does_not_delay_ctrl_c(slow_disk):
    b = slow_disk()
    repl = b.raw()
    slowest = 0
    b.control.reset("hard")  # there is something to write now
    b.wait_state("idle")
    repl.enter_raw()
    for _ in range(10):
        repl.send_raw("print('busy')\nwhile True: pass")
        repl.read_until(b"busy\r\n")
        start = time.monotonic()
        repl.write(b"\x03")
        repl.read_until(b"KeyboardInterrupt")
        slowest = max(slowest, time.monotonic() - start)
        repl.read_until(b"\x04>")
        time.sleep(0.05)
    assert slowest < timeout(0.5)


def test_slow_disk_does_not_delay_soft_resets(slow_disk):
    b = slow_disk()
    repl = b.friendly()
    start = time.monotonic()
    for _ in range(20):
        repl.soft_reset()
    assert time.monotonic() - start < timeout(1.9)


def test_slow_disk_delays_hard_resets_for_the_commit_timeout_only(slow_disk):
    b = slow_disk(config={"history": {"commit-timeout": "200ms"}})
    repl = b.friendly()
    for _ in range(5):
        start = time.monotonic()
        repl.write(b"import machine; machine.reset()\r")
        repl.read_until(b"MicroPython v")
        assert time.monotonic() - start < timeout(1)
        repl.read_until(b">>> ")
    start = time.monotonic()
    b.ctl("reset")
    assert time.monotonic() - start < timeout(1)
    start = time.monotonic()
    b.ctl("status")
    assert time.monotonic() - start < timeout(0.5)
    # All of it reaches the disk in the end, in order.
    rows = b.wait_history(lambda rows: sum(1 + r["repeats"] for r in rows) == 7, timeout=40)
    assert rows[-1]["detail"].startswith("hard reset asked for by mpyctl")


def test_stop_does_not_wait_for_a_slow_disk_for_ever(boards):
    b = boards(preload=[built("../slow-fsync.so")], environ={"SLOW_FSYNC_MS": "60000"})
    b.wait_state("idle")
    b.hard_reset()
    start = time.monotonic()
    assert b.stop() == 0
    assert time.monotonic() - start < timeout(8)


# ---- what is in the way of the database ----

def corrupt_head(path):
    with path.open("r+b") as f:
        f.write(b"this is not a database" * 10)


def corrupt_pages(path):
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


def foreign(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE resets (what TEXT)")
        db.execute("PRAGMA application_id = 77")
        db.commit()


@pytest.mark.parametrize("damage", [corrupt_head, corrupt_pages, truncate, foreign])
def test_bad_database_is_set_aside(boards, damage):
    b = boards()
    b.wait_state("idle")
    for _ in range(20):
        b.hard_reset()
    assert b.stop() == 0
    for name in ("history.db-wal", "history.db-shm"):
        (b.state_dir / name).unlink(missing_ok=True)
    damage(b.state_dir / "history.db")
    b.start()
    b.wait_state("idle")
    b.wait(lambda p: p["HistoryState"] == "ok")
    aside = [p.name for p in b.state_dir.iterdir() if p.name.startswith("history.db")
             and p.name not in ("history.db", "history.db-wal", "history.db-shm")]
    assert aside, sorted(p.name for p in b.state_dir.iterdir())
    assert aside[0].removesuffix("-wal") in b.log
    b.hard_reset()
    rows = b.wait_history(lambda rows: len(rows) >= 2)
    assert rows[-1]["reason"] == 4


def test_newer_database_is_left_alone(boards):
    b = boards()
    b.wait_state("idle")
    assert b.stop() == 0
    path = b.state_dir / "history.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 9999")
    before = path.read_bytes()
    b.start()
    b.wait_state("idle")
    p = b.wait(lambda p: p["HistoryState"] != "ok")
    assert "newer mpyd" in p["HistoryState"]
    b.hard_reset()
    assert [r["cause"] for r in b.ctl_json("history", "--only", "resets")] == ["HARD_RESET", "HARD_RESET"]
    assert b.stop() == 0
    assert path.read_bytes() == before


def test_directory_in_the_place_of_the_database(boards):
    b = boards(start=False)
    (b.state_dir / "history.db").mkdir()
    (b.state_dir / "history.db/keep").write_text("x")
    b.start()
    b.wait_state("idle")
    b.hard_reset()
    b.friendly()
    assert [r["cause"] for r in b.ctl_json("history", "--only", "resets")] == ["PWRON_RESET", "HARD_RESET"]


@pytest.fixture
def faulty_disk(boards, tmp_path):
    """Makes a board, and a function that sets the disk's fault: full, read-only or none."""
    mode = tmp_path / "mode"

    def set_mode(name):
        mode.with_suffix(".new").write_text(name)
        mode.with_suffix(".new").rename(mode)

    b = boards(start=False, preload=[built("faulty-disk.so")])
    b.environ = {"FAULTY_DISK": str(b.state_dir), "FAULTY_DISK_MODE": str(mode)}
    set_mode("none")
    return b, set_mode


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_daemon_starts_on_a_bad_disk(faulty_disk, fault):
    b, set_mode = faulty_disk
    set_mode(fault)
    b.start()
    p = b.wait_state("idle")
    b.wait(lambda p: p["HistoryState"] != "ok", what="history that says what is wrong")
    repl = b.friendly()
    assert repl.line("1 + 1") == "2\r\n"
    repl.write(b"import machine; machine.reset()\r")
    b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "idle")
    # It goes on in memory, and everyone can see that.
    assert [r["cause"] for r in b.ctl_json("history", "--only", "resets")] == ["PWRON_RESET", "HARD_RESET"]
    assert b.get("HistoryState") in b.ctl_json("status").values()
    assert p["Problem"] == ""


def test_disk_that_becomes_full_and_has_room_again(faulty_disk):
    b, set_mode = faulty_disk
    b.start()
    b.wait_state("idle")
    b.hard_reset()
    set_mode("full")
    for _ in range(5):
        b.hard_reset()
    b.wait(lambda p: p["HistoryState"] != "ok")
    assert b.get("State") in ("idle", "booting")
    b.friendly().close()
    assert sum(1 + r["repeats"] for r in b.ctl_json("history", "--only", "resets")) == 7
    set_mode("none")
    assert b.stop() == 0
    b.start()
    b.wait_state("idle")
    b.wait(lambda p: p["HistoryState"] == "ok")
    b.hard_reset()
    # Every reset of that time has reached the disk: two power-ons, seven resets.
    b.wait_history(lambda rows: sum(1 + r["repeats"] for r in rows) == 9)


def test_history_stays_within_its_size(boards):
    b = boards({"main.py": "import time\nraise ValueError(str(time.ticks_us()) + 'x' * 3000)\n"},
               config={"history": {"max-size": "256K"}})
    repl = b.friendly()
    for n in range(300):
        # Alike ones would be counted in one row.
        repl.soft_reset() if n % 2 else b.hard_reset()
        repl.sync()
    b.wait(lambda p: p["HistoryState"] == "ok")
    assert b.stop() == 0
    size = sum(p.stat().st_size for p in b.state_dir.glob("history.db*"))
    assert size <= 300 * 1024, size
    rows = b.history()
    assert len(rows) >= 10
    assert rows[-1]["id"] > len(rows)  # the oldest have gone


def test_storm_of_exceptions_is_counted(boards):
    """A program that raises each time it is started costs a few rows, whatever it says."""
    b = boards({"boot.py": "import time\nif time.ticks_us() % 2: raise OSError(time.ticks_us())\n",
                "main.py": "import time\nraise ValueError(time.ticks_us())\n"})
    for n in range(60):
        b.wait(lambda p: p["State"] == "idle" and p["SoftResets"] == n)
        b.control.reset("soft")
    b.wait(lambda p: p["State"] == "idle" and p["SoftResets"] == 60)
    rows = b.events("exception")
    assert len(rows) == 20, rows  # each of these committed when it came
    raised = b.log_count("ended with an uncaught exception")
    assert raised >= 61 and sum(1 + r["repeats"] for r in rows) == raised
    assert b.stop() == 0
    assert b.events("exception") == b.ctl_json("history", "--since", "1d", "--only", "exception")
    assert sum(1 + r["repeats"] for r in b.events("exception")) == raised


def test_first_exception_of_a_storm_is_durable(boards):
    b = boards({"main.py": "raise ValueError('the first')\n"})
    b.wait_state("idle")
    deadline = time.monotonic() + timeout(20)
    while not b.events("exception"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    b.process.kill()
    b.expected_exit = -9
    assert b.wait_exit() == -9
    assert [r["detail"] for r in b.events("exception")] == ["main.py: ValueError: the first"]
