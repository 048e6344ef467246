/* SPDX-License-Identifier: MIT */
/* What the supervisor's own files share: supervisor.c puts the life cycle into effect,
 * supervisor-setup.c makes and frees it, supervisor-control.c answers operators, supervisor-board.c has the
 * process and supervisor-record.c its history, supervisor-watchdog.c keeps the time of watchdogs. */
#pragma once

#include "daemon/action.h"
#include "daemon/supervisor.h"
#include "mpyd/journal.h"
#include "util/parse.h"

#define KILL_TIMEOUT_USEC (5 * USEC_PER_SEC) /* SIGKILL to "it hangs in the kernel" */

LifeNow supervisor_now(void);

/* Feeds the life cycle and does what it answers. */
void supervisor_dispatch(Supervisor *s, const LifeEvent *e);

/* The board's process: supervisor-board.c. */
void supervisor_board_spawn(Supervisor *s); /* or reports that it failed */
void supervisor_board_boot(Supervisor *s);  /* the door opens */
void supervisor_board_kill(Supervisor *s);
void supervisor_board_report_stuck(Supervisor *s);
/* Takes charge of a board that an earlier run of the daemon has left behind; false when there is none. */
bool supervisor_adopt_board(Supervisor *s);
/* To the board, when there is one. */
void supervisor_send(Supervisor *s, const LinkMessage *m);
/* The directory that scripts see as "/", O_PATH; made when it is missing. A descriptor or an error. */
int supervisor_open_flash(Supervisor *s) _must_check_;

/* What is kept of a life's end: supervisor-record.c. */
void supervisor_record(Supervisor *s);     /* life->next: the reset, and why; LIFE_EVENT_RECORDED follows */
void supervisor_record_is_late(Supervisor *s);
void supervisor_record_end(Supervisor *s); /* it sleeps, or mpyd stops */
void supervisor_record_exception(Supervisor *s, BoardStage stage, const char *traceback);

/* Watchdogs and the VM's progress: supervisor-watchdog.c. */
int supervisor_watchdog_new(Supervisor *s) _must_check_;
void supervisor_watchdog_done(Supervisor *s);
void supervisor_watchdog_spawn(Supervisor *s);  /* a board starts */
void supervisor_watchdog_follow(Supervisor *s); /* after each event of the life cycle */
/* Nothing bites for so long, CONTROL_SUSPEND_MAX_USEC at most; 0: they count again. who: "mpyctl (pid 12, uid 0)". */
void supervisor_watchdog_suspend(Supervisor *s, uint64_t usec, const char *who);
void supervisor_watchdog_host_sleeps(Supervisor *s, bool begins);
uint64_t supervisor_watchdog_suspended_usec(const Supervisor *s); /* how long yet; 0: they count */
void supervisor_watchdog_set(Supervisor *s, const LinkWatchdog *m);
void supervisor_on_awake(Supervisor *s);
/* How long ago the timer was set or fed. */
uint64_t supervisor_watchdog_fed_usec(Supervisor *s, WatchdogId id);

/* Strikes and safe mode: supervisor-safe-mode.c. */
int supervisor_safe_mode_new(Supervisor *s) _must_check_;
void supervisor_safe_mode_done(Supervisor *s);
void supervisor_safe_mode_decide(Supervisor *s, bool oom); /* about life->next, before it is recorded */
void supervisor_safe_mode_end(Supervisor *s);    /* a life has ended and no other follows at once */
void supervisor_safe_mode_follow(Supervisor *s); /* after each event of the life cycle */
void supervisor_safe_mode_reload(Supervisor *s);
/* By a hard reset. who: "root (pid 12)". -EBUSY when no board can be reset now, -EALREADY, -EEXIST when
 * the flag holds it (s->safe_mode_flag). */
/* A person at the board has chosen, for the board that starts next; NONE: out of safe mode, and nothing is held
 * against the program. */
void supervisor_safe_mode_choose(Supervisor *s, SafeModeDoor door);
int supervisor_safe_mode_ask(Supervisor *s, bool enter, SafeModeDoor door, const char *who) _must_check_;

#define GPIO_CONSUMER "mpyd" /* who uses a line, for others */

/* GPIO lines: supervisor-pins.c. */
/* A pulse at a line that nobody holds. who: "asked for by …". -ENOENT, -EBUSY (holder), -ERANGE, -EMFILE: too
 * many at a time; or what the kernel says. */
int supervisor_pulse(Supervisor *s, const char *line, bool high, uint64_t usec, const char *who,
                     char holder[static GPIO_NAME_MAX]) _must_check_;
void supervisor_pulses_done(Supervisor *s);
int supervisor_pins_new(Supervisor *s) _must_check_;
void supervisor_pins_done(Supervisor *s);             /* to their safe state, and released */
void supervisor_pins_ask(Supervisor *s, const LinkPin *m);
void supervisor_pins_tell_names(Supervisor *s, const LinkPinNames *m);
void supervisor_pins_wake(Supervisor *s, const LinkPinWake *m); /* the sleep that comes next ends by this line */
int supervisor_pins_list(Supervisor *s, void (*each)(void *data, const GpioLineInfo *info, int level),
                         void *data) _must_check_;
void supervisor_pins_note(const Supervisor *s);       /* which lines are held, for the run after a crash */
void supervisor_pins_reset(Supervisor *s, ResetKind kind); /* a life has ended: this kind of reset follows */

/* Between a hard reset and its board: supervisor-boot.c. */
int supervisor_boot_new(Supervisor *s) _must_check_;
void supervisor_boot_done(Supervisor *s);
bool supervisor_boot_hold(Supervisor *s);           /* true: the board does not start now, HOLD was said */
void supervisor_boot_factory_reset_over(Supervisor *s);
LedState supervisor_boot_led(const Supervisor *s);  /* INVALID: it does not care */

/* The factory reset: supervisor-factory-reset.c. */
int supervisor_factory_reset_new(Supervisor *s) _must_check_;
void supervisor_factory_reset_done(Supervisor *s);
void supervisor_factory_reset_want(Supervisor *s, FactoryResetErase erase, const char *who);
bool supervisor_factory_reset_begin(Supervisor *s); /* true: one was wanted and is under way */
/* By a hard reset. -EBUSY when no board can be reset now. */
int supervisor_factory_reset_ask(Supervisor *s, bool wipe, bool keep_config, const char *who) _must_check_;

/* Reset button and status LED: supervisor-panel.c. */
/* A button's line, watched; bias: ConfigBias. NULL when there is none or it cannot be had: *problem (NULL: it was well before) says
 * why and is told when it begins. key: where it is configured. */
GpioRequest *supervisor_panel_button(Supervisor *s, const char *key, const char *line, int bias, int active,
                                     GpioOnEdge cb, char **problem);
int supervisor_panel_new(Supervisor *s) _must_check_;
void supervisor_panel_done(Supervisor *s);
void supervisor_panel_boot(Supervisor *s, ResetKind kind); /* a reset is decided */
void supervisor_panel_stage_end(Supervisor *s, BoardStage stage, StageResult result);
void supervisor_panel_follow(Supervisor *s); /* after each event of the life cycle */
/* A program wants the line: until the next hard reset it is not ours. */
void supervisor_panel_give_led(Supervisor *s, const char *name);

/* A program that nobody looks after: supervisor-recovery.c. */
int supervisor_recovery_new(Supervisor *s) _must_check_;
void supervisor_recovery_done(Supervisor *s);
void supervisor_recovery_begin(Supervisor *s);   /* a reset is decided */
void supervisor_recovery_stage_end(Supervisor *s, BoardStage stage, StageResult result);
void supervisor_recovery_repl(Supervisor *s);    /* the REPL begins */
void supervisor_recovery_user(void *userdata, bool in_use);
void supervisor_recovery_reload(Supervisor *s);
uint64_t supervisor_repl_word(const Supervisor *s); /* RETAINED_WORD_REPL; 0 while the board is not at its REPL */
bool supervisor_repl_runs(const Supervisor *s);     /* code that somebody has entered */
bool supervisor_repl_used(void *userdata);          /* its user, who is there, has run code or does so */

/* Telling the owner: supervisor-notify.c. */
int supervisor_notify_new(Supervisor *s) _must_check_;
void supervisor_notify_done(Supervisor *s);
/* -ENOENT when nobody is to be told ([notify]). who: "root (pid 12)"; text may be empty. */
int supervisor_notify_test(Supervisor *s, const char *who, const char *text) _must_check_;

/* How mpyd-action is reached. */
ActionDoor supervisor_action_door(const Supervisor *s);

/* usec: UINT64_MAX for off. */
void supervisor_set_timer(sd_event_source *timer, uint64_t usec);

/* The host around the board: supervisor-host.c. */
int supervisor_host_begin(Supervisor *s) _must_check_; /* decides s->why, with its evidence */
void supervisor_host_ended(Supervisor *s);             /* in good order */
void supervisor_host_done(Supervisor *s);
void supervisor_host_watch_power(Supervisor *s);
void supervisor_host_look(Supervisor *s);
/* The last resort, where [host] allows it. */
void supervisor_host_follow(Supervisor *s);    /* after each event of the life cycle */
void supervisor_host_reload(Supervisor *s);    /* new configuration */
/* None for so long, CONTROL_SNOOZE_MAX_USEC at most; 0 takes it back. Kept over a restart of the daemon. */
void supervisor_host_snooze(Supervisor *s, uint64_t usec, const char *who);

/* Keys that are taken once and not when the configuration is reloaded: supervisor-pending.c. */
typedef enum ConfigTaken {
        CONFIG_TAKEN_AT_START = 0, /* of mpyd; all others then, too */
        CONFIG_TAKEN_AT_HARD_RESET,
        CONFIG_TAKEN_AT_SPAWN,     /* of a board's process */
        CONFIG_TAKEN_AT_BOOT,      /* when it is told */
} ConfigTaken;
/* They are in effect as they are configured now. */
void supervisor_config_taken(Supervisor *s, ConfigTaken when);
/* Those that are configured otherwise than they are in effect. */
void supervisor_config_tell_pending(const Supervisor *s, ReloadNote note, void *data);

/* Handlers that supervisor-setup.c installs. */
int supervisor_on_life_timer(sd_event_source *source, uint64_t usec, void *userdata);
void supervisor_on_console_sync(void *userdata);
void supervisor_on_log(void *userdata, uint64_t realtime_usec, int level, bool script,
                       const char *ident, const char *message);
void supervisor_on_history_report(void *userdata, JournalEvent event, const char *message);

/* ServiceCheck: NULL when the supervisor does what it should. */
const char *supervisor_check(void *userdata);

ControlBackend supervisor_control_backend(Supervisor *s);
