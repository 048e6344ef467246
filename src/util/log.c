/* SPDX-License-Identifier: MIT */
/* Where log lines go. For the main thread only: nothing in here is locked.
 *
 * Nothing in here blocks either. A journald or a terminal that does not read must not stall the
 * daemon's loop, and sd_journal_sendv() waits for journald: so the native protocol of the journal
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL) is spoken here, without waiting. What journald does not
 * take at once waits in a bounded queue; a line that nobody takes is counted, and the number is logged
 * when lines are taken again. */
#include "util/log.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include "util/log-queue.h"
#include "util/parse.h"
#include "util/rate-limit.h"
#include "util/text.h"

#ifndef LOG_JOURNAL_SOCKET /* tests listen elsewhere */
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"
#endif

#define MESSAGE_MAX 8192u
#define IDENT_MAX 64u
#define FIELDS_MAX 16u /* of the caller; more are left out */
#define INDENT "        "

static struct {
        char ident[IDENT_MAX];
        int max_level;
        LogSink sink;
        void *sink_userdata;
        bool in_sink;

        int fd;          /* stderr, or a description of our own of the same file */
        bool fd_is_ours; /* so it may be, and is, non-blocking */
        bool terminal;
        bool colour;
        bool mid_line;   /* the last line was taken in part only */
        int journal_fd;  /* -EBADF: stderr is not the journal */
        LogQueue queue;  /* for the journal */
        void (*wake)(void *userdata);
        void *wake_userdata;

        uint64_t n_lost;
        const char *field_name, *field_value; /* of every line */
        RateLimit script_limit;
        const char *const *suppressed_fields;
        char script_ident[IDENT_MAX]; /* whose lines were suppressed */
} state = {
        .ident = "mpyd",
        .max_level = LOG_INFO,
        .fd = STDERR_FILENO,
        .journal_fd = -EBADF,
};

/* One line on its way. */
typedef struct Line {
        int level;
        int error;
        uint64_t realtime_usec;
        bool script;
        const char *ident;
        const char *const *fields;
        const char *script_name; /* MPYD_SCRIPT, or NULL */
        const char *message;
} Line;

/* $JOURNAL_STREAM is "device:inode" of what systemd gave us as stdout or stderr
 * (systemd.exec(5)). */
static bool stderr_is_journal(void) {
        const char *e = getenv("JOURNAL_STREAM");
        char buf[2 * 20 + 2];
        struct stat st;

        if (!e || fstat(STDERR_FILENO, &st) < 0)
                return false;
        (void) snprintf(buf, sizeof buf, "%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        return streq(e, buf);
}

/* A second open file description of a terminal or pipe: O_NONBLOCK on the inherited one would reach
 * everybody who shares it. A regular file keeps its own (and with it the file position). */
static int stderr_reopen(void) {
        struct stat st;

        if (fstat(STDERR_FILENO, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode)))
                return -EBADF;
        return open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void log_open(const char *ident) {
        const char *term = getenv("TERM");
        int fd;

        (void) text_sanitise(state.ident, sizeof state.ident, ident, strlen(ident), false);

        if (state.fd_is_ours)
                (void) safe_close(state.fd);
        fd = stderr_reopen();
        state.fd_is_ours = fd >= 0;
        state.fd = fd >= 0 ? fd : STDERR_FILENO;
        state.mid_line = false;
        state.terminal = isatty(STDERR_FILENO);
        state.colour = state.terminal && term && !streq(term, "dumb") && !getenv("NO_COLOR");

        state.journal_fd = safe_close(state.journal_fd);
        if (stderr_is_journal()) {
                fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                state.journal_fd = fd >= 0 ? fd : -EBADF;
        }
        if (state.journal_fd < 0)
                log_queue_done(&state.queue);
}

void log_set_max_level(int level) {
        state.max_level = level;
}

void log_set_field(const char *name, const char *value) {
        state.field_name = name;
        state.field_value = value;
}

void log_set_script_limit(unsigned burst, uint64_t interval_usec, const char *const fields[]) {
        RateLimit *l = &state.script_limit;
        uint64_t n = l->n_suppressed;

        state.suppressed_fields = fields;
        if (l->bucket.burst == burst && l->bucket.interval_usec == interval_usec)
                return;
        *l = rate_limit_make(burst, interval_usec,
                             (unsigned) (USEC_PER_SEC / MAX(interval_usec, UINT64_C(1))),
                             now_usec(CLOCK_MONOTONIC));
        l->n_suppressed = n;
}

void log_set_wake(void (*f)(void *userdata), void *userdata) {
        state.wake = f;
        state.wake_userdata = userdata;
}

void log_set_sink(LogSink sink, void *userdata) {
        state.sink = sink;
        state.sink_userdata = userdata;
}

/* Fields of one journal entry, each as name, newline, 64-bit length, value, newline: the form that
 * takes any value. */
typedef struct Entry {
        struct iovec iov[(FIELDS_MAX + 6) * 5];
        uint64_t lengths[FIELDS_MAX + 6];
        size_t n, n_iov;
} Entry;

static void entry_put(Entry *e, const void *data, size_t size) {
        e->iov[e->n_iov++] = (struct iovec) { .iov_base = (void *) data, .iov_len = size };
}

static void entry_add(Entry *e, const char *name, const char *value) {
        size_t size = strlen(value);

        if (e->n >= ELEMENTSOF(e->lengths))
                return;
        e->lengths[e->n] = htole64(size);
        entry_put(e, name, strlen(name));
        entry_put(e, "\n", 1);
        entry_put(e, &e->lengths[e->n], sizeof e->lengths[e->n]);
        entry_put(e, value, size);
        entry_put(e, "\n", 1);
        e->n++;
}

static int journal_send_parts(struct iovec *parts, size_t n) {
        static const struct sockaddr_un journal = {
                .sun_family = AF_UNIX,
                .sun_path = LOG_JOURNAL_SOCKET,
        };
        struct msghdr msg = {
                .msg_name = (void *) &journal,
                .msg_namelen = sizeof journal,
                .msg_iov = parts,
                .msg_iovlen = n,
        };

        return sendmsg(state.journal_fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* 0 when nothing waits any more. */
static int journal_flush(void) {
        LogEntry *e;

        while ((e = state.queue.first)) {
                int r = journal_send_parts(
                        &(struct iovec) { .iov_base = e->data, .iov_len = e->size }, 1);

                if (r < 0)
                        return r;
                log_queue_pop(&state.queue);
        }
        return 0;
}

static void wake(void) {
        if (state.wake)
                state.wake(state.wake_userdata);
}

static int journal_send(const Line *l) {
        Entry e = {};
        char priority[16], error[16];
        int r;

        (void) snprintf(priority, sizeof priority, "%d", l->level);
        entry_add(&e, "MESSAGE", l->message);
        entry_add(&e, "PRIORITY", priority);
        entry_add(&e, "SYSLOG_IDENTIFIER", l->ident);
        if (l->error != 0) {
                (void) snprintf(error, sizeof error, "%d", l->error);
                entry_add(&e, "ERRNO", error);
        }
        for (size_t i = 0; l->fields && l->fields[i] && i < 2 * FIELDS_MAX; i += 2)
                if (l->fields[i + 1])
                        entry_add(&e, l->fields[i], l->fields[i + 1]);
        if (l->script_name)
                entry_add(&e, "MPYD_SCRIPT", l->script_name);
        if (state.field_name)
                entry_add(&e, state.field_name, state.field_value);

        r = journal_flush();
        if (r >= 0)
                r = journal_send_parts(e.iov, e.n_iov);
        if (r != -EAGAIN)
                return r;
        if (!state.queue.first)
                wake();
        return log_queue_push(&state.queue, e.iov, e.n_iov, l->script) < 0 ? -EAGAIN : 0;
}

/* 0 when all of it was taken. */
static int stderr_write(const char *data, size_t size) {
        ssize_t n;

        if (!state.fd_is_ours) {
                struct pollfd pfd = { .fd = state.fd, .events = POLLOUT };

                if (poll(&pfd, 1, 0) <= 0)
                        return -EAGAIN;
        }
        do
                n = send(state.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == ENOTSOCK)
                do
                        n = write(state.fd, data, size);
                while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        state.mid_line = (size_t) n < size;
        return state.mid_line ? -EAGAIN : 0;
}

static const char *level_colour(int level) {
        if (level <= LOG_ERR)
                return "\x1b[1;31m";
        if (level == LOG_WARNING)
                return "\x1b[1;33m";
        if (level == LOG_NOTICE)
                return "\x1b[1m";
        return level == LOG_DEBUG ? "\x1b[2m" : "";
}

/* "ident[pid]: " or, for a person's eyes, "12:34:56.789 ident: ". */
static size_t format_prefix(char *buf, size_t size, const Line *l) {
        time_t seconds = (time_t) (l->realtime_usec / USEC_PER_SEC);
        struct tm tm = {};
        int n;

        if (!state.terminal)
                n = snprintf(buf, size, "%s[%d]: ", l->ident, (int) getpid());
        else {
                (void) localtime_r(&seconds, &tm);
                n = snprintf(buf, size, "%02d:%02d:%02d.%03u %s: %s", tm.tm_hour, tm.tm_min,
                             tm.tm_sec, (unsigned) (l->realtime_usec % USEC_PER_SEC / 1000),
                             l->ident, state.colour ? level_colour(l->level) : "");
        }
        return n < 0 ? 0 : MIN((size_t) n, size - 1);
}

/* The message as it stands on stderr: later lines indented, so that no line can pass for another.
 * The carriage return is for a terminal in raw mode (a REPL may share it). */
static int stderr_send(const Line *l) {
        static const char reset[] = "\x1b[0m";
        const char *newline = state.terminal ? "\r\n" : "\n";
        const char *end = state.colour && *level_colour(l->level) ? reset : "";
        char buf[2 * MESSAGE_MAX + IDENT_MAX + 128];
        size_t n = 0, room = sizeof buf - sizeof reset - 4;

        if (state.mid_line)
                buf[n++] = '\n';
        n += format_prefix(buf + n, room - n, l);
        for (const char *p = l->message; *p && n < room - sizeof INDENT; p++)
                if (*p == '\n') {
                        n += (size_t) snprintf(buf + n, sizeof buf - n, "%s" INDENT, newline);
                } else
                        buf[n++] = *p;
        n += (size_t) snprintf(buf + n, sizeof buf - n, "%s%s", end, newline);
        return stderr_write(buf, n);
}

static int line_send(const Line *l) {
        int r;

        if (state.journal_fd >= 0) {
                r = journal_send(l);
                if (r >= 0 || r == -EAGAIN)
                        return r;
                /* journald restarts: its stream on stderr outlives that. */
        }
        return stderr_send(l);
}

/* Says that lines are missing before the next one. */
static int send_lost_report(uint64_t realtime_usec) {
        char message[96];
        Line l = {
                .level = LOG_WARNING,
                .realtime_usec = realtime_usec,
                .ident = state.ident,
                .message = message,
        };

        if (state.n_lost == 0)
                return 0;
        if (state.journal_fd >= 0 && journal_flush() == -EAGAIN)
                return -EAGAIN; /* once it has caught up, not among the lines that wait */
        (void) snprintf(message, sizeof message, "%" PRIu64 " log lines lost: nobody read them.",
                        state.n_lost);
        return line_send(&l);
}

static void line_log(const Line *l) {
        if (state.sink && !state.in_sink) {
                state.in_sink = true;
                state.sink(state.sink_userdata, l->realtime_usec, l->level, l->script, l->ident,
                           l->message);
                state.in_sink = false;
        }

        if (send_lost_report(l->realtime_usec) >= 0)
                state.n_lost = 0;
        if (line_send(l) < 0)
                state.n_lost++;
}

/* Lines that a script was not allowed to log: told with the first line, of anybody, that comes when
 * there is room again. */
static void report_suppressed(bool now) {
        RateLimit *limit = &state.script_limit;
        uint64_t n = now ? limit->n_suppressed
                         : rate_limit_report(limit, now_usec(CLOCK_MONOTONIC));
        char message[96];
        Line l = {
                .level = LOG_NOTICE,
                .realtime_usec = now_usec(CLOCK_REALTIME),
                .ident = state.script_ident,
                .fields = state.suppressed_fields,
                .script_name = state.script_ident,
                .message = message,
        };

        if (n == 0)
                return;
        limit->n_suppressed = 0;
        (void) snprintf(message, sizeof message, "%" PRIu64 " lines suppressed: printed too fast.",
                        n);
        line_log(&l);
}

int log_flush(bool last) {
        size_t before = state.queue.bytes;

        report_suppressed(last);
        if (state.journal_fd >= 0 && journal_flush() < 0)
                return state.queue.bytes < before ? 1 : -EAGAIN;
        if (send_lost_report(now_usec(CLOCK_REALTIME)) >= 0)
                state.n_lost = 0;
        return state.script_limit.n_suppressed == 0 ? 0 : -EAGAIN;
}

void log_fullv(int level, int error, const char *const fields[], const char *format, va_list ap) {
        char raw[MESSAGE_MAX], message[MESSAGE_MAX];
        int saved_errno = errno, n;
        size_t size;

        if (level > state.max_level)
                return;
        report_suppressed(false);

        errno = abs(error);
        n = vsnprintf(raw, sizeof raw, format, ap);

        size = n < 0 ? 0 : MIN((size_t) n, sizeof raw - 1);
        if (size == sizeof raw - 1)
                memcpy(raw + size - 3, "\xe2\x80\xa6", 3); /* there was more: "…" */
        while (size > 0 && raw[size - 1] == '\n')
                size--;
        (void) text_sanitise(message, sizeof message, raw, size, true);
        line_log(&(const Line) {
                .level = level,
                .error = abs(error),
                .realtime_usec = now_usec(CLOCK_REALTIME),
                .ident = state.ident,
                .fields = fields,
                .message = message,
        });
        errno = saved_errno;
}

void log_full(int level, int error, const char *const fields[], const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        log_fullv(level, error, fields, format, ap);
        va_end(ap);
}

void log_script(const char *ident, const char *line, size_t size) {
        char clean_ident[IDENT_MAX], message[MESSAGE_MAX];
        int saved_errno = errno;

        if (LOG_INFO > state.max_level)
                return;
        (void) text_sanitise(clean_ident, sizeof clean_ident, ident, strlen(ident), false);
        report_suppressed(false);
        if (!rate_limit_take(&state.script_limit, now_usec(CLOCK_MONOTONIC))) {
                if (state.script_limit.n_suppressed == 1)
                        wake();
                memcpy(state.script_ident, clean_ident, sizeof state.script_ident);
                errno = saved_errno;
                return;
        }

        (void) text_sanitise(message, sizeof message, line, size, false);
        line_log(&(const Line) {
                .level = LOG_INFO,
                .realtime_usec = now_usec(CLOCK_REALTIME),
                .script = true,
                .ident = clean_ident,
                .script_name = clean_ident,
                .message = message,
        });
        errno = saved_errno;
}
