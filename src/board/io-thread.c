/* SPDX-License-Identifier: MIT */
/* The I/O thread: console in, console out, link. See io-thread.h. */
#include "board/io-thread.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#include "board/console.h"
#include "board/input.h"
#include "board/irq.h"
#include "board/link.h"
#include "board/pin-link.h"
#include "board/pins.h"
#include "board/timer.h"
#include "board/wdt.h"

#define STACK_SIZE (128 * 1024)

enum { POLL_KICK, POLL_LINK, POLL_TIMER, POLL_VM_TIMER, POLL_PINS, POLL_REQUESTS, POLL_IN, POLL_OUT, POLL_MAX };

static struct {
        int kick_fd;
        atomic_bool stop_input;
        pthread_mutex_t input_lock; /* held while input is taken in */
} io = { .kick_fd = -EBADF, .input_lock = PTHREAD_MUTEX_INITIALIZER };

void io_thread_kick(void) {
        (void) eventfd_write(io.kick_fd, 1);
}

void io_thread_stop_input(void) {
        atomic_store(&io.stop_input, true);
        /* It may be in the middle of it. */
        pthread_mutex_lock(&io.input_lock);
        pthread_mutex_unlock(&io.input_lock);
        io_thread_kick();
}

static void io_handle_link(void) {
        uint8_t buf[LINK_MESSAGE_MAX];
        LinkMessage m;
        int fd;

        while (link_receive(false, buf, &m, &fd)) {
                if (m.type != LINK_PIN_LINE)
                        fd = safe_close(fd); /* only that one has any */
                switch (m.type) {
                case LINK_INTERRUPT:
                        irq_interrupt();
                        break;
                case LINK_STOP:
                        irq_stop();
                        break;
                case LINK_ABORT:
                        irq_abort();
                        break;
                case LINK_WATCHDOG_WARNING:
                        wdt_warn(m.watchdog_warning.id);
                        break;
                case LINK_PIN_LINE:
                        pin_link_answer(&m.pin_line, fd);
                        break;
                case LINK_PIN_NAMES:
                        pin_link_answer_names(&m.pin_names);
                        break;
                case LINK_HELLO:
                case LINK_STAGE:
                case LINK_STAGE_END:
                case LINK_RESET:
                case LINK_UNREAD_INPUT:
                case LINK_LOG:
                case LINK_WATCHDOG:
                case LINK_AWAKE:
                case LINK_PIN:
                case LINK_PIN_LIST:
                case LINK_PIN_WAKE:
                case LINK_OUTPUT:
                case LINK_BOOT:
                case LINK_TYPE_INVALID:
                        board_exit_fatal("The supervisor sent %s to a board that runs.",
                                         link_type_to_string(m.type) ?: "an unknown message");
                }
        }
}

/* False when there is no input any more. */
static bool io_handle_input(bool readable) {
        bool more = true;

        pthread_mutex_lock(&io.input_lock);
        if (!atomic_load(&io.stop_input)) {
                if (readable)
                        more = input_fill();
                if (input_is_full())
                        input_peek();
        }
        pthread_mutex_unlock(&io.input_lock);
        return more;
}

static void *io_thread_run(void *arg) {
        bool aborting = false, input_open = true;

        for (;;) {
                bool reads = input_open && !atomic_load(&io.stop_input);
                bool full = reads && input_is_full();
                struct pollfd fds[POLL_MAX] = {
                        [POLL_KICK] = { .fd = io.kick_fd, .events = POLLIN },
                        [POLL_LINK] = { .fd = BOARD_FD_LINK, .events = POLLIN },
                        [POLL_TIMER] = { .fd = console_timer_fd(), .events = POLLIN },
                        [POLL_VM_TIMER] = { .fd = timer_fd(), .events = POLLIN },
                        [POLL_PINS] = { .fd = pins_fd(), .events = POLLIN },
                        [POLL_REQUESTS] = { .fd = irq_request_fd(), .events = POLLIN },
                        [POLL_IN] = { .fd = reads && !full ? BOARD_FD_CONSOLE_IN : -1,
                                      .events = POLLIN },
                        [POLL_OUT] = { .fd = console_is_blocked() ? BOARD_FD_CONSOLE_OUT : -1,
                                       .events = POLLOUT },
                };
                int timeout = aborting ? IRQ_ABORT_PERIOD_MSEC : full ? INPUT_PEEK_PERIOD_MSEC : -1;
                eventfd_t value;

                if (poll(fds, POLL_MAX, timeout) < 0)
                        continue;
                if (fds[POLL_KICK].revents)
                        (void) eventfd_read(io.kick_fd, &value);
                if (fds[POLL_LINK].revents)
                        io_handle_link();
                if (fds[POLL_TIMER].revents || fds[POLL_OUT].revents)
                        console_flush_timer();
                if (fds[POLL_VM_TIMER].revents)
                        timer_expire();
                if (fds[POLL_PINS].revents)
                        pins_take_edges();
                if (fds[POLL_REQUESTS].revents)
                        irq_request_release();
                if (reads)
                        input_open = io_handle_input(fds[POLL_IN].revents != 0);
                aborting = irq_abort_repeat();
        }
        return NULL;
}

int io_thread_start(void) {
        pthread_attr_t attributes;
        pthread_t thread;
        int r;

        io.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (io.kick_fd < 0)
                return -errno;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        (void) pthread_attr_setstacksize(&attributes, STACK_SIZE);
        r = pthread_create(&thread, &attributes, io_thread_run, NULL);
        pthread_attr_destroy(&attributes);
        return -r;
}
