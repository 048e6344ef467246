/* SPDX-License-Identifier: MIT */
/* Included by MicroPython's extmod/modos.c: random bytes, and the environment, which begins as [environment] of
 * mpyd.conf. os.sync() is in os.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

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

/* The name of a variable, NULL for what cannot be one. */
static const char *os_variable(mp_obj_t name) {
        size_t size;
        const char *s = mp_obj_str_get_data(name, &size);

        return size > 0 && strlen(s) == size && !strchr(s, '=') ? s : NULL;
}

static mp_obj_t mp_os_getenv(size_t n_args, const mp_obj_t *args) {
        const char *name = os_variable(args[0]), *value = name ? getenv(name) : NULL;

        if (!value)
                return n_args > 1 ? args[1] : mp_const_none;
        return mp_obj_new_str_from_cstr(value);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(mp_os_getenv_obj, 1, 2, mp_os_getenv);

/* Until the next reset; nobody but this program sees it. */
static mp_obj_t mp_os_putenv(mp_obj_t name_in, mp_obj_t value_in) {
        size_t size;
        const char *name = os_variable(name_in), *value = mp_obj_str_get_data(value_in, &size);

        if (!name || strlen(value) != size)
                mp_raise_OSError(EINVAL);
        if (setenv(name, value, 1) < 0)
                mp_raise_OSError(errno);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(mp_os_putenv_obj, mp_os_putenv);

static mp_obj_t mp_os_unsetenv(mp_obj_t name_in) {
        const char *name = os_variable(name_in);

        if (!name)
                mp_raise_OSError(EINVAL);
        (void) unsetenv(name);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mp_os_unsetenv_obj, mp_os_unsetenv);
