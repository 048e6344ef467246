/* SPDX-License-Identifier: MIT */
/* The board's life put into effect: events from the process, the timers, the history and the operator
 * go to lifecycle.c; what it answers is done here, and each reset is told once. */
#include "daemon/supervisor.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "host/host.h"
#include "mpyd/control.h"
#include "mpyd/retained.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/text.h"

#define KILL_TIMEOUT_USEC (5 * USEC_PER_SEC) /* SIGKILL to "it hangs in the kernel" */
#define HISTORY_STOP_USEC (2 * USEC_PER_SEC) /* what a slow disk may add to a stop */
#define FALLBACK_USER "nobody"
#define BOARD_LOG_BURST 100u
#define BOARD_LOG_PER_SEC 5u

static void dispatch(Supervisor *s, const LifeEvent *e);

static LifeNow now(void) {
        return (LifeNow) {
                .monotonic_usec = now_usec(CLOCK_MONOTONIC),
                .boottime_usec = now_usec(CLOCK_BOOTTIME),
        };
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
        dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_RECORDED });
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

static void tell_reset(Supervisor *s, const LifeReset *r) {
        char text[LIFE_DETAIL_MAX + 96], signal[16], status[16];
        const char *fields[] = {
                "MPYD_EVENT",        "reset",
                "MPYD_RESET_CAUSE",  reset_cause_to_string(r->cause),
                "MPYD_RESET_REASON", reset_reason_to_string(r->reason),
                "MPYD_STAGE",        board_stage_to_string(r->ended_stage),
                "MPYD_SIGNAL",       signal,
                "MPYD_EXIT_STATUS",  status,
                NULL,
        };

        (void) snprintf(signal, sizeof signal, "%d", r->ended_signal);
        (void) snprintf(status, sizeof status, "%d", r->ended_exit_status);
        describe_reset(r, text, sizeof text);
        log_full(r->crashed ? LOG_WARNING : LOG_NOTICE, 0, fields, "%s.", text);
        (void) free_and_strdup(&s->last_reset, text);
        control_server_emit_reset(s->control, reset_cause_to_string(r->cause), r->detail);
}

static void do_record(Supervisor *s) {
        const LifeReset *next = &s->life.next;
        HistoryReset r = {
                .cause = next->cause,
                .reason = next->reason,
                .kind = next->kind,
                .run_reason = next->run_reason,
                .detail = (char *) next->detail,
                .stage = next->ended_stage,
                .exit_status = next->ended_exit_status,
                .signal = next->ended_signal,
                .uptime_usec = next->ended_uptime_usec,
                .traceback = s->traceback,
                .realtime_usec = now_usec(CLOCK_REALTIME),
                .boottime_usec = now_usec(CLOCK_BOOTTIME),
                .clock_synced = host_clock_synced(),
        };
        Recording *rec = malloc(sizeof *rec);
        int q;

        tell_reset(s, next);
        memcpy(r.boot_id, s->boot_id, sizeof r.boot_id);
        q = rec ? 0 : -ENOMEM;
        if (q >= 0) {
                *rec = (Recording) { .supervisor = s };
                q = history_add_reset(s->history, &r, on_recorded, rec);
        }
        s->recording = q >= 0 ? rec : NULL;
        if (q < 0) {
                free(rec);
                log_warning_errno(q, "Failed to record this reset, booting all the same: %m");
                /* Nothing will answer: the commit timeout opens the door. */
        }
        free(s->traceback);
        s->traceback = NULL;
}

/* ---- starting a board ---- */

static void on_message(void *userdata, const LinkMessage *m);

static void on_fault(void *userdata, const char *what) {
        Supervisor *s = userdata;

        board_process_end_link(s->board);
        log_warning("The board broke the rules of its link: %s; killing it.", what);
        dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_FAULT, .detail = what });
}

static void on_exited(void *userdata, int exit_status, int signal) {
        Supervisor *s = userdata;

        console_detach_board(s->console, true);
        s->board = board_process_free(s->board);
        dispatch(s, &(LifeEvent) {
                            .type = LIFE_EVENT_EXITED,
                            .exit_status = exit_status,
                            .signal = signal,
                    });
}

static void on_console_sync(void *userdata) {
        Supervisor *s = userdata;

        if (s->board)
                board_process_drain_link(s->board);
}

/* Everything that scripts see as "/". It is made when it is missing (S29), here because its parent
 * belongs to us and not to the board. */
static int open_flash(Supervisor *s) {
        int fd;

        if (mkdir(s->flash_dir, 0770) >= 0) {
                if (s->change_user && (chown(s->flash_dir, s->board_uid, s->board_gid) < 0 ||
                                       chmod(s->flash_dir, 02770) < 0))
                        return -errno;
        } else if (errno != EEXIST)
                return -errno;
        fd = open(s->flash_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int spawn(Supervisor *s) {
        static const BoardHandlers handlers = {
                .message = on_message,
                .fault = on_fault,
                .exited = on_exited,
        };
        _cleanup_close_ int flash_fd = -EBADF;
        BoardHandlers h = handlers;
        int in_fd, out_fd, unread_fd, r;

        flash_fd = open_flash(s);
        if (flash_fd < 0)
                return log_error_errno(flash_fd, "Failed to open the flash directory %s: %m",
                                       s->flash_dir);
        h.userdata = s;
        r = board_process_new(&s->board, s->event,
                              &(BoardSpec) {
                                      .executable = s->options.board_path,
                                      .change_user = s->change_user,
                                      .uid = s->board_uid,
                                      .gid = s->board_gid,
                                      .retained_fd = s->retained_fd,
                                      .flash_fd = flash_fd,
                              },
                              &h, &in_fd, &out_fd, &unread_fd);
        if (r < 0)
                return log_error_errno(r, "Failed to start %s: %m", s->options.board_path);
        s->board_realtime_usec = now_usec(CLOCK_REALTIME);
        r = console_attach_board(s->console, in_fd, out_fd, unread_fd);
        if (r < 0) {
                s->board = board_process_free(s->board);
                return log_error_errno(r, "Failed to connect the console to the board: %m");
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
        dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_SPAWN_FAILED, .detail = detail });
}

static void send_to_board(Supervisor *s, const LinkMessage *m) {
        int r = s->board ? board_process_send(s->board, m) : -ENOTCONN;

        if (r < 0)
                log_debug("The board does not take %s: %s", link_type_to_string(m->type),
                          strerrordesc_np(-r));
}

static void do_boot(Supervisor *s) {
        const LifeReset *next = &s->life.next;
        LinkMessage m = {
                .type = LINK_BOOT,
                .boot = {
                        .cause = next->cause,
                        .reason = next->reason,
                        .run_reason = next->run_reason,
                        .kind = next->kind,
                        .flags = next->raw_repl ? LINK_BOOT_RAW_REPL : 0,
                        .heap_size = s->config.board.heap,
                        .heap_max = s->config.board.heap_max,
                },
        };

        host_unique_id(m.boot.unique_id);
        send_to_board(s, &m);
}

/* ---- actions ---- */

static void report_stuck(Supervisor *s) {
        log_full(LOG_CRIT, 0, (const char *const[]) { "MPYD_EVENT", "stuck", NULL },
                 "The board (pid %d) did not end %d s after SIGKILL: it hangs in a driver of the "
                 "kernel. No second one is started; restart the host.",
                 (int) board_process_pid(s->board), (int) (KILL_TIMEOUT_USEC / USEC_PER_SEC));
        (void) history_add_event(s->history, "board-stuck", s->life.problem);
}

static void quit(Supervisor *s) {
        char detail[128], span[TIMESPAN_MAX];

        (void) snprintf(detail, sizeof detail, "the board had been in %s, for %s",
                        board_stage_to_string(s->life.next.ended_stage),
                        format_timespan(span, sizeof span, s->life.next.ended_uptime_usec));
        (void) history_add_event(s->history, "daemon-stop", detail);
        host_run_ended(s->run_dir_fd, s->boot_id);
        (void) sd_event_exit(s->event, 0);
}

static void act(Supervisor *s, LifeAction action) {
        log_debug("action: %s", life_action_to_string(action));
        switch (action) {
        case LIFE_ACTION_RECORD:
                do_record(s);
                break;
        case LIFE_ACTION_SPAWN:
                do_spawn(s);
                break;
        case LIFE_ACTION_BOOT:
                do_boot(s);
                break;
        case LIFE_ACTION_MARK_LATE:
                if (s->recording)
                        s->recording->late = true;
                log_warning("The disk did not take the record of this reset in time; booting.");
                break;
        case LIFE_ACTION_SEND_STOP:
                send_to_board(s, &(LinkMessage) { .type = LINK_STOP });
                break;
        case LIFE_ACTION_SEND_ABORT:
                log_notice("The program does not stop, aborting it.");
                send_to_board(s, &(LinkMessage) { .type = LINK_ABORT });
                break;
        case LIFE_ACTION_KILL:
                if (s->board)
                        (void) board_process_kill(s->board);
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

static int on_life_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        dispatch(userdata, &(LifeEvent) { .type = LIFE_EVENT_TIMER });
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
        supervisor_describe(s, text, sizeof text);
        (void) sd_notifyf(0, "STATUS=%s", text);
}

/* An action may report back at once (a process that cannot be started): such an event is handled
 * before this returns, after the actions that came before it; it is always the last one's. */
static void dispatch(Supervisor *s, const LifeEvent *e) {
        LifeState before = s->life.state;
        LifeActions a = life_handle(&s->life, e, now());
        bool waits = s->life.state == LIFE_WAITING && before != LIFE_WAITING;

        for (size_t i = 0; i < a.n; i++)
                act(s, a.list[i]);
        if (waits) {
                char span[TIMESPAN_MAX];
                uint64_t t = now_usec(CLOCK_BOOTTIME);

                log_notice("The next boot is held back (%s) for %s.", s->life.problem,
                           format_timespan(span, sizeof span,
                                           s->life.deadline_usec - MIN(t, s->life.deadline_usec)));
        }
        arm_deadline(s);
        show_change(s);
}

/* ---- what the board says ---- */

static void on_stage(Supervisor *s, const LinkStage *stage) {
        console_set_stage(s->console, stage->stage, stage->console_pos);
        dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_STAGE, .stage = stage->stage });
}

static void on_stage_end(Supervisor *s, const LinkStageEnd *e) {
        const char *name = board_stage_to_string(e->stage);
        char text[4 * LINK_TEXT_MAX + 1]; /* a byte may become \xNN */

        if (e->result == STAGE_RESULT_EXCEPTION)
                log_full(LOG_WARNING, 0,
                         (const char *const[]) { "MPYD_EVENT", "exception", "MPYD_STAGE", name, NULL },
                         "%s ended with an uncaught exception.", name);
        else
                log_debug("%s ended: %s.", name, stage_result_to_string(e->result));
        if (e->text_size == 0)
                return;
        (void) text_sanitise(text, sizeof text, e->text, e->text_size, true);
        (void) free_and_strdup(&s->traceback, text);
        (void) free_and_strdup(&s->last_traceback, text);
}

static void on_unread_input(Supervisor *s, const LinkData *d) {
        if (console_return_input(s->console, d->data, d->size) < 0)
                on_fault(s, "it hands back more input than it can have been sent");
}

/* It may not shout: emergencies are the host's, and a flood is cut. */
static void on_board_log(Supervisor *s, const LinkData *d) {
        uint64_t t = now_usec(CLOCK_MONOTONIC), n = rate_limit_report(&s->board_log_limit, t);

        if (n > 0)
                log_notice("%" PRIu64 " messages of the board suppressed: they came too fast.", n);
        if (rate_limit_take(&s->board_log_limit, t))
                log_full(MAX(d->level, LOG_ERR), 0, NULL, "board: %.*s",
                         (int) MIN(d->size, (size_t) 1000), d->data);
}

static void on_message(void *userdata, const LinkMessage *m) {
        Supervisor *s = userdata;

        switch (m->type) {
        case LINK_HELLO:
                dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_HELLO });
                break;
        case LINK_STAGE:
                on_stage(s, &m->stage);
                break;
        case LINK_STAGE_END:
                on_stage_end(s, &m->stage_end);
                break;
        case LINK_RESET:
                dispatch(s, &(LifeEvent) {
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
        case LINK_BOOT:
        case LINK_INTERRUPT:
        case LINK_STOP:
        case LINK_ABORT:
                on_fault(s, "it sent a message that only the supervisor sends");
                break;
        case LINK_TYPE_INVALID:
                break;
        }
}

/* ---- what operators ask ---- */

static int backend_reset(void *userdata, ResetKind kind, const char *who) {
        Supervisor *s = userdata;
        char detail[LIFE_DETAIL_MAX];

        if (s->life.state == LIFE_STUCK || s->life.state == LIFE_OFF || s->life.shutting_down)
                return -EBUSY;
        (void) snprintf(detail, sizeof detail, "%s reset asked for by %s",
                        reset_kind_to_string(kind), who);
        dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_ORDER, .kind = kind, .detail = detail });
        return 0;
}

static int backend_interrupt(void *userdata) {
        Supervisor *s = userdata;

        return s->board ? board_process_send(s->board, &(LinkMessage) { .type = LINK_INTERRUPT })
                        : -ENOTCONN;
}

static int backend_open_console(void *userdata, const char *who, bool take_over, int *ret) {
        Supervisor *s = userdata;

        return console_open_session(s->console, who, take_over, ret);
}

static const char *backend_console_holder(void *userdata) {
        Supervisor *s = userdata;

        return console_holder(s->console);
}

static int backend_history(void *userdata, const HistoryQuery *q, HistoryAnswer answer,
                           void *answer_data) {
        Supervisor *s = userdata;

        return history_query(s->history, q, answer, answer_data);
}

static const LogRing *backend_log(void *userdata) {
        Supervisor *s = userdata;

        return &s->log;
}

static void on_log(void *userdata, uint64_t realtime_usec, int level, const char *ident,
                   const char *message) {
        Supervisor *s = userdata;

        log_ring_add(&s->log, realtime_usec, level, ident, message);
        if (s->log.n > 0)
                control_server_emit_log(s->control, log_ring_get(&s->log, s->log.n - 1));
}

static void on_history_report(void *userdata, int level, const char *message) {
        log_full(level, 0, (const char *const[]) { "MPYD_EVENT", "history", NULL }, "%s", message);
}

/* ---- configuration ---- */

static LifeLimits limits_from(const Config *c) {
        return (LifeLimits) {
                .start_timeout_usec = c->board.start_timeout_usec,
                .commit_timeout_usec = c->history.commit_timeout_usec,
                .interrupt_timeout_usec = c->stop.interrupt_timeout_usec,
                .abort_timeout_usec = c->stop.abort_timeout_usec,
                .kill_timeout_usec = KILL_TIMEOUT_USEC,
                .backoff_min_usec = c->reset.backoff_min_usec,
                .backoff_max_usec = c->reset.backoff_max_usec,
                .burst = c->reset.burst,
                .interval_usec = c->reset.interval_usec,
        };
}

static int load_config(Supervisor *s, Config *ret) {
        int r = config_load(s->options.config_path, s->options.config_required, ret);

        if (r < 0)
                return log_error_errno(r, "Failed to read %s: %m", s->options.config_path);
        log_set_max_level(ret->log.level);
        for (size_t i = 0; i < ret->n_warnings; i++)
                log_warning("%s", ret->warnings[i]);
        return 0;
}

void supervisor_reload(Supervisor *s) {
        Config fresh;

        if (load_config(s, &fresh) < 0)
                return;
        if (!streq(fresh.board.user, s->config.board.user))
                log_notice("[board] user takes effect when mpyd restarts.");
        if (fresh.history.max_size != s->config.history.max_size)
                log_notice("[history] max-size takes effect when mpyd restarts.");
        if (fresh.board.heap != s->config.board.heap ||
            fresh.board.heap_max != s->config.board.heap_max)
                log_notice("[board] heap and heap-max take effect at the next reset of the board.");
        config_done(&s->config);
        s->config = fresh;
        {
                LifeLimits limits = limits_from(&s->config);

                life_set_limits(&s->life, &limits, now());
        }
        console_set_stall_timeout(s->console, s->config.console.stall_timeout_usec);
        log_info("Configuration read again.");
}

/* ---- life of the supervisor ---- */

/* Whom the board runs as. Only root can choose; everyone else runs it as themselves. */
static int choose_user(Supervisor *s) {
        const char *name = s->config.board.user;
        struct passwd *pw;

        if (geteuid() != 0)
                return 0;
        pw = getpwnam(name);
        if (!pw) {
                log_info("There is no user %s, running the board as %s.", name, FALLBACK_USER);
                pw = getpwnam(FALLBACK_USER);
        }
        if (!pw)
                return log_error_errno(ENOENT, "There is neither a user %s nor %s to run scripts "
                                               "as; set [board] user=.", name, FALLBACK_USER);
        if (pw->pw_uid == 0)
                return log_error_errno(EPERM, "[board] user=%s would run scripts as root; choose "
                                              "an ordinary user.", name);
        s->change_user = true;
        s->board_uid = pw->pw_uid;
        s->board_gid = pw->pw_gid;
        return 0;
}

static gid_t admin_group(void) {
        struct group *gr = geteuid() == 0 ? getgrnam("mpyd") : NULL;

        return gr ? gr->gr_gid : (gid_t) -1;
}

static int take_directories(Supervisor *s) {
        _cleanup_free_ char *lock = NULL;
        int r;

        r = mkdir_parents(s->options.state_dir, 0755);
        if (r < 0)
                return log_error_errno(r, "Failed to create %s: %m", s->options.state_dir);
        r = mkdir_parents(s->options.run_dir, 0755);
        if (r < 0)
                return log_error_errno(r, "Failed to create %s: %m", s->options.run_dir);
        s->run_dir_fd = open(s->options.run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->run_dir_fd < 0)
                return log_error_errno(errno, "Failed to open %s: %m", s->options.run_dir);

        if (asprintf(&lock, "%s/lock", s->options.state_dir) < 0 ||
            asprintf(&s->flash_dir, "%s/flash", s->options.state_dir) < 0 ||
            asprintf(&s->history_path, "%s/" CONTROL_HISTORY_FILE, s->options.state_dir) < 0 ||
            asprintf(&s->repl_link, "%s/" CONTROL_REPL_LINK, s->options.run_dir) < 0)
                return log_oom();
        s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->lock_fd < 0) /* a read-only state directory does not stop the board */
                log_warning_errno(errno, "Failed to lock %s, going on without: %m", lock);
        else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return log_error_errno(errno, "Another mpyd uses %s; stop it first.",
                                       s->options.state_dir);
        return 0;
}

static int make_retained(Supervisor *s) {
        int r;

        s->retained_fd = retained_create();
        if (s->retained_fd < 0)
                return log_error_errno(s->retained_fd, "Failed to make the retained page: %m");
        r = retained_map(s->retained_fd, &s->retained);
        if (r < 0)
                return log_error_errno(r, "Failed to map the retained page: %m");
        retained_clear(s->retained);
        return 0;
}

static int add_timers(Supervisor *s) {
        static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME };

        for (size_t i = 0; i < ELEMENTSOF(clocks); i++) {
                /* Accuracy 1 µs: the default is up to 250 ms late. */
                int r = sd_event_add_time(s->event, &s->life_timers[i], clocks[i], UINT64_MAX, 1,
                                          on_life_timer, s);

                if (r >= 0)
                        r = sd_event_source_set_enabled(s->life_timers[i], SD_EVENT_OFF);
                if (r < 0)
                        return log_error_errno(r, "Failed to make a timer: %m");
        }
        return 0;
}

static int open_doors(Supervisor *s) {
        _cleanup_free_ char *control_path = NULL;
        gid_t gid = admin_group();
        int r;

        r = console_new(&s->console, s->event,
                        &(ConsoleOptions) {
                                .link = s->repl_link,
                                .gid = gid,
                                .stall_timeout_usec = s->config.console.stall_timeout_usec,
                        },
                        on_console_sync, s);
        if (r < 0)
                return log_error_errno(r, "Failed to make the console %s: %m", s->repl_link);

        if (asprintf(&control_path, "%s/" CONTROL_SOCKET, s->options.run_dir) < 0)
                return log_oom();
        r = control_server_new(&s->control, s->event,
                               &(ControlOptions) {
                                       .path = control_path,
                                       .admin_gid = gid,
                                       .board_uid = s->change_user ? s->board_uid : (uid_t) -1,
                               },
                               &(ControlBackend) {
                                       .property = supervisor_property,
                                       .reset = backend_reset,
                                       .interrupt = backend_interrupt,
                                       .open_console = backend_open_console,
                                       .console_holder = backend_console_holder,
                                       .history = backend_history,
                                       .log = backend_log,
                                       .userdata = s,
                               });
        if (r < 0)
                return log_error_errno(r, "Failed to listen on %s: %m", control_path);
        return 0;
}

static int start(Supervisor *s) {
        LifeLimits limits;
        int r;

        log_set_sink(on_log, s);
        r = load_config(s, &s->config);
        if (r < 0)
                return r;
        r = take_directories(s);
        if (r < 0)
                return r;
        r = choose_user(s);
        if (r < 0)
                return r;
        r = host_boot_id(s->boot_id);
        if (r < 0)
                log_warning_errno(r, "Failed to learn this host's boot id, ignoring: %m");
        r = make_retained(s);
        if (r < 0)
                return r;
        r = history_new(&s->history, s->event, s->history_path, s->config.history.max_size,
                        on_history_report, s);
        if (r < 0)
                return log_error_errno(r, "Failed to start the history: %m");
        r = add_timers(s);
        if (r < 0)
                return r;
        r = open_doors(s);
        if (r < 0)
                return r;
        limits = limits_from(&s->config);
        life_init(&s->life, &limits, now());
        return 0;
}

static void power_on(Supervisor *s) {
        HostStart why = host_run_began(s->run_dir_fd, s->boot_id);

        log_info("mpyd " MPYD_VERSION ": scripts are in %s, the REPL is at %s.", s->flash_dir,
                 s->repl_link);
        (void) history_add_event(s->history, "daemon-start", why.detail);
        dispatch(s, &(LifeEvent) {
                            .type = LIFE_EVENT_POWER_ON,
                            .cause = why.cause,
                            .reason = why.reason,
                            .detail = why.detail,
                    });
}

int supervisor_new(Supervisor **ret, sd_event *event, const SupervisorOptions *options) {
        _cleanup_(supervisor_freep) Supervisor *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return log_oom();
        s->options = *options;
        s->event = sd_event_ref(event);
        s->lock_fd = s->run_dir_fd = s->retained_fd = -EBADF;
        s->started_realtime_usec = now_usec(CLOCK_REALTIME);
        s->board_log_limit = rate_limit_make(BOARD_LOG_BURST, BOARD_LOG_PER_SEC, USEC_PER_SEC,
                                             now_usec(CLOCK_MONOTONIC));
        r = start(s);
        if (r < 0)
                return r;
        power_on(s);
        *ret = TAKE_PTR(s);
        return 0;
}

void supervisor_stop(Supervisor *s) {
        (void) sd_notify(0, "STOPPING=1");
        dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_SHUTDOWN });
}

Supervisor *supervisor_free(Supervisor *s) {
        if (!s)
                return NULL;
        log_set_sink(NULL, NULL);
        s->board = board_process_free(s->board);
        s->console = console_free(s->console);
        s->control = control_server_free(s->control);
        history_free(TAKE_PTR(s->history), HISTORY_STOP_USEC);
        for (size_t i = 0; i < ELEMENTSOF(s->life_timers); i++)
                sd_event_source_disable_unref(s->life_timers[i]);
        s->retained = s->retained ? retained_unmap(s->retained) : NULL;
        safe_close(s->retained_fd);
        safe_close(s->run_dir_fd);
        safe_close(s->lock_fd);
        log_ring_done(&s->log);
        config_done(&s->config);
        free(s->flash_dir);
        free(s->history_path);
        free(s->repl_link);
        free(s->traceback);
        free(s->last_traceback);
        free(s->last_reset);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
