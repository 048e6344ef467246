/* SPDX-License-Identifier: MIT */
/* The board gives up everything that it does not need, before it listens to anybody: another user, no
 * capabilities, no way back, a filter of system calls (confine-syscalls.c) and of paths
 * (confine-paths.c). It knows neither the VM nor the supervisor; stand-ins of tests use it too. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/macros.h"

/* "--user=UID:GID" (mpyd/board-link.h). -EINVAL for anything else, and for root. */
int confine_parse_user(const char *argument, uid_t *ret_uid, gid_t *ret_gid) _must_check_;

typedef struct ConfineSpec {
        bool change_user; /* to uid and gid, with no other group; only root can */
        uid_t uid;
        gid_t gid;
        pid_t supervisor; /* our parent: the process ends with it */
        int flash_fd;     /* directory below which files may be written; -1: none */
} ConfineSpec;

/* What is in force: 0, or why this kernel (or a sandbox around it) does not have it. The rights of the
 * process are given up in any case. */
typedef struct Confinement {
        int syscalls;
        int paths;
} Confinement;

/* To be called once, in the first thread, while there is no other. *ret_what says what failed.
 * -ESRCH: the supervisor has ended already. */
int confine(const ConfineSpec *spec, Confinement *ret, const char **ret_what) _must_check_;

/* The parts, in the order in which confine() does them. -ENOSYS, -EINVAL, -EOPNOTSUPP, -EPERM: this
 * kernel or a sandbox around us does not have it. */
int confine_rights(const ConfineSpec *spec, const char **ret_what) _must_check_;
int confine_paths(int flash_fd) _must_check_;
int confine_syscalls(void) _must_check_;
