# SPDX-License-Identifier: MIT
"""The host around the board: its reboot as the last resort, and the limits that its kernel enforces."""
import time

import pytest

from machines.host import timeout

# The board's files on a file system that is frozen under it: a write waits in the kernel and takes no signal.
DISK = """set -e
systemctl stop mpyd
truncate -s 16M /root/flash.img
mkfs.ext4 -q -F /root/flash.img
mount -o loop /root/flash.img /var/lib/mpyd/flash
chmod 777 /var/lib/mpyd/flash
printf '[host]\\nreboot = yes\\nmin-uptime = 1s\\n' >/etc/mpyd/mpyd.conf.d/host.conf
# what hangs is waited for, but not for long
mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\\nDefaultTimeoutStopSec=15s\\n' >/etc/systemd/system.conf.d/short.conf
systemctl daemon-reexec
systemctl start mpyd
"""
WRITER = "import time\nwhile True:\n    with open('reading', 'w') as f:\n        f.write('21.5')\n    time.sleep_ms(5)\n"
HANG = "fsfreeze -f /var/lib/mpyd/flash; sleep 1; mpyctl reset --no-wait"


def boot_id(machine):
    return machine.run("tr -d - </proc/sys/kernel/random/boot_id").strip()


def test_board_that_hangs_in_the_kernel_reboots_the_host(guests):
    """Once: the next boot knows why; the budget is kept over it; a snooze and the budget hold it back."""
    machine = guests()
    before = boot_id(machine)
    machine.run(DISK)
    machine.write("/var/lib/mpyd/flash/main.py", WRITER)
    machine.run("mpyctl reset --no-wait")
    machine.until("cat /var/lib/mpyd/flash/reading", lambda out: out == "21.5")
    machine.run("mpyctl snooze 1h")
    machine.run(HANG)
    machine.log_shows("Only a reboot of the host would help (board-stuck)", 60)
    machine.log_shows("an operator has put it off")
    time.sleep(timeout(2))
    assert boot_id(machine) == before
    machine.run("mpyctl snooze off")
    machine.wait_up(420)
    assert boot_id(machine) != before
    machine.until("mpyctl eval '6*7'", lambda out: out.strip() == "42", 120)
    told = machine.history()
    first = [e for e in told if "a reboot that mpyd asked for (board-stuck)" in (e.get("detail") or "")]
    assert first and machine.status()["reset_reason"] == "SOFTWARE", told
    assert "host-reboot" in [e["name"] for e in told]

    machine.run(DISK)
    machine.write("/var/lib/mpyd/flash/main.py", WRITER)
    machine.run("mpyctl reset --no-wait")
    machine.until("cat /var/lib/mpyd/flash/reading", lambda out: out == "21.5")
    machine.run(HANG)
    machine.log_shows("it was rebooted not long ago ([host] reboot-budget)", 60)
    machine.run("fsfreeze -u /var/lib/mpyd/flash")
    machine.until("mpyctl status --json", lambda out: '"state": "running"' in out, 60)


def test_memory_and_tasks_are_limited(guests):
    """As the kernel enforces it: over memory-max the board is killed and history says why; the daemon and the
    host do not notice. Threads end at tasks-max."""
    machine = guests()
    daemon = machine.status()["pid"]
    machine.run("printf '[board]\\nheap-max = 200M\\nmemory-max = 24M\\ntasks-max = 12\\n' "
                ">/etc/mpyd/mpyd.conf.d/limits.conf; mpyctl reload")
    machine.write("/var/lib/mpyd/flash/main.py",
                  "import _thread, time\n"
                  "def wait():\n    while True: time.sleep(1)\n"
                  "n = 0\n"
                  "try:\n    while n < 64:\n        _thread.start_new_thread(wait, ())\n        n += 1\n"
                  "except OSError as e:\n    pass\n"
                  "open('threads', 'w').write(str(n))\n")
    machine.run("mpyctl reset --no-wait")
    threads = int(machine.until("cat /var/lib/mpyd/flash/threads", lambda out: out.strip().isdigit(), 60))
    assert 1 <= threads < 12
    machine.write("/var/lib/mpyd/flash/main.py",
                  "import gc\nkept = []\nwhile True:\n    kept.append(bytearray(b'x' * 100000))\n")
    machine.run("mpyctl reset --no-wait")
    told = machine.until("mpyctl history --json", lambda out: "want of memory" in out, 120)
    assert "SIGKILL" in told or '"signal": 9' in told
    machine.run("rm /var/lib/mpyd/flash/main.py; mpyctl safe-mode leave --no-wait || mpyctl reset --no-wait")
    machine.until("mpyctl eval '6*7'", lambda out: out.strip() == "42", 120)
    assert machine.status()["pid"] == daemon


# A board's kernel has a place for a panic's last words; here it is memory that a reset does not clear.
#
# systemd-pstore is told to wait for the module: what comes with it comes too late otherwise, now and then.
LAST_WORDS = """set -e
mkdir -p /etc/systemd/system/systemd-pstore.service.d
printf '[Unit]\\nAfter=systemd-modules-load.service\\n' >/etc/systemd/system/systemd-pstore.service.d/after.conf
echo ramoops >/etc/modules-load.d/ramoops.conf
modprobe ramoops
grep -q ramoops /sys/module/pstore/parameters/backend
sync
"""


@pytest.mark.parametrize("archived", [False, True])
def test_panic_of_the_kernel(guests, archived):
    """A real one. Its record is found in pstore, and where systemd-pstore has put it."""
    machine = guests()
    machine.run(LAST_WORDS)
    if archived:
        machine.run("rm /etc/systemd/system/systemd-pstore.service; systemctl daemon-reload; "
                    "systemctl enable systemd-pstore.service; sync")
    before = boot_id(machine)
    machine.start("sleep 1; echo c >/proc/sysrq-trigger")
    machine.wait_up(420)
    machine.until("mpyctl status --json", lambda out: '"state": "idle"' in out, 120)
    assert boot_id(machine) != before
    where = "/var/lib/systemd/pstore" if archived else "/sys/fs/pstore"
    assert "Panic#" in machine.until(f"find {where} -name 'dmesg*' | xargs head -qn1", lambda out: out.strip())
    status = machine.status()
    assert (status["reset_cause"], status["reset_reason"]) == ("PWRON_RESET", "UNKNOWN"), status
    reset = [e for e in machine.history() if e["type"] == "reset" and e["kind"] == "hard"][-1]
    assert reset["detail"] == "first start since the host booted, after a kernel panic", reset
    told = machine.run("mpyctl history show")
    assert "the kernel left a record of a panic" in told and where in told, told

    # The next reboot, a clean one, is not that panic again: neither when the record stays where it is, nor
    # when it has been archived since.
    if not archived:
        machine.run("/usr/lib/systemd/systemd-pstore; find /var/lib/systemd/pstore | grep dmesg; sync")
    machine.run("systemctl --no-block reboot")
    machine.wait_up(420)
    machine.until("mpyctl status --json", lambda out: '"state": "idle"' in out, 120)
    reset = [e for e in machine.history() if e["type"] == "reset" and e["kind"] == "hard"][-1]
    assert "panic" not in (reset.get("detail") or ""), reset
