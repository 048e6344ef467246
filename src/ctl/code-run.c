/* SPDX-License-Identifier: MIT */
/* eval and exec: one program on the board, from the connection to the exit code. */
#include "ctl/code-run.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/headline.h"
#include "ctl/raw-repl.h"
#include "ctl/style.h"
#include "mpyd/control.h"
#include "util/io.h"
#include "util/parse.h"

#define ENTER_TIMEOUT_USEC (10 * USEC_PER_SEC)     /* each step, as mpremote */
#define INTERRUPT_TIMEOUT_USEC (3 * USEC_PER_SEC)
#define LEAVE_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define LEAVE_LOST_TIMEOUT_USEC (500 * USEC_PER_MSEC)

/* Errors of our own in the stream of negative errnos. */
#define ERROR_BOARD_RESET (-EOWNERDEAD)

typedef struct Session {
        const CodeRun *run;
        sd_bus *bus;
        int signals;
        RawRepl *repl;
        uint64_t board_pid;
        bool reset_seen;        /* a signal says that the board may be another one now */
        bool reset_told;        /* reset_words are a reset's, not a state's */
        bool runs_on;           /* the code did not end on Ctrl-C */
        char reset_words[320];
        bool held_cr[2];        /* a CR at the end of a chunk, per stream */
        int output_error;
} Session;

int code_run_parse(CodeRun *run, const Invocation *in) {
        const char *timeout = invocation_argument(in, CODE_OPTION_TIMEOUT);

        run->resume = invocation_has(in, CODE_OPTION_RESUME);
        run->restart = invocation_has(in, CODE_OPTION_RESTART);
        run->take_over = invocation_has(in, CODE_OPTION_TAKE_OVER);
        run->binary = invocation_has(in, CODE_OPTION_BINARY);
        run->timeout_usec = UINT64_MAX;
        if (timeout && (parse_timespan(timeout, &run->timeout_usec) < 0 ||
                        run->timeout_usec == 0)) {
                complain("\"%s\" is not a time.", timeout);
                advise("a number with a unit, as in --timeout 10s or --timeout '1min 30s'");
                return CTL_EXIT_USAGE;
        }
        return CTL_EXIT_OK;
}

/* ---- output ---- */

/* Python's text streams send LF as CR LF: undo exactly that. */
static size_t undo_crlf(bool *held_cr, const char *data, size_t size, char *out) {
        size_t n = 0;

        for (size_t i = 0; i < size; i++) {
                if (*held_cr && data[i] != '\n')
                        out[n++] = '\r';
                *held_cr = data[i] == '\r';
                if (!*held_cr)
                        out[n++] = data[i];
        }
        return n;
}

static int on_output(void *userdata, bool is_error, const char *data, size_t size) {
        Session *s = userdata;
        CodeOutput output = is_error ? s->run->error_output : s->run->output;
        char text[4096 + 1];
        int r;

        if (!s->run->binary || is_error) {
                assert(size < sizeof(text));
                size = undo_crlf(&s->held_cr[is_error], data, size, text);
                data = text;
        }
        if (output)
                return output(s->run->userdata, data, size);
        r = write_all(is_error ? STDERR_FILENO : STDOUT_FILENO, data, size);
        if (r < 0)
                s->output_error = r;
        return r;
}

/* ---- resets while the code runs ---- */

static int on_board_reset(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Session *s = userdata;
        const char *cause, *detail;

        if (sd_bus_message_read(m, "ss", &cause, &detail) < 0)
                return 0;
        s->reset_seen = s->reset_told = true;
        (void) snprintf(s->reset_words, sizeof(s->reset_words), "was reset (%s, %s)", cause,
                        detail);
        return 0;
}

/* Deep sleep, or a wait before the next boot: no board, and no reset either until it is over. */
static int on_state_changed(sd_bus_message *m, void *userdata, sd_bus_error *e) {
        Session *s = userdata;
        const char *state, *stage;

        if (sd_bus_message_read(m, "ss", &state, &stage) < 0)
                return 0;
        s->reset_seen = true;
        if (s->reset_told) /* the reset says more than the state after it */
                return 0;
        (void) snprintf(s->reset_words, sizeof(s->reset_words), "is gone (state %s)", state);
        return 0;
}

static int get_board_pid(sd_bus *bus, uint64_t *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        uint32_t pid;
        int r;

        r = sd_bus_get_property_trivial(bus, NULL, CONTROL_PATH, CONTROL_INTERFACE, "BoardPid", &e,
                                        'u', &pid);
        if (r >= 0)
                *ret = pid;
        return r;
}

/* The bus has something: a reset of the board that runs our code ends the wait. The signal of
 * our own soft reset may come late, so the process decides. */
static int on_bus(void *userdata) {
        Session *s = userdata;
        uint64_t pid;
        int r;

        /* Signals that arrive while we ask are queued in the bus, where poll() does not see them: go
         * on until there is nothing left. */
        for (;;) {
                do
                        r = sd_bus_process(s->bus, NULL);
                while (r > 0);
                if (r < 0)
                        return -ECONNRESET;
                if (!s->reset_seen)
                        return 0;
                s->reset_seen = false;
                r = get_board_pid(s->bus, &pid);
                if (r < 0)
                        return -ECONNRESET;
                if (pid == s->board_pid) {
                        s->reset_told = false; /* our own */
                        continue;
                }
                /* What became of it was said before the answer, and waits in the bus by now. */
                do
                        r = sd_bus_process(s->bus, NULL);
                while (r > 0);
                return ERROR_BOARD_RESET;
        }
}

static int watch_board(Session *s) {
        int r;

        r = get_board_pid(s->bus, &s->board_pid);
        if (r >= 0)
                r = sd_bus_match_signal(s->bus, NULL, NULL, CONTROL_PATH, CONTROL_INTERFACE,
                                        "BoardReset", on_board_reset, s);
        if (r >= 0)
                r = sd_bus_match_signal(s->bus, NULL, NULL, CONTROL_PATH, CONTROL_INTERFACE,
                                        "StateChanged", on_state_changed, s);
        if (r >= 0)
                r = on_bus(s); /* what has come until now */
        if (r >= 0)
                raw_repl_set_watch(s->repl, sd_bus_get_fd(s->bus), on_bus, s);
        return r;
}

/* ---- verdicts ---- */

/* No signal: then the reader of our output has gone. */
static int taken_signal(Session *s) {
        struct signalfd_siginfo si;

        if (read(s->signals, &si, sizeof(si)) != (ssize_t) sizeof(si))
                return SIGPIPE;
        return (int) si.ssi_signo;
}

static void explain_no_board(const json_t *p) {
        const char *problem = property_string(p, "problem");
        const StateWords *w = state_words(property_string(p, "state"));

        complain("No board runs (state %s%s%s).", property_string(p, "state"),
                 *problem ? ": " : "", problem);
        advise("%s", w->next_step ?: "mpyctl status says more");
}

/* None now, and none for longer than we wait for the REPL: in deep sleep, or a long back-off. */
static int check_board(const Ctl *c, sd_bus *bus) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int r, code = CTL_EXIT_OK;
        json_t *p = NULL;
        uint64_t next;

        r = bus_get_properties(bus, &p, &e);
        if (r < 0)
                return bus_explain(c, r, &e, "read the board's state");
        next = property_u64(p, "next_boot_boottime");
        if (property_u64(p, "board_pid") == 0 &&
            (streq(property_string(p, "state"), "deep-sleep") ||
             next > now_usec(CLOCK_BOOTTIME) + ENTER_TIMEOUT_USEC)) {
                explain_no_board(p);
                code = CTL_EXIT_NO_BOARD;
        }
        json_decref(p);
        return code;
}

/* p: NULL when the board cannot be asked. */
static void explain_timeout(const json_t *p) {
        if (p && is_at_prompt(p)) {
                complain("The board is at the REPL, but nobody answers there.");
                advise("a callback of a timer or a pin may not end: mpyctl interrupt ends it, "
                       "mpyctl reset --soft starts the program anew");
                return;
        }
        complain("The board did not come to the REPL in time (it is in %s).",
                 p ? property_string(p, "stage") : "an unknown state");
        if (p && streq(property_string(p, "stage"), "boot.py"))
                advise("it may ignore Ctrl-C: mpyctl safe-mode enter comes up without it");
        else
                advise("its program may ignore Ctrl-C: mpyctl reset starts it anew, mpyctl log shows what it does, "
                       "mpyctl safe-mode enter comes up without it");
}

static int explain_enter(Session *s, int r) {
        json_t *p = NULL;

        if (r == -ECANCELED)
                return 128 + taken_signal(s);
        if (r == -ECONNRESET) {
                complain("The REPL was closed: somebody took it over, or mpyd stopped.");
                advise("mpyctl status says which");
                return CTL_EXIT_LOST;
        }
        if (r == ERROR_BOARD_RESET) {
                complain("The board %s before the code could run.", s->reset_words);
                return CTL_EXIT_RESET;
        }
        if (r != -ETIMEDOUT) {
                complain("Failed to talk to the REPL: %s.", strerror(-r));
                return CTL_EXIT_FAILURE;
        }
        if (bus_get_properties(s->bus, &p, NULL) < 0)
                p = NULL;
        if (p && property_u64(p, "board_pid") == 0) {
                explain_no_board(p);
                json_decref(p);
                return CTL_EXIT_NO_BOARD;
        }
        explain_timeout(p);
        json_decref(p);
        return CTL_EXIT_TIMEOUT;
}

/* The wait for the program was called off: stop it, if it can be stopped. */
static int stop_program(Session *s, int why) {
        int code = why == -ETIMEDOUT ? CTL_EXIT_TIMEOUT : 128 + taken_signal(s);
        int r;

        if (why == -ETIMEDOUT)
                complain("Time is up, interrupting the code.");
        r = raw_repl_interrupt(s->repl, INTERRUPT_TIMEOUT_USEC, on_output, s);
        if (r == -ETIMEDOUT) {
                s->runs_on = true;
                complain("The code does not stop on Ctrl-C and runs on.");
                advise("mpyctl reset ends it");
        }
        return code;
}

static int explain_exec(Session *s, int r, bool *ret_gone) {
        *ret_gone = false;
        if (s->output_error == -EPIPE) {
                (void) raw_repl_interrupt(s->repl, INTERRUPT_TIMEOUT_USEC, on_output, s);
                return 128 + SIGPIPE;
        }
        if (s->output_error < 0) {
                complain("Failed to write the output: %s.", strerror(-s->output_error));
                (void) raw_repl_interrupt(s->repl, INTERRUPT_TIMEOUT_USEC, on_output, s);
                return CTL_EXIT_FAILURE;
        }
        if (r == -ETIMEDOUT || r == -ECANCELED)
                return stop_program(s, r);
        *ret_gone = true;
        if (r == ERROR_BOARD_RESET) {
                complain("The board %s before the code had ended.", s->reset_words);
                return CTL_EXIT_RESET;
        }
        if (r == -ECONNRESET) {
                complain("The REPL was closed before the code had ended: somebody took it over, or "
                         "mpyd stopped.");
                advise("mpyctl status says which");
                return CTL_EXIT_LOST;
        }
        complain("Failed to run the code: %s.",
                 r == -EPROTO ? "the board does not answer as a raw REPL does" : strerror(-r));
        return CTL_EXIT_FAILURE;
}

/* ---- what calls it off ---- */

static int block_signals(int *ret) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGINT);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        *ret = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        /* A reader that leaves is an error of write(), not our death: the code is to be stopped. */
        (void) signal(SIGPIPE, SIG_IGN);
        return *ret < 0 ? -errno : 0;
}

/* One descriptor for both: a signal, and a reader of our output that goes away while the code
 * prints nothing (ssh without a terminal, ended by Ctrl-C, sends no signal to us). */
static int watch_cancel(int signals, int *ret) {
        _cleanup_close_ int fd = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event e = { .events = EPOLLIN };

        if (fd < 0)
                return -errno;
        if (epoll_ctl(fd, EPOLL_CTL_ADD, signals, &e) < 0)
                return -errno;
        e.events = 0; /* errors and hang-ups come unasked */
        if (epoll_ctl(fd, EPOLL_CTL_ADD, STDOUT_FILENO, &e) < 0 && errno != EPERM && errno != EBADF)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

/* ---- the whole ---- */

static int run_in_repl(Session *s) {
        uint64_t deadline = UINT64_MAX, t;
        bool exception = false, soft_reset = false, gone = false;
        int r, code;

        r = raw_repl_enter(s->repl, !s->run->resume, ENTER_TIMEOUT_USEC);
        if (r >= 0)
                r = watch_board(s);
        if (r < 0) {
                code = explain_enter(s, r);
                (void) raw_repl_leave(s->repl, false, LEAVE_LOST_TIMEOUT_USEC);
                return code;
        }

        t = now_usec(CLOCK_MONOTONIC);
        if (s->run->timeout_usec < UINT64_MAX - t)
                deadline = t + s->run->timeout_usec;
        r = raw_repl_exec(s->repl, s->run->code, s->run->size, deadline, on_output, s, &exception,
                          &soft_reset);
        if (r < 0)
                code = explain_exec(s, r, &gone);
        else
                code = exception ? CTL_EXIT_EXCEPTION : CTL_EXIT_OK;

        /* A board that was reset is at its friendly prompt, or runs main.py. */
        if (gone)
                return code;
        r = raw_repl_leave(s->repl, s->run->restart,
                           s->runs_on ? LEAVE_LOST_TIMEOUT_USEC : LEAVE_TIMEOUT_USEC);
        if (r < 0 && code <= CTL_EXIT_EXCEPTION) {
                complain("The code has ended, but the REPL did not come back to its prompt.");
                advise("mpyctl status says what the board does");
                return CTL_EXIT_FAILURE;
        }
        return code;
}

int code_run(const Ctl *c, const CodeRun *run) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_close_ int console = -EBADF, signals = -EBADF, cancel = -EBADF;
        _cleanup_(raw_repl_freep) RawRepl *repl = NULL;
        Session s = { .run = run };
        int r;

        r = bus_connect_or_explain(c, &bus);
        if (r > 0)
                return r;
        r = check_board(c, bus);
        if (r > 0)
                return r;
        r = bus_open_console(bus, run->verb, run->take_over, &e, &console);
        if (r < 0)
                return bus_explain(c, r, &e, "open the REPL");
        r = block_signals(&signals);
        if (r >= 0)
                r = watch_cancel(signals, &cancel);
        if (r >= 0)
                r = raw_repl_new(&repl, console, cancel);
        if (r < 0) {
                complain("Failed to prepare: %s.", strerror(-r));
                return CTL_EXIT_FAILURE;
        }
        s.bus = bus;
        s.signals = signals;
        s.repl = repl;
        return run_in_repl(&s);
}

void code_put_literal(FILE *f, const char *s) {
        fputc('"', f);
        for (; *s; s++)
                if (*s == '"' || *s == '\\')
                        fprintf(f, "\\%c", *s);
                else if ((unsigned char) *s < ' ' || *s == 0x7f)
                        fprintf(f, "\\x%02x", (unsigned) (unsigned char) *s);
                else
                        fputc(*s, f);
        fputc('"', f);
}
