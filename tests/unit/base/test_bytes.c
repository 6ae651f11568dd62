/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include "test_main.h"

START_TEST(integers_lie_in_memory_least_byte_first)
{
    uint8_t bytes[8];
    bytes_store_u16(bytes, 0x0102);
    ck_assert_mem_eq(bytes, "\x02\x01", 2);
    bytes_store_u32(bytes, 0x01020304);
    ck_assert_mem_eq(bytes, "\x04\x03\x02\x01", 4);
    bytes_store_u64(bytes, 0x0102030405060708);
    ck_assert_mem_eq(bytes, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
}
END_TEST

START_TEST(loads_undo_stores_at_every_alignment)
{
    uint8_t bytes[24];
    for (size_t offset = 0; offset < 16; offset++) {
        memset(bytes, 0xa5, sizeof bytes);
        bytes_store_u64(bytes + offset, 0xfedcba9876543210);
        ck_assert_uint_eq(bytes_load_u64(bytes + offset), 0xfedcba9876543210);
        ck_assert_uint_eq(bytes_load_u32(bytes + offset), 0x76543210);
        ck_assert_uint_eq(bytes_load_u16(bytes + offset), 0x3210);
        bytes_store_u32(bytes + offset, 0x89abcdef);
        ck_assert_uint_eq(bytes_load_u64(bytes + offset), 0xfedcba9889abcdef);
        bytes_store_u16(bytes + offset, 0x4567);
        ck_assert_uint_eq(bytes_load_u64(bytes + offset), 0xfedcba9889ab4567);
        for (size_t i = 0; i < sizeof bytes; i++)
            if (i < offset || i >= offset + 8)
                ck_assert_uint_eq(bytes[i], 0xa5);
    }
}
END_TEST

START_TEST(align_up_gives_the_smallest_multiple_not_below)
{
    for (uint64_t power = 1; power <= 64; power *= 2) {
        for (uint64_t value = 0; value < 300; value++) {
            uint64_t aligned = bytes_align_up(value, power);
            ck_assert_uint_eq(aligned % power, 0);
            ck_assert_uint_ge(aligned, value);
            ck_assert_uint_lt(aligned - value, power);
        }
    }
    ck_assert_uint_eq(bytes_align_up(UINT64_MAX - 4095, 4096), UINT64_MAX - 4095);
}
END_TEST

START_TEST(powers_of_two_have_one_bit)
{
    ck_assert(!bytes_is_power_of_two(0));
    for (int bit = 0; bit < 64; bit++) {
        uint64_t power = UINT64_C(1) << bit;
        ck_assert(bytes_is_power_of_two(power));
        if (bit > 0)
            ck_assert(!bytes_is_power_of_two(power | 1));
        if (bit > 1)
            ck_assert(!bytes_is_power_of_two(power - 1));
    }
}
END_TEST

TEST_MAIN("base/bytes", integers_lie_in_memory_least_byte_first,
          loads_undo_stores_at_every_alignment, align_up_gives_the_smallest_multiple_not_below,
          powers_of_two_have_one_bit)
