/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_UNITS_H
#define SYNOD_BENCH_UNITS_H

/*
 * Quantities as people write and read them.
 *
 *   counts and rates   10k 1.5m 2g            powers of 1000
 *   sizes              64 4k 64m 1g (ki mi gi) powers of 1024, bytes
 *   durations          500us 1.5s 2m          a unit is required; nanoseconds
 *
 * The parsers take the whole text or refuse it, naming the column (from 1) of what they did not
 * understand. Pure functions, any thread.
 */
#include <stdint.h>

#include "base/contract.h"
#include "bench/problem.h"

/* 0, or -EINVAL with the problem told. A fraction is rounded to the nearest whole unit. */
MUST_USE int units_parse_count(const char *text, uint64_t *count, struct problem *problem);
MUST_USE int units_parse_size(const char *text, uint64_t *bytes, struct problem *problem);
MUST_USE int units_parse_duration(const char *text, uint64_t *duration_ns, struct problem *problem);

/* A short text by value: `printf("%s", units_bytes(n).text)`. */
struct units_text {
    char text[32];
};

/* For reading: three significant digits and the unit that suits them. */
struct units_text units_duration(double duration_ns); /* "9.31 us" */
struct units_text units_rate(double per_second);      /* "1.23 M" */
struct units_text units_bytes(uint64_t bytes);        /* "1.50 GiB" */
struct units_text units_grouped(uint64_t number);     /* "12,345,678" */

/* For repeating: the shortest text that the parsers turn back into exactly this number. */
struct units_text units_exact_count(uint64_t count);
struct units_text units_exact_size(uint64_t bytes);
struct units_text units_exact_duration(uint64_t duration_ns);

#endif
