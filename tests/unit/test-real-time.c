/* SPDX-License-Identifier: MIT */
/* A loop with real-time priority that has work without end goes on, with pauses; one that hangs is killed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "daemon/real-time.h"
#include "util/parse.h"

#define SOFT_USEC (USEC_PER_SEC / 5)
#define HARD_USEC (2 * USEC_PER_SEC)
#define BUSY_USEC (3 * HARD_USEC)
#define PATIENCE_USEC (60 * USEC_PER_SEC)

enum {
        EXIT_NO_PAUSE = 1,
        EXIT_SURVIVED,
        EXIT_LIMIT_LOST,
        EXIT_NOT_ALLOWED = 77,
};

static uint64_t now(void) {
        struct timespec ts = {};

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static int on_always(sd_event_source *s, void *userdata) {
        return 0;
}

/* As the unit starts mpyd. */
static void become_real_time(void) {
        struct rlimit limit = { .rlim_cur = SOFT_USEC, .rlim_max = HARD_USEC };
        struct sched_param p = { .sched_priority = 1 };
        sigset_t mask;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGXCPU);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        if (setrlimit(RLIMIT_RTTIME, &limit) < 0 || sched_setscheduler(0, SCHED_RR, &p) < 0)
                _exit(EXIT_NOT_ALLOWED);
}

/* Its exit status, or the negative number of the signal that ended it. */
static int in_a_process(void (*body)(void)) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                become_real_time();
                body();
                _exit(EXIT_SURVIVED);
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void busy_for_longer_than_allowed(void) {
        sd_event_source *always = NULL;
        sd_event *event = NULL;
        RealTime *t = NULL;
        struct rusage before, after;
        struct rlimit limit;

        if (sd_event_new(&event) < 0 || real_time_new(&t, event) < 0 ||
            sd_event_add_defer(event, &always, on_always, NULL) < 0 ||
            sd_event_source_set_enabled(always, SD_EVENT_ON) < 0)
                abort();
        (void) getrusage(RUSAGE_SELF, &before);
        for (uint64_t end = now() + BUSY_USEC; now() < end;)
                if (sd_event_run(event, UINT64_MAX) < 0)
                        abort();
        (void) getrusage(RUSAGE_SELF, &after);
        if (after.ru_nvcsw - before.ru_nvcsw < 2)
                _exit(EXIT_NO_PAUSE);
        if (getrlimit(RLIMIT_RTTIME, &limit) < 0 || limit.rlim_cur > HARD_USEC)
                _exit(EXIT_LIMIT_LOST);
        sd_event_source_unref(always);
        real_time_free(t);
        sd_event_unref(event);
}

static void hang(void) {
        sd_event *event = NULL;
        RealTime *t = NULL;

        if (sd_event_new(&event) < 0 || real_time_new(&t, event) < 0)
                abort();
        for (uint64_t end = now() + PATIENCE_USEC; now() < end;)
                ;
}

static void test_busy_without_end(void **state) {
        int r = in_a_process(busy_for_longer_than_allowed);

        if (r == EXIT_NOT_ALLOWED)
                skip(); /* as an ordinary user, or in a container */
        assert_int_equal(r, EXIT_SURVIVED);
}

static void test_a_loop_that_hangs_is_killed(void **state) {
        int r = in_a_process(hang);

        if (r == EXIT_NOT_ALLOWED)
                skip(); /* the same */
        assert_int_equal(r, -SIGKILL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_busy_without_end),
                cmocka_unit_test(test_a_loop_that_hangs_is_killed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
