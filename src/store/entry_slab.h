/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_ENTRY_SLAB_H
#define SYNOD_STORE_ENTRY_SLAB_H

/*
 * Memory for entries, so that a write costs no malloc. Sizes are rounded up to classes, four to a
 * doubling (at most a fifth is lost; 16-byte steps up to 128 bytes). New blocks are carved from
 * large chunks shared by all classes; freed ones wait on a stack of their class. The stacks hold
 * pointers instead of threading a list through the blocks: freeing never touches the block, whose
 * lines are likely cold, and the block about to be handed out can be prefetched.
 *
 * Blocks above the largest class are mappings of their own.
 *
 * A chunk is given back only with the whole slab: the slab holds, for each class, what that class
 * needed at its peak. Values that keep changing size over a wide range pay for it in memory.
 *
 * One thread at a time. Under AddressSanitizer free blocks are poisoned, so that a reader holding
 * an entry for too long is caught.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"

#define ENTRY_SLAB_CLASSES    49 /* 48 sizes, and the huge ones */
#define ENTRY_SLAB_CLASS_HUGE 48u
#define ENTRY_SLAB_ALIGN      16u

struct slab_chunk;
struct slab_huge;

struct slab_stack {
    void **blocks;
    size_t count;
    size_t capacity;
};

struct entry_slab {
    struct slab_stack free[ENTRY_SLAB_CLASSES];
    uint8_t *carve; /* the rest of the newest chunk */
    uint8_t *carve_end;
    struct slab_chunk *chunks;
    struct slab_huge *huge;
    size_t bytes_held;
};

void entry_slab_init(struct entry_slab *slab);
/* Gives everything back, blocks still in use included. */
void entry_slab_deinit(struct entry_slab *slab);

/* The class that serves size bytes. */
uint32_t entry_slab_class(size_t size);
/* Bytes a block of that class really takes; size is what was asked for (it matters for huge ones).
 */
size_t entry_slab_block_bytes(uint32_t size_class, size_t size);

/* A block of at least size bytes, aligned to ENTRY_SLAB_ALIGN; size_class must be that of size.
 * NULL: no memory. */
MUST_USE void *entry_slab_alloc(struct entry_slab *slab, uint32_t size_class, size_t size);
void entry_slab_free(struct entry_slab *slab, void *block, uint32_t size_class);

#endif
