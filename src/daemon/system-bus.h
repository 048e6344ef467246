/* SPDX-License-Identifier: MIT */
/* The board's state on the system bus, to be read only: properties and signals of CONTROL_INTERFACE under
 * the name CONTROL_SERVICE. And what logind announces there of the host: that it goes down, to sleep, and
 * wakes up; it waits until we have taken notice before it sleeps. A bus that is not there yet, or restarts, is tried again; nothing waits for it. */
#pragma once

#include <stdbool.h>

#include "util/macros.h"

typedef struct sd_event sd_event;
typedef struct sd_bus_message sd_bus_message;
typedef struct SystemBus SystemBus;

typedef struct SystemBusBackend {
        /* As ControlBackend's. */
        int (*property)(void *userdata, const char *name, sd_bus_message *reply);
        /* kebab-case: host-shutdown, host-sleep, host-resume */
        void (*host_event)(void *userdata, const char *name);
        void *userdata;
} SystemBusBackend;

/* address: of D-Bus' specification, such as unix:path=/run/dbus/system_bus_socket. */
int system_bus_new(SystemBus **ret, sd_event *event, const char *address,
                   const SystemBusBackend *backend) _must_check_;
SystemBus *system_bus_free(SystemBus *b);
DEFINE_CLEANUP(SystemBus *, system_bus_free)

/* To whoever listens; dropped while there is no bus. NULL is fine. */
void system_bus_emit(SystemBus *b, const char *signal, const char *first, const char *second);
