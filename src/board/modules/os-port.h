/* SPDX-License-Identifier: MIT */
/* Included by MicroPython's extmod/modos.c: random bytes, and the environment, which begins as [environment] of
 * mpyd.conf; and sync(). */
#include <errno.h>
#include <sys/random.h>

/* From os.c: the flash directory's file system, down to the disk. */
void os_sync_flash(void);

/* Upstream's syncs mounted FAT volumes and nothing else. modos.c defines it behind this, where the macro gives that
 * definition another name; its table, which calls nothing, takes ours. */
static mp_obj_t os_sync_fat(void);
static mp_obj_t mp_os_sync(void) {
        (void) os_sync_fat();
        os_sync_flash();
        return mp_const_none;
}
#define mp_os_sync(nothing) os_sync_fat(nothing)

static mp_obj_t mp_os_urandom(mp_obj_t count) {
        mp_int_t n = mp_obj_get_int(count);
        vstr_t bytes;
        size_t have = 0;

        if (n < 0)
                mp_raise_ValueError(MP_ERROR_TEXT("negative count"));
        vstr_init_len(&bytes, (size_t) n);
        while (have < (size_t) n) {
                ssize_t r = getrandom(bytes.buf + have, (size_t) n - have, 0);

                if (r < 0 && errno != EINTR)
                        mp_raise_OSError(errno);
                have += r > 0 ? (size_t) r : 0;
        }
        return mp_obj_new_bytes_from_vstr(&bytes);
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_urandom_obj, mp_os_urandom);

/* From os.c: what getenv() finds. */
mp_obj_t os_environment(void);

static mp_obj_t mp_os_getenv(size_t n_args, const mp_obj_t *args) {
        mp_map_t *map = mp_obj_dict_get_map(os_environment());
        mp_map_elem_t *found;
        size_t size;

        (void) mp_obj_str_get_data(args[0], &size); /* or TypeError */
        found = mp_map_lookup(map, args[0], MP_MAP_LOOKUP);
        return found ? found->value : n_args > 1 ? args[1] : mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(mp_os_getenv_obj, 1, 2, mp_os_getenv);

/* Until the next reset; nobody but this program sees it. */
static mp_obj_t mp_os_putenv(mp_obj_t name, mp_obj_t value) {
        size_t size;

        (void) mp_obj_str_get_data(name, &size);
        (void) mp_obj_str_get_data(value, &size);
        mp_obj_dict_store(os_environment(), name, value);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(mp_os_putenv_obj, mp_os_putenv);

static mp_obj_t mp_os_unsetenv(mp_obj_t name) {
        size_t size;

        (void) mp_obj_str_get_data(name, &size);
        mp_map_lookup(mp_obj_dict_get_map(os_environment()), name, MP_MAP_LOOKUP_REMOVE_IF_FOUND);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_unsetenv_obj, mp_os_unsetenv);
