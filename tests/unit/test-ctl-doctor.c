/* SPDX-License-Identifier: MIT */
/* mpyctl doctor: each check as a table of what is wrong with a machine on which all is well; and the host, read
 * from a recorded tree. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctl/doctor.h"
#include "util/io.h"
#include "util/parse.h"

/* ---- checks ---- */

static const char well[] =
        "{\"version\": \"1.0\", \"state\": \"running\", \"problem\": \"\", \"safe_mode_text\": \"\", \"strikes\": 0,"
        " \"config_warnings\": [], \"warnings\": [], \"confinement\": \"ok\", \"history_state\": \"ok\","
        " \"state_dir\": \"/var/lib/mpyd\"}";

static DoctorHost host_that_is_well(void) {
        return (DoctorHost) {
                .user = "pi", .user_in_group = 1, .unit_known = true, .unit_active = "active",
                .unit_file = "enabled", .unit_watchdog_usec = 15 * USEC_PER_SEC, .real_time = 1,
                .watchdogs = { { "watchdog0", "BCM2835", true, 14, true } }, .n_watchdogs = 1,
                .runtime_watchdog_usec = 14 * USEC_PER_SEC, .journal_persistent = 1, .clock_synced = 1,
                .memory_cgroup = 1, .disk_known = true, .disk_size = UINT64_C(16) << 30,
                .disk_free = UINT64_C(8) << 30, .inodes = 1000000, .inodes_free = 900000,
                .written_bytes = 50 << 20, .written_since_usec = USEC_PER_DAY,
        };
}

/* What the one member of the daemon's properties is instead, as JSON; or nothing, and the host differs. */
typedef struct Case {
        const char *member, *value;
        void (*change)(DoctorHost *h);
        const char *check;
        DoctorVerdict verdict;
        const char *text, *remedy; /* parts of them; NULL: there is none */
} Case;

static void no_watchdog(DoctorHost *h) { h->n_watchdogs = 0; }
static void unarmed(DoctorHost *h) { h->watchdogs[0].active = false; h->runtime_watchdog_usec = 0; }
static void fed_by_another(DoctorHost *h) { h->runtime_watchdog_usec = 0; }
static void second_one(DoctorHost *h) {
        h->watchdogs[1] = h->watchdogs[0];
        h->watchdogs[0].active = false;
        h->n_watchdogs = 2;
}
static void no_unit(DoctorHost *h) { h->unit_known = false; }
static void disabled(DoctorHost *h) { (void) strcpy(h->unit_file, "disabled"); }
static void dead(DoctorHost *h) { (void) strcpy(h->unit_active, "failed"); }
static void restarted(DoctorHost *h) { h->unit_restarts = 7; }
static void unit_unwatched(DoctorHost *h) { h->unit_watchdog_usec = 0; }
static void priority_unknown(DoctorHost *h) { h->real_time = -1; }
static void no_priority(DoctorHost *h) { h->real_time = 0; }
static void volatile_journal(DoctorHost *h) { h->journal_persistent = 0; }
static void no_journal(DoctorHost *h) { h->journal_persistent = -1; }
static void wrong_clock(DoctorHost *h) { h->clock_synced = 0; }
static void under_voltage(DoctorHost *h) {
        h->under_voltage = true;
        (void) strcpy(h->under_voltage_path, "/sys/class/hwmon/hwmon0/in0_lcrit_alarm");
}
static void disk_errors(DoctorHost *h) {
        h->disk_errors = 3;
        (void) strcpy(h->disk_error, "mmc0: timeout waiting for hardware interrupt");
}
static void log_unreadable(DoctorHost *h) { h->disk_errors = -1; }
static void little_space(DoctorHost *h) { h->disk_free = h->disk_size / 20; }
static void no_space(DoctorHost *h) { h->disk_free = h->disk_size / 200; }
static void no_inodes(DoctorHost *h) { h->inodes_free = 100; }
static void read_only(DoctorHost *h) { h->disk_read_only = true; }
static void no_inode_limit(DoctorHost *h) { h->inodes = h->inodes_free = 0; } /* btrfs */
static void much_written(DoctorHost *h) { h->written_bytes = UINT64_C(5) << 30; }
static void young(DoctorHost *h) { h->written_since_usec = USEC_PER_MINUTE; }
static void written_unknown(DoctorHost *h) { h->written_bytes = UINT64_MAX; }
static void no_memory_cgroup(DoctorHost *h) { h->memory_cgroup = 0; }
static void stranger(DoctorHost *h) { h->user_in_group = 0; }
static void no_group(DoctorHost *h) { h->user_in_group = -1; }
static void bad_flash(DoctorHost *h) {
        h->flash = 1;
        (void) strcpy(h->flash_why, "cannot be written by the board's user mpyd");
}
static void driven(DoctorHost *h) { h->n_driven = 1; (void) strcpy(h->driven, "GPIO17"); }

static const Case cases[] = {
        { "problem", "\"resets come too fast\"", NULL, "board", DOCTOR_PROBLEM, "resets come too fast", "mpyctl log" },
        { "safe_mode_text", "\"safe mode: its button was held\"", NULL, "board", DOCTOR_WARNING,
          "does not run: safe mode: its button", "mpyctl safe-mode leave" },
        { "strikes", "4", NULL, "board", DOCTOR_WARNING, "abnormally 4 times", "mpyctl history show" },
        { "config_warnings", "[\"mpyd.conf:2: x\", \"y\"]", NULL, "config", DOCTOR_WARNING,
          "mpyd.conf:2: x; and more", "mpyctl reload" },
        { "warnings", "[\"[led] line = GPIO99: no such line\"]", NULL, "panel", DOCTOR_WARNING, "GPIO99", "mpyctl pin" },
        { "confinement", "\"no Landlock\"", NULL, "confinement", DOCTOR_WARNING, "no Landlock", "newer kernel" },
        { "confinement", "\"\"", NULL, "confinement", DOCTOR_NOTE, "no board has told", NULL },
        { "history_state", "\"the disk is full\"", NULL, "history", DOCTOR_PROBLEM, "the disk is full", "df -h /var/lib" },
        { NULL, NULL, no_unit, "service", DOCTOR_NOTE, "not here", NULL },
        { NULL, NULL, disabled, "service", DOCTOR_WARNING, "disabled", "systemctl enable mpyd" },
        { NULL, NULL, dead, "service", DOCTOR_PROBLEM, "failed", NULL },
        { NULL, NULL, restarted, "service", DOCTOR_WARNING, "7 times", "journalctl -u mpyd" },
        { NULL, NULL, unit_unwatched, "service-watchdog", DOCTOR_WARNING, "WatchdogSec= is off", "systemctl revert" },
        { NULL, NULL, no_watchdog, "hardware-watchdog", DOCTOR_WARNING, "no hardware watchdog", "softdog" },
        { NULL, NULL, unarmed, "hardware-watchdog", DOCTOR_WARNING, "(BCM2835) is not armed", "hardware-watchdog.conf" },
        { NULL, NULL, fed_by_another, "hardware-watchdog", DOCTOR_FINE, "after 14s, fed by another program", NULL },
        { NULL, NULL, second_one, "hardware-watchdog", DOCTOR_FINE, "fed by systemd, and cannot be stopped", NULL },
        { NULL, NULL, priority_unknown, "priority", DOCTOR_NOTE, "cannot be told", NULL },
        { NULL, NULL, no_priority, "priority", DOCTOR_NOTE, "no real-time priority", "chrt" },
        { NULL, NULL, volatile_journal, "journal", DOCTOR_WARNING, "lost at each reboot", "/var/log/journal" },
        { NULL, NULL, no_journal, "journal", DOCTOR_NOTE, "no journal", NULL },
        { NULL, NULL, wrong_clock, "clock", DOCTOR_WARNING, "not synchronised", "timedatectl" },
        { NULL, NULL, under_voltage, "power", DOCTOR_PROBLEM, "hwmon0", "stronger supply" },
        { NULL, NULL, disk_errors, "disk-errors", DOCTOR_PROBLEM, "3 errors of the disk, the last one: mmc0", "card" },
        { NULL, NULL, log_unreadable, "disk-errors", DOCTOR_NOTE, "by you", "sudo mpyctl doctor" },
        { NULL, NULL, little_space, "disk-space", DOCTOR_WARNING, "nearly full", "du -xh" },
        { NULL, NULL, no_space, "disk-space", DOCTOR_PROBLEM, "nearly full", "du -xh" },
        { NULL, NULL, no_inodes, "disk-space", DOCTOR_PROBLEM, "0% of its inodes", "du -xh" },
        { NULL, NULL, no_inode_limit, "disk-space", DOCTOR_FINE, "8G are free", NULL },
        { NULL, NULL, read_only, "disk-space", DOCTOR_PROBLEM, "read-only", "dmesg" },
        { NULL, NULL, much_written, "disk-wear", DOCTOR_WARNING, "5G a day", "wears a card out" },
        { NULL, NULL, young, "disk-wear", DOCTOR_NOTE, "long enough", NULL },
        { NULL, NULL, written_unknown, "disk-wear", DOCTOR_NOTE, "root only", "sudo mpyctl doctor" },
        { NULL, NULL, no_memory_cgroup, "memory-limit", DOCTOR_WARNING, "limits no memory", "cgroup_enable=memory" },
        { NULL, NULL, stranger, "group", DOCTOR_WARNING, "pi may neither", "adduser pi mpyd" },
        { NULL, NULL, no_group, "group", DOCTOR_NOTE, "no group mpyd", NULL },
        { NULL, NULL, bad_flash, "flash", DOCTOR_WARNING, "cannot be written", "chown mpyd:mpyd" },
        { NULL, NULL, driven, "pins", DOCTOR_NOTE, "GPIO17", "safe-state" },
};

static json_t *properties_of(const Case *c) {
        json_t *p = json_loads(well, 0, NULL);

        assert_non_null(p);
        if (c && c->member) {
                json_t *v = json_loads(c->value, JSON_DECODE_ANY, NULL);

                assert_non_null(v);
                assert_non_null(json_object_get(p, c->member));
                json_object_set_new(p, c->member, v);
        }
        return p;
}

static void check(const Case *c) {
        DoctorFinding found[DOCTOR_FINDINGS_MAX];
        json_t *p = properties_of(c);
        DoctorFacts f = { .properties = p, .host = host_that_is_well() };
        bool seen = false;
        size_t n;

        if (c && c->change)
                c->change(&f.host);
        n = doctor_examine(&f, found);
        for (size_t i = 0; i < n; i++) {
                const DoctorFinding *d = &found[i];
                bool this_one = c && streq(d->check, c->check);

                seen |= this_one;
                assert_string_not_equal(d->text, "");
                assert_int_not_equal(d->text[strlen(d->text) - 1], '.');
                if (d->verdict >= DOCTOR_WARNING && !(this_one && !c->remedy))
                        assert_string_not_equal(d->remedy, ""); /* nobody is left alone with it */
                if (!this_one && d->verdict != DOCTOR_FINE && !(c && c->change == no_unit))
                        fail_msg("%s is not fine: %s", d->check, d->text);
                if (!this_one)
                        continue;
                if (d->verdict != c->verdict || !strstr(d->text, c->text) ||
                    (c->remedy ? !strstr(d->remedy, c->remedy) : *d->remedy != '\0'))
                        fail_msg("%s: %s, \"%s\" → \"%s\"", d->check, doctor_verdict_to_string(d->verdict), d->text,
                                 d->remedy);
        }
        assert_true(seen || !c);
        json_decref(p);
}

static void test_all_is_well(void **state) {
        check(NULL);
}

static void test_each_check(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                check(&cases[i]);
}

/* A daemon that does not run is one problem, not twenty. */
static void test_without_a_daemon(void **state) {
        DoctorFinding found[DOCTOR_FINDINGS_MAX];
        DoctorFacts f = { .host = host_that_is_well() };
        unsigned n_problems = 0;
        size_t n;

        f.host.written_bytes = UINT64_MAX;
        n = doctor_examine(&f, found);
        for (size_t i = 0; i < n; i++)
                n_problems += found[i].verdict >= DOCTOR_WARNING;
        assert_int_equal(n_problems, 1);
        assert_int_equal(found[0].verdict, DOCTOR_PROBLEM);
}

/* ---- the host ---- */

static char tree[] = "/tmp/mpyd-doctor-XXXXXX";

static void put(const char *path, const char *text) {
        char full[256], *slash;

        (void) snprintf(full, sizeof full, "%s/%s", tree, path);
        slash = strrchr(full, '/');
        *slash = '\0';
        assert_int_equal(mkdir_parents(full, 0755), 0);
        *slash = '/';
        if (text)
                assert_int_equal(write_file_atomic(AT_FDCWD, full, text, strlen(text), 0644), 0);
}

static void test_host(void **state) {
        _cleanup_close_ int root = -EBADF;
        char *state_dir = NULL;
        DoctorHost h;

        assert_non_null(mkdtemp(tree));
        root = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(asprintf(&state_dir, "%s/state", tree) > 0);

        doctor_read_host(root, state_dir, NULL, &h);
        assert_int_equal(h.n_watchdogs, 0);
        assert_int_equal(h.journal_persistent, -1);
        assert_int_equal(h.memory_cgroup, 0);
        assert_false(h.disk_known);
        assert_true(h.written_bytes == UINT64_MAX);

        put("sys/class/watchdog/watchdog0/identity", "Broadcom BCM2835 Watchdog timer\n");
        put("sys/class/watchdog/watchdog0/state", "active\n");
        put("sys/class/watchdog/watchdog0/timeout", "15\n");
        put("sys/class/watchdog/watchdog0/nowayout", "1\n");
        put("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
        put("run/systemd/journal/socket", "");
        put("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
        put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
        put("state/x", "");
        doctor_read_host(root, state_dir, NULL, &h);
        assert_int_equal(h.n_watchdogs, 1);
        assert_string_equal(h.watchdogs[0].identity, "Broadcom BCM2835 Watchdog timer");
        assert_true(h.watchdogs[0].active && h.watchdogs[0].nowayout);
        assert_int_equal(h.watchdogs[0].timeout_sec, 15);
        assert_int_equal(h.memory_cgroup, 1);
        assert_int_equal(h.journal_persistent, 0);
        assert_true(h.under_voltage && h.disk_known && h.disk_size > 0);

        put("var/log/journal/x", "");
        put("sys/fs/cgroup/cgroup.controllers", "cpu memory_recursiveprot pids\n");
        doctor_read_host(root, state_dir, NULL, &h);
        assert_int_equal(h.journal_persistent, 1);
        assert_int_equal(h.memory_cgroup, 0); /* a word, not a part of one */
        free(state_dir);
}

/* What daemon and board have really written, as the kernel counts it. */
static void test_wear(void **state) {
        _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        json_t *p = json_pack("{s:I, s:I, s:I}", "pid", (json_int_t) getpid(), "board_pid", (json_int_t) 0,
                              "started_at", (json_int_t) 1);
        DoctorHost h;

        doctor_read_host(root, "/tmp", p, &h);
        assert_true(h.written_bytes < UINT64_C(1) << 40);
        assert_true(h.written_since_usec > USEC_PER_DAY);
        json_decref(p);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int clean(void **state) {
        (void) nftw(tree, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_is_well),
                cmocka_unit_test(test_each_check),
                cmocka_unit_test(test_without_a_daemon),
                cmocka_unit_test_teardown(test_host, clean),
                cmocka_unit_test(test_wear),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
