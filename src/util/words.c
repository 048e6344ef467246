/* SPDX-License-Identifier: MIT */
#include "util/words.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define BLANK " "
#define PATTERN_MAX 64u

size_t words_next(const char **at, const char **ret) {
        size_t n;

        *at += strspn(*at, BLANK);
        n = strcspn(*at, BLANK);
        *ret = *at;
        *at += n;
        return n;
}

bool words_match(const char *patterns, const char *text) {
        char pattern[PATTERN_MAX];
        const char *word;
        size_t n;

        while ((n = words_next(&patterns, &word)) > 0) {
                if (n >= sizeof pattern)
                        continue;
                (void) snprintf(pattern, sizeof pattern, "%.*s", (int) n, word);
                if (fnmatch(pattern, text, 0) == 0)
                        return true;
        }
        return false;
}
