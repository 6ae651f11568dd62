/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_WAL_RECORD_H
#define SYNOD_WAL_RECORD_H

/*
 * The bytes of one log record. docs/wal-format.md is the format's home.
 *
 *   offset 0   u32  checksum     CRC32C of everything after it, XOR segment_key(segment id)
 *          4   u32  kind_length  kind in the top 8 bits, payload bytes in the low 24
 *          8   u64  ballot
 *         16   u64  slot         0 for records that have none
 *         24   u64  hybrid time  of the proposal
 *         32        payload, zero-padded to a multiple of 8
 *
 * Checksum and length share the first 8 bytes, the commit word, written last by one release store:
 * a process killed in mid-append leaves a record that does not verify, never one that half
 * verifies. CRC32C runs over payload first and header second, so that changing the ballot of a
 * copied record costs 28 bytes of CRC, not the whole record. It is masked with a key drawn from the
 * segment's id (ids are never reused in a log), so that records left behind by a recycled segment's
 * earlier life, and zeroed pages, never verify: equal bytes in two segments have different stored
 * checksums. Behind the last record stands a blank header (32 zero bytes), laid down before that
 * record commits, so the end of the log never depends on what the bytes of a recycled segment
 * happen to be.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/crc32c.h"

#define RECORD_HEADER_BYTES  32u
#define RECORD_PAYLOAD_LIMIT ((1u << 24) - 1)

enum record_kind {
    RECORD_VALUE = 1,   /* a command accepted in a slot */
    RECORD_NOOP = 2,    /* a no-op accepted in a slot */
    RECORD_PROMISE = 3, /* ballot promised */
    RECORD_MARK = 4,    /* slot: high watermark */
};

/* Kinds the log writes for itself and never hands out. */
enum record_own_kind {
    RECORD_STATE = 5, /* first in every segment: what the log must know without older segments */
    RECORD_SYNC = 6,  /* ballot: the position up to which the log is known to be durable */
    RECORD_SEAL = 7,  /* last in a segment that was left for the next; slot: the highest in it */
    RECORD_KIND_END
};

/* A record as read: points into the segment, nothing is copied. */
struct record {
    enum record_kind kind;
    uint32_t payload_bytes;
    uint64_t ballot;
    uint64_t slot;
    uint64_t hybrid_time;
    const uint8_t *payload;
};

/* The key that masks the checksums of a segment's records: a bijection of the id (MurmurHash3's
 * finalizer, Appleby 2011), so two ids never share a key; 0 only for id 0, which no segment has. */
static inline uint32_t segment_key(uint32_t segment_id)
{
    uint32_t key = segment_id;
    key = (key ^ (key >> 16)) * 0x85ebca6bu;
    key = (key ^ (key >> 13)) * 0xc2b2ae35u;
    return key ^ (key >> 16);
}

/* Bytes a record takes in the log, header and padding included. */
static inline uint32_t record_bytes(uint32_t payload_bytes)
{
    return RECORD_HEADER_BYTES + ((payload_bytes + 7) & ~7u);
}

static inline uint32_t record_payload_bytes(const uint8_t *at)
{
    return bytes_load_u32(at + 4) & RECORD_PAYLOAD_LIMIT;
}

static inline uint32_t record_raw_kind(const uint8_t *at)
{
    return at[7];
}

/* Reads a record whose bytes are known to be good. */
static inline void record_decode(const uint8_t *at, struct record *record)
{
    record->kind = (enum record_kind)record_raw_kind(at);
    record->payload_bytes = record_payload_bytes(at);
    record->ballot = bytes_load_u64(at + 8);
    record->slot = bytes_load_u64(at + 16);
    record->hybrid_time = bytes_load_u64(at + 24);
    record->payload = at + RECORD_HEADER_BYTES;
}

/* Carries the checksum of a padded payload over bytes 4..31 of the header. */
static inline uint32_t record_checksum(uint32_t payload_sum, const struct record *record)
{
    uint8_t header[RECORD_HEADER_BYTES - 4];
    bytes_store_u32(header, (uint32_t)record->kind << 24 | record->payload_bytes);
    bytes_store_u64(header + 4, record->ballot);
    bytes_store_u64(header + 12, record->slot);
    bytes_store_u64(header + 20, record->hybrid_time);
    uint32_t sum = crc32c(payload_sum, header, 4);
    sum = crc32c(sum, header + 4, 8);
    sum = crc32c(sum, header + 12, 8);
    return crc32c(sum, header + 20, 8);
}

/* The bytes of a payload behind its last multiple of 8, of which there are some, padded with zeros.
 */
static inline uint64_t record_last_word(const uint8_t *payload, uint32_t payload_bytes)
{
    uint32_t rest = payload_bytes & 7;
    if (LIKELY(payload_bytes > 8)) /* one load that ends where the payload does: 8 ns less */
        return bytes_load_u64(payload + payload_bytes - 8) >> (64 - 8 * rest);
    uint64_t word = 0;
    for (uint32_t i = 0; i < rest; i++)
        word |= (uint64_t)payload[i] << (8 * i);
    return word;
}

/* Copies a payload to where its record's payload goes, pads it, and returns the checksum of both.
 * Nothing is readable as a record yet. */
static inline uint32_t record_copy_payload(uint8_t *to, const uint8_t *payload,
                                           uint32_t payload_bytes)
{
    uint32_t whole = payload_bytes & ~7u;
    uint32_t sum = crc32c(0, payload, whole);
    if (LIKELY(whole <= CRC32C_INLINE_MAX)) {
        for (uint32_t i = 0; i < whole; i += 8)
            memcpy(to + i, payload + i, 8);
    } else {
        memcpy(to, payload, whole);
    }
    if (payload_bytes != whole) {
        uint8_t padded[8];
        bytes_store_u64(padded, record_last_word(payload, payload_bytes));
        memcpy(to + whole, padded, 8);
        sum = crc32c(sum, padded, 8);
    }
    return sum;
}

/*
 * Writes the header of a record whose payload is in place, and with its commit word, last, the
 * record. The RECORD_HEADER_BYTES behind it become blank first, and must be writable. `at` is
 * 8-aligned.
 */
static inline void record_commit(uint8_t *at, uint32_t key, uint32_t payload_sum,
                                 const struct record *record)
{
    uint32_t checksum = record_checksum(payload_sum, record) ^ key;
    uint32_t kind_length = (uint32_t)record->kind << 24 | record->payload_bytes;
    bytes_store_u64(at + 8, record->ballot);
    bytes_store_u64(at + 16, record->slot);
    bytes_store_u64(at + 24, record->hybrid_time);
    memset(at + record_bytes(record->payload_bytes), 0, RECORD_HEADER_BYTES);
    uint64_t commit_word = BYTES_LITTLE_64((uint64_t)kind_length << 32 | checksum);
    /* release: no partner thread; orders the stores above before the commit word for whoever reads
     * the mapping after this process was killed. */
    atomic_store_explicit((_Atomic uint64_t *)(void *)at, commit_word, memory_order_release);
}

/* What record_check() found. */
struct record_check {
    struct record record; /* kind may be one of enum record_own_kind */
    uint32_t checksum_stored;
    uint32_t checksum_computed; /* 0 when the length makes no sense */
};

/* Whether the bytes at `at`, of which `available` may be read, are a good record under `key`. For
 * bytes from a disk: trusts nothing. */
MUST_USE bool record_check(const uint8_t *at, size_t available, uint32_t key,
                           struct record_check *check);

/* Whether kind, length and slot could be a record's: what can be known without the checksum. */
MUST_USE bool record_is_plausible(const uint8_t *at, size_t available);

#endif
