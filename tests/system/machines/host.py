# SPDX-License-Identifier: MIT
"""The machine the tests run on: the Debian packages they need, and where they keep things."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve()
SOURCE = HERE.parents[3]
SCALE = float(os.environ.get("MPYD_TEST_TIMEOUT_SCALE") or 1)

# Host packages, by tier. What the machines themselves hold is in roots.py.
PACKAGES = {
    "clean": ["debian-archive-keyring", "mmdebstrap", "python3-pytest"],
    "container": ["debian-archive-keyring", "gnupg", "mmdebstrap", "python3-pytest",
                  "systemd-container"],
    "package": ["debian-archive-keyring", "git", "make", "mmdebstrap", "python3-pytest"],
    "vm": ["busybox-static", "cpio", "debian-archive-keyring", "e2fsprogs", "kmod", "mmdebstrap",
           "nbdkit", "python3-pytest", "qemu-system-x86", "qemu-utils", "zstd"],
}
PACKAGES["bench"] = PACKAGES["vm"]
PACKAGES["arm"] = [*PACKAGES["vm"], "arch-test", "qemu-system-arm", "qemu-user-static"]


class HostError(Exception):
    """What this machine lacks and, after a newline, what to do."""


def timeout(seconds):
    return seconds * SCALE


def installed(package):
    query = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return query.stdout == "installed"


def install(tiers):
    """Installs what is missing on the host for these tiers."""
    wanted = sorted({p for tier in tiers for p in PACKAGES[tier]})
    missing = [p for p in wanted if not installed(p)]
    if not missing:
        return
    print(f"Installing {' '.join(missing)} …", file=sys.stderr, flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]
    for command in ([*apt, "update"],
                    [*apt, "install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise HostError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")


def cache_directory():
    """Where `make deb` keeps its chroots too: MPYD_CACHE_DIR, $XDG_CACHE_HOME/mpyd, ~/.cache/mpyd."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(os.environ.get("MPYD_CACHE_DIR") or pathlib.Path(base) / "mpyd").absolute()
    if SOURCE in [path, *path.parents]:
        raise HostError(f"the cache {path} is inside the source tree\n"
                        "Set MPYD_CACHE_DIR to a directory outside of it.")
    path = path / "system-test"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def scratch(prefix="mpyd-system-"):
    """A directory for disks and sockets, gone afterwards. Its path is short: sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def spawn(command, **options):
    """A child that does not outlive this process, however that ends."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent,
                            **options)


def run(command, seconds=600, **options):
    """Runs a command of the host; its output, or HostError with it."""
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=timeout(seconds), **options)
    if done.returncode:
        raise HostError(f"{' '.join(map(str, command))} failed ({done.returncode}):\n"
                        f"{done.stdout[-3000:]}")
    return done.stdout


def in_own_mounts(script, *arguments, seconds=600):
    """Runs a shell script whose mounts nobody else sees and which are gone when it ends."""
    return run(["unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh",
                *arguments], seconds)
