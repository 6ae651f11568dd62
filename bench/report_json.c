/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

#include <stdlib.h>
#include <string.h>

/*
 * Jansson's *_set_new takes ownership even when it fails, and fails on a NULL value, so a document
 * under construction needs one check at its end: `missing` counts what could not be put in.
 */
struct builder {
    unsigned missing;
};

static void put(struct builder *builder, json_t *object, const char *key, json_t *value)
{
    builder->missing += json_object_set_new(object, key, value) == 0 ? 0 : 1;
}

static void append(struct builder *builder, json_t *array, json_t *value)
{
    builder->missing += json_array_append_new(array, value) == 0 ? 0 : 1;
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* JSON is UTF-8 alone; a path or a model name need not be. */
static json_t *text_or_note(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : json_string("(not UTF-8)");
}

static json_t *number_if(bool is_known, uint64_t value)
{
    return is_known ? number(value) : json_null();
}

/* Numbers as numbers, so that programs can use them; all else as the flag takes it. */
static json_t *config_value(const char *text)
{
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        return json_boolean(text[0] == 't');
    }
    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
        return json_integer(strtoll(text, NULL, 10));
    }
    return text_or_note(text);
}

static json_t *config_json(struct builder *builder, const struct options *options)
{
    json_t *config = json_object();
    char text[OPTIONS_TEXT];
    for (size_t i = 0; options_name(i) != NULL; i++) {
        if (options_print(options, i, text)) {
            put(builder, config, options_name(i), config_value(text));
        }
    }
    return config;
}

static json_t *environment_json(struct builder *builder, const struct environment *environment)
{
    json_t *object = json_object();
    put(builder, object, "cpus", number(environment->cpus));
    put(builder, object, "cpu_model", text_or_note(environment->cpu_model));
    put(builder, object, "kernel", text_or_note(environment->kernel));
    put(builder, object, "hypervisor",
        environment->hypervisor[0] == '\0' ? json_null() : text_or_note(environment->hypervisor));
    put(builder, object, "governor",
        environment->governor[0] == '\0' ? json_null() : text_or_note(environment->governor));
    put(builder, object, "wal_fs", text_or_note(environment->wal_fs));
    json_t *warnings = json_array();
    for (size_t i = 0; i < environment->warning_count; i++) {
        const struct environment_warning *from = &environment->warnings[i];
        json_t *warning = json_object();
        put(builder, warning, "id", json_string(from->id));
        put(builder, warning, "text", json_string(from->text));
        put(builder, warning, "fix", json_string(from->fix));
        append(builder, warnings, warning);
    }
    put(builder, object, "warnings", warnings);
    return object;
}

static json_t *histogram_json(struct builder *builder, const struct histogram *histogram)
{
    static const struct {
        const char *key;
        double percent;
    } percentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}};
    json_t *object = json_object();
    put(builder, object, "count", number(histogram_count(histogram)));
    put(builder, object, "mean", json_real(histogram_mean(histogram)));
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        put(builder, object, percentiles[i].key,
            number_if(report_has_percentile(histogram, percentiles[i].percent),
                      histogram_percentile(histogram, percentiles[i].percent)));
    }
    put(builder, object, "max", number(histogram_max(histogram)));
    return object;
}

/* "response", from the intended start, is for open loops: a closed one intends no time. */
static json_t *latency_json(struct builder *builder, const struct report *report)
{
    json_t *object = json_object();
    for (size_t i = 0; i < WORKLOAD_OPERATIONS; i++) {
        if (report->options->mix.weight[i] > 0) {
            json_t *operation = json_object();
            put(builder, operation, "service",
                histogram_json(builder, &report->samples.latency[i]));
            put(builder, object, workload_operation_name((enum synod_operation)i), operation);
        }
    }
    return object;
}

static json_t *cluster_json(struct builder *builder, const struct report *report)
{
    const struct report_cluster *from = &report->cluster;
    json_t *object = json_object();
    put(builder, object, "nodes", number(report->options->nodes));
    put(builder, object, "nodes_up", number(from->nodes_up));
    put(builder, object, "leader", from->leader < 0 ? json_null() : json_integer(from->leader));
    put(builder, object, "generation", number(from->generation));
    put(builder, object, "elections", number(from->totals.elections));
    put(builder, object, "slots_committed", number(from->slots_committed));
    put(builder, object, "messages_sent", number(from->totals.messages_sent));
    put(builder, object, "bytes_replicated", number(from->totals.bytes_replicated));
    put(builder, object, "batch_mean",
        from->totals.batches == 0
            ? json_null()
            : json_real((double)from->totals.slots_proposed / (double)from->totals.batches));
    put(builder, object, "digests_equal",
        from->was_quiet ? json_boolean(from->are_equal) : json_null());
    return object;
}

static json_t *threads_json(struct builder *builder, const struct process_threads *threads)
{
    json_t *array = json_array();
    for (size_t i = 0; i < threads->count; i++) {
        const struct process_thread *from = &threads->list[i];
        json_t *thread = json_object();
        put(builder, thread, "name", text_or_note(from->name));
        put(builder, thread, "cpu_ns", number(from->cpu_ns));
        put(builder, thread, "voluntary_switches", number(from->voluntary_switches));
        put(builder, thread, "involuntary_switches", number(from->involuntary_switches));
        append(builder, array, thread);
    }
    return array;
}

static json_t *intervals_json(struct builder *builder, const struct report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->interval_count; i++) {
        const struct report_interval *from = &report->intervals[i];
        json_t *interval = json_object();
        put(builder, interval, "t_ns", number(from->end_ns));
        put(builder, interval, "length_ns", number(from->length_ns));
        put(builder, interval, "ops", number(from->operations));
        put(builder, interval, "p50", number_if(from->has_p50, from->p50_ns));
        put(builder, interval, "p99", number_if(from->has_p99, from->p99_ns));
        append(builder, array, interval);
    }
    return array;
}

static json_t *time_json(uint64_t time_ns)
{
    return number_if(time_ns != UINT64_MAX, time_ns);
}

static json_t *fault_json(struct builder *builder, const struct fault_result *from)
{
    json_t *fault = json_object();
    bool is_done = from->crashed_ns != UINT64_MAX && from->crash_status == SYNOD_OK;
    put(builder, fault, "kind", json_string("crash"));
    put(builder, fault, "done", json_boolean(is_done));
    put(builder, fault, "node", from->node < 0 ? json_null() : json_integer(from->node));
    put(builder, fault, "was_leader", json_boolean(from->was_leader));
    put(builder, fault, "crashed_ns", time_json(from->crashed_ns));
    put(builder, fault, "elected", from->elected < 0 ? json_null() : json_integer(from->elected));
    put(builder, fault, "elected_ns", time_json(from->elected_ns));
    put(builder, fault, "restarted_ns", time_json(from->restarted_ns));
    put(builder, fault, "caught_up_ns", time_json(from->caught_up_ns));
    put(builder, fault, "unknown", number(from->unknown));
    put(builder, fault, "gap_start_ns", number_if(is_done, from->gap.start_ns));
    put(builder, fault, "gap_ns", number_if(is_done, from->gap.end_ns - from->gap.start_ns));
    put(builder, fault, "resumed", json_boolean(is_done && !from->gap.is_open));
    return fault;
}

static json_t *faults_json(struct builder *builder, const struct report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->options->crashes.count; i++) {
        append(builder, array, fault_json(builder, &report->faults.results[i]));
    }
    return array;
}

static json_t *memory_json(struct builder *builder, const struct report *report)
{
    json_t *object = json_object();
    put(builder, object, "resident_peak_bytes", number(report->memory.resident_peak));
    put(builder, object, "anonymous_bytes", number(report->memory.anonymous));
    put(builder, object, "shared_bytes", number(report->memory.shared));
    put(builder, object, "log_bytes", number(report->cluster.log_bytes));
    put(builder, object, "snapshot_bytes", number(report->cluster.snapshot_bytes));
    put(builder, object, "store_bytes", number(report->cluster.store_bytes));
    return object;
}

static json_t *operations_json(struct builder *builder, const struct load_counters *counters)
{
    json_t *object = json_object();
    put(builder, object, "completed", number(counters->completed));
    put(builder, object, "failed", number(counters->failed));
    put(builder, object, "unknown", number(counters->unknown));
    put(builder, object, "wrong", number(counters->wrong));
    put(builder, object, "lost_cas", number(counters->lost_cas));
    put(builder, object, "refused", number(counters->refused));
    return object;
}

json_t *report_json(const struct report *report)
{
    struct builder builder = {0};
    json_t *root = json_object();
    put(&builder, root, "schema", json_integer(REPORT_SCHEMA));
    put(&builder, root, "program", json_string("synod bench"));
    put(&builder, root, "version", json_string(SYNOD_VERSION));
    put(&builder, root, "seed", number(report->options->seed));
    put(&builder, root, "interrupted", json_boolean(report->interrupted));
    put(&builder, root, "config", config_json(&builder, report->options));
    put(&builder, root, "environment", environment_json(&builder, &report->environment));
    put(&builder, root, "window_ns", number(report->window_ns));
    put(&builder, root, "ops", operations_json(&builder, &report->counters));
    put(&builder, root, "throughput_ops", json_real(report_throughput(report)));
    put(&builder, root, "latency_ns", latency_json(&builder, report));
    put(&builder, root, "cluster", cluster_json(&builder, report));
    put(&builder, root, "faults", faults_json(&builder, report));
    put(&builder, root, "memory", memory_json(&builder, report));
    put(&builder, root, "threads", threads_json(&builder, &report->threads));
    json_t *tier = json_object();
    put(&builder, tier, "tier", json_string("none"));
    put(&builder, root, "counters", tier);
    put(&builder, root, "intervals", intervals_json(&builder, report));
    put(&builder, root, "verdict", json_string(report_verdict_text(report->verdict)));
    if (builder.missing > 0) {
        json_decref(root);
        return NULL;
    }
    return root;
}
