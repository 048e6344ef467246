# SPDX-License-Identifier: MIT
"""The last link of the watchdog's chain: a machine on which neither the daemon nor systemd gets the
processor any more is reset by its hardware."""
import json

# Real-time tasks that never sleep, one a processor, with nothing kept back for the others: neither
# the share that older kernels leave them nor the server that newer ones run for them.
STARVE = """
import glob
import os
for path in glob.glob('/sys/kernel/debug/sched/fair_server/cpu*/runtime'):
    with open(path, 'w') as f:
        f.write('0')
with open('/proc/sys/kernel/sched_rt_runtime_us', 'w') as f:
    f.write('-1')
for cpu in range(os.cpu_count() - 1):
    if os.fork() == 0:
        break
else:
    cpu = os.cpu_count() - 1
os.sched_setaffinity(0, {cpu})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))
while True:
    pass
"""


def doctor(machine, check="hardware-watchdog"):
    checks = json.loads(machine.execute("mpyctl --json doctor").stdout)["checks"]
    return next(c for c in checks if c["check"] == check)


def test_starved_machine_is_reset_by_its_watchdog(guests):
    machine = guests()
    # As an owner finds out that it is not armed, and arms it.
    before = doctor(machine)
    assert before["verdict"] == "warning" and "is not armed" in before["text"]
    assert "is not armed" in machine.run("mpyctl status")
    machine.run(before["remedy"].replace("sudo ", ""))
    after = doctor(machine)
    assert after["verdict"] == "fine" and "resets the host after 14s, fed by systemd" in after["text"]
    assert "resets the host after 14s, fed by systemd" in machine.run("mpyctl status")
    assert machine.run("cat /sys/class/watchdog/watchdog0/state").strip() == "active"
    assert machine.run("cat /sys/class/watchdog/watchdog0/timeout").strip() == "14"
    assert machine.run("cat /sys/class/watchdog/watchdog0/bootstatus").strip() == "0"
    before = machine.run("cat /proc/sys/kernel/random/boot_id").strip()
    rows = int(machine.run("sqlite3 /var/lib/mpyd/history.db 'select count(*) from resets'"))
    machine.write("/root/starve.py", STARVE)
    machine.start("exec python3 /root/starve.py")
    assert machine.wait_up(300) != before
    assert "WATCHDOG" in [event["event"] for event in machine.drain_events()]
    machine.execute("systemctl is-system-running --wait", 240)
    # 32 is WDIOF_CARDRESET: the kernel's word that the watchdog reset this machine.
    assert machine.run("cat /sys/class/watchdog/watchdog0/bootstatus").strip() == "32"
    assert machine.run("mpyctl eval '6*7'").strip() == "42"
    after = machine.run("sqlite3 /var/lib/mpyd/history.db 'pragma integrity_check' "
                        "'select count(*) from resets'").split()
    assert after[0] == "ok" and int(after[1]) > rows
    # And the history knows: not a power cut, the watchdog, with the kernel as witness.
    reset = [e for e in machine.history() if e["type"] == "reset" and e["kind"] == "hard"][-1]
    assert "watchdog" in json.dumps(reset["evidence"]), reset


def test_only_the_loop_has_real_time_priority(guests):
    """So that machine.WDT bites in time on a busy machine. proc_pid_stat(5): the policy is the 41st field; sched(7):
    0 is SCHED_OTHER, 2 SCHED_RR."""
    machine = guests()

    def policies(pid):
        stats = machine.run(f"cat /proc/{pid.strip()}/task/*/stat").splitlines()
        return [int(s.rpartition(")")[2].split()[38]) for s in stats]

    machine.write("/var/lib/mpyd/flash/main.py", "import _thread, time\n_thread.start_new_thread(time.sleep, (100,))\n")
    machine.run("mpyctl reset")
    machine.until("mpyctl --json status", lambda out: '"state": "idle"' in out)
    first, *others = policies(machine.run("systemctl show -p MainPID --value mpyd"))
    assert first == 2 and others and not any(others)
    assert not any(policies(str(json.loads(machine.run("mpyctl --json status"))["board_pid"])))
    assert doctor(machine, "priority")["verdict"] == "fine"
