/* SPDX-License-Identifier: MIT */
/* What each operation does to a key, through the blocking calls. */
#include <stdlib.h>

#include "api_support.h"
#include "test_main.h"

START_TEST(put_is_read_back_by_both_kinds_of_read)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion put;
    struct synod_completion got;
    EXPECT_STATUS(synod_put(client, bytes_of("a"), bytes_of("one"), PATIENCE, &put), SYNOD_OK);
    ck_assert_int_eq((int)put.operation, SYNOD_PUT);
    ck_assert_uint_gt(put.revision, 0);
    ck_assert_uint_eq(put.version, 1);
    ck_assert_uint_eq(put.create_revision, put.revision);
    ck_assert_uint_eq(put.value.size, 0);
    const enum synod_consistency kinds[] = {SYNOD_READ_QUORUM, SYNOD_READ_LOG};
    for (size_t i = 0; i < 2; i++) {
        EXPECT_STATUS(synod_get(client, bytes_of("a"), kinds[i], PATIENCE, &got), SYNOD_OK);
        ck_assert_int_eq((int)got.operation, SYNOD_GET);
        ck_assert(holds(got.value, "one"));
        ck_assert_uint_eq(got.revision, put.revision);
        ck_assert_uint_eq(got.version, 1);
        ck_assert_uint_eq(got.create_revision, put.revision);
    }
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(versions_count_writes_since_creation_and_revisions_grow)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion first;
    struct synod_completion done;
    EXPECT_STATUS(synod_put(client, bytes_of("k"), bytes_of("1"), PATIENCE, &first), SYNOD_OK);
    uint64_t revision = first.revision;
    for (uint64_t version = 2; version <= 5; version++) {
        EXPECT_STATUS(synod_put(client, bytes_of("k"), bytes_of("n"), PATIENCE, &done), SYNOD_OK);
        ck_assert_uint_gt(done.revision, revision);
        ck_assert_uint_eq(done.version, version);
        ck_assert_uint_eq(done.create_revision, first.revision);
        revision = done.revision;
    }
    EXPECT_STATUS(synod_delete(client, bytes_of("k"), PATIENCE, &done), SYNOD_OK);
    ck_assert_uint_gt(done.revision, revision);
    EXPECT_STATUS(synod_put(client, bytes_of("k"), bytes_of("1"), PATIENCE, &first), SYNOD_OK);
    ck_assert_uint_gt(first.revision, done.revision);
    ck_assert_uint_eq(first.version, 1);
    ck_assert_uint_eq(first.create_revision, first.revision);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(absent_keys_are_not_found)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion done = {.revision = 77};
    EXPECT_STATUS(synod_get(client, bytes_of("x"), SYNOD_READ_QUORUM, PATIENCE, &done),
                  SYNOD_NOT_FOUND);
    ck_assert_uint_eq(done.revision, 0);
    ck_assert_uint_eq(done.value.size, 0);
    EXPECT_STATUS(synod_get(client, bytes_of("x"), SYNOD_READ_LOG, PATIENCE, &done),
                  SYNOD_NOT_FOUND);
    EXPECT_STATUS(synod_delete(client, bytes_of("x"), PATIENCE, &done), SYNOD_NOT_FOUND);
    put_text(client, "x", "1");
    EXPECT_STATUS(synod_delete(client, bytes_of("x"), PATIENCE, NULL), SYNOD_OK);
    EXPECT_STATUS(synod_delete(client, bytes_of("x"), PATIENCE, NULL), SYNOD_NOT_FOUND);
    EXPECT_STATUS(synod_get(client, bytes_of("x"), SYNOD_READ_QUORUM, PATIENCE, NULL),
                  SYNOD_NOT_FOUND);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(cas_by_revision_takes_the_newest_only)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_bytes key = bytes_of("k");
    struct synod_completion one;
    struct synod_completion done;
    EXPECT_STATUS(synod_cas(client, key, 0, bytes_of("1"), PATIENCE, &one), SYNOD_OK);
    EXPECT_STATUS(synod_cas(client, key, 0, bytes_of("2"), PATIENCE, &done), SYNOD_MISMATCH);
    ck_assert_uint_eq(done.revision, one.revision);
    EXPECT_STATUS(synod_cas(client, key, one.revision, bytes_of("2"), PATIENCE, &done), SYNOD_OK);
    ck_assert_uint_eq(done.version, 2);
    EXPECT_STATUS(synod_cas(client, key, one.revision, bytes_of("3"), PATIENCE, NULL),
                  SYNOD_MISMATCH);
    expect_text(client, "k", "2");
    EXPECT_STATUS(synod_cas(client, bytes_of("none"), 5, bytes_of("3"), PATIENCE, &done),
                  SYNOD_MISMATCH);
    ck_assert_uint_eq(done.revision, 0);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

static enum synod_status submit_and_wait(struct synod_client *client,
                                         const struct synod_request *request,
                                         struct synod_completion *done)
{
    EXPECT_STATUS(synod_submit(client, request), SYNOD_OK);
    poll_all(client, done, 1);
    ck_assert_uint_eq(done->tag, request->tag);
    return done->status;
}

START_TEST(cas_by_value_compares_every_byte)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion done;
    struct synod_request cas = {.operation = SYNOD_CAS,
                                .key = bytes_of("k"),
                                .compare = SYNOD_COMPARE_VALUE,
                                .expected = bytes_of("abc"),
                                .value = bytes_of("new"),
                                .tag = 9};
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_MISMATCH);
    put_text(client, "k", "abd");
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_MISMATCH);
    ck_assert_uint_eq(done.value.size, 0);
    put_text(client, "k", "abcd");
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_MISMATCH);
    put_text(client, "k", "abc");
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_OK);
    expect_text(client, "k", "new");
    /* The empty value is a value. */
    put_text(client, "k", "");
    cas.expected = (struct synod_bytes){NULL, 0};
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_OK);
    expect_text(client, "k", "new");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(cas_of_an_absent_key_creates_it_once)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion done;
    struct synod_request cas = {.operation = SYNOD_CAS,
                                .key = bytes_of("lock"),
                                .compare = SYNOD_COMPARE_ABSENT,
                                .value = bytes_of("mine")};
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_OK);
    uint64_t revision = done.revision;
    cas.value = bytes_of("yours");
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_MISMATCH);
    ck_assert_uint_eq(done.revision, revision);
    expect_text(client, "lock", "mine");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(cas_that_removes_needs_no_value_and_removes)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion done;
    put_text(client, "k", "v");
    struct synod_request cas = {.operation = SYNOD_CAS,
                                .key = bytes_of("k"),
                                .compare = SYNOD_COMPARE_VALUE,
                                .expected = bytes_of("w"),
                                .removes = true,
                                .value = {NULL, 12345}};
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_MISMATCH);
    expect_text(client, "k", "v");
    cas.expected = bytes_of("v");
    EXPECT_STATUS(submit_and_wait(client, &cas, &done), SYNOD_OK);
    EXPECT_STATUS(synod_get(client, bytes_of("k"), SYNOD_READ_QUORUM, PATIENCE, NULL),
                  SYNOD_NOT_FOUND);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(empty_and_binary_values_and_keys_round_trip)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion done;
    put_text(client, "empty", "");
    EXPECT_STATUS(synod_get(client, bytes_of("empty"), SYNOD_READ_QUORUM, PATIENCE, &done),
                  SYNOD_OK);
    ck_assert_uint_eq(done.value.size, 0);
    const uint8_t key[] = {0, 255, 10, 0};
    const uint8_t value[] = {7, 0, 0, 254};
    EXPECT_STATUS(synod_put(client, (struct synod_bytes){key, sizeof key},
                            (struct synod_bytes){value, sizeof value}, PATIENCE, NULL),
                  SYNOD_OK);
    EXPECT_STATUS(
        synod_get(client, (struct synod_bytes){key, sizeof key}, SYNOD_READ_LOG, PATIENCE, &done),
        SYNOD_OK);
    ck_assert_uint_eq(done.value.size, sizeof value);
    ck_assert_mem_eq(done.value.data, value, sizeof value);
    /* A prefix of it is another key. */
    EXPECT_STATUS(
        synod_get(client, (struct synod_bytes){key, 3}, SYNOD_READ_QUORUM, PATIENCE, NULL),
        SYNOD_NOT_FOUND);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

static void fill(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* The sizes every user gets without asking: 1 KiB keys and 1 MiB values. */
START_TEST(largest_keys_and_values_of_the_defaults_round_trip)
{
    struct synod_options options;
    synod_options_init(&options);
    options.segment_bytes = 16 << 20;
    options.segment_count = 4;
    struct synod_cluster *cluster = open_cluster(&options);
    struct synod_client *client = open_client(cluster);
    size_t key_bytes = options.max_key_bytes;
    size_t value_bytes = options.max_value_bytes;
    ck_assert_uint_ge(key_bytes, 1 << 10);
    ck_assert_uint_ge(value_bytes, 1 << 20);
    uint8_t *key = malloc(key_bytes + 1);
    uint8_t *value = malloc(value_bytes + 1);
    ck_assert(key != NULL && value != NULL);
    fill(key, key_bytes + 1, 1);
    struct synod_completion done;
    for (uint32_t round = 0; round < 6; round++) {
        fill(value, value_bytes + 1, round);
        EXPECT_STATUS(synod_put(client, (struct synod_bytes){key, key_bytes},
                                (struct synod_bytes){value, value_bytes}, PATIENCE, NULL),
                      SYNOD_OK);
        enum synod_consistency kind = round % 2 == 0 ? SYNOD_READ_QUORUM : SYNOD_READ_LOG;
        EXPECT_STATUS(
            synod_get(client, (struct synod_bytes){key, key_bytes}, kind, PATIENCE, &done),
            SYNOD_OK);
        ck_assert_uint_eq(done.value.size, value_bytes);
        ck_assert(memcmp(done.value.data, value, value_bytes) == 0);
    }
    EXPECT_STATUS(
        synod_put(client, (struct synod_bytes){key, key_bytes + 1}, bytes_of("v"), PATIENCE, NULL),
        SYNOD_INVALID);
    EXPECT_STATUS(synod_put(client, bytes_of("k"), (struct synod_bytes){value, value_bytes + 1},
                            PATIENCE, NULL),
                  SYNOD_INVALID);
    free(key);
    free(value);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(requests_out_of_range_are_refused_and_nothing_is_done)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    const struct synod_request good = {
        .operation = SYNOD_PUT, .key = bytes_of("k"), .value = bytes_of("v")};
    struct synod_request bad[12];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bad[i] = good;
    }
    bad[0].key.size = 0;
    bad[1].key.data = NULL;
    bad[2].key.size = 1025;
    bad[3].value.size = (64 << 10) + 1;
    bad[4].value.data = NULL;
    bad[5].operation = (enum synod_operation)4;
    bad[6].operation = (enum synod_operation) - 1;
    bad[7].operation = SYNOD_GET;
    bad[7].consistency = (enum synod_consistency)9;
    bad[8].operation = SYNOD_CAS;
    bad[8].compare = (enum synod_compare)7;
    bad[9].operation = SYNOD_CAS;
    bad[9].compare = SYNOD_COMPARE_VALUE;
    bad[9].expected = (struct synod_bytes){NULL, 3};
    bad[10].operation = SYNOD_CAS;
    bad[10].compare = SYNOD_COMPARE_VALUE;
    bad[10].expected = (struct synod_bytes){"x", (64 << 10) + 1};
    bad[11].key.size = SIZE_MAX;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_msg(synod_submit(client, &bad[i]) == SYNOD_INVALID, "request %zu", i);
    }
    EXPECT_STATUS(synod_submit(client, NULL), SYNOD_INVALID);
    ck_assert_uint_eq(synod_in_flight(client), 0);
    EXPECT_STATUS(synod_put(client, (struct synod_bytes){NULL, 0}, bytes_of("v"), 0, NULL),
                  SYNOD_INVALID);
    EXPECT_STATUS(synod_get(client, bytes_of(""), SYNOD_READ_QUORUM, 0, NULL), SYNOD_INVALID);
    EXPECT_STATUS(synod_delete(client, bytes_of(""), 0, NULL), SYNOD_INVALID);
    EXPECT_STATUS(synod_cas(client, bytes_of(""), 0, bytes_of("v"), 0, NULL), SYNOD_INVALID);
    EXPECT_STATUS(synod_get(client, bytes_of("k"), SYNOD_READ_QUORUM, PATIENCE, NULL),
                  SYNOD_NOT_FOUND);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(everything_named_by_pointers_is_copied_before_submit_returns)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    char key[] = "key";
    char value[] = "value";
    struct synod_request put = {
        .operation = SYNOD_PUT, .key = bytes_of(key), .value = bytes_of(value)};
    EXPECT_STATUS(synod_submit(client, &put), SYNOD_OK);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    struct synod_completion done;
    poll_all(client, &done, 1);
    expect_text(client, "key", "value");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(every_number_of_nodes_serves)
{
    const uint32_t sizes[] = {1, 2, 3, 5, 9, 15};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct synod_cluster *cluster = open_small(sizes[i]);
        struct synod_client *client = open_client(cluster);
        for (int n = 0; n < 50; n++) {
            char key[16];
            (void)snprintf(key, sizeof key, "k%d", n);
            put_text(client, key, key);
            expect_text(client, key, key);
        }
        EXPECT_STATUS(synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
        struct synod_node_status first;
        EXPECT_STATUS(synod_cluster_status(cluster, 0, &first), SYNOD_OK);
        ck_assert_uint_eq(first.keys, 50);
        for (uint32_t node = 1; node < sizes[i]; node++) {
            struct synod_node_status status;
            EXPECT_STATUS(synod_cluster_status(cluster, node, &status), SYNOD_OK);
            ck_assert_uint_eq(status.applied, first.applied);
            ck_assert_uint_eq(status.digest, first.digest);
        }
        synod_client_close(client);
        synod_cluster_close(cluster);
    }
}
END_TEST

TEST_MAIN("api/kv", put_is_read_back_by_both_kinds_of_read,
          versions_count_writes_since_creation_and_revisions_grow, absent_keys_are_not_found,
          cas_by_revision_takes_the_newest_only, cas_by_value_compares_every_byte,
          cas_of_an_absent_key_creates_it_once, cas_that_removes_needs_no_value_and_removes,
          empty_and_binary_values_and_keys_round_trip,
          largest_keys_and_values_of_the_defaults_round_trip,
          requests_out_of_range_are_refused_and_nothing_is_done,
          everything_named_by_pointers_is_copied_before_submit_returns,
          every_number_of_nodes_serves)
