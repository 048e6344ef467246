/* SPDX-License-Identifier: MIT */
/* _board: what the frozen _boot.py needs. Not for scripts. */
#include "util/macros.h"

#include "board/flash-vfs.h"
#include "board/modules/tls.h"
#include "py/obj.h"
#include "py/objmodule.h"
#include "py/runtime.h"

static const mp_rom_map_elem_t board_globals_table[] = {
        { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__board) },
        { MP_ROM_QSTR(MP_QSTR_VfsFlash), MP_ROM_PTR(&flash_vfs_type) },
        { MP_ROM_QSTR(MP_QSTR_ca_certificates), MP_ROM_PTR(&tls_ca_certificates_obj) },
};
static MP_DEFINE_CONST_DICT(board_globals, board_globals_table);

extern const mp_obj_module_t board_module;
const mp_obj_module_t board_module = {
        .base = { &mp_type_module },
        .globals = (mp_obj_dict_t *) &board_globals,
};

MP_REGISTER_MODULE(MP_QSTR__board, board_module);
