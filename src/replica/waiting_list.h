/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_REPLICA_WAITING_LIST_H
#define SYNOD_REPLICA_WAITING_LIST_H

/*
 * Who waits for what: for each slot proposed here the client that asked for it, and the reads that
 * wait for a quorum's word.
 *
 * A proposal outlives its leadership: whoever leads when its slot is applied, the entry tells
 * whether the command that was chosen there is the one that was proposed (client and sequence are
 * in the command itself). If so, the answer is its outcome; if not, it is certain never to take
 * effect.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"
#include "replica/ports.h"

struct waiting_proposal {
    uint64_t slot; /* 0: free */
    uint64_t sequence;
    uint32_t client;
};

/* A read: in a byte ring, with its command behind it. */
struct waiting_read {
    uint64_t round; /* UINT64_MAX: not given one yet */
    uint64_t slot;  /* apply up to here first */
    uint64_t sequence;
    uint32_t client;
    uint32_t key_bytes;
    uint32_t bytes; /* of this entry and its key, padded */
};

struct waiting_list {
    struct waiting_proposal *proposals; /* at slot & mask */
    uint64_t mask;
    uint64_t proposals_waiting;

    uint8_t *reads; /* byte ring */
    uint64_t reads_capacity;
    uint64_t reads_first, reads_last; /* grow for ever */
    uint64_t reads_unassigned;        /* position of the first read without a round */
};

/* slots: power of two, the most proposals open at once. -ENOMEM. */
MUST_USE int waiting_list_init(struct waiting_list *list, uint64_t slots, uint64_t read_bytes);
void waiting_list_deinit(struct waiting_list *list);

static inline void waiting_list_add(struct waiting_list *list, uint64_t slot, uint32_t client,
                                    uint64_t sequence)
{
    struct waiting_proposal *entry = &list->proposals[slot & list->mask];
    ASSERT(entry->slot == 0);
    *entry = (struct waiting_proposal){.slot = slot, .sequence = sequence, .client = client};
    list->proposals_waiting++;
}

/* The proposal of this slot, taken off the list; false when none was made here. */
MUST_USE static inline bool waiting_list_take(struct waiting_list *list, uint64_t slot,
                                              struct waiting_proposal *proposal)
{
    struct waiting_proposal *entry = &list->proposals[slot & list->mask];
    if (entry->slot != slot) {
        return false;
    }
    *proposal = *entry;
    entry->slot = 0;
    list->proposals_waiting--;
    return true;
}

/* Queues a read, without a round yet. False when there is no room. */
MUST_USE bool waiting_list_add_read(struct waiting_list *list, const struct request *request);
/* Gives every read that has none this round and slot. */
void waiting_list_assign_round(struct waiting_list *list, uint64_t round, uint64_t slot);
static inline bool waiting_list_has_reads(const struct waiting_list *list)
{
    return list->reads_first != list->reads_last;
}
/* The oldest read, with its key behind it; only when there is one. */
const struct waiting_read *waiting_list_first_read(const struct waiting_list *list,
                                                   const uint8_t **key);
void waiting_list_drop_first_read(struct waiting_list *list);

#endif
