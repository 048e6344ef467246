# SPDX-License-Identifier: MIT
"""The control socket: garbage, over-long messages, crowds; who may do what."""
import os
import pwd
import random
import socket
import struct
import json
import time

import pytest

from mpydtest import Control, ControlError, timeout


def connect(b):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(timeout(5))
    s.connect(str(b.run_dir / "control"))
    return s


def closed_by_daemon(s):
    """True when the daemon ends the connection."""
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def authenticate(s):
    s.sendall(AUTH)
    text = b""
    while b"AGREE_UNIX_FD\r\n" not in text:
        text += s.recv(4096)


AUTH = b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"


def header(body=0, fields=0, kind=1, endian=b"l", version=1, serial=1):
    return struct.pack("<c3BII", endian, kind, 0, version, body, serial) + struct.pack("<I", fields)


GARBAGE = {
    "noise": b"\xa5" * 5000,
    "text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "long line": b"\0AUTH " + b"x" * 200000,
    "no end": b"\0AUTH EXTERNAL " + b"33" * 50000 + b"\r\n",
    "call: bad endianness": header(endian=b"Q") + b"\0" * 100,
    "call: bad version": header(version=9) + b"\0" * 100,
    "call: huge body": header(body=0xffffffff) + b"\0" * 100,
    "call: huge header": header(fields=0xffffffff) + b"\0" * 100,
    "call: body over the limit": header(body=130 << 20, fields=16) + b"\0" * 100,
    "call: a reply to nothing": header(kind=2) + b"\0" * 100,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_survived(board, kind):
    with connect(board) as s:
        try:
            if kind.startswith("call: "):
                authenticate(s)
            s.sendall(GARBAGE[kind])
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert closed_by_daemon(s)
    assert board.get("State") == "idle"
    board.wait_log(f"(pid {os.getpid()}, uid {os.geteuid()}) broke the protocol")
    assert board.log_count("broke the protocol") == 1


def test_message_with_bad_fields_is_dropped(board):
    with connect(board) as s:
        authenticate(s)
        s.sendall(header(fields=64) + bytes(range(64)))
    assert board.get("State") == "idle"


def test_random_garbage_is_survived(board):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    r = random.Random(seed)
    for _ in range(200):
        with connect(board) as s:
            if r.random() < 0.7:
                authenticate(s)
            data = bytearray(header(body=r.choice([0, 8, 100, 1 << 20]),
                                    fields=r.choice([0, 8, 64, 200]), kind=r.randrange(6)))
            data += r.randbytes(r.randrange(400))
            try:
                s.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert board.get("State") == "idle"
    assert board.log_count("broke the protocol") < 10


BAD_CALLS = [
    ("Reset", "s", "sideways"), ("Reset", "s", "deepsleep"), ("Reset", "s", "x" * 100000),
    ("Reset", "", ), ("Reset", "u", 1), ("Nothing", ""), ("OpenConsole", "s", "x"),
    ("GetHistory", "s", "x"), ("GetLog", "x", -1),
]


@pytest.mark.parametrize("call", BAD_CALLS, ids=lambda c: f"{c[0]}({c[1]})")
def test_bad_arguments_are_refused(board, call):
    with pytest.raises(ControlError):
        board.control.call(*call)
    assert board.get("HardResets") == 1


def test_over_long_arguments_are_cut(board):
    session = board.open_session("who\x1b[31m" + "x" * 100000)
    holder = board.get("ConsoleHolder")
    assert holder.startswith("who") and "xxx" in holder and len(holder) < 200
    assert holder.isprintable()
    session.close()


def test_history_and_log_are_bounded(board):
    text = board.control.call("GetHistory", "xtxus", 0, 0, 0, 0xffffffff, "")[0]
    assert text.startswith("[")
    with pytest.raises(ControlError):
        board.control.call("GetHistory", "xtxus", -5, 2**64 - 1, -1, 0, "")
    with pytest.raises(ControlError, match="so long a name"):
        board.control.call("GetHistory", "xtxus", 0, 0, 0, 1, "x" * 1000)
    totals = json.loads(board.control.call("GetTotals", "")[0])["totals"]
    assert totals["power-ons"] == 1 and totals["daemon-start"] == 1
    assert len(board.control.log(0xffffffff)) < 5000


def test_crowds_are_bounded(board):
    crowd = []
    try:
        for _ in range(200):
            s = connect(board)
            s.setblocking(False)
            crowd.append(s)
        time.sleep(0.2)
        # 32 of them are let in, with six descriptors each at the most: two of the socket, a pair, a timer,
        # and libsystemd 257 has a pidfd.
        assert board.memory()[1] < 50 + 6 * 32
    finally:
        for s in crowd:
            s.close()
    deadline = time.monotonic() + timeout(10)
    while True:  # all of them have gone, there is room again
        try:
            assert board.get("State") == "idle"
            break
        except (EOFError, OSError):
            assert time.monotonic() < deadline
            board._forget_clients()


def test_follower_that_does_not_read_is_let_go(boards):
    b = boards({"main.py": "import time\nfor i in range(100000):\n    print('x' * 200)\n"
                           "    if i % 20 == 19: time.sleep_ms(1)\n"})
    follower = Control(b.run_dir / "control")
    follower.call("FollowLog")
    rss = b.memory()[0]
    time.sleep(2)
    assert b.memory()[0] - rss < 16 << 20
    b.control.properties()
    follower.close()


def as_user(uid, gid, function):
    """Runs function in a child with other credentials; its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            status = function()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_others_may_read_and_not_change(board):
    nobody = pwd.getpwnam("nobody")

    def try_it():
        with Control(board.run_dir / "control") as c:
            if c.get("State") != "idle":
                return 1
            for call in (("Reset", "s", "hard"), ("Interrupt",), ("OpenConsole", "sb", "x", True)):
                try:
                    c.call(*call)
                    return 2
                except ControlError as e:
                    if e.name != "org.freedesktop.DBus.Error.AccessDenied":
                        return 3
        return 0

    assert as_user(nobody.pw_uid, nobody.pw_gid, try_it) == 0  # which is also the board's user
    assert board.get("HardResets") == 1


def test_reload_says_what_is_wrong_and_what_waits(boards):
    b = boards({})
    b.wait_state("idle")  # as long as it boots, it takes what is configured
    assert b.control.call("Reload") == [[]]
    b.set_config({"board": {"heap": "2M", "heap-max": "1"}, "log": {"level": "debug"}})
    notes, = b.control.call("Reload")
    assert len(notes) == 2, notes
    (wrong, mistake), (waits, pending) = notes
    assert wrong is True and "heap-max" in mistake and str(b.config_file) in mistake
    assert waits is False and "heap" in pending and "next reset" in pending
    b.wait_log("Configuration read again.", count=2)
    again = b.ctl("reload", check=False)
    assert again.stdout.splitlines() == [mistake, pending]  # as long as it waits
    assert again.returncode == 2 and "everything but the mistake above" in again.stderr
    b.config_file.unlink()
    gone, = b.ctl("reload", check=False).stdout.splitlines()  # back to the defaults, with which the board runs
    assert str(b.config_file) in gone and "No such file" in gone
    b.set_config({"log": {"level": "debug"}})
    assert b.ctl("reload").stdout == ""
    b.wait_state("idle")


def test_there_is_nobody_to_hand_over_to_in_the_foreground(boards):
    b = boards({})
    with pytest.raises(ControlError, match="without a service manager"):
        b.control.call("HandOver")
    refused = b.ctl("restart", "--keep-pins", check=False)
    assert refused.returncode == 2 and "restart that one by what started it" in refused.stderr
    assert b.stop() == 0
