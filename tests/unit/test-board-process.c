/* SPDX-License-Identifier: MIT */
/* A board's process with a stand-in for its program: what it is born with, what it can do to its
 * parent, and how its end is told. Argument: the stand-in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/board-process.h"
#include "mpyd/retained.h"
#include "util/io.h"
#include "util/parse.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)

static const char *stand_in;
static int retained_fd, flash_fd;
static sd_event *event;
static BoardProcess *board;
static int in_fd = -EBADF, out_fd = -EBADF, unread_fd = -EBADF;

/* What the handlers were told, a line each. */
static char told[1 << 16];
static unsigned n_logs, n_faults, n_exits;
static int exit_status, exit_signal;

static void on_message(void *userdata, const LinkMessage *m) {
        assert_ptr_equal(userdata, &told);
        assert_int_equal(n_exits, 0);
        assert_int_equal(n_faults, 0);
        if (m->type == LINK_LOG) {
                char expected[16];

                (void) snprintf(expected, sizeof expected, "%u", n_logs++);
                assert_int_equal(m->data.size, strlen(expected));
                assert_memory_equal(m->data.data, expected, m->data.size);
                return;
        }
        (void) snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n",
                        link_type_to_string(m->type));
}

static void on_fault(void *userdata, const char *what) {
        assert_int_equal(n_exits, 0);
        n_faults++;
        (void) snprintf(told + strlen(told), sizeof told - strlen(told), "fault: %s\n", what);
}

static void on_exited(void *userdata, int status, int signal) {
        n_exits++;
        exit_status = status;
        exit_signal = signal;
        assert_int_equal(board_process_kill(board), -ESRCH);
        board = board_process_free(board); /* as the supervisor does */
}

static const BoardHandlers handlers = {
        .message = on_message,
        .fault = on_fault,
        .exited = on_exited,
        .userdata = told,
};

static int start_with(const char *executable, bool change_user, char *const *environment) {
        BoardSpec spec = {
                .executable = executable,
                .change_user = change_user,
                .environment = environment,
                .uid = 65534,
                .gid = 65533,
                .retained_fd = retained_fd,
                .flash_fd = flash_fd,
        };

        told[0] = '\0';
        n_logs = n_faults = n_exits = 0;
        exit_status = exit_signal = -100;
        return board_process_new(&board, event, &spec, &handlers, &in_fd, &out_fd, &unread_fd);
}

static int start(const char *executable, bool change_user) {
        return start_with(executable, change_user, NULL);
}

static int setup(void **state) {
        sigset_t mask;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM); /* the board has it not blocked all the same */
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        /* Low numbers, which are others' in the child. */
        flash_fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
        retained_fd = retained_create();
        (void) setenv("MPYD_TEST", "not for the board", 1);
        return flash_fd < 0 || retained_fd < 0 || sd_event_new(&event) < 0;
}

static int teardown(void **state) {
        event = sd_event_unref(event);
        (void) close(retained_fd);
        (void) close(flash_fd);
        return 0;
}

static int begin(void **state) {
        return start(stand_in, false);
}

static int end(void **state) {
        board = board_process_free(board);
        in_fd = safe_close(in_fd);
        out_fd = safe_close(out_fd);
        unread_fd = safe_close(unread_fd);
        /* No child is left, not even a dead one. */
        return waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD;
}

static void order(const char *words) {
        assert_int_equal(write_all(in_fd, words, strlen(words)), 0);
}

/* Runs the loop until *what is at least wanted. */
static void run_until(const unsigned *what, unsigned wanted) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

        while (*what < wanted) {
                assert_true(sd_event_run(event, 100000) >= 0);
                if (now_usec(CLOCK_MONOTONIC) > until)
                        fail_msg("%u, not %u, after %d s; %s", *what, wanted,
                                 (int) (PATIENCE_USEC / USEC_PER_SEC), told);
        }
}

/* What the board printed up to and with the line last; the link is served meanwhile. */
static const char *output(const char *last) {
        static char text[8192];
        uint64_t until = now_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
        size_t n = 0;

        text[0] = '\0';
        while (!strstr(text, last)) {
                ssize_t r = read(out_fd, text + n, sizeof text - 1 - n);

                if (r > 0)
                        n += (size_t) r;
                else
                        assert_true(sd_event_run(event, 5000) >= 0);
                text[n] = '\0';
                if (now_usec(CLOCK_MONOTONIC) > until)
                        fail_msg("no \"%s\" in \"%s\"", last, text);
        }
        return text;
}

static void assert_has(const char *text, const char *line) {
        if (!text || !strstr(text, line))
                fail_msg("no \"%s\" in \"%s\"", line, text ?: "");
}

/* ---- birth ---- */

static void assert_report(const char *text) {
        assert_has(text, "fds ff\n"); /* 0…7 and nothing else */
        assert_has(text, "types ccsppfd\n");
        assert_has(text, "link seqpacket\n");
        assert_has(text, "modes 0 1 path\n");
        assert_null(strstr(text, "env "));
        assert_has(text, "cwd /\n");
        assert_has(text, "blocked 0\n");
        assert_has(text, "no-new-privs 1\n");
        assert_has(text, "umask 7 core 0 leader 1\n");
}

static void test_birth(void **state) {
        char expected[128];

        assert_true(board_process_pid(board) > 0);
        order("report\n");
        assert_report(output("end\n"));
        order("report\n");
        (void) snprintf(expected, sizeof expected, "uids %u %u %u gids %u %u %u", getuid(), getuid(),
                        getuid(), getgid(), getgid(), getgid());
        assert_has(output("end\n"), expected);
        assert_int_equal(board_process_pid(NULL), 0);
}

/* What is configured and nothing else; a switch of the sanitizers' once, however often we have it. */
static void test_environment(void **state) {
        char *const configured[] = { (char *) "SITE=north field", (char *) "EMPTY=", NULL };
        char *many[] = { (char *) "LSAN_OPTIONS=exitcode=1", (char *) "HOME=/", (char *) "LSAN_OPTIONS=exitcode=2",
                         (char *) "LSAN_OPTIONS=exitcode=3", (char *) "LSAN_OPTIONS=exitcode=4", NULL };
        char **own = environ;
        const char *text;
        int r;

        (void) end(state);
        environ = many;
        r = start_with(stand_in, false, configured);
        environ = own;
        assert_int_equal(r, 0);
        order("report\n");
        text = output("end\n");
        assert_has(text, "env SITE=north field\nenv EMPTY=\ncwd ");
        assert_has(text, "switches 1\n");
        assert_null(strstr(text, "HOME"));
}

/* Who it is to become it is told, and does itself: until then it has our rights. */
static void test_other_user(void **state) {
        char expected[64];
        const char *text;

        order("report\n");
        assert_has(output("end\n"), "argument none\n");
        (void) end(state);
        assert_int_equal(start(stand_in, true), 0);
        order("report\n");
        text = output("end\n");
        assert_report(text);
        assert_has(text, "argument --user=65534:65533\n");
        (void) snprintf(expected, sizeof expected, "uids %u %u %u", getuid(), geteuid(), getuid());
        assert_has(text, expected);
}

/* Whatever numbers our own descriptors have. */
static void test_many_descriptors(void **state) {
        int fds[100];

        (void) end(state);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                fds[i] = dup(i % 2 ? flash_fd : retained_fd); /* without CLOEXEC */
                assert_true(fds[i] >= 0);
        }
        assert_int_equal(start(stand_in, false), 0);
        order("report\n");
        assert_report(output("end\n"));
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void) close(fds[i]);
}

static void test_our_ends(void **state) {
        const int fds[] = { in_fd, out_fd, unread_fd };

        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                assert_int_equal(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
                assert_int_equal(fcntl(fds[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        }
        /* And stay so, whatever the board does to its own. */
        order("block\n");
        (void) output("done block\n");
        assert_int_equal(fcntl(unread_fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

/* What it was sent and did not read can be taken back when it has gone. */
static void test_unread_input(void **state) {
        char buf[64];

        order("exit 0\nnot read any more");
        run_until(&n_exits, 1);
        assert_int_equal(read(unread_fd, buf, sizeof buf), 17);
        assert_memory_equal(buf, "not read any more", 17);
        assert_int_equal(read(unread_fd, buf, sizeof buf), -1);
        assert_int_equal(errno, EAGAIN);
}

/* ---- what cannot be run ---- */

static void test_no_such_program(void **state) {
        int r;

        (void) end(state);
        r = start("/nonexistent/mpyd-board", false);
        assert_int_equal(r, -ENOENT);
        assert_null(board);
        assert_int_equal(in_fd, -EBADF);
        assert_int_equal(out_fd, -EBADF);
        assert_int_equal(unread_fd, -EBADF);
}

static void test_not_a_program(void **state) {
        static const char *const files[] = { "/etc/passwd", "/tmp", "/dev/null" };
        _cleanup_close_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                int r;

                (void) end(state);
                (void) dup2(null_fd, STDERR_FILENO); /* where the child says why */
                r = start(files[i], false);
                (void) dup2(saved, STDERR_FILENO);
                assert_int_equal(r, 0);
                run_until(&n_exits, 1);
                assert_int_equal(exit_status, BOARD_EXIT_EXEC);
                assert_int_equal(exit_signal, 0);
                assert_string_equal(told, "");
        }
        (void) close(saved);
}

/* ---- messages ---- */

static void test_messages(void **state) {
        order("hello\nreceive\nreceive\n");
        assert_int_equal(board_process_send(board, &(LinkMessage) { .type = LINK_INTERRUPT }), 0);
        assert_int_equal(board_process_send(board, &(LinkMessage) { .type = LINK_STOP }), 0);
        assert_has(output("stop 1\n"), "interrupt 0\n"); /* each with its number */
        assert_string_equal(told, "hello\n");
        assert_int_equal(board_process_send(board, &(LinkMessage) { .type = LINK_TYPE_INVALID }),
                         -EINVAL);
}

/* A board that does not read its messages does not hold us up. */
static void test_board_does_not_read(void **state) {
        int r = 0;

        for (unsigned i = 0; i < 100000 && r == 0; i++)
                r = board_process_send(board, &(LinkMessage) { .type = LINK_INTERRUPT });
        assert_int_equal(r, -EAGAIN);
}

static void test_board_hangs_up(void **state) {
        order("hello\nhang-up\n");
        (void) output("done hang-up\n");
        while (sd_event_run(event, 20000) > 0)
                ;
        assert_string_equal(told, "hello\n");
        assert_true(board_process_send(board, &(LinkMessage) { .type = LINK_STOP }) < 0);
        for (unsigned i = 0; i < 5; i++) /* and costs nothing from now on */
                assert_int_equal(sd_event_run(event, 5000), 0);
        order("exit 0\n");
        run_until(&n_exits, 1);
}

/* One fault, then nothing is believed any more, and nothing is left that would wake us. */
static void test_faults(void **state) {
        static const struct {
                const char *words, *told;
        } cases[] = {
                { "bytes 10\nhello\n", "fault: it sent a malformed message\n" },
                { "bytes 100\nbytes 100\n", "fault: it sent a malformed message\n" },
                { "bytes 4096\nhello\n", "fault: it sent a malformed message\n" },
                { "bytes 4097\nhello\n", "fault: it sent an over-long message\n" },
                { "bytes 12000\nhello\n", "fault: it sent an over-long message\n" },
                { "hello\nversion\nhello\n",
                  "hello\nfault: it speaks another version of the board link\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                if (i > 0) {
                        (void) end(state);
                        assert_int_equal(start(stand_in, false), 0);
                }
                order(cases[i].words);
                order("report\n");
                (void) output("end\n");
                run_until(&n_faults, 1);
                assert_string_equal(told, cases[i].told);
                for (unsigned k = 0; k < 5; k++)
                        assert_int_equal(sd_event_run(event, 2000), 0);
                assert_int_equal(board_process_kill(board), 0);
                run_until(&n_exits, 1);
                assert_int_equal(exit_status, -1);
                assert_int_equal(exit_signal, SIGKILL);
                assert_int_equal(n_faults, 1);
        }
}

/* An empty message says that nothing follows, as far as recv(2) can tell. */
static void test_empty_message(void **state) {
        order("bytes 0\nexit 5\n");
        run_until(&n_exits, 1);
        assert_int_equal(exit_status, 5);
        assert_int_equal(n_faults, 0);
}

/* Others get their turn while a board floods its link. */
static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        ++*(unsigned *) userdata;
        return 0;
}

static void test_flood(void **state) {
        sd_event_source *timer = NULL;
        unsigned n_fired = 0;
        uint64_t start_usec = now_usec(CLOCK_MONOTONIC);

        order("flood\n");
        run_until(&n_logs, 1000);
        assert_int_equal(sd_event_add_time_relative(event, &timer, CLOCK_MONOTONIC, 20000, 1, on_timer,
                                                    &n_fired), 0);
        run_until(&n_fired, 1);
        assert_true(now_usec(CLOCK_MONOTONIC) - start_usec < 5 * USEC_PER_SEC);
        sd_event_source_unref(timer);
        assert_int_equal(board_process_kill(board), 0);
        run_until(&n_exits, 1);
        assert_int_equal(exit_signal, SIGKILL);
}

/* ---- death ---- */

static void test_ends(void **state) {
        static const struct {
                const char *words;
                int status, signal;
        } cases[] = {
                { "exit 0\n", 0, 0 },
                { "exit 7\n", 7, 0 },
                { "exit 255\n", 255, 0 },
                { "signal 9\n", -1, SIGKILL },
                { "signal 15\n", -1, SIGTERM },
                { "signal 10\n", -1, SIGUSR1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                if (i > 0) {
                        (void) end(state);
                        assert_int_equal(start(stand_in, false), 0);
                }
                order(cases[i].words);
                run_until(&n_exits, 1);
                assert_int_equal(exit_status, cases[i].status);
                assert_int_equal(exit_signal, cases[i].signal);
                assert_null(board);
        }
}

/* All that it sent before it died is delivered first: as much as a socket holds. */
static void test_last_messages(void **state) {
        static const unsigned counts[] = { 1, 64, 65, 150, 250 };

        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                char words[64];
                int status;

                if (i > 0) {
                        (void) end(state);
                        assert_int_equal(start(stand_in, false), 0);
                }
                (void) snprintf(words, sizeof words, "logs %u\nexit 3\n", counts[i]);
                order(words);
                /* It is dead before we look for the first time. */
                do
                        status = waitid(P_PID, (id_t) board_process_pid(board), &(siginfo_t) {},
                                        WEXITED | WNOWAIT);
                while (status < 0 && errno == EINTR);
                assert_int_equal(status, 0);
                run_until(&n_exits, 1);
                assert_int_equal(n_logs, counts[i]);
                assert_int_equal(exit_status, 3);
        }
}

static void test_kill(void **state) {
        assert_int_equal(board_process_kill(board), 0);
        assert_int_equal(board_process_kill(board), 0);
        run_until(&n_exits, 1);
        assert_int_equal(exit_signal, SIGKILL);
}

static void test_free_kills(void **state) {
        pid_t pid = board_process_pid(board);

        assert_int_equal(kill(pid, 0), 0);
        board = board_process_free(board);
        assert_int_equal(kill(pid, 0), -1); /* and it is collected: end() looks */
        assert_int_equal(errno, ESRCH);
}

/* However its parent dies, the board does not outlive it. */
static void test_dies_with_its_parent(void **state) {
        int fds[2], status;
        pid_t parent, child = 0;

        (void) end(state);
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
        assert_int_equal(pipe(fds), 0);
        parent = fork();
        if (parent == 0) {
                sd_event *own = NULL;

                (void) sd_event_new(&own);
                event = own;
                if (start(stand_in, geteuid() == 0) < 0)
                        _exit(1);
                order("hello\n"); /* it is past its exec */
                while (!*told)
                        (void) sd_event_run(event, 10000);
                child = board_process_pid(board);
                (void) !write(fds[1], &child, sizeof child);
                (void) raise(SIGKILL);
        }
        assert_int_equal(read(fds[0], &child, sizeof child), sizeof child);
        assert_int_equal(waitpid(parent, &status, 0), parent);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child); /* ours now */
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        (void) close(fds[0]);
        (void) close(fds[1]);
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static unsigned count_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        unsigned n = 0;

        while (d && readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

/* Many lives: memory is the sanitizer's to count, descriptors are ours. */
static void test_no_leaks(void **state) {
        unsigned n = 0;

        for (unsigned i = 0; i < 50; i++) {
                (void) end(state);
                if (i == 1)
                        n = count_fds();
                assert_int_equal(start(i % 5 == 4 ? "/nonexistent" : stand_in, false),
                                 i % 5 == 4 ? -ENOENT : 0);
                if (i % 5 == 4)
                        continue;
                order(i % 2 ? "hello\nexit 0\n" : "logs 10\nsignal 9\n");
                run_until(&n_exits, 1);
        }
        (void) end(state);
        assert_int_equal(count_fds(), n);
}

int main(int argc, char *argv[]) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_birth, begin, end),
                cmocka_unit_test_setup_teardown(test_environment, begin, end),
                cmocka_unit_test_setup_teardown(test_environment, begin, end),
                cmocka_unit_test_setup_teardown(test_other_user, begin, end),
                cmocka_unit_test_setup_teardown(test_many_descriptors, begin, end),
                cmocka_unit_test_setup_teardown(test_our_ends, begin, end),
                cmocka_unit_test_setup_teardown(test_unread_input, begin, end),
                cmocka_unit_test_setup_teardown(test_no_such_program, begin, end),
                cmocka_unit_test_setup_teardown(test_not_a_program, begin, end),
                cmocka_unit_test_setup_teardown(test_messages, begin, end),
                cmocka_unit_test_setup_teardown(test_board_does_not_read, begin, end),
                cmocka_unit_test_setup_teardown(test_board_hangs_up, begin, end),
                cmocka_unit_test_setup_teardown(test_faults, begin, end),
                cmocka_unit_test_setup_teardown(test_empty_message, begin, end),
                cmocka_unit_test_setup_teardown(test_flood, begin, end),
                cmocka_unit_test_setup_teardown(test_ends, begin, end),
                cmocka_unit_test_setup_teardown(test_last_messages, begin, end),
                cmocka_unit_test_setup_teardown(test_kill, begin, end),
                cmocka_unit_test_setup_teardown(test_free_kills, begin, end),
                cmocka_unit_test_setup_teardown(test_dies_with_its_parent, begin, end),
                cmocka_unit_test_setup_teardown(test_no_leaks, begin, end),
        };

        if (argc != 2)
                return 2;
        stand_in = argv[1];
        return cmocka_run_group_tests(tests, setup, teardown);
}
