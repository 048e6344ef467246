/* SPDX-License-Identifier: MIT */
/* Is everything armed that shall bring the board back? Each check is a pure function of what the daemon says and
 * what the host shows (doctor-host.c reads that); verb-doctor.c prints them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history/history.h"
#include "host/host-facts.h"
#include "util/macros.h"

#define DOCTOR_TEXT_MAX 400u

/* What the host shows. -1: it cannot be told, at least not by this user. */
typedef struct DoctorHost {
        bool root;                        /* we may see everything */
        int real_time;                    /* has mpyd.service's process real-time priority? -1: not known */
        int user_in_group;                /* of "mpyd"; -1: there is no such group */
        char user[64];

        bool unit_known;                  /* systemd answers, and has mpyd.service */
        char unit_active[24], unit_file[24];
        uint64_t unit_watchdog_usec;
        uint32_t unit_restarts;           /* by systemd, since somebody started it */

        HostWatchdog watchdogs[HOST_WATCHDOGS_MAX];
        size_t n_watchdogs;
        uint64_t runtime_watchdog_usec;   /* of PID 1; UINT64_MAX: not known */

        int journal_persistent, clock_synced, memory_cgroup;
        bool under_voltage;
        char under_voltage_path[HOST_PATH_MAX];

        int disk_errors;                  /* lines of the kernel's log, in this boot */
        char disk_error[200];             /* the last one */
        bool disk_known, disk_read_only;
        uint64_t disk_size, disk_free, inodes, inodes_free;

        int flash;                        /* 0: as it should be; 1: flash_why; 2: it is not there */
        char flash_why[160];

        unsigned n_driven;                /* lines that nobody holds and that are outputs */
        char driven[160];

        uint64_t written_bytes;           /* by daemon and board; UINT64_MAX: not known */
        uint64_t written_since_usec;      /* in so long */
} DoctorHost;

typedef struct DoctorFacts {
        const json_t *properties;         /* of the daemon; NULL: it does not run */
        const HistoryTotals *totals;      /* NULL: not known */
        uint64_t realtime_usec;
        DoctorHost host;
} DoctorFacts;

typedef enum DoctorVerdict {
        DOCTOR_FINE = 0,
        DOCTOR_NOTE,     /* cannot be told, or is not needed here */
        DOCTOR_WARNING,  /* something that will be missed one day */
        DOCTOR_PROBLEM,
        DOCTOR_VERDICT_MAX,
        DOCTOR_VERDICT_INVALID = -EINVAL,
} DoctorVerdict;

typedef struct DoctorFinding {
        const char *check;                /* its name, for monitoring: never renamed */
        DoctorVerdict verdict;
        char text[DOCTOR_TEXT_MAX];       /* a sentence without its full stop */
        char remedy[DOCTOR_TEXT_MAX];     /* what to do, with the command; may be empty */
} DoctorFinding;

#define DOCTOR_FINDINGS_MAX 24u

/* All checks, in the order in which they are told; how many. */
size_t doctor_examine(const DoctorFacts *f, DoctorFinding ret[static DOCTOR_FINDINGS_MAX]);

/* One of them, by name. */
DoctorFinding doctor_examine_one(const DoctorFacts *f, const char *check);

const char *doctor_verdict_to_string(DoctorVerdict v);

/* Reads the host: root_fd is / or a recorded tree. Everything that needs no daemon. */
void doctor_read_host(int root_fd, const char *state_dir, const json_t *properties, DoctorHost *ret);
/* Of it what systemd and the watchdogs say, the rest stays: quick. */
void doctor_read_watchdogs(int root_fd, DoctorHost *ret);
