/* SPDX-License-Identifier: MIT */
/* One buffer: it is read from the client when it is empty, so that a bus that does not read holds the
 * client up and nothing grows. */
#include "daemon/bus-gate.h"

#include <poll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "daemon/dbus-stream.h"
#include "mpyd/control.h"

#define BUFFER_SIZE 4096u

struct BusGate {
        int client_fd, bus_fd; /* bus_fd: our end of the bus' input */
        sd_event_source *client_source, *bus_source;
        sd_event_source *held_source; /* while the bus authenticates: after whatever else happens */
        BusGateHandlers handlers;
        DbusStream stream;
        bool ended; /* nothing passes any more */
        uint8_t buffer[BUFFER_SIZE];
        size_t sent, passed, size; /* sent <= passed (may be sent) <= size (has been read) */
};

static void set_enabled(sd_event_source *s, bool enabled) {
        (void) sd_event_source_set_enabled(s, enabled ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* The bus reads what is there, and then the end. */
static void end(BusGate *g) {
        g->ended = true;
        set_enabled(g->client_source, false);
        set_enabled(g->bus_source, false);
        set_enabled(g->held_source, false);
        (void) shutdown(g->bus_fd, SHUT_WR);
}

static void fail(BusGate *g, const char *what) {
        end(g);
        g->handlers.fault(g->handlers.userdata, what);
}

/* Sends what may pass. false: the bus does not take more just now. */
static bool flush(BusGate *g) {
        while (g->sent < g->passed) {
                ssize_t n = send(g->bus_fd, g->buffer + g->sent, g->passed - g->sent,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return false;
                if (n < 0) { /* the bus has ended, and tells that itself */
                        end(g);
                        return true;
                }
                g->sent += (size_t) n;
        }
        return true;
}

/* Moves on what was read, as far as it may go. */
static void pass(BusGate *g) {
        bool blocked = !flush(g);

        while (!blocked && !g->ended && g->passed < g->size) {
                ssize_t n = dbus_stream_take(&g->stream, g->buffer + g->passed, g->size - g->passed);

                if (n == 0)
                        break; /* held: on_held() goes on */
                if (n < 0) {
                        fail(g, n == -EMSGSIZE ? "a message that is too large"
                                               : "this is not D-Bus");
                        return;
                }
                g->passed += (size_t) n;
                blocked = !flush(g);
        }
        if (g->ended)
                return;
        if (g->sent == g->size)
                g->sent = g->passed = g->size = 0;
        /* With no events at all it still tells when the client has gone: on_client(). */
        (void) sd_event_source_set_io_events(g->client_source, g->size == 0 ? EPOLLIN : 0);
        set_enabled(g->bus_source, blocked);
        set_enabled(g->held_source, g->stream.phase == DBUS_PHASE_HELD);
}

static int on_client(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        BusGate *g = userdata;
        struct iovec iov = { .iov_base = g->buffer, .iov_len = sizeof g->buffer };
        /* No room for descriptors: the kernel closes what comes, and says so. */
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (g->size > 0) { /* it has gone, what it said has not been passed on: the bus need not wait */
                end(g);
                return 0;
        }
        n = recvmsg(fd, &msg, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                end(g);
                return 0;
        }
        if (msg.msg_flags & MSG_CTRUNC) {
                fail(g, "a descriptor came, which no method takes");
                return 0;
        }
        g->size = (size_t) n;
        pass(g);
        return 0;
}

static int on_bus(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        pass(userdata);
        return 0;
}

/* What came behind BEGIN is a message only if the bus has taken that for BEGIN, too: until then nothing
 * passes, and a client that it refuses runs into the bus' own time limit. (Its "Connected" signal would
 * tell as well, but is not delivered while another source of the loop is always ready.) */
static int on_held(sd_event_source *s, void *userdata) {
        BusGate *g = userdata;

        if (g->handlers.authenticated(g->handlers.userdata) && dbus_stream_begin(&g->stream) >= 0)
                pass(g);
        return 0;
}

bool bus_gate_client_gone(const BusGate *g) {
        struct pollfd pfd = { .fd = g->client_fd, .events = POLLRDHUP };

        return poll(&pfd, 1, 0) != 0;
}

BusGate *bus_gate_free(BusGate *g) {
        if (!g)
                return NULL;
        sd_event_source_disable_unref(g->client_source);
        sd_event_source_disable_unref(g->bus_source);
        sd_event_source_disable_unref(g->held_source);
        safe_close(g->client_fd);
        safe_close(g->bus_fd);
        free(g);
        return NULL;
}

int bus_gate_new(BusGate **ret, sd_event *event, int fd, const BusGateHandlers *handlers,
                 int *ret_bus_fd) {
        _cleanup_(bus_gate_freep) BusGate *g = calloc(1, sizeof *g);
        _cleanup_close_ int bus_end = -EBADF;
        int pair[2], r;

        if (!g)
                return -ENOMEM;
        *g = (BusGate) { .client_fd = -EBADF, .bus_fd = -EBADF, .handlers = *handlers };
        dbus_stream_init(&g->stream, CONTROL_MESSAGE_MAX);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        g->bus_fd = pair[0];
        bus_end = pair[1];
        r = sd_event_add_io(event, &g->client_source, fd, EPOLLIN, on_client, g);
        if (r >= 0)
                r = sd_event_add_io(event, &g->bus_source, g->bus_fd, EPOLLOUT, on_bus, g);
        if (r >= 0)
                r = sd_event_source_set_enabled(g->bus_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_post(event, &g->held_source, on_held, g);
        if (r >= 0)
                r = sd_event_source_set_enabled(g->held_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        g->client_fd = fd;
        *ret_bus_fd = TAKE_FD(bus_end);
        *ret = TAKE_PTR(g);
        return 0;
}
