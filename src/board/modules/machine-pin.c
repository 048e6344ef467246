/* SPDX-License-Identifier: MIT */
/* machine.Pin (SPEC 2.8, S3, S15, S16): one GPIO line of the machine. The supervisor requests it and keeps
 * it; here is its descriptor, so that reading, writing and waiting for edges (machine-pin-irq.c) cost one system call.
 *
 * Pin(id, mode=-1, pull=-1, *, value=None): id is a number n for line "GPIO<n>" (as "GP<n>" is), or a line's name, or
 * "CHIP:OFFSET". There is one object for a line. Without a mode the line is left as it is, and reads what a
 * soft reset has left at it. ValueError: there is no such line; OSError(EBUSY): somebody else uses it, who is
 * named; OSError(EPERM): configuration keeps it from scripts. */
#include "board/modules/machine-pin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "board/irq.h"
#include "board/modules/machine.h"
#include "board/pin-link.h"
#include "extmod/virtpin.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objtype.h"
#include "py/runtime.h"

/* As most ports have them: scripts store them. */
enum { MODE_IN = 0, MODE_OUT = 1, MODE_OPEN_DRAIN = 2 };
enum { PULL_UP = 1, PULL_DOWN = 2 };

/* ---- errors ---- */

static NORETURN void raise_os_error(int error, const char *text) {
        mp_obj_t args[] = { MP_OBJ_NEW_SMALL_INT(error), mp_obj_new_str(text, strlen(text)) };

        nlr_raise(mp_obj_new_exception_args(&mp_type_OSError, *text ? 2 : 1, args));
}

static void check(int r) {
        if (r < 0)
                mp_raise_OSError(-r);
}

/* ---- finding ---- */

/* The name as the supervisor knows it. */
static void name_from_obj(mp_obj_t id, char name[static LINK_PIN_NAME_MAX + 1]) {
        const char *s;
        size_t n;

        if (mp_obj_is_int(id)) {
                mp_int_t number = mp_obj_get_int(id);

                if (number < 0)
                        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("Pin(%d) doesn't exist"), (int) number);
                (void) snprintf(name, LINK_PIN_NAME_MAX + 1, "GPIO%d", (int) number);
                return;
        }
        s = mp_obj_str_get_data(id, &n);
        if (n == 0 || n > LINK_PIN_NAME_MAX || memchr(s, '\0', n))
                mp_raise_ValueError(MP_ERROR_TEXT("not the name of a pin"));
        memcpy(name, s, n);
        name[n] = '\0';
}

static Pin *pin_known(const char *name) {
        for (Pin *p = MP_STATE_PORT(machine_pins); p; p = p->next)
                if (streq(p->name, name))
                        return p;
        return NULL;
}

static void ask(const char *name, PinAnswer *ret) {
        MP_THREAD_GIL_EXIT();
        pin_link_ask(name, ret);
        MP_THREAD_GIL_ENTER();
}

bool machine_pin_is_output(const Pin *p) {
        return p->settings.direction == GPIO_DIRECTION_OUTPUT || p->settings.direction == GPIO_DIRECTION_OPEN_DRAIN;
}

bool machine_pin_pico_name(const char *name, char ret[static LINK_PIN_NAME_MAX + 1]) {
        return strncmp(name, "GP", 2) == 0 && name[2] != '\0' && name[2 + strspn(name + 2, "0123456789")] == '\0' &&
               (size_t) snprintf(ret, LINK_PIN_NAME_MAX + 1, "GPIO%s", name + 2) <= LINK_PIN_NAME_MAX;
}

static Pin *pin_new(const char *name) {
        Pin *p = mp_obj_malloc(Pin, &machine_pin_type);

        memset((char *) p + sizeof p->base, 0, sizeof *p - sizeof p->base);
        (void) snprintf(p->name, sizeof p->name, "%s", name);
        p->request.serve = machine_pin_serve;
        return p;
}

static void make_known(Pin *p) {
        p->next = MP_STATE_PORT(machine_pins);
        MP_STATE_PORT(machine_pins) = p;
}

static void take_line(Pin *p, const PinAnswer *a) {
        check(gpio_line_init(&p->line, a->fd));
        p->settings = (GpioSettings) {
                .direction = (GpioDirection) a->line.direction,
                .pull = (GpioPull) a->line.pull,
        };
        if (machine_pin_is_output(p)) /* what a soft reset has left */
                p->settings.value = gpio_line_get(&p->line) == 1;
        p->held = true;
}

/* p with its line, or who is known by that name; NULL: there is no such line. */
static Pin *pin_hold(Pin *p) {
        PinAnswer a;
        Pin *known;

        if (p->held)
                return p;
        ask(p->name, &a);
        if (a.line.error == ENOENT)
                return NULL;
        if (a.line.error != 0)
                raise_os_error((int) a.line.error, a.text);
        known = pin_known(p->name);
        if (known && known->held) { /* another thread was quicker */
                (void) close(a.fd);
                return known;
        }
        take_line(known ?: p, &a);
        if (!known)
                make_known(p);
        return known ?: p;
}

/* NULL: there is no such line. */
static Pin *pin_find(const char *name) {
        char line[LINK_PIN_NAME_MAX + 1];
        Pin *p = pin_hold(pin_known(name) ?: pin_new(name)); /* first the object: a descriptor would be lost */

        return p || !machine_pin_pico_name(name, line) ? p : pin_hold(pin_known(line) ?: pin_new(line));
}

Pin *machine_pin_named(const char *name) {
        Pin *p = pin_known(name);

        if (!p) {
                p = pin_new(name);
                make_known(p);
        }
        return p;
}

static NORETURN void raise_no_pin(const char *name) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("Pin(%s) doesn't exist"), name);
}

/* Also of a class that is derived from Pin: Signal calls its protocol with the instance. */
Pin *machine_pin_self(mp_obj_t self) {
        Pin *p;

        if (!mp_obj_is_exact_type(self, &machine_pin_type))
                self = mp_obj_cast_to_native_base(self, MP_OBJ_FROM_PTR(&machine_pin_type));
        if (self == MP_OBJ_NULL || !mp_obj_is_exact_type(self, &machine_pin_type))
                mp_raise_TypeError(MP_ERROR_TEXT("not a Pin"));
        p = MP_OBJ_TO_PTR(self);

        return pin_hold(p) ?: (raise_no_pin(p->name), NULL);
}

/* Also a number or a name, where others take only a Pin. */
Pin *pin_from_obj(void *obj) {
        char name[LINK_PIN_NAME_MAX + 1];
        Pin *p;

        if (mp_obj_is_exact_type(obj, &machine_pin_type))
                return machine_pin_self(obj);
        name_from_obj(obj, name);
        p = pin_find(name);
        if (!p)
                raise_no_pin(name);
        return p;
}

/* ---- the line ---- */

/* After a question to a line: an edge that came before its answer is nothing that poll(2) sees. */
static int checked(Pin *p, int r) {
        if (p->line.simulated && gpio_line_has_kept(&p->line)) {
                irq_lock();
                machine_pin_take_edges(p);
                irq_unlock();
        }
        check(r);
        return r;
}

void machine_pin_apply(Pin *p, const GpioSettings *s) {
        (void) checked(p, gpio_line_configure(&p->line, s));
        p->settings = *s;
}

int pin_read(Pin *p) {
        return checked(p, gpio_line_get(&p->line));
}

/* For an input it is what it will drive once it is an output. */
void pin_write(Pin *p, int value) {
        p->settings.value = value != 0;
        if (machine_pin_is_output(p))
                (void) checked(p, gpio_line_set(&p->line, value != 0));
}

/* What is driven already is not dropped by saying so again, nor is anything touched that stays as it is. */
static void set_direction(Pin *p, GpioDirection d, int pull, mp_obj_t value) {
        GpioSettings s = p->settings;

        s.direction = d;
        if (pull >= 0)
                s.pull = (GpioPull) pull;
        if (value != mp_const_none)
                s.value = mp_obj_is_true(value);
        else if (s.direction == p->settings.direction && s.pull == p->settings.pull)
                return;
        else if (p->settings.direction == GPIO_DIRECTION_OUTPUT)
                s.value = pin_read(p);
        else if (d == GPIO_DIRECTION_OPEN_DRAIN && p->settings.direction != GPIO_DIRECTION_OPEN_DRAIN)
                s.value = true; /* let go */
        machine_pin_apply(p, &s);
}

void pin_set_input(Pin *p) {
        set_direction(p, GPIO_DIRECTION_INPUT, -1, mp_const_none);
}

void pin_set_output(Pin *p) {
        set_direction(p, GPIO_DIRECTION_OUTPUT, -1, mp_const_none);
}

void pin_set_open_drain(Pin *p) {
        set_direction(p, GPIO_DIRECTION_OPEN_DRAIN, -1, mp_const_none);
}

const char *pin_name(const Pin *p) {
        return p->name;
}

/* ---- modes ---- */

static GpioDirection direction_from_obj(mp_obj_t mode) {
        switch (mp_obj_get_int(mode)) {
        case MODE_IN:
                return GPIO_DIRECTION_INPUT;
        case MODE_OUT:
                return GPIO_DIRECTION_OUTPUT;
        case MODE_OPEN_DRAIN:
                return GPIO_DIRECTION_OPEN_DRAIN;
        default:
                mp_raise_ValueError(MP_ERROR_TEXT("mode is Pin.IN, Pin.OUT or Pin.OPEN_DRAIN"));
        }
}

static int pull_from_obj(mp_obj_t pull) {
        if (pull == mp_const_none)
                return GPIO_PULL_NONE;
        switch (mp_obj_get_int(pull)) {
        case -1:
                return -1;
        case PULL_UP:
                return GPIO_PULL_UP;
        case PULL_DOWN:
                return GPIO_PULL_DOWN;
        default:
                mp_raise_ValueError(MP_ERROR_TEXT("pull is None, Pin.PULL_UP or Pin.PULL_DOWN"));
        }
}

static mp_obj_t mode_to_obj(const Pin *p) {
        switch (p->settings.direction) {
        case GPIO_DIRECTION_OUTPUT:
                return MP_OBJ_NEW_SMALL_INT(MODE_OUT);
        case GPIO_DIRECTION_OPEN_DRAIN:
                return MP_OBJ_NEW_SMALL_INT(MODE_OPEN_DRAIN);
        case GPIO_DIRECTION_INPUT:
        case GPIO_DIRECTION_AS_IS:
        case GPIO_DIRECTION_MAX:
        case GPIO_DIRECTION_INVALID:
                break;
        }
        return MP_OBJ_NEW_SMALL_INT(MODE_IN);
}

static mp_obj_t pull_to_obj(const Pin *p) {
        if (p->settings.pull == GPIO_PULL_UP)
                return MP_OBJ_NEW_SMALL_INT(PULL_UP);
        if (p->settings.pull == GPIO_PULL_DOWN)
                return MP_OBJ_NEW_SMALL_INT(PULL_DOWN);
        return mp_const_none;
}

static void pin_init_from(Pin *p, size_t n_args, const mp_obj_t *pos, mp_map_t *kw) {
        enum { ARG_MODE, ARG_PULL, ARG_VALUE, ARG_MAX };
        static const mp_arg_t allowed[ARG_MAX] = {
                { MP_QSTR_mode, MP_ARG_OBJ, { .u_rom_obj = MP_ROM_INT(-1) } },
                { MP_QSTR_pull, MP_ARG_OBJ, { .u_rom_obj = MP_ROM_INT(-1) } },
                { MP_QSTR_value, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
        };
        mp_arg_val_t args[ARG_MAX];
        mp_obj_t mode, value;
        int pull;

        mp_arg_parse_all(n_args, pos, kw, ARG_MAX, allowed, args);
        mode = args[ARG_MODE].u_obj;
        value = args[ARG_VALUE].u_obj;
        pull = pull_from_obj(args[ARG_PULL].u_obj);
        if (mode == mp_const_none || mode == MP_OBJ_NEW_SMALL_INT(-1)) {
                if (pull >= 0)
                        set_direction(p, machine_pin_is_output(p) ? p->settings.direction : GPIO_DIRECTION_INPUT, pull, value);
                else if (value != mp_const_none)
                        pin_write(p, mp_obj_is_true(value));
                return;
        }
        set_direction(p, direction_from_obj(mode), pull, value);
}

mp_obj_t mp_pin_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
        mp_map_t kw;
        Pin *p;

        mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
        p = pin_from_obj(args[0]);
        if (n_args > 1 || n_kw > 0) {
                mp_map_init_fixed_table(&kw, n_kw, args + n_args);
                pin_init_from(p, n_args - 1, args + 1, &kw);
        }
        return MP_OBJ_FROM_PTR(p);
}

static mp_obj_t pin_init_method(size_t n_args, const mp_obj_t *args, mp_map_t *kw) {
        pin_init_from(machine_pin_self(args[0]), n_args - 1, args + 1, kw);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(pin_init_obj, 1, pin_init_method);

/* ---- levels ---- */

static mp_obj_t pin_call(mp_obj_t self_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
        Pin *p = machine_pin_self(self_in);

        mp_arg_check_num(n_args, n_kw, 0, 1, false);
        if (n_args == 0)
                return MP_OBJ_NEW_SMALL_INT(pin_read(p));
        pin_write(p, mp_obj_is_true(args[0]));
        return mp_const_none;
}

static mp_obj_t pin_value(size_t n_args, const mp_obj_t *args) {
        return pin_call(args[0], n_args - 1, 0, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(pin_value_obj, 1, 2, pin_value);

static mp_obj_t pin_off(mp_obj_t self) {
        pin_write(machine_pin_self(self), 0);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_off_obj, pin_off);

static mp_obj_t pin_on(mp_obj_t self) {
        pin_write(machine_pin_self(self), 1);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_on_obj, pin_on);

static mp_obj_t pin_toggle(mp_obj_t self) {
        Pin *p = machine_pin_self(self);

        pin_write(p, !p->settings.value);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_toggle_obj, pin_toggle);

static mp_obj_t pin_mode(size_t n_args, const mp_obj_t *args) {
        Pin *p = machine_pin_self(args[0]);

        if (n_args == 1)
                return mode_to_obj(p);
        set_direction(p, direction_from_obj(args[1]), -1, mp_const_none);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(pin_mode_obj, 1, 2, pin_mode);

static mp_obj_t pin_pull(size_t n_args, const mp_obj_t *args) {
        Pin *p = machine_pin_self(args[0]);

        if (n_args == 1)
                return pull_to_obj(p);
        set_direction(p, machine_pin_is_output(p) ? p->settings.direction : GPIO_DIRECTION_INPUT, pull_from_obj(args[1]),
                      mp_const_none);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(pin_pull_obj, 1, 2, pin_pull);

/* ---- the class ---- */

static void pin_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
        static const char *const modes[GPIO_DIRECTION_MAX] = {
                [GPIO_DIRECTION_AS_IS] = "IN",
                [GPIO_DIRECTION_INPUT] = "IN",
                [GPIO_DIRECTION_OUTPUT] = "OUT",
                [GPIO_DIRECTION_OPEN_DRAIN] = "OPEN_DRAIN",
        };
        const Pin *p = MP_OBJ_TO_PTR(self_in);

        if (!p->held) { /* looking at it takes it from nobody */
                mp_printf(print, "Pin(%s)", p->name);
                return;
        }
        mp_printf(print, "Pin(%s, mode=%s", p->name, modes[p->settings.direction]);
        if (p->settings.pull == GPIO_PULL_UP || p->settings.pull == GPIO_PULL_DOWN)
                mp_printf(print, ", pull=%s", p->settings.pull == GPIO_PULL_UP ? "PULL_UP" : "PULL_DOWN");
        mp_printf(print, ")");
}

/* For machine.Signal and what else takes something that is like a pin. */
static mp_uint_t pin_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
        Pin *p = machine_pin_self(self_in);

        switch (request) {
        case MP_PIN_READ:
                return (mp_uint_t) pin_read(p);
        case MP_PIN_WRITE:
                pin_write(p, arg != 0);
                return 0;
        default:
                *errcode = MP_EINVAL;
                return (mp_uint_t) -1;
        }
}

static const mp_pin_p_t pin_protocol = { .ioctl = pin_ioctl };

static const mp_rom_map_elem_t pin_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&pin_init_obj) },
        { MP_ROM_QSTR(MP_QSTR_value), MP_ROM_PTR(&pin_value_obj) },
        { MP_ROM_QSTR(MP_QSTR_low), MP_ROM_PTR(&pin_off_obj) },
        { MP_ROM_QSTR(MP_QSTR_high), MP_ROM_PTR(&pin_on_obj) },
        { MP_ROM_QSTR(MP_QSTR_off), MP_ROM_PTR(&pin_off_obj) },
        { MP_ROM_QSTR(MP_QSTR_on), MP_ROM_PTR(&pin_on_obj) },
        { MP_ROM_QSTR(MP_QSTR_toggle), MP_ROM_PTR(&pin_toggle_obj) },
        { MP_ROM_QSTR(MP_QSTR_mode), MP_ROM_PTR(&pin_mode_obj) },
        { MP_ROM_QSTR(MP_QSTR_pull), MP_ROM_PTR(&pin_pull_obj) },
        { MP_ROM_QSTR(MP_QSTR_irq), MP_ROM_PTR(&machine_pin_irq_obj) },
        { MP_ROM_QSTR(MP_QSTR_irq_ticks_us), MP_ROM_PTR(&machine_pin_irq_ticks_us_obj) },
        { MP_ROM_QSTR(MP_QSTR_board), MP_ROM_PTR(&machine_pin_names) },
        { MP_ROM_QSTR(MP_QSTR_cpu), MP_ROM_PTR(&machine_pin_names) },
        { MP_ROM_QSTR(MP_QSTR_IN), MP_ROM_INT(MODE_IN) },
        { MP_ROM_QSTR(MP_QSTR_OUT), MP_ROM_INT(MODE_OUT) },
        { MP_ROM_QSTR(MP_QSTR_OPEN_DRAIN), MP_ROM_INT(MODE_OPEN_DRAIN) },
        { MP_ROM_QSTR(MP_QSTR_PULL_UP), MP_ROM_INT(PULL_UP) },
        { MP_ROM_QSTR(MP_QSTR_PULL_DOWN), MP_ROM_INT(PULL_DOWN) },
        { MP_ROM_QSTR(MP_QSTR_IRQ_RISING), MP_ROM_INT(GPIO_EDGE_RISING) },
        { MP_ROM_QSTR(MP_QSTR_IRQ_FALLING), MP_ROM_INT(GPIO_EDGE_FALLING) },
};
static MP_DEFINE_CONST_DICT(pin_locals, pin_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(machine_pin_type, MP_QSTR_Pin, MP_TYPE_FLAG_NONE,
                         make_new, mp_pin_make_new, print, pin_print, call, pin_call,
                         protocol, &pin_protocol, locals_dict, &pin_locals);

MP_REGISTER_ROOT_POINTER(void *machine_pins);
