/* SPDX-License-Identifier: MIT */
#include "util/log-queue.h"

#include <sys/uio.h>

int log_queue_push(LogQueue *q, const struct iovec *parts, size_t n, bool script) {
        size_t size = sizeof(LogEntry), at = 0;
        LogEntry *e;

        for (size_t i = 0; i < n; i++)
                size += parts[i].iov_len;
        if (q->bytes + size > (script ? LOG_QUEUE_BYTES / 2 : LOG_QUEUE_BYTES))
                return -ENOBUFS;
        e = malloc(size);
        if (!e)
                return -ENOMEM;
        *e = (LogEntry) { .size = size - sizeof(LogEntry) };
        for (size_t i = 0; i < n; i++) {
                memcpy(e->data + at, parts[i].iov_base, parts[i].iov_len);
                at += parts[i].iov_len;
        }
        if (q->last)
                q->last->next = e;
        else
                q->first = e;
        q->last = e;
        q->bytes += size;
        return 0;
}

void log_queue_pop(LogQueue *q) {
        LogEntry *e = q->first;

        q->first = e->next;
        if (!q->first)
                q->last = NULL;
        q->bytes -= sizeof(LogEntry) + e->size;
        free(e);
}

void log_queue_done(LogQueue *q) {
        while (q->first)
                log_queue_pop(q);
}
