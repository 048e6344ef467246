/* SPDX-License-Identifier: MIT */
/* What is fine and what is not, and the command that mends it. */
#include "ctl/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "ctl/bus.h"
#include "util/parse.h"

#define FREE_PERCENT_LOW 10u
#define FREE_PERCENT_OUT 2u
#define WEAR_BYTES_PER_DAY (UINT64_C(2) << 30) /* a card of 16G, each of its blocks once a week */
#define WEAR_AGE_USEC USEC_PER_HOUR            /* younger than that it tells nothing */
#define RESTARTS_MANY 3u

static void _printf_(3, 4) say(DoctorFinding *d, DoctorVerdict v, const char *format, ...) {
        va_list ap;

        d->verdict = v;
        va_start(ap, format);
        (void) vsnprintf(d->text, sizeof d->text, format, ap);
        va_end(ap);
}

static void _printf_(2, 3) mend(DoctorFinding *d, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(d->remedy, sizeof d->remedy, format, ap);
        va_end(ap);
}

static const char *span(char buf[static TIMESPAN_MAX], uint64_t usec) {
        return format_timespan(buf, TIMESPAN_MAX, usec);
}

/* ---- the daemon and its board ---- */

static void check_daemon(const DoctorFacts *f, DoctorFinding *d) {
        if (f->properties) {
                say(d, DOCTOR_FINE, "mpyd %s runs", property_string(f->properties, "version"));
                return;
        }
        say(d, DOCTOR_PROBLEM, "mpyd does not run");
        mend(d, "systemctl start mpyd; why it ended: journalctl -u mpyd");
}

static void check_board(const DoctorFacts *f, DoctorFinding *d) {
        const char *problem = property_string(f->properties, "problem");
        const char *safe_mode = property_string(f->properties, "safe_mode_text");

        if (!f->properties)
                say(d, DOCTOR_NOTE, "the board does not run either");
        else if (*problem) {
                say(d, DOCTOR_PROBLEM, "%s", problem);
                mend(d, "mpyctl log says what went wrong");
        } else if (*safe_mode) {
                say(d, DOCTOR_WARNING, "the program does not run: %s", safe_mode);
                mend(d, "look at mpyctl history show, mend the program, then: mpyctl safe-mode leave");
        } else if (property_u64(f->properties, "strikes") > 0) {
                say(d, DOCTOR_WARNING, "the program has ended abnormally %" PRIu64 " times since it last ran stably",
                    property_u64(f->properties, "strikes"));
                mend(d, "mpyctl history show");
        } else
                say(d, DOCTOR_FINE, "the board is %s", property_string(f->properties, "state"));
}

static void check_config(const DoctorFacts *f, DoctorFinding *d) {
        const json_t *lines = json_object_get(f->properties, "config_warnings");
        size_t n = json_array_size(lines);

        if (!f->properties)
                say(d, DOCTOR_NOTE, "mpyd.conf is checked by a running mpyd");
        else if (n == 0)
                say(d, DOCTOR_FINE, "mpyd.conf has no mistakes");
        else {
                say(d, DOCTOR_WARNING, "%s%s", json_string_value(json_array_get(lines, 0)) ?: "?",
                    n > 1 ? "; and more (mpyctl status)" : "");
                mend(d, "correct it, then: mpyctl reload");
        }
}

static void check_lines(const DoctorFacts *f, DoctorFinding *d) {
        const json_t *lines = json_object_get(f->properties, "warnings");
        size_t n = json_array_size(lines);

        if (!f->properties)
                say(d, DOCTOR_NOTE, "buttons and LED are mpyd's, which does not run");
        else if (n == 0)
                say(d, DOCTOR_FINE, "buttons and LED are there, as far as they are configured");
        else {
                say(d, DOCTOR_WARNING, "%s%s", json_string_value(json_array_get(lines, 0)) ?: "?",
                    n > 1 ? "; and more (mpyctl status)" : "");
                mend(d, "mpyctl pin lists the lines and who has them");
        }
}

static void check_confinement(const DoctorFacts *f, DoctorFinding *d) {
        const char *c = property_string(f->properties, "confinement");

        if (!*c)
                say(d, DOCTOR_NOTE, "no board has told yet how it is confined");
        else if (streq(c, "ok"))
                say(d, DOCTOR_FINE, "scripts are confined");
        else {
                say(d, DOCTOR_WARNING, "scripts are not confined as they should be: %s", c);
                mend(d, "a newer kernel has it; on a Raspberry Pi: apt full-upgrade");
        }
}

static void check_history(const DoctorFacts *f, DoctorFinding *d) {
        const char *state = property_string(f->properties, "history_state");

        if (!f->properties)
                say(d, DOCTOR_NOTE, "the history is kept by mpyd, which does not run");
        else if (streq(state, "ok"))
                say(d, DOCTOR_FINE, "the history is on the disk");
        else {
                say(d, DOCTOR_PROBLEM, "the history is not on the disk: %s", state);
                mend(d, "df -h %s; dmesg", property_string(f->properties, "state_dir"));
        }
}

/* ---- what brings it back ---- */

static void check_service(const DoctorFacts *f, DoctorFinding *d) {
        const DoctorHost *h = &f->host;

        if (!h->unit_known)
                say(d, DOCTOR_NOTE, "mpyd.service is not here, or systemd does not answer");
        else if (!streq(h->unit_file, "enabled")) {
                say(d, DOCTOR_WARNING, "mpyd.service is %s: it does not start when the host boots",
                    *h->unit_file ? h->unit_file : "not enabled");
                mend(d, "sudo systemctl enable mpyd");
        } else if (streq(h->unit_active, "active") && h->unit_restarts >= RESTARTS_MANY) {
                say(d, DOCTOR_WARNING, "systemd has restarted mpyd %" PRIu32 " times since it was started",
                    h->unit_restarts);
                mend(d, "journalctl -u mpyd; mpyctl history --only daemon-start");
        } else
                say(d, streq(h->unit_active, "active") ? DOCTOR_FINE : DOCTOR_PROBLEM,
                    "mpyd.service is enabled and %s", h->unit_active);
}

static void check_unit_watchdog(const DoctorFacts *f, DoctorFinding *d) {
        char buf[TIMESPAN_MAX];

        if (!f->host.unit_known)
                say(d, DOCTOR_NOTE, "nobody watches an mpyd that is not run by systemd");
        else if (f->host.unit_watchdog_usec == 0 || f->host.unit_watchdog_usec == UINT64_MAX) {
                say(d, DOCTOR_WARNING, "systemd does not watch mpyd: WatchdogSec= is off");
                mend(d, "sudo systemctl revert mpyd && sudo systemctl restart mpyd");
        } else
                say(d, DOCTOR_FINE, "systemd restarts an mpyd that says nothing for %s",
                    span(buf, f->host.unit_watchdog_usec));
}

/* Some 10 ms: what the kernel lets another program go on for. */
static void check_priority(const DoctorFacts *f, DoctorFinding *d) {
        if (f->host.real_time < 0)
                say(d, DOCTOR_NOTE, "mpyd's priority cannot be told");
        else if (f->host.real_time)
                say(d, DOCTOR_FINE, "watchdogs bite in time on a busy machine too");
        else {
                say(d, DOCTOR_NOTE, "mpyd has no real-time priority: on a busy machine watchdogs may bite some 10 ms late");
                mend(d, "journalctl -u mpyd says why chrt failed (a container without CAP_SYS_NICE, a kernel with RT_GROUP_SCHED)");
        }
}

static const HostWatchdog *armed_watchdog(const DoctorHost *h) {
        for (size_t i = 0; i < h->n_watchdogs; i++)
                if (h->watchdogs[i].active)
                        return &h->watchdogs[i];
        return NULL;
}

/* What the kernel says counts; who holds it can only be guessed from what PID 1 says. */
static void check_hardware_watchdog(const DoctorFacts *f, DoctorFinding *d) {
        const DoctorHost *h = &f->host;
        const HostWatchdog *w = armed_watchdog(h);
        bool systemd = h->runtime_watchdog_usec != UINT64_MAX && h->runtime_watchdog_usec > 0;

        if (h->n_watchdogs == 0) {
                say(d, DOCTOR_WARNING, "this machine has no hardware watchdog: a kernel that hangs stays so");
                mend(d, "on a Raspberry Pi it is there by default; elsewhere: modprobe softdog is better than none");
        } else if (!w) {
                say(d, DOCTOR_WARNING, "the hardware watchdog (%s) is not armed: a kernel that hangs stays so",
                    h->watchdogs[0].identity);
                mend(d, "sudo install -Dm644 -t /etc/systemd/system.conf.d "
                        MPYD_DATADIR "/hardware-watchdog.conf && sudo systemctl daemon-reexec");
        } else
                say(d, DOCTOR_FINE, "the hardware watchdog (%s) resets the host after %us, %s%s", w->identity,
                    (unsigned) w->timeout_sec, systemd ? "fed by systemd" : "fed by another program",
                    w->nowayout ? ", and cannot be stopped" : "");
}

/* ---- the host ---- */

static void check_journal(const DoctorFacts *f, DoctorFinding *d) {
        if (f->host.journal_persistent < 0)
                say(d, DOCTOR_NOTE, "there is no journal here");
        else if (f->host.journal_persistent)
                say(d, DOCTOR_FINE, "the journal is kept over a reboot");
        else {
                say(d, DOCTOR_WARNING, "the journal is lost at each reboot");
                mend(d, "sudo mkdir -p /var/log/journal && sudo systemctl restart systemd-journald "
                        "(mpyctl history is kept in any case)");
        }
}

static void check_clock(const DoctorFacts *f, DoctorFinding *d) {
        if (f->host.clock_synced < 0)
                say(d, DOCTOR_NOTE, "whether the clock is right cannot be told");
        else if (f->host.clock_synced)
                say(d, DOCTOR_FINE, "the clock is synchronised");
        else {
                say(d, DOCTOR_WARNING, "the clock is not synchronised; times in the history have a question mark");
                mend(d, "timedatectl set-ntp true; timedatectl timesync-status");
        }
}

static void check_power(const DoctorFacts *f, DoctorFinding *d) {
        if (!f->host.under_voltage) {
                say(d, DOCTOR_FINE, "no under-voltage has been seen since the host booted");
                return;
        }
        say(d, DOCTOR_PROBLEM, "the supply's voltage is or was too low (%s)", f->host.under_voltage_path);
        mend(d, "a stronger supply or a shorter cable; it destroys SD cards");
}

static void check_disk_errors(const DoctorFacts *f, DoctorFinding *d) {
        if (f->host.disk_errors < 0) {
                say(d, DOCTOR_NOTE, "the kernel's log cannot be read%s", f->host.root ? "" : " by you");
                if (!f->host.root)
                        mend(d, "sudo mpyctl doctor");
        } else if (f->host.disk_errors == 0)
                say(d, DOCTOR_FINE, "the kernel has told no errors of the disk in this boot");
        else {
                say(d, DOCTOR_PROBLEM, "the kernel has told %d errors of the disk, the last one: %s",
                    f->host.disk_errors, f->host.disk_error);
                mend(d, "copy what you need now (mpyctl cp -r : DIR), then replace the card");
        }
}

static unsigned percent(uint64_t part, uint64_t whole) {
        return whole == 0 ? 100 : (unsigned) (part / (whole / 100 + 1));
}

static void check_space(const DoctorFacts *f, DoctorFinding *d) {
        const DoctorHost *h = &f->host;
        unsigned space = percent(h->disk_free, h->disk_size), inodes = percent(h->inodes_free, h->inodes);
        char buf[TIMESPAN_MAX];

        if (!h->disk_known)
                say(d, DOCTOR_NOTE, "the state directory's disk cannot be looked at");
        else if (h->disk_read_only) {
                say(d, DOCTOR_PROBLEM, "the state directory's disk is read-only: history goes nowhere");
                mend(d, "dmesg says why; mount -o remount,rw, or fsck(8)");
        } else if (MIN(space, inodes) < FREE_PERCENT_LOW) {
                say(d, MIN(space, inodes) < FREE_PERCENT_OUT ? DOCTOR_PROBLEM : DOCTOR_WARNING,
                    "the state directory's disk is nearly full: %u%% of its space and %u%% of its inodes are free",
                    space, inodes);
                mend(d, "sudo du -xh / | sort -h | tail; journalctl --vacuum-size=50M");
        } else
                say(d, DOCTOR_FINE, "%s are free on the state directory's disk (%u%%)",
                    format_size(buf, sizeof buf, h->disk_free), space);
}

static void check_wear(const DoctorFacts *f, DoctorFinding *d) {
        const DoctorHost *h = &f->host;
        uint64_t per_day;
        char size[TIMESPAN_MAX];
        int64_t rows = 0;

        if (f->totals)
                rows = history_totals_get(f->totals, "resets");
        if (!f->properties) {
                say(d, DOCTOR_NOTE, "nothing is written by an mpyd that does not run");
                return;
        }
        if (h->written_bytes == UINT64_MAX) {
                say(d, DOCTOR_NOTE, "how much is written to the disk is told to root only");
                mend(d, "sudo mpyctl doctor");
                return;
        }
        if (h->written_since_usec < WEAR_AGE_USEC) {
                say(d, DOCTOR_NOTE, "mpyd has not run for long enough to tell how much it writes to the disk");
                return;
        }
        per_day = (uint64_t) ((double) h->written_bytes * USEC_PER_DAY / (double) h->written_since_usec);
        say(d, per_day > WEAR_BYTES_PER_DAY ? DOCTOR_WARNING : DOCTOR_FINE,
            "daemon and board write %s a day to the disk (%" PRIi64 " resets stored so far)",
            format_size(size, sizeof size, per_day), rows);
        if (per_day > WEAR_BYTES_PER_DAY)
                mend(d, "that wears a card out: let the program write less often, or to a USB disk");
}

static void check_memory_cgroup(const DoctorFacts *f, DoctorFinding *d) {
        if (f->host.memory_cgroup) {
                say(d, DOCTOR_FINE, "the kernel can limit the board's memory");
                return;
        }
        say(d, DOCTOR_WARNING, "the kernel limits no memory: a program that eats it all takes the host with it");
        mend(d, "on a Raspberry Pi add cgroup_enable=memory to the line in /boot/firmware/cmdline.txt, then reboot");
}

static void check_group(const DoctorFacts *f, DoctorFinding *d) {
        if (f->host.root)
                say(d, DOCTOR_FINE, "you are root: everything is allowed");
        else if (f->host.user_in_group < 0)
                say(d, DOCTOR_NOTE, "there is no group mpyd: only root changes things");
        else if (f->host.user_in_group)
                say(d, DOCTOR_FINE, "%s may use the REPL and the board's files", f->host.user);
        else {
                say(d, DOCTOR_WARNING, "%s may neither use the REPL nor write the board's files", f->host.user);
                mend(d, "sudo adduser %s mpyd, then log in again", f->host.user);
        }
}

static void check_flash(const DoctorFacts *f, DoctorFinding *d) {
        if (f->host.flash < 0)
                say(d, DOCTOR_NOTE, "the flash directory cannot be looked at: %s", f->host.flash_why);
        else if (f->host.flash == 0)
                say(d, DOCTOR_FINE, "the flash directory has the right owner and mode");
        else if (f->host.flash == 2) {
                say(d, DOCTOR_WARNING, "there is no flash directory");
                mend(d, "mpyd makes it when it starts; the package's: sudo apt reinstall mpyd");
        } else {
                say(d, DOCTOR_WARNING, "the flash directory %s", f->host.flash_why);
                mend(d, "sudo chown mpyd:mpyd /var/lib/mpyd/flash && sudo chmod 2775 /var/lib/mpyd/flash");
        }
}

static void check_pins(const DoctorFacts *f, DoctorFinding *d) {
        if (!f->properties)
                say(d, DOCTOR_NOTE, "GPIO lines are listed by mpyd, which does not run");
        else if (f->host.n_driven == 0)
                say(d, DOCTOR_FINE, "no GPIO line is driven without somebody who holds it");
        else {
                say(d, DOCTOR_NOTE, "nobody holds these GPIO lines, and the kernel drives them all the same: %s",
                    f->host.driven);
                mend(d, "[pins] safe-state in mpyd.conf sets lines at each hard reset");
        }
}

static const struct {
        const char *name;
        void (*check)(const DoctorFacts *f, DoctorFinding *d);
} checks[] = {
        { "daemon", check_daemon },
        { "board", check_board },
        { "config", check_config },
        { "service", check_service },
        { "service-watchdog", check_unit_watchdog },
        { "priority", check_priority },
        { "hardware-watchdog", check_hardware_watchdog },
        { "history", check_history },
        { "journal", check_journal },
        { "clock", check_clock },
        { "power", check_power },
        { "disk-errors", check_disk_errors },
        { "disk-space", check_space },
        { "disk-wear", check_wear },
        { "memory-limit", check_memory_cgroup },
        { "confinement", check_confinement },
        { "flash", check_flash },
        { "group", check_group },
        { "panel", check_lines },
        { "pins", check_pins },
};

size_t doctor_examine(const DoctorFacts *f, DoctorFinding ret[static DOCTOR_FINDINGS_MAX]) {
        _Static_assert(ELEMENTSOF(checks) <= DOCTOR_FINDINGS_MAX, "room for each");

        for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
                ret[i] = (DoctorFinding) { .check = checks[i].name };
                checks[i].check(f, &ret[i]);
        }
        return ELEMENTSOF(checks);
}

DoctorFinding doctor_examine_one(const DoctorFacts *f, const char *check) {
        DoctorFinding d = { .check = check };

        for (size_t i = 0; i < ELEMENTSOF(checks); i++)
                if (streq(checks[i].name, check))
                        checks[i].check(f, &d);
        return d;
}

const char *doctor_verdict_to_string(DoctorVerdict v) {
        static const char *const names[DOCTOR_VERDICT_MAX] = {
                [DOCTOR_FINE] = "fine", [DOCTOR_NOTE] = "note",
                [DOCTOR_WARNING] = "warning", [DOCTOR_PROBLEM] = "problem",
        };

        return v >= 0 && v < DOCTOR_VERDICT_MAX ? names[v] : NULL;
}
