/* SPDX-License-Identifier: MIT */
/* Pastes on their way to the friendly REPL. */
#include "ctl/paste.h"

#define CTRL_D '\x04'
#define CTRL_E '\x05'
#define CTRL_U '\x15'
#define PASTE_MAX (4u * 1024 * 1024)

static const char paste_begin[] = "\x1b[200~", paste_end[] = "\x1b[201~";

void prompt_watch_feed(PromptWatch *p, const char *data, size_t size) {
        for (size_t i = 0; i < size; i++) {
                if (data[i] == '\n' || data[i] == '\r') {
                        p->n = 0;
                        continue;
                }
                if (p->n < sizeof(p->line))
                        p->line[p->n] = data[i];
                p->n++;
        }
}

bool prompt_watch_is_ready(const PromptWatch *p) {
        return p->n == strlen(PROMPT) && memcmp(p->line, PROMPT, strlen(PROMPT)) == 0;
}

void paste_filter_done(PasteFilter *f) {
        free(f->text);
        *f = (PasteFilter) {};
}

static int append(char **text, size_t *size, const char *data, size_t n) {
        char *bigger;

        if (n == 0)
                return 0;
        bigger = realloc(*text, *size + n);
        if (!bigger)
                return -ENOMEM;
        memcpy(bigger + *size, data, n);
        *size += n;
        *text = bigger;
        return 0;
}

static int keep(PasteFilter *f, char c) {
        if (f->size == f->allocated) {
                size_t n = f->allocated ? f->allocated * 2 : 4096;
                char *bigger;

                if (n > PASTE_MAX)
                        return -EFBIG;
                bigger = realloc(f->text, n);
                if (!bigger)
                        return -ENOMEM;
                f->text = bigger;
                f->allocated = n;
        }
        f->text[f->size++] = c;
        return 0;
}

/* The paste is complete: terminals send its line ends as CR. */
static int flush_paste(PasteFilter *f, bool ready, char **out, size_t *out_size) {
        bool lines = false, ascii = true;
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < f->size; i++) {
                char c = f->text[i];

                if (c == '\n' && i > 0 && f->text[i - 1] == '\r')
                        continue;
                f->text[n++] = c == '\n' ? '\r' : c;
                lines = lines || (f->text[n - 1] == '\r' && i + 1 < f->size);
                ascii = ascii && (unsigned char) c < 0x80;
        }
        /* MicroPython's line editing drops what is not ASCII; its paste mode does not. */
        lines = lines || (!ascii && n > 0 && f->text[n - 1] == '\r');
        if (ready && lines) {
                char begin = CTRL_E, end = CTRL_D;
                size_t k = 0;

                /* A control character would end or cancel the paste mode. */
                for (size_t i = 0; i < n; i++)
                        if ((unsigned char) f->text[i] >= ' ' || f->text[i] == '\r' ||
                            f->text[i] == '\t')
                                f->text[k++] = f->text[i];
                r = append(out, out_size, &begin, 1);
                if (r >= 0)
                        r = append(out, out_size, f->text, k);
                if (r >= 0)
                        r = append(out, out_size, &end, 1);
        } else
                r = append(out, out_size, f->text, n);
        f->size = 0;
        return r;
}

int paste_filter_keys(PasteFilter *f, bool ready, const char *in, size_t size, char **out,
                      size_t *out_size) {
        int r = 0;

        for (size_t i = 0; i < size && r >= 0; i++) {
                const char *marker = f->pasting ? paste_end : paste_begin;

                f->held[f->n_held++] = in[i];
                if (in[i] == marker[f->n_held - 1]) {
                        if (f->n_held < strlen(marker))
                                continue;
                        f->n_held = 0;
                        if (f->pasting)
                                r = flush_paste(f, ready, out, out_size);
                        f->pasting = !f->pasting;
                        continue;
                }
                /* No marker after all. The byte that broke it may begin one itself. */
                for (size_t k = 0; k < f->n_held && r >= 0; k++) {
                        if (k == f->n_held - 1 && k > 0 && in[i] == marker[0]) {
                                f->held[0] = in[i];
                                f->n_held = 1;
                                goto next;
                        }
                        r = f->pasting ? keep(f, f->held[k])
                                       : append(out, out_size, &f->held[k], 1);
                }
                f->n_held = 0;
        next:;
        }
        /* A lone ESC (or a cursor key in pieces) must not wait for the next key. */
        if (r >= 0 && !f->pasting && f->n_held > 0 && f->n_held < 3) {
                r = append(out, out_size, f->held, f->n_held);
                f->n_held = 0;
        }
        return r;
}

int paste_filter_pipe(PasteFilter *f, bool at_prompt, const char *in, size_t size, char **out,
                      size_t *out_size) {
        int r = 0;

        for (size_t i = 0; i < size && r >= 0; i++) {
                char c = in[i], kill = CTRL_U;

                if (c == '\n' && f->after_cr) {
                        f->after_cr = false;
                        continue;
                }
                if (f->line_ended && at_prompt)
                        r = append(out, out_size, &kill, 1);
                f->after_cr = c == '\r';
                if (c == '\n')
                        c = '\r';
                f->line_ended = c == '\r';
                if (r >= 0)
                        r = append(out, out_size, &c, 1);
        }
        return r;
}
