/* SPDX-License-Identifier: MIT */
#include "ctl/pin-line.h"

#include <stdio.h>

#include "ctl/bus.h"

int pin_lines_ask(sd_bus *bus, sd_bus_error *e, sd_bus_message **ret) {
        int r = bus_call(bus, "ListPins", e, ret, "");

        return r < 0 ? r : sd_bus_message_enter_container(*ret, 'a', "(susbsssi)");
}

int pin_lines_next(sd_bus_message *m, PinLine *ret) {
        return sd_bus_message_read(m, "(susbsssi)", &ret->chip, &ret->offset, &ret->name, &ret->used,
                                   &ret->consumer, &ret->direction, &ret->pull, &ret->level);
}

const char *pin_line_name(const PinLine *l, char buf[static PIN_NAME_MAX]) {
        if (*l->name)
                return l->name;
        (void) snprintf(buf, PIN_NAME_MAX, "%s:%u", l->chip, (unsigned) l->offset);
        return buf;
}
