/* SPDX-License-Identifier: MIT */
#include "clock/hybrid_clock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "aborts.h"
#include "base/prng.h"
#include "test_main.h"

#define UNIT     (UINT64_C(1) << HYBRID_UNIT_BITS)
#define PER_UNIT (HYBRID_LOGICAL_MAX + 1) /* stamps to a unit */
#define MS       UINT64_C(1000000)
#define WALL     (UINT64_C(1800000000) * 1000 * MS) /* 2027 */
#define FORWARD  (500 * MS)

static struct hybrid_clock clock_with(uint64_t latest)
{
    struct hybrid_clock clock;
    hybrid_clock_init(&clock, FORWARD);
    if (latest != 0)
        hybrid_clock_restore(&clock, latest);
    return clock;
}

START_TEST(a_stamp_is_the_wall_time_cut_to_its_unit)
{
    uint64_t stamp = hybrid_clock_at(WALL + 12345);
    ck_assert_uint_eq(hybrid_clock_physical_ns(stamp), (WALL + 12345) / UNIT * UNIT);
    ck_assert_uint_eq(hybrid_clock_logical(stamp), 0);
    ck_assert_uint_eq(hybrid_clock_logical(stamp + 7), 7);
    ck_assert_uint_eq(hybrid_clock_physical_ns(stamp + HYBRID_LOGICAL_MAX),
                      hybrid_clock_physical_ns(stamp));
    ck_assert_uint_lt(hybrid_clock_at(WALL) + HYBRID_LOGICAL_MAX, hybrid_clock_at(WALL + UNIT));
}
END_TEST

START_TEST(the_last_wall_time_has_a_stamp)
{
    uint64_t last = hybrid_clock_at(HYBRID_WALL_MAX_NS);
    ck_assert_uint_eq(last, UINT64_MAX - HYBRID_LOGICAL_MAX);
    ck_assert_uint_eq(hybrid_clock_physical_ns(last), HYBRID_WALL_MAX_NS / UNIT * UNIT);
}
END_TEST

START_TEST(events_follow_the_wall_and_count_within_a_unit)
{
    struct hybrid_clock clock = clock_with(0);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL), hybrid_clock_at(WALL));
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL), hybrid_clock_at(WALL) + 1);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL), hybrid_clock_at(WALL) + 2);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL + UNIT), hybrid_clock_at(WALL + UNIT));
}
END_TEST

START_TEST(a_wall_that_goes_back_does_not_take_stamps_back)
{
    struct hybrid_clock clock = clock_with(0);
    uint64_t before = hybrid_clock_tick(&clock, WALL);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL - 3600000 * MS), before + 1);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, 0), before + 2);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL + MS), hybrid_clock_at(WALL + MS));
}
END_TEST

/* The paper's four cases of a receipt, each by its own definition. */
START_TEST(receipt_takes_the_latest_of_wall_own_and_remote)
{
    uint64_t at = hybrid_clock_at(WALL);
    uint64_t stamp;
    struct hybrid_clock clock = clock_with(at + 5);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL - MS, at + 9, &stamp), 0); /* tie: max + 1 */
    ck_assert_uint_eq(stamp, at + 10);
    clock = clock_with(at + 5);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL - MS, at - 100 * PER_UNIT + 9, &stamp), 0);
    ck_assert_uint_eq(stamp, at + 6); /* own is latest */
    clock = clock_with(at - 100 * PER_UNIT + 9);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL - MS, at + 5, &stamp), 0);
    ck_assert_uint_eq(stamp, at + 6); /* remote is latest */
    clock = clock_with(at + 5);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL + MS, at + 9, &stamp), 0);
    ck_assert_uint_eq(stamp, hybrid_clock_at(WALL + MS)); /* the wall is latest */
    ck_assert_uint_eq(clock.latest, stamp);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL, at, NULL), 0);
    ck_assert_uint_eq(clock.latest, stamp + 1);
}
END_TEST

START_TEST(a_message_from_beyond_the_bound_is_refused_and_changes_nothing)
{
    const uint64_t bound = hybrid_clock_at(WALL + FORWARD / UNIT * UNIT);
    const uint64_t beyond[] = {bound + PER_UNIT, bound + PER_UNIT + 1,
                               hybrid_clock_at(WALL + 3 * FORWARD), UINT64_MAX - 1, UINT64_MAX};
    struct hybrid_clock clock = clock_with(hybrid_clock_at(WALL) + 3);
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        struct hybrid_clock before = clock;
        uint64_t stamp = 42;
        ck_assert_int_eq(hybrid_clock_observe(&clock, WALL, beyond[i], &stamp), -ERANGE);
        ck_assert_uint_eq(stamp, 42);
        ck_assert_uint_eq(clock.latest, before.latest);
        ck_assert_uint_eq(clock.forward_units, before.forward_units);
    }
}
END_TEST

START_TEST(a_message_at_the_bound_is_taken_unless_its_count_is_full)
{
    const uint64_t bound = hybrid_clock_at(WALL + FORWARD / UNIT * UNIT);
    uint64_t stamp;
    struct hybrid_clock clock = clock_with(0);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL, bound + HYBRID_LOGICAL_MAX, NULL), -ERANGE);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL, bound + HYBRID_LOGICAL_MAX - 1, &stamp), 0);
    ck_assert_uint_eq(stamp, bound + HYBRID_LOGICAL_MAX);
}
END_TEST

START_TEST(a_bound_of_zero_still_takes_the_present)
{
    struct hybrid_clock clock;
    hybrid_clock_init(&clock, 0);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL, hybrid_clock_at(WALL), NULL), 0);
    ck_assert_int_eq(hybrid_clock_observe(&clock, WALL, hybrid_clock_at(WALL + UNIT), NULL),
                     -ERANGE);
}
END_TEST

START_TEST(the_end_of_time_refuses_what_has_no_successor)
{
    struct hybrid_clock clock = clock_with(0);
    uint64_t stamp;
    ck_assert_int_eq(hybrid_clock_observe(&clock, HYBRID_WALL_MAX_NS, UINT64_MAX, NULL), -ERANGE);
    ck_assert_int_eq(hybrid_clock_observe(&clock, HYBRID_WALL_MAX_NS, UINT64_MAX - 1, &stamp), 0);
    ck_assert_uint_eq(stamp, UINT64_MAX);
}
END_TEST

START_TEST(a_full_count_carries_into_the_physical_part)
{
    struct hybrid_clock clock = clock_with(0);
    uint64_t first = hybrid_clock_tick(&clock, WALL);
    uint64_t last = first;
    for (uint64_t i = 1; i <= HYBRID_LOGICAL_MAX; i++)
        last = hybrid_clock_tick(&clock, WALL);
    ck_assert_uint_eq(hybrid_clock_logical(last), HYBRID_LOGICAL_MAX);
    ck_assert_uint_eq(hybrid_clock_physical_ns(last), hybrid_clock_physical_ns(first));
    uint64_t carried = hybrid_clock_tick(&clock, WALL);
    ck_assert_uint_gt(carried, last);
    ck_assert_uint_eq(hybrid_clock_physical_ns(carried), hybrid_clock_physical_ns(first) + UNIT);
    ck_assert_uint_eq(hybrid_clock_logical(carried), 0);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL + UNIT), carried + 1);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL + 2 * UNIT), hybrid_clock_at(WALL + 2 * UNIT));
}
END_TEST

START_TEST(a_restored_clock_goes_on_above_what_was_persisted)
{
    uint64_t persisted = hybrid_clock_at(WALL) + 77;
    struct hybrid_clock clock = clock_with(persisted);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL - FORWARD), persisted + 1);
    clock = clock_with(persisted);
    ck_assert_uint_eq(hybrid_clock_tick(&clock, WALL + MS), hybrid_clock_at(WALL + MS));
}
END_TEST

enum { NODES = 4, EVENTS = 3000 };

/* One node: its wall, which drifts and jumps, and its disk, which survives a crash. */
struct node {
    struct hybrid_clock clock;
    uint64_t wall_ns;
    uint64_t persisted;
    uint32_t knows[NODES]; /* how many events of each node happened before its next one */
};

struct event {
    uint64_t stamp;
    uint32_t node;
    uint32_t knows[NODES];
};

struct world {
    struct prng prng;
    struct node nodes[NODES];
    struct event history[EVENTS];
    size_t events, refused, restarts;
};

static struct world world;

/* Time passes, mostly forward; sometimes a wall is set, within or beyond the bound, either way. */
static void move_wall(struct node *node)
{
    uint64_t jump = prng_below(&world.prng, 2 * FORWARD);
    switch (prng_below(&world.prng, 40)) {
    case 0:
        node->wall_ns += jump;
        break;
    case 1:
        node->wall_ns -= jump;
        break;
    default:
        node->wall_ns += prng_below(&world.prng, 3 * UNIT);
        break;
    }
}

/* The header's second way to restart: no stamp leaves the node before one above it is durable. */
static void reserve(struct node *node)
{
    if (node->clock.latest + PER_UNIT >= node->persisted)
        node->persisted = node->clock.latest + 8 * PER_UNIT;
}

static void crash_and_restart(struct node *node)
{
    uint64_t jump = prng_below(&world.prng, 3 * FORWARD);
    node->wall_ns += prng_below(&world.prng, 2) == 0 ? jump : 0 - jump;
    hybrid_clock_init(&node->clock, FORWARD);
    hybrid_clock_restore(&node->clock, node->persisted);
    world.restarts++;
}

static void add_event(uint32_t index, uint64_t stamp)
{
    struct event *event = &world.history[world.events++];
    struct node *node = &world.nodes[index];
    node->knows[index]++;
    event->stamp = stamp;
    event->node = index;
    for (int n = 0; n < NODES; n++)
        event->knows[n] = node->knows[n];
    reserve(node);
}

/* A message of any earlier event: in order or not, once or more often. */
static void receive(uint32_t index)
{
    struct node *node = &world.nodes[index];
    const struct event *sent = &world.history[prng_below(&world.prng, world.events)];
    uint64_t own = node->clock.latest;
    uint64_t bound_units = (node->wall_ns >> HYBRID_UNIT_BITS) + (FORWARD >> HYBRID_UNIT_BITS);
    bool is_too_far = (sent->stamp + 1) >> HYBRID_LOGICAL_BITS > bound_units;
    uint64_t stamp = 0;
    int error = hybrid_clock_observe(&node->clock, node->wall_ns, sent->stamp, &stamp);
    ck_assert_int_eq(error, is_too_far ? -ERANGE : 0);
    if (error != 0) {
        ck_assert_uint_eq(node->clock.latest, own);
        world.refused++;
        return;
    }
    ck_assert_uint_gt(stamp, own);
    ck_assert_uint_gt(stamp, sent->stamp);
    /* Ahead of the bound only by what the clock was already: no message moved it there. */
    if (stamp >> HYBRID_LOGICAL_BITS > bound_units)
        ck_assert_uint_eq(stamp, own + 1);
    for (int n = 0; n < NODES; n++)
        if (sent->knows[n] > node->knows[n])
            node->knows[n] = sent->knows[n];
    add_event(index, stamp);
}

static void run_world(uint64_t seed)
{
    memset(&world, 0, sizeof world);
    prng_init(&world.prng, seed);
    for (int n = 0; n < NODES; n++) {
        struct node *node = &world.nodes[n];
        hybrid_clock_init(&node->clock, FORWARD);
        node->wall_ns = WALL + prng_below(&world.prng, FORWARD / 2);
        reserve(node);
    }
    while (world.events < EVENTS) {
        uint32_t index = (uint32_t)prng_below(&world.prng, NODES);
        struct node *node = &world.nodes[index];
        move_wall(node);
        uint64_t choice = prng_below(&world.prng, 100);
        if (choice < 2) {
            crash_and_restart(node);
        } else if (choice < 50 && world.events > 0) {
            receive(index);
        } else {
            uint64_t own = node->clock.latest;
            uint64_t stamp = hybrid_clock_tick(&node->clock, node->wall_ns);
            ck_assert_uint_gt(stamp, own);
            ck_assert_uint_ge(stamp, hybrid_clock_at(node->wall_ns));
            add_event(index, stamp);
        }
    }
}

START_TEST(stamps_of_a_node_strictly_grow_through_jumps_and_restarts)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t last[NODES] = {0};
        run_world(seed);
        ck_assert_uint_gt(world.restarts, 10);
        for (size_t i = 0; i < world.events; i++) {
            const struct event *event = &world.history[i];
            ck_assert_uint_gt(event->stamp, last[event->node]);
            last[event->node] = event->stamp;
        }
    }
}
END_TEST

/* Vector times are exact: a happened before b if b knows of a. */
START_TEST(happened_before_implies_a_smaller_stamp)
{
    for (uint64_t seed = 100; seed < 103; seed++) {
        size_t ordered = 0;
        run_world(seed);
        ck_assert_uint_gt(world.refused, 10);
        for (size_t a = 0; a < EVENTS; a++) {
            const struct event *cause = &world.history[a];
            for (size_t b = a + 1; b < EVENTS; b++) {
                const struct event *effect = &world.history[b];
                if (cause->knows[cause->node] > effect->knows[cause->node])
                    continue;
                ordered++;
                if (cause->stamp >= effect->stamp)
                    ck_abort_msg("seed %lu: event %zu caused %zu", (unsigned long)seed, a, b);
            }
        }
        ck_assert_uint_gt(ordered, EVENTS);
    }
}
END_TEST

/* With walls that only go forward no stamp is further ahead of its node's wall than the bound. */
START_TEST(clocks_stay_within_the_bound_of_a_wall_that_goes_forward)
{
    struct prng prng;
    struct hybrid_clock clocks[NODES];
    uint64_t walls[NODES];
    size_t refused = 0;
    prng_init(&prng, 200);
    for (uint32_t n = 0; n < NODES; n++) {
        hybrid_clock_init(&clocks[n], FORWARD);
        walls[n] =
            WALL + n * (FORWARD * 2 / 5); /* the first and the last differ by more than the bound */
    }
    for (int i = 0; i < 100000; i++) {
        size_t to = prng_below(&prng, NODES);
        size_t from = prng_below(&prng, NODES);
        walls[to] += prng_below(&prng, 3 * UNIT);
        walls[from] += prng_below(&prng, 3 * UNIT);
        uint64_t sent = hybrid_clock_tick(&clocks[from], walls[from]);
        if (hybrid_clock_observe(&clocks[to], walls[to], sent, NULL) != 0)
            refused++;
        for (size_t n = 0; n < NODES; n++)
            ck_assert_uint_le(hybrid_clock_physical_ns(clocks[n].latest), walls[n] + FORWARD);
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_lt(refused, 50000);
}
END_TEST

static void tick_past_the_end(void)
{
    struct hybrid_clock clock = clock_with(UINT64_MAX - 1);
    ck_assert_uint_gt(hybrid_clock_tick(&clock, WALL), 0);
    ck_assert_uint_gt(hybrid_clock_tick(&clock, WALL), 0);
}

static void tick_beyond_the_last_wall_time(void)
{
    struct hybrid_clock clock = clock_with(0);
    ck_assert_uint_gt(hybrid_clock_tick(&clock, HYBRID_WALL_MAX_NS + 1), 0);
}

static void restore_a_clock_in_use(void)
{
    struct hybrid_clock clock = clock_with(0);
    ck_assert_uint_gt(hybrid_clock_tick(&clock, WALL), 0);
    hybrid_clock_restore(&clock, hybrid_clock_at(WALL));
}

START_TEST(what_would_break_the_order_stops_the_program)
{
    ck_assert(aborts(tick_past_the_end));
    ck_assert(aborts(tick_beyond_the_last_wall_time));
    ck_assert(aborts(restore_a_clock_in_use));
}
END_TEST

TEST_MAIN("clock/hybrid_clock", a_stamp_is_the_wall_time_cut_to_its_unit,
          the_last_wall_time_has_a_stamp, events_follow_the_wall_and_count_within_a_unit,
          a_wall_that_goes_back_does_not_take_stamps_back,
          receipt_takes_the_latest_of_wall_own_and_remote,
          a_message_from_beyond_the_bound_is_refused_and_changes_nothing,
          a_message_at_the_bound_is_taken_unless_its_count_is_full,
          a_bound_of_zero_still_takes_the_present, the_end_of_time_refuses_what_has_no_successor,
          a_full_count_carries_into_the_physical_part,
          a_restored_clock_goes_on_above_what_was_persisted,
          stamps_of_a_node_strictly_grow_through_jumps_and_restarts,
          happened_before_implies_a_smaller_stamp,
          clocks_stay_within_the_bound_of_a_wall_that_goes_forward,
          what_would_break_the_order_stops_the_program)
