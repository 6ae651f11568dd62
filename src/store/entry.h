/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_ENTRY_H
#define SYNOD_STORE_ENTRY_H

/*
 * One key with its value: a block of memory that never changes once the map has published it. A
 * write publishes a new entry in its place and retires the old one.
 *
 * The first 16 bytes are the writer's own and may change at any time; readers never look at them.
 * The rest, from `version` on, is what readers see and what the digest covers, in one contiguous
 * run, so that the digest of an entry is one call of the hash. Both lengths are in the run: no two
 * different entries have the same bytes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/contract.h"
#include "store/hash.h"

struct entry {
    /* The writer's. */
    union {
        uint64_t contribution;        /* to the digest; while in the map */
        struct entry *next_preserved; /* once out of the map, waiting for the snapshot to take it */
    };
    uint32_t snapshot_mark; /* the last snapshot that has taken this entry */
    uint32_t size_class;    /* entry_slab's */
    /* Immutable. */
    uint64_t version;
    uint64_t create_slot;
    uint64_t modify_slot;
    uint32_t value_bytes;
    uint32_t key_bytes;
    uint8_t bytes[]; /* key, then value */
};

#define ENTRY_HEADER_BYTES  48u
#define ENTRY_PRIVATE_BYTES 16u

_Static_assert(sizeof(struct entry) == ENTRY_HEADER_BYTES, "one line with an eight-byte key");
_Static_assert(offsetof(struct entry, version) == ENTRY_PRIVATE_BYTES, "private part first");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the digest runs over the fields as stored");

/* A key asked for, with its hash. */
struct kv_key {
    uint64_t hash;
    const uint8_t *bytes;
    uint32_t size;
};

static inline size_t entry_size(uint32_t key_bytes, uint32_t value_bytes)
{
    return (size_t)ENTRY_HEADER_BYTES + key_bytes + value_bytes;
}

static inline const uint8_t *entry_value(const struct entry *entry)
{
    return entry->bytes + entry->key_bytes;
}

/*
 * What the entry adds to the digest; `payload` is its key and value, in the entry itself or where
 * they were copied from. (Just copied, the original is the better one: loads from a block whose
 * lines are still on their way would wait for them, unless the processor can forward from the
 * copy's stores, and it cannot always: 74 % of a write's publishing time was spent so.) With both
 * lengths in the hash, no two different entries give it the same bytes.
 */
static inline uint64_t entry_contribution(const struct entry *entry, const uint8_t *payload)
{
    uint64_t parts[5] = {
        hash_bytes(payload, (size_t)entry->key_bytes + entry->value_bytes),
        entry->version,
        entry->create_slot,
        entry->modify_slot,
        (uint64_t)entry->value_bytes << 32 | entry->key_bytes,
    };
    return hash_bytes(parts, sizeof parts);
}

static inline bool entry_has_key(const struct entry *entry, const struct kv_key *key)
{
    if (entry->key_bytes != key->size) {
        return false;
    }
    if (key->size == sizeof(uint64_t)) { /* the commonest length, without a call */
        return memcmp(entry->bytes, key->bytes, sizeof(uint64_t)) == 0;
    }
    return memcmp(entry->bytes, key->bytes, key->size) == 0;
}

#endif
