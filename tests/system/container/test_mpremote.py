# SPDX-License-Identifier: MIT
"""The mpremote that Debian 13's users install, an older one than the board's MicroPython brings: the same tests,
against a board of this tree."""
import os
import subprocess

from machines.host import SOURCE, run, timeout

# What came with mpremote 1.25: romfs; rm -r; mip from a file.
NEWER = ["test_clients.py::test_M41_romfs", "test_mpremote.py::test_M22_rm_of_a_mount_and_of_the_root",
         "test_clients.py::test_M44_mpremotes_own_tests[test_filesystem.sh]",
         "test_clients.py::test_M44_mpremotes_own_tests[test_mip_local_install.sh]"]
# Of test_http.py what is about mpremote.
TESTS = ["test_mpremote.py", "test_clients.py", "test_http.py::test_M40_mip_from_the_host",
         "test_http.py::test_M40_compiled_packages"]


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
        ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
         *[f"--deselect=tests/conformance/{name}" for name in NEWER], *[f"tests/conformance/{name}" for name in TESTS]],
        cwd=SOURCE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=timeout(900),
        env={**os.environ, "MPYD_BUILD_DIR": str(SOURCE / "build"), "MPYD_SOURCE_DIR": str(SOURCE),
             "PYTHONPATH": str(SOURCE / "tests/harness"), "MPYD_MPREMOTE": str(only)})
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-6000:]
    assert "skipped" not in done.stdout, done.stdout[-1000:]
