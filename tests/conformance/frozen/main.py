# SPDX-License-Identifier: MIT
with open("/order.txt", "a") as f:
    f.write("frozen:main ")
