/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLIENT_H
#define SYNOD_CLIENT_H

/*
 * A client handle: a lane of its own into the cluster. It belongs to the thread that opened it;
 * every other thread is told WRONG_THREAD. It finds the leader and follows it by itself.
 */
#include "synod/cluster.h"

#ifdef __cplusplus
extern "C" {
#endif

struct synod_client;

/* OK; BUSY (max_clients are open); NO_MEMORY; CLOSED. */
SYNOD_MUST_USE enum synod_status synod_client_open(struct synod_cluster *cluster,
                                                   struct synod_client **client);
/* Gives the handle back. Operations still in flight are handed over and forgotten: their outcome is
 * unknown. By the opening thread, or any thread once the opening one has ended. NULL is allowed. */
void synod_client_close(struct synod_client *client);

#ifdef __cplusplus
}
#endif

#endif
