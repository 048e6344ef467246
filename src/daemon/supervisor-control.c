/* SPDX-License-Identifier: MIT */
/* What operators ask of the supervisor over the control bus, and the log that they see there. */
#include <stdio.h>
#include <time.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "util/text.h"

#define HAND_OVER_USEC USEC_PER_MINUTE /* from the word to the stop */

static int backend_reset(void *userdata, ResetKind kind, const char *who) {
        Supervisor *s = userdata;
        char detail[LIFE_DETAIL_MAX];

        if (s->life.state == LIFE_STUCK || s->life.state == LIFE_OFF || s->life.shutting_down)
                return -EBUSY;
        (void) snprintf(detail, sizeof detail, "%s reset asked for by %s",
                        reset_kind_to_string(kind), who);
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_ORDER, .kind = kind, .detail = detail });
        return 0;
}

static int backend_safe_mode(void *userdata, bool enter, const char *who, const char **ret_flag) {
        Supervisor *s = userdata;

        *ret_flag = s->safe_mode_flag;
        return supervisor_safe_mode_ask(s, enter, SAFE_MODE_DOOR_OPERATOR, who);
}

static int backend_interrupt(void *userdata) {
        Supervisor *s = userdata;
        int r = s->board ? board_process_send(s->board, &(LinkMessage) { .type = LINK_INTERRUPT }) : -ENOTCONN;

        return r == -EPIPE || r == -ECONNRESET ? -ENOTCONN : r; /* it has just ended */
}

static int backend_reload(void *userdata, ReloadNote note, void *data) {
        return supervisor_reload(userdata, note, data);
}

/* An upgrade, or an owner who wants no more than a soft reset: the stop that comes now is told to the next
 * run as a hand-over. A stop that does not come soon is another one. */
static int backend_hand_over(void *userdata) {
        Supervisor *s = userdata;

        if (!service_managed(s->service))
                return -EOPNOTSUPP;
        s->hand_over_until_usec = now_usec(CLOCK_BOOTTIME) + HAND_OVER_USEC;
        return 0;
}

static int backend_notify(void *userdata, const char *who, const char *text) {
        char clean[256];

        (void) text_sanitise(clean, sizeof clean, text, strlen(text), false);
        return supervisor_notify_test(userdata, who, clean);
}

static int backend_factory_reset(void *userdata, bool wipe, bool keep_config, const char *who) {
        return supervisor_factory_reset_ask(userdata, wipe, keep_config, who);
}

static void backend_snooze(void *userdata, uint64_t usec, const char *who) {
        supervisor_host_snooze(userdata, usec, who);
}

static void backend_suspend_watchdogs(void *userdata, uint64_t usec, const char *who) {
        supervisor_watchdog_suspend(userdata, usec, who);
}

static int backend_open_console(void *userdata, const char *who, bool take_over, int *ret) {
        Supervisor *s = userdata;

        return console_open_session(s->console, who, take_over, ret);
}

static int backend_open_flash(void *userdata) {
        return supervisor_open_flash(userdata);
}

static const char *backend_console_holder(void *userdata) {
        Supervisor *s = userdata;

        return console_holder(s->console);
}

static int backend_history(void *userdata, const HistoryQuery *q, HistoryAnswer answer,
                           void *answer_data) {
        Supervisor *s = userdata;

        return history_query(s->history, q, answer, answer_data);
}

static int backend_totals(void *userdata, HistoryTotals *ret) {
        Supervisor *s = userdata;

        return history_totals(s->history, ret);
}

static const LogRing *backend_log(void *userdata) {
        Supervisor *s = userdata;

        return &s->log;
}

static int backend_pins(void *userdata, void (*each)(void *data, const GpioLineInfo *info, int level),
                        void *data) {
        return supervisor_pins_list(userdata, each, data);
}

static int backend_drive_pin(void *userdata, const char *name, int level) {
        Supervisor *s = userdata;

        return gpio_drive(s->gpio, name, level);
}

static int backend_pulse_pin(void *userdata, const char *name, bool high, uint64_t usec, const char *who,
                             char holder[static GPIO_NAME_MAX]) {
        char why[LIFE_DETAIL_MAX];

        (void) snprintf(why, sizeof why, "asked for by %s", who);
        return supervisor_pulse(userdata, name, high, usec, why, holder);
}

static bool backend_is_board(void *userdata, pid_t pid) {
        Supervisor *s = userdata;

        return s->board && board_process_pid(s->board) == pid;
}

void supervisor_on_log(void *userdata, uint64_t realtime_usec, int level, bool script,
                       const char *ident, const char *message) {
        Supervisor *s = userdata;
        const LogLine *l = log_ring_add(&s->log, realtime_usec, level, script, ident, message);

        if (l)
                control_server_emit_log(s->control, l);
}

void supervisor_on_history_report(void *userdata, JournalEvent event, const char *message) {
        journal_log(event, NULL, "%s", message);
}

ControlBackend supervisor_control_backend(Supervisor *s) {
        return (ControlBackend) {
                .property = supervisor_property,
                .reset = backend_reset,
                .safe_mode = backend_safe_mode,
                .interrupt = backend_interrupt,
                .reload = backend_reload,
                .hand_over = backend_hand_over,
                .notify = backend_notify,
                .snooze = backend_snooze,
                .suspend_watchdogs = backend_suspend_watchdogs,
                .factory_reset = backend_factory_reset,
                .open_console = backend_open_console,
                .open_flash = backend_open_flash,
                .console_holder = backend_console_holder,
                .history = backend_history,
                .totals = backend_totals,
                .log = backend_log,
                .pins = backend_pins,
                .drive_pin = backend_drive_pin,
                .pulse_pin = backend_pulse_pin,
                .is_board = backend_is_board,
                .userdata = s,
        };
}
