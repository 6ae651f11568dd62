/* SPDX-License-Identifier: MIT */
/*
 * Carries out what the core wants, in its order: appends to the log, messages with the bytes they
 * name, role changes. What could not be appended for want of room, or because its source did not
 * verify, is told to the core as failed: as if it had never come. Any other error of the log stops
 * the node.
 */
#include <errno.h>

#include "replica/replica_internal.h"

/* At most this much is named by one message, so that a follower's turn stays short. */
#define EXTENT_BYTES (4u << 20)

static int append_promise(struct replica *replica, const struct effect *effect)
{
    int error = wal_append_promise(replica->wal, effect->ballot);
    if (error == 0) {
        /* Keeps what recovery finds above the mark to a few ballots. */
        housekeeping_record_mark(replica);
    }
    return error;
}

/* A batch that could not be written whole was never proposed, as far as the core knows; but what is
 * in the log may be found there after a restart, and be chosen after all. */
static void take_back(struct replica *replica, uint64_t slot, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct waiting_proposal proposal;
        if (waiting_list_take(&replica->waiting, slot + i, &proposal)) {
            replica_reply(replica, proposal.client, proposal.sequence, REPLY_UNKNOWN, NULL);
        }
    }
}

static int append_proposal(struct replica *replica, const struct effect *effect)
{
    ASSERT(effect->count <= replica->batch_count);
    uint64_t stamp = hybrid_clock_tick(&replica->hybrid, replica->wall_ns);
    for (uint32_t i = 0; i < effect->count; i++) {
        const struct request *request = &replica->batch[i];
        int error = wal_append_accept(replica->wal, RECORD_VALUE, effect->ballot, effect->slot + i,
                                      stamp, request->command, request->command_bytes);
        if (error < 0) {
            take_back(replica, effect->slot, i);
            return error;
        }
        waiting_list_add(&replica->waiting, effect->slot + i, request->client, request->sequence);
        replica->batch_proposed = i + 1;
        replica->open_bytes += record_bytes(request->command_bytes);
    }
    replica->batches++;
    replica->slots_proposed += effect->count;
    return 0;
}

static int append_noops(struct replica *replica, const struct effect *effect)
{
    uint64_t stamp = hybrid_clock_tick(&replica->hybrid, replica->wall_ns);
    for (uint32_t i = 0; i < effect->count; i++) {
        int error = wal_append_accept(replica->wal, RECORD_NOOP, effect->ballot, effect->slot + i,
                                      stamp, NULL, 0);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

static int append_own(struct replica *replica, const struct effect *effect)
{
    uint64_t slot = effect->slot;
    uint64_t last = slot + effect->count - 1;
    while (slot <= last) {
        struct wal_extent extent;
        if (!wal_extent_at(replica->wal, slot, last, EXTENT_BYTES, &extent)) {
            return -EBADMSG;
        }
        int error = wal_append_extent(replica->wal, &extent, effect->ballot);
        if (error < 0) {
            return error;
        }
        replica->open_bytes += extent.length;
        slot += extent.count;
    }
    return 0;
}

/* Whether every slot before these is chosen, or accepted at the same ballot, or about to be. */
static bool is_next_in_order(const struct core *core, const struct effect *effect)
{
    uint64_t next = replicated_log_match(&core->log, core->mark, effect->ballot) + 1;
    for (uint32_t i = 0; i < core->persist_count; i++) {
        const struct core_persist *persist =
            &core->persists[(core->persist_first + i) % CORE_PERSIST_LIMIT];
        bool continues = persist->ballot == effect->ballot && persist->last >= next &&
                         persist->first <= next && persist->sequence < effect->sequence;
        next = continues ? persist->last + 1 : next;
    }
    return effect->slot <= next;
}

/* What leaves a hole before it cannot be chosen, applied and released yet: such must not fill the
 * log, or what fills the hole would find no room in it. */
static bool has_room_for_copy(const struct replica *replica, const struct effect *effect)
{
    return effect->message.bytes_length < housekeeping_room(replica, 2) ||
           (housekeeping_room(replica, 0) > 0 && is_next_in_order(&replica->core, effect));
}

static int append_copy(struct replica *replica, const struct effect *effect)
{
    const struct core_message *message = &effect->message;
    if (!has_room_for_copy(replica, effect)) {
        return -ENOSPC;
    }
    replica->open_bytes += message->bytes_length;
    struct wal_extent extent = {.bytes = message->bytes,
                                .length = message->bytes_length,
                                .segment_id = message->segment_id,
                                .first_slot = effect->slot,
                                .count = effect->count};
    return wal_append_extent(replica->wal, &extent, effect->ballot);
}

static void persist(struct replica *replica, const struct effect *effect)
{
    int error = 0;
    switch (effect->kind) {
    case EFFECT_PERSIST_PROMISE:
        error = append_promise(replica, effect);
        break;
    case EFFECT_PERSIST_PROPOSAL:
        error = append_proposal(replica, effect);
        break;
    case EFFECT_PERSIST_NOOP:
        error = append_noops(replica, effect);
        break;
    case EFFECT_PERSIST_OWN:
        error = append_own(replica, effect);
        break;
    default:
        error = append_copy(replica, effect);
        break;
    }
    replica->has_work = true;
    replica->persisted = effect->sequence;
    if (error == -ENOSPC || error == -EBADMSG || error == -ERANGE) {
        replica->failed_set |= UINT64_C(1) << (effect->sequence % CORE_PERSIST_LIMIT);
    } else if (error < 0) {
        replica_fail(replica, error);
    }
}

/* Values are named, not copied: one message for each stretch of the log they lie in back to back.
 */
static void send_slots(struct replica *replica, const struct effect *effect)
{
    uint64_t slot = effect->message.slot;
    uint64_t last = slot + effect->message.count - 1;
    if (replica->failed_set != 0) {
        return; /* the log may hold an earlier ballot's value where the core thinks it wrote this
                   one's */
    }
    while (slot <= last) {
        struct wal_extent extent;
        if (!wal_extent_at(replica->wal, slot, last, EXTENT_BYTES, &extent)) {
            return; /* released meanwhile: the follower will get a snapshot */
        }
        struct core_message message = effect->message;
        message.slot = extent.first_slot;
        message.count = extent.count;
        message.bytes = extent.bytes;
        message.bytes_length = extent.length;
        message.segment_id = extent.segment_id;
        replica->bytes_replicated += extent.length;
        replica_send(replica, effect->to, &message);
        slot += extent.count;
    }
}

static void send(struct replica *replica, const struct effect *effect)
{
    bool names_slots = effect->message.count > 0 && (effect->message.kind == MESSAGE_ACCEPT ||
                                                     effect->message.kind == MESSAGE_ENTRIES);
    if (names_slots) {
        send_slots(replica, effect);
    } else {
        struct core_message message = effect->message;
        replica_send(replica, effect->to, &message);
    }
}

static void execute(struct replica *replica, const struct effect *effect)
{
    switch ((enum effect_kind)effect->kind) {
    case EFFECT_SEND:
        send(replica, effect);
        break;
    case EFFECT_PERSIST_PROMISE:
    case EFFECT_PERSIST_PROPOSAL:
    case EFFECT_PERSIST_NOOP:
    case EFFECT_PERSIST_OWN:
    case EFFECT_PERSIST_COPY:
        persist(replica, effect);
        break;
    case EFFECT_COMMIT:
        replica->has_work = true;
        break;
    case EFFECT_ROLE:
        replica->confirmed_round = 0;
        replica_refuse_reads(replica);
        snapshots_receive_abandon(&replica->snapshots); /* another leader's file is another one */
        replica->config.ports.role_changed(replica->config.ports.self, effect->role, effect->leader,
                                           effect->ballot);
        break;
    case EFFECT_READ_PENDING:
        waiting_list_assign_round(&replica->waiting, effect->round, effect->slot);
        break;
    case EFFECT_READ_CONFIRMED:
        replica->confirmed_round = effect->round;
        break;
    case EFFECT_SNAPSHOT_NEEDED:
        catch_up_start(replica, effect->to);
        break;
    case EFFECT_DROP:
        break; /* counted by the core */
    }
}

void execute_effects(struct replica *replica)
{
    struct effects *effects = &replica->effects;
    for (uint32_t i = 0; i < effects->count && replica->failure == 0; i++) {
        execute(replica, &effects->list[i]);
    }
}
