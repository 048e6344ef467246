# SPDX-License-Identifier: MIT
"""What a virtual machine boots: Debian's kernel, unpacked so that no emulated processor has to, an initrd of a few modules, and a disk image made from a root
of roots.py. Nothing here boots through a boot loader: it is the machine's userland that is tested.
"""
import lzma
import os
import pathlib
import re
import shutil
import subprocess

from . import archive, store
from .architecture import AMD64
from .host import HERE, HostError, in_own_mounts, run

RECIPE = 2
IMAGE_MIB = 1024

# In the initrd: to reach the root, and the watchdog, which a board's kernel has built in: there early
# enough to be asked why the machine booted. In the root: what tests use, loaded by udev or by them.
INITRD_MODULES = ["virtio_pci", "virtio_blk", "ext4", "crc32c_cryptoapi", "crc32c_generic",
                  "i6300esb"]
ROOT_MODULES = ["virtio_console", "virtio_net", "virtio_rng", "gpio_sim", "configfs",
                "softdog", "i2c_stub", "i2c_dev", "autofs4", "overlay", "rtc_cmos", "fuse",
                "nbd", "loop", "dummy", "veth", "ramoops", "evdev", "mac80211_hwsim"]

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in $(cat /order); do insmod "/$m"; done
n=0
while [ ! -b /dev/vda ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
mount -t ext4 -o rw /dev/vda /new
mount -o move /dev /new/dev
umount /proc /sys
exec switch_root /new /lib/systemd/systemd
"""
AGENT_UNIT = """[Unit]
Description=Test agent on a virtio-serial port
DefaultDependencies=no
After=basic.target dbus.service dev-virtio\\x2dports-org.mpyd.agent.device
Wants=dev-virtio\\x2dports-org.mpyd.agent.device
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/sbin/mpyd-test-agent
Restart=always
RestartSec=300ms
KillMode=process
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target
"""


def _name(path):
    return re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(path)).replace("-", "_")


class Modules:
    """The modules of an unpacked kernel package."""

    def __init__(self, base, version):
        self.base, self.version = base, version
        self.dir = base / "lib/modules" / version
        self.needs, self.paths = {}, {}
        for line in (self.dir / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            self.paths[_name(path)] = path
            self.needs[_name(path)] = [_name(n) for n in needs.split()]

    def closure(self, wanted):
        """These and what they need, in loading order. Those built in are left out."""
        order = []

        def add(name):
            if name not in order and name in self.paths:
                for need in reversed(self.needs[name]):
                    add(need)
                order.append(name)
        for name in wanted:
            add(name)
        return order

    def copy(self, wanted, target):
        """Unpacked, under target/lib/modules; their paths there, in loading order."""
        copied = []
        for name in self.closure(wanted):
            data = (self.dir / self.paths[name]).read_bytes()
            if self.paths[name].endswith(".xz"):
                data = lzma.decompress(data)
            elif self.paths[name].endswith(".zst"):
                data = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE,
                                      check=True).stdout
            relative = f"lib/modules/{self.version}/{_plain(self.paths[name])}"
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            (target / relative).write_bytes(data)
            copied.append(relative)
        for index in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            if (self.dir / index).exists():
                shutil.copy(self.dir / index, target / "lib/modules" / self.version / index)
        run(["depmod", "-b", target, self.version])
        return copied


def _plain(path):
    return re.sub(r"\.(xz|zst)$", "", path)


def unpack_vmlinux(source, target):
    """The ELF kernel in a bzImage."""
    data = source.read_bytes()
    for magic, tool in ((b"\x28\xb5\x2f\xfd", ["zstd", "-dc"]), (b"\xfd7zXZ\0", ["xz", "-dc"]),
                        (b"\x1f\x8b\x08", ["gzip", "-dc"])):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            # What follows the stream is not its tool's business: only the output counts.
            out = subprocess.run(tool, input=data[at:], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL).stdout
            if out[:4] == b"\x7fELF":
                target.write_bytes(out)
                return
    raise HostError(f"{source.name}: no kernel of a known compression in it")


def make_initrd(modules, target, wanted, work, busybox):
    tree = work / "initrd.d"
    for name in ("bin", "proc", "sys", "dev", "new"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/busybox")
    for applet in ("sh", "mount", "umount", "switch_root", "insmod", "cat", "sleep"):
        (tree / "bin" / applet).symlink_to("busybox")
    order = modules.copy(wanted, tree)
    (tree / "order").write_text("\n".join(order) + "\n")
    (tree / "init").write_text(INIT)
    (tree / "init").chmod(0o755)
    run(["sh", "-euc", 'cd "$1"; find . | cpio --quiet -o -H newc >"$2"', "sh", tree, target])
    shutil.rmtree(tree)


def fetch_kernel(part, architecture):
    """Downloads and unpacks the newest kernel; (directory, where its lib is, version)."""
    download = archive.Download(part / "download", architecture.suite, architecture.name)
    image = download.get(architecture.kernel)[architecture.kernel]
    depends = subprocess.run(["dpkg-deb", "-f", image, "Depends"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    packages = re.findall(r"linux-image-[0-9][^ ,(]*", depends)[:1]
    unpacked = part / "unpacked"
    unpacked.mkdir()
    done = []
    while packages:  # newer kernels are split: the image depends on its base, modules and binary
        files = download.get(*packages)
        done += packages
        for deb in files.values():
            run(["dpkg-deb", "-x", deb, unpacked])
        depends = "".join(subprocess.run(["dpkg-deb", "-f", deb, "Pre-Depends", "Depends"],
                                         check=True, stdout=subprocess.PIPE, text=True).stdout
                          for deb in files.values())
        packages = sorted({p for p in re.findall(r"linux-(?:base|modules|binary)-[0-9][^ ,(]*",
                                                 depends) if p not in done})
    base = unpacked / "usr" if (unpacked / "usr/lib/modules").is_dir() else unpacked
    version = next((base / "lib/modules").iterdir()).name
    run(["depmod", "-b", base, version])
    return unpacked, base, version


def _find_kernel(unpacked, version):
    for path in (unpacked / "boot" / f"vmlinuz-{version}",
                 unpacked / "usr/lib/modules" / version / "vmlinuz"):
        if path.exists():
            return path
    raise HostError(f"no kernel image in the packages of Linux {version}")


def fetch_busybox(part, architecture):
    """A busybox that the machine runs."""
    if architecture is AMD64:
        return pathlib.Path("/bin/busybox")
    download = archive.Download(part / "download", "trixie", architecture.name)
    run(["dpkg-deb", "-x", download.get("busybox-static")["busybox-static"], part / "unpacked"])
    return part / "unpacked/usr/bin/busybox"


def _make_kernel(part, architecture):
    unpacked, base, version = fetch_kernel(part, architecture)
    modules = Modules(base, version)
    image = _find_kernel(unpacked, version)
    if architecture is AMD64:
        unpack_vmlinux(image, part / "kernel")
    else:
        shutil.copy(image, part / "kernel")
    make_initrd(modules, part / "initrd", INITRD_MODULES, part, fetch_busybox(part, architecture))
    modules.copy(ROOT_MODULES + INITRD_MODULES, part / "root")
    (part / "version").write_text(version + "\n")
    shutil.rmtree(unpacked)
    shutil.rmtree(part / "download")


def provide_kernel(architecture=AMD64):
    """A directory with kernel, initrd, and root/lib/modules."""
    return store.provide(
        f"kernel-{architecture.name}",
        (RECIPE, architecture.suite, architecture.kernel, INIT, INITRD_MODULES, ROOT_MODULES),
        lambda part: _make_kernel(part, architecture))


# The root with modules and agent laid over it, as an ext4 file system; no copy is made of it.
MAKE_IMAGE = """
mount -t tmpfs mpyd-system "$1/over"
mkdir "$1/over/root"
mount -t overlay -o "lowerdir=$1/upper:$2" overlay "$1/over/root"
mke2fs -q -t ext4 -E lazy_itable_init=1 -d "$1/over/root" "$3" "$4M"
"""


def _make_image(part, root, modules):
    upper = part / "upper"
    (part / "over").mkdir()
    units = upper / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    (upper / "usr/local/sbin").mkdir(parents=True)
    # The root's /lib is a link to usr/lib; what is laid over it must not hide that.
    shutil.copytree(modules / "lib/modules", upper / "usr/lib/modules")
    agent = upper / "usr/local/sbin/mpyd-test-agent"
    shutil.copy(HERE.parent / "agent.py", agent)
    agent.chmod(0o755)
    (units / "mpyd-test-agent.service").write_text(AGENT_UNIT)
    (units / "multi-user.target.wants/mpyd-test-agent.service").symlink_to(
        "../mpyd-test-agent.service")
    (upper / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (upper / "etc/fstab").write_text("/dev/vda / ext4 rw 0 0\n")
    in_own_mounts(MAKE_IMAGE, str(part), str(root), str(part / "disk.ext4"), str(IMAGE_MIB))
    shutil.rmtree(upper)
    (part / "over").rmdir()


def provide_image(root, kernel, name="image-amd64"):
    """disk.ext4 made from a root and a kernel's modules."""
    text = (HERE.parent / "agent.py").read_text()
    directory = store.provide(
        name, (RECIPE, root.parent.name, kernel.name, text, AGENT_UNIT, IMAGE_MIB),
        lambda part: _make_image(part, root, kernel / "root"))
    return pathlib.Path(directory / "disk.ext4")
