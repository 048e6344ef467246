/* SPDX-License-Identifier: MIT */
/* mpyctl edit: a file of the board in the editor of whoever sits here. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "ctl/cli.h"
#include "ctl/copy.h"
#include "ctl/flash.h"
#include "ctl/style.h"

/* A copy of the file that the editor may do with what it likes. */
typedef struct Draft {
        char directory[64];
        char *path;
        bool is_new;            /* there is no such file on the board yet */
        struct stat before;     /* of the board's file */
        bool keep;              /* what was written could not be stored */
} Draft;

static void draft_done(Draft *d) {
        if (d->path && !d->keep) {
                (void) unlink(d->path);
                (void) rmdir(d->directory);
        }
        free(d->path);
}

static int draft_make(Draft *d, const Flash *f, const char *path) {
        _cleanup_close_ int parent = -EBADF, from = -EBADF, to = -EBADF;
        _cleanup_free_ char *name = NULL;
        int r;

        r = flash_parent(f, path, &parent, &name);
        if (r < 0)
                return r;
        from = flash_file_open(f, path, O_RDONLY);
        if (from < 0 && from != -ENOENT)
                return from;
        d->is_new = from < 0;
        (void) strcpy(d->directory, "/tmp/mpyctl-edit.XXXXXX"); /* 0700 */
        if (!mkdtemp(d->directory))
                return -errno;
        d->path = path_below(d->directory, name); /* by its name, so that the editor knows Python */
        if (!d->path)
                return -ENOMEM;
        to = open(d->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (to < 0)
                return -errno;
        if (d->is_new)
                return 0;
        return fstat(from, &d->before) < 0 ? -errno : copy_all(from, to, NULL);
}

/* Which may be a command with arguments; NULL: none was chosen. */
static const char *chosen_editor(void) {
        const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");

        return visual && *visual ? visual : editor && *editor ? editor : NULL;
}

/* $VISUAL, $EDITOR or Debian's editor(1). */
static int run_editor(const char *path) {
        const char *editor = chosen_editor() ?: "editor";
        int status;
        pid_t pid;

        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                _cleanup_free_ char *command = NULL;

                if (asprintf(&command, "%s \"$1\"", editor) >= 0)
                        (void) execl("/bin/sh", "sh", "-c", command, "sh", path, (char *) NULL);
                _exit(127);
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

/* Has nobody written to it while it was edited? */
static bool is_as_before(const Draft *d, const Flash *f, const char *path) {
        struct stat now;
        int r = flash_stat(f, path, &now);

        if (d->is_new)
                return r == -ENOENT;
        return r >= 0 && now.st_ino == d->before.st_ino && now.st_size == d->before.st_size &&
               now.st_mtim.tv_sec == d->before.st_mtim.tv_sec &&
               now.st_mtim.tv_nsec == d->before.st_mtim.tv_nsec;
}

static int store(const Draft *d, const Flash *f, const char *path) {
        _cleanup_close_ int from = open(d->path, O_RDONLY | O_CLOEXEC);
        FlashNew n;
        int r;

        if (from < 0)
                return -errno;
        r = flash_new_begin(f, path, &n);
        if (r < 0)
                return r;
        r = copy_all(from, n.fd, NULL);
        if (r < 0) {
                flash_new_done(&n);
                return r;
        }
        return flash_new_commit(&n);
}

static int edit(Draft *d, const Flash *f, const char *path) {
        struct stat first, last;
        int r;

        r = draft_make(d, f, path);
        if (r == -EBUSY || r == -EINVAL) /* flash_parent(): all of it, "." and ".." */
                r = -EISDIR;
        if (r < 0)
                return flash_explain("edit", path, r);
        if (stat(d->path, &first) < 0)
                return flash_explain("edit", path, -errno);
        r = run_editor(d->path);
        if (r < 0) {
                complain("The editor did not end well; :%s is as it was.", path);
                advise("which one it is: VISUAL, EDITOR");
                return CTL_EXIT_FAILURE;
        }
        if (stat(d->path, &last) < 0) {
                complain("The editor left no file behind; :%s is as it was.", path);
                return CTL_EXIT_FAILURE;
        }
        if (first.st_ino == last.st_ino && first.st_size == last.st_size &&
            first.st_mtim.tv_sec == last.st_mtim.tv_sec &&
            first.st_mtim.tv_nsec == last.st_mtim.tv_nsec) {
                fprintf(stderr, "Nothing was changed.\n");
                return CTL_EXIT_OK;
        }
        r = is_as_before(d, f, path) ? store(d, f, path) : -EBUSY;
        if (r >= 0)
                return CTL_EXIT_OK;
        d->keep = true;
        if (r == -EBUSY)
                complain(":%s was changed by somebody else meanwhile.", path);
        else
                (void) flash_explain("write", path, r);
        advise("what you wrote is kept: mpyctl cp %s :%s", d->path, path);
        return CTL_EXIT_FAILURE;
}

static int edit_run(const Ctl *c, const Invocation *in) {
        const char *path = flash_path(in->arguments[0]);
        _cleanup_(flash_done) Flash f = { .fd = -EBADF };
        _cleanup_(draft_done) Draft d = {};
        int r;

        if (c->json) {
                complain("edit has no JSON form.");
                return CTL_EXIT_USAGE;
        }
        if (!chosen_editor() && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
                complain("There is no terminal to edit at.");
                advise("VISUAL=COMMAND mpyctl edit lets a command do it; mpyctl cp FILE :PATH stores a file");
                return CTL_EXIT_USAGE;
        }
        r = flash_open(c, &f);
        return r > 0 ? r : edit(&d, &f, path);
}

const Verb verb_edit = {
        .name = "edit",
        .summary = "edit a file of the board",
        .usage = ":PATH",
        .help = "Opens a copy of a file of the board in $VISUAL, $EDITOR or editor(1), and stores what\n"
                "was written when the editor ends: in one step, and only if nobody else has changed the\n"
                "file meanwhile. A file that is not there is made. With -H the editor runs there.\n\n"
                "Exit codes:\n"
                "  0  done    2  failed, what was written is kept    4  not permitted\n",
        .letters = "",
        .min_arguments = 1,
        .max_arguments = 1,
        .run = edit_run,
};
