# SPDX-License-Identifier: MIT
"""The board's files by mpyctl, without the board's help: each verb, whatever state the VM is in, whatever
is on the flash, and over -H."""
import json
import os
import pathlib
import pty
import re
import select
import signal
import stat
import subprocess
import threading
import time

import pytest

from mpydtest import mpyctl_program, timeout
from mpydtest import test_module as built
from mpydtest.paths import SOURCE

OK, FAILURE, NOT_RUNNING, PERMISSION, NOT_FOUND, USAGE = 0, 2, 3, 4, 9, 64
HANG = "while True:\n    try:\n        while True: pass\n    except: pass\n"


def ctl(b, *args, code=OK, data=None, environ=None):
    """Runs mpyctl to its end with bytes on both sides; stdout."""
    done = subprocess.run([str(mpyctl_program()), "--run-dir", str(b.run_dir), "--state-dir",
                           str(b.state_dir), *args], input=data or b"", capture_output=True,
                          env={**os.environ, **(environ or {})}, timeout=timeout(60))
    assert done.returncode == code, (args, done)
    return done.stdout if code == OK else done.stderr.decode()


def names(b, path=":"):
    return [e["name"] for e in json.loads(ctl(b, "--json", "ls", path))]


def temporaries(b):
    return [p for p in b.flash.rglob("*") if p.name.startswith(".mpyctl-")]


def written(b, pid):
    """How much a process has put into files of the flash that are not in their place yet."""
    size = 0
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if re.match(re.escape(str(b.flash)) + r"/(#|\.mpyctl-)", os.readlink(fd)):
                size += fd.stat().st_size
        except OSError:  # closed meanwhile
            pass
    return size


@pytest.fixture
def hung(boards):
    """Files below a program that nothing but SIGKILL ends."""
    b = boards({"main.py": HANG, "lib/pump.py": "on = True\n", "log.csv": "1,2\n"})
    b.wait_state("running")
    yield b
    assert b.get("HardResets") == 1 and b.get("State") == "running"  # nobody disturbed it


def test_looking_at_files_while_the_program_hangs(hung):
    assert names(hung) == ["lib", "log.csv", "main.py"]
    entries = {e["name"]: e for e in json.loads(ctl(hung, "--json", "ls"))}
    assert entries["lib"]["type"] == "directory"
    assert (entries["log.csv"]["type"], entries["log.csv"]["size"]) == ("file", 4)
    assert abs(entries["log.csv"]["modified_usec"] / 1e6 - time.time()) < timeout(60)
    out = ctl(hung, "ls").decode().splitlines()
    assert re.fullmatch(r" +4  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  log\.csv", out[1])
    assert out[0].endswith("  lib/")
    assert ctl(hung, "ls", ":log.csv").decode().endswith("log.csv\n")
    assert ctl(hung, "ls", "-la").decode().splitlines() == out
    assert ctl(hung, "tree").decode() == "lib/\n  pump.py\nlog.csv\nmain.py\n"
    assert ctl(hung, "cat", ":log.csv", "lib/pump.py") == b"1,2\non = True\n"
    space = json.loads(ctl(hung, "--json", "df"))
    assert space["total"] >= space["used"] > 0 and space["available"] > 0
    assert re.fullmatch(r"[\d.]+ \w+ of [\d.]+ \w+ used, [\d.]+ \w+ free\n", ctl(hung, "df").decode())


def test_changing_files_while_the_program_hangs(hung, tmp_path):
    (tmp_path / "new.py").write_bytes(b"\x00\xff" * 70000)
    ctl(hung, "cp", str(tmp_path / "new.py"), ":")
    assert (hung.flash / "new.py").read_bytes() == b"\x00\xff" * 70000
    ctl(hung, "cp", str(tmp_path / "new.py"), ":lib/other.py")
    assert (hung.flash / "lib/other.py").stat().st_size == 140000
    ctl(hung, "cp", ":new.py", str(tmp_path / "back"))
    ctl(hung, "cp", ":lib/other.py", ":lib/third.py")
    assert (tmp_path / "back").read_bytes() == (hung.flash / "lib/third.py").read_bytes()
    ctl(hung, "mkdir", ":data")
    ctl(hung, "mkdir", ":data", code=FAILURE)
    ctl(hung, "mkdir", "-p", ":data/a//b/", ":data")
    ctl(hung, "mv", ":new.py", ":data/a/renamed.py")
    ctl(hung, "mv", ":lib/other.py", ":lib/third.py", ":data")
    assert names(hung, ":data") == ["a", "other.py", "third.py"]
    assert names(hung, ":data/a") == ["b", "renamed.py"]
    ctl(hung, "touch", ":empty", ":log.csv")
    assert (hung.flash / "empty").read_bytes() == b"" and hung.read("log.csv") == "1,2\n"
    assert "directories: -r" in ctl(hung, "rm", ":data", code=FAILURE)
    ctl(hung, "rm", "-r", ":data", ":empty")
    assert names(hung) == ["lib", "log.csv", "main.py"] and temporaries(hung) == []


def test_trees(boards, tmp_path):
    b = boards({"boot.py": ""})  # a flash that is not new: nothing is put there at boot
    for name in ("app/__init__.py", "app/sub/deep.py", "app/sub/data.bin"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert "directories: -r" in ctl(b, "cp", str(tmp_path / "app"), ":", code=FAILURE)
    ctl(b, "cp", "-r", str(tmp_path / "app"), ":")
    ctl(b, "cp", "-r", str(tmp_path / "app"), ":")  # over what is there
    assert ctl(b, "tree").decode() == "app/\n  __init__.py\n  sub/\n    data.bin\n    deep.py\nboot.py\n"
    ctl(b, "cp", "-r", ":app", ":copy")
    ctl(b, "cp", "-r", ":", str(tmp_path / "backup"))
    assert (tmp_path / "backup/copy/sub/deep.py").read_text() == "app/sub/deep.py"
    assert "into itself" in ctl(b, "cp", "-r", ":app", ":app/sub", code=USAGE)
    before = ctl(b, "tree")
    for source, target in ((":/app", ":app/sub"), (":./app", ":app/new"), (":", ":backup"), (":", ":app"),
                           (":", str(b.flash)), (":app", str(b.flash / "app/sub")),
                           (str(b.flash / "app"), ":app/sub")):
        assert "into itself" in ctl(b, "cp", "-r", source, target, code=USAGE), (source, target)
    assert ctl(b, "tree") == before


def test_a_file_is_not_copied_onto_itself(boards):
    b = boards({"main.py": "print('kept')\n"})
    for target in (str(b.flash), str(b.flash / "main.py")):
        assert "the very file" in ctl(b, "cp", ":main.py", target, code=FAILURE)
        assert b.read("main.py") == "print('kept')\n"
    ctl(b, "cp", str(b.flash / "main.py"), ":main.py")
    ctl(b, "cp", ":main.py", ":main.py")
    assert b.read("main.py") == "print('kept')\n"


def test_streams(boards):
    b = boards()
    data = os.urandom(300000)
    ctl(b, "cp", "-", ":stream.bin", data=data)
    assert (b.flash / "stream.bin").read_bytes() == data
    assert ctl(b, "cp", ":stream.bin", "-") == data == ctl(b, "cat", ":stream.bin")
    assert "has no name" in ctl(b, "cp", "-", ":", code=USAGE)
    ctl(b, "cp", "--name", "named", "-", ":", data=b"x")
    assert b.read("named") == "x"


def test_the_board_may_rewrite_what_was_copied_in(boards, tmp_path):
    """Owner and group are the board's, whatever the mask of who copies; a mode that was set stays."""
    b = boards({"run.py": "1\n"})
    (b.flash / "run.py").chmod(0o640)
    (tmp_path / "f").write_text("from outside")
    old = os.umask(0o077)
    try:
        ctl(b, "cp", str(tmp_path / "f"), ":mine.txt")
        ctl(b, "cp", str(tmp_path / "f"), ":run.py")
        ctl(b, "mkdir", ":dir")
        ctl(b, "touch", ":dir/empty")
    finally:
        os.umask(old)
    owner = b.flash.stat()
    for name in ("mine.txt", "dir", "dir/empty", "run.py"):
        st = (b.flash / name).stat()
        assert (st.st_uid, st.st_gid) == (owner.st_uid, owner.st_gid), name
    assert stat.S_IMODE((b.flash / "mine.txt").stat().st_mode) == 0o660
    assert stat.S_IMODE((b.flash / "run.py").stat().st_mode) == 0o640
    assert stat.S_IMODE((b.flash / "dir").stat().st_mode) & 0o770 == 0o770


@pytest.mark.skipif(os.geteuid() != 0, reason="a board of its own user takes root")
def test_a_board_of_its_own_user_rewrites_them(boards, tmp_path):
    b = boards(files=None)  # mpyd makes the flash, for that user
    b.wait_state("idle")
    (tmp_path / "f").write_text("from outside")
    ctl(b, "cp", str(tmp_path / "f"), ":mine.txt")
    ctl(b, "mkdir", ":dir")
    repl = b.friendly()
    assert repl.line("f = open('/mine.txt', 'a'); n = f.write(' and inside'); f.close()") == ""
    assert repl.line("f = open('/dir/own', 'w'); f.close()") == ""
    assert ctl(b, "cat", ":mine.txt") == b"from outside and inside"


def test_a_file_is_replaced_in_one_step(boards):
    """Who reads meanwhile finds the old or the new one whole; an mpyctl that is killed leaves the old, and nothing
    else."""
    b = boards({"big": "0" * 500000})
    seen, stop = set(), threading.Event()

    def look():
        while not stop.is_set():
            content = (b.flash / "big").read_bytes()
            seen.add((len(content), content[:1], content[-1:]))

    watcher = threading.Thread(target=look)
    watcher.start()
    for n in range(1, 9):
        ctl(b, "cp", "-", ":big", data=str(n).encode() * 500000)
    stop.set()
    watcher.join()
    assert seen <= {(500000, str(n).encode(), str(n).encode()) for n in range(9)}

    p = subprocess.Popen([str(mpyctl_program()), "--run-dir", str(b.run_dir), "cp", "-", ":big"],
                         stdin=subprocess.PIPE)
    p.stdin.write(b"x" * 100000)
    p.stdin.flush()
    deadline = time.monotonic() + timeout(20)
    while not written(b, p.pid):
        assert time.monotonic() < deadline
    p.send_signal(signal.SIGKILL)
    p.wait()
    p.stdin.close()
    assert b.read("big") == "8" * 500000
    try:
        os.close(os.open(b.flash, os.O_TMPFILE | os.O_WRONLY))
    except OSError:
        return  # a file system on which each file has a name
    assert [x.name for x in b.flash.iterdir()] == ["big"]


@pytest.mark.parametrize("disk", ["", "named", "no-rename", "named no-rename"])
def test_a_copy_on_any_disk(boards, tmp_path, disk):
    """Also where no file can be without a name; and a last step that fails leaves the old one, and nothing else."""
    b = boards({"log.csv": "old"})
    (tmp_path / "mode").write_text(disk)
    faulty = {"FAULTY_DISK_MODE": str(tmp_path / "mode"), "LD_PRELOAD": str(built("faulty-disk.so")),
              "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    fails = "no-rename" in disk
    error = ctl(b, "cp", "-", ":log.csv", data=b"new", code=FAILURE if fails else OK, environ=faulty)
    assert not fails or "Input/output error" in error
    assert b.read("log.csv") == ("old" if fails else "new")
    assert [p.name for p in b.flash.iterdir()] == ["log.csv"]


def test_nothing_leads_out_of_the_flash(boards, tmp_path):
    b = boards({"in.txt": "inside"})
    secret = tmp_path / "secret"
    secret.write_text("outside")
    (b.flash / "way-out").symlink_to(secret)
    (b.flash / "up").symlink_to("../../..")
    (b.flash / "sneak").symlink_to("/proc/self/cwd")
    (b.flash / "sys").symlink_to("/etc")
    (b.flash / "loop").symlink_to("/loop")
    (b.flash / "back").symlink_to("/in.txt")  # / is the flash
    os.mkfifo(b.flash / "fifo")
    ctl(b, "cat", ":loop", code=FAILURE)
    for path in (":way-out", ":sys/passwd", ":../../../../etc/passwd", ":sneak/secret",
                 f":up/{secret}", ":fifo", ":up/etc/passwd"):
        ctl(b, "cat", path, code=NOT_FOUND)
    assert ctl(b, "cat", ":back") == b"inside" == ctl(b, "cat", ":up/in.txt")
    assert names(b) == ["back", "in.txt", "up"]
    # Written is the name on the flash, never what a link points to.
    ctl(b, "cp", "-", ":way-out", data=b"new")
    assert secret.read_text() == "outside" and (b.flash / "way-out").read_bytes() == b"new"
    ctl(b, "cp", "-", ":../../escaped", data=b"x")
    assert (b.flash / "escaped").exists()
    (b.flash / "dir").mkdir()
    (b.flash / "dir/link").symlink_to(tmp_path)
    ctl(b, "rm", "-r", ":dir", ":sys")
    assert secret.exists() and os.path.exists("/etc/passwd")
    for path in (":", ":/", ":///"):
        assert "busy" in ctl(b, "rm", "-r", path, code=FAILURE).lower()
    assert b.flash.is_dir()


def test_hostile_names_are_shown_safely(boards):
    b = boards()
    (b.flash / "\x1b[2Jred\nline").write_text("x")
    open(os.fsencode(b.flash) + b"/\xff\xfe", "w").close()
    (b.flash / "a\u009b31mb").write_text("x")
    for out in (ctl(b, "ls"), ctl(b, "tree"), ctl(b, "--json", "ls")):
        text = out.decode()  # valid UTF-8
        assert "\x1b" not in text and "\u009b" not in text and "red\nline" not in text
    assert "?[2Jred line" in ctl(b, "ls").decode()
    assert "\x1b[2Jred\nline" in names(b)  # JSON can say it
    assert "\x1b" not in ctl(b, "cat", ":\x1b[2J", code=NOT_FOUND)
    ctl(b, "rm", ":\x1b[2Jred\nline", ":a\u009b31mb")
    assert len(names(b)) == 1


def test_mistakes(boards, tmp_path):
    b = boards({"a": "1", "d/x": "1"})
    assert "no such file" in ctl(b, "cat", ":nothing", code=NOT_FOUND).lower()
    directory = ctl(b, "cat", ":d", code=FAILURE)
    assert "is a directory" in directory.lower() and "mpyctl ls" in directory
    ctl(b, "ls", ":nothing", code=NOT_FOUND)
    ctl(b, "rm", ":nothing", code=NOT_FOUND)
    ctl(b, "mv", ":nothing", ":a", code=NOT_FOUND)
    assert "-p makes" in ctl(b, "mkdir", ":no/such", code=NOT_FOUND)
    assert "Not a directory" in ctl(b, "cp", ":a", ":none/", code=NOT_FOUND)  # the slash says so
    assert "takes files" in ctl(b, "cp", "-r", ":d", "-", code=USAGE) and not os.path.exists("-")
    ctl(b, "rm", "-r", ":", code=FAILURE)
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(mpyctl_program()), "--run-dir", str(b.run_dir), "cat", ":a"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == FAILURE and "write what :a holds: No space left" in done.stderr
    assert "into itself" in ctl(b, "mv", ":d", ":d/e", code=FAILURE)
    assert names(b) == ["a", "d"]
    ctl(b, "cp", str(tmp_path / "nothing"), ":", code=NOT_FOUND)
    ctl(b, "cp", ":a", ":d/x", ":nothing", code=NOT_FOUND)
    assert "begin with a colon" in ctl(b, "cp", "a", "b", code=USAGE)
    assert "no JSON" in ctl(b, "--json", "cat", ":a", code=USAGE)
    for verb in ("cat", "rm", "cp", "mv", "mkdir", "touch", "run"):
        ctl(b, verb, code=USAGE)
    for verb in ("ls", "cat", "cp", "rm", "mkdir", "tree", "df", "touch", "mv", "run"):
        text = ctl(b, verb, "--help").decode()
        assert text.startswith(f"Usage: mpyctl {verb}") and "Exit codes:" in text
        assert max(map(len, text.splitlines())) <= 100


def test_a_full_disk_is_told_and_leaves_the_old_file(boards):
    b = boards({"keep": "old"})
    done = subprocess.run(["sh", "-c", 'ulimit -f 8; trap "" XFSZ; exec "$@"', "sh",
                           str(mpyctl_program()), "--run-dir", str(b.run_dir), "cp", "/dev/zero",
                           ":keep"], capture_output=True, text=True, timeout=timeout(60))
    assert done.returncode == FAILURE and "Failed to" in done.stderr, done
    assert b.read("keep") == "old" and temporaries(b) == []


def test_without_mpyd(boards):
    b = boards({"a": "1"})
    b.wait_state("idle")
    assert b.stop() == 0
    assert names(b) == ["a"]
    ctl(b, "cp", "-", ":b", data=b"2")
    assert ctl(b, "cat", ":a", ":b") == b"12"
    done = subprocess.run([mpyctl_program(), "--run-dir", "/nonexistent", "--state-dir", "/nonexistent",
                           "ls"], capture_output=True, text=True)
    assert done.returncode == NOT_RUNNING and "--state-dir" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="to be somebody else takes root")
def test_only_who_may_change_things_gets_the_files(boards):
    b = boards({"a": "1"})
    done = subprocess.run(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups",
                           str(mpyctl_program()), "--run-dir", str(b.run_dir), "cat", ":a"],
                          capture_output=True, text=True, timeout=timeout(60))
    assert done.returncode == PERMISSION and done.stdout == "", done


# ---- edit ----

def edit(b, path, editor, code=OK):
    done = subprocess.run([str(mpyctl_program()), "--run-dir", str(b.run_dir), "edit", path],
                          env={**os.environ, "EDITOR": editor, "VISUAL": ""}, capture_output=True,
                          text=True, timeout=timeout(60))
    assert done.returncode == code, done
    return done.stderr


def test_edit(hung):
    edit(hung, ":log.csv", "sed -i s/2/3/")
    assert hung.read("log.csv") == "1,3\n"
    edit(hung, ":lib/new.py", "sh -c 'echo x = 1 > \"$1\"' sh")
    assert hung.read("lib/new.py") == "x = 1\n"
    assert "Nothing was changed" in edit(hung, ":log.csv", "true")
    assert "Nothing was changed" in edit(hung, ":not-made.py", "true")
    assert "did not end well" in edit(hung, ":log.csv", "false", code=FAILURE)
    assert "left no file" in edit(hung, ":log.csv", "rm", code=FAILURE)
    assert "did not end well" in edit(hung, ":log.csv", "/nonexistent/editor", code=FAILURE)
    edit(hung, ":lib", "true", code=FAILURE)
    edit(hung, ":no/such", "true", code=NOT_FOUND)
    assert hung.read("log.csv") == "1,3\n" and names(hung) == ["lib", "log.csv", "main.py"]


def test_what_cannot_be_edited(boards):
    b = boards({"a.py": "old\n", "lib/b.py": ""})
    for path in ":", "://", ":.", ":lib/..":
        told = edit(b, path, "true", code=FAILURE)
        assert "Is a directory" in told and "factory-reset" not in told and "-r" not in told
    assert "factory-reset" in b.ctl("rm", "-r", ":", check=False).stderr
    told = edit(b, ":a.py", "", code=USAGE)
    assert "no terminal" in told and "VISUAL" in told


def test_edit_does_not_overwrite_what_somebody_else_wrote(boards):
    b = boards({"a.py": "old\n"})
    told = edit(b, ":a.py", f"sh -c 'echo mine > \"$1\"; echo theirs > {b.flash}/a.py' sh",
                code=FAILURE)
    assert b.read("a.py") == "theirs\n" and "changed by somebody else" in told
    kept = re.search(r"mpyctl cp (\S+) :a.py", told)[1]
    with open(kept) as f:
        assert f.read() == "mine\n"
    os.unlink(kept)
    os.rmdir(os.path.dirname(kept))


# ---- run ----

def test_run(boards, tmp_path):
    b = boards({"main.py": "started = True\n"})
    b.wait_state("idle")
    script = tmp_path / "job.py"
    script.write_text("import sys\nprint('begun')\nprint('here', 'main' in sys.modules)\n")
    assert ctl(b, "run", str(script)) == b"begun\nhere False\n"
    script.write_text("print('before')\nraise ValueError('no')\n")
    assert "ValueError: no" in ctl(b, "run", str(script), code=1)
    ctl(b, "run", str(tmp_path / "nothing.py"), code=NOT_FOUND)
    script.write_text("print('a\x04b')\n")
    assert "Ctrl-D" in ctl(b, "run", str(script), code=FAILURE)
    script.write_text("x = 1\n")
    before = b.get("SoftResets")
    ctl(b, "run", "--restart", str(script))
    b.wait(lambda p: p["SoftResets"] == before + 2 and p["State"] == "idle")
    assert b.friendly().line("started") == "True\r\n"


def test_run_streams_its_output(boards, tmp_path):
    b = boards()
    b.wait_state("idle")
    script = tmp_path / "slow.py"
    script.write_text("import time\nprint('first')\ntime.sleep(30)\n")
    p = subprocess.Popen([str(mpyctl_program()), "--run-dir", str(b.run_dir), "run", str(script)],
                         stdout=subprocess.PIPE)
    start = time.monotonic()
    assert p.stdout.readline() == b"first\n"
    assert time.monotonic() - start < timeout(20)
    p.send_signal(signal.SIGINT)
    assert p.wait(timeout(20)) == 130
    p.stdout.close()


class Wait:
    """What mpyctl says while a copy is as slow as it takes to see something of it."""

    def __init__(self, terminal):
        self.ours, self.theirs = pty.openpty() if terminal else os.pipe()
        self.terminal = terminal
        self.shown = b""
        self.end = time.monotonic() + timeout(20)

    def a_piece(self, bar):
        """After each piece: a moment for a bar that has not been seen yet."""
        if self.terminal and bar not in self.shown and time.monotonic() < self.end:
            self.read(0.1)

    def read(self, seconds):
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.ours, 65536)
        except OSError:  # a terminal without its other end
            return False
        self.shown += data
        return data != b""

    def close(self):
        while self.read(0):
            pass
        os.close(self.ours)
        return self.shown


PROGRESS = {
    "from the board": ([":big.bin", "slow"], "slow", rb"/?big.bin"),
    "a tree from the board": (["-r", ":lib", "here"], "here/lib/big.bin", rb"/?lib/big.bin"),
    "to the board": (["slow", ":copy.bin"], "slow", rb"slow"),
    "a tree to the board": (["-r", "here", ":"], "here/lib/copy.bin", rb"here/lib/copy.bin"),
}


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize("way", PROGRESS)
def test_progress_of_a_long_copy(boards, tmp_path, way, terminal):
    """A bar for who waits at a terminal, gone when it is done; nothing into a pipe. How much there is to come is told
    where it is known: of a pipe it is not."""
    data = os.urandom(4 << 20)
    b = boards({"big.bin": data, "lib/big.bin": data, "lib/small.py": "1\n"})
    arguments, slow, name = PROGRESS[way]
    (tmp_path / "here/lib").mkdir(parents=True)
    os.mkfifo(tmp_path / slow)
    wait = Wait(terminal)
    p = subprocess.Popen([mpyctl_program(), "--run-dir", str(b.run_dir), "cp", *arguments], stdin=subprocess.DEVNULL,
                         stderr=wait.theirs, cwd=tmp_path, env={k: v for k, v in os.environ.items() if k != "COLUMNS"})
    os.close(wait.theirs)
    if "to" in way.split():
        with open(tmp_path / slow, "wb", buffering=0) as f:
            for at in range(0, len(data), 65536):
                f.write(data[at:at + 65536])
                wait.a_piece(b"iB")
        assert p.wait(timeout(20)) == OK
        copy, = b.flash.rglob("copy.bin")
        assert copy.read_bytes() == data
        bar = name + rb"  [1-9][\d.]+ [KM]iB\x1b\[K"
    else:
        came = b""
        with open(tmp_path / slow, "rb", buffering=0) as f:
            while piece := f.read(65536):
                came += piece
                wait.a_piece(b"%")
        assert p.wait(timeout(20)) == OK and came == data
        bar = name + rb"  \[(?=.{24}\])#*\.+\] +\d\d? %  [\d.]+ [KM]iB\x1b\[K"
    shown = wait.close()
    if terminal:
        assert re.match(bar + rb"\r", shown), shown
        assert shown.endswith(b"\r\x1b[K\r")
    else:
        assert shown == b""


# ---- over -H ----

@pytest.fixture
def far(boards, tmp_path):
    """mpyctl -H: an ssh that runs what it is given here, and where the board is."""
    b = boards({"a.txt": "on the board\n"})
    b.wait_state("idle")
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\nfor a; do last=$a; done\n'
                   f'PATH={mpyctl_program().parent}:$PATH exec sh -c "$last"\n')
    ssh.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    env = {**os.environ, "PATH": f"{ssh.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path / "tmp")}

    def run(*args, code=OK, data=b""):
        done = subprocess.run([mpyctl_program(), "-H", "pi@greenhouse", "--run-dir", str(b.run_dir),
                               *args], input=data, capture_output=True, env=env, timeout=timeout(60),
                              cwd=tmp_path)
        assert done.returncode == code, (args, done)
        assert code != OK or done.stderr == b"", done
        return done.stdout if code == OK else done.stderr.decode()
    run.board, run.env = b, env
    return run


def test_files_over_ssh(far, tmp_path):
    data = os.urandom(200000)
    (tmp_path / "local file.bin").write_bytes(data)
    (tmp_path / "second").write_text("2")
    far("cp", "local file.bin", ":")
    far("cp", "local file.bin", "second", ":")
    assert (far.board.flash / "local file.bin").read_bytes() == data
    assert far.board.read("second") == "2"
    far("cp", "second", ":renamed")
    far("cp", ":local file.bin", "back")
    far("cp", ":a.txt", ":second", ".")
    assert (tmp_path / "back").read_bytes() == data
    assert (tmp_path / "a.txt").read_text() == "on the board\n"
    assert far("cat", ":a.txt") == b"on the board\n" == far("cp", ":a.txt", "-")
    far("cp", "-", ":stdin", data=b"\x00\r\n\xff")
    assert (far.board.flash / "stdin").read_bytes() == b"\x00\r\n\xff"
    far("cp", ":a.txt", ":copy")
    far("mv", ":copy", ":moved")
    assert far.board.read("moved") == "on the board\n"
    far("cp", ":nothing", "gone", code=NOT_FOUND)
    assert not (tmp_path / "gone").exists() and not (tmp_path / "gone.part").exists()
    far("cp", "nothing", ":", code=NOT_FOUND)
    (tmp_path / "dir").mkdir()
    assert "for directories: -r" in far("cp", "dir", ":", code=FAILURE)


def files_below(folder):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def test_a_connection_that_breaks(far, tmp_path):
    """What has come of a file until then is not the file."""
    (tmp_path / "a.txt").write_bytes(os.urandom(300000))
    ssh = tmp_path / "bin/ssh"
    whole = ssh.read_text()
    ssh.write_text(whole.replace("PATH=", "head -c 200000 | PATH=").replace("exec sh", "sh"))
    said = far("cp", "a.txt", ":", code=FAILURE)
    assert said == "mpyctl: Only 195.3 KiB of 293.0 KiB came; :/a.txt is as it was.\n"
    assert far.board.read("a.txt") == "on the board\n" and os.listdir(far.board.flash) == ["a.txt"]
    ssh.write_text(whole.replace("PATH=", "kill -KILL $$; PATH="))
    assert far("cp", "a.txt", ":", code=7) == "" and far.board.read("a.txt") == "on the board\n"
    ssh.write_text(whole.replace("exec sh -c", "sh -c").replace('"$last"', '"$last" | head -c 5; kill -KILL $$'))
    assert far("cp", ":a.txt", "back", code=7) == "" and not list(tmp_path.glob("back*"))
    ssh.write_text(whole)
    assert "Only 5 B of 6 B came" in far("cp", "--size", "6", "-", ":a.txt", data=b"short", code=FAILURE)
    far("cp", "--size", "5", "--name", "named", "-", ":", data=b"short")
    assert far.board.read("named") == "short" and far.board.read("a.txt") == "on the board\n"
    # What there is of a file that another program has begun to read, or that tells another size than it has.
    with open(tmp_path / "a.txt", "rb") as f:
        f.seek(299990)
        done = subprocess.run([mpyctl_program(), "--run-dir", str(far.board.run_dir), "cp", "-", ":rest"], stdin=f,
                              capture_output=True)
    assert (done.returncode, done.stderr) == (OK, b"") and (far.board.flash / "rest").stat().st_size == 10
    for program in far, lambda *arguments, code: ctl(far.board, *arguments, code=code):
        program("cp", "--size", "many", "-", ":a.txt", code=USAGE)
        program("cp", "--size", "5", "a.txt", ":", code=USAGE)


def test_a_message_of_the_other_end_while_a_bar_is_there(far, tmp_path):
    """The bar leaves the cursor where the message begins."""
    (tmp_path / "big.bin").write_bytes(bytes(2 << 20))
    ssh = tmp_path / "bin/ssh"
    ssh.write_text("#!/bin/sh\nhead -c 1000000 >$0.data; sleep 0.7; head -c 500000 >>$0.data\n"
                   "echo No space left. >&2; exit 2\n")
    wait = Wait(True)
    p = subprocess.Popen([mpyctl_program(), "-H", "pi@greenhouse", "--run-dir", str(far.board.run_dir), "cp",
                          "big.bin", ":"], stdin=subprocess.DEVNULL, stderr=wait.theirs, cwd=tmp_path,
                         env={k: v for k, v in far.env.items() if k != "COLUMNS"})
    os.close(wait.theirs)
    assert p.wait(timeout(30)) == FAILURE
    bars = rb"(big.bin  \[[#.]+\] +\d+ %  [\d.]+ [KM]iB\x1b\[K\r)+"
    assert re.fullmatch(bars + rb"No space left.\r\n\x1b\[K\r", wait.close())


@pytest.mark.parametrize("arguments", [["big.bin", ":"], [":/big.bin", "."], ["-r", "lib", ":"], ["-r", ":/lib", "."]],
                         ids=["to the board", "from the board", "a tree to the board", "a tree from the board"])
def test_progress_over_ssh(far, tmp_path, arguments):
    """The bar is drawn at this end, as the other one has no terminal."""
    data = os.urandom(2 << 20)
    for directory in tmp_path, far.board.flash:
        (directory / "lib").mkdir()
        (directory / "big.bin").write_bytes(data)
        (directory / "lib/one.bin").write_bytes(data)
    ssh = tmp_path / "bin/ssh"
    slow = "{ head -c 500000; sleep 0.7; cat; }"
    ssh.write_text(ssh.read_text().replace("PATH=", f"{slow} | PATH=").replace("exec sh", "sh")
                   .replace('"$last"', f'"$last" 2>"$0.errors" | {slow}'))
    wait = Wait(True)
    p = subprocess.Popen([mpyctl_program(), "-H", "pi@greenhouse", "--run-dir", str(far.board.run_dir), "cp", *arguments],
                         stdin=subprocess.DEVNULL, stderr=wait.theirs, cwd=tmp_path,
                         env={k: v for k, v in far.env.items() if k != "COLUMNS"})
    os.close(wait.theirs)
    assert p.wait(timeout(30)) == OK
    shown = wait.close()
    name = arguments[-2].lstrip(":").encode()
    percent = rb"\[#*\.*\] +\d+ %  " if arguments[-2] == "big.bin" else b""
    assert re.fullmatch(rb"(" + name + b"  " + percent + rb"[\d.]+ [KM]iB\x1b\[K\r)+\x1b\[K\r", shown), shown
    assert (tmp_path / "bin/ssh.errors").read_text() == ""
    assert all(path.read_bytes() == data for root in (tmp_path, far.board.flash) for path in root.rglob("*.bin"))


def test_a_bar_for_many_small_files(boards, tmp_path):
    """Together they take long, though none does."""
    b = boards()
    env = {**{k: v for k, v in os.environ.items() if k != "COLUMNS"}, "LD_PRELOAD": str(built("../slow-fsync.so")),
           "SLOW_FSYNC_MS": "3",
           "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    (tmp_path / "lib").mkdir()
    for n in range(300):
        (tmp_path / f"lib/m{n:03d}.py").write_text("x = 1\n")
    wait = Wait(True)
    p = subprocess.Popen([mpyctl_program(), "--run-dir", str(b.run_dir), "cp", "-r", "lib", ":"],
                         stdin=subprocess.DEVNULL, stderr=wait.theirs, cwd=tmp_path, env=env)
    os.close(wait.theirs)
    assert p.wait(timeout(60)) == OK
    shown = wait.close()
    assert re.fullmatch(rb"(lib/m\d\d\d.py  \[#+\] 100 %  6 B\x1b\[K\r)+\x1b\[K\r", shown), shown


def test_trees_over_ssh(far, tmp_path):
    """What cp -r does here it does over -H: names, links, what is there already; and nothing is left at the other
    end."""
    tree = tmp_path / "the lib"
    (tree / "deep/er").mkdir(parents=True)
    (tree / "empty").mkdir()
    (tree / "deep/er/$x 'y'.py").write_bytes(os.urandom(50000))
    (tree / "-n").write_text("a name that looks like an option")
    (tree / "linked").symlink_to("-n")
    expected = files_below(tree)
    assert expected["linked"] == expected["-n"]
    flash = far.board.flash

    far("cp", "-r", "the lib", ":")
    assert files_below(flash / "the lib") == expected
    (flash / "the lib/-n").write_text("old")
    (flash / "the lib/kept").write_text("kept")
    far("cp", "-r", "the lib", ":")  # into what is there
    assert files_below(flash / "the lib") == {**expected, "kept": b"kept"}
    far("cp", "-r", "the lib", ":other")
    assert files_below(flash / "other") == expected
    (flash / "all").mkdir()
    far("cp", "-r", "the lib/.", ":all")
    assert files_below(flash / "all") == expected
    assert (flash / "other/-n").stat().st_uid == flash.stat().st_uid

    far("cp", "-r", ":other", "back")  # a new name
    assert files_below(tmp_path / "back") == expected
    far("cp", "-r", ":other", "back")  # into it
    assert files_below(tmp_path / "back/other") == expected
    far("cp", "-r", ":a.txt", "one.txt")
    assert (tmp_path / "one.txt").read_text() == "on the board\n"
    far("cp", "-r", ":nothing", "gone", code=NOT_FOUND)
    assert not list(tmp_path.glob("gone*"))
    assert "no/such.part" in far("cp", "-r", ":other", "no/such", code=FAILURE)
    far("cp", "-r", "the lib", ":a.txt/below", code=NOT_FOUND)
    assert not list((tmp_path / "tmp").iterdir())


def test_run_over_ssh(far, tmp_path):
    (tmp_path / "job.py").write_text("print(6 * 7)\n")
    assert far("run", "job.py") == b"42\n"
    (tmp_path / "job.py").write_text("raise ValueError('no')\n")
    assert "ValueError: no" in far("run", "--resume", "job.py", code=1)
    far("run", "nothing.py", code=NOT_FOUND)
    # Half a script is another script.
    (tmp_path / "job.py").write_text("print('begins')\n" * 10 + "print('ends')\n")
    ssh = tmp_path / "bin/ssh"
    ssh.write_text(ssh.read_text().replace("PATH=", "head -c 32 | PATH=").replace("exec sh", "sh"))
    resets = far.board.get("SoftResets")
    assert far("run", "job.py", code=FAILURE) == "mpyctl: Only 32 of 174 bytes of the code came; none of it runs.\n"
    assert far.board.get("SoftResets") == resets
    for arguments in ["--size", "many", "-"], ["--size", "5", "print()"]:
        ctl(far.board, "exec", *arguments, code=USAGE)


def complete(board, *words, wordbreaks=True):
    """What bash offers for the last word. Readline makes a word of a colon, where nobody forbids it."""
    script = r"""
. "$1"; shift
compopt() { echo "$*"; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_WORDBREAKS=$BREAKS
_mpyctl; [[ ${#COMPREPLY[@]} == 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
"""
    words = [*map(str, board.ctl_command()), *words]
    if wordbreaks and words[-1].startswith(":") and len(words[-1]) > 1:
        words[-1:] = [":", words[-1][1:]]
    out = subprocess.run(["bash", "-c", script, "bash", SOURCE / "src/ctl/mpyctl.bash-completion", *words],
                         env={**os.environ, "BREAKS": " \t\n\"'><=;|&(" + ":" * wordbreaks}, check=True,
                         capture_output=True, text=True, timeout=timeout(20))
    assert out.stderr == ""
    return out.stdout.splitlines()


def test_completion_offers_the_boards_names(boards):
    b = boards({"main.py": "", "lib/umqtt/simple.py": "", "lib/my file.py": "", "lib/mine.py": ""})
    assert complete(b, "cat", "m") == ["main.py"]
    assert complete(b, "cat", ":m") == ["main.py"]  # the colon is in the line already
    assert complete(b, "cat", ":m", wordbreaks=False) == [":main.py"]
    assert complete(b, "rm", ":") == ["lib/", "main.py"]
    assert complete(b, "rm", ":", wordbreaks=False) == [":lib/", ":main.py"]
    assert complete(b, "ls", "l") == ["-o nospace", "lib/"]
    assert complete(b, "cp", "x.py", ":lib/m") == ["lib/mine.py", r"lib/my\ file.py"]
    assert complete(b, "edit", r"lib/my\ ") == [r"lib/my\ file.py"]
    assert complete(b, "cat", ":lib/umqtt/s") == ["lib/umqtt/simple.py"]
    assert complete(b, "cat", "nothing") == [] == complete(b, "cat", "nowhere/")
    assert complete(b, "-H", "far.example", "cat", "m") == []
    assert "--recursive" in complete(b, "rm", "--")
    b.stop()
    assert complete(b, "cat", "m") == ["main.py"]  # from the state directory
