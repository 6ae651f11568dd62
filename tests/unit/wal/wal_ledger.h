/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_TEST_WAL_LEDGER_H
#define SYNOD_TEST_WAL_LEDGER_H

#include "wal_fixture.h"

/* What the caller of a log has been promised, to be held against what recovery gives back. */
struct ledger {
    uint64_t ballot_of[FIXTURE_INDEX_SLOTS * 4]; /* by slot; 0: not appended */
    uint64_t durable_ballot_of[FIXTURE_INDEX_SLOTS * 4];
    uint64_t promised, durable_promised;
    uint64_t released; /* slots <= this may be gone */
    uint64_t last;
};

static inline void ledger_sync(struct ledger *ledger)
{
    memcpy(ledger->durable_ballot_of, ledger->ballot_of, sizeof ledger->ballot_of);
    ledger->durable_promised = ledger->promised;
}

/* Nothing durable is missing, nothing is found that was not appended. */
static inline void ledger_check(const struct ledger *ledger, const struct fixture *f,
                                const char *when)
{
    ck_assert_msg(!f->is_replay_wrong, "%s: a record nobody wrote", when);
    ck_assert_msg(f->recovery.promised >= ledger->durable_promised, "%s: promise lost", when);
    ck_assert_msg(f->recovery.promised <= ledger->promised, "%s: promise made up", when);
    for (uint64_t slot = ledger->released + 1; slot <= ledger->last; slot++) {
        struct record record;
        bool is_found = wal_find(f->wal, slot, &record);
        uint64_t durable = ledger->durable_ballot_of[slot];
        ck_assert_msg(is_found || durable == 0, "%s: slot %lu lost", when, (unsigned long)slot);
        ck_assert_msg(
            !is_found || (record.ballot >= durable && record.ballot <= ledger->ballot_of[slot]),
            "%s: slot %lu has ballot %lu", when, (unsigned long)slot, (unsigned long)record.ballot);
    }
}

/* One random act of a log's owner. False when the log was full. */
static inline bool ledger_act(struct wal *wal, struct ledger *ledger, struct prng *prng)
{
    int error = 0;
    uint64_t ballot = ledger->promised + prng_below(prng, 20) / 19;
    uint64_t dice = prng_below(prng, 1000);
    if (dice < 960) {
        uint64_t slot = ledger->last + 1;
        if (dice < 50 && ledger->last > ledger->released + 10)
            slot -= 1 + prng_below(prng, 9); /* again, at a ballot not lower */
        error = append_value(wal, slot, ballot);
        if (error == 0) {
            ledger->ballot_of[slot] = ballot;
            ledger->last = slot > ledger->last ? slot : ledger->last;
            ledger->promised = ballot;
        }
    } else {
        error = wal_append_promise(wal, ballot + 1);
        ledger->promised += error == 0 ? ballot + 1 - ledger->promised : 0;
    }
    ck_assert(error == 0 || error == -ENOSPC);
    return error == 0;
}

/* Makes room as the owner of a full log does. */
static inline void ledger_make_room(struct wal *wal, struct ledger *ledger, struct prng *prng)
{
    ledger->released += (ledger->last - ledger->released) * (1 + prng_below(prng, 4)) / 4;
    wal_release(wal, ledger->released);
    wal_reclaim(wal);
}

#endif
