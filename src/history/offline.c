/* SPDX-License-Identifier: MIT */
/* The history read by another program, whether the daemon lives or not, and without a change to the
 * file: the disk may be read-only, or evidence. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "history/rows.h"
#include "history/schema.h"
#include "util/io.h"

#define COPY_MAX (256u * 1024u * 1024u) /* bytes; far above any sensible max-size */

/* What is asked of the open database. */
typedef int (*Reader)(Database *d, void *userdata);

static int accessible(const char *path) {
        struct stat st;

        /* Before it is opened, which a FIFO would hold up and which would drop another's locks. */
        if (stat(path, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        return access(path, R_OK) < 0 ? -errno : 0;
}

static int exists_beside(const char *path, const char *suffix) {
        _cleanup_free_ char *name = NULL;

        if (asprintf(&name, "%s%s", path, suffix) < 0)
                return -ENOMEM;
        return access(name, F_OK) >= 0;
}

/* Is there a log beside it that has to be read too? A daemon that lives always has one. */
static int has_log(const char *path) {
        int wal = exists_beside(path, "-wal"), journal = exists_beside(path, "-journal");

        return wal < 0 ? wal : journal < 0 ? journal : wal || journal;
}

/* Consumes database. */
static int read_open(Database *database, Reader reader, void *userdata) {
        _cleanup_(database_freep) Database *d = database;
        int64_t n;
        int r;

        r = schema_check(d);
        if (r < 0)
                return r;
        if (r == 0) { /* just created, or from before the first release */
                r = database_read_int(d, "SELECT count(*) FROM sqlite_master", &n);
                return r < 0 ? r : n == 0 ? 0 : -EPROTONOSUPPORT;
        }
        return reader(d, userdata);
}

static int read_database(const char *path, bool immutable, Reader reader, void *userdata) {
        Database *d;
        int r;

        r = database_open_readonly(&d, path, immutable);
        return r < 0 ? r : read_open(d, reader, userdata);
}

static int read_alone(const char *path, Reader reader, void *userdata) {
        Database *d;
        int r;

        r = database_open_alone(&d, path);
        return r < 0 ? r : read_open(d, reader, userdata);
}

/* Is it the file that is wrong, rather than what surrounds it? */
static bool is_final(int r) {
        return r >= 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -ENOMEM;
}

static int copy_file(const char *from, const char *to) {
        _cleanup_free_ char *data = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size;
        int r;

        r = read_file(AT_FDCWD, from, COPY_MAX, &data, &size);
        if (r < 0)
                return r;
        fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : write_all(fd, data, size);
}

static int copy_and_read(const char *path, const char *dir, Reader reader, void *userdata) {
        static const char *const suffixes[] = { "", "-wal", "-journal" };
        _cleanup_free_ char *copy = NULL;
        int r = 0;

        if (asprintf(&copy, "%s/history.db", dir) < 0)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *from = NULL, *to = NULL;

                if (asprintf(&from, "%s%s", path, suffixes[i]) < 0 ||
                    asprintf(&to, "%s%s", copy, suffixes[i]) < 0)
                        r = -ENOMEM;
                else
                        r = copy_file(from, to);
                if (r == -ENOENT && i > 0)
                        r = 0;
        }
        return r < 0 ? r : read_database(copy, false, reader, userdata);
}

static void remove_copies(const char *dir) {
        static const char *const names[] = {
                "history.db", "history.db-wal", "history.db-shm", "history.db-journal",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *name = NULL;

                if (asprintf(&name, "%s/%s", dir, names[i]) >= 0)
                        (void) unlink(name);
        }
        (void) rmdir(dir);
}

/* A log without its index, where no index can be made: the newest resets are in that log, so it is
 * read from a copy, which can have one. (The card of a dead board, read-only elsewhere.) */
static int read_copy(const char *path, Reader reader, void *userdata) {
        const char *tmp = secure_getenv("TMPDIR");
        _cleanup_free_ char *dir = NULL;
        int r;

        if (asprintf(&dir, "%s/mpyd-history.XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0)
                return -ENOMEM;
        if (!mkdtemp(dir))
                return -errno;
        r = copy_and_read(path, dir, reader, userdata);
        remove_copies(dir);
        return r;
}

static int read_offline(const char *path, Reader reader, void *userdata) {
        int r, log;

        r = accessible(path);
        if (r < 0)
                return r;
        log = has_log(path);
        if (log < 0)
                return log;
        if (log == 0) {
                r = read_database(path, true, reader, userdata);
                /* A daemon that came up meanwhile may have written under our eyes. */
                if (has_log(path) == 0)
                        return r;
        }
        r = read_database(path, false, reader, userdata);
        if (is_final(r) || r == -EBUSY)
                return r;
        r = read_alone(path, reader, userdata);
        return is_final(r) ? r : read_copy(path, reader, userdata);
}

typedef struct ResetsRead {
        const HistoryQuery *query;
        HistoryReset *resets;
        size_t n;
} ResetsRead;

static int read_resets(Database *d, void *userdata) {
        ResetsRead *a = userdata;
        HistoryReset *resets;
        size_t n;
        int r;

        r = rows_query(d, a->query, &resets, &n);
        if (r < 0)
                return r;
        (void) history_resets_free(a->resets, a->n);
        a->resets = resets;
        a->n = n;
        return 0;
}

int history_read_offline(const char *path, const HistoryQuery *q, HistoryReset **ret,
                         size_t *ret_n) {
        ResetsRead a = { .query = q };
        int r;

        r = read_offline(path, read_resets, &a);
        if (r < 0) {
                (void) history_resets_free(a.resets, a.n);
                return r;
        }
        *ret = a.resets;
        *ret_n = a.n;
        return 0;
}

typedef struct EventsRead {
        unsigned limit;
        HistoryEvent *events;
        size_t n;
} EventsRead;

static int read_events(Database *d, void *userdata) {
        EventsRead *a = userdata;
        HistoryEvent *events;
        size_t n;
        int r;

        r = rows_events(d, a->limit, &events, &n);
        if (r < 0)
                return r;
        (void) history_events_free(a->events, a->n);
        a->events = events;
        a->n = n;
        return 0;
}

int history_read_events_offline(const char *path, unsigned limit, HistoryEvent **ret,
                                size_t *ret_n) {
        EventsRead a = { .limit = limit };
        int r;

        r = read_offline(path, read_events, &a);
        if (r < 0) {
                (void) history_events_free(a.events, a.n);
                return r;
        }
        *ret = a.events;
        *ret_n = a.n;
        return 0;
}

/* Kept until it is clear that they are right: a second look must not call back twice. */
typedef struct CountersRead {
        struct {
                char name[65];
                int64_t value;
        } items[ROWS_COUNTERS_MAX];
        size_t n;
} CountersRead;

static void keep_counter(void *userdata, const char *name, int64_t value) {
        CountersRead *a = userdata;

        if (a->n >= ELEMENTSOF(a->items))
                return;
        (void) snprintf(a->items[a->n].name, sizeof a->items[a->n].name, "%s", name);
        a->items[a->n++].value = value;
}

static int read_counters(Database *d, void *userdata) {
        CountersRead *a = userdata;

        a->n = 0;
        return rows_counters(d, keep_counter, a);
}

int history_read_counters_offline(const char *path,
                                  void (*cb)(void *userdata, const char *name, int64_t value),
                                  void *userdata) {
        CountersRead a = {};
        int r;

        r = read_offline(path, read_counters, &a);
        if (r < 0)
                return r;
        for (size_t i = 0; i < a.n; i++)
                cb(userdata, a.items[i].name, a.items[i].value);
        return 0;
}
