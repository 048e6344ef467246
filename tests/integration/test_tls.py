# SPDX-License-Identifier: MIT
"""ssl with Python's as the peer and with the board itself, and whom it trusts."""
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from mpydtest.paths import timeout as scaled

HOST = "127.0.0.1"


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A CA, a certificate of its for board.test, and one that it did not sign."""
    d = tmp_path_factory.mktemp("pki")
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    openssl("req", "-x509", *ec, "-keyout", d / "ca.key", "-out", d / "ca.pem", "-subj", "/CN=Test CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # Python 3.13 insists
    openssl("req", *ec[:-2], "-keyout", d / "key.pem", "-out", d / "csr.pem", "-subj",
            "/CN=board.test")
    (d / "ext").write_text("subjectAltName=DNS:board.test\nauthorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", d / "csr.pem", "-CA", d / "ca.pem", "-CAkey", d / "ca.key",
            "-CAcreateserial", "-days", 30, "-extfile", d / "ext", "-out", d / "cert.pem")
    openssl("req", "-x509", *ec, "-keyout", d / "other.key", "-out", d / "other.pem", "-subj",
            "/CN=board.test", "-addext", "subjectAltName=DNS:board.test")
    return d


@pytest.fixture
def b(boards, pki):
    b = boards({n: (pki / n).read_bytes() for n in ("ca.pem", "cert.pem", "key.pem", "other.pem", "other.key")},
               config={"board": {"heap-max": "16M"}})
    b.wait_state("idle")
    return b


def run(repl, code, timeout=30):
    out, error = repl.exec_raw(code, timeout)
    assert error == "", error
    return out.replace("\r\n", "\n")


class Server:
    """Python's: one HTTPS answer a connection."""

    def __init__(self, pki, cert="cert.pem", key="key.pem"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / cert, pki / key)
        self.socket = socket.create_server((HOST, 0))
        self.socket.settimeout(scaled(20))
        self.port = self.socket.getsockname()[1]
        self.tls = context.wrap_socket(self.socket, server_side=True)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                c, _ = self.tls.accept()
            except (ssl.SSLError, ConnectionError):
                continue
            except OSError:
                return
            with c:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += c.recv(4096)
                body = request.split(b"\r\n")[0] + b"\n" + bytes(range(256)) * 1000
                c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def close(self):
        socket.socket.shutdown(self.tls, socket.SHUT_RDWR)  # accept() ends
        self.tls.close()
        self.thread.join(scaled(5))


@pytest.fixture
def server(pki):
    s = Server(pki)
    yield s
    s.close()


CLIENT = """
import socket, ssl
def get(port, context, name='board.test'):
    s = socket.socket()
    s.connect(('127.0.0.1', port))
    try:
        t = context.wrap_socket(s, server_hostname=name)
    except Exception as e:
        s.close()
        return type(e).__name__, e.args[-1]
    t.write(b'GET /it HTTP/1.0\\r\\n\\r\\n')
    answer = t.read()
    version = t.cipher()[1]
    t.close()
    head, body = answer.split(b'\\r\\n\\r\\n', 1)
    return head.split(b'\\r\\n')[0], body[:16], len(body), body[-256:] == bytes(range(256)), version
"""


def test_client_verifies_the_server(b, server, pki):
    repl = b.raw()
    run(repl, CLIENT)
    out = run(repl, "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\nprint(c.verify_mode == "
                    "ssl.CERT_REQUIRED)\nc.load_verify_locations('ca.pem')\n"
                    f"print(get({server.port}, c)[:-1])\nprint(get({server.port}, c, 'other.test'))")
    lines = out.splitlines()
    assert lines[0] == "True"
    assert eval(lines[1]) == (b"HTTP/1.0 200 OK", b"GET /it HTTP/1.0", 256017, True)
    assert eval(lines[2])[0] in ("ValueError", "OSError") and "Common Name" in eval(lines[2])[1]
    # Ciphers of TLS 1.2 can only be spoken with 1.2, also to a server that would rather have 1.3.
    out = run(repl, "c = ssl.create_default_context(cafile='ca.pem')\n"
                    "c.set_ciphers(['TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256'])\n"
                    f"print(get({server.port}, c)[-1])")
    assert out == "TLSv1.2\n"
    # cadata, and nobody verified.
    out = run(repl, "c = ssl.create_default_context(cadata=open('ca.pem', 'rb').read())\n"
                    f"print(get({server.port}, c)[0])\n"
                    "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\nc.verify_mode = ssl.CERT_NONE\n"
                    f"print(get({server.port}, c, None)[0])\n"
                    f"s = socket.socket()\ns.connect(('127.0.0.1', {server.port}))\n"
                    "print(ssl.wrap_socket(s).cipher()[1][:4])")
    assert out == "b'HTTP/1.0 200 OK'\nb'HTTP/1.0 200 OK'\nTLSv\n"


def test_requests(b, server):
    """The frozen requests over TLS, by its older name: as on other boards it encrypts, and verifies nobody."""
    out = run(b.raw(), "import requests, urequests\nassert urequests.get is requests.get\n"
                       f"r = requests.get('https://127.0.0.1:{server.port}/it')\n"
                       "print(r.status_code, r.content[:16], len(r.content))\nr.close()")
    assert out == "200 b'GET /it HTTP/1.0' 256017\n"


def test_stranger_is_refused(b, pki):
    strange = Server(pki, "other.pem", "other.key")
    try:
        repl = b.raw()
        run(repl, CLIENT)
        out = run(repl, "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
                        f"c.load_verify_locations('ca.pem')\nprint(get({strange.port}, c))\n"
                        # Against what the host trusts, which is read when it is needed.
                        "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
                        f"print(get({strange.port}, c))", timeout=60)
        for line in out.splitlines():
            assert "not correctly signed by the trusted CA" in eval(line)[1]
    finally:
        strange.close()


def test_the_hosts_certificates_are_the_default(boards, pki, server, tmp_path):
    """The bundle of this host, with the test's CA put into it, for this daemon alone."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    ours = tmp_path / "bundle.crt"
    ours.write_bytes(open(bundle, "rb").read() + (pki / "ca.pem").read_bytes())
    ours.chmod(0o644)
    prefix = ["unshare", "--mount", "sh", "-c", f'mount --bind {ours} {bundle} && exec "$@"', "sh"]
    if not shutil.which("unshare") or \
            subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs a mount namespace of its own")
    b = boards(start=False)
    command = b.command
    b.command = lambda: [*prefix, *command()]
    b.start()
    b.wait_state("idle")
    repl = b.raw()
    run(repl, CLIENT)
    out = run(repl, "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
                    f"print(get({server.port}, c)[0])", timeout=60)
    assert out == "b'HTTP/1.0 200 OK'\n"


def test_server(b, pki):
    repl = b.raw()
    port = int(run(repl, """
import asyncio, ssl, socket
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('cert.pem', 'key.pem')
async def serve(r, w):
    line = await r.readline()
    while await r.readline() != b'\\r\\n':
        pass
    w.write(b'HTTP/1.0 200 OK\\r\\n\\r\\n' + line + bytes(50000))
    await w.drain()
    w.close()
    await w.wait_closed()
print(48919)
"""))
    repl.send_raw(f"async def main():\n s = await asyncio.start_server(serve, '127.0.0.1', {port}, "
                  "ssl=context)\n print('serves')\n await asyncio.sleep(1000)\nasyncio.run(main())")
    repl.read_until(b"serves")
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    for i in range(3):
        with socket.create_connection((HOST, port), scaled(20)) as s, \
                context.wrap_socket(s, server_hostname="board.test") as t:
            assert t.version() == "TLSv1.2"
            t.sendall(b"GET /%d HTTP/1.0\r\nHost: x\r\n\r\n" % i)
            data = b""
            while piece := t.recv(65536):
                data += piece
            assert data.startswith(b"HTTP/1.0 200 OK\r\n\r\nGET /%d" % i) and len(data) > 50000
    repl.write(b"\x03")
    repl.read_until(b"\x04>")


def test_board_with_itself(b):
    repl = b.raw()
    out = run(repl, """
import asyncio, ssl
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain('cert.pem', 'key.pem')
client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client.load_verify_locations('ca.pem')
async def serve(r, w):
    w.write(b'you said ' + await r.readline())
    await w.drain()
    w.close()
    await w.wait_closed()
async def main():
    s = await asyncio.start_server(serve, '127.0.0.1', 48920, ssl=server)
    r, w = await asyncio.open_connection('127.0.0.1', 48920, ssl=client,
                                         server_hostname='board.test')
    w.write(b'hello\\n')
    await w.drain()
    print(await r.readline())
    w.close()
    await w.wait_closed()
    s.close()
    await s.wait_closed()
asyncio.run(main())
""", timeout=60)
    assert out == "b'you said hello\\n'\n"


def test_hashes_and_ciphers(board):
    import hashlib
    repl = board.raw()
    out = run(repl, "import hashlib, binascii, cryptolib\n"
                    "for n in 'md5', 'sha1', 'sha256':\n"
                    " print(getattr(hashlib, n)(b'mpyd').digest().hex())\n"
                    "c = cryptolib.aes(bytes(16), cryptolib.MODE_CBC, bytes(16))\n"
                    "d = cryptolib.aes(bytes(16), cryptolib.MODE_CBC, bytes(16))\n"
                    "print(d.decrypt(c.encrypt(b'sixteen bytes...')))\n"
                    "print(cryptolib.aes(bytes(16), cryptolib.MODE_ECB).encrypt(bytes(16)).hex())")
    assert out.splitlines() == [
        hashlib.new(n, b"mpyd").hexdigest() for n in ("md5", "sha1", "sha256")] + [
        "b'sixteen bytes...'", "66e94bd4ef8a2c3b884cfa59ca342b2e"]


def test_what_is_left_of_a_connection_after_an_error(b, pki):
    """A read that timed out is the error of that read; what is closed says so, and the peer hears that it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "cert.pem", pki / "key.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a ticket of 1.3 is something to read
    ended = []

    def serve(listener):
        for _ in range(2):
            with context.wrap_socket(listener.accept()[0], server_side=True) as c:
                c.settimeout(scaled(20))
                ended.append(c.recv(100))

    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(scaled(20))
        peer = threading.Thread(target=serve, args=(listener,))
        peer.start()
        out = run(b.raw(), f"""
import socket, ssl
def error(f, *args):
    try:
        return f(*args)
    except Exception as e:
        return repr(e)
def connect():
    s = socket.socket()
    s.connect(('{HOST}', {listener.getsockname()[1]}))
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.verify_mode = ssl.CERT_NONE
    return s, c.wrap_socket(s)
s, w = connect()
s.settimeout(0.1)
print(error(w.read, 1), error(w.read, 1))
print(error(w.setblocking, True), len(w.cipher()))
w.close()
print(s.fileno() if s.fileno() < 0 else 'open')
for f in (w.setblocking, True), (w.cipher,), (w.read, 1), (w.write, b'x'), (w.close,):
    print(error(*f))
s, w = connect()
w.close()
for f in (w.setblocking, False), (w.cipher,), (w.close,):
    print(error(*f))
""")
        peer.join()
    assert ended == [b"", b""]
    lines = out.splitlines()
    assert lines[:2] == ["OSError(110,) OSError(110,)", "None 2"], out
    closed = ["OSError(9,)", "OSError(107,)"]
    assert lines[3:5] == closed and lines[5].startswith("OSError(") and lines[7:] == ["None"] + closed + ["None"], out
    assert b.get("Crashes") == 0


@pytest.mark.parametrize("state", ["open", "no handshake yet", "handshake failed", "peer gone"])
def test_what_is_done_with_a_closed_connection(b, pki, state):
    """Programs do it, and catch the OSError: umqtt.robust publishes, asyncio's streams read. It is no crash."""
    repl = b.raw()
    certificate = "other" if state == "handshake failed" else "cert"
    run(repl, f"""
import socket, ssl, _thread
l = socket.socket()
l.bind(('{HOST}', 0))
l.listen(5)
def serve():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain('{certificate}.pem', 'key.pem' if '{certificate}' == 'cert' else 'other.key')
    while True:
        try:
            s = c.wrap_socket(l.accept()[0], server_side=True)
            s.write(b'x')
            if '{state}' != 'peer gone':
                s.read(1)
            s.close()
        except OSError:
            pass
_thread.start_new_thread(serve, ())
def error(f, *args):
    try:
        f(*args)
    except (OSError, ValueError) as e:
        return True
c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
c.load_verify_locations(cafile='ca.pem')
uses = [('read', 1), ('read',), ('readline',), ('readinto', bytearray(1)), ('recv', 1), ('recv_into', bytearray(1)),
        ('write', b'x'), ('send', b'x'), ('sendall', b'x')]
""")
    out = run(repl, f"""
for use in uses:
    s = socket.socket()
    s.connect(l.getsockname())
    if '{state}' in ('open', 'peer gone'):
        w = c.wrap_socket(s, server_hostname='board.test')
        w.read(1)
    else:
        w = c.wrap_socket(s, server_hostname='board.test', do_handshake_on_connect=False)
    if '{state}' == 'handshake failed':
        print(error(w.write, b'x'), end=' ')
    w.close()
    if hasattr(w, use[0]):
        for n in range(3):
            print(error(getattr(w, use[0]), *use[1:]), end=' ')
        w.close()
    print(use[0])
""")
    assert len(out.splitlines()) == 9 and "None" not in out, out
    assert b.get("Crashes") == 0


def test_a_connection_whose_handshake_has_failed_can_be_closed(b, pki):
    """It is not left to the next collection: the peer would wait, and a server run out of descriptors."""
    repl = b.raw()
    port = int(run(repl, f"""
import asyncio, socket, ssl
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain('cert.pem', 'key.pem')
said = []
async def serve(reader, writer):
    try:
        await reader.read(1)
    except Exception as e:
        said.append(e)
    writer.close()
    await writer.wait_closed()
l = socket.socket()
l.bind(('{HOST}', 0))
print(l.getsockname()[1])
l.close()
"""))
    repl.send_raw(f"""
import gc
gc.collect()
gc.disable()
async def main():
    server = await asyncio.start_server(serve, '{HOST}', {port}, ssl=c)
    print('serves')
    while len(said) < 30:
        await asyncio.sleep_ms(20)
    await asyncio.sleep_ms(200)
    server.close()
asyncio.run(main())
print(len(said), {{type(e) for e in said}} == {{OSError}})
gc.enable()
""")
    repl.read_until(b"serves\r\n")
    for _ in range(30):
        with socket.create_connection((HOST, port)) as s:
            s.settimeout(scaled(20))
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):  # the rest of the request is not read
                while s.recv(100):  # an alert may come, the end must
                    pass
    assert repl.read_until(b"\x04>") == b"30 True\r\n\x04\x04>"
    assert b.get("Crashes") == 0


def test_waiting_for_a_connection(b, pki):
    """Not asked again and again while nothing comes; what was read ahead of the program is ready at once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "cert.pem", pki / "key.pem")
    pid = b.board_pid()

    def switches():
        with open(f"/proc/{pid}/status") as f:
            return sum(int(line.split()[1]) for line in f if "voluntary_ctxt_switches" in line)

    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(scaled(20))
        repl = b.raw()
        repl.send_raw(f"""
import select, socket, ssl
s = socket.socket()
s.connect(('{HOST}', {listener.getsockname()[1]}))
c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
c.verify_mode = ssl.CERT_NONE
w = c.wrap_socket(s)
w.setblocking(False)
idle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
p = select.poll()
p.register(w, select.POLLIN)
p.register(idle, select.POLLIN)
while w.read(1) != b'!':
    p.poll()
print('waits')
print([(o is w, e) for o, e in p.poll(60000)], w.read(2), p.poll(0) == [(w, 1)], w.read(100), p.poll(10))
print(select.select([w], [w], [], 0) == ([], [w], []))
p.unregister(idle)
print(p.poll(60000) == [(w, 1)], w.read(1))
w.close()
print([e for o, e in p.poll(60000)])
""")
        with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
            peer.settimeout(scaled(20))
            peer.sendall(b"!")
            repl.read_until(b"waits\r\n")
            time.sleep(0.3)
            before = switches()
            time.sleep(2)
            assert switches() - before < 100  # asked every millisecond it were some 2000
            peer.sendall(b"later")
            assert repl.read_until(b"[]\r\n") == b"[(True, 1)] b'la' True b'ter' []\r\n"
            assert repl.read_until(b"\r\n") == b"True\r\n"
        out = repl.read_until(b"\x04>")
    # The peer has gone: that is something to read. What is closed is told too.
    assert out == b"True b''\r\n[32]\r\n\x04\x04>"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_peer_that_says_the_end_and_keeps_the_socket(b, pki, version):
    """As asyncio of Python serves: it waits for the answer to its close_notify before it closes."""
    if version == "TLSv1_3" and " 3." not in b.raw().eval_raw("__import__('ssl').MBEDTLS_VERSION"):
        pytest.skip("this mbedtls has no TLS 1.3")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "cert.pem", pki / "key.pem")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    read = threading.Event()

    def serve(listener):
        with context.wrap_socket(listener.accept()[0], server_side=True) as c:
            c.recv(100)
            c.sendall(b"x" * 5000)
            c.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                c.unwrap()  # says the end, and waits for the answer
            read.wait(scaled(20))

    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(scaled(20))
        peer = threading.Thread(target=serve, args=(listener,))
        try:
            peer.start()
            out = run(b.raw(), f"""
import asyncio, select, ssl
async def main():
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.verify_mode = ssl.CERT_NONE
    r, w = await asyncio.open_connection('{HOST}', {listener.getsockname()[1]}, ssl=c)
    w.write(b'?')
    await w.drain()
    n = 0
    while True:
        part = await asyncio.wait_for(r.read(1024), 10)
        if not part:
            break
        n += len(part)
    p = select.poll()
    p.register(r.s, select.POLLIN)
    print(n, r.s.read(1), len(p.poll(10000)), r.s.read(), r.s.read(100))
asyncio.run(main())
""")
        finally:
            read.set()
            peer.join()
    assert out == "5000 b'' 1 b'' b''\n"
