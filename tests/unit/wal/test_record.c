/* SPDX-License-Identifier: MIT */
#include "wal/record.h"

#include "test_main.h"
#include "wal/log_state.h"

enum { ROOM = 512 };

static uint32_t write_record(uint8_t *at, uint32_t key, const struct record *fields)
{
    uint32_t sum =
        record_copy_payload(at + RECORD_HEADER_BYTES, fields->payload, fields->payload_bytes);
    record_commit(at, key, sum, fields);
    return record_bytes(fields->payload_bytes);
}

START_TEST(record_of_any_length_reads_back_as_written)
{
    _Alignas(8) uint8_t log[1024];
    uint8_t payload[600];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 11 + 3);
    for (uint32_t size = 0; size <= 600; size++) {
        memset(log, 0xa5, sizeof log);
        struct record written = {RECORD_VALUE, size, 77, 1000 + size, 42, payload};
        uint32_t bytes = write_record(log, segment_key(9), &written);
        struct record_check check;
        ck_assert_uint_eq(bytes % 8, 0);
        ck_assert(record_check(log, bytes, segment_key(9), &check));
        ck_assert_uint_eq(check.record.ballot, 77);
        ck_assert_uint_eq(check.record.slot, 1000 + size);
        ck_assert_uint_eq(check.record.hybrid_time, 42);
        ck_assert_uint_eq(check.record.payload_bytes, size);
        ck_assert_mem_eq(check.record.payload, payload, size);
        for (uint32_t i = RECORD_HEADER_BYTES + size; i < bytes + RECORD_HEADER_BYTES; i++)
            ck_assert_uint_eq(log[i], 0); /* padding, then a blank header */
    }
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
    _Alignas(8) uint8_t log[ROOM];
    struct record written = {RECORD_VALUE,
                             45,
                             7,
                             8,
                             9,
                             (const uint8_t *)"a payload that is not a multiple of eight ...."};
    uint32_t bytes = write_record(log, segment_key(1), &written);
    struct record_check check;
    for (uint32_t bit = 0; bit < bytes * 8; bit++) {
        log[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!record_check(log, ROOM, segment_key(1), &check), "bit %u", bit);
        log[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(record_check(log, ROOM, segment_key(1), &check));
}
END_TEST

START_TEST(record_verifies_under_its_own_segment_key_only)
{
    _Alignas(8) uint8_t log[ROOM];
    struct record written = {RECORD_NOOP, 0, 7, 8, 9, NULL};
    write_record(log, segment_key(1000), &written);
    struct record_check check;
    for (uint32_t id = 1; id < 3000; id++)
        ck_assert_int_eq(record_check(log, ROOM, segment_key(id), &check), id == 1000);
}
END_TEST

static uint32_t unshift_xor(uint32_t value, unsigned bits)
{
    uint32_t result = value;
    for (unsigned done = bits; done < 32; done += bits)
        result = value ^ (result >> bits);
    return result;
}

START_TEST(segment_keys_are_a_bijection_that_never_gives_zero)
{
    /* Undone step by step: 0x7ed1b41d and 0xa5cb9243 are the multipliers' inverses modulo 2^32. */
    ck_assert_uint_eq(0xc2b2ae35u * 0x7ed1b41du, 1);
    ck_assert_uint_eq(0x85ebca6bu * 0xa5cb9243u, 1);
    for (uint32_t i = 1; i < 200000; i++) {
        uint32_t id = i * 2654435761u; /* spread over all 32 bits, never 0 */
        uint32_t key = segment_key(id);
        ck_assert_uint_ne(key, 0);
        uint32_t back = unshift_xor(key, 16) * 0x7ed1b41du;
        back = unshift_xor(back, 13) * 0xa5cb9243u;
        ck_assert_uint_eq(unshift_xor(back, 16), id);
    }
}
END_TEST

START_TEST(zeroed_bytes_are_never_a_record)
{
    _Alignas(8) uint8_t log[ROOM] = {0};
    struct record_check check;
    for (uint32_t id = 0; id < 100000; id++)
        ck_assert(!record_check(log, ROOM, segment_key(id), &check));
}
END_TEST

START_TEST(length_beyond_the_segment_is_no_record)
{
    _Alignas(8) uint8_t log[ROOM];
    struct record written = {RECORD_VALUE, 100, 7, 8, 9, log + 300};
    memset(log, 1, sizeof log);
    uint32_t bytes = write_record(log, segment_key(1), &written);
    struct record_check check;
    for (size_t available = 0; available < bytes; available++)
        ck_assert(!record_check(log, available, segment_key(1), &check));
    ck_assert(record_check(log, bytes, segment_key(1), &check));
}
END_TEST

START_TEST(good_checksum_over_impossible_fields_is_no_record)
{
    _Alignas(8) uint8_t log[ROOM] = {0};
    const struct record impossible[] = {
        {(enum record_kind)0, 0, 1, 1, 1, log + 256},
        {(enum record_kind)8, 0, 1, 1, 1, log + 256},
        {RECORD_PROMISE, 8, 1, 0, 0, log + 256},
        {RECORD_MARK, 1, 1, 0, 0, log + 256},
        {(enum record_kind)RECORD_STATE, 8, 1, 0, 0, log + 256},
        {RECORD_VALUE, 0, 1, 0, 0, log + 256},
        {RECORD_NOOP, 0, 1, 0, 0, log + 256},
        {(enum record_kind)255, 0, 1, 1, 1, log + 256},
    };
    for (size_t i = 0; i < sizeof impossible / sizeof impossible[0]; i++) {
        struct record_check check;
        write_record(log, segment_key(3), &impossible[i]);
        ck_assert_msg(!record_check(log, ROOM, segment_key(3), &check), "case %zu", i);
    }
}
END_TEST

START_TEST(log_state_survives_its_record)
{
    _Alignas(8) uint8_t log[ROOM];
    struct log_state written = {.promised = 1,
                                .mark = 2,
                                .released = 3,
                                .index_slots = 4,
                                .reset_position = 5,
                                .synced_position = 6,
                                .first_segment = 7,
                                .is_batch_synced = true};
    log_state_write(&written, log, segment_key(5));
    struct record_check check;
    ck_assert(record_check(log, ROOM, segment_key(5), &check));
    struct log_state read;
    log_state_read(&read, &check.record);
    ck_assert_uint_eq(read.promised, 1);
    ck_assert_uint_eq(read.mark, 2);
    ck_assert_uint_eq(read.released, 3);
    ck_assert_uint_eq(read.index_slots, 4);
    ck_assert_uint_eq(read.reset_position, 5);
    ck_assert_uint_eq(read.synced_position, 6);
    ck_assert_uint_eq(read.first_segment, 7);
    ck_assert(read.is_batch_synced);
    ck_assert_uint_eq(log_state_proof(&check.record), 6);
}
END_TEST

TEST_MAIN("wal/record", record_of_any_length_reads_back_as_written, every_flipped_bit_is_noticed,
          record_verifies_under_its_own_segment_key_only,
          segment_keys_are_a_bijection_that_never_gives_zero, zeroed_bytes_are_never_a_record,
          length_beyond_the_segment_is_no_record, good_checksum_over_impossible_fields_is_no_record,
          log_state_survives_its_record)
