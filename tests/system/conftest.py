# SPDX-License-Identifier: MIT
"""Fixtures: booted machines with the product installed. A machine that does not boot is tried once
more, which is said; an assertion never is."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import packages  # noqa: E402
from machines import architecture, container, guest, host, kernel, roots  # noqa: E402
from machines.container import Container  # noqa: E402
from machines.guest import Guest  # noqa: E402
from machines.machine import BootFailure  # noqa: E402

SUITES = list(roots.SUITES)
WATCHDOG = ["-device", "i6300esb,id=watchdog", "-action", "watchdog=reset"]
retries = []


def pytest_configure(config):
    config.addinivalue_line("markers", "item(number, state): what of SPEC.md this test proves")


def once_more(what, make):
    """make(), and once more when the machine did not come up."""
    try:
        return make()
    except BootFailure as e:
        retries.append(what)
        print(f"{what} did not boot, trying once more:\n{e}", file=sys.stderr, flush=True)
        return make()


def pytest_terminal_summary(terminalreporter):
    for what in retries:
        terminalreporter.write_line(f"booted at the second attempt only: {what}", yellow=True)


@pytest.fixture(scope="session")
def scratch():
    """A directory for disks and sockets, gone after the run."""
    with host.scratch() as path:
        yield path


# ---- containers ----

@pytest.fixture(params=SUITES)
def suite(request):
    return request.param


@pytest.fixture(scope="session")
def suite_roots():
    """suite → root with what the package depends on, made when it is asked for."""
    container.sweep()
    made = {}

    def provide(name):
        if name not in made:
            made[name] = roots.provide(name, roots.dependencies(packages.find(name)))
        return made[name]

    return provide


@pytest.fixture
def containers(suite_roots, scratch, request):
    """containers(suite) boots a fresh one, without the product. Their journals are shown on
    failure."""
    made = []

    def make(name):
        def attempt():
            c = Container(suite_roots(name), scratch, f"{name} container")
            made.append(c)
            return c.start()
        return once_more(f"a container of {name}", attempt)

    yield make
    report = getattr(request.node, "mpyd_report", None)
    for c in made:
        if report and report.failed and c.process and c.process.poll() is None:
            show(report, c.label, c.execute)
        c.close()


def show(report, label, execute):
    try:
        text = execute("journalctl --no-pager -b -n 40 -o short-precise -u mpyd; "
                       "systemctl status -n 0 mpyd 2>&1; mpyctl log 2>&1 | tail -n 30", 60).stdout
    except Exception as e:  # the failure itself matters more
        text = str(e)
    sys.stderr.write(f"---- {label} ----\n{text[-6000:]}\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.mpyd_report = outcome.get_result()


def install(machine, deb, seconds=60):
    """apt install ./mpyd.deb; what it printed."""
    machine.push(deb, "/root/mpyd.deb")
    return machine.run("cd /root && DEBIAN_FRONTEND=noninteractive apt-get install -q -y "
                       "./mpyd.deb 2>&1", seconds)


@pytest.fixture
def board(suite, containers):
    """A container of each suite with the product installed."""
    machine = containers(suite)
    install(machine, packages.find(suite))
    return machine


# ---- virtual machines ----

@pytest.fixture(scope="session")
def installed_disk(suite_roots, scratch):
    """(kernel directory, disk) of a Debian 13 guest with the product installed, snapshot "installed" in it."""
    return install_on_disk(suite_roots("trixie"), "image-amd64", scratch / "installed.qcow2", scratch,
                           packages.find("trixie"))


def install_on_disk(root, image_name, disk, scratch, deb, arch=architecture.AMD64):
    linux = kernel.provide_kernel(arch)
    image = kernel.provide_image(root, linux, image_name)

    def attempt():
        guest.overlay(disk, image)
        machine = Guest(linux, disk, scratch, extra=WATCHDOG, architecture=arch)
        try:
            return machine.boot(600)
        except BaseException:
            machine.close()
            raise

    machine = once_more("the virtual machine", attempt)
    try:
        install(machine, deb, 300)
        machine.run("sync")
        machine.save("installed")
    finally:
        machine.close()
    return linux, disk


@pytest.fixture
def guests(installed_disk, scratch, request):
    """guests() loads a fresh one in a second or two, the product installed and running;
    guests(disk=DISK) switches one on that boots from a disk used before."""
    yield from guests_of(*installed_disk, scratch, request)


def guests_of(linux, installed, scratch, request, arch=architecture.AMD64):
    made = []

    def make(disk=None, snapshot="installed"):
        def attempt():
            path = disk or guest.copy_disk(installed, scratch / f"guest{len(made)}.qcow2")
            g = Guest(linux, path, scratch, extra=WATCHDOG, architecture=arch)
            made.append(g)
            return g.boot() if disk else g.load(snapshot)
        return once_more("a virtual machine", attempt)

    yield make
    report = getattr(request.node, "mpyd_report", None)
    for g in made:
        if report and report.failed and g.process and g.process.poll() is None:
            show(report, g.label, g.execute)
        g.close()
        if g.disk.parent == scratch and g.disk.name.startswith("guest"):
            g.disk.unlink(missing_ok=True)


@pytest.fixture(scope="session", params=list(architecture.ARM))
def arm_disk(scratch, request):
    """As installed_disk, of another architecture."""
    arch = architecture.ARM[request.param]
    deb = packages.find("trixie", arch.name)
    root = roots.provide("trixie", roots.dependencies(deb), f"root-{arch.name}", arch)
    return install_on_disk(root, f"image-{arch.name}", scratch / f"{arch.name}.qcow2", scratch, deb, arch), arch


@pytest.fixture
def arm_guests(arm_disk, scratch, request):
    """As guests(), of another architecture."""
    (linux, disk), arch = arm_disk
    yield from guests_of(linux, disk, scratch, request, arch)


# ---- benchmarks ----

BESIDE = ["gcc", "libc6-dev", "libgpiod-dev", "python3-libgpiod"]


@pytest.fixture
def bench_machine(scratch):
    """A guest with the product, and what it is measured beside."""
    deb = packages.find("trixie")
    root = roots.provide("trixie", [*roots.dependencies(deb), *BESIDE], "root-bench")
    linux, disk = install_on_disk(root, "image-bench-amd64", scratch / "bench.qcow2", scratch, deb)
    machine = Guest(linux, disk, scratch, extra=WATCHDOG)
    try:
        yield machine.load("installed")
    finally:
        guest.discard(machine)
