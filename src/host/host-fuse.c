/* SPDX-License-Identifier: MIT */
/* The fused cause of a start. */
#include "host/host-fuse.h"

#include <stdio.h>

#define MARK_SOURCE "host mark in the state directory"
#define RSTS_SOURCE "/proc/device-tree/chosen/bootloader/rsts"

static void conclude(HostVerdict *v, ResetCause cause, ResetReason reason, const char *after) {
        v->cause = cause;
        v->reason = reason;
        (void) snprintf(v->detail, sizeof v->detail, "first start since the host booted%s%s",
                        *after ? ", after " : "", after);
}

/* The host has not booted meanwhile: only the daemon ended. */
static HostVerdict same_boot(const RunStart *run, const HostFacts *f) {
        HostVerdict v = { .cause = run->cause, .reason = run->reason };

        if (run->cause != RESET_CAUSE_PWRON) {
                (void) snprintf(v.detail, sizeof v.detail, "%s", run->detail);
                evidence_add(&v.evidence, run->failures > 0 ? "daemon-failed" : "daemon-stopped",
                             CONFIDENCE_CERTAIN, "run mark", "%s", run->detail);
                return v;
        }
        /* The run directory has gone, the state directory remembers. */
        v.cause = RESET_CAUSE_HARD;
        if (f->mark.state == HOST_MARK_STOPPED) {
                v.reason = RESET_REASON_RESET_PIN;
                (void) snprintf(v.detail, sizeof v.detail, "mpyd was stopped and started again");
                evidence_add(&v.evidence, "daemon-stopped", CONFIDENCE_CERTAIN, MARK_SOURCE, "%s",
                             v.detail);
        } else {
                v.reason = RESET_REASON_UNKNOWN;
                (void) snprintf(v.detail, sizeof v.detail,
                                "mpyd ended without a clean stop (crash or kill)");
                evidence_add(&v.evidence, "daemon-failed", CONFIDENCE_CERTAIN, MARK_SOURCE, "%s",
                             v.detail);
        }
        return v;
}

/* mpyd itself has asked for the reboot: whatever the way down looked like, that is why. */
static void after_ordered_reboot(HostVerdict *v, const HostFacts *f) {
        char after[64];

        (void) snprintf(after, sizeof after, "a reboot that mpyd asked for (%s)", f->mark.reboot_why);
        conclude(v, RESET_CAUSE_PWRON, RESET_REASON_SOFTWARE, after);
        evidence_add(&v->evidence, "ordered-reboot", CONFIDENCE_CERTAIN, MARK_SOURCE,
                     "mpyd had asked for a reboot of the host: %s", f->mark.reboot_why);
        if (f->mark.state != HOST_MARK_STOPPED)
                evidence_add(&v->evidence, "no-clean-stop", CONFIDENCE_CERTAIN, MARK_SOURCE,
                             "mpyd was not stopped in good order on the way down");
        if (f->bootstatus & HOST_WDIOF_CARDRESET)
                evidence_add(&v->evidence, "host-watchdog", CONFIDENCE_CERTAIN, f->bootstatus_path,
                             "the hardware watchdog did the reset (bootstatus 0x%x)", f->bootstatus);
}

/* A shutdown in good order says it all; what else is there belongs to the way down. */
static void after_clean_stop(HostVerdict *v, const HostFacts *f) {
        conclude(v, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "a shutdown in good order");
        evidence_add(&v->evidence, "clean-stop", CONFIDENCE_CERTAIN, MARK_SOURCE,
                     "mpyd had been stopped in good order before the host went down");
        if (f->bootstatus & HOST_WDIOF_CARDRESET)
                evidence_add(&v->evidence, "host-watchdog", CONFIDENCE_CERTAIN, f->bootstatus_path,
                             "the hardware watchdog did the reset (bootstatus 0x%x): the reboot hung, "
                             "or uses it", f->bootstatus);
        if (f->rsts_known)
                evidence_add(&v->evidence, f->rsts & HOST_RSTS_POWER_ON ? "firmware-power-on"
                                                                        : "firmware-reset",
                             CONFIDENCE_POSSIBLE, RSTS_SOURCE, "reset status 0x%x", f->rsts);
}

static bool is_new_panic(const HostFacts *f) {
        return *f->panic_id && !streq(f->panic_id, f->mark.panic_id);
}

static void after_unclean_stop(HostVerdict *v, const HostFacts *f) {
        Evidence *e = &v->evidence;
        bool under_voltage = f->mark.under_voltage || (f->bootstatus & HOST_WDIOF_POWERUNDER);
        bool chip_watchdog = f->rsts_known && (f->rsts & HOST_RSTS_WATCHDOG);
        bool chip_power_on = f->rsts_known && (f->rsts & HOST_RSTS_POWER_ON);

        if (is_new_panic(f))
                evidence_add(e, "kernel-panic", CONFIDENCE_CERTAIN, f->panic_path,
                             "the kernel left a record of a panic that was not there before");
        if (f->bootstatus & HOST_WDIOF_CARDRESET)
                evidence_add(e, "host-watchdog", CONFIDENCE_CERTAIN, f->bootstatus_path,
                             "the hardware watchdog reset the host (bootstatus 0x%x)", f->bootstatus);
        if (f->bootstatus & HOST_WDIOF_POWERUNDER)
                evidence_add(e, "under-voltage", CONFIDENCE_CERTAIN, f->bootstatus_path,
                             "the power was too low (bootstatus 0x%x)", f->bootstatus);
        if (f->mark.under_voltage)
                evidence_add(e, "under-voltage", CONFIDENCE_LIKELY, MARK_SOURCE,
                             "the supply's voltage had been too low since the boot before");
        if (chip_watchdog)
                evidence_add(e, "firmware-watchdog",
                             f->mark.watchdog_armed ? CONFIDENCE_LIKELY : CONFIDENCE_POSSIBLE,
                             RSTS_SOURCE, "reset by the chip's watchdog (0x%x), %s", f->rsts,
                             f->mark.watchdog_armed ? "which was armed"
                                                    : "as in a forced reboot, a panic or a hang");
        if (chip_power_on)
                evidence_add(e, "firmware-power-on", CONFIDENCE_LIKELY, RSTS_SOURCE,
                             "the chip was powered on (0x%x)", f->rsts);
        evidence_add(e, "no-clean-stop", CONFIDENCE_CERTAIN, MARK_SOURCE,
                     "nobody stopped mpyd before the host went down");

        if (is_new_panic(f)) {
                conclude(v, RESET_CAUSE_PWRON, RESET_REASON_UNKNOWN, "a kernel panic");
                v->fault = SAFE_MODE_HARD_FAULT;
        } else if (f->bootstatus & HOST_WDIOF_CARDRESET)
                conclude(v, RESET_CAUSE_WDT, RESET_REASON_WATCHDOG,
                         "its hardware watchdog had bitten");
        else if (under_voltage)
                conclude(v, RESET_CAUSE_PWRON, RESET_REASON_BROWNOUT,
                         "a loss of power with under-voltage before it");
        else if (chip_watchdog && f->mark.watchdog_armed)
                conclude(v, RESET_CAUSE_WDT, RESET_REASON_WATCHDOG,
                         "the chip's watchdog had bitten, most likely");
        else if (chip_watchdog)
                conclude(v, RESET_CAUSE_PWRON, RESET_REASON_UNKNOWN,
                         "a forced reboot, a panic or a hang");
        else if (chip_power_on)
                conclude(v, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "a loss of power");
        else
                conclude(v, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON,
                         "an end without a shutdown: power cut, hang or forced reboot");

        if (v->reason == RESET_REASON_WATCHDOG)
                v->fault = SAFE_MODE_WATCHDOG;
        else if (v->reason == RESET_REASON_BROWNOUT)
                v->fault = SAFE_MODE_BROWNOUT;
}

HostVerdict host_fuse(const RunStart *run, const HostFacts *f) {
        HostVerdict v = { .host_booted = true };

        if (run->cause != RESET_CAUSE_PWRON ||
            (f->mark.state != HOST_MARK_NONE && *f->boot_id && streq(f->boot_id, f->mark.boot_id)))
                return same_boot(run, f);
        if (*f->mark.reboot_why)
                after_ordered_reboot(&v, f);
        else switch (f->mark.state) {
        case HOST_MARK_NONE:
                conclude(&v, RESET_CAUSE_PWRON, RESET_REASON_POWER_ON, "");
                evidence_add(&v.evidence, "first-run", CONFIDENCE_CERTAIN, MARK_SOURCE,
                             "mpyd has not run with this state directory before");
                break;
        case HOST_MARK_STOPPED:
                after_clean_stop(&v, f);
                break;
        case HOST_MARK_RUNNING:
                after_unclean_stop(&v, f);
                break;
        }
        if (f->under_voltage)
                evidence_add(&v.evidence, "under-voltage-now", CONFIDENCE_CERTAIN,
                             f->under_voltage_path, "the supply's voltage is or was too low since this "
                                                    "boot");
        return v;
}
