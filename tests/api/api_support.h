/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_API_SUPPORT_H
#define SYNOD_API_SUPPORT_H

/* What tests of the public API share: small clusters that open fast, and short names. */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "synod/synod.h"

#define SECONDS  UINT64_C(1000000000)
#define PATIENCE (60 * SECONDS) /* no test waits so long unless it fails */

static inline uint64_t monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECONDS + (uint64_t)now.tv_nsec;
}

static inline void pause_ns(uint64_t duration_ns)
{
    struct timespec duration = {.tv_sec = (time_t)(duration_ns / SECONDS),
                                .tv_nsec = (long)(duration_ns % SECONDS)};
    (void)nanosleep(&duration, NULL);
}

static inline struct synod_bytes bytes_of(const char *text)
{
    return (struct synod_bytes){text, strlen(text)};
}

static inline bool holds(struct synod_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

#define EXPECT_STATUS(call, expected)                                                              \
    do {                                                                                           \
        enum synod_status status_ = (call);                                                        \
        ck_assert_msg(status_ == (expected), "%s is %s, not %s", #call,                            \
                      synod_status_name(status_), synod_status_name(expected));                    \
    } while (0)

/* Logs of 4 MiB a node, values up to 64 KiB, elections after 40 to 80 ms. */
static inline void small_options(struct synod_options *options, uint32_t nodes)
{
    synod_options_init(options);
    options->nodes = nodes;
    options->max_clients = 8;
    options->max_in_flight = 64;
    options->max_value_bytes = 64 << 10;
    options->segment_bytes = 1 << 20;
    options->segment_count = 4;
    options->window_slots = 256;
    options->election_timeout_ns = 40000000;
}

static inline struct synod_cluster *open_cluster(const struct synod_options *options)
{
    struct synod_cluster *cluster;
    char problem[512];
    enum synod_status status = synod_cluster_open(options, &cluster, problem, sizeof problem);
    ck_assert_msg(status == SYNOD_OK, "%s: %s", synod_status_name(status), problem);
    ck_assert_str_eq(problem, "");
    ck_assert_int_ge(synod_cluster_await_leader(cluster, PATIENCE), 0);
    return cluster;
}

static inline struct synod_cluster *open_small(uint32_t nodes)
{
    struct synod_options options;
    small_options(&options, nodes);
    return open_cluster(&options);
}

static inline struct synod_client *open_client(struct synod_cluster *cluster)
{
    struct synod_client *client;
    EXPECT_STATUS(synod_client_open(cluster, &client), SYNOD_OK);
    return client;
}

static inline void put_text(struct synod_client *client, const char *key, const char *value)
{
    EXPECT_STATUS(synod_put(client, bytes_of(key), bytes_of(value), PATIENCE, NULL), SYNOD_OK);
}

static inline void expect_text(struct synod_client *client, const char *key, const char *value)
{
    struct synod_completion done;
    EXPECT_STATUS(synod_get(client, bytes_of(key), SYNOD_READ_QUORUM, PATIENCE, &done), SYNOD_OK);
    ck_assert(holds(done.value, value));
}

/* Polls until `count` completions have come. */
static inline void poll_all(struct synod_client *client, struct synod_completion *completions,
                            size_t count)
{
    size_t got = 0;
    uint64_t start_ns = monotonic_ns();
    while (got < count) {
        ck_assert_msg(monotonic_ns() - start_ns < PATIENCE, "%zu of %zu came", got, count);
        got += synod_poll(client, completions + got, count - got, SECONDS / 10);
    }
}

#endif
