/* SPDX-License-Identifier: MIT */
/* Tables that fit the terminal: columns shrink, then the least important ones go. */
#pragma once

#include <stdio.h>

#include "ctl/style.h"
#include "util/macros.h"

#define TABLE_COLUMNS_MAX 12

typedef struct TableColumn {
        const char *title;
        size_t min_width;  /* it may shrink to this; 0: it never shrinks */
        unsigned drop;     /* >0: may be left out when there is no room, highest first */
        bool right;        /* align right */
} TableColumn;

typedef struct Table Table;

/* columns is borrowed for the life of the table. -EINVAL for more than TABLE_COLUMNS_MAX. */
int table_new(Table **ret, const TableColumn *columns, size_t n_columns) _must_check_;
Table *table_free(Table *t);
DEFINE_CLEANUP(Table *, table_free)

/* Copies a cell for each column; what could disturb a terminal is replaced. NULL is empty. */
int table_add(Table *t, Style style, const char *const cells[]) _must_check_;

/* A dim line across, between the rows. */
int table_add_line(Table *t, const char *text) _must_check_;

/* columns: of the terminal, 0 unlimited. */
void table_print(Table *t, FILE *f, unsigned columns);

/* The pure part: natural widths in, widths that fit `columns` out (0: left out). Between two
 * columns are two blanks. Where even the minima do not fit, the last column goes below its own. */
void table_layout(const TableColumn *columns, const size_t natural[], size_t n, unsigned total,
                  size_t ret[]);
