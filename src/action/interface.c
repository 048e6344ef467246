/* SPDX-License-Identifier: MIT */
/* The hardware behind a network interface, through sysfs: its driver lets go of it and takes it back, which mends
 * what hangs in the device or in the driver; its radio is switched off and on (rfkill). */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "action/action.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/parse.h"

#define BACK_USEC (10 * USEC_PER_SEC) /* for the driver to take the device, and for the interface to be there */
#define STEP_USEC (100 * USEC_PER_MSEC)

/* As the kernel's dev_valid_name(). */
static bool name_is_valid(const char *name) {
        if (!name || !*name || strlen(name) >= IFNAMSIZ || streq(name, ".") || streq(name, ".."))
                return false;
        for (const unsigned char *c = (const unsigned char *) name; *c; c++)
                if (*c == '/' || *c == ':' || *c <= ' ' || *c == 0x7f)
                        return false;
        return true;
}

/* The interface's directory, into path; false with a sentence when it is not a name. */
static bool locate(const char *sys, const char *interface, char path[static PATH_MAX], char why[static WHY_MAX]) {
        if (!name_is_valid(interface)) {
                (void) snprintf(why, WHY_MAX, "not a request: no interface is named");
                return false;
        }
        return snprintf(path, PATH_MAX, "%s/class/net/%s", sys, interface) < PATH_MAX;
}

/* The directory that a link of sysfs leads to; the caller's to free. */
static int follow(const char *base, const char *link, char **ret) {
        char path[PATH_MAX];

        if (snprintf(path, sizeof path, "%s/%s", base, link) >= (int) sizeof path)
                return -ENAMETOOLONG;
        *ret = realpath(path, NULL);
        return *ret ? 0 : -errno;
}

static int write_attribute(const char *directory, const char *name, const char *value) {
        _cleanup_close_ int fd = -EBADF;
        char path[PATH_MAX];

        if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int) sizeof path)
                return -ENAMETOOLONG;
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* -ENOENT where it is not there; otherwise its first character. */
static int read_attribute(const char *directory, const char *name) {
        _cleanup_close_ int fd = -EBADF;
        char path[PATH_MAX], c;

        if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int) sizeof path)
                return -ENAMETOOLONG;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return read(fd, &c, 1) == 1 ? c : -EIO;
}

/* The first entry of a directory whose name begins so. */
static bool first_entry(const char *directory, const char *prefix, char *ret, size_t size) {
        const struct dirent *e;
        DIR *d = opendir(directory);
        bool found = false;

        while (d && !found && (e = readdir(d)))
                if (e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0)
                        found = snprintf(ret, size, "%s", e->d_name) < (int) size;
        if (d)
                closedir(d);
        return found;
}

/* ---- the driver ---- */

/* Until the device has an interface again, its own name or, in the end, another one. */
static ActionResult await_interface(const char *device, const char *interface, char why[static WHY_MAX]) {
        uint64_t deadline = now_usec(CLOCK_MONOTONIC) + BACK_USEC;
        char now[IFNAMSIZ], all[PATH_MAX], path[PATH_MAX + IFNAMSIZ];

        (void) snprintf(all, sizeof all, "%.*s/net", PATH_MAX - 8, device);
        (void) snprintf(path, sizeof path, "%s/%s", all, interface);
        do {
                if (access(path, F_OK) == 0) {
                        (void) snprintf(why, WHY_MAX, "%s is back", interface);
                        return ACTION_OK;
                }
                (void) usleep(STEP_USEC);
        } while (now_usec(CLOCK_MONOTONIC) < deadline);
        if (first_entry(all, "", now, sizeof now)) {
                (void) snprintf(why, WHY_MAX, "%s is back as %s", interface, now);
                return ACTION_OK;
        }
        (void) snprintf(why, WHY_MAX, "the driver has taken the device of %s back and makes no interface of it",
                        interface);
        return ACTION_AGAIN;
}

static ActionResult bind_again(const char *driver, const char *device, const char *interface,
                               char why[static WHY_MAX]) {
        uint64_t deadline = now_usec(CLOCK_MONOTONIC) + BACK_USEC;
        const char *id = strrchr(device, '/') + 1;
        int r;

        while ((r = write_attribute(driver, "bind", id)) < 0 && now_usec(CLOCK_MONOTONIC) < deadline)
                (void) usleep(STEP_USEC);
        if (r >= 0)
                return await_interface(device, interface, why);
        (void) snprintf(why, WHY_MAX, "the driver does not take %.60s, the device of %s, back (%s); try: echo %.60s >"
                                      "%.120s/bind",
                        id, interface, strerrordesc_np(-r), id, driver);
        return ACTION_FAILED;
}

ActionResult rebind_driver(const char *sys, const char *interface, char why[static WHY_MAX]) {
        _cleanup_free_ char *device = NULL, *driver = NULL;
        char path[PATH_MAX];
        int r;

        if (!locate(sys, interface, path, why))
                return ACTION_FAILED;
        if (access(path, F_OK) < 0) {
                (void) snprintf(why, WHY_MAX, "there is no interface %s", interface);
                return ACTION_AGAIN; /* it may come back */
        }
        r = follow(path, "device", &device);
        if (r >= 0)
                r = follow(device, "driver", &driver);
        if (r < 0) {
                (void) snprintf(why, WHY_MAX, "%s has no hardware with a driver", interface);
                return ACTION_FAILED;
        }
        log_notice("Taking %s from its driver, %s, and giving it back.", interface, strrchr(driver, '/') + 1);
        r = write_attribute(driver, "unbind", strrchr(device, '/') + 1);
        if (r < 0) {
                (void) snprintf(why, WHY_MAX, "the driver of %s does not let go of it (%s)", interface,
                                strerrordesc_np(-r));
                return ACTION_FAILED;
        }
        return bind_again(driver, device, interface, why);
}

/* ---- the radio ---- */

ActionResult switch_radio(const char *sys, const char *interface, bool on, char why[static WHY_MAX]) {
        _cleanup_free_ char *phy = NULL, *rfkill = NULL;
        char path[PATH_MAX], name[32];
        int r;

        if (!locate(sys, interface, path, why))
                return ACTION_FAILED;
        r = follow(path, "phy80211", &phy);
        if (r < 0 || !first_entry(phy, "rfkill", name, sizeof name) || follow(phy, name, &rfkill) < 0) {
                (void) snprintf(why, WHY_MAX, "%s has no radio that can be switched", interface);
                return ACTION_FAILED;
        }
        r = write_attribute(rfkill, "soft", on ? "0" : "1");
        if (r < 0) {
                (void) snprintf(why, WHY_MAX, "the radio of %s cannot be switched %s (%s)", interface,
                                on ? "on" : "off", strerrordesc_np(-r));
                return ACTION_FAILED;
        }
        if (on && read_attribute(rfkill, "hard") == '1') {
                (void) snprintf(why, WHY_MAX, "the radio of %s is switched off by a switch on the machine", interface);
                return ACTION_FAILED;
        }
        (void) snprintf(why, WHY_MAX, "the radio of %s is %s", interface, on ? "on" : "off");
        return ACTION_OK;
}
