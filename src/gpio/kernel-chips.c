/* SPDX-License-Identifier: MIT */
/* The kernel's GPIO chips, through libgpiod 2. A chip is opened for each question, so that those that come
 * and go (expanders on USB) need no care, and found by a line's name or its own label, never by number. */
#include <dirent.h>
#include <fcntl.h>
#include <gpiod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpio/gpio-private.h"

#define DEV "/dev"
#define PATH_SIZE 300u
#define EDGES_DRAINED_MAX 64u /* times sixteen: more than the kernel keeps, even if more come meanwhile */

typedef struct gpiod_chip Chip;
typedef struct gpiod_line_request Request;

/* libgpiod's destructors, as _cleanup_() wants them. */
#define LIBRARY_CLEANUP(name, type, func)     \
        static void name(type **p) {          \
                if (*p)                       \
                        func(*p);             \
        }
LIBRARY_CLEANUP(close_chip, Chip, gpiod_chip_close)
LIBRARY_CLEANUP(free_settings, struct gpiod_line_settings, gpiod_line_settings_free)
LIBRARY_CLEANUP(free_config, struct gpiod_line_config, gpiod_line_config_free)
LIBRARY_CLEANUP(free_request_config, struct gpiod_request_config, gpiod_request_config_free)
LIBRARY_CLEANUP(free_line_info, struct gpiod_line_info, gpiod_line_info_free)

typedef struct KernelLine {
        Request *request;
        char path[PATH_SIZE]; /* of the chip, to ask about the line */
        unsigned offset;
} KernelLine;

/* ---- chips ---- */

static int is_chip(const struct dirent *d) {
        return strncmp(d->d_name, "gpiochip", strlen("gpiochip")) == 0;
}

/* With each chip, in order of their numbers, until what() answers something else than 0. */
typedef int (*WithChip)(Chip *chip, const char *path, const char *label, void *userdata);
static int for_each_chip(WithChip what, void *userdata) {
        struct dirent **entries;
        int n = scandir(DEV, &entries, is_chip, versionsort), r = 0;

        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                _cleanup_(close_chip) Chip *chip = NULL;
                struct gpiod_chip_info *info;
                char path[PATH_SIZE];

                (void) snprintf(path, sizeof path, DEV "/%s", entries[i]->d_name);
                free(entries[i]);
                if (r != 0)
                        continue;
                chip = gpiod_chip_open(path);
                info = chip ? gpiod_chip_get_info(chip) : NULL;
                if (!info) {
                        if (errno == EACCES || errno == EPERM)
                                r = -errno;
                        continue; /* or it has just been taken out */
                }
                r = what(chip, path, gpiod_chip_info_get_label(info), userdata);
                gpiod_chip_info_free(info);
        }
        free(entries);
        return r;
}

bool gpio_kernel_has_chips(void) {
        struct dirent **entries;
        int n = scandir(DEV, &entries, is_chip, NULL);

        for (int i = 0; i < n; i++)
                free(entries[i]);
        if (n >= 0)
                free(entries);
        return n > 0;
}

int gpio_kernel_new(void **ret_chips) {
        *ret_chips = NULL; /* there is nothing to remember */
        return 0;
}

static void kernel_done(void *chips) {
}

/* ---- finding ---- */

typedef struct Place {
        const char *name;
        char label[GPIO_NAME_MAX];
        bool by_label;
        unsigned offset;
        char path[PATH_SIZE];
} Place;

static int try_chip(Chip *chip, const char *path, const char *label, void *userdata) {
        Place *p = userdata;

        if (!p->by_label) {
                int offset = gpiod_chip_get_line_offset_from_name(chip, p->name);

                if (offset < 0)
                        return 0;
                p->offset = (unsigned) offset;
        } else if (!streq(label, p->label))
                return 0;
        (void) snprintf(p->path, sizeof p->path, "%s", path);
        return 1;
}

/* A line's own name comes first: some have a colon in it. */
static int find(const char *name, Place *ret) {
        int r;

        *ret = (Place) { .name = name };
        r = for_each_chip(try_chip, ret);
        if (r == 0 && gpio_parse_place(name, ret->label, &ret->offset)) {
                ret->by_label = true;
                r = for_each_chip(try_chip, ret);
        }
        return r > 0 ? 0 : r == 0 ? -ENOENT : r;
}

/* ---- settings ---- */

static void settings_of(struct gpiod_line_info *i, GpioSettings *ret) {
        enum gpiod_line_bias bias = gpiod_line_info_get_bias(i);
        enum gpiod_line_edge edge = gpiod_line_info_get_edge_detection(i);

        *ret = (GpioSettings) {
                .direction = gpiod_line_info_get_direction(i) == GPIOD_LINE_DIRECTION_INPUT ? GPIO_DIRECTION_INPUT
                             : gpiod_line_info_get_drive(i) == GPIOD_LINE_DRIVE_OPEN_DRAIN
                                     ? GPIO_DIRECTION_OPEN_DRAIN
                                     : GPIO_DIRECTION_OUTPUT,
                .pull = bias == GPIOD_LINE_BIAS_PULL_UP     ? GPIO_PULL_UP
                        : bias == GPIOD_LINE_BIAS_PULL_DOWN ? GPIO_PULL_DOWN
                        : bias == GPIOD_LINE_BIAS_DISABLED  ? GPIO_PULL_NONE
                                                            : GPIO_PULL_AS_IS,
                .edges = (edge == GPIOD_LINE_EDGE_RISING || edge == GPIOD_LINE_EDGE_BOTH ? GPIO_EDGE_RISING : 0) |
                         (edge == GPIOD_LINE_EDGE_FALLING || edge == GPIOD_LINE_EDGE_BOTH ? GPIO_EDGE_FALLING : 0),
                .debounce_usec = (uint32_t) gpiod_line_info_get_debounce_period_us(i),
        };
}

static struct gpiod_line_settings *library_settings(const GpioSettings *s) {
        static const enum gpiod_line_edge edges[] = {
                GPIOD_LINE_EDGE_NONE, GPIOD_LINE_EDGE_RISING, GPIOD_LINE_EDGE_FALLING, GPIOD_LINE_EDGE_BOTH,
        };
        static const enum gpiod_line_bias biases[GPIO_PULL_MAX] = {
                [GPIO_PULL_AS_IS] = GPIOD_LINE_BIAS_AS_IS,
                [GPIO_PULL_NONE] = GPIOD_LINE_BIAS_DISABLED,
                [GPIO_PULL_UP] = GPIOD_LINE_BIAS_PULL_UP,
                [GPIO_PULL_DOWN] = GPIOD_LINE_BIAS_PULL_DOWN,
        };
        struct gpiod_line_settings *l = gpiod_line_settings_new();

        if (!l)
                return NULL;
        if (s->direction == GPIO_DIRECTION_AS_IS)
                return l;
        (void) gpiod_line_settings_set_bias(l, biases[s->pull]);
        if (s->direction == GPIO_DIRECTION_INPUT) {
                (void) gpiod_line_settings_set_direction(l, GPIOD_LINE_DIRECTION_INPUT);
                (void) gpiod_line_settings_set_edge_detection(l, edges[s->edges & 3]);
                gpiod_line_settings_set_debounce_period_us(l, s->debounce_usec);
                return l;
        }
        (void) gpiod_line_settings_set_direction(l, GPIOD_LINE_DIRECTION_OUTPUT);
        if (s->direction == GPIO_DIRECTION_OPEN_DRAIN)
                (void) gpiod_line_settings_set_drive(l, GPIOD_LINE_DRIVE_OPEN_DRAIN);
        (void) gpiod_line_settings_set_output_value(l, s->value ? GPIOD_LINE_VALUE_ACTIVE
                                                                : GPIOD_LINE_VALUE_INACTIVE);
        return l;
}

static struct gpiod_line_config *library_config(unsigned offset, const GpioSettings *s) {
        _cleanup_(free_settings) struct gpiod_line_settings *settings = library_settings(s);
        struct gpiod_line_config *config = settings ? gpiod_line_config_new() : NULL;

        if (config && gpiod_line_config_add_line_settings(config, &offset, 1, settings) < 0) {
                gpiod_line_config_free(config);
                return NULL;
        }
        return config;
}

/* ---- one line ---- */

static void name_holder(Chip *chip, unsigned offset, char holder[static GPIO_NAME_MAX]) {
        _cleanup_(free_line_info) struct gpiod_line_info *info = gpiod_chip_get_line_info(chip, offset);
        const char *consumer = info ? gpiod_line_info_get_consumer(info) : NULL;

        (void) snprintf(holder, GPIO_NAME_MAX, "%s", consumer ?: "the kernel");
}

static int kernel_request(void *chips, const char *name, const char *consumer, void **ret_line,
                          char holder[static GPIO_NAME_MAX]) {
        _cleanup_(free_request_config) struct gpiod_request_config *how = gpiod_request_config_new();
        _cleanup_(free_config) struct gpiod_line_config *config = NULL;
        _cleanup_(close_chip) Chip *chip = NULL;
        _cleanup_free_ KernelLine *l = calloc(1, sizeof *l);
        Place p;
        int r;

        if (!how || !l)
                return -ENOMEM;
        r = find(name, &p);
        if (r < 0)
                return r;
        config = library_config(p.offset, &(GpioSettings) {});
        chip = gpiod_chip_open(p.path);
        if (!config || !chip)
                return -errno;
        gpiod_request_config_set_consumer(how, consumer);
        l->request = gpiod_chip_request_lines(chip, how, config);
        if (!l->request) {
                r = errno == EINVAL && p.by_label ? -ENOENT : -errno; /* no such offset */
                if (r == -EBUSY)
                        name_holder(chip, p.offset, holder);
                return r;
        }
        (void) snprintf(l->path, sizeof l->path, "%s", p.path);
        l->offset = p.offset;
        *ret_line = TAKE_PTR(l);
        return 0;
}

static void kernel_release(void *line) {
        KernelLine *l = line;

        gpiod_line_request_release(l->request);
        free(l);
}

static int kernel_open(void *line) {
        int fd = fcntl(gpiod_line_request_get_fd(((KernelLine *) line)->request), F_DUPFD_CLOEXEC, 3);

        return fd < 0 ? -errno : fd;
}

static void fill_info(struct gpiod_line_info *i, const char *label, GpioLineInfo *ret) {
        *ret = (GpioLineInfo) {
                .offset = gpiod_line_info_get_offset(i),
                .used = gpiod_line_info_is_used(i),
        };
        (void) snprintf(ret->chip, sizeof ret->chip, "%s", label);
        (void) snprintf(ret->name, sizeof ret->name, "%s", gpiod_line_info_get_name(i) ?: "");
        (void) snprintf(ret->consumer, sizeof ret->consumer, "%s", gpiod_line_info_get_consumer(i) ?: "");
        settings_of(i, &ret->settings);
}

static int kernel_info(void *line, GpioLineInfo *ret) {
        const KernelLine *l = line;
        _cleanup_(close_chip) Chip *chip = gpiod_chip_open(l->path);
        _cleanup_(free_line_info) struct gpiod_line_info *i = chip ? gpiod_chip_get_line_info(chip, l->offset)
                                                                   : NULL;
        struct gpiod_chip_info *c = i ? gpiod_chip_get_info(chip) : NULL;

        if (!c)
                return -errno;
        fill_info(i, gpiod_chip_info_get_label(c), ret);
        gpiod_chip_info_free(c);
        return 0;
}

static int kernel_get(void *line) {
        const KernelLine *l = line;
        enum gpiod_line_value v = gpiod_line_request_get_value(l->request, l->offset);

        return v == GPIOD_LINE_VALUE_ERROR ? -errno : v == GPIOD_LINE_VALUE_ACTIVE;
}

static int kernel_configure(void *line, const GpioSettings *s) {
        const KernelLine *l = line;
        _cleanup_(free_config) struct gpiod_line_config *config = library_config(l->offset, s);

        if (!config)
                return -ENOMEM;
        return gpiod_line_request_reconfigure_lines(l->request, config) < 0 ? -errno : 0;
}

static int drain(Request *q) {
        struct gpiod_edge_event_buffer *buffer = gpiod_edge_event_buffer_new(GPIO_EDGES_KEPT);
        int r = buffer ? 0 : -ENOMEM;

        for (unsigned i = 0; r >= 0 && i < EDGES_DRAINED_MAX; i++) {
                r = gpiod_line_request_wait_edge_events(q, 0);
                if (r == 0)
                        break;
                if (r > 0)
                        r = gpiod_line_request_read_edge_events(q, buffer, GPIO_EDGES_KEPT);
                if (r < 0)
                        r = -errno;
        }
        gpiod_edge_event_buffer_free(buffer);
        return r < 0 ? r : 0;
}

/* A line with no edge detection is not touched at all. */
static int kernel_quiet(void *line) {
        const KernelLine *l = line;
        GpioLineInfo info;
        int r = kernel_info(line, &info);

        if (r < 0)
                return r;
        if (info.settings.edges != 0) {
                info.settings.edges = 0;
                r = kernel_configure(line, &info.settings);
                if (r < 0)
                        return r;
        }
        return drain(l->request);
}

/* ---- all lines ---- */

typedef struct Listing {
        GpioEach each;
        void *userdata;
} Listing;

static int list_chip(Chip *chip, const char *path, const char *label, void *userdata) {
        const Listing *l = userdata;
        struct gpiod_chip_info *c = gpiod_chip_get_info(chip);
        size_t n = c ? gpiod_chip_info_get_num_lines(c) : 0;

        gpiod_chip_info_free(c);
        for (unsigned i = 0; i < n; i++) {
                _cleanup_(free_line_info) struct gpiod_line_info *info = gpiod_chip_get_line_info(chip, i);
                GpioLineInfo filled;

                if (!info)
                        break;
                fill_info(info, label, &filled);
                l->each(l->userdata, &filled);
        }
        return 0;
}

static int kernel_list(void *chips, GpioEach each, void *userdata) {
        return for_each_chip(list_chip, &(Listing) { each, userdata });
}

const GpioBackend gpio_kernel_backend = {
        .done = kernel_done,
        .request = kernel_request,
        .release = kernel_release,
        .open = kernel_open,
        .info = kernel_info,
        .get = kernel_get,
        .configure = kernel_configure,
        .quiet = kernel_quiet,
        .list = kernel_list,
};
