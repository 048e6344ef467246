/* SPDX-License-Identifier: MIT */
/* One request to mpyd-action (mpyd/action.h): through its socket where systemd listens there, else to a
 * child of our own. Nothing waits for it: done is called with the answer, or when its time is over. */
#pragma once

#include <jansson.h>

#include "mpyd/action.h"
#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct Action Action;

typedef struct ActionDoor {
        const char *socket;      /* of mpyd-action.socket; NULL: there is none */
        const char *executable;  /* for a child */
        const char *config_path; /* and its mpyd.conf */
        const char *state_dir;
} ActionDoor;

/* why: a sentence, or ""; the callee may free the action. */
typedef void (*ActionDone)(void *userdata, ActionResult result, const char *why);

/* request: without its verb, which is put in. -EMSGSIZE: over ACTION_REQUEST_MAX; else what kept it from
 * being asked, such as -ENOENT. */
int action_start(Action **ret, sd_event *event, const ActionDoor *door, ActionVerb verb, json_t *request,
                 ActionDone done, void *userdata) _must_check_;

/* A child of ours is killed, with what it has started; a service of systemd's goes on. NULL is fine. */
Action *action_free(Action *a);
