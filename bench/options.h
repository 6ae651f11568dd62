/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_OPTIONS_H
#define SYNOD_BENCH_OPTIONS_H

/*
 * The flags of `synod bench`: one table gives the parser, the help and the configuration that the
 * result document embeds. Every option can be set and printed by its name, so that job files can
 * use the same table.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/faults.h"
#include "bench/placement.h"
#include "bench/problem.h"
#include "bench/workload.h"
#include "synod/cluster.h"

#define OPTIONS_PATH 1024
#define OPTIONS_TEXT FAULTS_TEXT /* of any option's value */

enum options_progress { OPTIONS_PROGRESS_AUTO, OPTIONS_PROGRESS_ALWAYS, OPTIONS_PROGRESS_NEVER };
enum options_target { OPTIONS_TARGET_CLUSTER, OPTIONS_TARGET_NULL };

struct options {
    uint64_t nodes, clients, depth;
    uint64_t batch; /* commands at most; 0: auto */
    uint64_t value_bytes, key_bytes, keys;
    struct workload_mix mix;
    struct workload_distribution distribution;
    uint32_t reads;       /* enum synod_consistency */
    uint64_t duration_ns; /* 0: until the operations are done */
    uint64_t operations;  /* 0: until the time is up */
    uint64_t warmup_ns, interval_ns;
    uint64_t seed;
    uint32_t idle; /* enum synod_idle */
    struct placement_spec pin;
    char wal_directory[OPTIONS_PATH]; /* "": a fresh one below /dev/shm */
    bool keep;
    uint32_t wal_sync; /* enum synod_sync */
    uint64_t segment_bytes, segments;
    uint64_t election_timeout_ns;
    struct fault_plan crashes;
    char json[OPTIONS_PATH]; /* "-": stdout; "": none */
    uint32_t progress, target;
    bool strict_environment;
    bool wants_help, wants_version;
};

void options_init(struct options *options);

/*
 * Reads the arguments; arguments[0] is skipped. 0, or -EINVAL with the problem told. A flag given
 * twice counts the last time, --crash adds up. Does not look further when help or the version is
 * wanted.
 */
MUST_USE int options_parse(struct options *options, int count, const char **arguments,
                           struct problem *problem);

/* Walks the table: the name of option i, NULL past the end. */
const char *options_name(size_t i);
/* Sets one option by name, as a flag would; 0, or -EINVAL with the problem told. */
MUST_USE int options_set(struct options *options, const char *name, const char *value,
                         struct problem *problem);
/* The value as options_set takes it; text holds OPTIONS_TEXT bytes. False: it is unset, and
 * nothing would set it so. */
bool options_print(const struct options *options, size_t i, char *text);
/* The help, made from the table; 80 columns. */
void options_help(FILE *to);

#endif
