/* SPDX-License-Identifier: MIT */
/* libsystemd's sd_notify() waits for a manager that does not read, which would hold the loop up; so the
 * few bytes are sent from here. */
#include "daemon/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/journal.h"
#include "util/log.h"
#include "util/parse.h"

#define FAILED_MAX 2u   /* failed checks in a row, then the manager is asked to act */
#define STORED_MAX 160u /* more than the unit's FileDescriptorStoreMax= */

typedef struct Stored {
        char *name;
        int fd; /* < 0: claimed */
} Stored;

struct Service {
        int fd;                /* towards the manager, < 0: none */
        Stored stored[STORED_MAX];
        size_t n_stored;

        uint64_t watchdog_usec;
        sd_event_source *tick, *turn;
        bool turned;           /* the loop got to its least urgent event since the last tick */
        bool unwell;           /* it has been told */
        unsigned n_failed;     /* ticks in a row at which check has found something */
        ServiceCheck check;
        void *userdata;
};

bool service_managed(const Service *s) {
        return s && s->fd >= 0;
}

uint64_t service_watchdog_usec(const Service *s) {
        return s ? s->watchdog_usec : 0;
}

/* ---- notifications ---- */

/* $NOTIFY_SOCKET: a path, or a name in the abstract namespace. */
static int connect_to(const char *address) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        size_t n = strlen(address);

        if (fd < 0)
                return -errno;
        if ((address[0] != '/' && address[0] != '@') || n < 2)
                return -EAFNOSUPPORT;
        if (n >= sizeof sa.sun_path)
                return -ENAMETOOLONG;
        memcpy(sa.sun_path, address, n);
        if (address[0] == '@')
                sa.sun_path[0] = '\0';
        if (connect(fd, (struct sockaddr *) &sa,
                    (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n + (address[0] == '/'))) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static int send_text(const Service *s, const char *text, int fd, int flags) {
        struct iovec iov = { .iov_base = (char *) text, .iov_len = strlen(text) };
        union {
                struct cmsghdr head;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                m.msg_control = &control;
                m.msg_controllen = sizeof control.space;
                control.head = (struct cmsghdr) {
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(sizeof(int)),
                };
                memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        }
        if (!service_managed(s))
                return 0;
        if (sendmsg(s->fd, &m, flags | MSG_NOSIGNAL) < 0)
                return -errno;
        return 0;
}

void service_notify(Service *s, const char *format, ...) {
        char text[1024];
        va_list ap;
        int r;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        r = send_text(s, text, -EBADF, MSG_DONTWAIT);
        if (r < 0)
                log_debug("The service manager does not take \"%s\": %s", text, strerrordesc_np(-r));
}

int service_notify_surely(Service *s, const char *text) {
        return send_text(s, text, -EBADF, 0);
}

/* ---- stored descriptors ---- */

int service_claim(Service *s, const char *name) {
        for (size_t i = 0; i < s->n_stored; i++)
                if (s->stored[i].fd >= 0 && streq(s->stored[i].name, name))
                        return TAKE_FD(s->stored[i].fd);
        return -ENOENT;
}

void service_forget(Service *s, const char *name) {
        char text[300];
        int r;

        (void) snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=%s", name);
        r = send_text(s, text, -EBADF, 0);
        if (r < 0)
                log_warning_errno(r, "Failed to have descriptor %s forgotten, ignoring: %m", name);
}

void service_store(Service *s, const char *name, int fd) {
        char text[300];
        int r;

        if (!service_managed(s))
                return;
        service_forget(s, name);
        /* FDPOLL=0: the master of a pty without a client reports a hang-up, and that is no reason to
         * drop it (systemd 246). */
        (void) snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
        r = send_text(s, text, fd, 0);
        if (r < 0)
                log_warning_errno(r, "Failed to store descriptor %s with the service manager; it will "
                                     "not survive a restart: %m", name);
}

static bool is_claimed(const Service *s, const char *name) {
        for (size_t i = 0; i < s->n_stored; i++)
                if (s->stored[i].fd < 0 && streq(s->stored[i].name, name))
                        return true;
        return false;
}

void service_forget_rest(Service *s) {
        for (size_t i = 0; i < s->n_stored; i++) {
                if (s->stored[i].fd < 0)
                        continue;
                log_notice("The service manager kept a descriptor %s that is of no use; closing it.",
                           s->stored[i].name);
                if (!is_claimed(s, s->stored[i].name)) /* the manager forgets by name */
                        service_forget(s, s->stored[i].name);
                s->stored[i].fd = safe_close(s->stored[i].fd);
        }
}

static int take_stored(Service *s) {
        char **names = NULL;
        int n = sd_listen_fds_with_names(1, &names), r = 0;

        for (int i = 0; i < n; i++) {
                if (s->n_stored < STORED_MAX && r >= 0) {
                        s->stored[s->n_stored++] = (Stored) { .name = TAKE_PTR(names[i]),
                                                              .fd = SD_LISTEN_FDS_START + i };
                        continue;
                }
                free(names[i]);
                (void) close(SD_LISTEN_FDS_START + i);
        }
        free(names);
        return n < 0 ? n : 0;
}

/* ---- keep-alives ---- */

static int on_turn(sd_event_source *source, void *userdata) {
        Service *s = userdata;

        s->turned = true;
        return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        Service *s = userdata;
        const char *problem = s->turned ? s->check(s->userdata)
                                        : "the event loop does not come to an end of its work";

        s->n_failed = problem && s->turned ? s->n_failed + 1 : 0;
        if (!problem) {
                service_notify(s, "WATCHDOG=1");
                s->unwell = false;
        } else if (!s->unwell) {
                s->unwell = true;
                journal_log(JOURNAL_UNWELL, (const char *const[]) { "MPYD_PROBLEM", problem, NULL },
                            "mpyd is not well (%s); if that does not pass, systemd will restart it.",
                            problem);
        }
        if (s->n_failed == FAILED_MAX) /* a loop that only has too much to do may catch up; this is broken */
                service_notify(s, "WATCHDOG=trigger");
        s->turned = false;
        (void) sd_event_source_set_enabled(s->turn, SD_EVENT_ONESHOT);
        (void) sd_event_source_set_time_relative(s->tick, s->watchdog_usec / 3);
        (void) sd_event_source_set_enabled(s->tick, SD_EVENT_ONESHOT);
        return 0;
}

int service_watch(Service *s, sd_event *event, ServiceCheck check, void *userdata) {
        int r;

        if (!service_managed(s) || s->watchdog_usec == 0)
                return 0;
        s->check = check;
        s->userdata = userdata;
        s->turned = true;
        r = sd_event_add_defer(event, &s->turn, on_turn, s);
        if (r >= 0)
                r = sd_event_source_set_priority(s->turn, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &s->tick, CLOCK_MONOTONIC, 0, 0, on_tick, s);
        return r;
}

/* ---- life ---- */

Service *service_free(Service *s) {
        if (!s)
                return NULL;
        sd_event_source_disable_unref(s->tick);
        sd_event_source_disable_unref(s->turn);
        for (size_t i = 0; i < s->n_stored; i++) {
                safe_close(s->stored[i].fd);
                free(s->stored[i].name);
        }
        safe_close(s->fd);
        free(s);
        return NULL;
}

int service_new(Service **ret) {
        _cleanup_(service_freep) Service *s = calloc(1, sizeof *s);
        const char *address = getenv("NOTIFY_SOCKET");
        int r;

        if (!s)
                return -ENOMEM;
        s->fd = -EBADF;
        r = take_stored(s);
        if (r < 0)
                log_warning_errno(r, "Failed to take what the service manager kept, ignoring: %m");
        if (address) {
                s->fd = connect_to(address);
                if (s->fd < 0)
                        log_warning_errno(s->fd, "Failed to reach the service manager at %s, ignoring: "
                                                 "%m", address);
        }
        if (sd_watchdog_enabled(1, &s->watchdog_usec) <= 0)
                s->watchdog_usec = 0;
        (void) unsetenv("NOTIFY_SOCKET"); /* it is ours alone */
        *ret = TAKE_PTR(s);
        return 0;
}
