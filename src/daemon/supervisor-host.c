/* SPDX-License-Identifier: MIT */
/* The host around the board: why it booted, the mark that tells the next boot how this one went, and its
 * power. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "host/host-fuse.h"
#include "util/log.h"

#define MARK_TIMEOUT_USEC (500 * USEC_PER_MSEC) /* as a board waits at the door for its record */
#define LAST_MARK_TIMEOUT_USEC (2 * USEC_PER_SEC) /* at a stop, when disks are busiest: as the history */

static void write_mark(Supervisor *s, uint64_t timeout_usec) {
        int r = s->state_dir_fd < 0 ? -EBADF
                                    : host_mark_write(s->state_dir_fd, &s->host_mark, timeout_usec);

        if (r == -ETIMEDOUT && timeout_usec == 0)
                return; /* nobody waits for it */
        if (r < 0)
                log_warning_errno(r, "Failed to note that mpyd %s, ignoring (the next boot of the host "
                                     "cannot tell a power cut from a shutdown): %m",
                                  s->host_mark.state == HOST_MARK_STOPPED ? "stops" : "runs");
}

/* The daemon runs on this disk in this boot: from here on an end without a word is an unclean one. */
int supervisor_host_begin(Supervisor *s) {
        HostFacts facts;
        HostVerdict v;

        s->host_root_fd = open(s->options.host_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->host_root_fd < 0)
                return log_error_errno(errno, "Failed to open %s: %m", s->options.host_root);
        s->state_dir_fd = open(s->options.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->state_dir_fd < 0)
                return log_error_errno(errno, "Failed to open %s: %m", s->options.state_dir);
        facts = host_facts_gather(s->host_root_fd, s->state_dir_fd);
        if (!*facts.boot_id)
                log_warning("Failed to learn this host's boot id, ignoring.");
        memcpy(s->boot_id, facts.boot_id, sizeof s->boot_id);

        s->why = run_began(s->run_dir_fd, s->boot_id);
        v = host_fuse(&s->why, &facts);
        s->why.cause = v.cause;
        s->why.reason = v.reason;
        memcpy(s->why.detail, v.detail, sizeof s->why.detail);
        s->evidence = v.evidence;
        s->host_booted = v.host_booted;
        s->host_fault = v.fault;

        s->host_mark = (HostMark) {
                .state = HOST_MARK_RUNNING,
                .under_voltage = facts.under_voltage,
                .watchdog_armed = facts.watchdog_armed,
                .safe_mode = facts.mark.safe_mode,
        };
        memcpy(s->host_mark.boot_id, facts.boot_id, sizeof s->host_mark.boot_id);
        memcpy(s->host_mark.panic_id, facts.panic_id, sizeof s->host_mark.panic_id);
        write_mark(s, MARK_TIMEOUT_USEC);
        return 0;
}

void supervisor_host_ended(Supervisor *s) {
        s->host_mark.state = HOST_MARK_STOPPED;
        write_mark(s, LAST_MARK_TIMEOUT_USEC);
}

static void rearm_power(int fd) {
        char buf[64];

        (void) !pread(fd, buf, sizeof buf, 0); /* the next change is reported after a read */
}

static int on_power(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        rearm_power(fd);
        supervisor_host_look(userdata);
        return 0;
}

/* Under-voltage is noted when it comes, since what comes next may be the end. A machine without such
 * files (and a recorded tree, whose files cannot be watched) is looked at with each hard reset. */
void supervisor_host_watch_power(Supervisor *s) {
        int fds[HOST_POWER_FILES_MAX];
        size_t n = host_facts_open_power(s->host_root_fd, fds);

        for (size_t i = 0; i < n; i++) {
                sd_event_source **source = &s->power_sources[i];

                if (sd_event_add_io(s->event, source, fds[i], EPOLLPRI, on_power, s) < 0) {
                        safe_close(fds[i]);
                        continue;
                }
                (void) sd_event_source_set_io_fd_own(*source, true);
                rearm_power(fds[i]);
        }
}

void supervisor_host_done(Supervisor *s) {
        for (size_t i = 0; i < ELEMENTSOF(s->power_sources); i++)
                sd_event_source_disable_unref(s->power_sources[i]);
        safe_close(s->host_root_fd);
        safe_close(s->state_dir_fd);
}

/* What a power cut to come shall find on the disk. */
void supervisor_host_look(Supervisor *s) {
        bool armed = host_facts_watchdog_armed(s->host_root_fd);
        char path[HOST_PATH_MAX];
        bool low = host_facts_under_voltage(s->host_root_fd, path);

        s->oom_kills = host_facts_oom_kills(s->host_root_fd);
        if ((!low || s->host_mark.under_voltage) && armed == s->host_mark.watchdog_armed)
                return;
        if (low && !s->host_mark.under_voltage) {
                journal_log(JOURNAL_UNDER_VOLTAGE, NULL,
                            "The supply's voltage is or was too low (%s).", path);
                (void) history_add_event(s->history, journal_event_to_string(JOURNAL_UNDER_VOLTAGE), path);
        }
        s->host_mark.under_voltage |= low;
        s->host_mark.watchdog_armed = armed;
        write_mark(s, 0);
}
