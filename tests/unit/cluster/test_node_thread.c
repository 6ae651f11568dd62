/* SPDX-License-Identifier: MIT */
#include "cluster/node_thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/time_source.h"
#include "cluster/leader_hint.h"
#include "test_main.h"
#include "wal/disk_file.h"

/* ---- The thread itself ---- */

struct witness {
    sigset_t blocked;
    cpu_set_t cpus;
    char name[32];
};

static void *look_around(void *argument)
{
    struct witness *witness = argument;
    while (strcmp(witness->name, "syn/test") != 0) { /* its maker names it */
        (void)pthread_getname_np(pthread_self(), witness->name, sizeof witness->name);
        sched_yield();
    }
    (void)pthread_sigmask(SIG_SETMASK, NULL, &witness->blocked);
    (void)sched_getaffinity(0, sizeof witness->cpus, &witness->cpus);
    return NULL;
}

static int usable_cpu(void)
{
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET((size_t)cpu, &set)) {
            return cpu;
        }
    }
    return 0;
}

START_TEST(threads_are_named_pinned_and_deaf_to_signals)
{
    int cpu = usable_cpu();
    struct witness witness = {.name = ""};
    pthread_t thread;
    ck_assert_int_eq(node_thread_create(&thread, cpu, look_around, &witness, "syn/test"), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_eq(witness.name, "syn/test");
    ck_assert_int_eq(CPU_COUNT(&witness.cpus), 1);
    ck_assert(CPU_ISSET((size_t)cpu, &witness.cpus));
    const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGCHLD, SIGPROF};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        ck_assert_int_eq(sigismember(&witness.blocked, signals[i]), 1);
    }
}
END_TEST

START_TEST(thread_without_pin_runs_where_its_maker_may)
{
    cpu_set_t own;
    ck_assert_int_eq(sched_getaffinity(0, sizeof own, &own), 0);
    struct witness witness = {.name = ""};
    pthread_t thread;
    ck_assert_int_eq(node_thread_create(&thread, -1, look_around, &witness, "syn/test"), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(CPU_EQUAL(&own, &witness.cpus));
}
END_TEST

START_TEST(pin_on_a_cpu_that_is_not_there_is_an_error)
{
    struct witness witness = {.name = ""};
    pthread_t thread;
    ck_assert_int_eq(
        node_thread_create(&thread, CPU_SETSIZE - 1, look_around, &witness, "syn/test"), -EINVAL);
}
END_TEST

/* ---- A node of its own: the only one of its cluster ---- */

struct world {
    struct mesh mesh;
    struct client_lanes lanes;
    _Atomic uint64_t hint;
    struct node_thread node;
    char directory[64];
    struct disk *disk;
};

static void open_replica(struct world *world)
{
    struct replica_config config = {
        .core = {.quorum = {.nodes = 1, .phase1 = 1, .phase2 = 1},
                 .election_timeout_ns = 20000000,
                 .heartbeat_ns = 2500000,
                 .retransmit_ns = 5000000,
                 .window_slots = 64,
                 .message_slots = 64,
                 .seed = 1},
        .store = {.expected_keys = 16, .max_key_bytes = 100, .max_value_bytes = 1000},
        .disk = world->disk,
        .directory = world->directory,
        .cluster_id = 1,
        .segment_bytes = 1 << 20,
        .segment_count = 4,
        .sync = WAL_SYNC_BATCH,
        .batch_slots = 16,
        .ports = node_thread_ports(&world->node),
    };
    struct replica_problem problem;
    ck_assert_int_eq(replica_open(&world->node.replica, &config, time_source_now_ns(),
                                  time_source_wall_ns(), &problem),
                     0);
}

static void open_world(struct world *world, struct disk *disk)
{
    memset(world, 0, sizeof *world);
    world->disk = disk;
    (void)snprintf(world->directory, sizeof world->directory, "/dev/shm/synod-node-XXXXXX");
    ck_assert_int_eq(disk_file_directory_fresh(world->directory), 0);
    ck_assert_int_eq(mesh_init(&world->mesh, 1, 8), 0);
    ck_assert_int_eq(client_lanes_init(&world->lanes, 1, 2, 8, 2000, 1000), 0);
    struct node_thread *node = &world->node;
    node->mesh = &world->mesh;
    node->lanes = &world->lanes;
    node->leader_hint = &world->hint;
    node->idle_kind = IDLE_PARK;
    node->usable_cpus = 1;
    node->cpu = -1;
    ck_assert_int_eq(pthread_mutex_init(&node->view_lock, NULL), 0);
    ck_assert_int_eq(client_end_init(&node->clients, &world->lanes, 0), 0);
    open_replica(world);
}

static void remove_file(void *context, const char *name)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    (void)unlink(path);
}

static void close_world(struct world *world)
{
    replica_close(world->node.replica);
    client_end_deinit(&world->node.clients);
    client_lanes_deinit(&world->lanes);
    mesh_deinit(&world->mesh);
    (void)pthread_mutex_destroy(&world->node.view_lock);
    ck_assert_int_eq(
        disk_file()->ops->list(disk_file()->self, world->directory, remove_file, world->directory),
        0);
    disk_file_directory_remove(world->directory);
}

static void await_leading(struct world *world)
{
    uint64_t start_ns = time_source_now_ns();
    while (leader_hint_node(leader_hint_load(&world->hint)) != 0) {
        ck_assert_uint_lt(time_source_now_ns() - start_ns, UINT64_C(60000000000));
        time_source_sleep_ns(100000);
    }
}

static int failure_seen(struct world *world)
{
    (void)pthread_mutex_lock(&world->node.view_lock);
    int failure = world->node.view_failure;
    (void)pthread_mutex_unlock(&world->node.view_lock);
    return failure;
}

START_TEST(started_node_is_up_and_leads_and_stopped_is_neither)
{
    static struct world world;
    open_world(&world, disk_file());
    for (int life = 0; life < 5; life++) {
        ck_assert(!mesh_is_up(&world.mesh, 0));
        ck_assert_int_eq(node_thread_start(&world.node), 0);
        ck_assert(mesh_is_up(&world.mesh, 0));
        await_leading(&world);
        node_thread_stop(&world.node);
        ck_assert(!mesh_is_up(&world.mesh, 0));
        ck_assert_int_eq(leader_hint_node(leader_hint_load(&world.hint)), -1);
        node_thread_stop(&world.node); /* stopping what is stopped does nothing */
        replica_close(world.node.replica);
        open_replica(&world);
    }
    close_world(&world);
}
END_TEST

START_TEST(thread_that_cannot_start_leaves_the_node_down)
{
    static struct world world;
    open_world(&world, disk_file());
    world.node.cpu = CPU_SETSIZE - 1;
    ck_assert_int_eq(node_thread_start(&world.node), -EINVAL);
    ck_assert(!mesh_is_up(&world.mesh, 0));
    node_thread_stop(&world.node);
    world.node.cpu = -1;
    ck_assert_int_eq(node_thread_start(&world.node), 0);
    await_leading(&world);
    node_thread_stop(&world.node);
    close_world(&world);
}
END_TEST

START_TEST(view_of_the_life_before_is_gone_when_a_node_starts)
{
    static struct world world;
    open_world(&world, disk_file());
    ck_assert_int_eq(node_thread_start(&world.node), 0);
    await_leading(&world);
    node_thread_stop(&world.node);
    world.node.view.role = ROLE_LEADER;
    world.node.view_ns = 1;
    world.node.view_failure = -EIO;
    replica_close(world.node.replica);
    open_replica(&world);
    (void)pthread_mutex_lock(&world.node.view_lock);
    (void)pthread_mutex_unlock(&world.node.view_lock);
    ck_assert_int_eq(node_thread_start(&world.node), 0);
    ck_assert_int_eq(failure_seen(&world), 0);
    node_thread_stop(&world.node);
    close_world(&world);
}
END_TEST

/* ---- A disk that breaks ---- */

static _Atomic bool is_disk_broken;

static int breaking_sync(void *self, struct disk_file *file, size_t offset, size_t length)
{
    return atomic_load(&is_disk_broken) ? -EIO : disk_file()->ops->sync(self, file, offset, length);
}

START_TEST(node_whose_disk_breaks_is_down_and_says_so_even_while_looked_at)
{
    static struct world world;
    struct disk_ops ops = *disk_file()->ops;
    ops.sync = breaking_sync;
    struct disk disk = {.ops = &ops, .self = disk_file()->self};
    atomic_store(&is_disk_broken, false);
    open_world(&world, &disk);
    ck_assert_int_eq(node_thread_start(&world.node), 0);
    await_leading(&world);
    node_thread_stop(&world.node);
    replica_close(world.node.replica);
    open_replica(&world);
    /* From here on nothing becomes durable: it fails at its first promise. All the while somebody
     * looks; the news must not be lost on that. */
    atomic_store(&is_disk_broken, true);
    ck_assert_int_eq(node_thread_start(&world.node), 0);
    uint64_t start_ns = time_source_now_ns();
    int failure = 0;
    while (failure == 0) {
        ck_assert_uint_lt(time_source_now_ns() - start_ns, UINT64_C(60000000000));
        (void)pthread_mutex_lock(&world.node.view_lock);
        time_source_sleep_ns(2000000);
        failure = world.node.view_failure;
        (void)pthread_mutex_unlock(&world.node.view_lock);
        sched_yield();
    }
    ck_assert_int_eq(failure, -EIO);
    while (mesh_is_up(&world.mesh, 0)) {
        ck_assert_uint_lt(time_source_now_ns() - start_ns, UINT64_C(60000000000));
        time_source_sleep_ns(100000);
    }
    ck_assert_int_eq(leader_hint_node(leader_hint_load(&world.hint)), -1);
    node_thread_stop(&world.node);
    ck_assert(!mesh_is_up(&world.mesh, 0));
    replica_close(world.node.replica);
    atomic_store(&is_disk_broken, false);
    open_replica(&world);
    ck_assert_int_eq(node_thread_start(&world.node), 0);
    await_leading(&world);
    node_thread_stop(&world.node);
    close_world(&world);
}
END_TEST

TEST_MAIN("cluster/node_thread", threads_are_named_pinned_and_deaf_to_signals,
          thread_without_pin_runs_where_its_maker_may, pin_on_a_cpu_that_is_not_there_is_an_error,
          started_node_is_up_and_leads_and_stopped_is_neither,
          thread_that_cannot_start_leaves_the_node_down,
          view_of_the_life_before_is_gone_when_a_node_starts,
          node_whose_disk_breaks_is_down_and_says_so_even_while_looked_at)
