# SPDX-License-Identifier: MIT
"""How the packages are built: the same tree gives the same packages, whoever builds it and where; and Debian's own
checker has nothing against them. (That the build has no network is debian/tools/build-deb's doing.)"""
import hashlib
import os
import re
import subprocess

import packages
import pytest
from machines import archive, roots, store
from machines.host import SOURCE, in_own_mounts, run, timeout

RECIPE = 1
# Another clone in another place, another time zone, umask and locale than the build before.
ELSEWHERE = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "C"}
# One source for both releases is of the newer one's policy.
LINT = """
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --bind "$2" "$1/mnt"
mount -t tmpfs tmpfs "$1/tmp"
exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/tmp sh -c \\
        'exec lintian --allow-root --no-cfg --suppress-tags newer-standards-version --info \\
        --display-info --fail-on error,warning /mnt/*.deb /mnt/*.dsc'
"""


@pytest.fixture(params=list(roots.SUITES))
def suite(request):
    return request.param


def sums(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(directory.iterdir()) if p.suffix in (".deb", ".dsc", ".xz")}


def test_same_tree_same_packages(suite, scratch):
    first = sums(packages.find(suite).parent)
    clone = scratch / f"a-rather-longer-name-{suite}"
    run(["git", "-c", "safe.directory=*", "clone", "-q", SOURCE, clone])
    changed = run(["git", "-C", SOURCE, "-c", "safe.directory=*", "status", "--porcelain"])
    assert not changed, f"packages of a tree with changes cannot be compared:\n{changed}"
    for name in os.listdir(SOURCE / "subprojects"):  # fetched already: bit by bit Debian's
        if not (clone / "subprojects" / name).exists():
            run(["cp", "-a", SOURCE / "subprojects" / name, clone / "subprojects"])
    done = subprocess.run(["make", "deb", f"SUITE={suite}"], cwd=clone, env={**os.environ, **ELSEWHERE}, umask=0o077,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout(1800))
    assert done.returncode == 0, done.stdout[-3000:]
    second = sums(clone / "build/deb" / suite)
    run(["rm", "-rf", clone])
    assert second == first and any(n.endswith(".deb") for n in first)


def test_lintian(suite, scratch):
    def make(part):
        options = part / "apt.conf"
        options.write_text("\n".join(archive.apt_options()) + "\n")
        archive.from_any(suite, lambda source: run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--format=directory",
             f"--aptopt={options}", "--include=lintian", suite, part / "root", source], 1200))

    root = store.provide(f"lintian-{suite}", (RECIPE, suite), make) / "root"
    shown = in_own_mounts(LINT, root, packages.find(suite).parent, seconds=timeout(600))
    assert not re.search(r"^[EW]: ", shown, re.M), shown
