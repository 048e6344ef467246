# SPDX-License-Identifier: MIT
"""Safe mode: its doors, how it lasts and how it ends, with the real programs."""
import os
import signal
import time

import pytest

from mpydtest import test_module as built

# Each run leaves a byte behind and ends abnormally.
BITTEN = ("with open('ran.txt', 'a') as f:\n    f.write('x')\n"
          "import machine\nmachine.WDT(timeout=10)\nwhile True: pass\n")
HANG = ("import micropython\nmicropython.kbd_intr(-1)\n"
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n")


def in_safe_mode(p):
    return p["SafeMode"] != "" and p["State"] == "idle"


def kill(board):
    board.expected_exit = -signal.SIGKILL
    assert board.stop(signal.SIGKILL) == -signal.SIGKILL
    board.expected_exit = 0


def runs(board, name="ran.txt"):
    f = board.flash / name
    return len(f.read_text()) if f.exists() else 0


def test_strikes_lead_to_it_and_the_repl_says_so(boards):
    board = boards({"main.py": BITTEN}, config={"safe-mode": {"strikes": 3}})
    p = board.wait(in_safe_mode, what="safe mode")
    assert runs(board) == 3
    assert (p["SafeMode"], p["Strikes"]) == ("WATCHDOG", 3)
    assert "after 3 abnormal ends" in p["SafeModeText"]
    assert p["SafeModeRetryBoottime"] > time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    repl = board.friendly()
    text = repl.soft_reset()  # stays in it (D11)
    assert "You are in safe mode because:\r\nWatchdog timer expired." in text
    assert "Press reset to exit safe mode." in text
    assert repl.line("1+1") == "2\r\n"
    status = board.ctl("status").stdout
    assert "safe mode after 3 abnormal ends" in status and "mpyctl safe-mode leave" in status
    assert runs(board) == 3


def test_it_is_tried_again_by_itself_and_waits_longer(boards):
    board = boards({"main.py": BITTEN},
                   config={"safe-mode": {"strikes": 2, "retry-min": "1s", "retry-max": "1h"}})
    board.wait(in_safe_mode, what="safe mode")
    assert runs(board) == 2
    board.wait(lambda p: runs(board) == 3 and in_safe_mode(p), what="a try")  # one crash is enough then
    (board.flash / "main.py").write_text("while True: pass\n")  # mended
    p = board.wait(lambda p: p["State"] == "running", what="the second try")
    assert p["SafeMode"] == ""
    assert p["Strikes"] == 1  # not yet forgiven


def test_stable_time_forgives(boards):
    board = boards({"main.py": "import machine, os\n"
                               "if machine.RTC().memory() == b'':\n"
                               "    machine.RTC().memory(b'1')\n" +
                               "".join("    " + line + "\n" for line in BITTEN.splitlines()) +
                               "while True: pass\n"},
                   config={"safe-mode": {"strikes": 5, "stable-after": "2s"}})
    board.wait(lambda p: p["Strikes"] == 1, what="a strike")
    board.wait(lambda p: p["Strikes"] == 0 and p["State"] == "running", what="forgiveness")


def test_strikes_survive_sigkill_of_the_daemon_and_a_lost_run_directory(boards):
    board = boards({"main.py": "import time\nwhile True: time.sleep(1)\n"},
                   config={"safe-mode": {"strikes": 3}})
    for n in (1, 2):
        board.wait(lambda p: p["State"] == "running", what="main.py")
        os.kill(board.board_pid(), signal.SIGKILL)
        board.wait(lambda p, n=n: p["Strikes"] == n and p["State"] == "running", what="the strike")
    kill(board)
    for f in board.run_dir.iterdir():
        if not f.is_dir():
            f.unlink()
    board.start()
    # a killed daemon is nobody's strike
    assert board.wait(lambda p: p["State"] == "running", what="main.py")["Strikes"] == 2
    os.kill(board.board_pid(), signal.SIGKILL)
    assert board.wait(in_safe_mode, what="safe mode")["Strikes"] == 3
    kill(board)
    board.start()
    p = board.wait(in_safe_mode, what="safe mode, still")
    assert p["SafeMode"] == "HARD_FAULT"


def test_mpyctl_enter_and_leave(boards):
    board = boards({"boot.py": HANG})
    board.wait(lambda p: p["Stage"] == "boot.py", what="a boot.py that hangs")
    r = board.ctl("safe-mode", "enter")
    assert r.returncode == 0 and "into safe mode" in r.stdout
    assert board.get("SafeMode") == "USER"
    assert board.ctl("safe-mode").stdout.startswith("The board is in safe mode: an operator asked")
    r = board.ctl("safe-mode", "enter", check=False)
    assert (r.returncode, "already" in r.stderr) == (2, True)
    (board.flash / "boot.py").unlink()
    assert board.ctl("safe-mode", "leave").returncode == 0
    assert board.get("SafeMode") == ""
    r = board.ctl("safe-mode", "leave", check=False)
    assert (r.returncode, "not in safe mode" in r.stderr) == (2, True)
    assert board.ctl("safe-mode", "fly", check=False).returncode == 64


def test_a_restart_of_the_daemon_stays_in_it_a_hard_reset_leaves_it(boards):
    board = boards({"main.py": "while True: pass\n"})
    board.ctl("safe-mode", "enter")
    board.stop()
    board.start()
    assert board.wait(lambda p: p["State"] == "idle", what="the REPL")["SafeMode"] == "USER"
    board.ctl("reset", "--soft")
    assert board.wait(lambda p: p["State"] == "idle", what="the REPL")["SafeMode"] == "USER"
    board.ctl("reset")
    assert board.wait(lambda p: p["State"] == "running", what="main.py")["SafeMode"] == ""


@pytest.mark.parametrize("flag", ["state", "boot/firmware/mpyd-safe-mode", "boot/mpyd-safe-mode", "cmdline"])
def test_a_flag_holds_it(boards, tmp_path, flag):
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    board = boards({"main.py": "while True: pass\n"}, arguments=["--host-root", root], start=False)
    if flag == "state":
        path = board.state_dir / "safe-mode"
        path.touch()
    elif flag == "cmdline":
        path = root / "proc/cmdline"
        path.write_text("root=/dev/mmcblk0p2 mpyd.safe_mode=1 quiet\n")
    else:
        path = root / flag
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    board.start()
    p = board.wait(in_safe_mode, what="safe mode")
    assert p["SafeMode"] == "USER" and "as long as" in p["SafeModeText"]
    board.ctl("reset")
    assert board.wait(lambda p: p["State"] == "idle", what="the REPL")["SafeMode"] == "USER"
    r = board.ctl("safe-mode", "leave", check=False)
    assert r.returncode == 2 and "take it away" in r.stderr
    path.unlink()
    board.ctl("safe-mode", "leave")
    assert board.wait(lambda p: p["State"] == "running", what="main.py")["SafeMode"] == ""


def test_files_work_in_it(boards, monkeypatch):
    """Each verb that mends a program, and none of them ends safe mode."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i s/hello/hullo/")
    board = boards({"main.py": "while True: pass\n", "lib/pump.py": "on = True\n", "boot.py": HANG})
    board.ctl("safe-mode", "enter")
    resets = board.get("HardResets")
    (board.dir / "new.py").write_text("print('hello')\n")
    board.ctl("cp", str(board.dir / "new.py"), ":new.py")
    assert board.ctl("cat", ":new.py").stdout == "print('hello')\n"
    board.ctl("edit", ":new.py")
    board.ctl("cp", ":new.py", str(board.dir / "back.py"))
    assert (board.dir / "back.py").read_text() == "print('hullo')\n" == board.read("new.py")
    board.ctl("mkdir", ":old")
    board.ctl("mv", ":boot.py", ":old/boot.py")
    board.ctl("touch", ":empty")
    board.ctl("rm", ":lib/pump.py")
    assert [e["name"] for e in board.ctl_json("ls")] == ["empty", "lib", "main.py", "new.py", "old"]
    assert board.ctl("ls", ":lib").stdout == "" and "  boot.py\n" in board.ctl("ls", ":old").stdout
    assert board.ctl("tree").stdout == "empty\nlib/\nmain.py\nnew.py\nold/\n  boot.py\n"
    board.ctl("rm", "-r", ":old", ":lib")
    assert sorted(os.listdir(board.flash)) == ["empty", "main.py", "new.py"]
    space = board.ctl_json("df")
    assert space["total"] >= space["used"] > 0 and " free\n" in board.ctl("df").stdout
    assert board.friendly().line("import os; os.listdir()") == "['empty', 'main.py', 'new.py']\r\n"
    assert (board.get("SafeMode"), board.get("HardResets")) == ("USER", resets)


def test_history_and_log_tell_it(boards):
    board = boards({"main.py": "while True: pass\n"})
    board.ctl("safe-mode", "enter")
    board.ctl("safe-mode", "leave")
    board.wait_log("Safe mode: an operator asked for it. Neither boot.py nor main.py runs.")
    board.wait_log("Safe mode is over.")
    text = board.ctl("history", "--only", "events").stdout
    assert "safe-mode" in text and "safe-mode-left" in text


def test_a_stalled_disk_does_not_hold_the_loop(boards):
    board = boards({"main.py": "import time\nwhile True: time.sleep(1)\n"},
                   config={"safe-mode": {"strikes": 3}}, preload=[built("../slow-fsync.so")],
                   environ={"SLOW_FSYNC_MS": "2000"})
    board.wait(lambda p: p["State"] == "running", what="main.py")
    os.kill(board.board_pid(), signal.SIGKILL)
    for _ in range(20):  # each answer comes at once, though the mark takes seconds to be durable
        began = time.monotonic()
        board.get("State")
        assert time.monotonic() - began < 1.5
    board.wait(lambda p: p["Strikes"] == 1 and p["State"] == "running", what="the next board")
