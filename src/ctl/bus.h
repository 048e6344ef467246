/* SPDX-License-Identifier: MIT */
/* mpyctl's end of the control bus (include/mpyd/control.h): connect, call, and say in clear text
 * what went wrong and what to do next. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "ctl/ctl.h"

struct json_t;

/* Connects. -ENOENT, -ECONNREFUSED: no daemon there (bus_is_absent()); -EACCES: not ours to
 * open. */
int bus_connect(const Ctl *c, sd_bus **ret) _must_check_;
bool bus_is_absent(int error);

/* The same for verbs that cannot do without: has complained when it returns an exit code > 0. */
int bus_connect_or_explain(const Ctl *c, sd_bus **ret) _must_check_;

/* Complains about a failed connect or call, e may be NULL. doing: "reset the board". Returns the
 * exit code for it. */
int bus_explain(const Ctl *c, int error, const sd_bus_error *e, const char *doing);

/* c means the mpyd that systemd runs, by where its socket is, not one that somebody started by hand. */
bool run_dir_is_the_services(const Ctl *c);

/* All properties as an object with the names in snake_case ("board_pid"); the caller owns it. */
int bus_get_properties(sd_bus *bus, struct json_t **ret, sd_bus_error *e) _must_check_;

/* Connects and reads them all: has complained when it returns an exit code > 0. *ret_bus is the caller's, too
 * (NULL: not wanted). Without a daemon *ret is NULL for _if_running, and that is no failure. */
int bus_read_state(const Ctl *c, sd_bus **ret_bus, struct json_t **ret) _must_check_;
int bus_read_state_if_running(const Ctl *c, sd_bus **ret_bus, struct json_t **ret) _must_check_;

/* A method of the board's interface. The default timeout is generous: a forced stop takes
 * seconds. */
#define BUS_TIMEOUT_USEC (30 * UINT64_C(1000000))
int bus_callv(sd_bus *bus, const char *method, sd_bus_error *e, sd_bus_message **ret,
              const char *types, va_list ap) _must_check_;
int bus_call(sd_bus *bus, const char *method, sd_bus_error *e, sd_bus_message **ret,
             const char *types, ...) _must_check_;

/* Connects, calls a method that answers nothing, explains a failure as what kept us from doing it. An exit
 * code. */
int bus_order(const Ctl *c, const char *doing, const char *method, const char *types, ...) _must_check_;

/* The REPL. *ret is a connected stream socket. verb is what others are told ("repl"). */
int bus_open_console(sd_bus *bus, const char *verb, bool take_over, sd_bus_error *e, int *ret)
        _must_check_;

/* Properties by name, with a default for what an older daemon lacks. */
const char *property_string(const struct json_t *properties, const char *name);
uint64_t property_u64(const struct json_t *properties, const char *name);
