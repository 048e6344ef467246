# SPDX-License-Identifier: MIT
"""What containers and virtual machines have in common."""
import json
import time

from .host import timeout


class BootFailure(Exception):
    """A machine did not come up; its console is in the text. No assertion about the product."""


class CommandFailed(AssertionError):
    """A command in a machine failed; result has its output."""

    def __init__(self, where, command, result):
        super().__init__(f"in {where}: {command}\nended with {result.returncode}:\n"
                         f"{result.stdout[-4000:]}{result.stderr[-4000:]}")
        self.result = result


class Machine:
    """label: its name for people. execute(command, seconds) runs a shell command as root."""

    label = "machine"

    def execute(self, command, seconds=60):
        raise NotImplementedError

    def run(self, command, seconds=60):
        """Runs a command that must succeed; what it printed."""
        result = self.execute(command, seconds)
        if result.returncode != 0:
            raise CommandFailed(self.label, command, result)
        return result.stdout

    def until(self, command, condition, seconds=20):
        """Runs a command again and again until condition(what it printed); answers that."""
        deadline = time.monotonic() + timeout(seconds)
        while True:
            result = self.execute(command)
            if condition(result.stdout):
                return result.stdout
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"in {self.label}: {command}\ndid not print what was waited for in "
                    f"{timeout(seconds):.0f} s, but last ({result.returncode}):\n"
                    f"{result.stdout[-4000:]}{result.stderr[-2000:]}")
            time.sleep(0.1)

    # ---- what tests ask again and again ----

    def unit(self, *properties, name="mpyd"):
        """Properties of a unit, by name."""
        text = self.run(f"systemctl show {name} " + " ".join(f"-p {p}" for p in properties))
        return dict(line.split("=", 1) for line in text.splitlines())

    def log_shows(self, text, seconds=20):
        """Waits until the board's log has text; answers the log."""
        return self.until("mpyctl log", lambda log: text in log, seconds)

    def history(self):
        """What mpyctl history tells, oldest first: [{...}]."""
        return json.loads(self.run("mpyctl history --json"))

    def status(self):
        return json.loads(self.run("mpyctl status --json"))

    def journal(self, *matches):
        """Entries of the journal: [{field: value}]."""
        text = self.run("journalctl -q -b -o json --no-pager " + " ".join(matches))
        return [json.loads(line) for line in text.splitlines()]

    def evaluate(self, expression):
        """An expression on the board's REPL; its repr."""
        return self.run(f"mpyctl eval {quote(expression)}").strip()


def quote(text):
    return "'" + text.replace("'", "'\\''") + "'"
