/* SPDX-License-Identifier: MIT */
/* What is left to a board that has given its rights up, and what is not. Each case runs in a process of
 * its own, which is confined for good. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include "board/confine.h"
#include "util/io.h"

#define FAILED(format, ...)                                              \
        do {                                                             \
                fprintf(stderr, "line %d: " format "\n", __LINE__, ##__VA_ARGS__); \
                _exit(1);                                                \
        } while (0)
#define CHECK(condition)                                                 \
        do {                                                             \
                if (!(condition))                                        \
                        FAILED("%s: %s", #condition, strerrordesc_np(errno)); \
        } while (0)

static bool was_root;
static char flash[] = "/tmp/mpyd-test-confine-XXXXXX";
static char secret[] = "/tmp/mpyd-test-secret-XXXXXX";

/* A process of its own, as the user that it stays. Returns how it ended. */
static int run_confined(void (*f)(const Confinement *c)) {
        pid_t parent = getpid(), pid = fork();
        int status;

        if (pid == 0) {
                ConfineSpec spec = {
                        .change_user = getuid() == 0,
                        .uid = 65534,
                        .gid = 65533,
                        .supervisor = parent,
                        .flash_fd = open(flash, O_PATH | O_DIRECTORY | O_CLOEXEC),
                };
                const char *what = NULL;
                Confinement c;
                int r = confine(&spec, &c, &what);

                if (r < 0)
                        FAILED("cannot %s: %d", what, r);
                if (c.syscalls < 0)
                        _exit(77);
                f(&c);
                _exit(0);
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip(); /* no seccomp here */
        return status;
}

static void assert_confined(void (*f)(const Confinement *c)) {
        assert_int_equal(run_confined(f), 0);
}

/* ---- who it is ---- */

static void assert_status(const char *line) {
        _cleanup_free_ char *text = NULL;

        CHECK(read_file(AT_FDCWD, "/proc/self/status", 16384, &text, NULL) >= 0);
        if (!strstr(text, line))
                FAILED("no \"%s\" in %s", line, text);
}

static void rights_are_gone(const Confinement *c) {
        int signal = 0;

        assert_status("\nCapInh:\t0000000000000000\n");
        assert_status("\nCapPrm:\t0000000000000000\n");
        assert_status("\nCapEff:\t0000000000000000\n");
        assert_status("\nCapAmb:\t0000000000000000\n");
        assert_status("\nNoNewPrivs:\t1\n");
        assert_status("\nSeccomp:\t2\n");
        CHECK(geteuid() != 0);
        if (was_root) {
                assert_status("\nUid:\t65534\t65534\t65534\t65534\n");
                assert_status("\nGid:\t65533\t65533\t65533\t65533\n");
                assert_status("\nGroups:\t \n");
        }
        CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
        CHECK(prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) == 0 && signal == SIGKILL);
}

static void test_rights(void **state) {
        assert_confined(rights_are_gone);
}

/* Its parent is gone before it asked to end with it: somebody else is the parent. */
static void test_orphan(void **state) {
        const ConfineSpec spec = {
                .change_user = getuid() == 0, .uid = 65534, .gid = 65534, .supervisor = 1, .flash_fd = -1,
        };
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                const char *what;
                Confinement c;

                _exit(confine(&spec, &c, &what) == -ESRCH ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

/* Root's board without a user is not run. */
static void test_root(void **state) {
        pid_t parent = getpid(), pid;
        int status;

        if (getuid() != 0)
                skip();
        pid = fork();
        if (pid == 0) {
                const ConfineSpec spec = { .supervisor = parent, .flash_fd = -1 };
                const char *what;
                Confinement c;

                _exit(confine(&spec, &c, &what) == -EPERM ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void test_parse_user(void **state) {
        static const char *const bad[] = {
                "", "--user", "--user=", "--user=:", "--user=1", "--user=1:", "--user=:1", "--user=0:1",
                "--user=1:0", "--user=-1:1", "--user=1:-1", "--user= 1:1", "--user=1:1 ", "--user=1:1:1",
                "--user=4294967295:1", "--user=1:4294967295", "--user=4294967296:1", "-user=1:1",
                "--user=99999999999999999999999999:1", "--user=mpyd:mpyd", "--version",
        };
        uid_t uid = 7;
        gid_t gid = 8;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(confine_parse_user(bad[i], &uid, &gid), -EINVAL);
                assert_int_equal(uid, 7);
                assert_int_equal(gid, 8);
        }
        assert_int_equal(confine_parse_user("--user=1000:1001", &uid, &gid), 0);
        assert_int_equal(uid, 1000);
        assert_int_equal(gid, 1001);
        assert_int_equal(confine_parse_user("--user=4294967294:4294967294", &uid, &gid), 0);
        assert_int_equal(uid, 4294967294);
}

/* ---- what a board may not ---- */

/* A call that is refused with EPERM whatever its arguments, and one that the kernel is made not to
 * know. */
static void refused_calls(const Confinement *c) {
        static const struct {
                const char *name;
                long number;
                int error;
        } calls[] = {
#define DENIED(name) { #name, SYS_##name, EPERM }
                DENIED(execve), DENIED(execveat), DENIED(kill), DENIED(tkill), DENIED(rt_sigqueueinfo),
                DENIED(rt_tgsigqueueinfo), DENIED(pidfd_send_signal), DENIED(pidfd_open),
                DENIED(pidfd_getfd), DENIED(ptrace), DENIED(process_vm_readv), DENIED(process_vm_writev),
                DENIED(process_madvise), DENIED(kcmp), DENIED(mount), DENIED(umount2),
                DENIED(pivot_root), DENIED(chroot), DENIED(unshare), DENIED(setns), DENIED(open_tree),
                DENIED(move_mount), DENIED(fsopen), DENIED(fsmount), DENIED(mount_setattr),
                DENIED(keyctl), DENIED(add_key), DENIED(request_key), DENIED(bpf),
                DENIED(perf_event_open), DENIED(io_uring_setup), DENIED(io_uring_enter),
                DENIED(io_uring_register), DENIED(userfaultfd), DENIED(init_module),
                DENIED(finit_module), DENIED(delete_module), DENIED(kexec_load), DENIED(reboot),
                DENIED(swapon), DENIED(swapoff), DENIED(acct), DENIED(syslog), DENIED(quotactl),
                DENIED(setuid), DENIED(setgid), DENIED(setreuid), DENIED(setregid), DENIED(setresuid),
                DENIED(setresgid), DENIED(setgroups), DENIED(setfsuid), DENIED(capset),
                DENIED(personality), DENIED(seccomp), DENIED(landlock_create_ruleset),
                DENIED(setpriority), DENIED(ioprio_set), DENIED(sched_setaffinity),
                DENIED(sched_setscheduler), DENIED(sched_setattr), DENIED(setpgid), DENIED(setsid),
                DENIED(setrlimit), DENIED(memfd_create),
                DENIED(fanotify_init), DENIED(name_to_handle_at), DENIED(open_by_handle_at),
                DENIED(linkat), DENIED(symlinkat), DENIED(mknodat), DENIED(fchmod), DENIED(fchown),
                DENIED(settimeofday), DENIED(clock_settime), DENIED(clock_adjtime), DENIED(adjtimex),
                DENIED(sethostname), DENIED(vhangup), DENIED(shmget), DENIED(mq_open),
                DENIED(timer_create), DENIED(chdir), DENIED(fchdir), DENIED(fallocate), DENIED(splice),
#ifdef SYS_memfd_secret
                DENIED(memfd_secret),
#endif
#ifdef SYS_fork
                DENIED(fork), DENIED(vfork), DENIED(link), DENIED(symlink), DENIED(mknod),
#endif
#undef DENIED
                { "clone3", SYS_clone3, ENOSYS },
                { "futex_waitv", SYS_futex_waitv, ENOSYS },
                { "a call of tomorrow", 479, ENOSYS },
                { "a call of the day after", 5000, ENOSYS },
        };

        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                long r = syscall(calls[i].number, 0, 0, 0, 0, 0, 0);

                if (r != -1 || errno != calls[i].error)
                        FAILED("%s: %ld, %s", calls[i].name, r, strerrordesc_np(errno));
        }
}

static void test_refused_calls(void **state) {
        assert_confined(refused_calls);
}

#define REFUSED(call)                                                     \
        do {                                                              \
                errno = 0;                                                \
                if ((call) != -1 || errno != EPERM)                       \
                        FAILED("%s: %s", #call, strerrordesc_np(errno));  \
        } while (0)

static void refused_arguments(const Confinement *c) {
        struct rlimit limit = { 100, 100 };
        struct f_owner_ex owner = { F_OWNER_PID, getppid() };
        int pipe_fds[2], pid = getppid();

        CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
        /* processes */
        REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        REFUSED(syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
        REFUSED(syscall(SYS_clone, CLONE_NEWUSER | CLONE_THREAD | CLONE_VM | CLONE_SIGHAND, 0, 0, 0, 0));
        /* signals */
        REFUSED(syscall(SYS_tgkill, getppid(), getppid(), SIGTERM));
        REFUSED(syscall(SYS_tgkill, 1, 1, 0));
        REFUSED(fcntl(pipe_fds[0], F_SETOWN, getppid()));
        REFUSED(fcntl(pipe_fds[0], F_SETOWN_EX, &owner));
        REFUSED(fcntl(pipe_fds[0], F_SETSIG, SIGKILL));
        REFUSED(fcntl(pipe_fds[0], F_SETLEASE, F_WRLCK));
        REFUSED(ioctl(pipe_fds[0], FIOSETOWN, &pid));
        REFUSED(ioctl(pipe_fds[0], SIOCSPGRP, &pid));
        /* terminals and file systems */
        REFUSED(ioctl(pipe_fds[0], TIOCSTI, "x"));
        REFUSED(ioctl(pipe_fds[0], TIOCSCTTY, 0));
        REFUSED(ioctl(pipe_fds[0], TIOCSETD, &pid));
        REFUSED(ioctl(pipe_fds[0], TIOCEXCL));
        REFUSED(ioctl(pipe_fds[0], TIOCCONS));
        REFUSED(ioctl(pipe_fds[0], _IOWR('X', 119, int), 0)); /* FIFREEZE */
        REFUSED(ioctl(pipe_fds[0], _IOW('f', 2, long), &pid)); /* FS_IOC_SETFLAGS */
        /* what was given up does not come back */
        REFUSED(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
        REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
        REFUSED(prctl(PR_SET_PTRACER, getppid(), 0, 0, 0));
        REFUSED(setrlimit(RLIMIT_NOFILE, &limit));
        REFUSED(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &limit));
        REFUSED(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL));
        /* other worlds */
        REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
        REFUSED(socket(AF_ALG, SOCK_SEQPACKET, 0));
        REFUSED(socket(AF_VSOCK, SOCK_STREAM, 0));
        REFUSED(socket(AF_KEY, SOCK_RAW, 2));
        REFUSED(socket(AF_NETLINK, SOCK_RAW, 15)); /* NETLINK_KOBJECT_UEVENT */
        REFUSED(socketpair(AF_TIPC, SOCK_STREAM, 0, pipe_fds));
        /* An int's upper half is nobody's: the kernel cuts it off, and so do we. */
        REFUSED(syscall(SYS_socket, (long) AF_PACKET | (sizeof(long) > 4 ? 1L << (sizeof(long) * 4) : 0),
                        SOCK_RAW, 0));
}

static void test_refused_arguments(void **state) {
        assert_confined(refused_arguments);
}

#ifdef __x86_64__
static void call_of_i386(const Confinement *c) {
        long r;

        __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L /* getpid */) : "memory", "r8", "r9", "r10", "r11");
        FAILED("%ld", r);
}

static void call_of_x32(const Confinement *c) {
        FAILED("%ld", syscall(0x40000000 | SYS_getpid));
}

static void test_other_architecture(void **state) {
        int status = run_confined(call_of_i386);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
        status = run_confined(call_of_x32);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

/* ---- what a board needs ---- */

static void *thread_run(void *arg) {
        (void) sched_yield();
        return arg;
}

static void on_signal(int signal) {
}

static void threads_work(const Confinement *c) {
        pthread_t threads[20];
        char marks[ELEMENTSOF(threads)];
        sigset_t set;

        for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                CHECK((errno = pthread_create(&threads[i], NULL, thread_run, &marks[i])) == 0);
        for (size_t i = 0; i < ELEMENTSOF(threads); i++) {
                void *answer;

                CHECK((errno = pthread_join(threads[i], &answer)) == 0 && answer == &marks[i]);
        }
        CHECK(signal(SIGUSR1, on_signal) != SIG_ERR);
        CHECK((errno = pthread_kill(pthread_self(), SIGUSR1)) == 0);
        CHECK(raise(SIGUSR1) == 0);
        (void) sigfillset(&set);
        CHECK((errno = pthread_sigmask(SIG_BLOCK, &set, NULL)) == 0);
}

static void test_threads(void **state) {
        assert_confined(threads_work);
}

static void waiting_works(const Confinement *c) {
        struct itimerspec soon = { .it_value.tv_nsec = 1000 };
        int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), wake = eventfd(0, EFD_CLOEXEC);
        int poller = epoll_create1(EPOLL_CLOEXEC), n = 0;
        struct epoll_event e = { .events = EPOLLIN };
        struct pollfd pfd = { .fd = timer, .events = POLLIN };
        fd_set set;

        CHECK(timer >= 0 && wake >= 0 && poller >= 0);
        CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0);
        CHECK(poll(&pfd, 1, 5000) == 1);
        CHECK(ppoll(&pfd, 1, NULL, NULL) == 1);
        FD_ZERO(&set);
        FD_SET(timer, &set);
        CHECK(select(timer + 1, &set, NULL, NULL, NULL) == 1);
        CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e) == 0);
        CHECK(epoll_wait(poller, &e, 1, 5000) == 1);
        CHECK(eventfd_write(wake, 1) == 0);
        CHECK(ioctl(timer, FIONREAD, &n) == 0 || errno != EPERM);
        CHECK(usleep(10) == 0);
}

static void test_waiting(void **state) {
        assert_confined(waiting_works);
}

static void memory_works(const Confinement *c) {
        void *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char random[16];

        CHECK(code != MAP_FAILED);
        CHECK(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
        CHECK(munmap(code, 8192) == 0);
        CHECK(getrandom(random, sizeof random, 0) == (ssize_t) sizeof random);
        free(malloc(64 << 20));
}

static void test_memory(void **state) {
        assert_confined(memory_works);
}

static int listen_on(int family, const void *address, socklen_t size) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        CHECK(fd >= 0 && bind(fd, address, size) == 0 && listen(fd, 5) == 0);
        return fd;
}

static void sockets_work(const Confinement *c) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
        struct ip_mreqn group = { .imr_multiaddr.s_addr = htonl(0xe0000100) };
        socklen_t size = sizeof in;
        int server = listen_on(AF_INET, &in, sizeof in), client, pair[2], udp, one = 1;

        CHECK(getsockname(server, (struct sockaddr *) &in, &size) == 0);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(connect(client, (struct sockaddr *) &in, size) == 0);
        CHECK(accept(server, NULL, NULL) >= 0);
        CHECK(setsockopt(client, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one) == 0);
        CHECK(send(client, "x", 1, 0) == 1 && shutdown(client, SHUT_WR) == 0);
        udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK(udp >= 0);
        (void) setsockopt(udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
        CHECK(sendto(udp, "x", 1, 0, (struct sockaddr *) &in, size) == 1);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        CHECK(write(pair[0], "x", 1) == 1);
        CHECK(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 || errno == EAFNOSUPPORT);
        CHECK(getaddrinfo("localhost", "80", &hints, &found) == 0);
        freeaddrinfo(found);
}

static void test_sockets(void **state) {
        assert_confined(sockets_work);
}

static int flash_open(const char *name, int flags) {
        struct open_how how = { .flags = (uint64_t) flags | O_CLOEXEC, .mode = flags & O_CREAT ? 0666 : 0,
                                .resolve = RESOLVE_IN_ROOT };
        int dir = open(flash, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return (int) syscall(SYS_openat2, dir, name, &how, sizeof how);
}

static void files_work(const Confinement *c) {
        int dir = open(flash, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = flash_open("/new", O_CREAT | O_RDWR);
        struct stat st;

        CHECK(fd >= 0 && write(fd, "text", 4) == 4 && fsync(fd) == 0 && ftruncate(fd, 2) == 0);
        CHECK(fstat(fd, &st) == 0 && st.st_size == 2 && lseek(fd, 0, SEEK_SET) == 0);
        CHECK(mkdirat(dir, "d", 0777) == 0 && renameat(dir, "new", dir, "d/moved") == 0);
        CHECK(fstatat(dir, "d/moved", &st, 0) == 0);
        CHECK(unlinkat(dir, "d/moved", 0) == 0 && unlinkat(dir, "d", AT_REMOVEDIR) == 0);
        fd = flash_open("/", O_RDONLY | O_DIRECTORY);
        CHECK(fd >= 0 && syncfs(fd) == 0);
        CHECK(open("/etc/hosts", O_RDONLY | O_CLOEXEC) >= 0);
        CHECK(open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC) >= 0);
        CHECK(open("/dev/null", O_RDWR | O_CLOEXEC) >= 0);
        CHECK(open("/dev/urandom", O_RDONLY | O_CLOEXEC) >= 0);
}

static void test_files(void **state) {
        assert_confined(files_work);
}

/* ---- Landlock ---- */

static void paths_are_shut(const Confinement *c) {
        static const char *const shut[] = { "/tmp", "/root", "/var/lib", "/home", "/run", "/dev", "/boot" };
        char path[128];

        if (c->paths < 0)
                _exit(77);
        for (size_t i = 0; i < ELEMENTSOF(shut); i++)
                CHECK(open(shut[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 &&
                      (errno == EACCES || errno == ENOENT));
        CHECK(open(secret, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
        CHECK(open(secret, O_WRONLY | O_CLOEXEC) < 0 && errno == EACCES);
        CHECK(truncate(secret, 0) < 0);
        CHECK(unlinkat(AT_FDCWD, secret, 0) < 0 && errno == EACCES);
        CHECK(open("/dev/tty", O_RDWR | O_CLOEXEC) < 0);
        CHECK(open("/dev/null", O_RDWR | O_CLOEXEC) >= 0);
        (void) snprintf(path, sizeof path, "%s/../%s", flash, secret + sizeof "/tmp");
        CHECK(open(path, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
        /* A new mount, or the tracing of the parent, goes the same way. */
        (void) snprintf(path, sizeof path, "/proc/%d/mem", (int) getppid());
        CHECK(open(path, O_RDONLY | O_CLOEXEC) < 0);
        (void) snprintf(path, sizeof path, "/proc/%d/environ", (int) getppid());
        CHECK(open(path, O_RDONLY | O_CLOEXEC) < 0);
}

static void test_paths(void **state) {
        assert_confined(paths_are_shut);
}

static int setup(void **state) {
        int fd = mkstemp(secret);

        was_root = getuid() == 0;

        if (fd < 0 || fchmod(fd, 0666) < 0 || !mkdtemp(flash) || chmod(flash, 0777) < 0)
                return -1;
        return close(fd);
}

static int teardown(void **state) {
        return unlink(secret) < 0 || rmdir(flash) < 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_user),
                cmocka_unit_test(test_rights),
                cmocka_unit_test(test_orphan),
                cmocka_unit_test(test_root),
                cmocka_unit_test(test_refused_calls),
                cmocka_unit_test(test_refused_arguments),
#ifdef __x86_64__
                cmocka_unit_test(test_other_architecture),
#endif
                cmocka_unit_test(test_threads),
                cmocka_unit_test(test_waiting),
                cmocka_unit_test(test_memory),
                cmocka_unit_test(test_sockets),
                cmocka_unit_test(test_files),
                cmocka_unit_test(test_paths),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
