/* SPDX-License-Identifier: MIT */
#include "replica/replica.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replica/replica_internal.h"

#define MESSAGES_A_TURN 256
#define APPLIES_A_TURN  1024
#define READ_BYTES      (1u << 20)
#define ROOM_PATIENCE_NS                                                                           \
    UINT64_C(100000000) /* 100 ms without log space, then requests are refused */

/* Wall clocks of one machine's threads agree; a stamp further ahead than this comes from damage. */
#define HYBRID_FORWARD_NS UINT64_C(60000000000)

/* ---- Stepping the core ---- */

void replica_fail(struct replica *replica, int error)
{
    if (replica->failure == 0) {
        replica->failure = error;
    }
}

static void step_once(struct replica *replica, const struct event *event)
{
    replica->effects.count = 0;
    core_step(&replica->core, event, &replica->effects);
    execute_effects(replica);
}

/* Tells the core how its PERSIST effects up to `last` went, in their order. */
static void tell_persisted(struct replica *replica, uint64_t last)
{
    while (replica->told < last && replica->failure == 0) {
        uint64_t bit = UINT64_C(1) << ((replica->told + 1) % CORE_PERSIST_LIMIT);
        struct event event = {.kind = EVENT_PERSISTED};
        if ((replica->failed_set & bit) != 0) {
            replica->failed_set &= ~bit;
            replica->told++;
            event.kind = EVENT_PERSIST_FAILED;
        } else {
            do {
                replica->told++;
                bit = UINT64_C(1) << ((replica->told + 1) % CORE_PERSIST_LIMIT);
            } while (replica->told < last && (replica->failed_set & bit) == 0);
        }
        event.sequence = replica->told;
        step_once(replica, &event);
    }
}

void replica_step(struct replica *replica, const struct event *event)
{
    step_once(replica, event);
    if (replica->config.sync == WAL_SYNC_NONE) {
        /* What is in the mapping is durable, also what is appended on hearing so. */
        while (replica->told < replica->persisted && replica->failure == 0) {
            tell_persisted(replica, replica->persisted);
        }
    }
}

static void sync_log(struct replica *replica)
{
    if (replica->told == replica->persisted || replica->failure != 0) {
        return;
    }
    uint64_t last =
        replica->persisted; /* what is appended on hearing of these waits for the next */
    int error = wal_sync(replica->wal);
    if (error < 0) {
        replica_fail(replica, error);
        return;
    }
    tell_persisted(replica, last);
}

void replica_send(struct replica *replica, uint32_t to, struct core_message *message)
{
    message->lamport = lamport_clock_tick(&replica->lamport);
    if (replica->config.ports.message_send(replica->config.ports.self, to, message)) {
        replica->messages_sent++;
    } else {
        replica->messages_lost++;
    }
}

/* ---- Requests ---- */

void replica_reply(struct replica *replica, uint32_t client, uint64_t sequence,
                   enum reply_status status, const struct store_outcome *outcome)
{
    struct reply reply = {.client = client, .sequence = sequence, .status = status};
    if (outcome != NULL) {
        reply.outcome = *outcome;
    }
    const struct replica_ports *ports = &replica->config.ports;
    if (!ports->reply_send(ports->self, &reply)) {
        struct reply busy = {.client = client, .sequence = sequence, .status = REPLY_BUSY};
        (void)ports->reply_send(ports->self, &busy);
    }
}

void replica_forget_proposals(struct replica *replica, uint64_t slot)
{
    struct waiting_list *list = &replica->waiting;
    for (uint64_t i = 0; i <= list->mask && list->proposals_waiting > 0; i++) {
        struct waiting_proposal proposal = list->proposals[i];
        if (proposal.slot != 0 && proposal.slot <= slot &&
            waiting_list_take(list, proposal.slot, &proposal)) {
            replica_reply(replica, proposal.client, proposal.sequence, REPLY_UNKNOWN, NULL);
        }
    }
}

void replica_refuse_reads(struct replica *replica)
{
    while (waiting_list_has_reads(&replica->waiting)) {
        const uint8_t *key;
        const struct waiting_read *read = waiting_list_first_read(&replica->waiting, &key);
        replica_reply(replica, read->client, read->sequence, REPLY_NOT_LEADER, NULL);
        waiting_list_drop_first_read(&replica->waiting);
    }
}

static uint32_t request_room(const struct replica *replica)
{
    if (replica->open_bytes >= housekeeping_open_limit(replica)) {
        return 0;
    }
    uint32_t room = core_proposal_room(&replica->core);
    /* The waiting list has a place for each slot not applied yet. */
    uint64_t open = replica->core.log_end - replica->applied;
    uint64_t places = replica->waiting.mask + 1;
    if (open + room > places) {
        room = open >= places ? 0 : (uint32_t)(places - open);
    }
    return room < replica->config.batch_slots ? room : replica->config.batch_slots;
}

/* Whether requests stay in their lanes for now; the clients see those fill up. A full window opens
 * with the next answer; a full log may take longer, and after a while they are refused. */
static bool must_wait(struct replica *replica, uint32_t room, uint64_t log_room)
{
    if (log_room > 0) {
        replica->room_blocked_ns = 0;
        return room == 0;
    }
    if (replica->room_blocked_ns == 0) {
        replica->room_blocked_ns = replica->now_ns;
    }
    return replica->now_ns - replica->room_blocked_ns < ROOM_PATIENCE_NS;
}

static void take_read(struct replica *replica, const struct request *request)
{
    if (waiting_list_add_read(&replica->waiting, request)) {
        replica->has_new_reads = true;
    } else {
        replica_reply(replica, request->client, request->sequence, REPLY_BUSY, NULL);
    }
}

/* Adds it to the batch, of which *log_room is left, or answers it. */
static void take_command(struct replica *replica, const struct request *request, uint64_t *log_room)
{
    uint64_t bytes = record_bytes(request->command_bytes);
    if (UNLIKELY(request->command_bytes > wal_payload_limit(replica->wal))) {
        struct store_outcome invalid = {.result = STORE_INVALID}; /* as if it had been applied */
        replica_reply(replica, request->client, request->sequence, REPLY_OUTCOME, &invalid);
    } else if (bytes < *log_room) {
        *log_room -= bytes;
        replica->batch[replica->batch_count++] = *request;
    } else {
        replica_reply(replica, request->client, request->sequence, REPLY_BUSY, NULL);
    }
}

/* The largest command that is valid. */
static uint64_t command_bytes_limit(const struct replica *replica)
{
    const struct store_config *store = &replica->config.store;
    return 64 + (uint64_t)store->max_key_bytes + 2 * (uint64_t)store->max_value_bytes;
}

/* One batch: commands into replica->batch, reads onto the waiting list, the rest refused. */
static void take_requests(struct replica *replica)
{
    const struct replica_ports *ports = &replica->config.ports;
    bool leads = core_takes_reads(&replica->core);
    uint32_t room = leads ? request_room(replica) : 0;
    uint64_t log_room = leads ? housekeeping_room(replica, 1) : 0;
    if (leads && must_wait(replica, room, log_room)) {
        return;
    }
    uint64_t largest = command_bytes_limit(replica);
    bool is_full = false;
    uint32_t taken = 0;
    struct request request;
    replica->batch_count = 0;
    replica->batch_proposed = 0;
    replica->has_new_reads = false;
    while (taken < replica->config.batch_slots && !is_full &&
           ports->request_next(ports->self, &request)) {
        taken++;
        if (!leads) {
            replica_reply(replica, request.client, request.sequence, REPLY_NOT_LEADER, NULL);
        } else if (request.kind == REQUEST_READ) {
            take_read(replica, &request);
        } else {
            take_command(replica, &request, &log_room);
            is_full =
                replica->batch_count > 0 && (replica->batch_count == room || log_room <= largest);
        }
    }
    if (taken == 0) {
        return;
    }
    replica->has_work = true;
    if (replica->has_new_reads) {
        replica_step(replica, &(struct event){.kind = EVENT_READ});
    }
    if (replica->batch_count > 0) {
        replica_step(replica,
                     &(struct event){.kind = EVENT_PROPOSE, .count = replica->batch_count});
    }
    for (uint32_t i = replica->batch_proposed; i < replica->batch_count; i++) {
        replica_reply(replica, replica->batch[i].client, replica->batch[i].sequence, REPLY_BUSY,
                      NULL);
    }
    ports->requests_release(ports->self);
}

/* ---- Messages ---- */

static void take_messages(struct replica *replica)
{
    const struct replica_ports *ports = &replica->config.ports;
    uint32_t taken = 0;
    const struct core_message *message;
    while (taken < MESSAGES_A_TURN && replica->failure == 0 &&
           (message = ports->message_next(ports->self)) != NULL) {
        taken++;
        (void)lamport_clock_observe(&replica->lamport, message->lamport);
        if (message->kind == MESSAGE_SNAPSHOT_CHUNK || message->kind == MESSAGE_SNAPSHOT_NEXT) {
            catch_up_on_message(replica, message);
        } else {
            replica_step(replica, &(struct event){.kind = EVENT_MESSAGE, .message = message});
        }
    }
    if (taken > 0) {
        replica->has_work = true;
        ports->messages_release(ports->self);
    }
}

/* ---- Applying ---- */

static bool is_same_command(const struct store_apply_item *item,
                            const struct waiting_proposal *proposal)
{
    struct command command;
    return item->command != NULL && command_decode(item->command, item->command_bytes, &command) &&
           command.sequence == proposal->sequence && (uint32_t)command.client == proposal->client;
}

static void answer_applied(struct replica *replica, const struct store_apply_item *item)
{
    struct waiting_proposal proposal;
    if (!waiting_list_take(&replica->waiting, item->slot, &proposal)) {
        return;
    }
    if (is_same_command(item, &proposal)) {
        replica_reply(replica, proposal.client, proposal.sequence, REPLY_OUTCOME, &item->outcome);
    } else {
        replica_reply(replica, proposal.client, proposal.sequence, REPLY_NOT_DONE, NULL);
    }
}

static void apply_chunk(struct replica *replica, uint32_t count)
{
    struct store_apply_item items[REPLICA_APPLY_CHUNK];
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct record record;
        uint64_t slot = replica->applied + 1 + i;
        if (!wal_find(replica->wal, slot, &record)) {
            replica_fail(replica, -EBADMSG); /* chosen, acknowledged by this node, and gone */
            return;
        }
        items[i] = (struct store_apply_item){
            .slot = slot,
            .command = record.kind == RECORD_VALUE ? record.payload : NULL,
            .command_bytes = record.payload_bytes,
        };
        bytes += record_bytes(record.payload_bytes);
        if (i + 1 == count && hybrid_clock_observe(&replica->hybrid, replica->wall_ns,
                                                   record.hybrid_time, NULL) < 0) {
            replica->stamps_refused++;
        }
    }
    store_apply(replica->store, items, count);
    replica->applied += count;
    replica->open_bytes -= bytes < replica->open_bytes ? bytes : replica->open_bytes;
    if (replica->waiting.proposals_waiting > 0) {
        for (uint32_t i = 0; i < count; i++) {
            answer_applied(replica, &items[i]);
        }
    }
}

static void apply_committed(struct replica *replica)
{
    uint64_t before = replica->applied;
    while (replica->applied < replica->core.mark && replica->applied - before < APPLIES_A_TURN &&
           replica->failure == 0) {
        uint64_t left = replica->core.mark - replica->applied;
        apply_chunk(replica, left < REPLICA_APPLY_CHUNK ? (uint32_t)left : REPLICA_APPLY_CHUNK);
    }
    if (replica->applied > before) {
        if (replica->applied == core_log_end(&replica->core)) {
            replica->open_bytes = 0; /* what was written twice was counted twice */
        }
        replica->has_work = true;
        replica_step(replica, &(struct event){.kind = EVENT_APPLIED, .slot = replica->applied});
    }
}

/* ---- Reads ---- */

static void answer_reads(struct replica *replica)
{
    bool leads = core_takes_reads(&replica->core);
    while (waiting_list_has_reads(&replica->waiting)) {
        const uint8_t *key;
        const struct waiting_read *read = waiting_list_first_read(&replica->waiting, &key);
        if (!leads || read->round == UINT64_MAX) {
            replica_reply(replica, read->client, read->sequence, REPLY_NOT_LEADER, NULL);
        } else if (read->round <= replica->confirmed_round && read->slot <= replica->applied) {
            struct store_outcome outcome = {.result = STORE_INVALID};
            if (read->key_bytes > 0) {
                outcome.result = store_get(replica->store, key, read->key_bytes, &outcome.entry);
            }
            replica_reply(replica, read->client, read->sequence, REPLY_OUTCOME, &outcome);
        } else {
            return;
        }
        waiting_list_drop_first_read(&replica->waiting);
        replica->has_work = true;
    }
}

/* ---- The turn ---- */

bool replica_turn(struct replica *replica, uint64_t now_ns, uint64_t wall_ns)
{
    if (replica->failure != 0) {
        return false;
    }
    const struct replica_ports *ports = &replica->config.ports;
    replica->now_ns = now_ns;
    replica->wall_ns = wall_ns;
    replica->has_work = false;
    replica_step(replica, &(struct event){.kind = EVENT_TICK, .now_ns = now_ns});
    if (replica->transfer_asked >= 0) {
        replica_step(replica, &(struct event){.kind = EVENT_TRANSFER,
                                              .node = (uint32_t)replica->transfer_asked});
        replica->transfer_asked = -1;
    }
    take_messages(replica);
    take_requests(replica);
    replica_step(replica, &(struct event){.kind = EVENT_SETTLE});
    if (replica->config.sync == WAL_SYNC_BATCH && replica->told != replica->persisted) {
        ports->flush(ports->self); /* followers copy while this node waits for its disk */
        sync_log(replica);
        replica_step(replica, &(struct event){.kind = EVENT_SETTLE});
    }
    ports->flush(ports->self);
    apply_committed(replica);
    answer_reads(replica);
    catch_up_turn(replica);
    housekeeping_turn(replica);
    ports->flush(ports->self);
    return replica->has_work;
}

uint64_t replica_next_turn_ns(const struct replica *replica)
{
    uint64_t next = core_next_tick_ns(&replica->core);
    uint64_t retry = catch_up_retry_ns(replica);
    return retry < next ? retry : next;
}

int replica_failure(const struct replica *replica)
{
    return replica->failure;
}

void replica_transfer(struct replica *replica, uint32_t node)
{
    replica->transfer_asked = (int)node;
}

uint32_t replica_prefault(struct replica *replica, uint32_t segments)
{
    return wal_prefault(replica->wal, segments);
}

struct store *replica_store(struct replica *replica)
{
    return replica->store;
}

/* ---- Life ---- */

static uint64_t round_up_to_power_of_two(uint64_t value)
{
    uint64_t power = 1;
    while (power < value) {
        power *= 2;
    }
    return power;
}

int replica_open(struct replica **opened, const struct replica_config *config, uint64_t now_ns,
                 uint64_t wall_ns, struct replica_problem *problem)
{
    *opened = NULL;
    *problem = (struct replica_problem){0};
    struct replica *replica = calloc(1, sizeof *replica);
    if (replica == NULL) {
        return -ENOMEM;
    }
    replica->config = *config;
    replica->transfer_asked = -1;
    replica->now_ns = now_ns;
    replica->wall_ns = wall_ns;
    int error = -ENAMETOOLONG;
    if (strlen(config->directory) >= sizeof replica->directory) {
        goto fail;
    }
    memcpy(replica->directory, config->directory, strlen(config->directory) + 1);
    replica->config.directory = replica->directory;
    error = -ENOMEM;
    replica->batch = calloc(config->batch_slots, sizeof *replica->batch);
    if (replica->batch == NULL) {
        goto fail;
    }
    error = waiting_list_init(&replica->waiting,
                              round_up_to_power_of_two(2 * (uint64_t)config->core.window_slots),
                              READ_BYTES);
    if (error < 0) {
        goto fail;
    }
    error = store_create(&replica->store, &config->store);
    if (error < 0) {
        goto fail;
    }
    hybrid_clock_init(&replica->hybrid, HYBRID_FORWARD_NS);
    lamport_clock_init(&replica->lamport, 0);
    core_init(&replica->core, &config->core);
    error = recovery_run(replica, problem);
    if (error < 0) {
        goto fail;
    }
    *opened = replica;
    return 0;

fail:
    replica_close(replica);
    return error;
}

void replica_close(struct replica *replica)
{
    if (replica == NULL) {
        return;
    }
    if (replica->store != NULL) {
        snapshots_abandon(&replica->snapshots, replica->store);
    }
    if (replica->snapshots.disk != NULL) {
        snapshots_deinit(&replica->snapshots);
    }
    wal_close(replica->wal);
    store_destroy(replica->store);
    waiting_list_deinit(&replica->waiting);
    free(replica->batch);
    free(replica);
}

void replica_view(const struct replica *replica, struct replica_view *view)
{
    struct wal_space space;
    struct store_stats stats;
    wal_space(replica->wal, &space);
    store_stats(replica->store, &stats);
    *view = (struct replica_view){
        .role = replica->core.role,
        .leader = replica->core.leader,
        .promised = replica->core.promised,
        .mark = replica->core.mark,
        .applied = replica->applied,
        .log_first = space.first_slot,
        .log_last = core_log_end(&replica->core),
        .digest = store_digest(replica->store),
        .keys = stats.keys,
        .store_bytes = stats.bytes_held,
        .elections_won = replica->core.elections_won,
        .messages_sent = replica->messages_sent,
        .messages_lost = replica->messages_lost,
        .bytes_replicated = replica->bytes_replicated,
        .batches = replica->batches,
        .slots_proposed = replica->slots_proposed,
        .snapshots_taken = replica->snapshots.taken,
        .snapshots_installed = replica->snapshots.installed,
        .snapshot_slot = replica->snapshots.current.slot,
        .snapshot_bytes = snapshots_bytes(&replica->snapshots),
        .log_bytes = space.bytes_reserved,
        .stamps_refused = replica->stamps_refused,
        .waiting = replica->waiting.proposals_waiting +
                   (waiting_list_has_reads(&replica->waiting) ? 1 : 0),
    };
}
