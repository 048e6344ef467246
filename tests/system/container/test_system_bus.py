# SPDX-License-Identifier: MIT
"""org.mpyd1 on the system bus, as its policy has it: everybody may look, nobody may change anything there, and
the name is root's."""
import pytest

GET = "busctl --system get-property org.mpyd1 /org/mpyd1 org.mpyd1.Board {0}"
STRANGER = "setpriv --reuid=65534 --regid=65534 --clear-groups "


@pytest.fixture
def shown(board):
    board.until(GET.format("State"), lambda out: '"idle"' in out)
    return board


def test_everybody_may_look(shown):
    assert shown.run(STRANGER + GET.format("State")).strip() == 's "idle"'
    text = shown.run(STRANGER + "busctl --system introspect --no-pager org.mpyd1 /org/mpyd1 org.mpyd1.Board")
    assert ".State" in text and ".SafeMode" in text and ".BoardReset" in text
    # what changes something is not even there
    assert [line for line in text.splitlines() if " method " in line] == []


@pytest.mark.parametrize("user", ["", STRANGER], ids=["root", "stranger"])
def test_nobody_may_change_anything(shown, user):
    before = shown.status()["hard_resets"]
    for call in ("Reset s hard", "SafeMode b true", "Interrupt", "OpenFlash"):
        r = shown.execute(f"{user}busctl --system call org.mpyd1 /org/mpyd1 org.mpyd1.Board {call}")
        assert r.returncode != 0, call
    assert shown.status()["hard_resets"] == before


def test_signals_reach_everybody(shown):
    shown.run("(" + STRANGER + "timeout 20 dbus-monitor --system "
              "\"type='signal',interface='org.mpyd1.Board'\" >/tmp/heard 2>&1 || :) & "
              "for i in $(seq 20); do mpyctl reset; sleep 0.5; grep -q BoardReset /tmp/heard && break; done", 120)
    assert "BoardReset" in shown.run("cat /tmp/heard")


def test_the_name_is_roots(shown):
    """A stranger cannot pretend to be the board, not even when mpyd is away."""
    shown.run("systemctl stop mpyd")
    r = shown.execute(STRANGER + "dbus-send --system --print-reply --dest=org.freedesktop.DBus "
                      "/org/freedesktop/DBus org.freedesktop.DBus.RequestName "
                      "string:org.mpyd1 uint32:0")
    assert r.returncode != 0 and "AccessDenied" in r.stdout + r.stderr
