/* SPDX-License-Identifier: MIT */
/* The board's process: descriptors laid out by the contract, pidfd watched. The board gives its rights
 * up by itself (mpyd/board-link.h). */
#include "daemon/board-process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "util/parse.h"

/* How many messages one turn of the loop takes from a board that floods the link. */
#define MESSAGES_PER_TURN 64u
#define MESSAGES_WAITING_MAX 1024u /* more than the link holds: whoever takes so many has all that were there */
#define KILL_WAIT_MSEC 100
#define TRACED_RETRY_USEC (200 * USEC_PER_MSEC)

struct BoardProcess {
        pid_t pid;
        int pidfd;
        int link_fd;
        bool reaped;
        bool link_ended; /* closed, or not to be trusted any more */
        const Cgroup *cgroup;
        BoardHandlers handlers;
        sd_event_source *link_source;
        sd_event_source *exit_source;
        sd_event_source *retry_source; /* of exit_source, while somebody else has the end of the process */
        uint32_t seq;
};

pid_t board_process_pid(const BoardProcess *b) {
        return b ? b->pid : 0;
}

int board_process_kill(BoardProcess *b) {
        int r;

        if (b->reaped)
                return -ESRCH;
        r = cgroup_board_kill(b->cgroup);
        if (syscall(SYS_pidfd_send_signal, b->pidfd, SIGKILL, NULL, 0) >= 0)
                return 0;
        return r >= 0 ? 0 : -errno;
}

BoardProcess *board_process_free(BoardProcess *b) {
        if (!b)
                return NULL;
        if (b->pidfd >= 0 && !b->reaped) {
                struct pollfd pfd = { .fd = b->pidfd, .events = POLLIN };

                (void) board_process_kill(b);
                /* It may be stuck in the kernel: collect it only if it goes at once. */
                (void) poll(&pfd, 1, KILL_WAIT_MSEC);
                (void) waitpid(b->pid, NULL, WNOHANG);
        }
        sd_event_source_disable_unref(b->link_source);
        sd_event_source_disable_unref(b->exit_source);
        sd_event_source_disable_unref(b->retry_source);
        safe_close(b->link_fd);
        safe_close(b->pidfd);
        free(b);
        return NULL;
}

/* ---- the child, between vfork and exec: it runs in the parent's memory ----
 *
 * So it makes async-signal-safe calls only and leaves nothing behind. What it changes of the process
 * (descriptors, credentials, umask, limits, signal mask) is the kernel's copy of its own. */

static _Noreturn void child_fail(const char *what) {
        char text[128];
        int n = snprintf(text, sizeof text, "mpyd-board: %s: %s\n", what, strerrordesc_np(errno) ?: "?");

        if (n > 0)
                (void) !write(STDERR_FILENO, text, MIN((size_t) n, sizeof text - 1));
        _exit(BOARD_EXIT_EXEC);
}

/* Puts fds[i] to the number 3 + i. Some of them may have such numbers already, so all of them move out
 * of the way first. */
static void child_lay_out_fds(int fds[static BOARD_FD_MAX - 3], int *exe_fd) {
        for (int i = 0; i < BOARD_FD_MAX - 3; i++) {
                fds[i] = fcntl(fds[i], F_DUPFD, 32);
                if (fds[i] < 0)
                        child_fail("cannot pass descriptors on");
        }
        *exe_fd = fcntl(*exe_fd, F_DUPFD, 32);
        if (*exe_fd < 0 || dup2(*exe_fd, BOARD_FD_MAX) < 0 ||
            fcntl(BOARD_FD_MAX, F_SETFD, FD_CLOEXEC) < 0)
                child_fail("cannot pass descriptors on");
        for (int i = 0; i < BOARD_FD_MAX - 3; i++)
                if (dup2(fds[i], 3 + i) < 0)
                        child_fail("cannot pass descriptors on");
        if (syscall(SYS_close_range, BOARD_FD_MAX + 1, ~0U, 0) < 0)
                child_fail("cannot close descriptors");
        *exe_fd = BOARD_FD_MAX;
}

static _Noreturn void child_run(pid_t parent, int cgroup_procs, int null_fd, int exe_fd,
                                int fds[static BOARD_FD_MAX - 3], char *const argv[],
                                char *const envp[]) {
        sigset_t none;

        (void) sigemptyset(&none);
        /* Itself, and before it executes anything: nothing that it starts can be elsewhere. */
        if (cgroup_procs > 0 && write(cgroup_procs, "0", 1) < 0)
                child_fail("cannot enter the board's cgroup");
        (void) setsid(); /* a Ctrl-C in the daemon's terminal is for the daemon */
        if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0)
                child_fail("cannot open /dev/null");
        child_lay_out_fds(fds, &exe_fd);
        (void) umask(0007);
        if (chdir("/") < 0)
                child_fail("cannot change to /");
        (void) setrlimit(RLIMIT_CORE, &(struct rlimit) {});
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                child_fail("cannot give up new privileges");
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                child_fail("cannot ask to end with the supervisor");
        if (getppid() != parent)
                _exit(BOARD_EXIT_EXEC); /* it has ended already */
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        /* From here on it is the board's, which has the link and the console to speak through: what it
         * could write to our log by itself nobody has checked. A sanitizer's report is worth that. */
#ifndef WITH_ADDRESS_SANITIZER
        if (dup2(STDIN_FILENO, STDERR_FILENO) < 0)
                child_fail("cannot close stderr");
#endif
        (void) fexecve(exe_fd, argv, envp);
        child_fail("cannot execute");
}

/* vfork() spares copying the supervisor's page tables and the faults after it, a third of a millisecond
 * of each reset, however large mpyd grows. The loop waits until the exec is done; the program's pages
 * are in memory, from the life before. The child has the supervisor's own rights until then, so that
 * nobody who could not stop the supervisor can stop the child. A function of its own, so that nothing of
 * the caller's lives in registers that the child could change. */
static __attribute__((noinline)) pid_t child_start(pid_t parent, int cgroup_procs,
                                                   int null_fd, int exe_fd,
                                                   int fds[static BOARD_FD_MAX - 3],
                                                   char *const argv[], char *const envp[]) {
        pid_t pid = vfork();

        if (pid == 0)
                child_run(parent, cgroup_procs, null_fd, exe_fd, fds, argv, envp);
        return pid;
}

/* ---- the parent ---- */

/* Nothing of the daemon's own environment reaches the board, but for the switches of sanitizer builds. The list
 * is the caller's to free, its strings are not: they live as long as the configuration and the daemon's own. */
static char **board_environment(char *const *configured) {
        static const char *const passed[] = { "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=" };
        size_t n_configured = 0, n = 0;
        char **env;

        while (configured && configured[n_configured])
                n_configured++;
        env = calloc(ELEMENTSOF(passed) + n_configured + 1, sizeof *env);
        if (!env)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(passed); i++)
                for (char **own = environ; own && *own; own++)
                        if (strncmp(*own, passed[i], strlen(passed[i])) == 0) {
                                env[n++] = *own; /* the first of that name, as getenv(3) has it */
                                break;
                        }
        for (size_t i = 0; i < n_configured; i++)
                env[n++] = configured[i];
        return env;
}

void board_process_end_link(BoardProcess *b) {
        b->link_ended = true;
        if (b->link_source)
                (void) sd_event_source_set_enabled(b->link_source, SD_EVENT_OFF);
}

static void take_messages(BoardProcess *b, unsigned max) {
        uint8_t buf[LINK_MESSAGE_MAX + 1];

        for (unsigned i = 0; i < max && !b->link_ended; i++) {
                ssize_t n = recv(b->link_fd, buf, sizeof buf, MSG_DONTWAIT | MSG_TRUNC);
                LinkMessage m;
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        if (n == 0 || errno != EAGAIN) /* its end: exit follows by the pidfd */
                                board_process_end_link(b);
                        return;
                }
                r = (size_t) n > LINK_MESSAGE_MAX ? -EMSGSIZE : link_decode(buf, (size_t) n, &m);
                if (r < 0) {
                        board_process_end_link(b); /* nothing after it can be trusted */
                        b->handlers.fault(b->handlers.userdata,
                                          r == -EPROTONOSUPPORT ? "it speaks another version of the board link"
                                          : r == -EMSGSIZE      ? "it sent an over-long message"
                                                                : "it sent a malformed message");
                        return;
                }
                b->handlers.message(b->handlers.userdata, &m);
        }
}

void board_process_drain_link(BoardProcess *b) {
        take_messages(b, MESSAGES_WAITING_MAX);
}

static int on_adopted_end(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        BoardProcess *b = userdata;

        b->reaped = true; /* by whoever inherited it */
        (void) sd_event_source_set_enabled(b->exit_source, SD_EVENT_OFF);
        b->handlers.exited(b->handlers.userdata, -1, 0);
        return 0;
}

int board_process_adopt(BoardProcess **ret, sd_event *event, pid_t pid, int pidfd,
                        const Cgroup *cgroup, const BoardHandlers *handlers) {
        _cleanup_(board_process_freep) BoardProcess *b = calloc(1, sizeof *b);
        int r;

        if (!b) {
                safe_close(pidfd);
                return -ENOMEM;
        }
        *b = (BoardProcess) {
                .pid = pid,
                .pidfd = pidfd,
                .link_fd = -EBADF,
                .link_ended = true,
                .cgroup = cgroup,
                .handlers = *handlers,
        };
        r = sd_event_add_io(event, &b->exit_source, b->pidfd, EPOLLIN, on_adopted_end, b);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

static int on_link(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        take_messages(userdata, MESSAGES_PER_TURN);
        return 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        BoardProcess *b = userdata;

        return sd_event_source_set_enabled(b->exit_source, SD_EVENT_ONESHOT);
}

/* The pidfd tells that the process has ended, for as long as it is not reaped. A tracer (strace, gdb) may do that
 * before its parent can (ptrace(2)), and nothing tells when it has: not to sd_event_add_child_pidfd(3), which looks
 * once. */
static int on_end(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        BoardProcess *b = userdata;
        siginfo_t si = {};

        /* If it fails, somebody has reaped our child: then nobody tells how it ended. */
        if (waitid(P_PIDFD, (id_t) b->pidfd, &si, WEXITED | WNOHANG) >= 0 && si.si_pid == 0) {
                (void) sd_event_source_set_time_relative(b->retry_source, TRACED_RETRY_USEC);
                return sd_event_source_set_enabled(b->retry_source, SD_EVENT_ONESHOT);
        }
        b->reaped = true;
        /* What it sent before it died has come already: this source's priority is lower. */
        board_process_drain_link(b);
        b->handlers.exited(b->handlers.userdata, si.si_code == CLD_EXITED ? si.si_status : -1,
                           si.si_code == CLD_EXITED ? 0 : si.si_status);
        return 0;
}

int board_process_send(BoardProcess *b, const LinkMessage *m) {
        return board_process_send_fd(b, m, -EBADF);
}

int board_process_send_fd(BoardProcess *b, const LinkMessage *m, int fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
        uint8_t buf[LINK_MESSAGE_MAX];
        struct iovec iov = { .iov_base = buf };
        struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
        LinkMessage copy = *m;
        int n;

        copy.seq = b->seq++;
        n = link_encode(&copy, buf, sizeof buf);
        if (n < 0)
                return n;
        iov.iov_len = (size_t) n;
        if (fd >= 0) {
                memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
                h.msg_control = &control;
                h.msg_controllen = sizeof control;
        }
        return sendmsg(b->link_fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A second description of a pipe's read end: the board decides whether its own one blocks. */
static int reopen_pipe(int fd) {
        char path[32];

        (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int watch(BoardProcess *b, sd_event *event) {
        int r;

        r = sd_event_add_io(event, &b->link_source, b->link_fd, EPOLLIN, on_link, b);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &b->retry_source, CLOCK_MONOTONIC, 0, 0, on_retry, b);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(b->retry_source, SD_EVENT_OFF);
        r = sd_event_add_io(event, &b->exit_source, b->pidfd, EPOLLIN, on_end, b);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(b->exit_source, SD_EVENT_ONESHOT);
        /* Behind the link and the console, so that an end never overtakes what came before it. */
        return sd_event_source_set_priority(b->exit_source, SD_EVENT_PRIORITY_NORMAL + 10);
}

int board_process_new(BoardProcess **ret, sd_event *event, const BoardSpec *spec,
                      const BoardHandlers *handlers, int *ret_console_in, int *ret_console_out,
                      int *ret_console_unread) {
        _cleanup_close_ int exe_fd = -EBADF, null_fd = -EBADF, link_board = -EBADF, in_r = -EBADF,
                            in_w = -EBADF, unread = -EBADF, out_r = -EBADF, out_w = -EBADF;
        _cleanup_(board_process_freep) BoardProcess *b = NULL;
        int pair[2], board_fds[BOARD_FD_MAX - 3], r;
        _cleanup_free_ char **env = board_environment(spec->environment);
        char user[sizeof BOARD_USER_FORMAT + 2 * 10];
        char *argv[] = { (char *) "mpyd-board", spec->change_user ? user : NULL, NULL };

        b = calloc(1, sizeof *b);
        if (!b || !env)
                return -ENOMEM;
        *b = (BoardProcess) {
                .pidfd = -EBADF,
                .link_fd = -EBADF,
                .cgroup = spec->cgroup,
                .handlers = *handlers,
        };

        exe_fd = open(spec->executable, O_RDONLY | O_CLOEXEC);
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (exe_fd < 0 || null_fd < 0)
                return -errno;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        b->link_fd = pair[0];
        link_board = pair[1];
        if (spec->first) {
                r = board_process_send(b, spec->first);
                if (r < 0)
                        return r;
        }
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        in_r = pair[0];
        in_w = pair[1];
        unread = reopen_pipe(in_r);
        if (unread < 0)
                return unread;
        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        out_r = pair[0];
        out_w = pair[1];
        if (fcntl(in_w, F_SETFL, O_NONBLOCK) < 0 || fcntl(out_r, F_SETFL, O_NONBLOCK) < 0)
                return -errno;

        board_fds[BOARD_FD_LINK - 3] = link_board;
        board_fds[BOARD_FD_CONSOLE_IN - 3] = in_r;
        board_fds[BOARD_FD_CONSOLE_OUT - 3] = out_w;
        board_fds[BOARD_FD_RETAINED - 3] = spec->retained_fd;
        board_fds[BOARD_FD_FLASH - 3] = spec->flash_fd;
        (void) snprintf(user, sizeof user, BOARD_USER_FORMAT, (unsigned) spec->uid,
                        (unsigned) spec->gid);
        b->pid = child_start(getpid(), cgroup_board_procs(spec->cgroup), null_fd, exe_fd, board_fds, argv, env);
        r = b->pid < 0 ? -errno : 0;
        if (r < 0)
                return r;

        b->pidfd = (int) syscall(SYS_pidfd_open, b->pid, 0);
        if (b->pidfd < 0) {
                r = -errno;
                if (cgroup_board_kill(b->cgroup) >= 0 ||
                    kill(b->pid, SIGKILL) >= 0) /* ours and not waited for: the number is still its own */
                        (void) waitpid(b->pid, NULL, 0);
                return r;
        }
        r = watch(b, event);
        if (r < 0)
                return r;

        *ret_console_in = TAKE_FD(in_w);
        *ret_console_out = TAKE_FD(out_r);
        *ret_console_unread = TAKE_FD(unread);
        *ret = TAKE_PTR(b);
        return 0;
}
