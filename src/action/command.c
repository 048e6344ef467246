/* SPDX-License-Identifier: MIT */
/* The owner's command: /bin/sh -c, as cron does it. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>

#include "action/action.h"
#include "util/macros.h"

#define ENVIRONMENT_MAX 48u

typedef struct Environment {
        char *vars[ENVIRONMENT_MAX + 1];
        size_t n;
} Environment;

static void environment_done(Environment *e) {
        for (size_t i = 0; i < e->n; i++)
                free(e->vars[i]);
}

static void put(Environment *e, const char *name, const char *value) {
        char *v;

        if (e->n < ENVIRONMENT_MAX && asprintf(&v, "%s=%s", name, value) >= 0)
                e->vars[e->n++] = v;
}

static bool is_ours(const char *name) {
        return strncmp(name, "MPYD_", 5) == 0 || streq(name, "ERRNO");
}

/* Of our own environment what a shell needs; of the request: MPYD_EVENT, MPYD_MESSAGE, MPYD_HOST, MPYD_TIME,
 * MPYD_MISSED and the event's fields. Values need no quoting: nothing is pasted into the command. */
static void fill(Environment *e, const json_t *request) {
        static const char *const passed[] = { "PATH", "LANG", "HOME", "TZ" };
        static const char *const members[][2] = {
                { "MPYD_EVENT", "event" }, { "MPYD_MESSAGE", "message" },
                { "MPYD_HOST", "host" },   { "MPYD_TIME", "time" },
        };
        json_t *fields = json_object_get(request, "fields"), *value;
        char missed[24];
        const char *name;

        for (size_t i = 0; i < ELEMENTSOF(passed); i++)
                if (getenv(passed[i]))
                        put(e, passed[i], getenv(passed[i]));
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                const char *text = json_string_value(json_object_get(request, members[i][1]));

                if (text)
                        put(e, members[i][0], text);
        }
        (void) snprintf(missed, sizeof missed, "%" JSON_INTEGER_FORMAT,
                        json_integer_value(json_object_get(request, "missed")));
        put(e, "MPYD_MISSED", missed);
        json_object_foreach(fields, name, value)
                if (is_ours(name) && json_is_string(value))
                        put(e, name, json_string_value(value));
}

static ActionResult judge(int status, char why[static WHY_MAX]) {
        if (WIFSIGNALED(status)) {
                (void) snprintf(why, WHY_MAX, "[notify] command was ended by SIG%s",
                                sigabbrev_np(WTERMSIG(status)) ?: "?");
                return ACTION_FAILED;
        }
        if (WEXITSTATUS(status) == 0)
                return ACTION_OK;
        (void) snprintf(why, WHY_MAX, "[notify] command ended with exit status %d", WEXITSTATUS(status));
        return WEXITSTATUS(status) == EX_TEMPFAIL ? ACTION_AGAIN : ACTION_FAILED;
}

ActionResult run_command(const char *command, const json_t *request, char why[static WHY_MAX]) {
        char *const argv[] = { (char *) "/bin/sh", (char *) "-c", (char *) command, NULL };
        _cleanup_(environment_done) Environment e = {};
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t chld, none;
        bool late;
        pid_t pid;
        int r, status;

        fill(&e, request);
        (void) sigemptyset(&none);
        (void) sigemptyset(&chld);
        (void) sigaddset(&chld, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &chld, NULL);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        posix_spawnattr_init(&attr);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
        r = posix_spawn(&pid, argv[0], &actions, &attr, argv, e.vars);
        posix_spawnattr_destroy(&attr);
        posix_spawn_file_actions_destroy(&actions);
        if (r > 0) {
                (void) snprintf(why, WHY_MAX, "/bin/sh cannot be run (%s)", strerrordesc_np(r));
                return ACTION_AGAIN;
        }
        late = sigtimedwait(&chld, NULL, &(struct timespec) { .tv_sec = ACTION_TIMEOUT_SEC }) < 0;
        if (late)
                (void) kill(-pid, SIGKILL);
        if (waitpid(pid, &status, 0) != pid)
                status = -1;
        if (!late)
                return judge(status, why);
        (void) snprintf(why, WHY_MAX, "[notify] command took longer than %d s and was killed",
                        ACTION_TIMEOUT_SEC);
        return ACTION_FAILED;
}
