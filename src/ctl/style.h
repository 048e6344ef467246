/* SPDX-License-Identifier: MIT */
/* How mpyctl looks: colour only on a terminal and without NO_COLOR, symbols as the locale has them,
 * and the one way to complain. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "util/macros.h"

typedef enum Style {
        STYLE_NONE = 0,
        STYLE_BOLD,
        STYLE_DIM,
        STYLE_RED,
        STYLE_GREEN,
        STYLE_YELLOW,
        STYLE_CYAN,
        STYLE_MAX,
        STYLE_INVALID = -EINVAL,
} Style;

typedef enum Glyph {
        GLYPH_DOT = 0,
        GLYPH_ARROW,
        GLYPH_DASH,
        GLYPH_TIMES,
        GLYPH_ELLIPSIS, /* one column wide */
        GLYPH_MAX,
        GLYPH_INVALID = -EINVAL,
} Glyph;

/* Sets the locale; UTF-8 is decoded in any. Call once, first of all. */
void style_init(void);

bool style_is_colored(FILE *f);

/* Escape sequences, or "" where there is no colour. */
const char *style_on(FILE *f, Style s);
const char *style_off(FILE *f);

const char *glyph(Glyph g);

/* Columns of the output: $COLUMNS, else the terminal's; 0 is unlimited (a pipe or a file). */
unsigned style_columns(FILE *f);

/* A line on stderr, a terminal, that stays until the next one, or a complaint, takes its place; "" takes it away. */
void show_for_now(const char *line);

/* "mpyctl: …" on stderr, and a second line that says what to do next. */
void complain(const char *format, ...) _printf_(1, 2);
void advise(const char *format, ...) _printf_(1, 2);
