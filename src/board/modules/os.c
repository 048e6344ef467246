/* SPDX-License-Identifier: MIT */
/* What os-port.h needs of ours: os.sync() down to the disk,
 * and the environment of os.getenv() ([environment] of mpyd.conf): a table of the program's own, because a thread
 * that libc resolves a name in reads libc's meanwhile, and nobody's names shall mean something to libc. */
#include "util/macros.h"

#include <fcntl.h>

#include "board/board.h"
#include "board/flash-path.h"
#include "py/obj.h"
#include "py/runtime.h"

static char **given_environment;

void os_environment_take(void) {
        static char *none[] = { NULL };

        given_environment = environ;
        environ = none;
}

mp_obj_t os_environment(void);
mp_obj_t os_environment(void) {
        mp_obj_t *dict = &MP_STATE_VM(os_environment_dict);

        if (*dict == MP_OBJ_NULL) {
                mp_obj_t fresh = mp_obj_new_dict(0);

                for (char **entry = given_environment; entry && *entry; entry++) {
                        const char *equals = strchr(*entry, '=');

                        if (equals)
                                mp_obj_dict_store(fresh, mp_obj_new_str(*entry, (size_t) (equals - *entry)),
                                                  mp_obj_new_str_from_cstr(equals + 1));
                }
                *dict = fresh;
        }
        return *dict;
}
MP_REGISTER_ROOT_POINTER(mp_obj_t os_environment_dict);

void os_sync_flash(void);
void os_sync_flash(void) {
        static const FlashPath root = { "/" };
        int fd, r;

        fd = flash_path_open(&root, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                mp_raise_OSError(-fd);
        r = syncfs(fd) < 0 ? errno : 0;
        safe_close(fd);
        if (r > 0)
                mp_raise_OSError(r);
}
