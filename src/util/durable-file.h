/* SPDX-License-Identifier: MIT */
/* A small file that outlives a power cut, replaced by a thread: a disk that hangs hangs nobody. Writes of one
 * file end in the order in which they were asked for, whatever the disk does to their threads. */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/macros.h"

/* Static: a thread that the disk keeps may outlive everything else. */
typedef struct DurableFile {
        const char *name;             /* in the directory */
        mode_t mode;
        uint64_t last_asked;          /* of the caller's thread only */
        pthread_mutex_t lock;
        uint64_t last_written;        /* under lock */
} DurableFile;
#define DURABLE_FILE(n, m) { .name = (n), .mode = (m), .lock = PTHREAD_MUTEX_INITIALIZER }

/* Replaces the file (write_file_atomic()), or removes it when text is NULL, without waiting. When that has
 * succeeded or failed, a number other than 0 is written to the eventfd done_fd; negative: nobody wants to know. text is
 * copied. */
int durable_file_write_soon(DurableFile *f, int dir_fd, const char *text, int done_fd) _must_check_;

/* The same, but waits for the disk for timeout_usec at most. -ETIMEDOUT: it is written all the same when the disk
 * lets it be. */
int durable_file_write(DurableFile *f, int dir_fd, const char *text, uint64_t timeout_usec) _must_check_;
