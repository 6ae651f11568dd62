/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_LOAD_H
#define SYNOD_BENCH_LOAD_H

/*
 * The load: client threads, each with `depth` operations in flight at all times (a closed loop).
 *
 *     phase   HOLD ------> PRELOAD ---------> RUN ------------------> DRAIN -------> EXIT
 *     stage   READY        PRELOADED          (FINISHED: quota met)   DRAINED
 *
 * The main thread moves the phase on, every client answers with its stage; RUN holds the warm-up
 * and the window, which are told apart by time alone: an operation counts when it is answered
 * inside [window_start_ns, window_end_ns).
 *
 * What a latency is: from the clock read before the request was built (one read for up to
 * LOAD_STAMP_EVERY requests) to the clock read after the poll that brought the answer. Both errors
 * make it longer, never shorter: by at most the time of building LOAD_STAMP_EVERY requests, a few
 * microseconds; none of it at depth 1. An operation that failed or whose outcome is unknown has no
 * latency.
 *
 * Samples: each client owns two sets of histograms and fills one; load_collect() asks all clients
 * to change over and then takes what they left, so recording costs one histogram and no atomics.
 *
 * Threads: all functions belong to the main thread unless said otherwise. All memory is allocated
 * by load_init.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "base/histogram.h"
#include "bench/gaps.h"
#include "bench/problem.h"
#include "bench/target.h"
#include "bench/workload.h"

#define LOAD_MAX_CLIENTS 1024
#define LOAD_MAX_DEPTH   65536
#define LOAD_STAMP_EVERY 64
#define LOAD_PRELOAD_MIN 256 /* operations in flight a client while pre-loading, at least */
#define LOAD_NAME_BYTES  16  /* of a thread, in Linux */

enum load_phase { LOAD_HOLD, LOAD_PRELOAD, LOAD_RUN, LOAD_DRAIN, LOAD_EXIT };
enum load_stage {
    LOAD_OPENING,
    LOAD_READY,
    LOAD_PRELOADED,
    LOAD_FINISHED, /* its share of --ops is done */
    LOAD_DRAINED,  /* nothing in flight, all counters final */
};

/* Latencies by kind of operation. */
struct load_samples {
    struct histogram latency[WORKLOAD_OPERATIONS];
};

/* Of the window, unless said otherwise. */
struct load_counters {
    uint64_t completed; /* OK, NOT_FOUND, MISMATCH */
    uint64_t failed;    /* BUSY, NO_LEADER, ...: definitely not done */
    uint64_t unknown;   /* TIMEOUT, and what was still in flight when the drain gave up */
    uint64_t wrong;     /* completed with a result that cannot be right */
    uint64_t lost_cas;  /* completed compare-and-sets that found another revision */
    uint64_t refused;   /* submissions put off because the target was full; warm-up included */
    uint64_t answered;  /* completions of all phases, preload and warm-up included */
};

struct load_client; /* one thread; private to load.c */

struct load {
    const struct workload *workload;
    const struct target *target;
    struct gaps *gaps; /* or NULL */
    uint32_t clients, depth;
    struct load_client *all;      /* owned */
    struct load_samples *samples; /* two for each client; owned */
    uint32_t threads;             /* started */
    bool is_collected;            /* the sets left at the last change of epoch are empty again */

    /* Written by the main thread, read by all clients. */
    _Alignas(CACHELINE_PAIR) _Atomic uint32_t phase; /* enum load_phase */
    _Atomic uint32_t epoch;                          /* its lowest bit: the set to be filled */
    _Atomic uint64_t window_start_ns, window_end_ns; /* UINT64_MAX: not known yet */
};

struct load_options {
    const struct workload *workload;
    const struct target *target;
    struct gaps *gaps; /* NULL: nobody will ask */
    uint32_t clients, depth;
    uint64_t operations; /* answered in the window, by all clients together; 0: no limit */
    const int *pin;      /* CPU of each client, or NULL */
};

/* 0, or a negative errno with the problem told. */
MUST_USE int load_init(struct load *load, const struct load_options *options,
                       struct problem *problem);
/* Starts the threads, which open their clients and wait: 0, or a negative errno. */
MUST_USE int load_start(struct load *load, struct problem *problem);
/* Ends the threads (DRAIN first, if they should finish what is in flight) and frees everything. */
void load_deinit(struct load *load);

void load_set_phase(struct load *load, enum load_phase phase);
/* Before LOAD_RUN; the end may be moved forward at any time. */
void load_set_window(struct load *load, uint64_t start_ns, uint64_t end_ns);
/* True once every client reached the stage (or a later one), or is broken. */
bool load_has_reached(const struct load *load, enum load_stage stage);
/* The status that stopped a client for good, SYNOD_OK while there is none. Any thread. */
enum synod_status load_broken(const struct load *load);
/* Summed over clients; while they run, each number is at most a batch old. Any thread. */
struct load_counters load_count(const struct load *load);
/* Of all clients: the latest answer that counted. Once they have DRAINED. */
uint64_t load_last_answer_ns(const struct load *load);

/*
 * Adds to `into` what all clients recorded since the last collection; false: some client did not
 * change over within wait_ns, nothing was added, call again later.
 */
MUST_USE bool load_collect(struct load *load, struct load_samples *into, uint64_t wait_ns);
/* Adds all that was not collected. Once they have DRAINED. */
void load_collect_rest(struct load *load, struct load_samples *into);

void load_samples_reset(struct load_samples *samples);
void load_samples_merge(struct load_samples *into, const struct load_samples *from);

#endif
