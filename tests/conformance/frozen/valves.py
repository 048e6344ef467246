# SPDX-License-Identifier: MIT
# A module that a packager froze.
def open_all(n):
    return list(range(1, n + 1))


def broken():
    raise ValueError("stuck")
