/* SPDX-License-Identifier: MIT */
/* This Linux machine as the board sees it: whether its clock can be believed, what tells it from other
 * boards. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpyd/board-link.h"
#include "util/macros.h"

/* The kernel calls the wall clock synchronised (adjtimex(2), STA_UNSYNC not set). */
bool host_clock_synced(void);

/* Derived from machine-id(5), never the id itself; all zero where there is none. */
void host_unique_id(uint8_t ret[static LINK_UNIQUE_ID_SIZE]);
