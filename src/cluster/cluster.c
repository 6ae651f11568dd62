/* SPDX-License-Identifier: MIT */
#include "cluster/cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/time_source.h"
#include "cluster/leader_hint.h"
#include "cluster/status.h"
#include "core/quorum.h"
#include "wal/disk_file.h"

#define RING_SLOTS       1024
#define MESSAGE_SLOTS    1024
#define POLL_INTERVAL_NS UINT64_C(200000)
#define PREFAULT_AT_ONCE 2
#define COMMAND_OVERHEAD 64 /* of an encoded command, beside its keys and values */

// NOLINTNEXTLINE(misc-redundant-expression): that is what it asserts
static_assert(SYNOD_MAX_NODES == CORE_MAX_NODES && SYNOD_MAX_NODES == MESH_NODES,
              "one limit, three names");

static __attribute__((format(printf, 3, 4))) void say(char *problem, size_t size,
                                                      const char *format, ...)
{
    if (problem != NULL && size > 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(problem, size, format, arguments);
        va_end(arguments);
    }
}

/* ---- Options ---- */

void synod_options_init(struct synod_options *options)
{
    *options = (struct synod_options){
        .nodes = 3,
        .max_clients = 16,
        .max_in_flight = 1024,
        .max_key_bytes = 1024,
        .max_value_bytes = 1 << 20,
        .expected_keys = 1024,
        .segment_bytes = UINT64_C(64) << 20,
        .segment_count = 8,
        .sync = SYNOD_SYNC_NONE,
        .idle = SYNOD_IDLE_AUTO,
        .window_slots = 16384,
        .batch_slots = 256,
        .election_timeout_ns = UINT64_C(200000000),
        .seed = 1,
    };
}

struct range {
    const char *name;
    uint64_t value, least, most;
};

static bool check_ranges(const struct synod_options *options, char *problem, size_t size)
{
    const struct range ranges[] = {
        {"nodes", options->nodes, 1, SYNOD_MAX_NODES},
        {"max_clients", options->max_clients, 1, 1024},
        {"max_in_flight", options->max_in_flight, 1, 65536},
        {"max_key_bytes", options->max_key_bytes, 1, 32 << 10},
        {"max_value_bytes", options->max_value_bytes, 0, UINT64_C(8) << 20},
        {"expected_keys", options->expected_keys, 0, UINT64_C(1) << 34},
        {"segment_bytes", options->segment_bytes, 1 << 20, 1 << 30},
        {"segment_count", options->segment_count, 4, 4096},
        {"window_slots", options->window_slots, 16, 1 << 20},
        {"batch_slots", options->batch_slots, 1, 4096},
        {"election_timeout_ns", options->election_timeout_ns, 10000000, UINT64_C(3600000000000)},
        {"heartbeat_ns", options->heartbeat_ns, 0, options->election_timeout_ns / 2},
        {"sync", options->sync, SYNOD_SYNC_NONE, SYNOD_SYNC_BATCH},
        {"idle", options->idle, SYNOD_IDLE_AUTO, SYNOD_IDLE_PARK},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most) {
            say(problem, size, "%s is %" PRIu64 "; it must be %" PRIu64 " to %" PRIu64,
                ranges[i].name, ranges[i].value, ranges[i].least, ranges[i].most);
            return false;
        }
    }
    return true;
}

static bool check_pins(const struct synod_options *options, char *problem, size_t size)
{
    uint32_t count = options->pin != NULL ? options->pin_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (options->pin[i] < 0 || options->pin[i] >= CPU_SETSIZE) {
            say(problem, size, "pin[%" PRIu32 "] is %d; a CPU's number is 0 to %d", i,
                options->pin[i], CPU_SETSIZE - 1);
            return false;
        }
    }
    return true;
}

static bool check_options(const struct synod_options *options, char *problem, size_t size)
{
    struct quorum quorum;
    if (!check_ranges(options, problem, size) || !check_pins(options, problem, size)) {
        return false;
    }
    if (!bytes_is_power_of_two(options->segment_bytes) ||
        !bytes_is_power_of_two(options->window_slots)) {
        say(problem, size, "segment_bytes and window_slots must be powers of two");
        return false;
    }
    uint64_t record = (uint64_t)options->max_key_bytes + 2 * (uint64_t)options->max_value_bytes;
    if (record + COMMAND_OVERHEAD > options->segment_bytes / 4) {
        say(problem, size,
            "a segment of %" PRIu64 " bytes is too small for commands of up to %" PRIu64
            " bytes; use segments of at least four times that",
            options->segment_bytes, record + COMMAND_OVERHEAD);
        return false;
    }
    if (!quorum_flexible(options->nodes, options->phase1_quorum, options->phase2_quorum, &quorum)) {
        say(problem, size,
            "quorums of %" PRIu32 " and %" PRIu32 " among %" PRIu32
            " nodes need not meet: their sum must exceed the number of nodes",
            options->phase1_quorum, options->phase2_quorum, options->nodes);
        return false;
    }
    return true;
}

static void resolve_options(struct synod_cluster *cluster, const struct synod_options *options)
{
    struct quorum quorum;
    cluster->options = *options;
    if (quorum_flexible(options->nodes, options->phase1_quorum, options->phase2_quorum, &quorum)) {
        cluster->options.phase1_quorum = quorum.phase1;
        cluster->options.phase2_quorum = quorum.phase2;
    }
    if (options->heartbeat_ns == 0) {
        cluster->options.heartbeat_ns = options->election_timeout_ns / 8;
    }
    for (uint32_t node = 0; node < options->nodes; node++) {
        bool is_pinned = options->pin != NULL && options->pin_count > 0;
        cluster->pin[node] = is_pinned ? options->pin[node % options->pin_count] : -1;
        cluster->priorities[node] = options->priorities != NULL ? options->priorities[node] : 0;
    }
    cluster->options.pin = NULL;
    cluster->options.priorities = NULL;
    cluster->options.directory = NULL;
}

/* ---- Nodes ---- */

static struct replica_config replica_config_of(struct synod_cluster *cluster, uint32_t node,
                                               const char *path)
{
    const struct synod_options *options = &cluster->options;
    struct replica_config config = {
        .core = {.self = node,
                 .quorum = {.nodes = options->nodes,
                            .phase1 = options->phase1_quorum,
                            .phase2 = options->phase2_quorum},
                 .election_timeout_ns = options->election_timeout_ns,
                 .heartbeat_ns = options->heartbeat_ns,
                 .retransmit_ns = 2 * options->heartbeat_ns,
                 .window_slots = options->window_slots,
                 .message_slots = MESSAGE_SLOTS,
                 /* A restarted node must not repeat the time-outs it drew before. */
                 .seed = options->seed + mesh_incarnation(&cluster->mesh, node)},
        .store = {.expected_keys = options->expected_keys,
                  .max_key_bytes = options->max_key_bytes,
                  .max_value_bytes = options->max_value_bytes},
        .disk = cluster->disk,
        .directory = path,
        .cluster_id = cluster->directory.cluster_id,
        .segment_bytes = options->segment_bytes,
        .segment_count = options->segment_count,
        .sync = options->sync == SYNOD_SYNC_BATCH ? WAL_SYNC_BATCH : WAL_SYNC_NONE,
        .batch_slots = options->batch_slots,
        .ports = node_thread_ports(&cluster->nodes[node]),
    };
    for (uint32_t i = 0; i < options->nodes; i++) {
        config.core.priorities[i] = cluster->priorities[i];
    }
    return config;
}

static uint64_t free_bytes(struct synod_cluster *cluster)
{
    return cluster->disk->ops->free_bytes(cluster->disk->self, cluster->directory.path);
}

static void explain_no_space(struct synod_cluster *cluster, char *problem, size_t size)
{
    const struct synod_options *options = &cluster->options;
    uint64_t log_bytes = options->segment_bytes * options->segment_count;
    say(problem, size,
        "%s has %" PRIu64 " MiB free, and each node needs %" PRIu64 " MiB for its log (%" PRIu64
        " MiB in all); use smaller or fewer segments, or give it more room (a tmpfs: mount -o "
        "remount,size=..., within the machine's memory)",
        cluster->directory.path, free_bytes(cluster) >> 20, log_bytes >> 20,
        (log_bytes * options->nodes) >> 20);
}

/* Decided before the first byte is reserved. Logs that are there already have their room. */
static enum synod_status check_space(struct synod_cluster *cluster, char *problem, size_t size)
{
    uint64_t needed = 0;
    for (uint32_t node = 0; node < cluster->options.nodes; node++) {
        if (!run_directory_has_node(&cluster->directory, cluster->disk, node)) {
            needed += cluster->options.segment_bytes * cluster->options.segment_count;
        }
    }
    if (needed <= free_bytes(cluster)) {
        return SYNOD_OK;
    }
    explain_no_space(cluster, problem, size);
    return SYNOD_NO_SPACE;
}

static void explain_open(struct synod_cluster *cluster, uint32_t node, int error,
                         const struct replica_problem *found, char *problem, size_t size)
{
    const struct synod_options *options = &cluster->options;
    if (found->text[0] != '\0') {
        say(problem, size, "%s", found->text);
    } else if (error == -ENOSPC || error == -EDQUOT) {
        explain_no_space(cluster, problem, size);
    } else if (error == -EBUSY) {
        say(problem, size, "%s is in use by process %ld", cluster->directory.path,
            found->wal.lock_holder);
    } else if (error == -EINVAL) {
        say(problem, size,
            "node %" PRIu32 "'s log in %s was written with segments of another size than %" PRIu64
            " bytes",
            node, cluster->directory.path, options->segment_bytes);
    } else if (error == -EXDEV) {
        say(problem, size, "node %" PRIu32 "'s log in %s belongs to another cluster or node", node,
            cluster->directory.path);
    } else if (error == -EPROTONOSUPPORT) {
        say(problem, size, "node %" PRIu32 "'s log in %s was written by a newer version", node,
            cluster->directory.path);
    } else {
        say(problem, size, "node %" PRIu32 " in %s: %s", node, cluster->directory.path,
            strerrordesc_np(-error));
    }
}

static enum synod_status open_node(struct synod_cluster *cluster, uint32_t node, char *problem,
                                   size_t size)
{
    char path[RUN_DIRECTORY_BYTES + 32];
    run_directory_of_node(&cluster->directory, node, path, sizeof path);
    struct node_thread *thread = &cluster->nodes[node];
    struct replica_config config = replica_config_of(cluster, node, path);
    struct replica_problem found;
    int error = replica_open(&thread->replica, &config, time_source_now_ns(), time_source_wall_ns(),
                             &found);
    if (error < 0) {
        explain_open(cluster, node, error, &found, problem, size);
        return status_from_errno(error);
    }
    (void)replica_prefault(thread->replica, PREFAULT_AT_ONCE);
    return SYNOD_OK;
}

static enum synod_status start_node(struct synod_cluster *cluster, uint32_t node, char *problem,
                                    size_t size)
{
    int error = node_thread_start(&cluster->nodes[node]);
    if (error < 0) {
        say(problem, size, "node %" PRIu32 ": its thread could not start%s: %s", node,
            cluster->pin[node] >= 0 ? " (is the CPU it is pinned to usable?)" : "",
            strerrordesc_np(-error));
    }
    return status_from_errno(error);
}

/* ---- Prefaulting ---- */

static void *prefault(void *argument)
{
    struct synod_cluster *cluster = argument;
    bool is_more = true;
    while (is_more) {
        is_more = false;
        for (uint32_t node = 0; node < cluster->options.nodes; node++) {
            /* relaxed: only says when to end; the join orders the rest */
            if (atomic_load_explicit(&cluster->is_prefault_stopped, memory_order_relaxed)) {
                return NULL;
            }
            struct replica *replica = cluster->nodes[node].replica;
            is_more |= replica != NULL && replica_prefault(replica, 1) > 0;
        }
    }
    return NULL;
}

static void prefault_stop(struct synod_cluster *cluster)
{
    if (cluster->is_prefaulting) {
        atomic_store_explicit(&cluster->is_prefault_stopped, true, memory_order_relaxed);
        (void)pthread_join(cluster->prefaulter, NULL);
        cluster->is_prefaulting = false;
    }
}

static void prefault_start(struct synod_cluster *cluster)
{
    atomic_store_explicit(&cluster->is_prefault_stopped, false, memory_order_relaxed);
    /* Without it the first round through the log is slower, and nothing else. */
    cluster->is_prefaulting =
        node_thread_create(&cluster->prefaulter, -1, prefault, cluster, "syn/prefault") == 0;
}

/* ---- Life ---- */

static int open_directory(struct synod_cluster *cluster, const char *asked, char *problem,
                          size_t size)
{
    const struct synod_options *options = &cluster->options;
    const struct run_shape shape = {.nodes = options->nodes,
                                    .phase1_quorum = options->phase1_quorum,
                                    .phase2_quorum = options->phase2_quorum,
                                    .max_key_bytes = options->max_key_bytes,
                                    .max_value_bytes = options->max_value_bytes};
    struct run_directory *directory = &cluster->directory;
    int error = run_directory_open(directory, cluster->disk, asked, options->keep, &shape);
    const char *path = asked != NULL ? asked : "/dev/shm";
    if (error == -EBUSY) {
        say(problem, size, "%s is in use by process %ld", path, directory->lock_holder);
    } else if (error == -ESTALE) {
        const struct run_shape *held = &directory->shape;
        say(problem, size,
            "%s holds a cluster of %" PRIu32 " nodes with quorums of %" PRIu32 " and %" PRIu32
            ", keys up to %" PRIu32 " and values up to %" PRIu32
            " bytes; open it with the same nodes and quorums and no smaller limits",
            path, held->nodes, held->phase1_quorum, held->phase2_quorum, held->max_key_bytes,
            held->max_value_bytes);
    } else if (error == -EBADMSG) {
        say(problem, size, "%s/cluster.id is damaged; nothing was changed", path);
    } else if (error == -EPROTONOSUPPORT) {
        say(problem, size, "%s was written by a newer version", path);
    } else if (error < 0) {
        say(problem, size, "the directory %s cannot be used: %s", path, strerrordesc_np(-error));
    }
    return error;
}

static enum synod_status open_parts(struct synod_cluster *cluster, const char *directory,
                                    char *problem, size_t size)
{
    const struct synod_options *options = &cluster->options;
    int error = open_directory(cluster, directory, problem, size);
    if (error < 0) {
        return status_from_errno(error);
    }
    struct prng prng;
    prng_init(&prng, cluster->directory.cluster_id ^ time_source_wall_ns());
    cluster->run_salt = prng_next(&prng);
    error = mesh_init(&cluster->mesh, options->nodes, RING_SLOTS);
    if (error == 0) {
        error = client_lanes_init(
            &cluster->lanes, options->nodes, options->max_clients, options->max_in_flight,
            COMMAND_OVERHEAD + options->max_key_bytes + 2 * options->max_value_bytes,
            options->max_value_bytes);
    }
    for (uint32_t node = 0; node < options->nodes && error == 0; node++) {
        struct node_thread *thread = &cluster->nodes[node];
        thread->number = node;
        thread->mesh = &cluster->mesh;
        thread->lanes = &cluster->lanes;
        thread->leader_hint = &cluster->leader_hint;
        thread->idle_kind = (enum idle_kind)options->idle;
        thread->usable_cpus = cluster->usable_cpus;
        thread->cpu = cluster->pin[node];
        error = client_end_init(&thread->clients, &cluster->lanes, node);
    }
    if (error < 0) {
        say(problem, size, "out of memory");
    }
    return status_from_errno(error);
}

enum synod_status synod_cluster_open(const struct synod_options *options,
                                     struct synod_cluster **opened, char *problem,
                                     size_t problem_size)
{
    if (opened == NULL) {
        return SYNOD_INVALID;
    }
    *opened = NULL;
    say(problem, problem_size, "%s", "");
    if (options == NULL || !check_options(options, problem, problem_size)) {
        return SYNOD_INVALID;
    }
    struct synod_cluster *cluster =
        aligned_alloc(CACHELINE_PAIR, bytes_align_up(sizeof *cluster, CACHELINE_PAIR));
    if (cluster == NULL) {
        say(problem, problem_size, "out of memory");
        return SYNOD_NO_MEMORY;
    }
    memset(cluster, 0, sizeof *cluster);
    (void)pthread_mutex_init(&cluster->control, NULL);
    for (uint32_t node = 0; node < SYNOD_MAX_NODES; node++) {
        (void)pthread_mutex_init(&cluster->nodes[node].view_lock, NULL);
    }
    cluster->references = 1;
    cluster->disk = disk_file();
    cluster->usable_cpus = idle_usable_cpus();
    resolve_options(cluster, options);
    enum synod_status status = open_parts(cluster, options->directory, problem, problem_size);
    if (status == SYNOD_OK) {
        status = check_space(cluster, problem, problem_size);
    }
    for (uint32_t node = 0; node < options->nodes && status == SYNOD_OK; node++) {
        status = open_node(cluster, node, problem, problem_size);
    }
    for (uint32_t node = 0; node < options->nodes && status == SYNOD_OK; node++) {
        status = start_node(cluster, node, problem, problem_size);
    }
    if (status != SYNOD_OK) {
        synod_cluster_close(cluster);
        return status;
    }
    prefault_start(cluster);
    *opened = cluster;
    return SYNOD_OK;
}

void cluster_release(struct synod_cluster *cluster)
{
    (void)pthread_mutex_lock(&cluster->control);
    bool is_last = --cluster->references == 0;
    (void)pthread_mutex_unlock(&cluster->control);
    if (!is_last) {
        return;
    }
    client_lanes_deinit(&cluster->lanes);
    mesh_deinit(&cluster->mesh);
    for (uint32_t node = 0; node < SYNOD_MAX_NODES; node++) {
        (void)pthread_mutex_destroy(&cluster->nodes[node].view_lock);
    }
    (void)pthread_mutex_destroy(&cluster->control);
    free(cluster);
}

void synod_cluster_close(struct synod_cluster *cluster)
{
    if (cluster == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&cluster->control);
    /* relaxed: tells clients, which lose nothing by seeing it late */
    atomic_store_explicit(&cluster->is_closed, true, memory_order_relaxed);
    (void)pthread_mutex_unlock(&cluster->control);
    prefault_stop(cluster);
    for (uint32_t node = 0; node < cluster->options.nodes; node++) {
        node_thread_stop(&cluster->nodes[node]);
    }
    for (uint32_t node = 0; node < cluster->options.nodes; node++) {
        struct node_thread *thread = &cluster->nodes[node];
        replica_close(thread->replica);
        thread->replica = NULL;
        client_end_deinit(&thread->clients);
    }
    run_directory_close(&cluster->directory, cluster->disk);
    cluster_release(cluster);
}

/* ---- Crash, restart, transfer ---- */

static enum synod_status crash_locked(struct synod_cluster *cluster, uint32_t node)
{
    struct node_thread *thread = &cluster->nodes[node];
    if (!thread->is_running) {
        return SYNOD_INVALID;
    }
    prefault_stop(cluster);
    node_thread_stop(thread);
    /* Peers may still be copying out of its log: its mapping goes when they are past that. */
    while (!mesh_is_drained(&cluster->mesh, node)) {
        time_source_sleep_ns(POLL_INTERVAL_NS);
    }
    replica_close(thread->replica);
    thread->replica = NULL;
    prefault_start(cluster);
    return SYNOD_OK;
}

enum synod_status synod_cluster_crash(struct synod_cluster *cluster, uint32_t node)
{
    if (cluster == NULL || node >= cluster->options.nodes) {
        return SYNOD_INVALID;
    }
    (void)pthread_mutex_lock(&cluster->control);
    enum synod_status status = crash_locked(cluster, node);
    (void)pthread_mutex_unlock(&cluster->control);
    return status;
}

enum synod_status synod_cluster_restart(struct synod_cluster *cluster, uint32_t node, char *problem,
                                        size_t problem_size)
{
    say(problem, problem_size, "%s", "");
    if (cluster == NULL || node >= cluster->options.nodes) {
        return SYNOD_INVALID;
    }
    (void)pthread_mutex_lock(&cluster->control);
    enum synod_status status = SYNOD_INVALID;
    struct node_thread *thread = &cluster->nodes[node];
    if (!thread->is_running) {
        prefault_stop(cluster);
        status = open_node(cluster, node, problem, problem_size);
        if (status == SYNOD_OK) {
            status = start_node(cluster, node, problem, problem_size);
            if (status != SYNOD_OK) {
                replica_close(thread->replica);
                thread->replica = NULL;
            }
        }
        prefault_start(cluster);
    }
    (void)pthread_mutex_unlock(&cluster->control);
    return status;
}

enum synod_status synod_cluster_transfer(struct synod_cluster *cluster, uint32_t node)
{
    if (cluster == NULL || node >= cluster->options.nodes) {
        return SYNOD_INVALID;
    }
    enum synod_status status = SYNOD_NO_LEADER;
    (void)pthread_mutex_lock(&cluster->control);
    int leader = synod_cluster_leader(cluster);
    if (leader == (int)node) {
        status = SYNOD_OK;
    } else if (leader >= 0 && cluster->nodes[leader].is_running) {
        /* release: pairs with the node's take_orders [N1] */
        atomic_store_explicit(&cluster->nodes[leader].transfer_to, (int32_t)node,
                              memory_order_release);
        node_thread_wake(&cluster->nodes[leader]);
        status = SYNOD_OK;
    }
    (void)pthread_mutex_unlock(&cluster->control);
    return status;
}

/* ---- Looking at it ---- */

int synod_cluster_leader(const struct synod_cluster *cluster)
{
    return cluster == NULL ? -1 : leader_hint_node(leader_hint_load(&cluster->leader_hint));
}

int synod_cluster_await_leader(struct synod_cluster *cluster, uint64_t timeout_ns)
{
    uint64_t start_ns = time_source_now_ns();
    int leader = synod_cluster_leader(cluster);
    while (cluster != NULL && leader < 0 && time_source_now_ns() - start_ns < timeout_ns) {
        time_source_sleep_ns(POLL_INTERVAL_NS);
        leader = synod_cluster_leader(cluster);
    }
    return leader;
}

static enum synod_role public_role(const struct node_thread *thread,
                                   const struct replica_view *view)
{
    if (!thread->is_running) {
        return SYNOD_DOWN;
    }
    if (thread->view_failure != 0) {
        return SYNOD_FAILED;
    }
    switch (view->role) {
    case ROLE_LEADER:
        return SYNOD_LEADER;
    case ROLE_PRE_CANDIDATE:
    case ROLE_CANDIDATE:
    case ROLE_RECOVERING:
        return SYNOD_CANDIDATE;
    case ROLE_FOLLOWER:
        break;
    }
    return SYNOD_FOLLOWER;
}

/* The view and when it was published; 0: not yet since the node started. Under the control lock. */
static uint64_t look(struct synod_cluster *cluster, uint32_t node, struct replica_view *view,
                     struct synod_node_status *status)
{
    struct node_thread *thread = &cluster->nodes[node];
    (void)pthread_mutex_lock(&thread->view_lock);
    *view = thread->view;
    uint64_t view_ns = thread->view_ns;
    *status = (struct synod_node_status){
        .role = public_role(thread, view),
        .generation_round = generation_round(view->promised),
        .generation_node = view->promised == 0 ? -1 : (int)generation_node(view->promised),
        .high_watermark = view->mark,
        .applied = view->applied,
        .log_first = view->log_first,
        .log_last = view->log_last,
        .digest = view->digest,
        .keys = view->keys,
        .elections = view->elections_won,
        .messages_sent = view->messages_sent,
        .bytes_replicated = view->bytes_replicated,
        .batches = view->batches,
        .slots_proposed = view->slots_proposed,
        .snapshots_taken = view->snapshots_taken,
        .snapshots_installed = view->snapshots_installed,
        .log_bytes_reserved = view->log_bytes,
        .snapshot_bytes = view->snapshot_bytes,
        .store_bytes = view->store_bytes,
        .turns = thread->view_turns,
        .parks = thread->view_parks,
    };
    (void)pthread_mutex_unlock(&thread->view_lock);
    return view_ns;
}

enum synod_status synod_cluster_status(struct synod_cluster *cluster, uint32_t node,
                                       struct synod_node_status *status)
{
    if (cluster == NULL || node >= cluster->options.nodes || status == NULL) {
        return SYNOD_INVALID;
    }
    struct replica_view view;
    (void)pthread_mutex_lock(&cluster->control);
    (void)look(cluster, node, &view, status);
    (void)pthread_mutex_unlock(&cluster->control);
    return SYNOD_OK;
}

/* Whether every node that is up stands at one slot with nothing in flight, seen after since_ns. */
static bool is_quiet(struct synod_cluster *cluster, uint64_t since_ns)
{
    bool has_leader = false;
    uint64_t slot = UINT64_MAX;
    for (uint32_t node = 0; node < cluster->options.nodes; node++) {
        struct replica_view view;
        struct synod_node_status status;
        uint64_t view_ns = look(cluster, node, &view, &status);
        if (status.role == SYNOD_DOWN || status.role == SYNOD_FAILED) {
            continue;
        }
        bool is_still = view_ns > since_ns && view.applied == view.log_last &&
                        view.mark == view.applied && view.waiting == 0;
        if (!is_still || (slot != UINT64_MAX && view.applied != slot)) {
            return false;
        }
        slot = view.applied;
        has_leader |= status.role == SYNOD_LEADER;
    }
    return has_leader;
}

enum synod_status synod_cluster_await_quiet(struct synod_cluster *cluster, uint64_t timeout_ns)
{
    if (cluster == NULL) {
        return SYNOD_INVALID;
    }
    uint64_t start_ns = time_source_now_ns();
    while (time_source_now_ns() - start_ns < timeout_ns) {
        (void)pthread_mutex_lock(&cluster->control);
        bool quiet = is_quiet(cluster, start_ns);
        (void)pthread_mutex_unlock(&cluster->control);
        if (quiet) {
            return SYNOD_OK;
        }
        time_source_sleep_ns(POLL_INTERVAL_NS);
    }
    return SYNOD_TIMEOUT;
}

const char *synod_cluster_directory(const struct synod_cluster *cluster)
{
    return cluster == NULL ? "" : cluster->directory.path;
}
