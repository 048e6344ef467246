# SPDX-License-Identifier: MIT
"""MicroPython's own tests of the network, from the pinned source: those of two boards that talk to each other, by its
run-multitests.py, and those of net_hosted that need no server in the Internet. Results are CPython's, or written
down beside the test. What may fail is in upstream.toml."""
import re
import subprocess
import tomllib

from mpydtest.paths import SOURCE, micropython_dir
from mpydtest.paths import timeout as scaled

LISTED = tomllib.loads((SOURCE / "tests/conformance/upstream.toml").read_text())
# As if the machine had no way out: the boards then meet at 127.0.0.1, whatever addresses it has.
LOOPBACK = """
import runpy, socket, sys
class NoRoute(socket.socket):
    def connect(self, address):
        raise OSError("no route")
socket.socket = NoRoute
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(tests, program, *arguments):
    # -u, so that what a diff prints is where the program calls it
    done = subprocess.run(["/usr/bin/python3", "-u", *program, *arguments], cwd=tests, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=scaled(240))
    return done.stdout + done.stderr


def is_only_the_race(name, out):
    told = out.partition(f"{name} on ")[2].partition("\nmulti_net/")[0].partition("### DIFF ###")[2]
    changed = re.findall(r"^[-+](?![-+]).*$", told, re.M)
    return name in LISTED["net-races"] and changed == ["-" + LISTED["net-races"][name].split()[-1]]


def test_two_boards(boards):
    tests = micropython_dir() / "tests"
    certificates = {p.name: p.read_bytes() for p in (tests / "multi_net").glob("*.der")}
    pair = [boards(certificates), boards(certificates)]
    names = sorted(f"multi_net/{p.name}" for p in (tests / "multi_net").glob("*.py"))
    instances = [a for b in pair for a in ("-i", f"pyb:{b.repl_path()}")]
    out = run(tests, ["-c", LOOPBACK, "run-multitests.py"], *instances, *names)
    results = dict(re.findall(r"^(multi_net/\w+\.py) on \S+: (\w+)$", out, re.M))
    assert results.keys() == set(names), out[-4000:]
    failed = {name for name, result in results.items() if result != "pass" and not is_only_the_race(name, out)}
    assert failed == LISTED["net"].keys(), out[-8000:]


def test_hosted(board, tmp_path):
    tests = micropython_dir() / "tests"
    names = {f"net_hosted/{p.name}" for p in (tests / "net_hosted").glob("*.py")} - LISTED["net-left-out"].keys()
    out = run(tests, ["run-tests.py"], "-t", f"port:{board.repl_path()}", "-r", str(tmp_path), *sorted(names))
    assert names and re.search(rf"^{len(names)} tests passed$", out, re.M), out[-4000:]
