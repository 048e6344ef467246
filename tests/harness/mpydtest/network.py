# SPDX-License-Identifier: MIT
"""A network of the tests' own: upstream's tests, and some of ours, use fixed ports, and what else runs on the
machine (another test file among it) shall not have them."""
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def leave_for_own():
    """This process, and all that it starts, from now on have a loopback interface of their own and nothing else.
    Where that is not allowed (not root) the machine's network stays. Call before there are threads."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNET) != 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
