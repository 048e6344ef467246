# SPDX-License-Identifier: MIT
"""Files that somebody else has copied onto the flash, readable for the board and not writable: it writes to them as
on any board."""
import os
import pathlib
import stat

import pytest

if os.geteuid() != 0:
    pytest.skip("needs files of somebody else: root", allow_module_level=True)


@pytest.fixture
def owned(boards):
    """A board, and root's files on its flash, as scp by root leaves them."""
    b = boards({"main.py": "x = 1\n"})
    b.wait_state("idle")

    def put(name, content, mode=0o644):
        path = b.flash / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        os.chown(path, 0, 0)
        return path
    return b, put, b.raw()


def run(repl, code):
    out, error = repl.exec_raw(code)
    return out.replace("\r\n", "\n"), error


@pytest.mark.parametrize("mode, text, result", [
    ("w", "new", "new"), ("a", " more", "old content more"), ("r+", "OLD", "OLD content"), ("w+", "", "")])
def test_a_file_of_root_is_written_to(owned, mode, text, result):
    b, put, repl = owned
    path = put("config.json", "old content", 0o745)
    assert run(repl, f"with open('config.json', {mode!r}) as f: f.write({text!r})") == ("", "")
    assert path.read_text() == result
    st = path.stat()
    assert st.st_uid != 0 and stat.S_IMODE(st.st_mode) & 0o770 == 0o760
    assert sorted(os.listdir(b.flash)) == ["config.json", "main.py"]


def test_a_large_one_is_copied_whole(owned):
    b, put, repl = owned
    content = "".join(f"{n:07}\n" for n in range(50000))
    path = put("data.csv", content)
    assert run(repl, "with open('data.csv', 'a') as f: f.write('end\\n')") == ("", "")
    assert path.read_text() == content + "end\n"


def test_reading_leaves_it_alone(owned):
    b, put, repl = owned
    path = put("data", "text")
    assert run(repl, "print(open('data').read())") == ("text\n", "")
    assert path.stat().st_uid == 0


def test_what_is_not_to_be_replaced(owned):
    """Links and files with several names, what the board may not read, what is in a directory that is not its to
    write to: refused, and unchanged."""
    b, put, repl = owned
    put("target", "kept")
    (b.flash / "link").symlink_to("target")
    put("first", "kept")
    os.link(b.flash / "first", b.flash / "second")
    put("secret", "kept", 0o600)
    put("closed/file", "kept")
    (b.flash / "closed").chmod(0o755)
    os.chown(b.flash / "closed", 0, 0)
    before = sorted(os.listdir(b.flash))
    for name in ("link", "first", "second", "secret", "closed/file"):
        for mode in ("w", "a", "r+"):
            out, error = run(repl, f"open({name!r}, {mode!r})")
            assert "EACCES" in error, (name, mode, out, error)
    for name in ("target", "first", "second", "secret", "closed/file"):
        assert (b.flash / name).read_text() == "kept" and (b.flash / name).stat().st_uid == 0
    for mode in ("w", "a", "x"):  # a new file there: the directory says no, it is not that there were none
        assert "EACCES" in run(repl, f"open('closed/new', {mode!r})")[1], mode
    assert sorted(os.listdir(b.flash)) == before
    assert "EEXIST" in run(repl, "open('target', 'x')")[1]


def test_no_room_in_the_quota(boards):
    """The board's own by then, but not longer."""
    b = boards({"main.py": "x = 1\n"}, config={"board": {"flash-quota": "64K"}})
    b.wait_state("idle")
    path = b.flash / "data"
    path.write_bytes(bytes(50000))
    os.chown(path, 0, 0)
    path.chmod(0o644)
    repl = b.raw()
    assert "ENOSPC" in run(repl, "f = open('data', 'ab')\nf.write(bytes(20000))")[1]
    assert path.read_bytes() == bytes(50000)


def test_no_room_for_the_copy(boards):
    """A disk that is full, of the daemon's own mount namespace: the file stays as it was, and nothing of the copy."""
    b = boards(start=False)
    b.flash.mkdir(parents=True, exist_ok=True)
    command = b.command
    b.command = lambda: ["unshare", "--mount", "sh", "-c",
                         f'mount -t tmpfs -o size=128k,mode=0777 tmpfs {b.flash} && exec "$@"', "sh", *command()]
    b.start()
    b.wait_state("idle")
    seen = pathlib.Path(f"/proc/{b.pid}/root{b.flash}")
    content = bytes(range(256)) * 350  # 87.5 KiB
    (seen / "data").write_bytes(content)
    (seen / "data").chmod(0o644)
    repl = b.raw()
    before = sorted(os.listdir(seen))
    for mode in ("a", "r+"):
        assert "ENOSPC" in run(repl, f"open('data', {mode!r})")[1]
    assert (seen / "data").read_bytes() == content and (seen / "data").stat().st_uid == 0
    assert sorted(os.listdir(seen)) == before
    assert run(repl, "open('data', 'w').write('x')") == ("", "")  # for that nothing is copied
    assert (seen / "data").read_text() == "x"
