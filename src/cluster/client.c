/* SPDX-License-Identifier: MIT */
#include "cluster/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time_source.h"
#include "cluster/leader_hint.h"

#define DEFAULT_TIMEOUT_NS UINT64_C(5000000000)
#define SWEEP_INTERVAL_NS  UINT64_C(1000000)
#define INDEX_BITS         16
#define INLINE_BYTES_MOST  512u /* larger commands are allocated one by one */

static_assert((int)SYNOD_COMPARE_REVISION + 1 == COMPARE_REVISION &&
                  (int)SYNOD_COMPARE_VALUE + 1 == COMPARE_VALUE &&
                  (int)SYNOD_COMPARE_ABSENT + 1 == COMPARE_ABSENT,
              "public comparisons are the store's, shifted by COMPARE_NONE");

/* ---- Opening and closing ---- */

static int allocate(struct synod_client *client, const struct synod_options *options)
{
    uint32_t limit = options->max_in_flight;
    size_t most = 64 + (size_t)options->max_key_bytes + 2 * (size_t)options->max_value_bytes;
    client->limit = limit;
    client->earliest_ns = UINT64_MAX;
    client->inline_bytes =
        most < INLINE_BYTES_MOST ? (uint32_t)(most + 7) & ~7u : INLINE_BYTES_MOST;
    client->entries = calloc(limit, sizeof *client->entries);
    client->free = calloc(limit, sizeof *client->free);
    client->backlog = calloc(limit, sizeof *client->backlog);
    client->inline_commands = malloc((size_t)limit * client->inline_bytes);
    if (client->entries == NULL || client->free == NULL || client->backlog == NULL ||
        client->inline_commands == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < limit; i++) {
        client->free[i] = limit - 1 - i;
    }
    client->free_count = limit;
    return 0;
}

static void deallocate(struct synod_client *client)
{
    for (uint32_t i = 0; client->entries != NULL && i < client->limit; i++) {
        bool is_own = client->entries[i].state != ENTRY_FREE &&
                      client->entries[i].command_bytes > client->inline_bytes;
        if (is_own) {
            free(client->entries[i].command);
        }
    }
    for (uint32_t i = 0; client->backlog != NULL && i < client->limit; i++) {
        free(client->backlog[i].value);
    }
    free(client->lent_value);
    free(client->entries);
    free(client->free);
    free(client->backlog);
    free(client->inline_commands);
    free(client);
}

static void set_up_idling(struct synod_client *client)
{
    uint32_t open = atomic_load_explicit(&client->cluster->lanes.open, memory_order_relaxed);
    if (open != client->idle_clients) {
        client->idle_clients = open;
        idle_strategy_init(&client->idle, (enum idle_kind)client->cluster->options.idle,
                           client->nodes + open, client->cluster->usable_cpus, client->place->bell);
    }
}

/* A handle before this one may have left replies behind. */
static void drop_old_replies(struct synod_client *client)
{
    for (uint32_t node = 0; node < client->nodes; node++) {
        spsc_lane_skip_all(client->place->from_node[node]);
    }
}

/* Numbers of a handle are its own: across handles, places, and runs over one directory. Or a
 * command of before, found in the log, could be taken for the one that was proposed. */
static void number(struct synod_client *client, uint64_t run_salt)
{
    struct client_place *place = client->place;
    if (place->handles == 1) {
        place->next_counter = run_salt >> (INDEX_BITS + 1); /* 2^47 to go */
    }
    client->next_counter = place->next_counter + 1;
    client->id = ((uint64_t)((uint32_t)run_salt + place->handles) << 32) | client->index;
}

static enum synod_status take_place(struct synod_client *client)
{
    struct synod_cluster *cluster = client->cluster;
    (void)pthread_mutex_lock(&cluster->control);
    bool is_closed = atomic_load_explicit(&cluster->is_closed, memory_order_relaxed);
    int index = is_closed ? -EPIPE : client_lanes_take(&cluster->lanes);
    if (index >= 0) {
        client->index = (uint32_t)index;
        client->place = &cluster->lanes.places[index];
        number(client, cluster->run_salt);
        cluster->references++;
    }
    (void)pthread_mutex_unlock(&cluster->control);
    if (index >= 0) {
        return SYNOD_OK;
    }
    if (index == -EPIPE) {
        return SYNOD_CLOSED;
    }
    return index == -EBUSY ? SYNOD_BUSY : SYNOD_NO_MEMORY;
}

enum synod_status synod_client_open(struct synod_cluster *cluster, struct synod_client **opened)
{
    if (opened == NULL) {
        return SYNOD_INVALID;
    }
    *opened = NULL;
    if (cluster == NULL) {
        return SYNOD_CLOSED;
    }
    struct synod_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return SYNOD_NO_MEMORY;
    }
    client->cluster = cluster;
    client->nodes = cluster->options.nodes;
    if (allocate(client, &cluster->options) < 0) {
        deallocate(client);
        return SYNOD_NO_MEMORY;
    }
    enum synod_status status = take_place(client);
    if (status != SYNOD_OK) {
        deallocate(client);
        return status;
    }
    client->owner = pthread_self();
    drop_old_replies(client);
    set_up_idling(client);
    *opened = client;
    return SYNOD_OK;
}

/* ---- Sending ---- */

static uint64_t client_now(struct synod_client *client)
{
    if (client->now_ns == 0) {
        client->now_ns = time_source_now_ns();
    }
    return client->now_ns;
}

static void set_waiting(struct synod_client *client, struct client_entry *entry,
                        enum synod_status refusal)
{
    client->waiting += entry->state != ENTRY_WAITING;
    entry->state = ENTRY_WAITING;
    entry->last_refusal = (uint8_t)refusal;
}

/* OK; BUSY: the lane is full; NO_LEADER: none known, or it is down. */
static enum synod_status send_entry(struct synod_client *client, struct client_entry *entry)
{
    int leader = leader_hint_node(leader_hint_load(&client->cluster->leader_hint));
    if (leader < 0) {
        return SYNOD_NO_LEADER;
    }
    uint32_t node = (uint32_t)leader;
    uint64_t incarnation = mesh_incarnation(&client->cluster->mesh, node);
    if (incarnation % 2 == 0) {
        return SYNOD_NO_LEADER;
    }
    struct spsc_lane *lane = client->place->to_node[node];
    struct request_frame *frame =
        spsc_lane_claim(lane, sizeof(struct request_frame) + entry->command_bytes);
    if (frame == NULL) {
        return SYNOD_BUSY;
    }
    *frame = (struct request_frame){.kind = entry->request_kind, .sequence = entry->sequence};
    memcpy(frame + 1, entry->command, entry->command_bytes);
    client->waiting -= entry->state == ENTRY_WAITING;
    entry->state = ENTRY_SENT;
    entry->node = (uint8_t)node;
    entry->incarnation = incarnation;
    if (client->incarnations[node] != incarnation) {
        client->incarnations[node] = incarnation;
        client->is_sweep_needed = true; /* what was sent to it before has lost its node */
    }
    client->sent_set |= 1u << node;
    client->expect_set |= 1u << node;
    return SYNOD_OK;
}

static void flush(struct synod_client *client)
{
    if (client->sent_set == 0) {
        return;
    }
    for (uint32_t set = client->sent_set; set != 0; set &= set - 1) {
        spsc_lane_publish(client->place->to_node[__builtin_ctz(set)]);
    }
    doorbell_fence();
    for (uint32_t set = client->sent_set; set != 0; set &= set - 1) {
        doorbell_ring_fenced(client->cluster->mesh.node[__builtin_ctz(set)].bell);
    }
    client->sent_set = 0;
}

void synod_client_close(struct synod_client *client)
{
    if (client == NULL) {
        return;
    }
    struct synod_cluster *cluster = client->cluster;
    flush(client); /* now, or with the first flush of whoever gets the place next */
    (void)pthread_mutex_lock(&cluster->control);
    client->place->next_counter = client->next_counter;
    client_lanes_give_back(&cluster->lanes, client->index);
    (void)pthread_mutex_unlock(&cluster->control);
    deallocate(client);
    cluster_release(cluster);
}

/* ---- Submitting ---- */

static bool is_valid_bytes(const struct synod_bytes *bytes, size_t least, size_t most)
{
    return bytes->size >= least && bytes->size <= most && (bytes->data != NULL || bytes->size == 0);
}

static bool is_valid_request(const struct synod_client *client, const struct synod_request *request)
{
    const struct synod_options *options = &client->cluster->options;
    if (!is_valid_bytes(&request->key, 1, options->max_key_bytes)) {
        return false;
    }
    bool has_value =
        request->operation == SYNOD_PUT || (request->operation == SYNOD_CAS && !request->removes);
    if (has_value && !is_valid_bytes(&request->value, 0, options->max_value_bytes)) {
        return false;
    }
    switch (request->operation) {
    case SYNOD_PUT:
    case SYNOD_DELETE:
        return true;
    case SYNOD_GET:
        return request->consistency == SYNOD_READ_QUORUM || request->consistency == SYNOD_READ_LOG;
    case SYNOD_CAS:
        return request->compare == SYNOD_COMPARE_REVISION ||
               request->compare == SYNOD_COMPARE_ABSENT ||
               (request->compare == SYNOD_COMPARE_VALUE &&
                is_valid_bytes(&request->expected, 0, options->max_value_bytes));
    }
    return false;
}

static struct command command_of(const struct synod_client *client,
                                 const struct synod_request *request, uint64_t sequence)
{
    static const uint8_t ops[] = {[SYNOD_PUT] = COMMAND_PUT,
                                  [SYNOD_GET] = COMMAND_GET,
                                  [SYNOD_DELETE] = COMMAND_DELETE,
                                  [SYNOD_CAS] = COMMAND_CAS};
    struct command command = {
        .op = ops[request->operation],
        .key_bytes = (uint16_t)request->key.size,
        .client = client->id,
        .sequence = sequence,
        .key = request->key.data,
    };
    bool is_cas = request->operation == SYNOD_CAS;
    if (request->operation == SYNOD_PUT || (is_cas && !request->removes)) {
        command.value = request->value.data;
        command.value_bytes = (uint32_t)request->value.size;
    }
    if (is_cas) {
        uint32_t compare = (uint32_t)request->compare + 1;
        command.compare = (uint8_t)(compare | (request->removes ? COMPARE_FLAG_REMOVES : 0u));
        command.expected_revision = request->expected_revision;
        if (request->compare == SYNOD_COMPARE_VALUE) {
            command.expected = request->expected.data;
            command.expected_bytes = (uint32_t)request->expected.size;
        }
    }
    return command;
}

static void free_entry(struct synod_client *client, struct client_entry *entry)
{
    if (entry->command_bytes > client->inline_bytes) {
        free(entry->command);
    }
    client->waiting -= entry->state == ENTRY_WAITING;
    entry->state = ENTRY_FREE;
    client->free[client->free_count++] = (uint32_t)(entry - client->entries);
    client->in_flight--;
}

static struct client_entry *new_entry(struct synod_client *client,
                                      const struct synod_request *request)
{
    uint32_t index = client->free[client->free_count - 1];
    struct client_entry *entry = &client->entries[index];
    uint64_t sequence = (client->next_counter << INDEX_BITS) | index;
    struct command command = command_of(client, request, sequence);
    size_t bytes = command_size(&command);
    uint8_t *room = client->inline_commands + (size_t)index * client->inline_bytes;
    if (bytes > client->inline_bytes) {
        room = malloc(bytes);
        if (room == NULL) {
            return NULL;
        }
    }
    command_encode(&command, room);
    client->next_counter++;
    client->free_count--;
    client->in_flight++;
    if (index >= client->entries_used) {
        client->entries_used = index + 1;
    }
    uint64_t timeout_ns = request->timeout_ns != 0 ? request->timeout_ns : DEFAULT_TIMEOUT_NS;
    uint64_t now_ns = client_now(client);
    bool is_read = request->operation == SYNOD_GET && request->consistency == SYNOD_READ_QUORUM;
    *entry = (struct client_entry){
        .sequence = sequence,
        .tag = request->tag,
        .deadline_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX,
        .operation = (uint8_t)request->operation,
        .request_kind = is_read ? REQUEST_READ : REQUEST_COMMAND,
        .command_bytes = (uint32_t)bytes,
        .command = room,
    };
    if (entry->deadline_ns < client->earliest_ns) {
        client->earliest_ns = entry->deadline_ns;
    }
    return entry;
}

static enum synod_status check_owner(const struct synod_client *client)
{
    if (client == NULL) {
        return SYNOD_CLOSED;
    }
    return pthread_equal(client->owner, pthread_self()) ? SYNOD_OK : SYNOD_WRONG_THREAD;
}

static bool is_cluster_closed(const struct synod_client *client)
{
    /* relaxed: says only that nobody will answer any more; nothing is read on the strength of it */
    return atomic_load_explicit(&client->cluster->is_closed, memory_order_relaxed);
}

static enum synod_status check_handle(const struct synod_client *client)
{
    enum synod_status status = check_owner(client);
    return status == SYNOD_OK && is_cluster_closed(client) ? SYNOD_CLOSED : status;
}

/* Completions not taken yet count: there must be a place for each. */
static bool is_full(const struct synod_client *client)
{
    return client->in_flight + client->backlog_count >= client->limit;
}

static enum synod_status submit(struct synod_client *client, const struct synod_request *request,
                                struct client_entry **submitted)
{
    enum synod_status status = check_handle(client);
    if (status != SYNOD_OK) {
        return status;
    }
    if (request == NULL || !is_valid_request(client, request)) {
        return SYNOD_INVALID;
    }
    if (is_full(client)) {
        return SYNOD_BUSY;
    }
    struct client_entry *entry = new_entry(client, request);
    if (entry == NULL) {
        return SYNOD_BUSY;
    }
    status = send_entry(client, entry);
    if (status == SYNOD_BUSY) {
        free_entry(client, entry);
        return SYNOD_BUSY;
    }
    if (status == SYNOD_NO_LEADER) {
        set_waiting(client, entry, SYNOD_NO_LEADER);
    }
    *submitted = entry;
    return SYNOD_OK;
}

enum synod_status synod_submit(struct synod_client *client, const struct synod_request *request)
{
    struct client_entry *entry;
    return submit(client, request, &entry);
}

void synod_flush(struct synod_client *client)
{
    if (check_handle(client) == SYNOD_OK) {
        flush(client);
        client->now_ns = 0; /* time goes on until the next batch */
    }
}

size_t synod_in_flight(const struct synod_client *client)
{
    return client == NULL ? 0 : client->in_flight + client->backlog_count;
}

/* ---- Completing ---- */

/* Where completions go: the caller's array; with only_entry, just that one, the rest is put by. */
struct sink {
    struct synod_completion *completions;
    size_t count, max;
    const struct client_entry *only_entry;
};

static bool is_read(const struct client_entry *entry)
{
    return entry->operation == SYNOD_GET;
}

static void put_by(struct synod_client *client, const struct synod_completion *completion)
{
    ASSERT(client->backlog_count < client->limit);
    struct client_backlog *place =
        &client->backlog[(client->backlog_first + client->backlog_count) % client->limit];
    *place = (struct client_backlog){.completion = *completion};
    if (completion->value.size > 0) {
        place->value = malloc(completion->value.size);
        if (place->value == NULL) { /* a read may be asked again; losing its bytes is BUSY */
            place->completion.status = SYNOD_BUSY;
            place->completion.value = (struct synod_bytes){0};
        } else {
            memcpy(place->value, completion->value.data, completion->value.size);
            place->completion.value.data = place->value;
        }
    }
    client->backlog_count++;
}

static void complete(struct synod_client *client, struct client_entry *entry,
                     struct synod_completion *completion, struct sink *sink)
{
    completion->tag = entry->tag;
    completion->operation = (enum synod_operation)entry->operation;
    bool is_wanted = sink->only_entry == NULL || sink->only_entry == entry;
    free_entry(client, entry);
    if (is_wanted) {
        sink->completions[sink->count++] = *completion;
    } else {
        put_by(client, completion);
    }
}

static void complete_with(struct synod_client *client, struct client_entry *entry,
                          enum synod_status status, struct sink *sink)
{
    struct synod_completion completion = {.status = status};
    complete(client, entry, &completion, sink);
}

static enum synod_status status_of(const struct reply_frame *frame)
{
    switch ((enum store_result)frame->result) {
    case STORE_OK:
        return SYNOD_OK;
    case STORE_NOT_FOUND:
        return SYNOD_NOT_FOUND;
    case STORE_MISMATCH:
        return SYNOD_MISMATCH;
    case STORE_INVALID:
        return SYNOD_INVALID;
    case STORE_NO_MEMORY:
        return SYNOD_NO_MEMORY;
    }
    return SYNOD_IO_ERROR;
}

static void on_reply(struct synod_client *client, const struct reply_frame *frame,
                     struct sink *sink)
{
    uint32_t index = (uint32_t)(frame->sequence & ((1u << INDEX_BITS) - 1));
    if (index >= client->limit) {
        return;
    }
    struct client_entry *entry = &client->entries[index];
    if (entry->state == ENTRY_FREE || entry->sequence != frame->sequence) {
        return; /* it timed out, or belonged to an earlier handle */
    }
    switch ((enum reply_status)frame->status) {
    case REPLY_OUTCOME: {
        struct synod_completion completion = {
            .status = status_of(frame),
            .revision = frame->slot,
            .version = frame->version,
            .create_revision = frame->create_slot,
        };
        if (frame->has_value && completion.status == SYNOD_OK) {
            completion.value = (struct synod_bytes){frame + 1, frame->value_bytes};
        }
        complete(client, entry, &completion, sink);
        break;
    }
    case REPLY_NOT_LEADER:
    case REPLY_NOT_DONE:
        set_waiting(client, entry, SYNOD_NO_LEADER);
        break;
    case REPLY_BUSY:
        set_waiting(client, entry, SYNOD_BUSY);
        break;
    case REPLY_UNKNOWN:
        if (is_read(entry)) {
            set_waiting(client, entry, SYNOD_NO_LEADER);
        } else {
            complete_with(client, entry, SYNOD_TIMEOUT, sink);
        }
        break;
    }
}

static bool sink_is_full(const struct sink *sink)
{
    return sink->count == sink->max;
}

static void take_replies(struct synod_client *client, struct sink *sink)
{
    for (uint32_t set = client->expect_set; set != 0 && !sink_is_full(sink); set &= set - 1) {
        uint32_t node = (uint32_t)__builtin_ctz(set);
        struct spsc_lane *lane = client->place->from_node[node];
        size_t bytes;
        const struct reply_frame *frame;
        while (!sink_is_full(sink) && (frame = spsc_lane_next(lane, &bytes)) != NULL) {
            client->lent_set |= 1u << node;
            on_reply(client, frame, sink);
        }
    }
}

static void take_backlog(struct synod_client *client, struct sink *sink)
{
    /* One with a value at a time: its memory is lent until the next call. */
    while (client->backlog_count > 0 && !sink_is_full(sink) && client->lent_value == NULL) {
        struct client_backlog *place = &client->backlog[client->backlog_first];
        client->lent_value = place->value;
        place->value = NULL;
        sink->completions[sink->count++] = place->completion;
        client->backlog_first = (client->backlog_first + 1) % client->limit;
        client->backlog_count--;
    }
}

static void release_lanes(struct synod_client *client)
{
    for (uint32_t set = client->lent_set; set != 0; set &= set - 1) {
        spsc_lane_release(client->place->from_node[__builtin_ctz(set)]);
    }
    client->lent_set = 0;
}

/* What was given out by the call before is the caller's no more. */
static void take_back(struct synod_client *client)
{
    free(client->lent_value);
    client->lent_value = NULL;
    release_lanes(client);
}

/* ---- What time brings: deadlines, crashed nodes, sending again ---- */

static void sweep_entry(struct synod_client *client, struct client_entry *entry, struct sink *sink)
{
    bool is_unknown = entry->state == ENTRY_SENT;
    if (client->now_ns >= entry->deadline_ns) {
        complete_with(client, entry,
                      is_unknown ? SYNOD_TIMEOUT : (enum synod_status)entry->last_refusal, sink);
        return;
    }
    if (is_cluster_closed(client)) {
        complete_with(client, entry, is_unknown && !is_read(entry) ? SYNOD_TIMEOUT : SYNOD_CLOSED,
                      sink);
        return;
    }
    if (entry->state == ENTRY_SENT &&
        mesh_incarnation(&client->cluster->mesh, entry->node) != entry->incarnation) {
        if (!is_read(entry)) {
            complete_with(client, entry, SYNOD_TIMEOUT, sink);
            return;
        }
        set_waiting(client, entry, SYNOD_NO_LEADER);
    }
    if (entry->state == ENTRY_WAITING) {
        enum synod_status status = send_entry(client, entry);
        if (status != SYNOD_OK) {
            set_waiting(client, entry, status);
        }
    }
    if (entry->deadline_ns < client->earliest_ns) {
        client->earliest_ns = entry->deadline_ns;
    }
}

/* Whether there is anything for a sweep to find. What has to be looked at is few words, however
 * many requests are in flight. */
static bool is_sweep_useful(struct synod_client *client)
{
    if (client->is_sweep_needed || client->waiting > 0 || client->now_ns >= client->earliest_ns ||
        is_cluster_closed(client)) {
        return true;
    }
    for (uint32_t set = client->expect_set; set != 0; set &= set - 1) {
        uint32_t node = (uint32_t)__builtin_ctz(set);
        if (mesh_incarnation(&client->cluster->mesh, node) != client->incarnations[node]) {
            return true;
        }
    }
    return false;
}

static bool is_sweep_due(struct synod_client *client)
{
    if (client->in_flight == 0) {
        return false;
    }
    if (client->sweep_next > 0) {
        return true; /* one was cut short */
    }
    uint64_t hint = leader_hint_load(&client->cluster->leader_hint);
    bool is_led_anew = client->waiting > 0 && hint != client->hint;
    if (!is_led_anew && client->now_ns - client->swept_ns < SWEEP_INTERVAL_NS) {
        return false;
    }
    client->swept_ns = client->now_ns;
    client->hint = hint;
    set_up_idling(client);
    return is_sweep_useful(client);
}

/* As far as the sink has room; goes on there the next time. */
static void sweep(struct synod_client *client, struct sink *sink)
{
    if (client->sweep_next == 0) {
        client->is_sweep_needed = false;
        client->earliest_ns = UINT64_MAX;
        for (uint32_t set = client->expect_set; set != 0; set &= set - 1) {
            uint32_t node = (uint32_t)__builtin_ctz(set);
            client->incarnations[node] = mesh_incarnation(&client->cluster->mesh, node);
        }
    }
    uint32_t i = client->sweep_next;
    for (; i < client->entries_used && !sink_is_full(sink); i++) {
        if (client->entries[i].state != ENTRY_FREE) {
            sweep_entry(client, &client->entries[i], sink);
        }
    }
    client->sweep_next = i < client->entries_used ? i : 0;
    flush(client);
}

static bool has_replies(void *context)
{
    struct synod_client *client = context;
    for (uint32_t set = client->expect_set; set != 0; set &= set - 1) {
        if (spsc_lane_has_next(client->place->from_node[__builtin_ctz(set)])) {
            return true;
        }
    }
    return false;
}

/* Replies first, so that one that is there beats its deadline; but a stream of them that fills
 * every sink does not put off for ever what time brings. */
static void take_what_is_there(struct synod_client *client, struct sink *sink)
{
    bool is_due = client->is_sweep_put_off || is_sweep_due(client);
    if (client->is_sweep_put_off) {
        sweep(client, sink);
    }
    take_replies(client, sink);
    bool is_put_off = is_due && !client->is_sweep_put_off && sink_is_full(sink);
    if (is_due && !client->is_sweep_put_off && !is_put_off) {
        sweep(client, sink);
    }
    client->is_sweep_put_off = is_put_off;
}

/* Collects into the sink until it holds something or the time is up. */
static void collect(struct synod_client *client, struct sink *sink, uint64_t timeout_ns)
{
    flush(client);
    client->now_ns = time_source_now_ns();
    uint64_t start_ns = client->now_ns;
    for (;;) {
        take_what_is_there(client, sink);
        if (sink->count > 0) {
            idle_strategy_reset(&client->idle);
            break;
        }
        release_lanes(client); /* all that was read is put by, or was nobody's */
        uint64_t waited_ns = client->now_ns - start_ns;
        if (waited_ns >= timeout_ns || client->in_flight == 0) {
            break;
        }
        uint64_t left_ns = timeout_ns - waited_ns;
        (void)idle_strategy_idle(&client->idle, has_replies, client,
                                 left_ns < SWEEP_INTERVAL_NS ? left_ns : SWEEP_INTERVAL_NS);
        client->now_ns = time_source_now_ns();
    }
    client->now_ns = 0;
}

size_t synod_poll(struct synod_client *client, struct synod_completion *completions, size_t max,
                  uint64_t timeout_ns)
{
    /* Also of a closed cluster: every request submitted comes out. */
    if (check_owner(client) != SYNOD_OK || completions == NULL || max == 0) {
        return 0;
    }
    take_back(client);
    struct sink sink = {.completions = completions, .max = max};
    take_backlog(client, &sink);
    collect(client, &sink, sink.count > 0 ? 0 : timeout_ns);
    return sink.count;
}

/* ---- Blocking calls ---- */

static enum synod_status call(struct synod_client *client, struct synod_request *request,
                              struct synod_completion *done)
{
    enum synod_status status = check_handle(client);
    if (status != SYNOD_OK) {
        return status;
    }
    take_back(client);
    uint64_t start_ns = time_source_now_ns();
    uint64_t timeout_ns = request->timeout_ns != 0 ? request->timeout_ns : DEFAULT_TIMEOUT_NS;
    struct client_entry *entry = NULL;
    client->now_ns = start_ns;
    status = submit(client, request, &entry);
    while (status == SYNOD_BUSY && !is_full(client) &&
           time_source_now_ns() - start_ns < timeout_ns) {
        flush(client); /* the lane is full: let the node take some */
        time_source_sleep_ns(SWEEP_INTERVAL_NS / 20);
        status = submit(client, request, &entry);
    }
    if (status != SYNOD_OK) {
        client->now_ns = 0;
        return status;
    }
    struct synod_completion completion;
    struct sink sink = {.completions = &completion, .max = 1, .only_entry = entry};
    while (sink.count == 0) {
        collect(client, &sink, UINT64_MAX); /* ends at the request's own deadline at the latest */
    }
    if (done != NULL) {
        *done = completion;
    }
    return completion.status;
}

enum synod_status synod_put(struct synod_client *client, struct synod_bytes key,
                            struct synod_bytes value, uint64_t timeout_ns,
                            struct synod_completion *done)
{
    struct synod_request request = {
        .operation = SYNOD_PUT, .key = key, .value = value, .timeout_ns = timeout_ns};
    return call(client, &request, done);
}

enum synod_status synod_get(struct synod_client *client, struct synod_bytes key,
                            enum synod_consistency consistency, uint64_t timeout_ns,
                            struct synod_completion *done)
{
    struct synod_request request = {
        .operation = SYNOD_GET, .key = key, .consistency = consistency, .timeout_ns = timeout_ns};
    return call(client, &request, done);
}

enum synod_status synod_delete(struct synod_client *client, struct synod_bytes key,
                               uint64_t timeout_ns, struct synod_completion *done)
{
    struct synod_request request = {
        .operation = SYNOD_DELETE, .key = key, .timeout_ns = timeout_ns};
    return call(client, &request, done);
}

enum synod_status synod_cas(struct synod_client *client, struct synod_bytes key,
                            uint64_t expected_revision, struct synod_bytes value,
                            uint64_t timeout_ns, struct synod_completion *done)
{
    struct synod_request request = {.operation = SYNOD_CAS,
                                    .key = key,
                                    .value = value,
                                    .compare = SYNOD_COMPARE_REVISION,
                                    .expected_revision = expected_revision,
                                    .timeout_ns = timeout_ns};
    return call(client, &request, done);
}
