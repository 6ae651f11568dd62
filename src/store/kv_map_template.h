/* SPDX-License-Identifier: MIT */
/*
 * The table of both maps: included once each by rcu_map.c and plain_map.c, which say beforehand
 * what a shared word is and how it is read and published:
 *
 *   MAP_WORD(type)         the type of a word that readers load while the writer stores
 *   MAP_LOAD(place)        acquire: what was written before the value was published is visible
 *   MAP_LOAD_OWN(place)    the writer's own look at what it alone stores
 *   MAP_PUBLISH(place, v)  release
 *   struct map_reclaim     what the implementation keeps in the map for grace periods
 *
 * The table. Open addressing with linear probing over a power of two of 8-byte slots, eight to a
 * cache line. A slot is EMPTY, a TOMBSTONE, or an entry's address with the hash's top 16 bits in
 * the bits that user addresses leave free: one word, so that a reader never sees half a slot, and a
 * probe looks into an entry it does not want only once in 65536 times.
 *
 * [M1] One slot decides. A key is in at most one slot of one table (but for [M3]); every write to
 * it is one store to that slot: publishing where it was absent, replacing, or a TOMBSTONE. A
 * reader's look-up takes effect where it loads that slot.
 *
 * [M2] Nothing moves within a table. Shifting entries back over a deleted one would carry them
 * behind a reader that has already passed the earlier slot: it would miss a key that was there all
 * the time. So deletion leaves a TOMBSTONE, which probes pass over. A slot becomes EMPTY again only
 * when the slot after it is EMPTY: then no key's probe leads beyond it. Hence, while a key is in
 * its slot, no slot between its home and there is EMPTY, and a reader cannot stop short of it.
 * Reusing a TOMBSTONE for another key changes no other key's path. A key that is deleted and
 * inserted again elsewhere in the course of one look-up may be missed, and was absent in between:
 * the look-up takes effect there.
 *
 * [M3] Growth goes from one table into the next, some slots at a time. The writer links the new
 * table behind the old one (old->next), from then on inserts absent keys into the new one only, and
 * replaces a key wherever it is. Moving a key publishes its entry in the new table, then lays a
 * TOMBSTONE in the old. Readers follow the chain from old to new. For a key there throughout the
 * look-up:
 *   - the reader loads its old slot before the TOMBSTONE: it finds the entry. It is the current
 * one: as long as the slot holds it, every reader finds it there first, so the second copy is
 * unseen.
 *   - it loads the TOMBSTONE: that was published after the copy in the new table and after
 * old->next (release, acquire), so it sees the link, and in the new table the key's slot filled.
 *   - the old table is dropped (map->first = next) only once every slot in it has been moved. A
 * reader that was in it goes on through its next, which stays; one that starts later has the same
 * order from loading first. Looking into the new table FIRST would be wrong: miss there, the key
 * moves, miss in the old one; and leaving moved entries in the old table, to make that order work,
 * would leave dangling addresses in it once they are replaced.
 *
 * [M4] No loop without end: a table always has EMPTY slots. When 5/8 of the slots are used up, the
 * next table is mapped and its pages touched bit by bit, TOUCH_AT_ONCE bytes for each portion of
 * KEYS_AT_ONCE keys: at most 1/16 and three portions more are used up until it is ready and the
 * move begins. It is made at least half as large as the old one, and large enough to start little
 * more than 3/8 full. Each key inserted moves MOVE_PER_KEY slots: an eighth of the old capacity in
 * inserts, at most a quarter of the new, so the move ends with the new table 5/8 full or hardly
 * more. map_balance checks for 7/8.
 *
 * Growing, shrinking and getting rid of tombstones are one operation; only the new size differs. No
 * step of it takes longer than some tens of microseconds.
 */
#include "store/kv_map.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cacheline.h"
#include "store/pages.h"

#define SLOT_EMPTY     UINT64_C(0)
#define SLOT_TOMBSTONE UINT64_C(1) /* no entry's address: those are aligned */
#define SLOT_TAG_BITS  48u         /* below: the address */

enum {
    CAPACITY_MIN = 1024,
    SPARSE_BELOW = 16,      /* shrink when fewer than a sixteenth of the slots are live */
    KEYS_AT_ONCE = 32,      /* keys inserted or removed between two portions of work on growth */
    MOVE_PER_KEY = 8,       /* slots */
    MOVE_PER_STEP = 512,    /* slots; about 10 us */
    MOVE_GROUP = 32,        /* slots prefetched together */
    PREFETCH_PROBES = 8,    /* a line of slots */
    WALK_PREFETCH = 8,      /* slots ahead */
    TOUCH_AT_ONCE = 8192,   /* bytes */
    REAP_AT_ONCE = 1 << 18, /* bytes */
};

struct kv_table {
    /* Set before publication, then constant, but for next: set once. */
    _Alignas(CACHELINE_PAIR) MAP_WORD(uint64_t) * slots;
    uint64_t mask;
    MAP_WORD(struct kv_table *) next;
    /* The writer's. */
    _Alignas(CACHELINE_PAIR) uint64_t sequence; /* 1 for the map's first table, then counting */
    uint64_t used;                              /* slots not EMPTY */
    uint64_t live;                              /* slots with an entry */
    uint64_t moved;                             /* slots before this one have been moved to next */
    uint8_t *pages;                             /* the slots' memory */
    size_t bytes;                               /* still mapped of it */
    struct kv_grace *grace;                     /* once dropped */
    struct kv_table *next_dropped;
};

struct kv_map {
    _Alignas(CACHELINE_PAIR) MAP_WORD(struct kv_table *) first; /* where readers start */
    _Alignas(CACHELINE_PAIR) struct kv_table *newest;
    struct kv_table *coming;  /* not yet all touched, unknown to readers; or NULL */
    size_t coming_touched;    /* bytes of it */
    struct kv_table *dropped; /* oldest first */
    uint64_t keys;
    uint64_t owed; /* keys inserted and removed since the last portion of work on growth */
    uint64_t capacity_floor; /* never smaller than made for */
    size_t bytes;            /* of all tables, dropped ones included */
    struct map_reclaim reclaim;
};

static inline uint64_t slot_pack(uint64_t hash, const struct entry *entry)
{
    return (hash >> SLOT_TAG_BITS << SLOT_TAG_BITS) | (uint64_t)(uintptr_t)entry;
}

static inline struct entry *slot_entry(uint64_t slot)
{
    return (struct entry *)(uintptr_t)(slot & ((UINT64_C(1) << SLOT_TAG_BITS) - 1));
}

static inline bool slot_has_entry(uint64_t slot)
{
    return slot > SLOT_TOMBSTONE;
}

static inline bool slot_has_tag(uint64_t slot, uint64_t hash)
{
    return (slot ^ hash) >> SLOT_TAG_BITS == 0 && slot_has_entry(slot);
}

/* --- tables --- */

static struct kv_table *table_create(uint64_t capacity, uint64_t sequence)
{
    struct kv_table *table = aligned_alloc(CACHELINE_PAIR, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    *table = (struct kv_table){.mask = capacity - 1, .sequence = sequence};
    table->bytes = pages_round(capacity * sizeof *table->slots);
    table->pages = pages_map(table->bytes); /* zeroed: EMPTY */
    if (table->pages == NULL) {
        free(table);
        return NULL;
    }
    table->slots = (void *)table->pages;
    return table;
}

/*
 * The slot of key, or NULL; then *vacant, if asked for, is the first slot it may be inserted into.
 * Both sides run it; for the writer relaxed loads would do.
 */
static inline struct entry *table_probe(const struct kv_table *table, const struct kv_key *key,
                                        uint64_t *found, uint64_t *vacant)
{
    uint64_t mask = table->mask;
    uint64_t index = key->hash & mask;
    uint64_t tombstone = UINT64_MAX;
    for (;; index = (index + 1) & mask) { /* ends: [M4] */
        /* acquire: pairs with MAP_PUBLISH of the slot [M1]; the entry's bytes are visible, and
         * behind a TOMBSTONE of a move the key's new slot and the way to it [M3] */
        uint64_t slot = MAP_LOAD(&table->slots[index]);
        if (slot == SLOT_EMPTY) {
            break;
        }
        if (slot_has_tag(slot, key->hash)) {
            struct entry *entry = slot_entry(slot);
            if (LIKELY(entry_has_key(entry, key))) {
                *found = index;
                return entry;
            }
        } else if (slot == SLOT_TOMBSTONE && tombstone == UINT64_MAX) {
            tombstone = index;
        }
    }
    if (vacant != NULL) {
        *vacant = tombstone == UINT64_MAX ? index : tombstone;
    }
    return NULL;
}

static void table_fill(struct kv_table *table, uint64_t index, uint64_t slot)
{
    table->used += MAP_LOAD_OWN(&table->slots[index]) == SLOT_EMPTY;
    table->live++;
    /* release: pairs with table_probe [M1] */
    MAP_PUBLISH(&table->slots[index], slot);
}

/* EMPTY instead of a TOMBSTONE where no probe leads beyond, and so for the TOMBSTONES before [M2].
 */
static void table_clear(struct kv_table *table, uint64_t index)
{
    uint64_t mask = table->mask;
    table->live--;
    if (MAP_LOAD_OWN(&table->slots[(index + 1) & mask]) != SLOT_EMPTY) {
        MAP_PUBLISH(&table->slots[index], SLOT_TOMBSTONE);
        return;
    }
    do {
        MAP_PUBLISH(&table->slots[index], SLOT_EMPTY);
        table->used--;
        index = (index - 1) & mask;
    } while (MAP_LOAD_OWN(&table->slots[index]) == SLOT_TOMBSTONE);
}

/* --- growth --- */

static struct kv_table *map_first(const struct kv_map *map)
{
    return MAP_LOAD_OWN(&map->first);
}

/* Smallest capacity in which `keys` take up at most `eighths` eighths. */
static uint64_t capacity_for(uint64_t keys, uint64_t eighths, uint64_t least)
{
    uint64_t capacity = CAPACITY_MIN;
    while (capacity < least || keys * 8 > capacity * eighths) {
        capacity *= 2;
    }
    return capacity;
}

static void map_drop(struct kv_map *map, struct kv_table *table)
{
    table->grace = kv_map_grace_begin(map);
    table->next_dropped = NULL;
    struct kv_table **end = &map->dropped;
    while (*end != NULL) { /* rarely more than one */
        end = &(*end)->next_dropped;
    }
    *end = table;
}

/* Gives back a slice of the oldest dropped table: unmapping 100 MB at once would take milliseconds.
 */
static void map_reap(struct kv_map *map)
{
    struct kv_table *table = map->dropped;
    if (table == NULL || !kv_map_grace_is_over(table->grace)) {
        return;
    }
    size_t slice = table->bytes < REAP_AT_ONCE ? table->bytes : REAP_AT_ONCE;
    table->bytes -= slice;
    map->bytes -= slice;
    pages_unmap(table->pages + table->bytes, slice);
    if (table->bytes == 0) {
        map->dropped = table->next_dropped;
        kv_map_grace_end(map, table->grace);
        free(table);
    }
}

/* Too full, of entries and tombstones; or far too large for what is left in it. */
static bool map_wants_another_table(const struct kv_map *map)
{
    uint64_t capacity = map->newest->mask + 1;
    return map->newest->used * 8 > capacity * 5 ||
           (capacity > map->capacity_floor && map->newest->live * SPARSE_BELOW < capacity);
}

static void map_begin_touching(struct kv_map *map)
{
    const struct kv_table *old = map->newest;
    uint64_t capacity = old->mask + 1;
    uint64_t live_then = old->live + capacity / 16; /* at most, [M4] */
    uint64_t least = capacity / 2 < map->capacity_floor ? map->capacity_floor : capacity / 2;
    map->coming = table_create(capacity_for(live_then, 3, least), old->sequence + 1);
    ASSERT(map->coming != NULL); /* out of memory: stops the process, see store_apply */
    map->coming_touched = 0;
    map->bytes += map->coming->bytes;
}

static void map_begin_moving(struct kv_map *map)
{
    struct kv_table *old = map->newest;
    map->newest = map->coming;
    map->coming = NULL;
    pages_offer_huge(map->newest->pages, map->newest->bytes);
    /* release: pairs with kv_map_reader_find [M3]; the new table's fields are visible */
    MAP_PUBLISH(&old->next, map->newest);
}

static void map_touch(struct kv_map *map)
{
    struct kv_table *table = map->coming;
    size_t rest = table->bytes - map->coming_touched;
    size_t part = rest < TOUCH_AT_ONCE ? rest : TOUCH_AT_ONCE;
    pages_touch(table->pages + map->coming_touched, part);
    map->coming_touched += part;
    if (part == rest) {
        map_begin_moving(map);
    }
}

static void map_end_moving(struct kv_map *map)
{
    struct kv_table *old = map_first(map);
    /* release: pairs with kv_map_reader_find [M3] */
    MAP_PUBLISH(&map->first, map->newest);
    map_drop(map, old);
}

static void move_slot(struct kv_map *map, struct kv_table *old, uint64_t index, uint64_t hash)
{
    struct kv_table *table = map->newest;
    uint64_t target = hash & table->mask;
    while (slot_has_entry(MAP_LOAD_OWN(&table->slots[target]))) {
        target = (target + 1) & table->mask;
    }
    table_fill(table, target, MAP_LOAD_OWN(&old->slots[index]));
    old->live--;
    /* release: pairs with table_probe [M3]; who sees it sees the slot just filled */
    MAP_PUBLISH(&old->slots[index], SLOT_TOMBSTONE);
}

/* Moves MOVE_GROUP slots: entries, then their new slots are prefetched, then they are moved. */
static void move_group(struct kv_map *map, struct kv_table *old)
{
    uint64_t hashes[MOVE_GROUP];
    uint64_t first = old->moved;
    for (unsigned i = 0; i < MOVE_GROUP; i++) {
        uint64_t slot = MAP_LOAD_OWN(&old->slots[first + i]);
        if (slot_has_entry(slot)) {
            __builtin_prefetch(slot_entry(slot));
        }
    }
    for (unsigned i = 0; i < MOVE_GROUP; i++) {
        uint64_t slot = MAP_LOAD_OWN(&old->slots[first + i]);
        if (slot_has_entry(slot)) {
            const struct entry *entry = slot_entry(slot);
            hashes[i] = hash_bytes(entry->bytes, entry->key_bytes);
            __builtin_prefetch(&map->newest->slots[hashes[i] & map->newest->mask], 1);
        }
    }
    for (unsigned i = 0; i < MOVE_GROUP; i++) {
        if (slot_has_entry(MAP_LOAD_OWN(&old->slots[first + i]))) {
            move_slot(map, old, first + i, hashes[i]);
        }
    }
    old->moved += MOVE_GROUP;
}

static void map_move(struct kv_map *map, uint64_t slots)
{
    struct kv_table *old = map_first(map);
    for (uint64_t done = 0; old != map->newest && done < slots; done += MOVE_GROUP) {
        move_group(map, old);
        if (old->moved > old->mask) {
            map_end_moving(map);
            return;
        }
    }
}

/* A portion of whatever is to be done about the table's size. */
static void map_resize(struct kv_map *map, uint64_t slots)
{
    if (map_first(map) != map->newest) {
        map_move(map, slots);
    } else if (map->coming != NULL) {
        map_touch(map);
    } else if (map_wants_another_table(map)) {
        map_begin_touching(map);
    }
    map_reap(map);
}

/* After each key inserted or removed: the balance of [M4]. */
static void map_balance(struct kv_map *map)
{
    if (UNLIKELY(++map->owed == KEYS_AT_ONCE)) {
        ASSERT(map->newest->used * 8 <= (map->newest->mask + 1) * 7); /* [M4], with room to spare */
        map->owed = 0;
        map_resize(map, (uint64_t)KEYS_AT_ONCE * MOVE_PER_KEY);
    }
}

void kv_map_step(struct kv_map *map)
{
    map_resize(map, MOVE_PER_STEP);
}

/* --- the writer's calls --- */

int kv_map_create(struct kv_map **out, uint64_t expected_keys)
{
    struct kv_map *map = aligned_alloc(CACHELINE_PAIR, sizeof *map);
    if (map == NULL) {
        return -ENOMEM;
    }
    memset(map, 0, sizeof *map);
    map->newest = table_create(capacity_for(expected_keys, 5, 0), 1);
    if (map->newest == NULL) {
        free(map);
        return -ENOMEM;
    }
    pages_populate(map->newest->pages, map->newest->bytes);
    map->bytes = map->newest->bytes;
    map->capacity_floor = map->newest->mask + 1;
    MAP_PUBLISH(&map->first, map->newest);
    *out = map;
    return 0;
}

static void map_drop_from(struct kv_map *map, struct kv_table *table)
{
    if (map->coming != NULL) {
        map_drop(map, map->coming);
        map->coming = NULL;
    }
    while (table != NULL) {
        struct kv_table *next = MAP_LOAD_OWN(&table->next);
        map_drop(map, table);
        table = next;
    }
}

void kv_map_destroy(struct kv_map *map)
{
    if (map == NULL) {
        return;
    }
    map_drop_from(map, map_first(map));
    kv_map_barrier(map);
    while (map->dropped != NULL) {
        map_reap(map);
    }
    map_reclaim_deinit(&map->reclaim);
    free(map);
}

void kv_map_reset(struct kv_map *map, uint64_t expected_keys)
{
    struct kv_table *table =
        table_create(capacity_for(expected_keys, 5, 0), map->newest->sequence + 1);
    ASSERT(table != NULL); /* out of memory: stops the process, see store_apply */
    pages_populate(table->pages, table->bytes);
    struct kv_table *old = map_first(map);
    map->bytes += table->bytes;
    /* release: pairs with kv_map_reader_find */
    MAP_PUBLISH(&map->first, table);
    map->newest = table;
    map->keys = 0;
    map_drop_from(map, old);
}

struct entry *kv_map_find(struct kv_map *map, const struct kv_key *key, struct kv_place *place)
{
    struct kv_table *table = map_first(map);
    if (UNLIKELY(table != map->newest)) {
        struct entry *entry = table_probe(table, key, &place->index, NULL);
        if (entry != NULL) {
            place->table = table;
            return entry;
        }
        table = map->newest;
    }
    struct entry *entry = table_probe(table, key, &place->index, &place->index);
    place->table = entry != NULL ? table : NULL;
    return entry;
}

void kv_map_publish(struct kv_map *map, const struct kv_place *place, uint64_t hash,
                    struct entry *entry)
{
    if (place->table != NULL) {
        /* release: pairs with table_probe [M1] */
        MAP_PUBLISH(&place->table->slots[place->index], slot_pack(hash, entry));
        return;
    }
    table_fill(map->newest, place->index, slot_pack(hash, entry));
    map->keys++;
    map_balance(map);
}

void kv_map_remove(struct kv_map *map, const struct kv_place *place)
{
    table_clear(place->table, place->index);
    map->keys--;
    map_balance(map);
}

void kv_map_prefetch_slot(const struct kv_map *map, uint64_t hash)
{
    const struct kv_table *table = map_first(map);
    __builtin_prefetch(&table->slots[hash & table->mask], 1);
    if (UNLIKELY(table != map->newest)) {
        __builtin_prefetch(&map->newest->slots[hash & map->newest->mask], 1);
    }
}

static bool table_prefetch_entry(const struct kv_table *table, uint64_t hash)
{
    for (uint64_t i = 0; i < PREFETCH_PROBES; i++) {
        uint64_t slot = MAP_LOAD_OWN(&table->slots[(hash + i) & table->mask]);
        if (slot == SLOT_EMPTY) {
            return false;
        }
        if (slot_has_tag(slot, hash)) {
            __builtin_prefetch(slot_entry(slot));
            return true;
        }
    }
    return false;
}

void kv_map_prefetch_entry(const struct kv_map *map, uint64_t hash)
{
    const struct kv_table *table = map_first(map);
    if (!table_prefetch_entry(table, hash) && UNLIKELY(table != map->newest)) {
        (void)table_prefetch_entry(map->newest, hash);
    }
}

uint64_t kv_map_keys(const struct kv_map *map)
{
    return map->keys;
}

size_t kv_map_bytes(const struct kv_map *map)
{
    return map->bytes;
}

/*
 * Entries move only from a table to the next one [M3], and the walk goes the same way: what moves
 * away from ahead of it, it meets in a later table; what moves from behind it, it meets again,
 * which is why kv_map_walk's users mark what they have taken.
 */
struct entry *kv_map_walk(const struct kv_map *map, struct kv_walk *walk)
{
    const struct kv_table *table = map_first(map);
    while (table->sequence < walk->sequence) {
        table = MAP_LOAD_OWN(&table->next);
    }
    for (;; table = MAP_LOAD_OWN(&table->next)) {
        if (table == NULL) {
            return NULL;
        }
        if (table->sequence != walk->sequence) { /* the next one, or the walk's is gone */
            *walk = (struct kv_walk){.sequence = table->sequence};
        }
        while (walk->index <= table->mask) {
            uint64_t ahead =
                MAP_LOAD_OWN(&table->slots[(walk->index + WALK_PREFETCH) & table->mask]);
            if (slot_has_entry(ahead)) {
                __builtin_prefetch(slot_entry(ahead));
            }
            uint64_t slot = MAP_LOAD_OWN(&table->slots[walk->index++]);
            if (slot_has_entry(slot)) {
                return slot_entry(slot);
            }
        }
    }
}

/* --- the readers' call --- */

const struct entry *kv_map_reader_find(const struct kv_map *map, const struct kv_key *key)
{
    /* acquire: pairs with map_end_moving, kv_map_reset, kv_map_create [M3] */
    const struct kv_table *table = MAP_LOAD(&map->first);
    do { /* one round, two while the table grows */
        uint64_t index;
        const struct entry *entry = table_probe(table, key, &index, NULL);
        if (entry != NULL) {
            return entry;
        }
        /* acquire: pairs with map_begin_moving [M3] */
        table = MAP_LOAD(&table->next);
    } while (table != NULL);
    return NULL;
}
