/* SPDX-License-Identifier: MIT */
/* What the supervisor's own files share: supervisor.c puts the life cycle into effect,
 * supervisor-setup.c makes and frees it, supervisor-control.c answers operators. */
#pragma once

#include "daemon/supervisor.h"
#include "mpyd/journal.h"
#include "util/parse.h"

#define KILL_TIMEOUT_USEC (5 * USEC_PER_SEC) /* SIGKILL to "it hangs in the kernel" */

LifeNow supervisor_now(void);

/* Feeds the life cycle and does what it answers. */
void supervisor_dispatch(Supervisor *s, const LifeEvent *e);

/* Handlers that supervisor-setup.c installs. */
int supervisor_on_life_timer(sd_event_source *source, uint64_t usec, void *userdata);
void supervisor_on_console_sync(void *userdata);
void supervisor_on_log(void *userdata, uint64_t realtime_usec, int level, bool script,
                       const char *ident, const char *message);
void supervisor_on_history_report(void *userdata, JournalEvent event, const char *message);

/* ServiceCheck: NULL when the supervisor does what it should. */
const char *supervisor_check(void *userdata);

ControlBackend supervisor_control_backend(Supervisor *s);
