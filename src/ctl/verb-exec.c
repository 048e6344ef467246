/* SPDX-License-Identifier: MIT */
/* mpyctl exec: runs Python code on the board. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/cli.h"
#include "ctl/code-run.h"
#include "ctl/style.h"
#include "util/parse.h"

static int read_stdin(char **ret, size_t *ret_size) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                ssize_t n;

                if (size == allocated) {
                        char *bigger;

                        if (size > CODE_MAX)
                                return -EFBIG;
                        allocated = allocated ? allocated * 2 : 65536;
                        bigger = realloc(text, allocated);
                        if (!bigger)
                                return -ENOMEM;
                        text = bigger;
                }
                n = read(STDIN_FILENO, text + size, allocated - size);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        break;
                size += n > 0 ? (size_t) n : 0;
        }
        if (size > CODE_MAX)
                return -EFBIG;
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

static int exec_run(const Ctl *c, const Invocation *in) {
        _cleanup_free_ char *text = NULL;
        const char *promised = invocation_argument(in, CODE_OPTION_SIZE);
        CodeRun run = { .verb = "exec", .code = in->arguments[0] };
        uint64_t least = 0;
        int r;

        if (c->json) {
                complain("exec has no JSON form: it prints what the code prints.");
                advise("for a value: mpyctl --json eval EXPR");
                return CTL_EXIT_USAGE;
        }
        r = code_run_parse(&run, in);
        if (r > 0)
                return r;
        if (promised && (!streq(run.code, "-") || parse_u64(promised, &least) < 0)) {
                complain("--size is a number of bytes, of the code on standard input.");
                return CTL_EXIT_USAGE;
        }
        run.size = strlen(run.code);
        if (streq(run.code, "-")) {
                r = read_stdin(&text, &run.size);
                if (r < 0) {
                        complain("Failed to read the code from standard input: %s.",
                                 r == -EFBIG ? "more than 4 MiB" : strerror(-r));
                        return CTL_EXIT_FAILURE;
                }
                if (run.size < least) {
                        complain("Only %zu of %" PRIu64 " bytes of the code came; none of it runs.", run.size, least);
                        return CTL_EXIT_FAILURE;
                }
                run.code = text;
        }
        if (memchr(run.code, 4, run.size)) {
                complain("The code contains a Ctrl-D (byte 4), which would end it there.");
                advise("write it as '\\x04'");
                return CTL_EXIT_FAILURE;
        }
        return code_run(c, &run);
}

static const struct option options[] = {
        CODE_OPTIONS,
        { "binary", no_argument, NULL, CODE_OPTION_BINARY },
        { "size", required_argument, NULL, CODE_OPTION_SIZE },
        {},
};

const Verb verb_exec = {
        .name = "exec",
        .summary = "run Python code on the board",
        .usage = "[OPTIONS] CODE|-",
        .help = "Runs CODE (or, with -, what comes on standard input) on the board, in a fresh\n"
                "VM: a soft reset first, boot.py runs, main.py does not until the next reset.\n"
                "What it prints comes as it is printed; a traceback goes to standard error.\n"
                "Ctrl-C interrupts the code and leaves.\n\n"
                "Options:\n" CODE_OPTIONS_HELP
                "  --binary          bytes as they are: do not turn CR LF into LF\n"
                "  --size BYTES      of standard input: nothing runs when fewer come\n\n"
                "Examples:\n"
                "  mpyctl exec 'import os; print(os.listdir())'\n"
                "  mpyctl exec --restart - < setup.py\n"
                "  mpyctl -H pi@greenhouse exec --resume 'print(counter)'\n\n" CODE_EXIT_HELP,
        .letters = "",
        .options = options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = exec_run,
};
