/* SPDX-License-Identifier: MIT */
/* The board's files without the board: below the flash directory, whose descriptor mpyd hands out, each
 * name is resolved as scripts see it. They work when the VM hangs; without mpyd, when the state directory
 * is ours to open. Paths are the board's ("/lib/x.py"); what is neither file nor directory does not exist. */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "ctl/ctl.h"

typedef struct Flash {
        int fd;             /* O_PATH */
        bool owned;         /* we are root: what we make is given to the owner of the directory */
        uid_t uid;
        gid_t gid;
} Flash;

/* Has complained when it returns an exit code > 0. */
int flash_open(const Ctl *c, Flash *ret);
void flash_done(Flash *f);

/* "Failed to DOING :PATH: why", with what to do next. Returns the exit code for it. */
int flash_explain(const char *doing, const char *path, int error);

/* ":lib/x.py" and "lib/x.py" → "lib/x.py", ":" → "/". Borrowed. */
const char *flash_path(const char *argument);
bool flash_is_remote(const char *argument); /* it begins with a colon */

/* Negative errno, as all of these. Not O_CREAT: see FlashNew. */
int flash_file_open(const Flash *f, const char *path, int flags) _must_check_;
int flash_stat(const Flash *f, const char *path, struct stat *ret) _must_check_;

/* The directory that holds path, and the last component, the caller's to free. -EBUSY for "/",
 * -EINVAL for "..". */
int flash_parent(const Flash *f, const char *path, int *ret_fd, char **ret_name) _must_check_;

int flash_mkdir(const Flash *f, const char *path) _must_check_;
int flash_rename(const Flash *f, const char *from, const char *to) _must_check_;

/* Calls back for each entry, sorted by name, until it returns non-zero. */
typedef int (*FlashEntry)(void *userdata, const char *path, const char *name, const struct stat *st);
int flash_list(const Flash *f, const char *path, FlashEntry entry, void *userdata) _must_check_;

/* A file that takes its place only when it is complete and on the disk. Until then it has no name where the file
 * system can do that, so that nothing is left of a copy that a power cut or a lost connection ends before its last step. */
typedef struct FlashNew {
        int parent_fd, fd;
        char *name;
        char temporary[48];
        bool has_name; /* temporary stands in the directory */
} FlashNew;
int flash_new_begin(const Flash *f, const char *path, FlashNew *ret) _must_check_;
int flash_new_commit(FlashNew *n) _must_check_; /* n is done with either way */
void flash_new_done(FlashNew *n);               /* gives it up where it was not committed */

/* name after path, with one slash between; NULL when out of memory. */
char *path_below(const char *path, const char *name);

/* The last component, or NULL where there is none that names something ("/", "."). The caller's. */
char *path_last(const char *path);
