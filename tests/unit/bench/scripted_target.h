/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_TESTS_SCRIPTED_TARGET_H
#define SYNOD_TESTS_SCRIPTED_TARGET_H

/*
 * A target that does what a test tells it: answers every request, but not while its service is out.
 * A crash of the leader makes an outage: what was in flight then comes back TIMEOUT, and after
 * outage_ns node 1 leads. Written before the run, except by crash and restart.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/time_source.h"
#include "bench/target.h"

#define SCRIPTED_DEPTH 1024

struct scripted {
    uint32_t nodes;
    uint64_t outage_ns;           /* after a crash of the leader */
    enum synod_status get_status; /* of gets */
    enum synod_status put_status; /* of puts after the first `good_puts` of a client */
    uint64_t good_puts;
    bool is_mute; /* answers nothing, ever */
    bool has_different_digests;
    _Atomic int leader;
    _Atomic uint64_t out_until_ns;
    _Atomic uint32_t crashes, restarts, open_clients;
};

struct scripted_client {
    struct scripted *scripted;
    uint64_t puts;
    size_t count;
    uint32_t crashes_seen;
    struct synod_request waiting[SCRIPTED_DEPTH];
};

static enum synod_status scripted_open_client(void *state, void **client)
{
    struct scripted *scripted = state;
    struct scripted_client *opened = calloc(1, sizeof *opened);
    ck_assert_ptr_nonnull(opened);
    opened->scripted = scripted;
    atomic_fetch_add(&scripted->open_clients, 1);
    *client = opened;
    return SYNOD_OK;
}

static void scripted_close_client(void *client)
{
    struct scripted_client *closed = client;
    atomic_fetch_sub(&closed->scripted->open_clients, 1);
    free(closed);
}

static enum synod_status scripted_submit(void *client, const struct synod_request *request)
{
    struct scripted_client *own = client;
    if (own->count == SCRIPTED_DEPTH) {
        return SYNOD_BUSY;
    }
    own->waiting[own->count++] = *request;
    return SYNOD_OK;
}

static enum synod_status scripted_outcome(struct scripted_client *own, enum synod_operation kind)
{
    if (kind == SYNOD_GET) {
        return own->scripted->get_status;
    }
    return own->puts++ < own->scripted->good_puts ? SYNOD_OK : own->scripted->put_status;
}

static size_t scripted_poll(void *client, struct synod_completion *completions, size_t max,
                            uint64_t timeout_ns)
{
    struct scripted_client *own = client;
    struct scripted *scripted = own->scripted;
    uint32_t crashes = atomic_load(&scripted->crashes);
    bool is_lost = crashes != own->crashes_seen;
    own->crashes_seen = crashes;
    bool is_out = time_source_now_ns() < atomic_load(&scripted->out_until_ns);
    if (scripted->is_mute || (is_out && !is_lost)) {
        time_source_sleep_ns(timeout_ns < 1000000 ? timeout_ns : 1000000);
        return 0;
    }
    size_t taken = 0;
    while (taken < max && own->count > 0) {
        const struct synod_request *request = &own->waiting[--own->count];
        enum synod_status status =
            is_lost ? SYNOD_TIMEOUT : scripted_outcome(own, request->operation);
        completions[taken++] = (struct synod_completion){
            .tag = request->tag, .operation = request->operation, .status = status};
    }
    return taken;
}

static int scripted_leader(void *state)
{
    struct scripted *scripted = state;
    return time_source_now_ns() < atomic_load(&scripted->out_until_ns)
               ? -1
               : atomic_load(&scripted->leader);
}

static int scripted_await_leader(void *state, uint64_t timeout_ns)
{
    (void)timeout_ns;
    return scripted_leader(state);
}

static enum synod_status scripted_crash(void *state, uint32_t node)
{
    struct scripted *scripted = state;
    if ((int)node == atomic_load(&scripted->leader)) {
        atomic_store(&scripted->leader, ((int)node + 1) % (int)scripted->nodes);
        atomic_store(&scripted->out_until_ns, time_source_now_ns() + scripted->outage_ns);
        atomic_fetch_add(&scripted->crashes, 1);
    }
    return SYNOD_OK;
}

static enum synod_status scripted_restart(void *state, uint32_t node, char *problem, size_t size)
{
    struct scripted *scripted = state;
    (void)node;
    (void)problem;
    (void)size;
    atomic_fetch_add(&scripted->restarts, 1);
    return SYNOD_OK;
}

static enum synod_status scripted_status(void *state, uint32_t node,
                                         struct synod_node_status *status)
{
    const struct scripted *scripted = state;
    *status = (struct synod_node_status){
        .role = SYNOD_FOLLOWER,
        .applied = 100,
        .high_watermark = 100,
        .digest = scripted->has_different_digests ? 7 + node : 7,
        .log_bytes_reserved = 1000,
    };
    return SYNOD_OK;
}

static enum synod_status scripted_await_quiet(void *state, uint64_t timeout_ns)
{
    (void)state;
    (void)timeout_ns;
    return SYNOD_OK;
}

static const char *scripted_directory(void *state)
{
    (void)state;
    return NULL;
}

static void scripted_close(void *state)
{
    (void)state;
}

static const struct target_operations SCRIPTED = {
    .open_client = scripted_open_client,
    .close_client = scripted_close_client,
    .submit = scripted_submit,
    .poll = scripted_poll,
    .leader = scripted_leader,
    .await_leader = scripted_await_leader,
    .crash = scripted_crash,
    .restart = scripted_restart,
    .status = scripted_status,
    .await_quiet = scripted_await_quiet,
    .directory = scripted_directory,
    .close = scripted_close,
};

/* Three nodes, node 0 leads, everything is answered OK. */
static void scripted_init(struct scripted *scripted, struct target *target)
{
    *scripted = (struct scripted){.nodes = 3, .good_puts = UINT64_MAX};
    *target = (struct target){.operations = &SCRIPTED, .state = scripted, .nodes = 3};
}

#endif
