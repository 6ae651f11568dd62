/* SPDX-License-Identifier: MIT */
/* Submit and poll: many in flight, limits, deadlines, and blocking calls in between. */
#include <stdlib.h>

#include "api_support.h"
#include "test_main.h"

enum { LIMIT = 64 };

/* Keeps one follower and the leader from agreeing: a majority of three is down. */
static void crash_followers(struct synod_cluster *cluster)
{
    int leader = synod_cluster_await_leader(cluster, PATIENCE);
    for (uint32_t node = 0; node < 3; node++) {
        if ((int)node != leader) {
            EXPECT_STATUS(synod_cluster_crash(cluster, node), SYNOD_OK);
        }
    }
}

static struct synod_request put_request(const char *key, const char *value, uint64_t tag)
{
    return (struct synod_request){
        .operation = SYNOD_PUT, .key = bytes_of(key), .value = bytes_of(value), .tag = tag};
}

START_TEST(every_request_comes_out_once_with_its_tag)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    bool is_done[4000] = {false};
    size_t submitted = 0;
    size_t completed = 0;
    while (completed < 4000) {
        while (submitted < 4000 && submitted - completed < LIMIT) {
            char key[16];
            (void)snprintf(key, sizeof key, "k%zu", submitted % 100);
            struct synod_request request = put_request(key, key, submitted);
            request.operation = (enum synod_operation)(submitted % 4);
            request.consistency = submitted % 8 < 4 ? SYNOD_READ_LOG : SYNOD_READ_QUORUM;
            request.compare = SYNOD_COMPARE_ABSENT;
            EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
            submitted++;
        }
        ck_assert_uint_eq(synod_in_flight(client), submitted - completed);
        struct synod_completion completions[16];
        size_t count = synod_poll(client, completions, 16, SECONDS);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_lt(completions[i].tag, 4000);
            ck_assert(!is_done[completions[i].tag]);
            is_done[completions[i].tag] = true;
            ck_assert_int_eq((int)completions[i].operation, (int)(completions[i].tag % 4));
            enum synod_status status = completions[i].status;
            ck_assert_msg(status == SYNOD_OK || status == SYNOD_NOT_FOUND ||
                              status == SYNOD_MISMATCH,
                          "%s", synod_status_name(status));
        }
        completed += count;
    }
    ck_assert_uint_eq(synod_in_flight(client), 0);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(one_too_many_in_flight_is_busy_until_some_are_taken)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_request request = put_request("k", "v", 0);
    for (int i = 0; i < LIMIT; i++) {
        EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
    }
    EXPECT_STATUS(synod_submit(client, &request), SYNOD_BUSY);
    EXPECT_STATUS(synod_put(client, bytes_of("x"), bytes_of("y"), PATIENCE, NULL), SYNOD_BUSY);
    ck_assert_uint_eq(synod_in_flight(client), LIMIT);
    struct synod_completion completions[LIMIT];
    poll_all(client, completions, LIMIT);
    EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
    poll_all(client, completions, 1);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(poll_with_nothing_in_flight_returns_at_once)
{
    struct synod_cluster *cluster = open_small(1);
    struct synod_client *client = open_client(cluster);
    struct synod_completion done;
    ck_assert_uint_eq(synod_poll(client, &done, 1, UINT64_MAX), 0);
    ck_assert_uint_eq(synod_poll(client, &done, 0, UINT64_MAX), 0);
    ck_assert_uint_eq(synod_poll(client, NULL, 1, UINT64_MAX), 0);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(flush_alone_sends)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_client *other = open_client(cluster);
    struct synod_request request = put_request("k", "v", 0);
    EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
    synod_flush(client);
    uint64_t start_ns = monotonic_ns();
    while (synod_get(other, bytes_of("k"), SYNOD_READ_QUORUM, PATIENCE, NULL) != SYNOD_OK) {
        ck_assert(monotonic_ns() - start_ns < PATIENCE);
    }
    ck_assert_uint_eq(synod_in_flight(client), 1);
    struct synod_completion done;
    poll_all(client, &done, 1);
    synod_client_close(client);
    synod_client_close(other);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(blocking_calls_leave_the_others_completions_for_poll)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    for (uint64_t tag = 0; tag < 40; tag++) {
        struct synod_request request = put_request("many", "v", tag);
        request.operation = tag % 2 == 0 ? SYNOD_PUT : SYNOD_GET;
        EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
    }
    struct synod_completion done;
    EXPECT_STATUS(synod_put(client, bytes_of("one"), bytes_of("1"), PATIENCE, &done), SYNOD_OK);
    for (int i = 0; i < 3; i++) {
        expect_text(client, "one", "1");
    }
    ck_assert_uint_eq(synod_in_flight(client), 40);
    bool is_seen[40] = {false};
    for (size_t got = 0; got < 40;) {
        struct synod_completion completions[40];
        size_t count = synod_poll(client, completions, 40, SECONDS);
        for (size_t i = 0; i < count; i++) {
            ck_assert(!is_seen[completions[i].tag]);
            is_seen[completions[i].tag] = true;
            ck_assert(completions[i].status == SYNOD_OK ||
                      (completions[i].operation == SYNOD_GET &&
                       completions[i].status == SYNOD_NOT_FOUND));
            if (completions[i].operation == SYNOD_GET && completions[i].status == SYNOD_OK) {
                ck_assert(holds(completions[i].value, "v"));
            }
        }
        got += count;
    }
    ck_assert_uint_eq(synod_in_flight(client), 0);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

/* Their replies are more than a lane holds: a blocking call has to put them by as they come. */
START_TEST(blocking_call_behind_many_large_reads_is_served)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    static char value[64 << 10];
    memset(value, 'v', sizeof value);
    EXPECT_STATUS(synod_put(client, bytes_of("large"), (struct synod_bytes){value, sizeof value},
                            PATIENCE, NULL),
                  SYNOD_OK);
    struct synod_request request = {.operation = SYNOD_GET, .key = bytes_of("large")};
    for (int i = 0; i < 40; i++) {
        EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
    }
    struct synod_completion done;
    EXPECT_STATUS(synod_get(client, bytes_of("large"), SYNOD_READ_QUORUM, PATIENCE, &done),
                  SYNOD_OK);
    ck_assert_uint_eq(done.value.size, sizeof value);
    for (int i = 0; i < 40; i++) {
        poll_all(client, &done, 1);
        EXPECT_STATUS(done.status, SYNOD_OK);
        ck_assert_uint_eq(done.value.size, sizeof value);
        ck_assert(memcmp(done.value.data, value, sizeof value) == 0);
    }
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(values_stay_until_the_next_call)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    for (int i = 0; i < 8; i++) {
        char text[2] = {(char)('a' + i), 0};
        put_text(client, text, text);
        struct synod_request request = {
            .operation = SYNOD_GET, .key = bytes_of(text), .tag = (uint64_t)i};
        EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
    }
    struct synod_completion completions[8];
    size_t got = 0;
    while (got < 8) {
        size_t count = synod_poll(client, completions, 8, SECONDS);
        for (size_t i = 0; i < count; i++) { /* all of one poll, after all of it came */
            char expected[2] = {(char)('a' + completions[i].tag), 0};
            ck_assert(holds(completions[i].value, expected));
        }
        got += count;
    }
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(write_that_reached_a_leader_without_majority_times_out)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "before");
    crash_followers(cluster);
    /* At once: the leader still believes in itself. Later: nobody leads. Both end in time. */
    enum synod_status status =
        synod_put(client, bytes_of("k"), bytes_of("unsure"), SECONDS / 5, NULL);
    ck_assert_msg(status == SYNOD_TIMEOUT || status == SYNOD_NO_LEADER, "%s",
                  synod_status_name(status));
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(without_a_leader_nothing_is_done_and_said_so)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "before");
    crash_followers(cluster);
    uint64_t start_ns = monotonic_ns();
    while (synod_cluster_leader(cluster) >= 0) {
        ck_assert(monotonic_ns() - start_ns < PATIENCE);
        pause_ns(1000000);
    }
    struct synod_completion done;
    EXPECT_STATUS(synod_put(client, bytes_of("k"), bytes_of("never"), SECONDS / 20, &done),
                  SYNOD_NO_LEADER);
    EXPECT_STATUS(done.status, SYNOD_NO_LEADER);
    EXPECT_STATUS(synod_get(client, bytes_of("k"), SYNOD_READ_QUORUM, SECONDS / 20, NULL),
                  SYNOD_NO_LEADER);
    EXPECT_STATUS(synod_get(client, bytes_of("k"), SYNOD_READ_LOG, SECONDS / 20, NULL),
                  SYNOD_NO_LEADER);
    for (uint32_t node = 0; node < 3; node++) {
        struct synod_node_status status;
        EXPECT_STATUS(synod_cluster_status(cluster, node, &status), SYNOD_OK);
        if (status.role == SYNOD_DOWN) {
            EXPECT_STATUS(synod_cluster_restart(cluster, node, NULL, 0), SYNOD_OK);
        }
    }
    expect_text(client, "k", "before");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(requests_wait_for_a_leader_until_their_deadline)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    uint32_t leader = (uint32_t)synod_cluster_await_leader(cluster, PATIENCE);
    EXPECT_STATUS(synod_cluster_crash(cluster, leader), SYNOD_OK);
    put_text(client, "k", "v"); /* found the next one by itself */
    expect_text(client, "k", "v");
    ck_assert_int_ne(synod_cluster_leader(cluster), (int)leader);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

/* Deadlines count from submission, whatever calls were refused and however long ago the last poll
 * was. */
START_TEST(time_before_submission_does_not_count)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion done;
    EXPECT_STATUS(synod_put(client, bytes_of(""), bytes_of("v"), 0, NULL), SYNOD_INVALID);
    struct synod_request many = put_request("k", "v", 1);
    EXPECT_STATUS(synod_submit(client, &many), SYNOD_OK);
    for (int i = 1; i < LIMIT; i++) {
        EXPECT_STATUS(synod_submit(client, &many), SYNOD_OK);
    }
    EXPECT_STATUS(synod_put(client, bytes_of("k"), bytes_of("v"), 0, NULL), SYNOD_BUSY);
    struct synod_completion completions[LIMIT];
    poll_all(client, completions, LIMIT);
    EXPECT_STATUS(synod_put(client, bytes_of(""), bytes_of("v"), 0, NULL), SYNOD_INVALID);
    synod_flush(client);
    pause_ns(3 * SECONDS / 2);
    struct synod_request request = put_request("k", "v", 7);
    request.timeout_ns = SECONDS;
    EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
    poll_all(client, &done, 1);
    EXPECT_STATUS(done.status, SYNOD_OK);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(answers_to_what_timed_out_are_nobodys)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "0");
    for (uint64_t i = 0; i < 200; i++) {
        struct synod_request request = put_request("k", "late", i);
        request.timeout_ns = 1; /* over before any answer can be here */
        EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
        struct synod_completion done;
        poll_all(client, &done, 1);
        ck_assert_uint_eq(done.tag, i);
        ck_assert(done.status == SYNOD_TIMEOUT || done.status == SYNOD_OK);
        char value[16];
        (void)snprintf(value, sizeof value, "v%u", (unsigned)i);
        struct synod_completion put;
        EXPECT_STATUS(synod_put(client, bytes_of("other"), bytes_of(value), PATIENCE, &put),
                      SYNOD_OK);
        ck_assert_uint_eq(put.version, i + 1); /* an answer of another's would not say so */
    }
    ck_assert_uint_eq(synod_in_flight(client), 0);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(crashed_leader_makes_writes_unknown_and_reads_go_on)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    for (int round = 0; round < 5; round++) {
        for (uint64_t tag = 0; tag < 20; tag++) {
            struct synod_request request = put_request("w", "x", tag);
            if (tag % 2 == 1) {
                request.operation = SYNOD_GET;
                request.key = bytes_of("k");
            }
            request.timeout_ns = PATIENCE;
            EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
        }
        synod_flush(client);
        uint32_t leader = (uint32_t)synod_cluster_await_leader(cluster, PATIENCE);
        EXPECT_STATUS(synod_cluster_crash(cluster, leader), SYNOD_OK);
        EXPECT_STATUS(synod_cluster_restart(cluster, leader, NULL, 0), SYNOD_OK);
        for (size_t got = 0; got < 20; got++) {
            struct synod_completion done;
            poll_all(client, &done, 1);
            if (done.operation == SYNOD_GET) {
                EXPECT_STATUS(done.status, SYNOD_OK);
                ck_assert(holds(done.value, "v"));
            } else {
                ck_assert(done.status == SYNOD_OK || done.status == SYNOD_TIMEOUT);
            }
        }
    }
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(largest_limit_of_requests_in_flight_is_usable)
{
    struct synod_options options;
    small_options(&options, 3);
    options.max_in_flight = 65536;
    options.max_value_bytes = 64;
    struct synod_cluster *cluster = open_cluster(&options);
    struct synod_client *client = open_client(cluster);
    size_t submitted = 0;
    struct synod_request request = put_request("k", "v", 0);
    enum synod_status status = SYNOD_OK;
    while (submitted < 65536 && (status = synod_submit(client, &request)) == SYNOD_OK) {
        submitted++;
    }
    ck_assert(status == SYNOD_OK || status == SYNOD_BUSY); /* the lane may be full first */
    ck_assert_uint_gt(submitted, 500);
    struct synod_completion *completions = calloc(submitted, sizeof *completions);
    ck_assert_ptr_nonnull(completions);
    poll_all(client, completions, submitted);
    free(completions);
    put_text(client, "k", "w");
    expect_text(client, "k", "w");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

TEST_MAIN("api/async", every_request_comes_out_once_with_its_tag,
          one_too_many_in_flight_is_busy_until_some_are_taken,
          poll_with_nothing_in_flight_returns_at_once, flush_alone_sends,
          blocking_calls_leave_the_others_completions_for_poll,
          blocking_call_behind_many_large_reads_is_served, values_stay_until_the_next_call,
          write_that_reached_a_leader_without_majority_times_out,
          without_a_leader_nothing_is_done_and_said_so,
          requests_wait_for_a_leader_until_their_deadline, time_before_submission_does_not_count,
          answers_to_what_timed_out_are_nobodys,
          crashed_leader_makes_writes_unknown_and_reads_go_on,
          largest_limit_of_requests_in_flight_is_usable)
