/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cacheline.h"
#include "store/store_state.h"

#define EXPECTED_KEYS_LIMIT (UINT64_C(1) << 40)
#define VALUE_BYTES_LIMIT   (UINT32_C(1) << 30)

enum {
    APPLY_AHEAD = 12, /* commands; docs/store.md has the figures */
    APPLY_RING = 32,  /* at least 2 * APPLY_AHEAD + 1 */
};

/* --- life --- */

int store_create(struct store **out, const struct store_config *config)
{
    if (config->max_key_bytes == 0 || config->max_key_bytes > UINT16_MAX ||
        config->max_value_bytes > VALUE_BYTES_LIMIT ||
        config->expected_keys > EXPECTED_KEYS_LIMIT) {
        return -EINVAL;
    }
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return -ENOMEM;
    }
    store->config = *config;
    entry_slab_init(&store->slab);
    retire_list_init(&store->retired);
    int error = kv_map_create(&store->map, config->expected_keys);
    if (error != 0) {
        free(store);
        return error;
    }
    *out = store;
    return 0;
}

void store_destroy(struct store *store)
{
    if (store == NULL) {
        return;
    }
    retire_list_deinit(&store->retired, store->map);
    kv_map_destroy(store->map);
    entry_slab_deinit(&store->slab);
    free(store);
}

/* --- entries --- */

struct entry *store_entry_alloc(struct store *store, uint32_t key_bytes, uint32_t value_bytes)
{
    size_t size = entry_size(key_bytes, value_bytes);
    uint32_t size_class = entry_slab_class(size);
    struct entry *entry = entry_slab_alloc(&store->slab, size_class, size);
    if (entry != NULL) {
        entry->snapshot_mark = 0;
        entry->size_class = size_class;
        entry->key_bytes = key_bytes;
        entry->value_bytes = value_bytes;
    }
    return entry;
}

void store_entry_retire(struct store *store, struct entry *entry)
{
    retire_list_add(&store->retired, store->map, entry, entry->size_class,
                    entry_block_bytes(entry));
}

/* What an entry counts for in the store's sums. */
struct weight {
    uint64_t contribution;
    size_t block_bytes;
    uint64_t payload_bytes;
};

static struct weight weigh(const struct entry *entry)
{
    if (entry == NULL) {
        return (struct weight){0};
    }
    return (struct weight){
        .contribution = entry->contribution,
        .block_bytes = entry_block_bytes(entry),
        .payload_bytes = (uint64_t)entry->key_bytes + entry->value_bytes,
    };
}

/*
 * `in` has come, `out` has left the map; either may be NULL. One addition to each sum: compilers
 * join sums into vectors, and a vector loaded right after its halves were stored one by one waits
 * until those stores have drained, behind all the cold lines of the new entry.
 */
static void account(struct store *store, const struct entry *in, const struct entry *out)
{
    struct weight plus = weigh(in);
    struct weight minus = weigh(out);
    store->digest_sum += plus.contribution - minus.contribution;
    store->bytes_live += plus.block_bytes - minus.block_bytes;
    store->payload_bytes += plus.payload_bytes - minus.payload_bytes;
}

/* The entry has left the map and the sums. */
static void discard(struct store *store, struct entry *entry)
{
    if (LIKELY(!store_snapshot_preserves(store, entry))) {
        store_entry_retire(store, entry);
    }
}

void store_entry_publish(struct store *store, const struct kv_place *place, uint64_t hash,
                         struct entry *entry, struct entry *replaced)
{
    account(store, entry, replaced);
    kv_map_publish(store->map, place, hash, entry);
    if (replaced != NULL) {
        discard(store, replaced);
    }
}

/* --- commands --- */

/* A command on its way through store_apply's passes. */
struct prepared {
    struct command command;
    struct kv_key key;
    bool is_valid;
};

static struct store_entry describe(const struct entry *entry)
{
    return (struct store_entry){
        .value = entry_value(entry),
        .value_bytes = entry->value_bytes,
        .version = entry->version,
        .create_slot = entry->create_slot,
        .modify_slot = entry->modify_slot,
    };
}

/* `found` is what stands at place, or NULL. */
static void apply_write(struct store *store, const struct prepared *prepared,
                        const struct kv_place *place, struct entry *found,
                        struct store_apply_item *item)
{
    const struct command *command = &prepared->command;
    struct entry *entry = store_entry_alloc(store, command->key_bytes, command->value_bytes);
    ASSERT(entry != NULL); /* out of memory stops the process: store.h */
    struct store_entry now = {
        .value_bytes = command->value_bytes,
        .version = found != NULL ? found->version + 1 : 1,
        .create_slot = found != NULL ? found->create_slot : item->slot,
        .modify_slot = item->slot,
    };
    entry->version = now.version;
    entry->create_slot = now.create_slot;
    entry->modify_slot = now.modify_slot;
    /* Key and value follow one another in the command too. */
    memcpy(entry->bytes, command->key, (size_t)command->key_bytes + command->value_bytes);
    entry->contribution = entry_contribution(entry, command->key);
    store_entry_publish(store, place, prepared->key.hash, entry, found);
    item->outcome.result = STORE_OK;
    item->outcome.entry = now;
}

/* Removing what is not there is for a CAS that asks for absence: nothing to do, and done. */
static void apply_remove(struct store *store, const struct kv_place *place, struct entry *found,
                         struct store_apply_item *item)
{
    item->outcome.result = STORE_OK;
    item->outcome.entry = (struct store_entry){.modify_slot = item->slot};
    if (found != NULL) {
        item->outcome.entry.version = found->version + 1;
        item->outcome.entry.create_slot = found->create_slot;
        kv_map_remove(store->map, place);
        account(store, NULL, found);
        discard(store, found);
    }
}

static bool cas_holds(const struct command *command, const struct entry *found)
{
    switch (command->compare & ~COMPARE_FLAG_REMOVES) {
    case COMPARE_REVISION:
        return (found != NULL ? found->modify_slot : 0) == command->expected_revision;
    case COMPARE_VALUE:
        return found != NULL && found->value_bytes == command->expected_bytes &&
               memcmp(entry_value(found), command->expected, command->expected_bytes) == 0;
    default: /* COMPARE_ABSENT: command_decode lets nothing else through */
        return found == NULL;
    }
}

static void apply_cas(struct store *store, const struct prepared *prepared,
                      const struct kv_place *place, struct entry *found,
                      struct store_apply_item *item)
{
    if (!cas_holds(&prepared->command, found)) {
        item->outcome.result = STORE_MISMATCH;
        if (found != NULL) {
            item->outcome.entry = describe(found);
        }
    } else if ((prepared->command.compare & COMPARE_FLAG_REMOVES) != 0) {
        apply_remove(store, place, found, item);
    } else {
        apply_write(store, prepared, place, found, item);
    }
}

static void apply_command(struct store *store, const struct prepared *prepared,
                          struct store_apply_item *item)
{
    struct kv_place place;
    struct entry *found = kv_map_find(store->map, &prepared->key, &place);
    switch (prepared->command.op) {
    case COMMAND_PUT:
        apply_write(store, prepared, &place, found, item);
        break;
    case COMMAND_CAS:
        apply_cas(store, prepared, &place, found, item);
        break;
    default: /* COMMAND_GET, COMMAND_DELETE: command_decode lets nothing else through */
        if (found == NULL) {
            item->outcome.result = STORE_NOT_FOUND;
        } else if (prepared->command.op == COMMAND_GET) {
            item->outcome.result = STORE_OK;
            item->outcome.entry = describe(found);
        } else {
            apply_remove(store, &place, found, item);
        }
    }
}

static void prepare(const struct store *store, const struct store_apply_item *item,
                    struct prepared *prepared)
{
    struct command *command = &prepared->command;
    prepared->is_valid = item->command != NULL &&
                         command_decode(item->command, item->command_bytes, command) &&
                         command->key_bytes <= store->config.max_key_bytes &&
                         command->value_bytes <= store->config.max_value_bytes &&
                         command->expected_bytes <= store->config.max_value_bytes;
    if (prepared->is_valid) {
        prepared->key.bytes = command->key;
        prepared->key.size = command->key_bytes;
        prepared->key.hash = hash_bytes(command->key, command->key_bytes);
        kv_map_prefetch_slot(store->map, prepared->key.hash);
    }
}

static void apply_one(struct store *store, const struct prepared *prepared,
                      struct store_apply_item *item)
{
    ASSERT(item->slot > store->applied_slot);
    store->applied_slot = item->slot;
    item->outcome.entry = (struct store_entry){0};
    if (LIKELY(prepared->is_valid)) {
        apply_command(store, prepared, item);
    } else {
        item->outcome.result = item->command == NULL ? STORE_OK : STORE_INVALID;
    }
}

/*
 * A pipeline, so that the cache misses of neighbouring commands overlap: a command is decoded and
 * its slot asked for; APPLY_AHEAD commands later the slot is there and the entry it names is asked
 * for; as much later again the entry is there and the command is applied, in order.
 */
void store_apply(struct store *store, struct store_apply_item *items, size_t count)
{
    struct prepared ring[APPLY_RING];
    ASSERT(!store->load.is_active);
    retire_list_collect(&store->retired, store->map, &store->slab);
    for (size_t i = 0; i < count + 2 * (size_t)APPLY_AHEAD; i++) {
        if (i < count) {
            prepare(store, &items[i], &ring[i % APPLY_RING]);
        }
        if (i >= APPLY_AHEAD && i - APPLY_AHEAD < count) {
            const struct prepared *next = &ring[(i - APPLY_AHEAD) % APPLY_RING];
            if (next->is_valid) {
                kv_map_prefetch_entry(store->map, next->key.hash);
            }
        }
        if (i >= 2 * (size_t)APPLY_AHEAD) {
            size_t now = i - 2 * (size_t)APPLY_AHEAD;
            apply_one(store, &ring[now % APPLY_RING], &items[now]);
        }
    }
}

/* --- looking --- */

static struct kv_key key_of(const void *bytes, size_t size)
{
    return (struct kv_key){.hash = hash_bytes(bytes, size), .bytes = bytes, .size = (uint32_t)size};
}

enum store_result store_get(struct store *store, const void *key, size_t key_bytes,
                            struct store_entry *entry)
{
    struct kv_place place;
    struct kv_key wanted = key_of(key, key_bytes);
    const struct entry *found = kv_map_find(store->map, &wanted, &place);
    if (found == NULL) {
        return STORE_NOT_FOUND;
    }
    *entry = describe(found);
    return STORE_OK;
}

uint64_t store_digest_of(uint64_t sum, uint64_t keys)
{
    uint64_t parts[2] = {sum, keys};
    return hash_bytes(parts, sizeof parts);
}

uint64_t store_digest(const struct store *store)
{
    return store_digest_of(store->digest_sum, kv_map_keys(store->map));
}

uint64_t store_digest_recompute(const struct store *store)
{
    uint64_t sum = 0;
    uint64_t keys = 0;
    struct kv_walk walk = {0};
    for (const struct entry *entry; (entry = kv_map_walk(store->map, &walk)) != NULL; keys++) {
        sum += entry_contribution(entry, entry->bytes);
    }
    return store_digest_of(sum, keys);
}

void store_stats(const struct store *store, struct store_stats *stats)
{
    *stats = (struct store_stats){
        .keys = kv_map_keys(store->map),
        .bytes_live = store->bytes_live,
        .bytes_retired = store->retired.bytes + store->snapshot.preserved_bytes,
        .bytes_held = sizeof *store + kv_map_bytes(store->map) + store->slab.bytes_held +
                      store->retired.bytes_held + store->retired.bytes_doomed,
        .applied_slot = store->applied_slot,
    };
}

void store_housekeep(struct store *store)
{
    retire_list_collect(&store->retired, store->map, &store->slab);
    retire_list_age(&store->retired, store->map);
    kv_map_step(store->map);
}

/* --- readers --- */

struct store_reader {
    struct kv_map *map;
};

int store_reader_register(struct store *store, struct store_reader **out)
{
    struct store_reader *reader = malloc(sizeof *reader);
    if (reader == NULL) {
        return -ENOMEM;
    }
    reader->map = store->map;
    kv_map_reader_register(reader->map);
    *out = reader;
    return 0;
}

void store_reader_unregister(struct store_reader *reader)
{
    kv_map_reader_unregister(reader->map);
    free(reader);
}

void store_reader_enter(struct store_reader *reader)
{
    (void)reader; /* RCU's read side is the thread's, whatever the map */
    kv_map_reader_enter();
}

void store_reader_leave(struct store_reader *reader)
{
    (void)reader;
    kv_map_reader_leave();
}

enum store_result store_reader_get(struct store_reader *reader, const void *key, size_t key_bytes,
                                   struct store_entry *entry)
{
    struct kv_key wanted = key_of(key, key_bytes);
    const struct entry *found = kv_map_reader_find(reader->map, &wanted);
    if (found == NULL) {
        return STORE_NOT_FOUND;
    }
    *entry = describe(found);
    return STORE_OK;
}
