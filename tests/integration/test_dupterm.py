# SPDX-License-Identifier: MIT
"""os.dupterm(): the REPL on a second terminal, as on a board with a UART or a socket for it."""
import socket
import time

import pytest

from mpydtest import timeout

# A telnet server of three lines, as people write it for an ESP32.
SERVER = """\
import os, socket
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen(1)
print("port", listening.getsockname()[1])
terminal, _ = listening.accept()
terminal.setblocking(False)
os.dupterm(terminal)
"""

# A stream in Python: what it is fed comes out as typed, what is printed is kept.
STREAM = """\
import io, os
class Terminal(io.IOBase):
    def __init__(self):
        self.typed, self.shown = b"", b""
    def readinto(self, buf):
        if not self.typed:
            return None
        n = min(len(buf), len(self.typed))
        buf[:n], self.typed = self.typed[:n], self.typed[n:]
        return n
    def write(self, data):
        self.shown += data
        return len(data)
    def ioctl(self, request, arg):
        return arg & 1 if request == 3 and self.typed else 0
terminal = Terminal()
"""


class Remote:
    """The other end of a socket that is a terminal."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.buffer = b""

    def read_until(self, what):
        self.socket.settimeout(timeout(20))
        while what not in self.buffer:
            data = self.socket.recv(4096)
            assert data, f"it was closed; last was {self.buffer!r}"
            self.buffer += data
        before, _, self.buffer = self.buffer.partition(what)
        return before + what

    def write(self, data):
        self.socket.sendall(data)


@pytest.fixture
def served(boards):
    b = boards({"boot.py": SERVER})
    repl = b.open_repl()
    port = int(b.log.partition("port ")[2].split()[0]) if "port " in b.log else None
    deadline = time.monotonic() + timeout(20)
    while port is None:
        assert time.monotonic() < deadline, b.log
        time.sleep(0.05)
        port = int(b.log.partition("port ")[2].split()[0]) if "port " in b.log else None
    remote = Remote(port)
    remote.read_until(b">>> ")
    return b, repl, remote


def test_both_terminals_type_and_both_see(served):
    b, repl, remote = served
    remote.write(b"print('from', 'afar')\r")
    assert b"from afar\r\n" in remote.read_until(b"afar\r\n")
    repl.read_until(b"from afar\r\n")
    repl.write(b"print('from', 'here')\r")
    assert remote.read_until(b"from here\r\n").endswith(b"from here\r\n")
    repl.write(b"import sys; n = sys.stdout.buffer.write(b'raw\\n')\r")
    remote.read_until(b"\nraw\n")
    # What input() and sys.stdin read comes from both, too.
    for typed, expected in ((remote, b"<far>"), (repl, b"<near>")):
        remote.write(b"print('<' + input('? ') + '>')\r")
        remote.read_until(b"\n? ")
        typed.write(expected.strip(b"<>") + b"\r")
        remote.read_until(expected)


def test_ctrl_c_and_the_end_of_the_connection(served):
    """A program that reads is interrupted from afar; who goes is no longer written to, and the console stays."""
    b, repl, remote = served
    remote.write(b"import sys\rsys.stdin.read(1)\r")
    time.sleep(0.2)
    remote.write(b"\x03")
    remote.read_until(b"KeyboardInterrupt: \r\n>>> ")
    remote.socket.close()
    repl.read_until(b"dupterm: EOF received, deactivating")
    repl.sync()
    assert repl.line("os.dupterm(None)") == ""
    assert repl.line("6 * 7") == "42\r\n"
    b.wait_state("idle")


def test_a_terminal_of_the_kernel_costs_no_wake_ups(served):
    """A socket is waited for, not asked."""
    b, repl, remote = served

    def switches():
        with open(f"/proc/{b.board_pid()}/status") as f:
            return sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)

    time.sleep(0.5)
    before = switches()
    time.sleep(1)
    assert switches() - before <= 3


def test_gone_after_a_soft_reset(served):
    """S24, as far as there is no REPL on a UART."""
    b, repl, remote = served
    remote.write(b"import os; os.rename('boot.py', 'x.py')\r")
    remote.read_until(b">>> ")
    remote.write(b"\x04")
    remote.read_until(b"MPY: soft reboot\r\n")
    remote.socket.settimeout(timeout(20))
    while data := remote.socket.recv(4096):  # it is closed
        remote.buffer += data
    assert b">>> " not in remote.buffer
    repl.sync()
    assert repl.line("import os; os.dupterm(None)") == ""


def test_a_stream_in_python(boards):
    b = boards({"boot.py": STREAM})
    repl = b.friendly()
    assert repl.line("os.dupterm(terminal)") == ""
    assert repl.line("print(6 * 7)") == "42\r\n"
    assert "42" in repl.line("terminal.shown[-50:]")
    repl.write(b"terminal.typed = b'print(\"typed \" + \"by itself\")\\r'\r")
    repl.read_until(b"typed by itself\r\n")
    repl.sync()
    # select sees it, too.
    assert repl.line("import select, sys; p = select.poll(); p.register(sys.stdin, 1)") == ""
    assert repl.line("p.poll(0)") == "[]\r\n"
    repl.write(b"def f():\r    terminal.typed = b'x'\r    return len(p.poll(1000)), sys.stdin.read(1)\r\r\r")
    repl.sync()
    assert repl.line("f()") == "(1, 'x')\r\n"
    assert repl.line("os.dupterm(None) is terminal") == "True\r\n"


@pytest.mark.parametrize("method", ["write", "readinto"])
def test_a_stream_that_raises_is_left(boards, method):
    b = boards({"boot.py": STREAM})
    repl = b.friendly()
    repl.line(f"def bad(*a): raise ValueError('no more')\r\n\r\n")
    repl.sync()
    repl.write(f"Terminal.{method} = bad; n = os.dupterm(terminal)\r".encode())
    repl.read_until(b"deactivating: ")
    repl.read_until(b"ValueError: no more\r\n")
    repl.sync()
    assert repl.line("os.dupterm(None)") == ""
    assert repl.line("6 * 7") == "42\r\n"


def test_bad_arguments(boards):
    repl = boards({"boot.py": STREAM}).friendly()
    assert "ValueError: invalid dupterm index" in repl.line("os.dupterm(terminal, 1)")
    assert "OSError: stream operation not supported" in repl.line("os.dupterm(7)")
