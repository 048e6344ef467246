# SPDX-License-Identifier: MIT
"""A client of the REPL, byte for byte: whatever is not said here, is not sent."""
import os
import select
import time
import tty

from .paths import timeout as scaled

PROMPT = b">>> "
RAW_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
REBOOT = b"MPY: soft reboot\r\n"


class Repl:
    """One open descriptor of the REPL: the pty, or a session's socket.

    fd is consumed. What was read and not yet asked for is in self.buffer."""

    def __init__(self, fd):
        self.fd = fd
        self.buffer = b""
        self.marks = 0
        os.set_blocking(fd, False)

    @classmethod
    def open(cls, path, raw=True):
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if raw:
            tty.setraw(fd)
        return cls(fd)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- bytes ----

    def fill(self, deadline):
        """Reads what is there, waiting up to the time deadline. False: nothing came."""
        wait = max(0, deadline - time.monotonic())
        if not select.select([self.fd], [], [], wait)[0]:
            return False
        data = os.read(self.fd, 65536)
        if not data:
            raise EOFError(f"the console was closed; last was {self.buffer[-500:]!r}")
        self.buffer += data
        return True

    def read_until(self, *ends, timeout=20):
        """Everything up to and including the first of the byte strings ends that comes."""
        deadline = time.monotonic() + scaled(timeout)
        while True:
            found = [(at, end) for end in ends if (at := self.buffer.find(end)) >= 0]
            if found:
                at, end = min(found)
                at += len(end)
                result, self.buffer = self.buffer[:at], self.buffer[at:]
                return result
            if time.monotonic() > deadline or not self.fill(deadline):
                raise AssertionError(f"none of {ends} came in {scaled(timeout):.0f} s, but "
                                     f"{self.buffer[-2000:]!r}")

    def read_for(self, seconds):
        """All that comes in a time: for what must not come."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.fill(deadline):
            pass
        result, self.buffer = self.buffer, b""
        return result

    def write(self, data, timeout=20):
        deadline = time.monotonic() + scaled(timeout)
        while data:
            readable, writable, _ = select.select([self.fd], [self.fd], [], 1)
            if writable:
                try:
                    data = data[os.write(self.fd, data[:4096]):]
                    continue
                except BlockingIOError:
                    pass
            if readable:  # an echo must not block both sides
                self.fill(time.monotonic())
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(data)} bytes were not taken")

    # ---- the friendly REPL ----

    def sync(self):
        """At a friendly prompt that answers to what is typed now; what came before is dropped."""
        self.marks += 1
        self.write(b"\rprint('mark',%d)\r" % self.marks)
        self.read_until(b"\nmark %d\r\n%b" % (self.marks, PROMPT))

    def prompt(self):
        """From any state that Ctrl-C ends, to the friendly prompt."""
        self.write(b"\r\x03\x03\x02")
        self.sync()

    def line(self, code, timeout=20):
        """Types one line at the prompt; what it printed, without echo and next prompt."""
        self.write(code.encode() + b"\r")
        text = self.read_until(b"\n" + PROMPT, timeout=timeout).decode()
        return text.split("\r\n", 1)[1].removesuffix(PROMPT.decode())

    def soft_reset(self):
        """Ctrl-D at the friendly prompt, up to the next one; all that was said between."""
        self.write(b"\x04")
        self.read_until(REBOOT)
        return self.read_until(b"\n" + PROMPT).decode().removesuffix(PROMPT.decode())

    # ---- the raw REPL ----

    def enter_raw(self):
        self.write(b"\r\x03\x01")
        self.read_until(RAW_BANNER)

    def leave_raw(self):
        self.write(b"\x02")
        self.read_until(b"\n" + PROMPT)

    def send_raw(self, code):
        """Starts code, once in the raw REPL."""
        data = code.encode() if isinstance(code, str) else code
        self.write(data + b"\x04")
        answer = self.read_until(b"OK")
        assert answer == b"OK", answer

    def exec_raw(self, code, timeout=20):
        """Runs code, once in the raw REPL. What it printed, and its traceback or ""."""
        self.send_raw(code)
        out = self.read_until(b"\x04", timeout=timeout)[:-1]
        error = self.read_until(b"\x04")[:-1]
        assert self.read_until(b">") == b">"
        return out.decode(), error.decode()

    def eval_raw(self, expression):
        out, error = self.exec_raw(f"print(repr({expression}))")
        assert error == "", error
        return out.removesuffix("\r\n")

    def soft_reset_raw(self):
        """Ctrl-D in the raw REPL, as mpremote sends it; all that was said up to the banner."""
        self.write(b"\x04")
        self.read_until(REBOOT)
        return self.read_until(RAW_BANNER).decode()

    def paste_raw(self, code, timeout=20):
        """As exec_raw(), by raw-paste with its flow control."""
        data = code.encode() if isinstance(code, str) else code
        self.write(b"\x05A\x01")
        self.read_until(b"R\x01")
        deadline = time.monotonic() + scaled(timeout)
        while len(self.buffer) < 2:
            assert self.fill(deadline), "no window size"
        window = int.from_bytes(self.buffer[:2], "little")
        self.buffer = self.buffer[2:]
        room, aborted = 0, False
        while data:
            while room == 0 or self.buffer:
                assert self.buffer or self.fill(deadline), "no flow control"
                credit, self.buffer = self.buffer[:1], self.buffer[1:]
                if credit == b"\x04":  # it has seen enough
                    data, aborted = b"", True
                    break
                assert credit == b"\x01", credit
                room += window
            piece, data = data[:room], data[room:]
            room -= len(piece)
            self.write(piece)
        self.write(b"\x04")
        if not aborted:  # otherwise that answer has come already
            self.read_until(b"\x04", timeout=timeout)
        out = self.read_until(b"\x04", timeout=timeout)[:-1]
        error = self.read_until(b"\x04")[:-1]
        assert self.read_until(b">") == b">"
        return out.decode(), error.decode()
