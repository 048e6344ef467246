/* SPDX-License-Identifier: MIT */
/* The mark is one line, "BOOT-ID WORD NUMBER": running and the number of failures before it, stopped, or
 * handed-over and the board's reset reason. It only has to outlive the daemon, not the host, so it is
 * not synced to a disk (the run directory is a tmpfs on a real board). */
#include "host/run-mark.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>

#include "util/io.h"
#include "util/parse.h"

#define MARK "run-mark"
#define RESULT "run-result"
#define MARK_MAX 256u
#define FAILURES_FREE 3u /* one crash, or two, must not cost a greenhouse its time */
#define HOLD_BACK_MAX_USEC USEC_PER_MINUTE

/* Without it the next start is taken for one after a crash or a power-on: told, not fatal. */
static void write_mark(int dir_fd, const char *boot_id, const char *word, unsigned n) {
        char text[MARK_MAX];

        (void) snprintf(text, sizeof text, "%s %s %u\n", boot_id, word, n);
        (void) !replace_file(dir_fd, MARK, text);
}

void run_lasted(int run_dir_fd, const char *boot_id) {
        write_mark(run_dir_fd, boot_id, "running", 0);
}

void run_ended(int run_dir_fd, const char *boot_id) {
        write_mark(run_dir_fd, boot_id, "stopped", 0);
}

void run_handed_over(int run_dir_fd, const char *boot_id, ResetReason reason) {
        write_mark(run_dir_fd, boot_id, "handed-over", (unsigned) reason);
}

uint64_t run_hold_back_usec(unsigned failures) {
        unsigned doublings;

        if (failures <= FAILURES_FREE)
                return 0;
        doublings = MIN(failures - FAILURES_FREE - 1, 16u);
        return MIN(USEC_PER_SEC << doublings, HOLD_BACK_MAX_USEC);
}

/* ---- what the service manager saw ---- */

/* One word of systemd's, or "-". */
static const char *word_or_none(const char *s) {
        if (!s || !*s || strlen(s) > 32)
                return "-";
        for (const char *p = s; *p; p++)
                if (!isalnum((unsigned char) *p) && *p != '-' && *p != '+')
                        return "-";
        return s;
}

int run_note_result(int run_dir_fd, const char *result, const char *code, const char *status) {
        char text[128];

        (void) snprintf(text, sizeof text, "%s %s %s\n", word_or_none(result), word_or_none(code),
                        word_or_none(status));
        return replace_file(run_dir_fd, RESULT, text);
}

/* The last run's result is told once: a run without a service manager leaves none. */
static void take_result(int dir_fd, char result[static 33], char status[static 33]) {
        _cleanup_free_ char *text = NULL;

        if (read_file(dir_fd, RESULT, MARK_MAX, &text, NULL) < 0 ||
            sscanf(text, "%32s %*32s %32s", result, status) != 2)
                *result = *status = '\0';
        (void) unlinkat(dir_fd, RESULT, 0);
}

static RunStart after_failure(const char *result, const char *status) {
        RunStart s = { .cause = RESET_CAUSE_HARD, .reason = RESET_REASON_UNKNOWN };

        if (streq(result, "watchdog")) {
                s.cause = RESET_CAUSE_WDT;
                s.reason = RESET_REASON_WATCHDOG;
                (void) snprintf(s.detail, sizeof s.detail,
                                "mpyd hung: it gave systemd's watchdog no sign of life and was killed");
        } else if (streq(result, "oom-kill"))
                (void) snprintf(s.detail, sizeof s.detail, "the kernel killed mpyd: out of memory");
        else if (streq(result, "timeout"))
                (void) snprintf(s.detail, sizeof s.detail,
                                "mpyd did not start or stop in time and was killed");
        else if (streq(result, "signal") || streq(result, "core-dump"))
                (void) snprintf(s.detail, sizeof s.detail, "mpyd was killed by SIG%s", status);
        else if (streq(result, "exit-code"))
                (void) snprintf(s.detail, sizeof s.detail, "mpyd failed, exit status %s", status);
        else
                (void) snprintf(s.detail, sizeof s.detail,
                                "mpyd ended without a clean stop (crash or kill)");
        return s;
}

/* ---- the mark ---- */

static RunStart after(const char *word, unsigned n, const char *result, const char *status) {
        RunStart s = { .cause = RESET_CAUSE_HARD, .reason = RESET_REASON_RESET_PIN };

        if (streq(word, "stopped"))
                (void) snprintf(s.detail, sizeof s.detail, "mpyd was stopped and started again");
        else if (streq(word, "handed-over") && n < RESET_REASON_MAX) {
                s.cause = RESET_CAUSE_SOFT;
                s.reason = (ResetReason) n;
                (void) snprintf(s.detail, sizeof s.detail, "mpyd handed over to a new one");
        } else {
                s = after_failure(result, status);
                s.failures = (streq(word, "running") ? MIN(n, 1000000u) : 0) + 1;
        }
        return s;
}

RunStart run_began(int run_dir_fd, const char *boot_id) {
        _cleanup_free_ char *mark = NULL;
        char result[33] = "", status[33] = "", word[17] = "";
        RunStart s = { .cause = RESET_CAUSE_PWRON, .reason = RESET_REASON_POWER_ON };
        unsigned n = 0;

        take_result(run_dir_fd, result, status);
        if (*boot_id && read_file(run_dir_fd, MARK, MARK_MAX, &mark, NULL) >= 0 &&
            strncmp(mark, boot_id, strlen(boot_id)) == 0) {
                int fields = sscanf(mark + strlen(boot_id), " %16s %u", word, &n);

                if (fields < 1 || (fields < 2 && streq(word, "handed-over")))
                        *word = '\0';
                s = after(word, n, result, status);
        } else
                (void) snprintf(s.detail, sizeof s.detail, "first start since the host booted");
        write_mark(run_dir_fd, boot_id, "running", s.failures);
        return s;
}
