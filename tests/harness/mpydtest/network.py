# SPDX-License-Identifier: MIT
"""A network of one's own: upstream's tests, and some of ours, use fixed ports, and what else runs on the machine
(another test file, the board beside CPython) shall not have them. It imports nothing of the package, so that a
program can have it alone."""
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def leave_for_own(as_nobody=False):
    """This process, and all that it starts, from now on have a loopback interface of their own and nothing else. Call
    before there are threads. as_nobody: also without root, at the price of being nobody in particular then. Raises
    OSError where it is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0 and not (as_nobody and libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0):
        raise OSError(ctypes.get_errno(), "no network namespace: " + os.strerror(ctypes.get_errno()))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
