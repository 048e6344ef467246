# SPDX-License-Identifier: MIT
told_by_frozen_boot = "boot.py is frozen"
with open("/order.txt", "a") as f:
    f.write("frozen:boot ")
