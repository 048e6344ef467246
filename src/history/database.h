/* SPDX-License-Identifier: MIT */
/* One SQLite connection that belongs to one thread, and what SQLite says turned into errno:
 *
 *   -EBADMSG          not a database, not ours, or damaged: nothing in it can be relied on
 *   -EPROTONOSUPPORT  ours, of a newer schema
 *   -ENOSPC -EROFS -EACCES -EIO -EBUSY -ENOMEM and other errno of the file system
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;

#define DATABASE_APPLICATION_ID 0x6d707964 /* "mpyd" */
#define DATABASE_WHY_MAX 160u

typedef struct Database {
        sqlite3 *db;
        bool in_memory;
        int wal_pages;              /* in the write-ahead log after the last commit */
        char why[DATABASE_WHY_MAX]; /* SQLite's words for the last error */
} Database;

/* The database file at path, created (mode 0600) or migrated when need be. max_size bounds the
 * write-ahead log. why, which may be NULL, says more about -EBADMSG. */
int database_open(Database **ret, const char *path, uint64_t max_size,
                  char why[static DATABASE_WHY_MAX]) _must_check_;

/* One of the same schema that dies with the process. */
int database_open_memory(Database **ret) _must_check_;

/* To look only. immutable: nobody writes to it, and no lock or other file is needed. */
int database_open_readonly(Database **ret, const char *path, bool immutable) _must_check_;

/* To look only, at a file with a log, where there is no room for the log's index: it is kept in
 * memory, for which nobody else may have the file open (-EBUSY). */
int database_open_alone(Database **ret, const char *path) _must_check_;

Database *database_free(Database *d); /* always NULL */
DEFINE_CLEANUP(Database *, database_free)

/* Are files of that name those that are open? Somebody may have moved them away. */
bool database_moved(Database *d);

int database_error(Database *d, int sqlite_rc);
int database_exec(Database *d, const char *sql) _must_check_;
/* First column of the first row, 0 when there is none. */
int database_read_int(Database *d, const char *sql, int64_t *ret) _must_check_;

int database_prepare(Database *d, const char *sql, sqlite3_stmt **ret) _must_check_;
/* 1: a row; 0: no more. */
int database_step(Database *d, sqlite3_stmt *s) _must_check_;
sqlite3_stmt *statement_free(sqlite3_stmt *s);
DEFINE_CLEANUP(sqlite3_stmt *, statement_free)

int database_begin(Database *d) _must_check_;
int database_commit(Database *d) _must_check_; /* durable when it returns 0; rolls back otherwise */
void database_rollback(Database *d);

/* Pages of the write-ahead log that max_size allows before it is written back. */
int database_wal_limit(uint64_t max_size);
int database_checkpoint(Database *d) _must_check_;
