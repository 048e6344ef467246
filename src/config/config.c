/* SPDX-License-Identifier: MIT */
/* Reading mpyd.conf and its drop-ins. inih takes the lines apart; what it would cut or pass over in
 * silence (lines over 200 bytes, lines that are no assignment, text behind a section's name,
 * continuation lines) is found and reported here, by handing it one checked line at a time. */
#include "config/config.h"

#include <dirent.h>
#include <fcntl.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "config/config-key.h"
#include "config/environment.h"
#include "util/io.h"
#include "util/parse.h"
#include "util/text.h"

#define FILE_SIZE_MAX (64u * 1024)
#define DROP_INS_MAX 256u
#define WARNINGS_MAX 50u
#define WARNING_MAX 768u
#define SHOWN_MAX 64u /* of a value or name in a message */

#define BLANKS " \t\r\v\f"

typedef enum SectionState {
        SECTION_NONE = 0, /* no [section] line yet */
        SECTION_KNOWN,
        SECTION_BAD,      /* reported; what stands in it is passed over */
} SectionState;

/* Where a key was set last. */
typedef struct Origin {
        char *file;
        unsigned line;
} Origin;

/* One load: files are read into config, which the caller gets when all went well. */
typedef struct Loader {
        Config config;
        Origin heap, backoff_min, hold;

        /* the file that is being read */
        const char *file;
        const char *rest;       /* what the reader has not handed out */
        unsigned line;
        bool line_pending;      /* an assignment was handed out and has not come back */
        SectionState section_state;
        const char *section;    /* when it is known */
        int error;              /* -ENOMEM */
} Loader;

void config_done(Config *c) {
        free(c->board.user);
        free(c->board.defaults);
        free(c->reset.button);
        free(c->safe_mode.button);
        free(c->led.line);
        free(c->pins.allow);
        free(c->pins.reserve);
        free(c->pins.safe_state);
        free(c->notify.command);
        free(c->notify.url);
        free(c->notify.events);
        environment_done(c);
        for (size_t i = 0; i < c->n_warnings; i++)
                free(c->warnings[i]);
        free(c->warnings);
        *c = (Config) {};
}

static void loader_done(Loader *l) {
        config_done(&l->config);
        free(l->heap.file);
        free(l->backoff_min.file);
        free(l->hold.file);
}

static void append_warning(Loader *l, const char *text) {
        Config *c = &l->config;
        char clean[WARNING_MAX], *copy;
        char **bigger;

        if (c->n_warnings > WARNINGS_MAX || l->error < 0)
                return;
        if (c->n_warnings == WARNINGS_MAX)
                text = "and more: put these right first";
        /* For the journal and D-Bus; files may contain anything. */
        (void) text_sanitise(clean, sizeof clean, text, strlen(text), false);
        copy = strdup(clean);
        bigger = reallocarray(c->warnings, c->n_warnings + 2, sizeof *bigger);
        if (bigger)
                c->warnings = bigger;
        if (!copy || !bigger) {
                free(copy);
                l->error = -ENOMEM;
                return;
        }
        c->warnings[c->n_warnings++] = copy;
        c->warnings[c->n_warnings] = NULL;
}

/* line 0: about the whole file. */
static void _printf_(4, 5)
        warn_at(Loader *l, const char *file, unsigned line, const char *format, ...) {
        char text[WARNING_MAX], where[16] = "";
        va_list ap;
        int n;

        if (line > 0)
                (void) snprintf(where, sizeof where, ":%u", line);
        n = snprintf(text, sizeof text, "%s%s: ", file, where);
        if (n < 0 || (size_t) n >= sizeof text)
                n = 0; /* a path of that length tells nobody anything */
        va_start(ap, format);
        (void) vsnprintf(text + n, sizeof text - (size_t) n, format, ap);
        va_end(ap);
        append_warning(l, text);
}

#define warn(l, ...) warn_at((l), (l)->file, (l)->line, __VA_ARGS__)

/* Names and values in messages are cut and harmless. */
static const char *shown(char buf[static SHOWN_MAX], const char *s) {
        (void) text_sanitise(buf, SHOWN_MAX, s, strlen(s), false);
        return buf;
}

static void begin_section(Loader *l, const char *line, size_t size) {
        const char *begin = line + 1, *end = memchr(line, ']', size), *nearest;
        char name[SHOWN_MAX], buf[SHOWN_MAX];

        l->section_state = SECTION_BAD;
        if (!end) {
                warn(l, "the section's name has no end; write it as [board]");
                return;
        }
        begin += strspn(begin, BLANKS);
        (void) snprintf(name, sizeof name, "%.*s", (int) MAX(end - begin, 0), begin);
        while (*name && strchr(BLANKS, name[strlen(name) - 1]))
                name[strlen(name) - 1] = '\0';

        l->section = config_section_find(name);
        if (!l->section) {
                nearest = config_section_nearest(name);
                warn(l, "[%s]: no such section%s%s%s", shown(buf, name),
                     nearest ? "; did you mean [" : "", nearest ? nearest : "",
                     nearest ? "]?" : "");
                return;
        }
        l->section_state = SECTION_KNOWN;
        end += 1 + strspn(end + 1, BLANKS);
        if (end < line + size && *end != ';' && *end != '#')
                warn(l, "[%s]: text behind the section's name; write it on a line of its own",
                     name);
}

/* The line before was handed to inih and no assignment came of it. */
static void report_pending(Loader *l) {
        if (l->line_pending)
                warn(l, "neither a [section] nor key = value; a comment begins with #");
        l->line_pending = false;
}

/* Hands inih the next line (fgets()'s signature), or an empty one in place of what it must not
 * see. */
static char *read_line(char *buf, int room, void *userdata) {
        Loader *l = userdata;
        const char *line = l->rest;
        size_t size;

        report_pending(l);
        if (!*line || l->error < 0)
                return NULL;
        size = strcspn(line, "\n");
        l->rest = line + size + (line[size] == '\n');
        l->line++;

        /* Blanks in front would make it a continuation of the line before. */
        while (size > 0 && strchr(BLANKS, *line)) {
                line++;
                size--;
        }
        if (size > 0 && *line != '#' && *line != ';') {
                if (size + 2 > (size_t) room) {
                        warn(l, "the line is too long; %d bytes are the most", room - 2);
                        size = 0;
                } else if (*line == '[')
                        begin_section(l, line, size);
                else
                        l->line_pending = true;
        } else
                size = 0;
        memcpy(buf, line, size);
        memcpy(buf + size, "\n", 2);
        return buf;
}

static void remember(Loader *l, Origin *o) {
        if (free_and_strdup(&o->file, l->file) < 0)
                l->error = -ENOMEM;
        o->line = l->line;
}

static void unknown_key(Loader *l, const char *key) {
        const ConfigKey *nearest = config_key_nearest(l->section, key);
        char buf[SHOWN_MAX];

        if (!nearest)
                warn(l, "[%s] %s: no such key", l->section, shown(buf, key));
        else if (streq(nearest->section, l->section))
                warn(l, "[%s] %s: no such key; did you mean %s?", l->section, shown(buf, key),
                     nearest->key);
        else
                warn(l, "[%s] %s: no such key here; it belongs under [%s]", l->section,
                     shown(buf, key), nearest->section);
}

/* inih's name for the section is not used: it is cut at 49 bytes. */
static int on_assignment(void *userdata, const char *inih_section, const char *key,
                         const char *value) {
        Loader *l = userdata;
        char reason[CONFIG_REASON_MAX], buf[SHOWN_MAX];
        const ConfigKey *k;
        int r;

        l->line_pending = false;
        if (l->section_state == SECTION_NONE)
                warn(l, "%s: stands in no section; write one such as [board] above it",
                     shown(buf, key));
        if (l->section_state != SECTION_KNOWN)
                return 1;
        if (streq(l->section, ENVIRONMENT_SECTION)) {
                r = environment_set(&l->config, key, value, reason);
                if (r == -EINVAL) /* the value may be a secret: not into the journal */
                        warn(l, "[%s] %s: %s", l->section, shown(buf, key), reason);
                else if (r < 0)
                        l->error = r;
                return 1;
        }
        k = config_key_find(l->section, key);
        if (!k) {
                unknown_key(l, key);
                return 1;
        }
        r = config_key_set(k, value, &l->config, reason);
        if (r == -EINVAL)
                warn(l, "[%s] %s = %s: %s", l->section, key, shown(buf, value), reason);
        else if (r < 0)
                l->error = r;
        else if (k == config_key_find("board", "heap"))
                remember(l, &l->heap);
        else if (k == config_key_find("reset", "backoff-min"))
                remember(l, &l->backoff_min);
        else if (k == config_key_find("safe-mode", "hold") || k == config_key_find("safe-mode", "factory-hold"))
                remember(l, &l->hold);
        return 1;
}

static void read_content(Loader *l, const char *file, const char *content) {
        static const char bom[] = "\xef\xbb\xbf";

        l->file = file;
        l->line = 0;
        l->line_pending = false;
        l->section_state = SECTION_NONE;
        l->rest = strncmp(content, bom, 3) == 0 ? content + 3 : content;
        /* What it answers is the first line that it did not understand: reported already. */
        (void) ini_parse_stream(read_line, l, on_assignment, l);
}

static void load_file(Loader *l, const char *file, bool required) {
        _cleanup_free_ char *content = NULL;
        size_t size;
        int r;

        if (l->error < 0)
                return;
        r = read_file(AT_FDCWD, file, FILE_SIZE_MAX, &content, &size);
        if (r == -ENOENT && !required)
                return;
        if (r == -ENOMEM)
                l->error = r;
        else if (r == -EFBIG)
                warn_at(l, file, 0, "larger than %u bytes; it is ignored", FILE_SIZE_MAX);
        else if (r < 0)
                warn_at(l, file, 0, "cannot be read: %s", strerror(-r));
        else if (memchr(content, '\0', size))
                warn_at(l, file, 0, "not a text file; it is ignored");
        else
                read_content(l, file, content);
}

static int is_drop_in(const struct dirent *d) {
        size_t n = strlen(d->d_name);

        return n > 5 && d->d_name[0] != '.' && streq(d->d_name + n - 5, ".conf");
}

/* By bytes, whatever the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_drop_ins(Loader *l, const char *path) {
        _cleanup_free_ char *directory = NULL;
        struct dirent **entries;
        int n;

        if (l->error < 0)
                return;
        if (asprintf(&directory, "%s.d", path) < 0) {
                directory = NULL;
                l->error = -ENOMEM;
                return;
        }
        n = scandir(directory, &entries, is_drop_in, compare_names);
        if (n < 0) {
                if (errno == ENOMEM)
                        l->error = -ENOMEM;
                else if (errno != ENOENT)
                        warn_at(l, directory, 0, "cannot be read: %m");
                return;
        }
        if ((unsigned) n > DROP_INS_MAX)
                warn_at(l, directory, 0, "more than %u files; those behind are ignored",
                        DROP_INS_MAX);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *file = NULL;

                if ((unsigned) i < DROP_INS_MAX) {
                        if (asprintf(&file, "%s/%s", directory, entries[i]->d_name) < 0) {
                                file = NULL;
                                l->error = -ENOMEM;
                        } else
                                load_file(l, file, true);
                }
                free(entries[i]);
        }
        free(entries);
}

/* Keys that are right alone but not together. The limit wins; only who set the other hears of
 * it. */
static void check_pairs(Loader *l) {
        Config *c = &l->config;
        char value[TIMESPAN_MAX], limit[TIMESPAN_MAX];

        if (c->board.heap > c->board.heap_max) {
                if (l->heap.file)
                        warn_at(l, l->heap.file, l->heap.line,
                                "[board] heap = %s: more than heap-max, so it is %s; set heap-max "
                                "to %s or more",
                                format_size(value, sizeof value, c->board.heap),
                                format_size(limit, sizeof limit, c->board.heap_max), value);
                c->board.heap = c->board.heap_max;
        }
        if (c->reset.backoff_min_usec > c->reset.backoff_max_usec) {
                if (l->backoff_min.file)
                        warn_at(l, l->backoff_min.file, l->backoff_min.line,
                                "[reset] backoff-min = %s: more than backoff-max, so it is %s; set "
                                "backoff-max to %s or more",
                                format_timespan(value, sizeof value, c->reset.backoff_min_usec),
                                format_timespan(limit, sizeof limit, c->reset.backoff_max_usec),
                                value);
                c->reset.backoff_min_usec = c->reset.backoff_max_usec;
        }
        if (c->safe_mode.factory_hold_usec != 0 && c->safe_mode.factory_hold_usec <= c->safe_mode.hold_usec) {
                warn_at(l, l->hold.file, l->hold.line,
                        "[safe-mode] hold = %s: not less than factory-hold, so that one is off; set "
                        "factory-hold to more",
                        format_timespan(value, sizeof value, c->safe_mode.hold_usec));
                c->safe_mode.factory_hold_usec = 0; /* nobody shall lose files by it */
        }
}

static int set_defaults(Config *c) {
        char reason[CONFIG_REASON_MAX];
        const ConfigKey *keys;
        size_t n;

        keys = config_keys(&n);
        for (size_t i = 0; i < n; i++) {
                int r = config_key_set(&keys[i], keys[i].default_value, c, reason);

                assert(r != -EINVAL);
                if (r < 0)
                        return r;
        }
        return 0;
}

int config_load(const char *path, bool required, Config *ret) {
        _cleanup_(loader_done) Loader l = {};
        int r;

        r = set_defaults(&l.config);
        if (r < 0)
                return r;
        load_file(&l, path, required);
        load_drop_ins(&l, path);
        if (l.error < 0)
                return l.error;
        check_pairs(&l);
        if (l.error < 0)
                return l.error;

        *ret = l.config;
        l.config = (Config) {};
        return 0;
}
