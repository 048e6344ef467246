#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes docs/CONFORMANCE.md of items.toml and the tests: `tests/conformance/document.py` writes it,
with --check it only tells whether the file is up to date.

Tests are read, not run: each function with @item("S4", "state") proves that item. Of several tests
of an item the first state that is given counts."""
import ast
import difflib
import pathlib
import re
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
DOCUMENT = SOURCE / "docs/CONFORMANCE.md"
FOLDERS = ("conformance", "integration", "system/container")
HEAD = """\
# Conformance

Made by `tests/conformance/document.py` from the tests and `tests/conformance/items.toml`; do not
edit. `make test` runs every test named here; those in system/ need booted machines: `make system-test`.
"""


def marks(function):
    """(item, state or None) of each @item decorator."""
    for d in function.decorator_list:
        if isinstance(d, ast.Call) and isinstance(d.func, ast.Name) and d.func.id == "item":
            values = [ast.literal_eval(a) for a in d.args]
            yield values[0], values[1] if len(values) > 1 else None


def read_tests():
    """item → [(file in tests/, function, state or None)], in order of files and lines."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((SOURCE / "tests" / folder).glob("test_*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef):
                    for number, state in marks(node):
                        found.setdefault(number, []).append(
                            (f"{folder}/{path.name}", node.name, state))
    return found


def read_items():
    return tomllib.loads((HERE / "items.toml").read_text())


def state_of(entry, tests):
    given = [state for _, _, state in tests if state]
    if given:
        return given[0]
    if tests:
        return "holds"
    if "na" in entry:
        return "does not apply: " + entry["na"]
    return "waits for " + entry["waits"]


def tests_cell(tests):
    """`test_S11_a`, `…_b` (reset.py): the number is said once."""
    cells = []
    for path in dict.fromkeys(p for p, _, _ in tests):
        names = ", ".join(f"`{name}`" for p, name, _ in tests if p == path)
        cells.append(f"[{path}](../tests/{path}): {names}")
    return "; ".join(cells) or "–"


def problems(items, tests):
    """What is wrong with the data: an item with neither test nor reason, or a test of no item."""
    known = {}
    for part in items.values():
        known.update(part["items"])
    found = [f"{number}: no test, and items.toml says neither waits nor na"
             for number, entry in known.items()
             if number not in tests and not {"waits", "na"} & set(entry)]
    found += [f"{number}: has a test, but items.toml says it waits or does not apply"
              for number, entry in known.items()
              if number in tests and {"waits", "na"} & set(entry)]
    found += [f"{number}: {path}: no such item" for number, list_ in tests.items()
              for path, _, _ in list_ if number not in known]
    for number, list_ in tests.items():
        token = f"test_{number[0]}{int(number[1:]):02d}_"
        found += [f"{number}: {path}: {name} does not begin with {token}" for path, name, _ in list_
                  if not name.startswith(token)]
    return found


def render(items, tests):
    lines = [HEAD]
    for part in items.values():
        entries = part["items"]
        done = sum(1 for n in entries if n in tests)
        na = sum(1 for n, e in entries.items() if n not in tests and "na" in e)
        lines += [f"## {part['title']}", "", part["about"], "",
                  f"{len(entries)} items: {done} tested, {len(entries) - done - na} waiting, "
                  f"{na} not applicable.", "",
                  "| item | statement | state | test |", "|---|---|---|---|"]
        for number, entry in entries.items():
            of = tests.get(number, [])
            cells = [number, entry["statement"], state_of(entry, of), tests_cell(of)]
            lines.append("| " + " | ".join(re.sub(r"\s+", " ", c).replace("|", "\\|")
                                           for c in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main():
    items, tests = read_items(), read_tests()
    wrong = problems(items, tests)
    for problem in wrong:
        print(problem, file=sys.stderr)
    if wrong:
        return 1
    text = render(items, tests)
    old = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(text)
    elif text != old:
        sys.stderr.writelines(difflib.unified_diff(
            old.splitlines(True), text.splitlines(True), "docs/CONFORMANCE.md", "as it should be"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
