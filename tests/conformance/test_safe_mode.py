# SPDX-License-Identifier: MIT
"""Ways back to a board whose scripts lock everybody out (SPEC 7: S58, S59, S63, S64)."""
import pytest

from mpydtest.items import item
from mpydtest.paths import SOURCE

DEAF = """
import micropython
micropython.kbd_intr(-1)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
# Each takes the console away in its own way.
TAKEN = {
    "deaf to Ctrl-C": DEAF,
    "no interrupts": "import machine\nmachine.disable_irq()\nwhile True: pass\n",
    "reads everything itself": "import sys, micropython\nmicropython.kbd_intr(-1)\n"
                               "while True: sys.stdin.read(1)\n",
    "resets before one can type": "import machine\nmachine.reset()\n",
    "dupterm": "import os, io, time\n"
               "class Hole(io.IOBase):\n"
               "    def readinto(self, b): return None\n"
               "    def write(self, b): return len(b)\n"
               "    def ioctl(self, *a): return 0\n"
               "try:\n    os.dupterm(Hole(), 0)\nexcept Exception: pass\n" + DEAF,
}


@item("S58")
def test_S58_a_boot_that_hangs_deaf_can_be_got_rid_of(boards):
    b = boards({"boot.py": DEAF})
    b.wait_stage("boot.py")
    repl = b.open_repl()
    repl.write(b"\x03\x03\x03")
    assert repl.read_for(0.5) == b""  # it does not hear that
    b.ctl("safe-mode", "enter")
    repl.sync()
    assert repl.line("import os; os.remove('boot.py')") == ""
    b.ctl("safe-mode", "leave")
    b.wait_state("idle")
    assert b.get("SafeMode") == ""
    repl.sync()
    assert repl.line("1+1") == "2\r\n"


@item("S59")
@pytest.mark.parametrize("how", TAKEN)
def test_S59_a_script_cannot_take_the_console_for_ever(boards, how):
    b = boards({"main.py": TAKEN[how]}, config={"reset": {"burst": "3", "rate": "10/s"}})
    repl = b.open_repl()
    b.wait(lambda p: p["State"] in ("running", "waiting") or p["HardResets"] > 3, what="main.py")
    b.ctl("safe-mode", "enter")
    repl.sync()
    assert repl.line("print('here', 6 * 7)") == "here 42\r\n"


@item("S63")
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_S63_safe_mode_runs_neither_script(boards, kind):
    note = "open('/ran-{0}', 'w').close()\n"
    b = boards({"boot.py": note.format("boot"), "main.py": note.format("main")})
    b.wait_state("idle")
    b.ctl("safe-mode", "enter")
    for name in ("ran-boot", "ran-main"):
        (b.flash / name).unlink()
    repl = b.friendly()
    if kind == "soft":
        assert "You are in safe mode because:" in repl.soft_reset()
    assert repl.line("'boot' in globals()") == "False\r\n"
    assert not list(b.flash.glob("ran-*"))
    b.ctl("safe-mode", "leave")
    b.wait_state("idle")
    assert (b.flash / "ran-boot").exists() and (b.flash / "ran-main").exists()


@item("S64")
def test_S64_safe_mode_is_documented():
    """Every door and the way out, by the words that one has to type."""
    man = (SOURCE / "docs/man/mpyd.8").read_text()
    readme = (SOURCE / "README.md").read_text()
    for words in ("mpyctl safe-mode enter", "mpyctl safe-mode leave"):
        assert words in man and words in readme, words
    for words in ("mpyd-safe-mode", "mpyd.safe_mode", "strikes"):
        assert words in man, words
    assert "mpyd-safe-mode" in readme
