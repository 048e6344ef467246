/* SPDX-License-Identifier: MIT */
/* Stands in for mpyd-board where a test wants to see how a board is started and what becomes of what it
 * does. It obeys words that come by its console, one a line, and reports the argument that it was given.
 * It keeps its rights: what a board gives up is test-board-confine's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpyd/board-link.h"
#include "util/macros.h"

extern char **environ;
static const char *argument;

static void report_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        struct dirent *e;
        unsigned long seen = 0;

        while (d && (e = readdir(d)))
                if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d))
                        seen |= 1ul << MIN(atoi(e->d_name), 63);
        dprintf(BOARD_FD_CONSOLE_OUT, "fds %lx\n", seen);
        if (d)
                (void) closedir(d);
}

static char type_of(int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return '?';
        switch (st.st_mode & S_IFMT) {
        case S_IFSOCK:
                return 's';
        case S_IFIFO:
                return 'p';
        case S_IFREG:
                return 'f';
        case S_IFDIR:
                return 'd';
        case S_IFCHR:
                return 'c';
        default:
                return '?';
        }
}

static void report(void) {
        struct rlimit core = { 1, 1 };
        sigset_t mask;
        char cwd[256] = "?";
        uid_t ruid, euid, suid;
        gid_t rgid, egid, sgid;
        int n_blocked = 0, n_switches = 0, kind = -1;
        socklen_t size = sizeof kind;
        mode_t old = umask(0);

        report_fds();
        dprintf(BOARD_FD_CONSOLE_OUT, "argument %s\n", argument ?: "none");
        dprintf(BOARD_FD_CONSOLE_OUT, "types ");
        for (int fd = 0; fd < BOARD_FD_MAX; fd++)
                if (fd != STDERR_FILENO)
                        dprintf(BOARD_FD_CONSOLE_OUT, "%c", type_of(fd));
        (void) getsockopt(BOARD_FD_LINK, SOL_SOCKET, SO_TYPE, &kind, &size);
        dprintf(BOARD_FD_CONSOLE_OUT, "\nlink %s\n", kind == SOCK_SEQPACKET ? "seqpacket" : "?");
        dprintf(BOARD_FD_CONSOLE_OUT, "modes %d %d %s\n",
                fcntl(BOARD_FD_CONSOLE_IN, F_GETFL) & O_ACCMODE,
                fcntl(BOARD_FD_CONSOLE_OUT, F_GETFL) & O_ACCMODE,
                fcntl(BOARD_FD_FLASH, F_GETFL) & O_PATH ? "path" : "?");
        for (char **e = environ; *e; e++)
                if (!strstr(*e, "SAN_OPTIONS="))
                        dprintf(BOARD_FD_CONSOLE_OUT, "env %s\n", *e);
                else
                        n_switches++;
        (void) getcwd(cwd, sizeof cwd);
        dprintf(BOARD_FD_CONSOLE_OUT, "cwd %s\nswitches %d\n", cwd, n_switches);
        (void) sigprocmask(SIG_BLOCK, NULL, &mask);
        for (int s = 1; s < NSIG; s++)
                n_blocked += sigismember(&mask, s) == 1;
        dprintf(BOARD_FD_CONSOLE_OUT, "blocked %d\n", n_blocked);
        dprintf(BOARD_FD_CONSOLE_OUT, "no-new-privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
        (void) getresuid(&ruid, &euid, &suid);
        (void) getresgid(&rgid, &egid, &sgid);
        dprintf(BOARD_FD_CONSOLE_OUT, "uids %u %u %u gids %u %u %u groups %d\n", ruid, euid, suid,
                rgid, egid, sgid, getgroups(0, NULL));
        (void) getrlimit(RLIMIT_CORE, &core);
        dprintf(BOARD_FD_CONSOLE_OUT, "umask %o core %lu leader %d\n", old,
                (unsigned long) core.rlim_cur, getsid(0) == getpid());
        dprintf(BOARD_FD_CONSOLE_OUT, "end\n");
}

static void send_message(const LinkMessage *m) {
        unsigned char buf[LINK_MESSAGE_MAX];
        int n = link_encode(m, buf, sizeof buf);

        if (n > 0)
                (void) send(BOARD_FD_LINK, buf, (size_t) n, MSG_NOSIGNAL);
}

static void send_logs(unsigned n) {
        char text[16];

        for (unsigned i = 0; i < n; i++) {
                int size = snprintf(text, sizeof text, "%u", i);

                send_message(&(LinkMessage) {
                        .type = LINK_LOG,
                        .data = { .level = 6, .data = text, .size = (size_t) size },
                });
        }
}

static void send_bytes(size_t size) {
        static char bytes[3 * LINK_MESSAGE_MAX];

        memset(bytes, 'x', sizeof bytes);
        (void) send(BOARD_FD_LINK, bytes, size, MSG_NOSIGNAL);
}

/* The next message from the supervisor, by name. */
static void receive(void) {
        unsigned char buf[LINK_MESSAGE_MAX];
        ssize_t n = recv(BOARD_FD_LINK, buf, sizeof buf, 0);
        LinkMessage m;

        if (n > 0 && link_decode(buf, (size_t) n, &m) == 0)
                dprintf(BOARD_FD_CONSOLE_OUT, "%s %u\n", link_type_to_string(m.type), m.seq);
        else
                dprintf(BOARD_FD_CONSOLE_OUT, "nothing\n");
}

static void obey(const char *word) {
        if (strcmp(word, "report") == 0)
                report();
        else if (strcmp(word, "hello") == 0)
                send_message(&(LinkMessage) { .type = LINK_HELLO, .hello = { LINK_VERSION, LINK_CONFINED_ALL } });
        else if (strncmp(word, "logs ", 5) == 0)
                send_logs((unsigned) atoi(word + 5));
        else if (strcmp(word, "flood") == 0)
                send_logs(UINT32_MAX);
        else if (strncmp(word, "bytes ", 6) == 0)
                send_bytes((size_t) atoi(word + 6));
        else if (strcmp(word, "version") == 0) {
                unsigned char buf[LINK_MESSAGE_MAX];
                int n = link_encode(&(LinkMessage) { .type = LINK_STOP }, buf, sizeof buf);

                buf[2]++;
                (void) send(BOARD_FD_LINK, buf, (size_t) n, MSG_NOSIGNAL);
        } else if (strcmp(word, "receive") == 0)
                receive();
        else if (strcmp(word, "hang-up") == 0)
                (void) close(BOARD_FD_LINK);
        else if (strcmp(word, "block") == 0)
                (void) fcntl(BOARD_FD_CONSOLE_IN, F_SETFL, 0);
        else if (strncmp(word, "exit ", 5) == 0)
                _exit(atoi(word + 5));
        else if (strncmp(word, "signal ", 7) == 0)
                (void) raise(atoi(word + 7));
        dprintf(BOARD_FD_CONSOLE_OUT, "done %s\n", word);
}

int main(int argc, char *argv[]) {
        char word[64];
        size_t n = 0;

        argument = argc == 2 ? argv[1] : argc > 2 ? "more than one" : NULL;
        for (;;) {
                ssize_t r = read(BOARD_FD_CONSOLE_IN, word + n, 1);

                if (r == 0)
                        (void) pause();
                if (r <= 0)
                        continue;
                if (word[n] == '\n' || n == sizeof word - 1) {
                        word[n] = '\0';
                        n = 0;
                        obey(word);
                } else
                        n++;
        }
}
