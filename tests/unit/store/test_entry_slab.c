/* SPDX-License-Identifier: MIT */
#include "store/entry_slab.h"

#include <string.h>

#include "base/prng.h"
#include "test_main.h"

/* ck_assert is slow: this is for what is checked millions of times. */
#define EXPECT(claim) ((claim) ? (void)0 : ck_abort_msg("not so: %s", #claim))

static void *alloc(struct entry_slab *slab, size_t size)
{
    void *block = entry_slab_alloc(slab, entry_slab_class(size), size);
    EXPECT(block != NULL);
    return block;
}

START_TEST(every_size_fits_its_class_and_wastes_little)
{
    size_t largest = (size_t)128 << 10;
    for (size_t size = 1; size <= largest; size++) {
        uint32_t size_class = entry_slab_class(size);
        EXPECT(size_class < ENTRY_SLAB_CLASS_HUGE);
        size_t block = entry_slab_block_bytes(size_class, size);
        EXPECT(block >= size);
        EXPECT(block - size < 16 || (block - size) * 5 <= block);
        EXPECT(block % ENTRY_SLAB_ALIGN == 0);
        if (size_class > 0) { /* and not the class below */
            EXPECT(entry_slab_block_bytes(size_class - 1, size) < size);
        }
    }
    ck_assert_uint_eq(entry_slab_class(largest + 1), ENTRY_SLAB_CLASS_HUGE);
}
END_TEST

enum { LIVE = 400, ROUNDS = 60000 };

struct block {
    uint8_t *bytes;
    size_t size;
    uint8_t filling;
};

static void check(const struct block *block)
{
    for (size_t i = 0; i < block->size; i++) {
        EXPECT(block->bytes[i] == block->filling);
    }
}

static size_t random_size(struct prng *prng)
{
    uint64_t kind = prng_below(prng, 200);
    return 1 + prng_below(prng, kind == 0 ? 300000 : kind < 10 ? 9000 : 300);
}

START_TEST(blocks_in_use_never_overlap)
{
    static struct block blocks[LIVE];
    struct entry_slab slab;
    struct prng prng;
    memset(blocks, 0, sizeof blocks);
    entry_slab_init(&slab);
    prng_init(&prng, 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct block *block = &blocks[prng_below(&prng, LIVE)];
        if (block->bytes != NULL) {
            check(block);
            entry_slab_free(&slab, block->bytes, entry_slab_class(block->size));
        }
        block->size = random_size(&prng);
        block->filling = (uint8_t)round;
        block->bytes = alloc(&slab, block->size);
        ck_assert_uint_eq((uintptr_t)block->bytes % ENTRY_SLAB_ALIGN, 0);
        memset(block->bytes, block->filling, block->size);
    }
    for (unsigned i = 0; i < LIVE; i++) {
        if (blocks[i].bytes != NULL) {
            check(&blocks[i]);
        }
    }
    entry_slab_deinit(&slab); /* with blocks in use */
    ck_assert_uint_eq(slab.bytes_held, 0);
}
END_TEST

START_TEST(freed_blocks_are_used_again)
{
    struct entry_slab slab;
    entry_slab_init(&slab);
    void *blocks[1000];
    for (unsigned i = 0; i < 1000; i++) {
        blocks[i] = alloc(&slab, 100);
    }
    for (unsigned i = 0; i < 1000; i++) {
        entry_slab_free(&slab, blocks[i], entry_slab_class(100));
    }
    size_t held = slab.bytes_held;
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 1000; i++) {
            blocks[i] = alloc(&slab, 97 + i % 16);
        }
        for (unsigned i = 0; i < 1000; i++) {
            entry_slab_free(&slab, blocks[i], entry_slab_class(100));
        }
    }
    ck_assert_uint_eq(slab.bytes_held, held);
    entry_slab_deinit(&slab);
}
END_TEST

START_TEST(huge_blocks_go_back_at_once)
{
    struct entry_slab slab;
    entry_slab_init(&slab);
    void *a = alloc(&slab, 1000000);
    void *b = alloc(&slab, 5000000);
    void *c = alloc(&slab, 200000);
    memset(a, 1, 1000000);
    memset(b, 2, 5000000);
    memset(c, 3, 200000);
    ck_assert_uint_ge(slab.bytes_held, 6200000);
    entry_slab_free(&slab, b, ENTRY_SLAB_CLASS_HUGE);
    entry_slab_free(&slab, a, ENTRY_SLAB_CLASS_HUGE);
    entry_slab_free(&slab, c, ENTRY_SLAB_CLASS_HUGE);
    ck_assert_uint_eq(slab.bytes_held, 0);
    entry_slab_deinit(&slab);
}
END_TEST

TEST_MAIN("store/entry_slab", every_size_fits_its_class_and_wastes_little,
          blocks_in_use_never_overlap, freed_blocks_are_used_again, huge_blocks_go_back_at_once)
