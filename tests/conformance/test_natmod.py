# SPDX-License-Identifier: MIT
"""Native modules: machine code in a .mpy, made with upstream's mpy_ld.py. The examples that upstream tests, with its
own run-natmodtests.py, which sends them over the pty; and the others as a user has them, as files."""
import pathlib
import platform
import re
import shutil
import subprocess

import pytest

from mpydtest.paths import is_sanitized, micropython_dir, mpy_cross
from mpydtest.paths import timeout as scaled

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="upstream makes native modules for x64 and not for this"),
    pytest.mark.skipif(is_sanitized(), reason="machine code of a module knows nothing of the sanitizer's setjmp()"),
]

# run-natmodtests.py's TEST_MAPPINGS but btree, whose source (Berkeley DB) Debian's MicroPython leaves out.
TESTED = ["deflate", "framebuf", "heapq", "random", "re"]
FEATURES = {
    "features0": ("features0.factorial(10)", "3628800"),
    "features1": ("features1.fibonacci(10)", "55"),
    "features3": ("type(features3.make_dict('k', 7))", "dict"),
    "features4": ("features4.Factorial(10).calculate()", "3628800"),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """What run-natmodtests.py finds its files by: upstream's folders, of which only the examples are copies."""
    top, source = tmp_path_factory.mktemp("natmod"), micropython_dir()
    (top / "tools").symlink_to(source / "tools")
    (top / "tests").mkdir()
    for entry in (source / "tests").iterdir():
        (top / "tests" / entry.name).symlink_to(entry)
    shutil.copytree(source / "examples/natmod", top / "examples/natmod")
    for module in (*TESTED, *FEATURES):
        subprocess.run(
            ["make", "-s", "-C", top / "examples/natmod" / module, "ARCH=x64", f"MPY_DIR={source}",
             "PYTHON=/usr/bin/python3", f"MPY_CROSS={mpy_cross()}", f"BUILD={top / 'build' / module}"],
            check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=scaled(120))
    return top


def test_upstreams_tests(boards, tree):
    b = boards()
    names = sorted(f"extmod/{p.name}" for m in TESTED for p in (tree / "tests/extmod").glob(f"{m}*.py"))
    done = subprocess.run(["/usr/bin/python3", "run-natmodtests.py", "-p", "-d", b.repl_path(), *names],
                          cwd=tree / "tests", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=scaled(240))
    failed = re.findall(r"^(?:FAIL|TRUTH FAIL) +(\S+)", done.stdout, re.M)
    assert not failed and done.returncode == 0, done.stdout[-4000:] + done.stderr
    # Four skip themselves: they are about what the module does not have and the built-in one has.
    assert int(re.search(r"^(\d+) tests passed", done.stdout, re.M)[1]) == len(names) - 4, done.stdout[-2000:]


@pytest.mark.parametrize("module", FEATURES)
def test_a_module_as_a_file(boards, tree, module):
    """Copied and imported; it is there after a soft reset too, for its memory is the life's own."""
    path, = pathlib.Path(tree / "examples/natmod" / module).glob("*.mpy")
    b = boards()
    b.put({"lib/" + path.name: path.read_bytes()})
    repl = b.friendly()
    expression, expected = FEATURES[module]
    for _ in range(2):
        assert "Error" not in repl.line(f"import {module}")
        assert expected in repl.line(expression)
        repl.write(b"\x04")
        repl.read_until(b">>> ")
