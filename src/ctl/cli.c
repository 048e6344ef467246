/* SPDX-License-Identifier: MIT */
/* getopt_long(3) in two passes: up to the verb, then with the verb's options added. */
#include "ctl/cli.h"

#include "ctl/style.h"
#include "ctl/text.h"

enum {
        OPTION_RUN_DIR = 0x1000,
        OPTION_STATE_DIR,
        OPTION_JSON,
        OPTION_VERSION,
};

static const struct option common_options[] = {
        { "run-dir", required_argument, NULL, OPTION_RUN_DIR },
        { "state-dir", required_argument, NULL, OPTION_STATE_DIR },
        { "host", required_argument, NULL, 'H' },
        { "json", no_argument, NULL, OPTION_JSON },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

#define OPTIONS_MAX 32

const char *cli_suggest(const char *s, const char *const names[], size_t n) {
        unsigned best = 3; /* further away than two slips is another word */
        const char *found = NULL;

        for (size_t i = 0; i < n; i++) {
                unsigned d = text_distance(s, names[i]);

                if (strlen(s) >= 2 && strncmp(s, names[i], strlen(s)) == 0)
                        d = 1; /* an abbreviation */
                if (d < best && d * 2 <= strlen(names[i])) {
                        best = d;
                        found = names[i];
                }
        }
        return found;
}

bool invocation_has(const Invocation *in, int key) {
        for (size_t i = 0; i < in->n_options; i++)
                if (in->options[i].key == key)
                        return true;
        return false;
}

const char *invocation_argument(const Invocation *in, int key) {
        const char *found = NULL;

        for (size_t i = 0; i < in->n_options; i++)
                if (in->options[i].key == key)
                        found = in->options[i].argument;
        return found;
}

static size_t count_options(const struct option *o) {
        size_t n = 0;

        while (o && o[n].name)
                n++;
        return n;
}

/* The word that getopt stumbled over, for people. */
static void complain_option(const struct option *options, char *word, const Verb *verb) {
        const char *names[OPTIONS_MAX], *near = NULL;
        char letter[3] = { '-', (char) optopt, '\0' };
        const char *for_verb = verb ? verb->name : "";
        const char *blank = verb ? " " : "";

        if (strncmp(word, "--", 2) == 0) {
                size_t n = count_options(options);

                for (size_t i = 0; i < n; i++)
                        names[i] = options[i].name;
                word[2 + strcspn(word + 2, "=")] = '\0';
                if (optopt && optopt != '?') {
                        complain("Option %s takes no argument.", word);
                        advise("mpyctl%s%s --help", blank, for_verb);
                        return;
                }
                near = cli_suggest(word + 2, names, n);
        }
        complain("Unknown option %s.", strncmp(word, "--", 2) == 0 ? word : letter);
        if (near)
                advise("did you mean --%s?", near);
        else if (verb && (streq(verb->name, "eval") || streq(verb->name, "exec")))
                advise("code that begins with a dash goes after --: mpyctl %s -- '-1'", verb->name);
        else
                advise("mpyctl%s%s --help lists what there is", blank, for_verb);
}

/* Handles an option of every verb. CLI_RUN: go on. */
static CliAction take_common(int key, Ctl *c) {
        switch (key) {
        case OPTION_RUN_DIR:
                c->run_dir = optarg;
                return CLI_RUN;
        case OPTION_STATE_DIR:
                c->state_dir = optarg;
                return CLI_RUN;
        case 'H':
                c->host = optarg;
                return CLI_RUN;
        case OPTION_JSON:
                c->json = true;
                return CLI_RUN;
        case 'h':
                return CLI_HELP;
        case OPTION_VERSION:
                return CLI_VERSION;
        default:
                return CLI_ACTION_INVALID;
        }
}

static CliAction parse_options(int argc, char *argv[], const char *letters,
                               const struct option *options, const Verb *verb, Ctl *c,
                               Invocation *in) {
        CliAction wanted = CLI_RUN;

        optind = 0; /* a new command line */
        opterr = 0;
        for (;;) {
                int at = optind > 0 ? optind : 1;
                int key = getopt_long(argc, argv, letters, options, NULL);
                CliAction a;

                if (key < 0)
                        return wanted;
                if (key == ':') {
                        complain("Option %s needs an argument.", argv[optind - 1]);
                        return CLI_ERROR;
                }
                if (key == '?') {
                        /* within "-xyz" optind still stands at the word, else behind it */
                        char *word = argv[optind > at ? optind - 1 : at];

                        complain_option(options, word, verb);
                        return CLI_ERROR;
                }
                a = take_common(key, c);
                if (a == CLI_HELP || a == CLI_VERSION)
                        wanted = wanted == CLI_RUN ? a : wanted;
                else if (a != CLI_RUN) {
                        if (in->n_options == ELEMENTSOF(in->options)) {
                                complain("Too many options.");
                                return CLI_ERROR;
                        }
                        in->options[in->n_options].key = key;
                        in->options[in->n_options++].argument = optarg;
                }
        }
}

static const Verb *find_verb(const Verb *const verbs[], const char *name) {
        for (size_t i = 0; verbs[i]; i++)
                if (streq(verbs[i]->name, name))
                        return verbs[i];
        return NULL;
}

static CliAction unknown_verb(const Verb *const verbs[], const char *name) {
        const char *names[OPTIONS_MAX], *near;
        size_t n = 0;

        for (; verbs[n] && n < ELEMENTSOF(names) - 1; n++)
                names[n] = verbs[n]->name;
        names[n++] = "help";
        near = cli_suggest(name, names, n);
        complain("Unknown verb \"%s\".", name);
        if (near)
                advise("did you mean: mpyctl %s?", near);
        else
                advise("mpyctl help lists what there is");
        return CLI_ERROR;
}

static CliAction check_arguments(const Verb *verb, const Invocation *in) {
        if (in->n_arguments >= verb->min_arguments && in->n_arguments <= verb->max_arguments)
                return CLI_RUN;
        if (in->n_arguments < verb->min_arguments)
                complain("%s needs more than that.", verb->name);
        else
                complain("%s does not take \"%s\".", verb->name,
                         in->arguments[verb->max_arguments]);
        if (in->n_arguments > 1 && (streq(verb->name, "eval") || streq(verb->name, "exec")))
                advise("quote the code so that the shell leaves it whole: mpyctl %s 'a + b'",
                       verb->name);
        else
                advise("usage: mpyctl %s%s%s", verb->name, *verb->usage ? " " : "", verb->usage);
        return CLI_ERROR;
}

CliAction cli_parse(int argc, char *argv[], const Verb *const verbs[], Ctl *c,
                    const Verb **ret_verb, Invocation *in) {
        struct option options[OPTIONS_MAX + 1] = {};
        size_t n_common = count_options(common_options), n_own;
        char letters[64];
        const Verb *verb;
        CliAction a;

        *in = (Invocation) {};
        *ret_verb = NULL;
        a = parse_options(argc, argv, "+:H:h", common_options, NULL, c, in);
        if (a != CLI_RUN)
                return a;
        if (optind >= argc)
                return CLI_HELP;
        argc -= optind;
        argv += optind;

        if (streq(argv[0], "help")) {
                if (argc > 2) {
                        complain("help takes the name of one verb.");
                        return CLI_ERROR;
                }
                if (argc == 2 && !streq(argv[1], "help") &&
                    !(*ret_verb = find_verb(verbs, argv[1])))
                        return unknown_verb(verbs, argv[1]);
                return CLI_HELP;
        }
        verb = find_verb(verbs, argv[0]);
        if (!verb)
                return unknown_verb(verbs, argv[0]);
        n_own = count_options(verb->options);
        assert(n_common + n_own <= OPTIONS_MAX && strlen(verb->letters) + 6 < sizeof(letters));
        memcpy(options, common_options, n_common * sizeof(*options));
        if (n_own > 0)
                memcpy(options + n_common, verb->options, n_own * sizeof(*options));
        letters[0] = ':';
        strcpy(stpcpy(letters + 1, verb->letters), "H:h");

        a = parse_options(argc, argv, letters, options, verb, c, in);
        if (a == CLI_ERROR)
                return a;
        *ret_verb = verb;
        in->arguments = argv + optind;
        in->n_arguments = (size_t) (argc - optind);
        return a == CLI_RUN ? check_arguments(verb, in) : a;
}
