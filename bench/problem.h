/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_PROBLEM_H
#define SYNOD_BENCH_PROBLEM_H

/*
 * One sentence for a person: what failed, on which value, why, what to do. Filled by the function
 * that knows, printed by the program, never both at once.
 */
#include <stdarg.h>

#include "base/contract.h"

struct problem {
    char text[512];
};

/* Writes the sentence (cut to fit) and returns -EINVAL, so that callers can return the call. */
int problem_set(struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts "format: " before what is there already; returns -EINVAL. */
int problem_prefix(struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
