/* SPDX-License-Identifier: MIT */
#include "core_world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock/generation_clock.h"

/* Time is in units of nothing in particular; a message takes some 2 to 6 of them, and each node
 * gets a turn about every second one. */
#define ELECTION_TIMEOUT 100
#define HEARTBEAT        20
#define RETRANSMIT       15

#define SLOTS_LIMIT        2000 /* the workload stops here */
#define SLOTS_ROOM         4096 /* bounds of the tables */
#define PACKET_VALUES      8
#define QUEUE_PACKETS      192
#define PERSISTS           CORE_PERSIST_LIMIT
#define READS              64
#define HEALED_TURNS       4000 /* per node: 40 election timeouts and more */
#define VALUE_NOOP         UINT64_C(1)
#define NODE_DOWN_FOR_GOOD UINT64_MAX

struct packet {
    struct core_message message;
    uint64_t due;
    uint64_t values[PACKET_VALUES];
};

struct record {
    uint64_t slot; /* 0: a promise */
    uint64_t ballot;
    uint64_t value;   /* of a promise: the mark at that time */
    bool is_leftover; /* of a failed batch: on disk, but the core does not know */
};

struct pending_persist {
    uint64_t sequence;
    uint64_t due;
    uint32_t records_end; /* the log's length once it is durable */
    bool is_failed;
};

struct pending_read {
    uint64_t round;
    uint64_t slot;  /* what the core said the read needs */
    uint64_t floor; /* highest slot anybody had applied when it began */
    bool is_confirmed;
};

struct world_node {
    struct core core;
    bool is_up;
    uint64_t wakes_at; /* down or paused until then */
    uint64_t clock_offset;

    struct record *log;
    uint32_t log_count, log_capacity, log_durable;
    struct pending_persist persists[PERSISTS];
    uint32_t persist_first, persist_count;
    uint64_t base; /* snapshot, durable at once */

    uint64_t latest_ballot[SLOTS_ROOM], latest_value[SLOTS_ROOM];
    uint64_t durable_ballot[SLOTS_ROOM];
    uint64_t durable_promise;
    uint64_t said_promise; /* highest ballot it ever promised to anybody; outlives crashes */
    uint64_t mark_checked;
    uint64_t applied;

    struct pending_read reads[READS];
    uint32_t read_count;

    struct packet queue[QUEUE_PACKETS]; /* by due time */
    uint32_t queue_count;
    uint64_t last_due[CORE_MAX_NODES]; /* per sender, for first in, first out */
};

/* One (slot, ballot): the value proposed there and who holds it durably. */
struct proposal {
    uint64_t ballot, value;
    uint32_t holders;
    uint32_t next; /* index + 1 */
};

struct world {
    struct world_config config;
    struct quorum quorum;
    struct prng prng;
    uint64_t now;
    uint64_t step;
    struct world_node *nodes;
    bool is_cut[CORE_MAX_NODES][CORE_MAX_NODES];
    uint64_t delivering_values[PACKET_VALUES];

    /* Faults: chances in 10,000 */
    uint32_t loss, duplication, reorder_span, delay_span, crash, pause, cut, heal;
    uint32_t persist_failure, release, transfer, read, propose;
    uint32_t disk_span;    /* 0: durable at once */
    uint32_t mark_policy;  /* what a restarted node knows of its mark */
    bool drops_on_crash;   /* a crashed node's queue is emptied */
    uint32_t partial_turn; /* chance that a turn leaves messages behind */

    struct proposal *proposals;
    uint32_t proposal_count, proposal_capacity;
    uint32_t proposal_heads[SLOTS_ROOM];
    uint64_t chosen_value[SLOTS_ROOM], chosen_ballot[SLOTS_ROOM];
    uint64_t chosen_prefix; /* every slot up to here is chosen */
    uint64_t applied_max;
    uint64_t next_value;
    uint64_t led[1024]; /* ballots that were led at */
    uint32_t led_count;

    struct effects effects;
    struct world_result *result;
};

/* ---- Reporting ---- */

__attribute__((format(printf, 2, 3))) static void violate(struct world *world, const char *format,
                                                          ...)
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

static bool is_violated(const struct world *world)
{
    return world->result->violation[0] != '\0';
}

static bool chance(struct world *world, uint32_t in_ten_thousand)
{
    return in_ten_thousand > 0 && prng_below(&world->prng, 10000) < in_ten_thousand;
}

static uint32_t node_index(const struct world *world, const struct world_node *node)
{
    return (uint32_t)(node - world->nodes);
}

static void trace_message(const struct world *world, const char *what, uint32_t from, uint32_t to,
                          const struct core_message *message)
{
    if (world->config.is_verbose) {
        (void)fprintf(stderr,
                      "%6" PRIu64 " %u->%u %s %s%s b=%" PRIx64 " slot=%" PRIu64 "+%u mark=%" PRIu64
                      " round=%" PRIx64 "\n",
                      world->now, from, to, what, message_kind_name(message->kind),
                      (message->flags & MESSAGE_FLAG_PRE_VOTE) != 0 ? "(pre)" : "", message->ballot,
                      message->slot, message->count, message->mark, message->round);
    }
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

/* Somebody writes (ballot, value) to slot. */
static void note_proposal(struct world *world, uint64_t slot, uint64_t ballot, uint64_t value)
{
    struct proposal *known = proposal_find(world, slot, ballot);
    if (known != NULL) {
        if (known->value != value) {
            violate(world,
                    "one-leader-per-ballot: slot %" PRIu64 " ballot %" PRIx64
                    " has two values, %" PRIu64 " and %" PRIu64,
                    slot, ballot, known->value, value);
        }
        return;
    }
    if (world->chosen_value[slot] != 0 && world->chosen_ballot[slot] < ballot &&
        world->chosen_value[slot] != value) {
        violate(world,
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
        violate(world,
                "slot-agreement: slot %" PRIu64 " chosen as %" PRIu64 " and as %" PRIu64
                " (ballot %" PRIx64 ")",
                slot, world->chosen_value[slot], proposal->value, proposal->ballot);
    }
    if (proposal->ballot < world->chosen_ballot[slot]) {
        world->chosen_ballot[slot] = proposal->ballot;
    }
}

static void note_durable(struct world *world, struct world_node *node, const struct record *record)
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
    proposal->holders |= 1u << node_index(world, node);
    if (quorum_has_chosen(&world->quorum, proposal->holders)) {
        note_chosen(world, record->slot, proposal);
    }
}

/* ---- A node's disk ---- */

static void log_append(struct world *world, struct world_node *node, struct record record)
{
    if (record.slot != 0) {
        if (record.ballot < node->said_promise) {
            violate(world,
                    "promise-kept: node %u promised %" PRIx64 " and accepts %" PRIx64
                    " in slot %" PRIu64,
                    node_index(world, node), node->said_promise, record.ballot, record.slot);
        }
        note_proposal(world, record.slot, record.ballot, record.value);
        node->latest_ballot[record.slot] = record.ballot;
        node->latest_value[record.slot] = record.value;
    }
    if (node->log_count == node->log_capacity) {
        node->log_capacity = node->log_capacity * 2 + 256;
        node->log = realloc(node->log, node->log_capacity * sizeof *node->log);
        ASSERT(node->log != NULL);
    }
    node->log[node->log_count++] = record;
}

static void log_harden(struct world *world, struct world_node *node, uint32_t records_end)
{
    while (node->log_durable < records_end) {
        note_durable(world, node, &node->log[node->log_durable]);
        node->log_durable++;
    }
}

static uint64_t persisted_value(struct world *world, const struct world_node *node,
                                const struct effect *effect, uint32_t at)
{
    switch (effect->kind) {
    case EFFECT_PERSIST_PROPOSAL:
        world->result->counts.proposed++;
        return ++world->next_value;
    case EFFECT_PERSIST_OWN:
        return node->latest_value[effect->slot + at];
    case EFFECT_PERSIST_COPY:
        return world->delivering_values[at];
    default:
        return VALUE_NOOP;
    }
}

static void execute_persist(struct world *world, struct world_node *node,
                            const struct effect *effect)
{
    bool is_failed = chance(world, world->persist_failure);
    uint32_t count = effect->count;
    if (is_failed) {
        /* A log that runs full in mid-batch keeps what went in before. */
        count = count > 0 ? (uint32_t)prng_below(&world->prng, count) : 0;
        world->result->counts.persists_failed++;
    } else if (effect->kind == EFFECT_PERSIST_PROMISE) {
        log_append(world, node,
                   (struct record){.ballot = effect->ballot, .value = node->core.mark});
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t slot = effect->slot + i;
        ASSERT(slot < SLOTS_ROOM);
        uint64_t value = persisted_value(world, node, effect, i);
        if (value == 0) {
            violate(world, "durability: node %u has no value for slot %" PRIu64 " (%s)",
                    node_index(world, node), slot,
                    effect->kind == EFFECT_PERSIST_OWN ? "own" : "copy");
            return;
        }
        log_append(
            world, node,
            (struct record){
                .slot = slot, .ballot = effect->ballot, .value = value, .is_leftover = is_failed});
    }
    ASSERT(node->persist_count < PERSISTS);
    uint64_t due = world->disk_span == 0 ? world->now
                                         : world->now + prng_below(&world->prng, world->disk_span);
    node->persists[(node->persist_first + node->persist_count) % PERSISTS] =
        (struct pending_persist){.sequence = effect->sequence,
                                 .due = due,
                                 .records_end = node->log_count,
                                 .is_failed = is_failed};
    node->persist_count++;
}

/* ---- The network ---- */

static void queue_insert(struct world *world, uint32_t to, const struct packet *packet)
{
    struct world_node *node = &world->nodes[to];
    if (node->queue_count == QUEUE_PACKETS) {
        world->result->counts.lost++; /* queue full: the sender must not rely on it */
        return;
    }
    uint32_t at = node->queue_count;
    while (at > 0 && node->queue[at - 1].due > packet->due) {
        at--;
    }
    memmove(&node->queue[at + 1], &node->queue[at], (node->queue_count - at) * sizeof *packet);
    node->queue[at] = *packet;
    node->queue_count++;
}

static void post(struct world *world, uint32_t to, struct packet *packet)
{
    uint32_t from = packet->message.from;
    world->result->counts.sent++;
    if (world->is_cut[from][to]) {
        world->result->counts.cut++;
        return;
    }
    if (chance(world, world->loss)) {
        world->result->counts.lost++;
        return;
    }
    uint32_t copies = 1;
    if (chance(world, world->duplication)) {
        world->result->counts.duplicated++;
        copies = 2;
    }
    for (uint32_t i = 0; i < copies; i++) {
        uint64_t *last_due = &world->nodes[to].last_due[from];
        packet->due = world->now + 1 + prng_below(&world->prng, world->delay_span);
        if (world->reorder_span > 0 && chance(world, 1000)) {
            packet->due += prng_below(&world->prng, world->reorder_span);
        }
        if (packet->due < *last_due) {
            if (world->reorder_span == 0 && i == 0) {
                packet->due = *last_due;
            } else {
                world->result->counts.reordered++;
            }
        }
        *last_due = packet->due > *last_due ? packet->due : *last_due;
        queue_insert(world, to, packet);
    }
}

static uint64_t value_to_send(const struct world_node *node, const struct core_message *message,
                              uint64_t slot)
{
    if (slot <= node->base || slot >= SLOTS_ROOM) {
        return 0;
    }
    /* What a leader could not write is not there to be sent: above its mark, an older value must
     * not go in its place. At or below the mark every value is the chosen one, whatever its ballot.
     */
    bool is_there = message->kind == MESSAGE_ENTRIES || slot <= node->core.mark ||
                    node->latest_ballot[slot] == message->ballot;
    return is_there ? node->latest_value[slot] : 0;
}

/* Fills in the values, in pieces of any size. */
static void post_values(struct world *world, struct world_node *node, uint32_t to,
                        const struct core_message *message)
{
    uint64_t slot = message->slot;
    uint64_t last = slot + message->count - 1;
    while (slot <= last) {
        struct packet packet = {.message = *message};
        uint32_t limit = 1 + (uint32_t)prng_below(&world->prng, 2 * PACKET_VALUES);
        uint32_t count = 0;
        while (count < PACKET_VALUES && count < limit && slot + count <= last) {
            uint64_t value = value_to_send(node, message, slot + count);
            if (value == 0) {
                break;
            }
            packet.values[count++] = value;
        }
        if (count == 0) {
            return;
        }
        packet.message.slot = slot;
        packet.message.count = count;
        post(world, to, &packet);
        slot += count;
    }
}

/* ---- What a node may say ---- */

static void check_accepted(struct world *world, const struct world_node *node,
                           const struct core_message *message)
{
    for (uint64_t slot = node->core.mark + 1; slot <= message->slot; slot++) {
        if (node->durable_ballot[slot] != message->ballot) {
            violate(world,
                    "durable-before-answer: node %u acknowledges slot %" PRIu64 " at %" PRIx64
                    ", its disk holds %" PRIx64,
                    node_index(world, node), slot, message->ballot, node->durable_ballot[slot]);
            return;
        }
    }
}

static void check_promise(struct world *world, struct world_node *node,
                          const struct core_message *message)
{
    if (node->durable_promise < message->ballot) {
        violate(world, "durable-before-answer: node %u promises %" PRIx64 ", its disk %" PRIx64,
                node_index(world, node), message->ballot, node->durable_promise);
    }
    if (message->ballot < node->said_promise) {
        violate(world, "promise-kept: node %u promises %" PRIx64 " after %" PRIx64,
                node_index(world, node), message->ballot, node->said_promise);
    }
    node->said_promise = message->ballot;
    if (message->kind == MESSAGE_PROMISE) {
        for (uint64_t slot = message->slot + 1; slot < SLOTS_LIMIT + 100; slot++) {
            if (node->durable_ballot[slot] != 0) {
                violate(world, "value-choice: node %u leaves slot %" PRIu64 " out of its promise",
                        node_index(world, node), slot);
                return;
            }
        }
        return;
    }
    for (uint64_t slot = message->slot; slot < message->slot + message->count; slot++) {
        uint64_t held = slot <= node->core.mark ? BALLOT_CHOSEN : node->durable_ballot[slot];
        if (held != message->round) {
            violate(world,
                    "value-choice: node %u reports slot %" PRIu64 " at %" PRIx64 ", holds %" PRIx64,
                    node_index(world, node), slot, message->round, held);
            return;
        }
    }
}

static void check_said(struct world *world, struct world_node *node,
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
            violate(world,
                    "durable-before-answer: node %u uses ballot %" PRIx64 ", its disk %" PRIx64,
                    node_index(world, node), message->ballot, node->durable_promise);
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

/* ---- Effects ---- */

static void check_leader(struct world *world, struct world_node *node, const struct effect *effect)
{
    if (effect->role == ROLE_LEADER) {
        world->result->counts.elections++;
    }
    if (effect->role != ROLE_RECOVERING) {
        return;
    }
    node->said_promise = generation_adopt(node->said_promise, effect->ballot);
    if (generation_node(effect->ballot) != node_index(world, node)) {
        violate(world, "one-leader-per-ballot: node %u leads at a foreign ballot %" PRIx64,
                node_index(world, node), effect->ballot);
    }
    for (uint32_t i = 0; i < world->led_count; i++) {
        if (world->led[i] == effect->ballot) {
            violate(world, "one-leader-per-ballot: %" PRIx64 " is led at twice", effect->ballot);
        }
    }
    if (world->led_count < sizeof world->led / sizeof world->led[0]) {
        world->led[world->led_count++] = effect->ballot;
    }
}

static void check_commit(struct world *world, struct world_node *node, uint64_t mark)
{
    if (mark < node->mark_checked) {
        violate(world, "high-watermark: node %u falls from %" PRIu64 " to %" PRIu64,
                node_index(world, node), node->mark_checked, mark);
    }
    if (mark > world->chosen_prefix) {
        violate(world, "high-watermark: node %u at %" PRIu64 ", chosen only up to %" PRIu64,
                node_index(world, node), mark, world->chosen_prefix);
        return;
    }
    for (uint64_t slot = node->mark_checked + 1; slot <= mark; slot++) {
        bool is_held = node->durable_ballot[slot] != 0;
        if (slot > node->base &&
            (!is_held || node->latest_value[slot] != world->chosen_value[slot])) {
            violate(world,
                    "slot-agreement: node %u has %" PRIu64 " in committed slot %" PRIu64
                    ", chosen is %" PRIu64,
                    node_index(world, node), node->latest_value[slot], slot,
                    world->chosen_value[slot]);
            return;
        }
    }
    node->mark_checked = mark;
}

static void send_snapshot(struct world *world, struct world_node *node, uint32_t to)
{
    struct packet packet = {.message = {.kind = MESSAGE_SNAPSHOT_CHUNK,
                                        .from = (uint8_t)node_index(world, node),
                                        .slot = node->applied}};
    post(world, to, &packet);
}

static void read_pending(struct world *world, struct world_node *node, const struct effect *effect)
{
    world->result->counts.reads_asked++;
    if (node->read_count < READS) {
        node->reads[node->read_count++] = (struct pending_read){
            .round = effect->round, .slot = effect->slot, .floor = world->applied_max};
    }
}

static void read_confirmed(struct world *world, struct world_node *node, uint64_t round)
{
    for (uint32_t i = 0; i < node->read_count; i++) {
        struct pending_read *read = &node->reads[i];
        if (read->round > round || read->is_confirmed) {
            continue;
        }
        read->is_confirmed = true;
        world->result->counts.reads_confirmed++;
        if (read->slot < read->floor) {
            violate(world,
                    "read-index: node %u confirms a read at %" PRIu64 ", but %" PRIu64
                    " was applied before it began",
                    node_index(world, node), read->slot, read->floor);
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

static void execute_effect(struct world *world, struct world_node *node,
                           const struct effect *effect)
{
    switch ((enum effect_kind)effect->kind) {
    case EFFECT_SEND:
        trace_message(world, "sends", node_index(world, node), effect->to, &effect->message);
        check_said(world, node, &effect->message);
        if (effect->message.count > 0 &&
            (effect->message.kind == MESSAGE_ACCEPT || effect->message.kind == MESSAGE_ENTRIES)) {
            post_values(world, node, effect->to, &effect->message);
        } else {
            struct packet packet = {.message = effect->message};
            post(world, effect->to, &packet);
        }
        break;
    case EFFECT_PERSIST_PROMISE:
    case EFFECT_PERSIST_PROPOSAL:
    case EFFECT_PERSIST_NOOP:
    case EFFECT_PERSIST_OWN:
    case EFFECT_PERSIST_COPY:
        execute_persist(world, node, effect);
        break;
    case EFFECT_COMMIT:
        check_commit(world, node, effect->slot);
        break;
    case EFFECT_ROLE:
        if (world->config.is_verbose) {
            (void)fprintf(stderr, "%6" PRIu64 " %u is %s b=%" PRIx64 " leader=%d\n", world->now,
                          node_index(world, node), core_role_name((enum core_role)effect->role),
                          effect->ballot, effect->leader);
        }
        node->read_count = 0; /* their clients ask again elsewhere */
        check_leader(world, node, effect);
        break;
    case EFFECT_READ_PENDING:
        read_pending(world, node, effect);
        break;
    case EFFECT_READ_CONFIRMED:
        read_confirmed(world, node, effect->round);
        break;
    case EFFECT_SNAPSHOT_NEEDED:
        send_snapshot(world, node, effect->to);
        break;
    case EFFECT_DROP:
        break;
    }
}

static void deliver_persisted(struct world *world, struct world_node *node);

static void step(struct world *world, struct world_node *node, const struct event *event)
{
    if (is_violated(world)) {
        return;
    }
    world->effects.count = 0;
    core_step(&node->core, event, &world->effects);
    for (uint32_t i = 0; i < world->effects.count && !is_violated(world); i++) {
        execute_effect(world, node, &world->effects.list[i]);
    }
}

/* ---- A node's turn ---- */

static void deliver_persisted(struct world *world, struct world_node *node)
{
    while (node->persist_count > 0 && !is_violated(world)) {
        struct pending_persist oldest = node->persists[node->persist_first];
        if (oldest.due > world->now) {
            return;
        }
        node->persist_first = (node->persist_first + 1) % PERSISTS;
        node->persist_count--;
        log_harden(world, node, oldest.records_end);
        struct event event = {.kind = oldest.is_failed ? EVENT_PERSIST_FAILED : EVENT_PERSISTED,
                              .sequence = oldest.sequence};
        step(world, node, &event);
    }
}

static void install(struct world *world, struct world_node *node, uint64_t slot)
{
    if (slot <= node->core.mark) {
        return;
    }
    world->result->counts.installs++;
    node->base = slot;
    node->applied = slot;
    struct event event = {.kind = EVENT_INSTALLED, .slot = slot};
    step(world, node, &event);
}

static void deliver_messages(struct world *world, struct world_node *node)
{
    uint32_t due = 0;
    while (due < node->queue_count && node->queue[due].due <= world->now) {
        due++;
    }
    if (chance(world, world->partial_turn)) {
        due = (uint32_t)prng_below(&world->prng, due + 1);
    }
    for (uint32_t i = 0; i < due && !is_violated(world); i++) {
        struct packet packet = node->queue[i]; /* nothing is sent to oneself: stays in place */
        trace_message(world, "arrives", packet.message.from, node_index(world, node),
                      &packet.message);
        if (packet.message.kind == MESSAGE_SNAPSHOT_CHUNK) {
            install(world, node, packet.message.slot);
            continue;
        }
        memcpy(world->delivering_values, packet.values, sizeof packet.values);
        struct event event = {.kind = EVENT_MESSAGE, .message = &packet.message};
        step(world, node, &event);
        if (world->disk_span == 0) {
            deliver_persisted(world, node);
        }
    }
    memmove(&node->queue[0], &node->queue[due], (node->queue_count - due) * sizeof node->queue[0]);
    node->queue_count -= due;
}

static void work(struct world *world, struct world_node *node)
{
    uint32_t room = core_proposal_room(&node->core);
    if (room > 0 && core_log_end(&node->core) < SLOTS_LIMIT && chance(world, world->propose)) {
        uint32_t count = 1 + (uint32_t)prng_below(&world->prng, PACKET_VALUES);
        step(world, node, &(struct event){.kind = EVENT_PROPOSE, .count = count});
    }
    if (core_takes_reads(&node->core) && chance(world, world->read)) {
        step(world, node, &(struct event){.kind = EVENT_READ});
    }
    if (core_leads(&node->core) && chance(world, world->transfer)) {
        world->result->counts.transfers++;
        uint32_t to = (uint32_t)prng_below(&world->prng, world->config.nodes);
        step(world, node, &(struct event){.kind = EVENT_TRANSFER, .node = to});
    }
}

static void apply(struct world *world, struct world_node *node)
{
    uint64_t target = node->core.mark;
    if (target > node->applied && chance(world, 2000)) {
        target = node->applied + prng_below(&world->prng, target - node->applied + 1);
    }
    if (target > node->applied) {
        world->result->counts.applied += target - node->applied;
        node->applied = target;
        step(world, node, &(struct event){.kind = EVENT_APPLIED, .slot = target});
        if (target > world->applied_max) {
            world->applied_max = target;
        }
    }
    if (node->applied > node->base && chance(world, world->release)) {
        world->result->counts.releases++;
        node->base += 1 + prng_below(&world->prng, node->applied - node->base);
        step(world, node, &(struct event){.kind = EVENT_RELEASED, .slot = node->base});
    }
}

static void turn(struct world *world, struct world_node *node)
{
    world->result->counts.turns++;
    step(world, node,
         &(struct event){.kind = EVENT_TICK, .now_ns = world->now + node->clock_offset});
    deliver_messages(world, node);
    work(world, node);
    deliver_persisted(world, node);
    apply(world, node);
    step(world, node, &(struct event){.kind = EVENT_SETTLE});
    if (world->disk_span == 0) {
        deliver_persisted(world, node);
    }
}

/* ---- Crash and restart ---- */

static void crash(struct world *world, struct world_node *node)
{
    world->result->counts.crashes++;
    node->is_up = false;
    uint32_t undurable = node->log_count - node->log_durable;
    uint32_t survive = (uint32_t)prng_below(&world->prng, undurable + 1);
    world->result->counts.records_lost += undurable - survive;
    log_harden(world, node, node->log_durable + survive);
    node->log_count = node->log_durable;
    node->persist_count = 0;
    node->read_count = 0;
    if (world->drops_on_crash) {
        node->queue_count = 0;
    }
    if (world->config.is_verbose) {
        (void)fprintf(stderr, "%6" PRIu64 " %u crashes\n", world->now, node_index(world, node));
    }
}

static struct core_config core_config_of(const struct world *world, uint32_t self)
{
    struct core_config config = world->nodes[self].core.config;
    config.seed = world->config.seed ^ world->now << 20;
    return config;
}

static uint64_t restored_mark(struct world *world, const struct world_node *node)
{
    uint64_t mark = 0;
    if (world->mark_policy == 1) { /* as recorded with the last promise */
        for (uint32_t i = 0; i < node->log_durable; i++) {
            mark = node->log[i].slot == 0 ? node->log[i].value : mark;
        }
    } else if (world->mark_policy == 2 && node->mark_checked > 0) {
        mark = prng_below(&world->prng, node->mark_checked + 1);
    }
    return mark > node->base ? mark : node->base;
}

static void restart(struct world *world, struct world_node *node)
{
    uint32_t self = node_index(world, node);
    struct core_config config = core_config_of(world, self);
    uint64_t mark = restored_mark(world, node);
    core_init(&node->core, &config);
    uint64_t promised = 0;
    for (uint32_t i = 0; i < node->log_durable; i++) {
        bool is_promise = node->log[i].slot == 0 && node->log[i].ballot > promised;
        promised = is_promise ? node->log[i].ballot : promised;
    }
    core_restore(&node->core, promised, mark, node->base);
    memset(node->latest_ballot, 0, sizeof node->latest_ballot);
    memset(node->latest_value, 0, sizeof node->latest_value);
    for (uint32_t i = 0; i < node->log_durable; i++) {
        const struct record *record = &node->log[i];
        if (record->slot == 0) {
            continue;
        }
        if (record->is_leftover) {
            note_durable(world, node, record);
        }
        node->latest_ballot[record->slot] = record->ballot;
        node->latest_value[record->slot] = record->value;
        node->durable_ballot[record->slot] = record->ballot;
        if (record->slot > node->base &&
            !core_restore_accept(&node->core, record->slot, record->ballot)) {
            violate(world, "durability: node %u cannot restore its log", self);
        }
    }
    if (node->core.promised < node->said_promise) {
        violate(world, "promise-kept: node %u comes back at %" PRIx64 " after promising %" PRIx64,
                self, node->core.promised, node->said_promise);
    }
    node->applied = node->base;
    node->mark_checked = mark;
    node->is_up = true;
    core_restore_end(&node->core, world->now + node->clock_offset);
    if (world->config.is_verbose) {
        (void)fprintf(stderr, "%6" PRIu64 " %u is back: mark=%" PRIu64 " promised=%" PRIx64 "\n",
                      world->now, self, mark, node->core.promised);
    }
}

/* ---- Faults ---- */

static uint32_t maybe(struct world *world, uint32_t most)
{
    bool is_on = prng_below(&world->prng, 2) == 0;
    return is_on ? 1 + (uint32_t)prng_below(&world->prng, most) : 0;
}

static void draw_faults(struct world *world)
{
    world->loss = maybe(world, prng_below(&world->prng, 4) == 0 ? 7000 : 1000);
    world->duplication = maybe(world, 1500);
    world->reorder_span = maybe(world, 100);
    world->delay_span = 1 + (uint32_t)prng_below(&world->prng, 8) + maybe(world, 20);
    world->crash = maybe(world, 60);
    world->pause = maybe(world, 60);
    world->cut = maybe(world, 100);
    world->heal = 50 + maybe(world, 200);
    world->persist_failure = maybe(world, prng_below(&world->prng, 2) == 0 ? 100 : 1000);
    world->release = maybe(world, 200);
    world->transfer = maybe(world, 100);
    world->read = maybe(world, 3000);
    world->propose = 500 + (uint32_t)prng_below(&world->prng, 7000);
    world->disk_span = maybe(world, prng_below(&world->prng, 4) == 0 ? 120 : 20);
    world->mark_policy = (uint32_t)prng_below(&world->prng, 3);
    world->drops_on_crash = prng_below(&world->prng, 2) == 0;
    world->partial_turn = maybe(world, 3000);
}

static void draw_network(struct world *world)
{
    uint32_t nodes = world->config.nodes;
    uint32_t one = (uint32_t)prng_below(&world->prng, nodes);
    uint32_t side = (uint32_t)prng_below(&world->prng, UINT64_C(1) << nodes);
    switch (prng_below(&world->prng, 5)) {
    case 0: /* one link, one way */
        world->is_cut[one][prng_below(&world->prng, nodes)] = true;
        break;
    case 1: /* one node hears nothing */
        for (uint32_t other = 0; other < nodes; other++) {
            world->is_cut[other][one] = true;
        }
        break;
    case 2: /* one node is not heard */
        for (uint32_t other = 0; other < nodes; other++) {
            world->is_cut[one][other] = true;
        }
        break;
    default: /* two sides */
        for (uint32_t from = 0; from < nodes; from++) {
            for (uint32_t to = 0; to < nodes; to++) {
                world->is_cut[from][to] = ((side >> from) & 1) != ((side >> to) & 1);
            }
        }
        break;
    }
}

static void inject(struct world *world)
{
    struct world_node *victim = &world->nodes[prng_below(&world->prng, world->config.nodes)];
    if (chance(world, world->cut)) {
        draw_network(world);
    }
    if (chance(world, world->heal)) {
        memset(world->is_cut, 0, sizeof world->is_cut);
    }
    if (victim->is_up && chance(world, world->pause)) {
        world->result->counts.pauses++;
        victim->wakes_at = world->now + prng_below(&world->prng, 3 * ELECTION_TIMEOUT);
    }
    if (victim->is_up && chance(world, world->crash)) {
        bool is_everybody = prng_below(&world->prng, 16) == 0;
        for (uint32_t node = 0; node < world->config.nodes; node++) {
            bool is_hit = is_everybody || &world->nodes[node] == victim;
            if (is_hit && world->nodes[node].is_up) {
                crash(world, &world->nodes[node]);
                world->nodes[node].wakes_at =
                    world->now + prng_below(&world->prng, 3 * ELECTION_TIMEOUT);
            }
        }
    }
}

static void run_one_turn(struct world *world)
{
    world->step++;
    world->now += prng_below(&world->prng, world->config.nodes) == 0 ? 2 : 1;
    struct world_node *node = &world->nodes[prng_below(&world->prng, world->config.nodes)];
    if (world->now < node->wakes_at) {
        return;
    }
    if (!node->is_up) {
        restart(world, node);
    }
    turn(world, node);
}

/* ---- Healing, and what must follow ---- */

static void heal(struct world *world)
{
    world->loss = world->duplication = world->crash = world->pause = world->cut = 0;
    world->persist_failure = world->release = world->transfer = 0;
    world->reorder_span = 0;
    world->partial_turn = 0;
    world->disk_span = world->disk_span > 20 ? 20 : world->disk_span;
    world->delay_span = 4;
    world->read = 100;
    memset(world->is_cut, 0, sizeof world->is_cut);
    uint32_t needed =
        world->quorum.phase1 > world->quorum.phase2 ? world->quorum.phase1 : world->quorum.phase2;
    bool is_minimal = prng_below(&world->prng, 2) == 0;
    uint32_t down = is_minimal ? world->config.nodes - needed : 0;
    uint32_t first = (uint32_t)prng_below(&world->prng, world->config.nodes);
    for (uint32_t i = 0; i < world->config.nodes; i++) {
        struct world_node *node = &world->nodes[(first + i) % world->config.nodes];
        node->wakes_at = 0;
        if (i < down) { /* down for good */
            if (node->is_up) {
                crash(world, node);
            }
            node->wakes_at = NODE_DOWN_FOR_GOOD;
        }
    }
}

static bool has_recovered(const struct world *world, uint64_t slot)
{
    for (uint32_t i = 0; i < world->config.nodes; i++) {
        const struct world_node *node = &world->nodes[i];
        bool is_out = node->wakes_at == NODE_DOWN_FOR_GOOD;
        if (!is_out && (!node->is_up || node->applied < slot || slot == 0)) {
            return false;
        }
    }
    return true;
}

/* After the storm: one more write must reach every node that is up, one more read be confirmed. */
static void check_liveness(struct world *world)
{
    heal(world);
    uint64_t turns = (uint64_t)HEALED_TURNS * world->config.nodes;
    uint64_t slot = 0;
    uint64_t reads = world->result->counts.reads_confirmed;
    world->propose = 0;
    for (uint64_t i = 0; i < turns && !is_violated(world); i++) {
        run_one_turn(world);
        for (uint32_t n = 0; n < world->config.nodes && slot == 0 && i > turns / 4; n++) {
            struct world_node *node = &world->nodes[n];
            if (node->is_up && core_proposal_room(&node->core) > 0) {
                step(world, node, &(struct event){.kind = EVENT_PROPOSE, .count = 1});
                slot = core_log_end(&node->core);
            }
        }
        if (has_recovered(world, slot) && world->result->counts.reads_confirmed > reads) {
            return;
        }
    }
    violate(world, "liveness: healed, but slot %" PRIu64 " did not reach everybody", slot);
}

/* ---- A run ---- */

static void init_nodes(struct world *world)
{
    bool has_priorities = prng_below(&world->prng, 3) == 0;
    bool is_wide = prng_below(&world->prng, 4) == 0;
    struct core_config config = {
        .quorum = world->quorum,
        .election_timeout_ns = ELECTION_TIMEOUT,
        .heartbeat_ns = HEARTBEAT,
        .retransmit_ns = RETRANSMIT,
        .window_slots = 1 + (uint32_t)prng_below(&world->prng, is_wide ? 1500 : 64),
        .message_slots = 1 + (uint32_t)prng_below(&world->prng, PACKET_VALUES),
        .seed = world->config.seed,
    };
    for (uint32_t i = 0; i < world->config.nodes; i++) {
        config.priorities[i] = has_priorities ? (int32_t)prng_below(&world->prng, 3) : 0;
    }
    for (uint32_t i = 0; i < world->config.nodes; i++) {
        struct world_node *node = &world->nodes[i];
        node->clock_offset = prng_below(&world->prng, 1000);
        config.self = i;
        core_init(&node->core, &config);
        core_restore(&node->core, 0, 0, 0);
        core_restore_end(&node->core, world->now + node->clock_offset);
        node->is_up = true;
    }
}

bool world_run(const struct world_config *config, struct world_result *result)
{
    memset(result, 0, sizeof *result);
    struct world *world = calloc(1, sizeof *world);
    ASSERT(world != NULL);
    world->nodes = calloc(config->nodes, sizeof *world->nodes);
    ASSERT(world->nodes != NULL);
    world->config = *config;
    world->result = result;
    world->next_value = VALUE_NOOP;
    ASSERT(quorum_flexible(config->nodes, config->phase1, config->phase2, &world->quorum));
    prng_init(&world->prng, config->seed);
    draw_faults(world);
    init_nodes(world);
    while (world->step < config->steps && !is_violated(world)) {
        run_one_turn(world);
        inject(world);
    }
    if (!is_violated(world)) {
        check_liveness(world);
    }
    for (uint32_t i = 0; i < config->nodes; i++) {
        free(world->nodes[i].log);
    }
    free(world->nodes);
    free(world->proposals);
    free(world);
    return result->violation[0] == '\0';
}

void world_counts_add(struct world_counts *sum, const struct world_counts *one)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)one;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) {
        to[i] += from[i];
    }
}
