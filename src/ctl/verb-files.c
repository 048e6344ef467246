/* SPDX-License-Identifier: MIT */
/* mpyctl ls, tree, cat, df: looks at the board's files. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "ctl/bus.h"
#include "ctl/cli.h"
#include "ctl/copy.h"
#include "ctl/flash.h"
#include "ctl/style.h"
#include "ctl/text.h"
#include "util/tree-size.h"

#define DEPTH_MAX 64u /* of a tree */

#define FILES_TAIL                                                                              \
        "Paths are the board's; the colon that cp needs is taken and not needed. Works when the\n" \
        "program hangs, and on the state directory when mpyd is not running.\n\n"

/* A name that cannot do anything to a terminal. Printed, with a slash for a directory. */
static void print_name(const char *name, const struct stat *st) {
        _cleanup_free_ char *text = text_printable(name, false);

        printf("%s%s%s%s\n", style_on(stdout, S_ISDIR(st->st_mode) ? STYLE_CYAN : STYLE_NONE),
               text ? text : "?", style_off(stdout), S_ISDIR(st->st_mode) ? "/" : "");
}

/* ---- ls ---- */

static int print_entry(void *userdata, const char *path, const char *name, const struct stat *st) {
        char when[TIMESTAMP_MAX];

        printf("%10" PRIi64 "  %s  ", S_ISDIR(st->st_mode) ? INT64_C(0) : (int64_t) st->st_size,
               format_timestamp(when, sizeof(when), (uint64_t) st->st_mtime * 1000000));
        print_name(name, st);
        return 0;
}

static int collect_entry(void *userdata, const char *path, const char *name, const struct stat *st) {
        _cleanup_free_ char *text = text_printable(name, false);
        json_t *exact = json_string(name); /* NULL: it is not UTF-8, which JSON is */
        json_t *o = json_pack("{s:o,s:s,s:I,s:I}", "name", exact ?: json_string(text ? text : "?"), "type",
                              S_ISDIR(st->st_mode) ? "directory" : "file", "size",
                              (json_int_t) st->st_size, "modified_usec",
                              (json_int_t) st->st_mtime * 1000000);

        return o && json_array_append_new(userdata, o) >= 0 ? 0 : -ENOMEM;
}

/* A file is listed as itself. */
static int list(const Flash *f, const char *path, FlashEntry entry, void *userdata) {
        struct stat st;
        int r;

        r = flash_stat(f, path, &st);
        if (r < 0)
                return r;
        return S_ISDIR(st.st_mode) ? flash_list(f, path, entry, userdata)
                                   : entry(userdata, path, path, &st);
}

static int ls_run(const Ctl *c, const Invocation *in) {
        const char *path = flash_path(in->n_arguments > 0 ? in->arguments[0] : ":");
        _cleanup_(flash_done) Flash f = { .fd = -EBADF };
        json_t *array = NULL;
        int r;

        r = flash_open(c, &f);
        if (r > 0)
                return r;
        if (c->json)
                array = json_array();
        r = list(&f, path, c->json ? collect_entry : print_entry, array);
        if (r >= 0 && c->json) {
                json_dumpf(array, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
                fputc('\n', stdout);
        }
        json_decref(array);
        return r < 0 ? flash_explain("list", path, r) : CTL_EXIT_OK;
}

const Verb verb_ls = {
        .name = "ls",
        .summary = "list the board's files",
        .usage = "[-al] [:PATH]",
        .help = "Lists a directory of the board (/ when none is named): size, time, name. It lists all\n"
                "files and in the long form, with and without -a and -l.\n"
                FILES_TAIL
                "Examples:\n"
                "  mpyctl ls\n"
                "  mpyctl ls :lib\n"
                "  mpyctl --json ls | jq -r '.[].name'\n\n"
                "Exit codes:\n"
                "  0  done    4  not permitted    9  no such file or directory\n",
        .letters = "al",
        .max_arguments = 1,
        .run = ls_run,
};

/* ---- tree ---- */

typedef struct Tree {
        const Flash *flash;
        unsigned depth;
} Tree;

static int print_branch(void *userdata, const char *path, const char *name, const struct stat *st) {
        const Tree *t = userdata;
        Tree below = { .flash = t->flash, .depth = t->depth + 1 };

        printf("%*s", (int) (2 * t->depth), "");
        print_name(name, st);
        if (!S_ISDIR(st->st_mode))
                return 0;
        if (below.depth >= DEPTH_MAX)
                return -ELOOP;
        return flash_list(t->flash, path, print_branch, &below);
}

static int tree_run(const Ctl *c, const Invocation *in) {
        const char *path = flash_path(in->n_arguments > 0 ? in->arguments[0] : ":");
        _cleanup_(flash_done) Flash f = { .fd = -EBADF };
        int r;

        if (c->json) {
                complain("tree has no JSON form.");
                advise("mpyctl --json ls PATH lists one directory");
                return CTL_EXIT_USAGE;
        }
        r = flash_open(c, &f);
        if (r > 0)
                return r;
        r = list(&f, path, print_branch, &(Tree) { .flash = &f });
        return r < 0 ? flash_explain("list", path, r) : CTL_EXIT_OK;
}

const Verb verb_tree = {
        .name = "tree",
        .summary = "list the board's files with all that is below",
        .usage = "[:PATH]",
        .help = "Lists a directory of the board and all directories in it.\n" FILES_TAIL
                "Exit codes:\n"
                "  0  done    4  not permitted    9  no such file or directory\n",
        .letters = "",
        .max_arguments = 1,
        .run = tree_run,
};

/* ---- cat ---- */

static int cat_run(const Ctl *c, const Invocation *in) {
        _cleanup_(flash_done) Flash f = { .fd = -EBADF };
        int r;

        if (c->json) {
                complain("cat has no JSON form: it prints files as they are.");
                return CTL_EXIT_USAGE;
        }
        r = flash_open(c, &f);
        for (size_t i = 0; r == 0 && i < in->n_arguments; i++) {
                const char *path = flash_path(in->arguments[i]);
                _cleanup_close_ int fd = flash_file_open(&f, path, O_RDONLY);
                int q = fd < 0 ? fd : copy_all(fd, STDOUT_FILENO, NULL);

                if (q == -ENOSPC || q == -EPIPE) { /* a file cannot fail so */
                        complain("Failed to write what :%s holds: %s.", path, strerror(-q));
                        r = CTL_EXIT_FAILURE;
                } else if (q < 0)
                        r = flash_explain("read", path, q);
        }
        return r;
}

const Verb verb_cat = {
        .name = "cat",
        .summary = "print files of the board",
        .usage = ":PATH...",
        .help = "Prints files of the board as they are, one after the other.\n" FILES_TAIL
                "Examples:\n"
                "  mpyctl cat :main.py\n"
                "  mpyctl -H pi@greenhouse cat :log.csv > log.csv\n\n"
                "Exit codes:\n"
                "  0  done    4  not permitted    9  no such file\n",
        .letters = "",
        .min_arguments = 1,
        .max_arguments = ANY_NUMBER,
        .run = cat_run,
};

/* ---- df ---- */

static void print_space(uint64_t total, uint64_t used, uint64_t available) {
        char a[32], b[32], d[32];

        printf("%s of %s used, %s free\n", copy_format_size(a, sizeof(a), used),
               copy_format_size(b, sizeof(b), total), copy_format_size(d, sizeof(d), available));
}

static int df_run(const Ctl *c, const Invocation *in) {
        _cleanup_(flash_done) Flash f = { .fd = -EBADF };
        _cleanup_(json_decrefp) json_t *state = NULL;
        uint64_t total, used, available, quota;
        struct statvfs s;
        int r;

        r = flash_open(c, &f);
        if (r > 0)
                return r;
        r = bus_read_state_if_running(c, NULL, &state);
        if (r > 0)
                return r;
        quota = property_u64(state, "flash_quota");
        if (fstatvfs(f.fd, &s) < 0)
                return flash_explain("measure", "/", -errno);
        total = (uint64_t) s.f_blocks * s.f_frsize;
        used = (uint64_t) (s.f_blocks - s.f_bfree) * s.f_frsize;
        available = (uint64_t) s.f_bavail * s.f_frsize;
        if (quota > 0) {
                r = tree_size(f.fd, &used);
                if (r < 0)
                        return flash_explain("measure", "/", r);
                used *= TREE_BLOCK_SIZE;
                available = MIN(available, quota > used ? quota - used : 0);
                total = quota;
        }
        if (c->json)
                printf("{\"total\": %" PRIu64 ", \"used\": %" PRIu64 ", \"available\": %" PRIu64 "}\n",
                       total, used, available);
        else
                print_space(total, used, available);
        return CTL_EXIT_OK;
}

const Verb verb_df = {
        .name = "df",
        .summary = "show how much room the board's files have",
        .usage = "",
        .help = "Shows the size and the free space of the file system that the board's files are on, or, with\n"
                "[board] flash-quota=, what they take of that.\n\n"
                "Exit codes:\n"
                "  0  done    4  not permitted\n",
        .letters = "",
        .max_arguments = 0,
        .run = df_run,
};
