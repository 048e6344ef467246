# SPDX-License-Identifier: MIT
"""The package's life on Debian 12 and 13: installed, upgraded, removed, purged."""
import packages
import pytest
from conftest import install

item = pytest.mark.item
USER_MAIN = "print('the owner wrote this')\n"


def left_behind(machine):
    """What a purge must take away."""
    return machine.run(
        "ls -d /etc/mpyd /var/lib/mpyd /run/mpyd /dev/ttyACM-mpyd /usr/sbin/mpyd /usr/libexec/mpyd-board "
        "/etc/systemd/system/multi-user.target.wants/mpyd.service "
        "/var/lib/systemd/deb-systemd-helper-enabled/mpyd.service.dsh-also 2>/dev/null || :")


def test_install_leaves_a_running_board(board):
    """Installed: enabled, running, at the REPL of a friendly main.py, nothing failed."""
    state = board.unit("ActiveState", "SubState", "UnitFileState", "NRestarts", "Result")
    assert state == {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled",
                     "NRestarts": "0", "Result": "success"}
    assert board.evaluate("6*7") == "42"
    assert board.run("systemctl --failed --no-legend").strip() == ""
    flash = board.run("ls -l /var/lib/mpyd/flash")
    assert "boot.py" in flash and "main.py" in flash
    assert [e["cause"] for e in board.history() if e["type"] == "reset"][0] == "PWRON_RESET"


def test_the_repl_is_among_the_serial_ports(board):
    """Thonny takes no path, only what pyserial lists."""
    assert "/dev/ttyACM-mpyd" in board.run("python3 -m serial.tools.list_ports").split()
    assert board.run("python3 -c \"import serial; s = serial.Serial('/dev/ttyACM-mpyd', 115200, timeout=5); "
                     "s.write(b'6*7\\r'); print(s.read_until(b'42'))\"").strip().endswith("42'")


@item("S69")
def test_S69_upgrade_keeps_the_owners_files(board, suite, tmp_path):
    """An upgrade restarts the board and keeps files, configuration and history."""
    board.write("/var/lib/mpyd/flash/main.py", USER_MAIN)
    board.write("/var/lib/mpyd/flash/data.txt", "1,2,3\n")
    board.run("rm /var/lib/mpyd/flash/boot.py")
    board.run("printf '[reset]\\nburst = 21\\n' >>/etc/mpyd/mpyd.conf")
    before = len(board.history())
    old = packages.field(packages.find(suite), "Version")
    newer = packages.with_version(packages.find(suite), old + "+1", tmp_path)
    pid = board.unit("MainPID")["MainPID"]
    install(board, newer)
    assert board.run("dpkg-query -W -f '${Version}' mpyd") == old + "+1"
    state = board.unit("ActiveState", "MainPID", "UnitFileState")
    assert state["ActiveState"] == "active" and state["UnitFileState"] == "enabled"
    assert state["MainPID"] != pid, "the old daemon still runs"
    assert board.read("/var/lib/mpyd/flash/main.py") == USER_MAIN
    assert board.read("/var/lib/mpyd/flash/data.txt") == "1,2,3\n"
    assert board.run("ls /var/lib/mpyd/flash").split() == ["data.txt", "main.py"]
    assert "burst = 21" in board.read("/etc/mpyd/mpyd.conf")
    assert len(board.history()) > before >= 1
    board.log_shows("the owner wrote this")


@item("S68")
def test_S68_remove_keeps_state_and_purge_takes_it(board, suite):
    """Remove stops the board and keeps configuration and state; purge takes both, and puts
    programs that the owner wrote aside."""
    board.write("/var/lib/mpyd/flash/main.py", USER_MAIN)
    board.run("apt-get remove -q -y mpyd 2>&1")
    assert board.unit("ActiveState")["ActiveState"] == "inactive"
    assert board.run("ps -eo comm | grep -c ^mpyd || :").strip() == "0"
    assert board.read("/var/lib/mpyd/flash/main.py") == USER_MAIN
    assert board.path("/etc/mpyd/mpyd.conf").exists()
    board.run("apt-get purge -q -y mpyd 2>&1")
    assert left_behind(board).strip() == ""
    aside = board.run("cat /var/backups/mpyd-flash-*/main.py")
    assert aside == USER_MAIN
    assert board.run("dpkg-query -W -f '${db:Status-Status}' mpyd 2>/dev/null || :") in (
        "", "not-installed")
    assert board.run("systemctl --failed --no-legend").strip() == ""
    install(board, packages.find(suite))  # and back again
    assert board.evaluate("6*7") == "42"


@item("S68")
def test_S68_purge_of_an_untouched_board_leaves_nothing(board):
    """The files that every new board has are nobody's; there is nothing to keep aside."""
    assert board.run("ls /var/lib/mpyd/flash").split() == ["boot.py", "main.py"]
    board.run("apt-get purge -q -y mpyd 2>&1")
    assert left_behind(board).strip() == ""
    assert board.run("ls -d /var/backups/mpyd-flash-* 2>/dev/null || :").strip() == ""


def test_removed_and_installed_again_is_as_before(board, suite):
    board.write("/var/lib/mpyd/flash/main.py", USER_MAIN)
    board.run("apt-get remove -q -y mpyd 2>&1")
    install(board, packages.find(suite))
    assert board.unit("ActiveState", "UnitFileState") == {
        "ActiveState": "active", "UnitFileState": "enabled"}
    assert board.read("/var/lib/mpyd/flash/main.py") == USER_MAIN
    board.log_shows("the owner wrote this")
