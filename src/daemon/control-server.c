/* SPDX-License-Identifier: MIT */
/* Each connection is a bus of its own with the same object on it. Connections and what waits in them
 * are bounded; one that misbehaves is closed and the others do not notice. */
#include "daemon/control-private.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "daemon/journal.h"
#include "mpyd/control.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"
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
#define SIGNAL_BYTES 256u        /* without its text */
#define ACCEPT_AGAIN_USEC USEC_PER_SEC /* after the process had no descriptor for a connection */

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

void peer_owed(Peer *p, size_t bytes) {
        uint64_t n = 0;

        (void) sd_bus_get_n_queued_write(p->bus, &n);
        p->queued_bytes = (n > 0 ? p->queued_bytes : 0) + bytes;
        if (n > QUEUED_MAX || (n > 0 && p->queued_bytes > QUEUED_BYTES_MAX))
                peer_close(p);
}

/* Before each message of a peer: one that sends calls and does not read the answers gets no more. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Peer *p = userdata;

        peer_owed(p, CONTROL_REPLY_BYTES);
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

const char *peer_describe(const Peer *p, const char *what, char buf[static WHO_MAX]) {
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
                                             control_board_vtable, p);
        if (r >= 0)
                r = sd_bus_add_object_vtable(p->bus, NULL, "/org/freedesktop/DBus",
                                             "org.freedesktop.DBus", control_hello_vtable, p);
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
