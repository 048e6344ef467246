# SPDX-License-Identifier: MIT
"""The tests of pins that `make test` runs on the simulated chip, unchanged, on the kernel's gpio-sim: what a script sees
of a line is the same on both (uAPI v2), or this fails."""
import io
import json
import tarfile

from machines.host import SOURCE
from test_gpio import CHIP

SUITE = ["tests/conformance/test_pins.py", "tests/integration/test_pins.py"]
FILES = [*SUITE, "tests/harness/mpydtest", "tests/conformance/conftest.py", "tests/integration/conftest.py"]
# The suite finds programs where a build has them; here they are the package's.
PROGRAMS = {"src/daemon/mpyd": "/usr/sbin/mpyd", "src/ctl/mpyctl": "/usr/bin/mpyctl",
            "src/board/mpyd-board": "/usr/libexec/mpyd-board", "src/action/mpyd-action": "/usr/libexec/mpyd-action"}


def archive():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name in FILES:
            tar.add(SOURCE / name, name, filter=lambda i: None if "__pycache__" in i.name else i)
        options = json.dumps([{"name": "b_sanitize", "value": "none"}]).encode()
        info = tarfile.TarInfo("build/meson-info/intro-buildoptions.json")
        info.size = len(options)
        tar.addfile(info, io.BytesIO(options))
    return data.getvalue()


def test_suite_on_the_kernels_lines(guests):
    machine = guests()
    machine.run("systemctl stop mpyd")  # each test has one of its own
    sim = machine.run(CHIP).split()[-1]
    machine.write("/root/suite.tar.gz", archive())
    links = "; ".join(f"mkdir -p build/{name.rpartition('/')[0]}; ln -s {path} build/{name}; test -x {path}"
                      for name, path in PROGRAMS.items())
    machine.run(f"set -e; mkdir /root/suite; cd /root/suite; tar xzf ../suite.tar.gz; {links}")
    for file in SUITE:
        done = machine.execute(f"cd /root/suite && MPYD_TEST_GPIO_SIM={sim} MPYD_SOURCE_DIR=$PWD MPYD_BUILD_DIR=$PWD/build "
                               "MPYD_TEST_TIMEOUT_SCALE=1 python3 -m pytest -q -p no:cacheprovider -m 'not simulated' "
                               f"--tb=short {file} 2>&1", 900)
        print(done.stdout[-8000:])
        last = done.stdout.strip().splitlines()[-1]
        assert done.returncode == 0 and " passed" in last and "skipped" not in last, last
