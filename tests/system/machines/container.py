# SPDX-License-Identifier: MIT
"""A booted Debian in a container: systemd-nspawn, the root's own systemd as PID 1, an overlay in
memory that is gone afterwards.

The host's PID 1 need not be systemd, nor its cgroup tree the unified one: nspawn runs in a mount
namespace of its own with cgroup2 mounted, in a cgroup of its own. Nothing of it outlives it but
empty cgroups, which close() removes."""
import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import time

from .host import in_own_mounts, spawn, timeout
from .machine import BootFailure, Machine

PREFIX = "mpyd-system-"
_numbers = itertools.count(1)

# $1: the overlay's place, $2: the root, $3: the cgroup's name; the rest is run, once more each time
# that it says the container reboots (nspawn's exit status for that is 133). A cgroup for each boot.
LAUNCH = """
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=0755 mpyd-system "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cgroup=/sys/fs/cgroup/$3
boot=0
shift 3
while :; do
        boot=$((boot + 1))
        mkdir "$cgroup.$boot"
        status=0
        setpriv --pdeathsig KILL sh -euc '
                echo $$ >"$1/cgroup.procs"
                shift
                exec "$@"' sh "$cgroup.$boot" "$@" || status=$?
        [ "$status" = 133 ] || exit "$status"
done
"""
# Ends whoever is in these cgroup trees and removes them, $1 their pattern, but for those of another
# run than $2 that still lives: the number in a tree's name is its run's process.
SWEEP = """
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for tree in /sys/fs/cgroup/$1; do
        [ -d "$tree" ] || continue
        run=${tree##*/mpyd-system-}
        run=${run%%-*}
        [ "$run" = "$2" ] || [ ! -d "/proc/$run" ] || continue
        echo 1 >"$tree/cgroup.kill"
        for try in $(seq 50); do
                find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null || :
                [ -d "$tree" ] || break
                sleep 0.1
        done
done
"""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "dumb",
               "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_COLORS": "0",
               "SYSTEMD_PAGER": "cat"}


def sweep():
    """Ends and removes what a killed run left."""
    in_own_mounts(SWEEP, PREFIX + "*", str(os.getpid()))


class Container(Machine):
    """root: a root of roots.py. scratch: a directory for its sockets and overlay."""

    def __init__(self, root, scratch, name="container", options=()):
        self.label = name
        self.name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        self.dir = pathlib.Path(scratch) / self.name
        self.lower = root
        self.options = list(options)
        self.process = None
        self.leader = None  # its PID 1, as the host counts
        self.ended = None   # the one before a reboot
        self.socket = None

    # ---- life ----

    def start(self, seconds=60):
        (self.dir / "overlay").mkdir(parents=True)
        self.console = self.dir / "console"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.dir / "notify"))
        nspawn = ["systemd-nspawn", "--quiet", f"--directory={self.dir}/overlay/root",
                  f"--machine={self.name}", "--hostname=greenhouse", "--boot", "--register=no",
                  "--keep-unit", "--private-network", "--console=read-only",
                  "--notify-ready=yes", "--kill-signal=SIGRTMIN+4", "--link-journal=no",
                  "--resolv-conf=off", "--timezone=off", *self.options]
        env = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
               "NOTIFY_SOCKET": str(self.dir / "notify")}
        with open(self.console, "wb") as output:
            self.process = spawn(
                ["unshare", "--mount", "--propagation", "private", "sh", "-euc", LAUNCH, "sh",
                 self.dir / "overlay", self.lower, self.name, *nspawn],
                env=env, stdout=output, stderr=subprocess.STDOUT)
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=60):
        """Until PID 1 says that it has started everything."""
        deadline = time.monotonic() + timeout(seconds)
        while True:
            self.socket.settimeout(0.2)
            try:
                message = self.socket.recv(4096).decode(errors="replace")
            except TimeoutError:
                message = ""
            for line in message.splitlines():
                key, _, value = line.partition("=")
                if key == "X_NSPAWN_LEADER_PID":
                    self.leader = int(value)
                elif line == "READY=1" and self.leader not in (None, self.ended):
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = self.console.read_text(errors="replace")[-3000:]
                self.close()
                raise BootFailure(f"{self.label} did not come up:\n{text}")

    def reboot(self, seconds=60):
        """An orderly reboot, until everything has started again."""
        self.ended = self.leader
        self.run("systemctl reboot --no-block")
        self.wait_ready(seconds)

    def stop(self, seconds=60):
        """An orderly power-off."""
        os.kill(self.leader, signal.SIGRTMIN + 4)
        self.process.wait(timeout(seconds))

    def close(self):
        """Whatever it is doing: gone."""
        if self.process and self.process.poll() is None:
            if self.leader and self._leads(self.leader):
                os.kill(self.leader, signal.SIGKILL)  # PID 1: all the others go with it
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(timeout(10))
            self.process.kill()
            self.process.wait()
        if self.socket:
            self.socket.close()
            self.socket = None
            in_own_mounts(SWEEP, self.name + ".*", str(os.getpid()))

    def _leads(self, pid):
        """Whether pid is (still) PID 1 of this container: numbers are used again."""
        try:
            text = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            return False
        return self.name in text

    # ---- looking into it ----

    def path(self, name):
        """A path in the container, as the host sees it."""
        return pathlib.Path(f"/proc/{self.leader}/root") / name.lstrip("/")

    def execute(self, command, seconds=60, user=None):
        """Runs a shell command, as root or user, and answers what became of it; .returncode 124
        when the time was over."""
        inner = ["sh", "-c", command]
        if user:
            inner = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *inner]
        limit = timeout(seconds)
        return subprocess.run(
            ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--",
             "env", "-i", *[f"{k}={v}" for k, v in ENVIRONMENT.items()],
             "timeout", "-k", "5", f"{limit:g}", *inner],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", timeout=limit + 30)

    def push(self, source, target):
        """Copies a file of the host into it."""
        with open(source, "rb") as f:
            self.write(target, f.read())

    def write(self, target, content, mode=0o644):
        """Makes a file of root's."""
        path = self.path(target)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)

    def read(self, name):
        return self.path(name).read_text(errors="replace")
