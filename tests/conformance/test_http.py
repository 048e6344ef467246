# SPDX-License-Identifier: MIT
"""Frozen modules that speak HTTP, against a server of this machine: requests; mip, also by mpremote and mpyctl."""
import functools
import hashlib
import http.server
import json
import pathlib
import socket
import subprocess
import threading

import pytest

from mpydtest.items import item
from mpydtest.paths import mpy_cross


@pytest.fixture
def web(tmp_path):
    """A directory, and the URL where it is served."""
    root = tmp_path / "web"
    root.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    handler.func.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def index(web):
    """A package index as mip expects it: one package in source form."""
    package = b"def hello():\n    return 'installed'\n"
    root, url = web
    (root / "package/py/greet").mkdir(parents=True)
    (root / "package/6/greet").mkdir(parents=True)
    name = hashlib.sha256(package).hexdigest()[:8]
    (root / "file" / name[:2]).mkdir(parents=True)
    (root / "file" / name[:2] / name).write_bytes(package)
    for form in ("py", "6"):
        (root / f"package/{form}/greet/latest.json").write_text(json.dumps(
            {"v": 1, "version": "1.0", "hashes": [["greet/__init__.py", name]]}))
    (root / "direct.py").write_bytes(package)
    return url


@pytest.fixture
def compiled(web, tmp_path):
    """A package index that has one package compiled, for the .mpy version of the build's mpy-cross, and in source
    form another one of the same name."""
    root, url = web
    source, code = tmp_path / "bonjour.py", tmp_path / "bonjour.mpy"
    source.write_text("def hello():\n    return 'compiled'\n")
    subprocess.run([mpy_cross(), "-o", code, source], check=True)
    packages = {str(code.read_bytes()[1]): ("bonjour.mpy", code.read_bytes()),
                "py": ("bonjour.py", b"def hello():\n    return 'source'\n")}
    for form, (file, content) in packages.items():
        name = hashlib.sha256(content).hexdigest()[:8]
        (root / "file" / name[:2]).mkdir(parents=True, exist_ok=True)
        (root / "file" / name[:2] / name).write_bytes(content)
        (root / f"package/{form}/bonjour").mkdir(parents=True)
        (root / f"package/{form}/bonjour/latest.json").write_text(json.dumps(
            {"v": 1, "version": "1.0", "hashes": [[file, name]]}))
    return url


@item("M40")
def test_M40_mip_from_the_host(board, index):
    board.mpremote("mip", "install", "--no-mpy", "--index", index, "greet")
    assert board.mpremote("exec", "import greet\nprint(greet.hello())").stdout == "installed\n"


@item("M40")
def test_M40_compiled_packages(boards, compiled):
    """Both take what is for the board's version of .mpy, unless they are told not to."""
    for by_host in (True, False):
        for options, file, says in (((), "bonjour.mpy", "compiled"), (("--no-mpy",), "bonjour.py", "source")):
            board = boards()
            board.wait_state("idle")
            if by_host:
                board.mpremote("mip", "install", *options, "--index", compiled, "bonjour")
            else:
                mpy = ", mpy=False" if options else ""
                board.mpremote("exec", f"import mip; mip.install('bonjour', index='{compiled}'{mpy})")
            assert [p.name for p in (board.flash / "lib").iterdir()] == [file]
            assert board.mpremote("exec", "import bonjour; print(bonjour.hello())").stdout == says + "\n"


@item("M40")
def test_M40_mip_on_the_board(board, index):
    repl = board.raw()
    out, error = repl.exec_raw(f"import mip\nmip.install('greet', index='{index}', mpy=False)\n"
                               f"mip.install('{index}/direct.py')\nimport greet, direct\n"
                               "print(greet.hello(), direct.hello())", timeout=30)
    assert error == "" and out.endswith("installed installed\r\n"), (out, error)


def test_mip_by_mpyctl(board, index):
    """Exit codes and words for a person: a package that is there, one that is not, an index that is not."""
    done = board.ctl("mip", "--index", index, "install", "greet@latest", f"{index}/direct.py")
    assert done.stdout.count("Done") == 2 and "Copying: /lib/greet/__init__.py" in done.stdout
    assert board.ctl("eval", "__import__('greet').hello() + __import__('direct').hello()").stdout == \
        "'installedinstalled'\n"
    board.ctl("mip", "--index", index, "--target", ":other", "--no-mpy", "install", "greet")
    assert "greet/" in board.ctl("ls", ":other").stdout

    done = board.ctl("mip", "--index", index, "install", "greet", "nothing", "greet", check=False)
    assert done.returncode == 1 and "Package not found" in done.stdout
    assert done.stderr.startswith("mpyctl: nothing was not installed.\n") and "Traceback" not in done.stderr
    done = board.ctl("mip", "--index", "http://127.0.0.1:1", "install", "greet", check=False)
    assert done.returncode == 1 and "ECONNREFUSED" in done.stderr and "mpremote mip install" in done.stderr
    board.put({"file": "x"})
    done = board.ctl("mip", "--index", index, "--target", ":file/below", "install", "greet", check=False)
    assert done.returncode == 1 and "Traceback" in done.stderr and "mpremote mip" not in done.stderr, done
    done = board.ctl("mip", "remove", "greet", check=False)
    assert done.returncode == 64 and "mpyctl rm -r" in done.stderr


def test_requests(board, index):
    repl = board.raw()
    out, error = repl.exec_raw(f"import requests\nr = requests.get('{index}/direct.py')\n"
                               "print(r.status_code, len(r.text))\nr.close()\n"
                               f"print(requests.get('{index}/none').status_code)", timeout=30)
    assert (out, error) == ("200 36\r\n404\r\n", "")


def test_mip_takes_what_lies_beside_package_json(board, web):
    """Sources that are relative to it, as MicroPython's documents write them; and what the package depends on."""
    root, url = web
    (root / "one/data").mkdir(parents=True)
    (root / "two").mkdir()
    (root / "one/a.py").write_text("import two\nV = 1 + two.V\n")
    (root / "one/data/b.txt").write_bytes(bytes(range(256)) * 100)
    (root / "two/t.py").write_text("V = 2\n")
    (root / "one/package.json").write_text(json.dumps(
        {"urls": [["one/__init__.py", "a.py"], ["one/more/b.txt", "data/b.txt"]], "deps": [[f"{url}/two", "main"]]}))
    (root / "two/package.json").write_text(json.dumps({"urls": [["two.py", f"{url}/two/t.py"]], "version": "1"}))
    for name in ("one", "one/", "one/package.json"):
        board.ctl("mip", "install", f"{url}/{name}")
        assert board.ctl("exec", "import one; print(one.V)").stdout == "3\n"
        assert (board.flash / "lib/one/more/b.txt").read_bytes() == (root / "one/data/b.txt").read_bytes()
        board.ctl("rm", "-r", ":lib")


def test_mip_knows_repositories(board, web):
    """Where the files of a repository are, by name, branch and path; only the way to GitHub's server is another one."""
    root, url = web
    (root / "org/sensor/v2/lib").mkdir(parents=True)
    (root / "org/sensor/v2/package.json").write_text(json.dumps(
        {"urls": [["sensor.py", "lib/sensor.py"], ["other.py", "gitlab:group/other/x/other.py"]],
         "deps": [["github:org/dep/single.py", "main"]]}))
    (root / "org/sensor/v2/lib/sensor.py").write_text("V = 2\n")
    (root / "group/other/-/raw/v2/x").mkdir(parents=True)
    (root / "group/other/-/raw/v2/x/other.py").write_text("V = 3\n")
    (root / "org/dep/main").mkdir(parents=True)
    (root / "org/dep/main/single.py").write_text("V = 4\n")
    out, error = board.raw().exec_raw(
        "import mip, requests, sys\nasked = []\n"
        "class Way:\n    def get(url):\n        scheme, _, host, path = url.split('/', 3)\n"
        "        asked.append(scheme + '//' + host)\n"
        f"        return requests.get('{url}/' + path)\n"
        "mip.requests = Way\nmip.install('github:org/sensor', version='v2')\n"
        "import sensor, other, single\nprint(sensor.V, other.V, single.V, asked)\n"
        "sys.path.clear()\nmip.install('x')", timeout=30)
    github, gitlab = "https://raw.githubusercontent.com", "https://gitlab.com"
    assert error == "" and f"Done\r\n2 3 4 {[github, github, gitlab, github]}\r\n" in out, (out, error)
    assert out.endswith("Unable to find lib dir in sys.path\r\n")


def test_mip_leaves_no_half_files(boards, web, index, servers):
    """A download that ends early, and one that is not what the index says: what was there before stays as it is."""
    root, url = web
    board = boards({"lib/short": "old", "lib/greet/__init__.py": "old = 1\n"}, config={"board": {"flash-quota": "1M"}})
    board.wait_state("idle")
    name = json.loads((root / "package/py/greet/latest.json").read_text())["hashes"][0][1]
    (root / "file" / name[:2] / name).write_text("not it")
    done = board.ctl("mip", "--index", index, "--no-mpy", "install", "greet", check=False)
    assert done.returncode == 1 and "Not what the index says it is" in done.stdout
    (root / "package.json").write_text(json.dumps({"urls": [["short", f"http://127.0.0.1:{servers[0]}/short"]]}))
    done = board.ctl("mip", "install", f"{url}/package.json", check=False)
    assert done.returncode == 1 and "Ended after 6 of 100 bytes" in done.stdout
    (root / "short.py").write_bytes(bytes(2 << 20))
    done = board.ctl("mip", "install", f"{url}/short.py", check=False)
    assert done.returncode == 1 and "ENOSPC" in done.stderr
    assert sorted(p.name for p in (board.flash / "lib").rglob("*")) == ["__init__.py", "greet", "short"]
    assert board.read("lib/greet/__init__.py") == "old = 1\n" and board.read("lib/short") == "old"


# ---- requests ----

class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers as the path says, and tells in the body what it was asked."""

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            assert self.rfile.readline() == b"\r\n"
        assert self.rfile.readline() == b"\r\n"
        return body

    def answer(self):
        asked = {"method": self.command, "path": self.path, "body": self.body().decode(),
                 "headers": [[k.lower(), v] for k, v in self.headers.items()]}
        if self.path == "/loop":
            self.path = "/to?302&/loop"
        if self.path.startswith("/to?"):  # /to?status&where
            status, where = self.path[4:].split("&", 1)
            self.send_response(int(status))
            self.send_header("location", where)
            self.end_headers()
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"x = 1\n")
        elif self.path == "/no-http":
            self.wfile.write(b"nonsense\r\n")
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
        else:
            self.send_response(200, "Very well")
            self.send_header("X-Colour", "green: dark")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(json.dumps(asked).encode())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer


@pytest.fixture
def servers():
    """Two; a name of the first is localhost."""
    made = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) for _ in range(2)]
    threads = [threading.Thread(target=s.serve_forever, daemon=True) for s in made]
    for thread in threads:
        thread.start()
    yield [s.server_port for s in made]
    for server, thread in zip(made, threads):
        server.shutdown()
        server.server_close()
        thread.join()


def ask(board, code):
    out, error = board.raw().exec_raw("import requests\n" + code, timeout=30)
    assert error == "", error
    return out.replace("\r\n", "\n")


def asked(board, call):
    told = json.loads(ask(board, f"r = requests.{call}\nassert r.status_code == 200\nprint(r.text)"))
    names = [name for name, _ in told["headers"]]
    assert len(set(names)) == len(names)
    return {**told, "headers": dict(told["headers"])}


def test_requests_sends(board, servers):
    """What the server gets: the method, the whole path, each header once, the body and its length in bytes."""
    at = f"http://127.0.0.1:{servers[0]}"
    told = asked(board, f"get('{at}/a/b?c=1&d=http://x#part')")
    assert (told["method"], told["path"]) == ("GET", "/a/b?c=1&d=http://x")
    assert told["headers"] == {"host": f"127.0.0.1:{servers[0]}", "connection": "close"}
    assert asked(board, f"get('{at}')")["path"] == "/"
    assert asked(board, f"get('{at}?q')")["path"] == "/?q"
    for method in ("put", "patch", "delete"):
        assert asked(board, f"{method}('{at}/')")["method"] == method.upper()
    told = asked(board, f"post('{at}/', json={{'t': 21.5}}, auth=('gärtner', 'p:w'), "
                        "headers={'X-A': b'1', 'x-n': 7})")
    assert json.loads(told["body"]) == {"t": 21.5}
    assert told["headers"]["content-type"] == "application/json"
    assert told["headers"]["authorization"] == "Basic Z8OkcnRuZXI6cDp3"
    assert (told["headers"]["x-a"], told["headers"]["x-n"]) == ("1", "7")
    assert asked(board, f"post('{at}/', data='grün')")["body"] == "grün"
    assert asked(board, f"post('{at}/', data=b'')")["body"] == ""
    assert asked(board, f"put('{at}/', data=(p for p in ('a', b'', b'bcd')))")["body"] == "abcd"
    told = asked(board, f"put('{at}/', data=(p for p in (b'ab', 'c')), headers={{'content-length': 3}})")
    assert told["body"] == "abc" and "transfer-encoding" not in told["headers"]
    told = asked(board, f"post('{at}/', json=[], headers={{'content-type': 'x/y', 'HOST': 'other'}})")
    assert told["body"] == "[]" and (told["headers"]["content-type"], told["headers"]["host"]) == ("x/y", "other")
    assert asked(board, f"get('{at}/', headers={{b'connection': b'z'}})")["headers"]["connection"] == "z"


def test_requests_over_ipv6(board):
    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6

    with Server(("::1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        told = asked(board, f"get('http://[::1]:{server.server_port}/six')")
        server.shutdown()
        thread.join()
    assert (told["path"], told["headers"]["host"]) == ("/six", f"[::1]:{server.server_port}")


def test_requests_takes_the_address_that_answers(board, servers):
    """Of a name that has two; only the names are this test's."""
    way = ("class Way:\n    socket, SOCK_STREAM = socket.socket, socket.SOCK_STREAM\n"
           "    getaddrinfo = lambda *a: socket.getaddrinfo('127.0.0.1', 1) + "
           f"socket.getaddrinfo('127.0.0.1', {servers[0]})\n")
    out = ask(board, "import socket\n" + way + "requests.socket = Way\n"
                     "print(requests.get('http://two.example/').json()['headers'])\n"
                     "Way.getaddrinfo = lambda *a: socket.getaddrinfo('127.0.0.1', 1)\n"
                     "try:\n    requests.get('http://two.example/')\nexcept OSError as e:\n    print(e)\n")
    assert "['host', 'two.example']" in out and out.endswith("[Errno 111] ECONNREFUSED\n"), out


def test_requests_answers(board, servers):
    at = f"http://127.0.0.1:{servers[0]}"
    out = ask(board, f"r = requests.get('{at}/')\nprint(r.status_code, r.reason, r.headers['X-Colour'])\n"
                     "print(r.json()['method'], r.content is r.content)\nr.close()\nr.close()\n"
                     f"r = requests.get('{at}/', parse_headers=False, stream=True)\n"
                     "print(hasattr(r, 'headers'), r.raw.read(1))\n"
                     f"r.close()\nr = requests.get('{at}/', parse_headers=lambda line, d: d.update({{len(d): line}}))\n"
                     "print(r.headers[len(r.headers) - 1])\n"
                     f"print(requests.head('{at}/').text == '')\n"
                     f"h = {{'A': 'b'}}\nrequests.post('{at}/', json=1, headers=h).close()\nprint(h)\n")
    assert out == ("200 b'Very well' green: dark\nGET True\nFalse b'{'\nb'X-Colour: green: dark\\r\\n'\nTrue\n"
                   "{'A': 'b'}\n")


@pytest.mark.parametrize("status, method, body", [(301, "GET", ""), (302, "GET", ""), (303, "GET", ""),
                                                  (307, "POST", "[1]"), (308, "POST", "[1]")])
def test_requests_redirect(board, servers, status, method, body):
    """To the other server: it learns neither the name nor the secrets that were the first one's."""
    to = f"http://127.0.0.1:{servers[1]}/there?x"
    secret = "headers={'Host': 'first', 'authorization': 'key', 'X-Kept': 'k'}"
    told = asked(board, f"post('http://127.0.0.1:{servers[0]}/to?{status}&{to}', json=[1], {secret})")
    assert (told["method"], told["path"], told["body"]) == (method, "/there?x", body)
    assert told["headers"]["host"] == f"127.0.0.1:{servers[1]}"
    assert "authorization" not in told["headers"] and told["headers"]["x-kept"] == "k"
    assert ("content-type" in told["headers"]) == bool(body)


def test_requests_redirect_within_a_server(board, servers):
    at = f"http://127.0.0.1:{servers[0]}"
    absolute = "/abs?q=http://x/"
    for where, path in ((absolute, absolute), ("rel", "/rel"), (f"//127.0.0.1:{servers[0]}/n", "/n")):
        told = asked(board, f"get('{at}/to?302&{where}', auth=('a', 'b'))")
        assert told["path"] == path and told["headers"]["authorization"] == "Basic YTpi"
    assert ask(board, f"print(requests.head('{at}/to?302&/').status_code)") == "200\n"


def test_requests_errors(board, servers):
    """Each leaves no descriptor behind."""
    at = f"http://127.0.0.1:{servers[0]}"
    descriptors = pathlib.Path(f"/proc/{board.board_pid()}/fd")
    before = len(list(descriptors.iterdir()))
    for url, why in ((f"{at}/loop", "OSError('too many redirects',)"),
                     (f"{at}/to?300&/", "NotImplementedError('Redirect 300 not yet supported',)"),
                     (f"{at}/no-http", r"""ValueError("HTTP error: BadStatusLine:\nb'nonsense\\r\\n'",)"""),
                     (f"{at}/chunked", "ValueError('Unsupported Transfer-Encoding: chunked',)"),
                     ("ftp://host/x", "ValueError('Unsupported protocol: ftp:',)"),
                     ("http://127.0.0.1:1/", "OSError(111,)")):
        out = ask(board, f"try:\n    requests.get('{url}')\nexcept Exception as e:\n    print(repr(e))\n")
        assert out == why + "\n"
    assert ask(board, f"try:\n    requests.get('https://127.0.0.1:{servers[0]}/')\n"
                      "except OSError as e:\n    print(e.args[1][:12])\n") == "MBEDTLS_ERR_\n"
    assert len(list(descriptors.iterdir())) == before
