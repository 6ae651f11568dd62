/* SPDX-License-Identifier: MIT */
#include "cluster/run_directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_main.h"
#include "wal/disk_file.h"

static const struct run_shape three = {.nodes = 3,
                                       .phase1_quorum = 2,
                                       .phase2_quorum = 2,
                                       .max_key_bytes = 100,
                                       .max_value_bytes = 1000};

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void make_base(char path[64])
{
    (void)snprintf(path, 64, "/dev/shm/synod-rundir-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

static void remove_base(const char *path)
{
    const char *const names[] = {"lock", "cluster.id", "cluster.id.new"};
    for (size_t i = 0; i < 3; i++) {
        char file[128];
        (void)snprintf(file, sizeof file, "%s/%s", path, names[i]);
        (void)unlink(file);
    }
    ck_assert_int_eq(rmdir(path), 0);
}

START_TEST(fresh_ones_differ_and_are_removed_with_what_is_in_them)
{
    struct disk *disk = disk_file();
    struct run_directory one;
    struct run_directory two;
    ck_assert_int_eq(run_directory_open(&one, disk, NULL, false, &three), 0);
    ck_assert_int_eq(run_directory_open(&two, disk, NULL, false, &three), 0);
    ck_assert_str_ne(one.path, two.path);
    ck_assert_uint_ne(one.cluster_id, two.cluster_id);
    ck_assert_uint_ne(one.cluster_id, 0);
    char paths[2][RUN_DIRECTORY_BYTES];
    memcpy(paths[0], one.path, sizeof paths[0]);
    memcpy(paths[1], two.path, sizeof paths[1]);
    char node[RUN_DIRECTORY_BYTES + 32];
    char file[RUN_DIRECTORY_BYTES + 64];
    run_directory_of_node(&one, 2, node, sizeof node);
    ck_assert_int_eq(mkdir(node, 0700), 0);
    (void)snprintf(file, sizeof file, "%s/0001.log", node);
    FILE *log = fopen(file, "we");
    ck_assert_ptr_nonnull(log);
    ck_assert_int_eq(fclose(log), 0);
    run_directory_close(&one, disk);
    run_directory_close(&two, disk);
    ck_assert(!exists(paths[0]));
    ck_assert(!exists(paths[1]));
}
END_TEST

START_TEST(fresh_one_kept_stays)
{
    struct disk *disk = disk_file();
    struct run_directory directory;
    ck_assert_int_eq(run_directory_open(&directory, disk, NULL, true, &three), 0);
    char path[RUN_DIRECTORY_BYTES];
    memcpy(path, directory.path, sizeof path);
    run_directory_close(&directory, disk);
    ck_assert(exists(path));
    remove_base(path);
}
END_TEST

START_TEST(identity_lasts)
{
    struct disk *disk = disk_file();
    struct run_directory directory;
    char base[64];
    make_base(base);
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), 0);
    uint64_t id = directory.cluster_id;
    run_directory_close(&directory, disk);
    ck_assert(exists(base));
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), 0);
        ck_assert_uint_eq(directory.cluster_id, id);
        run_directory_close(&directory, disk);
    }
    remove_base(base);
}
END_TEST

START_TEST(one_in_use_names_its_holder)
{
    struct disk *disk = disk_file();
    struct run_directory one;
    struct run_directory two;
    char base[64];
    make_base(base);
    ck_assert_int_eq(run_directory_open(&one, disk, base, false, &three), 0);
    ck_assert_int_eq(run_directory_open(&two, disk, base, false, &three), -EBUSY);
    ck_assert_int_eq(two.lock_holder, getpid());
    run_directory_close(&two, disk); /* leaves the first one's lock alone */
    ck_assert_int_eq(run_directory_open(&two, disk, base, false, &three), -EBUSY);
    run_directory_close(&two, disk);
    run_directory_close(&one, disk);
    ck_assert_int_eq(run_directory_open(&two, disk, base, false, &three), 0);
    run_directory_close(&two, disk);
    remove_base(base);
}
END_TEST

START_TEST(other_shapes_are_refused_and_larger_limits_remembered)
{
    struct disk *disk = disk_file();
    struct run_directory directory;
    char base[64];
    make_base(base);
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), 0);
    uint64_t id = directory.cluster_id;
    run_directory_close(&directory, disk);
    struct run_shape others[5] = {three, three, three, three, three};
    others[0].nodes = 5;
    others[1].phase1_quorum = 3;
    others[2].phase2_quorum = 3;
    others[3].max_key_bytes = 99;
    others[4].max_value_bytes = 999;
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &others[i]), -ESTALE);
        ck_assert_mem_eq(&directory.shape, &three, sizeof three);
        run_directory_close(&directory, disk);
    }
    struct run_shape larger = three;
    larger.max_key_bytes = 200;
    larger.max_value_bytes = 2000;
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &larger), 0);
    ck_assert_uint_eq(directory.cluster_id, id);
    run_directory_close(&directory, disk);
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), -ESTALE);
    run_directory_close(&directory, disk);
    remove_base(base);
}
END_TEST

static void flip(const char *base, long offset)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/cluster.id", base);
    FILE *file = fopen(path, "r+e");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    int byte = fgetc(file);
    ck_assert_int_ne(byte, EOF);
    ck_assert_int_eq(fseek(file, offset, SEEK_SET), 0);
    ck_assert_int_ne(fputc(byte ^ 0x10, file), EOF);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(damage_is_found_wherever_it_is)
{
    struct disk *disk = disk_file();
    struct run_directory directory;
    char base[64];
    make_base(base);
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), 0);
    run_directory_close(&directory, disk);
    for (long offset = 0; offset < 56; offset++) {
        int expected = offset >= 8 && offset < 12 ? -EPROTONOSUPPORT : -EBADMSG;
        flip(base, offset);
        ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), expected);
        run_directory_close(&directory, disk);
        flip(base, offset);
    }
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), 0);
    run_directory_close(&directory, disk);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/cluster.id", base);
    ck_assert_int_eq(truncate(path, 10), 0);
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), -EBADMSG);
    run_directory_close(&directory, disk);
    remove_base(base);
}
END_TEST

START_TEST(unfinished_identity_of_a_killed_process_is_no_identity)
{
    struct disk *disk = disk_file();
    struct run_directory directory;
    char base[64];
    make_base(base);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/cluster.id.new", base);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("half", file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), 0);
    run_directory_close(&directory, disk);
    ck_assert_int_eq(run_directory_open(&directory, disk, base, false, &three), 0);
    run_directory_close(&directory, disk);
    remove_base(base);
}
END_TEST

START_TEST(impossible_paths_are_refused)
{
    struct disk *disk = disk_file();
    struct run_directory directory;
    char path[RUN_DIRECTORY_BYTES + 10];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    ck_assert_int_eq(run_directory_open(&directory, disk, path, false, &three), -ENAMETOOLONG);
    run_directory_close(&directory, disk);
    ck_assert_int_eq(run_directory_open(&directory, disk, "", false, &three), -EINVAL);
    run_directory_close(&directory, disk);
    ck_assert_int_lt(run_directory_open(&directory, disk, "/proc/no", false, &three), 0);
    run_directory_close(&directory, disk);
}
END_TEST

START_TEST(node_is_there_once_its_directory_holds_something)
{
    struct disk *disk = disk_file();
    struct run_directory directory;
    ck_assert_int_eq(run_directory_open(&directory, disk, NULL, false, &three), 0);
    ck_assert(!run_directory_has_node(&directory, disk, 1));
    char node[RUN_DIRECTORY_BYTES + 32];
    char file[RUN_DIRECTORY_BYTES + 64];
    run_directory_of_node(&directory, 1, node, sizeof node);
    ck_assert_int_eq(mkdir(node, 0700), 0);
    ck_assert(!run_directory_has_node(&directory, disk, 1));
    (void)snprintf(file, sizeof file, "%s/lock", node);
    FILE *lock = fopen(file, "we");
    ck_assert_ptr_nonnull(lock);
    ck_assert_int_eq(fclose(lock), 0);
    ck_assert(run_directory_has_node(&directory, disk, 1));
    ck_assert(!run_directory_has_node(&directory, disk, 0));
    run_directory_close(&directory, disk);
}
END_TEST

TEST_MAIN("cluster/run_directory", fresh_ones_differ_and_are_removed_with_what_is_in_them,
          fresh_one_kept_stays, identity_lasts, one_in_use_names_its_holder,
          other_shapes_are_refused_and_larger_limits_remembered, damage_is_found_wherever_it_is,
          unfinished_identity_of_a_killed_process_is_no_identity, impossible_paths_are_refused,
          node_is_there_once_its_directory_holds_something)
