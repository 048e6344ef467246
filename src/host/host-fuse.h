/* SPDX-License-Identifier: MIT */
/* Why the board is switched on: the run mark, the host mark and what the machine shows, made into one
 * cause with its evidence. A pure function. Unknown is said, never guessed. */
#pragma once

#include "host/evidence.h"
#include "host/host-facts.h"
#include "host/run-mark.h"

typedef struct HostVerdict {
        ResetCause cause;
        ResetReason reason;
        char detail[RUN_DETAIL_MAX]; /* a sentence */
        bool host_booted;            /* since the run before; not only the daemon was started */
        SafeModeReason fault;        /* the host went down by what a program may have caused; or NONE */
        Evidence evidence;           /* the strongest first */
} HostVerdict;

/* run: what the run mark says (PWRON: nothing of this boot of the host). */
HostVerdict host_fuse(const RunStart *run, const HostFacts *f);
