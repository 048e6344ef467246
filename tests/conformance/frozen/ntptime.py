# SPDX-License-Identifier: MIT
# In the place of the board's own.
def settime():
    return "by the packager"
