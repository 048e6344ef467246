/* SPDX-License-Identifier: MIT */
/* Contract 1: what mpyd and mpyd-board say to each other while a board lives.
 *
 * Carrier: an AF_UNIX SOCK_SEQPACKET pair, so that a message arrives whole or not at all. A message
 * is a 16-byte header and at most LINK_PAYLOAD_MAX bytes, all integers little-endian. Each end checks
 * every length and every enum; what link_decode() refuses is a fault of the *board* (it is killed and
 * the reset is recorded as its crash), never of the supervisor.
 *
 * The start. The supervisor executes the board with its own rights and the board gives them up itself,
 * before it reads or maps anything that it was given: nobody else's process can get between, and its
 * user need not be able to read the program. When the supervisor is root, one argument names the user,
 * BOARD_USER_FORMAT; without it the board stays who it is, and root it refuses to be. It also asks to
 * be killed when its parent ends, which is the one that made the link (SO_PEERCRED), and restricts its
 * system calls and paths as far as the kernel can (LINK_HELLO says how far). LINK_LOG may come before
 * LINK_HELLO, to say why there is none.
 *
 * Its environment is empty. It has these descriptors open and no others: */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mpyd/reset.h"

enum {
        /* 0, 1, 2: /dev/null (2 is the supervisor's stderr in sanitizer builds, for their reports) */
        BOARD_FD_LINK = 3,        /* this socket */
        BOARD_FD_CONSOLE_IN = 4,  /* read end of a pipe: bytes typed at the REPL */
        BOARD_FD_CONSOLE_OUT = 5, /* write end of a pipe: all that Python prints */
        BOARD_FD_RETAINED = 6,    /* memfd of the retained page (retained.h) */
        BOARD_FD_FLASH = 7,       /* O_PATH descriptor of the flash directory, the root of `/` */
        BOARD_FD_MAX,
};

#define BOARD_USER_FORMAT "--user=%u:%u" /* uid and gid; no other group */

#define LINK_MAGIC 0x4d50u /* "MP" */
#define LINK_VERSION 8u
#define LINK_HEADER_SIZE 16u
#define LINK_PAYLOAD_MAX 4080u
#define LINK_MESSAGE_MAX (LINK_HEADER_SIZE + LINK_PAYLOAD_MAX)
#define LINK_UNIQUE_ID_SIZE 8u
#define LINK_PIPE_MAX (1024u * 1024) /* what BOARD_FD_CONSOLE_IN may hold: a board can widen it so far */
#define LINK_INPUT_MAX 65536u /* unread input that a soft reset carries over, in all */

/* Header: u16 magic, u16 version, u16 type, u16 reserved (0), u32 payload size, u32 sequence number
 * (counted by the sender from 0, for logs; not checked). */
typedef enum LinkType {
        /* board → supervisor */
        LINK_HELLO = 1,     /* first message: the board is up and waits for LINK_BOOT, if it is not there yet */
        LINK_STAGE,         /* a stage begins */
        LINK_STAGE_END,     /* a stage ended, with its result and the traceback's text */
        LINK_RESET,         /* machine.reset(), soft reset, machine.deepsleep(): about to end */
        LINK_UNREAD_INPUT,  /* soft reset: console bytes that the old VM had taken but not used */
        LINK_LOG,           /* a line for the journal from the port itself, not from a script */
        LINK_WATCHDOG,      /* a watchdog is set, set anew or stopped */
        LINK_AWAKE,         /* the VM goes on, and RETAINED_WORD_TELL_AWAKE asked to hear of it */
        LINK_PIN,           /* asks for a GPIO line; LINK_PIN_LINE follows */
        LINK_PIN_WAKE,      /* an edge at this line ends the deep sleep that LINK_RESET asks for next */
        LINK_OUTPUT,        /* whose output follows: at the REPL, the program's callbacks and threads print too */
        LINK_PIN_LIST,      /* asks which lines there are; LINK_PIN_NAMES follows */
        /* supervisor → board */
        LINK_BOOT = 64,     /* go: everything a new VM must know */
        LINK_INTERRUPT,     /* raise KeyboardInterrupt in running code, at a prompt only in a callback */
        LINK_STOP,          /* forced stop, step 1: as LINK_INTERRUPT, then end as for a soft reset */
        LINK_ABORT,         /* forced stop, step 2: VM abort, then end as for a soft reset */
        LINK_WATCHDOG_WARNING, /* a watchdog bites soon: call what the program has set for that */
        LINK_PIN_LINE,      /* the line's descriptor (SCM_RIGHTS), or why there is none */
        LINK_PIN_NAMES,     /* what LINK_PIN may ask for */
        LINK_TYPE_INVALID = -EINVAL,
} LinkType;

enum {
        LINK_CONFINED_SYSCALLS = 1 << 0, /* a filter of system calls (seccomp) is in force */
        LINK_CONFINED_PATHS = 1 << 1,    /* and one of paths (Landlock) */
        LINK_CONFINED_ALL = (1 << 2) - 1,
};

typedef struct LinkHello {
        uint32_t version;  /* LINK_VERSION of the board's build; another one is refused */
        uint32_t confined; /* LINK_CONFINED_…: what this kernel has */
} LinkHello;

/* LINK_STAGE, LINK_OUTPUT. console_pos: how many bytes this board had written to BOARD_FD_CONSOLE_OUT when it sent the
 * message, or had yet to write of what came before it. The console output before it belongs to the stage before, byte
 * for byte. */
typedef struct LinkStage {
        BoardStage stage;
        uint64_t console_pos;
} LinkStage;

/* text: traceback as Python prints it (UTF-8, may be cut: see link_text_fit), not NUL-terminated;
 * it points into the message it was decoded from. */
typedef struct LinkStageEnd {
        BoardStage stage;
        StageResult result;
        uint64_t console_pos;
        const char *text;
        size_t text_size;
} LinkStageEnd;

/* SOFT: finalisers have run, the process exits by itself after this message.
 * HARD, DEEPSLEEP: the board does nothing more and waits to be killed; sleep_usec is for DEEPSLEEP
 * only, UINT64_MAX means no time was given (until some other reset). */
typedef struct LinkReset {
        ResetKind kind;
        bool raw_repl;       /* SOFT: REPL mode to hand on (SPEC 1.9) */
        uint64_t sleep_usec;
        uint64_t console_pos;
} LinkReset;

/* The time starts when this arrives; later feeds are stored in the retained page. timeout_usec 0 stops
 * the watchdog, which WATCHDOG_MACHINE does not take; otherwise it is within the range below.
 * warn_usec: so long before the bite the board wants LINK_WATCHDOG_WARNING, 0 for not at all; less
 * than timeout_usec. */
typedef struct LinkWatchdog {
        WatchdogId id;
        uint64_t timeout_usec;
        uint64_t warn_usec;
} LinkWatchdog;
#define LINK_WATCHDOG_MIN_USEC UINT64_C(10000)       /* 10 ms */
#define LINK_WATCHDOG_MAX_USEC UINT64_C(86400000000) /* 24 h */

typedef struct LinkWatchdogWarning {
        WatchdogId id;
} LinkWatchdogWarning;

/* name: of a line, as gpio_request() takes it; not NUL-terminated, no NUL in it. ticket comes back with
 * the answer. */
typedef struct LinkPin {
        uint32_t ticket;
        const char *name;
        size_t name_size;
} LinkPin;
#define LINK_PIN_NAME_MAX 63u

/* LINK_PIN_LIST: without names, and position is the number of names that came already. LINK_PIN_NAMES: those that
 * follow, each with a NUL behind it; position is where to go on, 0 when there are no more. */
typedef struct LinkPinNames {
        uint32_t ticket;
        uint32_t position;
        const char *names;
        size_t names_size;
} LinkPinNames;
#define LINK_PIN_NAMES_MAX (LINK_PAYLOAD_MAX - 8u)

/* name: of a line that the board has; edges: GPIO_EDGE_…, not 0, and LINK_PIN_WAKE_NOW when one has come that
 * nobody has handled: the sleep ends as soon as it has begun. */
#define LINK_PIN_WAKE_NOW (1u << 2)
typedef struct LinkPinWake {
        uint32_t edges;
        const char *name;
        size_t name_size;
} LinkPinWake;

/* error 0: one descriptor comes with the message, for gpio_line_init(). It is the same line, in the same
 * state, for each board until a hard reset; the supervisor holds it. Otherwise a positive errno: ENOENT
 * (there is no such line), EBUSY (text names its consumer), EPERM (not for scripts), or the kernel's. */
typedef struct LinkPinLine {
        uint32_t ticket;
        uint32_t error;
        uint32_t direction; /* GpioDirection, as the line is now */
        uint32_t pull;      /* GpioPull */
        const char *text;   /* of the error, or the chip and offset of the line; not NUL-terminated */
        size_t text_size;
} LinkPinLine;
#define LINK_PIN_TEXT_MAX 255u

typedef struct LinkData { /* LINK_UNREAD_INPUT, LINK_LOG */
        uint8_t level;    /* LINK_LOG: syslog priority 0..7; otherwise 0 */
        const char *data;
        size_t size;
} LinkData;

enum {
        LINK_BOOT_RAW_REPL = 1 << 0,   /* start in the raw REPL: main.py is skipped (S52) */
        LINK_BOOT_SKIP_MAIN = 1 << 1,  /* do not run main.py this once */
        LINK_BOOT_PIN_WAKE = 1 << 2,   /* the last hard reset was out of deep sleep, by a line */
        LINK_BOOT_TIME_WAKE = 1 << 3,  /* by the time */
        LINK_BOOT_FLAGS_ALL = (1 << 4) - 1,
};

typedef struct LinkBoot {
        ResetCause cause;
        ResetReason reason;
        RunReason run_reason;
        ResetKind kind;       /* SOFT: the board prints nothing of its own before _boot.py */
        uint32_t flags;
        SafeModeReason safe_mode; /* not NONE: neither boot.py nor main.py runs (S63) */
        uint64_t heap_size;   /* bytes at start */
        uint64_t heap_max;    /* bytes it may grow to; >= heap_size */
        uint64_t flash_quota; /* bytes that BOARD_FD_FLASH may hold in all; 0: no limit of ours */
        uint8_t unique_id[LINK_UNIQUE_ID_SIZE]; /* machine.unique_id() */
} LinkBoot;

typedef struct LinkMessage {
        LinkType type;
        uint32_t seq;
        union {
                LinkHello hello;
                LinkStage stage;
                LinkStageEnd stage_end;
                LinkReset reset;
                LinkData data;
                LinkWatchdog watchdog;
                LinkWatchdogWarning watchdog_warning;
                LinkBoot boot;
                LinkPin pin;
                LinkPinWake pin_wake;
                LinkPinLine pin_line;
                LinkPinNames pin_names;
        };
} LinkMessage;

/* Writes m as one message into buf. Returns its size, -EINVAL for a value outside of its enum or a
 * type without a codec, -EMSGSIZE when text or data do not fit or size is too small. */
int link_encode(const LinkMessage *m, void *buf, size_t size);

/* Reads one message. ret points into buf for text and data, so buf must outlive it. Returns 0,
 * -EBADMSG for anything that is not exactly one well-formed message (*ret is untouched then),
 * -EPROTONOSUPPORT when all that is wrong is the version. */
int link_decode(const void *buf, size_t size, LinkMessage *ret);

/* Cuts a traceback to what fits in LINK_STAGE_END: the head and the tail are kept (the tail names the
 * exception), the middle is replaced by a line that says how many bytes are gone. Writes at most
 * LINK_TEXT_MAX bytes to out and returns how many. */
#define LINK_TEXT_MAX 4000u
size_t link_text_fit(const char *text, size_t text_size, char out[static LINK_TEXT_MAX]);

const char *link_type_to_string(LinkType t);
