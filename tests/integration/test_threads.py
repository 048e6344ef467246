# SPDX-License-Identifier: MIT
"""_thread and machine.Timer: what runs beside the program, how it is stopped, what a reset leaves."""
import re
import time

import pytest

from mpydtest.paths import timeout as scaled


def run(repl, code, timeout=30):
    out, error = repl.exec_raw(code, timeout)
    assert error == "", error
    return out.replace("\r\n", "\n")


BUSY = """
import _thread, time
def work():
    while True:
        x = [i for i in range(200)]
for i in range(4):
    _thread.start_new_thread(work, ())
print('started')
"""


def test_threads_share_the_vm(board):
    repl = board.raw()
    out = run(repl, """
import _thread, time, gc
lock = _thread.allocate_lock()
total = 0
done = 0
def work(n):
    global total, done
    for i in range(n):
        with lock:
            total += 1
        if i % 100 == 0:
            x = bytearray(2000)
    with lock:
        done += 1
for i in range(8):
    _thread.start_new_thread(work, (2000,))
while done < 8:
    gc.collect()
    time.sleep_ms(1)
print(total)
""", timeout=60)
    assert out == "16000\n"


def test_nobody_starves(board):
    """Threads that compute hand the VM on: one that sleeps gets it, as a rule soon. How late the worst case is, on a
    busy machine, is the kernel's affair too."""
    repl = board.raw()
    run(repl, BUSY)
    out = run(repl, "waits = []\nfor i in range(50):\n t = time.ticks_us()\n time.sleep_ms(1)\n"
                    " waits.append(time.ticks_diff(time.ticks_us(), t))\nwaits.sort()\nprint(waits[25], waits[-1])",
              timeout=60)
    usual, worst = map(int, out.split())
    assert usual < scaled(100000) and worst < scaled(5000000), out


@pytest.mark.parametrize("wait", ["while True: pass", "time.sleep(1000)", "lock.acquire()",
                                  "import sys; sys.stdin.read(1)"])
def test_ctrl_c_with_threads(board, wait):
    repl = board.raw()
    run(repl, BUSY + "lock = _thread.allocate_lock()\nlock.acquire()")
    repl.send_raw(f"print('waits')\n{wait}")
    repl.read_until(b"waits\r\n")
    time.sleep(0.1)
    began = time.monotonic()
    repl.write(b"\x03")
    assert b"KeyboardInterrupt" in repl.read_until(b"\x04>")
    assert time.monotonic() - began < scaled(1)
    assert run(repl, "print(lock.acquire(0), lock.locked())") == "False True\n"


@pytest.mark.parametrize("how", ["ctrl-d", "machine.soft_reset()", "hard"])
def test_resets_leave_no_thread_behind(boards, how):
    b = boards({"main.py": BUSY + "print('main ends')\n"})
    for n in range(1, 6):
        b.wait_log("main ends", n)
        if how == "hard":
            b.control.reset("hard")
            continue
        repl = b.friendly()
        repl.write(b"\x04" if how == "ctrl-d" else b"import machine; machine.soft_reset()\r")
        repl.read_until(b"MPY: soft reboot", timeout=30)
        repl.close()
    b.wait_log("main ends", 6)
    assert "killed" not in b.log and "SIG" not in b.log, b.log


def test_finalisers_run_with_threads(boards):
    """What a soft reset closes is closed once, though other threads were using it."""
    b = boards({"main.py": BUSY + "f = open('kept.txt', 'w')\nf.write('all of it')\n"})
    b.wait_log("started")
    repl = b.friendly()
    repl.write(b"\x04")
    repl.read_until(b"MPY: soft reboot", timeout=30)
    b.wait_log("started", 2)
    assert b.get("SoftResets") == 1


def test_one_thread_pays_nothing(board):
    """The same loop before there was a second thread and after it has ended."""
    repl = board.raw()
    out = run(repl, """
import _thread, time
def loop():
    t = time.ticks_us()
    for i in range(300000):
        pass
    return time.ticks_diff(time.ticks_us(), t)
alone = min(loop() for i in range(5))
_thread.start_new_thread(time.sleep_ms, (1,))
time.sleep_ms(50)
print(alone, min(loop() for i in range(5)))
""", timeout=60)
    alone, after = map(int, out.split())
    assert after < 3 * alone


# ---- timers ----


@pytest.mark.parametrize("after", ["", "    while True: pass\n", "    import machine; machine.reset()\n"])
def test_more_threads_than_there_may_be(boards, after):
    """The 257th is refused; the board goes on, is interrupted and reset with all of them."""
    b = boards({"main.py": "import _thread, time\ndef wait():\n    while True: time.sleep(1)\n"
                           "if 'been' not in __import__('os').listdir('/'):\n"
                           "    open('/been', 'w').close()\n    n = 0\n"
                           "    try:\n        while True:\n            _thread.start_new_thread(wait, ())\n            n += 1\n"
                           "    except OSError as e: print('no more than', n, e)\n" + after})
    b.wait_log("no more than 256 [Errno 11] EAGAIN")
    assert b.get("Crashes") == 0
    b.ctl("reset", "--no-wait")
    b.wait(lambda p: p["State"] == "idle" and p["BoardPid"] != 0 and p["HardResets"] >= 2, what="another life")
    assert b.get("Crashes") == 0


def test_timers(board):
    repl = board.raw()
    out = run(repl, """
from machine import Timer
import time
n = 0
def tick(t):
    global n
    n += 1
t = Timer(period=20, callback=tick)
began = time.ticks_ms()
while n < 10:
    pass
print('ms', time.ticks_diff(time.ticks_ms(), began))
t.deinit()
kept = n
time.sleep_ms(60)
print(n == kept)
one = Timer(-1, mode=Timer.ONE_SHOT, period=5, callback=lambda t: print('once', t))
time.sleep_ms(50)
a = Timer(3, freq=100, callback=tick)
b = Timer(5)
print(Timer(3) is a and Timer(5) is b and Timer(-1) is not Timer(-1))
n = 0
time.sleep_ms(205)
a.deinit()
print(n)
""")
    lines = out.splitlines()
    assert 180 <= int(lines[0].split()[1]) < scaled(1000)
    assert lines[1] == "True"
    assert re.fullmatch(r"once Timer\(-1, mode=ONE_SHOT, period=5\)", lines[2])
    assert lines[3] == "True"
    assert 5 <= int(lines[4]) <= 21


def test_timers_that_take_longer_than_their_periods(board):
    """The program goes on between two calls: sleeps end, asyncio runs, scheduled functions are called, the REPL hears."""
    repl = board.raw()
    out = run(repl, """
import asyncio, micropython, time
from machine import Timer
calls = 0
def work(ms):
    def f(t):
        global calls
        calls += 1
        end = time.ticks_add(time.ticks_us(), ms * 1000)
        while time.ticks_diff(end, time.ticks_us()) > 0: pass
    return f
def during(timers, f):
    for t in timers: t[0].init(period=t[1], callback=t[2])
    f()
    for t in timers: t[0].deinit()
async def rest(): await asyncio.sleep_ms(200)
a, b = Timer(1), Timer(2)
during([(a, 10, lambda t: time.sleep_ms(30))], lambda: time.sleep_ms(200))
print('sleep')
during([(a, 20, work(15)), (b, 20, work(25))], lambda: time.sleep_ms(200))
print('two')
during([(a, 5, work(10))], lambda: asyncio.run(rest()))
print('asyncio')
def ask():
    said = []
    for n in range(3):
        micropython.schedule(said.append, n)
        time.sleep_ms(50)
    print('scheduled', said)
during([(a, 5, work(10))], ask)
print(calls > 20)
""")
    assert out.splitlines() == ["sleep", "two", "asyncio", "scheduled [0, 1, 2]", "True"]
    run(repl, "t = Timer(3, period=5, callback=lambda t: time.sleep_ms(20))")
    board.control.interrupt()
    assert run(repl, "t.deinit()\nprint('heard')") == "heard\n"


def test_a_soft_reset_while_timers_run(boards):
    """What they have for the program is forgotten before its heap goes; their callbacks allocate."""
    b = boards({"main.py": """
import machine, time
from machine import Timer
memory = machine.RTC()
n = len(memory.memory())
if n < 60:
    memory.memory(b'x' * (n + 1))
    def quick(t):
        [bytes(100) for i in range(5)]
    def slow(t):
        [bytes(100) for i in range(50)]
        time.sleep_ms(2)
    timers = [Timer(-1, period=1, callback=quick) for i in range(20)]
    if n % 2:
        timers.append(Timer(-1, period=1, callback=slow))
    time.sleep_ms(20)
    machine.soft_reset()
print('soft resets:', n)
"""}, config={"reset": {"burst": "1000"}})
    b.wait_log("soft resets: 60", timeout=120)
    assert b.get("Crashes") == 0 and b.get("SoftResets") == 60


def test_timer_errors_and_endings(board):
    repl = board.raw()
    out = run(repl, """
from machine import Timer
import time
for kw in {}, {'period': -1}, {'freq': 0}, {'period': 5, 'mode': 7}, {'period': 5, 'callback': 5}:
    try:
        Timer(-1).init(**kw)
    except Exception as e:
        print(type(e).__name__)
def bad(t):
    raise ValueError('in a timer')
b = Timer(period=5, mode=Timer.ONE_SHOT, callback=bad)
time.sleep_ms(50)
print('goes on')
""")
    assert out.splitlines()[:5] == ["ValueError"] * 4 + ["TypeError"]
    assert "ValueError: in a timer" in out and out.endswith("goes on\n")
    # A soft reset stops them (S14).
    run(repl, "t = Timer(period=1, callback=lambda t: print('tick'))")
    repl.read_until(b"tick")
    repl.soft_reset_raw()
    assert b"tick" not in repl.read_for(0.3)
