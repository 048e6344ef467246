/* SPDX-License-Identifier: MIT */
/* The console: bytes between the board and whoever uses the REPL. One user at a time: a program that
 * has opened the pty, or one session of the control bus. It stays the same over every reset, keeps
 * what a soft reset has not read, and cuts what scripts print into lines for the journal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mpyd/reset.h"
#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct Console Console;

typedef struct ConsoleOptions {
        const char *link;             /* where the pty is found */
        gid_t gid;                    /* who may open it; -1: as it comes */
        int pty_master;               /* of an earlier run's pty (consumed), to go on with; 0: a new one */
        uint64_t stall_timeout_usec;  /* a user that does not read holds the board up this long, once */
        /* Whether the output is that of code which the user has entered: it waits for them for patience_usec, as a
         * program waits for a pipe. NULL: it never is. */
        bool (*is_users_code)(void *userdata);
        uint64_t patience_usec;
} ConsoleOptions;

/* Called before output is judged: deliver the board's stage messages that have arrived. */
typedef void (*ConsoleSync)(void *userdata);

int console_new(Console **ret, sd_event *event, const ConsoleOptions *options, ConsoleSync sync,
                void *userdata) _must_check_;
Console *console_free(Console *c);
DEFINE_CLEANUP(Console *, console_free)

/* Called when somebody begins to use the REPL, or nobody does any more; once at once when somebody does
 * already. userdata: console_new()'s. */
typedef void (*ConsoleUser)(void *userdata, bool in_use);
void console_watch_user(Console *c, ConsoleUser user);

void console_set_stall_timeout(Console *c, uint64_t usec);

/* A new board. Consumes the three descriptors of board_process_new(), also on failure. */
int console_attach_board(Console *c, int in_fd, int out_fd, int unread_fd) _must_check_;

/* The board has ended: takes what it had printed to the end. keep_input: what it was sent and did not
 * read goes to the next one, before everything newer. */
void console_detach_board(Console *c, bool keep_input);

/* Bytes that a board had read and hands on (LINK_UNREAD_INPUT), in order; they go before what is in
 * its pipe. -ENOBUFS over LINK_INPUT_MAX. */
int console_return_input(Console *c, const void *data, size_t size) _must_check_;

/* Hard reset: what was typed before it is gone. */
void console_discard_input(Console *c);

/* The board's output belongs to stage from its byte pos on. */
void console_set_stage(Console *c, BoardStage stage, uint64_t pos);
/* Takes the board's output up to its byte pos now, as far as it has come and its user keeps up. */
void console_take_output(Console *c, uint64_t pos);

/* Gives the REPL to a session: *ret is the caller's end of a stream socket. -EBUSY: somebody has it
 * (console_holder() says who) and take_over is false. who is shown to others ("mpyctl repl (root)"). */
int console_open_session(Console *c, const char *who, bool take_over, int *ret) _must_check_;

/* Somebody uses the REPL. */
bool console_in_use(const Console *c);

/* Who uses the REPL: "" for nobody. Valid until the next call. */
const char *console_holder(Console *c);

const char *console_pty_path(const Console *c);

/* The pty's master, for the service manager to keep; it stays the console's. */
int console_pty_master(const Console *c);
