/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STORE_RETIRE_LIST_H
#define SYNOD_STORE_RETIRE_LIST_H

/*
 * Entries that are out of the map and may still be in a reader's hands. They gather in an open
 * batch; a full batch begins one grace period for all of them, and once that is over they go back
 * to the slab. With no reader registered there is nothing to wait for, and the open batch goes back
 * at once.
 *
 * Nothing goes back but in retire_list_collect: what was retired since is still intact.
 *
 * Writer's thread.
 */
#include <stddef.h>
#include <stdint.h>

#include "store/entry_slab.h"
#include "store/kv_map.h"

#define RETIRE_BATCH_BLOCKS 4096u
#define RETIRE_BATCH_BYTES  ((size_t)1 << 20)

struct retire_batch;

struct retire_list {
    struct retire_batch *open;      /* NULL until something is retired */
    struct retire_batch *in_flight; /* oldest first */
    struct retire_batch **in_flight_end;
    struct retire_batch *spare;
    struct entry_slab_doomed *doomed;
    size_t bytes;         /* retired and not yet back */
    size_t bytes_held;    /* by the batches themselves */
    size_t bytes_doomed;  /* slabs waiting to be given back */
    uint32_t quiet_turns; /* retire_list_age calls since the open batch was begun */
};

void retire_list_init(struct retire_list *list);
/* Waits for grace periods (kv_map_barrier), then frees the batches; the blocks are the slab's
 * still. */
void retire_list_deinit(struct retire_list *list, struct kv_map *map);

/* bytes: what the block takes, for the statistics. */
void retire_list_add(struct retire_list *list, struct kv_map *map, void *block, uint32_t size_class,
                     size_t bytes);
/* Gives back to the slab what no reader can hold any more, a bounded number of batches at a time.
 */
void retire_list_collect(struct retire_list *list, struct kv_map *map, struct entry_slab *slab);
/* Once a turn: begins the grace period of a batch that has been open for long without filling up.
 */
void retire_list_age(struct retire_list *list, struct kv_map *map);

/* The slab itself goes, with all that was ever allocated from it and all of that retired: it is
 * emptied at once and its memory given back when no reader can be in it any more. */
void retire_list_doom(struct retire_list *list, struct kv_map *map, struct entry_slab *slab);

#endif
