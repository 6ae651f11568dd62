/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUEST_TIMEOUT_NS UINT64_C(10000000000)
#define POLL_NS            UINT64_C(10000000)
#define VALUE_HEAD         16 /* id, key, size */

struct operation {
    enum synod_operation kind;
    uint32_t key;
    bool is_busy;
    bool removes;
    uint64_t id, expected;
    uint64_t known, known_of_key; /* when it began */
    uint64_t began_ns;
};

uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sleep_ns(uint64_t duration_ns)
{
    struct timespec duration = {.tv_sec = (time_t)(duration_ns / 1000000000u),
                                .tv_nsec = (long)(duration_ns % 1000000000u)};
    (void)nanosleep(&duration, NULL);
}

/* splitmix64 */
uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return random_next(state) % bound;
}

void key_name(uint32_t key, char name[16])
{
    (void)snprintf(name, 16, "key-%08" PRIu32, key);
}

/* ---- Values: who wrote them, then bytes that follow from it ---- */

static uint8_t filler(uint64_t id, uint32_t at)
{
    return (uint8_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 56) ^ (uint8_t)(at * 31u);
}

static struct synod_bytes make_value(uint8_t *room, uint64_t id, uint32_t key, uint32_t size)
{
    memcpy(room, &id, 8);
    memcpy(room + 8, &key, 4);
    memcpy(room + 12, &size, 4);
    for (uint32_t i = VALUE_HEAD; i < size; i++) {
        room[i] = filler(id, i);
    }
    return (struct synod_bytes){room, size};
}

uint64_t value_id(struct synod_bytes value, uint32_t key)
{
    const uint8_t *bytes = value.data;
    uint64_t id;
    uint32_t its_key;
    uint32_t its_size;
    if (value.size < VALUE_HEAD) {
        return 0;
    }
    memcpy(&id, bytes, 8);
    memcpy(&its_key, bytes + 8, 4);
    memcpy(&its_size, bytes + 12, 4);
    if (its_key != key || its_size != value.size) {
        return 0;
    }
    for (uint32_t i = VALUE_HEAD; i < its_size; i++) {
        if (bytes[i] != filler(id, i)) {
            return 0;
        }
    }
    return id;
}

/* ---- Records ---- */

static void *grown(void *memory, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return memory;
    }
    *capacity = 2 * *capacity + 256;
    void *more = realloc(memory, *capacity * size);
    if (more == NULL) {
        (void)fprintf(stderr, "worker: out of memory\n");
        abort();
    }
    return more;
}

static struct ledger_write *add_write(struct worker *worker, const struct operation *operation)
{
    struct records *records = &worker->records;
    records->writes = grown(records->writes, records->write_count, &records->write_capacity,
                            sizeof *records->writes);
    struct ledger_write *write = &records->writes[records->write_count++];
    bool deletes = operation->kind == SYNOD_DELETE || operation->removes;
    *write = (struct ledger_write){
        .key = operation->key,
        .kind = deletes                        ? LEDGER_DELETE
                : operation->kind == SYNOD_CAS ? LEDGER_CAS
                                               : LEDGER_PUT,
        .outcome = LEDGER_NOT_DONE,
        .id = operation->id,
        .floor = operation->known,
        .expected = operation->expected,
    };
    return write;
}

static void add_read(struct worker *worker, const struct operation *operation, bool is_found,
                     uint64_t revision, uint64_t id)
{
    struct records *records = &worker->records;
    records->reads =
        grown(records->reads, records->read_count, &records->read_capacity, sizeof *records->reads);
    records->reads[records->read_count++] = (struct ledger_read){.key = operation->key,
                                                                 .is_found = is_found,
                                                                 .floor = operation->known_of_key,
                                                                 .revision = revision,
                                                                 .id = id};
}

static void raise_to(_Atomic uint64_t *known, uint64_t revision)
{
    uint64_t seen = atomic_load(known);
    while (seen < revision && !atomic_compare_exchange_weak(known, &seen, revision)) {
    }
}

static void learn(struct worker *worker, uint32_t key, uint64_t revision)
{
    worker->seen[key] = revision;
    raise_to(&worker->campaign->known_of_key[key], revision);
    raise_to(&worker->campaign->known, revision);
}

/* ---- Completions ---- */

static void on_found(struct worker *worker, const struct operation *operation,
                     const struct synod_completion *done)
{
    uint64_t id = value_id(done->value, operation->key);
    if (id == 0) {
        (void)fprintf(stderr, "VIOLATION: key %" PRIu32 ": a value of %zu bytes nobody wrote\n",
                      operation->key, done->value.size);
        atomic_fetch_add(&worker->campaign->mistakes, 1);
    }
    add_read(worker, operation, true, done->revision, id);
    learn(worker, operation->key, done->revision);
}

static void on_write_done(struct worker *worker, const struct operation *operation,
                          const struct synod_completion *done)
{
    struct ledger_write *write = add_write(worker, operation);
    write->outcome = LEDGER_ACKED;
    write->revision = done->revision;
    write->version = done->version;
    write->create_revision = done->create_revision;
    learn(worker, operation->key, done->revision);
}

static void time_service(struct campaign *campaign, const struct operation *operation)
{
    uint64_t crashed_ns = atomic_load(&campaign->crashed_ns);
    uint64_t none = 0;
    if (crashed_ns != 0 && operation->began_ns >= crashed_ns) {
        (void)atomic_compare_exchange_strong(&campaign->served_ns, &none, now_ns());
    }
}

static void on_completion(struct worker *worker, struct operation *operation,
                          const struct synod_completion *done)
{
    bool is_read = operation->kind == SYNOD_GET;
    bool is_served = true;
    operation->is_busy = false;
    switch (done->status) {
    case SYNOD_OK:
        is_read ? on_found(worker, operation, done) : on_write_done(worker, operation, done);
        break;
    case SYNOD_NOT_FOUND:
        add_read(worker, operation, false, 0, 0);
        break;
    case SYNOD_MISMATCH:
        add_read(worker, operation, done->revision != 0, done->revision, 0);
        (void)add_write(worker, operation);
        worker->seen[operation->key] = done->revision;
        break;
    case SYNOD_TIMEOUT:
        is_served = false;
        if (!is_read) {
            add_write(worker, operation)->outcome = LEDGER_UNKNOWN;
            atomic_fetch_add(&worker->campaign->unknown, 1);
        }
        break;
    case SYNOD_BUSY:
    case SYNOD_NO_LEADER:
        is_served = false;
        if (!is_read) {
            (void)add_write(worker, operation);
        }
        break;
    case SYNOD_CLOSED:
    case SYNOD_INVALID:
    case SYNOD_WRONG_THREAD:
    case SYNOD_NO_SPACE:
    case SYNOD_IN_USE:
    case SYNOD_CORRUPT:
    case SYNOD_FOREIGN:
    case SYNOD_NO_MEMORY:
    case SYNOD_IO_ERROR:
        (void)fprintf(stderr, "VIOLATION: key %" PRIu32 ": a request ended as %s\n", operation->key,
                      synod_status_name(done->status));
        atomic_fetch_add(&worker->campaign->mistakes, 1);
        break;
    }
    if (is_served) {
        time_service(worker->campaign, operation);
    }
    atomic_fetch_add(&worker->campaign->done, 1);
}

/* ---- Requests ---- */

static void draw_request(struct worker *worker, struct operation *operation, char name[16],
                         struct synod_request *request)
{
    struct campaign *campaign = worker->campaign;
    uint64_t *random = &worker->random;
    uint64_t dice = random_below(random, 100);
    uint32_t key = (uint32_t)random_below(random, campaign->keys);
    *operation = (struct operation){
        .kind = dice < 45   ? SYNOD_PUT
                : dice < 70 ? SYNOD_GET
                : dice < 90 ? SYNOD_CAS
                            : SYNOD_DELETE,
        .key = key,
        .is_busy = true,
        .id = worker->next_id++,
    };
    key_name(key, name);
    *request = (struct synod_request){.operation = operation->kind,
                                      .key = {name, strlen(name)},
                                      .timeout_ns = REQUEST_TIMEOUT_NS};
    if (operation->kind == SYNOD_CAS) {
        request->compare = SYNOD_COMPARE_REVISION;
        request->expected_revision = operation->expected = worker->seen[key];
        request->removes = operation->removes =
            operation->expected != 0 && random_below(random, 4) == 0;
    }
    if (operation->kind == SYNOD_PUT || operation->kind == SYNOD_CAS) {
        uint32_t size =
            campaign->value_min +
            (uint32_t)random_below(random, campaign->value_max - campaign->value_min + 1);
        request->value = make_value(worker->value, operation->id, key, size);
    }
    request->consistency = random_below(random, 3) == 0 ? SYNOD_READ_LOG : SYNOD_READ_QUORUM;
    operation->known_of_key = atomic_load(&campaign->known_of_key[key]);
    operation->known = atomic_load(&campaign->known);
    operation->began_ns = now_ns();
}

static void submit_one(struct worker *worker, uint32_t place)
{
    char name[16];
    struct synod_request request;
    struct operation *operation = &worker->operations[place];
    draw_request(worker, operation, name, &request);
    request.tag = place;
    /* BUSY: no room for large values; nothing was done, so it never was. */
    operation->is_busy = synod_submit(worker->client, &request) == SYNOD_OK;
}

/* A blocking call while others are in flight. */
static void call_one(struct worker *worker)
{
    char name[16];
    struct synod_request request;
    struct operation operation;
    struct synod_completion done = {0};
    draw_request(worker, &operation, name, &request);
    enum synod_status status = SYNOD_INVALID;
    switch (operation.kind) {
    case SYNOD_PUT:
        status = synod_put(worker->client, request.key, request.value, REQUEST_TIMEOUT_NS, &done);
        break;
    case SYNOD_GET:
        status =
            synod_get(worker->client, request.key, request.consistency, REQUEST_TIMEOUT_NS, &done);
        break;
    case SYNOD_DELETE:
        status = synod_delete(worker->client, request.key, REQUEST_TIMEOUT_NS, &done);
        break;
    case SYNOD_CAS:
        operation.removes = false;
        status = synod_cas(worker->client, request.key, request.expected_revision, request.value,
                           REQUEST_TIMEOUT_NS, &done);
        break;
    }
    done.status = status;
    on_completion(worker, &operation, &done);
}

static void poll_some(struct worker *worker)
{
    struct synod_completion completions[8];
    size_t count = synod_poll(worker->client, completions,
                              sizeof completions / sizeof completions[0], POLL_NS);
    for (size_t i = 0; i < count; i++) {
        on_completion(worker, &worker->operations[completions[i].tag], &completions[i]);
    }
}

/* ---- The thread ---- */

static void open_client(struct worker *worker)
{
    enum synod_status status = synod_client_open(worker->campaign->cluster, &worker->client);
    if (status != SYNOD_OK) {
        (void)fprintf(stderr, "worker: a client cannot be opened: %s\n", synod_status_text(status));
        abort();
    }
    atomic_fetch_add(&worker->campaign->handles, 1);
}

/* Leaves with requests in flight: their outcome is unknown, and whoever gets the place next must
 * not be told it. */
static void change_client(struct worker *worker)
{
    synod_client_close(worker->client);
    for (uint32_t place = 0; place < worker->campaign->depth; place++) {
        if (worker->operations[place].is_busy) {
            on_completion(worker, &worker->operations[place],
                          &(struct synod_completion){.status = SYNOD_TIMEOUT});
        }
    }
    open_client(worker);
}

static void drain(struct worker *worker)
{
    while (synod_in_flight(worker->client) > 0) {
        poll_some(worker);
    }
}

static void pause_until_told(struct worker *worker)
{
    drain(worker);
    atomic_fetch_add(&worker->campaign->paused, 1);
    while (atomic_load(&worker->campaign->order) == ORDER_PAUSE) {
        sleep_ns(200000);
    }
    atomic_fetch_sub(&worker->campaign->paused, 1);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct campaign *campaign = worker->campaign;
    open_client(worker);
    for (;;) {
        uint32_t order = atomic_load(&campaign->order);
        if (order == ORDER_STOP) {
            break;
        }
        if (order == ORDER_PAUSE) {
            pause_until_told(worker);
            continue;
        }
        for (uint32_t place = 0; place < campaign->depth; place++) {
            if (!worker->operations[place].is_busy) {
                submit_one(worker, place);
            }
        }
        uint64_t dice = random_below(&worker->random, 4096);
        if (dice < 32) {
            call_one(worker);
        } else if (dice == 32) {
            change_client(worker);
        } else {
            poll_some(worker);
        }
    }
    drain(worker);
    synod_client_close(worker->client);
    return NULL;
}

void worker_start(struct worker *worker, struct campaign *campaign, uint32_t number, uint64_t seed)
{
    *worker = (struct worker){
        .campaign = campaign,
        .number = number,
        .random = seed,
        .operations = calloc(campaign->depth, sizeof *worker->operations),
        .seen = calloc(campaign->keys, sizeof *worker->seen),
        .value = calloc(1, campaign->value_max),
        .next_id = ((uint64_t)(number + 1) << 48) + 1,
    };
    if (worker->operations == NULL || worker->seen == NULL || worker->value == NULL ||
        pthread_create(&worker->thread, NULL, work, worker) != 0) {
        (void)fprintf(stderr, "worker: cannot start\n");
        abort();
    }
}

void worker_join(struct worker *worker)
{
    (void)pthread_join(worker->thread, NULL);
    free(worker->operations);
    free(worker->seen);
    free(worker->value);
    free(worker->records.writes);
    free(worker->records.reads);
}
