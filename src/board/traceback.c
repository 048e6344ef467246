/* SPDX-License-Identifier: MIT */
/* Catches what pyexec prints of an exception. See traceback.h. */
#include "board/traceback.h"

#include <stdbool.h>

#include "util/macros.h"

/* A traceback is cut to LINK_TEXT_MAX in the end. Of one that does not even fit here the head and
 * the newest text are kept: the last line names the exception. */
#define HEAD_SIZE 8192u
#define TEXT_MAX (4 * HEAD_SIZE)

static struct {
        bool enabled, active;
        char text[TEXT_MAX];
        size_t size;
} traceback;

void traceback_enable(int enable) {
        traceback.enabled = enable;
        traceback.active = false;
        traceback.size = 0;
}

void traceback_begin(void) {
        traceback.active = traceback.enabled;
        traceback.size = 0;
}

void traceback_add(const char *text, size_t size) {
        if (!traceback.active)
                return;
        while (size > 0) {
                size_t n;

                if (traceback.size == TEXT_MAX) { /* forget the oldest of what is behind the head */
                        memmove(traceback.text + HEAD_SIZE, traceback.text + 2 * HEAD_SIZE,
                                TEXT_MAX - 2 * HEAD_SIZE);
                        traceback.size -= HEAD_SIZE;
                }
                n = MIN(size, TEXT_MAX - traceback.size);
                memcpy(traceback.text + traceback.size, text, n);
                traceback.size += n;
                text += n;
                size -= n;
        }
}

size_t traceback_end(const char **ret) {
        traceback.active = false;
        *ret = traceback.text;
        return traceback.size;
}
