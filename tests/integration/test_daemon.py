# SPDX-License-Identifier: MIT
"""The life of the daemon itself: stopping in every state, a second one, its configuration, its own
death."""
import os
import pathlib
import pwd
import signal
import subprocess
import time

import pytest

from mpydtest import is_sanitized, process_exists, timeout
from mpydtest import test_module as built

STOP = {"stop": {"interrupt-timeout": "300ms", "abort-timeout": "300ms"}}
LOOP = "while True: pass\n"
STATES = {
    # state: (files, config)
    "booting": ({"boot.py": LOOP}, {}),
    "running": ({"main.py": LOOP}, {}),
    "idle": ({}, {}),
    "deep-sleep": ({"main.py": "import machine\nmachine.deepsleep()\n"}, {}),
    "waiting": ({"main.py": "import machine\nmachine.reset()\n"},
                {"reset": {"burst": "1", "rate": "1/1min"}}),
    "stopping": ({"main.py": "while True:\n    try:\n        while True: pass\n    except: pass\n"},
                 {"stop": {"interrupt-timeout": "2s", "abort-timeout": "2s"}}),
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("state", STATES)
def test_stops_in_each_state(boards, state, number):
    files, config = STATES[state]
    b = boards(files, config={**STOP, **config})
    if state == "stopping":
        b.wait_stage("main.py")
        b.control.reset("soft")
    b.wait_state(state)
    pid = b.board_pid()
    start = time.monotonic()
    assert b.stop(number) == 0
    assert time.monotonic() - start < timeout(6)
    assert not pid or not process_exists(pid)
    assert not (b.run_dir / "repl").is_symlink() and not (b.run_dir / "control").exists()


def test_stops_while_powering_on(boards):
    b = boards({"mode": "hang"}, board=built("hostile-board"))
    b.wait_state("powering-on")
    assert b.stop() == 0


def test_second_signal_does_not_wait(boards):
    b = boards({"main.py": STATES["stopping"][0]["main.py"]},
               config={"stop": {"interrupt-timeout": "1min", "abort-timeout": "1min"}})
    b.wait_stage("main.py")
    b.process.send_signal(signal.SIGTERM)
    b.wait_log("Stopping (SIGTERM)")
    start = time.monotonic()
    b.process.send_signal(signal.SIGTERM)
    assert b.wait_exit() == 0
    assert time.monotonic() - start < timeout(5)


def test_stop_lets_the_program_clean_up(boards):
    b = boards({"main.py": "try:\n    while True: pass\nfinally: open('/cleaned', 'w').close()\n"})
    b.wait_stage("main.py")
    time.sleep(0.05)
    assert b.stop() == 0
    assert (b.flash / "cleaned").exists()


def test_board_does_not_outlive_the_daemon(boards):
    b = boards({"main.py": "import micropython\nmicropython.kbd_intr(-1)\nwhile True: pass\n"})
    b.wait_stage("main.py")
    pid = b.board_pid()
    b.process.kill()
    assert b.wait_exit() == -signal.SIGKILL
    deadline = time.monotonic() + timeout(5)  # the kernel has sent it SIGKILL: it has to take it
    while process_exists(pid):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    # The next daemon takes what is left over, and says what happened.
    b.start()
    p = b.wait_stage("main.py")
    assert p["ResetCause"] == "HARD_RESET" and p["ResetReason"] == "UNKNOWN"
    rows = b.wait_history(lambda rows: len(rows) == 2)
    assert "without a clean stop" in rows[1]["detail"]


def test_started_by_one_who_ignores_sigchld(boards):
    b = boards(start=False)
    b.command = lambda own=b.command(): ["env", "--ignore-signal=CHLD", *own]
    b.start()
    b.wait_state("idle")
    os.kill(b.board_pid(), signal.SIGKILL)
    b.wait_log("SIGKILL")


def test_second_daemon_is_refused(board):
    other = board.dir / "other"
    other.mkdir()
    command = board.command()
    command[command.index("--run-dir") + 1] = str(other)
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout(20))
    assert done.returncode != 0
    assert f"Another mpyd uses {board.state_dir}" in done.stderr
    assert board.get("State") == "idle"
    board.friendly()


def test_second_daemon_on_the_run_directory_is_refused(board):
    other = board.dir / "other"
    command = board.command()
    command[command.index("--state-dir") + 1] = str(other)
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout(20))
    assert done.returncode == 1
    assert f"Another mpyd uses {board.run_dir}; stop it first." in done.stderr
    assert not (other / "history.db").exists()
    # The first one has its socket and its REPL still.
    assert board.get("State") == "idle"
    board.friendly()
    assert board.stop() == 0
    done = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # nobody holds it now
    try:
        assert any("the REPL is at" in line for line in done.stderr)
    finally:
        done.terminate()
        done.communicate()
    assert done.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses whom the board runs as")
def test_user_that_does_not_exist_is_told(boards):
    b = boards(config={"board": {"user": "no-such-user"}})
    b.wait_state("idle")
    b.wait_log("[board] user=no-such-user: there is no such user, running the board as nobody.")
    status = pathlib.Path(f"/proc/{b.board_pid()}/status").read_text()
    assert f"Uid:\t{pwd.getpwnam('nobody').pw_uid}\t" in status


@pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses whom the board runs as")
def test_scripts_do_not_run_as_root(boards):
    b = boards(config={"board": {"user": "root"}}, start=False)
    b.expected_exit = 1
    b.start(wait=False)
    assert b.wait_exit() == 1
    assert "[board] user=root would run scripts as root; choose an ordinary user." in b.log


def test_bad_command_line_is_refused(board):
    for extra in (["--nonsense"], ["unexpected"]):
        done = subprocess.run([*board.command(), *extra], capture_output=True, text=True,
                              timeout=timeout(20))
        assert done.returncode == 2 and extra[0] in done.stderr


def test_named_configuration_must_be_there(board):
    command = board.command()
    command[command.index("--config") + 1] = "/nonexistent/mpyd.conf"
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout(20))
    assert done.returncode == 1 and "/nonexistent/mpyd.conf" in done.stderr


def test_sighup_reads_the_configuration_again(board):
    repl = board.friendly()
    assert int(repl.line("import gc; n = gc.collect(); print(gc.mem_free())")) < 65 << 20
    assert board.get("ConfigWarnings") == []
    board.drop_in("10-test.conf",
                  "[board]\nheap = 128M\nheap-max = 128M\n[stop]\nabort-time = 1s\n")
    board.process.send_signal(signal.SIGHUP)
    p = board.wait(lambda p: p["ConfigWarnings"])
    warning = p["ConfigWarnings"][0]
    assert "10-test.conf:5" in warning and "abort-timeout" in warning
    board.wait_log("take effect at the next reset")
    assert board.get("HardResets") == 1
    repl.soft_reset()
    assert int(repl.line("import gc; n = gc.collect(); print(gc.mem_free())")) > 100 << 20


def test_a_key_that_is_set_back_waits_for_nothing(boards):
    """Compared is with what runs, not with the configuration before."""
    b = boards({}, config={"environment": {"SITE": "here"}})
    b.wait(lambda p: p["Stage"] == "repl")

    def reload(text):
        b.drop_in("10-test.conf", text)
        return b.ctl("reload").stdout

    reset, hard_reset = {"--soft", "--hard"}, {"--hard"}
    for text, note, taken_by in (
            ("[board]\nheap = 2M\n", "[board] heap and heap-max take effect at the next reset of the board.", reset),
            ("[board]\nflash-quota = 2M\n", "[board] flash-quota takes effect at the next reset of the board.", reset),
            ("[environment]\nSITE = there\n", "[environment] takes effect at the next reset of the board.", reset),
            ("[pins]\nsafe-state = GPIO5=1\n", "[pins] safe-state takes effect at the next hard reset of the board.",
             hard_reset),
            ("[history]\nmax-size = 8M\n", "[history] max-size takes effect when mpyd restarts.", set()),
            ("[gpio]\nchip = off\n", "[gpio] chip takes effect when mpyd restarts.", set())):
        assert note in reload(text), text
        assert note in reload(text), text  # it still waits
        assert " effect " not in reload(""), text
        for kind in "--soft", "--hard":
            reload(text)
            b.ctl("reset", kind)
            assert (note in reload(text)) == (kind not in taken_by), (text, kind)
            reload("")
            b.ctl("reset", "--hard")


def test_mistakes_in_the_configuration_do_not_stop_the_board(boards):
    b = boards(start=False)
    b.set_config({}, text="nonsense\n[board]\nheap = lots\n[bored]\nheap = 1M\n[stop]\n"
                          "abort-timeout = -3\n" + "x" * 5000 + "\n")
    b.start()
    b.wait_state("idle")
    warnings = b.get("ConfigWarnings")
    for place in ("mpyd.conf:1", "mpyd.conf:3", "mpyd.conf:4", "mpyd.conf:7", "mpyd.conf:8"):
        assert any(place in w for w in warnings), (place, warnings)
    b.friendly()


def test_console_and_daemon_come_back_after_a_restart(board):
    repl = board.friendly()
    board.restart()
    board.wait_state("idle")
    assert os.path.exists(board.repl_path())
    repl = board.friendly()
    assert repl.line("1 + 1") == "2\r\n"


def test_board_has_no_privileges_and_no_more_descriptors(board):
    pid = board.board_pid()
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert fields["CapEff"] == fields["CapPrm"] == "0" * 16
        assert "0" not in fields["Uid"].split() and "0" not in fields["Gid"].split()
        assert fields["Groups"].strip() == ""
    links = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        links[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    assert links[0] == links[1] == "/dev/null"
    # A sanitizer's report is worth that the board could write to the daemon's log by itself.
    assert (links[2] == "/dev/null") == (not is_sanitized()), links[2]
    for fd, target in links.items():
        # Its own are made after it started; what it inherited are the contract's seven.
        assert fd < 8 or target.startswith("anon_inode:"), links
    environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    names = {e.split(b"=")[0] for e in environment.split(b"\0") if e}
    assert names <= {b"ASAN_OPTIONS", b"UBSAN_OPTIONS", b"LSAN_OPTIONS"}


def test_idle_daemon_and_board_do_not_wake_up(board):
    pids = (board.pid, board.board_pid())
    board._forget_clients()  # a connection that closes is work, too
    time.sleep(4)            # so are the history's last row, and the last look whether the VM goes on

    def switches():
        """How often their threads were scheduled."""
        tasks = [t for p in pids for t in pathlib.Path(f"/proc/{p}/task").glob("*/status")]
        return sum(int(line.split()[1]) for t in tasks for line in t.read_text().splitlines()
                   if line.startswith(("voluntary_ctxt", "nonvoluntary_ctxt")))

    before = switches()
    time.sleep(3)
    assert switches() == before
