# SPDX-License-Identifier: MIT
"""The hardware of a network interface, by mpyd-action on a tree made like sysfs, with a thread for the kernel; what the
kernel's own does is in tests/system/vm/test_interface.py."""
import json
import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from mpydtest import timeout
from mpydtest.paths import action_program

DEVICE, DRIVER = "0000:00:03.0", "bus/pci/drivers/e1000e"


class Sysfs:
    """eth0 with a device and a driver, wlan0 with a radio, lo with nothing. back: the name of the interface when the
    driver has its device again, None for none. lets_go, takes: whether the driver does."""

    def __init__(self, top, back="eth0", lets_go=True, takes=True):
        self.top, self.back, self.takes, self.seen = top, back, takes, []
        self.device = top / "devices/pci0" / DEVICE
        self.driver = top / DRIVER
        for directory in ("class/net", "devices/virtual/net/lo", "devices/wifi/ieee80211/phy0/rfkill3",
                          "devices/wifi/net/wlan0", DRIVER):
            (top / directory).mkdir(parents=True)
        self.device.mkdir(parents=True)
        (self.device / "driver").symlink_to(self.driver)
        self.link("lo", top / "devices/virtual/net/lo")
        self.link("wlan0", top / "devices/wifi/net/wlan0")
        self.rfkill = top / "devices/wifi/ieee80211/phy0/rfkill3"
        (top / "devices/wifi/net/wlan0/phy80211").symlink_to(self.rfkill.parent)
        for name in ("soft", "hard"):
            (self.rfkill / name).write_text("0\n")
        for name, works in (("unbind", lets_go), ("bind", takes)):
            if works:
                os.mkfifo(self.driver / name)
            else:
                (self.driver / name).mkdir()  # writing to it fails
        self.interface("eth0")
        if lets_go:
            threading.Thread(target=self.kernel, daemon=True).start()

    def link(self, name, directory):
        (self.top / "class/net" / name).symlink_to(directory)

    def interface(self, name):
        directory = self.device / "net" / name
        directory.mkdir(parents=True)
        (directory / "device").symlink_to(self.device)
        self.link(name, directory)

    def kernel(self):
        self.seen.append(("unbind", (self.driver / "unbind").read_text()))
        shutil.rmtree(self.device / "net")
        (self.top / "class/net/eth0").unlink()
        if not self.takes:
            return
        self.seen.append(("bind", (self.driver / "bind").read_text()))
        time.sleep(0.3)
        if self.back:
            self.interface(self.back)


def ask(sysfs, **request):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        p = subprocess.Popen([str(action_program()), "--sys", str(sysfs.top)], stdin=theirs)
        theirs.close()
        ours.send(json.dumps(request).encode())
        ours.settimeout(timeout(60))
        answer = ours.recv(4096).decode()
        assert (p.wait(30) == 0) == (answer.split()[0] == "ok"), answer
    return answer


@pytest.mark.parametrize("back, answer", [
    ("eth0", "ok eth0 is back"),
    ("eth1", "ok eth0 is back as eth1"),
    (None, "again the driver has taken the device of eth0 back and makes no interface of it")])
def test_driver_is_bound_again(tmp_path, back, answer):
    sysfs = Sysfs(tmp_path, back)
    assert ask(sysfs, verb="rebind", interface="eth0") == answer
    assert sysfs.seen == [("unbind", DEVICE), ("bind", DEVICE)]


def test_driver_that_does_not_take_its_device_back(tmp_path):
    """Tried for a while; then what a person could do is said."""
    sysfs = Sysfs(tmp_path, takes=False)
    answer = ask(sysfs, verb="rebind", interface="eth0")
    assert answer.startswith(f"failed the driver does not take {DEVICE}, the device of eth0, back (")
    assert f"(Is a directory); try: echo {DEVICE} >" in answer


def test_driver_that_does_not_let_go(tmp_path):
    sysfs = Sysfs(tmp_path, lets_go=False)
    assert ask(sysfs, verb="rebind", interface="eth0") == \
        "failed the driver of eth0 does not let go of it (Is a directory)"
    assert sysfs.seen == []


def test_what_has_no_driver(tmp_path):
    sysfs = Sysfs(tmp_path)
    assert ask(sysfs, verb="rebind", interface="lo") == "failed lo has no hardware with a driver"
    assert ask(sysfs, verb="rebind", interface="eth9") == "again there is no interface eth9"
    assert ask(sysfs, verb="radio", interface="eth0", on=True) == "failed eth0 has no radio that can be switched"
    assert ask(sysfs, verb="radio", interface="eth9", on=True) == "failed eth9 has no radio that can be switched"
    assert sysfs.seen == []


@pytest.mark.parametrize("name", ["", ".", "..", "../net/eth0", "eth0/device", "a" * 16, "eth 0", "eth0\n", None, 7])
def test_names_that_lead_elsewhere(tmp_path, name):
    sysfs = Sysfs(tmp_path)
    for verb in ("rebind", "radio"):
        assert ask(sysfs, verb=verb, interface=name, on=True) == "failed not a request: no interface is named"
    assert sysfs.seen == []


def test_radio_is_switched(tmp_path):
    sysfs = Sysfs(tmp_path)
    assert ask(sysfs, verb="radio", interface="wlan0", on=False) == "ok the radio of wlan0 is off"
    assert (sysfs.rfkill / "soft").read_text()[0] == "1"
    assert ask(sysfs, verb="radio", interface="wlan0", on=True) == "ok the radio of wlan0 is on"
    assert (sysfs.rfkill / "soft").read_text()[0] == "0"
    assert ask(sysfs, verb="radio", interface="wlan0") == "failed not a request: on is neither true nor false"
    (sysfs.rfkill / "hard").write_text("1\n")
    assert ask(sysfs, verb="radio", interface="wlan0", on=True) == \
        "failed the radio of wlan0 is switched off by a switch on the machine"
    (sysfs.rfkill / "soft").unlink()
    (sysfs.rfkill / "soft").mkdir()
    assert ask(sysfs, verb="radio", interface="wlan0", on=False) == \
        "failed the radio of wlan0 cannot be switched off (Is a directory)"
