/* SPDX-License-Identifier: MIT */
/* Where the flag for safe mode may be. */
#include "host/safe-mode-flag.h"

#include <fcntl.h>
#include <stdio.h>

#include "util/io.h"

#define CMDLINE_MAX 8192u

static bool word_is_flag(const char *word) {
        static const char *const yes[] = { "", "=1", "=yes", "=true", "=on" };
        size_t n = strlen(SAFE_MODE_FLAG_WORD);

        if (strncmp(word, SAFE_MODE_FLAG_WORD, n) != 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(yes); i++)
                if (streq(word + n, yes[i]))
                        return true;
        return false;
}

/* The last word counts, as with the kernel's own. */
static bool on_command_line(int root_fd) {
        _cleanup_free_ char *text = NULL;
        char *word, *rest;
        bool found = false;

        if (read_file(root_fd, "proc/cmdline", CMDLINE_MAX, &text, NULL) < 0)
                return false;
        rest = text;
        while ((word = strsep(&rest, " \t\n")))
                if (strncmp(word, SAFE_MODE_FLAG_WORD, strlen(SAFE_MODE_FLAG_WORD)) == 0)
                        found = word_is_flag(word);
        return found;
}

bool host_safe_mode_flag(int root_fd, int state_fd, char ret[static SAFE_MODE_FLAG_MAX]) {
        static const char *const boot[] = {
                "boot/firmware/" SAFE_MODE_FLAG_BOOT,
                "boot/" SAFE_MODE_FLAG_BOOT,
        };

        if (faccessat(state_fd, SAFE_MODE_FLAG_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
                (void) snprintf(ret, SAFE_MODE_FLAG_MAX, "the file %s in the state directory",
                                SAFE_MODE_FLAG_FILE);
                return true;
        }
        for (size_t i = 0; i < ELEMENTSOF(boot); i++)
                if (faccessat(root_fd, boot[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
                        (void) snprintf(ret, SAFE_MODE_FLAG_MAX, "the file /%s", boot[i]);
                        return true;
                }
        if (on_command_line(root_fd)) {
                (void) snprintf(ret, SAFE_MODE_FLAG_MAX, "%s on the kernel's command line",
                                SAFE_MODE_FLAG_WORD);
                return true;
        }
        return false;
}
