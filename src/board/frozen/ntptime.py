# SPDX-License-Identifier: MIT
# The time by SNTP. The host's clock is kept by the host (systemd-timesyncd, chrony); settime() moves the
# board's own clock only, as machine.RTC does.
import socket
import struct

host = "pool.ntp.org"
timeout = 1

_SECONDS_1900_TO_1970 = 2208988800


# Seconds since 1970.
def time():
    query = bytearray(48)
    query[0] = 0x1B  # version 3, client
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect(socket.getaddrinfo(host, 123, socket.AF_INET, socket.SOCK_DGRAM)[0][-1])
        s.send(query)
        answer = s.recv(48)
    if len(answer) < 48 or answer[0] & 7 != 4 or answer[1] == 0:
        raise OSError("not an answer of a time server that has the time")
    seconds = struct.unpack("!I", answer[40:44])[0]
    if seconds < 1 << 31:
        seconds += 1 << 32  # from 2036 on
    return seconds - _SECONDS_1900_TO_1970


def settime():
    from machine import RTC
    from time import gmtime

    t = gmtime(time())
    RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
