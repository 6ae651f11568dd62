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
 * Checksum and length share the first 8 bytes, the commit word, written last by one release store: a
 * process killed in mid-append leaves a record that does not verify, never one that half verifies.
 * CRC32C runs over payload first and header second, so that changing the ballot of a copied record
 * costs 28 bytes of CRC, not the whole record. It is masked with a key drawn from the segment's id
 * (ids are never reused in a log), so that records left behind by a recycled segment's earlier life,
 * and zeroed pages, never verify: equal bytes in two segments have different stored checksums.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"

#define RECORD_HEADER_BYTES  32u
#define RECORD_PAYLOAD_LIMIT ((1u << 24) - 1)

enum record_kind {
    RECORD_VALUE = 1,   /* a command accepted in a slot */
    RECORD_NOOP = 2,    /* a no-op accepted in a slot */
    RECORD_PROMISE = 3, /* ballot promised */
    RECORD_MARK = 4,    /* slot: high watermark */
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

#endif
