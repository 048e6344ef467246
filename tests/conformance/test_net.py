# SPDX-License-Identifier: MIT
"""What resets do to connections, seen by the peer."""
import socket

import pytest

from mpydtest.items import item
from mpydtest.paths import timeout as scaled

SERVER = """
import socket
l = socket.socket()
l.bind(("127.0.0.1", 48918))
l.listen()
print("listens")
"""


def connect():
    c = socket.create_connection(("127.0.0.1", 48918), scaled(20))
    c.settimeout(scaled(20))
    return c


@item("S18")
def test_S18_connections_end_with_fin(boards):
    b = boards({"main.py": SERVER + "c = l.accept()[0]\nc.write('hello')\n"})
    b.wait_log("listens")
    with connect() as quiet:
        assert quiet.recv(5) == b"hello"
        repl = b.friendly()
        repl.write(b"\x04")
        assert quiet.recv(1) == b""  # FIN, and not ECONNRESET
        b.wait_log("listens", 2)
        # With unread data in it, as long as the peer still sends some.
        with connect() as talks:
            talks.sendall(bytes(500000))
            assert talks.recv(5) == b"hello"
            repl.sync()
            repl.write(b"\x04")
            assert talks.recv(1) == b""
        b.wait_log("listens", 3)


@item("S18")
@pytest.mark.parametrize("end", ["c.close()", "del c; import gc; gc.collect()"])
def test_S18_close_with_unread_data_sends_fin(board, end):
    repl = board.friendly()
    for line in SERVER.splitlines():
        repl.line(line)
    with connect() as peer:
        peer.sendall(bytes(100000))
        repl.line("c = l.accept()[0]")
        repl.line(end)
        assert peer.recv(1) == b""


@item("S18")
@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_S18_port_is_free_at_once(boards, kind):
    b = boards({"main.py": SERVER + "while True:\n    c = l.accept()[0]\n    c.write('hi')\n"})
    for n in range(1, 6):
        b.wait_log("listens", n)
        # The board's side closes first, so that its port has connections in TIME_WAIT.
        peers = [connect() for _ in range(3)]
        for peer in peers:
            assert peer.recv(2) == b"hi"
        b.control.reset(kind)
        b.wait_log("listens", n + 1)
        for peer in peers:
            peer.close()
    assert "EADDRINUSE" not in b.log and "Error" not in b.log


@item("S34", "over this machine's own network; Wi-Fi waits for network")
def test_S34_connection_of_boot_is_used_later(boards):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        s.settimeout(scaled(20))
        b = boards({"boot.py": "import socket\nc = socket.socket()\n"
                               f"c.connect({s.getsockname()})\nc.write('boot')\n"})
        peer, _ = s.accept()
        with peer:
            peer.settimeout(scaled(20))
            assert peer.recv(4) == b"boot"
            b.friendly().close()
            b.mpremote("resume", "exec", "c.write('mpremote')")
            assert peer.recv(8) == b"mpremote"
            repl = b.friendly()
            repl.line("c.write('repl')")
            assert peer.recv(4) == b"repl"
