/* SPDX-License-Identifier: MIT */
/* What [pins] of mpyd.conf says about a line, as pure functions of its text: may scripts have it, or know of it, and
 * what does a hard reset set it to? */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpio/gpio.h"

/* allow, reserve: patterns (fnmatch(3)), a space between; reserve may be "none". */
bool pin_allowed(const char *allow, const char *reserve, const char *name);

/* Names of lines that scripts may have, each with a NUL behind it, as many as fit, of a list that is told piece by
 * piece. */
typedef struct PinNameList {
        const char *allow, *reserve;
        char *buf;
        size_t buf_size;
        uint32_t from;   /* so many have been told already */
        uint32_t n;      /* looked at, of those that may be told: where to go on, when it is full */
        size_t size;     /* of what is in buf */
        bool full;
} PinNameList;

void pin_name_list_add(PinNameList *l, const char *name);

/* safe_state: "input", or NAME=0 and NAME=1, a space between. The level of a line, -1 for an input. */
int pin_safe_level(const char *safe_state, const char *name);

/* The names in safe_state, one after the other: *at begins as safe_state. False at the end. */
bool pin_next_safe(const char **at, char name[static GPIO_NAME_MAX]);
