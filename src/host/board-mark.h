/* SPDX-License-Identifier: MIT */
/* The board mark: a file in the run directory that says which process is the board, so that a later run
 * of the daemon finds one that a crash of the daemon has left behind. Normally none is (the board ends
 * with its supervisor); one that hangs in a driver of the kernel is, and a second beside it would fight
 * with it over the hardware. */
#pragma once

#include <sys/types.h>

#include "util/macros.h"

/* Replaces the mark. A process that is gone already is -ESRCH. */
int board_mark_write(int run_dir_fd, const char *boot_id, pid_t pid) _must_check_;

/* The process of the mark, when it still lives: a pidfd, which is the caller's, and its number. -ENOENT
 * when there is no mark or it is not one of this boot, -ESRCH when its process is gone, whoever has
 * its number now. */
int board_mark_find(int run_dir_fd, const char *boot_id, pid_t *ret_pid) _must_check_;
