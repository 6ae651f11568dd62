/* SPDX-License-Identifier: MIT */
/* One replica, its peers played by the test. */
#include "replica_world.h"

#include <errno.h>
#include <string.h>

#include "clock/generation_clock.h"
#include "test_main.h"

/* What node 0 sent, as the filter saw it; nothing of it arrives anywhere. */
struct heard {
    uint32_t counts[MESSAGE_KINDS];
    struct core_message last[MESSAGE_KINDS];
    uint32_t accepts_with_slots;
    uint64_t accepted_slot;
};

static bool hear(struct world *world, uint32_t from, uint32_t to, struct core_message *message)
{
    (void)from;
    (void)to;
    struct heard *heard = world->filter_context;
    heard->counts[message->kind]++;
    heard->last[message->kind] = *message;
    heard->accepts_with_slots += message->kind == MESSAGE_ACCEPT && message->count > 0;
    return false;
}

/* Node 0 alone, nodes 1 and 2 down. */
static void alone_start(struct world *world, struct heard *heard, enum wal_sync sync)
{
    memset(heard, 0, sizeof *heard);
    world_start(world, &(struct world_options){.seed = 3, .sync = sync, .is_quiet = true});
    world_crash(world, 1);
    world_crash(world, 2);
    world->filter = hear;
    world->filter_context = heard;
}

static struct core_message message_of(uint8_t kind, uint32_t from, uint64_t ballot, uint64_t slot)
{
    return (struct core_message){
        .kind = kind, .from = (uint8_t)from, .ballot = ballot, .slot = slot};
}

/* An accept of records in `bytes`. */
static void inject_records(struct world *world, struct core_message message,
                           const struct wal_extent *extent)
{
    message.slot = extent->first_slot;
    message.count = extent->count;
    message.bytes = extent->bytes;
    message.bytes_length = extent->length;
    message.segment_id = extent->segment_id;
    world_inject(world, message.from, 0, &message);
}

static struct wal_extent records_of(struct world *world, uint8_t *bytes, uint64_t first,
                                    uint32_t count, uint64_t ballot)
{
    struct wal_extent extent = {
        .bytes = bytes, .segment_id = 9, .first_slot = first, .count = count};
    extent.length = world_records(world, bytes, &extent, ballot);
    return extent;
}

START_TEST(records_that_do_not_verify_are_not_acknowledged_and_good_ones_heal)
{
    static uint8_t bytes[4096];
    struct world world;
    struct heard heard;
    alone_start(&world, &heard, WAL_SYNC_NONE);
    uint64_t ballot = generation_make(5, 1);
    struct wal_extent extent = records_of(&world, bytes, 1, 5, ballot);
    struct core_message accept = message_of(MESSAGE_ACCEPT, 1, ballot, 0);
    bytes[extent.length - 3] ^= 4; /* in the last record */
    inject_records(&world, accept, &extent);
    world_step(&world);
    ck_assert_uint_eq(heard.last[MESSAGE_ACCEPTED].slot, 0);
    bytes[extent.length - 3] ^= 4;
    inject_records(&world, accept, &extent);
    world_step(&world);
    ck_assert_uint_eq(heard.last[MESSAGE_ACCEPTED].slot, 5);
    extent.segment_id = 10; /* the bytes of a segment's earlier life */
    extent.first_slot = 6;
    inject_records(&world, accept, &extent);
    world_step(&world);
    ck_assert_uint_eq(heard.last[MESSAGE_ACCEPTED].slot, 5);
    ck_assert_int_eq(world.nodes[0].failure, 0);
    world_end(&world);
}
END_TEST

/* Answers what node 0 asks as a candidate until it recovers slot 1 from node 1, which has accepted
 * another value there at a higher ballot than node 0 has. */
static uint64_t win_with_an_older_value(struct world *world, const struct heard *heard,
                                        uint8_t *older)
{
    uint64_t low = generation_make(5, 1);
    uint64_t high = generation_make(6, 2);
    struct wal_extent extent = records_of(world, older, 1, 1, low);
    inject_records(world, message_of(MESSAGE_ACCEPT, 1, low, 0), &extent);
    while (heard->counts[MESSAGE_PREPARE] == 0) {
        world_step(world);
    }
    uint64_t ballot = heard->last[MESSAGE_PREPARE].ballot;
    struct core_message grant = message_of(MESSAGE_PROMISE, 1, ballot, 0);
    grant.flags = MESSAGE_FLAG_PRE_VOTE;
    grant.round = ballot;
    world_inject(world, 1, 0, &grant);
    while (heard->last[MESSAGE_PREPARE].flags != 0) {
        world_step(world);
    }
    ballot = heard->last[MESSAGE_PREPARE].ballot;
    ck_assert_uint_gt(ballot, high);
    struct core_message promise = message_of(MESSAGE_PROMISE, 1, ballot, 1);
    struct core_message run = message_of(MESSAGE_PROMISE_RUN, 1, ballot, 1);
    run.count = 1;
    run.round = high;
    world_inject(world, 1, 0, &promise);
    world_inject(world, 1, 0, &run);
    while (heard->counts[MESSAGE_FETCH] == 0) {
        world_step(world);
    }
    ck_assert_int_eq(world->nodes[0].replica->core.role, ROLE_RECOVERING);
    return ballot;
}

START_TEST(value_that_could_not_be_copied_is_not_replaced_by_an_older_one)
{
    static uint8_t older[512];
    static uint8_t newer[512];
    for (int sync = 0; sync < 2; sync++) {
        struct world world;
        struct heard heard;
        alone_start(&world, &heard, sync == 0 ? WAL_SYNC_NONE : WAL_SYNC_BATCH);
        uint64_t ballot = win_with_an_older_value(&world, &heard, older);
        struct wal_extent extent = records_of(&world, newer, 1, 1, generation_make(6, 2));
        newer[40] ^= 1;
        inject_records(&world, message_of(MESSAGE_ENTRIES, 1, ballot, 0), &extent);
        /* Its first word at this ballot, in the same turn: the leader may send to it. */
        struct core_message accepted = message_of(MESSAGE_ACCEPTED, 1, ballot, 0);
        world_inject(&world, 1, 0, &accepted);
        world_step(&world);
        world_step(&world);
        ck_assert_uint_eq(heard.accepts_with_slots, 0);
        world_end(&world);
    }
}
END_TEST

START_TEST(value_that_was_copied_is_proposed_and_answers_count)
{
    static uint8_t older[512];
    static uint8_t newer[512];
    struct world world;
    struct heard heard;
    alone_start(&world, &heard, WAL_SYNC_NONE);
    uint64_t ballot = win_with_an_older_value(&world, &heard, older);
    struct wal_extent extent = records_of(&world, newer, 1, 1, generation_make(6, 2));
    inject_records(&world, message_of(MESSAGE_ENTRIES, 1, ballot, 0), &extent);
    struct core_message accepted = message_of(MESSAGE_ACCEPTED, 1, ballot, 0);
    world_inject(&world, 1, 0, &accepted);
    world_step(&world);
    world_step(&world);
    ck_assert_uint_gt(heard.accepts_with_slots, 0);
    accepted.slot = 2;
    world_inject(&world, 1, 0, &accepted);
    world_step(&world);
    ck_assert_uint_eq(world.nodes[0].replica->applied, 2);
    ck_assert_uint_gt(world.ops[1]->slot, 0); /* the newer value */
    ck_assert_uint_eq(world.ops[0]->slot, 0);
    world_end(&world);
}
END_TEST

/* ---- A log that fills up under a proposal ---- */

/* Leaves the log room for so many bare records, whatever there was. */
static void fill_log(struct wal *wal, uint32_t records_left)
{
    struct wal_space space;
    wal_space(wal, &space);
    uint64_t in_a_segment = 0;
    while (space.segments_spare >
           0) { /* the last but one segment shows how many there are in one */
        uint32_t spare = space.segments_spare;
        in_a_segment = 0;
        while (space.segments_spare == spare) {
            ck_assert_int_eq(wal_append_mark(wal, 0), 0);
            wal_space(wal, &space);
            in_a_segment++;
        }
    }
    for (uint64_t i = 1; i + records_left < in_a_segment; i++) {
        ck_assert_int_eq(wal_append_mark(wal, 0), 0);
    }
}

static void fill_log_at_once(struct world *world, uint32_t node)
{
    uint32_t *left = world->filter_context;
    if (*left != UINT32_MAX) {
        fill_log(world->nodes[node].replica->wal, *left);
        *left = UINT32_MAX;
    }
}

START_TEST(batch_that_does_not_fit_into_the_log_is_answered_all_the_same)
{
    for (uint32_t left = 0; left < 60; left += 7) { /* records of a put of 8 bytes: 72 bytes */
        struct world world;
        struct world_op *ops[6];
        world_start(&world, &(struct world_options){.seed = 4, .is_quiet = true});
        uint32_t leader = world_await_leader(&world);
        world_steps(&world, 100);
        for (uint32_t i = 0; i < 6; i++) {
            ops[i] = world_put(&world, leader, i, 8 + 200 * (i % 2));
        }
        uint32_t context = left;
        world.filter_context = &context;
        world.before_request = fill_log_at_once;
        world_step(&world);
        ck_assert_uint_eq(context, UINT32_MAX);
        world.before_request = NULL;
        uint32_t unknown = 0;
        for (uint32_t i = 0; i < 6 && left < 21; i++) {
            ck_assert_msg(ops[i]->state == OP_ANSWERED, "with room for %u, no answer for %u", left,
                          i);
            unknown += ops[i]->status == REPLY_UNKNOWN;
        }
        ck_assert(left != 7 || unknown > 0);
        world_fill(&world, 3, 8); /* the same node may lead again, over the same slots */
        world_quiesce(&world);
        world_end(&world);
    }
}
END_TEST

START_TEST(command_no_log_could_hold_is_invalid_and_harms_nobody)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 4, .is_quiet = true});
    uint32_t leader = world_await_leader(&world);
    const struct world_op *op = world_put(&world, leader, 1, 70000);
    world_await(&world, op);
    ck_assert_int_eq(op->status, REPLY_OUTCOME);
    ck_assert_int_eq(op->result, STORE_INVALID);
    ck_assert_int_eq(world.nodes[leader].failure, 0);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(nothing_is_sent_or_counted_before_the_disk_has_it)
{
    for (uint32_t nodes = 1; nodes <= 3; nodes += 2) { /* checked by the world; counted here */
        struct world world;
        world_start(&world,
                    &(struct world_options){.seed = 6, .nodes = nodes, .sync = WAL_SYNC_BATCH});
        (void)world_await_leader(&world);
        world_steps(&world, 500);
        world_quiesce(&world);
        for (uint32_t i = 0; i < nodes; i++) {
            ck_assert_uint_gt(world.nodes[i].disk.syncs, 50);
        }
        world_end(&world);
    }
}
END_TEST

START_TEST(nothing_is_told_as_durable_that_was_appended_after_the_sync)
{
    /* Of one node the promise, once durable, elects it, and its first no-op is appended in the very
     * step that heard so. */
    struct world world;
    world_start(&world, &(struct world_options){
                            .seed = 6, .nodes = 1, .sync = WAL_SYNC_BATCH, .is_quiet = true});
    struct world_node *node = &world.nodes[0];
    for (int i = 0; i < 1000; i++) {
        world_step(&world);
        struct wal_space space;
        wal_space(node->replica->wal, &space);
        bool is_all_synced = space.records_appended == node->synced_records;
        ck_assert(is_all_synced || node->replica->told <= node->synced_persisted);
        ck_assert(is_all_synced || node->replica->told < node->replica->persisted);
    }
    ck_assert_int_eq(world_leader(&world), 0);
    world_end(&world);
}
END_TEST

TEST_MAIN("replica/execute", records_that_do_not_verify_are_not_acknowledged_and_good_ones_heal,
          value_that_could_not_be_copied_is_not_replaced_by_an_older_one,
          value_that_was_copied_is_proposed_and_answers_count,
          batch_that_does_not_fit_into_the_log_is_answered_all_the_same,
          command_no_log_could_hold_is_invalid_and_harms_nobody,
          nothing_is_sent_or_counted_before_the_disk_has_it,
          nothing_is_told_as_durable_that_was_appended_after_the_sync)
