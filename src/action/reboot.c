/* SPDX-License-Identifier: MIT */
/* The host's reboot: each way is tried when the one before it does not answer, or refuses. */
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "action/action.h"
#include "util/log.h"
#include "util/parse.h"

#define LOGIND_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define SYSTEMCTL_TIMEOUT_SEC 15

extern char **environ;

/* logind shuts down in good order, and lets those who hold an inhibitor lock finish. */
static int ask_logind(void) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_open_system(&bus);

        if (r >= 0)
                r = sd_bus_set_method_call_timeout(bus, LOGIND_TIMEOUT_USEC);
        if (r >= 0)
                r = sd_bus_call_method(bus, "org.freedesktop.login1", "/org/freedesktop/login1",
                                       "org.freedesktop.login1.Manager", "Reboot", &error, NULL, "b", 0);
        if (r < 0)
                log_warning("logind does not reboot the host (%s), trying systemctl.",
                            error.message ?: strerrordesc_np(-r) ?: "?");
        return r;
}

/* Exit status, or negative when it did not end in time or cannot be run. */
static int systemctl_reboot(void) {
        char *const argv[] = { (char *) "systemctl", (char *) "--no-block", (char *) "reboot", NULL };
        siginfo_t si;
        sigset_t chld;
        pid_t pid;
        int r;

        (void) sigemptyset(&chld);
        (void) sigaddset(&chld, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &chld, NULL);
        r = -posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
        if (r < 0)
                return r;
        if (sigtimedwait(&chld, &si, &(struct timespec) { .tv_sec = SYSTEMCTL_TIMEOUT_SEC }) < 0) {
                (void) kill(pid, SIGKILL);
                return -ETIMEDOUT;
        }
        if (waitpid(pid, &r, 0) != pid)
                return -errno;
        return WIFEXITED(r) ? WEXITSTATUS(r) : -ECANCELED;
}

ActionResult reboot_host(const char *why_reboot, char why[static WHY_MAX]) {
        int r;

        log_warning("Rebooting the host: %s.", why_reboot);
        if (ask_logind() >= 0)
                return ACTION_OK;
        r = systemctl_reboot();
        if (r == 0)
                return ACTION_OK;
        log_warning("systemctl does not reboot the host (%s), rebooting it without a shutdown.",
                    r > 0 ? "it failed" : strerrordesc_np(-r) ?: "?");
        sync();
        if (reboot(RB_AUTOBOOT) >= 0)
                return ACTION_OK;
        (void) snprintf(why, WHY_MAX, "the kernel refuses to reboot (%s)", strerrordesc_np(errno));
        return ACTION_AGAIN;
}
