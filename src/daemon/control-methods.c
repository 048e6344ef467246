/* SPDX-License-Identifier: MIT */
/* The methods of the control bus: who may call them, what of a call is nonsense, and the answer. */
#include "daemon/control-private.h"

#include <jansson.h>

#include "mpyd/control.h"
#include "util/io.h"

#define ANSWER_ROWS_MAX 200u     /* of the history, in one answer; ask again with before_id */
#define QUERIES_MAX 4u           /* of the history, at once */

static int refuse_change(const Peer *p, sd_bus_error *error) {
        if (p->may_change)
                return 0;
        return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                "only root and members of group mpyd may do this");
}

/* What others did is none of a script's business. */
static int refuse_script(const Peer *p, sd_bus_error *error) {
        if (!p->is_script)
                return 0;
        return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "a script may not read this");
}

static int method_hello(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, "s", ":1.1");
}

/* r: of what resets the board. */
static int answer_reset(sd_bus_message *m, int r, sd_bus_error *error) {
        if (r == -EBUSY)
                return sd_bus_error_set(error, CONTROL_ERROR_NO_BOARD,
                                        "the board cannot be reset now; see mpyctl status");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int method_reset(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        const char *name;
        char who[WHO_MAX];
        ResetKind kind;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        kind = reset_kind_from_string(name);
        if (kind != RESET_KIND_SOFT && kind != RESET_KIND_HARD)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "\"%.32s\" is not a kind of reset; \"soft\" and \"hard\" are",
                                         name);
        r = p->server->backend.reset(p->server->backend.userdata, kind,
                                     peer_describe(p, NULL, who));
        return answer_reset(m, r, error);
}

static int method_safe_mode(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        const char *flag = NULL;
        char who[WHO_MAX];
        int enter, r;

        r = sd_bus_message_read(m, "b", &enter);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        r = p->server->backend.safe_mode(p->server->backend.userdata, enter, peer_describe(p, NULL, who),
                                         &flag);
        if (r == -EALREADY)
                return sd_bus_error_set(error, CONTROL_ERROR_SAFE_MODE,
                                        enter ? "the board is in safe mode already"
                                              : "the board is not in safe mode");
        if (r == -EEXIST)
                return sd_bus_error_setf(error, CONTROL_ERROR_SAFE_MODE,
                                         "%s holds the board in safe mode; take it away, then reset", flag);
        return answer_reset(m, r, error);
}

static int method_interrupt(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        int r = refuse_change(p, error);

        if (r < 0)
                return r;
        r = p->server->backend.interrupt(p->server->backend.userdata);
        if (r == -ENOTCONN)
                return sd_bus_error_set(error, CONTROL_ERROR_NO_BOARD, "no program runs just now");
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, NULL);
}

static void append_note(void *data, bool mistake, const char *line) {
        sd_bus_message *reply = data;

        (void) sd_bus_message_append(reply, "(bs)", mistake, line);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Peer *p = userdata;
        int r = refuse_change(p, error);

        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(bs)");
        if (r < 0)
                return r;
        r = p->server->backend.reload(p->server->backend.userdata, append_note, reply);
        if (r < 0)
                return sd_bus_error_set_errnof(error, r, "the configuration cannot be read, what was "
                                                         "in force stays: %s", strerrordesc_np(-r) ?: "?");
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int method_hand_over(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        int r = refuse_change(p, error);

        if (r < 0)
                return r;
        r = p->server->backend.hand_over(p->server->backend.userdata);
        if (r == -EOPNOTSUPP)
                return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                        "mpyd runs without a service manager, which would keep the "
                                        "console and the retained page for the next one");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int method_notify(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        char who[WHO_MAX];
        const char *text;
        int r;

        r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        r = p->server->backend.notify(p->server->backend.userdata, peer_describe(p, NULL, who), text);
        if (r == -ENOENT)
                return sd_bus_error_set(error, CONTROL_ERROR_NO_OWNER,
                                        "there is nobody to tell; set [notify] command= or url=, then "
                                        "mpyctl reload");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int method_factory_reset(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        char who[WHO_MAX];
        int wipe, keep_config, r;

        r = sd_bus_message_read(m, "bb", &wipe, &keep_config);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        r = p->server->backend.factory_reset(p->server->backend.userdata, wipe, keep_config,
                                             peer_describe(p, NULL, who));
        return answer_reset(m, r, error);
}

/* Something is put off for a time that a call brings. */
static int put_off(sd_bus_message *m, Peer *p, void (*what)(void *userdata, uint64_t usec, const char *who),
                   uint64_t max, const char *longest, sd_bus_error *error) {
        char who[WHO_MAX];
        uint64_t usec;
        int r;

        r = sd_bus_message_read(m, "t", &usec);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        if (usec > max)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s is the longest time", longest);
        what(p->server->backend.userdata, usec, peer_describe(p, NULL, who));
        return sd_bus_reply_method_return(m, NULL);
}

static int method_snooze(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;

        return put_off(m, p, p->server->backend.snooze, CONTROL_SNOOZE_MAX_USEC, "a day", error);
}

static int method_suspend_watchdogs(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;

        return put_off(m, p, p->server->backend.suspend_watchdogs, CONTROL_SUSPEND_MAX_USEC, "a quarter of an hour",
                       error);
}

static int method_open_console(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_close_ int fd = -EBADF;
        Peer *p = userdata;
        char who[WHO_MAX];
        const char *what;
        int take_over, r;

        r = sd_bus_message_read(m, "sb", &what, &take_over);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        r = p->server->backend.open_console(p->server->backend.userdata,
                                            peer_describe(p, what, who), take_over, &fd);
        if (r == -EBUSY)
                return sd_bus_error_setf(
                        error, CONTROL_ERROR_CONSOLE_BUSY, "the REPL is in use by %s",
                        p->server->backend.console_holder(p->server->backend.userdata));
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "h", fd);
}

static int method_open_flash(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_close_ int fd = -EBADF;
        Peer *p = userdata;
        int r = refuse_change(p, error);

        if (r < 0)
                return r;
        fd = p->server->backend.open_flash(p->server->backend.userdata);
        return fd < 0 ? fd : sd_bus_reply_method_return(m, "h", fd);
}

typedef struct Query {
        Peer *peer;
        sd_bus_message *call;
} Query;

static Query *query_new(Peer *p, sd_bus_message *call) {
        Query *q = malloc(sizeof *q);

        if (!q)
                return NULL;
        *q = (Query) { .peer = p, .call = sd_bus_message_ref(call) };
        p->n_queries++;
        return q;
}

/* The peer may have gone while the history was read. */
static void query_free(Query *q) {
        Peer *p = q->peer;

        if (--p->n_queries == 0 && p->gone)
                free(p);
        sd_bus_message_unref(q->call);
        free(q);
}

/* Answers with j (consumed; NULL: out of memory), unless r says that there is nothing. */
static void query_answer(Query *q, int r, json_t *j) {
        char *text = NULL;

        if (r >= 0 && !(text = j ? json_dumps(j, JSON_COMPACT) : NULL))
                r = -ENOMEM;
        if (text && !q->peer->gone)
                peer_owed(q->peer, strlen(text));
        if (r < 0)
                (void) sd_bus_reply_method_errno(q->call, r, NULL);
        else
                (void) sd_bus_reply_method_return(q->call, "s", text);
        free(text);
        json_decref(j);
        query_free(q);
}

static void on_history(void *userdata, int r, HistoryRecord *records, size_t n) {
        json_t *array = json_array();

        for (size_t i = 0; r >= 0 && i < n; i++)
                if (json_array_append_new(array, history_record_to_json(&records[i])) < 0)
                        r = -ENOMEM;
        (void) history_records_free(records, n);
        query_answer(userdata, r, array);
}

static int query_begin(Peer *p, sd_bus_message *m, Query **ret, sd_bus_error *error) {
        if (p->n_queries >= QUERIES_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "too many questions at once; wait for the answers");
        *ret = query_new(p, m);
        return *ret ? 0 : -ENOMEM;
}

static int method_get_history(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        HistoryQuery what = {};
        const char *only;
        uint32_t limit;
        Query *q = NULL;
        int r;

        r = refuse_script(p, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "xtxus", &what.id, &what.since_usec, &what.before_id, &limit,
                                &only);
        if (r < 0)
                return r;
        if (strlen(only) >= sizeof what.only)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "no event has so long a name");
        (void) strcpy(what.only, only);
        what.limit = MIN(limit, ANSWER_ROWS_MAX);
        r = query_begin(p, m, &q, error);
        if (r < 0)
                return r;
        r = p->server->backend.history(p->server->backend.userdata, &what, on_history, q);
        if (r < 0) {
                query_free(q);
                return r;
        }
        return 1;
}

static int method_get_totals(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof *t);
        Peer *p = userdata;
        char *text = NULL;
        json_t *j;
        int r;

        if (!t)
                return -ENOMEM;
        r = refuse_script(p, error);
        if (r < 0)
                return r;
        r = p->server->backend.totals(p->server->backend.userdata, t);
        if (r < 0)
                return r;
        j = history_totals_to_json(t);
        text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        json_decref(j);
        if (!text)
                return -ENOMEM;
        peer_owed(p, strlen(text));
        r = sd_bus_reply_method_return(m, "s", text);
        free(text);
        return r;
}

static int method_get_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Peer *p = userdata;
        const LogRing *ring = p->server->backend.log(p->server->backend.userdata);
        uint32_t max;
        int r;

        r = refuse_script(p, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "u", &max);
        if (r < 0)
                return r;
        peer_owed(p, ring->bytes);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(tyss)");
        for (size_t i = ring->n - MIN(ring->n, (size_t) max); r >= 0 && i < ring->n; i++) {
                const LogLine *l = log_ring_get(ring, i);

                r = sd_bus_message_append(reply, "(tyss)", l->realtime_usec, (uint8_t) l->level,
                                          l->ident, l->text);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_send(NULL, reply, NULL);
}

static int method_follow_log(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        int r = refuse_script(p, error);

        if (r < 0)
                return r;
        p->follows_log = true;
        return sd_bus_reply_method_return(m, NULL);
}

static void append_pin(void *data, const GpioLineInfo *info, int level) {
        sd_bus_message *reply = data;

        (void) sd_bus_message_append(reply, "(susbsssi)", info->chip, (uint32_t) info->offset, info->name,
                                     (int) info->used, info->consumer,
                                     gpio_direction_to_string(info->settings.direction),
                                     gpio_pull_to_string(info->settings.pull), (int32_t) level);
}

static int method_list_pins(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Peer *p = userdata;
        int r = refuse_script(p, error);

        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(susbsssi)");
        if (r < 0)
                return r;
        r = p->server->backend.pins(p->server->backend.userdata, append_pin, reply);
        if (r < 0)
                return sd_bus_error_set_errnof(error, r, "the GPIO chips cannot be read: %s",
                                               strerrordesc_np(-r) ?: "?");
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int no_such_pin(sd_bus_error *error, const char *name) {
        return sd_bus_error_setf(error, CONTROL_ERROR_NO_PIN, "there is no line %.64s", name);
}

static int method_drive_pin(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        const char *name;
        int32_t level;
        int r;

        r = sd_bus_message_read(m, "si", &name, &level);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        if (level < -1 || level > 1)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%d is no level; 0, 1 and -1 (let go) are",
                                         (int) level);
        r = p->server->backend.drive_pin(p->server->backend.userdata, name, level);
        if (r == -ENOENT)
                return no_such_pin(error, name);
        if (r == -EOPNOTSUPP)
                return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                        "only simulated lines can be driven from outside ([gpio] chip=simulated)");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int method_pulse_pin(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        char holder[GPIO_NAME_MAX], who[WHO_MAX];
        Peer *p = userdata;
        const char *name;
        uint64_t usec;
        int high, r;

        r = sd_bus_message_read(m, "sbt", &name, &high, &usec);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        r = p->server->backend.pulse_pin(p->server->backend.userdata, name, high, usec, peer_describe(p, NULL, who),
                                         holder);
        if (r == -ENOENT)
                return no_such_pin(error, name);
        if (r == -EBUSY)
                return sd_bus_error_setf(error, CONTROL_ERROR_PIN_BUSY, "%.64s is used by %s", name,
                                         *holder ? holder : "another");
        if (r == -ERANGE)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "a pulse lasts 1 ms to 60 s");
        if (r == -EMFILE)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many pulses at a time");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *name,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;

        return p->server->backend.property(p->server->backend.userdata, name, reply);
}

#define X(name, type, meaning) SD_BUS_PROPERTY(#name, type, get_property, 0, 0),
const sd_bus_vtable control_board_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Reset", SD_BUS_ARGS("s", kind), SD_BUS_NO_RESULT, method_reset,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SafeMode", SD_BUS_ARGS("b", enter), SD_BUS_NO_RESULT, method_safe_mode,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("FactoryReset", SD_BUS_ARGS("b", wipe, "b", keep_config), SD_BUS_NO_RESULT,
                                method_factory_reset, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Interrupt", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_interrupt,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(bs)", notes), method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("HandOver", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_hand_over,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Notify", SD_BUS_ARGS("s", text), SD_BUS_NO_RESULT, method_notify,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Snooze", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT, method_snooze,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SuspendWatchdogs", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT,
                                method_suspend_watchdogs, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenConsole", SD_BUS_ARGS("s", who, "b", take_over),
                                SD_BUS_RESULT("h", socket), method_open_console,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("OpenFlash", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", directory),
                                method_open_flash, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetHistory",
                                SD_BUS_ARGS("x", id, "t", since_usec, "x", before_id, "u", limit,
                                            "s", only),
                                SD_BUS_RESULT("s", json), method_get_history,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetTotals", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
                                method_get_totals, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetLog", SD_BUS_ARGS("u", max), SD_BUS_RESULT("a(tyss)", lines),
                                method_get_log, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("FollowLog", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_follow_log,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListPins", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(susbsssi)", lines),
                                method_list_pins, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("DrivePin", SD_BUS_ARGS("s", name, "i", level), SD_BUS_NO_RESULT,
                                method_drive_pin, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("PulsePin", SD_BUS_ARGS("s", name, "b", high, "t", usec), SD_BUS_NO_RESULT,
                                method_pulse_pin, SD_BUS_VTABLE_UNPRIVILEGED),
        CONTROL_PROPERTIES(X)
        SD_BUS_SIGNAL_WITH_ARGS("Logged",
                                SD_BUS_ARGS("t", realtime_usec, "y", priority, "s", ident, "s", text),
                                0),
        SD_BUS_SIGNAL_WITH_ARGS("BoardReset", SD_BUS_ARGS("s", cause, "s", detail), 0),
        SD_BUS_SIGNAL_WITH_ARGS("StateChanged", SD_BUS_ARGS("s", state, "s", stage), 0),
        SD_BUS_VTABLE_END,
};
#undef X

/* busctl and other full bus clients greet the bus daemon first; we are all the daemon there is. */
const sd_bus_vtable control_hello_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Hello", NULL, "s", method_hello, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
