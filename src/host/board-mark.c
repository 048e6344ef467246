/* SPDX-License-Identifier: MIT */
/* The mark is one line, "BOOT-ID PID START": START is when the process began, in clock ticks since the
 * host's boot (proc_pid_stat(5), field 22). Numbers of processes are used again, the three together are
 * not. */
#include "host/board-mark.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "util/io.h"

#define MARK "board-mark"
#define MARK_MAX 256u
#define STAT_MAX 4096u
#define START_FIELD 22u

static int start_time(pid_t pid, unsigned long long *ret) {
        _cleanup_free_ char *text = NULL;
        const char *p;
        char path[32];
        int r;

        (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) pid);
        r = read_file(AT_FDCWD, path, STAT_MAX, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        p = strrchr(text, ')'); /* of the program's name, which may hold anything */
        for (unsigned field = 2; p && field < START_FIELD; field++)
                p = strchr(p + 1, ' ');
        if (!p || sscanf(p, " %llu", ret) != 1)
                return -EBADMSG;
        return 0;
}

int board_mark_write(int run_dir_fd, const char *boot_id, pid_t pid) {
        _cleanup_close_ int fd = -EBADF;
        unsigned long long start;
        char text[MARK_MAX];
        int r;

        r = start_time(pid, &start);
        if (r < 0)
                return r;
        fd = openat(run_dir_fd, MARK, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        /* In place, always of one size, by one call, which is whole or has not begun when we are killed:
         * a new file each time would take a tenth of a soft reset. */
        (void) snprintf(text, sizeof text, "%-32.32s %10d %20llu\n", boot_id, (int) pid, start);
        return write_all(fd, text, strlen(text));
}

int board_mark_find(int run_dir_fd, const char *boot_id, pid_t *ret_pid) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int pidfd = -EBADF;
        unsigned long long start, now;
        struct pollfd gone;
        int pid, r;

        r = read_file(run_dir_fd, MARK, MARK_MAX, &text, NULL);
        if (r < 0)
                return r;
        if (!*boot_id || strncmp(text, boot_id, strlen(boot_id)) != 0 ||
            sscanf(text + strlen(boot_id), " %d %llu", &pid, &start) != 2 || pid <= 1)
                return -ENOENT;
        pidfd = (int) syscall(SYS_pidfd_open, (pid_t) pid, 0);
        if (pidfd < 0)
                return -errno;
        /* In this order: while the descriptor names a living process, its number is no other's. */
        r = start_time(pid, &now);
        if (r < 0)
                return r;
        gone = (struct pollfd) { .fd = pidfd, .events = POLLIN };
        if (now != start || poll(&gone, 1, 0) != 0) /* another one, or ended and not reaped */
                return -ESRCH;
        *ret_pid = pid;
        return TAKE_FD(pidfd);
}
