# SPDX-License-Identifier: MIT
"""Takes over the fixtures and hooks of tests/harness."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))

from mpydtest.plugin import (board, boards, pytest_configure,  # noqa: E402, F401
                             pytest_runtest_makereport)
