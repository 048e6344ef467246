# SPDX-License-Identifier: MIT
"""pytest's side: fixtures, the mark that ties a test to items of the specification, logs on
failure. A conftest.py takes these names over."""
import pytest

from .board import Board
from .network import leave_for_own


@pytest.fixture
def boards(request):
    """Makes boards: boards(files={...}, ...) as Board(). They end with the test; on failure their
    logs are shown."""
    made = []
    request.node.mpyd_boards = made

    def make(*arguments, **options):
        board = Board(*arguments, **{**options, "start": False})
        made.append(board)
        if options.get("start", True):
            board.start()
        return board

    yield make
    failed = getattr(request.node, "mpyd_failed", True)
    problems = []
    for board in reversed(made):
        try:
            board.close(check=not failed)
        except Exception as e:  # the others must be ended too
            problems.append(e)
    if problems and not failed:
        raise problems[0]


@pytest.fixture
def board(boards):
    """A board with an empty main directory, at its REPL."""
    b = boards()
    b.wait_state("idle")
    return b


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.mpyd_failed = report.failed
    if report.failed:
        for b in getattr(item, "mpyd_boards", []):
            report.sections.append((f"log of {b.dir}", b.log[-3000:]))


def pytest_configure(config):
    try:
        leave_for_own()
    except OSError:
        pass  # not root: the machine's network it is
    config.addinivalue_line("markers", "item(number, state): what of SPEC.md this test proves")
    config.addinivalue_line("markers", "simulated: about the simulated GPIO chip, not about pins")
