/* SPDX-License-Identifier: MIT */
/* Edges of machine.Pin (DESIGN 10): the kernel detects and stamps them, the I/O thread reads them, the VM calls the handler
 * once for each; and what ends a light or a deep sleep. */
#include "board/modules/machine-pin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>

#include "board/irq-call.h"
#include "board/irq.h"
#include "board/link.h"
#include "board/pins.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/smallint.h"

#define PINS_PER_TURN 16
#define SERVE_USEC 1000 /* then the program has its moment; a handler that takes longer is called once */

static atomic_bool woken; /* an edge that ends a light sleep has come */
static int edges_fd = -EBADF; /* epoll(7): pins with a handler */

int pins_init(void) {
        edges_fd = epoll_create1(EPOLL_CLOEXEC);
        return edges_fd < 0 ? -errno : 0;
}

int pins_fd(void) {
        return edges_fd;
}

/* ---- edges ---- */

/* hard=True: with the heap locked, as in an interrupt; it runs at the next safe point of the VM all the
 * same, between two instructions. */
static void call_hard(Pin *p) {
        char head[LINK_PIN_NAME_MAX + 64];
        mp_obj_t exception;

        gc_lock();
        (void) irq_call(p->irq->handler, MP_OBJ_FROM_PTR(p), &exception);
        gc_unlock();
        if (exception == MP_OBJ_NULL || irq_exception_is_programs(exception))
                return;
        if (!irq_exception_is_interrupt(exception))
                p->irq->handler = mp_const_none; /* as other ports do: it would fail again and again */
        (void) snprintf(head, sizeof head, "Uncaught exception in Pin(%s) interrupt handler", p->name);
        irq_print_exception(head, exception);
}

/* The handler once for each edge, in their order. */
void machine_pin_serve(IrqRequest *r) {
        Pin *p = (Pin *) ((char *) r - offsetof(Pin, request));
        mp_uint_t begin = mp_hal_ticks_us();

        do {
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
        } while (mp_hal_ticks_us() - begin < SERVE_USEC);
        irq_lock();
        if (p->n_waiting > 0)
                irq_request(r);
        irq_unlock();
}

/* Once a life, however many there are. */
static void tell_lost(Pin *p) {
        if (!p->overrun_told)
                link_log(LOG_WARNING, "Edges at %s come faster than its handler is called: some are lost.", p->name);
        p->overrun_told = true;
}

/* With the IRQ lock, so no more than can wait: what is left makes the descriptor ready again. */
void machine_pin_take_edges(Pin *p) {
        GpioEdge e;
        int r = 0;

        for (unsigned i = 0; i < EDGES_WAITING_MAX && (r = gpio_line_next_edge(&p->line, &e)) > 0; i++) {
                if (p->wake & PIN_WAKE_FROM_LIGHTSLEEP)
                        atomic_store(&woken, true);
                p->wake_seen |= !p->irq || p->irq->handler == mp_const_none;
                if (p->n_waiting < EDGES_WAITING_MAX)
                        p->waiting[p->n_waiting++] = (WaitingEdge) { e.edge, (mp_uint_t) (e.monotonic_nsec / 1000) };
                else
                        tell_lost(p);
                if (p->edge_number != 0 && (int32_t) (e.number - p->edge_number) > 1)
                        tell_lost(p); /* the kernel keeps no more than sixteen that nobody reads */
                p->edge_number = e.number;
        }
        if (r < 0) /* the chip was taken out: it would be ready for ever */
                (void) epoll_ctl(edges_fd, EPOLL_CTL_DEL, p->line.fd, NULL);
        if (p->n_waiting > 0)
                irq_request(&p->request);
}

void pins_take_edges(void) {
        struct epoll_event ready[PINS_PER_TURN];
        int n;

        irq_lock();
        n = epoll_wait(edges_fd, ready, PINS_PER_TURN, 0);
        for (int i = 0; i < n; i++)
                machine_pin_take_edges(ready[i].data.ptr);
        irq_unlock();
}

void pins_end(void) {
        irq_lock();
        edges_fd = safe_close(edges_fd);
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

        if (trigger != 0 && machine_pin_is_output(p))
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
                machine_pin_apply(p, &s);
        watch(p, trigger != 0);
        irq_lock();
        p->n_waiting = 0; /* of the setting before */
        p->edge_number = 0;
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

/* irq(handler=None, trigger=IRQ_FALLING|IRQ_RISING, *, priority=1, wake=None, hard=False, debounce=0): all have
 * the same priority; trigger 0: off. wake is machine.SLEEP, machine.DEEPSLEEP or both: an edge ends a sleep of that
 * kind, with or without a handler. debounce is in microseconds, and ours: an edge counts when the line has been stable
 * for so long. */
static mp_obj_t pin_irq(size_t n_args, const mp_obj_t *pos, mp_map_t *kw) {
        enum { ARG_HANDLER, ARG_TRIGGER, ARG_PRIORITY, ARG_WAKE, ARG_HARD, ARG_DEBOUNCE, ARG_MAX };
        static const mp_arg_t allowed[ARG_MAX] = {
                { MP_QSTR_handler, MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
                { MP_QSTR_trigger, MP_ARG_INT, { .u_int = GPIO_EDGE_RISING | GPIO_EDGE_FALLING } },
                { MP_QSTR_priority, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 1 } },
                { MP_QSTR_wake, MP_ARG_KW_ONLY | MP_ARG_OBJ, { .u_rom_obj = MP_ROM_NONE } },
                { MP_QSTR_hard, MP_ARG_KW_ONLY | MP_ARG_BOOL, { .u_bool = false } },
                { MP_QSTR_debounce, MP_ARG_KW_ONLY | MP_ARG_INT, { .u_int = 0 } },
        };
        Pin *p = machine_pin_self(pos[0]);
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
        if (args[ARG_TRIGGER].u_int & ~(mp_int_t) (GPIO_EDGE_RISING | GPIO_EDGE_FALLING))
                mp_raise_ValueError(MP_ERROR_TEXT("trigger is Pin.IRQ_RISING, Pin.IRQ_FALLING, both or 0"));
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
MP_DEFINE_CONST_FUN_OBJ_KW(machine_pin_irq_obj, 1, pin_irq);

/* irq_ticks_us(): ours. In a handler, when its edge came: the kernel's time stamp, to be compared with
 * time.ticks_us() and with another edge's by time.ticks_diff(). How late the handler is called is not in it, so that
 * the length of a pulse is right. Outside of a handler it is the last edge's; 0: there was none. */
static mp_obj_t pin_irq_ticks_us(mp_obj_t self) {
        const Pin *p = MP_OBJ_TO_PTR(self);

        return MP_OBJ_NEW_SMALL_INT(p->irq_ticks_us & (MICROPY_PY_TIME_TICKS_PERIOD - 1));
}
MP_DEFINE_CONST_FUN_OBJ_1(machine_pin_irq_ticks_us_obj, pin_irq_ticks_us);
