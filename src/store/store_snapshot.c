/* SPDX-License-Identifier: MIT */
/*
 * Snapshots while commands go on being applied. Nothing is copied at the start: entries are
 * immutable, so the state of a slot is the set of entries that were in the map then. The walk takes
 * those still there and leaves out what was written later (its modify slot says so). An entry that
 * leaves the map before the walk has come to it is kept aside, and the next slice takes it from
 * there.
 *
 * Each of the `keys` entries there at the start is taken exactly once: its mark says whether it has
 * been; either the walk meets it or it is preserved on leaving, and kv_map_walk misses none that
 * stay.
 */
#include <string.h>

#include "base/bytes.h"
#include "store/store_state.h"

uint64_t store_snapshot_begin(struct store *store)
{
    struct snapshot *snapshot = &store->snapshot;
    ASSERT(!snapshot->is_active && !store->load.is_active);
    uint64_t keys = kv_map_keys(store->map);
    *snapshot = (struct snapshot){
        .is_active = true,
        .mark = snapshot->mark + 1,
        .slot = store->applied_slot,
        .keys = keys,
        .remaining = keys,
        .digest = store_digest(store),
        .total_bytes = SNAPSHOT_HEADER_BYTES + keys * SNAPSHOT_ENTRY_BYTES + store->payload_bytes,
    };
    return snapshot->total_bytes;
}

size_t store_snapshot_slice_bytes(const struct store *store)
{
    return (size_t)SNAPSHOT_HEADER_BYTES + store->config.max_key_bytes +
           store->config.max_value_bytes; /* a header is larger than an entry's fixed part */
}

bool store_snapshot_is_active(const struct store *store)
{
    return store->snapshot.is_active;
}

static bool is_wanted(const struct snapshot *snapshot, const struct entry *entry)
{
    return entry->modify_slot <= snapshot->slot && entry->snapshot_mark != snapshot->mark;
}

bool store_snapshot_preserves(struct store *store, struct entry *entry)
{
    struct snapshot *snapshot = &store->snapshot;
    if (LIKELY(!snapshot->is_active) || !is_wanted(snapshot, entry)) {
        return false;
    }
    entry->next_preserved = snapshot->preserved;
    snapshot->preserved = entry;
    snapshot->preserved_bytes += entry_block_bytes(entry);
    return true;
}

static struct entry *take_preserved(struct snapshot *snapshot)
{
    struct entry *entry = snapshot->preserved;
    snapshot->preserved = entry->next_preserved;
    snapshot->preserved_bytes -= entry_block_bytes(entry);
    return entry;
}

static size_t write_header(const struct snapshot *snapshot, uint8_t *bytes)
{
    bytes_store_u64(bytes, SNAPSHOT_MAGIC);
    bytes_store_u64(bytes + 8, snapshot->total_bytes);
    bytes_store_u64(bytes + 16, snapshot->slot);
    bytes_store_u64(bytes + 24, snapshot->keys);
    bytes_store_u64(bytes + 32, snapshot->digest);
    bytes_store_u64(bytes + SNAPSHOT_CHECK_OFFSET, hash_bytes(bytes, SNAPSHOT_CHECK_OFFSET));
    return SNAPSHOT_HEADER_BYTES;
}

static size_t serialized_bytes(const struct entry *entry)
{
    return (size_t)SNAPSHOT_ENTRY_BYTES + entry->key_bytes + entry->value_bytes;
}

static void write_entry(struct snapshot *snapshot, struct entry *entry, uint8_t *bytes)
{
    bytes_store_u32(bytes, entry->key_bytes);
    bytes_store_u32(bytes + 4, entry->value_bytes);
    bytes_store_u64(bytes + 8, entry->version);
    bytes_store_u64(bytes + 16, entry->create_slot);
    bytes_store_u64(bytes + 24, entry->modify_slot);
    memcpy(bytes + SNAPSHOT_ENTRY_BYTES, entry->bytes,
           (size_t)entry->key_bytes + entry->value_bytes);
    entry->snapshot_mark = snapshot->mark;
    snapshot->remaining--;
}

static size_t write_preserved(struct store *store, uint8_t *bytes, size_t capacity)
{
    struct snapshot *snapshot = &store->snapshot;
    size_t used = 0;
    while (snapshot->preserved != NULL &&
           serialized_bytes(snapshot->preserved) <= capacity - used) {
        struct entry *entry = take_preserved(snapshot);
        write_entry(snapshot, entry, bytes + used);
        used += serialized_bytes(entry);
        store_entry_retire(store, entry);
    }
    return used;
}

static size_t write_walked(struct store *store, uint8_t *bytes, size_t capacity)
{
    struct snapshot *snapshot = &store->snapshot;
    size_t used = 0;
    while (snapshot->remaining > 0) {
        struct kv_walk before = snapshot->walk;
        struct entry *entry = kv_map_walk(store->map, &snapshot->walk);
        ASSERT(entry != NULL); /* what remains is ahead of the walk: see the head of this file */
        if (!is_wanted(snapshot, entry)) {
            continue;
        }
        if (serialized_bytes(entry) > capacity - used) {
            snapshot->walk = before; /* it opens the next slice */
            break;
        }
        write_entry(snapshot, entry, bytes + used);
        used += serialized_bytes(entry);
    }
    return used;
}

size_t store_snapshot_next(struct store *store, uint8_t *bytes, size_t capacity)
{
    struct snapshot *snapshot = &store->snapshot;
    ASSERT(snapshot->is_active && capacity >= store_snapshot_slice_bytes(store));
    size_t used = 0;
    if (!snapshot->has_header) {
        used = write_header(snapshot, bytes);
        snapshot->has_header = true;
    }
    used += write_preserved(store, bytes + used, capacity - used);
    if (snapshot->preserved == NULL) {
        used += write_walked(store, bytes + used, capacity - used);
    }
    return used;
}

void store_snapshot_end(struct store *store)
{
    struct snapshot *snapshot = &store->snapshot;
    snapshot->is_active = false;
    while (snapshot->preserved != NULL) {
        store_entry_retire(store, take_preserved(snapshot));
    }
}
