/* SPDX-License-Identifier: MIT */
/* The table of all keys of mpyd.conf, and how each kind of value is read. */
#include "config/config-key.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <syslog.h>

#include "config/environment.h"
#include "mpyd/reset.h"
#include "util/parse.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MSEC USEC_PER_MSEC
#define MINUTE USEC_PER_MINUTE
#define USER_NAME_MAX 31u /* useradd(8) */

static int parse_key_size(const ConfigKey *k, const char *value, void *target);
static int parse_key_size_or_off(const ConfigKey *k, const char *value, void *target);
static int parse_key_time(const ConfigKey *k, const char *value, void *target);
static int parse_key_time_or_off(const ConfigKey *k, const char *value, void *target);
static int parse_key_count_or_off(const ConfigKey *k, const char *value, void *target);
static int parse_key_count(const ConfigKey *k, const char *value, void *target);
static int parse_key_rate(const ConfigKey *k, const char *value, void *target);
static int parse_key_level(const ConfigKey *k, const char *value, void *target);
static int parse_key_user(const ConfigKey *k, const char *value, void *target);
static int parse_key_gpio_source(const ConfigKey *k, const char *value, void *target);
static int parse_key_boolean(const ConfigKey *k, const char *value, void *target);
static int parse_key_command(const ConfigKey *k, const char *value, void *target);
static int parse_key_url(const ConfigKey *k, const char *value, void *target);
static int parse_key_level_of_line(const ConfigKey *k, const char *value, void *target);
static int parse_key_reset_kind(const ConfigKey *k, const char *value, void *target);
static int parse_key_line(const ConfigKey *k, const char *value, void *target);
static int parse_key_lines(const ConfigKey *k, const char *value, void *target);
static int parse_key_safe_state(const ConfigKey *k, const char *value, void *target);
static int parse_key_defaults(const ConfigKey *k, const char *value, void *target);
static int parse_key_bias(const ConfigKey *k, const char *value, void *target);
static int parse_key_led(const ConfigKey *k, const char *value, void *target);

#define FIELD(name) offsetof(Config, name)

static const ConfigKey keys[] = {
        { "board", "heap", "1M",
          "Memory for Python objects when the board starts.",
          parse_key_size, FIELD(board.heap), 32 * KIB, GIB },
        { "board", "heap-max", "64M",
          "What the heap may grow to.",
          parse_key_size, FIELD(board.heap_max), 32 * KIB, GIB },
        { "board", "flash-quota", "off",
          "What a program may fill the flash to, lest it fill the host's disk: 64K to 1T, or off.",
          parse_key_size_or_off, FIELD(board.flash_quota), 64 * KIB, 1024 * GIB },
        { "board", "user", "mpyd",
          "Account that the board runs as when mpyd is started by root.",
          parse_key_user, FIELD(board.user), 0, 0 },
        { "board", "start-timeout", "10s",
          "A board that has not begun _boot.py by then is killed and started again.",
          parse_key_time, FIELD(board.start_timeout_usec), 100 * MSEC, 10 * MINUTE },
        { "board", "memory-max", "256M",
          "All memory of the board's process, where the kernel limits it; over it, it is killed.",
          parse_key_size, FIELD(board.memory_max), 16 * KIB * KIB, 1024 * GIB },
        { "board", "tasks-max", "64",
          "How many threads the board may have, where the kernel limits them.",
          parse_key_count, FIELD(board.tasks_max), 4, 100000 },
        { "board", "defaults", "package",
          "What a factory reset puts on the board: the package's files, or those of a directory.",
          parse_key_defaults, FIELD(board.defaults), 0, 0 },

        { "stop", "interrupt-timeout", "2s",
          "How long a program that must stop may take to obey KeyboardInterrupt.",
          parse_key_time, FIELD(stop.interrupt_timeout_usec), 10 * MSEC, 10 * MINUTE },
        { "stop", "abort-timeout", "1s",
          "How long it may take after that to end when the VM is aborted; then it is killed.",
          parse_key_time, FIELD(stop.abort_timeout_usec), 10 * MSEC, 10 * MINUTE },

        { "reset", "burst", "20",
          "How many resets a program may cause at once.",
          parse_key_count, FIELD(reset.burst), 1, 1000000 },
        { "reset", "rate", "1/s",
          "After the burst: resets per time, such as 1/s, 10/min, 1/30s; or unlimited.",
          parse_key_rate, FIELD(reset.interval_usec), 1, 7 * USEC_PER_DAY },
        { "reset", "backoff-min", "1s",
          "Wait after a board that failed to start; it doubles each time.",
          parse_key_time, FIELD(reset.backoff_min_usec), 10 * MSEC, USEC_PER_DAY },
        { "reset", "backoff-max", "60s",
          "The longest such wait.",
          parse_key_time, FIELD(reset.backoff_max_usec), 10 * MSEC, USEC_PER_DAY },
        { "reset", "button", "none",
          "GPIO line of a reset button, such as GPIO17; or none.",
          parse_key_line, FIELD(reset.button), 0, 0 },
        { "reset", "button-active", "low",
          "Its level when it is pressed: low (it pulls to ground) or high.",
          parse_key_level_of_line, FIELD(reset.button_active), 0, 0 },
        { "reset", "button-bias", "auto",
          "What holds it at rest: up, down; none: a resistor of its own; auto: the right one.",
          parse_key_bias, FIELD(reset.button_bias), 0, 0 },
        { "reset", "button-debounce", "20ms",
          "A change counts when it has lasted so long.",
          parse_key_time, FIELD(reset.button_debounce_usec), 0, 400 * MSEC },
        { "reset", "button-press", "hard",
          "What a short press does: a hard or a soft reset.",
          parse_key_reset_kind, FIELD(reset.button_press), 0, 0 },
        { "reset", "button-long", "3s",
          "Held for so long, or pressed again within a second of the boot, it means safe mode.",
          parse_key_time, FIELD(reset.button_long_usec), 500 * MSEC, MINUTE },

        { "watchdog", "stall-after", "off",
          "Reset a board whose VM neither runs Python nor waits for so long; or off.",
          parse_key_time_or_off, FIELD(watchdog.stall_after_usec), USEC_PER_SEC, USEC_PER_DAY },

        { "recovery", "after-exception", "30s",
          "Start a program again that ended with an uncaught exception, doubling; or off.",
          parse_key_time_or_off, FIELD(recovery.after_exception_usec), USEC_PER_SEC, USEC_PER_DAY },
        { "recovery", "reloads", "3",
          "How often in a row, by soft resets, before a hard one, which counts as a strike.",
          parse_key_count, FIELD(recovery.reloads), 1, 20 },
        { "recovery", "idle-restart", "15min",
          "Start it again when it was stopped and nobody has used the REPL for so long; or off.",
          parse_key_time_or_off, FIELD(recovery.idle_restart_usec), USEC_PER_SEC, 30 * USEC_PER_DAY },

        { "safe-mode", "strikes", "10",
          "Boot into safe mode after so many abnormal ends with no stable time between; or off.",
          parse_key_count_or_off, FIELD(safe_mode.strikes), 1, 1000 },
        { "safe-mode", "stable-after", "10min",
          "A board that has run for so long is forgiven all of them.",
          parse_key_time, FIELD(safe_mode.stable_after_usec), USEC_PER_SEC, 30 * USEC_PER_DAY },
        { "safe-mode", "retry-min", "1h",
          "The program is tried again after so long in such a safe mode; it doubles each time.",
          parse_key_time, FIELD(safe_mode.retry_min_usec), USEC_PER_SEC, 30 * USEC_PER_DAY },
        { "safe-mode", "retry-max", "24h",
          "The longest such time.",
          parse_key_time, FIELD(safe_mode.retry_max_usec), USEC_PER_SEC, 365 * USEC_PER_DAY },
        { "safe-mode", "button", "none",
          "GPIO line of a button that is held while the board boots, such as GPIO22; or none.",
          parse_key_line, FIELD(safe_mode.button), 0, 0 },
        { "safe-mode", "button-active", "low",
          "Its level when it is pressed: low (it pulls to ground) or high.",
          parse_key_level_of_line, FIELD(safe_mode.button_active), 0, 0 },
        { "safe-mode", "button-bias", "auto",
          "What holds it at rest: up, down; none: a resistor of its own; auto: the right one.",
          parse_key_bias, FIELD(safe_mode.button_bias), 0, 0 },
        { "safe-mode", "button-debounce", "20ms",
          "Free counts as let go when it has lasted so long.",
          parse_key_time, FIELD(safe_mode.button_debounce_usec), 0, 400 * MSEC },
        { "safe-mode", "button-enabled", "yes",
          "no: it has no effect, for a board that strangers can touch. yes or no.",
          parse_key_boolean, FIELD(safe_mode.button_enabled), 0, 0 },
        { "safe-mode", "hold", "1s",
          "Let go after so long, it means safe mode; a shorter press is nothing.",
          parse_key_time, FIELD(safe_mode.hold_usec), 100 * MSEC, MINUTE },
        { "safe-mode", "factory-hold", "10s",
          "Let go after so long, it means a factory reset; or off.",
          parse_key_time_or_off, FIELD(safe_mode.factory_hold_usec), USEC_PER_SEC, 2 * MINUTE },

        { "host", "reboot", "no",
          "Reboot the host when nothing else helps: a board that hangs in the kernel. yes or no.",
          parse_key_boolean, FIELD(host.reboot), 0, 0 },
        { "host", "reboot-budget", "1/24h",
          "At most so many, evenly spread, such as 1/24h; it is kept over reboots.",
          parse_key_rate, FIELD(host.reboot_interval_usec), USEC_PER_MINUTE, 30 * USEC_PER_DAY },
        { "host", "min-uptime", "10min",
          "And none before the host has been up for so long.",
          parse_key_time, FIELD(host.min_uptime_usec), USEC_PER_SEC, 7 * USEC_PER_DAY },

        { "notify", "command", "none",
          "Run by /bin/sh, as root, for each of the events; MPYD_* tell what happened. Or none.",
          parse_key_command, FIELD(notify.command), 0, 0 },
        { "notify", "url", "none",
          "They are POSTed to it as JSON: http://… or https://…; or none.",
          parse_key_url, FIELD(notify.url), 0, 0 },
        { "notify", "events",
          "daemon-start crash watchdog safe-mode safe-mode-left board-stuck host-reboot unwell",
          "Which of the journal's events (mpyd's docs/JOURNAL.md); * and ? may be in them.",
          parse_key_lines, FIELD(notify.events), 0, 0 },

        { "gpio", "chip", "auto",
          "Where GPIO lines are: kernel, simulated, off; or auto: the kernel's, if it has any.",
          parse_key_gpio_source, FIELD(gpio.source), 0, 0 },

        { "led", "line", "none",
          "Status LED: GPIO27; three for red, green, blue; /sys/class/leds/ACT; or none.",
          parse_key_led, FIELD(led.line), 0, 0 },
        { "led", "active", "high",
          "The level that lights it: high or low.",
          parse_key_level_of_line, FIELD(led.active), 0, 0 },

        { "pins", "allow", "*",
          "Lines that scripts may have: names, * and ? in them, a space between.",
          parse_key_lines, FIELD(pins.allow), 0, 0 },
        { "pins", "reserve", "none",
          "Lines that they may not have all the same; or none.",
          parse_key_lines, FIELD(pins.reserve), 0, 0 },
        { "pins", "safe-state", "input",
          "Lines that a hard reset drives, such as GPIO17=0 GPIO27=1; all others become inputs.",
          parse_key_safe_state, FIELD(pins.safe_state), 0, 0 },

        { "history", "max-size", "16M",
          "How large history.db may become; the oldest entries go first.",
          parse_key_size, FIELD(history.max_size), 256 * KIB, 4 * GIB },
        { "history", "commit-timeout", "500ms",
          "How long a board waits for the disk to have the record of its reset.",
          parse_key_time, FIELD(history.commit_timeout_usec), 0, 10 * USEC_PER_SEC },

        { "console", "stall-timeout", "500ms",
          "How long a client that does not read may hold up a script; code that it entered: 1 min.",
          parse_key_time, FIELD(console.stall_timeout_usec), 0, 10 * USEC_PER_SEC },

        { "log", "level", "info",
          "Least urgent lines to log: err, warning, notice, info, debug. Script output is info.",
          parse_key_level, FIELD(log.level), 0, 0 },
        { "log", "script-burst", "1000",
          "How many lines scripts may log at once; what is over the limit is counted.",
          parse_key_count, FIELD(log.script_burst), 1, 1000000 },
        { "log", "script-rate", "100/s",
          "After the burst: lines per time, such as 100/s or 10/min; or unlimited.",
          parse_key_rate, FIELD(log.script_interval_usec), 1, 7 * USEC_PER_DAY },
};

const ConfigKey *config_keys(size_t *ret_n) {
        *ret_n = ELEMENTSOF(keys);
        return keys;
}

static int check_range(const ConfigKey *k, uint64_t v) {
        return v < k->min || v > k->max ? -ERANGE : 0;
}

static int parse_key_size(const ConfigKey *k, const char *value, void *target) {
        uint64_t v;
        int r = parse_size(value, &v);

        if (r >= 0)
                r = check_range(k, v);
        if (r >= 0)
                *(uint64_t *) target = v;
        return r;
}

/* 0 for "off". */
static int parse_key_size_or_off(const ConfigKey *k, const char *value, void *target) {
        if (!streq(value, "off"))
                return parse_key_size(k, value, target);
        *(uint64_t *) target = 0;
        return 0;
}

static int parse_key_time(const ConfigKey *k, const char *value, void *target) {
        uint64_t v;
        int r = parse_timespan(value, &v);

        if (r >= 0)
                r = check_range(k, v);
        if (r >= 0)
                *(uint64_t *) target = v;
        return r;
}

/* 0 for "off". */
static int parse_key_time_or_off(const ConfigKey *k, const char *value, void *target) {
        if (!streq(value, "off"))
                return parse_key_time(k, value, target);
        *(uint64_t *) target = 0;
        return 0;
}

static int parse_key_count(const ConfigKey *k, const char *value, void *target) {
        uint64_t v;
        int r = parse_u64(value, &v);

        if (r >= 0)
                r = check_range(k, v);
        if (r >= 0)
                *(unsigned *) target = (unsigned) v;
        return r;
}

/* 0 for "off". */
static int parse_key_count_or_off(const ConfigKey *k, const char *value, void *target) {
        if (!streq(value, "off"))
                return parse_key_count(k, value, target);
        *(unsigned *) target = 0;
        return 0;
}

/* "N/span" → microseconds from one to the next, 0 for "unlimited". A span without a number is one
 * of its unit. */
static int parse_key_rate(const ConfigKey *k, const char *value, void *target) {
        char count[24], span[32];
        const char *slash = strchr(value, '/');
        uint64_t n, usec;
        int r;

        if (streq(value, "unlimited")) {
                *(uint64_t *) target = 0;
                return 0;
        }
        if (!slash || (size_t) (slash - value) >= sizeof count)
                return -EINVAL;
        memcpy(count, value, (size_t) (slash - value));
        count[slash - value] = '\0';
        slash++;
        if (strlen(slash) > sizeof span - 2)
                return -EINVAL;
        (void) snprintf(span, sizeof span, "%s%s", isalpha((unsigned char) *slash) ? "1" : "",
                        slash);

        r = parse_u64(count, &n);
        if (r < 0)
                return r;
        r = parse_timespan(span, &usec);
        if (r < 0)
                return r;
        if (n == 0 || usec == USEC_INFINITY)
                return -ERANGE;
        r = check_range(k, usec / n);
        if (r < 0)
                return r;
        *(uint64_t *) target = usec / n;
        return 0;
}

static int parse_key_level(const ConfigKey *k, const char *value, void *target) {
        static const struct {
                const char *name;
                int level;
        } levels[] = {
                { "err", LOG_ERR },   { "error", LOG_ERR },     { "warning", LOG_WARNING },
                { "warn", LOG_WARNING }, { "notice", LOG_NOTICE }, { "info", LOG_INFO },
                { "debug", LOG_DEBUG },
        };

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (streq(value, levels[i].name)) {
                        *(int *) target = levels[i].level;
                        return 0;
                }
        return -EINVAL;
}

/* Whether there is such an account is asked when a board starts: it may be made later. */
static int parse_key_user(const ConfigKey *k, const char *value, void *target) {
        size_t n = strlen(value);

        if (n == 0 || n > USER_NAME_MAX || isdigit((unsigned char) *value) || *value == '-')
                return -EINVAL;
        for (const char *p = value; *p; p++)
                if ((!isalnum((unsigned char) *p) && !strchr("_-.", *p)) ||
                    (unsigned char) *p > 127)
                        return -EINVAL;
        return free_and_strdup(target, value);
}

/* Names as gpio/gpio.h has them. */
static int parse_key_gpio_source(const ConfigKey *k, const char *value, void *target) {
        static const char *const names[] = { "auto", "kernel", "simulated", "off" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(value, names[i])) {
                        *(int *) target = (int) i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_key_boolean(const ConfigKey *k, const char *value, void *target) {
        static const char *const words[][2] = { { "no", "yes" }, { "false", "true" }, { "0", "1" } };

        for (size_t i = 0; i < 2 * ELEMENTSOF(words); i++)
                if (streq(value, words[i / 2][i % 2])) {
                        *(bool *) target = i % 2;
                        return 0;
                }
        return -EINVAL;
}

static int parse_key_command(const ConfigKey *k, const char *value, void *target) {
        return *value ? free_and_strdup(target, value) : -EINVAL;
}

static int parse_key_url(const ConfigKey *k, const char *value, void *target) {
        if (!streq(value, "none") && strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
                return -EINVAL;
        for (const char *p = value; *p; p++)
                if (!isgraph((unsigned char) *p))
                        return -EINVAL;
        return free_and_strdup(target, value);
}

static bool is_line_name(const char *s, size_t n, const char *also) {
        for (size_t i = 0; i < n; i++)
                if (!isgraph((unsigned char) s[i]) || (ispunct((unsigned char) s[i]) && !strchr(also, s[i])))
                        return false;
        return n > 0 && n < 64;
}

static int parse_key_line(const ConfigKey *k, const char *value, void *target) {
        return is_line_name(value, strlen(value), "_-.:+/#") ? free_and_strdup(target, value) : -EINVAL;
}

static int parse_key_level_of_line(const ConfigKey *k, const char *value, void *target) {
        if (!streq(value, "low") && !streq(value, "high"))
                return -EINVAL;
        *(int *) target = streq(value, "high");
        return 0;
}

static int parse_key_bias(const ConfigKey *k, const char *value, void *target) {
        static const char *const words[] = {
                [CONFIG_BIAS_AUTO] = "auto", [CONFIG_BIAS_UP] = "up",
                [CONFIG_BIAS_DOWN] = "down", [CONFIG_BIAS_NONE] = "none",
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(value, words[i])) {
                        *(int *) target = (int) i;
                        return 0;
                }
        return -EINVAL;
}

static int parse_key_reset_kind(const ConfigKey *k, const char *value, void *target) {
        if (!streq(value, "hard") && !streq(value, "soft"))
                return -EINVAL;
        *(int *) target = streq(value, "hard") ? RESET_KIND_HARD : RESET_KIND_SOFT;
        return 0;
}

/* One line, three, or a LED of the kernel's by its path. */
static int parse_key_led(const ConfigKey *k, const char *value, void *target) {
        static const char sysfs[] = "/sys/class/leds/";
        size_t n_lines = 0;

        if (*value == '/') {
                const char *name = value + sizeof sysfs - 1;

                if (strncmp(value, sysfs, sizeof sysfs - 1) != 0 || *name == '.' ||
                    !is_line_name(name, strlen(name), "_-.:+#"))
                        return -EINVAL;
                return free_and_strdup(target, value);
        }
        for (const char *p = value; *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");

                if (!is_line_name(p, n, "_-.:+/#"))
                        return -EINVAL;
                n_lines++;
                p += n;
        }
        return n_lines == 1 || n_lines == 3 ? free_and_strdup(target, value) : -EINVAL;
}

static int parse_key_lines(const ConfigKey *k, const char *value, void *target) {
        for (const char *p = value; *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");

                if (!is_line_name(p, n, "*?_-.:+/#"))
                        return -EINVAL;
                p += n;
        }
        return *value ? free_and_strdup(target, value) : -EINVAL;
}

static int parse_key_safe_state(const ConfigKey *k, const char *value, void *target) {
        for (const char *p = value; *p && !streq(value, "input"); p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");

                if (n < 3 || p[n - 2] != '=' || !strchr("01", p[n - 1]) || !is_line_name(p, n - 2, "_-.:+/#"))
                        return -EINVAL;
                p += n;
        }
        return *value ? free_and_strdup(target, value) : -EINVAL;
}

static int parse_key_defaults(const ConfigKey *k, const char *value, void *target) {
        return *value == '/' || streq(value, "package") ? free_and_strdup(target, value) : -EINVAL;
}

/* What a value must look like, for people; the default follows where it ends in a blank. */
static const char *form_of(const ConfigKey *k) {
        if (k->parse == parse_key_size)
                return "not a size; write bytes or a number with K, M or G, such as ";
        if (k->parse == parse_key_size_or_off)
                return "neither off nor a size; write bytes or a number with K, M or G, such as 16M";
        if (k->parse == parse_key_time)
                return "not a time span; write a number with ms, s, min or h, such as ";
        if (k->parse == parse_key_time_or_off)
                return "neither off nor a time span; write a number with s, min or h, such as 30s";
        if (k->parse == parse_key_count_or_off)
                return "neither off nor a number; write digits only, such as ";
        if (k->parse == parse_key_count)
                return "not a number; write digits only, such as ";
        if (k->parse == parse_key_rate)
                return "not a rate; write unlimited or a number per time, such as 10/min or 1/s";
        if (k->parse == parse_key_level)
                return "not a level; write err, warning, notice, info or debug";
        if (k->parse == parse_key_gpio_source)
                return "not a kind of chip; write auto, kernel, simulated or off";
        if (k->parse == parse_key_boolean)
                return "neither yes nor no";
        if (k->parse == parse_key_command)
                return "empty; write a command for /bin/sh, or none";
        if (k->parse == parse_key_url)
                return "not a URL; write one that begins with http:// or https://, or none";
        if (k->parse == parse_key_led)
                return "not a LED; write a line such as GPIO27, three of them, /sys/class/leds/NAME, or none";
        if (k->parse == parse_key_line)
                return "not the name of a line; write one such as GPIO17, or none";
        if (k->parse == parse_key_level_of_line)
                return "not a level; write low or high";
        if (k->parse == parse_key_bias)
                return "not what holds a line at rest; write auto, up, down or none";
        if (k->parse == parse_key_reset_kind)
                return "not a kind of reset; write hard or soft";
        if (k->parse == parse_key_lines)
                return "not names with a space between; * and ? may be in them, such as ";
        if (k->parse == parse_key_safe_state)
                return "not a state of lines; write input, or lines and their levels, such as GPIO17=0 GPIO27=1";
        if (k->parse == parse_key_defaults)
                return "neither package nor a directory's path, which begins with /";
        return "not the name of an account; write one such as ";
}

static void explain_range(const ConfigKey *k, char *buf, size_t size) {
        char min[TIMESPAN_MAX], max[TIMESPAN_MAX];

        if (k->parse == parse_key_size || k->parse == parse_key_size_or_off) {
                (void) format_size(min, sizeof min, k->min);
                (void) format_size(max, sizeof max, k->max);
        } else if (k->parse == parse_key_count || k->parse == parse_key_count_or_off) {
                (void) snprintf(min, sizeof min, "%ju", (uintmax_t) k->min);
                (void) snprintf(max, sizeof max, "%ju", (uintmax_t) k->max);
        } else {
                (void) format_timespan(min, sizeof min, k->min);
                (void) format_timespan(max, sizeof max, k->max);
        }
        if (k->parse == parse_key_rate)
                (void) snprintf(buf, size,
                                "out of range; from one in %s to one in %s, or unlimited", max,
                                min);
        else if (k->parse == parse_key_time_or_off || k->parse == parse_key_count_or_off ||
                 k->parse == parse_key_size_or_off)
                (void) snprintf(buf, size, "out of range; write %s to %s, or off", min, max);
        else
                (void) snprintf(buf, size, "out of range; write %s to %s, such as %s", min, max,
                                k->default_value);
}

int config_key_set(const ConfigKey *k, const char *value, Config *c,
                   char reason[static CONFIG_REASON_MAX]) {
        int r = k->parse(k, value, (uint8_t *) c + k->offset);

        if (r == -ERANGE) {
                explain_range(k, reason, CONFIG_REASON_MAX);
                return -EINVAL;
        }
        if (r == -EINVAL) {
                const char *form = form_of(k);

                (void) snprintf(reason, CONFIG_REASON_MAX, "%s%s", form,
                                form[strlen(form) - 1] == ' ' ? k->default_value : "");
        }
        return r;
}

const ConfigKey *config_key_find(const char *section, const char *key) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (streq(keys[i].section, section) && streq(keys[i].key, key))
                        return &keys[i];
        return NULL;
}

const char *config_section_find(const char *section) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (streq(keys[i].section, section))
                        return keys[i].section;
        return streq(section, ENVIRONMENT_SECTION) ? ENVIRONMENT_SECTION : NULL;
}

/* A letter as it counts for likeness: no case, and "_" is as good as "-". */
static int fold(char c) {
        return c == '_' ? '-' : tolower((unsigned char) c);
}

/* How many letters must be changed, added, left out or swapped with their neighbour to get from a
 * to b; UINT_MAX for words longer than any key. */
static unsigned distance(const char *a, const char *b) {
        enum { MAX_LENGTH = 32 };
        unsigned rows[3][MAX_LENGTH + 1];
        size_t n = strlen(a), m = strlen(b);
        unsigned *before = rows[0], *last = rows[1], *row = rows[2];

        if (n > MAX_LENGTH || m > MAX_LENGTH)
                return UINT_MAX;
        for (size_t j = 0; j <= m; j++)
                before[j] = last[j] = (unsigned) j;
        for (size_t i = 1; i <= n; i++) {
                unsigned *spare;

                row[0] = (unsigned) i;
                for (size_t j = 1; j <= m; j++) {
                        unsigned differs = fold(a[i - 1]) != fold(b[j - 1]);

                        row[j] = MIN(MIN(last[j], row[j - 1]) + 1, last[j - 1] + differs);
                        if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                            fold(a[i - 2]) == fold(b[j - 1]))
                                row[j] = MIN(row[j], before[j - 2] + 1);
                }
                spare = before;
                before = last;
                last = row;
                row = spare;
        }
        return last[m];
}

/* A third of the letters may be wrong. */
static bool is_near(unsigned d, const char *word) {
        return d <= MAX(strlen(word) / 3, (size_t) 1);
}

const char *config_section_nearest(const char *section) {
        const char *nearest = NULL;
        unsigned least = distance(section, ENVIRONMENT_SECTION);

        if (is_near(least, ENVIRONMENT_SECTION))
                nearest = ENVIRONMENT_SECTION;
        else
                least = UINT_MAX;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                unsigned d = distance(section, keys[i].section);

                if (d < least && is_near(d, keys[i].section)) {
                        least = d;
                        nearest = keys[i].section;
                }
        }
        return nearest;
}

const ConfigKey *config_key_nearest(const char *section, const char *key) {
        const ConfigKey *nearest = config_key_find(section, key);
        unsigned least = UINT_MAX;

        /* In another section, but the very word; else one of this section that is like it. */
        for (size_t i = 0; !nearest && i < ELEMENTSOF(keys); i++)
                if (distance(key, keys[i].key) == 0)
                        nearest = &keys[i];
        if (nearest)
                return nearest;
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                unsigned d = distance(key, keys[i].key);

                if (streq(keys[i].section, section) && d < least && is_near(d, keys[i].key)) {
                        least = d;
                        nearest = &keys[i];
                }
        }
        return nearest;
}
