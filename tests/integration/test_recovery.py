# SPDX-License-Identifier: MIT
"""A program that failed, or that somebody stopped and left, is started again; nobody is disturbed."""
import time

NOTE = "with open('ran.txt', 'a') as f:\n    f.write('x')\n"
FAILS = NOTE + "1 / 0\n"
WAITS = NOTE + "import time\nwhile True: time.sleep(1)\n"


def runs(board):
    f = board.flash / "ran.txt"
    return len(f.read_text()) if f.exists() else 0


def test_an_exception_is_tried_again_then_hard_then_safe_mode(boards):
    b = boards({"main.py": FAILS}, config={"recovery": {"after-exception": "1s", "reloads": 1},
                                           "safe-mode": {"strikes": 2, "retry-min": "1h"}})
    p = b.wait(lambda p: p["SafeMode"] != "" and p["State"] == "idle", timeout=40, what="safe mode")
    # once, a reload; hard, once more, a reload; hard into safe mode
    assert runs(b) == 4
    assert (p["SafeMode"], p["SoftResets"], p["Strikes"]) == ("EXCEPTION", 2, 2)
    assert "uncaught exception again and again" in p["SafeModeText"]
    resets = b.wait_history(lambda rows: len(rows) >= 5)
    assert "started again (try 1)" in resets[1]["detail"]
    assert "again after 1 tries" in resets[2]["detail"]
    assert b.get("RestartBoottime") == 0  # not in safe mode


def test_status_tells_when(boards):
    b = boards({"main.py": FAILS})
    p = b.wait(lambda p: p["RestartBoottime"] > 0, what="a time")
    left = p["RestartBoottime"] / 1e6 - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert 0 < left <= 30
    assert " runs boot.py and main.py again, unless" in b.ctl("status").stdout


def test_a_user_is_not_disturbed(boards):
    b = boards({"main.py": FAILS}, config={"recovery": {"after-exception": "1s", "idle-restart": "1s"}},
               start=False)
    b.start()
    repl = b.friendly()
    b.wait(lambda p: p["RestartBoottime"] == 0, what="no time")
    n = runs(b)
    time.sleep(3)
    assert repl.line("1+1") == "2\r\n"
    assert runs(b) == n
    repl.close()
    b.wait(lambda p: runs(b) == n + 1, what="a new start after its user has gone")


def test_a_tool_that_was_killed_leaves_no_raw_repl(boards):
    """Thonny is killed at its end and leaves the raw REPL, in which main.py does not start."""
    b = boards({"main.py": WAITS}, config={"recovery": {"idle-restart": "1s"}})
    b.wait_state("running")
    repl = b.open_repl()
    repl.write(b"\x03\x01")
    repl.read_until(b"raw REPL; CTRL-B to exit\r\n>")
    assert (b.get("State"), b.get("ReplState")) == ("idle", "raw")
    repl.close()
    b.wait(lambda p: p["State"] == "running" and runs(b) == 2, what="main.py, again")


def test_an_order_with_nobody_there_starts_main_py(boards):
    b = boards({"main.py": NOTE})
    b.wait_state("idle")
    for n, stay in ((2, False), (2, True)):
        repl = b.open_repl()
        repl.write(b"\x01")
        repl.read_until(b"raw REPL; CTRL-B to exit\r\n>")
        if not stay:
            repl.close()
            b.wait(lambda p: p["ConsoleHolder"] == "")
        b.ctl("reset", "--soft")
        b.wait_state("idle")
        assert runs(b) == n
    assert b.get("ReplState") == "raw"


def test_code_that_was_left_running_is_left_alone(boards):
    """mpremote run --no-follow"""
    b = boards({"main.py": WAITS}, config={"recovery": {"idle-restart": "2s"}})
    b.wait_state("running")
    (b.dir / "left.py").write_text("import os, time\nopen('/begun', 'w').close()\n"
                                   "while 'go' not in os.listdir('/'): time.sleep_ms(20)\n"
                                   "open('/ended', 'w').close()\n")
    b.mpremote("run", "--no-follow", str(b.dir / "left.py"))
    b.wait(lambda p: (b.flash / "begun").exists() and p["ConsoleHolder"] == "", what="the code")
    resets = b.get("SoftResets")
    for verb in ("status", "top -n 1"):
        out = b.ctl(*verb.split()).stdout
        assert "running code entered at the REPL" in out and "idle" not in out, out
    time.sleep(5)
    assert (b.get("SoftResets"), runs(b)) == (resets, 1)
    assert b.get("RestartBoottime") == 0
    (b.flash / "go").touch()
    b.wait(lambda p: p["State"] == "running" and runs(b) == 2, what="main.py, again")
    assert (b.flash / "ended").exists()


def test_a_forgotten_ctrl_c(boards):
    b = boards({"main.py": WAITS}, config={"recovery": {"idle-restart": "1s"}})
    b.wait_state("running")
    repl = b.open_repl()
    repl.prompt()
    assert b.get("State") == "idle"
    time.sleep(2)
    assert runs(b) == 1
    repl.close()
    b.wait(lambda p: p["State"] == "running" and runs(b) == 2, what="main.py, again")
    p = b.control.properties()
    assert (p["ResetCause"], p["RunReason"]) == ("SOFT_RESET", "SUPERVISOR_RELOAD")
    assert "had been stopped and nobody uses the REPL" in p["LastReset"]


def test_a_tool_that_leaves_without_a_word(boards):
    b = boards({"main.py": WAITS}, config={"recovery": {"idle-restart": "1s"}})
    b.wait_state("running")
    assert b.mpremote("eval", "6*7").stdout.strip() == "42"
    assert runs(b) == 1
    b.wait(lambda p: p["State"] == "running" and runs(b) == 2, what="main.py, again")


def test_a_program_that_returned_is_left_alone(boards):
    b = boards({"main.py": NOTE}, config={"recovery": {"after-exception": "1s", "idle-restart": "1s"}})
    b.wait_state("idle")
    b.friendly().close()
    time.sleep(3)
    assert runs(b) == 1 and b.get("SoftResets") == 0


def test_off(boards):
    b = boards({"main.py": FAILS}, config={"recovery": {"after-exception": "off", "idle-restart": "off"}})
    b.wait_state("idle")
    assert b.get("RestartBoottime") == 0
    time.sleep(2)
    assert runs(b) == 1
