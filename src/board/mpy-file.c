/* SPDX-License-Identifier: MIT */
/* Loads and runs compiled files. See mpy-file.h. */
#include "board/mpy-file.h"

#include "util/macros.h"

#include "py/mphal.h"
#include "py/persistentcode.h"
#include "py/runtime.h"
#include "shared/runtime/pyexec.h"

void mpy_file_load(qstr path, mp_compiled_module_t *cm);
void mpy_file_load_mem(const byte *data, size_t size, mp_compiled_module_t *cm);

#define HEADER_SIZE 4 /* the loader itself tells a file that ends in it from a good one */

/* A reader whose first byte has been looked at, and whose end is an error: the loader asks for no more
 * than a whole file has, and would go on for ever in a file that was cut (py/persistentcode.c takes
 * the mark of the end for a byte of a number that goes on). */
typedef struct PeekedReader {
        mp_reader_t inner;
        mp_uint_t first;
        size_t n_taken;
} PeekedReader;

static mp_uint_t peeked_readbyte(void *data) {
        PeekedReader *p = data;
        mp_uint_t byte = p->n_taken > 0 ? p->inner.readbyte(p->inner.data) : p->first;

        if (p->n_taken++ >= HEADER_SIZE && byte == MP_READER_EOF)
                mp_raise_ValueError(MP_ERROR_TEXT("incompatible .mpy file: it ends too early"));
        return byte;
}

static void peeked_close(void *data) {
        PeekedReader *p = data;

        p->inner.close(p->inner.data);
}

/* Stands for mp_raw_code_load_file() in the import machinery. CircuitPython's files have the same
 * version and another first byte (D33): who meets one should be told what to do. */
void mpy_file_load(qstr path, mp_compiled_module_t *cm) {
        PeekedReader *p = m_new_obj(PeekedReader);
        mp_reader_t reader = { .data = p, .readbyte = peeked_readbyte, .close = peeked_close };

        mp_reader_new_file(&p->inner, path);
        if (mp_reader_try_read_rom(&p->inner, 0)) {
                mp_raw_code_load(&p->inner, cm); /* it stays where it is, in a ROMFS */
                return;
        }
        p->first = p->inner.readbyte(p->inner.data);
        p->n_taken = 0;
        if (p->first == 'C') {
                peeked_close(p);
                mp_raise_msg_varg(&mp_type_ValueError,
                                  MP_ERROR_TEXT("incompatible .mpy file: %q is CircuitPython's, "
                                                "install its .py source"),
                                  path);
        }
        mp_raw_code_load(&reader, cm);
}

/* Stands for mp_raw_code_load_mem() in marshal.loads(). */
void mpy_file_load_mem(const byte *data, size_t size, mp_compiled_module_t *cm) {
        PeekedReader *p = m_new_obj(PeekedReader);
        mp_reader_t reader = { .data = p, .readbyte = peeked_readbyte, .close = peeked_close };

        mp_reader_new_mem(&p->inner, data, size, 0);
        p->first = p->inner.readbyte(p->inner.data);
        p->n_taken = 0;
        mp_raw_code_load(&reader, cm);
}

static mp_obj_t mpy_file_function(const char *path) {
        mp_compiled_module_t cm;

        cm.context = m_new_obj(mp_module_context_t);
        cm.context->module.base.type = &mp_type_module;
        cm.context->module.globals = mp_globals_get();
        mpy_file_load(qstr_from_str(path), &cm);
        return mp_make_function_from_proto_fun(cm.rc, cm.context, NULL);
}

void mpy_file_run(const char *path) {
        nlr_buf_t nlr;
        int ret = 0;

        exec_begin();
        nlr.ret_val = NULL;
        if (nlr_push(&nlr) == 0) {
                mp_obj_t function = mpy_file_function(path);

                mp_hal_set_interrupt_char(CHAR_CTRL_C);
                mp_call_function_0(function);
                mp_hal_set_interrupt_char(-1);
                mp_handle_pending(true);
                nlr_pop();
                ret = 1;
        } else {
                mp_hal_set_interrupt_char(-1);
                mp_handle_pending(false);
                if (mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(((mp_obj_base_t *) nlr.ret_val)->type),
                                            MP_OBJ_FROM_PTR(&mp_type_SystemExit)))
                        ret = PYEXEC_FORCED_EXIT;
                else
                        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
        }
        exec_end(nlr.ret_val, &ret);
}
