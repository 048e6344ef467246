/* SPDX-License-Identifier: MIT */
/* The control bus on a real socket. The server runs in a process of its own, as it does in mpyd, with
 * the supervisor's real property table; the test is its clients, honest and otherwise. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <endian.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/supervisor.h"
#include "mpyd/control.h"
#include "util/io.h"
#include "util/log.h"
#include "util/parse.h"

#define CALL_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define ADMIN_GID 54321
#define BOARD_UID 54322
#define OTHER_UID 54323

static char directory[] = "/tmp/test-control.XXXXXX";
static char socket_path[64];
static pid_t server = -1;

/* ---- the server's process ---- */

static Supervisor supervisor;

/* Log lines are the test's handle on the server: a soft reset makes many long ones … */
static void flood_log(unsigned n, size_t size) {
        static char text[8192];
        static LogLine line = { .level = 6, .ident = (char *) "main.py", .text = text };

        memset(text, 'x', MIN(size, sizeof text - 1));
        for (unsigned i = 0; i < n; i++) {
                (void) log_ring_add(&supervisor.log, 1, 6, true, "main.py", text);
                control_server_emit_log(supervisor.control, &line);
        }
}

static int backend_reset(void *userdata, ResetKind kind, const char *who) {
        Supervisor *s = userdata;

        (void) free_and_strdup(&s->last_reset, who);
        if (s->life.state == LIFE_STUCK)
                return -EBUSY;
        if (kind == RESET_KIND_SOFT)
                flood_log(200, 7000);
        control_server_emit_reset(s->control, "HARD_RESET", who);
        control_server_emit_state(s->control, "powering-on", "off");
        return 0;
}

/* … and an interrupt: many lines. */
static int backend_reload(void *userdata, void (*note)(void *data, bool mistake, const char *line), void *data) {
        note(data, true, "one");
        note(data, false, "two");
        return 0;
}

static int backend_hand_over(void *userdata) {
        return 0;
}

static int backend_interrupt(void *userdata) {
        flood_log(200, 1000);
        return 0;
}

static int backend_open_console(void *userdata, const char *who, bool take_over, int *ret) {
        Supervisor *s = userdata;

        return console_open_session(s->console, who, take_over, ret);
}

static const char *backend_console_holder(void *userdata) {
        Supervisor *s = userdata;

        return console_holder(s->console);
}

/* What was asked of the history and not answered yet. */
typedef struct Question {
        HistoryAnswer answer;
        void *data;
} Question;
static unsigned n_questions;

static void on_history_answer(void *userdata, int r, HistoryRecord *resets, size_t n) {
        _cleanup_free_ Question *q = userdata;

        n_questions--;
        q->answer(q->data, r, resets, n);
}

static int backend_history(void *userdata, const HistoryQuery *q, HistoryAnswer answer, void *data) {
        Supervisor *s = userdata;

        Question *question = malloc(sizeof *question);
        int r;

        if (!question)
                return -ENOMEM;
        *question = (Question) { answer, data };
        r = history_query(s->history, q, on_history_answer, question);
        if (r < 0)
                free(question);
        else if (++n_questions > 4) /* of this one peer: end() sees it */
                _exit(9);
        return r;
}

static const LogRing *backend_log(void *userdata) {
        Supervisor *s = userdata;

        return &s->log;
}

static void on_report(void *userdata, int level, const char *message) {
}

static int on_term(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* Something else that is always ready, as the console of a board that prints without end. */
static int on_busy(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        return 0;
}

static int make_busy(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        return sd_event_add_io(sd_event_source_get_event(source), NULL, eventfd(1, EFD_CLOEXEC),
                               EPOLLIN, on_busy, NULL);
}

/* The history has opened all that it opens: the test may count. */
static void on_stored(void *userdata, int64_t id) {
        int *ready_fd = userdata;

        if (id <= 0)
                _exit(8);
        (void) !write(*ready_fd, "x", 1);
        *ready_fd = safe_close(*ready_fd);
}

static void fill_supervisor(Supervisor *s) {
        static char *warnings[] = { (char *) "mpyd.conf:1: [board] heap: \xff is no size", NULL };
        static const char bad[] = "/tmp/\xc3\xa9t\xc3\xa9 \xff";

        s->options = (SupervisorOptions) { .state_dir = bad };
        s->flash_dir = strdup(bad);
        s->repl_link = strdup("/run/mpyd/repl");
        s->last_traceback = strdup("Traceback (most recent call last):\n  \xfe\n");
        s->config.warnings = warnings;
        s->config.n_warnings = 1;
        (void) snprintf(s->life.problem, sizeof s->life.problem, "the problem is \xe2\x82");
        s->life.next = (LifeReset) { .cause = RESET_CAUSE_PWRON };
}

static _Noreturn void serve(int ready_fd) {
        Supervisor *s = &supervisor;
        char path[96], line[] = "x";
        HistoryRecord reset = { .cause = RESET_CAUSE_HARD, .reason = RESET_REASON_SOFTWARE,
                               .kind = RESET_KIND_HARD, .detail = (char *) "for the test",
                               .exit_status = -1, .traceback = line };
        sigset_t mask;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGUSR1);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        log_set_max_level(LOG_ERR);

        fill_supervisor(s);
        if (sd_event_new(&s->event) < 0 ||
            sd_event_add_signal(s->event, NULL, SIGTERM, on_term, NULL) < 0 ||
            sd_event_add_signal(s->event, NULL, SIGUSR1, make_busy, NULL) < 0)
                _exit(2);
        (void) snprintf(path, sizeof path, "%s/repl", directory);
        if (console_new(&s->console, s->event,
                        &(ConsoleOptions) { .link = path, .gid = (gid_t) -1,
                                            .stall_timeout_usec = USEC_PER_SEC },
                        NULL, NULL) < 0)
                _exit(3);
        (void) snprintf(path, sizeof path, "%s/history.db", directory);
        if (history_new(&s->history, s->event, path, 1 << 20, on_report, NULL) < 0)
                _exit(4);
        for (unsigned i = 0; i < 5; i++) {
                reset.boottime_usec = (i + 1) * USEC_PER_HOUR; /* no storm */
                if (history_add(s->history, &reset, i == 4 ? on_stored : NULL, &ready_fd) < 0)
                        _exit(5);
        }
        if (control_server_new(&s->control, s->event,
                               &(ControlOptions) { .path = socket_path, .admin_gid = ADMIN_GID,
                                                   .board_uid = BOARD_UID },
                               &(ControlBackend) { .property = supervisor_property,
                                                   .reset = backend_reset,
                                                   .interrupt = backend_interrupt,
                                                   .reload = backend_reload,
                                                   .hand_over = backend_hand_over,
                                                   .open_console = backend_open_console,
                                                   .console_holder = backend_console_holder,
                                                   .history = backend_history,
                                                   .log = backend_log,
                                                   .userdata = s }) < 0)
                _exit(6);
        flood_log(3, 10);
        if (sd_event_loop(s->event) < 0)
                _exit(7);

        s->control = control_server_free(s->control);
        history_free(TAKE_PTR(s->history), 5 * USEC_PER_SEC);
        s->console = console_free(s->console);
        log_ring_done(&s->log);
        free(s->flash_dir);
        free(s->repl_link);
        free(s->last_traceback);
        free(s->last_reset);
        s->event = sd_event_unref(s->event);
        exit(access(socket_path, F_OK) == 0); /* leaks are looked for on the way */
}

static int begin(void **state) {
        int fds[2];
        char c;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -1;
        server = fork();
        if (server == 0) {
                (void) close(fds[0]);
                serve(fds[1]);
        }
        (void) close(fds[1]);
        if (server < 0 || read(fds[0], &c, 1) != 1)
                return -1;
        (void) close(fds[0]);
        return 0;
}

/* The server is alive after all that was done to it, and ends in good order. */
static int end(void **state) {
        int status;

        if (server < 0)
                return -1;
        (void) kill(server, SIGTERM);
        if (waitpid(server, &status, 0) != server)
                return -1;
        server = -1;
        return status;
}

static int setup(void **state) {
        (void) signal(SIGPIPE, SIG_IGN);
        if (!mkdtemp(directory))
                return -1;
        (void) snprintf(socket_path, sizeof socket_path, "%s/control", directory);
        return chmod(directory, 0755);
}

static int teardown(void **state) {
        static const char *const files[] = { "history.db", "history.db-wal", "history.db-shm" };
        char path[96];

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                (void) snprintf(path, sizeof path, "%s/%s", directory, files[i]);
                (void) unlink(path);
        }
        return rmdir(directory);
}

static unsigned server_fds(void) {
        char path[64];
        unsigned n = 0;

        for (int fd = 0; fd < 512; fd++) {
                (void) snprintf(path, sizeof path, "/proc/%d/fd/%d", (int) server, fd);
                n += faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        }
        return n;
}

/* Connections that have ended are closed, sooner or later. */
static void assert_server_fds(unsigned expected) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + CALL_TIMEOUT_USEC;

        while (server_fds() > expected && now_usec(CLOCK_MONOTONIC) < until)
                usleep(2000);
        assert_true(server_fds() <= expected);
}

/* Resident memory in KiB. */
static uint64_t server_memory(void) {
        _cleanup_free_ char *text = NULL;
        const char *line;
        char path[64];

        (void) snprintf(path, sizeof path, "/proc/%d/status", (int) server);
        assert_int_equal(read_file(AT_FDCWD, path, 8192, &text, NULL), 0);
        line = strstr(text, "VmRSS:");
        assert_non_null(line);
        return strtoul(line + 6, NULL, 10);
}

/* ---- clients ---- */

static int dial(void) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(sa.sun_path, socket_path);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &sa, sizeof sa) < 0)
                fd = safe_close(fd);
        return fd;
}

/* As mpyctl does it (without Hello), or as busctl does. */
static int bus_open(sd_bus **ret, bool hello) {
        char address[96];
        sd_bus *b = NULL;
        int r = sd_bus_new(&b);

        (void) snprintf(address, sizeof address, "unix:path=%s", socket_path);
        if (r >= 0)
                r = sd_bus_set_address(b, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(b, hello);
        if (r >= 0)
                r = sd_bus_negotiate_fds(b, true);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(b, CALL_TIMEOUT_USEC);
        if (r >= 0)
                r = sd_bus_start(b);
        if (r < 0)
                b = sd_bus_unref(b);
        *ret = b;
        return r;
}

static sd_bus *bus_get(void) {
        sd_bus *b = NULL;

        assert_true(bus_open(&b, false) >= 0);
        return b;
}

static int call(sd_bus *b, const char *method, sd_bus_error *e, sd_bus_message **reply,
                const char *types, ...) {
        sd_bus_message *m = NULL;
        va_list ap;
        int r = sd_bus_message_new_method_call(b, &m, CONTROL_SERVICE, CONTROL_PATH,
                                               CONTROL_INTERFACE, method);

        va_start(ap, types);
        if (r >= 0)
                r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        if (r >= 0)
                r = sd_bus_call(b, m, 0, e, reply);
        sd_bus_message_unref(m);
        return r;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ++*(unsigned *) userdata;
        return 0;
}

static void pump(sd_bus *b, const unsigned *n, unsigned wanted) {
        while (*n < wanted) {
                int r = sd_bus_process(b, NULL);

                if (r < 0)
                        fail_msg("%u of %u came: %s", *n, wanted, strerror(-r));
                if (r == 0)
                        assert_true(sd_bus_wait(b, CALL_TIMEOUT_USEC) > 0);
        }
}

/* One question, one answer: the server is well. */
static void assert_serves(void) {
        sd_bus *b = bus_get();
        char *s = NULL;

        assert_true(sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                               "Version", NULL, &s) >= 0);
        assert_string_equal(s, MPYD_VERSION);
        free(s);
        sd_bus_flush_close_unref(b);
}

static void test_properties(void **state) {
#define X(name, type, meaning) { #name, type },
        static const struct {
                const char *name, *type;
        } properties[] = { CONTROL_PROPERTIES(X) };
#undef X
        sd_bus *b = bus_get();
        sd_bus_message *m = NULL;
        char *s = NULL;
        const char *text;

        for (size_t i = 0; i < ELEMENTSOF(properties); i++) {
                sd_bus_error e = SD_BUS_ERROR_NULL;
                int r = sd_bus_get_property(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                            properties[i].name, &e, &m, properties[i].type);

                if (r < 0)
                        fail_msg("%s: %s", properties[i].name, e.message ?: strerror(-r));
                m = sd_bus_message_unref(m);
                sd_bus_error_free(&e);
        }
        /* All at once, as mpyctl status and busctl ask. */
        assert_true(sd_bus_call_method(b, CONTROL_SERVICE, CONTROL_PATH,
                                       "org.freedesktop.DBus.Properties", "GetAll", NULL, &m, "s",
                                       CONTROL_INTERFACE) >= 0);
        for (size_t i = 0; i < ELEMENTSOF(properties); i++) {
                assert_true(sd_bus_message_rewind(m, true) >= 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
                while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                        assert_true(sd_bus_message_read(m, "s", &text) > 0);
                        if (streq(text, properties[i].name)) {
                                assert_int_equal(
                                        sd_bus_message_verify_type(m, 'v', properties[i].type), 1);
                                goto found;
                        }
                        assert_true(sd_bus_message_skip(m, "v") > 0);
                        assert_true(sd_bus_message_exit_container(m) >= 0);
                }
                fail_msg("GetAll lacks %s", properties[i].name);
found:;
        }
        sd_bus_message_unref(m);

        /* Bytes that are not UTF-8 do not make a property unreadable. */
        assert_true(sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                               "FlashDir", NULL, &s) >= 0);
        assert_string_equal(s, "/tmp/\xc3\xa9t\xc3\xa9 \\xff");
        free(s);
        assert_true(sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                               "LastTraceback", NULL, &s) >= 0);
        assert_string_equal(s, "Traceback (most recent call last):\n  \\xfe\n");
        free(s);
        assert_true(sd_bus_get_property(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE, "None",
                                        NULL, &m, "s") < 0);
        sd_bus_flush_close_unref(b);
}

static void test_introspection(void **state) {
        static const char *const names[] = {
                "Reset", "Interrupt", "Reload", "HandOver", "OpenConsole", "GetHistory", "GetTotals", "GetLog", "FollowLog", "Logged",
                "BoardReset", "StateChanged", "name=\"State\" type=\"s\" access=\"read\"",
        };
        sd_bus *b = bus_get();
        sd_bus_message *m = NULL;
        const char *xml;

        assert_true(sd_bus_call_method(b, CONTROL_SERVICE, CONTROL_PATH,
                                       "org.freedesktop.DBus.Introspectable", "Introspect", NULL, &m,
                                       "") >= 0);
        assert_true(sd_bus_message_read(m, "s", &xml) > 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (!strstr(xml, names[i]))
                        fail_msg("no %s", names[i]);
        sd_bus_message_unref(m);
        assert_true(sd_bus_call_method(b, CONTROL_SERVICE, CONTROL_PATH, "org.freedesktop.DBus.Peer",
                                       "Ping", NULL, NULL, "") >= 0);
        sd_bus_flush_close_unref(b);
}

/* busctl and other full clients say Hello first and wait for a name. */
static void test_hello(void **state) {
        sd_bus *b = NULL;
        const char *name;
        char *s = NULL;

        assert_true(bus_open(&b, true) >= 0);
        assert_true(sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                               "State", NULL, &s) >= 0);
        assert_string_equal(s, "off");
        assert_true(sd_bus_get_unique_name(b, &name) >= 0);
        assert_int_equal(name[0], ':');
        free(s);
        sd_bus_flush_close_unref(b);
}

static void test_reset(void **state) {
        static const char *const wrong[] = { "", "deepsleep", "HARD", "soft ", "\xc3\xa9" };
        sd_bus *b = bus_get();
        char *s = NULL, expected[96];

        assert_true(call(b, "Reset", NULL, NULL, "s", "soft") >= 0);
        assert_true(call(b, "Reset", NULL, NULL, "s", "hard") >= 0);
        assert_true(sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                               "LastReset", NULL, &s) >= 0);
        (void) snprintf(expected, sizeof expected, "(pid %d, uid %u)", (int) getpid(), getuid());
        assert_non_null(strstr(s, expected)); /* who asked */
        free(s);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                sd_bus_error e = SD_BUS_ERROR_NULL;

                assert_true(call(b, "Reset", &e, NULL, "s", wrong[i]) < 0);
                assert_string_equal(e.name, SD_BUS_ERROR_INVALID_ARGS);
                sd_bus_error_free(&e);
        }
        assert_true(call(b, "Reset", NULL, NULL, "u", 1) < 0);
        assert_true(call(b, "Nonsense", NULL, NULL, "") < 0);
        sd_bus_flush_close_unref(b);
        assert_serves();
}

/* A caller with a strange name: what it is called stays readable by everybody. */
static void test_strange_caller(void **state) {
        unsigned n_told = 0;
        char old[32];
        sd_bus *b;

        (void) prctl(PR_GET_NAME, old);
        (void) prctl(PR_SET_NAME, "\xff\x1b[1m\xe2\x82");
        b = bus_get();
        assert_true(sd_bus_match_signal(b, NULL, NULL, CONTROL_PATH, CONTROL_INTERFACE, "BoardReset",
                                        on_signal, &n_told) >= 0);
        assert_true(call(b, "Reset", NULL, NULL, "s", "hard") >= 0);
        pump(b, &n_told, 1); /* D-Bus would not send it otherwise */
        (void) prctl(PR_SET_NAME, old);
        {
                sd_bus_message *m = NULL, *n = NULL;
                char who[200], *s = NULL;
                int fd = -EBADF;

                assert_true(sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH,
                                                       CONTROL_INTERFACE, "LastReset", NULL, &s) >= 0);
                assert_int_equal(strncmp(s, "\\xff\\x1b[1m\\xe2\\x82 (pid ", 23), 0);
                free(s);

                /* cut, but not within a character */
                for (size_t i = 0; i < 198; i += 2)
                        memcpy(who + i, "\xc3\xa9", 2);
                who[198] = '\0';
                assert_true(call(b, "OpenConsole", NULL, &m, "sb", who, false) >= 0);
                assert_true(sd_bus_message_read(m, "h", &fd) > 0);
                assert_true(sd_bus_get_property(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                                "ConsoleHolder", NULL, &n, "s") >= 0);
                sd_bus_message_unref(n);
                sd_bus_message_unref(m);
        }
        sd_bus_flush_close_unref(b);
}

static void test_console(void **state) {
        sd_bus *b = bus_get();
        sd_bus_error e = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL, *second = NULL;
        char buf[256], *s = NULL;
        int fd = -EBADF, fd2 = -EBADF;
        ssize_t n;

        assert_true(call(b, "OpenConsole", NULL, &m, "sb", "mpyctl repl", false) >= 0);
        assert_true(sd_bus_message_read(m, "h", &fd) > 0);
        assert_true(sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                               "ConsoleHolder", NULL, &s) >= 0);
        assert_int_equal(strncmp(s, "mpyctl repl (pid ", 17), 0);

        assert_true(call(b, "OpenConsole", &e, NULL, "sb", "other", false) < 0);
        assert_string_equal(e.name, CONTROL_ERROR_CONSOLE_BUSY);
        assert_non_null(strstr(e.message, s)); /* names the holder */
        sd_bus_error_free(&e);
        free(s);

        assert_true(call(b, "OpenConsole", NULL, &second, "sb", "other", true) >= 0);
        assert_true(sd_bus_message_read(second, "h", &fd2) > 0);
        n = read(fd, buf, sizeof buf - 1);
        assert_true(n > 0);
        buf[n] = '\0';
        assert_non_null(strstr(buf, "took over the REPL"));
        assert_int_equal(read(fd, buf, sizeof buf), 0);
        sd_bus_message_unref(m);
        sd_bus_message_unref(second);
        sd_bus_flush_close_unref(b);
}

static int ask_history(sd_bus *b, int64_t id, sd_bus_message **reply) {
        return call(b, "GetHistory", NULL, reply, "xtxus", id, (uint64_t) 0, (int64_t) 0, 3u, "");
}

static void test_history(void **state) {
        sd_bus *b = bus_get();
        sd_bus_message *m = NULL;
        const char *json;

        assert_true(ask_history(b, 0, &m) >= 0);
        assert_true(sd_bus_message_read(m, "s", &json) > 0);
        assert_int_equal(json[0], '[');
        assert_non_null(strstr(json, "for the test"));
        m = sd_bus_message_unref(m);
        assert_true(ask_history(b, 4711, &m) >= 0);
        assert_true(sd_bus_message_read(m, "s", &json) > 0);
        assert_string_equal(json, "[]");
        sd_bus_message_unref(m);
        sd_bus_flush_close_unref(b);
}

/* More questions at once than are taken; and a client that has gone before its answer comes. */
static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        unsigned *n = userdata;

        n[sd_bus_message_is_method_error(m, SD_BUS_ERROR_LIMITS_EXCEEDED) ? 1 : 0]++;
        return 0;
}

static void test_many_questions(void **state) {
        for (unsigned round = 0; round < 2; round++) {
                sd_bus *b = bus_get();
                unsigned n[2] = {}; /* answered, refused */

                for (unsigned i = 0; i < 200; i++)
                        assert_true(sd_bus_call_method_async(
                                            b, NULL, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                            "GetHistory", on_answer, n, "xtxus", (int64_t) 0, (uint64_t) 0,
                                            (int64_t) 0, 1000u, "") >= 0);
                assert_true(sd_bus_flush(b) >= 0);
                while (round == 0 && n[0] + n[1] < 200) {
                        int r = sd_bus_process(b, NULL);

                        assert_true(r >= 0);
                        if (r == 0)
                                assert_true(sd_bus_wait(b, CALL_TIMEOUT_USEC) > 0);
                }
                assert_true(round == 1 || n[0] > 0);
                sd_bus_close_unref(b);
        }
        assert_serves();
}

static void test_log(void **state) {
        static const struct {
                uint32_t max;
                unsigned lines;
        } cases[] = { { 0, 0 }, { 2, 2 }, { 3, 3 }, { 1000000, 3 }, { UINT32_MAX, 3 } };
        sd_bus *b = bus_get();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                sd_bus_message *m = NULL;
                const char *ident, *text;
                unsigned n = 0;
                uint64_t t;
                uint8_t level;

                assert_true(call(b, "GetLog", NULL, &m, "u", cases[i].max) >= 0);
                assert_true(sd_bus_message_enter_container(m, 'a', "(tyss)") >= 0);
                while (sd_bus_message_read(m, "(tyss)", &t, &level, &ident, &text) > 0) {
                        assert_string_equal(ident, "main.py");
                        assert_string_equal(text, "xxxxxxxxxx");
                        n++;
                }
                assert_int_equal(n, cases[i].lines);
                sd_bus_message_unref(m);
        }
        sd_bus_flush_close_unref(b);
}

static void test_signals(void **state) {
        sd_bus *b = bus_get(), *other = bus_get();
        unsigned n_logged = 0, n_reset = 0, n_state = 0;
        struct {
                const char *name;
                unsigned *n;
        } signals[] = {
                { "Logged", &n_logged }, { "BoardReset", &n_reset }, { "StateChanged", &n_state },
        };

        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                assert_true(sd_bus_match_signal(b, NULL, NULL, CONTROL_PATH, CONTROL_INTERFACE,
                                                signals[i].name, on_signal, signals[i].n) >= 0);
        /* Who did not ask for the log gets none. */
        assert_true(call(b, "Interrupt", NULL, NULL, "") >= 0);
        assert_true(call(other, "Reset", NULL, NULL, "s", "hard") >= 0);
        pump(b, &n_reset, 1);
        pump(b, &n_state, 1);
        assert_int_equal(n_logged, 0);
        assert_true(call(b, "FollowLog", NULL, NULL, "") >= 0);
        assert_true(call(other, "Interrupt", NULL, NULL, "") >= 0);
        pump(b, &n_logged, 200); /* a burst reaches a follower that reads */
        sd_bus_flush_close_unref(b);
        sd_bus_flush_close_unref(other);
}

/* ---- who may do what ---- */

typedef struct Person {
        uid_t uid;
        gid_t gid, group; /* group: supplementary */
        bool may_change;
} Person;

/* In a process of its own, as that person: 0 when all is as it should be. */
static int as_person(const Person *p) {
        static const struct {
                const char *method, *types, *arg;
        } changes[] = {
                { "Reset", "s", "hard" },  { "Interrupt", "", NULL },
                { "Reload", "", NULL },    { "HandOver", "", NULL },
                { "OpenConsole", "sb", "who" },
        };
        sd_bus *b = NULL;
        char *s = NULL;

        if (setgroups(1, &p->group) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
            setresuid(p->uid, p->uid, p->uid) < 0)
                return 10;
        if (bus_open(&b, false) < 0)
                return 11;
        /* everybody reads */
        if (sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE, "State",
                                       NULL, &s) < 0 || !streq(s, "off"))
                return 12;
        /* a script no more than that */
        {
                sd_bus_error e = SD_BUS_ERROR_NULL;
                int r = call(b, "GetLog", &e, NULL, "u", 1);
                bool refused = sd_bus_error_has_name(&e, SD_BUS_ERROR_ACCESS_DENIED);

                sd_bus_error_free(&e);
                if (p->uid == BOARD_UID ? !refused : r < 0)
                        return 13;
        }
        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                sd_bus_error e = SD_BUS_ERROR_NULL;
                int r = call(b, changes[i].method, &e, NULL, changes[i].types, changes[i].arg, 1);

                if (p->may_change ? r < 0 : !sd_bus_error_has_name(&e, SD_BUS_ERROR_ACCESS_DENIED))
                        return 20 + (int) i;
                sd_bus_error_free(&e);
        }
        free(s);
        sd_bus_flush_close_unref(b);
        return 0;
}

static void test_permissions(void **state) {
        static const Person people[] = {
                { 0, 0, 0, true },
                { OTHER_UID, OTHER_UID, OTHER_UID, false },
                { OTHER_UID, ADMIN_GID, OTHER_UID, true },
                { OTHER_UID, OTHER_UID, ADMIN_GID, true },
                /* a script's process, even if its user is in the group */
                { BOARD_UID, ADMIN_GID, ADMIN_GID, false },
                { BOARD_UID, BOARD_UID, BOARD_UID, false },
        };
        struct stat st;

        assert_int_equal(stat(socket_path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0666);
        if (geteuid() != 0)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(people); i++) {
                int status;
                pid_t pid = fork();

                if (pid == 0)
                        _exit(as_person(&people[i]));
                assert_int_equal(waitpid(pid, &status, 0), pid);
                if (status != 0)
                        fail_msg("person %zu: %d", i, WEXITSTATUS(status));
        }
        assert_serves();
}

/* ---- bad days ---- */

/* The server has closed it, sooner or later. */
static void assert_closed(int fd) {
        char buf[4096];
        ssize_t n;

        do {
                struct pollfd pfd = { .fd = fd, .events = POLLIN };

                assert_int_equal(poll(&pfd, 1, 10000), 1);
                n = read(fd, buf, sizeof buf);
        } while (n > 0);
        assert_true(n == 0 || errno == ECONNRESET);
        (void) close(fd);
}

static void test_garbage(void **state) {
        static const char authenticated[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
        static const char *const lines[] = {
                "GET / HTTP/1.1\r\n\r\n", "\n\n\n\n", "AUTH\r\nAUTH\r\nBEGIN\r\n",
                "\xff\xff\xff\xff\xff\xff\xff\xff\r\n\r\n",
        };
        static char large[300000];
        unsigned n_fds = server_fds();
        uint32_t seed = 5;

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                int fd = dial();

                assert_true(write(fd, lines[i], strlen(lines[i])) > 0);
                (void) shutdown(fd, SHUT_WR);
                assert_closed(fd);
        }
        /* a line without end */
        {
                int fd = dial();

                memset(large, 'A', sizeof large);
                for (unsigned i = 0; i < 10; i++)
                        if (send(fd, large, sizeof large, MSG_NOSIGNAL) < 0)
                                break;
                assert_closed(fd);
        }
        /* noise in place of a message, of many kinds */
        for (unsigned i = 0; i < 300; i++) {
                char noise[512];
                int fd = dial();

                for (size_t k = 0; k < sizeof noise; k++)
                        noise[k] = (char) ((seed = seed * 1664525u + 1013904223u) >> 24);
                if (i % 3 == 1) /* a header that looks right as far as it goes */
                        memcpy(noise, "l\1\0\1\0\0\0\0\1\0\0\0", 8);
                assert_true(fd >= 0);
                if (i % 2)
                        assert_true(write(fd, authenticated, sizeof authenticated - 1) > 0);
                (void) send(fd, noise, sizeof noise, MSG_NOSIGNAL);
                (void) shutdown(fd, SHUT_WR);
                assert_closed(fd);
        }
        assert_serves();
        assert_server_fds(n_fds);
}

/* Connections that say nothing, or half of it, are bounded and keep nobody out for good. */
static unsigned count_open(const int *fds, size_t n) {
        unsigned n_open = 0;

        for (size_t i = 0; i < n; i++) {
                struct pollfd pfd = { .fd = fds[i], .events = POLLRDHUP };

                n_open += poll(&pfd, 1, 0) == 0;
        }
        return n_open;
}

static void test_half_open(void **state) {
        int fds[64];
        unsigned n_fds = server_fds(), n_open = 0;
        sd_bus *b = NULL;
        char *s = NULL;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = dial();
                assert_true(fds[i] >= 0);
                if (i % 2)
                        (void) send(fds[i], "\0AUTH EXT", 9, MSG_NOSIGNAL);
        }
        for (unsigned tries = 0; tries < 500 && n_open != 32; tries++) { /* until the server has seen them all */
                usleep(10000);
                n_open = count_open(fds, ELEMENTSOF(fds));
        }
        assert_int_equal(n_open, 32);
        /* socket (the gate's and the bus'), socket pair, timer and, since systemd 257, a pidfd of each */
        assert_true(server_fds() <= n_fds + 6 * 32);
        /* full: one more is refused, not left hanging */
        (void) (bus_open(&b, false) >= 0 &&
                sd_bus_get_property_string(b, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE, "State",
                                           NULL, &s) >= 0);
        assert_null(s);
        sd_bus_close_unref(b);

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void) close(fds[i]);
        usleep(50000);
        assert_serves();
        assert_server_fds(n_fds);
}

/* Sanitizers keep what was freed, and their allocator its own counsel. */
static uint64_t memory_allowance(void) {
#ifdef WITH_ADDRESS_SANITIZER
        return 1024 * 1024;
#else
        return 32 * 1024;
#endif
}

static const char authentication[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

static size_t put_header(uint8_t *buf, uint32_t body, uint32_t fields) {
        const uint32_t numbers[] = { htole32(body), htole32(1), htole32(fields) };

        memcpy(buf, "l\1\0\1", 4);
        memcpy(buf + 4, numbers, sizeof numbers);
        return 16;
}

/* A message is not waited for that is larger than any that mpyd takes; one that is not, costs its size. */
static void test_large_messages(void **state) {
        static const struct {
                uint32_t body, fields;
        } large[] = {
                { 100 << 20, 0 }, { 0, 60 << 20 }, { CONTROL_MESSAGE_MAX, 0 },
                { UINT32_MAX, UINT32_MAX }, { CONTROL_MESSAGE_MAX - 15, 0 },
        };
        static uint8_t data[1 << 20];
        int fds[28];
        uint64_t before;

        memset(data, 0x41, sizeof data);
        for (size_t i = 0; i < ELEMENTSOF(large); i++) {
                int fd = dial();

                (void) put_header(data, large[i].body, large[i].fields);
                assert_true(send(fd, authentication, sizeof authentication - 1, MSG_NOSIGNAL) > 0);
                (void) send(fd, data, sizeof data, MSG_NOSIGNAL);
                assert_closed(fd);
        }
        before = server_memory();
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                size_t most = CONTROL_MESSAGE_MAX;

                fds[i] = dial();
                (void) put_header(data, CONTROL_MESSAGE_MAX - 16, 0);
                assert_true(send(fds[i], authentication, sizeof authentication - 1, MSG_NOSIGNAL) > 0);
                /* all but the last byte */
                for (size_t n = 0; n < most - 1;) {
                        ssize_t k = send(fds[i], data + n, most - 1 - n, MSG_NOSIGNAL);

                        assert_true(k > 0);
                        n += (size_t) k;
                }
        }
        assert_serves();
        assert_true(server_memory() < before + memory_allowance() / 2);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void) close(fds[i]);
        assert_serves();
}

/* Nothing is a message before the bus has said so: no length gets by behind a BEGIN that it refuses. */
static void test_begin_too_early(void **state) {
        static const char *const before[] = {
                "BEGIN\r\n", "AUTH\r\nBEGIN\r\n", "AUTH NONSENSE\r\nBEGIN\r\n", "CANCEL\r\nBEGIN\r\n",
        };
        uint64_t memory = server_memory();

        for (size_t i = 0; i < ELEMENTSOF(before); i++) {
                static uint8_t data[1 << 20];
                struct timeval patience = { .tv_usec = 200000 };
                int fd = dial();
                size_t n = put_header(data, 100000, 0);

                /* What is one message to whoever believes the first BEGIN holds a second one. */
                memcpy(data + n, authentication + 1, sizeof authentication - 2);
                (void) put_header(data + n + sizeof authentication - 2, 100 << 20, 0);
                assert_int_equal(
                        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), 0);
                assert_true(send(fd, "", 1, MSG_NOSIGNAL) == 1);
                assert_true(send(fd, before[i], strlen(before[i]), MSG_NOSIGNAL) > 0);
                for (unsigned k = 0; k < 20; k++)
                        if (send(fd, data, sizeof data, MSG_NOSIGNAL) < 0)
                                break;
                assert_serves();
                assert_true(server_memory() < memory + memory_allowance() / 4);
                (void) close(fd);
        }
}

static void test_descriptors_are_refused(void **state) {
        union {
                struct cmsghdr h;
                char space[CMSG_SPACE(100 * sizeof(int))];
        } control;
        unsigned n_fds = server_fds();

        for (unsigned when = 0; when < 2; when++) {
                int fd = dial();
                struct iovec iov = { .iov_base = (void *) "x", .iov_len = 1 };
                struct msghdr msg = {
                        .msg_iov = &iov, .msg_iovlen = 1,
                        .msg_control = &control, .msg_controllen = sizeof control.space,
                };

                memset(&control, 0, sizeof control);
                control.h.cmsg_level = SOL_SOCKET;
                control.h.cmsg_type = SCM_RIGHTS;
                control.h.cmsg_len = CMSG_LEN(100 * sizeof(int));
                if (when > 0)
                        assert_true(write(fd, authentication, sizeof authentication - 1) > 0);
                else
                        iov.iov_base = (void *) "";
                assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), 1);
                assert_closed(fd);
                assert_server_fds(n_fds);
        }
        assert_serves();
}

/* Users who may change nothing cannot, all together, keep root out. */
static void test_places_are_kept(void **state) {
        pid_t pids[4];
        int fds[2];
        char c;

        if (geteuid() != 0)
                skip();
        assert_int_equal(pipe(fds), 0);
        for (unsigned i = 0; i < ELEMENTSOF(pids); i++) {
                pids[i] = fork();
                if (pids[i] == 0) {
                        uid_t uid = OTHER_UID + i;

                        if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
                            setresuid(uid, uid, uid) < 0)
                                _exit(1);
                        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (unsigned k = 0; k < 40; k++)
                                (void) dial();
                        (void) !write(fds[1], "x", 1);
                        (void) pause();
                }
                assert_int_equal(read(fds[0], &c, 1), 1);
        }
        usleep(50000);
        assert_serves();
        for (unsigned i = 0; i < ELEMENTSOF(pids); i++) {
                (void) kill(pids[i], SIGKILL);
                (void) waitpid(pids[i], NULL, 0);
        }
        (void) close(fds[0]);
        (void) close(fds[1]);
}

/* A follower that does not read is let go; the server neither waits for it nor keeps its lines. */
static void test_follower_does_not_read(void **state) {
        sd_bus *b = bus_get(), *lazy[8];
        uint64_t before, start;
        unsigned n_fds;

        assert_true(call(b, "Reset", NULL, NULL, "s", "hard") >= 0);
        n_fds = server_fds();
        for (size_t i = 0; i < ELEMENTSOF(lazy); i++) {
                lazy[i] = bus_get();
                assert_true(call(lazy[i], "FollowLog", NULL, NULL, "") >= 0);
        }
        before = server_memory();
        start = now_usec(CLOCK_MONOTONIC);
        for (unsigned i = 0; i < 50; i++) /* 10,000 long lines, 70 MB for each of them */
                assert_true(call(b, "Reset", NULL, NULL, "s", "soft") >= 0);
        assert_true(now_usec(CLOCK_MONOTONIC) - start < 20 * USEC_PER_SEC);
        assert_true(server_memory() < before + memory_allowance());
        assert_server_fds(n_fds);
        for (size_t i = 0; i < ELEMENTSOF(lazy); i++)
                sd_bus_close_unref(lazy[i]);
        sd_bus_flush_close_unref(b);
        assert_serves();
}

/* Nor is one kept that asks and asks and does not listen, whatever it asks for. */
static void test_asks_and_does_not_listen(void **state) {
        static const struct {
                const char *interface, *method, *types;
        } calls[] = {
                { CONTROL_INTERFACE, "GetLog", NULL },
                { "org.freedesktop.DBus.Properties", "GetAll", "s" },
                { "org.freedesktop.DBus.Introspectable", "Introspect", "" },
        };
        sd_bus *b = bus_get();
        unsigned n_fds, n_answers = 0;

        for (unsigned i = 0; i < 10; i++) /* the ring is full */
                assert_true(call(b, "Interrupt", NULL, NULL, "") >= 0);
        n_fds = server_fds();
        for (size_t k = 0; k < ELEMENTSOF(calls); k++) {
                uint64_t before = server_memory(), peak = before;
                uint64_t until = now_usec(CLOCK_MONOTONIC) + CALL_TIMEOUT_USEC;
                sd_bus *lazy = bus_get();
                int r = 0;

                for (unsigned i = 0; i < 20000 && r >= 0; i++)
                        r = k == 0 ? sd_bus_call_method_async(lazy, NULL, CONTROL_SERVICE, CONTROL_PATH,
                                                              calls[k].interface, calls[k].method,
                                                              on_signal, &n_answers, "u", 1000u)
                                   : sd_bus_call_method_async(lazy, NULL, CONTROL_SERVICE, CONTROL_PATH,
                                                              calls[k].interface, calls[k].method,
                                                              on_signal, &n_answers, calls[k].types,
                                                              CONTROL_INTERFACE);
                (void) sd_bus_flush(lazy); /* it is let go on the way */
                while (server_fds() > n_fds && now_usec(CLOCK_MONOTONIC) < until) {
                        usleep(1000);
                        peak = MAX(peak, server_memory());
                }
                assert_server_fds(n_fds);
                assert_true(peak < before + memory_allowance());
                sd_bus_close_unref(lazy);
        }
        sd_bus_flush_close_unref(b);
        assert_serves();
}

/* Of the server's process, in clock ticks. */
static unsigned long server_ticks(void) {
        _cleanup_free_ char *text = NULL;
        unsigned long user = 0, system = 0;
        const char *after;
        char path[64];

        (void) snprintf(path, sizeof path, "/proc/%d/stat", (int) server);
        assert_int_equal(read_file(AT_FDCWD, path, 4096, &text, NULL), 0);
        after = strrchr(text, ')');
        assert_non_null(after);
        assert_int_equal(sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                                &system), 2);
        return user + system;
}

/* No descriptor is left for a connection: the loop rests, and goes on when there is one. */
static void test_no_descriptors_left(void **state) {
        struct rlimit none = { .rlim_cur = 1 }, before;
        unsigned long ticks;
        int fds[8];

        assert_int_equal(prlimit(server, RLIMIT_NOFILE, NULL, &before), 0);
        none.rlim_max = before.rlim_max;
        assert_int_equal(prlimit(server, RLIMIT_NOFILE, &none, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = dial(); /* in the queue */
        ticks = server_ticks();
        (void) usleep(1500000);
        assert_true(server_ticks() - ticks < 50); /* it would be 150 */
        assert_int_equal(prlimit(server, RLIMIT_NOFILE, &before, NULL), 0);
        assert_serves();
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void) safe_close(fds[i]);
        assert_serves();
}

/* The bus is served while something else is always ready. */
static void test_busy_loop(void **state) {
        sd_bus *b = bus_get();

        assert_int_equal(kill(server, SIGUSR1), 0);
        usleep(20000);
        for (unsigned i = 0; i < 20; i++)
                assert_true(call(b, "Reset", NULL, NULL, "s", "hard") >= 0);
        sd_bus_flush_close_unref(b);
        assert_serves();
}

static void test_many_connections_in_turn(void **state) {
        unsigned n_fds = server_fds();

        for (unsigned i = 0; i < 200; i++)
                assert_serves();
        assert_server_fds(n_fds);
}

/* Whoever is connected, and whatever they do not do: a stop does not wait for them. */
static void test_stop(void **state) {
        sd_bus *lazy = bus_get(), *idle = bus_get();
        int half_open = dial(), silent = dial();
        uint64_t start;

        assert_true(send(half_open, "\0AUTH EXT", 9, MSG_NOSIGNAL) > 0);
        assert_true(call(lazy, "FollowLog", NULL, NULL, "") >= 0);
        for (unsigned i = 0; i < 3; i++) /* more than its socket holds, less than it is closed for */
                assert_true(call(idle, "Interrupt", NULL, NULL, "") >= 0);
        start = now_usec(CLOCK_MONOTONIC);
        assert_int_equal(end(state), 0);
        assert_true(now_usec(CLOCK_MONOTONIC) - start < 5 * USEC_PER_SEC);
        (void) close(half_open);
        (void) close(silent);
        sd_bus_close_unref(lazy);
        sd_bus_close_unref(idle);
}

static void test_cannot_listen(void **state) {
        static const ControlBackend none;
        sd_event *event = NULL;
        ControlServer *s = NULL;
        char path[300];

        assert_true(sd_event_new(&event) >= 0);
        memset(path, 'x', sizeof path - 1);
        path[sizeof path - 1] = '\0';
        assert_int_equal(control_server_new(&s, event, &(ControlOptions) { .path = path }, &none),
                         -ENAMETOOLONG);
        assert_int_equal(control_server_new(&s, event, &(ControlOptions) { .path = "/nonexistent/x" },
                                            &none), -ENOENT);
        assert_null(s);
        control_server_emit_log(NULL, NULL);
        control_server_emit_reset(NULL, "", "");
        control_server_emit_state(NULL, "", "");
        assert_null(control_server_free(NULL));
        sd_event_unref(event);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_properties, begin, end),
                cmocka_unit_test_setup_teardown(test_introspection, begin, end),
                cmocka_unit_test_setup_teardown(test_hello, begin, end),
                cmocka_unit_test_setup_teardown(test_reset, begin, end),
                cmocka_unit_test_setup_teardown(test_strange_caller, begin, end),
                cmocka_unit_test_setup_teardown(test_console, begin, end),
                cmocka_unit_test_setup_teardown(test_history, begin, end),
                cmocka_unit_test_setup_teardown(test_many_questions, begin, end),
                cmocka_unit_test_setup_teardown(test_log, begin, end),
                cmocka_unit_test_setup_teardown(test_signals, begin, end),
                cmocka_unit_test_setup_teardown(test_permissions, begin, end),
                cmocka_unit_test_setup_teardown(test_garbage, begin, end),
                cmocka_unit_test_setup_teardown(test_half_open, begin, end),
                cmocka_unit_test_setup_teardown(test_large_messages, begin, end),
                cmocka_unit_test_setup_teardown(test_begin_too_early, begin, end),
                cmocka_unit_test_setup_teardown(test_descriptors_are_refused, begin, end),
                cmocka_unit_test_setup_teardown(test_places_are_kept, begin, end),
                cmocka_unit_test_setup_teardown(test_follower_does_not_read, begin, end),
                cmocka_unit_test_setup_teardown(test_asks_and_does_not_listen, begin, end),
                cmocka_unit_test_setup_teardown(test_no_descriptors_left, begin, end),
                cmocka_unit_test_setup_teardown(test_busy_loop, begin, end),
                cmocka_unit_test_setup_teardown(test_many_connections_in_turn, begin, end),
                cmocka_unit_test_setup(test_stop, begin),
                cmocka_unit_test(test_cannot_listen),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
