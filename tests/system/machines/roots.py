# SPDX-License-Identifier: MIT
"""Root file systems of Debian 12 and 13, made by mmdebstrap with all that tests need: machines
have no network."""
import pathlib
import subprocess

from . import archive, store
from .architecture import AMD64, runnable
from .host import run

SUITES = {"bookworm": "12", "trixie": "13"}
RECIPE = 1  # part of each key; raise it when what follows changes without another list

# Systemd's machine, and what the tests use to look at it. The product's own dependencies are
# added from the .deb (dependencies()).
PACKAGES = [
    "apt", "bash-completion", "ca-certificates", "dbus", "e2fsprogs", "iproute2", "kmod",
    "libpam-systemd", "openssh-client", "openssh-server", "procps", "python3-minimal",
    "python3-pytest", "python3-serial", "strace", "sqlite3", "systemd", "systemd-sysv", "udev",
]
EXTRA = {
    "bookworm": [],
    "trixie": ["autopkgtest", "dpkg-dev", "gpiod", "micropython-mpremote"],
}
# What would only cost time in a machine that lives for seconds.
MASKED = [
    "apt-daily.timer", "apt-daily-upgrade.timer", "dev-hugepages.mount", "dev-mqueue.mount",
    "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
    "getty@tty1.service", "modprobe@drm.service", "modprobe@efi_pstore.service",
    "proc-sys-fs-binfmt_misc.automount", "serial-getty@ttyS0.service", "ssh.service",
    "systemd-binfmt.service", "systemd-pstore.service",
]
NO_FILES = ["/usr/share/locale/*", "/usr/share/info/*", "/usr/share/doc/*/*"]


def dependencies(deb):
    """Names of the packages that a .deb depends on; of alternatives the first."""
    fields = subprocess.run(["dpkg-deb", "-f", deb, "Pre-Depends", "Depends", "Recommends"],
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    names = set()
    for line in fields.splitlines():
        for term in line.partition(":")[2].split(","):
            name = term.split("|")[0].split("(")[0].strip().partition(":")[0]
            if name:
                names.add(name)
    return sorted(names)


def _customize(root, suite):
    (root / "etc/hostname").write_text("greenhouse\n")
    (root / "etc/machine-id").write_text("")
    (root / "etc/apt/sources.list").write_text("")  # machines have no network
    for left in ("etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"):
        (root / left).unlink(missing_ok=True)
    units = root / "etc/systemd/system"
    for unit in MASKED:
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    shadow = root / "etc/shadow"
    shadow.write_text(shadow.read_text().replace("root:*:", "root::", 1))


def make(directory, suite, packages, architecture=AMD64):
    """mmdebstrap of a suite into directory/root."""
    options = directory / "apt.conf"
    options.write_text("\n".join(archive.apt_options()) + "\n")
    root = directory / "root"

    def attempt(source):
        run(["rm", "-rf", root])
        return run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
                    f"--architectures={architecture.name}", "--format=directory", f"--aptopt={options}", "--dpkgopt=force-unsafe-io",
                    *[f"--dpkgopt=path-exclude={pattern}" for pattern in NO_FILES],
                    f"--include={','.join(packages)}", suite, root, source], 1200)

    with runnable(architecture):
        archive.from_any(suite, attempt)
    options.unlink()
    _customize(root, suite)


def package_list(suite, more=()):
    return sorted({*PACKAGES, *EXTRA[suite], *more})


def provide(suite, more=(), name="root", architecture=AMD64):
    """The root of a suite, with more packages (the product's dependencies). Never changed: what
    boots from it works on a copy. name: of its kind; one of each is kept."""
    packages = package_list(suite, more)
    directory = store.provide(
        f"{name}-{suite}", (RECIPE, suite, packages, MASKED, NO_FILES),
        lambda part: make(part, suite, packages, architecture))
    return pathlib.Path(directory / "root")
