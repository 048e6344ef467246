# SPDX-License-Identifier: MIT
"""The architectures that machines are emulated in: QEMU's part and Debian's kernel for each, and how the
host runs their programs while it makes a root of them."""
import contextlib
import dataclasses
import pathlib

from .host import run

# What a panic says is kept in memory that a reset does not clear (ramoops).
RAMOOPS = "memmap=0x100000$0x1f000000 ramoops.mem_address=0x1f000000 ramoops.mem_size=0x100000 "
BINFMT = pathlib.Path("/proc/sys/fs/binfmt_misc")


@dataclasses.dataclass(frozen=True)
class Architecture:
    """name: Debian's. suite, kernel: the package of the kernel. append: for the kernel's command line.
    machine: for the ELF header of its programs (binfmt_misc), with the name of QEMU's processor; none for
    the host's own."""

    name: str
    emulator: tuple
    suite: str
    kernel: str
    append: str
    cpu: str = ""
    elf: bytes = b""


# Of amd64 the backported kernel: Debian's stable one has no gpio-sim.
AMD64 = Architecture(
    "amd64", ("qemu-system-x86_64", "-machine", "pc", "-cpu", "qemu64"),
    "trixie-backports", "linux-image-amd64",
    RAMOOPS + "mitigations=off nokaslr console=ttyS0 no_timer_check tsc=reliable")
ARM = {a.name: a for a in (
    Architecture("arm64", ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a53"),
                 "trixie", "linux-image-arm64", "console=ttyAMA0", "aarch64", b"\x02\xb7"),
    Architecture("armhf", ("qemu-system-arm", "-machine", "virt,highmem=off", "-cpu", "cortex-a15"),
                 "trixie", "linux-image-armmp", "console=ttyAMA0", "arm", b"\x01\x28"))}


def _register(a):
    """binfmt_misc(5) of the kernel's documentation: programs of the architecture, run by qemu-user. F: the
    interpreter is opened now, so that it need not be in the root."""
    word, machine = a.elf[:1], a.elf[1:]
    magic = b"\x7fELF" + word + b"\x01\x01" + bytes(9) + b"\x02\x00" + machine + b"\x00"
    mask = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"
    escaped = ["".join(f"\\x{byte:02x}" for byte in part) for part in (magic, mask)]
    name = f"mpyd-{a.cpu}"
    if (BINFMT / name).exists():  # of a run that was killed
        (BINFMT / name).write_text("-1")
    (BINFMT / "register").write_text(
        f":{name}:M::{escaped[0]}:{escaped[1]}:/usr/bin/qemu-{a.cpu}-static:OCF")
    return BINFMT / name


@contextlib.contextmanager
def runnable(a):
    """The host runs programs of the architecture meanwhile. What already runs them is left alone."""
    mounted = entry = None
    try:
        if a.elf:
            if not (BINFMT / "register").exists():
                run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT])
                mounted = True
            if not (BINFMT / f"qemu-{a.cpu}").exists():
                entry = _register(a)
        yield
    finally:
        if entry:
            entry.write_text("-1")
        if mounted:
            run(["umount", BINFMT])
