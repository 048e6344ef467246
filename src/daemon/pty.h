/* SPDX-License-Identifier: MIT */
/* The pseudo-terminal that tools meet as the board's serial port, at a name that never changes. It
 * stays open over every kind of reset; it knows whether anybody has it open. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct Pty Pty;

/* open: a client has opened it, or the last one has closed it. Then what it wrote is still to be read,
 * and must be, to the end: unread bytes would be taken for a client that came and went. */
typedef void (*PtyClientHandler)(void *userdata, bool open);

/* Creates it and points link at it (an existing link is replaced). It belongs to gid with mode 0660
 * when gid is not (gid_t) -1. With a master from before (consumed, also on failure; < 0: none) it goes
 * on with that one: pty_check_client() then says who has come meanwhile. -ENOTTY: that is no master. */
int pty_new(Pty **ret, sd_event *event, int master, const char *link, gid_t gid,
            PtyClientHandler handler, void *userdata) _must_check_;
Pty *pty_free(Pty *p); /* removes the link */
DEFINE_CLEANUP(Pty *, pty_free)

int pty_fd(const Pty *p);            /* master, non-blocking */
const char *pty_path(const Pty *p);  /* /dev/pts/N */
bool pty_has_client(const Pty *p);

/* Looks again: call it when reading or writing found the other side closed. */
void pty_check_client(Pty *p);

/* Processes that have it open, as "mpremote (pid 123)", for messages; an unprivileged daemon sees its
 * own user's only. Returns buf, "another program" when nothing was found. */
const char *pty_describe_client(const Pty *p, char *buf, size_t size);
