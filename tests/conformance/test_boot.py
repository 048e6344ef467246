# SPDX-License-Identifier: MIT
"""The boot sequence: which script runs when, and what is left behind (SPEC 7, S1-S62)."""
import os
import socket
import time
import tty

import pytest

from mpydtest import BUILD, timeout
from mpydtest.items import item

NOTE = "open('/order.txt', 'a').write('{0} ')\n"
ORDER = {"boot.py": NOTE.format("boot"), "main.py": NOTE.format("main")}


def reset_while_watching(b, kind="hard"):
    """Resets with the REPL open; all that a user sees from the reset to the prompt."""
    repl = b.open_repl()
    repl.sync()
    if kind == "soft":
        return repl, repl.soft_reset()
    b.control.reset("hard")
    return repl, repl.read_until(b"\n>>> ").decode()


@item("S1")
def test_S01_power_up_starts_from_nothing(boards):
    b = boards({"helper.py": "loaded = True\n"})
    repl = b.friendly()
    repl.line("import helper, sys, machine; relic = 1; sys.path.append('/relic')")
    repl.line("n = machine.RTC().memory(b'relic')")
    # A socket that listens, and a handler that is called before a watchdog bites.
    repl.line("import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1)")
    assert repl.line("w = machine.WDT(timeout=2000, warn=1500, "
                     "callback=lambda w: open('/called', 'w').close())") == ""
    port = int(repl.line("print(s.getsockname()[1])"))
    socket.create_connection(("127.0.0.1", port)).close()
    b.restart()
    repl = b.friendly()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    time.sleep(2.5)  # neither is the handler called nor does the watchdog bite
    assert not (b.flash / "called").exists() and b.get("HardResets") == 1
    assert "NameError" in repl.line("relic")
    repl.line("import sys, machine")
    assert repl.line("'helper' in sys.modules, '/relic' in sys.path") == "(False, False)\r\n"
    assert repl.line("machine.RTC().memory()") == "b''\r\n"


@item("S2")
def test_S02_console_is_ready_before_the_first_line_of_boot(boards):
    b = boards({"boot.py": "print('first statement')\n"})
    b.wait_state("idle")
    _, text = reset_while_watching(b)
    before, after = text.split("first statement\r\n")
    assert before == ""
    assert after.startswith("MicroPython v1.25.0")


@item("S3", "RTC.memory() survives a hard reset, the interpreter does not; network objects wait for network")
def test_S03_hard_reset_keeps_rtc_memory_only(board):
    repl = board.friendly()
    repl.line("import machine; relic = 1")
    repl.line("n = machine.RTC().memory(b'kept')")
    board.hard_reset()
    repl.sync()
    assert "NameError" in repl.line("relic")
    assert repl.line("import machine; machine.RTC().memory()") == "b'kept'\r\n"


@item("S27")
def test_S27_same_order_for_hard_and_soft_reset(boards):
    b = boards(ORDER)
    repl = b.friendly()
    assert b.read("order.txt") == "boot main "
    repl.soft_reset()
    assert b.read("order.txt") == "boot main boot main "
    b.hard_reset()
    repl.sync()
    b.wait_stage("repl")
    assert b.read("order.txt") == "boot main " * 3
    for kind in ("hard", "soft"):
        with type(b.control)(b.run_dir / "control") as observer:
            observer.properties()
            observer.reset(kind)
            stages = []
            deadline = time.monotonic() + 20
            while "_boot.py" not in stages or stages[-1] != "repl":
                signal = observer.next_signal(deadline)
                assert signal, stages
                name, values = signal
                if name == "StateChanged":
                    stages.append(values[1])
        boot = stages[stages.index("_boot.py"):]  # before it the old board is stopped
        assert boot == ["_boot.py", "boot.py", "main.py", "repl"], (kind, stages)


@item("S28")
def test_S28_internal_boot_stage_is_not_interruptible(boards):
    b = boards({"mark.txt": "here"})
    repl = b.friendly()
    for round_number in range(30):
        repl.write(b"\x04" + b"\x03" * (round_number % 10 + 1))
        text = repl.read_until(b"MPY: soft reboot\r\n")
        repl.sync()
        assert "KeyboardInterrupt" not in text.decode()
        assert repl.line("import os; 'mark.txt' in os.listdir('/')") == "True\r\n"


# Its flushes take 300 ms: filling a new store keeps _boot.py busy for so long.
SLOW_BOARD = BUILD / "tests/slow-board"


@item("S28")
def test_S28_prepares_the_store_before_boot_whatever_is_typed(boards):
    """Ctrl-C, again and again, while _boot.py is known to run: it does its work to the end and prints
    nothing, and boot.py finds the store prepared (and may be what the Ctrl-C ends)."""
    b = boards(files=None, board=SLOW_BOARD)
    deadline = time.monotonic() + timeout(20)
    typed, stages = 0, []
    fd = os.open(b.run_dir / "repl", os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(fd)
        while not stages or stages[-1] in ("off", "_boot.py"):
            assert time.monotonic() < deadline, stages
            stage = b.get("Stage")
            if not stages or stages[-1] != stage:
                stages.append(stage)
            if stage == "_boot.py" and typed < 10:  # and not when boot.py may be next
                typed += os.write(fd, b"\x03")
                time.sleep(0.01)
    finally:
        os.close(fd)
    assert typed == 10, stages
    b.wait_state("idle")
    assert (b.flash / "boot.py").read_text().startswith("# This file is run at every start")
    repl = b.friendly()
    assert repl.line("import os; os.listdir()") == "['boot.py']\r\n"
    assert b.log_count("_boot.py[") == 0, b.log


@item("S29")
def test_S29_missing_store_is_made_once(boards):
    b = boards(files=None)
    repl = b.friendly()
    assert b.flash.is_dir()
    names = sorted(os.listdir(b.flash))
    assert repl.line("import os; os.listdir()") == repr(names) + "\r\n"  # in the order of the names
    assert repl.line("f = open('own.txt', 'w'); n = f.write('mine'); f.close()") == ""
    for name in names:
        repl.line(f"os.remove({name!r})")
    b.hard_reset()
    repl.sync()
    assert sorted(os.listdir(b.flash)) == ["own.txt"]
    assert b.read("own.txt") == "mine"


@item("S29")
def test_S29_empty_store_is_usable_without_user_action(boards):
    b = boards()
    repl = b.friendly()
    assert repl.line("f = open('/own.txt', 'w'); n = f.write('mine'); f.close()") == ""
    assert repl.line("open('/own.txt').read()") == "'mine'\r\n"


@item("S30")
def test_S30_user_file_named_boot_internal_is_ignored(boards):
    b = boards({"_boot.py": NOTE.format("user") + "raise SystemExit\n", **ORDER})
    repl = b.friendly()
    assert b.read("order.txt") == "boot main "
    assert repl.line("import os; 'order.txt' in os.listdir('/')") == "True\r\n"


@item("S32")
def test_S32_boot_runs_at_each_boot(boards):
    b = boards({"boot.py": NOTE.format("boot")})
    repl = b.friendly()
    repl.soft_reset()
    b.hard_reset()
    repl.sync()
    assert b.read("order.txt") == "boot " * 3


@item("S33")
def test_S33_boot_ends_before_main_begins(boards):
    b = boards({"boot.py": "import time\nprint('boot begins')\ntime.sleep(0.3)\n"
                           "print('boot ends')\n",
                "main.py": "print('main begins')\n"})
    b.wait_state("idle")
    _, text = reset_while_watching(b)
    assert text.startswith("boot begins\r\nboot ends\r\nmain begins\r\n"), text


@item("S35")
def test_S35_boot_that_does_not_end_holds_everything_up(boards):
    b = boards({"boot.py": "while True: pass\n", "main.py": NOTE.format("main")})
    b.wait_stage("boot.py")
    repl = b.open_repl()
    assert repl.read_for(0.5) == b""
    assert b.get("Stage") == "boot.py"
    assert not (b.flash / "order.txt").exists()
    repl.write(b"\x03")
    text = repl.read_until(b"\n>>> ").decode()
    assert "KeyboardInterrupt" in text and "MicroPython v" in text
    assert not (b.flash / "order.txt").exists()
    assert b.get("Stage") == "repl"


@item("S38")
def test_S38_missing_boot_is_no_error(boards):
    b = boards({"main.py": "print('main')\n"})
    b.wait_state("idle")
    for kind in ("hard", "soft"):
        repl, text = reset_while_watching(b, kind)
        assert text.startswith("main\r\nMicroPython v"), (kind, text)
        repl.close()
        b.wait(lambda p: p["ConsoleHolder"] == "")


@item("S39")
def test_S39_main_runs_after_boot(boards):
    b = boards(ORDER)
    b.wait_state("idle")
    assert b.read("order.txt") == "boot main "


@item("S40")
def test_S40_main_runs_at_each_start(boards):
    b = boards({"main.py": NOTE.format("main")})
    repl = b.friendly()
    repl.soft_reset()
    b.hard_reset()
    b.wait_state("idle")
    b.restart()
    b.wait_state("idle")
    assert b.read("order.txt") == "main " * 4


@item("S41")
def test_S41_endless_main_is_left_alone(boards):
    # All deadlines that a program could run into are far shorter than it is watched.
    b = boards({"main.py": "n = 0\nwhile True: n += 1\n"},
               config={"board": {"start-timeout": "300ms"},
                       "stop": {"interrupt-timeout": "300ms", "abort-timeout": "300ms"}})
    before = b.wait_state("running")
    time.sleep(3)
    after = b.control.properties()
    for name in ("State", "Stage", "BoardPid", "SoftResets", "HardResets", "Crashes", "Problem"):
        assert after[name] == before[name], name


@item("S42")
def test_S42_import_finds_modules_and_packages(boards):
    b = boards({"main.py": "import in_root, in_lib, root_package.inner, package.inner\n"
                           "print(in_root.x, in_lib.x, root_package.inner.x, package.inner.x)\n",
                "in_root.py": "x = 1\n", "lib/in_lib.py": "x = 2\n",
                "root_package/__init__.py": "", "root_package/inner.py": "x = 3\n",
                "lib/package/__init__.py": "", "lib/package/inner.py": "x = 4\n"})
    b.wait_log("main.py[", timeout=20)
    assert b.log_count(": 1 2 3 4") == 1, b.log


@item("S42")
def test_S42_import_reads_files_of_every_size(boards):
    # Around what buffers hold: a short read must not be taken for the end.
    sizes = [0, 1, *range(250, 262), *range(500, 530), *range(1018, 1030), 4095, 4096, 4097, 100000]
    files = {}
    for n in sizes:
        end = f"\nx = {n}\n" if n > 20 else ""
        files[f"m{n}.py"] = "#" * (n - len(end)) + end
    repl = boards(files).friendly()
    for n in sizes:
        expected = f"{n}\r\n" if n > 20 else "None\r\n"
        assert repl.line(f"import m{n}; print(getattr(m{n}, 'x', None))") == expected


@item("S43")
def test_S43_main_chooses_among_applications(boards):
    b = boards({"main.py": "import one as app\napp.main()\n",
                "one.py": "def main(): print('one runs')\n",
                "two.py": "def main(): print('two runs')\n"})
    b.wait_log("one runs")
    b.put({"main.py": "import two as app\napp.main()\n"})
    b.hard_reset()
    b.wait_log("two runs")


@item("S44")
def test_S44_print_exception_on_console_and_stream(boards):
    b = boards({"main.py": "import sys, io\n"
                           "def fail(): raise ValueError('on purpose')\n"
                           "try: fail()\n"
                           "except Exception as e:\n"
                           "    sys.print_exception(e)\n"
                           "    s = io.StringIO(); sys.print_exception(e, s)\n"})
    b.wait_state("idle")
    repl, text = reset_while_watching(b)
    expected = ("Traceback (most recent call last):\r\n"
                "  File \"main.py\", line 3, in <module>\r\n"
                "  File \"main.py\", line 2, in fail\r\n"
                "ValueError: on purpose\r\n")
    assert text.startswith(expected), text
    assert repl.line("s.getvalue()") == repr(expected.replace("\r", "")) + "\r\n"


@item("S48")
def test_S48_crash_or_end_of_main_gives_a_repl(boards):
    b = boards({"main.py": "kept = 1\nraise RuntimeError('on purpose')\n"})
    b.wait_state("idle")
    repl, text = reset_while_watching(b)
    assert "RuntimeError: on purpose\r\nMicroPython v" in text
    assert repl.line("kept") == "1\r\n"
    assert b.get("LastTraceback").strip().endswith("RuntimeError: on purpose")


@item("S49")
def test_S49_globals_of_boot_are_seen_in_main(boards):
    b = boards({"boot.py": "answer = 42\n", "main.py": "print('answer', answer)\n"})
    b.wait_log("answer 42")


@item("S53")
def test_S53_no_main_gives_a_repl_at_once(boards):
    b = boards()
    b.wait_state("idle")
    repl, text = reset_while_watching(b)
    assert text.startswith("MicroPython v1.25.0"), text
    assert 'Type "help()" for more information.\r\n' in text


@item("S54")
def test_S54_end_of_main_gives_a_repl_at_once(boards):
    b = boards({"main.py": "print('done')\n"})
    b.wait_state("idle")
    _, text = reset_while_watching(b)
    assert text.startswith("done\r\nMicroPython v1.25.0"), text


@item("S56")
def test_S56_globals_are_seen_at_both_repls(boards):
    b = boards({"boot.py": "from_boot = 1\n", "main.py": "from_main = 2\n"})
    repl = b.friendly()
    assert repl.line("from_boot + from_main") == "3\r\n"
    repl.enter_raw()
    assert repl.eval_raw("(from_boot, from_main)") == "(1, 2)"
    repl.leave_raw()
    assert repl.line("from_main") == "2\r\n"


@item("S61")
def test_S61_remove_main_from_the_repl(boards):
    b = boards({"main.py": "print('begins')\nwhile True: pass\n"})
    b.wait_log("begins")
    repl = b.open_repl()
    repl.prompt()
    assert repl.line("import os; os.remove('main.py')") == ""
    assert not (b.flash / "main.py").exists()
    b.hard_reset()
    b.wait_state("idle")
    repl.sync()
    assert repl.line("'main.py' in os.listdir()").endswith("defined\r\n")  # a new interpreter
    assert repl.line("import os; 'main.py' in os.listdir()") == "False\r\n"


@item("S28")
def test_S28_names_that_other_boards_leave_behind(boards):
    """What an ESP32's or a Pico's _boot.py imports, programs use without an import."""
    b = boards({"main.py": "gc.collect(); print(gc.mem_free() > 0, machine.reset_cause() == machine.PWRON_RESET)"})
    b.wait_log(": True True")
    repl = b.friendly()
    repl.soft_reset()
    assert repl.line("sorted(dir())") == "['__name__', 'gc', 'machine', 'vfs']\r\n"


@item("S62")
def test_S62_listdir_without_argument(boards):
    b = boards({"boot.py": "", "data.txt": "x", "lib/x.py": ""})
    repl = b.friendly()
    assert repl.line("import os; sorted(os.listdir())") == "['boot.py', 'data.txt', 'lib']\r\n"
    assert repl.line("os.listdir() == os.listdir('/') and os.getcwd()") == "'/'\r\n"
    assert repl.line("all(type(n) is str for n in os.listdir())") == "True\r\n"
