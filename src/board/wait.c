/* SPDX-License-Identifier: MIT */
/* Sleeping and being woken. See wait.h. */
#include "board/wait.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "board/clock.h"
#include "board/console.h"
#include "board/input.h"
#include "board/irq.h"
#include "board/link.h"
#include "mpyd/retained.h"
#include "py/mphal.h"
#include "py/mpthread.h"
#include "py/runtime.h"

#define FDS_ON_STACK 16
#define NSEC_PER_USEC INT64_C(1000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define NSEC_PER_SEC INT64_C(1000000000)
#define SPIN_NSEC INT64_C(60000) /* shorter delays are not worth a sleep */

static struct {
        pthread_mutex_t lock; /* no other is taken under it */
        VmWaker *list;
} wakers = { .lock = PTHREAD_MUTEX_INITIALIZER };

static VmWaker main_waker;
static __thread VmWaker *own_waker = &main_waker;

int vm_waker_init(VmWaker *w) {
        w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return w->fd < 0 ? -errno : 0;
}

void vm_waker_attach(VmWaker *w) {
        own_waker = w;
        pthread_mutex_lock(&wakers.lock);
        w->next = wakers.list;
        wakers.list = w;
        pthread_mutex_unlock(&wakers.lock);
}

void vm_waker_done(VmWaker *w) {
        pthread_mutex_lock(&wakers.lock);
        for (VmWaker **at = &wakers.list; *at; at = &(*at)->next)
                if (*at == w) {
                        *at = w->next;
                        break;
                }
        pthread_mutex_unlock(&wakers.lock);
        w->fd = safe_close(w->fd);
}

int vm_wait_init(void) {
        int r = vm_waker_init(&main_waker);

        if (r == 0)
                vm_waker_attach(&main_waker);
        return r;
}

static void waker_wake(VmWaker *w) {
        if (atomic_exchange(&w->asleep, false))
                (void) eventfd_write(w->fd, 1);
}

void vm_wake(void) {
        pthread_mutex_lock(&wakers.lock);
        for (VmWaker *w = wakers.list; w; w = w->next)
                waker_wake(w);
        pthread_mutex_unlock(&wakers.lock);
}

void vm_wait_for(const void *what) {
        atomic_store(&own_waker->waits_for, what);
}

void vm_wake_who_waits_for(const void *what) {
        pthread_mutex_lock(&wakers.lock);
        for (VmWaker *w = wakers.list; w; w = w->next)
                if (atomic_load(&w->waits_for) == what)
                        waker_wake(w);
        pthread_mutex_unlock(&wakers.lock);
}

void irq_wake_vm(void) {
        vm_wake();
}

/* ---- whether the VM goes on, for the supervisor ---- */

static uint32_t nowhere;
volatile uint32_t *vm_progress = &nowhere;
static uint64_t *waiting, *tell_awake;
static pthread_t vm_thread;

void vm_show_progress(void *retained) {
        vm_progress = (volatile uint32_t *) retained_word(retained, RETAINED_WORD_PROGRESS);
        waiting = retained_word(retained, RETAINED_WORD_WAITING);
        tell_awake = retained_word(retained, RETAINED_WORD_TELL_AWAKE);
        retained_word_set(waiting, 0); /* an earlier life may have been killed while it waited */
        vm_thread = pthread_self();
}

/* The supervisor asks first, then looks whether the VM waits; we say first that it does not, then look
 * whether we are asked: it cannot be missed. */
static void show_waiting(bool begins) {
        if (!waiting || !pthread_equal(pthread_self(), vm_thread))
                return;
        retained_word_set(waiting, begins);
        if (!begins && retained_word_get(tell_awake) != 0 &&
            retained_word_exchange(tell_awake, 0) != 0)
                link_send(&(LinkMessage) { .type = LINK_AWAKE });
}

/* ---- sleeping ---- */

/* all[0] is ours, all[1..n] the caller's. */
static int sleep_on(struct pollfd *all, nfds_t n, int64_t until_nsec) {
        bool forever = until_nsec == VM_SLEEP_FOREVER;
        struct timespec timeout = {};
        eventfd_t value;
        int r;

        if (!forever && until_nsec > 0) {
                int64_t left = MAX(until_nsec - clock_monotonic_nsec(), INT64_C(0));

                timeout.tv_sec = (time_t) (left / NSEC_PER_SEC);
                timeout.tv_nsec = (long) (left % NSEC_PER_SEC);
        }
        if (until_nsec > 0) {
                show_waiting(true);
                gil_release();
        }
        r = ppoll(all, n, forever ? NULL : &timeout, NULL);
        if (until_nsec > 0) {
                int error = errno;

                gil_acquire();
                show_waiting(false);
                errno = error;
        }
        if (r < 0)
                return errno == EINTR ? 0 : -errno;
        if (r > 0 && all[0].revents) {
                (void) eventfd_read(all[0].fd, &value);
                r--;
        }
        return r;
}

static int sleep_until(struct pollfd *fds, nfds_t n_fds, int64_t until_nsec, bool at_prompt,
                       bool (*ready)(void)) {
        struct pollfd on_stack[FDS_ON_STACK + 1], *all = on_stack;
        _cleanup_free_ struct pollfd *allocated = NULL;
        int r;

        if (n_fds > FDS_ON_STACK) {
                allocated = calloc(n_fds + 1, sizeof *allocated);
                if (!allocated)
                        return -ENOMEM;
                all = allocated;
        }
        all[0] = (struct pollfd) { .fd = own_waker->fd, .events = POLLIN };
        for (nfds_t i = 0; i < n_fds; i++) {
                all[i + 1] = fds[i];
                all[i + 1].revents = 0;
        }

        console_flush_idle();
        /* From here on whoever changes something writes to our fd; what changed before is seen
         * now. */
        atomic_store(&own_waker->asleep, true);
        if (irq_events_pending(at_prompt) || (ready && ready())) {
                atomic_store(&own_waker->asleep, false);
                until_nsec = 0;
        }
        r = until_nsec == 0 && n_fds == 0 ? 0 : sleep_on(all, n_fds + 1, until_nsec);
        atomic_store(&own_waker->asleep, false);
        for (nfds_t i = 0; i < n_fds; i++)
                fds[i].revents = all[i + 1].revents;
        return r;
}

int vm_sleep(struct pollfd *fds, nfds_t n_fds, int64_t until_nsec, bool (*ready)(void)) {
        return sleep_until(fds, n_fds, until_nsec, false, ready);
}

int vm_sleep_at_prompt(struct pollfd *fds, nfds_t n_fds, int64_t until_nsec, bool (*ready)(void)) {
        return sleep_until(fds, n_fds, until_nsec, true, ready);
}

/* ---- what MicroPython calls ---- */

void vm_delay(int64_t nsec) {
        vm_delay_unless(nsec, NULL);
}

void vm_delay_unless(int64_t nsec, bool (*over)(void)) {
        int64_t now = clock_monotonic_nsec(), until = VM_SLEEP_FOREVER;

        if (nsec < VM_SLEEP_FOREVER - now)
                until = now + nsec;
        do {
                irq_handle_events();
                (void) vm_sleep(NULL, 0, until, over);
        } while (clock_monotonic_nsec() < until && !(over && over()));
        irq_handle_events();
}

void mp_hal_delay_ms(mp_uint_t ms) {
        vm_delay((uint64_t) ms < INT64_MAX / NSEC_PER_MSEC ? (int64_t) ms * NSEC_PER_MSEC
                                                           : VM_SLEEP_FOREVER);
}

void mp_hal_delay_us(mp_uint_t us) {
        int64_t until;

        if (us > SPIN_NSEC / NSEC_PER_USEC) {
                vm_delay((uint64_t) us < INT64_MAX / NSEC_PER_USEC ? (int64_t) us * NSEC_PER_USEC
                                                                   : VM_SLEEP_FOREVER);
                return;
        }
        until = clock_monotonic_nsec() + (int64_t) us * NSEC_PER_USEC;
        while (clock_monotonic_nsec() < until)
                ;
}

void vm_wait_event(mp_int_t timeout_ms) {
        int64_t until = VM_SLEEP_FOREVER;

        if (timeout_ms >= 0)
                until = clock_monotonic_nsec() + (int64_t) timeout_ms * NSEC_PER_MSEC;
        (void) vm_sleep(NULL, 0, until, input_available);
}

/* Answers for the console's streams, which are buffers of ours, and hides them from the kernel:
 * sets *ret_waits_for_input when input is waited for. Returns how many are ready. */
static int poll_console(struct pollfd *fds, nfds_t n_fds, struct pollfd *copy,
                        bool *ret_waits_for_input) {
        int n_ready = 0;

        for (nfds_t i = 0; i < n_fds; i++) {
                copy[i] = fds[i];
                fds[i].revents = 0;
                if (fds[i].fd < 0 || fds[i].fd > 2)
                        continue;
                copy[i].fd = -1;
                if (fds[i].fd == 0 && (fds[i].events & POLLIN)) {
                        *ret_waits_for_input = true;
                        if (input_available())
                                fds[i].revents = POLLIN;
                } else if (fds[i].fd > 0 && (fds[i].events & POLLOUT)) {
                        if (console_is_writable())
                                fds[i].revents = POLLOUT;
                        else
                                copy[i].fd = BOARD_FD_CONSOLE_OUT;
                }
                n_ready += fds[i].revents != 0;
        }
        return n_ready;
}

int vm_poll(struct pollfd *fds, nfds_t n_fds, int64_t until_nsec) {
        _cleanup_free_ struct pollfd *copy = calloc(n_fds + 1, sizeof *copy);

        if (!copy)
                return -ENOMEM;
        for (;;) {
                bool waits_for_input = false;
                int n_ready, r;

                n_ready = poll_console(fds, n_fds, copy, &waits_for_input);
                r = vm_sleep(copy, n_fds, n_ready > 0 ? 0 : until_nsec,
                             waits_for_input ? input_available : NULL);
                if (r < 0)
                        return r;
                n_ready += r;
                for (nfds_t i = 0; i < n_fds; i++)
                        if (copy[i].fd >= 0)
                                fds[i].revents = copy[i].revents;
                if (n_ready > 0 || until_nsec == 0)
                        return n_ready;
                if (irq_events_pending(false))
                        return -EINTR;
                if (until_nsec != VM_SLEEP_FOREVER && clock_monotonic_nsec() >= until_nsec)
                        until_nsec = 0; /* one last look */
        }
}
