/* SPDX-License-Identifier: MIT */
/* mpyctl repl: the board's terminal. */
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/headline.h"
#include "ctl/paste.h"
#include "ctl/style.h"
#include "ctl/term.h"
#include "ctl/text.h"
#include "mpyd/control.h"
#include "util/io.h"
#include "util/parse.h"

enum { OPTION_TAKE_OVER = 0x100, OPTION_RAW, OPTION_WAIT };

#define LEAVE_KEY '\x1d' /* Ctrl-] */
#define QUIET_USEC (200 * USEC_PER_MSEC)
#define NOTICE_QUIET_USEC (20 * USEC_PER_MSEC) /* then what was printed before a reset has come */
#define NOTICE_WAIT_USEC USEC_PER_SEC          /* of a board that prints on and on: then at the end of a line, and in
                                                * any case after twice that */
#define NOTICE_MAX 1024u
#define WAIT_DEFAULT_USEC (3 * USEC_PER_SEC)
#define PENDING_MAX 65536u /* typed and not yet taken by the board: then the keyboard waits */

typedef struct Repl {
        int console;
        sd_bus *bus;           /* tells of resets; NULL: it has ended */
        bool terminal;         /* keys, not a pipe */
        bool raw;              /* --raw: bytes pass as they are */
        bool at_prompt;        /* the board was at the REPL when we came */
        bool input_ended;
        bool warned;           /* that not all of the input can be typed */
        char last;             /* of the input from a pipe */
        bool leaving;
        bool line_ended;       /* of what was printed */
        char *notice;          /* of a reset, to be shown between what was printed before and after it */
        uint64_t notice_usec;  /* since when it is */
        uint64_t wait_usec;
        uint64_t last_output;
        PromptWatch prompt;
        PasteFilter filter;
        char *pending;
        size_t n_pending, n_sent;
} Repl;

static int take_keys(Repl *r, const char *in, size_t size) {
        const char *leave = memchr(in, LEAVE_KEY, size);

        if (leave && !r->filter.pasting) {
                r->leaving = true;
                size = (size_t) (leave - in);
        }
        return paste_filter_keys(&r->filter, !r->raw && prompt_watch_is_ready(&r->prompt), in, size,
                                 &r->pending, &r->n_pending);
}

static int take_pipe(Repl *r, const char *in, size_t size) {
        for (size_t i = 0; i < size && r->at_prompt && !r->raw && !r->warned; i++)
                if ((unsigned char) in[i] >= 0x80) {
                        complain("The REPL's line editing drops characters that are not ASCII.");
                        advise("mpyctl exec - takes all text");
                        r->warned = true;
                }
        r->last = in[size - 1];
        if (!r->raw)
                return paste_filter_pipe(&r->filter, r->at_prompt, in, size, &r->pending,
                                         &r->n_pending);
        char *bigger = realloc(r->pending, r->n_pending + size);

        if (!bigger)
                return -ENOMEM;
        memcpy(bigger + r->n_pending, in, size);
        r->pending = bigger;
        r->n_pending += size;
        return 0;
}

/* A last line without its end is meant, too; left in the board's line it would be the next user's. */
static int end_pipe(Repl *r) {
        r->input_ended = true;
        r->last_output = now_usec(CLOCK_MONOTONIC);
        if (r->terminal || r->raw || !r->at_prompt || (unsigned char) r->last < ' ')
                return 0;
        return take_pipe(r, "\n", 1);
}

static int on_stdin(Repl *r) {
        char buf[4096];
        ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        if (n == 0)
                return end_pipe(r);
        return r->terminal ? take_keys(r, buf, (size_t) n) : take_pipe(r, buf, (size_t) n);
}

static int send_pending(Repl *r) {
        while (r->n_sent < r->n_pending) {
                ssize_t n = send(r->console, r->pending + r->n_sent, r->n_pending - r->n_sent,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EPIPE ? -ECONNRESET : -errno;
                r->n_sent += (size_t) n;
        }
        r->n_pending = r->n_sent = 0;
        return 0;
}

static int on_console(Repl *r) {
        char buf[4096];
        ssize_t n = recv(r->console, buf, sizeof(buf), MSG_DONTWAIT);

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        if (n == 0)
                return -ECONNRESET;
        r->last_output = now_usec(CLOCK_MONOTONIC);
        prompt_watch_feed(&r->prompt, buf, (size_t) n);
        r->line_ended = buf[n - 1] == '\n';
        return write_all(STDOUT_FILENO, buf, (size_t) n);
}

/* What the board's new banner does not say: that it is a new one, and why. A soft reset says so itself. */
static void take_reset(Repl *r, sd_bus_message *m) {
        _cleanup_free_ char *text = NULL;
        const char *cause, *detail;
        bool keep = r->notice && strlen(r->notice) < NOTICE_MAX;
        char *line;

        if (!r->terminal || r->raw || sd_bus_message_read(m, "ss", &cause, &detail) < 0 ||
            streq(cause, "SOFT_RESET"))
                return;
        text = text_printable(detail, false);
        if (asprintf(&line, "%s%s%s: %s%s\r\n", keep ? r->notice : "", style_on(stderr, STYLE_DIM), cause,
                     text ? text : "", style_off(stderr)) < 0)
                return;
        if (!r->notice)
                r->notice_usec = now_usec(CLOCK_MONOTONIC);
        free(r->notice);
        r->notice = line;
}

/* The bus is quicker than the console, whose backlog is older. empty: just now it has none. quiet: not for a while. */
static void show_notice(Repl *r, bool empty, bool quiet) {
        uint64_t waited = now_usec(CLOCK_MONOTONIC) - r->notice_usec;
        bool at_prompt = prompt_watch_is_ready(&r->prompt);
        bool now = quiet || (empty && (r->line_ended || at_prompt));

        if (!now && !(r->line_ended && waited >= NOTICE_WAIT_USEC) && waited < 2 * NOTICE_WAIT_USEC)
                return;
        /* After a while a prompt is most likely the new board's, and stays where the user types. */
        fprintf(stderr, "%s%s%s", r->line_ended ? "" : quiet && at_prompt ? "\r" : "\r\n", r->notice,
                quiet && at_prompt ? PROMPT : "");
        free(r->notice);
        r->notice = NULL;
}

/* Read in any case: the daemon lets go of a connection that does not. */
static void on_bus(Repl *r) {
        int n;

        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

                n = sd_bus_process(r->bus, &m);
                if (n > 0 && m && sd_bus_message_is_signal(m, CONTROL_INTERFACE, "BoardReset") > 0)
                        take_reset(r, m);
        } while (n > 0);
        if (n < 0)
                r->bus = NULL;
}

/* Piped input has ended: how long to go on listening; 0 is over. */
static uint64_t listen_usec(const Repl *r) {
        uint64_t quiet = now_usec(CLOCK_MONOTONIC) - r->last_output;
        uint64_t enough = prompt_watch_is_ready(&r->prompt) ? MIN(QUIET_USEC, r->wait_usec)
                                                            : r->wait_usec;

        return quiet < enough ? enough - quiet : 0;
}

/* 0: the user left; else an error. */
static int talk(Repl *r) {
        for (;;) {
                bool waiting = r->n_pending > 0;
                bool room = r->n_pending < PENDING_MAX;
                uint64_t left = UINT64_MAX;
                struct timespec ts;
                int n, e;

                if (r->leaving && !waiting)
                        return 0;
                if (r->input_ended && !waiting) {
                        left = listen_usec(r);
                        if (left == 0)
                                return 0;
                }
                if (r->notice)
                        left = MIN(left, NOTICE_QUIET_USEC);
                struct pollfd p[] = {
                        { .fd = r->console,
                          .events = (short) (POLLIN | (waiting ? POLLOUT : 0)) },
                        { .fd = r->input_ended || r->leaving || !room ? -1 : STDIN_FILENO,
                          .events = POLLIN },
                        { .fd = r->bus ? sd_bus_get_fd(r->bus) : -1, .events = POLLIN },
                };
                ts.tv_sec = (time_t) (left / USEC_PER_SEC);
                ts.tv_nsec = (long) (left % USEC_PER_SEC * 1000);
                n = ppoll(p, ELEMENTSOF(p), left == UINT64_MAX ? NULL : &ts, NULL);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0 && r->notice)
                        show_notice(r, true, true);
                if (n <= 0)
                        continue;
                if (p[2].revents)
                        on_bus(r);
                e = p[1].revents ? on_stdin(r) : 0;
                if (e >= 0 && r->n_pending > 0)
                        e = send_pending(r);
                if (e >= 0 && p[0].revents & (POLLIN | POLLHUP | POLLERR))
                        e = on_console(r);
                if (e < 0)
                        return e;
                if (r->notice)
                        show_notice(r, !(p[0].revents & POLLIN), false);
        }
}

/* What to expect: a blank screen is no help. The terminal is raw already, or what is typed on seeing this
 * would still be its to edit and to echo. */
static void greet(const Repl *r, const json_t *p) {
        const char *stage = property_string(p, "stage"), *state = property_string(p, "repl_state");

        fprintf(stderr, "%sConnected to the board's REPL. Ctrl-] leaves.%s\r\n",
                style_on(stderr, STYLE_BOLD), style_off(stderr));
        if (property_u64(p, "board_pid") == 0)
                fprintf(stderr, "No board runs just now (%s): its output comes when it starts.\r\n",
                        property_string(p, "state"));
        else if (repl_state_runs(p))
                fprintf(stderr, "Code that was entered here is running: Ctrl-C interrupts it%s.\r\n",
                        streq(state, "raw-running") ? ", then Ctrl-B shows the prompt" : "");
        else if (streq(state, "raw") && r->raw)
                fprintf(stderr, "The raw REPL waits: Ctrl-B changes to the normal one.\r\n");
        else if (streq(stage, "repl"))
                fprintf(stderr, "Ctrl-D starts main.py (soft reset). Enter shows the prompt.\r\n");
        else
                fprintf(stderr, "%s is running: Ctrl-C interrupts it, Ctrl-D starts it anew.\r\n",
                        stage);
}

static int explain_end(const Ctl *c, sd_bus *bus, int error) {
        json_t *p = NULL;

        if (error != -ECONNRESET && error != -EPIPE) {
                complain("The REPL broke off: %s.", strerror(-error));
                return CTL_EXIT_FAILURE;
        }
        if (bus_get_properties(bus, &p, NULL) < 0) {
                complain("mpyd has stopped.");
                advise("mpyctl status");
                return CTL_EXIT_LOST;
        }
        complain("The REPL was taken over by %s.",
                 *property_string(p, "console_holder") ? property_string(p, "console_holder")
                                                       : "somebody else");
        advise("mpyctl repl --take-over takes it back");
        json_decref(p);
        return CTL_EXIT_LOST;
}

/* A tool that was killed leaves the raw REPL, which shows a person nothing. */
static int leave_raw_repl(Repl *r, const json_t *p) {
        static const char normal = '\x02'; /* Ctrl-B */

        if (r->raw || !streq(property_string(p, "repl_state"), "raw"))
                return 0;
        r->pending = malloc(1);
        if (!r->pending)
                return -ENOMEM;
        r->pending[r->n_pending++] = normal;
        return 0;
}

static int repl_talk(const Ctl *c, sd_bus *bus, Repl *r, const json_t *p) {
        const char *term = getenv("TERM");
        int e;

        if (r->terminal) {
                e = term_set_raw(STDIN_FILENO,
                                 !r->raw && isatty(STDOUT_FILENO) && term && !streq(term, "dumb"));
                if (e < 0) {
                        complain("Failed to set the terminal: %s.", strerror(-e));
                        return CTL_EXIT_FAILURE;
                }
                greet(r, p);
        } else {
                (void) signal(SIGPIPE, SIG_IGN); /* write_all() tells */
                if (!r->raw && !r->at_prompt) {
                        complain("The board is not at its prompt: what comes is input of the program that runs.");
                        advise("mpyctl interrupt ends it; mpyctl exec - runs code in a fresh VM");
                }
        }
        e = talk(r);
        if (r->notice)
                fprintf(stderr, "%s%s", r->line_ended ? "" : "\r\n", r->notice);
        term_restore();
        if (r->terminal)
                fputc('\n', stderr);
        return e < 0 ? explain_end(c, bus, e) : CTL_EXIT_OK;
}

static int repl_run(const Ctl *c, const Invocation *in) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_close_ int console = -EBADF;
        const char *wait = invocation_argument(in, OPTION_WAIT);
        Repl repl = {
                .terminal = isatty(STDIN_FILENO),
                .raw = invocation_has(in, OPTION_RAW),
                .wait_usec = WAIT_DEFAULT_USEC,
        };
        json_t *p = NULL;
        int r;

        if (c->json) {
                complain("repl has no JSON form.");
                advise("for a value: mpyctl --json eval EXPR");
                return CTL_EXIT_USAGE;
        }
        if (wait && parse_timespan(wait, &repl.wait_usec) < 0) {
                complain("\"%s\" is not a time.", wait);
                advise("a number with a unit, as in --wait 10s");
                return CTL_EXIT_USAGE;
        }
        r = bus_connect_or_explain(c, &bus);
        if (r > 0)
                return r;
        r = bus_get_properties(bus, &p, &e);
        if (r < 0)
                return bus_explain(c, r, &e, "read the board's state");
        r = bus_open_console(bus, "repl", invocation_has(in, OPTION_TAKE_OVER), &e, &console);
        if (r < 0) {
                json_decref(p);
                return bus_explain(c, r, &e, "open the REPL");
        }
        repl.console = console;
        repl.bus = bus;
        on_bus(&repl); /* what came with the answers is in memory already */
        repl.at_prompt = is_at_prompt(p);
        repl.filter.line_ended = true; /* of what somebody before may have left in the line */
        r = leave_raw_repl(&repl, p);
        if (r >= 0)
                r = repl_talk(c, bus, &repl, p);
        else
                complain("Out of memory.");
        json_decref(p);
        paste_filter_done(&repl.filter);
        free(repl.pending);
        free(repl.notice);
        return r;
}

static const struct option options[] = {
        { "take-over", no_argument, NULL, OPTION_TAKE_OVER },
        { "raw", no_argument, NULL, OPTION_RAW },
        { "wait", required_argument, NULL, OPTION_WAIT },
        {},
};

const Verb verb_repl = {
        .name = "repl",
        .summary = "use the board's REPL",
        .usage = "[OPTIONS]",
        .help = "Connects this terminal to the board's REPL. It stays over every reset of the\n"
                "board, and tells why a hard one was. Ctrl-] leaves; Ctrl-C interrupts the program;\n"
                "Ctrl-D at the prompt is a soft reset. Text of several lines pasted at the prompt\n"
                "arrives as it was (by the REPL's paste mode). A raw REPL, as a tool leaves it, is\n"
                "changed to the normal one first. Input from a pipe is typed line by line; after its\n"
                "end mpyctl listens until the prompt is back.\n\n"
                "Options:\n"
                "  --take-over      take the REPL from whoever uses it\n"
                "  --raw            pass pastes and piped bytes on as they are\n"
                "  --wait TIME      from a pipe, at no prompt: leave after so much silence (3s)\n\n"
                "Examples:\n"
                "  mpyctl repl\n"
                "  echo 'print(1 + 1)' | mpyctl repl\n"
                "  mpyctl -H pi@greenhouse repl\n\n"
                "Exit codes:\n"
                "  0  left    5  somebody else uses it    7  taken over, or mpyd stopped\n",
        .letters = "",
        .options = options,
        .max_arguments = 0,
        .run = repl_run,
};
