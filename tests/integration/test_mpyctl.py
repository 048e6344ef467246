# SPDX-License-Identifier: MIT
"""mpyctl against the real mpyd and the real board: each verb, its exit codes, its terminal."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from mpydtest import Board, Repl, mpyctl_program, timeout

OK, EXCEPTION, NOT_RUNNING, BUSY, NO_BOARD, LOST, RESET, NOT_FOUND = 0, 1, 3, 5, 6, 7, 8, 9
USAGE, TIME_IS_UP, INTERRUPTED = 64, 124, 130
TIMEOUT = timeout(20)


def command(board, *args):
    return [str(mpyctl_program()), "--run-dir", str(board.run_dir),
            "--state-dir", str(board.state_dir), *args]


def ctl(board, *args, code=OK, stdin=""):
    """Runs mpyctl to its end; (stdout, stderr)."""
    p = board.ctl(*args, check=False, text=stdin)
    assert p.returncode == code, f"{args}: {p.returncode}\n{p.stdout}\n{p.stderr}"
    return p.stdout, p.stderr


def status(board):
    return json.loads(ctl(board, "--json", "status")[0])


STARTED = []  # for the clean-up after a test that failed


class Popen(subprocess.Popen):
    """mpyctl with pipes."""

    def __init__(self, board, *args):
        super().__init__(command(board, *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
        STARTED.append(self)

    def clean_up(self):
        if self.poll() is None:
            self.kill()
        self.wait()
        self.stdout.close()
        self.stderr.close()


def read_until(process, what):
    end = time.monotonic() + TIMEOUT
    text = b""
    while what not in text:
        left = end - time.monotonic()
        assert left > 0 and select.select([process.stdout], [], [], left)[0], text
        data = os.read(process.stdout.fileno(), 65536)
        assert data, text
        text += data
    return text


class Screen:
    """mpyctl on a terminal."""

    def __init__(self, board, *args, columns=80):
        # Not what os.environ has by name only: readline sets COLUMNS behind Python's back.
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(mpyctl_program(), command(board, *args), {**env, "TERM": "xterm"})
        self.text = b""
        STARTED.append(self)

    def until(self, what):
        end = time.monotonic() + TIMEOUT
        while what not in self.text:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], self.text
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            assert data, self.text
            self.text += data
        at = self.text.index(what) + len(what)
        before, self.text = self.text[:at], self.text[at:]
        return before

    def type(self, data):
        os.write(self.fd, data)

    def resize(self, rows, columns):
        """As a terminal's window does it: the kernel tells who is at it (SIGWINCH)."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self):
        """The exit code, negative for a signal. The terminal's last output is in text."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.02)[0]:
                try:
                    self.text += os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(code)
        raise TimeoutError("mpyctl did not end")

    def clean_up(self):
        try:
            if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass
        os.close(self.fd)


def clean_up():
    while STARTED:
        STARTED.pop().clean_up()


@pytest.fixture(scope="module")
def shared():
    with Board() as b:
        yield b


@pytest.fixture
def board(shared):
    """One daemon for all that leave it as it was: at its prompt, nobody at the REPL."""
    shared.wait(lambda p: p["State"] == "idle" and not p["ConsoleHolder"])
    yield shared
    clean_up()


@pytest.fixture
def own(boards):
    """A daemon that a test may stop."""
    b = boards()
    b.wait_state("idle")
    yield b
    clean_up()


# ---- eval and exec ----

def test_eval(board):
    assert ctl(board, "eval", "2**100")[0] == f"{2**100}\n"
    assert ctl(board, "eval", "'ä\\n' + chr(0x20ac)")[0] == "'\\xe4\\n\\u20ac'\n"
    assert ctl(board, "eval", "--", "-1")[0] == "-1\n"


def test_eval_json(board):
    r = json.loads(ctl(board, "--json", "eval", "print('p') or {'a': [1, 2.5, None, 'ä']}")[0])
    assert r["ok"] and r["value"] == {"a": [1, 2.5, None, "ä"]} and r["printed"] == "p\n"
    r = json.loads(ctl(board, "--json", "eval", "object()")[0])
    assert r["ok"] and r["repr"].startswith("<object") and "value" not in r
    r = json.loads(ctl(board, "--json", "eval", "1/0", code=EXCEPTION)[0])
    assert not r["ok"] and "ZeroDivisionError" in r["error"]


def test_eval_cannot_be_left(board):
    _, err = ctl(board, "eval", "1) or print(2", code=EXCEPTION)
    assert "SyntaxError" in err


def test_exec_output_and_exceptions(board):
    out, err = ctl(board, "exec", "print('a')\nprint('b')")
    assert (out, err) == ("a\nb\n", "")
    out, err = ctl(board, "exec", "print('a'); oops", code=EXCEPTION)
    assert out == "a\n" and "NameError" in err and "\r" not in err
    _, err = ctl(board, "exec", "def f(:\n", code=EXCEPTION)
    assert "SyntaxError" in err


def test_exec_binary(board):
    code = "import sys\nsys.stdout.buffer.write(bytes(x for x in range(256) if x != 4))"
    p = subprocess.run(command(board, "exec", "--binary", code),
                       capture_output=True, timeout=TIMEOUT)
    assert p.returncode == OK and p.stdout == bytes(x for x in range(256) if x != 4)


def test_exec_large_from_stdin(board):
    code = "n = 0\n" + "n += 1  # äöü\n" * 5000 + "print(n)\n"
    assert ctl(board, "exec", "-", stdin=code)[0] == "5000\n"


def test_exec_streams(board):
    p = Popen(board, "exec", "import time\nprint('first')\ntime.sleep(30)")
    assert p.stdout.readline() == b"first\n"
    p.send_signal(signal.SIGINT)
    assert p.wait(TIMEOUT) == INTERRUPTED
    assert b"KeyboardInterrupt" in p.stderr.read()
    board.wait_state("idle")
    assert ctl(board, "eval", "--resume", "1")[0] == "1\n"


def test_resume_keeps_the_vm_and_a_soft_reset_does_not(board):
    ctl(board, "exec", "kept = 42")
    assert ctl(board, "eval", "--resume", "kept")[0] == "42\n"
    _, err = ctl(board, "eval", "kept", code=EXCEPTION)
    assert "NameError" in err


def test_timeout(board):
    _, err = ctl(board, "exec", "--timeout", "300ms", "while True: pass", code=TIME_IS_UP)
    assert "Time is up" in err and "KeyboardInterrupt" in err
    assert ctl(board, "eval", "--resume", "1")[0] == "1\n"


def test_system_exit_is_no_error(board):
    out, _ = ctl(board, "exec", "import sys\nprint('bye')\nsys.exit(3)")
    assert out == "bye\n"
    assert ctl(board, "eval", "--resume", "1")[0] == "1\n"


def test_reset_by_the_code(board):
    out, err = ctl(board, "exec", "import machine\nprint('going')\nmachine.reset()", code=RESET)
    assert out.startswith("going\n") and "machine.reset()" in err


def test_deep_sleep_of_the_code(board):
    _, err = ctl(board, "exec", "import machine\nmachine.deepsleep(60000)", code=RESET)
    assert "deep-sleep" in err
    assert "in deep sleep, the next boot in" in ctl(board, "status")[0]
    ctl(board, "eval", "1", code=NO_BOARD)
    ctl(board, "interrupt", code=NO_BOARD)
    assert "started anew: HARD_RESET" in ctl(board, "reset", "--soft")[0]


def test_reset_from_outside(board):
    p = Popen(board, "exec", "print('x')\nwhile True: pass")
    assert p.stdout.readline() == b"x\n"
    ctl(board, "reset")
    assert p.wait(TIMEOUT) == RESET
    assert b"was reset" in p.stderr.read()


def test_program_that_ignores_ctrl_c(board):
    p = Popen(board, "exec", "--timeout", "200ms",
              "import time\nprint('x')\nend = time.time() + 60\n"
              "while time.time() < end:\n try:\n  time.sleep(1)\n except: pass")
    assert p.wait(TIMEOUT) == TIME_IS_UP
    err = p.stderr.read()
    assert b"does not stop" in err and b"mpyctl reset" in err
    ctl(board, "reset")


def test_reader_goes_away(board):
    p = Popen(board, "exec", "import time\nprint('x')\nwhile True: time.sleep(1)")
    assert p.stdout.readline() == b"x\n"
    p.stdout.close()
    assert p.wait(TIMEOUT) == 128 + signal.SIGPIPE
    assert ctl(board, "eval", "--resume", "1")[0] == "1\n"


# ---- the REPL's users ----

def test_busy_and_take_over(board):
    p = Popen(board, "exec", "print('x')\nwhile True: pass")
    assert p.stdout.readline() == b"x\n"
    _, err = ctl(board, "eval", "1", code=BUSY)
    assert "mpyctl exec" in err and "--take-over" in err
    assert "mpyctl exec" in ctl(board, "status")[0]
    assert ctl(board, "eval", "--take-over", "7")[0] == "7\n"
    assert p.wait(TIMEOUT) == LOST


def test_restart_runs_main(own):
    own.put({"main.py": "print('main ran'); import time; time.sleep(60)"})
    ctl(own, "eval", "1")
    own.wait_state("idle")  # main.py did not run: the reset came from the raw REPL
    ctl(own, "eval", "--restart", "1")
    own.wait_state("running")
    ctl(own, "interrupt")
    own.wait_state("idle")


def test_repl_piped(board, monkeypatch):
    """Colours are a terminal's: neither the board's output nor what mpyctl itself says has any in a pipe."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out, err = ctl(board, "repl", stdin="for i in range(2):\n    print('n', i)\n\nprint('end')\n")
    assert "n 0\nn 1\n" in out and "end\n>>> " in out and err == ""
    assert "Error" not in out
    assert "\x1b" not in out.replace("\b\b\b\b\x1b[K", "")  # the board's line editing takes its indentation back
    out, err = ctl(board, "repl", stdin="'ü'\n1 / 0\n")
    assert "mpyctl: The REPL" in err and "mpyctl exec -" in err and "ZeroDivisionError" in out
    assert "\x1b" not in out + err
    out, err = ctl(board, "repl", "--wait", "20s", stdin="\x04import machine; machine.reset()\n")
    assert "soft reboot" in out and out.count("MicroPython v") == 2 and "\x1b" not in out + err


def test_repl_typed_into_and_piped_away(board, monkeypatch):
    """Keys come from a terminal, what is said goes into a pipe: `mpyctl repl 2>&1 | tee session`."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    keys, theirs = pty.openpty()
    p = subprocess.Popen(command(board, "repl"), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        said = read_until(p, b"Enter shows the prompt.")
        os.write(keys, b"print('gre' + 'en')\r")
        said += read_until(p, b"\ngreen\r\n>>> ")
        ctl(board, "reset")
        said += read_until(p, b">>> ")
        os.write(keys, b"\x1d")
        assert p.wait(TIMEOUT) == OK
        said += p.stdout.read()
    finally:
        p.kill()
        p.wait()
        p.stdout.close()
        os.close(keys)
        os.close(theirs)
    assert b"HARD_RESET: " in said and b"\x1b" not in said


def test_repl_piped_without_the_end_of_the_line(board):
    """It is entered, and what somebody before has left in the line is not."""
    with board.open_repl() as pty:
        pty.write(b"1 + ")
        pty.read_until(b"1 + ")
    board.wait(lambda p: p["ConsoleHolder"] == "")
    assert "\n12\n>>> " in ctl(board, "repl", stdin="3 * 4")[0]
    assert "\n13\n>>> " in ctl(board, "repl", stdin="13\n")[0]


def test_repl_piped_into_a_program(own):
    own.put({"main.py": "print('got', input())\n"})
    ctl(own, "reset")
    own.wait_state("running")
    out, err = ctl(own, "repl", "--wait", "1s", stdin="some\n")
    assert "got some" in out and "input of the program that runs" in err and "mpyctl interrupt" in err


def test_repl_after_a_tool_that_left_the_raw_one(board):
    for end in ("", "\n"):
        with board.open_repl() as pty:
            pty.write(b"\x03\x01")
            pty.read_until(b"raw REPL; CTRL-B to exit\r\n>")
        board.wait(lambda p: p["ReplState"] == "raw" and p["ConsoleHolder"] == "")
        assert "\n12\n>>> " in ctl(board, "repl", stdin="3 * 4" + end)[0]
        assert board.get("ReplState") == "prompt"


def test_code_that_changes_the_prompt(own):
    """sys.ps1 is the program's: what ends the code's output is not the prompt."""
    assert ctl(own, "exec", "import sys; sys.ps1 = '% '; print(1)") == ("1\n", "")
    assert ctl(own, "exec", "--resume", "print(sys.ps1)") == ("% \n", "")


@pytest.mark.parametrize("arguments, code, says, advises", [
    (["run", "nope.py"], 9, "nope.py", "mpyctl exec"),
    (["cp", "nope", ":"], 9, "nope", "begins with a colon"),
    (["log", "-n", "x"], USAGE, "not a number", "-n 100"),
    (["mip", "list"], USAGE, "mip can install", "rm -r :lib"),
    (["mip", "install"], USAGE, "name of a package", "mip install umqtt"),
])
def test_mistakes_tell_the_next_step(board, arguments, code, says, advises):
    first, second = ctl(board, *arguments, code=code)[1].splitlines()
    assert says in first and advises in second


def test_interrupt_tells_what_came_of_it(own):
    assert "No program runs" in ctl(own, "interrupt")[1]
    deaf = "import time\nwhile True:\n    try:\n        open('on', 'w').close()\n        time.sleep(9)\n" \
           "    except KeyboardInterrupt: pass\n"
    own.put({"main.py": deaf})
    ctl(own, "reset")
    own.wait(lambda p: (own.flash / "on").exists(), what="the program")
    assert "still runs" in ctl(own, "interrupt", code=TIME_IS_UP)[1]
    own.put({"main.py": "import time\ntime.sleep(99)\n"})
    ctl(own, "reset")
    own.wait_state("running")
    assert ctl(own, "interrupt") == ("", "")
    own.wait_state("idle")


def test_repl_terminal(board):
    s = Screen(board, "repl")
    s.until(b"\x1b[?2004h")
    assert b"\x1b[1mConnected to the board's REPL. Ctrl-] leaves.\x1b[0m" in s.until(b"prompt.")  # it is raw already
    assert not s.echoes()
    s.type(b"\x03")
    s.until(b">>> ")
    s.type(b"print('gre' + 'en')\r")
    s.until(b"\r\ngreen\r\n>>> ")
    # a paste keeps its indentation
    s.type(b"\x1b[200~for i in range(2):\r    if i:\r        print('pas' + 'ted')\r\x1b[201~")
    s.until(b"\r\npasted\r\n>>> ")
    s.type("\x1b[200~print('gr' + 'ü' + 'n')\r\x1b[201~".encode())
    s.until("\r\ngrün\r\n>>> ".encode())
    # the window's size is nobody's business: not of a line that is typed, not of one that is printed
    s.type(b"print('si' + ")
    s.until(b"print('si' + ")
    s.resize(10, 30)
    s.type(b"'ze')\r")
    assert s.until(b">>> ") == b"'ze')\r\nsize\r\n>>> "
    s.type(b"_ = [print('line', i) for i in range(3000)]\r")
    text = s.until(b"line 100\r\n")
    for columns in 20, 200, 132:
        s.resize(50, columns)
        text += s.until(b"0\r\n")
    text += s.until(b"\n>>> ")
    assert text.endswith(b"]\r\n" + b"".join(b"line %d\r\n" % i for i in range(3000)) + b">>> ")
    # over a soft and a hard reset
    s.type(b"\x04")
    s.until(b"soft reboot\r\n")
    s.until(b">>> ")
    ctl(board, "reset")
    assert b"HARD_RESET: hard reset asked for by mpyctl" in s.until(b">>> ")  # the banner does not say why
    s.type(b"print('al' + 'ive')\r")
    s.until(b"alive\r\n>>> ")
    s.type(b"\x1d")
    assert s.end() == OK
    assert b"\x1b[?2004l" in s.text
    assert status(board)["console_holder"] == ""


@contextlib.contextmanager
def repl_client(board, terminal):
    """mpyctl repl on a terminal or in the hands of a program."""
    ours, theirs = pty.openpty() if terminal else (s.detach() for s in socket.socketpair())
    p = subprocess.Popen(command(board, "repl"), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
                         env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    with Repl(ours) as client:
        try:
            if terminal:
                client.read_until(b"\x1b[?2004h")  # it is raw
            yield client
            if terminal:
                client.write(b"\x1d")
            else:
                with socket.socket(fileno=os.dup(ours)) as s:
                    s.shutdown(socket.SHUT_WR)
            assert p.wait(TIMEOUT) == OK
        finally:
            p.kill()
            p.wait()


LINES = 4000
TALKATIVE_BOOT = f"""\
import machine, os, time
got = []
def a(n): got.append(n)
def say(word):
    for i in range({LINES}): print(word, i)
print('boot.py runs')
while 'go' not in os.listdir():
    time.sleep_ms(10)
say('after')
"""


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_repl_loses_nothing_over_resets(boards, terminal):
    """What is printed before a reset and after it, and what is typed meanwhile, comes once and in order; a hard one
    drops what was typed before it, and nothing of what is typed from then on."""
    b = boards({"boot.py": TALKATIVE_BOOT, "go": ""},
               config={"console": {"stall-timeout": "10s"}})  # on a busy machine it is this test that does not read
    b.wait_state("idle")

    def typed(first, end):
        return b"".join(b"a(%d)\r" % n for n in range(first, end))

    def numbers(pattern, text):
        return [int(n) for n in re.findall(pattern, text)]

    with repl_client(b, terminal) as repl:
        repl.sync()
        for kind in ("soft", "hard", "soft"):
            first = 0 if kind == "soft" else 1000
            (b.flash / "go").unlink()
            if kind == "soft":
                repl.write(b"say('before')\r\x04" + typed(0, 1000))
            else:
                repl.write(b"say('before'); machine.reset()\r" + typed(0, 100))
            text = repl.read_until(b"\nboot.py runs\r\n")
            assert text.count(b"soft reboot") == (kind == "soft")
            assert numbers(rb"before (\d+)\r\n", text) == list(range(LINES))
            assert b"after" not in text and b"a(" not in text
            repl.write(typed(1000, 2000))
            (b.flash / "go").touch()
            repl.write(typed(2000, 3000) + b"print('got', got == list(range(%d, 3000)))\r" % first)
            text = repl.read_until(b"\ngot True\r\n>>> ", b"\ngot False\r\n>>> ")
            assert text.endswith(b"\ngot True\r\n>>> ")
            assert numbers(rb"after (\d+)\r\n", text) == list(range(LINES))
            assert numbers(rb"\r\n>>> a\((\d+)\)", text) == list(range(first, 3000))
    assert (b.get("SoftResets"), b.get("HardResets"), b.get("Crashes")) == (2, 2, 0)


def test_repl_tells_a_reset_between_lines(board):
    """Whoever reads slowly has much to read yet when the reset is told: it does not cut a line of that in two."""
    for _ in range(3):
        s = Screen(board, "repl")
        s.until(b"prompt.")
        s.type(b"\x03")
        s.until(b">>> ")
        s.type(b"import machine\rfor i in range(6000): print('before', i)\r\rmachine.reset()\r")
        time.sleep(0.5)  # all of it waits for us
        text = s.until(b"HARD_RESET: machine.reset() from the REPL\x1b[0m\r\n")
        s.type(b"\x03print('af' + 'ter')\r")
        text += s.until(b"\r\nafter\r\n>>> ")
        assert [int(n) for n in re.findall(rb"before (\d+)\r\n", text)] == list(range(6000))
        s.type(b"\x1d")
        assert s.end() == OK


@pytest.mark.parametrize("prints", ["'.', end=''", "'a line'"])
def test_repl_tells_the_reset_of_a_board_that_prints_on_and_on(own, prints):
    """There is no pause in which to tell it: it comes all the same, where a line ends if one does."""
    own.put({"main.py": f"while True: print({prints})\n"})
    s = Screen(own, "repl")
    s.until(b"prompt.")
    s.type(b"\x04")
    s.until(b"soft reboot")
    ctl(own, "reset")
    text = s.until(b"HARD_RESET: hard reset asked for by mpyctl")
    s.until(b"\x1b[0m\r\n")
    if "line" in prints:
        assert text.rpartition(b"\x1b[2m")[0].endswith(b"\r\n")
    s.type(b"\x1d")
    assert s.end() == OK


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV])
def test_repl_restores_the_terminal(board, sig):
    s = Screen(board, "repl")
    s.until(b"\x1b[?2004h")
    assert not s.echoes()
    os.kill(s.pid, sig)
    assert s.end() == -sig
    assert b"\x1b[?2004l" in s.text
    assert s.echoes()


def test_repl_hears_of_a_crash_and_of_no_soft_reset(own):
    s = Screen(own, "repl")
    s.until(b"\x1b[?2004h")
    s.type(b"\x03")
    s.until(b">>> ")
    s.type(b"\x04")
    s.until(b"soft reboot")
    assert b"SOFT_RESET" not in s.until(b">>> ")
    os.kill(own.board_pid(), signal.SIGKILL)
    assert b"HARD_RESET: crashed in the REPL: signal 9 (SIGKILL)" in s.until(b">>> ")
    s.type(b"\x1d")
    assert s.end() == OK


def test_repl_taken_over(board):
    s = Screen(board, "repl")
    s.until(b"\x1b[?2004h")
    ctl(board, "eval", "--take-over", "1")
    assert s.end() == LOST
    assert b"taken over" in s.text


def test_repl_when_mpyd_stops(own):
    s = Screen(own, "repl")
    s.until(b"\x1b[?2004h")
    assert own.stop() == 0
    assert s.end() == LOST
    assert b"mpyd has stopped" in s.text


# ---- status, reset, history, log ----

def test_status(board):
    out, _ = ctl(board, "status")
    assert out.startswith(("●", "*")) and "idle at the REPL, where it came " in out and "\x1b" not in out
    for label in ("Board:", "Last reset:", "Resets:", "REPL:", "History: ok", "Files:"):
        assert label in out
    s = status(board)
    assert s["running"] and s["state"] == "idle" and s["stage"] == "repl" and s["board_pid"] > 0


def test_status_offline(own):
    ctl(own, "reset")
    assert own.stop() == 0
    out, _ = ctl(own, "status", code=NOT_RUNNING)
    assert "not running" in out and "Last reset:" in out and "make run" in out
    s = json.loads(ctl(own, "--json", "status", code=NOT_RUNNING)[0])
    assert not s["running"] and s["last_reset_record"]["cause"] == "HARD_RESET"


def test_reset(board):
    before = status(board)
    out, _ = ctl(board, "reset")
    assert "HARD_RESET" in out
    board.wait_state("idle")
    middle = status(board)
    assert middle["board_pid"] != before["board_pid"]
    assert middle["hard_resets"] == before["hard_resets"] + 1
    out, _ = ctl(board, "reset", "--soft")
    assert "SOFT_RESET" in out
    board.wait_state("idle")
    assert status(board)["soft_resets"] == middle["soft_resets"] + 1
    assert "mpyctl" in status(board)["last_reset"]


def test_history(own):
    own.put({"main.py": "raise ValueError('compost')"})
    ctl(own, "reset")
    own.wait_state("idle")
    ctl(own, "reset")
    own.wait_state("idle")
    resets = ("--json", "history", "--only", "resets")
    live = json.loads(ctl(own, *resets)[0])
    assert [r["id"] for r in live] == sorted(r["id"] for r in live)
    assert live[0]["cause"] == "PWRON_RESET" and live[-1]["cause"] == "HARD_RESET"
    assert "ValueError: compost" in live[-1]["traceback"]

    out, _ = ctl(own, "history")
    assert "WHY" in out and "hard reset" in out and "ValueError: compost" in out
    out, _ = ctl(own, "history", "show", str(live[-1]["id"]))
    assert "Traceback" in out and "machine.HARD_RESET" in out
    assert ctl(own, "history", "show")[0] == out
    assert json.loads(ctl(own, "--json", "history", "show", str(live[0]["id"]))[0]) == live[0]
    assert len(json.loads(ctl(own, "--json", "history", "--limit", "1")[0])) == 1
    assert json.loads(ctl(own, *resets, "--since", "1h")[0]) == live
    all_of_it = json.loads(ctl(own, "--json", "history")[0])
    assert [r for r in all_of_it if r["type"] == "reset"] == live
    events = json.loads(ctl(own, "--json", "history", "--only", "events")[0])
    assert [r for r in all_of_it if r["type"] == "event"] == events
    assert [r["name"] for r in events] == ["daemon-start", "exception", "exception"]
    assert json.loads(ctl(own, "--json", "history", "--only", "exception")[0]) == events[1:]
    out, _ = ctl(own, "history", "show", str(events[-1]["id"]))
    assert "Event" in out and "exception" in out and "ValueError: compost" in out
    assert "Happened" in out and "main.py" in out
    out, _ = ctl(own, "history", "--totals")
    assert "3 resets\n" in out and "2 uncaught exceptions\n" in out and "Since " in out
    out, _ = ctl(own, "status")
    assert "3 resets since" in out and "2 exceptions" not in out and "uncaught exceptions" in out
    assert status(own)["totals"]["totals"]["exception"] == 2
    totals = json.loads(ctl(own, "--json", "history", "--totals")[0])
    ctl(own, "history", "--totals", "--limit", "3", code=USAGE)
    ctl(own, "history", "show", "1", "--only", "resets", code=USAGE)
    assert ctl(own, "history", "--since", "now")[0] == ""
    ctl(own, "history", "show", "99999", code=NOT_FOUND)
    assert "crashes are among them" in ctl(own, "history", "--only", "crash")[1]

    assert own.stop() == 0
    assert json.loads(ctl(own, *resets)[0]) == live
    later = json.loads(ctl(own, "--json", "history", "--totals")[0])
    assert later["totals"] == {**totals["totals"], "board-stop": 1, "daemon-stop": 1}
    assert later["since_usec"] == totals["since_usec"]
    assert "3 resets since" in ctl(own, "status", code=3)[0]
    assert "ValueError: compost" in ctl(own, "history", "show")[0]


def test_soft_resets_by_tools_do_not_push_out_what_matters(own):
    """mpremote soft-resets before each command."""
    own.put({"main.py": "raise ValueError('compost')"})
    ctl(own, "reset")
    own.wait_state("idle")
    for _ in range(9):
        own.mpremote("exec", "pass")
    rows = ctl(own, "history", "-n", "3")[0].splitlines()
    assert len(rows) == 4 and "ValueError: compost" in rows[1], rows  # its event, below the head line
    # The first of them ended a life with a traceback: it stays a row of its own.
    assert "ValueError" in rows[2] and "soft reset from the REPL" in rows[2]
    assert "soft reset from the REPL (×8)" in rows[3] or "(x8)" in rows[3], rows
    each = json.loads(ctl(own, "--json", "history", "-n", "9")[0])
    assert [r["cause"] for r in each] == ["SOFT_RESET"] * 9
    assert rows[3].split()[0] == str(each[-1]["id"])
    ctl(own, "reset")
    own.wait_state("idle")
    own.mpremote("exec", "pass")
    last, = ctl(own, "history", "-n", "1")[0].splitlines()[1:]
    assert last.endswith("soft reset from the REPL; ValueError: compost")  # not counted with those before
    for _ in range(2):
        own.mpremote("exec", "pass")
    last, = ctl(own, "history", "-n", "1")[0].splitlines()[1:]
    assert last.endswith("soft reset from the REPL (\N{MULTIPLICATION SIGN}2)"), last


def test_log(own):
    own.put({"main.py": "print('hello from main')"})
    ctl(own, "reset")
    own.wait_state("idle")
    out, _ = ctl(own, "log")
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
    assert re.search(rf"^{stamp} main\.py: hello from main$", out, re.M)
    lines = [json.loads(line) for line in ctl(own, "--json", "log")[0].splitlines()]
    assert any(x["ident"] == "main.py" and x["message"] == "hello from main" for x in lines)
    assert len(ctl(own, "log", "-n", "2")[0].splitlines()) == 2


def test_log_follows_over_a_restart(own):
    own.put({"main.py": "print('hello')"})
    p = Popen(own, "log", "-f", "-n", "1")
    try:
        read_until(p, b"\n")  # it follows
        ctl(own, "reset")
        read_until(p, b"main.py: hello")
        assert own.stop() == 0
        own.start()
        read_until(p, b"main.py: hello")
    finally:
        p.terminate()
        p.wait()
    assert b"is not running" in p.stderr.read()


def test_log_without_mpyd(own):
    assert own.stop() == 0
    _, err = ctl(own, "log", code=NOT_RUNNING)
    assert "not running" in err and "journalctl" in err


# ---- how it looks, and what it says about mistakes ----

@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_tables_fit_the_terminal(board, columns):
    s = Screen(board, "history", columns=columns)
    assert s.end() == OK
    assert b"\x1b[1m" in s.text
    for line in re.sub(rb"\x1b\[[0-9]*m", b"", s.text).decode().splitlines():
        assert len(line) <= columns, line


def test_mistakes():
    def run(*args):
        nowhere = ["--run-dir", "/nonexistent", "--state-dir", "/nonexistent"]
        p = subprocess.run([mpyctl_program(), *nowhere, *args], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL)
        return p.returncode, p.stdout, p.stderr

    assert run("stauts")[0] == USAGE and "mpyctl status?" in run("stauts")[2]
    assert run("reset", "--sotf")[0] == USAGE and "--soft?" in run("reset", "--sotf")[2]
    assert run("history", "--since", "soon")[0] == USAGE
    assert run("eval", "--timeout", "0", "1")[0] == USAGE
    assert run("eval", "-1")[2].count("--") > 0
    for args in (["restart"], ["restart", "--keep-pins"]):  # systemctl's is another one
        code, _, error = run(*args)
        assert code == 2 and "the mpyd of /run/mpyd, not the one of /nonexistent" in error, error
    for verb in ("reset", "interrupt", "log", "history", "status"):
        assert run(verb)[0] == NOT_RUNNING
    for verb in ("eval", "exec"):
        assert run(verb, "1")[0] == NOT_RUNNING
    assert run("repl")[0] == NOT_RUNNING
    for verb in ("status", "repl", "reset", "interrupt", "eval", "exec", "log", "history"):
        code, out, _ = run(verb, "--help")
        assert code == OK and f"Usage: mpyctl {verb}" in out and "Examples:" in out \
            and "Exit codes:" in out
    assert run("--version")[1].startswith("mpyctl ")


def test_other_host_by_ssh(tmp_path):
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor a; do last=$a; done\nprintf "%s\\n" "$*" >&2\n'
                   f'PATH={mpyctl_program().parent}:$PATH exec sh -c "$last"\n')
    ssh.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    p = subprocess.run([mpyctl_program(), "-H", "pi@greenhouse", "--run-dir", "/nonexistent dir",
                        "eval", "it's"], env=env, capture_output=True, text=True,
                       stdin=subprocess.DEVNULL)
    assert p.returncode == NOT_RUNNING  # the other side's exit code
    assert p.stderr.startswith("-- pi@greenhouse mpyctl --run-dir '/nonexistent dir' eval -- ")
    assert "/nonexistent dir/control" in p.stderr
    p = subprocess.run([mpyctl_program(), "-H", "-oProxyCommand=x", "status"], env=env,
                       capture_output=True)
    assert p.returncode == USAGE


def test_reset_of_a_program_that_sleeps_at_once(boards):
    b = boards({"main.py": "import machine\nmachine.deepsleep(60000)\n"})
    b.wait_state("deep-sleep")
    told = [b.ctl("reset").stdout for _ in range(8)]  # one that looks while it runs says that it was reset
    assert any("in deep sleep" in text for text in told), told
    assert b.get("HardResets") == 9


def test_run_directory_leads_to_its_own_state(boards):
    """A board that is not the installed one: its files and history are found by its run directory, and
    without it nobody else's are."""
    b = boards({"main.py": "print('mine')\n"})
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MPYD_")}

    def ctl(*arguments):
        return subprocess.run([str(mpyctl_program()), "--run-dir", str(b.run_dir), *arguments],
                              capture_output=True, text=True, env=environ)

    b.wait_history(lambda rows: rows)
    assert b.stop() == 0
    assert ctl("cat", ":main.py").stdout == "print('mine')\n"
    assert "power-on" in ctl("history").stdout
    (b.run_dir / "state").unlink()
    for arguments in (["cat", ":main.py"], ["history"], ["cp", "/etc/hostname", ":main.py"]):
        refused = ctl(*arguments)
        assert refused.returncode == 3 and str(b.run_dir) in refused.stderr, (arguments, refused)
    assert b.read("main.py") == "print('mine')\n"


def test_status_of_a_board_that_sleeps(boards):
    """Its causes are still those of the life that has gone to sleep; the next ones are not known yet."""
    b = boards({"main.py": "import machine\nmachine.deepsleep(600000)\n"})
    p = b.wait_state("deep-sleep")
    assert (p["ResetCause"], p["RunReason"]) == ("PWRON_RESET", "STARTUP")
    b.control.reset("hard")
    p = b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "deep-sleep", what="the next sleep")
    assert (p["ResetCause"], p["ResetReason"]) == ("HARD_RESET", "RESET_PIN")


def test_last_error_has_a_time(boards):
    b = boards({"main.py": "1 / 0\n"}, config={"recovery": {"after-exception": "off"}})
    b.wait_state("idle")
    assert 0 <= time.time() * 1e6 - b.get("LastTracebackAt") < 60e6
    assert re.search(r"Last error, [0-9.]+(ms|s|min)[0-9. a-z]* ago:", b.ctl("status").stdout), b.ctl("status").stdout
    b.put({"main.py": "x = open('/secret')\n", "secret": "s"})
    (b.flash / "secret").chmod(0)
    b.hard_reset()
    b.wait_state("idle")
    status = b.ctl("status").stdout
    if os.geteuid() == 0:  # otherwise the file is its own
        assert "EACCES is most often a file" in status, status
    b.put({"main.py": "x = 1\n"})
    b.hard_reset()
    b.wait_state("idle")
    status = b.ctl("status").stdout
    assert re.search(r"Last error, .* ago, before the last reset:", status) and "most often" not in status, status


def test_an_interrupt_is_not_the_last_error(boards):
    """A reset that somebody asks for ends the program with KeyboardInterrupt: history tells where, but what went
    wrong before is still the last error."""
    b = boards({"main.py": "1 / 0\n"}, config={"recovery": {"after-exception": "off"}})
    b.wait_state("idle")
    b.put({"main.py": "import time\nwhile True:\n    time.sleep(1)\n"})
    b.hard_reset()
    b.wait(lambda p: p["State"] == "running" and p["Stage"] == "main.py", what="main.py")
    b.control.reset("soft")
    b.wait(lambda p: p["SoftResets"] == 1 and p["State"] == "running", what="the soft reset")
    assert "KeyboardInterrupt" in b.ctl("history", "-n", "1").stdout
    status = b.ctl("status").stdout
    assert "ZeroDivisionError" in status and "KeyboardInterrupt" not in status, status
    b.stop()
    status = b.ctl("status", check=False).stdout
    assert "soft reset asked for" in status and "KeyboardInterrupt" not in status, status


def test_reset_of_a_program_that_soft_resets(boards):
    """What is seen after a hard reset may be the program's own soft reset already: it is not called a hard one."""
    b = boards({"main.py": "import machine\nmachine.soft_reset()\n"}, config={"reset": {"rate": "unlimited"}})
    b.wait(lambda p: p["SoftResets"] > 3, what="soft resets")
    seen = {b.ctl("reset").stdout for _ in range(20)}
    assert "The board was reset (hard), and its program has soft-reset it since.\n" in seen
    assert seen <= {"The board was reset (hard), and its program has soft-reset it since.\n",
                    "The board was reset (hard): HARD_RESET.\n"}


def test_a_loop_of_resets_and_the_way_out_of_it(boards):
    b = boards({"main.py": "import machine\nmachine.reset()\n"}, config={"reset": {"burst": "2", "rate": "1/5min"}})
    b.wait_state("waiting")
    done = b.ctl("exec", "print(1)", check=False)
    assert done.returncode == NO_BOARD
    for text in (done.stderr, b.ctl("status").stdout):
        assert "resets come too fast" in text and "mpyctl safe-mode enter" in text, text
    b.ctl("safe-mode", "enter")
    b.wait(lambda p: p["SafeMode"] != "" and p["State"] == "idle", what="safe mode")
    assert b.ctl("exec", "print(1)").stdout == "1\n"
