# SPDX-License-Identifier: MIT
"""The product's packages: built by `make deb`, or found where MPYD_DEB_DIR says."""
import os
import pathlib
import re
import subprocess

from machines.host import SOURCE, HostError, run


def architecture():
    return run(["dpkg", "--print-architecture"]).strip()


def deb_directory():
    return pathlib.Path(os.environ.get("MPYD_DEB_DIR") or SOURCE / "build/deb")


def _wanted(suite, arch):
    return [f"SUITE={suite}", *([f"ARCH={arch}"] if arch else [])]


def build(suite, arch=None):
    """Builds the package for a suite, unless MPYD_DEB_DIR says that it is there. arch: another one than the
    host's."""
    if os.environ.get("MPYD_DEB_DIR"):
        return
    subprocess.run(["make", "--no-print-directory", "-C", SOURCE, "deb", *_wanted(suite, arch)],
                   check=True, stdin=subprocess.DEVNULL)


def find(suite, arch=None):
    """The .deb of a suite."""
    pattern = f"mpyd_*_{arch or architecture()}.deb"
    found = sorted((deb_directory() / suite).glob(pattern))
    if len(found) != 1:
        raise HostError(f"{len(found)} files {pattern} are in {deb_directory() / suite}\n"
                        f"Build one: make deb {' '.join(_wanted(suite, arch))}")
    return found[0]


def field(deb, name):
    return run(["dpkg-deb", "-f", deb, name]).strip()


def with_version(deb, version, directory):
    """The same package with another version: what an upgrade is made to."""
    tree = directory / f"tree-{version}"
    run(["dpkg-deb", "-R", deb, tree])
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(),
                              flags=re.M))
    target = directory / f"mpyd_{version.replace(':', '%3a')}.deb"
    run(["dpkg-deb", "-b", "--root-owner-group", tree, target])
    run(["rm", "-rf", tree])
    return target
