# SPDX-License-Identifier: MIT
"""The factory reset of an installed board: the sandboxed daemon has no right to what belongs to others, and
mpyd-action@.service has."""


def test_files_of_everybody(board):
    """The board's own, those of a user who copied them with rights of their own, and root's."""
    board.run("""set -e
        cd /var/lib/mpyd/flash
        install -d -m 700 -o nobody -g nogroup theirs && install -m 600 -o nobody -g nogroup /dev/null theirs/file
        install -d -m 755 lib && echo 'x = 1' >lib/roots.py
        mpyctl exec "open('/own.txt', 'w').write('measured')" """)
    out = board.run("mpyctl factory-reset --yes")
    assert "Factory reset done: what was on it is in /var/lib/mpyd/before-factory-reset/1." in out
    assert board.run("ls /var/lib/mpyd/flash").split() == ["boot.py", "main.py"]
    assert board.run("cd /var/lib/mpyd/flash; stat -c '%U:%G %a' . boot.py main.py").split("\n")[:3] == [
        "mpyd:mpyd 2775", "mpyd:mpyd 664", "mpyd:mpyd 664"]
    set1 = "/var/lib/mpyd/before-factory-reset/1"
    assert board.run(f"cat {set1}/own.txt") == "measured"
    assert board.run(f"stat -c '%U %a' {set1}/theirs/file").strip() == "nobody 600"
    assert board.evaluate("6*7") == "42"
    line, = board.journal("MPYD_EVENT=factory-reset")
    assert "asked for by mpyctl" in line["MESSAGE"]
    assert board.run("systemctl --failed --no-legend --plain").strip() == ""
    # an owner who has the files back again
    board.run(f"cp {set1}/own.txt /var/lib/mpyd/flash/ && mpyctl factory-reset --yes --wipe")
    assert board.run("ls /var/lib/mpyd/before-factory-reset").split() == ["1"]


def test_without_the_door(board):
    board.write("/var/lib/mpyd/flash/main.py", "print('own')\n")
    board.run("systemctl stop mpyd-action.socket")
    result = board.execute("mpyctl factory-reset --yes")
    assert result.returncode == 2 and "is mpyd-action.socket active?" in result.stderr, result
    assert board.run("cat /var/lib/mpyd/flash/main.py") == "print('own')\n"
    board.run("systemctl start mpyd-action.socket; mpyctl factory-reset --yes")


def test_a_full_disk(board):
    """What was set aside goes when there is no room; the factory reset itself takes none."""
    board.run("""set -e
        systemctl stop mpyd
        mount -t tmpfs -o size=8M tmpfs /var/lib/mpyd
        install -d -m 2775 -o mpyd -g mpyd /var/lib/mpyd/flash
        systemctl start mpyd
        mpyctl exec "open('/big', 'wb').write(bytes(10000))"
        dd if=/dev/zero of=/var/lib/mpyd/flash/filler bs=64k 2>/dev/null || :""")
    assert board.execute("echo x >/var/lib/mpyd/flash/more").returncode != 0
    board.run("mpyctl factory-reset --yes --wipe")
    assert board.run("ls /var/lib/mpyd/flash").split() == ["boot.py", "main.py"]
    assert board.evaluate("6*7") == "42"
    # and without being asked, once somebody else needs it
    board.run("head -c 3M /dev/zero >/var/lib/mpyd/flash/old; mpyctl factory-reset --yes; "
              "head -c 4500K /dev/zero >/var/lib/mpyd/flash/new; systemctl restart mpyd")
    board.until("ls /var/lib/mpyd/before-factory-reset || :", lambda out: not out.strip(), 60)
    board.log_shows("The disk gets full: removed /var/lib/mpyd/before-factory-reset/1")
    assert board.run("ls /var/lib/mpyd/flash").split() == ["boot.py", "main.py", "new"]


def test_a_flash_of_its_own(board):
    """A file system of its own, from which nothing can be set aside: nothing is touched unless that is said."""
    board.run("systemctl stop mpyd; mount -t tmpfs tmpfs /var/lib/mpyd/flash; chown mpyd:mpyd /var/lib/mpyd/flash; "
              "chmod 2775 /var/lib/mpyd/flash; echo keep >/var/lib/mpyd/flash/data; systemctl start mpyd")
    result = board.execute("mpyctl factory-reset --yes")
    assert result.returncode == 2 and "with --wipe they are erased" in result.stderr, result
    assert board.run("cat /var/lib/mpyd/flash/data") == "keep\n"
    assert "what was on it is erased" in board.run("mpyctl factory-reset --yes --wipe")
    assert board.run("ls /var/lib/mpyd/flash").split() == ["boot.py", "main.py"]
    assert board.run("mountpoint /var/lib/mpyd/flash").strip().endswith("is a mountpoint")
