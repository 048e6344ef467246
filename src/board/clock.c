/* SPDX-License-Identifier: MIT */
/* The VM's clocks and its seed of randomness. See clock.h. */
#include "board/clock.h"

#include <sys/random.h>
#include <time.h>

#include "board/board.h"
#include "mpyd/retained.h"
#include "lib/oofatfs/ff.h"
#include "py/mphal.h"
#include "shared/timeutils/timeutils.h"

#define NSEC_PER_SEC INT64_C(1000000000)

static int64_t offset_usec;

static int64_t read_clock(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (int64_t) ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int64_t clock_monotonic_nsec(void) {
        return read_clock(CLOCK_MONOTONIC);
}

void clock_init(void) {
        RetainedRtcOffset o;
        size_t size;

        if (retained_read(board.retained, RETAINED_RTC_OFFSET, &o, sizeof o, &size) == 0 &&
            size == sizeof o)
                offset_usec = o.offset_usec;
}

int64_t clock_vm_offset_usec(void) {
        return offset_usec;
}

int64_t clock_vm_usec(void) {
        return read_clock(CLOCK_REALTIME) / 1000 + offset_usec;
}

void clock_set_vm_usec(int64_t usec) {
        RetainedRtcOffset o;

        offset_usec = usec - read_clock(CLOCK_REALTIME) / 1000;
        o.offset_usec = offset_usec;
        (void) retained_write(board.retained, RETAINED_RTC_OFFSET, &o, sizeof o);
}

/* ---- what MicroPython calls ---- */

mp_uint_t mp_hal_ticks_ms(void) {
        return (mp_uint_t) (clock_monotonic_nsec() / 1000000);
}

void mp_hal_delay_us_fast(mp_uint_t us) {
        int64_t until = clock_monotonic_nsec() + (int64_t) us * 1000;

        while (clock_monotonic_nsec() < until)
                ;
}

mp_uint_t mp_hal_ticks_us(void) {
        return (mp_uint_t) (clock_monotonic_nsec() / 1000);
}

mp_uint_t mp_hal_ticks_cpu(void) {
        return (mp_uint_t) clock_monotonic_nsec();
}

uint64_t mp_hal_time_ns(void) {
        return (uint64_t) clock_vm_usec() * 1000;
}

DWORD get_fattime(void) {
        timeutils_struct_time_t tm;

        timeutils_seconds_since_epoch_to_struct_time((uint64_t) (clock_vm_usec() / 1000000), &tm);
        return (DWORD) ((tm.tm_year - 1980) & 0x7f) << 25 | (DWORD) tm.tm_mon << 21 |
               (DWORD) tm.tm_mday << 16 | (DWORD) tm.tm_hour << 11 | (DWORD) tm.tm_min << 5 |
               (DWORD) tm.tm_sec / 2;
}

unsigned long clock_random_seed(void) {
        unsigned long seed;

        if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
                seed = (unsigned long) clock_monotonic_nsec();
        return seed;
}
