/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_RUN_H
#define SYNOD_BENCH_RUN_H

/*
 * One run: pre-load, warm-up, measured window, drain, comparison of the nodes. The main thread
 * leads the clients through it and fills the report.
 */
#include <signal.h>

#include "bench/live.h"
#include "bench/report.h"
#include "bench/target.h"

struct run {
    const struct options *options;
    const struct workload *workload;
    const struct target *target;
    const struct placement *placement;
    struct live *live;
    const volatile sig_atomic_t *interrupts; /* counts the user's Ctrl-C; may be NULL */
};

/*
 * 0: the report is complete, its verdict and `interrupted` say how it went. -EINTR: interrupted
 * before the window; there is nothing to report. -ETIME: no leader, or the pre-load made no
 * progress. Else a negative errno. The problem is told unless 0. Main thread.
 */
MUST_USE int run_bench(const struct run *run, struct report *report, struct problem *problem);

#endif
