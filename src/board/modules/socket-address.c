/* SPDX-License-Identifier: MIT */
/* Socket addresses between Python and the kernel. See socket-address.h. */
#include "util/macros.h"

#include "board/modules/socket-address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>

#include "board/modules/socket-resolve.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/unicode.h"
#include "util/parse.h"

/* Unix: the host's own path, as far as the board's user may use it; with a first NUL a name that is
 * in no directory. */
static void parse_local(SocketAddress *ret, mp_obj_t address) {
        size_t size;
        const char *name = mp_obj_str_get_data(address, &size);

        if (size == 0 || size >= sizeof ret->local.sun_path)
                mp_raise_msg_varg(&mp_type_ValueError,
                                  MP_ERROR_TEXT("a Unix address has 1 to %d bytes, not %d"),
                                  (int) sizeof ret->local.sun_path - 1, (int) size);
        if (name[0] != '\0' && memchr(name, '\0', size))
                mp_raise_ValueError(MP_ERROR_TEXT("embedded null character"));
        ret->local.sun_family = AF_UNIX;
        memcpy(ret->local.sun_path, name, size);
        ret->size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + size +
                                 (name[0] != '\0'));
}

/* A number, or its digits as on an ESP32: programs read it from their configuration. */
static uint16_t port_from_obj(mp_obj_t obj) {
        mp_int_t port = -1;
        uint64_t n;

        if (!mp_obj_is_str(obj))
                port = mp_obj_get_int(obj);
        else if (parse_u64(mp_obj_str_get_str(obj), &n) >= 0)
                port = (mp_int_t) MIN(n, UINT64_C(0x10000));
        if (port < 0 || port > 0xffff)
                mp_raise_ValueError(MP_ERROR_TEXT("port is not in 0...65535"));
        return (uint16_t) port;
}

/* (host, port) or, with IPv6 and as CPython writes it, (host, port, flow, scope). */
static void parse_ip(SocketAddress *ret, mp_obj_t address, int family, int type) {
        mp_obj_t *items;
        uint16_t port;
        size_t n;

        mp_obj_get_array(address, &n, &items);
        if (n != 2 && !(family != AF_INET && n == 4))
                mp_raise_ValueError(MP_ERROR_TEXT("address is (host, port)"));
        port = port_from_obj(items[1]);
        socket_resolve_first(ret, mp_obj_str_get_str(items[0]), family, type);
        if (ret->any.sa_family == AF_INET6) {
                struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &ret->storage;

                in6->sin6_port = htons(port);
                if (n == 4) {
                        in6->sin6_flowinfo = htonl((uint32_t) mp_obj_get_int_truncated(items[2]));
                        in6->sin6_scope_id = (uint32_t) mp_obj_get_int_truncated(items[3]);
                }
        } else
                ((struct sockaddr_in *) &ret->storage)->sin_port = htons(port);
}

void socket_address_parse(SocketAddress *ret, mp_obj_t address, int family, int type) {
        *ret = (SocketAddress) {};
        switch (family) {
        case AF_UNIX:
                parse_local(ret, address);
                return;
        case AF_UNSPEC:
        case AF_INET:
        case AF_INET6:
                parse_ip(ret, address, family, type);
                return;
        default:
                mp_raise_OSError(MP_EAFNOSUPPORT);
        }
}

static mp_obj_t ip_text(int family, const void *ip) {
        char text[INET6_ADDRSTRLEN];

        if (!inet_ntop(family, ip, text, sizeof text))
                return MP_OBJ_NEW_QSTR(MP_QSTR_);
        return mp_obj_new_str_from_cstr(text);
}

/* An IPv4 address as such also where an IPv6 socket has it; the interface of one that is of a link behind "%". */
static mp_obj_t ipv6_text(const struct sockaddr_in6 *in6) {
        char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE], name[IF_NAMESIZE];
        size_t n;

        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
                return ip_text(AF_INET, in6->sin6_addr.s6_addr + 12);
        if (in6->sin6_scope_id == 0 || !inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text))
                return ip_text(AF_INET6, &in6->sin6_addr);
        n = strlen(text);
        if (if_indextoname(in6->sin6_scope_id, name))
                (void) snprintf(text + n, sizeof text - n, "%%%s", name);
        else
                (void) snprintf(text + n, sizeof text - n, "%%%u", (unsigned) in6->sin6_scope_id);
        return mp_obj_new_str_from_cstr(text);
}

static mp_obj_t local_to_obj(const SocketAddress *a) {
        size_t size = a->size, offset = offsetof(struct sockaddr_un, sun_path);
        const char *name = a->local.sun_path;

        if (size <= offset)
                return MP_OBJ_NEW_QSTR(MP_QSTR_);
        size = MIN(size - offset, sizeof a->local.sun_path);
        if (name[0] == '\0' || !utf8_check((const byte *) name, strnlen(name, size)))
                return mp_obj_new_bytes((const byte *) name, name[0] ? strnlen(name, size) : size);
        return mp_obj_new_str(name, strnlen(name, size));
}

mp_obj_t socket_address_to_obj(const SocketAddress *a) {
        if (a->size < sizeof a->any.sa_family)
                return mp_const_none;
        switch (a->any.sa_family) {
        case AF_UNIX:
                return local_to_obj(a);
        case AF_INET: {
                const struct sockaddr_in *in = (const struct sockaddr_in *) &a->storage;
                mp_obj_t items[] = {
                        ip_text(AF_INET, &in->sin_addr),
                        MP_OBJ_NEW_SMALL_INT(ntohs(in->sin_port)),
                };

                return mp_obj_new_tuple(ELEMENTSOF(items), items);
        }
        case AF_INET6: {
                const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) &a->storage;
                mp_obj_t items[] = {
                        ipv6_text(in6),
                        MP_OBJ_NEW_SMALL_INT(ntohs(in6->sin6_port)),
                };

                return mp_obj_new_tuple(ELEMENTSOF(items), items);
        }
        default:
                return mp_const_none;
        }
}
