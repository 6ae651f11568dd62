/* SPDX-License-Identifier: MIT */
#include "wal/segmented_log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t active_id(const struct segmented_log *log)
{
    return atomic_load_explicit(&log->active, memory_order_relaxed); /* the owner's own store */
}

static uint32_t highest_id(const struct segmented_log *log)
{
    return atomic_load_explicit(&log->highest, memory_order_relaxed); /* the owner's own store */
}

static int fail(struct segmented_log *log)
{
    log->failed = -EIO;
    log->append_end = log->tail;
    return -EIO;
}

int segmented_log_path(const struct segmented_log *log, const char *name, char *path,
                       size_t path_bytes)
{
    int length = snprintf(path, path_bytes, "%s/%s", log->directory, name);
    return length > 0 && (size_t)length < path_bytes ? 0 : -ENAMETOOLONG;
}

uint32_t segmented_log_payload_limit(const struct segmented_log *log)
{
    uint64_t room = log->owner.segment_bytes - SEGMENT_HEADER_BYTES - LOG_STATE_RECORD_BYTES -
                    SEGMENT_APPEND_ROOM - RECORD_HEADER_BYTES;
    return room < RECORD_PAYLOAD_LIMIT ? (uint32_t)room : RECORD_PAYLOAD_LIMIT;
}

/* Bytes left in the active segment. */
static size_t room_left(const struct segmented_log *log)
{
    const struct disk_file *file = &log->active_segment->file;
    return file->size - (size_t)(log->tail - file->bytes);
}

static void append_bare(struct segmented_log *log, uint32_t kind, uint64_t ballot, uint64_t slot)
{
    struct record record = {.kind = (enum record_kind)kind, .ballot = ballot, .slot = slot};
    record_commit(log->tail, log->key, 0, &record);
    log->tail += RECORD_HEADER_BYTES;
}

int segmented_log_append_bare(struct segmented_log *log, enum record_kind kind, uint64_t ballot,
                              uint64_t slot)
{
    int error = segmented_log_reserve(log, RECORD_HEADER_BYTES);
    if (UNLIKELY(error != 0))
        return error;
    append_bare(log, kind, ballot, slot);
    log->records_appended++;
    log->bytes_appended += RECORD_HEADER_BYTES;
    return 0;
}

static void write_state(struct segmented_log *log)
{
    log->state.first_segment = log->live;
    log_state_write(&log->state, log->tail, log->key);
    log->tail += LOG_STATE_RECORD_BYTES;
    log->written_first_segment = log->live;
}

void segmented_log_activate(struct segmented_log *log, uint32_t id, size_t offset)
{
    struct segment *segment = segmented_log_segment(log, id);
    size_t end = segment->file.size - SEGMENT_APPEND_ROOM;
    log->active_segment = segment;
    log->active_index = id % log->count;
    log->key = segment->key;
    log->tail = segment->file.bytes + offset;
    /* A segment full but for its reserve has no room for ordinary records, not less than none. */
    log->append_end = segment->file.bytes + (offset < end ? end : offset);
    /* release: pairs with segmented_log_prepare [W1]; nothing else is read through it. */
    atomic_store_explicit(&log->active, id, memory_order_release);
}

int segmented_log_roll(struct segmented_log *log)
{
    if (log->failed != 0)
        return log->failed;
    uint32_t id = active_id(log);
    if (id == highest_id(log))
        return -ENOSPC;
    append_bare(log, RECORD_SEAL, 0, log->active_segment->highest_slot);
    segmented_log_activate(log, id + 1, SEGMENT_HEADER_BYTES);
    write_state(log);
    log->active_segment->first_slot = log->state.released + 1;
    log->active_segment->name_is_stale = true;
    log->names_are_stale = true;
    log->rolls++;
    return 0;
}

int segmented_log_append_state(struct segmented_log *log, uint32_t room_behind)
{
    if (room_left(log) < LOG_STATE_RECORD_BYTES + room_behind)
        return segmented_log_roll(log); /* which writes it */
    write_state(log);
    /* Into the reserve: ordinary records have no room here any more. */
    if (log->tail > log->append_end)
        log->append_end = log->tail;
    return 0;
}

int segmented_log_sync(struct segmented_log *log)
{
    if (log->failed != 0)
        return log->failed;
    uint64_t end = segmented_log_end(log);
    if (!log->state.is_batch_synced || end == log->clean_position)
        return 0;
    uint32_t first = (uint32_t)(log->state.synced_position >> 32);
    first = first < log->lowest ? log->lowest : first;
    for (uint32_t id = first; id <= active_id(log); id++) {
        struct disk_file *file = &segmented_log_segment(log, id)->file;
        size_t from =
            id == log->state.synced_position >> 32 ? (uint32_t)log->state.synced_position : 0;
        size_t to = id == active_id(log) ? (size_t)(log->tail - file->bytes) : file->size;
        if (log->disk->ops->sync(log->disk->self, file, from, to - from) != 0)
            return fail(log);
    }
    log->syncs++;
    log->state.synced_position = end;
    /* Evidence for recovery that what lies before is no torn tail; when it does not fit here the
     * state record that opens the next segment says the same. */
    if ((size_t)(log->append_end - log->tail) >= RECORD_HEADER_BYTES)
        append_bare(log, RECORD_SYNC, end, 0);
    log->clean_position = segmented_log_end(log);
    if (log->names_are_stale)
        segmented_log_rename(log);
    return 0;
}

void segmented_log_retire(struct segmented_log *log)
{
    while (log->live < active_id(log) &&
           segmented_log_segment(log, log->live)->highest_slot <= log->state.released)
        log->live++;
}

int segmented_log_recycle(struct segmented_log *log, struct segment *segment, uint32_t id)
{
    struct disk *disk = log->disk;
    bool is_synced = log->state.is_batch_synced;
    segment_header_invalidate(segment);
    if (is_synced && disk->ops->sync(disk->self, &segment->file, 0, SEGMENT_HEADER_BYTES) != 0)
        return -EIO;
    segment_header_write(segment, &log->owner, id);
    log->names_are_stale = true;
    if (is_synced && disk->ops->sync(disk->self, &segment->file, 0,
                                     SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES) != 0)
        return -EIO;
    return 0;
}

void segmented_log_reclaim(struct segmented_log *log)
{
    if (log->failed != 0 || log->lowest == log->live)
        return;
    /* The log must say that these segments are not needed before their bytes go: a crash on the way
     * otherwise looks like a lost segment. There is room: see SEGMENT_RECLAIM_ROOM. */
    if (log->written_first_segment < log->live) {
        int error = segmented_log_append_state(log, SEGMENT_RECLAIM_ROOM);
        ASSERT(error == 0);
    }
    if (segmented_log_sync(log) != 0)
        return;
    uint32_t highest = highest_id(log);
    for (; log->lowest < log->live && highest < SEGMENT_ID_LAST; log->lowest++) {
        if (segmented_log_recycle(log, segmented_log_segment(log, log->lowest), highest + 1) != 0) {
            (void)fail(log);
            return;
        }
        highest++;
        /* release: pairs with segmented_log_prepare [W1]. */
        atomic_store_explicit(&log->highest, highest, memory_order_release);
    }
    segmented_log_rename(log);
}

int segmented_log_reset(struct segmented_log *log, uint64_t slot)
{
    if (log->failed != 0)
        return log->failed;
    uint32_t id = active_id(log);
    bool has_spare = id < highest_id(log);
    if (!has_spare && room_left(log) < LOG_STATE_RECORD_BYTES + SEGMENT_RESET_ROOM)
        return -ENOSPC;
    /* Without a spare the reset is recorded where we are: refusing would leave a full log that
     * cannot be emptied by the very snapshot that makes it superfluous. */
    uint64_t position =
        has_spare ? log_position(id + 1, SEGMENT_HEADER_BYTES) : segmented_log_end(log);
    log->state.reset_position = position;
    log->state.released = slot > log->state.released ? slot : log->state.released;
    log->live = (uint32_t)(position >> 32);
    for (uint32_t i = 0; i < log->count; i++)
        log->segments[i].highest_slot = 0;
    int error =
        has_spare ? segmented_log_roll(log) : segmented_log_append_state(log, SEGMENT_RESET_ROOM);
    ASSERT(error == 0);
    return segmented_log_sync(log);
}

int segmented_log_supersede(struct segmented_log *log, uint64_t slot)
{
    if (log->failed != 0)
        return log->failed;
    bool has_spare = active_id(log) < highest_id(log);
    if (!has_spare && room_left(log) < LOG_STATE_RECORD_BYTES + SEGMENT_RESET_ROOM)
        return -ENOSPC;
    log->state.released = slot > log->state.released ? slot : log->state.released;
    segmented_log_retire(log);
    int error = segmented_log_append_state(log, SEGMENT_RESET_ROOM);
    ASSERT(error == 0);
    return segmented_log_sync(log);
}

uint32_t segmented_log_prepare(struct segmented_log *log, uint32_t segments)
{
    /* acquire: pairs with the owner's releases [W1]: a segment is in the ring before it is named.
     * The files stay mapped where they are as long as the log is open. */
    uint32_t id = atomic_load_explicit(&log->active, memory_order_acquire);
    uint32_t highest = atomic_load_explicit(&log->highest, memory_order_acquire);
    uint32_t prepared = 0;
    for (; id <= highest && prepared < segments; id++) {
        struct segment *segment = segmented_log_segment(log, id);
        if (atomic_load_explicit(&segment->is_prefaulted, memory_order_relaxed))
            continue;
        segment_prefault(segment, log->disk);
        prepared++;
    }
    return prepared;
}

void segmented_log_rename(struct segmented_log *log)
{
    struct disk *disk = log->disk;
    log->names_are_stale = false;
    for (uint32_t i = 0; i < log->count; i++) {
        struct segment *segment = &log->segments[i];
        char name[SEGMENT_NAME_BYTES];
        char from[PATH_MAX];
        char to[PATH_MAX];
        if (!segment->name_is_stale)
            continue;
        segment->name_is_stale = false;
        segment_name(name, segment->id, segment->first_slot);
        if (segmented_log_path(log, segment->name, from, sizeof from) == 0 &&
            segmented_log_path(log, name, to, sizeof to) == 0 &&
            disk->ops->rename(disk->self, from, to) == 0)
            memcpy(segment->name, name, sizeof name);
    }
}

int segmented_log_create_segment(struct segmented_log *log, struct segment *segment, uint32_t id)
{
    struct disk *disk = log->disk;
    char unfinished[SEGMENT_NAME_BYTES];
    char from[PATH_MAX];
    char to[PATH_MAX];
    snprintf(unfinished, sizeof unfinished, "segment-%08" PRIx32 ".tmp", id);
    *segment = (struct segment){.id = 0};
    segment_name(segment->name, id, 0);
    if (segmented_log_path(log, unfinished, from, sizeof from) != 0 ||
        segmented_log_path(log, segment->name, to, sizeof to) != 0)
        return -ENAMETOOLONG;
    int error = disk->ops->create(disk->self, from, log->owner.segment_bytes, &segment->file);
    if (error != 0)
        goto fail_create;
    segment_header_write(segment, &log->owner, id);
    segment->name_is_stale = false;
    if (log->state.is_batch_synced)
        error = disk->ops->sync(disk->self, &segment->file, 0, segment->file.size);
    if (error == 0)
        error = disk->ops->rename(disk->self, from, to);
    if (error == 0 && log->state.is_batch_synced)
        error = disk->ops->directory_sync(disk->self, log->directory);
    if (error == 0)
        return 0;
    disk->ops->close(disk->self, &segment->file);
fail_create:
    segment->file.bytes = NULL;
    (void)disk->ops->remove(disk->self, from);
    return error;
}

void segmented_log_deinit(struct segmented_log *log)
{
    for (uint32_t i = 0; log->segments != NULL && i < log->count; i++) {
        if (log->segments[i].file.bytes != NULL)
            log->disk->ops->close(log->disk->self, &log->segments[i].file);
    }
    free(log->segments);
    free(log->directory);
    log->segments = NULL;
    log->directory = NULL;
}
