/* SPDX-License-Identifier: MIT */
/* The retained page: src/contracts/retained.c. Torn and hostile pages are made by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "mpyd/retained.h"
#include "util/io.h"
#include "util/macros.h"

static _Alignas(4096) uint8_t page[RETAINED_SIZE];

static int reset_page(void **state) {
        retained_clear(page);
        return 0;
}

static void assert_record(const void *p, RetainedRecord r, const void *data, size_t size) {
        uint8_t buf[RETAINED_RECORD_DATA_MAX];
        size_t n = SIZE_MAX;

        assert_int_equal(retained_read(p, r, buf, sizeof buf, &n), 0);
        assert_int_equal(n, size);
        if (size > 0)
                assert_memory_equal(buf, data, size);
}

static void assert_no_record(const void *p, RetainedRecord r) {
        uint8_t buf[8] = { 1, 2, 3 };
        size_t n = 77;

        assert_int_equal(retained_read(p, r, buf, sizeof buf, &n), -ENODATA);
        assert_int_equal(n, 77);
        assert_memory_equal(buf, "\1\2\3\0\0\0\0\0", 8);
}

static void test_empty(void **state) {
        for (int r = 0; r < RETAINED_RECORD_MAX; r++)
                assert_no_record(page, (RetainedRecord) r);
}

static void test_write_read(void **state) {
        uint8_t data[RETAINED_RECORD_DATA_MAX];
        const RetainedRtcOffset offset = { .offset_usec = -5 };

        /* Many times, so that both copies are taken in turn; each size once. */
        for (size_t size = 0; size <= sizeof data; size += size < 40 ? 1 : 101) {
                memset(data, (int) size, sizeof data);
                assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, data, size), 0);
                assert_record(page, RETAINED_RTC_MEMORY, data, size);
        }
        assert_no_record(page, RETAINED_RTC_OFFSET); /* records do not touch each other */
        assert_int_equal(retained_write(page, RETAINED_RTC_OFFSET, &offset, sizeof offset), 0);
        assert_record(page, RETAINED_RTC_OFFSET, &offset, sizeof offset);
        memset(data, 0x5a, sizeof data);
        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, data, sizeof data), 0);
        assert_record(page, RETAINED_RTC_OFFSET, &offset, sizeof offset);
        assert_record(page, RETAINED_RTC_MEMORY, data, sizeof data);
        retained_clear(page);
        test_empty(state);
}

static void test_arguments(void **state) {
        static const RetainedRecord unknown[] = { RETAINED_RECORD_MAX, RETAINED_RECORD_INVALID,
                                                  (RetainedRecord) 99999, (RetainedRecord) -1 };
        uint8_t data[RETAINED_RECORD_DATA_MAX + 1] = {}, small[3] = { 9, 9, 9 };
        size_t n = 77;

        for (size_t i = 0; i < ELEMENTSOF(unknown); i++) {
                assert_int_equal(retained_write(page, unknown[i], data, 1), -EINVAL);
                assert_int_equal(retained_read(page, unknown[i], data, 1, &n), -EINVAL);
        }
        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, data, sizeof data), -EMSGSIZE);
        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, "abcd", 4), 0);
        assert_int_equal(retained_read(page, RETAINED_RTC_MEMORY, small, sizeof small, &n),
                         -EMSGSIZE);
        assert_int_equal(n, 77);
        assert_memory_equal(small, "\x9\x9\x9", 3);
        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, NULL, 0), 0);
        assert_int_equal(retained_read(page, RETAINED_RTC_MEMORY, NULL, 0, &n), 0);
        assert_int_equal(n, 0);
}

/* A kill in the middle of a write, by hand: the page is a mixture of before and after, cut at each
 * byte, from either end, and at random places. Old or new, nothing else. */
static void check_mixture(const uint8_t *mixed, const char *old, const char *new) {
        char buf[64];
        size_t n;

        assert_int_equal(retained_read(mixed, RETAINED_RTC_MEMORY, buf, sizeof buf, &n), 0);
        if (!(n == strlen(new) && memcmp(buf, new, n) == 0))
                assert_true(n == strlen(old) && memcmp(buf, old, n) == 0);
}

static void test_torn(void **state) {
        static _Alignas(4096) uint8_t before[RETAINED_SIZE], mixed[RETAINED_SIZE];
        static const char *const values[] = { "first", "second value", "3rd",
                                              "the fourth, longer" };

        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, "zero", 4), 0);
        for (size_t v = 0; v < ELEMENTSOF(values); v++) {
                const char *old = v == 0 ? "zero" : values[v - 1], *new = values[v];
                size_t first = SIZE_MAX, last = 0;

                memcpy(before, page, sizeof page);
                assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, new, strlen(new)), 0);
                for (size_t i = 0; i < sizeof page; i++)
                        if (before[i] != page[i]) {
                                first = MIN(first, i);
                                last = i;
                        }
                assert_true(first < last && last - first < 4200); /* one copy, no more */

                for (size_t cut = first; cut <= last + 1; cut++) {
                        memcpy(mixed, page, cut);
                        memcpy(mixed + cut, before + cut, sizeof mixed - cut);
                        check_mixture(mixed, old, new);
                        memcpy(mixed, before, cut);
                        memcpy(mixed + cut, page + cut, sizeof mixed - cut);
                        check_mixture(mixed, old, new);
                }
                srand(1);
                for (unsigned round = 0; round < 2000; round++) {
                        memcpy(mixed, before, sizeof mixed);
                        for (size_t i = first; i <= last; i++)
                                if (rand() & 64)
                                        mixed[i] = page[i];
                        check_mixture(mixed, old, new);
                }
                memcpy(mixed, page, sizeof mixed);
                /* After a torn write the next one succeeds and is seen. */
                memset(mixed + first, 0xee, (last - first) / 2);
                assert_int_equal(retained_write(mixed, RETAINED_RTC_MEMORY, "again", 5), 0);
                assert_record(mixed, RETAINED_RTC_MEMORY, "again", 5);
        }
}

/* Each byte of the page damaged in turn: the newest record, the one before, never anything else. */
static void test_each_byte_corrupt(void **state) {
        static const uint8_t damage[] = { 0x01, 0x80, 0xff };
        unsigned fell_back = 0;

        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, "older", 5), 0);
        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, "newest", 6), 0);
        for (size_t i = 0; i < sizeof page; i++)
                for (size_t k = 0; k < ELEMENTSOF(damage); k++) {
                        char buf[16];
                        size_t n;

                        /* The page is 64 KiB: look closer only where something is. */
                        if (i > 4096 + 3 * 4200 || (i > 200 && i < 4000))
                                break;
                        page[i] ^= damage[k];
                        assert_int_equal(
                                retained_read(page, RETAINED_RTC_MEMORY, buf, sizeof buf, &n), 0);
                        if (n == 5) {
                                assert_memory_equal(buf, "older", 5);
                                fell_back++;
                        } else
                                assert_memory_equal(buf, "newest", 6);
                        page[i] ^= damage[k];
                }
        assert_int_equal(fell_back, 3 * (24 + 6)); /* header and data of one copy */
}

/* Random content, also around valid magic numbers: read and write stay within the page. */
static void test_hostile(void **state) {
        uint8_t buf[RETAINED_RECORD_DATA_MAX];
        const uint32_t magic = RETAINED_MAGIC;

        srand(2);
        for (unsigned round = 0; round < 40; round++) {
                for (size_t i = 0; i < sizeof page; i++)
                        page[i] = (uint8_t) (rand() >> 7);
                for (unsigned k = 0; k < 2000; k++)
                        memcpy(page + (size_t) rand() % (sizeof page / 4) * 4, &magic, 4);
                for (int r = 0; r < RETAINED_RECORD_MAX; r++) {
                        size_t n = 0;
                        int e = retained_read(page, (RetainedRecord) r, buf, sizeof buf, &n);

                        assert_int_equal(e, -ENODATA);
                        assert_int_equal(retained_write(page, (RetainedRecord) r, &r, sizeof r), 0);
                        assert_record(page, (RetainedRecord) r, &r, sizeof r);
                }
        }
}

/* Writes a slot as the layout has it: both programs may be of different builds. */
static void put_slot(unsigned copy, uint64_t sequence, const char *text) {
        uint8_t *slot = page + 4096 + copy * (24 + RETAINED_RECORD_DATA_MAX);
        struct {
                uint32_t magic;
                uint16_t version, record;
                uint64_t sequence;
                uint32_t size, crc;
        } header = {
                .magic = RETAINED_MAGIC,
                .version = RETAINED_VERSION,
                .record = RETAINED_RTC_MEMORY,
                .sequence = sequence,
                .size = (uint32_t) strlen(text),
        };

        header.crc = crc32_update(crc32_update(0, (uint8_t *) &header + 4, 16), text, strlen(text));
        memcpy(slot, &header, sizeof header);
        memcpy(slot + sizeof header, text, strlen(text));
}

/* Sequence numbers wrap: a hostile board cannot freeze a record by writing the highest one. */
static void test_sequence_wraps(void **state) {
        static const struct {
                uint64_t first, second;
                const char *newest;
        } cases[] = {
                { 0, 1, "second" },          { 1, 0, "first" },
                { UINT64_MAX, 0, "second" }, { 0, UINT64_MAX, "first" },
                { 7, 7, "first" },           { INT64_MAX, UINT64_C(1) << 63, "second" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                put_slot(0, cases[i].first, "first");
                put_slot(1, cases[i].second, "second");
                assert_record(page, RETAINED_RTC_MEMORY, cases[i].newest, strlen(cases[i].newest));
                for (char v = 'a'; v < 'f'; v++) {
                        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, &v, 1), 0);
                        assert_record(page, RETAINED_RTC_MEMORY, &v, 1);
                }
        }
}

/* A slot that is right in itself, but not for its place, or of a size that cannot be. */
static void test_slot_refused(void **state) {
        uint8_t *slot = page + 4096;
        uint32_t size = RETAINED_RECORD_DATA_MAX + 1;

        put_slot(0, 1, "text");
        assert_record(page, RETAINED_RTC_MEMORY, "text", 4);
        memcpy(slot + 16, &size, sizeof size);
        assert_no_record(page, RETAINED_RTC_MEMORY);
        size = UINT32_MAX;
        memcpy(slot + 16, &size, sizeof size);
        assert_no_record(page, RETAINED_RTC_MEMORY);

        put_slot(0, 1, "text");
        put_slot(2, 1, "text"); /* the place of another record */
        assert_no_record(page, RETAINED_RTC_OFFSET);
}

static void test_create_map(void **state) {
        _cleanup_close_ int fd = retained_create();
        void *a = NULL, *b = NULL;

        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(retained_map(fd, &a), 0);
        assert_int_equal(retained_map(fd, &b), 0);
        assert_no_record(a, RETAINED_RTC_MEMORY);
        assert_int_equal(retained_write(a, RETAINED_RTC_MEMORY, "shared", 6), 0);
        assert_record(b, RETAINED_RTC_MEMORY, "shared", 6);

        /* A board cannot resize it, nor take the seals away or add others. */
        assert_int_equal(ftruncate(fd, 0), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(fd, 2 * RETAINED_SIZE), -1);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
        /* A hole reads as zeros: forgotten, not fatal. */
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, RETAINED_SIZE) >= 0)
                assert_no_record(b, RETAINED_RTC_MEMORY);
        a = retained_unmap(a);
        b = retained_unmap(b);
        assert_null(a);
        assert_null(retained_unmap(NULL));
}

static void test_map_refuses(void **state) {
        static const struct {
                off_t size;
                int seals;
        } cases[] = {
                { RETAINED_SIZE - 1, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL },
                { RETAINED_SIZE + 1, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL },
                { 0, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL },
                { RETAINED_SIZE, 0 },
                { RETAINED_SIZE, F_SEAL_GROW | F_SEAL_SEAL },
                { RETAINED_SIZE, F_SEAL_SHRINK | F_SEAL_SEAL },
                { RETAINED_SIZE, F_SEAL_SHRINK | F_SEAL_GROW },
        };
        _cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        void *p = (void *) 1;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

                assert_int_equal(ftruncate(fd, cases[i].size), 0);
                if (cases[i].seals != 0)
                        assert_int_equal(fcntl(fd, F_ADD_SEALS, cases[i].seals), 0);
                assert_int_equal(retained_map(fd, &p), -EBADMSG);
        }
        assert_int_equal(retained_map(null_fd, &p), -EBADMSG);
        assert_int_equal(retained_map(-1, &p), -EBADF);
        assert_ptr_equal(p, (void *) 1);
}

/* The real thing: a process that writes without end is killed at an instant of nobody's choice. */
static void test_killed_writer(void **state) {
        _cleanup_close_ int fd = retained_create();
        uint8_t last = 0;
        void *shared;

        assert_int_equal(retained_map(fd, &shared), 0);
        assert_int_equal(retained_write(shared, RETAINED_RTC_MEMORY, &last, 1), 0);
        for (unsigned round = 0; round < 60; round++) {
                uint8_t buf[RETAINED_RTC_MEMORY_MAX];
                size_t n;
                pid_t pid = fork();

                assert_true(pid >= 0);
                if (pid == 0) {
                        for (uint8_t v = last;; v++) {
                                uint8_t data[RETAINED_RTC_MEMORY_MAX];

                                memset(data, v, sizeof data);
                                if (retained_write(shared, RETAINED_RTC_MEMORY, data,
                                                   1 + v * (sizeof data - 1) / 255) < 0)
                                        _exit(1);
                        }
                }
                /* Reads while it writes, too. -ENODATA: it wrote both copies while one was read. */
                for (unsigned k = 0; k < 20 + round * 3; k++) {
                        int r = retained_read(shared, RETAINED_RTC_MEMORY, buf, sizeof buf, &n);

                        if (r == 0)
                                assert_true(n == 1 + buf[0] * (sizeof buf - 1) / 255 &&
                                            buf[n - 1] == buf[0]);
                        else
                                assert_int_equal(r, -ENODATA);
                        (void) usleep(50);
                }
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                assert_int_equal(retained_read(shared, RETAINED_RTC_MEMORY, buf, sizeof buf, &n),
                                 0);
                for (size_t i = 0; i < n; i++)
                        assert_int_equal(buf[i], buf[0]);
                assert_int_equal(n, 1 + buf[0] * (sizeof buf - 1) / 255);
                last = buf[0];
        }
        shared = retained_unmap(shared);
}

/* Words lie apart from each other and from the records. */
static void test_words(void **state) {
        const uint8_t data[] = "record";

        for (int i = 0; i < RETAINED_WORD_MAX; i++) {
                uint64_t *word = retained_word(page, (RetainedWord) i);

                assert_int_equal((uintptr_t) word % sizeof *word, 0);
                assert_int_equal(retained_word_get(word), 0);
                retained_word_set(word, UINT64_MAX - (uint64_t) i);
        }
        assert_no_record(page, RETAINED_RTC_MEMORY);
        assert_int_equal(retained_write(page, RETAINED_RTC_MEMORY, data, sizeof data), 0);
        for (int i = 0; i < RETAINED_WORD_MAX; i++) {
                uint64_t *word = retained_word(page, (RetainedWord) i);

                assert_true(retained_word_exchange(word, 5) == UINT64_MAX - (uint64_t) i);
                assert_int_equal(retained_word_get(word), 5);
        }
        assert_record(page, RETAINED_RTC_MEMORY, data, sizeof data);
        retained_clear(page);
        assert_int_equal(retained_word_get(retained_word(page, RETAINED_WORD_PROGRESS)), 0);
}

/* A time from the future counts for now, and for now only. */
static void test_word_time(void **state) {
        uint64_t *word = retained_word(page, RETAINED_WORD_FEED_MACHINE);

        retained_word_set(word, 1000);
        assert_int_equal(retained_word_time(word, 1000), 1000);
        assert_int_equal(retained_word_time(word, 2000), 1000);
        assert_int_equal(retained_word_time(word, 999), 999);
        assert_int_equal(retained_word_time(word, 5000), 999);
        retained_word_set(word, UINT64_MAX);
        assert_int_equal(retained_word_time(word, 7000), 7000);
        assert_int_equal(retained_word_time(word, 9000), 7000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_empty, reset_page),
                cmocka_unit_test_setup(test_write_read, reset_page),
                cmocka_unit_test_setup(test_arguments, reset_page),
                cmocka_unit_test_setup(test_torn, reset_page),
                cmocka_unit_test_setup(test_each_byte_corrupt, reset_page),
                cmocka_unit_test_setup(test_hostile, reset_page),
                cmocka_unit_test_setup(test_sequence_wraps, reset_page),
                cmocka_unit_test_setup(test_slot_refused, reset_page),
                cmocka_unit_test_setup(test_create_map, reset_page),
                cmocka_unit_test_setup(test_map_refuses, reset_page),
                cmocka_unit_test_setup(test_killed_writer, reset_page),
                cmocka_unit_test_setup(test_words, reset_page),
                cmocka_unit_test_setup(test_word_time, reset_page),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
