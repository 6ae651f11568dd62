/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_REPORT_H
#define SYNOD_BENCH_REPORT_H

/*
 * Everything a run found out, and the two forms it is told in: a block of text for a person and the
 * result document for programs. Both are made from the same struct by pure functions.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/environment.h"
#include "bench/faults.h"
#include "bench/load.h"
#include "bench/options.h"
#include "bench/process.h"

#define REPORT_SCHEMA        1
#define REPORT_TAIL_SAMPLES  10 /* a percentile is told only with so many samples above it */
#define REPORT_MAX_INTERVALS 100000

enum report_verdict {
    REPORT_OK,
    REPORT_NO_PROGRESS,
    REPORT_WRONG_RESULTS,
    REPORT_DIGESTS_DIFFER,
};

struct report_interval {
    uint64_t end_ns; /* from the window's beginning */
    uint64_t length_ns;
    uint64_t operations; /* with a latency: those that were served */
    uint64_t p50_ns, p99_ns;
    bool has_p50, has_p99;
};

/* Of the window; summed over the nodes. */
struct report_cluster {
    int leader;
    uint64_t generation;
    struct fault_totals totals;
    uint64_t slots_committed;
    uint64_t log_bytes, snapshot_bytes, store_bytes; /* at the end */
    uint64_t snapshots_taken;
    uint64_t keys;
    uint32_t nodes_up;
    bool are_equal; /* all nodes that were up had the same digest at the same slot */
    bool was_quiet; /* they could be compared */
    uint64_t digest, digest_slot;
    char directory[256]; /* "" when removed or never there */
};

struct report {
    const struct options *options;
    struct environment environment;
    bool interrupted;
    uint64_t window_ns;
    struct load_counters counters;
    struct load_samples samples;
    struct report_cluster cluster;
    struct process_threads threads;    /* owned */
    struct report_interval *intervals; /* owned */
    size_t interval_count, interval_capacity;
    struct faults faults;
    struct process_memory memory;
    enum report_verdict verdict;
};

/* 0 or -ENOMEM. Allocates all that a run will add. */
MUST_USE int report_init(struct report *report, const struct options *options);
void report_deinit(struct report *report);

/* True when at least REPORT_TAIL_SAMPLES samples lie above the percentile. */
bool report_has_percentile(const struct histogram *histogram, double percent);
double report_throughput(const struct report *report);
/* Adds an interval, unless there are REPORT_MAX_INTERVALS already. */
void report_add_interval(struct report *report, const struct load_samples *samples, uint64_t end_ns,
                         uint64_t length_ns);
const char *report_verdict_text(enum report_verdict verdict);
/* 0, 10 or 11; see the exit codes in docs/benchmarking.md. */
int report_exit_code(const struct report *report);

void report_text(const struct report *report, FILE *to);
/* The document, to be given back with json_decref; NULL: out of memory. */
json_t *report_json(const struct report *report);

#endif
