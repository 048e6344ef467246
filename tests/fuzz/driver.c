/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target without libFuzzer: seeds, files, and deterministic mutations of them. An input
 * that kills it is written to <program>.crash.
 *
 * Usage: fuzz-x [--runs N] [--write-seeds DIR] [FILE|DIR...] */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "util/io.h"
#include "util/parse.h"

#define SEEDS_MAX 256u

typedef struct Input {
        uint8_t data[FUZZ_INPUT_MAX];
        size_t size;
} Input;

static Input *seeds[SEEDS_MAX];
static size_t n_seeds;

static Input current;
static char crash_path[4096];

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t random_u64(void) {
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static size_t random_below(size_t n) {
        return n == 0 ? 0 : (size_t) (random_u64() >> 20) % n;
}

static void save_current(void) {
        int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || write(fd, current.data, current.size) != (ssize_t) current.size)
                return;
        (void) close(fd);
}

static void on_signal(int sig) {
        save_current();
        (void) signal(sig, SIG_DFL);
        (void) raise(sig);
}

/* There with a sanitizer only; it ends the process without a signal. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static Input *seed_add(void) {
        if (n_seeds == SEEDS_MAX) {
                (void) fprintf(stderr, "More than %u seeds.\n", SEEDS_MAX);
                exit(EXIT_FAILURE);
        }
        seeds[n_seeds] = calloc(1, sizeof **seeds);
        if (!seeds[n_seeds])
                abort();
        return seeds[n_seeds++];
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

/* A file, or the files of a directory in order of name. */
static void seeds_from_path(const char *path) {
        struct dirent **entries;
        _cleanup_free_ char *content = NULL;
        size_t size;
        int r, n;

        r = read_file(AT_FDCWD, path, FUZZ_INPUT_MAX, &content, &size);
        if (r >= 0) {
                Input *s = seed_add();

                memcpy(s->data, content, size);
                s->size = size;
                return;
        }
        n = r == -EISDIR ? scandir(path, &entries, NULL, compare_names) : -1;
        if (n < 0) {
                (void) fprintf(stderr, "%s: %s\n", path, strerror(r == -EISDIR ? errno : -r));
                exit(EXIT_FAILURE);
        }
        for (int i = 0; i < n; i++) {
                char file[4096];

                (void) snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
                if (entries[i]->d_name[0] != '.')
                        seeds_from_path(file);
                free(entries[i]);
        }
        free(entries);
}

static void seeds_from_target(void) {
        Input s;

        for (unsigned i = 0; (s.size = fuzz_seed(i, s.data)) != SIZE_MAX; i++)
                *seed_add() = s;
}

static int write_seeds(const char *directory) {
        for (size_t i = 0; i < n_seeds; i++) {
                char file[4096];
                int r;

                (void) snprintf(file, sizeof file, "%s/seed-%03zu", directory, i);
                r = write_file_atomic(AT_FDCWD, file, seeds[i]->data, seeds[i]->size, 0644);
                if (r < 0) {
                        (void) fprintf(stderr, "%s: %s\n", file, strerror(-r));
                        return r;
                }
        }
        return 0;
}

static void bytes_move(Input *in, size_t to, size_t from) {
        size_t n = MIN(in->size - from, sizeof in->data - to);

        memmove(in->data + to, in->data + from, n);
        in->size = to + n;
}

static void mutate_once(Input *in) {
        static const uint64_t interesting[] = {
                0, 1, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff,
                0x80000000, 0xffffffff, UINT64_C(0x7fffffffffffffff), UINT64_C(0x8000000000000000),
                UINT64_MAX,
        };
        size_t at = random_below(in->size), n;
        const Input *other;

        switch (in->size == 0 ? 4 : random_below(8)) {
        case 0: /* a bit */
                in->data[at] ^= (uint8_t) (1 << random_below(8));
                break;
        case 1: /* a byte */
                in->data[at] = (uint8_t) random_u64();
                break;
        case 2: /* a number */
                n = MIN((size_t) 1 << random_below(4), in->size - at);
                memcpy(in->data + at, &interesting[random_below(ELEMENTSOF(interesting))], n);
                break;
        case 3: /* cut out */
                bytes_move(in, at, at + random_below(MIN(in->size - at, (size_t) 64) + 1));
                break;
        case 4: /* put in */
                n = MIN(1 + random_below(16), sizeof in->data - in->size);
                bytes_move(in, at + n, at);
                for (size_t i = 0; i < n; i++)
                        in->data[at + i] = (uint8_t) random_u64();
                break;
        case 5: /* double a part */
                n = MIN(1 + random_below(MIN(in->size - at, (size_t) 512)),
                        sizeof in->data - in->size);
                bytes_move(in, at + n, at);
                break;
        case 6: /* cut off */
                in->size = at;
                break;
        case 7: /* go on as another seed does */
                other = seeds[random_below(n_seeds)];
                n = random_below(other->size);
                in->size = at + MIN(other->size - n, sizeof in->data - at);
                memcpy(in->data + at, other->data + n, in->size - at);
                break;
        }
}

int main(int argc, char *argv[]) {
        const char *seed_directory = NULL;
        uint64_t runs = 10000;

        seeds_from_target();
        for (int i = 1; i < argc; i++)
                if (streq(argv[i], "--runs") && i + 1 < argc) {
                        if (parse_u64(argv[++i], &runs) < 0)
                                return EXIT_FAILURE;
                } else if (streq(argv[i], "--write-seeds") && i + 1 < argc)
                        seed_directory = argv[++i];
                else
                        seeds_from_path(argv[i]);
        if (seed_directory)
                return write_seeds(seed_directory) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (n_seeds == 0)
                return EXIT_FAILURE;

        (void) snprintf(crash_path, sizeof crash_path, "%s.crash", argv[0]);
        (void) signal(SIGABRT, on_signal);
        if (__sanitizer_set_death_callback)
                __sanitizer_set_death_callback(save_current);
        else
                (void) signal(SIGSEGV, on_signal);

        for (uint64_t run = 0; run < n_seeds + runs; run++) {
                current = *seeds[run < n_seeds ? run : random_below(n_seeds)];
                if (run >= n_seeds)
                        for (size_t n = 1 + random_below(6); n > 0; n--)
                                mutate_once(&current);
                (void) LLVMFuzzerTestOneInput(current.data, current.size);
        }
        (void) printf("%zu seeds, %ju mutations\n", n_seeds, (uintmax_t) runs);
        for (size_t i = 0; i < n_seeds; i++)
                free(seeds[i]);
        return EXIT_SUCCESS;
}
