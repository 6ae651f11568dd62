/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_LIVE_H
#define SYNOD_BENCH_LIVE_H

/*
 * The live line on stderr: on a terminal one line that is written over, else a line each time. Main
 * thread only.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct live {
    FILE *to; /* NULL: silent */
    bool is_terminal;
    int width; /* of what stands there now */
};

struct live_line {
    double rate;             /* operations a second of the last interval */
    uint64_t p50_ns, p99_ns; /* 0: not known */
    int leader;              /* -1: none */
    uint64_t failed, unknown;
    uint64_t left_ns; /* UINT64_MAX: not known */
};

void live_init(struct live *live, FILE *to, bool is_wanted, bool is_terminal);
/* "pre-loading 34 %" and the like. */
void live_say(struct live *live, const char *format, ...) __attribute__((format(printf, 2, 3)));
void live_show(struct live *live, const struct live_line *line);
/* Wipes the line, so that other text can follow. */
void live_clear(struct live *live);

#endif
