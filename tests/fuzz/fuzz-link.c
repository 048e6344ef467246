/* SPDX-License-Identifier: MIT */
/* The board link: what decodes encodes to the same bytes, what does not leaves no trace. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "mpyd/board-link.h"
#include "util/macros.h"

size_t fuzz_seed(unsigned n, uint8_t *buf) {
        static const LinkMessage messages[] = {
                { .type = LINK_HELLO, .hello = { LINK_VERSION, LINK_CONFINED_ALL } },
                { .type = LINK_STAGE, .stage = { BOARD_STAGE_MAIN, 4711 } },
                { .type = LINK_OUTPUT, .stage = { BOARD_STAGE_REPL, 4712 } },
                { .type = LINK_STAGE_END,
                  .stage_end = { BOARD_STAGE_BOOT, STAGE_RESULT_EXCEPTION, 1, "Traceback\n", 10 } },
                { .type = LINK_RESET, .reset = { RESET_KIND_DEEPSLEEP, false, 5000000, 2 } },
                { .type = LINK_RESET, .reset = { RESET_KIND_SOFT, true, 0, 2 } },
                { .type = LINK_UNREAD_INPUT, .data = { 0, "print(1)\r", 9 } },
                { .type = LINK_LOG, .data = { 4, "low on memory", 13 } },
                { .type = LINK_BOOT,
                  .boot = { RESET_CAUSE_HARD, RESET_REASON_SOFTWARE, RUN_REASON_STARTUP,
                            RESET_KIND_HARD, 1, SAFE_MODE_USER, 1 << 20, 64 << 20,
                            2 << 20, { 1, 2, 3 } } },
                { .type = LINK_INTERRUPT },
                { .type = LINK_STOP },
                { .type = LINK_ABORT },
                { .type = LINK_WATCHDOG, .watchdog = { WATCHDOG_MACHINE, 5000000, 1000000 } },
                { .type = LINK_WATCHDOG, .watchdog = { WATCHDOG_MICROCONTROLLER, 0, 0 } },
                { .type = LINK_WATCHDOG_WARNING, .watchdog_warning = { WATCHDOG_MACHINE } },
                { .type = LINK_AWAKE },
                { .type = LINK_PIN, .pin = { 1, "GPIO17", 6 } },
                { .type = LINK_PIN_WAKE, .pin_wake = { 1, "GPIO4", 5 } },
                { .type = LINK_PIN_LIST, .pin_names = { 1, 2, NULL, 0 } },
                { .type = LINK_PIN_NAMES, .pin_names = { 1, 2, "GPIO1\0X", 8 } },
                { .type = LINK_PIN_LINE, .pin_line = { 1, 16, 0, 0, "used by leds", 12 } },
        };
        int size;

        if (n >= ELEMENTSOF(messages))
                return SIZE_MAX;
        size = link_encode(&messages[n], buf, FUZZ_INPUT_MAX);
        FUZZ_CHECK(size > 0);
        return (size_t) size;
}

/* Text of free length lies within the message. */
static void check_tail(const uint8_t *message, size_t size, const char *tail, size_t tail_size) {
        FUZZ_CHECK((const uint8_t *) tail >= message + LINK_HEADER_SIZE);
        FUZZ_CHECK(tail_size <= size && (const uint8_t *) tail + tail_size == message + size);
}

static void check_decoded(const LinkMessage *m, const uint8_t *message, size_t size) {
        uint8_t again[LINK_MESSAGE_MAX];

        FUZZ_CHECK(link_type_to_string(m->type));
        if (m->type == LINK_STAGE_END)
                check_tail(message, size, m->stage_end.text, m->stage_end.text_size);
        if (m->type == LINK_UNREAD_INPUT || m->type == LINK_LOG)
                check_tail(message, size, m->data.data, m->data.size);
        if (m->type == LINK_PIN)
                check_tail(message, size, m->pin.name, m->pin.name_size);
        if (m->type == LINK_PIN_WAKE)
                check_tail(message, size, m->pin_wake.name, m->pin_wake.name_size);
        if (m->type == LINK_PIN_LINE)
                check_tail(message, size, m->pin_line.text, m->pin_line.text_size);
        if (m->type == LINK_PIN_NAMES)
                check_tail(message, size, m->pin_names.names, m->pin_names.names_size);
        FUZZ_CHECK(link_encode(m, again, sizeof again) == (int) size);
        FUZZ_CHECK(memcmp(again, message, size) == 0);
        for (size_t less = 0; less < size; less += 1 + size / 8)
                FUZZ_CHECK(link_encode(m, again, less) == -EMSGSIZE);
}

static void check(const uint8_t *message, size_t size) {
        LinkMessage m, before;
        int r;

        memset(&m, 0xa5, sizeof m);
        before = m;
        r = link_decode(message, size, &m);
        if (r == 0)
                check_decoded(&m, message, size);
        else {
                FUZZ_CHECK(r == -EBADMSG || r == -EPROTONOSUPPORT);
                FUZZ_CHECK(memcmp(&m, &before, sizeof m) == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const uint8_t good[] = { 0x50, 0x4d, LINK_VERSION, 0 };
        char text[LINK_TEXT_MAX];
        uint8_t *message;

        /* Memory of exactly that size, so that a sanitizer sees each byte beyond. */
        message = calloc(1, size + !size);
        if (!message)
                abort();
        if (size > 0)
                memcpy(message, data, size);
        check(message, size);

        /* Once more with a header that is right, so that the payload is looked at. */
        if (size >= LINK_HEADER_SIZE) {
                const uint32_t payload = htole32((uint32_t) (size - LINK_HEADER_SIZE));

                memcpy(message, good, sizeof good);
                memset(message + 6, 0, 2);
                memcpy(message + 8, &payload, sizeof payload);
                check(message, size);
        }

        FUZZ_CHECK(link_text_fit((const char *) message, size, text) <= MIN(size, LINK_TEXT_MAX));
        free(message);
        return 0;
}
