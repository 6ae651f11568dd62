/* SPDX-License-Identifier: MIT */
/*
 * Readers on other threads while the writer updates, grows, deletes and loads: a key that is there
 * all the time is never missed, a value is never torn, versions never go back. The writer goes on
 * until the readers have looked often enough, and they look for as long as it goes on.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "../store_driver.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/time_source.h"
#include "test_main.h"

enum {
    STABLE_KEYS = 500, /* always there, always changing */
    READERS = 3,
    LOOKS_WANTED = 20000, /* a reader's, at least */
    VALUE_MAX = 300,
};

/* A value is a checksum over the rest, then the key's number, then filling of any length. */
static uint32_t make_value(struct prng *prng, uint64_t number, uint8_t *value)
{
    uint32_t size = (uint32_t)(12 + prng_below(prng, VALUE_MAX - 12));
    memset(value + 12, (int)prng_next(prng), size - 12);
    bytes_store_u64(value + 4, number);
    bytes_store_u32(value, crc32c(0, value + 4, size - 4));
    return size;
}

static bool value_is_whole(const struct store_entry *entry, uint64_t number)
{
    return entry->value_bytes >= 12 && bytes_load_u64(entry->value + 4) == number &&
           bytes_load_u32(entry->value) == crc32c(0, entry->value + 4, entry->value_bytes - 4);
}

static atomic_bool stop;
static atomic_uint ready; /* readers that have looked often enough */

struct reader_report {
    pthread_t thread;
    struct store *store;
    uint64_t seed;
    uint64_t looks;
    uint64_t missed;
    uint64_t torn;
    uint64_t backward;
    uint64_t volatile_found;
};

static void look(struct reader_report *report, struct store_reader *reader, struct prng *prng,
                 uint64_t *latest)
{
    uint64_t number = prng_below(prng, STABLE_KEYS);
    struct store_entry entry;
    if (store_reader_get(reader, &number, sizeof number, &entry) != STORE_OK) {
        report->missed++;
        return;
    }
    report->torn += !value_is_whole(&entry, number);
    report->backward += entry.version < latest[number];
    latest[number] = entry.version;
    number = STABLE_KEYS + prng_below(prng, 1000); /* comes and goes */
    if (store_reader_get(reader, &number, sizeof number, &entry) == STORE_OK) {
        report->volatile_found++;
        report->torn += !value_is_whole(&entry, number);
    }
    report->looks++;
}

static void *read_along(void *argument)
{
    struct reader_report *report = argument;
    uint64_t latest[STABLE_KEYS] = {0};
    struct prng prng;
    prng_init(&prng, report->seed);
    struct store_reader *reader;
    if (store_reader_register(report->store, &reader) != 0) {
        abort();
    }
    bool is_counted = false;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        store_reader_enter(reader);
        for (uint64_t i = prng_below(&prng, 20); i > 0; i--) {
            look(report, reader, &prng, latest);
        }
        store_reader_leave(reader);
        if (!is_counted && report->looks >= LOOKS_WANTED) {
            is_counted = true;
            atomic_fetch_add_explicit(&ready, 1, memory_order_relaxed);
        }
    }
    store_reader_unregister(reader);
    return NULL;
}

static void put_number(struct driver *driver, uint64_t number)
{
    uint8_t value[VALUE_MAX];
    struct command command = {.op = COMMAND_PUT,
                              .key_bytes = sizeof number,
                              .key = (const uint8_t *)&number,
                              .value = value};
    command.value_bytes = make_value(&driver->prng, number, value);
    (void)driver_apply(driver, &command);
}

static void delete_number(struct driver *driver, uint64_t number)
{
    struct command command = {
        .op = COMMAND_DELETE, .key_bytes = sizeof number, .key = (const uint8_t *)&number};
    (void)driver_apply(driver, &command);
}

static void start_readers(struct driver *driver, struct reader_report *reports)
{
    atomic_store(&stop, false);
    atomic_store(&ready, 0);
    for (uint64_t i = 0; i < READERS; i++) {
        reports[i] = (struct reader_report){.store = driver->store, .seed = i};
        ck_assert_int_eq(pthread_create(&reports[i].thread, NULL, read_along, &reports[i]), 0);
    }
}

static void stop_readers(struct reader_report *reports)
{
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(reports[i].thread, NULL);
        ck_assert_uint_eq(reports[i].missed, 0);
        ck_assert_uint_eq(reports[i].torn, 0);
        ck_assert_uint_eq(reports[i].backward, 0);
        ck_assert_uint_ge(reports[i].looks, LOOKS_WANTED);
        ck_assert_uint_gt(reports[i].volatile_found, 0);
    }
}

/* One round grows the table from about 1000 keys to 20000 and lets it shrink again. */
static void churn(struct driver *driver, uint64_t round)
{
    for (uint64_t i = 0; i < 20000; i++) {
        put_number(driver, STABLE_KEYS + i);
        put_number(driver, (i * 31 + round) % STABLE_KEYS);
    }
    store_housekeep(driver->store);
    for (uint64_t i = 0; i < 20000; i++) {
        delete_number(driver, STABLE_KEYS + i);
        if (i % 16 == 0) {
            put_number(driver, (i * 17 + round) % STABLE_KEYS);
        }
        if (i % 64 == 0) {
            store_housekeep(driver->store);
        }
    }
}

START_TEST(readers_never_miss_a_key_that_is_always_there)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    for (uint64_t number = 0; number < STABLE_KEYS; number++) {
        put_number(&driver, number);
    }
    struct reader_report reports[READERS];
    start_readers(&driver, reports);
    for (uint64_t round = 0; round < 5 || atomic_load(&ready) < READERS; round++) {
        churn(&driver, round);
        sched_yield();
    }
    stop_readers(reports);
    ck_assert_uint_eq(store_digest(driver.store), store_digest_recompute(driver.store));
    store_destroy(driver.store);
}
END_TEST

static struct store_stats stats_of(const struct store *store)
{
    struct store_stats stats;
    store_stats(store, &stats);
    return stats;
}

/* Grace periods take time on another thread: gives them time, and the store its turns. */
static void housekeep_until_nothing_is_retired(struct store *store)
{
    while (stats_of(store).bytes_retired > 0) { /* the test's time-out is the bound */
        store_housekeep(store);
        time_source_sleep_ns(100000);
    }
}

START_TEST(what_a_reader_holds_stays_until_it_leaves)
{
    struct driver driver;
    driver_init(&driver, 2, 1);
    put_number(&driver, 1);
    struct store_reader *reader;
    ck_assert_int_eq(store_reader_register(driver.store, &reader), 0);
    store_reader_enter(reader);
    uint64_t number = 1;
    struct store_entry entry;
    ck_assert_int_eq(store_reader_get(reader, &number, sizeof number, &entry), STORE_OK);
    for (unsigned i = 0; i < 50000; i++) {
        put_number(&driver, 1);
        store_housekeep(driver.store);
    }
    ck_assert(value_is_whole(&entry, 1));
    ck_assert_uint_eq(entry.version, 1);
    ck_assert_uint_gt(stats_of(driver.store).bytes_retired, 50000 * 64);
    store_reader_leave(reader);
    housekeep_until_nothing_is_retired(driver.store);
    size_t held = stats_of(driver.store).bytes_held;
    for (unsigned i = 0; i < 40000; i++) { /* all of it from what came back */
        put_number(&driver, 1);
    }
    ck_assert_uint_le(stats_of(driver.store).bytes_held, held);
    store_reader_unregister(reader);
    store_destroy(driver.store);
}
END_TEST

START_TEST(a_partial_batch_comes_back_while_idle)
{
    struct driver driver;
    driver_init(&driver, 3, 1);
    struct store_reader *reader;
    ck_assert_int_eq(store_reader_register(driver.store, &reader), 0);
    put_number(&driver, 1);
    put_number(&driver, 1);
    ck_assert_uint_gt(stats_of(driver.store).bytes_retired, 0);
    housekeep_until_nothing_is_retired(driver.store);
    store_reader_unregister(reader);
    store_destroy(driver.store);
}
END_TEST

START_TEST(one_thread_may_read_many_stores)
{
    struct driver a;
    struct driver b;
    driver_init(&a, 4, 1);
    driver_init(&b, 5, 1);
    put_number(&a, 1);
    put_number(&b, 2);
    struct store_reader *reader_a;
    struct store_reader *reader_b;
    ck_assert_int_eq(store_reader_register(a.store, &reader_a), 0);
    ck_assert_int_eq(store_reader_register(b.store, &reader_b), 0);
    uint64_t number = 1;
    struct store_entry entry;
    store_reader_enter(reader_a);
    store_reader_enter(reader_b);
    ck_assert_int_eq(store_reader_get(reader_a, &number, sizeof number, &entry), STORE_OK);
    ck_assert_int_eq(store_reader_get(reader_b, &number, sizeof number, &entry), STORE_NOT_FOUND);
    store_reader_leave(reader_a);
    store_reader_unregister(reader_a);
    number = 2; /* still inside, by way of b */
    ck_assert_int_eq(store_reader_get(reader_b, &number, sizeof number, &entry), STORE_OK);
    store_reader_leave(reader_b);
    store_reader_unregister(reader_b);
    store_destroy(a.store);
    store_destroy(b.store);
}
END_TEST

START_TEST(loading_under_an_old_entry_leaves_it_readable)
{
    struct driver driver;
    driver_init(&driver, 6, 1);
    for (uint64_t number = 0; number < 3000; number++) {
        put_number(&driver, number);
    }
    struct store_reader *reader;
    ck_assert_int_eq(store_reader_register(driver.store, &reader), 0);
    store_reader_enter(reader);
    uint64_t number = 7;
    struct store_entry entry;
    ck_assert_int_eq(store_reader_get(reader, &number, sizeof number, &entry), STORE_OK);
    store_load_begin(driver.store);
    ck_assert_int_ne(store_load_finish(driver.store), 0);
    store_housekeep(driver.store);
    ck_assert(value_is_whole(&entry, 7));
    store_reader_leave(reader);
    driver.slot = 0;
    put_number(&driver, 7);
    housekeep_until_nothing_is_retired(driver.store);
    store_reader_unregister(reader);
    store_destroy(driver.store);
}
END_TEST

START_TEST(readers_that_come_and_go_are_seen)
{
    struct driver driver;
    driver_init(&driver, 7, 1);
    for (uint64_t number = 0; number < STABLE_KEYS; number++) {
        put_number(&driver, number);
    }
    for (uint64_t i = 0; i < 20000; i++) { /* between immediate reuse and grace periods, and back */
        struct store_reader *reader;
        ck_assert_int_eq(store_reader_register(driver.store, &reader), 0);
        store_reader_enter(reader);
        uint64_t number = i % STABLE_KEYS;
        struct store_entry entry;
        ck_assert_int_eq(store_reader_get(reader, &number, sizeof number, &entry), STORE_OK);
        put_number(&driver, number);
        put_number(&driver, (number + 1) % STABLE_KEYS);
        store_housekeep(driver.store);
        ck_assert(value_is_whole(&entry, number));
        store_reader_leave(reader);
        store_reader_unregister(reader);
        put_number(&driver, number);
    }
    store_destroy(driver.store);
}
END_TEST

TEST_MAIN("store/rcu_map", readers_never_miss_a_key_that_is_always_there,
          what_a_reader_holds_stays_until_it_leaves, a_partial_batch_comes_back_while_idle,
          one_thread_may_read_many_stores, loading_under_an_old_entry_leaves_it_readable,
          readers_that_come_and_go_are_seen)
