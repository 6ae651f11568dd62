/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_STORE_STATE_H
#define SYNOD_STORE_STORE_STATE_H

/*
 * The store's insides, shared by store.c (commands), store_snapshot.c and store_load.c; nobody
 * else's.
 */
#include <stdbool.h>
#include <stdint.h>

#include "store/entry_slab.h"
#include "store/kv_map.h"
#include "store/retire_list.h"
#include "store/store.h"

/*
 * A snapshot's bytes, all little endian, unpadded:
 *
 *   0   u64  magic         "synodkv1"
 *   8   u64  total bytes   of the snapshot, this header included
 *   16  u64  slot          applied up to here
 *   24  u64  keys
 *   32  u64  digest
 *   40  u64  check         XXH3 of the 40 bytes before: the slot is in no digest
 *   48  entries, in no particular order:
 *       0   u32  key bytes     8   u64  version
 *       4   u32  value bytes   16  u64  create slot
 *                              24  u64  modify slot
 *       32  key, then value
 */
#define SNAPSHOT_MAGIC        UINT64_C(0x31766b646f6e7973)
#define SNAPSHOT_HEADER_BYTES 48u
#define SNAPSHOT_CHECK_OFFSET 40u
#define SNAPSHOT_ENTRY_BYTES  32u

/* While it is active, entries it has not taken are not retired when they leave the map, but kept.
 */
struct snapshot {
    bool is_active;
    bool has_header;
    uint32_t mark; /* of the latest snapshot: entries bear the mark of the last that took them */
    uint64_t slot; /* entries written later are none of its business */
    uint64_t keys;
    uint64_t remaining; /* entries not yet taken */
    uint64_t digest;
    uint64_t total_bytes;
    struct kv_walk walk;
    struct entry *preserved; /* out of the map and not yet taken */
    size_t preserved_bytes;
};

struct load {
    bool is_active;
    int error; /* 0, or why the rest is ignored */
    uint64_t slot;
    uint64_t keys;
    uint64_t digest;
    uint64_t total_bytes;
    uint64_t seen_bytes;
    uint32_t fixed_bytes; /* how much of `fixed` has come */
    uint32_t part_bytes;  /* how much of the entry's key and value has come */
    struct entry *entry;  /* being filled in; NULL: in a header */
    uint8_t fixed[SNAPSHOT_HEADER_BYTES];
};

struct store {
    struct store_config config;
    struct kv_map *map;
    struct entry_slab slab;
    struct retire_list retired;
    uint64_t applied_slot;
    uint64_t digest_sum;    /* of all entries' contributions, modulo 2^64 */
    size_t bytes_live;      /* blocks of entries in the map */
    uint64_t payload_bytes; /* keys and values of entries in the map */
    struct snapshot snapshot;
    struct load load;
};

_Static_assert(SNAPSHOT_ENTRY_BYTES <= SNAPSHOT_HEADER_BYTES, "load.fixed holds either");

static inline size_t entry_block_bytes(const struct entry *entry)
{
    return entry_slab_block_bytes(entry->size_class,
                                  entry_size(entry->key_bytes, entry->value_bytes));
}

/* An entry for these sizes, its other fields still to be set. NULL: no memory. */
MUST_USE struct entry *store_entry_alloc(struct store *store, uint32_t key_bytes,
                                         uint32_t value_bytes);
/* Publishes a complete entry, contribution included, at place, in the place of `replaced` (NULL:
 * none), and keeps the sums.
 */
void store_entry_publish(struct store *store, const struct kv_place *place, uint64_t hash,
                         struct entry *entry, struct entry *replaced);
/* For an entry no reader can hold any more, or could from a batch on. */
void store_entry_retire(struct store *store, struct entry *entry);

/* The digest of a store with that sum and that many keys. */
uint64_t store_digest_of(uint64_t sum, uint64_t keys);

/* Takes over an entry that has left the map if the snapshot still needs it. */
MUST_USE bool store_snapshot_preserves(struct store *store, struct entry *entry);

#endif
