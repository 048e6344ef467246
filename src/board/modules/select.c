/* SPDX-License-Identifier: MIT */
/* The select module: waiting for several objects at once. Most have a descriptor; others can only be asked (a
 * ThreadSafeFlag of asyncio, a stream written in Python). A TLS connection is asked first, as it may have read ahead;
 * then it has the descriptor of its socket. (Who reads a part of a record in one thread while another waits leaves the
 * rest to who read.)
 *
 * In the place of extmod/modselect.c, because in that one a program crashes the board: its array of descriptors moves
 * under objects that have none (asyncio with a ThreadSafeFlag and a few connections), what register() refuses stays in
 * the set, and a thread that registers frees what another one waits on. */
#include "util/macros.h"

#include "board/clock.h"
#include "board/modules/socket.h"
#include "board/wait.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objtype.h"
#include "py/runtime.h"
#include "py/stream.h"

#define FLAG_ONESHOT 1               /* of ipoll(): what is told once is not waited for until modify() */
#define ASK_PERIOD_NSEC 1000000      /* of objects without a descriptor, which nothing tells of */
#define ENTRIES_MIN 4u
#define NSEC_PER_MSEC 1000000
#define EVENTS_OF_ALL (MP_STREAM_POLL_ERR | MP_STREAM_POLL_HUP) /* come without being asked for */

typedef mp_uint_t StreamIoctl(mp_obj_t obj, mp_uint_t request, uintptr_t arg, int *errcode);

typedef struct Entry {
        mp_obj_t obj;          /* MP_OBJ_NULL: a free place */
        StreamIoctl *ioctl;    /* NULL: obj is the number of a descriptor */
        bool ask_for_fd;       /* each time: it may be closed by now */
        bool has_socket;       /* TLS: when it is not ready, its socket tells when to ask again */
        int fd;                /* obj as a number; otherwise -1 */
        uint16_t events, revents;
} Entry;

/* Entries keep their places, so that a program may register and unregister in its loop over ipoll(). Arrays are
 * replaced, not freed: another thread may be using them. */
typedef struct Poll {
        mp_obj_base_t base;
        Entry *entries;
        struct pollfd *fds;    /* of the same length, for waiting: those that have a descriptor, */
        size_t *places;        /* and which entries they are */
        size_t n, n_allocated;
        size_t next;           /* of the iteration that ipoll() began */
        bool oneshot;
        mp_obj_t pair;         /* (object, events), the same one each time: ipoll() does not allocate */
} Poll;

static const mp_obj_type_t poll_type;

static Poll *poll_new(void) {
        Poll *p = mp_obj_malloc(Poll, &poll_type);

        p->entries = NULL;
        p->fds = NULL;
        p->places = NULL;
        p->n = p->n_allocated = p->next = 0;
        p->oneshot = false;
        p->pair = MP_OBJ_NULL;
        return p;
}

/* ---- the set ---- */

static Entry *find(const Poll *p, mp_obj_t obj) {
        for (size_t i = 0; i < p->n; i++)
                if (p->entries[i].obj == obj)
                        return &p->entries[i];
        return NULL;
}

static Entry *make_room(Poll *p) {
        size_t n = MAX(2 * p->n_allocated, (size_t) ENTRIES_MIN);
        struct pollfd *fds;
        size_t *places;
        Entry *entries, *free_one = find(p, MP_OBJ_NULL);

        if (free_one)
                return free_one;
        if (p->n == p->n_allocated) {
                fds = m_new0(struct pollfd, n);
                places = m_new0(size_t, n);
                entries = m_new0(Entry, n);
                if (p->n > 0)
                        memcpy(entries, p->entries, p->n * sizeof *entries);
                p->entries = entries;
                p->fds = fds;
                p->places = places;
                p->n_allocated = n;
        }
        return &p->entries[p->n++];
}

static int int_in_range(mp_obj_t obj, int max, mp_rom_error_text_t message) {
        mp_int_t number = mp_obj_get_int(obj);

        if (number < 0 || number > max)
                mp_raise_ValueError(message);
        return (int) number;
}

/* It may run Python (__int__), and raise. */
static uint16_t events_from_obj(mp_obj_t obj) {
        return (uint16_t) int_in_range(obj, UINT16_MAX, MP_ERROR_TEXT("not a mask of events"));
}

/* A stream of a class written in Python is not asked for a descriptor, as on boards: many answer 0 to whatever
 * they do not know. */
static Entry entry_from(mp_obj_t obj) {
        Entry e = { .obj = obj, .fd = -1 };

        if (mp_obj_is_int(obj)) {
                e.fd = int_in_range(obj, INT_MAX, MP_ERROR_TEXT("not the number of a descriptor"));
                return e;
        }
        e.ioctl = mp_get_stream_raise(obj, MP_STREAM_OP_IOCTL)->ioctl;
        e.ask_for_fd = !mp_obj_is_instance_type(mp_obj_get_type(obj));
        e.has_socket = e.ask_for_fd && mp_obj_get_type(obj)->name == MP_QSTR_SSLSocket;
        return e;
}

static Entry *add(Poll *p, mp_obj_t obj, uint16_t events) {
        Entry *e = find(p, obj), fresh;

        if (!e) {
                fresh = entry_from(obj); /* it may run Python, and raise */
                e = find(p, obj) ?: make_room(p);
                *e = fresh;
        }
        e->events = events;
        return e;
}

/* ---- waiting ---- */

static int descriptor(const Entry *e) {
        mp_uint_t fd;
        int error;

        if (!e->ask_for_fd)
                return e->fd;
        fd = e->ioctl(e->obj, MP_STREAM_GET_FILENO, 0, &error);
        return fd == MP_STREAM_ERROR ? -1 : (int) fd;
}

/* ret_socket: what tells when to ask again, or fd -1. What is asked may be Python that polls others meanwhile: theirs is
 * not its own. */
static mp_uint_t ask(const Entry *e, struct pollfd *ret_socket) {
        const struct pollfd none = { .fd = -1 };
        int error = 0;
        mp_uint_t ready;

        socket_not_ready = none;
        ready = e->ioctl(e->obj, MP_STREAM_POLL, e->events, &error);
        *ret_socket = ready == 0 && e->has_socket ? socket_not_ready : none;
        socket_not_ready = none;
        if (ready == MP_STREAM_ERROR)
                mp_raise_OSError(error);
        return ready;
}

/* Asks those without a descriptor, and gathers the descriptors of the others for those that wait for them. What is asked
 * may be Python, which changes the set: each entry is looked at as it was, and found again by its place. Returns how
 * many are ready. */
static size_t look_around(Poll *p, struct pollfd *fds, size_t *places, size_t n, nfds_t *ret_n_fds,
                          bool *ret_must_ask) {
        size_t n_ready = 0;

        for (size_t i = 0; i < n && i < p->n; i++) {
                Entry e = p->entries[i];
                struct pollfd pfd = { .fd = -1, .events = (short) e.events };
                mp_uint_t ready;

                if (e.obj == MP_OBJ_NULL)
                        continue;
                p->entries[i].revents = 0;
                pfd.fd = descriptor(&e);
                if (pfd.fd < 0) {
                        ready = ask(&e, &pfd);
                        if (i < p->n && p->entries[i].obj == e.obj) {
                                p->entries[i].revents = (uint16_t) ready;
                                n_ready += ready != 0;
                        }
                }
                if (pfd.fd < 0) {
                        *ret_must_ask = true;
                        continue;
                }
                fds[*ret_n_fds] = pfd;
                places[(*ret_n_fds)++] = i;
        }
        return n_ready;
}

/* Those that are still what was waited for; who has a socket is asked again. */
static size_t take_results(Poll *p, const struct pollfd *fds, const size_t *places, nfds_t n_fds) {
        size_t n_ready = 0;

        for (nfds_t i = 0; i < n_fds; i++) {
                short revents = fds[i].revents;
                Entry e = {};

                if ((revents & POLLERR) && socket_forget_earlier_datagram(fds[i].fd))
                        revents &= (short) ~POLLERR;
                if (revents == 0 || places[i] >= p->n)
                        continue;
                e = p->entries[places[i]];
                if (e.obj == MP_OBJ_NULL || e.has_socket || descriptor(&e) != fds[i].fd)
                        continue;
                if (places[i] >= p->n || p->entries[places[i]].obj != e.obj)
                        continue;
                p->entries[places[i]].revents = (uint16_t) revents;
                n_ready++;
        }
        return n_ready;
}

/* until_nsec: CLOCK_MONOTONIC, 0: does not wait, VM_SLEEP_FOREVER. */
static void wait_until_ready(Poll *p, int64_t until_nsec) {
        for (;;) {
                struct pollfd *fds = p->fds;
                size_t *places = p->places;
                bool must_ask = false;
                nfds_t n_fds = 0;
                size_t n_ready = look_around(p, fds, places, p->n, &n_fds, &must_ask);
                int64_t until = until_nsec;
                int r;

                if (n_ready > 0)
                        until = 0;
                else if (must_ask)
                        until = MIN(until_nsec, clock_monotonic_nsec() + ASK_PERIOD_NSEC);
                r = vm_poll(fds, n_fds, until);
                if (r < 0 && r != -EINTR)
                        mp_raise_OSError(-r);
                if (r > 0)
                        n_ready += take_results(p, fds, places, n_fds);
                if (n_ready > 0 || until_nsec == 0)
                        return;
                mp_event_handle_nowait();
                if (until_nsec != VM_SLEEP_FOREVER && clock_monotonic_nsec() >= until_nsec)
                        until_nsec = 0; /* one last look */
        }
}

/* Milliseconds; None and what is negative: for ever. */
static int64_t until_from_msec(mp_obj_t timeout) {
        int64_t now = clock_monotonic_nsec();
        mp_int_t ms = timeout == mp_const_none ? -1 : mp_obj_get_int(timeout);

        if (ms == 0)
                return 0;
        return ms < 0 || (int64_t) ms > (VM_SLEEP_FOREVER - now) / NSEC_PER_MSEC ? VM_SLEEP_FOREVER
                                                                                 : now + (int64_t) ms * NSEC_PER_MSEC;
}

/* Seconds, in the same way; it never waits shorter than so long. */
static int64_t until_from_sec(mp_obj_t timeout) {
        int64_t now = clock_monotonic_nsec();
        mp_float_t nsec = timeout == mp_const_none ? -1 : mp_obj_get_float(timeout) * (mp_float_t) 1e9;

        if (nsec == 0)
                return 0;
        return nsec > 0 && nsec < (mp_float_t) (INT64_MAX / 2) ? now + (int64_t) nsec + 1 : VM_SLEEP_FOREVER;
}

/* ---- poll objects ---- */

/* register(obj, eventmask=POLLIN|POLLOUT): again: the mask is set anew. */
static mp_obj_t poll_register(size_t n_args, const mp_obj_t *args) {
        uint16_t events = n_args > 2 ? events_from_obj(args[2]) : MP_STREAM_POLL_RD | MP_STREAM_POLL_WR;

        (void) add(MP_OBJ_TO_PTR(args[0]), args[1], events);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(poll_register_obj, 2, 3, poll_register);

/* What is not registered is no error, as upstream. */
static mp_obj_t poll_unregister(mp_obj_t self_in, mp_obj_t obj) {
        Poll *p = MP_OBJ_TO_PTR(self_in);
        Entry *e = find(p, obj);

        if (e)
                *e = (Entry) { .obj = MP_OBJ_NULL };
        while (p->n > 0 && p->entries[p->n - 1].obj == MP_OBJ_NULL)
                p->n--;
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(poll_unregister_obj, poll_unregister);

/* OSError(ENOENT) for what is not registered. */
static mp_obj_t poll_modify(mp_obj_t self_in, mp_obj_t obj, mp_obj_t events_in) {
        uint16_t events = events_from_obj(events_in);
        Entry *e = find(MP_OBJ_TO_PTR(self_in), obj);

        if (!e)
                mp_raise_OSError(MP_ENOENT);
        e->events = events;
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(poll_modify_obj, poll_modify);

/* poll(timeout=-1): a list of (object, events), timeout in milliseconds. */
static mp_obj_t poll_poll(size_t n_args, const mp_obj_t *args) {
        Poll *p = MP_OBJ_TO_PTR(args[0]);
        mp_obj_t ready = mp_obj_new_list(0, NULL);

        wait_until_ready(p, until_from_msec(n_args > 1 ? args[1] : mp_const_none));
        for (size_t i = 0; i < p->n; i++) {
                const Entry *e = &p->entries[i];

                if (e->obj != MP_OBJ_NULL && e->revents != 0)
                        mp_obj_list_append(ready, mp_obj_new_tuple(2, (mp_obj_t[]) {
                                                                  e->obj, MP_OBJ_NEW_SMALL_INT(e->revents) }));
        }
        return ready;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(poll_poll_obj, 1, 2, poll_poll);

/* ipoll(timeout=-1, flags=0): the same one by one; flags 1: what has been told is not waited for until modify(). */
static mp_obj_t poll_ipoll(size_t n_args, const mp_obj_t *args) {
        Poll *p = MP_OBJ_TO_PTR(args[0]);

        if (p->pair == MP_OBJ_NULL)
                p->pair = mp_obj_new_tuple(2, NULL);
        p->oneshot = n_args > 2 && (mp_obj_get_int(args[2]) & FLAG_ONESHOT);
        wait_until_ready(p, until_from_msec(n_args > 1 ? args[1] : mp_const_none));
        p->next = 0;
        return args[0];
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(poll_ipoll_obj, 1, 3, poll_ipoll);

static mp_obj_t poll_iternext(mp_obj_t self_in) {
        Poll *p = MP_OBJ_TO_PTR(self_in);
        mp_obj_tuple_t *pair = MP_OBJ_TO_PTR(p->pair);

        while (p->pair != MP_OBJ_NULL && p->next < p->n) {
                Entry *e = &p->entries[p->next++];

                if (e->obj == MP_OBJ_NULL || e->revents == 0)
                        continue;
                pair->items[0] = e->obj;
                pair->items[1] = MP_OBJ_NEW_SMALL_INT(e->revents);
                e->revents = 0;
                if (p->oneshot)
                        e->events = 0;
                return p->pair;
        }
        return MP_OBJ_STOP_ITERATION;
}

static const mp_rom_map_elem_t poll_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_register), MP_ROM_PTR(&poll_register_obj) },
        { MP_ROM_QSTR(MP_QSTR_unregister), MP_ROM_PTR(&poll_unregister_obj) },
        { MP_ROM_QSTR(MP_QSTR_modify), MP_ROM_PTR(&poll_modify_obj) },
        { MP_ROM_QSTR(MP_QSTR_poll), MP_ROM_PTR(&poll_poll_obj) },
        { MP_ROM_QSTR(MP_QSTR_ipoll), MP_ROM_PTR(&poll_ipoll_obj) },
};
static MP_DEFINE_CONST_DICT(poll_locals, poll_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(poll_type, MP_QSTR_poll, MP_TYPE_FLAG_ITER_IS_ITERNEXT,
                                iter, poll_iternext, locals_dict, &poll_locals);

/* ---- the module ---- */

static mp_obj_t select_poll(void) {
        return MP_OBJ_FROM_PTR(poll_new());
}
static MP_DEFINE_CONST_FUN_OBJ_0(select_poll_obj, select_poll);

static const uint16_t wanted[] = { MP_STREAM_POLL_RD, MP_STREAM_POLL_WR, EVENTS_OF_ALL }; /* of each list of select() */

/* Those of objects that are ready for what the list is about. OSError(EBADF) for what is closed. */
static mp_obj_t choose(const Poll *p, mp_obj_t objects, uint16_t events) {
        mp_obj_t chosen = mp_obj_new_list(0, NULL), *items;
        size_t n;

        mp_obj_get_array(objects, &n, &items);
        for (size_t i = 0; i < n; i++) {
                const Entry *e = find(p, items[i]);

                if (e && (e->revents & MP_STREAM_POLL_NVAL))
                        mp_raise_OSError(MP_EBADF);
                if (e && (e->revents & (events | EVENTS_OF_ALL)))
                        mp_obj_list_append(chosen, items[i]);
        }
        return chosen;
}

/* select(rlist, wlist, xlist, timeout=None): three lists of those that are ready, in their order; as in select(2) an
 * error or a hang-up makes an object ready for whatever it was asked for, so that reading or writing tells. The third
 * list is for those that are only waited for because of them. timeout in seconds; None, or negative: for ever. */
static mp_obj_t select_select(size_t n_args, const mp_obj_t *args) {
        int64_t until_nsec = until_from_sec(n_args > 3 ? args[3] : mp_const_none);
        mp_obj_t lists[3], *items;
        Poll *p = poll_new();
        size_t n;

        for (size_t list = 0; list < ELEMENTSOF(lists); list++) {
                lists[list] = MP_OBJ_TYPE_GET_SLOT(&mp_type_tuple, make_new)(&mp_type_tuple, 1, 0, &args[list]);
                mp_obj_get_array(lists[list], &n, &items);
                for (size_t i = 0; i < n; i++) {
                        const Entry *e = find(p, items[i]);

                        (void) add(p, items[i], (uint16_t) (wanted[list] | (e ? e->events : 0u)));
                }
        }
        wait_until_ready(p, until_nsec);
        for (size_t list = 0; list < ELEMENTSOF(lists); list++)
                lists[list] = choose(p, lists[list], wanted[list]);
        return mp_obj_new_tuple(ELEMENTSOF(lists), lists);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(select_select_obj, 3, 4, select_select);

static const mp_rom_map_elem_t select_globals_table[] = {
        { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_select) },
        { MP_ROM_QSTR(MP_QSTR_poll), MP_ROM_PTR(&select_poll_obj) },
        { MP_ROM_QSTR(MP_QSTR_select), MP_ROM_PTR(&select_select_obj) },
        { MP_ROM_QSTR(MP_QSTR_POLLIN), MP_ROM_INT(MP_STREAM_POLL_RD) },
        { MP_ROM_QSTR(MP_QSTR_POLLOUT), MP_ROM_INT(MP_STREAM_POLL_WR) },
        { MP_ROM_QSTR(MP_QSTR_POLLERR), MP_ROM_INT(MP_STREAM_POLL_ERR) },
        { MP_ROM_QSTR(MP_QSTR_POLLHUP), MP_ROM_INT(MP_STREAM_POLL_HUP) },
};
static MP_DEFINE_CONST_DICT(select_globals, select_globals_table);

extern const mp_obj_module_t select_module;
const mp_obj_module_t select_module = {
        .base = { &mp_type_module },
        .globals = (mp_obj_dict_t *) &select_globals,
};
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_select, select_module);
