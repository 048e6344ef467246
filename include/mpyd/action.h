/* SPDX-License-Identifier: MIT */
/* Contract 5: what the daemon has no right to do itself. mpyd-action is started for one request, by systemd
 * (mpyd-action.socket, mpyd-action@.service) or in the foreground by the daemon, and has both ends of the
 * talk on its standard input, a SOCK_SEQPACKET socket:
 *
 *   {"verb": "reboot", "why": "board-stuck"}             one packet, JSON
 *   {"verb": "factory-reset", "erase": "never", "keep_config": false}
 *   {"verb": "rebind", "interface": "wlan0"}
 *   {"verb": "radio", "interface": "wlan0", "on": false}
 *   {"verb": "webhook", "event": "crash", "message": …, "time": …, "fields": {"MPYD_RESET_CAUSE": …}}
 *
 * The answer is one packet, "RESULT" or "RESULT sentence" (of "ok", what has come of it). The list of verbs is fixed, and nothing that a
 * request holds is executed: the owner's commands are in mpyd.conf, which mpyd-action reads itself. */
#pragma once

#include <errno.h>

#define ACTION_SOCKET "/run/mpyd-action"
/* In the state directory. */
#define FACTORY_RESET_MARKER "factory-reset"      /* one is asked for, or under way */
#define FACTORY_RESET_SETS "before-factory-reset" /* directory of 1, 2, …: what was on the flash */

#define ACTION_REQUEST_MAX 16384u /* bytes */
#define ACTION_ANSWER_MAX 512u

typedef enum ActionVerb {
        ACTION_REBOOT = 0, /* the host: logind, else systemctl, else reboot(2) */
        ACTION_COMMAND,    /* [notify] command= is run */
        ACTION_WEBHOOK,    /* [notify] url= gets the request */
        /* The flash as it comes from the package. state: the daemon's state directory. erase: "never" (the
         * files before are set aside), "needed" (erased where they cannot be), "always"; keep_config:
         * settings.toml stays; resume: only if the marker is there. */
        ACTION_FACTORY_RESET,
        ACTION_MAKE_ROOM,  /* the oldest of what factory resets have set aside is removed; state as before */
        ACTION_REBIND,     /* the driver of a network interface lets its device go and takes it back */
        ACTION_RADIO,      /* the radio of one is switched off or on (rfkill) */
        ACTION_VERB_MAX,
        ACTION_VERB_INVALID = -EINVAL,
} ActionVerb;

typedef enum ActionResult {
        ACTION_OK = 0,
        ACTION_AGAIN,      /* it may succeed later: no network, a server that is down */
        ACTION_FAILED,     /* not the same way again */
        ACTION_RESULT_MAX,
        ACTION_RESULT_INVALID = -EINVAL,
} ActionResult;

/* Of the files that a factory reset finds. */
typedef enum FactoryResetErase {
        FACTORY_RESET_ERASE_NEVER = 0, /* they are set aside, or it fails */
        FACTORY_RESET_ERASE_NEEDED,    /* erased where they cannot be set aside */
        FACTORY_RESET_ERASE_ALWAYS,
        FACTORY_RESET_ERASE_MAX,
        FACTORY_RESET_ERASE_INVALID = -EINVAL,
} FactoryResetErase;

/* Lower-case words; NULL outside of the enum. The way back answers _INVALID for others and NULL. */
const char *action_verb_to_string(ActionVerb v);
ActionVerb action_verb_from_string(const char *s);
const char *action_result_to_string(ActionResult r);
const char *factory_reset_erase_to_string(FactoryResetErase e);
FactoryResetErase factory_reset_erase_from_string(const char *s);

/* An answer taken apart; *ret_why points into text, to its sentence or to its end. */
ActionResult action_answer_parse(const char *text, const char **ret_why);
