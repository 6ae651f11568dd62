/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BASE_CRC32C_H
#define SYNOD_BASE_CRC32C_H

/*
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4), the checksum of everything synod keeps or copies.
 *
 * Short strings are summed inline by the processor's CRC instruction, one 8-byte step after the
 * other: at its latency of 3 cycles that is 2.7 bytes a cycle, but there is nothing to set up. Long
 * ones go to ISA-L, which folds several streams at once. CRC32C_INLINE_MAX is where the two meet.
 *
 * Any thread; no state.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define CRC32C_INLINE_MAX 255

/* As crc32c(), for strings of any size, never inline. */
uint32_t crc32c_long(uint32_t crc, const void *bytes, size_t size);

#if defined(__SSE4_2__) && defined(__x86_64__)
#include <nmmintrin.h>
#define CRC32C_STEP_8(sum, value) ((uint32_t)_mm_crc32_u64((sum), (value)))
#define CRC32C_STEP_4(sum, value) _mm_crc32_u32((sum), (value))
#define CRC32C_STEP_2(sum, value) _mm_crc32_u16((sum), (value))
#define CRC32C_STEP_1(sum, value) _mm_crc32_u8((sum), (value))
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define CRC32C_STEP_8(sum, value) __crc32cd((sum), (value))
#define CRC32C_STEP_4(sum, value) __crc32cw((sum), (value))
#define CRC32C_STEP_2(sum, value) __crc32ch((sum), (value))
#define CRC32C_STEP_1(sum, value) __crc32cb((sum), (value))
#endif

/*
 * Running CRC-32C: start with 0, feed pieces in order:
 * crc32c(crc32c(0, a, n), b, m) == crc32c(0, ab, n + m). Of no bytes it is the start value.
 */
static inline uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
#ifdef CRC32C_STEP_8
    if (size > CRC32C_INLINE_MAX)
        return crc32c_long(crc, bytes, size);
    const uint8_t *at = bytes;
    uint32_t sum = ~crc;
    for (size_t step = size / 8; step > 0; step--, at += 8)
        sum = CRC32C_STEP_8(sum, bytes_load_u64(at));
    if (size & 4) {
        sum = CRC32C_STEP_4(sum, bytes_load_u32(at));
        at += 4;
    }
    if (size & 2) {
        sum = CRC32C_STEP_2(sum, bytes_load_u16(at));
        at += 2;
    }
    if (size & 1)
        sum = CRC32C_STEP_1(sum, *at);
    return ~sum;
#else
    return crc32c_long(crc, bytes, size);
#endif
}

#endif
