# SPDX-License-Identifier: MIT
"""mpyd-action.socket and mpyd-action@.service: what the sandboxed daemon asks them for is done, with the rights
that it has not; nobody else is let in."""
COMMAND = ("printf '%s|%s|%s' $MPYD_EVENT \"$MPYD_MESSAGE\" $(id -u) >/root/told; echo spoken; "
           "echo $MPYD_MESSAGE >>/root/all")
KNOCK = """\
import socket, os
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
try:
    s.connect('/run/mpyd-action')
    print('let in')
except OSError as e:
    print(e.errno)
"""


def notify(board, command=COMMAND):
    board.write("/etc/mpyd/mpyd.conf.d/notify.conf", f"[notify]\ncommand = {command}\nevents = watchdog\n")
    board.run("mpyctl reload && mpyctl notify hello")


def test_owner_is_told(board):
    """As root and outside of mpyd's sandbox, where /root is not even visible."""
    notify(board)
    told = board.until("cat /root/told", lambda out: "hello" in out)
    event, message, uid = told.split("|")
    assert (event, uid) == ("notify-test", "0") and message.endswith("asks to tell the owner: hello")
    board.until("journalctl -q -o cat -u 'mpyd-action@*'", lambda out: "spoken" in out)
    assert board.run("systemctl --failed --no-legend --plain").strip() == ""


def test_watchdog_is_told(board):
    notify(board)
    board.write("/var/lib/mpyd/flash/main.py", "import machine\nmachine.WDT(timeout=10)\nwhile True: pass\n")
    board.run("rm -f /root/told; mpyctl reset --no-wait")
    board.until("cat /root/told", lambda out: out.startswith("watchdog|WDT_RESET: machine.WDT was not fed"))


def test_a_command_that_fails_leaves_nothing_behind(board):
    notify(board, "exit 9")
    board.log_shows("[notify] command ended with exit status 9")
    board.until("systemctl list-units --all --no-legend --plain 'mpyd-action@*'", lambda out: not out.strip())


def test_nobody_else_is_let_in(board):
    board.write("/tmp/knock.py", KNOCK)
    assert board.run("mpyctl run /tmp/knock.py").strip() == "13"  # EACCES
    stranger = board.execute("setpriv --reuid=65534 --regid=65534 --clear-groups "
                             "python3 -c \"import socket; socket.socket(socket.AF_UNIX, "
                             "socket.SOCK_SEQPACKET).connect('/run/mpyd-action')\"")
    assert stranger.returncode != 0 and "PermissionError" in stranger.stderr + stranger.stdout, stranger


def test_the_door_over_restarts(board):
    """Over restarts of the daemon; and what was asked for while it was shut is told once it is open."""
    board.run("systemctl restart mpyd")
    notify(board)
    board.until("cat /root/told", lambda out: "hello" in out)
    board.run("rm /root/told; systemctl stop mpyd-action.socket")
    board.run("mpyctl notify again")
    board.log_shows("Failed to tell the owner")
    board.run("systemctl start mpyd-action.socket && mpyctl notify third")
    board.until("cat /root/told", lambda out: "third" in out)
    texts = [line.rpartition(" ")[2] for line in board.run("cat /root/all").splitlines()]
    assert texts == ["hello", "again", "third"]
