/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_KV_H
#define SYNOD_KV_H

/*
 * The key-value service: put, get, delete, compare-and-set. Two ways to call it: one blocking call
 * an operation, or submit and poll with many in flight. Both may be mixed on one handle.
 *
 * All writes are linearizable: an OK, NOT_FOUND or MISMATCH took effect at one instant between call
 * and return, in the order of the replicated log; `revision` is its slot there. Reads say what they
 * are per consistency. After TIMEOUT the outcome is unknown; after BUSY, NO_LEADER, INVALID and
 * CLOSED nothing happened. Requests in flight together are concurrent, those of one handle too:
 * they may take effect in any order (and do when a leader crashes and some are sent again).
 *
 * Threads: the handle's own (WRONG_THREAD otherwise). A NULL handle answers CLOSED.
 */
#include "synod/client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct synod_bytes {
    const void *data;
    size_t size;
};

enum synod_operation { SYNOD_PUT, SYNOD_GET, SYNOD_DELETE, SYNOD_CAS };

enum synod_compare {
    SYNOD_COMPARE_REVISION, /* the key's revision equals expected_revision; 0: the key is absent */
    SYNOD_COMPARE_VALUE,    /* the key is there with exactly the expected bytes */
    SYNOD_COMPARE_ABSENT,
};

enum synod_consistency {
    SYNOD_READ_QUORUM, /* linearizable: the leader confirms with a quorum that it still leads, then
                          answers from its store. One round trip, no log entry. The default. */
    SYNOD_READ_LOG,    /* linearizable: the read is a log entry like a write */
};

struct synod_request {
    enum synod_operation operation;
    struct synod_bytes key;             /* 1 .. max_key_bytes */
    struct synod_bytes value;           /* put, cas: 0 .. max_value_bytes */
    enum synod_compare compare;         /* cas */
    struct synod_bytes expected;        /* cas by value */
    uint64_t expected_revision;         /* cas by revision */
    bool removes;                       /* cas: remove the key instead of setting value */
    enum synod_consistency consistency; /* get */
    uint64_t timeout_ns; /* from submission, to be exact from the first one since the last poll or
                            flush; 0: the default, 5 s */
    uint64_t tag;        /* yours; comes back in the completion */
};

struct synod_completion {
    uint64_t tag;
    enum synod_operation operation;
    enum synod_status status;
    uint64_t revision; /* put, cas OK: this write's slot; get OK and cas MISMATCH: the slot that
                          last wrote the key (0: absent); delete OK: the slot of the removal */
    uint64_t version;  /* writes to this key since it was created, this one included */
    uint64_t create_revision; /* slot that created the key */
    struct synod_bytes value; /* get OK; valid until the next call on this handle */
};

/*
 * Puts a request into the cluster's hands: everything named by pointers is copied before the call
 * returns. OK: exactly one completion will come out of synod_poll. Anything else: none will, and
 * nothing was done: BUSY (too much in flight: poll), INVALID (empty or too long key, too long
 * value, unknown operation), CLOSED, WRONG_THREAD. Never blocks. Requests are handed over in order,
 * and those not yet flushed go out with the next poll or synod_flush.
 */
SYNOD_MUST_USE enum synod_status synod_submit(struct synod_client *client,
                                              const struct synod_request *request);
/* Hands over what was submitted since. */
void synod_flush(struct synod_client *client);
/*
 * Takes up to max completions; waits up to timeout_ns (0: not at all) until there is at least one;
 * never while nothing is in flight. Returns how many. Flushes. After the cluster was closed,
 * whatever was in flight comes out at once. Values in the completions stay valid until the next
 * call on this handle.
 */
size_t synod_poll(struct synod_client *client, struct synod_completion *completions, size_t max,
                  uint64_t timeout_ns);
/* Requests submitted and not yet completed. */
size_t synod_in_flight(const struct synod_client *client);

/*
 * The blocking calls; timeout_ns 0 means the default, 5 s. `done` may be NULL; done->value is valid
 * until the next call on this handle. put: OK. get: OK, NOT_FOUND. delete: OK, NOT_FOUND. cas: OK,
 * MISMATCH. All: TIMEOUT, NO_LEADER, BUSY, INVALID, CLOSED, WRONG_THREAD.
 */
SYNOD_MUST_USE enum synod_status synod_put(struct synod_client *client, struct synod_bytes key,
                                           struct synod_bytes value, uint64_t timeout_ns,
                                           struct synod_completion *done);
SYNOD_MUST_USE enum synod_status synod_get(struct synod_client *client, struct synod_bytes key,
                                           enum synod_consistency consistency, uint64_t timeout_ns,
                                           struct synod_completion *done);
SYNOD_MUST_USE enum synod_status synod_delete(struct synod_client *client, struct synod_bytes key,
                                              uint64_t timeout_ns, struct synod_completion *done);
/* Replaces the key's value if its revision is expected_revision (0: if the key is absent). */
SYNOD_MUST_USE enum synod_status synod_cas(struct synod_client *client, struct synod_bytes key,
                                           uint64_t expected_revision, struct synod_bytes value,
                                           uint64_t timeout_ns, struct synod_completion *done);

#ifdef __cplusplus
}
#endif

#endif
