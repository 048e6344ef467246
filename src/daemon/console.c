/* SPDX-License-Identifier: MIT */
/* Two pumps (user → board, board → user) with an arbiter in between that says who the user is. */
#include "daemon/console.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/byte-queue.h"
#include "daemon/journal.h"
#include "daemon/pty.h"
#include "daemon/script-output.h"
#include "mpyd/board-link.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"

#define PIPE_SIZE (64u * 1024)
/* Over the mark a source is not read; the rest is room for what must be taken at its end. */
#define QUEUE_SIZE (64u * 1024)
#define OUTPUT_MAX (QUEUE_SIZE + CHUNK + PIPE_SIZE)
#define INPUT_MAX (3 * QUEUE_SIZE) /* with what a user left behind that has gone */
#define RETURNED_MAX (LINK_INPUT_MAX + LINK_PIPE_MAX)
#define REST_MAX (2 * QUEUE_SIZE)  /* of a client that has gone: more than a pty holds */
#define TAIL_MAX 4096u             /* of what was dropped, for who reads again */
#define CHUNK 16384u
#define READS_PER_TURN 8
#define TAKEN_OVER "\r\nmpyd: %s took over the REPL. mpyctl repl --take-over takes it back.\r\n"
#define PATIENCE_STEP_USEC (200 * USEC_PER_MSEC)
#define HOLDER_AGE_USEC USEC_PER_SEC /* looking for a pty's client is expensive */

typedef struct Session {
        int fd;
        char *who;
        sd_event_source *source;
} Session;

struct Console {
        sd_event *event;
        ConsoleSync sync;
        void *userdata;
        uint64_t stall_timeout_usec;
        bool (*is_users_code)(void *userdata);
        uint64_t patience_usec;

        Pty *pty;
        sd_event_source *pty_source;
        Session session;           /* fd < 0: none */
        bool pty_told;             /* that it is not its turn */
        char holder[160];
        uint64_t holder_usec;      /* when the pty's client was looked for; 0: not yet */

        int in_fd, out_fd, unread_fd; /* of the board that lives */
        sd_event_source *in_source, *out_source;
        ByteQueue input;           /* user → board */
        uint64_t input_dropped;
        ByteQueue returned;        /* what the ending board hands back */

        ByteQueue output;          /* board → user */
        sd_event_source *stall_timer;
        int unread;                /* by the user when the timer started */
        uint64_t stall_usec;       /* since when they do not read, CLOCK_MONOTONIC */
        bool stalled;
        uint64_t dropped;
        char tail[TAIL_MAX];       /* the newest of that */
        size_t tail_size;

        ScriptOutput script;

        ConsoleUser user;
        bool told_in_use;
};

/* ---- who is the user ---- */

static bool has_session(const Console *c) {
        return c->session.fd >= 0;
}

static bool has_user(const Console *c) {
        return has_session(c) || pty_has_client(c->pty);
}

static int user_fd(const Console *c) {
        return has_session(c) ? c->session.fd : pty_fd(c->pty);
}

const char *console_pty_path(const Console *c) {
        return pty_path(c->pty);
}

int console_pty_master(const Console *c) {
        return pty_fd(c->pty);
}

bool console_in_use(const Console *c) {
        return has_user(c);
}

const char *console_holder(Console *c) {
        uint64_t t = now_usec(CLOCK_MONOTONIC);

        if (has_session(c))
                return c->session.who;
        if (!pty_has_client(c->pty))
                return "";
        if (c->holder_usec == 0 || t - c->holder_usec > HOLDER_AGE_USEC) {
                (void) pty_describe_client(c->pty, c->holder, sizeof c->holder);
                c->holder_usec = t;
        }
        return c->holder;
}

/* A user's descriptor is read while there is room for what it sends, and written to while something
 * waits for it. A pty without a client would report its hang-up for ever. */
static void update_sources(Console *c) {
        uint32_t in = c->input.size < QUEUE_SIZE ? EPOLLIN : 0;
        uint32_t out = c->output.size > 0 ? EPOLLOUT : 0;
        bool pty_open = pty_has_client(c->pty);

        (void) sd_event_source_set_io_events(c->pty_source,
                                             has_session(c) ? (uint32_t) EPOLLIN : in | out);
        (void) sd_event_source_set_enabled(c->pty_source, pty_open ? SD_EVENT_ON : SD_EVENT_OFF);
        if (has_session(c))
                (void) sd_event_source_set_io_events(c->session.source, in | out);
        if (c->in_source)
                (void) sd_event_source_set_enabled(c->in_source,
                                                   c->input.size > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
        if (c->out_source)
                (void) sd_event_source_set_enabled(
                        c->out_source,
                        c->stalled || c->output.size < QUEUE_SIZE ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* What is dropped is the middle: a tool waits for the end of its code's output, a person looks at the newest. */
static void drop(Console *c, const char *data, size_t size) {
        size_t n = MIN(size, (size_t) TAIL_MAX), kept = MIN(c->tail_size, TAIL_MAX - n);

        memmove(c->tail, c->tail + c->tail_size - kept, kept);
        memcpy(c->tail + kept, data + size - n, n);
        c->tail_size = kept + n;
        c->dropped += size;
}

static void stop_stalling(Console *c) {
        (void) sd_event_source_set_enabled(c->stall_timer, SD_EVENT_OFF);
        if (c->tail_size > 0 && byte_queue_push(&c->output, c->tail, c->tail_size) >= 0)
                c->dropped -= c->tail_size;
        c->tail_size = 0;
        if (c->dropped > 0)
                journal_log(JOURNAL_REPL_UNREAD, NULL,
                            "The REPL's user did not read: %" PRIu64 " bytes of output were dropped.",
                            c->dropped);
        c->stalled = false;
        c->dropped = 0;
}

static void tell_user(Console *c) {
        bool in_use = has_user(c);

        if (in_use == c->told_in_use || !c->user)
                return;
        c->told_in_use = in_use;
        c->user(c->userdata, in_use);
}

void console_watch_user(Console *c, ConsoleUser user) {
        c->user = user;
        tell_user(c);
}

/* Somebody else reads from now on: what waited for the one before is not for them. */
static void user_changed(Console *c) {
        if (c->input_dropped > 0)
                journal_log(JOURNAL_INPUT_DROPPED, NULL,
                            "%" PRIu64 " bytes typed at the REPL were dropped: the board did not read "
                            "them.", c->input_dropped);
        c->input_dropped = 0;
        c->holder_usec = 0;
        byte_queue_clear(&c->output);
        c->tail_size = 0;
        stop_stalling(c);
        c->pty_told = false;
        update_sources(c);
        tell_user(c);
}

/* A line from the supervisor itself, to the pty's client, as far as it fits. */
static void tell_pty(Console *c, const char *format, ...) _printf_(2, 3);
static void tell_pty(Console *c, const char *format, ...) {
        char text[256];
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        if (n > 0 && pty_has_client(c->pty))
                (void) !write(pty_fd(c->pty), text, MIN((size_t) n, sizeof text - 1));
}

static void close_session(Console *c) {
        if (!has_session(c))
                return;
        log_debug("%s has left the REPL.", c->session.who);
        sd_event_source_disable_unref(c->session.source);
        safe_close(c->session.fd);
        free(c->session.who);
        c->session = (Session) { .fd = -EBADF };
        user_changed(c);
}

/* ---- user → board ---- */

static void write_input(Console *c) {
        if (c->in_fd < 0 || c->input.size == 0)
                return;
        /* A board that is going away has closed its end: what is left waits for the next one. */
        if (byte_queue_write(&c->input, c->in_fd) < 0)
                (void) sd_event_source_set_enabled(c->in_source, SD_EVENT_OFF);
}

static int on_in_writable(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Console *c = userdata;

        if (revents & (EPOLLERR | EPOLLHUP)) {
                (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
                return 0;
        }
        write_input(c);
        update_sources(c);
        return 0;
}

static ssize_t read_some(int fd, char *buf, size_t size) {
        ssize_t n;

        do
                n = read(fd, buf, size);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static void take_input(Console *c, const char *data, size_t size) {
        size_t fits = MIN(size, INPUT_MAX - MIN(c->input.size, INPUT_MAX));

        if (byte_queue_push(&c->input, data, fits) < 0)
                fits = 0;
        c->input_dropped += size - fits;
        write_input(c);
}

/* `echo 'print(1)' > repl`: what a client wrote is meant, though it has gone. */
static void take_rest_of_pty(Console *c) {
        char buf[CHUNK];
        ssize_t n;

        for (size_t taken = 0; taken < REST_MAX; taken += (size_t) n) {
                n = read_some(pty_fd(c->pty), buf, sizeof buf);
                if (n <= 0)
                        return;
                if (!has_session(c))
                        take_input(c, buf, (size_t) n);
        }
}

static void on_pty_client(void *userdata, bool present) {
        Console *c = userdata;

        log_debug("%s %s.", pty_path(c->pty), present ? "was opened" : "was closed");
        if (!present)
                take_rest_of_pty(c);
        if (!has_session(c))
                user_changed(c);
        else {
                c->pty_told = false;
                update_sources(c);
        }
}

static void flush_output(Console *c);

static int on_pty(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        char buf[CHUNK];
        Console *c = userdata;

        if (revents & EPOLLOUT && !has_session(c))
                flush_output(c);
        if (revents & (EPOLLIN | EPOLLHUP)) {
                ssize_t n = read_some(fd, buf, sizeof buf);

                if (n <= 0 && n != -EAGAIN)
                        pty_check_client(c->pty);
                else if (n > 0 && !has_session(c))
                        take_input(c, buf, (size_t) n);
                else if (n > 0 && !c->pty_told) {
                        c->pty_told = true;
                        tell_pty(c, "\r\nmpyd: the REPL is in use by %s; what you type is not read. "
                                 "mpyctl repl --take-over takes it.\r\n", c->session.who);
                }
        }
        update_sources(c);
        return 0;
}

static int on_session(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        char buf[CHUNK];
        Console *c = userdata;
        ssize_t n;

        if (revents & EPOLLOUT)
                flush_output(c);
        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR) && has_session(c)) {
                n = read_some(fd, buf, sizeof buf);
                if (n > 0)
                        take_input(c, buf, (size_t) n);
                else if (n != -EAGAIN) {
                        close_session(c);
                        return 0;
                }
        }
        update_sources(c);
        return 0;
}

void console_discard_input(Console *c) {
        char buf[CHUNK];

        byte_queue_clear(&c->input);
        byte_queue_clear(&c->returned);
        if (!has_user(c))
                return;
        for (unsigned i = 0; i < READS_PER_TURN; i++)
                if (read_some(user_fd(c), buf, sizeof buf) <= 0)
                        break;
        update_sources(c);
}

int console_return_input(Console *c, const void *data, size_t size) {
        if (c->returned.size + size > LINK_INPUT_MAX)
                return -ENOBUFS;
        return byte_queue_push(&c->returned, data, size);
}

/* ---- board → user ---- */

/* What the kernel holds for the user; for a pty it does not say (0). */
static int user_unread(const Console *c) {
        int n = 0;

        return ioctl(user_fd(c), TIOCOUTQ, &n) < 0 ? 0 : n;
}

static void start_stall_timer(Console *c) {
        c->unread = user_unread(c);
        c->stall_usec = now_usec(CLOCK_MONOTONIC);
        (void) sd_event_source_set_time_relative(c->stall_timer, c->stall_timeout_usec);
        (void) sd_event_source_set_enabled(c->stall_timer, SD_EVENT_ONESHOT);
}

static bool is_patient(const Console *c) {
        return c->is_users_code && now_usec(CLOCK_MONOTONIC) - c->stall_usec < c->patience_usec &&
               c->is_users_code(c->userdata);
}

static bool stall_timer_runs(Console *c) {
        int enabled = SD_EVENT_OFF;

        (void) sd_event_source_get_enabled(c->stall_timer, &enabled);
        return enabled != SD_EVENT_OFF;
}

static void flush_output(Console *c) {
        size_t before = c->output.size;
        int r;

        if (before == 0)
                return;
        r = byte_queue_write(&c->output, user_fd(c));
        if (r < 0) {
                byte_queue_clear(&c->output);
                if (has_session(c))
                        close_session(c);
                else
                        pty_check_client(c->pty);
        } else if (r > 0 || c->output.size < QUEUE_SIZE / 2)
                stop_stalling(c);
        else if (c->output.size < before && stall_timer_runs(c))
                start_stall_timer(c); /* slow is not stalled */
}

static int on_stall(sd_event_source *s, uint64_t usec, void *userdata) {
        Console *c = userdata;

        /* A socket is not writable before most of it is read: look whether anything was. */
        if (has_user(c) && user_unread(c) < c->unread) {
                start_stall_timer(c);
                return 0;
        }
        if (has_user(c) && is_patient(c)) {
                (void) sd_event_source_set_time_relative(s, PATIENCE_STEP_USEC);
                (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
                return 0;
        }
        journal_log(JOURNAL_REPL_UNREAD, NULL,
                    "The REPL's user does not read; the program goes on without them.");
        c->stalled = true;
        update_sources(c);
        return 0;
}

static void deliver(Console *c, const char *data, size_t size) {
        if (!has_user(c))
                return;
        if (c->stalled || c->dropped > 0 || byte_queue_push(&c->output, data, size) < 0) { /* one gap, not two */
                drop(c, data, size);
                return;
        }
        flush_output(c);
        if (c->output.size >= QUEUE_SIZE && !stall_timer_runs(c))
                start_stall_timer(c);
}

/* The board waits for a user who is slow. */
static bool may_read_output(const Console *c) {
        return c->stalled || c->output.size < QUEUE_SIZE;
}

static size_t output_waits(const Console *c) {
        int n = 0;

        return c->out_fd < 0 || ioctl(c->out_fd, FIONREAD, &n) < 0 ? 0 : (size_t) MAX(n, 0);
}

/* Up to a position in the board's output that is there already. all: whatever room there is for it. */
static void take_output_to(Console *c, uint64_t pos, bool all) {
        char buf[CHUNK];

        while (c->out_fd >= 0 && c->script.pos < pos && (all || may_read_output(c))) {
                ssize_t n = read_some(c->out_fd, buf, MIN(pos - c->script.pos, sizeof buf));

                if (n <= 0)
                        return;
                script_output_feed(&c->script, buf, (size_t) n);
                deliver(c, buf, (size_t) n);
        }
}

/* Returns how much there was; 0: nothing just now. The board sent its messages about output before that output: who
 * knows how much is there has them all, and they may want to have what came before them taken first. */
static size_t pump_output(Console *c) {
        size_t n = MIN(output_waits(c), CHUNK);
        uint64_t end = c->script.pos + n;

        if (n > 0) {
                c->sync(c->userdata);
                take_output_to(c, end, false);
        }
        return n;
}

static int on_board_output(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        Console *c = userdata;

        for (unsigned i = 0; i < READS_PER_TURN; i++)
                if (!may_read_output(c) || pump_output(c) == 0)
                        break;
        if ((revents & EPOLLHUP) && output_waits(c) == 0) /* its end; the exit follows by the pidfd */
                c->out_source = sd_event_source_disable_unref(c->out_source);
        update_sources(c);
        return 0;
}

void console_set_stage(Console *c, BoardStage stage, uint64_t pos) {
        script_output_mark(&c->script, stage, pos);
}

void console_take_output(Console *c, uint64_t pos) {
        take_output_to(c, MIN(pos, c->script.pos + output_waits(c)), false);
        update_sources(c);
}

static void on_script_line(void *userdata, BoardStage stage, const char *line, size_t size) {
        log_script(board_stage_to_string(stage), line, size);
}

/* ---- boards come and go ---- */

int console_attach_board(Console *c, int in_fd, int out_fd, int unread_fd) {
        int r;

        assert(c->in_fd < 0 && c->out_fd < 0);
        c->in_fd = in_fd;
        c->out_fd = out_fd;
        c->unread_fd = unread_fd;
        r = sd_event_add_io(c->event, &c->out_source, out_fd, EPOLLIN, on_board_output, c);
        if (r >= 0)
                r = sd_event_add_io(c->event, &c->in_source, in_fd, EPOLLOUT, on_in_writable, c);
        if (r < 0) {
                console_detach_board(c, true);
                return r;
        }
        write_input(c);
        update_sources(c);
        return 0;
}

/* What the board was sent and had not even taken from its pipe. */
static void take_back_pipe(Console *c) {
        char buf[CHUNK];
        int waiting = 0;

        while (c->unread_fd >= 0 && ioctl(c->unread_fd, FIONREAD, &waiting) >= 0 && waiting > 0) {
                ssize_t n = read_some(c->unread_fd, buf, MIN((size_t) waiting, sizeof buf));

                if (n <= 0)
                        break;
                if (byte_queue_push(&c->returned, buf, (size_t) n) < 0)
                        c->input_dropped += (size_t) n;
        }
}

/* What the board had printed when it ended, and no more: something that it left behind may still hold
 * the other end and write for ever. */
static void take_rest_of_output(Console *c) {
        uint64_t end = c->script.pos + output_waits(c);

        c->sync(c->userdata);
        take_output_to(c, end, true);
}

void console_detach_board(Console *c, bool keep_input) {
        take_rest_of_output(c);
        script_output_end(&c->script);

        if (keep_input) {
                take_back_pipe(c);
                if (c->returned.size > 0 && /* an empty queue has no memory to point into */
                    byte_queue_push_front(&c->input, c->returned.data + c->returned.start,
                                          c->returned.size) < 0)
                        log_warning("No memory for %zu bytes typed at the REPL, dropping them.",
                                    c->returned.size);
        }
        byte_queue_clear(&c->returned);

        c->in_source = sd_event_source_disable_unref(c->in_source);
        c->out_source = sd_event_source_disable_unref(c->out_source);
        c->in_fd = safe_close(c->in_fd);
        c->out_fd = safe_close(c->out_fd);
        c->unread_fd = safe_close(c->unread_fd);
        update_sources(c);
}

/* ---- sessions ---- */

int console_open_session(Console *c, const char *who, bool take_over, int *ret) {
        _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
        sd_event_source *source = NULL;
        char *name;
        int pair[2], r;

        if (has_user(c) && !take_over)
                return -EBUSY;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        ours = pair[0];
        theirs = pair[1];
        r = fd_set_nonblock(ours, true);
        if (r < 0)
                return r;
        name = strdup(who);
        if (!name)
                return -ENOMEM;
        r = sd_event_add_io(c->event, &source, ours, EPOLLIN, on_session, c);
        if (r < 0) {
                free(name);
                return r;
        }

        if (has_session(c)) {
                char text[256];
                int n = snprintf(text, sizeof text, TAKEN_OVER, who);

                (void) !write(c->session.fd, text, MIN((size_t) MAX(n, 0), sizeof text - 1));
                close_session(c);
        } else
                tell_pty(c, TAKEN_OVER, who);

        c->session = (Session) { .fd = TAKE_FD(ours), .who = name, .source = source };
        user_changed(c);
        *ret = TAKE_FD(theirs);
        return 0;
}

/* ---- life of the console ---- */

void console_set_stall_timeout(Console *c, uint64_t usec) {
        c->stall_timeout_usec = usec;
}

Console *console_free(Console *c) {
        if (!c)
                return NULL;
        c->in_source = sd_event_source_disable_unref(c->in_source);
        c->out_source = sd_event_source_disable_unref(c->out_source);
        sd_event_source_disable_unref(c->stall_timer);
        sd_event_source_disable_unref(c->session.source);
        sd_event_source_disable_unref(c->pty_source);
        safe_close(c->session.fd);
        free(c->session.who);
        safe_close(c->in_fd);
        safe_close(c->out_fd);
        safe_close(c->unread_fd);
        pty_free(c->pty);
        byte_queue_done(&c->input);
        byte_queue_done(&c->returned);
        byte_queue_done(&c->output);
        sd_event_unref(c->event);
        free(c);
        return NULL;
}

int console_new(Console **ret, sd_event *event, const ConsoleOptions *options, ConsoleSync sync,
                void *userdata) {
        _cleanup_(console_freep) Console *c = calloc(1, sizeof *c);
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Console) {
                .event = sd_event_ref(event),
                .sync = sync,
                .userdata = userdata,
                .stall_timeout_usec = options->stall_timeout_usec,
                .is_users_code = options->is_users_code,
                .patience_usec = options->patience_usec,
                .session.fd = -EBADF,
                .in_fd = -EBADF,
                .out_fd = -EBADF,
                .unread_fd = -EBADF,
        };
        byte_queue_init(&c->input, INPUT_MAX + RETURNED_MAX);
        byte_queue_init(&c->returned, RETURNED_MAX);
        byte_queue_init(&c->output, OUTPUT_MAX);
        script_output_init(&c->script, on_script_line, c);

        r = pty_new(&c->pty, event, options->pty_master > 0 ? options->pty_master : -EBADF,
                    options->link, options->gid, on_pty_client, c);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &c->pty_source, pty_fd(c->pty), EPOLLIN, on_pty, c);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(c->pty_source, SD_EVENT_OFF);
        r = sd_event_add_time_relative(event, &c->stall_timer, CLOCK_MONOTONIC, 0, 0, on_stall, c);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(c->stall_timer, SD_EVENT_OFF);
        pty_check_client(c->pty); /* one that stayed over a restart */
        *ret = TAKE_PTR(c);
        return 0;
}
