/* SPDX-License-Identifier: MIT */
/* Reading /proc and /sys. Paths are relative to the root that is given. */
#include "host/host-facts.h"

#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/io.h"

#define ENTRIES_MAX 256u /* of a directory that are looked at */
#define TEXT_MAX 4096u

#define RSTS_PATH "proc/device-tree/chosen/bootloader/rsts"
#define THROTTLED_PATH "sys/devices/platform/soc/soc:firmware/get_throttled"
#define THROTTLED_UNDER_VOLTAGE 0x10001u /* now, or since the boot */

/* One word or line of a small file; false when there is none. */
static bool read_line(int root_fd, const char *path, char *buf, size_t size) {
        _cleanup_close_ int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : -1;

        if (n <= 0)
                return false;
        buf[n] = '\0';
        buf[strcspn(buf, "\n")] = '\0';
        return *buf != '\0';
}

static bool read_number(int root_fd, const char *path, int base, uint32_t *ret) {
        char text[32], *end;
        unsigned long long v;

        if (!read_line(root_fd, path, text, sizeof text) || !isxdigit((unsigned char) *text))
                return false;
        errno = 0;
        v = strtoull(text, &end, base);
        if (errno != 0 || *end != '\0' || v > UINT32_MAX)
                return false;
        *ret = (uint32_t) v;
        return true;
}

/* Calls f with the path of each entry of a directory until it answers true. */
static void each_entry(int root_fd, const char *dir,
                       bool (*f)(int root_fd, const char *path, const char *name, void *userdata),
                       void *userdata) {
        int fd = openat(root_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *entry;

        if (!d) {
                safe_close(fd);
                return;
        }
        for (unsigned i = 0; i < ENTRIES_MAX && (entry = readdir(d)); i++) {
                char path[HOST_PATH_MAX];
                int n = snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);

                if (*entry->d_name != '.' && n > 0 && (size_t) n < sizeof path &&
                    f(root_fd, path, entry->d_name, userdata))
                        break;
        }
        (void) closedir(d);
}

int host_facts_boot_id(int root_fd, char ret[static 33]) {
        char text[64], id[33];
        size_t n = 0;

        if (!read_line(root_fd, "proc/sys/kernel/random/boot_id", text, sizeof text))
                return -ENOENT;
        for (const char *p = text; *p && n < 32; p++)
                if (isxdigit((unsigned char) *p))
                        id[n++] = (char) tolower((unsigned char) *p);
        if (n != 32)
                return -ENOENT;
        id[n] = '\0';
        (void) strcpy(ret, id);
        return 0;
}

/* ---- records of a panic ---- */

typedef struct Panic {
        char *id, *path;
        struct timespec time;
} Panic;

static bool is_newer(struct timespec a, struct timespec b) {
        return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/* A file of pstore that begins as the kernel's dump of a panic does: "Panic#1 Part1". (An oops that was
 * survived begins with "Oops".) */
static bool look_for_panic(int root_fd, const char *path, const char *name, void *userdata) {
        Panic *p = userdata;
        char line[32], id[HOST_PANIC_ID_MAX];
        struct stat st;
        int n;

        if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return false;
        if (S_ISDIR(st.st_mode)) {
                if (strncmp(path, "var/", 4) == 0 && strlen(path) < 64) /* systemd-pstore's archive */
                        each_entry(root_fd, path, look_for_panic, userdata);
                return false;
        }
        if (!S_ISREG(st.st_mode) || strncmp(name, "dmesg", 5) != 0 ||
            (*p->id && !is_newer(st.st_mtim, p->time)) ||
            !read_line(root_fd, path, line, sizeof line) || strncmp(line, "Panic", 5) != 0)
                return false;
        /* Blanks would break the mark. */
        n = snprintf(id, sizeof id, "%s@%lld.%ld", name, (long long) st.st_mtim.tv_sec,
                     st.st_mtim.tv_nsec);
        if (n < 0 || (size_t) n >= sizeof id || strpbrk(id, " \t\n"))
                return false;
        (void) strcpy(p->id, id);
        (void) snprintf(p->path, HOST_PATH_MAX, "/%.94s", path);
        p->time = st.st_mtim;
        return false;
}

/* ---- watchdogs, power ---- */

static bool add_bootstatus(int root_fd, const char *path, const char *name, void *userdata) {
        HostFacts *f = userdata;
        char file[HOST_PATH_MAX + 16];
        uint32_t status;

        (void) snprintf(file, sizeof file, "%s/bootstatus", path);
        if (!read_number(root_fd, file, 0, &status) || status == 0)
                return false;
        f->bootstatus |= status;
        if (!*f->bootstatus_path)
                (void) snprintf(f->bootstatus_path, sizeof f->bootstatus_path, "/%.94s", file);
        return false;
}

static bool is_armed(int root_fd, const char *path, const char *name, void *userdata) {
        char file[HOST_PATH_MAX + 16], state[16];

        (void) snprintf(file, sizeof file, "%s/state", path);
        return *(bool *) userdata = read_line(root_fd, file, state, sizeof state) &&
                                    streq(state, "active");
}

bool host_facts_watchdog_armed(int root_fd) {
        bool armed = false;

        each_entry(root_fd, "sys/class/watchdog", is_armed, &armed);
        return armed;
}

typedef struct Watchdogs {
        HostWatchdog *list;
        size_t n;
} Watchdogs;

static bool add_watchdog(int root_fd, const char *path, const char *name, void *userdata) {
        Watchdogs *all = userdata;
        HostWatchdog *w = &all->list[all->n];
        char file[HOST_PATH_MAX + 16];
        uint32_t v;

        *w = (HostWatchdog) {};
        (void) snprintf(w->name, sizeof w->name, "%.23s", name);
        (void) snprintf(file, sizeof file, "%s/identity", path);
        if (!read_line(root_fd, file, w->identity, sizeof w->identity))
                (void) snprintf(w->identity, sizeof w->identity, "%.23s", name);
        (void) snprintf(file, sizeof file, "%s/timeout", path);
        if (read_number(root_fd, file, 10, &v))
                w->timeout_sec = v;
        (void) snprintf(file, sizeof file, "%s/nowayout", path);
        w->nowayout = read_number(root_fd, file, 10, &v) && v != 0;
        (void) is_armed(root_fd, path, name, &w->active);
        return ++all->n == HOST_WATCHDOGS_MAX;
}

size_t host_facts_watchdogs(int root_fd, HostWatchdog ret[static HOST_WATCHDOGS_MAX]) {
        Watchdogs all = { .list = ret };

        each_entry(root_fd, "sys/class/watchdog", add_watchdog, &all);
        return all.n;
}

typedef struct PowerFiles {
        int *fds;
        size_t n;
} PowerFiles;

static void open_power_file(int root_fd, const char *path, PowerFiles *files) {
        int fd = files->n < HOST_POWER_FILES_MAX ? openat(root_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
                                                 : -EBADF;

        if (fd >= 0)
                files->fds[files->n++] = fd;
}

/* "name" in path says which sensor it is; *ret_file: its alarm's. */
static bool is_voltage_sensor(int root_fd, const char *path, char ret_file[static HOST_PATH_MAX + 24]) {
        char name[32];

        (void) snprintf(ret_file, HOST_PATH_MAX + 24, "%s/name", path);
        if (!read_line(root_fd, ret_file, name, sizeof name) || !streq(name, "rpi_volt"))
                return false;
        (void) snprintf(ret_file, HOST_PATH_MAX + 24, "%s/in0_lcrit_alarm", path);
        return true;
}

static bool open_volt_alarm(int root_fd, const char *path, const char *name, void *userdata) {
        char file[HOST_PATH_MAX + 24];

        if (is_voltage_sensor(root_fd, path, file))
                open_power_file(root_fd, file, userdata);
        return false;
}

size_t host_facts_open_power(int root_fd, int ret_fds[static HOST_POWER_FILES_MAX]) {
        PowerFiles files = { .fds = ret_fds };

        open_power_file(root_fd, THROTTLED_PATH, &files);
        each_entry(root_fd, "sys/class/hwmon", open_volt_alarm, &files);
        return files.n;
}

static bool is_volt_alarm(int root_fd, const char *path, const char *name, void *userdata) {
        char *ret_path = userdata;
        char file[HOST_PATH_MAX + 24];
        uint32_t alarm;

        if (!is_voltage_sensor(root_fd, path, file) || !read_number(root_fd, file, 10, &alarm) ||
            alarm == 0)
                return false;
        (void) snprintf(ret_path, HOST_PATH_MAX, "/%.94s", file);
        return true;
}

bool host_facts_under_voltage(int root_fd, char ret_path[HOST_PATH_MAX]) {
        char path[HOST_PATH_MAX] = "";
        uint32_t flags;

        each_entry(root_fd, "sys/class/hwmon", is_volt_alarm, path);
        if (!*path && read_number(root_fd, THROTTLED_PATH, 16, &flags) &&
            (flags & THROTTLED_UNDER_VOLTAGE))
                (void) strcpy(path, "/" THROTTLED_PATH);
        if (ret_path)
                (void) strcpy(ret_path, path);
        return *path != '\0';
}

/* Properties of the device tree are big-endian. */
static bool read_rsts(int root_fd, uint32_t *ret) {
        _cleanup_close_ int fd = openat(root_fd, RSTS_PATH, O_RDONLY | O_CLOEXEC);
        uint32_t v;

        if (fd < 0 || read(fd, &v, sizeof v) != sizeof v)
                return false;
        *ret = be32toh(v);
        return true;
}

int64_t host_facts_oom_kills(int root_fd) {
        _cleanup_free_ char *text = NULL;
        long long n;
        const char *at;

        if (read_file(root_fd, "proc/vmstat", 64 * 1024, &text, NULL) < 0)
                return -ENOENT;
        at = strstr(text, "oom_kill ");
        return at && sscanf(at, "oom_kill %lld", &n) == 1 && n >= 0 ? n : -ENOENT;
}

HostFacts host_facts_gather(int root_fd, int state_fd) {
        HostFacts f = { .mark = host_mark_read(state_fd) };
        Panic panic = { .id = f.panic_id, .path = f.panic_path };

        if (host_facts_boot_id(root_fd, f.boot_id) < 0)
                f.boot_id[0] = '\0';
        each_entry(root_fd, "sys/fs/pstore", look_for_panic, &panic);
        each_entry(root_fd, "var/lib/systemd/pstore", look_for_panic, &panic);
        each_entry(root_fd, "sys/class/watchdog", add_bootstatus, &f);
        f.watchdog_armed = host_facts_watchdog_armed(root_fd);
        f.rsts_known = read_rsts(root_fd, &f.rsts);
        f.under_voltage = host_facts_under_voltage(root_fd, f.under_voltage_path);
        return f;
}
