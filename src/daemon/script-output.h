/* SPDX-License-Identifier: MIT */
/* What scripts print, cut into lines, each under the name of the script that printed it. Which bytes
 * belong to which stage is known exactly: stage messages carry a position in the output. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mpyd/reset.h"

#define SCRIPT_LINE_MAX 1024u /* a longer line is cut into several */
#define SCRIPT_MARKS_MAX 512u /* more than the link holds */

typedef void (*ScriptLine)(void *userdata, BoardStage stage, const char *line, size_t size);

typedef struct ScriptOutput {
        ScriptLine emit;
        void *userdata;
        BoardStage stage;
        uint64_t pos;
        struct {
                BoardStage stage;
                uint64_t pos;
        } marks[SCRIPT_MARKS_MAX];
        size_t n_marks;
        char line[SCRIPT_LINE_MAX];
        size_t size;
} ScriptOutput;

void script_output_init(ScriptOutput *o, ScriptLine emit, void *userdata);

/* From byte pos on the output belongs to stage; a pos that has passed counts from here. When too many wait, what is
 * between the newest is nobody's any more, and not emitted. */
void script_output_mark(ScriptOutput *o, BoardStage stage, uint64_t pos);
void script_output_feed(ScriptOutput *o, const char *data, size_t size);

/* The board has ended: the last line may lack its newline. Positions start anew. */
void script_output_end(ScriptOutput *o);
