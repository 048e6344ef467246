/* SPDX-License-Identifier: MIT */
/* Control bus: peer to peer over a Unix socket, no bus daemon in between. */
#include "ctl/bus.h"

#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/style.h"
#include "mpyd/control.h"

/* A directory with a long name is reached by its descriptor: sun_path has 108 bytes. */
static int socket_connect(const char *run_dir) {
        _cleanup_close_ int fd = -EBADF, dir = -EBADF;
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int n;

        n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", run_dir, CONTROL_SOCKET);
        if (n < 0 || (size_t) n >= sizeof(sa.sun_path)) {
                dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (dir < 0)
                        return -errno;
                (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", dir,
                                CONTROL_SOCKET);
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int bus_connect(const Ctl *c, sd_bus **ret) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int fd, r;

        fd = socket_connect(c->run_dir);
        if (fd < 0)
                return fd;
        r = sd_bus_new(&bus);
        if (r < 0) {
                safe_close(fd);
                return r;
        }
        r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0) {
                safe_close(fd);
                return r;
        }
        r = sd_bus_negotiate_fds(bus, 1);
        if (r >= 0)
                r = sd_bus_set_method_call_timeout(bus, BUS_TIMEOUT_USEC);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

bool bus_is_absent(int error) {
        return error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR;
}

int bus_connect_or_explain(const Ctl *c, sd_bus **ret) {
        int r = bus_connect(c, ret);

        return r < 0 ? bus_explain(c, r, NULL, "talk to mpyd") : CTL_EXIT_OK;
}

bool run_dir_is_the_services(const Ctl *c) {
        return streq(c->run_dir, CONTROL_DEFAULT_RUN_DIR);
}

static int explain_absent(const Ctl *c, int error) {
        complain("mpyd is not running (%s/%s: %s).", c->run_dir, CONTROL_SOCKET,
                 strerror(-error));
        if (run_dir_is_the_services(c))
                advise("start it: systemctl start mpyd; if it does not stay: journalctl -u mpyd");
        else
                advise("start it (in a source tree: make run), or see --run-dir and MPYD_RUN_DIR");
        return CTL_EXIT_NOT_RUNNING;
}

static int explain_permission(const char *doing, const char *message) {
        complain("Not allowed to %s%s%s.", doing, message ? ": " : "", message ? message : "");
        advise("run as root, or join the group: sudo usermod -aG mpyd $USER, then log in again");
        return CTL_EXIT_PERMISSION;
}

int bus_explain(const Ctl *c, int error, const sd_bus_error *e, const char *doing) {
        const char *name = e && e->name ? e->name : "";
        const char *message = e && e->message ? e->message : NULL;

        if (streq(name, CONTROL_ERROR_CONSOLE_BUSY)) {
                complain("%s.", message ? message : "the REPL is in use");
                advise("wait until it is left, or take it over: --take-over");
                return CTL_EXIT_BUSY;
        }
        if (streq(name, CONTROL_ERROR_NO_BOARD)) {
                complain("Cannot %s: %s.", doing, message ? message : "no board runs just now");
                advise("mpyctl status says why");
                return CTL_EXIT_NO_BOARD;
        }
        if (streq(name, SD_BUS_ERROR_ACCESS_DENIED))
                return explain_permission(doing, message);
        if (streq(name, SD_BUS_ERROR_UNKNOWN_METHOD) ||
            streq(name, SD_BUS_ERROR_UNKNOWN_INTERFACE) ||
            streq(name, SD_BUS_ERROR_UNKNOWN_PROPERTY)) {
                complain("This mpyd is too old to %s.", doing);
                advise("restart it so that it is the installed version: systemctl restart mpyd");
                return CTL_EXIT_FAILURE;
        }
        if (bus_is_absent(error))
                return explain_absent(c, error);
        if (error == -EACCES || error == -EPERM)
                return explain_permission(doing, message);
        if (error == -ECONNRESET || error == -ENOTCONN || error == -EPIPE ||
            error == -ESHUTDOWN) {
                complain("mpyd closed the connection while asked to %s.", doing);
                advise("is it restarting? try again, or see: mpyctl status");
                return CTL_EXIT_LOST;
        }
        if (error == -EAGAIN || error == -ETIMEDOUT) {
                complain("mpyd does not answer (asked to %s).", doing);
                advise("see what it does: journalctl -u mpyd");
                return CTL_EXIT_TIMEOUT;
        }
        complain("Failed to %s: %s.", doing, message ? message : strerror(-error));
        return CTL_EXIT_FAILURE;
}

int bus_callv(sd_bus *bus, const char *method, sd_bus_error *e, sd_bus_message **ret,
              const char *types, va_list ap) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, NULL, CONTROL_PATH, CONTROL_INTERFACE, method);
        if (r >= 0 && types && *types)
                r = sd_bus_message_appendv(m, types, ap);
        return r < 0 ? r : sd_bus_call(bus, m, BUS_TIMEOUT_USEC, e, ret);
}

int bus_call(sd_bus *bus, const char *method, sd_bus_error *e, sd_bus_message **ret,
             const char *types, ...) {
        va_list ap;
        int r;

        va_start(ap, types);
        r = bus_callv(bus, method, e, ret, types, ap);
        va_end(ap);
        return r;
}

int bus_order(const Ctl *c, const char *doing, const char *method, const char *types, ...) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        va_list ap;
        int r;

        r = bus_connect_or_explain(c, &bus);
        if (r > 0)
                return r;
        va_start(ap, types);
        r = bus_callv(bus, method, &e, NULL, types, ap);
        va_end(ap);
        return r < 0 ? bus_explain(c, r, &e, doing) : CTL_EXIT_OK;
}

int bus_open_console(sd_bus *bus, const char *verb, bool take_over, sd_bus_error *e, int *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *client = getenv("SSH_CONNECTION");
        char who[64];
        int fd, r;

        /* Our process and user are known to the daemon; where the person sits is not. */
        if (client && *client)
                (void) snprintf(who, sizeof(who), "mpyctl %s from %.*s", verb,
                                (int) MIN(strcspn(client, " "), (size_t) 39), client);
        else
                (void) snprintf(who, sizeof(who), "mpyctl %s", verb);
        r = bus_call(bus, "OpenConsole", e, &reply, "sb", who, (int) take_over);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

/* "BoardStartedBoottime" → "board_started_boottime" */
static void snake_case(const char *name, char *buf, size_t size) {
        size_t n = 0;

        for (const char *p = name; *p && n + 2 < size; p++) {
                if (isupper((unsigned char) *p) && p > name)
                        buf[n++] = '_';
                buf[n++] = (char) tolower((unsigned char) *p);
        }
        buf[n] = '\0';
}

static int read_strings(sd_bus_message *m, json_t **ret) {
        json_t *array = json_array();
        const char *s;
        int r;

        if (!array)
                return -ENOMEM;
        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &s)) > 0)
                if (json_array_append_new(array, json_string(s)) < 0)
                        r = -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                json_decref(array);
                return r;
        }
        *ret = array;
        return 0;
}

/* One variant → *ret; NULL and 0 for a type that no property has. */
static int read_value(sd_bus_message *m, json_t **ret) {
        const char *contents, *s;
        uint64_t t;
        uint32_t u;
        int b, r;

        *ret = NULL;
        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!streq(contents, "s") && !streq(contents, "u") && !streq(contents, "t") &&
            !streq(contents, "b") && !streq(contents, "as"))
                return sd_bus_message_skip(m, "v");
        r = sd_bus_message_enter_container(m, 'v', contents);
        if (r < 0)
                return r;
        if (streq(contents, "as"))
                r = read_strings(m, ret);
        else if (streq(contents, "s")) {
                r = sd_bus_message_read(m, "s", &s);
                if (r >= 0)
                        *ret = json_string(s);
        } else if (streq(contents, "u")) {
                r = sd_bus_message_read(m, "u", &u);
                if (r >= 0)
                        *ret = json_integer(u);
        } else if (streq(contents, "t")) {
                r = sd_bus_message_read(m, "t", &t);
                if (r >= 0)
                        *ret = json_integer((json_int_t) MIN(t, (uint64_t) INT64_MAX));
        } else {
                r = sd_bus_message_read(m, "b", &b);
                if (r >= 0)
                        *ret = json_boolean(b);
        }
        if (r < 0)
                return r;
        if (!*ret)
                return -ENOMEM;
        return sd_bus_message_exit_container(m);
}

int bus_get_properties(sd_bus *bus, json_t **ret, sd_bus_error *e) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *object = NULL;
        int r;

        r = sd_bus_call_method(bus, NULL, CONTROL_PATH, "org.freedesktop.DBus.Properties",
                               "GetAll", e, &reply, "s", CONTROL_INTERFACE);
        if (r < 0)
                return r;
        object = json_object();
        if (!object)
                return -ENOMEM;
        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *name;
                char key[64];
                json_t *value = NULL;

                r = sd_bus_message_read(reply, "s", &name);
                if (r >= 0)
                        r = read_value(reply, &value);
                if (r >= 0 && value) {
                        snake_case(name, key, sizeof(key));
                        if (json_object_set_new(object, key, value) < 0)
                                r = -ENOMEM;
                } else
                        json_decref(value);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r < 0) {
                json_decref(object);
                return r;
        }
        *ret = object;
        return 0;
}

static int read_state(const Ctl *c, bool may_be_absent, sd_bus **ret_bus, json_t **ret) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        *ret = NULL;
        r = bus_connect(c, &bus);
        if (r < 0)
                return may_be_absent && bus_is_absent(r) ? CTL_EXIT_OK : bus_explain(c, r, NULL, "talk to mpyd");
        r = bus_get_properties(bus, ret, &e);
        if (r < 0)
                return bus_explain(c, r, &e, "read the board's state");
        if (ret_bus)
                *ret_bus = TAKE_PTR(bus);
        return CTL_EXIT_OK;
}

int bus_read_state(const Ctl *c, sd_bus **ret_bus, json_t **ret) {
        return read_state(c, false, ret_bus, ret);
}

int bus_read_state_if_running(const Ctl *c, sd_bus **ret_bus, json_t **ret) {
        return read_state(c, true, ret_bus, ret);
}

const char *property_string(const json_t *properties, const char *name) {
        const char *s = json_string_value(json_object_get(properties, name));

        return s ? s : "";
}

uint64_t property_u64(const json_t *properties, const char *name) {
        json_int_t n = json_integer_value(json_object_get(properties, name));

        return n > 0 ? (uint64_t) n : 0;
}
