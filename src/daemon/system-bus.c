/* SPDX-License-Identifier: MIT */
/* One connection, made without waiting: the socket does not block, and Hello, the name and the matches are
 * asked for asynchronously. When anything of it fails the connection is dropped and tried again later. */
#include "daemon/system-bus.h"

#include <fcntl.h>
#include <stdio.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "mpyd/control.h"
#include "util/log.h"
#include "util/parse.h"

#define RETRY_MIN_USEC USEC_PER_SEC
#define RETRY_MAX_USEC USEC_PER_MINUTE
#define QUEUED_MAX 1024u /* messages for a bus that does not read */
/* RequestName's answers (D-Bus specification). */
#define NAME_PRIMARY_OWNER 1u
#define NAME_ALREADY_OWNER 4u
#define LOGIN_SERVICE "org.freedesktop.login1"
#define LOGIN_PATH "/org/freedesktop/login1"
#define LOGIN_INTERFACE "org.freedesktop.login1.Manager"

struct SystemBus {
        sd_event *event;
        char *address;
        SystemBusBackend backend;
        sd_bus *bus;             /* NULL: waits for the next try */
        sd_event_source *retry;
        uint64_t retry_usec;
        bool refused;            /* the name was, and that has been told */
        int sleep_lock;          /* logind's: the host does not sleep before we close it, or 5 s have passed */
        bool asleep;             /* it has been announced and not called off */
        bool lost;               /* to be dropped by the retry, not from within a callback of the bus */
};

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *name,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        SystemBus *b = userdata;

        return b->backend.property(b->backend.userdata, name, reply);
}

#define X(name, type, meaning) SD_BUS_PROPERTY(#name, type, get_property, 0, 0),
static const sd_bus_vtable board_vtable[] = {
        SD_BUS_VTABLE_START(0),
        CONTROL_PROPERTIES(X)
        SD_BUS_SIGNAL_WITH_ARGS("BoardReset", SD_BUS_ARGS("s", cause, "s", detail), 0),
        SD_BUS_SIGNAL_WITH_ARGS("StateChanged", SD_BUS_ARGS("s", state, "s", stage), 0),
        SD_BUS_VTABLE_END,
};
#undef X

static void try_later(SystemBus *b) {
        if (b->lost)
                return;
        b->lost = true;
        b->sleep_lock = safe_close(b->sleep_lock); /* we would not hear what it is for */
        (void) sd_event_source_set_time_relative(b->retry, b->retry_usec);
        (void) sd_event_source_set_enabled(b->retry, SD_EVENT_ONESHOT);
        b->retry_usec = MIN(b->retry_usec * 2, RETRY_MAX_USEC);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        log_debug("The system bus has gone.");
        try_later(userdata);
        return 0;
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemBus *b = userdata;

        uint32_t answer = 0;

        if (!sd_bus_message_is_method_error(m, NULL))
                (void) sd_bus_message_read(m, "u", &answer);
        if (answer != NAME_PRIMARY_OWNER && answer != NAME_ALREADY_OWNER) {
                log_full(b->refused ? LOG_DEBUG : LOG_INFO, 0, NULL,
                         "The system bus does not give us the name " CONTROL_SERVICE " (%s), trying again "
                         "from time to time; mpyctl is not concerned.",
                         answer == 0 ? sd_bus_message_get_error(m)->message ?: "?" : "another has it");
                b->refused = true;
                try_later(b);
                return 0;
        }
        b->refused = false;
        b->retry_usec = RETRY_MIN_USEC;
        log_debug("On the system bus as " CONTROL_SERVICE ".");
        return 0;
}

static int on_sleep_lock(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemBus *b = userdata;
        int fd;

        if (sd_bus_message_is_method_error(m, NULL)) {
                log_debug("logind gives us no lock on the host's sleep (%s).",
                          sd_bus_message_get_error(m)->message ?: "?");
                return 0;
        }
        safe_close(b->sleep_lock);
        b->sleep_lock = -EBADF;
        if (!b->asleep && !b->lost && sd_bus_message_read(m, "h", &fd) >= 0)
                b->sleep_lock = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return 0;
}

/* org.freedesktop.login1(5): a lock of the kind "delay". logind is not started for it. */
static int take_sleep_lock(SystemBus *b) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(b->bus, &m, LOGIN_SERVICE, LOGIN_PATH, LOGIN_INTERFACE, "Inhibit");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, 0);
        if (r >= 0)
                r = sd_bus_message_append(m, "ssss", "sleep", "MicroPython board",
                                          "its watchdogs must stand still first", "delay");
        return r < 0 ? r : sd_bus_call_async(b->bus, NULL, m, on_sleep_lock, b, 0);
}

/* logind has come, or gone. */
static int on_login_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *before, *now;
        SystemBus *b = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0)
                return 0;
        b->sleep_lock = safe_close(b->sleep_lock);
        b->asleep = false;
        if (*now)
                (void) take_sleep_lock(b);
        return 0;
}

static int on_prepare(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        SystemBus *b = userdata;
        bool sleep = sd_bus_message_is_signal(m, LOGIN_INTERFACE, "PrepareForSleep");
        int begins;

        if (sd_bus_message_read(m, "b", &begins) < 0)
                return 0;
        if (sleep) {
                b->asleep = begins;
                b->backend.host_event(b->backend.userdata, begins ? "host-sleep" : "host-resume");
                b->sleep_lock = safe_close(b->sleep_lock);
                if (!begins)
                        (void) take_sleep_lock(b);
        } else if (begins)
                b->backend.host_event(b->backend.userdata, "host-shutdown");
        return 0;
}

static int connect_bus(SystemBus *b, sd_bus *bus) {
        static const char *const announced[] = { "PrepareForShutdown", "PrepareForSleep" };
        int r;

        r = sd_bus_set_description(bus, "system");
        if (r >= 0)
                r = sd_bus_set_address(bus, b->address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, 1);
        if (r >= 0) /* the loop's end would wait for a bus that does not read */
                r = sd_bus_set_close_on_exit(bus, 0);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, CONTROL_PATH, CONTROL_INTERFACE, board_vtable, b);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, "org.freedesktop.DBus.Local",
                                              "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local", "Disconnected",
                                              on_disconnected, NULL, b);
        if (r >= 0)
                r = sd_bus_start(bus);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(announced); i++)
                r = sd_bus_match_signal_async(bus, NULL, LOGIN_SERVICE, LOGIN_PATH, LOGIN_INTERFACE,
                                              announced[i], on_prepare, NULL, b);
        if (r >= 0)
                r = sd_bus_add_match_async(bus, NULL, "type='signal',sender='org.freedesktop.DBus',"
                                           "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                                           "member='NameOwnerChanged',arg0='" LOGIN_SERVICE "'",
                                           on_login_owner, NULL, b);
        if (r >= 0)
                r = take_sleep_lock(b);
        if (r >= 0)
                r = sd_bus_request_name_async(bus, NULL, CONTROL_SERVICE, 0, on_name, b);
        if (r >= 0)
                r = sd_bus_attach_event(bus, b->event, SD_EVENT_PRIORITY_NORMAL);
        return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        SystemBus *b = userdata;
        int r;

        b->bus = sd_bus_close_unref(b->bus);
        b->lost = b->asleep = false;
        r = sd_bus_new(&b->bus);
        if (r >= 0)
                r = connect_bus(b, b->bus);
        if (r >= 0)
                return 0;
        log_debug("No system bus at %s just now: %s", b->address, strerrordesc_np(-r));
        try_later(b);
        return 0;
}

void system_bus_emit(SystemBus *b, const char *signal, const char *first, const char *second) {
        uint64_t n = 0;

        if (!b || !b->bus || b->lost)
                return;
        if (sd_bus_get_n_queued_write(b->bus, &n) >= 0 && n > QUEUED_MAX) {
                try_later(b);
                return;
        }
        (void) sd_bus_emit_signal(b->bus, CONTROL_PATH, CONTROL_INTERFACE, signal, "ss", first, second);
}

SystemBus *system_bus_free(SystemBus *b) {
        if (!b)
                return NULL;
        sd_event_source_disable_unref(b->retry);
        safe_close(b->sleep_lock);
        sd_bus_close_unref(b->bus); /* no flush: nobody waits for a bus that does not read */
        sd_event_unref(b->event);
        free(b->address);
        free(b);
        return NULL;
}

int system_bus_new(SystemBus **ret, sd_event *event, const char *address,
                   const SystemBusBackend *backend) {
        _cleanup_(system_bus_freep) SystemBus *b = calloc(1, sizeof *b);
        int r;

        if (!b)
                return -ENOMEM;
        *b = (SystemBus) {
                .event = sd_event_ref(event),
                .address = strdup(address),
                .backend = *backend,
                .retry_usec = RETRY_MIN_USEC,
                .sleep_lock = -EBADF,
        };
        if (!b->address)
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &b->retry, CLOCK_MONOTONIC, 0, 0, on_retry, b);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}
