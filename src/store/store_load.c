/* SPDX-License-Identifier: MIT */
/*
 * Loading a snapshot, from bytes that may be anything at all. Every length is checked against the
 * store's limits and against what the header says is left before it is believed; memory is taken
 * only as the bytes it is for arrive. An entry is built in place, in the block it will live in.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "store/store_state.h"

static void empty(struct store *store)
{
    if (store_snapshot_is_active(store)) {
        store_snapshot_end(store);
    }
    kv_map_reset(store->map, store->config.expected_keys);
    /* All entries, live and retired, are in the slab: they go with it. */
    retire_list_doom(&store->retired, store->map, &store->slab);
    store->applied_slot = 0;
    store->digest_sum = 0;
    store->bytes_live = 0;
    store->payload_bytes = 0;
}

void store_load_begin(struct store *store)
{
    empty(store);
    store->load = (struct load){.is_active = true};
}

/* Moves on by what is there and what is missing of `need`, from *bytes to `to` + *have. True: all
 * there. */
static bool fill(uint8_t *to, uint32_t *have, size_t need, const uint8_t **bytes, size_t *size)
{
    size_t missing = need - *have;
    size_t part = *size < missing ? *size : missing;
    if (part > 0) {
        memcpy(to + *have, *bytes, part);
        *have += (uint32_t)part;
        *bytes += part;
        *size -= part;
    }
    return part == missing;
}

static int parse_header(struct load *load)
{
    const uint8_t *bytes = load->fixed;
    load->total_bytes = bytes_load_u64(bytes + 8);
    load->slot = bytes_load_u64(bytes + 16);
    load->keys = bytes_load_u64(bytes + 24);
    load->digest = bytes_load_u64(bytes + 32);
    load->seen_bytes = SNAPSHOT_HEADER_BYTES;
    bool is_ours =
        bytes_load_u64(bytes) == SNAPSHOT_MAGIC && load->total_bytes >= SNAPSHOT_HEADER_BYTES &&
        bytes_load_u64(bytes + SNAPSHOT_CHECK_OFFSET) == hash_bytes(bytes, SNAPSHOT_CHECK_OFFSET);
    return is_ours ? 0 : -EBADMSG;
}

/* The fixed part of an entry is complete: check it and make room for the rest. */
static int open_entry(struct store *store)
{
    struct load *load = &store->load;
    const uint8_t *bytes = load->fixed;
    uint32_t key_bytes = bytes_load_u32(bytes);
    uint32_t value_bytes = bytes_load_u32(bytes + 4);
    uint64_t version = bytes_load_u64(bytes + 8);
    uint64_t create_slot = bytes_load_u64(bytes + 16);
    uint64_t modify_slot = bytes_load_u64(bytes + 24);
    if (key_bytes == 0 || key_bytes > store->config.max_key_bytes ||
        value_bytes > store->config.max_value_bytes || version == 0 || create_slot > modify_slot ||
        modify_slot > load->slot || kv_map_keys(store->map) >= load->keys) {
        return -EBADMSG;
    }
    uint64_t whole = (uint64_t)SNAPSHOT_ENTRY_BYTES + key_bytes + value_bytes;
    if (whole > load->total_bytes - load->seen_bytes) {
        return -EBADMSG;
    }
    struct entry *entry = store_entry_alloc(store, key_bytes, value_bytes);
    if (entry == NULL) {
        return -ENOMEM;
    }
    load->seen_bytes += whole;
    entry->version = version;
    entry->create_slot = create_slot;
    entry->modify_slot = modify_slot;
    load->entry = entry;
    load->part_bytes = 0;
    return 0;
}

static int close_entry(struct store *store)
{
    struct entry *entry = store->load.entry;
    struct kv_key key = {.hash = hash_bytes(entry->bytes, entry->key_bytes),
                         .bytes = entry->bytes,
                         .size = entry->key_bytes};
    struct kv_place place;
    if (kv_map_find(store->map, &key, &place) != NULL) {
        return -EBADMSG; /* twice the same key */
    }
    entry->contribution = entry_contribution(entry, entry->bytes);
    store_entry_publish(store, &place, key.hash, entry, NULL);
    store->load.entry = NULL;
    store->load.fixed_bytes = 0;
    return 0;
}

/* Takes in one header, entry head or entry body, or what there is of it. */
static int load_piece(struct store *store, const uint8_t **bytes, size_t *size)
{
    struct load *load = &store->load;
    if (load->entry != NULL) {
        size_t need = (size_t)load->entry->key_bytes + load->entry->value_bytes;
        bool is_whole = fill(load->entry->bytes, &load->part_bytes, need, bytes, size);
        return is_whole ? close_entry(store) : 0;
    }
    if (load->seen_bytes == 0) {
        if (!fill(load->fixed, &load->fixed_bytes, SNAPSHOT_HEADER_BYTES, bytes, size)) {
            return 0;
        }
        load->fixed_bytes = 0;
        return parse_header(load);
    }
    bool is_whole = fill(load->fixed, &load->fixed_bytes, SNAPSHOT_ENTRY_BYTES, bytes, size);
    return is_whole ? open_entry(store) : 0;
}

int store_load_slice(struct store *store, const uint8_t *bytes, size_t size)
{
    struct load *load = &store->load;
    ASSERT(load->is_active);
    while (size > 0 && load->error == 0) {
        load->error = load_piece(store, &bytes, &size);
    }
    return load->error;
}

static bool is_complete(const struct store *store)
{
    const struct load *load = &store->load;
    return load->error == 0 && load->entry == NULL && load->fixed_bytes == 0 &&
           load->seen_bytes > 0 && load->seen_bytes == load->total_bytes &&
           kv_map_keys(store->map) == load->keys && store_digest(store) == load->digest;
}

int store_load_finish(struct store *store)
{
    struct load *load = &store->load;
    ASSERT(load->is_active);
    int error = load->error;
    if (is_complete(store)) {
        store->applied_slot = load->slot;
    } else {
        empty(store);
        error = error != 0 ? error : -EBADMSG;
    }
    load->is_active = false;
    return error;
}
