/* SPDX-License-Identifier: MIT */
#include "gpio/status-led.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/io.h"

#define COLOURS 3u
#define TEXT_MAX 4096u

static const struct {
        const char *name;
        unsigned bit;
} colours_of[COLOURS] = { { "red", LED_RED }, { "green", LED_GREEN }, { "blue", LED_BLUE } };

struct StatusLed {
        bool active_high;
        size_t n_lines;       /* 1 or 3; 0: the kernel's */
        GpioRequest *lines[COLOURS];
        char names[COLOURS][GPIO_NAME_MAX];

        int dir_fd;           /* of the kernel's */
        unsigned max;
        char *trigger;        /* it had before; may be NULL */
        size_t n_colours;     /* of a multicolour one; 0: it has none */
        unsigned bits[COLOURS]; /* in the order of its multi_index */
};

bool status_led_is_sysfs(const char *where) {
        size_t n = strlen(STATUS_LED_SYSFS);

        return strncmp(where, STATUS_LED_SYSFS, n) == 0 && where[n] != '\0' && where[n] != '.' &&
               !strchr(where + n, '/');
}

/* ---- GPIO lines ---- */

static int take_lines(StatusLed *l, Gpio *g, const StatusLedOptions *o, char holder[static GPIO_NAME_MAX]) {
        for (const char *p = o->where + strspn(o->where, " "); *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");
                int r;

                if (l->n_lines == COLOURS || n >= GPIO_NAME_MAX)
                        return -EINVAL;
                (void) snprintf(l->names[l->n_lines], GPIO_NAME_MAX, "%.*s", (int) n, p);
                r = gpio_request(g, l->names[l->n_lines], o->consumer, &l->lines[l->n_lines], holder);
                if (r < 0)
                        return r;
                l->n_lines++;
                p += n;
        }
        return l->n_lines == 1 || l->n_lines == COLOURS ? 0 : -EINVAL;
}

static int set_lines(StatusLed *l, unsigned colours) {
        for (size_t i = 0; i < l->n_lines; i++) {
                bool on = l->n_lines == 1 ? colours != 0 : (colours & colours_of[i].bit) != 0;
                const GpioSettings settings = {
                        .direction = GPIO_DIRECTION_OUTPUT,
                        .value = on == l->active_high,
                };
                int r = gpio_request_configure(l->lines[i], &settings);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- a LED of the kernel's (Documentation/leds/leds-class.rst, leds-class-multicolor.rst) ---- */

static int write_text(int dir_fd, const char *name, const char *text) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_TRUNC | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Of "none [mmc0] timer …" what stands in the brackets. */
static void keep_trigger(StatusLed *l) {
        _cleanup_free_ char *text = NULL;
        char *open, *close;

        if (read_file(l->dir_fd, "trigger", 64 * 1024, &text, NULL) < 0 || !(open = strchr(text, '[')) ||
            !(close = strchr(open, ']')))
                return;
        *close = '\0';
        l->trigger = strdup(open + 1);
}

static void learn_colours(StatusLed *l) {
        _cleanup_free_ char *text = NULL;
        char *rest;

        if (read_file(l->dir_fd, "multi_index", TEXT_MAX, &text, NULL) < 0)
                return;
        text[strcspn(text, "\n")] = '\0';
        for (char *word = strtok_r(text, " ", &rest); word && l->n_colours < COLOURS;
             word = strtok_r(NULL, " ", &rest)) {
                l->bits[l->n_colours] = 0; /* a colour that we have no use for stays dark */
                for (size_t i = 0; i < COLOURS; i++)
                        if (streq(word, colours_of[i].name))
                                l->bits[l->n_colours] = colours_of[i].bit;
                l->n_colours++;
        }
}

static int take_kernels(StatusLed *l, const StatusLedOptions *o) {
        _cleanup_free_ char *text = NULL;
        int r;

        l->dir_fd = openat(o->root_fd, o->where + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (l->dir_fd < 0)
                return -errno;
        if (read_file(l->dir_fd, "max_brightness", 32, &text, NULL) >= 0)
                l->max = (unsigned) strtoul(text, NULL, 10);
        if (l->max == 0)
                l->max = 1;
        learn_colours(l);
        keep_trigger(l);
        r = l->trigger ? write_text(l->dir_fd, "trigger", "none") : 0;
        return r < 0 ? r : status_led_set(l, 0);
}

static int set_kernels(StatusLed *l, unsigned colours) {
        char text[16 * COLOURS] = "";
        int r = 0;

        for (size_t i = 0, n = 0; i < l->n_colours; i++)
                n += (size_t) snprintf(text + n, sizeof text - n, "%s%u", i ? " " : "",
                                       colours & l->bits[i] ? l->max : 0);
        if (l->n_colours > 0)
                r = write_text(l->dir_fd, "multi_intensity", text);
        (void) snprintf(text, sizeof text, "%u", colours ? l->max : 0);
        return r < 0 ? r : write_text(l->dir_fd, "brightness", text);
}

/* ---- either ---- */

int status_led_set(StatusLed *l, unsigned colours) {
        return l->n_lines > 0 ? set_lines(l, colours) : set_kernels(l, colours);
}

bool status_led_has_line(const StatusLed *l, const char *name) {
        for (size_t i = 0; i < l->n_lines; i++)
                if (streq(l->names[i], name))
                        return true;
        return false;
}

StatusLed *status_led_free(StatusLed *l) {
        if (!l)
                return NULL;
        for (size_t i = 0; i < COLOURS; i++) {
                if (l->lines[i])
                        (void) !gpio_request_configure(l->lines[i],
                                                       &(GpioSettings) { .direction = GPIO_DIRECTION_INPUT });
                gpio_request_free(l->lines[i]);
        }
        if (l->dir_fd >= 0) {
                (void) !status_led_set(l, 0);
                if (l->trigger)
                        (void) !write_text(l->dir_fd, "trigger", l->trigger);
        }
        safe_close(l->dir_fd);
        free(l->trigger);
        free(l);
        return NULL;
}
DEFINE_CLEANUP(StatusLed *, status_led_free)

int status_led_new(StatusLed **ret, Gpio *g, const StatusLedOptions *o, char holder[static GPIO_NAME_MAX]) {
        _cleanup_(status_led_freep) StatusLed *l = calloc(1, sizeof *l);
        int r;

        holder[0] = '\0';
        if (!l)
                return -ENOMEM;
        *l = (StatusLed) { .active_high = o->active_high, .dir_fd = -EBADF };
        r = status_led_is_sysfs(o->where) ? take_kernels(l, o) : take_lines(l, g, o, holder);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}
