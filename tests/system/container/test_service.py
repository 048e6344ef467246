# SPDX-License-Identifier: MIT
"""mpyd as systemd sees it: readiness, watchdog, restarts, journal, sandbox; on systemd 252 and
257."""
import re

COUNT_UP = """import machine
rtc = machine.RTC()
rtc.memory(b'%d' % (int(rtc.memory() or b'0') + 1))
print('boots counted:', int(rtc.memory()))
"""
CRASH_BY = "systemctl kill --kill-who=main -s {signal} mpyd"


def main_py(machine, text):
    machine.write("/var/lib/mpyd/flash/main.py", text)
    machine.run("mpyctl reset")


def events(machine):
    """What history tells, oldest first: (event name or reset cause, detail)."""
    return [(e["name"] or e["cause"], e["detail"] or "") for e in machine.history()]


def restarted(machine, seconds=60):
    """Waits until systemd has started it once more by itself."""
    machine.until("systemctl show mpyd -P NRestarts; systemctl show mpyd -P ActiveState",
                  lambda out: out.split() == ["1", "active"], seconds)


def test_ready_only_when_the_board_is_there(board):
    """Type=notify: `systemctl start` returns when the control bus answers, not before."""
    assert board.unit("Type", "NotifyAccess") == {"Type": "notify", "NotifyAccess": "main"}
    assert board.run("systemctl restart mpyd && mpyctl status --json")
    board.until("systemctl show mpyd -P StatusText", lambda text: "REPL" in text)


def test_stopped_supervisor_is_killed_and_started_again(board):
    """A supervisor that does not run any more (SIGSTOP) is killed by systemd's watchdog, started
    again, and the history says so."""
    board.run("mkdir -p /etc/systemd/system/mpyd.service.d && printf "
              "'[Service]\\nWatchdogSec=3s\\n' >/etc/systemd/system/mpyd.service.d/test.conf && "
              "systemctl daemon-reload && systemctl restart mpyd")
    assert int(board.run("systemctl show mpyd -P WatchdogTimestampMonotonic")) > 0
    pid = int(board.run("systemctl show mpyd -P MainPID"))
    child = board.status()["board_pid"]
    board.run(f"kill -STOP {pid}")
    restarted(board)
    assert int(board.run("systemctl show mpyd -P MainPID")) != pid
    assert board.run(f"ls -d /proc/{pid} /proc/{child} 2>/dev/null || :") == "", "one was left"
    assert any("mpyd hung" in detail and "watchdog" in detail for _, detail in events(board)), (
        events(board))
    board.until("mpyctl eval '6*7'", lambda out: out.strip() == "42")


def test_healthy_supervisor_is_left_alone(board):
    """Its keep-alive goes on while the program computes."""
    board.run("mkdir -p /etc/systemd/system/mpyd.service.d && printf "
              "'[Service]\\nWatchdogSec=2s\\n' >/etc/systemd/system/mpyd.service.d/test.conf && "
              "systemctl daemon-reload && systemctl restart mpyd")
    main_py(board, "while True:\n    pass\n")
    board.run("sleep 5")
    assert board.unit("NRestarts", "ActiveState") == {"NRestarts": "0", "ActiveState": "active"}


def test_restart_keeps_console_and_retained_memory(board):
    """`systemctl restart`: the same terminal, the same RTC memory, and a hard reset in history."""
    main_py(board, COUNT_UP)
    board.log_shows("boots counted: 1")
    terminal = board.run("readlink /run/mpyd/repl")
    board.run("systemctl restart mpyd")
    board.log_shows("boots counted: 2")
    assert board.run("readlink /run/mpyd/repl") == terminal
    assert board.status()["reset_cause"] == "HARD_RESET"
    assert ("HARD_RESET", "mpyd was stopped and started again") in events(board)


def test_crash_keeps_console_and_retained_memory(board):
    """A daemon that is killed comes back with the same terminal and memory, its board is gone, and
    the history knows that it crashed."""
    main_py(board, COUNT_UP)
    board.log_shows("boots counted: 1")
    terminal = board.run("readlink /run/mpyd/repl")
    child = board.status()["board_pid"]
    board.run(CRASH_BY.format(signal="KILL"))
    restarted(board)
    board.log_shows("boots counted: 2")
    assert board.run("readlink /run/mpyd/repl") == terminal
    assert board.run(f"ls -d /proc/{child} 2>/dev/null || :") == ""
    assert any("SIGKILL" in detail or "killed" in detail for _, detail in events(board)), (
        events(board))


def test_crashes_do_not_end_in_a_start_limit(board):
    """An unattended board is tried for ever."""
    for number in range(1, 8):
        board.run(CRASH_BY.format(signal="KILL"))
        board.until("systemctl show mpyd -P NRestarts; systemctl show mpyd -P ActiveState",
                    lambda out, n=number: out.split() == [str(n), "active"])
    assert board.evaluate("6*7") == "42"


def test_stop_is_orderly_and_remembered(board):
    board.run("systemctl stop mpyd")
    assert board.unit("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    assert board.run("ps -eo comm | grep -c ^mpyd || :").strip() == "0"
    assert [name for name, _ in events(board)][-2:] == ["board-stop", "daemon-stop"]
    board.run("systemctl start mpyd")
    assert board.evaluate("6*7") == "42"


def test_reload_is_synchronous(board):
    """When `systemctl reload` returns, the new configuration holds, or what is wrong is told."""
    board.run("printf '[log]\\nlevel = nonsense\\n' >/etc/mpyd/mpyd.conf")
    pid = board.unit("MainPID")["MainPID"]
    assert "Job for mpyd.service failed" in board.execute("systemctl reload mpyd 2>&1").stdout
    board.until("journalctl -q -u mpyd", lambda log: "everything but the mistake above" in log)
    assert board.unit("ActiveState", "MainPID") == {"ActiveState": "active", "MainPID": pid}
    assert any("nonsense" in w for w in board.status()["config_warnings"]), board.status()
    board.run("printf '[log]\\nlevel = info\\n' >/etc/mpyd/mpyd.conf")
    board.run("systemctl reload mpyd")
    assert board.status()["config_warnings"] == []


def test_journal_has_fields(board):
    """Script output under its own identifier; resets with their fields, id and catalog text."""
    main_py(board, "print('tomatoes: 21.5')\n")
    board.log_shows("tomatoes: 21.5")
    line = board.journal("-t main.py")[-1]
    assert line["MESSAGE"] == "tomatoes: 21.5" and line["PRIORITY"] == "6"
    assert line["MPYD_SCRIPT"] == "main.py" and line["_SYSTEMD_UNIT"] == "mpyd.service"
    reset = board.journal("MPYD_EVENT=reset")[-1]
    assert reset["SYSLOG_IDENTIFIER"] == "mpyd" and reset["PRIORITY"] == "5"
    assert reset["MPYD_RESET_CAUSE"] == "HARD_RESET" and reset["MPYD_RESET_KIND"] == "hard"
    assert re.fullmatch("[0-9a-f]{16}", reset["MPYD_BOARD"])
    assert re.fullmatch("[0-9a-f]{32}", reset["MESSAGE_ID"])
    assert reset["MPYD_BOARD"] == line["MPYD_BOARD"]
    text = board.run(f"journalctl -q -x -n 1 MESSAGE_ID={reset['MESSAGE_ID']}")
    assert "The board was reset" in text


def test_sandbox_of_the_unit(board):
    text = board.run("systemd-analyze security mpyd --no-pager | tail -n 1")
    assert float(re.search(r": ([\d.]+)", text)[1]) <= 3.0, text


def test_board_has_no_rights(board):
    """The script's process: its own user, no capability in use, no way to new ones, filtered."""
    pid = board.status()["board_pid"]
    lines = board.read(f"/proc/{pid}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    user = board.run("id -u mpyd").strip()
    assert status["Uid"].split() == [user] * 4
    assert {status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


HOSTILE = {
    "the history": "open('/var/lib/mpyd/history.db')",
    "the history, from above": "open('../history.db')",
    "the host's accounts": "open('/etc/passwd')",
    "the configuration": "open('../../../../etc/mpyd/mpyd.conf')",
}


def test_script_cannot_reach_beyond_its_flash(board):
    for what, code in HOSTILE.items():
        result = board.execute(f'mpyctl exec "{code}"')
        assert result.returncode != 0 and "OSError" in result.stdout + result.stderr, (what, result)


def test_reboot_of_the_machine_is_recorded(board):
    """The machine is rebooted in good order: the board boots by itself, as after power-on, and the
    files are there. Not a crash."""
    main_py(board, "print('hello after', __import__('machine').reset_cause())\n")
    board.log_shows("hello after")
    boots = len([1 for name, _ in events(board) if name == "daemon-start"])
    board.reboot()
    board.log_shows("hello after")
    told = events(board)
    assert len([1 for name, _ in told if name == "daemon-start"]) == boots + 1
    assert "daemon-stop" in [name for name, _ in told]
    assert board.status()["reset_cause"] in ("PWRON_RESET", "HARD_RESET"), told[-3:]
    assert board.status()["crashes"] == 0


def test_board_has_a_cgroup_of_its_own(board):
    """Delegate=: the daemon in one, the board in another, from its first instruction on and again
    after a crash; systemd still counts both to the unit."""
    def cgroups():
        supervisor, child = board.unit("MainPID")["MainPID"], board.status()["board_pid"]
        return [board.run(f"cat /proc/{pid}/cgroup").strip().rsplit("/", 2)[1:]
                for pid in (supervisor, child)]

    assert cgroups() == [["mpyd.service", "supervisor"], ["mpyd.service", "board"]]
    board.run("mpyctl reset")
    board.until("mpyctl eval '6*7'", lambda out: out.strip() == "42")
    assert cgroups() == [["mpyd.service", "supervisor"], ["mpyd.service", "board"]]
    board.run(CRASH_BY.format(signal="KILL"))
    restarted(board)
    board.until("mpyctl eval '6*7'", lambda out: out.strip() == "42")
    assert cgroups() == [["mpyd.service", "supervisor"], ["mpyd.service", "board"]]
