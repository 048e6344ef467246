/* SPDX-License-Identifier: MIT */
/* One SQLite connection that belongs to one thread, and what SQLite says turned into errno. */
#include "history/database.h"

#include <fcntl.h>
#include <stdio.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

#include "history/schema.h"
#include "util/parse.h"
#include "util/text.h"

#define BUSY_TIMEOUT_MSEC 2000          /* somebody with the sqlite3 shell */
#define CHECK_USEC (300 * USEC_PER_MSEC) /* of a file that was not closed in good order */
#define VALUE_MAX (1024 * 1024)         /* bytes; a damaged length must not become an allocation */
#define PAGE_SIZE 4096u
#define WAL_PAGES_MIN 8u
#define WAL_PAGES_MAX 256u
#define HEADER "SQLite format 3"        /* with its NUL */

/* Which errno is "no room": SQLite knows ENOSPC alone, and calls the others I/O errors. */
static bool is_full(int e) {
        return e == ENOSPC || e == EDQUOT || e == EFBIG;
}

/* The last errno of the file itself; sqlite3_system_errno() is of whatever came after. */
static int file_errno(Database *d, int file) {
        sqlite3_file *f = NULL;
        int e = 0;

        if (sqlite3_file_control(d->db, "main", file, &f) != SQLITE_OK || !f || !f->pMethods ||
            f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &e) != SQLITE_OK)
                return 0;
        return e;
}

/* What the disk said below an I/O error. The connection is closed after one, so it is not of an
 * earlier error. */
static int io_error(Database *d, int extended) {
        if (extended == SQLITE_IOERR_NOMEM)
                return -ENOMEM;
        if (extended == SQLITE_IOERR_SHORT_READ)
                return -EBADMSG;
        if (is_full(sqlite3_system_errno(d->db)) ||
            is_full(file_errno(d, SQLITE_FCNTL_JOURNAL_POINTER)) ||
            is_full(file_errno(d, SQLITE_FCNTL_FILE_POINTER)))
                return -ENOSPC;
        if (sqlite3_system_errno(d->db) == EROFS)
                return -EROFS;
        return -EIO;
}

/* Our rows have a few kilobytes. If so much more can be had, it was a damaged row that asked for more
 * than there is. */
static bool memory_is_there(void) {
        void *p = sqlite3_malloc(1024 * 1024);

        sqlite3_free(p);
        return p;
}

int database_error(Database *d, int sqlite_rc) {
        int extended = sqlite3_extended_errcode(d->db);
        const char *text = sqlite3_errmsg(d->db);

        if ((extended & 0xff) != (sqlite_rc & 0xff)) { /* of another call */
                extended = sqlite_rc;
                text = sqlite3_errstr(sqlite_rc);
        }
        (void) text_sanitise(d->why, sizeof d->why, text, strlen(text), false);

        if (extended == SQLITE_READONLY_DBMOVED)
                return -ESTALE;
        switch (extended & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
        case SQLITE_ERROR: /* our SQL is right, so its tables are not ours */
        case SQLITE_SCHEMA:
        case SQLITE_MISMATCH:
        case SQLITE_CONSTRAINT:
        case SQLITE_TOOBIG:
        case SQLITE_FORMAT:
                return -EBADMSG;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_PERM:
        case SQLITE_AUTH:
                return -EACCES;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_PROTOCOL:
                return -EBUSY;
        case SQLITE_NOMEM:
                return memory_is_there() ? -EBADMSG : -ENOMEM;
        case SQLITE_INTERRUPT:
                return -ECANCELED;
        case SQLITE_CANTOPEN:
                return sqlite3_system_errno(d->db) > 0 ? -sqlite3_system_errno(d->db) : -EIO;
        case SQLITE_IOERR:
                return io_error(d, extended);
        default: /* of SQLite's codes, which grow */
                return -EIO;
        }
}

int database_exec(Database *d, const char *sql) {
        return database_error(d, sqlite3_exec(d->db, sql, NULL, NULL, NULL));
}

int database_prepare(Database *d, const char *sql, sqlite3_stmt **ret) {
        return database_error(d, sqlite3_prepare_v2(d->db, sql, -1, ret, NULL));
}

int database_step(Database *d, sqlite3_stmt *s) {
        int rc = sqlite3_step(s);

        return rc == SQLITE_ROW ? 1 : database_error(d, rc);
}

sqlite3_stmt *statement_free(sqlite3_stmt *s) {
        (void) sqlite3_finalize(s);
        return NULL;
}

int database_read_int(Database *d, const char *sql, int64_t *ret) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        int r;

        r = database_prepare(d, sql, &s);
        if (r >= 0)
                r = database_step(d, s);
        if (r < 0)
                return r;
        *ret = r > 0 ? sqlite3_column_int64(s, 0) : 0;
        return 0;
}

int database_begin(Database *d) {
        return database_exec(d, "BEGIN IMMEDIATE");
}

int database_commit(Database *d) {
        int r = database_exec(d, "COMMIT");

        if (r < 0)
                database_rollback(d);
        return r;
}

/* Leaves in d->why what made it necessary. */
void database_rollback(Database *d) {
        if (!sqlite3_get_autocommit(d->db))
                (void) sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
}

int database_wal_limit(uint64_t max_size) {
        uint64_t pages = max_size / 16 / PAGE_SIZE;

        return (int) MIN(MAX(pages, WAL_PAGES_MIN), WAL_PAGES_MAX);
}

int database_checkpoint(Database *d) {
        d->wal_pages = 0; /* a reader may keep some back: then the next time */
        if (d->in_memory)
                return 0;
        return database_error(
                d, sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
}

bool database_moved(Database *d) {
        int moved = 0;

        return !d->in_memory &&
               sqlite3_file_control(d->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
               moved;
}

Database *database_free(Database *d) {
        if (!d)
                return NULL;
        (void) sqlite3_close(d->db);
        free(d);
        return NULL;
}

static int on_wal(void *userdata, _unused_ sqlite3 *db, _unused_ const char *name, int pages) {
        Database *d = userdata;

        d->wal_pages = pages;
        return SQLITE_OK;
}

/* locking is "NORMAL" or "EXCLUSIVE", which has to be known before the first look at the file. */
static int connect(Database **ret, const char *path, int flags, const char *locking) {
        char sql[160];
        _cleanup_(database_freep) Database *d = calloc(1, sizeof *d);
        int rc, r;

        if (!d)
                return -ENOMEM;
        rc = sqlite3_open_v2(path, &d->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                             NULL);
        if (!d->db)
                return -ENOMEM;
        r = database_error(d, rc);
        if (r < 0)
                return r;
        (void) sqlite3_busy_timeout(d->db, BUSY_TIMEOUT_MSEC);
        (void) sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
        (void) sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        (void) snprintf(
                sql, sizeof sql,
                "PRAGMA locking_mode=%s; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; "
                "PRAGMA cache_size=-256",
                locking);
        r = database_exec(d, sql);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

/* path as a URI, in which three characters mean something else. */
static char *immutable_uri(const char *path) {
        static const char head[] = "file:", tail[] = "?immutable=1";
        char *uri = malloc(sizeof head + 3 * strlen(path) + sizeof tail), *p;

        if (!uri)
                return NULL;
        p = stpcpy(uri, head);
        for (; *path; path++)
                if (strchr("%?#", *path))
                        p += sprintf(p, "%%%02x", (unsigned char) *path);
                else
                        *p++ = *path;
        (void) strcpy(p, tail);
        return uri;
}

int database_open_readonly(Database **ret, const char *path, bool immutable) {
        _cleanup_free_ char *uri = NULL;

        if (!immutable)
                return connect(ret, path, SQLITE_OPEN_READONLY, "NORMAL");
        uri = immutable_uri(path);
        if (!uri)
                return -ENOMEM;
        return connect(ret, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, "NORMAL");
}

int database_open_alone(Database **ret, const char *path) {
        _cleanup_(database_freep) Database *d = NULL;
        int r;

        r = connect(&d, path, SQLITE_OPEN_READWRITE, "EXCLUSIVE");
        if (r < 0)
                return r;
        (void) sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        r = database_exec(d, "PRAGMA query_only=ON");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

int database_open_memory(Database **ret) {
        _cleanup_(database_freep) Database *d = NULL;
        int r;

        r = connect(&d, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "NORMAL");
        if (r < 0)
                return r;
        d->in_memory = true;
        r = schema_migrate(d);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

/* ---- a file on a disk ---- */

/* Looks at the file before SQLite does (closing a descriptor later would drop SQLite's locks),
 * creates it, and reads it all into the page cache when it will have to be checked: that is where
 * the time of a check goes, and only here it can be given up. ret_check: there is something to
 * check, and time. */
static int file_prepare(const char *path, bool unclean, bool *ret_check,
                        char why[static DATABASE_WHY_MAX]) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t deadline = now_usec(CLOCK_MONOTONIC) + CHECK_USEC;
        struct stat st;
        char buf[16 * 1024];
        ssize_t n, size = 0;

        if (stat(path, &st) >= 0 && !S_ISREG(st.st_mode)) {
                (void) snprintf(why, DATABASE_WHY_MAX, "it is not a regular file");
                return -EBADMSG;
        }
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
        if (fd < 0)
                return -errno;
        do {
                n = read(fd, buf, unclean ? sizeof buf : sizeof HEADER);
                if (n < 0)
                        return -errno; /* the writer's signals are blocked: no EINTR */
                if (size == 0 && n > 0 &&
                    (n < (ssize_t) sizeof HEADER || memcmp(buf, HEADER, sizeof HEADER) != 0)) {
                        (void) snprintf(why, DATABASE_WHY_MAX, "file is not a database");
                        return -EBADMSG;
                }
                size += n;
        } while (n != 0 && unclean && now_usec(CLOCK_MONOTONIC) < deadline);
        *ret_check = unclean && n == 0 && size > 0;
        return 0;
}

static int on_progress(void *userdata) {
        const uint64_t *deadline = userdata;

        return now_usec(CLOCK_MONOTONIC) >= *deadline;
}

/* -EBADMSG when SQLite finds a fault in the time that it has. */
static int quick_check(Database *d) {
        _cleanup_(statement_freep) sqlite3_stmt *s = NULL;
        uint64_t deadline = now_usec(CLOCK_MONOTONIC) + CHECK_USEC;
        const char *text;
        int r;

        sqlite3_progress_handler(d->db, 1000, on_progress, &deadline);
        r = database_prepare(d, "PRAGMA quick_check(1)", &s);
        if (r >= 0)
                r = database_step(d, s);
        sqlite3_progress_handler(d->db, 0, NULL, NULL);
        if (r == -ECANCELED)
                return 0;
        if (r <= 0)
                return r;
        text = (const char *) sqlite3_column_text(s, 0);
        if (!text || !streq(text, "ok")) {
                text = text ? text : "no answer";
                (void) text_sanitise(d->why, sizeof d->why, text, strlen(text), false);
                return -EBADMSG;
        }
        return 0;
}

static int configure(Database *d, uint64_t max_size, bool check) {
        char sql[128];
        int r, version;

        /* SQLite falls back to reading where it may not write. */
        if (sqlite3_db_readonly(d->db, "main") == 1)
                return -EROFS;
        r = version = schema_check(d);
        if (r == -EPROTONOSUPPORT) /* left as it is, with its log */
                (void) sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (r >= 0 && check)
                r = quick_check(d);
        if (r >= 0 && version == 0) /* before there are tables */
                r = database_exec(d, "PRAGMA auto_vacuum=INCREMENTAL");
        if (r >= 0) /* a file system without shared maps refuses: a rollback journal then */
                r = database_exec(d, "PRAGMA journal_mode=WAL");
        (void) snprintf(sql, sizeof sql, "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=%u",
                        (unsigned) database_wal_limit(max_size) * PAGE_SIZE);
        if (r >= 0)
                r = database_exec(d, sql);
        if (r >= 0)
                r = schema_migrate(d);
        if (r >= 0)
                r = schema_verify(d);
        if (r >= 0) /* the store writes the log back when nobody waits: no autocheckpoint */
                (void) sqlite3_wal_hook(d->db, on_wal, d);
        return r;
}

int database_open(Database **ret, const char *path, uint64_t max_size,
                  char why[static DATABASE_WHY_MAX]) {
        _cleanup_(database_freep) Database *d = NULL;
        _cleanup_free_ char *wal = NULL;
        bool check = false;
        int r;

        if (asprintf(&wal, "%s-wal", path) < 0)
                return -ENOMEM;
        why[0] = '\0';
        /* The last connection that is closed in good order removes the write-ahead log. */
        r = file_prepare(path, access(wal, F_OK) >= 0, &check, why);
        if (r < 0)
                return r;
        r = connect(&d, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "NORMAL");
        if (r < 0)
                return r;
        r = configure(d, max_size, check);
        if (r < 0) {
                (void) memcpy(why, d->why, DATABASE_WHY_MAX);
                return r;
        }
        *ret = TAKE_PTR(d);
        return 0;
}
