# SPDX-License-Identifier: MIT
"""The manual pages and the shell's completion, compared with what the programs say of themselves."""
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from mpydtest import BUILD, SOURCE, board_program, mpyctl_program, mpyd_program

PAGES = ["mpyctl.1", "mpyd.8", "mpyd-action.8", "mpyd-board.8", "mpyd.conf.5", "org.mpyd1.5"]
UTF8 = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANPAGER": "cat"}


def page(name):
    """A page's source, filled in where the build does that."""
    written = SOURCE / "docs/man" / name
    return written if written.exists() else BUILD / "docs/man" / name


def shown(name):
    """A page as a reader sees it, a line a paragraph, without the marks of bold."""
    out = subprocess.run(["man", "-l", "--no-hyphenation", str(page(name))], env=UTF8, check=True,
                         capture_output=True, text=True).stdout
    return re.sub(r".\x08", "", out)


def help_of(*arguments):
    return subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True).stdout


def options(text):
    """The long options that a list of options has items for: not those it only mentions."""
    return set(re.findall(r"^\s+(?:-\w, )?(--[a-z][a-z-]+)", text, re.M))


def verbs():
    listed = help_of(mpyctl_program(), "help").split("Verbs:\n")[1].split("\n\n")[0]
    return re.findall(r"^  ([\w-]+) ", listed, re.M)


def items(source):
    """The options that a piece of mdoc(7) has an .It for."""
    return {"--" + name for line in re.findall(r"^\.It (.*)$", source, re.M)
            for name in re.findall(r"\bFl -([a-z][a-z-]+)", line)}


def sections(source):
    """{verb: mdoc of its subsection} of mpyctl(1)."""
    pieces = re.split(r"^\.Ss ([\w-]+).*$", source.split(".Sh VERBS")[1].split("\n.Sh ")[0], flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2]))


@pytest.mark.parametrize("name", PAGES)
def test_page_has_no_mistakes(name):
    assert shutil.which("man"), "man-db is a build dependency"
    r = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page(name))],
                       env=UTF8, capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr == ""
    assert "@" not in re.sub(r"\w+@\.?\w+", "", page(name).read_text()), "a mark was not filled in"


@pytest.mark.parametrize("name", PAGES)
def test_pages_that_are_referred_to_exist(name):
    """Ours, that is; and the names at the top are the file's."""
    source = page(name).read_text()
    title, section = name.rsplit(".", 1)
    assert f".Dt {title.upper()} {section}\n" in source and f".Nm {title}\n" in source
    for other, number in re.findall(r"^\.Xr (\S+) (\d)", source, re.M):
        if "mpy" in other and other != "mpremote":
            assert f"{other}.{number}" in PAGES


def test_mpyctl_page_has_every_verb_and_no_other():
    assert list(sections(page("mpyctl.1").read_text())) == verbs()


def test_mpyctl_page_has_every_option_and_no_other():
    source = page("mpyctl.1").read_text()
    general = help_of(mpyctl_program(), "help").split("Options of every verb:")[1].split("Exit")[0]
    assert items(source.split(".Sh VERBS")[0]) == options(general)
    described = sections(source)
    described["eval"] = re.sub(r"^\.It .*\n\.Pq Ic exec No only\n", "", described["exec"], flags=re.M)  # told together
    for verb in verbs():
        own = help_of(mpyctl_program(), "help", verb).split("Options of every verb:")[0]
        own = own.split("\nExamples:")[0]
        assert items(described[verb]) == options(own), f"mpyctl(1), {verb}"


def test_mpyctl_page_has_every_exit_code():
    told = help_of(mpyctl_program(), "help").split("Exit codes of every verb:")[1]
    codes = re.findall(r"(?<![\w-])(\d+)(?= [a-zA-Z])", told)
    source = page("mpyctl.1").read_text().split(".Sh EXIT STATUS")[1].split("\n.Sh ")[0]
    assert len(codes) > 10 and re.findall(r"^\.It (\d+)$", source, re.M) == codes


def test_mpyd_page_has_every_option():
    source = page("mpyd.8").read_text()
    assert items(source) == options(help_of(mpyd_program(), "--help"))


def test_mpyd_board_page_has_every_option():
    for option in ("--help", "--version"):
        r = subprocess.run([board_program(), option], capture_output=True)
        assert r.returncode == 0
        assert f"Fl -{option[2:]}" in page("mpyd-board.8").read_text()


def test_configuration_page_has_every_key():
    """etc/mpyd.conf is compared with the program's table by tests/unit/test-config.c."""
    example = (SOURCE / "etc/mpyd.conf").read_text()
    keys = re.findall(r"^#([a-z][a-z-]*) ?= ?(.*)$", example, re.M)
    text = re.sub(r"\s+", " ", shown("mpyd.conf.5"))
    assert len(keys) > 10
    for key, default in keys:
        assert re.search(rf" {key} .*?\(default: {re.escape(default or 'empty')}\)", text), key


def introspected(board):
    """What the daemon's bus says of org.mpyd1.Board."""
    xml_text, = board.control.call("Introspect", interface="org.freedesktop.DBus.Introspectable")
    root = xml.etree.ElementTree.fromstring(xml_text)
    interface, = [i for i in root.iter("interface") if i.get("name") == "org.mpyd1.Board"]
    return interface


def test_bus_page_has_every_member(board):
    interface = introspected(board)
    text = re.sub(r"\s+", " ", shown("org.mpyd1.5"))
    told = {"method": text.split(" METHODS ")[1].split(" SIGNALS ")[0],
            "signal": text.split(" SIGNALS ")[1].split(" PROPERTIES ")[0],
            "property": text.split(" PROPERTIES ")[1].split(" ERRORS ")[0]}
    counted = 0
    for kind, where in told.items():
        for member in interface.iter(kind):
            name = member.get("name")
            arguments = [(a.get("type"), a.get("name"), a.get("direction")) for a in member.iter("arg")]
            into = ", ".join(f"{t} {n}" for t, n, d in arguments if d != "out")
            out = ", ".join(f"{t} {n}" for t, n, d in arguments if d == "out")
            wanted = f"{name}({into})" + (f" → {out}" if out else "")
            if kind == "property":
                wanted = f"{name} ({member.get('type')})"
            assert f" {wanted} " in f" {where} ", f"org.mpyd1(5) lacks the {kind}"
            counted += 1
    assert counted > 20
    told_methods = set(re.findall(r"(?:^| )([A-Z]\w+)\(", told["method"]))
    assert told_methods == {m.get("name") for m in interface.iter("method")}


def complete(*words):
    """What bash offers for the last word."""
    script = (f". {SOURCE}/src/ctl/mpyctl.bash-completion; COMP_WORDS=(mpyctl \"$@\"); "
              "COMP_CWORD=$#; _mpyctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
    out = subprocess.run(["bash", "-c", script, "bash", *words], check=True, capture_output=True,
                         text=True).stdout
    return set(out.split())


def test_completion_offers_every_verb_and_option():
    general = options(help_of(mpyctl_program(), "help"))
    assert complete("") == {*verbs(), *general}
    for verb in verbs():
        own = options(help_of(mpyctl_program(), "help", verb).split("\nExamples:")[0]) | general
        offered = {word for word in complete(verb, "--")}
        assert offered == (own if verb != "help" else set()), verb
