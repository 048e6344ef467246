/* SPDX-License-Identifier: MIT */
/* VfsFlash: the flash directory as a MicroPython file system. _boot.py mounts it at /. */
#pragma once

#include "util/macros.h"

#include "py/obj.h"

extern const mp_obj_type_t flash_vfs_type;
