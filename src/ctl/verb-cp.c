/* SPDX-License-Identifier: MIT */
/* mpyctl cp: files to the board, from it, and on it. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "ctl/cli.h"
#include "ctl/copy-tree-far.h"
#include "ctl/copy.h"
#include "ctl/flash.h"
#include "ctl/remote.h"
#include "ctl/style.h"
#include "util/parse.h"

enum { OPTION_NAME = 0x100, OPTION_SIZE };

#define DEPTH_MAX 64u

/* One end of a copy: on the board, or here. */
typedef struct Place {
        bool board;
        const char *path;
} Place;

typedef struct Copying {
        Flash flash;
        bool recursive;
        const char *name;  /* for what comes from standard input, when the target is a directory */
        uint64_t size;     /* that standard input has at least, 0: not known */
        uint64_t begun_usec;
} Copying;

static Place place_from(const char *argument) {
        bool board = flash_is_remote(argument);

        return (Place) { .board = board, .path = board ? flash_path(argument) : argument };
}

static bool is_stream(const Place *p) {
        return !p->board && streq(p->path, "-");
}

static int explain(const char *doing, const Place *p, int error) {
        if (p->board)
                return flash_explain(doing, p->path, error);
        complain("Failed to %s %s: %s.", doing, p->path, strerror(-error));
        if (error == -EISDIR)
                advise(is_stream(p) ? "a stream takes one file" : "for directories: -r");
        if (error == -ENOENT && !is_stream(p) && streq(doing, "read"))
                advise("it is looked for here; a path on the board begins with a colon");
        return error == -ENOENT ? CTL_EXIT_NOT_FOUND
               : error == -EACCES ? CTL_EXIT_PERMISSION : CTL_EXIT_FAILURE;
}

static int place_stat(const Copying *c, const Place *p, struct stat *ret) {
        if (p->board)
                return flash_stat(&c->flash, p->path, ret);
        return stat(p->path, ret) < 0 ? -errno : 0;
}

static bool is_directory(const Copying *c, const Place *p) {
        struct stat st;

        return place_stat(c, p, &st) >= 0 && S_ISDIR(st.st_mode);
}

static int place_open(const Copying *c, const Place *p) {
        int fd;

        if (p->board)
                return flash_file_open(&c->flash, p->path, O_RDONLY);
        fd = is_stream(p) ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                          : open(p->path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int place_mkdir(const Copying *c, const Place *p) {
        int r = p->board ? flash_mkdir(&c->flash, p->path)
                         : mkdir(p->path, 0777) < 0 ? -errno : 0;

        return (r == -EEXIST || r == -EBUSY) && is_directory(c, p) ? 0 : r;
}

/* ---- one file: has complained when it returns an exit code > 0 ---- */

static int write_to_board(const Copying *c, int in_fd, const Place *to, CopyProgress *progress,
                          const Place *from) {
        FlashNew n;
        int r;

        r = flash_new_begin(&c->flash, to->path, &n);
        if (r < 0)
                return explain("write", to, r);
        r = copy_all(in_fd, n.fd, progress);
        if (r >= 0 && is_stream(from) && progress->done < c->size) {
                char came[32], all[32];

                flash_new_done(&n);
                complain("Only %s of %s came; :%s is as it was.",
                         copy_format_size(came, sizeof came, progress->done),
                         copy_format_size(all, sizeof all, c->size), to->path);
                return CTL_EXIT_FAILURE;
        }
        if (r < 0) {
                flash_new_done(&n);
                return explain(r == -ENOSPC || r == -EDQUOT ? "write" : "copy",
                               r == -ENOSPC || r == -EDQUOT ? to : from, r);
        }
        r = flash_new_commit(&n);
        return r < 0 ? explain("write", to, r) : 0;
}

static bool same_file(const struct stat *a, const struct stat *b) {
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* source is what is copied: the board's files may be reached here too, and a file that is emptied to be
 * written is not there to be read. */
static int write_here(int in_fd, const struct stat *source, const Place *to, CopyProgress *progress) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        if (is_stream(to)) {
                fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
                if (fd < 0)
                        return explain("write", to, -errno);
                r = copy_all(in_fd, fd, NULL);
                return r < 0 ? explain("write", to, r) : 0;
        }
        fd = open(to->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0 || fstat(fd, &st) < 0)
                return explain("write", to, -errno);
        if (same_file(source, &st)) {
                complain("%s is the very file on the board that would be copied to it.", to->path);
                return CTL_EXIT_FAILURE;
        }
        if (S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0)
                return explain("write", to, -errno);
        r = copy_all(in_fd, fd, progress);
        return r < 0 ? explain("write", to, r) : 0;
}

static int copy_file(const Copying *c, const Place *from, const Place *to) {
        _cleanup_close_ int fd = place_open(c, from);
        CopyProgress progress = { .name = from->path, .begun_usec = c->begun_usec };
        struct stat st;

        if (fd < 0)
                return explain("read", from, fd);
        if (fstat(fd, &st) < 0)
                return explain("read", from, -errno);
        progress.size = is_stream(from) ? c->size : S_ISREG(st.st_mode) ? (uint64_t) st.st_size : 0;
        return to->board ? write_to_board(c, fd, to, &progress, from)
                         : write_here(fd, &st, to, &progress);
}

/* ---- a tree ---- */

static int copy_any(const Copying *c, const Place *from, const Place *to, unsigned depth);

typedef struct Level {
        const Copying *copying;
        const Place *to;
        bool from_board;
        unsigned depth;
} Level;

static int copy_entry(void *userdata, const char *path, const char *name, const struct stat *st) {
        const Level *l = userdata;
        _cleanup_free_ char *below = path_below(l->to->path, name);

        if (!below)
                return -ENOMEM;
        return copy_any(l->copying, &(Place) { .board = l->from_board, .path = path },
                        &(Place) { .board = l->to->board, .path = below }, l->depth);
}

static int list_here(const char *path, const Level *l) {
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort), r = 0;

        if (n < 0)
                return -errno;
        for (int i = 0; i < n; i++) {
                const char *name = entries[i]->d_name;
                _cleanup_free_ char *below = path_below(path, name);

                if (r == 0 && !streq(name, ".") && !streq(name, ".."))
                        r = below ? copy_entry((void *) l, below, name, NULL) : -ENOMEM;
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int copy_directory(const Copying *c, const Place *from, const Place *to, unsigned depth) {
        Level l = { .copying = c, .to = to, .from_board = from->board, .depth = depth + 1 };
        int r;

        if (!c->recursive)
                return explain("copy", from, -EISDIR);
        if (depth >= DEPTH_MAX)
                return explain("copy", from, -ELOOP);
        if (is_stream(to)) {
                complain("%s%s is a directory, and standard output takes files.", from->board ? ":" : "", from->path);
                return CTL_EXIT_USAGE;
        }
        r = place_mkdir(c, to);
        if (r < 0)
                return explain("make", to, r);
        r = from->board ? flash_list(&c->flash, from->path, copy_entry, &l)
                        : list_here(from->path, &l);
        return r < 0 ? explain("list", from, r) : r;
}

static int copy_any(const Copying *c, const Place *from, const Place *to, unsigned depth) {
        struct stat st;
        int r;

        if (is_stream(from))
                return copy_file(c, from, to);
        r = place_stat(c, from, &st);
        if (r < 0)
                return explain("read", from, r);
        return S_ISDIR(st.st_mode) ? copy_directory(c, from, to, depth) : copy_file(c, from, to);
}

/* The directory that path is, or would be made in. The caller's. */
static char *directory_of(const Copying *c, const Place *p) {
        size_t n = strlen(p->path);

        if (is_directory(c, p))
                return strdup(p->path);
        while (n > 1 && p->path[n - 1] == '/')
                n--;
        while (n > 0 && p->path[n - 1] != '/')
                n--;
        return n > 0 ? strndup(p->path, n) : strdup(p->board ? "/" : ".");
}

/* Is to the directory from, or somewhere in it? By what the directories are, not by their names: the
 * board's files may be reached here too. */
static bool is_inside(const Copying *c, const Place *from, const Place *to) {
        _cleanup_free_ char *path = directory_of(c, to);
        struct stat source, st, before = {};

        if (place_stat(c, from, &source) < 0 || !S_ISDIR(source.st_mode))
                return false;
        for (unsigned i = 0; path && i < DEPTH_MAX; i++) {
                char *parent;

                if (place_stat(c, &(Place) { .board = to->board, .path = path }, &st) < 0)
                        return false;
                if (same_file(&st, &source))
                        return true;
                if (i > 0 && same_file(&st, &before))
                        return false; /* the root */
                before = st;
                parent = path_below(path, "..");
                free(path);
                path = parent;
        }
        return false;
}

/* A slash at the end means a directory, whatever is there. */
static bool names_directory(const Place *p) {
        size_t n = strlen(p->path);

        return n > 0 && p->path[n - 1] == '/';
}

/* Into a directory, or as the name that is given. */
static int copy_argument(const Copying *c, const Place *from, const Place *to) {
        _cleanup_free_ char *name = NULL, *inside = NULL;
        Place target = *to;
        struct stat st;

        if (!is_stream(to) && is_directory(c, to)) {
                name = is_stream(from) ? (c->name ? strdup(c->name) : NULL) : path_last(from->path);
                if (!name && is_stream(from)) {
                        complain("%s%s is a directory; standard input has no name in it.",
                                 to->board ? ":" : "", to->path);
                        advise("--name gives it one");
                        return CTL_EXIT_USAGE;
                }
                inside = name ? path_below(to->path, name) : strdup(to->path); /* all of / */
                if (!inside)
                        return explain("copy", from, -ENOMEM);
                target.path = inside;
        } else if (names_directory(to) && !is_directory(c, from) && (is_stream(from) || place_stat(c, from, &st) >= 0))
                return explain("copy to", to, -ENOTDIR);
        if (!is_stream(from) && !is_stream(&target) && is_inside(c, from, &target)) {
                complain("%s%s cannot be copied into itself.", from->board ? ":" : "", from->path);
                return CTL_EXIT_USAGE;
        }
        return copy_any(c, from, &target, 0);
}

/* ---- the command ---- */

/* Are both ends there, and is at least one of them the board's? An exit code > 0 when not. ret_size: see Copying. */
static int check_arguments(const Ctl *c, const Invocation *in, const Place *to, uint64_t *ret_size) {
        const char *size = invocation_argument(in, OPTION_SIZE);
        bool from_stream = false;

        if (c->json) {
                complain("cp has no JSON form.");
                return CTL_EXIT_USAGE;
        }
        for (size_t i = 0; i + 1 < in->n_arguments; i++) {
                Place from = place_from(in->arguments[i]);

                if (!from.board && !to->board) {
                        complain("Neither %s nor %s is on the board.", from.path, to->path);
                        advise("the board's paths begin with a colon: mpyctl cp %s :%s", from.path,
                               to->path);
                        return CTL_EXIT_USAGE;
                }
                from_stream = from_stream || is_stream(&from);
        }
        *ret_size = 0;
        if (size && parse_u64(size, ret_size) < 0) {
                complain("\"%s\" is not a number of bytes.", size);
                return CTL_EXIT_USAGE;
        }
        if (size && !from_stream) {
                complain("--size is that of standard input, and nothing is copied from there.");
                return CTL_EXIT_USAGE;
        }
        return 0;
}

static int cp_run(const Ctl *ctl, const Invocation *in) {
        Place to = place_from(in->arguments[in->n_arguments - 1]);
        Copying c = {
                .recursive = invocation_has(in, 'r'),
                .name = invocation_argument(in, OPTION_NAME),
                .begun_usec = now_usec(CLOCK_MONOTONIC),
                .flash.fd = -EBADF,
        };
        int r;

        r = check_arguments(ctl, in, &to, &c.size);
        if (r == 0)
                r = flash_open(ctl, &c.flash);
        if (r == 0 && in->n_arguments > 2 && !is_directory(&c, &to))
                r = explain("copy several files to", &to, -ENOTDIR);
        for (size_t i = 0; r == 0 && i + 1 < in->n_arguments; i++) {
                Place from = place_from(in->arguments[i]);

                r = copy_argument(&c, &from, &to);
        }
        show_for_now("");
        flash_done(&c.flash);
        return r;
}

/* ---- with -H: descriptors do not cross ssh, bytes do ---- */

static void add_option(Invocation *in, int key, const char *argument) {
        in->options[in->n_options].key = key;
        in->options[in->n_options++].argument = argument;
}

/* "mpyctl cp FROM TO" for the shell there, of which one is a stream. size: of what is sent, NULL when it
 * is not known. The caller's, NULL after a complaint. */
static char *command_there(const Ctl *c, const char *name, const char *size, const char *from, const char *to) {
        char *arguments[] = { (char *) from, (char *) to, NULL };
        Invocation in = { .arguments = arguments, .n_arguments = 2 };
        char *command;

        if (name)
                add_option(&in, OPTION_NAME, name);
        if (size)
                add_option(&in, OPTION_SIZE, size);
        if (remote_command(c, &verb_cp, &in, c->run_dir, c->state_dir, &command) < 0) {
                complain("Out of memory.");
                return NULL;
        }
        return command;
}

static int run_there(const Ctl *c, const char *command, int out_fd) {
        pid_t ssh = remote_start(c, command, -EBADF, out_fd);

        return ssh < 0 ? CTL_EXIT_FAILURE : remote_wait(ssh);
}

/* By way of us, who show how far it is. Returns the exit code: ours when it failed here, else the other end's. */
static int relay(const Ctl *c, const char *command, int in_fd, int out_fd, CopyProgress *progress, const Place *here) {
        bool sends = in_fd >= 0;
        int p[2], r, code;
        pid_t ssh;

        if (pipe2(p, O_CLOEXEC) < 0) {
                complain("Failed to make a pipe: %m.");
                return CTL_EXIT_FAILURE;
        }
        ssh = sends ? remote_start(c, command, p[0], STDERR_FILENO) : remote_start(c, command, -EBADF, p[1]);
        safe_close(p[sends ? 0 : 1]);
        if (ssh < 0) {
                safe_close(p[sends ? 1 : 0]);
                return CTL_EXIT_FAILURE;
        }
        (void) signal(SIGPIPE, SIG_IGN); /* an ssh that has gone tells why by its exit code */
        r = sends ? copy_all(in_fd, p[1], progress) : copy_all(p[0], out_fd, progress);
        safe_close(p[sends ? 1 : 0]);
        code = remote_wait(ssh);
        show_for_now("");
        if (r < 0 && r != -EPIPE)
                return explain(sends ? "read" : "write", here, r);
        return code != 0 ? code : r < 0 ? CTL_EXIT_FAILURE : 0;
}

static int send_there(const Ctl *c, const Invocation *in, const char *path, const char *to) {
        _cleanup_free_ char *name = path_last(path), *command = NULL;
        CopyProgress progress = { .name = path };
        _cleanup_close_ int fd = -EBADF;
        char size[32];
        struct stat st;

        if (streq(path, "-")) {
                command = command_there(c, invocation_argument(in, OPTION_NAME), invocation_argument(in, OPTION_SIZE),
                                        "-", to);
                return command ? run_there(c, command, STDERR_FILENO) : CTL_EXIT_FAILURE;
        }
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return explain("read", &(Place) { .path = path }, -errno);
        if (S_ISDIR(st.st_mode) && !invocation_has(in, 'r'))
                return explain("copy", &(Place) { .path = path }, -EISDIR);
        if (S_ISDIR(st.st_mode))
                return copy_tree_send(c, path, to);
        if (S_ISREG(st.st_mode))
                progress.size = (uint64_t) st.st_size;
        (void) snprintf(size, sizeof size, "%" PRIu64, progress.size);
        command = command_there(c, name, S_ISREG(st.st_mode) ? size : NULL, "-", to);
        return command ? relay(c, command, fd, -EBADF, &progress, &(Place) { .path = path }) : CTL_EXIT_FAILURE;
}

/* Into a file beside the target, which takes its place when all of it came. */
static int fetch_from_there(const Ctl *c, const char *from, const char *to) {
        _cleanup_free_ char *name = path_last(flash_path(from)), *inside = NULL, *temporary = NULL,
                            *command = command_there(c, NULL, NULL, from, "-");
        CopyProgress progress = { .name = flash_path(from) };
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        if (!command)
                return CTL_EXIT_FAILURE;
        if (streq(to, "-"))
                return run_there(c, command, STDOUT_FILENO);
        if (stat(to, &st) >= 0 && S_ISDIR(st.st_mode)) {
                inside = name ? path_below(to, name) : NULL;
                if (!inside)
                        return explain("write", &(Place) { .path = to }, -EISDIR);
                to = inside;
        } else if (names_directory(&(Place) { .path = to }))
                return explain("copy to", &(Place) { .path = to }, -ENOTDIR);
        if (asprintf(&temporary, "%s.part", to) < 0)
                return CTL_EXIT_FAILURE;
        fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
                return explain("write", &(Place) { .path = temporary }, -errno);
        r = relay(c, command, -EBADF, fd, &progress, &(Place) { .path = temporary });
        if (r == 0 && rename(temporary, to) < 0)
                r = explain("write", &(Place) { .path = to }, -errno);
        if (r != 0)
                (void) unlink(temporary);
        return r;
}

static int cp_run_far(const Ctl *c, const Invocation *in) {
        const char *to = in->arguments[in->n_arguments - 1];
        bool all_there = flash_is_remote(to), recursive = invocation_has(in, 'r');
        Place target = place_from(to);
        uint64_t size;
        int r;

        r = check_arguments(c, in, &target, &size);
        for (size_t i = 0; i + 1 < in->n_arguments; i++)
                all_there = all_there && flash_is_remote(in->arguments[i]);
        if (r == 0 && all_there)
                return remote_run(c, &verb_cp, in, c->run_dir, c->state_dir);
        for (size_t i = 0; r == 0 && i + 1 < in->n_arguments; i++)
                r = flash_is_remote(to)           ? send_there(c, in, in->arguments[i], to)
                    : recursive && !streq(to, "-") ? copy_tree_fetch(c, in->arguments[i], to)
                                                   : fetch_from_there(c, in->arguments[i], to);
        return r;
}

static const struct option options[] = {
        { "recursive", no_argument, NULL, 'r' },
        { "name", required_argument, NULL, OPTION_NAME },
        { "size", required_argument, NULL, OPTION_SIZE },
        {},
};

const Verb verb_cp = {
        .name = "cp",
        .summary = "copy files to the board, from it, or on it",
        .usage = "[-r] FROM... TO",
        .help = "Copies files; the board's begin with a colon, - is standard input or output. A file\n"
                "on the board is replaced in one step, when all of the new one is on the disk, and\n"
                "belongs to the board. Works when the program hangs, and on the state directory when\n"
                "mpyd is not running. With -H the files without a colon are here.\n\n"
                "Options:\n"
                "  -r, --recursive    directories too\n"
                "  --name NAME        of standard input, when TO is a directory\n"
                "  --size BYTES       of standard input: nothing is changed when fewer come\n\n"
                "Examples:\n"
                "  mpyctl cp main.py :\n"
                "  mpyctl cp -r lib :\n"
                "  mpyctl cp :log.csv .\n"
                "  mpyctl -H pi@greenhouse cp main.py :\n"
                "  tar c data | mpyctl cp - :data.tar\n\n"
                "Exit codes:\n"
                "  0  done    2  failed    4  not permitted    9  no such file or directory\n",
        .letters = "r",
        .options = options,
        .min_arguments = 2,
        .max_arguments = ANY_NUMBER,
        .run = cp_run,
        .run_far = cp_run_far,
};
