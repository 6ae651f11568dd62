/* SPDX-License-Identifier: MIT */
#include "bench/target.h"

static enum synod_status open_client(void *state, void **client)
{
    struct synod_client *opened = NULL;
    enum synod_status status = synod_client_open(state, &opened);
    *client = opened;
    return status;
}

static void close_client(void *client)
{
    synod_client_close(client);
}

static enum synod_status submit(void *client, const struct synod_request *request)
{
    return synod_submit(client, request);
}

static size_t poll_completions(void *client, struct synod_completion *completions, size_t max,
                               uint64_t timeout_ns)
{
    return synod_poll(client, completions, max, timeout_ns);
}

static int leader(void *state)
{
    return synod_cluster_leader(state);
}

static int await_leader(void *state, uint64_t timeout_ns)
{
    return synod_cluster_await_leader(state, timeout_ns);
}

static enum synod_status crash(void *state, uint32_t node)
{
    return synod_cluster_crash(state, node);
}

static enum synod_status restart(void *state, uint32_t node, char *problem, size_t problem_size)
{
    return synod_cluster_restart(state, node, problem, problem_size);
}

static enum synod_status node_status(void *state, uint32_t node, struct synod_node_status *status)
{
    return synod_cluster_status(state, node, status);
}

static enum synod_status await_quiet(void *state, uint64_t timeout_ns)
{
    return synod_cluster_await_quiet(state, timeout_ns);
}

static const char *directory(void *state)
{
    return synod_cluster_directory(state);
}

static void close_cluster(void *state)
{
    synod_cluster_close(state);
}

static const struct target_operations cluster_operations = {
    .open_client = open_client,
    .close_client = close_client,
    .submit = submit,
    .poll = poll_completions,
    .leader = leader,
    .await_leader = await_leader,
    .crash = crash,
    .restart = restart,
    .status = node_status,
    .await_quiet = await_quiet,
    .directory = directory,
    .close = close_cluster,
};

enum synod_status target_cluster_open(struct target *target, const struct synod_options *options,
                                      struct problem *problem)
{
    struct synod_cluster *cluster = NULL;
    *target = (struct target){0};
    enum synod_status status =
        synod_cluster_open(options, &cluster, problem->text, sizeof problem->text);
    if (status == SYNOD_OK) {
        *target = (struct target){
            .operations = &cluster_operations, .state = cluster, .nodes = options->nodes};
    }
    return status;
}
