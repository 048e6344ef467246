# SPDX-License-Identifier: MIT
"""The host sleeps, by the kernel's own suspend-to-idle, and a key wakes it. The kernel of this machine lets
CLOCK_MONOTONIC run on meanwhile, as on a processor without a driver for it: longer than the watchdog's time.

The agent's port does not survive it (the driver forgets that somebody is at its other end), so that a script
in the guest does what is to be done, and writes to the console what has come of it."""
import json
import time

from machines.host import timeout

FED = """import machine
if machine.reset_cause() != machine.WDT_RESET:
    w = machine.WDT(timeout=3000)
    while True:
        w.feed()
        for _ in range(1000): pass
"""
DOZES = "import machine\nif machine.reset_cause() != machine.DEEPSLEEP_RESET: machine.deepsleep(5000)\n"
SECONDS = 8
SUSPEND = """
told() { until mpyctl --json history | grep -q "$1"; do sleep 0.2; done; }
clocks() { python3 -c 'import time; print(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))'; }
before=$(clocks)
systemctl suspend --no-block
told host-resume
after=$(clocks)
"""
REPORT = """
{ echo; echo REPORT; echo $before $after; cat /sys/power/suspend_stats/success; systemctl show mpyd -P NRestarts
systemd-inhibit --list --no-legend | grep -w sleep | grep -c mpyd
mpyctl --json status | tr -d '\\n'; echo; mpyctl --json history | tr -d '\\n'; echo; echo DONE; } >/dev/ttyS0
"""


def sleep_and_report(machine, then=""):
    """Sleeps for SECONDS, runs a script, and tells: (status, history). A sleep that was none is an error."""
    machine.run("for f in /sys/devices/platform/i8042/serio*/power/wakeup; do echo enabled >$f; done; "
                "echo s2idle >/sys/power/mem_sleep")
    machine.write("/root/sleep.sh", SUSPEND + then + REPORT)
    machine.start("exec bash /root/sleep.sh")
    time.sleep(timeout(SECONDS))
    deadline = time.monotonic() + timeout(120)
    while "\nDONE" not in (told := machine.serial.read_text(errors="replace")):
        assert time.monotonic() < deadline, told[-3000:]
        machine.qmp("send-key", keys=[{"type": "qcode", "data": "a"}])
        time.sleep(1)
    clocks, sleeps, restarts, locks, status, history = told.split("\nREPORT")[1].split("\nDONE")[0].split("\n")[1:]
    before, boot_before, after, boot_after = map(float, clocks.split())
    assert boot_after - boot_before >= SECONDS - 2, clocks
    assert (sleeps.strip(), restarts.strip(), locks.strip()) == ("1", "0", "1"), told[-3000:]
    print(f"CLOCK_MONOTONIC went on for {after - before:.1f} s")
    return json.loads(status), json.loads(history)


def names(history):
    return [e["name"] or e["cause"] for e in history]


def test_watchdog_stands_still_while_the_host_sleeps(guests):
    machine = guests()
    machine.run("mkdir -p /etc/mpyd/mpyd.conf.d")
    machine.write("/etc/mpyd/mpyd.conf.d/stall.conf", "[watchdog]\nstall-after = 4s\n")
    machine.write("/var/lib/mpyd/flash/main.py", FED)
    machine.run("mpyctl reload && mpyctl reset")
    machine.until("mpyctl --json status", lambda out: json.loads(out)["watchdog_timeout"] > 0)
    pid = machine.status()["board_pid"]
    # Longer than it has without a feed; and then the program is stopped for real.
    _, history = sleep_and_report(machine, f"sleep 4\nkill -STOP {pid}\n"
                                           "told WDT_RESET\n")
    told = names(history)
    assert "stalled" not in json.dumps(history)
    assert told[-3:] == ["host-sleep", "host-resume", "WDT_RESET"], told
    assert history[-1]["boottime_usec"] - history[-2]["boottime_usec"] >= 6_000_000, history[-2:]


def test_deep_sleep_goes_on_while_the_host_sleeps(guests):
    """Its time is over when the host wakes up: the board starts at once, maybe before logind says why."""
    machine = guests()
    machine.write("/var/lib/mpyd/flash/main.py", DOZES)
    machine.run("mpyctl reset --no-wait")
    machine.until("mpyctl --json status", lambda out: json.loads(out)["state"] == "deep-sleep")
    status, history = sleep_and_report(machine, "told DEEPSLEEP_RESET\n")
    assert names(history)[-3] == "host-sleep" and status["crashes"] == 0
    assert set(names(history)[-2:]) == {"host-resume", "DEEPSLEEP_RESET"}
    assert history[-2]["boottime_usec"] - history[-3]["boottime_usec"] >= 6_000_000
