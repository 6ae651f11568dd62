/* SPDX-License-Identifier: MIT */
/*
 * The client by itself: the test plays the nodes, and hears and says through their ends of the
 * lanes just what it wants, when it wants.
 */
#include "cluster/client.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cluster/leader_hint.h"
#include "test_main.h"

enum { NODES = 3, LIMIT = 8 };

struct stage {
    struct synod_cluster cluster;
    struct client_end ends[NODES];
    uint64_t round; /* of the last leadership */
};

static struct stage stage;

static void lead(uint32_t node)
{
    stage.round++;
    leader_hint_raise(&stage.cluster.leader_hint, generation_make(stage.round, node));
}

static struct synod_client *enter(void)
{
    struct synod_client *client;
    ck_assert_int_eq((int)synod_client_open(&stage.cluster, &client), SYNOD_OK);
    return client;
}

/* A cluster without threads, logs or directories: only what clients look at. Node 0 leads. */
static struct synod_client *set_stage(void)
{
    memset(&stage, 0, sizeof stage);
    struct synod_cluster *cluster = &stage.cluster;
    synod_options_init(&cluster->options);
    cluster->options.nodes = NODES;
    cluster->options.max_clients = 4;
    cluster->options.max_in_flight = LIMIT;
    cluster->options.max_value_bytes = 10000;
    cluster->options.idle = SYNOD_IDLE_YIELD;
    cluster->usable_cpus = 1;
    cluster->references = 2; /* never freed */
    cluster->run_salt = UINT64_C(0x123456789abcdef0);
    ck_assert_int_eq(pthread_mutex_init(&cluster->control, NULL), 0);
    ck_assert_int_eq(mesh_init(&cluster->mesh, NODES, 8), 0);
    ck_assert_int_eq(client_lanes_init(&cluster->lanes, NODES, 4, LIMIT, 30000, 10000), 0);
    for (uint32_t node = 0; node < NODES; node++) {
        mesh_up(&cluster->mesh, node);
        ck_assert_int_eq(client_end_init(&stage.ends[node], &cluster->lanes, node), 0);
    }
    lead(0);
    return enter();
}

static void strike_stage(struct synod_client *client)
{
    synod_client_close(client);
    for (uint32_t node = 0; node < NODES; node++) {
        client_end_deinit(&stage.ends[node]);
    }
    client_lanes_deinit(&stage.cluster.lanes);
    mesh_deinit(&stage.cluster.mesh);
    (void)pthread_mutex_destroy(&stage.cluster.control);
}

/* As a crash and a restart look from here. */
static void crash(uint32_t node)
{
    leader_hint_end(&stage.cluster.leader_hint, node);
    mesh_down(&stage.cluster.mesh, node);
}

static void restart(uint32_t node)
{
    client_end_skip_all(&stage.ends[node], &stage.cluster.lanes);
    mesh_up(&stage.cluster.mesh, node);
}

/* The next request that reached the node; its sequence, 0 for none. */
static uint64_t hear(uint32_t node)
{
    struct request request;
    if (!client_end_next(&stage.ends[node], &stage.cluster.lanes, &request)) {
        return 0;
    }
    client_end_release(&stage.ends[node], &stage.cluster.lanes);
    return request.sequence;
}

static void say(uint32_t node, uint64_t sequence, enum reply_status status,
                const struct store_outcome *outcome)
{
    struct reply reply = {.client = 0, .sequence = sequence, .status = status};
    if (outcome != NULL) {
        reply.outcome = *outcome;
    }
    ck_assert(client_end_reply(&stage.ends[node], &stage.cluster.lanes, &reply));
    (void)client_end_publish(&stage.ends[node], &stage.cluster.lanes);
    client_end_ring(&stage.ends[node], &stage.cluster.lanes);
}

static const struct store_outcome done_at_9 = {.result = STORE_OK, .entry = {.modify_slot = 9}};

static void submit(struct synod_client *client, enum synod_operation operation, uint64_t tag,
                   uint64_t timeout_ns)
{
    struct synod_request request = {.operation = operation,
                                    .key = {"k", 1},
                                    .value = {"v", 1},
                                    .timeout_ns = timeout_ns,
                                    .tag = tag};
    ck_assert_int_eq((int)synod_submit(client, &request), SYNOD_OK);
}

#define HOUR UINT64_C(3600000000000)

/* Long enough for a sweep to be due, and for deadlines of a millisecond to be over. */
static void let_time_pass(void)
{
    struct timespec moment = {.tv_nsec = 3000000};
    (void)nanosleep(&moment, NULL);
}

static size_t poll_after_a_while(struct synod_client *client, struct synod_completion *completion)
{
    let_time_pass();
    return synod_poll(client, completion, 1, 0);
}

static void expect_outcome(struct synod_client *client, uint64_t tag, enum synod_status status)
{
    struct synod_completion completion;
    ck_assert_uint_eq(poll_after_a_while(client, &completion), 1);
    ck_assert_uint_eq(completion.tag, tag);
    ck_assert_msg(completion.status == status, "%s, not %s", synod_status_name(completion.status),
                  synod_status_name(status));
}

static void expect_nothing(struct synod_client *client)
{
    struct synod_completion completion;
    ck_assert_uint_eq(poll_after_a_while(client, &completion), 0);
}

/* ---- To the leader and back ---- */

START_TEST(requests_reach_the_leader_in_order_when_flushed)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, HOUR);
    submit(client, SYNOD_GET, 2, HOUR);
    ck_assert_uint_eq(hear(0), 0);
    synod_flush(client);
    uint64_t first = hear(0);
    uint64_t second = hear(0);
    ck_assert_uint_gt(first, 0);
    ck_assert_uint_gt(second, first);
    ck_assert_uint_eq(hear(1) + hear(2), 0);
    say(0, second, REPLY_OUTCOME, &done_at_9);
    expect_outcome(client, 2, SYNOD_OK);
    say(0, first, REPLY_OUTCOME, &done_at_9);
    expect_outcome(client, 1, SYNOD_OK);
    strike_stage(client);
}
END_TEST

START_TEST(every_result_of_the_store_has_its_status)
{
    struct synod_client *client = set_stage();
    const struct {
        enum store_result result;
        enum synod_status status;
    } cases[] = {{STORE_OK, SYNOD_OK},
                 {STORE_NOT_FOUND, SYNOD_NOT_FOUND},
                 {STORE_MISMATCH, SYNOD_MISMATCH},
                 {STORE_INVALID, SYNOD_INVALID},
                 {STORE_NO_MEMORY, SYNOD_NO_MEMORY}};
    for (uint64_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        submit(client, SYNOD_PUT, i, HOUR);
        synod_flush(client);
        struct store_outcome outcome = {.result = cases[i].result};
        say(0, hear(0), REPLY_OUTCOME, &outcome);
        expect_outcome(client, i, cases[i].status);
    }
    strike_stage(client);
}
END_TEST

START_TEST(refused_requests_are_sent_again_to_whoever_leads)
{
    struct synod_client *client = set_stage();
    const enum reply_status refusals[] = {REPLY_NOT_LEADER, REPLY_NOT_DONE, REPLY_BUSY};
    uint32_t leader = 0;
    for (uint64_t i = 0; i < 3; i++) {
        submit(client, SYNOD_PUT, i, HOUR);
        synod_flush(client);
        uint64_t sequence = hear(leader);
        say(leader, sequence, refusals[i], NULL);
        uint32_t next = (leader + 1) % NODES;
        leader_hint_end(&stage.cluster.leader_hint, leader);
        expect_nothing(client);
        ck_assert_uint_eq(hear(0) + hear(1) + hear(2), 0);
        lead(next);
        expect_nothing(client);
        ck_assert_uint_eq(hear(next), sequence);
        leader = next;
        say(leader, sequence, REPLY_OUTCOME, &done_at_9);
        expect_outcome(client, i, SYNOD_OK);
    }
    strike_stage(client);
}
END_TEST

START_TEST(unknown_writes_end_and_unknown_reads_go_on)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, HOUR);
    submit(client, SYNOD_GET, 2, HOUR);
    synod_flush(client);
    uint64_t write = hear(0);
    uint64_t read = hear(0);
    say(0, write, REPLY_UNKNOWN, NULL);
    say(0, read, REPLY_UNKNOWN, NULL);
    expect_outcome(client, 1, SYNOD_TIMEOUT);
    expect_nothing(client); /* heard */
    expect_nothing(client); /* and sent again */
    ck_assert_uint_eq(hear(0), read);
    ck_assert_uint_eq(hear(0), 0); /* the write is not sent again */
    say(0, read, REPLY_OUTCOME, &done_at_9);
    expect_outcome(client, 2, SYNOD_OK);
    strike_stage(client);
}
END_TEST

/* ---- Crashes ---- */

START_TEST(crash_makes_writes_unknown_and_reads_wait_for_the_next_leader)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, HOUR);
    submit(client, SYNOD_GET, 2, HOUR);
    synod_flush(client);
    (void)hear(0);
    uint64_t read = hear(0);
    crash(0);
    expect_outcome(client, 1, SYNOD_TIMEOUT);
    expect_nothing(client);
    lead(2);
    expect_nothing(client);
    ck_assert_uint_eq(hear(2), read);
    strike_stage(client);
}
END_TEST

START_TEST(node_that_came_back_between_two_polls_has_lost_what_it_was_sent)
{
    struct synod_client *client = set_stage();
    expect_nothing(client); /* a sweep under the first incarnation */
    submit(client, SYNOD_PUT, 1, HOUR);
    synod_flush(client);
    crash(0);
    restart(0);
    lead(0);
    submit(client, SYNOD_PUT, 2, HOUR); /* to its new life */
    synod_flush(client);
    expect_outcome(client, 1, SYNOD_TIMEOUT);
    expect_nothing(client);
    uint64_t sequence = hear(0);
    say(0, sequence, REPLY_OUTCOME, &done_at_9);
    expect_outcome(client, 2, SYNOD_OK);
    strike_stage(client);
}
END_TEST

START_TEST(leader_that_is_down_is_not_sent_to)
{
    struct synod_client *client = set_stage();
    mesh_down(&stage.cluster.mesh, 0); /* the hint is not over yet */
    submit(client, SYNOD_PUT, 1, HOUR);
    synod_flush(client);
    ck_assert_uint_eq(hear(0), 0);
    lead(1);
    expect_nothing(client);
    ck_assert_uint_gt(hear(1), 0);
    strike_stage(client);
}
END_TEST

/* ---- Deadlines ---- */

START_TEST(deadline_says_what_is_known)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, 1000000);
    synod_flush(client);
    uint64_t late = hear(0);
    expect_outcome(client, 1, SYNOD_TIMEOUT); /* it was sent */

    submit(client, SYNOD_PUT, 2, 20000000);
    synod_flush(client);
    say(0, hear(0), REPLY_BUSY, NULL);
    struct synod_completion completion;
    uint64_t waited = 0;
    while (synod_poll(client, &completion, 1, 1000000) == 0) { /* refused each time */
        uint64_t sequence = hear(0);
        if (sequence != 0) {
            say(0, sequence, REPLY_BUSY, NULL);
        }
        ck_assert_uint_lt(waited++, 1000000);
    }
    ck_assert(completion.status == SYNOD_BUSY || completion.status == SYNOD_TIMEOUT);

    leader_hint_end(&stage.cluster.leader_hint, 0);
    submit(client, SYNOD_PUT, 3, 1000000);
    expect_outcome(client, 3, SYNOD_NO_LEADER);

    say(0, late, REPLY_OUTCOME, &done_at_9);
    expect_nothing(client);
    ck_assert_uint_eq(synod_in_flight(client), 0);
    strike_stage(client);
}
END_TEST

START_TEST(late_answer_is_not_taken_for_the_next_request_of_its_place)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, 1000000);
    synod_flush(client);
    uint64_t late = hear(0);
    expect_outcome(client, 1, SYNOD_TIMEOUT);
    submit(client, SYNOD_PUT, 2, HOUR);
    synod_flush(client);
    uint64_t sequence = hear(0);
    ck_assert_uint_eq(sequence & 0xffff, late & 0xffff); /* the same entry */
    say(0, late, REPLY_OUTCOME, &done_at_9);
    expect_nothing(client);
    struct store_outcome outcome = {.result = STORE_NOT_FOUND};
    say(0, sequence, REPLY_OUTCOME, &outcome);
    expect_outcome(client, 2, SYNOD_NOT_FOUND);
    strike_stage(client);
}
END_TEST

START_TEST(answer_that_is_there_beats_the_deadline)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, 1000000);
    synod_flush(client);
    say(0, hear(0), REPLY_OUTCOME, &done_at_9);
    expect_outcome(client, 1, SYNOD_OK);
    strike_stage(client);
}
END_TEST

/* One request is never answered, the others always at once, so that every poll is full of them. */
START_TEST(stream_of_answers_does_not_put_off_deadlines)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 99, 2000000);
    synod_flush(client);
    (void)hear(0);
    bool is_over = false;
    for (uint64_t i = 0; i < 1000 && !is_over; i++) {
        submit(client, SYNOD_PUT, i % 50, HOUR);
        submit(client, SYNOD_PUT, i % 50, HOUR);
        synod_flush(client);
        say(0, hear(0), REPLY_OUTCOME, &done_at_9);
        say(0, hear(0), REPLY_OUTCOME, &done_at_9);
        let_time_pass();
        struct synod_completion completion;
        for (int n = 0; n < 2; n++) {
            ck_assert_uint_eq(synod_poll(client, &completion, 1, 0), 1);
            is_over |= completion.tag == 99;
            if (completion.tag == 99) {
                ck_assert_int_eq((int)completion.status, SYNOD_TIMEOUT);
            }
        }
        ck_assert_uint_lt(i, 10);
    }
    ck_assert(is_over);
    strike_stage(client);
}
END_TEST

START_TEST(stream_of_answers_does_not_put_off_sending_again)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 99, HOUR);
    synod_flush(client);
    uint64_t refused = hear(0);
    say(0, refused, REPLY_BUSY, NULL);
    bool is_back = false;
    for (uint64_t i = 0; i < 10 && !is_back; i++) {
        submit(client, SYNOD_PUT, i, HOUR);
        synod_flush(client);
        let_time_pass();
        for (uint64_t sequence = hear(0); sequence != 0; sequence = hear(0)) {
            if (sequence == refused) {
                is_back = true;
            } else {
                say(0, sequence, REPLY_OUTCOME, &done_at_9);
            }
        }
        struct synod_completion completion;
        (void)synod_poll(client, &completion, 1, 0);
    }
    ck_assert(is_back);
    strike_stage(client);
}
END_TEST

START_TEST(many_deadlines_come_out_as_polls_have_room)
{
    struct synod_client *client = set_stage();
    for (uint64_t i = 0; i < LIMIT; i++) {
        submit(client, SYNOD_PUT, i, 1000000);
    }
    struct synod_completion completions[LIMIT];
    let_time_pass();
    bool is_seen[LIMIT] = {false};
    size_t got = 0;
    const size_t rooms[] = {3, 3, 2};
    for (size_t i = 0; i < 3; i++) {
        size_t count = synod_poll(client, completions, rooms[i], 0);
        ck_assert_uint_eq(count, rooms[i]);
        for (size_t n = 0; n < count; n++) {
            ck_assert_int_eq((int)completions[n].status, SYNOD_TIMEOUT);
            ck_assert(!is_seen[completions[n].tag]);
            is_seen[completions[n].tag] = true;
        }
        got += count;
    }
    ck_assert_uint_eq(got, LIMIT);
    ck_assert_uint_eq(synod_in_flight(client), 0);
    strike_stage(client);
}
END_TEST

START_TEST(deadlines_beyond_the_end_of_time_do_not_wrap)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, UINT64_MAX);
    expect_nothing(client);
    ck_assert_uint_eq(synod_in_flight(client), 1);
    strike_stage(client);
}
END_TEST

/* ---- Limits, handles ---- */

START_TEST(full_lane_is_busy_and_costs_no_place)
{
    struct synod_client *client = set_stage();
    static const char value[10000];
    struct synod_request request = {.operation = SYNOD_PUT,
                                    .key = {"k", 1},
                                    .value = {value, sizeof value},
                                    .timeout_ns = HOUR};
    /* Nobody reads node 0's lane: large requests that time out leave their frames in it. */
    enum synod_status status = SYNOD_OK;
    for (int i = 0; i < 1000 && status == SYNOD_OK; i++) {
        request.timeout_ns = 1;
        status = synod_submit(client, &request);
        struct synod_completion completions[LIMIT];
        let_time_pass();
        (void)synod_poll(client, completions, LIMIT, 0);
    }
    ck_assert_int_eq((int)status, SYNOD_BUSY);
    ck_assert_uint_eq(synod_in_flight(client), 0);
    while (hear(0) != 0) {
    }
    ck_assert_int_eq((int)synod_submit(client, &request), SYNOD_OK);
    strike_stage(client);
}
END_TEST

START_TEST(next_handle_of_a_place_hears_nothing_of_the_one_before)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, HOUR);
    submit(client, SYNOD_PUT, 2, HOUR);
    synod_client_close(client); /* hands them over */
    uint64_t one = hear(0);
    uint64_t two = hear(0);
    ck_assert_uint_gt(two, one);
    say(0, one, REPLY_OUTCOME, &done_at_9); /* before the next one opens */
    client = enter();
    submit(client, SYNOD_PUT, 3, HOUR);
    synod_flush(client);
    say(0, two, REPLY_OUTCOME, &done_at_9); /* and after */
    expect_nothing(client);
    uint64_t three = hear(0);
    ck_assert_uint_gt(three, two);
    say(0, three, REPLY_OUTCOME, &done_at_9);
    expect_outcome(client, 3, SYNOD_OK);
    strike_stage(client);
}
END_TEST

/* A restarted cluster finds commands of before in its logs: none may look like a new one. */
START_TEST(sequences_of_different_runs_differ)
{
    struct synod_client *client = set_stage();
    uint64_t id = client->id;
    submit(client, SYNOD_PUT, 1, HOUR);
    synod_flush(client);
    uint64_t sequence = hear(0);
    strike_stage(client);
    client = set_stage();
    synod_client_close(client);
    client = enter();
    ck_assert_uint_ne(client->id, id); /* another handle of the same run */
    strike_stage(client);
    client = set_stage();
    synod_client_close(client);
    stage.cluster.run_salt = UINT64_C(0xfedcba9876543210);
    stage.cluster.lanes.places[0].handles = 0; /* as if first opened under this salt */
    client = enter();
    ck_assert_uint_ne(client->id, id);
    submit(client, SYNOD_PUT, 1, HOUR);
    synod_flush(client);
    ck_assert_uint_ne(hear(0), sequence);
    strike_stage(client);
}
END_TEST

START_TEST(closed_cluster_lets_every_request_out)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, HOUR);
    submit(client, SYNOD_GET, 2, HOUR);
    synod_flush(client);
    uint64_t write = hear(0);
    (void)hear(0);
    leader_hint_end(&stage.cluster.leader_hint, 0);
    submit(client, SYNOD_PUT, 3, HOUR); /* waits for a leader: was not done */
    atomic_store(&stage.cluster.is_closed, true);
    struct synod_request request = {.operation = SYNOD_GET, .key = {"k", 1}};
    ck_assert_int_eq((int)synod_submit(client, &request), SYNOD_CLOSED);
    const enum synod_status expected[] = {SYNOD_OK, SYNOD_TIMEOUT, SYNOD_CLOSED, SYNOD_CLOSED};
    for (int i = 0; i < 3; i++) {
        struct synod_completion completion;
        ck_assert_uint_eq(poll_after_a_while(client, &completion), 1);
        ck_assert_uint_ge(completion.tag, 1);
        ck_assert_uint_le(completion.tag, 3);
        ck_assert_int_eq((int)completion.status, (int)expected[completion.tag]);
    }
    say(0, write, REPLY_OUTCOME, &done_at_9);
    expect_nothing(client);
    strike_stage(client);
}
END_TEST

START_TEST(lane_is_given_back_with_the_next_call)
{
    struct synod_client *client = set_stage();
    static const uint8_t value[10000];
    struct store_outcome found = {.result = STORE_OK,
                                  .entry = {.value = value, .value_bytes = sizeof value}};
    /* More values than the lane holds, one at a time. */
    for (uint64_t i = 0; i < 100; i++) {
        submit(client, SYNOD_GET, i, HOUR);
        synod_flush(client);
        say(0, hear(0), REPLY_OUTCOME, &found);
        struct synod_completion completion;
        ck_assert_uint_eq(synod_poll(client, &completion, 1, 0), 1);
        ck_assert_uint_eq(completion.value.size, sizeof value);
        ck_assert_mem_eq(completion.value.data, value, sizeof value);
    }
    strike_stage(client);
}
END_TEST

START_TEST(answers_nobody_waits_for_do_not_fill_the_lane)
{
    struct synod_client *client = set_stage();
    submit(client, SYNOD_PUT, 1, HOUR);
    synod_flush(client);
    uint64_t sequence = hear(0);
    struct synod_completion completion;
    for (int i = 0; i < 5000; i++) { /* more than a lane holds */
        say(0, sequence + 1, REPLY_OUTCOME, &done_at_9);
        ck_assert_uint_eq(synod_poll(client, &completion, 1, 0), 0);
    }
    say(0, sequence, REPLY_OUTCOME, &done_at_9);
    ck_assert_uint_eq(synod_poll(client, &completion, 1, 0), 1);
    strike_stage(client);
}
END_TEST

TEST_MAIN("cluster/client", requests_reach_the_leader_in_order_when_flushed,
          every_result_of_the_store_has_its_status,
          refused_requests_are_sent_again_to_whoever_leads,
          unknown_writes_end_and_unknown_reads_go_on,
          crash_makes_writes_unknown_and_reads_wait_for_the_next_leader,
          node_that_came_back_between_two_polls_has_lost_what_it_was_sent,
          leader_that_is_down_is_not_sent_to, deadline_says_what_is_known,
          late_answer_is_not_taken_for_the_next_request_of_its_place,
          answer_that_is_there_beats_the_deadline, stream_of_answers_does_not_put_off_deadlines,
          stream_of_answers_does_not_put_off_sending_again,
          many_deadlines_come_out_as_polls_have_room, deadlines_beyond_the_end_of_time_do_not_wrap,
          full_lane_is_busy_and_costs_no_place,
          next_handle_of_a_place_hears_nothing_of_the_one_before,
          sequences_of_different_runs_differ, closed_cluster_lets_every_request_out,
          lane_is_given_back_with_the_next_call, answers_nobody_waits_for_do_not_fill_the_lane)
