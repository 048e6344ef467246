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
        char *path;                  /* of the directory, for following links */
        vstr_t names;                /* each with its NUL, as the kernel has them */
        uint32_t *sorted;            /* where they begin, in the order of their bytes */
        size_t n, next;
} FlashList;

static mp_obj_t list_close(mp_obj_t self_in) {
        FlashList *l = MP_OBJ_TO_PTR(self_in);

        l->fd = safe_close(l->fd);
        return mp_const_none;
}

/* Twice as large each time: vstr itself grows by a little, and the heap would be walked for each name. */
static void add_name(FlashList *l, const char *name) {
        size_t size = strlen(name) + 1;

        if (l->names.len + size > l->names.alloc)
                vstr_hint_size(&l->names, l->names.alloc + size);
        vstr_add_strn(&l->names, name, size);
        l->n++;
}

static void read_names(FlashList *l) {
        _Alignas(8) char records[RECORDS_SIZE];
        ssize_t size;

        while ((size = getdents64(l->fd, records, sizeof records)) > 0) {
                mp_handle_pending(true); /* Ctrl-C in a large directory */
                for (ssize_t i = 0; i < size;) {
                        const struct dirent64 *d = (const struct dirent64 *) (const void *) (records + i);

                        i += d->d_reclen;
                        if (streq(d->d_name, ".") || streq(d->d_name, ".."))
                                continue;
                        add_name(l, d->d_name);
                }
        }
        if (size < 0 && errno != ENOENT) { /* ENOENT: removed while it is listed */
                int r = errno;

                (void) list_close(MP_OBJ_FROM_PTR(l));
                mp_raise_OSError(r);
        }
}

static int by_name(const void *a, const void *b, void *names) {
        const char *text = names;

        return strcmp(text + *(const uint32_t *) a, text + *(const uint32_t *) b);
}

/* The kernel's order is none; littlefs, which programs come from, has this one. */
static void sort_names(FlashList *l) {
        if (l->n == 0)
                return;
        l->sorted = m_new(uint32_t, l->n);
        for (size_t i = 0, at = 0; i < l->n; i++) {
                l->sorted[i] = (uint32_t) at;
                at += strlen(l->names.buf + at) + 1;
        }
        qsort_r(l->sorted, l->n, sizeof *l->sorted, by_name, l->names.buf);
}

/* What an entry is for a script; false when it does not exist for it. */
static bool list_stat(const FlashList *l, const char *name, struct stat *ret) {
        FlashPath path;

        if (l->as_str && !utf8_check((const byte *) name, strlen(name)))
                return false;
        if (fstatat(l->fd, name, ret, AT_SYMLINK_NOFOLLOW) < 0)
                return false;
        if (S_ISLNK(ret->st_mode)) /* what it leads to, in the jail */
                return flash_path_join(&path, l->path, name) == 0 &&
                       flash_path_stat(&path, ret) == 0;
        return S_ISREG(ret->st_mode) || S_ISDIR(ret->st_mode);
}

static mp_obj_t list_iternext(mp_obj_t self_in) {
        FlashList *l = MP_OBJ_TO_PTR(self_in);
        struct stat st;

        while (l->next < l->n) {
                const char *name = l->names.buf + l->sorted[l->next++];
                size_t size = strlen(name);

                if (!list_stat(l, name, &st))
                        continue;
                mp_obj_t items[4] = {
                        l->as_str ? mp_obj_new_str(name, size) : mp_obj_new_bytes((const byte *) name, size),
                        MP_OBJ_NEW_SMALL_INT(S_ISDIR(st.st_mode) ? MP_S_IFDIR : MP_S_IFREG),
                        mp_obj_new_int_from_ull(st.st_ino),
                        mp_obj_new_int_from_ll(S_ISDIR(st.st_mode) ? 0 : st.st_size),
                };
                return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
        }
        (void) list_close(self_in);
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
        l->sorted = NULL;
        l->n = l->next = 0;
        l->path = m_new(char, strlen(path->text) + 1);
        strcpy(l->path, path->text);
        vstr_init(&l->names, 256);
        fd = flash_path_open(path, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                mp_raise_OSError(-fd);
        l->fd = fd;
        read_names(l);
        sort_names(l);
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
