# SPDX-License-Identifier: MIT
"""The header of events, the catalog and docs/JOURNAL.md say the same."""
import re
import subprocess

import document
import pytest

EVENTS = document.read_events()
CATALOG = document.read_catalog()


def test_the_whole_header_was_read():
    text = document.HEADER.read_text()
    assert len(EVENTS) == len(re.findall(r"^\s+X\([A-Z_]+,", text, flags=re.M)) > 20


def test_names_and_ids_are_unique():
    for values in ([e.name for e in EVENTS], [e.message_id for e in EVENTS]):
        assert len(set(values)) == len(values)
    for e in EVENTS:
        # systemd-id128 new: version 4, variant DCE
        assert re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", e.message_id), e
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", e.name), e
        assert e.priority in ("crit", "err", "warning", "notice", "info"), e


def test_catalog_has_each_event_once():
    assert sorted(i for i, _ in CATALOG) == sorted(e.message_id for e in EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=[e.name for e in EVENTS])
def test_catalog_text(event):
    entry = dict(CATALOG)[event.message_id]
    assert entry.headers["Defined-By"] == "mpyd" and entry.headers["Subject"]
    assert re.fullmatch(r"(man:[\w.-]+\([158]\) ?)+", entry.headers["Documentation"])
    happened, _, todo = entry.text.partition("\n\nWhat to do: ")
    assert len(happened) > 20 and len(todo) > 5
    # journalctl leaves the name of a field that is not there.
    used = set(re.findall(r"@(\w+)@", entry.headers["Subject"] + entry.text))
    assert used <= set(event.fields)


def test_every_field_is_explained():
    assert set(document.FIELDS) == {f for e in EVENTS for f in e.fields}


def test_committed_document_is_up_to_date():
    assert document.DOCUMENT.read_text() == document.render(EVENTS, CATALOG), \
        "run tests/journal/document.py"


def test_journalctl_takes_the_catalog(tmp_path):
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (folder / "mpyd.catalog").write_bytes(document.CATALOG.read_bytes())
    done = subprocess.run(["journalctl", "--update-catalog", f"--root={tmp_path}"],
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    listed = subprocess.run(["journalctl", "--list-catalog", f"--root={tmp_path}"],
                            capture_output=True, text=True, check=True).stdout
    for message_id, entry in CATALOG:
        assert f"{message_id} mpyd: {entry.headers['Subject']}\n" in listed
