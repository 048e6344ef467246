/* SPDX-License-Identifier: MIT */
/* The state on the system bus, with a bus daemon of the test's own: read, followed, come back to; and what
 * a logind says there. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "daemon/system-bus.h"
#include "mpyd/control.h"
#include "util/parse.h"

#define LONG_USEC (20 * USEC_PER_SEC)

static char directory[] = "/tmp/test-system-bus.XXXXXX";
static char socket_path[64], address[96], option[112];
static pid_t daemon_pid;
static sd_event *event;
static SystemBus *served;
static sd_bus *client;
static char told[256];        /* host events, one after another */
static char answer[64];       /* of the last property, or the error's name */
static char followed[64];     /* the last signal */
static int lock_ends[8];      /* of the locks that the test's logind has given, in their order; its ends */
static unsigned n_locks;
static bool refuses;          /* to give any */
static bool sleeps_first;     /* before it gives one */

/* Its name is there before it listens. */
static bool daemon_listens(void) {
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

        assert_true(fd >= 0);
        strcpy(to.sun_path, socket_path);
        r = connect(fd, (struct sockaddr *) &to, sizeof to);
        (void) close(fd);
        return r == 0;
}

static void start_daemon(void) {
        (void) unlink(socket_path);
        daemon_pid = fork();
        assert_true(daemon_pid >= 0);
        if (daemon_pid == 0) {
                sigset_t none;

                (void) sigemptyset(&none);
                (void) sigprocmask(SIG_SETMASK, &none, NULL);
                (void) execlp("dbus-daemon", "dbus-daemon", "--session", "--nofork", option, NULL);
                _exit(77);
        }
        for (unsigned i = 0; !daemon_listens(); i++) {
                assert_true(i < 2000);
                assert_int_equal(waitpid(daemon_pid, NULL, WNOHANG), 0);
                (void) usleep(10000);
        }
}

static void stop_daemon(void) {
        (void) kill(daemon_pid, SIGKILL);
        assert_int_equal(waitpid(daemon_pid, NULL, 0), daemon_pid);
        daemon_pid = 0;
}

static int property(void *userdata, const char *name, sd_bus_message *reply) {
        const char *type = streq(name, "State") ? "running" : NULL;

        return type ? sd_bus_message_append(reply, "s", type) : -ENOENT;
}

static void host_event(void *userdata, const char *name) {
        assert_ptr_equal(userdata, told);
        (void) snprintf(told + strlen(told), sizeof told - strlen(told), "%s ", name);
}

static int begin(void **state) {
        static const SystemBusBackend backend = { property, host_event, told };

        strcpy(strrchr(directory, '.'), ".XXXXXX");
        if (!mkdtemp(directory) || sd_event_new(&event) < 0)
                return -1;
        (void) snprintf(socket_path, sizeof socket_path, "%s/bus", directory);
        (void) snprintf(address, sizeof address, "unix:path=%s", socket_path);
        (void) snprintf(option, sizeof option, "--address=%s", address);
        told[0] = answer[0] = followed[0] = '\0';
        n_locks = 0;
        refuses = sleeps_first = false;
        return system_bus_new(&served, event, address, &backend);
}

static int end(void **state) {
        client = sd_bus_close_unref(client);
        served = system_bus_free(served);
        for (unsigned i = 0; i < n_locks; i++)
                (void) close(lock_ends[i]);
        event = sd_event_unref(event);
        if (daemon_pid > 0)
                stop_daemon();
        (void) unlink(socket_path);
        return rmdir(directory);
}

static void turn(void) {
        assert_true(sd_event_run(event, 2000) >= 0);
        while (client && sd_bus_process(client, NULL) > 0)
                ;
}

static void wait_for(const char *text, const char *content) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + LONG_USEC;

        while (!streq(text, content)) {
                if (now_usec(CLOCK_MONOTONIC) > until)
                        fail_msg("\"%s\" instead of \"%s\"", text, content);
                turn();
        }
}

static void connect_client(const char *name) {
        client = sd_bus_close_unref(client);
        assert_true(sd_bus_new(&client) >= 0);
        assert_true(sd_bus_set_address(client, address) >= 0);
        assert_true(sd_bus_set_bus_client(client, 1) >= 0);
        assert_true(sd_bus_start(client) >= 0);
        if (name)
                assert_true(sd_bus_request_name(client, name, 0) >= 0);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *text = NULL;

        if (sd_bus_message_is_method_error(m, NULL))
                text = sd_bus_message_get_error(m)->name;
        else
                assert_true(sd_bus_message_read(m, "v", "s", &text) >= 0);
        (void) snprintf(answer, sizeof answer, "%s", text);
        return 0;
}

static void get_state(void) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + LONG_USEC;

        do { /* the name may not be there yet */
                answer[0] = '\0';
                assert_true(sd_bus_call_method_async(client, NULL, CONTROL_SERVICE, CONTROL_PATH,
                                                     "org.freedesktop.DBus.Properties", "Get", on_answer,
                                                     NULL, "ss", CONTROL_INTERFACE, "State") >= 0);
                while (!*answer)
                        turn();
        } while (!streq(answer, "running") && now_usec(CLOCK_MONOTONIC) < until);
        assert_string_equal(answer, "running");
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *state, *stage;

        assert_true(sd_bus_message_read(m, "ss", &state, &stage) >= 0);
        (void) snprintf(followed, sizeof followed, "%s %s", state, stage);
        return 0;
}

static void test_reads_and_follows(void **state) {
        start_daemon();
        connect_client(NULL);
        get_state();
        assert_true(sd_bus_match_signal(client, NULL, CONTROL_SERVICE, CONTROL_PATH, CONTROL_INTERFACE,
                                        "StateChanged", on_signal, NULL) >= 0);
        system_bus_emit(served, "StateChanged", "idle", "repl");
        wait_for(followed, "idle repl");
}

/* Nothing that changes anything is there. */
static void test_read_only(void **state) {
        static const char *const methods[] = { "Reset", "Interrupt", "OpenConsole", "Reload", "HandOver" };

        start_daemon();
        connect_client(NULL);
        get_state();
        for (size_t i = 0; i < ELEMENTSOF(methods); i++) {
                answer[0] = '\0';
                assert_true(sd_bus_call_method_async(client, NULL, CONTROL_SERVICE, CONTROL_PATH,
                                                     CONTROL_INTERFACE, methods[i], on_answer, NULL,
                                                     NULL) >= 0);
                wait_for(answer, "org.freedesktop.DBus.Error.UnknownMethod");
        }
}

/* No bus at first, then one, then another one: each is found. */
static void test_bus_comes_and_goes(void **state) {
        for (unsigned i = 0; i < 20; i++)
                turn();
        system_bus_emit(served, "StateChanged", "idle", "repl"); /* to nobody */
        start_daemon();
        connect_client(NULL);
        get_state();
        client = sd_bus_close_unref(client);
        stop_daemon();
        for (unsigned i = 0; i < 20; i++)
                turn();
        start_daemon();
        connect_client(NULL);
        get_state();
}

static void announce(const char *signal, int begins) {
        assert_true(sd_bus_emit_signal(client, "/org/freedesktop/login1",
                                       "org.freedesktop.login1.Manager", signal, "b", begins) >= 0);
}

static void test_host_events(void **state) {
        start_daemon();
        connect_client("org.freedesktop.login1");
        get_state();
        announce("PrepareForSleep", true);
        announce("PrepareForSleep", false);
        announce("PrepareForShutdown", true);
        announce("PrepareForShutdown", false); /* called off */
        announce("Other", true);
        wait_for(told, "host-sleep host-resume host-shutdown ");
}

/* Somebody else than logind may say what it likes. */
static void test_host_events_of_others(void **state) {
        start_daemon();
        connect_client("org.example.login1");
        get_state();
        announce("PrepareForShutdown", true);
        for (unsigned i = 0; i < 50; i++)
                turn();
        get_state(); /* it has been through the bus */
        assert_string_equal(told, "");
}

/* ---- the lock on the host's sleep ---- */

static int on_inhibit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *what, *who, *why, *mode;
        int ends[2];

        assert_true(sd_bus_message_read(m, "ssss", &what, &who, &why, &mode) >= 0);
        assert_string_equal(what, "sleep");
        assert_string_equal(mode, "delay");
        if (refuses)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "not you");
        if (sleeps_first)
                announce("PrepareForSleep", true);
        assert_true(n_locks < ELEMENTSOF(lock_ends));
        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        lock_ends[n_locks++] = ends[0];
        assert_true(sd_bus_reply_method_return(m, "h", ends[1]) >= 0);
        (void) close(ends[1]);
        return 1;
}

static const sd_bus_vtable login_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Inhibit", "ssss", "h", on_inhibit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static void become_logind(void) {
        connect_client(NULL);
        assert_true(sd_bus_add_object_vtable(client, NULL, "/org/freedesktop/login1",
                                             "org.freedesktop.login1.Manager", login_vtable, NULL) >= 0);
        assert_true(sd_bus_request_name(client, "org.freedesktop.login1", 0) >= 0);
}

static bool is_held(unsigned lock) {
        char c;

        return read(lock_ends[lock], &c, 1) < 0 && errno == EAGAIN;
}

static void wait_for_lock(unsigned n, bool held) {
        uint64_t until = now_usec(CLOCK_MONOTONIC) + LONG_USEC;

        while (n_locks < n || is_held(n - 1) != held) {
                if (now_usec(CLOCK_MONOTONIC) > until)
                        fail_msg("%u locks, not %u, or the last one is not as it should be", n_locks, n);
                turn();
        }
        for (unsigned i = 0; i + 1 < n; i++)
                assert_false(is_held(i));
}

/* The host sleeps only when the watchdogs know; each time anew, and with another logind. */
static void test_sleep_waits_for_us(void **state) {
        start_daemon();
        connect_client(NULL);
        get_state();
        become_logind();
        wait_for_lock(1, true);
        for (unsigned i = 1; i <= 2; i++) {
                told[0] = '\0';
                announce("PrepareForSleep", true);
                wait_for_lock(i, false);
                assert_string_equal(told, "host-sleep ");
                announce("PrepareForSleep", false);
                wait_for_lock(i + 1, true);
                assert_string_equal(told, "host-sleep host-resume ");
        }
        client = sd_bus_close_unref(client);
        become_logind();
        wait_for_lock(4, true);
        served = system_bus_free(served);
        wait_for_lock(4, false); /* it may have been on its way to us */
}

/* Announced before the lock has come: nobody waits for us then. */
static void test_sleep_before_the_lock(void **state) {
        sleeps_first = true;
        start_daemon();
        become_logind(); /* before we come */
        wait_for(told, "host-sleep ");
        wait_for_lock(1, false);
        sleeps_first = false;
        announce("PrepareForSleep", false);
        wait_for_lock(2, true);
}

static void test_lock_is_refused(void **state) {
        refuses = true;
        start_daemon();
        become_logind();
        get_state();
        announce("PrepareForSleep", true);
        announce("PrepareForSleep", false);
        wait_for(told, "host-sleep host-resume ");
        assert_int_equal(n_locks, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_reads_and_follows, begin, end),
                cmocka_unit_test_setup_teardown(test_read_only, begin, end),
                cmocka_unit_test_setup_teardown(test_bus_comes_and_goes, begin, end),
                cmocka_unit_test_setup_teardown(test_host_events, begin, end),
                cmocka_unit_test_setup_teardown(test_host_events_of_others, begin, end),
                cmocka_unit_test_setup_teardown(test_sleep_waits_for_us, begin, end),
                cmocka_unit_test_setup_teardown(test_sleep_before_the_lock, begin, end),
                cmocka_unit_test_setup_teardown(test_lock_is_refused, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
