/* SPDX-License-Identifier: MIT */
/* Contract 4: what the journal is told. Every event that an operator may want to find, once: its name
 * (field MPYD_EVENT), its priority, its MESSAGE_ID (made with `systemd-id128 new`; sd-id128(3)) and the
 * fields that go with it. What happened and what to do next is told by etc/mpyd.catalog (`journalctl
 * -x`); docs/JOURNAL.md is made from both by tests/journal/document.py.
 *
 * Names and ids are never changed or used again: people have them in their scripts. */
#pragma once

#include <errno.h>

#define JOURNAL_EVENTS(X)                                                                           \
        X(DAEMON_START, "daemon-start", LOG_INFO, "9088dce45a2644d1a04434759b7ae5ca",               \
          "MPYD_VERSION MPYD_RESET_REASON")                                                         \
        X(DAEMON_STOP, "daemon-stop", LOG_INFO, "1fc49b2db44147688b89e1823bb9090f", "")             \
        X(UNWELL, "unwell", LOG_CRIT, "dad1deac91d34bff9ebf46ded3f74e6f", "MPYD_PROBLEM")            \
        X(DAEMON_REFUSED, "daemon-refused", LOG_ERR, "aede146af09f4d6c9c9d6d1d4cdf32bc", "ERRNO")   \
        X(RESET, "reset", LOG_NOTICE, "204a142d39994433880e4a9662774998",                           \
          "MPYD_RESET_CAUSE MPYD_RESET_REASON MPYD_RESET_KIND MPYD_RUN_REASON MPYD_RESET_DETAIL "   \
          "MPYD_STAGE MPYD_UPTIME_USEC MPYD_EXIT_STATUS MPYD_SIGNAL")                               \
        X(CRASH, "crash", LOG_WARNING, "7e91d18610f34d64b14dbacaa27efc01",                          \
          "MPYD_RESET_CAUSE MPYD_RESET_REASON MPYD_RESET_KIND MPYD_RUN_REASON MPYD_RESET_DETAIL "   \
          "MPYD_STAGE MPYD_UPTIME_USEC MPYD_EXIT_STATUS MPYD_SIGNAL")                               \
        X(BOARD_STOP, "board-stop", LOG_NOTICE, "ab0d18fc79654d05b21657b030aec9b5",                 \
          "MPYD_RESET_DETAIL MPYD_STAGE MPYD_UPTIME_USEC MPYD_EXIT_STATUS MPYD_SIGNAL")             \
        X(DEEP_SLEEP, "deep-sleep", LOG_NOTICE, "23c56a070cc64085859d76204c7570e4",                 \
          "MPYD_RESET_DETAIL MPYD_STAGE MPYD_UPTIME_USEC MPYD_EXIT_STATUS MPYD_SIGNAL")             \
        X(WATCHDOG, "watchdog", LOG_WARNING, "a388d651692e4a0580cbcf83091c094c",                    \
          "MPYD_RESET_CAUSE MPYD_RESET_REASON MPYD_RESET_KIND MPYD_RUN_REASON MPYD_RESET_DETAIL "   \
          "MPYD_STAGE MPYD_UPTIME_USEC MPYD_EXIT_STATUS MPYD_SIGNAL")                               \
        X(EXCEPTION, "exception", LOG_WARNING, "0feeaf751c5648da807798e3727f5396",                  \
          "MPYD_STAGE MPYD_TRACEBACK")                                                              \
        X(PROGRAM_ABORTED, "program-aborted", LOG_NOTICE, "492bbae67d764e9894de26ee97d2e585",       \
          "MPYD_STAGE")                                                                             \
        X(BOARD_STUCK, "board-stuck", LOG_CRIT, "fd4274b925d94964ae01282e67d12c17",                 \
          "MPYD_BOARD_PID")                                                                         \
        X(BOARD_STALLED, "board-stalled", LOG_WARNING, "4716dd9e9f75482f92c85d7dd41ff226",          \
          "MPYD_STAGE MPYD_BOARD_PID")                                                              \
        X(BOARD_GOES_ON, "board-goes-on", LOG_NOTICE, "b6936ebb4e0a4c03bc547c2baccf3c7f",           \
          "MPYD_STAGE MPYD_BOARD_PID")                                                              \
        X(BOARD_LEFT_BEHIND, "board-left-behind", LOG_WARNING, "e2181a79e6a346d5b1cf4737a4c5e7ab",  \
          "MPYD_BOARD_PID")                                                                         \
        X(BOARD_FAULT, "board-fault", LOG_WARNING, "7b678b56335b49448b591db0d23362b5",              \
          "MPYD_STAGE MPYD_BOARD_PID")                                                              \
        X(BOARD_UNCONFINED, "board-unconfined", LOG_WARNING,                                       \
          "7cccf5ad452e49469471cace01aa8063", "")                                                 \
        X(BOARD_NOT_STARTED, "board-not-started", LOG_ERR, "995d4c7fa6c54391b556bafeec40ffbc",      \
          "ERRNO")                                                                                  \
        X(BOOT_DELAYED, "boot-delayed", LOG_NOTICE, "2760b5e267a84515b6aab81f8ecdda94",             \
          "MPYD_DELAY_USEC")                                                                        \
        X(STRIKE, "strike", LOG_NOTICE, "e06d1d09fb044f8ca97fc0847e965fee",                         \
          "MPYD_STRIKES MPYD_SAFE_MODE MPYD_SAFE_MODE_DOOR")                                        \
        X(SAFE_MODE, "safe-mode", LOG_WARNING, "0f05022549c44ab788b7013bad4fad10",                  \
          "MPYD_SAFE_MODE MPYD_SAFE_MODE_DOOR MPYD_STRIKES")                                        \
        X(SAFE_MODE_LEFT, "safe-mode-left", LOG_NOTICE, "abeefa733eeb4206b234ba7b2ce4282e",         \
          "MPYD_SAFE_MODE MPYD_SAFE_MODE_DOOR MPYD_STRIKES")                                        \
        X(BUTTON_STUCK, "button-stuck", LOG_WARNING, "f63bd51547234823bc7341d12419d064", "")              \
        X(FACTORY_RESET, "factory-reset", LOG_WARNING, "0d8e589137584efe9cd7a51cc4c1d0ee", "")            \
        X(FACTORY_RESET_FAILED, "factory-reset-failed", LOG_ERR, "4f1d519dedda4b369b6eb2f6c397f6b3", "")  \
        X(UNDER_VOLTAGE, "under-voltage", LOG_WARNING, "3e07a3b2dbce4adca1bf4a030ce2d944", "")             \
        X(HOST_REBOOT, "host-reboot", LOG_CRIT, "385692c9a8a44852bf2eb2a14f685620", "MPYD_PROBLEM")     \
        X(HOST_REBOOT_DELAYED, "host-reboot-delayed", LOG_WARNING,                                 \
          "f841dfd9da5e4e029fe27dfdd1b1ba4d", "MPYD_PROBLEM MPYD_DELAY_USEC")                      \
        X(NOTIFY_FAILED, "notify-failed", LOG_WARNING, "1f96a705c61841dbb4150a9dd945a5a6", "")        \
        X(NOTIFY_TEST, "notify-test", LOG_NOTICE, "0b8bcfc701a24b4d93b5d032c98c411d", "")            \
        X(OUTPUT_SUPPRESSED, "output-suppressed", LOG_NOTICE, "4bbdf1b9623f435f9d7e541ad44bbb57",   \
          "MPYD_SCRIPT")                                                                            \
        X(CONFIG_PROBLEM, "config-problem", LOG_WARNING, "5f146ae2343541df9653ddca27cb4dd9", "")     \
        X(CONFIG_RELOADED, "config-reloaded", LOG_INFO, "fa0f95896524402d8328f798739ccc36", "")      \
        X(CONFIG_PENDING, "config-pending", LOG_NOTICE, "56a77eae3ad648e3a70a68b4110656d9", "")      \
        X(USER_MISSING, "user-missing", LOG_WARNING, "3234ad85f9c142d8a47fd3e6832f7355", "")         \
        X(CONTROL_REFUSED, "control-refused", LOG_NOTICE, "b9634d2ecbae4a27a635dfbd0e47b2e1", "")    \
        X(REPL_UNREAD, "repl-unread", LOG_INFO, "8219bca5e615455d82637042fcf9fc6d", "")              \
        X(INPUT_DROPPED, "input-dropped", LOG_WARNING, "b8e20e8e583646b7912ff06f58d97826", "")       \
        X(RECORD_LATE, "record-late", LOG_WARNING, "8c33ba237e2f4ccc9e0f4f76ab743508", "")           \
        X(RECORD_FAILED, "record-failed", LOG_WARNING, "e81b159830974007a310542a195b29fa", "ERRNO")  \
        X(HISTORY_IN_MEMORY, "history-in-memory", LOG_WARNING, "e5455a3915f94913a59cf16147e7b0d8",  \
          "")                                                                                       \
        X(HISTORY_ON_DISK_AGAIN, "history-on-disk-again", LOG_NOTICE,                               \
          "2321d580696d48779fe7b49e97d84fe9", "")                                                   \
        X(HISTORY_SET_ASIDE, "history-set-aside", LOG_WARNING, "fc73ce21a93b41559ec0db207e08c9e0",  \
          "")                                                                                       \
        X(HISTORY_MOVED, "history-moved", LOG_WARNING, "4b2b1f2a5dc346b5946064080a6db2e4", "")       \
        X(HISTORY_LOST, "history-lost", LOG_WARNING, "78e2e738073a43489504aa000a4914e9", "")

typedef enum JournalEvent {
#define X(symbol, name, priority, id, fields) JOURNAL_##symbol,
        JOURNAL_EVENTS(X)
#undef X
        JOURNAL_EVENT_MAX,
        JOURNAL_EVENT_INVALID = -EINVAL,
} JournalEvent;

const char *journal_event_to_string(JournalEvent e);  /* MPYD_EVENT */
const char *journal_event_message_id(JournalEvent e); /* 32 hex digits */
int journal_event_priority(JournalEvent e);           /* syslog(3) */
const char *journal_event_fields(JournalEvent e);     /* names, a space between */
