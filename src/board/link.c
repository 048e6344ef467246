/* SPDX-License-Identifier: MIT */
/* The board's end of the link: one message, one datagram; a supervisor that is gone ends the
 * board. */
#include "board/link.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <syslog.h>

#define LOG_LINE_MAX 512

static atomic_uint sequence;

/* Returns 0, or -EAGAIN when the socket is full and flags say not to wait. */
static int link_send_flags(const LinkMessage *m, int flags) {
        uint8_t buf[LINK_MESSAGE_MAX];
        LinkMessage stamped = *m;
        int size;

        stamped.seq = atomic_fetch_add(&sequence, 1);
        size = link_encode(&stamped, buf, sizeof buf);
        assert(size > 0); /* we made it ourselves */
        for (;;) {
                if (send(BOARD_FD_LINK, buf, (size_t) size, flags | MSG_NOSIGNAL) == size)
                        return 0;
                if (errno == EAGAIN)
                        return -EAGAIN;
                if (errno != EINTR)
                        board_exit_orphan();
        }
}

void link_send(const LinkMessage *m) {
        while (link_send_flags(m, 0) < 0) {
                struct pollfd pfd = { .fd = BOARD_FD_LINK, .events = POLLOUT };

                (void) poll(&pfd, 1, -1);
        }
}

void link_log(int level, const char *format, ...) {
        char line[LOG_LINE_MAX];
        va_list ap;
        int n;

        va_start(ap, format);
        n = vsnprintf(line, sizeof line, format, ap);
        va_end(ap);
        if (n < 0)
                return;
        (void) link_send_flags(&(LinkMessage) {
                .type = LINK_LOG,
                .data = {
                        .level = (uint8_t) level,
                        .data = line,
                        .size = MIN((size_t) n, sizeof line - 1),
                },
        }, MSG_DONTWAIT);
}

void link_last_words(const char *text) {
        (void) link_send_flags(&(LinkMessage) {
                .type = LINK_LOG,
                .data = { .level = LOG_CRIT, .data = text, .size = strlen(text) },
        }, MSG_DONTWAIT);
}

static int take_descriptor(struct msghdr *h) {
        int fd = -EBADF;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        return fd;
}

bool link_receive(bool wait, void *buf, LinkMessage *ret, int *ret_fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = buf, .iov_len = LINK_MESSAGE_MAX };
        struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
        int flags = MSG_TRUNC | MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT);
        ssize_t n;

        do {
                h.msg_control = ret_fd ? &control : NULL;
                h.msg_controllen = ret_fd ? sizeof control : 0;
                n = recvmsg(BOARD_FD_LINK, &h, flags);
        } while (n < 0 && (errno == EINTR || (wait && errno == EAGAIN)));
        if (ret_fd)
                *ret_fd = n > 0 ? take_descriptor(&h) : -EBADF;
        if (n < 0 && errno == EAGAIN)
                return false;
        if (n <= 0)
                board_exit_orphan();
        if ((size_t) n > LINK_MESSAGE_MAX || link_decode(buf, (size_t) n, ret) < 0)
                board_exit_fatal("The supervisor sent a message that is none.");
        return true;
}
