/* SPDX-License-Identifier: MIT */
/* The command line: options before and behind the verb, mistakes, and what goes to another host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>

#include "ctl/cli.h"
#include "ctl/remote.h"

enum { KEY_SOFT = 0x100, KEY_TIMEOUT };

static int run_nothing(const Ctl *c, const Invocation *in) {
        return 0;
}

static const struct option eval_options[] = {
        { "soft", no_argument, NULL, KEY_SOFT },
        { "timeout", required_argument, NULL, KEY_TIMEOUT },
        { "lines", required_argument, NULL, 'n' },
        {},
};
static const Verb verb_test = { .name = "evaluate", .usage = "EXPR", .letters = "n:",
                                .options = eval_options, .min_arguments = 1, .max_arguments = 1,
                                .run = run_nothing };
static const Verb verb_bare = { .name = "stop", .usage = "", .letters = "", .run = run_nothing };
static const Verb *const verbs[] = { &verb_test, &verb_bare, NULL };

#define ARGS_MAX 12

typedef struct Parsed {
        char *argv[ARGS_MAX + 1];
        Ctl ctl;
        const Verb *verb;
        Invocation in;
        CliAction action;
} Parsed;

/* line: words separated by '|'. */
static void parse(Parsed *p, char *line) {
        int argc = 0;

        *p = (Parsed) {};
        p->argv[argc++] = (char *) "mpyctl";
        while (line && argc < ARGS_MAX)
                p->argv[argc++] = strsep(&line, "|");
        p->action = cli_parse(argc, p->argv, verbs, &p->ctl, &p->verb, &p->in);
}

static void test_options_anywhere(void **state) {
        static const char *const lines[] = {
                "--json|--run-dir|/r|evaluate|--timeout|5s|-n|3|x",
                "evaluate|--json|--run-dir=/r|x|--timeout=5s|-n3",
                "--run-dir=/r|evaluate|x|-n|3|--timeout|5s|--json",
        };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                _cleanup_free_ char *line = strdup(lines[i]);
                Parsed p;

                parse(&p, line);
                assert_int_equal(p.action, CLI_RUN);
                assert_ptr_equal(p.verb, &verb_test);
                assert_true(p.ctl.json);
                assert_string_equal(p.ctl.run_dir, "/r");
                assert_null(p.ctl.host);
                assert_string_equal(invocation_argument(&p.in, KEY_TIMEOUT), "5s");
                assert_string_equal(invocation_argument(&p.in, 'n'), "3");
                assert_false(invocation_has(&p.in, KEY_SOFT));
                assert_int_equal(p.in.n_arguments, 1);
                assert_string_equal(p.in.arguments[0], "x");
        }
}

static void test_actions(void **state) {
        static const struct {
                const char *line;
                CliAction action;
                const Verb *verb;
        } cases[] = {
                { "--help", CLI_HELP, NULL },
                { "-h", CLI_HELP, NULL },
                { "help", CLI_HELP, NULL },
                { "help|stop", CLI_HELP, &verb_bare },
                { "stop|--help", CLI_HELP, &verb_bare },
                { "evaluate|-h", CLI_HELP, &verb_test }, /* although an argument is missing */
                { "--version", CLI_VERSION, NULL },
                { "stop", CLI_RUN, &verb_bare },
                { "evaluate|--|-1", CLI_RUN, &verb_test },
                { "stpo", CLI_ERROR, NULL },
                { "help|stpo", CLI_ERROR, NULL },
                { "help|stop|stop", CLI_ERROR, NULL },
                { "--bogus|stop", CLI_ERROR, NULL },
                { "stop|--bogus", CLI_ERROR, NULL },
                { "stop|-x", CLI_ERROR, NULL },
                { "stop|x", CLI_ERROR, NULL },
                { "stop|--json=1", CLI_ERROR, NULL },
                { "stop|--soft", CLI_ERROR, NULL }, /* another verb's */
                { "evaluate", CLI_ERROR, NULL },
                { "evaluate|a|b", CLI_ERROR, NULL },
                { "evaluate|-1", CLI_ERROR, NULL },
                { "evaluate|x|--timeout", CLI_ERROR, NULL },
                { "-H", CLI_ERROR, NULL },
        };
        int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        assert_true(saved >= 0 && null >= 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *line = strdup(cases[i].line);
                Parsed p;

                (void) dup2(null, STDERR_FILENO); /* complaints are not this test's output */
                parse(&p, line);
                (void) dup2(saved, STDERR_FILENO);
                if (p.action != cases[i].action)
                        fail_msg("\"%s\" gives %d", cases[i].line, (int) p.action);
                if (p.action != CLI_ERROR)
                        assert_ptr_equal(p.verb, cases[i].verb);
        }
        close(saved);
        close(null);
}

static void test_too_many_options(void **state) {
        char *argv[64] = { (char *) "mpyctl", (char *) "evaluate" };
        int argc = 2;
        const Verb *verb;
        Invocation in;
        Ctl c = {};

        while (argc < 63)
                argv[argc++] = (char *) "--soft";
        assert_int_equal(cli_parse(argc, argv, verbs, &c, &verb, &in), CLI_ERROR);
}

static void test_suggest(void **state) {
        static const char *const names[] = { "status", "reset", "log" };

        assert_string_equal(cli_suggest("stauts", names, 3), "status");
        assert_string_equal(cli_suggest("stat", names, 3), "status");
        assert_string_equal(cli_suggest("rest", names, 3), "reset");
        assert_null(cli_suggest("foo", names, 3));
        assert_null(cli_suggest("frobnicate", names, 3));
}

static void test_remote_command(void **state) {
        _cleanup_free_ char *line = strdup("-H|pi@h|--json|evaluate|--timeout|1 s|--soft|it's $x");
        _cleanup_free_ char *plain = NULL, *full = NULL;
        Parsed p;

        parse(&p, line);
        assert_int_equal(p.action, CLI_RUN);
        assert_string_equal(p.ctl.host, "pi@h");
        (void) unsetenv("NO_COLOR");
        assert_int_equal(remote_command(&p.ctl, p.verb, &p.in, NULL, NULL, &plain), 0);
        assert_string_equal(plain, "mpyctl --json evaluate --timeout '1 s' --soft -- "
                                   "'it'\\''s $x'");
        (void) setenv("NO_COLOR", "1", 1);
        assert_int_equal(remote_command(&p.ctl, p.verb, &p.in, "/r", "/s s", &full), 0);
        assert_string_equal(full, "NO_COLOR=1 mpyctl --run-dir /r --state-dir '/s s' --json "
                                  "evaluate --timeout '1 s' --soft -- 'it'\\''s $x'");
        (void) unsetenv("NO_COLOR");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_options_anywhere),
                cmocka_unit_test(test_actions),
                cmocka_unit_test(test_too_many_options),
                cmocka_unit_test(test_suggest),
                cmocka_unit_test(test_remote_command),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
