/* SPDX-License-Identifier: MIT */
#include "replica_world.h"

#include <stdio.h>
#include <string.h>

#include "clock/generation_clock.h"
#include "test_main.h"

/* ---- A whole cluster, one node left behind ---- */

#define SNAPSHOT_KEYS  WORLD_KEYS
#define SNAPSHOT_VALUE 50000 /* so that a snapshot takes several chunks */

/* Node `behind` is down while the others write more than their logs hold. */
static uint32_t leave_behind(struct world *world, uint64_t seed)
{
    world_start(world, &(struct world_options){
                           .seed = seed, .is_quiet = true, .segment_bytes = 256u << 10});
    world_fill(world, 10, 100);
    uint32_t behind = (world_await_leader(world) + 1) % 3;
    world_crash(world, behind);
    uint32_t leader = world_await_leader(world);
    for (uint32_t key = 0; key < SNAPSHOT_KEYS; key++) {
        const struct world_op *op = world_put(world, leader, key, SNAPSHOT_VALUE);
        world_await(world, op);
    }
    world_fill(world, 60, SNAPSHOT_VALUE);
    const struct replica *replica = world->nodes[world_await_leader(world)].replica;
    ck_assert_uint_gt(replica->core.base, 10);
    ck_assert_uint_gt(replica->snapshots.current.file_bytes, 4 * CATCH_UP_CHUNK_BYTES);
    return behind;
}

static bool is_behind(const struct world *world, uint32_t node)
{
    const struct replica *leader = world->nodes[world_leader(world)].replica;
    return world->nodes[node].replica->applied < leader->core.base;
}

START_TEST(node_left_behind_gets_the_snapshot_and_then_the_log)
{
    struct world world;
    uint32_t behind = leave_behind(&world, 1);
    world_reopen(&world, behind);
    world_quiesce(&world);
    ck_assert_uint_eq(world.nodes[behind].replica->snapshots.installed, 1);
    world_end(&world);
}
END_TEST

struct trouble {
    struct prng prng;
    uint32_t lost, damaged;
    uint8_t copy[CATCH_UP_CHUNK_BYTES];
};

static bool is_chunk_lucky(struct world *world, uint32_t from, uint32_t to,
                           struct core_message *message)
{
    (void)from;
    (void)to;
    struct trouble *trouble = world->filter_context;
    bool is_of_snapshot =
        message->kind == MESSAGE_SNAPSHOT_CHUNK || message->kind == MESSAGE_SNAPSHOT_NEXT;
    if (is_of_snapshot && prng_below(&trouble->prng, 100) < 30) {
        trouble->lost++;
        return false;
    }
    return true;
}

START_TEST(lost_and_repeated_chunks_are_sent_again_until_the_snapshot_is_whole)
{
    static struct trouble trouble;
    for (uint64_t seed = 2; seed < 6; seed++) {
        struct world world;
        uint32_t behind = leave_behind(&world, seed);
        prng_init(&trouble.prng, seed);
        trouble.lost = 0;
        world.filter = is_chunk_lucky;
        world.filter_context = &trouble;
        world.options.duplicate_permille = 200;
        world.options.reorder_permille = 200;
        world_reopen(&world, behind);
        for (int i = 0; i < 20000 && is_behind(&world, behind); i++) {
            world_step(&world);
        }
        ck_assert(!is_behind(&world, behind));
        ck_assert_uint_gt(trouble.lost, 2);
        world_quiesce(&world);
        world_end(&world);
    }
}
END_TEST

/* Loses one chunk, once. */
static bool lose_chunk(struct world *world, uint32_t from, uint32_t to,
                       struct core_message *message)
{
    (void)from;
    (void)to;
    struct trouble *trouble = world->filter_context;
    bool is_lost = message->kind == MESSAGE_SNAPSHOT_CHUNK &&
                   message->round == CATCH_UP_CHUNK_BYTES && trouble->lost == 0;
    trouble->lost += is_lost;
    return !is_lost;
}

START_TEST(lost_chunk_is_sent_again_before_the_transfer_is_given_up)
{
    static struct trouble trouble;
    struct world world;
    uint32_t behind = leave_behind(&world, 10);
    trouble.lost = 0;
    world.filter = lose_chunk;
    world.filter_context = &trouble;
    world_reopen(&world, behind);
    while (trouble.lost == 0) {
        world_step(&world);
    }
    world_steps(&world, (uint32_t)(3 * WORLD_RETRANSMIT_NS / WORLD_STEP_NS));
    ck_assert_uint_eq(world.nodes[behind].replica->snapshots.installed, 1);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

/* Damages the first chunks that come by, and after that none. */
static bool damage_chunk(struct world *world, uint32_t from, uint32_t to,
                         struct core_message *message)
{
    (void)from;
    (void)to;
    struct trouble *trouble = world->filter_context;
    if (message->kind == MESSAGE_SNAPSHOT_CHUNK && message->round == CATCH_UP_CHUNK_BYTES &&
        trouble->damaged < 3) {
        memcpy(trouble->copy, message->bytes, message->bytes_length);
        trouble->copy[message->bytes_length / 2] ^= 1;
        message->bytes = trouble->copy;
        trouble->damaged++;
    }
    return true;
}

START_TEST(snapshot_damaged_on_the_way_is_not_installed_and_sent_anew)
{
    static struct trouble trouble;
    struct world world;
    uint32_t behind = leave_behind(&world, 6);
    trouble.damaged = 0;
    world.filter = damage_chunk;
    world.filter_context = &trouble;
    world_reopen(&world, behind);
    for (int i = 0; i < 20000 && is_behind(&world, behind); i++) {
        world_step(&world);
    }
    ck_assert_uint_eq(trouble.damaged, 3);
    ck_assert_uint_eq(world.nodes[behind].replica->snapshots.installed, 1);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

/* Steps until the node has received some, but not all of a snapshot. */
static void step_into_transfer(struct world *world, uint32_t node)
{
    for (int i = 0; i < 20000; i++) {
        const struct snapshots *snapshots = &world->nodes[node].replica->snapshots;
        if (snapshots->receiving.is_active && snapshots->receiving.next > 0) {
            return;
        }
        world_step(world);
    }
    ck_abort_msg("no snapshot comes");
}

/* One chunk gets through, no more: the transfer stays where it is. */
static bool is_first_chunk(struct world *world, uint32_t from, uint32_t to,
                           struct core_message *message)
{
    (void)world;
    (void)from;
    (void)to;
    return message->kind != MESSAGE_SNAPSHOT_CHUNK || message->round == 0;
}

START_TEST(transfer_whose_leader_dies_is_begun_anew_by_the_next)
{
    struct world world;
    uint32_t behind = leave_behind(&world, 7);
    uint32_t leader = world_await_leader(&world);
    world_reopen(&world, behind);
    world.filter = is_first_chunk;
    step_into_transfer(&world, behind);
    world_crash(&world, leader);
    for (int i = 0; i < 5000 && world.nodes[behind].replica->snapshots.receiving.is_active; i++) {
        world_step(&world);
    }
    ck_assert(!world.nodes[behind].replica->snapshots.receiving.is_active);
    world_quiesce(&world);
    ck_assert_uint_eq(world.nodes[behind].replica->snapshots.installed, 1);
    world_end(&world);
}
END_TEST

START_TEST(receiver_that_crashes_in_the_middle_starts_over)
{
    struct world world;
    uint32_t behind = leave_behind(&world, 8);
    world_reopen(&world, behind);
    world.filter = is_first_chunk;
    step_into_transfer(&world, behind);
    world_crash(&world, behind);
    world.filter = NULL;
    world_reopen(&world, behind);
    char path[2 * WORLD_PATH];
    ck_assert(!world_find_file(&world, behind, "snapshot.receiving", path));
    world_quiesce(&world);
    ck_assert_uint_eq(world.nodes[behind].replica->snapshots.installed, 1);
    world_end(&world);
}
END_TEST

static bool is_no_chunk_answer(struct world *world, uint32_t from, uint32_t to,
                               struct core_message *message)
{
    (void)world;
    (void)from;
    (void)to;
    return message->kind != MESSAGE_SNAPSHOT_NEXT;
}

START_TEST(follower_that_never_finishes_its_transfer_stops_nobody_else)
{
    struct world world;
    uint32_t behind = leave_behind(&world, 9);
    world_reopen(&world, behind);
    world.filter = is_no_chunk_answer;
    /* Only the first window of chunks gets there: too little. */
    uint64_t taken = world_snapshots(&world);
    ck_assert_uint_gt(world.nodes[world_await_leader(&world)].replica->snapshots.current.file_bytes,
                      0);
    world_fill(&world, 300, SNAPSHOT_VALUE);
    ck_assert_uint_gt(world_snapshots(&world), taken + 4);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

/* ---- One replica, its leader played by the test ---- */

#define LEADER_BALLOT generation_make(5, 1)

struct script {
    struct world world;
    struct snapshots snapshots; /* node 1's, as of slot 10 */
    struct store *store;
    uint8_t records[8192];
};

static bool deliver_nothing(struct world *world, uint32_t from, uint32_t to,
                            struct core_message *message)
{
    (void)world;
    (void)from;
    (void)to;
    (void)message;
    return false;
}

static void make_snapshot(struct script *script)
{
    struct store_config config = {
        .expected_keys = 64, .max_key_bytes = 64, .max_value_bytes = WORLD_VALUE_MAX};
    ck_assert_int_eq(store_create(&script->store, &config), 0);
    for (uint64_t slot = 1; slot <= 10; slot++) {
        uint8_t bytes[64];
        struct command command = {
            .op = COMMAND_PUT, .key = (const uint8_t *)"k", .key_bytes = 1, .sequence = slot};
        command_encode(&command, bytes);
        struct store_apply_item item = {
            .slot = slot, .command = bytes, .command_bytes = (uint32_t)command_size(&command)};
        store_apply(script->store, &item, 1);
    }
    struct snapshots *snapshots = &script->snapshots;
    ck_assert_int_eq(snapshots_init(snapshots, disk_file(), script->world.directory, 77, false), 0);
    ck_assert_int_eq(snapshots_begin(snapshots, script->store), 0);
    int done = 0;
    while ((done = snapshots_step(snapshots, script->store)) == 0) {
    }
    ck_assert_int_eq(done, 1);
}

static void inject_snapshot(struct script *script, uint64_t ballot)
{
    const struct snapshot_file *file = &script->snapshots.current;
    struct core_message chunk = {.kind = MESSAGE_SNAPSHOT_CHUNK,
                                 .from = 1,
                                 .count = (uint32_t)file->file_bytes,
                                 .ballot = ballot,
                                 .slot = 10,
                                 .mark = file->file_bytes,
                                 .bytes = file->file.bytes,
                                 .bytes_length = (uint32_t)file->file_bytes};
    world_inject(&script->world, 1, 0, &chunk);
}

/* Node 0 has accepted slots 5 to 20 of node 1's, but none of those before. */
static void script_start(struct script *script, enum wal_sync sync)
{
    struct world *world = &script->world;
    world_start(world, &(struct world_options){.seed = 3, .sync = sync, .is_quiet = true});
    world_crash(world, 1);
    world_crash(world, 2);
    world->filter = deliver_nothing;
    make_snapshot(script);
    struct wal_extent extent = {
        .bytes = script->records, .segment_id = 9, .first_slot = 5, .count = 16};
    extent.length = world_records(world, script->records, &extent, LEADER_BALLOT);
    struct core_message accept = {.kind = MESSAGE_ACCEPT,
                                  .from = 1,
                                  .ballot = LEADER_BALLOT,
                                  .slot = 5,
                                  .count = 16,
                                  .bytes = extent.bytes,
                                  .bytes_length = extent.length,
                                  .segment_id = 9};
    world_inject(world, 1, 0, &accept);
    world_step(world);
    struct record record;
    ck_assert(wal_find(world->nodes[0].replica->wal, 20, &record));
}

static void script_end(struct script *script)
{
    snapshots_deinit(&script->snapshots);
    store_destroy(script->store);
    world_end(&script->world);
}

/* The snapshot is in place, and what was accepted above it is known. */
static void check_installed(const struct script *script)
{
    const struct replica *replica = script->world.nodes[0].replica;
    struct record record;
    ck_assert_uint_eq(replica->applied, 10);
    ck_assert_uint_eq(replica->core.mark, 10);
    ck_assert_uint_eq(replica->core.base, 10); /* what it holds below was perhaps never chosen */
    ck_assert_uint_eq(replica->core.promised, LEADER_BALLOT);
    ck_assert_uint_eq(store_digest(replica->store), store_digest(script->store));
    for (uint64_t slot = 1; slot <= 20; slot++) {
        ck_assert_msg(wal_find(replica->wal, slot, &record) == (slot > 10), "slot %u",
                      (unsigned)slot);
    }
    ck_assert_uint_eq(replicated_log_match(&replica->core.log, 10, LEADER_BALLOT), 20);
}

START_TEST(slots_accepted_above_the_snapshot_stay_accepted)
{
    static struct script script;
    for (int sync = 0; sync < 2; sync++) {
        script_start(&script, sync == 0 ? WAL_SYNC_NONE : WAL_SYNC_BATCH);
        inject_snapshot(&script, LEADER_BALLOT);
        world_step(&script.world);
        check_installed(&script);
        for (int crash = 0; crash < 2; crash++) { /* right away: nothing was appended since */
            world_crash(&script.world, 0);
            world_reopen(&script.world, 0);
            check_installed(&script);
        }
        script_end(&script);
    }
}
END_TEST

START_TEST(crash_between_snapshot_and_log_is_finished_by_recovery)
{
    static struct script script;
    for (int sync = 0; sync < 2; sync++) {
        script_start(&script, sync == 0 ? WAL_SYNC_NONE : WAL_SYNC_BATCH);
        script.world.nodes[0].disk.dies_at_rename = ".snap";
        inject_snapshot(&script, LEADER_BALLOT);
        world_step(&script.world);
        ck_assert_ptr_null(script.world.nodes[0].replica);
        for (int crash = 0; crash < 2; crash++) {
            world_reopen(&script.world, 0);
            check_installed(&script);
            world_crash(&script.world, 0);
        }
        script_end(&script);
    }
}
END_TEST

START_TEST(snapshot_in_the_making_gives_way_to_the_one_that_comes)
{
    static struct script script;
    script_start(&script, WAL_SYNC_NONE);
    struct replica *replica = script.world.nodes[0].replica;
    ck_assert_int_eq(snapshots_begin(&replica->snapshots, replica->store), 0);
    inject_snapshot(&script, LEADER_BALLOT);
    world_step(&script.world);
    ck_assert(!replica->snapshots.making.is_active);
    ck_assert_uint_eq(replica->snapshots.taken, 0);
    check_installed(&script);
    script_end(&script);
}
END_TEST

/* Cuts a node off, in both directions. */
static bool is_not_with(struct world *world, uint32_t from, uint32_t to,
                        struct core_message *message)
{
    (void)message;
    const uint32_t *node = world->filter_context;
    return from != *node && to != *node;
}

START_TEST(outcome_of_proposals_the_snapshot_covers_is_unknown)
{
    struct world world;
    struct world_op *ops[5];
    world_start(&world, &(struct world_options){.seed = 12, .is_quiet = true});
    uint32_t old = world_await_leader(&world);
    world.filter = is_not_with;
    world.filter_context = &old;
    for (uint32_t i = 0; i < 5; i++) {
        ops[i] = world_put(&world, old, i, 8);
    }
    while (world_leader(&world) == (int)old || world_leader(&world) < 0) {
        world_step(&world);
    }
    world_fill(&world, 1500, 600); /* more than the log holds */
    world.filter = NULL;
    for (uint32_t i = 0; i < 5; i++) {
        world_await(&world, ops[i]);
        ck_assert_int_eq(ops[i]->status, REPLY_UNKNOWN);
    }
    ck_assert_uint_eq(world.nodes[old].replica->snapshots.installed, 1);
    ck_assert_uint_eq(world.nodes[old].replica->waiting.proposals_waiting, 0);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(snapshot_of_a_leader_of_the_past_is_ignored)
{
    static struct script script;
    script_start(&script, WAL_SYNC_NONE);
    inject_snapshot(&script, generation_make(4, 1));
    inject_snapshot(&script, generation_make(6, 1));
    world_step(&script.world);
    ck_assert_uint_eq(script.world.nodes[0].replica->applied, 0);
    ck_assert(!script.world.nodes[0].replica->snapshots.receiving.is_active);
    script_end(&script);
}
END_TEST

START_TEST(transfer_is_dropped_when_the_log_got_there_first)
{
    static struct script script;
    script_start(&script, WAL_SYNC_NONE);
    struct world *world = &script.world;
    const struct snapshot_file *file = &script.snapshots.current;
    struct core_message chunk = {.kind = MESSAGE_SNAPSHOT_CHUNK,
                                 .from = 1,
                                 .count = 4096,
                                 .ballot = LEADER_BALLOT,
                                 .slot = 10,
                                 .mark = file->file_bytes,
                                 .bytes = file->file.bytes,
                                 .bytes_length = 4096};
    world_inject(world, 1, 0, &chunk);
    world_step(world);
    ck_assert(world->nodes[0].replica->snapshots.receiving.is_active);
    struct wal_extent extent = {
        .bytes = script.records, .segment_id = 9, .first_slot = 1, .count = 4};
    extent.length = world_records(world, script.records, &extent, LEADER_BALLOT);
    struct core_message accept = {.kind = MESSAGE_ACCEPT,
                                  .from = 1,
                                  .ballot = LEADER_BALLOT,
                                  .slot = 1,
                                  .count = 4,
                                  .mark = 20,
                                  .bytes = extent.bytes,
                                  .bytes_length = extent.length,
                                  .segment_id = 9};
    world_inject(world, 1, 0, &accept);
    world_step(world);
    ck_assert_uint_eq(world->nodes[0].replica->applied, 20);
    ck_assert(!world->nodes[0].replica->snapshots.receiving.is_active);
    script_end(&script);
}
END_TEST

TEST_MAIN("replica/catch_up", node_left_behind_gets_the_snapshot_and_then_the_log,
          lost_and_repeated_chunks_are_sent_again_until_the_snapshot_is_whole,
          lost_chunk_is_sent_again_before_the_transfer_is_given_up,
          snapshot_damaged_on_the_way_is_not_installed_and_sent_anew,
          transfer_whose_leader_dies_is_begun_anew_by_the_next,
          receiver_that_crashes_in_the_middle_starts_over,
          follower_that_never_finishes_its_transfer_stops_nobody_else,
          slots_accepted_above_the_snapshot_stay_accepted,
          crash_between_snapshot_and_log_is_finished_by_recovery,
          snapshot_in_the_making_gives_way_to_the_one_that_comes,
          outcome_of_proposals_the_snapshot_covers_is_unknown,
          snapshot_of_a_leader_of_the_past_is_ignored,
          transfer_is_dropped_when_the_log_got_there_first)
