/* SPDX-License-Identifier: MIT */
/* mpyd-board: one life of the chip. Checks what it was given, waits at the door for the
 * supervisor's word, starts the VM, runs the stages, ends. */
#include "board/board.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>

#include "board/clock.h"
#include "board/confine.h"
#include "board/console.h"
#include "board/fault.h"
#include "board/flash-path.h"
#include "board/flash-quota.h"
#include "board/heap.h"
#include "board/input.h"
#include "board/io-thread.h"
#include "board/irq.h"
#include "board/link.h"
#include "board/pins.h"
#include "board/reset.h"
#include "board/stages.h"
#include "board/timer.h"
#include "board/wait.h"
#include "mpyd/retained.h"
#include "py/cstack.h"
#include "py/objlist.h"
#include "py/runtime.h"

#define C_STACK_SIZE (64u * 1024 * sizeof(void *) / 2) /* 256 KiB on 64-bit machines */

Board board;

/* ---- how to die ---- */

_Noreturn void board_exit_orphan(void) {
        _exit(BOARD_EXIT_ORPHAN);
}

_Noreturn void board_exit_fatal(const char *format, ...) {
        char line[256];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(line, sizeof line, format, ap);
        va_end(ap);
        link_last_words(line);
        _exit(BOARD_EXIT_FATAL);
}

/* An exception with no frame left to catch it: the VM's state is lost. */
_Noreturn void nlr_jump_fail(void *val);
_Noreturn void nlr_jump_fail(void *val) {
        board_exit_fatal("The VM cannot go on: uncaught %s outside of any frame.",
                         val ? mp_obj_get_type_str(MP_OBJ_FROM_PTR(val)) : "abort");
}

/* ---- what the process was given ---- */

static bool is_link(int fd) {
        int type = 0;
        socklen_t size = sizeof type;

        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

static bool is_kind(int fd, mode_t kind) {
        struct stat st;

        return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static bool started_by_supervisor(void) {
        return is_link(BOARD_FD_LINK) && is_kind(BOARD_FD_CONSOLE_IN, S_IFIFO) &&
               is_kind(BOARD_FD_CONSOLE_OUT, S_IFIFO) && is_kind(BOARD_FD_RETAINED, S_IFREG) &&
               is_kind(BOARD_FD_FLASH, S_IFDIR);
}

static int usage(int argc, char *argv[]) {
        if (argc == 2 && streq(argv[1], "--version")) {
                puts("mpyd-board " MPYD_VERSION);
                return 0;
        }
        fputs("mpyd-board is the MicroPython board that mpyd runs; it cannot be started by hand.\n"
              "Start the daemon (systemctl start mpyd, or: mpyd), and talk to the board with\n"
              "mpyctl repl or mpremote connect /run/mpyd/repl.\n", stderr);
        return argc == 2 && streq(argv[1], "--help") ? 0 : BOARD_EXIT_USAGE;
}

/* The user that the supervisor gives us, if it does. */
static bool take_arguments(int argc, char *argv[], ConfineSpec *spec) {
        if (argc > 2)
                return false;
        spec->change_user = argc == 2;
        return argc < 2 || confine_parse_user(argv[1], &spec->uid, &spec->gid) == 0;
}

/* Before anything is read or mapped that others could have written to. */
static void give_up_rights(ConfineSpec *spec) {
        const char *what = NULL;
        struct ucred maker = {};
        socklen_t size = sizeof maker;
        Confinement c;
        int r;

        (void) getsockopt(BOARD_FD_LINK, SOL_SOCKET, SO_PEERCRED, &maker, &size);
        spec->supervisor = maker.pid;
        r = confine(spec, &c, &what);
        if (r == -ESRCH)
                board_exit_orphan();
        if (r < 0)
                board_exit_fatal("The board cannot %s: %s.", what, strerrordesc_np(-r) ?: "?");
        board.confined = (c.syscalls == 0 ? LINK_CONFINED_SYSCALLS : 0u) |
                         (c.paths == 0 ? LINK_CONFINED_PATHS : 0u);
}

/* Nothing that is sent to the process from outside may change what the VM does; a fault of our own
 * still kills. Threads inherit it. */
static void block_signals(void) {
        static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
        sigset_t set;

        (void) sigfillset(&set);
        for (size_t i = 0; i < ELEMENTSOF(faults); i++)
                (void) sigdelset(&set, faults[i]);
        (void) pthread_sigmask(SIG_SETMASK, &set, NULL);
}

/* ---- start ---- */

/* All scripts would seem to be missing, one by one and in silence. */
static void check_flash(void) {
        int r = flash_path_check();

        if (r < 0)
                link_log(LOG_ERR, "No file can be opened (openat2: %s), so no script runs. Linux 5.6 or newer "
                                  "is needed, and a sandbox that allows that call: RestrictSUIDSGID= of "
                                  "systemd does not.", strerrordesc_np(-r) ?: "?");
}

static int prepare(void) {
        int r;

        (void) prctl(PR_SET_NAME, "mpyd-board"); /* started by descriptor, it has the number's name */
        (void) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
        r = irq_init();
        if (r == 0)
                r = vm_wait_init();
        if (r == 0)
                r = console_init();
        if (r == 0)
                r = input_init();
        if (r == 0)
                r = timer_init();
        if (r == 0)
                r = pins_init();
        if (r == 0)
                r = retained_map(BOARD_FD_RETAINED, &board.retained);
        if (r == 0)
                vm_show_progress(board.retained);
        if (r == 0)
                check_flash();
        return r;
}

/* The door: nothing runs until the reset that began this life is on record, so there is nothing to interrupt. */
static void wait_for_boot(void) {
        uint8_t buf[LINK_MESSAGE_MAX];
        LinkMessage m;

        link_send(&(LinkMessage) { .type = LINK_HELLO, .hello = { LINK_VERSION, board.confined } });
        do
                (void) link_receive(true, buf, &m, NULL);
        while (m.type == LINK_INTERRUPT);
        if (m.type == LINK_STOP || m.type == LINK_ABORT)
                _exit(0); /* not even begun */
        if (m.type != LINK_BOOT)
                board_exit_fatal("The supervisor sent %s before the boot message.",
                                 link_type_to_string(m.type) ?: "an unknown message");
        board.boot = m.boot;
}

/* What the VM uses of the C stack. */
static size_t c_stack_size(void) {
        size_t size = C_STACK_SIZE;
        struct rlimit limit;

        if (BOARD_SANITIZED)
                size *= 8; /* frames are larger */
        if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
                return size;
        fault_watch_stack((size_t) limit.rlim_cur);
        return MIN(size, (size_t) limit.rlim_cur / 2);
}

static void vm_start(void) {
        size_t size = (size_t) MIN(board.boot.heap_size, (uint64_t) SIZE_MAX / 4);
        size_t max = (size_t) MIN(board.boot.heap_max, (uint64_t) SIZE_MAX / 2);

        mp_cstack_init_with_sp_here(c_stack_size());
        if (heap_init(size, max, board.retained) < 0)
                board_exit_fatal("There is no memory for a heap of %zu bytes.", size);
        mp_init();
        /* An exception in a callback with a locked heap can say what it is, asked for or not. */
        (void) heap_exception_buf(MP_OBJ_NEW_SMALL_INT(128));
        flash_quota_init(board.boot.flash_quota);
        mp_obj_list_append(mp_sys_path, MP_OBJ_NEW_QSTR(MP_QSTR__slash_lib));
}

int main(int argc, char *argv[]) {
        ConfineSpec confinement = { .flash_fd = BOARD_FD_FLASH };
        int r;

        if (!started_by_supervisor() || !take_arguments(argc, argv, &confinement))
                return usage(argc, argv);
        os_environment_take();
        give_up_rights(&confinement);
        block_signals();
        r = prepare();
        if (r < 0)
                board_exit_fatal("Cannot prepare the board: %s.",
                                 strerrordesc_np(-r) ?: "unknown error");
        wait_for_boot();
        clock_init();
        vm_start();
        r = io_thread_start();
        if (r < 0)
                board_exit_fatal("Cannot start the I/O thread: %s.",
                                 strerrordesc_np(-r) ?: "unknown error");
        stages_run();
        reset_soft();
}
