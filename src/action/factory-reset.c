/* SPDX-License-Identifier: MIT */
/* The factory reset (SPEC 3, S65, S66). What is on the flash goes into STATE-DIR/before-factory-reset/N by
 * renaming, is erased there where that is asked for, and the default files take its place. The
 * flash's own directory stays: mounts and open shells are not lost.
 *
 * STATE-DIR/factory-reset is there from before the first change until after the last one and says how far it
 * has come, so that the next boot completes what a power cut has interrupted; never twice, or the owner's new
 * files would go the way of the old ones. One that is empty, or holds anything else, asks for a factory reset
 * (`touch`). */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "action/action.h"
#include "action/tree.h"
#include "util/io.h"
#include "util/log.h"

#define MARKER FACTORY_RESET_MARKER
#define SETS FACTORY_RESET_SETS
#define FLASH "flash"
#define SETTINGS "settings.toml" /* what --keep-config keeps */
#define SETS_KEPT 3u
#define SETS_MAX 999999u
#define NAME_TRIES 100
#define MARKER_MAX 256u

typedef enum Phase { ASKED = 0, MOVING, FILLING, PHASE_MAX } Phase;
static const char *const phases[PHASE_MAX] = { [ASKED] = "asked", [MOVING] = "moving", [FILLING] = "filling" };

typedef struct Reset {
        const ActionPlace *place;
        int state_fd, flash_fd, set_fd;
        Phase phase;
        unsigned set;
        bool keep_config;
        FactoryResetErase erase;
        TreeOwner owner;
        unsigned n_moved, n_erased, n_failed;
        char *why; /* WHY_MAX */
} Reset;

static void reset_done(Reset *x) {
        safe_close(x->set_fd);
        safe_close(x->flash_fd);
        safe_close(x->state_fd);
}

static ActionResult _printf_(2, 3) fail(Reset *x, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(x->why, WHY_MAX, format, ap);
        va_end(ap);
        return ACTION_FAILED;
}

/* ---- the marker ---- */

static int phase_from_string(const char *word) {
        for (int i = 0; i < PHASE_MAX; i++)
                if (streq(phases[i], word))
                        return i;
        return -1;
}

static void parse_marker(Reset *x, const char *text) {
        char phase[16], erase[16], keep[16];
        FactoryResetErase e;
        unsigned set;
        int p;

        if (sscanf(text, "mpyd-factory-reset %15s %6u %15s %15s", phase, &set, erase, keep) != 4)
                return;
        p = phase_from_string(phase);
        e = factory_reset_erase_from_string(erase);
        if (p < 0 || e < 0 || set > SETS_MAX)
                return;
        x->phase = (Phase) p;
        x->set = set;
        x->erase = e;
        x->keep_config = streq(keep, "keep-config");
}

static int write_marker(Reset *x, Phase phase) {
        char text[MARKER_MAX];
        int n = snprintf(text, sizeof text, "mpyd-factory-reset %s %u %s %s\n", phases[phase], x->set,
                         factory_reset_erase_to_string(x->erase), x->keep_config ? "keep-config" : "-");

        x->phase = phase;
        return write_file_atomic(x->state_fd, MARKER, text, (size_t) n, 0600);
}

static int remove_marker(Reset *x) {
        if (unlinkat(x->state_fd, MARKER, 0) < 0 && errno != ENOENT)
                return -errno;
        return fsync(x->state_fd) < 0 ? -errno : 0;
}

/* ---- sets of files that were there before ---- */

/* Lowest and highest number; 0 when there is none. Empty ones go: they were made, and nothing was begun. */
static size_t list_sets(int sets_fd, unsigned *ret_low, unsigned *ret_high) {
        int fd = openat(sets_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;
        size_t n = 0;

        *ret_low = *ret_high = 0;
        if (!d) {
                safe_close(fd);
                return 0;
        }
        while ((e = readdir(d))) {
                unsigned number;
                char again[16];

                if (sscanf(e->d_name, "%6u", &number) != 1 || number == 0 ||
                    snprintf(again, sizeof again, "%u", number) < 0 || !streq(again, e->d_name) ||
                    unlinkat(sets_fd, e->d_name, AT_REMOVEDIR) == 0)
                        continue;
                *ret_low = n == 0 ? number : MIN(*ret_low, number);
                *ret_high = MAX(*ret_high, number);
                n++;
        }
        (void) closedir(d);
        return n;
}

static int open_sets(int state_fd) {
        int fd = openat(state_fd, SETS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int remove_set(int sets_fd, unsigned number) {
        char name[16];

        (void) snprintf(name, sizeof name, "%u", number);
        return tree_remove(sets_fd, name);
}

/* Room for one more: the oldest go. */
static void prune(int sets_fd) {
        unsigned low, high;

        for (size_t n = list_sets(sets_fd, &low, &high); n >= SETS_KEPT;) {
                int r = remove_set(sets_fd, low);
                size_t left = list_sets(sets_fd, &low, &high);

                if (left >= n) {
                        log_warning_errno(r, "Failed to remove the oldest of " SETS ", ignoring: %m");
                        return;
                }
                n = left;
        }
}

static int give_to_board(int fd, mode_t mode, uid_t uid, TreeOwner owner) {
        if (owner.gid != (gid_t) -1 && fchown(fd, uid, owner.gid) < 0)
                return -errno;
        return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* x->set, or a new one where it is 0. Members of the board's group can copy files back. */
static int open_set(Reset *x) {
        _cleanup_close_ int sets = -EBADF;
        unsigned low, high;
        char name[16];
        int r;

        if (mkdirat(x->state_fd, SETS, 0700) < 0 && errno != EEXIST)
                return -errno;
        sets = open_sets(x->state_fd);
        if (sets < 0)
                return sets;
        r = give_to_board(sets, 0750, (uid_t) -1, x->owner);
        if (r < 0)
                return r;
        if (x->set == 0) {
                prune(sets);
                (void) list_sets(sets, &low, &high);
                x->set = high + 1;
        }
        (void) snprintf(name, sizeof name, "%u", x->set);
        if (mkdirat(sets, name, 0700) < 0 && errno != EEXIST)
                return -errno;
        x->set_fd = openat(sets, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (x->set_fd < 0)
                return -errno;
        r = give_to_board(x->set_fd, 0770, x->owner.uid, x->owner);
        return r < 0 ? r : fsync(sets) < 0 ? -errno : 0;
}

static int remove_set_of(Reset *x) {
        _cleanup_close_ int sets = open_sets(x->state_fd);
        int r = sets < 0 ? sets : remove_set(sets, x->set);

        if (sets >= 0)
                (void) fsync(sets);
        return r == -ENOENT ? 0 : r;
}

static int remove_other_sets(Reset *x) {
        _cleanup_close_ int sets = open_sets(x->state_fd);
        unsigned low, high;

        while (sets >= 0 && list_sets(sets, &low, &high) > 1 && low != x->set) {
                int r = remove_set(sets, low);

                if (r < 0)
                        return r;
        }
        return sets < 0 ? sets : 0;
}

static bool has_set(const Reset *x) {
        _cleanup_close_ int sets = open_sets(x->state_fd);
        struct stat st;
        char name[16];

        (void) snprintf(name, sizeof name, "%u", x->set);
        return sets >= 0 && x->set > 0 && fstatat(sets, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* One with nothing in it is of no use. */
static void drop_empty_set(Reset *x) {
        _cleanup_close_ int sets = open_sets(x->state_fd);
        char name[16];

        (void) snprintf(name, sizeof name, "%u", x->set);
        if (sets >= 0)
                (void) unlinkat(sets, name, AT_REMOVEDIR);
}

/* ---- the flash ---- */

/* A name that is there already is one of an interrupted try: neither is lost. */
static int move_entry(Reset *x, const char *name) {
        char as[NAME_MAX + 1];
        int r = rename_noreplace(x->flash_fd, name, x->set_fd, name);

        for (int i = 2; r == -EEXIST && i < NAME_TRIES; i++)
                if ((size_t) snprintf(as, sizeof as, "%.*s~%d", NAME_MAX - 4, name, i) < sizeof as)
                        r = rename_noreplace(x->flash_fd, name, x->set_fd, as);
        return r;
}

static int take_entry(Reset *x, const char *name) {
        int r = x->set_fd >= 0 ? move_entry(x, name) : -EXDEV;

        if (r >= 0)
                x->n_moved++;
        if (r < 0 && r != -EBUSY && x->erase != FACTORY_RESET_ERASE_NEVER) {
                r = tree_remove(x->flash_fd, name);
                x->n_erased += r >= 0;
        }
        return r;
}

/* What cannot be moved does not keep the rest from it. */
static int empty_flash(Reset *x) {
        int fd = openat(x->flash_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        bool progress;

        if (!d) {
                safe_close(fd);
                return -errno;
        }
        do {
                struct dirent *e;

                progress = false;
                x->n_failed = 0;
                rewinddir(d);
                for (errno = 0; (e = readdir(d)); errno = 0) {
                        int r;

                        if (streq(e->d_name, ".") || streq(e->d_name, "..") ||
                            (x->keep_config && streq(e->d_name, SETTINGS)))
                                continue;
                        r = take_entry(x, e->d_name);
                        progress |= r >= 0;
                        if (r < 0 && x->n_failed++ == 0)
                                (void) fail(x, "%.100s could not be taken away (%s)", e->d_name,
                                            strerrordesc_np(-r));
                }
                if (errno != 0 && x->n_failed++ == 0)
                        (void) fail(x, "the files cannot be listed (%s)", strerrordesc_np(errno));
        } while (progress);
        (void) closedir(d);
        return 0;
}

static TreeOwner owner_of_flash(const Reset *x) {
        struct passwd *pw;
        struct stat st;

        if (geteuid() == 0) {
                if (fstatat(x->state_fd, FLASH, &st, 0) == 0 && S_ISDIR(st.st_mode))
                        return (TreeOwner) { st.st_uid, st.st_gid };
                pw = getpwnam(x->place->user);
                if (pw)
                        return (TreeOwner) { pw->pw_uid, pw->pw_gid };
        }
        return (TreeOwner) { (uid_t) -1, (gid_t) -1 };
}

/* A flash that is no directory, or one that is broken beyond reading, goes aside as it is. */
static int open_flash(Reset *x) {
        struct stat st;

        x->flash_fd = openat(x->state_fd, FLASH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (x->flash_fd >= 0)
                return 0;
        if (fstatat(x->state_fd, FLASH, &st, AT_SYMLINK_NOFOLLOW) == 0) {
                int r = x->set_fd < 0 ? -EXDEV : 0;

                if (r == 0 && renameat(x->state_fd, FLASH, x->set_fd, FLASH) < 0)
                        r = -errno;
                if (r < 0)
                        return r;
                x->n_moved++;
        }
        if (mkdirat(x->state_fd, FLASH, 0700) < 0)
                return -errno;
        x->flash_fd = openat(x->state_fd, FLASH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return x->flash_fd < 0 ? -errno : give_to_board(x->flash_fd, 02775, x->owner.uid, x->owner);
}

static bool is_own_file_system(const Reset *x) {
        struct stat state, flash;

        return fstat(x->state_fd, &state) == 0 && fstatat(x->state_fd, FLASH, &flash, 0) == 0 &&
               state.st_dev != flash.st_dev;
}

/* ---- the phases ---- */

/* A daemon that is gone has a successor whose board runs already: nothing is begun under it. */
static bool is_waited_for(void) {
        struct pollfd p = { .fd = STDIN_FILENO, .events = POLLRDHUP };

        return poll(&p, 1, 0) == 0;
}

/* Nothing has changed when this fails. */
static ActionResult prepare(Reset *x) {
        bool apart = is_own_file_system(x);
        int r;

        if (apart && x->erase == FACTORY_RESET_ERASE_NEVER)
                return fail(x, "the flash is a file system of its own, where its files cannot be set aside; "
                               "with --wipe they are erased");
        r = apart ? 0 : open_set(x);
        if (r < 0 && x->erase == FACTORY_RESET_ERASE_NEVER)
                return fail(x, "%s/" SETS " cannot be made, where the files would be kept (%s); with --wipe they "
                               "are erased", x->place->state_dir, strerrordesc_np(-r));
        if (r < 0)
                log_warning_errno(r, "Failed to make a place for the files, erasing them: %m");
        r = write_marker(x, MOVING);
        if (r < 0)
                log_warning_errno(r, "Failed to note how far the factory reset is, going on (a power cut would "
                                     "leave it half done): %m");
        return ACTION_OK;
}

static ActionResult move(Reset *x) {
        int r = open_flash(x);

        if (r >= 0)
                r = empty_flash(x);
        if (r < 0)
                return fail(x, "%s/" FLASH " cannot be opened (%s); is its file system broken? See dmesg, and "
                               "fsck(8)", x->place->state_dir, strerrordesc_np(-r));
        if (x->set_fd >= 0)
                (void) fsync(x->set_fd);
        r = write_marker(x, FILLING);
        if (r < 0)
                log_warning_errno(r, "Failed to note how far the factory reset is, going on: %m");
        return x->n_failed > 0 ? ACTION_FAILED : ACTION_OK;
}

static int copy_defaults(Reset *x) {
        _cleanup_close_ int defaults = open(x->place->defaults, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (defaults < 0) {
                log_warning("There are no default files in %s (%s); the board is left empty.", x->place->defaults,
                            strerrordesc_np(errno));
                return 0;
        }
        return tree_copy(defaults, x->flash_fd, x->owner);
}

/* The new files come last: on a full disk it is the old ones that make room. */
static ActionResult fill(Reset *x) {
        int erased = x->set > 0 && x->erase == FACTORY_RESET_ERASE_ALWAYS ? remove_set_of(x) : 0, r;

        r = x->flash_fd < 0 ? open_flash(x) : 0;
        if (r >= 0)
                r = copy_defaults(x);
        if (r == -ENOSPC && x->set > 0 && x->erase != FACTORY_RESET_ERASE_ALWAYS) {
                log_warning("The disk is full; removing what earlier factory resets have set aside%s.",
                            x->erase == FACTORY_RESET_ERASE_NEEDED ? ", and this one" : "");
                if (remove_other_sets(x) >= 0 && x->erase == FACTORY_RESET_ERASE_NEEDED)
                        erased = remove_set_of(x);
                r = copy_defaults(x);
        }
        if (r < 0)
                return fail(x, "the board is empty, for the default files of %s could not be copied (%s)",
                            x->place->defaults, strerrordesc_np(-r));
        if (erased < 0)
                return fail(x, "the default files are in place, but " SETS "/%u could not be erased (%s)", x->set,
                            strerrordesc_np(-erased));
        return ACTION_OK;
}

static void say_where(Reset *x) {
        if (has_set(x))
                (void) snprintf(x->why, WHY_MAX, "what was on it is in %s/" SETS "/%u%s", x->place->state_dir,
                                x->set, x->n_erased > 0 ? ", but not all of it could be kept" : "");
        else
                (void) snprintf(x->why, WHY_MAX, "%s", x->n_moved + x->n_erased > 0
                                                               ? "what was on it is erased"
                                                               : "there was nothing else on it");
}

static ActionResult run(Reset *x) {
        ActionResult moved = ACTION_OK, filled = ACTION_OK;
        int r;

        x->owner = owner_of_flash(x);
        if (x->phase == ASKED && !is_waited_for())
                return fail(x, "mpyd, which asked for it, is gone");
        if (x->phase == ASKED)
                moved = prepare(x);
        else if (x->phase == MOVING && x->set > 0 && (r = open_set(x)) < 0)
                log_warning_errno(r, "Failed to open " SETS ", going on: %m");
        if (x->phase == MOVING)
                moved = move(x);
        if (x->phase == FILLING) {
                filled = fill(x);
                drop_empty_set(x);
        }
        if (moved == ACTION_OK && filled == ACTION_OK)
                say_where(x);

        r = remove_marker(x);
        if (r < 0)
                log_error_errno(r, "Failed to remove %s/" MARKER ", which asks for a factory reset: %m",
                                x->place->state_dir);
        return moved == ACTION_OK ? filled : moved;
}

static ActionResult begin(const ActionPlace *place, const json_t *request, char why[static WHY_MAX]) {
        const char *word = json_string_value(json_object_get(request, "erase"));
        bool resume = json_is_true(json_object_get(request, "resume")), was_filling;
        FactoryResetErase e = word ? factory_reset_erase_from_string(word) : FACTORY_RESET_ERASE_NEVER;
        _cleanup_(reset_done) Reset x = {
                .place = place, .flash_fd = -EBADF, .set_fd = -EBADF, .why = why, .erase = e,
                .keep_config = json_is_true(json_object_get(request, "keep_config")),
        };
        _cleanup_free_ char *marker = NULL;
        ActionResult result;
        int r;

        x.state_fd = open(place->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (e < 0)
                return fail(&x, "\"%s\" is none of never, needed and always", word);
        if (x.state_fd < 0 || flock(x.state_fd, LOCK_EX) < 0) /* another one may be at it */
                return fail(&x, "%s cannot be opened (%s)", place->state_dir, strerrordesc_np(errno));
        r = read_file(x.state_fd, MARKER, MARKER_MAX, &marker, NULL);
        if (r == -ENOENT && resume)
                return ACTION_OK; /* somebody else has done it */
        if (r >= 0)
                parse_marker(&x, marker);
        was_filling = x.phase == FILLING;
        result = run(&x);
        return was_filling && !resume ? ACTION_AGAIN : result;
}

ActionResult factory_reset(const ActionPlace *place, const json_t *request, char why[static WHY_MAX]) {
        ActionResult result = begin(place, request, why);

        /* One of before was to be completed first. */
        return result == ACTION_AGAIN ? begin(place, request, why) : result;
}

ActionResult make_room(const ActionPlace *place, char why[static WHY_MAX]) {
        _cleanup_close_ int state = open(place->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int sets = state < 0 ? -errno : open_sets(state);
        unsigned low, high;
        int r;

        if (sets < 0 || flock(state, LOCK_EX) < 0 || list_sets(sets, &low, &high) == 0) {
                if (sets >= 0)
                        (void) unlinkat(state, SETS, AT_REMOVEDIR);
                (void) snprintf(why, WHY_MAX, "there is nothing of a factory reset to remove");
                return ACTION_FAILED;
        }
        r = remove_set(sets, low);
        if (r < 0)
                (void) snprintf(why, WHY_MAX, "%s/" SETS "/%u cannot be removed (%s)", place->state_dir, low,
                                strerrordesc_np(-r));
        else
                (void) snprintf(why, WHY_MAX, "%s/" SETS "/%u", place->state_dir, low);
        return r < 0 ? ACTION_FAILED : ACTION_OK;
}
