/* SPDX-License-Identifier: MIT */
/* Marks wait in order until the output has come to them; lines are cut where they end or a mark is. */
#include "daemon/script-output.h"

#include <stdbool.h>
#include <string.h>

#include "util/macros.h"
#include "util/text.h"

void script_output_init(ScriptOutput *o, ScriptLine emit, void *userdata) {
        *o = (ScriptOutput) { .emit = emit, .userdata = userdata };
}

/* The REPL's traffic, and what the port itself says while it stops, is not the script's (DESIGN 10). */
static bool stage_is_script(BoardStage s) {
        return s == BOARD_STAGE_BOOT_INTERNAL || s == BOARD_STAGE_BOOT || s == BOARD_STAGE_MAIN;
}

static void end_line(ScriptOutput *o) {
        size_t size = o->size;

        o->size = 0;
        while (size > 0 && o->line[size - 1] == '\r')
                size--;
        if (size > 0)
                o->emit(o->userdata, o->stage, o->line, size);
}

/* The line is full. A character at its end that is not complete yet begins the next piece. */
static void cut_line(ScriptOutput *o) {
        char rest[3];
        size_t n = 1;

        while (n < sizeof rest && ((uint8_t) o->line[o->size - n] & 0xc0) == 0x80)
                n++;
        if ((uint8_t) o->line[o->size - n] < 0xc0 || utf8_character(o->line + o->size - n, n) > 0)
                n = 0;
        o->size -= n;
        memcpy(rest, o->line + o->size, n);
        end_line(o);
        memcpy(o->line, rest, n);
        o->size = n;
}

static void feed_stage(ScriptOutput *o, const char *data, size_t size) {
        o->pos += size;
        if (!stage_is_script(o->stage))
                return;
        for (size_t i = 0; i < size; i++) {
                if (data[i] == '\n') {
                        end_line(o);
                        continue;
                }
                if (o->size == sizeof o->line)
                        cut_line(o);
                o->line[o->size++] = data[i];
        }
}

static void apply_mark(ScriptOutput *o) {
        end_line(o);
        o->stage = o->marks[0].stage;
        o->n_marks--;
        memmove(o->marks, o->marks + 1, o->n_marks * sizeof o->marks[0]);
}

void script_output_mark(ScriptOutput *o, BoardStage stage, uint64_t pos) {
        if (o->n_marks > 0)
                pos = MAX(pos, o->marks[o->n_marks - 1].pos);
        if (o->n_marks > 0 && o->marks[o->n_marks - 1].pos == pos)
                o->n_marks--; /* nothing was printed in between */
        if (o->n_marks == SCRIPT_MARKS_MAX) { /* never the REPL's as a script's */
                o->n_marks--;
                o->marks[o->n_marks - 1].stage = BOARD_STAGE_REPL;
        }
        o->marks[o->n_marks].stage = stage;
        o->marks[o->n_marks].pos = pos;
        o->n_marks++;
        while (o->n_marks > 0 && o->marks[0].pos <= o->pos)
                apply_mark(o);
}

void script_output_feed(ScriptOutput *o, const char *data, size_t size) {
        while (size > 0) {
                size_t n = size;

                while (o->n_marks > 0 && o->marks[0].pos <= o->pos)
                        apply_mark(o);
                if (o->n_marks > 0)
                        n = MIN(n, o->marks[0].pos - o->pos);
                feed_stage(o, data, n);
                data += n;
                size -= n;
        }
}

void script_output_end(ScriptOutput *o) {
        end_line(o);
        o->n_marks = 0;
        o->pos = 0;
        o->stage = BOARD_STAGE_OFF;
}
