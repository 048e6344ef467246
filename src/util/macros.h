/* SPDX-License-Identifier: MIT */
/* Ownership helpers (cleanup attributes, TAKE_*) and a few arithmetic macros. */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _must_check_ __attribute__((warn_unused_result))
#define _unused_ __attribute__((unused))

/* Built with the address sanitizer: gcc and clang say it in ways of their own. */
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER 1
#endif
#endif

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* Each side is evaluated once: it may be a clock that goes on. Not for constants of a file. */
#define MIN(a, b) CHOOSE_(<, __COUNTER__, a, b)
#define MAX(a, b) CHOOSE_(>, __COUNTER__, a, b)
#define CHOOSE_(op, n, a, b) CHOOSE__(op, n, a, b)
#define CHOOSE__(op, n, a, b)                            \
        ({                                               \
                __typeof__(a) _a_##n = (a);              \
                __typeof__(b) _b_##n = (b);              \
                _a_##n op _b_##n ? _a_##n : _b_##n;      \
        })

/* Hands an owned pointer or descriptor on and leaves nothing behind. */
#define TAKE_PTR(p)                            \
        ({                                     \
                __typeof__(p) _taken_ = (p);   \
                (p) = NULL;                    \
                _taken_;                       \
        })
#define TAKE_FD(fd)                  \
        ({                           \
                int _taken_ = (fd);  \
                (fd) = -EBADF;       \
                _taken_;             \
        })

/* Defines x_freep() for _cleanup_ from x_free(), which must accept NULL. */
#define DEFINE_CLEANUP(type, func)             \
        static inline void func##p(type *p) {  \
                if (*p)                        \
                        func(*p);              \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(freep)

/* Closes and returns -EBADF; keeps errno; a negative descriptor is fine. */
static inline int safe_close(int fd) {
        if (fd >= 0) {
                int e = errno;
                (void) close(fd);
                errno = e;
        }
        return -EBADF;
}
static inline void closep(int *fd) {
        *fd = safe_close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

static inline int free_and_strdup(char **p, const char *s) {
        char *n = NULL;

        if (s && !(n = strdup(s)))
                return -ENOMEM;
        free(*p);
        *p = n;
        return 0;
}

static inline int streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}
