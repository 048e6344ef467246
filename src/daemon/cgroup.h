/* SPDX-License-Identifier: MIT */
/* The two cgroups below the service's own (Delegate=): the daemon in one, the board in the other, so that
 * a board which wants all memory or makes tasks without end is stopped at its own limits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

typedef struct Cgroup Cgroup;

/* path is the service's own cgroup below root; this process moves into its child "supervisor". The limits
 * that the kernel does not offer there are told once, and the board runs without them. Fails when no
 * cgroups can be made: -EROFS, -EACCES, -ENOENT, … */
int cgroup_new(Cgroup **ret, const char *root, const char *path) _must_check_;
Cgroup *cgroup_free(Cgroup *c);
DEFINE_CLEANUP(Cgroup *, cgroup_free)

/* For the next board and the one that runs. */
void cgroup_set_limits(Cgroup *c, uint64_t memory_max, unsigned tasks_max);

/* A process that writes "0" to it is in the board's cgroup; borrowed. -EBADF without cgroups. */
int cgroup_board_procs(const Cgroup *c);

/* Whether the kernel has killed in the board's cgroup for want of memory since the last call. */
bool cgroup_board_ran_out(Cgroup *c);

/* SIGKILL for everything in the board's cgroup, also for what a board left behind: this takes the right to
 * the cgroup, not to the process (cgroup.kill, Linux 5.14). -ENOENT: no cgroup, or an older kernel. */
int cgroup_board_kill(const Cgroup *c);
