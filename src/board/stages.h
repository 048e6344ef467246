/* SPDX-License-Identifier: MIT */
/* The life of a VM from _boot.py to the last prompt (SPEC 1.1, 1.3). */
#pragma once

#include <stdbool.h>

#include "mpyd/reset.h"

/* Returns when the life is to end as a soft reset does. */
void stages_run(void);

/* Tells the supervisor that a stage begins, after all that was printed before. */
void stage_begin(BoardStage stage);

/* The stage is the REPL's. */
bool stages_at_repl(void);
