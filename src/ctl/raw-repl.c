/* SPDX-License-Identifier: MIT */
/* The host's side of the raw REPL. What is awaited is searched in the stream, never expected at its
 * head: banners, output of boot.py or an echo may come before it. */
#include "ctl/raw-repl.h"

#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "util/parse.h"

#define CTRL_A "\x01"
#define CTRL_B "\x02"
#define CTRL_C "\x03"
#define CTRL_D "\x04"
#define RAW_PASTE_REQUEST "\x05" "A\x01"
#define RAW_BANNER "raw REPL; CTRL-B to exit\r\n>"
#define SOFT_REBOOT "soft reboot\r\n"
#define FRIENDLY_BANNER "for more information.\r\n" /* its end; the prompt behind it may be anything (sys.ps1) */
#define NEEDLE_MAX 32
#define SETTLE_USEC (20 * USEC_PER_MSEC)
#define RETRY_USEC (3 * USEC_PER_SEC)

/* Where the program's part of the conversation stands. */
typedef enum Part {
        PART_NONE = 0, /* none runs */
        PART_COMPILE,  /* all sent, Ctrl-D not yet confirmed */
        PART_OUTPUT,
        PART_ERROR,
} Part;

struct RawRepl {
        int fd, cancel_fd, watch_fd;
        RawReplWatch watch;
        void *watch_userdata;

        char buffer[4096];
        size_t start, end;
        Part part;
        bool raw;        /* the board is in raw mode, as far as we know */
        bool exception;  /* the error part had text */
};

int raw_repl_new(RawRepl **ret, int fd, int cancel_fd) {
        RawRepl *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->fd = fd;
        r->cancel_fd = cancel_fd;
        r->watch_fd = -EBADF;
        *ret = r;
        return 0;
}

RawRepl *raw_repl_free(RawRepl *r) {
        free(r);
        return NULL;
}

void raw_repl_set_watch(RawRepl *r, int fd, RawReplWatch watch, void *userdata) {
        r->watch_fd = fd;
        r->watch = watch;
        r->watch_userdata = userdata;
}

static uint64_t now(void) {
        return now_usec(CLOCK_MONOTONIC);
}

static uint64_t after(uint64_t usec) {
        uint64_t t = now();

        return usec > UINT64_MAX - t ? UINT64_MAX : t + usec;
}

/* Takes what the socket holds into the empty buffer. */
static int fill(RawRepl *r) {
        ssize_t n;

        do
                n = recv(r->fd, r->buffer, sizeof(r->buffer), MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
                return -ECONNRESET;
        r->start = 0;
        r->end = (size_t) n;
        return 1;
}

/* Waits for events on the console. Returns 1 when there are some; with watched, also the watch's
 * verdict. */
static int wait_console(RawRepl *r, short events, bool watched, uint64_t deadline) {
        for (;;) {
                uint64_t t = now();
                uint64_t left = deadline == UINT64_MAX ? UINT64_MAX : deadline - MIN(deadline, t);
                struct timespec ts = {
                        .tv_sec = (time_t) (left / USEC_PER_SEC),
                        .tv_nsec = (long) (left % USEC_PER_SEC * 1000),
                };
                struct pollfd p[] = {
                        { .fd = r->fd, .events = events },
                        { .fd = r->cancel_fd < 0 ? -1 : r->cancel_fd, .events = POLLIN },
                        { .fd = watched && r->watch_fd >= 0 ? r->watch_fd : -1, .events = POLLIN },
                };
                int n = ppoll(p, ELEMENTSOF(p), left == UINT64_MAX ? NULL : &ts, NULL);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (p[1].revents)
                        return -ECANCELED;
                if (p[2].revents) {
                        n = r->watch(r->watch_userdata);
                        if (n < 0)
                                return n;
                }
                if (p[0].revents)
                        return 1;
                if (left == 0)
                        return -ETIMEDOUT;
        }
}

/* The next byte, or an error. */
static int next_byte(RawRepl *r, uint64_t deadline) {
        int k;

        while (r->start == r->end) {
                k = fill(r);
                if (k == 0)
                        k = wait_console(r, POLLIN, false, deadline);
                if (k < 0)
                        return k;
        }
        return (unsigned char) r->buffer[r->start++];
}

static int send_bytes(RawRepl *r, const char *data, size_t size, uint64_t deadline) {
        while (size > 0) {
                ssize_t n = send(r->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
                int k;

                if (n > 0) {
                        data += n;
                        size -= (size_t) n;
                } else if (errno == EAGAIN) {
                        k = wait_console(r, POLLOUT, false, deadline);
                        if (k < 0)
                                return k;
                } else if (errno == EPIPE)
                        return -ECONNRESET;
                else if (errno != EINTR)
                        return -errno;
        }
        return 0;
}

static int send_string(RawRepl *r, const char *s, uint64_t deadline) {
        return send_bytes(r, s, strlen(s), deadline);
}

/* Reads until needle has passed; what is before it is not kept. */
static int wait_for(RawRepl *r, const char *needle, uint64_t deadline) {
        size_t n = strlen(needle), have = 0;
        char last[NEEDLE_MAX];

        assert(n > 0 && n <= sizeof(last));
        for (;;) {
                int c = next_byte(r, deadline);

                if (c < 0)
                        return c;
                if (have == n)
                        memmove(last, last + 1, --have);
                last[have++] = (char) c;
                if (have == n && memcmp(last, needle, n) == 0)
                        return 0;
        }
}

/* Drops what comes until nothing has come for a moment. */
static int drain(RawRepl *r) {
        uint64_t end = after(USEC_PER_SEC); /* a program that never stops printing */

        for (;;) {
                int c = next_byte(r, after(SETTLE_USEC));

                if (c == -ETIMEDOUT || (c >= 0 && now() > end))
                        return 0;
                if (c < 0)
                        return c;
        }
}

/* SPEC M4, M6, but Ctrl-C goes first: a CR would run the line that somebody left half typed. */
static int enter_raw(RawRepl *r, uint64_t deadline) {
        for (;;) {
                int k = send_string(r, CTRL_C, deadline);

                if (k >= 0)
                        k = drain(r);
                if (k >= 0)
                        k = send_string(r, "\r" CTRL_A, deadline);
                if (k < 0)
                        return k;
                r->raw = true;
                k = wait_for(r, RAW_BANNER, MIN(deadline, after(RETRY_USEC)));
                if (k != -ETIMEDOUT || now() >= deadline)
                        return k;
        }
}

int raw_repl_enter(RawRepl *r, bool soft_reset, uint64_t timeout_usec) {
        uint64_t deadline;
        int k;

        k = enter_raw(r, after(timeout_usec));
        if (k < 0 || !soft_reset)
                return k;
        deadline = after(timeout_usec);
        k = send_string(r, CTRL_D, deadline);
        if (k >= 0)
                k = wait_for(r, SOFT_REBOOT, deadline);
        if (k >= 0)
                k = wait_for(r, RAW_BANNER, deadline);
        return k;
}

/* Raw-paste's answer is "R\x01"; a banner that is still on its way has no such pair in it. */
static int start_paste(RawRepl *r, size_t *ret_window, uint64_t deadline) {
        int before = 0, low, high, k;

        k = send_string(r, RAW_PASTE_REQUEST, deadline);
        if (k < 0)
                return k;
        for (;;) {
                int c = next_byte(r, deadline);

                if (c < 0)
                        return c;
                if (before == 'R' && c == 0)
                        return -EPROTO;
                if (before == 'R' && c == 1)
                        break;
                before = c;
        }
        low = next_byte(r, deadline);
        if (low < 0)
                return low;
        high = next_byte(r, deadline);
        if (high < 0)
                return high;
        if (low + high == 0)
                return -EPROTO;
        *ret_window = (size_t) low | (size_t) high << 8;
        return 0;
}

/* Sends code as the window allows. *ret_aborted: the device ended it early (SyntaxError). */
static int paste(RawRepl *r, const char *code, size_t size, size_t window, uint64_t deadline,
                 bool *ret_aborted) {
        size_t credit = window;

        *ret_aborted = false;
        while (size > 0) {
                size_t n;
                int k;

                /* Look at what has come in any case: an abort is not to be written against. */
                while (credit == 0 || r->start < r->end || fill(r) > 0) {
                        int c = next_byte(r, deadline);

                        if (c < 0)
                                return c;
                        if (c == 1)
                                credit += window;
                        else if (c == 4) {
                                *ret_aborted = true;
                                return 0;
                        } else
                                return -EPROTO;
                }
                n = MIN(credit, size);
                k = send_bytes(r, code, n, deadline);
                if (k < 0)
                        return k;
                code += n;
                size -= n;
                credit -= n;
        }
        return 0;
}

/* Passes on what is in the buffer, up to the end of the part. True when the program has ended. */
static int deliver(RawRepl *r, RawReplOutput output, void *userdata, bool *ret_ended) {
        *ret_ended = false;
        while (r->start < r->end && !*ret_ended) {
                char *from = r->buffer + r->start, *mark = memchr(from, 4, r->end - r->start);
                size_t n = (mark ? (size_t) (mark - r->buffer) : r->end) - r->start;
                int k = 0;

                if (n > 0 && r->part == PART_ERROR)
                        r->exception = true;
                if (n > 0 && r->part != PART_COMPILE)
                        k = output(userdata, r->part == PART_ERROR, from, n);
                r->start += n;
                if (mark) {
                        r->start++;
                        *ret_ended = r->part == PART_ERROR;
                        r->part = r->part == PART_COMPILE  ? PART_OUTPUT
                                  : r->part == PART_OUTPUT ? PART_ERROR
                                                           : PART_NONE;
                }
                if (k < 0)
                        return k;
        }
        return 0;
}

/* The watch wants to stop: the console's bytes up to now still belong to the program. */
static int deliver_rest(RawRepl *r, int verdict, RawReplOutput output, void *userdata,
                        bool *ret_ended) {
        int waiting = 0, k;

        if (ioctl(r->fd, FIONREAD, &waiting) < 0)
                return verdict;
        while (waiting > 0 && (k = fill(r)) > 0) {
                size_t n = r->end;

                r->end = MIN(n, (size_t) waiting);
                waiting -= (int) MIN(n, (size_t) waiting);
                k = deliver(r, output, userdata, ret_ended);
                if (k < 0 || *ret_ended)
                        return k;
        }
        return verdict;
}

/* From the end of the code to the end of the program. */
static int follow(RawRepl *r, uint64_t deadline, RawReplOutput output, void *userdata) {
        for (;;) {
                bool ended;
                int k;

                k = deliver(r, output, userdata, &ended);
                if (k < 0 || ended)
                        return k;
                k = fill(r);
                if (k == 0) {
                        k = wait_console(r, POLLIN, true, deadline);
                        if (k < 0 && k != -ETIMEDOUT && k != -ECANCELED) {
                                k = deliver_rest(r, k, output, userdata, &ended);
                                if (ended)
                                        return 0;
                        }
                }
                if (k < 0)
                        return k;
        }
}

int raw_repl_exec(RawRepl *r, const char *code, size_t size, uint64_t deadline_usec,
                  RawReplOutput output, void *userdata, bool *ret_exception, bool *ret_soft_reset) {
        uint64_t handshake = MIN(deadline_usec, after(10 * USEC_PER_SEC));
        bool aborted = false;
        size_t window = 0;
        int k;

        k = start_paste(r, &window, handshake);
        if (k == -ETIMEDOUT && handshake < deadline_usec)
                return -EPROTO; /* it is not the code that takes so long */
        if (k < 0)
                return k;
        r->exception = false;
        r->part = PART_COMPILE;
        k = paste(r, code, size, window, deadline_usec, &aborted);
        if (k >= 0)
                k = send_string(r, CTRL_D, deadline_usec);
        if (k < 0)
                return k;
        if (aborted) /* the device's Ctrl-D has come already */
                r->part = PART_OUTPUT;
        k = follow(r, deadline_usec, output, userdata);
        if (k < 0)
                return k;

        /* A prompt follows at once, unless SystemExit resets the board. */
        *ret_exception = r->exception;
        k = next_byte(r, after(10 * USEC_PER_SEC));
        if (k < 0)
                return k;
        *ret_soft_reset = k != '>';
        return 0;
}

int raw_repl_interrupt(RawRepl *r, uint64_t timeout_usec, RawReplOutput output, void *userdata) {
        uint64_t deadline = after(timeout_usec);
        int fd = r->cancel_fd, k;

        /* What called the program off may still be readable: only the deadline counts now. */
        r->cancel_fd = -EBADF;
        k = send_string(r, CTRL_C, deadline);
        if (k >= 0 && r->part != PART_NONE)
                k = follow(r, deadline, output, userdata);
        r->cancel_fd = fd;
        return k;
}

int raw_repl_leave(RawRepl *r, bool restart, uint64_t timeout_usec) {
        uint64_t deadline = after(timeout_usec);
        int fd = r->cancel_fd, k = 0;

        r->cancel_fd = -EBADF;
        if (r->raw) {
                k = send_string(r, "\r" CTRL_B, deadline);
                if (k >= 0)
                        k = wait_for(r, FRIENDLY_BANNER, deadline);
        }
        if (k >= 0 && restart) {
                k = send_string(r, CTRL_D, deadline);
                if (k >= 0)
                        k = wait_for(r, SOFT_REBOOT, deadline);
        }
        if (k >= 0)
                r->raw = false;
        r->cancel_fd = fd;
        return k;
}
