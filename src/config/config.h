/* SPDX-License-Identifier: MIT */
/* mpyd.conf and its drop-ins → struct Config. A line that is wrong is reported with file, line, key
 * and what would be right; its key keeps the default and the board runs all the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/macros.h"

/* What holds a button's line at rest. */
typedef enum ConfigBias {
        CONFIG_BIAS_AUTO = 0, /* the machine's own resistor, away from the pressed level */
        CONFIG_BIAS_UP,
        CONFIG_BIAS_DOWN,
        CONFIG_BIAS_NONE,     /* there is one outside */
} ConfigBias;

typedef struct Config {
        struct {
                uint64_t heap;              /* bytes; 1M; 32K..heap_max */
                uint64_t heap_max;          /* bytes; 64M */
                uint64_t flash_quota;       /* bytes, of the flash directory; 0 for off */
                char *user;                 /* whom the board runs as when mpyd is root; "mpyd" */
                uint64_t start_timeout_usec; /* to the board's first stage; 10s */
                uint64_t memory_max;        /* bytes, of its cgroup; 256M */
                unsigned tasks_max;         /* threads and processes, of its cgroup; 64 */
                char *defaults;             /* directory of what a factory reset puts on the flash, or "package" */
        } board;
        struct {
                uint64_t interrupt_timeout_usec; /* after KeyboardInterrupt; 2s */
                uint64_t abort_timeout_usec;     /* after VM abort; 1s */
        } stop;
        struct {
                unsigned burst;             /* resets at once; 20 */
                uint64_t interval_usec;     /* one more each; from `rate`, e.g. "1/s"; 1s */
                uint64_t backoff_min_usec;  /* a board that fails to start; 1s */
                uint64_t backoff_max_usec;  /* 60s */
                char *button;               /* a line, or "none"; "none" */
                int button_active;          /* the level of a pressed one; low */
                int button_bias;            /* ConfigBias; auto */
                uint64_t button_debounce_usec; /* 20ms */
                int button_press;           /* ResetKind of a short press; hard */
                uint64_t button_long_usec;  /* held so long it means safe mode; 3s */
        } reset;
        struct {
                uint64_t stall_after_usec;  /* 0: off */
        } watchdog;
        struct {
                uint64_t after_exception_usec; /* 0: off; 30s */
                unsigned reloads;           /* 3 */
                uint64_t idle_restart_usec; /* 0: off; 15min */
        } recovery;
        struct {
                unsigned strikes;           /* abnormal ends that lead to it, 0: off; 10 */
                uint64_t stable_after_usec; /* running so long forgives them; 10min */
                uint64_t retry_min_usec;    /* 1h */
                uint64_t retry_max_usec;    /* 24h */
                char *button;               /* held at boot: a line, or "none"; "none" */
                int button_active;          /* the level of a pressed one; low */
                int button_bias;            /* ConfigBias; auto */
                uint64_t button_debounce_usec; /* 20ms */
                bool button_enabled;        /* yes */
                uint64_t hold_usec;         /* held so long at boot it means safe mode; 1s */
                uint64_t factory_hold_usec; /* and so long a factory reset, 0: off; 10s */
        } safe_mode;
        struct {
                bool reboot;                /* as the last resort; no */
                uint64_t reboot_interval_usec; /* from `reboot-budget`, e.g. "1/24h"; 24h */
                uint64_t min_uptime_usec;   /* of the host, before one; 10min */
        } host;
        struct {
                char *command;              /* for /bin/sh, or "none"; "none" */
                char *url;                  /* http or https, or "none"; "none" */
                char *events;               /* names, patterns of fnmatch(3), a space between */
        } notify;
        struct {
                int source;                 /* GpioSource; auto */
        } gpio;
        struct {
                char *line;                 /* a line, or "none"; "none" */
                int active;                 /* the level that lights it; high */
        } led;
        struct {
                char *allow;                /* names, patterns of fnmatch(3), a space between; "*" */
                char *reserve;              /* the same, of those not for scripts; "none" */
                char *safe_state;           /* "input", or NAME=0, NAME=1 …: what a hard reset sets; "input" */
        } pins;
        struct {
                uint64_t max_size;          /* bytes; 16M */
                uint64_t commit_timeout_usec; /* how long a board waits at the door; 500ms */
        } history;
        struct {
                uint64_t stall_timeout_usec; /* a console client that does not read; 500ms */
        } console;
        struct {
                int level;                  /* syslog priority; info */
                unsigned script_burst;      /* lines of scripts at once; 1000 */
                uint64_t script_interval_usec; /* one more each; from `script-rate`; 10ms */
        } log;

        char **environment; /* NULL-terminated, NAME=value: what programs find with os.getenv() */
        size_t n_environment;

        char **warnings; /* NULL-terminated, each one line, for status and doctor */
        size_t n_warnings;
} Config;

/* Reads path (missing is fine unless required) and then path + ".d/" *.conf in order of name. Never
 * fails for content; -ENOMEM only. Problems are in ret->warnings ("file:line: [section] key:
 * …"). */
int config_load(const char *path, bool required, Config *ret) _must_check_;
void config_done(Config *c);

/* Every key, once: defaults, parsing, documentation and the example file come from this table. */
typedef struct ConfigKey ConfigKey;
struct ConfigKey {
        const char *section;
        const char *key;
        const char *default_value;
        const char *meaning; /* one line */

        /* For config.c. Writes the value into target, which lies at offset in a Config. Answers
         * -EINVAL for a wrong form, -ERANGE outside of min..max, -ENOMEM; target is untouched
         * then. */
        int (*parse)(const ConfigKey *key, const char *value, void *target);
        size_t offset;
        uint64_t min, max; /* in the unit of the value: bytes, microseconds, a plain number */
};
const ConfigKey *config_keys(size_t *ret_n);
