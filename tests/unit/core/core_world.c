/* SPDX-License-Identifier: MIT */
#include "core_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world_state.h"

static bool chance(struct world *world, uint32_t in_ten_thousand)
{
    return in_ten_thousand > 0 && prng_below(&world->prng, 10000) < in_ten_thousand;
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

/* ---- A node's disk ---- */

static void log_append(struct world *world, struct world_node *node, struct record record)
{
    if (record.slot != 0) {
        if (record.ballot < node->said_promise) {
            books_violate(world,
                          "promise-kept: node %u promised %" PRIx64 " and accepts %" PRIx64
                          " in slot %" PRIu64,
                          world_node_index(world, node), node->said_promise, record.ballot,
                          record.slot);
        }
        books_proposal(world, record.slot, record.ballot, record.value);
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
        books_durable(world, node, &node->log[node->log_durable]);
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
            books_violate(world, "durability: node %u has no value for slot %" PRIu64 " (%s)",
                          world_node_index(world, node), slot,
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
        if (chance(world, world->clog)) {
            packet->due += prng_below(&world->prng, 8 * ELECTION_TIMEOUT);
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

/* ---- Effects ---- */

static void send_snapshot(struct world *world, struct world_node *node, uint32_t to)
{
    struct packet packet = {.message = {.kind = MESSAGE_SNAPSHOT_CHUNK,
                                        .from = (uint8_t)world_node_index(world, node),
                                        .slot = node->applied}};
    post(world, to, &packet);
}

static void execute_effect(struct world *world, struct world_node *node,
                           const struct effect *effect)
{
    switch ((enum effect_kind)effect->kind) {
    case EFFECT_SEND:
        trace_message(world, "sends", world_node_index(world, node), effect->to, &effect->message);
        books_check_said(world, node, &effect->message);
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
        books_check_commit(world, node, effect->slot);
        break;
    case EFFECT_ROLE:
        if (world->config.is_verbose) {
            (void)fprintf(stderr, "%6" PRIu64 " %u is %s b=%" PRIx64 " leader=%d\n", world->now,
                          world_node_index(world, node),
                          core_role_name((enum core_role)effect->role), effect->ballot,
                          effect->leader);
        }
        node->read_count = 0; /* their clients ask again elsewhere */
        books_check_leader(world, node, effect);
        break;
    case EFFECT_READ_PENDING:
        books_read_pending(world, node, effect);
        break;
    case EFFECT_READ_CONFIRMED:
        books_read_confirmed(world, node, effect->round);
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
    if (world_is_violated(world)) {
        return;
    }
    world->effects.count = 0;
    node->was_leading = core_leads(&node->core);
    core_step(&node->core, event, &world->effects);
    for (uint32_t i = 0; i < world->effects.count && !world_is_violated(world); i++) {
        execute_effect(world, node, &world->effects.list[i]);
    }
}

/* ---- A node's turn ---- */

static void deliver_persisted(struct world *world, struct world_node *node)
{
    while (node->persist_count > 0 && !world_is_violated(world)) {
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
    for (uint32_t i = 0; i < due && !world_is_violated(world); i++) {
        struct packet packet = node->queue[i]; /* nothing is sent to oneself: stays in place */
        trace_message(world, "arrives", packet.message.from, world_node_index(world, node),
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
        (void)fprintf(stderr, "%6" PRIu64 " %u crashes\n", world->now,
                      world_node_index(world, node));
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
    uint32_t self = world_node_index(world, node);
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
            books_durable(world, node, record);
        }
        node->latest_ballot[record->slot] = record->ballot;
        node->latest_value[record->slot] = record->value;
        node->durable_ballot[record->slot] = record->ballot;
        if (record->slot > node->base &&
            !core_restore_accept(&node->core, record->slot, record->ballot)) {
            books_violate(world, "durability: node %u cannot restore its log", self);
        }
    }
    if (node->core.promised < node->said_promise) {
        books_violate(world,
                      "promise-kept: node %u comes back at %" PRIx64 " after promising %" PRIx64,
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
    world->clog = world->reorder_span > 0 ? maybe(world, 300) : 0;
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

/* Its faults stay for good: the others must not depend on it, nor be disturbed by it. */
static void leave_out(struct world *world, struct world_node *node)
{
    uint32_t self = world_node_index(world, node);
    node->is_out = true;
    uint64_t how = prng_below(&world->prng, 3);
    if (how == 0 && node->is_up) {
        crash(world, node);
    }
    node->wakes_at = how == 0 ? UINT64_MAX : 0;
    for (uint32_t other = 0; other < world->config.nodes && how > 0; other++) {
        if (how == 1) { /* deaf */
            world->is_cut[other][self] = true;
        } else { /* mute */
            world->is_cut[self][other] = true;
        }
    }
}

static void heal(struct world *world)
{
    world->loss = world->duplication = world->crash = world->pause = world->cut = 0;
    world->persist_failure = world->release = world->transfer = 0;
    world->reorder_span = world->clog = 0;
    world->partial_turn = 0;
    world->disk_span = world->disk_span > 20 ? 20 : world->disk_span;
    world->delay_span = 4;
    world->read = 100;
    memset(world->is_cut, 0, sizeof world->is_cut);
    uint32_t needed =
        world->quorum.phase1 > world->quorum.phase2 ? world->quorum.phase1 : world->quorum.phase2;
    bool is_minimal = prng_below(&world->prng, 2) == 0;
    uint32_t out = is_minimal ? world->config.nodes - needed : 0;
    uint32_t first = (uint32_t)prng_below(&world->prng, world->config.nodes);
    for (uint32_t i = 0; i < world->config.nodes; i++) {
        struct world_node *node = &world->nodes[(first + i) % world->config.nodes];
        node->wakes_at = 0;
        if (i < out) {
            leave_out(world, node);
        }
    }
}

static bool has_recovered(const struct world *world, uint64_t slot)
{
    for (uint32_t i = 0; i < world->config.nodes; i++) {
        const struct world_node *node = &world->nodes[i];
        if (!node->is_out && (!node->is_up || node->applied < slot || slot == 0)) {
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
    for (uint64_t i = 0; i < turns && !world_is_violated(world); i++) {
        run_one_turn(world);
        for (uint32_t n = 0; n < world->config.nodes && slot == 0 && i > turns / 10; n++) {
            struct world_node *node = &world->nodes[n];
            if (!node->is_out && node->is_up && core_proposal_room(&node->core) > 0) {
                step(world, node, &(struct event){.kind = EVENT_PROPOSE, .count = 1});
                slot = core_log_end(&node->core);
            }
        }
        if (has_recovered(world, slot) && world->result->counts.reads_confirmed > reads) {
            return;
        }
    }
    books_violate(world, "liveness: healed, but slot %" PRIu64 " did not reach everybody", slot);
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
    /* A new leader fetches what it missed message by message: the bound on healing counts on it. */
    config.message_slots += config.window_slots / 64;
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
    while (world->step < config->steps && !world_is_violated(world)) {
        run_one_turn(world);
        inject(world);
    }
    if (!world_is_violated(world)) {
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
