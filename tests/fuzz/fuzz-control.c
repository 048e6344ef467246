/* SPDX-License-Identifier: MIT */
/* The control socket: any bytes from a client, to the real server and the real sd-bus behind it. The server
 * must not crash, must not keep anything of a client that has gone, and must go on serving. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/control-server.h"
#include "fuzz.h"
#include "mpyd/control.h"
#include "util/log.h"

#define TURNS_MAX 20000u
#define QUESTIONS_MAX 64u

static char directory[] = "/tmp/fuzz-control.XXXXXX";
static char path[64];
static sd_event *event;
static ControlServer *server;
static LogRing ring;

/* What was asked of the history: answered later, as the history does. */
static struct {
        HistoryAnswer answer;
        void *data;
} questions[QUESTIONS_MAX];
static size_t n_questions;

static int append_property(void *userdata, const char *name, sd_bus_message *reply) {
#define X(name, type, meaning) { #name, type },
        static const struct {
                const char *name, *type;
        } properties[] = { CONTROL_PROPERTIES(X) };
#undef X

        for (size_t i = 0; i < ELEMENTSOF(properties); i++) {
                if (!streq(properties[i].name, name))
                        continue;
                if (streq(properties[i].type, "as"))
                        return sd_bus_message_append(reply, "as", 1, "a");
                if (streq(properties[i].type, "s"))
                        return sd_bus_message_append(reply, "s", "text");
                if (streq(properties[i].type, "u"))
                        return sd_bus_message_append(reply, "u", 1u);
                FUZZ_CHECK(streq(properties[i].type, "t"));
                return sd_bus_message_append(reply, "t", UINT64_C(1));
        }
        return -ENOENT;
}

static int reset(void *userdata, ResetKind kind, const char *who) {
        FUZZ_CHECK(kind == RESET_KIND_SOFT || kind == RESET_KIND_HARD);
        FUZZ_CHECK(strlen(who) < 200);
        control_server_emit_reset(server, "HARD_RESET", who);
        return 0;
}

static int interrupt(void *userdata) {
        return -ENOTCONN;
}

static int open_console(void *userdata, const char *who, bool take_over, int *ret) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        FUZZ_CHECK(strlen(who) < 200 && fd >= 0);
        if (!take_over) {
                (void) close(fd);
                return -EBUSY;
        }
        *ret = fd;
        return 0;
}

static const char *console_holder(void *userdata) {
        return "somebody";
}

static int ask_history(void *userdata, const HistoryQuery *q, HistoryAnswer answer, void *data) {
        FUZZ_CHECK(n_questions < QUESTIONS_MAX && q->limit <= 200);
        questions[n_questions].answer = answer;
        questions[n_questions].data = data;
        n_questions++;
        return 0;
}

static const LogRing *get_log(void *userdata) {
        return &ring;
}

static void remove_directory(void) {
        server = control_server_free(server);
        event = sd_event_unref(event);
        log_ring_done(&ring);
        (void) rmdir(directory);
}

static void start(void) {
        static const ControlBackend backend = {
                .property = append_property,
                .reset = reset,
                .interrupt = interrupt,
                .open_console = open_console,
                .console_holder = console_holder,
                .history = ask_history,
                .log = get_log,
        };
        ControlOptions options = { .path = path, .admin_gid = (gid_t) -1, .board_uid = (uid_t) -1 };

        (void) signal(SIGPIPE, SIG_IGN);
        log_set_max_level(LOG_ERR);
        FUZZ_CHECK(mkdtemp(directory));
        (void) snprintf(path, sizeof path, "%s/control", directory);
        FUZZ_CHECK(log_ring_add(&ring, 1, 6, true, "main.py", "hello"));
        FUZZ_CHECK(sd_event_new(&event) >= 0);
        FUZZ_CHECK(control_server_new(&server, event, &options, &backend) >= 0);
        (void) atexit(remove_directory);
}

/* Lets the server do what there is to do. */
static void turn(void) {
        unsigned n = 0;

        for (;;) {
                while (sd_event_run(event, 0) > 0)
                        FUZZ_CHECK(++n < TURNS_MAX);
                if (n_questions == 0)
                        return;
                while (n_questions > 0) {
                        n_questions--;
                        questions[n_questions].answer(questions[n_questions].data, 0, NULL, 0);
                }
        }
}

static void swallow(int fd) {
        char buf[16384];

        while (recv(fd, buf, sizeof buf, MSG_DONTWAIT) > 0)
                ;
}

/* The lowest number that a new descriptor would get. */
static int free_fd(void) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        (void) close(fd);
        return fd;
}

/* The first byte tells how many pieces the rest comes in. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        size_t piece;
        int before, fd;

        if (!server)
                start();
        if (size == 0)
                return 0;
        size--;
        piece = MAX(size / (1 + data[0] % 16), (size_t) 1);
        data++;
        before = free_fd();
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        strcpy(sa.sun_path, path);
        FUZZ_CHECK(connect(fd, (struct sockaddr *) &sa, sizeof sa) >= 0);
        turn();
        while (size > 0) {
                ssize_t n = send(fd, data, MIN(size, piece), MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n > 0) {
                        data += n;
                        size -= (size_t) n;
                }
                turn();
                swallow(fd);
                if (n < 0 && errno != EAGAIN)
                        break; /* it was closed */
        }
        (void) shutdown(fd, SHUT_WR);
        turn();
        swallow(fd);
        turn();
        (void) close(fd);
        turn();
        FUZZ_CHECK(free_fd() == before); /* nothing of it is left */
        return 0;
}

/* ---- seeds ---- */

typedef struct Writer {
        uint8_t *buf;
        size_t size;
} Writer;

static void put(Writer *w, const void *data, size_t size) {
        memcpy(w->buf + w->size, data, size);
        w->size += size;
}

static void put_align(Writer *w, size_t start_of_message, size_t to) {
        while ((w->size - start_of_message) % to)
                put(w, "", 1);
}

static void put_u32(Writer *w, uint32_t v) {
        const uint8_t bytes[] = { (uint8_t) v, (uint8_t) (v >> 8), (uint8_t) (v >> 16), (uint8_t) (v >> 24) };

        put(w, bytes, sizeof bytes);
}

static void put_field(Writer *w, size_t from, uint8_t code, char type, const char *value) {
        const uint8_t head[] = { code, 1, (uint8_t) type, 0 };

        put_align(w, from, 8);
        put(w, head, sizeof head);
        if (type == 'g')
                put(w, &(uint8_t) { (uint8_t) strlen(value) }, 1);
        else
                put_u32(w, (uint32_t) strlen(value));
        put(w, value, strlen(value) + 1);
}

static void put_call(Writer *w, const char *interface, const char *member, const char *signature,
                     const void *body, size_t size) {
        size_t from = w->size, fields;
        uint32_t length;

        put(w, "l\1\0\1", 4);
        put_u32(w, (uint32_t) size);
        put_u32(w, 7);
        put_u32(w, 0);
        fields = w->size;
        put_field(w, from, 1, 'o', CONTROL_PATH);
        put_field(w, from, 2, 's', interface);
        put_field(w, from, 3, 's', member);
        if (size > 0)
                put_field(w, from, 8, 'g', signature);
        length = (uint32_t) (w->size - fields);
        memcpy(w->buf + fields - 4, &length, sizeof length);
        put_align(w, from, 8);
        put(w, body, size);
}

size_t fuzz_seed(unsigned n, uint8_t *buf) {
        static const char properties[] = "org.freedesktop.DBus.Properties";
        static const char name[] = "\x0f\0\0\0org.mpyd1.Board\0"; /* CONTROL_INTERFACE, marshalled */
        static const struct {
                const char *interface, *member, *signature, *body;
                size_t size;
        } calls[] = {
#define B(body) body, sizeof body - 1
                { CONTROL_INTERFACE, "Reset", "s", B("\4\0\0\0hard\0") },
                { CONTROL_INTERFACE, "Reset", "s", B("\4\0\0\0soft\0") },
                { CONTROL_INTERFACE, "Interrupt", "", "", 0 },
                { CONTROL_INTERFACE, "OpenConsole", "sb", B("\2\0\0\0me\0\0\1\0\0\0") },
                { CONTROL_INTERFACE, "OpenConsole", "sb", B("\2\0\0\0me\0\0\0\0\0\0") },
                { CONTROL_INTERFACE, "GetHistory", "xtxu",
                  B("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\377\377\0\0") },
                { CONTROL_INTERFACE, "GetLog", "u", B("\377\377\0\0") },
                { CONTROL_INTERFACE, "FollowLog", "", "", 0 },
                { properties, "GetAll", "s", name, sizeof name - 1 },
                { properties, "Get", "ss",
                  B("\x0f\0\0\0org.mpyd1.Board\0\5\0\0\0State\0") },
                { "org.freedesktop.DBus.Introspectable", "Introspect", "", "", 0 },
                { "org.freedesktop.DBus.Peer", "Ping", "", "", 0 },
                { "org.freedesktop.DBus", "Hello", "", "", 0 },
#undef B
        };
        static const char auth[] = "\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n";
        Writer w = { .buf = buf };

        if (n > ELEMENTSOF(calls))
                return SIZE_MAX;
        put(&w, n % 2 ? "\0" : "\7", 1);
        put(&w, auth, sizeof auth - 1);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) /* the last seed makes them all */
                if (i == n || n == ELEMENTSOF(calls))
                        put_call(&w, calls[i].interface, calls[i].member, calls[i].signature,
                                 calls[i].body, calls[i].size);
        return w.size;
}
