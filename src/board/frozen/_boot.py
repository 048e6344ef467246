# SPDX-License-Identifier: MIT
# The first Python of each life, before boot.py: puts the flash directory at / and, when it has never
# been used, fills it (SPEC 1.1, S28-S30). Ctrl-C does not reach it. It runs in __main__, where programs find
# what other boards' leaves behind: gc and vfs (ESP32), machine (RP2).
import gc
import machine
import vfs
import _board

_fs = _board.VfsFlash()
vfs.mount(_fs, "/")
if _fs.is_new():
    try:
        with open("/boot.py", "w") as _f:
            _f.write(
                "# This file is run at every start: power-up, reset, soft reset, wake from deep sleep.\n"
                "# It should end. main.py runs after it.\n"
            )
        del _f
    except OSError as _e:
        print("_boot.py: cannot write boot.py:", _e)
del _fs, _board
