/* SPDX-License-Identifier: MIT */
/* A chip that is not there: lines named as on a Raspberry Pi's header, at which a world without hardware
 * can be played. It behaves as that machine's kernel driver does where that matters: a line that is
 * released goes on driving what it drove, requests are exclusive, edges wait for their reader, and a line
 * that floats reads what it read last. A debounced line reads, and tells by an edge, what it has been for so
 * long. */
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "gpio/gpio-private.h"
#include "util/parse.h"

#define LABEL "simulated"
#define LINES 28u /* GPIO0 to GPIO27 */
#define REQUESTS_PER_TURN 64u
#define UNREAD_MAX (16u * 1024) /* bytes in the kernel, sixteen edges or so */

typedef struct SimChip SimChip;

typedef struct SimLine {
        SimChip *chip;
        unsigned offset;
        bool requested;
        char consumer[GPIO_NAME_MAX];
        uint64_t flags;      /* GPIO_V2_LINE_FLAG_… */
        bool output;         /* what it drives, when it is one */
        int driven;          /* by the world: 0, 1; -1: by nobody */
        bool level;          /* as it was last */
        uint32_t debounce_usec; /* 0: none */
        bool steady;         /* level of a debounced one */
        sd_event_source *debounce_timer;
        int fd;              /* our end of the descriptor that was opened last */
        sd_event_source *source;
        uint32_t seqno;
} SimLine;

struct SimChip {
        sd_event *event;
        SimLine lines[LINES];
};

/* ---- the electricity ---- */

static bool level_of(const SimLine *l) {
        bool out = l->flags & GPIO_V2_LINE_FLAG_OUTPUT;

        if (out && !((l->flags & GPIO_V2_LINE_FLAG_OPEN_DRAIN) && l->output))
                return l->output;
        if (l->driven >= 0)
                return l->driven;
        if (l->flags & GPIO_V2_LINE_FLAG_BIAS_PULL_UP)
                return true;
        if (l->flags & GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN)
                return false;
        if (l->flags & GPIO_V2_LINE_FLAG_OPEN_DRAIN) /* a bus, whose resistor is outside */
                return true;
        return l->level;
}

/* There is always room for an answer behind them. Of edges that nobody reads the newest are lost, not the
 * oldest as with the kernel; line_seqno shows it in either case. */
static void tell_edge(SimLine *l, bool rising) {
        struct timespec t;
        GpioSimReply reply = { .is_event = 1 };
        int unread = 0;

        l->seqno++;
        if (ioctl(l->fd, SIOCOUTQ, &unread) < 0 || (unsigned) unread > UNREAD_MAX)
                return;
        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        reply.event = (struct gpio_v2_line_event) {
                .timestamp_ns = (uint64_t) t.tv_sec * UINT64_C(1000000000) + (uint64_t) t.tv_nsec,
                .id = rising ? GPIO_V2_LINE_EVENT_RISING_EDGE : GPIO_V2_LINE_EVENT_FALLING_EDGE,
                .offset = l->offset,
                .seqno = l->seqno,
                .line_seqno = l->seqno,
        };
        (void) send(l->fd, &reply, sizeof reply, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool shown_level(const SimLine *l) {
        return l->debounce_usec > 0 ? l->steady : l->level;
}

static void change(SimLine *l, bool now) {
        if (l->fd >= 0 && (l->flags & (now ? GPIO_V2_LINE_FLAG_EDGE_RISING : GPIO_V2_LINE_FLAG_EDGE_FALLING)))
                tell_edge(l, now);
}

static int on_steady(sd_event_source *source, uint64_t usec, void *userdata) {
        SimLine *l = userdata;

        if (l->debounce_usec > 0 && l->steady != l->level) {
                l->steady = l->level;
                change(l, l->steady);
        }
        return 0;
}

/* Each change begins the time anew. */
static void wait_until_steady(SimLine *l) {
        int r = 0;

        if (!l->debounce_timer)
                r = sd_event_add_time(l->chip->event, &l->debounce_timer, CLOCK_MONOTONIC, 0, 1, on_steady, l);
        if (r >= 0)
                r = sd_event_source_set_time_relative(l->debounce_timer, l->debounce_usec);
        if (r >= 0)
                (void) sd_event_source_set_enabled(l->debounce_timer, SD_EVENT_ONESHOT);
}

/* After anything that may have changed it. */
static void settle(SimLine *l) {
        bool now = level_of(l);

        if (now == l->level)
                return;
        l->level = now;
        if (l->debounce_usec > 0)
                wait_until_steady(l);
        else
                change(l, now);
}

/* ---- what a holder of the descriptor asks ---- */

static int set_value(SimLine *l, bool value) {
        if (!(l->flags & GPIO_V2_LINE_FLAG_OUTPUT))
                return -EPERM; /* as the kernel says it */
        l->output = value;
        settle(l);
        return 0;
}

static int configure(SimLine *l, const struct gpio_v2_line_config *c) {
        uint64_t both = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_OUTPUT;
        bool output = l->output;
        uint32_t debounce_usec = 0;

        if (!(c->flags & both) || (c->flags & both) == both || c->num_attrs > GPIO_V2_LINE_NUM_ATTRS_MAX)
                return -EINVAL;
        if (c->flags & GPIO_V2_LINE_FLAG_OUTPUT)
                output = false; /* the kernel's default: who configures says the value */
        for (uint32_t i = 0; i < c->num_attrs; i++)
                if (c->attrs[i].attr.id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES && (c->attrs[i].mask & 1))
                        output = c->attrs[i].attr.values & 1;
                else if (c->attrs[i].attr.id == GPIO_V2_LINE_ATTR_ID_DEBOUNCE && (c->attrs[i].mask & 1))
                        debounce_usec = c->attrs[i].attr.debounce_period_us;
        l->flags = c->flags;
        l->output = output;
        l->debounce_usec = 0; /* what the setting itself changes is no bounce */
        settle(l);
        l->debounce_usec = debounce_usec;
        l->steady = l->level;
        return 0;
}

static int answer(SimLine *l, const GpioSimRequest *q, GpioSimReply *reply) {
        switch (q->command) {
        case GPIO_SIM_GET:
                reply->values = (struct gpio_v2_line_values) { .bits = shown_level(l), .mask = 1 };
                return 0;
        case GPIO_SIM_SET:
                return q->values.mask & 1 ? set_value(l, q->values.bits & 1) : -EINVAL;
        case GPIO_SIM_CONFIGURE:
                return configure(l, &q->config);
        default:
                return -EINVAL;
        }
}

static void close_end(SimLine *l) {
        l->source = sd_event_source_disable_unref(l->source);
        l->fd = safe_close(l->fd);
}

static int on_request(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        SimLine *l = userdata;

        for (unsigned i = 0; i < REQUESTS_PER_TURN; i++) {
                GpioSimRequest q;
                GpioSimReply reply = {};
                ssize_t n = recv(l->fd, &q, sizeof q, MSG_DONTWAIT | MSG_TRUNC);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n != sizeof q) { /* the holder is gone, or no holder of ours */
                        close_end(l);
                        return 0;
                }
                reply.error = -answer(l, &q, &reply);
                if (send(l->fd, &reply, sizeof reply, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
                        close_end(l);
                        return 0;
                }
        }
        return 0;
}

/* ---- the backend ---- */

static SimLine *find(SimChip *c, const char *name) {
        char label[GPIO_NAME_MAX];
        unsigned offset;
        uint64_t number;

        if (strncmp(name, "GPIO", 4) == 0 && parse_u64(name + 4, &number) >= 0 && number < LINES)
                return &c->lines[number];
        if (gpio_parse_place(name, label, &offset) && streq(label, LABEL) && offset < LINES)
                return &c->lines[offset];
        return NULL;
}

int gpio_simulated_new(void **ret_chips, sd_event *event) {
        SimChip *c = calloc(1, sizeof *c);

        if (!c)
                return -ENOMEM;
        c->event = event;
        for (unsigned i = 0; i < LINES; i++)
                c->lines[i] = (SimLine) {
                        .chip = c, .offset = i, .flags = GPIO_V2_LINE_FLAG_INPUT, .driven = -1, .fd = -EBADF,
                };
        *ret_chips = c;
        return 0;
}

static void release_all(SimLine *l) {
        close_end(l);
        l->debounce_timer = sd_event_source_disable_unref(l->debounce_timer);
        l->debounce_usec = 0;
}

static void sim_done(void *chips) {
        SimChip *c = chips;

        for (unsigned i = 0; i < LINES; i++)
                release_all(&c->lines[i]);
        free(c);
}

static int sim_request(void *chips, const char *name, const char *consumer, void **ret_line,
                       char holder[static GPIO_NAME_MAX]) {
        SimLine *l = find(chips, name);

        if (!l)
                return -ENOENT;
        if (l->requested) {
                (void) snprintf(holder, GPIO_NAME_MAX, "%s", l->consumer);
                return -EBUSY;
        }
        l->requested = true;
        (void) snprintf(l->consumer, sizeof l->consumer, "%s", consumer);
        *ret_line = l;
        return 0;
}

static void sim_release(void *line) {
        SimLine *l = line;

        release_all(l);
        l->requested = false;
        l->consumer[0] = '\0';
        l->flags &= ~(uint64_t) (GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING);
}

/* The next holder gets a socket of its own, so that nothing that waited in the last one can reach it. */
static int sim_open(void *line) {
        SimLine *l = line;
        int pair[2], r;

        close_end(l);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        l->fd = pair[0];
        r = sd_event_add_io(l->chip->event, &l->source, l->fd, EPOLLIN, on_request, l);
        if (r < 0) {
                close_end(l);
                safe_close(pair[1]);
                return r;
        }
        return pair[1];
}

static void fill_info(const SimLine *l, GpioLineInfo *ret) {
        *ret = (GpioLineInfo) { .chip = LABEL, .offset = l->offset, .used = l->requested };
        (void) snprintf(ret->name, sizeof ret->name, "GPIO%u", l->offset);
        (void) snprintf(ret->consumer, sizeof ret->consumer, "%s", l->consumer);
        gpio_settings_from_flags(l->flags, &ret->settings);
        ret->settings.debounce_usec = l->debounce_usec;
}

static int sim_info(void *line, GpioLineInfo *ret) {
        fill_info(line, ret);
        return 0;
}

static int sim_get(void *line) {
        return shown_level(line);
}

static int sim_configure(void *line, const GpioSettings *s) {
        struct gpio_v2_line_config c;

        gpio_settings_to_config(s, &c);
        return configure(line, &c);
}

static int sim_quiet(void *line) {
        SimLine *l = line;

        l->flags &= ~(uint64_t) (GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING);
        l->debounce_usec = 0;
        close_end(l);
        return 0;
}

static int sim_list(void *chips, GpioEach each, void *userdata) {
        SimChip *c = chips;

        for (unsigned i = 0; i < LINES; i++) {
                GpioLineInfo info;

                fill_info(&c->lines[i], &info);
                each(userdata, &info);
        }
        return 0;
}

static int sim_drive(void *chips, const char *name, int level) {
        SimLine *l = find(chips, name);

        if (!l)
                return -ENOENT;
        l->driven = level;
        settle(l);
        return 0;
}

static int sim_level(void *chips, const char *name) {
        const SimLine *l = find(chips, name);

        return l ? shown_level(l) : -ENOENT;
}

const GpioBackend gpio_simulated_backend = {
        .done = sim_done,
        .request = sim_request,
        .release = sim_release,
        .open = sim_open,
        .info = sim_info,
        .get = sim_get,
        .configure = sim_configure,
        .quiet = sim_quiet,
        .list = sim_list,
        .drive = sim_drive,
        .level = sim_level,
};
