/* SPDX-License-Identifier: MIT */
/* machine.RTC (SPEC 2.6): the VM's wall clock, and memory that outlives every reset but
 * power-on. */
#include "util/macros.h"

#include "board/board.h"
#include "board/clock.h"
#include "board/modules/machine.h"
#include "mpyd/retained.h"
#include "py/runtime.h"
#include "shared/timeutils/timeutils.h"

/* What MicroPython's own calendar can do on a 32-bit machine. */
#define YEAR_MIN 2000
#define YEAR_MAX 2099
#define SPAN_MAX 1000000 /* of a day, an hour and so on that is counted from the month's begin */

static const mp_obj_base_t rtc = { &machine_rtc_type };

static mp_obj_t rtc_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
                             const mp_obj_t *args) {
        mp_arg_check_num(n_args, n_kw, 0, 0, false);
        return MP_OBJ_FROM_PTR(&rtc);
}

static mp_obj_t rtc_get(void) {
        int64_t usec = clock_vm_usec();
        timeutils_struct_time_t tm;

        timeutils_seconds_since_epoch_to_struct_time((uint64_t) (usec / 1000000), &tm);
        mp_obj_t items[8] = {
                MP_OBJ_NEW_SMALL_INT(tm.tm_year), MP_OBJ_NEW_SMALL_INT(tm.tm_mon),
                MP_OBJ_NEW_SMALL_INT(tm.tm_mday), MP_OBJ_NEW_SMALL_INT(tm.tm_wday),
                MP_OBJ_NEW_SMALL_INT(tm.tm_hour), MP_OBJ_NEW_SMALL_INT(tm.tm_min),
                MP_OBJ_NEW_SMALL_INT(tm.tm_sec),  MP_OBJ_NEW_SMALL_INT(usec % 1000000),
        };
        return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}

static mp_int_t field(mp_obj_t value, mp_int_t min, mp_int_t max) {
        mp_int_t n = mp_obj_get_int(value);

        if (n < min || n > max)
                mp_raise_ValueError(MP_ERROR_TEXT("date or time out of range"));
        return n;
}

static int64_t begin_of_year(mp_int_t year) {
        return (int64_t) timeutils_mktime((mp_uint_t) year, 1, 1, 0, 0, 0);
}

/* at: where in the tuple hours, minutes, seconds and microseconds begin. What is too large or negative is carried, as
 * by time.mktime() and on other boards: programs add hours to the time of their zone. */
static void rtc_set(mp_obj_t tuple, size_t at) {
        mp_int_t year, month, day, usec;
        int64_t seconds, all_usec;
        mp_obj_t *items;

        mp_obj_get_array_fixed_n(tuple, 8, &items);
        year = field(items[0], YEAR_MIN, YEAR_MAX);
        month = field(items[1], 1, 12);
        day = field(items[2], -SPAN_MAX, SPAN_MAX);
        seconds = field(items[at], -SPAN_MAX, SPAN_MAX) * INT64_C(3600) +
                  field(items[at + 1], -SPAN_MAX, SPAN_MAX) * INT64_C(60) +
                  field(items[at + 2], -SPAN_MAX, SPAN_MAX);
        usec = field(items[at + 3], -1000 * SPAN_MAX, 1000 * SPAN_MAX);
        seconds += (int64_t) timeutils_mktime((mp_uint_t) year, month, 1, 0, 0, 0) + (day - 1) * INT64_C(86400);
        all_usec = seconds * 1000000 + usec;
        if (all_usec < begin_of_year(YEAR_MIN) * 1000000 || all_usec >= begin_of_year(YEAR_MAX + 1) * 1000000)
                mp_raise_ValueError(MP_ERROR_TEXT("date or time out of range"));
        clock_set_vm_usec(all_usec);
}

/* datetime([(year, month, day, weekday, hours, minutes, seconds, microseconds)]): the weekday is
 * not looked at. */
static mp_obj_t rtc_datetime(size_t n_args, const mp_obj_t *args) {
        if (n_args == 1)
                return rtc_get();
        rtc_set(args[1], 4);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(rtc_datetime_obj, 1, 2, rtc_datetime);

/* init((year, month, day, hours, minutes, seconds, microseconds, tzinfo)): the esp32 port's
 * order. */
static mp_obj_t rtc_init(mp_obj_t self_in, mp_obj_t tuple) {
        rtc_set(tuple, 3);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(rtc_init_obj, rtc_init);

/* memory([data]) */
static mp_obj_t rtc_memory(size_t n_args, const mp_obj_t *args) {
        uint8_t buf[RETAINED_RTC_MEMORY_MAX];
        mp_buffer_info_t info;
        size_t size;

        if (n_args == 1) {
                if (retained_read(board.retained, RETAINED_RTC_MEMORY, buf, sizeof buf, &size) < 0)
                        size = 0; /* never written */
                return mp_obj_new_bytes(buf, size);
        }
        mp_get_buffer_raise(args[1], &info, MP_BUFFER_READ);
        if (info.len > RETAINED_RTC_MEMORY_MAX)
                mp_raise_ValueError(MP_ERROR_TEXT("buffer too long"));
        if (retained_write(board.retained, RETAINED_RTC_MEMORY, info.buf, info.len) < 0)
                mp_raise_OSError(EIO);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(rtc_memory_obj, 1, 2, rtc_memory);

static const mp_rom_map_elem_t rtc_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_datetime), MP_ROM_PTR(&rtc_datetime_obj) },
        { MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&rtc_init_obj) },
        { MP_ROM_QSTR(MP_QSTR_memory), MP_ROM_PTR(&rtc_memory_obj) },
};
static MP_DEFINE_CONST_DICT(rtc_locals, rtc_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(machine_rtc_type, MP_QSTR_RTC, MP_TYPE_FLAG_NONE,
                         make_new, rtc_make_new, locals_dict, &rtc_locals);
