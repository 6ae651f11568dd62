/* SPDX-License-Identifier: MIT */
#include "queue/doorbell.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/prng.h"
#include "base/time_source.h"
#include "queue/spsc_lane.h"
#include "queue/spsc_ring.h"
#include "test_main.h"

/* Far above any delay of a loaded machine: a sleep this long with work queued is a lost wake-up. */
#define LOST_NS UINT64_C(20000000000)

static struct doorbell *bell_new(void)
{
    struct doorbell *bell = NULL;
    ck_assert_int_eq(doorbell_create(&bell), 0);
    return bell;
}

START_TEST(a_ring_at_an_unarmed_bell_wakes_nobody)
{
    struct doorbell *bell = bell_new();
    doorbell_ring(bell);
    doorbell_arm(bell);
    doorbell_disarm(bell);
    doorbell_ring(bell);
    ck_assert_uint_eq(doorbell_wakes(bell), 0);
    ck_assert_uint_eq(doorbell_sleeps(bell), 0);
    doorbell_destroy(bell);
    doorbell_destroy(NULL);
}
END_TEST

START_TEST(a_ring_between_arm_and_wait_is_not_lost)
{
    struct doorbell *bell = bell_new();
    doorbell_arm(bell);
    doorbell_ring(bell);
    doorbell_ring(bell); /* the first one disarmed it */
    ck_assert(doorbell_wait(bell, UINT64_MAX));
    ck_assert_uint_eq(doorbell_wakes(bell), 1);
    ck_assert_uint_eq(doorbell_sleeps(bell), 1);
    doorbell_destroy(bell);
}
END_TEST

START_TEST(a_timeout_is_not_a_ring_and_disarms)
{
    struct doorbell *bell = bell_new();
    const uint64_t timeouts_ns[] = {0, 1, 2000000};
    for (size_t i = 0; i < sizeof timeouts_ns / sizeof timeouts_ns[0]; i++) {
        doorbell_arm(bell);
        ck_assert(!doorbell_wait(bell, timeouts_ns[i]));
    }
    doorbell_ring(bell);
    ck_assert_uint_eq(doorbell_wakes(bell), 0);
    doorbell_destroy(bell);
}
END_TEST

static void *ring_when_armed(void *argument)
{
    struct doorbell *bell = argument;
    while (doorbell_wakes(bell) == 0) {
        doorbell_ring(bell);
        sched_yield();
    }
    return NULL;
}

START_TEST(a_sleeper_without_limit_is_woken)
{
    const uint64_t timeouts_ns[] = {UINT64_MAX, INT64_MAX, INT64_MAX - 1};
    for (size_t i = 0; i < sizeof timeouts_ns / sizeof timeouts_ns[0]; i++) {
        struct doorbell *bell = bell_new();
        pthread_t ringer;
        ck_assert_int_eq(pthread_create(&ringer, NULL, ring_when_armed, bell), 0);
        doorbell_arm(bell);
        ck_assert(doorbell_wait(bell, timeouts_ns[i]));
        pthread_join(ringer, NULL);
        ck_assert_uint_eq(doorbell_wakes(bell), 1);
        doorbell_destroy(bell);
    }
}
END_TEST

/*
 * Parks until has_work(), on the bell, at once: no spinning, so that every message is a chance to
 * lose a wake-up. Returns false when one was lost.
 */
static bool park_until(struct doorbell *bell, bool (*has_work)(void *), void *context)
{
    for (;;) {
        doorbell_arm(bell);
        if (has_work(context)) {
            doorbell_disarm(bell);
            return true;
        }
        uint64_t start_ns = time_source_now_ns();
        bool rung = doorbell_wait(bell, LOST_NS);
        if (has_work(context))
            return rung || time_source_now_ns() - start_ns < LOST_NS;
        if (!rung && time_source_now_ns() - start_ns >= LOST_NS)
            return false; /* the peer is gone, or asleep with our work */
    }
}

/* Producers and one consumer over rings; both sides park, the producers when their ring is full. */
#define PRODUCERS 2

struct pipe {
    struct spsc_ring *ring;
    struct doorbell *full_bell; /* its producer sleeps here */
    struct doorbell *work_bell; /* shared: the consumer sleeps here */
    uint64_t messages;
    uint64_t seed;
    uint64_t lost;
};

static bool pipe_has_room(void *context)
{
    struct pipe *pipe = context;
    return spsc_ring_produced(pipe->ring) - spsc_ring_consumed(pipe->ring) <
           spsc_ring_capacity(pipe->ring);
}

static bool pipe_has_messages(void *context)
{
    struct pipe *pipes = context;
    for (int i = 0; i < PRODUCERS; i++) {
        if (spsc_ring_peek(pipes[i].ring) > 0)
            return true;
    }
    return false;
}

static void *pipe_produce(void *argument)
{
    struct pipe *pipe = argument;
    struct prng prng;
    prng_init(&prng, pipe->seed);
    for (uint64_t number = 0; number < pipe->messages && pipe->lost == 0;) {
        uint64_t batch = 1 + prng_below(&prng, 3);
        for (; batch > 0 && number < pipe->messages; batch--) {
            void *slot = spsc_ring_claim(pipe->ring);
            if (slot == NULL)
                break;
            memcpy(slot, &number, sizeof number);
            number++;
        }
        spsc_ring_publish(pipe->ring);
        doorbell_ring(pipe->work_bell);
        if (batch > 0 && number < pipe->messages)
            pipe->lost += !park_until(pipe->full_bell, pipe_has_room, pipe);
    }
    return NULL;
}

/* Returns wrong messages and lost wake-ups. */
static uint64_t pipe_consume(struct pipe *pipes, uint64_t *expected)
{
    uint64_t bad = 0;
    uint64_t left = 0;
    for (int i = 0; i < PRODUCERS; i++)
        left += pipes[i].messages;
    while (left > 0 && bad == 0) {
        for (int i = 0; i < PRODUCERS; i++) {
            uint32_t count = spsc_ring_peek(pipes[i].ring);
            for (uint32_t k = 0; k < count; k++)
                bad += memcmp(spsc_ring_at(pipes[i].ring, k), &(uint64_t){expected[i]++}, 8) != 0;
            spsc_ring_release(pipes[i].ring, count);
            left -= count;
        }
        doorbell_fence(); /* one for all bells, as node threads ring */
        for (int i = 0; i < PRODUCERS; i++)
            doorbell_ring_fenced(pipes[i].full_bell);
        if (left > 0)
            bad += !park_until(pipes[0].work_bell, pipe_has_messages, pipes);
    }
    return bad;
}

START_TEST(parking_on_both_sides_loses_no_wake_up)
{
    struct pipe pipes[PRODUCERS];
    pthread_t producers[PRODUCERS];
    struct doorbell *work_bell = bell_new();
    for (int i = 0; i < PRODUCERS; i++) {
        pipes[i] = (struct pipe){
            .full_bell = bell_new(),
            .work_bell = work_bell,
            .messages = 100000,
            .seed = (uint64_t)i,
        };
        ck_assert_int_eq(spsc_ring_create(&pipes[i].ring, 2), 0);
    }
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(pthread_create(&producers[i], NULL, pipe_produce, &pipes[i]), 0);
    uint64_t expected[PRODUCERS] = {0};
    uint64_t bad = pipe_consume(pipes, expected);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    ck_assert_uint_eq(bad, 0);
    uint64_t sleeps = doorbell_sleeps(work_bell);
    for (int i = 0; i < PRODUCERS; i++) {
        ck_assert_uint_eq(pipes[i].lost, 0);
        ck_assert_uint_eq(expected[i], pipes[i].messages);
        sleeps += doorbell_sleeps(pipes[i].full_bell);
        doorbell_destroy(pipes[i].full_bell);
        spsc_ring_destroy(pipes[i].ring);
    }
    ck_assert_uint_gt(sleeps, 0); /* or nothing was tested */
    doorbell_destroy(work_bell);
}
END_TEST

/* Question and answer over two lanes: each side sleeps until the other has written. */
struct talk {
    struct spsc_lane *in, *out;
    struct doorbell *own_bell, *peer_bell;
    uint64_t rounds;
    uint64_t lost;
};

static bool talk_has_frame(void *context)
{
    struct talk *talk = context;
    return spsc_lane_has_next(talk->in);
}

static void talk_say(struct talk *talk, uint64_t number)
{
    void *frame = spsc_lane_claim(talk->out, sizeof number);
    ASSERT(frame != NULL);
    memcpy(frame, &number, sizeof number);
    spsc_lane_publish(talk->out);
    doorbell_ring(talk->peer_bell);
}

static bool talk_hears(struct talk *talk, uint64_t number)
{
    if (!park_until(talk->own_bell, talk_has_frame, talk))
        return false;
    size_t bytes = 0;
    const void *frame = spsc_lane_next(talk->in, &bytes);
    bool is_right = frame != NULL && bytes == sizeof number && memcmp(frame, &number, bytes) == 0;
    spsc_lane_release(talk->in);
    return is_right;
}

static void *talk_answer(void *argument)
{
    struct talk *talk = argument;
    for (uint64_t round = 0; round < talk->rounds && talk->lost == 0; round++) {
        talk->lost += !talk_hears(talk, round);
        talk_say(talk, ~round);
    }
    return NULL;
}

START_TEST(question_and_answer_over_lanes_loses_no_wake_up)
{
    struct spsc_lane *there = NULL;
    struct spsc_lane *back = NULL;
    ck_assert_int_eq(spsc_lane_create(&there, 4096), 0);
    ck_assert_int_eq(spsc_lane_create(&back, 4096), 0);
    struct doorbell *asker_bell = bell_new();
    struct doorbell *answerer_bell = bell_new();
    struct talk asker = {back, there, asker_bell, answerer_bell, 50000, 0};
    struct talk answerer = {there, back, answerer_bell, asker_bell, 50000, 0};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, talk_answer, &answerer), 0);
    uint64_t lost = 0;
    for (uint64_t round = 0; round < asker.rounds && lost == 0; round++) {
        talk_say(&asker, round);
        lost += !talk_hears(&asker, ~round);
    }
    pthread_join(thread, NULL);
    ck_assert_uint_eq(lost + answerer.lost, 0);
    ck_assert_uint_gt(doorbell_sleeps(asker_bell) + doorbell_sleeps(answerer_bell), 0);
    doorbell_destroy(asker_bell);
    doorbell_destroy(answerer_bell);
    spsc_lane_destroy(there);
    spsc_lane_destroy(back);
}
END_TEST

/*
 * Publishing and arming at the same moment: two threads meet, then one publishes and rings while
 * the other arms and looks; they meet again, and either the work was found or the bell was rung.
 * Without the fences the stores are still in the store buffers when the loads behind them run, and
 * some round has neither. The looker aims: it comes a little later after a look in vain, a little
 * earlier after a find.
 */
struct duel {
    struct spsc_ring *ring;
    struct doorbell *bell;
    _Atomic uint32_t arrivals;
};

#define DUEL_ROUNDS      300000
#define DUEL_RINGER_WAIT 100 /* steps, for the looker to aim at */

static void duel_meet(struct duel *duel, uint32_t meeting)
{
    atomic_fetch_add_explicit(&duel->arrivals, 1, memory_order_acq_rel);
    uint32_t spins = 0;
    while (atomic_load_explicit(&duel->arrivals, memory_order_acquire) < 2 * meeting) {
        if (++spins % 1000 == 0)
            sched_yield();
    }
}

static void duel_delay(uint64_t wait_steps)
{
    for (volatile uint64_t left = wait_steps; left > 0;)
        left--;
}

static void *duel_ring(void *argument)
{
    struct duel *duel = argument;
    for (uint32_t round = 0; round < DUEL_ROUNDS; round++) {
        void *slot = spsc_ring_claim(duel->ring);
        ASSERT(slot != NULL);
        duel_meet(duel, 2 * round + 1);
        /* Brings the word close: the fence must hold back even the fastest load. */
        (void)atomic_load_explicit(&duel->bell->armed, memory_order_relaxed);
        duel_delay(DUEL_RINGER_WAIT);
        memcpy(slot, &round, sizeof round);
        spsc_ring_publish(duel->ring);
        doorbell_ring(duel->bell);
        duel_meet(duel, 2 * round + 2);
    }
    return NULL;
}

START_TEST(publishing_and_arming_at_once_loses_no_wake_up)
{
    struct duel duel = {.bell = bell_new()};
    ck_assert_int_eq(spsc_ring_create(&duel.ring, 64), 0);
    struct prng prng;
    prng_init(&prng, 1);
    pthread_t ringer;
    ck_assert_int_eq(pthread_create(&ringer, NULL, duel_ring, &duel), 0);
    uint32_t lost = 0;
    uint32_t wrong = 0;
    uint64_t aim_steps = DUEL_RINGER_WAIT;
    for (uint32_t round = 0; round < DUEL_ROUNDS; round++) {
        duel_meet(&duel, 2 * round + 1);
        duel_delay(aim_steps + prng_below(&prng, 16));
        doorbell_arm(duel.bell);
        bool is_found = spsc_ring_peek(duel.ring) > 0;
        duel_meet(&duel, 2 * round + 2);
        if (is_found) {
            doorbell_disarm(duel.bell);
            aim_steps -= aim_steps > 0;
        } else {
            lost += !doorbell_wait(duel.bell, 0);
            aim_steps += aim_steps < 10 * DUEL_RINGER_WAIT;
        }
        wrong += spsc_ring_peek(duel.ring) != 1 ||
                 memcmp(spsc_ring_at(duel.ring, 0), &round, sizeof round) != 0;
        spsc_ring_release(duel.ring, 1);
    }
    pthread_join(ringer, NULL);
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_eq(wrong, 0);
    spsc_ring_destroy(duel.ring);
    doorbell_destroy(duel.bell);
}
END_TEST

TEST_MAIN("queue/doorbell", a_ring_at_an_unarmed_bell_wakes_nobody,
          a_ring_between_arm_and_wait_is_not_lost, a_timeout_is_not_a_ring_and_disarms,
          a_sleeper_without_limit_is_woken, parking_on_both_sides_loses_no_wake_up,
          question_and_answer_over_lanes_loses_no_wake_up,
          publishing_and_arming_at_once_loses_no_wake_up)
