/* SPDX-License-Identifier: MIT */
/* Version 2 only (cgroup-v2 in the kernel's documentation). Files below cgroupfs are single values that a
 * write takes whole or refuses; none of them waits for a disk. */
#include "daemon/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/io.h"
#include "util/log.h"

struct Cgroup {
        int board_dir;
        int board_procs;
        bool has_memory, has_pids;
        uint64_t oom_kills; /* as last seen */
};

int cgroup_board_procs(const Cgroup *c) {
        return c ? c->board_procs : -EBADF;
}

static int put(int dir, const char *file, const char *value) {
        _cleanup_close_ int fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        size_t n = strlen(value);

        if (fd < 0)
                return -errno;
        return write(fd, value, n) == (ssize_t) n ? 0 : -(errno ?: EIO);
}

static int make_child(int dir, const char *name) {
        int fd;

        if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

/* Hands a controller down to the children; not every kernel and not every container has it. */
static bool enable(int dir, const char *controller) {
        char word[16];
        int r;

        (void) snprintf(word, sizeof word, "+%s", controller);
        r = put(dir, "cgroup.subtree_control", word);
        if (r < 0)
                log_info("The kernel limits no %s here (%s); the board runs without that limit.",
                         controller, strerrordesc_np(-r));
        return r >= 0;
}

static uint64_t read_oom_kills(const Cgroup *c) {
        _cleanup_free_ char *text = NULL;
        uint64_t n = 0;
        const char *p;

        if (!c->has_memory || read_file(c->board_dir, "memory.events", 1024, &text, NULL) < 0)
                return c->oom_kills;
        p = strstr(text, "oom_kill ");
        return p && sscanf(p, "oom_kill %" SCNu64, &n) == 1 ? n : c->oom_kills;
}

bool cgroup_board_ran_out(Cgroup *c) {
        uint64_t before = c ? c->oom_kills : 0;

        if (!c)
                return false;
        c->oom_kills = read_oom_kills(c);
        return c->oom_kills > before;
}

int cgroup_board_kill(const Cgroup *c) {
        return c ? put(c->board_dir, "cgroup.kill", "1") : -ENOENT;
}

static void set_limit(const Cgroup *c, const char *file, uint64_t value) {
        char text[24];
        int r;

        (void) snprintf(text, sizeof text, "%" PRIu64, value);
        r = put(c->board_dir, file, text);
        if (r < 0)
                log_warning_errno(r, "Failed to set the board's %s to %s, ignoring: %m", file, text);
}

void cgroup_set_limits(Cgroup *c, uint64_t memory_max, unsigned tasks_max) {
        if (c && c->has_memory) {
                set_limit(c, "memory.max", memory_max);
                /* All of it: a leak must not grind the SD card as swap first. */
                if (faccessat(c->board_dir, "memory.swap.max", F_OK, 0) == 0)
                        set_limit(c, "memory.swap.max", memory_max == UINT64_MAX ? UINT64_MAX : 0);
        }
        if (c && c->has_pids)
                set_limit(c, "pids.max", tasks_max);
}

Cgroup *cgroup_free(Cgroup *c) {
        if (!c)
                return NULL;
        safe_close(c->board_procs);
        safe_close(c->board_dir);
        free(c);
        return NULL;
}

int cgroup_new(Cgroup **ret, const char *root, const char *path) {
        _cleanup_close_ int own = -EBADF, supervisor = -EBADF;
        _cleanup_(cgroup_freep) Cgroup *c = calloc(1, sizeof *c);
        _cleanup_free_ char *dir = NULL;
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Cgroup) { .board_dir = -EBADF, .board_procs = -EBADF };
        if (asprintf(&dir, "%s%s", root, path) < 0) {
                dir = NULL;
                return -ENOMEM;
        }
        own = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (own < 0)
                return -errno;
        supervisor = make_child(own, "supervisor");
        if (supervisor < 0)
                return supervisor;
        c->board_dir = make_child(own, "board");
        if (c->board_dir < 0)
                return c->board_dir;
        c->board_procs = openat(c->board_dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (c->board_procs < 0)
                return -errno;
        r = put(supervisor, "cgroup.procs", "0"); /* a cgroup with controllers holds no process itself */
        if (r < 0)
                return r;
        c->has_memory = enable(own, "memory");
        c->has_pids = enable(own, "pids");
        c->oom_kills = read_oom_kills(c);
        *ret = TAKE_PTR(c);
        return 0;
}
