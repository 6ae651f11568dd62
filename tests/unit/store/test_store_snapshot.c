/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <errno.h>

#include "base/bytes.h"
#include "store/store_state.h"
#include "store_driver.h"
#include "test_main.h"

struct image {
    uint8_t *bytes;
    size_t size;
};

static size_t slice_room(struct driver *driver, struct prng *prng)
{
    return store_snapshot_slice_bytes(driver->store) + prng_below(prng, 2000);
}

/* Takes a snapshot while `between` random commands are applied from slice to slice. */
static struct image take(struct driver *driver, uint64_t between)
{
    struct prng prng;
    prng_init(&prng, driver->slot);
    uint64_t total = store_snapshot_begin(driver->store);
    ck_assert(store_snapshot_is_active(driver->store));
    struct image image = {.bytes = malloc(total + 4096)};
    for (;;) {
        uint8_t slice[4096];
        size_t room = slice_room(driver, &prng);
        size_t size = store_snapshot_next(driver->store, slice, room);
        if (size == 0) {
            break;
        }
        ck_assert_uint_le(size, room);
        ck_assert_uint_le(image.size + size, total);
        memcpy(image.bytes + image.size, slice, size);
        image.size += size;
        driver_run(driver, between);
        store_housekeep(driver->store);
    }
    ck_assert_uint_eq(image.size, total);
    store_snapshot_end(driver->store);
    ck_assert(!store_snapshot_is_active(driver->store));
    return image;
}

/* Loads in slices of random sizes. */
static int load(struct store *store, const uint8_t *bytes, size_t size, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    int error = 0;
    store_load_begin(store);
    for (size_t at = 0; at < size && error == 0;) {
        size_t rest = size - at;
        size_t part = prng_below(&prng, prng_below(&prng, 4) == 0 ? 3 : 900);
        part = part < rest ? part : rest;
        error = store_load_slice(store, bytes + at, part);
        at += part;
    }
    int finish_error = store_load_finish(store);
    EXPECT(error == 0 || finish_error == error);
    return finish_error;
}

static struct store_stats stats_of(const struct store *store)
{
    struct store_stats stats;
    store_stats(store, &stats);
    return stats;
}

static void assert_empty(struct store *store)
{
    struct store *fresh = driver_create_store();
    ck_assert_uint_eq(stats_of(store).keys, 0);
    ck_assert_uint_eq(stats_of(store).applied_slot, 0);
    ck_assert_uint_eq(stats_of(store).bytes_live, 0);
    ck_assert_uint_eq(store_digest(store), store_digest(fresh));
    ck_assert_uint_eq(store_digest_recompute(store), store_digest(fresh));
    store_destroy(fresh);
}

START_TEST(loading_gives_the_state_at_begin)
{
    static const uint64_t keys[] = {1, 50, 3000, 20000};
    static const uint64_t between[] = {0, 1, 30, 400};
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        for (size_t b = 0; b < sizeof between / sizeof between[0]; b++) {
            struct driver driver;
            driver_init(&driver, 10 * k + b, keys[k]);
            driver_run(&driver, keys[k] < 3000 ? 500 : 2 * keys[k]);
            uint64_t digest = store_digest(driver.store);
            struct store_stats at_begin = stats_of(driver.store);
            struct image image = take(&driver, keys[k] < 3000 ? between[b] : between[b] / 8);
            ck_assert_uint_eq(store_digest(driver.store), store_digest_recompute(driver.store));
            struct store *copy = driver_create_store();
            ck_assert_int_eq(load(copy, image.bytes, image.size, b), 0);
            ck_assert_uint_eq(store_digest(copy), digest);
            ck_assert_uint_eq(store_digest_recompute(copy), digest);
            ck_assert_uint_eq(stats_of(copy).keys, at_begin.keys);
            ck_assert_uint_eq(stats_of(copy).applied_slot, at_begin.applied_slot);
            ck_assert_uint_eq(stats_of(copy).bytes_live, at_begin.bytes_live);
            free(image.bytes);
            store_destroy(copy);
            store_destroy(driver.store);
        }
    }
}
END_TEST

static void put_number(struct driver *driver, uint64_t number)
{
    struct command command = {.op = COMMAND_PUT,
                              .key_bytes = sizeof number,
                              .key = (const uint8_t *)&number,
                              .value_bytes = sizeof number,
                              .value = (const uint8_t *)&number};
    (void)driver_apply(driver, &command);
}

/* Several growths begin and end under one snapshot, and every old key is replaced or deleted. */
START_TEST(growth_and_total_replacement_during_the_walk_lose_nothing)
{
    struct driver driver;
    driver_init(&driver, 3, 1);
    for (uint64_t i = 0; i < 5000; i++) {
        put_number(&driver, i);
    }
    uint64_t digest = store_digest(driver.store);
    uint64_t total = store_snapshot_begin(driver.store);
    struct store *copy = driver_create_store();
    store_load_begin(copy);
    uint64_t next_new = 5000;
    uint64_t next_old = 0;
    uint64_t written = 0;
    for (;;) {
        uint8_t slice[4096];
        size_t size = store_snapshot_next(driver.store, slice, 800);
        if (size == 0) {
            break;
        }
        written += size;
        ck_assert_int_eq(store_load_slice(copy, slice, size), 0);
        for (unsigned i = 0; i < 300; i++) {
            put_number(&driver, next_new++);
        }
        for (unsigned i = 0; i < 10; i++, next_old++) {
            uint64_t number = (next_old * 4001) % 5000;
            if (number % 2 == 0) {
                put_number(&driver, number);
            } else {
                struct command command = {.op = COMMAND_DELETE,
                                          .key_bytes = sizeof number,
                                          .key = (const uint8_t *)&number};
                (void)driver_apply(&driver, &command);
            }
        }
    }
    store_snapshot_end(driver.store);
    ck_assert_uint_eq(written, total);
    ck_assert_int_eq(store_load_finish(copy), 0);
    ck_assert_uint_eq(store_digest(copy), digest);
    ck_assert_uint_eq(stats_of(copy).keys, 5000);
    ck_assert_uint_gt(stats_of(driver.store).keys, 50000);
    store_destroy(copy);
    store_destroy(driver.store);
}
END_TEST

START_TEST(what_is_preserved_is_given_back)
{
    struct driver driver;
    driver_init(&driver, 4, 100);
    driver_run(&driver, 1000);
    (void)store_snapshot_begin(driver.store);
    driver_run(&driver, 1000);
    ck_assert_uint_gt(stats_of(driver.store).bytes_retired, 0);
    store_snapshot_end(driver.store); /* given up in the middle */
    for (unsigned i = 0; i < 100; i++) {
        store_housekeep(driver.store);
    }
    ck_assert_uint_eq(stats_of(driver.store).bytes_retired, 0);
    store_destroy(driver.store);
}
END_TEST

START_TEST(the_empty_store_has_a_snapshot_too)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    struct image image = take(&driver, 0);
    struct store *copy = driver_create_store();
    ck_assert_int_eq(load(copy, image.bytes, image.size, 1), 0);
    assert_empty(copy);
    free(image.bytes);
    store_destroy(copy);
    store_destroy(driver.store);
}
END_TEST

START_TEST(a_loaded_store_goes_on_like_the_original)
{
    struct driver original;
    driver_init(&original, 8, 300);
    driver_run(&original, 5000);
    struct image image = take(&original, 0);
    struct driver copy;
    driver_init(&copy, 99, 300);
    driver_run(&copy, 3000); /* to be replaced altogether */
    (void)store_snapshot_begin(copy.store);
    ck_assert_int_eq(load(copy.store, image.bytes, image.size, 1), 0);
    copy.slot = original.slot;
    copy.prng = original.prng;
    driver_run(&original, 5000);
    driver_run(&copy, 5000);
    ck_assert_uint_eq(store_digest(copy.store), store_digest(original.store));
    ck_assert_uint_eq(store_digest_recompute(copy.store), store_digest(original.store));
    free(image.bytes);
    store_destroy(copy.store);
    store_destroy(original.store);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    struct driver driver;
    driver_init(&driver, 9, 20);
    driver_run(&driver, 100);
    struct image image = take(&driver, 0);
    struct store *copy = driver_create_store();
    for (size_t size = 0; size < image.size; size++) {
        ck_assert_int_eq(load(copy, image.bytes, size, size), -EBADMSG);
        assert_empty(copy);
    }
    ck_assert_int_eq(load(copy, image.bytes, image.size + 1, 0), -EBADMSG);
    free(image.bytes);
    store_destroy(copy);
    store_destroy(driver.store);
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    struct driver driver;
    driver_init(&driver, 10, 8);
    driver_run(&driver, 60);
    struct image image = take(&driver, 0);
    struct store *copy = driver_create_store();
    for (size_t bit = 0; bit < image.size * 8; bit++) {
        image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        EXPECT(load(copy, image.bytes, image.size, bit) == -EBADMSG);
        EXPECT(stats_of(copy).keys == 0);
        image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(image.bytes);
    store_destroy(copy);
    store_destroy(driver.store);
}
END_TEST

static size_t write_entry(uint8_t *bytes, const char *key)
{
    bytes_store_u32(bytes, 1);
    bytes_store_u32(bytes + 4, 0);
    bytes_store_u64(bytes + 8, 1);
    bytes_store_u64(bytes + 16, 1);
    bytes_store_u64(bytes + 24, 1);
    bytes[SNAPSHOT_ENTRY_BYTES] = (uint8_t)key[0];
    return SNAPSHOT_ENTRY_BYTES + 1;
}

/* A header that agrees with whatever follows it: what a hostile writer would do. */
static void write_header(uint8_t *bytes, size_t total, uint64_t keys, uint64_t sum)
{
    bytes_store_u64(bytes, SNAPSHOT_MAGIC);
    bytes_store_u64(bytes + 8, total);
    bytes_store_u64(bytes + 16, 1);
    bytes_store_u64(bytes + 24, keys);
    bytes_store_u64(bytes + 32, store_digest_of(sum, keys));
    bytes_store_u64(bytes + SNAPSHOT_CHECK_OFFSET, hash_bytes(bytes, SNAPSHOT_CHECK_OFFSET));
}

static int load_keys(const char *keys, uint64_t distinct)
{
    uint8_t bytes[1024];
    size_t size = SNAPSHOT_HEADER_BYTES;
    uint64_t sum = 0;
    for (; *keys != '\0'; keys++) {
        struct entry entry = {.version = 1, .create_slot = 1, .modify_slot = 1, .key_bytes = 1};
        sum += entry_contribution(&entry, (const uint8_t *)keys);
        size += write_entry(bytes + size, keys);
    }
    write_header(bytes, size, distinct, sum);
    struct store *store = driver_create_store();
    int error = load(store, bytes, size, 1);
    store_destroy(store);
    return error;
}

START_TEST(a_key_that_comes_twice_is_refused)
{
    ck_assert_int_eq(load_keys("ab", 2), 0);
    ck_assert_int_eq(load_keys("aab", 2), -EBADMSG);
    ck_assert_int_eq(load_keys("aab", 3), -EBADMSG);
    ck_assert_int_eq(load_keys("ab", 1), -EBADMSG);
    ck_assert_int_eq(load_keys("ab", 3), -EBADMSG);
}
END_TEST

START_TEST(arbitrary_bytes_are_refused)
{
    struct prng prng;
    prng_init(&prng, 11);
    struct driver driver;
    driver_init(&driver, 12, 50);
    driver_run(&driver, 300);
    struct image image = take(&driver, 0);
    struct store *copy = driver_create_store();
    for (unsigned i = 0; i < 3000; i++) {
        size_t from = prng_below(&prng, image.size);
        size_t count = 1 + prng_below(&prng, 64);
        uint8_t *damaged = malloc(image.size + 1);
        memcpy(damaged, image.bytes, image.size);
        for (size_t at = from; at < image.size && at < from + count; at++) {
            damaged[at] = (uint8_t)prng_next(&prng);
        }
        bool is_damaged = memcmp(damaged, image.bytes, image.size) != 0;
        ck_assert_int_eq(load(copy, damaged, image.size, i), is_damaged ? -EBADMSG : 0);
        free(damaged);
    }
    free(image.bytes);
    store_destroy(copy);
    store_destroy(driver.store);
}
END_TEST

TEST_MAIN("store/snapshot", loading_gives_the_state_at_begin,
          growth_and_total_replacement_during_the_walk_lose_nothing,
          what_is_preserved_is_given_back, the_empty_store_has_a_snapshot_too,
          a_loaded_store_goes_on_like_the_original, every_truncation_is_refused,
          every_flipped_bit_is_refused, a_key_that_comes_twice_is_refused,
          arbitrary_bytes_are_refused)
