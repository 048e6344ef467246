/* SPDX-License-Identifier: MIT */
/* What is asked of the kernel and of systemd's files. */
#include "host/host.h"

#include <sys/timex.h>
#include <systemd/sd-id128.h>

#include "util/macros.h"

bool host_clock_synced(void) {
        struct timex t = {};

        return adjtimex(&t) >= 0 && !(t.status & STA_UNSYNC);
}

void host_unique_id(uint8_t ret[static LINK_UNIQUE_ID_SIZE]) {
        /* Our own application id: other programs' derived ids tell nothing about this one. */
        static const sd_id128_t app = SD_ID128_MAKE(5d, 1f, 0a, 7e, 9c, 3b, 4d, 62, 8e, 21, b7, 90, 4a,
                                                    cc, 13, 58);
        sd_id128_t id;

        memset(ret, 0, LINK_UNIQUE_ID_SIZE);
        if (sd_id128_get_machine_app_specific(app, &id) >= 0)
                memcpy(ret, id.bytes, LINK_UNIQUE_ID_SIZE);
}
