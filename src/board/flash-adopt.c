/* SPDX-License-Identifier: MIT */
#include "board/flash-adopt.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#define PIECE 65536u

static int copy_content(int from, int to) {
        static char buffer[PIECE]; /* too much for the C stack of a thread; one at a time, under the GIL */
        ssize_t n;

        while ((n = read(from, buffer, sizeof buffer)) > 0)
                for (ssize_t done = 0, m; done < n; done += m) {
                        m = write(to, buffer + done, (size_t) (n - done));
                        if (m < 0)
                                return -errno;
                }
        if (n < 0)
                return -errno;
        return fsync(to) < 0 && errno != EINVAL ? -errno : 0;
}

static int put_copy_in_place(int parent, const char *name, const struct stat *st, int from) {
        _cleanup_close_ int to = -EBADF;
        char temporary[48];
        uint64_t random;
        int r;

        if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
                return -EAGAIN;
        (void) snprintf(temporary, sizeof temporary, ".mpyd-%016jx", (uintmax_t) random);
        to = openat(parent, temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, (st->st_mode & 0777) | 0660);
        if (to < 0)
                return -errno;
        r = from >= 0 ? copy_content(from, to) : 0;
        if (r >= 0 && renameat(parent, temporary, parent, name) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(parent, temporary, 0);
        return r;
}

int flash_adopt(const FlashPath *path, bool empty) {
        _cleanup_close_ int parent = -EBADF, from = -EBADF;
        FlashPath directory = *path;
        const char *name;
        struct stat st;

        parent = flash_path_open_parent(&directory, &name);
        if (parent < 0)
                return parent;
        from = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (from < 0)
                return errno == ELOOP ? -EACCES : -errno;
        if (fstat(from, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
                return -EACCES;
        return put_copy_in_place(parent, name, &st, empty ? -EBADF : from);
}
