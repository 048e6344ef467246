# SPDX-License-Identifier: MIT
"""The two commands of README's "Try it without installing" in a Debian that has git and make and nothing
else of what they need: it is installed by them, or they do not work for anybody."""
import re

import pytest
from machines import archive, roots, store
from machines.host import SOURCE, in_own_mounts, run, timeout

RECIPE = 2
# A clone, as a newcomer makes it; the tree's own uncommitted changes are not in it.
CLONE = "git -c safe.directory='*' clone -q /source /root/mpyd\ncd /root/mpyd\n"
# The root is never changed: what is written goes to a directory that is gone afterwards. The network is
# the host's, and its DNS.
ENTER = """
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
mount --bind "$3" "$2/root/source"
mount -t proc proc "$2/root/proc"
mount --rbind --make-rslave /dev "$2/root/dev"
mount --rbind --make-rslave /sys "$2/root/sys"
mount -t tmpfs tmpfs "$2/root/run"
mount -t tmpfs tmpfs "$2/root/tmp"
cp /etc/resolv.conf "$2/root/etc/" 2>/dev/null || :
exec chroot "$2/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 sh -euc "$4"
"""
DEMO = CLONE + """
setsid make run </dev/null >/tmp/run.log 2>&1 &
demo=$!
trap 'python3 -c "import os; os.killpg($demo, 15)"; wait $demo || :; cat /tmp/run.log' EXIT
for i in $(seq 3000); do
        grep -q 'here is the REPL' /tmp/run.log && break
        kill -0 $demo 2>/dev/null || { cat /tmp/run.log; exit 1; }
        sleep 0.2
done
export MPYD_RUN_DIR=$PWD/build/demo/run
build/src/ctl/mpyctl status
build/src/ctl/mpyctl history
PYTHONPATH=$(echo subprojects/micropython-*/tools/mpremote) python3 -m mpremote \\
        connect build/demo/run/repl eval '6*7'
pid=$(build/src/ctl/mpyctl --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["board_pid"])')
grep ^Uid /proc/$pid/status
"""
TEST = CLONE + "make test 2>&1 | tail -n 400"


@pytest.fixture(params=list(roots.SUITES))
def newcomer(request, scratch):
    """newcomer(script) runs it in a Debian with git and make."""
    suite = request.param

    def make(part):
        options = part / "apt.conf"
        options.write_text("\n".join(archive.apt_options()) + "\n")
        archive.from_any(suite, lambda source: run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
             f"--aptopt={options}", "--include=git,make", suite, part / "root", source], 1200))
        (part / "root/source").mkdir()
        (part / "root/etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")  # as an installer does

    root = store.provide(f"clean-{suite}", (RECIPE, suite), make) / "root"

    def run_in_it(script):
        over = scratch / f"clean-{suite}"
        for name in ("upper", "work", "root"):
            (over / name).mkdir(parents=True)
        try:
            return in_own_mounts(ENTER, root, over, SOURCE, script, seconds=timeout(2400))
        finally:
            run(["rm", "-rf", over])

    return run_in_it


def test_make_run_boots_the_demo(newcomer):
    shown = newcomer(DEMO)
    for line in ("attempt 1", "OSError: sensor does not answer", "HARD_RESET: machine.reset() from main.py",
                 "attempt 2", "here is the REPL", "\n42\n", "\nUid:\t65534\t65534\t65534\t65534\n", "idle at the REPL"):
        assert line in shown, shown[-6000:]


def test_make_test_is_green(newcomer):
    shown = newcomer(TEST)
    what_failed = shown[re.search(r"^.* FAIL |\Z", shown, re.M).start():]
    last = shown.splitlines()[-1]
    assert " 0 failed," in last and not last.startswith("0 passed"), what_failed[:9000] + shown[-3000:]
