/* SPDX-License-Identifier: MIT */
/* The kernel calls by which SQLite reaches the disk, slow or failing when a test says so. This
 * program's definitions are found before those of libc. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "test-history.h"

#define EXPORT __attribute__((visibility("default")))

typedef struct Failure {
        atomic_uint after, times;
        atomic_int error;
} Failure;

static Failure fsync_failure, write_failure;
static atomic_uint n_fsync;
static atomic_bool fsync_skipped;
static _Atomic uint64_t fsync_delay_usec, clock_ahead_usec;

static pthread_mutex_t block_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t block_ended = PTHREAD_COND_INITIALIZER;
static bool blocked;

static void failure_set(Failure *f, unsigned after, int error, unsigned times) {
        atomic_store(&f->times, 0);
        atomic_store(&f->after, after);
        atomic_store(&f->error, error);
        atomic_store(&f->times, times);
}

/* One thread calls it at a time: the writer. */
static bool failure_due(Failure *f) {
        if (atomic_load(&f->times) == 0)
                return false;
        if (atomic_load(&f->after) > 0) {
                atomic_fetch_sub(&f->after, 1);
                return false;
        }
        atomic_fetch_sub(&f->times, 1);
        return true;
}

void fault_fsync_delay(uint64_t usec) {
        atomic_store(&fsync_delay_usec, usec);
}

void fault_fsync_block(bool block) {
        (void) pthread_mutex_lock(&block_mutex);
        blocked = block;
        (void) pthread_cond_broadcast(&block_ended);
        (void) pthread_mutex_unlock(&block_mutex);
}

void fault_fsync_error(unsigned n, int error, unsigned times) {
        failure_set(&fsync_failure, n, error, times);
}

void fault_write_error(unsigned n, int error, unsigned times) {
        failure_set(&write_failure, n, error, times);
}

void fault_fsync_skip(bool skip) {
        atomic_store(&fsync_skipped, skip);
}

void fault_clock_ahead(uint64_t usec) {
        atomic_store(&clock_ahead_usec, usec);
}

unsigned fault_fsync_count(void) {
        return atomic_load(&n_fsync);
}

void fault_none(void) {
        fault_fsync_delay(0);
        fault_fsync_block(false);
        fault_fsync_error(0, 0, 0);
        fault_write_error(0, 0, 0);
        fault_fsync_skip(false);
        fault_clock_ahead(0);
}

static int do_fsync(const char *name, int fd) {
        uint64_t delay = atomic_load(&fsync_delay_usec);
        int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);

        atomic_fetch_add(&n_fsync, 1);
        if (delay > 0)
                (void) nanosleep(&(struct timespec) { .tv_sec = (time_t) (delay / 1000000),
                                                      .tv_nsec = (long) (delay % 1000000 * 1000) },
                                 NULL);
        (void) pthread_mutex_lock(&block_mutex);
        while (blocked)
                (void) pthread_cond_wait(&block_ended, &block_mutex);
        (void) pthread_mutex_unlock(&block_mutex);
        if (failure_due(&fsync_failure)) {
                errno = atomic_load(&fsync_failure.error);
                return -1;
        }
        return atomic_load(&fsync_skipped) ? 0 : real(fd);
}

EXPORT int fsync(int fd) {
        return do_fsync("fsync", fd);
}

EXPORT int fdatasync(int fd) {
        return do_fsync("fdatasync", fd);
}

EXPORT ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t offset) {
        ssize_t (*real)(int, const void *, size_t, off64_t) =
                (ssize_t (*)(int, const void *, size_t, off64_t)) dlsym(RTLD_NEXT, "pwrite64");

        if (failure_due(&write_failure)) {
                errno = atomic_load(&write_failure.error);
                return -1;
        }
        return real(fd, buf, n, offset);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ts) {
        static _Atomic(void *) found;
        void *real = atomic_load(&found);
        int r;

        if (!real) {
                real = dlsym(RTLD_NEXT, "clock_gettime");
                atomic_store(&found, real);
        }
        r = ((int (*)(clockid_t, struct timespec *)) real)(clock, ts);
        if (r >= 0 && clock == CLOCK_BOOTTIME)
                ts->tv_sec += (time_t) (atomic_load(&clock_ahead_usec) / 1000000);
        return r;
}
