# SPDX-License-Identifier: MIT
"""Why the host booted, told by recorded trees of /proc and /sys, and kept as evidence. What ends the
daemon and the board here is real; that the host booted is a boot id that changes."""
import os
import signal
import sqlite3
import subprocess
import time

import pytest

from mpydtest import test_module as built
from mpydtest.items import item

PWRON, HARD, WDT = 1, 2, 3
POWER_ON, BROWNOUT, SOFTWARE, DEEP_SLEEP_ALARM, RESET_PIN, WATCHDOG, UNKNOWN = range(7)


class Host:
    """A tree that mpyd takes for / when it asks about the machine."""

    def __init__(self, path):
        self.path = path
        self.n_boots = 0
        self.put("proc/vmstat", "oom_kill 0\n")
        self.boot()

    def put(self, name, content):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def boot(self):
        self.n_boots += 1
        self.put("proc/sys/kernel/random/boot_id", f"{self.n_boots:08x}-0000-4000-8000-000000000000\n")


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "host")


def new_boot(b, host):
    """The host comes up again: /run is empty, the state directory is as it was."""
    host.boot()
    for name in os.listdir(b.run_dir):
        if (b.run_dir / name).is_file():
            (b.run_dir / name).unlink()
    b.start()
    return b.wait_state("idle")


def power_cut(b):
    b.stop(signal.SIGKILL)


def evidence(b, number="last"):
    return [(e["finding"], e["confidence"]) for e in b.ctl_json("history", "show", number)["evidence"]]


def start(boards, host, **options):
    b = boards(arguments=["--host-root", host.path], **options)
    b.wait_state("idle")
    return b


def test_first_run(boards, host):
    b = start(boards, host)
    assert evidence(b) == [("first-run", "certain")]
    assert b.get("ResetCause") == "PWRON_RESET" and b.get("ResetReason") == "POWER_ON"


def test_shutdown_in_good_order(boards, host):
    b = start(boards, host)
    assert b.stop() == 0
    p = new_boot(b, host)
    assert p["ResetCause"] == "PWRON_RESET" and p["ResetReason"] == "POWER_ON"
    assert "after a shutdown in good order" in p["LastReset"]
    assert evidence(b) == [("clean-stop", "certain")]


def test_power_cut(boards, host):
    b = start(boards, host)
    power_cut(b)
    p = new_boot(b, host)
    assert p["ResetCause"] == "PWRON_RESET" and p["ResetReason"] == "POWER_ON"
    assert "without a shutdown" in p["LastReset"]
    assert evidence(b) == [("no-clean-stop", "certain")]
    text = b.ctl("history", "show").stdout
    assert "Evidence: no-clean-stop (certain): nobody stopped mpyd" in text
    assert "[host mark in the state directory]" in text
    # The mark is of this boot again: a shutdown now is one in good order.
    assert b.stop() == 0
    new_boot(b, host)
    assert evidence(b) == [("clean-stop", "certain")]


def test_hardware_watchdog(boards, host):
    b = start(boards, host)
    power_cut(b)
    host.put("sys/class/watchdog/watchdog0/bootstatus", "32\n")
    p = new_boot(b, host)
    assert p["ResetCause"] == "WDT_RESET" and p["ResetReason"] == "WATCHDOG"
    assert evidence(b) == [("host-watchdog", "certain"), ("no-clean-stop", "certain")]
    repl = b.friendly()
    assert repl.line("import machine; machine.reset_cause() == machine.WDT_RESET") == "True\r\n"


def test_watchdog_of_a_raspberry_pi(boards, host):
    """Its driver has no bootstatus; the firmware's register is the same after an ordinary reboot."""
    host.put("sys/class/watchdog/watchdog0/state", "active\n")
    b = start(boards, host)
    host.put("proc/device-tree/chosen/bootloader/rsts", b"\0\0\0\x20")
    power_cut(b)
    assert new_boot(b, host)["ResetCause"] == "WDT_RESET"
    assert evidence(b) == [("firmware-watchdog", "likely"), ("no-clean-stop", "certain")]
    assert b.stop() == 0
    assert new_boot(b, host)["ResetCause"] == "PWRON_RESET"
    assert evidence(b)[0] == ("clean-stop", "certain")


def test_kernel_panic(boards, host):
    b = start(boards, host)
    power_cut(b)
    host.put("sys/fs/pstore/dmesg-ramoops-0", "Panic#1 Part1\n<0>Kernel panic - not syncing\n")
    p = new_boot(b, host)
    assert p["ResetCause"] == "PWRON_RESET" and p["ResetReason"] == "UNKNOWN"
    assert "kernel panic" in p["LastReset"]
    assert evidence(b)[0] == ("kernel-panic", "certain")
    power_cut(b)  # the record is still there, and known
    assert "panic" not in new_boot(b, host)["LastReset"]


@item("S8", "from recorded trees of /sys; nobody's power is really cut")
def test_S08_brown_out(boards, host):
    """Under-voltage seen while it ran, then dark: told as PWRON, with its reason."""
    alarm = "sys/class/hwmon/hwmon0/in0_lcrit_alarm"
    host.put("sys/class/hwmon/hwmon0/name", "rpi_volt\n")
    host.put(alarm, "0\n")
    b = start(boards, host)
    host.put(alarm, "1\n")
    b.hard_reset()
    b.wait_log("voltage is or was too low (/" + alarm)
    mark = b.state_dir / "host-mark"
    deadline = time.monotonic() + 20
    while " 1 0 -" not in mark.read_text():
        assert time.monotonic() < deadline, mark.read_text()
        time.sleep(0.02)
    power_cut(b)
    host.put(alarm, "0\n")
    p = new_boot(b, host)
    assert p["ResetCause"] == "PWRON_RESET" and p["ResetReason"] == "BROWNOUT"
    assert evidence(b) == [("under-voltage", "likely"), ("no-clean-stop", "certain")]
    power_cut(b)
    assert new_boot(b, host)["ResetReason"] == "POWER_ON"  # of the boot before only


def test_under_voltage_is_noted_when_it_comes(boards, host):
    """The kernel reports a change of such a file by POLLPRI. A recorded tree cannot; here one of them
    is a file of /proc that can: the list of mounts of the daemon's own namespace."""
    if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
                      capture_output=True).returncode != 0:
        pytest.skip("no rights to mount in a namespace of one's own")
    throttled = host.path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    throttled.parent.mkdir(parents=True)
    throttled.symlink_to("/proc/self/mounts")
    host.put("sys/class/hwmon/hwmon0/name", "rpi_volt\n")
    host.put("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "0\n")
    b = boards(arguments=["--host-root", host.path], start=False)
    command = b.command
    b.command = lambda: ["unshare", "-m", *command()]
    b.start()
    b.wait_state("idle")
    host.put("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n")
    time.sleep(0.3)
    assert b.log_count("voltage is or was too low") == 0
    subprocess.run(["nsenter", "-m", "-t", str(b.pid), "mount", "-t", "tmpfs", "none", "/mnt"],
                   check=True)
    b.wait_log("voltage is or was too low")
    assert b.get("HardResets") == 1


def test_daemon_in_the_same_boot(boards, host):
    b = start(boards, host)
    b.restart()
    assert evidence(b) == [("daemon-stopped", "certain")]
    b.stop(signal.SIGKILL)
    b.start()
    b.wait_state("idle")
    assert evidence(b) == [("daemon-failed", "certain")]
    assert b.get("ResetReason") == "UNKNOWN"


def test_board_and_its_ends(boards, host):
    b = start(boards, host)
    repl = b.open_repl()
    repl.sync()

    def ended(n, *findings):
        b.wait(lambda p: p["HardResets"] == n and p["State"] == "idle")
        b.wait_history(lambda rows: len(rows) == n)
        assert evidence(b) == list(findings)
        repl.sync()

    repl.write(b"import machine; machine.reset()\r")
    ended(2, ("program", "certain"))
    b.ctl("reset", "--hard")
    ended(3, ("operator", "certain"))
    repl.write(b"import machine; machine.WDT(timeout=50)\r")
    ended(4, ("watchdog", "certain"))
    repl.write(b"import machine; machine.deepsleep(50)\r")
    ended(5, ("wake-alarm", "certain"))
    os.kill(b.board_pid(), signal.SIGKILL)
    ended(6, ("signal", "certain"))
    host.put("proc/vmstat", "oom_kill 1\n")
    os.kill(b.board_pid(), signal.SIGKILL)
    ended(7, ("oom-kill", "likely"), ("signal", "certain"))
    os.kill(b.board_pid(), signal.SIGKILL)  # that one was not the kernel's again
    ended(8, ("signal", "certain"))


def test_last_words(boards):
    b = boards({"mode": "last-words"}, board=built("hostile-board"),
               config={"reset": {"burst": "2", "rate": "1/1min"}})
    b.wait_state("waiting")
    row = b.wait_history(lambda rows: len(rows) >= 2)[1]
    assert "The VM cannot go on: uncaught MemoryError" in row["detail"]
    assert row["exit_status"] == 70
    assert "last-words" in row["evidence"] and "exit-status" in row["evidence"]


def test_traceback_survives_a_power_cut(boards, host):
    b = start(boards, host, files={"main.py": "raise ValueError('before dark')\n"})
    b.hard_reset()
    row = b.wait_history(lambda rows: len(rows) == 2)[1]
    power_cut(b)
    b.put({"main.py": ""})
    new_boot(b, host)
    assert "ValueError: before dark" in b.ctl("history", "show", str(row["id"])).stdout


@pytest.mark.parametrize("content", ["", "nonsense\n", "\0\xff" * 300])
def test_mark_that_is_none(boards, host, content):
    b = start(boards, host)
    assert b.stop() == 0
    (b.state_dir / "host-mark").write_text(content, errors="replace")
    new_boot(b, host)
    assert evidence(b) == [("first-run", "certain")]


def test_mark_that_cannot_be_written(boards, host):
    b = boards(arguments=["--host-root", host.path], start=False)
    (b.state_dir / "host-mark").mkdir()
    b.start()
    b.wait_state("idle")
    b.wait_log("cannot tell a power cut from a shutdown")
    assert b.stop() == 0


def test_host_root_that_is_none(boards):
    b = boards(arguments=["--host-root", "/nonexistent"], start=False)
    done = subprocess.run(b.command(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Failed to open /nonexistent: No such file" in done.stderr


def test_history_of_before_has_no_evidence(boards):
    b = boards()
    b.wait_state("idle")
    assert b.stop() == 0
    with sqlite3.connect(b.state_dir / "history.db") as db:
        db.execute("UPDATE resets SET evidence=NULL")
    db.close()
    assert "Evidence" not in b.ctl("history", "show").stdout
    assert b.ctl_json("history", "show")["evidence"] is None
