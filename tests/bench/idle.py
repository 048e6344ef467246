# SPDX-License-Identifier: MIT
"""What it costs to do nothing: CPU time, wake-ups, memory, of both processes of mpyd and of others.

Everything is idle at the same time for the same windows; nothing but /proc is read meanwhile, which
does not wake the processes that it tells about. Memory is read one program at a time, so that two
of a kind do not share the cost of their pages (PSS counts what is shared by its share)."""
import time

from mpydtest.board import children

from measure import Figure, Series, activity, pss
from resets import sh_loop
from subjects import PROMPT, Board, Loop, Terminal

WINDOWS, WINDOW_SECONDS = 5, 5
SLEEP = 'import time\nprint("@asleep")\ntime.sleep(3600)\n'
SETTLE = 4.0 # the supervisor's last look whether the VM goes on is within 2.5 s


class Idlers:
    """Programs that do nothing, by name; each is one or more processes."""

    def __init__(self):
        self.pids = {}

    def add(self, name, *pids):
        self.pids[name] = pids

    def watch(self):
        """name → (wake-ups a minute, CPU seconds a minute), each a sample per window."""
        wakeups = {name: [] for name in self.pids}
        cpu = {name: [] for name in self.pids}
        before = self._read()
        start = time.monotonic()
        for _ in range(WINDOWS):
            time.sleep(WINDOW_SECONDS)
            after, now = self._read(), time.monotonic()
            per_minute = 60 / (now - start)
            for name in self.pids:
                wakeups[name].append((after[name][0] - before[name][0]) * per_minute)
                cpu[name].append((after[name][1] - before[name][1]) * per_minute)
            before, start = after, now
        return wakeups, cpu

    def _read(self):
        return {name: tuple(sum(v) for v in zip(*(activity(p) for p in pids)))
                for name, pids in self.pids.items()}


def sleeping_board(env):
    """main.py sleeps and nobody is at the REPL, as in the field."""
    board = Board(env, {"main.py": SLEEP}, client=False)
    try:
        board.wait_log("@asleep")
    except BaseException:
        board.close()
        raise
    return board


def idle_figures(env):
    script = env.work / "sleep.py"
    script.write_text(SLEEP)
    idlers = Idlers()
    with (Board(env) as at_repl, sleeping_board(env) as asleep,
          Terminal([env.micropython]) as mp_repl,
          Terminal([env.micropython, script]) as mp_asleep,
          Terminal([env.python, "-q", "-i"]) as py_repl,
          Terminal([env.python, script]) as py_asleep):
        at_repl.prompt()
        for t in (mp_repl, py_repl):
            t.stream.read_until(PROMPT)
        for t in (mp_asleep, py_asleep):
            t.stream.read_until(b"@asleep")
        for where, board in (("repl", at_repl), ("asleep", asleep)):
            idlers.add(f"mpyd {where}", board.process.pid)
            idlers.add(f"mpyd-board {where}", board.board_pid)
        for name, t in (("micropython repl", mp_repl), ("micropython asleep", mp_asleep),
                        ("python3 repl", py_repl), ("python3 asleep", py_asleep)):
            idlers.add(name, t.process.pid)
        time.sleep(SETTLE)
        wakeups, cpu = idlers.watch()

    figures = []
    for what, where in (("at the REPL", "repl"), ("main.py in time.sleep()", "asleep")):
        for title, unit, values, aim in (("wake-ups", "wake-ups/min", wakeups, 0),
                                         ("CPU time", "cpu/min", cpu, None)):
            for program in ("mpyd", "mpyd-board"):
                others = ("micropython", "python3") if program == "mpyd-board" else ()
                figures.append(Figure(
                    f"idle {what}: {title}",
                    Series(program, unit, values[f"{program} {where}"]),
                    [Series(name, unit, values[f"{name} {where}"]) for name in others],
                    aim=aim, p99_aim=aim))
    return figures


def memory_figures(env, n):
    script = env.work / "sleep.py"
    script.write_text(SLEEP)
    daemon, board_values, both = [], [], []
    for _ in range(n):
        with sleeping_board(env) as board:
            time.sleep(0.2)
            d, b = pss(board.process.pid), pss(board.board_pid)
            daemon.append(d)
            board_values.append(b)
            both.append(d + b)

    def other(*argv):
        values = []
        for _ in range(n):
            with Terminal(argv) as t:
                t.stream.read_until(b"@asleep")
                time.sleep(0.1)
                values.append(pss(t.process.pid))
        return values

    return [
        Figure("memory (PSS), supervisor", Series("mpyd", "B", daemon), []),
        Figure("memory (PSS), interpreter", Series("mpyd-board", "B", board_values),
               [Series("micropython", "B", other(env.micropython, script)),
                Series("python3", "B", other(env.python, script))]),
        Figure("memory (PSS), both", Series("mpyd + mpyd-board", "B", both),
               [Series("sh loop + python3", "B", loop_memory(env, script, n))], aim=5 * 2**20),
    ]


def loop_memory(env, script, n):
    values = []
    for _ in range(n):
        with Loop(sh_loop(env.python, "-u", script)) as loop:
            loop.stream.read_until(b"@asleep")
            time.sleep(0.1)
            values.append(pss(loop.process.pid) + sum(pss(p) for p in children(loop.process.pid)))
    return values
