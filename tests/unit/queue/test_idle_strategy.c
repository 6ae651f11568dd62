/* SPDX-License-Identifier: MIT */
#include "queue/idle_strategy.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "test_main.h"

#define SHORT_NS  UINT64_C(100000)
#define STEPS_MAX 100000 /* far beyond every back-off */

/* What has_work looks at, and how often it was asked. */
struct look {
    _Atomic bool work;
    uint32_t asked;
};

static bool look_has_work(void *context)
{
    struct look *look = context;
    look->asked++;
    return atomic_load_explicit(&look->work, memory_order_acquire);
}

static struct doorbell *bell_new(void)
{
    struct doorbell *bell = NULL;
    ck_assert_int_eq(doorbell_create(&bell), 0);
    return bell;
}

/* Idles until it parks; the steps before that, or STEPS_MAX. */
static uint32_t steps_until_parked(struct idle_strategy *idle, struct look *look)
{
    for (uint32_t steps = 0; steps < STEPS_MAX; steps++) {
        if (idle_strategy_idle(idle, look_has_work, look, SHORT_NS))
            return steps;
    }
    return STEPS_MAX;
}

START_TEST(spin_and_yield_never_park)
{
    struct look look = {0};
    const enum idle_kind kinds[] = {IDLE_SPIN, IDLE_YIELD};
    for (size_t i = 0; i < 2; i++) {
        struct idle_strategy idle;
        idle_strategy_init(&idle, kinds[i], 4, 2, NULL);
        ck_assert_uint_eq(steps_until_parked(&idle, &look), STEPS_MAX);
    }
    ck_assert_uint_eq(look.asked, 0);
}
END_TEST

START_TEST(park_parks_at_once)
{
    struct look look = {0};
    struct doorbell *bell = bell_new();
    struct idle_strategy idle;
    idle_strategy_init(&idle, IDLE_PARK, 1, 8, bell);
    ck_assert_uint_eq(steps_until_parked(&idle, &look), 0);
    ck_assert_uint_eq(doorbell_sleeps(bell), 1);
    doorbell_destroy(bell);
}
END_TEST

START_TEST(auto_with_enough_cpus_spins_then_yields_then_parks)
{
    struct look look = {0};
    struct doorbell *bell = bell_new();
    struct idle_strategy idle;
    idle_strategy_init(&idle, IDLE_AUTO, 4, 4, bell);
    ck_assert_uint_gt(idle.spin_limit, 0);
    ck_assert_uint_gt(idle.yield_limit, 0);
    for (uint32_t i = 0; i < idle.spin_limit; i++)
        ck_assert(!idle_strategy_idle(&idle, look_has_work, &look, SHORT_NS));
    ck_assert_uint_eq(idle.yields, 0);
    ck_assert_uint_eq(steps_until_parked(&idle, &look), idle.yield_limit);
    doorbell_destroy(bell);
}
END_TEST

START_TEST(auto_with_fewer_cpus_never_spins)
{
    struct look look = {0};
    struct doorbell *bell = bell_new();
    struct idle_strategy idle;
    idle_strategy_init(&idle, IDLE_AUTO, 5, 4, bell);
    ck_assert_uint_gt(idle.yield_limit, 0);
    ck_assert_uint_eq(steps_until_parked(&idle, &look), idle.yield_limit);
    ck_assert_uint_eq(idle.spins, 0);
    doorbell_destroy(bell);
}
END_TEST

START_TEST(only_work_restarts_the_back_off)
{
    struct look look = {0};
    struct doorbell *bell = bell_new();
    struct idle_strategy idle;
    idle_strategy_init(&idle, IDLE_AUTO, 2, 1, bell);
    ck_assert_uint_eq(steps_until_parked(&idle, &look), idle.yield_limit);
    for (int timeouts = 0; timeouts < 5; timeouts++)
        ck_assert_uint_eq(steps_until_parked(&idle, &look), 0);
    ck_assert_uint_eq(doorbell_sleeps(bell), 6);
    idle_strategy_reset(&idle);
    ck_assert_uint_eq(steps_until_parked(&idle, &look), idle.yield_limit);
    doorbell_destroy(bell);
}
END_TEST

START_TEST(work_seen_by_the_last_look_prevents_parking)
{
    struct look look = {.work = true};
    struct doorbell *bell = bell_new();
    struct idle_strategy idle;
    idle_strategy_init(&idle, IDLE_PARK, 1, 1, bell);
    ck_assert(!idle_strategy_idle(&idle, look_has_work, &look, UINT64_MAX));
    ck_assert_uint_eq(look.asked, 1);
    ck_assert_uint_eq(doorbell_sleeps(bell), 0);
    doorbell_ring(bell); /* left disarmed */
    ck_assert_uint_eq(doorbell_wakes(bell), 0);
    doorbell_destroy(bell);
}
END_TEST

struct worker {
    struct look *look;
    struct doorbell *bell;
};

static void *give_work(void *argument)
{
    struct worker *worker = argument;
    while (doorbell_sleeps(worker->bell) == 0)
        sched_yield();
    atomic_store_explicit(&worker->look->work, true, memory_order_release);
    doorbell_ring(worker->bell);
    return NULL;
}

START_TEST(a_parked_thread_is_rung_awake)
{
    struct look look = {0};
    struct doorbell *bell = bell_new();
    struct idle_strategy idle;
    idle_strategy_init(&idle, IDLE_AUTO, 2, 2, bell);
    struct worker worker = {&look, bell};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, give_work, &worker), 0);
    while (!atomic_load_explicit(&look.work, memory_order_acquire))
        (void)idle_strategy_idle(&idle, look_has_work, &look, UINT64_MAX);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(doorbell_sleeps(bell), 1);
    doorbell_destroy(bell);
}
END_TEST

START_TEST(usable_cpus_follow_the_affinity_mask)
{
    uint32_t all = idle_usable_cpus();
    ck_assert_uint_ge(all, 1);
    cpu_set_t before;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    ck_assert_uint_le(all, (uint32_t)CPU_COUNT(&before));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &before))
            CPU_SET(cpu, &one);
    }
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_uint_eq(idle_usable_cpus(), 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
}
END_TEST

START_TEST(names_are_parsed_back)
{
    for (int kind = IDLE_AUTO; kind <= IDLE_PARK; kind++) {
        enum idle_kind parsed = kind == IDLE_PARK ? IDLE_AUTO : IDLE_PARK;
        ck_assert(idle_kind_parse(idle_kind_name((enum idle_kind)kind), &parsed));
        ck_assert_int_eq(parsed, kind);
    }
    enum idle_kind untouched = IDLE_YIELD;
    ck_assert(!idle_kind_parse("Spin", &untouched));
    ck_assert(!idle_kind_parse("", &untouched));
    ck_assert_int_eq(untouched, IDLE_YIELD);
}
END_TEST

TEST_MAIN("queue/idle_strategy", spin_and_yield_never_park, park_parks_at_once,
          auto_with_enough_cpus_spins_then_yields_then_parks, auto_with_fewer_cpus_never_spins,
          only_work_restarts_the_back_off, work_seen_by_the_last_look_prevents_parking,
          a_parked_thread_is_rung_awake, usable_cpus_follow_the_affinity_mask,
          names_are_parsed_back)
