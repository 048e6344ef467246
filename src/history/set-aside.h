/* SPDX-License-Identifier: MIT */
/* Damaged databases are kept under another name, the last few of them. */
#pragma once

#include "util/macros.h"

#define SET_ASIDE_MAX 3u /* kept beside each other */

/* Renames path and its -wal, -shm and -journal to path.damaged-<UTC time>…, and removes the oldest
 * of those that there were too many. *ret is the new name, the caller's. */
int set_aside(const char *path, char **ret) _must_check_;
