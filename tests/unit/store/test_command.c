/* SPDX-License-Identifier: MIT */
#include "store/command.h"

#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "test_main.h"

enum { ROUNDS = 20000, ROOM = 512 };

static uint8_t material[3 * 128];

/* A well-formed command of any kind. */
static struct command random_command(struct prng *prng)
{
    static const uint8_t compares[] = {COMPARE_REVISION, COMPARE_VALUE, COMPARE_ABSENT};
    struct command command = {
        .op = (uint8_t)(COMMAND_PUT + prng_below(prng, 4)),
        .key_bytes = (uint16_t)(1 + prng_below(prng, 100)),
        .client = prng_next(prng),
        .sequence = prng_next(prng),
        .key = material,
        .value = material + 128,
        .expected = material + 256,
    };
    if (command.op == COMMAND_PUT || command.op == COMMAND_CAS) {
        command.value_bytes = (uint32_t)prng_below(prng, 128);
    }
    if (command.op == COMMAND_CAS) {
        command.compare = compares[prng_below(prng, 3)];
        if (command.compare == COMPARE_VALUE) {
            command.expected_bytes = (uint32_t)prng_below(prng, 128);
        }
        command.expected_revision = prng_next(prng);
        command.compare |= prng_below(prng, 2) == 0 ? COMPARE_FLAG_REMOVES : 0;
    }
    return command;
}

static void fill_randomly(struct prng *prng, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)prng_next(prng);
    }
}

static void assert_same(const struct command *a, const struct command *b)
{
    ck_assert_uint_eq(a->op, b->op);
    ck_assert_uint_eq(a->compare, b->compare);
    ck_assert_uint_eq(a->key_bytes, b->key_bytes);
    ck_assert_uint_eq(a->value_bytes, b->value_bytes);
    ck_assert_uint_eq(a->expected_bytes, b->expected_bytes);
    ck_assert_uint_eq(a->client, b->client);
    ck_assert_uint_eq(a->sequence, b->sequence);
    ck_assert_uint_eq(a->expected_revision, b->expected_revision);
    ck_assert_mem_eq(a->key, b->key, a->key_bytes);
    ck_assert(memcmp(a->value, b->value, a->value_bytes) == 0);
    ck_assert(memcmp(a->expected, b->expected, a->expected_bytes) == 0);
}

START_TEST(decoding_returns_what_was_encoded)
{
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < ROUNDS; i++) {
        fill_randomly(&prng, material, sizeof material);
        struct command command = random_command(&prng);
        uint8_t bytes[ROOM];
        size_t size = command_size(&command);
        ck_assert_uint_le(size, sizeof bytes);
        command_encode(&command, bytes);
        struct command decoded;
        ck_assert(command_decode(bytes, size, &decoded));
        assert_same(&command, &decoded);
    }
}
END_TEST

START_TEST(encoding_writes_exactly_its_size)
{
    struct prng prng;
    prng_init(&prng, 2);
    for (int i = 0; i < 1000; i++) {
        struct command command = random_command(&prng);
        uint8_t bytes[ROOM];
        memset(bytes, 0, sizeof bytes);
        size_t size = command_size(&command);
        command_encode(&command, bytes);
        static const uint8_t untouched[ROOM];
        ck_assert_mem_eq(bytes + size, untouched, sizeof bytes - size);
    }
}
END_TEST

START_TEST(a_put_has_the_documented_bytes)
{
    struct command command = {.op = COMMAND_PUT,
                              .key_bytes = 2,
                              .value_bytes = 3,
                              .client = 0x0102030405060708,
                              .sequence = 9,
                              .key = (const uint8_t *)"ab",
                              .value = (const uint8_t *)"xyz"};
    static const uint8_t expected[] = {1, 0, 2, 0, 3, 0, 0, 0, 8, 7,   6,   5,   4,   3,  2,
                                       1, 9, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'x', 'y', 'z'};
    uint8_t bytes[sizeof expected];
    ck_assert_uint_eq(command_size(&command), sizeof expected);
    command_encode(&command, bytes);
    ck_assert_mem_eq(bytes, expected, sizeof expected);
}
END_TEST

START_TEST(any_other_length_is_malformed)
{
    struct prng prng;
    prng_init(&prng, 3);
    unsigned mistakes = 0;
    for (int i = 0; i < 500; i++) {
        struct command command = random_command(&prng);
        uint8_t bytes[ROOM] = {0};
        size_t size = command_size(&command);
        command_encode(&command, bytes);
        for (size_t other = 0; other < sizeof bytes; other++) {
            struct command decoded;
            mistakes += command_decode(bytes, other, &decoded) != (other == size);
        }
    }
    ck_assert_uint_eq(mistakes, 0);
}
END_TEST

static bool decodes_with(const struct command *command, size_t offset, uint8_t byte)
{
    uint8_t bytes[ROOM];
    struct command decoded;
    command_encode(command, bytes);
    bytes[offset] = byte;
    return command_decode(bytes, command_size(command), &decoded);
}

START_TEST(meaningless_fields_are_malformed)
{
    struct command put = {.op = COMMAND_PUT, .key_bytes = 1, .key = material};
    ck_assert(decodes_with(&put, 0, COMMAND_PUT));
    ck_assert(!decodes_with(&put, 0, 0));
    ck_assert(!decodes_with(&put, 0, 5));
    ck_assert(!decodes_with(&put, 1, COMPARE_REVISION));
    ck_assert(!decodes_with(&put, 1, COMPARE_FLAG_REMOVES));
    struct command empty_key = {.op = COMMAND_GET};
    ck_assert(!decodes_with(&empty_key, 0, COMMAND_GET));
    struct command delete_with_value = {
        .op = COMMAND_DELETE, .key_bytes = 1, .key = material, .value_bytes = 1, .value = material};
    ck_assert(!decodes_with(&delete_with_value, 0, COMMAND_DELETE));
    struct command cas = {
        .op = COMMAND_CAS, .compare = COMPARE_REVISION, .key_bytes = 1, .key = material};
    ck_assert(decodes_with(&cas, 1, COMPARE_ABSENT));
    ck_assert(decodes_with(&cas, 1, COMPARE_ABSENT | COMPARE_FLAG_REMOVES));
    ck_assert(!decodes_with(&cas, 1, COMPARE_NONE));
    ck_assert(!decodes_with(&cas, 1, 4));
    ck_assert(!decodes_with(&cas, 1, 0x40 | COMPARE_ABSENT));
    ck_assert(!decodes_with(&cas, 36, 1));
}
END_TEST

START_TEST(lengths_that_would_wrap_are_malformed)
{
    struct command cas = {.op = COMMAND_CAS,
                          .compare = COMPARE_VALUE,
                          .key_bytes = 8,
                          .key = material,
                          .value_bytes = 8,
                          .value = material};
    uint8_t bytes[ROOM];
    struct command decoded;
    command_encode(&cas, bytes);
    bytes_store_u32(bytes + 4, 0x80000008u);
    bytes_store_u32(bytes + 32, 0x80000000u);
    ck_assert(!command_decode(bytes, command_size(&cas), &decoded));
}
END_TEST

START_TEST(damaged_bytes_never_name_bytes_outside)
{
    struct prng prng;
    prng_init(&prng, 4);
    unsigned decoded_count = 0;
    for (int i = 0; i < ROUNDS * 5; i++) {
        struct command command = random_command(&prng);
        uint8_t bytes[ROOM];
        size_t size = command_size(&command);
        command_encode(&command, bytes);
        for (uint64_t flips = 1 + prng_below(&prng, 3); flips > 0; flips--) {
            bytes[prng_below(&prng, 44)] ^= (uint8_t)(1u << prng_below(&prng, 8));
        }
        struct command decoded;
        if (command_decode(bytes, size, &decoded)) {
            decoded_count++;
            ck_assert(decoded.key >= bytes);
            ck_assert_ptr_eq(decoded.key + decoded.key_bytes, decoded.value);
            ck_assert_ptr_eq(decoded.value + decoded.value_bytes, decoded.expected);
            ck_assert_ptr_eq(decoded.expected + decoded.expected_bytes, bytes + size);
        }
    }
    ck_assert_uint_gt(decoded_count,
                      1000); /* flips in client, sequence, key leave it well-formed */
}
END_TEST

TEST_MAIN("store/command", decoding_returns_what_was_encoded, encoding_writes_exactly_its_size,
          a_put_has_the_documented_bytes, any_other_length_is_malformed,
          meaningless_fields_are_malformed, lengths_that_would_wrap_are_malformed,
          damaged_bytes_never_name_bytes_outside)
