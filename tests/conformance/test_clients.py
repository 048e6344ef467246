# SPDX-License-Identifier: MIT
"""What people come with: mpremote's mount and romfs, its own tests, pyboard.py, Thonny."""
import contextlib
import os
import pty
import queue
import shlex
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

from mpydtest.items import item
from mpydtest.paths import micropython_dir, mpremote_path
from mpydtest.paths import timeout as scaled
from mpydtest.repl import Repl

THONNY = "/usr/lib/python3/dist-packages/thonny"


def mpremote_environ(board):
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}  # changes the order
    return {**environ, "PYTHONPATH": mpremote_path(),
            "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(board.dir), "TERM": "xterm"}


def wait_raw(terminal):
    """Until its program reads it key by key; what is typed before that is lost."""
    deadline = time.monotonic() + scaled(20)
    while termios.tcgetattr(terminal)[3] & termios.ICANON:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def mpremote_terminal(board, *arguments, leave=b"\x1d"):
    """mpremote on a terminal, which is yielded once its REPL takes keys; it is left by the key leave."""
    main, child = pty.openpty()
    process = subprocess.Popen(
        ["/usr/bin/python3", "-m", "mpremote", "connect", str(board.repl_path()), *map(str, arguments)],
        stdin=child, stdout=child, stderr=child, env=mpremote_environ(board), start_new_session=True)
    os.close(child)
    try:
        with Repl(main) as terminal:
            terminal.read_until(b"Use Ctrl-] or Ctrl-x to exit this shell\r\n")
            wait_raw(main)
            yield terminal
            terminal.write(leave)
            assert process.wait(scaled(10)) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@item("M8")
def test_M08_implicit_repl_sends_nothing(board):
    """mpremote on a terminal: it attaches as things are, and leaves them so."""
    board.mpremote("exec", "kept = 4711")
    resets = board.get("SoftResets")
    with mpremote_terminal(board, "resume", "repl") as terminal:
        terminal.write(b"kept + 1\r")
        terminal.read_until(b"4712\r\n>>> ")
    assert board.get("SoftResets") == resets and board.get("HardResets") == 1
    assert board.mpremote("resume", "eval", "kept").stdout == "4711\n"


@item("M8")
def test_M08_capture_and_injection(board, tmp_path):
    """What the REPL's keys on the host's side do: Ctrl-J types, Ctrl-K runs a file; all that was shown is kept."""
    script, kept = tmp_path / "script.py", tmp_path / "session.txt"
    script.write_text("print('of the', 'file', kept)\n")
    board.mpremote("exec", "kept = 4711")
    with mpremote_terminal(board, "resume", "repl", "--capture", kept, "--inject-code", r"print('in', 'jected')\n",
                           "--inject-file", script, leave=b"\x18") as terminal:
        terminal.read_until(f'Use Ctrl-K to inject file "{script}"\r\n'.encode())
        terminal.write(b"kept + 1\r")
        shown = terminal.read_until(b"4712\r\n>>> ")
        terminal.write(b"\n")
        shown += terminal.read_until(b"\r\nin jected\r\n>>> ")
        terminal.write(b"\x0b")
        shown += terminal.read_until(b"of the file 4711\r\n")
        shown += terminal.read_until(b"\n>>> ")
    assert kept.read_bytes() == shown
    assert f"Injecting {script}\r\n".encode() in shown


@pytest.fixture
def shared(tmp_path):
    """A directory of the host's to mount."""
    package = tmp_path / "pack/inner"
    package.mkdir(parents=True)
    (tmp_path / "pack/__init__.py").write_text("from .inner.deep import say\n")
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("def say():\n    print('from the host')\n")
    (tmp_path / "lines.txt").write_text("".join(f"line {i}\n" for i in range(60)))
    (tmp_path / "blob").write_bytes(bytes(range(256)) * 200)
    return tmp_path


@item("M28")
def test_M28_mounted_files_are_imported_read_and_written(board, shared):
    done = board.mpremote("mount", str(shared), "exec",
                          "import pack, os\npack.say()\nprint(os.getcwd(), sorted(os.listdir()))\n"
                          "print(os.stat('blob')[6], os.stat('pack')[0] & 0x4000 != 0)\n"
                          "with open('new.txt', 'w') as f:\n    f.write('written by the board')\n"
                          "os.mkdir('made')\nos.rename('new.txt', 'made/moved.txt')")
    assert "from the host" in done.stdout
    assert "/remote ['blob', 'lines.txt', 'pack']" in done.stdout
    assert "51200 True" in done.stdout
    assert (shared / "made/moved.txt").read_text() == "written by the board"


@item("M29")
def test_M29_mount_shares_stdin_and_stdout(board, shared):
    """File traffic and the program's own output go over the same streams."""
    done = board.mpremote("mount", str(shared), "exec",
                          "for i, l in enumerate(open('lines.txt')):\n"
                          "    if i % 20 == 0:\n        print('at', l.strip())")
    assert [li for li in done.stdout.splitlines() if li.startswith("at ")] == [
        f"at line {i}" for i in range(0, 60, 20)]


@item("M30")
def test_M30_mount_carries_every_byte(board, shared):
    done = board.mpremote("mount", str(shared), "exec",
                          "import hashlib\nd = open('blob', 'rb').read()\n"
                          "print(len(d), d == bytes(range(256)) * 200)\n"
                          "f = open('copy', 'wb')\nprint(f.write(d))\nf.close()\n"
                          "f = open('blob', 'rb')\nprint(f.seek(1000), f.read(3))\n"
                          "print(f.seek(-2, 2), f.read())")
    assert done.stdout.splitlines()[-4:] == [
        "51200 True", "51200", "1000 b'\\xe8\\xe9\\xea'", "51198 b'\\xfe\\xff'"]
    assert (shared / "copy").read_bytes() == (shared / "blob").read_bytes()


@item("M31")
def test_M31_mounted_modules_larger_than_the_buffer(board, shared):
    (shared / "large.py").write_text("total = 0\n" + "total += 1  # " + "x" * 300 + "\n" +
                                     "total += 1\n" * 3000)
    done = board.mpremote("mount", str(shared), "exec", "import large\nprint(large.total)")
    assert done.stdout.endswith("3001\n")


@item("M33")
def test_M33_mpremote_mounts_again_after_ctrl_d(board, shared):
    module = shared / "changes.py"
    module.write_text("print('first', 'content')\n")
    with mpremote_terminal(board, "mount", shared, "repl") as terminal:
        terminal.read_until(b"\n>>> ")
        terminal.write(b"kept = 1; import changes\r")
        terminal.read_until(b"\nfirst content\r\n>>> ")
        module.write_text("print('second', 'content')\n")
        terminal.write(b"\x04")
        assert b"Warning" not in terminal.read_until(f"\nRemount local directory {shared}/ at /remote\r\n".encode())
        terminal.read_until(b">>> ")
        terminal.write(b"import changes, os; print(os.getcwd(), 'kept' in globals())\r")
        terminal.read_until(b"\nsecond content\r\n/remote False\r\n>>> ")
    assert board.mpremote("resume", "exec", "import os; print('remote' in os.listdir('/'))").stdout == "False\n"


@item("M36", "NotImplementedError: there is no loader to go to; the board goes on (D27)")
def test_M36_bootloader_changes_nothing(board):
    board.mpremote("bootloader")
    assert board.mpremote("resume", "eval", "1").stdout == "1\n"
    assert board.get("HardResets") == 1
    repl = board.friendly()
    assert "NotImplementedError" in repl.line("import machine; machine.bootloader()")


@pytest.mark.parametrize("answer", ["right", "after 2036", "unsynchronised", "short"])
def test_ntptime(board, answer):
    """A time server of this machine; only the way to it is another one than port 123 of a pool."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(scaled(20))
        seconds = 1900000000 if answer != "after 2036" else 2200000000
        reply = bytes([0x24, 0 if answer == "unsynchronised" else 2]) + bytes(38)
        reply += struct.pack("!II", (seconds + 2208988800) & 0xffffffff, 0)

        def serve():
            query, client = server.recvfrom(100)
            assert len(query) == 48 and query[0] & 7 == 3
            server.sendto(reply[:40] if answer == "short" else reply, client)

        thread = threading.Thread(target=serve)
        thread.start()
        repl = board.raw()
        out, error = repl.exec_raw(
            "import ntptime, socket, machine, time\n"
            f"class Way:\n    getaddrinfo = lambda h, *a: socket.getaddrinfo('127.0.0.1', {server.getsockname()[1]}, *a[1:])\n"
            "    socket, AF_INET, SOCK_DGRAM = socket.socket, socket.AF_INET, socket.SOCK_DGRAM\n"
            "ntptime.socket = Way\nntptime.timeout = 10\nntptime.settime()\n"
            "print(time.time())", timeout=30)
        thread.join()
    if answer in ("unsynchronised", "short"):
        assert "OSError: not an answer of a time server" in error
        return
    assert error == "" and 0 <= int(out) - seconds < scaled(20), (out, error)


@item("M41", "an image is built, copied and mounted from a file; there is no flash partition to deploy to")
def test_M41_romfs(board, tmp_path):
    source = tmp_path / "rom"
    source.mkdir()
    (source / "in_rom.py").write_text("def say():\n    print('from ROM')\n")
    (source / "data.txt").write_text("text in ROM")
    image = tmp_path / "image.romfs"
    board.mpremote("romfs", "--no-mpy", "-o", str(image), "build", str(source))
    board.mpremote("cp", str(image), ":image.romfs")
    done = board.mpremote(
        "exec", "import vfs, sys\nvfs.mount(vfs.VfsRom(open('image.romfs', 'rb').read()), '/rom')\n"
                "sys.path.append('/rom')\nimport in_rom\nin_rom.say()\n"
                "print(open('/rom/data.txt').read())")
    assert done.stdout == "from ROM\ntext in ROM\n"
    assert board.mpremote("romfs", "query").stdout == "ROMFS is not enabled on this device\n"
    done = board.mpremote("romfs", "deploy", str(image), check=False)
    assert (done.returncode, done.stderr) == (1, "mpremote: ROMFS is not enabled on this device\n")
    assert done.stdout == f"Image size is {image.stat().st_size} bytes\n"


@item("M43")
def test_M43_pyboard(board, tmp_path):
    def run(*arguments):
        return subprocess.run(
            ["/usr/bin/python3", str(micropython_dir() / "tools/pyboard.py"), "--device",
             str(board.repl_path()), *map(str, arguments)], capture_output=True, text=True,
            timeout=scaled(60), stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"})

    assert run("-c", "print(6 * 7)").stdout == "42\n"
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('script on', sys.platform)\n")
    assert run(script).stdout == "script on linux\n"
    done = run("-c", "1/0")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stdout + done.stderr
    assert run("-f", "cp", script, ":copied.py").returncode == 0
    assert board.read("copied.py") == script.read_text()
    assert "copied.py" in run("-f", "ls").stdout
    assert run("-f", "cat", ":copied.py").stdout.endswith(script.read_text())
    assert run("-f", "rm", ":copied.py").returncode == 0
    assert not (board.flash / "copied.py").exists()


PYBOARD_DEVICES = {
    "the pty": lambda board: str(board.repl_path()),
    "exec": lambda board: "exec:" + shlex.join(board.ctl_command("repl", "--raw")),
    "execpty": lambda board: f"execpty:readlink {board.repl_path()}",
}


@item("M43")
@pytest.mark.parametrize("device", PYBOARD_DEVICES)
def test_M43_pyboard_as_a_module(board, device):
    """Its targets; get_time() takes machine as given."""
    code = ("import pyboard, sys\np = pyboard.Pyboard(sys.argv[1])\np.enter_raw_repl()\n"
            "p.exec_('__import__(\"machine\").RTC().datetime((2033, 5, 17, 1, 23, 4, 5, 0))')\n"
            "print(p.get_time(), p.eval('6 * 7'))\n"
            "try:\n    p.exec_('1/0')\nexcept pyboard.PyboardError as e:\n    print(e.args[2].decode())\n"
            "p.exit_raw_repl()\np.close()\n")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", code, PYBOARD_DEVICES[device](board)], capture_output=True, text=True,
        timeout=scaled(60), stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(micropython_dir() / "tools")})
    assert done.returncode == 0, done
    time_of_day, answer, error = done.stdout.split(maxsplit=2)
    assert 0 <= int(time_of_day) - (23 * 3600 + 4 * 60 + 5) < scaled(20) and answer == "b'42'"
    assert error.rstrip().endswith("ZeroDivisionError: divide by zero")


SCRIPTS = sorted(p.name for p in (micropython_dir() / "tools/mpremote/tests").glob("test_*.sh"))


@item("M44", "holds, but for the last line of test_resume.sh: a command after `disconnect` looks for a board by its "
             "USB ids, which no pty has (M2)")
@pytest.mark.parametrize("script", SCRIPTS)
def test_M44_mpremotes_own_tests(board, tmp_path, script):
    directory = micropython_dir() / "tools/mpremote/tests"
    program = f"/usr/bin/python3 -m mpremote connect {board.repl_path()}"
    done = subprocess.run(["bash", str(directory / script)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=scaled(120),
                          env={**mpremote_environ(board), "MPREMOTE": program, "TMP": str(tmp_path)})
    said = done.stdout.decode().replace("\r", "").replace(str(tmp_path), "${TMP}")
    expected = (directory / f"{script}.exp").read_text()
    if script == "test_resume.sh":
        # After disconnect its last command looks for a board by its USB ids, which no pty has (M2).
        assert said == expected.removesuffix("5\n") + "mpremote: no device found\n"
        return
    assert said == expected
    assert done.returncode == 0


# ---- Thonny ----


@pytest.fixture
def thonny_common():
    if not os.path.isdir(THONNY):
        pytest.skip("Thonny is not installed")
    sys.path.append("/usr/lib/python3/dist-packages")
    import thonny.common
    yield thonny.common
    sys.path.remove("/usr/lib/python3/dist-packages")


class Thonny:
    """Its MicroPython back-end, a process of its own, spoken to as its window does."""

    def __init__(self, common, board):
        arguments = {"clean": False, "port": str(board.repl_path()), "dtr": None, "rts": None,
                     "submit_mode": None, "interrupt_on_connect": True, "write_block_size": None,
                     "write_block_delay": None, "proxy_class": "GenericBareMetalMicroPythonProxy",
                     "sync_time": False, "local_rtc": True, "utc_clock": False}
        self.log = board.dir / "thonny/backend.log"
        self.log.parent.mkdir()
        self.common = common
        self.messages = queue.Queue()
        self.output = ""
        self.number = 0
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-m", "thonny.plugins.micropython.bare_metal_backend",
             repr(arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=board.dir, env={**os.environ, "THONNY_USER_DIR": str(board.dir / "thonny"),
                                "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""})
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            if line[0] == self.common.MESSAGE_MARKER:
                for _ in range(int(line[1:line.index(" ")]) - 1):
                    line += self.process.stdout.readline()
                self.messages.put(self.common.parse_message(line))
        self.messages.put(None)

    def send(self, command):
        self.process.stdin.write(self.common.serialize_message(command) + "\n")
        self.process.stdin.flush()

    def wait(self, condition):
        while True:
            message = self.messages.get(timeout=scaled(30))
            assert message is not None, f"the back-end ended: {self.output}{self.log.read_text()}"
            if message.get("event_type") == "ProgramOutput":
                self.output += message["data"]
            if condition(message):
                return message

    def prompt(self):
        """Up to the next prompt; what the program printed meanwhile."""
        message = self.wait(lambda m: isinstance(m, self.common.ToplevelResponse))
        said, self.output = self.output, ""
        return said + (message.get("welcome_text") or "")

    def printed(self, text):
        if text not in self.output:
            self.wait(lambda m: text in self.output)

    def run(self, source):
        self.send(self.common.ToplevelCommand("execute_source", source=source))
        return self.prompt()

    def inline(self, name, **arguments):
        self.number += 1
        self.send(self.common.InlineCommand(name, id=str(self.number), **arguments))
        answer = self.wait(lambda m: isinstance(m, self.common.InlineResponse)
                           and m["command_name"] == name)
        assert "error" not in answer, answer
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(scaled(10))
        self.thread.join(scaled(5))


def test_thonny(board, thonny_common):
    t = Thonny(thonny_common, board)
    try:
        welcome = t.prompt()
        assert "MicroPython v1.25" in welcome
        said = t.run("print('from Thonny')\n6 * 7")  # Thonny makes a link of the value
        assert said.startswith("from Thonny\r\n") and "]42[/object_link_for_thonny]" in said
        # Save, list, load.
        content = "print('saved by Thonny')\n".encode() + bytes(range(256))
        t.inline("write_file", path="/saved.py", content_bytes=content, editor_id=1,
                 make_shebang_scripts_executable=False)
        assert (board.flash / "saved.py").read_bytes() == content
        listed = t.inline("get_dirs_children_info", paths=["/"], include_hidden=True, node_id="")
        assert listed["data"]["/"]["saved.py"]["size"] == len(content)
        assert t.inline("read_file", path="/saved.py")["content_bytes"] == content
        # Run, and stop what does not end.
        t.send(thonny_common.ToplevelCommand("Run", source="x = 1\nprint('runs', x)\n"))
        assert "runs 1" in t.prompt()
        t.send(thonny_common.ToplevelCommand(
            "execute_source", source="import time\nprint('endless')\nwhile True: time.sleep(1)"))
        t.printed("endless")
        t.send(thonny_common.ImmediateCommand("interrupt"))
        assert "KeyboardInterrupt" in t.prompt()
        # Soft reboot.
        resets = board.get("SoftResets")
        t.send(thonny_common.EOFCommand())
        assert "MicroPython v1.25" in t.prompt()
        assert board.get("SoftResets") == resets + 1
        assert t.run("print('x' in globals())") == "False\r\n"
    finally:
        t.close()
