/* SPDX-License-Identifier: MIT */
#include "util/tree-size.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define DEPTH_MAX 64 /* one descriptor each */

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

static int count(int parent, const char *name, unsigned depth, uint64_t *blocks) {
        _cleanup_(closedirp) DIR *d = NULL;
        const struct dirent *e;
        int fd;

        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        d = fdopendir(fd);
        if (!d) {
                int r = -errno;

                safe_close(fd);
                return r;
        }
        while ((e = readdir(d))) {
                struct stat st;

                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue; /* removed meanwhile */
                if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
                        (void) count(fd, e->d_name, depth + 1, blocks);
                *blocks += S_ISREG(st.st_mode) ? tree_blocks((uint64_t) st.st_size) : 1;
        }
        return 0;
}

int tree_size(int fd, uint64_t *ret_blocks) {
        uint64_t blocks = 0;
        int r = count(fd, ".", 0, &blocks);

        if (r < 0)
                return r;
        *ret_blocks = blocks;
        return 0;
}
