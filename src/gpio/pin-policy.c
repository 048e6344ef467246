/* SPDX-License-Identifier: MIT */
/* What [pins] says about a line. */
#include "gpio/pin-policy.h"

#include <stdio.h>
#include <string.h>

#include "util/words.h"

bool pin_allowed(const char *allow, const char *reserve, const char *name) {
        return words_match(allow, name) && (streq(reserve, "none") || !words_match(reserve, name));
}

void pin_name_list_add(PinNameList *l, const char *name) {
        size_t size = strlen(name) + 1;

        if (l->full || size == 1 || size > l->buf_size || !pin_allowed(l->allow, l->reserve, name))
                return;
        if (l->n >= l->from) {
                l->full = size > l->buf_size - l->size;
                if (l->full)
                        return;
                memcpy(l->buf + l->size, name, size);
                l->size += size;
        }
        l->n++;
}

/* A word NAME=LEVEL; false for others. */
static bool take_apart(const char *word, size_t n, char name[static GPIO_NAME_MAX], int *ret_level) {
        if (n < 3 || n - 2 >= GPIO_NAME_MAX || word[n - 2] != '=')
                return false;
        (void) snprintf(name, GPIO_NAME_MAX, "%.*s", (int) (n - 2), word);
        *ret_level = word[n - 1] == '1';
        return true;
}

int pin_safe_level(const char *safe_state, const char *name) {
        char listed[GPIO_NAME_MAX];
        const char *word;
        size_t n;
        int level;

        while ((n = words_next(&safe_state, &word)) > 0)
                if (take_apart(word, n, listed, &level) && streq(listed, name))
                        return level;
        return -1;
}

bool pin_next_safe(const char **at, char name[static GPIO_NAME_MAX]) {
        const char *word;
        size_t n;
        int level;

        while ((n = words_next(at, &word)) > 0)
                if (take_apart(word, n, name, &level))
                        return true;
        return false;
}
