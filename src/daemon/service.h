/* SPDX-License-Identifier: MIT */
/* What the daemon and the service manager tell each other: readiness, state, keep-alives, and the
 * descriptors that the manager keeps over a restart (sd_notify(3), sd_listen_fds(3),
 * sd_watchdog_enabled(3)). In the foreground, with no manager, all of it does nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct Service Service;

/* Takes over what the manager passed on, and takes it out of the environment. To be called once, before
 * other descriptors are opened. */
int service_new(Service **ret) _must_check_;
Service *service_free(Service *s);
DEFINE_CLEANUP(Service *, service_free)

/* A manager listens to us. */
bool service_managed(const Service *s);

/* Tells the manager, in sd_notify(3)'s words. Never waits: a manager that does not read loses it. */
void service_notify(Service *s, const char *format, ...) _printf_(2, 3);

/* The same, but it is told: waits for a manager that is slow. Not from the loop. */
int service_notify_surely(Service *s, const char *text) _must_check_;

/* A descriptor that an earlier run stored under name becomes the caller's; -ENOENT: there is none. */
int service_claim(Service *s, const char *name) _must_check_;

/* Leaves a copy of fd (borrowed) with the manager, which passes it to the next run. It is kept over
 * restart and crash, dropped at a stop. What was stored under name before is forgotten. */
void service_store(Service *s, const char *name, int fd);

/* What was stored under name is kept no longer; a descriptor of it that was claimed stays. */
void service_forget(Service *s, const char *name);

/* Closes what nobody has claimed, here and at the manager. */
void service_forget_rest(Service *s);

/* NULL when all is well, or what is wrong, in a sentence without its end. */
typedef const char *(*ServiceCheck)(void *userdata);

/* Sends WATCHDOG=1 at a third of the manager's timeout, only while check finds nothing and the loop
 * comes to its least urgent events. What check finds twice in a row, in a loop that runs, does not mend itself:
 * WATCHDOG=trigger. Nothing is armed when the manager expects no keep-alives. */
int service_watch(Service *s, sd_event *event, ServiceCheck check, void *userdata) _must_check_;

/* The manager's timeout; 0 when it has none. */
uint64_t service_watchdog_usec(const Service *s);
