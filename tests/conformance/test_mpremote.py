# SPDX-License-Identifier: MIT
"""mpremote against the pty, and what it relies on (SPEC 8, M1-M44; S31): the one of the pinned source, and in
tests/system/ once more the older one of Debian 13."""
import ast
import datetime
import hashlib
import os
import select
import termios

import pytest

from mpydtest.items import item

MAIN = {"boot.py": "open('/order.txt', 'a').write('boot ')\n",
        "main.py": "open('/order.txt', 'a').write('main ')\n"}
BUSY = {"main.py": "print('begins')\nwhile True: pass\n"}


@item("S31")
def test_S31_cp_boot_lands_where_boot_looks(board, tmp_path):
    source = tmp_path / "boot.py"
    source.write_text("print('copied boot runs')\n")
    board.mpremote("cp", str(source), ":")
    assert board.read("boot.py") == source.read_text()
    board.hard_reset()
    board.wait_log("copied boot runs")


@item("M1")
def test_M01_pty_takes_termios_calls(board):
    repl = board.friendly()
    attributes = termios.tcgetattr(repl.fd)
    for speed in (termios.B9600, termios.B115200):
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(repl.fd, termios.TCSANOW, attributes)
    assert termios.tcgetattr(repl.fd)[5] == termios.B115200
    repl.sync()


@item("M3")
def test_M03_stable_link(board):
    assert os.readlink(board.repl_path()).startswith("/dev/pts/")
    assert board.get("ConsolePath") == str(board.repl_path())


@item("M4")
def test_M04_entry_sequence(boards):
    b = boards(MAIN)
    repl = b.friendly()
    repl.write(b"\r\x03")
    repl.read_for(0.1)
    repl.write(b"\r\x01")
    repl.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    repl.write(b"\x04")
    repl.read_until(b"soft reboot\r\n")
    repl.read_until(b"raw REPL; CTRL-B to exit\r\n")
    assert b.read("order.txt") == "boot main boot "


@item("M5")
def test_M05_resume_keeps_globals(board):
    board.mpremote("exec", "kept = 41")
    assert board.mpremote("resume", "eval", "kept + 1").stdout == "42\n"
    assert board.get("SoftResets") == 1
    failed = board.mpremote("eval", "kept", check=False)  # it resets first
    assert failed.returncode != 0
    assert "NameError" in failed.stdout + failed.stderr


STATES = {
    "prompt": b"",
    "half a line": b"print('half",
    "continuation": b"for i in range(3):\r  pass",
    "paste": b"\x05while True:\r",
    "running": b"while True: pass\r\r",
    "sleeping": b"import time; time.sleep(60)\r",
    "input": b"input('? ')\r",
    "raw": b"\x01",
    "raw with code": b"\x01while True:",
    "raw running": b"\x01while True: pass\x04",
    "resetting": b"\x04",
}


@item("M6")
@pytest.mark.parametrize("state", STATES)
def test_M06_works_from(boards, state):
    b = boards({"boot.py": "import time\ntime.sleep(0.2)\n"} if state == "resetting" else ())
    repl = b.friendly()
    repl.write(STATES[state])
    if state != "resetting":
        repl.read_for(0.1)
    repl.close()
    assert b.mpremote("eval", "6 * 7").stdout == "42\n"


@item("M6")
@pytest.mark.parametrize("script", ["boot.py", "main.py"])
def test_M06_works_while_a_script_runs(boards, script):
    slow = "import time\ntime.sleep(1)\n" if script == "boot.py" else "while True: pass\n"
    b = boards({script: "print('begins')\n" + slow})
    b.wait_log("begins")
    assert b.mpremote("eval", "6 * 7").stdout == "42\n"


@item("M7")
def test_M07_leaves_a_friendly_prompt(board):
    board.mpremote("exec", "kept = 1")
    repl = board.open_repl()
    repl.sync()
    assert repl.line("kept") == "1\r\n"


@item("M9")
def test_M09_several_commands_in_one_session(board):
    done = board.mpremote("exec", "x = 1", "exec", "x += 1; print(x)", "eval", "x + 1")
    assert done.stdout == "2\n3\n"
    assert board.get("SoftResets") == 1


@item("M10")
def test_M10_raw_paste_handshake(board):
    repl = board.raw()
    repl.write(b"\x05A\x01")
    assert repl.read_until(b"\x01\x80\x00\x01") == b"R\x01\x80\x00\x01"
    repl.write(b"print('pasted')\x04")
    assert repl.read_until(b"\x04>") == b"\x04pasted\r\n\x04\x04>"
    repl.write(b"\x05B\x01")
    assert repl.read_until(b">") == b"R\x00>"
    assert repl.exec_raw("print(1)") == ("1\r\n", "")


@item("M11")
def test_M11_raw_paste_aborts_early(board):
    repl = board.raw()
    out, error = repl.paste_raw("x = = 1\n" + "pass\n" * 2000)
    assert out == "" and "SyntaxError" in error
    assert repl.paste_raw("print(2)") == ("2\r\n", "")
    repl.write(b"\x05A\x01")
    repl.read_until(b"R\x01\x80\x00\x01")
    repl.write(b"print(3)\x03")
    text = repl.read_until(b"\x04>")
    assert b"KeyboardInterrupt" in text
    assert repl.exec_raw("print(4)") == ("4\r\n", "")


@item("M11")
def test_M11_window_is_granted_per_full_window(board):
    repl = board.raw()
    for size in (0, 1, 127, 128, 129, 255, 256, 257, 5000):
        out, error = repl.paste_raw("#" * size + "\nprint(%d)" % size)
        assert (out, error) == (f"{size}\r\n", "")


@item("M12")
def test_M12_plain_raw_mode(board):
    repl = board.raw()
    for piece in ("x = 1\n" * 50, "print(x)"):
        repl.write(piece.encode())
    repl.write(b"\x04")
    assert repl.read_until(b"\x04>") == b"OK1\r\n\x04\x04>"
    repl.write(b"x = 2\x03")  # clears, says nothing
    repl.write(b"print(x)\x04")
    assert repl.read_until(b"\x04>") == b"OK1\r\n\x04\x04>"
    repl.write(b"abc\x01")
    assert repl.read_until(b">") == b"raw REPL; CTRL-B to exit\r\n>"


@item("M13")
def test_M13_output_and_traceback_are_framed(board):
    repl = board.raw()
    out, error = repl.exec_raw("print('before')\n1/0")
    assert out == "before\r\n"
    assert error.startswith("Traceback") and error.endswith("ZeroDivisionError: divide by zero\r\n")
    repl.close()
    done = board.mpremote("resume", "exec", "print('before')\n1/0", check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("before\n")
    assert "ZeroDivisionError: divide by zero" in done.stdout + done.stderr


@item("M14")
def test_M14_long_silence_is_fine(board):
    done = board.mpremote("exec", "import time; time.sleep(11); print('awake')")
    assert done.stdout == "awake\n"


VALUES = ["1 << 100", "-1.5", "b'\\x00\\xff\\'\"'", "'tab\\tquote\\'\"\\u20ac'", "(1,)", "None",
          "[]", "{'a': (True, False)}"]


@item("M15")
def test_M15_eval_gives_literals(board):
    arguments = [a for v in VALUES for a in ("eval", v)]
    lines = board.mpremote(*arguments).stdout.splitlines()
    assert lines == [str(eval(v)) for v in VALUES]


@item("M16")
def test_M16_system_exit_in_raw_exec(board):
    repl = board.raw()
    repl.write(b"print('last'); raise SystemExit\x04")
    text = repl.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    assert text.startswith(b"OKlast\r\n\x04\x04"), text
    assert b"MPY: soft reboot\r\n" in text
    assert b">" not in text[:-1]
    assert repl.exec_raw("print(1)") == ("1\r\n", "")


@item("M17")
def test_M17_large_and_eight_bit_data(board, tmp_path):
    repl = board.open_repl(raw=False)  # the pty is raw without the client's help
    repl.enter_raw()
    repl.send_raw("import sys\n"
                  "n = sys.stdout.buffer.write(bytes(i for i in range(256) if i != 4))\n")
    expected = bytes(i for i in range(256) if i != 4)
    assert repl.read_until(b"\x04") == expected + b"\x04"
    repl.read_until(b">")
    # Bytes that are no key of the line discipline, either way.
    repl.send_raw("import micropython\nmicropython.kbd_intr(-1)\nprint('go')\n"
                  "d = sys.stdin.buffer.read(256)\nmicropython.kbd_intr(3)\n"
                  "print(d == bytes(range(256)))")
    repl.read_until(b"go\r\n")
    repl.write(bytes(range(256)))
    assert repl.read_until(b"\x04") == b"True\r\n\x04"
    repl.read_until(b">")
    repl.close()
    script = tmp_path / "large.py"
    script.write_text("total = 0\n" + "".join(f"total += {i}  # padding {'x' * 40}\n"
                                              for i in range(5000)) + "print(total)\n")
    assert script.stat().st_size > 256 * 1024
    assert board.mpremote("run", str(script)).stdout == f"{sum(range(5000))}\n"


@item("M18")
def test_M18_ls_and_recursive_cp(board, tmp_path):
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "a.txt").write_text("a" * 10)
    (tree / "inner/b.txt").write_text("b" * 20)
    board.mpremote("cp", "-r", str(tree), ":")
    assert board.read("tree/inner/b.txt") == "b" * 20
    listed = [tuple(li.split()) for li in board.mpremote("ls", ":tree").stdout.splitlines()]
    assert sorted(listed[-2:]) == [("0", "inner/"), ("10", "a.txt")]
    back = tmp_path / "back"
    back.mkdir()
    board.mpremote("cp", "-r", ":tree", str(back))
    assert (back / "tree/inner/b.txt").read_text() == "b" * 20
    board.mpremote("cp", "-r", ".", ":", cwd=tree / "inner")  # which makes "./." first
    assert board.read("b.txt") == "b" * 20


@item("M19")
def test_M19_stat_is_a_plain_tuple(board):
    board.put({"x.txt": "12345", "d/y": ""})
    repl = board.friendly()
    text = repl.line("import os; os.stat('/x.txt')")
    values = eval(text)
    assert len(values) == 10 and values[6] == 5 and not values[0] & 0x4000
    assert repl.line("os.stat('/d')[0] & 0x4000") == "16384\r\n"


@item("M20")
def test_M20_cat(board):
    board.put({"x.txt": "one\ntwo\n"})
    assert board.mpremote("cat", ":x.txt").stdout == "one\ntwo\n"


@item("M21")
def test_M21_mkdir_rmdir_rm_touch(board):
    board.mpremote("mkdir", ":d", "+", "touch", ":d/f")
    assert (board.flash / "d/f").read_bytes() == b""
    board.mpremote("rm", ":d/f", "+", "rmdir", ":d")
    assert not (board.flash / "d").exists()
    repl = board.raw()
    for path in (".", "./.", "..", "/", "lib/.."):
        out, error = repl.exec_raw(f"import os\ntry: os.mkdir('lib')\nexcept OSError: pass\nos.mkdir({path!r})")
        assert "EEXIST" in error, (path, out, error)


UNMOUNTS = "import os; os.umount('/')"
ERRORS = {  # what mpremote makes of each errno
    "ENOENT": (["cat", ":missing"], "cat: missing: No such file or directory."),
    "ENOENT in a path": (["mkdir", ":missing/d"], "mkdir: missing/d: No such file or directory."),
    "EISDIR": (["rm", ":d"], "rm: d: Is a directory."),
    "EISDIR by open()": (["cat", ":d"], "cat: d: Is a directory."),
    "EISDIR of cp": (["cp", ":d", "copy"], "cp: -r not specified; omitting directory"),
    "EEXIST": (["mkdir", ":d"], "mkdir: d: File exists."),
    "ENODEV": (["exec", UNMOUNTS, "cat", ":x"], "cat: x: No such file or directory."),
}


@item("M22")
def test_M22_errors_have_names(board, tmp_path):
    board.put({"d/x": "", "x": ""})
    for error, (arguments, says) in ERRORS.items():
        done = board.mpremote(*arguments, check=False, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, f"mpremote: {says}\n"), (error, done)
    out, error = board.raw().exec_raw("open('x')")  # as the last one left it
    assert error.endswith("OSError: [Errno 19] ENODEV\r\n")


RAM_DISK = """\
import os
class Disk:
    data = bytearray(50 * 512)
    def readblocks(self, n, buf):
        buf[:] = self.data[n * 512:n * 512 + len(buf)]
    def writeblocks(self, n, buf):
        self.data[n * 512:n * 512 + len(buf)] = buf
    def ioctl(self, op, arg):
        return {4: 50, 5: 512}.get(op)
disk = Disk()
os.VfsFat.mkfs(disk)
os.mount(disk, '/ram')
open('/ram/x', 'w').close()
"""


@item("M22")
def test_M22_rm_of_a_mount_and_of_the_root(board):
    """EINVAL: rm -r goes on. EPERM: it does not, as it says of the root (mpremote 1.25)."""
    board.put({"d/x": ""})
    done = board.mpremote("exec", RAM_DISK, "rm", "-rv", ":/ram", "+", "ls", ":/ram")
    assert done.stdout == ("rm :/ram\nremoved: '/ram/x'\nskipped: '/ram' (vfs mountpoint)\nls :/ram\n")
    done = board.mpremote("rm", "-r", ":/", check=False)
    assert (done.returncode, done.stderr) == (1, "mpremote: rm -r: cannot remove :/ Operation not permitted\n")
    assert list(board.flash.iterdir()) == []


@item("M23")
def test_M23_cp_skips_what_is_equal(board, tmp_path):
    source = tmp_path / "x.txt"
    source.write_text("same")
    assert "Up to date" not in board.mpremote("cp", str(source), ":").stdout
    assert "Up to date: " in board.mpremote("cp", str(source), ":").stdout
    expected = hashlib.sha256(b"same").hexdigest()
    assert expected in board.mpremote("sha256sum", ":x.txt").stdout


@item("M24")
def test_M24_getcwd(board):
    repl = board.friendly()
    assert repl.line("import os; os.getcwd()") == "'/'\r\n"
    assert repl.line("os.mkdir('d'); os.chdir('d'); os.getcwd()") == "'/d'\r\n"


@item("M25")
def test_M25_df(board):
    """The sizes are those of the host's file system; what else writes to it meanwhile has room between."""
    board.put({"d/x": ""})
    before = os.statvfs(board.flash)
    head, *rows = board.mpremote("df").stdout.splitlines()
    after = os.statvfs(board.flash)
    assert head.split() == ["mount", "size", "used", "avail", "use%"]
    rows = [row.split("\t") for row in rows]
    assert [row[0] for row in rows] == ["", "d"]
    least, most = sorted(v.f_bfree * v.f_frsize for v in (before, after))
    for size, used, free, percent in (map(int, row[1:]) for row in rows):
        assert size == before.f_blocks * before.f_frsize
        assert least - (64 << 20) <= free <= most + (64 << 20)
        assert used == size - free and percent == int(100 * used / size)


@item("M25")
def test_M25_df_of_a_quota(boards):
    b = boards({"x": bytes(300 << 10)}, config={"board": {"flash-quota": "1M"}})
    row = b.mpremote("df").stdout.splitlines()[1].split("\t")
    assert row[0] == "" and int(row[1]) == 1 << 20
    assert 300 << 10 <= int(row[2]) < 400 << 10 and int(row[3]) == (1 << 20) - int(row[2])


@item("M26")
def test_M26_edit(board, tmp_path):
    board.put({"x.txt": "before\n"})
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\necho after > \"$1\"\n")
    editor.chmod(0o755)
    board.mpremote("edit", ":x.txt", environ={"EDITOR": str(editor)})
    assert board.read("x.txt") == "after\n"


@item("M27")
def test_M27_nothing_outside_of_the_flash_is_reached(boards):
    b = boards({"d/x.txt": "inside"})
    (b.dir / "secret").write_text("outside")
    (b.dir / "secret").chmod(0o644)
    os.symlink(b.dir / "secret", b.flash / "absolute")
    os.symlink("../../secret", b.flash / "relative")
    os.symlink("d/x.txt", b.flash / "within")
    repl = b.friendly()
    for path in ("/../secret", "../../secret", "/d/../../../secret", "absolute", "relative",
                 str(b.dir / "secret")):
        assert "OSError" in repl.line(f"open({path!r}).read()"), path
    assert repl.line("open('within').read()") == "'inside'\r\n"
    assert repl.line("import os; os.chdir('/d'); os.chdir('..'); os.getcwd()") == "'/'\r\n"
    repl.line("os.chdir('/d')")
    repl.soft_reset()
    assert repl.line("import os; os.getcwd()") == "'/'\r\n"


@item("M33")
def test_M33_soft_reset_while_mounted(board):
    # The bytes that mpremote's mount waits for after Ctrl-D.
    repl = board.friendly()
    repl.write(b"\x04")
    assert repl.read_until(b"MPY: soft reboot").endswith(b"\r\nMPY: soft reboot")
    assert repl.read_until(b"\nMicroPython ") == b"\r\nMicroPython "


@item("M34")
def test_M34_ctrl_a_at_the_first_prompt(board):
    repl = board.friendly()
    repl.soft_reset()
    repl.write(b"\x01")
    assert repl.read_until(b">") == b"\r\nraw REPL; CTRL-B to exit\r\n>"


@item("M35")
def test_M35_reset(boards):
    b = boards(MAIN)
    b.wait_state("idle")
    b.mpremote("reset")
    b.wait(lambda p: p["HardResets"] == 2 and p["State"] == "idle")
    # mpremote enters with a soft reset and without main.py; then comes a whole boot.
    assert b.read("order.txt") == "boot main boot boot main "
    assert b.get("ResetReason").endswith("SOFTWARE")
    assert b.mpremote("eval", "__import__('machine').reset_cause()").stdout == "5\n"


@item("M35")
def test_M35_nothing_typed_before_the_reset_counts_after_it(board):
    """More than board, pipe, daemon and pty hold, typed while the program does not read."""
    repl = board.raw()
    repl.send_raw("import machine, os, time\nwhile 'go' not in os.listdir(): time.sleep_ms(10)\nmachine.reset()")
    while select.select([], [repl.fd], [], 1)[1]:
        os.write(repl.fd, b"print('typed', 'before')\r" * 100)
    board.put({"go": ""})
    board.wait(lambda p: p["HardResets"] == 2 and p["State"] == "idle")
    repl.write(b"print('typed', 'after')\r")
    text = repl.read_until(b"\ntyped after\r\n>>> ")
    assert b"before" not in text and text.count(b"\n>>> ") == 2, text[-2000:]


@item("M37")
def test_M37_soft_reset(boards):
    b = boards(MAIN)
    b.wait_state("idle")
    b.mpremote("soft-reset")
    assert b.read("order.txt") == "boot main boot "
    assert b.get("SoftResets") == 1 and b.get("HardResets") == 1


@item("M38")
def test_M38_rtc_is_local_time(board):
    """The zone of whoever runs mpremote, which is not the board's."""
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))

    def now():
        return datetime.datetime.now(zone).replace(tzinfo=None)

    start = now()
    board.mpremote("rtc", "--set", environ={"TZ": "XYZ-5:30"})
    values = ast.literal_eval(board.mpremote("rtc").stdout)
    told = datetime.datetime(*values[:3], *values[4:])
    assert start <= told <= now() and len(values) == 8
    assert values[3] == told.weekday()


@item("M38")
def test_M38_microseconds_are_last(board):
    done = board.mpremote("exec", "r = machine.RTC(); r.datetime((2033, 5, 17, 1, 23, 59, 58, 250000)); "
                                  "print(r.datetime())")
    values = ast.literal_eval(done.stdout)
    assert values[:7] == (2033, 5, 17, 1, 23, 59, 58) and 250000 <= values[7] < 1000000


@item("M42")
def test_M42_run_and_no_follow(board, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('runs', __name__)\nkept = 1\n")
    assert board.mpremote("run", str(script)).stdout == "runs __main__\n"
    assert board.mpremote("resume", "eval", "kept").stdout == "1\n"
    board.mpremote("exec", "--no-follow", "import time\nwhile True: time.sleep(1)")
    assert board.get("Stage") == "repl"
    assert board.mpremote("eval", "1").stdout == "1\n"


@item("M42")
def test_M42_run_stops_what_runs(boards, tmp_path):
    b = boards(BUSY)
    b.wait_log("begins")
    script = tmp_path / "script.py"
    script.write_text("print('instead')\n")
    assert b.mpremote("run", str(script)).stdout == "instead\n"

