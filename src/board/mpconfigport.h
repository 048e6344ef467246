/* SPDX-License-Identifier: MIT */
/* What kind of MicroPython this is: options over py/mpconfig.h, for upstream's files and for
 * ours. */
#ifndef MPYD_BOARD_MPCONFIGPORT_H
#define MPYD_BOARD_MPCONFIGPORT_H

#include <alloca.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* An SBC has the room: everything that MicroPython offers, but for debugging output. */
#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EVERYTHING)
#define MICROPY_PY_RE_DEBUG (0)

/* Types. _FILE_OFFSET_BITS is 64 on every machine. */
#ifdef __LP64__
typedef long mp_int_t;
typedef unsigned long mp_uint_t;
typedef long mp_off_t;
#else
typedef int mp_int_t;
typedef unsigned int mp_uint_t;
typedef long long mp_off_t;
#endif
#define MP_SSIZE_MAX SSIZE_MAX

#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_DOUBLE)
#define MICROPY_FLOAT_USE_NATIVE_FLT16 (0)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)

/* Emitters of machine code, as the unix port chooses them; AArch64 has none in 1.25. -DMICROPY_EMIT_X64=0 builds what
 * it has, to be tested here. */
#if defined(__x86_64__)
#ifndef MICROPY_EMIT_X64
#define MICROPY_EMIT_X64 (1)
#endif
#elif defined(__i386__)
#define MICROPY_EMIT_X86 (1)
#elif defined(__thumb2__)
#define MICROPY_EMIT_THUMB (1)
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *) ((mp_uint_t) (p) | 1))
#elif defined(__arm__)
#define MICROPY_EMIT_ARM (1)
#endif
void heap_alloc_exec(size_t min_size, void **ret_ptr, size_t *ret_size);
void heap_free_exec(void *ptr, size_t size);
#define MP_PLAT_ALLOC_EXEC(min_size, ptr, size) heap_alloc_exec(min_size, ptr, size)
#define MP_PLAT_FREE_EXEC(ptr, size) heap_free_exec(ptr, size)

/* Memory: starts at LINK_BOOT's heap_size and grows to its heap_max (heap.c). */
#define MICROPY_ENABLE_GC (1)
#define MICROPY_ENABLE_FINALISER (1)
#define MICROPY_GC_SPLIT_HEAP (1)
#define MICROPY_GC_SPLIT_HEAP_AUTO (1)
void *heap_area_new(size_t size);
void heap_area_free(void *area);
#define MP_PLAT_ALLOC_HEAP(size) heap_area_new(size)
#define MP_PLAT_FREE_HEAP(ptr) heap_area_free(ptr)
#define MICROPY_PY_GC_COLLECT_RETVAL (1)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_EMERGENCY_EXCEPTION_BUF_SIZE (0) /* taken from the heap at once (main.c) */
#if !(defined(__x86_64__) || defined(__i386__) || defined(__thumb__) || defined(__arm__) ||        \
      (defined(__riscv) && (__riscv_xlen == 64)))
#define MICROPY_GCREGS_SETJMP (1)
#endif

/* Running code, and stopping it. */
#define MICROPY_OPT_COMPUTED_GOTO (1)
#define MICROPY_PERSISTENT_CODE_LOAD (1)
#define MICROPY_ENABLE_VM_ABORT (1)
#define MICROPY_SCHEDULER_STATIC_NODES (1)
#define MICROPY_SCHEDULER_DEPTH (8)
void irq_wake_vm(void);
#define MICROPY_SCHED_HOOK_SCHEDULED irq_wake_vm()
/* The VM's own loop says that it goes on (wait.c). */
extern volatile uint32_t *vm_progress;
#define MICROPY_VM_HOOK_LOOP *vm_progress = *vm_progress + 1;
#define MICROPY_ERROR_REPORTING (MICROPY_ERROR_REPORTING_DETAILED)
#define MICROPY_WARNINGS (1)
#define MICROPY_PY_STR_BYTES_CMP_WARN (1)
#define MICROPY_USE_INTERNAL_ERRNO (0)
#define MICROPY_USE_INTERNAL_PRINTF (0)
#define MICROPY_PY_THREAD (1)
#define MICROPY_MPTHREADPORT_H "board/threads.h"

/* pyexec tells when a script or a line has ended, before it goes on. */
void exec_begin(void);
void exec_end(void *exception, int *ret);
#define MICROPY_BOARD_BEFORE_PYTHON_EXEC(input_kind, exec_flags) exec_begin()
#define MICROPY_BOARD_AFTER_PYTHON_EXEC(input_kind, exec_flags, exception, ret)                    \
        exec_end(exception, ret)

/* REPL. */
#define MICROPY_READLINE_HISTORY_SIZE (50)
#define MICROPY_HW_BOARD_NAME "mpyd"
#define MICROPY_BOARD_BUILD_NAME "mpyd" /* sys.implementation._build */
#if defined(__aarch64__)
#define MICROPY_HW_MCU_NAME "aarch64"
#elif defined(__arm__)
#define MICROPY_HW_MCU_NAME "arm"
#elif defined(__x86_64__)
#define MICROPY_HW_MCU_NAME "x86_64"
#elif defined(__i386__)
#define MICROPY_HW_MCU_NAME "i386"
#elif defined(__riscv)
#define MICROPY_HW_MCU_NAME "riscv64"
#else
#define MICROPY_HW_MCU_NAME "Linux"
#endif
/* Debian's version has a suffix that tools which parse the banner do not know. */
#define MICROPY_BANNER_NAME_AND_VERSION                                                            \
        "MicroPython v" MICROPY_VERSION_STRING " on " MICROPY_BUILD_DATE
extern const char board_help_text[];
#define MICROPY_PY_BUILTINS_HELP_TEXT board_help_text

/* Files: our own VFS class at /, jailed in the flash directory; FAT and littlefs on block
 * devices. */
#define MICROPY_VFS (1)
#define MICROPY_READER_VFS (1)
#define MICROPY_VFS_POSIX (0)
#define MICROPY_VFS_ROM (1)
#define MICROPY_VFS_ROM_IOCTL (0)
#define MICROPY_EPOCH_IS_1970 (1)
#define MICROPY_ALLOC_PATH_MAX (PATH_MAX)
#define MICROPY_FATFS_ENABLE_LFN (1)
#define MICROPY_FATFS_RPATH (2)
#define MICROPY_FATFS_MAX_SS (4096)
#define MICROPY_FATFS_LFN_CODE_PAGE 437

/* Modules. */
#define MICROPY_PY_SYS_PLATFORM "linux"
#define MICROPY_PY_SYS_ATEXIT (1)
#define MICROPY_PY_SYS_EXC_INFO (1)
#define MICROPY_PY_OS_INCLUDEFILE "board/modules/os-port.h"
#define MICROPY_PY_OS_SYNC (1)
#define MICROPY_PY_OS_UNAME (1)
#define MICROPY_PY_OS_GETENV_PUTENV_UNSETENV (1)
#define MICROPY_PY_OS_DUPTERM (1)
#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_TIME_INCLUDEFILE "board/modules/time-port.h"
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_CUSTOM_SLEEP (1)
#define MICROPY_PY_HASHLIB_MD5 (1)
#define MICROPY_PY_HASHLIB_SHA1 (1)
#define MICROPY_PY_CRYPTOLIB (1)
#define MICROPY_PY_CRYPTOLIB_CTR (1)
#define MICROPY_PY_CRYPTOLIB_CONSTS (1)
#define MICROPY_PY_SELECT (0) /* modules/select.c */
#define MICROPY_PY_WEBSOCKET (1)
/* Names in tracebacks and in errno: what the flash and the network can answer, and upstream's default list. */
#define MP_ENOTEMPTY ENOTEMPTY
#define MP_ENAMETOOLONG ENAMETOOLONG
#define MP_ELOOP ELOOP
#define MP_ENOSYS ENOSYS
#define MP_EOVERFLOW EOVERFLOW
#define MP_ENOTSOCK ENOTSOCK
#define MP_EDESTADDRREQ EDESTADDRREQ
#define MP_EMSGSIZE EMSGSIZE
#define MP_ENOPROTOOPT ENOPROTOOPT
#define MP_EPROTONOSUPPORT EPROTONOSUPPORT
#define MP_EADDRNOTAVAIL EADDRNOTAVAIL
#define MP_ENETDOWN ENETDOWN
#define MP_ENETUNREACH ENETUNREACH
#define MP_EHOSTDOWN EHOSTDOWN
#define MICROPY_PY_ERRNO_LIST                                                                      \
        X(EPERM) X(ENOENT) X(EINTR) X(EIO) X(ENXIO) X(EBADF) X(EAGAIN) X(ENOMEM) X(EACCES)         \
        X(EBUSY)                                                                                   \
        X(EEXIST) X(EXDEV) X(ENODEV) X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ETXTBSY) \
        X(EFBIG) X(ENOSPC) X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(ERANGE) X(ENAMETOOLONG)         \
        X(ENOTEMPTY) X(ELOOP) X(EOPNOTSUPP) X(EAFNOSUPPORT) X(EADDRINUSE) X(ECONNABORTED)          \
        X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN) X(ETIMEDOUT) X(ECONNREFUSED)               \
        X(EHOSTUNREACH) X(EALREADY) X(EINPROGRESS) X(ECANCELED) X(ENOSYS) X(EOVERFLOW)             \
        X(ENOTSOCK) X(EDESTADDRREQ) X(EMSGSIZE) X(ENOPROTOOPT) X(EPROTONOSUPPORT) X(EADDRNOTAVAIL) \
        X(ENETDOWN) X(ENETUNREACH) X(EHOSTDOWN)
unsigned long clock_random_seed(void);
#define MICROPY_PY_RANDOM_SEED_INIT_FUNC (clock_random_seed())

/* machine: what is not here yet is absent, never a stub. */
#define MICROPY_PY_MACHINE (1)
#define MICROPY_PY_MACHINE_INCLUDEFILE "board/modules/machine-port.h"
#define MICROPY_PY_MACHINE_RESET (1)
#define MICROPY_PY_MACHINE_BARE_METAL_FUNCS (1)
#define MICROPY_PY_MACHINE_BOOTLOADER (1)
#define MICROPY_PY_MACHINE_DISABLE_IRQ_ENABLE_IRQ (0) /* ours hold off Ctrl-C too (irq.c) */
#define MICROPY_PY_MACHINE_MEMX (0)
#define MICROPY_PY_MACHINE_PIN_MAKE_NEW mp_pin_make_new
#define MICROPY_PY_MACHINE_SIGNAL (1)
#define MICROPY_PY_MACHINE_PULSE (1)
#define MICROPY_PY_MACHINE_SOFTI2C (1)
#define MICROPY_PY_MACHINE_SOFTSPI (1)
#define MICROPY_PY_ONEWIRE (1)
#define MICROPY_PY_MACHINE_FREQ_NUM_ARGS_MAX (2)
#define MICROPY_PY_MACHINE_EXTRA_GLOBALS                                                           \
        { MP_ROM_QSTR(MP_QSTR_sleep), MP_ROM_PTR(&machine_lightsleep_obj) },                       \
        { MP_ROM_QSTR(MP_QSTR_disable_irq), MP_ROM_PTR(&machine_disable_irq_obj) },                \
        { MP_ROM_QSTR(MP_QSTR_enable_irq), MP_ROM_PTR(&machine_enable_irq_obj) },                  \
        { MP_ROM_QSTR(MP_QSTR_wake_reason), MP_ROM_PTR(&machine_wake_reason_obj) },                \
        { MP_ROM_QSTR(MP_QSTR_PIN_WAKE), MP_ROM_INT(MACHINE_PIN_WAKE) },                           \
        { MP_ROM_QSTR(MP_QSTR_RTC_WAKE), MP_ROM_INT(MACHINE_RTC_WAKE) },                           \
        { MP_ROM_QSTR(MP_QSTR_IDLE), MP_ROM_INT(PIN_WAKE_FROM_IDLE) },                             \
        { MP_ROM_QSTR(MP_QSTR_SLEEP), MP_ROM_INT(PIN_WAKE_FROM_LIGHTSLEEP) },                      \
        { MP_ROM_QSTR(MP_QSTR_DEEPSLEEP), MP_ROM_INT(PIN_WAKE_FROM_DEEPSLEEP) },                   \
        { MP_ROM_QSTR(MP_QSTR_Pin), MP_ROM_PTR(&machine_pin_type) },                               \
        { MP_ROM_QSTR(MP_QSTR_Timer), MP_ROM_PTR(&machine_timer_type) },                           \
        { MP_ROM_QSTR(MP_QSTR_RTC), MP_ROM_PTR(&machine_rtc_type) },                               \
        { MP_ROM_QSTR(MP_QSTR_WDT), MP_ROM_PTR(&machine_wdt_type) },                               \
        { MP_ROM_QSTR(MP_QSTR_PWRON_RESET), MP_ROM_INT(RESET_CAUSE_PWRON) },                       \
        { MP_ROM_QSTR(MP_QSTR_HARD_RESET), MP_ROM_INT(RESET_CAUSE_HARD) },                         \
        { MP_ROM_QSTR(MP_QSTR_WDT_RESET), MP_ROM_INT(RESET_CAUSE_WDT) },                           \
        { MP_ROM_QSTR(MP_QSTR_DEEPSLEEP_RESET), MP_ROM_INT(RESET_CAUSE_DEEPSLEEP) },               \
        { MP_ROM_QSTR(MP_QSTR_SOFT_RESET), MP_ROM_INT(RESET_CAUSE_SOFT) },

#define MP_STATE_PORT MP_STATE_VM

#endif
