/* SPDX-License-Identifier: MIT */
/*
 * How a node comes back: newest good snapshot, then the log above it. What the log says was chosen
 * is applied at once; the rest is what this node has accepted, and will report when asked.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "replica/replica_internal.h"

static void ignore_record(void *context, const struct record *record)
{
    (void)context;
    (void)record;
}

static uint64_t index_slots_of(const struct replica_config *config)
{
    uint64_t most = config->segment_bytes / RECORD_HEADER_BYTES * config->segment_count;
    uint64_t power = 1024;
    while (power < most) {
        power *= 2;
    }
    return power;
}

static int open_log(struct replica *replica, struct replica_problem *problem)
{
    const struct replica_config *config = &replica->config;
    struct wal_config wal = {
        .disk = config->disk,
        .directory = replica->directory,
        .cluster_id = config->cluster_id,
        .node = config->core.self,
        .segment_bytes = config->segment_bytes,
        .segment_count = config->segment_count,
        .index_slots = index_slots_of(config),
        .sync = config->sync,
    };
    int error = wal_open(&replica->wal, &wal, ignore_record, NULL, &problem->wal);
    if (error == -EBADMSG) {
        (void)snprintf(
            problem->text, sizeof problem->text,
            "node %" PRIu32 ": log damaged in %s at offset %" PRIu64 " (checksum %08" PRIx32
            ", computed %08" PRIx32 "), %" PRIu64 " good records follow; nothing was cut",
            config->core.self, problem->wal.damaged_segment, problem->wal.damaged_offset,
            problem->wal.checksum_stored, problem->wal.checksum_computed, problem->wal.good_after);
    }
    return error;
}

static int refuse_hole(struct replica *replica, struct replica_problem *problem, uint64_t slot)
{
    (void)snprintf(problem->text, sizeof problem->text,
                   "node %" PRIu32 ": slot %" PRIu64
                   " was chosen but is neither in the log nor in a good snapshot",
                   replica->config.core.self, slot);
    return -EBADMSG;
}

/*
 * The snapshot and the log below it must tell the same story. A snapshot made here has its mark in
 * the log before it is begun; where that is missing, the snapshot may be a peer's, put in place
 * just before the crash: then this log may have a hole below it, or hold there what was never
 * chosen.
 */
static int join_snapshot_and_log(struct replica *replica, struct replica_problem *problem)
{
    uint64_t snapshot_slot = replica->snapshots.current.slot;
    struct wal_space space;
    wal_space(replica->wal, &space);
    if (space.first_slot > snapshot_slot + 1) {
        return refuse_hole(replica, problem, snapshot_slot + 1);
    }
    bool is_unsure = problem->wal.mark < snapshot_slot && space.first_slot <= snapshot_slot;
    return is_unsure ? wal_supersede(replica->wal, snapshot_slot) : 0;
}

/* Everything above the snapshot: chosen slots must all be there, accepted ones may leave gaps. */
static int restore_core(struct replica *replica, struct replica_problem *problem)
{
    uint64_t snapshot_slot = replica->snapshots.current.slot;
    uint64_t mark = problem->wal.mark > snapshot_slot ? problem->wal.mark : snapshot_slot;
    struct wal_space space;
    wal_space(replica->wal, &space);
    core_restore(&replica->core, problem->wal.promised, mark, space.first_slot - 1);
    uint64_t newest_stamp = 0;
    for (uint64_t slot = snapshot_slot + 1; slot <= mark || slot <= space.last_slot; slot++) {
        struct record record;
        if (!wal_find(replica->wal, slot, &record)) {
            if (slot <= mark) {
                return refuse_hole(replica, problem, slot);
            }
            continue;
        }
        newest_stamp = record.hybrid_time > newest_stamp ? record.hybrid_time : newest_stamp;
        if (!core_restore_accept(&replica->core, slot, record.ballot)) {
            (void)snprintf(problem->text, sizeof problem->text,
                           "node %" PRIu32 ": the log is more fragmented than any node leaves it",
                           replica->config.core.self);
            return -EBADMSG;
        }
    }
    hybrid_clock_restore(&replica->hybrid, newest_stamp);
    replica->mark_recorded = mark;
    return 0;
}

int recovery_run(struct replica *replica, struct replica_problem *problem)
{
    const struct replica_config *config = &replica->config;
    int error = config->disk->ops->directory_create(config->disk->self, replica->directory);
    if (error < 0) {
        return error;
    }
    error = snapshots_init(&replica->snapshots, config->disk, replica->directory,
                           config->cluster_id, config->sync == WAL_SYNC_BATCH);
    if (error < 0) {
        return error;
    }
    error = open_log(replica, problem); /* takes the directory's lock: before anything is removed */
    if (error < 0) {
        return error;
    }
    error = snapshots_load_newest(&replica->snapshots, replica->store);
    if (error < 0) {
        (void)snprintf(problem->text, sizeof problem->text,
                       "node %" PRIu32 ": no snapshot in %s could be read: none verifies",
                       config->core.self, replica->directory);
        return error;
    }
    error = join_snapshot_and_log(replica, problem);
    if (error == 0) {
        error = restore_core(replica, problem);
    }
    if (error < 0) {
        return error;
    }
    replica->applied = replica->snapshots.current.slot;
    if (replica->applied > replica->core.applied) {
        replica_step(replica, &(struct event){.kind = EVENT_APPLIED, .slot = replica->applied});
    }
    core_restore_end(&replica->core, replica->now_ns);
    return replica->failure;
}
