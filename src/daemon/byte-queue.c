/* SPDX-License-Identifier: MIT */
/* Flat storage that moves to the front when its tail is used up: queues here are short or empty. */
#include "daemon/byte-queue.h"

void byte_queue_init(ByteQueue *q, size_t max) {
        *q = (ByteQueue) { .max = max };
}

void byte_queue_done(ByteQueue *q) {
        free(q->data);
        *q = (ByteQueue) { .max = q->max };
}

size_t byte_queue_room(const ByteQueue *q) {
        return q->max - q->size;
}

void byte_queue_clear(ByteQueue *q) {
        byte_queue_done(q);
}

/* Storage is max bytes from the first use on and none while idle. */
static int reserve(ByteQueue *q, size_t size) {
        if (size > byte_queue_room(q))
                return -ENOBUFS;
        if (!q->data) {
                q->data = malloc(q->max);
                if (!q->data)
                        return -ENOMEM;
                q->start = 0;
        }
        return 0;
}

int byte_queue_push(ByteQueue *q, const void *data, size_t size) {
        int r;

        if (size == 0)
                return 0;
        r = reserve(q, size);
        if (r < 0)
                return r;
        if (q->start + q->size + size > q->max) {
                memmove(q->data, q->data + q->start, q->size);
                q->start = 0;
        }
        memcpy(q->data + q->start + q->size, data, size);
        q->size += size;
        return 0;
}

int byte_queue_push_front(ByteQueue *q, const void *data, size_t size) {
        int r;

        if (size == 0)
                return 0;
        r = reserve(q, size);
        if (r < 0)
                return r;
        if (q->start < size) {
                memmove(q->data + size, q->data + q->start, q->size);
                q->start = size;
        }
        q->start -= size;
        memcpy(q->data + q->start, data, size);
        q->size += size;
        return 0;
}

int byte_queue_write(ByteQueue *q, int fd) {
        while (q->size > 0) {
                ssize_t n = write(fd, q->data + q->start, q->size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n < 0)
                        return -errno;
                q->start += (size_t) n;
                q->size -= (size_t) n;
        }
        byte_queue_clear(q);
        return 1;
}
