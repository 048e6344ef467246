# SPDX-License-Identifier: MIT
"""The packages for arm64 and armhf, installed on emulated machines of theirs: the service and package
tests of the container tier, and what differs from one processor to another: machine code, system calls
that are allowed, the C stack, sizes."""
import packages
import pytest

pytest.register_assert_rewrite("container.test_service", "container.test_package")

from container.test_package import (  # noqa: E402,F401
    test_install_leaves_a_running_board, test_S68_purge_of_an_untouched_board_leaves_nothing)
from container.test_service import (  # noqa: E402,F401
    main_py, test_board_has_a_cgroup_of_its_own, test_board_has_no_rights,
    test_crash_keeps_console_and_retained_memory, test_healthy_supervisor_is_left_alone,
    test_journal_has_fields, test_ready_only_when_the_board_is_there, test_reload_is_synchronous,
    test_restart_keeps_console_and_retained_memory, test_sandbox_of_the_unit,
    test_script_cannot_reach_beyond_its_flash, test_stop_is_orderly_and_remembered,
    test_stopped_supervisor_is_killed_and_started_again)

# uname -m, MicroPython's name for it, and how many bits an address has.
PROCESSORS = {"arm64": ("aarch64", "aarch64", 64), "armhf": ("armv7l", "arm", 32)}


@pytest.fixture
def board(arm_guests):
    return arm_guests()


def hard_resets(board):
    return [e for e in board.history() if e["type"] == "reset" and e["kind"] == "hard"]


def test_processor(board, arm_disk):
    """It is the package of this architecture, on that processor."""
    name = arm_disk[1].name
    machine, ours, bits = PROCESSORS[name]
    assert board.run("uname -m").strip() == machine
    assert board.run("dpkg-query -W -f '${Architecture}' mpyd") == name
    assert packages.field(packages.find("trixie", name), "Architecture") == name
    assert board.evaluate("__import__('sys').maxsize") == str(2 ** (bits - 1) - 1)
    assert board.evaluate("__import__('os').uname().machine") == f"'mpyd with {ours}'"


def test_confinement(board):
    """Landlock and the system call filter, both with numbers of this architecture."""
    assert board.status()["confinement"] == "ok"


LANGUAGE = """
import array, asyncio, deflate, gc, hashlib, io, json, math, re, socket, struct, sys, _thread, time

print(2 ** 200 % 1000007, -7 // 2, 1e300 * 10, repr(0.1), math.sin(1), struct.pack('<dqH', 0.5, -1, 7))
print(hashlib.sha256(b'abc').digest()[:4], json.loads('[1, 2.5, "x"]'), re.match('a+', 'aab').group(0))
print(deflate.DeflateIO(io.BytesIO(b'\\x4b\\x4c\\x4a\\x06\\x00'), deflate.RAW).read())
def deep(n): return deep(n + 1)
try: deep(0)
except RuntimeError as e: print(e)
try: bytearray(1 << 30)
except MemoryError: print('MemoryError')
lock, done = _thread.allocate_lock(), []
def work(k):
    for _ in range(2000):
        with lock: done.append(k)
for k in range(4): _thread.start_new_thread(work, (k,))
while len(done) < 8000: time.sleep_ms(5)
print(len(done))
async def served(reader, writer):
    writer.write(await reader.read(5))
    await writer.drain()
    writer.close()
async def talk():
    server = await asyncio.start_server(served, '127.0.0.1', 4242)
    reader, writer = await asyncio.open_connection('127.0.0.1', 4242)
    writer.write(b'hello')
    await writer.drain()
    print(await reader.read(5))
    server.close()
asyncio.run(talk())
for _ in range(3): x = [array.array('d', range(1000)) for _ in range(200)]; gc.collect()
print(sum(x[199]))
"""
SAYS = """446616 -4 1e+301 0.1 0.8414709848078965 b'\\x00\\x00\\x00\\x00\\x00\\x00\\xe0?\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x07\\x00'
b'\\xbax\\x16\\xbf' [1, 2.5, 'x'] aa
b'abc'
maximum recursion depth exceeded
MemoryError
8000
b'hello'
499500.0
"""


def test_language(board, tmp_path):
    """Big integers, doubles, deep recursion, the heap's end, threads, asyncio over a socket."""
    board.write("/root/language.py", LANGUAGE)
    assert board.run("mpyctl run /root/language.py", 120) == SAYS


NATIVE = """
@micropython.native
def native(n):
    s = 0
    for i in range(n):
        try: s += i
        finally: s += 1
    return s
@micropython.viper
def viper(p: ptr8, n: int) -> int:
    s = 0
    for i in range(n): s += p[i]
    return s
print(native(1000), viper(b'abc', 3))
"""
NATIVE_ALONE = NATIVE[:NATIVE.index("@micropython.viper")] + "print(native(1000))\n"


def test_machine_code(board, arm_disk):
    """armhf has MicroPython's native emitter; for arm64 MicroPython 1.25 has none: native makes bytecode there, and
    viper says so."""
    board.write("/root/alone.py", NATIVE_ALONE)
    assert board.run("mpyctl run /root/alone.py") == "500500\n"
    board.write("/root/native.py", NATIVE)
    result = board.execute("mpyctl run /root/native.py")
    if arm_disk[1].name == "armhf":
        assert result.stdout == "500500 294\n", result
    else:
        assert result.returncode != 0 and "invalid micropython decorator" in result.stdout + result.stderr, result


def test_resets(board):
    """A crash by a signal, a watchdog's bite, an order and a key, each with its cause."""
    pid = board.status()["board_pid"]
    board.run(f"kill -SEGV {pid}")
    board.until("mpyctl eval '6*7'", lambda out: out.strip() == "42")
    assert board.status()["crashes"] == 1
    main_py(board, "import machine\nif machine.reset_cause() != machine.WDT_RESET:\n"
                   "    machine.WDT(timeout=500)\n    while True: pass\nprint('bitten')\n")
    board.log_shows("bitten")
    board.run("mpyctl exec 'import machine; machine.soft_reset()' || :")
    board.until("mpyctl --json status", lambda out: "SOFT_RESET" in out)
    assert board.history()[-1]["cause"] == "SOFT_RESET", board.history()
    told = hard_resets(board)
    assert [e["cause"] for e in told] == ["PWRON_RESET", "HARD_RESET", "HARD_RESET", "WDT_RESET"], told
    assert "SIGSEGV" in told[1]["detail"], told


def test_mpremote(board):
    board.write("/root/hello.py", "print('hello from a file')\n")
    connect = "mpremote connect /run/mpyd/repl "
    assert board.run(connect + "exec 'print(6*7)'", 120).strip() == "42"
    assert "hello from a file" in board.run(connect + "run /root/hello.py", 120)
    board.run(connect + "cp /root/hello.py :hello.py", 120)
    assert board.read("/var/lib/mpyd/flash/hello.py") == board.read("/root/hello.py")


def test_power_cut_and_reboot(board, arm_guests):
    """A reboot in good order and a cut of the power, told apart."""
    before = board.run("cat /proc/sys/kernel/random/boot_id").strip()
    board.run("systemctl reboot --no-block")
    assert board.wait_up(600) != before
    board.until("mpyctl eval '6*7'", lambda out: out.strip() == "42", 120)
    assert board.status()["crashes"] == 0
    board.run("sync")
    board.cut_power()
    board = arm_guests(disk=board.disk)
    board.until("mpyctl eval '6*7'", lambda out: out.strip() == "42", 120)
    assert board.run("sqlite3 /var/lib/mpyd/history.db 'pragma integrity_check'").strip() == "ok"
    told = hard_resets(board)
    assert [e["cause"] for e in told] == ["PWRON_RESET"] * 3, told
    assert "power" in told[2]["detail"] and "power" not in told[1]["detail"], told
