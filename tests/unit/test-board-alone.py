# SPDX-License-Identifier: MIT
"""mpyd-board by itself: the real program, with a stand-in for the supervisor that speaks the board
link (include/mpyd/board-link.h). What only shows at this edge, or is awkward to provoke through the
daemon, is tested here; the behaviour that people see is in tests/conformance/."""

import ctypes
import errno
import fcntl
import hashlib
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

BOARD = os.environ["MPYD_BOARD"]
MPY_CROSS = os.environ["MPYD_MPY_CROSS"]
# Root's board becomes another user; root's own it refuses to be.
USER = 65534 if os.geteuid() == 0 else None
ARGUMENTS = [f"--user={USER}:{USER}"] if USER else []
SLOW = 5 if "ASAN_OPTIONS" in os.environ else 1

VERSION = 8  # LINK_VERSION
HEADER = struct.Struct("<HHHHII")
HELLO, STAGE, STAGE_END, RESET, UNREAD_INPUT, LOG, WATCHDOG, AWAKE = range(1, 9)
BOOT, INTERRUPT, STOP, ABORT, WATCHDOG_WARNING = range(64, 69)
PIN_LIST, PIN_LINE, PIN_NAMES = 12, 69, 70
SOFT, HARD, DEEPSLEEP = range(3)
RAW_REPL, SKIP_MAIN = 1, 2
SAFE_MODE_USER = 17
STAGES = ["off", "_boot.py", "boot.py", "main.py", "repl", "stopping"]
RESULTS = ["ok", "missing", "exception", "interrupted", "exit", "aborted"]
RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
OPENAT2 = 437


def refuse_system_call(number):
    """As a sandbox around the daemon does: the call does not exist (seccomp(2))."""
    code = b"".join(struct.pack("=HBBI", *line) for line in (
        (0x20, 0, 0, 0),                    # load the call's number
        (0x15, 0, 1, number),               # another one: the next but one
        (0x06, 0, 0, 0x00050000 | errno.ENOSYS),
        (0x06, 0, 0, 0x7fff0000)))          # allowed
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP" if struct.calcsize("P") == 8 else "HxxP", len(code) // 8,
                          ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, program) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


class Life:
    """One process, from its start to its end."""

    def __init__(self, flash, retained, boot, refused=None):
        ours, link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.input_read, self.input = os.pipe()
        self.output, output_write = os.pipe()
        directory = os.open(flash, os.O_PATH | os.O_DIRECTORY)
        passed = [link.fileno(), self.input_read, output_write, retained, directory]

        def lay_out():
            moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in passed]
            for number, fd in enumerate(moved, 3):
                os.dup2(fd, number)
            os.closerange(8, 256)
            if refused is not None:
                refuse_system_call(refused)

        environment = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        self.process = subprocess.Popen([BOARD, *ARGUMENTS], env=environment, close_fds=False,
                                        preexec_fn=lay_out, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        link.close()
        os.close(output_write)
        os.close(directory)
        self.link, self.boot, self.reset, self.over = ours, boot, None, False
        for fd in (self.input, self.output, self.input_read):
            os.set_blocking(fd, False)
        self.link.setblocking(False)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if not self.over:
            self.over = True
            for fd in (self.input, self.output, self.input_read):
                os.close(fd)
            self.link.close()


class Board:
    """Life after life on one flash directory, as the supervisor would have it."""

    def __init__(self, flash, flags=0, heap=(1 << 20, 64 << 20), respawn=True, refused=None,
                 safe_mode=0, quota=0, interrupt_early=False):
        self.flash, self.heap, self.respawn, self.refused = flash, heap, respawn, refused
        self.safe_mode, self.quota, self.interrupt_early = safe_mode, quota, interrupt_early
        self.retained = os.memfd_create("retained", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
        os.ftruncate(self.retained, 65536)
        fcntl.fcntl(self.retained, 1033, 1 | 2 | 4)  # F_ADD_SEALS: SEAL, SHRINK, GROW
        self.out, self.messages, self.lives, self.statuses = b"", [], 0, []
        self.typed, self.unread = b"", b""
        self.start(1, HARD, flags)

    def start(self, cause, kind, flags):
        self.life = Life(self.flash, self.retained, (cause, kind, flags), self.refused)
        self.lives += 1

    def close(self):
        self.respawn = False
        self.life.close()
        os.close(self.retained)

    def send(self, kind, payload=b""):
        self.life.link.send(HEADER.pack(0x4d50, VERSION, kind, 0, len(payload), 0) + payload)

    def take(self, data):
        magic, version, kind, zero, size, _ = HEADER.unpack_from(data)
        payload = data[16:]
        assert (magic, version, zero, size) == (0x4d50, VERSION, 0, len(payload))
        if kind == HELLO:
            if self.interrupt_early:
                self.send(INTERRUPT)
                self.send(INTERRUPT)
            cause, reset, flags = self.life.boot
            self.send(BOOT, struct.pack("<IIIIIIQQQ8s", cause, 0, 0, reset, flags, self.safe_mode, *self.heap,
                                        self.quota, b"\1\2\3\4\5\6\7\x08"))
        elif kind == STAGE:
            stage, _, position = struct.unpack("<IIQ", payload)
            self.messages.append(("stage", STAGES[stage], position))
        elif kind == STAGE_END:
            stage, result, _ = struct.unpack_from("<IIQ", payload)
            self.messages.append(("end", STAGES[stage], RESULTS[result], payload[16:].decode()))
        elif kind == RESET:
            how, raw, usec, _ = struct.unpack("<IIQQ", payload)
            self.life.reset = (how, raw)
            self.messages.append(("reset", how, raw, usec))
            if how != SOFT:
                self.life.process.kill()
        elif kind == UNREAD_INPUT:
            self.unread += payload
        elif kind == WATCHDOG:
            which, zero, timeout, warn = struct.unpack("<IIQQ", payload)
            assert zero == 0
            self.messages.append(("watchdog", which, timeout, warn))
        elif kind == AWAKE:
            self.messages.append(("awake",))
        elif kind == PIN_LIST:
            ticket, position = struct.unpack("<II", payload)
            self.messages.append(("pin-list", position))
            names, following = self.pin_names[position]
            self.send(PIN_NAMES, struct.pack("<II", ticket, following) + b"".join(n + b"\0" for n in names))
        elif kind == LOG:
            self.messages.append(("log", payload[0], payload[1:].decode()))

    def pump(self, timeout=0.05):
        life = self.life
        if life.over:
            return
        if self.typed:
            try:
                self.typed = self.typed[os.write(life.input, self.typed[:65536]):]
            except BlockingIOError:
                pass
        select.select([life.link, life.output], [], [], timeout)
        # The output first: what the board told before it wrote this is then on the link.
        self.read_output()
        while True:
            try:
                data = life.link.recv(8192)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data = b""
            if not data:
                self.ended()
                return
            self.take(data)

    def read_output(self):
        """True if there was some."""
        try:
            data = os.read(self.life.output, 65536)
        except BlockingIOError:
            data = b""
        self.out += data
        return bool(data)

    def ended(self):
        while self.read_output():
            pass
        life = self.life
        self.statuses.append(life.process.wait())
        rest = b""
        try:
            while data := os.read(life.input_read, 65536):
                rest += data
        except BlockingIOError:
            pass
        life.close()
        if life.reset and self.respawn:
            how, raw = life.reset
            self.typed = self.unread + rest + self.typed if how == SOFT else b""
            self.unread = b""
            self.start({SOFT: 5, HARD: 2, DEEPSLEEP: 4}[how], how, RAW_REPL if raw else 0)

    def write(self, data):
        self.typed += data
        self.pump(0)

    def wait(self, condition, what, seconds=5):
        deadline = time.monotonic() + seconds * SLOW
        while not condition():
            assert time.monotonic() < deadline, (
                f"no {what}; output {self.out[-1500:]!r}; messages {self.messages[-6:]}; "
                f"statuses {self.statuses}")
            self.pump()

    def expect(self, text, seconds=5):
        """Waits for text and returns the output up to its end."""
        self.wait(lambda: text in self.out, repr(text), seconds)
        end = self.out.index(text) + len(text)
        got, self.out = self.out[:end], self.out[end:]
        return got

    def prompt(self):
        return self.expect(b">>> ")

    def settle(self, seconds=0.2):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.pump(0.02)

    def raw(self):
        self.prompt()
        self.write(b"\r\x01")
        self.expect(RAW_PROMPT)
        return self

    def begin(self, code):
        """Starts code in the raw REPL."""
        self.write(code.encode() + b"\x04")
        self.expect(b"OK")

    def result(self, seconds=10):
        out = self.expect(b"\x04", seconds)[:-1]
        error = self.expect(b"\x04", seconds)[:-1]
        self.expect(b">")
        return out.decode().replace("\r\n", "\n"), error.decode().replace("\r\n", "\n")

    def run(self, code):
        self.begin(code)
        out, error = self.result()
        assert not error, (code, error)
        return out.rstrip("\n")

    def error(self, code):
        self.begin(code)
        return self.result()[1].strip().splitlines()[-1]

    def result_of(self, stage):
        """The end of a stage. What is printed after it may have been read before it: wait."""
        def found():
            return [m for m in self.messages if m[:2] == ("end", stage)]
        self.wait(found, f"end of {stage}")
        return found()[-1]


@pytest.fixture
def board(tmp_path):
    made = []

    def make(files=(), **options):
        flash = tmp_path / f"flash{len(made)}"
        for name, content in dict(files).items():
            path = flash / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        flash.mkdir(exist_ok=True)
        for path in [flash, *flash.rglob("*")] if USER else []:
            os.chown(path, USER, USER)
        made.append(Board(flash, **options))
        return made[-1]

    yield make
    for b in made:
        b.close()


def compiled(tmp_path, source):
    path = tmp_path / "source.py"
    path.write_text(source)
    subprocess.run([MPY_CROSS, str(path), "-o", str(tmp_path / "out.mpy")], check=True)
    return (tmp_path / "out.mpy").read_bytes()


# ---- started, and left alone ----

def test_started_by_hand_explains_itself():
    for arguments, status in ([], 2), (["x"], 2), (["--help"], 0):
        run = subprocess.run([BOARD, *arguments], capture_output=True, text=True, check=False)
        assert run.returncode == status and "mpyctl repl" in run.stderr
    run = subprocess.run([BOARD, "--version"], capture_output=True, text=True, check=False)
    assert run.returncode == 0 and run.stdout.startswith("mpyd-board ")


def test_never_outlives_its_supervisor(board):
    b = board({"main.py": "print('go')\nwhile True: pass"})
    b.expect(b"go")
    b.life.link.close()
    assert b.life.process.wait(2 * SLOW) == 71


def message_of(kind, payload=b"", version=VERSION):
    return HEADER.pack(0x4d50, version, kind, 0, len(payload), 0) + payload


@pytest.mark.parametrize("message", [
    b"", b"garbage", message_of(BOOT), message_of(99), b"x" * 5000, message_of(INTERRUPT, version=1),
    message_of(PIN_LIST, bytes(8)), message_of(PIN_LINE, bytes(16)), message_of(PIN_NAMES, bytes(8)),
], ids=["empty", "garbage", "short", "unknown", "long", "old", "the board's own", "line unasked", "names unasked"])
def test_nonsense_on_the_link_ends_it(board, message):
    b = board(respawn=False)
    b.prompt()
    b.life.link.send(message)
    assert b.life.process.wait(2 * SLOW) in (70, 71)


def test_idle_does_not_wake_up(board):
    b = board().raw()

    def switches():
        tasks = pathlib.Path(f"/proc/{b.life.process.pid}/task").iterdir()
        lines = [line for t in tasks for line in (t / "status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    for code in ("", "import time\ntime.sleep(100)",
                 "import asyncio\nasync def f(): await asyncio.sleep(100)\nasyncio.run(f())",
                 "import select, sys\np = select.poll()\np.register(sys.stdin, 1)\np.poll()"):
        if code:
            b.begin(code)
        b.settle(0.3)
        before = switches()
        time.sleep(0.7)
        assert switches() == before, code
        if code:
            b.write(b"\x03")
            assert "KeyboardInterrupt" in b.result()[1]


# ---- stages ----

def test_stage_marks_divide_the_output(board):
    b = board({"boot.py": "print('boot')", "main.py": "print('main')\n1/0"})
    b.prompt()
    starts = {m[1]: m[2] for m in b.messages if m[0] == "stage"}
    assert starts["boot.py"] == 0
    assert starts["main.py"] == len(b"boot\r\n")
    name, _, result, text = b.result_of("main.py")
    assert (name, result) == ("end", "exception")
    assert text.startswith("Traceback") and text.endswith("ZeroDivisionError: divide by zero\n")
    assert starts["repl"] == len(b"boot\r\nmain\r\n") + len(text.replace("\n", "\r\n"))


def test_long_traceback_is_cut_in_the_middle(board):
    b = board({"main.py": "raise ValueError('x' * 100000 + 'END')"})
    b.prompt()
    text = b.result_of("main.py")[3]
    assert len(text) <= 4000 and text.startswith("Traceback") and text.endswith("END\n")


def test_exception_that_cannot_be_printed(board):
    b = board({"main.py": "class E(Exception):\n  def __repr__(self): raise ValueError\n"
                          "  __str__ = __repr__\nraise E()"})
    b.prompt()
    assert b.result_of("main.py")[2] == "exception"
    b.write(b"raise E()\r")
    b.settle()
    b.write(b"1+1\r")
    b.expect(b"2\r\n>>> ")
    assert b.lives == 1


def test_safe_mode_and_skip_main(board):
    files = {"boot.py": "print('BOOT')", "main.py": "print('MAIN')"}
    out = board(files, safe_mode=SAFE_MODE_USER).prompt()
    assert b"BOOT" not in out and b"You are in safe mode because:\r\nSomebody asked for it.\r\n" in out
    out = board(files, flags=SKIP_MAIN).prompt()
    assert b"BOOT" in out and b"MAIN" not in out


def test_system_exit_leaves_a_callback(board):
    schedule = "import micropython, sys\nmicropython.schedule(lambda _: sys.exit(), 0)\n"
    for wait in ("while True: pass", "import time\ntime.sleep(100)"):
        b = board().raw()
        b.begin(schedule + wait)
        b.expect(b"MPY: soft reboot")
        b.expect(RAW_PROMPT)
    once = "import os\nif 'n' not in os.listdir():\n  open('n', 'w').close()\n  "
    b = board({"main.py": once + schedule.replace("\n", "\n  ", 1)})
    b.prompt()  # the callback ran when main.py had ended
    assert b.lives == 2


# ---- a sandbox that goes too far ----

def test_files_that_cannot_be_opened_at_all_are_told(board):
    b = board({"main.py": "print('MAIN')"}, refused=OPENAT2)
    assert b"MAIN" not in b.prompt()
    told = [m for m in b.messages if m[0] == "log" and "openat2" in m[2]]
    assert len(told) == 1 and told[0][1] == 3 and "RestrictSUIDSGID" in told[0][2], b.messages


# ---- stopping ----

def test_stop_interrupts_then_ends_the_life(board):
    b = board({"main.py": "print('go')\nwhile True: pass"}, respawn=False)
    b.expect(b"go")
    b.send(STOP)
    out = b.expect(b"MPY: soft reboot")
    assert b"KeyboardInterrupt" in out and b"MicroPython" not in out
    assert b.result_of("main.py")[2] == "interrupted"
    b.wait(lambda: b.life.over, "end")
    assert b.statuses == [0] and ("reset", SOFT, 0, 0) in b.messages


@pytest.mark.parametrize("main", [
    "print('go')\ntry:\n  while True: pass\nexcept KeyboardInterrupt: print('caught')",
    "import micropython\nmicropython.kbd_intr(-1)\nprint('go')\nwhile True: pass",
    "print('go')\nimport time\ntime.sleep(100)",
], ids=["catches", "no-ctrl-c", "sleeps"])
def test_stop_reaches_programs_that_defend_themselves(board, main):
    b = board({"main.py": main}, respawn=False)
    b.expect(b"go")
    b.send(STOP)
    assert b"MicroPython" not in b.expect(b"MPY: soft reboot")


def test_stop_at_the_prompt_ends_at_once(board):
    b = board()
    b.prompt()
    b.send(STOP)
    b.expect(b"MPY: soft reboot")
    b.raw()
    b.send(STOP)
    b.expect(b"MPY: soft reboot")
    b.expect(RAW_PROMPT)


def test_finalisers_run_after_a_stop(board):
    b = board({"main.py": "import sys, time\n"
                          "sys.atexit(lambda: [time.sleep(0.05), print('EXIT')])\n"
                          "f = open('f', 'w')\nf.write('data')\nprint('go')\nwhile True: pass"},
              respawn=False)
    b.expect(b"go")
    b.send(STOP)
    b.expect(b"EXIT")
    b.wait(lambda: b.life.over, "end")
    assert (b.flash / "f").read_text() == "data"


@pytest.mark.parametrize("body", ["while True: pass", "time.sleep(100)", "sys.stdin.read(1)",
                                  "print('x' * 100)"],
                         ids=["computes", "sleeps", "reads", "prints"])
def test_abort_passes_every_except(board, body):
    b = board({"main.py": f"import sys, time\nprint('go')\nwhile True:\n  try:\n    {body}\n"
                          "  except BaseException: pass"})
    b.expect(b"go")
    b.settle(0.1)
    b.send(ABORT)
    b.expect(b"MPY: soft reboot")
    assert b.result_of("main.py")[2] == "aborted"


def test_abort_at_the_prompt_and_in_finalisers(board):
    b = board().raw()
    b.send(ABORT)
    b.expect(b"MPY: soft reboot")
    b.expect(RAW_PROMPT)
    assert b.result_of("repl")[2] == "aborted"
    b.run("import sys\ndef hang():\n  print('HANG')\n  while True:\n    try:\n"
          "      while True: pass\n    except BaseException: pass\nsys.atexit(hang)")
    b.write(b"\x04")
    b.expect(b"HANG")
    b.send(ABORT)
    b.expect(RAW_PROMPT)


def test_interrupt_is_for_running_code_only(board):
    b = board({"main.py": "print('go')\nwhile True: pass"})
    b.expect(b"go\r\n")
    b.send(INTERRUPT)
    b.prompt()
    b.send(INTERRUPT)
    b.settle()
    assert b.out == b""
    b.write(b"1+1\r")
    assert b.prompt() == b"1+1\r\n2\r\n>>> "


def test_interrupt_at_the_very_beginning_of_a_stage(board):
    """An operator who sees that main.py begins and interrupts it at once does so; each time."""
    b = board({"main.py": "while True: pass"})
    for n in range(1, 101):
        b.wait(lambda: any(m[:2] == ("stage", "main.py") for m in b.messages), "main.py")
        b.send(INTERRUPT)
        assert b.result_of("main.py")[2] == "interrupted", n
        b.prompt()
        b.messages.clear()
        b.write(b"\x04")  # and again


def test_masked_interrupts_wait(board):
    b = board().raw()
    b.begin("import machine, micropython, time\noff = machine.disable_irq()\n"
            "micropython.schedule(lambda _: print('callback'), 0)\nprint('off', off)\n"
            "t = time.ticks_ms()\nwhile time.ticks_diff(time.ticks_ms(), t) < 300: pass\n"
            "print('on')\nmachine.enable_irq(off)\nfor i in range(10): pass\nprint('not reached')")
    b.expect(b"off False\r\n")
    b.write(b"\x03")
    out, error = b.result()
    assert out.startswith("on\n") and "not reached" not in out and "KeyboardInterrupt" in error
    b.begin("machine.disable_irq()")  # left off: the prompt is not locked up
    b.result()
    b.begin("while True: pass")
    b.write(b"\x03")
    assert "KeyboardInterrupt" in b.result()[1]


# ---- the console ----

def test_ctrl_c_typed_before_the_script_runs(board):
    b = board({"main.py": "while True: pass"})
    b.write(b"\r\x03")
    assert b"KeyboardInterrupt" in b.prompt()


def test_ctrl_c_behind_more_input_than_anybody_reads(board):
    b = board({"main.py": "print('go')\nwhile True: pass"})
    b.expect(b"go\r\n")
    b.write(b"#" * (65536 + 30000))
    b.settle(0.3)
    assert not b.typed
    b.write(b"\x03")
    b.expect(b"KeyboardInterrupt", 1)
    b.prompt()
    b.settle(0.5)
    assert b"\x03" not in b.out


def test_input_survives_a_soft_reset_whole(board):
    main = ("import os, sys, time\nif 'n' not in os.listdir():\n  open('n', 'w').close()\n"
            "  print('go')\n  time.sleep(0.5)\n  sys.exit()\n"
            "import binascii, hashlib, micropython\nmicropython.kbd_intr(-1)\n"
            "data = sys.stdin.buffer.read(100000)\n"
            "print(binascii.hexlify(hashlib.sha256(data).digest()).decode())")
    data = bytes(4 + (i * 7 + i // 251) % 250 for i in range(100000))
    b = board({"main.py": main})
    b.expect(b"go")
    b.write(data)
    b.expect(hashlib.sha256(data).hexdigest().encode(), 10)
    assert b.lives == 2


def test_nobody_reads_the_output(board):
    b = board({"main.py": "print('go')\nwhile True: print('x' * 1000)"})
    b.expect(b"go")
    time.sleep(0.3)
    os.write(b.life.input, b"\x03")
    b.expect(b"KeyboardInterrupt")
    b.prompt()


def test_output_appears_while_the_program_computes(board):
    b = board({"main.py": "print('early')\nwhile True: pass"})
    b.expect(b"early\r\n", 1)


def test_newlines_and_bytes(board):
    b = board().raw()
    b.begin("import sys\nprint('a\\nb')\nsys.stdout.buffer.write(b'c\\nd\\n', 3)\n"
            "print(sys.stdin.readline())\nprint(sys.stdin.buffer.read(2))\n"
            "print(sys.stdin.fileno())")
    b.write(b"hello\r\r\n")
    out = b.expect(b"\x04")
    assert out == b"a\r\nb\r\nc\ndhello\r\n\r\nb'\\r\\n'\r\n0\r\n\x04"


# ---- files ----

SIZES = [*range(500, 531), *range(1020, 1041), 100_000]


def test_imported_files_of_every_size(board):
    """Short reads must not look like the end of a file."""
    files = {f"m{n}.py": "#".ljust(n - len(f"\nsize={n}"), "x") + f"\nsize={n}" for n in SIZES}
    assert all(len(files[f"m{n}.py"]) == n for n in SIZES)
    b = board(files).raw()
    for n in SIZES:
        assert b.run(f"import m{n}\nprint(m{n}.size)") == str(n)
        assert b.run(f"print(len(open('m{n}.py').read()))") == str(n)
        assert b.run(f"print(len(open('m{n}.py', 'rb').read(700)))") == str(min(n, 700))


def test_the_flash_is_a_jail(board):
    b = board({"d/f.py": "q = 5", "d/__init__.py": ""})
    os.symlink("/etc/passwd", b.flash / "absolute")
    os.symlink("../../../../../../etc/passwd", b.flash / "up")
    os.symlink("d", b.flash / "link")
    os.mkfifo(b.flash / "fifo")
    b.raw()
    b.run("import os")
    inode = (b.flash / "d").stat().st_ino
    assert sorted(eval(b.run("print(list(os.ilistdir()))"))) == [("d", 0x4000, inode, 0), ("link", 0x4000, inode, 0)]
    assert [(*e[:2], e[3]) for e in eval(b.run("print(list(os.ilistdir('d')))"))] == \
        [("__init__.py", 0x8000, 0), ("f.py", 0x8000, 5)]
    for path in ("absolute", "up", "fifo", "/../../etc/passwd", "d/../../../etc/passwd"):
        assert b.error(f"open({path!r})") == "OSError: [Errno 2] ENOENT"
        assert b.error(f"os.stat({path!r})") == "OSError: [Errno 2] ENOENT"
    for call, name in (("open('a\\0b')", "ValueError"), ("os.mkdir('\\0')", "ValueError"),
                       ("open('x' * 300, 'w')", "ENAMETOOLONG"),
                       ("open('x/' * 3000)", "ENAMETOOLONG"),
                       ("open('d')", "EISDIR"), ("os.rmdir('d')", "ENOTEMPTY"),
                       ("os.mkdir('/')", "EEXIST"), ("os.chdir('d/f.py')", "ENOTDIR"),
                       ("os.remove('/..')", "EINVAL"), ("open('f', 'z')", "ValueError")):
        assert name in b.error(call), call
    b.run("import d.f, link.f")
    b.run("os.chdir('/link')")
    assert b.run("print(os.getcwd(), sorted(os.listdir()))") == "/link ['__init__.py', 'f.py']"
    assert b.run("import f; print(f.q, f.__file__)") == "5 f.py"
    b.run("os.chdir('..')")
    assert b.run("print(os.getcwd(), 'link' in os.listdir())") == "/ True"
    assert "ImportError" in b.error("import sys; del sys.modules['f']; import f")


def test_file_objects(board):
    b = board().raw()
    for whence in "-1", "3", "4":  # Linux has more than MicroPython
        assert "OSError: [Errno 22] EINVAL" in b.error(f"open('f', 'w+b').seek(0, {whence})")
    b.run("f = open('f', 'w+b'); f.write(b'0123456789'); f.seek(2); assert f.read(3) == b'234'\n"
          "f.write(b'XX'); f.seek(0); assert f.read() == b'01234XX789'; assert f.tell() == 10\n"
          "f.close()")
    b.run("with open('f', 'ab') as f: f.write(b'!')\nassert open('f', 'rb').read()[-1:] == b'!'")
    b.run("f = open('f', 'r+'); assert f.truncate(4) == 4; f.close()\n"
          "assert open('f').read() == '0123'")
    b.run("open('t', 'w').write('äé\\nz')\nf = open('t'); assert f.readline() == 'äé\\n'; "
          "assert f.tell() == 5; assert f.read(1) == 'z'; assert f.read(1) == ''")
    assert "EEXIST" in b.error("open('f', 'x')")
    assert "EBADF" in b.error("open('f', 'w').read()")
    assert "ValueError" in b.error("f.close()\nf.read()")
    b.run("def leak():\n  for i in range(3000): open('t')\nleak()")
    b.run("m = __import__('vfs').mount()[0][0]\nimport vfs\nvfs.umount('/')\n"
          "vfs.mount(m, '/', readonly=True)")
    assert "EROFS" in b.error("open('new', 'w')")
    assert "EROFS" in b.error("import os; os.remove('t')")


def test_names_that_are_not_text(board):
    b = board({"d/x": ""})
    (pathlib.Path(os.fsdecode(os.fsencode(b.flash) + b"/d/bad\xff"))).touch()
    b.raw()
    assert b.run("import os; print(os.listdir('d'))") == "['x']"
    assert b.run("print(sorted(e[0] for e in os.ilistdir(b'd')))") == "[b'bad\\xff', b'x']"


# ---- memory, .mpy, the rest ----

def test_heap_grows_to_its_limit(board):
    b = board(heap=(1 << 20, 8 << 20)).raw()
    b.run("x = bytearray(5 << 20)")
    assert "MemoryError" in b.error("y = bytearray(5 << 20)")
    b.run("del x\nimport gc\ngc.collect()\nz = bytearray(6 << 20)")
    assert "maximum recursion depth" in b.error("def f(): return f()\nf()")


def test_compiled_scripts(board, tmp_path):
    b = board({"main.mpy": compiled(tmp_path, "print('go')\nx = 7\nwhile True: pass")})
    b.expect(b"go")
    b.write(b"\x03")
    assert b"KeyboardInterrupt" in b.prompt()
    assert b.result_of("main.py")[2] == "interrupted"
    b.write(b"x\r")
    b.expect(b"7\r\n>>> ")


def test_compiled_files_of_others(board):
    b = board({"boot.mpy": b"M\x05\x00\x1f", "lib.mpy": b"C\x06\x00\x1f",
               "main.py": "print('MAIN')"})
    out = b.prompt()
    assert b"ValueError: incompatible .mpy file\r\n" in out and b"MAIN" not in out
    b.write(b"import lib\r")
    assert b"CircuitPython" in b.prompt()


def test_interrupted_before_it_boots(board):
    """There is nothing to interrupt yet, and nothing wrong with who asks for it."""
    b = board({"main.py": "print('MAIN')"}, interrupt_early=True)
    assert b"MAIN" in b.prompt()
    assert b.result_of("main.py")[2] == "ok"


def test_code_that_was_cut(board):
    """marshal.loads() of what is not whole ends: upstream's takes the end for a number that goes on, for ever."""
    b = board().raw()
    b.run("import marshal\ndef f(): return 'a string' * 2\nwhole = marshal.dumps(f.__code__)")
    assert b.run("n = 0\nfor size in range(len(whole)):\n  try:\n    marshal.loads(whole[:size])\n"
                 "  except ValueError:\n    n += 1\nprint(n == len(whole))") == "True"
    assert "it ends too early" in b.error("marshal.loads(whole[:-1])")


def test_retained_memory_and_clock(board):
    b = board().raw()
    b.run("import machine\nmachine.RTC().memory(b'kept')\n"
          "machine.RTC().datetime((2030, 5, 6, 0, 7, 8, 9, 0))")
    b.begin("machine.reset()")
    b.raw()
    assert b.run("import machine, time\nprint(machine.reset_cause(), machine.RTC().memory(), "
                 "time.localtime()[:4])") == "2 b'kept' (2030, 5, 6, 7)"
    assert "buffer too long" in b.error("machine.RTC().memory(bytes(2049))")
    for wrong in ("(1999, 1, 1, 0, 0, 0, 0, 0)", "(2030, 13, 1, 0, 0, 0, 0, 0)", "(2030, 1)",
                  "(2100, 1, 1, 0, 0, 0, 0, 0)", "(2000, 1, 1, 0, -1, 0, 0, 0)", "(2099, 12, 31, 0, 24, 0, 0, 0)",
                  "(2030, 1, 2000000, 0, 0, 0, 0, 0)"):
        assert "ValueError" in b.error(f"machine.RTC().datetime({wrong})")
    # What is too large or negative is carried, as on other boards: programs add the hours of their zone.
    for given, is_ in (("(2030, 12, 31, 0, 23 + 2, 5, 6, 0)", "(2031, 1, 1, 2, 1, 5, 6"),
                       ("(2030, 3, 1, 0, 1 - 5, 5, 6, 0)", "(2030, 2, 28, 3, 20, 5, 6"),
                       ("(2028, 2, 30, 0, 0, 61, -1, 0)", "(2028, 3, 1, 2, 1, 0, 59"),
                       ("(2030, 1, 1, 0, 0, 0, 0, -2000000)", "(2029, 12, 31, 0, 23, 59, 5"),
                       ("(2099, 12, 31, 0, 23, 59, 0, 0)", "(2099, 12, 31, 3, 23, 59, 0")):
        assert b.run(f"r = machine.RTC()\nr.datetime({given})\nprint(r.datetime())").startswith(is_)


def test_deep_sleep_says_how_long(board):
    for call, usec in (("1234", 1234000), ("", 2**64 - 1)):
        b = board(respawn=False).raw()
        b.begin(f"import machine\ntry:\n  machine.deepsleep({call})\nfinally:\n  print('FINALLY')")
        b.wait(lambda: b.life.over, "end")
        assert ("reset", DEEPSLEEP, 0, usec) in b.messages
        assert b"FINALLY" not in b.out and b.statuses == [-signal.SIGKILL]


def word(b, n):
    """A word of the retained page."""
    return struct.unpack("<Q", os.pread(b.retained, 8, n * 64))[0]


def watchdog_messages(b):
    return [m[1:] for m in b.messages if m[0] == "watchdog"]


def test_wdt_is_set_by_a_message(board):
    b = board().raw()
    b.run("import machine")
    cases = {"": (5_000_000, 0), "0": (5_000_000, 0), "0, 10": (10_000, 0),
             "timeout=86400000": (86_400_000_000, 0), "id=0, timeout=1234": (1_234_000, 0),
             "0, 2000, warn=500, callback=print": (2_000_000, 500_000),
             "0, 2000, warn=0": (2_000_000, 0), "0, 2000, warn=None": (2_000_000, 0)}
    for n, (arguments, (timeout, warn)) in enumerate(cases.items(), 1):
        before = time.monotonic_ns() // 1000
        b.run(f"w = machine.WDT({arguments})")
        b.wait(lambda: len(watchdog_messages(b)) == n, "watchdog message")
        assert watchdog_messages(b)[-1] == (0, timeout, warn)
        assert before <= word(b, 0) <= time.monotonic_ns() // 1000  # it counts as fed


def test_wdt_refuses(board):
    b = board().raw()
    b.run("import machine")
    cases = {"1": "ValueError: WDT(1) doesn't exist", "-1": "ValueError: WDT(-1) doesn't exist",
             "0, 9": "ValueError: WDT timeout too short", "0, 0": "ValueError: WDT timeout too short",
             "0, -5": "ValueError: WDT timeout too short",
             "0, 86400001": "ValueError: WDT timeout too long",
             "0, 2000, warn=2000, callback=print": "ValueError: warn must be less than timeout",
             "0, 2000, warn=-1, callback=print": "ValueError: warn must be less than timeout",
             "0, 2000, warn=5": "ValueError: warn and callback need each other",
             "0, 2000, callback=print": "ValueError: warn and callback need each other",
             "0, 2000, warn=5, callback=5": "TypeError: callback must be callable",
             "0, 2000, 5": "TypeError: extra positional arguments given"}
    for arguments, error in cases.items():
        assert b.error(f"machine.WDT({arguments})") == error, arguments
    assert b.error("machine.WDT(0, 'x')").startswith("TypeError")
    assert b.error("machine.WDT().stop()").startswith("AttributeError")
    assert len(watchdog_messages(b)) == 1  # the last one's


def test_wdt_is_fed_by_a_store(board):
    b = board().raw()
    b.run("import machine, time; w = machine.WDT()")
    fed, messages = word(b, 0), len(b.messages)
    b.run("for _ in range(10): time.sleep_ms(2); w.feed()")
    assert fed + 20_000 <= word(b, 0) <= time.monotonic_ns() // 1000
    assert len(b.messages) == messages


@pytest.mark.parametrize("where", ["while True: pass", "import time; time.sleep(60)",
                                   "import select; select.poll().poll(60000)"])
def test_wdt_warning_reaches_the_program(board, where):
    b = board().raw()
    b.run("import machine\ndef warned(w):\n  print('warned', w is wdt)\n  w.feed()\n"
          "wdt = machine.WDT(0, 5000, warn=1000, callback=warned)")
    b.begin(where)
    for _ in range(3):
        b.send(WATCHDOG_WARNING, struct.pack("<I", 0))
        b.expect(b"warned True\r\n")
    assert time.monotonic_ns() // 1000 - word(b, 0) < 1_000_000 * SLOW
    b.write(b"\x03")
    assert "KeyboardInterrupt" in b.result()[1]


def test_wdt_warning_that_nobody_wants(board):
    b = board().raw()
    b.send(WATCHDOG_WARNING, struct.pack("<I", 0))  # none was set
    b.run("import machine; w = machine.WDT(0, 5000, warn=1000, callback=lambda w: print('old'))")
    b.run("w = machine.WDT(0, 5000)")
    for which in (0, 1):
        b.send(WATCHDOG_WARNING, struct.pack("<I", which))
    assert b.run("import time; time.sleep_ms(100); print('well')") == "well"


def test_wdt_warning_that_raises(board):
    b = board().raw()
    b.run("import machine; w = machine.WDT(0, 5000, warn=1000, callback=lambda w: 1 // 0)")
    b.begin("import time; time.sleep_ms(300 * %d); print('well')" % SLOW)
    b.send(WATCHDOG_WARNING, struct.pack("<I", 0))
    out, error = b.result()
    assert "ZeroDivisionError" in out and out.endswith("well\n") and not error


def test_wdt_warning_after_a_soft_reset(board):
    """Its callback went with the VM; one that comes while finalisers run hurts nothing."""
    b = board(files={"main.py": "import machine, sys, time\n"
                     "w = machine.WDT(0, 60000, warn=1000, callback=lambda w: print('old'))\n"
                     "def f():\n    print('exit')\n    time.sleep_ms(200)\n"
                     "if machine.reset_cause() == machine.PWRON_RESET:\n    sys.atexit(f)\n"
                     "    sys.exit()\n"})
    b.expect(b"exit")
    b.send(WATCHDOG_WARNING, struct.pack("<I", 0))
    assert b"old" not in b.prompt()
    assert b.statuses == [0]


def test_progress_is_shown(board):
    b = board().raw()
    b.begin("while True: pass")
    seen = [word(b, 2)]
    for _ in range(5):
        b.settle(0.1)
        seen.append(word(b, 2))
        assert word(b, 3) == 0
    assert len(set(seen)) == 6
    b.write(b"\x03")
    b.result()


@pytest.mark.parametrize("where", ["import time; time.sleep(60)", "input()",
                                   "import select; select.poll().poll(60000)",
                                   "import machine; machine.lightsleep(60000)"])
def test_waiting_is_shown_and_its_end_is_told(board, where):
    b = board().raw()
    b.begin(where)
    b.wait(lambda: word(b, 3) == 1, "wait")
    b.settle(0.1)
    assert word(b, 3) == 1
    before = word(b, 2)
    b.settle(0.3)
    assert word(b, 2) == before  # and it costs nothing
    awake = [m for m in b.messages if m[0] == "awake"]
    os.pwrite(b.retained, struct.pack("<Q", 1), 4 * 64)
    b.write(b"\x03")
    b.result()
    b.wait(lambda: [m for m in b.messages if m[0] == "awake"] == awake + [("awake",)], "awake")
    assert word(b, 4) == 0
    b.run("import time; time.sleep_ms(10)")  # nobody has asked again
    assert [m for m in b.messages if m[0] == "awake"] == awake + [("awake",)]


def test_stuck_in_c_is_neither(board):
    b = board(respawn=False).raw()
    b.begin("x = 7 ** 20000000")
    b.settle(0.3)
    before = word(b, 2)
    b.settle(0.5)
    assert word(b, 2) == before and word(b, 3) == 0


def test_names_of_lines_come_in_pieces(board):
    b = board().raw()
    b.pin_names = {0: ([b"GPIO2", b"ID_SDA", b"-"], 3), 3: ([b"4th", b"LED \xff", b"OWN"], 6),
                   6: ([b"GPIO2", b"Z_9"], 0)}

    def asked():
        return [position for kind, position in (m[:2] for m in b.messages if m[0] == "pin-list")]

    assert eval(b.run("from machine import Pin; print(dir(Pin.board))")) == ["GPIO2", "ID_SDA", "OWN", "Z_9"]
    assert asked() == [0, 3, 6]
    b.run("import time; time.sleep(1.1)")
    assert b.run("print(Pin.board.OWN, Pin.cpu.GP2)").split() == ["Pin(OWN)", "Pin(GPIO2)"]
    assert asked() == [0, 3, 6]  # what is known is not asked for
    # One that is plugged in is found, one that was taken out forgotten; nobody asks at each word.
    b.pin_names = {0: ([b"GPIO3"], 0)}
    assert b.run("print(Pin.board.GPIO3, dir(Pin.cpu))") == "Pin(GPIO3) ['GPIO3']"
    n = len(asked())
    b.run("for n in range(1000): hasattr(Pin.board, 'none%d' % n)")
    assert len(asked()) - n < 100


# What a program finds on an ESP32 or a Pico and here, and more.
MODULES = {
    "array": "array", "asyncio": "run gather wait_for Event Lock ThreadSafeFlag StreamReader "
    "open_connection start_server",
    "binascii": "hexlify unhexlify a2b_base64 b2a_base64 crc32", "builtins": "open eval exec compile input memoryview",
    "cmath": "sqrt phase", "collections": "namedtuple OrderedDict deque", "cryptolib": "aes", "deflate": "DeflateIO",
    "errno": "ENOENT ETIMEDOUT errorcode", "framebuf": "FrameBuffer MONO_VLSB RGB565",
    "gc": "collect mem_free threshold",
    "hashlib": "sha256 sha1 md5", "heapq": "heappush heappop heapify", "io": "BytesIO StringIO IOBase open",
    "json": "dump dumps load loads", "machine": "Pin Signal Timer WDT RTC SoftI2C SoftSPI lightsleep deepsleep reset "
    "soft_reset reset_cause wake_reason idle unique_id freq time_pulse_us disable_irq enable_irq",
    "marshal": "dumps loads", "math": "sqrt isclose gamma", "micropython": "const mem_info schedule kbd_intr "
    "heap_lock alloc_emergency_exception_buf opt_level", "mip": "install", "ntptime": "settime time host",
    "os": "dupterm sync statvfs uname getenv urandom listdir ilistdir stat rename remove mkdir rmdir chdir getcwd",
    "platform": "platform", "random": "getrandbits randrange choice uniform seed", "re": "compile match search sub",
    "requests": "get post request", "select": "poll select POLLIN", "socket": "socket getaddrinfo AF_INET6 AF_UNIX "
    "SOL_SOCKET SO_REUSEADDR IP_ADD_MEMBERSHIP", "ssl": "SSLContext wrap_socket CERT_REQUIRED PROTOCOL_TLS_CLIENT",
    "struct": "pack unpack_from calcsize", "sys": "argv exit implementation print_exception stdin stdout path modules",
    "_thread": "start_new_thread allocate_lock get_ident stack_size",
    "time": "sleep_ms ticks_diff ticks_us time_ns mktime gmtime localtime",
    "tls": "SSLContext MBEDTLS_VERSION", "uctypes": "struct addressof UINT32 LITTLE_ENDIAN",
    "unittest": "TestCase main", "urequests": "get", "vfs": "VfsFat VfsLfs1 VfsLfs2 VfsRom mount umount",
}


def test_modules(board):
    b = board().raw()
    for module, names in MODULES.items():
        missing = b.run(f"import {module}\nprint([n for n in {names.split()} if not hasattr({module}, n)])")
        assert missing == "[]", (module, missing)
    known = b.run("help('modules')")
    assert all(module in known for module in MODULES), known


def test_uname_and_urandom(board):
    b = board().raw()
    assert eval(b.run("import os; print(tuple(os.uname()))"))[:3:2] == ("linux", "1.25.0")
    assert b.run("print(os.uname().machine)").endswith(f"with {os.uname().machine}")
    some = eval(b.run("print([os.urandom(n) for n in (0, 1, 32, 32)])"))
    assert [len(s) for s in some] == [0, 1, 32, 32] and some[2] != some[3]
    assert "ValueError" in b.error("os.urandom(-1)")


def test_what_is_not_there_yet_is_absent(board):
    b = board().raw()
    for name in ("UART", "I2C", "SPI", "PWM", "ADC", "mem32"):
        assert "AttributeError" in b.error(f"import machine; machine.{name}")
    for name in ("network", "bluetooth"):
        assert "ImportError" in b.error(f"import {name}")
