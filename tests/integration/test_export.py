# SPDX-License-Identifier: MIT
"""The board for other programs: OpenMetrics, JSON lines, CSV; with and without a daemon."""
import csv
import io
import json
import os

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

HOSTILE = 'raise ValueError("a,b\\r\\n\\"quoted\\" \\u2603")\n'


@pytest.fixture
def failed(boards):
    """A board whose program has failed with a text that wants to be quoted."""
    b = boards({"main.py": HOSTILE})
    b.wait_state("idle")
    assert b.events("exception")
    return b


def metrics(board, *arguments):
    return {f.name: f for f in text_string_to_metric_families(board.ctl("metrics", *arguments).stdout)}


def value(families, name, **labels):
    found = [s.value for f in families.values() for s in f.samples if s.name == name and s.labels == labels]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_metrics_are_openmetrics(failed):
    m = metrics(failed)
    assert m["mpyd_board_state"].type == "stateset" and m["mpyd_events"].type == "counter"
    assert value(m, "mpyd_up") == 1
    assert value(m, "mpyd_build_info", version=failed.get("Version")) == 1
    assert value(m, "mpyd_board_state", mpyd_board_state="idle") == 1
    assert sum(s.value for s in m["mpyd_board_state"].samples) == 1
    assert value(m, "mpyd_events_total", event="exception") == 1
    assert value(m, "mpyd_events_total", event="power-ons") == 1
    assert value(m, "mpyd_uptime_seconds") > 0
    assert (value(m, "mpyd_safe_mode"), value(m, "mpyd_strikes")) == (0, 0)
    failed.ctl("safe-mode", "enter")
    m = metrics(failed)
    assert value(m, "mpyd_safe_mode") == 1
    assert value(m, "mpyd_events_total", event="safe-mode") == 1


def test_code_entered_at_the_repl_counts_as_running(failed):
    repl = failed.friendly()
    repl.write(b"import time; time.sleep(600)\r")
    failed.wait(lambda p: p["ReplState"] == "running")
    m = metrics(failed)
    assert value(m, "mpyd_board_state", mpyd_board_state="running") == 1
    assert sum(s.value for s in m["mpyd_board_state"].samples) == 1
    repl.write(b"\x03")
    repl.read_until(b">>> ")


def test_metrics_grow_over_a_restart_and_tell_that_it_is_down(failed):
    failed.stop()
    m = metrics(failed)
    assert value(m, "mpyd_up") == 0
    assert value(m, "mpyd_events_total", event="daemon-start") == 1
    assert "mpyd_board_state" not in m
    failed.start()
    failed.wait_state("idle")
    assert value(metrics(failed), "mpyd_events_total", event="daemon-start") == 2


def test_metrics_replace_a_file_in_one_step(failed):
    target = failed.dir / "mpyd.prom"
    target.write_text("old")
    failed.ctl("metrics", "--output", str(target))
    assert target.read_text().endswith("# EOF\n") and target.stat().st_mode & 0o777 == 0o644
    assert not [p for p in os.listdir(failed.dir) if p.startswith(".")]
    r = failed.ctl("metrics", "--output", str(failed.dir / "no/such/file"), check=False)
    assert r.returncode == 2 and "No such file" in r.stderr


@pytest.mark.parametrize("running", [True, False], ids=["live", "offline"])
def test_exports_have_all_that_json_has(failed, running):
    expected = failed.ctl_json("history", "-n", "1000")
    assert len(expected) >= 3
    if not running:
        failed.stop()
        expected = failed.ctl_json("history", "-n", "1000")  # the stop is in it
    lines = failed.ctl("history", "export").stdout.splitlines()
    assert [json.loads(line) for line in lines] == expected

    text = failed.ctl("history", "export", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == list(expected[0])
    assert [r["id"] for r in rows] == [str(e["id"]) for e in expected]
    row, entry = next((r, e) for r, e in zip(rows, expected) if e["name"] == "exception")
    assert (row["detail"], row["traceback"]) == (entry["detail"], entry["traceback"])
    assert '"quoted" \N{SNOWMAN}' in row["traceback"]
    assert row["cause"] == "" and row["crashed"] == "false"
    evidence = next(r["evidence"] for r in rows if r["type"] == "reset" and r["evidence"])
    assert json.loads(evidence)[0]["finding"]


def test_exports_can_be_narrowed(failed):
    lines = failed.ctl("history", "export", "--only", "exception", "-n", "1").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["exception"]
    assert failed.ctl("history", "export", "--only", "board-stuck").stdout == ""
    text = failed.ctl("history", "export", "--only", "board-stuck", "--format", "csv").stdout
    assert text.startswith("type,id,name,cause") and text.count("\n") == 1


@pytest.mark.parametrize("wrong", [["export", "--format", "xml"], ["export", "--totals"], ["export", "3"],
                                   ["--format", "csv"], ["exports"]])
def test_wrong_use_is_told(failed, wrong):
    r = failed.ctl("history", *wrong, check=False)
    assert r.returncode == 64 and r.stderr and not r.stdout
