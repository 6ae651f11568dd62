/* SPDX-License-Identifier: MIT */
/* Logs of a few small segments that many times their size goes through, whatever is in the way. */
#include "replica_world.h"

#include <errno.h>
#include <string.h>

#include "test_main.h"

/* All nodes' logs have their fixed size, and as many snapshot files as ever needed at once. */
static void check_space(const struct world *world)
{
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (replica == NULL) {
            continue;
        }
        struct replica_view view;
        replica_view(replica, &view);
        ck_assert_uint_eq(view.log_bytes,
                          world->options.segment_bytes * world->options.segment_count);
        ck_assert_uint_le(view.snapshot_bytes, UINT64_C(16) << 20);
    }
}

/* Bytes appended to a node's log since it was opened. */
static uint64_t bytes_through(const struct world *world, uint32_t node)
{
    struct wal_space space;
    wal_space(world->nodes[node].replica->wal, &space);
    return space.bytes_appended;
}

/* A cluster that writes `times` times what its logs hold. */
static void write_through(struct world *world, uint32_t times, uint32_t value_bytes)
{
    uint64_t log_bytes = world->options.segment_bytes * world->options.segment_count;
    uint64_t slots = times * log_bytes / (value_bytes + 70) + 1;
    for (uint32_t i = 0; i < 10; i++) {
        world_fill(world, slots / 10 + 1, value_bytes);
        check_space(world);
    }
}

START_TEST(log_of_any_shape_takes_many_times_its_size)
{
    static const struct {
        uint32_t segments, value_bytes, times;
    } shapes[] = {
        {4, 8, 3},     {4, 1000, 10}, {4, 15000, 10}, {4, 29000, 10},
        {4, 40000, 8}, {4, 58000, 5}, {5, 1000, 10},  {8, 58000, 5},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct world world;
        world_start(&world, &(struct world_options){
                                .seed = i, .is_quiet = true, .segment_count = shapes[i].segments});
        write_through(&world, shapes[i].times, shapes[i].value_bytes);
        ck_assert_uint_gt(world_snapshots(&world), 3 * 2);
        world_quiesce(&world);
        world_end(&world);
    }
}
END_TEST

START_TEST(dead_follower_costs_no_log_space)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 20, .is_quiet = true, .segment_count = 4});
    uint32_t dead = (world_await_leader(&world) + 1) % 3;
    world_crash(&world, dead);
    write_through(&world, 10, 500);
    world_reopen(&world, dead);
    world_quiesce(&world);
    ck_assert_uint_ge(world_installs(&world), 1);
    world_end(&world);
}
END_TEST

START_TEST(slow_follower_is_sent_the_snapshot_when_space_runs_short)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 21, .is_quiet = true, .segment_count = 6});
    uint32_t slow = (world_await_leader(&world) + 1) % 3;
    for (uint32_t round = 0; round < 30;
         round++) { /* one turn now and then: never deposed, ever late */
        world.nodes[slow].is_paused = true;
        world_fill(&world, 40, 600);
        world.nodes[slow].is_paused = false;
        world_steps(&world, 2);
        check_space(&world);
    }
    world_quiesce(&world);
    ck_assert_uint_gt(bytes_through(&world, (slow + 1) % 3), 2 * 6 * (64u << 10));
    world_end(&world);
}
END_TEST

START_TEST(paused_follower_pins_what_it_was_sent_and_no_longer)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 22, .is_quiet = true, .segment_count = 4});
    uint32_t leader = world_await_leader(&world);
    uint32_t paused = (leader + 1) % 3;
    world_fill(&world, 10, 600);
    world.nodes[paused].is_paused = true;
    /* As much as the log holds and no more: its messages name the bytes that would have to go. */
    const struct replica *replica = world.nodes[leader].replica;
    for (int i = 0; i < 6000; i++) {
        if (world.nodes[leader].requests_count < 4) {
            (void)world_put(&world, leader, (uint32_t)i % WORLD_KEYS, 600);
        }
        world_step(&world);
    }
    ck_assert_uint_gt(wal_retired(replica->wal), 0);
    ck_assert_uint_gt(world.counts.answers[REPLY_BUSY], 0);
    world.nodes[paused].is_paused = false; /* the world checks that they still verify */
    world_steps(&world, 100);
    ck_assert_uint_eq(wal_retired(replica->wal), 0);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

/* ---- Nothing gets chosen ---- */

static bool is_no_acceptance(struct world *world, uint32_t from, uint32_t to,
                             struct core_message *message)
{
    (void)world;
    (void)from;
    (void)to;
    return message->kind != MESSAGE_ACCEPTED;
}

START_TEST(values_proposed_again_at_every_ballot_do_not_fill_the_log)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 23, .segment_count = 4, .clients = 8});
    world_fill(&world, 30, 100);
    uint64_t won = 0;
    for (uint32_t i = 0; i < 3; i++) {
        won += world.nodes[i].replica->core.elections_won;
    }
    world.options.value_bytes = 4000;
    world.filter = is_no_acceptance; /* leader after leader proposes all of it again */
    world_steps(&world, 50000);
    uint64_t won_since = 0;
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_gt(bytes_through(&world, i), 4 * (64u << 10)); /* more than the log holds */
        won_since += world.nodes[i].replica->core.elections_won;
    }
    ck_assert_uint_gt(won_since, won + 20);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

static bool is_hole_kept(struct world *world, uint32_t from, uint32_t to,
                         struct core_message *message)
{
    (void)from;
    struct world_node *node = world->filter_context;
    bool is_into_hole = to == node->number && message->kind == MESSAGE_ACCEPT &&
                        message->count > 0 && message->slot <= node->replica->core.mark + 1;
    return !is_into_hole;
}

START_TEST(what_waits_behind_a_hole_leaves_room_for_what_fills_it)
{
    struct world world;
    world_start(&world, &(struct world_options){
                            .seed = 24, .is_quiet = true, .segment_count = 4, .batch_slots = 4});
    uint32_t leader = world_await_leader(&world);
    struct world_node *node = &world.nodes[(leader + 1) % 3];
    for (int round = 0; round < 4; round++) {
        world.filter = is_hole_kept;
        world.filter_context = node;
        world_fill(&world, 150, 1000);
        world.filter = NULL;
        world_quiesce(&world);
    }
    world_end(&world);
}
END_TEST

/* ---- A full log, a full disk ---- */

START_TEST(full_log_holds_requests_then_refuses_them_and_recovers)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 25, .is_quiet = true});
    for (uint32_t i = 0; i < 3; i++) {
        world.nodes[i].disk.fails_snapshot = true;
    }
    uint32_t leader = world_await_leader(&world);
    uint64_t reads = 0;
    const struct world_op *op = NULL;
    do { /* until one has to wait */
        op = world_put(&world, leader, 1, 1000);
        for (int i = 0; i < 100 && op->state == OP_WAITING; i++) {
            world_step(&world);
        }
    } while (op->state == OP_ANSWERED && op->status == REPLY_OUTCOME);
    ck_assert_int_eq(op->state, OP_WAITING);
    ck_assert_uint_eq(world.counts.answers[REPLY_BUSY], 0);
    world_await(&world, op);
    ck_assert_int_eq(op->status, REPLY_BUSY);
    const struct world_op *read = world_read(&world, leader, 1); /* needs no room */
    world_await(&world, read);
    ck_assert_int_eq(read->status, REPLY_OUTCOME);
    reads = world.counts.reads;
    ck_assert_uint_gt(reads, 0);
    ck_assert_uint_eq(world_await_leader(&world), leader); /* and nobody was deposed for it */
    for (uint32_t i = 0; i < 3; i++) {
        world.nodes[i].disk.fails_snapshot = false;
    }
    world_steps(&world, 200);
    op = world_put(&world, leader, 1, 1000);
    world_await(&world, op);
    ck_assert_int_eq(op->status, REPLY_OUTCOME);
    write_through(&world, 3, 1000);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(follower_without_room_refuses_until_it_has_some)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 26, .is_quiet = true, .segment_count = 4});
    uint32_t leader = world_await_leader(&world);
    struct world_node *node = &world.nodes[(leader + 1) % 3];
    node->disk.fails_snapshot = true;
    write_through(&world, 3, 700); /* the other two go on */
    ck_assert_uint_lt(node->replica->applied, world.nodes[leader].replica->core.base);
    ck_assert_int_eq(node->failure, 0);
    world_quiesce(&world);
    ck_assert_uint_gt(node->replica->snapshots.taken + node->replica->snapshots.installed, 0);
    world_end(&world);
}
END_TEST

START_TEST(restarted_node_knows_most_of_what_was_chosen)
{
    /* What it does not know it has to propose, or be sent, once more: the log must have room for
     * that beside what it holds. */
    static const uint32_t sizes[] = {8, 500, 5000, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct world world;
        world_start(&world, &(struct world_options){.seed = 30 + i, .is_quiet = true});
        world_fill(&world, 150000 / (sizes[i] + 70), sizes[i]);
        for (uint32_t node = 0; node < 3; node++) {
            uint64_t applied = world.nodes[node].replica->applied;
            uint64_t unknown_bytes = (64u << 10) / 8 + 2 * (sizes[i] + 70);
            world_crash(&world, node);
            world_reopen(&world, node);
            ck_assert_uint_ge(
                world.nodes[node].replica->core.mark + unknown_bytes / (sizes[i] + 70), applied);
        }
        world_quiesce(&world);
        world_end(&world);
    }
}
END_TEST

START_TEST(full_disk_is_not_asked_for_a_snapshot_every_turn)
{
    struct world world;
    world_start(&world, &(struct world_options){
                            .seed = 27, .is_quiet = true, .nodes = 1, .segment_count = 4});
    struct world_node *node = &world.nodes[0];
    node->disk.fails_snapshot = true;
    (void)world_await_leader(&world);
    for (uint32_t i = 0; i < 300; i++) {
        (void)world_put(&world, 0, i % WORLD_KEYS, 1000);
        world_step(&world);
    }
    ck_assert_uint_gt(node->disk.refusals, 0);
    uint64_t refusals = node->disk.refusals;
    world_steps(&world, 1000); /* 100 ms */
    ck_assert_uint_le(node->disk.refusals, refusals + 20);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

/* ---- The turn ---- */

START_TEST(turn_says_it_works_while_a_snapshot_is_made)
{
    struct world world;
    world_start(&world, &(struct world_options){
                            .seed = 28, .is_quiet = true, .nodes = 1, .segment_bytes = 256u << 10});
    struct replica *replica = world.nodes[0].replica;
    (void)world_await_leader(&world);
    uint32_t key = 0;
    while (!replica->snapshots.making.is_active) {
        (void)world_put(&world, 0, key++ % WORLD_KEYS, 30000);
        world_step(&world);
        ck_assert_uint_lt(key, 1000);
    }
    uint64_t now_ns = world.now_ns;
    uint32_t turns = 0;
    while (replica->snapshots.making.is_active) {
        ck_assert(replica_turn(replica, now_ns, 1)); /* no time passes: it need not wait for any */
        turns++;
        ck_assert_uint_lt(turns, 1000);
    }
    ck_assert_uint_gt(turns, 1);
    world_end(&world);
}
END_TEST

START_TEST(idle_cluster_says_it_is_idle_and_wakes_for_heartbeats)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 29, .is_quiet = true});
    world_fill(&world, 10, 10);
    world_quiesce(&world);
    uint32_t idle = 0;
    for (int i = 0; i < 1000; i++) {
        world.now_ns += WORLD_STEP_NS;
        for (uint32_t node = 0; node < 3; node++) {
            struct replica *replica = world.nodes[node].replica;
            bool worked = replica_turn(replica, world.now_ns, 1);
            uint64_t next_ns = replica_next_turn_ns(replica);
            ck_assert_uint_le(next_ns, world.now_ns + WORLD_ELECTION_NS);
            idle += !worked && next_ns > world.now_ns;
        }
    }
    ck_assert_uint_gt(idle, 2000);
    ck_assert_int_ge(world_leader(&world), 0);
    world_end(&world);
}
END_TEST

TEST_MAIN("replica/housekeeping", log_of_any_shape_takes_many_times_its_size,
          dead_follower_costs_no_log_space,
          slow_follower_is_sent_the_snapshot_when_space_runs_short,
          paused_follower_pins_what_it_was_sent_and_no_longer,
          values_proposed_again_at_every_ballot_do_not_fill_the_log,
          what_waits_behind_a_hole_leaves_room_for_what_fills_it,
          full_log_holds_requests_then_refuses_them_and_recovers,
          follower_without_room_refuses_until_it_has_some,
          restarted_node_knows_most_of_what_was_chosen,
          full_disk_is_not_asked_for_a_snapshot_every_turn,
          turn_says_it_works_while_a_snapshot_is_made,
          idle_cluster_says_it_is_idle_and_wakes_for_heartbeats)
