/* SPDX-License-Identifier: MIT */
/* Whole files and descriptors: bounded reads, complete writes, durable replacement, CRC-32. */
#include "util/io.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

int fd_set_nonblock(int fd, bool nonblock) {
        int flags, wanted;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0)
                return -errno;
        wanted = nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0)
                return -errno;
        return 0;
}

int write_all(int fd, const void *data, size_t size) {
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, MIN(size, (size_t) SSIZE_MAX));

                if (n >= 0) {
                        p += n;
                        size -= (size_t) n;
                } else if (errno == EAGAIN) {
                        struct pollfd pfd = { .fd = fd, .events = POLLOUT };

                        if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
                                return -errno;
                } else if (errno != EINTR)
                        return -errno;
        }
        return 0;
}

int read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *buf = NULL;
        size_t size = 0, room = 0;

        if (max >= SIZE_MAX / 2)
                return -EINVAL;
        /* O_NONBLOCK: somebody may have put a FIFO there. */
        fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;

        for (;;) {
                ssize_t n;

                /* Always room for one byte more than allowed (to see that there is more) and
                 * NUL. */
                if (size == room) {
                        char *bigger;

                        room = MIN(MAX(room * 2, (size_t) 4096), max + 1);
                        bigger = realloc(buf, room + 1);
                        if (!bigger)
                                return -ENOMEM;
                        buf = bigger;
                }
                n = read(fd, buf + size, room - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > max)
                        return -EFBIG;
        }

        buf[size] = '\0';
        *ret = TAKE_PTR(buf);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int replace_file(int dirfd, const char *name, const char *text) {
        _cleanup_close_ int fd = -EBADF;
        char new[NAME_MAX + 1];
        int r;

        r = snprintf(new, sizeof new, "%s.new", name);
        if (r < 0 || (size_t) r >= sizeof new)
                return -ENAMETOOLONG;
        fd = openat(dirfd, new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text, strlen(text));
        if (r < 0)
                return r;
        return renameat(dirfd, new, dirfd, name) < 0 ? -errno : 0;
}

/* Splits path at its last slash; *ret_name points into path. */
static int open_directory_of(int dirfd, const char *path, const char **ret_name) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *dir = NULL;
        int fd;

        *ret_name = slash ? slash + 1 : path;
        if (**ret_name == '\0' || streq(*ret_name, ".") || streq(*ret_name, ".."))
                return -EISDIR;

        if (!slash)
                dir = strdup(".");
        else if (slash == path)
                dir = strdup("/");
        else
                dir = strndup(path, (size_t) (slash - path));
        if (!dir)
                return -ENOMEM;

        fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int write_file_atomic(int dirfd, const char *path, const void *data, size_t size, mode_t mode) {
        _cleanup_close_ int dir_fd = -EBADF, fd = -EBADF;
        char temporary[NAME_MAX + 1];
        const char *name;
        uint64_t nonce;
        int r;

        dir_fd = open_directory_of(dirfd, path, &name);
        if (dir_fd < 0)
                return dir_fd;
        if (getrandom(&nonce, sizeof nonce, 0) != sizeof nonce)
                return -EIO;
        r = snprintf(temporary, sizeof temporary, ".%.200s.%016llx", name,
                     (unsigned long long) nonce);
        if (r < 0 || (size_t) r >= sizeof temporary)
                return -ENAMETOOLONG;

        fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;

        r = write_all(fd, data, size);
        if (r >= 0 && fchmod(fd, mode) < 0) /* the umask has no say */
                r = -errno;
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir_fd, temporary, 0);
                return r;
        }
        /* From here on the new content is there; without this a power cut may bring the old one
         * back. */
        return fsync(dir_fd) < 0 ? -errno : 0;
}

static int mkdir_one(const char *path, mode_t mode) {
        struct stat st;
        int r;

        if (mkdir(path, mode) >= 0)
                return 0;
        r = -errno;
        /* What is there already may also answer EACCES, EROFS or ENOSPC. */
        if (stat(path, &st) >= 0)
                return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
        return r;
}

int rename_noreplace(int from_dir, const char *from, int to_dir, const char *to) {
        struct stat st;

        if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL && errno != ENOSYS) /* not on every file system */
                return -errno;
        if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
                return -EEXIST;
        return renameat(from_dir, from, to_dir, to) < 0 ? -errno : 0;
}

int mkdir_parents(const char *path, mode_t mode) {
        _cleanup_free_ char *copy = NULL;

        if (!*path)
                return -EINVAL;
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;

        for (char *p = copy + 1; *p; p++) {
                int r;

                if (*p != '/' || p[-1] == '/')
                        continue;
                *p = '\0';
                r = mkdir_one(copy, mode);
                if (r < 0)
                        return r;
                *p = '/';
        }
        return mkdir_one(copy, mode);
}

uint32_t crc32_update(uint32_t crc, const void *data, size_t size) {
        /* One entry for each half byte of the reflected polynomial 0xedb88320. */
        static const uint32_t table[16] = {
                0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
        };
        const uint8_t *p = data;

        crc = ~crc;
        for (size_t i = 0; i < size; i++) {
                crc ^= p[i];
                crc = (crc >> 4) ^ table[crc & 15];
                crc = (crc >> 4) ^ table[crc & 15];
        }
        return ~crc;
}
