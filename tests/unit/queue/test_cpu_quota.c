/* SPDX-License-Identifier: MIT */
#include "queue/cpu_quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_main.h"

/* A made-up tree of groups: files and directories are noted, to be removed again. */
struct tree {
    char root[64];
    char *made[16];
    int made_count;
};

static const char *tree_note(struct tree *tree, const char *name)
{
    ck_assert_int_lt(tree->made_count, 16);
    char **path = &tree->made[tree->made_count++];
    ck_assert_int_ge(asprintf(path, "%s/%s", tree->root, name), 0);
    return *path;
}

static void tree_directory(struct tree *tree, const char *name)
{
    ck_assert_int_eq(mkdir(tree_note(tree, name), 0700), 0);
}

static void tree_file(struct tree *tree, const char *name, const char *content)
{
    FILE *file = fopen(tree_note(tree, name), "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(content, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static struct tree tree_new(void)
{
    struct tree tree = {.root = "/tmp/synod_cpu_quota_XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(tree.root));
    return tree;
}

static uint32_t tree_quota(struct tree *tree)
{
    char membership[192];
    ck_assert_int_lt(snprintf(membership, sizeof membership, "%s/membership", tree->root), 192);
    return cpu_quota_cpus(membership, tree->root);
}

static void tree_remove(struct tree *tree)
{
    for (int i = tree->made_count - 1; i >= 0; i--) {
        ck_assert_int_eq(remove(tree->made[i]), 0);
        free(tree->made[i]);
    }
    ck_assert_int_eq(rmdir(tree->root), 0);
}

START_TEST(quota_is_rounded_up_to_whole_cpus)
{
    ck_assert_uint_eq(cpu_quota_round_up(1, 100000), 1);
    ck_assert_uint_eq(cpu_quota_round_up(100000, 100000), 1);
    ck_assert_uint_eq(cpu_quota_round_up(100001, 100000), 2);
    ck_assert_uint_eq(cpu_quota_round_up(250000, 100000), 3);
    ck_assert_uint_eq(cpu_quota_round_up(-1, 100000), CPU_QUOTA_NONE);
    ck_assert_uint_eq(cpu_quota_round_up(100000, 0), CPU_QUOTA_NONE);
    ck_assert_uint_eq(cpu_quota_round_up(INT64_MAX, 1), CPU_QUOTA_NONE);
}
END_TEST

START_TEST(nothing_to_read_is_no_limit)
{
    struct tree tree = tree_new();
    ck_assert_uint_eq(tree_quota(&tree), CPU_QUOTA_NONE);
    tree_file(&tree, "membership", "garbage\n0:\n\n0::/not/there\n");
    ck_assert_uint_eq(tree_quota(&tree), CPU_QUOTA_NONE);
    tree_remove(&tree);
}
END_TEST

START_TEST(version_2_takes_the_least_of_the_group_and_those_above)
{
    struct tree tree = tree_new();
    tree_file(&tree, "membership", "0::/outer/inner\n");
    tree_directory(&tree, "outer");
    tree_directory(&tree, "outer/inner");
    tree_file(&tree, "outer/inner/cpu.max", "max 100000\n");
    ck_assert_uint_eq(tree_quota(&tree), CPU_QUOTA_NONE);
    tree_file(&tree, "outer/cpu.max", "150000 100000\n");
    ck_assert_uint_eq(tree_quota(&tree), 2);
    tree_file(&tree, "cpu.max", "50000 100000\n");
    ck_assert_uint_eq(tree_quota(&tree), 1);
    tree_remove(&tree);
}
END_TEST

START_TEST(version_2_in_a_container_reads_the_mount_itself)
{
    struct tree tree = tree_new();
    tree_file(&tree, "membership", "0::/\n");
    tree_file(&tree, "cpu.max", "300000 100000\n");
    ck_assert_uint_eq(tree_quota(&tree), 3);
    tree_remove(&tree);
}
END_TEST

START_TEST(version_1_reads_quota_and_period_of_the_cpu_controller)
{
    struct tree tree = tree_new();
    tree_file(&tree, "membership", "5:cpuset:/x\n4:cpu,cpuacct:/box\n3:memory:/box\n");
    tree_directory(&tree, "cpu,cpuacct");
    tree_directory(&tree, "cpu,cpuacct/box");
    tree_file(&tree, "cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    tree_file(&tree, "cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(tree_quota(&tree), CPU_QUOTA_NONE);
    tree_file(&tree, "cpu,cpuacct/box/cpu.cfs_quota_us", "350000\n");
    ck_assert_uint_eq(tree_quota(&tree), CPU_QUOTA_NONE); /* no period yet */
    tree_file(&tree, "cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(tree_quota(&tree), 4);
    tree_remove(&tree);
}
END_TEST

TEST_MAIN("queue/cpu_quota", quota_is_rounded_up_to_whole_cpus, nothing_to_read_is_no_limit,
          version_2_takes_the_least_of_the_group_and_those_above,
          version_2_in_a_container_reads_the_mount_itself,
          version_1_reads_quota_and_period_of_the_cpu_controller)
