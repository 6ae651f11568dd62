/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_STRESS_LEDGER_H
#define SYNOD_STRESS_LEDGER_H

/*
 * The books of a crash campaign: what clients were told about every write and read, checked against
 * each other and against what the cluster holds once it is quiet.
 *
 * An epoch is the time between two quiet moments. Its records are checked as one, then forgotten,
 * but for the state of each key and the writes whose outcome is still unknown: these may take
 * effect later and must be recognised then.
 *
 * What is checked, by the contract of synod/kv.h:
 *   - a revision is acknowledged once, lies within its epoch, and is above every revision that
 *     anybody had been told of before the write began
 *   - a key's version grows with its revision; a compare-and-set by revision had nothing
 *     acknowledged between what it expected and itself
 *   - what is read was written, to that key, with that revision; never what was refused; never two
 *     revisions for one write (it was done twice); never older than what anybody was told before
 *   - an absent key was deleted: by an acknowledged write, or an unknown one of this epoch or the
 *     one before (by then whatever could delay it has been emptied)
 *   - at the end each key holds its last acknowledged write or an unknown one behind it
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ledger_kind { LEDGER_PUT, LEDGER_DELETE, LEDGER_CAS };
enum ledger_outcome {
    LEDGER_ACKED,    /* took effect at `revision` */
    LEDGER_UNKNOWN,  /* may take effect, or have taken it, or not */
    LEDGER_NOT_DONE, /* never takes effect */
};

struct ledger_write {
    uint32_t key;
    uint8_t kind;
    uint8_t outcome;
    uint64_t id;       /* of the write, and in the value it wrote; never 0, never used twice */
    uint64_t floor;    /* highest revision of any key that anybody was told before it began */
    uint64_t expected; /* cas: the revision it compared with */
    uint64_t revision, version, create_revision; /* acked; unknown: where it was seen, or 0 */
    uint32_t epochs;                             /* the ledger's: closed since */
};

/* A read, or what a write that was refused tells about its key. */
struct ledger_read {
    uint32_t key;
    bool is_found;
    uint64_t floor;    /* highest revision of this key that anybody was told before it began */
    uint64_t revision; /* found */
    uint64_t id;       /* found: the write whose value it was; 0: the value was not seen */
};

struct ledger_key {
    bool is_found;
    uint64_t revision; /* found: its own; absent: the last that anybody was told of */
    uint64_t id;
};

struct ledger {
    uint32_t keys;
    struct ledger_key *state; /* as of the last quiet moment */
    struct ledger_write *unknown;
    size_t unknown_count, unknown_capacity;
    uint64_t last_slot; /* of the epoch before */
};

struct ledger_epoch {
    struct ledger_write *writes; /* put into order by the check */
    size_t write_count;
    const struct ledger_read *reads;
    size_t read_count;
    const struct ledger_read *finals; /* one a key, read while all was quiet; floors are not used */
    uint64_t last_slot;
};

void ledger_init(struct ledger *ledger, uint32_t keys);
void ledger_deinit(struct ledger *ledger);
/* Checks an epoch and closes it. The number of violations; each is told on stderr. */
size_t ledger_check(struct ledger *ledger, struct ledger_epoch *epoch);

#endif
