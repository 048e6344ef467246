/* SPDX-License-Identifier: MIT */
/* Raw terminal and its way back. One terminal a process: signal handlers have no userdata. */
#include "ctl/term.h"

#include <signal.h>
#include <termios.h>

static struct termios saved, raw;
static int terminal = -EBADF;
static bool paste_marked;
static volatile sig_atomic_t is_raw;

static const char paste_on[] = "\x1b[?2004h", paste_off[] = "\x1b[?2004l";

/* Async-signal-safe, as is what calls it below. */
static void leave_raw(void) {
        if (!is_raw)
                return;
        is_raw = 0;
        if (paste_marked)
                (void) !write(terminal, paste_off, sizeof(paste_off) - 1);
        (void) tcsetattr(terminal, TCSADRAIN, &saved);
}

static void enter_raw(void) {
        if (tcsetattr(terminal, TCSADRAIN, &raw) < 0)
                return;
        is_raw = 1;
        if (paste_marked)
                (void) !write(terminal, paste_on, sizeof(paste_on) - 1);
}

static void on_deadly_signal(int sig) {
        int e = errno;

        leave_raw();
        errno = e;
        (void) raise(sig); /* SA_RESETHAND: now with its default effect */
}

static void on_stop(int sig) {
        int e = errno;

        leave_raw();
        (void) raise(SIGSTOP);
        enter_raw();
        errno = e;
}

/* After a stop that could not be caught (SIGSTOP) the shell has set the terminal its own way. */
static void on_continue(int sig) {
        int e = errno;

        if (is_raw)
                enter_raw();
        errno = e;
}

static int handle_signals(void) {
        static const int deadly[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGABRT, SIGALRM,
                                      SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGSYS,  SIGPIPE };
        struct sigaction sa = { .sa_handler = on_deadly_signal, .sa_flags = (int) SA_RESETHAND };

        (void) sigemptyset(&sa.sa_mask);
        for (size_t i = 0; i < ELEMENTSOF(deadly); i++)
                if (sigaction(deadly[i], &sa, NULL) < 0)
                        return -errno;
        sa.sa_handler = on_stop;
        sa.sa_flags = SA_RESTART;
        if (sigaction(SIGTSTP, &sa, NULL) < 0)
                return -errno;
        sa.sa_handler = on_continue;
        if (sigaction(SIGCONT, &sa, NULL) < 0)
                return -errno;
        return 0;
}

int term_set_raw(int fd, bool bracketed_paste) {
        static bool at_exit;
        int r;

        if (tcgetattr(fd, &saved) < 0)
                return -errno;
        raw = saved;
        cfmakeraw(&raw);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        terminal = fd;
        paste_marked = bracketed_paste;
        r = handle_signals();
        if (r < 0)
                return r;
        if (!at_exit && atexit(leave_raw) == 0)
                at_exit = true;
        enter_raw();
        return is_raw ? 0 : -EIO;
}

void term_restore(void) {
        leave_raw();
}
