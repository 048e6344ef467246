# SPDX-License-Identifier: MIT
"""The console: noise on the pty, one user at a time, users that do not read."""
import fcntl
import os
import random
import struct
import termios
import time

import pytest

from mpydtest import ControlError, Repl, timeout

LINES = 20000
PRINTER = ("import time\n"
           f"for i in range({LINES}): print('line', i, 'x' * 80)\n"
           "open('/done', 'w').close()\n")


def test_noise_on_the_pty_is_survived(board):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    r = random.Random(seed)
    repl = board.open_repl()
    for _ in range(30):
        repl.write(r.randbytes(2000))
        repl.read_for(0.01)
    repl.buffer = b""
    repl.write(b"\x04" * 3)  # out of whatever the noise has begun
    board.hard_reset()
    board.wait_state("idle")
    repl.read_for(0.2)
    repl.sync()
    assert board.get("Crashes") == 0


def test_over_long_line_is_survived(board):
    repl = board.friendly()
    repl.enter_raw()
    repl.write(b"x = '" + b"a" * (2 << 20) + b"'\x04", timeout=60)
    repl.read_until(b"\x04>", timeout=60)
    assert repl.exec_raw("print(len(x))") == (f"{2 << 20}\r\n", "")
    repl.leave_raw()
    repl.write(b"y = '" + b"b" * 5000 + b"'\r", timeout=60)
    repl.sync()
    assert repl.line("len(y)") == "5000\r\n"


def test_typing_into_a_program_that_does_not_read(boards):
    b = boards({"main.py": "while True: pass\n"})
    b.wait_stage("main.py")
    repl = b.open_repl()
    os.set_blocking(repl.fd, False)
    sent = 0
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            sent += os.write(repl.fd, b"z" * 4096)
        except BlockingIOError:
            time.sleep(0.01)
    rss = b.memory()[0]
    assert rss < 64 << 20
    b.control.properties()  # the supervisor answers
    # Ctrl-C is not stuck behind what was typed: it comes by the other way.
    b.control.interrupt()
    b.wait_stage("repl")


def test_input_in_a_wide_pipe_comes_back_whole(boards):
    """While main.py runs the board looks into its input for Ctrl-C, and widens the pipe for that. What
    lies in there when it is reset, more than the pipe had held before, is for the next board."""
    lines = 20000
    b = boards({"boot.py": "got = []\ndef a(n): got.append(n)\n",
                "main.py": "import os\nif 'again' not in os.listdir('/'):\n"
                           "    open('/again', 'w').close()\n    while True: pass\n"},
               # On a busy machine it is this test that does not read for half a second.
               config={"console": {"stall-timeout": "10s"}})
    b.wait_stage("main.py")
    repl = b.open_repl()
    typed = b"".join(b"a(%d)\r" % n for n in range(lines))
    repl.write(typed, timeout=60)
    waiting = 0
    deadline = time.monotonic() + timeout(20)
    while waiting < 80000:  # all that the board's own buffer (64 KiB) does not hold
        assert time.monotonic() < deadline, waiting
        fd = os.open(f"/proc/{b.board_pid()}/fd/4", os.O_RDONLY | os.O_NONBLOCK)
        try:
            waiting = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]
            size = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
        finally:
            os.close(fd)
    assert size > 65536  # it has been widened: otherwise nothing is shown here
    b.control.reset("soft")
    repl.write(b"print('mark', len(got), got == list(range(%d)))\r" % lines, timeout=60)
    repl.read_until(b"\nmark ", timeout=60)
    assert repl.read_until(b"\r\n") == b"%d True\r\n" % lines


def test_pty_client_keeps_sessions_out(board):
    repl = board.friendly()
    holder = board.get("ConsoleHolder")
    assert f"(pid {os.getpid()})" in holder
    with pytest.raises(ControlError) as e:
        board.control.open_console("second")
    assert e.value.name == "org.mpyd1.Error.ConsoleBusy"
    assert holder in e.value.message
    assert repl.line("1 + 1") == "2\r\n"


def test_session_keeps_sessions_out_until_it_leaves(board):
    first = board.open_session("first")
    first.sync()
    first.line("kept = 1")
    assert board.get("ConsoleHolder").startswith("first (pid ")
    with pytest.raises(ControlError) as e:
        board.control.open_console("second")
    assert "first (pid " in e.value.message
    first.close()
    board.wait(lambda p: p["ConsoleHolder"] == "")
    second = board.open_session("second")
    second.sync()
    assert second.line("kept") == "1\r\n"


def test_take_over_from_a_session(board):
    first = board.open_session("first")
    first.sync()
    second = board.open_session("second", take_over=True)
    second.sync()
    said = first.buffer
    with pytest.raises(EOFError):
        while True:
            first.fill(time.monotonic() + timeout(10))
            said = first.buffer
    assert b"second (pid " in said and b"took over the REPL" in said
    assert second.line("2 + 2") == "4\r\n"


def test_take_over_from_the_pty_and_back(board):
    pty = board.friendly()
    session = board.open_session("other", take_over=True)
    pty.read_until(b"took over the REPL")
    session.sync()
    pty.write(b"typed = 1\r")
    text = pty.read_until(b"is not read.")
    assert b"in use by other (pid " in text
    assert "NameError" in session.line("typed")
    session.write(b"print('for the session only')\r")
    session.read_until(b"\nfor the session only\r\n")
    assert b"for the session only" not in pty.read_for(0.2)
    session.close()
    board.wait(lambda p: p["ConsoleHolder"] != "" and "other" not in p["ConsoleHolder"])
    pty.sync()
    assert pty.line("3 + 3") == "6\r\n"


def test_client_that_opens_later_is_told(board):
    session = board.open_session("first")
    session.sync()
    with Repl.open(board.repl_path()) as pty:
        pty.write(b"x")
        assert b"in use by first (pid " in pty.read_until(b"is not read.")
        session.write(b"\x04")
        session.read_until(b"MPY: soft reboot\r\n")
        session.sync()
        assert board.get("ConsoleHolder").startswith("first")


@pytest.mark.parametrize("by", ["pty", "session"])
def test_user_that_does_not_read_does_not_stop_the_board(boards, by):
    b = boards({"main.py": PRINTER, "boot.py": "import time\nwhile 'go' not in __import__('os').listdir(): "
                "time.sleep_ms(10)\n"}, config={"console": {"stall-timeout": "200ms"}})
    b.wait_stage("boot.py")
    repl = b.open_repl() if by == "pty" else b.open_session()
    start = time.monotonic()
    (b.flash / "go").touch()
    while not (b.flash / "done").exists():
        assert time.monotonic() - start < timeout(30), b.log
        time.sleep(0.02)
    b.wait_log("does not read")
    b.control.properties()
    # Once the user reads again it gets the newest, and the REPL works.
    repl.read_for(0.5)
    repl.sync()
    assert repl.line("1 + 1") == "2\r\n"


def test_code_that_a_user_entered_waits_for_them(boards):
    """`mpremote run x.py | less`: its output waits for its reader, as that of a program does in a pipe."""
    b = boards({}, config={"console": {"stall-timeout": "200ms"}})
    repl = b.raw()
    repl.write(f"for i in range({LINES}): print('line', i)\x04".encode())
    time.sleep(2)
    assert b.get("ReplState") == "raw-running" and "does not read" not in b.log
    repl.read_until(b"OK")
    assert repl.read_until(b"\x04\x04>", timeout=60) == \
        "".join(f"line {i}\r\n" for i in range(LINES)).encode() + b"\x04\x04>"
    # Also when the code has ended, and what it has printed is on its way.
    repl.write(b"for i in range(9000): print('line', i)\x04")
    b.wait(lambda p: p["ReplState"] == "raw", what="the end of the code")
    time.sleep(2)
    repl.read_until(b"OK")
    assert repl.read_until(b"\x04\x04>") == "".join(f"line {i}\r\n" for i in range(9000)).encode() + b"\x04\x04>"
    # A reset does not wait for them.
    repl.write(f"for i in range({LINES}): print('line', i)\x04".encode())
    time.sleep(0.5)
    assert b.get("ReplState") == "raw-running"
    b.control.reset("soft")
    b.wait(lambda p: p["SoftResets"] >= 1 and p["State"] == "idle" and p["ReplState"] == "raw", timeout=10)


def test_reading_user_gets_every_byte(board):
    repl = board.raw()
    out, error = repl.exec_raw(f"for i in range({LINES}): print('line', i)", timeout=60)
    assert error == ""
    assert out == "".join(f"line {i}\r\n" for i in range(LINES))


def test_without_a_user_nothing_waits(boards):
    b = boards({"main.py": PRINTER})
    b.wait_state("idle", timeout=30)
    assert (b.flash / "done").exists()
    assert b.log_count("main.py[") > 0


def test_what_the_last_client_left_is_not_for_the_next(board):
    repl = board.friendly()
    repl.write(b"print('secret' * 3)\r")
    board.wait(lambda p: True)
    time.sleep(0.1)
    repl.close()
    board.wait(lambda p: p["ConsoleHolder"] == "")
    repl = board.open_repl()
    assert b"secret" not in repl.read_for(0.2)
    repl.sync()


def test_script_output_is_in_the_journal_and_repl_traffic_is_not(boards):
    b = boards({"boot.py": "print('said by boot')\n", "main.py": "print('said by main')\n"})
    repl = b.friendly()
    repl.line("print('typed at the prompt')")
    repl.soft_reset()
    lines = [(ident, text) for _, _, ident, text in b.control.log()]
    assert lines.count(("boot.py", "said by boot")) == 2
    assert lines.count(("main.py", "said by main")) == 2
    assert "typed at the prompt" not in b.log
    assert "MicroPython v" not in b.log


def test_what_a_script_printed_comes_before_what_is_said_about_its_end(boards):
    b = boards({"boot.py": "print('boots')\n", "main.py": "print('first' * 20000)\n1 / 0\n"})
    b.wait_log("main.py ended with an uncaught exception.")
    said = [text for _, _, _, text in b.control.log()]
    assert said.index("boots") < said.index("ZeroDivisionError: divide by zero") < said.index(
        "main.py ended with an uncaught exception.")
    b.hard_reset()
    b.put({"boot.py": "raise RuntimeError('boots badly')\n"})
    b.hard_reset()
    b.wait_log("boot.py ended with an uncaught exception.")
    said = [text for _, _, _, text in b.control.log()]
    assert said.index("RuntimeError: boots badly") < said.index("boot.py ended with an uncaught exception.")


def test_the_end_of_a_stage_costs_a_slow_user_nothing(boards):
    """What the board has printed by then is taken early only as far as there is room."""
    b = boards({}, config={"console": {"stall-timeout": "10s"}, "log": {"script-burst": "100000"}})
    repl = b.friendly()
    line = "print('%%s %%06d' %% (%r, i), 'x' * 87)"
    # How much boot.py can print before it has to wait for the user.
    b.put({"boot.py": f"f = open('/n', 'w')\nfor i in range(100000):\n    {line % 'boot'}\n"
                      "    _ = f.seek(0), f.write('%06d' % i), f.flush()\n"})
    b.control.reset("hard")
    b.wait(lambda p: (b.flash / "n").exists() and (b.flash / "n").read_text(), what="some output")
    n = -1
    while n != (n := int((b.flash / "n").read_text() or 0)):
        time.sleep(1)
    # It ends just before that, and main.py goes on.
    b.put({"boot.py": ""})
    b.control.reset("hard")
    repl.read_for(1)
    repl.sync()
    lines = n - 150
    b.put({"boot.py": f"for i in range({lines}): {line % 'boot'}\n",
           "main.py": f"for i in range(550): {line % 'main'}\n"})
    b.control.reset("hard")
    time.sleep(1)  # the user looks away
    out = repl.read_until(b"main 000549", timeout=30)
    assert [out.count(b"boot "), out.count(b"main ")] == [lines, 550]
    assert b.log_count("were dropped") == 0


CALLBACKS = """\
import _thread, time
from machine import Pin, Timer
n = 0
def tick(t):
    global n
    n += 1
    print('tick', n)
    if n == 3:
        t.deinit()
        1 / 0
def thread():
    time.sleep_ms(300)
    print('a thread', 'prints')
    raise OSError(5)
t = Timer(-1, period=100, callback=tick)
_thread.start_new_thread(thread, ())
p = Pin(4, Pin.IN, Pin.PULL_UP)
i = p.irq(lambda p: (print('an edge'), p.nothing), hard=True)
print('main.py is over')
"""


def test_what_callbacks_and_threads_print_at_the_repl_is_the_programs(boards):
    """A program that sets up timers, pins and threads and returns is as well logged as one that loops."""
    b = boards({"main.py": CALLBACKS}, config={"gpio": {"chip": "simulated"}})
    repl = b.friendly()
    b.wait_log(": main.py is over")
    for n in 1, 2, 3:
        b.wait_log(f": tick {n}")
    b.wait_log("ZeroDivisionError: divide by zero")
    b.wait_log(": a thread prints")
    b.wait_log("OSError: [Errno 5] EIO")
    b.ctl("pin", "set", "GPIO4", "0")
    b.wait_log(": an edge")
    b.wait_log("AttributeError: 'Pin' object has no attribute 'nothing'")
    assert {ident for _, _, ident, text in b.control.log() if "tick" in text or "prints" in text} == {"main.py"}
    # What is typed is not, between such lines either.
    repl.line("_ = Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=lambda t: print('late'))")
    assert repl.line("time.sleep_ms(100); print('typed at the prompt')").endswith("typed at the prompt\r\n")
    b.wait_log(": late")
    repl.line("print('typed', 'again')")
    repl.soft_reset()
    b.wait_log(": tick 3", 2)
    assert "typed" not in b.log and ">>>" not in b.log


def test_the_repl_and_a_thread_print_in_turns(boards):
    """Hundreds of times a second, and nobody reads for a while: the REPL's is not logged all the same."""
    b = boards({}, config={"log": {"script-burst": "100000", "script-rate": "unlimited"}})
    b.wait_state("idle")  # main.py has had its turn
    repl = b.raw()
    repl.send_raw("""
import time, _thread
go = True
def f():
    while go:
        print('program')
        time.sleep_us(100)
_thread.start_new_thread(f, ())
for i in range(2000):
    print('typed', i)
    time.sleep_us(100)
go = False
""")
    time.sleep(0.3)
    repl.read_until(b"\x04>", timeout=60)
    b.wait_log(": program", 20)
    assert "typed" not in b.log


def test_a_callback_whose_exception_cannot_be_printed(boards):
    """It ends that callback, and nothing else: later ones are called, and the REPL is not taken for one."""
    b = boards({}, config={"gpio": {"chip": "simulated"}})
    r = b.friendly()
    r.line("exec('class E(Exception):\\n  def __str__(self): raise ValueError\\n  __repr__ = __str__')")
    r.line("exec('def f(x): raise E(1)')")
    r.line("import micropython, time; from machine import Pin, Timer")
    r.line("micropython.schedule(f, 0)")
    r.line("t = Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=f); time.sleep_ms(50)")
    r.line("p = Pin(4, Pin.IN, Pin.PULL_UP); i = p.irq(f, hard=True)")
    b.ctl("pin", "set", "GPIO4", "0")
    r.line("time.sleep_ms(50)")
    r.line("print('ty' + 'ped')")
    r.line("micropython.schedule(print, 'scheduled')")
    r.line("t = Timer(-1, mode=Timer.ONE_SHOT, period=1, callback=lambda t: print('timer')); time.sleep_ms(50)")
    b.wait_log(": scheduled")
    b.wait_log(": timer")
    assert "typed" not in b.log and ">>>" not in b.log
