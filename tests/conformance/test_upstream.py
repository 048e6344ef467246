# SPDX-License-Identifier: MIT
"""MicroPython's own test-suite, the pinned source's, over the pty: its run-tests.py drives our board as
it drives any other. Which of its tests may fail or cannot run is written down, with the reason, in upstream.toml;
a failure or a SKIP that is not there is red, and so is one that is there and does not happen any more."""
import json
import os
import re
import subprocess
import sys
import tomllib

import pytest

from mpydtest.paths import SOURCE, is_sanitized, micropython_dir
from mpydtest.paths import timeout as scaled

ACCEPTED = tomllib.loads((SOURCE / "tests/conformance/upstream.toml").read_text())
# Folders that go in one run, about a minute at most. Each begins with a board of its own.
RUNS = {
    "basics": ["basics"],
    "float": ["float", "unicode", "micropython", "misc"],
    "extmod": ["extmod"],
    "files": ["import", "io", "stress"],
    "thread": ["thread"],
}
SECONDS = 240
# extmod/select_poll_fd.py polls more descriptors than a process may have, board and CPython alike.
LIMITED = ["prlimit", "--nofile=1024"]
CPYTHON = SOURCE / "tests/conformance/cpython-apart"


def run_suite(board, what, result_dir):
    """Runs folders (["-d", …]) or tests: names of what failed and, without folder, of what was left out, and how many
    ran."""
    done = subprocess.run(
        [*LIMITED, "/usr/bin/python3", "run-tests.py", "-t", f"port:{board.repl_path()}",
         "-r", str(result_dir), *what],
        cwd=micropython_dir() / "tests", stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=scaled(SECONDS),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MICROPY_CPYTHON3": str(CPYTHON)})
    results = result_dir / "_results.json"
    assert results.exists(), done.stdout[-4000:] + done.stderr
    failed = set(json.loads(results.read_text())["failed_tests"])
    performed = re.search(r"^(\d+) tests performed", done.stdout, re.M)
    assert performed, done.stdout[-4000:]
    skipped = re.search(r"^\d+ tests skipped: (.*)$", done.stdout, re.M)
    return failed, set(skipped[1].split()) if skipped else set(), int(performed[1])


def details(failed, result_dir):
    """Of each, the end of what it printed."""
    shown = []
    for name in sorted(failed):
        out = result_dir / (name.replace("/", "_") + ".out")
        shown.append(f"{name}:\n{out.read_text(errors='replace')[-1500:]}" if out.exists() else name)
    return "\n".join(shown)


def names_of(part, run):
    return {name for name in ACCEPTED[part] if name.split("/")[0] in RUNS[run]}


def put_tree(board, source, target=""):
    for path in sorted(source.rglob("*")):
        if path.is_file():
            name = path.relative_to(source).as_posix()
            board.put({f"{target}/{name}" if target else name: path.read_bytes()})


@pytest.mark.parametrize("run", RUNS)
def test_upstream_suite(boards, run, tmp_path):
    b = boards(start=False)
    command = b.command
    b.command = lambda: [*LIMITED, *command()]
    b.start()
    b.wait_state("idle")
    tests = micropython_dir() / "tests"
    if run == "files":  # what these tests expect to find beside themselves
        put_tree(b, tests / "import")
        put_tree(b, tests / "io/data", "data")
    elif run == "float":
        put_tree(b, tests / "unicode/data", "data")
    emits = int(b.ctl("eval", "__import__('sys').implementation._mpy >> 10 & 15").stdout) > 0
    left_out = sorted(names_of("sanitized", run)) if is_sanitized() else []
    failed, skipped, performed = run_suite(
        b, [*(f"--exclude={re.escape(name)}$" for name in left_out), "-d", *RUNS[run]], tmp_path)
    assert performed > 20
    if not emits:
        skipped = {name for name in skipped if not name.startswith(("native_", "viper_"))}
    expected = {name.split("/")[1].removesuffix(".py") for name in names_of("skipped", run)}
    assert skipped == expected, f"new: {sorted(skipped - expected)}, they run now: {sorted(expected - skipped)}"
    if late := names_of("timing", run) & failed:  # once more, when nothing else of the suite runs
        again, _, _ = run_suite(b, sorted(late), tmp_path)
        failed = failed - late | again
    accepted = names_of("accepted", run)
    if is_sanitized():
        accepted |= names_of("unsanitized", run) & failed
    else:
        accepted |= names_of("unsanitized", run)
    assert not failed - accepted, details(failed - accepted, tmp_path)
    assert not accepted - failed, f"they pass now: {sorted(accepted - failed)}"


@pytest.mark.parametrize("kind", ["bytearray", "dict", "instance", "list", "set"])
def test_changes_by_two_threads(board, kind):
    """Upstream's tests of a GIL, which its run-tests.py leaves out here."""
    script = micropython_dir() / f"tests/thread/mutate_{kind}.py"
    cpython = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert cpython.stdout and board.ctl("run", script).stdout == cpython.stdout


def test_accepted_failures_name_their_reason():
    assert len(ACCEPTED["accepted"]) <= 5 and len(ACCEPTED["unsanitized"]) <= 1
    for part in ACCEPTED:
        for name, reason in ACCEPTED[part].items():
            assert (micropython_dir() / "tests" / name).is_file(), name
            cited = re.findall(r"[\w./-]+\.(?:c|h|py|mk):\d+", reason)
            assert cited, f"{name}: the reason names no file and line"
            for place in cited:
                path, line = place.split(":")
                lines = (micropython_dir() / path).read_text().splitlines()
                assert 0 < int(line) <= len(lines), place
