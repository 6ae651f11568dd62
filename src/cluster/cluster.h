/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_CLUSTER_H
#define SYNOD_CLUSTER_CLUSTER_H

/* What cluster.c and client.c share. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cluster/client_lanes.h"
#include "cluster/mesh.h"
#include "cluster/node_thread.h"
#include "cluster/run_directory.h"
#include "synod/cluster.h"

struct synod_cluster {
    struct synod_options options; /* resolved: no zeros that mean a default, no borrowed pointers */
    int priorities[SYNOD_MAX_NODES];
    int pin[SYNOD_MAX_NODES];
    struct disk *disk;
    struct run_directory directory;
    struct mesh mesh;
    struct client_lanes lanes;
    struct node_thread nodes[SYNOD_MAX_NODES];
    uint64_t run_salt;       /* drawn at open */
    uint32_t usable_cpus;    /* as of open */
    pthread_mutex_t control; /* serialises open, close, crash, restart, clients coming and going */
    uint32_t references;     /* under control: the cluster's own, and one for each client handle */

    /* Touches log segments ahead of their first use, off the nodes' threads. */
    pthread_t prefaulter;
    bool is_prefaulting;
    _Atomic bool is_prefault_stopped;

    _Alignas(CACHELINE_PAIR) _Atomic uint64_t leader_hint;
    _Alignas(CACHELINE_PAIR) _Atomic bool is_closed;
};

/* One reference less; with the last one goes what clients may touch even after the cluster has
 * closed: the struct itself, their lanes, the nodes' bells and incarnations. */
void cluster_release(struct synod_cluster *cluster);

#endif
