/* SPDX-License-Identifier: MIT */
/* Asking the supervisor for a GPIO line. One question at a time; the answer comes through the I/O thread. */
#pragma once

#include "board/board.h"

typedef struct PinAnswer {
        LinkPinLine line;              /* text points to the next field */
        char text[LINK_PIN_TEXT_MAX + 1];
        int fd;                        /* the caller's, or -EBADF */
} PinAnswer;

/* Waits for the answer, which the supervisor gives at once. The caller has let the GIL go. */
void pin_link_ask(const char *name, PinAnswer *ret);

/* The I/O thread: takes fd over. */
void pin_link_answer(const LinkPinLine *m, int fd);
