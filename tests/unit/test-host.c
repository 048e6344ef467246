/* SPDX-License-Identifier: MIT */
/* What the host tells of itself. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ctype.h>
#include <fcntl.h>

#include "host/host-facts.h"
#include "host/host.h"
#include "util/io.h"

static void test_ids(void **state) {
        static const uint8_t none[LINK_UNIQUE_ID_SIZE];
        uint8_t a[LINK_UNIQUE_ID_SIZE], b[LINK_UNIQUE_ID_SIZE];
        _cleanup_free_ char *kernel = NULL;
        _cleanup_close_ int root_fd = -EBADF;
        char id[33];
        size_t n = 0;

        root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(host_facts_boot_id(root_fd, id), 0);
        assert_int_equal(strlen(id), 32);
        assert_int_equal(read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &kernel, NULL), 0);
        for (const char *p = kernel; *p; p++) /* it is the kernel's, without dashes */
                if (isxdigit((unsigned char) *p))
                        assert_int_equal(*p, id[n++]);
        assert_int_equal(n, 32);

        host_unique_id(a);
        host_unique_id(b);
        assert_memory_equal(a, b, sizeof a);
        if (access("/etc/machine-id", R_OK) < 0)
                assert_memory_equal(a, none, sizeof a);
        (void) host_clock_synced(); /* either is fine */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ids),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
