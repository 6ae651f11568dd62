/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_CLIENT_LANES_H
#define SYNOD_CLUSTER_CLIENT_LANES_H

/*
 * The lanes between clients and nodes: for each client place one into every node and one back.
 *
 * A place is made when a client first takes it and then kept until the cluster closes, so that
 * nodes need no word from anybody before they look into its lanes: a handle that closes leaves its
 * place to the next one. What the old one left unread in the lanes is harmless: its requests may
 * still take effect (their outcome was unknown), its replies carry sequences that the new one never
 * used.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cacheline.h"
#include "cluster/mesh.h"
#include "queue/spsc_lane.h"
#include "replica/ports.h"

/* A request in a lane: this, then the encoded command. */
struct request_frame {
    uint32_t kind; /* enum request_kind */
    uint32_t reserved;
    uint64_t sequence;
};

/* A reply in a lane: this, then the value. */
struct reply_frame {
    uint64_t sequence;
    uint8_t status; /* enum reply_status */
    uint8_t result; /* enum store_result */
    uint16_t has_value;
    uint32_t value_bytes;
    uint64_t slot; /* modify slot */
    uint64_t version;
    uint64_t create_slot;
};

struct client_place {
    struct spsc_lane *to_node[MESH_NODES];
    struct spsc_lane *from_node[MESH_NODES];
    struct doorbell *bell;
    /* Under the cluster's lock. */
    bool is_taken;
    uint64_t next_counter; /* sequences go on growing from one handle to the next */
    uint32_t handles;      /* taken so often */
};

struct client_lanes {
    uint32_t nodes;
    uint32_t limit;           /* places at most */
    uint32_t in_flight_limit; /* requests a client may have open */
    size_t request_capacity, reply_capacity;
    struct client_place *places;
    _Alignas(CACHELINE_PAIR) _Atomic uint32_t count; /* places made */
    _Alignas(CACHELINE_PAIR) _Atomic uint32_t open;  /* places taken */
};

/* One node's end: written by its thread alone. */
struct client_end {
    _Alignas(CACHELINE_PAIR) uint32_t node;
    uint32_t next_client; /* taking requests goes round */
    uint32_t *taken;      /* places requests were taken from since the last release */
    uint32_t taken_count;
    uint32_t *replied; /* places replied to since the last flush */
    uint32_t replied_count;
    uint8_t *flags; /* per place: 1 in taken, 2 in replied */
};

MUST_USE int client_lanes_init(struct client_lanes *lanes, uint32_t nodes, uint32_t limit,
                               uint32_t in_flight_limit, uint32_t command_bytes,
                               uint32_t value_bytes);
void client_lanes_deinit(struct client_lanes *lanes);

/* Under the cluster's lock. The place's index; -EBUSY: all are taken; -ENOMEM. */
MUST_USE int client_lanes_take(struct client_lanes *lanes);
void client_lanes_give_back(struct client_lanes *lanes, uint32_t index);

MUST_USE int client_end_init(struct client_end *end, const struct client_lanes *lanes,
                             uint32_t node);
void client_end_deinit(struct client_end *end);

/* Node's thread. */
MUST_USE bool client_end_next(struct client_end *end, struct client_lanes *lanes,
                              struct request *request);
void client_end_release(struct client_end *end, struct client_lanes *lanes);
/* False: a value that finds no room. A reply without value always has some. */
MUST_USE bool client_end_reply(struct client_end *end, struct client_lanes *lanes,
                               const struct reply *reply);
/* Publishes replies; how many clients' bells are to be rung by client_end_ring, after one fence. */
uint32_t client_end_publish(struct client_end *end, struct client_lanes *lanes);
void client_end_ring(struct client_end *end, struct client_lanes *lanes);
bool client_end_has_requests(const struct client_end *end, struct client_lanes *lanes);
/* Drops what waits: a restarted node knows nothing of it. */
void client_end_skip_all(const struct client_end *end, struct client_lanes *lanes);

#endif
