/* SPDX-License-Identifier: MIT */
#include "base/prng.h"

#include <stdlib.h>

#include "test_main.h"

START_TEST(the_generator_gives_the_published_sequence)
{
    struct prng prng = {.state = {1, 2, 3, 4}};
    const uint64_t expected[] = {11520,
                                 0,
                                 1509978240,
                                 1215971899390074240,
                                 1216172134540287360,
                                 607988272756665600,
                                 16172922978634559625U,
                                 8476171486693032832,
                                 10595114339597558777U,
                                 2904607092377533576};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        ck_assert_uint_eq(prng_next(&prng), expected[i]);
}
END_TEST

START_TEST(the_seed_expands_to_the_published_sequence)
{
    struct prng prng;
    prng_init(&prng, 1234567);
    const uint64_t expected[] = {6457827717110365317, 3203168211198807973, 9817491932198370423U,
                                 4593380528125082431};
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(prng.state[i], expected[i]);
}
END_TEST

START_TEST(one_seed_gives_one_sequence_and_two_seeds_give_two)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct prng first, again, other;
        prng_init(&first, seed);
        prng_init(&again, seed);
        prng_init(&other, seed + 1);
        int equal = 0;
        for (int i = 0; i < 100; i++) {
            uint64_t value = prng_next(&first);
            ck_assert_uint_eq(value, prng_next(&again));
            equal += value == prng_next(&other);
        }
        ck_assert_int_eq(equal, 0);
    }
}
END_TEST

START_TEST(below_stays_below_and_reaches_every_value)
{
    struct prng prng;
    prng_init(&prng, 7);
    for (uint64_t bound = 1; bound <= 40; bound++) {
        uint64_t seen = 0;
        for (int i = 0; i < 2000; i++) {
            uint64_t value = prng_below(&prng, bound);
            ck_assert_uint_lt(value, bound);
            seen |= UINT64_C(1) << value;
        }
        ck_assert_uint_eq(seen, (UINT64_C(1) << bound) - 1);
    }
}
END_TEST

/*
 * Scaled to 3 * 2^62 without redraws, two of four draws would fall on a multiple of 3. With redraws
 * the three remainders are equally likely; a quarter of all draws is thrown away.
 */
START_TEST(below_has_no_bias_where_the_bound_divides_badly)
{
    struct prng prng;
    prng_init(&prng, 8);
    int count[3] = {0};
    for (int i = 0; i < 300000; i++)
        count[prng_below(&prng, UINT64_C(0xc000000000000000)) % 3]++;
    for (int i = 0; i < 3; i++)
        ck_assert_int_lt(abs(count[i] - 100000), 1300); /* 5 standard deviations */
}
END_TEST

START_TEST(below_holds_for_bounds_near_the_top)
{
    struct prng prng;
    prng_init(&prng, 10);
    const uint64_t bounds[] = {UINT64_MAX, (UINT64_C(1) << 63) + 1, UINT64_C(1) << 63};
    for (int i = 0; i < 3000; i++)
        ck_assert_uint_lt(prng_below(&prng, bounds[i % 3]), bounds[i % 3]);
}
END_TEST

START_TEST(every_bit_is_set_half_the_time)
{
    struct prng prng;
    prng_init(&prng, 0);
    int count[64] = {0};
    for (int i = 0; i < 40000; i++) {
        uint64_t value = prng_next(&prng);
        for (int bit = 0; bit < 64; bit++)
            count[bit] += (int)(value >> bit & 1);
    }
    for (int bit = 0; bit < 64; bit++)
        ck_assert_int_lt(abs(count[bit] - 20000), 500); /* 5 standard deviations */
}
END_TEST

START_TEST(unit_is_uniform_in_zero_to_one_exclusive)
{
    struct prng prng;
    prng_init(&prng, 9);
    int count[10] = {0};
    for (int i = 0; i < 100000; i++) {
        double value = prng_unit(&prng);
        ck_assert(value >= 0 && value < 1);
        count[(int)(value * 10)]++;
    }
    for (int i = 0; i < 10; i++)
        ck_assert_int_lt(abs(count[i] - 10000), 475); /* 5 standard deviations */
}
END_TEST

TEST_MAIN("base/prng", the_generator_gives_the_published_sequence,
          the_seed_expands_to_the_published_sequence,
          one_seed_gives_one_sequence_and_two_seeds_give_two,
          below_stays_below_and_reaches_every_value,
          below_has_no_bias_where_the_bound_divides_badly, below_holds_for_bounds_near_the_top,
          every_bit_is_set_half_the_time, unit_is_uniform_in_zero_to_one_exclusive)
