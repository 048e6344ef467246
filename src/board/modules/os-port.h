/* SPDX-License-Identifier: MIT */
/* Included by MicroPython's extmod/modos.c: random bytes. os.sync() is in os.c. */
#include <errno.h>
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
