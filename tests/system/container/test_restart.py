# SPDX-License-Identifier: MIT
"""What a restart of the daemon is to the board, by each way that there is: its cause, the console's
terminal, the retained memory."""
import packages
import pytest
from conftest import install

MAIN = "import machine\nprint('cause', machine.reset_cause(), machine.RTC().memory())\n"
KEEP = "__import__('machine').RTC().memory(b'kept')"
HARD, SOFT, WDT = 2, 5, 3


@pytest.fixture
def kept(board):
    """A board that has something to lose, and its terminal."""
    board.write("/var/lib/mpyd/flash/main.py", MAIN)
    board.run(f"mpyctl eval \"{KEEP}\"")
    return board


def terminal(machine):
    return machine.run("readlink /run/mpyd/repl").strip()


def wait_line(machine, text):
    machine.run(f"for i in $(seq 150); do mpyctl log | grep -qF \"{text}\" && exit; sleep 0.1; done; "
                "mpyctl log; exit 1")


def last_reset(machine):
    return machine.run("mpyctl status").split("Last reset: ")[1].splitlines()[0]


def test_restart_is_the_reset_button(kept):
    before = terminal(kept)
    kept.run("systemctl restart mpyd")
    wait_line(kept, f"cause {HARD} b'kept'")
    assert terminal(kept) == before
    assert "mpyd was stopped and started again" in last_reset(kept)


def test_crash_of_the_daemon_keeps_console_and_memory(kept):
    before = terminal(kept)
    kept.run("kill -SEGV $(systemctl show -P MainPID mpyd)")
    wait_line(kept, f"cause {HARD} b'kept'")
    assert terminal(kept) == before
    assert "mpyd was killed by SIGSEGV" in last_reset(kept)
    assert kept.run("pgrep -c mpyd-board").strip() == "1"


def test_a_hung_daemon_is_ended_by_systemds_watchdog(kept):
    before = terminal(kept)
    kept.run("kill -STOP $(systemctl show -P MainPID mpyd)")
    wait_line(kept, f"cause {WDT} b'kept'")
    assert terminal(kept) == before
    assert "no sign of life" in last_reset(kept)
    assert "watchdog" in kept.run("mpyctl history").lower()


def test_stop_and_start_forgets_what_systemd_kept(kept):
    kept.run("systemctl stop mpyd")
    assert not kept.path("/run/mpyd/repl").is_symlink()
    kept.run("systemctl start mpyd")
    wait_line(kept, f"cause {HARD} b''")


def test_hand_over_is_a_soft_reset(kept):
    before = terminal(kept)
    kept.run("mpyctl restart --keep-pins")
    wait_line(kept, f"cause {SOFT} b'kept'")
    assert terminal(kept) == before


def test_upgrade_hands_over(kept, suite, tmp_path):
    before = terminal(kept)
    deb = packages.find(suite)
    install(kept, packages.with_version(deb, packages.field(deb, "Version") + "+1", tmp_path))
    wait_line(kept, f"cause {SOFT} b'kept'")
    assert terminal(kept) == before


def test_reload_is_over_when_systemctl_returns(kept):
    kept.run("printf '[log]\\nlevel = debug\\n[board]\\nheap = 2M\\nheap-min = 3\\n' >>/etc/mpyd/mpyd.conf")
    kept.run("systemctl reload mpyd")
    journal = kept.run("journalctl -u mpyd -o cat")
    assert "Configuration read again." in journal
    assert "heap and heap-max take effect at the next reset of the board." in journal
    assert "heap-min" in journal
    assert "mpyd.conf" in kept.run("mpyctl status")
