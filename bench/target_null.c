/* SPDX-License-Identifier: MIT */
#include "bench/target.h"

#include <stdio.h>
#include <stdlib.h>

/* Everything comes back OK, in the order it was submitted, with the next poll. */
struct null_target {
    uint32_t depth;
};

struct null_client {
    uint32_t depth, head, count;
    struct synod_completion completions[];
};

static enum synod_status open_client(void *state, void **client)
{
    const struct null_target *null = state;
    struct null_client *opened =
        calloc(1, sizeof *opened + null->depth * sizeof opened->completions[0]);
    *client = opened;
    if (opened == NULL) {
        return SYNOD_NO_MEMORY;
    }
    opened->depth = null->depth;
    return SYNOD_OK;
}

static void close_client(void *client)
{
    free(client);
}

static enum synod_status submit(void *client, const struct synod_request *request)
{
    struct null_client *null = client;
    if (null->count == null->depth) {
        return SYNOD_BUSY;
    }
    uint32_t at = null->head + null->count++;
    at = at < null->depth ? at : at - null->depth;
    null->completions[at] = (struct synod_completion){
        .tag = request->tag, .operation = request->operation, .status = SYNOD_OK};
    return SYNOD_OK;
}

static size_t poll_completions(void *client, struct synod_completion *completions, size_t max,
                               uint64_t timeout_ns)
{
    struct null_client *null = client;
    (void)timeout_ns;
    size_t taken = 0;
    while (taken < max && null->count > 0) {
        completions[taken++] = null->completions[null->head++];
        null->head = null->head < null->depth ? null->head : 0;
        null->count--;
    }
    return taken;
}

static int leader(void *state)
{
    (void)state;
    return 0;
}

static int await_leader(void *state, uint64_t timeout_ns)
{
    (void)state;
    (void)timeout_ns;
    return 0;
}

static enum synod_status crash(void *state, uint32_t node)
{
    (void)state;
    (void)node;
    return SYNOD_INVALID;
}

static enum synod_status restart(void *state, uint32_t node, char *problem, size_t problem_size)
{
    (void)state;
    (void)node;
    (void)snprintf(problem, problem_size, "the null target has no nodes");
    return SYNOD_INVALID;
}

static enum synod_status node_status(void *state, uint32_t node, struct synod_node_status *status)
{
    (void)state;
    *status = (struct synod_node_status){.role = node == 0 ? SYNOD_LEADER : SYNOD_FOLLOWER};
    return SYNOD_OK;
}

static enum synod_status await_quiet(void *state, uint64_t timeout_ns)
{
    (void)state;
    (void)timeout_ns;
    return SYNOD_OK;
}

static const char *directory(void *state)
{
    (void)state;
    return NULL;
}

static const struct target_operations null_operations = {
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
    .close = free,
};

enum synod_status target_null_open(struct target *target, uint32_t depth)
{
    struct null_target *null = malloc(sizeof *null);
    if (null == NULL) {
        return SYNOD_NO_MEMORY;
    }
    null->depth = depth;
    *target = (struct target){.operations = &null_operations, .state = null, .nodes = 1};
    return SYNOD_OK;
}

void target_close(struct target *target)
{
    if (target->operations != NULL) {
        target->operations->close(target->state);
    }
    *target = (struct target){0};
}
