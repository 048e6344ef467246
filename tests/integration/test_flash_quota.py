# SPDX-License-Identifier: MIT
"""[board] flash-quota=: a program cannot write more than that, its owner can."""
import json
import os

QUOTA = 256 << 10  # 64 blocks of 4 KiB
FILL = """import os
def fill(name, piece=5000):
    n = 0
    with open(name, 'wb') as f:
        try:
            while True: n += f.write(bytes(piece))
        except OSError as e:
            return e.errno, n
def room():
    s = os.statvfs('/')
    return s[0] * s[3], s[0] * s[2]
"""


def start(boards, quota="256K"):
    b = boards({"main.py": "x = 1\n"}, config={"board": {"flash-quota": quota}})
    b.wait_state("idle")
    return b, b.friendly()


def say(repl, expression):
    out, error = repl.exec_raw(f"print({expression})")
    assert error == "", error
    return out.strip()


def test_program_is_told_that_the_flash_is_full(boards):
    b, repl = start(boards)
    repl.enter_raw()
    repl.exec_raw(FILL)
    free, size = eval(say(repl, "room()"))
    assert size == QUOTA and free == QUOTA - 4096, (free, size)
    # 63 blocks are left; what does not fit is not written in part.
    assert say(repl, "fill('/a')") == str((28, free // 5000 * 5000))
    assert os.path.getsize(b.flash / "a") == free // 5000 * 5000
    # A file that is there can still be written over, but not made longer; nothing new comes to be.
    assert say(repl, "open('/main.py', 'wb').write(b'y' * 4096)") == "4096"
    assert "ENOSPC" in repl.exec_raw("open('/main.py', 'ab').write(b'y' * 4097)")[1]
    assert "ENOSPC" in repl.exec_raw("f = open('/main.py', 'r+b')\nf.seek(100000)\nf.write(b'y')")[1]
    assert "ENOSPC" in repl.exec_raw("open('/main.py', 'r+b').truncate(100000)")[1]
    assert eval(say(repl, "room()"))[0] == 0
    for code in ("open('/new', 'w')", "os.mkdir('/new')", "open('/main.py', 'ab').write(b'y')"):
        assert "ENOSPC" in repl.exec_raw(code)[1], code
    assert not (b.flash / "new").exists()
    assert "EEXIST" in repl.exec_raw("os.mkdir('/main.py')")[1]  # what is there is not a question of room
    assert repl.exec_raw("open('/main.py', 'w').close()") == ("", "")
    # What is removed is room again, in a directory as well.
    assert repl.exec_raw("os.remove('/a')\nos.mkdir('/d')") == ("", "")
    left = eval(say(repl, "room()"))[0]
    assert left >= 60 * 4096 and say(repl, "fill('/d/b', 4096)") == str((28, left))


def test_owner_is_not_stopped_and_what_he_does_counts(boards, tmp_path):
    b, repl = start(boards)
    repl.enter_raw()
    repl.exec_raw(FILL)
    assert repl.exec_raw("open('/a', 'wb').write(bytes(100000))") == ("", "")
    repl.leave_raw()
    big = tmp_path / "big"
    big.write_bytes(bytes(300000))
    b.ctl("cp", big, ":big")
    shown = json.loads(b.ctl("--json", "df").stdout)
    used = (1 + 25 + 74) * 4096
    assert shown == {"total": QUOTA, "used": used, "available": 0}
    assert b.ctl("df").stdout.startswith("400.0 KiB of 256.0 KiB used, 0 B free")
    repl.enter_raw()
    # The program had room when it looked last; it finds out when that is used up.
    assert say(repl, "fill('/b', 4096)") == str((28, QUOTA - (1 + 25) * 4096))
    assert eval(say(repl, "room()"))[0] == 0
    os.remove(b.flash / "big")
    assert "ENOSPC" in repl.exec_raw("open('/c', 'wb').write(bytes(4096))")[1]
    os.remove(b.flash / "a")
    assert repl.exec_raw("open('/c', 'wb').write(bytes(4096))") == ("", "")
    assert b.get("Crashes") == 0


def test_without_a_quota_it_is_the_disk_that_counts(boards):
    b, repl = start(boards, quota="off")
    host = os.statvfs(b.flash)
    repl.enter_raw()
    assert say(repl, "__import__('os').statvfs('/')[2]") == str(host.f_blocks)
    assert json.loads(b.ctl("--json", "df").stdout)["total"] == host.f_blocks * host.f_frsize
    # It is taken up at the next reset, and that is told.
    b.set_config({"board": {"flash-quota": "1M"}})
    done = b.ctl("reload")
    assert "flash-quota takes effect at the next reset" in done.stdout + done.stderr, done
    assert json.loads(b.ctl("--json", "df").stdout)["total"] == host.f_blocks * host.f_frsize
    repl.close()
    b.hard_reset()
    b.wait_state("idle")
    assert b.ctl("eval", "__import__('os').statvfs('/')[0:3]").stdout.strip() == "(4096, 4096, 256)"


def test_whatever_lies_there_can_be_measured(boards):
    """A link to above, one to itself, directories 70 deep and one that the board may not read: no endless walk,
    and no error, with which the program could not write any more."""
    b, repl = start(boards)
    os.symlink("..", b.flash / "up")
    os.symlink("self", b.flash / "self")
    repl.enter_raw()
    repl.exec_raw(FILL)
    assert eval(say(repl, "room()"))[0] == QUOTA - 3 * 4096
    deep = b.flash
    for _ in range(40):
        deep = deep / "d"
        deep.mkdir()
    assert eval(say(repl, "room()"))[0] == QUOTA - 43 * 4096
    for _ in range(30):
        deep = deep / "d"
        deep.mkdir()
    os.mkdir(b.flash / "hidden", mode=0)
    left = eval(say(repl, "room()"))[0]
    assert QUOTA - 74 * 4096 <= left < QUOTA - 43 * 4096 or left == 0
    assert b.ctl("df").stdout
    assert "ENOSPC" in repl.exec_raw("open('/new', 'w')")[1]
    deep.rmdir()
    os.rmdir(b.flash / "hidden")
