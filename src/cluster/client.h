/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_CLIENT_H
#define SYNOD_CLUSTER_CLIENT_H

/*
 * A client handle: a table of open requests, the lanes of its place, and the knowledge of where the
 * leader is. Everything here belongs to the thread that opened it.
 *
 * The life of a request:
 *
 *   submit -> SENT ----- reply with outcome --------------------> done
 *               |  \---- not leader, not done, busy -> WAITING -> sent again, until its deadline
 *               |  \---- unknown, or its node crashed: a write is done (TIMEOUT); a read WAITS
 *               \------- deadline: done (TIMEOUT)
 *   submit -> WAITING while no leader is known -> deadline: done (NO_LEADER or BUSY: nothing
 * happened)
 *
 * Only what certainly did not take effect, or has no effect, is ever sent again.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cluster/cluster.h"
#include "queue/idle_strategy.h"
#include "synod/kv.h"

enum entry_state { ENTRY_FREE, ENTRY_SENT, ENTRY_WAITING };

struct client_entry {
    uint64_t sequence; /* counter in the high bits, index of this entry in the low 16 */
    uint64_t tag;
    uint64_t deadline_ns;
    uint64_t incarnation; /* of the node it was sent to, then */
    uint8_t state;
    uint8_t operation;    /* enum synod_operation */
    uint8_t request_kind; /* enum request_kind */
    uint8_t node;
    uint8_t last_refusal; /* enum synod_status: why it waits */
    bool is_silent;       /* a blocking call's: not for synod_poll */
    uint32_t command_bytes;
    uint8_t *command; /* encoded; kept for sending again */
};

/* A completion that came while a blocking call waited for its own. */
struct client_backlog {
    struct synod_completion completion;
    uint8_t *value;
};

struct synod_client {
    struct synod_cluster *cluster;
    struct client_place *place;
    uint32_t index;
    uint32_t nodes;
    uint64_t id; /* handle count in the high half, place in the low */
    pthread_t owner;

    struct client_entry *entries;
    uint32_t limit;
    uint32_t entries_used; /* entries from here on were never used */
    uint32_t in_flight;
    uint32_t waiting;
    uint32_t *free; /* stack of free entries */
    uint32_t free_count;
    uint8_t *inline_commands; /* limit * inline_bytes: room for small commands */
    uint32_t inline_bytes;
    uint64_t next_counter;

    uint64_t now_ns; /* since the last poll or flush; 0: to be read again */
    uint64_t swept_ns;
    uint64_t earliest_ns;  /* no deadline is before this */
    uint32_t sweep_next;   /* entry to go on with, when the last sweep found no room; 0: none */
    bool is_sweep_needed;  /* some request was sent to a node that has crashed since */
    bool is_sweep_put_off; /* replies left no room for the last one that was due */
    uint64_t incarnations[MESH_NODES]; /* of the nodes, as last sent under or swept */
    uint32_t sent_set;                 /* nodes with requests not flushed */
    uint32_t expect_set;               /* nodes that owe replies */
    uint64_t hint;                     /* leader hint as last acted on */

    struct client_backlog *backlog; /* ring of `limit` */
    uint32_t backlog_first, backlog_count;
    uint8_t *lent_value; /* of a backlog completion given out: freed at the next call */
    uint32_t lent_set;   /* nodes whose lane holds frames given out */

    struct idle_strategy idle;
    uint32_t idle_clients;
};

#endif
