#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes docs/JOURNAL.md of include/mpyd/journal.h (names, ids, priorities, fields) and
etc/mpyd.catalog (what happened, what to do): `tests/journal/document.py` writes it."""
import pathlib
import re
import typing

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
HEADER = SOURCE / "include/mpyd/journal.h"
CATALOG = SOURCE / "etc/mpyd.catalog"
DOCUMENT = SOURCE / "docs/JOURNAL.md"

# Every field that an event may have, and what is in it.
FIELDS = {
    "ERRNO": "the system's error number",
    "MPYD_BOARD_PID": "process of the board",
    "MPYD_DELAY_USEC": "how long, in microseconds",
    "MPYD_EXIT_STATUS": "with which the board's process ended; absent when a signal ended it",
    "MPYD_PROBLEM": "what is wrong, in a sentence",
    "MPYD_RESET_CAUSE": "machine.reset_cause() of the board that starts, by name",
    "MPYD_RESET_DETAIL": "who or what asked, in a sentence",
    "MPYD_RESET_KIND": "hard, soft, deepsleep",
    "MPYD_RESET_REASON": "microcontroller.cpu.reset_reason of the board that starts, by name",
    "MPYD_RUN_REASON": "supervisor.runtime.run_reason of the board that starts, by name",
    "MPYD_SAFE_MODE": "supervisor.runtime.safe_mode_reason, by name; NONE: not in safe mode",
    "MPYD_SAFE_MODE_DOOR": "what led to safe mode: strikes, operator, flag, button; none",
    "MPYD_SCRIPT": "name of the script",
    "MPYD_SIGNAL": "that ended the board's process; absent when none did",
    "MPYD_STAGE": "how far the program had come: off, _boot.py, boot.py, main.py, repl, stopping",
    "MPYD_STRIKES": "abnormal ends since the last stable time",
    "MPYD_TRACEBACK": "as the REPL shows it",
    "MPYD_UPTIME_USEC": "how long the life lasted that ended, in microseconds",
    "MPYD_VERSION": "version of mpyd",
}

HEAD = """\
# Journal

Made by `tests/journal/document.py` from `include/mpyd/journal.h` and `etc/mpyd.catalog`; do not edit.

Each event that an operator may want to find is one line in the journal, with structured fields, a
`MESSAGE_ID` that never changes and a text that says what to do next:

```sh
journalctl -u mpyd                              # all of it: the daemon and the scripts
journalctl -u mpyd -x                           # with the texts below
journalctl -u mpyd -t mpyd                      # the daemon only
journalctl -u mpyd -t main.py                   # what main.py printed; boot.py and _boot.py likewise
journalctl -u mpyd MPYD_EVENT=crash             # one kind of event, as long as the journal reaches back
journalctl -u mpyd -p warning                   # what needs a look
journalctl -u mpyd MPYD_EVENT=reset -o json     # every field
```

`mpyctl log` shows the last lines of the same, also where there is no journal.

Every line has `MPYD_BOARD`, what `machine.unique_id()` says in hexadecimal: it tells boards apart in a
journal that was collected from many. A line that a script printed has the script's name as its
identifier and in `MPYD_SCRIPT`, and priority info. Scripts have a rate limit of their own (`[log]
script-burst`, `script-rate` in mpyd.conf), below what journald takes from a service, and what is over
is counted (`output-suppressed`): a chatty script does not hide the daemon, neither in the journal nor
in `mpyctl log`. What is typed at the REPL and what it answers is not logged; what timers, pins, scheduled callbacks and
threads print meanwhile is, as main.py's, in a life in which main.py's turn has come. When they and the REPL print by
turns for hundreds of times before mpyd comes to it, some of theirs is left out.

| event | priority | what happened |
|---|---|---|
"""


class Event(typing.NamedTuple):
    name: str
    priority: str
    message_id: str
    fields: list


class Entry(typing.NamedTuple):
    headers: dict
    text: str


def read_events():
    """The events of the header, in its order."""
    text = HEADER.read_text().replace("\\\n", "\n")
    pattern = r'X\(\w+,\s*"([^"]+)",\s*LOG_(\w+),\s*"([^"]*)",\s*((?:"[^"]*"\s*)+)\)'
    return [Event(name, priority.lower(), message_id,
                  "".join(re.findall(r'"([^"]*)"', fields)).split())
            for name, priority, message_id, fields in re.findall(pattern, text)]


def read_catalog():
    """[(id, entry)] of the catalog, in its order; systemd's catalog.c reads the same form."""
    entries = []
    for part in re.split(r"^-- ", CATALOG.read_text(), flags=re.M)[1:]:
        message_id, _, rest = part.partition("\n")
        head, _, text = rest.partition("\n\n")
        headers = dict(line.split(": ", 1) for line in head.splitlines())
        entries.append((message_id.strip(), Entry(headers, text.strip())))
    return entries


def readable(text):
    """Fields that journalctl puts in, as what they are."""
    return re.sub(r"@(\w+)@", r"`\1`", text)


def render(events, catalog):
    catalog = dict(catalog)
    lines = [HEAD.rstrip("\n")]
    for e in events:
        subject = readable(catalog[e.message_id].headers["Subject"])
        lines.append(f"| [{e.name}](#{e.name}) | {e.priority} | {subject} |")
    for e in events:
        entry = catalog[e.message_id]
        lines += ["", f"## {e.name}", "", f"`MESSAGE_ID={e.message_id}`, priority {e.priority}.", ""]
        lines += [readable(entry.text)]
        if e.fields:
            lines.append("")
            lines += [f"* `{f}`: {FIELDS[f]}" for f in e.fields]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(render(read_events(), read_catalog()))
