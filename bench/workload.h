/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_WORKLOAD_H
#define SYNOD_BENCH_WORKLOAD_H

/*
 * What the clients ask for: which operation, on which key, with which value.
 *
 * Keys are numbers 0 .. keys-1 written as lower-case hexadecimal of fixed width, filled with '0' in
 * front. The distribution draws a rank (0 the most popular); ranks are spread over the key numbers
 * by a multiplication modulo `keys` with a factor near the golden section, a bijection, so that
 * popular keys are no neighbours. Values are pseudo-random bytes of which the first sixteen differ
 * for each operation of a run.
 *
 * A workload is shared and never changes after init; a stream belongs to one client thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "bench/problem.h"
#include "bench/zipf.h"
#include "synod/kv.h"

#define WORKLOAD_OPERATIONS 4 /* enum synod_operation */
#define WORKLOAD_TEXT       96
#define WORKLOAD_MAX_KEYS   (1ULL << 32) /* so that rank times factor fits 64 bits */

/* Relative weights, indexed by enum synod_operation. */
struct workload_mix {
    uint32_t weight[WORKLOAD_OPERATIONS];
};

enum workload_shape { WORKLOAD_UNIFORM, WORKLOAD_ZIPF, WORKLOAD_HOT };

struct workload_distribution {
    enum workload_shape shape;
    double exponent;   /* zipf */
    uint64_t hot_keys; /* hot: nine of ten operations go to these */
};

struct workload_spec {
    struct workload_mix mix;
    struct workload_distribution distribution;
    uint64_t keys;
    uint32_t key_bytes, value_bytes;
    enum synod_consistency consistency;
    uint64_t seed;
};

struct workload {
    struct workload_spec spec;
    uint32_t total_weight;
    int only;        /* the single operation of the mix, or -1 */
    uint64_t factor; /* of the spreading; coprime to keys */
    uint32_t digits; /* hexadecimal ones that key numbers need */
    struct zipf zipf;
};

struct workload_stream {
    const struct workload *workload;
    struct prng prng;
    uint64_t serial; /* of the value to come; the client's number in the upper bits */
    char *key;       /* key_bytes; owned */
    unsigned char *value;
};

/* "put", "get", "delete", "cas". */
const char *workload_operation_name(enum synod_operation operation);

/* "put:50,get:50"; "put" alone means "put:1". 0, or -EINVAL with the problem told. */
MUST_USE int workload_parse_mix(const char *text, struct workload_mix *mix,
                                struct problem *problem);
/* The named workloads: "put", "get". */
MUST_USE int workload_parse_name(const char *text, struct workload_mix *mix,
                                 struct problem *problem);
/* "uniform", "zipf:0.99", "hot:100". */
MUST_USE int workload_parse_distribution(const char *text,
                                         struct workload_distribution *distribution,
                                         struct problem *problem);
/* What the parsers turn back into the same; text holds WORKLOAD_TEXT bytes. */
void workload_print_mix(const struct workload_mix *mix, char *text);
void workload_print_distribution(const struct workload_distribution *distribution, char *text);

/* 0, or -EINVAL with the problem told: no operation, keys that do not fit their size, ... */
MUST_USE int workload_init(struct workload *workload, const struct workload_spec *spec,
                           struct problem *problem);
/* The key number that a rank stands for. */
uint64_t workload_spread(const struct workload *workload, uint64_t rank);

/* 0 or -ENOMEM. `client` makes the stream differ from every other client's of the same seed. */
MUST_USE int workload_stream_init(struct workload_stream *stream, const struct workload *workload,
                                  uint32_t client);
void workload_stream_deinit(struct workload_stream *stream);

enum synod_operation workload_next_operation(struct workload_stream *stream);
uint64_t workload_next_key(struct workload_stream *stream);
/* The bytes stay as they are until the next call of the same function on this stream. */
struct synod_bytes workload_key(struct workload_stream *stream, uint64_t number);
struct synod_bytes workload_value(struct workload_stream *stream);

#endif
