/* SPDX-License-Identifier: MIT */
/* mpyd.conf, its drop-ins, and what is wrong in them: src/config. The example file as well. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>

#include "config/config-key.h"
#include "config/config.h"
#include "config/environment.h"
#include "util/io.h"
#include "util/parse.h"
#include "util/text.h"

static char directory[] = "/tmp/test-config.XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int setup(void **state) {
        return !mkdtemp(directory) || chdir(directory) < 0;
}

static int teardown(void **state) {
        return chdir("/") < 0 || nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0;
}

/* Each test begins without files. */
static int each_test(void **state) {
        (void) nftw("mpyd.conf.d", remove_one, 8, FTW_DEPTH | FTW_PHYS);
        (void) unlink("mpyd.conf");
        return 0;
}

static void put(const char *name, const char *text, size_t size) {
        _cleanup_close_ int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, size), 0);
}

static void put_text(const char *name, const char *text) {
        put(name, text, strlen(text));
}

static Config load(void) {
        Config c;

        memset(&c, 0xa5, sizeof c);
        assert_int_equal(config_load("mpyd.conf", false, &c), 0);
        assert_true(c.n_warnings == 0 || c.warnings[c.n_warnings] == NULL);
        return c;
}

static Config load_text(const char *text) {
        put_text("mpyd.conf", text);
        return load();
}

static void assert_warning(const Config *c, size_t i, const char *expected) {
        if (i >= c->n_warnings)
                fail_msg("no warning %zu: \"%s\"", i, expected);
        assert_string_equal(c->warnings[i], expected);
}

static void assert_no_warnings(const Config *c) {
        if (c->n_warnings > 0)
                fail_msg("warning: \"%s\"", c->warnings[0]);
}

static void assert_defaults(const Config *c) {
        assert_int_equal(c->board.heap, 1 << 20);
        assert_int_equal(c->board.heap_max, 64 << 20);
        assert_string_equal(c->board.user, "mpyd");
        assert_int_equal(c->board.start_timeout_usec, 10 * USEC_PER_SEC);
        assert_int_equal(c->stop.interrupt_timeout_usec, 2 * USEC_PER_SEC);
        assert_int_equal(c->stop.abort_timeout_usec, USEC_PER_SEC);
        assert_int_equal(c->reset.burst, 20);
        assert_int_equal(c->reset.interval_usec, USEC_PER_SEC);
        assert_int_equal(c->reset.backoff_min_usec, USEC_PER_SEC);
        assert_int_equal(c->reset.backoff_max_usec, USEC_PER_MINUTE);
        assert_int_equal(c->watchdog.stall_after_usec, 0);
        assert_int_equal(c->recovery.after_exception_usec, 30 * USEC_PER_SEC);
        assert_int_equal(c->recovery.reloads, 3);
        assert_int_equal(c->recovery.idle_restart_usec, 15 * USEC_PER_MINUTE);
        assert_int_equal(c->safe_mode.strikes, 10);
        assert_int_equal(c->safe_mode.stable_after_usec, 10 * USEC_PER_MINUTE);
        assert_int_equal(c->safe_mode.retry_min_usec, USEC_PER_HOUR);
        assert_int_equal(c->safe_mode.retry_max_usec, USEC_PER_DAY);
        assert_int_equal(c->history.max_size, 16 << 20);
        assert_int_equal(c->history.commit_timeout_usec, 500000);
        assert_int_equal(c->console.stall_timeout_usec, 500000);
        assert_int_equal(c->log.level, LOG_INFO);
        assert_int_equal(c->log.script_burst, 1000);
        assert_int_equal(c->log.script_interval_usec, 10000);
}

static void test_missing(void **state) {
        Config c = load();

        assert_defaults(&c);
        assert_no_warnings(&c);
        assert_null(c.warnings);
        config_done(&c);
        config_done(&c); /* twice is fine */

        assert_int_equal(config_load("mpyd.conf", true, &c), 0);
        assert_defaults(&c);
        assert_int_equal(c.n_warnings, 1);
        assert_warning(&c, 0, "mpyd.conf: cannot be read: No such file or directory");
        config_done(&c);
}

static void test_all_keys(void **state) {
        Config c = load_text("\xef\xbb\xbf# a comment\n"
                             "; another\n"
                             "\n"
                             "[board]\r\n"
                             "heap = 2M\r\n"
                             "  heap-max=128M   ; not a continuation of the line above\n"
                             "user : alice\n"
                             "start-timeout = 1min 30s\n"
                             "[ stop ]  # spaces are fine\n"
                             "interrupt-timeout = 100ms\n"
                             "abort-timeout = 200ms\n"
                             "[reset]\n"
                             "burst = 1000\n"
                             "rate = 10/min\n"
                             "backoff-min = 50ms\n"
                             "backoff-max = 1h\n"
                             "[history]\n"
                             "max-size = 1G\n"
                             "commit-timeout = 0\n"
                             "[console]\n"
                             "stall-timeout = 1\n"
                             "[log]\n"
                             "script-burst = 1\n"
                             "script-rate = unlimited\n"
                             "level = debug"); /* no newline at the end */

        assert_no_warnings(&c);
        assert_int_equal(c.board.heap, 2 << 20);
        assert_int_equal(c.board.heap_max, 128 << 20);
        assert_string_equal(c.board.user, "alice");
        assert_int_equal(c.board.start_timeout_usec, 90 * USEC_PER_SEC);
        assert_int_equal(c.stop.interrupt_timeout_usec, 100000);
        assert_int_equal(c.stop.abort_timeout_usec, 200000);
        assert_int_equal(c.reset.burst, 1000);
        assert_int_equal(c.reset.interval_usec, 6 * USEC_PER_SEC);
        assert_int_equal(c.reset.backoff_min_usec, 50000);
        assert_int_equal(c.reset.backoff_max_usec, USEC_PER_HOUR);
        assert_int_equal(c.history.max_size, 1 << 30);
        assert_int_equal(c.history.commit_timeout_usec, 0);
        assert_int_equal(c.console.stall_timeout_usec, USEC_PER_SEC);
        assert_int_equal(c.log.level, LOG_DEBUG);
        assert_int_equal(c.log.script_burst, 1);
        assert_int_equal(c.log.script_interval_usec, 0);
        config_done(&c);
}

/* One wrong line: what it says, and that it changes nothing. */
static void test_bad_lines(void **state) {
        static const struct {
                const char *text, *warning;
        } cases[] = {
                { "[board]\nheap = 12Q\n",
                  "mpyd.conf:2: [board] heap = 12Q: not a size; write bytes or a number with K, "
                  "M or "
                  "G, such as 1M" },
                { "\n\n[board]\n\nheap=\n",
                  "mpyd.conf:5: [board] heap = : not a size; write bytes or a number with K, M "
                  "or G, "
                  "such as 1M" },
                { "[board]\nheap = 1K\n",
                  "mpyd.conf:2: [board] heap = 1K: out of range; write 32K to 1G, such as 1M" },
                { "[watchdog]\nstall-after = 10ms\n",
                  "mpyd.conf:2: [watchdog] stall-after = 10ms: out of range; write 1s to 1d, or "
                  "off" },
                { "[safe-mode]\nstrikes = none\n",
                  "mpyd.conf:2: [safe-mode] strikes = none: neither off nor a number; write digits only, "
                  "such as 10" },
                { "[safe-mode]\nstrikes = 0\n",
                  "mpyd.conf:2: [safe-mode] strikes = 0: out of range; write 1 to 1000, or off" },
                { "[watchdog]\nstall-after = never\n",
                  "mpyd.conf:2: [watchdog] stall-after = never: neither off nor a time span; write "
                  "a number with s, min or h, such as 30s" },
                { "[board]\nheap-max = 99999999999999999999\n",
                  "mpyd.conf:2: [board] heap-max = 99999999999999999999: out of range; write 32K "
                  "to "
                  "1G, such as 64M" },
                { "[board]\nflash-quota = none\n",
                  "mpyd.conf:2: [board] flash-quota = none: neither off nor a size; write bytes or a number "
                  "with K, M or G, such as 16M" },
                { "[board]\nflash-quota = 1K\n",
                  "mpyd.conf:2: [board] flash-quota = 1K: out of range; write 64K to 1T, or off" },
                { "[environment]\n1A = x\n",
                  "mpyd.conf:2: [environment] 1A: not the name of a variable; write letters, digits and "
                  "_, such as SITE" },
                { "[environment]\nLD_PRELOAD = /x.so\n",
                  "mpyd.conf:2: [environment] LD_PRELOAD: would change how the board's process is "
                  "loaded (ld.so(8)); choose another name" },
                { "[environment]\nSITE = \xe9\n",
                  "mpyd.conf:2: [environment] SITE: not UTF-8, and a program could not read it; save "
                  "the file as UTF-8" },
                { "[enviroment]\nSITE = x\n",
                  "mpyd.conf:1: [enviroment]: no such section; did you mean [environment]?" },
                { "[board]\nuser = 1000\n",
                  "mpyd.conf:2: [board] user = 1000: not the name of an account; write one such "
                  "as mpyd" },
                { "[board]\nuser = a b\n",
                  "mpyd.conf:2: [board] user = a b: not the name of an account; write one such "
                  "as mpyd" },
                { "[board]\nuser = ../x\n",
                  "mpyd.conf:2: [board] user = ../x: not the name of an account; write one such "
                  "as mpyd" },
                { "[board]\nuser =\n",
                  "mpyd.conf:2: [board] user = : not the name of an account; write one such as "
                  "mpyd" },
                { "[board]\nstart-timeout = soon\n",
                  "mpyd.conf:2: [board] start-timeout = soon: not a time span; write a number with "
                  "ms, s, min or h, such as 10s" },
                { "[stop]\nabort-timeout = infinity\n",
                  "mpyd.conf:2: [stop] abort-timeout = infinity: out of range; write 10ms to "
                  "10min, "
                  "such as 1s" },
                { "[reset]\nburst = 0\n",
                  "mpyd.conf:2: [reset] burst = 0: out of range; write 1 to 1000000, such as 20" },
                { "[reset]\nburst = -1\n",
                  "mpyd.conf:2: [reset] burst = -1: not a number; write digits only, such as 20" },
                { "[reset]\nrate = 10\n",
                  "mpyd.conf:2: [reset] rate = 10: not a rate; write unlimited or a number per "
                  "time, "
                  "such as 10/min or 1/s" },
                { "[log]\nlevel = loud\n",
                  "mpyd.conf:2: [log] level = loud: not a level; write err, warning, notice, "
                  "info or "
                  "debug" },
                { "[board]\nhaep = 2M\n",
                  "mpyd.conf:2: [board] haep: no such key; did you mean heap?" },
                { "[board]\nheap_max = 2M\n",
                  "mpyd.conf:2: [board] heap_max: no such key; did you mean heap-max?" },
                { "[board]\nHEAP = 2M\n",
                  "mpyd.conf:2: [board] HEAP: no such key; did you mean heap?" },
                { "[board]\nburst = 3\n",
                  "mpyd.conf:2: [board] burst: no such key here; it belongs under [reset]" },
                { "[board]\nfrobnicate = 3\n", "mpyd.conf:2: [board] frobnicate: no such key" },
                { "[bord]\nheap = 2M\n",
                  "mpyd.conf:1: [bord]: no such section; did you mean [board]?" },
                { "[elephants]\nheap = 2M\n", "mpyd.conf:1: [elephants]: no such section" },
                { "[]\nheap = 2M\n", "mpyd.conf:1: []: no such section" },
                { "[board\nheap = 2M\n",
                  "mpyd.conf:1: the section's name has no end; write it as [board]" },
                { "[log]\n[board\nheap = 2M\n",
                  "mpyd.conf:2: the section's name has no end; write it as [board]" },
                { "[board] heap = 2M\n",
                  "mpyd.conf:1: [board]: text behind the section's name; write it on a line of its "
                  "own" },
                { "heap = 2M\n",
                  "mpyd.conf:1: heap: stands in no section; write one such as [board] above it" },
                { "[board]\nheap\n",
                  "mpyd.conf:2: neither a [section] nor key = value; a comment begins with #" },
                { "[board]\nheap",
                  "mpyd.conf:2: neither a [section] nor key = value; a comment begins with #" },
                { "[board]\nheap ; = 2M\n",
                  "mpyd.conf:2: neither a [section] nor key = value; a comment begins with #" },
                { "[board]\n\x1b[2J\xff = 2M\n",
                  "mpyd.conf:2: [board] \\x1b[2J\\xff: no such key" },
                { "[board]\nheap = \x1b[2J\n",
                  "mpyd.conf:2: [board] heap = \\x1b[2J: not a size; write bytes or a number "
                  "with K, "
                  "M or G, such as 1M" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Config c = load_text(cases[i].text);

                assert_warning(&c, 0, cases[i].warning);
                assert_int_equal(c.n_warnings, 1);
                assert_defaults(&c);
                config_done(&c);
        }
}

/* The lines around a wrong one count. */
static void test_good_among_bad(void **state) {
        Config c = load_text("[board]\nheap = 2M\nheap = 3Q\nnonsense\nheap-max = 3M\n[what]\n"
                             "heap = 4M\n[reset]\nburst = 7\n");

        assert_int_equal(c.n_warnings, 3);
        assert_int_equal(c.board.heap, 2 << 20);
        assert_int_equal(c.board.heap_max, 3 << 20);
        assert_int_equal(c.reset.burst, 7);
        config_done(&c);
}

static void test_rate(void **state) {
        static const struct {
                const char *value;
                uint64_t interval_usec; /* UINT64_MAX: refused */
        } cases[] = {
                { "1/s", USEC_PER_SEC },        { "2/s", 500000 },
                { "10/min", 6 * USEC_PER_SEC }, { "1/30s", 30 * USEC_PER_SEC },
                { "3/1min 30s", 30 * USEC_PER_SEC }, { "1/h", USEC_PER_HOUR },
                { "1/24h", USEC_PER_DAY },      { "1000000/s", 1 },
                { "unlimited", 0 },             { "1/7d", 7 * USEC_PER_DAY },
                { "1/8d", UINT64_MAX },         { "1000001/s", UINT64_MAX },
                { "0/s", UINT64_MAX },          { "1/infinity", UINT64_MAX },
                { "1/0s", UINT64_MAX },         { "/s", UINT64_MAX },
                { "1/", UINT64_MAX },           { "1", UINT64_MAX },
                { "1/x", UINT64_MAX },          { "x/s", UINT64_MAX },
                { "-1/s", UINT64_MAX },         { "1.5/s", UINT64_MAX },
                { "1/s/s", UINT64_MAX },        { "99999999999999999999/s", UINT64_MAX },
                { "000000000000000000000000001/s", UINT64_MAX },
                { "1/00000000000000000000000000000000000000s", UINT64_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool refused = cases[i].interval_usec == UINT64_MAX;
                char text[128];
                Config c;

                (void) snprintf(text, sizeof text, "[reset]\nrate = %s\n", cases[i].value);
                c = load_text(text);
                if (c.n_warnings != refused ||
                    c.reset.interval_usec != (refused ? USEC_PER_SEC : cases[i].interval_usec))
                        fail_msg("\"%s\": %ju", cases[i].value, (uintmax_t) c.reset.interval_usec);
                config_done(&c);
        }
}

/* inih would cut such a line at 200 bytes and take the rest for another one. */
static void test_long_lines(void **state) {
        for (size_t length = 190; length < 700; length += length < 210 ? 1 : 37) {
                char text[1024] = "[board]\n", *p = text + 8;
                Config c;

                memset(p, ' ', length);
                memcpy(p, "heap-max = 2M", 13);
                p[length - 1] = ';';
                memcpy(p + length, "\nstart-timeout = 7s\n", 21);
                c = load_text(text);
                if (length <= 198) {
                        assert_no_warnings(&c);
                        assert_int_equal(c.board.heap_max, 2 << 20);
                } else {
                        assert_int_equal(c.n_warnings, 1);
                        assert_warning(&c, 0,
                                       "mpyd.conf:2: the line is too long; 198 bytes are the most");
                        assert_int_equal(c.board.heap_max, 64 << 20);
                }
                assert_int_equal(c.board.start_timeout_usec, 7 * USEC_PER_SEC);
                config_done(&c);

                /* Long comments are nobody's trouble. */
                text[8] = '#';
                c = load_text(text);
                assert_no_warnings(&c);
                config_done(&c);
        }
}

static void test_drop_ins(void **state) {
        Config c;

        assert_int_equal(mkdir("mpyd.conf.d", 0755), 0);
        put_text("mpyd.conf", "[reset]\nburst = 1\n[board]\nheap = 2M\nuser = main\n");
        put_text("mpyd.conf.d/20-b.conf", "[reset]\nburst = 2\n");
        put_text("mpyd.conf.d/10-a.conf", "[reset]\nburst = 3\n[board]\nheap = 3M\n");
        put_text("mpyd.conf.d/Z.conf", "[board]\nheap-max = 32M\n");
        put_text("mpyd.conf.d/30-c.conf", "[reset]\nburst = none\n[board\nuser = late\n");
        put_text("mpyd.conf.d/40-d.conf", "burst = 9\n"); /* a section ends with its file */
        put_text("mpyd.conf.d/50-e.conf~", "[reset]\nburst = 4\n");
        put_text("mpyd.conf.d/.hidden.conf", "[reset]\nburst = 5\n");
        put_text("mpyd.conf.d/.conf", "[reset]\nburst = 6\n");
        put_text("mpyd.conf.d/README", "[reset]\nburst = 7\n");
        assert_int_equal(symlink("/dev/null", "mpyd.conf.d/60-masked.conf"), 0);

        c = load();
        assert_int_equal(c.reset.burst, 2);
        assert_int_equal(c.board.heap, 3 << 20);
        assert_int_equal(c.board.heap_max, 32 << 20);
        assert_string_equal(c.board.user, "main");
        assert_int_equal(c.n_warnings, 3);
        assert_warning(&c, 0, "mpyd.conf.d/30-c.conf:2: [reset] burst = none: not a number; write "
                              "digits only, such as 20");
        assert_warning(&c, 1, "mpyd.conf.d/30-c.conf:3: the section's name has no end; write it as "
                              "[board]");
        assert_warning(&c, 2,
                       "mpyd.conf.d/40-d.conf:1: burst: stands in no section; write one such "
                       "as [board] above it");
        config_done(&c);

        /* Drop-ins count without the main file, too. */
        assert_int_equal(unlink("mpyd.conf"), 0);
        c = load();
        assert_int_equal(c.reset.burst, 2);
        assert_string_equal(c.board.user, "mpyd");
        config_done(&c);
}

static void test_bad_files(void **state) {
        static char big[65 * 1024];
        Config c;

        put("mpyd.conf", "[board]\nheap = 2M\n\0", 19);
        c = load();
        assert_int_equal(c.n_warnings, 1);
        assert_warning(&c, 0, "mpyd.conf: not a text file; it is ignored");
        assert_defaults(&c);
        config_done(&c);

        memset(big, '\n', sizeof big);
        put("mpyd.conf", big, sizeof big);
        c = load();
        assert_int_equal(c.n_warnings, 1);
        assert_warning(&c, 0, "mpyd.conf: larger than 65536 bytes; it is ignored");
        config_done(&c);

        put_text("mpyd.conf", "");
        c = load();
        assert_no_warnings(&c);
        config_done(&c);

        assert_int_equal(mkdir("mpyd.conf.d", 0755), 0);
        assert_int_equal(mkdir("mpyd.conf.d/a-directory.conf", 0755), 0);
        assert_int_equal(symlink("nowhere", "mpyd.conf.d/b-dangling.conf"), 0);
        assert_int_equal(mkfifo("mpyd.conf.d/c-fifo.conf", 0600), 0);
        put_text("mpyd.conf.d/d-good.conf", "[reset]\nburst = 9\n");
        c = load();
        assert_int_equal(c.n_warnings, 2);
        assert_warning(&c, 0, "mpyd.conf.d/a-directory.conf: cannot be read: Is a directory");
        assert_warning(&c, 1,
                       "mpyd.conf.d/b-dangling.conf: cannot be read: No such file or directory");
        assert_int_equal(c.reset.burst, 9);
        config_done(&c);

        assert_int_equal(nftw("mpyd.conf.d", remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
        put_text("mpyd.conf.d", "");
        c = load();
        assert_int_equal(c.n_warnings, 1);
        assert_warning(&c, 0, "mpyd.conf.d: cannot be read: Not a directory");
        config_done(&c);
        assert_int_equal(unlink("mpyd.conf.d"), 0);
}

static void test_many_drop_ins(void **state) {
        Config c;

        assert_int_equal(mkdir("mpyd.conf.d", 0755), 0);
        for (unsigned i = 0; i < 258; i++) {
                char name[64], text[64];

                (void) snprintf(name, sizeof name, "mpyd.conf.d/%03u.conf", i);
                (void) snprintf(text, sizeof text, "[reset]\nburst = %u\n", i + 1);
                put_text(name, text);
        }
        c = load();
        assert_int_equal(c.n_warnings, 1);
        assert_warning(&c, 0, "mpyd.conf.d: more than 256 files; those behind are ignored");
        assert_int_equal(c.reset.burst, 256);
        config_done(&c);
}

/* A binary file does not fill the log. */
static void test_warnings_bounded(void **state) {
        static char text[20000];
        Config c;

        for (size_t i = 0; i < sizeof text; i++)
                text[i] = i % 10 == 9 ? '\n' : (char) (0x80 + i % 100);
        put("mpyd.conf", text, sizeof text);
        c = load();
        assert_int_equal(c.n_warnings, 51);
        assert_warning(&c, 50, "and more: put these right first");
        for (size_t i = 0; i < c.n_warnings; i++)
                for (size_t k = 0, n = strlen(c.warnings[i]), w; k < n; k += w) {
                        w = utf8_character(c.warnings[i] + k, n - k);
                        assert_true(w > 0);
                }
        assert_defaults(&c);
        config_done(&c);
}

static void test_pairs(void **state) {
        Config c = load_text(
                "[board]\nheap = 128M\n[reset]\nbackoff-max = 500ms\nbackoff-min = 2min\n");

        assert_int_equal(c.board.heap, 64 << 20);
        assert_int_equal(c.reset.backoff_min_usec, 500000);
        assert_int_equal(c.n_warnings, 2);
        assert_warning(&c, 0,
                       "mpyd.conf:2: [board] heap = 128M: more than heap-max, so it is 64M; set "
                       "heap-max to 128M or more");
        assert_warning(&c, 1,
                       "mpyd.conf:5: [reset] backoff-min = 2min: more than backoff-max, so it "
                       "is 500ms; set backoff-max to 2min or more");
        config_done(&c);

        /* No factory reset rather than one that comes too soon. */
        c = load_text("[safe-mode]\nhold = 10s\n");
        assert_int_equal(c.safe_mode.factory_hold_usec, 0);
        assert_int_equal(c.n_warnings, 1);
        assert_warning(&c, 0, "mpyd.conf:2: [safe-mode] hold = 10s: not less than factory-hold, so that one is "
                              "off; set factory-hold to more");
        config_done(&c);
        c = load_text("[safe-mode]\nfactory-hold = off\nhold = 10s\n");
        assert_no_warnings(&c);
        config_done(&c);

        /* Who set the limit alone means it: nothing to report. */
        c = load_text("[board]\nheap-max = 512K\n[reset]\nbackoff-max = 100ms\n");
        assert_no_warnings(&c);
        assert_int_equal(c.board.heap, 512 << 10);
        assert_int_equal(c.reset.backoff_min_usec, 100000);
        config_done(&c);

        /* The order of lines and files does not matter, and a drop-in can put it right. */
        assert_int_equal(mkdir("mpyd.conf.d", 0755), 0);
        put_text("mpyd.conf.d/x.conf", "[board]\nheap-max = 256M\n");
        c = load_text("[board]\nheap = 128M\n");
        assert_no_warnings(&c);
        assert_int_equal(c.board.heap, 128 << 20);
        config_done(&c);
}

/* [environment] takes any names; the last word counts there too. */
static void test_environment(void **state) {
        char text[64 + 16 * (ENVIRONMENT_MAX + 2)];
        size_t n;
        Config c;

        assert_int_equal(mkdir("mpyd.conf.d", 0755), 0);
        put_text("mpyd.conf.d/site.conf", "[environment]\nSITE = south field\nurl = https://a/b?c=d\n");
        c = load_text("[environment]\nSITE = north\nEMPTY =\n_x1 = \xc3\xa9\n");
        assert_no_warnings(&c);
        assert_int_equal(c.n_environment, 4);
        assert_string_equal(c.environment[0], "SITE=south field");
        assert_string_equal(c.environment[1], "EMPTY=");
        assert_string_equal(c.environment[2], "_x1=\xc3\xa9");
        assert_string_equal(c.environment[3], "url=https://a/b?c=d");
        assert_null(c.environment[4]);
        config_done(&c);
        assert_int_equal(unlink("mpyd.conf.d/site.conf"), 0);

        /* A name that begins like another one is another one. */
        c = load_text("[environment]\nAB = 1\nA = 2\nABC = 3\nAB = 4\n");
        assert_int_equal(c.n_environment, 3);
        assert_string_equal(c.environment[0], "AB=4");
        assert_string_equal(c.environment[1], "A=2");
        config_done(&c);

        n = (size_t) snprintf(text, sizeof text, "[environment]\n");
        for (unsigned i = 0; i < ENVIRONMENT_MAX + 1; i++)
                n += (size_t) snprintf(text + n, sizeof text - n, "V%u = x\n", i);
        (void) snprintf(text + n, sizeof text - n, "V0 = y\n"); /* no new one: it still goes */
        c = load_text(text);
        assert_int_equal(c.n_environment, ENVIRONMENT_MAX);
        assert_int_equal(c.n_warnings, 1);
        assert_string_equal(c.warnings[0], "mpyd.conf:102: [environment] V100: more variables than a board "
                                           "takes; put the others into a file on its flash");
        assert_string_equal(c.environment[0], "V0=y");
        config_done(&c);
}

/* The table: complete, unique, each default acceptable and within its own range, each field its
 * own. */
static void test_table(void **state) {
        const ConfigKey *keys;
        size_t n;

        keys = config_keys(&n);
        assert_int_equal(n, 53);
        for (size_t i = 0; i < n; i++) {
                const ConfigKey *k = &keys[i];

                assert_ptr_equal(config_key_find(k->section, k->key), k);
                assert_ptr_equal(config_key_nearest(k->section, k->key), k);
                assert_string_equal(config_section_find(k->section), k->section);
                assert_true(k->meaning[strlen(k->meaning) - 1] == '.');
                assert_null(strchr(k->meaning, '\n'));
                assert_true(strlen(k->meaning) <= 90);
                for (size_t j = 0; j < i; j++) {
                        assert_false(streq(keys[j].section, k->section) &&
                                     streq(keys[j].key, k->key));
                        assert_true(keys[j].offset != k->offset);
                }
                /* Sections stand together: the example file has one heading each. */
                if (i > 1 && !streq(keys[i - 1].section, k->section))
                        for (size_t j = 0; j < i; j++)
                                assert_false(streq(keys[j].section, k->section));
        }
        assert_null(config_key_find("board", "level"));
        assert_null(config_key_find("nothing", "heap"));
        assert_null(config_section_find(""));
        assert_null(config_section_nearest(""));
        assert_null(config_section_nearest("a-name-that-is-much-longer-than-any-section-there-is"));
        assert_string_equal(config_section_nearest("Histroy"), "history");
        assert_null(config_key_nearest("board", "zzz"));
}

/* The example that is installed says what the table says: headings, keys in order, meanings,
 * defaults. */
static void test_example(void **state) {
        const char *path = MPYD_EXAMPLE_CONFIG, *section = "", *at;
        _cleanup_free_ char *text = NULL;
        const ConfigKey *keys;
        Config c;
        size_t n;

        assert_int_equal(read_file(AT_FDCWD, path, 1 << 16, &text, NULL), 0);
        assert_non_null(strstr(text, "\n[environment]\n# ")); /* the section that has no table */
        assert_int_equal(config_load(path, true, &c), 0);
        assert_no_warnings(&c);
        assert_defaults(&c);
        config_done(&c);

        at = text;
        keys = config_keys(&n);
        for (size_t i = 0; i < n; i++) {
                char expected[512];

                (void) snprintf(expected, sizeof expected, "%s%s%s# %s\n#%s = %s\n",
                                streq(section, keys[i].section) ? "" : "[",
                                streq(section, keys[i].section) ? "" : keys[i].section,
                                streq(section, keys[i].section) ? "" : "]\n", keys[i].meaning,
                                keys[i].key, keys[i].default_value);
                at = strstr(at, expected);
                if (!at)
                        fail_msg("the example lacks, in this place:\n%s", expected);
                at += strlen(expected);
                section = keys[i].section;
        }
        assert_null(strstr(at, " = ")); /* and nothing else */

        /* Taken literally, with all keys active, it is right as well. */
        for (char *p = text; (p = strstr(p, "\n#")); p++)
                if (p[2] != ' ' && p[2] != '\n')
                        p[1] = ' ';
        c = load_text(text);
        assert_no_warnings(&c);
        assert_defaults(&c);
        config_done(&c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_missing, each_test),
                cmocka_unit_test_setup(test_all_keys, each_test),
                cmocka_unit_test_setup(test_bad_lines, each_test),
                cmocka_unit_test_setup(test_good_among_bad, each_test),
                cmocka_unit_test_setup(test_rate, each_test),
                cmocka_unit_test_setup(test_long_lines, each_test),
                cmocka_unit_test_setup(test_drop_ins, each_test),
                cmocka_unit_test_setup(test_bad_files, each_test),
                cmocka_unit_test_setup(test_many_drop_ins, each_test),
                cmocka_unit_test_setup(test_warnings_bounded, each_test),
                cmocka_unit_test_setup(test_pairs, each_test),
                cmocka_unit_test_setup(test_environment, each_test),
                cmocka_unit_test_setup(test_table, each_test),
                cmocka_unit_test_setup(test_example, each_test),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
