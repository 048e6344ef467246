/* SPDX-License-Identifier: MIT */
/* The machine's GPIO lines, by name: finding, requesting, listing and releasing them. Lines are the
 * kernel's, through libgpiod (kernel-chips.c), or those of a chip that is simulated here
 * (simulated-chip.c); who asks cannot tell. A line that is requested stays as it is until it is released,
 * whoever holds descriptors of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/gpio-line.h"
#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct Gpio Gpio;
typedef struct GpioRequest GpioRequest;

#define GPIO_NAME_MAX 64u /* with the NUL: a line's name, a consumer, CHIP:OFFSET */

typedef enum GpioSource {
        GPIO_SOURCE_AUTO = 0,  /* the kernel's chips, or a simulated one when there are none */
        GPIO_SOURCE_KERNEL,
        GPIO_SOURCE_SIMULATED,
        GPIO_SOURCE_OFF,       /* no line is found */
        GPIO_SOURCE_MAX,
        GPIO_SOURCE_INVALID = -EINVAL,
} GpioSource;
const char *gpio_source_to_string(GpioSource s);
GpioSource gpio_source_from_string(const char *s);

typedef struct GpioLineInfo {
        char chip[GPIO_NAME_MAX]; /* its label: "pinctrl-bcm2711", "simulated" */
        unsigned offset;
        char name[GPIO_NAME_MAX]; /* "GPIO17"; empty: it has none */
        char consumer[GPIO_NAME_MAX];
        bool used;                /* by a consumer or by the kernel itself */
        GpioSettings settings;    /* value is not filled in */
} GpioLineInfo;

/* Whether this machine has a chip of the kernel's. */
bool gpio_kernel_has_chips(void);

/* AUTO is decided here, once. */
int gpio_new(Gpio **ret, sd_event *event, GpioSource source) _must_check_;
Gpio *gpio_free(Gpio *g); /* its requests are freed before */
DEFINE_CLEANUP(Gpio *, gpio_free)
GpioSource gpio_source(const Gpio *g);

/* Requests a line as it is. name: a line's name, or CHIP:OFFSET with the chip's label. -ENOENT: there is
 * none; -EBUSY: holder has its name, or is empty; or what the kernel says. */
int gpio_request(Gpio *g, const char *name, const char *consumer, GpioRequest **ret,
                 char holder[static GPIO_NAME_MAX]) _must_check_;
/* The same for a line that an earlier run has requested: fd (taken over, also on failure) is a descriptor of
 * gpio_request_open()'s that was kept. The line stays as it is, without a glitch. -ESTALE: it is not that line's. */
int gpio_adopt(Gpio *g, const char *name, const char *consumer, int fd, GpioRequest **ret) _must_check_;
/* Releases it. What the line does then is the kernel's affair: set it to what is safe before. */
GpioRequest *gpio_request_free(GpioRequest *r);
DEFINE_CLEANUP(GpioRequest *, gpio_request_free)

/* A descriptor for gpio_line_init(), the caller's. Of a simulated line only the last one is answered. */
int gpio_request_open(GpioRequest *r) _must_check_;
/* The line as it is, whoever has configured it. */
int gpio_request_info(GpioRequest *r, GpioLineInfo *ret) _must_check_;
int gpio_request_get(GpioRequest *r) _must_check_; /* 0 or 1 */
int gpio_request_configure(GpioRequest *r, const GpioSettings *s) _must_check_;
/* For the next holder of a descriptor: no edge is detected any more and none waits to be read. Direction,
 * pull and level stay as they are, without a glitch. */
int gpio_request_quiet(GpioRequest *r) _must_check_;

/* Our own use of a line: s is set, and cb is called from the loop for each edge with the level after it and
 * the kernel's time of it, until the request is freed. Not together with gpio_request_open(). */
typedef void (*GpioOnEdge)(void *userdata, bool level, uint64_t monotonic_usec);
int gpio_request_watch(GpioRequest *r, sd_event *event, const GpioSettings *s, GpioOnEdge cb, void *userdata)
        _must_check_;

/* All lines, chip by chip. */
typedef void (*GpioEach)(void *userdata, const GpioLineInfo *info);
int gpio_list(Gpio *g, GpioEach each, void *userdata) _must_check_;

/* The world around a simulated line drives it low or high, or (level -1) lets go. -ENOENT, -EOPNOTSUPP. */
int gpio_drive(Gpio *g, const char *name, int level) _must_check_;
/* The level at a line, simulated or requested by us: 0 or 1; -ENODATA when nobody can tell. */
int gpio_level(Gpio *g, const char *name) _must_check_;
