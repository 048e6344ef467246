/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: a disk with a fault. $FAULTY_DISK is a directory; while $FAULTY_DISK_MODE names a
 * file with "full" in it, nothing under the directory can be written (ENOSPC); with "read-only",
 * nothing there can be opened for writing or made (EROFS). And wherever: with "named", no file can be without a name
 * (O_TMPFILE: EOPNOTSUPP); with "no-rename", none can be renamed by renameat(2) (EIO). The file may change at any time,
 * and have several of these words in it. */
#undef _FILE_OFFSET_BITS /* both names of each call are to be defined here */
#undef _TIME_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static bool mode_is(const char *wanted) {
        const char *path = getenv("FAULTY_DISK_MODE");
        char text[32];
        ssize_t n;
        int fd = path ? (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;

        if (fd < 0)
                return false;
        n = read(fd, text, sizeof text - 1);
        (void) close(fd);
        text[n > 0 ? n : 0] = '\0';
        return strstr(text, wanted);
}

static bool path_is_there(const char *path) {
        const char *dir = getenv("FAULTY_DISK");

        return dir && path && strncmp(path, dir, strlen(dir)) == 0;
}

static bool fd_is_full(int fd) {
        char name[64], path[PATH_MAX];
        ssize_t n;

        (void) snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        n = readlink(name, path, sizeof path - 1);
        if (n <= 0)
                return false;
        path[n] = '\0';
        return path_is_there(path) && mode_is("full");
}

static bool refuses_open(const char *path, int flags) {
        bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);

        if (!writes || !path_is_there(path))
                return false;
        if (mode_is("read-only"))
                errno = EROFS;
        else if (flags & O_CREAT && mode_is("full") && access(path, F_OK) < 0)
                errno = ENOSPC;
        else
                return false;
        return true;
}

#define OPEN(name)                                                                                 \
        EXPORT int name(const char *path, int flags, ...) {                                        \
                mode_t mode = 0;                                                                   \
                if (flags & (O_CREAT | O_TMPFILE)) {                                               \
                        va_list ap;                                                                \
                        va_start(ap, flags);                                                       \
                        mode = va_arg(ap, mode_t);                                                 \
                        va_end(ap);                                                                \
                }                                                                                  \
                if (refuses_open(path, flags))                                                     \
                        return -1;                                                                 \
                return (int) syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);       \
        }

int open64(const char *path, int flags, ...);
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
        EXPORT int name(int dir, const char *path, int flags, ...) {                               \
                mode_t mode = 0;                                                                   \
                if (flags & (O_CREAT | O_TMPFILE)) {                                               \
                        va_list ap;                                                                \
                        va_start(ap, flags);                                                       \
                        mode = va_arg(ap, mode_t);                                                 \
                        va_end(ap);                                                                \
                }                                                                                  \
                if ((flags & O_TMPFILE) == O_TMPFILE && mode_is("named"))                          \
                        return errno = EOPNOTSUPP, -1;                                             \
                return (int) syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode);            \
        }

int openat64(int dir, const char *path, int flags, ...);
OPENAT(openat)
OPENAT(openat64)

EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to) {
        if (mode_is("no-rename"))
                return errno = EIO, -1;
        return (int) syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

#define REFUSE_WRITE(fd)                                                                           \
        if (fd_is_full(fd)) {                                                                      \
                errno = ENOSPC;                                                                    \
                return -1;                                                                         \
        }

EXPORT ssize_t write(int fd, const void *data, size_t size) {
        REFUSE_WRITE(fd)
        return syscall(SYS_write, fd, data, size);
}

#define NEXT(type, name, ...)                                                                      \
        static type (*next)(__VA_ARGS__);                                                          \
        if (!next)                                                                                 \
                *(void **) &next = dlsym(RTLD_NEXT, name);

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at);
EXPORT ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
        NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t)
        REFUSE_WRITE(fd)
        return next(fd, data, size, at);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
        NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t)
        REFUSE_WRITE(fd)
        return next(fd, data, size, at);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size);
EXPORT int fallocate64(int fd, int mode, off64_t at, off64_t size) {
        NEXT(int, "fallocate64", int, int, off64_t, off64_t)
        REFUSE_WRITE(fd)
        return next(fd, mode, at, size);
}

int posix_fallocate64(int fd, off64_t at, off64_t size);
EXPORT int posix_fallocate64(int fd, off64_t at, off64_t size) {
        NEXT(int, "posix_fallocate64", int, off64_t, off64_t)
        if (fd_is_full(fd))
                return ENOSPC;
        return next(fd, at, size);
}

EXPORT int mkdir(const char *path, mode_t mode) {
        if (path_is_there(path) && access(path, F_OK) < 0) {
                if (mode_is("read-only"))
                        return errno = EROFS, -1;
                if (mode_is("full"))
                        return errno = ENOSPC, -1;
        }
        return (int) syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

EXPORT int rename(const char *from, const char *to) {
        if (path_is_there(to) && mode_is("read-only"))
                return errno = EROFS, -1;
        return (int) syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int unlink(const char *path) {
        if (path_is_there(path) && mode_is("read-only"))
                return errno = EROFS, -1;
        return (int) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
