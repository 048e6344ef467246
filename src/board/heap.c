/* SPDX-License-Identifier: MIT */
/* Areas of the garbage-collected heap, and executable memory for the native emitters. */
#include "board/heap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "board/threads.h"
#include "board/threads.h"
#include "py/gc.h"
#include "py/mpstate.h"
#include "py/runtime.h"
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
} heap;

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

int heap_init(size_t size, size_t max) {
        Area *a;

        size = MAX(size, (size_t) HEAP_MIN);
        heap.max = MAX(size, max);
        a = area_new(&heap.areas, size, PROT_READ | PROT_WRITE);
        if (!a)
                return -ENOMEM;
        heap.used = size;
        gc_init(a->start, (char *) a->start + a->size);
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
        return a->start;
}

void heap_area_free(void *start) {
        heap.used -= area_free(&heap.areas, start);
}

void gc_collect(void) {
        gc_collect_start();
        gc_helper_collect_regs_and_stack();
        threads_collect();
        for (const Area *a = heap.exec_areas; a; a = a->next)
                gc_collect_root(a->start, a->size / sizeof(void *));
        gc_collect_end();
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
