/* SPDX-License-Identifier: MIT */
/* mpyctl run: runs a script that is here on the board, without copying it there. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctl/cli.h"
#include "ctl/code-run.h"
#include "ctl/remote.h"
#include "ctl/style.h"
#include "util/io.h"

static int explain(const char *path, int error) {
        complain("Failed to read %s: %s.", path,
                 error == -EFBIG ? "it has more than 4 MiB" : strerror(-error));
        if (error == -ENOENT)
                advise("run takes a script that is here; one on the board: mpyctl exec 'import NAME'");
        return error == -ENOENT ? CTL_EXIT_NOT_FOUND
               : error == -EACCES ? CTL_EXIT_PERMISSION : CTL_EXIT_FAILURE;
}

static int refuse_json(const Ctl *c) {
        if (!c->json)
                return 0;
        complain("run has no JSON form: it prints what the script prints.");
        return CTL_EXIT_USAGE;
}

static int run_run(const Ctl *c, const Invocation *in) {
        const char *path = in->arguments[0];
        _cleanup_free_ char *text = NULL;
        CodeRun run = { .verb = "run" };
        int r;

        r = refuse_json(c);
        if (r == 0)
                r = code_run_parse(&run, in);
        if (r > 0)
                return r;
        r = read_file(AT_FDCWD, path, CODE_MAX, &text, &run.size);
        if (r < 0)
                return explain(path, r);
        if (memchr(text, 4, run.size)) {
                complain("%s contains a Ctrl-D (byte 4), which would end it there.", path);
                advise("write it as '\\x04'");
                return CTL_EXIT_FAILURE;
        }
        run.code = text;
        return code_run(c, &run);
}

/* The script is here, and goes there on exec's standard input, all of it or nothing. */
static int run_run_far(const Ctl *c, const Invocation *in) {
        char *arguments[] = { (char *) "-", NULL };
        Invocation there = *in;
        char size[32];
        struct stat st;
        int fd, r;

        r = refuse_json(c);
        if (r > 0)
                return r;
        fd = open(in->arguments[0], O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || dup2(fd, STDIN_FILENO) < 0)
                return explain(in->arguments[0], -errno);
        if (S_ISREG(st.st_mode) && there.n_options < ELEMENTSOF(there.options)) {
                (void) snprintf(size, sizeof size, "%" PRIu64, (uint64_t) st.st_size);
                there.options[there.n_options].key = CODE_OPTION_SIZE;
                there.options[there.n_options++].argument = size;
        }
        there.arguments = arguments;
        there.n_arguments = 1;
        return remote_run(c, &verb_exec, &there, c->run_dir, c->state_dir);
}

static const struct option options[] = {
        CODE_OPTIONS,
        { "binary", no_argument, NULL, CODE_OPTION_BINARY },
        {},
};

const Verb verb_run = {
        .name = "run",
        .summary = "run a script that is here on the board",
        .usage = "[OPTIONS] FILE",
        .help = "Runs a Python file of this machine on the board, as exec does, in a fresh VM: a\n"
                "soft reset first, boot.py runs, main.py does not until the next reset. Nothing is\n"
                "stored on the board. What it prints comes as it is printed; a traceback goes to\n"
                "standard error. Ctrl-C interrupts the script and leaves.\n\n"
                "Options:\n" CODE_OPTIONS_HELP
                "  --binary          bytes as they are: do not turn CR LF into LF\n\n"
                "Examples:\n"
                "  mpyctl run blink.py\n"
                "  mpyctl run --restart --timeout 1min calibrate.py\n"
                "  mpyctl -H pi@greenhouse run selftest.py\n\n" CODE_EXIT_HELP,
        .letters = "",
        .options = options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_run,
        .run_far = run_run_far,
};
