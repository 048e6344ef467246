/* SPDX-License-Identifier: MIT */
/* The board's end of the link (mpyd/board-link.h). Any thread may send. */
#pragma once

#include <stdbool.h>

#include "board/board.h"

/* Waits for the supervisor to take it: the link is small and the supervisor never stops reading. A
 * dead supervisor ends the process. */
void link_send(const LinkMessage *m);

/* A line for the journal. Never waits: a line that does not fit now is lost. */
void link_log(int level, const char *format, ...) _printf_(2, 3);

/* What the history shall know of this end: a line that no later one replaces. Never waits. Also from a handler of a
 * signal. */
void link_last_words(const char *text);

/* Receives one message into buf (LINK_MESSAGE_MAX bytes), which m points into. True: *ret is valid.
 * False: none there now (wait is false). Ends the process when the supervisor is gone or talks
 * nonsense. ret_fd: the descriptor that came with it, the caller's, or -EBADF; NULL: none is taken. */
bool link_receive(bool wait, void *buf, LinkMessage *ret, int *ret_fd);
