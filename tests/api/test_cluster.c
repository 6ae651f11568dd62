/* SPDX-License-Identifier: MIT */
/* A cluster's life: directories, crashes, restarts, transfers, what it says about its nodes. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api_support.h"
#include "test_main.h"

static void make_directory(char path[64])
{
    (void)snprintf(path, 64, "/dev/shm/synod-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static void remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) { // NOLINT(concurrency-mt-unsafe): own stream
        char name[512];
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlink(name) != 0) { /* a node's directory: files only */
            DIR *below = opendir(name);
            const struct dirent *file;
            // NOLINTNEXTLINE(concurrency-mt-unsafe): own stream
            while (below != NULL && (file = readdir(below)) != NULL) {
                char inner[800];
                (void)snprintf(inner, sizeof inner, "%s/%s", name, file->d_name);
                (void)unlink(inner);
            }
            if (below != NULL) {
                (void)closedir(below);
            }
            (void)rmdir(name);
        }
    }
    (void)closedir(directory);
    (void)rmdir(path);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void expect_refused(const struct synod_options *options, enum synod_status expected,
                           const char *word)
{
    struct synod_cluster *cluster;
    char problem[512];
    enum synod_status status = synod_cluster_open(options, &cluster, problem, sizeof problem);
    ck_assert_msg(status == expected, "%s, not %s: %s", synod_status_name(status),
                  synod_status_name(expected), problem);
    ck_assert_ptr_null(cluster);
    ck_assert_msg(strstr(problem, word) != NULL, "\"%s\" does not say %s", problem, word);
}

/* ---- Directories ---- */

START_TEST(own_directory_is_below_dev_shm_and_removed_at_close)
{
    char path[256];
    struct synod_cluster *cluster = open_small(3);
    (void)snprintf(path, sizeof path, "%s", synod_cluster_directory(cluster));
    ck_assert_int_eq(strncmp(path, "/dev/shm/", 9), 0);
    ck_assert(exists(path));
    synod_cluster_close(cluster);
    ck_assert(!exists(path));
}
END_TEST

START_TEST(own_directory_kept_stays_and_opens_again)
{
    char path[256];
    struct synod_options options;
    small_options(&options, 3);
    options.keep = true;
    struct synod_cluster *cluster = open_cluster(&options);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    synod_client_close(client);
    (void)snprintf(path, sizeof path, "%s", synod_cluster_directory(cluster));
    synod_cluster_close(cluster);
    ck_assert(exists(path));
    options.directory = path;
    cluster = open_cluster(&options);
    client = open_client(cluster);
    expect_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
    ck_assert(exists(path));
    remove_tree(path);
}
END_TEST

START_TEST(named_directory_is_made_with_its_parents_and_stays)
{
    char base[64];
    char path[128];
    char parent[128];
    make_directory(base);
    (void)snprintf(parent, sizeof parent, "%s/a", base);
    (void)snprintf(path, sizeof path, "%s/a/b", base);
    struct synod_options options;
    small_options(&options, 1);
    options.directory = path;
    struct synod_cluster *cluster = open_cluster(&options);
    ck_assert_str_eq(synod_cluster_directory(cluster), path);
    synod_cluster_close(cluster);
    ck_assert(exists(path));
    remove_tree(path);
    remove_tree(parent);
    remove_tree(base);
}
END_TEST

START_TEST(directory_that_cannot_be_is_refused)
{
    struct synod_options options;
    small_options(&options, 3);
    options.directory = "/proc/nowhere/synod";
    struct synod_cluster *cluster;
    char problem[512];
    EXPECT_STATUS(synod_cluster_open(&options, &cluster, problem, sizeof problem), SYNOD_IO_ERROR);
    ck_assert_ptr_nonnull(strstr(problem, "/proc/nowhere/synod"));
    char long_path[1000];
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[0] = '/';
    long_path[sizeof long_path - 1] = '\0';
    options.directory = long_path;
    EXPECT_STATUS(synod_cluster_open(&options, &cluster, problem, sizeof problem), SYNOD_INVALID);
    options.directory = "";
    EXPECT_STATUS(synod_cluster_open(&options, &cluster, problem, sizeof problem), SYNOD_INVALID);
}
END_TEST

START_TEST(directory_in_use_by_this_process_is_refused)
{
    char path[64];
    make_directory(path);
    struct synod_options options;
    small_options(&options, 3);
    options.directory = path;
    struct synod_cluster *cluster = open_cluster(&options);
    char holder[32];
    (void)snprintf(holder, sizeof holder, "process %ld", (long)getpid());
    expect_refused(&options, SYNOD_IN_USE, holder);
    options.nodes = 1; /* also by one that would touch less of it */
    expect_refused(&options, SYNOD_IN_USE, path);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
    options.nodes = 3;
    cluster = open_cluster(&options);
    synod_cluster_close(cluster);
    remove_tree(path);
}
END_TEST

/* The program, called again by itself: tries to open what its parent holds. */
static int open_in_child(const char *path)
{
    struct synod_options options;
    small_options(&options, 3);
    options.directory = path;
    struct synod_cluster *cluster;
    enum synod_status status = synod_cluster_open(&options, &cluster, NULL, 0);
    synod_cluster_close(cluster);
    return (int)status;
}

START_TEST(directory_in_use_by_another_process_is_refused)
{
    char path[64];
    make_directory(path);
    struct synod_options options;
    small_options(&options, 3);
    options.directory = path;
    struct synod_cluster *cluster = open_cluster(&options);
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/proc/self/exe", "test_cluster", path, (char *)NULL);
        _exit(99);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), SYNOD_IN_USE);
    synod_cluster_close(cluster);
    remove_tree(path);
}
END_TEST

START_TEST(directory_of_another_shape_is_refused)
{
    char path[64];
    make_directory(path);
    struct synod_options options;
    small_options(&options, 3);
    options.directory = path;
    struct synod_cluster *cluster = open_cluster(&options);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
    struct synod_options other = options;
    other.nodes = 5;
    expect_refused(&other, SYNOD_FOREIGN, "3 nodes");
    other = options;
    other.nodes = 1;
    expect_refused(&other, SYNOD_FOREIGN, "3 nodes");
    other = options;
    other.phase1_quorum = 3;
    other.phase2_quorum = 1;
    expect_refused(&other, SYNOD_FOREIGN, "quorums of 2 and 2");
    other = options;
    other.max_value_bytes = 100;
    expect_refused(&other, SYNOD_FOREIGN, "values up to");
    other = options;
    other.max_key_bytes = 10;
    expect_refused(&other, SYNOD_FOREIGN, "keys up to");
    other = options;
    other.segment_bytes *= 2;
    expect_refused(&other, SYNOD_INVALID, "segments");
    other = options;
    other.max_value_bytes += 1000; /* larger is fine, and from then on what it is */
    cluster = open_cluster(&other);
    client = open_client(cluster);
    expect_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
    expect_refused(&options, SYNOD_FOREIGN, "values up to");
    remove_tree(path);
}
END_TEST

START_TEST(damaged_identity_is_reported_and_left_alone)
{
    char path[64];
    char file[96];
    make_directory(path);
    (void)snprintf(file, sizeof file, "%s/cluster.id", path);
    struct synod_options options;
    small_options(&options, 1);
    options.directory = path;
    synod_cluster_close(open_cluster(&options));
    int fd = open(file, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    uint8_t byte;
    ck_assert_int_eq(pread(fd, &byte, 1, 20), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, 20), 1);
    expect_refused(&options, SYNOD_CORRUPT, "cluster.id");
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, 20), 1);
    (void)close(fd);
    synod_cluster_close(open_cluster(&options));
    remove_tree(path);
}
END_TEST

START_TEST(log_of_another_cluster_is_refused)
{
    char one[64];
    char two[64];
    make_directory(one);
    make_directory(two);
    struct synod_options options;
    small_options(&options, 1);
    options.directory = one;
    synod_cluster_close(open_cluster(&options));
    options.directory = two;
    synod_cluster_close(open_cluster(&options));
    char from[96];
    char to[96];
    char aside[96];
    (void)snprintf(from, sizeof from, "%s/node-0", one);
    (void)snprintf(to, sizeof to, "%s/node-0", two);
    (void)snprintf(aside, sizeof aside, "%s/aside", two);
    ck_assert_int_eq(rename(to, aside), 0);
    ck_assert_int_eq(rename(from, to), 0);
    expect_refused(&options, SYNOD_FOREIGN, "another cluster");
    remove_tree(aside);
    remove_tree(one);
    remove_tree(two);
}
END_TEST

START_TEST(small_file_system_is_refused_before_anything_breaks)
{
    char path[64];
    make_directory(path);
    if (mount("synod-test", path, "tmpfs", 0, "size=6m") != 0) {
        (void)printf("SKIPPED: small_file_system_is_refused: no tmpfs can be mounted here\n");
        remove_tree(path);
        return;
    }
    struct synod_options options;
    small_options(&options, 3); /* 12 MiB of log */
    options.directory = path;
    struct synod_cluster *cluster;
    char problem[512];
    enum synod_status status = synod_cluster_open(&options, &cluster, problem, sizeof problem);
    (void)umount(path);
    (void)rmdir(path);
    EXPECT_STATUS(status, SYNOD_NO_SPACE);
    ck_assert_ptr_null(cluster);
    ck_assert_ptr_nonnull(strstr(problem, path));
    ck_assert_ptr_nonnull(strstr(problem, "MiB"));
}
END_TEST

START_TEST(reopened_cluster_holds_what_was_acknowledged_also_after_snapshots)
{
    char path[64];
    make_directory(path);
    struct synod_options options;
    small_options(&options, 3);
    options.directory = path;
    static char value[8000];
    memset(value, 'v', sizeof value);
    uint64_t revision = 0;
    for (int round = 0; round < 3; round++) {
        struct synod_cluster *cluster = open_cluster(&options);
        struct synod_client *client = open_client(cluster);
        struct synod_completion done;
        for (int i = 0; i < 1200 && round < 2; i++) { /* 9 MiB through logs of 4 MiB */
            char key[16];
            (void)snprintf(key, sizeof key, "k%d", i % 50);
            memcpy(value, key, 4);
            EXPECT_STATUS(synod_put(client, bytes_of(key),
                                    (struct synod_bytes){value, 4 + (size_t)i}, PATIENCE, &done),
                          SYNOD_OK);
            ck_assert_uint_gt(done.revision, revision);
            revision = done.revision;
        }
        for (int i = 1150; i < 1200; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "k%d", i % 50);
            EXPECT_STATUS(synod_get(client, bytes_of(key), SYNOD_READ_QUORUM, PATIENCE, &done),
                          SYNOD_OK);
            ck_assert_uint_eq(done.value.size, 4 + (size_t)i);
            ck_assert_mem_eq(done.value.data, key, 2);
        }
        EXPECT_STATUS(synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
        synod_client_close(client);
        synod_cluster_close(cluster);
    }
    remove_tree(path);
}
END_TEST

/* ---- Crash, restart, transfer ---- */

START_TEST(nodes_that_do_not_exist_or_are_down_are_invalid)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_node_status status;
    EXPECT_STATUS(synod_cluster_crash(cluster, 3), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_restart(cluster, 3, NULL, 0), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_transfer(cluster, 3), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_status(cluster, 3, &status), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_status(cluster, 0, NULL), SYNOD_INVALID);
    char problem[64] = "untouched";
    EXPECT_STATUS(synod_cluster_restart(cluster, 0, problem, sizeof problem), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_crash(cluster, 0), SYNOD_OK);
    EXPECT_STATUS(synod_cluster_crash(cluster, 0), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_status(cluster, 0, &status), SYNOD_OK);
    ck_assert_int_eq((int)status.role, SYNOD_DOWN);
    EXPECT_STATUS(synod_cluster_restart(cluster, 0, problem, sizeof problem), SYNOD_OK);
    ck_assert_str_eq(problem, "");
    EXPECT_STATUS(synod_cluster_restart(cluster, 0, NULL, 0), SYNOD_INVALID);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(crashed_leader_comes_back_with_the_log_it_kept)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    for (int round = 0; round < 10; round++) {
        char value[16];
        (void)snprintf(value, sizeof value, "v%d", round);
        put_text(client, "k", value);
        uint32_t leader = (uint32_t)synod_cluster_await_leader(cluster, PATIENCE);
        EXPECT_STATUS(synod_cluster_crash(cluster, leader), SYNOD_OK);
        ck_assert_int_ne(synod_cluster_leader(cluster), (int)leader);
        expect_text(client, "k", value);
        EXPECT_STATUS(synod_cluster_restart(cluster, leader, NULL, 0), SYNOD_OK);
    }
    EXPECT_STATUS(synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(whole_cluster_crashed_and_restarted_holds_everything)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    for (uint32_t node = 0; node < 3; node++) {
        EXPECT_STATUS(synod_cluster_crash(cluster, node), SYNOD_OK);
    }
    ck_assert_int_eq(synod_cluster_leader(cluster), -1);
    ck_assert_int_eq(synod_cluster_await_leader(cluster, SECONDS / 100), -1);
    EXPECT_STATUS(synod_cluster_transfer(cluster, 0), SYNOD_NO_LEADER);
    EXPECT_STATUS(synod_cluster_await_quiet(cluster, SECONDS / 100), SYNOD_TIMEOUT);
    for (uint32_t node = 0; node < 3; node++) {
        EXPECT_STATUS(synod_cluster_restart(cluster, node, NULL, 0), SYNOD_OK);
    }
    expect_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(lonely_node_comes_back)
{
    struct synod_cluster *cluster = open_small(1);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    for (int round = 0; round < 5; round++) {
        EXPECT_STATUS(synod_cluster_crash(cluster, 0), SYNOD_OK);
        EXPECT_STATUS(synod_cluster_restart(cluster, 0, NULL, 0), SYNOD_OK);
        expect_text(client, "k", "v");
        EXPECT_STATUS(synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
    }
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(restarted_node_is_not_taken_for_what_it_was)
{
    struct synod_cluster *cluster = open_small(1);
    for (int round = 0; round < 20; round++) {
        ck_assert_int_eq(synod_cluster_await_leader(cluster, PATIENCE), 0);
        struct synod_node_status before;
        struct synod_node_status after;
        EXPECT_STATUS(synod_cluster_status(cluster, 0, &before), SYNOD_OK);
        EXPECT_STATUS(synod_cluster_crash(cluster, 0), SYNOD_OK);
        EXPECT_STATUS(synod_cluster_restart(cluster, 0, NULL, 0), SYNOD_OK);
        EXPECT_STATUS(synod_cluster_status(cluster, 0, &after), SYNOD_OK);
        ck_assert(after.role != SYNOD_LEADER || after.generation_round > before.generation_round);
    }
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(late_node_catches_up_by_snapshot_when_the_log_has_gone_on)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    static char value[8000];
    memset(value, 'v', sizeof value);
    uint32_t late = synod_cluster_await_leader(cluster, PATIENCE) == 0 ? 1 : 0;
    EXPECT_STATUS(synod_cluster_crash(cluster, late), SYNOD_OK);
    for (int i = 0; i < 2000; i++) { /* 16 MiB: the log's 4 have gone round */
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i % 50);
        EXPECT_STATUS(synod_put(client, bytes_of(key), (struct synod_bytes){value, sizeof value},
                                PATIENCE, NULL),
                      SYNOD_OK);
    }
    EXPECT_STATUS(synod_cluster_restart(cluster, late, NULL, 0), SYNOD_OK);
    EXPECT_STATUS(synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
    struct synod_node_status own;
    struct synod_node_status other;
    EXPECT_STATUS(synod_cluster_status(cluster, late, &own), SYNOD_OK);
    EXPECT_STATUS(synod_cluster_status(cluster, 2, &other), SYNOD_OK);
    ck_assert_uint_ge(own.snapshots_installed, 1);
    ck_assert_uint_eq(own.digest, other.digest);
    ck_assert_uint_eq(own.keys, 50);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(leadership_is_handed_over_on_request)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    for (uint32_t to = 0; to < 3; to++) {
        uint64_t start_ns = monotonic_ns();
        while (synod_cluster_leader(cluster) != (int)to) {
            ck_assert(monotonic_ns() - start_ns < PATIENCE);
            enum synod_status status = synod_cluster_transfer(cluster, to);
            ck_assert(status == SYNOD_OK || status == SYNOD_NO_LEADER);
            pause_ns(20000000);
        }
        put_text(client, "k", "v");
    }
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(handing_over_to_a_crashed_node_leaves_somebody_leading)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    int leader = synod_cluster_await_leader(cluster, PATIENCE);
    uint32_t down = leader == 0 ? 1 : 0;
    EXPECT_STATUS(synod_cluster_crash(cluster, down), SYNOD_OK);
    enum synod_status status = synod_cluster_transfer(cluster, down);
    ck_assert_msg(status == SYNOD_OK || status == SYNOD_INVALID || status == SYNOD_NO_LEADER, "%s",
                  synod_status_name(status));
    put_text(client, "k", "v");
    expect_text(client, "k", "v");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(status_adds_up_when_quiet)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    struct synod_completion done;
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        EXPECT_STATUS(synod_put(client, bytes_of(key), bytes_of("v"), PATIENCE, &done), SYNOD_OK);
    }
    EXPECT_STATUS(synod_cluster_await_quiet(cluster, PATIENCE), SYNOD_OK);
    int leaders = 0;
    uint64_t digest = 0;
    for (uint32_t node = 0; node < 3; node++) {
        struct synod_node_status status;
        EXPECT_STATUS(synod_cluster_status(cluster, node, &status), SYNOD_OK);
        leaders += status.role == SYNOD_LEADER;
        ck_assert_uint_eq(status.keys, 100);
        ck_assert_uint_ge(status.applied, done.revision);
        ck_assert_uint_eq(status.high_watermark, status.applied);
        ck_assert_uint_eq(status.log_last, status.applied);
        ck_assert_uint_le(status.log_first, status.log_last);
        ck_assert_uint_ge(status.generation_round, 1);
        ck_assert_int_ge(status.generation_node, 0);
        ck_assert_int_lt(status.generation_node, 3);
        ck_assert_uint_ge(status.log_bytes_reserved, 4 << 20);
        ck_assert(node == 0 || status.digest == digest);
        digest = status.digest;
    }
    ck_assert_int_eq(leaders, 1);
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

int test_main(void);

#define main test_main
TEST_MAIN("api/cluster", own_directory_is_below_dev_shm_and_removed_at_close,
          own_directory_kept_stays_and_opens_again,
          named_directory_is_made_with_its_parents_and_stays, directory_that_cannot_be_is_refused,
          directory_in_use_by_this_process_is_refused,
          directory_in_use_by_another_process_is_refused, directory_of_another_shape_is_refused,
          damaged_identity_is_reported_and_left_alone, log_of_another_cluster_is_refused,
          small_file_system_is_refused_before_anything_breaks,
          reopened_cluster_holds_what_was_acknowledged_also_after_snapshots,
          nodes_that_do_not_exist_or_are_down_are_invalid,
          crashed_leader_comes_back_with_the_log_it_kept,
          whole_cluster_crashed_and_restarted_holds_everything, lonely_node_comes_back,
          restarted_node_is_not_taken_for_what_it_was,
          late_node_catches_up_by_snapshot_when_the_log_has_gone_on,
          leadership_is_handed_over_on_request,
          handing_over_to_a_crashed_node_leaves_somebody_leading, status_adds_up_when_quiet)
#undef main

int main(int argc, char **argv)
{
    return argc > 1 ? open_in_child(argv[1]) : test_main();
}
