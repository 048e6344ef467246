# SPDX-License-Identifier: MIT
"""What only a kernel of its own shows: limits and confinement as the kernel enforces them, reboots,
power lost with the root file system on the disk that was cut."""
import time

from machines.host import timeout


def test_board_is_confined_to_its_paths(guests):
    """With Landlock in the kernel nothing is left to warn of, and a script gets nowhere."""
    machine = guests()
    status = machine.status()
    assert status["confinement"] == "ok", status["confinement"]
    result = machine.execute("mpyctl exec \"open('/etc/hostname')\"")
    assert result.returncode != 0 and "OSError" in result.stdout + result.stderr, result


def test_reboot_is_recorded_as_one(guests):
    """`systemctl reboot`: a new boot of the host, the daemon's orderly end, no crash."""
    machine = guests()
    before = machine.run("cat /proc/sys/kernel/random/boot_id").strip()
    machine.run("systemctl reboot --no-block")
    assert machine.wait_up() != before
    machine.until("mpyctl eval '6*7'", lambda out: out.strip() == "42", 120)
    told = machine.history()
    assert "daemon-stop" in [e["name"] for e in told]
    last = [e for e in told if e["name"] == "daemon-start"][-1]
    assert last["boot_id"] == machine.run(
        "tr -d - </proc/sys/kernel/random/boot_id").strip()
    assert machine.status()["crashes"] == 0


def test_machine_boots_after_power_was_cut(guests):
    """Power goes while the board resets; the machine boots from the same disk, its database is
    whole and its board runs. Twice."""
    machine = guests()
    for _ in range(2):
        machine.write("/var/lib/mpyd/flash/main.py",
                      "import machine, os\nos.sync()\nmachine.reset()\n")
        machine.run("sync; mpyctl reset")
        time.sleep(timeout(2))
        machine.cut_power()
        machine = guests(disk=machine.disk)
        assert machine.run("sqlite3 /var/lib/mpyd/history.db 'pragma integrity_check'"
                           ).strip() == "ok"
        machine.run("rm /var/lib/mpyd/flash/main.py")
        machine.until("mpyctl status --json", lambda out: '"running": true' in out, 120)
        machine.until("mpyctl eval '6*7'", lambda out: out.strip() == "42", 120)
