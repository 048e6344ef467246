/* SPDX-License-Identifier: MIT */
/* The board's files without the board. */
#include "ctl/flash.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

#include "ctl/bus.h"
#include "ctl/style.h"
#include "ctl/text.h"
#include "util/jail.h"

#define FILE_MODE 0660      /* the owner's and the group's: the board rewrites what a person copied in */
#define DIRECTORY_MODE 0770 /* setgid comes from above */

/* ---- the directory ---- */

static int open_by_bus(sd_bus *bus, sd_bus_error *e, int *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int fd, r;

        r = bus_call(bus, "OpenFlash", e, &reply, NULL);
        if (r >= 0)
                r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

static int open_offline(const Ctl *c, int *ret) {
        _cleanup_free_ char *path = path_below(c->state_dir, "flash");

        if (!path)
                return -ENOMEM;
        *ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return *ret < 0 ? -errno : 0;
}

static int open_directory(const Ctl *c, int *ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = bus_connect(c, &bus);
        if (r >= 0) {
                r = open_by_bus(bus, &e, ret);
                return r < 0 ? bus_explain(c, r, &e, "open the board's files") : 0;
        }
        if (!bus_is_absent(r))
                return bus_explain(c, r, NULL, "talk to mpyd");
        r = open_offline(c, ret);
        if (r >= 0)
                return 0;
        complain("mpyd is not running, and its files in %s cannot be opened: %s.", c->state_dir,
                 strerror(-r));
        advise("is that its state directory? see --state-dir; or try sudo");
        return r == -EACCES ? CTL_EXIT_PERMISSION : CTL_EXIT_NOT_RUNNING;
}

int flash_open(const Ctl *c, Flash *ret) {
        Flash f = { .fd = -EBADF };
        struct stat st;
        int r;

        r = open_directory(c, &f.fd);
        if (r > 0)
                return r;
        if (fstat(f.fd, &st) < 0) {
                r = flash_explain("look at", "/", -errno);
                flash_done(&f);
                return r;
        }
        f.owned = geteuid() == 0;
        f.uid = st.st_uid;
        f.gid = st.st_gid;
        *ret = f;
        return 0;
}

void flash_done(Flash *f) {
        f->fd = safe_close(f->fd);
}

int flash_explain(const char *doing, const char *path, int error) {
        _cleanup_free_ char *text = text_printable(path, false);

        complain("Failed to %s :%s: %s.", doing, text ? text : "?", strerror(-error));
        switch (error) {
        case -ENOENT:
        case -ENOTDIR:
                advise("mpyctl tree shows what is there");
                return CTL_EXIT_NOT_FOUND;
        case -EACCES:
        case -EPERM:
                advise("its mode says who may; try sudo");
                return CTL_EXIT_PERMISSION;
        case -EBUSY:
                if (path[strspn(path, "/")] == '\0' && streq(doing, "remove"))
                        advise("the whole flash is emptied by: mpyctl factory-reset");
                break;
        case -EISDIR:
        case -ENOTEMPTY:
                advise(streq(doing, "edit") ? "mpyctl ls shows what is in it"
                                            : "for directories: -r of cp and rm; mpyctl ls shows what is in one");
                break;
        }
        return CTL_EXIT_FAILURE;
}

/* ---- names ---- */

bool flash_is_remote(const char *argument) {
        return *argument == ':';
}

const char *flash_path(const char *argument) {
        argument += *argument == ':';
        return *argument ? argument : "/";
}

char *path_below(const char *path, const char *name) {
        size_t n = strlen(path);
        char *text;

        if (asprintf(&text, "%s%s%s", path, n > 0 && path[n - 1] == '/' ? "" : "/", name) < 0)
                return NULL;
        return text;
}

static bool is_shown(const struct stat *st) {
        return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

int flash_stat(const Flash *f, const char *path, struct stat *ret) {
        _cleanup_close_ int fd = jail_open(f->fd, path, O_PATH, 0);
        struct stat st;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!is_shown(&st))
                return -ENOENT;
        *ret = st;
        return 0;
}

int flash_file_open(const Flash *f, const char *path, int flags) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        /* Its kind first: to open a device does things. O_NONBLOCK for what replaces it meanwhile. */
        r = flash_stat(f, path, &st);
        if (r < 0)
                return r;
        if (S_ISDIR(st.st_mode) && !(flags & O_DIRECTORY))
                return -EISDIR;
        fd = jail_open(f->fd, path, flags | O_NONBLOCK | O_NOCTTY, 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        return is_shown(&st) ? TAKE_FD(fd) : -ENOENT;
}

int flash_parent(const Flash *f, const char *path, int *ret_fd, char **ret_name) {
        _cleanup_free_ char *copy = NULL, *name = NULL;
        size_t n = strlen(path);
        char *slash;
        int fd;

        while (n > 0 && path[n - 1] == '/')
                n--;
        if (n == 0)
                return -EBUSY;
        copy = strndup(path, n);
        if (!copy)
                return -ENOMEM;
        slash = strrchr(copy, '/');
        name = strdup(slash ? slash + 1 : copy);
        if (!name)
                return -ENOMEM;
        if (streq(name, ".") || streq(name, ".."))
                return -EINVAL;
        if (slash)
                *slash = '\0';
        fd = jail_open(f->fd, slash && *copy ? copy : "/", O_PATH | O_DIRECTORY, 0);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        *ret_name = TAKE_PTR(name);
        return 0;
}

static int sync_directory(int fd) {
        _cleanup_close_ int real = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return real < 0 || fsync(real) < 0 ? -errno : 0;
}

/* ---- changes ---- */

int flash_mkdir(const Flash *f, const char *path) {
        _cleanup_close_ int parent = -EBADF, fd = -EBADF;
        _cleanup_free_ char *name = NULL;
        int r;

        r = flash_parent(f, path, &parent, &name);
        if (r < 0)
                return r;
        if (mkdirat(parent, name, DIRECTORY_MODE) < 0)
                return -errno;
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        /* The mask of whoever runs mpyctl must not keep the board out. */
        if ((f->owned && fchown(fd, f->uid, f->gid) < 0) || fchmod(fd, DIRECTORY_MODE | S_ISGID) < 0)
                return -errno;
        return sync_directory(parent);
}

int flash_rename(const Flash *f, const char *from, const char *to) {
        _cleanup_close_ int from_fd = -EBADF, to_fd = -EBADF;
        _cleanup_free_ char *from_name = NULL, *to_name = NULL;
        int r;

        r = flash_parent(f, from, &from_fd, &from_name);
        if (r >= 0)
                r = flash_parent(f, to, &to_fd, &to_name);
        if (r < 0)
                return r;
        if (renameat(from_fd, from_name, to_fd, to_name) < 0)
                return -errno;
        r = sync_directory(from_fd);
        return r < 0 ? r : sync_directory(to_fd);
}

/* As the file that it replaces, else as all that is copied in. */
static int adopt(const Flash *f, int fd, int parent, const char *name) {
        mode_t mode = FILE_MODE;
        struct stat old;

        if (fstatat(parent, name, &old, AT_SYMLINK_NOFOLLOW) >= 0) {
                if (S_ISDIR(old.st_mode))
                        return -EISDIR;
                if (S_ISREG(old.st_mode))
                        mode = old.st_mode & 0777;
        }
        if ((f->owned && fchown(fd, f->uid, f->gid) < 0) || fchmod(fd, mode) < 0)
                return -errno;
        return 0;
}

int flash_new_begin(const Flash *f, const char *path, FlashNew *ret) {
        FlashNew n = { .parent_fd = -EBADF, .fd = -EBADF };
        uint64_t number;
        int r;

        r = flash_parent(f, path, &n.parent_fd, &n.name);
        if (r >= 0 && getrandom(&number, sizeof number, 0) != (ssize_t) sizeof number)
                r = -EIO;
        if (r >= 0) {
                (void) snprintf(n.temporary, sizeof n.temporary, ".mpyctl-%016llx",
                                (unsigned long long) number);
                n.fd = access("/proc/self/fd", X_OK) < 0 /* which give_name() needs */
                               ? -EBADF
                               : openat(n.parent_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
                if (n.fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
                        n.fd = openat(n.parent_fd, n.temporary,
                                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                        n.has_name = n.fd >= 0;
                }
                r = n.fd < 0 ? -errno : adopt(f, n.fd, n.parent_fd, n.name);
        }
        if (r < 0) {
                flash_new_done(&n);
                return r;
        }
        *ret = n;
        return 0;
}

/* linkat(2) replaces nothing, so the file gets the temporary name first. */
static int give_name(FlashNew *n) {
        char path[32];

        (void) snprintf(path, sizeof path, "/proc/self/fd/%d", n->fd);
        if (!n->has_name && linkat(AT_FDCWD, path, n->parent_fd, n->temporary, AT_SYMLINK_FOLLOW) < 0)
                return -errno;
        n->has_name = true;
        if (renameat(n->parent_fd, n->temporary, n->parent_fd, n->name) < 0)
                return -errno;
        n->has_name = false; /* nothing to give up any more */
        return 0;
}

int flash_new_commit(FlashNew *n) {
        int r = fsync(n->fd) < 0 ? -errno : give_name(n);

        if (r >= 0)
                r = sync_directory(n->parent_fd);
        flash_new_done(n);
        return r;
}

void flash_new_done(FlashNew *n) {
        if (n->has_name)
                (void) unlinkat(n->parent_fd, n->temporary, 0);
        n->has_name = false;
        n->fd = safe_close(n->fd);
        n->parent_fd = safe_close(n->parent_fd);
        free(n->name);
        n->name = NULL;
}

/* ---- lists ---- */

static int by_name(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static void free_names(char **names, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        free(names);
}

static int read_names(int dir_fd, char ***ret, size_t *ret_n) {
        DIR *d = fdopendir(dir_fd); /* takes dir_fd */
        char **names = NULL;
        size_t n = 0;
        struct dirent *e;
        int r = 0;

        if (!d) {
                r = -errno;
                (void) close(dir_fd);
                return r;
        }
        while (r >= 0 && (errno = 0, e = readdir(d))) {
                char **more;

                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                more = reallocarray(names, n + 1, sizeof *names);
                if (more)
                        names = more;
                if (!more || !(names[n] = strdup(e->d_name)))
                        r = -ENOMEM;
                else
                        n++;
        }
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(d);
        if (r < 0) {
                free_names(names, n);
                return r;
        }
        if (n > 1)
                qsort(names, n, sizeof *names, by_name);
        *ret = names;
        *ret_n = n;
        return 0;
}

int flash_list(const Flash *f, const char *path, FlashEntry entry, void *userdata) {
        char **names = NULL;
        size_t n = 0;
        int fd, r;

        fd = flash_file_open(f, path, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd;
        r = read_names(fd, &names, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
                _cleanup_free_ char *below = path_below(path, names[i]);
                struct stat st;

                if (!below)
                        r = -ENOMEM;
                else if (flash_stat(f, below, &st) >= 0) /* what has gone, or is not shown, is not there */
                        r = entry(userdata, below, names[i], &st);
        }
        free_names(names, n);
        return r;
}

char *path_last(const char *path) {
        size_t end = strlen(path), start;

        while (end > 0 && path[end - 1] == '/')
                end--;
        for (start = end; start > 0 && path[start - 1] != '/';)
                start--;
        if (end == start || (end - start <= 2 && strncmp(path + start, "..", end - start) == 0))
                return NULL;
        return strndup(path + start, end - start);
}
