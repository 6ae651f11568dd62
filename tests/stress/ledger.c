/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLD_AT_MOST  20
#define POINTER_BYTES sizeof(void *)

/* One check under way. */
struct audit {
    struct ledger *ledger;
    const struct ledger_epoch *epoch;
    struct ledger_write **by_id;       /* all of the epoch */
    struct ledger_write **by_revision; /* acked, by key and revision */
    size_t acked_count;
    uint64_t *revisions; /* taken, by writes acked or seen */
    size_t revision_count;
    bool *is_perhaps_removed; /* by key */
    size_t violations;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (memory == NULL) {
        (void)fputs("ledger: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void ledger_init(struct ledger *ledger, uint32_t keys)
{
    *ledger = (struct ledger){.keys = keys};
    ledger->state = allocate(keys, sizeof *ledger->state);
}

void ledger_deinit(struct ledger *ledger)
{
    free(ledger->state);
    free(ledger->unknown);
    *ledger = (struct ledger){0};
}

static __attribute__((format(printf, 2, 3))) void violation(struct audit *audit, const char *format,
                                                            ...)
{
    audit->violations++;
    if (audit->violations > TOLD_AT_MOST) {
        return;
    }
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 does not see the va_start above
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "VIOLATION: %s\n", text);
}

/* ---- Orders ---- */

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_numbers(const void *a, const void *b)
{
    return compare_u64(*(const uint64_t *)a, *(const uint64_t *)b);
}

static int compare_ids(const void *a, const void *b)
{
    const struct ledger_write *const *x = a;
    const struct ledger_write *const *y = b;
    return compare_u64((*x)->id, (*y)->id);
}

static int compare_revisions(const void *a, const void *b)
{
    const struct ledger_write *const *x = a;
    const struct ledger_write *const *y = b;
    int by_key = compare_u64((*x)->key, (*y)->key);
    return by_key != 0 ? by_key : compare_u64((*x)->revision, (*y)->revision);
}

static void sort_records(struct audit *audit)
{
    const struct ledger_epoch *epoch = audit->epoch;
    audit->by_id = allocate(epoch->write_count, POINTER_BYTES);
    audit->by_revision = allocate(epoch->write_count, POINTER_BYTES);
    for (size_t i = 0; i < epoch->write_count; i++) {
        struct ledger_write *write = &epoch->writes[i];
        audit->by_id[i] = write;
        if (write->outcome == LEDGER_ACKED) {
            audit->by_revision[audit->acked_count++] = write;
        }
    }
    qsort(audit->by_id, epoch->write_count, POINTER_BYTES, compare_ids);
    qsort(audit->by_revision, audit->acked_count, POINTER_BYTES, compare_revisions);
}

static struct ledger_write *find_write(const struct audit *audit, uint64_t id)
{
    struct ledger_write wanted = {.id = id};
    const struct ledger_write *key = &wanted;
    struct ledger_write **found =
        bsearch(&key, audit->by_id, audit->epoch->write_count, POINTER_BYTES, compare_ids);
    if (found != NULL) {
        return *found;
    }
    for (size_t i = 0; i < audit->ledger->unknown_count; i++) {
        if (audit->ledger->unknown[i].id == id) {
            return &audit->ledger->unknown[i];
        }
    }
    return NULL;
}

/* The first acked write of the key at the revision or above: an index into by_revision. */
static size_t first_acked_from(const struct audit *audit, uint32_t key, uint64_t revision)
{
    struct ledger_write bound = {.key = key, .revision = revision};
    const struct ledger_write *wanted = &bound;
    size_t low = 0;
    size_t high = audit->acked_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_revisions(&audit->by_revision[middle], &wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_acked_of(const struct audit *audit, size_t index, uint32_t key)
{
    return index < audit->acked_count && audit->by_revision[index]->key == key;
}

/* ---- Writes ---- */

static void check_place_in_time(struct audit *audit, const struct ledger_write *write)
{
    bool is_in_epoch =
        write->revision > audit->ledger->last_slot && write->revision <= audit->epoch->last_slot;
    if (!is_in_epoch) {
        violation(audit,
                  "key %" PRIu32 ": acknowledged at revision %" PRIu64
                  ", outside of its epoch's %" PRIu64 " to %" PRIu64,
                  write->key, write->revision, audit->ledger->last_slot + 1,
                  audit->epoch->last_slot);
    }
    if (write->revision <= write->floor) {
        violation(audit,
                  "key %" PRIu32 ": acknowledged at revision %" PRIu64 ", but %" PRIu64
                  " was known before it began",
                  write->key, write->revision, write->floor);
    }
}

static void check_neighbours(struct audit *audit, size_t at)
{
    const struct ledger_write *write = audit->by_revision[at];
    const struct ledger_write *before =
        at > 0 && audit->by_revision[at - 1]->key == write->key ? audit->by_revision[at - 1] : NULL;
    if (before == NULL) {
        return;
    }
    if (before->kind != LEDGER_DELETE && write->create_revision == before->create_revision &&
        write->version <= before->version) {
        violation(audit,
                  "key %" PRIu32 ": version %" PRIu64 " at revision %" PRIu64
                  " does not follow version %" PRIu64 " at revision %" PRIu64,
                  write->key, write->version, write->revision, before->version, before->revision);
    }
    if (write->kind == LEDGER_CAS && write->expected > 0 && before->revision > write->expected &&
        before->revision < write->revision) {
        violation(audit,
                  "key %" PRIu32 ": compare-and-set at revision %" PRIu64 " expected %" PRIu64
                  ", but %" PRIu64 " was acknowledged between them",
                  write->key, write->revision, write->expected, before->revision);
    }
}

static void check_writes(struct audit *audit)
{
    for (size_t i = 0; i < audit->acked_count; i++) {
        check_place_in_time(audit, audit->by_revision[i]);
        check_neighbours(audit, i);
        audit->revisions[audit->revision_count++] = audit->by_revision[i]->revision;
    }
}

/* ---- Reads ---- */

static void note_unknown_removals(struct audit *audit)
{
    audit->is_perhaps_removed = allocate(audit->ledger->keys, sizeof *audit->is_perhaps_removed);
    for (size_t i = 0; i < audit->ledger->unknown_count; i++) {
        const struct ledger_write *write = &audit->ledger->unknown[i];
        audit->is_perhaps_removed[write->key] |= write->kind == LEDGER_DELETE && write->epochs <= 1;
    }
    for (size_t i = 0; i < audit->epoch->write_count; i++) {
        const struct ledger_write *write = &audit->epoch->writes[i];
        audit->is_perhaps_removed[write->key] |=
            write->kind == LEDGER_DELETE && write->outcome == LEDGER_UNKNOWN;
    }
}

static void check_absence(struct audit *audit, const struct ledger_read *read, const char *when)
{
    const struct ledger_key *state = &audit->ledger->state[read->key];
    if (read->floor <= state->revision && !state->is_found) {
        return;
    }
    /* At its floor or later it was deleted. */
    for (size_t i = first_acked_from(audit, read->key, read->floor);
         is_acked_of(audit, i, read->key); i++) {
        if (audit->by_revision[i]->kind == LEDGER_DELETE) {
            return;
        }
    }
    if (!audit->is_perhaps_removed[read->key]) {
        violation(audit,
                  "key %" PRIu32 ": absent %s, though revision %" PRIu64
                  " was acknowledged and nothing deleted it",
                  read->key, when, read->floor);
    }
}

/* A write seen at a revision. */
static void check_origin(struct audit *audit, const struct ledger_read *read)
{
    const struct ledger_key *state = &audit->ledger->state[read->key];
    if (state->is_found && state->id == read->id && state->revision == read->revision) {
        return;
    }
    struct ledger_write *write = find_write(audit, read->id);
    if (write == NULL || write->key != read->key) {
        violation(audit,
                  "key %" PRIu32 ": revision %" PRIu64 " holds write %" PRIx64
                  ", which is not one of this key's in this epoch, nor unknown from before",
                  read->key, read->revision, read->id);
        return;
    }
    if (write->outcome == LEDGER_NOT_DONE) {
        violation(audit,
                  "key %" PRIu32 ": revision %" PRIu64 " holds write %" PRIx64
                  ", of which was said that nothing was done",
                  read->key, read->revision, read->id);
        return;
    }
    if (write->outcome == LEDGER_UNKNOWN && write->revision == 0) {
        write->revision = read->revision;
        audit->revisions[audit->revision_count++] = read->revision;
    }
    if (write->revision != read->revision) {
        violation(audit,
                  "key %" PRIu32 ": write %" PRIx64 " took effect twice, at revisions %" PRIu64
                  " and %" PRIu64,
                  read->key, read->id, write->revision, read->revision);
    }
}

static void check_read(struct audit *audit, const struct ledger_read *read, const char *when)
{
    if (!read->is_found) {
        check_absence(audit, read, when);
        return;
    }
    if (read->revision < read->floor) {
        violation(audit,
                  "key %" PRIu32 ": revision %" PRIu64 " %s, though %" PRIu64
                  " was known before: an acknowledged write is lost, or the read is stale",
                  read->key, read->revision, when, read->floor);
    }
    if (read->id != 0) {
        check_origin(audit, read);
    }
}

static uint64_t last_known(const struct audit *audit, uint32_t key)
{
    size_t behind = first_acked_from(audit, key, UINT64_MAX);
    uint64_t acked = behind > 0 && audit->by_revision[behind - 1]->key == key
                         ? audit->by_revision[behind - 1]->revision
                         : 0;
    uint64_t before = audit->ledger->state[key].revision;
    return acked > before ? acked : before;
}

static void check_finals(struct audit *audit)
{
    for (uint32_t key = 0; key < audit->ledger->keys; key++) {
        struct ledger_read final = audit->epoch->finals[key];
        final.floor = last_known(audit, key);
        check_read(audit, &final, "at the end");
    }
}

static void check_revisions_differ(struct audit *audit)
{
    qsort(audit->revisions, audit->revision_count, sizeof *audit->revisions, compare_numbers);
    for (size_t i = 1; i < audit->revision_count; i++) {
        if (audit->revisions[i] == audit->revisions[i - 1]) {
            violation(audit, "revision %" PRIu64 " belongs to two writes", audit->revisions[i]);
        }
    }
}

/* ---- Closing an epoch ---- */

static void keep_unknown(struct ledger *ledger, const struct ledger_write *write)
{
    if (ledger->unknown_count == ledger->unknown_capacity) {
        ledger->unknown_capacity = 2 * ledger->unknown_capacity + 64;
        struct ledger_write *more = allocate(ledger->unknown_capacity, sizeof *more);
        if (ledger->unknown_count > 0) {
            memcpy(more, ledger->unknown, ledger->unknown_count * sizeof *more);
        }
        free(ledger->unknown);
        ledger->unknown = more;
    }
    ledger->unknown[ledger->unknown_count++] = *write;
}

static void close_epoch(struct audit *audit)
{
    struct ledger *ledger = audit->ledger;
    const struct ledger_epoch *epoch = audit->epoch;
    for (uint32_t key = 0; key < ledger->keys; key++) {
        const struct ledger_read *final = &epoch->finals[key];
        ledger->state[key] = (struct ledger_key){
            .is_found = final->is_found,
            .revision = final->is_found ? final->revision : last_known(audit, key),
            .id = final->id,
        };
    }
    size_t kept = 0;
    for (size_t i = 0; i < ledger->unknown_count; i++) {
        if (ledger->unknown[i].revision == 0) {
            ledger->unknown[i].epochs++;
            ledger->unknown[kept++] = ledger->unknown[i];
        }
    }
    ledger->unknown_count = kept;
    for (size_t i = 0; i < epoch->write_count; i++) {
        if (epoch->writes[i].outcome == LEDGER_UNKNOWN && epoch->writes[i].revision == 0) {
            epoch->writes[i].epochs = 1;
            keep_unknown(ledger, &epoch->writes[i]);
        }
    }
    ledger->last_slot = epoch->last_slot;
}

size_t ledger_check(struct ledger *ledger, struct ledger_epoch *epoch)
{
    struct audit audit = {.ledger = ledger, .epoch = epoch};
    sort_records(&audit);
    audit.revisions = allocate(epoch->write_count + ledger->unknown_count, sizeof *audit.revisions);
    note_unknown_removals(&audit);
    check_writes(&audit);
    for (size_t i = 0; i < epoch->read_count; i++) {
        check_read(&audit, &epoch->reads[i], "when read");
    }
    check_finals(&audit);
    check_revisions_differ(&audit);
    close_epoch(&audit);
    free(audit.by_id);
    free(audit.by_revision);
    free(audit.revisions);
    free(audit.is_perhaps_removed);
    if (audit.violations > TOLD_AT_MOST) {
        (void)fprintf(stderr, "... and %zu more violations\n", audit.violations - TOLD_AT_MOST);
    }
    return audit.violations;
}
