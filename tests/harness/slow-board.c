/* SPDX-License-Identifier: MIT */
/* Becomes mpyd-board with flushes that take 300 ms. A program and not a script: mpyd starts the board by
 * its descriptor. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char *argv[]) {
        if (setenv("SLOW_FSYNC_MS", "300", 1) < 0 || setenv("LD_PRELOAD", PRELOAD, 1) < 0 ||
            setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1) < 0)
                return 1;
        (void) execv(BOARD, argv);
        return 1;
}
