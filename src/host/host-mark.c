/* SPDX-License-Identifier: MIT */
/* One line: "mpyd-host-mark BOOT-ID STATE UNDER-VOLTAGE WATCHDOG-ARMED PANIC-ID", the last one "-" for
 * none; and, when there is something of it, " strikes=N retries=N safe-mode=REASON door=DOOR" and
 * " rebooted=SECONDS reboot=WHY" (the latter "-" for none). */
#include "host/host-mark.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/durable-file.h"
#include "util/io.h"
#include "util/parse.h"

#define MARK "host-mark"

/* ---- as text ---- */

void host_mark_format(const HostMark *m, char ret[static HOST_MARK_TEXT_MAX]) {
        const SafeModeState *s = &m->safe_mode;
        char tail[112] = "", reboot[72] = "";

        if (s->reason != SAFE_MODE_NONE || s->strikes > 0 || s->retries > 0)
                (void) snprintf(tail, sizeof tail, " strikes=%u retries=%u safe-mode=%s door=%s",
                                s->strikes, s->retries, safe_mode_reason_to_string(s->reason),
                                safe_mode_door_to_string(s->door));
        if (m->rebooted_sec > 0)
                (void) snprintf(reboot, sizeof reboot, " rebooted=%" PRIu64 " reboot=%s", m->rebooted_sec,
                                *m->reboot_why ? m->reboot_why : "-");
        (void) snprintf(ret, HOST_MARK_TEXT_MAX, "mpyd-host-mark %s %s %d %d %s%s%s\n",
                        *m->boot_id ? m->boot_id : "-",
                        m->state == HOST_MARK_STOPPED ? "stopped" : "running", m->under_voltage,
                        m->watchdog_armed, *m->panic_id ? m->panic_id : "-", tail, reboot);
}

/* How much of tail it is; 0: nothing. */
static int parse_safe_mode(const char *tail, SafeModeState *ret) {
        char reason[48], door[16];
        SafeModeState s = {};
        int n = 0;

        if (sscanf(tail, " strikes=%4u retries=%4u safe-mode=%47s door=%15s%n", &s.strikes, &s.retries,
                   reason, door, &n) != 4)
                return 0;
        s.reason = safe_mode_reason_from_string(reason);
        s.door = safe_mode_door_from_string(door);
        if (s.reason < 0 || s.door < 0 || (s.reason == SAFE_MODE_NONE) != (s.door == SAFE_MODE_DOOR_NONE) ||
            s.strikes > SAFE_MODE_COUNT_MAX || s.retries > SAFE_MODE_COUNT_MAX)
                return -EBADMSG;
        *ret = s;
        return n;
}

static int parse_reboot(const char *tail, HostMark *ret) {
        char why[HOST_REBOOT_WHY_MAX];

        if (sscanf(tail, " rebooted=%20" SCNu64 " reboot=%31s", &ret->rebooted_sec, why) != 2)
                return streq(tail, "\n") ? 0 : -EBADMSG;
        if (!streq(why, "-"))
                (void) strcpy(ret->reboot_why, why);
        return 0;
}

static bool is_boot_id(const char *s) {
        size_t n = strspn(s, "0123456789abcdef");

        return n == 32 && s[n] == '\0';
}

int host_mark_parse(const char *text, HostMark *ret) {
        char boot_id[34], state[9], panic_id[HOST_PANIC_ID_MAX], again[HOST_MARK_TEXT_MAX];
        HostMark m = {};
        int uv, armed, n = 0, r;

        if (sscanf(text, "mpyd-host-mark %33s %8s %1d %1d %95s%n", boot_id, state, &uv, &armed,
                   panic_id, &n) != 5)
                return -EBADMSG;
        r = parse_safe_mode(text + n, &m.safe_mode);
        if (r < 0 || parse_reboot(text + n + r, &m) < 0)
                return -EBADMSG;
        if (is_boot_id(boot_id))
                (void) strcpy(m.boot_id, boot_id);
        m.state = streq(state, "stopped") ? HOST_MARK_STOPPED : HOST_MARK_RUNNING;
        m.under_voltage = uv == 1;
        m.watchdog_armed = armed == 1;
        if (!streq(panic_id, "-"))
                (void) strcpy(m.panic_id, panic_id);
        host_mark_format(&m, again); /* what is not exactly that was cut short or is another's */
        if (!streq(text, again))
                return -EBADMSG;
        *ret = m;
        return 0;
}

HostMark host_mark_read(int dir_fd) {
        _cleanup_free_ char *text = NULL;
        HostMark m = {};

        if (read_file(dir_fd, MARK, HOST_MARK_TEXT_MAX, &text, NULL) >= 0)
                (void) !host_mark_parse(text, &m);
        return m;
}

/* ---- on the disk ---- */

static DurableFile mark = DURABLE_FILE(MARK, 0644);

int host_mark_write_soon(int dir_fd, const HostMark *m, int done_fd) {
        char text[HOST_MARK_TEXT_MAX];

        if (m->state == HOST_MARK_NONE)
                return -EINVAL;
        host_mark_format(m, text);
        return durable_file_write_soon(&mark, dir_fd, text, done_fd);
}

int host_mark_write(int dir_fd, const HostMark *m, uint64_t timeout_usec) {
        char text[HOST_MARK_TEXT_MAX];

        if (m->state == HOST_MARK_NONE)
                return -EINVAL;
        host_mark_format(m, text);
        return durable_file_write(&mark, dir_fd, text, timeout_usec);
}
