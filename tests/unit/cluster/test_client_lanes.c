/* SPDX-License-Identifier: MIT */
#include "cluster/client_lanes.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "test_main.h"

enum { LIMIT = 4, IN_FLIGHT = 8, COMMAND_BYTES = 1000, VALUE_BYTES = 1000 };

struct desk {
    struct client_lanes lanes;
    struct client_end end; /* node 0's */
};

static void open_desk(struct desk *desk, uint32_t nodes)
{
    ck_assert_int_eq(
        client_lanes_init(&desk->lanes, nodes, LIMIT, IN_FLIGHT, COMMAND_BYTES, VALUE_BYTES), 0);
    ck_assert_int_eq(client_end_init(&desk->end, &desk->lanes, 0), 0);
}

static void close_desk(struct desk *desk)
{
    client_end_deinit(&desk->end);
    client_lanes_deinit(&desk->lanes);
}

static void take_places(struct desk *desk, int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(client_lanes_take(&desk->lanes), i);
    }
}

static bool ask(struct desk *desk, uint32_t client, uint64_t sequence, uint32_t bytes)
{
    struct spsc_lane *lane = desk->lanes.places[client].to_node[0];
    struct request_frame *frame = spsc_lane_claim(lane, sizeof *frame + bytes);
    if (frame == NULL) {
        return false;
    }
    *frame = (struct request_frame){.kind = REQUEST_COMMAND, .sequence = sequence};
    memset(frame + 1, (int)(sequence & 0xff), bytes);
    spsc_lane_publish(lane);
    return true;
}

static void expect_request(struct desk *desk, uint32_t client, uint64_t sequence)
{
    struct request request;
    ck_assert(client_end_next(&desk->end, &desk->lanes, &request));
    ck_assert_uint_eq(request.client, client);
    ck_assert_uint_eq(request.sequence, sequence);
    ck_assert_int_eq((int)request.kind, REQUEST_COMMAND);
}

static bool answer(struct desk *desk, uint32_t client, uint64_t sequence,
                   const struct store_outcome *outcome)
{
    struct reply reply = {.client = client, .sequence = sequence, .status = REPLY_OUTCOME};
    reply.outcome = *outcome;
    return client_end_reply(&desk->end, &desk->lanes, &reply);
}

static const struct reply_frame *heard(struct desk *desk, uint32_t client)
{
    size_t bytes;
    return spsc_lane_next(desk->lanes.places[client].from_node[0], &bytes);
}

START_TEST(places_are_taken_up_to_the_limit_and_given_back)
{
    struct desk desk;
    open_desk(&desk, 2);
    for (int i = 0; i < LIMIT; i++) {
        ck_assert_int_eq(client_lanes_take(&desk.lanes), i);
    }
    ck_assert_int_eq(client_lanes_take(&desk.lanes), -EBUSY);
    client_lanes_give_back(&desk.lanes, 2);
    client_lanes_give_back(&desk.lanes, 1);
    ck_assert_uint_eq(atomic_load(&desk.lanes.open), LIMIT - 2);
    struct spsc_lane *lane = desk.lanes.places[1].to_node[1];
    ck_assert_int_eq(client_lanes_take(&desk.lanes), 1);
    ck_assert_ptr_eq(desk.lanes.places[1].to_node[1], lane); /* a place is made once */
    ck_assert_uint_eq(desk.lanes.places[1].handles, 2);
    ck_assert_uint_eq(atomic_load(&desk.lanes.count), LIMIT);
    close_desk(&desk);
}
END_TEST

START_TEST(clients_take_turns)
{
    struct desk desk;
    open_desk(&desk, 1);
    for (uint32_t client = 0; client < 3; client++) {
        ck_assert_int_eq(client_lanes_take(&desk.lanes), (int)client);
        ck_assert(ask(&desk, client, client * 10 + 1, 8));
        ck_assert(ask(&desk, client, client * 10 + 2, 8));
    }
    ck_assert(client_end_has_requests(&desk.end, &desk.lanes));
    uint32_t first[3];
    for (int batch = 0; batch < 3; batch++) { /* one request a batch: another client each time */
        struct request request;
        ck_assert(client_end_next(&desk.end, &desk.lanes, &request));
        first[batch] = request.client;
        client_end_release(&desk.end, &desk.lanes);
    }
    ck_assert_uint_ne(first[0], first[1]);
    ck_assert_uint_ne(first[1], first[2]);
    ck_assert_uint_ne(first[0], first[2]);
    struct request request;
    int left = 0;
    while (client_end_next(&desk.end, &desk.lanes, &request)) {
        left++;
    }
    ck_assert_int_eq(left, 3);
    client_end_release(&desk.end, &desk.lanes);
    ck_assert(!client_end_has_requests(&desk.end, &desk.lanes));
    close_desk(&desk);
}
END_TEST

START_TEST(request_keeps_its_bytes_until_released)
{
    struct desk desk;
    open_desk(&desk, 1);
    take_places(&desk, 1);
    ck_assert(ask(&desk, 0, 0x41, COMMAND_BYTES));
    struct request request;
    ck_assert(client_end_next(&desk.end, &desk.lanes, &request));
    ck_assert_uint_eq(request.command_bytes, COMMAND_BYTES);
    uint64_t sent = 0x42;
    while (ask(&desk, 0, sent, COMMAND_BYTES)) {
        sent++;
    }
    for (uint32_t i = 0; i < COMMAND_BYTES; i++) {
        ck_assert_uint_eq(request.command[i], 0x41);
    }
    client_end_release(&desk.end, &desk.lanes);
    ck_assert(ask(&desk, 0, sent, COMMAND_BYTES));
    expect_request(&desk, 0, 0x42);
    close_desk(&desk);
}
END_TEST

START_TEST(answers_go_to_whom_they_belong_once_published)
{
    struct desk desk;
    open_desk(&desk, 1);
    take_places(&desk, 2);
    const uint8_t value[3] = {1, 2, 3};
    struct store_outcome found = {
        .result = STORE_OK,
        .entry = {
            .value = value, .value_bytes = 3, .version = 4, .create_slot = 5, .modify_slot = 6}};
    ck_assert(answer(&desk, 1, 77, &found));
    ck_assert_ptr_null(heard(&desk, 1));
    ck_assert_uint_eq(client_end_publish(&desk.end, &desk.lanes), 1);
    client_end_ring(&desk.end, &desk.lanes);
    ck_assert_uint_eq(client_end_publish(&desk.end, &desk.lanes), 0);
    ck_assert_ptr_null(heard(&desk, 0));
    const struct reply_frame *frame = heard(&desk, 1);
    ck_assert_ptr_nonnull(frame);
    ck_assert_uint_eq(frame->sequence, 77);
    ck_assert_uint_eq(frame->result, STORE_OK);
    ck_assert_uint_eq(frame->version, 4);
    ck_assert_uint_eq(frame->create_slot, 5);
    ck_assert_uint_eq(frame->slot, 6);
    ck_assert_uint_eq(frame->has_value, 1);
    ck_assert_uint_eq(frame->value_bytes, 3);
    ck_assert_mem_eq(frame + 1, value, 3);
    close_desk(&desk);
}
END_TEST

START_TEST(mismatch_tells_the_revision_and_not_the_value)
{
    struct desk desk;
    open_desk(&desk, 1);
    take_places(&desk, 1);
    static const uint8_t value[VALUE_BYTES];
    struct store_outcome mismatch = {
        .result = STORE_MISMATCH,
        .entry = {.value = value, .value_bytes = VALUE_BYTES, .modify_slot = 9}};
    ck_assert(answer(&desk, 0, 1, &mismatch));
    (void)client_end_publish(&desk.end, &desk.lanes);
    const struct reply_frame *frame = heard(&desk, 0);
    ck_assert_ptr_nonnull(frame);
    ck_assert_uint_eq(frame->slot, 9);
    ck_assert_uint_eq(frame->has_value, 0);
    ck_assert_uint_eq(frame->value_bytes, 0);
    close_desk(&desk);
}
END_TEST

/* However many values crowd the lane, an answer without one finds its room. */
START_TEST(values_leave_room_for_every_open_request)
{
    struct desk desk;
    open_desk(&desk, 1);
    take_places(&desk, 1);
    static const uint8_t value[VALUE_BYTES];
    struct store_outcome found = {.result = STORE_OK,
                                  .entry = {.value = value, .value_bytes = VALUE_BYTES}};
    struct store_outcome bare = {.result = STORE_OK, .entry = {.modify_slot = 3}};
    for (int round = 0; round < 20; round++) { /* at every place in the lane */
        uint64_t values = 0;
        while (answer(&desk, 0, values, &found)) {
            values++;
        }
        ck_assert_uint_ge(values, 1);
        for (uint64_t i = 0; i < IN_FLIGHT; i++) {
            ck_assert(answer(&desk, 0, 1000 + i, &bare));
        }
        (void)client_end_publish(&desk.end, &desk.lanes);
        client_end_ring(&desk.end, &desk.lanes);
        for (uint64_t i = 0; i < values; i++) {
            const struct reply_frame *frame = heard(&desk, 0);
            ck_assert_ptr_nonnull(frame);
            ck_assert_uint_eq(frame->sequence, i);
        }
        for (uint64_t i = 0; i < IN_FLIGHT; i++) {
            const struct reply_frame *frame = heard(&desk, 0);
            ck_assert_ptr_nonnull(frame);
            ck_assert_uint_eq(frame->sequence, 1000 + i);
        }
        ck_assert_ptr_null(heard(&desk, 0));
        spsc_lane_release(desk.lanes.places[0].from_node[0]);
    }
    close_desk(&desk);
}
END_TEST

/* "No room" would be answered by "nothing was done", and the write done again. */
START_TEST(outcome_of_a_write_is_lost_rather_than_denied)
{
    struct desk desk;
    open_desk(&desk, 1);
    take_places(&desk, 1);
    struct store_outcome bare = {.result = STORE_OK, .entry = {.modify_slot = 3}};
    for (uint64_t i = 0; i < 10000; i++) {
        ck_assert(answer(&desk, 0, i, &bare));
    }
    (void)client_end_publish(&desk.end, &desk.lanes);
    uint64_t count = 0;
    const struct reply_frame *frame;
    while ((frame = heard(&desk, 0)) != NULL) {
        ck_assert_uint_eq(frame->sequence, count);
        count++;
    }
    ck_assert_uint_ge(count, 2 * IN_FLIGHT);
    ck_assert_uint_lt(count, 10000);
    close_desk(&desk);
}
END_TEST

START_TEST(value_larger_than_any_frame_finds_no_room)
{
    struct desk desk;
    open_desk(&desk, 1);
    take_places(&desk, 1);
    static const uint8_t value[64 * VALUE_BYTES];
    struct store_outcome found = {.result = STORE_OK,
                                  .entry = {.value = value, .value_bytes = sizeof value}};
    ck_assert(!answer(&desk, 0, 1, &found));
    ck_assert_uint_eq(client_end_publish(&desk.end, &desk.lanes), 0);
    close_desk(&desk);
}
END_TEST

START_TEST(restarted_node_knows_nothing_of_what_waited)
{
    struct desk desk;
    open_desk(&desk, 1);
    take_places(&desk, 2);
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert(ask(&desk, 0, i, 8));
        ck_assert(ask(&desk, 1, i, 8));
    }
    client_end_skip_all(&desk.end, &desk.lanes);
    ck_assert(!client_end_has_requests(&desk.end, &desk.lanes));
    ck_assert(ask(&desk, 1, 99, 8));
    expect_request(&desk, 1, 99);
    client_end_release(&desk.end, &desk.lanes);
    close_desk(&desk);
}
END_TEST

/* ---- Clients on threads, coming and going, one node that echoes ---- */

enum { THREADS = 3, ROUNDS = 60, PER_ROUND = 100 };

struct bazaar {
    struct desk desk;
    pthread_mutex_t lock;
    _Atomic uint32_t clients_left;
    _Atomic uint32_t mistakes;
};

static void talk(struct bazaar *bazaar, struct client_place *place)
{
    uint64_t sent = place->next_counter;
    uint64_t got = sent;
    uint64_t end = sent + PER_ROUND;
    while (got < end) {
        struct request_frame *frame =
            sent < end && sent - got < IN_FLIGHT
                ? spsc_lane_claim(place->to_node[0], sizeof *frame + sent % 64)
                : NULL;
        if (frame != NULL) {
            *frame = (struct request_frame){.kind = REQUEST_COMMAND, .sequence = sent};
            memset(frame + 1, (int)(sent & 0xff), sent % 64);
            spsc_lane_publish(place->to_node[0]);
            sent++;
            continue;
        }
        size_t bytes;
        const struct reply_frame *reply = spsc_lane_next(place->from_node[0], &bytes);
        if (reply == NULL) {
            sched_yield();
            continue;
        }
        bool is_right =
            reply->sequence == got && reply->slot == got * 3 && reply->value_bytes == got % 64;
        atomic_fetch_add(&bazaar->mistakes, !is_right);
        got++;
        spsc_lane_release(place->from_node[0]);
    }
    place->next_counter = end;
}

static void *visit(void *argument)
{
    struct bazaar *bazaar = argument;
    for (int round = 0; round < ROUNDS; round++) {
        (void)pthread_mutex_lock(&bazaar->lock);
        int index = client_lanes_take(&bazaar->desk.lanes);
        (void)pthread_mutex_unlock(&bazaar->lock);
        ck_assert_int_ge(index, 0);
        talk(bazaar, &bazaar->desk.lanes.places[index]);
        (void)pthread_mutex_lock(&bazaar->lock);
        client_lanes_give_back(&bazaar->desk.lanes, (uint32_t)index);
        (void)pthread_mutex_unlock(&bazaar->lock);
    }
    atomic_fetch_sub(&bazaar->clients_left, 1);
    return NULL;
}

static void serve(struct bazaar *bazaar)
{
    struct desk *desk = &bazaar->desk;
    while (atomic_load(&bazaar->clients_left) > 0) {
        struct request request;
        bool worked = false;
        for (int i = 0; i < 16 && client_end_next(&desk->end, &desk->lanes, &request); i++) {
            worked = true;
            for (uint32_t at = 0; at < request.command_bytes; at++) {
                bool is_right = request.command[at] == (request.sequence & 0xff);
                atomic_fetch_add(&bazaar->mistakes, !is_right);
            }
            struct store_outcome outcome = {.result = STORE_OK,
                                            .entry = {.value = request.command,
                                                      .value_bytes = request.command_bytes,
                                                      .modify_slot = request.sequence * 3}};
            ck_assert(answer(desk, request.client, request.sequence, &outcome));
        }
        client_end_release(&desk->end, &desk->lanes);
        if (client_end_publish(&desk->end, &desk->lanes) > 0) {
            doorbell_fence();
            client_end_ring(&desk->end, &desk->lanes);
        }
        if (!worked) {
            sched_yield();
        }
    }
}

START_TEST(clients_that_come_and_go_are_answered_right)
{
    static struct bazaar bazaar;
    open_desk(&bazaar.desk, 1);
    ck_assert_int_eq(pthread_mutex_init(&bazaar.lock, NULL), 0);
    atomic_store(&bazaar.clients_left, THREADS);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, visit, &bazaar), 0);
    }
    serve(&bazaar);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    ck_assert_uint_eq(atomic_load(&bazaar.mistakes), 0);
    ck_assert_uint_eq(atomic_load(&bazaar.desk.lanes.open), 0);
    (void)pthread_mutex_destroy(&bazaar.lock);
    close_desk(&bazaar.desk);
}
END_TEST

TEST_MAIN("cluster/client_lanes", places_are_taken_up_to_the_limit_and_given_back,
          clients_take_turns, request_keeps_its_bytes_until_released,
          answers_go_to_whom_they_belong_once_published,
          mismatch_tells_the_revision_and_not_the_value, values_leave_room_for_every_open_request,
          outcome_of_a_write_is_lost_rather_than_denied, value_larger_than_any_frame_finds_no_room,
          restarted_node_knows_nothing_of_what_waited, clients_that_come_and_go_are_answered_right)
