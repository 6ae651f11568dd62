/* SPDX-License-Identifier: MIT */
/*
 * The world's books: what was proposed, who holds it durably, what is chosen, and whether what
 * nodes say and do agrees with that. They know the disks, and the core only by what it does.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "world_state.h"

void books_violate(struct world *world, const char *format, ...)
{
    if (world->result->violation[0] != '\0') {
        return; /* the first one counts */
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(world->result->violation, sizeof world->result->violation, format, arguments);
    va_end(arguments);
    world->result->step = world->step;
}

/* ---- The books: what was proposed, what is held, what is chosen ---- */

static struct proposal *proposal_find(struct world *world, uint64_t slot, uint64_t ballot)
{
    for (uint32_t at = world->proposal_heads[slot]; at != 0; at = world->proposals[at - 1].next) {
        if (world->proposals[at - 1].ballot == ballot) {
            return &world->proposals[at - 1];
        }
    }
    return NULL;
}

void books_proposal(struct world *world, uint64_t slot, uint64_t ballot, uint64_t value)
{
    struct proposal *known = proposal_find(world, slot, ballot);
    if (known != NULL) {
        if (known->value != value) {
            books_violate(world,
                          "one-leader-per-ballot: slot %" PRIu64 " ballot %" PRIx64
                          " has two values, %" PRIu64 " and %" PRIu64,
                          slot, ballot, known->value, value);
        }
        return;
    }
    if (world->chosen_value[slot] != 0 && world->chosen_ballot[slot] < ballot &&
        world->chosen_value[slot] != value) {
        books_violate(world,
                      "value-choice: slot %" PRIu64 " is chosen as %" PRIu64 ", ballot %" PRIx64
                      " proposes %" PRIu64,
                      slot, world->chosen_value[slot], ballot, value);
    }
    if (world->proposal_count == world->proposal_capacity) {
        world->proposal_capacity = world->proposal_capacity * 2 + 256;
        world->proposals =
            realloc(world->proposals, world->proposal_capacity * sizeof *world->proposals);
        ASSERT(world->proposals != NULL);
    }
    world->proposals[world->proposal_count++] =
        (struct proposal){.ballot = ballot, .value = value, .next = world->proposal_heads[slot]};
    world->proposal_heads[slot] = world->proposal_count;
}

static void note_chosen(struct world *world, uint64_t slot, const struct proposal *proposal)
{
    if (world->chosen_value[slot] == 0) {
        world->chosen_value[slot] = proposal->value;
        world->chosen_ballot[slot] = proposal->ballot;
        world->result->counts.chosen++;
        while (world->chosen_value[world->chosen_prefix + 1] != 0) {
            world->chosen_prefix++;
        }
        return;
    }
    if (world->chosen_value[slot] != proposal->value) {
        books_violate(world,
                      "slot-agreement: slot %" PRIu64 " chosen as %" PRIu64 " and as %" PRIu64
                      " (ballot %" PRIx64 ")",
                      slot, world->chosen_value[slot], proposal->value, proposal->ballot);
    }
    if (proposal->ballot < world->chosen_ballot[slot]) {
        world->chosen_ballot[slot] = proposal->ballot;
    }
}

void books_durable(struct world *world, struct world_node *node, const struct record *record)
{
    if (record->ballot > node->durable_promise) {
        node->durable_promise = record->ballot;
    }
    if (record->slot == 0) {
        return;
    }
    if (record->is_leftover && node->is_up) {
        return;
    }
    node->durable_ballot[record->slot] = record->ballot;
    if (record->is_leftover && record->ballot < node->said_promise) {
        return; /* found again after a promise that did not tell of it: no acceptance any more */
    }
    struct proposal *proposal = proposal_find(world, record->slot, record->ballot);
    ASSERT(proposal != NULL);
    proposal->holders |= 1u << world_node_index(world, node);
    if (quorum_has_chosen(&world->quorum, proposal->holders)) {
        note_chosen(world, record->slot, proposal);
    }
}

/* ---- What a node may say ---- */

static void check_accepted(struct world *world, const struct world_node *node,
                           const struct core_message *message)
{
    for (uint64_t slot = node->core.mark + 1; slot <= message->slot; slot++) {
        if (node->durable_ballot[slot] != message->ballot) {
            books_violate(world,
                          "durable-before-answer: node %u acknowledges slot %" PRIu64 " at %" PRIx64
                          ", its disk holds %" PRIx64,
                          world_node_index(world, node), slot, message->ballot,
                          node->durable_ballot[slot]);
            return;
        }
    }
}

static void check_promise(struct world *world, struct world_node *node,
                          const struct core_message *message)
{
    if (node->durable_promise < message->ballot) {
        books_violate(world,
                      "durable-before-answer: node %u promises %" PRIx64 ", its disk %" PRIx64,
                      world_node_index(world, node), message->ballot, node->durable_promise);
    }
    if (message->ballot < node->said_promise) {
        books_violate(world, "promise-kept: node %u promises %" PRIx64 " after %" PRIx64,
                      world_node_index(world, node), message->ballot, node->said_promise);
    }
    node->said_promise = message->ballot;
    if (message->kind == MESSAGE_PROMISE) {
        for (uint64_t slot = message->slot + 1; slot < SLOTS_LIMIT + 100; slot++) {
            if (node->durable_ballot[slot] != 0) {
                books_violate(world,
                              "value-choice: node %u leaves slot %" PRIu64 " out of its promise",
                              world_node_index(world, node), slot);
                return;
            }
        }
        return;
    }
    for (uint64_t slot = message->slot; slot < message->slot + message->count; slot++) {
        uint64_t held = slot <= node->core.mark ? BALLOT_CHOSEN : node->durable_ballot[slot];
        if (held != message->round) {
            books_violate(world,
                          "value-choice: node %u reports slot %" PRIu64 " at %" PRIx64
                          ", holds %" PRIx64,
                          world_node_index(world, node), slot, message->round, held);
            return;
        }
    }
}

void books_check_said(struct world *world, struct world_node *node,
                      const struct core_message *message)
{
    if ((message->flags & MESSAGE_FLAG_PRE_VOTE) != 0) {
        return;
    }
    switch (message->kind) {
    case MESSAGE_PREPARE: /* a candidate's promise to itself */
    case MESSAGE_ACCEPT:
    case MESSAGE_FETCH:
        node->said_promise = generation_adopt(node->said_promise, message->ballot);
        if (node->durable_promise < message->ballot) {
            books_violate(
                world, "durable-before-answer: node %u uses ballot %" PRIx64 ", its disk %" PRIx64,
                world_node_index(world, node), message->ballot, node->durable_promise);
        }
        break;
    case MESSAGE_PROMISE:
    case MESSAGE_PROMISE_RUN:
        check_promise(world, node, message);
        break;
    case MESSAGE_ACCEPTED:
        check_accepted(world, node, message);
        break;
    default:
        break;
    }
}

/* ---- Leading, committing, reading ---- */

void books_check_leader(struct world *world, struct world_node *node, const struct effect *effect)
{
    if (effect->role == ROLE_LEADER) {
        world->result->counts.elections++;
    }
    if (effect->role != ROLE_RECOVERING) {
        return;
    }
    node->said_promise = generation_adopt(node->said_promise, effect->ballot);
    if (generation_node(effect->ballot) != world_node_index(world, node)) {
        books_violate(world, "one-leader-per-ballot: node %u leads at a foreign ballot %" PRIx64,
                      world_node_index(world, node), effect->ballot);
    }
    for (uint32_t i = 0; i < world->led_count; i++) {
        if (world->led[i] == effect->ballot) {
            books_violate(world, "one-leader-per-ballot: %" PRIx64 " is led at twice",
                          effect->ballot);
        }
    }
    if (world->led_count < sizeof world->led / sizeof world->led[0]) {
        world->led[world->led_count++] = effect->ballot;
    }
}

void books_check_commit(struct world *world, struct world_node *node, uint64_t mark)
{
    if (mark < node->mark_checked) {
        books_violate(world, "high-watermark: node %u falls from %" PRIu64 " to %" PRIu64,
                      world_node_index(world, node), node->mark_checked, mark);
    }
    if (!node->was_leading && mark > world->applied_max) {
        books_violate(world, "high-watermark: node %u was told %" PRIu64 ", applied nowhere",
                      world_node_index(world, node), mark);
    }
    if (mark > world->chosen_prefix) {
        books_violate(world, "high-watermark: node %u at %" PRIu64 ", chosen only up to %" PRIu64,
                      world_node_index(world, node), mark, world->chosen_prefix);
        return;
    }
    for (uint64_t slot = node->mark_checked + 1; slot <= mark; slot++) {
        bool is_held = node->durable_ballot[slot] != 0;
        if (slot > node->base &&
            (!is_held || node->latest_value[slot] != world->chosen_value[slot])) {
            books_violate(world,
                          "slot-agreement: node %u has %" PRIu64 " in committed slot %" PRIu64
                          ", chosen is %" PRIu64,
                          world_node_index(world, node), node->latest_value[slot], slot,
                          world->chosen_value[slot]);
            return;
        }
    }
    node->mark_checked = mark;
}

void books_read_pending(struct world *world, struct world_node *node, const struct effect *effect)
{
    world->result->counts.reads_asked++;
    if (node->read_count < READS) {
        node->reads[node->read_count++] = (struct pending_read){
            .round = effect->round, .slot = effect->slot, .floor = world->applied_max};
    }
}

void books_read_confirmed(struct world *world, struct world_node *node, uint64_t round)
{
    for (uint32_t i = 0; i < node->read_count; i++) {
        struct pending_read *read = &node->reads[i];
        if (read->round > round || read->is_confirmed) {
            continue;
        }
        read->is_confirmed = true;
        world->result->counts.reads_confirmed++;
        if (read->slot < read->floor) {
            books_violate(world,
                          "read-index: node %u confirms a read at %" PRIu64 ", but %" PRIu64
                          " was applied before it began",
                          world_node_index(world, node), read->slot, read->floor);
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->read_count; i++) {
        if (!node->reads[i].is_confirmed) {
            node->reads[kept++] = node->reads[i];
        }
    }
    node->read_count = kept;
}
