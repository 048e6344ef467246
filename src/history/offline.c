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

/* Consumes database. -ESTALE: of an older mpyd, whose daemon has not been started anew yet. */
static int read_open(Database *database, Reader reader, void *userdata) {
        _cleanup_(database_freep) Database *d = database;
        int64_t n;
        int r;

        r = schema_check(d);
        if (r < 0)
                return r;
        if (r > 0 && r < SCHEMA_VERSION)
                return -ESTALE;
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
        return r >= 0 || r == -EBADMSG || r == -EPROTONOSUPPORT || r == -ESTALE ||
               r == -ENOMEM;
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

static int read_migrated(const char *copy, Reader reader, void *userdata) {
        char why[DATABASE_WHY_MAX];
        Database *d;
        int r;

        r = database_open(&d, copy, COPY_MAX, why);
        return r < 0 ? r : read_open(d, reader, userdata);
}

static int copy_and_read(const char *path, const char *dir, bool migrate, Reader reader,
                         void *userdata) {
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
        if (r < 0)
                return r;
        return migrate ? read_migrated(copy, reader, userdata)
                       : read_database(copy, false, reader, userdata);
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
 * read from a copy, which can have one. (The card of a dead board, read-only elsewhere.) And one of
 * an older mpyd is brought up to date in a copy. */
static int read_copy(const char *path, bool migrate, Reader reader, void *userdata) {
        const char *tmp = secure_getenv("TMPDIR");
        _cleanup_free_ char *dir = NULL;
        int r;

        if (asprintf(&dir, "%s/mpyd-history.XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0)
                return -ENOMEM;
        if (!mkdtemp(dir))
                return -errno;
        r = copy_and_read(path, dir, migrate, reader, userdata);
        remove_copies(dir);
        return r;
}

static int read_in_place(const char *path, Reader reader, void *userdata) {
        int r, log;

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
        return is_final(r) || r == -EBUSY ? r : read_alone(path, reader, userdata);
}

static int read_offline(const char *path, Reader reader, void *userdata) {
        int r;

        r = accessible(path);
        if (r < 0)
                return r;
        r = read_in_place(path, reader, userdata);
        if (r == -ESTALE)
                return read_copy(path, true, reader, userdata);
        return is_final(r) || r == -EBUSY ? r : read_copy(path, false, reader, userdata);
}

typedef struct RecordsRead {
        const HistoryQuery *query;
        HistoryRecord *records;
        size_t n;
} RecordsRead;

static int read_records(Database *d, void *userdata) {
        RecordsRead *a = userdata;
        HistoryRecord *records;
        size_t n;
        int r;

        r = rows_query(d, a->query, &records, &n);
        if (r < 0)
                return r;
        (void) history_records_free(a->records, a->n);
        a->records = records;
        a->n = n;
        return 0;
}

int history_read_offline(const char *path, const HistoryQuery *q, HistoryRecord **ret,
                         size_t *ret_n) {
        RecordsRead a = { .query = q };
        int r;

        r = read_offline(path, read_records, &a);
        if (r < 0) {
                (void) history_records_free(a.records, a.n);
                return r;
        }
        *ret = a.records;
        *ret_n = a.n;
        return 0;
}

static int read_totals(Database *d, void *userdata) {
        HistoryTotals *t = userdata;

        *t = (HistoryTotals) {}; /* a second look must not count twice */
        return rows_totals(d, t);
}

int history_read_totals_offline(const char *path, HistoryTotals *ret) {
        _cleanup_free_ HistoryTotals *t = calloc(1, sizeof *t);
        int r;

        if (!t)
                return -ENOMEM;
        r = read_offline(path, read_totals, t);
        if (r >= 0)
                *ret = *t;
        return r;
}
