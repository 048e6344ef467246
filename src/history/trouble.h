/* SPDX-License-Identifier: MIT */
/* Why history is not on the disk, in words that say what to do. */
#pragma once

#include <stddef.h>

/* What is wrong, in a few words ("the disk is full"). error is negative, of database.h. */
const char *trouble_what(int error);

/* What to do about it, in a sentence. */
const char *trouble_advice(int error);
