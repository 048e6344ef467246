# SPDX-License-Identifier: MIT
"""Compiled scripts: boot.mpy and main.mpy (S50), frozen ones (S51)."""
import subprocess

import pytest

from mpydtest import mpy_cross
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


@item("S51", "holds for what is frozen: _boot.py; a file of the name does not replace it")
def test_S51_frozen_wins_over_the_filesystem(boards):
    b = boards({"_boot.py": "print('a file stands in for _boot.py')\n"})
    repl = b.friendly()
    assert b.log_count("stands in") == 0
    assert repl.line("import os; os.listdir()") == "['_boot.py']\r\n"  # it has mounted the flash


@item("S51")
def test_S51_frozen_modules_come_before_lib(boards):
    b = boards({"lib/asyncio.py": "raise RuntimeError('not this one')\n"})
    repl = b.friendly()
    assert repl.line("import asyncio; asyncio.sleep_ms is not None") == "True\r\n"
