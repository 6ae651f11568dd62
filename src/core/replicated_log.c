/* SPDX-License-Identifier: MIT */
#include "core/replicated_log.h"

#include <string.h>

void replicated_log_clear(struct replicated_log *log)
{
    log->count = 0;
}

static void runs_insert(struct replicated_log *log, uint32_t at, struct log_run run)
{
    ASSERT(log->count < REPLICATED_LOG_RUNS);
    memmove(&log->runs[at + 1], &log->runs[at], (log->count - at) * sizeof run);
    log->runs[at] = run;
    log->count++;
}

static void runs_remove(struct replicated_log *log, uint32_t at, uint32_t count)
{
    memmove(&log->runs[at], &log->runs[at + count],
            (log->count - at - count) * sizeof log->runs[0]);
    log->count -= count;
}

static bool runs_join(const struct log_run *left, const struct log_run *right)
{
    return left->last + 1 == right->first && left->ballot == right->ballot &&
           left->source == right->source;
}

/* Index of the first run whose last slot is at or above `slot`. */
static uint32_t runs_search(const struct replicated_log *log, uint64_t slot)
{
    uint32_t low = 0;
    uint32_t high = log->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->runs[middle].last < slot) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Cuts [first, last] out; returns the index where a run for it belongs. */
static uint32_t runs_cut(struct replicated_log *log, uint64_t first, uint64_t last)
{
    uint32_t at = runs_search(log, first);
    if (at < log->count && log->runs[at].first < first) {
        struct log_run tail = log->runs[at];
        log->runs[at].last = first - 1;
        at++;
        if (tail.last > last) {
            tail.first = last + 1;
            runs_insert(log, at, tail);
            return at;
        }
    }
    uint32_t covered = 0;
    while (at + covered < log->count && log->runs[at + covered].last <= last) {
        covered++;
    }
    runs_remove(log, at, covered);
    if (at < log->count && log->runs[at].first <= last) {
        log->runs[at].first = last + 1;
    }
    return at;
}

void replicated_log_put(struct replicated_log *log, struct log_run run)
{
    ASSERT(run.first <= run.last && replicated_log_has_room(log, 1));
    uint32_t at;
    if (log->count > 0 && log->runs[log->count - 1].last < run.first) {
        at = log->count; /* the common case: appending */
    } else {
        at = runs_cut(log, run.first, run.last);
    }
    if (at < log->count && runs_join(&run, &log->runs[at])) {
        run.last = log->runs[at].last;
        runs_remove(log, at, 1);
    }
    if (at > 0 && runs_join(&log->runs[at - 1], &run)) {
        log->runs[at - 1].last = run.last;
        return;
    }
    runs_insert(log, at, run);
}

bool replicated_log_raise(struct replicated_log *log, struct log_run run)
{
    uint64_t slot = run.first;
    while (slot <= run.last) {
        const struct log_run *there = replicated_log_at_or_after(log, slot);
        uint64_t piece_last = run.last;
        bool is_lower = true;
        if (there != NULL && there->first <= slot) {
            piece_last = there->last < run.last ? there->last : run.last;
            is_lower = there->ballot < run.ballot;
        } else if (there != NULL && there->first <= run.last) {
            piece_last = there->first - 1;
        }
        if (is_lower) {
            if (!replicated_log_has_room(log, 1)) {
                return false;
            }
            replicated_log_put(log, (struct log_run){.first = slot,
                                                     .last = piece_last,
                                                     .ballot = run.ballot,
                                                     .source = run.source});
        }
        slot = piece_last + 1;
    }
    return true;
}

void replicated_log_trim(struct replicated_log *log, uint64_t slot)
{
    uint32_t at = runs_search(log, slot + 1);
    if (at > 0) {
        runs_remove(log, 0, at);
    }
    if (log->count > 0 && log->runs[0].first <= slot) {
        log->runs[0].first = slot + 1;
    }
}

const struct log_run *replicated_log_at_or_after(const struct replicated_log *log, uint64_t slot)
{
    uint32_t at = runs_search(log, slot);
    return at < log->count ? &log->runs[at] : NULL;
}

uint64_t replicated_log_end(const struct replicated_log *log, uint64_t mark)
{
    return log->count > 0 ? log->runs[log->count - 1].last : mark;
}

uint64_t replicated_log_match(const struct replicated_log *log, uint64_t mark, uint64_t ballot)
{
    uint64_t match = mark;
    for (uint32_t i = 0; i < log->count; i++) {
        const struct log_run *run = &log->runs[i];
        if (run->first != match + 1 || run->ballot != ballot) {
            break;
        }
        match = run->last;
    }
    return match;
}
