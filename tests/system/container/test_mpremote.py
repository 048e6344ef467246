# SPDX-License-Identifier: MIT
"""The mpremote that Debian 13's users install, an older one than the board's MicroPython brings: the same tests,
against a board of this tree."""
import os
import subprocess

from machines.host import SOURCE, run, timeout

# romfs came with mpremote 1.25.
NEWER = ["--deselect", "tests/conformance/test_clients.py::test_M41_romfs"]


def test_debians_mpremote(suite_roots, scratch):
    installed = suite_roots("trixie") / "usr/lib/python3/dist-packages"
    only = scratch / "mpremote"  # and nothing else of that directory, which is of another Python
    only.mkdir()
    for part in installed.glob("mpremote*"):
        (only / part.name).symlink_to(part)
    assert run(["/usr/bin/python3", "-m", "mpremote", "version"],
               env={**os.environ, "PYTHONPATH": str(only)}).strip() == "mpremote 1.24.1"
    run(["make", "--no-print-directory", "-C", SOURCE, "build"], seconds=1800)
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *NEWER,
         "tests/conformance/test_mpremote.py", "tests/conformance/test_clients.py"],
        cwd=SOURCE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=timeout(900),
        env={**os.environ, "MPYD_BUILD_DIR": str(SOURCE / "build"), "MPYD_SOURCE_DIR": str(SOURCE),
             "PYTHONPATH": str(SOURCE / "tests/harness"), "MPYD_MPREMOTE": str(only)})
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-6000:]
    assert "skipped" not in done.stdout, done.stdout[-1000:]
