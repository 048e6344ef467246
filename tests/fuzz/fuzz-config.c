/* SPDX-License-Identifier: MIT */
/* mpyd.conf of any content: it loads, each value is one that the table allows, warnings are
 * text. */
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>

#include "config/environment.h"
#include "fuzz.h"
#include "util/io.h"
#include "util/text.h"

size_t fuzz_seed(unsigned n, uint8_t *buf) {
        static const char *const wrong[] = {
                "[board]\nheap = 12Q\nheap-max = 1K\nuser = 7\nuser\n[bord]\nx = 1\n",
                "[log\n[log] x\n",
                "heap = 2M\n[reset]\nrate = 10/min\nrate = unlimited\nrate = 0/0\nburst = 99\n",
                "[board]\nheap = 1G\n[reset]\nbackoff-min = 1h\nbackoff-max : 10ms ; comment\n",
                "[environment]\nSITE = north\nLD_X = 1\nSITE =\nURL = https://a/?b=c\n1 = \xff\n",
                "\xef\xbb\xbf[board]\r\n  heap-max = 2M\r\n\theap = 1.5M\r\n",
        };
        const ConfigKey *keys;
        size_t n_keys, size = 0;

        if (n > ELEMENTSOF(wrong))
                return SIZE_MAX;
        if (n > 0) {
                size = strlen(wrong[n - 1]);
                memcpy(buf, wrong[n - 1], size);
                return size;
        }
        keys = config_keys(&n_keys);
        for (size_t i = 0; i < n_keys; i++) /* all of it */
                size += (size_t) snprintf((char *) buf + size, FUZZ_INPUT_MAX - size,
                                          "[%s]\n%s = %s\n", keys[i].section, keys[i].key,
                                          keys[i].default_value);
        return size;
}

static void check_warning(const char *s) {
        size_t size = strlen(s);

        FUZZ_CHECK(size > 0);
        for (size_t i = 0, n; i < size; i += n) {
                n = utf8_character(s + i, size - i);
                FUZZ_CHECK(n > 1 || (n == 1 && ((uint8_t) s[i] >= 0x20 || s[i] == '\t')));
        }
}

/* Whether 0 says that it is off, or unlimited. */
static bool may_be_off(const ConfigKey *k) {
        uint64_t scratch;

        return k->parse(k, "off", &scratch) >= 0 || k->parse(k, "unlimited", &scratch) >= 0;
}

static void check_values(const Config *c) {
        const ConfigKey *keys;
        size_t n;

        keys = config_keys(&n);
        for (size_t i = 0; i < n; i++) {
                const uint8_t *field = (const uint8_t *) c + keys[i].offset;
                uint64_t v;

                if (keys[i].max == 0) /* not a number */
                        continue;
                if (keys[i].offset == offsetof(Config, reset.burst))
                        v = c->reset.burst;
                else if (keys[i].offset == offsetof(Config, log.script_burst))
                        v = c->log.script_burst;
                else if (keys[i].offset == offsetof(Config, safe_mode.strikes))
                        v = c->safe_mode.strikes;
                else
                        memcpy(&v, field, sizeof v);
                FUZZ_CHECK((v >= keys[i].min && v <= keys[i].max) || (v == 0 && may_be_off(&keys[i])));
        }
        FUZZ_CHECK(c->n_environment <= ENVIRONMENT_MAX);
        for (size_t i = 0; i < c->n_environment; i++) {
                FUZZ_CHECK(strcspn(c->environment[i], "=") > 0 && strchr(c->environment[i], '='));
                FUZZ_CHECK(strncmp(c->environment[i], "LD_", 3) != 0);
        }
        FUZZ_CHECK(!c->environment || !c->environment[c->n_environment]);
        FUZZ_CHECK(c->board.user && *c->board.user);
        FUZZ_CHECK(c->board.heap <= c->board.heap_max);
        FUZZ_CHECK(c->reset.backoff_min_usec <= c->reset.backoff_max_usec);
        FUZZ_CHECK(c->log.level >= LOG_ERR && c->log.level <= LOG_DEBUG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static int fd = -EBADF;
        char path[64];
        Config c;

        if (fd < 0)
                fd = memfd_create("fuzz-config", MFD_CLOEXEC);
        FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        FUZZ_CHECK(write_all(fd, data, size) == 0);
        (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

        FUZZ_CHECK(config_load(path, true, &c) == 0);
        check_values(&c);
        for (size_t i = 0; i < c.n_warnings; i++)
                check_warning(c.warnings[i]);
        FUZZ_CHECK(!c.warnings || !c.warnings[c.n_warnings]);
        config_done(&c);
        return 0;
}
