# SPDX-License-Identifier: MIT
"""What all Python tests share: the real programs in directories of their own, and their clients."""
from .board import Board, children, process_exists
from .control import Control, ControlError
from .paths import (BUILD, SOURCE, board_program, is_sanitized, micropython_dir, mpy_cross,
                    mpyctl_program, mpyd_program, test_module, timeout)
from .repl import Repl

__all__ = ["BUILD", "SOURCE", "Board", "Control", "ControlError", "Repl", "board_program",
           "is_sanitized", "micropython_dir", "mpy_cross", "mpyctl_program", "mpyd_program",
           "children", "process_exists", "test_module", "timeout"]
