/* SPDX-License-Identifier: MIT */
/* The queue to the thread that owns the database, and its end. The mutex guards lists and numbers
 * only: it is never held while the disk is asked for anything. */
#include "history/writer-private.h"

#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

#include "history/record.h"
#include "history/totals.h"
#include "util/parse.h"

#define STALLED_USEC (2 * USEC_PER_SEC) /* then the state says that the disk does not answer */

Job *job_new(JobType type) {
        Job *j = calloc(1, sizeof *j);

        if (j)
                j->type = type;
        return j;
}

Job *job_free(Job *j) {
        if (!j)
                return NULL;
        switch (j->type) {
        case JOB_RECORD:
        case JOB_BOOT:
                history_record_done(&j->record);
                break;
        case JOB_QUERY:
                (void) history_records_free(j->records, j->n_records);
                break;
        case JOB_REPORT:
                free(j->message);
                break;
        case JOB_LATE:
        case JOB_MAX:
        case JOB_INVALID:
                break;
        }
        free(j);
        return NULL;
}

void job_list_push(JobList *l, Job *j) {
        j->next = NULL;
        if (l->last)
                l->last->next = j;
        else
                l->first = j;
        l->last = j;
        l->n++;
}

Job *job_list_pop(JobList *l) {
        Job *j = l->first;

        if (!j)
                return NULL;
        l->first = j->next;
        if (!l->first)
                l->last = NULL;
        l->n--;
        j->next = NULL;
        return j;
}

void job_list_done(JobList *l) {
        Job *j;

        while ((j = job_list_pop(l)))
                (void) job_free(j);
}

/* Under the lock, or by the last owner. */
void writer_answer_locked(Writer *w, Job *j) {
        uint64_t one = 1;

        job_list_push(&w->answers, j);
        /* Cannot fill up: it is read as a whole. */
        while (write(w->event_fd, &one, sizeof one) < 0 && errno == EINTR)
                ;
}

static Writer *writer_destroy(Writer *w) {
        job_list_done(&w->queue);
        job_list_done(&w->answers);
        (void) pthread_mutex_destroy(&w->mutex);
        (void) pthread_cond_destroy(&w->wake);
        (void) pthread_cond_destroy(&w->ended);
        safe_close(w->event_fd);
        free(w);
        return NULL;
}

Writer *writer_unref(Writer *w) {
        bool last;

        if (!w)
                return NULL;
        (void) pthread_mutex_lock(&w->mutex);
        last = --w->refs == 0;
        (void) pthread_mutex_unlock(&w->mutex);
        return last ? writer_destroy(w) : NULL;
}

static int start_thread(Writer *w) {
        sigset_t all, old;
        int r;

        /* Signals are for the loop. SIGXFSZ too: a file size limit is an error like a full disk. */
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &old);
        r = -pthread_create(&w->thread, NULL, writer_main, w);
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        return r;
}

static int init_locks(Writer *w) {
        pthread_condattr_t attr;

        if (pthread_condattr_init(&attr) != 0)
                return -ENOMEM;
        (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void) pthread_mutex_init(&w->mutex, NULL); /* these do not fail on Linux */
        (void) pthread_cond_init(&w->wake, &attr);
        (void) pthread_cond_init(&w->ended, &attr);
        (void) pthread_condattr_destroy(&attr);
        return 0;
}

int writer_new(Writer **ret, const char *path, uint64_t max_size, const char *boot_id) {
        Writer *w = calloc(1, sizeof *w);
        int r;

        if (!w)
                return -ENOMEM;
        r = init_locks(w);
        if (r < 0) {
                free(w);
                return r;
        }
        w->refs = 1;
        w->busy_since_usec = now_usec(CLOCK_MONOTONIC);
        (void) snprintf(w->state, sizeof w->state, "opening the database");
        w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        r = w->event_fd < 0 ? -errno
                            : store_init(&w->store, path, max_size, boot_id, writer_report, w);
        if (r >= 0) {
                w->refs = 2;
                r = start_thread(w);
                if (r < 0)
                        free(w->store.path);
        }
        if (r < 0) {
                (void) writer_destroy(w);
                return r;
        }
        *ret = w;
        return 0;
}

int writer_fd(Writer *w) {
        return w->event_fd;
}

static bool is_hard(const Job *j) {
        return j->type == JOB_RECORD && !j->record.name && j->record.kind != RESET_KIND_SOFT;
}

/* The newest waiting hard reset like j; when the queue is at its very end, the newest at all. */
static Job *find_partner(Writer *w, const Job *j) {
        Job *alike = NULL, *newest = NULL;

        for (Job *i = w->queue.first; i; i = i->next)
                if (is_hard(i)) {
                        newest = i;
                        if (storm_alike(&i->record, &j->record))
                                alike = i;
                }
        return alike || w->queue.n < WRITER_QUEUE_HARD_MAX ? alike : newest;
}

static uint64_t add_saturated(uint64_t a, uint64_t b) {
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Accepted is as good as stored: who asks for the totals is not to wait for the disk. */
static void total_locked(Writer *w, const Job *j) {
        const HistoryRecord *r = &j->record;

        if (j->type == JOB_RECORD)
                totals_add_record(&w->totals, r,
                                  (int64_t) MIN(r->repeats, (uint64_t) INT64_MAX - 1) + 1);
        else if (j->type == JOB_BOOT && w->totals.since_usec == 0) {
                w->totals.since_usec = r->realtime_usec;
                w->totals.since_synced = r->clock_synced;
        }
}

/* The queue is full: j is counted in a hard reset that waits there. NULL: there is none. */
static Job *merge_locked(Writer *w, Job *j) {
        Job *partner = find_partner(w, j);

        if (!partner)
                return NULL;
        partner->record.repeats = add_saturated(partner->record.repeats, 1 + j->record.repeats);
        w->n_merged++;
        j->id = -ENOBUFS;
        if (j->seq)
                writer_answer_locked(w, j);
        else
                (void) job_free(j);
        return partner;
}

static int submit_locked(Writer *w, Job *j) {
        bool full = w->queue.n >= WRITER_QUEUE_MAX;

        if (w->stop)
                return -ESHUTDOWN;
        if (full && !is_hard(j)) {
                w->n_refused++;
                return -ENOBUFS;
        }
        total_locked(w, j);
        if (full && merge_locked(w, j))
                return 0;
        job_list_push(&w->queue, j);
        if (!w->held || j->type != JOB_RECORD) {
                w->wanted = true;
                (void) pthread_cond_signal(&w->wake);
        }
        return 0;
}

int writer_submit(Writer *w, Job *j) {
        int r;

        (void) pthread_mutex_lock(&w->mutex);
        r = submit_locked(w, j);
        (void) pthread_mutex_unlock(&w->mutex);
        return r;
}

void writer_hold(Writer *w, bool hold) {
        (void) pthread_mutex_lock(&w->mutex);
        w->held = hold;
        if (!hold && w->queue.n > 0) {
                w->wanted = true;
                (void) pthread_cond_signal(&w->wake);
        }
        (void) pthread_mutex_unlock(&w->mutex);
}

int writer_totals(Writer *w, HistoryTotals *ret) {
        int r;

        (void) pthread_mutex_lock(&w->mutex);
        r = w->totals_read ? 0 : -EAGAIN;
        if (r >= 0)
                *ret = w->totals;
        (void) pthread_mutex_unlock(&w->mutex);
        return r;
}

static int count_locked(Writer *w, const char *name, int64_t delta) {
        size_t i = 0;

        if (w->stop)
                return -ESHUTDOWN;
        while (i < w->n_counters && !streq(w->counters[i].name, name))
                i++;
        if (i == WRITER_COUNTERS_MAX)
                return -ENOBUFS;
        if (i == w->n_counters) {
                (void) strcpy(w->counters[i].name, name);
                w->counters[i].delta = 0;
                if (w->n_counters++ == 0) {
                        w->counters_since_usec = now_usec(CLOCK_BOOTTIME);
                        (void) pthread_cond_signal(&w->wake); /* it may sleep without an end */
                }
        }
        if (__builtin_add_overflow(w->counters[i].delta, delta, &w->counters[i].delta))
                w->counters[i].delta = delta > 0 ? INT64_MAX : INT64_MIN;
        if (totals_add(&w->totals, name, delta) < 0) /* told where it is stored */
                return 0;
        return 0;
}

int writer_count(Writer *w, const char *name, int64_t delta) {
        int r;

        (void) pthread_mutex_lock(&w->mutex);
        r = count_locked(w, name, delta);
        (void) pthread_mutex_unlock(&w->mutex);
        return r;
}

Job *writer_take_answers(Writer *w) {
        uint64_t n;
        Job *j;

        (void) pthread_mutex_lock(&w->mutex);
        while (read(w->event_fd, &n, sizeof n) < 0 && errno == EINTR)
                ;
        j = w->answers.first;
        w->answers = (JobList) {};
        (void) pthread_mutex_unlock(&w->mutex);
        return j;
}

void writer_state(Writer *w, char ret[static WRITER_STATE_MAX]) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        char span[TIMESPAN_MAX];

        (void) pthread_mutex_lock(&w->mutex);
        if (w->busy_since_usec && now - w->busy_since_usec >= STALLED_USEC)
                (void) snprintf(ret, WRITER_STATE_MAX, "the disk has not answered for %s",
                                format_timespan(span, sizeof span,
                                                (now - w->busy_since_usec) / USEC_PER_SEC *
                                                        USEC_PER_SEC));
        else
                (void) memcpy(ret, w->state, WRITER_STATE_MAX);
        (void) pthread_mutex_unlock(&w->mutex);
}

static struct timespec usec_to_timespec(uint64_t usec) {
        return (struct timespec) {
                .tv_sec = (time_t) (usec / USEC_PER_SEC),
                .tv_nsec = (long) (usec % USEC_PER_SEC * 1000),
        };
}

bool writer_stop(Writer *w, uint64_t timeout_usec) {
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        struct timespec end = usec_to_timespec(now + MIN(timeout_usec, 365 * USEC_PER_DAY));
        bool finished;

        (void) pthread_mutex_lock(&w->mutex);
        w->stop = true;
        (void) pthread_cond_signal(&w->wake);
        while (!w->finished && pthread_cond_timedwait(&w->ended, &w->mutex, &end) != ETIMEDOUT)
                ;
        finished = w->finished;
        (void) pthread_mutex_unlock(&w->mutex);
        if (finished)
                (void) pthread_join(w->thread, NULL);
        else
                (void) pthread_detach(w->thread);
        return finished;
}
