/* SPDX-License-Identifier: MIT */
/* mpyctl pin watch: lines as they change, until it is interrupted or mpyd goes. */
#pragma once

#include "ctl/ctl.h"

typedef struct sd_bus sd_bus;

/* names: n of them; none: those that are in use. Returns the exit code. */
int pin_watch(const Ctl *c, sd_bus *bus, char *const *names, size_t n) _must_check_;
