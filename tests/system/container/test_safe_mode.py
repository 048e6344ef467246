# SPDX-License-Identifier: MIT
"""Safe mode of an installed board: what an owner does who has only the SD card, and a stop at any time."""
DEAF = ("import micropython\nmicropython.kbd_intr(-1)\nwhile True:\n    try:\n        while True: pass\n"
        "    except BaseException: pass\n")


def test_a_file_on_the_boot_partition(board):
    board.write("/var/lib/mpyd/flash/boot.py", DEAF)
    board.run("mkdir -p /boot/firmware && touch /boot/firmware/mpyd-safe-mode && systemctl restart mpyd")
    board.until("mpyctl --json status", lambda out: '"safe_mode": "USER"' in out)
    assert "/boot/firmware/mpyd-safe-mode" in board.run("mpyctl safe-mode")
    assert board.run("mpyctl eval '6*7'").strip() == "42"
    board.run("rm /boot/firmware/mpyd-safe-mode; mpyctl rm :boot.py; mpyctl safe-mode leave")
    assert board.status()["safe_mode"] == ""


def test_strikes_are_told_in_the_journal(board):
    board.run("mkdir -p /etc/mpyd/mpyd.conf.d && printf '[safe-mode]\\nstrikes = 2\\n' "
              ">/etc/mpyd/mpyd.conf.d/test.conf && mpyctl reload")
    board.write("/var/lib/mpyd/flash/main.py", "import machine\nmachine.WDT(timeout=10)\nwhile True: pass\n")
    board.run("mpyctl reset --no-wait")
    board.until("mpyctl --json status", lambda out: '"safe_mode": "WATCHDOG"' in out)
    lines = board.journal("MPYD_EVENT=safe-mode")
    assert lines and lines[-1]["MPYD_SAFE_MODE"] == "WATCHDOG"
    assert (lines[-1]["MPYD_SAFE_MODE_DOOR"], lines[-1]["MPYD_STRIKES"]) == ("strikes", "2")
    # a restart of the service does not forget it
    board.run("systemctl restart mpyd")
    board.until("mpyctl --json status", lambda out: '"state": "idle"' in out)
    assert board.status()["safe_mode"] == "WATCHDOG"


def test_stop_while_a_script_boots(board):
    """`systemctl stop` while boot.py runs and hears nothing: in time, in good order, and remembered."""
    board.write("/var/lib/mpyd/flash/boot.py", DEAF)
    board.run("mpyctl reset --no-wait")
    board.until("mpyctl --json status", lambda out: '"stage": "boot.py"' in out)
    board.run("systemctl stop mpyd", 60)
    assert board.unit("Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}
    ends = [e for e in board.history() if e["name"] in ("board-stop", "daemon-stop")]
    assert [e["name"] for e in ends[-2:]] == ["board-stop", "daemon-stop"]
    assert ends[-2]["stage"] == "boot.py" and "mpyd stopped" in ends[-2]["detail"]


def test_stop_at_once_after_start(board):
    """Again and again, at a moment that is never the same: never a failure, never a second board."""
    for i in range(10):
        board.run(f"systemctl restart --no-block mpyd; sleep 0.0{i}; systemctl stop mpyd")
        assert board.unit("Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}, i
        assert board.run("pgrep -c mpyd-board || :").strip() == "0"
    board.run("systemctl start mpyd")
    assert board.status()["strikes"] == 0
