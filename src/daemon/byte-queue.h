/* SPDX-License-Identifier: MIT */
/* A bounded queue of bytes: what waits for a descriptor that is not ready. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "util/macros.h"

typedef struct ByteQueue {
        char *data;
        size_t start, size;
        size_t max;
} ByteQueue;

void byte_queue_init(ByteQueue *q, size_t max);
void byte_queue_done(ByteQueue *q);

size_t byte_queue_room(const ByteQueue *q);
void byte_queue_clear(ByteQueue *q);

/* Takes all of it or nothing: -ENOBUFS over max, -ENOMEM. */
int byte_queue_push(ByteQueue *q, const void *data, size_t size) _must_check_;

/* The same at the front: what was taken out and not used. */
int byte_queue_push_front(ByteQueue *q, const void *data, size_t size) _must_check_;

/* Writes as much as a non-blocking fd takes. Returns 1 when the queue is empty now, 0 when the
 * descriptor is full, a negative errno when it is broken. */
int byte_queue_write(ByteQueue *q, int fd) _must_check_;
