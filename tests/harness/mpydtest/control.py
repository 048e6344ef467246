# SPDX-License-Identifier: MIT
"""A client of the control bus of its own (D-Bus specification, peer to peer): independent of
libsystemd, so that it can also say what a well-behaved library would not."""
import array
import os
import socket
import struct
import time

from .paths import timeout as scaled

PATH = "/org/mpyd1"
INTERFACE = "org.mpyd1.Board"
PROPERTIES = "org.freedesktop.DBus.Properties"
METHOD_CALL, METHOD_RETURN, ERROR, SIGNAL = 1, 2, 3, 4


class ControlError(Exception):
    """An error reply: its D-Bus name, and the sentence for people."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


# ---- marshalling, little-endian ----

FIXED = {"y": ("B", 1), "b": ("I", 4), "n": ("h", 2), "q": ("H", 2), "i": ("i", 4), "u": ("I", 4),
         "x": ("q", 8), "t": ("Q", 8), "d": ("d", 8), "h": ("I", 4)}
ALIGNMENT = {**{k: size for k, (_, size) in FIXED.items()},
             "s": 4, "o": 4, "g": 1, "v": 1, "a": 4, "(": 8, "{": 8}


def split(signature):
    """The first complete type, and the rest."""
    if signature[0] == "a":
        first, rest = split(signature[1:])
        return "a" + first, rest
    if signature[0] in "({":
        depth = 0
        for i, c in enumerate(signature):
            depth += (c in "({") - (c in ")}")
            if depth == 0:
                return signature[:i + 1], signature[i + 1:]
    return signature[0], signature[1:]


def types(signature):
    while signature:
        first, signature = split(signature)
        yield first


def pad(data, n):
    data += b"\0" * (-len(data) % n)


def put(data, kind, value):
    pad(data, ALIGNMENT[kind[0]])
    if kind in FIXED:
        data += struct.pack("<" + FIXED[kind][0], value)
    elif kind in "so":
        text = value.encode()
        data += struct.pack("<I", len(text)) + text + b"\0"
    elif kind == "g":
        data += bytes([len(value)]) + value.encode() + b"\0"
    elif kind == "v":
        put(data, "g", value[0])
        put(data, value[0], value[1])
    elif kind[0] == "a":
        data += b"\0\0\0\0"
        at = len(data)
        pad(data, ALIGNMENT[kind[1]])
        start = len(data)
        for item in value:
            put(data, kind[1:], item)
        data[at - 4:at] = struct.pack("<I", len(data) - start)
    else:
        for part, item in zip(types(kind[1:-1]), value):
            put(data, part, item)


class Reader:
    def __init__(self, data, at=0):
        self.data = data
        self.at = at

    def get(self, kind):
        self.at += -self.at % ALIGNMENT[kind[0]]
        if kind in FIXED:
            code, size = FIXED[kind]
            self.at += size
            value = struct.unpack_from("<" + code, self.data, self.at - size)[0]
            return bool(value) if kind == "b" else value
        if kind in "so":
            return self.text(self.get("u"))
        if kind == "g":
            return self.text(self.get("y"))
        if kind == "v":
            return self.get(self.get("g"))
        if kind[0] == "a":
            end = self.get("u")
            self.at += -self.at % ALIGNMENT[kind[1]]
            end += self.at
            items = []
            while self.at < end:
                items.append(self.get(kind[1:]))
            return dict(items) if kind[1] == "{" else items
        return tuple([self.get(part) for part in types(kind[1:-1])])

    def text(self, size):
        self.at += size + 1
        return self.data[self.at - size - 1:self.at - 1].decode()


class Control:
    """A connection to RUN-DIR/control."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(scaled(20))
            self.socket.connect(str(path))
            self.data = b""
            self.fds = []
            self.serial = 0
            self.signals = []  # (name, arguments) in order of arrival
            self._authenticate()
        except BaseException:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- the wire ----

    def _authenticate(self):
        uid = str(os.geteuid()).encode().hex().encode()
        self.socket.sendall(b"\0AUTH EXTERNAL " + uid + b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        for begin in (b"OK ", b"AGREE_UNIX_FD"):
            while b"\r\n" not in self.data:
                self._receive()
            line, self.data = self.data.split(b"\r\n", 1)
            if not line.startswith(begin):
                raise ControlError("authentication", line.decode(errors="replace"))

    def _receive(self):
        space = socket.CMSG_SPACE(16 * array.array("i").itemsize)
        data, ancillary, _, _ = self.socket.recvmsg(65536, space, socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds = array.array("i")
                fds.frombytes(payload[:len(payload) - len(payload) % fds.itemsize])
                self.fds += fds
        if not data:
            raise EOFError("the daemon closed the control connection")
        self.data += data

    def _next(self):
        """(type, header fields, arguments) of the next message."""
        while True:
            if len(self.data) >= 16:
                body, _, fields = struct.unpack_from("<III", self.data, 4)
                head = 16 + fields + -fields % 8
                if len(self.data) >= head + body:
                    break
            self._receive()
        message, self.data = self.data[:head + body], self.data[head + body:]
        header = dict(Reader(message, 12).get("a(yv)"))
        reader = Reader(message[head:])
        return message[1], header, [reader.get(t) for t in types(header.get(8, ""))]

    def call(self, member, signature="", *arguments, interface=INTERFACE):
        """Calls a method; its results in a list. Descriptors in them are the caller's."""
        self.serial += 1
        body = bytearray()
        for kind, value in zip(types(signature), arguments):
            put(body, kind, value)
        fields = [(1, ("o", PATH)), (2, ("s", interface)), (3, ("s", member))]
        if signature:
            fields.append((8, ("g", signature)))
        message = bytearray(struct.pack("<4BII", ord("l"), METHOD_CALL, 0, 1, len(body),
                                        self.serial))
        put(message, "a(yv)", fields)
        pad(message, 8)
        self.socket.settimeout(scaled(20))
        self.socket.sendall(message + body)
        while True:
            kind, header, values = self._next()
            if kind == SIGNAL:
                self.signals.append((header[3], values))
            elif header.get(5) == self.serial:
                break
        if kind == ERROR:
            raise ControlError(header[4], values[0] if values else "")
        if "h" in header.get(8, ""):
            values = [self.fds.pop(0) if t == "h" else v for t, v in zip(types(header[8]), values)]
        return values

    # ---- the board ----

    def properties(self):
        return self.call("GetAll", "s", INTERFACE, interface=PROPERTIES)[0]

    def get(self, name):
        return self.call("Get", "ss", INTERFACE, name, interface=PROPERTIES)[0]

    def reset(self, kind="hard"):
        self.call("Reset", "s", kind)

    def interrupt(self):
        self.call("Interrupt")

    def open_console(self, who="test", take_over=False):
        return self.call("OpenConsole", "sb", who, take_over)[0]

    def log(self, most=10000):
        return self.call("GetLog", "u", most)[0]

    def next_signal(self, deadline):
        """(name, arguments), or None when none came until the time deadline."""
        if self.signals:
            return self.signals.pop(0)
        wait = deadline - time.monotonic()
        if wait <= 0:
            return None
        self.socket.settimeout(wait)
        try:
            _, header, values = self._next()
        except TimeoutError:
            return None
        return header[3], values

    def wait(self, condition, timeout=20, what="the state that was waited for"):
        """Until condition(properties) is true, asked at each signal. Answers the properties."""
        deadline = time.monotonic() + scaled(timeout)
        while True:
            self.signals.clear()
            p = self.properties()
            if condition(p):
                return p
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not come in {scaled(timeout):.0f} s; it is {p}")
            # Counters and holders change without a signal: look again soon in any case.
            self.next_signal(min(deadline, time.monotonic() + 0.1))
