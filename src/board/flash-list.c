/* SPDX-License-Identifier: MIT */
/* ilistdir()'s iterator over the kernel's own directory records. See flash-list.h. */
#include "board/flash-list.h"

#include <dirent.h>
#include <fcntl.h>

#include "extmod/vfs.h"
#include "py/runtime.h"
#include "py/unicode.h"

#define RECORDS_SIZE 2048

typedef struct FlashList {
        mp_obj_base_t base;
        mp_fun_1_t iternext;
        mp_fun_1_t finaliser;
        int fd;
        bool as_str;
        unsigned start, end;         /* of what is unread in records */
        size_t path_size;
        char *path;                  /* of the directory, for following links */
        _Alignas(8) char records[RECORDS_SIZE];
} FlashList;

static mp_obj_t list_close(mp_obj_t self_in) {
        FlashList *l = MP_OBJ_TO_PTR(self_in);

        l->fd = safe_close(l->fd);
        return mp_const_none;
}

static const struct dirent64 *list_next_record(FlashList *l) {
        const struct dirent64 *d;

        if (l->fd < 0)
                return NULL;
        if (l->start == l->end) {
                ssize_t n = getdents64(l->fd, l->records, sizeof l->records);

                if (n <= 0) {
                        int r = n < 0 ? errno : 0;

                        (void) list_close(MP_OBJ_FROM_PTR(l));
                        if (r > 0 && r != ENOENT) /* ENOENT: removed while it is listed */
                                mp_raise_OSError(r);
                        return NULL;
                }
                l->start = 0;
                l->end = (unsigned) n;
        }
        d = (const struct dirent64 *) (const void *) (l->records + l->start);
        l->start += d->d_reclen;
        return d;
}

/* What an entry is for a script; false when it does not exist for it. */
static bool list_stat(const FlashList *l, const struct dirent64 *d, struct stat *ret) {
        FlashPath path;

        if (streq(d->d_name, ".") || streq(d->d_name, ".."))
                return false;
        if (l->as_str && !utf8_check((const byte *) d->d_name, strlen(d->d_name)))
                return false;
        if (fstatat(l->fd, d->d_name, ret, AT_SYMLINK_NOFOLLOW) < 0)
                return false;
        if (S_ISLNK(ret->st_mode)) /* what it leads to, in the jail */
                return flash_path_join(&path, l->path, d->d_name) == 0 &&
                       flash_path_stat(&path, ret) == 0;
        return S_ISREG(ret->st_mode) || S_ISDIR(ret->st_mode);
}

static mp_obj_t list_iternext(mp_obj_t self_in) {
        FlashList *l = MP_OBJ_TO_PTR(self_in);
        const struct dirent64 *d;
        struct stat st;

        while ((d = list_next_record(l))) {
                size_t size = strlen(d->d_name);

                if (!list_stat(l, d, &st))
                        continue;
                mp_obj_t items[4] = {
                        l->as_str ? mp_obj_new_str(d->d_name, size)
                                  : mp_obj_new_bytes((const byte *) d->d_name, size),
                        MP_OBJ_NEW_SMALL_INT(S_ISDIR(st.st_mode) ? MP_S_IFDIR : MP_S_IFREG),
                        mp_obj_new_int_from_ull(st.st_ino),
                        mp_obj_new_int_from_ll(S_ISDIR(st.st_mode) ? 0 : st.st_size),
                };
                return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
        }
        return MP_OBJ_STOP_ITERATION;
}

mp_obj_t flash_list_new(const FlashPath *path, bool as_str) {
        FlashList *l;
        int fd;

        l = mp_obj_malloc_with_finaliser(FlashList, &mp_type_polymorph_iter_with_finaliser);
        l->iternext = list_iternext;
        l->finaliser = list_close;
        l->fd = -EBADF;
        l->as_str = as_str;
        l->start = l->end = 0;
        l->path_size = strlen(path->text) + 1;
        l->path = m_new(char, l->path_size);
        memcpy(l->path, path->text, l->path_size);
        fd = flash_path_open(path, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                mp_raise_OSError(-fd);
        l->fd = fd;
        return MP_OBJ_FROM_PTR(l);
}

bool flash_list_root_is_empty(void) {
        static const FlashPath root = { "/" };
        DIR *dir;
        const struct dirent *d;
        bool empty = true;
        int fd;

        fd = flash_path_open(&root, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return false;
        dir = fdopendir(fd);
        if (!dir) {
                safe_close(fd);
                return false;
        }
        while (empty && (d = readdir(dir)))
                empty = streq(d->d_name, ".") || streq(d->d_name, "..") ||
                        streq(d->d_name, "lost+found");
        (void) closedir(dir);
        return empty;
}
