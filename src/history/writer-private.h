/* SPDX-License-Identifier: MIT */
/* What the two halves of the writer share: writer.c on the caller's thread, writer-thread.c. */
#pragma once

#include <pthread.h>

#include "history/record.h"
#include "history/store.h"
#include "history/writer.h"

typedef struct JobList {
        Job *first, *last;
        size_t n;
} JobList;

typedef struct CounterDelta {
        char name[HISTORY_NAME_MAX + 1];
        int64_t delta;
} CounterDelta;

/* Resets and events, of which each may be in a storm. */
typedef enum StreamKind {
        STREAM_RESETS = 0,
        STREAM_EVENTS,
        STREAM_MAX,
} StreamKind;

typedef struct Stream {
        Storm storm;
        int64_t row;               /* of the last one that has one */
        uint64_t repeats;          /* of that row, not written yet */
        uint64_t repeats_since_usec; /* CLOCK_BOOTTIME */
} Stream;

struct Writer {
        pthread_mutex_t mutex;
        pthread_cond_t wake;       /* the thread: there is something to do */
        pthread_cond_t ended;      /* writer_stop(): it is done */

        /* under the mutex */
        unsigned refs;             /* the caller's and the thread's: who goes last frees */
        bool stop, finished;
        bool held;                 /* what is submitted does not wake the thread */
        bool wanted;               /* there are jobs that do not wait for the end of that */
        JobList queue, answers;
        unsigned n_reports;        /* among the answers since they were taken */
        unsigned n_refused, n_merged;
        CounterDelta counters[WRITER_COUNTERS_MAX];
        size_t n_counters;
        uint64_t counters_since_usec; /* CLOCK_BOOTTIME */
        uint64_t busy_since_usec;  /* CLOCK_MONOTONIC; 0: the thread waits for work */
        char state[WRITER_STATE_MAX];
        HistoryTotals totals;      /* of what is stored, once it was read, and of what was accepted */
        bool totals_read;

        /* constant */
        int event_fd;
        pthread_t thread;

        /* the thread's own */
        Store store;
        Stream streams[STREAM_MAX];
        CounterDelta taken[WRITER_COUNTERS_MAX];
        size_t n_taken;
};

void job_list_push(JobList *l, Job *j);
Job *job_list_pop(JobList *l);
void job_list_done(JobList *l);

void writer_answer_locked(Writer *w, Job *j);
void writer_report(void *userdata, JournalEvent event, const char *message);
void *writer_main(void *userdata);
