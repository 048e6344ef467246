/* SPDX-License-Identifier: MIT */
/* How the supervisor comes up, takes its configuration again, and goes: everything that it owns is made
 * and freed here. */
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <systemd/sd-event.h>
#include <systemd/sd-login.h>
#include <time.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"
#include "host/host.h"
#include "mpyd/control.h"
#include "mpyd/retained.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"

#define REPL_PATIENCE_USEC (60 * USEC_PER_SEC) /* of code that the REPL's user has entered, for their reading */
#define HISTORY_STOP_USEC (2 * USEC_PER_SEC) /* what a slow disk may add to a stop */
#define DEFAULT_USER "mpyd"
#define FALLBACK_USER "nobody"
#define BOARD_LOG_BURST 100u
#define BOARD_LOG_PER_SEC 5u
#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"
#define LASTED_USEC (60 * USEC_PER_SEC)    /* a run that lived so long did not fail at its start */
#define STOP_MARGIN_USEC (6 * USEC_PER_SEC) /* the host's mark, what the owner was not told, and the rest */
/* Names of what the service manager keeps. */
#define STORED_RETAINED "retained"
#define STORED_CONSOLE "console"

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
                return r;
        log_set_max_level(ret->log.level);
        log_set_script_limit(ret->log.script_burst, ret->log.script_interval_usec,
                             journal_event_constant_fields(JOURNAL_OUTPUT_SUPPRESSED));
        for (size_t i = 0; i < ret->n_warnings; i++)
                journal_log(JOURNAL_CONFIG_PROBLEM, NULL, "%s", ret->warnings[i]);
        return 0;
}

int supervisor_reload(Supervisor *s, ReloadNote note, void *data) {
        LifeLimits limits;
        Config fresh;
        int r;

        r = load_config(s, &fresh);
        if (r < 0)
                return journal_log_errno(JOURNAL_CONFIG_PROBLEM, r, "Failed to read %s, what was in force "
                                                                    "stays: %m", s->options.config_path);
        for (size_t i = 0; note && i < fresh.n_warnings; i++)
                note(data, true, fresh.warnings[i]);
        config_done(&s->config);
        s->config = fresh;
        supervisor_config_tell_pending(s, note, data);
        limits = limits_from(&s->config);
        life_set_limits(&s->life, &limits, supervisor_now());
        supervisor_safe_mode_reload(s);
        supervisor_recovery_reload(s);
        supervisor_host_reload(s);
        console_set_stall_timeout(s->console, s->config.console.stall_timeout_usec);
        cgroup_set_limits(s->cgroup, s->config.board.memory_max, s->config.board.tasks_max);
        journal_log(JOURNAL_CONFIG_RELOADED, NULL, "Configuration read again.");
        return 0;
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
                /* The package makes the default one; a name that somebody has written is a mistake. */
                if (streq(name, DEFAULT_USER))
                        log_info("There is no user %s, running the board as %s.", name,
                                 FALLBACK_USER);
                else
                        journal_log(JOURNAL_USER_MISSING, NULL,
                                    "[board] user=%s: there is no such user, running the board as %s.",
                                    name, FALLBACK_USER);
                pw = getpwnam(FALLBACK_USER);
        }
        if (!pw)
                return journal_log_errno(JOURNAL_DAEMON_REFUSED, ENOENT,
                                         "There is neither a user %s nor %s to run scripts as; set "
                                         "[board] user=.", name, FALLBACK_USER);
        if (pw->pw_uid == 0)
                return journal_log_errno(JOURNAL_DAEMON_REFUSED, EPERM,
                                         "[board] user=%s would run scripts as root; choose an "
                                         "ordinary user.", name);
        s->change_user = true;
        s->board_uid = pw->pw_uid;
        s->board_gid = pw->pw_gid;
        return 0;
}

static gid_t admin_group(void) {
        struct group *gr = geteuid() == 0 ? getgrnam("mpyd") : NULL;

        return gr ? gr->gr_gid : (gid_t) -1;
}

/* Who knows the run directory only finds the files and the history that belong to it. */
static void link_state(const Supervisor *s) {
        _cleanup_free_ char *path = realpath(s->options.state_dir, NULL);

        (void) unlinkat(s->run_dir_fd, CONTROL_STATE_LINK, 0);
        if (!path || symlinkat(path, s->run_dir_fd, CONTROL_STATE_LINK) < 0)
                log_debug("Failed to make the link %s/" CONTROL_STATE_LINK ", ignoring: %s",
                          s->options.run_dir, strerrordesc_np(errno) ?: "?");
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
        if (flock(s->run_dir_fd, LOCK_EX | LOCK_NB) < 0)
                return journal_log_errno(JOURNAL_DAEMON_REFUSED, errno,
                                         "Another mpyd uses %s; stop it first.", s->options.run_dir);

        if (asprintf(&lock, "%s/lock", s->options.state_dir) < 0 ||
            asprintf(&s->flash_dir, "%s/flash", s->options.state_dir) < 0 ||
            asprintf(&s->history_path, "%s/" CONTROL_HISTORY_FILE, s->options.state_dir) < 0 ||
            asprintf(&s->repl_link, "%s/" CONTROL_REPL_LINK, s->options.run_dir) < 0)
                return log_oom();
        s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->lock_fd < 0) /* a read-only state directory does not stop the board */
                log_warning_errno(errno, "Failed to lock %s, going on without: %m", lock);
        else if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return journal_log_errno(JOURNAL_DAEMON_REFUSED, errno,
                                         "Another mpyd uses %s; stop it first.",
                                         s->options.state_dir);
        link_state(s);
        return 0;
}

/* The page of the run before, when the service manager kept it and it is one. */
static bool claim_retained(Supervisor *s) {
        _cleanup_close_ int fd = service_claim(s->service, STORED_RETAINED);
        int r;

        if (fd < 0)
                return false;
        r = retained_map(fd, &s->retained);
        if (r < 0) {
                log_warning_errno(r, "What the service manager kept as the retained page is none: %m");
                return false;
        }
        s->retained_fd = TAKE_FD(fd);
        return true;
}

/* What a board had retained outlives the daemon: to the board its restart is a reset like others. Only
 * power-on forgets it. */
static int make_retained(Supervisor *s) {
        bool kept = claim_retained(s);
        int r;

        if (!kept) {
                s->retained_fd = retained_create();
                if (s->retained_fd < 0)
                        return log_error_errno(s->retained_fd, "Failed to make the retained page: %m");
                r = retained_map(s->retained_fd, &s->retained);
                if (r < 0)
                        return log_error_errno(r, "Failed to map the retained page: %m");
                service_store(s->service, STORED_RETAINED, s->retained_fd);
                if (s->why.cause != RESET_CAUSE_PWRON)
                        log_info("The retained page (RTC memory) did not survive, it is empty now: a "
                                 "service manager keeps it over a restart and a crash, not over a stop.");
        }
        if (!kept || s->why.cause == RESET_CAUSE_PWRON)
                retained_clear(s->retained);
        if (!kept && s->why.cause == RESET_CAUSE_SOFT) { /* nothing was there to be handed over */
                s->why.cause = RESET_CAUSE_HARD;
                s->why.reason = RESET_REASON_RESET_PIN;
        }
        return 0;
}

/* The REPL's terminal of the run before: who has it open does not notice the restart. */
static int make_console(Supervisor *s, gid_t gid) {
        ConsoleOptions options = {
                .link = s->repl_link,
                .gid = gid,
                .stall_timeout_usec = s->config.console.stall_timeout_usec,
                .is_users_code = supervisor_repl_used,
                .patience_usec = REPL_PATIENCE_USEC,
                .pty_master = service_claim(s->service, STORED_CONSOLE),
        };
        int r = -ENOENT;

        if (options.pty_master >= 0) {
                r = console_new(&s->console, s->event, &options, supervisor_on_console_sync, s);
                if (r < 0)
                        log_warning_errno(r, "What the service manager kept as the console cannot be "
                                             "used, making a new one: %m");
        }
        if (r >= 0)
                return 0;
        options.pty_master = 0;
        r = console_new(&s->console, s->event, &options, supervisor_on_console_sync, s);
        if (r < 0)
                return log_error_errno(r, "Failed to make the console %s: %m", s->repl_link);
        service_store(s->service, STORED_CONSOLE, console_pty_master(s->console));
        return 0;
}

static int on_lasted(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *s = userdata;

        run_lasted(s->run_dir_fd, s->boot_id);
        return 0;
}

static int add_timers(Supervisor *s) {
        static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME };

        for (size_t i = 0; i < ELEMENTSOF(clocks); i++) {
                /* Accuracy 1 µs: the default is up to 250 ms late. */
                int r = sd_event_add_time(s->event, &s->life_timers[i], clocks[i], UINT64_MAX, 1,
                                          supervisor_on_life_timer, s);

                if (r >= 0)
                        r = sd_event_source_set_enabled(s->life_timers[i], SD_EVENT_OFF);
                if (r < 0)
                        return log_error_errno(r, "Failed to make a timer: %m");
        }
        if (s->why.failures > 0) {
                int r = sd_event_add_time_relative(s->event, &s->lasted_timer, CLOCK_MONOTONIC,
                                                   LASTED_USEC, 0, on_lasted, s);

                if (r < 0)
                        return log_error_errno(r, "Failed to make a timer: %m");
        }
        return 0;
}

static int open_doors(Supervisor *s) {
        _cleanup_free_ char *control_path = NULL;
        ControlBackend backend = supervisor_control_backend(s);
        gid_t gid = admin_group();
        int r;

        r = make_console(s, gid);
        if (r < 0)
                return r;
        console_watch_user(s->console, supervisor_recovery_user);
        if (asprintf(&control_path, "%s/" CONTROL_SOCKET, s->options.run_dir) < 0)
                return log_oom();
        r = control_server_new(&s->control, s->event,
                               &(ControlOptions) {
                                       .path = control_path,
                                       .admin_gid = gid,
                                       .board_uid = s->change_user ? s->board_uid : (uid_t) -1,
                               },
                               &backend);
        if (r < 0)
                return log_error_errno(r, "Failed to listen on %s: %m", control_path);
        return 0;
}

/* What machine.unique_id() says: it tells boards apart in a journal that was collected from many. */
static void name_board_in_log(void) {
        static char text[2 * LINK_UNIQUE_ID_SIZE + 1];
        uint8_t id[LINK_UNIQUE_ID_SIZE];

        host_unique_id(id);
        for (size_t i = 0; i < sizeof id; i++)
                (void) snprintf(text + 2 * i, 3, "%02x", id[i]);
        log_set_field("MPYD_BOARD", text);
}

/* What the host is about to do. Nothing is reset for it: watchdogs stand still while it sleeps, and a shutdown
 * stops the daemon in good order later. */
static void on_host_event(void *userdata, const char *name) {
        Supervisor *s = userdata;

        log_info("%s", streq(name, "host-sleep")      ? "The host goes to sleep."
                       : streq(name, "host-resume")   ? "The host has woken up."
                                                      : "The host is being shut down or rebooted.");
        (void) history_add_event(s->history, name, NULL);
        if (!streq(name, "host-shutdown"))
                supervisor_watchdog_host_sleeps(s, streq(name, "host-sleep"));
}

/* The service's, or one that was named for us; a program in a terminal stays away from it. */
static int join_system_bus(Supervisor *s) {
        const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
        int r;

        if (!address && !service_managed(s->service))
                return 0;
        r = system_bus_new(&s->system_bus, s->event, address ?: SYSTEM_BUS_ADDRESS,
                           &(SystemBusBackend) {
                                   .property = supervisor_property,
                                   .host_event = on_host_event,
                                   .userdata = s,
                           });
        return r < 0 ? log_error_errno(r, "Failed to prepare for the system bus: %m") : 0;
}

/* Only where a service manager gave us a cgroup of our own: a terminal's is not ours to divide. */
static void arrange_cgroups(Supervisor *s) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (!service_managed(s->service))
                return;
        r = sd_pid_get_cgroup(0, &path);
        if (r >= 0 && (strlen(path) < 8 || !streq(path + strlen(path) - 8, ".service")))
                return;
        if (r >= 0)
                r = cgroup_new(&s->cgroup, CGROUP_ROOT, path);
        if (r < 0)
                log_info("The board gets no cgroup of its own (%s); it runs without limits for memory "
                         "and tasks.", strerrordesc_np(-r));
        cgroup_set_limits(s->cgroup, s->config.board.memory_max, s->config.board.tasks_max);
}

static int start(Supervisor *s) {
        LifeLimits limits;
        int r;

        name_board_in_log();
        log_set_sink(supervisor_on_log, s);
        r = service_new(&s->service);
        if (r < 0)
                return log_error_errno(r, "Failed to speak with the service manager: %m");
        r = load_config(s, &s->config);
        if (r < 0)
                return journal_log_errno(JOURNAL_DAEMON_REFUSED, r, "Failed to read %s: %m",
                                         s->options.config_path);
        supervisor_config_taken(s, CONFIG_TAKEN_AT_START);
        arrange_cgroups(s);
        r = take_directories(s);
        if (r < 0)
                return r;
        r = choose_user(s);
        if (r < 0)
                return r;
        r = supervisor_host_begin(s);
        if (r < 0)
                return r;
        r = make_retained(s);
        if (r < 0)
                return r;
        r = history_new(&s->history, s->event, s->history_path, s->config.history.max_size,
                        supervisor_on_history_report, s);
        if (r < 0)
                return log_error_errno(r, "Failed to start the history: %m");
        r = add_timers(s);
        if (r < 0)
                return r;
        r = supervisor_watchdog_new(s);
        if (r < 0)
                return r;
        r = supervisor_safe_mode_new(s);
        if (r < 0)
                return r;
        r = supervisor_recovery_new(s);
        if (r < 0)
                return r;
        r = supervisor_pins_new(s);
        if (r < 0)
                return r;
        r = supervisor_panel_new(s);
        if (r < 0)
                return r;
        r = supervisor_boot_new(s);
        if (r < 0)
                return r;
        r = supervisor_factory_reset_new(s);
        if (r < 0)
                return r;
        r = supervisor_notify_new(s);
        if (r < 0)
                return r;
        supervisor_host_watch_power(s);
        r = open_doors(s);
        if (r < 0)
                return r;
        r = join_system_bus(s);
        if (r < 0)
                return r;
        service_forget_rest(s->service);
        r = service_watch(s->service, s->event, supervisor_check, s);
        if (r < 0)
                return log_error_errno(r, "Failed to arm the keep-alive: %m");
        limits = limits_from(&s->config);
        life_init(&s->life, &limits, supervisor_now());
        return 0;
}

static void power_on(Supervisor *s) {
        uint64_t wait = run_hold_back_usec(s->why.failures);

        journal_log(JOURNAL_DAEMON_START,
                    (const char *const[]) {
                            "MPYD_VERSION", MPYD_VERSION,
                            "MPYD_RESET_REASON", reset_reason_to_string(s->why.reason), NULL,
                    },
                    "mpyd " MPYD_VERSION ": scripts are in %s, the REPL is at %s.", s->flash_dir,
                    s->repl_link);
        (void) history_add_event(s->history, "daemon-start", s->why.detail);
        supervisor_dispatch(s, &(LifeEvent) {
                            .type = LIFE_EVENT_POWER_ON,
                            .cause = s->why.cause,
                            .reason = s->why.reason,
                            .detail = s->why.detail,
                            .leftover = supervisor_adopt_board(s),
                            .sleep_usec = wait,
                    });
}

int supervisor_new(Supervisor **ret, sd_event *event, const SupervisorOptions *options) {
        _cleanup_(supervisor_freep) Supervisor *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return log_oom();
        s->options = *options;
        s->event = sd_event_ref(event);
        s->lock_fd = s->run_dir_fd = s->retained_fd = s->host_root_fd = s->state_dir_fd = s->mark_fd = -EBADF;
        s->started_realtime_usec = now_usec(CLOCK_REALTIME);
        s->board_log_limit = rate_limit_make(BOARD_LOG_BURST, USEC_PER_SEC / BOARD_LOG_PER_SEC,
                                             BOARD_LOG_PER_SEC, now_usec(CLOCK_MONOTONIC));
        r = start(s);
        if (r < 0)
                return r;
        power_on(s);
        *ret = TAKE_PTR(s);
        return 0;
}

int supervisor_ready(Supervisor *s) {
        int r = service_notify_surely(s->service, "READY=1");

        return r < 0 ? log_error_errno(r, "Failed to tell the service manager that mpyd is ready: %m")
                     : 0;
}

void supervisor_stop(Supervisor *s) {
        const LifeLimits *l = &s->life.limits;

        if (!s->life.shutting_down) {
                s->reason_before_stop = s->life.next.reason;
                s->hands_over = now_usec(CLOCK_BOOTTIME) < s->hand_over_until_usec;
        }
        service_notify(s->service, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
                       l->interrupt_timeout_usec + l->abort_timeout_usec + l->kill_timeout_usec +
                               HISTORY_STOP_USEC + STOP_MARGIN_USEC);
        supervisor_dispatch(s, &(LifeEvent) { .type = LIFE_EVENT_SHUTDOWN });
}

Supervisor *supervisor_free(Supervisor *s) {
        if (!s)
                return NULL;
        log_set_sink(NULL, NULL);
        supervisor_notify_done(s);
        s->board = board_process_free(s->board);
        supervisor_boot_done(s);
        supervisor_factory_reset_done(s);
        supervisor_panel_done(s);
        supervisor_pulses_done(s);
        supervisor_pins_done(s);
        s->console = console_free(s->console);
        s->control = control_server_free(s->control);
        s->system_bus = system_bus_free(s->system_bus);
        history_free(TAKE_PTR(s->history), HISTORY_STOP_USEC);
        for (size_t i = 0; i < ELEMENTSOF(s->life_timers); i++)
                sd_event_source_disable_unref(s->life_timers[i]);
        sd_event_source_disable_unref(s->lasted_timer);
        s->service = service_free(s->service);
        s->cgroup = cgroup_free(s->cgroup);
        supervisor_watchdog_done(s);
        supervisor_safe_mode_done(s);
        supervisor_recovery_done(s);
        supervisor_host_done(s);
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
        free(s->last_words);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
