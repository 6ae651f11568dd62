/* SPDX-License-Identifier: MIT */
/*
 * Built twice, once with each map: the same commands must give the same digests, here held to
 * constants. A change of these constants is a change of every node's state: it breaks comparing
 * digests between versions, and loading older snapshots.
 */
#include "store_driver.h"
#include "test_main.h"

START_TEST(an_empty_store_has_this_digest)
{
    struct store *store = driver_create_store();
    ck_assert_uint_eq(store_digest(store), UINT64_C(0xd0a66a65c7528968));
    store_destroy(store);
}
END_TEST

START_TEST(one_key_gives_this_digest)
{
    struct driver driver;
    driver_init(&driver, 0, 1);
    driver_put(&driver, "key", "value");
    ck_assert_uint_eq(store_digest(driver.store), UINT64_C(0xdd216bb1b5ca42c));
    store_destroy(driver.store);
}
END_TEST

START_TEST(random_commands_give_these_digests)
{
    static const uint64_t expected[] = {UINT64_C(0x33d73e1f9b796b91), UINT64_C(0xfc4892ebb182775e),
                                        UINT64_C(0x3df8e319a2d82aeb), UINT64_C(0x6ae3440b588061aa)};
    for (size_t seed = 0; seed < sizeof expected / sizeof expected[0]; seed++) {
        struct driver driver;
        driver_init(&driver, seed, 10 + 1000 * seed);
        driver_run(&driver, 40000);
        ck_assert_uint_eq(store_digest_recompute(driver.store), store_digest(driver.store));
        ck_assert_uint_eq(store_digest(driver.store), expected[seed]);
        store_destroy(driver.store);
    }
}
END_TEST

TEST_MAIN("store/kv_map_twins", an_empty_store_has_this_digest, one_key_gives_this_digest,
          random_commands_give_these_digests)
