/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STRESS_WORKER_H
#define SYNOD_STRESS_WORKER_H

/*
 * The clients of a crash campaign: threads that keep a closed loop of mixed operations going, a few
 * keys among all of them, and write down what they are told (ledger.h).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "synod/synod.h"

enum campaign_order { ORDER_WORK, ORDER_PAUSE, ORDER_STOP };

/* What the campaign and its workers share. */
struct campaign {
    struct synod_cluster *cluster;
    uint32_t keys, depth;
    uint32_t value_min, value_max;
    _Atomic uint32_t order;
    _Atomic uint32_t paused;        /* workers with nothing in flight */
    _Atomic uint64_t known;         /* highest revision that any worker was told of */
    _Atomic uint64_t *known_of_key; /* the same, key by key */
    _Atomic uint64_t crashed_ns;    /* the last crash; 0: none to be timed */
    _Atomic uint64_t served_ns;     /* first answer to a request of after it; 0: none yet */
    _Atomic uint64_t done;          /* operations completed */
    _Atomic uint64_t unknown;       /* of them, with unknown outcome */
    _Atomic uint64_t handles;       /* client handles opened */
    _Atomic uint64_t mistakes;      /* values nobody wrote, outcomes that cannot be */
};

struct records {
    struct ledger_write *writes;
    size_t write_count, write_capacity;
    struct ledger_read *reads;
    size_t read_count, read_capacity;
};

struct worker {
    struct campaign *campaign;
    uint32_t number;
    uint64_t random; /* state */
    pthread_t thread;
    struct synod_client *client;
    struct operation *operations; /* one per request in flight */
    uint64_t *seen;               /* by key: a revision this worker has seen */
    uint8_t *value;               /* room for one */
    uint64_t next_id;
    struct records records; /* the main thread's while paused */
};

uint64_t now_ns(void);
void sleep_ns(uint64_t duration_ns);
uint64_t random_next(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t bound);

void key_name(uint32_t key, char name[16]);
/* The id of the write a value came from; 0 when its bytes are damaged. */
uint64_t value_id(struct synod_bytes value, uint32_t key);

void worker_start(struct worker *worker, struct campaign *campaign, uint32_t number, uint64_t seed);
/* Told to stop before. */
void worker_join(struct worker *worker);

#endif
