/* SPDX-License-Identifier: MIT */
#include "store/command.h"

#include <string.h>

#include "base/bytes.h"

enum {
    FIXED_BYTES = 24,
    CAS_BYTES = 40, /* FIXED_BYTES and what only a compare-and-set carries */
};

static size_t fixed_size(uint8_t op)
{
    return op == COMMAND_CAS ? CAS_BYTES : FIXED_BYTES;
}

static uint8_t *append(uint8_t *at, const uint8_t *bytes, size_t size)
{
    if (size > 0) {
        memcpy(at, bytes, size);
    }
    return at + size;
}

size_t command_size(const struct command *command)
{
    size_t size = fixed_size(command->op) + command->key_bytes + command->value_bytes;
    return command->op == COMMAND_CAS ? size + command->expected_bytes : size;
}

void command_encode(const struct command *command, uint8_t *bytes)
{
    bytes[0] = command->op;
    bytes[1] = command->compare;
    bytes_store_u16(bytes + 2, command->key_bytes);
    bytes_store_u32(bytes + 4, command->value_bytes);
    bytes_store_u64(bytes + 8, command->client);
    bytes_store_u64(bytes + 16, command->sequence);
    if (command->op == COMMAND_CAS) {
        bytes_store_u64(bytes + 24, command->expected_revision);
        bytes_store_u32(bytes + 32, command->expected_bytes);
        bytes_store_u32(bytes + 36, 0);
    }
    uint8_t *at = bytes + fixed_size(command->op);
    at = append(at, command->key, command->key_bytes);
    at = append(at, command->value, command->value_bytes);
    if (command->op == COMMAND_CAS) {
        append(at, command->expected, command->expected_bytes);
    }
}

static bool decode_cas(const uint8_t *bytes, size_t size, struct command *command)
{
    if (size < CAS_BYTES || bytes_load_u32(bytes + 36) != 0) {
        return false;
    }
    command->expected_revision = bytes_load_u64(bytes + 24);
    command->expected_bytes = bytes_load_u32(bytes + 32);
    switch (command->compare & ~COMPARE_FLAG_REMOVES) {
    case COMPARE_VALUE:
        return true;
    case COMPARE_REVISION:
    case COMPARE_ABSENT:
        return command->expected_bytes == 0;
    default:
        return false;
    }
}

bool command_decode(const uint8_t *bytes, size_t size, struct command *command)
{
    if (size < FIXED_BYTES) {
        return false;
    }
    command->op = bytes[0];
    command->compare = bytes[1];
    command->key_bytes = bytes_load_u16(bytes + 2);
    command->value_bytes = bytes_load_u32(bytes + 4);
    command->client = bytes_load_u64(bytes + 8);
    command->sequence = bytes_load_u64(bytes + 16);
    command->expected_revision = 0;
    command->expected_bytes = 0;
    switch (command->op) {
    case COMMAND_PUT:
        if (command->compare != COMPARE_NONE) {
            return false;
        }
        break;
    case COMMAND_GET:
    case COMMAND_DELETE:
        if (command->compare != COMPARE_NONE || command->value_bytes != 0) {
            return false;
        }
        break;
    case COMMAND_CAS:
        if (!decode_cas(bytes, size, command)) {
            return false;
        }
        break;
    default:
        return false;
    }
    /* Sums of 16 and 32-bit lengths: cannot wrap in 64 bits. */
    if (command->key_bytes == 0 || (uint64_t)size != (uint64_t)fixed_size(command->op) +
                                                         command->key_bytes + command->value_bytes +
                                                         command->expected_bytes) {
        return false;
    }
    command->key = bytes + fixed_size(command->op);
    command->value = command->key + command->key_bytes;
    command->expected = command->value + command->value_bytes;
    return true;
}
