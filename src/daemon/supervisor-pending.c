/* SPDX-License-Identifier: MIT */
/* What is configured and not in effect yet: keys that what runs has taken once, when mpyd started or the board did.
 * Compared is with what was taken then, by a fingerprint, so that a key that is set back waits for nothing. */
#include <string.h>

#include "daemon/journal.h"
#include "daemon/supervisor-private.h"

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325) /* FNV-1a */
#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t mix(uint64_t h, const void *data, size_t size) {
        for (const uint8_t *at = data, *end = at + size; at < end; at++)
                h = (h ^ *at) * FNV_PRIME;
        return h;
}

static uint64_t mix_text(uint64_t h, const char *text) {
        return mix(h, text, strlen(text) + 1);
}

static uint64_t mix_number(uint64_t h, uint64_t number) {
        return mix(h, &number, sizeof number);
}

/* ---- what waits, and for what ---- */

static uint64_t safe_mode_button(const Config *c) {
        uint64_t h = mix_text(FNV_OFFSET, c->safe_mode.button);

        h = mix_number(h, (uint64_t) c->safe_mode.button_active);
        return mix_number(h, (uint64_t) c->safe_mode.button_bias);
}

static uint64_t panel(const Config *c) {
        uint64_t h = mix_text(mix_text(FNV_OFFSET, c->reset.button), c->led.line);

        h = mix_number(h, (uint64_t) c->reset.button_active);
        h = mix_number(h, (uint64_t) c->reset.button_bias);
        h = mix_number(h, c->reset.button_debounce_usec);
        return mix_number(h, c->reset.button_long_usec);
}

static uint64_t gpio_chip(const Config *c) {
        return mix_number(FNV_OFFSET, (uint64_t) c->gpio.source);
}

static uint64_t board_user(const Config *c) {
        return mix_text(FNV_OFFSET, c->board.user);
}

static uint64_t history_size(const Config *c) {
        return mix_number(FNV_OFFSET, c->history.max_size);
}

static uint64_t safe_state(const Config *c) {
        return mix_text(FNV_OFFSET, c->pins.safe_state);
}

static uint64_t heap(const Config *c) {
        return mix_number(mix_number(FNV_OFFSET, c->board.heap), c->board.heap_max);
}

static uint64_t flash_quota(const Config *c) {
        return mix_number(FNV_OFFSET, c->board.flash_quota);
}

/* Another order counts as a change, which does no harm. */
static uint64_t environment(const Config *c) {
        uint64_t h = FNV_OFFSET;

        for (size_t i = 0; i < c->n_environment; i++)
                h = mix_text(h, c->environment[i]);
        return h;
}

static const struct {
        ConfigTaken taken;
        uint64_t (*fingerprint)(const Config *c);
        const char *line;
} keys[CONFIG_PENDING_MAX] = {
        { CONFIG_TAKEN_AT_START, safe_mode_button, "[safe-mode] button takes effect when mpyd restarts." },
        { CONFIG_TAKEN_AT_START, panel, "[reset] button and [led] take effect when mpyd restarts." },
        { CONFIG_TAKEN_AT_START, gpio_chip, "[gpio] chip takes effect when mpyd restarts." },
        { CONFIG_TAKEN_AT_START, board_user, "[board] user takes effect when mpyd restarts." },
        { CONFIG_TAKEN_AT_START, history_size, "[history] max-size takes effect when mpyd restarts." },
        { CONFIG_TAKEN_AT_HARD_RESET, safe_state,
          "[pins] safe-state takes effect at the next hard reset of the board." },
        { CONFIG_TAKEN_AT_BOOT, heap, "[board] heap and heap-max take effect at the next reset of the board." },
        { CONFIG_TAKEN_AT_BOOT, flash_quota, "[board] flash-quota takes effect at the next reset of the board." },
        { CONFIG_TAKEN_AT_SPAWN, environment, "[environment] takes effect at the next reset of the board." },
};

void supervisor_config_taken(Supervisor *s, ConfigTaken when) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (when == CONFIG_TAKEN_AT_START || when == keys[i].taken)
                        s->config_taken[i] = keys[i].fingerprint(&s->config);
        if (when == CONFIG_TAKEN_AT_START || when == CONFIG_TAKEN_AT_BOOT) {
                s->heap_max = s->config.board.heap_max;
                s->flash_quota = s->config.board.flash_quota;
        }
}

void supervisor_config_tell_pending(const Supervisor *s, ReloadNote note, void *data) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                if (keys[i].fingerprint(&s->config) == s->config_taken[i])
                        continue;
                journal_log(JOURNAL_CONFIG_PENDING, NULL, "%s", keys[i].line);
                if (note)
                        note(data, false, keys[i].line);
        }
}
