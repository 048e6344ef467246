/* SPDX-License-Identifier: MIT */
/* machine.Pin (SPEC 2.8, S3, S15, S16): one GPIO line of the machine. The supervisor requests it and keeps
 * it; here is its descriptor, so that reading, writing and waiting for edges cost one system call.
 *
 * Pin(id, mode=-1, pull=-1, *, value=None): id is a number n for line "GPIO<n>", or a line's name, or
 * "CHIP:OFFSET". There is one object for a line. Without a mode the line is left as it is, and reads what a
 * soft reset has left at it. ValueError: there is no such line; OSError(EBUSY): somebody else uses it, who is
 * named; OSError(EPERM): configuration keeps it from scripts. */
#include "util/macros.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>
#include <unistd.h>

#include "board/irq-call.h"
#include "board/irq.h"
#include "board/link.h"
#include "board/modules/machine.h"
#include "board/pin-link.h"
#include "board/pins.h"
#include "extmod/virtpin.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/smallint.h"
#include "shared/runtime/mpirq.h"
#include "util/gpio-line.h"

/* As most ports have them: scripts store them. */
enum { MODE_IN = 0, MODE_OUT = 1, MODE_OPEN_DRAIN = 2 };
enum { PULL_UP = 1, PULL_DOWN = 2 };
#define EDGES_WAITING_MAX 64u /* of one pin, whose handler has not been called yet */
#define PINS_PER_TURN 16

static atomic_bool woken; /* an edge that ends a light sleep has come */

typedef struct WaitingEdge {
        unsigned edge;           /* GPIO_EDGE_… */
        mp_uint_t ticks_us;      /* the kernel's time of it, as time.ticks_us() tells time */
} WaitingEdge;

typedef struct Pin {
        mp_obj_base_t base;
        struct Pin *next;        /* of MP_STATE_PORT(machine_pins); never taken out of it */
        char name[LINK_PIN_NAME_MAX + 1];
        GpioLine line;
        GpioSettings settings;   /* as we know them; value is what it drives or will drive */
        mp_irq_obj_t *irq;       /* NULL: never asked for */
        mp_uint_t trigger;
        mp_sched_node_t node;
        /* under the IRQ lock: edges whose handler is yet to be called */
        WaitingEdge waiting[EDGES_WAITING_MAX];
        unsigned n_waiting;
        bool overrun_told;
        mp_uint_t irq_flags;     /* of the edge that is being handled, */
        mp_uint_t irq_ticks_us;  /* and when it came */
        mp_uint_t wake;          /* PIN_WAKE_FROM_… */
        bool wake_seen;          /* under the IRQ lock: an edge that no handler was there for */
} Pin;

static int edges_fd = -EBADF; /* epoll(7): pins with a handler */

int pins_init(void) {
        edges_fd = epoll_create1(EPOLL_CLOEXEC);
        return edges_fd < 0 ? -errno : 0;
}

int pins_fd(void) {
        return edges_fd;
}

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

static bool is_output(const Pin *p) {
        return p->settings.direction == GPIO_DIRECTION_OUTPUT || p->settings.direction == GPIO_DIRECTION_OPEN_DRAIN;
}

/* NULL: there is no such line. */
static Pin *pin_find(const char *name) {
        PinAnswer a;
        Pin *p = pin_known(name);

        if (p)
                return p;
        p = mp_obj_malloc(Pin, &machine_pin_type); /* first: a descriptor would be lost */
        ask(name, &a);
        if (a.line.error == ENOENT)
                return NULL;
        if (a.line.error != 0)
                raise_os_error((int) a.line.error, a.text);
        if (pin_known(name)) { /* another thread was quicker */
                (void) close(a.fd);
                return pin_known(name);
        }
        check(gpio_line_init(&p->line, a.fd));
        p->settings = (GpioSettings) {
                .direction = (GpioDirection) a.line.direction,
                .pull = (GpioPull) a.line.pull,
        };
        (void) snprintf(p->name, sizeof p->name, "%s", name);
        if (is_output(p)) /* what a soft reset has left */
                p->settings.value = gpio_line_get(&p->line) == 1;
        p->irq = NULL;
        p->trigger = p->irq_flags = p->irq_ticks_us = 0;
        p->node.callback = NULL;
        p->node.next = NULL;
        p->n_waiting = 0;
        p->overrun_told = false;
        p->next = MP_STATE_PORT(machine_pins);
        MP_STATE_PORT(machine_pins) = p;
        return p;
}

Pin *pin_from_obj(void *obj) {
        if (!mp_obj_is_exact_type(obj, &machine_pin_type))
                mp_raise_TypeError(MP_ERROR_TEXT("expecting a Pin"));
        return MP_OBJ_TO_PTR(obj);
}

/* ---- the line ---- */

static void take_edges_of(Pin *p);

/* After a question to a line: an edge that came before its answer is nothing that poll(2) sees. */
static int checked(Pin *p, int r) {
        if (p->line.simulated && gpio_line_has_kept(&p->line)) {
                irq_lock();
                take_edges_of(p);
                irq_unlock();
        }
        check(r);
        return r;
}

static void apply(Pin *p, const GpioSettings *s) {
        (void) checked(p, gpio_line_configure(&p->line, s));
        p->settings = *s;
}

int pin_read(Pin *p) {
        return checked(p, gpio_line_get(&p->line));
}

/* For an input it is what it will drive once it is an output. */
void pin_write(Pin *p, int value) {
        p->settings.value = value != 0;
        if (is_output(p))
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
        apply(p, &s);
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
                        set_direction(p, is_output(p) ? p->settings.direction : GPIO_DIRECTION_INPUT, pull, value);
                else if (value != mp_const_none)
                        pin_write(p, mp_obj_is_true(value));
                return;
        }
        set_direction(p, direction_from_obj(mode), pull, value);
}

mp_obj_t mp_pin_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
        char name[LINK_PIN_NAME_MAX + 1];
        mp_map_t kw;
        Pin *p;

        mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
        if (mp_obj_is_exact_type(args[0], &machine_pin_type))
                p = MP_OBJ_TO_PTR(args[0]);
        else {
                name_from_obj(args[0], name);
                p = pin_find(name);
                if (!p)
                        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("Pin(%s) doesn't exist"), name);
        }
        if (n_args > 1 || n_kw > 0) {
                mp_map_init_fixed_table(&kw, n_kw, args + n_args);
                pin_init_from(p, n_args - 1, args + 1, &kw);
        }
        return MP_OBJ_FROM_PTR(p);
}

static mp_obj_t pin_init_method(size_t n_args, const mp_obj_t *args, mp_map_t *kw) {
        pin_init_from(MP_OBJ_TO_PTR(args[0]), n_args - 1, args + 1, kw);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(pin_init_obj, 1, pin_init_method);

/* ---- levels ---- */

static mp_obj_t pin_call(mp_obj_t self_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
        Pin *p = MP_OBJ_TO_PTR(self_in);

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
        pin_write(MP_OBJ_TO_PTR(self), 0);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_off_obj, pin_off);

static mp_obj_t pin_on(mp_obj_t self) {
        pin_write(MP_OBJ_TO_PTR(self), 1);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_on_obj, pin_on);

static mp_obj_t pin_toggle(mp_obj_t self) {
        Pin *p = MP_OBJ_TO_PTR(self);

        pin_write(p, !p->settings.value);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_toggle_obj, pin_toggle);

static mp_obj_t pin_mode(size_t n_args, const mp_obj_t *args) {
        Pin *p = MP_OBJ_TO_PTR(args[0]);

        if (n_args == 1)
                return mode_to_obj(p);
        set_direction(p, direction_from_obj(args[1]), -1, mp_const_none);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(pin_mode_obj, 1, 2, pin_mode);

static mp_obj_t pin_pull(size_t n_args, const mp_obj_t *args) {
        Pin *p = MP_OBJ_TO_PTR(args[0]);

        if (n_args == 1)
                return pull_to_obj(p);
        set_direction(p, is_output(p) ? p->settings.direction : GPIO_DIRECTION_INPUT, pull_from_obj(args[1]),
                      mp_const_none);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(pin_pull_obj, 1, 2, pin_pull);

/* ---- edges ---- */

/* hard=True: with the heap locked, as in an interrupt; it runs at the next safe point of the VM all the
 * same, between two instructions. */
static void call_hard(Pin *p) {
        nlr_buf_t nlr;

        gc_lock();
        if (nlr_push(&nlr) == 0) {
                (void) mp_call_function_1(p->irq->handler, MP_OBJ_FROM_PTR(p));
                nlr_pop();
                gc_unlock();
                return;
        }
        gc_unlock();
        p->irq->handler = mp_const_none; /* as other ports do: it would fail again and again */
        mp_printf(&mp_plat_print, "Uncaught exception in Pin(%s) interrupt handler\n", p->name);
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
}

/* The handler once for each edge, in their order. */
static void pin_handle(mp_sched_node_t *node) {
        Pin *p = (Pin *) ((char *) node - offsetof(Pin, node));

        for (;;) {
                WaitingEdge e = {};

                irq_lock();
                if (p->n_waiting > 0) {
                        e = p->waiting[0];
                        memmove(p->waiting, p->waiting + 1, --p->n_waiting * sizeof e);
                }
                irq_unlock();
                if (e.edge == 0)
                        return;
                if (!p->irq || p->irq->handler == mp_const_none || !(p->trigger & e.edge))
                        continue;
                p->irq_flags = e.edge;
                p->irq_ticks_us = e.ticks_us;
                if (p->irq->ishard)
                        call_hard(p);
                else
                        (void) irq_call_scheduled(p->irq->handler, MP_OBJ_FROM_PTR(p));
        }
}

/* With the IRQ lock, so no more than can wait: what is left makes the descriptor ready again. */
static void take_edges_of(Pin *p) {
        GpioEdge e;
        int r = 0;

        for (unsigned i = 0; i < EDGES_WAITING_MAX && (r = gpio_line_next_edge(&p->line, &e)) > 0; i++) {
                if (p->wake & PIN_WAKE_FROM_LIGHTSLEEP)
                        atomic_store(&woken, true);
                p->wake_seen |= !p->irq || p->irq->handler == mp_const_none;
                if (p->n_waiting < EDGES_WAITING_MAX)
                        p->waiting[p->n_waiting++] = (WaitingEdge) { e.edge, (mp_uint_t) (e.monotonic_nsec / 1000) };
                else if (!p->overrun_told) {
                        p->overrun_told = true;
                        link_log(LOG_WARNING, "Edges at %s come faster than its handler is called: some are lost.",
                                 p->name);
                }
        }
        if (r < 0) /* the chip was taken out: it would be ready for ever */
                (void) epoll_ctl(edges_fd, EPOLL_CTL_DEL, p->line.fd, NULL);
        if (p->n_waiting > 0)
                (void) mp_sched_schedule_node(&p->node, pin_handle);
}

void pins_take_edges(void) {
        struct epoll_event ready[PINS_PER_TURN];
        int n = epoll_wait(edges_fd, ready, PINS_PER_TURN, 0);

        irq_lock();
        for (int i = 0; i < n; i++)
                take_edges_of(ready[i].data.ptr);
        irq_unlock();
}

static void watch(Pin *p, bool on) {
        struct epoll_event e = { .events = EPOLLIN, .data = { .ptr = p } };

        if (epoll_ctl(edges_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, p->line.fd, &e) < 0 && errno != EEXIST &&
            errno != ENOENT)
                mp_raise_OSError(errno);
}

static void set_trigger(Pin *p, mp_uint_t trigger, uint32_t debounce_usec) {
        GpioSettings s = p->settings;

        if (trigger != 0 && is_output(p))
                mp_raise_ValueError(MP_ERROR_TEXT("an output has no interrupt"));
        irq_lock();
        p->trigger = 0;
        p->n_waiting = 0;
        irq_unlock();
        s.edges = (unsigned) trigger;
        s.debounce_usec = debounce_usec;
        if (trigger != 0)
                s.direction = GPIO_DIRECTION_INPUT;
        if (s.direction == GPIO_DIRECTION_INPUT)
                apply(p, &s);
        watch(p, trigger != 0);
        irq_lock();
        p->n_waiting = 0; /* of the setting before */
        p->wake_seen = false;
        p->trigger = trigger;
        irq_unlock();
}

static mp_uint_t irq_trigger(mp_obj_t self_in, mp_uint_t trigger) {
        Pin *p = MP_OBJ_TO_PTR(self_in);

        set_trigger(p, trigger & (GPIO_EDGE_RISING | GPIO_EDGE_FALLING), p->settings.debounce_usec);
        return 0;
}

static mp_uint_t irq_info(mp_obj_t self_in, mp_uint_t what) {
        const Pin *p = MP_OBJ_TO_PTR(self_in);

        return what == MP_IRQ_INFO_FLAGS ? p->irq_flags : what == MP_IRQ_INFO_TRIGGERS ? p->trigger : 0;
}

/* ---- sleep ---- */

bool pins_woken(void) {
        return atomic_load(&woken);
}

void pins_sleep_begins(void) {
        atomic_store(&woken, false);
}

/* From here on edges are left to the supervisor. One that has come since irq() and that no handler has seen
 * counts: the program may have looked just before. */
static void tell_wake(Pin *p) {
        LinkMessage m = {
                .type = LINK_PIN_WAKE,
                .pin_wake = { (uint32_t) p->trigger, p->name, strlen(p->name) },
        };

        irq_lock();
        (void) epoll_ctl(edges_fd, EPOLL_CTL_DEL, p->line.fd, NULL);
        if (p->wake_seen || p->n_waiting > 0)
                m.pin_wake.edges |= LINK_PIN_WAKE_NOW;
        irq_unlock();
        link_send(&m);
}

void pins_tell_wake(void) {
        for (Pin *p = MP_STATE_PORT(machine_pins); p; p = p->next)
                if ((p->wake & PIN_WAKE_FROM_DEEPSLEEP) && p->trigger != 0)
                        tell_wake(p);
}

static const mp_irq_methods_t irq_methods = { .trigger = irq_trigger, .info = irq_info };

/* irq(handler=None, trigger=IRQ_FALLING|IRQ_RISING, *, wake=None, hard=False, debounce=0): wake is
 * machine.SLEEP, machine.DEEPSLEEP or both: an edge ends a sleep of that kind, with or without a handler.
 * debounce is in microseconds, and ours: an edge counts when the line has been stable for so long. */
static mp_obj_t pin_irq(size_t n_args, const mp_obj_t *pos, mp_map_t *kw) {
        enum { ARG_HANDLER, ARG_TRIGGER, ARG_WAKE, ARG_HARD, ARG_DEBOUNCE, ARG_MAX };
        static const mp_arg_t allowed[ARG_MAX] = {
                { MP_QSTR_handler, MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
                { MP_QSTR_trigger, MP_ARG_INT, { .u_int = GPIO_EDGE_RISING | GPIO_EDGE_FALLING } },
                { MP_QSTR_wake, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
                { MP_QSTR_hard, MP_ARG_KW_ONLY | MP_ARG_BOOL, { .u_bool = false } },
                { MP_QSTR_debounce, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        };
        Pin *p = MP_OBJ_TO_PTR(pos[0]);
        mp_arg_val_t args[ARG_MAX];
        mp_int_t wake = 0;
        mp_obj_t handler;

        mp_arg_parse_all(n_args - 1, pos + 1, kw, ARG_MAX, allowed, args);
        handler = args[ARG_HANDLER].u_obj;
        if (args[ARG_WAKE].u_obj != mp_const_none)
                wake = mp_obj_get_int(args[ARG_WAKE].u_obj);
        if (wake & ~(mp_int_t) (PIN_WAKE_FROM_IDLE | PIN_WAKE_FROM_LIGHTSLEEP | PIN_WAKE_FROM_DEEPSLEEP))
                mp_raise_ValueError(MP_ERROR_TEXT("wake is machine.SLEEP, machine.DEEPSLEEP or both"));
        if (handler != mp_const_none && !mp_obj_is_callable(handler))
                mp_raise_TypeError(MP_ERROR_TEXT("handler must be callable"));
        if (args[ARG_TRIGGER].u_int & ~(mp_int_t) (GPIO_EDGE_RISING | GPIO_EDGE_FALLING) ||
            args[ARG_TRIGGER].u_int == 0)
                mp_raise_ValueError(MP_ERROR_TEXT("trigger is Pin.IRQ_RISING, Pin.IRQ_FALLING or both"));
        if (args[ARG_DEBOUNCE].u_int < 0 || args[ARG_DEBOUNCE].u_int > 10000000)
                mp_raise_ValueError(MP_ERROR_TEXT("debounce is 0 to 10000000 us"));
        if (!p->irq)
                p->irq = mp_irq_new(&irq_methods, MP_OBJ_FROM_PTR(p));
        if (n_args > 1 || kw->used > 0) {
                p->irq->handler = mp_const_none; /* none of the old edges reaches the new handler */
                p->wake = (mp_uint_t) wake;
                set_trigger(p, handler == mp_const_none && wake == 0 ? 0 : (mp_uint_t) args[ARG_TRIGGER].u_int,
                            (uint32_t) args[ARG_DEBOUNCE].u_int);
                p->irq->ishard = args[ARG_HARD].u_bool;
                p->irq->handler = handler;
        }
        return MP_OBJ_FROM_PTR(p->irq);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(pin_irq_obj, 1, pin_irq);

/* irq_ticks_us(): ours. In a handler, when its edge came: the kernel's time stamp, to be compared with
 * time.ticks_us() and with another edge's by time.ticks_diff(). How late the handler is called is not in it, so that
 * the length of a pulse is right. Outside of a handler it is the last edge's; 0: there was none. */
static mp_obj_t pin_irq_ticks_us(mp_obj_t self) {
        const Pin *p = MP_OBJ_TO_PTR(self);

        return MP_OBJ_NEW_SMALL_INT(p->irq_ticks_us & (MICROPY_PY_TIME_TICKS_PERIOD - 1));
}
static MP_DEFINE_CONST_FUN_OBJ_1(pin_irq_ticks_us_obj, pin_irq_ticks_us);

/* ---- Pin.board, Pin.cpu ---- */

/* Names of lines as attributes: Pin.board.GPIO17, Pin.cpu.GPIO17. */
static void names_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
        Pin *p;

        if (dest[0] != MP_OBJ_NULL || attr == MP_QSTR___name__)
                return;
        p = pin_find(qstr_str(attr));
        if (p)
                dest[0] = MP_OBJ_FROM_PTR(p);
}

static MP_DEFINE_CONST_OBJ_TYPE(pin_names_type, MP_QSTR_board, MP_TYPE_FLAG_NONE, attr, names_attr);
static const mp_obj_base_t pin_names = { &pin_names_type };

/* ---- the class ---- */

static void pin_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
        static const char *const modes[GPIO_DIRECTION_MAX] = {
                [GPIO_DIRECTION_AS_IS] = "IN",
                [GPIO_DIRECTION_INPUT] = "IN",
                [GPIO_DIRECTION_OUTPUT] = "OUT",
                [GPIO_DIRECTION_OPEN_DRAIN] = "OPEN_DRAIN",
        };
        const Pin *p = MP_OBJ_TO_PTR(self_in);

        mp_printf(print, "Pin(%s, mode=%s", p->name, modes[p->settings.direction]);
        if (p->settings.pull == GPIO_PULL_UP || p->settings.pull == GPIO_PULL_DOWN)
                mp_printf(print, ", pull=%s", p->settings.pull == GPIO_PULL_UP ? "PULL_UP" : "PULL_DOWN");
        mp_printf(print, ")");
}

/* For machine.Signal and what else takes something that is like a pin. */
static mp_uint_t pin_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
        Pin *p = MP_OBJ_TO_PTR(self_in);

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
        { MP_ROM_QSTR(MP_QSTR_irq), MP_ROM_PTR(&pin_irq_obj) },
        { MP_ROM_QSTR(MP_QSTR_irq_ticks_us), MP_ROM_PTR(&pin_irq_ticks_us_obj) },
        { MP_ROM_QSTR(MP_QSTR_board), MP_ROM_PTR(&pin_names) },
        { MP_ROM_QSTR(MP_QSTR_cpu), MP_ROM_PTR(&pin_names) },
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
