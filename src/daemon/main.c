/* SPDX-License-Identifier: MIT */
/* mpyd: options, signals, the event loop. Everything else is the supervisor's. */
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-event.h>

#include "daemon/journal.h"
#include "daemon/log-pump.h"
#include "daemon/real-time.h"
#include "daemon/supervisor.h"
#include "host/run-mark.h"
#include "mpyd/control.h"
#include "util/log.h"

static int help(void) {
        printf("mpyd [OPTIONS]\n\n"
               "Runs MicroPython on this machine as on a microcontroller: boots it, resets it,\n"
               "remembers why. Usually started by systemd; as any user it runs in the foreground.\n\n"
               "  --config FILE     configuration (" MPYD_CONFIG_FILE ", with FILE.d/*.conf)\n"
               "  --state-dir DIR   scripts and history (" CONTROL_DEFAULT_STATE_DIR ")\n"
               "  --run-dir DIR     REPL and control socket (" CONTROL_DEFAULT_RUN_DIR ")\n"
               "  --board FILE      the interpreter's program (" MPYD_BOARD_FILE ")\n"
               "  --action FILE     what does what mpyd has no right to (" MPYD_ACTION_FILE ")\n"
               "  --host-root DIR   where /proc and /sys of the host are read (/)\n"
               "  --after-stop      for ExecStopPost=: notes for the next run how this one ended\n"
               "  --version         show the version\n"
               "  --help            show this text\n\n"
               "See mpyctl --help for the tool that talks to it.\n");
        return 0;
}

/* Returns 1 to go on, 0 when all is done, a negative errno after an error. */
static int parse_arguments(int argc, char *argv[], SupervisorOptions *ret, bool *ret_after_stop) {
        enum {
                ARG_CONFIG = 256, ARG_STATE_DIR, ARG_RUN_DIR, ARG_BOARD, ARG_ACTION, ARG_HOST_ROOT, ARG_AFTER_STOP,
                ARG_VERSION,
        };
        static const struct option options[] = {
                { "config", required_argument, NULL, ARG_CONFIG },
                { "state-dir", required_argument, NULL, ARG_STATE_DIR },
                { "run-dir", required_argument, NULL, ARG_RUN_DIR },
                { "board", required_argument, NULL, ARG_BOARD },
                { "action", required_argument, NULL, ARG_ACTION },
                { "host-root", required_argument, NULL, ARG_HOST_ROOT },
                { "after-stop", no_argument, NULL, ARG_AFTER_STOP },
                { "version", no_argument, NULL, ARG_VERSION },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        SupervisorOptions o = {
                .config_path = MPYD_CONFIG_FILE,
                .state_dir = CONTROL_DEFAULT_STATE_DIR,
                .run_dir = CONTROL_DEFAULT_RUN_DIR,
                .board_path = MPYD_BOARD_FILE,
                .action_path = MPYD_ACTION_FILE,
                .host_root = "/",
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case ARG_CONFIG:
                        o.config_path = optarg;
                        o.config_required = true;
                        break;
                case ARG_STATE_DIR:
                        o.state_dir = optarg;
                        break;
                case ARG_RUN_DIR:
                        o.run_dir = optarg;
                        break;
                case ARG_BOARD:
                        o.board_path = optarg;
                        break;
                case ARG_ACTION:
                        o.action_path = optarg;
                        break;
                case ARG_HOST_ROOT:
                        o.host_root = optarg;
                        break;
                case ARG_AFTER_STOP:
                        *ret_after_stop = true;
                        break;
                case ARG_VERSION:
                        printf("mpyd " MPYD_VERSION "\n");
                        return 0;
                case 'h':
                        return help();
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, "mpyd: unexpected argument %s; see mpyd --help\n", argv[optind]);
                return -EINVAL;
        }
        *ret = o;
        return 1;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Supervisor *s = userdata;

        if (si->ssi_signo == SIGHUP) {
                (void) supervisor_reload(s, NULL, NULL);
                return 0;
        }
        journal_log(JOURNAL_DAEMON_STOP, NULL, "Stopping (SIG%s).",
                    sigabbrev_np((int) si->ssi_signo) ?: "?");
        supervisor_stop(s);
        return 0;
}

static int run(const SupervisorOptions *options) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(log_pump_freep) LogPump *pump = NULL;
        _cleanup_(real_time_freep) RealTime *real_time = NULL;
        _cleanup_(supervisor_freep) Supervisor *s = NULL;
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
        sigset_t mask;
        int r;

        /* The threads wait for disks, not for each other's memory. */
        (void) mallopt(M_ARENA_MAX, 1);
        /* Before any thread starts, so that they all have them blocked. */
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGXCPU); /* real_time_new() */
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void) sigaddset(&mask, signals[i]);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGCHLD, SIG_DFL); /* who started us may ignore it, and so would never hear how a board ended */

        r = sd_event_default(&event);
        if (r < 0)
                return log_error_errno(r, "Failed to make the event loop: %m");
        r = log_pump_new(&pump, event);
        if (r < 0)
                return log_error_errno(r, "Failed to make a timer: %m");
        r = real_time_new(&real_time, event);
        if (r < 0)
                return log_error_errno(r, "Failed to watch how long the loop is busy: %m");
        r = supervisor_new(&s, event, options);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_event_add_signal(event, NULL, signals[i], on_signal, s);
                if (r < 0)
                        return log_error_errno(r, "Failed to watch signals: %m");
        }
        r = supervisor_ready(s);
        return r < 0 ? r : sd_event_loop(event);
}

/* Runs when the daemon is gone, also by a crash: systemd tells what it saw. */
static int after_stop(const SupervisorOptions *options) {
        _cleanup_close_ int fd = open(options->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return log_error_errno(errno, "Failed to open %s: %m", options->run_dir);
        r = run_note_result(fd, getenv("SERVICE_RESULT"), getenv("EXIT_CODE"), getenv("EXIT_STATUS"));
        return r < 0 ? log_error_errno(r, "Failed to note in %s how mpyd ended: %m", options->run_dir)
                     : 0;
}

int main(int argc, char *argv[]) {
        SupervisorOptions options;
        bool is_after_stop = false;
        int r;

        r = parse_arguments(argc, argv, &options, &is_after_stop);
        if (r <= 0)
                return r < 0 ? 2 : 0;
        log_open("mpyd");
        if (is_after_stop)
                return after_stop(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        return run(&options) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
