/* SPDX-License-Identifier: MIT */
/* [environment] of mpyd.conf: what programs find with os.getenv(). The names are the owner's; the section has
 * no table. */
#pragma once

#include "config/config-key.h"

#define ENVIRONMENT_SECTION "environment"
#define ENVIRONMENT_MAX 100u /* variables */

/* One NAME = value; a name that is there already gets the new value. -EINVAL with the reason and the remedy in
 * words, -ENOMEM; c is untouched then. */
int environment_set(Config *c, const char *name, const char *value,
                    char reason[static CONFIG_REASON_MAX]) _must_check_;

void environment_done(Config *c);
