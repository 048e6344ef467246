# SPDX-License-Identifier: MIT
"""Bytes: files to and from the board, and through a socket. Spans are the whole command's, as a user waits for it; of
sockets, from the first byte to the last, seen by the peer."""
import os
import socket
import subprocess
import time

from mpydtest.paths import mpyctl_program

from measure import Figure, Series
from speed import Raw
from subjects import Board

LARGE, SMALL = 32 << 20, 32 << 10
SOCKET_BYTES = 64 << 20
CHUNK = 65536

SERVER = f"""\
import socket
l = socket.socket()
l.bind(socket.getaddrinfo("127.0.0.1", 0)[0][-1])
l.listen(1)
print("@port", l.getsockname()[1])
c = l.accept()[0]
b = memoryview(bytearray({CHUNK}))
n = 0
while n < {SOCKET_BYTES}:
    if {{sends}}: n += c.send(b)
    else:
        got = c.{{recv}}(b)
        if not got: break
        n += got
c.close()
l.close()
"""


def timed(argv, size):
    start = time.monotonic()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: {done.stdout}{done.stderr}")
    return size / (time.monotonic() - start)


def copy_figures(env, n):
    large, small, back = env.work / "large", env.work / "small", env.work / "back"
    large.write_bytes(os.urandom(LARGE))
    small.write_bytes(os.urandom(SMALL))
    with Board(env, client=False) as board:
        ctl = [str(mpyctl_program()), "--run-dir", str(board.run), "--state-dir", str(board.dir / "state")]
        remote = [env.python, str(env.mpremote / "mpremote.py"), "connect", str(board.run / "repl")]
        flash = board.dir / "state/flash"

        def several(argv, size, check):
            values = []
            for _ in range(n):
                check.unlink(missing_ok=True)
                values.append(timed(argv, size))
                if check.stat().st_size != size:
                    raise RuntimeError(f"{argv}: {check.stat().st_size} bytes of {size} arrived")
            return values

        synced = ["sh", "-c", 'cp "$0" "$1" && sync "$1"']
        figures = [
            Figure(f"{LARGE >> 20} MiB to the board", Series("mpyctl cp", "B/s", several(
                [*ctl, "cp", str(large), ":large"], LARGE, flash / "large")),
                [Series("cp and sync", "B/s", several([*synced, large, flash / "x"], LARGE, flash / "x"))]),
            Figure(f"{LARGE >> 20} MiB from the board", Series("mpyctl cp", "B/s", several(
                [*ctl, "cp", ":large", str(back)], LARGE, back)),
                [Series("cp and sync", "B/s", several([*synced, flash / "large", back], LARGE, back))]),
        ]
        # mpremote sends pieces of 256 bytes, and sleeps 10 ms whenever an answer is not there at once.
        figures += [
            Figure(f"{SMALL >> 10} KiB to the board", Series("mpremote cp", "B/s", several(
                [*remote, "cp", str(small), ":small"], SMALL, flash / "small")),
                [Series("mpyctl cp", "B/s", several([*ctl, "cp", str(small), ":small"], SMALL, flash / "small"))]),
            Figure(f"{SMALL >> 10} KiB from the board", Series("mpremote cp", "B/s", several(
                [*remote, "cp", ":small", str(back)], SMALL, back)),
                [Series("mpyctl cp", "B/s", several([*ctl, "cp", ":small", str(back)], SMALL, back))]),
        ]
    return figures


def socket_rate(stream_port, sends):
    """The peer's side: how fast the server's bytes come, or go."""
    with socket.create_connection(("127.0.0.1", stream_port), 20) as c:
        buffer, done = bytearray(CHUNK), 0
        start = time.monotonic()
        if sends:
            while done < SOCKET_BYTES and (got := c.recv_into(buffer)):
                done += got
        else:
            while done < SOCKET_BYTES:
                done += c.send(buffer)
            c.shutdown(socket.SHUT_WR)
            c.recv(1)  # its end: all has been read
        return SOCKET_BYTES / (time.monotonic() - start)


def of_board(env, sends, n):
    values = []
    with Board(env) as board:
        raw = Raw(board)
        for _ in range(n):
            raw.stream.write(SERVER.format(sends=sends, recv="readinto").encode() + b"\x04")
            raw.stream.read_until(b"@port ")
            values.append(socket_rate(int(raw.stream.read_until(b"\n")), sends))
            raw.stream.read_until(b"\x04\x04>")
    return values


def of_program(argv, sends, n, recv):
    values = []
    for _ in range(n):
        with subprocess.Popen([*argv, "-c", SERVER.format(sends=sends, recv=recv)], stdout=subprocess.PIPE,
                              bufsize=0, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as p:
            values.append(socket_rate(int(p.stdout.readline().split()[1]), sends))
    return values


def socket_figures(env, n):
    return [Figure(f"TCP on loopback, a script {what} {SOCKET_BYTES >> 20} MiB",
                   Series("mpyd", "B/s", of_board(env, sends, n)),
                   [Series("python3", "B/s", of_program([env.python, "-S"], sends, n, "recv_into"))])
            for what, sends in (("sends", True), ("receives", False))]


def transfer_figures(env, n):
    return copy_figures(env, n) + socket_figures(env, n)
