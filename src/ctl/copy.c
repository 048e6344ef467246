/* SPDX-License-Identifier: MIT */
/* Bytes from one descriptor to another, with a bar for who waits at a terminal. */
#include "ctl/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ctl/style.h"
#include "ctl/text.h"
#include "util/io.h"
#include "util/parse.h"

#define CHUNK (256u * 1024)
#define BAR_WIDTH 24u
#define NAME_WIDTH_MAX 40u
#define SHOW_USEC (200 * USEC_PER_MSEC) /* between two looks of the bar, and before the first */

char *copy_format_size(char *buf, size_t size, uint64_t bytes) {
        static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
        double v = (double) bytes / 1024;
        size_t i = 0;

        if (bytes < 1024) {
                (void) snprintf(buf, size, "%" PRIu64 " B", bytes);
                return buf;
        }
        for (; v >= 1024 && i + 1 < ELEMENTSOF(units); i++)
                v /= 1024;
        (void) snprintf(buf, size, "%.1f %s", v, units[i]);
        return buf;
}

char *copy_format_bar(char *buf, size_t size, const CopyProgress *p, unsigned columns) {
        char bar[BAR_WIDTH + 1], done[32];
        unsigned filled = BAR_WIDTH, percent = 100;
        size_t width;
        int name_size;

        (void) copy_format_size(done, sizeof done, p->done);
        if (p->size > 0 && p->done < p->size) {
                filled = (unsigned) ((double) p->done / (double) p->size * BAR_WIDTH);
                percent = (unsigned) ((double) p->done / (double) p->size * 100);
        }
        for (unsigned i = 0; i < BAR_WIDTH; i++)
                bar[i] = i < filled ? '#' : '.';
        bar[BAR_WIDTH] = '\0';
        name_size = (int) text_fit(p->name, columns == 0 ? NAME_WIDTH_MAX : MIN(MAX(columns, 48u) - 46, NAME_WIDTH_MAX),
                                   &width);
        if (p->size > 0)
                (void) snprintf(buf, size, "%.*s  [%s] %3u %%  %s", name_size, p->name, bar, percent, done);
        else
                (void) snprintf(buf, size, "%.*s  %s", name_size, p->name, done);
        return buf;
}

static void show(const CopyProgress *p) {
        _cleanup_free_ char *name = text_printable(p->name, false);
        CopyProgress printable = *p;
        char line[320]; /* a name of 40 columns may have four bytes in each */

        printable.name = name ? name : "?";
        show_for_now(copy_format_bar(line, sizeof line, &printable, style_columns(stderr)));
}

int copy_all(int in_fd, int out_fd, CopyProgress *p) {
        static uint64_t shown; /* CLOCK_MONOTONIC, also by the copy of an earlier file */
        uint64_t begun = p && p->begun_usec ? p->begun_usec : now_usec(CLOCK_MONOTONIC);
        _cleanup_free_ char *chunk = malloc(CHUNK);
        bool bar = p && isatty(STDERR_FILENO);
        int r = chunk ? 0 : -ENOMEM;

        while (r >= 0) {
                ssize_t n = read(in_fd, chunk, CHUNK);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                r = write_all(out_fd, chunk, (size_t) n);
                if (p)
                        p->done += (uint64_t) n;
                if (bar && now_usec(CLOCK_MONOTONIC) - MAX(begun, shown) >= SHOW_USEC) {
                        show(p);
                        shown = now_usec(CLOCK_MONOTONIC);
                }
        }
        return r;
}
