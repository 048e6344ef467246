/* SPDX-License-Identifier: MIT */
/* The board's life put into effect: events from the process, the timers, the history and the operator
 * go to lifecycle.c; what it answers is done here, and each reset is told once. */
#include "daemon/supervisor-private.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/journal.h"
#include "daemon/reset-evidence.h"
#include "host/board-mark.h"
#include "host/host-facts.h"
#include "host/host.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/text.h"

#define DEADLINE_LATE_USEC (5 * USEC_PER_SEC) /* then the loop is ill, not busy */

LifeNow supervisor_now(void) {
        return (LifeNow) {
                .monotonic_usec = now_usec(CLOCK_MONOTONIC),
                .boottime_usec = now_usec(CLOCK_BOOTTIME),
        };
}

void supervisor_set_timer(sd_event_source *timer, uint64_t usec) {
        if (usec == UINT64_MAX) {
                (void) sd_event_source_set_enabled(timer, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(timer, usec);
        (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* ---- recording a reset ---- */

typedef struct Recording {
        Supervisor *supervisor;
        bool late; /* its board was let in without it */
} Recording;

static void on_recorded(void *userdata, int64_t id) {
        _cleanup_free_ Recording *rec = userdata;
        Supervisor *s = rec->supervisor;

        if (!s->history) /* answers on the way out */
                return;
        if (rec->late && id > 0)
                (void) history_mark_late(s->history, id);
        if (rec != s->recording)
                return; /* of a life that is over already */
        s->recording = NULL;
        if (s->n_marks_pending == 0) /* strikes are durable too */
                supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_RECORDED });
}

static void describe_reset(const LifeReset *r, char *buf, size_t size) {
        char span[TIMESPAN_MAX];

        if (r->ended_stage == BOARD_STAGE_OFF && r->ended_uptime_usec == 0)
                (void) snprintf(buf, size, "%s: %s", reset_cause_to_string(r->cause), r->detail);
        else
                (void) snprintf(buf, size, "%s: %s, after %s", reset_cause_to_string(r->cause),
                                r->detail,
                                format_timespan(span, sizeof span, r->ended_uptime_usec));
}

/* One line in the journal about the end of a life, and what came of it. */
static void tell_end(JournalEvent event, const LifeReset *r, const char *text) {
        bool begins = event == JOURNAL_RESET || event == JOURNAL_CRASH || event == JOURNAL_WATCHDOG;
        char signal[16], status[16], uptime[24];
        const char *fields[] = {
                "MPYD_RESET_DETAIL", r->detail,
                "MPYD_STAGE",        board_stage_to_string(r->ended_stage),
                "MPYD_UPTIME_USEC",  uptime,
                "MPYD_EXIT_STATUS",  r->ended_exit_status >= 0 ? status : NULL,
                "MPYD_SIGNAL",       r->ended_signal > 0 ? signal : NULL,
                begins ? "MPYD_RESET_CAUSE" : NULL, /* only of what begins: the list ends here else */
                reset_cause_to_string(r->cause),
                "MPYD_RESET_REASON", reset_reason_to_string(r->reason),
                "MPYD_RESET_KIND",   reset_kind_to_string(r->kind),
                "MPYD_RUN_REASON",   run_reason_to_string(r->run_reason),
                NULL,
        };

        (void) snprintf(uptime, sizeof uptime, "%" PRIu64, r->ended_uptime_usec);
        (void) snprintf(signal, sizeof signal, "%d", r->ended_signal);
        (void) snprintf(status, sizeof status, "%d", r->ended_exit_status);
        journal_log(event, fields, "%s.", text);
}

static void tell_reset(Supervisor *s, const LifeReset *r) {
        char text[LIFE_DETAIL_MAX + 96];

        describe_reset(r, text, sizeof text);
        tell_end(r->cause == RESET_CAUSE_WDT ? JOURNAL_WATCHDOG
                 : r->crashed                ? JOURNAL_CRASH
                                             : JOURNAL_RESET,
                 r, text);
        (void) free_and_strdup(&s->last_reset, text);
        control_server_emit_reset(s->control, reset_cause_to_string(r->cause), r->detail);
        system_bus_emit(s->system_bus, "BoardReset", reset_cause_to_string(r->cause), r->detail);
}

/* Why the reset is what it is, as JSON; the caller frees it. */
static char *take_evidence(Supervisor *s, const LifeReset *next, bool oom) {
        BoardEnd end = { .last_words = s->last_words, .oom = oom };
        Evidence e = s->evidence.n > 0 ? s->evidence : reset_evidence(next, &end);

        s->evidence = (Evidence) {}; /* of the daemon's start: told once */
        return evidence_to_json(&e);
}

/* What life->next says of the life that ended, stamped with now. The traceback is that life's. */
static HistoryRecord make_record(Supervisor *s) {
        const LifeReset *next = &s->life.next;
        HistoryRecord r = {
                .detail = (char *) next->detail,
                .stage = next->ended_stage,
                .exit_status = next->ended_exit_status,
                .signal = next->ended_signal,
                .uptime_usec = next->ended_uptime_usec,
                .traceback = s->traceback,
                .crashed = next->crashed,
                .realtime_usec = now_usec(CLOCK_REALTIME),
                .boottime_usec = now_usec(CLOCK_BOOTTIME),
                .clock_synced = host_clock_synced(),
        };

        memcpy(r.boot_id, s->boot_id, sizeof r.boot_id);
        return r;
}

static void do_record(Supervisor *s) {
        const LifeReset *next = &s->life.next;
        /* The kernel kills with SIGKILL; for other ends, and every soft reset is one, the file is not read. */
        bool oom = next->crashed && next->ended_signal == SIGKILL && s->oom_kills >= 0 &&
                   host_facts_oom_kills(s->host_root_fd) > s->oom_kills;
        _cleanup_free_ char *evidence = take_evidence(s, next, oom);
        HistoryRecord r = make_record(s);
        Recording *rec = malloc(sizeof *rec);
        int q;

        s->shown = *next;
        r.cause = next->cause;
        r.reason = next->reason;
        r.kind = next->kind;
        r.run_reason = next->run_reason;
        r.delayed = next->delayed;
        r.evidence = evidence;
        tell_reset(s, next);
        supervisor_pins_reset(s, next->kind);
        supervisor_safe_mode_decide(s, oom);
        supervisor_recovery_begin(s);
        supervisor_panel_boot(s, next->kind);
        if (next->kind == RESET_KIND_SOFT) { /* nobody waits for its row, and the board wants to start */
                s->history_held = true;
                history_hold(s->history, true);
        }
        q = rec ? 0 : -ENOMEM;
        if (q >= 0) {
                *rec = (Recording) { .supervisor = s };
                q = history_add(s->history, &r, on_recorded, rec);
        }
        s->recording = q >= 0 ? rec : NULL;
        if (q < 0) {
                free(rec);
                (void) journal_log_errno(JOURNAL_RECORD_FAILED, q,
                                         "Failed to record this reset, booting all the same: %m");
                /* Nothing will answer: the commit timeout opens the door. */
        }
        free(s->traceback);
        s->traceback = NULL;
        free(s->last_words);
        s->last_words = NULL;
}

/* It sleeps, or mpyd stops: when another board starts, and whether one does, nobody knows yet. */
static void do_record_end(Supervisor *s) {
        JournalEvent event = s->life.state == LIFE_DEEP_SLEEP ? JOURNAL_DEEP_SLEEP : JOURNAL_BOARD_STOP;
        char text[LIFE_DETAIL_MAX + 96], span[TIMESPAN_MAX];
        HistoryRecord r = make_record(s);
        int q;

        supervisor_pins_reset(s, RESET_KIND_HARD);
        supervisor_safe_mode_end(s);
        r.name = (char *) journal_event_to_string(event);
        (void) snprintf(text, sizeof text, "The board has ended: %s, after %s", r.detail,
                        format_timespan(span, sizeof span, r.uptime_usec));
        tell_end(event, &s->life.next, text);
        q = history_add(s->history, &r, NULL, NULL);
        if (q < 0)
                (void) journal_log_errno(JOURNAL_RECORD_FAILED, q,
                                         "Failed to record how this board ended, ignoring: %m");
        free(s->traceback);
        s->traceback = NULL;
}

/* ---- starting a board ---- */

static void on_message(void *userdata, const LinkMessage *m);

static const char *board_pid_text(const Supervisor *s, char buf[static 16]) {
        (void) snprintf(buf, 16, "%d", (int) board_process_pid(s->board));
        return buf;
}

static void on_fault(void *userdata, const char *what) {
        Supervisor *s = userdata;
        char pid[16];

        board_process_end_link(s->board);
        journal_log(JOURNAL_BOARD_FAULT,
                    (const char *const[]) {
                            "MPYD_STAGE", board_stage_to_string(s->life.stage),
                            "MPYD_BOARD_PID", board_pid_text(s, pid), NULL,
                    },
                    "The board broke the rules of its link: %s; killing it.", what);
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_FAULT, .detail = what });
}

static void on_exited(void *userdata, int exit_status, int signal) {
        Supervisor *s = userdata;
        bool ran_out;

        console_detach_board(s->console, true);
        s->board = board_process_free(s->board);
        (void) cgroup_board_kill(s->cgroup); /* nothing that it started lives on */
        ran_out = cgroup_board_ran_out(s->cgroup) && signal == SIGKILL;
        supervisor_dispatch(s, &(LifeEvent) {
                            .type = LIFE_EVENT_EXITED,
                            .exit_status = exit_status,
                            .signal = signal,
                            .detail = ran_out ? "the kernel killed it for want of memory "
                                                "([board] memory-max, or the host's)"
                                              : s->last_words,
                    });
}

void supervisor_on_console_sync(void *userdata) {
        Supervisor *s = userdata;

        if (s->board)
                board_process_drain_link(s->board);
}

/* The board has all rights on its directory, as owner or, where the service may not give things away
 * (systemd/mpyd.service.in), by its group. setgid keeps what is copied in the board's; it is refused
 * in that sandbox too, and the package makes the directory with it. */
static int give_flash(Supervisor *s) {
        if (chown(s->flash_dir, s->board_uid, s->board_gid) < 0 &&
            (errno != EPERM || chown(s->flash_dir, (uid_t) -1, s->board_gid) < 0))
                return -errno;
        if (chmod(s->flash_dir, 02770) < 0 && (errno != EPERM || chmod(s->flash_dir, 0770) < 0))
                return -errno;
        return 0;
}

/* Everything that scripts see as "/". It is made when it is missing (S29), here because its parent
 * belongs to us and not to the board. */
int supervisor_open_flash(Supervisor *s) {
        int fd = open(s->flash_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT && mkdir(s->flash_dir, 0770) >= 0) {
                int r = s->change_user ? give_flash(s) : 0;

                if (r < 0)
                        return r;
                fd = open(s->flash_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        }
        return fd < 0 ? -errno : fd;
}

static BoardHandlers board_handlers(Supervisor *s) {
        return (BoardHandlers) {
                .message = on_message,
                .fault = on_fault,
                .exited = on_exited,
                .userdata = s,
        };
}

bool supervisor_adopt_board(Supervisor *s) {
        BoardHandlers h = board_handlers(s);
        char number[16];
        pid_t pid = 0;
        int fd = board_mark_find(s->run_dir_fd, s->boot_id, &pid), r;

        if (fd < 0) {
                if (fd != -ENOENT && fd != -ESRCH)
                        log_warning_errno(fd, "Failed to see whether a board of an earlier run still "
                                              "lives, going on without: %m");
                return false;
        }
        (void) snprintf(number, sizeof number, "%d", (int) pid);
        journal_log(JOURNAL_BOARD_LEFT_BEHIND, (const char *const[]) { "MPYD_BOARD_PID", number, NULL },
                    "The board of an earlier run of mpyd (pid %s) still lives; killing it before a new "
                    "one is started.", number);
        r = board_process_adopt(&s->board, s->event, pid, fd, s->cgroup, &h);
        if (r < 0)
                log_error_errno(r, "Failed to watch that board, going on without: %m");
        return r >= 0;
}

static LinkMessage boot_message(const Supervisor *s) {
        const LifeReset *next = &s->life.next;
        LinkMessage m = {
                .type = LINK_BOOT,
                .boot = {
                        .cause = next->cause,
                        .reason = next->reason,
                        .run_reason = next->run_reason,
                        .kind = next->kind,
                        .flags = (next->raw_repl ? LINK_BOOT_RAW_REPL : 0) |
                                 (next->wake == LIFE_WAKE_PIN ? LINK_BOOT_PIN_WAKE : 0) |
                                 (next->wake == LIFE_WAKE_TIME ? LINK_BOOT_TIME_WAKE : 0),
                        .safe_mode = next->safe_mode,
                        .heap_size = s->config.board.heap,
                        .heap_max = s->config.board.heap_max,
                        .flash_quota = s->config.board.flash_quota,
                },
        };

        host_unique_id(m.boot.unique_id);
        return m;
}

static int spawn(Supervisor *s) {
        LinkMessage boot = boot_message(s);
        _cleanup_close_ int flash_fd = -EBADF;
        BoardHandlers h = board_handlers(s);
        int in_fd, out_fd, unread_fd, r;

        flash_fd = supervisor_open_flash(s);
        if (flash_fd < 0)
                return journal_log_errno(JOURNAL_BOARD_NOT_STARTED, flash_fd,
                                         "Failed to open the flash directory %s: %m", s->flash_dir);
        r = board_process_new(&s->board, s->event,
                              &(BoardSpec) {
                                      .executable = s->options.board_path,
                                      .change_user = s->change_user,
                                      .uid = s->board_uid,
                                      .gid = s->board_gid,
                                      .retained_fd = s->retained_fd,
                                      .flash_fd = flash_fd,
                                      .cgroup = s->cgroup,
                                      .environment = s->config.environment,
                                      .first = s->life.booted ? &boot : NULL,
                              },
                              &h, &in_fd, &out_fd, &unread_fd);
        if (r < 0)
                return journal_log_errno(JOURNAL_BOARD_NOT_STARTED, r, "Failed to start %s: %m",
                                         s->options.board_path);
        s->board_realtime_usec = now_usec(CLOCK_REALTIME);
        supervisor_config_taken(s, CONFIG_TAKEN_AT_SPAWN);
        if (s->life.booted)
                supervisor_config_taken(s, CONFIG_TAKEN_AT_BOOT);
        r = board_mark_write(s->run_dir_fd, s->boot_id, board_process_pid(s->board));
        if (r < 0)
                log_debug("Failed to note which process is the board, ignoring: %s", strerrordesc_np(-r));
        r = console_attach_board(s->console, in_fd, out_fd, unread_fd);
        if (r < 0) {
                s->board = board_process_free(s->board);
                return journal_log_errno(JOURNAL_BOARD_NOT_STARTED, r,
                                         "Failed to connect the console to the board: %m");
        }
        return 0;
}

static void do_spawn(Supervisor *s) {
        char detail[LIFE_DETAIL_MAX];
        int r = spawn(s);

        if (r >= 0)
                return;
        (void) snprintf(detail, sizeof detail, "%s: %s", s->options.board_path,
                        strerrordesc_np(-r) ?: "?");
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_SPAWN_FAILED, .detail = detail });
}

void supervisor_send(Supervisor *s, const LinkMessage *m) {
        int r = s->board ? board_process_send(s->board, m) : -ENOTCONN;

        if (r < 0)
                log_debug("The board does not take %s: %s", link_type_to_string(m->type),
                          strerrordesc_np(-r));
}

static void do_boot(Supervisor *s) {
        LinkMessage m = boot_message(s);

        supervisor_config_taken(s, CONFIG_TAKEN_AT_BOOT);
        supervisor_send(s, &m);
}

/* ---- actions ---- */

static void kill_board(Supervisor *s) {
        int r = s->board ? board_process_kill(s->board) : -ESRCH;

        if (r < 0 && r != -ESRCH)
                log_error_errno(r, "Failed to kill the board: %m. mpyd needs a cgroup of its own with "
                                   "cgroup.kill (Delegate=yes, Linux 5.14), or CAP_KILL.");
}

static void report_stuck(Supervisor *s) {
        char pid[16];

        journal_log(JOURNAL_BOARD_STUCK,
                    (const char *const[]) { "MPYD_BOARD_PID", board_pid_text(s, pid), NULL },
                    "The board (pid %s) did not end %d s after SIGKILL: it hangs in a driver of the "
                    "kernel. No second one is started; restart the host.",
                    pid, (int) (KILL_TIMEOUT_USEC / USEC_PER_SEC));
        (void) history_add_event(s->history, "board-stuck", s->life.problem);
}

static void quit(Supervisor *s) {
        (void) history_add_event(s->history, "daemon-stop",
                                 s->board ? s->life.problem : "in good order");
        if (s->hands_over)
                run_handed_over(s->run_dir_fd, s->boot_id, s->reason_before_stop);
        else
                run_ended(s->run_dir_fd, s->boot_id);
        supervisor_host_ended(s);
        (void) sd_event_exit(s->event, 0);
}

static void act(Supervisor *s, LifeAction action) {
        log_debug("action: %s", life_action_to_string(action));
        switch (action) {
        case LIFE_ACTION_RECORD:
                do_record(s);
                break;
        case LIFE_ACTION_RECORD_END:
                do_record_end(s);
                break;
        case LIFE_ACTION_SPAWN:
                if (s->life.next.kind != RESET_KIND_SOFT && supervisor_boot_hold(s))
                        break;
                supervisor_watchdog_spawn(s);
                do_spawn(s);
                if (s->life.next.kind != RESET_KIND_SOFT)
                        supervisor_host_look(s);
                break;
        case LIFE_ACTION_BOOT:
                do_boot(s);
                break;
        case LIFE_ACTION_MARK_LATE:
                if (s->recording)
                        s->recording->late = true;
                journal_log(JOURNAL_RECORD_LATE, NULL,
                            "The disk did not take the record of this reset in time; booting.");
                break;
        case LIFE_ACTION_SEND_STOP:
                supervisor_send(s, &(LinkMessage) { .type = LINK_STOP });
                break;
        case LIFE_ACTION_SEND_ABORT:
                journal_log(JOURNAL_PROGRAM_ABORTED,
                            (const char *const[]) {
                                    "MPYD_STAGE", board_stage_to_string(s->life.reached), NULL,
                            },
                            "The program does not stop, aborting it.");
                supervisor_send(s, &(LinkMessage) { .type = LINK_ABORT });
                break;
        case LIFE_ACTION_KILL:
                kill_board(s);
                break;
        case LIFE_ACTION_DISCARD_INPUT:
                console_discard_input(s->console);
                break;
        case LIFE_ACTION_REPORT_STUCK:
                report_stuck(s);
                break;
        case LIFE_ACTION_QUIT:
                quit(s);
                break;
        case LIFE_ACTION_MAX:
                break;
        }
}

/* ---- the deadline ---- */

int supervisor_on_life_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        supervisor_dispatch(userdata, &(LifeEvent) { .type = LIFE_EVENT_TIMER });
        return 0;
}

static void arm_deadline(Supervisor *s) {
        for (LifeClock c = LIFE_CLOCK_MONOTONIC; c <= LIFE_CLOCK_BOOTTIME; c++) {
                sd_event_source *timer = s->life_timers[c - 1];

                if (s->life.deadline_clock != c) {
                        (void) sd_event_source_set_enabled(timer, SD_EVENT_OFF);
                        continue;
                }
                (void) sd_event_source_set_time(timer, s->life.deadline_usec);
                (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
        }
}

/* A disk that hangs is not held against us: no restart would mend it, and the board runs on without. */
const char *supervisor_check(void *userdata) {
        const Supervisor *s = userdata;
        LifeNow now = supervisor_now();
        uint64_t t = s->life.deadline_clock == LIFE_CLOCK_MONOTONIC ? now.monotonic_usec
                                                                    : now.boottime_usec;

        if (s->life.deadline_clock != LIFE_CLOCK_NONE && t > s->life.deadline_usec &&
            t - s->life.deadline_usec > DEADLINE_LATE_USEC)
                return "a deadline of the board has passed and nothing was done";
        return NULL;
}

static void show_change(Supervisor *s) {
        char text[LIFE_DETAIL_MAX + 32];

        if (s->life.state == s->shown_state && s->life.stage == s->shown_stage)
                return;
        if (s->life.stage != s->shown_stage)
                s->stage_boottime_usec = now_usec(CLOCK_BOOTTIME);
        s->shown_state = s->life.state;
        s->shown_stage = s->life.stage;
        control_server_emit_state(s->control, life_state_to_string(s->life.state),
                                  board_stage_to_string(s->life.stage));
        system_bus_emit(s->system_bus, "StateChanged", life_state_to_string(s->life.state),
                        board_stage_to_string(s->life.stage));
        supervisor_describe(s, text, sizeof text);
        service_notify(s->service, "STATUS=%s", text);
}

static void tell_delay(Supervisor *s) {
        uint64_t t = now_usec(CLOCK_BOOTTIME), wait = s->life.deadline_usec - MIN(t, s->life.deadline_usec);
        char span[TIMESPAN_MAX], usec[24];

        (void) snprintf(usec, sizeof usec, "%" PRIu64, wait);
        journal_log(JOURNAL_BOOT_DELAYED, (const char *const[]) { "MPYD_DELAY_USEC", usec, NULL },
                    "The next boot is held back (%s) for %s.", s->life.problem,
                    format_timespan(span, sizeof span, wait));
}

/* The history's thread is not to take the processor from a board that starts by a soft reset: the loop
 * would have woken it just before. Under load that was half of the reset's time. */
static void release_history(Supervisor *s) {
        bool starts = (s->life.state == LIFE_POWERING_ON || s->life.state == LIFE_BOOTING) &&
                      s->life.stage < BOARD_STAGE_BOOT;

        if (!s->history_held || starts)
                return;
        s->history_held = false;
        history_hold(s->history, false);
}

/* An action may report back at once (a process that cannot be started): such an event is handled
 * before this returns, after the actions that came before it; it is always the last one's. */
void supervisor_dispatch(Supervisor *s, const LifeEvent *e) {
        LifeState before = s->life.state;
        LifeActions a = life_handle(&s->life, e, supervisor_now());
        bool waits = s->life.state == LIFE_WAITING && before != LIFE_WAITING;

        for (size_t i = 0; i < a.n; i++)
                act(s, a.list[i]);
        if (waits && !s->life.held)
                tell_delay(s);
        arm_deadline(s);
        supervisor_watchdog_follow(s);
        supervisor_safe_mode_follow(s);
        supervisor_panel_follow(s);
        supervisor_host_follow(s);
        show_change(s);
        release_history(s);
}

/* ---- what the board says ---- */

static void on_stage(Supervisor *s, const LinkStage *stage) {
        BoardStage before = s->life.stage;

        console_set_stage(s->console, stage->stage, stage->console_pos);
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_STAGE, .stage = stage->stage });
        if (s->life.stage == before)
                return; /* the life cycle decides whether one has begun: not twice */
        s->ended_stage = BOARD_STAGE_OFF;
        if (s->life.stage == BOARD_STAGE_REPL)
                supervisor_recovery_repl(s);
}

/* On disk at once: the reset that ends this life may never be recorded, when the power goes. */
static void record_exception(Supervisor *s, BoardStage stage, const char *traceback) {
        size_t end = strlen(traceback), start;
        HistoryRecord r = make_record(s);
        char detail[LIFE_DETAIL_MAX];
        int q;

        while (end > 0 && traceback[end - 1] == '\n')
                end--;
        for (start = end; start > 0 && traceback[start - 1] != '\n';)
                start--;
        (void) snprintf(detail, sizeof detail, "%s: %.*s", board_stage_to_string(stage),
                        (int) (end - start), traceback + start);
        r.name = (char *) "exception";
        r.detail = detail;
        r.stage = stage;
        r.exit_status = -1;
        r.signal = 0;
        r.crashed = false;
        r.uptime_usec = r.boottime_usec - MIN(s->life.started_boottime_usec, r.boottime_usec);
        q = history_add(s->history, &r, NULL, NULL);
        if (q < 0)
                (void) journal_log_errno(JOURNAL_RECORD_FAILED, q,
                                         "Failed to record this exception, ignoring: %m");
}

static void on_stage_end(Supervisor *s, const LinkStageEnd *e) {
        const char *name = board_stage_to_string(e->stage);
        char text[4 * LINK_TEXT_MAX + 1]; /* a byte may become \xNN */

        /* Each stage ends once, while it is the one that runs: a board cannot fill the log with ends. */
        if (e->stage != s->life.stage || e->stage == s->ended_stage)
                return;
        s->ended_stage = e->stage;
        console_take_output(s->console, e->console_pos); /* what it printed comes before what is said about it */
        supervisor_recovery_stage_end(s, e->stage, e->result);
        supervisor_panel_stage_end(s, e->stage, e->result);

        (void) text_sanitise(text, sizeof text, e->text, e->text_size, true);
        if (e->result == STAGE_RESULT_EXCEPTION)
                journal_log(JOURNAL_EXCEPTION,
                            (const char *const[]) {
                                    "MPYD_STAGE", name, "MPYD_TRACEBACK", *text ? text : NULL, NULL,
                            },
                            "%s ended with an uncaught exception.", name);
        else
                log_debug("%s ended: %s.", name, stage_result_to_string(e->result));
        if (e->text_size == 0)
                return;
        (void) free_and_strdup(&s->traceback, text);
        (void) free_and_strdup(&s->last_traceback, text);
        s->last_traceback_usec = now_usec(CLOCK_REALTIME);
        if (e->result == STAGE_RESULT_EXCEPTION)
                record_exception(s, e->stage, text);
}

static void on_unread_input(Supervisor *s, const LinkData *d) {
        if (console_return_input(s->console, d->data, d->size) < 0)
                on_fault(s, "it hands back more input than it can have been sent");
}

/* It may not shout: emergencies are the host's, and a flood is cut. */
static void on_board_log(Supervisor *s, const LinkData *d) {
        uint64_t t = now_usec(CLOCK_MONOTONIC), n = rate_limit_report(&s->board_log_limit, t);
        char words[EVIDENCE_DETAIL_MAX];

        if (d->level <= LOG_CRIT) { /* it gives up (board_exit_fatal()) */
                (void) text_sanitise(words, sizeof words, d->data, d->size, false);
                (void) free_and_strdup(&s->last_words, words);
        }

        if (n > 0)
                log_notice("%" PRIu64 " messages of the board suppressed: they came too fast.", n);
        if (rate_limit_take(&s->board_log_limit, t))
                log_full(MAX(d->level, LOG_ERR), 0, NULL, "board: %.*s",
                         (int) MIN(d->size, (size_t) 1000), d->data);
}

/* Told once: the kernel does not change. */
static void on_confined(Supervisor *s, uint32_t confined) {
        static const char *const missing[LINK_CONFINED_ALL + 1] = {
                [0] = "neither system calls (seccomp) nor paths (Landlock) are restricted",
                [LINK_CONFINED_SYSCALLS] = "paths are not restricted: no Landlock",
                [LINK_CONFINED_PATHS] = "system calls are not restricted: no seccomp",
                [LINK_CONFINED_ALL] = "ok",
        };
        const char *before = s->confinement;

        s->confinement = missing[confined & LINK_CONFINED_ALL];
        if (confined != LINK_CONFINED_ALL && s->confinement != before)
                journal_log(JOURNAL_BOARD_UNCONFINED, NULL, "Scripts are not confined as they should be: "
                            "%s.", s->confinement);
}

static void on_message(void *userdata, const LinkMessage *m) {
        Supervisor *s = userdata;

        switch (m->type) {
        case LINK_HELLO:
                on_confined(s, m->hello.confined);
                supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_HELLO });
                break;
        case LINK_STAGE:
                on_stage(s, &m->stage);
                break;
        case LINK_OUTPUT:
                console_set_stage(s->console, m->stage.stage, m->stage.console_pos);
                break;
        case LINK_STAGE_END:
                on_stage_end(s, &m->stage_end);
                break;
        case LINK_RESET:
                supervisor_dispatch(s, &(LifeEvent) {
                                    .type = LIFE_EVENT_ASKED,
                                    .kind = m->reset.kind,
                                    .raw_repl = m->reset.raw_repl,
                                    .sleep_usec = m->reset.sleep_usec,
                                    .attended = console_in_use(s->console),
                            });
                break;
        case LINK_UNREAD_INPUT:
                on_unread_input(s, &m->data);
                break;
        case LINK_LOG:
                on_board_log(s, &m->data);
                break;
        case LINK_WATCHDOG:
                supervisor_watchdog_set(s, &m->watchdog);
                break;
        case LINK_AWAKE:
                supervisor_on_awake(s);
                break;
        case LINK_PIN:
                supervisor_pins_ask(s, &m->pin);
                break;
        case LINK_PIN_WAKE:
                supervisor_pins_wake(s, &m->pin_wake);
                break;
        case LINK_BOOT:
        case LINK_INTERRUPT:
        case LINK_STOP:
        case LINK_ABORT:
        case LINK_WATCHDOG_WARNING:
        case LINK_PIN_LINE:
                on_fault(s, "it sent a message that only the supervisor sends");
                break;
        case LINK_TYPE_INVALID:
                break;
        }
}
