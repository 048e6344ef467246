/* SPDX-License-Identifier: MIT */
/* One GPIO line by its descriptor. A line of the kernel's answers ioctl(2) and read(2) with the structures
 * of uAPI v2 (linux/gpio.h); a simulated one, whose descriptor is a socket, answers the same structures as
 * messages (GpioSimRequest, GpioSimReply). Who uses a line sees no difference. */
#pragma once

#include <linux/gpio.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/macros.h"

typedef enum GpioDirection {
        GPIO_DIRECTION_AS_IS = 0, /* as it was left: nothing is touched */
        GPIO_DIRECTION_INPUT,
        GPIO_DIRECTION_OUTPUT,
        GPIO_DIRECTION_OPEN_DRAIN, /* 0 pulls low, 1 lets go */
        GPIO_DIRECTION_MAX,
        GPIO_DIRECTION_INVALID = -EINVAL,
} GpioDirection;
const char *gpio_direction_to_string(GpioDirection d);

typedef enum GpioPull {
        GPIO_PULL_AS_IS = 0,
        GPIO_PULL_NONE,
        GPIO_PULL_UP,
        GPIO_PULL_DOWN,
        GPIO_PULL_MAX,
        GPIO_PULL_INVALID = -EINVAL,
} GpioPull;
const char *gpio_pull_to_string(GpioPull p);

enum { GPIO_EDGE_RISING = 1 << 0, GPIO_EDGE_FALLING = 1 << 1 };

typedef struct GpioSettings {
        GpioDirection direction;
        GpioPull pull;
        unsigned edges;         /* GPIO_EDGE_…; inputs only */
        bool value;             /* outputs: driven from the same moment on */
        uint32_t debounce_usec; /* inputs with edges; 0: none */
} GpioSettings;

/* To and from the kernel's form. */
void gpio_settings_to_config(const GpioSettings *s, struct gpio_v2_line_config *ret);
void gpio_settings_from_flags(uint64_t flags, GpioSettings *ret); /* direction, pull and edges */

typedef struct GpioEdge {
        unsigned edge;          /* GPIO_EDGE_RISING or GPIO_EDGE_FALLING */
        uint64_t monotonic_nsec;
        uint32_t number;        /* of this line's edges, one after the other: where one is missing it was lost */
} GpioEdge;

#define GPIO_EDGES_KEPT 16u /* as the kernel keeps for one line; the oldest go first */

typedef struct GpioLine {
        int fd;                 /* owned */
        bool simulated;
        /* of a simulated line: one question at a time, and edges that came before its answer */
        pthread_mutex_t lock;
        GpioEdge kept[GPIO_EDGES_KEPT];
        unsigned n_kept;
} GpioLine;

/* Takes fd over, also on failure. */
int gpio_line_init(GpioLine *l, int fd) _must_check_;
void gpio_line_done(GpioLine *l);

/* 0 or 1, or an error. */
int gpio_line_get(GpioLine *l) _must_check_;
int gpio_line_set(GpioLine *l, bool value) _must_check_;
int gpio_line_configure(GpioLine *l, const GpioSettings *s) _must_check_;

/* The next edge that has come: 1, or 0 when there is none. Never waits. Look again when
 * gpio_line_has_kept(): poll(2) does not see what came while an answer was waited for. */
int gpio_line_next_edge(GpioLine *l, GpioEdge *ret) _must_check_;
bool gpio_line_has_kept(GpioLine *l);

/* ---- what a simulated line is asked and answers; both ends are one machine's ---- */

typedef enum GpioSimCommand {
        GPIO_SIM_GET = 1,
        GPIO_SIM_SET,
        GPIO_SIM_CONFIGURE,
} GpioSimCommand;

typedef struct GpioSimRequest {
        uint32_t command;
        uint32_t reserved;
        union {
                struct gpio_v2_line_values values;
                struct gpio_v2_line_config config;
        };
} GpioSimRequest;

typedef struct GpioSimReply {
        uint32_t is_event; /* 1: event, which nobody asked for; 0: error and values */
        int32_t error;     /* 0 or a positive errno, as the ioctl's */
        union {
                struct gpio_v2_line_values values;
                struct gpio_v2_line_event event;
        };
} GpioSimReply;
