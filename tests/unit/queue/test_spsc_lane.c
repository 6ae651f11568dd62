/* SPDX-License-Identifier: MIT */
#include "queue/spsc_lane.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/prng.h"
#include "test_main.h"

#define SMALLEST ((size_t)4096)

static struct spsc_lane *lane_of(size_t capacity, uint64_t first_position)
{
    struct spsc_lane *lane = NULL;
    ck_assert_int_eq(spsc_lane_create_at(&lane, capacity, first_position), 0);
    return lane;
}

static bool put(struct spsc_lane *lane, size_t bytes, int fill)
{
    void *frame = spsc_lane_claim(lane, bytes);
    if (frame == NULL)
        return false;
    ck_assert_uint_eq((uintptr_t)frame % SPSC_LANE_ALIGN, 0);
    memset(frame, fill, bytes);
    return true;
}

static void expect(struct spsc_lane *lane, size_t bytes, int fill)
{
    size_t got = 0;
    const unsigned char *frame = spsc_lane_next(lane, &got);
    ck_assert_ptr_nonnull(frame);
    ck_assert_uint_eq((uintptr_t)frame % SPSC_LANE_ALIGN, 0);
    ck_assert_uint_eq(got, bytes);
    for (size_t i = 0; i < bytes; i++)
        ck_assert_int_eq(frame[i], fill);
}

static void expect_empty(struct spsc_lane *lane)
{
    size_t bytes = 77;
    ck_assert(!spsc_lane_has_next(lane));
    ck_assert_ptr_null(spsc_lane_next(lane, &bytes));
}

START_TEST(capacity_must_be_a_power_of_two_in_range)
{
    struct spsc_lane *lane = NULL;
    const size_t refused[] = {0, 64, 2048, 4095, 5000, ((size_t)1 << 30) + 1, (size_t)1 << 31};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        ck_assert_int_eq(spsc_lane_create(&lane, refused[i]), -EINVAL);
    ck_assert_int_eq(spsc_lane_create_at(&lane, SMALLEST, 4), -EINVAL);
    ck_assert_ptr_null(lane);
    ck_assert_int_eq(spsc_lane_create(&lane, (size_t)1 << 30), 0); /* lazily: costs no memory */
    ck_assert_uint_eq(spsc_lane_frame_limit(lane), (size_t)1 << 28);
    spsc_lane_destroy(lane);
    spsc_lane_destroy(NULL);
}
END_TEST

START_TEST(claimed_frames_are_invisible_until_publish)
{
    struct spsc_lane *lane = lane_of(SMALLEST, 0);
    ck_assert(put(lane, 1, 'a'));
    ck_assert(put(lane, 8, 'b'));
    ck_assert(put(lane, 100, 'c'));
    expect_empty(lane);
    spsc_lane_publish(lane);
    ck_assert(spsc_lane_has_next(lane));
    expect(lane, 1, 'a');
    expect(lane, 8, 'b');
    ck_assert(spsc_lane_has_next(lane));
    expect(lane, 100, 'c');
    expect_empty(lane);
    spsc_lane_destroy(lane);
}
END_TEST

START_TEST(the_longest_frame_fits_an_empty_lane_at_every_offset)
{
    for (uint64_t offset = 0; offset < SMALLEST; offset += SPSC_LANE_ALIGN) {
        struct spsc_lane *lane = lane_of(SMALLEST, offset);
        size_t limit = spsc_lane_frame_limit(lane);
        ck_assert(put(lane, limit, 1));
        spsc_lane_publish(lane);
        expect(lane, limit, 1);
        /* One held, and still room for another of the longest. */
        ck_assert(put(lane, limit, 2));
        spsc_lane_publish(lane);
        expect(lane, limit, 2);
        spsc_lane_release(lane);
        expect_empty(lane);
        spsc_lane_destroy(lane);
    }
}
END_TEST

START_TEST(full_is_refused_until_release)
{
    struct spsc_lane *lane = lane_of(SMALLEST, 0);
    for (int i = 0; i < 4; i++)
        ck_assert(put(lane, 1016, i)); /* with its header a quarter each */
    ck_assert(!put(lane, 1, 9));
    spsc_lane_publish(lane);
    ck_assert(!put(lane, 1, 9));
    expect(lane, 1016, 0);
    ck_assert(!put(lane, 1, 9)); /* reading frees nothing */
    spsc_lane_release(lane);
    ck_assert(put(lane, 1016, 4));
    ck_assert(!put(lane, 1, 9));
    spsc_lane_publish(lane);
    for (int i = 1; i <= 4; i++)
        expect(lane, 1016, i);
    expect_empty(lane);
    spsc_lane_destroy(lane);
}
END_TEST

START_TEST(a_frame_that_would_wrap_is_moved_to_the_start)
{
    /* Leaves 8 bytes at the end of the buffer: exactly the header of the padding. */
    struct spsc_lane *lane = lane_of(SMALLEST, SMALLEST - 8);
    ck_assert(put(lane, 16, 'x'));
    ck_assert(put(lane, 3, 'y'));
    spsc_lane_publish(lane);
    ck_assert(spsc_lane_has_next(lane));
    expect(lane, 16, 'x');
    expect(lane, 3, 'y');
    expect_empty(lane);
    spsc_lane_release(lane);
    spsc_lane_destroy(lane);
}
END_TEST

START_TEST(a_refused_claim_leaves_no_padding_behind)
{
    /* The consumer holds everything but 512 bytes at the end and 512 at the start. */
    struct spsc_lane *lane = lane_of(SMALLEST, 512);
    for (int i = 0; i < 3; i++)
        ck_assert(put(lane, 1016, i));
    spsc_lane_publish(lane);
    ck_assert(!put(lane, 1024, 9)); /* needs the padding and more than the start has */
    spsc_lane_publish(lane);
    ck_assert(put(lane, 504, 3)); /* the end is still there */
    ck_assert(put(lane, 504, 4));
    ck_assert(!put(lane, 1, 9));
    spsc_lane_publish(lane);
    for (int i = 0; i < 3; i++)
        expect(lane, 1016, i);
    expect(lane, 504, 3);
    expect(lane, 504, 4);
    expect_empty(lane);
    spsc_lane_destroy(lane);
}
END_TEST

START_TEST(skip_all_drops_the_published_and_keeps_the_claimed)
{
    struct spsc_lane *lane = lane_of(SMALLEST, SMALLEST - 64);
    ck_assert(put(lane, 20, 'a'));
    ck_assert(put(lane, 90, 'b')); /* behind padding */
    spsc_lane_publish(lane);
    expect(lane, 20, 'a');
    ck_assert(put(lane, 30, 'c'));
    spsc_lane_publish(lane); /* behind the consumer's cached index */
    ck_assert(put(lane, 40, 'd'));
    spsc_lane_skip_all(lane);
    expect_empty(lane);
    spsc_lane_publish(lane);
    expect(lane, 40, 'd');
    spsc_lane_skip_all(lane);
    expect_empty(lane);
    ck_assert_uint_gt(spsc_lane_room(lane), SMALLEST / 2);
    spsc_lane_destroy(lane);
}
END_TEST

START_TEST(what_room_promises_can_be_claimed)
{
    struct prng prng;
    prng_init(&prng, 7);
    struct spsc_lane *lane = lane_of(SMALLEST, 0);
    size_t limit = spsc_lane_frame_limit(lane);
    ck_assert_uint_eq(spsc_lane_room(lane), SMALLEST);
    for (int round = 0; round < 20000; round++) {
        size_t room = spsc_lane_room(lane);
        size_t length_limit = prng_below(&prng, 2) == 0 ? 32 : limit;
        for (;;) {
            size_t bytes = 1 + (size_t)prng_below(&prng, length_limit);
            if (spsc_lane_frame_bytes(bytes) > room)
                break;
            room -= spsc_lane_frame_bytes(bytes);
            ck_assert_ptr_nonnull(spsc_lane_claim(lane, bytes));
        }
        spsc_lane_publish(lane);
        size_t bytes;
        for (uint64_t reads = prng_below(&prng, 40); reads > 0; reads--) {
            if (spsc_lane_next(lane, &bytes) == NULL)
                break;
        }
        spsc_lane_release(lane);
    }
    spsc_lane_skip_all(lane);
    ck_assert_uint_ge(spsc_lane_room(lane), 3 * SMALLEST / 4);
    spsc_lane_destroy(lane);
}
END_TEST

/* Two threads. A frame: its number and checksum, as many bytes of either as its length leaves room
 * for, then bytes that follow from the number. */
struct stress {
    struct spsc_lane *lane;
    uint64_t frames;
    size_t length_limit;
    _Atomic bool was_full, was_empty; /* the edges met, by the producer, by the consumer */
    uint64_t bad;                     /* frames out of order or damaged */
};

static size_t stress_length(struct prng *prng, size_t limit)
{
    /* Mostly short, now and then up to the limit, and the limit itself. */
    uint64_t kind = prng_below(prng, 16);
    if (kind == 0)
        return limit;
    return 1 + (size_t)prng_below(prng, kind < 4 || limit < 64 ? limit : 64);
}

/* The consumer does not start before the lane was full, and the producer does not end before it was
 * empty: both edges are met however the threads are scheduled. Relaxed, to order nothing for the
 * lane. */
static void wait_until(const _Atomic bool *edge)
{
    while (!atomic_load_explicit(edge, memory_order_relaxed))
        sched_yield();
}

static void *stress_produce(void *argument)
{
    struct stress *stress = argument;
    struct prng lengths;
    struct prng batches;
    prng_init(&lengths, 1);
    prng_init(&batches, 2);
    for (uint64_t number = 0; number < stress->frames; number++) {
        size_t bytes = stress_length(&lengths, stress->length_limit);
        unsigned char *frame;
        while ((frame = spsc_lane_claim(stress->lane, bytes)) == NULL) {
            atomic_store_explicit(&stress->was_full, true, memory_order_relaxed);
            spsc_lane_publish(stress->lane);
            sched_yield();
        }
        memset(frame, (int)(number & 0xff), bytes);
        if (bytes >= 12) {
            memcpy(frame, &number, 8);
            uint32_t crc = crc32c(crc32c(0, frame, 8), frame + 12, bytes - 12);
            memcpy(frame + 8, &crc, 4);
        }
        if (number + 2 == stress->frames) {
            spsc_lane_publish(stress->lane);
            wait_until(&stress->was_empty);
        } else if (prng_below(&batches, 8) == 0) {
            spsc_lane_publish(stress->lane);
        }
    }
    spsc_lane_publish(stress->lane);
    return NULL;
}

static bool stress_frame_is_good(const unsigned char *frame, size_t bytes, uint64_t number)
{
    if (bytes < 12) {
        for (size_t i = 0; i < bytes; i++) {
            if (frame[i] != (number & 0xff))
                return false;
        }
        return true;
    }
    uint32_t crc = crc32c(crc32c(0, frame, 8), frame + 12, bytes - 12);
    return memcmp(frame, &number, 8) == 0 && memcmp(frame + 8, &crc, 4) == 0;
}

static void stress_consume(struct stress *stress)
{
    struct prng lengths;
    struct prng batches;
    prng_init(&lengths, 1);
    prng_init(&batches, 3);
    wait_until(&stress->was_full);
    for (uint64_t number = 0; number < stress->frames;) {
        size_t bytes = 0;
        const unsigned char *frame = spsc_lane_next(stress->lane, &bytes);
        if (frame == NULL) {
            atomic_store_explicit(&stress->was_empty, true, memory_order_relaxed);
            spsc_lane_release(stress->lane);
            sched_yield();
            continue;
        }
        stress->bad += bytes != stress_length(&lengths, stress->length_limit) ||
                       !stress_frame_is_good(frame, bytes, number);
        number++;
        if (prng_below(&batches, 8) == 0)
            spsc_lane_release(stress->lane);
    }
    spsc_lane_release(stress->lane);
}

static void stress_run(size_t capacity, size_t length_limit, uint64_t frames)
{
    struct stress stress = {
        .lane = lane_of(capacity, (UINT64_C(1) << 32) - capacity * 4 - 8),
        .length_limit = length_limit,
        .frames = frames,
    };
    pthread_t producer;
    ck_assert_int_eq(pthread_create(&producer, NULL, stress_produce, &stress), 0);
    stress_consume(&stress);
    pthread_join(producer, NULL);
    ck_assert_uint_eq(stress.bad, 0);
    expect_empty(stress.lane);
    spsc_lane_destroy(stress.lane);
}

START_TEST(two_threads_lose_and_damage_nothing)
{
    stress_run(SMALLEST, SMALLEST / 4, 300000);
    stress_run((size_t)64 << 10, 200, 2000000);
    stress_run((size_t)1 << 20, (size_t)1 << 18, 5000);
}
END_TEST

TEST_MAIN("queue/spsc_lane", capacity_must_be_a_power_of_two_in_range,
          claimed_frames_are_invisible_until_publish,
          the_longest_frame_fits_an_empty_lane_at_every_offset, full_is_refused_until_release,
          a_frame_that_would_wrap_is_moved_to_the_start, a_refused_claim_leaves_no_padding_behind,
          skip_all_drops_the_published_and_keeps_the_claimed, what_room_promises_can_be_claimed,
          two_threads_lose_and_damage_nothing)
