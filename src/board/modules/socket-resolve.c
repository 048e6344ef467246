/* SPDX-License-Identifier: MIT */
/* Host names are looked up by a thread that can be left alone. See socket-resolve.h. */
#include "util/macros.h"

#include "board/modules/socket-resolve.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "board/clock.h"
#include "board/irq.h"
#include "board/wait.h"
#include "py/mperrno.h"
#include "py/runtime.h"

#define STACK_SIZE (256 * 1024)
#define NSEC_PER_SEC INT64_C(1000000000)

/* Belongs to the VM's thread and the helper's together; whoever lets go last frees it. */
typedef struct Lookup {
        atomic_int owners;
        int done_fd; /* eventfd: the answer is there */
        char *host, *service;
        struct addrinfo hints, *list;
        int result; /* 0 or EAI_ */
} Lookup;

static atomic_int n_threads;

static void lookup_release(Lookup *l) {
        if (atomic_fetch_sub(&l->owners, 1) > 1)
                return;
        if (l->list)
                freeaddrinfo(l->list);
        safe_close(l->done_fd);
        free(l->host);
        free(l->service);
        free(l);
}

static void *lookup_run(void *arg) {
        Lookup *l = arg;

        l->result = getaddrinfo(l->host, l->service, &l->hints, &l->list);
        (void) eventfd_write(l->done_fd, 1);
        lookup_release(l);
        atomic_fetch_sub(&n_threads, 1);
        return NULL;
}

/* Starts the thread. Returns a negative errno. */
static int lookup_new(Lookup **ret, const char *host, const char *service,
                      const struct addrinfo *hints) {
        pthread_attr_t attributes;
        pthread_t thread;
        Lookup *l;
        int r;

        if (atomic_fetch_add(&n_threads, 1) >= SOCKET_RESOLVE_THREADS_MAX) {
                atomic_fetch_sub(&n_threads, 1);
                return -EAGAIN;
        }
        l = calloc(1, sizeof *l);
        if (!l) {
                atomic_fetch_sub(&n_threads, 1);
                return -ENOMEM;
        }
        atomic_init(&l->owners, 1);
        l->hints = *hints;
        l->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        l->host = host ? strdup(host) : NULL;
        l->service = service ? strdup(service) : NULL;
        r = l->done_fd < 0                                  ? errno
            : (host && !l->host) || (service && !l->service) ? ENOMEM
                                                             : 0;
        if (r == 0) {
                pthread_attr_init(&attributes);
                pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
                (void) pthread_attr_setstacksize(&attributes, STACK_SIZE);
                atomic_store(&l->owners, 2);
                r = pthread_create(&thread, &attributes, lookup_run, l);
                pthread_attr_destroy(&attributes);
        }
        if (r != 0) {
                atomic_store(&l->owners, 1);
                lookup_release(l);
                atomic_fetch_sub(&n_threads, 1);
                return -r;
        }
        *ret = l;
        return 0;
}

static _Noreturn void raise_resolve_error(int result) {
        const char *text = gai_strerror(result);
        mp_obj_t args[] = {
                MP_OBJ_NEW_SMALL_INT(result),
                mp_obj_new_str_from_cstr(text),
        };

        if (result == EAI_SYSTEM)
                mp_raise_OSError(MP_EIO);
        nlr_raise(mp_obj_exception_make_new(&mp_type_OSError, ELEMENTSOF(args), 0, args));
}

/* Until the answer is there. An exception (Ctrl-C) leaves the thread to itself. Returns false when
 * the time is over. */
static bool lookup_wait(Lookup *l) {
        int64_t until = clock_monotonic_nsec() + SOCKET_RESOLVE_TIMEOUT_SEC * NSEC_PER_SEC;
        struct pollfd pfd = { .fd = l->done_fd, .events = POLLIN };
        nlr_buf_t nlr;
        int r = 0;

        if (nlr_push(&nlr) != 0) {
                lookup_release(l);
                nlr_jump(nlr.ret_val);
        }
        while (r == 0 && clock_monotonic_nsec() < until) {
                irq_handle_events();
                r = vm_sleep(&pfd, 1, until, NULL);
        }
        nlr_pop();
        return r > 0;
}

struct addrinfo *socket_resolve(const char *host, const char *service,
                                const struct addrinfo *hints) {
        struct addrinfo numeric = *hints, *list = NULL;
        Lookup *l = NULL;
        int r;

        numeric.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
        r = getaddrinfo(host, service, &numeric, &list);
        if (r == 0)
                return list;
        if ((hints->ai_flags & AI_NUMERICHOST) || r == EAI_FAMILY || r == EAI_BADFLAGS)
                raise_resolve_error(r);

        r = lookup_new(&l, host, service, hints);
        if (r < 0)
                mp_raise_OSError(-r);
        if (!lookup_wait(l)) {
                lookup_release(l);
                mp_raise_OSError(MP_ETIMEDOUT);
        }
        r = l->result;
        list = l->list;
        l->list = NULL;
        lookup_release(l);
        if (r != 0)
                raise_resolve_error(r);
        return list;
}

void socket_resolve_first(SocketAddress *ret, const char *host, int family, int type) {
        struct addrinfo hints = { .ai_family = family, .ai_socktype = type };
        struct addrinfo *list;
        const struct addrinfo *first;

        if (family == AF_INET6)
                hints.ai_flags = AI_V4MAPPED; /* an IPv4 address is none that its socket cannot reach */
        if (host[0] == '\0') {
                hints.ai_flags |= AI_PASSIVE;
                host = NULL;
        }
        list = socket_resolve(host, "0", &hints);
        for (first = list; first && first->ai_family != AF_INET;)
                first = first->ai_next;
        first = first ?: list;
        ret->size = MIN(first->ai_addrlen, (socklen_t) sizeof ret->storage);
        memcpy(&ret->storage, first->ai_addr, ret->size);
        freeaddrinfo(list);
}
