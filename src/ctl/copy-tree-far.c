/* SPDX-License-Identifier: MIT */
/* Two processes and we between them: tar here, ssh with a shell's few words to the other end. */
#include "ctl/copy-tree-far.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctl/cli.h"
#include "ctl/copy.h"
#include "ctl/flash.h"
#include "ctl/remote.h"
#include "ctl/style.h"
#include "ctl/text.h"

/* All of it happens in a directory that is gone afterwards, also when a step fails or the connection ends. */
#define SCRIPT_BEGIN "d=$(mktemp -d) && trap 'cd /; rm -rf \"$d\"' 0 && trap 'exit 1' 1 2 13 15 && cd \"$d\" && "

/* "mpyctl cp -r FROM TO" for the shell there. The caller's. */
static char *cp_there(const Ctl *c, const char *from, const char *to) {
        char *arguments[] = { (char *) from, (char *) to, NULL };
        Invocation in = { .options = { { .key = 'r' } }, .n_options = 1, .arguments = arguments, .n_arguments = 2 };
        char *command;

        return remote_command(c, &verb_cp, &in, c->run_dir, c->state_dir, &command) < 0 ? NULL : command;
}

static pid_t start_tar(const char *const arguments[], int in_fd, int out_fd) {
        pid_t pid = remote_fork("tar", in_fd, out_fd);

        if (pid != 0)
                return pid;
        (void) execvp("tar", (char *const *) arguments);
        complain("Failed to run tar: %m.");
        _exit(CTL_EXIT_FAILURE);
}

/* tar's archive goes to ssh (sends), or ssh's to tar, by way of us, who show how much it is. The other end's reason
 * counts first. */
static int run_both(const Ctl *c, const char *name, const char *script, const char *const tar[], bool sends) {
        CopyProgress progress = { .name = name };
        pid_t ssh, archiver = -1;
        int from[2], to[2], code, ours, r = 0;

        if (pipe2(from, O_CLOEXEC) < 0) {
                complain("Failed to make a pipe: %m.");
                return CTL_EXIT_FAILURE;
        }
        if (pipe2(to, O_CLOEXEC) < 0) {
                complain("Failed to make a pipe: %m.");
                safe_close(from[0]);
                safe_close(from[1]);
                return CTL_EXIT_FAILURE;
        }
        ssh = sends ? remote_start(c, script, to[0], STDERR_FILENO) : remote_start(c, script, -EBADF, from[1]);
        if (ssh >= 0)
                archiver = sends ? start_tar(tar, -EBADF, from[1]) : start_tar(tar, to[0], -EBADF);
        safe_close(from[1]);
        safe_close(to[0]);
        if (ssh >= 0 && archiver >= 0) {
                (void) signal(SIGPIPE, SIG_IGN); /* who has gone tells why by its exit code */
                r = copy_all(from[0], to[1], &progress);
        }
        safe_close(from[0]);
        safe_close(to[1]);
        code = ssh < 0 ? CTL_EXIT_FAILURE : remote_wait(ssh);
        ours = archiver < 0 ? CTL_EXIT_FAILURE : remote_wait(archiver);
        show_for_now("");
        if (r < 0 && r != -EPIPE)
                complain("Failed to pass on %s: %s.", name, strerror(-r));
        return code != 0 ? code : ours != 0 || r < 0 ? CTL_EXIT_FAILURE : 0;
}

int copy_tree_send(const Ctl *c, const char *path, const char *to) {
        const char *const tar[] = { "tar", "--create", "--dereference", "--file=-", "--directory", path, ".", NULL };
        _cleanup_free_ char *name = path_last(path), *place = NULL, *source = NULL, *quoted = NULL, *cp = NULL,
                            *script = NULL;

        /* "." and the like have no name: what is in it is copied, as without -H. */
        if (asprintf(&place, "./%s", name ?: "all") < 0 || asprintf(&source, "%s%s", place, name ? "" : "/.") < 0 ||
            !(quoted = text_shell_quote(place)) || !(cp = cp_there(c, source, to)) ||
            asprintf(&script, SCRIPT_BEGIN "mkdir %s && tar --extract --no-same-owner --file=- --directory %s && %s",
                     quoted, quoted, cp) < 0) {
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        return run_both(c, path, script, tar, true);
}

int copy_tree_fetch(const Ctl *c, const char *from, const char *to) {
        struct stat st;
        bool into = stat(to, &st) >= 0 && S_ISDIR(st.st_mode);
        _cleanup_free_ char *cp = NULL, *script = NULL, *temporary = NULL, *arrived = NULL;
        const char *tar[] = { "tar", "--extract", "--no-same-owner", "--file=-", "--directory", NULL, NULL };
        int r;

        /* A name that is not there yet takes its place when all of it has come. */
        if (asprintf(&temporary, "%s.part", to) < 0 || asprintf(&arrived, "%s/all", temporary) < 0 ||
            !(cp = cp_there(c, from, into ? "." : "./all")) ||
            asprintf(&script, SCRIPT_BEGIN "%s && tar --create --file=- .", cp) < 0) {
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        tar[5] = into ? to : temporary;
        if (!into && mkdir(temporary, 0777) < 0) {
                complain("Failed to make %s: %m.", temporary);
                return CTL_EXIT_FAILURE;
        }
        r = run_both(c, flash_path(from), script, tar, false);
        if (into)
                return r;
        if (r == 0 && rename(arrived, to) < 0) {
                complain("Failed to write %s: %m.", to);
                r = CTL_EXIT_FAILURE;
        }
        if (rmdir(temporary) < 0)
                advise("what came of it is in %s", temporary);
        return r;
}
