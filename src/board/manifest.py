# SPDX-License-Identifier: MIT
# Python that is part of the board's program.
include("$(MPY_DIR)/extmod/asyncio")
# What Debian's source package has of micropython-lib.
package("requests", base_path="$(MPY_DIR)/lib/micropython-lib/micropython/requests")
package("mip", base_path="$(MPY_DIR)/lib/micropython-lib/python-ecosys/mip")
freeze("$(BOARD_DIR)/frozen", opt=0)
