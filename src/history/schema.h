/* SPDX-License-Identifier: MIT */
/* What is in the database, and the way from each older version to this one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "history/database.h"

#define SCHEMA_VERSION 3

/* The first is the key. */
#define SCHEMA_STAMP_COLUMNS "boot_id,realtime_usec,clock_synced,boottime_usec"
#define SCHEMA_BOOT_COLUMNS "id,version," SCHEMA_STAMP_COLUMNS
#define SCHEMA_RESET_COLUMNS                                                                     \
        "id,cause,reason,kind,run_reason,detail,stage,exit_status,signal,uptime_usec,traceback," \
        SCHEMA_STAMP_COLUMNS ",late,repeats,crashed,delayed,evidence"
#define SCHEMA_EVENT_COLUMNS                                                                     \
        "id,name,detail,stage,exit_status,signal,uptime_usec,traceback," SCHEMA_STAMP_COLUMNS    \
        ",repeats"

/* One step of version i to i + 1, within the transaction of the whole way. */
typedef int (*SchemaStep)(Database *d);

/* Takes the database from its PRAGMA user_version to n. -EPROTONOSUPPORT when it is newer. All or
 * nothing. */
int schema_migrate_with(Database *d, const SchemaStep steps[], unsigned n) _must_check_;
int schema_migrate(Database *d) _must_check_;

/* Is it ours or empty? -EBADMSG when not, -EPROTONOSUPPORT when it is newer; else the version. */
int schema_check(Database *d) _must_check_;

/* Does it have all tables and columns? */
int schema_verify(Database *d) _must_check_;
