/* SPDX-License-Identifier: MIT */
/* What mpyctl doctor sees of the host: /proc, /sys, systemd on the system bus, the kernel's lines in the journal. */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <regex.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/doctor.h"
#include "host/host.h"
#include "util/io.h"
#include "util/parse.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define UNIT "/org/freedesktop/systemd1/unit/mpyd_2eservice"
#define BUS_USEC (5 * USEC_PER_SEC)
#define KERNEL_LINES_MAX 20000
/* Of the device or of the file system on it; not that it was mounted. */
#define DISK_ERROR "I/O error|mmc[0-9]: (error|timeout|.*(CRC|card.*removed))|EXT4-fs error|critical medium error"

/* ---- systemd ---- */

static void get_string(sd_bus *bus, const char *interface, const char *name, char *buf, size_t size) {
        _cleanup_free_ char *text = NULL;

        if (sd_bus_get_property_string(bus, SYSTEMD, UNIT, interface, name, NULL, &text) >= 0)
                (void) snprintf(buf, size, "%s", text);
}

static void ask_systemd(DoctorHost *h) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        char load[24] = "";
        uint32_t pid = 0;
        int policy;

        h->runtime_watchdog_usec = UINT64_MAX;
        h->real_time = -1;
        if (sd_bus_open_system(&bus) < 0)
                return;
        (void) sd_bus_set_method_call_timeout(bus, BUS_USEC);
        (void) sd_bus_get_property_trivial(bus, SYSTEMD, "/org/freedesktop/systemd1", SYSTEMD ".Manager",
                                           "RuntimeWatchdogUSec", NULL, 't', &h->runtime_watchdog_usec);
        get_string(bus, SYSTEMD ".Unit", "LoadState", load, sizeof load);
        if (!streq(load, "loaded"))
                return;
        h->unit_known = true;
        get_string(bus, SYSTEMD ".Unit", "ActiveState", h->unit_active, sizeof h->unit_active);
        get_string(bus, SYSTEMD ".Unit", "UnitFileState", h->unit_file, sizeof h->unit_file);
        (void) sd_bus_get_property_trivial(bus, SYSTEMD, UNIT, SYSTEMD ".Service", "WatchdogUSec", NULL, 't',
                                           &h->unit_watchdog_usec);
        (void) sd_bus_get_property_trivial(bus, SYSTEMD, UNIT, SYSTEMD ".Service", "NRestarts", NULL, 'u',
                                           &h->unit_restarts);
        (void) sd_bus_get_property_trivial(bus, SYSTEMD, UNIT, SYSTEMD ".Service", "MainPID", NULL, 'u', &pid);
        policy = pid > 0 ? sched_getscheduler((pid_t) pid) : -1;
        h->real_time = policy < 0 ? -1 : (policy & ~SCHED_RESET_ON_FORK) == SCHED_RR;
}

/* ---- the kernel's log ---- */

static void take_line(sd_journal *j, const regex_t *pattern, DoctorHost *h) {
        const void *data;
        size_t size;
        char line[sizeof h->disk_error];

        if (sd_journal_get_data(j, "MESSAGE", &data, &size) < 0 || size < 8)
                return;
        (void) snprintf(line, sizeof line, "%.*s", (int) MIN(size - 8, sizeof line - 1), (const char *) data + 8);
        if (regexec(pattern, line, 0, NULL, 0) != 0)
                return;
        h->disk_errors++;
        memcpy(h->disk_error, line, sizeof line);
}

/* Of this boot, newest last. */
static void read_kernel_log(DoctorHost *h) {
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        char match[16 + SD_ID128_STRING_MAX];
        sd_id128_t boot;
        regex_t pattern;
        int n = 0;

        h->disk_errors = -1;
        if (sd_id128_get_boot(&boot) < 0 || sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM) < 0 ||
            regcomp(&pattern, DISK_ERROR, REG_EXTENDED | REG_NOSUB) != 0)
                return;
        (void) snprintf(match, sizeof match, "_BOOT_ID=" SD_ID128_FORMAT_STR, SD_ID128_FORMAT_VAL(boot));
        if (sd_journal_add_match(j, "_TRANSPORT=kernel", 0) >= 0 && sd_journal_add_match(j, match, 0) >= 0)
                for (; n < KERNEL_LINES_MAX && sd_journal_next(j) > 0; n++) {
                        h->disk_errors = MAX(h->disk_errors, 0);
                        take_line(j, &pattern, h);
                }
        regfree(&pattern);
}

/* ---- files ---- */

static void look_at_disk(const char *state_dir, DoctorHost *h) {
        struct statvfs v;

        if (statvfs(state_dir, &v) < 0)
                return;
        h->disk_known = true;
        h->disk_read_only = v.f_flag & ST_RDONLY;
        h->disk_size = (uint64_t) v.f_blocks * v.f_frsize;
        h->disk_free = (uint64_t) v.f_bavail * v.f_frsize;
        h->inodes = v.f_files;
        h->inodes_free = v.f_favail;
}

static void look_at_flash(const char *state_dir, DoctorHost *h) {
        struct passwd *pw = getpwnam("mpyd");
        _cleanup_free_ char *path = NULL;
        struct stat st;

        h->flash = -1;
        if (asprintf(&path, "%s/flash", state_dir) < 0) {
                path = NULL;
                return;
        }
        if (stat(path, &st) < 0) {
                h->flash = errno == ENOENT ? 2 : -1;
                (void) snprintf(h->flash_why, sizeof h->flash_why, "%s", strerrordesc_np(errno));
        } else if (!pw)
                (void) snprintf(h->flash_why, sizeof h->flash_why, "there is no user mpyd");
        else if (st.st_uid != pw->pw_uid && (st.st_gid != pw->pw_gid || !(st.st_mode & S_IWGRP))) {
                h->flash = 1;
                (void) snprintf(h->flash_why, sizeof h->flash_why, "cannot be written by the board's user mpyd");
        } else if (!(st.st_mode & S_ISGID) || !(st.st_mode & S_IWGRP)) {
                h->flash = 1;
                (void) snprintf(h->flash_why, sizeof h->flash_why, "cannot be shared: it is not group-writable with "
                                                                   "the setgid bit");
        } else
                h->flash = 0;
}

static bool has_word(const char *text, const char *word) {
        size_t n = strlen(word);

        for (const char *p = text; (p = strstr(p, word)); p += n)
                if ((p == text || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
                        return true;
        return false;
}

static int has_memory_cgroup(int root_fd) {
        _cleanup_free_ char *text = NULL;

        return read_file(root_fd, "sys/fs/cgroup/cgroup.controllers", 4096, &text, NULL) >= 0 &&
               has_word(text, "memory");
}

static int journal_is_persistent(int root_fd) {
        if (faccessat(root_fd, "run/systemd/journal", F_OK, 0) < 0)
                return -1;
        return faccessat(root_fd, "var/log/journal", F_OK, 0) == 0;
}

/* write_bytes of /proc/PID/io: what went to the disk, not to its cache alone. */
static bool add_written(int root_fd, uint64_t pid, uint64_t *total) {
        _cleanup_free_ char *text = NULL;
        unsigned long long n;
        char path[48];
        const char *at;

        (void) snprintf(path, sizeof path, "proc/%u/io", (unsigned) pid);
        if (pid == 0 || read_file(root_fd, path, 4096, &text, NULL) < 0)
                return false;
        at = strstr(text, "\nwrite_bytes: ");
        if (!at || sscanf(at, "\nwrite_bytes: %llu", &n) != 1)
                return false;
        *total += n;
        return true;
}

static void look_at_wear(int root_fd, const json_t *properties, DoctorHost *h) {
        uint64_t started = property_u64(properties, "started_at"), now = now_usec(CLOCK_REALTIME), total = 0;

        h->written_bytes = UINT64_MAX;
        if (!add_written(root_fd, property_u64(properties, "pid"), &total))
                return;
        (void) add_written(root_fd, property_u64(properties, "board_pid"), &total);
        h->written_bytes = total;
        h->written_since_usec = started < now ? now - started : 0;
}

static void look_at_user(DoctorHost *h) {
        struct passwd *pw = getpwuid(geteuid());
        struct group *gr = getgrnam("mpyd");
        gid_t groups[256];
        int n = getgroups(ELEMENTSOF(groups), groups);

        h->root = geteuid() == 0;
        (void) snprintf(h->user, sizeof h->user, "%s", pw ? pw->pw_name : "you");
        h->user_in_group = gr ? getegid() == gr->gr_gid : -1;
        for (int i = 0; gr && i < n; i++)
                h->user_in_group |= groups[i] == gr->gr_gid;
}

void doctor_read_watchdogs(int root_fd, DoctorHost *ret) {
        ask_systemd(ret);
        ret->n_watchdogs = host_facts_watchdogs(root_fd, ret->watchdogs);
}

void doctor_read_host(int root_fd, const char *state_dir, const json_t *properties, DoctorHost *ret) {
        DoctorHost h = {};

        look_at_user(&h);
        doctor_read_watchdogs(root_fd, &h);
        h.journal_persistent = journal_is_persistent(root_fd);
        h.clock_synced = host_clock_synced();
        h.memory_cgroup = has_memory_cgroup(root_fd);
        h.under_voltage = host_facts_under_voltage(root_fd, h.under_voltage_path);
        read_kernel_log(&h);
        look_at_disk(state_dir, &h);
        look_at_flash(state_dir, &h);
        look_at_wear(root_fd, properties, &h);
        *ret = h;
}
