/* SPDX-License-Identifier: MIT */
/* What the board remembers about itself: each reset with its cause, durable before the next life
 * begins; events; counters. The only user of SQLite. A writer thread owns the database, so that a
 * disk that stalls never stalls the caller; the caller hears of what is durable through its event
 * loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpyd/journal.h"
#include "mpyd/reset.h"
#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct History History;
struct json_t;

#define HISTORY_NAME_MAX 64u /* bytes: events and counters */

/* One line of the history: a reset (how the life before it ended, and as what the next one begins),
 * or an event. Ids of both come from one sequence, in the order in which things happened. */
typedef struct HistoryRecord {
        int64_t id;              /* row, grows with time; 0 when not stored yet */
        char *name;              /* of an event, kebab-case: "daemon-start"; NULL: a reset */
        ResetCause cause;        /* these four of a reset only */
        ResetReason reason;
        ResetKind kind;
        RunReason run_reason;
        char *detail;            /* a sentence: who or what asked ("machine.reset() in main.py") */

        /* The life that ended, or in which the event happened; stage OFF and all else empty when
         * there is none, or when its end was told before by an event of its own (the board fell
         * asleep, mpyd stopped). */
        BoardStage stage;        /* how far it had got */
        int exit_status;         /* as from exit(2), -1 when it did not exit */
        int signal;              /* that killed it, 0 when none did */
        uint64_t uptime_usec;    /* from its start to its end, CLOCK_BOOTTIME */
        char *traceback;         /* last uncaught exception of that life, or NULL */
        char *evidence;          /* of a reset, why that cause: the JSON array of host/evidence.h, or NULL */
        bool crashed;            /* it ended without saying why */

        char boot_id[33];        /* of the host, 32 hex digits */
        uint64_t realtime_usec;  /* wall clock, for people only */
        bool clock_synced;       /* the kernel called the wall clock synchronised */
        uint64_t boottime_usec;  /* CLOCK_BOOTTIME */
        bool delayed;            /* the rate limit held the next board back */
        bool late;               /* the board booted before this was durable (DESIGN 10) */
        uint64_t repeats;        /* how many more just like it followed at storm pace */
} HistoryRecord;

void history_record_done(HistoryRecord *r); /* frees what it owns, zeroes it */
int history_record_copy(const HistoryRecord *r, HistoryRecord *ret) _must_check_;

/* id is the row, or a negative errno: even the in-memory database refused; -ENOBUFS: too much waits
 * for the disk, this hard reset is counted in the repeats of another one; -ECANCELED:
 * history_free() came first, the row may be stored all the same. Each done and each answer that was
 * accepted is called exactly once, always from the loop or from history_free(), never from within
 * the call that asked. */
typedef void (*HistoryDone)(void *userdata, int64_t id);

/* One line for the log: the database was set aside, went to memory, came back. Called on the event
 * loop. */
typedef void (*HistoryReport)(void *userdata, JournalEvent event, const char *message);

/* Opens path (created with mode 0600, its directory is not) on a thread of its own; returns at once
 * and never fails because of the disk: whatever is wrong with the file is reported, and history
 * goes on in a new file or in memory. event is borrowed and must outlive it. max_size, in bytes,
 * bounds the file: the oldest rows go. */
int history_new(History **ret, sd_event *event, const char *path, uint64_t max_size,
                HistoryReport report, void *userdata) _must_check_;

/* Waits for what was submitted, timeout_usec at most (a stuck disk must not stop a shutdown: its
 * thread is left to itself and frees what it owns when the disk lets it go). Who has no answer yet
 * is called with -ECANCELED. Not from within a callback. Always NULL. */
History *history_free(History *h, uint64_t timeout_usec);

/* Stores r (borrowed; copied) and calls done (may be NULL) on the event loop when it is durable.
 * A reset alike to the reset before (cause, kind, stage, exit, signal, detail) at storm pace is
 * counted in that row's repeats instead, written every 30 s, and done is called at once; see
 * storm.h. The same goes for an event alike to the event before. -EINVAL: an enum out of its range,
 * a name that is not kebab-case; -ENOBUFS: the disk hangs and too much waits for it (never for a
 * hard reset). Longer texts are cut, control characters escaped. */
int history_add(History *h, const HistoryRecord *r, HistoryDone done,
                      void *userdata) _must_check_;

/* hold: what is added from now on waits in memory and wakes nobody, for the moment in which the processor
 * is wanted for something else; !hold: it is stored now. */
void history_hold(History *h, bool hold);

/* The board of row id did not wait for it. */
int history_mark_late(History *h, int64_t id);

/* An event that ends no life, stamped with now. */
int history_add_event(History *h, const char *name, const char *detail);

/* counter += delta (it starts at 0, and stays at the ends of its range); names are kebab-case, at
 * most 256 of them. Written with the next reset or event, within 30 s: a script may count in a
 * loop. */
int history_count(History *h, const char *counter, int64_t delta);

/* Which records: newest first. */
typedef struct HistoryQuery {
        int64_t id;              /* only this one; 0 for any */
        uint64_t since_usec;     /* wall clock; 0 for any */
        int64_t before_id;       /* for paging; 0 for any */
        unsigned limit;          /* 1..1000; more is clamped */
        char only[HISTORY_NAME_MAX + 1]; /* "resets", "events", an event's name; empty for any */
} HistoryQuery;

#define HISTORY_ONLY_RESETS "resets"
#define HISTORY_ONLY_EVENTS "events"

/* records: n of them, freed by the callee with history_records_free(). r < 0: nothing was read. */
typedef void (*HistoryAnswer)(void *userdata, int r, HistoryRecord *records, size_t n);
int history_query(History *h, const HistoryQuery *q, HistoryAnswer answer,
                  void *userdata) _must_check_;
HistoryRecord *history_records_free(HistoryRecord *records, size_t n);

/* "ok", or why history is not on disk now; the string is valid until the next call. */
const char *history_state(History *h);

/* Reading without a daemon (mpyctl): the file is not changed, the daemon may live or be dead, the
 * disk may be read-only. Blocks. -ENOENT; -EACCES; -EBADMSG: not a history, or damaged;
 * -EPROTONOSUPPORT: of another version of mpyd. */
int history_read_offline(const char *path, const HistoryQuery *q, HistoryRecord **ret, size_t *ret_n)
        _must_check_;

/* Lifetime totals: each record was counted in the transaction that stored it, so they survive the
 * pruning of old rows and the coalescing of storms. A reset counts as "resets" and by its cause
 * ("power-ons", "hard-resets", "watchdog-resets", "deep-sleep-wakes", "soft-resets", which add up),
 * perhaps as "crashes" and "delayed-resets"; an event under its own name; and then there are those
 * of history_count(). */
#define HISTORY_TOTALS_MAX 320u
typedef struct HistoryTotals {
        uint64_t since_usec;     /* wall clock of the first row; 0: there is none */
        bool since_synced;       /* what that clock was worth */
        size_t n;
        struct {
                char name[HISTORY_NAME_MAX + 1];
                int64_t value;
        } items[HISTORY_TOTALS_MAX]; /* by name */
} HistoryTotals;

int64_t history_totals_get(const HistoryTotals *t, const char *name); /* 0 for what never was */

/* With what was accepted and is not on the disk yet; does not wait for the disk. -EAGAIN: the database
 * has not been opened yet. */
int history_totals(History *h, HistoryTotals *ret) _must_check_;
int history_read_totals_offline(const char *path, HistoryTotals *ret) _must_check_;

/* {"since_usec": …, "since_synced": …, "totals": {name: n}}, and back. */
struct json_t *history_totals_to_json(const HistoryTotals *t);
int history_totals_from_json(const struct json_t *j, HistoryTotals *ret) _must_check_;

/* The one JSON form of a record: the control bus, mpyctl --json and exports all speak it. Keys are
 * the fields' names, and "type" is "reset" or "event"; enums by name; times in microseconds; absent
 * values null. NULL when out of
 * memory. */
struct json_t *history_record_to_json(const HistoryRecord *r);
/* And back; -EINVAL names nothing: the sender was our own daemon. */
int history_record_from_json(const struct json_t *j, HistoryRecord *ret) _must_check_;
