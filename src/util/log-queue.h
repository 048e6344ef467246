/* SPDX-License-Identifier: MIT */
/* Journal entries that wait because journald does not read just now: its socket takes a few hundred at
 * most, a burst of a script's lines fills it. In order, bounded, and half of it for the daemon alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/macros.h"

#define LOG_QUEUE_BYTES (256u * 1024)

typedef struct LogEntry LogEntry;
struct LogEntry {
        LogEntry *next;
        size_t size;
        char data[];
};

typedef struct LogQueue {
        LogEntry *first, *last;
        size_t bytes;
} LogQueue;

struct iovec;

/* Copies what the n parts say as one entry. -ENOBUFS: no room; a script's line gets in only while the
 * queue is less than half full. */
int log_queue_push(LogQueue *q, const struct iovec *parts, size_t n, bool script) _must_check_;
void log_queue_pop(LogQueue *q);
void log_queue_done(LogQueue *q);
