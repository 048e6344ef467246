/* SPDX-License-Identifier: MIT */
/* machine.WDT (SPEC 2.5). The deadline is the supervisor's: it bites whatever the VM does or does not do.
 * Here it is only set, and fed by one store to the retained page.
 *
 * WDT(id=0, timeout=5000, *, warn=0, callback=None): timeout and warn in ms. The last two are ours: so
 * long before a bite that threatens, callback(wdt) is called at the next safe point of the VM. */
#include "util/macros.h"

#include "board/board.h"
#include "board/clock.h"
#include "board/irq-call.h"
#include "board/link.h"
#include "board/modules/machine.h"
#include "board/wdt.h"
#include "mpyd/retained.h"
#include "py/runtime.h"

#define USEC_PER_MSEC 1000
#define TIMEOUT_DEFAULT_MSEC 5000

typedef struct WdtObj {
        mp_obj_base_t base;
} WdtObj;

static const WdtObj wdt = { { &machine_wdt_type } };

static void feed(void) {
        retained_word_set(retained_word(board.retained, RETAINED_WORD_FEED_MACHINE),
                          (uint64_t) clock_monotonic_nsec() / 1000);
}

/* ---- the warning ---- */

static void call_back(IrqRequest *r) {
        mp_obj_t callback = MP_STATE_PORT(machine_wdt_callback);

        if (callback != MP_OBJ_NULL)
                (void) irq_call_scheduled(callback, MP_OBJ_FROM_PTR(&wdt));
}

static IrqRequest warning = { .serve = call_back };

void wdt_warn(WatchdogId id) {
        if (id == WATCHDOG_MACHINE)
                irq_request(&warning);
}

void wdt_forget_callback(void) {
        MP_STATE_PORT(machine_wdt_callback) = MP_OBJ_NULL;
}

/* ---- WDT ---- */

static uint64_t timeout_usec(mp_obj_t timeout) {
        mp_int_t ms = mp_obj_get_int(timeout);

        if (ms < (mp_int_t) (LINK_WATCHDOG_MIN_USEC / USEC_PER_MSEC))
                mp_raise_ValueError(MP_ERROR_TEXT("WDT timeout too short"));
        if (ms > (mp_int_t) (LINK_WATCHDOG_MAX_USEC / USEC_PER_MSEC))
                mp_raise_ValueError(MP_ERROR_TEXT("WDT timeout too long"));
        return (uint64_t) ms * USEC_PER_MSEC;
}

static uint64_t warning_usec(mp_obj_t warn, mp_obj_t callback, uint64_t timeout) {
        mp_int_t ms = warn == mp_const_none ? 0 : mp_obj_get_int(warn);

        if (ms < 0 || (uint64_t) ms >= timeout / USEC_PER_MSEC)
                mp_raise_ValueError(MP_ERROR_TEXT("warn must be less than timeout"));
        if ((ms > 0) != (callback != mp_const_none))
                mp_raise_ValueError(MP_ERROR_TEXT("warn and callback need each other"));
        if (ms > 0 && !mp_obj_is_callable(callback))
                mp_raise_TypeError(MP_ERROR_TEXT("callback must be callable"));
        return (uint64_t) ms * USEC_PER_MSEC;
}

/* A second call sets the same watchdog anew, as on most ports. */
static mp_obj_t wdt_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
                             const mp_obj_t *all_args) {
        enum { ARG_ID, ARG_TIMEOUT, ARG_WARN, ARG_CALLBACK, ARG_MAX };
        static const mp_arg_t allowed[ARG_MAX] = {
                { MP_QSTR_id, MP_ARG_INT, { .u_int = 0 } },
                { MP_QSTR_timeout, MP_ARG_OBJ,
                  { .u_rom_obj = MP_ROM_INT(TIMEOUT_DEFAULT_MSEC) } },
                { MP_QSTR_warn, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_INT(0) } },
                { MP_QSTR_callback, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        };
        mp_arg_val_t args[ARG_MAX];
        LinkMessage m = { .type = LINK_WATCHDOG, .watchdog = { .id = WATCHDOG_MACHINE } };
        mp_obj_t callback;

        mp_arg_parse_all_kw_array(n_args, n_kw, all_args, ARG_MAX, allowed, args);
        if (args[ARG_ID].u_int != 0)
                mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("WDT(%d) doesn't exist"),
                                  (int) args[ARG_ID].u_int);
        callback = args[ARG_CALLBACK].u_obj;
        m.watchdog.timeout_usec = timeout_usec(args[ARG_TIMEOUT].u_obj);
        m.watchdog.warn_usec = warning_usec(args[ARG_WARN].u_obj, callback,
                                            m.watchdog.timeout_usec);

        MP_STATE_PORT(machine_wdt_callback) = callback == mp_const_none ? MP_OBJ_NULL : callback;
        feed();
        link_send(&m);
        return MP_OBJ_FROM_PTR(&wdt);
}

static mp_obj_t wdt_feed(mp_obj_t self) {
        feed();
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(wdt_feed_obj, wdt_feed);

static const mp_rom_map_elem_t wdt_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_feed), MP_ROM_PTR(&wdt_feed_obj) },
};
static MP_DEFINE_CONST_DICT(wdt_locals, wdt_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(machine_wdt_type, MP_QSTR_WDT, MP_TYPE_FLAG_NONE,
                         make_new, wdt_make_new, locals_dict, &wdt_locals);

MP_REGISTER_ROOT_POINTER(mp_obj_t machine_wdt_callback);
