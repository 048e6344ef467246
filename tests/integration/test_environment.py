# SPDX-License-Identifier: MIT
"""[environment] of mpyd.conf, which programs read with os.getenv()."""
import pathlib


def getenv(repl, *names):
    return eval(repl.eval_raw(f"[__import__('os').getenv(x) for x in {names!r}]"))


def test_a_program_reads_what_the_owner_has_set(boards):
    b = boards({"main.py": "import os\nprint('at', os.getenv('SITE'), os.getenv('INTERVAL', '60'))\n"},
               config={"environment": {"SITE": "north field", "URL": "https://a/b?c=d", "EMPTY": ""}})
    b.wait_log("at north field 60")
    repl = b.raw()
    assert getenv(repl, "SITE", "URL", "EMPTY", "NONE", "a\0b") == [
        "north field", "https://a/b?c=d", "", None, None]
    assert "TypeError" in repl.exec_raw("__import__('os').getenv(1)")[1]
    # A program's own changes are its own: they end with it.
    assert repl.exec_raw("from os import *\nputenv('SITE', 'here')\nunsetenv('URL')\n"
                         "print(getenv('SITE'), getenv('URL'))")[0] == "here None\r\n"
    for wrong in ("putenv(1, 'x')", "putenv('a', 2)", "unsetenv(None)", "putenv('a')"):
        assert "TypeError" in repl.exec_raw(wrong)[1], wrong
    # A soft reset keeps it, and a reload waits for a reset.
    repl.soft_reset_raw()
    assert getenv(repl, "SITE", "URL") == ["north field", "https://a/b?c=d"]
    done = b.ctl("reload")
    assert "environment" not in done.stdout + done.stderr, done
    b.set_config({"environment": {"SITE": "south"}})
    done = b.ctl("reload")
    assert "[environment] takes effect at the next reset" in done.stdout + done.stderr, done
    assert getenv(repl, "SITE") == ["north field"]
    repl.soft_reset_raw()
    assert getenv(repl, "SITE", "URL") == ["south", None]


def test_nothing_of_the_daemons_environment_is_there(boards, monkeypatch):
    monkeypatch.setenv("NOT_FOR_PROGRAMS", "secret")
    b = boards({"main.py": "x = 1\n"}, config={"environment": {"SITE": "north"}})
    b.wait_state("idle")
    assert getenv(b.raw(), "SITE", "NOT_FOR_PROGRAMS", "PATH", "HOME") == ["north", None, None, None]
    given = pathlib.Path(f"/proc/{b.get('BoardPid')}/environ").read_bytes().split(b"\0")
    assert {x for x in given if b"SAN_OPTIONS=" not in x} == {b"SITE=north", b""}


def test_a_mistake_is_told_and_costs_only_itself(boards):
    b = boards({"main.py": "x = 1\n"}, config={"environment": {"LD_PRELOAD": "/tmp/x.so", "SITE": "north"}})
    b.wait_state("idle")
    assert getenv(b.raw(), "LD_PRELOAD", "SITE") == [None, "north"]
    assert "[environment] LD_PRELOAD: would change how the board's process is loaded" in b.ctl("status").stdout
    assert "/tmp/x.so" not in b.ctl("status").stdout + b.log  # values may be secrets
