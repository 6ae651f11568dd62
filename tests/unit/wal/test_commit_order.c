/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "test_main.h"
#include "wal/segmented_log.h"
#include "wal_fixture.h"

/*
 * kill -9 between any two instructions of an append: a child appends under single-stepping, and
 * after every step its files are looked at as recovery would see them had it died there.
 */

enum { APPENDS = 24, STEPS_MAX = 20000000 };

/* Shared with the child. */
struct progress {
    _Atomic uint64_t begun; /* appends begun; APPENDS + 1 when through */
    _Atomic uint64_t done;  /* appends that have returned */
};

static uint64_t first_slot; /* the child appends first_slot .. first_slot + APPENDS - 1 */

static _Noreturn void append_stepwise(struct fixture *f, struct progress *progress)
{
    /* The tracer is there from the stop on. */
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(2);
    raise(SIGSTOP);
    for (uint64_t i = 0; i < APPENDS; i++) {
        atomic_store_explicit(&progress->begun, i + 1, memory_order_release);
        if (append_value(f->wal, first_slot + i, 4) != 0)
            _exit(3);
        atomic_store_explicit(&progress->done, i + 1, memory_order_release);
    }
    atomic_store_explicit(&progress->begun, APPENDS + 1, memory_order_release);
    _exit(0);
}

struct view {
    struct segment segments[2]; /* the one that fills up, and its successor */
    size_t offset[2];           /* all records before were seen to be good */
    uint64_t found;             /* records of the child's among them */
    bool is_sealed;
};

/* Reads on from where the last look ended. */
static void view_read_on(struct view *view)
{
    for (int i = 0; i <= (int)view->is_sealed; i++) {
        struct record_check check;
        size_t offset = 0;
        struct segment_walk walk = {
            .segment = &view->segments[i], .offset = view->offset[i], .is_verified = true};
        while (segment_walk_next(&walk, &check, &offset)) {
            const struct record *record = &check.record;
            ck_assert(!view->is_sealed || i == 1);
            if (record->kind == RECORD_VALUE && record->slot >= first_slot) {
                ck_assert_uint_eq(record->slot, first_slot + view->found);
                ck_assert(value_is_written(record, record->slot, 4, 4));
                view->found++;
            }
            if ((uint32_t)record->kind == RECORD_SEAL)
                view->is_sealed = true;
        }
        view->offset[i] = walk.offset;
    }
}

static void view_check(struct view *view, const struct progress *progress)
{
    view_read_on(view);
    uint64_t done = atomic_load_explicit(&progress->done, memory_order_acquire);
    uint64_t begun = atomic_load_explicit(&progress->begun, memory_order_acquire);
    ck_assert_uint_ge(view->found, done);
    ck_assert_uint_le(view->found, begun);
    /* Nothing but an unfinished record behind the end: its commit word is still blank. */
    const struct segment *last = &view->segments[view->is_sealed];
    ck_assert_uint_eq(bytes_load_u64(last->file.bytes + view->offset[view->is_sealed]), 0);
}

/* The ring filled and emptied once, so that the appends go over the records of an earlier life, and
 * the active segment filled until an append of the child's will roll. */
static void prepare_log(struct fixture *f)
{
    fixture_start(f);
    uint64_t slot = append_until_rolled(f->wal, 1, 4, 3);
    wal_release(f->wal, slot - 2);
    wal_reclaim(f->wal);
    slot = append_until_rolled(f->wal, slot, 4, 1);
    struct wal_space before;
    wal_space(f->wal, &before);
    uint64_t room = FIXTURE_SEGMENT_BYTES - SEGMENT_HEADER_BYTES - LOG_STATE_RECORD_BYTES -
                    SEGMENT_APPEND_ROOM - 1200;
    struct wal_space now = before;
    for (; now.bytes_appended - before.bytes_appended < room; slot++) {
        ck_assert_int_eq(append_value(f->wal, slot, 4), 0);
        wal_space(f->wal, &now);
    }
    ck_assert_uint_eq(now.rolls, before.rolls);
    first_slot = slot;
}

static void view_init(struct view *view, struct fixture *f)
{
    struct image image;
    struct segment_owner owner;
    char path[PATH_MAX];
    memset(view, 0, sizeof *view);
    image_take(&image, f->directory);
    for (uint32_t i = 0; i < 2; i++) {
        struct image_file *file = image_segment(&image, 5 + i);
        ck_assert_ptr_nonnull(file);
        ck_assert_int_lt(snprintf(path, sizeof path, "%s/%s", f->directory, file->name), PATH_MAX);
        ck_assert_int_eq(disk_file()->ops->open(NULL, path, &view->segments[i].file), 0);
        ck_assert_int_eq(segment_header_read(&view->segments[i], &owner), 0);
        view->offset[i] = SEGMENT_HEADER_BYTES;
    }
    image_free(&image);
}

START_TEST(kill_between_any_two_instructions_leaves_whole_records)
{
    struct fixture f;
    struct view view;
    prepare_log(&f);
    view_init(&view, &f);
    char path[PATH_MAX];
    struct disk_file shared;
    ck_assert_int_lt(snprintf(path, sizeof path, "%s/progress", f.directory), PATH_MAX);
    ck_assert_int_eq(disk_file()->ops->create(NULL, path, 4096, &shared), 0);
    struct progress *progress = (struct progress *)(void *)shared.bytes;

    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        append_stepwise(&f, progress);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    bool is_allowed = WIFSTOPPED(status); /* some sandboxes forbid ptrace */
    unsigned torn = 0;
    for (int step = 0; is_allowed && step < STEPS_MAX; step++) {
        ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSTOPPED(status));
        view_check(&view, progress);
        torn += !segment_is_blank_at(&view.segments[view.is_sealed], view.offset[view.is_sealed]);
        if (atomic_load_explicit(&progress->begun, memory_order_acquire) > APPENDS)
            break;
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    if (is_allowed) {
        ck_assert_uint_eq(view.found, APPENDS);
        ck_assert(view.is_sealed); /* one of the appends rolled */
        ck_assert_uint_gt(torn, 0);
    }
    for (int i = 0; i < 2; i++)
        disk_file()->ops->close(NULL, &view.segments[i].file);
    disk_file()->ops->close(NULL, &shared);
    fixture_end(&f);
}
END_TEST

TEST_MAIN("wal/commit_order", kill_between_any_two_instructions_leaves_whole_records)
