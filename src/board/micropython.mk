# SPDX-License-Identifier: MIT
# The part of mpyd-board that is MicroPython's: make builds it with MicroPython's own rules, lists
# and per-file flags into one archive, and leaves genhdr/ and a file of preprocessor flags for
# Meson, which compiles what is ours. Nothing is written into MicroPython's tree, nothing in it is
# patched.
#
# Given by build-micropython: MPY_TOP, BOARD_DIR, BOARD_INC (list), BOARD_QSTR_C (our sources,
# absolute), BOARD_MANIFEST, MICROPY_MPYCROSS, CC, AR, BOARD_OPT, BOARD_CFLAGS (of whoever builds),
# BOARD_SANITIZE (1 or empty).

# Absolute, so that make knows a generated header by the name that compilers write into their lists.
BUILD := $(CURDIR)/core
FROZEN_MANIFEST = $(BOARD_MANIFEST)

include $(MPY_TOP)/py/mkenv.mk

QSTR_DEFS = $(BOARD_DIR)/qstrdefsport.h
vpath mpconfigport.h $(BOARD_DIR)

MICROPY_ROM_TEXT_COMPRESSION = 0
MICROPY_VFS_FAT = 1
MICROPY_VFS_LFS1 = 1
MICROPY_VFS_LFS2 = 1
MICROPY_PY_SSL = 1
MICROPY_SSL_MBEDTLS = 1

# Names are collected anew when these change; the list of what has changed has them by their full names.
QSTR_GLOBAL_DEPENDENCIES = $(BOARD_DIR)/mpconfigport.h

include $(TOP)/py/py.mk
include $(TOP)/extmod/extmod.mk

# Frozen code is made for the machine it runs on, which need not be the one that builds.
LP64 := $(shell echo | $(CC) -dM -E - | grep -c '__LP64__ 1')
ifeq ($(LP64),1)
MPZ_DIGIT = 32
else
MPZ_DIGIT = 16
MPY_CROSS_FLAGS += -msmall-int-bits=31
endif
MPY_TOOL_FLAGS += -mmpz-dig-size $(MPZ_DIGIT)

INC_OURS = -I$(BOARD_DIR) $(addprefix -I,$(BOARD_INC))
INC_THEIRS = $(TOP) $(BUILD)

DEFINES = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DMPZ_DIG_SIZE=$(MPZ_DIGIT) -U_FORTIFY_SOURCE \
	$(CFLAGS_EXTMOD) $(CFLAGS_THIRDPARTY)
CFLAGS += $(INC_OURS) $(addprefix -I,$(INC_THEIRS)) $(BOARD_CFLAGS) $(DEFINES) -std=gnu99 -Wall \
	-Wno-unused-but-set-variable $(BOARD_OPT) -fno-strict-aliasing -fdata-sections -ffunction-sections
ifeq ($(BOARD_SANITIZE),1)
# Non-local jumps must be ones that the sanitizer knows.
DEFINES += -DMICROPY_NLR_SETJMP=1
CFLAGS += -fsanitize=address
else
CFLAGS += -DNDEBUG
endif

SHARED_SRC_C = $(addprefix shared/, \
	readline/readline.c \
	runtime/gchelper_generic.c \
	runtime/mpirq.c \
	runtime/pyexec.c \
	timeutils/timeutils.c \
	)

DRIVERS_SRC_C = drivers/bus/softspi.c

SRC_QSTR += $(SHARED_SRC_C) $(BOARD_QSTR_C)

OBJ = $(PY_O) $(addprefix $(BUILD)/, $(SHARED_SRC_C:.c=.o) $(DRIVERS_SRC_C:.c=.o))

# Places where this port does what a microcontroller's interrupt controller does, or where a path or
# a file needs one more check. Each names the function of ours that stands in for the one called
# there.
#
# @micropython.native is taken where there is no emitter (native-decorator.h).
$(BUILD)/py/compile.o: CFLAGS += -include $(BOARD_DIR)/native-decorator.h
# The VM hands the GIL on when somebody waits for it and the time is over (threads.c).
$(BUILD)/py/vm.o: CFLAGS += -Dmp_thread_mutex_unlock=gil_slice_unlock -Dmp_thread_mutex_lock=gil_slice_lock
# micropython.kbd_intr() chooses the character; only pyexec says when user code runs (irq.c). The buffer for
# exceptions is as large as it has to be on this machine (heap.c).
$(BUILD)/py/modmicropython.o: CFLAGS += -Dmp_hal_set_interrupt_char=irq_set_char \
	-Dmp_alloc_emergency_exception_buf=heap_exception_buf
# A Ctrl-C out of os.dupterm()'s stream interrupts as one from the console does (irq.c).
$(BUILD)/extmod/os_dupterm.o: CFLAGS += -Dmp_interrupt_char='irq_char()' \
	-Dmp_sched_keyboard_interrupt=irq_interrupt
# SystemExit and KeyboardInterrupt leave a scheduled callback; a pending exception starts with an
# empty traceback (irq.c).
$(BUILD)/py/scheduler.o: CFLAGS += -Dmp_call_function_1_protected=irq_call_scheduled \
	-Dnlr_jump=irq_raise
# A CircuitPython .mpy is told apart from a damaged one (mpy-file.c).
$(BUILD)/py/builtinimport.o: CFLAGS += -Dmp_raw_code_load_file=mpy_file_load
# One that was cut ends in an error, not in a loop that no Ctrl-C ends (mpy-file.c).
$(BUILD)/extmod/modmarshal.o: CFLAGS += -Dmp_raw_code_load_mem=mpy_file_load_mem
# A NUL in a path is an error, not its end (flash-vfs.c).
$(BUILD)/extmod/vfs.o: CFLAGS += -Dmp_obj_str_get_str=path_from_obj

# One certificate of a bundle that mbedtls cannot read does not make the others useless; errors have
# the names that they have on a board, whatever this mbedtls says; Debian's asks a DTLS server for more
# than MicroPython gives it, and speaks TLS 1.3 where that does harm; an error ends no more than it has to, and what is
# closed says so, each time (tls-port.h, tls.c).
$(BUILD)/extmod/modtls_mbedtls.o: CFLAGS += -Dmbedtls_x509_crt_parse=tls_certificates_parse \
	-Dmbedtls_strerror=tls_error_name -Dmbedtls_ssl_config_defaults=tls_config_defaults \
	-Dmbedtls_ssl_conf_ciphersuites=tls_ciphersuites_set \
	-Dmbedtls_ssl_read=tls_read -Dmbedtls_ssl_free=tls_connection_free \
	-Dmbedtls_ssl_get_ciphersuite=tls_ciphersuite_get -Dmp_load_method=tls_load_method \
	-include $(BOARD_DIR)/modules/tls-port.h

include $(TOP)/py/mkrules.mk

# $(BUILD)/libmicropython.a is made by mkrules.mk's target "lib"; the flags are a file that changes
# only when they do.
.PHONY: board
board: $(BUILD)/$(LIBMICROPYTHON) $(BUILD)/cppflags $(BUILD)/frozen-flags

# For our own sources, with MicroPython's headers as a system's: our warnings are not about their
# inline functions. (Theirs cannot be compiled so: their generators stumble over it.)
BOARD_PUBLISHED = $(INC_OURS) $(addprefix -isystem ,$(INC_THEIRS)) $(DEFINES) \
	-DMICROPY_QSTR_EXTRA_POOL=mp_qstr_frozen_const_pool -DMICROPY_MODULE_FROZEN_MPY \
	-DMICROPY_MODULE_FROZEN_STR

# For code that is frozen besides ours (build-frozen): a line for mpy-cross, one for mpy-tool.
$(BUILD)/frozen-flags: FORCE | $(BUILD)/genhdr
	@printf '%s\n' '$(MPY_CROSS_FLAGS)' '$(MPY_TOOL_FLAGS)' > $@

$(BUILD)/cppflags: FORCE | $(BUILD)/genhdr
	@printf '%s\n' $(foreach f,$(BOARD_PUBLISHED),'$(f)') > $@.new; \
	if cmp -s $@.new $@; then $(RM) $@.new; else mv $@.new $@; fi
