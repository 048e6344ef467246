/* SPDX-License-Identifier: MIT */
/* The socket module: names and numbers. The class is in socket-object.c. */
#include "util/macros.h"

#include "board/modules/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "board/modules/socket-address.h"
#include "board/modules/socket-resolve.h"
#include "py/mperrno.h"
#include "py/objlist.h"
#include "py/runtime.h"

/* ---- getaddrinfo ---- */

static mp_obj_t entry_to_obj(const struct addrinfo *a) {
        SocketAddress address = { .size = MIN(a->ai_addrlen, (socklen_t) sizeof address.storage) };
        mp_obj_t items[5];

        memcpy(&address.storage, a->ai_addr, address.size);
        items[0] = MP_OBJ_NEW_SMALL_INT(a->ai_family);
        items[1] = MP_OBJ_NEW_SMALL_INT(a->ai_socktype);
        items[2] = MP_OBJ_NEW_SMALL_INT(a->ai_protocol);
        items[3] = a->ai_canonname ? mp_obj_new_str_from_cstr(a->ai_canonname)
                                   : MP_OBJ_NEW_QSTR(MP_QSTR_);
        items[4] = socket_address_to_obj(&address);
        return mp_obj_new_tuple(ELEMENTSOF(items), items);
}

static void append_entries(mp_obj_t list, const struct addrinfo *a, int family, bool is) {
        for (; a; a = a->ai_next)
                if ((a->ai_family == family) == is)
                        mp_obj_list_append(list, entry_to_obj(a));
}

/* Programs for microcontrollers take the first answer for socket.socket(), which is IPv4 and TCP: so
 * that comes first when nothing else is asked for. */
static mp_obj_t list_from_entries(const struct addrinfo *entries) {
        mp_obj_t list = mp_obj_new_list(0, NULL);

        append_entries(list, entries, AF_INET, true);
        append_entries(list, entries, AF_INET, false);
        return list;
}

static const char *str_or_null(mp_obj_t o) {
        return o == mp_const_none ? NULL : mp_obj_str_get_str(o);
}

/* getaddrinfo(host, port[, family[, type[, protocol[, flags]]]]) */
static mp_obj_t socket_getaddrinfo(size_t n_args, const mp_obj_t *args) {
        struct addrinfo hints = {
                .ai_family = n_args > 2 ? mp_obj_get_int(args[2]) : AF_UNSPEC,
                .ai_socktype = n_args > 3 ? mp_obj_get_int(args[3]) : 0,
                .ai_protocol = n_args > 4 ? mp_obj_get_int(args[4]) : 0,
                .ai_flags = n_args > 5 ? mp_obj_get_int(args[5]) : 0,
        };
        const char *host = str_or_null(args[0]), *service;
        struct addrinfo *entries;
        char number[8];
        mp_obj_t list;
        nlr_buf_t nlr;

        if (mp_obj_is_int(args[1])) {
                mp_int_t port = mp_obj_get_int(args[1]);

                if (port < 0 || port > 0xffff)
                        mp_raise_ValueError(MP_ERROR_TEXT("port is not in 0...65535"));
                (void) snprintf(number, sizeof number, "%d", (int) port);
                service = number;
        } else
                service = str_or_null(args[1]);
        if (hints.ai_socktype == 0)
                hints.ai_socktype = SOCK_STREAM;
        if (host && host[0] == '\0') {
                host = NULL;
                hints.ai_flags |= AI_PASSIVE;
        }
        entries = socket_resolve(host, service, &hints);
        if (nlr_push(&nlr) != 0) { /* no memory for the list */
                freeaddrinfo(entries);
                nlr_jump(nlr.ret_val);
        }
        list = list_from_entries(entries);
        nlr_pop();
        freeaddrinfo(entries);
        return list;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_getaddrinfo_obj, 2, 6, socket_getaddrinfo);

/* ---- addresses as bytes ---- */

static size_t ip_size(int family) {
        if (family != AF_INET && family != AF_INET6)
                mp_raise_OSError(MP_EAFNOSUPPORT);
        return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

static mp_obj_t socket_inet_pton(mp_obj_t family_in, mp_obj_t text) {
        unsigned char ip[sizeof(struct in6_addr)];
        int family = mp_obj_get_int(family_in);
        size_t size = ip_size(family);

        if (inet_pton(family, mp_obj_str_get_str(text), ip) != 1)
                mp_raise_OSError(MP_EINVAL);
        return mp_obj_new_bytes(ip, size);
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_inet_pton_obj, socket_inet_pton);

static mp_obj_t socket_inet_ntop(mp_obj_t family_in, mp_obj_t ip) {
        int family = mp_obj_get_int(family_in);
        char text[INET6_ADDRSTRLEN];
        mp_buffer_info_t buf;

        mp_get_buffer_raise(ip, &buf, MP_BUFFER_READ);
        if (buf.len != ip_size(family) || !inet_ntop(family, buf.buf, text, sizeof text))
                mp_raise_OSError(MP_EINVAL);
        return mp_obj_new_str_from_cstr(text);
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_inet_ntop_obj, socket_inet_ntop);

/* ---- the module ---- */

#define NUMBER(name) { MP_ROM_QSTR(MP_QSTR_##name), MP_ROM_INT(name) }

static const mp_rom_map_elem_t socket_globals_table[] = {
        { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_socket) },
        { MP_ROM_QSTR(MP_QSTR_socket), MP_ROM_PTR(&socket_type) },
        { MP_ROM_QSTR(MP_QSTR_getaddrinfo), MP_ROM_PTR(&socket_getaddrinfo_obj) },
        { MP_ROM_QSTR(MP_QSTR_inet_ntop), MP_ROM_PTR(&socket_inet_ntop_obj) },
        { MP_ROM_QSTR(MP_QSTR_inet_pton), MP_ROM_PTR(&socket_inet_pton_obj) },
        NUMBER(AF_INET),
        NUMBER(AF_INET6),
        NUMBER(AF_UNIX),
        NUMBER(AF_UNSPEC),
        NUMBER(SOCK_DGRAM),
        NUMBER(SOCK_RAW),
        NUMBER(SOCK_SEQPACKET),
        NUMBER(SOCK_STREAM),
        NUMBER(IPPROTO_ICMP),
        NUMBER(IPPROTO_IP),
        NUMBER(IPPROTO_IPV6),
        NUMBER(IPPROTO_RAW),
        NUMBER(IPPROTO_TCP),
        NUMBER(IPPROTO_UDP),
        NUMBER(SOL_SOCKET),
        NUMBER(SO_BINDTODEVICE),
        NUMBER(SO_BROADCAST),
        NUMBER(SO_ERROR),
        NUMBER(SO_KEEPALIVE),
        NUMBER(SO_LINGER),
        NUMBER(SO_RCVBUF),
        NUMBER(SO_REUSEADDR),
        NUMBER(SO_REUSEPORT),
        NUMBER(SO_SNDBUF),
        NUMBER(SO_TYPE),
        NUMBER(IP_ADD_MEMBERSHIP),
        NUMBER(IP_DROP_MEMBERSHIP),
        NUMBER(IP_MULTICAST_IF),
        NUMBER(IP_MULTICAST_LOOP),
        NUMBER(IP_MULTICAST_TTL),
        NUMBER(IP_TOS),
        NUMBER(IP_TTL),
        NUMBER(IPV6_JOIN_GROUP),
        NUMBER(IPV6_LEAVE_GROUP),
        NUMBER(IPV6_MULTICAST_HOPS),
        NUMBER(IPV6_MULTICAST_IF),
        NUMBER(IPV6_MULTICAST_LOOP),
        NUMBER(IPV6_V6ONLY),
        NUMBER(TCP_KEEPCNT),
        NUMBER(TCP_KEEPIDLE),
        NUMBER(TCP_KEEPINTVL),
        NUMBER(TCP_NODELAY),
        NUMBER(MSG_DONTROUTE),
        NUMBER(MSG_DONTWAIT),
        NUMBER(MSG_PEEK),
        NUMBER(MSG_WAITALL),
        NUMBER(SHUT_RD),
        NUMBER(SHUT_RDWR),
        NUMBER(SHUT_WR),
        NUMBER(AI_CANONNAME),
        NUMBER(AI_NUMERICHOST),
        NUMBER(AI_PASSIVE),
};
static MP_DEFINE_CONST_DICT(socket_globals, socket_globals_table);

extern const mp_obj_module_t socket_module;
const mp_obj_module_t socket_module = {
        .base = { &mp_type_module },
        .globals = (mp_obj_dict_t *) &socket_globals,
};
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_socket, socket_module);
