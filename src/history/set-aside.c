/* SPDX-License-Identifier: MIT */
/* Damaged databases are kept under another name, the last few of them. */
#include "history/set-aside.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "util/io.h"

#define MARK ".damaged-"
#define TRIES 100 /* names within one second */
#define ENTRIES_MAX 1000

static const char *const companions[] = { "-wal", "-shm", "-journal" };

static int directory_of(const char *path, char **ret) {
        const char *slash = strrchr(path, '/');
        char *dir;

        if (!slash)
                dir = strdup(".");
        else
                dir = strndup(path, MAX((size_t) (slash - path), (size_t) 1));
        if (!dir)
                return -ENOMEM;
        *ret = dir;
        return 0;
}

static const char *base_of(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static int choose_name(const char *path, char **ret) {
        time_t now = time(NULL);
        struct tm tm;
        char stamp[32];

        if (!gmtime_r(&now, &tm) || strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm) == 0)
                return -EOVERFLOW;
        for (int i = 0; i < TRIES; i++) {
                _cleanup_free_ char *name = NULL;
                int r, n = i == 0 ? asprintf(&name, "%s" MARK "%s", path, stamp)
                               : asprintf(&name, "%s" MARK "%s-%02d", path, stamp, i);

                if (n < 0)
                        return -ENOMEM;
                r = rename_noreplace(AT_FDCWD, path, AT_FDCWD, name);
                if (r == -EEXIST)
                        continue;
                if (r < 0)
                        return r;
                *ret = TAKE_PTR(name);
                return 0;
        }
        return -EEXIST;
}

/* A log left behind would be replayed into the new database. */
static int rename_companions(const char *path, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(companions); i++) {
                _cleanup_free_ char *from = NULL, *to = NULL;

                if (asprintf(&from, "%s%s", path, companions[i]) < 0 ||
                    asprintf(&to, "%s%s", name, companions[i]) < 0)
                        return -ENOMEM;
                if (rename(from, to) < 0 && errno != ENOENT)
                        return -errno;
        }
        return 0;
}

/* One that was set aside, not one of its companions: the name ends in the time or in a number. */
static bool is_set_aside(const char *name, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(name, prefix, n) == 0 && name[n] &&
               strspn(name + n, "0123456789TZ-") == strlen(name + n);
}

static void remove_with_companions(int dirfd, const char *name) {
        char companion[NAME_MAX + 1];

        /* A directory in the place of a database is somebody's: it stays unless it is empty. */
        if (unlinkat(dirfd, name, 0) < 0)
                (void) unlinkat(dirfd, name, AT_REMOVEDIR);
        for (size_t i = 0; i < ELEMENTSOF(companions); i++)
                if ((size_t) snprintf(companion, sizeof companion, "%s%s", name, companions[i]) <
                    sizeof companion)
                        (void) unlinkat(dirfd, companion, 0);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static void free_names(char **names, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(names[i]);
}

/* Best effort: the database is aside already. The new one stays whatever its name sorts as: the
 * clock may have been wrong. */
static void remove_oldest(const char *path, const char *newest) {
        char *names[ENTRIES_MAX], prefix[NAME_MAX + 1];
        _cleanup_free_ char *dir = NULL;
        struct dirent *e;
        size_t n = 0;
        DIR *d;

        if (directory_of(path, &dir) < 0 ||
            (size_t) snprintf(prefix, sizeof prefix, "%s" MARK, base_of(path)) >= sizeof prefix)
                return;
        d = opendir(dir);
        if (!d)
                return;
        while (n < ELEMENTSOF(names) && (e = readdir(d)))
                if (is_set_aside(e->d_name, prefix) && !streq(e->d_name, base_of(newest)) &&
                    (names[n] = strdup(e->d_name)))
                        n++;
        qsort(names, n, sizeof *names, compare_names);
        for (size_t i = 0; i + SET_ASIDE_MAX - 1 < n; i++)
                remove_with_companions(dirfd(d), names[i]);
        free_names(names, n);
        (void) closedir(d);
}

int set_aside(const char *path, char **ret) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = choose_name(path, &name);
        if (r < 0)
                return r;
        r = rename_companions(path, name);
        if (r < 0)
                return r;
        remove_oldest(path, name);
        *ret = TAKE_PTR(name);
        return 0;
}
