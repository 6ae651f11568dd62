/* SPDX-License-Identifier: MIT */
#include "wal/write_ahead_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cacheline.h"
#include "wal/log_recovery.h"
#include "wal/segmented_log.h"

#define SEGMENT_COUNT_MIN 4u
#define SEGMENT_COUNT_MAX 65536u
#define INDEX_SLOTS_MAX   (UINT64_C(1) << 40)

struct wal {
    struct segmented_log log;
    /* Where the latest record of a slot is, at index[slot & index_mask]: place of the segment in
     * the table in the upper half, byte offset in the lower. 0: the slot has none. */
    uint64_t *index;
    uint64_t index_mask; /* at least index_slots - 1; more when the log came with more */
    uint64_t index_slots;
    uint64_t last_slot;
    uint32_t payload_limit;
    uint32_t sweep_segment; /* whose records before sweep_offset are known to be superseded */
    size_t sweep_offset;
    int lock;
};

static uint64_t index_entry(uint32_t segment_index, uint64_t offset)
{
    return (uint64_t)segment_index << 32 | offset;
}

static uint64_t *index_of(const struct wal *wal, uint64_t slot)
{
    return &wal->index[slot & wal->index_mask];
}

/* The entry of a slot that may be any number. */
static uint64_t index_look_up(const struct wal *wal, uint64_t slot)
{
    if (slot <= wal->log.state.released || slot > wal->last_slot)
        return 0;
    return *index_of(wal, slot);
}

static const uint8_t *index_record(const struct wal *wal, uint64_t entry)
{
    return wal->log.segments[entry >> 32].file.bytes + (uint32_t)entry;
}

/* Empties the entries of these slots, so that slots a whole index further on start out empty. */
static void index_forget(struct wal *wal, uint64_t first, uint64_t last)
{
    last = last < wal->last_slot ? last : wal->last_slot;
    while (first <= last) {
        uint64_t place = first & wal->index_mask;
        uint64_t run = wal->index_mask + 1 - place;
        run = run < last - first + 1 ? run : last - first + 1;
        memset(&wal->index[place], 0, run * sizeof *wal->index);
        first += run;
    }
}

static bool config_is_valid(const struct wal_config *config)
{
    return config->disk != NULL && config->directory != NULL &&
           bytes_is_power_of_two(config->segment_bytes) &&
           config->segment_bytes >= SEGMENT_BYTES_MIN &&
           config->segment_bytes <= SEGMENT_BYTES_MAX &&
           config->segment_count >= SEGMENT_COUNT_MIN &&
           config->segment_count <= SEGMENT_COUNT_MAX &&
           bytes_is_power_of_two(config->index_slots) && config->index_slots <= INDEX_SLOTS_MAX &&
           (config->sync == WAL_SYNC_NONE || config->sync == WAL_SYNC_BATCH);
}

struct replay {
    struct wal *wal;
    wal_record_fn *on_record;
    void *context;
    struct wal_recovery *recovery;
    uint32_t last_segment; /* + 1 */
};

static void on_replay(void *context, const struct record *record, uint32_t segment_index,
                      uint32_t offset)
{
    struct replay *replay = context;
    if (record->kind == RECORD_VALUE || record->kind == RECORD_NOOP)
        *index_of(replay->wal, record->slot) = index_entry(segment_index, offset);
    replay->recovery->records++;
    replay->recovery->bytes += record_bytes(record->payload_bytes);
    replay->recovery->segments += replay->last_segment != segment_index + 1;
    replay->last_segment = segment_index + 1;
    if (replay->on_record != NULL)
        replay->on_record(replay->context, record);
}

/* Reserves the index; the log may hold more slots than it would take now. */
static int index_init(struct wal *wal, uint64_t highest_slot)
{
    uint64_t released = wal->log.state.released;
    uint64_t slots = wal->index_slots;
    while (highest_slot > released && highest_slot - released > slots)
        slots *= 2;
    wal->index = calloc(slots, sizeof *wal->index); /* the kernel maps it as it is used */
    wal->index_mask = slots - 1;
    wal->last_slot = highest_slot > released ? highest_slot : released;
    return wal->index != NULL ? 0 : -ENOMEM;
}

int wal_open(struct wal **result, const struct wal_config *config, wal_record_fn *on_record,
             void *context, struct wal_recovery *recovery)
{
    struct wal_recovery unread;
    recovery = recovery != NULL ? recovery : &unread;
    *recovery = (struct wal_recovery){.records = 0};
    *result = NULL;
    if (!config_is_valid(config))
        return -EINVAL;
    struct wal *wal = aligned_alloc(CACHELINE_PAIR, bytes_align_up(sizeof *wal, CACHELINE_PAIR));
    if (wal == NULL)
        return -ENOMEM;
    memset(wal, 0, sizeof *wal);
    wal->index_slots = config->index_slots;
    wal->log.disk = config->disk;
    wal->log.owner = (struct segment_owner){.cluster_id = config->cluster_id,
                                            .node = config->node,
                                            .segment_bytes = config->segment_bytes};
    const struct disk_ops *ops = config->disk->ops;
    void *self = config->disk->self;
    uint64_t highest_slot = 0;

    int error = ops->directory_create(self, config->directory);
    if (error != 0)
        goto fail_directory;
    error = ops->directory_lock(self, config->directory, &wal->lock, &recovery->lock_holder);
    if (error != 0)
        goto fail_directory;
    wal->log.directory = strdup(config->directory);
    error = wal->log.directory != NULL ? 0 : -ENOMEM;
    if (error == 0)
        error = log_recovery_open(&wal->log, config, recovery, &highest_slot);
    if (error == 0)
        error = index_init(wal, highest_slot);
    if (error != 0)
        goto fail_log;
    wal->payload_limit = segmented_log_payload_limit(&wal->log);
    struct replay replay = {
        .wal = wal, .on_record = on_record, .context = context, .recovery = recovery};
    log_recovery_replay(&wal->log, on_replay, &replay);
    recovery->lock_holder = 0;
    *result = wal;
    return 0;

fail_log:
    segmented_log_deinit(&wal->log);
    ops->directory_unlock(self, wal->lock);
fail_directory:
    free(wal);
    return error;
}

void wal_close(struct wal *wal)
{
    if (wal == NULL)
        return;
    struct disk *disk = wal->log.disk;
    if (wal->log.names_are_stale)
        segmented_log_rename(&wal->log);
    segmented_log_deinit(&wal->log);
    disk->ops->directory_unlock(disk->self, wal->lock);
    free(wal->index);
    free(wal);
}

uint32_t wal_payload_limit(const struct wal *wal)
{
    return wal->payload_limit;
}

/* Whether a record of this size may go into this slot, and room for it at the log's tail. */
static inline int reserve_accept(struct wal *wal, uint64_t slot, uint32_t payload_bytes)
{
    /* released + 1 .. released + index_slots, in one comparison. */
    if (UNLIKELY(slot - wal->log.state.released - 1 >= wal->index_slots))
        return -ERANGE;
    if (UNLIKELY(payload_bytes > wal->payload_limit))
        return -EMSGSIZE;
    return segmented_log_reserve(&wal->log, record_bytes(payload_bytes));
}

/* Commits an accept record whose payload is at the log's tail, and enters it into the index. */
static inline void commit_accept(struct wal *wal, uint32_t payload_sum, const struct record *record)
{
    struct segmented_log *log = &wal->log;
    struct segment *segment = log->active_segment;
    record_commit(log->tail, log->key, payload_sum, record);
    *index_of(wal, record->slot) =
        index_entry(log->active_index, (uint64_t)(log->tail - segment->file.bytes));
    if (record->slot > segment->highest_slot)
        segment->highest_slot = record->slot;
    if (record->slot > wal->last_slot)
        wal->last_slot = record->slot;
    if (record->ballot > log->state.promised)
        log->state.promised = record->ballot;
    segmented_log_advance(log, record_bytes(record->payload_bytes));
}

int wal_append_accept(struct wal *wal, enum record_kind kind, uint64_t ballot, uint64_t slot,
                      uint64_t hybrid_time, const void *payload, uint32_t payload_bytes)
{
    ASSERT(kind == RECORD_VALUE || kind == RECORD_NOOP);
    int error = reserve_accept(wal, slot, payload_bytes);
    if (UNLIKELY(error != 0))
        return error;
    struct record record = {.kind = kind,
                            .payload_bytes = payload_bytes,
                            .ballot = ballot,
                            .slot = slot,
                            .hybrid_time = hybrid_time};
    uint32_t sum = record_copy_payload(wal->log.tail + RECORD_HEADER_BYTES, payload, payload_bytes);
    commit_accept(wal, sum, &record);
    return 0;
}

int wal_append_promise(struct wal *wal, uint64_t ballot)
{
    int error = segmented_log_append_bare(&wal->log, RECORD_PROMISE, ballot, 0);
    if (error == 0 && ballot > wal->log.state.promised)
        wal->log.state.promised = ballot;
    return error;
}

int wal_append_mark(struct wal *wal, uint64_t mark)
{
    int error = segmented_log_append_bare(&wal->log, RECORD_MARK, 0, mark);
    if (error == 0 && mark > wal->log.state.mark)
        wal->log.state.mark = mark;
    return error;
}

bool wal_extent_at(const struct wal *wal, uint64_t first_slot, uint64_t last_slot,
                   uint32_t max_bytes, struct wal_extent *extent)
{
    uint64_t first = index_look_up(wal, first_slot);
    if (first == 0 || last_slot < first_slot)
        return false;
    const uint8_t *bytes = index_record(wal, first);
    last_slot = last_slot < wal->last_slot ? last_slot : wal->last_slot;
    uint64_t slot = first_slot;
    uint32_t length = record_bytes(record_payload_bytes(bytes));
    /* The next slot's latest record is the one that lies right behind exactly when the index says
     * so. */
    while (slot < last_slot && *index_of(wal, slot + 1) == first + length) {
        uint32_t next = record_bytes(record_payload_bytes(bytes + length));
        if (next > max_bytes || length > max_bytes - next)
            break;
        length += next;
        slot++;
    }
    *extent = (struct wal_extent){.bytes = bytes,
                                  .length = length,
                                  .segment_id = wal->log.segments[first >> 32].id,
                                  .first_slot = first_slot,
                                  .count = (uint32_t)(slot - first_slot + 1)};
    return true;
}

/* Appends a copy of the record at `at`, which claims to be in `slot`; its bytes in *taken. */
static int append_copy(struct wal *wal, const uint8_t *at, uint32_t available, uint32_t source_key,
                       uint64_t slot, uint64_t ballot, uint32_t *taken)
{
    struct record record;
    if (available < RECORD_HEADER_BYTES)
        return -EBADMSG;
    record_decode(at, &record);
    *taken = record_bytes(record.payload_bytes);
    if (*taken > available || record.slot != slot ||
        (record.kind != RECORD_VALUE && record.kind != RECORD_NOOP))
        return -EBADMSG;
    int error = reserve_accept(wal, slot, record.payload_bytes);
    if (UNLIKELY(error != 0))
        return error;
    /* One pass sums and copies; what fails to verify stays uncommitted behind the log's end. The
     * padding is copied, not made anew, since it is part of what is verified. */
    uint32_t sum = record_copy_payload(wal->log.tail + RECORD_HEADER_BYTES, record.payload,
                                       *taken - RECORD_HEADER_BYTES);
    if (UNLIKELY((record_checksum(sum, &record) ^ source_key) != bytes_load_u32(at)))
        return -EBADMSG;
    record.ballot = ballot;
    commit_accept(wal, sum, &record);
    return 0;
}

int wal_append_extent(struct wal *wal, const struct wal_extent *extent, uint64_t ballot)
{
    uint32_t key = segment_key(extent->segment_id);
    uint32_t offset = 0;
    for (uint32_t i = 0; i < extent->count; i++) {
        uint32_t taken = 0;
        int error = append_copy(wal, extent->bytes + offset, extent->length - offset, key,
                                extent->first_slot + i, ballot, &taken);
        if (UNLIKELY(error != 0))
            return error;
        offset += taken;
    }
    return 0;
}

int wal_sync(struct wal *wal)
{
    return segmented_log_sync(&wal->log);
}

bool wal_find(const struct wal *wal, uint64_t slot, struct record *record)
{
    uint64_t entry = index_look_up(wal, slot);
    if (entry == 0)
        return false;
    record_decode(index_record(wal, entry), record);
    return true;
}

void wal_release(struct wal *wal, uint64_t slot)
{
    struct segmented_log *log = &wal->log;
    if (slot > log->state.released) {
        index_forget(wal, log->state.released + 1, slot);
        log->state.released = slot;
        wal->last_slot = wal->last_slot > slot ? wal->last_slot : slot;
    }
    segmented_log_retire(log);
    if (log->names_are_stale)
        segmented_log_rename(log);
}

uint32_t wal_retired(const struct wal *wal)
{
    return wal->log.live - wal->log.lowest;
}

void wal_reclaim(struct wal *wal)
{
    segmented_log_reclaim(&wal->log);
}

int wal_reset(struct wal *wal, uint64_t slot)
{
    struct segmented_log *log = &wal->log;
    uint64_t first = log->state.released + 1;
    int error = segmented_log_reset(log, slot);
    if (error == -ENOSPC)
        return error;
    index_forget(wal, first, wal->last_slot);
    wal->last_slot = log->state.released;
    if (log->names_are_stale)
        segmented_log_rename(log);
    return error;
}

int wal_supersede(struct wal *wal, uint64_t slot)
{
    struct segmented_log *log = &wal->log;
    uint64_t first = log->state.released + 1;
    int error = segmented_log_supersede(log, slot);
    if (error == -ENOSPC)
        return error;
    index_forget(wal, first, slot);
    wal->last_slot = wal->last_slot > log->state.released ? wal->last_slot : log->state.released;
    if (log->names_are_stale)
        segmented_log_rename(log);
    return error;
}

/* Whether the segment, the oldest one needed, holds no latest record of any slot from where the
 * last sweep of it stopped. What is superseded stays so: every record is looked at once. */
static bool is_superseded(struct wal *wal, uint32_t *records)
{
    const struct segmented_log *log = &wal->log;
    struct segment_walk walk = {.segment = segmented_log_segment(log, log->live)};
    walk.end = walk.segment->file.size;
    walk.offset = wal->sweep_segment == log->live ? wal->sweep_offset : SEGMENT_HEADER_BYTES;
    wal->sweep_segment = log->live;
    wal->sweep_offset = walk.offset;
    for (; *records > 0; --*records) {
        struct record_check check;
        size_t offset = 0;
        if (!segment_walk_next(&walk, &check, &offset) ||
            (uint32_t)check.record.kind == RECORD_SEAL)
            return true;
        bool is_accept = check.record.kind == RECORD_VALUE || check.record.kind == RECORD_NOOP;
        if (is_accept &&
            index_look_up(wal, check.record.slot) == index_entry(log->live % log->count, offset))
            return false;
        wal->sweep_offset = walk.offset;
    }
    return false;
}

void wal_sweep(struct wal *wal, uint32_t records)
{
    struct segmented_log *log = &wal->log;
    while (log->live < log->active_segment->id && is_superseded(wal, &records))
        log->live++;
}

void wal_space(const struct wal *wal, struct wal_space *space)
{
    const struct segmented_log *log = &wal->log;
    uint32_t highest = log->lowest + log->count - 1;
    *space = (struct wal_space){.segments_total = log->count,
                                .segments_spare = highest - log->active_segment->id,
                                .segments_retired = wal_retired(wal),
                                .bytes_reserved = log->count * log->owner.segment_bytes,
                                .first_slot = log->state.released + 1,
                                .last_slot = wal->last_slot,
                                .records_appended = log->records_appended,
                                .bytes_appended = log->bytes_appended,
                                .rolls = log->rolls,
                                .syncs = log->syncs};
}

uint32_t wal_prefault(struct wal *wal, uint32_t segments)
{
    return segmented_log_prepare(&wal->log, segments);
}
