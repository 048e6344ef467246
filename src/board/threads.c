/* SPDX-License-Identifier: MIT */
/* Threads of Python and the GIL. See threads.h. */
#include "util/macros.h"

#include "board/threads.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "board/board.h"
#include "board/clock.h"
#include "board/fault.h"
#include "board/irq.h"
#include "board/wait.h"
#include "py/gc.h"
#include "py/mpthread.h"
#include "py/runtime.h"
#include "shared/runtime/gchelper.h"

#define GIL_SLICE_NSEC INT64_C(1000000)
#define STACK_DEFAULT (64u * 1024 * sizeof(void *) / 2) /* as the main thread's */
#define STACK_MARGIN (16u * 1024) /* to tell of a recursion that is too deep */
#define THREADS_MAX 256
#define GC_SIGNAL (SIGRTMIN + 5)

/* The list is the GIL's: who holds it may walk it and change it. */
typedef struct Thread {
        pthread_t id;
        bool runs;    /* its stack is to be looked at */
        size_t stack_size;
        void *arg;    /* what it was started with */
        VmWaker waker;
        struct Thread *next;
} Thread;

__thread struct _mp_state_thread_t *thread_state = &mp_state_ctx.thread;
static __thread const mp_thread_mutex_t *wanted;

static Thread *threads; /* all but the main one */
static size_t n_threads;
static pthread_t main_thread;

/* ---- GIL ---- */

static struct {
        pthread_mutex_t lock;
        pthread_cond_t is_free, is_taken;
        bool held;
        bool frozen;
        atomic_int n_waiting;
        int64_t since_nsec;
        uint64_t turns;
} gil = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .is_free = PTHREAD_COND_INITIALIZER,
        .is_taken = PTHREAD_COND_INITIALIZER,
};

static void gil_take_locked(void) {
        atomic_fetch_add(&gil.n_waiting, 1);
        while (gil.held || (gil.frozen && !mp_thread_is_main_thread()))
                pthread_cond_wait(&gil.is_free, &gil.lock);
        atomic_fetch_sub(&gil.n_waiting, 1);
        gil.held = true;
        gil.turns++;
        gil.since_nsec = clock_monotonic_nsec();
        pthread_cond_broadcast(&gil.is_taken);
}

void gil_acquire(void) {
        if (gil.frozen && mp_thread_is_main_thread())
                return;
        pthread_mutex_lock(&gil.lock);
        gil_take_locked();
        pthread_mutex_unlock(&gil.lock);
}

void gil_release(void) {
        if (gil.frozen && mp_thread_is_main_thread())
                return;
        pthread_mutex_lock(&gil.lock);
        gil.held = false;
        pthread_cond_signal(&gil.is_free);
        pthread_mutex_unlock(&gil.lock);
}

/* Somebody else gets a turn, then we again. */
static void gil_yield(void) {
        uint64_t turns;

        pthread_mutex_lock(&gil.lock);
        gil.held = false;
        pthread_cond_signal(&gil.is_free);
        turns = gil.turns;
        while (gil.turns == turns && atomic_load(&gil.n_waiting) > 0)
                pthread_cond_wait(&gil.is_taken, &gil.lock);
        gil_take_locked();
        pthread_mutex_unlock(&gil.lock);
}

void gil_slice_unlock(mp_thread_mutex_t *mutex) {
        if (atomic_load_explicit(&gil.n_waiting, memory_order_relaxed) == 0 || gil.frozen)
                return;
        if (clock_monotonic_nsec() - gil.since_nsec >= GIL_SLICE_NSEC)
                gil_yield();
}

int gil_slice_lock(mp_thread_mutex_t *mutex, int wait) {
        return 1;
}

void threads_freeze(void) {
        pthread_mutex_lock(&gil.lock);
        gil.frozen = true;
        pthread_mutex_unlock(&gil.lock);
}

/* ---- locks ---- */

void mp_thread_mutex_init(mp_thread_mutex_t *mutex) {
        atomic_init(&mutex->locked, false);
}

static bool try_lock(mp_thread_mutex_t *mutex) {
        return !atomic_exchange(&mutex->locked, true);
}

static bool wanted_is_free(void) {
        return !atomic_load(&wanted->locked);
}

/* Called without the GIL, as upstream does. Ctrl-C and callbacks reach a thread that waits here; an
 * exception leaves with the GIL, as if it came right after it was taken again. */
int mp_thread_mutex_lock(mp_thread_mutex_t *mutex, int wait) {
        if (mutex == &MP_STATE_VM(gil_mutex)) {
                gil_acquire();
                return 1;
        }
        while (!try_lock(mutex)) {
                if (!wait)
                        return 0;
                gil_acquire();
                irq_handle_events();
                wanted = mutex;
                vm_wait_for(mutex);
                (void) vm_sleep(NULL, 0, VM_SLEEP_FOREVER, wanted_is_free);
                vm_wait_for(NULL);
                gil_release();
        }
        return 1;
}

void mp_thread_mutex_unlock(mp_thread_mutex_t *mutex) {
        if (mutex == &MP_STATE_VM(gil_mutex)) {
                gil_release();
                return;
        }
        atomic_store(&mutex->locked, false);
        vm_wake_who_waits_for(mutex);
}

/* ---- garbage collection: each thread looks through its own stack ---- */

static sem_t collected;
static atomic_bool collecting;

static void collect_own(int signal, siginfo_t *info, void *context) {
        int error = errno;

        if (info->si_code != SI_TKILL || info->si_pid != getpid() || !atomic_load(&collecting))
                return; /* from outside */
        gc_helper_collect_regs_and_stack();
        (void) sem_post(&collected);
        errno = error;
}

static void set_gc_signal(int how) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, GC_SIGNAL);
        (void) pthread_sigmask(how, &set, NULL);
}

void threads_collect(void) {
        if (threads && !pthread_equal(pthread_self(), main_thread) &&
            pthread_kill(main_thread, GC_SIGNAL) == 0)
                while (sem_wait(&collected) < 0)
                        ;
        for (Thread *t = threads; t; t = t->next) {
                gc_collect_root(&t->arg, 1);
                if (!t->runs || pthread_equal(t->id, pthread_self()))
                        continue;
                if (pthread_kill(t->id, GC_SIGNAL) == 0)
                        while (sem_wait(&collected) < 0)
                                ;
        }
}

/* ---- threads ---- */

void mp_thread_set_state(struct _mp_state_thread_t *state) {
        thread_state = state;
}

mp_uint_t mp_thread_get_id(void) {
        return (mp_uint_t) pthread_self();
}

/* The first thread beside the main one is about to be. */
static void prepare_first(void) {
        struct sigaction action = { .sa_sigaction = collect_own, .sa_flags = SA_SIGINFO | SA_RESTART };

        if (atomic_load(&collecting))
                return;
        main_thread = pthread_self(); /* nobody else has been here */
        (void) sem_init(&collected, 0, 0);
        (void) sigfillset(&action.sa_mask);
        (void) sigaction(GC_SIGNAL, &action, NULL);
        set_gc_signal(SIG_UNBLOCK); /* those that it starts inherit it, the I/O thread has not */
        atomic_store(&collecting, true);
}

static size_t stack_size_for(size_t size) {
        size_t least = MAX((size_t) PTHREAD_STACK_MIN, (size_t) 2 * STACK_MARGIN);

        size = MAX(size > 0 ? size : STACK_DEFAULT, least);
        return BOARD_SANITIZED ? size * 8 : size; /* frames are larger */
}

/* stack_size: in and out, what Python code may use of it. */
mp_uint_t mp_thread_create(void *(*entry)(void *), void *arg, size_t *stack_size) {
        size_t size = stack_size_for(*stack_size);
        pthread_attr_t attributes;
        Thread *t;
        int r;

        if (n_threads >= THREADS_MAX)
                mp_raise_OSError(EAGAIN);
        prepare_first();
        t = calloc(1, sizeof *t);
        if (!t)
                mp_raise_OSError(ENOMEM);
        t->arg = arg;
        t->stack_size = size;
        r = vm_waker_init(&t->waker);
        if (r < 0) {
                free(t);
                mp_raise_OSError(-r);
        }
        *stack_size = size - STACK_MARGIN;
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        r = pthread_attr_setstacksize(&attributes, size);
        if (r == 0)
                r = pthread_create(&t->id, &attributes, entry, arg); /* it waits for the GIL, which is ours */
        pthread_attr_destroy(&attributes);
        if (r != 0) {
                vm_waker_done(&t->waker);
                free(t);
                mp_raise_OSError(r);
        }
        t->next = threads;
        threads = t;
        n_threads++;
        return (mp_uint_t) t->id;
}

static Thread **thread_self(void) {
        Thread **t = &threads;

        while (!pthread_equal((*t)->id, pthread_self()))
                t = &(*t)->next;
        return t;
}

/* Both with the GIL. */
void mp_thread_start(void) {
        Thread *t = *thread_self();

        fault_watch_stack(t->stack_size);
        vm_waker_attach(&t->waker);
        t->runs = true;
}

void mp_thread_finish(void) {
        Thread **at = thread_self(), *t = *at;

        fault_unwatch_stack();
        *at = t->next;
        n_threads--;
        vm_waker_done(&t->waker);
        free(t);
}
