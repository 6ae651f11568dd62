/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CORE_CORE_H
#define SYNOD_CORE_CORE_H

/*
 * One node's share of the protocol: Multi-Paxos with a stable leader, as a pure state machine.
 *
 * core_step() is the one door: an event goes in, effects come out, nothing else happens. It cannot
 * fail, reads no clock, allocates nothing, knows no threads; an event that makes no sense is
 * answered by a DROP effect with its reason. Same configuration and same events, same effects and
 * same state.
 *
 * The parts, each in a file of its own and all working on struct core:
 *   election         when to stand, pre-vote, campaign
 *   multi_paxos      acceptor (promise, accept) and proposer (choosing values after a campaign)
 *   leader_follower  replication from leader to followers, acknowledgements, stepping down
 *   read_index       linearizable reads without a log entry
 *   replicated_log, high_watermark, quorum: what the above are made of
 *
 * Threads: a core belongs to its node's thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "core/effects.h"
#include "core/event.h"
#include "core/quorum.h"
#include "core/replicated_log.h"

#define CORE_INFLIGHT_LIMIT 64 /* accept messages to one follower that may be unanswered */
#define CORE_PERSIST_LIMIT  64 /* PERSIST effects that may be unanswered */

struct core_config {
    uint32_t self;
    struct quorum quorum;
    uint64_t election_timeout_ns; /* a follower waits between one and two of these for its leader */
    uint64_t heartbeat_ns;        /* a leader is never silent for longer */
    uint64_t retransmit_ns;       /* what was not answered for so long is sent again */
    uint32_t window_slots;        /* most slots a leader has proposed and not yet chosen */
    uint32_t message_slots;       /* most slots named by one accept message */
    int32_t
        priorities[CORE_MAX_NODES]; /* the higher, the sooner it stands and the longer it stays */
    uint64_t seed;
};

enum core_role {
    ROLE_FOLLOWER,
    ROLE_PRE_CANDIDATE, /* asking whether an election could be won */
    ROLE_CANDIDATE,     /* phase 1 */
    ROLE_RECOVERING,    /* leads: proposes anew what phase 1 reported */
    ROLE_LEADER,        /* leads: takes proposals */
};

/* The leader's picture of one follower. */
struct core_peer {
    bool is_probed;       /* has answered at this ballot: match means something */
    uint64_t match;       /* holds every slot up to here */
    uint64_t next;        /* first slot not sent yet */
    uint64_t round;       /* highest read round it has seen */
    uint64_t round_told;  /* highest read round sent to it */
    uint64_t mark;        /* its own high watermark, as it said */
    uint64_t heard_ns;    /* last answer */
    uint64_t sent_ns;     /* last message */
    uint64_t progress_ns; /* match moved, or resending began */
    uint64_t snapshot_asked_ns;
    uint32_t inflight_first, inflight_count;
    uint64_t inflight[CORE_INFLIGHT_LIMIT]; /* last slot of each unanswered accept, oldest first */
};

/* A candidate's picture of one peer's promise, which comes in parts. */
struct core_promise {
    bool has_end;
    uint64_t end;     /* last slot it will report on */
    uint64_t covered; /* reported on without a hole up to here */
};

struct core_persist {
    enum effect_kind kind;
    uint64_t sequence;
    uint64_t ballot;
    uint64_t first, last; /* slots; none for a promise */
};

struct core {
    struct core_config config;
    struct prng prng;
    uint64_t now_ns;      /* of the last tick */
    uint64_t tick_gap_ns; /* between the last two */

    /* Acceptor */
    uint64_t promised;         /* nothing below this ballot is accepted or promised any more */
    uint64_t promised_durable; /* highest ballot that is in the log; nothing is said above it */
    uint64_t max_seen;         /* highest ballot heard of; only to choose the next one */
    uint64_t mark;             /* high watermark */
    uint64_t applied;          /* told by EVENT_APPLIED */
    uint64_t base;             /* values up to here are no longer in the log */
    struct replicated_log log; /* durable acceptances above mark */
    struct {
        int to; /* -1: nobody */
        uint64_t ballot;
        uint64_t from_slot;
    } promise_owed; /* the answer to a prepare, once the promise is durable */

    /* PERSIST effects not answered yet, oldest first */
    struct core_persist persists[CORE_PERSIST_LIMIT];
    uint32_t persist_first, persist_count;
    uint64_t persist_sequence; /* last one issued */

    enum core_role role;
    int leader; /* -1: none known */
    uint64_t role_since_ns;

    /* Follower */
    uint64_t leader_heard_ns;
    uint64_t leader_mark; /* highest mark told at the promised ballot */
    uint64_t round_seen;  /* highest read round told at the promised ballot */
    bool is_ack_due;

    /* Election */
    uint64_t election_deadline_ns;
    bool is_grace_given;       /* the deadline was put off for a pause already */
    uint64_t campaign_ballot;  /* asked about (pre-vote) or stood for */
    bool is_campaign_durable;  /* own promise is in the log: prepares may go out */
    bool is_campaign_transfer; /* the old leader asked for it */
    uint32_t vote_set;         /* nodes that granted the pre-vote, or whose promise is complete */
    uint64_t prepare_sent_ns;
    struct core_promise promises[CORE_MAX_NODES];
    struct replicated_log
        reported; /* highest ballot per slot that any promise reported, with source */

    /* Proposer and leader */
    uint64_t recover_next, recover_end; /* slots still to be proposed anew */
    uint64_t fetch_until;               /* asked for up to here; 0: nothing */
    uint64_t fetch_sent_ns;
    uint64_t fetch_since_ns; /* when the next slot to propose was first asked for */
    uint64_t log_end;        /* last slot proposed at the own ballot */
    uint64_t term_start;     /* slot of the no-op that opened this leadership */
    struct core_peer peers[CORE_MAX_NODES];
    int transfer_to; /* -1: none under way */
    uint64_t transfer_deadline_ns;
    uint64_t transfer_sent_ns;

    /* Read index */
    uint64_t round;           /* last one given to a read */
    uint64_t round_confirmed; /* a quorum has seen this one */

    uint64_t drops[DROP_REASONS];
    uint64_t elections_won;
};

/*
 * A node's life begins with core_init; then, with what its log gave back, core_restore once,
 * core_restore_accept for each accept record (in log order) and core_restore_end; then core_step.
 */
void core_init(struct core *core, const struct core_config *config);
void core_restore(struct core *core, uint64_t promised, uint64_t mark, uint64_t base);
/* False when the log is more fragmented than any correct node leaves it. */
MUST_USE bool core_restore_accept(struct core *core, uint64_t slot, uint64_t ballot);
void core_restore_end(struct core *core, uint64_t now_ns);

/* Appends to effects; the caller empties it (effects->count = 0) between steps. */
void core_step(struct core *core, const struct event *event, struct effects *effects);

/* When the next tick is needed at the latest, by the clock of the ticks. */
uint64_t core_next_tick_ns(const struct core *core);
static inline bool core_leads(const struct core *core)
{
    return core->role == ROLE_LEADER || core->role == ROLE_RECOVERING;
}
/* How many more commands a proposal could take right now (0: not leading, window full, in
 * transfer). */
uint32_t core_proposal_room(const struct core *core);
/* Whether reads can be taken on. */
static inline bool core_takes_reads(const struct core *core)
{
    return core->role == ROLE_LEADER;
}
/* Last slot this node has accepted, proposed or knows to be chosen. */
uint64_t core_log_end(const struct core *core);
const char *core_role_name(enum core_role role);

#endif
