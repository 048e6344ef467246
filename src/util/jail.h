/* SPDX-License-Identifier: MIT */
/* Names below a directory that somebody else may write to. */
#pragma once

#include <sys/types.h>

#include "util/macros.h"

/* open(2) with root_fd as the root directory (openat2(2), RESOLVE_IN_ROOT): neither `..` nor any symbolic
 * link leads out of it, whatever is renamed meanwhile, and links of /proc lead nowhere. O_CLOEXEC is
 * added; mode is used with O_CREAT. A descriptor or a negative errno; -EAGAIN: somebody renames all the
 * time. */
int jail_open(int root_fd, const char *path, int flags, mode_t mode) _must_check_;
