/* SPDX-License-Identifier: MIT */
/* The machine's GPIO lines: hands each question to the kind of chip there is. See gpio.h. */
#include "gpio/gpio-private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "util/parse.h"

struct Gpio {
        GpioSource source;
        const GpioBackend *backend; /* NULL: off */
        void *chips;
        GpioRequest *requests;
};

static const char *const sources[GPIO_SOURCE_MAX] = {
        [GPIO_SOURCE_AUTO] = "auto",
        [GPIO_SOURCE_KERNEL] = "kernel",
        [GPIO_SOURCE_SIMULATED] = "simulated",
        [GPIO_SOURCE_OFF] = "off",
};

const char *gpio_source_to_string(GpioSource s) {
        return s >= 0 && s < GPIO_SOURCE_MAX ? sources[s] : NULL;
}

GpioSource gpio_source_from_string(const char *s) {
        for (GpioSource i = 0; i < GPIO_SOURCE_MAX; i++)
                if (streq(s, sources[i]))
                        return i;
        return GPIO_SOURCE_INVALID;
}

bool gpio_parse_place(const char *name, char chip[static GPIO_NAME_MAX], unsigned *ret_offset) {
        const char *colon = strrchr(name, ':');
        uint64_t offset;

        if (!colon || colon == name || (size_t) (colon - name) >= GPIO_NAME_MAX ||
            parse_u64(colon + 1, &offset) < 0 || offset > UINT16_MAX)
                return false;
        (void) snprintf(chip, GPIO_NAME_MAX, "%.*s", (int) (colon - name), name);
        *ret_offset = (unsigned) offset;
        return true;
}

int gpio_new(Gpio **ret, sd_event *event, GpioSource source) {
        Gpio *g = calloc(1, sizeof *g);
        int r = 0;

        if (!g)
                return -ENOMEM;
        if (source == GPIO_SOURCE_AUTO)
                source = gpio_kernel_has_chips() ? GPIO_SOURCE_KERNEL : GPIO_SOURCE_SIMULATED;
        g->source = source;
        if (source == GPIO_SOURCE_KERNEL) {
                g->backend = &gpio_kernel_backend;
                r = gpio_kernel_new(&g->chips);
        } else if (source == GPIO_SOURCE_SIMULATED) {
                g->backend = &gpio_simulated_backend;
                r = gpio_simulated_new(&g->chips, event);
        }
        if (r < 0) {
                free(g);
                return r;
        }
        *ret = g;
        return 0;
}

Gpio *gpio_free(Gpio *g) {
        if (!g)
                return NULL;
        assert(!g->requests);
        if (g->backend)
                g->backend->done(g->chips);
        free(g);
        return NULL;
}

GpioSource gpio_source(const Gpio *g) {
        return g->source;
}

static GpioRequest *add_request(Gpio *g, GpioRequest *q, const char *name) {
        q->gpio = g;
        (void) snprintf(q->name, sizeof q->name, "%s", name);
        q->next = g->requests;
        g->requests = q;
        return q;
}

int gpio_request(Gpio *g, const char *name, const char *consumer, GpioRequest **ret,
                 char holder[static GPIO_NAME_MAX]) {
        _cleanup_free_ GpioRequest *q = NULL;
        int r;

        holder[0] = '\0';
        if (!g->backend)
                return -ENOENT;
        if (strlen(name) >= GPIO_NAME_MAX)
                return -ENOENT;
        q = calloc(1, sizeof *q);
        if (!q)
                return -ENOMEM;
        r = g->backend->request(g->chips, name, consumer, &q->line, holder);
        if (r < 0)
                return r;
        *ret = add_request(g, TAKE_PTR(q), name);
        return 0;
}

int gpio_adopt(Gpio *g, const char *name, const char *consumer, int fd, GpioRequest **ret) {
        GpioRequest *q = g->backend && g->backend->adopt && strlen(name) < GPIO_NAME_MAX ? calloc(1, sizeof *q) : NULL;
        int r;

        if (!q) {
                safe_close(fd);
                return -EOPNOTSUPP;
        }
        r = g->backend->adopt(g->chips, name, consumer, fd, &q->line);
        if (r < 0) {
                free(q);
                return r;
        }
        *ret = add_request(g, q, name);
        return 0;
}

GpioRequest *gpio_request_free(GpioRequest *q) {
        if (!q)
                return NULL;
        for (GpioRequest **at = &q->gpio->requests; *at; at = &(*at)->next)
                if (*at == q) {
                        *at = q->next;
                        break;
                }
        if (q->source) {
                sd_event_source_disable_unref(q->source);
                gpio_line_done(&q->watched);
        }
        q->gpio->backend->release(q->line);
        free(q);
        return NULL;
}

int gpio_request_open(GpioRequest *q) {
        return q->gpio->backend->open(q->line);
}

int gpio_request_info(GpioRequest *q, GpioLineInfo *ret) {
        return q->gpio->backend->info(q->line, ret);
}

int gpio_request_get(GpioRequest *q) {
        return q->gpio->backend->get(q->line);
}

int gpio_request_configure(GpioRequest *q, const GpioSettings *s) {
        return q->gpio->backend->configure(q->line, s);
}

int gpio_request_quiet(GpioRequest *q) {
        return q->gpio->backend->quiet(q->line);
}

static int on_edges(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        GpioRequest *q = userdata;
        GpioEdge e;
        int r;

        while ((r = gpio_line_next_edge(&q->watched, &e)) > 0)
                q->on_edge(q->userdata, e.edge == GPIO_EDGE_RISING, e.monotonic_nsec / 1000);
        if (r < 0) /* the chip was taken out */
                (void) sd_event_source_set_enabled(q->source, SD_EVENT_OFF);
        return 0;
}

int gpio_request_watch(GpioRequest *q, sd_event *event, const GpioSettings *s, GpioOnEdge cb, void *userdata) {
        int r = gpio_line_init(&q->watched, gpio_request_open(q));

        if (r < 0)
                return r;
        q->on_edge = cb;
        q->userdata = userdata;
        r = gpio_request_configure(q, s);
        if (r >= 0)
                r = sd_event_add_io(event, &q->source, q->watched.fd, EPOLLIN, on_edges, q);
        if (r < 0)
                gpio_line_done(&q->watched);
        return r < 0 ? r : 0;
}

int gpio_list(Gpio *g, GpioEach each, void *userdata) {
        return g->backend ? g->backend->list(g->chips, each, userdata) : 0;
}

int gpio_drive(Gpio *g, const char *name, int level) {
        if (!g->backend || !g->backend->drive)
                return -EOPNOTSUPP;
        return g->backend->drive(g->chips, name, level);
}

int gpio_level(Gpio *g, const char *name) {
        if (!g->backend)
                return -ENOENT;
        if (g->backend->level)
                return g->backend->level(g->chips, name);
        for (GpioRequest *q = g->requests; q; q = q->next)
                if (streq(q->name, name))
                        return gpio_request_get(q);
        return -ENODATA;
}
