/* SPDX-License-Identifier: MIT */
/* GPIO lines: what [pins] says about one, the kernel's form of settings, and the simulated chip as its two
 * sides see it (src/gpio, src/util/gpio-line). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "gpio/pin-policy.h"

/* ---- [pins] ---- */

static void test_allowed(void **state) {
        static const struct {
                const char *allow, *reserve, *name;
                bool allowed;
        } rows[] = {
                { "*", "none", "GPIO17", true },
                { "*", "GPIO17", "GPIO17", false },
                { "*", "GPIO1", "GPIO17", true },
                { "*", "GPIO1?", "GPIO17", false },
                { "*", "GPIO1? GPIO2?", "GPIO2", true },
                { "GPIO2? GPIO4", "none", "GPIO24", true },
                { "GPIO2? GPIO4", "none", "GPIO4", true },
                { "GPIO2? GPIO4", "none", "GPIO5", false },
                { "GPIO2? GPIO4", "none", "gpio4", false },
                { "GPIO2?  GPIO4", "GPIO24", "GPIO24", false },
                { "pinctrl-bcm2711:*", "none", "pinctrl-bcm2711:17", true },
                { "", "none", "GPIO4", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_int_equal(pin_allowed(rows[i].allow, rows[i].reserve, rows[i].name), rows[i].allowed);
}

/* Told in pieces, they are told once each, in their order. */
static void test_name_lists(void **state) {
        static const char *const names[] = { "A", "", "GPIO1", "LED", "no", "much too long for it", "GPIO22", "Z" };
        const char *const expected = "A\0GPIO1\0LED\0GPIO22\0Z";

        for (size_t room = 7; room <= 32; room++) {
                char buf[32], all[64];
                size_t size = 0;
                PinNameList l = { .full = true };

                for (unsigned pieces = 0; l.full; pieces++) {
                        l = (PinNameList) {
                                .allow = "*", .reserve = "no", .buf = buf, .buf_size = MIN(room, (size_t) 20),
                                .from = l.n,
                        };
                        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                                pin_name_list_add(&l, names[i]);
                        assert_true(l.size > 0 && l.size <= l.buf_size && pieces < 5);
                        memcpy(all + size, buf, l.size);
                        size += l.size;
                }
                l = (PinNameList) { .allow = "*", .reserve = "no", .buf = buf, .buf_size = sizeof buf, .from = 99 };
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        pin_name_list_add(&l, names[i]);
                assert_true(l.size == 0 && !l.full); /* who asks for more than there are is told that it was all */
                assert_int_equal(size, 2 + 6 + 4 + 7 + 2);
                assert_memory_equal(all, expected, size);
        }
}

static void test_safe_levels(void **state) {
        const char *at = " GPIO17=0 GPIO27=1  pinctrl-bcm2711:4=1";
        char name[GPIO_NAME_MAX];

        assert_int_equal(pin_safe_level(at, "GPIO17"), 0);
        assert_int_equal(pin_safe_level(at, "GPIO27"), 1);
        assert_int_equal(pin_safe_level(at, "pinctrl-bcm2711:4"), 1);
        assert_int_equal(pin_safe_level(at, "GPIO2"), -1);
        assert_int_equal(pin_safe_level("input", "input"), -1);
        assert_int_equal(pin_safe_level("", "GPIO1"), -1);

        assert_true(pin_next_safe(&at, name));
        assert_string_equal(name, "GPIO17");
        assert_true(pin_next_safe(&at, name));
        assert_true(pin_next_safe(&at, name));
        assert_string_equal(name, "pinctrl-bcm2711:4");
        assert_false(pin_next_safe(&at, name));
        at = "input";
        assert_false(pin_next_safe(&at, name));
}

/* ---- settings ---- */

static void test_settings_there_and_back(void **state) {
        for (GpioDirection d = 0; d < GPIO_DIRECTION_MAX; d++)
                for (GpioPull p = 0; p < GPIO_PULL_MAX; p++)
                        for (unsigned edges = 0; edges < 4; edges++) {
                                GpioSettings s = { d, p, edges, true, 5000 }, back;
                                struct gpio_v2_line_config c;

                                gpio_settings_to_config(&s, &c);
                                gpio_settings_from_flags(c.flags, &back);
                                assert_int_equal(back.direction, d);
                                /* The kernel refuses a pull without a direction, and edges of outputs. */
                                assert_int_equal(back.pull, d == GPIO_DIRECTION_AS_IS ? GPIO_PULL_AS_IS : p);
                                assert_int_equal(back.edges, d == GPIO_DIRECTION_INPUT ? edges : 0);
                                /* An output always says its level, an input its debouncing. */
                                assert_int_equal(c.num_attrs, d == GPIO_DIRECTION_AS_IS ? 0 : 1);
                                assert_string_not_equal(gpio_direction_to_string(d), "");
                                assert_string_not_equal(gpio_pull_to_string(p), "");
                        }
}

/* ---- the simulated chip, from the supervisor's side ---- */

typedef struct World {
        sd_event *event;
        Gpio *gpio;
        GpioRequest *request;
} World;

static World world_new(const char *line) {
        char holder[GPIO_NAME_MAX];
        World w = {};

        assert_true(sd_event_new(&w.event) >= 0);
        assert_int_equal(gpio_new(&w.gpio, w.event, GPIO_SOURCE_SIMULATED), 0);
        assert_int_equal(gpio_request(w.gpio, line, "test", &w.request, holder), 0);
        return w;
}

static void world_done(World *w) {
        w->request = gpio_request_free(w->request);
        w->gpio = gpio_free(w->gpio);
        w->event = sd_event_unref(w->event);
}

static void set(World *w, GpioDirection d, GpioPull p, bool value) {
        assert_int_equal(gpio_request_configure(w->request, &(GpioSettings) { d, p, 0, value, 0 }), 0);
}

/* What stands at a line for each way to drive it from outside (let go, 0, 1). */
static void test_electricity(void **state) {
        static const struct {
                GpioDirection direction;
                GpioPull pull;
                bool value;
                int open, low, high;
        } rows[] = {
                { GPIO_DIRECTION_INPUT, GPIO_PULL_UP, false, 1, 0, 1 },
                { GPIO_DIRECTION_INPUT, GPIO_PULL_DOWN, false, 0, 0, 1 },
                { GPIO_DIRECTION_OUTPUT, GPIO_PULL_UP, false, 0, 0, 0 },
                { GPIO_DIRECTION_OUTPUT, GPIO_PULL_DOWN, true, 1, 1, 1 },
                { GPIO_DIRECTION_OPEN_DRAIN, GPIO_PULL_UP, true, 1, 0, 1 },
                { GPIO_DIRECTION_OPEN_DRAIN, GPIO_PULL_UP, false, 0, 0, 0 },
        };
        World w = world_new("GPIO5");

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                set(&w, rows[i].direction, rows[i].pull, rows[i].value);
                assert_int_equal(gpio_drive(w.gpio, "GPIO5", -1), 0);
                assert_int_equal(gpio_request_get(w.request), rows[i].open);
                assert_int_equal(gpio_drive(w.gpio, "GPIO5", 0), 0);
                assert_int_equal(gpio_request_get(w.request), rows[i].low);
                assert_int_equal(gpio_drive(w.gpio, "simulated:5", 1), 0);
                assert_int_equal(gpio_level(w.gpio, "GPIO5"), rows[i].high);
        }
        /* Nothing pulls and nobody drives: as it was last. */
        set(&w, GPIO_DIRECTION_INPUT, GPIO_PULL_NONE, false);
        assert_int_equal(gpio_drive(w.gpio, "GPIO5", -1), 0);
        assert_int_equal(gpio_request_get(w.request), 1);
        world_done(&w);
}

/* As on a Raspberry Pi: who wants it low again has to say so before. */
static void test_released_output_goes_on(void **state) {
        World w = world_new("GPIO5");

        set(&w, GPIO_DIRECTION_OUTPUT, GPIO_PULL_NONE, true);
        w.request = gpio_request_free(w.request);
        assert_int_equal(gpio_level(w.gpio, "GPIO5"), 1);
        world_done(&w);
}

static void test_requests(void **state) {
        static const char *const none[] = { "GPIO28", "GPIO", "GPIO-1", "GPIO 5", "gpio5", "simulated:28", "other:5",
                                            "simulated:", ":5", "", "5" };
        char holder[GPIO_NAME_MAX], longest[100];
        World w = world_new("GPIO5");
        GpioRequest *other;
        GpioLineInfo info;

        assert_int_equal(gpio_request(w.gpio, "GPIO5", "second", &other, holder), -EBUSY);
        assert_string_equal(holder, "test");
        assert_int_equal(gpio_request(w.gpio, "simulated:5", "second", &other, holder), -EBUSY);
        for (size_t i = 0; i < ELEMENTSOF(none); i++) {
                assert_int_equal(gpio_request(w.gpio, none[i], "x", &other, holder), -ENOENT);
                assert_int_equal(gpio_drive(w.gpio, none[i], 1), -ENOENT);
                assert_int_equal(gpio_level(w.gpio, none[i]), -ENOENT);
        }
        memset(longest, 'a', sizeof longest);
        longest[sizeof longest - 1] = '\0';
        assert_int_equal(gpio_request(w.gpio, longest, "x", &other, holder), -ENOENT);

        assert_int_equal(gpio_request_info(w.request, &info), 0);
        assert_string_equal(info.chip, "simulated");
        assert_string_equal(info.name, "GPIO5");
        assert_string_equal(info.consumer, "test");
        assert_true(info.used);
        w.request = gpio_request_free(w.request);
        assert_int_equal(gpio_request(w.gpio, "simulated:5", "second", &w.request, holder), 0);
        world_done(&w);
}

static void count_lines(void *userdata, const GpioLineInfo *info) {
        unsigned *counts = userdata;

        counts[info->used]++;
}

static void test_list(void **state) {
        World w = world_new("GPIO5");
        unsigned counts[2] = {};

        assert_int_equal(gpio_list(w.gpio, count_lines, counts), 0);
        assert_int_equal(counts[0], 27);
        assert_int_equal(counts[1], 1);
        world_done(&w);
}

static void test_off(void **state) {
        char holder[GPIO_NAME_MAX];
        GpioRequest *q;
        Gpio *g;
        unsigned counts[2] = {};

        assert_int_equal(gpio_new(&g, NULL, GPIO_SOURCE_OFF), 0);
        assert_int_equal(gpio_request(g, "GPIO5", "test", &q, holder), -ENOENT);
        assert_int_equal(gpio_list(g, count_lines, counts), 0);
        assert_int_equal(counts[0], 0);
        assert_int_equal(gpio_drive(g, "GPIO5", 1), -EOPNOTSUPP);
        (void) gpio_free(g);
        for (GpioSource s = 0; s < GPIO_SOURCE_MAX; s++)
                assert_int_equal(gpio_source_from_string(gpio_source_to_string(s)), s);
        assert_int_equal(gpio_source_from_string("fake"), GPIO_SOURCE_INVALID);
}

/* ---- from the side of who has the descriptor ---- */

/* The holder's questions block, so the chip answers in another thread. */
typedef struct Server {
        World world;
        pthread_t thread;
        int stop[2];
} Server;

static int on_stop(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

static void *serve(void *arg) {
        Server *s = arg;

        (void) sd_event_loop(s->world.event);
        return NULL;
}

static void server_start(Server *s) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->stop), 0);
        assert_true(sd_event_add_io(s->world.event, NULL, s->stop[0], EPOLLIN, on_stop, NULL) >= 0);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(Server *s) {
        assert_int_equal(write(s->stop[1], "x", 1), 1);
        assert_int_equal(pthread_join(s->thread, NULL), 0);
        close(s->stop[0]);
        close(s->stop[1]);
}

static void test_descriptor(void **state) {
        Server s = { .world = world_new("GPIO5") };
        GpioEdge e;
        GpioLine l;

        assert_int_equal(gpio_line_init(&l, gpio_request_open(s.world.request)), 0);
        assert_true(l.simulated);
        server_start(&s);
        assert_int_equal(gpio_line_set(&l, true), -EPERM); /* an input, as the kernel says it */
        assert_int_equal(gpio_line_configure(&l, &(GpioSettings) { .direction = GPIO_DIRECTION_AS_IS }), -EINVAL);
        assert_int_equal(gpio_line_configure(&l, &(GpioSettings) { GPIO_DIRECTION_OUTPUT, 0, 0, true, 0 }), 0);
        assert_int_equal(gpio_line_get(&l), 1);
        assert_int_equal(gpio_line_set(&l, false), 0);
        assert_int_equal(gpio_line_get(&l), 0);
        assert_int_equal(gpio_line_next_edge(&l, &e), 0);

        /* An edge that our own question causes comes before its answer. */
        assert_int_equal(gpio_line_configure(&l, &(GpioSettings) { GPIO_DIRECTION_INPUT, GPIO_PULL_UP,
                                                                   GPIO_EDGE_RISING, false, 0 }), 0);
        assert_true(gpio_line_has_kept(&l));
        assert_int_equal(gpio_line_next_edge(&l, &e), 1);
        assert_int_equal(e.edge, GPIO_EDGE_RISING);
        assert_true(e.monotonic_nsec > 0);
        assert_int_equal(gpio_line_next_edge(&l, &e), 0);
        server_stop(&s);
        gpio_line_done(&l);
        world_done(&s.world);
}

/* S16: what one holder has not read, the next one never gets; the level stays. */
static void test_quiet(void **state) {
        Server s = { .world = world_new("GPIO5") };
        GpioLineInfo info;
        GpioLine l, next;
        GpioEdge e;

        assert_int_equal(gpio_line_init(&l, gpio_request_open(s.world.request)), 0);
        assert_int_equal(gpio_request_configure(s.world.request,
                                                &(GpioSettings) { GPIO_DIRECTION_INPUT, GPIO_PULL_UP,
                                                                  GPIO_EDGE_RISING | GPIO_EDGE_FALLING, false, 0 }),
                         0);
        assert_int_equal(gpio_drive(s.world.gpio, "GPIO5", 0), 0);
        assert_int_equal(gpio_drive(s.world.gpio, "GPIO5", 1), 0);
        assert_int_equal(gpio_line_next_edge(&l, &e), 1);
        assert_int_equal(e.edge, GPIO_EDGE_RISING); /* of the pull */
        assert_int_equal(gpio_request_quiet(s.world.request), 0);
        assert_int_equal(gpio_drive(s.world.gpio, "GPIO5", 0), 0);
        assert_int_equal(gpio_line_init(&next, gpio_request_open(s.world.request)), 0);
        assert_int_equal(gpio_line_next_edge(&next, &e), 0);
        assert_int_equal(gpio_request_info(s.world.request, &info), 0);
        assert_int_equal(info.settings.edges, 0);
        assert_int_equal(info.settings.pull, GPIO_PULL_UP);
        assert_int_equal(gpio_line_get(&l), -EPIPE); /* the old one is nobody's */
        gpio_line_done(&l);
        gpio_line_done(&next);
        world_done(&s.world);
}

/* Whoever has the descriptor may send anything. */
static void test_hostile_holder(void **state) {
        static const size_t sizes[] = { 1, sizeof(GpioSimRequest) - 1, sizeof(GpioSimRequest) + 1 };
        World w = world_new("GPIO5");
        GpioSimRequest q = { .command = 99 };
        GpioSimReply reply;
        GpioLine l;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                char junk[sizeof(GpioSimRequest) + 1] = "junk";
                int fd = gpio_request_open(w.request);

                assert_int_equal(send(fd, junk, sizes[i], MSG_NOSIGNAL), (ssize_t) sizes[i]);
                assert_true(sd_event_run(w.event, 0) >= 0);
                assert_int_equal(recv(fd, &reply, sizeof reply, 0), 0); /* closed */
                close(fd);
        }
        assert_int_equal(gpio_line_init(&l, gpio_request_open(w.request)), 0);
        for (unsigned i = 0; i < 3; i++) {
                if (i == 1) { /* both directions at once */
                        q.command = GPIO_SIM_CONFIGURE;
                        q.config.flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_OUTPUT;
                } else if (i == 2) { /* more attributes than there is room for */
                        q.config.flags = GPIO_V2_LINE_FLAG_OUTPUT;
                        q.config.num_attrs = UINT32_MAX;
                }
                assert_int_equal(send(l.fd, &q, sizeof q, MSG_NOSIGNAL), sizeof q);
                assert_true(sd_event_run(w.event, 0) >= 0);
                assert_int_equal(recv(l.fd, &reply, sizeof reply, MSG_DONTWAIT), sizeof reply);
                assert_int_equal(reply.error, EINVAL);
        }
        gpio_line_done(&l);
        world_done(&w);
}

/* Edges that nobody reads take no memory without end, and leave room for answers. */
static void test_unread_edges(void **state) {
        Server s = { .world = world_new("GPIO5") };
        GpioEdge e;
        GpioLine l;
        unsigned n = 0;

        assert_int_equal(gpio_line_init(&l, gpio_request_open(s.world.request)), 0);
        assert_int_equal(gpio_request_configure(s.world.request,
                                                &(GpioSettings) { GPIO_DIRECTION_INPUT, GPIO_PULL_UP,
                                                                  GPIO_EDGE_RISING | GPIO_EDGE_FALLING, false, 0 }),
                         0);
        for (unsigned i = 0; i < 100000; i++)
                assert_int_equal(gpio_drive(s.world.gpio, "GPIO5", i % 2), 0);
        server_start(&s);
        assert_int_equal(gpio_line_get(&l), 1);
        server_stop(&s);
        while (gpio_line_next_edge(&l, &e) > 0)
                n++;
        assert_in_range(n, GPIO_EDGES_KEPT, 1000);
        gpio_line_done(&l);
        world_done(&s.world);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_allowed),
                cmocka_unit_test(test_name_lists),
                cmocka_unit_test(test_safe_levels),
                cmocka_unit_test(test_settings_there_and_back),
                cmocka_unit_test(test_electricity),
                cmocka_unit_test(test_released_output_goes_on),
                cmocka_unit_test(test_requests),
                cmocka_unit_test(test_list),
                cmocka_unit_test(test_off),
                cmocka_unit_test(test_descriptor),
                cmocka_unit_test(test_quiet),
                cmocka_unit_test(test_hostile_holder),
                cmocka_unit_test(test_unread_edges),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
