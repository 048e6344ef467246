/* SPDX-License-Identifier: MIT */
/* A board that breaks the rules of its link in the way that the file "mode" on its flash names. It
 * takes mpyd-board's place (mpyd --board) to show that no board can hurt the supervisor. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "board/confine.h"
#include "mpyd/board-link.h"
#include "mpyd/retained.h"

static void send_bytes(const void *data, size_t size) {
        (void) !send(BOARD_FD_LINK, data, size, MSG_NOSIGNAL);
}

static void send_message(const LinkMessage *m) {
        unsigned char buf[LINK_MESSAGE_MAX];
        int n = link_encode(m, buf, sizeof buf);

        if (n < 0)
                abort();
        send_bytes(buf, (size_t) n);
}

static void say(const char *text) {
        send_message(&(LinkMessage) {
                .type = LINK_LOG,
                .data = { .level = 5, .data = text, .size = strlen(text) },
        });
}

static void send_stage(BoardStage stage) {
        send_message(&(LinkMessage) { .type = LINK_STAGE, .stage = { .stage = stage } });
}

static void send_reset(ResetKind kind) {
        send_message(&(LinkMessage) { .type = LINK_RESET, .reset = { .kind = kind } });
}

/* Waits for any message of the supervisor; ends when it is gone. */
static void receive(void) {
        unsigned char buf[LINK_MESSAGE_MAX];

        if (recv(BOARD_FD_LINK, buf, sizeof buf, 0) <= 0)
                _exit(0);
}

static _Noreturn void hang(void) {
        for (;;)
                (void) pause();
}

static void hello(void) {
        send_message(&(LinkMessage) { .type = LINK_HELLO, .hello = { .version = LINK_VERSION } });
        receive();
}

/* Up to the REPL, as a good board. */
static void boot(void) {
        hello();
        for (BoardStage s = BOARD_STAGE_BOOT_INTERNAL; s <= BOARD_STAGE_REPL; s++)
                send_stage(s);
}

/* ---- before a stage ---- */

static void mode_exit(void) {
        _exit(3);
}

static void mode_hang_after_hello(void) {
        hello();
        hang();
}

static void mode_crash_after_hello(void) {
        hello();
        abort();
}

static void mode_reset_before_stage(void) {
        hello();
        send_reset(RESET_KIND_HARD);
        hang();
}

/* ---- messages ---- */

static void mode_garbage(void) {
        unsigned char buf[64];

        memset(buf, 0xa5, sizeof buf);
        send_bytes(buf, sizeof buf);
        hang();
}

static void mode_garbage_later(void) {
        boot();
        mode_garbage();
}

static void mode_empty(void) {
        boot();
        send_bytes("", 0);
        hang();
}

static void mode_short(void) {
        boot();
        send_bytes("MP\1", 3);
        hang();
}

static void mode_over_long(void) {
        static unsigned char buf[100000];

        boot();
        send_bytes(buf, sizeof buf);
        hang();
}

static void mode_version(void) {
        unsigned char buf[LINK_MESSAGE_MAX];
        int n = link_encode(&(LinkMessage) { .type = LINK_HELLO, .hello = { LINK_VERSION, LINK_CONFINED_ALL } }, buf,
                            sizeof buf);

        buf[2] = 99;
        send_bytes(buf, (size_t) n);
        hang();
}

static void mode_supervisors_message(void) {
        boot();
        send_message(&(LinkMessage) { .type = LINK_STOP });
        hang();
}

/* Descriptors come with a message: nobody asked for them. */
static void mode_descriptors(void) {
        unsigned char buf[LINK_MESSAGE_MAX];
        int fds[8];
        union {
                char space[CMSG_SPACE(sizeof fds)];
                struct cmsghdr align;
        } control = {};
        struct iovec iov = { .iov_base = buf };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.space,
                .msg_controllen = sizeof control.space,
        };
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

        boot();
        for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
                fds[i] = STDIN_FILENO;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(c), fds, sizeof fds);
        iov.iov_len = (size_t) link_encode(&(LinkMessage) {
                                                   .type = LINK_STAGE,
                                                   .stage = { .stage = BOARD_STAGE_REPL },
                                           },
                                           buf, sizeof buf);
        for (unsigned i = 0; i < 100; i++)
                (void) !sendmsg(BOARD_FD_LINK, &msg, MSG_NOSIGNAL);
        say("descriptors sent");
        hang();
}

static void mode_unread_flood(void) {
        static const char text[4000];

        boot();
        for (unsigned i = 0; i < 100; i++)
                send_message(&(LinkMessage) {
                        .type = LINK_UNREAD_INPUT,
                        .data = { .data = text, .size = sizeof text },
                });
        hang();
}

/* Lies about everything that may be lied about without breaking a rule. */
static void mode_liar(void) {
        boot();
        send_stage(BOARD_STAGE_BOOT_INTERNAL);
        send_stage(BOARD_STAGE_OFF);
        for (unsigned i = 0; i < 1000; i++)
                send_message(&(LinkMessage) {
                        .type = LINK_STAGE,
                        .stage = { .stage = BOARD_STAGE_MAIN, .console_pos = UINT64_MAX - i },
                });
        send_message(&(LinkMessage) {
                .type = LINK_STAGE_END,
                .stage_end = { .stage = BOARD_STAGE_MAX - 1,
                               .result = STAGE_RESULT_EXCEPTION,
                               .text = "\xff\xfe\x1b[31m\0x",
                               .text_size = 9 },
        });
        for (unsigned i = 0; i < 200; i++) { /* one end of a stage is the truth at the most */
                send_stage(BOARD_STAGE_REPL);
                send_message(&(LinkMessage) {
                        .type = LINK_STAGE_END,
                        .stage_end = { .stage = BOARD_STAGE_REPL,
                                       .result = STAGE_RESULT_EXCEPTION,
                                       .text = "again",
                                       .text_size = 5 },
                });
        }
        for (unsigned i = 0; i < 10; i++)
                send_message(&(LinkMessage) { .type = LINK_HELLO, .hello = { LINK_VERSION, LINK_CONFINED_ALL } });
        say("a line\nsecond line \x1b[31m \xff");
        say("lies are told");
        hang();
}

/* ---- floods ---- */

static void *flood_console(void *arg) {
        for (;;)
                if (write(BOARD_FD_CONSOLE_OUT, arg, 4000) < 0)
                        _exit(0);
}

static void mode_flood(void) {
        static char text[4000];
        pthread_t thread;

        memset(text, 'x', sizeof text);
        boot();
        if (pthread_create(&thread, NULL, flood_console, text) != 0)
                abort();
        for (;;)
                say("flood");
}

/* ---- the retained page ---- */

static void check_resize(const char *what, off_t size) {
        char text[80];

        (void) snprintf(text, sizeof text, "%s: %s", what,
                        ftruncate(BOARD_FD_RETAINED, size) == 0 ? "resized" : strerror(errno));
        say(text);
}

static void mode_resize(void) {
        boot();
        check_resize("shrink", 0);
        check_resize("grow", 1 << 20);
        if (fallocate(BOARD_FD_RETAINED, FALLOC_FL_KEEP_SIZE, RETAINED_SIZE, 1 << 20) == 0)
                say("allocate: resized");
        say("resizing is over");
        hang();
}

/* Holes and noise, all the time, also while the supervisor reads. */
static void mode_scribble(void) {
        unsigned char *page = mmap(NULL, RETAINED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                                   BOARD_FD_RETAINED, 0);
        unsigned state = 1;

        if (page == MAP_FAILED)
                abort();
        boot();
        say("scribbling");
        for (;;) {
                for (size_t i = 0; i < RETAINED_SIZE; i++) {
                        state = state * 1103515245u + 12345u;
                        page[i] = (unsigned char) (state >> 16);
                }
                (void) fallocate(BOARD_FD_RETAINED, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                                 RETAINED_SIZE);
        }
}

/* As a board whose VM is lost. */
static void mode_last_words(void) {
        static const char text[] = "The VM cannot go on: uncaught MemoryError outside of any frame.";

        boot();
        send_message(&(LinkMessage) {
                .type = LINK_LOG,
                .data = { .level = 2, .data = text, .size = sizeof text - 1 },
        });
        _exit(70);
}

/* ---- watchdogs ---- */

static void *map_page(void) {
        void *page = mmap(NULL, RETAINED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, BOARD_FD_RETAINED, 0);

        if (page == MAP_FAILED)
                abort();
        return page;
}

/* A time that the codec would not send. */
static void mode_watchdog_range(void) {
        unsigned char buf[LINK_MESSAGE_MAX];
        int n = link_encode(&(LinkMessage) {
                                    .type = LINK_WATCHDOG,
                                    .watchdog = { WATCHDOG_MACHINE, LINK_WATCHDOG_MIN_USEC, 0 },
                            },
                            buf, sizeof buf);

        boot();
        memset(buf + LINK_HEADER_SIZE + 8, 0, 8); /* stop it */
        send_bytes(buf, (size_t) n);
        hang();
}

/* Fed until the end of time, it says. */
static void mode_watchdog_future(void) {
        void *page = map_page();

        boot();
        send_message(&(LinkMessage) {
                .type = LINK_WATCHDOG,
                .watchdog = { WATCHDOG_MACHINE, 300000, 299999 },
        });
        retained_word_set(retained_word(page, RETAINED_WORD_FEED_MACHINE), UINT64_MAX);
        hang();
}

/* Both timers, set anew all the time, and an answer that nobody asked for. */
static void mode_watchdog_flood(void) {
        void *page = map_page();

        boot();
        say("flooding");
        for (uint64_t i = 0;; i++) {
                send_message(&(LinkMessage) {
                        .type = LINK_WATCHDOG,
                        .watchdog = { (WatchdogId) (i % 2), LINK_WATCHDOG_MAX_USEC - i % 9, i % 7 },
                });
                send_message(&(LinkMessage) { .type = LINK_AWAKE });
                retained_word_set(retained_word(page, (RetainedWord) (i % RETAINED_WORD_MAX)),
                                  i * i << (i % 64));
        }
}

/* ---- not going away ---- */

static void mode_stubborn(void) {
        for (int i = 1; i < NSIG; i++)
                (void) signal(i, SIG_IGN);
        boot();
        hang();
}

static void mode_close_all(void) {
        boot();
        (void) close(BOARD_FD_CONSOLE_IN);
        (void) close(BOARD_FD_CONSOLE_OUT);
        say("closing the link");
        (void) close(BOARD_FD_LINK);
        hang();
}

/* Says that it ends, and does not. */
static void mode_empty_promise(void) {
        boot();
        send_stage(BOARD_STAGE_STOPPING);
        send_reset(RESET_KIND_SOFT);
        hang();
}

static const struct {
        const char *name;
        void (*run)(void);
} modes[] = {
        { "close-all", mode_close_all },
        { "crash", abort },
        { "crash-after-hello", mode_crash_after_hello },
        { "descriptors", mode_descriptors },
        { "empty", mode_empty },
        { "empty-promise", mode_empty_promise },
        { "exit", mode_exit },
        { "flood", mode_flood },
        { "garbage", mode_garbage },
        { "garbage-later", mode_garbage_later },
        { "hang", hang },
        { "hang-after-hello", mode_hang_after_hello },
        { "last-words", mode_last_words },
        { "liar", mode_liar },
        { "over-long", mode_over_long },
        { "reset-before-stage", mode_reset_before_stage },
        { "resize", mode_resize },
        { "scribble", mode_scribble },
        { "short", mode_short },
        { "stubborn", mode_stubborn },
        { "supervisors-message", mode_supervisors_message },
        { "unread-flood", mode_unread_flood },
        { "version", mode_version },
        { "watchdog-flood", mode_watchdog_flood },
        { "watchdog-future", mode_watchdog_future },
        { "watchdog-range", mode_watchdog_range },
};

/* As a board does: what is hostile comes with a script, into a process that is confined. */
static bool give_up_rights(int argc, char *argv[]) {
        ConfineSpec spec = {
                .change_user = argc == 2,
                .supervisor = getppid(),
                .flash_fd = BOARD_FD_FLASH,
        };
        Confinement c;
        const char *what;

        if (argc > 2 || (argc == 2 && confine_parse_user(argv[1], &spec.uid, &spec.gid) < 0))
                return false;
        return confine(&spec, &c, &what) == 0;
}

int main(int argc, char *argv[]) {
        char name[64] = "";
        int fd;

        if (!give_up_rights(argc, argv))
                return 102;
        fd = openat(BOARD_FD_FLASH, "mode", O_RDONLY | O_CLOEXEC);

        if (fd < 0 || read(fd, name, sizeof name - 1) < 0)
                return 100;
        (void) close(fd);
        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
                if (strcmp(modes[i].name, name) == 0)
                        modes[i].run();
        return 101;
}
