/* SPDX-License-Identifier: MIT */
/* The status LED: one GPIO line, three of them (red, green, blue), or a LED of the kernel's
 * (/sys/class/leds/NAME), which may have colours too. What it shows is led-pattern.h's. */
#pragma once

#include <stdbool.h>

#include "gpio/gpio.h"
#include "gpio/led-pattern.h"

typedef struct StatusLed StatusLed;

#define STATUS_LED_SYSFS "/sys/class/leds/"

typedef struct StatusLedOptions {
        const char *where;    /* "GPIO27", "GPIO5 GPIO6 GPIO13", "/sys/class/leds/ACT" */
        bool active_high;     /* of lines */
        const char *consumer; /* of lines */
        int root_fd;          /* what is / to the kernel's LED: / or a recorded tree */
} StatusLedOptions;

/* -ENOENT: there is no such line or LED; -EBUSY: holder has its name; -EROFS: the service may not write there; or
 * what the kernel says. A LED of the kernel's is ours from now on: its trigger is kept for status_led_free(). */
int status_led_new(StatusLed **ret, Gpio *g, const StatusLedOptions *options, char holder[static GPIO_NAME_MAX])
        _must_check_;
/* Dark, and the kernel's again. */
StatusLed *status_led_free(StatusLed *l);

/* colours: LED_RED | … ; a LED without colours is on for any. An error: it has gone. */
int status_led_set(StatusLed *l, unsigned colours) _must_check_;

/* Whether it is on the GPIO line of that name. */
bool status_led_has_line(const StatusLed *l, const char *name);

/* Whether where has the form of one: 1 or 3 names, or a path below STATUS_LED_SYSFS. */
bool status_led_is_sysfs(const char *where);
