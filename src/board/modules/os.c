/* SPDX-License-Identifier: MIT */
/* os.sync(): the flash directory's file system, down to the disk. Upstream's knows FAT only, so the
 * module asks here for what its own table does not have. */
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

void os_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest);
void os_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
        if (dest[0] == MP_OBJ_NULL && attr == MP_QSTR_sync)
                dest[0] = MP_OBJ_FROM_PTR(&os_sync_obj);
}
MP_REGISTER_MODULE_DELEGATION(mp_module_os, os_attr);
