/* SPDX-License-Identifier: MIT */
#include "bench/gaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cacheline.h"

int gaps_init(struct gaps *gaps, uint32_t clients, uint64_t span_ns)
{
    *gaps = (struct gaps){.clients = clients, .span = span_ns / GAPS_STEP_NS + 1};
    gaps->words = bytes_align_up(gaps->span / 64 + 1, CACHELINE_PAIR / sizeof gaps->bits[0]);
    size_t bytes = gaps->words * clients * sizeof gaps->bits[0];
    gaps->bits = aligned_alloc(CACHELINE_PAIR, bytes);
    if (gaps->bits == NULL) {
        return -ENOMEM;
    }
    memset(gaps->bits, 0, bytes);
    return 0;
}

void gaps_deinit(struct gaps *gaps)
{
    free(gaps->bits);
    *gaps = (struct gaps){0};
}

static bool is_served(const struct gaps *gaps, uint64_t at)
{
    uint64_t word = 0;
    for (uint32_t i = 0; i < gaps->clients; i++) {
        word |= gaps->bits[i * gaps->words + at / 64];
    }
    return (word >> (at % 64) & 1) != 0;
}

struct gap gaps_longest(const struct gaps *gaps, uint64_t from_ns, uint64_t to_ns)
{
    uint64_t from = from_ns / GAPS_STEP_NS;
    uint64_t end = to_ns / GAPS_STEP_NS;
    end = end < gaps->span ? end : gaps->span;
    uint64_t start = from < end ? from : end;
    while (start > 0 && !is_served(gaps, start - 1)) {
        start--;
    }
    uint64_t longest_start = end;
    uint64_t longest_end = end;
    for (uint64_t at = start; at <= end; at++) {
        if (at < end && !is_served(gaps, at)) {
            continue;
        }
        if (at > start && at - start > longest_end - longest_start) {
            longest_start = start;
            longest_end = at;
        }
        start = at + 1;
    }
    return (struct gap){
        .start_ns = longest_start * GAPS_STEP_NS,
        .end_ns = longest_end * GAPS_STEP_NS,
        .is_open = longest_end == end && longest_start < end,
    };
}
