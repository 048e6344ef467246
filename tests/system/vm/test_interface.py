# SPDX-License-Identifier: MIT
"""mpyd-action's verbs for network interfaces with the kernel's own drivers: a network card that is plugged in, and
a simulated radio."""
import json

ASK = """import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect('/run/mpyd-action')
s.send(sys.argv[1].encode())
print(s.recv(4096).decode())
"""


def ask(machine, **request):
    machine.write("/root/ask.py", ASK)
    return machine.run(f"python3 /root/ask.py '{json.dumps(request)}'").strip()


def test_driver_is_bound_again(guests):
    machine = guests()
    machine.qmp("netdev_add", type="hubport", id="wire", hubid=0)
    machine.qmp("device_add", driver="virtio-net-pci", netdev="wire", id="card")
    index = machine.until("cat /sys/class/net/eth0/ifindex", lambda out: out.strip())
    assert ask(machine, verb="rebind", interface="eth0") == "ok eth0 is back"
    assert machine.run("cat /sys/class/net/eth0/ifindex") != index
    assert ask(machine, verb="rebind", interface="lo") == "failed lo has no hardware with a driver"
    assert "Taking eth0 from its driver, virtio_net" in machine.run("journalctl -q -o cat -u 'mpyd-action@*'")


def test_radio_is_switched(guests):
    machine = guests()
    machine.run("modprobe mac80211_hwsim radios=1")
    machine.until("ls /sys/class/net", lambda out: "wlan0" in out)
    assert ask(machine, verb="radio", interface="wlan0", on=False) == "ok the radio of wlan0 is off"
    assert "RF-kill" in machine.execute("ip link set wlan0 up").stderr
    assert ask(machine, verb="radio", interface="wlan0", on=True) == "ok the radio of wlan0 is on"
    machine.run("ip link set wlan0 up")
