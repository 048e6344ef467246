# SPDX-License-Identifier: MIT
"""A hostile script: main.py that brings machine code along and makes system calls of its own, under the
real mpyd, as root and as an ordinary user. What it tries is refused; the board and the supervisor live
on. (What else the filters hold back, and what they let through, is tests/unit/test-board-confine.c.)"""
import errno
import json
import os
import pathlib
import platform
import shutil
import signal
import struct
import sys

import pytest

from mpydtest import board_program, mpyd_program, process_exists
from mpydtest.control import METHOD_CALL, pad, put, types

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64",
                                reason="the script's machine code is of x86-64")

ORDINARY = 60001  # a user without a name

# A viper function's place in memory is overwritten: it becomes a system call. Its argument is the
# address of seven words, number and arguments; the answer goes into the eighth.
RAW = """\
import json, os, struct, uctypes, micropython

@micropython.viper
def raw(a: int) -> int:
""" + "    a += 70000\n" * 40 + """\
    return a

code = bytes((0x48,0x8b,0x09, 0x48,0xd1,0xf9, 0x51, 0x48,0x8b,0x01, 0x48,0x8b,0x79,0x08,
              0x48,0x8b,0x71,0x10, 0x48,0x8b,0x51,0x18, 0x4c,0x8b,0x51,0x20, 0x4c,0x8b,0x41,0x28,
              0x4c,0x8b,0x49,0x30, 0x0f,0x05, 0x59, 0x48,0x89,0x41,0x38, 0xb8,1,0,0,0, 0xc3))
place = struct.unpack('Q', uctypes.bytes_at(id(raw) + 24, 8))[0]
uctypes.bytearray_at(place, len(code))[:] = code

keep = []
def address(a):
    if isinstance(a, int):
        return a
    keep.append(a if isinstance(a, bytearray) else bytearray(a.encode() + bytes(1)))
    return uctypes.addressof(keep[-1])

def call(number, *arguments):
    frame = bytearray(64)
    words = [number] + [address(a) for a in arguments]
    for i, w in enumerate(words):
        struct.pack_into('q', frame, 8 * i, w)
    raw(uctypes.addressof(frame))
    return struct.unpack_from('q', frame, 56)[0]

READ, WRITE, OPEN, SOCKET, CONNECT, EXIT = 0, 1, 2, 41, 42, 60
"""

# Reads what to try, tries it, writes down what came of it.
ATTACK = RAW + """\
with open('/attacks') as f:
    attacks = json.load(f)
results = {'getpid': call(39)}
for name, arguments in attacks:
    results[name] = call(*[bytearray(a['zeros']) if isinstance(a, dict) else a for a in arguments])

def converse(path, hello, requests):
    fd = call(SOCKET, 1, 1, 0)
    end = call(CONNECT, fd, bytearray(struct.pack('<H', 1) + path.encode() + bytes(1)), len(path) + 3)
    if end < 0:
        return str(end)
    got = b''
    for message in [hello] + requests:
        call(WRITE, fd, bytearray(message), len(message))
        buf = bytearray(4096)
        n = call(READ, fd, buf, len(buf))
        if n <= 0:
            break
        got += bytes(buf[:n])
    return got

with open('/control') as f:
    path, hello, requests = json.load(f)
got = converse(path, bytes(hello), [bytes(r) for r in requests])
results['control'] = got.count(b'org.freedesktop.DBus.Error.AccessDenied')
results['said'] = str(got)
try:
    open('/../history.db')
    results['open()'] = 'done'
except OSError as e:
    results['open()'] = -e.errno
with open('/results', 'w') as f:
    json.dump(results, f)
print('the attack is over')
"""

# x86-64's numbers.
(FTRUNCATE, SETUID, PTRACE, PRCTL, MOUNT, KILL, TGKILL, CLONE, FORK, VFORK, EXECVE, OPENAT, LINKAT,
 SYMLINKAT, UNSHARE, PROCESS_VM_READV, PROCESS_VM_WRITEV, PIDFD_OPEN, PIDFD_SEND_SIGNAL, BPF, KEYCTL,
 IO_URING_SETUP, USERFAULTFD, PERSONALITY, PERF_EVENT_OPEN, INIT_MODULE, REBOOT, SOCKET, FCNTL) = (
     77, 105, 101, 157, 165, 62, 234, 56, 57, 58, 59, 257, 265,
     266, 272, 310, 311, 434, 424, 321, 250,
     425, 323, 135, 298, 175, 169, 41, 72)
OPEN = 2
LINK_FD, RETAINED_FD, FLASH_FD = 3, 6, 7
AT_FDCWD = -100


def calls_at(pid):
    """Against the supervisor and the machine."""
    return {
        "kill the supervisor": [KILL, pid, signal.SIGKILL],
        "stop the supervisor": [KILL, pid, signal.SIGSTOP],
        "kill everybody": [KILL, -1, signal.SIGTERM],
        "kill a thread of the supervisor": [TGKILL, pid, pid, signal.SIGKILL],
        "pidfd of the supervisor": [PIDFD_OPEN, pid, 0],
        "signal by pidfd": [PIDFD_SEND_SIGNAL, LINK_FD, signal.SIGTERM, 0, 0],
        "signal by SIGIO": [FCNTL, LINK_FD, 8, pid],
        "trace the supervisor": [PTRACE, 16, pid, 0, 0],
        "be traced": [PTRACE, 0, 0, 0, 0],
        "read the supervisor": [PROCESS_VM_READV, pid, {"zeros": 16}, 1, {"zeros": 16}, 1, 0],
        "write the supervisor": [PROCESS_VM_WRITEV, pid, {"zeros": 16}, 1, {"zeros": 16}, 1, 0],
        "execute a shell": [EXECVE, "/bin/sh", 0, 0],
        "fork": [FORK],
        "vfork": [VFORK],
        "clone": [CLONE, signal.SIGCHLD, 0, 0, 0, 0],
        "a new user namespace": [UNSHARE, 0x10000000],
        "a new mount namespace": [UNSHARE, 0x20000],
        "mount": [MOUNT, "none", "/tmp", "tmpfs", 0, 0],
        "become root": [SETUID, 0],
        "outlive the supervisor": [PRCTL, 1, 0, 0, 0, 0],
        "become traceable": [PRCTL, 4, 1, 0, 0, 0],
        "bpf": [BPF, 0, {"zeros": 64}, 64],
        "keyctl": [KEYCTL, 0, -3, 1],
        "io_uring": [IO_URING_SETUP, 4, {"zeros": 256}],
        "userfaultfd": [USERFAULTFD, 1],
        "personality": [PERSONALITY, 0x0040000],
        "perf": [PERF_EVENT_OPEN, {"zeros": 128}, 0, -1, -1, 0],
        "load a module": [INIT_MODULE, {"zeros": 16}, 16, ""],
        "reboot": [REBOOT, -18751827, 672274793, 0x1234567, 0],
        "a packet socket": [SOCKET, 17, 3, 0x300],
        "cut the retained page": [FTRUNCATE, RETAINED_FD, 0],
        "grow the retained page": [FTRUNCATE, RETAINED_FD, 1 << 20],
        "open /dev/mem": [OPEN, "/dev/mem", os.O_RDWR],
        "open /dev/sda": [OPEN, "/dev/sda", os.O_RDWR],
        "open a disk": [OPEN, "/dev/loop0", os.O_RDWR],
        "open /dev/kmsg": [OPEN, "/dev/kmsg", os.O_RDWR],
        "open /dev/tty": [OPEN, "/dev/tty", os.O_RDWR],
        "write a sysctl": [OPEN, "/proc/sys/kernel/core_pattern", os.O_WRONLY],
    }


def calls_for_files(b):
    """Against files outside of the flash. Without Landlock an ordinary user's board is the user."""
    parent, history, outside = f"/proc/{b.pid}", str(b.state_dir / "history.db"), str(b.dir / "outside")
    return {
        "read the history": [OPEN, history, os.O_RDONLY],
        "write the history": [OPEN, history, os.O_RDWR],
        "read the history, relative": [OPENAT, FLASH_FD, "../history.db", os.O_RDONLY],
        "read the history by a link on the flash": [OPENAT, FLASH_FD, "way-out", os.O_RDONLY],
        "read another's file": [OPEN, outside, os.O_RDONLY],
        "write outside": [OPENAT, FLASH_FD, "../new", os.O_WRONLY | os.O_CREAT, 0o666],
        "write outside by a path": [OPEN, str(b.dir / "new"), os.O_WRONLY | os.O_CREAT, 0o666],
        "link the history": [LINKAT, AT_FDCWD, history, FLASH_FD, "stolen", 0],
        "a link of one's own": [SYMLINKAT, history, FLASH_FD, "another"],
        "open the supervisor's memory": [OPEN, parent + "/mem", os.O_RDWR],
        "open the supervisor's descriptors": [OPEN, parent + "/fd/0", os.O_RDONLY],
        "open the supervisor's environment": [OPEN, parent + "/environ", os.O_RDONLY],
        "the lock": [OPEN, str(b.state_dir / "lock"), os.O_RDWR],
    }


CALLS = [("Reset", "s", "hard"), ("Interrupt", ""), ("OpenConsole", "sb", "x", True),
         ("GetHistory", "xtxus", 0, 0, 0, 1, ""), ("GetTotals", ""), ("GetLog", "u", 1),
         ("FollowLog", "")]


def control_call(name, signature, *arguments):
    body, message = bytearray(), bytearray()
    for kind, value in zip(types(signature), arguments):
        put(body, kind, value)
    message += struct.pack("<4BII", ord("l"), METHOD_CALL, 0, 1, len(body), 1)
    put(message, "a(yv)", [(1, ("o", "/org/mpyd1")), (2, ("s", "org.mpyd1.Board")),
                           (3, ("s", name)), (8, ("g", signature))])
    pad(message, 8)
    return bytes(message + body)


def run_as(b, user):
    """mpyd as an ordinary user, from programs that this one can reach; not started yet."""
    programs = b.dir / "programs"
    programs.mkdir()
    for program in (mpyd_program(), board_program()):
        shutil.copy(program, programs)
    for path in [b.dir, *b.dir.rglob("*")]:
        os.chown(path, user, user, follow_symlinks=False)
    b.board_program = programs / "mpyd-board"
    command = b.command()
    command[0] = str(programs / "mpyd")
    b.command = lambda: ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]


# Runs a program for which the system calls that are named by number are not there.
WITHOUT = """\
import ctypes, os, struct, sys
numbers, program = [int(n) for n in sys.argv[1].split(",")], sys.argv[2:]
code = struct.pack("HBBI", 0x20, 0, 0, 0)                         # load the number
for n in numbers:
    code += struct.pack("HBBI", 0x15, 0, 1, n)                    # this one?
    code += struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | 38)      # ENOSYS
code += struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000)               # otherwise go on
buf = ctypes.create_string_buffer(code, len(code))
fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buf)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(fprog))):
    sys.exit(f"no filter: {ctypes.get_errno()}")
os.execv(program[0], program)
"""
LANDLOCK_CREATE_RULESET, SECCOMP = 444, 317


def run_without(b, *numbers):
    command = [shutil.which(b.command()[0]), *b.command()[1:]]
    b.command = lambda: [sys.executable, "-c", WITHOUT, ",".join(map(str, numbers)), *command]


@pytest.fixture(params=["root", "root without Landlock", "ordinary", "ordinary without Landlock"])
def attacked(boards, request):
    """A daemon and its board, which waits for a soft reset to attack; and whether paths are filtered."""
    ordinary = request.param.startswith("ordinary")
    if os.geteuid() != 0 and not ordinary:
        pytest.skip("needs root")
    b = boards(start=False)
    uid = 65534 if not ordinary else ORDINARY if os.geteuid() == 0 else os.geteuid()
    (b.dir / "outside").write_text("nobody's business")
    (b.dir / "outside").chmod(0o644 if ordinary else 0o600)
    os.symlink(b.state_dir / "history.db", b.flash / "way-out")
    hello = f"\0AUTH EXTERNAL {str(uid).encode().hex()}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n".encode()
    b.put({"control": json.dumps([str(b.run_dir / "control"), list(hello),
                               [list(control_call(*c)) for c in CALLS]]),
           "results": ""})
    if ordinary and os.geteuid() == 0:
        run_as(b, uid)
    if "without" in request.param:
        run_without(b, LANDLOCK_CREATE_RULESET)
    b.start()
    b.wait_state("idle")
    return b, ordinary


def attack(b, attacks):
    b.put({"attacks": json.dumps(list(attacks.items())), "main.py": ATTACK})
    b.control.reset("soft")
    b.wait(lambda p: p["SoftResets"] == 1 and p["State"] == "idle")
    assert b.get("LastTraceback") == ""
    b.wait_log("the attack is over")
    return json.loads(b.read("results"))


def test_hostile_script(attacked):
    b, ordinary = attacked
    pid, confinement = b.pid, b.get("Confinement")
    paths_are_filtered = confinement == "ok"
    if not paths_are_filtered:  # then it is said
        if "seccomp" in confinement:
            pytest.skip("this kernel has no seccomp: nothing holds machine code back")
        assert "Landlock" in confinement
        assert b.log_count(confinement) == 1 and confinement in b.ctl("status").stdout
    attacks = calls_at(pid)
    if paths_are_filtered or not ordinary:
        attacks |= calls_for_files(b)

    results = attack(b, attacks)
    board = b.board_pid()
    assert results.pop("getpid") == board
    said = results.pop("said")
    assert results.pop("control") == len(CALLS), said
    assert results.pop("open()") == -errno.ENOENT
    assert set(results) == set(attacks)
    refusals = {-errno.EPERM, -errno.EACCES}
    there_or_not = {-errno.ENOENT, -errno.ENXIO}  # of devices that this machine has not
    wrong = {name: answer for name, answer in results.items()
             if answer not in refusals | (there_or_not if "/dev/" in name or "disk" in name else set())}
    assert not wrong

    # Nobody is the worse for it: the same daemon, the same board, which still does what it is told.
    p = b.control.properties()
    assert (b.pid, p["Pid"], p["BoardPid"], p["Crashes"], p["HardResets"]) == (pid, pid, board, 0, 1)
    assert process_exists(pid) and process_exists(board)
    assert not (b.dir / "new").exists() and not (b.state_dir / "new").exists()
    assert not (b.flash / "stolen").exists() and not os.path.lexists(b.flash / "another")
    assert (b.dir / "outside").read_text() == "nobody's business"
    repl = b.friendly()
    assert repl.line("open('/results').read(2)") == "'{\"'\r\n"
    b.put({"main.py": "print('a good program')\n"})
    b.hard_reset()
    b.wait_log("a good program")


def test_fork_bomb(attacked):
    """A thousand forks make no process."""
    b, _ = attacked
    results = attack(b, {f"fork {n}": [FORK] for n in range(1000)})
    assert {v for k, v in results.items() if k.startswith("fork")} == {-errno.EPERM}
    assert b.memory()[2] == 1


@pytest.mark.parametrize("numbers,words", [
    ((LANDLOCK_CREATE_RULESET,), "paths are not restricted: no Landlock"),
    ((SECCOMP,), "system calls are not restricted: no seccomp"),
    ((LANDLOCK_CREATE_RULESET, SECCOMP), "neither system calls (seccomp) nor paths (Landlock)"),
], ids=["no Landlock", "no seccomp", "neither"])
def test_kernel_that_lacks_something(boards, numbers, words):
    """The board runs all the same; it is said once, and shown as long as it is so."""
    b = boards({"main.py": "print('it runs')\n"}, start=False)
    run_without(b, *numbers)
    b.start()
    b.wait_log("it runs")
    b.hard_reset()
    b.wait_log("it runs", count=2)
    assert words in b.get("Confinement")
    assert b.log_count("not confined as they should be") == 1 and b.log_count(words) == 1
    assert words in b.ctl("status").stdout
    assert words in b.ctl_json("status")["confinement"]


@pytest.mark.parametrize("what,code", [
    ("calls of i386", "0xb8,20,0,0,0, 0xcd,0x80"),         # getpid by int 0x80
    ("calls of x32", "0xb8,39,0,0,0x40, 0x0f,0x05"),       # getpid with x32's bit
])
def test_other_architectures_calls_end_the_board(boards, what, code):
    """They would pass by a filter that looks at numbers only."""
    b = boards({"main.py": RAW + f"code = bytes(({code}, 0xb8,1,0,0,0, 0xc3))\n"
                "uctypes.bytearray_at(place, len(code))[:] = code\n"
                "print('go')\nraw(0)\nprint('it went through')\n"},
               config={"reset": {"burst": "1", "rate": "1/1min"}})
    b.wait(lambda p: p["Crashes"] >= 1 and p["State"] == "waiting")
    assert "SIGSYS" in b.get("LastReset")
    assert "it went through" not in b.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a board as another user")
def test_program_that_its_user_cannot_read(boards, tmp_path):
    """root's board: nobody else can read its program, nor reach it."""
    tmp_path.chmod(0o700)
    program = pathlib.Path(shutil.copy(board_program(), tmp_path / "mpyd-board"))
    program.chmod(0o700)
    b = boards(board=program)
    b.wait_state("idle")
    status = pathlib.Path(f"/proc/{b.board_pid()}/status").read_text()
    assert "\nUid:\t0" not in status
    for line in ("CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1",
                 "Seccomp:\t2"):
        assert f"\n{line}\n" in status


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a board as another user")
def test_others_of_its_user_cannot_trace_it(boards):
    b = boards()
    b.wait_state("idle")
    pid = b.board_pid()
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0  # not dumpable: its entries in /proc are root's, whoever its user is
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.open(f"/proc/{pid}/mem", os.O_RDWR)
        except PermissionError:
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
