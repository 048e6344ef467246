/* SPDX-License-Identifier: MIT */
/* The flag by which somebody without a login asks for safe mode: a file that a card reader can make, or a
 * word on the kernel's command line. */
#pragma once

#include <stdbool.h>

#define SAFE_MODE_FLAG_FILE "safe-mode"      /* in the state directory */
#define SAFE_MODE_FLAG_BOOT "mpyd-safe-mode" /* on the boot partition: /boot/firmware or /boot */
#define SAFE_MODE_FLAG_WORD "mpyd.safe_mode" /* kernel command line; alone or with =1, =yes, =true, =on */
#define SAFE_MODE_FLAG_MAX 64u

/* Is one of them there? ret: which, in words; untouched when none is. What cannot be read is not there.
 * root_fd: the directory with boot and proc. */
bool host_safe_mode_flag(int root_fd, int state_fd, char ret[static SAFE_MODE_FLAG_MAX]);
