/* SPDX-License-Identifier: MIT */
#include "store/retire_list.h"

#include <stdlib.h>

enum {
    COLLECT_AT_ONCE = 4, /* batches; tens of microseconds */
    QUIET_TURNS = 16,
    CLASS_SHIFT = 48, /* a block's address needs less */
};

struct retire_batch {
    struct retire_batch *next;
    struct kv_grace *grace;
    size_t bytes;
    uint32_t count;
    uint64_t blocks[RETIRE_BATCH_BLOCKS]; /* address, size class above */
};

struct entry_slab_doomed {
    struct entry_slab_doomed *next;
    struct kv_grace *grace;
    struct entry_slab slab;
};

void retire_list_init(struct retire_list *list)
{
    *list = (struct retire_list){0};
    list->in_flight_end = &list->in_flight;
}

static void free_batches(struct retire_batch *batch)
{
    while (batch != NULL) {
        struct retire_batch *next = batch->next;
        free(batch);
        batch = next;
    }
}

static void collect_doomed(struct retire_list *list, struct kv_map *map)
{
    while (list->doomed != NULL && kv_map_grace_is_over(list->doomed->grace)) {
        struct entry_slab_doomed *doomed = list->doomed;
        list->doomed = doomed->next;
        list->bytes_doomed -= doomed->slab.bytes_held;
        kv_map_grace_end(map, doomed->grace);
        entry_slab_deinit(&doomed->slab);
        free(doomed);
    }
}

void retire_list_deinit(struct retire_list *list, struct kv_map *map)
{
    kv_map_barrier(map);
    for (struct retire_batch *batch = list->in_flight; batch != NULL; batch = batch->next) {
        kv_map_grace_end(map, batch->grace);
    }
    collect_doomed(list, map);
    free_batches(list->in_flight);
    free_batches(list->spare);
    free(list->open);
    retire_list_init(list);
}

static struct retire_batch *take_batch(struct retire_list *list)
{
    struct retire_batch *batch = list->spare;
    if (batch != NULL) {
        list->spare = batch->next;
    } else {
        batch = malloc(sizeof *batch);
        ASSERT(batch != NULL); /* out of memory: stops the process, see store_apply */
        list->bytes_held += sizeof *batch;
    }
    batch->next = NULL;
    batch->bytes = 0;
    batch->count = 0;
    return batch;
}

static void hand_over(struct retire_list *list, struct kv_map *map)
{
    struct retire_batch *batch = list->open;
    batch->grace = kv_map_grace_begin(map);
    *list->in_flight_end = batch;
    list->in_flight_end = &batch->next;
    list->open = NULL;
}

void retire_list_add(struct retire_list *list, struct kv_map *map, void *block, uint32_t size_class,
                     size_t bytes)
{
    if (UNLIKELY(list->open == NULL)) {
        list->open = take_batch(list);
        list->quiet_turns = 0;
    }
    struct retire_batch *batch = list->open;
    batch->blocks[batch->count++] = (uint64_t)(uintptr_t)block | (uint64_t)size_class
                                                                     << CLASS_SHIFT;
    batch->bytes += bytes;
    list->bytes += bytes;
    if (UNLIKELY(batch->count == RETIRE_BATCH_BLOCKS || batch->bytes >= RETIRE_BATCH_BYTES)) {
        hand_over(list, map);
    }
}

static void give_back(struct retire_list *list, struct retire_batch *batch, struct entry_slab *slab)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        uint64_t block = batch->blocks[i];
        uint64_t address = block & ((UINT64_C(1) << CLASS_SHIFT) - 1);
        entry_slab_free(slab, (void *)(uintptr_t)address, (uint32_t)(block >> CLASS_SHIFT));
    }
    list->bytes -= batch->bytes;
    batch->count = 0;
    batch->bytes = 0;
}

void retire_list_collect(struct retire_list *list, struct kv_map *map, struct entry_slab *slab)
{
    for (unsigned i = 0; i < COLLECT_AT_ONCE; i++) {
        struct retire_batch *batch = list->in_flight;
        if (batch == NULL || !kv_map_grace_is_over(batch->grace)) {
            break; /* grace periods end in the order they began */
        }
        list->in_flight = batch->next;
        if (list->in_flight == NULL) {
            list->in_flight_end = &list->in_flight;
        }
        kv_map_grace_end(map, batch->grace);
        give_back(list, batch, slab);
        batch->next = list->spare;
        list->spare = batch;
    }
    if (list->open != NULL && list->open->count > 0 && kv_map_is_unobserved(map)) {
        give_back(list, list->open, slab);
    }
    if (UNLIKELY(list->doomed != NULL)) {
        collect_doomed(list, map);
    }
}

void retire_list_age(struct retire_list *list, struct kv_map *map)
{
    if (list->open == NULL || list->open->count == 0) {
        return;
    }
    if (list->in_flight == NULL && ++list->quiet_turns >= QUIET_TURNS) {
        hand_over(list, map);
    }
}

/* What was retired from the slab goes with it: batches in flight only wait out their grace periods.
 */
static void forget(struct retire_list *list, struct retire_batch *batch)
{
    list->bytes -= batch->bytes;
    batch->count = 0;
    batch->bytes = 0;
}

void retire_list_doom(struct retire_list *list, struct kv_map *map, struct entry_slab *slab)
{
    struct entry_slab_doomed *doomed = malloc(sizeof *doomed);
    ASSERT(doomed != NULL); /* out of memory: stops the process, see store_apply */
    for (struct retire_batch *batch = list->in_flight; batch != NULL; batch = batch->next) {
        forget(list, batch);
    }
    if (list->open != NULL) {
        forget(list, list->open);
    }
    doomed->slab = *slab;
    doomed->grace = kv_map_grace_begin(map);
    doomed->next = NULL;
    struct entry_slab_doomed **end = &list->doomed;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = doomed;
    list->bytes_doomed += slab->bytes_held;
    entry_slab_init(slab);
}
