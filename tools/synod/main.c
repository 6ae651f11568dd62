/* SPDX-License-Identifier: MIT */

/* The program `synod`: finds the subcommand and hands over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/suggest.h"
#include "command.h"
#include "synod/synod.h"

struct command {
    const char *name;
    int (*run)(int count, const char **arguments);
    const char *help;
};

static const struct command commands[] = {
    {"bench", command_bench, "load a cluster, measure throughput and latency"},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static int help(FILE *to, int exit_code)
{
    (void)fputs("usage: synod COMMAND [OPTION...]\n\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    }
    (void)fputs(
        "\n`synod COMMAND --help` tells a command's options; `synod --version` the version.\n", to);
    return exit_code;
}

static int unknown(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        names[i] = commands[i].name;
    }
    const char *nearest = suggest_nearest(name, names, COMMAND_COUNT);
    (void)fprintf(stderr, "synod: unknown command '%s'; ", name);
    if (nearest != NULL) {
        (void)fprintf(stderr, "did you mean '%s'?\n", nearest);
    } else {
        (void)fputs("see synod --help\n", stderr);
    }
    return EXIT_USAGE;
}

/* With the arguments as popt wants them: C has no conversion from char ** to const char **. */
static int run(const struct command *command, int count, char **arguments)
{
    const char **copy = calloc((size_t)count + 1, sizeof copy[0]);
    if (copy == NULL) {
        (void)fputs("synod: out of memory\n", stderr);
        return EXIT_RESOURCES;
    }
    for (int i = 0; i < count; i++) {
        copy[i] = arguments[i];
    }
    int exit_code = command->run(count, copy);
    free(copy);
    return exit_code;
}

int main(int count, char **arguments)
{
    if (count < 2) {
        return help(stderr, EXIT_USAGE);
    }
    if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "-h") == 0) {
        return help(stdout, EXIT_GOOD);
    }
    if (strcmp(arguments[1], "--version") == 0) {
        (void)puts("synod " SYNOD_VERSION);
        return EXIT_GOOD;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(arguments[1], commands[i].name) == 0) {
            return run(&commands[i], count - 1, arguments + 1);
        }
    }
    return unknown(arguments[1]);
}
