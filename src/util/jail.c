/* SPDX-License-Identifier: MIT */
/* Names below a directory that somebody else may write to. */
#include "util/jail.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#define RACES_MAX 64 /* RESOLVE_IN_ROOT gives up when somebody renames meanwhile */

int jail_open(int root_fd, const char *path, int flags, mode_t mode) {
        struct open_how how = {
                .flags = (uint64_t) (flags | O_CLOEXEC),
                .mode = flags & O_CREAT ? mode : 0,
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        };

        for (int i = 0; i < RACES_MAX; i++) {
                int fd = (int) syscall(SYS_openat2, root_fd, path, &how, sizeof how);

                if (fd >= 0)
                        return fd;
                if (errno != EAGAIN && errno != EINTR)
                        return -errno;
        }
        return -EAGAIN;
}
