# SPDX-License-Identifier: MIT
"""Machine code: @micropython.native and viper, and .mpy files that have some. On a processor for which MicroPython has no
emitter (AArch64), native means bytecode, and the rest says what it is; .ci/run builds such a board and runs this there."""
import os
import subprocess

import pytest

from mpydtest import is_sanitized, mpy_cross

NATIVE = """
@micropython.native
def native(n):
    s = 0
    for i in range(n):
        try:
            s += i
        finally:
            s += 1
    return s
class Driver:
    @micropython.native
    def write(self, data, *, fast=False):
        return [self.scale * x for x in data] if fast else (x for x in data)
    scale = 2
"""
VIPER = """
@micropython.viper
def viper(p: ptr8, n: int) -> int:
    s = 0
    for i in range(n):
        s += p[i]
    return s
"""
UNKNOWN = "@micropython.natively\ndef f(): pass\n"


@pytest.fixture
def board(boards):
    return boards({"driver.py": NATIVE, "fast.py": VIPER, "wrong.py": UNKNOWN,
                   "both.py": "@micropython.bytecode\n@micropython.native\ndef f(): return 1\n"})


@pytest.fixture
def repl(board):
    return board.friendly()


X64 = 2  # py/persistentcode.h: MP_NATIVE_ARCH_X64


@pytest.fixture
def architecture(repl):
    """What mpremote goes by when it compiles: 0, no machine code. MPYD_NO_EMITTER: the build is meant to have none."""
    number = int(repl.line("import sys; sys.implementation._mpy >> 10")) & 0xf
    assert number == 0 or "MPYD_NO_EMITTER" not in os.environ
    return number


@pytest.fixture
def has_emitter(architecture):
    return architecture != 0


def last_line(repl, code):
    return repl.line(code).strip().splitlines()[-1]


def test_native_code_is_the_same_python_everywhere(repl, has_emitter):
    repl.line("from driver import native, Driver")
    assert repl.line("native(1000)") == "500500\r\n"
    assert repl.line("Driver().write(b'ab', fast=True), list(Driver().write(b'ab'))") == "([194, 196], [97, 98])\r\n"
    if not (has_emitter and is_sanitized()):  # whose jumps machine code does not make (upstream.toml, [sanitized])
        assert last_line(repl, "native('x')").startswith("TypeError: ")


def test_viper_is_a_language_of_its_own(repl, has_emitter):
    if has_emitter:
        assert repl.line("from fast import viper; viper(b'abc', 3)") == "294\r\n"
    else:
        assert last_line(repl, "import fast") == "SyntaxError: invalid micropython decorator"


def test_another_decorator_stays_a_mistake(repl):
    assert last_line(repl, "import wrong") == "SyntaxError: invalid micropython decorator"
    assert repl.line("import both; both.f()") == "1\r\n"


def test_a_file_with_machine_code_runs_or_is_refused(board, repl, architecture, tmp_path):
    (tmp_path / "code.py").write_text(NATIVE)
    subprocess.run([mpy_cross(), "-march=x64", "-o", tmp_path / "code.mpy", tmp_path / "code.py"], check=True)
    board.put({"code.mpy": (tmp_path / "code.mpy").read_bytes()})
    if architecture == X64:
        assert repl.line("import code; code.native(1000)") == "500500\r\n"
    else:
        says = "incompatible .mpy arch" if architecture else "native code in .mpy unsupported"
        assert last_line(repl, "import code") == "ValueError: " + says
