/* SPDX-License-Identifier: MIT */
/*
 * The table's argument, step by step and without luck: the template compiled as a third map,
 * whose loads and stores call back. On one thread, so that every run is the same, it looks
 *   - up every key between any two of the writer's stores, and
 *   - up one key with any amount of the writer's work between any two of its loads.
 * What it cannot show is what processors reorder; the releases and acquires are for that.
 */
#include "store/kv_map.h"

#include "base/prng.h"
#include "test_main.h"

/* What to do there; in bursts and look-ups of their own, nothing. */
static void (*before_load)(void);
static void (*after_publish)(void);

static void call(void (*hook)(void))
{
    if (hook != NULL) {
        hook();
    }
}

#define MAP_WORD(type)            type
#define MAP_LOAD(place)           (call(before_load), *(place))
#define MAP_LOAD_OWN(place)       (*(place))
#define MAP_PUBLISH(place, value) (*(place) = (value), call(after_publish))

struct kv_grace {
    uint64_t unused;
};

struct map_reclaim {
    struct kv_grace grace;
};

static void map_reclaim_deinit(struct map_reclaim *reclaim)
{
    (void)reclaim;
}

#include "store/kv_map_template.h"

#define EXPECT(claim) ((claim) ? (void)0 : ck_abort_msg("not so: %s", #claim))

enum {
    STABLE = 30,    /* keys that are always there */
    PASSING = 1200, /* keys that come and go */
    KEYS = STABLE + PASSING,
    TIDE = 12000, /* steps: the table grows, shrinks */
    LONGEST_BURST = 2500,
};

static struct kv_map *tested;
static struct prng prng;
static struct entry *current[KEYS]; /* NULL: absent */
static struct entry *replacing;     /* about to take the place of its key's current one */
static bool is_reading;             /* a look-up is under way: graces do not end */
static unsigned loads_to_burst;
static unsigned burst_steps;

/* --- the port's other half --- */

bool kv_map_is_unobserved(struct kv_map *map)
{
    (void)map;
    return false;
}

struct kv_grace *kv_map_grace_begin(struct kv_map *map)
{
    return &map->reclaim.grace;
}

bool kv_map_grace_is_over(const struct kv_grace *grace)
{
    (void)grace;
    return !is_reading;
}

void kv_map_grace_end(struct kv_map *map, struct kv_grace *grace)
{
    EXPECT(grace == &map->reclaim.grace);
}

void kv_map_barrier(struct kv_map *map)
{
    (void)map;
}

void kv_map_reader_register(struct kv_map *map)
{
    (void)map;
}

void kv_map_reader_unregister(struct kv_map *map)
{
    (void)map;
}

void kv_map_reader_enter(void)
{
}

void kv_map_reader_leave(void)
{
}

/* --- the writer --- */

static struct kv_key key_of(const uint64_t *number)
{
    return (struct kv_key){.hash = hash_bytes(number, sizeof *number),
                           .bytes = (const uint8_t *)number,
                           .size = sizeof *number};
}

static struct entry *make_entry(uint64_t number, uint64_t version)
{
    struct entry *entry = malloc(sizeof *entry + sizeof number);
    EXPECT(entry != NULL);
    *entry = (struct entry){.version = version, .key_bytes = sizeof number};
    memcpy(entry->bytes, &number, sizeof number);
    return entry;
}

/* Replaced entries go at once unless a look-up may hold them: then at its end. */
static struct entry *retired[4 * LONGEST_BURST];
static size_t retired_count;

static void retire(struct entry *entry)
{
    if (is_reading) {
        EXPECT(retired_count < sizeof retired / sizeof retired[0]);
        retired[retired_count++] = entry;
    } else {
        free(entry);
    }
}

static void free_retired(void)
{
    while (retired_count > 0) {
        free(retired[--retired_count]);
    }
}

static void write_key(uint64_t number)
{
    struct kv_key key = key_of(&number);
    struct kv_place place;
    struct entry *old = current[number];
    EXPECT(kv_map_find(tested, &key, &place) == old);
    replacing = make_entry(number, old == NULL ? 1 : old->version + 1);
    kv_map_publish(tested, &place, key.hash, replacing);
    current[number] = replacing;
    replacing = NULL;
    if (old != NULL) {
        retire(old);
    }
}

static void remove_key(uint64_t number)
{
    struct kv_key key = key_of(&number);
    struct kv_place place;
    struct entry *old = current[number];
    EXPECT(kv_map_find(tested, &key, &place) == old);
    if (old != NULL) {
        current[number] = NULL; /* from here on a look-up may or may not find it */
        kv_map_remove(tested, &place);
        retire(old);
    }
}

/* Keys come for a while, then go for a while, so that tables grow, shrink and are cleaned. */
static void write_something(void)
{
    static uint64_t step;
    bool is_tide_in = step++ % TIDE < TIDE / 2;
    uint64_t number = STABLE + prng_below(&prng, PASSING);
    if (prng_below(&prng, 8) == 0) {
        write_key(prng_below(&prng, STABLE));
    } else if (prng_below(&prng, 16) == 0 ? !is_tide_in : is_tide_in) {
        write_key(number);
    } else {
        remove_key(number);
    }
    if (prng_below(&prng, 64) == 0) {
        kv_map_step(tested);
    }
}

/* --- the hooks --- */

static void look_everything_up(void)
{
    after_publish = NULL;
    for (uint64_t number = 0; number < STABLE; number++) {
        struct kv_key key = key_of(&number);
        const struct entry *found = kv_map_reader_find(tested, &key);
        EXPECT(found != NULL);
        EXPECT(found == current[number] || found == replacing);
    }
    after_publish = look_everything_up;
}

static void count_down_to_burst(void)
{
    if (--loads_to_burst > 0) {
        return;
    }
    before_load = NULL;
    for (unsigned i = 0; i < burst_steps; i++) {
        write_something();
    }
}

static void set_up(uint64_t seed)
{
    prng_init(&prng, seed);
    memset(current, 0, sizeof current);
    ck_assert_int_eq(kv_map_create(&tested, 1), 0);
    for (uint64_t number = 0; number < STABLE; number++) {
        write_key(number);
    }
}

static void tear_down(void)
{
    for (uint64_t number = 0; number < KEYS; number++) {
        free(current[number]);
        current[number] = NULL;
    }
    kv_map_destroy(tested);
}

START_TEST(between_any_two_stores_every_key_is_found)
{
    set_up(1);
    after_publish = look_everything_up;
    uint64_t first = map_first(tested)->sequence;
    for (unsigned i = 0; i < 60000; i++) {
        write_something();
    }
    after_publish = NULL;
    ck_assert_uint_gt(map_first(tested)->sequence, first + 5); /* tables replaced */
    tear_down();
}
END_TEST

START_TEST(whatever_happens_between_two_loads_the_key_is_found)
{
    set_up(2);
    uint64_t first = map_first(tested)->sequence;
    unsigned bursts = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t number = prng_below(&prng, STABLE);
        struct kv_key key = key_of(&number);
        uint64_t version = current[number]->version;
        unsigned due = 1 + (unsigned)prng_below(&prng, 8);
        loads_to_burst = due;
        burst_steps = (unsigned)prng_below(&prng, prng_below(&prng, 8) == 0 ? LONGEST_BURST : 40);
        is_reading = true;
        before_load = count_down_to_burst;
        const struct entry *found = kv_map_reader_find(tested, &key);
        EXPECT(found != NULL);
        EXPECT(found->version >= version && found->version <= current[number]->version);
        bursts += before_load == NULL;
        before_load = NULL;
        is_reading = false;
        free_retired();
        write_something();
    }
    ck_assert_uint_gt(bursts, 5000);
    ck_assert_uint_gt(map_first(tested)->sequence, first + 50);
    tear_down();
}
END_TEST

TEST_MAIN("store/kv_map_interleavings", between_any_two_stores_every_key_is_found,
          whatever_happens_between_two_loads_the_key_is_found)
