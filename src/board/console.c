/* SPDX-License-Identifier: MIT */
/* The console's output buffer. See console.h. */
#include "board/console.h"

#include <poll.h>
#include <pthread.h>
#include <sys/timerfd.h>

#include "board/board.h"
#include "board/irq.h"
#include "board/link.h"
#include "board/stages.h"
#include "board/traceback.h"
#include "board/wait.h"
#include "extmod/misc.h"
#include "py/mphal.h"
#include "util/io.h"

#define GATHER_NSEC 1000000 /* 1 ms */

static struct {
        pthread_mutex_t lock;
        char data[8192];
        size_t start, len;
        uint64_t written; /* to the pipe, in this life */
        int timer_fd;
        bool armed;
        bool blocked;     /* the pipe was full at the last try */
        bool program;     /* at the REPL: the last output was the program's */
} console;

int console_init(void) {
        pthread_mutex_init(&console.lock, NULL);
        console.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (console.timer_fd < 0)
                return -errno;
        return fd_set_nonblock(BOARD_FD_CONSOLE_OUT, true);
}

int console_timer_fd(void) {
        return console.timer_fd;
}

static void console_arm(bool arm) {
        struct itimerspec when = { .it_value.tv_nsec = arm ? GATHER_NSEC : 0 };

        if (console.armed == arm)
                return;
        (void) timerfd_settime(console.timer_fd, 0, &when, NULL);
        console.armed = arm;
}

/* With the lock held: writes what the pipe takes. */
static void console_flush_locked(void) {
        while (console.len > 0) {
                ssize_t n = write(BOARD_FD_CONSOLE_OUT, console.data + console.start, console.len);

                if (n < 0 && errno == EINTR)
                        continue;
                console.blocked = n < 0 && errno == EAGAIN;
                if (console.blocked)
                        return;
                if (n < 0)
                        board_exit_orphan();
                console.start += (size_t) n;
                console.len -= (size_t) n;
                console.written += (uint64_t) n;
        }
        console.start = 0;
        console.blocked = false;
        console_arm(false);
}

/* Appends what fits and returns how much that was. */
static size_t console_append(const char *data, size_t size) {
        size_t n;

        pthread_mutex_lock(&console.lock);
        if (console.start + console.len == sizeof console.data)
                console_flush_locked();
        if (console.start > 0 && console.start + console.len == sizeof console.data) {
                memmove(console.data, console.data + console.start, console.len);
                console.start = 0;
        }
        n = MIN(size, sizeof console.data - console.start - console.len);
        memcpy(console.data + console.start + console.len, data, n);
        console.len += n;
        if (n > 0)
                console_arm(true);
        pthread_mutex_unlock(&console.lock);
        return n;
}

/* What callbacks and threads print while the REPL waits is for the log, as the rest of the program's output. Told
 * before the first byte of it can be on its way. */
static void tell_whose(void) {
        bool program = stages_program_at_repl() && (irq_in_callback() || mp_thread_get_state() != &mp_state_ctx.thread);
        LinkMessage m = {
                .type = LINK_OUTPUT,
                .stage.stage = program ? BOARD_STAGE_MAIN : BOARD_STAGE_REPL,
        };

        if (program == console.program)
                return;
        console.program = program;
        pthread_mutex_lock(&console.lock);
        m.stage.console_pos = console.written + console.len;
        pthread_mutex_unlock(&console.lock);
        link_send(&m);
}

void console_write(const char *data, size_t size) {
        while (size > 0) {
                size_t n;

                tell_whose(); /* each time: another thread may have had its turn */
                n = console_append(data, size);
                data += n;
                size -= n;
                if (n == 0) {
                        struct pollfd pfd = { .fd = BOARD_FD_CONSOLE_OUT, .events = POLLOUT };

                        irq_handle_events();
                        vm_sleep(&pfd, 1, VM_SLEEP_FOREVER, NULL);
                }
        }
}

uint64_t console_flush_all(void) {
        for (;;) {
                struct pollfd pfd = { .fd = BOARD_FD_CONSOLE_OUT, .events = POLLOUT };
                uint64_t written;
                bool done;

                pthread_mutex_lock(&console.lock);
                console_flush_locked();
                done = console.len == 0;
                written = console.written;
                pthread_mutex_unlock(&console.lock);
                if (done)
                        return written;
                (void) poll(&pfd, 1, -1);
        }
}

void console_flush_idle(void) {
        pthread_mutex_lock(&console.lock);
        if (console.len > 0 && !console.blocked)
                console_flush_locked();
        pthread_mutex_unlock(&console.lock);
}

void console_flush_timer(void) {
        uint64_t expirations;

        pthread_mutex_lock(&console.lock);
        if (read(console.timer_fd, &expirations, sizeof expirations) > 0)
                console.armed = false;
        console_flush_locked();
        pthread_mutex_unlock(&console.lock);
}

bool console_is_blocked(void) {
        bool blocked;

        pthread_mutex_lock(&console.lock);
        blocked = console.blocked;
        pthread_mutex_unlock(&console.lock);
        return blocked;
}

bool console_is_writable(void) {
        bool writable;

        pthread_mutex_lock(&console.lock);
        if (console.start + console.len == sizeof console.data)
                console_flush_locked();
        writable = console.start + console.len < sizeof console.data || console.start > 0;
        pthread_mutex_unlock(&console.lock);
        return writable;
}

/* ---- what MicroPython calls ---- */

mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
        console_write(str, len);
        (void) mp_os_dupterm_tx_strn(str, len);
        return len;
}

void mp_hal_stdout_tx_str(const char *str) {
        (void) mp_hal_stdout_tx_strn(str, strlen(str));
}

/* LF becomes CR LF (SPEC 1.8). */
void mp_hal_stdout_tx_strn_cooked(const char *str, size_t len) {
        traceback_add(str, len);
        while (len > 0) {
                const char *lf = memchr(str, '\n', len);
                size_t n = lf ? (size_t) (lf - str) : len;

                (void) mp_hal_stdout_tx_strn(str, n);
                if (lf) {
                        (void) mp_hal_stdout_tx_strn("\r\n", 2);
                        n++;
                }
                str += n;
                len -= n;
        }
}
