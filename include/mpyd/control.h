/* SPDX-License-Identifier: MIT */
/* Contract 3: the control bus. D-Bus, spoken peer to peer on RUN-DIR/control (no dbus-daemon needed);
 * `busctl --address=unix:path=/run/mpyd/control` works. Everyone who can connect may read; root, the
 * daemon's own user and group mpyd may change things (peer credentials). A script (the board's user, or
 * its process where that is the daemon's own user) may read the properties, nothing else.
 *
 * Interface org.mpyd1.Board at /org/mpyd1:
 *
 *   Reset(s kind)                       "soft" or "hard" → ()         cause RESET_PIN for hard
 *   SafeMode(b enter)                   → ()                          into safe mode, or out of it, by a hard reset
 *   FactoryReset(b wipe, b keep_config) → ()                          the files as they come with the package, by a
 *                                       hard reset; what was there is set aside, or erased (wipe)
 *   Interrupt()                         → ()                          KeyboardInterrupt, as Ctrl-C
 *   Reload()                            → (a(b mistake, s line))      reads mpyd.conf again; what is wrong in it, and
 *                                       what waits for a reset or a restart, a line each
 *   HandOver()                          → ()                          the stop that follows within a minute is a
 *                                       hand-over: the next mpyd's board sees a soft reset
 *   Notify(s text)                      → ()                          tells the owner, [notify], as a test
 *   Snooze(t usec)                      → ()                          no reboot of the host for so long, a day at most; 0: now again
 *   SuspendWatchdogs(t usec)            → ()                          nothing bites for so long, 15 min at most; 0: now again
 *   OpenConsole(s who, b take_over)     → (h)                         a stream socket on the REPL
 *   OpenFlash() → (h)                   the directory that scripts see as / (O_PATH): names below it are to be
 *                                       resolved in it (openat2, RESOLVE_IN_ROOT), scripts write there
 *   GetHistory(x id, t since_usec, x before_id, u limit, s only) → (s) JSON array of records, newest first, 200 at most;
 *                                       only "resets", "events", events of a name, or all ("")
 *   GetTotals() → (s)                   JSON object: what was counted since the first record
 *   GetLog(u max)                       → a(tyss)                     realtime µs, priority, ident, text
 *   FollowLog()                         → ()                          Logged signals on this connection
 *   ListPins()                          → a(susbsssi)                 GPIO lines: chip, offset, name, used, consumer,
 *                                       direction, pull, level (0, 1; -1: nobody can tell)
 *   DrivePin(s name, i level)           → ()                          what the world does to a simulated line: 0, 1,
 *                                       -1 lets go
 *   PulsePin(s name, b high, t usec)    → ()                          begins a pulse at a line that nobody holds, of 1 ms to
 *                                       60 s: low as an open drain is, or high
 *
 *   signal Logged(tyss)
 *   signal BoardReset(s cause, s detail)
 *   signal StateChanged(s state, s stage)
 *
 * No method takes a descriptor, and no call has more than CONTROL_MESSAGE_MAX bytes: a connection that
 * sends either is closed. Everybody together has 32 connections; root always finds one.
 *
 * The console socket carries bytes both ways until one side closes it. Properties are read with
 * org.freedesktop.DBus.Properties and are what `mpyctl status` shows; see CONTROL_PROPERTIES. */
#pragma once

#define CONTROL_SOCKET "control"      /* in the run directory */
#define CONTROL_REPL_LINK "repl"      /* in the run directory: stable name of the pty */
#define CONTROL_STATE_LINK "state"   /* in the run directory: the state directory, also after mpyd has ended */
#define CONTROL_DEFAULT_RUN_DIR "/run/mpyd"
#define CONTROL_DEFAULT_STATE_DIR "/var/lib/mpyd"
#define CONTROL_HISTORY_FILE "history.db" /* in the state directory */

#define CONTROL_SNOOZE_MAX_USEC (UINT64_C(86400) * 1000000)
#define CONTROL_SUSPEND_MAX_USEC (UINT64_C(900) * 1000000)
#define CONTROL_MESSAGE_MAX (128u * 1024) /* bytes of one message to the daemon; more closes the connection */

#define CONTROL_SERVICE "org.mpyd1"
#define CONTROL_PATH "/org/mpyd1"
#define CONTROL_INTERFACE "org.mpyd1.Board"

/* sd-bus error names */
#define CONTROL_ERROR_CONSOLE_BUSY "org.mpyd1.Error.ConsoleBusy" /* message names the holder */
#define CONTROL_ERROR_SAFE_MODE "org.mpyd1.Error.SafeMode"       /* it is so already, or a flag holds it */
#define CONTROL_ERROR_NO_OWNER "org.mpyd1.Error.NoOwner"         /* [notify] names nobody to tell */
#define CONTROL_ERROR_NO_PIN "org.mpyd1.Error.NoPin"             /* there is no such GPIO line */
#define CONTROL_ERROR_PIN_BUSY "org.mpyd1.Error.PinBusy"         /* message names the holder */
#define CONTROL_ERROR_NO_BOARD "org.mpyd1.Error.NoBoard"         /* no VM runs just now */

/* Properties: name, D-Bus type, meaning. Times are microseconds; *At is the wall clock, *Boottime is
 * CLOCK_BOOTTIME, 0 is "never". */
#define CONTROL_PROPERTIES(X)                                                                        \
        X(Version, "s", "version of the daemon")                                                   \
        X(Pid, "u", "process of the daemon")                                                       \
        X(StartedAt, "t", "when the daemon started")                                               \
        X(State, "s", "state of the board's life: off, waiting, powering-on, booting, running, idle, stopping, deep-sleep, stuck") \
        X(Stage, "s", "off, _boot.py, boot.py, main.py, repl, stopping")                           \
        X(Problem, "s", "why no program runs, in a sentence; empty when all is well")              \
        X(BoardPid, "u", "process of the board, 0 when there is none")                             \
        X(Confinement, "s", "ok, or what this kernel lacks to confine scripts; empty before a board told") \
        X(BoardStartedAt, "t", "when this board started")                                          \
        X(BoardStartedBoottime, "t", "the same on CLOCK_BOOTTIME")                                 \
        X(StageBoottime, "t", "when the stage began, CLOCK_BOOTTIME")                              \
        X(NextBootBoottime, "t", "when the next board starts, while waiting or asleep")            \
        X(ResetCause, "s", "machine.reset_cause() of the board, by name")                         \
        X(ResetReason, "s", "microcontroller.cpu.reset_reason of the board, by name")             \
        X(RunReason, "s", "supervisor.runtime.run_reason of the board, by name")                  \
        X(LastReset, "s", "the last reset as a sentence")                                          \
        X(LastTraceback, "s", "traceback of the last uncaught exception, may be empty")            \
        X(LastTracebackAt, "t", "when that was")                                                   \
        X(SoftResets, "t", "since the daemon started")                                             \
        X(HardResets, "t", "since the daemon started")                                             \
        X(Crashes, "t", "boards that ended without saying why, since the daemon started")          \
        X(ResetsDelayed, "t", "resets held back by the rate limit, since the daemon started")      \
        X(WatchdogTimeout, "t", "of machine.WDT, 0 when it is not armed")                           \
        X(WatchdogFedBefore, "t", "how long ago machine.WDT was armed or fed")                      \
        X(Watchdog2Timeout, "t", "of microcontroller.watchdog, 0 when it is not armed")             \
        X(Watchdog2FedBefore, "t", "how long ago microcontroller.watchdog was armed or fed")        \
        X(StalledBoottime, "t", "since when the VM neither runs nor waits, CLOCK_BOOTTIME; 0: it does") \
        X(HeapMax, "t", "how far the VM's heap may grow, bytes: [board] heap-max when it booted")   \
        X(FlashQuota, "t", "what its files may take, bytes: [board] flash-quota when it booted; 0: no limit") \
        X(HeapSize, "t", "of the VM, bytes, as far as it has grown; 0: no VM runs")                 \
        X(HeapFree, "t", "of that, after the last collection")                                      \
        X(GcCount, "t", "garbage collections of this board")                                        \
        X(GcLastUsec, "t", "how long the last one took")                                            \
        X(GcLongestUsec, "t", "how long the longest one took")                                      \
        X(SafeMode, "s", "why the board is in safe mode, supervisor.SafeModeReason by name; empty: it is not") \
        X(SafeModeText, "s", "the same as a sentence")                                              \
        X(SafeModeRetryBoottime, "t", "when the program is tried again by itself, CLOCK_BOOTTIME")  \
        X(Strikes, "t", "abnormal ends since the last stable time")                                 \
        X(RestartBoottime, "t", "when the program is started again, if nobody uses the REPL, CLOCK_BOOTTIME") \
        X(WatchdogsSuspendedUsec, "t", "for how long yet the watchdogs are suspended; 0: they count")  \
        X(SnoozeBoottime, "t", "until when the host is not rebooted, CLOCK_BOOTTIME; 0: it may be")  \
        X(ReplState, "s", "prompt, raw (the raw REPL's), running, raw-running (entered code); empty: not at it") \
        X(ConsolePath, "s", "where the REPL is: the stable link")                                  \
        X(ConsoleHolder, "s", "who uses the REPL now; empty when nobody does")                     \
        X(HistoryState, "s", "ok, or why history is not on disk")                                  \
        X(ConfigWarnings, "as", "what is wrong in mpyd.conf, a line each")                         \
        X(Warnings, "as", "what of the configured buttons and LEDs cannot be had, a line each")     \
        X(FactoryReset, "s", "how the last factory reset of this run went: under way, done, failed, and a sentence; empty: none") \
        X(FlashDir, "s", "the directory that scripts see as /")                                    \
        X(StateDir, "s", "state directory")
