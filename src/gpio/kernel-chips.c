/* SPDX-License-Identifier: MIT */
/* The kernel's GPIO chips, through libgpiod 2. A chip is opened for each question, so that those that come
 * and go (expanders on USB) need no care, and found by a line's name or its own label, never by number. A line
 * that was requested is its descriptor (util/gpio-line.h), whichever run of the daemon has requested it. */
#include <dirent.h>
#include <fcntl.h>
#include <gpiod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpio/gpio-private.h"

#define DEV "/dev"
#define PATH_SIZE 300u
#define EDGES_DRAINED_MAX 1024u /* more than the kernel keeps, even if more come meanwhile */

typedef struct gpiod_chip Chip;
typedef struct gpiod_line_request Request;

/* libgpiod's destructors, as _cleanup_() wants them. */
#define LIBRARY_CLEANUP(name, type, func)     \
        static void name(type **p) {          \
                if (*p)                       \
                        func(*p);             \
        }
LIBRARY_CLEANUP(close_chip, Chip, gpiod_chip_close)
LIBRARY_CLEANUP(free_config, struct gpiod_line_config, gpiod_line_config_free)
LIBRARY_CLEANUP(free_request_config, struct gpiod_request_config, gpiod_request_config_free)
LIBRARY_CLEANUP(free_line_info, struct gpiod_line_info, gpiod_line_info_free)

typedef struct KernelLine {
        GpioLine line;
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

/* ---- one line ---- */

static void name_holder(Chip *chip, unsigned offset, char holder[static GPIO_NAME_MAX]) {
        _cleanup_(free_line_info) struct gpiod_line_info *info = gpiod_chip_get_line_info(chip, offset);
        const char *consumer = info ? gpiod_line_info_get_consumer(info) : NULL;

        (void) snprintf(holder, GPIO_NAME_MAX, "%s", consumer ?: "the kernel");
}

static void kernel_release(void *line) {
        KernelLine *l = line;

        gpio_line_done(&l->line);
        free(l);
}

static int kernel_open(void *line) {
        int fd = fcntl(((KernelLine *) line)->line.fd, F_DUPFD_CLOEXEC, 3);

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
        return gpio_line_get(&((KernelLine *) line)->line);
}

static int kernel_configure(void *line, const GpioSettings *s) {
        return gpio_line_configure(&((KernelLine *) line)->line, s);
}

/* Takes fd over, also on failure. */
static int keep_line(const Place *p, int fd, void **ret_line) {
        KernelLine *l = calloc(1, sizeof *l);
        int r;

        if (!l) {
                safe_close(fd);
                return -ENOMEM;
        }
        r = gpio_line_init(&l->line, fd);
        if (r < 0) {
                free(l);
                return r;
        }
        (void) snprintf(l->path, sizeof l->path, "%s", p->path);
        l->offset = p->offset;
        *ret_line = l;
        return 0;
}

static int kernel_request(void *chips, const char *name, const char *consumer, void **ret_line,
                          char holder[static GPIO_NAME_MAX]) {
        _cleanup_(free_request_config) struct gpiod_request_config *how = gpiod_request_config_new();
        /* no settings: as it is */
        _cleanup_(free_config) struct gpiod_line_config *config = gpiod_line_config_new();
        _cleanup_(close_chip) Chip *chip = NULL;
        Request *request;
        Place p;
        int r, fd;

        if (!how || !config)
                return -ENOMEM;
        r = find(name, &p);
        if (r < 0)
                return r;
        chip = gpiod_chip_open(p.path);
        if (!chip || gpiod_line_config_add_line_settings(config, &p.offset, 1, NULL) < 0)
                return -errno;
        gpiod_request_config_set_consumer(how, consumer);
        request = gpiod_chip_request_lines(chip, how, config);
        if (!request) {
                r = errno == EINVAL && p.by_label ? -ENOENT : -errno; /* no such offset */
                if (r == -EBUSY)
                        name_holder(chip, p.offset, holder);
                return r;
        }
        /* The line is requested for as long as one descriptor of it is open. */
        fd = fcntl(gpiod_line_request_get_fd(request), F_DUPFD_CLOEXEC, 3);
        r = fd < 0 ? -errno : keep_line(&p, fd, ret_line);
        gpiod_line_request_release(request);
        return r;
}

/* Somebody else's descriptor under that name, or of a chip that has gone, is not taken for the line. */
static int kernel_adopt(void *chips, const char *name, const char *consumer, int fd, void **ret_line) {
        GpioLineInfo info;
        void *line;
        Place p;
        int r;

        r = find(name, &p);
        if (r < 0) {
                safe_close(fd);
                return r;
        }
        r = keep_line(&p, fd, &line);
        if (r < 0)
                return r;
        r = kernel_info(line, &info);
        if (r >= 0 && (!info.used || !streq(info.consumer, consumer)))
                r = -ESTALE;
        if (r >= 0)
                r = kernel_get(line);
        if (r < 0) {
                kernel_release(line);
                return r;
        }
        *ret_line = line;
        return 0;
}

static int drain(GpioLine *l) {
        GpioEdge e;
        int r = 1;

        for (unsigned i = 0; r > 0 && i < EDGES_DRAINED_MAX; i++)
                r = gpio_line_next_edge(l, &e);
        return r < 0 ? r : 0;
}

/* A line with no edge detection is not touched at all. */
static int kernel_quiet(void *line) {
        KernelLine *l = line;
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
        return drain(&l->line);
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
        .adopt = kernel_adopt,
        .release = kernel_release,
        .open = kernel_open,
        .info = kernel_info,
        .get = kernel_get,
        .configure = kernel_configure,
        .quiet = kernel_quiet,
        .list = kernel_list,
};
