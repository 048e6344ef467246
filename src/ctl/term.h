/* SPDX-License-Identifier: MIT */
/* A terminal in raw mode that is put back however the program ends. */
#pragma once

#include <stdbool.h>

#include "util/macros.h"

/* Raw: bytes as they are typed, no echo, no signals from keys. bracketed_paste: the terminal
 * marks what is pasted. From here to term_restore() every exit and every deadly signal restores
 * the terminal, and a stop (SIGTSTP) does until the program continues. */
int term_set_raw(int fd, bool bracketed_paste) _must_check_;
void term_restore(void);
