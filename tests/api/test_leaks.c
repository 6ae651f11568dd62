/* SPDX-License-Identifier: MIT */
/* What a cluster takes from the system comes back. */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "api_support.h"
#include "test_main.h"

/* A sanitizer's allocator keeps freed memory mapped for a while; it looks for leaks by itself. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MAPPINGS_ARE_OURS false
#else
#define MAPPINGS_ARE_OURS true
#endif

enum { WARM_UP = 10, CLUSTERS = 50, SLACK = 16 };

static int count_entries(const char *path, const char *prefix)
{
    DIR *directory = opendir(path);
    ck_assert_ptr_nonnull(directory);
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) { // NOLINT(concurrency-mt-unsafe): own stream
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    }
    ck_assert_int_eq(closedir(directory), 0);
    return count;
}

/* Lines of /proc/self/maps that hold the text. */
static int count_mappings(const char *text)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    ck_assert_ptr_nonnull(maps);
    int count = 0;
    char line[1024];
    while (fgets(line, sizeof line, maps) != NULL) {
        count += strstr(line, text) != NULL;
    }
    ck_assert_int_eq(fclose(maps), 0);
    return count;
}

/* Open, work, crash and restart the leader, close; now and then with a client still open. */
static void live_once(int round)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    if (round % 3 == 0) {
        uint32_t leader = (uint32_t)synod_cluster_await_leader(cluster, PATIENCE);
        EXPECT_STATUS(synod_cluster_crash(cluster, leader), SYNOD_OK);
        if (round % 2 == 0) {
            EXPECT_STATUS(synod_cluster_restart(cluster, leader, NULL, 0), SYNOD_OK);
        }
        expect_text(client, "k", "v");
    }
    if (round % 5 == 0) {
        synod_cluster_close(cluster);
        synod_client_close(client);
    } else {
        synod_client_close(client);
        synod_cluster_close(cluster);
    }
}

static void fail_once(void)
{
    struct synod_options options;
    small_options(&options, 3);
    options.pin = (const int[]){1023};
    options.pin_count = 1; /* refused when the first thread starts: everything is open by then */
    struct synod_cluster *cluster;
    EXPECT_STATUS(synod_cluster_open(&options, &cluster, NULL, 0), SYNOD_INVALID);
}

START_TEST(fifty_clusters_leave_nothing_behind)
{
    char own[64];
    (void)snprintf(own, sizeof own, "synod-%ld-", (long)getpid());
    for (int round = 0; round < WARM_UP; round++) { /* heaps and pools of the C library */
        live_once(round);
    }
    int descriptors = count_entries("/proc/self/fd", "");
    int threads = count_entries("/proc/self/task", "");
    int mappings = count_mappings("");
    for (int round = 0; round < CLUSTERS; round++) {
        live_once(round);
        if (round % 10 == 0) {
            fail_once();
        }
    }
    ck_assert_int_eq(count_entries("/proc/self/fd", ""), descriptors);
    ck_assert_int_eq(count_entries("/proc/self/task", ""), threads);
    ck_assert_int_eq(count_mappings("/dev/shm/synod-"), 0);
    ck_assert_int_eq(count_entries("/dev/shm", own), 0);
    ck_assert(!MAPPINGS_ARE_OURS || count_mappings("") < mappings + SLACK);
}
END_TEST

TEST_MAIN("api/leaks", fifty_clusters_leave_nothing_behind)
