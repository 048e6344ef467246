/* SPDX-License-Identifier: MIT */
/* Threads of Python (_thread), and the lock that lets one of them at a time into the VM (GIL). Included
 * by py/mpthread.h as this port's part of it.
 *
 * As long as there is one thread only, the lock costs one look at a number every 32 branches: nobody
 * waits for it, so it is not given away. A thread that computes hands it on after GIL_SLICE_NSEC, when
 * somebody waits; one that sleeps (wait.c) gives it away at once. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct _mp_state_thread_t;

/* _thread's locks; also the type of the GIL, whose content is in threads.c. */
typedef struct ThreadMutex {
        atomic_bool locked;
} mp_thread_mutex_t;

extern __thread struct _mp_state_thread_t *thread_state;

/* Upstream declares it next; it is looked at several times for each call of a Python function. */
static inline struct _mp_state_thread_t *mp_thread_get_state(void) {
        return thread_state;
}

/* What vm.c calls where it would let the GIL go and take it again, after so many branches. */
void gil_slice_unlock(mp_thread_mutex_t *gil);
int gil_slice_lock(mp_thread_mutex_t *gil, int wait);

void gil_release(void);
void gil_acquire(void);

/* Pointers into the heap that the other threads have. */
void threads_collect(void);
/* From here on only this thread, the main one, runs; the others stand still until the process ends. */
void threads_freeze(void);
