# SPDX-License-Identifier: MIT
# Python that is part of the board's program.
include("$(MPY_DIR)/extmod/asyncio")
freeze("$(BOARD_DIR)/frozen", opt=0)
