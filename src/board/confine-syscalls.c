/* SPDX-License-Identifier: MIT */
/* The filter of system calls: what MicroPython, libc's threads and resolver, and sockets need; nothing
 * else. A script brings machine code along if it likes (@micropython.native, .mpy), so this is the
 * wall. It matters most without root, where the board's user is also the supervisor's.
 *
 * What is not listed fails with EPERM; calls that came after Linux 5.16 with ENOSYS, as if this were an
 * older kernel, since libc then does it the old way. Another architecture's calls end the process.
 *
 * The program is put together here and not by libseccomp, which takes 0.3 ms for it and 0.1 ms to be
 * loaded: a fifth of what a soft reset may take. This takes 0.05 ms, most of it the kernel's. The
 * kernel's own headers name the numbers. */
#include "board/confine.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define X32_BIT 0x40000000u
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define OUR_ARCH AUDIT_ARCH_ARM
#else
#error "Name this architecture's AUDIT_ARCH_ here and look through the calls below."
#endif

#define FIRST_UNKNOWN 449u /* futex_waitv of Linux 5.16; numbers are the same everywhere from 424 on */
#define WORDS 15u          /* of 32 calls each */
#define PROGRAM_MAX 256u

/* Calls that need no look at their arguments. */
static const uint16_t allowed[] = {
        /* files and descriptors; paths are the other filter's */
        __NR_close, __NR_dup, __NR_dup3, __NR_faccessat, __NR_faccessat2, __NR_fdatasync, __NR_fstat,
        __NR_fstatfs, __NR_fsync, __NR_ftruncate, __NR_getcwd, __NR_getdents64, __NR_lseek, __NR_mkdirat, __NR_openat,
        __NR_openat2, __NR_pipe2, __NR_pread64, __NR_preadv, __NR_pwrite64, __NR_pwritev, __NR_read,
        __NR_readlinkat, __NR_readv, __NR_renameat, __NR_renameat2, __NR_statfs, __NR_statx, __NR_syncfs, __NR_tee,
        __NR_unlinkat, __NR_write, __NR_writev,
        /* waiting */
        __NR_epoll_create1, __NR_epoll_ctl, __NR_epoll_pwait, __NR_epoll_pwait2, __NR_eventfd2,
        __NR_ppoll, __NR_pselect6, __NR_timerfd_create, __NR_timerfd_gettime, __NR_timerfd_settime,
        /* memory, machine code included */
        __NR_brk, __NR_madvise, __NR_membarrier, __NR_mprotect, __NR_mremap, __NR_munmap,
        /* threads and signals of our own */
        __NR_exit, __NR_exit_group, __NR_futex, __NR_getegid, __NR_geteuid, __NR_getgid, __NR_getpid,
        __NR_getppid, __NR_gettid, __NR_getuid, __NR_restart_syscall, __NR_rseq, __NR_rt_sigaction,
        __NR_rt_sigpending, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_rt_sigsuspend,
        __NR_rt_sigtimedwait, __NR_sched_get_priority_max, __NR_sched_get_priority_min,
        __NR_sched_getaffinity, __NR_sched_getparam, __NR_sched_getscheduler, __NR_sched_yield,
        __NR_set_robust_list, __NR_set_tid_address, __NR_sigaltstack,
        /* time and the machine */
        __NR_clock_getres, __NR_clock_gettime, __NR_clock_nanosleep, __NR_getcpu, __NR_getrandom,
        __NR_getrusage, __NR_gettimeofday, __NR_nanosleep, __NR_sysinfo, __NR_times, __NR_uname,
        /* sockets: which kinds is said below */
        __NR_accept4, __NR_bind, __NR_connect, __NR_getpeername, __NR_getsockname, __NR_getsockopt,
        __NR_listen, __NR_recvfrom, __NR_recvmmsg, __NR_recvmsg, __NR_sendmmsg, __NR_sendmsg,
        __NR_sendto, __NR_setsockopt, __NR_shutdown, __NR_accept,
#if defined(__x86_64__)
        /* old names that libc still uses */
        __NR_access, __NR_dup2, __NR_epoll_wait, __NR_getrlimit, __NR_lstat, __NR_mmap,
        __NR_newfstatat, __NR_open, __NR_pause, __NR_poll, __NR_readlink, __NR_select, __NR_stat,
        __NR_time,
#elif defined(__arm__)
        /* 32 bits: twice for files, twice for time */
        __NR__llseek, __NR__newselect, __NR_access, __NR_clock_getres_time64,
        __NR_clock_gettime64, __NR_clock_nanosleep_time64, __NR_dup2, __NR_epoll_wait,
        __NR_fstat64, __NR_fstatat64, __NR_fstatfs64, __NR_ftruncate64, __NR_futex_time64,
        __NR_getegid32, __NR_geteuid32, __NR_getgid32, __NR_getuid32, __NR_lstat64, __NR_mmap2,
        __NR_open, __NR_pause, __NR_poll, __NR_ppoll_time64, __NR_pselect6_time64, __NR_readlink,
        __NR_recv, __NR_recvmmsg_time64, __NR_rt_sigtimedwait_time64, __NR_send, __NR_sigreturn,
        __NR_stat64, __NR_statfs64, __NR_timerfd_gettime64, __NR_timerfd_settime64,
        __NR_ugetrlimit,
#else
        __NR_mmap, __NR_newfstatat,
#endif
};

/* ---- putting a program together ---- */

typedef struct Program {
        struct sock_filter code[PROGRAM_MAX];
        unsigned short n;
} Program;

static unsigned short emit(Program *p, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false) {
        assert(p->n < PROGRAM_MAX);
        p->code[p->n] = (struct sock_filter) { .code = code, .k = k, .jt = if_true, .jf = if_false };
        return p->n++;
}

static void load(Program *p, size_t offset) {
        (void) emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t) offset, 0, 0);
}

static void load_number(Program *p) {
        load(p, offsetof(struct seccomp_data, nr));
}

/* The lower half, which is all that the kernel looks at in an int. */
static void load_argument(Program *p, unsigned i) {
        static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half comes first");
        load(p, offsetof(struct seccomp_data, args) + i * sizeof(uint64_t));
}

static void answer(Program *p, uint32_t what) {
        (void) emit(p, BPF_RET | BPF_K, what, 0, 0);
}

static void refuse(Program *p) {
        answer(p, SECCOMP_RET_ERRNO | EPERM);
}

static void allow_if(Program *p, uint32_t value) {
        (void) emit(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
        answer(p, SECCOMP_RET_ALLOW);
}

static void allow_range(Program *p, uint32_t first, uint32_t last) {
        (void) emit(p, BPF_JMP | BPF_JGE | BPF_K, first, 0, 2);
        (void) emit(p, BPF_JMP | BPF_JGT | BPF_K, last, 1, 0);
        answer(p, SECCOMP_RET_ALLOW);
}

static void refuse_any_bit(Program *p, uint32_t bits) {
        (void) emit(p, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
        refuse(p);
}

/* What follows, up to call_end(), is about one call; it ends with an answer. */
static unsigned short call_begin(Program *p, uint32_t number) {
        return emit(p, BPF_JMP | BPF_JEQ | BPF_K, number, 0, 0);
}

static void call_end(Program *p, unsigned short begin) {
        p->code[begin].jf = (uint8_t) (p->n - begin - 1);
}

/* ---- calls that are judged by their arguments ---- */

/* Threads, no processes. clone3() keeps its flags where no filter can look; libc does without. */
static void rule_clone(Program *p) {
        unsigned short at = call_begin(p, __NR_clone);

        load_argument(p, 0);
        refuse_any_bit(p, CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                  CLONE_NEWPID | CLONE_NEWNET | CLONE_PTRACE | CLONE_PARENT);
        (void) emit(p, BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1);
        answer(p, SECCOMP_RET_ALLOW);
        refuse(p);
        call_end(p, at);

        at = call_begin(p, __NR_clone3);
        answer(p, SECCOMP_RET_ERRNO | ENOSYS);
        call_end(p, at);
}

/* Signals to ourselves: threads are woken by them, abort() ends by one. */
static void rule_tgkill(Program *p) {
        unsigned short at = call_begin(p, __NR_tgkill);

        load_argument(p, 0);
        allow_if(p, (uint32_t) getpid());
        refuse(p);
        call_end(p, at);
}

/* Not F_SETOWN and F_SETSIG, which send signals to others, nor F_SETLEASE, which holds them up. */
static void rule_fcntl(Program *p, uint32_t number) {
        unsigned short at = call_begin(p, number);

        load_argument(p, 1);
        allow_range(p, F_DUPFD, 7); /* F_SETLKW, which has another number with large files … */
        allow_range(p, 12, 14);     /* … where longs have 32 bits: F_GETLK64 to F_SETLKW64 */
        allow_range(p, F_OFD_GETLK, F_OFD_SETLKW);
        allow_range(p, F_DUPFD_CLOEXEC, F_GETPIPE_SZ);
        allow_if(p, F_GET_SEALS);
        refuse(p);
        call_end(p, at);
}

/* Sizes and modes of pipes, sockets and serial lines; the buses and lines of a board. Not what types
 * for others or takes a terminal over (TIOCSTI, TIOCSCTTY, TIOCSETD, TIOCEXCL), not what names a
 * process to signal (FIOSETOWN, SIOCSPGRP), not file systems' and block devices'. */
static void rule_ioctl(Program *p) {
        unsigned short at = call_begin(p, __NR_ioctl);

        load_argument(p, 1);
        allow_range(p, TCGETS, TCFLSH);          /* 0x5401 to 0x540b */
        allow_if(p, TIOCOUTQ);
        allow_if(p, TIOCGWINSZ);
        allow_range(p, TIOCMGET, FIONREAD);      /* 0x5415 to 0x541b */
        allow_if(p, FIONBIO);
        allow_range(p, TCSBRKP, TIOCCBRK);       /* 0x5425 to 0x5428 */
        allow_range(p, FIONCLEX, FIOCLEX);
        allow_range(p, 0x8910, 0x897f);          /* SIOCG…: interfaces; changing them takes a capability */
        /* By their magic, whatever the size of their argument. */
        (void) emit(p, BPF_ALU | BPF_AND | BPF_K, 0xff00, 0, 0);
        allow_if(p, 0xb400);                     /* linux/gpio.h */
        allow_if(p, 0x0700);                     /* linux/i2c-dev.h */
        allow_if(p, 0x6b00);                     /* linux/spi/spidev.h */
        refuse(p);
        call_end(p, at);
}

static void rule_socket(Program *p, uint32_t number) {
        unsigned short at = call_begin(p, number);

        load_argument(p, 0);
        allow_if(p, AF_UNIX);
        allow_if(p, AF_INET);
        allow_if(p, AF_INET6);
        (void) emit(p, BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 1, 0);
        refuse(p);
        load_argument(p, 2);
        allow_if(p, NETLINK_ROUTE); /* the resolver asks which kinds of address there are */
        refuse(p);
        call_end(p, at);
}

static void rule_prctl(Program *p) {
        static const uint32_t options[] = {
                PR_SET_NAME, PR_GET_NAME, PR_SET_TIMERSLACK, PR_GET_TIMERSLACK, PR_GET_PDEATHSIG,
                PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP,
                0x53564d41, /* PR_SET_VMA: libc names its memory */
        };
        unsigned short at = call_begin(p, __NR_prctl);

        load_argument(p, 0);
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                allow_if(p, options[i]);
        refuse(p);
        call_end(p, at);
}

/* Reading our own limits. */
static void rule_prlimit(Program *p) {
        unsigned short at = call_begin(p, __NR_prlimit64);

        load_argument(p, 0);
        (void) emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        refuse(p);
        for (unsigned half = 0; half < 2; half++) { /* no new limit */
                load(p, offsetof(struct seccomp_data, args[2]) + half * sizeof(uint32_t));
                (void) emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
                refuse(p);
        }
        answer(p, SECCOMP_RET_ALLOW);
        call_end(p, at);
}

static void rules(Program *p) {
        rule_clone(p);
        rule_tgkill(p);
#ifdef __NR_fcntl64
        rule_fcntl(p, __NR_fcntl64);
#endif
        rule_fcntl(p, __NR_fcntl);
        rule_ioctl(p);
        rule_socket(p, __NR_socket);
        rule_socket(p, __NR_socketpair);
        rule_prctl(p);
        rule_prlimit(p);
#ifdef __ARM_NR_cacheflush
        {
                unsigned short at = call_begin(p, __ARM_NR_cacheflush); /* after writing machine code */

                answer(p, SECCOMP_RET_ALLOW);
                call_end(p, at);
        }
#endif
}

/* ---- all the others: a bit for each ---- */

static void bitmap(Program *p) {
        uint32_t words[WORDS] = {};
        unsigned short leaps[WORDS], tail;

        for (size_t i = 0; i < ELEMENTSOF(allowed); i++) {
                assert(allowed[i] / 32 < WORDS);
                words[allowed[i] / 32] |= 1u << allowed[i] % 32;
        }
        /* X = number % 32, A = number / 32 */
        (void) emit(p, BPF_ALU | BPF_AND | BPF_K, 31, 0, 0);
        (void) emit(p, BPF_MISC | BPF_TAX, 0, 0, 0);
        load_number(p);
        (void) emit(p, BPF_ALU | BPF_RSH | BPF_K, 5, 0, 0);
        for (unsigned i = 0; i < WORDS; i++) {
                (void) emit(p, BPF_JMP | BPF_JEQ | BPF_K, i, 0, 2);
                (void) emit(p, BPF_LD | BPF_IMM, words[i], 0, 0);
                leaps[i] = emit(p, BPF_JMP | BPF_JA, 0, 0, 0);
        }
        answer(p, SECCOMP_RET_ERRNO | ENOSYS);
        tail = p->n;
        for (unsigned i = 0; i < WORDS; i++)
                p->code[leaps[i]].k = (uint32_t) (tail - leaps[i] - 1);
        (void) emit(p, BPF_ALU | BPF_RSH | BPF_X, 0, 0, 0);
        (void) emit(p, BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1);
        answer(p, SECCOMP_RET_ALLOW);
        load_number(p);
        (void) emit(p, BPF_JMP | BPF_JGE | BPF_K, FIRST_UNKNOWN, 0, 1);
        answer(p, SECCOMP_RET_ERRNO | ENOSYS);
        refuse(p);
}

int confine_syscalls(void) {
        Program p = { .n = 0 };
        struct sock_fprog program;

        load(&p, offsetof(struct seccomp_data, arch));
        (void) emit(&p, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
        answer(&p, SECCOMP_RET_KILL_PROCESS);
        load_number(&p);
#ifdef X32_BIT
        (void) emit(&p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
        answer(&p, SECCOMP_RET_KILL_PROCESS);
#endif
        rules(&p);
        bitmap(&p);

        program = (struct sock_fprog) { .len = p.n, .filter = p.code };
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
