/* SPDX-License-Identifier: MIT */
/* The text of help(). */
extern const char board_help_text[];
const char board_help_text[] =
        "Welcome to MicroPython on mpyd!\n"
        "\n"
        "Files are those of the flash directory; boot.py and main.py run at each start.\n"
        "\n"
        "Control commands:\n"
        "  CTRL-A        -- on a blank line, enter raw REPL mode\n"
        "  CTRL-B        -- on a blank line, enter normal REPL mode\n"
        "  CTRL-C        -- interrupt a running program\n"
        "  CTRL-D        -- on a blank line, do a soft reset of the board\n"
        "  CTRL-E        -- on a blank line, enter paste mode\n"
        "\n"
        "For further help on a specific object, type help(obj)\n"
        "For a list of available modules, type help('modules')\n";
