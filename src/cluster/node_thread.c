/* SPDX-License-Identifier: MIT */
#include "cluster/node_thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "base/time_source.h"
#include "cluster/leader_hint.h"

#define PUBLISH_INTERVAL_NS UINT64_C(1000000)

/* ---- Ports ---- */

static const struct core_message *port_message_next(void *self)
{
    struct node_thread *node = self;
    return mesh_next(node->mesh, node->number);
}

static void port_messages_release(void *self)
{
    struct node_thread *node = self;
    mesh_release(node->mesh, node->number);
}

static bool port_message_send(void *self, uint32_t to, const struct core_message *message)
{
    struct node_thread *node = self;
    return mesh_send(node->mesh, node->number, to, message);
}

static void port_flush(void *self)
{
    struct node_thread *node = self;
    uint32_t peers = mesh_publish(node->mesh, node->number);
    uint32_t clients = client_end_publish(&node->clients, node->lanes);
    if (peers == 0 && clients == 0) {
        return;
    }
    doorbell_fence();
    for (uint32_t set = peers; set != 0; set &= set - 1) {
        doorbell_ring_fenced(node->mesh->node[__builtin_ctz(set)].bell);
    }
    client_end_ring(&node->clients, node->lanes);
}

static bool port_request_next(void *self, struct request *request)
{
    struct node_thread *node = self;
    return client_end_next(&node->clients, node->lanes, request);
}

static void port_requests_release(void *self)
{
    struct node_thread *node = self;
    client_end_release(&node->clients, node->lanes);
}

static bool port_reply_send(void *self, const struct reply *reply)
{
    struct node_thread *node = self;
    return client_end_reply(&node->clients, node->lanes, reply);
}

static void port_pins_note(void *self)
{
    struct node_thread *node = self;
    port_flush(node); /* what was sent counts as on its way */
    mesh_note_pins(node->mesh, node->number);
}

static bool port_pins_passed(void *self)
{
    struct node_thread *node = self;
    return mesh_pins_passed(node->mesh, node->number);
}

static void port_role_changed(void *self, uint32_t role, int leader, uint64_t ballot)
{
    struct node_thread *node = self;
    (void)leader;
    if (role == ROLE_LEADER) {
        leader_hint_raise(node->leader_hint, ballot);
    } else {
        leader_hint_end(node->leader_hint, node->number);
    }
    node->published_ns = 0; /* worth telling at once */
}

struct replica_ports node_thread_ports(struct node_thread *node)
{
    return (struct replica_ports){
        .self = node,
        .message_next = port_message_next,
        .messages_release = port_messages_release,
        .message_send = port_message_send,
        .flush = port_flush,
        .request_next = port_request_next,
        .requests_release = port_requests_release,
        .reply_send = port_reply_send,
        .pins_note = port_pins_note,
        .pins_passed = port_pins_passed,
        .role_changed = port_role_changed,
    };
}

/* ---- The thread ---- */

/* Under the view lock. */
static void write_view(struct node_thread *node, uint64_t now_ns)
{
    replica_view(node->replica, &node->view);
    node->view_ns = now_ns;
    node->view_turns = node->turns;
    node->view_parks = node->parks;
    node->view_failure = replica_failure(node->replica);
    node->published_ns = now_ns;
}

static void publish_view(struct node_thread *node, uint64_t now_ns)
{
    if (pthread_mutex_trylock(&node->view_lock) != 0) {
        return; /* somebody is looking: next time */
    }
    write_view(node, now_ns);
    pthread_mutex_unlock(&node->view_lock);
}

/* There will be no next time, and no turn to delay. */
static void publish_last_view(struct node_thread *node, uint64_t now_ns)
{
    (void)pthread_mutex_lock(&node->view_lock);
    write_view(node, now_ns);
    (void)pthread_mutex_unlock(&node->view_lock);
}

static bool has_work(void *context)
{
    struct node_thread *node = context;
    /* acquire: pairs with node_thread_stop, node_thread_wake [N1] */
    return mesh_has_messages(node->mesh, node->number) ||
           client_end_has_requests(&node->clients, node->lanes) ||
           atomic_load_explicit(&node->stop, memory_order_acquire) != 0 ||
           atomic_load_explicit(&node->transfer_to, memory_order_acquire) >= 0;
}

static void set_up_idling(struct node_thread *node)
{
    uint32_t clients = atomic_load_explicit(&node->lanes->open, memory_order_relaxed);
    if (clients != node->idle_clients || node->idle.bell == NULL) {
        node->idle_clients = clients;
        idle_strategy_init(&node->idle, node->idle_kind, node->mesh->nodes + clients,
                           node->usable_cpus, node->mesh->node[node->number].bell);
    }
}

static void take_orders(struct node_thread *node)
{
    /* acquire: pairs with node_thread_wake's caller [N1] */
    int32_t to = atomic_load_explicit(&node->transfer_to, memory_order_acquire);
    if (to >= 0) {
        atomic_store_explicit(&node->transfer_to, -1, memory_order_relaxed);
        replica_transfer(node->replica, (uint32_t)to);
    }
}

static void idle(struct node_thread *node, uint64_t now_ns)
{
    if (now_ns - node->published_ns >= PUBLISH_INTERVAL_NS || node->published_ns == 0) {
        publish_view(node, now_ns);
    }
    /* Until there is work or it is time: a look at the queues is a tenth of an empty turn, and on a
     * shared CPU somebody else waits for this thread to get done with it. */
    uint64_t next_ns = replica_next_turn_ns(node->replica);
    bool has_parked = false;
    while (now_ns < next_ns && !has_parked && !has_work(node)) {
        has_parked = idle_strategy_idle(&node->idle, has_work, node, next_ns - now_ns);
        node->parks += has_parked;
        now_ns = time_source_now_ns();
    }
}

static void *run(void *argument)
{
    struct node_thread *node = argument;
    set_up_idling(node);
    /* acquire: pairs with node_thread_stop [N1] */
    while (atomic_load_explicit(&node->stop, memory_order_acquire) == 0) {
        uint64_t now_ns = time_source_now_ns();
        take_orders(node);
        bool worked = replica_turn(node->replica, now_ns, time_source_wall_ns());
        node->turns++;
        if (now_ns - node->published_ns >= PUBLISH_INTERVAL_NS) {
            set_up_idling(node);
            publish_view(node, now_ns);
        }
        if (replica_failure(node->replica) != 0) {
            leader_hint_end(node->leader_hint, node->number);
            publish_last_view(node, now_ns);
            mesh_down(node->mesh, node->number); /* peers need not wait for it to read */
            break;
        }
        if (worked) {
            idle_strategy_reset(&node->idle);
        } else {
            idle(node, now_ns);
        }
    }
    return NULL;
}

int node_thread_create(pthread_t *thread, int cpu, void *(*body)(void *argument), void *argument,
                       const char *name)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) {
        return -error;
    }
    sigset_t all;
    sigfillset(&all);
    error = pthread_attr_setsigmask_np(&attributes, &all);
    if (error == 0 && cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        error = pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
    }
    if (error == 0) {
        error = pthread_create(thread, &attributes, body, argument);
    }
    (void)pthread_attr_destroy(&attributes);
    if (error == 0) {
        (void)pthread_setname_np(*thread, name);
    }
    return -error;
}

/* What is left of the life before is not to be taken for news of this one. Under the control lock.
 */
static void reset_view(struct node_thread *node)
{
    (void)pthread_mutex_lock(&node->view_lock);
    node->view = (struct replica_view){.role = ROLE_FOLLOWER, .leader = -1};
    node->view_ns = 0;
    node->view_failure = 0;
    (void)pthread_mutex_unlock(&node->view_lock);
    node->published_ns = 0;
}

int node_thread_start(struct node_thread *node)
{
    ASSERT(!node->is_running);
    atomic_store_explicit(&node->stop, 0, memory_order_relaxed);
    atomic_store_explicit(&node->transfer_to, -1, memory_order_relaxed);
    node->idle = (struct idle_strategy){0};
    reset_view(node);
    client_end_skip_all(&node->clients, node->lanes);
    mesh_up(node->mesh, node->number);
    char name[16];
    (void)snprintf(name, sizeof name, "syn/n%u", node->number);
    int error = node_thread_create(&node->thread, node->cpu, run, node, name);
    if (error < 0) {
        mesh_down(node->mesh, node->number);
        return error;
    }
    node->is_running = true;
    return 0;
}

void node_thread_wake(struct node_thread *node)
{
    doorbell_ring(node->mesh->node[node->number].bell);
}

void node_thread_stop(struct node_thread *node)
{
    if (!node->is_running) {
        return;
    }
    /* release: pairs with the loop's load [N1] */
    atomic_store_explicit(&node->stop, 1, memory_order_release);
    node_thread_wake(node);
    (void)pthread_join(node->thread, NULL);
    leader_hint_end(node->leader_hint, node->number);
    if (mesh_is_up(node->mesh, node->number)) {
        mesh_down(node->mesh, node->number);
    }
    node->is_running = false;
}
