# SPDX-License-Identifier: MIT
"""Pins on the kernel's own lines: gpio-sim, whose other side is in sysfs. What the simulated chip shows in
`make test` (tests/conformance/test_pins.py, tests/integration/test_pins.py), shown of libgpiod and uAPI v2."""
import json

import pytest

from machines.machine import quote

CHIP = """set -e
modprobe gpio_sim
d=/sys/kernel/config/gpio-sim/board
mkdir -p $d/bank
echo 28 >$d/bank/num_lines
echo header >$d/bank/label
for i in $(seq 0 27); do mkdir $d/bank/line$i; echo GPIO$i >$d/bank/line$i/name; done
echo 1 >$d/live
udevadm settle
echo /sys/devices/platform/$(cat $d/dev_name)/$(cat $d/bank/chip_name)
"""
# Looks at a line as often as it can, on its own, and says what it has seen.
WATCH = """
import sys, time
path, seconds = sys.argv[1], float(sys.argv[2])
seen, n, end = [], 0, time.monotonic() + seconds
while time.monotonic() < end:
    with open(path) as f:
        value = f.read().strip()
    n += 1
    if not seen or seen[-1] != value:
        seen.append(value)
print(n, ''.join(seen))
"""


class Header:
    """The lines of a guest, from outside."""

    def __init__(self, machine):
        self.machine = machine
        self.sim = machine.run(CHIP).split()[-1]
        machine.write("/root/watch.py", WATCH)

    def value(self, n):
        return int(self.machine.run(f"cat {self.sim}/sim_gpio{n}/value"))

    def pull(self, n, way):
        self.machine.run(f"echo pull-{way} >{self.sim}/sim_gpio{n}/pull")

    def lines(self):
        return {entry["name"]: entry for entry in json.loads(self.machine.run("mpyctl --json pin"))}

    def exec(self, code):
        return self.machine.run("mpyctl exec --resume " + quote("from machine import Pin\n" + code))

    def fails(self, code):
        result = self.machine.execute("mpyctl exec --resume " + quote("from machine import Pin\n" + code))
        assert result.returncode == 1, result
        return result.stdout + result.stderr


@pytest.fixture
def header(guests):
    return Header(guests())


def test_pins_on_the_kernels_lines(header):
    machine = header.machine
    line = header.lines()["GPIO17"]
    assert (line["chip"], line["offset"], line["used"]) == ("header", 17, False)

    # levels both ways, pulls, open drain
    header.exec("Pin(17, Pin.OUT, value=1)")
    assert header.value(17) == 1
    header.exec("Pin(17).toggle()")
    assert header.value(17) == 0
    header.pull(4, "up")
    assert header.exec("print(Pin(4, Pin.IN).value())").strip() == "1"
    header.pull(4, "down")
    assert header.exec("print(Pin(4).value())").strip() == "0"
    assert header.exec("p = Pin(5, Pin.IN, Pin.PULL_UP); print(p.value(), p)").strip() == \
        "1 Pin(GPIO5, mode=IN, pull=PULL_UP)"
    line = header.lines()["GPIO17"]
    assert (line["direction"], line["consumer"], line["level"]) == ("output", "mpyd", 0)
    assert header.exec("print(Pin(17))").strip() == \
        "Pin(GPIO17, mode=OUT)"

    # somebody else's line, and one that is not there
    machine.start("exec gpioset --consumer pump GPIO22=1")
    machine.until("mpyctl --json pin", lambda out: '"pump"' in out)
    assert "GPIO22 is used by pump" in header.fails("Pin(22)")
    assert "Pin(GPIO99) doesn't exist" in header.fails("Pin(99)")

    # edges, each once, with the kernel's debouncing on request
    header.exec("seen = []\nPin(4, Pin.IN).irq(lambda p: seen.append(p.irq().flags()))")
    for way in ("up", "down", "up"):
        header.pull(4, way)
    assert machine.until("mpyctl exec --resume 'print(seen)'", lambda out: out.strip() == "[1, 2, 1]")


def test_soft_reset_keeps_the_level_and_forgets_edges(header):
    machine = header.machine
    header.exec("Pin(17, Pin.OUT, value=1)\nfired = []\nPin(4, Pin.IN).irq(lambda p: fired.append(1))")
    watching = f"python3 /root/watch.py {header.sim}/sim_gpio17/value 6"
    machine.start(f"{watching} >/root/seen.txt")
    for _ in range(5):
        machine.run("mpyctl reset --soft")
        assert header.exec("print(Pin(17, Pin.OUT).value(), Pin(17))").strip() == "1 Pin(GPIO17, mode=OUT)"
    # one that needs SIGKILL: it hears nothing and catches everything
    machine.run("mkdir -p /etc/mpyd/mpyd.conf.d && printf '[stop]\\ninterrupt-timeout=100ms\\nabort-timeout=100ms\\n'"
                " >/etc/mpyd/mpyd.conf.d/stop.conf && mpyctl reload")
    machine.start("mpyctl exec --resume " + quote(
        "import machine\nmachine.disable_irq()\nwhile True:\n    try:\n        while True: pass\n"
        "    except BaseException: pass\n"))
    machine.until("mpyctl --json status", lambda out: json.loads(out)["console_holder"] != "")
    machine.run("mpyctl reset --soft")
    n, seen = machine.until("cat /root/seen.txt", lambda out: out.strip(), 60).split()
    assert int(n) > 100 and seen == "1", (n, seen)

    # Edges of before and between are nobody's; detection is off until somebody wants it.
    header.pull(4, "up")
    header.pull(4, "down")
    assert header.exec("import time\nseen = []\nPin(4).irq(lambda p: seen.append(1))\ntime.sleep_ms(300)\nprint(seen)"
                       ).strip() == "[]"
    header.pull(4, "up")
    machine.until("mpyctl exec --resume 'print(seen)'", lambda out: out.strip() == "[1]")


def test_hand_over_keeps_levels(header):
    """As an upgrade does it: systemd holds the lines while nobody else is there."""
    machine = header.machine
    header.pull(17, "down")
    header.exec("Pin(17, Pin.OUT, value=1)\nPin(5, Pin.OPEN_DRAIN, value=0)\nPin(4, Pin.IN).irq(print)")
    watching = f"python3 /root/watch.py {header.sim}/sim_gpio17/value 8"
    machine.start(f"{watching} >/root/seen.txt")
    for _ in range(3):
        pid = machine.unit("MainPID")["MainPID"]
        machine.run("mpyctl restart --keep-pins")
        assert machine.unit("MainPID")["MainPID"] != pid
        assert machine.status()["reset_cause"] == "SOFT_RESET"
        assert header.exec("print(Pin(17), Pin(17, Pin.OUT).value(), Pin(5).value())").strip() == \
            "Pin(GPIO17, mode=OUT) 1 0"
    header.pull(4, "up")  # an edge that nobody waits for any more
    n, seen = machine.until("cat /root/seen.txt", lambda out: out.strip(), 60).split()
    assert int(n) > 100 and seen == "1", (n, seen)
    assert int(machine.run("systemctl show -P NFileDescriptorStore mpyd")) == 2  # none is kept twice
    machine.run("mpyctl reset")  # and a hard reset lets go as ever
    line = header.lines()["GPIO17"]
    assert (line["used"], line["direction"]) == (False, "input")
    header.exec("Pin(17, Pin.OUT, value=1)")
    machine.run("mpyctl restart")  # without --keep-pins nothing stays driven
    line = header.lines()["GPIO17"]
    assert (line["used"], line["direction"], header.value(17)) == (False, "input", 0)
    assert machine.status()["crashes"] == 0


def test_hard_reset_stop_and_a_chip_that_goes(header):
    machine = header.machine
    machine.run("mkdir -p /etc/mpyd/mpyd.conf.d && printf '[pins]\\nsafe-state = GPIO27=1\\nreserve = GPIO2\\n'"
                " >/etc/mpyd/mpyd.conf.d/pins.conf && mpyctl reload && mpyctl reset")
    assert header.value(27) == 1
    assert "[pins] of mpyd.conf keeps GPIO2 from scripts" in header.fails("Pin(2)")
    header.exec("Pin(17, Pin.OUT, value=1)\nPin(27, Pin.OUT, value=0)")
    assert (header.value(17), header.value(27)) == (1, 0)
    machine.run("mpyctl reset")
    now = header.lines()
    assert (now["GPIO17"]["used"], now["GPIO17"]["direction"], header.value(27)) == (False, "input", 1)

    # killed: the next run knows what was left driven
    header.exec("Pin(17, Pin.OUT, value=1)")
    pid = machine.unit("MainPID")["MainPID"]
    machine.run(f"kill -KILL {pid}")
    machine.until("mpyctl --json status", lambda out: json.loads(out).get("pid", 0) not in (0, int(pid)), 60)
    assert "GPIO17" in machine.run("gpioinfo | grep 'GPIO17.*input'")
    assert (header.value(17), header.value(27)) == (0, 1)

    # stopped: nothing is held, nothing was left to drive what it should not
    header.exec("Pin(17, Pin.OUT, value=1)")
    machine.run("systemctl stop mpyd")
    assert '"mpyd"' not in machine.run("gpioinfo")
    assert "GPIO17" in machine.run("gpioinfo | grep 'GPIO17.*input'")
    machine.run("systemctl start mpyd")
    assert header.value(27) == 1

    # taken out under a program, and put in again
    header.exec("p = Pin(17, Pin.OUT, value=1)\nPin(4, Pin.IN).irq(print)")
    machine.run("echo 0 >/sys/kernel/config/gpio-sim/board/live")
    assert "OSError: [Errno 19] ENODEV" in header.fails("Pin(17).value()")
    assert machine.run("mpyctl pin").strip() == "This machine has no GPIO lines."
    # a descriptor that is dead is ready for ever: nobody may turn in circles for it
    pids = [machine.unit("MainPID")["MainPID"], str(machine.status()["board_pid"])]
    stat = "cat " + " ".join(f"/proc/{pid}/stat" for pid in pids)

    def ticks(text):
        return sum(int(n) for line in text.splitlines() for n in line.rsplit(")", 1)[1].split()[11:13])

    before = ticks(machine.run(stat))
    assert ticks(machine.run(f"sleep 2; {stat}")) - before < 100  # of 200 for each that turns
    machine.run("mpyctl reset --soft")
    assert "Pin(GPIO17) doesn't exist" in header.fails("Pin(17)")
    machine.run("echo 1 >/sys/kernel/config/gpio-sim/board/live && udevadm settle")
    header.sim = machine.run("d=/sys/kernel/config/gpio-sim/board; "
                             "echo /sys/devices/platform/$(cat $d/dev_name)/$(cat $d/bank/chip_name)").strip()
    header.exec("Pin(17, Pin.OUT, value=1)")
    assert header.value(17) == 1
    assert header.value(27) == 0  # a new chip, which nobody has told
    machine.run("mpyctl reset")
    assert header.value(27) == 1
    assert machine.status()["crashes"] == 0


EXPANDER = """set -e
d=/sys/kernel/config/gpio-sim/expander
mkdir -p $d/bank
echo 140 >$d/bank/num_lines
echo expander >$d/bank/label
echo 1 >$d/live
udevadm settle
"""


def test_more_lines_than_a_board_may_hold(header):
    """The 129th is refused by a number that says why; those it has stay its own, and a hard reset makes room."""
    machine = header.machine
    machine.run(EXPANDER)
    told = header.exec("held = []\ntry:\n    for n in range(140): held.append(Pin('expander:%d' % n, Pin.OUT, value=1))\n"
                       "except OSError as e: print(len(held), e)\n"
                       "print(sum(p.value() for p in held), Pin('expander:0') is held[0])")
    assert told.split("\n")[:2] == ["128 [Errno 24] EMFILE", "128 True"]
    assert "EMFILE" in header.fails("Pin(17)")
    machine.run("mpyctl reset")
    assert header.exec("print(Pin(17, Pin.OUT, value=1).value())").strip() == "1"
    assert machine.status()["crashes"] == 0


def test_a_pulse(header):
    """At a pin with a pull-up, as reset pins have: low for its time, then as it was, and free. What a crash would leave
    low the next run lets go of."""
    machine = header.machine
    header.pull(5, "up")
    machine.start(f"python3 /root/watch.py {header.sim}/sim_gpio5/value 4 >/root/seen.txt")
    machine.run("sleep 1; mpyctl pin pulse GPIO5 --time 500ms")
    assert machine.until("cat /root/seen.txt", lambda out: out.strip(), 60).split()[1] in ("101", "01")
    line = header.lines()["GPIO5"]
    assert (line["used"], line["direction"], header.value(5)) == (False, "input", 1)

    machine.run("mpyctl pin pulse GPIO5 --time 1min")
    assert header.value(5) == 0
    assert "GPIO5 is used by mpyd-pulse" in header.fails("Pin(5)")
    pid = machine.unit("MainPID")["MainPID"]
    machine.run(f"kill -KILL {pid}")
    machine.until("mpyctl --json status", lambda out: out and json.loads(out).get("pid", 0) not in (0, int(pid)), 60)
    line = header.lines()["GPIO5"]
    assert (line["used"], line["direction"], header.value(5)) == (False, "input", 1)

    # Its chip is taken out while it lasts: that is told, and nothing else happens.
    machine.run("mpyctl pin pulse GPIO5 --time 2s; echo 0 >/sys/kernel/config/gpio-sim/board/live")
    machine.log_shows("The pulse at line GPIO5 has not ended as it should")
    assert machine.evaluate("6*7") == "42"


def test_an_edge_ends_a_sleep(header):
    """Light sleep in the board's own process, deep sleep in the supervisor's, which has let the board go."""
    machine = header.machine
    header.pull(4, "down")
    machine.write("/var/lib/mpyd/flash/main.py",
                  "import machine\nfrom machine import Pin\n"
                  "Pin(4, Pin.IN).irq(None, Pin.IRQ_RISING, wake=machine.SLEEP)\n"
                  "print('dozes')\nmachine.lightsleep()\nprint('woken')\n"
                  "Pin(5, Pin.IN).irq(None, Pin.IRQ_FALLING, wake=machine.DEEPSLEEP)\n"
                  "if machine.reset_cause() != machine.DEEPSLEEP_RESET: machine.deepsleep()\n"
                  "print('back', machine.wake_reason() == machine.PIN_WAKE)\n")
    header.pull(5, "up")
    machine.run("mpyctl reset --no-wait")
    machine.log_shows("dozes")
    machine.run("sleep 1")
    assert "woken" not in machine.run("mpyctl log")
    header.pull(4, "up")
    machine.log_shows("woken")
    machine.until("mpyctl --json status", lambda out: json.loads(out)["state"] == "deep-sleep")
    assert machine.status()["board_pid"] == 0
    header.pull(5, "down")
    comes_to(header, "running")
    machine.until("mpyctl log", lambda log: log.count("dozes") == 2)  # this life's, with its edges on
    assert header.lines()["GPIO5"]["used"] is False  # it has ended the sleep and is nobody's
    header.pull(4, "down")
    header.pull(4, "up")
    machine.log_shows("back True")
    assert [e["cause"] for e in machine.history() if e["type"] == "reset"][-1] == "DEEPSLEEP_RESET"


# ---- the button that is held at boot ----

BUTTONS = """set -e
mkdir -p /etc/mpyd/mpyd.conf.d
cat >/etc/mpyd/mpyd.conf.d/buttons.conf <<'EOF'
[safe-mode]
button = GPIO22
button-bias = none
factory-hold = {factory_hold}
[led]
line = GPIO27
EOF
systemctl restart mpyd
"""
OWN = "import time\nprint('own')\nwhile True: time.sleep(1)\n"
# The chip is there before mpyd at each boot, with the button pressed: somebody holds it while the power comes on.
AT_POWER_ON = """[Unit]
DefaultDependencies=no
After=local-fs.target systemd-udevd.service sys-kernel-config.mount
Wants=sys-kernel-config.mount
Before=mpyd.service
[Service]
Type=oneshot
ExecStart=/bin/sh /root/chip.sh
[Install]
WantedBy=mpyd.service
"""


def held(header):
    """A hard reset with a finger on the button."""
    header.pull(22, "down")
    header.machine.run("mpyctl reset --no-wait")
    header.machine.until("mpyctl --json status", lambda out: "safe-mode button is held" in json.loads(out)["problem"])


def comes_to(header, state):
    header.machine.until("mpyctl --json status", lambda out: json.loads(out)["state"] == state, 60)
    return header.machine.status()


def test_button_held_at_a_reset(header):
    machine = header.machine
    header.pull(22, "up")
    machine.write("/var/lib/mpyd/flash/main.py", OWN)
    machine.run(BUTTONS.format(factory_hold="6s"))
    assert comes_to(header, "running")["warnings"] == []

    held(header)  # let go in time
    header.pull(22, "up")
    assert comes_to(header, "running")["safe_mode"] == ""

    held(header)  # a contact that bounces when it closes and when it opens
    bounce = f"for i in 1 2 3 4 5; do echo pull-up >{header.sim}/sim_gpio22/pull; " \
             f"echo pull-down >{header.sim}/sim_gpio22/pull; done"
    machine.run(f"{bounce}; sleep 1.5; {bounce}")
    header.pull(22, "up")
    assert comes_to(header, "idle")["safe_mode"] == "USER"

    held(header)  # held on, and the LED says what that means
    machine.run(f"sleep 7; python3 /root/watch.py {header.sim}/sim_gpio27/value 2 >/root/led.txt")
    assert machine.run("cat /root/led.txt").split()[1].count("1") >= 3  # two blinks a second
    header.pull(22, "up")
    status = comes_to(header, "idle")
    assert status["factory_reset"].startswith("done") and status["safe_mode"] == ""
    assert machine.run("cat /var/lib/mpyd/before-factory-reset/1/main.py") == OWN
    assert "replace main.py" in machine.run("cat /var/lib/mpyd/flash/main.py")

    held(header)  # its chip goes: what is not there is not held
    machine.run("echo 0 >/sys/kernel/config/gpio-sim/board/live")
    comes_to(header, "idle")
    machine.run("mpyctl reset")
    assert any("GPIO22: this machine has no such line" in line for line in machine.status()["warnings"])
    machine.run("echo 1 >/sys/kernel/config/gpio-sim/board/live && udevadm settle")
    header.sim = machine.run("d=/sys/kernel/config/gpio-sim/board; "
                             "echo /sys/devices/platform/$(cat $d/dev_name)/$(cat $d/bank/chip_name)").strip()
    header.pull(22, "up")
    machine.run("mpyctl reset")
    assert machine.status()["warnings"] == []
    held(header)
    header.pull(22, "up")
    comes_to(header, "idle")


def test_button_held_while_the_power_comes_on(header):
    machine = header.machine
    header.pull(22, "up")
    machine.write("/var/lib/mpyd/flash/main.py", OWN)
    machine.run(BUTTONS.format(factory_hold="2min"))
    comes_to(header, "running")
    machine.write("/root/chip.sh", CHIP + "echo pull-down >/sys/devices/platform/$(cat $d/dev_name)/"
                                          "$(cat $d/bank/chip_name)/sim_gpio22/pull\n")
    machine.write("/etc/systemd/system/chip.service", AT_POWER_ON)
    machine.run("systemctl enable chip.service && sync")
    machine.cut_power()
    machine.boot(420)
    header.sim = machine.run("d=/sys/kernel/config/gpio-sim/board; "
                             "echo /sys/devices/platform/$(cat $d/dev_name)/$(cat $d/bank/chip_name)").strip()
    assert machine.status()["problem"] == "its safe-mode button is held"
    assert machine.unit("ActiveState")["ActiveState"] == "active"  # the service is up, its board waits
    machine.run("sleep 1")
    header.pull(22, "up")
    assert comes_to(header, "idle")["safe_mode"] == "USER"
    assert [e["cause"] for e in machine.history() if e["type"] == "reset"][-1] == "PWRON_RESET"
    machine.run("mpyctl reset")
    assert comes_to(header, "running")["safe_mode"] == ""
