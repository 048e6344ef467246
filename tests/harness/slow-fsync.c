/* SPDX-License-Identifier: MIT */
/* LD_PRELOAD: a disk whose flush takes exactly $SLOW_FSYNC_MS milliseconds. Flushes do nothing else, so
 * that the real disk does not add to it. With $SLOW_FSYNC_FILE the number is read from that file at each
 * flush, so that a test can change it while the program runs; the variable is what holds without it. Both are
 * read before main(): mpyd-board takes its environment away from libc. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static long parse_delay(const char *text) {
        char *end;
        long ms;

        if (!text)
                return 0;
        errno = 0;
        ms = strtol(text, &end, 10);
        return errno != 0 || end == text || ms < 0 || ms > 600000 ? 0 : ms;
}

static const char *path, *always;

static __attribute__((constructor)) void read_environment(void) {
        path = getenv("SLOW_FSYNC_FILE");
        always = getenv("SLOW_FSYNC_MS");
}

static long current_delay(void) {
        char text[32];
        ssize_t n;
        int fd;

        fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
                return parse_delay(always);
        n = read(fd, text, sizeof text - 1);
        (void) close(fd);
        text[n > 0 ? n : 0] = '\0';
        return parse_delay(text);
}

static int slow_flush(void) {
        long ms = current_delay();
        struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

        while (ms > 0 && nanosleep(&left, &left) < 0 && errno == EINTR)
                ;
        return 0;
}

EXPORT int fsync(int fd) {
        return slow_flush();
}

EXPORT int fdatasync(int fd) {
        return slow_flush();
}

EXPORT int syncfs(int fd) {
        return slow_flush();
}
