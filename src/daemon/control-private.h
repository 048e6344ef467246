/* SPDX-License-Identifier: MIT */
/* What the control bus' two halves share: control-server.c has connections, what may wait in them and who is at
 * their other end; control-methods.c what can be asked over one. */
#pragma once

#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/bus-gate.h"
#include "daemon/control-server.h"
#include "util/rate-limit.h"

#define CONTROL_REPLY_BYTES (32u * 1024) /* the largest of the usual ones, with a traceback */
#define WHO_MAX 96u

typedef struct Peer {
        ControlServer *server;
        sd_bus *bus;
        BusGate *gate;
        struct ucred cred;
        bool may_change;
        bool is_script;
        bool follows_log;
        bool closed;
        bool gone;            /* only its queries keep it in memory */
        unsigned n_queries;
        uint64_t queued_bytes; /* since nothing waited for it */
        sd_event_source *reaper;
        struct Peer *next;
} Peer;

struct ControlServer {
        sd_event *event;
        ControlBackend backend;
        ControlOptions options;
        char *path;
        int fd;
        sd_event_source *source;
        sd_event_source *again; /* while source is off */
        Peer *peers;
        RateLimit bad_peers; /* lines about them */
        RateLimit failed_accepts;
        bool emitting;
};

/* About so many bytes are, or will be, queued for it. A peer that does not read is let go: it must not
 * grow our memory. */
void peer_owed(Peer *p, size_t bytes);

/* "mpyctl (pid 12, uid 0)"; what: in the place of the program's name, or NULL. Returns buf. */
const char *peer_describe(const Peer *p, const char *what, char buf[static WHO_MAX]);

/* What every peer's bus has on it: the board, and the greeting of full bus clients. */
extern const sd_bus_vtable control_board_vtable[], control_hello_vtable[];
