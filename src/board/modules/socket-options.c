/* SPDX-License-Identifier: MIT */
/* What is set on a socket: options, time-outs, and the family of one that was made without. */
#include "util/macros.h"

#include "board/modules/socket-object.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board/modules/socket-address.h"
#include "py/mperrno.h"
#include "py/runtime.h"

/* ---- options ---- */

/* option: level, name, and an int or bytes. Returns a negative errno; raises when it is neither of them. */
static int option_set(int fd, const mp_obj_t *option) {
        int value;
        mp_buffer_info_t buf = { .buf = &value, .len = sizeof value };

        if (mp_obj_is_int(option[2]) || mp_obj_is_bool(option[2]))
                value = (int) mp_obj_get_int_truncated(option[2]);
        else
                mp_get_buffer_raise(option[2], &buf, MP_BUFFER_READ);
        return setsockopt(fd, mp_obj_get_int(option[0]), mp_obj_get_int(option[1]), buf.buf,
                          (socklen_t) MIN(buf.len, (size_t) 0xffff)) < 0
                       ? -errno
                       : 0;
}

static mp_obj_t socket_setsockopt(size_t n_args, const mp_obj_t *args) {
        Socket *s = socket_from_obj(args[0]);
        int r = option_set(s->fd, args + 1);

        if (r < 0)
                mp_raise_OSError(-r);
        if (s->family_open) {
                if (s->options == MP_OBJ_NULL)
                        s->options = mp_obj_new_list(0, NULL);
                mp_obj_list_append(s->options, mp_obj_new_tuple(3, args + 1));
        }
        return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_setsockopt_obj, 4, 4, socket_setsockopt);

/* getsockopt(level, option[, size]): an int, or size bytes. */
static mp_obj_t socket_getsockopt(size_t n_args, const mp_obj_t *args) {
        Socket *s = socket_from_obj(args[0]);
        int level = mp_obj_get_int(args[1]), option = mp_obj_get_int(args[2]);
        size_t wanted = n_args > 3 ? socket_size_from_obj(args[3]) : 0;
        unsigned char buf[1024];
        socklen_t size = (socklen_t) (wanted > 0 ? MIN(wanted, sizeof buf) : sizeof(int));
        int value;

        if (getsockopt(s->fd, level, option, buf, &size) < 0)
                mp_raise_OSError(errno);
        if (wanted > 0)
                return mp_obj_new_bytes(buf, size);
        if (size != sizeof value)
                return MP_OBJ_NEW_SMALL_INT(buf[0]);
        memcpy(&value, buf, sizeof value);
        return mp_obj_new_int(value);
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_getsockopt_obj, 3, 4, socket_getsockopt);

static mp_obj_t socket_settimeout(mp_obj_t self_in, mp_obj_t timeout) {
        Socket *s = socket_from_obj(self_in);
        mp_float_t nsec;

        if (timeout == mp_const_none) {
                s->timeout_nsec = TIMEOUT_NONE;
                return mp_const_none;
        }
        nsec = mp_obj_get_float(timeout) * MICROPY_FLOAT_CONST(1e9);
        if (!(nsec >= 0))
                mp_raise_ValueError(MP_ERROR_TEXT("time-out is negative"));
        s->timeout_nsec = nsec < (mp_float_t) (INT64_MAX / 2) ? (int64_t) nsec : TIMEOUT_NONE;
        return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(socket_settimeout_obj, socket_settimeout);

static mp_obj_t socket_setblocking(mp_obj_t self_in, mp_obj_t blocking) {
        Socket *s = socket_from_obj(self_in);

        s->timeout_nsec = mp_obj_is_true(blocking) ? TIMEOUT_NONE : 0;
        return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_2(socket_setblocking_obj, socket_setblocking);

/* ---- the family ---- */

/* Another socket takes the place of this one, under the same number, with what was set on this one. */
static void change_family(Socket *s, int family) {
        int fd = socket_open_kernel(family, s->type, 0), r = MIN(fd, 0);
        mp_obj_t *options = NULL;
        size_t n = 0;

        if (s->options != MP_OBJ_NULL)
                mp_obj_list_get(s->options, &n, &options);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                mp_obj_tuple_t *option = MP_OBJ_TO_PTR(options[i]);

                r = option_set(fd, option->items); /* has taken this value before */
        }
        if (r >= 0 && dup3(fd, s->fd, O_CLOEXEC) < 0)
                r = -errno;
        safe_close(fd);
        if (r < 0)
                mp_raise_OSError(-r);
        s->family = family;
}

void socket_address_of(Socket *s, SocketAddress *ret, mp_obj_t address) {
        socket_address_parse(ret, address, s->family_open ? AF_UNSPEC : s->family, s->type);
        if (s->fd < 0)
                mp_raise_OSError(MP_EBADF); /* closed while the name was looked up */
        if (!s->family_open)
                return;
        if (ret->any.sa_family != s->family)
                change_family(s, ret->any.sa_family);
        s->family_open = false;
        s->options = MP_OBJ_NULL;
}
