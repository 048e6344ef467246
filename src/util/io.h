/* SPDX-License-Identifier: MIT */
/* Whole files and descriptors: bounded reads, complete writes, durable replacement. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/macros.h"

int fd_set_nonblock(int fd, bool nonblock) _must_check_;

/* Writes all of it, over EINTR, short writes and (by waiting) EAGAIN. For clients and tests: it
 * blocks, so it has no place in the daemon's loop. */
int write_all(int fd, const void *data, size_t size) _must_check_;

/* Reads a file of at most max bytes (-EFBIG otherwise); *ret is NUL-terminated and the caller's. */
int read_file(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size) _must_check_;

/* Replaces path so that after a power cut it holds the old or the new content: temporary file in
 * the same directory, fsync, rename, fsync of the directory. */
int write_file_atomic(int dirfd, const char *path, const void *data, size_t size, mode_t mode)
        _must_check_;

/* The same for a directory in memory: a reader sees the old or the new text, a power cut takes both. The mode
 * is 0644, less the umask. */
int replace_file(int dirfd, const char *name, const char *text) _must_check_;

/* Renames what is not to replace anything: -EEXIST. Also where the file system cannot do that in one step; then
 * somebody who makes the name meanwhile loses it. */
int rename_noreplace(int from_dir, const char *from, int to_dir, const char *to) _must_check_;

/* mkdir -p with mode for what is new. */
int mkdir_parents(const char *path, mode_t mode) _must_check_;

/* CRC-32 (IEEE 802.3, as zlib's crc32()). Start with crc 0. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t size);
