/* SPDX-License-Identifier: MIT */
#include "replica_world.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define WALL_START_NS  UINT64_C(1700000000000000000)
#define PATIENCE_NS    UINT64_C(200000000) /* then a client gives an operation up */
#define LIVENESS_STEPS 40000               /* 4 s: 200 election timeouts */

struct flight {
    struct flight *next;
    uint64_t id;
    uint32_t from;
    uint64_t due_ns;
    uint32_t checksum; /* of the bytes it names, when sent */
    bool is_taken;
    struct core_message message;
};

static void trace(struct world *world, uint64_t value)
{
    world->trace = (world->trace ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    world->trace ^= world->trace >> 29;
}

static bool happens(struct world *world, uint32_t permille)
{
    return permille > 0 && prng_below(&world->prng, 1000) < permille;
}

/* ---- The disk ---- */

static const struct disk_ops *real_ops(void)
{
    return disk_file()->ops;
}

static int disk_directory_create(void *self, const char *directory)
{
    (void)self;
    return real_ops()->directory_create(disk_file()->self, directory);
}

static int disk_directory_lock(void *self, const char *directory, int *lock, long *holder)
{
    (void)self;
    return real_ops()->directory_lock(disk_file()->self, directory, lock, holder);
}

static void disk_directory_unlock(void *self, int lock)
{
    (void)self;
    real_ops()->directory_unlock(disk_file()->self, lock);
}

static int disk_list(void *self, const char *directory, disk_name_fn *fn, void *context)
{
    (void)self;
    return real_ops()->list(disk_file()->self, directory, fn, context);
}

static int disk_create(void *self, const char *path, size_t size, struct disk_file *file)
{
    struct world_disk *disk = self;
    if (disk->fails_snapshot && strstr(path, "/snapshot") != NULL) {
        disk->refusals++;
        return -ENOSPC;
    }
    return real_ops()->create(disk_file()->self, path, size, file);
}

static int disk_open(void *self, const char *path, struct disk_file *file)
{
    (void)self;
    return real_ops()->open(disk_file()->self, path, file);
}

static void disk_close(void *self, struct disk_file *file)
{
    (void)self;
    real_ops()->close(disk_file()->self, file);
}

static void note_synced(struct world_node *node)
{
    struct wal_space space;
    wal_space(node->replica->wal, &space);
    node->synced_records = space.records_appended;
    node->synced_persisted = node->replica->persisted;
}

/* Whether all that the core was told of as durable is: with nothing appended since, nothing is
 * missing, be it that effects failed. */
static void check_durable(struct world_node *node)
{
    struct wal_space space;
    wal_space(node->replica->wal, &space);
    if (space.records_appended == node->synced_records) {
        node->synced_persisted = node->replica->persisted;
    }
    ck_assert_msg(node->replica->told <= node->synced_persisted,
                  "node %u was told of %" PRIu64 " as durable, the disk had %" PRIu64, node->number,
                  node->replica->told, node->synced_persisted);
}

static int disk_sync(void *self, struct disk_file *file, size_t offset, size_t length)
{
    struct world_disk *disk = self;
    (void)file;
    (void)offset;
    (void)length;
    if (disk->fails_sync) {
        return -EIO;
    }
    disk->syncs++;
    if (disk->node->replica != NULL) {
        note_synced(disk->node);
    }
    return 0;
}

static int disk_rename(void *self, const char *from, const char *to)
{
    struct world_disk *disk = self;
    if (disk->dies_at_rename != NULL && strstr(to, disk->dies_at_rename) != NULL) {
        disk->is_dead = true; /* the rename is the last thing that happens */
        disk->dies_at_rename = NULL;
        (void)real_ops()->rename(disk_file()->self, from, to);
        return -EIO;
    }
    return real_ops()->rename(disk_file()->self, from, to);
}

static int disk_remove(void *self, const char *path)
{
    (void)self;
    return real_ops()->remove(disk_file()->self, path);
}

static int disk_directory_sync(void *self, const char *directory)
{
    (void)directory;
    struct world_disk *disk = self;
    return disk->fails_sync ? -EIO : 0;
}

static void disk_prefault(void *self, struct disk_file *file, size_t offset, size_t length)
{
    (void)self;
    (void)file;
    (void)offset;
    (void)length;
}

static const struct disk_ops world_disk_ops = {
    .directory_create = disk_directory_create,
    .directory_lock = disk_directory_lock,
    .directory_unlock = disk_directory_unlock,
    .list = disk_list,
    .create = disk_create,
    .open = disk_open,
    .close = disk_close,
    .sync = disk_sync,
    .rename = disk_rename,
    .remove = disk_remove,
    .directory_sync = disk_directory_sync,
    .prefault = disk_prefault,
};

/* ---- Messages ---- */

static uint32_t checksum_of(const struct core_message *message)
{
    return message->bytes == NULL ? 0 : crc32c(0, message->bytes, message->bytes_length);
}

static void flight_add(struct world *world, uint32_t from, uint32_t to,
                       const struct core_message *message, uint64_t due_ns)
{
    struct flight *flight = malloc(sizeof *flight);
    ck_assert_ptr_nonnull(flight);
    *flight = (struct flight){.id = world->flight_id++,
                              .from = from,
                              .due_ns = due_ns,
                              .checksum = checksum_of(message),
                              .message = *message};
    struct flight **end = &world->nodes[to].inbox;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = flight;
}

static void trace_message(struct world *world, uint32_t to, const struct core_message *message)
{
    trace(world, (uint64_t)message->kind << 48 | (uint64_t)message->from << 40 |
                     (uint64_t)to << 32 | message->count);
    trace(world, message->ballot);
    trace(world, message->slot);
    trace(world, message->mark);
    trace(world, message->round);
    trace(world, message->lamport);
    trace(world, (uint64_t)message->segment_id << 32 | message->bytes_length);
    trace(world, checksum_of(message));
}

static bool port_message_send(void *self, uint32_t to, const struct core_message *message)
{
    struct world_node *node = self;
    struct world *world = node->world;
    ck_assert_msg(to < world->options.nodes && to != node->number, "node %u sends to %u",
                  node->number, to);
    if (world->options.sync == WAL_SYNC_BATCH) {
        check_durable(node);
    }
    world->counts.sent++;
    trace_message(world, to, message);
    struct core_message copy = *message;
    bool is_cut = world->filter != NULL && !world->filter(world, node->number, to, &copy);
    if (is_cut || world->nodes[to].replica == NULL ||
        happens(world, world->options.drop_permille)) {
        world->counts.lost++;
        return world->nodes[to].replica != NULL && !is_cut;
    }
    uint64_t due_ns = world->now_ns + WORLD_STEP_NS / 2 + prng_below(&world->prng, WORLD_STEP_NS);
    uint64_t *last_ns = &world->nodes[to].last_due_ns[node->number];
    if (happens(world, world->options.reorder_permille)) {
        due_ns += prng_below(&world->prng, 3 * WORLD_RETRANSMIT_NS);
        world->counts.reordered++;
    } else {
        due_ns = due_ns > *last_ns ? due_ns : *last_ns;
        *last_ns = due_ns;
    }
    flight_add(world, node->number, to, &copy, due_ns);
    if (happens(world, world->options.duplicate_permille)) {
        flight_add(world, node->number, to, &copy,
                   due_ns + prng_below(&world->prng, WORLD_RETRANSMIT_NS));
        world->counts.duplicated++;
    }
    return true;
}

static const struct core_message *port_message_next(void *self)
{
    struct world_node *node = self;
    struct flight *first = NULL;
    for (struct flight *flight = node->inbox; flight != NULL; flight = flight->next) {
        bool is_due = !flight->is_taken && flight->due_ns <= node->world->now_ns;
        if (is_due && (first == NULL || flight->due_ns < first->due_ns)) {
            first = flight;
        }
    }
    if (first == NULL) {
        return NULL;
    }
    first->is_taken = true;
    ck_assert_msg(checksum_of(&first->message) == first->checksum,
                  "bytes named by a %s from node %u to %u changed on the way",
                  message_kind_name(first->message.kind), first->from, node->number);
    return &first->message;
}

/* Drops those from a node (WORLD_NODES: from any) that are taken, or all. */
static void inbox_drop(struct world_node *node, uint32_t from, bool is_taken_only)
{
    struct flight **at = &node->inbox;
    while (*at != NULL) {
        struct flight *flight = *at;
        bool is_meant = from == WORLD_NODES || flight->from == from;
        if (is_meant && (flight->is_taken || !is_taken_only)) {
            *at = flight->next;
            free(flight);
        } else {
            at = &flight->next;
        }
    }
}

static void port_messages_release(void *self)
{
    struct world_node *node = self;
    for (struct flight *flight = node->inbox; flight != NULL; flight = flight->next) {
        ck_assert_msg(!flight->is_taken || checksum_of(&flight->message) == flight->checksum,
                      "bytes named by a message from node %u changed in node %u's hands",
                      flight->from, node->number);
    }
    inbox_drop(node, WORLD_NODES, true);
}

static void port_pins_note(void *self)
{
    struct world_node *node = self;
    ck_assert_msg(!node->has_note, "pins noted twice");
    node->has_note = true;
    node->flights_noted = node->world->flight_id;
}

static bool port_pins_passed(void *self)
{
    struct world_node *node = self;
    ck_assert_msg(node->has_note, "no pins were noted");
    for (uint32_t to = 0; to < node->world->options.nodes; to++) {
        for (struct flight *flight = node->world->nodes[to].inbox; flight != NULL;
             flight = flight->next) {
            if (flight->from == node->number && flight->id < node->flights_noted) {
                return false;
            }
        }
    }
    node->has_note = false;
    return true;
}

void world_inject(struct world *world, uint32_t from, uint32_t to,
                  const struct core_message *message)
{
    flight_add(world, from, to, message, world->now_ns);
}

/* ---- What was chosen ---- */

static struct world_slot *slot_at(struct world *world, uint64_t slot)
{
    if (slot >= world->slots_room) {
        uint64_t room = world->slots_room == 0 ? 1024 : world->slots_room;
        while (room <= slot) {
            room *= 2;
        }
        world->slots = realloc(world->slots, room * sizeof *world->slots);
        ck_assert_ptr_nonnull(world->slots);
        memset(world->slots + world->slots_room, 0,
               (room - world->slots_room) * sizeof *world->slots);
        world->slots_room = room;
    }
    return &world->slots[slot];
}

static struct world_op *op_by_sequence(const struct world *world, uint64_t sequence)
{
    return sequence > 0 && sequence <= world->ops_count ? world->ops[sequence - 1] : NULL;
}

static void op_chosen(struct world_op *op, uint64_t slot, const struct store_outcome *outcome)
{
    ck_assert_msg(op != NULL, "slot %" PRIu64 " holds a command nobody asked for", slot);
    ck_assert_msg(op->slot == 0, "a command was chosen in slot %" PRIu64 " and in %" PRIu64,
                  op->slot, slot);
    ck_assert_msg(!op->is_never,
                  "command %" PRIu64 " was chosen in slot %" PRIu64
                  " though its client was told it never would (status %d)",
                  op->sequence, slot, (int)op->status);
    op->slot = slot;
    op->expected = *outcome;
    bool has_value = outcome->entry.value != NULL && outcome->entry.value_bytes >= 8;
    op->expected_value = has_value ? bytes_load_u64(outcome->entry.value) : 0;
    op->expected.entry.value = NULL;
}

/* The next slots go into the reference, one by one. */
static void reference_advance(struct world *world)
{
    while (slot_at(world, world->slots_known + 1)->is_known) {
        struct world_slot *at = slot_at(world, ++world->slots_known);
        struct store_apply_item item = {.slot = world->slots_known,
                                        .command = at->is_noop ? NULL : at->bytes,
                                        .command_bytes = at->size};
        store_apply(world->reference, &item, 1);
        at->digest = store_digest(world->reference);
        struct command command;
        if (!at->is_noop && command_decode(at->bytes, at->size, &command)) {
            op_chosen(op_by_sequence(world, command.sequence), world->slots_known, &item.outcome);
        }
    }
}

static void note_chosen(struct world_node *node, uint64_t slot, const struct record *record)
{
    struct world *world = node->world;
    struct world_slot *at = slot_at(world, slot);
    bool is_noop = record->kind == RECORD_NOOP;
    uint32_t size = is_noop ? 0 : record->payload_bytes;
    if (at->is_known) {
        ck_assert_msg(at->is_noop == is_noop && at->size == size &&
                          (size == 0 || memcmp(at->bytes, record->payload, size) == 0),
                      "slot %" PRIu64 " was chosen with another value than node %u has there", slot,
                      node->number);
        return;
    }
    at->is_known = true;
    at->is_noop = is_noop;
    at->size = size;
    if (size > 0) {
        at->bytes = malloc(size);
        ck_assert_ptr_nonnull(at->bytes);
        memcpy(at->bytes, record->payload, size);
    }
    reference_advance(world);
}

/* What this node's mark says is chosen, read from its log before it is applied or released. */
static void compare_chosen(struct world_node *node)
{
    const struct core *core = &node->replica->core;
    uint64_t from = node->seen > core->base ? node->seen : core->base;
    for (uint64_t slot = from + 1; slot <= core->mark; slot++) {
        struct record record;
        if (wal_find(node->replica->wal, slot, &record)) {
            note_chosen(node, slot, &record);
        }
    }
    node->seen = core->mark > node->seen ? core->mark : node->seen;
}

static void port_flush(void *self)
{
    struct world_node *node = self;
    if (node->world->options.sync == WAL_SYNC_BATCH) {
        check_durable(node);
    }
    if (node->replica->failure == 0) {
        compare_chosen(node);
    }
}

static void port_role_changed(void *self, uint32_t role, int leader, uint64_t ballot)
{
    struct world_node *node = self;
    struct world *world = node->world;
    trace(world, (uint64_t)role << 32 | (uint32_t)leader);
    if (role != ROLE_LEADER) {
        return;
    }
    uint64_t *place = world->leaders[ballot % WORLD_LEADERS_KEPT];
    ck_assert_msg(place[0] != ballot || place[1] == node->number + 1,
                  "two leaders at ballot %" PRIx64, ballot);
    place[0] = ballot;
    place[1] = node->number + 1;
}

/* ---- Clients ---- */

static bool port_request_next(void *self, struct request *request)
{
    struct world_node *node = self;
    if (node->requests_taken == node->requests_count) {
        return false;
    }
    uint32_t at = (node->requests_first + node->requests_taken) % WORLD_REQUESTS;
    const struct world_op *op = node->requests[at];
    node->requests_taken++;
    if (node->world->before_request != NULL) {
        node->world->before_request(node->world, node->number);
    }
    *request = (struct request){.kind = op->kind,
                                .client = op->client,
                                .sequence = op->sequence,
                                .command = op->bytes,
                                .command_bytes = op->size};
    return true;
}

static void port_requests_release(void *self)
{
    struct world_node *node = self;
    node->requests_first = (node->requests_first + node->requests_taken) % WORLD_REQUESTS;
    node->requests_count -= node->requests_taken;
    node->requests_taken = 0;
}

static void check_command_outcome(const struct world_op *op, const struct store_outcome *outcome)
{
    bool is_too_large = outcome->result == STORE_INVALID && op->slot == 0;
    if (is_too_large) {
        return; /* never proposed: no log could hold it */
    }
    ck_assert_msg(op->slot != 0, "command %" PRIu64 " was answered but not chosen", op->sequence);
    const struct store_entry *got = &outcome->entry;
    const struct store_entry *expected = &op->expected.entry;
    bool has_value = got->value != NULL && got->value_bytes >= 8;
    uint64_t value = has_value ? bytes_load_u64(got->value) : 0;
    bool is_same = outcome->result == op->expected.result && got->version == expected->version &&
                   got->create_slot == expected->create_slot &&
                   got->modify_slot == expected->modify_slot &&
                   got->value_bytes == expected->value_bytes && value == op->expected_value;
    ck_assert_msg(is_same, "command %" PRIu64 " was answered with another outcome than it had",
                  op->sequence);
}

static void check_read_outcome(const struct world *world, struct world_op *op,
                               const struct store_outcome *outcome)
{
    const struct store_entry *entry = &outcome->entry;
    op->revision = outcome->result == STORE_OK ? entry->modify_slot : 0;
    ck_assert_msg(op->revision >= op->floor,
                  "a read of key %u found revision %" PRIu64 " after %" PRIu64 " had been seen",
                  op->key, op->revision, op->floor);
    if (outcome->result == STORE_OK) {
        ck_assert_ptr_nonnull(entry->value);
        const struct world_op *writer = op_by_sequence(world, bytes_load_u64(entry->value));
        ck_assert_msg(writer != NULL && writer->slot == entry->modify_slot &&
                          writer->key == op->key,
                      "a read of key %u found what nobody wrote there", op->key);
    }
}

static void note_outcome(struct world *world, struct world_op *op,
                         const struct store_outcome *outcome)
{
    op->result = outcome->result;
    if (op->kind == REQUEST_READ) {
        world->counts.reads++;
        check_read_outcome(world, op, outcome);
    } else {
        world->counts.writes++;
        check_command_outcome(op, outcome);
        op->revision = outcome->entry.modify_slot;
    }
    if (op->revision > world->floor[op->key]) {
        world->floor[op->key] = op->revision;
    }
}

static bool port_reply_send(void *self, const struct reply *reply)
{
    struct world_node *node = self;
    struct world *world = node->world;
    struct world_op *op = op_by_sequence(world, reply->sequence);
    ck_assert_msg(op != NULL && op->client == reply->client, "an answer nobody waits for");
    ck_assert_msg(op->state != OP_ANSWERED, "request %" PRIu64 " was answered twice", op->sequence);
    bool has_value = reply->status == REPLY_OUTCOME && reply->outcome.entry.value != NULL;
    if (has_value && reply->outcome.entry.value_bytes > node->reply_value_limit) {
        return false;
    }
    trace(world, op->sequence << 8 | (uint64_t)reply->status);
    world->counts.answers[reply->status]++;
    op->state = OP_ANSWERED;
    op->status = reply->status;
    if (reply->status == REPLY_OUTCOME) {
        note_outcome(world, op, &reply->outcome);
    } else if (reply->status != REPLY_UNKNOWN && op->kind == REQUEST_COMMAND) {
        /* A full lane makes BUSY of outcomes with a value too, which changed nothing. */
        op->is_never = op->op == COMMAND_PUT || op->op == COMMAND_DELETE;
        ck_assert_msg(!op->is_never || op->slot == 0,
                      "command %" PRIu64 " was chosen in slot %" PRIu64
                      ", and its client told that it was not (status %d)",
                      op->sequence, op->slot, (int)reply->status);
    }
    return true;
}

static struct world_op *op_new(struct world *world, uint32_t node, struct command command,
                               enum request_kind kind, uint32_t key)
{
    struct world_op *op = calloc(1, sizeof *op);
    if (world->ops_count % 1024 == 0) {
        world->ops = realloc(world->ops, (world->ops_count + 1024) * sizeof(struct world_op *));
    }
    uint8_t *value = calloc(1, (size_t)command.value_bytes + 8);
    ck_assert(op != NULL && world->ops != NULL && value != NULL);
    world->ops[world->ops_count++] = op;
    uint8_t name[4];
    bytes_store_u32(name, key);
    command.client = WORLD_CLIENTS;
    command.sequence = world->ops_count;
    command.key = name;
    command.key_bytes = sizeof name;
    memset(value, (int)(command.sequence & 0xff), command.value_bytes);
    bytes_store_u64(value, command.sequence);
    command.value = value;
    *op = (struct world_op){.client = WORLD_CLIENTS,
                            .sequence = command.sequence,
                            .node = node,
                            .kind = kind,
                            .op = command.op,
                            .key = key,
                            .size = (uint32_t)command_size(&command),
                            .asked_ns = world->now_ns,
                            .floor = world->floor[key]};
    op->bytes = malloc(op->size);
    ck_assert_ptr_nonnull(op->bytes);
    command_encode(&command, op->bytes);
    free(value);
    return op;
}

static struct world_op *submit(struct world *world, struct world_op *op)
{
    struct world_node *node = &world->nodes[op->node];
    if (node->replica == NULL || node->requests_count == WORLD_REQUESTS) {
        op->state = OP_LOST;
        return op;
    }
    node->requests[(node->requests_first + node->requests_count) % WORLD_REQUESTS] = op;
    node->requests_count++;
    return op;
}

struct world_op *world_put(struct world *world, uint32_t node, uint32_t key, uint32_t value_bytes)
{
    struct command command = {.op = COMMAND_PUT, .value_bytes = value_bytes < 8 ? 8 : value_bytes};
    return submit(world, op_new(world, node, command, REQUEST_COMMAND, key));
}

uint32_t world_records(struct world *world, uint8_t *to, const struct wal_extent *extent,
                       uint64_t ballot)
{
    uint32_t length = 0;
    for (uint32_t i = 0; i < extent->count; i++) {
        struct command command = {.op = COMMAND_PUT, .value_bytes = 100};
        struct world_op *op = op_new(world, 0, command, REQUEST_COMMAND, i % WORLD_KEYS);
        op->state = OP_LOST;
        struct record record = {.kind = RECORD_VALUE,
                                .payload_bytes = op->size,
                                .ballot = ballot,
                                .slot = extent->first_slot + i};
        uint8_t *at = to + length;
        uint32_t sum = record_copy_payload(at + RECORD_HEADER_BYTES, op->bytes, op->size);
        record_commit(at, segment_key(extent->segment_id), sum, &record);
        length += record_bytes(op->size);
    }
    return length;
}

struct world_op *world_read(struct world *world, uint32_t node, uint32_t key)
{
    struct command command = {.op = COMMAND_GET};
    return submit(world, op_new(world, node, command, REQUEST_READ, key));
}

static struct world_op *draw_op(struct world *world, uint32_t node)
{
    struct prng *prng = &world->prng;
    uint32_t key = (uint32_t)prng_below(prng, WORLD_KEYS);
    uint32_t value_bytes = 8 + (uint32_t)prng_below(prng, world->options.value_bytes);
    uint64_t die = prng_below(prng, 100);
    struct command command = {.op = COMMAND_PUT, .value_bytes = value_bytes};
    enum request_kind kind = REQUEST_COMMAND;
    if (die < 20) {
        kind = REQUEST_READ;
        command = (struct command){.op = COMMAND_GET};
    } else if (die < 30) {
        command = (struct command){.op = COMMAND_GET};
    } else if (die < 45) {
        command.op = COMMAND_CAS;
        command.compare = COMPARE_REVISION;
        command.expected_revision = world->floor[key];
    } else if (die < 55) {
        key += WORLD_KEYS; /* whose keys come and go are not read */
        if (die % 2 == 0) {
            command = (struct command){.op = COMMAND_DELETE};
        }
    }
    return op_new(world, node, command, kind, key);
}

static void clients_turn(struct world *world)
{
    for (uint32_t i = 0; i < world->options.clients; i++) {
        struct world_op *op = world->current[i];
        if (op != NULL && op->state == OP_WAITING) {
            if (world->now_ns - op->asked_ns < PATIENCE_NS) {
                continue;
            }
            op->state = OP_LOST;
        }
        int leader = world_leader(world);
        uint32_t node = (uint32_t)prng_below(&world->prng, world->options.nodes);
        if (leader >= 0 && !happens(world, world->options.misdirect_permille)) {
            node = (uint32_t)leader;
        }
        world->current[i] =
            world->nodes[node].replica == NULL ? NULL : submit(world, draw_op(world, node));
    }
}

/* ---- Nodes ---- */

int world_open(struct world *world, uint32_t number)
{
    struct world_node *node = &world->nodes[number];
    ck_assert_ptr_null(node->replica);
    node->failure = 0;
    node->seen = 0;
    node->synced_persisted = 0;
    node->synced_records = 0;
    node->has_note = false;
    node->requests_count = 0;
    node->requests_taken = 0;
    node->config.core.seed += 7919; /* a restarted node draws other time-outs */
    int error = replica_open(&node->replica, &node->config, world->now_ns,
                             WALL_START_NS + world->now_ns, &node->problem);
    ck_assert_msg((error == 0) == (node->replica != NULL), "replica_open: %d", error);
    return error;
}

void world_reopen(struct world *world, uint32_t number)
{
    int error = world_open(world, number);
    ck_assert_msg(error == 0, "node %u does not open: %d %s", number, error,
                  world->nodes[number].problem.text);
}

static void close_node(struct world *world, uint32_t number)
{
    struct world_node *node = &world->nodes[number];
    for (uint32_t to = 0; to < world->options.nodes; to++) {
        inbox_drop(&world->nodes[to], number, false);
    }
    inbox_drop(node, WORLD_NODES, false);
    world->counts.snapshots += node->replica->snapshots.taken;
    world->counts.installs += node->replica->snapshots.installed;
    replica_close(node->replica);
    node->replica = NULL;
    for (uint64_t i = 0; i < world->ops_count; i++) {
        struct world_op *op = world->ops[i];
        if (op->node == number && op->state == OP_WAITING) {
            op->state = OP_LOST;
        }
    }
}

void world_crash(struct world *world, uint32_t number)
{
    if (world->nodes[number].replica != NULL) {
        close_node(world, number);
        world->counts.crashes++;
    }
}

static void check_state(struct world_node *node)
{
    struct world *world = node->world;
    const struct replica *replica = node->replica;
    if (replica->applied <= world->slots_known) {
        ck_assert_msg(store_digest(replica->store) == slot_at(world, replica->applied)->digest,
                      "node %u has another state after slot %" PRIu64 " than the log makes",
                      node->number, replica->applied);
    }
    ck_assert_msg(replica->snapshots.current.slot <= replica->applied &&
                      replica->applied <= replica->core.mark &&
                      replica->core.base <= replica->snapshots.current.slot,
                  "node %u: base %" PRIu64 ", snapshot %" PRIu64 ", applied %" PRIu64
                  ", mark %" PRIu64,
                  node->number, replica->core.base, replica->snapshots.current.slot,
                  replica->applied, replica->core.mark);
}

void world_turn(struct world *world, uint32_t number)
{
    struct world_node *node = &world->nodes[number];
    if (node->replica == NULL || node->is_paused) {
        return;
    }
    (void)replica_turn(node->replica, world->now_ns, WALL_START_NS + world->now_ns);
    node->failure = replica_failure(node->replica);
    if (node->failure != 0 || node->disk.is_dead) {
        node->disk.is_dead = false;
        close_node(world, number);
        return;
    }
    ck_assert_msg(replica_next_turn_ns(node->replica) > 0, "no next turn");
    check_state(node);
}

void world_step(struct world *world)
{
    world->now_ns += WORLD_STEP_NS;
    if (!world->options.is_quiet) {
        clients_turn(world);
    }
    uint32_t first = (uint32_t)prng_below(&world->prng, world->options.nodes);
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        world_turn(world, (first + i) % world->options.nodes);
    }
}

void world_steps(struct world *world, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        world_step(world);
    }
}

int world_leader(const struct world *world)
{
    int leader = -1;
    uint64_t ballot = 0;
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (replica != NULL && replica->core.role == ROLE_LEADER &&
            replica->core.promised >= ballot) {
            leader = (int)i;
            ballot = replica->core.promised;
        }
    }
    return leader;
}

uint32_t world_await_leader(struct world *world)
{
    for (uint32_t i = 0; i < LIVENESS_STEPS; i++) {
        int leader = world_leader(world);
        if (leader >= 0) {
            const struct replica *replica = world->nodes[leader].replica;
            if (replica->applied >= replica->core.term_start) {
                return (uint32_t)leader;
            }
        }
        world_step(world);
    }
    ck_abort_msg("no leader");
}

void world_await(struct world *world, const struct world_op *op)
{
    for (uint32_t i = 0; i < LIVENESS_STEPS && op->state == OP_WAITING; i++) {
        world_step(world);
    }
    ck_assert_msg(op->state == OP_ANSWERED, "request %" PRIu64 " was not answered", op->sequence);
}

void world_fill(struct world *world, uint64_t slots, uint32_t value_bytes)
{
    uint32_t leader = world_await_leader(world);
    uint64_t end = world->nodes[leader].replica->applied + slots;
    for (uint32_t i = 0; i < LIVENESS_STEPS; i++) {
        leader = world_await_leader(world);
        const struct world_node *node = &world->nodes[leader];
        if (node->replica->applied >= end) {
            return;
        }
        if (node->requests_count < 8) {
            (void)world_put(world, leader, (uint32_t)prng_below(&world->prng, WORLD_KEYS),
                            value_bytes);
        }
        world_step(world);
    }
    ck_abort_msg("the log does not grow: stuck at %" PRIu64 " of %" PRIu64,
                 world->nodes[leader].replica->applied, end);
}

/* Whether everybody has applied the same, and nobody waits. */
static bool is_quiet(const struct world *world)
{
    const struct replica *first = world->nodes[0].replica;
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (replica->applied != first->applied || replica->core.mark != replica->applied ||
            waiting_list_has_reads(&replica->waiting)) {
            return false;
        }
    }
    int leader = world_leader(world);
    return leader >= 0 && first->applied == world->nodes[leader].replica->core.log_end &&
           first->applied >= world->nodes[leader].replica->core.term_start;
}

static const char *describe(const struct world *world, char *text, size_t size)
{
    size_t used = 0;
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (replica == NULL) {
            continue;
        }
        struct wal_space space;
        wal_space(replica->wal, &space);
        int length = snprintf(
            text + used, size - used,
            "; node %u %s at %" PRIx64 ": base %" PRIu64 " snapshot %" PRIu64 " applied %" PRIu64
            " mark %" PRIu64 " end %" PRIu64 " spare %u retired %u receiving %d",
            i, core_role_name(replica->core.role), replica->core.promised, replica->core.base,
            replica->snapshots.current.slot, replica->applied, replica->core.mark,
            core_log_end(&replica->core), space.segments_spare, space.segments_retired,
            (int)replica->snapshots.receiving.is_active);
        used += length > 0 && used + (size_t)length < size ? (size_t)length : 0;
    }
    return text;
}

static void compare_nodes(const struct world *world)
{
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        struct store *store = world->nodes[i].replica->store;
        ck_assert_uint_eq(store_digest(store), store_digest(world->reference));
        ck_assert_uint_eq(store_digest_recompute(store), store_digest(store));
    }
}

static void heal(struct world *world)
{
    world->options.drop_permille = 0;
    world->options.duplicate_permille = 0;
    world->options.reorder_permille = 0;
    world->filter = NULL;
    world->before_request = NULL;
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        struct world_node *node = &world->nodes[i];
        node->is_paused = false;
        node->disk.fails_sync = false;
        node->disk.fails_snapshot = false;
        node->reply_value_limit = UINT32_MAX;
        if (node->replica == NULL) {
            world_reopen(world, i);
        }
    }
}

void world_quiesce(struct world *world)
{
    bool was_quiet = world->options.is_quiet;
    world->options.is_quiet = true;
    heal(world);
    /* A write at the end: what old leaderships left open is decided by what follows it. */
    struct world_op *last = NULL;
    bool is_written = false;
    for (uint32_t i = 0; i < LIVENESS_STEPS && !is_written; i++) {
        int leader = world_leader(world);
        if (last != NULL && last->state == OP_WAITING &&
            world->now_ns - last->asked_ns > PATIENCE_NS) {
            last->state = OP_LOST; /* proposed by a leader that was deposed: the next one decides */
        }
        if (leader >= 0 && (last == NULL || last->state != OP_WAITING)) {
            last = world_put(world, (uint32_t)leader, 0, 8);
        }
        world_step(world);
        is_written = last != NULL && last->state == OP_ANSWERED && last->status == REPLY_OUTCOME;
    }
    char text[1024] = "";
    ck_assert_msg(is_written, "nothing gets written after all faults ended%s",
                  describe(world, text, sizeof text));
    for (uint32_t i = 0; i < LIVENESS_STEPS && !is_quiet(world); i++) {
        world_step(world);
    }
    ck_assert_msg(is_quiet(world), "nodes stay behind after all faults ended%s",
                  describe(world, text, sizeof text));
    compare_nodes(world);
    world->options.is_quiet = was_quiet;
}

/* ---- The world ---- */

static struct replica_ports ports_of(struct world_node *node)
{
    return (struct replica_ports){
        .self = node,
        .message_next = port_message_next,
        .messages_release = port_messages_release,
        .message_send = port_message_send,
        .flush = port_flush,
        .request_next = port_request_next,
        .requests_release = port_requests_release,
        .reply_send = port_reply_send,
        .pins_note = port_pins_note,
        .pins_passed = port_pins_passed,
        .role_changed = port_role_changed,
    };
}

static void set_defaults(struct world_options *options)
{
    options->nodes = options->nodes != 0 ? options->nodes : 3;
    options->segment_bytes = options->segment_bytes != 0 ? options->segment_bytes : 64u << 10;
    options->segment_count = options->segment_count != 0 ? options->segment_count : 8;
    options->window_slots = options->window_slots != 0 ? options->window_slots : 64;
    options->batch_slots = options->batch_slots != 0 ? options->batch_slots : 16;
    options->value_bytes = options->value_bytes != 0 ? options->value_bytes : 512;
    options->clients = options->clients != 0 ? options->clients : WORLD_CLIENTS;
    options->misdirect_permille =
        options->misdirect_permille != 0 ? options->misdirect_permille : 50;
}

static void node_init(struct world *world, uint32_t number)
{
    const struct world_options *options = &world->options;
    struct world_node *node = &world->nodes[number];
    node->world = world;
    node->number = number;
    node->reply_value_limit = UINT32_MAX;
    node->disk.disk = (struct disk){.ops = &world_disk_ops, .self = &node->disk};
    node->disk.node = node;
    (void)snprintf(node->directory, sizeof node->directory, "%.100s/node%u", world->directory,
                   number);
    node->config = (struct replica_config){
        .core = {.self = number,
                 .quorum = quorum_majority(options->nodes),
                 .election_timeout_ns = WORLD_ELECTION_NS,
                 .heartbeat_ns = WORLD_HEARTBEAT_NS,
                 .retransmit_ns = WORLD_RETRANSMIT_NS,
                 .window_slots = options->window_slots,
                 .message_slots = 32,
                 .seed = options->seed},
        .store = {.expected_keys = 64, .max_key_bytes = 64, .max_value_bytes = WORLD_VALUE_MAX},
        .disk = &node->disk.disk,
        .directory = node->directory,
        .cluster_id = 77,
        .segment_bytes = options->segment_bytes,
        .segment_count = options->segment_count,
        .sync = options->sync,
        .batch_slots = options->batch_slots,
        .ports = ports_of(node),
    };
}

void world_start(struct world *world, const struct world_options *options)
{
    memset(world, 0, sizeof *world);
    world->options = *options;
    set_defaults(&world->options);
    prng_init(&world->prng, options->seed);
    world->now_ns = UINT64_C(1000000000);
    bool has_shm = access("/dev/shm", W_OK) == 0;
    (void)snprintf(world->directory, sizeof world->directory, "%s/synod-replica-XXXXXX",
                   has_shm ? "/dev/shm" : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(world->directory));
    struct store_config store = {
        .expected_keys = 64, .max_key_bytes = 64, .max_value_bytes = WORLD_VALUE_MAX};
    ck_assert_int_eq(store_create(&world->reference, &store), 0);
    slot_at(world, 0)->digest = store_digest(world->reference);
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        node_init(world, i);
        world_reopen(world, i);
    }
}

static void directory_remove(const char *directory)
{
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) { // NOLINT: one thread
        char path[2 * WORLD_PATH + 256];
        (void)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        (void)unlink(path);
    }
    closedir(stream);
    (void)rmdir(directory);
}

void world_end(struct world *world)
{
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        if (world->nodes[i].replica != NULL) {
            close_node(world, i);
        }
        inbox_drop(&world->nodes[i], WORLD_NODES, false);
        directory_remove(world->nodes[i].directory);
    }
    directory_remove(world->directory);
    store_destroy(world->reference);
    for (uint64_t i = 0; i < world->ops_count; i++) {
        free(world->ops[i]->bytes);
        free(world->ops[i]);
    }
    for (uint64_t i = 0; i < world->slots_room; i++) {
        free(world->slots[i].bytes);
    }
    free(world->ops);
    free(world->slots);
}

uint64_t world_digest(const struct world *world)
{
    struct world sum = {.trace = world->trace};
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        const struct replica *replica = world->nodes[i].replica;
        if (replica == NULL) {
            continue;
        }
        struct wal_space space;
        wal_space(replica->wal, &space);
        for (uint64_t slot = space.first_slot; slot <= space.last_slot; slot++) {
            struct record record;
            if (wal_find(replica->wal, slot, &record)) {
                trace(&sum, slot);
                trace(&sum, record.ballot);
                trace(&sum, record.hybrid_time);
                trace(&sum, crc32c(record.kind, record.payload, record.payload_bytes));
            }
        }
        trace(&sum, space.bytes_appended);
        trace(&sum, space.first_slot);
        trace(&sum, store_digest(replica->store));
    }
    return sum.trace;
}

uint64_t world_snapshots(const struct world *world)
{
    uint64_t taken = world->counts.snapshots;
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        const struct replica *replica = world->nodes[i].replica;
        taken += replica != NULL ? replica->snapshots.taken : 0;
    }
    return taken;
}

uint64_t world_installs(const struct world *world)
{
    uint64_t installed = world->counts.installs;
    for (uint32_t i = 0; i < world->options.nodes; i++) {
        const struct replica *replica = world->nodes[i].replica;
        installed += replica != NULL ? replica->snapshots.installed : 0;
    }
    return installed;
}

bool world_find_file(const struct world *world, uint32_t node, const char *begins,
                     char path[2 * WORLD_PATH])
{
    DIR *stream = opendir(world->nodes[node].directory);
    ck_assert_ptr_nonnull(stream);
    bool is_found = false;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) { // NOLINT: one thread
        if (strncmp(entry->d_name, begins, strlen(begins)) == 0) {
            ck_assert_msg(!is_found, "several files %s* in %s", begins,
                          world->nodes[node].directory);
            is_found = true;
            (void)snprintf(path, 2 * WORLD_PATH, "%.120s/%.100s", world->nodes[node].directory,
                           entry->d_name);
        }
    }
    closedir(stream);
    return is_found;
}
