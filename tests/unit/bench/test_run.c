/* SPDX-License-Identifier: MIT */
#include "bench/run.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "scripted_target.h"
#include "test_main.h"

#define MS UINT64_C(1000000)

static struct problem problem;
static struct options options;
static struct report report;
static struct scripted scripted;
static struct target target;
static volatile sig_atomic_t interrupts;

/* A short run of put:1,get:1 on a few keys. */
static void begin(void)
{
    options_init(&options);
    options.duration_ns = 100 * MS;
    options.warmup_ns = 10 * MS;
    options.interval_ns = 20 * MS;
    options.clients = 2;
    options.depth = 8;
    options.keys = 1000;
    ck_assert_int_eq(workload_parse_mix("put:1,get:1", &options.mix, &problem), 0);
    scripted_init(&scripted, &target);
    interrupts = 0;
}

static int run_it(const struct target *on)
{
    struct workload workload;
    struct workload_spec spec = {.mix = options.mix,
                                 .distribution = options.distribution,
                                 .keys = options.keys,
                                 .key_bytes = (uint32_t)options.key_bytes,
                                 .value_bytes = (uint32_t)options.value_bytes,
                                 .seed = options.seed};
    struct placement placement = {0};
    struct live live;
    live_init(&live, stderr, false, false);
    ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
    ck_assert_int_eq(report_init(&report, &options), 0);
    struct run run = {.options = &options,
                      .workload = &workload,
                      .target = on,
                      .placement = &placement,
                      .live = &live,
                      .interrupts = &interrupts};
    problem.text[0] = '\0';
    return run_bench(&run, &report, &problem);
}

static void end(void)
{
    ck_assert_uint_eq(atomic_load(&scripted.open_clients), 0);
    report_deinit(&report);
}

static uint64_t samples_of(enum synod_operation operation)
{
    return histogram_count(&report.samples.latency[operation]);
}

START_TEST(every_completed_operation_has_one_latency)
{
    begin();
    ck_assert_int_eq(run_it(&target), 0);
    ck_assert_uint_gt(report.counters.completed, 0);
    ck_assert_uint_eq(report.counters.completed, samples_of(SYNOD_PUT) + samples_of(SYNOD_GET));
    ck_assert_uint_eq(report.counters.failed + report.counters.unknown, 0);
    uint64_t in_intervals = 0;
    for (size_t i = 0; i < report.interval_count; i++) {
        in_intervals += report.intervals[i].operations;
    }
    ck_assert_uint_eq(in_intervals, report.counters.completed);
    ck_assert_uint_eq(report.window_ns, options.duration_ns);
    ck_assert_int_eq(report_exit_code(&report), 0);
    end();
}
END_TEST

START_TEST(operations_are_counted_exactly)
{
    begin();
    options.duration_ns = 0;
    options.operations = 12345;
    ck_assert_int_eq(run_it(&target), 0);
    ck_assert_uint_eq(report.counters.completed, 12345);
    ck_assert_uint_eq(samples_of(SYNOD_PUT) + samples_of(SYNOD_GET), 12345);
    end();
}
END_TEST

START_TEST(fewer_operations_than_clients_end_too)
{
    begin();
    options.duration_ns = 0;
    options.operations = 1;
    ck_assert_int_eq(run_it(&target), 0);
    ck_assert_uint_eq(report.counters.completed, 1);
    end();
}
END_TEST

START_TEST(refused_operations_are_failed_and_have_no_latency)
{
    begin();
    scripted.good_puts = options.keys; /* the pre-load */
    scripted.put_status = SYNOD_BUSY;
    ck_assert_int_eq(run_it(&target), 0);
    ck_assert_uint_gt(report.counters.failed, 0);
    ck_assert_uint_eq(report.counters.completed, samples_of(SYNOD_PUT) + samples_of(SYNOD_GET));
    end();
}
END_TEST

START_TEST(nothing_served_is_no_progress)
{
    begin();
    scripted.good_puts = options.keys / 2; /* each client's half of the pre-load */
    scripted.put_status = SYNOD_NO_LEADER;
    ck_assert_int_eq(workload_parse_mix("put", &options.mix, &problem), 0);
    ck_assert_int_eq(run_it(&target), 0);
    ck_assert_uint_eq(report.counters.completed, 0);
    ck_assert_int_eq(report.verdict, REPORT_NO_PROGRESS);
    ck_assert_int_eq(report_exit_code(&report), 11);
    end();
}
END_TEST

START_TEST(missing_preloaded_key_is_a_wrong_result)
{
    begin();
    scripted.get_status = SYNOD_NOT_FOUND;
    ck_assert_int_eq(run_it(&target), 0);
    ck_assert_uint_eq(report.counters.wrong, samples_of(SYNOD_GET));
    ck_assert_int_eq(report.verdict, REPORT_WRONG_RESULTS);
    ck_assert_int_eq(report_exit_code(&report), 10);
    end();
}
END_TEST

START_TEST(missing_key_is_right_where_keys_are_deleted)
{
    begin();
    scripted.get_status = SYNOD_NOT_FOUND;
    ck_assert_int_eq(workload_parse_mix("get:1,delete:1", &options.mix, &problem), 0);
    ck_assert_int_eq(run_it(&target), 0);
    ck_assert_uint_eq(report.counters.wrong, 0);
    ck_assert_int_eq(report.verdict, REPORT_OK);
    end();
}
END_TEST

START_TEST(stores_that_differ_are_unsafe)
{
    begin();
    scripted.has_different_digests = true;
    ck_assert_int_eq(run_it(&target), 0);
    ck_assert_int_eq(report.verdict, REPORT_DIGESTS_DIFFER);
    ck_assert_int_eq(report_exit_code(&report), 10);
    end();
}
END_TEST

START_TEST(broken_client_ends_the_run)
{
    begin();
    scripted.good_puts = options.keys;
    scripted.put_status = SYNOD_CLOSED;
    options.duration_ns = 60000 * MS; /* it must not wait for that */
    ck_assert_int_eq(run_it(&target), -EIO);
    ck_assert_ptr_nonnull(strstr(problem.text, "closed"));
    end();
}
END_TEST

START_TEST(interrupt_before_the_window_leaves_no_report)
{
    begin();
    interrupts = 1;
    ck_assert_int_eq(run_it(&target), -EINTR);
    end();
}
END_TEST

/*
 * Nothing is answered during an outage, but on a busy machine each of the two clients may look late
 * at one answer from before it, and so cut the silence into three: the longest part is at least a
 * third, less the 2 ms to which a gap is known.
 */
static uint64_t least_gap_ns(void)
{
    return scripted.outage_ns / 3 - 2 * MS;
}

START_TEST(crash_of_the_leader_leaves_a_gap)
{
    begin();
    scripted.outage_ns = 60 * MS;
    options.duration_ns = 2000 * MS; /* long enough for a starved main thread to see the election */
    ck_assert_int_eq(faults_parse("leader@50ms+20ms", &options.crashes, &problem), 0);
    ck_assert_int_eq(run_it(&target), 0);
    const struct fault_result *fault = &report.faults.results[0];
    ck_assert_int_eq(fault->node, 0);
    ck_assert(fault->was_leader);
    ck_assert_int_eq(fault->elected, 1);
    ck_assert_uint_ge(fault->crashed_ns, 50 * MS);
    ck_assert_uint_ge(fault->elected_ns - fault->crashed_ns, 60 * MS - FAULTS_TICK_NS);
    ck_assert_uint_ge(fault->gap.end_ns - fault->gap.start_ns, least_gap_ns());
    ck_assert_uint_gt(fault->gap.end_ns, fault->crashed_ns);
    ck_assert_uint_eq(atomic_load(&scripted.restarts), 1);
    /* Two clients with at most eight in flight each lost what they had. */
    ck_assert_uint_gt(fault->unknown, 0);
    ck_assert_uint_le(fault->unknown, 16);
    ck_assert_uint_eq(fault->unknown, report.counters.unknown);
    end();
}
END_TEST

START_TEST(each_crash_has_its_own_gap)
{
    begin();
    scripted.outage_ns = 40 * MS;
    options.duration_ns = 1500 * MS;
    ck_assert_int_eq(faults_parse("leader@50ms+10s,leader@200ms+10s", &options.crashes, &problem),
                     0);
    ck_assert_int_eq(run_it(&target), 0);
    const struct fault_result *faults = report.faults.results;
    ck_assert_int_eq(faults[0].node, 0);
    ck_assert_int_eq(faults[1].node, 1);
    ck_assert_uint_ge(faults[0].gap.end_ns - faults[0].gap.start_ns, least_gap_ns());
    ck_assert_uint_ge(faults[1].gap.end_ns - faults[1].gap.start_ns, least_gap_ns());
    ck_assert_uint_le(faults[0].gap.end_ns, faults[1].crashed_ns);
    ck_assert_uint_gt(faults[1].gap.end_ns, faults[1].crashed_ns);
    ck_assert_uint_eq(faults[0].restarted_ns, UINT64_MAX); /* due after the window */
    end();
}
END_TEST

/* The null target cannot lose anything: the harness must account for each operation. */
START_TEST(null_target_completes_everything)
{
    struct target null;
    begin();
    ck_assert_int_eq(workload_parse_mix("put:2,get:2,cas:1,delete:1", &options.mix, &problem), 0);
    options.distribution = (struct workload_distribution){WORKLOAD_ZIPF, 0.99, 0};
    ck_assert_int_eq(target_null_open(&null, 256), SYNOD_OK);
    options.target = OPTIONS_TARGET_NULL;
    ck_assert_int_eq(run_it(&null), 0);
    uint64_t samples = 0;
    for (int i = 0; i < WORKLOAD_OPERATIONS; i++) {
        samples += samples_of((enum synod_operation)i);
    }
    ck_assert_uint_eq(samples, report.counters.completed);
    ck_assert_uint_gt(report.counters.completed, 0);
    target_close(&null);
    end();
}
END_TEST

TEST_MAIN("bench/run", every_completed_operation_has_one_latency, operations_are_counted_exactly,
          fewer_operations_than_clients_end_too, refused_operations_are_failed_and_have_no_latency,
          nothing_served_is_no_progress, missing_preloaded_key_is_a_wrong_result,
          missing_key_is_right_where_keys_are_deleted, stores_that_differ_are_unsafe,
          broken_client_ends_the_run, interrupt_before_the_window_leaves_no_report,
          crash_of_the_leader_leaves_a_gap, each_crash_has_its_own_gap,
          null_target_completes_everything)
