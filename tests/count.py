# SPDX-License-Identifier: MIT
"""Runs `meson test` in a build directory and closes with a line that counts test cases.

Meson counts programs. Each program of ours prints how many cases it ran (cmocka and pytest do by
themselves), so the closing line adds those up; a program that says nothing is one case.
"""
import json
import os
import pathlib
import re
import subprocess
import sys


def cases(entry):
    text = (entry.get("stdout") or "") + (entry.get("stderr") or "")
    passed = sum(int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) test\(s\)", text, re.M))
    failed = sum(int(n) for n in re.findall(r"^\[  FAILED  \] (\d+) test\(s\)", text, re.M))
    skipped = sum(int(n) for n in re.findall(r"^\[  SKIPPED \] (\d+) test\(s\)", text, re.M))
    for line in re.findall(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s", text, re.M):
        for n, what in re.findall(r"(\d+) (\w+)", line):
            if what == "passed":
                passed += int(n)
            elif what in ("failed", "error", "errors"):
                failed += int(n)
            elif what == "skipped":
                skipped += int(n)
    result = entry["result"]
    if result == "SKIP":
        return 0, 0, max(skipped, 1)
    if result not in ("OK", "EXPECTEDFAIL") and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        passed = 1
    return passed, failed, skipped


def main():
    build, *options = sys.argv[1:]
    # Tests wait for half of their time, so two share a processor; --num-processes says otherwise.
    env = {"MESON_TESTTHREADS": str(2 * len(os.sched_getaffinity(0))), **os.environ}
    run = subprocess.run(["meson", "test", "-C", build, "--print-errorlogs", *options], env=env)
    log = pathlib.Path(build) / "meson-logs" / "testlog.json"
    total = [0, 0, 0]
    if log.exists():
        for line in log.read_text(errors="replace").splitlines():
            total = [a + b for a, b in zip(total, cases(json.loads(line)))]
    print(f"\n{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return run.returncode or (1 if total[1] or not total[0] else 0)


sys.exit(main())
