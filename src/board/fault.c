/* SPDX-License-Identifier: MIT */
#include "board/fault.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>

#include "board/board.h"
#include "board/link.h"

#define OWN_STACK_SIZE (64u * 1024)
#define NEAR (1024u * 1024) /* a frame is not larger */
#define ABOVE (64u * 1024)  /* what lies on the stack before we look: arguments, the thread's own */
#define SAID "The C stack has overflowed: something in C recursed too deeply."

static _Thread_local uintptr_t stack_end; /* below it there is no stack any more; 0: not watched */
static _Thread_local void *own_stack;

/* On a stack of its own; nothing in here takes a lock or memory. */
static void on_fault(int number, siginfo_t *info, void *context) {
        uintptr_t at = (uintptr_t) info->si_addr;

        if (info->si_code > 0 && stack_end > 0 && at < stack_end + ABOVE && at + NEAR > stack_end)
                link_last_words(SAID);
        (void) raise(number); /* by default now, and due when this returns: so also one that was sent by kill(2) ends it */
}

void fault_watch_stack(size_t size) {
        struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | (int) SA_RESETHAND };
        stack_t stack = { .ss_size = OWN_STACK_SIZE };

        if (BOARD_SANITIZED) /* has a handler that says more */
                return;
        stack.ss_sp = own_stack = malloc(OWN_STACK_SIZE);
        if (!own_stack || sigaltstack(&stack, NULL) < 0)
                return;
        stack_end = (uintptr_t) __builtin_frame_address(0) - size;
        (void) sigemptyset(&action.sa_mask);
        (void) sigaction(SIGSEGV, &action, NULL);
        (void) sigaction(SIGBUS, &action, NULL);
}

void fault_unwatch_stack(void) {
        const stack_t none = { .ss_flags = SS_DISABLE };

        stack_end = 0;
        (void) sigaltstack(&none, NULL);
        free(own_stack);
        own_stack = NULL;
}
