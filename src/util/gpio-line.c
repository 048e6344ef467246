/* SPDX-License-Identifier: MIT */
/* One GPIO line by its descriptor: see gpio-line.h. */
#include "util/gpio-line.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- words ---- */

const char *gpio_direction_to_string(GpioDirection d) {
        static const char *const table[GPIO_DIRECTION_MAX] = {
                [GPIO_DIRECTION_AS_IS] = "as-is",
                [GPIO_DIRECTION_INPUT] = "input",
                [GPIO_DIRECTION_OUTPUT] = "output",
                [GPIO_DIRECTION_OPEN_DRAIN] = "open-drain",
        };

        return d >= 0 && d < GPIO_DIRECTION_MAX ? table[d] : NULL;
}

const char *gpio_pull_to_string(GpioPull p) {
        static const char *const table[GPIO_PULL_MAX] = {
                [GPIO_PULL_AS_IS] = "as-is",
                [GPIO_PULL_NONE] = "none",
                [GPIO_PULL_UP] = "up",
                [GPIO_PULL_DOWN] = "down",
        };

        return p >= 0 && p < GPIO_PULL_MAX ? table[p] : NULL;
}

/* ---- the kernel's form ---- */

static uint64_t flags_from_settings(const GpioSettings *s) {
        static const uint64_t directions[GPIO_DIRECTION_MAX] = {
                [GPIO_DIRECTION_INPUT] = GPIO_V2_LINE_FLAG_INPUT,
                [GPIO_DIRECTION_OUTPUT] = GPIO_V2_LINE_FLAG_OUTPUT,
                [GPIO_DIRECTION_OPEN_DRAIN] = GPIO_V2_LINE_FLAG_OUTPUT | GPIO_V2_LINE_FLAG_OPEN_DRAIN,
        };
        static const uint64_t pulls[GPIO_PULL_MAX] = {
                [GPIO_PULL_NONE] = GPIO_V2_LINE_FLAG_BIAS_DISABLED,
                [GPIO_PULL_UP] = GPIO_V2_LINE_FLAG_BIAS_PULL_UP,
                [GPIO_PULL_DOWN] = GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN,
        };
        uint64_t flags = directions[s->direction];

        if (s->direction != GPIO_DIRECTION_AS_IS) /* the kernel takes a pull with a direction only */
                flags |= pulls[s->pull];
        if (s->direction == GPIO_DIRECTION_INPUT)
                flags |= (s->edges & GPIO_EDGE_RISING ? GPIO_V2_LINE_FLAG_EDGE_RISING : 0) |
                         (s->edges & GPIO_EDGE_FALLING ? GPIO_V2_LINE_FLAG_EDGE_FALLING : 0);
        return flags;
}

void gpio_settings_to_config(const GpioSettings *s, struct gpio_v2_line_config *ret) {
        *ret = (struct gpio_v2_line_config) { .flags = flags_from_settings(s) };
        if (ret->flags & GPIO_V2_LINE_FLAG_OUTPUT) {
                ret->attrs[ret->num_attrs].attr.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES;
                ret->attrs[ret->num_attrs].attr.values = s->value;
                ret->attrs[ret->num_attrs++].mask = 1;
        }
        if (s->direction == GPIO_DIRECTION_INPUT && s->debounce_usec > 0) {
                ret->attrs[ret->num_attrs].attr.id = GPIO_V2_LINE_ATTR_ID_DEBOUNCE;
                ret->attrs[ret->num_attrs].attr.debounce_period_us = s->debounce_usec;
                ret->attrs[ret->num_attrs++].mask = 1;
        }
}

void gpio_settings_from_flags(uint64_t flags, GpioSettings *ret) {
        *ret = (GpioSettings) {
                .direction = !(flags & (GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_OUTPUT)) ? GPIO_DIRECTION_AS_IS
                             : flags & GPIO_V2_LINE_FLAG_INPUT      ? GPIO_DIRECTION_INPUT
                             : flags & GPIO_V2_LINE_FLAG_OPEN_DRAIN ? GPIO_DIRECTION_OPEN_DRAIN
                                                                    : GPIO_DIRECTION_OUTPUT,
                .pull = flags & GPIO_V2_LINE_FLAG_BIAS_PULL_UP     ? GPIO_PULL_UP
                        : flags & GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN ? GPIO_PULL_DOWN
                        : flags & GPIO_V2_LINE_FLAG_BIAS_DISABLED  ? GPIO_PULL_NONE
                                                                   : GPIO_PULL_AS_IS,
                .edges = (flags & GPIO_V2_LINE_FLAG_EDGE_RISING ? GPIO_EDGE_RISING : 0) |
                         (flags & GPIO_V2_LINE_FLAG_EDGE_FALLING ? GPIO_EDGE_FALLING : 0),
        };
}

static GpioEdge edge_from_event(const struct gpio_v2_line_event *e) {
        return (GpioEdge) {
                .edge = e->id == GPIO_V2_LINE_EVENT_RISING_EDGE ? GPIO_EDGE_RISING : GPIO_EDGE_FALLING,
                .monotonic_nsec = e->timestamp_ns,
                .number = e->line_seqno,
        };
}

/* ---- life ---- */

int gpio_line_init(GpioLine *l, int fd) {
        int type;
        socklen_t size = sizeof type;

        if (fd < 0)
                return -EBADF;
        *l = (GpioLine) { .fd = fd, .lock = PTHREAD_MUTEX_INITIALIZER };
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) >= 0) {
                l->simulated = true;
                return 0;
        }
        if (errno == ENOTSOCK)
                return 0;
        l->fd = safe_close(l->fd); /* keeps errno */
        return -errno;
}

void gpio_line_done(GpioLine *l) {
        l->fd = safe_close(l->fd);
}

/* ---- a simulated line ---- */

static void keep(GpioLine *l, GpioEdge e) {
        if (l->n_kept == GPIO_EDGES_KEPT)
                memmove(l->kept, l->kept + 1, --l->n_kept * sizeof *l->kept);
        l->kept[l->n_kept++] = e;
}

/* 1: a reply; 0: none now (not waiting); or an error. */
static int receive(GpioLine *l, int flags, GpioSimReply *ret) {
        for (;;) {
                ssize_t n = recv(l->fd, ret, sizeof *ret, flags);

                if (n == sizeof *ret)
                        return 1;
                if (n >= 0)
                        return -ENODEV; /* the chip has gone */
                if (errno == EAGAIN && (flags & MSG_DONTWAIT))
                        return 0;
                if (errno != EINTR && errno != EAGAIN)
                        return -errno;
        }
}

static int ask(GpioLine *l, GpioSimRequest *q) {
        GpioSimReply reply;
        int r;

        pthread_mutex_lock(&l->lock);
        if (send(l->fd, q, sizeof *q, MSG_NOSIGNAL) < 0)
                r = -errno;
        else
                for (;;) {
                        r = receive(l, 0, &reply);
                        if (r < 0 || !reply.is_event)
                                break;
                        keep(l, edge_from_event(&reply.event));
                }
        pthread_mutex_unlock(&l->lock);
        if (r < 0)
                return r;
        q->values = reply.values;
        return -reply.error;
}

/* ---- a line ---- */

int gpio_line_get(GpioLine *l) {
        GpioSimRequest q = { .command = GPIO_SIM_GET, .values = { .mask = 1 } };
        int r = l->simulated                                                   ? ask(l, &q)
                : ioctl(l->fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &q.values) < 0 ? -errno
                                                                               : 0;

        return r < 0 ? r : (int) (q.values.bits & 1);
}

int gpio_line_set(GpioLine *l, bool value) {
        GpioSimRequest q = { .command = GPIO_SIM_SET, .values = { .mask = 1, .bits = value } };

        if (l->simulated)
                return ask(l, &q);
        return ioctl(l->fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &q.values) < 0 ? -errno : 0;
}

int gpio_line_configure(GpioLine *l, const GpioSettings *s) {
        GpioSimRequest q = { .command = GPIO_SIM_CONFIGURE };

        gpio_settings_to_config(s, &q.config);
        if (l->simulated)
                return ask(l, &q);
        return ioctl(l->fd, GPIO_V2_LINE_SET_CONFIG_IOCTL, &q.config) < 0 ? -errno : 0;
}

/* The kernel's descriptor blocks, and its description is the one that the next board gets too: it is never
 * read without poll(2). */
static int next_of_kernel(GpioLine *l, GpioEdge *ret) {
        struct pollfd pfd = { .fd = l->fd, .events = POLLIN };
        struct gpio_v2_line_event e;

        if (poll(&pfd, 1, 0) <= 0)
                return 0;
        if (!(pfd.revents & POLLIN))
                return -ENODEV;
        if (read(l->fd, &e, sizeof e) != sizeof e)
                return errno == EINTR || errno == EAGAIN ? 0 : -ENODEV;
        *ret = edge_from_event(&e);
        return 1;
}

int gpio_line_next_edge(GpioLine *l, GpioEdge *ret) {
        GpioSimReply reply;
        int r = 1;

        if (!l->simulated)
                return next_of_kernel(l, ret);
        pthread_mutex_lock(&l->lock);
        if (l->n_kept > 0) {
                *ret = l->kept[0];
                memmove(l->kept, l->kept + 1, --l->n_kept * sizeof *l->kept);
        } else {
                r = receive(l, MSG_DONTWAIT, &reply);
                if (r > 0 && !reply.is_event)
                        r = 0; /* an answer that nobody waits for: not ours to explain */
                else if (r > 0)
                        *ret = edge_from_event(&reply.event);
        }
        pthread_mutex_unlock(&l->lock);
        return r;
}

bool gpio_line_has_kept(GpioLine *l) {
        bool has;

        pthread_mutex_lock(&l->lock);
        has = l->n_kept > 0;
        pthread_mutex_unlock(&l->lock);
        return has;
}
