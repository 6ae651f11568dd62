/* SPDX-License-Identifier: MIT */
#include "cluster/mesh.h"

#include <errno.h>
#include <string.h>

int mesh_init(struct mesh *mesh, uint32_t nodes, uint32_t ring_slots)
{
    ASSERT(nodes >= 1 && nodes <= MESH_NODES);
    memset(mesh, 0, sizeof *mesh);
    mesh->nodes = nodes;
    int error = 0;
    for (uint32_t from = 0; from < nodes; from++) {
        atomic_init(&mesh->node[from].incarnation, 0);
        mesh->ends[from].self = from;
        error = doorbell_create(&mesh->node[from].bell);
        for (uint32_t to = 0; to < nodes && error == 0; to++) {
            if (to != from) {
                error = spsc_ring_create(&mesh->rings[from][to], ring_slots);
            }
        }
        if (error < 0) {
            mesh_deinit(mesh);
            return error;
        }
    }
    return 0;
}

void mesh_deinit(struct mesh *mesh)
{
    for (uint32_t from = 0; from < mesh->nodes; from++) {
        for (uint32_t to = 0; to < mesh->nodes; to++) {
            if (mesh->rings[from][to] != NULL) {
                spsc_ring_destroy(mesh->rings[from][to]);
            }
        }
        if (mesh->node[from].bell != NULL) {
            doorbell_destroy(mesh->node[from].bell);
        }
    }
    memset(mesh, 0, sizeof *mesh);
}

uint64_t mesh_incarnation(const struct mesh *mesh, uint32_t node)
{
    /* acquire: pairs with mesh_up, mesh_down [I1]; what the node's thread did before is over */
    return atomic_load_explicit(&mesh->node[node].incarnation, memory_order_acquire);
}

bool mesh_is_up(const struct mesh *mesh, uint32_t node)
{
    return mesh_incarnation(mesh, node) % 2 == 1;
}

static void change_incarnation(struct mesh *mesh, uint32_t node)
{
    uint64_t next = mesh_incarnation(mesh, node) + 1;
    mesh->ends[node].incarnation = (uint8_t)next;
    /* release: pairs with mesh_incarnation [I1] */
    atomic_store_explicit(&mesh->node[node].incarnation, next, memory_order_release);
}

void mesh_up(struct mesh *mesh, uint32_t node)
{
    ASSERT(!mesh_is_up(mesh, node));
    struct mesh_end *end = &mesh->ends[node];
    for (uint32_t from = 0; from < mesh->nodes; from++) {
        end->ready[from] = 0;
        end->taken[from] = 0;
        if (from != node) {
            spsc_ring_skip_all(mesh->rings[from][node]);
        }
    }
    end->sent_set = 0;
    change_incarnation(mesh, node);
}

void mesh_down(struct mesh *mesh, uint32_t node)
{
    ASSERT(mesh_is_up(mesh, node));
    change_incarnation(mesh, node);
}

bool mesh_is_drained(const struct mesh *mesh, uint32_t node)
{
    for (uint32_t to = 0; to < mesh->nodes; to++) {
        if (to == node || !mesh_is_up(mesh, to)) {
            continue;
        }
        const struct spsc_ring *ring = mesh->rings[node][to];
        if (spsc_ring_consumed(ring) < spsc_ring_produced(ring)) {
            return false;
        }
    }
    return true;
}

bool mesh_send(struct mesh *mesh, uint32_t from, uint32_t to, const struct core_message *message)
{
    uint64_t incarnation = mesh_incarnation(mesh, to);
    struct core_message *slot =
        incarnation % 2 == 1 ? spsc_ring_claim(mesh->rings[from][to]) : NULL;
    if (slot == NULL) {
        return false;
    }
    *slot = *message;
    slot->incarnation = (uint8_t)incarnation;
    mesh->ends[from].sent_set |= 1u << to;
    return true;
}

uint32_t mesh_publish(struct mesh *mesh, uint32_t from)
{
    uint32_t sent = mesh->ends[from].sent_set;
    for (uint32_t set = sent; set != 0; set &= set - 1) {
        spsc_ring_publish(mesh->rings[from][__builtin_ctz(set)]);
    }
    mesh->ends[from].sent_set = 0;
    return sent;
}

static const struct core_message *next_from(struct mesh *mesh, uint32_t from, uint32_t to)
{
    struct mesh_end *end = &mesh->ends[to];
    struct spsc_ring *ring = mesh->rings[from][to];
    if (end->taken[from] == end->ready[from]) {
        end->ready[from] = spsc_ring_peek(ring);
    }
    while (end->taken[from] < end->ready[from]) {
        const struct core_message *message = spsc_ring_at(ring, end->taken[from]);
        end->taken[from]++;
        if (message->incarnation == end->incarnation) {
            return message;
        }
    }
    return NULL;
}

const struct core_message *mesh_next(struct mesh *mesh, uint32_t to)
{
    struct mesh_end *end = &mesh->ends[to];
    for (uint32_t tried = 0; tried < mesh->nodes; tried++) {
        uint32_t from = end->next_peer;
        if (from != to) {
            const struct core_message *message = next_from(mesh, from, to);
            if (message != NULL) {
                return message;
            }
        }
        end->next_peer = from + 1 == mesh->nodes ? 0 : from + 1;
    }
    return NULL;
}

void mesh_release(struct mesh *mesh, uint32_t to)
{
    struct mesh_end *end = &mesh->ends[to];
    for (uint32_t from = 0; from < mesh->nodes; from++) {
        if (end->taken[from] > 0) {
            spsc_ring_release(mesh->rings[from][to], end->taken[from]);
            end->taken[from] = 0;
            end->ready[from] = 0;
        }
    }
}

bool mesh_has_messages(struct mesh *mesh, uint32_t to)
{
    for (uint32_t from = 0; from < mesh->nodes; from++) {
        if (from != to && spsc_ring_peek(mesh->rings[from][to]) > 0) {
            return true;
        }
    }
    return false;
}

void mesh_note_pins(struct mesh *mesh, uint32_t from)
{
    struct mesh_end *end = &mesh->ends[from];
    for (uint32_t to = 0; to < mesh->nodes; to++) {
        if (to != from) {
            end->noted[to] = spsc_ring_produced(mesh->rings[from][to]);
            end->noted_up[to] = mesh_incarnation(mesh, to);
        }
    }
}

bool mesh_pins_passed(struct mesh *mesh, uint32_t from)
{
    const struct mesh_end *end = &mesh->ends[from];
    for (uint32_t to = 0; to < mesh->nodes; to++) {
        if (to == from || end->noted_up[to] % 2 == 0 ||
            mesh_incarnation(mesh, to) != end->noted_up[to]) {
            continue; /* it was down, or has been since: it drops those messages unread */
        }
        if (spsc_ring_consumed(mesh->rings[from][to]) < end->noted[to]) {
            return false;
        }
    }
    return true;
}
