/* SPDX-License-Identifier: MIT */
/* Compiled files: loading them, and running boot.mpy and main.mpy, which no other port does
 * (S50). */
#pragma once

/* Runs a .mpy in __main__, as pyexec runs a .py there: same treatment of Ctrl-C, SystemExit and
 * tracebacks, reported by exec_end(). */
void mpy_file_run(const char *path);
