/* SPDX-License-Identifier: MIT */
/* The control bus, served peer to peer on a socket: connections, who may do what, the vtable. What it
 * shows and does is asked of the supervisor through ControlBackend. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/log-ring.h"
#include "gpio/gpio.h"
#include "history/history.h"
#include "mpyd/reset.h"
#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct sd_bus_message sd_bus_message;
typedef struct ControlServer ControlServer;

typedef struct ControlBackend {
        /* Appends the value of a property of CONTROL_PROPERTIES to reply. */
        int (*property)(void *userdata, const char *name, sd_bus_message *reply);
        /* who: "mpyctl reset by root (pid 12)". */
        int (*reset)(void *userdata, ResetKind kind, const char *who);
        /* -EBUSY: no board can be reset now; -EALREADY; -EEXIST: *ret_flag holds it there, in words. */
        int (*safe_mode)(void *userdata, bool enter, const char *who, const char **ret_flag);
        int (*interrupt)(void *userdata);
        /* note: a line of the answer; its data are the server's. */
        int (*reload)(void *userdata, void (*note)(void *data, bool mistake, const char *line), void *data);
        int (*hand_over)(void *userdata);
        int (*notify)(void *userdata, const char *who, const char *text); /* -ENOENT: nobody to tell */
        /* By a hard reset. -EBUSY: no board can be reset now. */
        int (*factory_reset)(void *userdata, bool wipe, bool keep_config, const char *who);
        void (*snooze)(void *userdata, uint64_t usec, const char *who);
        void (*suspend_watchdogs)(void *userdata, uint64_t usec, const char *who);
        int (*open_console)(void *userdata, const char *who, bool take_over, int *ret);
        int (*open_flash)(void *userdata); /* an O_PATH descriptor, the caller's; or a negative errno */
        const char *(*console_holder)(void *userdata);
        int (*history)(void *userdata, const HistoryQuery *q, HistoryAnswer answer, void *answer_data);
        int (*totals)(void *userdata, HistoryTotals *ret);
        const LogRing *(*log)(void *userdata);
        /* Calls each for each line, with its level: 0, 1, or -1 when nobody can tell. */
        int (*pins)(void *userdata, void (*each)(void *data, const GpioLineInfo *info, int level), void *data);
        int (*drive_pin)(void *userdata, const char *name, int level);
        /* holder: who has the line, on -EBUSY. */
        int (*pulse_pin)(void *userdata, const char *name, bool high, uint64_t usec, const char *who,
                         char holder[static GPIO_NAME_MAX]);
        /* Whether pid is the process of the board; NULL: its user tells it apart. */
        bool (*is_board)(void *userdata, pid_t pid);
        void *userdata;
} ControlBackend;

typedef struct ControlOptions {
        const char *path;      /* of the socket */
        gid_t admin_gid;       /* group whose members may change things, -1: none */
        uid_t board_uid;       /* a script is never one of them, -1 when it is our own user */
} ControlOptions;

int control_server_new(ControlServer **ret, sd_event *event, const ControlOptions *options,
                       const ControlBackend *backend) _must_check_;
ControlServer *control_server_free(ControlServer *s); /* removes the socket */
DEFINE_CLEANUP(ControlServer *, control_server_free)

/* To whoever follows. */
void control_server_emit_log(ControlServer *s, const LogLine *line);
void control_server_emit_reset(ControlServer *s, const char *cause, const char *detail);
void control_server_emit_state(ControlServer *s, const char *state, const char *stage);
