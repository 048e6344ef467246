/* SPDX-License-Identifier: MIT */
/* The life of a VM from _boot.py to the last prompt (SPEC 1.1, 1.3). */
#pragma once

#include <stdbool.h>

#include "mpyd/reset.h"

/* Returns when the life is to end as a soft reset does. */
void stages_run(void);

/* Tells the supervisor that a stage begins, after all that was printed before. */
void stage_begin(BoardStage stage);

/* The stage is the REPL's, in a life in which main.py's turn has come: who prints there beside the REPL is the program. */
bool stages_program_at_repl(void);
