# SPDX-License-Identifier: MIT
"""The socket module against Python's: each family and kind, waiting and being interrupted, names."""
import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from mpydtest.paths import timeout as scaled

LOOPBACK = "127.0.0.1"
SIOCSIFADDR = 0x8916


@pytest.fixture
def repl(board):
    r = board.raw()
    run(r, "import socket, select, time, os, errno")
    return r


def run(repl, code, timeout=20):
    out, error = repl.exec_raw(code, timeout)
    assert error == "", error
    return out.replace("\r\n", "\n")


def listener(family=socket.AF_INET, address=(LOOPBACK, 0)):
    s = socket.socket(family)
    s.settimeout(scaled(20))
    s.bind(address)
    s.listen()
    return s


def accept(s):
    c, _ = s.accept()
    c.settimeout(scaled(20))
    return c


def receive_all(c):
    data = b""
    while piece := c.recv(65536):
        data += piece
    return data


@pytest.mark.parametrize("family, host", [(socket.AF_INET, LOOPBACK), (socket.AF_INET6, "::1")])
def test_tcp_client(repl, family, host):
    with listener(family, (host, 0)) as s:
        port = s.getsockname()[1]
        run(repl, f"a = socket.getaddrinfo({host!r}, {port})[0]\n"
                  "s = socket.socket(a[0], a[1], a[2])\n"
                  "s.connect(a[-1])\ns.write(b'hello\\n')")
        with accept(s) as c:
            assert c.recv(100) == b"hello\n"
            c.sendall(b"one\ntwo\n" + bytes(range(256)) * 4000)
            c.shutdown(socket.SHUT_WR)
            out = run(repl, "print(s.readline(), s.makefile('rb').readline(), s.recv(3))\n"
                            "b = bytearray(5)\nprint(s.readinto(b), b)\nprint(s.recv_into(b, 2), b)\n"
                            "print(s.getpeername()[:2], len(s.read()), s.read(1), s.recv(1))\n"
                            "print(s)\ns.close()\nprint(s)")
            lines = out.splitlines()
            assert lines[:3] == ["b'one\\n' b'two\\n' b'\\x00\\x01\\x02'",
                                 "5 bytearray(b'\\x03\\x04\\x05\\x06\\x07')",
                                 "2 bytearray(b'\\x08\\t\\x05\\x06\\x07')"]
            assert lines[3] == f"('{host}', {port}) {256 * 4000 - 10} b'' b''"
            assert "<socket fd=-1" in lines[5]
            assert c.recv(1) == b""


def test_tcp_server(repl):
    port = int(run(repl, "l = socket.socket()\nl.bind(('127.0.0.1', 0))\nl.listen(1)\n"
                         "print(l.getsockname()[1])"))
    with socket.create_connection((LOOPBACK, port), scaled(20)) as c:
        out = run(repl, "c, peer = l.accept()\nprint(peer)\nc.sendall(bytes(3000000 // 3) * 1)")
        assert out == f"{c.getsockname()}\n"
        run(repl, "c.close()")
        assert len(receive_all(c)) == 1000000


def test_made_without_a_family(repl):
    """As lwIP's it takes an address of either; what was set before stays set. One of IPv6 serves both."""
    out = run(repl, """
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
l.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\5\\0\\0\\0')
l.settimeout(10)
number = l.fileno()
l.bind(('::', 0))
l.listen(2)
port = l.getsockname()[1]
print(l.getsockname()[0], l.fileno() == number, l.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
      l.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
for host in '::1', '127.0.0.1', 'localhost':
    c = socket.socket()
    c.connect(socket.getaddrinfo(host, port)[0][-1])
    s, (peer, _) = l.accept()
    s.send(peer)
    print(c.recv(100), c.getpeername() == (c.getpeername()[0], port))
    s.close()
    c.close()
c = socket.socket()
c.connect(('::1', port, 0, 0))
s, _ = l.accept()
s.close() # first, so that the port is in use for a while yet
c.read()
c.close()
l.close()
l = socket.socket()
l.bind(('::', port))
l.listen(1)
l.close()
""")
    assert out == (r":: True 16384 b'\x01\x00\x00\x00\x05\x00\x00\x00'" + "\n"
                   "b'::1' True\nb'127.0.0.1' True\nb'127.0.0.1' True\n")


def test_no_descriptor_left_to_change_the_family(repl):
    """Nothing is lost: it says so, and takes the address when there is one again."""
    with listener(socket.AF_INET6, ("::1", 0)) as s:
        out = run(repl, f"""
s = socket.socket()
held = []
try:
    while True:
        held.append(socket.socket())
except OSError as e:
    print(e)
try:
    s.connect(('::1', {s.getsockname()[1]}))
except OSError as e:
    print(e)
held.pop().close()
s.connect(('::1', {s.getsockname()[1]}))
s.send(b'hello')
for h in held:
    h.close()
""")
        with accept(s) as c:
            assert out == "[Errno 24] EMFILE\n" * 2 and c.recv(9) == b"hello"


def test_a_family_is_for_good(repl):
    """One that is asked for, and the first address's."""
    out = run(repl, """
def error(f, *args):
    try:
        print(f(*args))
    except (OSError, ValueError) as e:
        print(e)
s = socket.socket(socket.AF_INET)
error(s.connect, ('::1', 9))
error(s.connect, ('::1', 9, 0, 0))
s = socket.socket()
s.bind(('', 0))
error(s.connect, ('::1', 9))
print(s.getsockname()[0])
s = socket.socket(socket.AF_INET6)
s.bind(('', 0))
s.listen(1)
print(s.getsockname()[0])
c = socket.socket(socket.AF_INET6)
c.connect(('127.0.0.1', s.getsockname()[1]))
print(c.getpeername()[0])
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
error(u.sendto, b'x', ('127.0.0.1', 9))
""")
    lines = out.splitlines()
    assert lines[0].startswith("[Errno -9]") or lines[0].startswith("(-9"), out
    assert lines[1] == "address is (host, port)" and lines[2][:8] == lines[0][:8]
    assert lines[3:6] == ["0.0.0.0", "::", "127.0.0.1"] and "ENETUNREACH" in lines[6], out


def test_an_address_of_a_link_names_its_interface(repl):
    index = socket.if_nametoindex("lo")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        try:  # struct in6_ifreq
            fcntl.ioctl(s, SIOCSIFADDR, socket.inet_pton(socket.AF_INET6, "fe80::53") + struct.pack("Ii", 64, index))
        except PermissionError:
            pytest.skip("only root may give the loopback interface an address")
        except FileExistsError:
            pass
    out = run(repl, f"""
a = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
a.bind(('fe80::53%lo', 0))
b = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
b.sendto(b'one', a.getsockname())
data, peer = a.recvfrom(9)
b.sendto(b'two', ('fe80::53', a.getsockname()[1], 0, {index}))
print(a.getsockname()[0], data, peer[0], a.recv(9), socket.getaddrinfo('fe80::53%lo', 1)[0][-1])
""")
    assert out == "fe80::53%lo b'one' fe80::53%lo b'two' ('fe80::53%lo', 1)\n"


def test_sendall_waits_for_a_slow_peer(repl):
    with listener() as s:
        run(repl, f"s = socket.socket()\ns.connect(('127.0.0.1', {s.getsockname()[1]}))")
        with accept(s) as c:
            repl.send_raw("s.sendall(bytes(8000000))\ns.close()\nprint('sent')")
            time.sleep(0.2)
            assert len(receive_all(c)) == 8000000
            assert repl.read_until(b"\x04").startswith(b"sent")


def test_a_datagram_for_all_needs_no_option(repl):
    """As with a Pico's lwIP; Linux wants SO_BROADCAST first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as all_of_us:
        all_of_us.settimeout(scaled(20))
        all_of_us.bind(("127.255.255.255", 0))
        port = all_of_us.getsockname()[1]
        run(repl, "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)")
        assert run(repl, f"print(u.sendto(b'who is there?', ('127.255.255.255', {port})))") == "13\n"
        assert all_of_us.recv(100) == b"who is there?"
    assert run(repl, f"u.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 0)\ntry:\n"
                     f"    u.sendto(b'x', ('127.255.255.255', {port}))\n"
                     "except OSError as e:\n    print(e.errno == errno.EACCES)") == "True\n"



@pytest.mark.parametrize("family, host", [("AF_INET", LOOPBACK), ("AF_INET6", "::1")])
def test_nobody_takes_a_datagram(repl, family, host):
    """As on a board nobody hears of it: each is sent, a read waits its time, poll() has nothing to tell."""
    with socket.socket(getattr(socket, family), socket.SOCK_DGRAM) as peer:
        peer.settimeout(scaled(20))
        peer.bind((host, 0))
        port = peer.getsockname()[1]
        run(repl, f"s = socket.socket(socket.{family}, socket.SOCK_DGRAM)\ns.connect(({host!r}, {port}))\n"
                  "p = select.poll()\np.register(s, select.POLLIN)")
        peer.close()
        out = run(repl, "print([s.send(b'log') for _ in range(6)])\nprint(p.poll(100))\ns.settimeout(0.1)\n"
                        "for wait, why in (0.1, errno.ETIMEDOUT), (0, errno.EAGAIN):\n"
                        "    s.send(b'x')\n    s.settimeout(wait)\n    try:\n        s.recv(9)\n"
                        "    except OSError as e:\n        print(e.errno == why)\n"
                        "s.send(b'x')\np.modify(s, select.POLLOUT | select.POLLIN)\n"
                        "print(p.poll(0)[0][1] == select.POLLOUT)")
        assert out == "[3, 3, 3, 3, 3, 3]\n[]\nTrue\nTrue\nTrue\n"
    with socket.socket(getattr(socket, family), socket.SOCK_DGRAM) as peer:  # it is back
        peer.settimeout(scaled(20))
        peer.bind((host, port))
        run(repl, "s.send(b'here again')\ns.settimeout(20)")
        data, board = peer.recvfrom(100)
        peer.sendto(b"heard", board)
        assert data == b"here again" and run(repl, "print(s.recv(9))") == "b'heard'\n"


def test_nobody_at_a_unix_address_is_an_error(repl):
    out = run(repl, "u, v = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]\n"
                    "v.bind(b'\\0mpyd-test')\nu.connect(b'\\0mpyd-test')\nv.close()\n"
                    "for _ in range(2):\n    try:\n        u.send(b'x')\n    except OSError as e:\n        print(e)")
    assert out == "[Errno 111] ECONNREFUSED\n[Errno 107] ENOTCONN\n"


def test_connecting_twice(repl):
    """Who forgets to make a new socket hears of it, also the first time."""
    assert run(repl, """
import select, socket
def error(f, *args):
    try:
        return f(*args)
    except OSError as e:
        return e.errno
l = socket.socket()
l.bind(('127.0.0.1', 0))
l.listen(5)
s = socket.socket()
print([error(s.connect, l.getsockname()) for n in range(3)])
s = socket.socket()
s.setblocking(False)
said = [error(s.connect, l.getsockname())]
p = select.poll()
p.register(s, select.POLLOUT)
p.poll(10000)
print(said + [error(s.connect, l.getsockname()) for n in range(2)])
print(s.send(b'x'))
gone = l.getsockname()
l.close()
s = socket.socket()
print([error(s.connect, gone) for n in range(2)])
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print([error(u.connect, ('127.0.0.1', 9)) for n in range(2)])
""") == "[None, 106, 106]\n[115, 106, 106]\n1\n[111, 111]\n[None, None]\n"


def test_a_port_from_a_file_of_configuration(repl):
    """Which is text; an ESP32 takes it."""
    assert run(repl, """
import socket
l = socket.socket()
l.bind(('127.0.0.1', '0'))
l.listen(1)
s = socket.socket()
s.connect(('127.0.0.1', str(l.getsockname()[1])))
a = l.accept()[0]
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(('127.0.0.1', 0))
u.sendto(b'x', ('127.0.0.1', str(u.getsockname()[1])))
print(s.send(b'y'), a.recv(1), u.recv(1))
""") == "1 b'y' b'x'\n"


def test_udp_and_multicast(repl):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((LOOPBACK, 0))
        peer.settimeout(scaled(20))
        port = int(run(repl, "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                             "u.bind(('127.0.0.1', 0))\nprint(u.getsockname()[1])\n"
                             f"u.sendto(b'ping', ('127.0.0.1', {peer.getsockname()[1]}))"))
        data, address = peer.recvfrom(100)
        assert (data, address) == (b"ping", (LOOPBACK, port))
        peer.sendto(b"pong" * 100, address)
        assert run(repl, "print(u.recvfrom(4))") == f"(b'pong', {peer.getsockname()})\n"
        assert run(repl, "u.setblocking(False)\ntry:\n u.recvfrom(4)\n"
                         "except OSError as e:\n print(e.errno == errno.EAGAIN)") == "True\n"
    out = run(repl, "m = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                    "m.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\nm.bind(('', 0))\n"
                    "g = socket.inet_pton(socket.AF_INET, '239.1.2.3')\n"
                    "me = socket.inet_pton(socket.AF_INET, '127.0.0.1')\n"
                    "m.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, g + me)\n"
                    "t = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                    "t.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, me)\n"
                    "t.sendto(b'group', ('239.1.2.3', m.getsockname()[1]))\n"
                    "m.settimeout(5)\nprint(m.recv(10))")
    assert out == "b'group'\n"


# A namespace with two interfaces at the ends of one cable, each with a link-local address.
CABLE = ["unshare", "--net", "sh", "-euc", """
ip link add mpyd-a index 11 type veth peer name mpyd-b index 12
for n in 1 2; do
        name=$(echo ab | cut -c$n)
        ip link set mpyd-$name addrgenmode none
        ip address add fe80::$n/64 dev mpyd-$name nodad
        ip link set mpyd-$name up
done
exec "$@" """, "sh"]


def test_multicast_of_ipv6(boards):
    """A datagram for a group comes in where the group was joined, and nowhere else."""
    if subprocess.run([*CABLE, "true"], capture_output=True).returncode != 0:
        pytest.skip("no namespace with interfaces here")
    repl = repl_behind(boards, CABLE)
    out = run(repl, f"""
near, far = 11, 12
def error(f, *args):
    try:
        f(*args)
    except OSError as e:
        return e.errno
def member(group, interface):
    return socket.inet_pton(socket.AF_INET6, group) + interface.to_bytes(4, {sys.byteorder!r})
def join(s, group, interface, option=socket.IPV6_JOIN_GROUP):
    return error(s.setsockopt, socket.IPPROTO_IPV6, option, member(group, interface))
m = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
m.bind(('::', 0))
port = m.getsockname()[1]
t = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
t.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, near)
t.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
m.settimeout(0.2)
t.sendto(b'early', ('ff12::4d50', port))
print(error(m.recv, 10))
print(join(m, 'ff12::4d50', far))
m.settimeout(20)
for data, address in (b'other', ('ff12::4d51', port)), (b'one', ('ff12::4d50', port)), \
        (b'two', socket.getaddrinfo('ff12::4d50%mpyd-a', port)[0][-1]):
    t.sendto(data, address)
for n in range(2):
    data, peer = m.recvfrom(10)
    print(data, peer[0])
print(join(m, 'ff12::4d50', far), join(m, 'fe80::1', far), join(m, 'ff12::4d51', 99999),
      error(m.setsockopt, socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, b'short'))
print(join(m, 'ff12::4d50', far, socket.IPV6_LEAVE_GROUP), join(m, 'ff12::4d50', far, socket.IPV6_LEAVE_GROUP))
t.sendto(b'late', ('ff12::4d50', port))
t.sendto(b'to you', ('fe80::2%mpyd-a', port))
print(m.recv(10))
""")
    assert out.splitlines() == [str(errno.ETIMEDOUT), "None", "b'one' fe80::1%mpyd-b", "b'two' fe80::1%mpyd-b",
                                f"{errno.EADDRINUSE} {errno.EINVAL} {errno.ENODEV} {errno.EINVAL}",
                                f"None {errno.EADDRNOTAVAIL}", "b'to you'"], out


def test_unix(repl, board):
    path = str(board.dir / "local")
    with listener(socket.AF_UNIX, path) as s:
        os.chmod(path, 0o777)
        run(repl, f"s = socket.socket(socket.AF_UNIX)\ns.connect({path!r})\ns.write('over here')")
        with accept(s) as c:
            assert c.recv(100) == b"over here"
            assert run(repl, "print(s.getpeername(), repr(s.getsockname()))") == f"{path} ''\n"
    out = run(repl, "a = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                    "a.bind(b'\\x00mpyd-test-%d' % id(a))\nn = a.getsockname()\n"
                    "b = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\nb.sendto('x', n)\n"
                    "print(n[0], a.recv(9))")
    assert out == "0 b'x'\n"


def test_options(repl):
    out = run(repl, "s = socket.socket()\n"
                    "print(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))\n"
                    "s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n"
                    "print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)\n"
                    "s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\3\\0\\0\\0')\n"
                    "print(s.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))")
    assert out == "1\nTrue\nb'\\x01\\x00\\x00\\x00\\x03\\x00\\x00\\x00'\n"


def test_timeouts(repl):
    out = run(repl, "l = socket.socket()\nl.bind(('127.0.0.1', 0))\nl.listen()\nl.settimeout(0.2)\n"
                    "def timed(f, *a):\n t = time.ticks_ms()\n try:\n  f(*a)\n"
                    " except OSError as e:\n  return e.errno, time.ticks_diff(time.ticks_ms(), t)\n"
                    "print(timed(l.accept))\n"
                    "s = socket.socket()\ns.connect(l.getsockname())\nc = l.accept()[0]\n"
                    "c.settimeout(0.2)\nprint(timed(c.recv, 1))\nprint(timed(c.read, 1))\n"
                    "c.settimeout(0)\nprint(timed(c.recv, 1))\nprint(c.read(1))\n"
                    "c.settimeout(None)\ns.write('!')\nprint(c.read(1))")
    lines = out.splitlines()
    for line in lines[:3]:
        error, msec = eval(line)
        assert error == 110 and 195 <= msec < scaled(2000), out
    assert eval(lines[3])[0] == 11
    assert lines[4:] == ["None", "b'!'"]


@pytest.mark.parametrize("wait", ["l.accept()", "c.recv(1)", "c.read(1)", "c.sendall(bytes(1 << 24))",
                                  "u.recvfrom(1)", "p.poll()"])
def test_ctrl_c_ends_each_wait(repl, wait):
    run(repl, "l = socket.socket()\nl.bind(('127.0.0.1', 0))\nl.listen()\n"
              "s = socket.socket()\ns.connect(l.getsockname())\nc = l.accept()[0]\n"
              "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nu.bind(('', 0))\n"
              "p = select.poll()\np.register(u, select.POLLIN)")
    repl.send_raw(f"print('waits')\n{wait}")
    repl.read_until(b"waits\r\n")
    time.sleep(0.1)
    began = time.monotonic()
    repl.write(b"\x03")
    assert b"KeyboardInterrupt" in repl.read_until(b"\x04>")
    assert time.monotonic() - began < scaled(0.5)
    assert run(repl, "s.write('y')\nprint(c.recv(1))") == "b'y'\n"


def test_poll_and_asyncio(repl):
    with listener() as s:
        port = s.getsockname()[1]
        out = run(repl, f"s = socket.socket()\ns.setblocking(False)\ntry:\n s.connect(('127.0.0.1', "
                        f"{port}))\nexcept OSError as e:\n print(e.errno == errno.EINPROGRESS)\n"
                        "p = select.poll()\np.register(s, select.POLLOUT)\nprint(p.poll(5000)[0][1])\n"
                        "p.modify(s, select.POLLIN)\nprint(p.poll(10))")
        assert out == "True\n4\n[]\n"
        with accept(s) as c:
            c.sendall(b"x")
            assert run(repl, "print(p.poll(5000)[0][1], s.recv(9))") == "1 b'x'\n"
        assert int(run(repl, "print(p.poll(5000)[0][1])")) & 1
        run(repl, "s.close()")
        assert run(repl, "print(p.poll(100)[0][1] & select.POLLHUP != 0 or 'nval')")
    out = run(repl, """
import asyncio
async def serve(r, w):
    w.write(b'you said ' + await r.readline())
    await w.drain()
    w.close()
    await w.wait_closed()
async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 48917)
    for i in range(5):
        r, w = await asyncio.open_connection('localhost', 48917)
        w.write(b'%d\\n' % i)
        await w.drain()
        print(await r.read(-1))
        w.close()
        await w.wait_closed()
    server.close()
    await server.wait_closed()
asyncio.run(main())
""")
    assert out == "".join(f"b'you said {i}\\n'\n" for i in range(5))


def test_errors(repl):
    out = run(repl, """
def error(f, *a):
    try:
        print(f(*a))
    except Exception as e:
        print(type(e).__name__, e.args[0])
s = socket.socket()
with socket.socket() as l:
    l.bind(('127.0.0.1', 0))
    port = l.getsockname()[1]
error(s.connect, ('127.0.0.1', port))
error(s.bind, ('127.0.0.1',))
error(s.bind, ('127.0.0.1', 65536))
error(s.bind, ('127.0.0.1', '65536'))
error(s.bind, ('127.0.0.1', 'http'))
error(s.bind, ('127.0.0.1', ''))
error(s.bind, ('127.0.0.1', None))
error(s.bind, ('192.0.2.1', '0'))
error(s.recv, -1)
error(s.settimeout, -1)
s.close()
s.close()
error(s.recv, 1)
error(s.getsockname)
error(socket.socket, 999)
error(socket.socket(socket.AF_UNIX).connect, 'x' * 108)
error(socket.getaddrinfo, '127.0.0.1', 80, socket.AF_INET6)
error(socket.inet_pton, socket.AF_INET, '1.2.3')
""")
    lines = out.splitlines()
    assert lines[0] == "OSError 111"
    assert lines[1] == "ValueError address is (host, port)"
    assert lines[2:6] == ["ValueError port is not in 0...65535"] * 4
    assert lines.pop(6).startswith("TypeError")
    del lines[3:6]
    assert lines[3] == "OSError 99"
    assert lines[4:6] == ["ValueError negative size", "ValueError time-out is negative"]
    assert lines[6:8] == ["OSError 9", "OSError 9"]
    assert lines[8] == "OSError 97"
    assert lines[9] == "ValueError a Unix address has 1 to 107 bytes, not 108"
    assert lines[10].startswith("OSError -") and lines[11] == "OSError 22"


def test_forgotten_sockets_do_not_run_out(repl):
    assert run(repl, "for i in range(5000):\n socket.socket()\nprint('all')") == "all\n"


# ---- names ----


def test_names(repl):
    out = run(repl, "print(socket.getaddrinfo('127.0.0.1', 80)[0])\n"
                    "print(socket.getaddrinfo('localhost', 80)[0][-1])\n"
                    "print(socket.getaddrinfo('::1', 80)[0][-1])\n"
                    "print(socket.getaddrinfo('', 80)[0][-1])\n"
                    "try:\n socket.getaddrinfo('no.such.name.invalid', 80)\n"
                    "except OSError as e:\n print(e.errno < 0)")
    assert out == ("(2, 1, 6, '', ('127.0.0.1', 80))\n('127.0.0.1', 80)\n('::1', 80)\n"
                   "('0.0.0.0', 80)\nTrue\n")



class Resolver:
    """A DNS server on an address of loopback's: knows one name, keeps silent about all others."""
    ADDRESS = "127.0.0.153"
    NAME = b"\x05known\x04test\x00"

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.ADDRESS, 53))
        self.socket.settimeout(0.1)
        self.ends = False
        self.asked = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ends:
            try:
                data, peer = self.socket.recvfrom(1000)
            except TimeoutError:
                continue
            name_end = data.index(b"\0", 12) + 1
            if data[12:name_end] == self.NAME:
                is_a = data[name_end:name_end + 2] == b"\0\1"
                answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\x2a" if is_a else b""
                self.socket.sendto(data[:2] + b"\x81\x80\0\1" + bytes([0, int(is_a)]) + bytes(4) +
                                   data[12:name_end + 4] + answer, peer)
            else:
                self.asked.set()

    def close(self):
        self.ends = True
        self.thread.join()
        self.socket.close()


@pytest.fixture
def resolver(tmp_path):
    """The server, and a shell prefix that makes its child use it and nothing else. The C library asks it for 150 s."""
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {Resolver.ADDRESS}\noptions timeout:30 attempts:5\n")
    tmp_path.chmod(0o755)
    prefix = ["unshare", "--mount", "sh", "-c",
              f'mount --bind {conf} /etc/resolv.conf && exec "$@"', "sh"]
    if os.geteuid() != 0 or not shutil.which("unshare") or \
            subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs a mount namespace of its own")
    try:
        r = Resolver()
    except OSError as e:
        pytest.skip(f"cannot serve DNS here: {e}")
    yield r, prefix
    r.close()


def repl_behind(boards, prefix):
    """The raw REPL of a board that a shell prefix starts."""
    b = boards(start=False)
    command = b.command
    b.command = lambda: [*prefix, *command()]
    b.start()
    b.wait_state("idle")
    repl = b.raw()
    run(repl, "import socket")
    return repl


def test_a_name_that_nobody_answers_for(boards, resolver):
    server, prefix = resolver
    repl = repl_behind(boards, prefix)
    assert run(repl, "print(socket.getaddrinfo('known.test', 1)[0][-1])") == "('127.0.0.42', 1)\n"
    assert run(repl, "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                     "u.connect(('known.test', 9))\nprint(u.getpeername())") == "('127.0.0.42', 9)\n"
    # Callbacks run meanwhile, Ctrl-C ends it, a soft reset does not wait for it.
    repl.send_raw("import micropython\nmicropython.schedule(print, 'called')\n"
                  "socket.getaddrinfo('silent.test', 1)")
    repl.read_until(b"called")
    assert server.asked.wait(scaled(20))
    began = time.monotonic()
    repl.write(b"\x03")
    assert b"KeyboardInterrupt" in repl.read_until(b"\x04>")
    assert time.monotonic() - began < scaled(0.5)
    began = time.monotonic()
    repl.soft_reset_raw()
    assert time.monotonic() - began < scaled(2)
    # Those that were given up are bounded in number.
    repl.send_raw("import socket\nn = 0\nwhile True:\n try:\n  n += 1\n  print('try', n)\n"
                  "  socket.getaddrinfo('silent.test', 1)\n except KeyboardInterrupt: pass\n"
                  " except OSError as e:\n  print('errno', e.errno)\n  break")
    for n in range(1, 9):
        repl.read_until(b"try %d\r\n" % n)
        time.sleep(0.05)
        repl.write(b"\x03")
    assert b"errno 11" in repl.read_until(b"\x04>")


def test_a_name_server_that_never_answers_has_30_s(boards, resolver):
    """Though the C library would go on asking: ETIMEDOUT then, callbacks until then, and the program goes on."""
    server, prefix = resolver
    repl = repl_behind(boards, prefix)
    out = run(repl, """
import errno, time
from machine import Timer
ticks = 0
def tick(t):
    global ticks
    ticks += 1
timer = Timer(-1, period=1000, callback=tick)
began = time.ticks_ms()
try:
    socket.getaddrinfo('silent.test', 1)
except Exception as e:
    took = time.ticks_diff(time.ticks_ms(), began)
    print(type(e) is OSError, e.args == (errno.ETIMEDOUT,), took)
timer.deinit()
print(ticks >= 15)
print(socket.getaddrinfo('known.test', 1)[0][-1])
""", 60)
    error, ticked, address = out.splitlines()
    assert server.asked.is_set()
    assert error.startswith("True True ") and int(error.split()[2]) >= 29900, out
    assert (ticked, address) == ("True", "('127.0.0.42', 1)"), out


def test_raw_sockets_are_refused_and_the_error_says_so(repl):
    assert run(repl, "try:\n    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\n"
                     "except OSError as e:\n    print(e.errno == errno.EPERM)") == "True\n"
