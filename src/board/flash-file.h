/* SPDX-License-Identifier: MIT */
/* An open file of the flash directory, as Python has it. */
#pragma once

#include "board/flash-path.h"
#include "py/obj.h"

/* open(path, mode): raises OSError or ValueError. may_write is false on a read-only mount. */
mp_obj_t flash_file_open(const FlashPath *path, const char *mode, bool may_write);

/* fsync of what open files have had written to them. Runs no Python. */
void flash_file_sync_all(void);
