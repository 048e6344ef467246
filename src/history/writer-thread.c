/* SPDX-License-Identifier: MIT */
/* The thread that owns the database: it takes what waits, commits it at once, answers, and does the
 * housekeeping when nobody waits. It sleeps without a timeout unless something has to be written
 * later. */
#include <stdio.h>
#include <time.h>

#include "history/rows.h"
#include "history/totals.h"
#include "history/writer-private.h"
#include "util/parse.h"

#define BATCH_MAX 64u
#define REPORTS_MAX 16u /* that nobody took */

/* What one transaction writes. The results are the last call's: see store_apply(). */
typedef struct Batch {
        Writer *writer;
        JobList jobs;
        bool flush;       /* repeats too, though their storm may go on */

        int64_t row[STREAM_MAX];
        uint64_t repeats[STREAM_MAX];
        bool counters_full;
} Batch;

void writer_report(void *userdata, JournalEvent event, const char *message) {
        Writer *w = userdata;
        Job *j = job_new(JOB_REPORT);

        if (!j || !(j->message = strdup(message))) {
                (void) job_free(j);
                return;
        }
        j->event_kind = event;
        (void) pthread_mutex_lock(&w->mutex);
        if (w->answers.n == 0)
                w->n_reports = 0;
        if (w->n_reports < REPORTS_MAX) {
                w->n_reports++;
                writer_answer_locked(w, TAKE_PTR(j));
        }
        (void) pthread_mutex_unlock(&w->mutex);
        (void) job_free(j);
}

/* ---- one transaction ---- */

static StreamKind stream_of(const Job *j) {
        return j->record.name ? STREAM_EVENTS : STREAM_RESETS;
}

static bool is_counted(const Writer *w, const Job *j) {
        return j->type == JOB_RECORD && j->verdict == STORM_VERDICT_COUNT &&
               w->streams[stream_of(j)].row > 0;
}

static uint64_t add_repeat(uint64_t repeats, const Job *j) {
        return repeats + MIN(1 + j->record.repeats, UINT64_MAX / 2 - repeats);
}

static int apply_repeats(Batch *b, Database *d, StreamKind k) {
        int r;

        if (b->repeats[k] == 0)
                return 0;
        r = rows_add_repeats(d, store_id(&b->writer->store, b->row[k]), b->repeats[k]);
        if (r >= 0)
                b->repeats[k] = 0;
        return r;
}

static int apply_record(Batch *b, Database *d, Job *j) {
        StreamKind k = stream_of(j);
        int r;

        if (is_counted(b->writer, j)) {
                b->repeats[k] = add_repeat(b->repeats[k], j);
                j->id = b->row[k];
                return 0;
        }
        r = apply_repeats(b, d, k);
        if (r >= 0)
                r = rows_add(d, b->writer->store.last_id + 1, &j->record, &j->id);
        if (r >= 0)
                b->row[k] = j->id;
        return r;
}

static int apply_job(Batch *b, Database *d, Job *j) {
        switch (j->type) {
        case JOB_RECORD:
                return apply_record(b, d, j);
        case JOB_BOOT:
                return rows_add_boot(d, &j->record, MPYD_VERSION);
        case JOB_LATE:
                return rows_mark_late(d, store_id(&b->writer->store, j->id));
        case JOB_QUERY:
        case JOB_REPORT:
        case JOB_MAX:
        case JOB_INVALID:
                break;
        }
        return 0;
}

static int apply_counters(Batch *b, Database *d) {
        for (size_t i = 0; i < b->writer->n_taken; i++) {
                const CounterDelta *c = &b->writer->taken[i];
                int r = rows_count(d, c->name, c->delta);

                if (r == -E2BIG)
                        b->counters_full = true;
                else if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_batch(Database *d, void *userdata) {
        Batch *b = userdata;

        for (StreamKind k = 0; k < STREAM_MAX; k++) {
                b->row[k] = b->writer->streams[k].row;
                b->repeats[k] = b->writer->streams[k].repeats;
        }
        b->counters_full = false;
        for (Job *j = b->jobs.first; j; j = j->next) {
                int r = apply_job(b, d, j);

                if (r < 0)
                        return r;
        }
        for (StreamKind k = 0; b->flush && k < STREAM_MAX; k++) {
                int r = apply_repeats(b, d, k);

                if (r < 0)
                        return r;
        }
        return apply_counters(b, d);
}

static void set_repeats(Stream *s, uint64_t repeats, uint64_t now) {
        if (repeats > 0 && (s->repeats == 0 || repeats < s->repeats))
                s->repeats_since_usec = now;
        s->repeats = repeats;
}

/* A storm's records alone cost no commit: they are counted and answered. */
static void count_batch(Writer *w, Batch *b, uint64_t now) {
        for (Job *j = b->jobs.first; j; j = j->next) {
                Stream *s = &w->streams[stream_of(j)];

                set_repeats(s, add_repeat(s->repeats, j), now);
                j->id = s->row;
        }
}

static void write_batch(Writer *w, Batch *b, uint64_t now) {
        int r = store_apply(&w->store, apply_batch, b, now);

        w->n_taken = 0;
        if (r < 0) {
                for (Job *j = b->jobs.first; j; j = j->next)
                        if (j->type == JOB_RECORD)
                                j->id = r;
                for (StreamKind k = 0; k < STREAM_MAX; k++)
                        w->streams[k].repeats_since_usec = now; /* not at once again */
                return;
        }
        for (StreamKind k = 0; k < STREAM_MAX; k++) {
                w->streams[k].row = b->row[k];
                set_repeats(&w->streams[k], b->repeats[k], now);
        }
        if (b->counters_full)
                writer_report(w, JOURNAL_HISTORY_LOST,
                              "There are too many counters; new names are ignored.");
}

/* ---- the work ---- */

static bool batch_needs_disk(const Batch *b) {
        if (b->flush || b->writer->n_taken > 0)
                return true;
        for (const Job *j = b->jobs.first; j; j = j->next)
                if (!is_counted(b->writer, j))
                        return true;
        return false;
}

static void answer(Writer *w, JobList *jobs) {
        Job *j;

        (void) pthread_mutex_lock(&w->mutex);
        (void) store_state(&w->store, w->state, sizeof w->state); /* who hears of it can ask why */
        while ((j = job_list_pop(jobs)))
                if (j->seq)
                        writer_answer_locked(w, j);
                else
                        (void) job_free(j);
        (void) pthread_mutex_unlock(&w->mutex);
}

/* Repeats of a storm that are not in its row yet belong to the truth as well. */
static void add_unwritten_repeats(Writer *w, Job *j) {
        for (StreamKind k = 0; k < STREAM_MAX; k++)
                for (size_t i = 0; w->streams[k].repeats > 0 && i < j->n_records; i++)
                        if (j->records[i].id == store_id(&w->store, w->streams[k].row))
                                j->records[i].repeats += w->streams[k].repeats;
}

static void answer_query(Writer *w, Job *j, uint64_t now) {
        JobList one = {};

        j->r = store_query(&w->store, &j->query, &j->records, &j->n_records, now);
        if (j->r >= 0)
                add_unwritten_repeats(w, j);
        job_list_push(&one, j);
        answer(w, &one);
}

static bool any_repeats(const Writer *w) {
        for (StreamKind k = 0; k < STREAM_MAX; k++)
                if (w->streams[k].repeats > 0)
                        return true;
        return false;
}

static void tell_lost(Writer *w) {
        unsigned refused, merged;
        char message[160];

        (void) pthread_mutex_lock(&w->mutex);
        refused = w->n_refused;
        merged = w->n_merged;
        w->n_refused = w->n_merged = 0;
        (void) pthread_mutex_unlock(&w->mutex);
        if (refused + merged == 0)
                return;
        (void) snprintf(
                message, sizeof message,
                "The disk was too slow for the history: %u records were refused, %u hard resets "
                "are only counted.",
                refused, merged);
        writer_report(w, JOURNAL_HISTORY_LOST, message);
}

static void process(Writer *w, JobList *jobs, bool flush) {
        uint64_t now = now_usec(CLOCK_BOOTTIME);
        Batch b = { .writer = w, .flush = flush && any_repeats(w) };
        Job *query = NULL, *j;

        while ((j = job_list_pop(jobs))) {
                if (j->type == JOB_QUERY) {
                        query = j; /* the last: see take_locked() */
                        continue;
                }
                if (j->type == JOB_RECORD)
                        j->verdict = storm_feed(&w->streams[stream_of(j)].storm, &j->record);
                job_list_push(&b.jobs, j);
        }
        if (batch_needs_disk(&b))
                write_batch(w, &b, now);
        else if (b.jobs.n > 0)
                count_batch(w, &b, now);
        answer(w, &b.jobs);
        if (query)
                answer_query(w, query, now);
        if (store_retry_at(&w->store) <= now)
                store_retry(&w->store, now);
        tell_lost(w);
}

/* ---- waiting ---- */

static uint64_t next_deadline(const Writer *w) {
        uint64_t t = store_retry_at(&w->store);

        for (StreamKind k = 0; k < STREAM_MAX; k++)
                if (w->streams[k].repeats > 0)
                        t = MIN(t, w->streams[k].repeats_since_usec + STORM_WRITE_USEC);
        if (w->n_counters > 0)
                t = MIN(t, w->counters_since_usec + WRITER_COUNTERS_USEC);
        return t;
}

/* Returns when there is work: jobs, a deadline, the end. true: the time has come to write what
 * waits. */
static bool wait_locked(Writer *w) {
        while (!w->stop && !w->wanted) {
                uint64_t deadline = next_deadline(w), now = now_usec(CLOCK_BOOTTIME), until;
                struct timespec ts;

                if (deadline == USEC_INFINITY) {
                        (void) pthread_cond_wait(&w->wake, &w->mutex);
                        continue;
                }
                if (deadline <= now)
                        return true;
                until = now_usec(CLOCK_MONOTONIC) + (deadline - now);
                ts.tv_sec = (time_t) (until / USEC_PER_SEC);
                ts.tv_nsec = (long) (until % USEC_PER_SEC * 1000);
                (void) pthread_cond_timedwait(&w->wake, &w->mutex, &ts);
        }
        return (w->stop && w->queue.n == 0) || next_deadline(w) <= now_usec(CLOCK_BOOTTIME);
}

/* Takes the next jobs; a query ends them. Counters go along when something is written anyway. */
static void take_locked(Writer *w, JobList *jobs, bool flush) {
        bool writes = flush;
        Job *j;

        while (jobs->n < BATCH_MAX && (j = job_list_pop(&w->queue))) {
                writes = writes || j->type != JOB_QUERY;
                job_list_push(jobs, j);
                if (j->type == JOB_QUERY)
                        break;
        }
        w->wanted = w->queue.n > 0;
        if (!writes)
                return;
        (void) memcpy(w->taken, w->counters, w->n_counters * sizeof *w->taken);
        w->n_taken = w->n_counters;
        w->n_counters = 0;
}

/* One round. false: there is nothing left and no more comes. */
static bool work(Writer *w, bool wait) {
        JobList jobs = {};
        bool flush, go_on;

        (void) pthread_mutex_lock(&w->mutex);
        w->busy_since_usec = 0;
        (void) store_state(&w->store, w->state, sizeof w->state);
        flush = wait ? wait_locked(w) : w->stop && w->queue.n == 0;
        go_on = !w->stop || w->queue.n > 0;
        take_locked(w, &jobs, flush);
        w->busy_since_usec = now_usec(CLOCK_MONOTONIC);
        (void) pthread_mutex_unlock(&w->mutex);
        process(w, &jobs, flush);
        return go_on;
}

static void on_noted(void *userdata, const HistoryRecord *event) {
        Writer *w = userdata;

        (void) pthread_mutex_lock(&w->mutex);
        totals_add_record(&w->totals, event, 1);
        (void) pthread_mutex_unlock(&w->mutex);
}

/* What is stored of former runs; what this one has accepted meanwhile is there already. */
static void read_totals(Writer *w, uint64_t now) {
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof *t);

        if (!t || store_totals(&w->store, t, now) < 0)
                return;
        (void) pthread_mutex_lock(&w->mutex);
        for (size_t i = 0; i < t->n; i++)
                if (totals_add(&w->totals, t->items[i].name, t->items[i].value) < 0)
                        break;
        if (t->since_usec) {
                w->totals.since_usec = t->since_usec;
                w->totals.since_synced = t->since_synced;
        }
        w->totals_read = true;
        (void) pthread_mutex_unlock(&w->mutex);
}

void *writer_main(void *userdata) {
        Writer *w = userdata;
        bool more = false;

        (void) pthread_setname_np(pthread_self(), "mpyd-history");
        w->store.noted = on_noted;
        store_open(&w->store, now_usec(CLOCK_BOOTTIME));
        read_totals(w, now_usec(CLOCK_BOOTTIME));
        while (work(w, !more))
                more = store_maintain(&w->store, now_usec(CLOCK_BOOTTIME));
        store_close(&w->store, now_usec(CLOCK_BOOTTIME));
        for (StreamKind k = 0; k < STREAM_MAX; k++)
                storm_done(&w->streams[k].storm);
        (void) pthread_mutex_lock(&w->mutex);
        w->finished = true;
        (void) pthread_cond_broadcast(&w->ended);
        (void) pthread_mutex_unlock(&w->mutex);
        (void) writer_unref(w);
        return NULL;
}
