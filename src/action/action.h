/* SPDX-License-Identifier: MIT */
/* What mpyd-action can do. Each answers ACTION_OK, _AGAIN or _FAILED and leaves a sentence in why, when it is
 * not OK or there is something to say. Each ends by itself in time: the daemon waits, and gives up in the end. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "mpyd/action.h"

#define WHY_MAX 400u
/* Less than mpyd-action@.service has (TimeoutStartSec=). */
#define ACTION_TIMEOUT_SEC 30

/* Where the files are. */
typedef struct ActionPlace {
        const char *state_dir;
        const char *defaults; /* directory: what a factory reset puts on the flash */
        const char *user;     /* whom the board runs as */
} ActionPlace;

/* Returns when the host has been told to reboot, which takes a while. why_reboot is for the logs. */
ActionResult reboot_host(const char *why_reboot, char why[static WHY_MAX]);

/* Runs command with /bin/sh; the request's fields are its environment. It is killed, with what it has
 * started, after ACTION_TIMEOUT_SEC. Its exit status 75 (EX_TEMPFAIL, sysexits.h) means "again". */
ActionResult run_command(const char *command, const json_t *request, char why[static WHY_MAX]);

/* POSTs the request, without its verb, as JSON to url. A server's 408, 429 and 5xx mean "again", as
 * everything does that is wrong with the network. */
ActionResult post_webhook(const char *url, const json_t *request, char why[static WHY_MAX]);

/* See mpyd/action.h for the request. The board must not run meanwhile. */
ActionResult factory_reset(const ActionPlace *place, const json_t *request, char why[static WHY_MAX]);

/* sys: where sysfs is. AGAIN while there is no such interface, or none yet after it; FAILED where it has no device
 * and driver, and when the driver does not take the device back. Waits for both, 10 s each. */
ActionResult rebind_driver(const char *sys, const char *interface, char why[static WHY_MAX]);

/* FAILED where the interface has no radio, and when a switch on the machine has it off. */
ActionResult switch_radio(const char *sys, const char *interface, bool on, char why[static WHY_MAX]);

/* FAILED when there is nothing to remove. */
ActionResult make_room(const ActionPlace *place, char why[static WHY_MAX]);
