/* SPDX-License-Identifier: MIT */
/* Landlock: which paths the board's user may still open. The VM's own file system is a jail already
 * (flash-path.c); this holds for machine code too, which a script can bring along.
 *
 * Directories are named rather than files where files get replaced by new ones while a board lives: a
 * rule is bound to the file, not to its name. Names that are not there are left out. What is readable
 * here the board's user could read anyway: no rule gives a right. */
#include "board/confine.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Newer than Debian 12's headers. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif
#define SCOPE_SIGNAL (1ULL << 1)

/* struct landlock_ruleset_attr as of ABI 6; older kernels take a shorter one. */
typedef struct Ruleset {
        uint64_t handled_access_fs;
        uint64_t handled_access_net;
        uint64_t scoped;
} Ruleset;

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_TREE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_FILE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define FLASH_TREE                                                                              \
        (READ_TREE | WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
         LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
         LANDLOCK_ACCESS_FS_REFER)

static const struct {
        const char *path;
        uint64_t access;
} rules[] = {
        /* name look-ups, certificates, the time zone */
        { "/etc", READ_TREE },
        { "/run/NetworkManager", READ_TREE },
        { "/run/resolvconf", READ_TREE },
        { "/run/systemd/resolve", READ_TREE },
        { "/usr/lib", READ_TREE }, /* libnss_*.so */
        { "/usr/share", READ_TREE },
        { "/usr/local/share/ca-certificates", READ_TREE },
        /* the processor and the interfaces; of other processes Landlock shows no more than their names */
        { "/proc", READ_TREE },
        { "/sys/class/net", READ_TREE },
        { "/sys/devices", READ_TREE },
        { "/dev/null", READ_FILE | WRITE_FILE },
        { "/dev/random", READ_FILE },
        { "/dev/urandom", READ_FILE },
        { "/dev/zero", READ_FILE },
};

/* What kernels of this ABI know of; ABI 1 could not move a file from one directory to another. */
static int ruleset_for(int abi, Ruleset *ret, size_t *ret_size) {
        if (abi < 2)
                return -EOPNOTSUPP;
        *ret = (Ruleset) { .handled_access_fs = (LANDLOCK_ACCESS_FS_REFER << 1) - 1 };
        *ret_size = sizeof ret->handled_access_fs;
        if (abi >= 3)
                ret->handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
        if (abi >= 5)
                ret->handled_access_fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
        if (abi >= 6) {
                ret->scoped = SCOPE_SIGNAL;
                *ret_size = sizeof *ret;
        }
        return 0;
}

static int add_rule(int ruleset_fd, const Ruleset *set, int fd, uint64_t access) {
        struct landlock_path_beneath_attr rule = {
                .allowed_access = access & set->handled_access_fs,
                .parent_fd = fd,
        };

        return syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
                       ? -errno
                       : 0;
}

static int add_rules(int ruleset_fd, const Ruleset *set, int flash_fd) {
        int r = flash_fd < 0 ? 0 : add_rule(ruleset_fd, set, flash_fd, FLASH_TREE);

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(rules); i++) {
                _cleanup_close_ int fd = open(rules[i].path, O_PATH | O_CLOEXEC);

                if (fd >= 0)
                        r = add_rule(ruleset_fd, set, fd, rules[i].access);
        }
        return r;
}

int confine_paths(int flash_fd) {
        _cleanup_close_ int fd = -EBADF;
        Ruleset set;
        size_t size;
        int abi, r;

        abi = (int) syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (abi < 0)
                return -errno;
        r = ruleset_for(abi, &set, &size);
        if (r < 0)
                return r;
        fd = (int) syscall(SYS_landlock_create_ruleset, &set, size, 0);
        if (fd < 0)
                return -errno;
        r = add_rules(fd, &set, flash_fd);
        if (r < 0)
                return r;
        return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
}
