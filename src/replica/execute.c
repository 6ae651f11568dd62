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
        error = wal_append_mark(replica->wal, replica->core.mark);
        replica->mark_recorded = replica->core.mark;
    }
    return error;
}

static int append_proposal(struct replica *replica, const struct effect *effect)
{
    ASSERT(effect->count <= replica->batch_count);
    uint64_t stamp = hybrid_clock_tick(&replica->hybrid, replica->wall_ns);
    for (uint32_t i = 0; i < effect->count; i++) {
        const struct request *request = &replica->batch[i];
        replica->batch_proposed = i + 1;
        int error = wal_append_accept(replica->wal, RECORD_VALUE, effect->ballot, effect->slot + i,
                                      stamp, request->command, request->command_bytes);
        if (error < 0) {
            return error;
        }
        waiting_list_add(&replica->waiting, effect->slot + i, request->client, request->sequence);
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
        slot += extent.count;
    }
    return 0;
}

static int append_copy(struct replica *replica, const struct effect *effect)
{
    const struct core_message *message = &effect->message;
    if (!housekeeping_has_room(replica, message->bytes_length)) {
        return -ENOSPC;
    }
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
        replica->has_role_change = true;
        replica->confirmed_round = 0;
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
