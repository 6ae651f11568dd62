/* SPDX-License-Identifier: MIT */
#include "base/crc32c.h"

#include "base/prng.h"
#include "test_main.h"

#define SIZE_MAX_TESTED 4200

static uint8_t memory[SIZE_MAX_TESTED + 64];

/* The definition, bit by bit: the reflected polynomial 0x1edc6f41. */
static uint32_t reference(uint32_t crc, const uint8_t *bytes, size_t size)
{
    uint32_t sum = ~crc;
    for (size_t i = 0; i < size; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            sum = (sum >> 1) ^ (sum & 1 ? 0x82f63b78 : 0);
    }
    return ~sum;
}

static void fill(uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    for (size_t i = 0; i < sizeof memory; i++)
        memory[i] = (uint8_t)prng_next(&prng);
}

static void assert_sum(const uint8_t *bytes, size_t size, uint32_t expected)
{
    ck_assert_uint_eq(reference(0, bytes, size), expected);
    ck_assert_uint_eq(crc32c(0, bytes, size), expected);
    ck_assert_uint_eq(crc32c_long(0, bytes, size), expected);
}

/* RFC 3720, appendix B.4; its table lists the bytes as sent, so the numbers here are turned round.
 */
START_TEST(rfc_3720_examples_give_their_sums)
{
    uint8_t bytes[48] = {0};
    assert_sum(bytes, 32, 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_sum(bytes, 32, 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_sum(bytes, 32, 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_sum(bytes, 32, 0x113fdb5c);
    const uint8_t read_command[48] = {
        0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
    assert_sum(read_command, 48, 0xd9963a56);
    assert_sum((const uint8_t *)"123456789", 9, 0xe3069283);
}
END_TEST

START_TEST(no_bytes_leave_the_sum_as_it_was)
{
    ck_assert_uint_eq(crc32c(0, memory, 0), 0);
    ck_assert_uint_eq(crc32c(0xdeadbeef, memory, 0), 0xdeadbeef);
    ck_assert_uint_eq(crc32c_long(0xdeadbeef, memory, 0), 0xdeadbeef);
}
END_TEST

START_TEST(zero_bytes_count)
{
    memset(memory, 0, sizeof memory);
    for (size_t size = 1; size < 600; size++)
        ck_assert_uint_ne(crc32c(0, memory, size), crc32c(0, memory, size - 1));
}
END_TEST

START_TEST(every_size_and_alignment_agrees_with_the_definition)
{
    fill(1);
    for (size_t size = 0; size < 1100; size++) {
        size_t offset = size % 17;
        uint32_t expected = reference((uint32_t)size, memory + offset, size);
        ck_assert_uint_eq(crc32c((uint32_t)size, memory + offset, size), expected);
        ck_assert_uint_eq(crc32c_long((uint32_t)size, memory + offset, size), expected);
    }
}
END_TEST

START_TEST(random_strings_agree_with_the_definition)
{
    struct prng prng;
    prng_init(&prng, 2);
    fill(3);
    for (int round = 0; round < 2000; round++) {
        size_t size = prng_below(&prng, SIZE_MAX_TESTED);
        size_t offset = prng_below(&prng, 64);
        uint32_t start = (uint32_t)prng_next(&prng);
        ck_assert_uint_eq(crc32c(start, memory + offset, size),
                          reference(start, memory + offset, size));
    }
}
END_TEST

START_TEST(pieces_sum_to_the_whole)
{
    struct prng prng;
    prng_init(&prng, 4);
    fill(5);
    for (int round = 0; round < 2000; round++) {
        size_t size = prng_below(&prng, SIZE_MAX_TESTED);
        size_t cut = prng_below(&prng, size + 1);
        uint32_t first = crc32c(0, memory, cut);
        ck_assert_uint_eq(crc32c(first, memory + cut, size - cut), crc32c(0, memory, size));
    }
}
END_TEST

START_TEST(any_flipped_bit_changes_the_sum)
{
    fill(6);
    for (size_t size = 1; size <= 300; size += 13) {
        uint32_t sum = crc32c(0, memory, size);
        for (size_t bit = 0; bit < size * 8; bit++) {
            memory[bit / 8] ^= (uint8_t)(1U << bit % 8);
            ck_assert_uint_ne(crc32c(0, memory, size), sum);
            memory[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
}
END_TEST

TEST_MAIN("base/crc32c", rfc_3720_examples_give_their_sums, no_bytes_leave_the_sum_as_it_was,
          zero_bytes_count, every_size_and_alignment_agrees_with_the_definition,
          random_strings_agree_with_the_definition, pieces_sum_to_the_whole,
          any_flipped_bit_changes_the_sum)
