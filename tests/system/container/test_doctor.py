# SPDX-License-Identifier: MIT
"""mpyctl doctor on an installed board: what it says is so, and each command that it gives mends what it says."""
import json


def examine(board, check=None, user=None):
    command = "mpyctl --json doctor"
    result = board.execute(f"setpriv --reuid={user} --regid={user} --clear-groups {command}" if user else command)
    report = json.loads(result.stdout)
    codes = {"fine": 0, "warning": 1, "problem": 2}
    assert result.returncode == codes[report["verdict"]], result
    checks = {c["check"]: c for c in report["checks"]}
    return checks[check] if check else checks


def test_a_board_that_is_well(board):
    found = examine(board)
    for check in ("daemon", "board", "config", "service", "service-watchdog", "history", "power", "flash", "group",
                  "panel"):
        assert found[check]["verdict"] == "fine", found[check]
    assert found["service-watchdog"]["text"] == "systemd restarts an mpyd that says nothing for 15s"
    text = board.execute("mpyctl doctor").stdout
    assert "systemd restarts an mpyd" in text.replace("Systemd", "systemd")


def test_remedies(board):
    """Things are broken as people break them; what the doctor says is done, and it is content."""
    board.run("systemctl disable mpyd; mkdir -p /etc/systemd/system/mpyd.service.d; "
              "printf '[Service]\\nWatchdogSec=0\\n' >/etc/systemd/system/mpyd.service.d/x.conf; "
              "systemctl daemon-reload; systemctl restart mpyd; rm -rf /var/log/journal; "
              "chmod 755 /var/lib/mpyd/flash; chown root:root /var/lib/mpyd/flash")
    for check in ("service", "service-watchdog", "journal", "flash"):
        finding = examine(board, check)
        assert finding["verdict"] == "warning", finding
        board.run(finding["remedy"].partition(" (")[0].replace("sudo ", ""))
        board.until("mpyctl --json status", lambda out: '"state": "idle"' in out)
        assert examine(board, check)["verdict"] == "fine", check


def test_who_may_not(board):
    finding = examine(board, "group", user=65534)
    assert finding["verdict"] == "warning" and "adduser nobody mpyd" in finding["remedy"]


def test_a_board_in_trouble(board):
    board.write("/etc/mpyd/mpyd.conf.d/x.conf", "[reset]\nburst = many\n[led]\nline = GPIO99\n")
    board.run("systemctl restart mpyd; mpyctl safe-mode enter")
    found = examine(board)
    assert "burst = many: not a number" in found["config"]["text"]
    assert "GPIO99" in found["panel"]["text"]
    assert found["board"]["verdict"] == "warning" and "safe-mode leave" in found["board"]["remedy"]


def test_without_a_daemon(board):
    board.run("systemctl stop mpyd")
    result = board.execute("mpyctl doctor")
    assert result.returncode == 3 and "systemctl start mpyd" in result.stdout
