# SPDX-License-Identifier: MIT
"""The programs that are measured: mpyd with its board, others behind a terminal or in a pipe."""
import contextlib
import fcntl
import os
import pathlib
import pty
import pwd
import re
import select
import shutil
import subprocess
import tempfile
import termios
import time
import tty

from mpydtest.board import children

TIMEOUT = 20
PROMPT = b">>> "


class Stream:
    """A descriptor that is read as fast as it delivers; knows when the last bytes arrived."""

    def __init__(self, fd):
        self.fd = fd
        self.buffer = b""
        self.arrived = 0  # CLOCK_MONOTONIC, ns

    def read_more(self, deadline):
        wait = deadline - time.monotonic()
        if wait <= 0 or not select.select([self.fd], [], [], wait)[0]:
            raise TimeoutError(f"no answer; last was {self.buffer[-200:]!r}")
        data = os.read(self.fd, 65536)
        self.arrived = time.monotonic_ns()
        if not data:
            raise EOFError(f"it ended; last was {self.buffer[-200:]!r}")
        self.buffer += data

    def read_until(self, what, timeout=TIMEOUT):
        """Everything up to and including the bytes what."""
        deadline = time.monotonic() + timeout
        start = 0
        while (at := self.buffer.find(what, start)) < 0:
            start = max(0, len(self.buffer) - len(what) + 1)
            self.read_more(deadline)
        result = self.buffer[:at + len(what)]
        self.buffer = self.buffer[at + len(what):]
        return result

    def read_lines(self, until, timeout):
        """Lines that begin with @, up to the line until."""
        found = []
        while True:
            line = self.read_until(b"\n", timeout).strip().decode(errors="replace")
            line = line[line.find("@"):] if "@" in line else ""
            if line == until:
                return found
            if line:
                found.append(line)

    def drain(self, quiet=0.05):
        """Throws away what comes until nothing came for so long."""
        self.buffer = b""
        while select.select([self.fd], [], [], quiet)[0] and os.read(self.fd, 65536):
            pass

    def write(self, data):
        """Returns when the first byte was given away (CLOCK_MONOTONIC, ns)."""
        start = time.monotonic_ns()
        while data:
            data = data[os.write(self.fd, data):]
        return start

    def write_while_reading(self, data):
        """For more than a terminal's buffer holds, when the other side may talk too."""
        os.set_blocking(self.fd, False)
        try:
            deadline = time.monotonic() + TIMEOUT
            while data:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(data)} bytes were not taken")
                _, writable, _ = select.select([], [self.fd], [], 1)
                if writable:
                    try:
                        data = data[os.write(self.fd, data[:65536]):]
                    except BlockingIOError:
                        pass
        finally:
            os.set_blocking(self.fd, True)


def board_user():
    """A user that exists, as on a machine with the package. Where there is no user mpyd the C library
    loads a further service that might know him, and what is measured carries that with it."""
    try:
        pwd.getpwnam("mpyd")
    except KeyError:
        return "nobody"
    return "mpyd"


class Board:
    """mpyd in the foreground on a flash directory of its own, the benchmark being its REPL's user.
    Not mpydtest's: the state is on the disk that is measured, and the log goes to memory, neither
    to a thread that would run while time is taken nor to that disk.

    files: name → text, put on the flash. config: section → {key: value}. shim_ms: what each fsync
    of the supervisor takes. exec_stamp: each board's start is stamped in the log. client: open the
    REPL. real_time: its loop has the priority that mpyd.service gives it."""

    def __init__(self, env, files=None, config=None, shim_ms=None, exec_stamp=False, client=True,
                 real_time=True):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=env.state_parent))
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="mpyd-bench-"))  # a socket's path is short
        self.stream = self.process = self.log_fd = None
        try:
            self.start(env, files or {}, config or {}, shim_ms, exec_stamp, real_time)
            if client:
                self.open_repl()
        except BaseException:
            self.close()
            raise

    def start(self, env, files, config, shim_ms, exec_stamp, real_time):
        flash = self.dir / "state/flash"
        flash.mkdir(parents=True)
        flash.chmod(0o777)
        if os.geteuid() == 0:
            shutil.chown(flash, board_user())  # as the package makes it: mpyctl cp gives files the same owner
        self.run.chmod(0o755)
        for name, text in files.items():
            (flash / name).write_text(text)
            (flash / name).chmod(0o666)

        board = env.board
        if exec_stamp:  # a program that the board's user may reach by its path
            for program in (env.board, env.exec_stamp):
                shutil.copy(program, self.run)
            board = self.run / env.exec_stamp.name
        settings = {"reset": {"rate": "unlimited"}, "safe-mode": {"strikes": "off"},
                    "board": {"user": board_user()}, **config}
        conf = self.dir / "mpyd.conf"
        conf.write_text("".join(
            f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())
            for section, keys in settings.items()))

        environ = dict(os.environ)
        for name in ("JOURNAL_STREAM", "NOTIFY_SOCKET"):
            environ.pop(name, None)
        if shim_ms is not None:
            environ |= env.shim_environ(shim_ms)
        self.log_fd = os.memfd_create("log")
        self.process = subprocess.Popen(
            [env.mpyd, "--config", conf, "--state-dir", self.dir / "state", "--run-dir", self.run,
             "--board", board],
            stdin=subprocess.DEVNULL, stdout=self.log_fd, stderr=self.log_fd, env=environ)
        if real_time:
            with contextlib.suppress(PermissionError):  # as mpyd.service: where it is not allowed, without
                os.sched_setscheduler(self.process.pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def log(self):
        return os.pread(self.log_fd, os.fstat(self.log_fd).st_size, 0).decode(errors="replace")

    def open_repl(self):
        deadline = time.monotonic() + TIMEOUT
        while not (self.run / "repl").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("mpyd does not start:\n" + self.log()[-2000:])
            time.sleep(0.005)
        fd = os.open(self.run / "repl", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        tty.setraw(fd)
        self.stream = Stream(fd)

    @property
    def board_pid(self):
        deadline = time.monotonic() + TIMEOUT
        while not (pids := children(self.process.pid)):
            if time.monotonic() > deadline:
                raise RuntimeError("mpyd has no board:\n" + self.log()[-2000:])
            time.sleep(0.01)
        return pids[0]

    def wait_log(self, text):
        deadline = time.monotonic() + TIMEOUT
        while text not in self.log():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {text!r} in the log:\n" + self.log()[-2000:])
            time.sleep(0.02)

    def prompt(self):
        """From wherever it is to the friendly prompt."""
        self.stream.write(b"\x03\x03\x02")
        self.stream.drain(0.2)
        self.stream.write(b"\r")
        self.stream.read_until(b">>> ")
        self.stream.drain()

    def raw_repl(self):
        self.stream.drain()
        self.stream.write(b"\r\x03\x01")
        self.stream.read_until(b"raw REPL; CTRL-B to exit\r\n>")

    def close(self):
        if self.stream:
            os.close(self.stream.fd)
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.log_fd is not None:
            os.close(self.log_fd)
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.run, ignore_errors=True)


class Terminal:
    """Another program that has a terminal to itself, as it would under a terminal emulator."""

    def __init__(self, argv, raw=False, environ=None):
        master, slave = pty.openpty()
        if raw:
            tty.setraw(slave)
        else:
            t = termios.tcgetattr(slave)
            t[1] &= ~termios.OPOST  # nothing is translated for the board either
            termios.tcsetattr(slave, termios.TCSANOW, t)
        self.stream = Stream(master)
        self.process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "dumb", "PYTHON_BASIC_REPL": "1", "PYTHONSTARTUP": "",
                 **(environ or {})})
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.stream.fd)


class Loop:
    """A service and what starts it again when it ends: the simplest supervisors there are. The
    whole process group is ended with it."""

    def __init__(self, argv, environ=None):
        # A shell tells of each child that was killed; nobody wants to read that.
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, start_new_session=True,
                                        env={**os.environ, **(environ or {})})
        self.stream = Stream(self.process.stdout.fileno())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, 9)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()


def stamps(text, name):
    """The numbers behind each "@name " in text."""
    return [int(n) for n in re.findall(rf"@{name} (\d+)", text)]
