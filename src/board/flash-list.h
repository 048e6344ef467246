/* SPDX-License-Identifier: MIT */
/* Listing a directory of the flash: ilistdir()'s iterator. */
#pragma once

#include "board/flash-path.h"
#include "py/obj.h"

/* Yields (name, type, inode, size) for each file and directory; names as str, or as bytes, which
 * shows those that are not UTF-8 too. Raises OSError. */
mp_obj_t flash_list_new(const FlashPath *path, bool as_str);

/* True when the root holds nothing but what file systems put there themselves. */
bool flash_list_root_is_empty(void);
