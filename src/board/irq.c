/* SPDX-License-Identifier: MIT */
/* The interrupt controller: arming, masking, raising and leaving. See irq.h. */
#include "board/irq.h"

#include <pthread.h>
#include <sys/timerfd.h>

#include "board/clock.h"
#include "board/input.h"
#include "board/irq-call.h"
#include "board/traceback.h"
#include "board/wait.h"
#include "py/mphal.h"
#include "py/runtime.h"

#define MOMENT_NSEC 200000 /* for the program, between requests */

_Noreturn void irq_raise(void *exception);

static struct {
        pthread_mutex_t lock;
        int character;      /* interrupts user code; -1: none does */
        bool user_code;     /* pyexec runs a script or a line */
        bool arm_early;
        bool early;         /* an order to interrupt came with arm_early, before user code ran */
        bool masked;        /* machine.disable_irq() */
        bool deferred;      /* a KeyboardInterrupt waits for enable_irq() */
        bool stop_wanted;
        bool exit_wanted;
        bool finalising;
        bool callback_interruptible;  /* the main thread is in a callback's code */
        bool callback_interrupted;    /* in the same, at a prompt */
        bool abort_wanted;  /* until irq_abort_done() */
        IrqLeave leave;
        bool serving;            /* a request is */
        bool requests_ended;
        int64_t moment_end_nsec; /* CLOCK_MONOTONIC: none is served before */
        IrqRequest *held;
        int moment_fd;           /* timerfd */
} irq;

int irq_init(void) {
        pthread_mutexattr_t attributes;

        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
        pthread_mutex_init(&irq.lock, &attributes);
        pthread_mutexattr_destroy(&attributes);
        irq.character = -1;
        irq.moment_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        return irq.moment_fd < 0 ? -errno : 0;
}

void irq_lock(void) {
        pthread_mutex_lock(&irq.lock);
}

void irq_unlock(void) {
        pthread_mutex_unlock(&irq.lock);
}

/* ---- raising ---- */

int irq_char_locked(void) {
        return irq.user_code ? irq.character : -1;
}

/* In user code or, at a prompt, in a callback; not between the two, where nothing could catch it. */
static bool is_interruptible_locked(void) {
        return irq.user_code || irq.callback_interruptible;
}

void irq_interrupt_locked(void) {
        if (!is_interruptible_locked())
                return;
        irq.callback_interrupted = !irq.user_code;
        if (irq.masked) {
                irq.deferred = true;
                return;
        }
        /* Not mp_sched_keyboard_interrupt(): it empties the traceback, which the VM may be
         * printing; irq_raise() does that in the VM's own thread. */
        mp_sched_exception(MP_OBJ_FROM_PTR(&MP_STATE_VM(mp_kbd_exception)));
        irq_wake_vm();
}

void irq_interrupt(void) {
        irq_lock();
        if (is_interruptible_locked())
                irq_interrupt_locked();
        else
                irq.early = irq.arm_early;
        irq_unlock();
}

void irq_stop(void) {
        irq_lock();
        irq.stop_wanted = true;
        irq_interrupt_locked();
        irq_unlock();
        irq_wake_vm();
}

void irq_abort(void) {
        irq_lock();
        irq.stop_wanted = true;
        irq.abort_wanted = true;
        mp_sched_vm_abort();
        irq_unlock();
        irq_wake_vm();
}

bool irq_abort_repeat(void) {
        bool wanted;

        irq_lock();
        wanted = irq.abort_wanted;
        if (wanted)
                mp_sched_vm_abort();
        irq_unlock();
        if (wanted)
                irq_wake_vm();
        return wanted;
}

/* ---- arming: pyexec and user code, in the VM's thread ---- */

/* pyexec calls it with Ctrl-C when a script or line starts and with -1 when it has ended. */
void mp_hal_set_interrupt_char(int c) {
        irq_lock();
        irq.user_code = c >= 0;
        irq.character = c;
        if (irq.user_code && irq.arm_early && (input_take_char_locked(c) || irq.early))
                irq_interrupt_locked();
        irq.early = false;
        if (irq.user_code && irq.stop_wanted && !irq.finalising)
                irq_interrupt_locked(); /* it came while the script was compiled */
        irq_unlock();
        if (c < 0)
                traceback_begin(); /* what pyexec prints from here on is the exception */
}

/* micropython.kbd_intr(): which character it is, -1 for none, as long as user code runs. */
void irq_set_char(int c) {
        irq_lock();
        irq.character = c < 0 ? -1 : c & 0xff;
        irq_unlock();
}

int irq_char(void) {
        int c;

        irq_lock();
        c = irq_char_locked();
        irq_unlock();
        return c;
}

void irq_arm_early(bool early) {
        irq_lock();
        irq.arm_early = early;
        irq.early = false;
        irq_unlock();
}

bool irq_in_user_code(void) {
        return irq.user_code; /* only this thread changes it */
}

bool irq_mask(bool mask) {
        bool was;

        irq_lock();
        was = irq.masked;
        irq.masked = mask;
        if (mask && !was)
                mp_sched_lock();
        if (!mask && was) {
                mp_sched_unlock();
                if (irq.deferred)
                        irq_interrupt_locked();
                irq.deferred = false;
        }
        irq_unlock();
        return was;
}

/* ---- taking ---- */

/* Stands for nlr_jump() in mp_handle_pending(). */
_Noreturn void irq_raise(void *exception) {
        if (exception == &MP_STATE_VM(mp_kbd_exception))
                MP_STATE_VM(mp_kbd_exception).traceback_data = NULL;
        nlr_jump(exception);
}

bool irq_exception_is_interrupt(mp_obj_t exception) {
        return mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(mp_obj_get_type(exception)),
                                       MP_OBJ_FROM_PTR(&mp_type_KeyboardInterrupt));
}

bool irq_exception_is_programs(mp_obj_t exception) {
        mp_obj_t type = MP_OBJ_FROM_PTR(mp_obj_get_type(exception));

        if (mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_SystemExit))) {
                if (irq.user_code)
                        mp_sched_exception(exception);
                else
                        irq.exit_wanted = true;
                return true;
        }
        if (!irq.user_code || !irq_exception_is_interrupt(exception))
                return false;
        mp_sched_exception(exception);
        return true;
}

void irq_print_exception(const char *head, mp_obj_t exception) {
        nlr_buf_t nlr;

        if (nlr_push(&nlr) == 0) {
                if (head)
                        mp_printf(&mp_plat_print, "%s\n", head);
                mp_obj_print_exception(&mp_plat_print, exception);
                nlr_pop();
        } else
                (void) irq_exception_is_programs(MP_OBJ_FROM_PTR(nlr.ret_val));
}

/* How many callbacks this thread is in: one may be interrupted by another. */
static _Thread_local unsigned callback_depth;

bool irq_in_callback(void) {
        return callback_depth > 0;
}

static void callback_begins(void) {
        if (!mp_thread_is_main_thread())
                return; /* interrupts are the main one's */
        irq_lock();
        irq.callback_interruptible = true;
        irq_unlock();
}

static void callback_ends(void) {
        if (!mp_thread_is_main_thread())
                return;
        irq_lock();
        irq.callback_interruptible = false;
        if (irq.callback_interrupted) { /* too late, and not for the prompt */
                MP_STATE_MAIN_THREAD(mp_pending_exception) = MP_OBJ_NULL;
                irq.deferred = false;
        }
        irq.callback_interrupted = false;
        irq_unlock();
}

mp_obj_t irq_call(mp_obj_t fun, mp_obj_t arg, mp_obj_t *ret_exception) {
        nlr_buf_t nlr;

        *ret_exception = MP_OBJ_NULL;
        if (nlr_push(&nlr) == 0) {
                mp_obj_t ret;

                callback_begins();
                ret = mp_call_function_1(fun, arg);
                callback_ends();
                nlr_pop();
                return ret;
        }
        callback_ends();
        *ret_exception = MP_OBJ_FROM_PTR(nlr.ret_val);
        return MP_OBJ_NULL;
}

/* Stands for mp_call_function_1_protected() in the scheduler. */
mp_obj_t irq_call_scheduled(mp_obj_t fun, mp_obj_t arg) {
        mp_obj_t exception, ret;

        callback_depth++;
        ret = irq_call(fun, arg, &exception);
        if (exception != MP_OBJ_NULL && !irq_exception_is_programs(exception))
                irq_print_exception(NULL, exception);
        callback_depth--;
        return ret;
}

/* ---- requests of peripherals ---- */

static void end_serving_locked(void) {
        struct itimerspec moment = { .it_value.tv_nsec = MOMENT_NSEC };

        irq.serving = false;
        if (!irq.held)
                return;
        irq.moment_end_nsec = clock_monotonic_nsec() + MOMENT_NSEC;
        (void) timerfd_settime(irq.moment_fd, 0, &moment, NULL);
}

static void serve(mp_sched_node_t *node) {
        IrqRequest *r = (IrqRequest *) ((char *) node - offsetof(IrqRequest, node));

        irq_lock();
        irq.serving = true;
        irq_unlock();
        callback_depth++;
        r->serve(r);
        callback_depth--;
        irq_lock();
        end_serving_locked();
        irq_unlock();
}

bool irq_request_waits(const IrqRequest *r) {
        return r->held || r->node.callback;
}

void irq_request(IrqRequest *r) {
        IrqRequest **end = &irq.held;

        irq_lock();
        if (irq.requests_ended || irq_request_waits(r))
                ;
        else if (irq.serving || clock_monotonic_nsec() < irq.moment_end_nsec) {
                while (*end)
                        end = &(*end)->next;
                *end = r;
                r->held = true;
        } else
                (void) mp_sched_schedule_node(&r->node, serve);
        irq_unlock();
}

int irq_request_fd(void) {
        return irq.moment_fd;
}

void irq_request_release(void) {
        uint64_t expirations;

        irq_lock();
        (void) !read(irq.moment_fd, &expirations, sizeof expirations);
        while (irq.held && !irq.serving) {
                IrqRequest *r = irq.held;

                irq.held = r->next;
                r->next = NULL;
                r->held = false;
                (void) mp_sched_schedule_node(&r->node, serve);
        }
        irq_unlock();
}

void irq_requests_end(void) {
        irq_lock();
        irq.requests_ended = true;
        irq.held = NULL;
        MP_STATE_VM(sched_head) = MP_STATE_VM(sched_tail) = NULL;
        MP_STATE_VM(sched_len) = 0; /* what micropython.schedule() has been given */
        irq_unlock();
}

void irq_handle_events(void) {
        if (irq.user_code || !mp_thread_is_main_thread() || MP_STATE_VM(vm_abort) || irq.callback_interruptible) {
                mp_handle_pending(true);
                return;
        }
        mp_handle_pending(false); /* callbacks only: nothing could catch an exception here */
        if (irq.exit_wanted && nlr_get_abort())
                irq_leave(IRQ_LEAVE_EXIT);
}

bool irq_events_pending(bool at_prompt) {
        bool pending;

        if (!mp_thread_is_main_thread())
                return MP_STATE_VM(sched_state) == MP_SCHED_PENDING; /* the rest is the main one's */
        irq_lock();
        pending = MP_STATE_VM(sched_state) == MP_SCHED_PENDING || MP_STATE_VM(vm_abort) ||
                  MP_STATE_MAIN_THREAD(mp_pending_exception) != MP_OBJ_NULL ||
                  (at_prompt && (irq.stop_wanted || irq.exit_wanted));
        irq_unlock();
        return pending;
}

/* ---- leaving ---- */

bool irq_stop_wanted(void) {
        bool wanted;

        irq_lock();
        wanted = irq.stop_wanted;
        irq_unlock();
        return wanted;
}

void irq_begin_finalising(void) {
        irq_lock();
        irq.finalising = true;
        irq.exit_wanted = false;
        irq_unlock();
}

bool irq_exit_wanted(void) {
        return irq.exit_wanted; /* only this thread changes it */
}

IrqLeave irq_leave_reason(void) {
        return irq.leave;
}

_Noreturn void irq_leave(IrqLeave reason) {
        irq.leave = reason;
        nlr_jump_abort();
}

void irq_abort_done(void) {
        irq_lock();
        irq.abort_wanted = false;
        irq.user_code = false;
        irq.character = -1;
        irq.masked = irq.deferred = false;
        irq.callback_interruptible = irq.callback_interrupted = false;
        end_serving_locked();
        MP_STATE_VM(vm_abort) = false;
        MP_STATE_MAIN_THREAD(mp_pending_exception) = MP_OBJ_NULL;
        MP_STATE_VM(sched_state) = MP_SCHED_IDLE;
        MP_STATE_THREAD(gc_lock_depth) = 0;
        irq_unlock();
}
