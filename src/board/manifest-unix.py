# SPDX-License-Identifier: MIT
# What the unix port freezes, as far as Debian's source package has it.
include("$(MPY_DIR)/extmod/asyncio")
