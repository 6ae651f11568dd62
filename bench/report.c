/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

#include <errno.h>
#include <stdlib.h>

/* Threads beside nodes and clients: main, faults, and a margin for the cluster's own. */
#define OTHER_THREADS 16

int report_init(struct report *report, const struct options *options)
{
    *report = (struct report){.options = options, .cluster = {.leader = -1}};
    load_samples_reset(&report->samples);
    uint64_t intervals = options->duration_ns / options->interval_ns + 2;
    if (options->duration_ns == 0 || intervals > REPORT_MAX_INTERVALS) {
        intervals = REPORT_MAX_INTERVALS;
    }
    report->interval_capacity = intervals;
    report->intervals = calloc(intervals, sizeof report->intervals[0]);
    size_t threads = options->nodes + options->clients + options->crashes.count + OTHER_THREADS;
    if (report->intervals == NULL || process_threads_init(&report->threads, threads) != 0) {
        report_deinit(report);
        return -ENOMEM;
    }
    return 0;
}

void report_deinit(struct report *report)
{
    process_threads_deinit(&report->threads);
    free(report->intervals);
    report->intervals = NULL;
}

bool report_has_percentile(const struct histogram *histogram, double percent)
{
    double above = (double)histogram_count(histogram) * (100 - percent) / 100;
    return above >= REPORT_TAIL_SAMPLES - 1e-6; /* 99.9 is no binary fraction */
}

double report_throughput(const struct report *report)
{
    return report->window_ns == 0
               ? 0
               : (double)report->counters.completed * 1e9 / (double)report->window_ns;
}

void report_add_interval(struct report *report, const struct load_samples *samples, uint64_t end_ns,
                         uint64_t length_ns)
{
    if (report->interval_count == report->interval_capacity) {
        return;
    }
    static struct histogram all; /* main thread only; too large for its stack */
    histogram_reset(&all);
    for (size_t i = 0; i < WORKLOAD_OPERATIONS; i++) {
        histogram_merge(&all, &samples->latency[i]);
    }
    report->intervals[report->interval_count++] = (struct report_interval){
        .end_ns = end_ns,
        .length_ns = length_ns,
        .operations = histogram_count(&all),
        .p50_ns = histogram_percentile(&all, 50),
        .p99_ns = histogram_percentile(&all, 99),
        .has_p50 = report_has_percentile(&all, 50),
        .has_p99 = report_has_percentile(&all, 99),
    };
}

const char *report_verdict_text(enum report_verdict verdict)
{
    switch (verdict) {
    case REPORT_OK:
        return "ok";
    case REPORT_NO_PROGRESS:
        return "no progress";
    case REPORT_WRONG_RESULTS:
        return "wrong results";
    case REPORT_DIGESTS_DIFFER:
        return "digests differ";
    }
    return "?";
}

int report_exit_code(const struct report *report)
{
    switch (report->verdict) {
    case REPORT_OK:
        return 0;
    case REPORT_NO_PROGRESS:
        return 11;
    case REPORT_WRONG_RESULTS:
    case REPORT_DIGESTS_DIFFER:
        return 10;
    }
    return 1;
}
