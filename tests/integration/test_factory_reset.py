# SPDX-License-Identifier: MIT
"""The factory reset: what is on the flash afterwards, where the rest is, and what an interruption leaves
(S65–S67)."""
import json
import os
import random
import signal
import socket
import subprocess
import time

import pytest

from mpydtest import SOURCE
from mpydtest.items import item
from mpydtest.paths import action_program

DEFAULTS = {"boot.py": "# as new\n", "main.py": "print('as new')\n", "lib/helper.py": "x = 1\n"}
OWN = {"main.py": "print('own')\nwhile True: pass\n", "data.txt": "precious", "lib/own.py": "y = 2\n",
       "settings.toml": 'WIFI = "greenhouse"\n'}


@pytest.fixture
def defaults(tmp_path):
    d = tmp_path / "defaults"
    for name, text in DEFAULTS.items():
        (d / name).parent.mkdir(parents=True, exist_ok=True)
        (d / name).write_text(text)
    return d


@pytest.fixture
def board(boards, defaults):
    b = boards(OWN, config={"board": {"defaults": str(defaults)}})
    b.wait_state("running")
    return b


def tree(top):
    return {str(p.relative_to(top)): p.read_text() for p in sorted(top.rglob("*")) if p.is_file()}


def sets(board):
    top = board.state_dir / "before-factory-reset"
    return {p.name: tree(p) for p in top.iterdir()} if top.exists() else {}


def act(board, request, check=True, kill_after=None):
    """mpyd-action alone, as the daemon starts it; its answer. kill_after: seconds, then SIGKILL; no answer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        p = subprocess.Popen([str(action_program()), "--config", str(board.config_file),
                              "--state-dir", str(board.state_dir)], stdin=theirs)
        theirs.close()
        ours.send(json.dumps({"verb": "factory-reset", "state": str(board.state_dir), **request}).encode())
        if kill_after is not None:
            time.sleep(kill_after)
            p.kill()
            p.wait(30)
            return None
        answer = ours.recv(4096).decode()
        assert (p.wait(30) == 0) == (answer.split()[0] == "ok"), answer
    if check:
        assert answer.split()[0] == "ok", answer
    return answer


@item("S65")
def test_S65_files_are_as_new_and_the_former_ones_are_kept(board):
    inode = board.flash.stat().st_ino
    out = board.ctl("factory-reset", "--yes").stdout
    where = board.state_dir / "before-factory-reset" / "1"
    assert "The board was reset (hard, to factory state): HARD_RESET." in out
    assert f"Factory reset done: what was on it is in {where}." in out
    assert tree(board.flash) == DEFAULTS
    assert tree(where) == OWN
    assert board.flash.stat().st_ino == inode  # mounts and open shells stay
    assert not (board.state_dir / "factory-reset").exists()
    board.wait_state("idle")  # the default main.py has run
    repl = board.friendly()
    assert repl.line("x = __import__('helper').x; x") == "1\r\n"  # and its lib is found
    event, = board.events("factory-reset")
    assert "mpyctl" in event["detail"] and str(where) in event["detail"]


def test_owner_and_rights(board):
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    flash = board.flash.stat()
    board.ctl("factory-reset", "--yes")
    for path in board.flash.rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (flash.st_uid, flash.st_gid), path
        assert path.stat().st_mode & 0o777 == (0o775 if path.is_dir() else 0o664), path
    assert (board.state_dir / "before-factory-reset").stat().st_mode & 0o777 == 0o750


def test_keep_config(board):
    board.ctl("factory-reset", "--yes", "--keep-config")
    assert tree(board.flash) == {**DEFAULTS, "settings.toml": OWN["settings.toml"]}
    assert "settings.toml" not in sets(board)["1"]


@item("S65", "holds; what was on it is set aside, `--wipe` erases it; RTC memory is emptied")
def test_S65_wipe(board):
    assert "done: what was on it is erased" in board.ctl("factory-reset", "--yes", "--wipe").stdout
    assert tree(board.flash) == DEFAULTS
    assert sets(board) == {}


@item("S65")
def test_S65_all_is_forgotten(boards, defaults):
    """RTC memory, strikes and safe mode."""
    b = boards({}, config={"board": {"defaults": str(defaults)}, "safe-mode": {"strikes": "1"}})
    repl = b.friendly()
    repl.line("import machine")
    repl.line("machine.RTC().memory(b'secret')")
    repl.close()
    os.kill(b.board_pid(), signal.SIGKILL)
    b.wait(lambda p: p["SafeMode"] == "HARD_FAULT" and p["State"] == "idle", what="safe mode")
    b.ctl("factory-reset", "--yes")
    p = b.wait(lambda p: p["State"] == "idle", what="the board")
    assert (p["SafeMode"], p["Strikes"]) == ("", 0)
    repl = b.friendly()
    repl.line("import machine")
    assert repl.line("machine.RTC().memory()") == "b''\r\n"


def test_three_sets_are_kept(board):
    for i in range(1, 6):
        board.put({"mark.txt": str(i)})
        board.ctl("factory-reset", "--yes")
    assert {n: files["mark.txt"] for n, files in sets(board).items()} == {"3": "3", "4": "4", "5": "5"}


def test_room_is_made_by_the_oldest(board):
    for _ in range(2):
        board.ctl("factory-reset", "--yes")
    assert act(board, {"verb": "make-room"}) == f"ok {board.state_dir}/before-factory-reset/1"
    assert list(sets(board)) == ["2"]
    act(board, {"verb": "make-room"})
    assert act(board, {"verb": "make-room"}, check=False).startswith("failed there is nothing of a factory reset")
    assert not (board.state_dir / "before-factory-reset").exists()


def test_nothing_happens_unasked(board):
    for arguments in ([], ["--wipe"]):
        result = board.ctl("factory-reset", *arguments, check=False)
        assert result.returncode == 64 and "--yes" in result.stderr
    assert tree(board.flash) == OWN


def test_a_marker_asks_for_it_at_the_next_hard_reset(board):
    (board.state_dir / "factory-reset").touch()
    board.ctl("reset", "--soft")
    assert tree(board.flash) == OWN
    board.ctl("reset")
    assert tree(board.flash) == DEFAULTS and sets(board)["1"] == OWN
    board.ctl("reset")
    assert len(sets(board)) == 1  # once


@pytest.mark.parametrize("marker, moved", [
    ("mpyd-factory-reset moving 7 never -\n", True),
    ("mpyd-factory-reset moving 7 never keep-config\n", True),
    ("mpyd-factory-reset filling 7 always -\n", False),
    ("mpyd-factory-reset filling 7 never -\n", False),
])
def test_an_interrupted_one_is_completed_at_the_next_start(board, marker, moved):
    """As a power cut leaves it. What is new on the flash after the move is never taken for old."""
    board.stop()
    old = board.state_dir / "before-factory-reset" / "7"
    old.mkdir(parents=True)
    (old / "main.py").write_text("# moved before the cut\n")
    (board.state_dir / "factory-reset").write_text(marker)
    board.start()
    board.wait_log("Factory reset: asked for by")
    if not moved:  # what is there counts, the defaults only fill up
        assert tree(board.flash) == {**DEFAULTS, **OWN}
        assert sets(board) == ({} if "always" in marker else {"7": {"main.py": "# moved before the cut\n"}})
        return
    kept = {"settings.toml": OWN["settings.toml"]} if "keep-config" in marker else {}
    assert tree(board.flash) == {**DEFAULTS, **kept}
    set7 = sets(board)["7"]
    assert set7["main.py"] == "# moved before the cut\n" and set7["main.py~2"] == OWN["main.py"]  # neither is lost
    assert set7["data.txt"] == "precious"


@item("S66")
@pytest.mark.parametrize("flash", ["missing", "a file", "a dangling link"])
def test_S66_a_broken_flash(board, flash):
    board.stop()
    board.flash.rename(board.state_dir / "elsewhere")
    if flash == "a file":
        board.flash.write_text("garbage")
    elif flash == "a dangling link":
        board.flash.symlink_to("/nowhere/at/all")
    (board.state_dir / "factory-reset").touch()
    board.start()
    board.wait_state("idle")
    assert tree(board.flash) == DEFAULTS
    if flash == "a file":
        assert (board.state_dir / "before-factory-reset/1/flash").read_text() == "garbage"


@item("S67")
def test_S67_procedures_are_documented():
    """By the words that one has to type, and what a person at the board has to do."""
    man = (SOURCE / "docs/man/mpyd.8").read_text()
    readme = (SOURCE / "README.md").read_text()
    assert ".Sh FACTORY RESET" in man and ".Sh SAFE MODE" in man
    for words in ("mpyctl factory-reset", "mpyctl safe-mode enter", "[safe-mode] button"):
        assert words in man and words in readme, words
    for words in ("factory-hold", "before-factory-reset", "Pa factory-reset", "Letting go means"):
        assert words in man, words


def test_strange_names_and_links(board):
    """Nothing is followed, whatever a script has made."""
    outside = board.dir / "outside"
    outside.mkdir()
    (outside / "keep.txt").write_text("not the board's")
    (board.flash / "link").symlink_to(outside)
    (board.flash / "deep" / "er").mkdir(parents=True)
    (board.flash / "deep" / "er" / "link").symlink_to(outside)
    (board.flash / ("n" * 255)).write_text("long")
    (board.flash / "new\nline").write_text("odd")
    os.mkfifo(board.flash / "pipe")
    board.ctl("factory-reset", "--yes", "--wipe")
    assert tree(board.flash) == DEFAULTS
    assert (outside / "keep.txt").read_text() == "not the board's"


def test_what_cannot_be_taken_away_is_told(board):
    """An immutable file: the rest goes, the board boots."""
    fixed = board.flash / "data.txt"
    if subprocess.run(["chattr", "+i", fixed], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no immutable files here")
    try:
        result = board.ctl("factory-reset", "--yes", check=False)
        assert result.returncode == 2
        assert "failed: data.txt could not be taken away (Operation not permitted)" in result.stderr
        assert tree(board.flash) == {**DEFAULTS, "data.txt": "precious"}
        board.wait_state("idle")
        board.wait_log("The factory reset that mpyctl")
    finally:
        subprocess.run(["chattr", "-i", fixed], check=True)


def test_another_state_directory_is_refused(board):
    answer = act(board, {"state": "/elsewhere"}, check=False)
    assert answer.startswith("failed mpyd's files are in /elsewhere, mpyd-action would look in")
    assert tree(board.flash) == OWN


def test_no_action_program(boards, defaults):
    b = boards(OWN, config={"board": {"defaults": str(defaults)}}, arguments=["--action", "/nowhere"])
    b.wait_state("running")
    result = b.ctl("factory-reset", "--yes", check=False)
    assert result.returncode == 2 and "mpyd-action cannot be asked (No such file or directory)" in result.stderr
    assert tree(b.flash) == OWN
    b.wait_state("running")


@pytest.mark.parametrize("erase", ["never", "always"])
def test_an_action_that_is_killed_at_any_moment(boards, defaults, erase):
    """And is then asked to complete it: the board has its own files or the default ones, whole, and what was set
    aside is whole too."""
    b = boards({}, config={"board": {"defaults": str(defaults)}}, start=False)
    ways = set()
    whole = 1.0
    for _ in range(5):  # the first one is slow: nothing of it is in memory yet
        began = time.monotonic()
        act(b, {"erase": erase})
        whole = min(whole, time.monotonic() - began)
    for i in range(100):
        b.put({**OWN, **{f"f{n}.txt": f"{i}.{n}" for n in range(20)}})
        mine, before = tree(b.flash), {name for name, files in sets(b).items() if files}
        act(b, {"erase": erase}, kill_after=random.uniform(0, 1.2 * whole))
        begun = (b.state_dir / "factory-reset").exists()
        act(b, {"resume": True})
        assert not (b.state_dir / "factory-reset").exists()
        if tree(b.flash) == mine:
            ways.add("not begun")
            assert not begun
            continue
        ways.add("completed later" if begun else "completed")
        assert tree(b.flash) == DEFAULTS
        new = [files for name, files in sets(b).items() if name not in before]
        if erase == "always":
            assert not any(sets(b).values())  # one that was made and not used goes with the next
        else:  # a default file that was there already when it was killed is set aside as well
            assert len(new) == 1 and set(mine.items()) <= {(n.removesuffix("~2"), t) for n, t in new[0].items()}
    assert "completed later" in ways, ways


def test_a_daemon_that_is_killed_meanwhile(board):
    """At any moment: the next start has all of the old files or all of the new ones, and none is lost."""
    for delay in range(40):
        board.put({"mark.txt": str(delay)})
        mine = tree(board.flash)
        before = set(sets(board))
        p = subprocess.Popen(board.ctl_command("factory-reset", "--yes"), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(delay / 500)
        board.stop(signal.SIGKILL)
        p.wait(30)
        board.start()
        if board.get("State") == "waiting":  # an mpyd that keeps failing is held back: not now
            board.control.reset("hard")
        board.wait(lambda p: p["State"] in ("idle", "running"), what="a board")
        new = [s for n, s in sets(board).items() if n not in before]
        if new:
            assert tree(board.flash) == DEFAULTS and new == [mine]
        else:
            assert tree(board.flash) == mine
