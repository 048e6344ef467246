/* SPDX-License-Identifier: MIT */
/* What machine.Pin is measured beside: the same on libgpiod in C.
 *
 *     pin-loop set|get CHIP OFFSET N ROUNDS    operations a second, a line for each round
 *     pin-loop edges CHIP OFFSET N             "ready", then when each edge was seen, CLOCK_MONOTONIC in µs */
#include <gpiod.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_nsec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

static void *need(void *p, const char *what) {
        if (!p) {
                perror(what);
                exit(EXIT_FAILURE);
        }
        return p;
}

static struct gpiod_line_request *request(const char *path, unsigned offset, enum gpiod_line_direction direction,
                                          enum gpiod_line_edge edge) {
        struct gpiod_chip *chip = need(gpiod_chip_open(path), path);
        struct gpiod_line_settings *settings = need(gpiod_line_settings_new(), "settings");
        struct gpiod_line_config *config = need(gpiod_line_config_new(), "config");

        (void) gpiod_line_settings_set_direction(settings, direction);
        (void) gpiod_line_settings_set_edge_detection(settings, edge);
        (void) gpiod_line_config_add_line_settings(config, &offset, 1, settings);
        return need(gpiod_chip_request_lines(chip, NULL, config), "request");
}

int main(int argc, char **argv) {
        const bool edges = argc == 5 && strcmp(argv[1], "edges") == 0, set = argc == 6 && strcmp(argv[1], "set") == 0;
        struct gpiod_line_request *line;
        unsigned offset, n;

        if (!edges && !set && !(argc == 6 && strcmp(argv[1], "get") == 0))
                return EXIT_FAILURE;
        offset = (unsigned) strtoul(argv[3], NULL, 10);
        n = (unsigned) strtoul(argv[4], NULL, 10);
        line = request(argv[2], offset, set ? GPIOD_LINE_DIRECTION_OUTPUT : GPIOD_LINE_DIRECTION_INPUT,
                       edges ? GPIOD_LINE_EDGE_BOTH : GPIOD_LINE_EDGE_NONE);
        if (edges) {
                struct gpiod_edge_event_buffer *buffer = need(gpiod_edge_event_buffer_new(1), "buffer");

                (void) puts("ready");
                (void) fflush(stdout);
                for (unsigned i = 0; i < n; i++) {
                        if (gpiod_line_request_read_edge_events(line, buffer, 1) != 1)
                                return EXIT_FAILURE;
                        printf("%llu\n", (unsigned long long) (now_nsec() / 1000));
                }
                return EXIT_SUCCESS;
        }
        for (unsigned long rounds = strtoul(argv[5], NULL, 10); rounds > 0; rounds--) {
                uint64_t begin = now_nsec();

                for (unsigned i = 0; i < n; i++) {
                        int r = set ? gpiod_line_request_set_value(line, offset, i & 1 ? GPIOD_LINE_VALUE_ACTIVE
                                                                                         : GPIOD_LINE_VALUE_INACTIVE)
                                    : (int) gpiod_line_request_get_value(line, offset);

                        if (r < 0)
                                return EXIT_FAILURE;
                }
                printf("%.0f\n", n * 1e9 / (double) (now_nsec() - begin));
        }
        return EXIT_SUCCESS;
}
