/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_REPLICATED_LOG_H
#define SYNOD_CORE_REPLICATED_LOG_H

/*
 * Replicated Log
 *
 * Problem:    every node must hold the same commands in the same slots, though messages are lost
 * and leaders change; which slots does this node hold, and accepted at which ballot? Rule: above
 * the high watermark, remember the ballot of every accepted slot; gaps are allowed. At or below it,
 * slots are chosen and their ballots no longer matter. Invariant:  holds exactly the acceptances
 * that are durable in the write-ahead log, so whatever is said from here may be said to others; a
 * slot's ballot never falls. Neighbours: wal/write_ahead_log (the values), multi_paxos (who fills
 * it), high_watermark.
 *
 * A leader accepts slots one after another, so the open part of the log is a handful of runs
 * (first .. last, one ballot each) however many slots it spans: work here is per batch, not per
 * slot. The same structure serves a candidate to merge what its peers promised: there a run also
 * has a source.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"

#define REPLICATED_LOG_RUNS 256

struct log_run {
    uint64_t first, last; /* slots, inclusive */
    uint64_t ballot;
    uint32_t source; /* node whose log holds these values */
};

struct replicated_log {
    uint32_t count;
    struct log_run runs[REPLICATED_LOG_RUNS]; /* ascending, disjoint, neighbours differ */
};

void replicated_log_clear(struct replicated_log *log);

/* Whether any insertion is sure to find room (it splits at most one run in two). */
static inline bool replicated_log_has_room(const struct replicated_log *log, uint32_t insertions)
{
    return log->count + 2 * insertions <= REPLICATED_LOG_RUNS;
}
/* Sets a range's ballot and source, whatever was there. Needs room for one insertion. */
void replicated_log_put(struct replicated_log *log, struct log_run run);
/* The same, only where the range holds nothing or a lower ballot. False when room ran out: the log
 * is then unchanged from some slot of the run on, and whoever asked must not rely on it. */
MUST_USE bool replicated_log_raise(struct replicated_log *log, struct log_run run);
/* Forgets everything up to and including slot. */
void replicated_log_trim(struct replicated_log *log, uint64_t slot);

/* The run that holds `slot`, else the first one above it, else NULL. */
const struct log_run *replicated_log_at_or_after(const struct replicated_log *log, uint64_t slot);
/* Highest slot held, or `mark` when nothing above it is. */
uint64_t replicated_log_end(const struct replicated_log *log, uint64_t mark);
/* Highest slot m such that mark + 1 .. m are all held at exactly `ballot`; `mark` when none. */
uint64_t replicated_log_match(const struct replicated_log *log, uint64_t mark, uint64_t ballot);

#endif
