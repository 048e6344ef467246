/* SPDX-License-Identifier: MIT */
/* A pulse at a line: for the reset and power pins of what hangs on the board, a modem, a hub, a sensor. A low
 * one pulls the line low as an open drain does and lets it go, so that it never drives against the pull-up
 * that such a pin has; a high one drives the line high, then low. Afterwards the line is an input, and free.
 *
 * The line is had for the pulse alone: one that somebody else holds gets none. */
#pragma once

#include "gpio/gpio.h"

#define GPIO_PULSE_MIN_USEC 1000u
#define GPIO_PULSE_MAX_USEC UINT64_C(60000000)

typedef struct GpioPulse GpioPulse;

/* The line may have been taken out meanwhile: r is negative then. The pulse is freed by the callback's end. */
typedef void (*GpioPulseOver)(void *userdata, GpioPulse *p, int r);

/* From now on for usec, GPIO_PULSE_MIN_USEC to _MAX_USEC; longer by what the loop is late. As gpio_request(),
 * or -ERANGE. */
int gpio_pulse_new(GpioPulse **ret, Gpio *g, sd_event *event, const char *line, bool high, uint64_t usec,
                   GpioPulseOver over, void *userdata, char holder[static GPIO_NAME_MAX]) _must_check_;
const char *gpio_pulse_line(const GpioPulse *p);
/* Ends it here and now; over is not called. */
GpioPulse *gpio_pulse_free(GpioPulse *p);
DEFINE_CLEANUP(GpioPulse *, gpio_pulse_free)
