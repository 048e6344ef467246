/* SPDX-License-Identifier: MIT */
/* sys.stdin, sys.stdout and sys.stderr, their .buffer objects, and the key that readline waits for.
 * All of them are the console: text in cooked form (CR LF out, LF in), .buffer byte for byte (SPEC
 * 1.8). */
#include "board/clock.h"
#include "board/console.h"
#include "board/input.h"
#include "board/irq.h"
#include "board/wait.h"
#include "extmod/misc.h"
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/objtype.h"
#include "py/runtime.h"
#include "py/stream.h"

/* How often a stream without a descriptor is asked for a key. */
#define DUPTERM_PERIOD_NSEC INT64_C(20000000)

typedef struct StdioStream {
        mp_obj_base_t base;
        int number; /* 0, 1, 2: also what fileno() answers, see vm_poll() */
} StdioStream;

extern const mp_obj_type_t stdio_text_type;
extern const mp_obj_type_t stdio_buffer_type;
extern const StdioStream mp_sys_stdin_obj, mp_sys_stdout_obj, mp_sys_stderr_obj;

static const StdioStream stdio_buffers[] = {
        { { &stdio_buffer_type }, 0 },
        { { &stdio_buffer_type }, 1 },
        { { &stdio_buffer_type }, 2 },
};

/* ---- keys ---- */

static bool has_dupterm(void) {
        return MP_STATE_VM(dupterm_objs[0]) != MP_OBJ_NULL;
}

/* What os.dupterm() was given, as something to wait for; false when it has no descriptor (a class of the
 * program's), or none that can be told. */
static bool dupterm_fd(struct pollfd *ret) {
        mp_obj_t stream = MP_STATE_VM(dupterm_objs[0]);
        const mp_stream_p_t *p = mp_get_stream(stream);
        mp_uint_t fd = MP_STREAM_ERROR;
        int errcode;

        if (!mp_obj_is_instance_type(mp_obj_get_type(stream)))
                fd = p->ioctl(stream, MP_STREAM_GET_FILENO, 0, &errcode);
        *ret = (struct pollfd) { .fd = (int) fd, .events = POLLIN };
        return fd != MP_STREAM_ERROR && fd > 2;
}

/* Waits for input; at the prompt the life may end meanwhile, in user code an exception may be
 * raised. */
static void stdin_wait(void) {
        bool at_prompt = !irq_in_user_code() && mp_thread_is_main_thread();
        int64_t until = VM_SLEEP_FOREVER;
        struct pollfd fd;
        nfds_t n = 0;

        irq_handle_events();
        if (at_prompt && irq_stop_wanted())
                irq_leave(IRQ_LEAVE_STOP);
        if (has_dupterm()) {
                n = dupterm_fd(&fd) ? 1 : 0;
                if (n == 0)
                        until = clock_monotonic_nsec() + DUPTERM_PERIOD_NSEC;
        }
        if (at_prompt)
                (void) vm_sleep_at_prompt(&fd, n, until, input_available);
        else
                (void) vm_sleep(&fd, n, until, input_available);
}

/* What is there: of the console, or a byte of os.dupterm()'s stream. Possibly 0. */
static size_t stdin_take(void *buf, size_t size) {
        size_t n = input_read(buf, size);
        int c;

        if (n > 0 || !has_dupterm())
                return n;
        c = mp_os_dupterm_rx_chr();
        if (c < 0)
                return 0;
        *(unsigned char *) buf = (unsigned char) c;
        return 1;
}

int mp_hal_stdin_rx_chr(void) {
        unsigned char c;

        if (!irq_in_user_code() && (irq_stop_wanted() || irq_events_pending(true)))
                stdin_wait();
        while (stdin_take(&c, 1) == 0)
                stdin_wait();
        return c;
}

/* ---- the stream protocol ---- */

static mp_uint_t stdio_read(mp_obj_t self_in, void *buf, mp_uint_t size, int *errcode) {
        const StdioStream *s = MP_OBJ_TO_PTR(self_in);
        char *bytes = buf;
        size_t n;

        if (s->number != 0) {
                *errcode = MP_EPERM;
                return MP_STREAM_ERROR;
        }
        if (size == 0)
                return 0;
        while ((n = stdin_take(buf, size)) == 0)
                stdin_wait();
        if (s->base.type == &stdio_text_type)
                for (size_t i = 0; i < n; i++)
                        if (bytes[i] == '\r')
                                bytes[i] = '\n';
        return n;
}

static mp_uint_t stdio_write(mp_obj_t self_in, const void *buf, mp_uint_t size, int *errcode) {
        const StdioStream *s = MP_OBJ_TO_PTR(self_in);

        if (s->number == 0) {
                *errcode = MP_EPERM;
                return MP_STREAM_ERROR;
        }
        if (s->base.type == &stdio_text_type)
                mp_hal_stdout_tx_strn_cooked(buf, size);
        else
                (void) mp_hal_stdout_tx_strn(buf, size);
        return size;
}

static mp_uint_t stdio_poll(const StdioStream *s, uintptr_t events) {
        mp_uint_t ready = 0;

        if (s->number == 0 && (events & MP_STREAM_POLL_RD) &&
            (input_available() || mp_os_dupterm_poll(MP_STREAM_POLL_RD)))
                ready |= MP_STREAM_POLL_RD;
        if (s->number != 0 && (events & MP_STREAM_POLL_WR) && console_is_writable())
                ready |= MP_STREAM_POLL_WR;
        return ready;
}

static mp_uint_t stdio_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
        const StdioStream *s = MP_OBJ_TO_PTR(self_in);

        switch (request) {
        case MP_STREAM_POLL:
                return stdio_poll(s, arg);
        case MP_STREAM_GET_FILENO:
                if (s->number == 0 && has_dupterm())
                        break; /* select asks for MP_STREAM_POLL then */
                return (mp_uint_t) s->number;
        case MP_STREAM_FLUSH:
                console_flush_idle();
                return 0;
        case MP_STREAM_CLOSE:
                return 0; /* the console cannot be closed from here */
        default:
                break;
        }
        *errcode = MP_EINVAL;
        return MP_STREAM_ERROR;
}

/* ---- the types ---- */

static void stdio_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
        const StdioStream *s = MP_OBJ_TO_PTR(self_in);

        mp_printf(print, "<io.%s %d>", mp_obj_get_type_str(self_in), s->number);
}

static void stdio_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
        const StdioStream *s = MP_OBJ_TO_PTR(self_in);

        if (dest[0] != MP_OBJ_NULL)
                return; /* read-only */
        if (attr == MP_QSTR_buffer && s->base.type == &stdio_text_type)
                dest[0] = MP_OBJ_FROM_PTR(&stdio_buffers[s->number]);
        else
                dest[1] = MP_OBJ_SENTINEL; /* see the table of methods */
}

static mp_obj_t stdio_fileno(mp_obj_t self_in) {
        const StdioStream *s = MP_OBJ_TO_PTR(self_in);

        return MP_OBJ_NEW_SMALL_INT(s->number);
}
static MP_DEFINE_CONST_FUN_OBJ_1(stdio_fileno_obj, stdio_fileno);

static const mp_rom_map_elem_t stdio_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_fileno), MP_ROM_PTR(&stdio_fileno_obj) },
        { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
        { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
        { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
        { MP_ROM_QSTR(MP_QSTR_readlines), MP_ROM_PTR(&mp_stream_unbuffered_readlines_obj) },
        { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
        { MP_ROM_QSTR(MP_QSTR_flush), MP_ROM_PTR(&mp_stream_flush_obj) },
        { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_identity_obj) },
        { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj) },
        { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&mp_stream___exit___obj) },
};
static MP_DEFINE_CONST_DICT(stdio_locals, stdio_locals_table);

static const mp_stream_p_t stdio_text_stream = {
        .read = stdio_read,
        .write = stdio_write,
        .ioctl = stdio_ioctl,
        .is_text = true,
};

MP_DEFINE_CONST_OBJ_TYPE(stdio_text_type, MP_QSTR_TextIOWrapper, MP_TYPE_FLAG_ITER_IS_STREAM,
                         print, stdio_print, attr, stdio_attr, protocol, &stdio_text_stream,
                         locals_dict, &stdio_locals);

static const mp_stream_p_t stdio_buffer_stream = {
        .read = stdio_read,
        .write = stdio_write,
        .ioctl = stdio_ioctl,
};

MP_DEFINE_CONST_OBJ_TYPE(stdio_buffer_type, MP_QSTR_FileIO, MP_TYPE_FLAG_ITER_IS_STREAM,
                         print, stdio_print, protocol, &stdio_buffer_stream,
                         locals_dict, &stdio_locals);

const StdioStream mp_sys_stdin_obj = { { &stdio_text_type }, 0 };
const StdioStream mp_sys_stdout_obj = { { &stdio_text_type }, 1 };
const StdioStream mp_sys_stderr_obj = { { &stdio_text_type }, 2 };
