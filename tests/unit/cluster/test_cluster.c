/* SPDX-License-Identifier: MIT */
/* What the public tests cannot reach: a node that fails, a crash amid copying. */
#include "cluster/cluster.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/time_source.h"
#include "synod/kv.h"
#include "test_main.h"
#include "wal/disk_file.h"

#define PATIENCE UINT64_C(60000000000)

static _Atomic int broken_node; /* -1: none */
static const struct disk_ops *real_ops;
static struct disk_ops ops;

/* Syncs happen on the node's own thread: its name tells which. */
static int breaking_sync(void *self, struct disk_file *file, size_t offset, size_t length)
{
    int broken = atomic_load(&broken_node);
    char name[16] = "";
    char expected[32];
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    (void)snprintf(expected, sizeof expected, "syn/n%d", broken);
    return strcmp(name, expected) == 0 ? -EIO : real_ops->sync(self, file, offset, length);
}

static struct synod_cluster *open_breakable(void)
{
    struct synod_options options;
    synod_options_init(&options);
    options.max_value_bytes = 60 << 10;
    options.segment_bytes = 1 << 20;
    options.segment_count = 4;
    options.window_slots = 256;
    options.election_timeout_ns = 40000000;
    options.sync = SYNOD_SYNC_BATCH;
    atomic_store(&broken_node, -1);
    real_ops = disk_file()->ops;
    ops = *real_ops;
    ops.sync = breaking_sync;
    disk_file()->ops = &ops;
    struct synod_cluster *cluster;
    char problem[300];
    ck_assert_msg(synod_cluster_open(&options, &cluster, problem, sizeof problem) == SYNOD_OK, "%s",
                  problem);
    ck_assert_int_ge(synod_cluster_await_leader(cluster, PATIENCE), 0);
    return cluster;
}

static void close_breakable(struct synod_cluster *cluster)
{
    atomic_store(&broken_node, -1);
    synod_cluster_close(cluster);
    disk_file()->ops = real_ops;
}

static void put(struct synod_client *client, const char *value)
{
    struct synod_bytes key = {"k", 1};
    struct synod_bytes bytes = {value, strlen(value)};
    enum synod_status status = SYNOD_TIMEOUT;
    for (int i = 0; i < 100 && status == SYNOD_TIMEOUT; i++) { /* its leader may fail just now */
        status = synod_put(client, key, bytes, PATIENCE, NULL);
    }
    ck_assert_int_eq((int)status, SYNOD_OK);
}

static enum synod_role role_of(struct synod_cluster *cluster, uint32_t node)
{
    struct synod_node_status status;
    ck_assert_int_eq((int)synod_cluster_status(cluster, node, &status), SYNOD_OK);
    return status.role;
}

static void await_failure(struct synod_cluster *cluster, uint32_t node)
{
    uint64_t start_ns = time_source_now_ns();
    while (role_of(cluster, node) != SYNOD_FAILED) {
        ck_assert_uint_lt(time_source_now_ns() - start_ns, PATIENCE);
        time_source_sleep_ns(100000);
    }
}

START_TEST(node_that_fails_is_reported_passed_over_and_comes_back)
{
    struct synod_cluster *cluster = open_breakable();
    struct synod_client *client;
    ck_assert_int_eq((int)synod_client_open(cluster, &client), SYNOD_OK);
    put(client, "one");
    for (int round = 0; round < 2; round++) { /* a leader, then a follower */
        int leader = synod_cluster_await_leader(cluster, PATIENCE);
        uint32_t node = round == 0 ? (uint32_t)leader : (uint32_t)(leader + 1) % 3;
        atomic_store(&broken_node, (int)node);
        put(client, "two");
        await_failure(cluster, node);
        put(client, "three");
        ck_assert_int_ne(synod_cluster_leader(cluster), (int)node);
        ck_assert_int_eq((int)synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
        char problem[300];
        ck_assert_int_eq((int)synod_cluster_restart(cluster, node, problem, sizeof problem),
                         SYNOD_INVALID);
        ck_assert_int_eq((int)synod_cluster_crash(cluster, node), SYNOD_OK);
        ck_assert_int_eq((int)role_of(cluster, node), SYNOD_DOWN);
        atomic_store(&broken_node, -1);
        ck_assert_int_eq((int)synod_cluster_restart(cluster, node, problem, sizeof problem),
                         SYNOD_OK);
        ck_assert_int_eq((int)synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
        ck_assert_int_ne((int)role_of(cluster, node), SYNOD_FAILED);
    }
    synod_client_close(client);
    close_breakable(cluster);
}
END_TEST

START_TEST(crash_beside_a_failed_node_does_not_wait_for_it_to_read)
{
    struct synod_cluster *cluster = open_breakable();
    struct synod_client *client;
    ck_assert_int_eq((int)synod_client_open(cluster, &client), SYNOD_OK);
    put(client, "one");
    int leader = synod_cluster_await_leader(cluster, PATIENCE);
    uint32_t failed = (uint32_t)(leader + 1) % 3;
    atomic_store(&broken_node, (int)failed);
    put(client, "two");
    await_failure(cluster, failed);
    ck_assert_int_eq((int)synod_cluster_crash(cluster, (uint32_t)leader), SYNOD_OK);
    ck_assert_int_eq((int)synod_cluster_crash(cluster, (uint32_t)(leader + 2) % 3), SYNOD_OK);
    ck_assert_int_eq((int)synod_cluster_crash(cluster, failed), SYNOD_OK);
    atomic_store(&broken_node, -1);
    for (uint32_t node = 0; node < 3; node++) {
        ck_assert_int_eq((int)synod_cluster_restart(cluster, node, NULL, 0), SYNOD_OK);
    }
    put(client, "three");
    synod_client_close(client);
    close_breakable(cluster);
}
END_TEST

TEST_MAIN("cluster/cluster", node_that_fails_is_reported_passed_over_and_comes_back,
          crash_beside_a_failed_node_does_not_wait_for_it_to_read)
