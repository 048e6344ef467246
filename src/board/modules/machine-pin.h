/* SPDX-License-Identifier: MIT */
/* What the parts of machine.Pin share: machine-pin.c has the line, its modes and levels; machine-pin-irq.c its
 * edges, from the kernel to a handler, and what they wake; machine-pin-names.c which lines there are. */
#pragma once

#include "util/macros.h"

#include "board/irq-call.h"
#include "mpyd/board-link.h"
#include "py/obj.h"
#include "py/runtime.h"
#include "shared/runtime/mpirq.h"
#include "util/gpio-line.h"

#define EDGES_WAITING_MAX 64u /* of one pin, whose handler has not been called yet */

typedef struct WaitingEdge {
        unsigned edge;           /* GPIO_EDGE_… */
        mp_uint_t ticks_us;      /* the kernel's time of it, as time.ticks_us() tells time */
} WaitingEdge;

typedef struct Pin {
        mp_obj_base_t base;
        struct Pin *next;        /* of MP_STATE_PORT(machine_pins); never taken out of it */
        char name[LINK_PIN_NAME_MAX + 1];
        bool held;               /* requested: what follows means something */
        GpioLine line;
        GpioSettings settings;   /* as we know them; value is what it drives or will drive */
        mp_irq_obj_t *irq;       /* NULL: never asked for */
        mp_uint_t trigger;
        IrqRequest request;
        /* under the IRQ lock: edges whose handler is yet to be called */
        WaitingEdge waiting[EDGES_WAITING_MAX];
        unsigned n_waiting;
        uint32_t edge_number;    /* of the last one that came; 0: none yet with this setting */
        bool overrun_told;
        mp_uint_t irq_flags;     /* of the edge that is being handled, */
        mp_uint_t irq_ticks_us;  /* and when it came */
        mp_uint_t wake;          /* PIN_WAKE_FROM_… */
        bool wake_seen;          /* under the IRQ lock: an edge that no handler was there for */
} Pin;

/* self of a method: its line is requested, if it is not yet; ValueError, OSError. */
Pin *machine_pin_self(mp_obj_t self);
/* The object for a line that there is, by its own name; the line is not requested. */
Pin *machine_pin_named(const char *name);
/* "GP17", as a Pico has it, as the line's name. False for others, and when it is too long. */
bool machine_pin_pico_name(const char *name, char ret[static LINK_PIN_NAME_MAX + 1]);

/* Settings of the line, put into effect and remembered; OSError. */
void machine_pin_apply(Pin *p, const GpioSettings *s);
bool machine_pin_is_output(const Pin *p);

void machine_pin_serve(IrqRequest *r);
/* With the IRQ lock: what has come is queued for the handler. */
void machine_pin_take_edges(Pin *p);

extern const mp_obj_base_t machine_pin_names; /* Pin.board, Pin.cpu */

MP_DECLARE_CONST_FUN_OBJ_KW(machine_pin_irq_obj);
MP_DECLARE_CONST_FUN_OBJ_1(machine_pin_irq_ticks_us_obj);
