/* SPDX-License-Identifier: MIT */
#include "wal/log_recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 65536u /* files looked at in a directory */

/* One recovery under way. `segments` of the log is in order of ids until ring_complete(). */
struct run {
    struct segmented_log *log;
    const struct wal_config *config;
    struct wal_recovery *report;
    uint32_t found;    /* files named as segments */
    uint32_t readable; /* those with a header: segments[0 .. readable) */
    char (*unfinished)[SEGMENT_NAME_BYTES];
    uint32_t unfinished_count;
    int list_error;

    /* What walking the log found. */
    struct log_state state;
    bool has_state;
    uint64_t
        released_floor; /* appends beyond released + index_slots are refused: so far it had come */
    uint64_t highest_slot;
    uint32_t tail; /* in segments: where the walk stopped */
    size_t tail_offset;
    struct record_check stop; /* what stood there */
    struct segment_survivors behind;
    bool is_tail_torn;
};

static void report_damage(struct wal_recovery *report, const char *name, uint64_t offset,
                          const struct record_check *check, uint64_t good_after)
{
    snprintf(report->damaged_segment, sizeof report->damaged_segment, "%s", name);
    report->damaged_offset = offset;
    report->checksum_stored = check != NULL ? check->checksum_stored : 0;
    report->checksum_computed = check != NULL ? check->checksum_computed : 0;
    report->good_after = good_after;
}

/* The segment that ought to have this id is not there; those of segments[from..] are behind it. */
static int missing_segment(struct run *run, uint32_t id, uint32_t from)
{
    struct segment_survivors behind = {.count = 0};
    for (uint32_t i = from; i < run->readable; i++) {
        if (segment_find_survivors(&run->log->segments[i], SEGMENT_HEADER_BYTES, &behind) != 0)
            return -ENOMEM;
    }
    char name[SEGMENT_NAME_BYTES];
    snprintf(name, sizeof name, "segment-%08" PRIx32 " (missing)", id);
    report_damage(run->report, name, 0, NULL, behind.count);
    return -EBADMSG;
}

static void on_name(void *context, const char *name)
{
    struct run *run = context;
    struct segmented_log *log = run->log;
    bool is_unfinished = segment_name_is_unfinished(name);
    if (run->list_error != 0 || (!is_unfinished && !segment_name_is_segment(name)))
        return;
    uint32_t *count = is_unfinished ? &run->unfinished_count : &run->found;
    size_t size = is_unfinished ? sizeof *run->unfinished : sizeof *log->segments;
    void *grown = *count < SEGMENTS_MAX
                      ? realloc(is_unfinished ? (void *)run->unfinished : (void *)log->segments,
                                (*count + 1) * size)
                      : NULL;
    if (grown == NULL) {
        run->list_error = -ENOMEM;
        return;
    }
    if (is_unfinished) {
        run->unfinished = grown;
        snprintf(run->unfinished[*count], SEGMENT_NAME_BYTES, "%s", name);
    } else {
        log->segments = grown;
        log->segments[*count] = (struct segment){.id = 0};
        snprintf(log->segments[*count].name, SEGMENT_NAME_BYTES, "%s", name);
    }
    ++*count;
}

static int open_segment(struct run *run, struct segment *segment)
{
    struct segmented_log *log = run->log;
    struct segment_owner owner;
    char path[PATH_MAX];
    int error = segmented_log_path(log, segment->name, path, sizeof path);
    if (error == 0)
        error = log->disk->ops->open(log->disk->self, path, &segment->file);
    if (error != 0)
        return error;
    error = segment_header_read(segment, &owner);
    if (error == -EBADMSG && segment->file.size == log->owner.segment_bytes)
        return 0; /* caught on its way from one life to the next, or damaged: judged below */
    if (error != 0)
        goto refuse;
    run->readable++;
    if (owner.cluster_id != log->owner.cluster_id || owner.node != log->owner.node)
        return -EXDEV;
    if (segment->file.size != owner.segment_bytes) {
        error = -EBADMSG;
        goto refuse;
    }
    return owner.segment_bytes == log->owner.segment_bytes ? 0 : -EINVAL;
refuse:
    if (error == -EBADMSG)
        report_damage(run->report, segment->name, 0, NULL, 0);
    return error;
}

static int compare_ids(const void *left, const void *right)
{
    /* Unreadable ones, id 0, go last. */
    uint32_t a = ((const struct segment *)left)->id - 1;
    uint32_t b = ((const struct segment *)right)->id - 1;
    return (a > b) - (a < b);
}

/* Opens what is there and puts it in order; the ids must be an unbroken run. */
static int ring_open(struct run *run)
{
    struct segmented_log *log = run->log;
    int error = log->disk->ops->list(log->disk->self, log->directory, on_name, run);
    error = error != 0 ? error : run->list_error;
    log->count = run->found;
    for (uint32_t i = 0; i < run->found && error == 0; i++)
        error = open_segment(run, &log->segments[i]);
    if (error != 0 || run->found == 0)
        return error;

    qsort(log->segments, run->found, sizeof *log->segments, compare_ids);
    for (uint32_t i = 1; i < run->readable; i++) {
        uint32_t expected = log->segments[i - 1].id + 1;
        if (log->segments[i].id == expected)
            continue;
        if (log->segments[i].id > expected)
            return missing_segment(run, expected, i);
        report_damage(run->report, log->segments[i].name, 0, NULL, 0); /* the same id twice */
        return -EBADMSG;
    }
    /* Segments change lives one at a time, and a file has its name only once it has a header. */
    if (run->readable == 0 || run->found - run->readable > 1) {
        report_damage(run->report, log->segments[run->readable].name, 0, NULL, 0);
        return -EBADMSG;
    }
    log->lowest = log->segments[0].id;
    return 0;
}

static void account(struct run *run, struct segment *segment, const struct record *record,
                    uint64_t position)
{
    struct log_state *state = &run->state;
    uint64_t promised = state->promised;
    uint64_t mark = state->mark;
    switch ((uint32_t)record->kind) {
    case RECORD_STATE:
        log_state_read(state, record);
        run->has_state = true;
        if (state->reset_position == position) {
            for (uint32_t i = 0; i < run->readable; i++)
                run->log->segments[i].highest_slot = 0;
            run->highest_slot = 0;
        }
        break;
    case RECORD_VALUE:
    case RECORD_NOOP:
        if (record->slot > segment->highest_slot)
            segment->highest_slot = record->slot;
        if (record->slot > run->highest_slot)
            run->highest_slot = record->slot;
        if (record->slot > state->index_slots &&
            record->slot - state->index_slots > run->released_floor)
            run->released_floor = record->slot - state->index_slots;
        promised = record->ballot > promised ? record->ballot : promised;
        break;
    case RECORD_PROMISE:
        promised = record->ballot > promised ? record->ballot : promised;
        break;
    case RECORD_MARK:
        mark = record->slot > mark ? record->slot : mark;
        break;
    default:
        break;
    }
    state->promised = state->promised > promised ? state->promised : promised;
    state->mark = state->mark > mark ? state->mark : mark;
}

/* Reads the log from its first record to the first place that holds none. */
static int log_walk(struct run *run)
{
    struct segmented_log *log = run->log;
    for (uint32_t i = 0; i < run->readable; i++) {
        struct segment *segment = &log->segments[i];
        struct segment_walk walk = {
            .segment = segment, .offset = SEGMENT_HEADER_BYTES, .is_verified = true};
        bool is_sealed = false;
        size_t offset = 0;
        while (!is_sealed && segment_walk_next(&walk, &run->stop, &offset)) {
            uint32_t kind = (uint32_t)run->stop.record.kind;
            if (offset == SEGMENT_HEADER_BYTES && kind != RECORD_STATE) {
                report_damage(run->report, segment->name, offset, &run->stop, 1);
                return -EBADMSG;
            }
            account(run, segment, &run->stop.record, log_position(segment->id, offset));
            is_sealed = kind == RECORD_SEAL;
        }
        run->tail = i;
        run->tail_offset = walk.offset;
        if (!is_sealed)
            return 0;
    }
    /* The last segment was left for a next one, which existed by then. */
    return missing_segment(run, log->segments[run->readable - 1].id + 1, run->readable);
}

/* Torn tail or damage? The decision table of docs/wal-format.md. */
static int judge(struct run *run)
{
    struct segmented_log *log = run->log;
    struct segment *tail = &log->segments[run->tail];
    bool is_blank = segment_is_blank_at(tail, run->tail_offset);
    int error = segment_find_survivors(tail, run->tail_offset, &run->behind);
    for (uint32_t i = run->tail + 1; i < run->readable; i++)
        is_blank = is_blank && segment_is_blank_at(&log->segments[i], SEGMENT_HEADER_BYTES);
    /* A spare that looks untouched is, unless a power failure lost its first page and no other. */
    bool is_searched = !is_blank || run->state.is_batch_synced;
    for (uint32_t i = run->tail + 1; i < run->readable && is_searched && error == 0; i++)
        error = segment_find_survivors(&log->segments[i], SEGMENT_HEADER_BYTES, &run->behind);
    if (error != 0)
        return error;

    bool is_damage = run->behind.count > 0;
    if (run->has_state && run->state.is_batch_synced)
        is_damage = run->behind.proof > log_position(tail->id, run->tail_offset);
    if (!run->has_state && tail->id != 1)
        is_damage = true; /* the oldest segment of a log that went on has a state record */
    if (is_damage) {
        /* Without any state record the unreadable file is the more likely home of the log. */
        bool is_lost = !run->has_state && run->readable < run->found;
        const char *name = is_lost ? log->segments[run->readable].name : tail->name;
        report_damage(run->report, name, run->tail_offset, &run->stop, run->behind.count);
        return -EBADMSG;
    }
    if (run->has_state && log->lowest > run->state.first_segment)
        return missing_segment(run, log->lowest - 1, 0);
    run->is_tail_torn = !is_blank || run->behind.count > 0;
    return 0;
}

static int sync_segment(struct run *run, struct segment *segment)
{
    struct disk *disk = run->log->disk;
    if (!run->log->state.is_batch_synced)
        return 0;
    return disk->ops->sync(disk->self, &segment->file, 0, segment->file.size);
}

/* Cuts a torn tail, the farthest part first so that a crash here finds the same cut to make. */
static int cut(struct run *run)
{
    struct segmented_log *log = run->log;
    int error = 0;
    for (uint32_t i = run->readable - 1; run->is_tail_torn && i > run->tail && error == 0; i--) {
        if (run->behind.count == 0 && segment_is_blank_at(&log->segments[i], SEGMENT_HEADER_BYTES))
            continue; /* nothing in it can ever verify */
        size_t end = segment_wipe(&log->segments[i], SEGMENT_HEADER_BYTES);
        error = end > SEGMENT_HEADER_BYTES ? sync_segment(run, &log->segments[i]) : 0;
    }
    if (run->is_tail_torn && error == 0)
        (void)segment_wipe(&log->segments[run->tail], run->tail_offset);
    /* What recovery hands out will be answered for: it has to be as durable as if appended now. */
    for (uint32_t i = 0; i <= run->tail && error == 0; i++)
        error = sync_segment(run, &log->segments[i]);
    return error;
}

/* Gives new lives to segments nobody needs, creates those that are missing, and deals all of them
 * into the table by id. */
static int ring_complete(struct run *run)
{
    struct segmented_log *log = run->log;
    uint32_t count =
        run->found > run->config->segment_count ? run->found : run->config->segment_count;
    struct segment *table = calloc(count, sizeof *table);
    struct segment *grown = realloc(log->segments, count * sizeof *grown);
    log->segments = grown != NULL ? grown : log->segments;
    if (table == NULL || grown == NULL) {
        free(table);
        return -ENOMEM;
    }
    uint32_t highest = log->lowest + run->readable - 1;
    int error = highest > SEGMENT_ID_LAST - 2 * count ? -ENOSPC : 0;
    if (run->readable < run->found && error == 0)
        error = segmented_log_recycle(log, &log->segments[run->readable], ++highest);
    for (uint32_t i = 0; i < run->tail && error == 0 && log->lowest < run->state.first_segment;
         i++) {
        error = segmented_log_recycle(log, &log->segments[i], ++highest);
        log->lowest += error == 0;
    }
    while (log->count < count && error == 0) {
        error = segmented_log_create_segment(log, &log->segments[log->count], highest + 1);
        highest += error == 0;
        log->count += error == 0;
    }
    if (error != 0) {
        free(table);
        return error;
    }
    for (uint32_t i = 0; i < count; i++)
        table[log->segments[i].id % count] = log->segments[i];
    free(log->segments);
    log->segments = table;
    atomic_store_explicit(&log->highest, highest, memory_order_release); /* as [W1] */
    return 0;
}

/* Removes the files this run created, newest first so that the ids stay an unbroken run. */
static void uncreate(struct run *run)
{
    struct segmented_log *log = run->log;
    char path[PATH_MAX];
    for (; log->count > run->found; log->count--) {
        struct segment *segment = &log->segments[log->count - 1];
        log->disk->ops->close(log->disk->self, &segment->file);
        if (segmented_log_path(log, segment->name, path, sizeof path) == 0)
            (void)log->disk->ops->remove(log->disk->self, path);
    }
}

static void remove_unfinished(struct run *run)
{
    struct segmented_log *log = run->log;
    char path[PATH_MAX];
    for (uint32_t i = 0; i < run->unfinished_count; i++) {
        if (segmented_log_path(log, run->unfinished[i], path, sizeof path) == 0)
            (void)log->disk->ops->remove(log->disk->self, path);
    }
}

/* Makes the log ready for appends at the place where the walk stopped. */
static int start(struct run *run, uint32_t tail_id)
{
    struct segmented_log *log = run->log;
    bool is_batch = run->config->sync == WAL_SYNC_BATCH;
    bool is_new_state = run->tail_offset == SEGMENT_HEADER_BYTES ||
                        run->state.index_slots != run->config->index_slots ||
                        run->state.is_batch_synced != is_batch;
    log->live = run->state.first_segment;
    log->written_first_segment = log->live;
    segmented_log_activate(log, tail_id, run->tail_offset);
    log->state = run->state;
    log->state.is_batch_synced = is_batch;
    log->state.index_slots = run->config->index_slots;
    log->state.synced_position = segmented_log_end(log);
    log->clean_position = log->state.synced_position;
    if (is_new_state) {
        int error = segmented_log_append_state(log, SEGMENT_RESET_ROOM);
        if (error != 0)
            return error;
    }
    if (log->names_are_stale)
        segmented_log_rename(log);
    (void)segmented_log_prepare(log, 1); /* the active segment itself */
    return segmented_log_sync(log);
}

int log_recovery_open(struct segmented_log *log, const struct wal_config *config,
                      struct wal_recovery *report, uint64_t *highest_slot)
{
    struct run run = {.log = log, .config = config, .report = report};
    run.state = (struct log_state){.first_segment = 1, .index_slots = config->index_slots};
    run.state.is_batch_synced = config->sync == WAL_SYNC_BATCH;
    run.tail_offset = SEGMENT_HEADER_BYTES;
    log->lowest = 1;

    int error = ring_open(&run);
    if (error == 0 && run.found > 0)
        error = log_walk(&run);
    if (error == 0 && run.found > 0)
        error = judge(&run);
    report->promised = run.state.promised;
    report->mark = run.state.mark;
    report->tail_was_torn = run.is_tail_torn;
    if (error != 0)
        goto done;

    /* From here on the disk changes. */
    uint32_t tail_id = run.found > 0 ? log->segments[run.tail].id : 1;
    if (run.released_floor > run.state.released)
        run.state.released = run.released_floor;
    log->state.is_batch_synced = run.state.is_batch_synced || config->sync == WAL_SYNC_BATCH;
    remove_unfinished(&run);
    if (run.found > 0)
        error = cut(&run);
    if (error == 0)
        error = ring_complete(&run);
    if (error != 0) {
        uncreate(&run);
        goto done;
    }
    error = start(&run, tail_id);
    *highest_slot = run.highest_slot;
done:
    free(run.unfinished);
    return error;
}

void log_recovery_replay(const struct segmented_log *log, log_replay_fn *fn, void *context)
{
    uint32_t active = log->active_segment->id;
    for (uint32_t id = log->lowest; id <= active; id++) {
        const struct segment *segment = segmented_log_segment(log, id);
        struct segment_walk walk = {
            .segment = segment, .offset = SEGMENT_HEADER_BYTES, .end = segment->file.size};
        if (id == active)
            walk.end = (size_t)(log->tail - segment->file.bytes);
        struct record_check check;
        size_t offset = 0;
        while (segment_walk_next(&walk, &check, &offset)) {
            uint32_t kind = (uint32_t)check.record.kind;
            if (kind == RECORD_SEAL)
                break;
            bool is_accept = kind == RECORD_VALUE || kind == RECORD_NOOP;
            bool is_void = is_accept && (check.record.slot <= log->state.released ||
                                         log_position(id, offset) < log->state.reset_position);
            if (kind < RECORD_STATE && !is_void)
                fn(context, &check.record, id % log->count, (uint32_t)offset);
        }
    }
}
