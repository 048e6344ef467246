# SPDX-License-Identifier: MIT
"""mpyctl top: its figures are the board's own, and it behaves on a terminal and in a pipe."""
import codecs
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from mpydtest import timeout

COLUMNS = 60


def samples(board, n, interval="100ms"):
    out = board.ctl("--json", "top", "-n", str(n), "--interval", interval).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == n
    return lines


class Screen:
    """mpyctl top on a terminal: what it shows now, line by line."""

    def __init__(self, board, *arguments, rows=24):
        self.master, slave = pty.openpty()
        self.set_size(rows, COLUMNS)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        environ = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(board.ctl_command("top", *arguments), stdin=slave, stdout=slave, stderr=slave,
                                        env=environ)
        self.text = ""
        self.decode = codecs.getincrementaldecoder("utf-8")().decode  # a read may end within a character

    def set_size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        """What is drawn from now on, once it has had the time to notice."""
        self.set_size(rows, columns)
        self.process.send_signal(signal.SIGWINCH)  # the kernel's part, where this is the process's own terminal
        while select.select([self.master], [], [], 0)[0]:  # drawn before
            self.text += self.decode(os.read(self.master, 65536))
        before = len(self.draws())
        self.read(lambda s: len(s.draws()) > before + 3)
        return self.draws()[before + 1:-1]

    def read(self, until):
        deadline = time.monotonic() + timeout(20)
        while not until(self):
            assert time.monotonic() < deadline, self.text
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += self.decode(os.read(self.master, 65536))

    def draws(self):
        """Each drawing of the screen."""
        return re.split(r"\r\033\[\d+A", self.text)

    def close(self):
        code = self.process.wait(timeout(20))
        assert termios.tcgetattr(self.slave) == self.before
        os.close(self.master)
        os.close(self.slave)
        return code


def test_heap_and_collections_are_the_vms_own(boards):
    b = boards(config={"board": {"heap": "1M", "heap-max": "8M"}})
    repl = b.friendly()
    repl.line("import gc; gc.collect()")
    first, = samples(b, 1)
    assert first["state"] == "idle" and first["board_pid"] == b.board_pid()
    assert first["heap_max"] == 8 << 20 and first["heap_size"] >= 1 << 20
    assert 0 < first["heap_free"] < first["heap_size"]
    # gc.mem_free() counts what the heap may yet grow by; and the REPL has needed some since.
    free = int(repl.line("gc.mem_free()")) - (first["heap_max"] - first["heap_size"])
    assert abs(free - first["heap_free"]) < 20000
    assert 0 < first["gc_last_usec"] <= first["gc_longest_usec"]

    repl.line("kept = bytearray(2 << 20); gc.collect()")
    second, = samples(b, 1)
    assert second["heap_size"] >= 3 << 20
    assert second["gc_count"] > first["gc_count"]
    used = second["heap_size"] - second["heap_free"]
    assert 2 << 20 < used < 3 << 20
    b.hard_reset()
    third, = samples(b, 1)
    assert third["gc_count"] < second["gc_count"] and third["heap_size"] < 2 << 20
    assert third["hard_resets"] == second["hard_resets"] + 1


def test_processor_and_memory(boards):
    b = boards({"main.py": "print('busy')\nwhile True: pass\n"})
    b.wait_log("busy")
    lines = samples(b, 4, "500ms")
    assert max(line["processor_percent"] for line in lines) > 20
    assert all(line["state"] == "running" and line["stage"] == "main.py" for line in lines)
    with open(f"/proc/{b.board_pid()}/status") as f:
        status = dict(line.split(":\t", 1) for line in f)
    assert abs(lines[-1]["memory_bytes"] - int(status["VmRSS"].split()[0]) * 1024) < 1 << 20
    assert lines[-1]["threads"] == int(status["Threads"])
    b.ctl("interrupt")
    b.wait_state("idle")
    assert samples(b, 2, "500ms")[-1]["processor_percent"] < 20


@pytest.mark.parametrize("rows", [24, 11])
def test_screen(boards, rows):
    """All of it fits, so that each is drawn over the one before."""
    b = boards({"main.py": "import machine\nw = machine.WDT(timeout=3600000)\nprint('a line' * 40)\n"})
    b.wait_state("idle")
    screen = Screen(b, "--interval", "100ms", rows=rows)
    screen.read(lambda s: len(s.draws()) > 3)
    drawn = screen.draws()[1]
    for expected in ("idle at the REPL", "Board: up ", "Heap: ", "GC: ", "Last reset: ", "Watchdog: 1h",
                     "a linea line"):
        assert expected in drawn
    lines = lines_of(drawn)
    assert max(map(len, lines)) <= COLUMNS and len(lines) <= rows
    b.hard_reset()
    screen.read(lambda s: "1 hard" in s.draws()[-1] or "2 hard" in s.draws()[-1])
    os.write(screen.master, b"q")
    assert screen.close() == 0


def lines_of(drawn):
    return drawn.replace("\033[K", "").replace("\033[J", "").split("\r\n")


def test_resize(boards):
    """It fills the window as it is now: long lines to the edge, and of the log what there is room for."""
    b = boards({"main.py": "for i in range(20): print('long line' * 40)\n"})
    b.wait_state("idle")
    screen = Screen(b, "--interval", "100ms", rows=11)
    screen.read(lambda s: len(s.draws()) > 2)
    for rows, columns in (11, 60), (24, 100), (13, 40), (24, 200), (12, 60):
        for drawn in screen.resize(rows, columns):
            lines = lines_of(drawn)
            assert max(map(len, lines)) == columns and len(lines) <= rows, (rows, columns, lines)
            log = [line for line in lines if "long line" in line]
            assert len(log) == (10 if rows == 24 else rows - 8), (rows, lines)
            assert drawn.count("\r\n") == drawn.count("\033[K"), drawn  # no rest of a longer line before
            assert drawn.endswith("\033[J")  # nor of a higher screen
    os.write(screen.master, b"q")
    assert screen.close() == 0


def test_ctrl_c_and_a_count_end_it(boards):
    b = boards()
    screen = Screen(b)
    screen.read(lambda s: "Heap" in s.text)
    os.write(screen.master, b"\x03")
    assert screen.close() == 0
    screen = Screen(b, "-n", "2", "--interval", "100ms")
    screen.read(lambda s: len(s.draws()) == 2 and "Resets" in s.draws()[1])
    assert screen.close() == 0


def test_in_a_pipe_it_is_told_once(boards):
    b = boards()
    b.wait_state("idle")
    out = b.ctl("top").stdout
    assert "\033" not in out and out.count("Heap: ") == 1


def test_when_the_daemon_goes(boards):
    b = boards()
    screen = Screen(b, "--interval", "100ms")
    screen.read(lambda s: "Heap" in s.text)
    b.stop()
    assert screen.close() in (3, 7)
    assert b.ctl("top", check=False).returncode == 3


@pytest.mark.parametrize("bad", [["-n", "0"], ["-n", "x"], ["--interval", "1ms"], ["--interval", "soon"]])
def test_bad_arguments(boards, bad):
    done = boards().ctl("top", *bad, check=False)
    assert done.returncode == 64 and bad[1] in done.stderr
