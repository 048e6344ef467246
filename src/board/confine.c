/* SPDX-License-Identifier: MIT */
/* Rights are given up in an order in which nobody else can use the steps between. See confine.h. */
#include "board/confine.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "util/parse.h"

#define USER_OPTION "--user="

int confine_parse_user(const char *argument, uid_t *ret_uid, gid_t *ret_gid) {
        char uid_text[24];
        const char *uid_start = argument + sizeof USER_OPTION - 1, *colon;
        uint64_t uid, gid;

        if (strncmp(argument, USER_OPTION, sizeof USER_OPTION - 1) != 0)
                return -EINVAL;
        colon = strchr(uid_start, ':');
        if (!colon || (size_t) (colon - uid_start) >= sizeof uid_text)
                return -EINVAL;
        (void) snprintf(uid_text, sizeof uid_text, "%.*s", (int) (colon - uid_start), uid_start);
        if (parse_u64(uid_text, &uid) < 0 || parse_u64(colon + 1, &gid) < 0)
                return -EINVAL;
        /* 2^32 - 1 means "as it is" to setresuid(2). */
        if (uid == 0 || gid == 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
                return -EINVAL;
        *ret_uid = (uid_t) uid;
        *ret_gid = (gid_t) gid;
        return 0;
}

/* The bounding set is left alone: without new privileges it bounds nothing. */
static int drop_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
                return -errno;
        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int become(uid_t uid, gid_t gid) {
        if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
                return -errno;
        return 0;
}

int confine_rights(const ConfineSpec *spec, const char **ret_what) {
        int r;

        /* Others of the user that we become may not trace us, from the first moment on. */
        *ret_what = "keep others from tracing it";
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        *ret_what = "become its user";
        r = spec->change_user ? become(spec->uid, spec->gid) : 0;
        if (r < 0)
                return r;
        *ret_what = "give up capabilities";
        r = drop_capabilities();
        if (r < 0)
                return r;
        *ret_what = "give up new privileges";
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        /* The change of credentials has set it anew, by a sysctl. */
        *ret_what = "keep others from tracing it";
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        *ret_what = "stay an ordinary user";
        if (geteuid() == 0 || setresuid((uid_t) -1, 0, (uid_t) -1) == 0)
                return -EPERM;
        /* And it has cleared this. */
        *ret_what = "end with the supervisor";
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return -errno;
        return getppid() == spec->supervisor ? 0 : -ESRCH;
}

static bool is_absent(int r) {
        return r == -ENOSYS || r == -EINVAL || r == -EOPNOTSUPP || r == -EPERM;
}

int confine(const ConfineSpec *spec, Confinement *ret, const char **ret_what) {
        Confinement c;
        int r;

        r = confine_rights(spec, ret_what);
        if (r < 0)
                return r;
        *ret_what = "restrict its paths";
        c.paths = confine_paths(spec->flash_fd);
        if (c.paths < 0 && !is_absent(c.paths))
                return c.paths;
        *ret_what = "filter its system calls";
        c.syscalls = confine_syscalls();
        if (c.syscalls < 0 && !is_absent(c.syscalls))
                return c.syscalls;
        *ret = c;
        return 0;
}
