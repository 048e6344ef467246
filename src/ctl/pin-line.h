/* SPDX-License-Identifier: MIT */
/* The answer of ListPins, line by line. */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "util/macros.h"

typedef struct PinLine {
        const char *chip, *name, *consumer, *direction, *pull; /* the message's */
        uint32_t offset;
        int used;
        int32_t level; /* -1: nobody can tell */
} PinLine;

/* Asks; *ret is to be read with pin_lines_next(), and the caller's. */
int pin_lines_ask(sd_bus *bus, sd_bus_error *e, sd_bus_message **ret) _must_check_;

/* 1: *ret is the next line; 0: there is none. */
int pin_lines_next(sd_bus_message *m, PinLine *ret);

/* "GPIO17", or "CHIP:OFFSET" where the line has no name. */
#define PIN_NAME_MAX 128u
const char *pin_line_name(const PinLine *l, char buf[static PIN_NAME_MAX]);
