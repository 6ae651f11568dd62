/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BASE_BYTES_H
#define SYNOD_BASE_BYTES_H

/*
 * Integers in byte strings: little endian whatever the machine, at any alignment. Compilers turn
 * each of these into one move (and a swap on big-endian machines).
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/contract.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTES_LITTLE_16(x) (x)
#define BYTES_LITTLE_32(x) (x)
#define BYTES_LITTLE_64(x) (x)
#else
#define BYTES_LITTLE_16(x) __builtin_bswap16(x)
#define BYTES_LITTLE_32(x) __builtin_bswap32(x)
#define BYTES_LITTLE_64(x) __builtin_bswap64(x)
#endif

static inline uint16_t bytes_load_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof value);
    return BYTES_LITTLE_16(value);
}

static inline uint32_t bytes_load_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return BYTES_LITTLE_32(value);
}

static inline uint64_t bytes_load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return BYTES_LITTLE_64(value);
}

static inline void bytes_store_u16(void *to, uint16_t value)
{
    value = BYTES_LITTLE_16(value);
    memcpy(to, &value, sizeof value);
}

static inline void bytes_store_u32(void *to, uint32_t value)
{
    value = BYTES_LITTLE_32(value);
    memcpy(to, &value, sizeof value);
}

static inline void bytes_store_u64(void *to, uint64_t value)
{
    value = BYTES_LITTLE_64(value);
    memcpy(to, &value, sizeof value);
}

/* Zero is not a power of two. */
static inline bool bytes_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* The smallest multiple of `power_of_two` that is >= value; value is at least that far from 2^64.
 */
static inline uint64_t bytes_align_up(uint64_t value, uint64_t power_of_two)
{
    ASSERT_SLOW(bytes_is_power_of_two(power_of_two));
    ASSERT_SLOW(value <= UINT64_MAX - (power_of_two - 1));
    return (value + (power_of_two - 1)) & ~(power_of_two - 1);
}

#endif
