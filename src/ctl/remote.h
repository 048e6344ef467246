/* SPDX-License-Identifier: MIT */
/* -H user@host: the same command on another machine, by ssh. */
#pragma once

#include <sys/types.h>

#include "ctl/ctl.h"

/* The command line for the shell at the other end, each word quoted. The caller owns *ret. */
int remote_command(const Ctl *c, const Verb *verb, const Invocation *in, const char *run_dir,
                   const char *state_dir, char **ret) _must_check_;

/* Becomes ssh; returns an exit code only when that fails. run_dir and state_dir: as given on the
 * command line or NULL (this machine's environment says nothing about the other). */
int remote_run(const Ctl *c, const Verb *verb, const Invocation *in, const char *run_dir,
               const char *state_dir);

/* fork(2) for a program, ssh or what its bytes go through, with these as the child's standard input and output
 * (ours when negative) and with SIGPIPE. Returns 0 in the child, and negative when there is none; has complained then. */
pid_t remote_fork(const char *what, int in_fd, int out_fd) _must_check_;

/* The same, and the child becomes ssh, with a command line for the shell there, whose quoting is the caller's. */
pid_t remote_start(const Ctl *c, const char *command, int in_fd, int out_fd) _must_check_;

/* A child's exit code; CTL_EXIT_LOST when a signal ended it. */
int remote_wait(pid_t pid) _must_check_;
