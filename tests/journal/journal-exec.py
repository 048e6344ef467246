#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""journal-exec.py PROGRAM ARGUMENT...: runs it as systemd does, with stderr connected to the journal
(journald's stream protocol; $JOURNAL_STREAM as in systemd.exec(5))."""
import os
import socket
import sys

stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
stream.connect("/run/systemd/journal/stdout")
# identifier, unit, priority, level prefix, forward to syslog, to kmsg, to the console
stream.sendall(b"journal-exec\n\n6\n0\n0\n0\n0\n")
os.dup2(stream.fileno(), 2)
status = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
os.execv(sys.argv[1], sys.argv[1:])
