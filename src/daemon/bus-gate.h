/* SPDX-License-Identifier: MIT */
/* Stands between a client of the control bus and sd-bus, and lets pass what mpyd takes.
 *
 * sd-bus makes room for a message of up to 128 MiB as soon as it has read its length, and keeps up to 1,024
 * descriptors that come with one: for anybody who may connect, and for as long as they like. The gate reads
 * the length first, and closes a connection that sends more than CONTROL_MESSAGE_MAX bytes in one message,
 * more than DBUS_AUTH_MAX before the first, or a descriptor (no method takes one). What goes the other way
 * does not come by here: sd-bus writes to the client itself. */
#pragma once

#include <stdbool.h>

#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct BusGate BusGate;

typedef struct BusGateHandlers {
        /* Has the bus authenticated the client? Asked from when it was given BEGIN, until it has. */
        bool (*authenticated)(void *userdata);
        /* What was wrong with what the client sent; nothing passes any more. At most once, from the event
         * loop. */
        void (*fault)(void *userdata, const char *what);
        void *userdata;
} BusGateHandlers;

/* fd is the client's, consumed on success, non-blocking; ret_bus_fd is the caller's: what the bus reads
 * from. */
int bus_gate_new(BusGate **ret, sd_event *event, int fd, const BusGateHandlers *handlers,
                 int *ret_bus_fd) _must_check_;
BusGate *bus_gate_free(BusGate *g);
DEFINE_CLEANUP(BusGate *, bus_gate_free)

/* The client has closed its side. */
bool bus_gate_client_gone(const BusGate *g);
