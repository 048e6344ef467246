/* SPDX-License-Identifier: MIT */
/* cp -r over -H: a tree goes through ssh as an archive of tar(1), and mpyctl cp -r at the other end does the rest, to
 * or from a temporary directory there. */
#pragma once

#include "ctl/ctl.h"

/* The directory path, which is here, to the board's path there. An exit code, as the one below. */
int copy_tree_send(const Ctl *c, const char *path, const char *to);

/* The board's path there, a directory or a file, to the path to here: into it when it is a directory. */
int copy_tree_fetch(const Ctl *c, const char *from, const char *to);
