/* SPDX-License-Identifier: MIT */
#include "bench/report.h"

#include <stdlib.h>
#include <string.h>

#include "test_main.h"

static struct problem problem;
static struct options options;
static struct report report;

static void begin(void)
{
    options_init(&options);
    options.duration_ns = 1000000000;
    ck_assert_int_eq(report_init(&report, &options), 0);
    report.environment = (struct environment){.cpus = 2,
                                              .cpu_model = "Test CPU",
                                              .kernel = "Linux",
                                              .wal_fs = "tmpfs",
                                              .warnings = {{"cpus", "text", "fix", true}},
                                              .warning_count = 1};
    report.window_ns = 1000000000;
}

static void record(enum synod_operation operation, uint64_t count)
{
    for (uint64_t i = 1; i <= count; i++) {
        histogram_record(&report.samples.latency[operation], i * 1000);
    }
    report.counters.completed += count;
}

static char *text_of(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(to);
    report_text(&report, to);
    (void)fclose(to);
    return text;
}

START_TEST(percentile_needs_ten_samples_above_it)
{
    begin();
    struct histogram *puts = &report.samples.latency[SYNOD_PUT];
    record(SYNOD_PUT, 19);
    ck_assert(!report_has_percentile(puts, 50));
    record(SYNOD_PUT, 1);
    ck_assert(report_has_percentile(puts, 50));
    record(SYNOD_PUT, 979);
    ck_assert(!report_has_percentile(puts, 99));
    record(SYNOD_PUT, 1);
    ck_assert(report_has_percentile(puts, 99));
    ck_assert(!report_has_percentile(puts, 99.9));
    record(SYNOD_PUT, 9000);
    ck_assert(report_has_percentile(puts, 99.9));
    ck_assert(!report_has_percentile(puts, 99.99));
    report_deinit(&report);
}
END_TEST

START_TEST(untold_percentile_is_a_dash_and_null)
{
    begin();
    record(SYNOD_PUT, 200);
    char *text = text_of();
    ck_assert_ptr_nonnull(strstr(text, " -       -       -  200 us"));
    free(text);
    json_t *document = report_json(&report);
    const json_t *service =
        json_object_get(json_object_get(json_object_get(document, "latency_ns"), "put"), "service");
    ck_assert(json_is_integer(json_object_get(service, "p50")));
    ck_assert(json_is_integer(json_object_get(service, "p90")));
    ck_assert(json_is_null(json_object_get(service, "p99")));
    ck_assert_int_eq(json_integer_value(json_object_get(service, "max")), 200000);
    json_decref(document);
    report_deinit(&report);
}
END_TEST

START_TEST(document_is_valid_json_with_the_agreed_keys)
{
    static const char *const KEYS[] = {
        "schema",      "program",   "version",   "seed",    "interrupted",    "config",
        "environment", "window_ns", "ops",       "cluster", "throughput_ops", "latency_ns",
        "threads",     "counters",  "intervals", "verdict", "faults",         "memory"};
    begin();
    ck_assert_int_eq(faults_parse("leader@1ms", &options.crashes, &problem), 0);
    report.faults.results[0] = (struct fault_result){.node = 0,
                                                     .was_leader = true,
                                                     .elected = 1,
                                                     .crashed_ns = 1000000,
                                                     .elected_ns = 3000000,
                                                     .restarted_ns = UINT64_MAX,
                                                     .caught_up_ns = UINT64_MAX,
                                                     .gap = {1000000, 4000000, false}};
    record(SYNOD_PUT, 1000);
    report_add_interval(&report, &report.samples, 1000000000, 1000000000);
    json_t *document = report_json(&report);
    ck_assert_ptr_nonnull(document);
    char *text = json_dumps(document, JSON_INDENT(2));
    json_decref(document);
    document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(document);
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        ck_assert_msg(json_object_get(document, KEYS[i]) != NULL, "%s", KEYS[i]);
    }
    ck_assert_int_eq(json_integer_value(json_object_get(document, "schema")), 1);
    ck_assert_ptr_null(json_object_get(document, "stages_ns")); /* not measured, so not told */
    const json_t *fault = json_array_get(json_object_get(document, "faults"), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(fault, "gap_ns")), 3000000);
    ck_assert(json_is_null(json_object_get(fault, "restarted_ns")));
    json_decref(document);
    free(text);
    report_deinit(&report);
}
END_TEST

START_TEST(text_that_is_not_utf8_does_not_spoil_the_document)
{
    begin();
    (void)strcpy(report.environment.cpu_model, "\xff\xfe");
    (void)strcpy(options.wal_directory, "/tmp/\xc3");
    json_t *document = report_json(&report);
    ck_assert_ptr_nonnull(document);
    json_decref(document);
    report_deinit(&report);
}
END_TEST

START_TEST(text_fits_eighty_columns)
{
    begin();
    options.mix = (struct workload_mix){{1, 1, 1, 1}};
    for (int i = 0; i < WORKLOAD_OPERATIONS; i++) {
        for (int decade = 0; decade < 12; decade++) {
            histogram_record_many(&report.samples.latency[i], UINT64_C(999) << (3 * decade),
                                  99999999);
        }
    }
    report.counters = (struct load_counters){.completed = 4799999952,
                                             .failed = 1234567,
                                             .unknown = 123456,
                                             .lost_cas = 123456,
                                             .refused = 99999999};
    report.cluster = (struct report_cluster){.leader = 14,
                                             .generation = 12345678,
                                             .totals = {99999, 9999999999, UINT64_C(1) << 43, 1, 1},
                                             .slots_committed = 4799999952,
                                             .nodes_up = 15,
                                             .log_bytes = UINT64_C(1) << 43,
                                             .was_quiet = true,
                                             .are_equal = true,
                                             .digest = UINT64_MAX,
                                             .digest_slot = 4799999952};
    report.threads.count = 2;
    report.threads.list[0] = (struct process_thread){1, "syn/c1023", UINT64_MAX / 4, 1u << 31, 1};
    char *text = text_of();
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        ck_assert_msg(strlen(line) <= 80, "%s", line);
    }
    free(text);
    report_deinit(&report);
}
END_TEST

START_TEST(intervals_are_bounded)
{
    begin(); /* one second in intervals of one */
    for (int i = 0; i < 100; i++) {
        report_add_interval(&report, &report.samples, 1, 1);
    }
    ck_assert_uint_eq(report.interval_count, report.interval_capacity);
    ck_assert_uint_le(report.interval_count, 3);
    report_deinit(&report);
}
END_TEST

static void expect_fault(const struct fault_result *fault, const char *wanted)
{
    begin();
    ck_assert_int_eq(faults_parse("leader@1ms", &options.crashes, &problem), 0);
    report.faults.results[0] = *fault;
    char *text = text_of();
    ck_assert_msg(strstr(text, wanted) != NULL, "%s", text);
    free(text);
    report_deinit(&report);
}

START_TEST(crash_is_told_in_words)
{
    struct fault_result fault = {.node = 0,
                                 .was_leader = true,
                                 .elected = 1,
                                 .crashed_ns = 100500000,
                                 .elected_ns = 405500000,
                                 .restarted_ns = 700000000,
                                 .caught_up_ns = 720000000,
                                 .unknown = 1,
                                 .gap = {100000000, 512500000, false}};
    expect_fault(&fault, "crash      leader n0 at 100 ms: service silent for 412 ms, "
                         "resumed after 412 ms\n"
                         "           n1 elected after 305 ms, 1 outcome unknown\n"
                         "           n0 back at 700 ms, caught up in 20.0 ms\n");
    fault.gap = (struct gap){700000000, 707000000, false};
    expect_fault(&fault, "service went on; longest silence 7.00 ms, at 700 ms\n");
    fault.gap = (struct gap){200000000, 200000000, false};
    fault.caught_up_ns = UINT64_MAX;
    expect_fault(&fault, "no gap in service of 1 ms or more\n");
    expect_fault(&fault, "n0 back at 700 ms, still behind after 300 ms\n");
    fault.gap = (struct gap){100000000, 1000000000, true};
    fault.restarted_ns = UINT64_MAX;
    expect_fault(&fault, "service silent for 900 ms, to the end of what was measured\n");
    expect_fault(&fault, "n0 not restarted: the window was over before\n");
    fault.crash_status = SYNOD_INVALID;
    expect_fault(&fault, "not done at 100 ms: the node was down already\n");
    fault.crashed_ns = UINT64_MAX;
    expect_fault(&fault, "crash      not done: the window was over before\n");
}
END_TEST

TEST_MAIN("bench/report", crash_is_told_in_words, percentile_needs_ten_samples_above_it,
          untold_percentile_is_a_dash_and_null, document_is_valid_json_with_the_agreed_keys,
          text_that_is_not_utf8_does_not_spoil_the_document, text_fits_eighty_columns,
          intervals_are_bounded)
