/* SPDX-License-Identifier: MIT */
/* Codec of the board link: src/contracts/board-link.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpyd/board-link.h"
#include "util/macros.h"

static const char traceback[] = "Traceback (most recent call last):\n  File \"main.py\", line 1\n";

static const LinkMessage samples[] = {
        { .type = LINK_HELLO, .seq = 0, .hello = { LINK_VERSION, LINK_CONFINED_ALL } },
        { .type = LINK_STAGE, .seq = 1, .stage = { BOARD_STAGE_MAIN, UINT64_MAX } },
        { .type = LINK_STAGE_END,
          .seq = 0xfffffffe,
          .stage_end = { BOARD_STAGE_BOOT, STAGE_RESULT_EXCEPTION, 77, traceback,
                         sizeof traceback - 1 } },
        { .type = LINK_STAGE_END, .stage_end = { BOARD_STAGE_MAIN, STAGE_RESULT_OK, 0, NULL, 0 } },
        { .type = LINK_RESET, .reset = { RESET_KIND_SOFT, true, 0, 5 } },
        { .type = LINK_RESET, .reset = { RESET_KIND_DEEPSLEEP, false, UINT64_MAX, 6 } },
        { .type = LINK_UNREAD_INPUT, .data = { 0, "a\0b", 3 } },
        { .type = LINK_UNREAD_INPUT, .data = { 0, NULL, 0 } },
        { .type = LINK_LOG, .data = { 7, "hello", 5 } },
        { .type = LINK_LOG, .data = { 0, "", 0 } },
        { .type = LINK_BOOT,
          .boot = { RESET_CAUSE_WDT, RESET_REASON_WATCHDOG, RUN_REASON_AUTO_RELOAD,
                    RESET_KIND_HARD, LINK_BOOT_FLAGS_ALL, SAFE_MODE_HARD_FAULT, 1 << 20, 64 << 20,
                    UINT64_MAX, { 1, 2, 3, 4, 5, 6, 7, 0xff } } },
        { .type = LINK_INTERRUPT },
        { .type = LINK_STOP },
        { .type = LINK_ABORT, .seq = UINT32_MAX },
        { .type = LINK_WATCHDOG, .watchdog = { WATCHDOG_MACHINE, LINK_WATCHDOG_MIN_USEC, 9999 } },
        { .type = LINK_WATCHDOG, .watchdog = { WATCHDOG_MACHINE, LINK_WATCHDOG_MAX_USEC, 0 } },
        { .type = LINK_WATCHDOG, .watchdog = { WATCHDOG_MICROCONTROLLER, 0, 0 } },
        { .type = LINK_WATCHDOG_WARNING, .watchdog_warning = { WATCHDOG_MACHINE } },
        { .type = LINK_AWAKE },
        { .type = LINK_PIN, .pin = { 7, "GPIO17", 6 } },
        { .type = LINK_PIN, .pin = { UINT32_MAX, "x", 1 } },
        { .type = LINK_PIN_WAKE, .pin_wake = { 3 | LINK_PIN_WAKE_NOW, "GPIO17", 6 } },
        { .type = LINK_PIN_LINE, .pin_line = { 7, 0, 2, 3, "simulated:17", 12 } },
        { .type = LINK_PIN_LINE, .pin_line = { 8, EBUSY, 0, 0, NULL, 0 } },
        { .type = LINK_OUTPUT, .stage = { BOARD_STAGE_REPL, 12 } },
        { .type = LINK_PIN_LIST, .pin_names = { 8, 40, NULL, 0 } },
        { .type = LINK_PIN_NAMES, .pin_names = { 8, 42, "GPIO0\0LED", 10 } },
        { .type = LINK_PIN_NAMES, .pin_names = { UINT32_MAX, 0, NULL, 0 } },
};

static void assert_tail_equal(const char *a, size_t a_size, const char *b, size_t b_size) {
        assert_int_equal(a_size, b_size);
        if (a_size > 0)
                assert_memory_equal(a, b, a_size);
}

static void assert_same(const LinkMessage *a, const LinkMessage *b) {
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->seq, b->seq);
        switch (a->type) {
        case LINK_HELLO:
                assert_int_equal(a->hello.version, b->hello.version);
                assert_int_equal(a->hello.confined, b->hello.confined);
                break;
        case LINK_STAGE:
        case LINK_OUTPUT:
                assert_int_equal(a->stage.stage, b->stage.stage);
                assert_true(a->stage.console_pos == b->stage.console_pos);
                break;
        case LINK_STAGE_END:
                assert_int_equal(a->stage_end.stage, b->stage_end.stage);
                assert_int_equal(a->stage_end.result, b->stage_end.result);
                assert_true(a->stage_end.console_pos == b->stage_end.console_pos);
                assert_tail_equal(a->stage_end.text, a->stage_end.text_size, b->stage_end.text,
                                  b->stage_end.text_size);
                break;
        case LINK_RESET:
                assert_int_equal(a->reset.kind, b->reset.kind);
                assert_int_equal(a->reset.raw_repl, b->reset.raw_repl);
                assert_true(a->reset.sleep_usec == b->reset.sleep_usec);
                assert_true(a->reset.console_pos == b->reset.console_pos);
                break;
        case LINK_UNREAD_INPUT:
        case LINK_LOG:
                assert_int_equal(a->data.level, b->data.level);
                assert_tail_equal(a->data.data, a->data.size, b->data.data, b->data.size);
                break;
        case LINK_BOOT:
                assert_int_equal(a->boot.cause, b->boot.cause);
                assert_int_equal(a->boot.reason, b->boot.reason);
                assert_int_equal(a->boot.run_reason, b->boot.run_reason);
                assert_int_equal(a->boot.kind, b->boot.kind);
                assert_int_equal(a->boot.flags, b->boot.flags);
                assert_int_equal(a->boot.safe_mode, b->boot.safe_mode);
                assert_true(a->boot.heap_size == b->boot.heap_size);
                assert_true(a->boot.heap_max == b->boot.heap_max);
                assert_true(a->boot.flash_quota == b->boot.flash_quota);
                assert_memory_equal(a->boot.unique_id, b->boot.unique_id, LINK_UNIQUE_ID_SIZE);
                break;
        case LINK_WATCHDOG:
                assert_int_equal(a->watchdog.id, b->watchdog.id);
                assert_true(a->watchdog.timeout_usec == b->watchdog.timeout_usec);
                assert_true(a->watchdog.warn_usec == b->watchdog.warn_usec);
                break;
        case LINK_WATCHDOG_WARNING:
                assert_int_equal(a->watchdog_warning.id, b->watchdog_warning.id);
                break;
        case LINK_PIN:
                assert_int_equal(a->pin.ticket, b->pin.ticket);
                assert_tail_equal(a->pin.name, a->pin.name_size, b->pin.name, b->pin.name_size);
                break;
        case LINK_PIN_WAKE:
                assert_int_equal(a->pin_wake.edges, b->pin_wake.edges);
                assert_tail_equal(a->pin_wake.name, a->pin_wake.name_size, b->pin_wake.name, b->pin_wake.name_size);
                break;
        case LINK_PIN_LINE:
                assert_int_equal(a->pin_line.ticket, b->pin_line.ticket);
                assert_int_equal(a->pin_line.error, b->pin_line.error);
                assert_int_equal(a->pin_line.direction, b->pin_line.direction);
                assert_int_equal(a->pin_line.pull, b->pin_line.pull);
                assert_tail_equal(a->pin_line.text, a->pin_line.text_size, b->pin_line.text, b->pin_line.text_size);
                break;
        case LINK_PIN_LIST:
        case LINK_PIN_NAMES:
                assert_int_equal(a->pin_names.ticket, b->pin_names.ticket);
                assert_int_equal(a->pin_names.position, b->pin_names.position);
                assert_tail_equal(a->pin_names.names, a->pin_names.names_size, b->pin_names.names,
                                  b->pin_names.names_size);
                break;
        case LINK_AWAKE:
        case LINK_INTERRUPT:
        case LINK_STOP:
        case LINK_ABORT:
                break;
        case LINK_TYPE_INVALID:
                fail();
        }
}

/* Decodes from memory of exactly that size, so that a sanitizer sees each byte read beyond it. */
static int decode(const uint8_t *buf, size_t size, LinkMessage *ret, uint8_t **ret_copy) {
        uint8_t *copy = malloc(size + !size);
        int r;

        memcpy(copy, buf, size);
        r = link_decode(copy, size, ret);
        if (r < 0 || !ret_copy)
                free(copy);
        else
                *ret_copy = copy;
        return r;
}

static void assert_refused(const uint8_t *buf, size_t size, int error) {
        LinkMessage m, before;

        memset(&m, 0xa5, sizeof m);
        before = m;
        assert_int_equal(decode(buf, size, &m, NULL), error);
        assert_memory_equal(&m, &before, sizeof m); /* untouched on failure */
}

static void test_round_trip(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                uint8_t buf[LINK_MESSAGE_MAX], again[LINK_MESSAGE_MAX];
                _cleanup_free_ uint8_t *copy = NULL;
                LinkMessage m;
                int n = link_encode(&samples[i], buf, sizeof buf);

                assert_true(n >= (int) LINK_HEADER_SIZE);
                assert_int_equal(decode(buf, (size_t) n, &m, &copy), 0);
                assert_same(&m, &samples[i]);
                assert_int_equal(link_encode(&m, again, sizeof again), n);
                assert_memory_equal(buf, again, (size_t) n);
        }
}

/* The bytes on the wire, once in full: both programs may be of different builds. */
static void test_wire_format(void **state) {
        static const uint8_t expected[] = {
                0x50, 0x4d, 8, 0, 64, 0, 0, 0, 56, 0, 0, 0, 0x04, 0x03, 0x02, 0x01, /* header */
                3, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0,
                0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0,
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                1, 2, 3, 4, 5, 6, 7, 0xff,
        };
        LinkMessage m = {};
        uint8_t buf[256];

        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                if (samples[i].type == LINK_BOOT)
                        m = samples[i];
        m.seq = 0x01020304;
        assert_int_equal(link_encode(&m, buf, sizeof buf), sizeof expected);
        assert_memory_equal(buf, expected, sizeof expected);
}

/* One byte less, one more, one field wrong: never a message. */
static void test_sizes(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                uint8_t buf[LINK_MESSAGE_MAX + 1] = {};
                int n = link_encode(&samples[i], buf, sizeof buf);

                for (size_t size = 0; size < (size_t) n; size++)
                        assert_refused(buf, size, -EBADMSG);
                assert_refused(buf, (size_t) n + 1, -EBADMSG);
                for (int less = 0; less < n; less++)
                        assert_int_equal(link_encode(&samples[i], buf, (size_t) less), -EMSGSIZE);
        }
}

/* Sizes that the header tells truly, but that the type does not have. */
static void test_wrong_payload_size(void **state) {
        static const struct {
                LinkType type;
                size_t min, max;
        } types[] = {
                { LINK_HELLO, 8, 8 },       { LINK_STAGE, 16, 16 },
                { LINK_OUTPUT, 16, 16 },
                { LINK_STAGE_END, 16, LINK_PAYLOAD_MAX },
                { LINK_RESET, 24, 24 },     { LINK_UNREAD_INPUT, 0, LINK_PAYLOAD_MAX },
                { LINK_LOG, 1, LINK_PAYLOAD_MAX }, { LINK_BOOT, 56, 56 },
                { LINK_INTERRUPT, 0, 0 },   { LINK_STOP, 0, 0 },  { LINK_ABORT, 0, 0 },
                { LINK_WATCHDOG, 24, 24 },  { LINK_WATCHDOG_WARNING, 4, 4 },
                { LINK_AWAKE, 0, 0 },        { LINK_PIN, 4 + 1, 4 + LINK_PIN_NAME_MAX },
                { LINK_PIN_LINE, 16, 16 + LINK_PIN_TEXT_MAX },
                { LINK_PIN_WAKE, 4 + 1, 4 + LINK_PIN_NAME_MAX },
                { LINK_PIN_LIST, 8, 8 },     { LINK_PIN_NAMES, 8, LINK_PAYLOAD_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                for (size_t payload = 0; payload <= 100; payload++) {
                        uint8_t buf[LINK_MESSAGE_MAX] = {
                                0x50, 0x4d, LINK_VERSION, 0, (uint8_t) types[i].type, 0, 0, 0,
                                (uint8_t) payload,
                        };
                        LinkMessage m;
                        bool fits = payload >= types[i].min && payload <= types[i].max;

                        if (types[i].type == LINK_HELLO)
                                buf[LINK_HEADER_SIZE] = LINK_VERSION;
                        if (types[i].type == LINK_BOOT || types[i].type == LINK_WATCHDOG)
                                buf[LINK_HEADER_SIZE] = 1; /* a cause, what can be stopped */
                        if (types[i].type == LINK_PIN || types[i].type == LINK_PIN_WAKE)
                                memset(buf + LINK_HEADER_SIZE, 'x', payload);
                        if (types[i].type == LINK_PIN_WAKE)
                                memcpy(buf + LINK_HEADER_SIZE, "\1\0\0", 4);
                        if (fits)
                                assert_int_equal(decode(buf, LINK_HEADER_SIZE + payload, &m, NULL),
                                                 0);
                        else
                                assert_refused(buf, LINK_HEADER_SIZE + payload, -EBADMSG);
                }
}

static void test_header(void **state) {
        uint8_t buf[LINK_MESSAGE_MAX];
        size_t n;
        const LinkMessage m = { .type = LINK_STOP };

        n = (size_t) link_encode(&m, buf, sizeof buf);
        for (unsigned bit = 0; bit < 16; bit++) { /* magic, reserved */
                buf[bit / 8] ^= (uint8_t) (1 << bit % 8);
                assert_refused(buf, n, -EBADMSG);
                buf[bit / 8] ^= (uint8_t) (1 << bit % 8);
                buf[6 + bit / 8] ^= (uint8_t) (1 << bit % 8);
                assert_refused(buf, n, -EBADMSG);
                buf[6 + bit / 8] ^= (uint8_t) (1 << bit % 8);
        }
        for (unsigned version = 0; version <= UINT16_MAX; version += 13) {
                if (version == LINK_VERSION)
                        continue;
                buf[2] = (uint8_t) version;
                buf[3] = (uint8_t) (version >> 8);
                assert_refused(buf, n, -EPROTONOSUPPORT);
                buf[6] = 1; /* the version is not all that is wrong */
                assert_refused(buf, n, -EBADMSG);
                buf[6] = 0;
        }
        buf[2] = LINK_VERSION;
        buf[3] = 0;
        for (unsigned type = 0; type <= UINT16_MAX; type++) {
                if (link_type_to_string((LinkType) type))
                        continue;
                buf[4] = (uint8_t) type;
                buf[5] = (uint8_t) (type >> 8);
                assert_refused(buf, n, -EBADMSG);
        }
}

static void test_hello_version(void **state) {
        uint8_t buf[LINK_MESSAGE_MAX];
        int n = link_encode(&samples[0], buf, sizeof buf);

        buf[LINK_HEADER_SIZE] = LINK_VERSION + 1;
        assert_refused(buf, (size_t) n, -EPROTONOSUPPORT);
}

/* Each field that has few values, at each of its edges, in both directions. */
static void test_ranges(void **state) {
        enum { HELLO, STAGE, STAGE_END, RESET = 4, LOG = 8, BOOT = 10, SET = 14, WARNING = 17 };
        static const struct {
                size_t sample;
                size_t offset;     /* in the payload */
                uint32_t valid[2]; /* from, to */
        } fields[] = {
                { HELLO, 4, { 0, LINK_CONFINED_ALL } },
                { STAGE, 0, { 0, BOARD_STAGE_MAX - 1 } },
                { STAGE, 4, { 0, 0 } },
                { STAGE_END, 0, { 0, BOARD_STAGE_MAX - 1 } },
                { STAGE_END, 4, { 0, STAGE_RESULT_MAX - 1 } },
                { RESET, 0, { 0, RESET_KIND_MAX - 1 } },
                { RESET, 4, { 0, 1 } },
                { BOOT, 0, { 1, RESET_CAUSE_MAX - 1 } },
                { BOOT, 4, { 0, RESET_REASON_MAX - 1 } },
                { BOOT, 8, { 0, RUN_REASON_MAX - 1 } },
                { BOOT, 12, { 0, RESET_KIND_MAX - 1 } },
                { BOOT, 16, { 0, LINK_BOOT_FLAGS_ALL } },
                { BOOT, 20, { 0, SAFE_MODE_REASON_MAX - 1 } },
                { SET, 0, { 0, WATCHDOG_ID_MAX - 1 } },
                { SET, 4, { 0, 0 } },
                { WARNING, 0, { 0, WATCHDOG_ID_MAX - 1 } },
        };
        static const uint32_t far[] = { 255, 256, 0x10000, INT32_MAX, 0x80000000u, UINT32_MAX,
                                        (uint32_t) -EINVAL };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                uint8_t buf[LINK_MESSAGE_MAX];
                int n = link_encode(&samples[fields[i].sample], buf, sizeof buf);

                for (uint32_t k = 0; k < 20 + ELEMENTSOF(far); k++) {
                        uint32_t v = k < 20 ? k : far[k - 20];
                        LinkMessage m;

                        memcpy(buf + LINK_HEADER_SIZE + fields[i].offset, &(uint32_t){ htole32(v) },
                               4);
                        if (v >= fields[i].valid[0] && v <= fields[i].valid[1])
                                assert_int_equal(decode(buf, (size_t) n, &m, NULL), 0);
                        else
                                assert_refused(buf, (size_t) n, -EBADMSG);
                }
        }
}

static void test_heap_order(void **state) {
        uint8_t buf[LINK_MESSAGE_MAX];
        LinkMessage m = samples[10];
        int n;

        assert_int_equal(m.type, LINK_BOOT);
        m.boot.heap_max = m.boot.heap_size;
        n = link_encode(&m, buf, sizeof buf);
        assert_true(n > 0);
        buf[LINK_HEADER_SIZE + 24]++; /* heap_size */
        assert_refused(buf, (size_t) n, -EBADMSG);
        m.boot.heap_max--;
        assert_int_equal(link_encode(&m, buf, sizeof buf), -EINVAL);
}

/* What a hostile board could want of a watchdog, in both directions. */
static void test_watchdog_times(void **state) {
        static const struct {
                LinkWatchdog w;
                bool good;
        } table[] = {
                { { WATCHDOG_MACHINE, LINK_WATCHDOG_MIN_USEC, 0 }, true },
                { { WATCHDOG_MACHINE, LINK_WATCHDOG_MIN_USEC - 1, 0 }, false },
                { { WATCHDOG_MACHINE, LINK_WATCHDOG_MAX_USEC, LINK_WATCHDOG_MAX_USEC - 1 }, true },
                { { WATCHDOG_MACHINE, LINK_WATCHDOG_MAX_USEC + 1, 0 }, false },
                { { WATCHDOG_MACHINE, UINT64_MAX, 0 }, false },
                { { WATCHDOG_MACHINE, 0, 0 }, false }, /* it cannot be stopped */
                { { WATCHDOG_MACHINE, 20000, 20000 }, false },
                { { WATCHDOG_MACHINE, 20000, UINT64_MAX }, false },
                { { WATCHDOG_MICROCONTROLLER, 0, 0 }, true },
                { { WATCHDOG_MICROCONTROLLER, 0, 1 }, false },
                { { WATCHDOG_MICROCONTROLLER, 1, 0 }, false },
                { { WATCHDOG_MICROCONTROLLER, 20000, 19999 }, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const LinkMessage good = {
                        .type = LINK_WATCHDOG,
                        .watchdog = { table[i].w.id, LINK_WATCHDOG_MIN_USEC, 0 },
                };
                LinkMessage m = good;
                uint8_t buf[LINK_MESSAGE_MAX];
                int n = link_encode(&good, buf, sizeof buf);

                memcpy(buf + LINK_HEADER_SIZE + 8, &(uint64_t){ htole64(table[i].w.timeout_usec) }, 8);
                memcpy(buf + LINK_HEADER_SIZE + 16, &(uint64_t){ htole64(table[i].w.warn_usec) }, 8);
                m.watchdog = table[i].w;
                if (table[i].good) {
                        assert_int_equal(decode(buf, (size_t) n, &m, NULL), 0);
                        assert_int_equal(link_encode(&m, buf, sizeof buf), n);
                } else {
                        assert_refused(buf, (size_t) n, -EBADMSG);
                        assert_int_equal(link_encode(&m, buf, sizeof buf), -EINVAL);
                }
        }
}

static void test_log_level(void **state) {
        uint8_t buf[LINK_MESSAGE_MAX];
        LinkMessage m = { .type = LINK_LOG, .data = { 7, "x", 1 } };
        int n = link_encode(&m, buf, sizeof buf);

        for (unsigned level = 8; level < 256; level++) {
                buf[LINK_HEADER_SIZE] = (uint8_t) level;
                assert_refused(buf, (size_t) n, -EBADMSG);
        }
}

static void test_encode_refuses(void **state) {
        static const LinkMessage bad[] = {
                { .type = (LinkType) 0 },
                { .type = LINK_TYPE_INVALID },
                { .type = (LinkType) 63 },
                { .type = (LinkType) (LINK_PIN_NAMES + 1) },
                { .type = LINK_PIN, .pin = { 1, "", 0 } },
                { .type = LINK_PIN_WAKE, .pin_wake = { 0, "GPIO1", 5 } },
                { .type = LINK_PIN_WAKE, .pin_wake = { LINK_PIN_WAKE_NOW, "GPIO1", 5 } },
                { .type = LINK_PIN_WAKE, .pin_wake = { 9, "GPIO1", 5 } },
                { .type = LINK_PIN_WAKE, .pin_wake = { 1, "", 0 } },
                { .type = LINK_PIN, .pin = { 1, "a\0b", 3 } },
                { .type = LINK_PIN, .pin = { 1, NULL, 1 } },
                { .type = LINK_PIN_LINE, .pin_line = { 1, 4096, 0, 0, NULL, 0 } },
                { .type = LINK_PIN_LINE, .pin_line = { 1, 0, 4, 0, NULL, 0 } },
                { .type = LINK_PIN_LINE, .pin_line = { 1, 0, 0, 4, NULL, 0 } },
                { .type = LINK_PIN_LINE, .pin_line = { 1, 0, 0, 0, NULL, 1 } },
                { .type = LINK_PIN_LIST, .pin_names = { 1, 0, "x", 2 } },
                { .type = LINK_PIN_NAMES, .pin_names = { 1, 0, "x", 1 } },
                { .type = LINK_PIN_NAMES, .pin_names = { 1, 0, NULL, 1 } },
                { .type = LINK_HELLO, .hello = { LINK_VERSION + 1 } },
                { .type = LINK_STAGE, .stage = { BOARD_STAGE_INVALID } },
                { .type = LINK_STAGE, .stage = { BOARD_STAGE_MAX } },
                { .type = LINK_OUTPUT, .stage = { BOARD_STAGE_MAX } },
                { .type = LINK_STAGE_END, .stage_end = { BOARD_STAGE_MAX } },
                { .type = LINK_STAGE_END, .stage_end = { .result = STAGE_RESULT_MAX } },
                { .type = LINK_STAGE_END, .stage_end = { .text_size = 1 } },
                { .type = LINK_RESET, .reset = { RESET_KIND_MAX } },
                { .type = LINK_LOG, .data = { 8, "", 0 } },
                { .type = LINK_LOG, .data = { 0, NULL, 1 } },
                { .type = LINK_UNREAD_INPUT, .data = { 1, "x", 1 } },
                { .type = LINK_BOOT, .boot = { .cause = (ResetCause) 0 } },
                { .type = LINK_BOOT, .boot = { RESET_CAUSE_HARD, .flags = LINK_BOOT_FLAGS_ALL + 1 } },
        };
        uint8_t buf[LINK_MESSAGE_MAX];

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(link_encode(&bad[i], buf, sizeof buf), -EINVAL);
}

/* Text and data up to the last byte, and one more. */
static void test_limits(void **state) {
        static char data[LINK_PAYLOAD_MAX + 1];
        uint8_t buf[LINK_MESSAGE_MAX + 16];
        static const struct {
                LinkType type;
                size_t max;
        } cases[] = {
                { LINK_UNREAD_INPUT, LINK_PAYLOAD_MAX },
                { LINK_LOG, LINK_PAYLOAD_MAX - 1 },
                { LINK_STAGE_END, LINK_PAYLOAD_MAX - 16 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                LinkMessage m = { .type = cases[i].type }, back;

                if (m.type == LINK_STAGE_END)
                        m.stage_end = (LinkStageEnd) { .text = data, .text_size = cases[i].max };
                else
                        m.data = (LinkData) { .data = data, .size = cases[i].max };
                assert_int_equal(link_encode(&m, buf, sizeof buf), LINK_MESSAGE_MAX);
                assert_int_equal(decode(buf, LINK_MESSAGE_MAX, &back, NULL), 0);
                assert_int_equal(link_encode(&m, buf, LINK_MESSAGE_MAX - 1), -EMSGSIZE);

                if (m.type == LINK_STAGE_END)
                        m.stage_end.text_size++;
                else
                        m.data.size++;
                assert_int_equal(link_encode(&m, buf, sizeof buf), -EMSGSIZE);
                if (m.type == LINK_STAGE_END)
                        m.stage_end.text_size = SIZE_MAX;
                else
                        m.data.size = SIZE_MAX;
                assert_int_equal(link_encode(&m, buf, sizeof buf), -EMSGSIZE);
        }
}

static void test_text_fit_short(void **state) {
        char out[LINK_TEXT_MAX], full[LINK_TEXT_MAX];

        assert_int_equal(link_text_fit(NULL, 0, out), 0);
        assert_int_equal(link_text_fit(traceback, sizeof traceback - 1, out), sizeof traceback - 1);
        assert_memory_equal(out, traceback, sizeof traceback - 1);
        memset(full, 'x', sizeof full);
        assert_int_equal(link_text_fit(full, sizeof full, out), sizeof full);
        assert_memory_equal(out, full, sizeof full);
}

/* What the note says is left out, plus what is there without it, is the whole. */
static void check_cut(const char *text, size_t size, bool lines) {
        char out[LINK_TEXT_MAX + 1];
        size_t n = link_text_fit(text, size, out), left_out, note_size;
        char *note, *end;

        assert_true(n <= LINK_TEXT_MAX);
        out[n] = '\0';
        note = strstr(out, "... ");
        assert_non_null(note);
        left_out = strtoul(note + 4, &end, 10);
        assert_true(strncmp(end, " bytes left out ...\n", 20) == 0);
        end += 20;
        if (!lines) {
                assert_int_equal(note[-1], '\n');
                note--;
        }
        note_size = (size_t) (end - note);
        assert_int_equal(n - note_size + left_out, size);
        assert_memory_equal(out, text, (size_t) (note - out));
        assert_string_equal(end, text + size - strlen(end));
        assert_true(n > LINK_TEXT_MAX - 500); /* it does not cut more than it must */
        assert_true(((uint8_t) *end & 0xc0) != 0x80);
        if (lines) {
                assert_int_equal(note[-1], '\n');
                assert_int_equal(text[size - strlen(end) - 1], '\n');
        }
}

static void test_text_fit_long(void **state) {
        enum { SIZE = 50000 };
        _cleanup_free_ char *text = malloc(SIZE + 1);

        for (size_t line = 7; line <= 150; line += 11) {
                for (size_t i = 0; i < SIZE; i++)
                        text[i] = i % line == line - 1 ? '\n' : (char) ('a' + i % 26);
                text[SIZE] = '\0';
                check_cut(text, SIZE, true);
                memcpy(text + LINK_TEXT_MAX + 1 - 6, "Error\n", 7);
                check_cut(text, LINK_TEXT_MAX + 1, true);
        }
        /* One line only, of characters of one to four bytes, at each alignment. */
        for (size_t width = 1; width <= 4; width++)
                for (size_t shift = 0; shift < width; shift++) {
                        static const char *const character[] = { "", "a", "\xc3\xa9",
                                                                 "\xe2\x82\xac",
                                                                 "\xf0\x9f\x90\x8d" };
                        size_t size = shift;

                        memset(text, '-', shift);
                        for (; size + width <= 20000; size += width)
                                memcpy(text + size, character[width], width);
                        text[size] = '\0';
                        check_cut(text, size, false);
                }
}

/* Not UTF-8 at all: bounded all the same. */
static void test_text_fit_garbage(void **state) {
        static char text[9000];
        char out[LINK_TEXT_MAX];

        memset(text, 0x80, sizeof text);
        for (size_t size = LINK_TEXT_MAX + 1; size < sizeof text; size += 97)
                assert_in_range(link_text_fit(text, size, out), LINK_TEXT_MAX - 100, LINK_TEXT_MAX);
}

static void test_type_names(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                assert_non_null(link_type_to_string(samples[i].type));
        assert_string_equal(link_type_to_string(LINK_UNREAD_INPUT), "unread-input");
        assert_null(link_type_to_string((LinkType) 0));
        assert_null(link_type_to_string(LINK_TYPE_INVALID));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_wire_format),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_wrong_payload_size),
                cmocka_unit_test(test_header),
                cmocka_unit_test(test_hello_version),
                cmocka_unit_test(test_ranges),
                cmocka_unit_test(test_heap_order),
                cmocka_unit_test(test_watchdog_times),
                cmocka_unit_test(test_log_level),
                cmocka_unit_test(test_encode_refuses),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_text_fit_short),
                cmocka_unit_test(test_text_fit_long),
                cmocka_unit_test(test_text_fit_garbage),
                cmocka_unit_test(test_type_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
