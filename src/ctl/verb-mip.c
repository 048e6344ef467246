/* SPDX-License-Identifier: MIT */
/* mpyctl mip: installs packages on the board, by the mip that the board has. */
#include <stdio.h>

#include "ctl/cli.h"
#include "ctl/code-run.h"
#include "ctl/flash.h"
#include "ctl/style.h"

enum {
        OPTION_INDEX = 0x200,
        OPTION_TARGET,
        OPTION_NO_MPY,
};

#define NOT_INSTALLED "mpyctl mip: not installed: "

/* mip.install() tells how it went by what it prints last. What it prints comes through, and one that did not end
 * with "Done" ends the code. */
static const char code[] =
        "import mip\n"
        "def _mip_all(packages, **how):\n"
        "    last = [None]\n"
        "    def say(*words, **k):\n"
        "        last[0] = words\n"
        "        print(*words, **k)\n"
        "    mip.print = say\n"
        "    try:\n"
        "        for name, version in packages:\n"
        "            mip.install(name, version=version, **how)\n"
        "            if last[0] != ('Done',):\n"
        "                raise OSError('" NOT_INSTALLED "' + name)\n"
        "    finally:\n"
        "        del mip.print\n";

/* NULL is None. */
static void put_argument(FILE *f, const char *s) {
        if (s)
                code_put_literal(f, s);
        else
                fputs("None", f);
}

/* "name@version" → ("name", "version"); a URL may have an @ of its own before its last slash. */
static int put_package(FILE *f, const char *package) {
        const char *at = strrchr(package, '@');
        _cleanup_free_ char *name = NULL;

        if (at && (at == package || at[1] == '\0' || strchr(at, '/')))
                at = NULL;
        name = at ? strndup(package, (size_t) (at - package)) : strdup(package);
        if (!name)
                return -ENOMEM;
        fputc('(', f);
        code_put_literal(f, name);
        fputs(", ", f);
        put_argument(f, at ? at + 1 : NULL);
        fputs("), ", f);
        return 0;
}

static int make_code(const Invocation *in, char **ret, size_t *ret_size) {
        const char *index = invocation_argument(in, OPTION_INDEX), *target = invocation_argument(in, OPTION_TARGET);
        FILE *f = open_memstream(ret, ret_size);
        int r = 0;

        if (!f)
                return -ENOMEM;
        fputs(code, f);
        fputs("_mip_all((", f);
        for (size_t i = 1; r >= 0 && i < in->n_arguments; i++)
                r = put_package(f, in->arguments[i]);
        fputs("), index=", f);
        put_argument(f, index);
        fputs(", target=", f);
        put_argument(f, target ? flash_path(target) : NULL);
        fprintf(f, ", mpy=%s)\n", invocation_has(in, OPTION_NO_MPY) ? "False" : "True");
        return fclose(f) != 0 ? -ENOMEM : r;
}

typedef struct Errors {
        char text[4096];
        size_t size;
} Errors;

static int on_error(void *userdata, const char *data, size_t size) {
        Errors *e = userdata;
        size_t max = sizeof e->text - 1, n = MIN(size, max), kept = MIN(e->size, max - n);

        memmove(e->text, e->text + e->size - kept, kept); /* the end tells most */
        memcpy(e->text + kept, data + size - n, n);
        e->size = kept + n;
        e->text[e->size] = '\0';
        return 0;
}

/* The exception of a traceback: its last line. */
static const char *last_line(char *text) {
        size_t n = strlen(text);
        char *start;

        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
                text[--n] = '\0';
        start = strrchr(text, '\n');
        return start ? start + 1 : text;
}

/* Where in mip the network failed helps nobody. */
static bool is_of_the_network(const char *exception) {
        static const char *const names[] = { "OSError: (-", "ECONN", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strstr(exception, names[i]))
                        return true;
        return false;
}

static void explain(Errors *e) {
        const char *name = strstr(e->text, NOT_INSTALLED), *exception;

        if (name) {
                name += strlen(NOT_INSTALLED);
                complain("%.*s was not installed.", (int) strcspn(name, "\r\n"), name);
                advise("what is above says why; names and versions: https://github.com/micropython/micropython-lib");
                return;
        }
        exception = last_line(e->text);
        if (!is_of_the_network(exception)) {
                fprintf(stderr, "%s\n", e->text);
                complain("The package was not installed.");
                return;
        }
        complain("The package was not installed: %s", exception);
        advise("the board downloads by itself; where it has no network, mpremote mip install brings it from yours");
}

static int mip_run(const Ctl *c, const Invocation *in) {
        _cleanup_free_ char *text = NULL;
        CodeRun run = { .verb = "mip" };
        Errors errors = {};
        int r;

        if (c->json) {
                complain("mip has no JSON form.");
                return CTL_EXIT_USAGE;
        }
        if (!streq(in->arguments[0], "install")) {
                complain("mip can install, not \"%s\".", in->arguments[0]);
                advise("mpyctl mip install PACKAGE; to remove one: mpyctl rm -r :lib/PACKAGE");
                return CTL_EXIT_USAGE;
        }
        if (in->n_arguments < 2) {
                complain("mip install needs the name of a package.");
                advise("mpyctl mip install umqtt.simple");
                return CTL_EXIT_USAGE;
        }
        r = code_run_parse(&run, in);
        if (r > 0)
                return r;
        r = make_code(in, &text, &run.size);
        if (r < 0) {
                complain("Out of memory.");
                return CTL_EXIT_FAILURE;
        }
        run.code = text;
        run.error_output = on_error;
        run.userdata = &errors;
        r = code_run(c, &run);
        if (errors.size > 0)
                explain(&errors);
        return r;
}

static const struct option options[] = {
        CODE_OPTIONS,
        { "index", required_argument, NULL, OPTION_INDEX },
        { "target", required_argument, NULL, OPTION_TARGET },
        { "no-mpy", no_argument, NULL, OPTION_NO_MPY },
        {},
};

const Verb verb_mip = {
        .name = "mip",
        .summary = "install packages on the board",
        .usage = "[OPTIONS] install PACKAGE[@VERSION]...",
        .help = "Downloads packages to the board's :lib, with what they need: by name from MicroPython's\n"
                "index, or by a URL (https:, github:USER/REPOSITORY, gitlab:...) of a file or a\n"
                "package.json. The board does it by itself, in a fresh VM as exec has one; main.py\n"
                "runs again after the next reset.\n\n"
                "Options:\n"
                "  --index URL       another index than https://micropython.org/pi/v2\n"
                "  --target :DIR     there and not in :lib\n"
                "  --no-mpy          source, not compiled\n" CODE_OPTIONS_HELP
                "\nExamples:\n"
                "  mpyctl mip install umqtt.simple\n"
                "  mpyctl -H pi@greenhouse mip install --restart aioble@0.4.1 github:org/sensor\n\n"
                "Exit codes:\n"
                "  0  done    1  not installed, or not all    5  somebody uses the REPL    124  time is up\n",
        .letters = "",
        .options = options,
        .min_arguments = 1,
        .max_arguments = ANY_NUMBER,
        .run = mip_run,
};
