/* SPDX-License-Identifier: MIT */
/* machine.WDT, for those who are not Python: modules/machine-wdt.c. */
#pragma once

#include "mpyd/reset.h"

/* LINK_WATCHDOG_WARNING: calls the program's callback at the VM's next safe point. The I/O thread. */
void wdt_warn(WatchdogId id);

/* The program has ended: nobody is warned any more. */
void wdt_forget_callback(void);
