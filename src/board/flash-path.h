/* SPDX-License-Identifier: MIT */
/* Names below the flash directory. The kernel resolves each one with that directory as its root
 * (openat2, RESOLVE_IN_ROOT): neither `..` nor any symbolic link leads out of it, and what is
 * neither a file nor a directory does not exist. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "util/macros.h"

/* The longest path that the kernel takes, with its NUL. */
#define FLASH_PATH_MAX 4096

/* A path with its working directory in front of it, absolute seen from the jail. */
typedef struct FlashPath {
        char text[FLASH_PATH_MAX];
} FlashPath;

/* Whether anything can be opened at all: -ENOSYS on an old kernel or in a sandbox that has no openat2. */
int flash_path_check(void) _must_check_;

/* Joins cwd ("/" or "/a/b") and path. -ENAMETOOLONG. */
int flash_path_join(FlashPath *ret, const char *cwd, const char *path) _must_check_;
/* The same, with `.`, `..` and double slashes taken out as text. For the working directory. */
int flash_path_normalize(FlashPath *ret, const char *cwd, const char *path) _must_check_;

/* Opens p. Returns a descriptor or a negative errno; -ENOENT for what is no file and no directory.
 * The kind of the object is known before it is opened for anything but its name. */
int flash_path_open(const FlashPath *p, int flags, mode_t mode) _must_check_;

int flash_path_stat(const FlashPath *p, struct stat *ret) _must_check_;

/* Opens the directory that holds p (O_PATH) and points *ret_name to the last component, inside of
 * p, which is changed. -EINVAL, -EBUSY or -EEXIST where there is no such component. */
int flash_path_open_parent(FlashPath *p, const char **ret_name) _must_check_;
