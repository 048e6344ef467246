/* SPDX-License-Identifier: MIT */
#include "util/durable-file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util/io.h"
#include "util/parse.h"

typedef struct Job {
        pthread_mutex_t lock;
        pthread_cond_t over;
        unsigned n_users; /* the last one frees it */
        bool done;
        int result;

        DurableFile *file;
        uint64_t number;  /* grows from write to write of the file */
        char *text;       /* NULL: the file is to be removed */
        int dir_fd;
        int done_fd;      /* an eventfd, or -EBADF */
} Job;

static void job_unref(Job *j) {
        bool last;

        pthread_mutex_lock(&j->lock);
        last = --j->n_users == 0;
        pthread_mutex_unlock(&j->lock);
        if (!last)
                return;
        pthread_mutex_destroy(&j->lock);
        pthread_cond_destroy(&j->over);
        safe_close(j->dir_fd);
        safe_close(j->done_fd);
        free(j->text);
        free(j);
}

/* Durable as the replacement is: the name may not come back after a power cut. */
static int remove_durably(int dir_fd, const char *name) {
        _cleanup_close_ int fd = -EBADF;

        if (unlinkat(dir_fd, name, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* One at a time, and never an older one over a newer: a disk may keep a thread waiting for longer than its
 * successor. */
static int job_write(const Job *j) {
        DurableFile *f = j->file;
        int r = 0;

        pthread_mutex_lock(&f->lock);
        if (j->number > f->last_written) {
                r = j->text ? write_file_atomic(j->dir_fd, f->name, j->text, strlen(j->text), f->mode)
                            : remove_durably(j->dir_fd, f->name);
                if (r >= 0)
                        f->last_written = j->number;
        }
        pthread_mutex_unlock(&f->lock);
        return r;
}

static void *job_run(void *arg) {
        Job *j = arg;
        int r = job_write(j);

        pthread_mutex_lock(&j->lock);
        j->result = r;
        j->done = true;
        pthread_cond_signal(&j->over);
        pthread_mutex_unlock(&j->lock);
        if (j->done_fd >= 0)
                (void) eventfd_write(j->done_fd, 1);
        job_unref(j);
        return NULL;
}

static int job_wait(Job *j, uint64_t timeout_usec) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + timeout_usec;
        struct timespec ts = { .tv_sec = (time_t) (until / USEC_PER_SEC),
                               .tv_nsec = (long) (until % USEC_PER_SEC * 1000) };
        int r;

        pthread_mutex_lock(&j->lock);
        while (!j->done && pthread_cond_timedwait(&j->over, &j->lock, &ts) != ETIMEDOUT)
                ;
        r = j->done ? j->result : -ETIMEDOUT;
        pthread_mutex_unlock(&j->lock);
        return r;
}

static Job *job_new(void) {
        Job *j = calloc(1, sizeof *j);
        pthread_condattr_t monotonic;

        if (!j)
                return NULL;
        j->dir_fd = j->done_fd = -EBADF;
        j->n_users = 2;
        pthread_mutex_init(&j->lock, NULL);
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&j->over, &monotonic);
        pthread_condattr_destroy(&monotonic);
        return j;
}

static int job_fill(Job *j, DurableFile *f, int dir_fd, const char *text, int done_fd) {
        j->file = f;
        j->text = text ? strdup(text) : NULL;
        if (text && !j->text)
                return -ENOMEM;
        j->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
        if (j->dir_fd < 0)
                return -errno;
        if (done_fd >= 0) {
                j->done_fd = fcntl(done_fd, F_DUPFD_CLOEXEC, 3);
                if (j->done_fd < 0)
                        return -errno;
        }
        return 0;
}

/* The thread has one reference to *ret, the caller the other. */
static int job_begin(DurableFile *f, int dir_fd, const char *text, int done_fd, Job **ret) {
        pthread_t thread;
        Job *j = job_new();
        int r;

        if (!j)
                return -ENOMEM;
        j->number = ++f->last_asked;
        r = job_fill(j, f, dir_fd, text, done_fd);
        if (r >= 0)
                r = -pthread_create(&thread, NULL, job_run, j);
        if (r < 0) {
                job_unref(j);
                job_unref(j);
                return r;
        }
        (void) pthread_detach(thread);
        *ret = j;
        return 0;
}

int durable_file_write_soon(DurableFile *f, int dir_fd, const char *text, int done_fd) {
        Job *j;
        int r = job_begin(f, dir_fd, text, done_fd, &j);

        if (r >= 0)
                job_unref(j);
        return r;
}

int durable_file_write(DurableFile *f, int dir_fd, const char *text, uint64_t timeout_usec) {
        Job *j;
        int r = job_begin(f, dir_fd, text, -EBADF, &j);

        if (r < 0)
                return r;
        r = job_wait(j, timeout_usec);
        job_unref(j);
        return r;
}
