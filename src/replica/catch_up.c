/* SPDX-License-Identifier: MIT */
/*
 * A follower whose next slot is no longer in the leader's log gets the leader's snapshot: in chunks
 * that name bytes of the mapped file, a window of them ahead of the answers, resent from the last
 * answer when nothing moves. The leader neither takes a new snapshot nor recycles the old one
 * meanwhile; a transfer that does not move for ten resends is given up.
 */
#include <errno.h>
#include <string.h>

#include "replica/replica_internal.h"

#define CATCH_UP_PATIENCE 10

void catch_up_start(struct replica *replica, uint32_t to)
{
    struct catch_up *transfer = &replica->catch_up[to];
    const struct snapshot_file *snapshot = &replica->snapshots.current;
    if (transfer->is_active || !snapshot->is_open || snapshot->slot < replica->core.base) {
        return;
    }
    *transfer = (struct catch_up){.is_active = true,
                                  .slot = snapshot->slot,
                                  .moved_ns = replica->now_ns,
                                  .began_ns = replica->now_ns};
}

bool catch_up_is_active(const struct replica *replica)
{
    for (uint32_t node = 0; node < replica->core.config.quorum.nodes; node++) {
        if (replica->catch_up[node].is_active) {
            return true;
        }
    }
    return false;
}

static void send_chunks(struct replica *replica, uint32_t to)
{
    struct catch_up *transfer = &replica->catch_up[to];
    const struct snapshot_file *snapshot = &replica->snapshots.current;
    while (transfer->sent < snapshot->file_bytes &&
           transfer->sent - transfer->answered < CATCH_UP_WINDOW_BYTES) {
        uint64_t left = snapshot->file_bytes - transfer->sent;
        uint32_t count = left < CATCH_UP_CHUNK_BYTES ? (uint32_t)left : CATCH_UP_CHUNK_BYTES;
        struct core_message message = {
            .kind = MESSAGE_SNAPSHOT_CHUNK,
            .from = (uint8_t)replica->core.config.self,
            .count = count,
            .ballot = replica->core.promised,
            .slot = snapshot->slot,
            .round = transfer->sent,
            .mark = snapshot->file_bytes,
            .bytes = snapshot->file.bytes + transfer->sent,
            .bytes_length = count,
        };
        replica_send(replica, to, &message);
        transfer->sent += count;
        replica->has_work = true;
    }
}

void catch_up_turn(struct replica *replica)
{
    if (replica->snapshots.receiving.is_active &&
        replica->snapshots.receiving.slot <= replica->core.mark) {
        snapshots_receive_abandon(&replica->snapshots); /* the log came first */
    }
    uint64_t retransmit_ns = replica->core.config.retransmit_ns;
    for (uint32_t node = 0; node < replica->core.config.quorum.nodes; node++) {
        struct catch_up *transfer = &replica->catch_up[node];
        if (!transfer->is_active) {
            continue;
        }
        bool is_over = !core_leads(&replica->core) ||
                       transfer->slot != replica->snapshots.current.slot ||
                       replica->core.peers[node].next > replica->core.base ||
                       replica->now_ns - transfer->began_ns > CATCH_UP_PATIENCE * retransmit_ns;
        if (is_over) {
            transfer->is_active = false;
            continue;
        }
        if (replica->now_ns - transfer->moved_ns >= retransmit_ns) {
            transfer->sent = transfer->answered;
            transfer->moved_ns = replica->now_ns;
        }
        send_chunks(replica, node);
    }
}

uint64_t catch_up_retry_ns(const struct replica *replica)
{
    return catch_up_is_active(replica) ? replica->now_ns + replica->core.config.retransmit_ns
                                       : UINT64_MAX;
}

static void on_next(struct replica *replica, const struct core_message *message)
{
    struct catch_up *transfer = &replica->catch_up[message->from];
    bool is_expected = transfer->is_active && message->slot == transfer->slot &&
                       message->round > transfer->answered &&
                       message->round <= replica->snapshots.current.file_bytes;
    if (is_expected) {
        transfer->answered = message->round;
        if (transfer->sent < transfer->answered) {
            transfer->sent = transfer->answered;
        }
        transfer->moved_ns = replica->now_ns;
        transfer->began_ns = replica->now_ns;
    }
}

static void answer(struct replica *replica, const struct core_message *message, uint64_t next)
{
    struct core_message reply = {
        .kind = MESSAGE_SNAPSHOT_NEXT,
        .from = (uint8_t)replica->core.config.self,
        .ballot = message->ballot,
        .slot = message->slot,
        .round = next,
    };
    replica_send(replica, message->from, &reply);
}

static void install(struct replica *replica, uint64_t slot)
{
    int error = wal_supersede(replica->wal, slot);
    if (error < 0) {
        replica_fail(replica, error);
        return;
    }
    replica->applied = slot;
    replica->mark_recorded = slot;
    replica->open_bytes = 0;
    replica_forget_proposals(replica, slot);
    replica_step(replica, &(struct event){.kind = EVENT_INSTALLED, .slot = slot});
}

static void on_chunk(struct replica *replica, const struct core_message *message)
{
    struct snapshots *snapshots = &replica->snapshots;
    bool is_from_leader = message->ballot == replica->core.promised &&
                          replica->core.leader == (int)message->from && !core_leads(&replica->core);
    if (!is_from_leader || message->slot <= replica->core.mark) {
        return;
    }
    bool is_new = !snapshots->receiving.is_active || snapshots->receiving.slot != message->slot;
    if (is_new) {
        if (message->round != 0) {
            answer(replica, message, 0);
            return;
        }
        snapshots_abandon(snapshots, replica->store);
        if (snapshots_receive_begin(snapshots, message->slot, message->mark) < 0) {
            return; /* no room now: the leader sends it again */
        }
    }
    if (message->round == snapshots->receiving.next) {
        int done = snapshots_receive(snapshots, replica->store, message->bytes, message->count);
        if (done == -EIO) {
            replica_fail(replica, done);
            return;
        }
        if (done == 1) {
            install(replica, message->slot);
            return;
        }
        if (done < 0) {
            return;
        }
    }
    answer(replica, message, snapshots->receiving.next);
}

void catch_up_on_message(struct replica *replica, const struct core_message *message)
{
    if (message->from >= replica->core.config.quorum.nodes) {
        return;
    }
    if (message->kind == MESSAGE_SNAPSHOT_NEXT) {
        on_next(replica, message);
    } else {
        on_chunk(replica, message);
    }
}
