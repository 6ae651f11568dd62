/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_KV_MAP_H
#define SYNOD_STORE_KV_MAP_H

/*
 * The map port: what the store asks of a key-value map. Two implementations, one chosen at link:
 * rcu_map.c (libsynod: one writer, many wait-free readers, reclamation in batches by liburcu) and
 * plain_map.c (simulator, thread sanitizer: the same table with nothing concurrent about it). The
 * table itself is written once, in kv_map_template.h. Both give one digest for one command
 * sequence: tests/unit/store/test_kv_map_twins.c holds them to the same constants.
 *
 * The map refers to entries and owns none: who takes an entry out retires it (retire_list.h).
 *
 * Threads: reader calls on any registered thread; everything else on the writer's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "store/entry.h"

struct kv_map;
struct kv_table;

/* Where a look-up ended. Valid until the map changes. */
struct kv_place {
    struct kv_table *table; /* NULL: the key is absent, index is where it may go */
    uint64_t index;
};

/* -ENOMEM. Room for expected_keys before the table first grows. */
MUST_USE int kv_map_create(struct kv_map **map, uint64_t expected_keys);
/* No reader registered, every grace period given back. NULL does nothing. */
void kv_map_destroy(struct kv_map *map);

/* The key's entry, or NULL; fills in place either way. */
struct entry *kv_map_find(struct kv_map *map, const struct kv_key *key, struct kv_place *place);
/* Readers find `entry`, whose key has that hash, from here on; the one found at place, if any, is
 * out of the map. Memory for a larger table that cannot be had stops the process. */
void kv_map_publish(struct kv_map *map, const struct kv_place *place, uint64_t hash,
                    struct entry *entry);
/* Takes out the entry found at place. */
void kv_map_remove(struct kv_map *map, const struct kv_place *place);
/* Empties the map in constant time. Entries stay readable to readers already inside. */
void kv_map_reset(struct kv_map *map, uint64_t expected_keys);

/* Hints, for batches: first the slot, a while later the entry it points to. */
void kv_map_prefetch_slot(const struct kv_map *map, uint64_t hash);
void kv_map_prefetch_entry(const struct kv_map *map, uint64_t hash);

/* Carries on with what is done bit by bit: moving to a larger table, giving an old one back. */
void kv_map_step(struct kv_map *map);

uint64_t kv_map_keys(const struct kv_map *map);
size_t kv_map_bytes(const struct kv_map *map);

/*
 * A walk over all entries, which goes on across any changes to the map but kv_map_reset. It meets
 * each entry that was there at its start and is not taken out before; some twice, if the table
 * grows meanwhile.
 */
struct kv_walk {
    uint64_t sequence; /* of the table the walk is in; start at zero */
    uint64_t index;
};
/* The next entry; NULL at the end. */
struct entry *kv_map_walk(const struct kv_map *map, struct kv_walk *walk);

/*
 * Grace periods. One begins after entries have been taken out of the map, and is over once no
 * reader can still hold any of them. None of these calls waits, but for kv_map_barrier.
 */
struct kv_grace;
/* True: no reader is registered, so whatever is out of the map now is nobody's but the writer's. */
MUST_USE bool kv_map_is_unobserved(struct kv_map *map);
struct kv_grace *kv_map_grace_begin(struct kv_map *map);
bool kv_map_grace_is_over(const struct kv_grace *grace);
/* Gives the handle back; the grace period must be over. */
void kv_map_grace_end(struct kv_map *map, struct kv_grace *grace);
/* Waits until all grace periods begun are over. Not for the hot path: for the end. */
void kv_map_barrier(struct kv_map *map);

/*
 * Readers. Register and unregister on the thread that reads; find only between enter and leave, and
 * what it returns is the reader's until leave.
 */
void kv_map_reader_register(struct kv_map *map);
void kv_map_reader_unregister(struct kv_map *map);
void kv_map_reader_enter(void);
void kv_map_reader_leave(void);
const struct entry *kv_map_reader_find(const struct kv_map *map, const struct kv_key *key);

#endif
