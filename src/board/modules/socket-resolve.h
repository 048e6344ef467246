/* SPDX-License-Identifier: MIT */
/* Host names. The C library's getaddrinfo() may wait for tens of seconds and cannot be stopped, so
 * it runs in a thread of its own, and the VM waits where Ctrl-C and a deadline reach it; an answer
 * that comes too late is thrown away. Numeric addresses need no thread.
 *
 * What the C library does in that thread, for whoever confines this process: reads
 * /etc/{nsswitch.conf,hosts,resolv.conf,gai.conf,host.conf,services} and loads libnss_*.so; socket,
 * connect, sendto, sendmmsg, recvfrom, recvmsg, poll, ioctl(FIONREAD), getsockname on UDP, TCP,
 * netlink and Unix sockets (nscd, systemd-resolved); clone3 and friends for the thread itself. */
#pragma once

#include <netdb.h>

#include "board/modules/socket-address.h"

#define SOCKET_RESOLVE_TIMEOUT_SEC 30
#define SOCKET_RESOLVE_THREADS_MAX 8 /* those that were given up count as long as they run */

/* getaddrinfo(). Raises OSError: a negative EAI_ code and its text; ETIMEDOUT after
 * SOCKET_RESOLVE_TIMEOUT_SEC; EAGAIN with too many of them. To be freed by freeaddrinfo(). */
struct addrinfo *socket_resolve(const char *host, const char *service,
                                const struct addrinfo *hints);

/* The first address of host, "" for any; the first of IPv4 where family is AF_UNSPEC and there is one. */
void socket_resolve_first(SocketAddress *ret, const char *host, int family, int type);
