/* SPDX-License-Identifier: MIT */
/* One mpyd-board process: started, spoken to over the link, killed, reaped. It knows descriptors and
 * messages, not what they mean; supervisor-board.c does. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/cgroup.h"
#include "mpyd/board-link.h"
#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct BoardProcess BoardProcess;

typedef struct BoardSpec {
        const char *executable;
        bool change_user;  /* tell it to become uid and gid (mpyd is root) */
        uid_t uid;
        gid_t gid;
        int retained_fd;   /* borrowed */
        int flash_fd;      /* borrowed */
        const Cgroup *cgroup; /* borrowed: where it is started and killed; NULL: where the daemon is */
        char *const *environment; /* borrowed: NULL-terminated, NAME=value; NULL: none */
        const LinkMessage *first; /* what it finds on its link, so that it need not wait; NULL: nothing */
} BoardSpec;

typedef struct BoardHandlers {
        /* A well-formed message; m is valid during the call. */
        void (*message)(void *userdata, const LinkMessage *m);
        /* A message that is not one; what is wrong with it. The process lives on until killed. */
        void (*fault)(void *userdata, const char *what);
        /* The process is gone and reaped, everything it had sent was delivered. exit_status is -1
         * when a signal killed it. The callee may free the process. */
        void (*exited)(void *userdata, int exit_status, int signal);
        void *userdata;
} BoardHandlers;

/* Starts a process. *ret_console_in (write end), *ret_console_out (read end) and
 * *ret_console_unread (a second read end of what it was sent, to take back what it left) become the
 * caller's. -ENOENT and friends say that the executable cannot be run at all; one that cannot be
 * executed for another reason exits with BOARD_EXIT_EXEC. */
int board_process_new(BoardProcess **ret, sd_event *event, const BoardSpec *spec,
                      const BoardHandlers *handlers, int *ret_console_in, int *ret_console_out,
                      int *ret_console_unread) _must_check_;
#define BOARD_EXIT_EXEC 203 /* as systemd.exec(5) */

/* Watches a process that an earlier run of the daemon started and could not end (pidfd: consumed, also on
 * failure). It has no link and no console; nobody tells how it ends: exit status -1, signal 0. */
int board_process_adopt(BoardProcess **ret, sd_event *event, pid_t pid, int pidfd,
                        const Cgroup *cgroup, const BoardHandlers *handlers) _must_check_;

/* Kills a process that still lives (it is not waited for: init reaps it when it cannot die). */
BoardProcess *board_process_free(BoardProcess *b);
DEFINE_CLEANUP(BoardProcess *, board_process_free)

pid_t board_process_pid(const BoardProcess *b);

/* -EAGAIN when the board does not read its messages. */
int board_process_send(BoardProcess *b, const LinkMessage *m) _must_check_;

/* The same with a descriptor beside it (borrowed); fd < 0: without. */
int board_process_send_fd(BoardProcess *b, const LinkMessage *m, int fd) _must_check_;

/* SIGKILL, to all of its cgroup and through its pidfd: it can hit nobody else. The former needs no
 * CAP_KILL, which mpyd.service does not have. -ESRCH: it is gone; another error: neither was possible. */
int board_process_kill(BoardProcess *b);

/* Delivers the messages that have arrived, without waiting for the loop's next turn. The console calls
 * it after reading output, so that stage marks arrive before the bytes they divide are judged. */
void board_process_drain_link(BoardProcess *b);

/* Reads no more messages of a board that broke the rules. */
void board_process_end_link(BoardProcess *b);
