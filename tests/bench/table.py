# SPDX-License-Identifier: MIT
"""The table of a benchmark: on paper and in docs/FIGURES.md."""

HEAD = ["figure", "program", "median", "p99", "n", "aim", "met"]


def rows_of(figures):
    """The table's lines: ours, then the others under the same title."""
    rows, title = [], None
    for f in figures:
        rows.append([f.title if f.title != title else "", *f.ours.cells(), *f.aim_cells()])
        title = f.title
        rows += [["", *other.cells(), "", ""] for other in f.others]
    return rows


def print_table(rows, out):
    widths = [max(len(r[i]) for r in [HEAD, *rows]) for i in range(len(HEAD))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

    def line(cells):
        text = "  ".join(c.rjust(w) if 2 <= i <= 4 else c.ljust(w)
                         for i, (c, w) in enumerate(zip(cells, widths)))
        print(text.rstrip(), file=out)

    line(HEAD)
    print(rule, file=out)
    for i, row in enumerate(rows):
        if row[0] and i:
            print(file=out)
        line(row)


def write_markdown(path, name, machine, rows, seconds):
    """Puts the table where the last one of this name was: between two marks in the file."""
    marks = (f"<!-- {name} -->", f"<!-- end of {name} -->")
    table = [f"Machine: {machine}. The run took {seconds:.0f} s.", "",
             "| " + " | ".join(HEAD) + " |", "|---|---|--:|--:|--:|---|---|"]
    table += ["| " + " | ".join(cells) + " |" for cells in rows]
    text = path.read_text()
    begin, end = (text.index(mark) for mark in marks)
    path.write_text(text[:begin] + marks[0] + "\n" + "\n".join(table) + "\n" + text[end:])
