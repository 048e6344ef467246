# SPDX-License-Identifier: MIT
"""A board that SIGKILL does not end is reported, waited for and never doubled, whatever becomes of mpyd.

It hangs for real: its flash is on a filesystem that is frozen under it (FIFREEZE), where a write waits
in the kernel and takes no signal, as in a driver that has lost its device."""
import os
import pathlib
import subprocess

import pytest

from mpydtest import Board, children, process_exists

MAIN = """\
import time
while True:
    with open('reading', 'w') as f:
        f.write('21.5')
    time.sleep_ms(5)
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists("/dev/loop-control"),
    reason="mounts a filesystem of its own: needs root and loop devices")


class Disk:
    """A small filesystem that can hang."""

    def __init__(self, image, mountpoint):
        self.mountpoint = mountpoint
        self.frozen = False
        with open(image, "wb") as f:
            f.truncate(16 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mountpoint], check=True)

    def freeze(self):
        subprocess.run(["fsfreeze", "-f", self.mountpoint], check=True)
        self.frozen = True

    def thaw(self):
        if self.frozen:
            subprocess.run(["fsfreeze", "-u", self.mountpoint], check=True)
            self.frozen = False

    def close(self):
        self.thaw()
        subprocess.run(["umount", "-l", self.mountpoint], check=True)


@pytest.fixture
def disk_and_board():
    b = Board(start=False)
    disk = None
    try:
        disk = Disk(b.dir / "flash.img", b.flash)
        b.flash.chmod(0o777)
        b.put({"main.py": MAIN})
        b.start()
        yield disk, b
        disk.thaw()
        b.close()
    finally:
        if disk:
            disk.thaw()
        b.close(check=False)
        if disk:
            disk.close()


def hang(disk, b):
    """The disk hangs, and the board on it. Its process."""
    b.wait_state("running")
    pid = b.board_pid()
    disk.freeze()
    b.wait(lambda _: state_of(pid) == "D", what="the board hanging in the kernel")
    return pid


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_stuck(b, count=1):
    b.wait_log("did not end 5 s after SIGKILL", count=count)
    return b.wait_state("stuck")


def test_it_is_reported_and_not_doubled(disk_and_board):
    disk, b = disk_and_board
    pid = hang(disk, b)
    b.control.reset("hard")
    p = wait_stuck(b)
    assert p["BoardPid"] == pid and process_exists(pid)
    assert children(b.pid) == [pid]
    assert "hangs in the kernel" in b.ctl("status").stdout
    refused = b.ctl("reset", "--hard", check=False)
    assert refused.returncode != 0 and children(b.pid) == [pid]

    disk.thaw()  # the driver lets go: the reset that was asked for comes true
    p = b.wait(lambda p: p["BoardPid"] not in (0, pid) and p["State"] == "running")
    assert not process_exists(pid) and p["Problem"] == "" and p["HardResets"] == 2
    rows = b.wait_history(lambda rows: len(rows) == 2)
    assert rows[1]["detail"].startswith("hard reset asked for by")
    assert rows[1]["signal"] == 9


def test_it_is_not_doubled_by_a_new_daemon(disk_and_board):
    disk, b = disk_and_board
    pid = hang(disk, b)
    b.process.kill()
    b.process.wait()
    b._forget_clients()
    assert process_exists(pid)  # it was to end with its supervisor, and cannot

    b.start()
    b.wait_log(f"board of an earlier run of mpyd (pid {pid}) still lives")
    p = wait_stuck(b)
    assert p["BoardPid"] == pid and children(b.pid) == []
    assert "an earlier run of mpyd cannot be killed" in b.ctl("status").stdout

    b.process.kill()  # and again, now that it is known to be stuck
    b.process.wait()
    b._forget_clients()
    b.start()
    p = wait_stuck(b, count=2)
    assert p["BoardPid"] == pid and children(b.pid) == []

    disk.thaw()
    p = b.wait(lambda p: p["State"] == "running")
    assert not process_exists(pid) and p["Problem"] == "" and p["HardResets"] == 1
    assert "mpyd ended without a clean stop" in p["LastReset"]


def test_daemon_stops_beside_a_leftover(disk_and_board):
    disk, b = disk_and_board
    pid = hang(disk, b)
    b.process.kill()
    b.process.wait()
    b._forget_clients()
    b.start()
    wait_stuck(b)
    assert b.stop() == 0
    assert process_exists(pid)
