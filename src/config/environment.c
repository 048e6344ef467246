/* SPDX-License-Identifier: MIT */
/* [environment] of mpyd.conf: a list as execve(2) takes it. */
#include "config/environment.h"

#include <ctype.h>
#include <stdio.h>

#include "util/text.h"

static bool is_name(const char *s) {
        if (!*s || isdigit((unsigned char) *s))
                return false;
        for (const char *p = s; *p; p++)
                if ((!isalnum((unsigned char) *p) && *p != '_') || (unsigned char) *p > 127)
                        return false;
        return true;
}

static bool is_utf8(const char *s) {
        for (size_t rest = strlen(s), n; rest > 0; s += n, rest -= n) {
                n = utf8_character(s, rest);
                if (n == 0)
                        return false;
        }
        return true;
}

/* Where the variable stands, or would. */
static size_t find(const Config *c, const char *name) {
        size_t n = strlen(name), i;

        for (i = 0; i < c->n_environment; i++)
                if (strncmp(c->environment[i], name, n) == 0 && c->environment[i][n] == '=')
                        break;
        return i;
}

int environment_set(Config *c, const char *name, const char *value, char reason[static CONFIG_REASON_MAX]) {
        size_t at = find(c, name);
        const char *wrong = NULL;
        char *entry, **bigger;

        if (!is_name(name))
                wrong = "not the name of a variable; write letters, digits and _, such as SITE";
        else if (strncmp(name, "LD_", 3) == 0 || streq(name, "GLIBC_TUNABLES"))
                wrong = "would change how the board's process is loaded (ld.so(8)); choose another name";
        else if (!is_utf8(value))
                wrong = "not UTF-8, and a program could not read it; save the file as UTF-8";
        else if (at == ENVIRONMENT_MAX)
                wrong = "more variables than a board takes; put the others into a file on its flash";
        if (wrong) {
                (void) snprintf(reason, CONFIG_REASON_MAX, "%s", wrong);
                return -EINVAL;
        }

        if (at == c->n_environment) {
                bigger = reallocarray(c->environment, at + 2, sizeof *bigger);
                if (!bigger)
                        return -ENOMEM;
                c->environment = bigger;
                c->environment[at] = NULL;
        }
        if (asprintf(&entry, "%s=%s", name, value) < 0)
                return -ENOMEM;
        free(c->environment[at]);
        c->environment[at] = entry;
        if (at == c->n_environment)
                c->environment[++c->n_environment] = NULL;
        return 0;
}

void environment_done(Config *c) {
        for (size_t i = 0; i < c->n_environment; i++)
                free(c->environment[i]);
        free(c->environment);
}
