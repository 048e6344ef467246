/* SPDX-License-Identifier: MIT */
/* How a thread of the VM sleeps: always here, until a time, a descriptor, an event for it or a
 * condition of the caller's; so that everything that wakes it up wakes it everywhere, and idling
 * costs nothing. */
#pragma once

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"

#define VM_SLEEP_FOREVER INT64_MAX

int vm_wait_init(void) _must_check_;

/* From here on the retained page shows whether the VM advances or waits (retained.h's words). Call in the
 * VM's thread. */
void vm_show_progress(void *retained);

/* Sleeps until CLOCK_MONOTONIC is `until` (ns), one of fds is ready, irq_wake_vm(), or not at all
 * when events are pending or ready() is true. May wake up early: the caller looks again. Returns
 * how many of fds are ready, or a negative errno (too many of them, no memory). */
int vm_sleep(struct pollfd *fds, nfds_t n_fds, int64_t until_nsec, bool (*ready)(void));

/* Sleeps so long, handling events meanwhile; an exception of theirs ends it. */
void vm_delay(int64_t nsec);
/* The same, until over() is true; whoever makes it so wakes the VM. */
void vm_delay_unless(int64_t nsec, bool (*over)(void));

/* The same as vm_sleep(), at the prompt: also ends when the life is to end. */
int vm_sleep_at_prompt(struct pollfd *fds, nfds_t n_fds, int64_t until_nsec, bool (*ready)(void));

/* Any thread: ends vm_sleep() in all threads of the VM. */
void vm_wake(void);

/* ---- threads of the VM beside the main one (threads.c) ---- */

/* What wakes a thread up. */
typedef struct VmWaker {
        int fd; /* eventfd */
        atomic_bool asleep;
        const void *_Atomic waits_for;
        struct VmWaker *next;
} VmWaker;

int vm_waker_init(VmWaker *w) _must_check_;
void vm_waker_attach(VmWaker *w); /* to the calling thread */
void vm_waker_done(VmWaker *w);

/* What this thread is going to wait for; vm_wake_who_waits_for() wakes those that do. */
void vm_wait_for(const void *what);
void vm_wake_who_waits_for(const void *what);

/* poll(2) for the select module: sys.stdin, sys.stdout and sys.stderr have the numbers 0 to 2. until_nsec as above, 0:
 * does not wait. How many are ready, or a negative errno; -EINTR when the VM has events to handle. */
int vm_poll(struct pollfd *fds, nfds_t n_fds, int64_t until_nsec);
