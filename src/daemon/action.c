/* SPDX-License-Identifier: MIT */
#include "daemon/action.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "util/parse.h"

#define TIMEOUT_USEC (90 * USEC_PER_SEC) /* mpyd-action@.service has less */

extern char **environ;

struct Action {
        int fd;
        pid_t child; /* 0: systemd's */
        sd_event_source *answer_source, *timer;
        ActionDone done;
        void *userdata;
};

static void finish(Action *a, ActionResult result, const char *why) {
        sd_event_source_set_enabled(a->answer_source, SD_EVENT_OFF);
        sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
        a->done(a->userdata, result, why);
}

static int on_answer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        char text[ACTION_ANSWER_MAX];
        const char *why;
        ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
        ActionResult result;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                finish(userdata, ACTION_AGAIN, "mpyd-action ended without an answer");
                return 0;
        }
        text[n] = '\0';
        result = action_answer_parse(text, &why);
        if (result < 0)
                finish(userdata, ACTION_FAILED, "mpyd-action does not answer as this mpyd expects it");
        else
                finish(userdata, result, why);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        finish(userdata, ACTION_AGAIN, "mpyd-action does not answer");
        return 0;
}

static int connect_to(Action *a, const char *path) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof sa.sun_path)
                return -ENAMETOOLONG;
        (void) strcpy(sa.sun_path, path);
        a->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (a->fd < 0 || connect(a->fd, (struct sockaddr *) &sa, sizeof sa) < 0)
                return -errno;
        return 0;
}

static int start_child(Action *a, const ActionDoor *door) {
        char *const argv[] = { (char *) door->executable, (char *) "--config", (char *) door->config_path,
                               (char *) "--state-dir", (char *) door->state_dir, NULL };
        _cleanup_close_ int theirs = -EBADF;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t none, normal;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        a->fd = pair[0];
        theirs = pair[1];
        if (fcntl(theirs, F_SETFL, 0) < 0)
                return -errno;
        (void) sigemptyset(&none);
        (void) sigemptyset(&normal);
        (void) sigaddset(&normal, SIGPIPE);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, theirs, STDIN_FILENO);
        posix_spawnattr_init(&attr);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawnattr_setsigdefault(&attr, &normal);
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                POSIX_SPAWN_SETPGROUP);
        r = -posix_spawn(&a->child, door->executable, &actions, &attr, argv, environ);
        posix_spawnattr_destroy(&attr);
        posix_spawn_file_actions_destroy(&actions);
        if (r < 0)
                a->child = 0;
        return r;
}

/* It has answered or will not: there is nothing to wait long for. */
static void end_child(Action *a) {
        if (a->child == 0)
                return;
        (void) kill(-a->child, SIGKILL);
        /* One that hangs in the kernel is not waited for: init reaps it. */
        for (int i = 0; i < 100 && waitpid(a->child, NULL, WNOHANG) == 0; i++)
                (void) usleep(1000);
}

Action *action_free(Action *a) {
        if (!a)
                return NULL;
        sd_event_source_disable_unref(a->answer_source);
        sd_event_source_disable_unref(a->timer);
        safe_close(a->fd);
        end_child(a);
        free(a);
        return NULL;
}
DEFINE_CLEANUP(Action *, action_free)

static int ask(Action *a, ActionVerb verb, json_t *request) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (json_object_set_new(request, "verb", json_string(action_verb_to_string(verb))) < 0)
                return -ENOMEM;
        text = json_dumps(request, JSON_COMPACT);
        if (!text)
                return -ENOMEM;
        size = strlen(text);
        if (size > ACTION_REQUEST_MAX)
                return -EMSGSIZE;
        return send(a->fd, text, size, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int action_start(Action **ret, sd_event *event, const ActionDoor *door, ActionVerb verb, json_t *request,
                 ActionDone done, void *userdata) {
        _cleanup_(action_freep) Action *a = calloc(1, sizeof *a);
        int r;

        if (!a)
                return -ENOMEM;
        *a = (Action) { .fd = -EBADF, .done = done, .userdata = userdata };
        r = door->socket ? connect_to(a, door->socket) : start_child(a, door);
        if (r < 0)
                return r;
        r = ask(a, verb, request);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &a->answer_source, a->fd, EPOLLIN, on_answer, a);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &a->timer, CLOCK_MONOTONIC, TIMEOUT_USEC, 0,
                                               on_timeout, a);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(a);
        return 0;
}
