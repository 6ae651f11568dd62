/* SPDX-License-Identifier: MIT */
#include "store/entry_slab.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/cacheline.h"
#include "store/pages.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_POISONS 1
#endif
#endif
#ifdef SLAB_POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size)   ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

/* Both live at the start of their own memory; a line keeps the blocks behind them aligned. */
struct slab_chunk {
    _Alignas(CACHELINE) struct slab_chunk *next;
    size_t bytes;
};

struct slab_huge {
    _Alignas(CACHELINE) struct slab_huge *next;
    struct slab_huge *previous;
    size_t bytes;
};

enum {
    SMALL_STEP = 16,
    SMALL_LIMIT = 128, /* up to here classes are SMALL_STEP apart */
    SMALL_CLASSES = SMALL_LIMIT / SMALL_STEP,
    STEPS_LOG2 = 2, /* beyond: four classes to a doubling */
    PREFETCH_AHEAD = 8,
};

#define CHUNK_MIN ((size_t)64 << 10)
#define CHUNK_MAX ((size_t)32 << 20)

uint32_t entry_slab_class(size_t size)
{
    if (size <= SMALL_LIMIT) {
        return size == 0 ? 0 : (uint32_t)((size - 1) / SMALL_STEP);
    }
    unsigned log2 = 63 - (unsigned)__builtin_clzll(size - 1); /* 2^log2 < size <= 2^(log2 + 1) */
    uint32_t step = (uint32_t)((size - 1) >> (log2 - STEPS_LOG2)) & ((1u << STEPS_LOG2) - 1);
    uint32_t size_class = SMALL_CLASSES + ((log2 - 7) << STEPS_LOG2) + step;
    return size_class < ENTRY_SLAB_CLASS_HUGE ? size_class : ENTRY_SLAB_CLASS_HUGE;
}

static size_t class_bytes(uint32_t size_class)
{
    if (size_class < SMALL_CLASSES) {
        return (size_t)(size_class + 1) * SMALL_STEP;
    }
    unsigned log2 = 7 + ((size_class - SMALL_CLASSES) >> STEPS_LOG2);
    size_t step = ((size_class - SMALL_CLASSES) & ((1u << STEPS_LOG2) - 1)) + 1;
    return ((size_t)1 << log2) + (step << (log2 - STEPS_LOG2));
}

size_t entry_slab_block_bytes(uint32_t size_class, size_t size)
{
    return size_class == ENTRY_SLAB_CLASS_HUGE ? pages_round(sizeof(struct slab_huge) + size)
                                               : class_bytes(size_class);
}

void entry_slab_init(struct entry_slab *slab)
{
    *slab = (struct entry_slab){0};
}

void entry_slab_deinit(struct entry_slab *slab)
{
    for (struct slab_chunk *chunk = slab->chunks; chunk != NULL;) {
        struct slab_chunk *next = chunk->next;
        ASAN_UNPOISON_MEMORY_REGION(chunk, chunk->bytes);
        pages_unmap(chunk, chunk->bytes);
        chunk = next;
    }
    for (struct slab_huge *huge = slab->huge; huge != NULL;) {
        struct slab_huge *next = huge->next;
        pages_unmap(huge, huge->bytes);
        huge = next;
    }
    for (size_t i = 0; i < ENTRY_SLAB_CLASSES; i++) {
        free(slab->free[i].blocks);
    }
    entry_slab_init(slab);
}

static void *alloc_huge(struct entry_slab *slab, size_t size)
{
    size_t bytes = entry_slab_block_bytes(ENTRY_SLAB_CLASS_HUGE, size);
    struct slab_huge *huge = pages_map(bytes);
    if (huge == NULL) {
        return NULL;
    }
    huge->bytes = bytes;
    huge->next = slab->huge;
    huge->previous = NULL;
    if (slab->huge != NULL) {
        slab->huge->previous = huge;
    }
    slab->huge = huge;
    slab->bytes_held += bytes;
    return huge + 1;
}

static void free_huge(struct entry_slab *slab, void *block)
{
    struct slab_huge *huge = (struct slab_huge *)block - 1;
    if (huge->previous != NULL) {
        huge->previous->next = huge->next;
    } else {
        slab->huge = huge->next;
    }
    if (huge->next != NULL) {
        huge->next->previous = huge->previous;
    }
    slab->bytes_held -= huge->bytes;
    pages_unmap(huge, huge->bytes);
}

/* Chunks grow with the slab, a quarter at a time. What is left of the old chunk is less than one
 * block and is let go. */
static int add_chunk(struct entry_slab *slab, size_t block_bytes)
{
    size_t bytes = slab->bytes_held / 4;
    bytes = bytes < CHUNK_MIN ? CHUNK_MIN : bytes;
    bytes = bytes > CHUNK_MAX ? CHUNK_MAX : bytes;
    if (bytes < block_bytes + sizeof(struct slab_chunk)) {
        bytes = block_bytes + sizeof(struct slab_chunk);
    }
    bytes = pages_round(bytes);
    struct slab_chunk *chunk = pages_map(bytes);
    if (chunk == NULL) {
        return -1;
    }
    if (slab->chunks != NULL) { /* carved up, so touched nearly everywhere */
        pages_offer_huge(slab->chunks, slab->chunks->bytes);
    }
    chunk->bytes = bytes;
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    slab->carve = (uint8_t *)(chunk + 1);
    slab->carve_end = (uint8_t *)chunk + bytes;
    slab->bytes_held += bytes;
    ASAN_POISON_MEMORY_REGION(slab->carve, bytes - sizeof *chunk);
    return 0;
}

static void *carve(struct entry_slab *slab, size_t block_bytes)
{
    if ((size_t)(slab->carve_end - slab->carve) < block_bytes &&
        add_chunk(slab, block_bytes) != 0) {
        return NULL;
    }
    void *block = slab->carve;
    slab->carve += block_bytes;
    return block;
}

void *entry_slab_alloc(struct entry_slab *slab, uint32_t size_class, size_t size)
{
    if (UNLIKELY(size_class == ENTRY_SLAB_CLASS_HUGE)) {
        return alloc_huge(slab, size);
    }
    struct slab_stack *stack = &slab->free[size_class];
    void *block;
    if (LIKELY(stack->count > 0)) {
        block = stack->blocks[--stack->count];
        if (stack->count >= PREFETCH_AHEAD) {
            uint8_t *ahead = stack->blocks[stack->count - PREFETCH_AHEAD];
            __builtin_prefetch(ahead, 1);
            __builtin_prefetch(ahead + CACHELINE, 1);
        }
    } else {
        block = carve(slab, class_bytes(size_class));
    }
    if (block != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(block, size);
    }
    return block;
}

static void grow_stack(struct entry_slab *slab, struct slab_stack *stack)
{
    size_t capacity = stack->capacity == 0 ? 256 : stack->capacity * 2;
    void **blocks = realloc(stack->blocks, capacity * sizeof *blocks);
    ASSERT(blocks != NULL); /* out of memory: stops the process, see store_apply */
    slab->bytes_held += (capacity - stack->capacity) * sizeof *blocks;
    stack->blocks = blocks;
    stack->capacity = capacity;
}

void entry_slab_free(struct entry_slab *slab, void *block, uint32_t size_class)
{
    if (UNLIKELY(size_class == ENTRY_SLAB_CLASS_HUGE)) {
        free_huge(slab, block);
        return;
    }
    struct slab_stack *stack = &slab->free[size_class];
    if (UNLIKELY(stack->count == stack->capacity)) {
        grow_stack(slab, stack);
    }
    ASAN_POISON_MEMORY_REGION(block, class_bytes(size_class));
    stack->blocks[stack->count++] = block;
}
