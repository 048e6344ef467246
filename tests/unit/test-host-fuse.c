/* SPDX-License-Identifier: MIT */
/* Why the host booted: recorded trees of /proc and /sys, the host mark, and the conclusion as a table. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/reset-evidence.h"
#include "host/host-fuse.h"
#include "util/io.h"

#define BOOT_1 "11111111111111111111111111111111"
#define BOOT_2 "22222222222222222222222222222222"

/* ---- the conclusion ---- */

typedef struct Case {
        const char *name;
        HostFacts facts;
        RunStart run;
        ResetCause cause;
        ResetReason reason;
        const char *detail;   /* part of the sentence */
        const char *findings; /* "finding:confidence …" */
} Case;

#define OLD_RUN { .state = HOST_MARK_RUNNING, .boot_id = BOOT_1 }
#define NEW_BOOT { .cause = RESET_CAUSE_PWRON, .reason = RESET_REASON_POWER_ON, .detail = "run mark's" }
#define PANIC .panic_id = "dmesg-ramoops-0@5.0", .panic_path = "/sys/fs/pstore/dmesg-ramoops-0"
#define CARDRESET .bootstatus = 0x20, .bootstatus_path = "/sys/class/watchdog/watchdog0/bootstatus"

static const Case cases[] = {
        { "first run ever", { .boot_id = BOOT_2 }, NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON,
          "first start since the host booted", "first-run:certain" },
        { "clean", { .boot_id = BOOT_2, .mark = { .state = HOST_MARK_STOPPED, .boot_id = BOOT_1 } },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "a shutdown in good order",
          "clean-stop:certain" },
        { "clean, and the watchdog ended a reboot that hung",
          { .boot_id = BOOT_2, .mark = { .state = HOST_MARK_STOPPED, .boot_id = BOOT_1 }, CARDRESET },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "a shutdown in good order",
          "clean-stop:certain host-watchdog:certain" },
        { "clean on a Pi, whose reboot uses the watchdog",
          { .boot_id = BOOT_2, .mark = { .state = HOST_MARK_STOPPED, .boot_id = BOOT_1 },
            .rsts_known = true, .rsts = 0x20 },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "a shutdown in good order",
          "clean-stop:certain firmware-reset:possible" },
        { "mpyd asked for a reboot",
          { .boot_id = BOOT_2,
            .mark = { .state = HOST_MARK_STOPPED, .boot_id = BOOT_1, .reboot_why = "board-stuck" } },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_SOFTWARE, "a reboot that mpyd asked for (board-stuck)",
          "ordered-reboot:certain" },
        { "mpyd asked for a reboot, and it hung",
          { .boot_id = BOOT_2, CARDRESET, .rsts_known = true, .rsts = 0x20,
            .mark = { .state = HOST_MARK_RUNNING, .boot_id = BOOT_1, .reboot_why = "board-stuck" } },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_SOFTWARE, "a reboot that mpyd asked for (board-stuck)",
          "ordered-reboot:certain no-clean-stop:certain host-watchdog:certain" },
        { "mpyd asked for a reboot that has not come yet",
          { .boot_id = BOOT_1,
            .mark = { .state = HOST_MARK_RUNNING, .boot_id = BOOT_1, .reboot_why = "board-stuck" } },
          NEW_BOOT, RESET_CAUSE_HARD, RESET_REASON_UNKNOWN, "without a clean stop",
          "daemon-failed:certain" },
        { "power cut, nothing else is known", { .boot_id = BOOT_2, .mark = OLD_RUN }, NEW_BOOT,
          RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "an end without a shutdown",
          "no-clean-stop:certain" },
        { "power cut on a Pi", { .boot_id = BOOT_2, .mark = OLD_RUN, .rsts_known = true, .rsts = 0x1000 },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "a loss of power",
          "firmware-power-on:likely no-clean-stop:certain" },
        { "panic", { .boot_id = BOOT_2, .mark = OLD_RUN, PANIC }, NEW_BOOT, RESET_CAUSE_PWRON,
          RESET_REASON_UNKNOWN, "a kernel panic", "kernel-panic:certain no-clean-stop:certain" },
        { "an old record of a panic",
          { .boot_id = BOOT_2, PANIC,
            .mark = { .state = HOST_MARK_RUNNING, .boot_id = BOOT_1, .panic_id = "dmesg-ramoops-0@5.0" } },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "an end without a shutdown",
          "no-clean-stop:certain" },
        { "panic, then the watchdog", { .boot_id = BOOT_2, .mark = OLD_RUN, PANIC, CARDRESET }, NEW_BOOT,
          RESET_CAUSE_PWRON, RESET_REASON_UNKNOWN, "a kernel panic",
          "kernel-panic:certain host-watchdog:certain no-clean-stop:certain" },
        { "hardware watchdog", { .boot_id = BOOT_2, .mark = OLD_RUN, CARDRESET }, NEW_BOOT,
          RESET_CAUSE_WDT, RESET_REASON_WATCHDOG, "its hardware watchdog had bitten",
          "host-watchdog:certain no-clean-stop:certain" },
        { "watchdog of a Pi that was armed",
          { .boot_id = BOOT_2, .rsts_known = true, .rsts = 0x20,
            .mark = { .state = HOST_MARK_RUNNING, .boot_id = BOOT_1, .watchdog_armed = true } },
          NEW_BOOT, RESET_CAUSE_WDT, RESET_REASON_WATCHDOG, "most likely",
          "firmware-watchdog:likely no-clean-stop:certain" },
        { "the same, not armed: that would be a guess",
          { .boot_id = BOOT_2, .mark = OLD_RUN, .rsts_known = true, .rsts = 0x20 }, NEW_BOOT,
          RESET_CAUSE_PWRON, RESET_REASON_UNKNOWN, "a forced reboot, a panic or a hang",
          "firmware-watchdog:possible no-clean-stop:certain" },
        { "under-voltage, then dark",
          { .boot_id = BOOT_2, .rsts_known = true, .rsts = 0x1000,
            .mark = { .state = HOST_MARK_RUNNING, .boot_id = BOOT_1, .under_voltage = true } },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_BROWNOUT, "under-voltage before it",
          "under-voltage:likely firmware-power-on:likely no-clean-stop:certain" },
        { "under-voltage, but shut down in good order",
          { .boot_id = BOOT_2,
            .mark = { .state = HOST_MARK_STOPPED, .boot_id = BOOT_1, .under_voltage = true } },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "a shutdown in good order",
          "clean-stop:certain" },
        { "the watchdog's own voltage monitor",
          { .boot_id = BOOT_2, .mark = OLD_RUN, .bootstatus = 0x10, .bootstatus_path = "/sys/x" },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_BROWNOUT, "under-voltage before it",
          "under-voltage:certain no-clean-stop:certain" },
        { "under-voltage in this boot tells nothing of the last one",
          { .boot_id = BOOT_2, .mark = OLD_RUN, .under_voltage = true, .under_voltage_path = "/sys/y" },
          NEW_BOOT, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "an end without a shutdown",
          "no-clean-stop:certain under-voltage-now:certain" },
        /* the host lives on */
        { "systemctl restart", { .boot_id = BOOT_1, .mark = { HOST_MARK_STOPPED, BOOT_1 } },
          { .cause = RESET_CAUSE_HARD, .reason = RESET_REASON_RESET_PIN, .detail = "stopped" },
          RESET_CAUSE_HARD, RESET_REASON_RESET_PIN, "stopped", "daemon-stopped:certain" },
        { "the daemon was killed", { .boot_id = BOOT_1, .mark = OLD_RUN, CARDRESET },
          { .cause = RESET_CAUSE_HARD, .reason = RESET_REASON_UNKNOWN, .detail = "killed by SIGSEGV",
            .failures = 1 },
          RESET_CAUSE_HARD, RESET_REASON_UNKNOWN, "killed by SIGSEGV", "daemon-failed:certain" },
        { "systemd's watchdog", { .boot_id = BOOT_1, .mark = OLD_RUN },
          { .cause = RESET_CAUSE_WDT, .reason = RESET_REASON_WATCHDOG, .detail = "mpyd hung",
            .failures = 2 },
          RESET_CAUSE_WDT, RESET_REASON_WATCHDOG, "mpyd hung", "daemon-failed:certain" },
        { "hand-over", { .boot_id = BOOT_1, .mark = { HOST_MARK_STOPPED, BOOT_1 } },
          { .cause = RESET_CAUSE_SOFT, .reason = RESET_REASON_SOFTWARE, .detail = "handed over" },
          RESET_CAUSE_SOFT, RESET_REASON_SOFTWARE, "handed over", "daemon-stopped:certain" },
        { "the run directory has gone", { .boot_id = BOOT_1, .mark = { HOST_MARK_STOPPED, BOOT_1 } },
          NEW_BOOT, RESET_CAUSE_HARD, RESET_REASON_RESET_PIN, "stopped and started again",
          "daemon-stopped:certain" },
        { "the run directory has gone, and nobody had stopped it",
          { .boot_id = BOOT_1, .mark = OLD_RUN }, NEW_BOOT, RESET_CAUSE_HARD, RESET_REASON_UNKNOWN,
          "without a clean stop", "daemon-failed:certain" },
        { "no boot id: two boots are not the same", { .mark = { .state = HOST_MARK_RUNNING } }, NEW_BOOT,
          RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "an end without a shutdown",
          "no-clean-stop:certain" },
};

static void list_findings(const Evidence *e, char *buf, size_t size) {
        size_t n = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < e->n; i++) {
                assert_true(*e->items[i].source && *e->items[i].detail);
                n += (size_t) snprintf(buf + n, size - n, "%s%s:%s", i > 0 ? " " : "",
                                       e->items[i].finding,
                                       confidence_to_string(e->items[i].confidence));
                assert_true(n < size);
        }
}

static void test_fuse(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = &cases[i];
                HostVerdict v = host_fuse(&c->run, &c->facts);
                char findings[512];

                list_findings(&v.evidence, findings, sizeof findings);
                /* Only what took the host down may be held against a program, and a clean end never. */
                assert_int_equal(v.fault,
                                 !v.host_booted || strstr(c->detail, "good order") ? SAFE_MODE_NONE
                                 : strstr(c->detail, "panic") && strstr(findings, "kernel-panic")
                                         ? SAFE_MODE_HARD_FAULT
                                 : c->reason == RESET_REASON_WATCHDOG ? SAFE_MODE_WATCHDOG
                                 : c->reason == RESET_REASON_BROWNOUT ? SAFE_MODE_BROWNOUT
                                                                      : SAFE_MODE_NONE);
                if (v.cause != c->cause || v.reason != c->reason || !strstr(v.detail, c->detail) ||
                    !streq(findings, c->findings))
                        fail_msg("%s: %s, %s, \"%s\", %s", c->name, reset_cause_to_string(v.cause),
                                 reset_reason_to_string(v.reason), v.detail, findings);
        }
}

/* ---- as JSON ---- */

static void test_json(void **state) {
        Evidence e = {};
        char *text;
        json_t *j;

        assert_null(evidence_to_json(&e));
        evidence_add(&e, "signal", CONFIDENCE_CERTAIN, "source \xff\n", "signal %d \"%s\"", 11, "\x1b[2J");
        for (int i = 0; i < 20; i++) {
                char big[500];

                memset(big, 'x', sizeof big - 1);
                big[sizeof big - 1] = '\0';
                evidence_add(&e, "big", CONFIDENCE_POSSIBLE, big, "%s", big);
        }
        assert_int_equal(e.n, EVIDENCE_ITEMS_MAX);
        text = evidence_to_json(&e);
        assert_true(strlen(text) < 4000); /* what the history takes */
        j = json_loads(text, 0, NULL);
        assert_int_equal(json_array_size(j), EVIDENCE_ITEMS_MAX);
        assert_string_equal(json_string_value(json_object_get(json_array_get(j, 0), "detail")),
                            "signal 11 \"\\x1b[2J\"");
        assert_string_equal(json_string_value(json_object_get(json_array_get(j, 1), "confidence")),
                            "possible");
        json_decref(j);
        free(text);
        assert_null(confidence_to_string(CONFIDENCE_MAX));
        assert_null(confidence_to_string(CONFIDENCE_INVALID));
}

/* ---- a board's own end ---- */

static void test_reset_evidence(void **state) {
        static const struct {
                LifeReset r;
                BoardEnd end;
                const char *findings;
        } table[] = {
                { { RESET_CAUSE_WDT, RESET_REASON_WATCHDOG, .detail = "w" }, {}, "watchdog:certain" },
                { { RESET_CAUSE_HARD, RESET_REASON_SOFTWARE, .detail = "w" }, {}, "program:certain" },
                { { RESET_CAUSE_HARD, RESET_REASON_RESET_PIN, .detail = "w" }, {}, "operator:certain" },
                { { RESET_CAUSE_DEEPSLEEP, RESET_REASON_DEEP_SLEEP_ALARM, .detail = "w" }, {},
                  "wake-alarm:certain" },
                { { RESET_CAUSE_SOFT, RESET_REASON_WATCHDOG, .detail = "w" }, {}, "" },
                { { RESET_CAUSE_HARD, RESET_REASON_UNKNOWN, .detail = "w", .crashed = true,
                    .ended_signal = 11, .ended_exit_status = -1 }, {}, "signal:certain" },
                { { RESET_CAUSE_HARD, RESET_REASON_UNKNOWN, .detail = "w", .crashed = true,
                    .ended_signal = 9, .ended_exit_status = -1 }, { .oom = true },
                  "oom-kill:likely signal:certain" },
                { { RESET_CAUSE_HARD, RESET_REASON_UNKNOWN, .detail = "w", .crashed = true,
                    .ended_signal = 11, .ended_exit_status = -1 }, { .oom = true }, "signal:certain" },
                { { RESET_CAUSE_HARD, RESET_REASON_UNKNOWN, .detail = "w", .crashed = true,
                    .ended_exit_status = 70 }, { .last_words = "The VM cannot go on" },
                  "last-words:certain exit-status:certain" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                Evidence e = reset_evidence(&table[i].r, &table[i].end);
                char findings[256];

                list_findings(&e, findings, sizeof findings);
                assert_string_equal(findings, table[i].findings);
        }
}

/* ---- recorded trees ---- */

static char root[64], state_dir[64];
static int root_fd = -EBADF, state_fd = -EBADF;

static int setup(void **s) {
        (void) strcpy(root, "/tmp/test-host-root.XXXXXX");
        (void) strcpy(state_dir, "/tmp/test-host-state.XXXXXX");
        if (!mkdtemp(root) || !mkdtemp(state_dir))
                return -1;
        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return root_fd < 0 || state_fd < 0 ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *f) {
        return remove(path);
}

static int teardown(void **s) {
        root_fd = safe_close(root_fd);
        state_fd = safe_close(state_fd);
        (void) nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        (void) nftw(state_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        return 0;
}

static void put_bytes(const char *path, const void *data, size_t size, time_t when) {
        char full[256], *slash;
        int fd;

        (void) snprintf(full, sizeof full, "%s/%s", root, path);
        slash = strrchr(full, '/');
        *slash = '\0';
        assert_int_equal(mkdir_parents(full, 0755), 0);
        *slash = '/';
        fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, data, size), 0);
        if (when > 0)
                assert_int_equal(futimens(fd, (struct timespec[]) { { when, 0 }, { when, 0 } }), 0);
        (void) close(fd);
}

static void put(const char *path, const char *text) {
        put_bytes(path, text, strlen(text), 0);
}

static void test_facts_of_nothing(void **s) {
        HostFacts f = host_facts_gather(root_fd, state_fd);

        assert_string_equal(f.boot_id, "");
        assert_int_equal(f.mark.state, HOST_MARK_NONE);
        assert_int_equal(f.bootstatus, 0);
        assert_false(f.rsts_known || f.under_voltage || f.watchdog_armed || *f.panic_id);
        assert_int_equal(host_facts_oom_kills(root_fd), -ENOENT);
}

/* A Raspberry Pi 3: reset status from the firmware, throttling, its watchdog armed by systemd. */
static void test_facts_of_a_pi(void **s) {
        HostFacts f;

        put("proc/sys/kernel/random/boot_id", "22222222-2222-2222-2222-222222222222\n");
        put_bytes("proc/device-tree/chosen/bootloader/rsts", "\0\0\x10\0", 4, 0);
        put("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
        put("sys/class/watchdog/watchdog0/bootstatus", "0\n");
        put("sys/class/watchdog/watchdog0/state", "active\n");
        put("proc/vmstat", "nr_free_pages 1\noom_kill 3\nzone_reclaim 0\n");
        f = host_facts_gather(root_fd, state_fd);
        assert_string_equal(f.boot_id, BOOT_2);
        assert_true(f.rsts_known && f.rsts == HOST_RSTS_POWER_ON);
        assert_true(f.under_voltage && f.watchdog_armed);
        assert_string_equal(f.under_voltage_path, "/sys/devices/platform/soc/soc:firmware/get_throttled");
        assert_int_equal(host_facts_oom_kills(root_fd), 3);
        put("sys/devices/platform/soc/soc:firmware/get_throttled", "40004\n"); /* throttled: too hot */
        assert_false(host_facts_under_voltage(root_fd, NULL));
}

/* The mainline driver of the same. */
static void test_facts_of_hwmon(void **s) {
        char path[HOST_PATH_MAX];

        put("sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
        put("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n");
        put("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
        put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
        assert_false(host_facts_under_voltage(root_fd, path));
        put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
        assert_true(host_facts_under_voltage(root_fd, path));
        assert_string_equal(path, "/sys/class/hwmon/hwmon1/in0_lcrit_alarm");
}

/* i6300esb after it has bitten, beside one that has not. */
static void test_facts_of_watchdogs(void **s) {
        HostFacts f;

        put("sys/class/watchdog/watchdog0/bootstatus", "0\n");
        put("sys/class/watchdog/watchdog0/state", "inactive\n");
        put("sys/class/watchdog/watchdog1/bootstatus", "32\n");
        f = host_facts_gather(root_fd, state_fd);
        assert_int_equal(f.bootstatus, HOST_WDIOF_CARDRESET);
        assert_string_equal(f.bootstatus_path, "/sys/class/watchdog/watchdog1/bootstatus");
        assert_false(f.watchdog_armed);
}

static void put_dump(const char *path, const char *text, time_t when) {
        put_bytes(path, text, strlen(text), when);
}

static void test_facts_of_a_panic(void **s) {
        HostFacts f;

        put_dump("sys/fs/pstore/dmesg-ramoops-0", "Oops#1 Part1\n<4>something\n", 2000);
        put_dump("sys/fs/pstore/console-ramoops-0", "Panic\n", 3000);
        f = host_facts_gather(root_fd, state_fd);
        assert_string_equal(f.panic_id, ""); /* it was survived */
        put_dump("var/lib/systemd/pstore/7001/dmesg-efi-170.txt", "Panic#2 Part1\n", 1000);
        f = host_facts_gather(root_fd, state_fd);
        assert_string_equal(f.panic_id, "dmesg-efi-170.txt@1000.0");
        assert_string_equal(f.panic_path, "/var/lib/systemd/pstore/7001/dmesg-efi-170.txt");
        put_dump("sys/fs/pstore/dmesg-ramoops-1", "Panic#1 Part1\n", 5000);
        f = host_facts_gather(root_fd, state_fd);
        assert_string_equal(f.panic_id, "dmesg-ramoops-1@5000.0");
        put_dump("sys/fs/pstore/dmesg-a name", "Panic#1 Part1\n", 6000); /* would break the mark */
        f = host_facts_gather(root_fd, state_fd);
        assert_string_equal(f.panic_id, "dmesg-ramoops-1@5000.0");
}

static void test_facts_of_garbage(void **s) {
        HostFacts f;

        put("proc/sys/kernel/random/boot_id", "1234\n");
        put("sys/class/watchdog/watchdog0/bootstatus", "99999999999999999999\n");
        put("sys/class/watchdog/watchdog1/bootstatus", "-1\n");
        put("sys/class/watchdog/watchdog2/bootstatus/not-a-file", "x");
        put_bytes("proc/device-tree/chosen/bootloader/rsts", "\x20", 1, 0);
        put("sys/devices/platform/soc/soc:firmware/get_throttled", "hot\n");
        put("sys/class/hwmon/hwmon0/name", "rpi_volt\n");
        put("proc/vmstat", "oom_kill many\n");
        f = host_facts_gather(root_fd, state_fd);
        assert_string_equal(f.boot_id, "");
        assert_int_equal(f.bootstatus, 0);
        assert_false(f.rsts_known || f.under_voltage);
        assert_int_equal(host_facts_oom_kills(root_fd), -ENOENT);
}

/* ---- the host mark ---- */

static void test_mark(void **s) {
        static const HostMark marks[] = {
                { HOST_MARK_RUNNING, BOOT_1, false, false, "" },
                { HOST_MARK_STOPPED, BOOT_2, true, true, "dmesg-ramoops-0@5.0" },
                { HOST_MARK_RUNNING, "", false, true, "" },
                { HOST_MARK_RUNNING, BOOT_1, false, false, "",
                  { SAFE_MODE_HARD_FAULT, SAFE_MODE_DOOR_STRIKES, 10, 2 } },
                { HOST_MARK_STOPPED, BOOT_1, true, true, "dmesg-ramoops-0@5.0",
                  { SAFE_MODE_NONE, SAFE_MODE_DOOR_NONE, SAFE_MODE_COUNT_MAX, SAFE_MODE_COUNT_MAX } },
                { HOST_MARK_RUNNING, BOOT_1, false, false, "", {}, 1790000000, "" },
                { HOST_MARK_RUNNING, BOOT_1, true, true, "dmesg-ramoops-0@5.0",
                  { SAFE_MODE_STACK_OVERFLOW, SAFE_MODE_DOOR_OPERATOR, 10, 2 }, UINT64_MAX,
                  "a-word-of-the-greatest-length--" },
        };

        assert_int_equal(host_mark_read(state_fd).state, HOST_MARK_NONE);
        for (size_t i = 0; i < ELEMENTSOF(marks); i++) {
                HostMark m;

                assert_int_equal(host_mark_write(state_fd, &marks[i], UINT64_C(60000000)), 0);
                m = host_mark_read(state_fd);
                assert_int_equal(m.state, marks[i].state);
                assert_string_equal(m.boot_id, marks[i].boot_id);
                assert_int_equal(m.under_voltage, marks[i].under_voltage);
                assert_int_equal(m.watchdog_armed, marks[i].watchdog_armed);
                assert_string_equal(m.panic_id, marks[i].panic_id);
                assert_memory_equal(&m.safe_mode, &marks[i].safe_mode, sizeof m.safe_mode);
                assert_int_equal(m.rebooted_sec, marks[i].rebooted_sec);
                assert_string_equal(m.reboot_why, marks[i].reboot_why);
        }
        assert_int_equal(host_mark_write(-EBADF, &marks[0], 1000000), -EBADF);
        assert_int_equal(host_mark_write(state_fd, &(HostMark) {}, 1000000), -EINVAL);
}

static void test_mark_of_garbage(void **s) {
        static const char *const bad[] = {
                "", "\n", "mpyd-host-mark", "mpyd-host-mark " BOOT_1 " running 0 0\n",
                "mpyd-host-mark " BOOT_1 " sleeping 0 0 -\n", "mpyd-host-mark " BOOT_1 " running 2 0 -\n",
                "mpyd-host-mark 123 running 0 0 -\n", "mpyd-host-mark " BOOT_1 " running 0 0 -",
                "mpyd-host-mark " BOOT_1 " running 0 0 - more\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - strikes=1 retries=0 safe-mode=NONE\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - strikes=1001 retries=0 safe-mode=NONE door=none\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - strikes=-1 retries=0 safe-mode=NONE door=none\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - strikes=1 retries=0 safe-mode=USER door=none\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - strikes=1 retries=0 safe-mode=NOTHING door=none\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - strikes=0 retries=0 safe-mode=NONE door=none\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - rebooted=0 reboot=-\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - rebooted=5 reboot=\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - rebooted=5\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - rebooted=5 reboot=-",
                "mpyd-host-mark " BOOT_1 " running 0 0 - rebooted=-5 reboot=-\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - rebooted=5 reboot=- strikes=1\n",
                "mpyd-host-mark " BOOT_1 " running 0 0 - rebooted=5 reboot=a-word-of-the-greatest-length--1\n",
                "mpyd-host-mark " BOOT_1 BOOT_1 " running 0 0 -\n", "other " BOOT_1 " running 0 0 -\n",
        };
        HostMark m = { .under_voltage = true };

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                if (host_mark_parse(bad[i], &m) != -EBADMSG)
                        fail_msg("taken for a mark: %s", bad[i]);
                assert_true(m.under_voltage); /* untouched */
        }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fuse),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_reset_evidence),
                TEST(test_facts_of_nothing),
                TEST(test_facts_of_a_pi),
                TEST(test_facts_of_hwmon),
                TEST(test_facts_of_watchdogs),
                TEST(test_facts_of_a_panic),
                TEST(test_facts_of_garbage),
                TEST(test_mark),
                TEST(test_mark_of_garbage),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
