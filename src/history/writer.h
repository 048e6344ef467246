/* SPDX-License-Identifier: MIT */
/* The thread that owns the database. Jobs go in through a bounded queue and come back as answers,
 * an eventfd says that there are some. Nothing here waits for the disk but writer_stop(). */
#pragma once

#include "history/history.h"
#include "history/storm.h"

#define WRITER_QUEUE_MAX 128u        /* jobs that wait */
#define WRITER_QUEUE_HARD_MAX 1024u  /* the same with hard resets, which are never refused */
#define WRITER_COUNTERS_MAX 64u      /* different names that wait */
#define WRITER_COUNTERS_USEC                                                                       \
        UINT64_C(30000000) /* a counter waits so long for something to go with */
#define WRITER_STATE_MAX 128u

typedef struct Writer Writer;

typedef enum JobType {
        JOB_RECORD = 0,
        JOB_BOOT,    /* the daemon started: record is the stamp */
        JOB_LATE,    /* id is the reset */
        JOB_QUERY,
        JOB_REPORT,  /* only as an answer */
        JOB_MAX,
        JOB_INVALID = -EINVAL,
} JobType;

typedef struct Job Job;
struct Job {
        Job *next;
        JobType type;
        uint64_t seq;           /* of the asker's; 0: no answer is wanted */
        int64_t id;             /* JOB_LATE; answer to JOB_RECORD */
        union {
                HistoryRecord record;
                struct {
                        HistoryQuery query;
                        HistoryRecord *records;
                        size_t n_records;
                };
                struct {
                        JournalEvent event_kind;
                        char *message;
                };
        };
        int r;                  /* answer to JOB_QUERY */
        StormVerdict verdict;   /* JOB_RECORD: the writer's own */
};

Job *job_new(JobType type); /* NULL: out of memory */
Job *job_free(Job *j);      /* with all that it owns; always NULL */
DEFINE_CLEANUP(Job *, job_free)

int writer_new(Writer **ret, const char *path, uint64_t max_size, const char *boot_id) _must_check_;

/* Readable when there are answers; the writer's. */
int writer_fd(Writer *w);

/* Consumes j on success. -ENOBUFS: too much is waiting for the disk. When that is so, a hard reset
 * is counted in a waiting one (alike, if there is such) and answered at once with -ENOBUFS. */
int writer_submit(Writer *w, Job *j) _must_check_;

/* As long as it is held, a record that is submitted waits in the queue, for a question or until it is
 * not held any more; what the thread does already it ends. */
void writer_hold(Writer *w, bool hold);

/* Waits for the next write, WRITER_COUNTERS_USEC at most. -ENOBUFS: too many names. */
int writer_count(Writer *w, const char *name, int64_t delta) _must_check_;

/* Of all that is stored or was accepted. -EAGAIN: nothing is known of what is stored yet. */
int writer_totals(Writer *w, HistoryTotals *ret) _must_check_;

/* The answers so far, oldest first; the caller's. */
Job *writer_take_answers(Writer *w);

/* Into ret: "ok", or why history is not on disk. */
void writer_state(Writer *w, char ret[static WRITER_STATE_MAX]);

/* Takes no more jobs, waits for those that there are and for the database to be closed, at most
 * timeout_usec. false: the disk is stuck. The thread is left to itself then and frees what is its
 * own when the disk lets it go. w is the caller's until writer_unref() either way. */
bool writer_stop(Writer *w, uint64_t timeout_usec);
Writer *writer_unref(Writer *w); /* always NULL */
