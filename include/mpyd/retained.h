/* SPDX-License-Identifier: MIT */
/* Contract 2: the page of memory that outlives the board, as an RTC's backup domain does.
 *
 * A memfd of RETAINED_SIZE bytes, sealed against growing and shrinking (F_SEAL_GROW, F_SEAL_SHRINK,
 * F_SEAL_SEAL: a hostile ftruncate() would otherwise kill the supervisor by SIGBUS), mapped by the
 * supervisor and by each board in turn. It holds records, each in two copies: a write goes to the
 * older copy and is complete only when its checksum is, so that SIGKILL at any instruction leaves
 * either the old or the new content, never a mixture. A reader copies first and checks the copy: the
 * board may scribble while the supervisor reads. Nothing in here is trusted by the supervisor.
 *
 * Cleared at power-on, kept over every other reset (SPEC 2.1). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define RETAINED_SIZE 65536u
#define RETAINED_MAGIC 0x6d707264u /* "drpm" in memory */
#define RETAINED_VERSION 1u

/* Words: single values outside of the records, for what changes too often for one. A word is stored
 * and read whole, without a system call. */
typedef enum RetainedWord {
        RETAINED_WORD_FEED_MACHINE = 0,     /* when WATCHDOG_MACHINE was last fed: CLOCK_MONOTONIC, µs */
        RETAINED_WORD_FEED_MICROCONTROLLER, /* the same of WATCHDOG_MICROCONTROLLER */
        RETAINED_WORD_PROGRESS,   /* the VM's own loop counts its turns here */
        RETAINED_WORD_WAITING,    /* not 0 while the VM sleeps until something happens */
        RETAINED_WORD_TELL_AWAKE, /* the supervisor: send LINK_AWAKE when it ceases to */
        RETAINED_WORD_RELOADS,    /* the supervisor: times in a row that it started a program again */
        RETAINED_WORD_HEAP_SIZE,  /* of the VM, bytes, as far as it has grown */
        RETAINED_WORD_HEAP_FREE,  /* of that, after the last collection */
        RETAINED_WORD_GC_COUNT,   /* collections in this life */
        RETAINED_WORD_GC_LAST,    /* how long the last one took, µs */
        RETAINED_WORD_GC_LONGEST, /* the longest of this life, µs */
        RETAINED_WORD_REPL,       /* what the REPL does, RETAINED_REPL_* */
        RETAINED_WORD_MAX,
} RetainedWord;

/* RETAINED_WORD_REPL: flags, and above them how many times code was run there in this life. */
#define RETAINED_REPL_RUNS UINT64_C(1) /* code that somebody entered; else it waits for some */
#define RETAINED_REPL_RAW UINT64_C(2)  /* it is the raw REPL */
#define RETAINED_REPL_ONE UINT64_C(4)

/* Records. The number is the place in the page: never reuse one. */
typedef enum RetainedRecord {
        RETAINED_RTC_MEMORY = 0, /* machine.RTC().memory(): raw bytes, at most RETAINED_RTC_MEMORY_MAX */
        RETAINED_RTC_OFFSET,     /* RetainedRtcOffset */
        RETAINED_RECORD_MAX,
        RETAINED_RECORD_INVALID = -22,
} RetainedRecord;

#define RETAINED_RTC_MEMORY_MAX 2048u /* as the esp32 port, SPEC 2.6 */
#define RETAINED_RECORD_DATA_MAX 4096u

/* The VM's clock is the host's plus this (D16): RTC().datetime(t) never touches the host's clock. */
typedef struct RetainedRtcOffset {
        int64_t offset_usec;
} RetainedRtcOffset;

/* Creates the memfd, sealed. Returns a descriptor or a negative errno. */
int retained_create(void);

/* Maps fd. Refuses (-EBADMSG) a file of the wrong size or without the seals. */
int retained_map(int fd, void **ret);
void *retained_unmap(void *page); /* always NULL */

/* Where a word lies, for who stores it often. Aligned, in a cache line of its own. */
uint64_t *retained_word(void *page, RetainedWord w);

static inline void retained_word_set(uint64_t *word, uint64_t value) {
        __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static inline uint64_t retained_word_get(const uint64_t *word) {
        return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline uint64_t retained_word_exchange(uint64_t *word, uint64_t value) {
        return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}

/* A time in a word that cannot be later than now: one from the future is taken for now, once. (It is
 * replaced in the page, or a board that scribbles there would feed its watchdog for ever.) */
uint64_t retained_word_time(uint64_t *word, uint64_t now_usec);

/* Forgets everything: power-on. */
void retained_clear(void *page);

/* Stores size bytes. -EINVAL for an unknown record, -EMSGSIZE over RETAINED_RECORD_DATA_MAX. One
 * writer at a time: the board while it lives, the supervisor otherwise. */
int retained_write(void *page, RetainedRecord r, const void *data, size_t size);

/* Copies the newest intact copy to data and its size to *ret_size. -ENODATA when there is none (never
 * written, or damaged), -EMSGSIZE when it is larger than size; outputs are untouched on failure. */
int retained_read(const void *page, RetainedRecord r, void *data, size_t size, size_t *ret_size);
