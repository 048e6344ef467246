# SPDX-License-Identifier: MIT
# HTTP for programs, with the interface of micropython-lib's requests 0.10 (of MicroPython 1.25). Debian's source
# package has an older one, which sends a server's name to the next one that it redirects to.
import socket

_PORTS = {"http": 80, "https": 443}
_REDIRECTS_MAX = 8


class Response:
    def __init__(self, raw):
        self.raw = raw
        self.encoding = "utf-8"
        self._content = None

    def close(self):
        raw, self.raw = self.raw, None
        if raw:
            raw.close()
        self._content = None

    @property
    def content(self):
        if self._content is None:
            try:
                self._content = self.raw.read()
            finally:
                self.raw.close()
                self.raw = None
        return self._content

    @property
    def text(self):
        return str(self.content, self.encoding)

    def json(self):
        from json import loads

        return loads(self.content)


# "http://[::1]:8080/path?query#fragment" is http, "[::1]:8080", "::1", 8080, "/path?query".
def _split(url):
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _PORTS:
        raise ValueError("Unsupported protocol: " + url.split("/", 1)[0])
    rest = rest.split("#", 1)[0]
    end = min(n for n in (rest.find("/"), rest.find("?"), len(rest)) if n >= 0)
    server, path = rest[:end], rest[end:]
    if server.startswith("["):
        host, _, port = server[1:].partition("]")
        port = port[1:]
    else:
        host, _, port = server.partition(":")
    return scheme, server, host, int(port or _PORTS[scheme]), path if path.startswith("/") else "/" + path


# What Location says, which need not be a whole URL.
def _join(url, location):
    scheme, server, _, _, path = _split(url)
    if "://" in location.split("?", 1)[0]:
        return location
    if location.startswith("//"):
        return scheme + ":" + location
    if not location.startswith("/"):
        location = path.split("?", 1)[0].rsplit("/", 1)[0] + "/" + location
    return scheme + "://" + server + location


# To the first of the host's addresses that answers.
def _connect(host, port, timeout):
    error = OSError("no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        s = socket.socket(family, kind, protocol)
        try:
            if timeout is not None:
                s.settimeout(timeout)
            s.connect(address)
            return s
        except BaseException as e:
            s.close()
            if not isinstance(e, OSError):
                raise
            error = e
    raise error


def _open(url, timeout):
    scheme, _, host, port, _ = _split(url)
    s = _connect(host, port, timeout)
    if scheme == "http":
        return s
    import tls

    try:
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.verify_mode = tls.CERT_NONE
        return context.wrap_socket(s, server_hostname=host)
    except BaseException:
        s.close()
        raise


def _bytes(x):
    return x if isinstance(x, (bytes, bytearray, memoryview)) else str(x).encode()


def _str(x):
    return str(x, "utf-8") if isinstance(x, bytes) else x


# Those of the program win, whatever the case of their letters. In one dict, so that they are sent in the order in which
# 1.25's requests sends them.
def _headers(given, ours):
    names = [name.lower() for name in given]
    head = dict(given)
    for name, value in ours:
        if name.lower() not in names:
            head[name] = value
    return b"".join(_bytes(name) + b": " + _bytes(value) + b"\r\n" for name, value in head.items())


def _send(s, method, url, headers, data, kind, auth):
    _, server, _, _, path = _split(url)
    parts = hasattr(data, "__next__") and not hasattr(data, "__len__")
    ours = []
    if auth is not None:
        from binascii import b2a_base64

        login = b2a_base64(_bytes(auth[0]) + b":" + _bytes(auth[1]), newline=False)
        ours.append(("Authorization", b"Basic " + login))
    ours.append(("Host", server))
    if kind:
        ours.append(("Content-Type", kind))
    chunked = parts and "content-length" not in [name.lower() for name in headers]
    if chunked:
        ours.append(("Transfer-Encoding", "chunked"))
    elif data and not parts:
        ours.append(("Content-Length", len(data)))
    ours.append(("Connection", "close"))
    s.write(_bytes(method) + b" " + _bytes(path) + b" HTTP/1.0\r\n" + _headers(headers, ours) + b"\r\n")
    if not parts:
        if data:
            s.write(data)
        return
    for part in data:
        part = _bytes(part)
        if chunked and part:
            s.write(b"%x\r\n" % len(part))
        s.write(part)
        if chunked and part:
            s.write(b"\r\n")
    if chunked:
        s.write(b"0\r\n\r\n")


# The answer up to its body, and where it redirects to, or None.
def _receive(s, parse_headers):
    answer = Response(s)
    line = s.readline()
    words = line.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        raise ValueError("HTTP error: BadStatusLine:\n%s" % line)
    answer.status_code = int(words[1])
    answer.reason = words[2].rstrip() if len(words) > 2 else ""
    if parse_headers is not False:
        answer.headers = {}
    location = None
    while True:
        line = s.readline()
        if not line.strip():
            break
        name, _, value = str(line, "utf-8").partition(":")
        value = value.strip()
        if name.lower() == "transfer-encoding" and "chunked" in value:
            raise ValueError("Unsupported Transfer-Encoding: " + value)
        if name.lower() == "location" and not 200 <= answer.status_code <= 299:
            location = value
        if parse_headers is True:
            answer.headers[name] = value
        elif parse_headers:
            parse_headers(line, answer.headers)
    if location is not None and answer.status_code not in (301, 302, 303, 307, 308):
        raise NotImplementedError("Redirect %d not yet supported" % answer.status_code)
    return answer, location


# stream is accepted: the body comes when it is asked for, in any case. timeout in seconds, of each wait.
def request(
    method,
    url,
    data=None,
    json=None,
    headers=None,
    stream=None,
    auth=None,
    timeout=None,
    parse_headers=True,
):
    headers = {_str(name): value for name, value in headers.items()} if headers else {}
    kind = None
    if json is not None:
        if data is not None:
            raise ValueError("data or json, not both")
        from json import dumps

        data, kind = dumps(json), "application/json"
    if isinstance(data, str):
        data = data.encode()
    for _ in range(_REDIRECTS_MAX):
        s = _open(url, timeout)
        try:
            _send(s, method, url, headers, data, kind, auth)
            answer, location = _receive(s, parse_headers)
        except BaseException:
            s.close()
            raise
        if location is None:
            return answer
        s.close()
        if answer.status_code in (301, 302, 303):
            data = kind = None
            if method != "HEAD":
                method = "GET"
        before, url = url, _join(url, location)
        if _split(url)[:4] != _split(before)[:4]:  # what was meant for one server is not told to another
            auth = None
            headers = {k: v for k, v in headers.items() if k.lower() not in ("host", "authorization", "cookie")}
    raise OSError("too many redirects")


def head(url, **kw):
    return request("HEAD", url, **kw)


def get(url, **kw):
    return request("GET", url, **kw)


def post(url, **kw):
    return request("POST", url, **kw)


def put(url, **kw):
    return request("PUT", url, **kw)


def patch(url, **kw):
    return request("PATCH", url, **kw)


def delete(url, **kw):
    return request("DELETE", url, **kw)
