/* SPDX-License-Identifier: MIT */
/* The caller's side of the history: what is asked is checked and queued, what is answered is handed
 * to who asked. All of it on the thread of the event loop. */
#include "history/history.h"

#include <stdio.h>
#include <systemd/sd-event.h>

#include "history/record.h"
#include "history/writer.h"
#include "util/parse.h"

/* Who waits for an answer. The writer's thread never sees these. */
typedef struct Asker Asker;
struct Asker {
        Asker *next;
        uint64_t seq;
        HistoryDone done;
        HistoryAnswer answer;
        void *userdata;
};

struct History {
        Writer *writer;
        sd_event_source *source;
        HistoryReport report;
        void *userdata;
        char boot_id[33];
        char state[WRITER_STATE_MAX];
        uint64_t last_seq;
        Asker *first, *last;
        bool dispatching;
};

DEFINE_CLEANUP(Writer *, writer_unref)

static void asker_push(History *h, Asker *a) {
        if (h->last)
                h->last->next = a;
        else
                h->first = a;
        h->last = a;
}

/* Answers mostly come in the order of the questions: the first one is the right one. */
static Asker *asker_take(History *h, uint64_t seq) {
        Asker *before = NULL, *a = h->first;

        while (a && a->seq != seq) {
                before = a;
                a = a->next;
        }
        if (!a)
                return NULL;
        if (before)
                before->next = a->next;
        else
                h->first = a->next;
        if (h->last == a)
                h->last = before;
        return a;
}

static void tell(Asker *a, Job *j) {
        if (a->done)
                a->done(a->userdata, j->id);
        else if (a->answer && j->r >= 0)
                a->answer(a->userdata, 0, TAKE_PTR(j->records), j->n_records);
        else if (a->answer)
                a->answer(a->userdata, j->r, NULL, 0);
}

static void deliver(History *h, Job *j) {
        _cleanup_free_ Asker *a = NULL;

        if (j->type == JOB_REPORT) {
                if (h->report)
                        h->report(h->userdata, j->event_kind, j->message);
                return;
        }
        a = asker_take(h, j->seq);
        if (a)
                tell(a, j);
}

static int on_answers(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        History *h = userdata;
        Job *j = writer_take_answers(h->writer);

        h->dispatching = true;
        while (j) {
                _cleanup_(job_freep) Job *done = j;

                j = j->next;
                deliver(h, done);
        }
        h->dispatching = false;
        return 0;
}

/* Consumes j. who has one callback, or none. */
static int submit(History *h, Job *j, const Asker *who) {
        _cleanup_(job_freep) Job *job = j;
        _cleanup_free_ Asker *a = NULL;
        int r;

        if (who->done || who->answer) {
                a = malloc(sizeof *a);
                if (!a)
                        return -ENOMEM;
                *a = *who;
                job->seq = a->seq = ++h->last_seq;
        }
        r = writer_submit(h->writer, job);
        if (r < 0)
                return r;
        (void) TAKE_PTR(job);
        if (a) /* before the loop can take the answer */
                asker_push(h, TAKE_PTR(a));
        return 0;
}

int history_add(History *h, const HistoryRecord *record, HistoryDone done, void *userdata) {
        _cleanup_(job_freep) Job *j = NULL;
        int r;

        if (!record_valid(record))
                return -EINVAL;
        j = job_new(JOB_RECORD);
        if (!j)
                return -ENOMEM;
        r = history_record_copy(record, &j->record);
        if (r < 0)
                return r;
        return submit(h, TAKE_PTR(j), &(Asker) { .done = done, .userdata = userdata });
}

void history_hold(History *h, bool hold) {
        writer_hold(h->writer, hold);
}

int history_mark_late(History *h, int64_t id) {
        Job *j;

        if (id <= 0)
                return -EINVAL;
        j = job_new(JOB_LATE);
        if (!j)
                return -ENOMEM;
        j->id = id;
        return submit(h, j, &(Asker) {});
}

int history_add_event(History *h, const char *name, const char *detail) {
        HistoryRecord event = {
                .name = (char *) name,
                .detail = (char *) detail,
                .exit_status = -1,
        };

        if (!name)
                return -EINVAL;
        record_stamp(&event, h->boot_id);
        return history_add(h, &event, NULL, NULL);
}

static int submit_boot(History *h) {
        Job *j = job_new(JOB_BOOT);

        if (!j)
                return -ENOMEM;
        record_stamp(&j->record, h->boot_id);
        return submit(h, j, &(Asker) {});
}

int history_count(History *h, const char *counter, int64_t delta) {
        if (!record_name_valid(counter))
                return -EINVAL;
        return writer_count(h->writer, counter, delta);
}

int history_query(History *h, const HistoryQuery *q, HistoryAnswer answer, void *userdata) {
        Job *j;

        if (q->id < 0 || q->before_id < 0)
                return -EINVAL;
        j = job_new(JOB_QUERY);
        if (!j)
                return -ENOMEM;
        j->query = *q;
        return submit(h, j, &(Asker) { .answer = answer, .userdata = userdata });
}

int history_totals(History *h, HistoryTotals *ret) {
        return writer_totals(h->writer, ret);
}

const char *history_state(History *h) {
        writer_state(h->writer, h->state);
        return h->state;
}

int history_new(History **ret, sd_event *event, const char *path, uint64_t max_size,
                HistoryReport report, void *userdata) {
        _cleanup_free_ History *h = calloc(1, sizeof *h);
        _cleanup_(writer_unrefp) Writer *w = NULL;
        int r;

        if (!h)
                return -ENOMEM;
        h->report = report;
        h->userdata = userdata;
        record_read_boot_id(h->boot_id);
        r = writer_new(&w, path, max_size, h->boot_id);
        if (r < 0)
                return r;
        h->writer = w;
        r = sd_event_add_io(event, &h->source, writer_fd(w), EPOLLIN, on_answers, h);
        if (r >= 0) {
                (void) sd_event_source_set_description(h->source, "history");
                r = submit_boot(h);
        }
        if (r < 0) {
                sd_event_source_disable_unref(h->source);
                (void) writer_stop(w, 0);
                return r;
        }
        TAKE_PTR(w);
        *ret = TAKE_PTR(h);
        return 0;
}

/* Nobody waits for ever: who has no answer yet gets one now. */
static void cancel_askers(History *h) {
        Asker *a;

        while ((a = h->first)) {
                Job none = { .type = JOB_MAX };

                h->first = a->next;
                if (!h->first)
                        h->last = NULL;
                none.id = none.r = -ECANCELED;
                tell(a, &none);
                free(a);
        }
}

History *history_free(History *h, uint64_t timeout_usec) {
        char span[TIMESPAN_MAX], message[128];
        Job *j;

        if (!h)
                return NULL;
        assert(!h->dispatching);
        sd_event_source_disable_unref(h->source);
        if (!writer_stop(h->writer, timeout_usec) && h->report) {
                (void) snprintf(message, sizeof message,
                                "The disk did not take the last records of the history within %s.",
                                format_timespan(span, sizeof span, timeout_usec));
                h->report(h->userdata, JOURNAL_HISTORY_LOST, message);
        }
        j = writer_take_answers(h->writer);
        while (j) {
                _cleanup_(job_freep) Job *done = j;

                j = j->next;
                if (done->type == JOB_REPORT)
                        deliver(h, done);
        }
        cancel_askers(h);
        (void) writer_unref(h->writer);
        free(h);
        return NULL;
}
