# SPDX-License-Identifier: MIT
"""What the daemon tells a real journald, read back with the real journalctl. Both run on a /run of
their own, in a mount namespace that only this process and its children see."""
import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import document
import pytest

from mpydtest import Board, is_sanitized, timeout
from mpydtest import test_module as built

JOURNALD = next((p for p in ("/usr/lib/systemd/systemd-journald", "/lib/systemd/systemd-journald")
                 if os.path.exists(p)), None)
EXEC = pathlib.Path(__file__).with_name("journal-exec.py")
CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
EVENTS = {e.name: e for e in document.read_events()}
PRIORITIES = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]


@pytest.fixture(scope="module")
def journald():
    if os.geteuid() != 0:
        pytest.skip("only root can have a /run of its own")
    assert JOURNALD, "systemd is not installed"
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.unshare(CLONE_NEWNS | CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    os.makedirs("/run/log/journal")
    # As systemd sets it when a host boots; the kernel's own is 10. It is the network namespace's.
    pathlib.Path("/proc/sys/net/unix/max_dgram_qlen").write_text("512")
    process = subprocess.Popen([JOURNALD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(lambda: os.path.exists("/run/systemd/journal/stdout"), "journald's sockets")
        yield process
    finally:
        process.terminate()
        process.wait(timeout(20))


def wait(condition, what):
    deadline = time.monotonic() + timeout(20)
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come in time"
        time.sleep(0.05)
    return value


def entries(board, *matches):
    """The journal's entries of this daemon, oldest first."""
    subprocess.run(["journalctl", "--sync"], check=True)
    out = subprocess.run(["journalctl", "-o", "json", "--all", f"_PID={board.process.pid}", *matches],
                         capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def events(board, name, count=1):
    return wait(lambda: (found := entries(board, f"MPYD_EVENT={name}")) and len(found) >= count
                and found, f"event {name}")


class JournalBoard(Board):
    """A board whose daemon's stderr is the journal."""

    def command(self):
        return [sys.executable, str(EXEC), *super().command()]

    def start(self, wait=True):
        super().start(wait=False)
        events(self, "daemon-start")


@pytest.fixture
def make(journald):
    made = []

    def make_board(*arguments, **options):
        made.append(JournalBoard(*arguments, **options))
        return made[-1]

    yield make_board
    for b in made:
        b.close(check=False)


def check_event(entry):
    """An entry has its event's id, priority and no field that the document does not name."""
    event = EVENTS[entry["MPYD_EVENT"]]
    assert entry["MESSAGE_ID"] == event.message_id
    assert PRIORITIES[int(entry["PRIORITY"])] == event.priority
    ours = {f for f in entry if f.startswith("MPYD_")} - {"MPYD_EVENT", "MPYD_BOARD"}
    assert ours <= set(event.fields)
    if event.name != "output-suppressed":
        assert entry["SYSLOG_IDENTIFIER"] == "mpyd"


def test_fields_of_a_life(make):
    b = make({"boot.py": "print('here is boot')\n",
              "main.py": "print('here is main')\nimport machine\nprint(machine.unique_id().hex())\n"
                         "if machine.reset_cause() == machine.PWRON_RESET: machine.reset()\n"
                         "raise ValueError('no more')\n"})
    b.wait_state("idle")
    b.control.reset("hard")
    second, third = events(b, "reset", 3)[1:3]
    fields = {f: second[f] for f in EVENTS["reset"].fields if f in second}
    uptime = fields.pop("MPYD_UPTIME_USEC")
    assert 0 < int(uptime) < timeout(20) * 1e6
    assert fields == {
        "MPYD_RESET_CAUSE": "HARD_RESET", "MPYD_RESET_REASON": "SOFTWARE",
        "MPYD_RESET_KIND": "hard", "MPYD_RUN_REASON": "STARTUP", "MPYD_STAGE": "main.py",
        "MPYD_RESET_DETAIL": "machine.reset() from main.py", "MPYD_SIGNAL": "9",
    }
    assert third["MPYD_RESET_REASON"] == "RESET_PIN" and third["MPYD_STAGE"] == "repl"
    exception = events(b, "exception")[0]
    assert exception["MPYD_STAGE"] == "main.py"
    assert re.fullmatch(r'Traceback \(most recent call last\):\n  File "main.py", line 5, in <module>'
                        r"\nValueError: no more\n*", exception["MPYD_TRACEBACK"])
    b.wait_state("idle")
    os.kill(b.board_pid(), 11)
    crash = events(b, "crash")[0]
    # A sanitizer reports the fault and ends the process by SIGABRT.
    assert crash["MPYD_SIGNAL"] == ("6" if is_sanitized() else "11")
    assert crash["MPYD_STAGE"] == "repl"
    assert "MPYD_EXIT_STATUS" not in crash
    b.wait_state("idle")
    found = entries(b)
    for entry in found:
        if "MPYD_EVENT" in entry:
            check_event(entry)
    # Boards are told apart by what scripts see of themselves.
    printed = entries(b, "SYSLOG_IDENTIFIER=main.py")
    assert {e["MPYD_BOARD"] for e in found} == {printed[1]["MESSAGE"]}
    assert printed[0]["MESSAGE"] == "here is main" and printed[0]["MPYD_SCRIPT"] == "main.py"
    assert printed[0]["PRIORITY"] == "6"
    assert entries(b, "SYSLOG_IDENTIFIER=boot.py")[0]["MESSAGE"] == "here is boot"
    assert b.stop() == 0
    check_event(events(b, "daemon-stop")[0])


def test_catalog_text_of_a_real_entry(make):
    b = make({"main.py": "1 / 0\n"})
    b.wait_state("idle")
    events(b, "exception")
    folders = ["/usr/lib/systemd/catalog", "/var/lib/systemd/catalog"]
    for folder in folders:  # ours alone, in this namespace
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    try:
        pathlib.Path(folders[0], "mpyd.catalog").write_bytes(document.CATALOG.read_bytes())
        subprocess.run(["journalctl", "--update-catalog"], check=True)
        out = subprocess.run(["journalctl", "-x", "--no-pager", f"_PID={b.process.pid}",
                              "MPYD_EVENT=exception"], capture_output=True, text=True,
                             check=True).stdout
    finally:
        for folder in folders:
            subprocess.run(["umount", folder], check=True)
    assert "Subject: main.py ended with an uncaught exception" in out
    assert "ZeroDivisionError" in out and "What to do:" in out


def test_what_other_events_have(make):
    b = make({"main.py": "import machine\nmachine.reset()\n"},
             config={"reset": {"burst": "2", "rate": "1/1min"}, "board": {"heap": "lots"}})
    delayed = events(b, "boot-delayed")[0]
    assert 0 < int(delayed["MPYD_DELAY_USEC"]) <= 60e6
    check_event(delayed)
    problem = events(b, "config-problem")[0]
    check_event(problem)
    assert "mpyd.conf" in problem["MESSAGE"] and "heap" in problem["MESSAGE"]
    # A second one is refused, with an event too.
    other = subprocess.Popen(b.command())
    assert other.wait(timeout(20)) == 1
    out = subprocess.run(["journalctl", "-o", "json", f"_PID={other.pid}"], capture_output=True,
                         text=True, check=True).stdout
    refused = json.loads(out.splitlines()[-1])
    check_event(refused)
    assert refused["MPYD_EVENT"] == "daemon-refused" and "Another mpyd uses" in refused["MESSAGE"]


def test_a_board_that_breaks_the_rules(make):
    b = make({"mode": "garbage"}, board=built("hostile-board"))
    fault = events(b, "board-fault")[0]
    check_event(fault)
    assert int(fault["MPYD_BOARD_PID"]) > 0


def test_a_board_that_is_not_there(make):
    b = make(board="/nonexistent/mpyd-board")
    entry = events(b, "board-not-started")[0]
    check_event(entry)
    assert entry["ERRNO"] == "2" and "/nonexistent/mpyd-board" in entry["MESSAGE"]


def test_a_watchdog_that_bites(make):
    b = make({"main.py": "import machine\nif machine.reset_cause() == machine.PWRON_RESET:\n"
                         "    machine.WDT(timeout=100)\n    while True: pass\n"})
    bite = events(b, "watchdog")[0]
    check_event(bite)
    assert bite["MPYD_RESET_CAUSE"] == "WDT_RESET" and bite["MPYD_STAGE"] == "main.py"


def test_a_chatty_script_does_not_hide_the_daemon(make):
    """journald drops what a service says too fast, the daemon's lines with the script's: 10,000 in
    30 s. Three times as many are printed here."""
    b = make({"main.py": "for i in range(30000): print('spam', i)\n"})
    b.wait_state("idle", timeout=120)
    for _ in range(5):
        b.control.reset("soft")
        b.wait_state("idle", timeout=120)

    def counts():
        """Lines of the script in the journal, suppressed, and lost because journald was too slow."""
        found = entries(b)
        told = [e["MESSAGE"].split() for e in found]
        return (sum(m[0] == "spam" for m in told),
                sum(int(m[0]) for m in told if m[1:3] == ["lines", "suppressed:"]),
                sum(int(m[0]) for m in told if m[1:4] == ["log", "lines", "lost:"]))

    wait(lambda: sum(counts()) == 6 * 30000, "word of every line")
    spam, suppressed, lost = counts()
    assert 1000 <= spam < 8000 and suppressed > 150000 and lost < 1000
    assert len(entries(b, "MPYD_EVENT=reset")) == 6
    for e in entries(b, "MPYD_EVENT=output-suppressed"):
        check_event(e)
        assert e["MPYD_SCRIPT"] == e["SYSLOG_IDENTIFIER"] == "main.py"
    subprocess.run(["journalctl", "--sync"], check=True)
    dropped = subprocess.run(["journalctl", "-t", "systemd-journald", "--grep", "Suppressed"],
                             capture_output=True, text=True)
    assert "Suppressed" not in dropped.stdout


def test_mpyctl_log_shows_the_same(make):
    b = make({"boot.py": "print('one')\n", "main.py": "print('two')\n1 / 0\n"})
    b.wait_state("idle")
    shown = [(line[1], line[2], line[3]) for line in b.control.log()]
    stored = [(int(e["PRIORITY"]), e["SYSLOG_IDENTIFIER"], e["MESSAGE"]) for e in entries(b)]
    assert len(stored) > 5
    assert shown == stored
