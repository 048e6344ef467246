# SPDX-License-Identifier: MIT
"""A program as people have it on an ESP32: a package of several modules, asyncio, HTTPS, files, a watchdog; brought
by mpremote, used over the network, and still right after resets and a crash."""
import json
import os
import re
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request

import pytest

from mpydtest import SOURCE
from mpydtest.paths import micropython_dir
from mpydtest.paths import timeout as scaled

PROGRAM = {
    "main.py": """\
import asyncio
from station import app

asyncio.run(app.main())
""",
    "lib/station/__init__.py": '__version__ = "1.2"\n',
    "lib/station/settings.py": """\
import json
import os

PATH = "/settings.json"
DEFAULT = {"period_ms": 20, "name": "greenhouse"}


def load():
    try:
        with open(PATH) as f:
            return dict(DEFAULT, **json.load(f))
    except OSError:
        return dict(DEFAULT)


def store(settings):
    with open(PATH + ".new", "w") as f:
        json.dump(settings, f)
    os.rename(PATH + ".new", PATH)
""",
    "lib/station/journal.py": """\
import os


class Journal:
    def __init__(self, path, lines_max):
        self.path, self.lines_max = path, lines_max
        try:
            with open(path) as f:
                self.lines = sum(1 for _ in f)
        except OSError:
            self.lines = 0

    def append(self, *fields):
        if self.lines >= self.lines_max:
            os.rename(self.path, self.path + ".old")
            self.lines = 0
        with open(self.path, "a") as f:
            f.write(",".join(str(f) for f in fields) + "\\n")
        self.lines += 1
""",
    "lib/station/web.py": """\
import asyncio
import json
import ssl


class Server:
    def __init__(self, routes):
        self.routes = routes

    async def start(self, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("/ec_cert.der", "/ec_key.der")
        return await asyncio.start_server(self.serve, "127.0.0.1", port, ssl=context)

    async def serve(self, reader, writer):
        try:
            method, path, _ = (await reader.readline()).decode().split()
            size = 0
            while (line := await reader.readline()) not in (b"\\r\\n", b""):
                name, _, value = line.decode().partition(":")
                if name.lower() == "content-length":
                    size = int(value)
            body = json.loads(await reader.readexactly(size)) if size else None
            handler = self.routes.get((method, path))
            status, answer = (200, handler(body)) if handler else (404, {"error": path})
            text = json.dumps(answer)
            writer.write("HTTP/1.0 {} X\\r\\nContent-Length: {}\\r\\n\\r\\n{}".format(status, len(text), text))
            await writer.drain()
        finally:
            writer.close()
            await writer.wait_closed()
""",
    "lib/station/app.py": """\
import asyncio
import gc
import machine
import sys
import time

import station
from station import settings, web
from station.journal import Journal

boots = machine.RTC().memory()
boots = int(boots) + 1 if boots else 1
machine.RTC().memory(str(boots))


async def sample(config, journal, state):
    while True:
        state["samples"] += 1
        journal.append(boots, state["samples"], time.time())
        await asyncio.sleep_ms(config["period_ms"])


async def feed(watchdog):
    while True:
        watchdog.feed()
        await asyncio.sleep_ms(200)


async def main():
    config = settings.load()
    state = {"samples": 0}
    journal = Journal("/readings.csv", 1000)
    stop = asyncio.Event()

    def status(_):
        return {"version": station.__version__, "boots": boots, "cause": machine.reset_cause(),
                "name": config["name"], "samples": state["samples"], "platform": sys.platform}

    def change(body):
        config.update(body)
        settings.store(config)
        return config

    def restart(_):
        stop.set()
        return {}

    server = await web.Server({("GET", "/status"): status, ("PUT", "/settings"): change,
                               ("POST", "/restart"): restart}).start(%PORT%)
    tasks = [asyncio.create_task(sample(config, journal, state)),
             asyncio.create_task(feed(machine.WDT(timeout=5000)))]
    print("serving")
    await stop.wait()
    for task in tasks:
        task.cancel()
    server.close()
    await server.wait_closed()
    gc.collect()
    machine.soft_reset()
""",
}
PORT = 28931  # no port that the kernel gives away by itself
HARD_RESET, SOFT_RESET = 2, 5


class Client:
    """Of the program's own interface."""

    def __init__(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))

    def ask(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"https://127.0.0.1:{PORT}{path}", data, method=method)
        with self.opener.open(request, timeout=scaled(10)) as answer:
            return json.load(answer)

    def status_when(self, condition):
        """Asked again and again, over the time in which nobody serves."""
        deadline = time.monotonic() + scaled(30)
        while time.monotonic() < deadline:
            try:
                status = self.ask("GET", "/status")
                if condition(status):
                    return status
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError("it does not serve as expected")


@pytest.fixture
def brought(boards, tmp_path):
    """The program on a board, copied there by mpremote as its developer does."""
    source = tmp_path / "program"
    for name, text in PROGRAM.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text.replace("%PORT%", str(PORT)))
    for name in ("ec_cert.der", "ec_key.der"):
        (source / name).write_bytes((micropython_dir() / "tests/multi_net" / name).read_bytes())
    b = boards()
    b.mpremote("cp", "-r", *(str(p) for p in sorted(source.iterdir())), ":")
    b.mpremote("reset")
    return b


def test_a_program_of_several_modules(brought):
    b, client = brought, Client()
    first = client.status_when(lambda s: s["samples"] > 3)
    assert first["version"] == "1.2" and first["boots"] == 1 and first["cause"] == HARD_RESET
    assert b.get("WatchdogTimeout") == 5_000_000

    # Changed over the network, by the program's own means; there after a soft reset.
    assert client.ask("PUT", "/settings", {"name": "lift shaft"})["name"] == "lift shaft"
    client.ask("POST", "/restart")
    second = client.status_when(lambda s: s["boots"] == 2)
    assert second["name"] == "lift shaft" and second["cause"] == SOFT_RESET
    with pytest.raises(urllib.error.HTTPError, match="404"):
        client.ask("GET", "/nothing")

    # It dies, and comes back by itself.
    os.kill(b.board_pid(), signal.SIGKILL)
    third = client.status_when(lambda s: s["boots"] == 3)
    assert third["name"] == "lift shaft"

    # Its developer looks at its files while it runs, edits one, and lets it go on.
    lines = b.ctl("cat", ":readings.csv").stdout.splitlines()
    assert {line.split(",")[0] for line in lines} == {"1", "2", "3"}
    assert all(line.count(",") == 2 for line in lines)
    assert "lift shaft" in b.mpremote("cat", ":settings.json").stdout
    b.mpremote("exec", "import json\ns = json.load(open('settings.json'))\ns['name'] = 'field'\n"
                       "json.dump(s, open('settings.json', 'w'))")
    b.mpremote("reset")
    fourth = client.status_when(lambda s: s["name"] == "field")
    assert fourth["cause"] == HARD_RESET


def host_address():
    """From where the host would send; connect() of UDP sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]
        except OSError:
            return "0.0.0.0"


def test_a_program_that_begins_with_network_runs_with_the_module_of_the_document(boards):
    """docs/coming-from-micropython.md has it."""
    text = (SOURCE / "docs/coming-from-micropython.md").read_text()
    module, = [block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "class WLAN" in block]
    b = boards({"lib/network.py": module, "main.py": """\
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
if not wlan.isconnected():
    wlan.connect("greenhouse", "secret")
for _ in range(5):
    if wlan.isconnected():
        break
    time.sleep_ms(20)
print("network config:", wlan.ifconfig()[0], wlan.isconnected(), wlan.status() == network.STAT_GOT_IP)
print("access point:", network.WLAN(network.WLAN.IF_AP).active())
print("ipconfig:", wlan.ipconfig("addr4")[0], network.hostname(), len(wlan.config("mac").hex()),
      wlan.status("rssi") < 0)
wlan.config(hostname="greenhouse")
wlan.active(False)
print("remembers:", network.hostname(), network.country(), wlan.active(), wlan.isconnected(), wlan.active(True))
wlan.disconnect()
print("off:", wlan.isconnected())
network.WLAN().connect("greenhouse")
print("on:", wlan.isconnected())
try:
    network.WLAN(network.AP_IF).active(True)
except OSError as e:
    print("no:", e)
"""})
    address = host_address()
    connected = address != "0.0.0.0"
    b.wait_log(f"network config: {address} {connected} {connected}")
    b.wait_log("access point: False")
    b.wait_log(f"ipconfig: {address} board 12 True")
    b.wait_log("remembers: greenhouse XX False False True")
    b.wait_log("off: False")
    b.wait_log(f"on: {connected}")
    b.wait_log("no: an access point is the host's affair")
