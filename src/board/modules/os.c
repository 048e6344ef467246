/* SPDX-License-Identifier: MIT */
/* What upstream's os module asks for here because its own table does not have it.
 * os.sync(): the flash directory's file system, down to the disk. Upstream's knows FAT only.
 * os.getenv(name, default=None): [environment] of mpyd.conf. */
#include "util/macros.h"

#include <fcntl.h>

#include "board/flash-path.h"
#include "py/obj.h"
#include "py/runtime.h"

static mp_obj_t os_sync(void) {
        static const FlashPath root = { "/" };
        int fd, r;

        fd = flash_path_open(&root, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                mp_raise_OSError(-fd);
        r = syncfs(fd) < 0 ? errno : 0;
        safe_close(fd);
        if (r > 0)
                mp_raise_OSError(r);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(os_sync_obj, os_sync);

static mp_obj_t os_getenv(size_t n_args, const mp_obj_t *args) {
        size_t size;
        const char *name = mp_obj_str_get_data(args[0], &size);
        const char *value = memchr(name, '\0', size) ? NULL : getenv(name);

        if (!value)
                return n_args > 1 ? args[1] : mp_const_none;
        return mp_obj_new_str_from_cstr(value);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(os_getenv_obj, 1, 2, os_getenv);

void os_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest);
void os_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
        if (dest[0] != MP_OBJ_NULL)
                return;
        if (attr == MP_QSTR_sync)
                dest[0] = MP_OBJ_FROM_PTR(&os_sync_obj);
        else if (attr == MP_QSTR_getenv)
                dest[0] = MP_OBJ_FROM_PTR(&os_getenv_obj);
}
MP_REGISTER_MODULE_DELEGATION(mp_module_os, os_attr);
