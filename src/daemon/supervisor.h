/* SPDX-License-Identifier: MIT */
/* Owns everything that outlives a board and carries out what the life cycle decides. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "daemon/board-process.h"
#include "daemon/cgroup.h"
#include "daemon/console.h"
#include "daemon/control-server.h"
#include "daemon/lifecycle.h"
#include "daemon/log-ring.h"
#include "daemon/recovery.h"
#include "daemon/safe-mode.h"
#include "daemon/service.h"
#include "daemon/system-bus.h"
#include "daemon/stall.h"
#include "daemon/watchdog.h"
#include "gpio/boot-button.h"
#include "gpio/gpio.h"
#include "gpio/led-pattern.h"
#include "gpio/reset-button.h"
#include "gpio/status-led.h"
#include "history/history.h"
#include "host/evidence.h"
#include "host/host-facts.h"
#include "host/run-mark.h"
#include "host/safe-mode-flag.h"
#include "mpyd/action.h"
#include "util/macros.h"
#include "util/rate-limit.h"

typedef struct sd_event sd_event;
typedef struct sd_event_source sd_event_source;
typedef struct sd_bus_message sd_bus_message;

#define CONFIG_PENDING_MAX 9u /* keys, or groups of them, that a reload does not put into effect */

/* What keeps the board that comes next. */
typedef enum BootPhase {
        BOOT_PHASE_NONE = 0,
        BOOT_PHASE_BUTTON,             /* the safe-mode button is held */
        BOOT_PHASE_FACTORY_RESET,
        BOOT_PHASE_OVER,               /* it starts now */
} BootPhase;

typedef struct SupervisorOptions {
        const char *config_path;
        bool config_required;    /* it was named on the command line */
        const char *state_dir;
        const char *run_dir;
        const char *board_path;  /* executable of mpyd-board */
        const char *action_path; /* of mpyd-action, where systemd does not start it */
        const char *host_root;   /* where proc and sys of the host are: / */
} SupervisorOptions;

typedef struct Supervisor {
        SupervisorOptions options;
        Config config;
        sd_event *event;

        Service *service;
        Cgroup *cgroup;                  /* NULL: none of our own */
        RunStart why;                    /* this run of the daemon */
        sd_event_source *lasted_timer;
        uint64_t hand_over_until_usec;   /* CLOCK_BOOTTIME: a stop before it is a hand-over */
        bool hands_over;                 /* this stop leaves all that it can to the next run */
        ResetReason reason_before_stop;

        Life life;
        sd_event_source *life_timers[2]; /* by LifeClock: monotonic, boot time */
        BoardProcess *board;
        Console *console;
        ControlServer *control;
        SystemBus *system_bus;           /* NULL: in the foreground */
        History *history;
        LogRing log;
        RateLimit board_log_limit;

        SafeMode safe_mode;
        char safe_mode_flag[SAFE_MODE_FLAG_MAX]; /* which one is there, as last seen */
        sd_event_source *safe_mode_timers[2]; /* monotonic, boot time */
        int mark_fd;                   /* eventfd: a mark with strikes is durable */
        sd_event_source *mark_source;
        unsigned n_marks_pending;
        bool had_board;                /* a board has begun in this run of the daemon */
        bool host_booted;              /* this run is the first one since then */
        SafeModeReason host_fault;     /* why the host went down, when a program may have caused it */

        Recovery recovery;
        sd_event_source *recovery_timer;
        bool recovering;               /* the next reset is its work */
        bool recovery_gave_up;         /* and is a strike */

        struct Notify *notify;

        HostMark host_mark;
        uint64_t snooze_until_usec;    /* CLOCK_BOOTTIME: no reboot of the host before */
        sd_event_source *reboot_timer; /* for when one is allowed */
        struct Action *reboot;         /* it is being asked for */
        const char *reboot_reason;     /* why it is wanted; NULL: it is not */
        bool reboot_told;              /* that it waits */
        int host_root_fd, state_dir_fd;
        sd_event_source *power_sources[HOST_POWER_FILES_MAX];
        Evidence evidence;             /* of the start, until it is recorded */
        char *last_words;              /* of this life's port, when it gives up */
        int64_t oom_kills;             /* the kernel's count at the last hard reset */

        Gpio *gpio;
        struct HeldPin *pins;          /* lines that a board has asked for, or that have a safe level */
        size_t n_pins;
        struct GpioPulse **pulses;     /* that are not over yet */
        size_t n_pulses;
        sd_event_source *wake_source;  /* one of them has ended the deep sleep */
        char wake_detail[96];

        struct {                       /* supervisor-boot.c */
                BootPhase phase;
                GpioRequest *button;   /* NULL: none, or it cannot be had */
                BootButton policy;
                BootButtonChoice would; /* BUTTON: what letting go selects */
                sd_event_source *timer;
                char *problem;         /* with the button, as a line; NULL: none */
        } boot;

        struct {                       /* supervisor-factory-reset.c */
                bool wanted;           /* by the next hard reset */
                FactoryResetErase erase;
                bool keep_config;
                char who[96];
                struct Action *action; /* it is being done, or room is being made */
                sd_event_source *room_timer;
                char result[400];      /* of the last one, as a sentence; empty: none in this run */
        } factory_reset;

        GpioRequest *button;           /* NULL: none, or it cannot be had */
        StatusLed *led;                /* the same */
        char *button_problem, *led_problem; /* why not, as a line; NULL: all is well */
        ResetButton reset_button;
        bool reset_by_button;          /* the reset that comes now */
        sd_event_source *button_timer, *led_timer;
        LedState led_state;
        uint64_t led_begin_usec;
        int led_colours;               /* as shown; -1: not yet */
        bool main_ended;               /* in this life */
        StageResult main_result;

        Watchdog watchdog;
        Stall stall;
        bool suspension_told;                  /* an operator's, whose end is told too */
        sd_event_source *watchdog_timer, *stall_timer;
        bool vm_watched;
        unsigned n_stalls;             /* of this life */
        uint64_t stalled_boottime_usec; /* since when; 0: it goes on */

        char boot_id[33];
        char *flash_dir, *history_path, *repl_link;
        int lock_fd, run_dir_fd, retained_fd;
        void *retained;
        bool change_user;
        uid_t board_uid;
        gid_t board_gid;

        const char *confinement;       /* of scripts: "ok", or what is missing; static */
        bool history_held;             /* until the board that starts is on its way */
        struct Recording *recording;   /* of the current reset, while it is not durable */
        BoardStage ended_stage;        /* whose end has been told */
        char *traceback;               /* of the life that runs */
        char *last_traceback;          /* of any life, but of no interrupt */
        uint64_t last_traceback_usec;  /* CLOCK_REALTIME */
        LifeReset shown;               /* what began the life that runs, or ran last */
        char *last_reset;              /* a sentence */
        uint64_t started_realtime_usec;
        uint64_t board_realtime_usec, stage_boottime_usec;
        uint64_t heap_max, flash_quota; /* in force: what the board was told, and not what was reloaded since */
        uint64_t config_taken[CONFIG_PENDING_MAX]; /* fingerprints: supervisor-pending.c */
        LifeState shown_state;
        BoardStage shown_stage;
} Supervisor;

/* Takes the state directory, opens everything, powers the board on. Logs its own failures. */
int supervisor_new(Supervisor **ret, sd_event *event, const SupervisorOptions *options) _must_check_;
Supervisor *supervisor_free(Supervisor *s);
DEFINE_CLEANUP(Supervisor *, supervisor_free)

/* The board is powered on and the doors are open: the service manager may know. */
int supervisor_ready(Supervisor *s) _must_check_;

/* Ends the board, then the event loop. A second call does not wait for its good will. */
void supervisor_stop(Supervisor *s);

/* Reads the configuration again: what can be applied while running is. note (or NULL) gets a line for each
 * mistake in it and for what waits for a reset or a restart. A file that cannot be read changes nothing. */
typedef void (*ReloadNote)(void *data, bool mistake, const char *line);
int supervisor_reload(Supervisor *s, ReloadNote note, void *data);

/* Appends a property of control.h to reply: supervisor-status.c. */
int supervisor_property(void *userdata, const char *name, sd_bus_message *reply);

/* One line for `systemctl status`. */
void supervisor_describe(const Supervisor *s, char *buf, size_t size);
