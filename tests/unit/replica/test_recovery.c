/* SPDX-License-Identifier: MIT */
/* What a node makes of its directory: all there, cut, damaged, or with something missing. */
#include "replica_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_main.h"

struct image {
    uint8_t *bytes;
    size_t size;
};

static struct image image_read(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &status), 0);
    struct image image = {.size = (size_t)status.st_size};
    image.bytes = malloc(image.size);
    ck_assert_ptr_nonnull(image.bytes);
    ck_assert_int_eq(read(fd, image.bytes, image.size), (ssize_t)image.size);
    close(fd);
    return image;
}

static void image_write(const struct image *image, const char *path, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, image->bytes, size), (ssize_t)size);
    close(fd);
}

/* A cluster whose nodes have taken snapshots; node 0 is closed, the others go on living. */
static void start_with_snapshots(struct world *world, uint64_t seed, enum wal_sync sync)
{
    world_start(world, &(struct world_options){.seed = seed, .sync = sync, .is_quiet = true});
    world_fill(world, 1200, 600);
    world_quiesce(world);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_gt(world->nodes[i].replica->snapshots.current.slot, 0);
        ck_assert_uint_gt(world->nodes[i].replica->core.base, 0);
    }
    world_crash(world, 0);
}

START_TEST(node_comes_back_with_its_state_and_need_not_be_caught_up)
{
    struct world world;
    start_with_snapshots(&world, 1, WAL_SYNC_NONE);
    world_reopen(&world, 0);
    world_quiesce(&world);
    ck_assert_uint_eq(world.nodes[0].replica->snapshots.installed, 0);
    world_end(&world);
}
END_TEST

/* One follower gets heartbeats, but no slots: alive, and slow without end. */
static bool keep_slots_from(struct world *world, uint32_t from, uint32_t to,
                            struct core_message *message)
{
    (void)from;
    const uint32_t *node = world->filter_context;
    if (to == *node && message->kind == MESSAGE_ACCEPT) {
        message->count = 0;
        message->bytes = NULL;
        message->bytes_length = 0;
    }
    return true;
}

START_TEST(log_kept_for_a_slow_follower_is_there_after_a_restart)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 1, .is_quiet = true});
    uint32_t leader = world_await_leader(&world);
    uint32_t slow = (leader + 1) % 3;
    world.filter = keep_slots_from;
    world.filter_context = &slow;
    const struct replica *replica = world.nodes[leader].replica;
    while (replica->snapshots.taken == 0) {
        world_fill(&world, 1, 600);
        ck_assert_uint_eq(world_await_leader(&world), leader);
    }
    uint64_t base = replica->core.base;
    uint64_t slot = replica->snapshots.current.slot;
    ck_assert_uint_lt(base, slot);
    world_crash(&world, leader);
    world_reopen(&world, leader);
    ck_assert_uint_le(world.nodes[leader].replica->core.base, base);
    ck_assert_uint_eq(world.nodes[leader].replica->snapshots.current.slot, slot);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(missing_snapshot_is_refused_with_a_sentence)
{
    for (uint64_t seed = 2; seed < 5; seed++) {
        struct world world;
        char path[2 * WORLD_PATH];
        start_with_snapshots(&world, seed, WAL_SYNC_NONE);
        ck_assert(world_find_file(&world, 0, "snapshot-", path));
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(world_open(&world, 0), -EBADMSG);
        const char *text = world.nodes[0].problem.text;
        ck_assert_msg(strstr(text, "node 0: slot 1 was chosen") != NULL, "%s", text);
        ck_assert_int_eq(world_open(&world, 0), -EBADMSG); /* nor the second time */
        world_end(&world);
    }
}
END_TEST

START_TEST(missing_snapshot_is_refused_also_when_the_log_knows_no_mark)
{
    /* A node that never heard of an election after the first knows its mark from its snapshot
     * alone: the log's released slots give the hole away. */
    struct world world;
    world_start(&world, &(struct world_options){.seed = 5, .nodes = 1, .is_quiet = true});
    struct wal *wal = world.nodes[0].replica->wal;
    for (uint64_t slot = 1; slot < 400; slot++) {
        ck_assert_int_eq(wal_append_accept(wal, RECORD_NOOP, 1, slot, 0, NULL, 0), 0);
    }
    wal_release(wal, 200);
    ck_assert_int_eq(wal_supersede(wal, 200), 0);
    world_crash(&world, 0);
    ck_assert_int_eq(world_open(&world, 0), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(world.nodes[0].problem.text, "slot 1 was chosen"));
    world_end(&world);
}
END_TEST

START_TEST(mark_beyond_what_the_log_holds_is_refused)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 5, .nodes = 1, .is_quiet = true});
    struct wal *wal = world.nodes[0].replica->wal;
    for (uint64_t slot = 1; slot < 10; slot++) {
        ck_assert_int_eq(wal_append_accept(wal, RECORD_NOOP, 1, slot, 0, NULL, 0), 0);
    }
    ck_assert_int_eq(wal_append_mark(wal, 12), 0);
    world_crash(&world, 0);
    ck_assert_int_eq(world_open(&world, 0), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(world.nodes[0].problem.text, "slot 10 was chosen"));
    world_end(&world);
}
END_TEST

START_TEST(damaged_snapshot_is_refused_and_never_half_believed)
{
    struct world world;
    struct prng prng;
    char path[2 * WORLD_PATH];
    prng_init(&prng, 6);
    start_with_snapshots(&world, 6, WAL_SYNC_NONE);
    ck_assert(world_find_file(&world, 0, "snapshot-", path));
    struct image image = image_read(path);
    uint32_t refused = 0;
    for (int i = 0; i < 120; i++) {
        size_t at = i % 3 == 0 ? prng_below(&prng, 64) : prng_below(&prng, 20000);
        image.bytes[at] ^= 0x20;
        image_write(&image, path, image.size);
        image.bytes[at] ^= 0x20;
        int error = world_open(&world, 0);
        if (error < 0) {
            refused++;
            ck_assert_msg(error == -EBADMSG, "bit flipped at %zu: %d", at, error);
            ck_assert_msg(strstr(world.nodes[0].problem.text, "none verifies") != NULL, "%s",
                          world.nodes[0].problem.text);
        } else {                    /* where nothing is kept */
            world_steps(&world, 3); /* its state is compared every turn */
            world_crash(&world, 0);
        }
        ck_assert(world_find_file(&world, 0, "snapshot-", path));
    }
    ck_assert_uint_gt(refused, 60);
    for (size_t size = 0; size < 20000; size += 3001) {
        image_write(&image, path, size);
        ck_assert_int_eq(world_open(&world, 0), -EBADMSG);
    }
    image_write(&image, path, image.size);
    world_quiesce(&world);
    free(image.bytes);
    world_end(&world);
}
END_TEST

/* The newest segment's file that has records, by what its header says. */
static void newest_segment(const struct world *world, uint32_t node, char path[2 * WORLD_PATH])
{
    const struct replica *replica = world->nodes[node].replica;
    struct wal_extent extent;
    ck_assert(wal_extent_at(replica->wal, core_log_end(&replica->core),
                            core_log_end(&replica->core), 1, &extent));
    char begins[32];
    (void)snprintf(begins, sizeof begins, "segment-%08x", extent.segment_id);
    ck_assert(world_find_file(world, node, begins, path));
}

/* End of what is not zero, less one: the last byte of the last record or close to it. */
static size_t last_byte(const struct image *image)
{
    size_t at = image->size - 1;
    while (at > 0 && image->bytes[at] == 0) {
        at--;
    }
    return at;
}

START_TEST(torn_tail_is_cut_and_sent_again_by_the_others)
{
    struct world world;
    char path[2 * WORLD_PATH];
    world_start(&world, &(struct world_options){.seed = 7, .is_quiet = true});
    world_fill(&world, 50, 100); /* the first life of the first segment: zeros behind the end */
    world_quiesce(&world);
    uint32_t node = (world_await_leader(&world) + 1) % 3;
    newest_segment(&world, node, path);
    world_crash(&world, node);
    struct image image = image_read(path);
    image.bytes[last_byte(&image)] ^= 0xff;
    image_write(&image, path, image.size);
    world_reopen(&world, node);
    ck_assert(world.nodes[node].problem.wal.tail_was_torn);
    world_quiesce(&world);
    free(image.bytes);
    world_end(&world);
}
END_TEST

START_TEST(log_damaged_in_the_middle_is_refused_with_a_sentence)
{
    struct world world;
    char path[2 * WORLD_PATH];
    world_start(&world, &(struct world_options){.seed = 7, .is_quiet = true});
    world_fill(&world, 50, 100);
    world_quiesce(&world);
    newest_segment(&world, 0, path);
    world_crash(&world, 0);
    struct image image = image_read(path);
    image.bytes[last_byte(&image) / 2] ^= 0x10;
    image_write(&image, path, image.size);
    ck_assert_int_eq(world_open(&world, 0), -EBADMSG);
    const char *text = world.nodes[0].problem.text;
    ck_assert_msg(strstr(text, "node 0: log damaged in segment-") != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "good records follow"));
    struct image after = image_read(path);
    ck_assert_mem_eq(after.bytes, image.bytes, image.size); /* nothing was cut */
    free(after.bytes);
    free(image.bytes);
    world_end(&world);
}
END_TEST

START_TEST(directory_in_use_is_busy_and_left_alone)
{
    struct world world;
    start_with_snapshots(&world, 8, WAL_SYNC_NONE);
    world_reopen(&world, 0);
    struct replica *second = NULL;
    struct replica_problem problem;
    ck_assert_int_eq(
        replica_open(&second, &world.nodes[0].config, world.now_ns, world.now_ns, &problem),
        -EBUSY);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(problem.wal.lock_holder, getpid());
    char path[2 * WORLD_PATH];
    ck_assert(world_find_file(&world, 0, "snapshot-", path));
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(promise_outlives_every_restart)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 9});
    uint64_t promised[3] = {0};
    for (int round = 0; round < 10; round++) {
        uint32_t leader = world_await_leader(&world);
        world_steps(&world, 300);
        for (uint32_t i = 0; i < 3; i++) {
            promised[i] = world.nodes[i].replica->core.promised;
        }
        world_crash(&world, leader); /* another ballot each round */
        world_steps(&world, 600);
        world_reopen(&world, leader);
        ck_assert_uint_ge(world.nodes[leader].replica->core.promised, promised[leader]);
    }
    ck_assert_uint_gt(world_snapshots(&world), 3);
    world_quiesce(&world);
    world_end(&world);
}
END_TEST

START_TEST(directory_name_too_long_is_an_error)
{
    struct world world;
    world_start(&world, &(struct world_options){.seed = 10, .nodes = 1, .is_quiet = true});
    world_crash(&world, 0);
    char name[600];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct replica_config config = world.nodes[0].config;
    config.directory = name;
    struct replica *replica = NULL;
    struct replica_problem problem;
    ck_assert_int_eq(replica_open(&replica, &config, 1, 1, &problem), -ENAMETOOLONG);
    ck_assert_ptr_null(replica);
    world_end(&world);
}
END_TEST

TEST_MAIN("replica/recovery", node_comes_back_with_its_state_and_need_not_be_caught_up,
          log_kept_for_a_slow_follower_is_there_after_a_restart,
          missing_snapshot_is_refused_with_a_sentence,
          missing_snapshot_is_refused_also_when_the_log_knows_no_mark,
          mark_beyond_what_the_log_holds_is_refused,
          damaged_snapshot_is_refused_and_never_half_believed,
          torn_tail_is_cut_and_sent_again_by_the_others,
          log_damaged_in_the_middle_is_refused_with_a_sentence,
          directory_in_use_is_busy_and_left_alone, promise_outlives_every_restart,
          directory_name_too_long_is_an_error)
