/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_TOOLS_COMMAND_H
#define SYNOD_TOOLS_COMMAND_H

/*
 * The subcommands of the program. Each is given the arguments from its own name on and returns the
 * program's exit code. Main thread, once.
 */
enum {
    EXIT_GOOD = 0,
    EXIT_INTERNAL = 1, /* an internal or I/O error */
    EXIT_USAGE = 2,
    EXIT_RESOURCES = 3, /* the machine has not what it takes */
    EXIT_UNSAFE = 10,   /* safety violated */
    EXIT_NO_PROGRESS = 11,
    EXIT_CORRUPT = 12, /* a damaged log */
    EXIT_INTERRUPTED = 130,
};

int command_bench(int count, const char **arguments);

#endif
