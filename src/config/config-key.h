/* SPDX-License-Identifier: MIT */
/* One key of mpyd.conf: finding it, setting it, saying what would be right. */
#pragma once

#include "config/config.h"

#define CONFIG_REASON_MAX 256u

/* Exact names, NULL when there is no such key. */
const ConfigKey *config_key_find(const char *section, const char *key);

/* The section's name as it stands in the table (or ENVIRONMENT_SECTION), NULL when there is no such section. */
const char *config_section_find(const char *section);

/* Sets the key's field of c. -EINVAL with the reason and the remedy in words, -ENOMEM; c is
 * untouched then. */
int config_key_set(const ConfigKey *k, const char *value, Config *c,
                   char reason[static CONFIG_REASON_MAX]) _must_check_;

/* The section or key that was most likely meant, NULL when nothing is near. For a key, one that has
 * exactly this name in another section comes before a similar one in this section. */
const char *config_section_nearest(const char *section);
const ConfigKey *config_key_nearest(const char *section, const char *key);
