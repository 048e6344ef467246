/* SPDX-License-Identifier: MIT */
/* What the board does, in a line. */
#include "ctl/headline.h"

#include <inttypes.h>
#include <jansson.h>
#include <time.h>

#include "ctl/bus.h"
#include "util/parse.h"

static const StateWords states[] = {
        { "off", "switched off", STYLE_DIM, "mpyctl reset switches it on" },
        { "waiting", "waiting to start", STYLE_YELLOW,
          "mpyctl log says what went wrong; mpyctl reset tries at once, mpyctl safe-mode enter does so without the program" },
        { "powering-on", "powering on", STYLE_YELLOW, NULL },
        { "booting", "booting", STYLE_YELLOW, NULL },
        { "running", "running", STYLE_GREEN, NULL },
        { "idle", "idle at the REPL", STYLE_GREEN, NULL },
        { "stopping", "stopping", STYLE_YELLOW, NULL },
        { "deep-sleep", "in deep sleep", STYLE_CYAN, "mpyctl reset wakes it" },
        { "stuck", "stuck", STYLE_RED,
          "it hangs in the kernel: see dmesg for the driver; a reboot of the host frees it" },
};

const StateWords *state_words(const char *name) {
        static const StateWords unknown = { "", "in a state that this mpyctl does not know",
                                            STYLE_YELLOW, NULL };

        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                if (streq(states[i].state, name))
                        return &states[i];
        return &unknown;
}

const char *since_boottime(char *buf, size_t size, uint64_t usec) {
        uint64_t now = now_usec(CLOCK_BOOTTIME);

        return format_timespan(buf, size, usec > 0 && usec < now ? now - usec : 0);
}

bool repl_state_runs(const json_t *p) {
        const char *state = property_string(p, "repl_state");

        return streq(state, "running") || streq(state, "raw-running");
}

bool is_at_prompt(const json_t *p) {
        return streq(property_string(p, "stage"), "repl") && !repl_state_runs(p);
}

void headline_print(FILE *f, const json_t *p) {
        const char *state = property_string(p, "state"), *stage = property_string(p, "stage");
        bool at_repl_runs = repl_state_runs(p);
        const StateWords *w = state_words(state);
        bool named = streq(state, "booting") || streq(state, "running");
        uint64_t next = property_u64(p, "next_boot_boottime"), now = now_usec(CLOCK_BOOTTIME);
        char span[TIMESPAN_MAX];

        fprintf(f, "%s%s mpyd %s%s, the board is %s%s%s%s%s%s", style_on(f, w->style),
               glyph(GLYPH_DOT), property_string(p, "version"), style_off(f),
               style_on(f, w->style), at_repl_runs ? "running code entered at the REPL" : w->words, named ? " " : "", named ? stage : "",
               style_off(f), style_on(f, STYLE_NONE));
        if (property_u64(p, "board_pid") > 0 && property_u64(p, "stage_boottime") > 0 && !at_repl_runs)
                fprintf(f, streq(state, "idle") ? ", where it came %s ago" : " for %s",
                        since_boottime(span, sizeof(span), property_u64(p, "stage_boottime")));
        if (property_u64(p, "board_pid") == 0 && next > now && next < INT64_MAX)
                fprintf(f, ", the next boot in %s", format_timespan(span, sizeof(span), next - now));
        fputc('\n', f);
}
