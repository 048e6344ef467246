/* SPDX-License-Identifier: MIT */
/* The board's process in the supervisor's hands: it is started and told why it starts, what it says is
 * passed to whom it concerns, and its end to the life cycle. board-process.c has the descriptors. */
#include "daemon/supervisor-private.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/journal.h"
#include "host/board-mark.h"
#include "host/host.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/text.h"

static const char *board_pid_text(const Supervisor *s, char buf[static 16]) {
        (void) snprintf(buf, 16, "%d", (int) board_process_pid(s->board));
        return buf;
}

/* ---- what it says ---- */

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
        if (!text_is_interrupt(text)) { /* else what was wrong before is still the last error */
                (void) free_and_strdup(&s->last_traceback, text);
                s->last_traceback_usec = now_usec(CLOCK_REALTIME);
        }
        if (e->result == STAGE_RESULT_EXCEPTION)
                supervisor_record_exception(s, e->stage, text);
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
        case LINK_PIN_LIST:
                supervisor_pins_tell_names(s, &m->pin_names);
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
        case LINK_PIN_NAMES:
                on_fault(s, "it sent a message that only the supervisor sends");
                break;
        case LINK_TYPE_INVALID:
                break;
        }
}

/* ---- its end ---- */

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

/* ---- its start ---- */

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

void supervisor_board_spawn(Supervisor *s) {
        char detail[LIFE_DETAIL_MAX];
        int r = spawn(s);

        if (r >= 0)
                return;
        (void) snprintf(detail, sizeof detail, "%s: %s", s->options.board_path,
                        strerrordesc_np(-r) ?: "?");
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_SPAWN_FAILED, .detail = detail });
}

void supervisor_board_boot(Supervisor *s) {
        LinkMessage m = boot_message(s);

        supervisor_config_taken(s, CONFIG_TAKEN_AT_BOOT);
        supervisor_send(s, &m);
}

/* ---- orders ---- */

void supervisor_board_kill(Supervisor *s) {
        int r = s->board ? board_process_kill(s->board) : -ESRCH;

        if (r < 0 && r != -ESRCH)
                log_error_errno(r, "Failed to kill the board: %m. mpyd needs a cgroup of its own with "
                                   "cgroup.kill (Delegate=yes, Linux 5.14), or CAP_KILL.");
}

void supervisor_board_report_stuck(Supervisor *s) {
        char pid[16];

        journal_log(JOURNAL_BOARD_STUCK,
                    (const char *const[]) { "MPYD_BOARD_PID", board_pid_text(s, pid), NULL },
                    "The board (pid %s) did not end %d s after SIGKILL: it hangs in a driver of the "
                    "kernel. No second one is started; restart the host.",
                    pid, (int) (KILL_TIMEOUT_USEC / USEC_PER_SEC));
        (void) history_add_event(s->history, "board-stuck", s->life.problem);
}

void supervisor_send(Supervisor *s, const LinkMessage *m) {
        int r = s->board ? board_process_send(s->board, m) : -ENOTCONN;

        if (r < 0)
                log_debug("The board does not take %s: %s", link_type_to_string(m->type),
                          strerrordesc_np(-r));
}

void supervisor_on_console_sync(void *userdata) {
        Supervisor *s = userdata;

        if (s->board)
                board_process_drain_link(s->board);
}
