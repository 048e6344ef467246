/* SPDX-License-Identifier: MIT */
/* The run mark is "BOOT-ID running" or "BOOT-ID stopped". It only has to outlive the daemon, not the
 * host, so it is not synced to a disk (the run directory is a tmpfs on a real board). */
#include "host/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/timex.h>
#include <systemd/sd-id128.h>

#include "util/io.h"

#define RUN_MARK "run-mark"

int host_boot_id(char ret[static 33]) {
        sd_id128_t id;
        int r = sd_id128_get_boot(&id);

        if (r < 0)
                return r;
        (void) sd_id128_to_string(id, ret);
        return 0;
}

bool host_clock_synced(void) {
        struct timex t = {};

        return adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC);
}

void host_unique_id(uint8_t ret[static LINK_UNIQUE_ID_SIZE]) {
        /* Our own application id: other programs' derived ids tell nothing about this one. */
        static const sd_id128_t app = SD_ID128_MAKE(5d, 1f, 0a, 7e, 9c, 3b, 4d, 62, 8e, 21, b7, 90, 4a,
                                                    cc, 13, 58);
        sd_id128_t id;

        memset(ret, 0, LINK_UNIQUE_ID_SIZE);
        if (sd_id128_get_machine_app_specific(app, &id) >= 0)
                memcpy(ret, id.bytes, LINK_UNIQUE_ID_SIZE);
}

static void write_mark(int run_dir_fd, const char *boot_id, const char *what) {
        _cleanup_close_ int fd = openat(run_dir_fd, RUN_MARK ".new",
                                        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        char text[64];
        int n = snprintf(text, sizeof text, "%s %s\n", boot_id, what);

        if (fd >= 0 && write_all(fd, text, (size_t) n) >= 0)
                (void) renameat(run_dir_fd, RUN_MARK ".new", run_dir_fd, RUN_MARK);
}

HostStart host_run_began(int run_dir_fd, const char *boot_id) {
        _cleanup_free_ char *mark = NULL;
        bool same_boot = false, stopped = false;

        if (*boot_id && read_file(run_dir_fd, RUN_MARK, 256, &mark, NULL) >= 0) {
                same_boot = strncmp(mark, boot_id, strlen(boot_id)) == 0;
                stopped = same_boot && streq(mark + strlen(boot_id), " stopped\n");
        }
        write_mark(run_dir_fd, boot_id, "running");

        if (!same_boot)
                return (HostStart) { RESET_CAUSE_PWRON, RESET_REASON_POWER_ON,
                                     "first start since the host booted" };
        if (stopped)
                return (HostStart) { RESET_CAUSE_HARD, RESET_REASON_RESET_PIN,
                                     "mpyd was stopped and started again" };
        return (HostStart) { RESET_CAUSE_HARD, RESET_REASON_UNKNOWN,
                             "mpyd ended without a clean stop (crash or kill)" };
}

void host_run_ended(int run_dir_fd, const char *boot_id) {
        write_mark(run_dir_fd, boot_id, "stopped");
}
