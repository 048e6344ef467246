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


FED = """import machine, time
w = machine.WDT(timeout=3000)
t = machine.Timer(-1)
t.init(period=500, callback=lambda t: open('tick', 'w').write(str(time.ticks_ms())))
while True:
    w.feed()
    time.sleep_ms(100)
    try:
        open('stop')
        while True: time.sleep(1)
    except OSError: pass
    try:
        open('sleep')
        import os
        os.remove('sleep')
        machine.deepsleep(4000)
    except OSError: pass
"""


def uptime(machine):
    return float(machine.run("cat /proc/uptime").split()[0])


def test_clock_that_jumps(guests):
    """By years, both ways (a battery-less board whose clock is set from the network): no watchdog bites for it, none
    fails to bite, a deep sleep is as long as it was to be, and the history stays in the order in which it happened."""
    machine = guests()
    machine.write("/var/lib/mpyd/flash/main.py", FED)
    machine.run("mpyctl reset")
    machine.until("mpyctl --json status", lambda out: '"state": "running"' in out)
    pid = machine.status()["board_pid"]
    for jump in ("+1 year", "-3 years", "+2 days"):
        machine.run(f"date -s '{jump}'")
        time.sleep(timeout(1))
        first = machine.run("cat /var/lib/mpyd/flash/tick")
        machine.until("cat /var/lib/mpyd/flash/tick", lambda out, first=first: out and out != first, 20)
        status = machine.status()
        assert (status["board_pid"], status["state"]) == (pid, "running"), status

    begin = uptime(machine)
    machine.run("touch /var/lib/mpyd/flash/sleep")
    machine.until("mpyctl --json status", lambda out: '"state": "deep-sleep"' in out)
    machine.run("date -s '+5 years'; sleep 1; date -s '-10 years'")
    machine.until("mpyctl --json status", lambda out: '"reset_cause": "DEEPSLEEP_RESET"' in out
                  and '"state": "running"' in out, 60)
    assert 4 <= uptime(machine) - begin < 60

    machine.run("date -s '+1 year' && touch /var/lib/mpyd/flash/stop && date -s '-2 years'")
    machine.until("mpyctl --json status", lambda out: '"reset_cause": "WDT_RESET"' in out, 60)
    machine.run("rm /var/lib/mpyd/flash/stop")
    causes = [e["cause"] for e in machine.history() if e["type"] == "reset"]
    assert causes.index("DEEPSLEEP_RESET") < causes.index("WDT_RESET"), causes
    ids = [e["id"] for e in machine.history()]
    assert ids == sorted(ids)
    assert machine.status()["crashes"] == 0
