/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_GAPS_H
#define SYNOD_BENCH_GAPS_H

/*
 * When was the service silent? Each client marks the milliseconds of the window in which one of its
 * operations was answered; afterwards the longest run of milliseconds that no client marked is the
 * gap. A gap is known to 2 ms: it may begin and end anywhere inside the marked milliseconds beside
 * it.
 *
 * Memory: one bit a millisecond and client, 450 KB an hour, allocated before the window. Beyond
 * `span` nothing is marked. gaps_mark: the client that owns the row; gaps_longest: any thread once
 * the rows' owners are done.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

#define GAPS_STEP_NS UINT64_C(1000000)

struct gaps {
    uint32_t clients;
    uint64_t span; /* milliseconds covered */
    uint64_t
        words; /* 64-bit words of a row: whole pairs of cache lines, as rows have one writer each */
    uint64_t *bits; /* clients rows; owned */
};

struct gap {
    uint64_t start_ns, end_ns; /* from the window's beginning; equal: there was none */
    bool is_open;              /* nothing was answered between it and the end that was asked for */
};

/* 0 or -ENOMEM. */
MUST_USE int gaps_init(struct gaps *gaps, uint32_t clients, uint64_t span_ns);
void gaps_deinit(struct gaps *gaps);

static inline void gaps_mark(struct gaps *gaps, uint32_t client, uint64_t since_start_ns)
{
    uint64_t at = since_start_ns / GAPS_STEP_NS;
    if (LIKELY(at < gaps->span)) {
        uint64_t *word = &gaps->bits[client * gaps->words + at / 64];
        *word |= UINT64_C(1) << (at % 64);
    }
}

/* The longest silence that ends after from_ns, as far as it lies before to_ns; it may have begun
 * before from_ns. The first of several equally long ones. */
struct gap gaps_longest(const struct gaps *gaps, uint64_t from_ns, uint64_t to_ns);

#endif
