/* SPDX-License-Identifier: MIT */
/* Where a client's side of a D-Bus connection goes from authentication to messages, and where one message
 * ends (D-Bus Specification, "Authentication Protocol" and "Message Format"). It reads no more of a message
 * than its length: enough to refuse one that is too large before anybody makes room for it. Pure. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "util/macros.h"

#define DBUS_AUTH_MAX 4096u /* of authentication, in all */
#define DBUS_HEADER_SIZE 16u

typedef enum DbusPhase {
        DBUS_PHASE_NUL = 0, /* the byte that begins it */
        DBUS_PHASE_AUTH,
        DBUS_PHASE_HELD,    /* BEGIN has passed: nothing more does before dbus_stream_begin() */
        DBUS_PHASE_MESSAGES,
        DBUS_PHASE_MAX,
        DBUS_PHASE_INVALID = -EINVAL,
} DbusPhase;

typedef struct DbusStream {
        DbusPhase phase;
        uint32_t message_max;
        uint32_t auth_size;
        char line[8];       /* the beginning of the line */
        uint32_t line_size; /* of what there is of it, with its \r */
        char before;        /* the byte before */
        uint8_t header[DBUS_HEADER_SIZE];
        uint32_t n_header;
        uint32_t rest;      /* of the message behind its header */
} DbusStream;

/* message_max: bytes of the largest message, header and all. */
void dbus_stream_init(DbusStream *s, uint32_t message_max);

/* How many bytes of data may pass, which is all of them unless the stream is held. -EMSGSIZE: there is a
 * message, or an authentication, that is too large; -EPROTO: this is not D-Bus. After an error the stream
 * is at its end. */
ssize_t dbus_stream_take(DbusStream *s, const uint8_t *data, size_t size) _must_check_;

/* The server has accepted BEGIN: messages follow. -EPROTO: it was not sent here. */
int dbus_stream_begin(DbusStream *s) _must_check_;
