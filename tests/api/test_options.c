/* SPDX-License-Identifier: MIT */
/* What options are refused, and that a person can tell why. */
#include "api_support.h"
#include "test_main.h"

static void expect_refused(const struct synod_options *options, enum synod_status expected,
                           const char *word)
{
    char problem[512] = "untouched";
    struct synod_cluster *cluster = (struct synod_cluster *)(uintptr_t)1;
    enum synod_status status = synod_cluster_open(options, &cluster, problem, sizeof problem);
    ck_assert_msg(status == expected, "%s: %s, not %s (%s)", word, synod_status_name(status),
                  synod_status_name(expected), problem);
    ck_assert_ptr_null(cluster);
    ck_assert_msg(strstr(problem, word) != NULL, "\"%s\" does not name %s", problem, word);
}

START_TEST(defaults_are_what_the_header_says)
{
    struct synod_options options;
    memset(&options, 0xff, sizeof options);
    synod_options_init(&options);
    ck_assert_uint_eq(options.nodes, 3);
    ck_assert_uint_eq(options.phase1_quorum, 0);
    ck_assert_uint_eq(options.phase2_quorum, 0);
    ck_assert_uint_eq(options.max_clients, 16);
    ck_assert_uint_eq(options.max_in_flight, 1024);
    ck_assert_uint_eq(options.max_key_bytes, 1 << 10);
    ck_assert_uint_eq(options.max_value_bytes, 1 << 20);
    ck_assert_uint_eq(options.expected_keys, 1024);
    ck_assert_ptr_null(options.directory);
    ck_assert(!options.keep);
    ck_assert_uint_eq(options.segment_bytes, 64 << 20);
    ck_assert_uint_eq(options.segment_count, 8);
    ck_assert_int_eq((int)options.sync, SYNOD_SYNC_NONE);
    ck_assert_int_eq((int)options.idle, SYNOD_IDLE_AUTO);
    ck_assert_uint_eq(options.window_slots, 16384);
    ck_assert_uint_eq(options.batch_slots, 256);
    ck_assert_uint_eq(options.election_timeout_ns, 200000000);
    ck_assert_uint_eq(options.heartbeat_ns, 0);
    ck_assert_uint_eq(options.seed, 1);
    ck_assert_ptr_null(options.pin);
    ck_assert_ptr_null(options.priorities);
}
END_TEST

#define REFUSED(field, wrong)                                                                      \
    do {                                                                                           \
        struct synod_options options_;                                                             \
        small_options(&options_, 3);                                                               \
        options_.field = (wrong);                                                                  \
        expect_refused(&options_, SYNOD_INVALID, #field);                                          \
    } while (0)

START_TEST(each_option_out_of_range_is_named)
{
    REFUSED(nodes, 0);
    REFUSED(nodes, SYNOD_MAX_NODES + 1);
    REFUSED(max_clients, 0);
    REFUSED(max_clients, 1025);
    REFUSED(max_in_flight, 0);
    REFUSED(max_in_flight, 65537);
    REFUSED(max_key_bytes, 0);
    REFUSED(max_key_bytes, (32 << 10) + 1);
    REFUSED(max_value_bytes, (8 << 20) + 1);
    REFUSED(segment_bytes, 1 << 19);
    REFUSED(segment_bytes, UINT64_C(1) << 31);
    REFUSED(segment_bytes, (1 << 20) + 4096);
    REFUSED(segment_count, 3);
    REFUSED(segment_count, 0);
    REFUSED(window_slots, 8);
    REFUSED(window_slots, 1 << 21);
    REFUSED(window_slots, 1000);
    REFUSED(batch_slots, 0);
    REFUSED(batch_slots, 4097);
    REFUSED(election_timeout_ns, 9999999);
    REFUSED(heartbeat_ns, 40000000);
    REFUSED(sync, (enum synod_sync)2);
    REFUSED(idle, (enum synod_idle)4);
    REFUSED(idle, (enum synod_idle) - 1);
}
END_TEST

START_TEST(segments_too_small_for_the_largest_command_are_refused)
{
    struct synod_options options;
    small_options(&options, 3);
    options.max_value_bytes = 256 << 10;
    expect_refused(&options, SYNOD_INVALID, "segment");
}
END_TEST

START_TEST(quorums_that_need_not_meet_are_refused)
{
    struct synod_options options;
    small_options(&options, 5);
    options.phase1_quorum = 2;
    options.phase2_quorum = 3;
    expect_refused(&options, SYNOD_INVALID, "quorum");
    options.phase1_quorum = 6;
    expect_refused(&options, SYNOD_INVALID, "quorum");
    options.phase1_quorum = 1;
    options.phase2_quorum = 0;
    expect_refused(&options, SYNOD_INVALID, "quorum");
}
END_TEST

START_TEST(quorums_that_meet_are_taken)
{
    struct synod_options options;
    small_options(&options, 5);
    options.phase1_quorum = 4;
    options.phase2_quorum = 2;
    struct synod_cluster *cluster = open_cluster(&options);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    /* Two of five are a phase-2 quorum: whoever leads goes on writing with one other. */
    int leader = synod_cluster_leader(cluster);
    uint32_t downed = 0;
    for (uint32_t node = 0; node < 5 && downed < 3; node++) {
        if ((int)node != leader) {
            EXPECT_STATUS(synod_cluster_crash(cluster, node), SYNOD_OK);
            downed++;
        }
    }
    EXPECT_STATUS(synod_put(client, bytes_of("k"), bytes_of("w"), PATIENCE, NULL), SYNOD_OK);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(pins_that_are_no_cpus_are_refused)
{
    struct synod_options options;
    small_options(&options, 3);
    const int pins[] = {0, -1, 1 << 20};
    options.pin = pins;
    options.pin_count = 2;
    expect_refused(&options, SYNOD_INVALID, "pin[1]");
    options.pin = pins + 2;
    options.pin_count = 1;
    expect_refused(&options, SYNOD_INVALID, "pin[0]");
    const int unusable = 1023;
    options.pin = &unusable;
    expect_refused(&options, SYNOD_INVALID, "CPU");
}
END_TEST

START_TEST(nodes_pinned_to_one_cpu_serve)
{
    struct synod_options options;
    small_options(&options, 3);
    const int pin = 0;
    options.pin = &pin;
    options.pin_count = 1;
    struct synod_cluster *cluster = open_cluster(&options);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(node_of_highest_priority_comes_to_lead)
{
    struct synod_options options;
    small_options(&options, 3);
    const int priorities[] = {0, 0, 5};
    options.priorities = priorities;
    struct synod_cluster *cluster = open_cluster(&options);
    uint64_t start_ns = monotonic_ns();
    while (synod_cluster_leader(cluster) != 2) {
        ck_assert(monotonic_ns() - start_ns < PATIENCE);
        pause_ns(1000000);
    }
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(every_idle_strategy_serves)
{
    const enum synod_idle kinds[] = {SYNOD_IDLE_AUTO, SYNOD_IDLE_SPIN, SYNOD_IDLE_YIELD,
                                     SYNOD_IDLE_PARK};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct synod_options options;
        small_options(&options, 3);
        options.idle = kinds[i];
        options.election_timeout_ns = 200000000; /* spinning threads share few CPUs */
        struct synod_cluster *cluster = open_cluster(&options);
        struct synod_client *client = open_client(cluster);
        put_text(client, "k", "v");
        expect_text(client, "k", "v");
        EXPECT_STATUS(synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
        synod_client_close(client);
        synod_cluster_close(cluster);
    }
}
END_TEST

START_TEST(writes_synced_to_disk_serve)
{
    struct synod_options options;
    small_options(&options, 3);
    options.sync = SYNOD_SYNC_BATCH;
    struct synod_cluster *cluster = open_cluster(&options);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    expect_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(missing_arguments_are_refused)
{
    struct synod_options options;
    small_options(&options, 3);
    struct synod_cluster *cluster;
    EXPECT_STATUS(synod_cluster_open(&options, NULL, NULL, 0), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_open(NULL, &cluster, NULL, 0), SYNOD_INVALID);
    ck_assert_ptr_null(cluster);
}
END_TEST

START_TEST(problem_is_cut_to_its_size_and_terminated)
{
    struct synod_options options;
    small_options(&options, 3);
    options.nodes = 0;
    struct synod_cluster *cluster;
    char problem[8] = "1234567";
    EXPECT_STATUS(synod_cluster_open(&options, &cluster, problem, 4), SYNOD_INVALID);
    ck_assert_str_eq(problem, "nod");
    ck_assert_int_eq(problem[4], '5');
    EXPECT_STATUS(synod_cluster_open(&options, &cluster, problem, 0), SYNOD_INVALID);
    ck_assert_str_eq(problem, "nod");
    EXPECT_STATUS(synod_cluster_open(&options, &cluster, NULL, 100), SYNOD_INVALID);
}
END_TEST

TEST_MAIN("api/options", defaults_are_what_the_header_says, each_option_out_of_range_is_named,
          segments_too_small_for_the_largest_command_are_refused,
          quorums_that_need_not_meet_are_refused, quorums_that_meet_are_taken,
          pins_that_are_no_cpus_are_refused, nodes_pinned_to_one_cpu_serve,
          node_of_highest_priority_comes_to_lead, every_idle_strategy_serves,
          writes_synced_to_disk_serve, missing_arguments_are_refused,
          problem_is_cut_to_its_size_and_terminated)
