/* SPDX-License-Identifier: MIT */
/* A cluster that nobody asks anything keeps its leader, and says what that costs. */
#include <sys/resource.h>

#include "api_support.h"
#include "test_main.h"

enum { NODES = 5 };

struct sums {
    uint64_t elections, parks, generation;
};

static struct sums sum_up(struct synod_cluster *cluster)
{
    struct sums sums = {0};
    for (uint32_t node = 0; node < NODES; node++) {
        struct synod_node_status status;
        EXPECT_STATUS(synod_cluster_status(cluster, node, &status), SYNOD_OK);
        sums.elections += status.elections;
        sums.parks += status.parks;
        sums.generation += status.generation_round;
    }
    return sums;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

START_TEST(idle_cluster_keeps_its_leader)
{
    struct synod_options options;
    small_options(&options, NODES);
    options.election_timeout_ns = 2 * SECONDS; /* more than any machine stalls */
    options.heartbeat_ns = SECONDS / 40;       /* as with the default time-out */
    struct synod_cluster *cluster = open_cluster(&options);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    EXPECT_STATUS(synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
    struct sums before = sum_up(cluster);
    double cpu = cpu_seconds();
    uint64_t start_ns = monotonic_ns();
    pause_ns(4 * SECONDS);
    double elapsed = (double)(monotonic_ns() - start_ns) / 1e9;
    cpu = cpu_seconds() - cpu;
    struct sums after = sum_up(cluster);
    (void)printf("idle: %d nodes use %.2f %% of a CPU and park %.0f times a second\n", NODES,
                 100 * cpu / elapsed, (double)(after.parks - before.parks) / elapsed);
    ck_assert_uint_eq(after.elections, before.elections);
    ck_assert_uint_eq(after.generation, before.generation);
    expect_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

TEST_MAIN("api/idle", idle_cluster_keeps_its_leader)
