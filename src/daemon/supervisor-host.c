/* SPDX-License-Identifier: MIT */
/* The host around the board: why it booted, the mark that tells the next boot how this one went, and its
 * power. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "host/host-fuse.h"
#include "host/host-reboot.h"
#include "mpyd/control.h"
#include "util/io.h"
#include "util/log.h"

#define MARK_TIMEOUT_USEC (500 * USEC_PER_MSEC) /* as a board waits at the door for its record */
#define REBOOT_AGAIN_USEC (60 * USEC_PER_SEC) /* one that was asked for, and has not come */
#define SNOOZE_FILE "snooze" /* in the run directory: CLOCK_BOOTTIME, µs */
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

static void set_reboot_timer(Supervisor *s, uint64_t usec);

static void read_snooze(Supervisor *s) {
        _cleanup_free_ char *text = NULL;
        uint64_t until;

        if (read_file(s->run_dir_fd, SNOOZE_FILE, 32, &text, NULL) < 0)
                return;
        text[strcspn(text, "\n")] = '\0';
        if (parse_u64(text, &until) >= 0)
                s->snooze_until_usec = MIN(until, now_usec(CLOCK_BOOTTIME) + CONTROL_SNOOZE_MAX_USEC);
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
                .rebooted_sec = facts.mark.rebooted_sec,
        };
        memcpy(s->host_mark.boot_id, facts.boot_id, sizeof s->host_mark.boot_id);
        memcpy(s->host_mark.panic_id, facts.panic_id, sizeof s->host_mark.panic_id);
        if (!s->host_booted) /* the reboot is still to come, or was in vain */
                memcpy(s->host_mark.reboot_why, facts.mark.reboot_why, sizeof s->host_mark.reboot_why);
        if (*s->host_mark.reboot_why)
                set_reboot_timer(s, REBOOT_AGAIN_USEC);
        write_mark(s, MARK_TIMEOUT_USEC);
        read_snooze(s);
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
        sd_event_source_disable_unref(s->reboot_timer);
        s->reboot = action_free(s->reboot);
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

/* ---- the last resort ---- */

static void on_reboot_answer(void *userdata, ActionResult result, const char *why) {
        Supervisor *s = userdata;

        s->reboot = action_free(s->reboot);
        if (result != ACTION_OK)
                log_error("The host does not reboot: %s. Trying again.", why);
        set_reboot_timer(s, REBOOT_AGAIN_USEC); /* also one that is under way may hang */
}

static void reboot_now(Supervisor *s) {
        ActionDoor door = supervisor_action_door(s);
        json_t *request;
        int r;

        request = json_pack("{s:s}", "why", s->host_mark.reboot_why);
        r = request ? action_start(&s->reboot, s->event, &door, ACTION_REBOOT, request, on_reboot_answer, s)
                    : -ENOMEM;
        json_decref(request);
        if (r < 0) {
                log_error_errno(r, "Failed to ask for a reboot of the host, trying again: %m");
                set_reboot_timer(s, REBOOT_AGAIN_USEC);
        }
}

/* Why is durable before it happens: the next boot shall know. A disk that hangs is waited for for a moment. */
static void order_reboot(Supervisor *s, const char *why) {
        bool again = *s->host_mark.reboot_why;

        journal_log(JOURNAL_HOST_REBOOT, (const char *const[]) { "MPYD_PROBLEM", why, NULL },
                    "%s the host: %s.", again ? "Once more, rebooting" : "Rebooting", why);
        if (!again) {
                (void) history_add_event(s->history, journal_event_to_string(JOURNAL_HOST_REBOOT), why);
                (void) snprintf(s->host_mark.reboot_why, sizeof s->host_mark.reboot_why, "%s", why);
                s->host_mark.rebooted_sec = now_usec(CLOCK_REALTIME) / USEC_PER_SEC;
                write_mark(s, MARK_TIMEOUT_USEC);
        }
        reboot_now(s);
}

/* why: for history, journal and mark: a static word. */
static void try_reboot(Supervisor *s, const char *why) {
        HostRebootFacts f = {
                .enabled = s->config.host.reboot,
                .interval_usec = s->config.host.reboot_interval_usec,
                .min_uptime_usec = s->config.host.min_uptime_usec,
                .uptime_usec = now_usec(CLOCK_BOOTTIME),
                .realtime_sec = now_usec(CLOCK_REALTIME) / USEC_PER_SEC,
                /* one that did not come is tried again, whatever the budget says */
                .rebooted_sec = *s->host_mark.reboot_why ? 0 : s->host_mark.rebooted_sec,
                .snooze_until_usec = s->snooze_until_usec,
        };
        const char *reason;
        uint64_t wait = host_reboot_wait_usec(&f, &reason);
        char span[TIMESPAN_MAX], usec[24];

        s->reboot_reason = why;
        if (s->reboot)
                return;
        if (wait == 0) {
                order_reboot(s, why);
                return;
        }
        if (!s->reboot_told) {
                (void) snprintf(usec, sizeof usec, "%" PRIu64, wait);
                journal_log(JOURNAL_HOST_REBOOT_DELAYED,
                            (const char *const[]) {
                                    "MPYD_PROBLEM", why,
                                    "MPYD_DELAY_USEC", wait == UINT64_MAX ? NULL : usec, NULL,
                            },
                            "Only a reboot of the host would help (%s); it is not done%s%s: %s.", why,
                            wait == UINT64_MAX ? "" : " before ",
                            wait == UINT64_MAX ? "" : format_timespan(span, sizeof span, wait), reason);
        }
        s->reboot_told = true;
        if (wait != UINT64_MAX)
                set_reboot_timer(s, wait);
}

static int on_reboot_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;

        if (!s->reboot_reason) { /* asked for, and it neither came nor is needed any more */
                *s->host_mark.reboot_why = '\0';
                write_mark(s, 0);
                return 0;
        }
        try_reboot(s, s->reboot_reason);
        return 0;
}

static void set_reboot_timer(Supervisor *s, uint64_t usec) {
        int r = 0;

        if (!s->reboot_timer)
                r = sd_event_add_time(s->event, &s->reboot_timer, CLOCK_BOOTTIME, UINT64_MAX, USEC_PER_SEC,
                                      on_reboot_timer, s);
        if (r < 0)
                log_error_errno(r, "Failed to make a timer: %m");
        else
                supervisor_set_timer(s->reboot_timer, now_usec(CLOCK_BOOTTIME) + usec);
}

void supervisor_host_follow(Supervisor *s) {
        bool needed = s->life.state == LIFE_STUCK && !s->life.shutting_down;

        if (needed == !!s->reboot_reason)
                return;
        s->reboot_reason = NULL;
        s->reboot_told = false;
        if (needed)
                try_reboot(s, "board-stuck");
        else if (*s->host_mark.reboot_why)
                set_reboot_timer(s, REBOOT_AGAIN_USEC);
        else
                supervisor_set_timer(s->reboot_timer, UINT64_MAX);
}

void supervisor_host_reload(Supervisor *s) {
        s->reboot_told = false;
        if (s->reboot_reason)
                try_reboot(s, s->reboot_reason);
}

void supervisor_host_snooze(Supervisor *s, uint64_t usec, const char *who) {
        char text[32], span[TIMESPAN_MAX];
        int r;

        s->snooze_until_usec = usec == 0 ? 0 : now_usec(CLOCK_BOOTTIME) + MIN(usec, CONTROL_SNOOZE_MAX_USEC);
        (void) snprintf(text, sizeof text, "%" PRIu64 "\n", s->snooze_until_usec);
        r = replace_file(s->run_dir_fd, SNOOZE_FILE, text);
        if (r < 0)
                log_warning_errno(r, "Failed to keep it for a restart of mpyd, ignoring: %m");
        log_notice("%s: %s%s.", who, usec == 0 ? "the host may be rebooted again when it must" :
                                                 "the host is not rebooted for ",
                   usec == 0 ? "" : format_timespan(span, sizeof span, usec));
        supervisor_host_reload(s);
}
