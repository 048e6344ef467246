/* SPDX-License-Identifier: MIT */
/* The retained page under a hostile board: the input is a program of pokes, repaired checksums,
 * writes and reads. Whatever lies in the page, a reader gets a record or an errno, and a writer is
 * heard. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "mpyd/retained.h"
#include "util/io.h"
#include "util/macros.h"

enum {
        OP_POKE = 0, /* u16 offset, u8 size, bytes */
        OP_REPAIR,   /* u8 slot: make its checksum right */
        OP_WRITE,    /* u8 record, u16 size, u8 content */
        OP_READ,     /* u8 record, u16 room */
        OP_MAX,
};

/* The layout as src/contracts/retained.c documents it. */
enum { SLOTS = 4096, SLOT_SIZE = 24 + RETAINED_RECORD_DATA_MAX, SLOT_CRC = 20, SLOT_SIZE_AT = 16 };

typedef struct Program {
        const uint8_t *data;
        size_t size;
} Program;

static unsigned take(Program *p, unsigned bytes) {
        unsigned v = 0;

        for (unsigned i = 0; i < bytes; i++) {
                v |= (p->size > 0 ? (unsigned) p->data[0] : 0) << (8 * i);
                if (p->size > 0) {
                        p->data++;
                        p->size--;
                }
        }
        return v;
}

static size_t put_slot(uint8_t *buf, unsigned copy, uint64_t sequence) {
        const uint32_t magic = RETAINED_MAGIC;
        uint8_t slot[24 + 2] = { [4] = RETAINED_VERSION, [16] = 2, [24] = 'o', [25] = 'k' };
        size_t offset = SLOTS + copy * (size_t) SLOT_SIZE, n = 0;

        memcpy(slot, &magic, sizeof magic);
        memcpy(slot + 8, &sequence, sizeof sequence);
        buf[n++] = OP_POKE;
        buf[n++] = (uint8_t) offset;
        buf[n++] = (uint8_t) (offset >> 8);
        buf[n++] = sizeof slot;
        memcpy(buf + n, slot, sizeof slot);
        n += sizeof slot;
        buf[n++] = OP_REPAIR;
        buf[n++] = (uint8_t) copy;
        return n;
}

size_t fuzz_seed(unsigned n, uint8_t *buf) {
        static const uint8_t simple[] = {
                OP_READ, 0, 0, 16, OP_WRITE, 0, 0, 1, 'a', OP_READ, 0, 0, 16,
                OP_WRITE, 0, 4, 0, 'b',
                OP_READ, 0, 3, 0, OP_READ, 0, 4, 0, OP_WRITE, 1, 8, 0, 'c', OP_WRITE, 0, 0, 16, 'd',
                OP_WRITE, 0, 1, 16, 'e', OP_WRITE, 9, 1, 0, 'f', OP_READ, 9, 1, 0,
        };
        static const uint64_t sequences[][2] = { { 0, 1 }, { UINT64_MAX, 0 }, { 5, 5 } };
        size_t size;

        if (n == 0) {
                memcpy(buf, simple, sizeof simple);
                return sizeof simple;
        }
        if (n > ELEMENTSOF(sequences))
                return SIZE_MAX;
        size = put_slot(buf, 0, sequences[n - 1][0]);
        size += put_slot(buf + size, 1, sequences[n - 1][1]);
        memcpy(buf + size, simple, sizeof simple);
        return size + sizeof simple;
}

static void repair(uint8_t *page, unsigned slot) {
        uint8_t *s = page + SLOTS + (slot % (RETAINED_RECORD_MAX * 2)) * (size_t) SLOT_SIZE;
        uint32_t size, crc;

        memcpy(&size, s + SLOT_SIZE_AT, sizeof size);
        /* No checksum makes such a size right; take one all the same. */
        if (size > RETAINED_RECORD_DATA_MAX)
                size = RETAINED_RECORD_DATA_MAX;
        crc = crc32_update(0, s + 4, 16);
        crc = crc32_update(crc, s + 24, size);
        memcpy(s + SLOT_CRC, &crc, sizeof crc);
}

static int check_read(const uint8_t *page, RetainedRecord record, size_t room, uint8_t *buf) {
        size_t n = SIZE_MAX;
        int r;

        memset(buf, 0xa5, RETAINED_RECORD_DATA_MAX + 1);
        r = retained_read(page, record, buf, room, &n);
        if (r < 0) {
                FUZZ_CHECK(r == -ENODATA || r == -EMSGSIZE || r == -EINVAL);
                FUZZ_CHECK(n == SIZE_MAX && buf[0] == 0xa5);
                return r;
        }
        FUZZ_CHECK(r == 0 && n <= room && n <= RETAINED_RECORD_DATA_MAX && buf[n] == 0xa5);
        return (int) n;
}

static void check_write(uint8_t *page, RetainedRecord record, size_t size, int content) {
        uint8_t data[RETAINED_RECORD_DATA_MAX + 1], buf[RETAINED_RECORD_DATA_MAX + 1];
        int r;

        memset(data, content, sizeof data);
        r = retained_write(page, record, data, size);
        if (record >= RETAINED_RECORD_MAX)
                FUZZ_CHECK(r == -EINVAL);
        else if (size > RETAINED_RECORD_DATA_MAX)
                FUZZ_CHECK(r == -EMSGSIZE);
        else {
                FUZZ_CHECK(r == 0);
                FUZZ_CHECK(check_read(page, record, RETAINED_RECORD_DATA_MAX, buf) == (int) size);
                FUZZ_CHECK(memcmp(buf, data, size) == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Program p = { .data = data, .size = size };
        uint8_t buf[RETAINED_RECORD_DATA_MAX + 1], *page;

        page = calloc(1, RETAINED_SIZE);
        if (!page)
                abort();
        for (unsigned steps = 0; p.size > 0 && steps < 64; steps++) {
                unsigned op = take(&p, 1) % OP_MAX;

                if (op == OP_POKE) {
                        unsigned offset = take(&p, 2), n = take(&p, 1);

                        n = (unsigned) MIN((size_t) MIN(n, RETAINED_SIZE - offset), p.size);
                        memcpy(page + offset, p.data, n);
                        p.data += n;
                        p.size -= n;
                } else if (op == OP_REPAIR)
                        repair(page, take(&p, 1));
                else if (op == OP_WRITE) {
                        unsigned record = take(&p, 1), n = take(&p, 2);

                        check_write(page, (RetainedRecord) record,
                                    MIN(n, RETAINED_RECORD_DATA_MAX + 1), (int) take(&p, 1));
                } else {
                        unsigned record = take(&p, 1), n = take(&p, 2);

                        (void) check_read(page, (RetainedRecord) record,
                                          MIN(n, RETAINED_RECORD_DATA_MAX), buf);
                }
        }
        for (int r = 0; r < RETAINED_RECORD_MAX; r++)
                (void) check_read(page, (RetainedRecord) r, RETAINED_RECORD_DATA_MAX, buf);
        free(page);
        return 0;
}
