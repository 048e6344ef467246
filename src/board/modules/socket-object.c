/* SPDX-License-Identifier: MIT */
/* socket.socket: a descriptor of the kernel's that never blocks; who waits, waits in wait.c, where
 * Ctrl-C, callbacks and the time-out reach it.
 *
 * System calls, for whoever confines this process: socket, bind, listen, accept4, connect, shutdown,
 * recvfrom, sendto, get/setsockopt, getsockname, getpeername, ppoll, poll, close; families AF_INET,
 * AF_INET6, AF_UNIX. What host names need is in socket-resolve.h. */
#include "util/macros.h"

#include "board/modules/socket.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include "board/clock.h"
#include "board/irq.h"
#include "board/modules/socket-address.h"
#include "board/modules/socket-object.h"
#include "board/wait.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/objtype.h"
#include "py/runtime.h"
#include "py/stream.h"

#define BACKLOG_DEFAULT 16
/* A socket that is closed while its peer still sends is emptied so long and so far, because what
 * nobody has read makes the kernel answer with a reset instead of FIN (S18). */
#define DRAIN_QUIET_MSEC 10
#define DRAIN_ROUNDS_MAX 8
#define DRAIN_BYTES_MAX (1024 * 1024)

/* ---- waiting ---- */

static int64_t socket_deadline(const Socket *s) {
        int64_t now = clock_monotonic_nsec();

        if (s->timeout_nsec == TIMEOUT_NONE || s->timeout_nsec >= VM_SLEEP_FOREVER - now)
                return VM_SLEEP_FOREVER;
        return now + s->timeout_nsec;
}

/* Until one of events, or POLLERR and POLLHUP; -ETIMEDOUT at until; an exception when one is due. */
static int socket_wait(const Socket *s, short events, int64_t until) {
        for (;;) {
                struct pollfd pfd = { .fd = s->fd, .events = events };
                int r;

                irq_handle_events();
                if (s->fd < 0)
                        return -EBADF; /* a callback or another thread closed it */
                pfd.fd = s->fd;
                r = vm_sleep(&pfd, 1, until, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        return 0;
                if (until != VM_SLEEP_FOREVER && clock_monotonic_nsec() >= until)
                        return -ETIMEDOUT;
        }
}

/* UDP that is connected is told by ICMP that nobody took a datagram, which is an error of a later call (udp(7)). lwIP
 * tells nobody; programs do not expect it, and a logger shall live on while its server starts anew. Having been told
 * once, the error is gone. */
#define ERROR_OF_EARLIER_DATAGRAM ECONNREFUSED

static bool is_about_an_earlier_datagram(const Socket *s, int error) {
        return error == ERROR_OF_EARLIER_DATAGRAM && s->type == SOCK_DGRAM && s->family != AF_UNIX;
}

/* What to do after a system call has failed with error: 0: try again; else the errno to report. */
static int socket_retry(const Socket *s, int error, short events, int64_t until) {
        if (error == EINTR || is_about_an_earlier_datagram(s, error))
                return 0;
        if (error != EAGAIN || s->timeout_nsec == 0)
                return error;
        return -socket_wait(s, events, until);
}

/* ---- making and ending ---- */

Socket *socket_from_obj(mp_obj_t self_in) {
        Socket *s = MP_OBJ_TO_PTR(self_in);

        if (s->fd < 0)
                mp_raise_OSError(MP_EBADF);
        return s;
}

/* The object comes first: nothing between the descriptor and its owner can raise. */
static Socket *socket_alloc(int family, int type) {
        Socket *s = mp_obj_malloc_with_finaliser(Socket, &socket_type);

        s->fd = -EBADF;
        s->family = family;
        s->type = type;
        s->timeout_nsec = TIMEOUT_NONE;
        s->connecting = false;
        s->family_open = false;
        s->options = MP_OBJ_NULL;
        return s;
}

int socket_open_kernel(int family, int type, int protocol) {
        int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
        int on = 1;

        if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
                gc_collect(); /* forgotten ones may hold the descriptors */
                fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
        }
        if (fd < 0) /* the filter of system calls refuses families that scripts are not to have */
                return errno == EPERM && type != SOCK_RAW ? -EAFNOSUPPORT : -errno;
        /* After a reset the port is free at once, whatever connections there were. */
        if (type == SOCK_STREAM && family != AF_UNIX)
                (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        /* Where a Pico's lwIP asks for no permission, programs ask for none. */
        if (type == SOCK_DGRAM && family == AF_INET)
                (void) setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
        return fd;
}

static mp_obj_t socket_make_new(const mp_obj_type_t *type_in, size_t n_args, size_t n_kw,
                                const mp_obj_t *args) {
        int family = n_args > 0 ? mp_obj_get_int(args[0]) : AF_INET;
        int type = n_args > 1 ? mp_obj_get_int(args[1]) : SOCK_STREAM;
        int protocol = n_args > 2 ? mp_obj_get_int(args[2]) : 0;
        Socket *s;

        mp_arg_check_num(n_args, n_kw, 0, 4, false);
        if (type & ~0xf)
                mp_raise_OSError(MP_EINVAL); /* flags are ours */
        s = socket_alloc(family, type);
        s->family_open = n_args == 0;
        s->fd = socket_open_kernel(family, type, protocol);
        if (s->fd < 0)
                mp_raise_OSError(-s->fd);
        return MP_OBJ_FROM_PTR(s);
}

/* SO_LINGER with no time: close() is to break the connection off (socket(7)). */
static bool wants_reset(int fd) {
        struct linger linger = {};
        socklen_t size = sizeof linger;

        return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 && linger.l_onoff && linger.l_linger == 0;
}

/* How many bytes it took away. */
static size_t drain(int fd) {
        char buf[16384];
        size_t total = 0;
        ssize_t n;

        while (total < DRAIN_BYTES_MAX && (n = recv(fd, buf, sizeof buf, MSG_DONTWAIT)) > 0)
                total += (size_t) n;
        return total;
}

/* Runs in finalisers too: no exception, no callback, and never long. */
static void socket_close(Socket *s) {
        int fd = TAKE_FD(s->fd);

        if (fd < 0)
                return;
        if (s->type == SOCK_STREAM && !wants_reset(fd) && shutdown(fd, SHUT_WR) == 0) {
                size_t total = drain(fd), more = total;

                for (int i = 0; more > 0 && total < DRAIN_BYTES_MAX && i < DRAIN_ROUNDS_MAX; i++) {
                        struct pollfd pfd = { .fd = fd, .events = POLLIN };

                        more = poll(&pfd, 1, DRAIN_QUIET_MSEC) > 0 ? drain(fd) : 0;
                        total += more;
                }
        }
        safe_close(fd);
}

/* ---- connecting ---- */

static mp_obj_t socket_bind(mp_obj_t self_in, mp_obj_t address_in) {
        Socket *s = socket_from_obj(self_in);
        SocketAddress address;

        socket_address_of(s, &address, address_in);
        if (bind(s->fd, &address.any, address.size) < 0)
                mp_raise_OSError(errno);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_bind_obj, socket_bind);

static mp_obj_t socket_listen(size_t n_args, const mp_obj_t *args) {
        Socket *s = socket_from_obj(args[0]);
        int backlog = n_args > 1 ? mp_obj_get_int(args[1]) : BACKLOG_DEFAULT;

        if (listen(s->fd, MAX(backlog, 0)) < 0)
                mp_raise_OSError(errno);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_listen_obj, 1, 2, socket_listen);

static mp_obj_t socket_accept(mp_obj_t self_in) {
        Socket *s = socket_from_obj(self_in), *connection;
        int64_t until = socket_deadline(s);
        SocketAddress peer;
        mp_obj_t items[2];

        connection = socket_alloc(s->family, s->type);
        for (;;) {
                int r;

                peer = (SocketAddress) { .size = sizeof peer.storage };
                connection->fd = accept4(s->fd, &peer.any, &peer.size, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (connection->fd >= 0)
                        break;
                if (errno == ECONNABORTED)
                        continue; /* it went away while it waited */
                r = socket_retry(s, errno, POLLIN, until);
                if (r != 0)
                        mp_raise_OSError(r);
        }
        items[0] = MP_OBJ_FROM_PTR(connection);
        items[1] = socket_address_to_obj(&peer);
        return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_accept_obj, socket_accept);

static mp_obj_t socket_connect(mp_obj_t self_in, mp_obj_t address_in) {
        Socket *s = socket_from_obj(self_in);
        int64_t until = socket_deadline(s);
        SocketAddress address;
        socklen_t size = sizeof(int);
        int error = 0;

        socket_address_of(s, &address, address_in);
        while (connect(s->fd, &address.any, address.size) < 0) {
                if (errno != EALREADY)
                        s->connecting = errno == EINPROGRESS;
                if (errno == EINTR)
                        continue;
                if (errno == EAGAIN && s->family == AF_UNIX && s->timeout_nsec != 0) {
                        vm_delay(1000000); /* a full backlog; there is nothing to poll for */
                        if (clock_monotonic_nsec() < until)
                                continue;
                        errno = ETIMEDOUT;
                }
                if (errno != EINPROGRESS || s->timeout_nsec == 0)
                        mp_raise_OSError(errno);
                error = -socket_wait(s, POLLOUT, until);
                if (error != 0)
                        mp_raise_OSError(error);
                if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                        error = errno;
                (void) connect(s->fd, &address.any, address.size); /* or the next one would be told of this one's end */
                s->connecting = false;
                if (error != 0)
                        mp_raise_OSError(error);
                break;
        }
        /* The kernel says so once of a connection that was made meanwhile, other boards never do. */
        if (s->connecting) {
                s->connecting = false;
                mp_raise_OSError(MP_EISCONN);
        }
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_connect_obj, socket_connect);

static mp_obj_t socket_shutdown(mp_obj_t self_in, mp_obj_t how) {
        Socket *s = socket_from_obj(self_in);

        if (shutdown(s->fd, mp_obj_get_int(how)) < 0)
                mp_raise_OSError(errno);
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(socket_shutdown_obj, socket_shutdown);

static mp_obj_t socket_name(mp_obj_t self_in, int (*f)(int, struct sockaddr *, socklen_t *)) {
        Socket *s = socket_from_obj(self_in);
        SocketAddress address = { .size = sizeof address.storage };

        if (f(s->fd, &address.any, &address.size) < 0)
                mp_raise_OSError(errno);
        return socket_address_to_obj(&address);
}

static mp_obj_t socket_getsockname(mp_obj_t self_in) {
        return socket_name(self_in, getsockname);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_getsockname_obj, socket_getsockname);

static mp_obj_t socket_getpeername(mp_obj_t self_in) {
        return socket_name(self_in, getpeername);
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_getpeername_obj, socket_getpeername);

/* ---- data ---- */

/* Both answer as the stream protocol does: MP_STREAM_ERROR and *ret_error. */
static mp_uint_t receive(Socket *s, void *buf, size_t size, int flags, SocketAddress *ret_from,
                         int *ret_error) {
        int64_t until = socket_deadline(s);

        for (;;) {
                ssize_t n;

                if (ret_from)
                        *ret_from = (SocketAddress) { .size = sizeof ret_from->storage };
                n = recvfrom(s->fd, buf, size, flags, ret_from ? &ret_from->any : NULL,
                             ret_from ? &ret_from->size : NULL);
                if (n >= 0)
                        return (mp_uint_t) n;
                *ret_error = socket_retry(s, errno, POLLIN, until);
                if (*ret_error != 0)
                        return MP_STREAM_ERROR;
        }
}

static mp_uint_t transmit(Socket *s, const void *buf, size_t size, int flags,
                          const SocketAddress *to, int *ret_error) {
        int64_t until = socket_deadline(s);

        for (;;) {
                ssize_t n = sendto(s->fd, buf, size, flags | MSG_NOSIGNAL, to ? &to->any : NULL,
                                   to ? to->size : 0);

                if (n >= 0)
                        return (mp_uint_t) n;
                *ret_error = socket_retry(s, errno, POLLOUT, until);
                if (*ret_error != 0)
                        return MP_STREAM_ERROR;
        }
}

size_t socket_size_from_obj(mp_obj_t o) {
        mp_int_t size = mp_obj_get_int(o);

        if (size < 0)
                mp_raise_ValueError(MP_ERROR_TEXT("negative size"));
        return (size_t) size;
}

static mp_obj_t receive_bytes(size_t n_args, const mp_obj_t *args, SocketAddress *ret_from) {
        Socket *s = socket_from_obj(args[0]);
        int flags = n_args > 2 ? mp_obj_get_int(args[2]) : 0;
        mp_uint_t n;
        vstr_t bytes;
        int error;

        vstr_init_len(&bytes, socket_size_from_obj(args[1]));
        n = receive(s, bytes.buf, bytes.len, flags, ret_from, &error);
        if (n == MP_STREAM_ERROR)
                mp_raise_OSError(error);
        bytes.len = MIN(n, bytes.len); /* with MSG_TRUNC it is the datagram's own size */
        return mp_obj_new_bytes_from_vstr(&bytes);
}

static mp_obj_t socket_recv(size_t n_args, const mp_obj_t *args) {
        return receive_bytes(n_args, args, NULL);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_recv_obj, 2, 3, socket_recv);

static mp_obj_t socket_recvfrom(size_t n_args, const mp_obj_t *args) {
        SocketAddress from;
        mp_obj_t items[2];

        items[0] = receive_bytes(n_args, args, &from);
        items[1] = socket_address_to_obj(&from);
        return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_recvfrom_obj, 2, 3, socket_recvfrom);

/* recv_into(buffer[, size]): what CPython and CircuitPython have. */
static mp_obj_t socket_recv_into(size_t n_args, const mp_obj_t *args) {
        Socket *s = socket_from_obj(args[0]);
        mp_buffer_info_t buf;
        size_t size;
        mp_uint_t n;
        int error;

        mp_get_buffer_raise(args[1], &buf, MP_BUFFER_WRITE);
        size = n_args > 2 ? socket_size_from_obj(args[2]) : 0;
        n = receive(s, buf.buf, size > 0 ? MIN(size, buf.len) : buf.len, 0, NULL, &error);
        if (n == MP_STREAM_ERROR)
                mp_raise_OSError(error);
        return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_recv_into_obj, 2, 3, socket_recv_into);

static mp_obj_t socket_send(size_t n_args, const mp_obj_t *args) {
        Socket *s = socket_from_obj(args[0]);
        int flags = n_args > 2 ? mp_obj_get_int(args[2]) : 0;
        mp_buffer_info_t buf;
        mp_uint_t n;
        int error;

        mp_get_buffer_raise(args[1], &buf, MP_BUFFER_READ);
        n = transmit(s, buf.buf, buf.len, flags, NULL, &error);
        if (n == MP_STREAM_ERROR)
                mp_raise_OSError(error);
        return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_send_obj, 2, 3, socket_send);

static mp_obj_t socket_sendall(size_t n_args, const mp_obj_t *args) {
        Socket *s = socket_from_obj(args[0]);
        int flags = n_args > 2 ? mp_obj_get_int(args[2]) : 0;
        mp_buffer_info_t buf;
        int error;

        mp_get_buffer_raise(args[1], &buf, MP_BUFFER_READ);
        for (size_t done = 0; done < buf.len;) {
                mp_uint_t n;

                if (s->fd < 0)
                        mp_raise_OSError(MP_EBADF);
                n = transmit(s, (const char *) buf.buf + done, buf.len - done, flags, NULL, &error);
                if (n == MP_STREAM_ERROR)
                        mp_raise_OSError(error);
                done += n;
                irq_handle_events();
        }
        return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_sendall_obj, 2, 3, socket_sendall);

/* sendto(bytes[, flags], address) */
static mp_obj_t socket_sendto(size_t n_args, const mp_obj_t *args) {
        Socket *s = socket_from_obj(args[0]);
        int flags = n_args > 3 ? mp_obj_get_int(args[2]) : 0;
        SocketAddress to;
        mp_buffer_info_t buf;
        mp_uint_t n;
        int error;

        mp_get_buffer_raise(args[1], &buf, MP_BUFFER_READ);
        socket_address_of(s, &to, args[n_args - 1]);
        n = transmit(s, buf.buf, buf.len, flags, &to, &error);
        if (n == MP_STREAM_ERROR)
                mp_raise_OSError(error);
        return MP_OBJ_NEW_SMALL_INT(n);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_sendto_obj, 3, 4, socket_sendto);

/* ---- the stream protocol, and what belongs to it ---- */

static mp_obj_t socket_fileno(mp_obj_t self_in) {
        Socket *s = MP_OBJ_TO_PTR(self_in);

        return MP_OBJ_NEW_SMALL_INT(MAX(s->fd, -1));
}
static MP_DEFINE_CONST_FUN_OBJ_1(socket_fileno_obj, socket_fileno);

/* The socket is a stream already. */
static mp_obj_t socket_makefile(size_t n_args, const mp_obj_t *args) {
        return args[0];
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(socket_makefile_obj, 1, 3, socket_makefile);

/* A class that is derived from socket inherits the protocol, which is then called with an instance of that class. NULL:
 * in its __init__(), before that has called ours. */
static Socket *socket_of_stream(mp_obj_t self_in, int *errcode) {
        if (mp_obj_is_instance_type(mp_obj_get_type(self_in)))
                self_in = mp_obj_cast_to_native_base(self_in, MP_OBJ_FROM_PTR(&socket_type));
        if (self_in != MP_OBJ_NULL && mp_obj_is_exact_type(self_in, &socket_type))
                return MP_OBJ_TO_PTR(self_in);
        *errcode = MP_EBADF;
        return NULL;
}

static mp_uint_t socket_read(mp_obj_t self_in, void *buf, mp_uint_t size, int *errcode) {
        Socket *s = socket_of_stream(self_in, errcode);

        return s ? receive(s, buf, size, 0, NULL, errcode) : MP_STREAM_ERROR;
}

static mp_uint_t socket_write(mp_obj_t self_in, const void *buf, mp_uint_t size, int *errcode) {
        Socket *s = socket_of_stream(self_in, errcode);

        return s ? transmit(s, buf, size, 0, NULL, errcode) : MP_STREAM_ERROR;
}

bool socket_forget_earlier_datagram(int fd) {
        int family = AF_UNSPEC, type = 0, error = 0;
        socklen_t size = sizeof(int);

        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && (family == AF_INET || family == AF_INET6) &&
               getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM &&
               getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
               (error == 0 || error == ERROR_OF_EARLIER_DATAGRAM);
}

_Thread_local struct pollfd socket_not_ready = { .fd = -1 };

static mp_uint_t socket_poll(const Socket *s, uintptr_t events) {
        struct pollfd pfd = { .fd = s->fd };
        int r;

        if (s->fd < 0)
                return MP_STREAM_POLL_NVAL;
        pfd.events = (short) ((events & MP_STREAM_POLL_RD ? POLLIN : 0) |
                              (events & MP_STREAM_POLL_WR ? POLLOUT : 0));
        r = poll(&pfd, 1, 0);
        if ((pfd.revents & POLLERR) && socket_forget_earlier_datagram(s->fd))
                r = poll(&pfd, 1, 0);
        if (r == 0)
                socket_not_ready = pfd;
        return (pfd.revents & POLLIN ? MP_STREAM_POLL_RD : 0) |
               (pfd.revents & POLLOUT ? MP_STREAM_POLL_WR : 0) |
               (pfd.revents & POLLERR ? MP_STREAM_POLL_ERR : 0) |
               (pfd.revents & POLLHUP ? MP_STREAM_POLL_HUP : 0);
}

static mp_uint_t socket_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
        Socket *s = socket_of_stream(self_in, errcode);

        if (!s)
                return MP_STREAM_ERROR;
        switch (request) {
        case MP_STREAM_POLL:
                return socket_poll(s, arg);
        case MP_STREAM_GET_FILENO:
                if (s->fd >= 0)
                        return (mp_uint_t) s->fd;
                *errcode = MP_EBADF;
                return MP_STREAM_ERROR;
        case MP_STREAM_CLOSE:
                socket_close(s);
                return 0;
        default:
                *errcode = MP_EINVAL;
                return MP_STREAM_ERROR;
        }
}

/* ---- the type ---- */

static void socket_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
        const Socket *s = MP_OBJ_TO_PTR(self_in);

        mp_printf(print, "<socket fd=%d family=%d type=%d>", MAX(s->fd, -1), s->family, s->type);
}

static const mp_rom_map_elem_t socket_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_accept), MP_ROM_PTR(&socket_accept_obj) },
        { MP_ROM_QSTR(MP_QSTR_bind), MP_ROM_PTR(&socket_bind_obj) },
        { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
        { MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&socket_connect_obj) },
        { MP_ROM_QSTR(MP_QSTR_fileno), MP_ROM_PTR(&socket_fileno_obj) },
        { MP_ROM_QSTR(MP_QSTR_getpeername), MP_ROM_PTR(&socket_getpeername_obj) },
        { MP_ROM_QSTR(MP_QSTR_getsockname), MP_ROM_PTR(&socket_getsockname_obj) },
        { MP_ROM_QSTR(MP_QSTR_getsockopt), MP_ROM_PTR(&socket_getsockopt_obj) },
        { MP_ROM_QSTR(MP_QSTR_listen), MP_ROM_PTR(&socket_listen_obj) },
        { MP_ROM_QSTR(MP_QSTR_makefile), MP_ROM_PTR(&socket_makefile_obj) },
        { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
        { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
        { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
        { MP_ROM_QSTR(MP_QSTR_recv), MP_ROM_PTR(&socket_recv_obj) },
        { MP_ROM_QSTR(MP_QSTR_recv_into), MP_ROM_PTR(&socket_recv_into_obj) },
        { MP_ROM_QSTR(MP_QSTR_recvfrom), MP_ROM_PTR(&socket_recvfrom_obj) },
        { MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&socket_send_obj) },
        { MP_ROM_QSTR(MP_QSTR_sendall), MP_ROM_PTR(&socket_sendall_obj) },
        { MP_ROM_QSTR(MP_QSTR_sendto), MP_ROM_PTR(&socket_sendto_obj) },
        { MP_ROM_QSTR(MP_QSTR_setblocking), MP_ROM_PTR(&socket_setblocking_obj) },
        { MP_ROM_QSTR(MP_QSTR_setsockopt), MP_ROM_PTR(&socket_setsockopt_obj) },
        { MP_ROM_QSTR(MP_QSTR_settimeout), MP_ROM_PTR(&socket_settimeout_obj) },
        { MP_ROM_QSTR(MP_QSTR_shutdown), MP_ROM_PTR(&socket_shutdown_obj) },
        { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
        { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&mp_stream_close_obj) },
        { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj) },
        { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&mp_stream___exit___obj) },
};
static MP_DEFINE_CONST_DICT(socket_locals, socket_locals_table);

static const mp_stream_p_t socket_stream = {
        .read = socket_read,
        .write = socket_write,
        .ioctl = socket_ioctl,
};

MP_DEFINE_CONST_OBJ_TYPE(socket_type, MP_QSTR_socket, MP_TYPE_FLAG_NONE, make_new, socket_make_new,
                         print, socket_print, protocol, &socket_stream, locals_dict, &socket_locals);
