# SPDX-License-Identifier: MIT
"""Compiled scripts: modules (S42), boot.mpy and main.mpy (S50), frozen ones (S51)."""
import os
import re
import subprocess

import pytest

from mpydtest import BUILD, SOURCE, micropython_dir, mpy_cross
from mpydtest.items import item


@pytest.fixture
def compiled(tmp_path):
    """name, source → content of the .mpy that the project's own mpy-cross makes of it."""
    def compile_source(name, source):
        (tmp_path / name).write_text(source)
        subprocess.run([mpy_cross(), "-o", tmp_path / "out.mpy", "-s", name, tmp_path / name],
                       check=True)
        return (tmp_path / "out.mpy").read_bytes()
    return compile_source


@item("S42")
@pytest.mark.parametrize("folder, path", [("", ""), ("lib/", "/lib/")], ids=["root", "lib"])
def test_S42_import_finds_compiled_modules_and_packages(boards, compiled, folder, path):
    b = boards({"main.py": "import my_app\nmy_app.main()\n",
                f"{folder}my_app.mpy": compiled("my_app.py", "import package.inner\n"
                                                             "def main(): print('my_app runs', package.inner.x, "
                                                             "package.__file__, __file__)\n"),
                f"{folder}package/__init__.mpy": compiled("__init__.py", "from . import inner\n"),
                f"{folder}package/inner.mpy": compiled("inner.py", "x = 3\n")})
    b.wait_log(f"my_app runs 3 {path}package/__init__.mpy {path}my_app.mpy")


@item("S50", "holds, also for an incompatible file and one made for CircuitPython")
def test_S50_mpy_scripts_run(boards, compiled):
    b = boards({"boot.mpy": compiled("boot.py", "from_boot = 1\nprint('boot.mpy runs')\n"),
                "main.mpy": compiled("main.py", "print('main.mpy runs', from_boot)\n")})
    repl = b.friendly()
    b.wait_log("boot.mpy runs")
    b.wait_log("main.mpy runs 1")
    text = repl.soft_reset()
    assert text.startswith("boot.mpy runs\r\nmain.mpy runs 1\r\nMicroPython v"), text
    assert repl.line("from_boot") == "1\r\n"


@item("S50")
def test_S50_source_wins(boards, compiled):
    b = boards({"main.mpy": compiled("main.py", "print('compiled runs')\n"),
                "main.py": "print('source runs')\n"})
    b.wait_log("source runs")
    b.wait_state("idle")
    assert b.log_count("compiled runs") == 0


@item("S50")
def test_S50_traceback_of_a_compiled_script(boards, compiled):
    b = boards({"main.mpy": compiled("main.py", "x = 1\nraise ValueError('on purpose')\n")})
    b.wait_state("idle")
    assert 'File "main.py", line 2' in b.get("LastTraceback")
    assert b.get("LastTraceback").strip().endswith("ValueError: on purpose")


def damage(content, kind):
    if kind == "version":
        return content[:1] + bytes([content[1] + 1]) + content[2:]
    if kind == "CircuitPython":
        return b"C" + content[1:]
    return content[:len(content) // 2] if kind == "cut" else b""


@item("S50")
@pytest.mark.parametrize("kind", ["version", "CircuitPython"])
def test_S50_incompatible_boot_is_a_failed_boot(boards, compiled, kind):
    content = damage(compiled("boot.py", "print('runs')\n"), kind)
    b = boards({"boot.mpy": content, "main.py": "print('main runs')\n"})
    b.wait_state("idle")
    traceback = b.get("LastTraceback")
    assert "ValueError: " in traceback
    if kind == "version":
        assert "ValueError: incompatible .mpy file" in traceback
    else:  # it tells its user what to do
        assert "CircuitPython" in traceback
    assert b.log_count("main runs") == 0
    b.friendly()


@item("S50")
@pytest.mark.parametrize("kind", ["version", "CircuitPython", "cut", "empty"])
def test_S50_bad_main_ends_in_a_repl(boards, compiled, kind):
    source = "print('runs')\n" + "".join(f"def f{i}(a, b): return a + b * {i}\n" for i in range(50))
    b = boards({"main.mpy": damage(compiled("main.py", source), kind)})
    repl = b.friendly()
    assert b.get("LastTraceback") != ""
    assert b.get("Crashes") == 0
    assert repl.line("1 + 1") == "2\r\n"


FROZEN_BOARD = BUILD / "src/board/mpyd-board-frozen-test"  # with tests/conformance/frozen in it


@item("S51")
def test_S51_frozen_scripts_run_and_win_over_files(boards):
    """Both of boot.py and main.py, on both kinds of reset, and .mpy files lose as well."""
    b = boards({name: f"open('/order.txt', 'a').write('file:{name} ')\n"
                for name in ("boot.py", "main.py")}, board=FROZEN_BOARD)
    b.put({"boot.mpy": b"M\x06\x00\x1f", "main.mpy": b"M\x06\x00\x1f"})
    repl = b.friendly()
    assert b.read("order.txt") == "frozen:boot frozen:main "
    repl.soft_reset()
    assert b.read("order.txt") == "frozen:boot frozen:main " * 2
    b.hard_reset()
    repl.sync()
    assert b.read("order.txt") == "frozen:boot frozen:main " * 3
    assert repl.line("told_by_frozen_boot") == "'boot.py is frozen'\r\n"  # one namespace, as files


@item("S51")
def test_S51_frozen_scripts_run_with_no_file_at_all(boards):
    b = boards(board=FROZEN_BOARD)
    b.friendly()
    assert b.read("order.txt") == "frozen:boot frozen:main "


@item("S51")
def test_S51_frozen_modules_and_packages_are_imported(boards):
    b = boards({"lib/greenhouse/__init__.py": "raise RuntimeError('not this one')\n",
                "lib/valves.py": "raise RuntimeError('nor this one')\n"}, board=FROZEN_BOARD)
    repl = b.friendly()
    assert repl.line("import valves; valves.open_all(3)") == "[1, 2, 3]\r\n"
    assert repl.line("import greenhouse; greenhouse.beds.COUNT") == "7\r\n"
    assert repl.line("import asyncio; asyncio.sleep_ms is not None") == "True\r\n"  # ours is left
    # A traceback from frozen code names its file and line.
    assert 'File "valves.py", line 8' in repl.line("valves.broken()")


@item("S51")
def test_S51_frozen_boot_internal_is_no_file(boards):
    b = boards({"_boot.py": "print('a file stands in for _boot.py')\n"})
    repl = b.friendly()
    assert b.log_count("stands in") == 0
    assert repl.line("import os; os.listdir()") == "['_boot.py']\r\n"  # it has mounted the flash


@item("S51")
def test_S51_frozen_modules_come_before_lib(boards):
    b = boards({"lib/asyncio.py": "raise RuntimeError('not this one')\n"})
    repl = b.friendly()
    assert repl.line("import asyncio; asyncio.sleep_ms is not None") == "True\r\n"


def build_frozen(directory, work):
    """What the build runs for -Dfrozen-dir=."""
    board = SOURCE / "src/board"
    return subprocess.run(
        [board / "build-frozen", work / "out.c", work / "work", BUILD / "src/board/micropython/core",
         micropython_dir(), board, mpy_cross(), directory], capture_output=True, text=True)


@item("S51")
def test_S51_frozen_module_takes_the_place_of_the_boards(boards, tmp_path):
    """Also of one that is compiled already, when it is the older file; as a module or a package."""
    b = boards(board=FROZEN_BOARD)
    assert b.friendly().line("import ntptime; ntptime.settime()") == "'by the packager'\r\n"
    directory = tmp_path / "frozen"
    (directory / "requests").mkdir(parents=True)
    (directory / "requests/__init__.py").write_text("def mine(): pass\n")
    for first in (True, False):
        if not first:
            (directory / "mip.py").write_text("def mine(): pass\n")
            os.utime(directory / "mip.py", (1e9, 1e9))
        done = build_frozen(directory, tmp_path)
        assert done.returncode == 0, done
        compiled = (tmp_path / "out.c").read_text()
        assert ("scope mip__rewrite_url" in compiled) == first and ("scope mip_mine" in compiled) != first
        assert "scope requests___init___mine" in compiled and "scope requests_Response" not in compiled
        assert "scope ssl_SSLContext" in compiled


@pytest.mark.parametrize("name, content, told", [
    ("valves.py", "x = 1\ndef broken(:\n", r"valves\.py(.|\n)*line 2(.|\n)*SyntaxError"),
    ("_boot.py", "", r"_boot\.py: the board has a frozen _boot\.py of its own"),
    ("asyncio", None, r"asyncio: the board has a frozen asyncio of its own"),
])
def test_bad_frozen_directory_stops_the_build(tmp_path, name, content, told):
    directory = tmp_path / "frozen"
    directory.mkdir()
    if content is None:
        (directory / name).mkdir()
    else:
        (directory / name).write_text(content)
    done = build_frozen(directory, tmp_path)
    assert done.returncode != 0 and re.search(told, done.stderr), done
    done = build_frozen(tmp_path / "nowhere", tmp_path)
    assert done.returncode != 0 and "nowhere is not a directory" in done.stderr
