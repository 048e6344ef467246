# SPDX-License-Identifier: MIT
"""Power goes away while the board resets. Whatever the board has seen as done (a hard reset is
durable before the next boot's first line) is in the history afterwards, the database is whole, and
the board boots."""
import os
import random
import time

import pytest
from machines import guest
from machines.guest import Disk
from machines.host import run, timeout

CUTS = int(os.environ.get("MPYD_POWER_CUTS") or 30)  # of each kind of disk

# Every boot says its number on the console and ends in a hard reset, from another stage each
# time, so that history writes a row for each instead of counting a storm.
BOOT_PY = """
import machine
rtc = machine.RTC()
n = int(rtc.memory() or b'0')
print('boot %d' % n)
rtc.memory(b'%d' % (n + 1))
if n % 2:
    machine.reset()
"""
MAIN_PY = "import machine\nmachine.reset()\n"
# The board waits for the disk as long as it can be told to: what it then says is a promise.
CONFIG = """[reset]
burst = 100000
rate = unlimited
[history]
commit-timeout = 10s
"""
# What the console says goes to the host by a port of its own.
REPORT = "exec cat /run/mpyd/repl >/dev/virtio-ports/org.mpyd.acknowledged"
START = """set -e
systemctl stop mpyd
mount {options} /dev/disk/by-id/virtio-data /var/lib/mpyd
"""
READ = """set -e
[ -e /var/lib/mpyd/history.db ] || exit 0
sqlite3 /var/lib/mpyd/history.db 'pragma integrity_check' \\
        'select id, cause, kind, late, repeats from resets order by id'
"""
GO = """set -e
systemd-tmpfiles --create mpyd.conf
cp /root/boot.py /root/main.py /var/lib/mpyd/flash/
systemctl start mpyd
"""


def acknowledged(machine):
    """Numbers of the boots that were reported, in order."""
    text = machine.acknowledged.read_bytes() if machine.acknowledged.exists() else b""
    lines = text.split(b"\n")[:-1]  # the last one may be cut
    return [int(words[1]) for line in lines if (words := line.split())[:1] == [b"boot"]
            and len(words) == 2]


def rows(text):
    """(integrity, [(id, cause, kind, late, repeats)]) as READ printed it."""
    lines = text.splitlines()
    if not lines:
        return "ok", []
    return lines[0], [tuple(int(n) for n in line.split("|")) for line in lines[1:]]


class Cycle:
    """Switches a fresh guest on with the disk as the last cut left it."""

    def __init__(self, guests, disk, expected):
        self.disk = disk
        self.machine = m = guests()
        m.plug(disk)
        m.run("for i in $(seq 100); do [ -b /dev/disk/by-id/virtio-data ] && exit; sleep 0.1; "
              "done; exit 1")
        m.run(START.format(options=""))
        integrity, self.found = rows(m.run(READ))
        assert integrity == "ok", integrity
        kernel = m.run("dmesg | grep -E 'EXT4-fs (error|warning)' || :")
        assert kernel == "", kernel
        if expected is not None:
            last_id, boots = expected
            new = [r for r in self.found if r[0] > last_id]
            # One row for power-on, then one for each hard reset; none was late, none a repeat.
            assert len(new) >= boots, f"{boots} boots were reported, {len(new)} rows are there"
            assert not any(late or repeats for _, _, _, late, repeats in new), new

    def resets(self, at_least, extra):
        """Lets the board reset until so many boots were reported, then cuts the power after so
        many seconds more. (last row before it, boots reported)."""
        m = self.machine
        m.write("/root/boot.py", BOOT_PY)
        m.write("/root/main.py", MAIN_PY)
        m.write("/etc/mpyd/mpyd.conf", CONFIG)
        m.start(REPORT_WHEN_THERE)
        m.run(GO)
        deadline = time.monotonic() + timeout(60)
        while len(acknowledged(m)) < at_least:
            assert time.monotonic() < deadline, (
                f"the board did not get to {at_least} boots: {m.execute('mpyctl log').stdout}")
            time.sleep(0.01)
        time.sleep(extra)
        m.cut_power()
        self.disk.cut()
        numbers = acknowledged(m)
        # Reports that were lost on the way to the port are the first ones, before it was read.
        assert numbers == sorted(numbers), numbers
        return max([r[0] for r in self.found], default=0), (numbers[-1] + 1 if numbers else 0)


REPORT_WHEN_THERE = ("while [ ! -e /run/mpyd/repl ] || ! systemctl -q is-active mpyd; do sleep 0.05; "
                     "done; " + REPORT)


@pytest.mark.parametrize("volatile", [False, True], ids=["disk", "volatile-disk-cache"])
def test_no_durable_record_is_lost(guests, scratch, volatile):
    chance = random.Random(f"mpyd {volatile}")
    image = scratch / f"state-{volatile}.raw"
    run(["truncate", "-s", "64M", image])
    run(["mke2fs", "-q", "-t", "ext4", image])
    disk = Disk(image, volatile)
    expected, total = None, 0
    try:
        for number in range(CUTS):
            cycle = Cycle(guests, disk, expected)
            expected = cycle.resets(chance.choice((0, 1, 3, 10, 25)), chance.uniform(0, 0.3))
            total += expected[1]
            guest.discard(cycle.machine)
        last = Cycle(guests, disk, expected)
        assert total > CUTS, f"only {total} boots were reported in {CUTS} cuts"
        last.machine.run("rm -f /var/lib/mpyd/flash/*.py; systemctl start mpyd")
        assert last.machine.run("mpyctl eval '6*7'").strip() == "42"
        last.machine.run("systemctl stop mpyd; umount /var/lib/mpyd; sync")
        last.machine.close()
    finally:
        disk.cut()
    run(["e2fsck", "-fn", image])
    print(f"{CUTS} cuts, {total} boots reported")
