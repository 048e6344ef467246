/* SPDX-License-Identifier: MIT */
#include "action/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/io.h"

#define DEPTH_MAX 64u /* a descriptor each */
#define COPY_CHUNK 65536u
#define COPY_TEMPORARY ".mpyd-copy"

static bool is_dot(const char *name) {
        return streq(name, ".") || streq(name, "..");
}

static DIR *open_dir(int dir_fd, const char *name) {
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d && fd >= 0)
                safe_close(fd);
        return d;
}

/* ---- removing ---- */

static bool is_mount_point(int dir_fd, const char *name) {
        struct stat here, there;

        return fstat(dir_fd, &here) == 0 && fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
               here.st_dev != there.st_dev;
}

static int remove_below(int dir_fd, const char *name, unsigned depth);

static int remove_entry(int dir_fd, const char *name, unsigned depth) {
        int r;

        if (unlinkat(dir_fd, name, 0) == 0)
                return 0;
        if (errno != EISDIR && errno != EPERM) /* EPERM: what POSIX has for a directory */
                return -errno;
        r = errno == EPERM ? -EPERM : 0;
        if (is_mount_point(dir_fd, name))
                return -EBUSY;
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
                return 0;
        if (errno == ENOTDIR && r < 0)
                return r;
        if (errno != ENOTEMPTY && errno != EEXIST)
                return -errno;
        r = remove_below(dir_fd, name, depth + 1);
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && r == 0)
                r = -errno;
        return r;
}

/* Names that come while others go are found by the next round; it ends with a round in which nothing went. */
static int remove_below(int dir_fd, const char *name, unsigned depth) {
        DIR *d = depth < DEPTH_MAX ? open_dir(dir_fd, name) : NULL;
        bool progress;
        int r;

        if (!d)
                return depth < DEPTH_MAX ? -errno : -ELOOP;
        do {
                struct dirent *e;

                progress = false;
                r = 0;
                rewinddir(d);
                while ((e = readdir(d))) {
                        int q = is_dot(e->d_name) ? 1 : remove_entry(dirfd(d), e->d_name, depth);

                        progress |= q == 0;
                        if (q < 0 && q != -ENOENT && r == 0)
                                r = q;
                }
        } while (progress);
        (void) closedir(d);
        return r;
}

int tree_remove(int dir_fd, const char *name) {
        return remove_entry(dir_fd, name, 0);
}

/* ---- copying ---- */

static int give(int fd, mode_t mode, TreeOwner owner) {
        if ((owner.uid != (uid_t) -1 || owner.gid != (gid_t) -1) && fchown(fd, owner.uid, owner.gid) < 0)
                return -errno;
        return fchmod(fd, mode) < 0 ? -errno : 0; /* after it: fchown(2) takes the setgid bit away */
}

static int copy_content(int from, int to) {
        _cleanup_free_ char *chunk = malloc(COPY_CHUNK);

        if (!chunk)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(from, chunk, COPY_CHUNK);
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                r = write_all(to, chunk, (size_t) n);
                if (r < 0)
                        return r;
        }
}

/* All of it or nothing, also when we are killed: what has the name is whole. */
static int copy_file(int from_dir, int to_dir, const char *name, TreeOwner owner) {
        _cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        _cleanup_close_ int to = -EBADF;
        int r;

        if (from < 0)
                return -errno;
        (void) unlinkat(to_dir, COPY_TEMPORARY, 0); /* of one that was killed */
        to = openat(to_dir, COPY_TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0)
                return -errno;
        r = copy_content(from, to);
        if (r >= 0)
                r = give(to, 0664, owner);
        if (r >= 0 && fsync(to) < 0)
                r = -errno;
        if (r >= 0)
                r = rename_noreplace(to_dir, COPY_TEMPORARY, to_dir, name);
        if (r < 0)
                (void) unlinkat(to_dir, COPY_TEMPORARY, 0);
        return r == -EEXIST ? 0 : r;
}

static int copy_below(int from_fd, int to_fd, TreeOwner owner, unsigned depth);

static int copy_directory(int from_dir, int to_dir, const char *name, TreeOwner owner, unsigned depth) {
        _cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_close_ int to = -EBADF;
        int r;

        if (from < 0 || (mkdirat(to_dir, name, 0700) < 0 && errno != EEXIST))
                return -errno;
        to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (to < 0)
                return errno == ENOTDIR || errno == ELOOP ? 0 : -errno; /* something else has the name */
        r = give(to, 02775, owner);
        return r < 0 ? r : copy_below(from, to, owner, depth + 1);
}

static int copy_entry(int from_dir, int to_dir, const char *name, TreeOwner owner, unsigned depth) {
        struct stat st;

        if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISREG(st.st_mode))
                return copy_file(from_dir, to_dir, name, owner);
        return S_ISDIR(st.st_mode) ? copy_directory(from_dir, to_dir, name, owner, depth) : 0;
}

static int copy_below(int from_fd, int to_fd, TreeOwner owner, unsigned depth) {
        DIR *d = depth < DEPTH_MAX ? open_dir(from_fd, ".") : NULL;
        struct dirent *e;
        int r = 0;

        if (!d)
                return depth < DEPTH_MAX ? -errno : -ELOOP;
        while (r >= 0 && (e = readdir(d)))
                if (!is_dot(e->d_name))
                        r = copy_entry(from_fd, to_fd, e->d_name, owner, depth);
        (void) closedir(d);
        (void) unlinkat(to_fd, COPY_TEMPORARY, 0);
        return r < 0 ? r : fsync(to_fd) < 0 ? -errno : 0;
}

int tree_copy(int from_fd, int to_fd, TreeOwner owner) {
        return copy_below(from_fd, to_fd, owner, 0);
}
