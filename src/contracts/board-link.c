/* SPDX-License-Identifier: MIT */
/* Codec of the board link. A message has exactly one encoding: what link_decode() takes,
 * link_encode() gives back byte for byte. Payloads, little-endian:
 *
 *   HELLO         u32 version, u32 confined
 *   STAGE         u32 stage, u32 0, u64 console_pos
 *   STAGE_END     u32 stage, u32 result, u64 console_pos, text
 *   RESET         u32 kind, u32 raw_repl (0 or 1), u64 sleep_usec, u64 console_pos
 *   UNREAD_INPUT  data
 *   LOG           u8 level, data
 *   BOOT          u32 cause, u32 reason, u32 run_reason, u32 kind, u32 flags, u32 safe_mode,
 *                 u64 heap_size, u64 heap_max, u64 flash_quota, 8 bytes unique_id
 *   WATCHDOG      u32 id, u32 0, u64 timeout_usec, u64 warn_usec
 *   WATCHDOG_WARNING  u32 id
 *   PIN           u32 ticket, name
 *   PIN_LINE      u32 ticket, u32 error, u32 direction, u32 pull, text
 *   AWAKE, INTERRUPT, STOP, ABORT: empty */
#include "mpyd/board-link.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "util/gpio-line.h"
#include "util/macros.h"

#define HELLO_SIZE 8u
#define STAGE_SIZE 16u
#define STAGE_END_SIZE 16u /* and text */
#define RESET_SIZE 24u
#define LOG_SIZE 1u /* and data */
#define WATCHDOG_SIZE 24u
#define WATCHDOG_WARNING_SIZE 4u
#define PIN_SIZE 4u /* and name */
#define PIN_LINE_SIZE 16u /* and text */
#define PIN_NAMES_SIZE 8u /* and names */
#define ERRNO_MAX 4095u
#define BOOT_SIZE (48u + LINK_UNIQUE_ID_SIZE)

static_assert(STAGE_END_SIZE + LINK_TEXT_MAX <= LINK_PAYLOAD_MAX, "a traceback fits");

static void put16(uint8_t *p, uint16_t v) {
        v = htole16(v);
        memcpy(p, &v, sizeof v);
}

static void put32(uint8_t *p, uint32_t v) {
        v = htole32(v);
        memcpy(p, &v, sizeof v);
}

static void put64(uint8_t *p, uint64_t v) {
        v = htole64(v);
        memcpy(p, &v, sizeof v);
}

static uint16_t get16(const uint8_t *p) {
        uint16_t v;

        memcpy(&v, p, sizeof v);
        return le16toh(v);
}

static uint32_t get32(const uint8_t *p) {
        uint32_t v;

        memcpy(&v, p, sizeof v);
        return le32toh(v);
}

static uint64_t get64(const uint8_t *p) {
        uint64_t v;

        memcpy(&v, p, sizeof v);
        return le64toh(v);
}

static bool watchdog_valid(const LinkWatchdog *w) {
        if (!watchdog_id_to_string(w->id))
                return false;
        if (w->timeout_usec == 0)
                return w->id != WATCHDOG_MACHINE && w->warn_usec == 0;
        return w->timeout_usec >= LINK_WATCHDOG_MIN_USEC &&
               w->timeout_usec <= LINK_WATCHDOG_MAX_USEC && w->warn_usec < w->timeout_usec;
}

static bool pin_name_valid(const char *name, size_t size) {
        return name && size > 0 && size <= LINK_PIN_NAME_MAX && !memchr(name, '\0', size);
}

static bool pin_names_valid(const LinkPinNames *n) {
        if (n->names_size > LINK_PIN_NAMES_MAX || (!n->names && n->names_size > 0))
                return false;
        return n->names_size == 0 || n->names[n->names_size - 1] == '\0';
}

static bool pin_line_valid(const LinkPinLine *l) {
        return l->error <= ERRNO_MAX && l->direction < GPIO_DIRECTION_MAX && l->pull < GPIO_PULL_MAX &&
               l->text_size <= LINK_PIN_TEXT_MAX && (l->text || l->text_size == 0);
}

/* Both ways ask the same question about a value, so that they cannot disagree. */
static bool message_valid(const LinkMessage *m) {
        switch (m->type) {
        case LINK_HELLO:
                return m->hello.version == LINK_VERSION &&
                       (m->hello.confined & ~(uint32_t) LINK_CONFINED_ALL) == 0;
        case LINK_STAGE:
        case LINK_OUTPUT:
                return board_stage_to_string(m->stage.stage) != NULL;
        case LINK_STAGE_END:
                return board_stage_to_string(m->stage_end.stage) &&
                       stage_result_to_string(m->stage_end.result) &&
                       (m->stage_end.text || m->stage_end.text_size == 0);
        case LINK_RESET:
                return reset_kind_to_string(m->reset.kind) != NULL;
        case LINK_UNREAD_INPUT:
                return m->data.level == 0 && (m->data.data || m->data.size == 0);
        case LINK_LOG:
                return m->data.level <= 7 && (m->data.data || m->data.size == 0);
        case LINK_BOOT:
                return reset_cause_to_string(m->boot.cause) &&
                       reset_reason_to_string(m->boot.reason) &&
                       run_reason_to_string(m->boot.run_reason) &&
                       reset_kind_to_string(m->boot.kind) &&
                       (m->boot.flags & ~(uint32_t) LINK_BOOT_FLAGS_ALL) == 0 &&
                       safe_mode_reason_to_string(m->boot.safe_mode) &&
                       m->boot.heap_max >= m->boot.heap_size;
        case LINK_WATCHDOG:
                return watchdog_valid(&m->watchdog);
        case LINK_WATCHDOG_WARNING:
                return watchdog_id_to_string(m->watchdog_warning.id) != NULL;
        case LINK_PIN:
                return pin_name_valid(m->pin.name, m->pin.name_size);
        case LINK_PIN_WAKE:
                return pin_name_valid(m->pin_wake.name, m->pin_wake.name_size) && (m->pin_wake.edges & 3) != 0 &&
                       m->pin_wake.edges <= (3 | LINK_PIN_WAKE_NOW);
        case LINK_PIN_LINE:
                return pin_line_valid(&m->pin_line);
        case LINK_PIN_LIST:
                return m->pin_names.names_size == 0;
        case LINK_PIN_NAMES:
                return pin_names_valid(&m->pin_names);
        case LINK_AWAKE:
        case LINK_INTERRUPT:
        case LINK_STOP:
        case LINK_ABORT:
                return true;
        case LINK_TYPE_INVALID:
                break;
        }
        return false;
}

/* Size of the fixed part of a payload; *ret_tail is the part of free length behind it. */
static size_t payload_layout(const LinkMessage *m, const char **ret_tail, size_t *ret_tail_size) {
        *ret_tail = NULL;
        *ret_tail_size = 0;

        switch (m->type) {
        case LINK_HELLO:
                return HELLO_SIZE;
        case LINK_STAGE:
        case LINK_OUTPUT:
                return STAGE_SIZE;
        case LINK_STAGE_END:
                *ret_tail = m->stage_end.text;
                *ret_tail_size = m->stage_end.text_size;
                return STAGE_END_SIZE;
        case LINK_RESET:
                return RESET_SIZE;
        case LINK_UNREAD_INPUT:
                *ret_tail = m->data.data;
                *ret_tail_size = m->data.size;
                return 0;
        case LINK_LOG:
                *ret_tail = m->data.data;
                *ret_tail_size = m->data.size;
                return LOG_SIZE;
        case LINK_BOOT:
                return BOOT_SIZE;
        case LINK_WATCHDOG:
                return WATCHDOG_SIZE;
        case LINK_WATCHDOG_WARNING:
                return WATCHDOG_WARNING_SIZE;
        case LINK_PIN:
                *ret_tail = m->pin.name;
                *ret_tail_size = m->pin.name_size;
                return PIN_SIZE;
        case LINK_PIN_WAKE:
                *ret_tail = m->pin_wake.name;
                *ret_tail_size = m->pin_wake.name_size;
                return PIN_SIZE;
        case LINK_PIN_LINE:
                *ret_tail = m->pin_line.text;
                *ret_tail_size = m->pin_line.text_size;
                return PIN_LINE_SIZE;
        case LINK_PIN_LIST:
        case LINK_PIN_NAMES:
                *ret_tail = m->pin_names.names;
                *ret_tail_size = m->pin_names.names_size;
                return PIN_NAMES_SIZE;
        case LINK_AWAKE:
        case LINK_INTERRUPT:
        case LINK_STOP:
        case LINK_ABORT:
        case LINK_TYPE_INVALID:
                break;
        }
        return 0;
}

static void encode_boot(const LinkBoot *b, uint8_t *p) {
        put32(p, (uint32_t) b->cause);
        put32(p + 4, (uint32_t) b->reason);
        put32(p + 8, (uint32_t) b->run_reason);
        put32(p + 12, (uint32_t) b->kind);
        put32(p + 16, b->flags);
        put32(p + 20, (uint32_t) b->safe_mode);
        put64(p + 24, b->heap_size);
        put64(p + 32, b->heap_max);
        put64(p + 40, b->flash_quota);
        memcpy(p + 48, b->unique_id, LINK_UNIQUE_ID_SIZE);
}

static void encode_fixed(const LinkMessage *m, uint8_t *p) {
        switch (m->type) {
        case LINK_HELLO:
                put32(p, m->hello.version);
                put32(p + 4, m->hello.confined);
                break;
        case LINK_STAGE:
        case LINK_OUTPUT:
                put32(p, (uint32_t) m->stage.stage);
                put32(p + 4, 0);
                put64(p + 8, m->stage.console_pos);
                break;
        case LINK_STAGE_END:
                put32(p, (uint32_t) m->stage_end.stage);
                put32(p + 4, (uint32_t) m->stage_end.result);
                put64(p + 8, m->stage_end.console_pos);
                break;
        case LINK_RESET:
                put32(p, (uint32_t) m->reset.kind);
                put32(p + 4, m->reset.raw_repl);
                put64(p + 8, m->reset.sleep_usec);
                put64(p + 16, m->reset.console_pos);
                break;
        case LINK_LOG:
                p[0] = m->data.level;
                break;
        case LINK_BOOT:
                encode_boot(&m->boot, p);
                break;
        case LINK_WATCHDOG:
                put32(p, (uint32_t) m->watchdog.id);
                put32(p + 4, 0);
                put64(p + 8, m->watchdog.timeout_usec);
                put64(p + 16, m->watchdog.warn_usec);
                break;
        case LINK_WATCHDOG_WARNING:
                put32(p, (uint32_t) m->watchdog_warning.id);
                break;
        case LINK_PIN:
                put32(p, m->pin.ticket);
                break;
        case LINK_PIN_WAKE:
                put32(p, m->pin_wake.edges);
                break;
        case LINK_PIN_LINE:
                put32(p, m->pin_line.ticket);
                put32(p + 4, m->pin_line.error);
                put32(p + 8, m->pin_line.direction);
                put32(p + 12, m->pin_line.pull);
                break;
        case LINK_PIN_LIST:
        case LINK_PIN_NAMES:
                put32(p, m->pin_names.ticket);
                put32(p + 4, m->pin_names.position);
                break;
        case LINK_AWAKE:
        case LINK_UNREAD_INPUT:
        case LINK_INTERRUPT:
        case LINK_STOP:
        case LINK_ABORT:
        case LINK_TYPE_INVALID:
                break;
        }
}

int link_encode(const LinkMessage *m, void *buf, size_t size) {
        size_t fixed, tail_size;
        const char *tail;
        uint8_t *p = buf;

        if (!message_valid(m))
                return -EINVAL;
        fixed = payload_layout(m, &tail, &tail_size);
        if (tail_size > LINK_PAYLOAD_MAX - fixed || size < LINK_HEADER_SIZE + fixed + tail_size)
                return -EMSGSIZE;

        put16(p, LINK_MAGIC);
        put16(p + 2, LINK_VERSION);
        put16(p + 4, (uint16_t) m->type);
        put16(p + 6, 0);
        put32(p + 8, (uint32_t) (fixed + tail_size));
        put32(p + 12, m->seq);
        encode_fixed(m, p + LINK_HEADER_SIZE);
        if (tail_size > 0)
                memcpy(p + LINK_HEADER_SIZE + fixed, tail, tail_size);
        return (int) (LINK_HEADER_SIZE + fixed + tail_size);
}

/* An enum comes as 32 bits; what does not fit an int cannot be one of its values. */
static int get_enum(const uint8_t *p) {
        uint32_t v = get32(p);

        return v <= INT32_MAX ? (int) v : -EINVAL;
}

/* The decoders of the payloads answer false for a wrong size or a reserved field that is not
 * zero. */
static bool decode_boot(const uint8_t *p, size_t size, LinkBoot *ret) {
        if (size != BOOT_SIZE)
                return false;
        *ret = (LinkBoot) {
                .cause = (ResetCause) get_enum(p),
                .reason = (ResetReason) get_enum(p + 4),
                .run_reason = (RunReason) get_enum(p + 8),
                .kind = (ResetKind) get_enum(p + 12),
                .flags = get32(p + 16),
                .safe_mode = (SafeModeReason) get_enum(p + 20),
                .heap_size = get64(p + 24),
                .heap_max = get64(p + 32),
                .flash_quota = get64(p + 40),
        };
        memcpy(ret->unique_id, p + 48, LINK_UNIQUE_ID_SIZE);
        return true;
}

static bool decode_pin_line(const uint8_t *p, size_t size, LinkPinLine *ret) {
        if (size < PIN_LINE_SIZE)
                return false;
        *ret = (LinkPinLine) {
                .ticket = get32(p),
                .error = get32(p + 4),
                .direction = get32(p + 8),
                .pull = get32(p + 12),
                .text = (const char *) p + PIN_LINE_SIZE,
                .text_size = size - PIN_LINE_SIZE,
        };
        return true;
}

static bool decode_pin_names(const uint8_t *p, size_t size, LinkPinNames *ret) {
        if (size < PIN_NAMES_SIZE)
                return false;
        *ret = (LinkPinNames) {
                .ticket = get32(p),
                .position = get32(p + 4),
                .names = (const char *) p + PIN_NAMES_SIZE,
                .names_size = size - PIN_NAMES_SIZE,
        };
        return true;
}

static bool decode_payload(const uint8_t *p, size_t size, LinkMessage *m) {
        switch (m->type) {
        case LINK_HELLO:
                if (size != HELLO_SIZE)
                        return false;
                m->hello = (LinkHello) { .version = get32(p), .confined = get32(p + 4) };
                return true;
        case LINK_STAGE:
        case LINK_OUTPUT:
                if (size != STAGE_SIZE || get32(p + 4) != 0)
                        return false;
                m->stage = (LinkStage) {
                        .stage = (BoardStage) get_enum(p),
                        .console_pos = get64(p + 8),
                };
                return true;
        case LINK_STAGE_END:
                if (size < STAGE_END_SIZE)
                        return false;
                m->stage_end = (LinkStageEnd) {
                        .stage = (BoardStage) get_enum(p),
                        .result = (StageResult) get_enum(p + 4),
                        .console_pos = get64(p + 8),
                        .text = (const char *) p + STAGE_END_SIZE,
                        .text_size = size - STAGE_END_SIZE,
                };
                return true;
        case LINK_RESET:
                if (size != RESET_SIZE || get32(p + 4) > 1)
                        return false;
                m->reset = (LinkReset) {
                        .kind = (ResetKind) get_enum(p),
                        .raw_repl = get32(p + 4) == 1,
                        .sleep_usec = get64(p + 8),
                        .console_pos = get64(p + 16),
                };
                return true;
        case LINK_UNREAD_INPUT:
                m->data = (LinkData) { .data = (const char *) p, .size = size };
                return true;
        case LINK_LOG:
                if (size < LOG_SIZE)
                        return false;
                m->data = (LinkData) {
                        .level = p[0],
                        .data = (const char *) p + LOG_SIZE,
                        .size = size - LOG_SIZE,
                };
                return true;
        case LINK_BOOT:
                return decode_boot(p, size, &m->boot);
        case LINK_WATCHDOG:
                if (size != WATCHDOG_SIZE || get32(p + 4) != 0)
                        return false;
                m->watchdog = (LinkWatchdog) {
                        .id = (WatchdogId) get_enum(p),
                        .timeout_usec = get64(p + 8),
                        .warn_usec = get64(p + 16),
                };
                return true;
        case LINK_WATCHDOG_WARNING:
                if (size != WATCHDOG_WARNING_SIZE)
                        return false;
                m->watchdog_warning.id = (WatchdogId) get_enum(p);
                return true;
        case LINK_PIN:
                if (size < PIN_SIZE)
                        return false;
                m->pin = (LinkPin) {
                        .ticket = get32(p),
                        .name = (const char *) p + PIN_SIZE,
                        .name_size = size - PIN_SIZE,
                };
                return true;
        case LINK_PIN_WAKE:
                if (size < PIN_SIZE)
                        return false;
                m->pin_wake = (LinkPinWake) {
                        .edges = get32(p),
                        .name = (const char *) p + PIN_SIZE,
                        .name_size = size - PIN_SIZE,
                };
                return true;
        case LINK_PIN_LINE:
                return decode_pin_line(p, size, &m->pin_line);
        case LINK_PIN_LIST:
        case LINK_PIN_NAMES:
                return decode_pin_names(p, size, &m->pin_names);
        case LINK_AWAKE:
        case LINK_INTERRUPT:
        case LINK_STOP:
        case LINK_ABORT:
                return size == 0;
        case LINK_TYPE_INVALID:
                break;
        }
        return false;
}

int link_decode(const void *buf, size_t size, LinkMessage *ret) {
        const uint8_t *p = buf;
        LinkMessage m = {};
        size_t payload;

        if (size < LINK_HEADER_SIZE || size > LINK_MESSAGE_MAX)
                return -EBADMSG;
        payload = size - LINK_HEADER_SIZE;
        if (get16(p) != LINK_MAGIC || get16(p + 6) != 0 || get32(p + 8) != payload)
                return -EBADMSG;
        /* What a type means belongs to the version: do not look further in another one. */
        if (get16(p + 2) != LINK_VERSION)
                return -EPROTONOSUPPORT;

        m.type = (LinkType) get16(p + 4);
        m.seq = get32(p + 12);
        if (!decode_payload(p + LINK_HEADER_SIZE, payload, &m))
                return -EBADMSG;
        if (m.type == LINK_HELLO && m.hello.version != LINK_VERSION)
                return -EPROTONOSUPPORT;
        if (!message_valid(&m))
                return -EBADMSG;
        *ret = m;
        return 0;
}

/* Moves a cut at i to the start of a UTF-8 character, backwards or forwards. Four bytes at most:
 * text that is not UTF-8 is cut where it is. */
static size_t cut_at_character(const char *text, size_t size, size_t i, int step) {
        for (unsigned n = 0; n < 4 && i > 0 && i < size; n++, i += (size_t) step)
                if (((uint8_t) text[i] & 0xc0) != 0x80)
                        break;
        return i;
}

size_t link_text_fit(const char *text, size_t text_size, char out[static LINK_TEXT_MAX]) {
        enum { HEAD = 1000, NOTE_MAX = 64, TAIL = LINK_TEXT_MAX - HEAD - NOTE_MAX, LINE = 200 };
        size_t head, tail;
        int note;

        if (text_size <= LINK_TEXT_MAX) {
                if (text_size > 0)
                        memcpy(out, text, text_size);
                return text_size;
        }

        /* Whole lines where lines have a usual length, whole characters otherwise. */
        head = cut_at_character(text, text_size, HEAD, -1);
        for (size_t i = HEAD; i > HEAD - LINE; i--)
                if (text[i - 1] == '\n') {
                        head = i;
                        break;
                }
        tail = cut_at_character(text, text_size, text_size - TAIL, 1);
        for (size_t i = text_size - TAIL; i < text_size - TAIL + LINE; i++)
                if (text[i - 1] == '\n') {
                        tail = i;
                        break;
                }

        memcpy(out, text, head);
        note = snprintf(out + head, NOTE_MAX, "%s... %zu bytes left out ...\n",
                        text[head - 1] == '\n' ? "" : "\n", tail - head);
        assert(note > 0 && note < NOTE_MAX);
        memcpy(out + head + note, text + tail, text_size - tail);
        return head + (size_t) note + (text_size - tail);
}

const char *link_type_to_string(LinkType t) {
        switch (t) {
        case LINK_HELLO:
                return "hello";
        case LINK_STAGE:
                return "stage";
        case LINK_OUTPUT:
                return "output";
        case LINK_STAGE_END:
                return "stage-end";
        case LINK_RESET:
                return "reset";
        case LINK_UNREAD_INPUT:
                return "unread-input";
        case LINK_LOG:
                return "log";
        case LINK_WATCHDOG:
                return "watchdog";
        case LINK_AWAKE:
                return "awake";
        case LINK_BOOT:
                return "boot";
        case LINK_INTERRUPT:
                return "interrupt";
        case LINK_STOP:
                return "stop";
        case LINK_ABORT:
                return "abort";
        case LINK_WATCHDOG_WARNING:
                return "watchdog-warning";
        case LINK_PIN:
                return "pin";
        case LINK_PIN_WAKE:
                return "pin-wake";
        case LINK_PIN_LINE:
                return "pin-line";
        case LINK_PIN_LIST:
                return "pin-list";
        case LINK_PIN_NAMES:
                return "pin-names";
        case LINK_TYPE_INVALID:
                break;
        }
        return NULL;
}
