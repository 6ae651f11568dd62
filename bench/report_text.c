/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

#include <inttypes.h>
#include <string.h>

#include "bench/units.h"

#define THREADS_SHOWN 20

/* Labels in the first 11 columns, 80 in all. */
static void label(FILE *to, const char *name)
{
    (void)fprintf(to, "%-10s ", name);
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void write_head(const struct report *report, FILE *to)
{
    const struct options *options = report->options;
    const struct environment *environment = &report->environment;
    char mix[WORKLOAD_TEXT];
    char distribution[WORKLOAD_TEXT];
    workload_print_mix(&options->mix, mix);
    workload_print_distribution(&options->distribution, distribution);
    label(to, "load");
    (void)fprintf(to, "%" PRIu64 " client%s x %" PRIu64 " in flight, %s of %s keys\n",
                  options->clients, plural(options->clients), options->depth, distribution,
                  units_grouped(options->keys).text);
    label(to, "");
    (void)fprintf(to, "%s, keys of %s, values of %s\n", mix, units_bytes(options->key_bytes).text,
                  units_bytes(options->value_bytes).text);
    label(to, "machine");
    (void)fprintf(to, "%s, %" PRIu32 " CPU%s, %s\n", environment->cpu_model, environment->cpus,
                  plural(environment->cpus), environment->kernel);
}

static void write_throughput(const struct report *report, FILE *to)
{
    const struct load_counters *counters = &report->counters;
    label(to, "throughput");
    (void)fprintf(
        to, "%s operations a second (%s in %s%s)\n", units_rate(report_throughput(report)).text,
        units_grouped(counters->completed).text, units_duration((double)report->window_ns).text,
        report->interrupted ? ", interrupted" : "");
    label(to, "outcomes");
    (void)fprintf(to, "%s completed, %s failed, %s unknown",
                  units_grouped(counters->completed).text, units_grouped(counters->failed).text,
                  units_grouped(counters->unknown).text);
    if (counters->wrong > 0) {
        (void)fprintf(to, ", %s WRONG", units_grouped(counters->wrong).text);
    }
    (void)fputc('\n', to);
    if (counters->lost_cas > 0) {
        label(to, "");
        (void)fprintf(to, "%s compare-and-set%s lost to another write\n",
                      units_grouped(counters->lost_cas).text, plural(counters->lost_cas));
    }
    if (counters->refused > 0) {
        label(to, "");
        (void)fprintf(to, "full queues put %s submission%s off\n",
                      units_grouped(counters->refused).text, plural(counters->refused));
    }
}

static void write_latency_row(const char *name, const struct histogram *histogram, FILE *to)
{
    static const double percentiles[] = {50, 90, 99, 99.9, 99.99};
    label(to, name);
    (void)fprintf(to, "%13s %7s", units_grouped(histogram_count(histogram)).text,
                  histogram_count(histogram) == 0 ? "-"
                                                  : units_duration(histogram_mean(histogram)).text);
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        bool is_told = report_has_percentile(histogram, percentiles[i]);
        double value = (double)histogram_percentile(histogram, percentiles[i]);
        (void)fprintf(to, " %7s", is_told ? units_duration(value).text : "-");
    }
    (void)fprintf(to, " %7s\n",
                  histogram_count(histogram) == 0
                      ? "-"
                      : units_duration((double)histogram_max(histogram)).text);
}

static void write_latency(const struct report *report, FILE *to)
{
    (void)fputc('\n', to);
    label(to, "latency");
    (void)fprintf(to, "%13s %7s %7s %7s %7s %7s %7s %7s\n", "count", "mean", "p50", "p90", "p99",
                  "p99.9", "p99.99", "max");
    for (size_t i = 0; i < WORKLOAD_OPERATIONS; i++) {
        if (report->options->mix.weight[i] > 0) {
            write_latency_row(workload_operation_name((enum synod_operation)i),
                              &report->samples.latency[i], to);
        }
    }
    (void)fputc('\n', to);
}

static void write_cluster(const struct report *report, FILE *to)
{
    const struct report_cluster *cluster = &report->cluster;
    if (report->options->target == OPTIONS_TARGET_NULL) {
        label(to, "cluster");
        (void)fputs("none: the null target answers at once\n", to);
        return;
    }
    label(to, "cluster");
    (void)fprintf(to, "%" PRIu32 " of %" PRIu64 " node%s up", cluster->nodes_up,
                  report->options->nodes, plural(report->options->nodes));
    if (cluster->leader >= 0) {
        (void)fprintf(to, ", n%d leads in generation %" PRIu64, cluster->leader,
                      cluster->generation);
    } else {
        (void)fputs(", no leader", to);
    }
    (void)fprintf(to, ", %" PRIu64 " election%s\n", cluster->totals.elections,
                  plural(cluster->totals.elections));
    label(to, "");
    (void)fprintf(to, "%s slots", units_grouped(cluster->slots_committed).text);
    if (cluster->totals.batches > 0) {
        (void)fprintf(to, ", %.1f a batch",
                      (double)cluster->totals.slots_proposed / (double)cluster->totals.batches);
    }
    (void)fprintf(to, ", %s messages, %s copied\n",
                  units_rate((double)cluster->totals.messages_sent).text,
                  units_bytes(cluster->totals.bytes_replicated).text);
    if (cluster->was_quiet) {
        label(to, "");
        (void)fprintf(to, "%s at slot %s (digest %016" PRIx64 ")\n",
                      cluster->are_equal ? "all stores equal" : "STORES DIFFER",
                      units_grouped(cluster->digest_slot).text, cluster->digest);
    }
}

/* The longest silence after the crash. It is the crash's own if it began with it; a later one, as
 * when a node comes back, is told with its time. */
static void write_gap(const struct fault_result *result, FILE *to)
{
    const struct gap *gap = &result->gap;
    uint64_t length_ns = gap->end_ns - gap->start_ns;
    if (length_ns == 0) {
        (void)fputs("no gap in service of 1 ms or more\n", to);
    } else if (gap->is_open) {
        (void)fprintf(to, "service silent for %s, to the end of what was measured\n",
                      units_duration((double)length_ns).text);
    } else if (gap->start_ns <= result->crashed_ns + 2 * GAPS_STEP_NS) {
        uint64_t resumed_ns =
            gap->end_ns > result->crashed_ns ? gap->end_ns - result->crashed_ns : 0;
        (void)fprintf(to, "service silent for %s, ", units_duration((double)length_ns).text);
        (void)fprintf(to, "resumed after %s\n", units_duration((double)resumed_ns).text);
    } else {
        (void)fprintf(to, "service went on; longest silence %s, ",
                      units_duration((double)length_ns).text);
        (void)fprintf(to, "at %s\n", units_duration((double)gap->start_ns).text);
    }
}

static void write_comeback(const struct fault_result *result, uint64_t window_ns, FILE *to)
{
    label(to, "");
    if (result->restarted_ns == UINT64_MAX) {
        (void)fprintf(to, "n%d not restarted: %s\n", result->node,
                      result->restart_status == SYNOD_OK ? "the window was over before"
                                                         : result->problem.text);
        return;
    }
    (void)fprintf(to, "n%d back at %s, ", result->node,
                  units_duration((double)result->restarted_ns).text);
    bool is_behind = result->caught_up_ns == UINT64_MAX;
    uint64_t until = is_behind ? window_ns : result->caught_up_ns;
    until = until > result->restarted_ns ? until - result->restarted_ns : 0;
    (void)fprintf(to, "%s %s\n", is_behind ? "still behind after" : "caught up in",
                  units_duration((double)until).text);
}

static void write_fault(const struct fault_result *result, uint64_t window_ns, FILE *to)
{
    label(to, "crash");
    if (result->crashed_ns == UINT64_MAX) {
        (void)fputs("not done: the window was over before\n", to);
        return;
    }
    if (result->crash_status != SYNOD_OK) {
        (void)fprintf(to, "not done at %s: %s\n", units_duration((double)result->crashed_ns).text,
                      result->node < 0 ? "there was no leader" : "the node was down already");
        return;
    }
    (void)fprintf(to, "%sn%d at %s: ", result->was_leader ? "leader " : "", result->node,
                  units_duration((double)result->crashed_ns).text);
    write_gap(result, to);
    label(to, "");
    if (result->elected >= 0) {
        (void)fprintf(to, "n%d elected after %s, ", result->elected,
                      units_duration((double)(result->elected_ns - result->crashed_ns)).text);
    }
    (void)fprintf(to, "%" PRIu64 " outcome%s unknown\n", result->unknown, plural(result->unknown));
    write_comeback(result, window_ns, to);
}

static void write_threads(const struct report *report, FILE *to)
{
    const struct process_threads *threads = &report->threads;
    (void)fputc('\n', to);
    label(to, "thread");
    (void)fprintf(to, "%13s %7s %15s %15s\n", "cpu time", "busy", "gave way", "was preempted");
    for (size_t i = 0; i < threads->count && i < THREADS_SHOWN; i++) {
        const struct process_thread *thread = &threads->list[i];
        double busy =
            report->window_ns == 0 ? 0 : 100 * (double)thread->cpu_ns / (double)report->window_ns;
        label(to, thread->name);
        (void)fprintf(to, "%13s %5.1f %% %15s ", units_duration((double)thread->cpu_ns).text, busy,
                      units_grouped(thread->voluntary_switches).text);
        (void)fprintf(to, "%15s\n", units_grouped(thread->involuntary_switches).text);
    }
    if (threads->count > THREADS_SHOWN) {
        label(to, "");
        (void)fprintf(to, "and %zu more; all are in the result document\n",
                      threads->count - THREADS_SHOWN);
    }
    (void)fputc('\n', to);
}

static void write_space(const struct report *report, FILE *to)
{
    const struct report_cluster *cluster = &report->cluster;
    label(to, "space");
    (void)fprintf(to, "logs %s and ", units_bytes(cluster->log_bytes).text);
    (void)fprintf(to, "snapshots %s on %s, ", units_bytes(cluster->snapshot_bytes).text,
                  report->environment.wal_fs);
    (void)fprintf(to, "stores %s\n", units_bytes(cluster->store_bytes).text);
    label(to, "memory");
    (void)fprintf(to, "heap %s, ", units_bytes(report->memory.anonymous).text);
    (void)fprintf(to, "shared %s, ", units_bytes(report->memory.shared).text);
    (void)fprintf(to, "resident at most %s\n", units_bytes(report->memory.resident_peak).text);
    if (cluster->directory[0] != '\0') {
        label(to, "kept");
        (void)fprintf(to, "%s\n", cluster->directory);
    }
}

static void write_verdict(const struct report *report, FILE *to)
{
    if (report->environment.warning_count > 0) {
        label(to, "warnings");
        for (size_t i = 0; i < report->environment.warning_count; i++) {
            (void)fprintf(to, "%s%s", i == 0 ? "" : ", ", report->environment.warnings[i].id);
        }
        (void)fputc('\n', to);
    }
    label(to, "verdict");
    (void)fprintf(to, "%s\n", report_verdict_text(report->verdict));
}

void report_text(const struct report *report, FILE *to)
{
    write_head(report, to);
    (void)fputc('\n', to);
    write_throughput(report, to);
    write_latency(report, to);
    write_cluster(report, to);
    for (size_t i = 0; i < report->options->crashes.count; i++) {
        write_fault(&report->faults.results[i], report->window_ns, to);
    }
    write_threads(report, to);
    write_space(report, to);
    write_verdict(report, to);
}
