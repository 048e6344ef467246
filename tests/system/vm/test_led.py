# SPDX-License-Identifier: MIT
"""The status LED on a LED of the kernel's: one of the keyboard's, which every emulated PC has. Whether it is lit is asked
of the keyboard (evdev), not of the file that is written."""
import re

LED = "/sys/class/leds/input0::capslock"
CAPSLOCK = 1  # LED_CAPSL of linux/input-event-codes.h
# Looks as often as it can and says what it has seen: EVIOCGLED(1) of linux/input.h.
WATCH = f"""
import fcntl, os, sys, time
fd, seen, end = os.open('/dev/input/event0', os.O_RDONLY), '', time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    lit = str(fcntl.ioctl(fd, 0x80014519, b'\\0')[0] >> {CAPSLOCK} & 1)
    if seen[-1:] != lit:
        seen += lit
    time.sleep(0.005)
print(seen)
"""


def settle(machine):
    machine.write("/root/watch.py", WATCH)
    machine.run(f"modprobe evdev; mkdir -p /etc/mpyd/mpyd.conf.d; printf '[led]\\nline = {LED}\\n' "
                ">/etc/mpyd/mpyd.conf.d/led.conf; systemctl restart mpyd")
    # The sandbox knows the names that boards have. For another one the warning says what to do.
    told, = machine.status()["warnings"]
    allow = re.search(r"systemctl edit mpyd, and add (ReadWritePaths=\S+) to \[Service\]", told)
    assert allow, told
    machine.run("mkdir -p /etc/systemd/system/mpyd.service.d; "
                f"printf '[Service]\\n{allow[1]}\\n' >/etc/systemd/system/mpyd.service.d/override.conf; "
                "systemctl daemon-reload; systemctl restart mpyd")
    assert machine.status()["warnings"] == []


def seen(machine, seconds=3):
    return machine.run(f"python3 /root/watch.py {seconds}").strip()


def test_status_on_a_led_of_the_kernels(guests):
    machine = guests()
    before = machine.run(f"cat {LED}/trigger")
    assert "[kbd-capslock]" in before
    settle(machine)
    assert "[none]" in machine.run(f"cat {LED}/trigger")
    machine.run("mpyctl safe-mode enter")
    assert "101" in seen(machine, 12)
    machine.run("systemctl stop mpyd")
    assert seen(machine, 1) == "0"
    assert machine.run(f"cat {LED}/trigger") == before  # the kernel's again


def test_led_that_goes_while_it_is_lit(guests):
    machine = guests()
    settle(machine)
    machine.run("mpyctl safe-mode enter")
    machine.run("printf serio0 >/sys/bus/serio/drivers/atkbd/unbind")
    machine.until("ls /sys/class/leds", lambda out: "capslock" not in out)
    told, = machine.until("sleep 2; mpyctl --json status | python3 -c "
                          "'import json, sys; print(*json.load(sys.stdin)[\"warnings\"], sep=\"\\n\")'",
                          lambda out: out.strip()).splitlines()
    assert "no such LED" in told or "No such device" in told, told
    lines = [line for line in machine.run("mpyctl log").splitlines() if LED in line]
    assert len(lines) == 1, lines  # not at each blink
    assert machine.evaluate("6*7") == "42"
    machine.run("mpyctl safe-mode leave")
    assert machine.status()["crashes"] == 0
