# SPDX-License-Identifier: MIT
"""MicroPython's own tests of the network, from the pinned source: those of two boards that talk to each other, by its
run-multitests.py, and those of net_hosted that need no server in the Internet. Results are CPython's, or written
down beside the test. What may fail is in upstream.toml."""
import re
import subprocess
import tomllib

from mpydtest.paths import SOURCE, micropython_dir
from mpydtest.paths import timeout as scaled

ACCEPTED = tomllib.loads((SOURCE / "tests/conformance/upstream.toml").read_text())["net"]
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
# The others of net_hosted ask micropython.org; what they ask for is in test_socket.py and test_tls.py. And
# asyncio_loopback.py takes the order in which two tasks wake up that went to sleep for the same time in the same
# millisecond (lines 19 and 37) for settled.
HOSTED = ["accept_nonblock", "accept_timeout", "asyncio_start_server"]


def run(tests, program, *arguments):
    # -u, so that what a diff prints is where the program calls it
    done = subprocess.run(["/usr/bin/python3", "-u", *program, *arguments], cwd=tests, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=scaled(240))
    return done.stdout + done.stderr


# The lines that may be missing. The refused certificate is an error of drain() when the peer's answer comes after the
# first write() has returned, and of write() when it is quicker: the tests go by the first.
RACES = {f"multi_net/asyncio_tls_server_client_{name}_error.py": ["-drain"] for name in ("verify", "cert_required")}


def is_only_the_race(name, out):
    told = out.partition(f"{name} on ")[2].partition("\nmulti_net/")[0].partition("### DIFF ###")[2]
    return RACES.get(name) == re.findall(r"^[-+](?![-+]).*$", told, re.M)


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
    assert failed == {name for name in ACCEPTED if name in names}, out[-8000:]


def test_hosted(board, tmp_path):
    tests = micropython_dir() / "tests"
    out = run(tests, ["run-tests.py"], "-t", f"port:{board.repl_path()}", "-r", str(tmp_path),
              *(f"net_hosted/{name}.py" for name in HOSTED))
    assert re.search(rf"^{len(HOSTED)} tests passed$", out, re.M), out[-4000:]
