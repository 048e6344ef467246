/* SPDX-License-Identifier: MIT */
/* A master tells that its last client has gone by POLLHUP, and keeps telling; that one has come it
 * does not tell. So opens and closes are learned from inotify on the slave, without polling, and
 * POLLHUP decides what they mean. */
#include "daemon/pty.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>
#include <termios.h>

#include "util/io.h"
#include "util/text.h"

struct Pty {
        int master;
        char path[64];
        char *link;
        struct termios raw;
        bool has_client;
        sd_event_source *inotify_source;
        PtyClientHandler handler;
        void *userdata;
};

int pty_fd(const Pty *p) {
        return p->master;
}

const char *pty_path(const Pty *p) {
        return p->path;
}

bool pty_has_client(const Pty *p) {
        return p->has_client;
}

/* Bytes pass as they are: no echo, no line mode, no CR/LF translation, no signals (M17). A master's
 * settings are its slave's. */
static int make_raw(Pty *p) {
        struct termios t;

        if (tcgetattr(p->master, &t) < 0)
                return -errno;
        cfmakeraw(&t);
        t.c_cflag |= CREAD | CLOCAL;
        (void) cfsetspeed(&t, B115200);
        if (tcsetattr(p->master, TCSANOW, &t) < 0 || tcgetattr(p->master, &p->raw) < 0)
                return -errno;
        return 0;
}

static bool is_raw(const Pty *p) {
        struct termios t;

        return tcgetattr(p->master, &t) < 0 ||
               (t.c_iflag == p->raw.c_iflag && t.c_oflag == p->raw.c_oflag &&
                t.c_cflag == p->raw.c_cflag && t.c_lflag == p->raw.c_lflag);
}

/* What the last client left behind: its terminal settings, and output that it never read and that the
 * next one must not take for its own. Opening the slave shows up in inotify and changes nothing. */
static void clean_up_after_client(Pty *p) {
        _cleanup_close_ int slave = open(p->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        (void) tcsetattr(p->master, TCSANOW, &p->raw);
        if (slave >= 0)
                (void) tcflush(slave, TCIFLUSH);
}

void pty_check_client(Pty *p) {
        struct pollfd pfd = { .fd = p->master, .events = POLLIN };
        bool present = poll(&pfd, 1, 0) >= 0 && !(pfd.revents & POLLHUP);

        /* `echo 'x' > repl`, `stty -F repl …`: one that came and went before we looked. */
        if (!present && !p->has_client && ((pfd.revents & POLLIN) || !is_raw(p))) {
                p->has_client = true;
                p->handler(p->userdata, true);
        }
        if (present == p->has_client)
                return;
        p->has_client = present;
        if (!present)
                clean_up_after_client(p);
        p->handler(p->userdata, present);
}

static int on_inotify(sd_event_source *s, const struct inotify_event *e, void *userdata) {
        pty_check_client(userdata);
        return 0;
}

static int make_link(Pty *p, const char *link) {
        _cleanup_free_ char *temporary = NULL;

        if (asprintf(&temporary, "%s.new", link) < 0) {
                temporary = NULL;
                return -ENOMEM;
        }
        (void) unlink(temporary);
        if (symlink(p->path, temporary) < 0)
                return -errno;
        if (rename(temporary, link) < 0) {
                int r = -errno;

                (void) unlink(temporary);
                return r;
        }
        p->link = strdup(link);
        return p->link ? 0 : -ENOMEM;
}

Pty *pty_free(Pty *p) {
        char target[sizeof p->path] = "";

        if (!p)
                return NULL;
        /* Only the link that is still ours. */
        if (p->link && readlink(p->link, target, sizeof target - 1) > 0 && streq(target, p->path))
                (void) unlink(p->link);
        sd_event_source_disable_unref(p->inotify_source);
        safe_close(p->master);
        free(p->link);
        free(p);
        return NULL;
}

/* The slave must have been open once before POLLHUP means "no client". */
static int open_slave_once(Pty *p, gid_t gid) {
        _cleanup_close_ int slave = open(p->path, O_RDWR | O_NOCTTY | O_CLOEXEC);

        if (slave < 0)
                return -errno;
        if (gid != (gid_t) -1 && (fchown(slave, (uid_t) -1, gid) < 0 || fchmod(slave, 0660) < 0))
                return -errno;
        return make_raw(p);
}

int pty_new(Pty **ret, sd_event *event, int master, const char *link, gid_t gid,
            PtyClientHandler handler, void *userdata) {
        _cleanup_(pty_freep) Pty *p = calloc(1, sizeof *p);
        int r;

        if (!p) {
                safe_close(master);
                return -ENOMEM;
        }
        p->handler = handler;
        p->userdata = userdata;
        p->master = master >= 0 ? master : posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (p->master < 0)
                return -errno;
        r = ptsname_r(p->master, p->path, sizeof p->path); /* -ENOTTY for all but masters */
        if (r != 0)
                return -r;
        if (unlockpt(p->master) < 0)
                return -errno;
        r = open_slave_once(p, gid);
        if (r < 0)
                return r;
        r = fd_set_nonblock(p->master, true);
        if (r < 0)
                return r;
        r = sd_event_add_inotify(event, &p->inotify_source, p->path, IN_OPEN | IN_CLOSE, on_inotify, p);
        if (r < 0)
                return r;
        r = make_link(p, link);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

/* By device and inode: a container has a /dev/pts/N of its own for the same N. */
static bool process_has_open(const char *pid, const struct stat *tty) {
        char dir[64];
        _cleanup_close_ int fd = -EBADF;
        struct dirent *e;
        bool found = false;
        DIR *d;

        (void) snprintf(dir, sizeof dir, "/proc/%.20s/fd", pid);
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd >= 0 ? fdopendir(fd) : NULL;
        if (!d)
                return false;
        (void) TAKE_FD(fd);
        while (!found && (e = readdir(d))) {
                char target[64];
                struct stat st;
                /* The name first: stat() would ask whatever file system the file is on. */
                ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target);

                found = n > 5 && memcmp(target, "/dev/", 5) == 0 &&
                        fstatat(dirfd(d), e->d_name, &st, 0) >= 0 && st.st_dev == tty->st_dev &&
                        st.st_ino == tty->st_ino;
        }
        (void) closedir(d);
        return found;
}

const char *pty_describe_client(const Pty *p, char *buf, size_t size) {
        struct stat tty;
        DIR *d = NULL;
        char self[16];
        struct dirent *e;

        (void) snprintf(self, sizeof self, "%d", (int) getpid());
        (void) snprintf(buf, size, "another program");
        if (stat(p->path, &tty) >= 0)
                d = opendir("/proc");
        while (d && (e = readdir(d))) {
                _cleanup_free_ char *comm = NULL;
                char path[64], name[64];

                if (e->d_name[0] < '1' || e->d_name[0] > '9' || streq(e->d_name, self) ||
                    !process_has_open(e->d_name, &tty))
                        continue;
                (void) snprintf(path, sizeof path, "/proc/%.20s/comm", e->d_name);
                if (read_file(AT_FDCWD, path, 256, &comm, NULL) < 0)
                        continue;
                (void) text_sanitise(name, sizeof name, comm, strcspn(comm, "\n"), false);
                (void) snprintf(buf, size, "%s (pid %.20s)", name, e->d_name);
                break;
        }
        if (d)
                (void) closedir(d);
        return buf;
}
