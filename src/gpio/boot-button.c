/* SPDX-License-Identifier: MIT */
/* What does the button that is held at boot select? */
#include "gpio/boot-button.h"

#include <stddef.h>

int boot_button_init(BootButton *b, const BootButtonLimits *limits) {
        uint64_t longest = MAX(limits->hold_usec, limits->factory_hold_usec);

        if (limits->hold_usec == 0 || limits->stuck_usec <= longest)
                return -EINVAL;
        if (limits->factory_hold_usec != 0 && limits->factory_hold_usec <= limits->hold_usec)
                return -EINVAL;
        *b = (BootButton) { .limits = *limits, .free_usec = UINT64_MAX, .decided = true };
        return 0;
}

int boot_button_set_limits(BootButton *b, const BootButtonLimits *limits) {
        bool stuck = b->stuck;
        int r = boot_button_init(b, limits);

        if (r >= 0)
                b->stuck = stuck;
        return r;
}

/* What a button that was held for so long selects when it is let go. */
static BootButtonChoice choice_after(const BootButtonLimits *l, uint64_t held_usec) {
        if (l->factory_hold_usec != 0 && held_usec >= l->factory_hold_usec)
                return BOOT_BUTTON_FACTORY_RESET;
        return held_usec >= l->hold_usec ? BOOT_BUTTON_SAFE_MODE : BOOT_BUTTON_NORMAL;
}

/* When a button that is held all the time next selects something else. */
static uint64_t next_change(const BootButton *b, uint64_t now_usec) {
        const uint64_t at[] = { b->limits.hold_usec, b->limits.factory_hold_usec };

        for (size_t i = 0; i < ELEMENTSOF(at); i++)
                if (at[i] != 0 && now_usec < b->begin_usec + at[i])
                        return b->begin_usec + at[i];
        return b->begin_usec + b->limits.stuck_usec;
}

static BootButtonVerdict decide(BootButton *b, BootButtonChoice choice) {
        b->decided = true;
        b->stuck |= choice == BOOT_BUTTON_STUCK;
        return (BootButtonVerdict) {
                choice, choice == BOOT_BUTTON_STUCK ? BOOT_BUTTON_NORMAL : choice, UINT64_MAX,
        };
}

BootButtonVerdict boot_button_begin(BootButton *b, bool held, uint64_t now_usec) {
        b->begin_usec = now_usec;
        b->free_usec = UINT64_MAX;
        b->decided = false;
        b->stuck &= held;
        if (!held || b->stuck)
                return decide(b, BOOT_BUTTON_NORMAL);
        return boot_button_look(b, true, now_usec);
}

BootButtonVerdict boot_button_look(BootButton *b, bool held, uint64_t now_usec) {
        uint64_t let_go;

        b->stuck &= held;
        if (b->decided) /* once is enough */
                return decide(b, BOOT_BUTTON_NORMAL);
        if (held)
                b->free_usec = UINT64_MAX;
        else if (b->free_usec == UINT64_MAX)
                b->free_usec = now_usec;

        /* A contact bounces when it opens: free counts from the moment when it stays so. */
        if (b->free_usec != UINT64_MAX && now_usec - b->free_usec >= b->limits.debounce_usec)
                return decide(b, choice_after(&b->limits, b->free_usec - b->begin_usec));
        if (held && now_usec - b->begin_usec >= b->limits.stuck_usec)
                return decide(b, BOOT_BUTTON_STUCK);

        let_go = b->free_usec != UINT64_MAX ? b->free_usec : now_usec;
        return (BootButtonVerdict) {
                .choice = BOOT_BUTTON_WAIT,
                .would = choice_after(&b->limits, let_go - b->begin_usec),
                .wake_usec = b->free_usec != UINT64_MAX ? b->free_usec + b->limits.debounce_usec
                                                        : next_change(b, now_usec),
        };
}
