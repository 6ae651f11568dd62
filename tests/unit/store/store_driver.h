/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_TESTS_STORE_DRIVER_H
#define SYNOD_TESTS_STORE_DRIVER_H

/*
 * A store under test with a counter for its slots, one-line commands, and random workloads that are
 * the same for the same seed on every machine.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "store/store.h"

/* ck_assert is slow: this is for what is checked millions of times. */
#define EXPECT(claim) ((claim) ? (void)0 : ck_abort_msg("not so: %s", #claim))

enum {
    DRIVER_KEY_LIMIT = 64,
    DRIVER_VALUE_LIMIT = 600,
    DRIVER_COMMAND_BYTES = 40 + DRIVER_KEY_LIMIT + 2 * DRIVER_VALUE_LIMIT,
    DRIVER_BATCH = 100,
};

struct driver {
    struct store *store;
    uint64_t slot;
    struct prng prng;
    uint64_t keys; /* random commands use keys below */
};

static inline struct store *driver_create_store(void)
{
    struct store *store;
    struct store_config config = {.expected_keys = 10,
                                  .max_key_bytes = DRIVER_KEY_LIMIT,
                                  .max_value_bytes = DRIVER_VALUE_LIMIT};
    ck_assert_int_eq(store_create(&store, &config), 0);
    return store;
}

static inline void driver_init(struct driver *driver, uint64_t seed, uint64_t keys)
{
    *driver = (struct driver){.store = driver_create_store(), .keys = keys};
    prng_init(&driver->prng, seed);
}

static inline struct store_outcome driver_apply(struct driver *driver,
                                                const struct command *command)
{
    uint8_t bytes[DRIVER_COMMAND_BYTES];
    EXPECT(command_size(command) <= sizeof bytes);
    command_encode(command, bytes);
    struct store_apply_item item = {
        .slot = ++driver->slot, .command = bytes, .command_bytes = (uint32_t)command_size(command)};
    store_apply(driver->store, &item, 1);
    return item.outcome;
}

static inline struct command driver_command(uint8_t op, const char *key)
{
    return (struct command){
        .op = op, .key_bytes = (uint16_t)strlen(key), .key = (const uint8_t *)key};
}

static inline struct store_outcome driver_put(struct driver *driver, const char *key,
                                              const char *value)
{
    struct command command = driver_command(COMMAND_PUT, key);
    command.value = (const uint8_t *)value;
    command.value_bytes = (uint32_t)strlen(value);
    return driver_apply(driver, &command);
}

static inline struct store_outcome driver_get(struct driver *driver, const char *key)
{
    struct command command = driver_command(COMMAND_GET, key);
    return driver_apply(driver, &command);
}

static inline struct store_outcome driver_delete(struct driver *driver, const char *key)
{
    struct command command = driver_command(COMMAND_DELETE, key);
    return driver_apply(driver, &command);
}

/* What a random command points to. */
struct driver_material {
    uint8_t key[DRIVER_KEY_LIMIT];
    uint8_t value[DRIVER_VALUE_LIMIT];
    uint8_t expected[DRIVER_VALUE_LIMIT];
};

/* Key number n: 1 to DRIVER_KEY_LIMIT bytes, no two alike (the number is in the first bytes, as
 * many as it has). */
static inline uint16_t driver_key(uint64_t n, uint8_t *key)
{
    uint16_t digits = 0;
    for (uint64_t rest = n; digits == 0 || rest > 0; rest /= 64) {
        key[digits++] = (uint8_t)('0' + rest % 64);
    }
    uint16_t size = (uint16_t)(digits + (n * 7) % (uint64_t)(DRIVER_KEY_LIMIT - 16));
    memset(key + digits, '/', (size_t)(size - digits));
    return size;
}

static inline uint32_t driver_value(struct prng *prng, uint8_t *value)
{
    uint32_t size = (uint32_t)prng_below(prng, prng_below(prng, 8) == 0 ? DRIVER_VALUE_LIMIT : 80);
    memset(value, (int)prng_below(prng, 3), size); /* few different ones: comparisons often hold */
    return size;
}

static inline struct command driver_random_command(struct driver *driver,
                                                   struct driver_material *material)
{
    static const uint8_t ops[] = {COMMAND_PUT, COMMAND_PUT,    COMMAND_PUT,    COMMAND_CAS,
                                  COMMAND_CAS, COMMAND_DELETE, COMMAND_DELETE, COMMAND_GET};
    static const uint8_t compares[] = {COMPARE_REVISION, COMPARE_VALUE, COMPARE_ABSENT};
    struct prng *prng = &driver->prng;
    struct command command = {.op = ops[prng_below(prng, sizeof ops)],
                              .key = material->key,
                              .value = material->value,
                              .expected = material->expected};
    command.key_bytes = driver_key(prng_below(prng, driver->keys), material->key);
    if (command.op == COMMAND_PUT || command.op == COMMAND_CAS) {
        command.value_bytes = driver_value(prng, material->value);
    }
    if (command.op != COMMAND_CAS) {
        return command;
    }
    command.compare = compares[prng_below(prng, sizeof compares)];
    if (command.compare == COMPARE_VALUE) {
        command.expected_bytes = (uint32_t)prng_below(prng, 4);
        memset(material->expected, (int)prng_below(prng, 3), command.expected_bytes);
    }
    if (command.compare == COMPARE_REVISION && prng_below(prng, 4) != 0) {
        struct store_entry entry;
        if (store_get(driver->store, command.key, command.key_bytes, &entry) == STORE_OK) {
            command.expected_revision = entry.modify_slot + (prng_below(prng, 4) == 0);
        }
    }
    if (prng_below(prng, 3) == 0) {
        command.compare |= COMPARE_FLAG_REMOVES;
    }
    return command;
}

/* Applies `count` random commands, one at a time. */
static inline void driver_run(struct driver *driver, uint64_t count)
{
    struct driver_material material;
    for (uint64_t i = 0; i < count; i++) {
        struct command command = driver_random_command(driver, &material);
        (void)driver_apply(driver, &command);
    }
}

#endif
