/* SPDX-License-Identifier: MIT */
/* Runs mpyctl on another machine. Nothing of our own is on the wire. */
#include "ctl/remote.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/style.h"
#include "ctl/text.h"

static void put_word(FILE *f, const char *word, bool *failed) {
        _cleanup_free_ char *quoted = text_shell_quote(word);

        if (!quoted)
                *failed = true;
        else
                fprintf(f, " %s", quoted);
}

static void put_option(FILE *f, const struct option *o, const char *argument, bool *failed) {
        char name[64];

        (void) snprintf(name, sizeof(name), "--%s", o->name);
        put_word(f, name, failed);
        if (argument)
                put_word(f, argument, failed);
}

int remote_command(const Ctl *c, const Verb *verb, const Invocation *in, const char *run_dir,
                   const char *state_dir, char **ret) {
        const char *no_color = getenv("NO_COLOR");
        char *text = NULL;
        size_t size;
        bool failed = false;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return -ENOMEM;
        fputs(no_color && *no_color ? "NO_COLOR=1 mpyctl" : "mpyctl", f);
        if (run_dir) {
                put_word(f, "--run-dir", &failed);
                put_word(f, run_dir, &failed);
        }
        if (state_dir) {
                put_word(f, "--state-dir", &failed);
                put_word(f, state_dir, &failed);
        }
        if (c->json)
                put_word(f, "--json", &failed);
        put_word(f, verb->name, &failed);
        for (size_t i = 0; i < in->n_options; i++)
                for (const struct option *o = verb->options; o && o->name; o++)
                        if (o->val == in->options[i].key) {
                                put_option(f, o, in->options[i].argument, &failed);
                                break;
                        }
        if (in->n_arguments > 0)
                put_word(f, "--", &failed);
        for (size_t i = 0; i < in->n_arguments; i++)
                put_word(f, in->arguments[i], &failed);
        if (fclose(f) != 0 || failed) {
                free(text);
                return -ENOMEM;
        }
        *ret = text;
        return 0;
}

static int become_ssh(const Ctl *c, const char *command) {
        char *argv[8];
        size_t n = 0;

        if (!*c->host || *c->host == '-') {
                complain("\"%s\" is not a host to connect to.", c->host);
                return CTL_EXIT_USAGE;
        }
        argv[n++] = (char *) "ssh";
        /* A terminal there when there is one here: width, colour, Ctrl-C. Through a pipe bytes must
         * stay as they are and stderr apart. */
        if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO)) {
                argv[n++] = (char *) "-t";
                argv[n++] = (char *) "-oLogLevel=error"; /* no "Connection to … closed." */
        }
        argv[n++] = (char *) "--";
        argv[n++] = (char *) c->host;
        argv[n++] = (char *) command;
        argv[n] = NULL;
        (void) execvp("ssh", argv);
        complain("Failed to run ssh: %m.");
        advise("install it: apt install openssh-client");
        return CTL_EXIT_FAILURE;
}

int remote_run(const Ctl *c, const Verb *verb, const Invocation *in, const char *run_dir,
               const char *state_dir) {
        _cleanup_free_ char *command = NULL;

        if (remote_command(c, verb, in, run_dir, state_dir, &command) < 0) {
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        return become_ssh(c, command);
}

pid_t remote_fork(const char *what, int in_fd, int out_fd) {
        pid_t pid = fork();

        if (pid < 0)
                complain("Failed to start %s: %m.", what);
        if (pid == 0)
                (void) signal(SIGPIPE, SIG_DFL);
        if (pid == 0 && ((in_fd >= 0 && dup2(in_fd, STDIN_FILENO) < 0) ||
                         (out_fd >= 0 && dup2(out_fd, STDOUT_FILENO) < 0)))
                _exit(CTL_EXIT_FAILURE);
        return pid;
}

pid_t remote_start(const Ctl *c, const char *command, int in_fd, int out_fd) {
        pid_t pid = remote_fork("ssh", in_fd, out_fd);

        if (pid == 0)
                _exit(become_ssh(c, command));
        return pid;
}

int remote_wait(pid_t pid) {
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return CTL_EXIT_FAILURE;
        return WIFEXITED(status) ? WEXITSTATUS(status) : CTL_EXIT_LOST;
}
