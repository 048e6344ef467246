/* SPDX-License-Identifier: MIT */
/* Pin.board and Pin.cpu: a line's name as an attribute (Pin.board.GPIO17), and dir() has them all. hasattr() and TAB
 * try many words: no line is requested for that, only when its Pin is used. Both know the same lines, those that
 * the supervisor has for scripts. */
#include "board/modules/machine-pin.h"

#include <string.h>

#include "board/clock.h"
#include "board/pin-link.h"
#include "py/qstr.h"

#define REFRESH_NSEC 1000000000 /* a chip may have been plugged in */

typedef struct Names {
        int64_t asked_nsec;
        size_t n;
        qstr list[];        /* words only */
} Names;

/* Replaced, not changed: another thread may be looking at it. NULL: nobody has asked yet. */
MP_REGISTER_ROOT_POINTER(void *machine_pin_names_known);

static bool is_word(const char *name) {
        return !strchr("0123456789", name[0]) &&
               strspn(name, "0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == strlen(name);
}

static bool is_in(const Names *names, qstr name) {
        for (size_t i = 0; i < names->n; i++)
                if (names->list[i] == name)
                        return true;
        return false;
}

/* Into *n, which moves. */
static void add_names(Names **n, const PinNames *answer) {
        size_t max = (*n)->n;

        for (size_t i = 0; i < answer->size; i += strlen(answer->names + i) + 1)
                max++;
        *n = m_realloc(*n, sizeof **n + max * sizeof (*n)->list[0]);
        for (size_t i = 0; i < answer->size; i += strlen(answer->names + i) + 1) {
                const char *name = answer->names + i;

                if (is_word(name) && !is_in(*n, qstr_from_str(name)))
                        (*n)->list[(*n)->n++] = qstr_from_str(name);
        }
}

static const Names *ask_for_names(void) {
        PinNames *answer = m_new(PinNames, 1);
        Names *names = m_malloc(sizeof *names);
        uint32_t from = 0;

        names->n = 0;
        do {
                MP_THREAD_GIL_EXIT();
                pin_link_ask_names(from, answer);
                MP_THREAD_GIL_ENTER();
                add_names(&names, answer);
                if (answer->next <= from)
                        break;
                from = answer->next;
        } while (true);
        m_del(PinNames, answer, 1);
        names->asked_nsec = clock_monotonic_nsec();
        MP_STATE_PORT(machine_pin_names_known) = names;
        return names;
}

static const Names *recent_names(void) {
        const Names *known = MP_STATE_PORT(machine_pin_names_known);

        return known && clock_monotonic_nsec() - known->asked_nsec < REFRESH_NSEC ? known : ask_for_names();
}

/* The line's own name: as it is, or for a Pico's. NULL: there is none. */
static const char *find_line(const Names *names, qstr attr, char pico[static LINK_PIN_NAME_MAX + 1]) {
        if (is_in(names, attr))
                return qstr_str(attr);
        if (!machine_pin_pico_name(qstr_str(attr), pico))
                return NULL;
        return is_in(names, qstr_find_strn(pico, strlen(pico))) ? pico : NULL;
}

static mp_obj_t names_dir(mp_obj_t self_in) {
        const Names *names = recent_names();
        mp_obj_t list = mp_obj_new_list(0, NULL);

        for (size_t i = 0; i < names->n; i++)
                mp_obj_list_append(list, MP_OBJ_NEW_QSTR(names->list[i]));
        return list;
}
static MP_DEFINE_CONST_FUN_OBJ_1(names_dir_obj, names_dir);

static void names_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
        const Names *known = MP_STATE_PORT(machine_pin_names_known);
        char pico[LINK_PIN_NAME_MAX + 1];
        const char *name = qstr_str(attr);

        if (dest[0] != MP_OBJ_NULL)
                return;
        if (attr == MP_QSTR___dir__) {
                dest[0] = MP_OBJ_FROM_PTR(&names_dir_obj);
                dest[1] = self_in;
                return;
        }
        if (strlen(name) > LINK_PIN_NAME_MAX || !is_word(name) || strncmp(name, "__", 2) == 0)
                return;
        name = known ? find_line(known, attr, pico) : NULL; /* without asking, as a handler with hard=True may not */
        if (!name)
                name = find_line(recent_names(), attr, pico);
        if (name)
                dest[0] = MP_OBJ_FROM_PTR(machine_pin_named(name));
}

static MP_DEFINE_CONST_OBJ_TYPE(pin_names_type, MP_QSTR_board, MP_TYPE_FLAG_NONE, attr, names_attr);
const mp_obj_base_t machine_pin_names = { &pin_names_type };
