/* SPDX-License-Identifier: MIT */
/* Socket addresses: what Python writes as ("127.0.0.1", 80), ("::1", 80), or a path, and what the
 * kernel takes. */
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "py/obj.h"

typedef struct SocketAddress {
        union {
                struct sockaddr any;
                struct sockaddr_storage storage;
                struct sockaddr_un local;
        };
        socklen_t size;
} SocketAddress;

/* Of a family, or of either for AF_UNSPEC (IPv4 when a name has both); raises when it is none. A host name
 * is looked up, which may take its time. */
void socket_address_parse(SocketAddress *ret, mp_obj_t address, int family, int type);

/* As (host, port) for IP, with an interface as in "fe80::1%eth0"; as a str or bytes for Unix, empty when it has
 * no name. */
mp_obj_t socket_address_to_obj(const SocketAddress *address);
