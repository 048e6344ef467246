/* SPDX-License-Identifier: MIT */
/* Colour, symbols and complaints. */
#include "ctl/style.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "util/parse.h"

static bool utf8_output;
static bool shown_for_now;

void style_init(void) {
        (void) setlocale(LC_ALL, "");
        utf8_output = streq(nl_langinfo(CODESET), "UTF-8");
        /* Names and tracebacks are UTF-8 whatever the terminal is: widths need a locale that
         * knows. */
        if (!utf8_output)
                (void) setlocale(LC_CTYPE, "C.UTF-8");
}

bool style_is_colored(FILE *f) {
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(fileno(f)) && !(no_color && *no_color) && !(term && streq(term, "dumb"));
}

const char *style_on(FILE *f, Style s) {
        static const char *const sequences[STYLE_MAX] = {
                [STYLE_NONE] = "",
                [STYLE_BOLD] = "\x1b[1m",
                [STYLE_DIM] = "\x1b[2m",
                [STYLE_RED] = "\x1b[31m",
                [STYLE_GREEN] = "\x1b[32m",
                [STYLE_YELLOW] = "\x1b[33m",
                [STYLE_CYAN] = "\x1b[36m",
        };

        return style_is_colored(f) ? sequences[s] : "";
}

const char *style_off(FILE *f) {
        return style_is_colored(f) ? "\x1b[0m" : "";
}

const char *glyph(Glyph g) {
        static const char *const glyphs[GLYPH_MAX][2] = {
                [GLYPH_DOT] = { "*", "●" },
                [GLYPH_ARROW] = { "->", "→" },
                [GLYPH_DASH] = { "-", "–" },
                [GLYPH_TIMES] = { "x", "×" },
                [GLYPH_ELLIPSIS] = { "~", "…" },
        };

        return glyphs[g][utf8_output];
}

unsigned style_columns(FILE *f) {
        const char *e = getenv("COLUMNS");
        struct winsize ws;
        uint64_t n;

        if (e && parse_u64(e, &n) >= 0 && n > 0 && n <= 10000)
                return (unsigned) n;
        if (isatty(fileno(f)) && ioctl(fileno(f), TIOCGWINSZ, &ws) >= 0 && ws.ws_col > 0)
                return ws.ws_col;
        return 0;
}

void show_for_now(const char *line) {
        if (*line || shown_for_now)
                fprintf(stderr, "%s\033[K\r", line); /* another program's message begins at its begin */
        shown_for_now = *line;
}

void complain(const char *format, ...) {
        int saved = errno;
        va_list ap;

        fflush(stdout);
        show_for_now("");
        fprintf(stderr, "%smpyctl:%s ", style_on(stderr, STYLE_RED), style_off(stderr));
        va_start(ap, format);
        errno = saved;
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        errno = saved;
}

void advise(const char *format, ...) {
        va_list ap;

        fprintf(stderr, "  %s%s%s ", style_on(stderr, STYLE_CYAN), glyph(GLYPH_ARROW),
                style_off(stderr));
        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
}
