/* SPDX-License-Identifier: MIT */
/* The daemon's side of the service manager's protocol, against a socket as systemd's: what is sent, what
 * is passed, and that a manager that does not read holds nothing up. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/service.h"
#include "util/macros.h"
#include "util/parse.h"

static char directory[] = "/tmp/test-service.XXXXXX";
static char address[64];
static int manager = -EBADF;

static int setup(void **state) {
        if (!mkdtemp(directory))
                return -1;
        (void) snprintf(address, sizeof address, "%s/notify", directory);
        return 0;
}

static int teardown(void **state) {
        return rmdir(directory);
}

static int begin(void **state) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        strcpy(sa.sun_path, address);
        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (manager < 0 || bind(manager, (struct sockaddr *) &sa, sizeof sa) < 0)
                return -1;
        (void) unsetenv("WATCHDOG_USEC");
        (void) unsetenv("WATCHDOG_PID");
        (void) unsetenv("LISTEN_FDS");
        (void) unsetenv("LISTEN_PID");
        (void) unsetenv("LISTEN_FDNAMES");
        return setenv("NOTIFY_SOCKET", address, 1);
}

static int end(void **state) {
        manager = safe_close(manager);
        (void) unsetenv("NOTIFY_SOCKET");
        return unlink(address);
}

/* The next message that has come, "" for none; *ret_fd is what came with it. */
static const char *received(int *ret_fd) {
        static char text[2048];
        char space[CMSG_SPACE(sizeof(int))];
        struct iovec iov = { .iov_base = text, .iov_len = sizeof text - 1 };
        struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space,
                            .msg_controllen = sizeof space };
        ssize_t n = recvmsg(manager, &m, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&m) : NULL;

        text[MAX(n, 0)] = '\0';
        if (ret_fd)
                *ret_fd = -EBADF;
        if (c && ret_fd)
                memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
        return text;
}

static void test_foreground(void **state) {
        _cleanup_(service_freep) Service *s = NULL;

        (void) unsetenv("NOTIFY_SOCKET");
        assert_int_equal(service_new(&s), 0);
        assert_false(service_managed(s));
        service_notify(s, "STATUS=%s", "nobody listens");
        assert_int_equal(service_notify_surely(s, "READY=1"), 0);
        assert_int_equal(service_claim(s, "console"), -ENOENT);
        service_store(s, "console", STDIN_FILENO);
        service_forget_rest(s);
        assert_int_equal(service_watch(s, NULL, NULL, NULL), 0);
        assert_int_equal(service_watchdog_usec(s), 0);
        assert_string_equal(received(NULL), "");
}

static void test_notifies(void **state) {
        _cleanup_(service_freep) Service *s = NULL;

        assert_int_equal(service_new(&s), 0);
        assert_true(service_managed(s));
        assert_null(getenv("NOTIFY_SOCKET")); /* no child of ours speaks for us */
        assert_int_equal(service_notify_surely(s, "READY=1"), 0);
        assert_string_equal(received(NULL), "READY=1");
        service_notify(s, "STATUS=%s", "At the REPL.");
        assert_string_equal(received(NULL), "STATUS=At the REPL.");
        assert_string_equal(received(NULL), "");
}

static void test_abstract_address(void **state) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        _cleanup_(service_freep) Service *s = NULL;
        char name[64], text[32] = "";
        int n = snprintf(name, sizeof name, "@test-service-%d", (int) getpid());

        memcpy(sa.sun_path + 1, name + 1, (size_t) n - 1);
        assert_int_equal(bind(fd, (struct sockaddr *) &sa,
                              (socklen_t) (offsetof(struct sockaddr_un, sun_path) + (size_t) n)), 0);
        (void) setenv("NOTIFY_SOCKET", name, 1);
        assert_int_equal(service_new(&s), 0);
        assert_int_equal(service_notify_surely(s, "READY=1"), 0);
        assert_int_equal(recv(fd, text, sizeof text - 1, 0), 7);
        assert_string_equal(text, "READY=1");
}

static void test_bad_addresses(void **state) {
        static const char *const bad[] = { "", "/", "@", "relative", "/nowhere/at/all", "vsock:2:1" };
        char long_one[300];

        memset(long_one, 'x', sizeof long_one - 1);
        long_one[0] = '/';
        long_one[sizeof long_one - 1] = '\0';
        for (size_t i = 0; i <= ELEMENTSOF(bad); i++) {
                _cleanup_(service_freep) Service *s = NULL;

                (void) setenv("NOTIFY_SOCKET", i < ELEMENTSOF(bad) ? bad[i] : long_one, 1);
                assert_int_equal(service_new(&s), 0);
                assert_false(service_managed(s));
        }
}

/* A manager that hangs takes a few messages and then none: the loop must not hang with it. */
static void test_manager_hangs(void **state) {
        _cleanup_(service_freep) Service *s = NULL;
        uint64_t t;

        assert_int_equal(service_new(&s), 0);
        t = now_usec(CLOCK_MONOTONIC);
        for (unsigned i = 0; i < 5000; i++)
                service_notify(s, "STATUS=%u", i);
        assert_true(now_usec(CLOCK_MONOTONIC) - t < 5 * USEC_PER_SEC);
        assert_string_equal(received(NULL), "STATUS=0");
}

static void test_stores(void **state) {
        _cleanup_(service_freep) Service *s = NULL;
        _cleanup_close_ int fd = memfd_create("stored", MFD_CLOEXEC), copy = -EBADF;
        struct stat a, b;

        assert_int_equal(service_new(&s), 0);
        service_store(s, "retained", fd);
        assert_string_equal(received(NULL), "FDSTOREREMOVE=1\nFDNAME=retained");
        assert_string_equal(received(&copy), "FDSTORE=1\nFDNAME=retained\nFDPOLL=0");
        assert_true(copy >= 0);
        assert_int_equal(fstat(fd, &a), 0);
        assert_int_equal(fstat(copy, &b), 0);
        assert_int_equal(a.st_ino, b.st_ino);
}

/* Descriptors come as from systemd: numbers from 3 on, named in the environment, for our pid. That is
 * tried in a child, whose descriptors are its own. */
static int claim_in_child(const char *const files[], const char *names, const char *pid) {
        _cleanup_(service_freep) Service *s = NULL;
        char text[16];
        int n = 0, fd;

        for (; files[n]; n++) {
                fd = memfd_create(files[n], 0);
                if (dup2(fd, 64 + n) < 0)
                        return 100;
        }
        for (int i = 0; i < n; i++)
                if (dup2(64 + i, 3 + i) < 0)
                        return 101;
        (void) snprintf(text, sizeof text, "%d", (int) getpid());
        (void) setenv("LISTEN_PID", pid ?: text, 1);
        (void) snprintf(text, sizeof text, "%d", n);
        (void) setenv("LISTEN_FDS", text, 1);
        (void) setenv("LISTEN_FDNAMES", names, 1);
        if (service_new(&s) < 0 || getenv("LISTEN_FDS"))
                return 102;
        fd = service_claim(s, "retained");
        if (fd >= 0 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
                return 103;
        service_forget_rest(s);
        for (int i = 0; i < n; i++) /* nothing is left open but what was claimed */
                if ((fcntl(3 + i, F_GETFD) >= 0) != (3 + i == fd))
                        return 104;
        return fd < 0 ? 0 : fd;
}

static int claim(const char *const files[], const char *names, const char *pid) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
                manager = safe_close(manager);
                _exit(claim_in_child(files, names, pid));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_claims(void **state) {
        assert_int_equal(claim((const char *const[]) { "a", "b", NULL }, "console:retained", NULL), 4);
        assert_string_equal(received(NULL), "FDSTOREREMOVE=1\nFDNAME=console");
        assert_string_equal(received(NULL), "");
        /* the first of two of the same name; the manager must not forget both */
        assert_int_equal(claim((const char *const[]) { "a", "b", NULL }, "retained:retained", NULL), 3);
        assert_string_equal(received(NULL), "");
        assert_int_equal(claim((const char *const[]) { "a", NULL }, "other", NULL), 0);
        assert_string_equal(received(NULL), "FDSTOREREMOVE=1\nFDNAME=other");
        assert_int_equal(claim((const char *const[]) { NULL }, "", NULL), 0);
        assert_string_equal(received(NULL), "");
}

static const char *problem;

static const char *check(void *userdata) {
        assert_ptr_equal(userdata, &problem);
        return problem;
}

static unsigned n_triggers;

static unsigned keep_alives(void) {
        unsigned n = 0;

        n_triggers = 0;
        for (const char *text; *(text = received(NULL));) {
                n += streq(text, "WATCHDOG=1");
                n_triggers += streq(text, "WATCHDOG=trigger");
        }
        return n;
}

static int busy(sd_event_source *source, void *userdata) {
        return 0;
}

static void run(sd_event *event, uint64_t usec) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + usec;

        for (uint64_t t; (t = now_usec(CLOCK_MONOTONIC)) < until;)
                assert_true(sd_event_run(event, until - t) >= 0);
}

static void test_keep_alive(void **state) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(service_freep) Service *s = NULL;
        sd_event_source *flood = NULL;
        unsigned n;

        (void) setenv("WATCHDOG_USEC", "900000", 1);
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(service_new(&s), 0);
        assert_int_equal(service_watchdog_usec(s), 900000);
        problem = NULL;
        assert_true(service_watch(s, event, check, &problem) >= 0);

        run(event, 1800 * USEC_PER_MSEC); /* each 300 ms, and up to 250 ms later */
        n = keep_alives();
        assert_in_range(n, 3, 7);

        assert_int_equal(n_triggers, 0);

        problem = "of a test"; /* looked at each 300 ms: what stays is told to the manager, once */
        run(event, 1800 * USEC_PER_MSEC);
        assert_int_equal(keep_alives(), 0);
        assert_int_equal(n_triggers, 1);

        problem = NULL;
        run(event, 900 * USEC_PER_MSEC);
        assert_true(keep_alives() >= 1);

        /* A loop that is never done with its usual work: the timer comes, the check is content, and yet
         * it is not well. */
        assert_true(sd_event_add_defer(event, &flood, busy, NULL) >= 0);
        assert_true(sd_event_source_set_enabled(flood, SD_EVENT_ON) >= 0);
        run(event, 600 * USEC_PER_MSEC);
        (void) keep_alives(); /* one may have been due */
        run(event, 1200 * USEC_PER_MSEC);
        assert_int_equal(keep_alives(), 0);
        assert_int_equal(n_triggers, 0); /* that may pass */
        sd_event_source_disable_unref(flood);
        run(event, 1200 * USEC_PER_MSEC);
        assert_true(keep_alives() >= 1);
}

static void test_keep_alive_of_another(void **state) {
        _cleanup_(service_freep) Service *s = NULL;

        (void) setenv("WATCHDOG_USEC", "900000", 1);
        (void) setenv("WATCHDOG_PID", "1", 1);
        assert_int_equal(service_new(&s), 0);
        assert_int_equal(service_watchdog_usec(s), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_foreground, begin, end),
                cmocka_unit_test_setup_teardown(test_notifies, begin, end),
                cmocka_unit_test_setup_teardown(test_abstract_address, begin, end),
                cmocka_unit_test_setup_teardown(test_bad_addresses, begin, end),
                cmocka_unit_test_setup_teardown(test_manager_hangs, begin, end),
                cmocka_unit_test_setup_teardown(test_stores, begin, end),
                cmocka_unit_test_setup_teardown(test_claims, begin, end),
                cmocka_unit_test_setup_teardown(test_keep_alive, begin, end),
                cmocka_unit_test_setup_teardown(test_keep_alive_of_another, begin, end),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
