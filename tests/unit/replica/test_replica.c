/* SPDX-License-Identifier: MIT */
/* Clusters of replicas under every fault the world has, by seeds. What must hold is checked by the
 * world itself; here are the mixes, and proof that what they are about came to pass. */
#include "replica_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_main.h"

/* ---- Storms ---- */

/* What happens in one storm: drawn by seed, about half of it in any one, else storms hide rare
 * orders of events. */
struct storm {
    uint32_t crash_permille, restart_permille, pause_permille, resume_permille, cut_permille;
    uint32_t transfer_permille, snapshot_fails_permille, lane_full_permille, all_permille;
    uint32_t links_cut[WORLD_NODES]; /* bit n: nothing from node n arrives here */
};

static bool is_link_up(struct world *world, uint32_t from, uint32_t to,
                       struct core_message *message)
{
    (void)message;
    const struct storm *storm = world->filter_context;
    return (storm->links_cut[to] >> from & 1) == 0;
}

static uint32_t maybe(struct prng *prng, uint32_t most)
{
    return prng_below(prng, 2) == 0 ? 0 : 1 + (uint32_t)prng_below(prng, most);
}

static void storm_draw(struct storm *storm, struct world_options *options, struct prng *prng)
{
    *storm = (struct storm){.crash_permille = maybe(prng, 8),
                            .restart_permille = 10 + (uint32_t)prng_below(prng, 40),
                            .pause_permille = maybe(prng, 6),
                            .resume_permille = 10 + (uint32_t)prng_below(prng, 40),
                            .cut_permille = maybe(prng, 10),
                            .transfer_permille = maybe(prng, 4),
                            .snapshot_fails_permille = maybe(prng, 5),
                            .lane_full_permille = maybe(prng, 5),
                            .all_permille = maybe(prng, 2)};
    options->drop_permille = maybe(prng, 80);
    options->duplicate_permille = maybe(prng, 50);
    options->reorder_permille = maybe(prng, 100);
    options->segment_count = 4 + (uint32_t)prng_below(prng, 5);
    options->window_slots = 16u << prng_below(prng, 3);
    options->batch_slots = 1 + (uint32_t)prng_below(prng, 20);
    options->value_bytes = 64u << prng_below(prng, 5);
    options->nodes = prng_below(prng, 4) == 0 ? 5 : 3;
}

static bool strikes(struct world *world, uint32_t permille)
{
    return permille > 0 && prng_below(&world->prng, 1000) < permille;
}

static void storm_node(struct world *world, const struct storm *storm, uint32_t number)
{
    struct world_node *node = &world->nodes[number];
    if (node->replica == NULL) {
        if (strikes(world, storm->restart_permille)) {
            world_reopen(world, number);
        }
        return;
    }
    if (strikes(world, storm->crash_permille)) {
        world_crash(world, number);
        return;
    }
    if (node->is_paused ? strikes(world, storm->resume_permille)
                        : strikes(world, storm->pause_permille)) {
        node->is_paused = !node->is_paused;
    }
    if (strikes(world, storm->transfer_permille)) {
        replica_transfer(node->replica, (uint32_t)prng_below(&world->prng, world->options.nodes));
    }
    if (strikes(world, storm->snapshot_fails_permille)) {
        node->disk.fails_snapshot = !node->disk.fails_snapshot;
    }
    if (strikes(world, storm->lane_full_permille)) {
        node->reply_value_limit = node->reply_value_limit == 0 ? UINT32_MAX : 0;
    }
}

static void storm_step(struct world *world, struct storm *storm)
{
    uint32_t nodes = world->options.nodes;
    for (uint32_t i = 0; i < nodes; i++) {
        storm_node(world, storm, i);
    }
    if (strikes(world, storm->cut_permille)) {
        uint32_t to = (uint32_t)prng_below(&world->prng, nodes);
        storm->links_cut[to] ^= 1u << prng_below(&world->prng, nodes);
    }
    if (storm->cut_permille > 0 && strikes(world, 5)) {
        memset(storm->links_cut, 0, sizeof storm->links_cut);
    }
    if (strikes(world, storm->all_permille)) {
        for (uint32_t i = 0; i < nodes; i++) {
            world_crash(world, i);
        }
    }
    world_steps(world, 10);
}

static void storm_run(struct world *world, uint64_t seed, enum wal_sync sync, uint32_t steps)
{
    struct prng prng;
    prng_init(&prng, seed);
    struct world_options options = {.seed = seed, .sync = sync};
    struct storm storm;
    storm_draw(&storm, &options, &prng);
    world_start(world, &options);
    world->filter = is_link_up;
    world->filter_context = &storm;
    for (uint32_t i = 0; i < steps / 10; i++) {
        storm_step(world, &storm);
    }
    world_quiesce(world);
}

START_TEST(writes_and_reads_are_answered_once_with_their_outcomes)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 1});
    world_steps(&world, 3000);
    world_quiesce(&world);
    ck_assert_uint_gt(world.counts.writes, 1000);
    ck_assert_uint_gt(world.counts.reads, 200);
    world_end(&world);
}
END_TEST

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable); // NOLINT(concurrency-mt-unsafe): one thread
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

#define STORMS 14

/* SYNOD_STORM_FIRST and SYNOD_STORM_COUNT choose other seeds, more of them, or one to look at. */
START_TEST(storms_break_nothing)
{
    uint64_t first = number_from("SYNOD_STORM_FIRST", 1);
    uint64_t count = number_from("SYNOD_STORM_COUNT", STORMS);
    bool is_told = count != STORMS;
    struct world sum = {.now_ns = 0};
    uint64_t snapshots = 0;
    uint64_t installs = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct world world;
        if (is_told) {
            (void)fprintf(stderr, "storm %llu\n", (unsigned long long)seed);
        }
        storm_run(&world, seed, seed % 2 == 0 ? WAL_SYNC_NONE : WAL_SYNC_BATCH, 4000);
        sum.counts.writes += world.counts.writes;
        sum.counts.reads += world.counts.reads;
        sum.counts.crashes += world.counts.crashes;
        sum.counts.lost += world.counts.lost;
        for (uint32_t i = 0; i <= REPLY_UNKNOWN; i++) {
            sum.counts.answers[i] += world.counts.answers[i];
        }
        snapshots += world_snapshots(&world);
        installs += world_installs(&world);
        world_end(&world);
    }
    if (count < STORMS) {
        return;
    }
    ck_assert_uint_gt(sum.counts.writes, 5000);
    ck_assert_uint_gt(sum.counts.reads, 1000);
    ck_assert_uint_gt(sum.counts.crashes, 10);
    ck_assert_uint_gt(sum.counts.lost, 1000);
    ck_assert_uint_gt(sum.counts.answers[REPLY_NOT_LEADER], 100);
    ck_assert_uint_gt(snapshots, 50);
    ck_assert_uint_gt(installs, 5);
}
END_TEST

START_TEST(same_seed_same_logs_and_states)
{
    uint64_t digests[2][3];
    for (uint32_t round = 0; round < 2; round++) {
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct world world;
            storm_run(&world, 40 + seed, seed == 0 ? WAL_SYNC_BATCH : WAL_SYNC_NONE, 2000);
            digests[round][seed] = world_digest(&world);
            world_end(&world);
        }
    }
    for (uint64_t seed = 0; seed < 3; seed++) {
        ck_assert_uint_eq(digests[0][seed], digests[1][seed]);
        ck_assert_uint_ne(digests[0][seed], digests[0][(seed + 1) % 3]);
    }
}
END_TEST

/* ---- Restarts and failures ---- */

START_TEST(restart_of_all_nodes_loses_nothing_acknowledged)
{
    for (int sync = 0; sync < 2; sync++) {
        struct world world;
        world_start(&world, &(struct world_options){
                                .seed = 8, .sync = sync == 0 ? WAL_SYNC_NONE : WAL_SYNC_BATCH});
        for (int round = 0; round < 5; round++) {
            world_steps(&world, 700);
            for (uint32_t i = 0; i < 3; i++) {
                world_crash(&world, i);
            }
            for (uint32_t i = 0; i < 3; i++) {
                world_reopen(&world, i);
            }
        }
        world_quiesce(&world); /* every answer was checked against the slots that were chosen */
        ck_assert_uint_gt(world.counts.writes, 500);
        ck_assert_uint_gt(world_snapshots(&world), 0);
        world_end(&world);
    }
}
END_TEST

START_TEST(leader_and_followers_crash_in_turn_and_writing_goes_on)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 9});
    for (uint32_t round = 0; round < 12; round++) {
        uint32_t leader = world_await_leader(&world);
        world_steps(&world, 200);
        uint32_t victim = round % 2 == 0 ? leader : (leader + 1) % 3;
        uint64_t writes = world.counts.writes;
        world_crash(&world, victim);
        world_steps(&world, 800);
        ck_assert_uint_gt(world.counts.writes, writes);
        world_reopen(&world, victim);
    }
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(node_whose_disk_fails_stops_and_the_others_go_on)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 10, .sync = WAL_SYNC_BATCH});
    for (uint32_t round = 0; round < 2; round++) { /* first the leader, then a follower */
        world_steps(&world, 300);
        uint32_t leader = world_await_leader(&world);
        uint32_t victim = round == 0 ? leader : (leader + 1) % 3;
        world.nodes[victim].disk.fails_sync = true;
        world_steps(&world, 1000);
        ck_assert_ptr_null(world.nodes[victim].replica);
        ck_assert_int_eq(world.nodes[victim].failure, -EIO);
        uint64_t writes = world.counts.writes;
        world_steps(&world, 500);
        ck_assert_uint_gt(world.counts.writes, writes + 50);
        world.nodes[victim].disk.fails_sync = false;
        world_reopen(&world, victim); /* what it said before, its log still says */
    }
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(leadership_is_handed_over_on_request)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 11});
    for (int round = 0; round < 5; round++) {
        uint32_t leader = world_await_leader(&world);
        uint32_t to = (leader + 1) % 3;
        replica_transfer(world.nodes[leader].replica, to);
        for (int i = 0; i < 150 && world_leader(&world) != (int)to; i++) { /* 15 ms */
            world_step(&world);
        }
        ck_assert_int_eq(world_leader(&world), (int)to);
    }
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

/* ---- Requests ---- */

START_TEST(follower_refuses_reads_and_writes_at_once)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 12, .is_quiet = true});
    uint32_t follower = (world_await_leader(&world) + 1) % 3;
    const struct world_op *put = world_put(&world, follower, 1, 8);
    const struct world_op *read = world_read(&world, follower, 1);
    world_step(&world);
    ck_assert_int_eq(put->status, REPLY_NOT_LEADER);
    ck_assert_int_eq(read->status, REPLY_NOT_LEADER);
    ck_assert(put->state == OP_ANSWERED && read->state == OP_ANSWERED);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(window_full_of_proposals_keeps_the_rest_waiting_and_refuses_none)
{
    struct world world;
    struct world_op *ops[200];
    world_start(&world, &(struct world_options){
                            .seed = 13, .is_quiet = true, .window_slots = 16, .batch_slots = 10});
    uint32_t leader = world_await_leader(&world);
    for (uint32_t i = 0; i < 200; i++) {
        ops[i] = world_put(&world, leader, i % WORLD_KEYS, 8);
    }
    for (uint32_t i = 0; i < 200; i++) {
        world_await(&world, ops[i]);
        ck_assert_int_eq(ops[i]->status, REPLY_OUTCOME);
    }
    world_end(&world);
}
END_TEST

START_TEST(value_that_does_not_fit_the_lane_is_answered_busy)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 14, .is_quiet = true});
    uint32_t leader = world_await_leader(&world);
    world_await(&world, world_put(&world, leader, 1, 500));
    world.nodes[leader].reply_value_limit = 499;
    const struct world_op *read = world_read(&world, leader, 1);
    world_await(&world, read);
    ck_assert_int_eq(read->status, REPLY_BUSY);
    world.nodes[leader].reply_value_limit = 500;
    read = world_read(&world, leader, 1);
    world_await(&world, read);
    ck_assert_int_eq(read->status, REPLY_OUTCOME);
    world_end(&world);
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

START_TEST(reads_of_a_leader_that_was_cut_off_are_refused_in_the_end_and_never_stale)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 15, .is_quiet = true});
    uint32_t old = world_await_leader(&world);
    world_await(&world, world_put(&world, old, 1, 8));
    world.filter = is_not_with;
    world.filter_context = &old;
    const struct world_op *early = world_read(&world, old, 1);
    while (world_leader(&world) == (int)old || world_leader(&world) < 0) {
        world_step(&world);
    }
    uint32_t leader = world_await_leader(&world);
    ck_assert_uint_ne(leader, old);
    world_await(&world, world_put(&world, leader, 1, 8));
    const struct world_op *late = world_read(&world, old, 1);
    world_await(&world, early);
    world_await(&world, late);
    ck_assert_int_eq(early->status, REPLY_NOT_LEADER);
    ck_assert_int_eq(late->status, REPLY_NOT_LEADER);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

/* Hands leadership to a node and waits until it has it. */
static void lead(struct world *world, uint32_t to)
{
    for (int i = 0; i < 2000 && world_await_leader(world) != to; i++) {
        replica_transfer(world->nodes[world_leader(world)].replica, to);
        world_steps(world, 150);
    }
    ck_assert_uint_eq(world_await_leader(world), to);
}

START_TEST(reads_confirmed_for_an_earlier_leadership_confirm_none_for_a_later)
{
    uint32_t deposed_unawares = 0;
    for (uint64_t seed = 20; seed < 30; seed++) {
        struct world world;
        world_start(&world, &(struct world_options){.seed = seed, .is_quiet = true});
        uint32_t old = world_await_leader(&world);
        for (uint32_t i = 0; i < 50; i++) { /* rounds of this leadership */
            world_await(&world, world_read(&world, old, 1));
        }
        lead(&world, (old + 1) % 3);
        lead(&world, old);
        world.filter = is_not_with;
        world.filter_context = &old;
        while (world_leader(&world) == (int)old || world_leader(&world) < 0) {
            world_step(&world);
        }
        uint32_t leader = world_await_leader(&world);
        world_await(&world, world_put(&world, leader, 1, 8));
        deposed_unawares += world.nodes[old].replica->core.role == ROLE_LEADER;
        const struct world_op *read = world_read(&world, old, 1);
        world_await(&world, read); /* the world checks that it is not stale */
        ck_assert_int_eq(read->status, REPLY_NOT_LEADER);
        world_quiesce(&world);
        world_end(&world);
    }
    ck_assert_uint_gt(deposed_unawares, 0);
}
END_TEST

START_TEST(proposals_of_a_deposed_leader_learn_their_fate_from_the_log)
{
    struct world world;
    struct world_op *ops[10];
    world_start(&world, &(struct world_options){.seed = 16, .is_quiet = true});
    uint32_t old = world_await_leader(&world);
    world.filter = is_not_with;
    world.filter_context = &old;
    for (uint32_t i = 0; i < 10; i++) {
        ops[i] = world_put(&world, old, i, 8); /* proposed, and heard by nobody */
    }
    while (world_leader(&world) == (int)old || world_leader(&world) < 0) {
        world_step(&world);
    }
    world_fill(&world, 30, 8);
    for (uint32_t i = 0; i < 10; i++) {
        ck_assert_int_eq(ops[i]->state, OP_WAITING); /* nobody can know yet, cut off as it is */
    }
    world.filter = NULL;
    for (uint32_t i = 0; i < 10; i++) {
        world_await(&world, ops[i]);
        ck_assert_int_eq(ops[i]->status, REPLY_NOT_DONE);
    }
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

/* Followers hear everything, the leader no answers. */
static bool is_no_answer(struct world *world, uint32_t from, uint32_t to,
                         struct core_message *message)
{
    (void)from;
    const uint32_t *node = world->filter_context;
    return to != *node || message->kind != MESSAGE_ACCEPTED;
}

START_TEST(proposals_a_later_leader_takes_over_are_answered_with_their_outcome)
{
    struct world world;
    struct world_op *ops[10];
    world_start(&world, &(struct world_options){.seed = 17, .is_quiet = true});
    uint32_t old = world_await_leader(&world);
    world.filter = is_no_answer;
    world.filter_context = &old;
    for (uint32_t i = 0; i < 10; i++) {
        ops[i] = world_put(&world, old, i, 8);
    }
    while (world_leader(&world) == (int)old || world_leader(&world) < 0) {
        world_step(&world);
    }
    for (uint32_t i = 0; i < 10; i++) {
        world_await(&world, ops[i]); /* by the node that proposed it, a follower by now */
        ck_assert_int_eq(ops[i]->status, REPLY_OUTCOME);
    }
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

TEST_MAIN("replica/replica", writes_and_reads_are_answered_once_with_their_outcomes,
          storms_break_nothing, same_seed_same_logs_and_states,
          restart_of_all_nodes_loses_nothing_acknowledged,
          leader_and_followers_crash_in_turn_and_writing_goes_on,
          node_whose_disk_fails_stops_and_the_others_go_on, leadership_is_handed_over_on_request,
          follower_refuses_reads_and_writes_at_once,
          window_full_of_proposals_keeps_the_rest_waiting_and_refuses_none,
          value_that_does_not_fit_the_lane_is_answered_busy,
          reads_of_a_leader_that_was_cut_off_are_refused_in_the_end_and_never_stale,
          reads_confirmed_for_an_earlier_leadership_confirm_none_for_a_later,
          proposals_of_a_deposed_leader_learn_their_fate_from_the_log,
          proposals_a_later_leader_takes_over_are_answered_with_their_outcome)
