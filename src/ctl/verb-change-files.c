/* SPDX-License-Identifier: MIT */
/* mpyctl mkdir, touch, mv, rm: changes the board's files. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "ctl/cli.h"
#include "ctl/flash.h"
#include "ctl/style.h"

#define DEPTH_MAX 64u /* of what rm -r removes */

#define CHANGE_TAIL                                                                             \
        "Paths are the board's; the colon that cp needs is taken and not needed. Works when the\n" \
        "program hangs, and on the state directory when mpyd is not running.\n\n"
#define CHANGE_EXIT_HELP                                                                        \
        "Exit codes:\n"                                                                         \
        "  0  done    2  failed    4  not permitted    9  no such file or directory\n"

/* Does one thing to each path; ends at the first that fails. */
typedef int (*Change)(const Flash *f, const char *path, bool flag);

static int change_each(const Ctl *c, const Invocation *in, const char *doing, Change change,
                       bool flag) {
        _cleanup_(flash_done) Flash f = { .fd = -EBADF };
        int r;

        r = flash_open(c, &f);
        for (size_t i = 0; r == 0 && i < in->n_arguments; i++) {
                const char *path = flash_path(in->arguments[i]);
                int q = change(&f, path, flag);

                if (q < 0)
                        r = flash_explain(doing, path, q);
        }
        return r;
}

/* ---- mkdir ---- */

static int make_one(const Flash *f, const char *path, bool parents) {
        struct stat st;
        int r = flash_mkdir(f, path);

        if (!parents || (r != -EEXIST && r != -EBUSY))
                return r;
        r = flash_stat(f, path, &st);
        return r < 0 ? r : S_ISDIR(st.st_mode) ? 0 : -EEXIST;
}

static int make_directory(const Flash *f, const char *path, bool parents) {
        _cleanup_free_ char *part = strdup(path);

        if (!part)
                return -ENOMEM;
        for (char *p = part + 1; parents && *part && (p = strchr(p, '/')); p++) {
                int r;

                *p = '\0';
                r = make_one(f, part, true);
                if (r < 0)
                        return r;
                *p = '/';
                while (p[1] == '/')
                        p++;
        }
        return make_one(f, path, parents);
}

static int mkdir_run(const Ctl *c, const Invocation *in) {
        bool parents = invocation_has(in, 'p');
        int r = change_each(c, in, "make", make_directory, parents);

        if (r == CTL_EXIT_NOT_FOUND && !parents)
                advise("-p makes directories above it that are missing");
        return r;
}

static const struct option mkdir_options[] = { { "parents", no_argument, NULL, 'p' }, {} };

const Verb verb_mkdir = {
        .name = "mkdir",
        .summary = "make directories on the board",
        .usage = "[-p] :PATH...",
        .help = "Makes directories that the board may write to.\n" CHANGE_TAIL
                "Options:\n"
                "  -p, --parents    those above it too; one that is there is no error\n\n"
                CHANGE_EXIT_HELP,
        .letters = "p",
        .options = mkdir_options,
        .min_arguments = 1,
        .max_arguments = ANY_NUMBER,
        .run = mkdir_run,
};

/* ---- touch ---- */

static int touch_one(const Flash *f, const char *path, bool unused) {
        _cleanup_close_ int fd = flash_file_open(f, path, O_RDONLY);
        FlashNew n;
        int r;

        if (fd >= 0)
                return futimens(fd, NULL) < 0 ? -errno : 0;
        if (fd != -ENOENT)
                return fd;
        r = flash_new_begin(f, path, &n);
        return r < 0 ? r : flash_new_commit(&n);
}

static int touch_run(const Ctl *c, const Invocation *in) {
        return change_each(c, in, "touch", touch_one, false);
}

const Verb verb_touch = {
        .name = "touch",
        .summary = "make empty files on the board, or set their time to now",
        .usage = ":PATH...",
        .help = "Makes files that are not there, empty; of others sets the time to now.\n" CHANGE_TAIL
                CHANGE_EXIT_HELP,
        .letters = "",
        .min_arguments = 1,
        .max_arguments = ANY_NUMBER,
        .run = touch_run,
};

/* ---- mv ---- */

static int move_one(const Flash *f, const char *from, const char *to) {
        _cleanup_close_ int parent = -EBADF;
        _cleanup_free_ char *name = NULL, *inside = NULL;
        struct stat st;
        int r;

        r = flash_stat(f, from, &st);
        if (r < 0)
                return r;
        if (flash_stat(f, to, &st) < 0 || !S_ISDIR(st.st_mode))
                return flash_rename(f, from, to);
        r = flash_parent(f, from, &parent, &name);
        if (r < 0)
                return r;
        inside = path_below(to, name);
        return inside ? flash_rename(f, from, inside) : -ENOMEM;
}

static int mv_run(const Ctl *c, const Invocation *in) {
        const char *to = flash_path(in->arguments[in->n_arguments - 1]);
        _cleanup_(flash_done) Flash f = { .fd = -EBADF };
        struct stat st;
        int r;

        r = flash_open(c, &f);
        if (r > 0)
                return r;
        if (in->n_arguments > 2 && (flash_stat(&f, to, &st) < 0 || !S_ISDIR(st.st_mode)))
                return flash_explain("move several files to", to, -ENOTDIR);
        for (size_t i = 0; i + 1 < in->n_arguments; i++) {
                const char *from = flash_path(in->arguments[i]);
                int q = move_one(&f, from, to);

                if (q < 0) {
                        r = flash_explain("move", from, q);
                        if (q == -EINVAL)
                                advise("a directory cannot go into itself, nor have the name . or ..");
                        return r;
                }
        }
        return CTL_EXIT_OK;
}

const Verb verb_mv = {
        .name = "mv",
        .summary = "move or rename files of the board",
        .usage = ":FROM... :TO",
        .help = "Renames a file or directory of the board, or moves some into a directory.\n"
                CHANGE_TAIL CHANGE_EXIT_HELP,
        .letters = "",
        .min_arguments = 2,
        .max_arguments = ANY_NUMBER,
        .run = mv_run,
};

/* ---- rm ---- */

/* Without following a link, so that it removes what is there and nothing else. */
static int remove_below(int parent, const char *name, bool recursive, unsigned depth) {
        _cleanup_close_ int fd = -EBADF;
        struct dirent *e;
        DIR *d;
        int r = 0;

        if (unlinkat(parent, name, 0) >= 0)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        if (!recursive)
                return -EISDIR;
        if (depth >= DEPTH_MAX)
                return -ELOOP;
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        d = fdopendir(fd);
        if (!d)
                return -errno;
        TAKE_FD(fd); /* d's */
        while (r >= 0 && (errno = 0, e = readdir(d)))
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        r = remove_below(dirfd(d), e->d_name, true, depth + 1);
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(d);
        if (r >= 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
                r = -errno;
        return r;
}

static int remove_one(const Flash *f, const char *path, bool recursive) {
        _cleanup_close_ int parent = -EBADF;
        _cleanup_free_ char *name = NULL;
        struct stat st;
        int r;

        r = flash_parent(f, path, &parent, &name);
        if (r < 0)
                return r;
        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return remove_below(parent, name, recursive, 0);
}

static int rm_run(const Ctl *c, const Invocation *in) {
        return change_each(c, in, "remove", remove_one, invocation_has(in, 'r'));
}

static const struct option rm_options[] = { { "recursive", no_argument, NULL, 'r' }, {} };

const Verb verb_rm = {
        .name = "rm",
        .summary = "remove files of the board",
        .usage = "[-r] :PATH...",
        .help = "Removes files of the board. Never all of it: / is refused.\n" CHANGE_TAIL
                "Options:\n"
                "  -r, --recursive    directories too, with all that is in them\n\n" CHANGE_EXIT_HELP,
        .letters = "r",
        .options = rm_options,
        .min_arguments = 1,
        .max_arguments = ANY_NUMBER,
        .run = rm_run,
};
