/* SPDX-License-Identifier: MIT */
/*
 * Keeps the log within its fixed space: takes a snapshot when three quarters of it are used,
 * releases what the snapshot covers and no live follower still needs, and recycles segments once no
 * message can still name their bytes. A slice of each a turn, never a wait.
 */
#include <errno.h>

#include "replica/replica_internal.h"

/* A mark is noted in the log after so many slots and so much of a segment: a restart applies at
 * once what is marked; the rest has to be accepted again, at the next ballot, and to find room. */
#define MARK_SLOTS         4096
#define MARKS_IN_A_SEGMENT 8

/* Snapshot slices a turn when the log is about to be full. */
#define SLICES_IN_A_HURRY 8

/* No sooner is a snapshot begun again that the disk had no room for. */
#define SNAPSHOT_RETRY_NS UINT64_C(10000000)

/* Records looked at a turn for being superseded. */
#define SWEEP_RECORDS 256

uint64_t housekeeping_room(const struct replica *replica, uint32_t reserve)
{
    struct wal_space space;
    wal_space(replica->wal, &space);
    uint64_t usable =
        replica->config.segment_bytes / 2; /* a record that does not fit wastes less */
    return space.segments_spare > reserve ? (space.segments_spare - reserve) * usable : 0;
}

/* Segments to hold what is open twice, at two ballots, when the old one is not yet recycled; two
 * are left to what goes on. A segment is at least three quarters full when the next is begun. */
uint64_t housekeeping_open_limit(const struct replica *replica)
{
    return (replica->config.segment_count - 2) * (uint64_t)replica->config.segment_bytes / 8 * 3;
}

void housekeeping_record_mark(struct replica *replica)
{
    if (replica->core.mark <= replica->mark_recorded) {
        return;
    }
    int error = wal_append_mark(replica->wal, replica->core.mark);
    if (error == 0) {
        struct wal_space space;
        wal_space(replica->wal, &space);
        replica->mark_recorded = replica->core.mark;
        replica->mark_bytes = space.bytes_appended;
    } else if (error != -ENOSPC) {
        replica_fail(replica, error);
    }
}

static bool is_mark_due(const struct replica *replica, const struct wal_space *space)
{
    return replica->core.mark - replica->mark_recorded >= MARK_SLOTS ||
           space->bytes_appended - replica->mark_bytes >=
               replica->config.segment_bytes / MARKS_IN_A_SEGMENT;
}

/* Low enough to do something about it. */
static bool is_space_short(const struct wal_space *space)
{
    return space->segments_spare <= space->segments_total / 4 + 1;
}

/* When little of the log is applied a snapshot frees little of it: worth its price only when there
 * is nothing else left. */
static bool is_snapshot_wanted(const struct replica *replica, const struct wal_space *space)
{
    uint64_t covered = replica->applied - replica->snapshots.current.slot;
    uint64_t held = space->last_slot - space->first_slot + 1;
    return is_space_short(space) && covered > 0 &&
           (covered >= held / 4 || space->segments_spare <= 1);
}

static bool is_snapshot_possible(const struct replica *replica)
{
    const struct snapshots *snapshots = &replica->snapshots;
    return !snapshots->receiving.is_active && !snapshots->retired.is_open &&
           !catch_up_is_active(replica) && replica->now_ns >= replica->snapshot_retry_ns;
}

static bool begin_snapshot(struct replica *replica)
{
    /* Recovery believes a log below a snapshot only when the log itself says that it was chosen. */
    housekeeping_record_mark(replica);
    if (snapshots_begin(&replica->snapshots, replica->store) < 0) {
        replica->snapshot_retry_ns = replica->now_ns + SNAPSHOT_RETRY_NS;
        return false; /* the log fills up and refuses before it breaks */
    }
    return true;
}

static void make_snapshot(struct replica *replica, const struct wal_space *space)
{
    struct snapshots *snapshots = &replica->snapshots;
    bool is_begun =
        snapshots->making.is_active || (is_snapshot_wanted(replica, space) &&
                                        is_snapshot_possible(replica) && begin_snapshot(replica));
    if (!is_begun) {
        return;
    }
    replica->has_work = true;
    uint32_t slices = space->segments_spare <= 2 ? SLICES_IN_A_HURRY : 1;
    int done = 0;
    for (uint32_t i = 0; i < slices && done == 0; i++) {
        done = snapshots_step(snapshots, replica->store);
    }
    if (done < 0 && done != -ENOSPC) {
        replica_fail(replica, done);
    }
}

/* The highest slot that nobody needs from this log any more. */
static uint64_t releasable(const struct replica *replica, const struct wal_space *space)
{
    const struct core *core = &replica->core;
    uint64_t slot = replica->snapshots.current.slot;
    if (!core_leads(core) || space->segments_spare <= space->segments_total / 4) {
        return slot; /* under pressure a slow follower is sent the snapshot instead */
    }
    for (uint32_t node = 0; node < core->config.quorum.nodes; node++) {
        const struct core_peer *peer = &core->peers[node];
        bool is_alive = node != core->config.self && peer->is_probed &&
                        core->now_ns - peer->heard_ns < core->config.election_timeout_ns;
        if (is_alive && peer->match < slot) {
            slot = peer->match;
        }
    }
    return slot;
}

static void release_space(struct replica *replica, const struct wal_space *space)
{
    uint64_t slot = releasable(replica, space);
    if (slot > replica->core.base && slot >= space->first_slot) {
        wal_release(replica->wal, slot);
        replica_step(replica, &(struct event){.kind = EVENT_RELEASED, .slot = slot});
    }
    if (is_space_short(space)) {
        wal_sweep(replica->wal, SWEEP_RECORDS);
    }
}

static void reclaim(struct replica *replica)
{
    const struct replica_ports *ports = &replica->config.ports;
    if (!replica->is_pin_noted) {
        bool is_needed = wal_retired(replica->wal) > 0 || replica->snapshots.retired.is_open;
        if (!is_needed || catch_up_is_active(replica)) {
            return;
        }
        ports->pins_note(ports->self);
        replica->is_pin_noted = true;
        replica->retired_noted = wal_retired(replica->wal);
        replica->is_snapshot_noted = replica->snapshots.retired.is_open;
    }
    if (!ports->pins_passed(ports->self)) {
        return;
    }
    replica->is_pin_noted = false;
    if (wal_retired(replica->wal) == replica->retired_noted) {
        wal_reclaim(replica->wal);
    }
    if (replica->is_snapshot_noted) {
        snapshots_reclaim(&replica->snapshots);
    }
}

void housekeeping_turn(struct replica *replica)
{
    if (replica->failure != 0) {
        return;
    }
    struct wal_space space;
    wal_space(replica->wal, &space);
    if (is_mark_due(replica, &space)) {
        housekeeping_record_mark(replica);
    }
    make_snapshot(replica, &space);
    release_space(replica, &space);
    reclaim(replica);
    store_housekeep(replica->store);
}
