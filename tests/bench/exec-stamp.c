/* SPDX-License-Identifier: MIT */
/* Becomes another program and says when: the moment of exec(2), taken the same way for every program
 * that the benchmark compares. It says so on descriptor 2; as a board, which has none that leads
 * anywhere, in the file exec-stamps of the flash directory.
 *
 *   exec-stamp PROGRAM [ARGUMENT...]
 *   exec-stamp [--user=UID:GID]        becomes the mpyd-board beside it
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mpyd/board-link.h"

int main(int argc, char *argv[]) {
        char path[4096];
        bool is_board = argc == 1 || (argc == 2 && argv[1][0] == '-');
        char **args = is_board ? argv : argv + 1;
        struct timespec t;
        int fd = STDERR_FILENO;

        if (!is_board)
                (void) snprintf(path, sizeof path, "%s", argv[1]);
        else {
                ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "mpyd-board");
                char *slash;

                if (n <= 0)
                        return 126;
                path[n] = '\0';
                slash = strrchr(path, '/');
                if (!slash)
                        return 126;
                (void) snprintf(slash + 1, sizeof "mpyd-board", "mpyd-board");
                fd = openat(BOARD_FD_FLASH, "exec-stamps", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        }

        (void) clock_gettime(CLOCK_REALTIME, &t);
        (void) dprintf(fd, "@exec %" PRId64 "\n",
                       (int64_t) t.tv_sec * INT64_C(1000000000) + t.tv_nsec);
        (void) execv(path, args);
        perror(path);
        return 127;
}
