# SPDX-License-Identifier: MIT
"""mpyctl -H against a real sshd on 127.0.0.1, with keys and configuration of its own."""
import getpass
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import time

import pytest

from mpydtest import SOURCE, mpyctl_program, timeout
from mpydtest.paths import mpremote_path

SSHD = "/usr/sbin/sshd"
OK, EXCEPTION, FAILURE, NOT_RUNNING, SSH_FAILED = 0, 1, 2, 3, 255

pytestmark = pytest.mark.skipif(not os.path.exists(SSHD), reason="openssh-server is not installed")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """The environment in which `mpyctl -H board` gets to this machine."""
    folder = tmp_path_factory.mktemp("ssh")
    folder.chmod(0o755)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key],
                       check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    port = free_port()
    public = (folder / "host.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(public)}\n")
    (folder / "sshd_config").write_text(f"""\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
SetEnv PATH={mpyctl_program().parent}:/usr/bin:/bin
""")
    (folder / "ssh_config").write_text(f"""\
Host away
HostName 127.0.0.1
Port {free_port()}
Host board
HostName 127.0.0.1
Port {port}
User {getpass.getuser()}
IdentityFile {folder}/user
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
BatchMode yes
""")
    # The real ssh; only where it reads its configuration is ours.
    real = shutil.which("ssh")
    (folder / "bin").mkdir()
    (folder / "bin/ssh").write_text(f'#!/bin/sh\nexec {real} -F {folder}/ssh_config "$@"\n')
    (folder / "bin/ssh").chmod(0o755)
    command = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    if os.geteuid() == 0:  # its directory in /run is made by a unit: it gets a /run of its own
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c",
                   'mount -t tmpfs tmpfs /run && mkdir -m 0755 /run/sshd && exec "$@"', "-", *command]
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + timeout(20)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, \
                    (folder / "log").read_text()
                time.sleep(0.05)
        yield {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    finally:
        server.terminate()
        server.wait(timeout(20))


@pytest.fixture
def ctl(host, board):
    """mpyctl -H board ARGUMENT...: the finished process."""
    def run(*arguments, text="", run_dir=None):
        return subprocess.run([mpyctl_program(), "-H", "board", "--run-dir",
                               str(run_dir or board.run_dir), *arguments], env=host, input=text,
                              capture_output=True, text=True, timeout=timeout(60))
    run.board = board
    return run


def test_verbs(ctl):
    done = ctl("status")
    assert done.returncode == OK and "idle at the REPL" in done.stdout and done.stderr == ""
    assert json.loads(ctl("--json", "status").stdout)["state"] == "idle"
    done = ctl("eval", "'it' + \"'s\" + '$HOME `x` \\\\ *'")
    assert (done.returncode, done.stdout, done.stderr) == (OK, "\"it's$HOME `x` \\\\ *\"\n", "")
    ctl("reset", "--hard")
    done = ctl("--json", "history", "--only", "resets")
    assert json.loads(done.stdout)[-1]["cause"] == "HARD_RESET"


def test_script_by_standard_input_and_its_error(ctl):
    done = ctl("exec", "-", text="for i in range(3): print('line', i)\n1 / 0\n")
    assert done.stdout == "line 0\nline 1\nline 2\n"
    assert done.returncode == EXCEPTION and "ZeroDivisionError" in done.stderr


def test_exit_codes_come_through(ctl, tmp_path):
    done = ctl("status", run_dir=tmp_path / "no such directory")
    assert done.returncode == NOT_RUNNING and "no such directory" in done.stdout
    done = ctl("eval", "1 / 0")
    assert done.returncode == EXCEPTION and "ZeroDivisionError" in done.stderr


def test_host_that_cannot_be_reached(host):
    done = subprocess.run([mpyctl_program(), "-H", "away", "status"], text=True, env=host,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout(20))
    assert done.returncode == SSH_FAILED and "refused" in done.stderr
    done = subprocess.run([mpyctl_program(), "-H", "board", "status"], text=True,
                          env={**host, "PATH": "/nonexistent"}, capture_output=True,
                          timeout=timeout(20))
    assert done.returncode == FAILURE and "apt install openssh-client" in done.stderr


@pytest.mark.skipif(not shutil.which("socat"), reason="socat is not installed")
def test_tools_find_a_board_far_away(ctl, host, tmp_path):
    """README's line: a port on the user's own machine, at which mpremote treats the board there as one here."""
    line = re.search(r"^socat .*$", (SOURCE / "README.md").read_text(), re.M)[0]
    command = line.replace("ssh pi@greenhouse mpyctl", f"ssh board mpyctl --run-dir {ctl.board.run_dir}")
    assert command.count("mpyctl --run-dir") == 1, line
    bridge = subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=tmp_path, env=host)
    try:
        ctl.board.wait(lambda p: p["ConsoleHolder"] != "", what="somebody at the REPL")

        def mpremote(*arguments):
            done = subprocess.run(
                ["/usr/bin/python3", "-m", "mpremote", "connect", str(tmp_path / "greenhouse"), *arguments],
                env={**os.environ, "PYTHONPATH": mpremote_path(), "PYTHONDONTWRITEBYTECODE": "1"}, cwd=tmp_path,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout(60))
            assert done.returncode == OK, done
            return done.stdout.replace("\r", "")

        assert mpremote("eval", "6*7") == "42\n"
        content = bytes(range(256)) * 200
        (tmp_path / "all-bytes").write_bytes(content)
        mpremote("cp", "all-bytes", ":")
        assert (ctl.board.flash / "all-bytes").read_bytes() == content
        (tmp_path / "pump.py").write_text("print('from the other side')\n")
        assert "from the other side\n" in mpremote("mount", ".", "exec", "import pump")
    finally:
        bridge.terminate()
        bridge.wait(timeout(20))
    ctl.board.wait(lambda p: p["ConsoleHolder"] == "", what="the REPL given back")


def test_repl_on_a_terminal(ctl, host):
    pid, fd = pty.fork()
    if pid == 0:
        program = str(mpyctl_program())
        os.execve(program, [program, "-H", "board", "--run-dir", str(ctl.board.run_dir), "repl"],
                  {**host, "TERM": "xterm"})
    seen = b""

    def read_until(text):
        nonlocal seen
        deadline = time.monotonic() + timeout(30)
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([fd], [], [], 0.2)[0]:
                try:
                    seen += os.read(fd, 4096)
                except OSError:  # its end
                    break
        assert text in seen, seen

    read_until(b"Enter shows the prompt")  # from here on it is read key by key
    os.write(fd, b"\r6 * 7\r")
    read_until(b"\r\n42\r\n>>> ")
    os.write(fd, b"while True: pass\r\r\r")
    time.sleep(0.3)
    os.write(fd, b"\x03")
    read_until(b"KeyboardInterrupt")
    os.write(fd, b"\x1d")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == OK
    os.close(fd)
    assert ctl.board.get("ConsoleHolder") == ""
