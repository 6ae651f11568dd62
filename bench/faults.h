/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_FAULTS_H
#define SYNOD_BENCH_FAULTS_H

/*
 * Crashes on a timetable, while the load goes on:
 *
 *     --crash leader@2s           whoever leads 2 s into the window; back after 1 s
 *     --crash 1@2s+500ms          node 1; back after 500 ms
 *
 * A thread of its own (syn/faults) crashes, watches who leads next, restarts, and watches the node
 * catch up, looking every FAULTS_TICK_NS. After the window, faults_conclude() adds what the clients
 * saw.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/gaps.h"
#include "bench/load.h"
#include "bench/problem.h"
#include "bench/target.h"

#define FAULTS_MAX        64
#define FAULTS_TEXT       ((size_t)FAULTS_MAX * 40)
#define FAULTS_TICK_NS    UINT64_C(500000)
#define FAULTS_LEADER     UINT32_MAX
#define FAULTS_RESTART_NS UINT64_C(1000000000)

struct fault_spec {
    uint32_t node; /* FAULTS_LEADER: whoever leads then */
    uint64_t at_ns, restart_after_ns;
};

struct fault_plan {
    struct fault_spec faults[FAULTS_MAX]; /* in the order given */
    size_t count;
};

/* What came of one fault. Times count from the window's beginning; UINT64_MAX: did not happen. */
struct fault_result {
    int node; /* -1: there was no leader to crash */
    bool was_leader;
    bool is_deposed; /* it has been seen not to lead since */
    enum synod_status crash_status, restart_status;
    struct problem problem; /* why the restart failed */
    uint64_t crashed_ns, elected_ns, restarted_ns, caught_up_ns;
    int elected; /* who led next */
    uint64_t unknown_before;
    uint64_t unknown; /* outcomes lost until the next fault or the window's end */
    struct gap gap;   /* of the service, for all clients together */
};

/* Slots, messages and bytes that a node had counted when it crashed; its counters start again. */
struct fault_totals {
    uint64_t elections, messages_sent, bytes_replicated, batches, slots_proposed;
};

struct faults {
    const struct fault_plan *plan;
    const struct target *target;
    const struct load *load;
    uint64_t start_ns; /* the window's */
    struct fault_result results[FAULTS_MAX];
    uint8_t steps[FAULTS_MAX];
    uint64_t caught_up_at[FAULTS_MAX]; /* the slot at which a restarted node has caught up */
    struct fault_totals lost[SYNOD_MAX_NODES];
    _Atomic bool is_over;
    bool is_running;
    pthread_t thread;
};

/* Adds to the plan; 0, or -EINVAL with the problem told. */
MUST_USE int faults_parse(const char *text, struct fault_plan *plan, struct problem *problem);
/* What the parser turns back into the same; text holds FAULTS_TEXT bytes. */
void faults_print(const struct fault_plan *plan, char *text);

/* Begins the timetable at start_ns. 0, or a negative errno with the problem told. Main thread. */
MUST_USE int faults_start(struct faults *faults, const struct fault_plan *plan,
                          const struct target *target, const struct load *load, uint64_t start_ns,
                          struct problem *problem);
/* Ends it: what has not happened yet will not. Main thread. */
void faults_stop(struct faults *faults);
/* Fills gap and unknown of each result. After faults_stop, once the clients have DRAINED. */
void faults_conclude(struct faults *faults, const struct gaps *gaps, uint64_t window_ns);

#endif
