# SPDX-License-Identifier: MIT
"""File systems that a program mounts itself: FAT and littlefs on a block device that is a Python object over a file of
the flash, ROMFS in memory; as `vfs` has them on every port."""
import os
import signal
import sys
import time

import pytest

from mpydtest import BUILD
from mpydtest.paths import micropython_dir

# A block device as the documentation of vfs.AbstractBlockDev describes one, both interfaces.
DEVICE = """
import os, vfs
class FileDevice:
    def __init__(self, path, size, count):
        self.size, self.count = size, count
        try:
            self.f = open(path, 'r+b')
        except OSError:
            with open(path, 'wb') as f:
                for i in range(count): f.write(b'\\xff' * size)
            self.f = open(path, 'r+b')
    def readblocks(self, n, buf, offset=0):
        self.f.seek(n * self.size + offset)
        self.f.readinto(buf)
    def writeblocks(self, n, buf, offset=0):
        self.f.seek(n * self.size + offset)
        self.f.write(buf)
    def ioctl(self, op, arg):
        if op == 3: self.f.flush()
        return {4: self.count, 5: self.size, 6: 0}.get(op)
device = FileDevice('/card.img', %(size)d, %(count)d)
FS = vfs.%(fs)s
"""
CARDS = {"VfsFat": {"fs": "VfsFat", "size": 512, "count": 512}, "VfsLfs1": {"fs": "VfsLfs1", "size": 1024, "count": 128},
         "VfsLfs2": {"fs": "VfsLfs2", "size": 1024, "count": 128}}


def run(repl, code):
    out = repl.line(f"exec({code!r})").replace("\r\n", "\n")
    assert "Traceback" not in out, out
    return out.strip()


@pytest.fixture(params=CARDS)
def card(request):
    return DEVICE % CARDS[request.param]


def test_a_card(boards, card):
    """Made, filled, used like the flash, imported from; still there after resets of both kinds."""
    b = boards({})
    r = b.friendly()
    run(r, card + "FS.mkfs(device)\nvfs.mount(FS(device), '/sd')\nos.mkdir('/sd/lib')")
    assert "/sd" in run(r, "import vfs\nprint(vfs.mount())")
    assert run(r, "with open('/sd/a.txt', 'w') as f: print(f.write('hallo'))\n"
                  "with open('/sd/lib/helper.py', 'w') as f: _ = f.write('answer = 42')\n"
                  "os.rename('/sd/a.txt', '/sd/b.txt')\nprint(sorted(os.listdir('/sd')), open('/sd/b.txt').read())") == \
        "5\n['b.txt', 'lib'] hallo"
    assert run(r, "s = os.statvfs('/sd')\nprint(0 < s[3] < s[2], os.stat('/sd/b.txt')[6], os.stat('/sd/lib')[0] == 0x4000)") == \
        "True 5 True"
    assert run(r, "import sys\nsys.path.append('/sd/lib')\nimport helper\nprint(helper.answer)") == "42"
    # full, and usable again
    assert run(r, "try:\n    with open('/sd/big', 'wb') as f:\n        while True: f.write(bytes(1024))\n"
                  "except OSError as e: print(e)\nos.remove('/sd/big')\nopen('/sd/c', 'w').close()\n"
                  "print(sorted(os.listdir('/sd')))") == "[Errno 28] ENOSPC\n['b.txt', 'c', 'lib']"
    for wrong, says in (("open('/sd/none')", "ENOENT"), ("os.mkdir('/sd/lib')", "EEXIST"), ("os.rmdir('/sd/lib')", "E")):
        assert says in run(r, f"try: {wrong}\nexcept OSError as e: print(e)"), wrong
    r.write(b"\x04")
    r.read_until(b">>> ")
    assert run(r, "import os\nprint('sd' in os.listdir('/'))") == "False"  # what a soft reset forgets
    assert run(r, card + "vfs.mount(FS(device), '/sd')\nprint(open('/sd/b.txt').read())\nvfs.umount('/sd')\n"
                         "try: open('/sd/b.txt')\nexcept OSError as e: print(e)") == "hallo\n[Errno 2] ENOENT"
    b.hard_reset()
    r = b.friendly()
    assert run(r, card + "vfs.mount(FS(device), '/sd', readonly=True)\n"
                         "print(open('/sd/b.txt').read())\ntry: open('/sd/new', 'w')\nexcept OSError as e: print(e)") == \
        "hallo\n[Errno 30] EROFS"


def test_littlefs_outlives_kills(boards):
    """The board is killed while it writes: each time the card mounts, with the old text or the new."""
    card = DEVICE % CARDS["VfsLfs2"]
    b = boards({"main.py": card + "try:\n    fs = FS(device)\nexcept OSError:\n    FS.mkfs(device)\n    fs = FS(device)\n"
                                  "vfs.mount(fs, '/sd')\n"
                                  "try:\n    n = int(open('/sd/n').read())\nexcept OSError:\n    n = 0\n"
                                  "print('mounted', n)\ntold = True\n"
                                  "while True:\n    n += 1\n    with open('/sd/new', 'w') as f: f.write(str(n))\n"
                                  "    os.rename('/sd/new', '/sd/n')\n    if told: print('wrote')\n    told = False\n"})
    last = -1
    for i in range(12):
        b.wait(lambda _: b.log_count("wrote") == i + 1, what="a first write of this life")
        n = int([line for line in b.log.splitlines() if "mounted" in line][-1].rpartition(" ")[2])
        assert n > last, (n, last)
        last = n
        time.sleep(0.05 + 0.013 * i)
        os.kill(b.board_pid(), signal.SIGKILL)
    assert last > 0


def test_romfs(boards, tmp_path):
    """An image made by mpremote's own writer, mounted from memory; it is imported from and cannot be written."""
    sys.path.insert(0, str(micropython_dir() / "tools/mpremote"))
    try:
        from mpremote.romfs import make_romfs
    finally:
        del sys.path[0]
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/inside.py").write_text("answer = 42\n")
    (tmp_path / "data.bin").write_bytes(bytes(range(256)))
    image = make_romfs(str(tmp_path) + "/", mpy_cross=None)
    b = boards({"card.romfs": image})
    r = b.friendly()
    assert run(r, "import os, sys, vfs\nvfs.mount(vfs.VfsRom(open('/card.romfs', 'rb').read()), '/rom')\n"
                  "sys.path.append('/rom/lib')\nimport inside\nprint(inside.answer, sorted(os.listdir('/rom')))\n"
                  "f = open('/rom/data.bin', 'rb')\nprint(f.seek(250), f.read())\n"
                  "try: open('/rom/new', 'w')\nexcept OSError as e: print(e)") == \
        "42 ['data.bin', 'lib']\n250 b'\\xfa\\xfb\\xfc\\xfd\\xfe\\xff'\n[Errno 30] EROFS"
    assert "Traceback" in r.line("vfs.VfsRom(b'none')") and b.get("Crashes") == 0


def test_the_flash_is_listed_by_name(boards):
    """As littlefs does it, in the order of the bytes; the kernel's is none. Over more names than one read of the
    directory gives."""
    names = [f"{n * 7919 % 1000:03d}" + "x" * (n % 90) for n in range(1000)] + ["B", "a", "ä", "_"]
    b = boards({f"d/{name}": "" for name in names})
    r = b.friendly()
    assert run(r, "import os\nfound = os.listdir('d')\n"
                  "print(len(found), all(x.encode() < y.encode() for x, y in zip(found, found[1:])))\n"
                  "print([n for n in found if n[0] > '9'])\nprint(os.listdir(b'd')[0][:3], len(os.listdir(b'd')))") == \
        "1004 True\n['B', '_', 'a', '\\xe4']\nb'000' 1004"
    # What goes while it is listed is left out, and what cannot be is an error at once.
    assert run(r, "it = os.ilistdir('d')\nfirst = next(it)[0]\nos.remove('d/B')\n"
                  "rest = [e[0] for e in it]\nprint(len(rest), 'B' in rest)\n"
                  "try: os.ilistdir('none')\nexcept OSError as e: print(e)") == "1002 False\n[Errno 2] ENOENT"


def test_sync_reaches_every_file_system(boards):
    """os.sync() has what a FAT volume keeps back written, and the flash (which takes 300 ms here, when it is told to
    write); it is a name of the module like others."""
    repl = boards(board=BUILD / "tests/slow-board").raw()
    out, error = repl.exec_raw("""
import time, vfs
from os import *
class Ram:
    synced = 0
    data = bytearray(512 * 128)
    def readblocks(self, n, buf):
        buf[:] = self.data[n * 512:n * 512 + len(buf)]
    def writeblocks(self, n, buf):
        self.data[n * 512:n * 512 + len(buf)] = buf
    def ioctl(self, op, arg):
        self.synced += op == 3
        return {4: 128, 5: 512}.get(op)
ram = Ram()
vfs.VfsFat.mkfs(ram)
vfs.mount(ram, '/ram')
before = ram.synced
t = time.ticks_ms()
print(sync(), ram.synced - before, time.ticks_diff(time.ticks_ms(), t) >= 300)
""")
    assert (out.strip(), error) == ("None 1 True", "")


def test_close_waits_for_the_disk(boards):
    """What was written is on the disk when close() returns, which takes the 300 ms that a flush takes here; write() does
    not wait, nor has a file that was only read anything to wait for."""
    b = boards({"old": "x"}, board=BUILD / "tests/slow-board")
    out, error = b.raw().exec_raw("""
import time
def took(f, data):
    t = time.ticks_ms()
    if data: f.write(data)
    written = time.ticks_diff(time.ticks_ms(), t)
    f.close()
    return written, time.ticks_diff(time.ticks_ms(), t)
for mode, data in ('w', 'x'), ('ab', b'y'), ('r+', ''), ('r', ''):
    times = [took(open('old', mode), data) for i in range(3)]
    print(min(w for w, c in times) >= 300, min(c for w, c in times) >= 300)
""")
    assert (out.split(), error) == (["False", "True", "False", "True", "False", "False", "False", "False"], "")
