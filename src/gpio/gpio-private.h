/* SPDX-License-Identifier: MIT */
/* What stands behind gpio.h: one table of functions for each kind of chip. */
#pragma once

#include "gpio/gpio.h"

struct GpioRequest {
        Gpio *gpio;
        GpioRequest *next; /* of gpio's */
        char name[GPIO_NAME_MAX];
        void *line;        /* the backend's */

        /* when it is watched */
        GpioLine watched;
        struct sd_event_source *source;
        GpioOnEdge on_edge;
        void *userdata;
};

typedef struct GpioBackend {
        void (*done)(void *chips);
        int (*request)(void *chips, const char *name, const char *consumer, void **ret_line,
                       char holder[static GPIO_NAME_MAX]);
        /* Takes fd over, also on failure. NULL: its lines do not outlive it. */
        int (*adopt)(void *chips, const char *name, const char *consumer, int fd, void **ret_line);
        void (*release)(void *line);
        int (*open)(void *line);
        int (*info)(void *line, GpioLineInfo *ret);
        int (*get)(void *line);
        int (*configure)(void *line, const GpioSettings *s);
        int (*quiet)(void *line);
        int (*list)(void *chips, GpioEach each, void *userdata);
        int (*drive)(void *chips, const char *name, int level); /* NULL: it is no simulation */
        int (*level)(void *chips, const char *name);            /* NULL: only of requested lines */
} GpioBackend;

extern const GpioBackend gpio_kernel_backend, gpio_simulated_backend;
int gpio_kernel_new(void **ret_chips) _must_check_;
int gpio_simulated_new(void **ret_chips, sd_event *event) _must_check_;

/* Splits CHIP:OFFSET; false when name has not that form. */
bool gpio_parse_place(const char *name, char chip[static GPIO_NAME_MAX], unsigned *ret_offset);
