# SPDX-License-Identifier: MIT
"""Telling the owner, [notify]: a command and a webhook, by the real mpyd-action. Whoever listens here is
on the loopback interface."""
import http.server
import json
import pathlib
import signal
import threading
import time

import pytest


class Hook:
    """A web server that answers with codes (the last one for ever) and keeps what it was sent."""

    def __init__(self, codes=(204,), port=0):
        hook = self
        self.codes, self.told = list(codes), []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.told.append((self.headers["Content-Type"], json.loads(body)))
                code = hook.codes.pop(0) if len(hook.codes) > 1 else hook.codes[0]
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook?board=3"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def messages(self):
        return [m for _, m in self.told]


@pytest.fixture
def hooks():
    made = []

    def make(*args, **kwargs):
        made.append(Hook(*args, **kwargs))
        return made[-1]
    yield make
    for h in made:
        h.close()


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def bite(b):
    b.ctl("exec", "import os, machine\nmachine.WDT(timeout=20)\nwhile True: pass", check=False)


def test_command_is_told_with_fields(boards, tmp_path):
    """Its environment says what happened; nothing of ours leaks into it."""
    out = tmp_path / "told"
    b = boards({"main.py": "1/0\n"}, config={"notify": {
        "command": f"env > {out}; echo END >> {out}", "events": "exception"}})
    b.wait(lambda _: out.exists() and out.read_text().endswith("END\n"), what="the command")
    told = out.read_text()
    lines = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    assert lines["MPYD_EVENT"] == "exception"
    assert lines["MPYD_MESSAGE"] == "main.py ended with an uncaught exception."
    assert lines["MPYD_STAGE"] == "main.py"
    assert "MPYD_TRACEBACK=Traceback (most recent call last):" in told
    assert time.strptime(lines["MPYD_TIME"], "%Y-%m-%dT%H:%M:%SZ")
    assert lines["MPYD_HOST"] and lines["MPYD_MISSED"] == "0"
    assert not [name for name in lines if name.startswith(("ASAN", "PYTEST", "NOTIFY_", "MPYD_BUILD"))]


def test_what_a_script_says_is_never_executed(boards, tmp_path):
    bad = tmp_path / "executed"
    out = tmp_path / "told"
    text = f"$(touch {bad}) `touch {bad}`; touch {bad}\n'\"\\x00"
    b = boards({"main.py": f"raise ValueError({text!r})\n"}, config={"notify": {
        "command": f"printf %s \"$MPYD_TRACEBACK\" > {out}", "events": "exception"}})
    b.wait(lambda _: out.exists() and "ValueError" in out.read_text(), what="the command")
    assert not bad.exists()
    assert "touch" in out.read_text()


def test_webhook_gets_json(boards, hooks):
    hook = hooks()
    b = boards({"main.py": "import time\nwhile True: time.sleep(1)\n"}, config={"notify": {"url": hook.url}})
    b.wait_state("running")
    until(lambda: hook.told, "the start")
    kind, start = hook.told[0]
    assert kind == "application/json"
    assert start["event"] == "daemon-start" and start["missed"] == 0 and start["fields"]["MPYD_VERSION"]
    assert "verb" not in start
    bite(b)
    told = until(lambda: [m for m in hook.messages() if m["event"] == "watchdog"], "the watchdog")[0]
    assert told["fields"]["MPYD_RESET_CAUSE"] == "WDT_RESET"
    assert "machine.WDT was not fed" in told["message"]


def bitten_in_silence(boards, hooks):
    """A board that has started and been bitten while its hook was away; with the hook's port."""
    hook = hooks()
    port, url = hook.server.server_port, hook.url
    hook.close()
    b = boards({"main.py": "import time\nwhile True: time.sleep(1)\n"},
               config={"notify": {"url": url, "events": "daemon-start watchdog"}})
    b.wait_state("running")
    b.wait_log("Failed to tell the owner: [notify] url:")
    bite(b)
    b.wait(lambda p: p["ResetCause"] == "WDT_RESET" and p["State"] == "running", what="the reset")
    return b, port


def test_a_server_that_is_down_is_told_later_in_order(boards, hooks):
    """Nothing is lost while it is away: an unreachable one, then one that answers 503."""
    b, port = bitten_in_silence(boards, hooks)
    hook = hooks(codes=(503, 204), port=port)
    assert "On its way" in b.ctl("notify", "hello").stdout  # who waits is tried now, and 10 s after the 503
    until(lambda: len(hook.told) == 4, "all of it")
    assert [m["event"] for m in hook.messages()] == ["daemon-start", "daemon-start", "watchdog", "notify-test"]
    assert "hello" in hook.messages()[-1]["message"]
    b.wait_log("The owner can be told again (webhook).")
    assert b.log_count("Failed to tell the owner") == 2  # the first one, and the 503 after `notify`


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_waits_outlives_the_daemon(boards, hooks, end):
    """As when the network is gone and the host is rebooted for it."""
    b, port = bitten_in_silence(boards, hooks)
    kept = b.state_dir / "notify-queue"
    until(lambda: kept.exists() and "watchdog" in kept.read_text(), "the file")
    assert kept.stat().st_mode & 0o777 == 0o600
    b.stop(end)
    assert [m["event"] for m in json.loads(kept.read_text())["webhook"]] == ["daemon-start", "watchdog"]

    hook = hooks(port=port)
    b.start()
    until(lambda: len(hook.told) == 3, "all of it")
    assert [m["event"] for m in hook.messages()] == ["daemon-start", "watchdog", "daemon-start"]
    until(lambda: not kept.exists(), "an empty queue")
    b.stop()
    assert not kept.exists()


def test_a_stop_right_after_an_event_keeps_it(boards, hooks):
    """Before anybody knows whether it can be told."""
    hook = hooks()
    hook.close()
    b = boards({}, config={"notify": {"url": hook.url, "events": "safe-mode daemon-start"}})
    b.wait_state("idle")
    b.stop()
    kept = json.loads((b.state_dir / "notify-queue").read_text())
    assert [m["event"] for m in kept["webhook"]] == ["daemon-start"]


@pytest.mark.parametrize("left", ["", "[", "[]", '{"webhook": 7}', '{"webhook": [1, {}, {"event": 5}]}',
                                  pytest.param("x" * 2000000, id="too-large")])
def test_a_damaged_queue_is_no_obstacle(boards, hooks, left):
    hook = hooks()
    b = boards({}, config={"notify": {"url": hook.url, "events": "daemon-start"}}, start=False)
    kept = b.state_dir / "notify-queue"
    kept.write_text(left)
    b.start()
    b.wait_state("idle")
    until(lambda: hook.told, "the start")
    assert [m["event"] for m in hook.messages()] == ["daemon-start"]
    until(lambda: not kept.exists(), "an empty queue")
    assert ("cannot be read" in b.log) == (not left.startswith("{"))


def test_a_refusal_is_not_repeated(boards, hooks):
    hook = hooks(codes=(404, 204))
    b = boards({"main.py": ""}, config={"notify": {"url": hook.url, "events": "daemon-start"}})
    b.wait_log("the server answers 404. This event is not told")
    b.ctl("notify")
    until(lambda: len(hook.told) == 2, "the second")
    assert [m["event"] for m in hook.messages()] == ["daemon-start", "notify-test"]


def test_command_that_fails_or_hangs(boards, tmp_path):
    """An exit status is told once; one that hangs is killed with what it started; the board runs on."""
    out = tmp_path / "told"
    b = boards({"main.py": ""}, config={"notify": {"events": "none", "command": "exit 3"}})
    b.wait_state("idle")
    b.ctl("notify")
    b.wait_log("[notify] command ended with exit status 3. This event is not told")
    b.set_config({"notify": {"events": "none",
                            "command": f"echo $$ > {out}; (trap '' TERM; sleep 400) & wait"}})
    b.ctl("reload")
    b.ctl("notify")
    b.wait(lambda _: out.exists(), what="the command")
    assert b.ctl("eval", "6*7").stdout.strip() == "42"
    b.wait_log("[notify] command took longer than 30 s and was killed", timeout=60)
    until(lambda: not children_of_group(int(out.read_text())), "nothing of it left")


def test_command_that_asks_for_another_time(boards, tmp_path):
    """Exit status 75 (EX_TEMPFAIL of sysexits.h): told again, and what came meanwhile after it."""
    out, closed = tmp_path / "told", tmp_path / "closed"
    closed.touch()
    b = boards({"main.py": ""}, config={"notify": {
        "events": "daemon-start", "command": f"test ! -e {closed} || exit 75; echo $MPYD_EVENT >> {out}"}})
    b.wait_log("Failed to tell the owner: [notify] command ended with exit status 75")
    closed.unlink()
    assert "On its way" in b.ctl("notify").stdout  # who waits is tried now
    until(lambda: out.exists() and out.read_text() == "daemon-start\nnotify-test\n", "both, in their order")


def children_of_group(group):
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(stat)
    return found


def test_a_flood_hides_nothing_else(boards, hooks):
    """Of one kind five at once; what was left out is counted in what is told next."""
    hook = hooks()
    b = boards({"main.py": ""}, config={"notify": {"url": hook.url, "events": "exception safe-mode"},
                                        "recovery": {"after-exception": "off"},
                                        "log": {"level": "debug"}})
    b.wait_state("idle")
    b.put({"main.py": "1/0\n"})
    for i in range(8):
        b.ctl("reset", "--soft")
        time.sleep(1.05)  # exceptions are not told more than once a second
    b.ctl("safe-mode", "enter")
    until(lambda: "safe-mode" in [m["event"] for m in hook.messages()], "safe mode")
    told = hook.messages()
    assert [m["event"] for m in told].count("exception") == 5
    assert told[-1]["event"] == "safe-mode" and told[-1]["missed"] >= 1


def test_nobody_to_tell(boards):
    b = boards({"main.py": ""})
    b.wait_state("idle")
    result = b.ctl("notify", check=False)
    assert result.returncode == 2
    assert "set [notify] command= or url=, then mpyctl reload" in result.stderr


def test_wrong_values_are_told(boards):
    b = boards({"main.py": ""}, config={"notify": {"url": "ftp://example.org/", "events": "a|b"},
                                        "host": {"reboot": "maybe", "reboot-budget": "often"}})
    b.wait_state("idle")
    text = b.ctl("status").stdout
    assert "[notify] url = ftp://example.org/: not a URL; write one that begins with http://" in text
    assert "[notify] events = a|b: not names with a space between" in text
    assert "[host] reboot = maybe: neither yes nor no" in text
    assert "[host] reboot-budget = often: not a rate" in text


def test_snooze(boards):
    """Shown, bounded, kept over a restart of mpyd, taken back."""
    b = boards({"main.py": ""})
    b.wait_state("idle")
    assert "for 15min" in b.ctl("snooze", "15min").stdout
    assert "no reboot of the host for 1" in b.ctl("status").stdout
    for bad in ("25h", "0", "soon", "-1"):
        result = b.ctl("snooze", "--", bad, check=False)
        assert result.returncode == 64 and "neither off nor a time" in result.stderr, (bad, result)
    b.stop()
    b.start()
    b.wait_state("idle")
    assert "no reboot of the host for 1" in b.ctl("status").stdout
    b.ctl("snooze", "off")
    assert "Snooze" not in b.ctl("status").stdout
