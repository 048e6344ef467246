/* SPDX-License-Identifier: MIT */
/* Files that somebody else has put on the flash (scp makes them readable, not writable, for the board): a program
 * writes to them as on any board, which makes them the board's own. */
#pragma once

#include "board/flash-path.h"

/* Puts a copy that belongs to the board in the place of a file that it may read and not write, in one step; its group
 * can write to it as before. empty: it is going to be cut at 0 anyway, nothing is copied. -EACCES where it is no
 * plain file of one name (a link, a file with several), not readable, or in a directory that the board may not write
 * to. After -ENOSPC and others the file is as it was. */
int flash_adopt(const FlashPath *path, bool empty) _must_check_;
