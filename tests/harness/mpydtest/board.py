# SPDX-License-Identifier: MIT
"""The real mpyd, in the foreground, with directories of its own that are gone afterwards."""
import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

from .control import Control
from .paths import action_program, board_program, mpremote_path, mpyctl_program, mpyd_program
from .paths import timeout as scaled
from .repl import Repl

# Tests reset and crash more often than programs should; those about the limits say so.
DEFAULT_CONFIG = {"reset": {"burst": "100000", "rate": "unlimited"}, "safe-mode": {"strikes": "off"}}
SANITIZER_WORDS = ("Sanitizer", "runtime error:")


def process_exists(pid):
    """Whether pid lives; one that nobody has reaped yet does not."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state != b"Z"


def children(pid):
    """Living processes whose parent is pid."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()  # a name may be anything
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != b"Z":
            found.append(int(stat.parent.name))
    return found


class Board:
    """mpyd with a board.

    files: name on the flash → str or bytes; None: no flash directory at all. config: {section:
    {key: value}} over DEFAULT_CONFIG. board: another program in the place of mpyd-board. preload:
    libraries to put into mpyd. environ: more variables for mpyd. arguments: more options of its.
    Starts at once unless start is False."""

    def __init__(self, files=(), config=None, board=None, preload=(), environ=None, start=True,
                 arguments=()):
        self.board_program = board or board_program()
        # A socket's path has at most 107 bytes, and the board's user must get at the flash.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mpyd-test-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.state_dir = self.dir / "state"
        self.run_dir = self.dir / "run"
        self.flash = self.state_dir / "flash"
        self.state_dir.mkdir()
        self.run_dir.mkdir()
        self.config_file = self.dir / "mpyd.conf"
        self.preload = [str(p) for p in preload]
        self.environ = dict(environ or {})
        self.arguments = [str(a) for a in arguments]
        self.process = None
        self.log_lines = []
        self.log_changed = threading.Condition()
        self.log_ended = True
        self.reader = None
        self.expected_exit = 0
        self.repls = []
        self._control = None
        self.set_config(config or {})
        if files is not None:
            self.flash.mkdir()
            self.flash.chmod(0o777)
            self.put(dict(files))
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close(check=exception[0] is None)

    # ---- files ----

    def set_config(self, config, text=None):
        """Writes mpyd.conf: config over what tests need in any case, or text as it is."""
        if text is None:
            merged = {s: dict(keys) for s, keys in DEFAULT_CONFIG.items()}
            for section, keys in config.items():
                merged.setdefault(section, {}).update(keys)
            text = "".join(f"[{s}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())
                           for s, keys in merged.items())
        self.config_file.write_text(text)

    def drop_in(self, name, text):
        directory = self.dir / "mpyd.conf.d"
        directory.mkdir(exist_ok=True)
        (directory / name).write_text(text)

    def put(self, files):
        """Puts files on the flash so that the board's user may change them too."""
        for name, content in files.items():
            path = self.flash / name
            if not path.parent.exists():
                path.parent.mkdir(parents=True)
                path.parent.chmod(0o777)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            path.chmod(0o666)

    def read(self, name):
        return (self.flash / name).read_text()

    # ---- the daemon ----

    def command(self):
        return [str(mpyd_program()), "--config", str(self.config_file),
                "--state-dir", str(self.state_dir), "--run-dir", str(self.run_dir),
                "--board", str(self.board_program), "--action", str(action_program()),
                *self.arguments]

    def start(self, wait=True):
        assert self.process is None or self.process.poll() is not None, "it runs already; nobody would end the first"
        environ = {**os.environ, **self.environ}
        starts = self.log_count("the REPL is at")
        for name in ("NOTIFY_SOCKET", "JOURNAL_STREAM", "LD_PRELOAD"):
            environ.pop(name, None)
        if self.preload:
            environ["LD_PRELOAD"] = " ".join(self.preload)
            environ["ASAN_OPTIONS"] = environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        read_end, write_end = os.pipe()
        try:
            # The daemon drops lines rather than wait for a reader.
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 1 << 20)
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=write_end, stderr=write_end, env=environ)
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self.reader = threading.Thread(target=self._read_log, args=(read_end,), daemon=True)
        self.log_ended = False
        self.reader.start()
        if wait:
            self.wait_log("the REPL is at", starts + 1)

    def _read_log(self, fd):
        with open(fd, encoding="utf-8", errors="replace") as f:
            for line in f:
                with self.log_changed:
                    self.log_lines.append(line.rstrip("\n"))
                    self.log_changed.notify_all()
        with self.log_changed:
            if threading.current_thread() is self.reader:  # and not one of a run before
                self.log_ended = True
            self.log_changed.notify_all()

    @property
    def log(self):
        with self.log_changed:
            return "\n".join(self.log_lines)

    def log_count(self, text):
        with self.log_changed:
            return sum(text in line for line in self.log_lines)

    def wait_log(self, text, count=1, timeout=20):
        """Until count lines of the log have text in them."""
        with self.log_changed:
            came = self.log_changed.wait_for(
                lambda: self.log_ended or sum(text in li for li in self.log_lines) >= count,
                scaled(timeout))
            if sum(text in line for line in self.log_lines) >= count:
                return
        why = "the daemon ended" if came else f"{scaled(timeout):.0f} s are over"
        raise AssertionError(f"{why} without {text!r} in its log ({count} times):\n"
                             f"{self.log[-4000:]}")

    def stop(self, signum=signal.SIGTERM, timeout=30):
        """Sends signum, waits for the daemon's end. Its exit status, negative for a signal."""
        self._forget_clients()
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.wait_exit(timeout)

    def wait_exit(self, timeout=30):
        try:
            status = self.process.wait(scaled(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"mpyd did not end:\n{self.log[-4000:]}") from None
        # All of its children have its stderr: its end is theirs.
        self.reader.join(scaled(10))
        assert not self.reader.is_alive(), "a process of the daemon's has outlived it"
        self._forget_clients()
        return status

    def restart(self):
        assert self.stop() == 0, self.log[-4000:]
        self.start()

    def _forget_clients(self):
        if self._control:
            self._control.close()
            self._control = None

    def close(self, check=True):
        """Stops it and removes its directories; with check, everything must have gone well."""
        status = self.expected_exit
        try:
            for repl in self.repls:
                repl.close()
            if self.process:
                running = self.process.poll() is None
                pids = children(self.process.pid) if running else []
                status = self.stop()
                left = [pid for pid in pids if process_exists(pid)]
                assert not (check and left), f"left behind: {left}"
        finally:
            self._forget_clients()
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.reader:
                self.reader.join(scaled(5))
            shutil.rmtree(self.dir, ignore_errors=True)
        if check and self.process:
            assert status == self.expected_exit, f"mpyd ended with {status}:\n{self.log[-4000:]}"
            reports = [w for w in SANITIZER_WORDS if w in self.log]
            assert not reports, f"the log has a report of a sanitizer:\n{self.log[-8000:]}"

    @property
    def pid(self):
        return self.process.pid

    def memory(self):
        """Resident memory of the daemon in bytes, descriptors, child processes."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        rss = next(int(li.split()[1]) for li in status.splitlines() if li.startswith("VmRSS:"))
        return rss * 1024, len(os.listdir(f"/proc/{self.pid}/fd")), len(children(self.pid))

    # ---- its clients ----

    @property
    def control(self):
        """A connection to the control bus, kept open."""
        if not self._control:
            self._control = Control(self.run_dir / "control")
        return self._control

    def get(self, name):
        return self.control.get(name)

    def wait(self, condition, timeout=20, what="the state that was waited for"):
        return self.control.wait(condition, timeout, what)

    def wait_state(self, state, timeout=20):
        return self.wait(lambda p: p["State"] == state, timeout, f"state {state}")

    def wait_stage(self, stage, timeout=20):
        return self.wait(lambda p: p["Stage"] == stage, timeout, f"stage {stage}")

    def board_pid(self):
        return self.get("BoardPid")

    def repl_path(self):
        return self.run_dir / "repl"

    def open_repl(self, raw=True):
        """Opens the pty and waits until the daemon knows of its user: nothing is dropped."""
        repl = Repl.open(self.repl_path(), raw)
        self.repls.append(repl)
        self.wait(lambda p: p["ConsoleHolder"], what="the REPL's user being noticed")
        return repl

    def friendly(self):
        """The REPL at its prompt, once no script runs any more."""
        self.wait_state("idle")
        repl = self.open_repl()
        repl.sync()
        return repl

    def raw(self):
        """The raw REPL, after Ctrl-C to whatever runs."""
        repl = self.open_repl()
        repl.enter_raw()
        return repl

    def open_session(self, who="test", take_over=False):
        """The REPL by the control bus."""
        repl = Repl(self.control.open_console(who, take_over))
        self.repls.append(repl)
        return repl

    def hard_reset(self):
        """By order of the operator; returns when another board is up."""
        before = self.get("HardResets")
        self.control.reset("hard")
        return self.wait(
            lambda p: p["HardResets"] > before and p["Stage"] not in ("off", "stopping"),
            what="the board after a hard reset")

    # ---- other programs ----

    def ctl_command(self, *arguments):
        return [str(mpyctl_program()), "--run-dir", str(self.run_dir), "--state-dir", str(self.state_dir), *arguments]

    def ctl(self, *arguments, check=True, text=None, timeout=60):
        """Runs mpyctl. check: it must succeed."""
        done = subprocess.run(self.ctl_command(*arguments),
                              input=text, capture_output=True, text=True, timeout=scaled(timeout),
                              env=dict(os.environ))  # without what readline puts behind its back
        assert not check or done.returncode == 0, (arguments, done)
        return done

    def ctl_json(self, *arguments):
        return json.loads(self.ctl("--json", *arguments).stdout)

    def mpremote(self, *arguments, check=True, timeout=60, environ=None, cwd=None):
        """Runs mpremote against the pty."""
        done = subprocess.run(
            ["/usr/bin/python3", "-m", "mpremote", "connect", str(self.repl_path()), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=scaled(timeout), cwd=cwd,
            env={**os.environ, "PYTHONPATH": mpremote_path(), "PYTHONDONTWRITEBYTECODE": "1",
                 # else its own words and the board's come in an order of their own
                 "PYTHONUNBUFFERED": "1", "HOME": str(self.dir), **(environ or {})})
        assert not check or done.returncode == 0, (arguments, done, self.log[-2000:])
        return done

    def history(self):
        """Rows of resets in the database, oldest first, each a dict."""
        uri = f"file:{self.state_dir}/history.db?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute("SELECT * FROM resets ORDER BY id")]

    def events(self, name=None):
        """What else happened, oldest first, over the control bus or out of the file."""
        return self.ctl_json("history", "--since", "1d", "--only", name or "events")

    def wait_history(self, condition, timeout=20):
        """Until condition(rows) is true: the daemon does not wait for each row itself."""
        deadline = time.monotonic() + scaled(timeout)
        while True:
            try:
                rows = self.history()
                if condition(rows):
                    return rows
            except sqlite3.OperationalError:  # not made yet
                rows = []
            assert time.monotonic() < deadline, rows
            time.sleep(0.02)
