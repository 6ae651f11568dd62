/* SPDX-License-Identifier: MIT */
#include "core/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_fixture.h"
#include "core_world.h"
#include "test_main.h"

static struct fixture f;

/* ---- The door ---- */

static uint64_t digest_of_a_life(uint64_t seed)
{
    struct core_config config = fixture_config(3, 0);
    config.seed = seed;
    fixture_open(&f, &config);
    uint64_t digest = 0;
    for (int i = 0; i < 200; i++) {
        fixture_pass(&f, 5);
        for (uint32_t at = 0; at < f.effects.count; at++) {
            digest = digest * 31 + f.effects.list[at].kind + f.effects.list[at].message.ballot;
        }
    }
    return digest * 31 + f.core.election_deadline_ns;
}

START_TEST(same_events_give_same_effects)
{
    ck_assert_uint_eq(digest_of_a_life(3), digest_of_a_life(3));
    ck_assert_uint_ne(digest_of_a_life(3), digest_of_a_life(4));
}
END_TEST

START_TEST(senseless_messages_are_dropped_and_change_nothing)
{
    fixture_init(&f, 3, 0);
    static struct core before;
    static const struct core_message senseless[] = {
        {.kind = 0, .from = 1},
        {.kind = 200, .from = 1},
        {.kind = MESSAGE_PREPARE, .from = 0, .slot = 1}, /* from itself */
        {.kind = MESSAGE_PREPARE, .from = 3, .slot = 1}, /* from nobody */
        {.kind = MESSAGE_PROMISE, .from = 1},
        {.kind = MESSAGE_PROMISE_RUN, .from = 1, .slot = 1, .count = 1},
        {.kind = MESSAGE_REJECT, .from = 1},
        {.kind = MESSAGE_ENTRIES, .from = 1, .slot = 1, .count = 1},
        {.kind = MESSAGE_FETCH, .from = 1, .slot = 1, .count = 1},
        {.kind = MESSAGE_ACCEPTED, .from = 1, .slot = 9},
        {.kind = MESSAGE_TIMEOUT_NOW, .from = 1},
        {.kind = MESSAGE_SNAPSHOT_CHUNK, .from = 1},
    };
    for (size_t i = 0; i < sizeof senseless / sizeof senseless[0]; i++) {
        before = f.core;
        fixture_receive(&f, senseless[i]);
        ck_assert_uint_eq(f.effects.count, 1);
        ck_assert_uint_eq(f.effects.list[0].kind, EFFECT_DROP);
        memcpy(before.drops, f.core.drops, sizeof before.drops);
        ck_assert_mem_eq(&before, &f.core, sizeof before);
    }
}
END_TEST

START_TEST(persisted_out_of_order_is_dropped)
{
    fixture_init(&f, 3, 0);
    fixture_receive(&f, fixture_accept(generation_make(1, 1), 1, 1, 0)); /* promise, then copy */
    fixture_step(&f,
                 (struct event){.kind = EVENT_PERSIST_FAILED, .sequence = f.core.persist_sequence});
    ck_assert(fixture_dropped(&f, DROP_MALFORMED));
    ck_assert_uint_eq(f.core.persist_count, 2);
}
END_TEST

START_TEST(a_log_in_more_pieces_than_can_be_is_refused_at_restore)
{
    struct core_config config = fixture_config(3, 0);
    core_init(&f.core, &config);
    core_restore(&f.core, 0, 0, 0);
    uint64_t slot = 1;
    while (slot < 2000 && core_restore_accept(&f.core, slot, generation_make(1, 1))) {
        slot += 2;
    }
    ck_assert_uint_lt(slot, 2000);
    ck_assert_uint_gt(slot, REPLICATED_LOG_RUNS);
}
END_TEST

START_TEST(every_enumerator_has_a_name)
{
    for (int role = ROLE_FOLLOWER; role <= ROLE_LEADER; role++) {
        ck_assert_str_ne(core_role_name((enum core_role)role), "?");
    }
    for (int kind = 1; kind < MESSAGE_KINDS; kind++) {
        ck_assert_str_ne(message_kind_name((uint8_t)kind), "?");
    }
    ck_assert_str_eq(message_kind_name(0), "?");
    ck_assert_str_eq(message_kind_name(MESSAGE_KINDS), "?");
    ck_assert_str_eq(core_role_name((enum core_role)99), "?");
    for (int reason = 1; reason < DROP_REASONS; reason++) {
        ck_assert_str_ne(drop_reason_name((enum drop_reason)reason), drop_reason_name(DROP_NONE));
    }
    ck_assert_str_eq(drop_reason_name((enum drop_reason)99), drop_reason_name(DROP_NONE));
}
END_TEST

/* ---- Whole clusters, see core_world.h ---- */

static struct world_counts sum;

/* SYNOD_CORE_SEEDS="first count" plays other seeds than the usual ones. */
static void seeds_wanted(uint64_t *first, uint64_t *count)
{
    const char *wanted = getenv("SYNOD_CORE_SEEDS");
    if (wanted != NULL) {
        char *end = NULL;
        *first = strtoull(wanted, &end, 0);
        *count = strtoull(end, NULL, 0);
    }
}

static void play(uint32_t nodes, uint32_t phase1, uint32_t phase2, uint64_t count)
{
    uint64_t first = 1;
    seeds_wanted(&first, &count);
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct world_config config = {
            .seed = seed, .nodes = nodes, .phase1 = phase1, .phase2 = phase2, .steps = 3000};
        struct world_result result;
        if (!world_run(&config, &result)) {
            ck_abort_msg("%" PRIu32 " nodes, quorums %" PRIu32 "/%" PRIu32 ", seed %" PRIu64
                         ", step %" PRIu64 ": %s",
                         nodes, phase1, phase2, seed, result.step, result.violation);
        }
        world_counts_add(&sum, &result.counts);
    }
}

START_TEST(one_node_survives_every_seed)
{
    play(1, 0, 0, 200);
}
END_TEST

START_TEST(two_nodes_survive_every_seed)
{
    play(2, 0, 0, 200);
}
END_TEST

START_TEST(three_nodes_survive_every_seed)
{
    play(3, 0, 0, 1500);
}
END_TEST

START_TEST(four_nodes_survive_every_seed)
{
    play(4, 0, 0, 200);
}
END_TEST

START_TEST(five_nodes_survive_every_seed)
{
    play(5, 0, 0, 500);
}
END_TEST

START_TEST(seven_nodes_survive_every_seed)
{
    play(7, 0, 0, 100);
}
END_TEST

START_TEST(flexible_quorums_survive_every_seed)
{
    play(2, 2, 1, 100);
    play(3, 3, 1, 100);
    play(3, 1, 3, 100);
    play(4, 3, 2, 100);
    play(5, 4, 2, 200);
    play(5, 2, 4, 100);
    play(7, 5, 3, 50);
}
END_TEST

START_TEST(a_seed_is_one_story)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct world_config config = {.seed = seed, .nodes = 3, .steps = 2000};
        struct world_result first;
        struct world_result second;
        (void)world_run(&config, &first);
        (void)world_run(&config, &second);
        ck_assert_mem_eq(&first, &second, sizeof first);
    }
}
END_TEST

START_TEST(every_fault_really_came)
{
    ck_assert_uint_gt(sum.lost, 10000);
    ck_assert_uint_gt(sum.duplicated, 10000);
    ck_assert_uint_gt(sum.reordered, 10000);
    ck_assert_uint_gt(sum.cut, 10000);
    ck_assert_uint_gt(sum.crashes, 1000);
    ck_assert_uint_gt(sum.records_lost, 1000);
    ck_assert_uint_gt(sum.pauses, 1000);
    ck_assert_uint_gt(sum.persists_failed, 1000);
    ck_assert_uint_gt(sum.releases, 1000);
    ck_assert_uint_gt(sum.installs, 100);
    ck_assert_uint_gt(sum.transfers, 100);
    ck_assert_uint_gt(sum.elections, 1000);
    ck_assert_uint_gt(sum.chosen, 100000);
    ck_assert_uint_gt(sum.reads_confirmed, 10000);
}
END_TEST

TEST_MAIN("core/core", same_events_give_same_effects,
          senseless_messages_are_dropped_and_change_nothing, persisted_out_of_order_is_dropped,
          a_log_in_more_pieces_than_can_be_is_refused_at_restore, every_enumerator_has_a_name,
          one_node_survives_every_seed, two_nodes_survive_every_seed,
          three_nodes_survive_every_seed, four_nodes_survive_every_seed,
          five_nodes_survive_every_seed, seven_nodes_survive_every_seed,
          flexible_quorums_survive_every_seed, a_seed_is_one_story, every_fault_really_came)
