/* SPDX-License-Identifier: MIT */
/* Pin.board and Pin.cpu: a line's name as an attribute (Pin.board.GPIO17). dir() and TAB try every word that
 * there is: no line is requested for that, only when its Pin is used. Both know the same lines, those that the
 * supervisor has for scripts. */
#include "board/modules/machine-pin.h"

#include <string.h>

#include "board/clock.h"
#include "board/pin-link.h"
#include "py/qstr.h"

#define REFRESH_NSEC 1000000000 /* a chip may have been plugged in */

static struct {
        int64_t asked_nsec; /* 0: never */
        size_t n, n_allocated;
        qstr *list;         /* of the C heap: it is not searched for objects */
} lines;

/* dir() tells words that the VM knows: this makes it know them. */
static void add_line(const char *name) {
        qstr q = qstr_from_str(name);

        for (size_t i = 0; i < lines.n; i++)
                if (lines.list[i] == q)
                        return;
        if (lines.n == lines.n_allocated) {
                size_t n = MAX(2 * lines.n, (size_t) 64);
                qstr *list = realloc(lines.list, n * sizeof *list);

                if (!list)
                        return;
                lines.list = list;
                lines.n_allocated = n;
        }
        lines.list[lines.n++] = q;
}

static bool is_word(const char *name) {
        return !strchr("0123456789", name[0]) &&
               strspn(name, "0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == strlen(name);
}

static void ask_for_names(void) {
        PinNames *answer = m_new(PinNames, 1);
        uint32_t from = 0;

        lines.asked_nsec = clock_monotonic_nsec();
        do {
                MP_THREAD_GIL_EXIT();
                pin_link_ask_names(from, answer);
                MP_THREAD_GIL_ENTER();
                for (size_t i = 0; i < answer->size; i += strlen(answer->names + i) + 1)
                        if (is_word(answer->names + i))
                                add_line(answer->names + i);
                if (answer->next <= from)
                        break;
                from = answer->next;
        } while (true);
        m_del(PinNames, answer, 1);
}

static bool is_listed(qstr name) {
        for (size_t i = 0; i < lines.n; i++)
                if (lines.list[i] == name)
                        return true;
        return false;
}

static bool is_line(qstr name) {
        if (is_listed(name))
                return true;
        if (lines.asked_nsec != 0 && clock_monotonic_nsec() - lines.asked_nsec < REFRESH_NSEC)
                return false;
        ask_for_names();
        return is_listed(name);
}

static void names_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
        const char *name = qstr_str(attr);
        char line[LINK_PIN_NAME_MAX + 1];

        if (dest[0] != MP_OBJ_NULL || strlen(name) > LINK_PIN_NAME_MAX || !is_word(name) || strncmp(name, "__", 2) == 0)
                return;
        if (is_line(attr))
                dest[0] = MP_OBJ_FROM_PTR(machine_pin_named(name));
        else if (machine_pin_pico_name(name, line) && is_line(qstr_from_str(line)))
                dest[0] = MP_OBJ_FROM_PTR(machine_pin_named(line));
}

static MP_DEFINE_CONST_OBJ_TYPE(pin_names_type, MP_QSTR_board, MP_TYPE_FLAG_NONE, attr, names_attr);
const mp_obj_base_t machine_pin_names = { &pin_names_type };
