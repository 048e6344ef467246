/* SPDX-License-Identifier: MIT */
/* Trees of files that belong to others: nothing in them is followed, so that who can write there leads us
 * nowhere else. */
#pragma once

#include <sys/types.h>

#include "util/macros.h"

typedef struct TreeOwner {
        uid_t uid; /* -1: as it comes */
        gid_t gid;
} TreeOwner;

/* Removes name, with all that is below it; it goes on over what cannot be removed and answers the first
 * error. A mount point below is -EBUSY, and what is in it stays. -ENOENT: there is none. */
int tree_remove(int dir_fd, const char *name) _must_check_;

/* Copies what is in the directory from_fd into to_fd, durably: files and directories, the former 0664, the
 * latter 2775. A name that exists stays as it is; what is neither file nor directory is left out. */
int tree_copy(int from_fd, int to_fd, TreeOwner owner) _must_check_;
