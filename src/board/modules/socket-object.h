/* SPDX-License-Identifier: MIT */
/* The class socket between the files that it is made of: socket-object.c, socket-options.c. */
#pragma once

#include "board/modules/socket-address.h"

#define TIMEOUT_NONE INT64_C(-1)

typedef struct Socket {
        mp_obj_base_t base;
        int fd; /* negative once closed */
        int family, type;
        int64_t timeout_nsec; /* TIMEOUT_NONE; 0: does not wait */
        bool connecting;      /* the kernel has yet to tell connect() how it ended */
        bool family_open;     /* made without a family, and has no address yet */
        mp_obj_t options;     /* what was set on it so far, a list of (level, name, value); or MP_OBJ_NULL */
} Socket;

/* Raises OSError(EBADF) when it is closed. */
Socket *socket_from_obj(mp_obj_t self_in);

/* Raises ValueError when it is negative. */
size_t socket_size_from_obj(mp_obj_t o);

/* A descriptor of the kernel's that does not block, with the options that are on from the beginning; or a negative
 * errno. */
int socket_open_kernel(int family, int type, int protocol);

/* An address for this socket, which takes the address's family when it was made without one: programs for boards write
 * socket.socket(), and lwIP's socket is of any. */
void socket_address_of(Socket *s, SocketAddress *ret, mp_obj_t address);

extern const mp_obj_fun_builtin_var_t socket_setsockopt_obj, socket_getsockopt_obj;
extern const mp_obj_fun_builtin_fixed_t socket_settimeout_obj, socket_setblocking_obj;
