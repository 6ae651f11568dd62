/* SPDX-License-Identifier: MIT */
#include "queue/spsc_ring.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/prng.h"
#include "test_main.h"

static struct spsc_ring *ring_of(uint32_t capacity, uint64_t first_index)
{
    struct spsc_ring *ring = NULL;
    ck_assert_int_eq(spsc_ring_create_at(&ring, capacity, first_index), 0);
    return ring;
}

/* Claims one slot and writes `value` into it; false when full. */
static bool put(struct spsc_ring *ring, uint64_t value)
{
    void *slot = spsc_ring_claim(ring);
    if (slot == NULL)
        return false;
    memcpy(slot, &value, sizeof value);
    return true;
}

static uint64_t value_at(const struct spsc_ring *ring, uint32_t i)
{
    uint64_t value;
    memcpy(&value, spsc_ring_at(ring, i), sizeof value);
    return value;
}

START_TEST(capacity_must_be_a_power_of_two_in_range)
{
    struct spsc_ring *ring = NULL;
    const uint32_t refused[] = {0, 1, 3, 1000, (1U << 20) + 1, 1U << 21, UINT32_MAX};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        ck_assert_int_eq(spsc_ring_create(&ring, refused[i]), -EINVAL);
    ck_assert_ptr_null(ring);
    const uint32_t accepted[] = {2, 64, 1U << 20};
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        ck_assert_int_eq(spsc_ring_create(&ring, accepted[i]), 0);
        ck_assert_uint_eq(spsc_ring_capacity(ring), accepted[i]);
        spsc_ring_destroy(ring);
    }
    spsc_ring_destroy(NULL);
}
END_TEST

START_TEST(slots_are_whole_cache_lines)
{
    struct spsc_ring *ring = ring_of(4, 0);
    unsigned char *first = spsc_ring_claim(ring);
    unsigned char *second = spsc_ring_claim(ring);
    ck_assert_uint_eq((uintptr_t)first % 64, 0);
    ck_assert_ptr_eq(second, first + 64);
    spsc_ring_destroy(ring);
}
END_TEST

START_TEST(claimed_slots_are_invisible_until_publish)
{
    struct spsc_ring *ring = ring_of(8, 0);
    for (uint64_t value = 0; value < 3; value++)
        ck_assert(put(ring, value));
    ck_assert_uint_eq(spsc_ring_peek(ring), 0);
    ck_assert_uint_eq(spsc_ring_produced(ring), 0);
    spsc_ring_publish(ring);
    ck_assert_uint_eq(spsc_ring_produced(ring), 3);
    ck_assert_uint_eq(spsc_ring_peek(ring), 3);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_eq(value_at(ring, i), i);
    spsc_ring_destroy(ring);
}
END_TEST

START_TEST(full_is_refused_until_release)
{
    struct spsc_ring *ring = ring_of(4, 0);
    for (uint64_t value = 0; value < 4; value++)
        ck_assert(put(ring, value));
    ck_assert(!put(ring, 4)); /* full of claimed slots */
    spsc_ring_publish(ring);
    ck_assert(!put(ring, 4)); /* full of published ones */
    ck_assert_uint_eq(spsc_ring_peek(ring), 4);
    ck_assert(!put(ring, 4)); /* reading frees nothing */
    spsc_ring_release(ring, 1);
    ck_assert(put(ring, 4));
    ck_assert(!put(ring, 5));
    ck_assert_uint_eq(value_at(ring, 0), 1);
    spsc_ring_destroy(ring);
}
END_TEST

START_TEST(partial_release_keeps_the_rest_in_order)
{
    struct spsc_ring *ring = ring_of(8, 0);
    for (uint64_t value = 0; value < 5; value++)
        ck_assert(put(ring, value));
    spsc_ring_publish(ring);
    ck_assert_uint_eq(spsc_ring_peek(ring), 5);
    spsc_ring_release(ring, 2);
    ck_assert_uint_eq(spsc_ring_consumed(ring), 2);
    ck_assert_uint_eq(spsc_ring_peek(ring), 3);
    ck_assert_uint_eq(value_at(ring, 0), 2);
    ck_assert_uint_eq(value_at(ring, 2), 4);
    spsc_ring_release(ring, 0);
    ck_assert_uint_eq(spsc_ring_consumed(ring), 2);
    spsc_ring_release(ring, 3);
    ck_assert_uint_eq(spsc_ring_peek(ring), 0);
    spsc_ring_destroy(ring);
}
END_TEST

START_TEST(skip_all_drops_the_published_and_keeps_the_claimed)
{
    struct spsc_ring *ring = ring_of(8, 0);
    for (uint64_t value = 0; value < 5; value++)
        ck_assert(put(ring, value));
    spsc_ring_publish(ring);
    ck_assert_uint_eq(spsc_ring_peek(ring), 5);
    spsc_ring_release(ring, 1);
    ck_assert(put(ring, 5));
    spsc_ring_publish(ring); /* behind the consumer's cached index */
    ck_assert(put(ring, 6));
    spsc_ring_skip_all(ring);
    ck_assert_uint_eq(spsc_ring_consumed(ring), 6);
    ck_assert_uint_eq(spsc_ring_peek(ring), 0);
    spsc_ring_publish(ring);
    ck_assert_uint_eq(spsc_ring_peek(ring), 1);
    ck_assert_uint_eq(value_at(ring, 0), 6);
    spsc_ring_skip_all(ring);
    spsc_ring_skip_all(ring);
    ck_assert_uint_eq(spsc_ring_consumed(ring), 7);
    spsc_ring_destroy(ring);
}
END_TEST

START_TEST(fill_counts_what_waits)
{
    struct spsc_ring *ring = ring_of(4, 0);
    ck_assert_uint_eq(spsc_ring_fill(ring), 0);
    for (uint64_t value = 0; value < 4; value++)
        ck_assert(put(ring, value));
    ck_assert_uint_eq(spsc_ring_fill(ring), 0);
    spsc_ring_publish(ring);
    ck_assert_uint_eq(spsc_ring_fill(ring), 4);
    ck_assert_uint_eq(spsc_ring_peek(ring), 4);
    spsc_ring_release(ring, 3);
    ck_assert_uint_eq(spsc_ring_fill(ring), 1);
    spsc_ring_destroy(ring);
}
END_TEST

/* One thread plays both sides with random batches against a count of what must be there. */
static void walk(uint64_t first_index, uint64_t messages)
{
    struct spsc_ring *ring = ring_of(8, first_index);
    struct prng prng;
    prng_init(&prng, first_index);
    uint64_t put_next = first_index;
    uint64_t expected = first_index;
    uint64_t published = first_index;
    while (expected < first_index + messages) {
        for (uint64_t batch = prng_below(&prng, 10); batch > 0; batch--) {
            ck_assert_int_eq(put(ring, put_next), put_next - expected < 8);
            put_next += put_next - expected < 8;
        }
        if (prng_below(&prng, 2) == 0) {
            spsc_ring_publish(ring);
            published = put_next;
        }
        ck_assert_uint_eq(spsc_ring_produced(ring), published);
        uint32_t count = spsc_ring_peek(ring);
        ck_assert(count <= published - expected);
        ck_assert(count > 0 || published == expected);
        count = (uint32_t)prng_below(&prng, count + 1U);
        for (uint32_t i = 0; i < count; i++)
            ck_assert_uint_eq(value_at(ring, i), expected + i);
        spsc_ring_release(ring, count);
        expected += count;
        ck_assert_uint_eq(spsc_ring_consumed(ring), expected);
        ck_assert_uint_eq(spsc_ring_fill(ring), published - expected);
    }
    spsc_ring_destroy(ring);
}

START_TEST(order_and_counts_hold_across_index_boundaries)
{
    walk(0, 10000);
    walk((UINT64_C(1) << 32) - 5000, 10000);
    walk((UINT64_C(1) << 32) - 1, 100);
    walk((UINT64_C(1) << 63) - 5000, 10000);
}
END_TEST

/* Two threads: every message carries its number, random words and their checksum. */
struct message {
    uint64_t number;
    uint64_t words[6];
    uint32_t crc;
    uint32_t zero;
};
_Static_assert(sizeof(struct message) == SPSC_RING_SLOT_BYTES, "one message, one slot");

struct stress {
    struct spsc_ring *ring;
    uint64_t first, end;
    uint32_t batch_limit;
    _Atomic bool was_full, was_empty; /* the edges met, by the producer, by the consumer */
    uint64_t bad;                     /* messages out of order or damaged */
};

/* The consumer does not start before the ring was full, and the producer does not end before it was
 * empty: both edges are met however the threads are scheduled. Relaxed, to order nothing for the
 * ring. */
static void wait_until(const _Atomic bool *edge)
{
    while (!atomic_load_explicit(edge, memory_order_relaxed))
        sched_yield();
}

static void *stress_produce(void *argument)
{
    struct stress *stress = argument;
    struct prng prng;
    prng_init(&prng, 1);
    for (uint64_t number = stress->first; number < stress->end;) {
        uint64_t batch = 1 + prng_below(&prng, stress->batch_limit);
        for (; batch > 0 && number < stress->end; batch--) {
            struct message *slot = spsc_ring_claim(stress->ring);
            if (slot == NULL) {
                atomic_store_explicit(&stress->was_full, true, memory_order_relaxed);
                break;
            }
            slot->number = number++;
            for (size_t i = 0; i < 6; i++)
                slot->words[i] = prng_next(&prng);
            slot->zero = 0;
            slot->crc = crc32c(0, slot, offsetof(struct message, crc));
        }
        spsc_ring_publish(stress->ring);
        if (batch > 0)
            sched_yield();
        if (number + stress->batch_limit >= stress->end)
            wait_until(&stress->was_empty);
    }
    return NULL;
}

static void stress_consume(struct stress *stress)
{
    struct prng prng;
    prng_init(&prng, 2);
    wait_until(&stress->was_full);
    for (uint64_t number = stress->first; number < stress->end;) {
        uint32_t ready = spsc_ring_peek(stress->ring);
        if (ready == 0) {
            atomic_store_explicit(&stress->was_empty, true, memory_order_relaxed);
            sched_yield();
            continue;
        }
        uint32_t count = 1 + (uint32_t)prng_below(&prng, ready);
        for (uint32_t i = 0; i < count; i++, number++) {
            const struct message *slot = spsc_ring_at(stress->ring, i);
            stress->bad += slot->number != number ||
                           slot->crc != crc32c(0, slot, offsetof(struct message, crc));
        }
        spsc_ring_release(stress->ring, count);
        if (spsc_ring_fill(stress->ring) > spsc_ring_capacity(stress->ring))
            stress->bad++;
    }
}

static void stress_run(uint32_t capacity, uint32_t batch_limit, uint64_t first, uint64_t messages)
{
    struct stress stress = {
        .ring = ring_of(capacity, first),
        .first = first,
        .end = first + messages,
        .batch_limit = batch_limit,
    };
    pthread_t producer;
    ck_assert_int_eq(pthread_create(&producer, NULL, stress_produce, &stress), 0);
    stress_consume(&stress);
    pthread_join(producer, NULL);
    ck_assert_uint_eq(stress.bad, 0);
    ck_assert_uint_eq(spsc_ring_produced(stress.ring), stress.end);
    ck_assert_uint_eq(spsc_ring_consumed(stress.ring), stress.end);
    ck_assert_uint_eq(spsc_ring_peek(stress.ring), 0);
    spsc_ring_destroy(stress.ring);
}

START_TEST(two_threads_lose_and_damage_nothing)
{
    stress_run(1024, 64, (UINT64_C(1) << 32) - 1000000, 2000000);
    stress_run(16, 40, (UINT64_C(1) << 32) - 200000, 400000);
}
END_TEST

START_TEST(two_threads_lose_nothing_in_the_smallest_ring)
{
    stress_run(2, 3, (UINT64_C(1) << 32) - 100000, 200000);
}
END_TEST

TEST_MAIN("queue/spsc_ring", capacity_must_be_a_power_of_two_in_range, slots_are_whole_cache_lines,
          claimed_slots_are_invisible_until_publish, full_is_refused_until_release,
          partial_release_keeps_the_rest_in_order,
          skip_all_drops_the_published_and_keeps_the_claimed, fill_counts_what_waits,
          order_and_counts_hold_across_index_boundaries, two_threads_lose_and_damage_nothing,
          two_threads_lose_nothing_in_the_smallest_ring)
