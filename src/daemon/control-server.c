/* SPDX-License-Identifier: MIT */
/* Each connection is a bus of its own with the same object on it. Connections and what waits in them
 * are bounded; one that misbehaves is closed and the others do not notice. */
#include "daemon/control-server.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/bus-gate.h"
#include "daemon/journal.h"
#include "mpyd/control.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/rate-limit.h"
#include "util/text.h"

/* Connections: in all, less those that are kept for root and for us, less those that are kept for whoever
 * may change things. */
#define PEERS_MAX 32u
#define PEERS_OPERATORS_MAX 28u
#define PEERS_OTHERS_MAX 16u
#define PEERS_PER_USER_MAX 4u /* of the others */
/* What may wait for a peer that does not read: messages, and about how many bytes. */
#define QUEUED_MAX 1024u
#define QUEUED_BYTES_MAX (1024u * 1024)
#define REPLY_BYTES (32u * 1024) /* the largest of the usual ones, with a traceback */
#define SIGNAL_BYTES 256u        /* without its text */
#define ANSWER_ROWS_MAX 200u     /* of the history, in one answer; ask again with before_id */
#define QUERIES_MAX 4u           /* of the history, at once */
#define WHO_MAX 96u
#define ACCEPT_AGAIN_USEC USEC_PER_SEC /* after the process had no descriptor for a connection */

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

/* ---- peers ---- */

static void peer_free(Peer *p) {
        Peer **link = &p->server->peers;

        while (*link && *link != p)
                link = &(*link)->next;
        if (*link)
                *link = p->next;
        sd_event_source_disable_unref(p->reaper);
        p->gate = bus_gate_free(p->gate);
        sd_bus_close_unref(p->bus); /* no flush: the peer may not read */
        p->gone = true;
        if (p->n_queries == 0)
                free(p);
}

static int on_reap(sd_event_source *s, void *userdata) {
        peer_free(userdata);
        return 0;
}

/* Not from within a callback of its own bus: on the loop's next turn. */
static void peer_close(Peer *p) {
        if (p->closed)
                return;
        p->closed = true;
        if (sd_event_add_defer(p->server->event, &p->reaper, on_reap, p) < 0)
                log_oom();
}

/* About so many bytes are, or will be, queued for it. A peer that does not read is let go: it must not
 * grow our memory. */
static void peer_owed(Peer *p, size_t bytes) {
        uint64_t n = 0;

        (void) sd_bus_get_n_queued_write(p->bus, &n);
        p->queued_bytes = (n > 0 ? p->queued_bytes : 0) + bytes;
        if (n > QUEUED_MAX || (n > 0 && p->queued_bytes > QUEUED_BYTES_MAX))
                peer_close(p);
}

/* Before each message of a peer: one that sends calls and does not read the answers gets no more. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;

        peer_owed(p, REPLY_BYTES);
        return p->closed;
}

/* Each such connection costs a line, and a crowd of them not more than a few. */
static void tell_bad_peer(const Peer *p, const char *what) {
        RateLimit *l = &p->server->bad_peers;
        uint64_t t = now_usec(CLOCK_MONOTONIC), n = rate_limit_report(l, t);

        if (n > 0)
                journal_log(JOURNAL_CONTROL_REFUSED, NULL,
                            "%" PRIu64 " more connections to the control socket broke the protocol.", n);
        if (rate_limit_take(l, t))
                journal_log(JOURNAL_CONTROL_REFUSED, NULL,
                            "A connection to the control socket (pid %d, uid %u) broke the protocol and "
                            "was closed: %s.",
                            (int) p->cred.pid, (unsigned) p->cred.uid, what);
}

/* The bus does not say why it ended: either the peer has gone, or the bus did not like what it sent. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;

        if (!p->closed && !bus_gate_client_gone(p->gate))
                tell_bad_peer(p, "the bus does not take what it sent");
        peer_close(p);
        return 0;
}

static void on_gate_fault(void *userdata, const char *what) {
        Peer *p = userdata;

        if (!p->closed)
                tell_bad_peer(p, what);
        peer_close(p);
}

static bool is_authenticated(void *userdata) {
        Peer *p = userdata;

        return sd_bus_is_ready(p->bus) > 0;
}

/* A script's process: by its user, or by its number where the user is our own. It may not fork, so that
 * the number is always the board's, but it may have ended since it connected, and another one be the
 * board: who has gone is nobody that we know. */
static bool peer_is_script(const ControlServer *s, const struct ucred *cred) {
        if (s->options.board_uid != (uid_t) -1)
                return cred->uid == s->options.board_uid;
        if (!s->backend.is_board || cred->uid != geteuid())
                return false;
        return s->backend.is_board(s->backend.userdata, cred->pid) ||
               (kill(cred->pid, 0) < 0 && errno == ESRCH);
}

/* Root, ourselves, and the admin group; a script never, whatever group its user is in. */
static bool peer_may_change(const ControlServer *s, int fd, const struct ucred *cred) {
        gid_t groups[256];
        socklen_t size = sizeof groups;

        if (cred->uid == 0 || cred->uid == geteuid())
                return true;
        if (s->options.admin_gid == (gid_t) -1)
                return false;
        if (cred->gid == s->options.admin_gid)
                return true;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                return false;
        for (size_t i = 0; i < size / sizeof groups[0]; i++)
                if (groups[i] == s->options.admin_gid)
                        return true;
        return false;
}

static const char *peer_describe(const Peer *p, const char *what, char buf[static WHO_MAX]) {
        _cleanup_free_ char *comm = NULL;
        char path[64], name[48];

        (void) snprintf(path, sizeof path, "/proc/%d/comm", (int) p->cred.pid);
        if (!what && read_file(AT_FDCWD, path, 64, &comm, NULL) >= 0)
                comm[strcspn(comm, "\n")] = '\0';
        what = what ?: comm ?: "a program";
        (void) text_sanitise(name, sizeof name, what, strlen(what), false);
        (void) snprintf(buf, WHO_MAX, "%s (pid %d, uid %u)", name, (int) p->cred.pid,
                        (unsigned) p->cred.uid);
        return buf;
}

/* ---- methods ---- */

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

static void append_note(void *data, const char *line) {
        sd_bus_message *reply = data;

        (void) sd_bus_message_append(reply, "s", line);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Peer *p = userdata;
        int r = refuse_change(p, error);

        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "s");
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

static int method_snooze(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;
        char who[WHO_MAX];
        uint64_t usec;
        int r;

        r = sd_bus_message_read(m, "t", &usec);
        if (r < 0)
                return r;
        r = refuse_change(p, error);
        if (r < 0)
                return r;
        if (usec > CONTROL_SNOOZE_MAX_USEC)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "a day is the longest time");
        p->server->backend.snooze(p->server->backend.userdata, usec, peer_describe(p, NULL, who));
        return sd_bus_reply_method_return(m, NULL);
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
                return sd_bus_error_setf(error, CONTROL_ERROR_NO_PIN, "there is no line %.64s", name);
        if (r == -EOPNOTSUPP)
                return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
                                        "only simulated lines can be driven from outside ([gpio] chip=simulated)");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *name,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;

        return p->server->backend.property(p->server->backend.userdata, name, reply);
}

#define X(name, type, meaning) SD_BUS_PROPERTY(#name, type, get_property, 0, 0),
static const sd_bus_vtable board_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Reset", SD_BUS_ARGS("s", kind), SD_BUS_NO_RESULT, method_reset,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SafeMode", SD_BUS_ARGS("b", enter), SD_BUS_NO_RESULT, method_safe_mode,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("FactoryReset", SD_BUS_ARGS("b", wipe, "b", keep_config), SD_BUS_NO_RESULT,
                                method_factory_reset, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Interrupt", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_interrupt,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_RESULT("as", notes), method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("HandOver", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_hand_over,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Notify", SD_BUS_ARGS("s", text), SD_BUS_NO_RESULT, method_notify,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Snooze", SD_BUS_ARGS("t", usec), SD_BUS_NO_RESULT, method_snooze,
                                SD_BUS_VTABLE_UNPRIVILEGED),
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
static const sd_bus_vtable hello_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Hello", NULL, "s", method_hello, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* ---- connections ---- */

/* The bus reads what the gate lets pass, and writes to the client itself. Consumes fd on success. */
static int peer_make_bus(Peer *p, int fd) {
        _cleanup_close_ int in = -EBADF, out = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        const BusGateHandlers handlers = {
                .authenticated = is_authenticated, .fault = on_gate_fault, .userdata = p
        };
        int r;

        if (out < 0)
                return -errno;
        r = sd_bus_new(&p->bus);
        if (r >= 0)
                r = sd_bus_set_description(p->bus, "control");
        if (r >= 0)
                r = bus_gate_new(&p->gate, p->server->event, fd, &handlers, &in);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(p->bus, in, out);
        if (r >= 0) { /* they are the bus' */
                (void) TAKE_FD(in);
                (void) TAKE_FD(out);
        }
        return r;
}

static int peer_start(Peer *p) {
        sd_id128_t id;
        int r;

        r = sd_id128_randomize(&id);
        if (r >= 0)
                r = sd_bus_set_server(p->bus, 1, id);
        if (r >= 0)
                r = sd_bus_negotiate_fds(p->bus, 1);
        if (r >= 0)
                r = sd_bus_set_anonymous(p->bus, 1);
        if (r >= 0) /* the loop's end would wait for peers that do not read, or never say a word */
                r = sd_bus_set_close_on_exit(p->bus, 0);
        if (r >= 0)
                r = sd_bus_add_object_vtable(p->bus, NULL, CONTROL_PATH, CONTROL_INTERFACE,
                                             board_vtable, p);
        if (r >= 0)
                r = sd_bus_add_object_vtable(p->bus, NULL, "/org/freedesktop/DBus",
                                             "org.freedesktop.DBus", hello_vtable, p);
        if (r >= 0)
                r = sd_bus_add_filter(p->bus, NULL, on_message, p);
        if (r >= 0)
                r = sd_bus_match_signal_async(p->bus, NULL, "org.freedesktop.DBus.Local",
                                              "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local", "Disconnected",
                                              on_disconnected, NULL, p);
        if (r >= 0)
                r = sd_bus_start(p->bus);
        if (r >= 0)
                r = sd_bus_attach_event(p->bus, p->server->event, SD_EVENT_PRIORITY_NORMAL);
        return r;
}

/* Nobody keeps the others out, and all together do not keep root out. */
static bool too_many(const ControlServer *s, const Peer *new) {
        unsigned n = 0, n_user = 0;

        for (const Peer *p = s->peers; p; p = p->next) {
                n++;
                n_user += p->cred.uid == new->cred.uid;
        }
        if (new->may_change)
                return n >= (new->cred.uid == 0 || new->cred.uid == geteuid() ? PEERS_MAX
                                                                              : PEERS_OPERATORS_MAX);
        return n >= PEERS_OTHERS_MAX || n_user >= PEERS_PER_USER_MAX;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata) {
        ControlServer *s = userdata;

        (void) sd_event_source_set_enabled(s->source, SD_EVENT_ON);
        return 0;
}

/* Whoever waits stays in the queue, and would keep the loop busy with being refused. */
static void pause_accepting(ControlServer *s, int error) {
        if (rate_limit_take(&s->failed_accepts, now_usec(CLOCK_MONOTONIC)))
                log_warning_errno(error, "Failed to take a connection to the control socket, trying again "
                                         "every second: %m");
        if (sd_event_source_set_time_relative(s->again, ACCEPT_AGAIN_USEC) >= 0 &&
            sd_event_source_set_enabled(s->again, SD_EVENT_ONESHOT) >= 0)
                (void) sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *userdata) {
        _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        ControlServer *s = userdata;
        socklen_t size = sizeof(struct ucred);
        Peer *p;
        int r;

        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                        pause_accepting(s, errno);
                return 0;
        }
        p = calloc(1, sizeof *p);
        if (!p)
                return log_oom(), 0;
        p->server = s;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &p->cred, &size) < 0) {
                free(p);
                return 0;
        }
        p->is_script = peer_is_script(s, &p->cred);
        p->may_change = !p->is_script && peer_may_change(s, fd, &p->cred);
        if (too_many(s, p)) {
                log_debug("Too many connections to the control socket, refusing one.");
                free(p);
                return 0;
        }
        p->next = s->peers;
        s->peers = p;
        r = peer_make_bus(p, fd);
        if (p->gate)
                (void) TAKE_FD(fd);
        if (r >= 0)
                r = peer_start(p);
        if (r == -ECONNRESET || r == -EPIPE)
                log_debug("A connection to the control socket was closed at once.");
        else if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                log_warning_errno(r, "Failed to serve a connection to the control socket: %m");
        else if (r < 0)
                tell_bad_peer(p, "the bus cannot talk with it");
        if (r < 0)
                peer_free(p);
        return 0;
}

/* ---- signals ---- */

void control_server_emit_log(ControlServer *s, const LogLine *line) {
        if (!s || s->emitting) /* a line about emitting lines would never end */
                return;
        s->emitting = true;
        for (Peer *p = s->peers; p; p = p->next)
                if (p->follows_log && !p->closed) {
                        (void) sd_bus_emit_signal(p->bus, CONTROL_PATH, CONTROL_INTERFACE, "Logged",
                                                  "tyss", line->realtime_usec, (uint8_t) line->level,
                                                  line->ident, line->text);
                        peer_owed(p, SIGNAL_BYTES + strlen(line->text));
                }
        s->emitting = false;
}

void control_server_emit_reset(ControlServer *s, const char *cause, const char *detail) {
        for (Peer *p = s ? s->peers : NULL; p; p = p->next)
                if (!p->closed) {
                        (void) sd_bus_emit_signal(p->bus, CONTROL_PATH, CONTROL_INTERFACE,
                                                  "BoardReset", "ss", cause, detail);
                        peer_owed(p, SIGNAL_BYTES + strlen(detail));
                }
}

void control_server_emit_state(ControlServer *s, const char *state, const char *stage) {
        for (Peer *p = s ? s->peers : NULL; p; p = p->next)
                if (!p->closed) {
                        (void) sd_bus_emit_signal(p->bus, CONTROL_PATH, CONTROL_INTERFACE,
                                                  "StateChanged", "ss", state, stage);
                        peer_owed(p, SIGNAL_BYTES);
                }
}

/* ---- life of the server ---- */

static int listen_at(const char *path) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof sa.sun_path)
                return -ENAMETOOLONG;
        strcpy(sa.sun_path, path);
        (void) unlink(path); /* the run directory's lock says that nobody else serves it */
        if (bind(fd, (struct sockaddr *) &sa, sizeof sa) < 0 || chmod(path, 0666) < 0 ||
            listen(fd, SOMAXCONN) < 0)
                return -errno;
        return TAKE_FD(fd);
}

ControlServer *control_server_free(ControlServer *s) {
        if (!s)
                return NULL;
        while (s->peers)
                peer_free(s->peers);
        sd_event_source_disable_unref(s->source);
        sd_event_source_disable_unref(s->again);
        safe_close(s->fd);
        if (s->path)
                (void) unlink(s->path);
        sd_event_unref(s->event);
        free(s->path);
        free(s);
        return NULL;
}

int control_server_new(ControlServer **ret, sd_event *event, const ControlOptions *options,
                       const ControlBackend *backend) {
        _cleanup_(control_server_freep) ControlServer *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        *s = (ControlServer) {
                .event = sd_event_ref(event),
                .backend = *backend,
                .options = *options,
                .fd = -EBADF,
                .failed_accepts = rate_limit_make(1, USEC_PER_HOUR, 1, now_usec(CLOCK_MONOTONIC)),
                .bad_peers = rate_limit_make(5, 12 * USEC_PER_SEC, 5, now_usec(CLOCK_MONOTONIC)),
        };
        s->fd = listen_at(options->path);
        if (s->fd < 0)
                return s->fd;
        s->path = strdup(options->path);
        if (!s->path)
                return -ENOMEM;
        r = sd_event_add_time(event, &s->again, CLOCK_MONOTONIC, UINT64_MAX, 0, on_again, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->again, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_io(event, &s->source, s->fd, EPOLLIN, on_connection, s);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}
