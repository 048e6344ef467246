/* SPDX-License-Identifier: MIT */
/* What every file of the board may know: what the supervisor said at the door, and how to die. */
#pragma once

#include "mpyd/board-link.h"
#include "util/macros.h"

typedef struct Board {
        LinkBoot boot;  /* from the supervisor; fixed for this life */
        void *retained; /* the page that outlives the board */
        uint32_t confined; /* LINK_CONFINED_… */
} Board;

extern Board board;

/* Built with AddressSanitizer. */
#ifndef BOARD_SANITIZED
#define BOARD_SANITIZED 0
#endif

/* Exit statuses of the process; anything else is a signal or a soft reset's 0. */
enum {
        BOARD_EXIT_USAGE = 2,  /* started by hand */
        BOARD_EXIT_FATAL = 70, /* the VM cannot go on; LINK_LOG said why */
        BOARD_EXIT_ORPHAN = 71, /* the supervisor is gone: a board never outlives it */
};

/* What os.getenv() will find; libc has no environment any more. Call before there are threads (modules/os.c). */
void os_environment_take(void);

/* Ends the process here and now. */
_Noreturn void board_exit_orphan(void);
_Noreturn void board_exit_fatal(const char *format, ...) _printf_(1, 2);
