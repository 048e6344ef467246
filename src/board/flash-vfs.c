/* SPDX-License-Identifier: MIT */
/* VfsFlash: directories, names and figures; open files are in flash-file.c. */
#include "board/flash-vfs.h"

#include "board/clock.h"
#include "board/flash-file.h"
#include "board/flash-list.h"
#include "board/flash-path.h"
#include "board/flash-quota.h"
#include "extmod/vfs.h"
#include "mpyd/board-link.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "util/tree-size.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>

typedef struct FlashVfs {
        mp_obj_base_t base;
        mp_obj_t cwd; /* str, normalized, absolute */
        bool read_only;
} FlashVfs;

const char *path_from_obj(mp_obj_t path);

/* Stands for mp_obj_str_get_str() in MicroPython's VFS layer, where a NUL would just end the name. */
const char *path_from_obj(mp_obj_t path) {
        size_t size;
        const char *text = mp_obj_str_get_data(path, &size);

        if (memchr(text, '\0', size))
                mp_raise_ValueError(MP_ERROR_TEXT("embedded null character"));
        return mp_obj_str_get_str(path);
}

static void raise_if(int r) {
        if (r < 0)
                mp_raise_OSError(-r);
}

static const char *vfs_cwd(const FlashVfs *v) {
        return mp_obj_str_get_str(v->cwd);
}

static void vfs_path(const FlashVfs *v, mp_obj_t path, FlashPath *ret) {
        raise_if(flash_path_join(ret, vfs_cwd(v), mp_obj_str_get_str(path)));
}

static void vfs_check_writable(const FlashVfs *v) {
        if (v->read_only)
                mp_raise_OSError(MP_EROFS);
}

static mp_obj_t vfs_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
                             const mp_obj_t *args) {
        FlashVfs *v;

        mp_arg_check_num(n_args, n_kw, 0, 0, false);
        v = mp_obj_malloc(FlashVfs, type);
        v->cwd = MP_OBJ_NEW_QSTR(MP_QSTR__slash_);
        v->read_only = false;
        return MP_OBJ_FROM_PTR(v);
}

static mp_obj_t vfs_mount(mp_obj_t self_in, mp_obj_t read_only, mp_obj_t mkfs) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);

        v->read_only = mp_obj_is_true(read_only);
        if (mp_obj_is_true(mkfs))
                mp_raise_OSError(MP_EPERM);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(vfs_mount_obj, vfs_mount);

static mp_obj_t vfs_umount(mp_obj_t self_in) {
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(vfs_umount_obj, vfs_umount);

static mp_obj_t vfs_open(mp_obj_t self_in, mp_obj_t path_in, mp_obj_t mode_in) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);
        FlashPath path;

        vfs_path(v, path_in, &path);
        return flash_file_open(&path, mp_obj_str_get_str(mode_in), !v->read_only);
}
static MP_DEFINE_CONST_FUN_OBJ_3(vfs_open_obj, vfs_open);

static mp_obj_t vfs_chdir(mp_obj_t self_in, mp_obj_t path_in) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);
        struct stat st;
        FlashPath path;

        raise_if(flash_path_normalize(&path, vfs_cwd(v), mp_obj_str_get_str(path_in)));
        raise_if(flash_path_stat(&path, &st));
        if (!S_ISDIR(st.st_mode))
                mp_raise_OSError(MP_ENOTDIR);
        v->cwd = mp_obj_new_str_from_cstr(path.text);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(vfs_chdir_obj, vfs_chdir);

static mp_obj_t vfs_getcwd(mp_obj_t self_in) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);

        return v->cwd;
}
static MP_DEFINE_CONST_FUN_OBJ_1(vfs_getcwd_obj, vfs_getcwd);

static mp_obj_t vfs_ilistdir(size_t n_args, const mp_obj_t *args) {
        FlashVfs *v = MP_OBJ_TO_PTR(args[0]);
        bool as_str = n_args < 2 || mp_obj_is_str(args[1]);
        FlashPath path;

        if (n_args < 2)
                raise_if(flash_path_join(&path, vfs_cwd(v), "."));
        else
                vfs_path(v, args[1], &path);
        return flash_list_new(&path, as_str);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(vfs_ilistdir_obj, 1, 2, vfs_ilistdir);

/* ---- changing names ---- */

static mp_obj_t vfs_mkdir(mp_obj_t self_in, mp_obj_t path_in) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);
        const char *name;
        FlashPath path;
        struct stat st;
        int parent, r;

        vfs_check_writable(v);
        vfs_path(v, path_in, &path);
        raise_if(flash_quota_create(&path));
        parent = flash_path_open_parent(&path, &name);
        if (parent == -EINVAL && flash_path_stat(&path, &st) >= 0)
                parent = -EBUSY; /* "." or "..", which are there */
        raise_if(parent == -EBUSY ? -EEXIST : parent);
        r = mkdirat(parent, name, 0777) < 0 ? -errno : 0;
        safe_close(parent); /* before raising, which is a jump: nothing cleans up after it */
        raise_if(r);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(vfs_mkdir_obj, vfs_mkdir);

static mp_obj_t vfs_unlink(mp_obj_t self_in, mp_obj_t path_in, int flags) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);
        int parent, r;
        const char *name;
        FlashPath path;

        vfs_check_writable(v);
        vfs_path(v, path_in, &path);
        parent = flash_path_open_parent(&path, &name);
        raise_if(parent);
        r = unlinkat(parent, name, flags) < 0 ? -errno : 0;
        safe_close(parent);
        raise_if(r);
        return mp_const_none;
}

static mp_obj_t vfs_remove(mp_obj_t self_in, mp_obj_t path_in) {
        return vfs_unlink(self_in, path_in, 0);
}
static MP_DEFINE_CONST_FUN_OBJ_2(vfs_remove_obj, vfs_remove);

static mp_obj_t vfs_rmdir(mp_obj_t self_in, mp_obj_t path_in) {
        return vfs_unlink(self_in, path_in, AT_REMOVEDIR);
}
static MP_DEFINE_CONST_FUN_OBJ_2(vfs_rmdir_obj, vfs_rmdir);

static mp_obj_t vfs_rename(mp_obj_t self_in, mp_obj_t old_in, mp_obj_t new_in) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);
        const char *old_name, *new_name;
        FlashPath old_path, new_path;
        int old_parent, new_parent, r;

        vfs_check_writable(v);
        vfs_path(v, old_in, &old_path);
        vfs_path(v, new_in, &new_path);
        old_parent = flash_path_open_parent(&old_path, &old_name);
        raise_if(old_parent);
        new_parent = flash_path_open_parent(&new_path, &new_name);
        if (new_parent < 0)
                r = new_parent;
        else
                r = renameat(old_parent, old_name, new_parent, new_name) < 0 ? -errno : 0;
        safe_close(old_parent);
        safe_close(new_parent);
        raise_if(r);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(vfs_rename_obj, vfs_rename);

/* ---- figures ---- */

/* A plain tuple, whose repr is a literal (M19). Owners and the device are the host's affair; times
 * are by the VM's clock. */
static mp_obj_t vfs_stat(mp_obj_t self_in, mp_obj_t path_in) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);
        int64_t ahead = clock_vm_offset_usec() / 1000000;
        struct stat st;
        FlashPath path;

        vfs_path(v, path_in, &path);
        raise_if(flash_path_stat(&path, &st));
        mp_obj_t items[10] = {
                MP_OBJ_NEW_SMALL_INT(st.st_mode & (S_IFMT | 0777)),
                mp_obj_new_int_from_ull(st.st_ino),
                MP_OBJ_NEW_SMALL_INT(0),
                mp_obj_new_int_from_ull(st.st_nlink),
                MP_OBJ_NEW_SMALL_INT(0),
                MP_OBJ_NEW_SMALL_INT(0),
                mp_obj_new_int_from_ll(st.st_size),
                mp_obj_new_int_from_ll(st.st_atime + ahead),
                mp_obj_new_int_from_ll(st.st_mtime + ahead),
                mp_obj_new_int_from_ll(st.st_ctime + ahead),
        };
        return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_2(vfs_stat_obj, vfs_stat);

/* With a quota the file system is as small as that. */
static void apply_quota(struct statvfs *sv) {
        uint64_t blocks, left, available = (uint64_t) sv->f_bavail * sv->f_frsize / TREE_BLOCK_SIZE;
        int r = flash_quota_figures(&blocks, &left);

        if (r == -ENOENT)
                return;
        raise_if(r);
        sv->f_bsize = sv->f_frsize = TREE_BLOCK_SIZE;
        sv->f_blocks = (fsblkcnt_t) blocks;
        sv->f_bfree = sv->f_bavail = (fsblkcnt_t) MIN(left, available);
}

static mp_obj_t vfs_statvfs(mp_obj_t self_in, mp_obj_t path_in) {
        FlashVfs *v = MP_OBJ_TO_PTR(self_in);
        struct statvfs sv;
        struct stat st;
        FlashPath path;

        vfs_path(v, path_in, &path);
        raise_if(flash_path_stat(&path, &st)); /* any name in it will do: it is one file system */
        if (fstatvfs(BOARD_FD_FLASH, &sv) < 0)
                mp_raise_OSError(errno);
        apply_quota(&sv);
        mp_obj_t items[10] = {
                mp_obj_new_int_from_ull(sv.f_bsize),   mp_obj_new_int_from_ull(sv.f_frsize),
                mp_obj_new_int_from_ull(sv.f_blocks),  mp_obj_new_int_from_ull(sv.f_bfree),
                mp_obj_new_int_from_ull(sv.f_bavail),  mp_obj_new_int_from_ull(sv.f_files),
                mp_obj_new_int_from_ull(sv.f_ffree),   mp_obj_new_int_from_ull(sv.f_favail),
                mp_obj_new_int_from_ull(sv.f_flag),    mp_obj_new_int_from_ull(sv.f_namemax),
        };
        return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_2(vfs_statvfs_obj, vfs_statvfs);

/* is_new(): nothing was ever put there (S29). */
static mp_obj_t vfs_is_new(mp_obj_t self_in) {
        return mp_obj_new_bool(flash_list_root_is_empty());
}
static MP_DEFINE_CONST_FUN_OBJ_1(vfs_is_new_obj, vfs_is_new);

static mp_import_stat_t vfs_import_stat(void *self, const char *text) {
        FlashVfs *v = self;
        struct stat st;
        FlashPath path;

        if (flash_path_join(&path, vfs_cwd(v), text) < 0 || flash_path_stat(&path, &st) < 0)
                return MP_IMPORT_STAT_NO_EXIST;
        return S_ISDIR(st.st_mode) ? MP_IMPORT_STAT_DIR : MP_IMPORT_STAT_FILE;
}

static const mp_rom_map_elem_t vfs_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_mount), MP_ROM_PTR(&vfs_mount_obj) },
        { MP_ROM_QSTR(MP_QSTR_umount), MP_ROM_PTR(&vfs_umount_obj) },
        { MP_ROM_QSTR(MP_QSTR_open), MP_ROM_PTR(&vfs_open_obj) },
        { MP_ROM_QSTR(MP_QSTR_chdir), MP_ROM_PTR(&vfs_chdir_obj) },
        { MP_ROM_QSTR(MP_QSTR_getcwd), MP_ROM_PTR(&vfs_getcwd_obj) },
        { MP_ROM_QSTR(MP_QSTR_ilistdir), MP_ROM_PTR(&vfs_ilistdir_obj) },
        { MP_ROM_QSTR(MP_QSTR_mkdir), MP_ROM_PTR(&vfs_mkdir_obj) },
        { MP_ROM_QSTR(MP_QSTR_remove), MP_ROM_PTR(&vfs_remove_obj) },
        { MP_ROM_QSTR(MP_QSTR_rename), MP_ROM_PTR(&vfs_rename_obj) },
        { MP_ROM_QSTR(MP_QSTR_rmdir), MP_ROM_PTR(&vfs_rmdir_obj) },
        { MP_ROM_QSTR(MP_QSTR_stat), MP_ROM_PTR(&vfs_stat_obj) },
        { MP_ROM_QSTR(MP_QSTR_statvfs), MP_ROM_PTR(&vfs_statvfs_obj) },
        { MP_ROM_QSTR(MP_QSTR_is_new), MP_ROM_PTR(&vfs_is_new_obj) },
};
static MP_DEFINE_CONST_DICT(vfs_locals, vfs_locals_table);

static const mp_vfs_proto_t vfs_proto = {
        .import_stat = vfs_import_stat,
};

MP_DEFINE_CONST_OBJ_TYPE(flash_vfs_type, MP_QSTR_VfsFlash, MP_TYPE_FLAG_NONE,
                         make_new, vfs_make_new, protocol, &vfs_proto, locals_dict, &vfs_locals);
