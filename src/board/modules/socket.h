/* SPDX-License-Identifier: MIT */
/* What the socket module is made of. */
#pragma once

#include <poll.h>
#include <stdbool.h>

#include "py/obj.h"

extern const mp_obj_type_t socket_type;

/* For who has seen POLLERR: true when it was about a datagram of UDP that nobody took, which is not told (see
 * socket-object.c), and is gone now. */
bool socket_forget_earlier_datagram(int fd);

/* What this thread has asked a socket for last (MP_STREAM_POLL) when it was not ready: for the select module, which asks
 * through streams that stand on a socket, and sets it to fd -1 before. */
extern _Thread_local struct pollfd socket_not_ready;
