/* SPDX-License-Identifier: MIT */
/* The console's input buffer between I/O thread and VM, guarded by the arming lock. See input.h. */
#include "board/input.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "board/io-thread.h"
#include "board/irq.h"
#include "mpyd/board-link.h"
#include "util/io.h"

#define PIPE_SIZE_WIDE LINK_PIPE_MAX
#define PEEKED_MAX 16

static struct {
        char data[LINK_INPUT_MAX]; /* ring */
        size_t start, len;
        uint64_t taken;            /* bytes ever read from the pipe */
        /* Bytes in the pipe up to this one were looked at; those among them that interrupted user
         * code are not ordinary input when they are read at last. */
        uint64_t peeked;
        uint64_t peeked_hit[PEEKED_MAX];
        size_t n_peeked_hits;
        int peek_pipe[2];
} input;

int input_init(void) {
        input.peek_pipe[0] = input.peek_pipe[1] = -EBADF;
        return fd_set_nonblock(BOARD_FD_CONSOLE_IN, true);
}

static void input_append(const char *data, size_t n) {
        size_t end = (input.start + input.len) % sizeof input.data;
        size_t first = MIN(n, sizeof input.data - end);

        memcpy(input.data + end, data, first);
        memcpy(input.data, data + first, n - first);
        input.len += n;
}

/* True for a byte of the pipe that input_peek() has made an interrupt of. */
static bool input_was_hit(uint64_t position) {
        if (input.n_peeked_hits == 0 || input.peeked_hit[0] != position)
                return false;
        input.n_peeked_hits--;
        memmove(input.peeked_hit, input.peeked_hit + 1,
                input.n_peeked_hits * sizeof *input.peeked_hit);
        return true;
}

/* With the lock held: each interrupt character interrupts, the others are input. */
static void input_accept(const char *data, size_t n) {
        for (size_t i = 0; i < n; i++) {
                if (input_was_hit(input.taken++))
                        continue;
                if (irq_char_locked() == (unsigned char) data[i])
                        irq_interrupt_locked();
                else
                        input_append(data + i, 1);
        }
        input.peeked = MAX(input.peeked, input.taken);
}

bool input_fill(void) {
        char buf[4096];

        for (;;) {
                size_t room;
                ssize_t n;

                irq_lock();
                room = MIN(sizeof input.data - input.len, sizeof buf);
                irq_unlock();
                if (room == 0)
                        return true;
                n = read(BOARD_FD_CONSOLE_IN, buf, room);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 && errno == EAGAIN;
                irq_lock();
                input_accept(buf, (size_t) n);
                irq_unlock();
                irq_wake_vm();
        }
}

bool input_is_full(void) {
        bool full;

        irq_lock();
        full = input.len == sizeof input.data;
        irq_unlock();
        return full;
}

bool input_available(void) {
        bool available;

        irq_lock();
        available = input.len > 0;
        irq_unlock();
        return available;
}

size_t input_read(void *buf, size_t size) {
        char *out = buf;
        bool was_full;
        size_t n;

        irq_lock();
        was_full = input.len == sizeof input.data;
        n = MIN(size, input.len);
        for (size_t i = 0; i < n; i++)
                out[i] = input.data[(input.start + i) % sizeof input.data];
        input.len -= n;
        input.start = input.len == 0 ? 0 : (input.start + n) % sizeof input.data;
        irq_unlock();
        if (was_full && n > 0)
                io_thread_kick(); /* there is room again */
        return n;
}

bool input_take_char_locked(int c) {
        size_t kept = 0;

        for (size_t i = 0; i < input.len; i++) {
                char b = input.data[(input.start + i) % sizeof input.data];

                if ((unsigned char) b != c)
                        input.data[(input.start + kept++) % sizeof input.data] = b;
        }
        if (kept == input.len)
                return false;
        input.len = kept;
        return true;
}

/* ---- looking into the pipe ---- */

static int peek_open(void) {
        if (input.peek_pipe[0] >= 0)
                return 0;
        if (pipe2(input.peek_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        /* Wider ones see further; the default still works. */
        (void) fcntl(BOARD_FD_CONSOLE_IN, F_SETPIPE_SZ, PIPE_SIZE_WIDE);
        (void) fcntl(input.peek_pipe[1], F_SETPIPE_SZ, PIPE_SIZE_WIDE);
        return 0;
}

/* With the lock held: data lay in the pipe at position. */
static void peek_scan(uint64_t position, const char *data, size_t n) {
        for (size_t i = 0; i < n && input.n_peeked_hits < PEEKED_MAX; i++) {
                if (position + i < input.peeked)
                        continue;
                input.peeked = position + i + 1;
                if (irq_char_locked() == (unsigned char) data[i]) {
                        input.peeked_hit[input.n_peeked_hits++] = position + i;
                        irq_interrupt_locked();
                }
        }
}

void input_peek(void) {
        uint64_t position = input.taken; /* only this thread reads the pipe */
        int in_pipe = 0;

        if (ioctl(BOARD_FD_CONSOLE_IN, FIONREAD, &in_pipe) < 0 || in_pipe <= 0 ||
            position + (uint64_t) in_pipe <= input.peeked)
                return;
        if (peek_open() < 0 ||
            tee(BOARD_FD_CONSOLE_IN, input.peek_pipe[1], (size_t) in_pipe, SPLICE_F_NONBLOCK) <= 0)
                return;
        for (;;) {
                char buf[4096];
                ssize_t n = read(input.peek_pipe[0], buf, sizeof buf);

                if (n <= 0)
                        return;
                irq_lock();
                peek_scan(position, buf, (size_t) n);
                irq_unlock();
                position += (uint64_t) n;
        }
}
