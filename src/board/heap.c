/* SPDX-License-Identifier: MIT */
/* Areas of the garbage-collected heap, and executable memory for the native emitters. */
#include "board/heap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "board/clock.h"
#include "board/threads.h"
#include "mpyd/retained.h"
#include "py/gc.h"
#include "py/mpstate.h"
#include "py/runtime.h"
#include "py/smallint.h"
#include "shared/runtime/gchelper.h"

#define HEAP_MIN (128u * 1024)

/* Each area that was added, with its size, which munmap() wants to know. */
typedef struct Area {
        void *start;
        size_t size;
        struct Area *next;
} Area;

static struct {
        size_t max, used;
        Area *areas;
        Area *exec_areas; /* machine code; it may hold pointers into the heap */
        void *retained;
        uint64_t n_collections, longest_usec;
} heap;

/* ---- for who looks from outside ---- */

static void show(RetainedWord word, uint64_t value) {
        retained_word_set(retained_word(heap.retained, word), value);
}

/* What gc_info() would count block by block, which takes as long as a collection: two bits of the table a
 * block, 00 for a free one (py/gc.c, AT_FREE). */
static size_t free_bytes(void) {
        size_t blocks = 0;

        for (const mp_state_mem_area_t *a = &MP_STATE_MEM(area); a; a = a->next)
                for (size_t i = 0; i < a->gc_alloc_table_byte_len;) {
                        size_t n = MIN(sizeof(uint64_t), a->gc_alloc_table_byte_len - i);
                        uint64_t bits = ~UINT64_C(0);

                        memcpy(&bits, a->gc_alloc_table_start + i, n);
                        blocks += (size_t) __builtin_popcountll(~(bits | bits >> 1) & UINT64_C(0x5555555555555555));
                        i += n;
                }
        return blocks * MICROPY_BYTES_PER_GC_BLOCK;
}

static void show_collection(int64_t began_nsec) {
        uint64_t usec = (uint64_t) (clock_monotonic_nsec() - began_nsec) / 1000;

        heap.longest_usec = MAX(heap.longest_usec, usec);
        show(RETAINED_WORD_HEAP_FREE, free_bytes());
        show(RETAINED_WORD_GC_LAST, usec);
        show(RETAINED_WORD_GC_LONGEST, heap.longest_usec);
        show(RETAINED_WORD_GC_COUNT, ++heap.n_collections);
}

static Area *area_new(Area **list, size_t size, int protection) {
        Area *a = malloc(sizeof *a);
        void *start;

        if (!a)
                return NULL;
        start = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (start == MAP_FAILED) {
                free(a);
                return NULL;
        }
        *a = (Area) { .start = start, .size = size, .next = *list };
        *list = a;
        return a;
}

/* Returns how large it was. */
static size_t area_free(Area **list, void *start) {
        for (Area **p = list; *p; p = &(*p)->next) {
                Area *a = *p;
                size_t size = a->size;

                if (a->start != start)
                        continue;
                *p = a->next;
                (void) munmap(a->start, a->size);
                free(a);
                return size;
        }
        return 0;
}

int heap_init(size_t size, size_t max, void *retained) {
        Area *a;

        size = MAX(size, (size_t) HEAP_MIN);
        heap.max = MAX(size, max);
        a = area_new(&heap.areas, size, PROT_READ | PROT_WRITE);
        if (!a)
                return -ENOMEM;
        heap.used = size;
        gc_init(a->start, (char *) a->start + a->size);
        heap.retained = retained;
        for (RetainedWord w = RETAINED_WORD_HEAP_SIZE; w <= RETAINED_WORD_GC_LONGEST; w++)
                show(w, 0);
        show(RETAINED_WORD_HEAP_SIZE, heap.used);
        show(RETAINED_WORD_HEAP_FREE, free_bytes());
        return 0;
}

/* ---- what MicroPython calls ---- */

size_t gc_get_max_new_split(void) {
        return heap.max - heap.used;
}

void *heap_area_new(size_t size) {
        Area *a;

        if (size > heap.max - heap.used)
                return NULL;
        a = area_new(&heap.areas, size, PROT_READ | PROT_WRITE);
        if (!a)
                return NULL;
        heap.used += size;
        show(RETAINED_WORD_HEAP_SIZE, heap.used);
        return a->start;
}

void heap_area_free(void *start) {
        heap.used -= area_free(&heap.areas, start);
        show(RETAINED_WORD_HEAP_SIZE, heap.used);
}

void gc_collect(void) {
        int64_t began_nsec = clock_monotonic_nsec();

        gc_collect_start();
        gc_helper_collect_regs_and_stack();
        threads_collect();
        for (const Area *a = heap.exec_areas; a; a = a->next)
                gc_collect_root(a->start, a->size / sizeof(void *));
        gc_collect_end();
        show_collection(began_nsec);
}

/* What is put into it are mostly pointers, which take twice as many bytes on 64 bits; programs ask for 100, which
 * would be too few there to hold any message. */
void *heap_exception_buf(void *size) {
        mp_int_t n = MAX(MIN(mp_obj_get_int(size), MP_SMALL_INT_MAX / 2), 0) * (mp_int_t) (sizeof(void *) / 4);

        if (n > 0 && n <= MP_STATE_VM(mp_emergency_exception_buf_size))
                return mp_const_none; /* there is one; an exception that somebody still holds may be in it */
        return mp_alloc_emergency_exception_buf(mp_obj_new_int(n));
}

void heap_alloc_exec(size_t min_size, void **ret_ptr, size_t *ret_size) {
        size_t page = (size_t) sysconf(_SC_PAGESIZE);
        size_t size = (min_size + page - 1) / page * page;
        Area *a = area_new(&heap.exec_areas, size, PROT_READ | PROT_WRITE | PROT_EXEC);

        if (!a)
                m_malloc_fail(size); /* raises MemoryError: a hardened system may forbid it */
        *ret_ptr = a->start;
        *ret_size = size;
}

void heap_free_exec(void *ptr, size_t size) {
        (void) area_free(&heap.exec_areas, ptr);
}
