# SPDX-License-Identifier: MIT
"""A virtual machine, emulated (no KVM needed): its power switch, its snapshots, commands in it.

Power is cut by SIGKILL of QEMU: what the guest's kernel had not written to the disk is lost, as in
life. What a disk with a volatile cache loses on top of that, a Disk with volatile=True shows."""
import base64
import itertools
import json
import pathlib
import socket
import subprocess
import time

from .architecture import AMD64
from .host import run, spawn, timeout
from .machine import BootFailure, Machine, quote

APPEND = "panic=-1 random.trust_cpu=on net.ifnames=0 quiet systemd.show_status=0 "
LOAD_TRIES, LOAD_ASK_SECONDS = 6, 10
_numbers = itertools.count(1)


class Disk:
    """A disk that can be plugged in, with the content of a file that outlives the guest. volatile:
    it acknowledges what it has in its cache only, until the guest flushes; cut() loses the rest."""

    def __init__(self, path, volatile=False):
        self.path, self.volatile = pathlib.Path(path), volatile
        self.server = None
        self.socket = self.path.with_suffix(".sock")

    def node(self):
        """The driver's description for blockdev-add."""
        if not self.volatile:
            return {"driver": "raw", "node-name": "data",
                    "file": {"driver": "file", "filename": str(self.path)}}
        self.socket.unlink(missing_ok=True)
        self.server = spawn(["nbdkit", "--foreground", "--exit-with-parent", "--unix",
                             str(self.socket), "--filter=cache", "file", str(self.path),
                             "cache=writeback"])
        deadline = time.monotonic() + timeout(10)
        while not self.socket.exists():
            if time.monotonic() > deadline or self.server.poll() is not None:
                raise BootFailure("nbdkit did not start")
            time.sleep(0.02)
        return {"driver": "raw", "node-name": "data",
                "file": {"driver": "nbd", "server": {"type": "unix", "path": str(self.socket)}}}

    def cut(self):
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server = None


class NoAnswer(AssertionError):
    """The agent is silent."""


class Guest(Machine):
    """kernel: a directory of kernel.py. disk: a qcow2 or raw file that is written to. extra: more for
    QEMU."""

    def __init__(self, kernel, disk, scratch, memory=512, extra=(), label="guest", architecture=AMD64):
        self.label = label
        self.dir = pathlib.Path(scratch) / f"guest-{next(_numbers)}"
        self.dir.mkdir()
        self.serial = self.dir / "serial"
        self.acknowledged = self.dir / "acknowledged"
        self.disk = pathlib.Path(disk)
        self.process = None
        self.numbers = itertools.count(1)
        form = "qcow2" if self.disk.suffix == ".qcow2" else "raw"
        self.command = [
            *architecture.emulator, "-accel", "tcg,thread=multi,tb-size=256", "-smp", "2",
            "-m", str(memory), "-nodefaults", "-display", "none",
            "-kernel", str(kernel / "kernel"), "-initrd", str(kernel / "initrd"),
            "-append", APPEND + architecture.append,
            "-chardev", f"file,id=serial,path={self.serial},append=on", "-serial",
            "chardev:serial", "-qmp", f"unix:{self.dir}/qmp,server=on,wait=off",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={self.dir}/agent,server=on,wait=off",
            "-device", "virtserialport,chardev=agent,name=org.mpyd.agent",
            "-chardev", f"file,id=ack,path={self.acknowledged}",
            "-device", "virtserialport,chardev=ack,name=org.mpyd.acknowledged",
            "-object", "rng-random,id=rng,filename=/dev/urandom",
            "-device", "virtio-rng-pci,rng=rng",
            "-drive", f"if=virtio,file={self.disk},format={form},cache=unsafe",
            *extra]

    # ---- power ----

    def power_on(self, *more):
        """The emulator runs; nothing is waited for."""
        for name in ("qmp", "agent"):
            (self.dir / name).unlink(missing_ok=True)
        with open(self.dir / "qemu", "ab") as log:
            self.process = spawn([*self.command, *more], stdout=log, stderr=subprocess.STDOUT)
        self.monitor = self._connect("qmp")
        self.monitor_file = self.monitor.makefile("rw")
        self.events = []
        self._monitor_line()
        self.qmp("qmp_capabilities")
        self.agent = self._connect("agent")
        self.data = b""
        return self

    def boot(self, seconds=240):
        """Cold: until it has started everything."""
        self.power_on()
        self.wait_up(seconds)
        self.execute("systemctl is-system-running --wait", seconds)
        return self

    def load(self, snapshot):
        """As it was when snapshot was saved; a second or two."""
        self.power_on("-loadvm", snapshot)
        # The port is the host's before it is the guest's again: what is sent meanwhile may be lost.
        for _ in range(LOAD_TRIES):
            try:
                self._ask({"sh": f"date -s @{int(time.time())}", "limit": 60}, LOAD_ASK_SECONDS)
                return self
            except NoAnswer:
                pass
        raise self._fail("did not answer after its snapshot was loaded")

    def cut_power(self):
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process = None
            self.monitor_file.close()
            self.monitor.close()
            self.agent.close()

    close = cut_power

    def _fail(self, what):
        serial = self.serial.read_text(errors="replace")[-3000:] if self.serial.exists() else ""
        log = (self.dir / "qemu").read_text(errors="replace")[-1000:]
        return BootFailure(f"{self.label}: {what}\n{log}\n{serial}")

    def _connect(self, name):
        deadline = time.monotonic() + timeout(20)
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.dir / name))
                return connection
            except OSError:
                connection.close()
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise self._fail("QEMU did not start") from None
                time.sleep(0.02)

    # ---- QEMU's monitor ----

    def _monitor_line(self):
        line = self.monitor_file.readline()
        if not line:
            raise self._fail("QEMU ended")
        return json.loads(line)

    def qmp(self, command, **arguments):
        request = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self.monitor_file.write(json.dumps(request) + "\n")
        self.monitor_file.flush()
        while True:
            answer = self._monitor_line()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def hmp(self, line):
        """A command of the human monitor; snapshots have no other."""
        answer = self.qmp("human-monitor-command", **{"command-line": line})
        if "rror" in answer:
            raise RuntimeError(f"{line}: {answer}")
        return answer

    def drain_events(self):
        """What QEMU has told since: {"event": NAME, ...}."""
        self.qmp("query-status")  # its answer comes after all events before it
        events, self.events = self.events, []
        return events

    def save(self, snapshot):
        self.hmp(f"savevm {snapshot}")

    def plug(self, disk):
        """Plugs a Disk in; the guest sees it as /dev/disk/by-id/virtio-data."""
        self.qmp("blockdev-add", **disk.node())
        self.qmp("device_add", driver="virtio-blk-pci", drive="data", id="data", serial="data",
                 **{"write-cache": "on"})

    # ---- the agent ----

    def _line(self, deadline):
        while b"\n" not in self.data:
            wait = deadline - time.monotonic()
            self.agent.settimeout(max(0.01, wait))
            try:
                piece = self.agent.recv(1 << 16) if wait > 0 else b""
            except TimeoutError:
                piece = b""
            if not piece:
                raise TimeoutError
            self.data += piece
        line, self.data = self.data.split(b"\n", 1)
        return line

    def wait_up(self, seconds=240):
        """Until the agent says that it has started; also after a reboot. The boot's id."""
        deadline = time.monotonic() + timeout(seconds)
        while True:
            try:
                message = json.loads(self._line(deadline))
            except TimeoutError:
                raise self._fail(f"did not come up in {timeout(seconds):.0f} s") from None
            except ValueError:
                continue
            if "hello" in message:
                return message["hello"]

    def _ask(self, request, seconds):
        number = next(self.numbers)
        self.agent.settimeout(timeout(seconds))
        self.agent.sendall(json.dumps({**request, "id": number}).encode() + b"\n")
        deadline = time.monotonic() + timeout(seconds)
        while True:
            try:
                message = json.loads(self._line(deadline))
            except TimeoutError:
                raise NoAnswer(
                    f"{self.label}'s agent did not answer in {timeout(seconds):.0f} s: {request}\n"
                    f"{self.serial.read_text(errors='replace')[-2000:]}") from None
            except ValueError:
                continue
            if message.get("id") != number:
                continue
            if "error" in message:
                raise AssertionError(f"in {self.label}: {message['error']}")
            return message

    def execute(self, command, seconds=120):
        """Runs a shell command as root and answers what became of it."""
        answer = self._ask({"sh": command, "limit": timeout(seconds)}, seconds + 60)
        out, err = (base64.b64decode(answer[key]).decode(errors="replace")
                    for key in ("out", "err"))
        return subprocess.CompletedProcess(command, answer["rc"], out, err)

    def start(self, command):
        """Starts a command and leaves it alone."""
        self.run(f"setsid bash -c {quote(command)} </dev/null >/run/mpyd-test.log 2>&1 &")

    def write(self, target, content, mode=0o644):
        data = content.encode() if isinstance(content, str) else content
        self._ask({"put": target, "data": base64.b64encode(data).decode(), "mode": mode}, 120)

    def push(self, source, target):
        self.write(target, pathlib.Path(source).read_bytes())

    def read(self, name):
        return base64.b64decode(self._ask({"get": name}, 60)["data"]).decode(errors="replace")


def discard(machine):
    """Off, and its disk gone."""
    machine.close()
    machine.disk.unlink(missing_ok=True)


def overlay(disk, backing):
    """A qcow2 file on top of a raw one that stays as it is."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", backing, disk])
    return disk


def copy_disk(source, target):
    """A copy that costs only what is in it."""
    run(["cp", "--reflink=auto", "--sparse=always", source, target])
    return target
