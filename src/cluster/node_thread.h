/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_NODE_THREAD_H
#define SYNOD_CLUSTER_NODE_THREAD_H

/*
 * One node on a thread of its own: turns its replica, idles when there is nothing to do, publishes
 * what others may see of it.
 *
 * A node's state belongs to its thread from start to join. Others see: its rings and lanes, the
 * view (under a lock taken at most once a millisecond), and its store as readers.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cluster/client_lanes.h"
#include "cluster/mesh.h"
#include "queue/idle_strategy.h"
#include "replica/replica.h"

struct node_thread {
    /* Fixed while the thread runs */
    uint32_t number;
    struct mesh *mesh;
    struct client_lanes *lanes;
    _Atomic uint64_t *leader_hint; /* the cluster's: see leader_hint.h */
    struct replica *replica;
    enum idle_kind idle_kind;
    uint32_t usable_cpus;
    int cpu; /* -1: not pinned */
    bool is_running;
    pthread_t thread;

    /* Any thread -> node */
    _Alignas(CACHELINE_PAIR) _Atomic uint32_t stop;
    _Atomic int32_t transfer_to; /* -1: nothing asked */

    /* The node's own */
    _Alignas(CACHELINE_PAIR) struct client_end clients;
    struct idle_strategy idle;
    uint32_t idle_clients; /* open clients when the idle strategy was set up */
    uint64_t turns, parks;
    uint64_t published_ns;

    /* Node -> any thread */
    pthread_mutex_t view_lock;
    struct replica_view view;
    uint64_t view_ns; /* monotonic time of the view; 0: none since the start */
    uint64_t view_turns, view_parks;
    int view_failure;
};

/* The ports a replica of this node is opened with. */
struct replica_ports node_thread_ports(struct node_thread *node);
/* Starts the thread on node->replica; the node is up in the mesh when this returns. 0 or -errno. */
MUST_USE int node_thread_start(struct node_thread *node);
/* Ends the thread between two turns and waits for it; the node is down when this returns. */
void node_thread_stop(struct node_thread *node);
/* A thread of the cluster's: named, on one CPU (-1: any), and no signal of the program's is handled
 * on it. 0 or -errno. */
MUST_USE int node_thread_create(pthread_t *thread, int cpu, void *(*body)(void *argument),
                                void *argument, const char *name);
/* Wakes it to see what was asked of it. */
void node_thread_wake(struct node_thread *node);

#endif
