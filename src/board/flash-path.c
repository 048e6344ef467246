/* SPDX-License-Identifier: MIT */
/* Resolves names in the jail. See flash-path.h. */
#include "board/flash-path.h"

#include <fcntl.h>

#include "mpyd/board-link.h"
#include "util/jail.h"

int flash_path_join(FlashPath *ret, const char *cwd, const char *path) {
        size_t cwd_size = path[0] == '/' ? 0 : strlen(cwd), path_size = strlen(path);

        if (cwd_size + 1 + path_size >= sizeof ret->text)
                return -ENAMETOOLONG;
        memcpy(ret->text, cwd, cwd_size);
        ret->text[cwd_size] = '/';
        memcpy(ret->text + cwd_size + 1, path, path_size + 1);
        return 0;
}

/* One component more, or one less for "..". */
static void normalize_step(FlashPath *p, size_t *size, const char *name, size_t name_size) {
        if (name_size == 0 || (name_size == 1 && name[0] == '.'))
                return;
        if (name_size == 2 && name[0] == '.' && name[1] == '.') {
                while (*size > 0 && p->text[--*size] != '/')
                        ;
                return;
        }
        p->text[(*size)++] = '/';
        memmove(p->text + *size, name, name_size);
        *size += name_size;
}

int flash_path_normalize(FlashPath *ret, const char *cwd, const char *path) {
        FlashPath joined;
        size_t size = 0;
        int r;

        r = flash_path_join(&joined, cwd, path);
        if (r < 0)
                return r;
        for (const char *p = joined.text; *p; ) {
                size_t n = strcspn(p, "/");

                normalize_step(ret, &size, p, n);
                p += n + (p[n] == '/');
        }
        if (size == 0)
                ret->text[size++] = '/';
        ret->text[size] = '\0';
        return 0;
}

static int open_in_jail(const char *path, int flags, mode_t mode) {
        return jail_open(BOARD_FD_FLASH, path, flags, mode);
}

int flash_path_check(void) {
        _cleanup_close_ int fd = open_in_jail("/", O_PATH | O_DIRECTORY, 0);

        return fd < 0 ? fd : 0;
}

static bool is_shown(mode_t mode) {
        return S_ISREG(mode) || S_ISDIR(mode);
}

int flash_path_stat(const FlashPath *p, struct stat *ret) {
        _cleanup_close_ int fd = open_in_jail(p->text, O_PATH, 0);
        struct stat st;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!is_shown(st.st_mode))
                return -ENOENT;
        *ret = st;
        return 0;
}

int flash_path_open(const FlashPath *p, int flags, mode_t mode) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        r = flash_path_stat(p, &st);
        if (r < 0 && !(r == -ENOENT && (flags & O_CREAT)))
                return r;
        if (r == 0 && S_ISDIR(st.st_mode) && !(flags & O_DIRECTORY))
                return -EISDIR;
        /* O_NONBLOCK: should it have been replaced by a FIFO just now, that must not hold us up. */
        fd = open_in_jail(p->text, flags | O_NONBLOCK | O_NOCTTY, mode);
        if (fd < 0)
                return fd == -ENXIO || fd == -EEXIST ? (flags & O_EXCL ? -EEXIST : -ENOENT) : fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!is_shown(st.st_mode))
                return -ENOENT;
        return TAKE_FD(fd);
}

int flash_path_open_parent(FlashPath *p, const char **ret_name) {
        char *end = p->text + strlen(p->text), *name;
        int fd;

        while (end > p->text + 1 && end[-1] == '/')
                *--end = '\0';
        name = strrchr(p->text, '/') + 1; /* there is one: paths are absolute */
        if (*name == '\0')
                return -EBUSY;
        if (streq(name, ".") || streq(name, ".."))
                return -EINVAL;
        /* "/a/b" becomes "/a" and "b"; the parent of "/b" is "/". */
        if (name == p->text + 1) {
                fd = open_in_jail("/", O_PATH | O_DIRECTORY, 0);
        } else {
                name[-1] = '\0';
                fd = open_in_jail(p->text, O_PATH | O_DIRECTORY, 0);
        }
        if (fd >= 0)
                *ret_name = name;
        return fd;
}
