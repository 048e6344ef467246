/* SPDX-License-Identifier: MIT */
/* The retained page: how records lie in it, and how they are written so that no kill tears them.
 *
 * The first 4096 bytes are kept for single words. Behind them each record has two slots; a slot is
 * a header and the data. The newer slot is the one with the higher sequence number (they wrap). */
#include "mpyd/retained.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/io.h"
#include "util/macros.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

#define SEALS (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
#define WORDS_SIZE 4096u
#define COPIES 2u

typedef struct Slot {
        uint32_t magic; /* written last, cleared first */
        uint16_t version;
        uint16_t record;
        uint64_t sequence;
        uint32_t size;
        uint32_t crc; /* of version to size and of the data */
        uint8_t data[RETAINED_RECORD_DATA_MAX];
} Slot;

static_assert(sizeof(Slot) == 24 + RETAINED_RECORD_DATA_MAX, "no padding in a slot");
static_assert(sizeof(Slot) % 8 == 0, "slots lie aligned behind each other");
static_assert(WORDS_SIZE + RETAINED_RECORD_MAX * COPIES * sizeof(Slot) <= RETAINED_SIZE,
              "all records fit in the page");
static_assert(RETAINED_RTC_MEMORY_MAX <= RETAINED_RECORD_DATA_MAX, "RTC memory fits in a record");

#define WORD_DISTANCE 64u /* a cache line */
static_assert(RETAINED_WORD_MAX * WORD_DISTANCE <= WORDS_SIZE, "all words fit in front of the records");

static size_t slot_offset(RetainedRecord r, unsigned copy) {
        return WORDS_SIZE + ((size_t) r * COPIES + copy) * sizeof(Slot);
}

static bool record_known(RetainedRecord r) {
        return r >= 0 && r < RETAINED_RECORD_MAX;
}

/* Other processes see the stores in the order of the program, and after the barrier nothing is read
 * from the page a second time. */
static void barrier(void) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint32_t slot_crc(const Slot *s) {
        uint32_t crc;

        crc = crc32_update(0, &s->version, offsetof(Slot, crc) - offsetof(Slot, version));
        return crc32_update(crc, s->data, s->size);
}

/* Copies one slot out of the page, then checks the copy. */
static bool slot_load(const void *page, RetainedRecord r, unsigned copy, Slot *ret) {
        memcpy(ret, (const uint8_t *) page + slot_offset(r, copy), sizeof *ret);
        barrier();
        return ret->magic == RETAINED_MAGIC && ret->version == RETAINED_VERSION &&
               ret->record == (uint16_t) r && ret->size <= RETAINED_RECORD_DATA_MAX &&
               ret->crc == slot_crc(ret);
}

/* Loads the newest intact copy and says which it is, or -ENODATA. */
static int slot_load_newest(const void *page, RetainedRecord r, Slot *ret) {
        Slot second;
        bool first_ok = slot_load(page, r, 0, ret);

        if (!slot_load(page, r, 1, &second))
                return first_ok ? 0 : -ENODATA;
        if (first_ok && (int64_t) (ret->sequence - second.sequence) >= 0)
                return 0;
        *ret = second;
        return 1;
}

int retained_create(void) {
        _cleanup_close_ int fd = -EBADF;

        fd = memfd_create("mpyd-retained", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
        if (fd < 0 && errno == EINVAL) /* a kernel before 6.3 */
                fd = memfd_create("mpyd-retained", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        if (ftruncate(fd, RETAINED_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int retained_map(int fd, void **ret) {
        struct stat st;
        void *page;
        int seals;

        if (fstat(fd, &st) < 0)
                return -errno;
        seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || (seals & SEALS) != SEALS || st.st_size != (off_t) RETAINED_SIZE)
                return -EBADMSG;
        page = mmap(NULL, RETAINED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page == MAP_FAILED)
                return -errno;
        *ret = page;
        return 0;
}

void *retained_unmap(void *page) {
        if (page)
                (void) munmap(page, RETAINED_SIZE);
        return NULL;
}

uint64_t *retained_word(void *page, RetainedWord w) {
        assert((unsigned) w < RETAINED_WORD_MAX);
        return (uint64_t *) ((uint8_t *) page + (size_t) w * WORD_DISTANCE);
}

uint64_t retained_word_time(uint64_t *word, uint64_t now_usec) {
        uint64_t t = retained_word_get(word);

        if (t <= now_usec)
                return t;
        /* Unless the board has stored another one meanwhile, which is looked at next time. */
        (void) __atomic_compare_exchange_n(word, &t, now_usec, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
        return now_usec;
}

void retained_clear(void *page) {
        memset(page, 0, RETAINED_SIZE);
}

int retained_write(void *page, RetainedRecord r, const void *data, size_t size) {
        Slot new;
        int newest;
        Slot *slot;

        if (!record_known(r))
                return -EINVAL;
        if (size > RETAINED_RECORD_DATA_MAX)
                return -EMSGSIZE;

        newest = slot_load_newest(page, r, &new);
        new = (Slot) {
                .version = RETAINED_VERSION,
                .record = (uint16_t) r,
                .sequence = newest >= 0 ? new.sequence + 1 : 0,
                .size = (uint32_t) size,
        };
        if (size > 0)
                memcpy(new.data, data, size);
        new.crc = slot_crc(&new);

        slot = (Slot *) ((uint8_t *) page + slot_offset(r, newest == 0 ? 1 : 0));
        __atomic_store_n(&slot->magic, 0, __ATOMIC_RELAXED);
        barrier();
        memcpy((uint8_t *) slot + sizeof slot->magic, (const uint8_t *) &new + sizeof new.magic,
               offsetof(Slot, data) - sizeof new.magic + size);
        barrier();
        __atomic_store_n(&slot->magic, RETAINED_MAGIC, __ATOMIC_RELAXED);
        return 0;
}

int retained_read(const void *page, RetainedRecord r, void *data, size_t size, size_t *ret_size) {
        Slot newest;
        int n;

        if (!record_known(r))
                return -EINVAL;
        n = slot_load_newest(page, r, &newest);
        if (n < 0)
                return n;
        if (newest.size > size)
                return -EMSGSIZE;
        if (newest.size > 0)
                memcpy(data, newest.data, newest.size);
        *ret_size = newest.size;
        return 0;
}
