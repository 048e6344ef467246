/* SPDX-License-Identifier: MIT */
/* Layout and printing of tables. */
#include "ctl/table.h"

#include <stdbool.h>

#include "ctl/text.h"

#define GAP 2
#define LAST_WIDTH_MIN 4u

typedef struct Row {
        char *cells[TABLE_COLUMNS_MAX]; /* only [0] for a line across */
        Style style;
        bool across;
} Row;

struct Table {
        const TableColumn *columns;
        size_t n_columns;
        Row *rows;
        size_t n_rows, n_allocated;
};

int table_new(Table **ret, const TableColumn *columns, size_t n_columns) {
        Table *t;

        if (n_columns == 0 || n_columns > TABLE_COLUMNS_MAX)
                return -EINVAL;
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->columns = columns;
        t->n_columns = n_columns;
        *ret = t;
        return 0;
}

static void row_done(Row *r) {
        for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
                free(r->cells[i]);
}

Table *table_free(Table *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_rows; i++)
                row_done(&t->rows[i]);
        free(t->rows);
        free(t);
        return NULL;
}

static int table_push(Table *t, const Row *r) {
        if (t->n_rows == t->n_allocated) {
                size_t n = t->n_allocated ? t->n_allocated * 2 : 32;
                Row *rows = reallocarray(t->rows, n, sizeof(*rows));

                if (!rows)
                        return -ENOMEM;
                t->rows = rows;
                t->n_allocated = n;
        }
        t->rows[t->n_rows++] = *r;
        return 0;
}

int table_add(Table *t, Style style, const char *const cells[]) {
        Row row = { .style = style };
        int r = 0;

        for (size_t i = 0; i < t->n_columns && r >= 0; i++) {
                row.cells[i] = text_printable(cells[i] ? cells[i] : "", false);
                if (!row.cells[i])
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = table_push(t, &row);
        if (r < 0)
                row_done(&row);
        return r;
}

int table_add_line(Table *t, const char *text) {
        Row row = { .style = STYLE_DIM, .across = true };
        int r;

        row.cells[0] = text_printable(text, false);
        if (!row.cells[0])
                return -ENOMEM;
        r = table_push(t, &row);
        if (r < 0)
                row_done(&row);
        return r;
}

static size_t total_width(const size_t widths[], size_t n) {
        size_t total = 0;

        for (size_t i = 0; i < n; i++)
                if (widths[i] > 0)
                        total += widths[i] + (total ? GAP : 0);
        return total;
}

/* The widest column that may still give something, or n. */
static size_t widest_shrinkable(const TableColumn *columns, const size_t widths[], size_t n) {
        size_t best = n;

        for (size_t i = 0; i < n; i++)
                if (columns[i].min_width > 0 && widths[i] > columns[i].min_width &&
                    (best == n || widths[i] > widths[best]))
                        best = i;
        return best;
}

static size_t least_important(const TableColumn *columns, const size_t widths[], size_t n) {
        size_t best = n;

        for (size_t i = 0; i < n; i++)
                if (columns[i].drop > 0 && widths[i] > 0 &&
                    (best == n || columns[i].drop > columns[best].drop))
                        best = i;
        return best;
}

void table_layout(const TableColumn *columns, const size_t natural[], size_t n, unsigned total,
                  size_t ret[]) {
        size_t smallest[TABLE_COLUMNS_MAX];
        bool dropped = true;

        assert(n <= TABLE_COLUMNS_MAX);
        for (size_t i = 0; i < n; i++)
                ret[i] = natural[i];
        if (total == 0)
                return;

        /* First decide who stays, by what each needs at least; then share what is left. */
        while (dropped) {
                size_t victim;

                for (size_t i = 0; i < n; i++)
                        smallest[i] = columns[i].min_width > 0 ? MIN(ret[i], columns[i].min_width)
                                                               : ret[i];
                dropped = false;
                if (total_width(smallest, n) > total) {
                        victim = least_important(columns, ret, n);
                        if (victim < n) {
                                ret[victim] = 0;
                                dropped = true;
                        }
                }
        }
        while (total_width(ret, n) > total) {
                size_t i = widest_shrinkable(columns, ret, n);

                if (i == n)
                        break;
                ret[i]--;
        }
        /* Too narrow even so: the last column pays, so that no line wraps. */
        while (total_width(ret, n) > total && ret[n - 1] > LAST_WIDTH_MIN)
                ret[n - 1]--;
}

static void print_cell(FILE *f, const char *text, size_t width, bool right, bool last) {
        size_t w = text_width(text), bytes = strlen(text);
        bool cut = w > width;

        if (cut)
                bytes = text_fit(text, width > 0 ? width - 1 : 0, &w);
        if (right && !cut)
                fprintf(f, "%*s", (int) (width - w), "");
        fwrite(text, 1, bytes, f);
        if (cut && width > 0) {
                fputs(glyph(GLYPH_ELLIPSIS), f);
                w++;
        }
        if (!right && !last && w < width)
                fprintf(f, "%*s", (int) (width - w), "");
}

static void print_row(const Table *t, FILE *f, const char *const cells[], const size_t widths[],
                      size_t last, Style style) {
        bool first = true;

        fputs(style_on(f, style), f);
        for (size_t i = 0; i < t->n_columns; i++) {
                if (widths[i] == 0)
                        continue;
                if (!first)
                        fprintf(f, "%*s", GAP, "");
                first = false;
                print_cell(f, cells[i], widths[i], t->columns[i].right, i == last);
        }
        fprintf(f, "%s\n", style_off(f));
}

void table_print(Table *t, FILE *f, unsigned columns) {
        size_t natural[TABLE_COLUMNS_MAX] = {}, widths[TABLE_COLUMNS_MAX] = {}, last = 0;
        const char *cells[TABLE_COLUMNS_MAX];

        for (size_t i = 0; i < t->n_columns; i++) {
                natural[i] = text_width(t->columns[i].title);
                for (size_t k = 0; k < t->n_rows; k++)
                        if (!t->rows[k].across)
                                natural[i] = MAX(natural[i], text_width(t->rows[k].cells[i]));
                cells[i] = t->columns[i].title;
        }
        table_layout(t->columns, natural, t->n_columns, columns, widths);
        for (size_t i = 0; i < t->n_columns; i++)
                if (widths[i] > 0)
                        last = i;

        print_row(t, f, cells, widths, last, STYLE_BOLD);
        for (size_t k = 0; k < t->n_rows; k++) {
                Row *row = &t->rows[k];

                if (row->across) {
                        fputs(style_on(f, row->style), f);
                        print_cell(f, row->cells[0], columns > 0 ? columns : SIZE_MAX, false, true);
                        fprintf(f, "%s\n", style_off(f));
                        continue;
                }
                for (size_t i = 0; i < t->n_columns; i++)
                        cells[i] = row->cells[i];
                print_row(t, f, cells, widths, last, row->style);
        }
}
