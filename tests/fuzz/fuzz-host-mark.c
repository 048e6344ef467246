/* SPDX-License-Identifier: MIT */
/* The host mark: a file on a disk that may have lost power at any moment. What is taken for a mark is
 * exactly one. */
#include <string.h>

#include "fuzz.h"

#include "host/host-mark.h"
#include "util/macros.h"

size_t fuzz_seed(unsigned n, uint8_t *buf) {
        static const HostMark marks[] = {
                { HOST_MARK_RUNNING, "0123456789abcdef0123456789abcdef", false, false, "" },
                { HOST_MARK_STOPPED, "0123456789abcdef0123456789abcdef", true, true, "dmesg-efi-1@7.0" },
                { HOST_MARK_RUNNING, "", true, false, "" },
                { HOST_MARK_RUNNING, "0123456789abcdef0123456789abcdef", false, false, "",
                  { SAFE_MODE_WATCHDOG, SAFE_MODE_DOOR_STRIKES, 10, 1 } },
        };
        char text[HOST_MARK_TEXT_MAX];

        if (n >= ELEMENTSOF(marks))
                return SIZE_MAX;
        host_mark_format(&marks[n], text);
        memcpy(buf, text, strlen(text));
        return strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1), again[HOST_MARK_TEXT_MAX];
        HostMark m, before;

        if (!text)
                abort();
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';
        memset(&m, 0xa5, sizeof m);
        before = m;
        if (host_mark_parse(text, &m) == 0) {
                FUZZ_CHECK(m.state == HOST_MARK_RUNNING || m.state == HOST_MARK_STOPPED);
                FUZZ_CHECK(memchr(m.boot_id, '\0', sizeof m.boot_id));
                FUZZ_CHECK((m.safe_mode.reason == SAFE_MODE_NONE) == (m.safe_mode.door == SAFE_MODE_DOOR_NONE));
                FUZZ_CHECK(safe_mode_reason_to_string(m.safe_mode.reason) != NULL);
                FUZZ_CHECK(m.safe_mode.strikes <= SAFE_MODE_COUNT_MAX);
                FUZZ_CHECK(memchr(m.panic_id, '\0', sizeof m.panic_id));
                host_mark_format(&m, again);
                FUZZ_CHECK(streq(again, text));
        } else
                FUZZ_CHECK(memcmp(&m, &before, sizeof m) == 0);
        free(text);
        return 0;
}
