/* SPDX-License-Identifier: MIT */
/* -H user@host: the same command on another machine, by ssh. */
#pragma once

#include "ctl/ctl.h"

/* The command line for the shell at the other end, each word quoted. The caller owns *ret. */
int remote_command(const Ctl *c, const Verb *verb, const Invocation *in, const char *run_dir,
                   const char *state_dir, char **ret) _must_check_;

/* Becomes ssh; returns an exit code only when that fails. run_dir and state_dir: as given on the
 * command line or NULL (this machine's environment says nothing about the other). */
int remote_run(const Ctl *c, const Verb *verb, const Invocation *in, const char *run_dir,
               const char *state_dir);

/* Becomes ssh with a command line for the shell there, whose quoting is the caller's. */
int remote_shell(const Ctl *c, const char *command);
