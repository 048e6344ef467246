/* SPDX-License-Identifier: MIT */
/* machine.Timer: any number of them, virtual ones (id -1) or with a number that names the same timer
 * again. The I/O thread sees that one is due, the VM calls its callback between two instructions, or out
 * of a sleep. One that is due again before its callback has run is not called twice. */
#include "util/macros.h"

#include "board/timer.h"

#include <sys/timerfd.h>

#include "board/clock.h"
#include "board/irq-call.h"
#include "board/irq.h"
#include "board/modules/machine.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/smallint.h"

#define NSEC_PER_SEC INT64_C(1000000000)
#define NSEC_PER_MSEC INT64_C(1000000)
#define PERIOD_NONE MP_SMALL_INT_MIN
#define PERIOD_MIN_NSEC INT64_C(100000) /* 10 kHz: quicker ones would leave the program no time */

enum { MODE_ONE_SHOT = 0, MODE_PERIODIC = 1 };

/* All active ones, and those with a number, are in MP_STATE_PORT(machine_timers). The VM changes the list, with the IRQ
 * lock; the I/O thread reads it with that lock. */
typedef struct Timer {
        mp_obj_base_t base;
        IrqRequest request;
        mp_int_t id;
        mp_int_t mode;
        int64_t period_nsec;
        int64_t due_nsec; /* CLOCK_MONOTONIC; 0: not active */
        mp_obj_t callback;
        struct Timer *next;
} Timer;

static int clock_fd = -EBADF;

int timer_init(void) {
        clock_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        return clock_fd < 0 ? -errno : 0;
}

int timer_fd(void) {
        return clock_fd;
}

/* ---- with the IRQ lock ---- */

static void set_clock(void) {
        struct itimerspec when = {};
        int64_t first = 0;

        for (const Timer *t = MP_STATE_PORT(machine_timers); t; t = t->next)
                if (t->due_nsec > 0 && (first == 0 || t->due_nsec < first))
                        first = t->due_nsec;
        when.it_value.tv_sec = (time_t) (first / NSEC_PER_SEC);
        when.it_value.tv_nsec = (long) (first % NSEC_PER_SEC);
        (void) timerfd_settime(clock_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void add_to_list(Timer *t) {
        t->next = MP_STATE_PORT(machine_timers);
        MP_STATE_PORT(machine_timers) = t;
}

/* One that waits for its call stays in the list: there is a pointer to it. */
static void forget_idle(void) {
        for (Timer **at = (Timer **) &MP_STATE_PORT(machine_timers); *at;)
                if ((*at)->id < 0 && (*at)->due_nsec == 0 && !irq_request_waits(&(*at)->request))
                        *at = (*at)->next;
                else
                        at = &(*at)->next;
}

/* ---- being due ---- */

static void timer_call(IrqRequest *r) {
        Timer *t = (Timer *) ((char *) r - offsetof(Timer, request));
        mp_obj_t callback;

        irq_lock();
        callback = t->callback;
        forget_idle();
        irq_unlock();
        if (callback != mp_const_none)
                (void) irq_call_scheduled(callback, MP_OBJ_FROM_PTR(t));
}

void timer_expire(void) {
        int64_t now = clock_monotonic_nsec();
        uint64_t expirations;

        irq_lock();
        (void) !read(clock_fd, &expirations, sizeof expirations);
        for (Timer *t = MP_STATE_PORT(machine_timers); t; t = t->next) {
                if (t->due_nsec == 0 || t->due_nsec > now)
                        continue;
                if (t->mode == MODE_PERIODIC)
                        t->due_nsec += ((now - t->due_nsec) / t->period_nsec + 1) * t->period_nsec;
                else
                        t->due_nsec = 0;
                if (t->callback != mp_const_none)
                        irq_request(&t->request);
        }
        set_clock();
        irq_unlock();
}

void timer_end(void) {
        irq_lock();
        MP_STATE_PORT(machine_timers) = NULL;
        set_clock();
        irq_unlock();
}

/* ---- the class ---- */

static void timer_stop(Timer *t) {
        irq_lock();
        t->due_nsec = 0;
        t->callback = mp_const_none;
        forget_idle();
        set_clock();
        irq_unlock();
}

static void timer_start(Timer *t) {
        bool listed = false;

        irq_lock();
        for (const Timer *o = MP_STATE_PORT(machine_timers); o; o = o->next)
                listed |= o == t;
        if (!listed)
                add_to_list(t);
        t->due_nsec = clock_monotonic_nsec() + t->period_nsec;
        set_clock();
        irq_unlock();
}

/* From period= and tick_hz= (milliseconds, if nothing else is said), or freq=. */
static int64_t period_from_args(mp_int_t period, mp_obj_t freq, mp_int_t tick_hz) {
        mp_float_t nsec;

        if (freq != mp_const_none)
                nsec = (mp_float_t) NSEC_PER_SEC / mp_obj_get_float(freq);
        else if (period == PERIOD_NONE)
                mp_raise_ValueError(MP_ERROR_TEXT("period or freq is needed"));
        else
                nsec = (mp_float_t) period * (mp_float_t) NSEC_PER_SEC / (mp_float_t) tick_hz;
        if (!(nsec >= 0) || nsec > (mp_float_t) (INT64_MAX / 4))
                mp_raise_ValueError(MP_ERROR_TEXT("period is out of range"));
        return MAX((int64_t) nsec, PERIOD_MIN_NSEC);
}

static void timer_set(Timer *t, size_t n_args, const mp_obj_t *pos, mp_map_t *kw) {
        enum { ARG_MODE, ARG_PERIOD, ARG_FREQ, ARG_TICK_HZ, ARG_CALLBACK, ARG_HARD, ARG_MAX };
        static const mp_arg_t allowed[ARG_MAX] = {
                { MP_QSTR_mode, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = MODE_PERIODIC } },
                { MP_QSTR_period, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = PERIOD_NONE } },
                { MP_QSTR_freq, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
                { MP_QSTR_tick_hz, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 1000 } },
                { MP_QSTR_callback, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
                { MP_QSTR_hard, MP_ARG_KW_ONLY | MP_ARG_BOOL, { .u_bool = false } },
        };
        mp_arg_val_t args[ARG_MAX];
        int64_t period_nsec;

        mp_arg_parse_all(n_args, pos, kw, ARG_MAX, allowed, args);
        if (args[ARG_MODE].u_int != MODE_ONE_SHOT && args[ARG_MODE].u_int != MODE_PERIODIC)
                mp_raise_ValueError(MP_ERROR_TEXT("mode is ONE_SHOT or PERIODIC"));
        if (args[ARG_TICK_HZ].u_int <= 0)
                mp_raise_ValueError(MP_ERROR_TEXT("tick_hz must be positive"));
        if (args[ARG_CALLBACK].u_obj != mp_const_none &&
            !mp_obj_is_callable(args[ARG_CALLBACK].u_obj))
                mp_raise_TypeError(MP_ERROR_TEXT("callback must be callable"));
        period_nsec = period_from_args(args[ARG_PERIOD].u_int, args[ARG_FREQ].u_obj,
                                       args[ARG_TICK_HZ].u_int);
        timer_stop(t);
        t->mode = args[ARG_MODE].u_int;
        t->period_nsec = period_nsec;
        t->callback = args[ARG_CALLBACK].u_obj;
        timer_start(t);
}

/* The one with this number, as on an ESP32: the same object each time. -1: a new one. */
static Timer *timer_with_id(mp_int_t id) {
        Timer *t;

        for (t = MP_STATE_PORT(machine_timers); t; t = t->next)
                if (id >= 0 && t->id == id)
                        return t;
        t = mp_obj_malloc(Timer, &machine_timer_type);
        t->request = (IrqRequest) { .serve = timer_call };
        t->id = id;
        t->mode = MODE_PERIODIC;
        t->period_nsec = t->due_nsec = 0;
        t->callback = mp_const_none;
        t->next = NULL;
        if (id >= 0) {
                irq_lock();
                add_to_list(t);
                irq_unlock();
        }
        return t;
}

static mp_obj_t timer_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
                               const mp_obj_t *args) {
        mp_int_t id = n_args > 0 ? mp_obj_get_int(args[0]) : -1;
        mp_map_t kw;
        Timer *t;

        if (id < -1)
                mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("Timer(%d) doesn't exist"),
                                  (int) id);
        t = timer_with_id(id);
        if (n_args > 1 || n_kw > 0) {
                mp_map_init_fixed_table(&kw, n_kw, args + n_args);
                timer_set(t, n_args > 0 ? n_args - 1 : 0, args + (n_args > 0), &kw);
        }
        return MP_OBJ_FROM_PTR(t);
}

static mp_obj_t timer_init_method(size_t n_args, const mp_obj_t *args, mp_map_t *kw) {
        timer_set(MP_OBJ_TO_PTR(args[0]), n_args - 1, args + 1, kw);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(timer_init_obj, 1, timer_init_method);

static mp_obj_t timer_deinit(mp_obj_t self_in) {
        timer_stop(MP_OBJ_TO_PTR(self_in));
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(timer_deinit_obj, timer_deinit);

static void timer_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
        const Timer *t = MP_OBJ_TO_PTR(self_in);

        mp_printf(print, "Timer(%d, mode=%s, period=%d)", (int) t->id,
                  t->mode == MODE_ONE_SHOT ? "ONE_SHOT" : "PERIODIC",
                  (int) (t->period_nsec / NSEC_PER_MSEC));
}

static const mp_rom_map_elem_t timer_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&timer_init_obj) },
        { MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&timer_deinit_obj) },
        { MP_ROM_QSTR(MP_QSTR_ONE_SHOT), MP_ROM_INT(MODE_ONE_SHOT) },
        { MP_ROM_QSTR(MP_QSTR_PERIODIC), MP_ROM_INT(MODE_PERIODIC) },
};
static MP_DEFINE_CONST_DICT(timer_locals, timer_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(machine_timer_type, MP_QSTR_Timer, MP_TYPE_FLAG_NONE,
                         make_new, timer_make_new, print, timer_print, locals_dict, &timer_locals);

MP_REGISTER_ROOT_POINTER(void *machine_timers);
