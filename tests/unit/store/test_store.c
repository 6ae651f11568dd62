/* SPDX-License-Identifier: MIT */
#include "store/store.h"

#include <errno.h>

#include "store_driver.h"
#include "test_main.h"

static void assert_value(const struct store_entry *entry, const char *value)
{
    ck_assert_uint_eq(entry->value_bytes, strlen(value));
    ck_assert_mem_eq(entry->value, value, strlen(value));
}

static struct store_outcome cas(struct driver *driver, uint8_t compare, uint64_t revision,
                                const char *expected, const char *value)
{
    struct command command = driver_command(COMMAND_CAS, "key");
    command.compare = compare;
    command.expected_revision = revision;
    command.expected = (const uint8_t *)expected;
    command.expected_bytes = (uint32_t)strlen(expected);
    command.value = (const uint8_t *)value;
    command.value_bytes = (uint32_t)strlen(value);
    return driver_apply(driver, &command);
}

START_TEST(put_creates_then_replaces)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    struct store_outcome outcome = driver_put(&driver, "key", "one");
    ck_assert_int_eq(outcome.result, STORE_OK);
    ck_assert_uint_eq(outcome.entry.version, 1);
    ck_assert_uint_eq(outcome.entry.create_slot, 1);
    ck_assert_uint_eq(outcome.entry.modify_slot, 1);
    ck_assert_ptr_null(outcome.entry.value);
    outcome = driver_put(&driver, "key", "two");
    ck_assert_uint_eq(outcome.entry.version, 2);
    ck_assert_uint_eq(outcome.entry.create_slot, 1);
    ck_assert_uint_eq(outcome.entry.modify_slot, 2);
    struct store_entry entry;
    ck_assert_int_eq(store_get(driver.store, "key", 3, &entry), STORE_OK);
    assert_value(&entry, "two");
    ck_assert_int_eq(store_get(driver.store, "ke", 2, &entry), STORE_NOT_FOUND);
    store_destroy(driver.store);
}
END_TEST

START_TEST(get_answers_with_the_entry_or_not_found)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    struct store_outcome outcome = driver_get(&driver, "key");
    ck_assert_int_eq(outcome.result, STORE_NOT_FOUND);
    ck_assert_uint_eq(outcome.entry.modify_slot, 0);
    driver_put(&driver, "key", "");
    outcome = driver_get(&driver, "key");
    ck_assert_int_eq(outcome.result, STORE_OK);
    ck_assert_ptr_nonnull(outcome.entry.value);
    ck_assert_uint_eq(outcome.entry.value_bytes, 0);
    ck_assert_uint_eq(outcome.entry.modify_slot, 2);
    store_destroy(driver.store);
}
END_TEST

START_TEST(a_key_deleted_and_created_again_starts_at_version_one)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    driver_put(&driver, "key", "a");
    driver_put(&driver, "key", "b");
    struct store_outcome outcome = driver_delete(&driver, "key");
    ck_assert_int_eq(outcome.result, STORE_OK);
    ck_assert_uint_eq(outcome.entry.modify_slot, 3);
    ck_assert_uint_eq(outcome.entry.version, 3);
    ck_assert_int_eq(driver_delete(&driver, "key").result, STORE_NOT_FOUND);
    outcome = driver_put(&driver, "key", "c");
    ck_assert_uint_eq(outcome.entry.version, 1);
    ck_assert_uint_eq(outcome.entry.create_slot, 5);
    store_destroy(driver.store);
}
END_TEST

START_TEST(cas_by_revision_writes_only_if_it_matches)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    ck_assert_int_eq(cas(&driver, COMPARE_REVISION, 7, "", "x").result, STORE_MISMATCH);
    ck_assert_int_eq(cas(&driver, COMPARE_REVISION, 0, "", "x").result, STORE_OK);
    struct store_outcome outcome = cas(&driver, COMPARE_REVISION, 0, "", "y");
    ck_assert_int_eq(outcome.result, STORE_MISMATCH);
    ck_assert_uint_eq(outcome.entry.modify_slot, 2);
    assert_value(&outcome.entry, "x");
    outcome = cas(&driver, COMPARE_REVISION, 2, "", "y");
    ck_assert_int_eq(outcome.result, STORE_OK);
    ck_assert_uint_eq(outcome.entry.version, 2);
    ck_assert_uint_eq(outcome.entry.modify_slot, 4);
    store_destroy(driver.store);
}
END_TEST

START_TEST(cas_by_value_wants_the_key_with_these_bytes)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    struct store_outcome outcome = cas(&driver, COMPARE_VALUE, 0, "", "x");
    ck_assert_int_eq(outcome.result, STORE_MISMATCH); /* absent is not empty */
    ck_assert_uint_eq(outcome.entry.modify_slot, 0);
    ck_assert_ptr_null(outcome.entry.value);
    driver_put(&driver, "key", "abc");
    ck_assert_int_eq(cas(&driver, COMPARE_VALUE, 0, "abd", "x").result, STORE_MISMATCH);
    ck_assert_int_eq(cas(&driver, COMPARE_VALUE, 0, "ab", "x").result, STORE_MISMATCH);
    ck_assert_int_eq(cas(&driver, COMPARE_VALUE, 0, "abc", "x").result, STORE_OK);
    store_destroy(driver.store);
}
END_TEST

START_TEST(cas_by_absence_creates_once)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    ck_assert_int_eq(cas(&driver, COMPARE_ABSENT, 0, "", "x").result, STORE_OK);
    struct store_outcome outcome = cas(&driver, COMPARE_ABSENT, 0, "", "y");
    ck_assert_int_eq(outcome.result, STORE_MISMATCH);
    assert_value(&outcome.entry, "x");
    store_destroy(driver.store);
}
END_TEST

START_TEST(cas_that_removes_takes_the_key_out)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    driver_put(&driver, "key", "x");
    uint8_t removes = COMPARE_VALUE | COMPARE_FLAG_REMOVES;
    ck_assert_int_eq(cas(&driver, removes, 0, "y", "").result, STORE_MISMATCH);
    struct store_outcome outcome = cas(&driver, removes, 0, "x", "ignored");
    ck_assert_int_eq(outcome.result, STORE_OK);
    ck_assert_uint_eq(outcome.entry.modify_slot, 3);
    ck_assert_int_eq(driver_get(&driver, "key").result, STORE_NOT_FOUND);
    outcome = cas(&driver, COMPARE_ABSENT | COMPARE_FLAG_REMOVES, 0, "", "");
    ck_assert_int_eq(outcome.result, STORE_OK); /* nothing to do */
    ck_assert_uint_eq(outcome.entry.version, 0);
    store_destroy(driver.store);
}
END_TEST

START_TEST(invalid_commands_and_noops_change_only_the_slot)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    driver_put(&driver, "key", "x");
    uint64_t digest = store_digest(driver.store);
    uint8_t garbage[30] = {99};
    struct store_apply_item items[] = {
        {.slot = 5, .command = garbage, .command_bytes = sizeof garbage},
        {.slot = 6, .command = garbage, .command_bytes = 0},
        {.slot = 9},
    };
    store_apply(driver.store, items, 3);
    ck_assert_int_eq(items[0].outcome.result, STORE_INVALID);
    ck_assert_int_eq(items[1].outcome.result, STORE_INVALID);
    ck_assert_int_eq(items[2].outcome.result, STORE_OK);
    ck_assert_uint_eq(store_digest(driver.store), digest);
    struct store_stats stats;
    store_stats(driver.store, &stats);
    ck_assert_uint_eq(stats.applied_slot, 9);
    ck_assert_uint_eq(stats.keys, 1);
    store_destroy(driver.store);
}
END_TEST

START_TEST(limits_are_the_configured_ones)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    static uint8_t bytes[DRIVER_VALUE_LIMIT + 1];
    struct command command = {.op = COMMAND_PUT,
                              .key = bytes,
                              .value = bytes,
                              .key_bytes = DRIVER_KEY_LIMIT,
                              .value_bytes = DRIVER_VALUE_LIMIT};
    ck_assert_int_eq(driver_apply(&driver, &command).result, STORE_OK);
    command.value_bytes++;
    ck_assert_int_eq(driver_apply(&driver, &command).result, STORE_INVALID);
    command.value_bytes--;
    command.key_bytes++;
    ck_assert_int_eq(driver_apply(&driver, &command).result, STORE_INVALID);
    store_destroy(driver.store);
}
END_TEST

START_TEST(impossible_configurations_are_refused)
{
    struct store *store;
    struct store_config config = {.max_key_bytes = 0, .max_value_bytes = 1};
    ck_assert_int_eq(store_create(&store, &config), -EINVAL);
    config.max_key_bytes = 65536;
    ck_assert_int_eq(store_create(&store, &config), -EINVAL);
    config = (struct store_config){.max_key_bytes = 1, .max_value_bytes = UINT32_MAX};
    ck_assert_int_eq(store_create(&store, &config), -EINVAL);
    config = (struct store_config){.max_key_bytes = 1, .expected_keys = UINT64_MAX};
    ck_assert_int_eq(store_create(&store, &config), -EINVAL);
    store_destroy(NULL);
}
END_TEST

START_TEST(values_answered_outlive_later_items_of_the_batch)
{
    enum { PAIRS = 1000 };
    struct driver driver;
    driver_init(&driver, 1, 1);
    static uint8_t put_bytes[PAIRS][64];
    static uint8_t get_bytes[64];
    static struct store_apply_item items[2 * PAIRS];
    struct command get = driver_command(COMMAND_GET, "key");
    command_encode(&get, get_bytes);
    driver_put(&driver, "key", "0000");
    for (uint32_t i = 0; i < PAIRS; i++) {
        struct command put = driver_command(COMMAND_PUT, "key");
        put.value = (const uint8_t *)&i;
        put.value_bytes = sizeof i;
        command_encode(&put, put_bytes[i]);
        items[2 * i] = (struct store_apply_item){.slot = ++driver.slot,
                                                 .command = put_bytes[i],
                                                 .command_bytes = (uint32_t)command_size(&put)};
        items[2 * i + 1] = (struct store_apply_item){.slot = ++driver.slot,
                                                     .command = get_bytes,
                                                     .command_bytes = (uint32_t)command_size(&get)};
    }
    store_apply(driver.store, items, sizeof items / sizeof items[0]);
    for (uint32_t i = 0; i < PAIRS; i++) {
        ck_assert_int_eq(items[2 * i + 1].outcome.result, STORE_OK);
        ck_assert_mem_eq(items[2 * i + 1].outcome.entry.value, &i, sizeof i);
    }
    store_destroy(driver.store);
}
END_TEST

/* --- against a naive model --- */

enum { MODEL_KEYS = 3000 };

struct model_entry {
    bool is_there;
    uint64_t version;
    uint64_t create_slot;
    uint64_t modify_slot;
    uint32_t value_bytes;
    uint8_t value[DRIVER_VALUE_LIMIT];
};

static struct model_entry model[MODEL_KEYS];

static uint64_t key_number(const struct command *command)
{
    uint64_t number = 0;
    uint64_t weight = 1;
    for (uint16_t i = 0; i < command->key_bytes && command->key[i] != '/'; i++, weight *= 64) {
        number += (uint64_t)(command->key[i] - '0') * weight;
    }
    return number;
}

static bool model_holds(const struct command *command, const struct model_entry *entry)
{
    switch (command->compare & ~COMPARE_FLAG_REMOVES) {
    case COMPARE_REVISION:
        return entry->is_there ? entry->modify_slot == command->expected_revision
                               : command->expected_revision == 0;
    case COMPARE_VALUE:
        return entry->is_there && entry->value_bytes == command->expected_bytes &&
               memcmp(entry->value, command->expected, entry->value_bytes) == 0;
    default:
        return !entry->is_there;
    }
}

/* The answer in the plainest terms: result, and the fields of the entry. */
static enum store_result model_apply(const struct command *command, uint64_t slot)
{
    struct model_entry *entry = &model[key_number(command)];
    bool removes = command->op == COMMAND_DELETE;
    if (command->op == COMMAND_GET || command->op == COMMAND_DELETE) {
        if (!entry->is_there) {
            return STORE_NOT_FOUND;
        }
    }
    if (command->op == COMMAND_GET) {
        return STORE_OK;
    }
    if (command->op == COMMAND_CAS) {
        if (!model_holds(command, entry)) {
            return STORE_MISMATCH;
        }
        removes = (command->compare & COMPARE_FLAG_REMOVES) != 0;
    }
    if (removes) {
        entry->is_there = false;
        return STORE_OK;
    }
    entry->version = entry->is_there ? entry->version + 1 : 1;
    entry->create_slot = entry->is_there ? entry->create_slot : slot;
    entry->modify_slot = slot;
    entry->value_bytes = command->value_bytes;
    memcpy(entry->value, command->value, command->value_bytes);
    entry->is_there = true;
    return STORE_OK;
}

static void assert_like_model(struct driver *driver, uint64_t number)
{
    uint8_t key[DRIVER_KEY_LIMIT];
    uint16_t key_bytes = driver_key(number, key);
    const struct model_entry *expected = &model[number];
    struct store_entry entry;
    enum store_result result = store_get(driver->store, key, key_bytes, &entry);
    EXPECT(result == (expected->is_there ? STORE_OK : STORE_NOT_FOUND));
    if (expected->is_there) {
        EXPECT(entry.version == expected->version);
        EXPECT(entry.create_slot == expected->create_slot);
        EXPECT(entry.modify_slot == expected->modify_slot);
        EXPECT(entry.value_bytes == expected->value_bytes);
        EXPECT(memcmp(entry.value, expected->value, entry.value_bytes) == 0);
    }
}

START_TEST(random_commands_do_what_the_naive_model_does)
{
    struct driver driver;
    driver_init(&driver, 2024, MODEL_KEYS);
    memset(model, 0, sizeof model);
    uint64_t seen[STORE_NO_MEMORY + 1] = {0};
    for (unsigned i = 0; i < 150000; i++) {
        struct driver_material material;
        struct command command = driver_random_command(&driver, &material);
        struct store_outcome outcome = driver_apply(&driver, &command);
        EXPECT(outcome.result == model_apply(&command, driver.slot));
        seen[outcome.result]++;
        assert_like_model(&driver, key_number(&command));
        if (i % 10000 == 0) {
            ck_assert_uint_eq(store_digest(driver.store), store_digest_recompute(driver.store));
        }
        if (i % 100 == 0) {
            store_housekeep(driver.store);
        }
    }
    uint64_t keys = 0;
    for (uint64_t number = 0; number < MODEL_KEYS; number++) {
        assert_like_model(&driver, number);
        keys += model[number].is_there;
    }
    struct store_stats stats;
    store_stats(driver.store, &stats);
    ck_assert_uint_eq(stats.keys, keys);
    ck_assert_uint_gt(seen[STORE_OK], 10000);
    ck_assert_uint_gt(seen[STORE_NOT_FOUND], 1000);
    ck_assert_uint_gt(seen[STORE_MISMATCH], 1000);
    store_destroy(driver.store);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_state)
{
    struct driver one;
    struct driver many;
    driver_init(&one, 5, 500);
    driver_init(&many, 5, 500);
    struct prng cuts;
    prng_init(&cuts, 6);
    static uint8_t bytes[DRIVER_BATCH][DRIVER_COMMAND_BYTES];
    struct store_apply_item items[DRIVER_BATCH];
    enum store_result expected[DRIVER_BATCH];
    for (unsigned round = 0; round < 300; round++) {
        size_t count = 1 + prng_below(&cuts, DRIVER_BATCH);
        for (size_t i = 0; i < count; i++) {
            struct driver_material material;
            struct command command = driver_random_command(&one, &material);
            expected[i] = driver_apply(&one, &command).result;
            command_encode(&command, bytes[i]);
            items[i] = (struct store_apply_item){.slot = one.slot,
                                                 .command = bytes[i],
                                                 .command_bytes = (uint32_t)command_size(&command)};
        }
        store_apply(many.store, items, count);
        for (size_t i = 0; i < count; i++) {
            ck_assert_int_eq(items[i].outcome.result, expected[i]);
        }
        ck_assert_uint_eq(store_digest(one.store), store_digest(many.store));
    }
    store_destroy(one.store);
    store_destroy(many.store);
}
END_TEST

/* --- digest --- */

START_TEST(digest_sees_every_field_and_no_history)
{
    struct driver a;
    struct driver b;
    driver_init(&a, 1, 1);
    driver_init(&b, 1, 1);
    uint64_t empty = store_digest(a.store);
    driver_put(&a, "ab", "c");
    driver_put(&b, "a", "bc"); /* the same bytes, cut elsewhere */
    ck_assert_uint_ne(store_digest(a.store), store_digest(b.store));
    driver_delete(&b, "a");
    ck_assert_uint_eq(store_digest(b.store), empty);
    driver_put(&b, "ab", "c"); /* the same key and value, written in another slot */
    ck_assert_uint_ne(store_digest(a.store), store_digest(b.store));
    driver_put(&a, "x", "y");
    driver_delete(&a, "x");
    driver_delete(&a, "ab");
    ck_assert_uint_eq(store_digest(a.store), empty);
    store_destroy(a.store);
    store_destroy(b.store);
}
END_TEST

/* --- memory --- */

static void put_number(struct driver *driver, uint64_t number, uint32_t value_bytes)
{
    static uint8_t value[DRIVER_VALUE_LIMIT];
    struct command command = {.op = COMMAND_PUT,
                              .key_bytes = sizeof number,
                              .key = (const uint8_t *)&number,
                              .value_bytes = value_bytes,
                              .value = value};
    (void)driver_apply(driver, &command);
}

static void delete_number(struct driver *driver, uint64_t number)
{
    struct command command = {
        .op = COMMAND_DELETE, .key_bytes = sizeof number, .key = (const uint8_t *)&number};
    (void)driver_apply(driver, &command);
}

START_TEST(updates_of_few_keys_hold_little_memory)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    struct store_stats stats;
    for (uint64_t i = 0; i < 10000000; i++) {
        put_number(&driver, i % 1000, 64);
        if (i % 65536 == 0) {
            /* 1000 blocks of 128 bytes, a table of 1024 to 2048 slots, one batch of retired ones:
             * far below what 2 MB, or 16000 of the ten million values, would take. */
            store_stats(driver.store, &stats);
            ck_assert_uint_lt(stats.bytes_held, (size_t)2 << 20);
        }
    }
    store_stats(driver.store, &stats);
    ck_assert_uint_eq(stats.keys, 1000);
    ck_assert_uint_eq(stats.bytes_live, 1000 * 128);
    store_destroy(driver.store);
}
END_TEST

START_TEST(keys_that_come_and_go_do_not_grow_the_table)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    struct store_stats stats;
    for (uint64_t i = 0; i < 300000; i++) { /* a window of 500 keys moves along */
        put_number(&driver, i, 8);
        if (i >= 500) {
            delete_number(&driver, i - 500);
        }
        if (i % 64 == 0) {
            store_housekeep(driver.store);
            store_stats(driver.store, &stats);
            ck_assert_uint_lt(stats.bytes_held, (size_t)1 << 20);
        }
    }
    ck_assert_uint_eq(store_digest(driver.store), store_digest_recompute(driver.store));
    store_destroy(driver.store);
}
END_TEST

START_TEST(a_table_that_emptied_gets_small_again)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    struct store_stats before;
    struct store_stats after;
    for (uint64_t i = 0; i < 200000; i++) {
        put_number(&driver, i, 0);
    }
    store_stats(driver.store, &before);
    for (uint64_t i = 0; i < 200000; i++) {
        delete_number(&driver, i);
    }
    for (unsigned i = 0; i < 10000; i++) {
        store_housekeep(driver.store);
    }
    store_stats(driver.store, &after);
    ck_assert_uint_eq(after.keys, 0);
    /* 200000 keys need 2^18 slots of 8 bytes at the very least; no keys need next to nothing */
    ck_assert_uint_le(after.bytes_held + ((size_t)2 << 20), before.bytes_held);
    store_destroy(driver.store);
}
END_TEST

START_TEST(growth_keeps_every_key)
{
    struct driver driver;
    driver_init(&driver, 1, 1);
    for (uint64_t i = 0; i < 100000; i++) {
        put_number(&driver, i, 4);
        struct store_entry entry;
        uint64_t other = i * 7919 % (i + 1);
        EXPECT(store_get(driver.store, &other, sizeof other, &entry) == STORE_OK);
        EXPECT(entry.modify_slot == other + 1);
    }
    struct store_entry entry;
    for (uint64_t i = 0; i < 100000; i++) {
        EXPECT(store_get(driver.store, &i, sizeof i, &entry) == STORE_OK);
        EXPECT(entry.modify_slot == i + 1);
    }
    ck_assert_uint_eq(store_digest(driver.store), store_digest_recompute(driver.store));
    store_destroy(driver.store);
}
END_TEST

TEST_MAIN("store/store", put_creates_then_replaces, get_answers_with_the_entry_or_not_found,
          a_key_deleted_and_created_again_starts_at_version_one,
          cas_by_revision_writes_only_if_it_matches, cas_by_value_wants_the_key_with_these_bytes,
          cas_by_absence_creates_once, cas_that_removes_takes_the_key_out,
          invalid_commands_and_noops_change_only_the_slot, limits_are_the_configured_ones,
          impossible_configurations_are_refused, values_answered_outlive_later_items_of_the_batch,
          random_commands_do_what_the_naive_model_does, batches_of_any_size_give_the_same_state,
          digest_sees_every_field_and_no_history, updates_of_few_keys_hold_little_memory,
          keys_that_come_and_go_do_not_grow_the_table, a_table_that_emptied_gets_small_again,
          growth_keeps_every_key)
