/* SPDX-License-Identifier: MIT */
/* Asking the supervisor for a GPIO line, and which there are. One question at a time; the answer comes through the I/O
 * thread. */
#pragma once

#include "board/board.h"

typedef struct PinAnswer {
        LinkPinLine line;              /* text points to the next field */
        char text[LINK_PIN_TEXT_MAX + 1];
        int fd;                        /* the caller's, or -EBADF */
} PinAnswer;

typedef struct PinNames {
        uint32_t next;                 /* from for the names that follow; 0: these were the last */
        size_t size;
        char names[LINK_PIN_NAMES_MAX]; /* each with a NUL behind it */
} PinNames;

/* Both wait for the answer, which the supervisor gives at once. The caller has let the GIL go. */
void pin_link_ask(const char *name, PinAnswer *ret);
void pin_link_ask_names(uint32_t from, PinNames *ret);

/* The I/O thread: takes fd over. */
void pin_link_answer(const LinkPinLine *m, int fd);
void pin_link_answer_names(const LinkPinNames *m);
