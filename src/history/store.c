/* SPDX-License-Identifier: MIT */
/* Where the rows go: to the file, and to memory while the file cannot be had. */
#include "history/store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "history/record.h"
#include "history/rows.h"
#include "history/set-aside.h"
#include "history/totals.h"
#include "history/trouble.h"
#include "util/parse.h"

#define TRIES 3u          /* file, its replacement, memory */
#define COMMITS_MAX 64u   /* between two looks at the size */
#define CALM_USEC (10 * USEC_PER_MINUTE) /* on the disk: the next trouble is a new one */

static void _printf_(3, 4) report(Store *s, JournalEvent event, const char *format, ...) {
        char message[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(message, sizeof message, format, ap);
        va_end(ap);
        s->report(s->userdata, event, message);
}

/* Remembers one event of the history's own. Without memory there is none. */
static void note_event(Store *s, const char *name, const char *detail) {
        HistoryRecord e = {};

        record_stamp(&e, s->boot_id);
        e.name = strdup(name);
        if (!e.name || record_copy_detail(detail, &e.detail) < 0) {
                history_record_done(&e);
                return;
        }
        history_record_done(&s->event);
        s->event = e;
        if (s->noted)
                s->noted(s->userdata, &s->event);
}

int store_init(Store *s, const char *path, uint64_t max_size, const char *boot_id, StoreReport cb,
               void *userdata) {
        Store n = { .max_size = max_size, .report = cb, .userdata = userdata };

        n.path = strdup(path);
        if (!n.path)
                return -ENOMEM;
        (void) memcpy(n.boot_id, boot_id, sizeof n.boot_id);
        *s = n;
        return 0;
}

/* ---- the file ---- */

/* Opens the file and learns its last id. */
static int open_and_look(Store *s, Database **ret, char why[static DATABASE_WHY_MAX]) {
        _cleanup_(database_freep) Database *d = NULL;
        int64_t id = 0;
        int r;

        r = database_open(&d, s->path, s->max_size, why);
        if (r < 0)
                return r;
        r = rows_last_id(d, &id);
        if (r < 0) {
                (void) memcpy(why, d->why, DATABASE_WHY_MAX);
                return r;
        }
        s->last_id = MAX(s->last_id, id);
        s->prune = true;
        *ret = TAKE_PTR(d);
        return 0;
}

/* Puts the damaged file, which is closed, aside and begins a new one. */
static int replace_damaged(Store *s, Database **ret, const char *why) {
        char new_why[DATABASE_WHY_MAX];
        _cleanup_free_ char *name = NULL;
        int r;

        if (s->n_set_aside >= STORE_SET_ASIDE_MAX)
                return -EBADMSG;
        r = set_aside(s->path, &name);
        if (r < 0)
                return r;
        s->n_set_aside++;
        report(s, JOURNAL_HISTORY_SET_ASIDE, "%s could not be used (%s). It is kept as %s; a new history begins.",
               s->path, *why ? why : "damaged", name);
        note_event(s, "history-set-aside", name);
        return open_and_look(s, ret, new_why);
}

static int open_disk(Store *s, Database **ret) {
        char why[DATABASE_WHY_MAX];
        int r;

        r = open_and_look(s, ret, why);
        return r == -EBADMSG ? replace_damaged(s, ret, why) : r;
}

/* ---- memory ---- */

static void delay_retry(Store *s, int error, uint64_t now) {
        s->trouble = error;
        if (error == -EPROTONOSUPPORT) {
                s->retry_at_usec = USEC_INFINITY;
                return;
        }
        s->retry_interval_usec = MIN(MAX(2 * s->retry_interval_usec, STORE_RETRY_MIN_USEC),
                                     STORE_RETRY_MAX_USEC);
        s->retry_at_usec = now + s->retry_interval_usec;
}

/* Ids go on where those of a file end that can be read at least. */
static void learn_last_id(Store *s) {
        HistoryRecord *newest = NULL;
        size_t n = 0;

        if (s->last_id > 0 ||
            history_read_offline(s->path, &(HistoryQuery) { .limit = 1 }, &newest, &n) < 0)
                return;
        if (n > 0)
                s->last_id = newest[0].id;
        (void) history_records_free(newest, n);
}

static int ensure_memory(Store *s) {
        _cleanup_(database_freep) Database *d = NULL;
        int r;

        if (s->memory)
                return 0;
        r = database_open_memory(&d);
        if (r >= 0)
                r = rows_memory_prepare(d);
        if (r >= 0)
                s->memory = TAKE_PTR(d);
        return r;
}

/* For reports: none when even that cannot be told. */
static int64_t resets_in_memory(Store *s) {
        int64_t n;

        if (!s->memory || database_read_int(s->memory, "SELECT count(*) FROM resets", &n) < 0)
                return 0;
        return n;
}

static void go_to_memory(Store *s, int error, uint64_t now) {
        if (s->disk_since_usec && now - s->disk_since_usec >= CALM_USEC)
                s->retry_interval_usec = 0;
        delay_retry(s, error, now);
        learn_last_id(s);
        (void) ensure_memory(s); /* tried again with each write */
        report(s, JOURNAL_HISTORY_IN_MEMORY, "History is kept in memory, not in %s: %s. %s", s->path,
               trouble_what(error), trouble_advice(error));
}

/* The file in use failed. Afterwards there is another database, if any can be had. */
static void disk_failed(Store *s, int error, uint64_t now) {
        char why[DATABASE_WHY_MAX];

        (void) memcpy(why, s->disk->why, sizeof why);
        s->disk = database_free(s->disk);
        if (error == -EBADMSG)
                error = replace_damaged(s, &s->disk, why);
        else if (error == -ESTALE)
                error = open_disk(s, &s->disk);
        if (error < 0)
                go_to_memory(s, error, now);
}

static int transfer(Store *s, Database *disk) {
        int64_t first = 0, last = 0, shift = 0;
        int r;

        r = rows_id_range(s->memory, &first, &last);
        if (r >= 0)
                r = database_begin(disk);
        if (r < 0)
                return r;
        r = rows_transfer(s->memory, disk, &shift);
        if (r >= 0)
                r = database_commit(disk);
        if (r < 0) {
                database_rollback(disk);
                return r;
        }
        if (shift) {
                s->shift = shift;
                s->shift_first = first;
                s->shift_last = last;
                s->last_id = MAX(s->last_id, last + shift);
        }
        return 0;
}

/* Writes what is in memory to disk (consumed), or to the one that replaces it. */
static int move_to_disk(Store *s, Database *disk) {
        char why[DATABASE_WHY_MAX];
        int r;

        for (;;) {
                r = s->memory ? transfer(s, disk) : 0;
                if (r >= 0) {
                        s->disk = disk;
                        return 0;
                }
                (void) memcpy(why, disk->why, sizeof why);
                disk = database_free(disk);
                if (r == -EBADMSG)
                        r = replace_damaged(s, &disk, why);
                if (r < 0)
                        return r;
        }
}

void store_retry(Store *s, uint64_t now) {
        Database *disk = NULL;
        int64_t n;
        int r;

        if (s->disk || s->retry_at_usec == USEC_INFINITY)
                return;
        n = resets_in_memory(s);
        r = open_disk(s, &disk);
        if (r >= 0)
                r = move_to_disk(s, disk);
        if (r < 0) {
                delay_retry(s, r, now);
                return;
        }
        s->memory = database_free(s->memory);
        s->disk_since_usec = now;
        report(s, JOURNAL_HISTORY_ON_DISK_AGAIN, "History is in %s again; %" PRIi64 " resets were kept for it.",
               s->path, n);
        note_event(s, "history-on-disk-again", trouble_what(s->trouble));
        s->trouble = 0;
}

uint64_t store_retry_at(const Store *s) {
        return s->disk ? USEC_INFINITY : s->retry_at_usec;
}

void store_open(Store *s, uint64_t now) {
        int r = open_disk(s, &s->disk);

        s->disk_since_usec = now;
        if (r < 0)
                go_to_memory(s, r, now);
}

void store_close(Store *s, uint64_t now) {
        int64_t n;

        if (!s->disk)
                store_retry(s, now);
        n = resets_in_memory(s);
        if (n > 0)
                report(s, JOURNAL_HISTORY_LOST, "%" PRIi64 " resets that %s did not take are forgotten.", n,
                       s->path);
        s->disk = database_free(s->disk);
        s->memory = database_free(s->memory);
        history_record_done(&s->event);
        free(s->path);
        *s = (Store) {};
}

/* ---- use ---- */

static int apply_once(Store *s, Database *d, StoreApply apply, void *userdata) {
        int64_t id;
        int r;

        r = database_begin(d);
        if (r < 0)
                return r;
        r = s->event.name ? rows_add(d, s->last_id + 1, &s->event, &id) : 0;
        if (r >= 0)
                r = apply(d, userdata);
        if (r >= 0 && d->in_memory)
                r = rows_trim(d, STORE_MEMORY_ROWS);
        if (r >= 0)
                r = database_commit(d);
        if (r < 0)
                database_rollback(d);
        return r;
}

int store_apply(Store *s, StoreApply apply, void *userdata, uint64_t now) {
        int r = 0;

        if (s->disk && database_moved(s->disk)) {
                report(s, JOURNAL_HISTORY_MOVED, "%s was moved away while in use; a new history begins.",
                       s->path);
                disk_failed(s, -ESTALE, now);
        }
        if (!s->disk && now >= s->retry_at_usec)
                store_retry(s, now);
        for (unsigned i = 0; i < TRIES; i++) {
                int64_t id;
                Database *d;

                r = s->disk ? 0 : ensure_memory(s);
                if (r < 0)
                        return r;
                d = s->disk ?: s->memory;
                r = apply_once(s, d, apply, userdata);
                if (r >= 0) {
                        history_record_done(&s->event);
                        s->n_commits++;
                        if (rows_last_id(d, &id) >= 0)
                                s->last_id = MAX(s->last_id, id);
                        return 0;
                }
                if (!s->disk)
                        return r;
                disk_failed(s, r, now);
        }
        return r;
}

/* Appends to the n resets of memory what an unwritable file still tells. */
static void append_older(Store *s, const HistoryQuery *q, HistoryRecord **resets, size_t *n) {
        HistoryQuery older = *q;
        HistoryRecord *more = NULL, *both;
        size_t n_more = 0;

        if (*n >= q->limit)
                return;
        older.limit = q->limit - (unsigned) *n;
        if (*n > 0)
                older.before_id = (*resets)[*n - 1].id;
        if (history_read_offline(s->path, &older, &more, &n_more) < 0 || n_more == 0)
                return;
        both = reallocarray(*resets, *n + n_more, sizeof *both);
        if (!both) {
                (void) history_records_free(more, n_more);
                return;
        }
        (void) memcpy(both + *n, more, n_more * sizeof *more);
        free(more);
        *resets = both;
        *n += n_more;
}

int store_query(Store *s, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n, uint64_t now) {
        HistoryQuery bounded = *q;
        int r = 0;

        bounded.limit = MIN(MAX(q->limit, 1u), ROWS_QUERY_MAX);
        bounded.id = store_id(s, q->id);
        for (unsigned i = 0; i < TRIES; i++) {
                r = s->disk ? 0 : ensure_memory(s);
                if (r < 0)
                        return r;
                r = rows_query(s->disk ?: s->memory, &bounded, ret, ret_n);
                if (r >= 0)
                        break;
                if (!s->disk || r == -ENOMEM)
                        return r;
                disk_failed(s, r, now);
        }
        if (r >= 0 && !s->disk)
                append_older(s, &bounded, ret, ret_n);
        return r;
}

int store_totals(Store *s, HistoryTotals *t, uint64_t now) {
        _cleanup_free_ HistoryTotals *older = calloc(1, sizeof *older);
        int r = older ? 0 : -ENOMEM;

        for (unsigned i = 0; r >= 0 && i < TRIES; i++) {
                r = s->disk ? 0 : ensure_memory(s);
                if (r < 0)
                        return r;
                *t = (HistoryTotals) {};
                r = rows_totals(s->disk ?: s->memory, t);
                if (r >= 0 || !s->disk || r == -ENOMEM)
                        break;
                disk_failed(s, r, now);
                r = 0;
        }
        if (r < 0 || s->disk || history_read_totals_offline(s->path, older) < 0)
                return r;
        if (older->since_usec) {
                t->since_usec = older->since_usec;
                t->since_synced = older->since_synced;
        }
        for (size_t i = 0; i < older->n; i++)
                if (totals_add(t, older->items[i].name, older->items[i].value) < 0)
                        break;
        return 0;
}

bool store_maintain(Store *s, uint64_t now) {
        int r = 0;

        if (!s->disk)
                return false;
        if (s->disk->wal_pages >= database_wal_limit(s->max_size) || s->n_commits >= COMMITS_MAX) {
                s->n_commits = 0;
                s->prune = true;
                r = database_checkpoint(s->disk);
        }
        if (r >= 0 && s->prune) {
                r = rows_prune(s->disk, s->max_size);
                s->prune = r > 0;
        }
        if (r < 0 && r != -EBUSY) /* a reader is in the way: the next time */
                disk_failed(s, r, now);
        return s->prune;
}

int64_t store_id(const Store *s, int64_t id) {
        return s->shift && id >= s->shift_first && id <= s->shift_last ? id + s->shift : id;
}

char *store_state(const Store *s, char *buf, size_t size) {
        if (s->disk)
                (void) snprintf(buf, size, "ok");
        else
                (void) snprintf(buf, size, "in memory: %s", trouble_what(s->trouble));
        return buf;
}
