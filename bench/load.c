/* SPDX-License-Identifier: MIT */
#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time_source.h"

#define POLL_WAIT_NS    UINT64_C(10000000)   /* how late a client may notice a new phase or epoch */
#define DRAIN_WAIT_NS   UINT64_C(6000000000) /* the API's default time-out is 5 s */
#define BACK_OFF_NS     UINT64_C(50000)      /* when nothing but refusals came back */
#define BETWEEN_NS      UINT64_C(200000)     /* how often a waiting client looks at the phase */
#define COMPLETIONS_MAX 256
#define REVISIONS       16384 /* remembered for compare-and-set; a power of two */

/* An operation in flight. */
struct slot {
    uint64_t start_ns;
    uint64_t key;
    bool is_open;
};

/* The revision this client last saw of a key; a small direct-mapped memory. */
struct revision {
    uint64_t key, revision;
};

/* What others read while the client runs; the client is the only writer. */
struct published {
    _Atomic uint32_t stage;  /* enum load_stage */
    _Atomic uint32_t epoch;  /* the newest one seen */
    _Atomic uint32_t broken; /* enum synod_status */
    _Atomic uint64_t completed, failed, unknown, wrong, lost_cas, refused, answered;
};

struct load_client {
    _Alignas(CACHELINE_PAIR) struct published published;

    _Alignas(CACHELINE_PAIR) struct load *load;
    const struct target_operations *target;
    void *handle;
    uint32_t number;
    int cpu; /* -1: anywhere */
    struct workload_stream stream;
    struct slot *slots;   /* owned; slot_count of them */
    uint32_t *free_slots; /* owned; a stack of the closed ones */
    uint32_t slot_count, free_count;
    uint64_t *retries; /* owned; a stack of keys whose pre-load failed, slot_count at most */
    uint32_t retry_count;
    struct revision *revisions; /* owned; NULL without compare-and-set in the mix */
    struct load_samples *sets;  /* two */
    uint32_t epoch;
    uint64_t quota; /* answers that count still to come; UINT64_MAX: no limit */
    uint64_t last_answer_ns;
    struct synod_completion completions[COMPLETIONS_MAX];
    pthread_t thread;
};

/* All slots free, the first `depth` of them in use from now on. Nothing is in flight. */
static void set_depth(struct load_client *client, uint32_t depth)
{
    client->slot_count = depth;
    client->free_count = depth;
    for (uint32_t i = 0; i < depth; i++) {
        client->free_slots[i] = depth - 1 - i;
    }
}

/* ---- Publishing ----------------------------------------------------------------------------- */

/* A single-writer counter: no read-modify-write instruction. Relaxed: numbers for display; the
 * final ones are ordered by the stage [H1]. */
static void bump(_Atomic uint64_t *counter, uint64_t by)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + by, memory_order_relaxed);
}

/* Release: pairs with load_has_reached [H1]; all the client recorded before is visible. */
static void reach(struct load_client *client, enum load_stage stage)
{
    atomic_store_explicit(&client->published.stage, (uint32_t)stage, memory_order_release);
}

static void break_off(struct load_client *client, enum synod_status status)
{
    atomic_store_explicit(&client->published.broken, (uint32_t)status, memory_order_relaxed);
}

static bool is_broken(const struct load_client *client)
{
    return atomic_load_explicit(&client->published.broken, memory_order_relaxed) != SYNOD_OK;
}

/* Acquire: pairs with load_set_phase [H2]; the window's limits are visible with RUN. */
static enum load_phase phase_of(const struct load *load)
{
    return (enum load_phase)atomic_load_explicit(&load->phase, memory_order_acquire);
}

/* The set to record into. Acquire: pairs with load_collect [H3], which emptied it; release: pairs
 * with load_collect [H4], which reads the one we leave. */
static void change_over(struct load_client *client)
{
    uint32_t epoch = atomic_load_explicit(&client->load->epoch, memory_order_acquire);
    if (UNLIKELY(epoch != client->epoch)) {
        client->epoch = epoch;
        atomic_store_explicit(&client->published.epoch, epoch, memory_order_release);
    }
}

/* ---- One operation -------------------------------------------------------------------------- */

static uint64_t known_revision(const struct load_client *client, uint64_t key)
{
    const struct revision *known = &client->revisions[key % REVISIONS];
    return known->key == key ? known->revision : 0;
}

/* Puts one request into the target's hands under a free slot. */
static enum synod_status submit(struct load_client *client, enum synod_operation operation,
                                uint64_t key, uint64_t now)
{
    uint32_t slot = client->free_slots[client->free_count - 1];
    struct synod_request request = {
        .operation = operation,
        .key = workload_key(&client->stream, key),
        .consistency = client->load->workload->spec.consistency,
        .tag = slot,
    };
    if (operation == SYNOD_PUT || operation == SYNOD_CAS) {
        request.value = workload_value(&client->stream);
    }
    if (operation == SYNOD_CAS) {
        request.compare = SYNOD_COMPARE_REVISION;
        request.expected_revision = known_revision(client, key);
    }
    enum synod_status status = client->target->submit(client->handle, &request);
    if (status == SYNOD_OK) {
        client->slots[slot] = (struct slot){.start_ns = now, .key = key, .is_open = true};
        client->free_count--;
    } else if (status != SYNOD_BUSY) {
        break_off(client, status);
    }
    return status;
}

/* Takes the slot that a completion answers; false: it answers nothing we asked. */
static bool close_slot(struct load_client *client, const struct synod_completion *done,
                       struct slot *slot)
{
    if (done->tag >= client->slot_count || !client->slots[done->tag].is_open) {
        bump(&client->published.wrong, 1);
        return false;
    }
    *slot = client->slots[done->tag];
    client->slots[done->tag].is_open = false;
    client->free_slots[client->free_count++] = (uint32_t)done->tag;
    return true;
}

static uint32_t in_flight(const struct load_client *client)
{
    return client->slot_count - client->free_count;
}

static size_t poll_completions(struct load_client *client)
{
    size_t count =
        client->target->poll(client->handle, client->completions, COMPLETIONS_MAX, POLL_WAIT_NS);
    bump(&client->published.answered, count);
    return count;
}

/* ---- Pre-loading ---------------------------------------------------------------------------- */

static void submit_preloads(struct load_client *client, uint64_t *next, uint64_t end)
{
    while (client->free_count > 0 && (client->retry_count > 0 || *next < end)) {
        bool is_retry = client->retry_count > 0;
        uint64_t key = is_retry ? client->retries[client->retry_count - 1] : *next;
        if (submit(client, SYNOD_PUT, key, 0) != SYNOD_OK) {
            return;
        }
        client->retry_count -= is_retry ? 1 : 0;
        *next += is_retry ? 0 : 1;
    }
}

/* Each key of the client's share is written until one write of it was acknowledged. */
static void preload(struct load_client *client)
{
    const struct load *load = client->load;
    uint64_t keys = load->workload->spec.keys;
    uint64_t next = keys * client->number / load->clients;
    uint64_t end = keys * (client->number + 1) / load->clients;
    while (phase_of(load) == LOAD_PRELOAD && !is_broken(client)) {
        submit_preloads(client, &next, end);
        if (next == end && client->retry_count == 0 && in_flight(client) == 0) {
            break;
        }
        size_t count = poll_completions(client);
        bool has_progress = false;
        for (size_t i = 0; i < count; i++) {
            struct slot slot;
            if (!close_slot(client, &client->completions[i], &slot)) {
                continue;
            }
            if (client->completions[i].status == SYNOD_OK) {
                bump(&client->published.completed, 1);
                has_progress = true;
            } else {
                client->retries[client->retry_count++] = slot.key;
            }
        }
        if (!has_progress && count > 0) {
            time_source_sleep_ns(BACK_OFF_NS);
        }
    }
    atomic_store_explicit(&client->published.completed, 0, memory_order_relaxed);
    reach(client, LOAD_PRELOADED);
}

/* ---- The window ----------------------------------------------------------------------------- */

static void submit_free(struct load_client *client)
{
    uint64_t now = 0;
    for (uint32_t i = 0; client->free_count > 0; i++) {
        if (i % LOAD_STAMP_EVERY == 0) {
            now = time_source_now_ns();
        }
        enum synod_operation operation = workload_next_operation(&client->stream);
        if (submit(client, operation, workload_next_key(&client->stream), now) != SYNOD_OK) {
            bump(&client->published.refused, 1);
            if (in_flight(client) == 0) {
                time_source_sleep_ns(BACK_OFF_NS);
            }
            return;
        }
    }
}

static void remember_revision(struct load_client *client, const struct synod_completion *done,
                              uint64_t key)
{
    bool is_gone = done->operation == SYNOD_DELETE || done->status == SYNOD_NOT_FOUND;
    client->revisions[key % REVISIONS] =
        (struct revision){.key = key, .revision = is_gone ? 0 : done->revision};
}

/* Pre-loaded keys are there unless the mix deletes; each kind of operation has its own outcomes. */
static bool is_right(const struct load_client *client, const struct synod_completion *done)
{
    bool may_be_gone = client->load->workload->spec.mix.weight[SYNOD_DELETE] > 0;
    switch (done->operation) {
    case SYNOD_PUT:
        return done->status == SYNOD_OK;
    case SYNOD_GET:
        return done->status == SYNOD_OK || (done->status == SYNOD_NOT_FOUND && may_be_gone);
    case SYNOD_DELETE:
        return done->status != SYNOD_MISMATCH;
    case SYNOD_CAS:
        return done->status != SYNOD_NOT_FOUND;
    }
    return false;
}

/* The outcome of one operation that counts; true when it was served. */
static bool settle(struct load_client *client, const struct synod_completion *done,
                   uint64_t latency_ns)
{
    struct published *published = &client->published;
    switch ((int)done->status) {
    case SYNOD_OK:
    case SYNOD_NOT_FOUND:
    case SYNOD_MISMATCH:
        bump(&published->completed, 1);
        bump(&published->lost_cas, done->status == SYNOD_MISMATCH ? 1 : 0);
        bump(&published->wrong, is_right(client, done) ? 0 : 1);
        histogram_record(&client->sets[client->epoch & 1].latency[done->operation], latency_ns);
        return true;
    case SYNOD_TIMEOUT:
        bump(&published->unknown, 1);
        return false;
    case SYNOD_BUSY:
    case SYNOD_NO_LEADER:
        bump(&published->failed, 1);
        return false;
    default:
        bump(&published->failed, 1);
        break_off(client, done->status);
        return false;
    }
}

/* One batch of completions, all answered at `now`. */
static void settle_batch(struct load_client *client, size_t count, uint64_t now)
{
    const struct load *load = client->load;
    /* Relaxed: the start is ordered by the phase [H2]; an end moved forward may be seen a batch
     * late. */
    uint64_t start = atomic_load_explicit(&load->window_start_ns, memory_order_relaxed);
    uint64_t end = atomic_load_explicit(&load->window_end_ns, memory_order_relaxed);
    bool counts = now >= start && now < end;
    uint32_t served = 0;
    for (size_t i = 0; i < count; i++) {
        const struct synod_completion *done = &client->completions[i];
        struct slot slot;
        if (!close_slot(client, done, &slot)) {
            continue;
        }
        bool is_served = done->status == SYNOD_OK || done->status == SYNOD_NOT_FOUND ||
                         done->status == SYNOD_MISMATCH;
        served += is_served ? 1 : 0;
        if (client->revisions != NULL && is_served) {
            remember_revision(client, done, slot.key);
        }
        if (counts && client->quota > 0) {
            (void)settle(client, done, now - slot.start_ns);
            client->quota -= client->quota == UINT64_MAX ? 0 : 1;
            client->last_answer_ns = now;
        }
    }
    if (counts && served > 0 && load->gaps != NULL) {
        gaps_mark(load->gaps, client->number, now - start);
    }
    if (served == 0) {
        time_source_sleep_ns(BACK_OFF_NS);
    }
}

static void run_window(struct load_client *client)
{
    while (phase_of(client->load) == LOAD_RUN && client->quota > 0 && !is_broken(client)) {
        change_over(client);
        submit_free(client);
        size_t count = poll_completions(client);
        if (count > 0) {
            settle_batch(client, count, time_source_now_ns());
        }
    }
    reach(client, LOAD_FINISHED);
}

/* Waits for what is in flight; what comes back now is outside the window, but an outcome that stays
 * unknown belongs to the operations asked for inside it. */
static void drain(struct load_client *client)
{
    uint64_t give_up = time_source_now_ns() + DRAIN_WAIT_NS;
    while (in_flight(client) > 0 && !is_broken(client) && time_source_now_ns() < give_up) {
        size_t count = poll_completions(client);
        for (size_t i = 0; i < count; i++) {
            struct slot slot;
            if (close_slot(client, &client->completions[i], &slot)) {
                bump(&client->published.unknown,
                     client->completions[i].status == SYNOD_TIMEOUT ? 1 : 0);
            }
        }
    }
    bump(&client->published.unknown, in_flight(client));
}

/* ---- The thread ----------------------------------------------------------------------------- */

/* Keeps answering the collector while it waits. */
static enum load_phase await_phase(struct load_client *client, enum load_phase phase)
{
    while (phase_of(client->load) < phase) {
        change_over(client);
        time_source_sleep_ns(BETWEEN_NS);
    }
    return phase_of(client->load);
}

static void name_and_pin(const struct load_client *client)
{
    char name[LOAD_NAME_BYTES];
    (void)snprintf(name, sizeof name, "syn/c%" PRIu32, client->number);
    (void)pthread_setname_np(pthread_self(), name);
    if (client->cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((size_t)client->cpu, &set);
        /* The CPU was usable when the placement was made; if it has gone since, anywhere will do.
         */
        (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    }
}

static void *client_main(void *argument)
{
    struct load_client *client = argument;
    name_and_pin(client);
    enum synod_status status =
        client->target->open_client(client->load->target->state, &client->handle);
    if (status != SYNOD_OK) {
        client->handle = NULL;
        break_off(client, status);
    }
    reach(client, LOAD_READY);
    if (await_phase(client, LOAD_PRELOAD) == LOAD_PRELOAD) {
        preload(client);
    }
    if (await_phase(client, LOAD_RUN) == LOAD_RUN && in_flight(client) == 0) {
        set_depth(client, client->load->depth);
        run_window(client);
    }
    (void)await_phase(client, LOAD_DRAIN);
    if (client->handle != NULL) {
        drain(client);
    }
    reach(client, LOAD_DRAINED);
    (void)await_phase(client, LOAD_EXIT);
    if (client->handle != NULL) {
        client->target->close_client(client->handle);
    }
    return NULL;
}

/* ---- The main thread's side ----------------------------------------------------------------- */

static int client_init(struct load *load, uint32_t number, const struct load_options *options)
{
    struct load_client *client = &load->all[number];
    uint64_t share = options->operations / options->clients +
                     (number < options->operations % options->clients ? 1 : 0);
    *client = (struct load_client){
        .load = load,
        .target = options->target->operations,
        .number = number,
        .cpu = options->pin == NULL ? -1 : options->pin[number],
        .slot_count = options->depth > LOAD_PRELOAD_MIN ? options->depth : LOAD_PRELOAD_MIN,
        .sets = &load->samples[2 * (size_t)number],
        .quota = options->operations == 0 ? UINT64_MAX : share,
    };
    client->slots = calloc(client->slot_count, sizeof client->slots[0]);
    client->free_slots = calloc(client->slot_count, sizeof client->free_slots[0]);
    client->retries = calloc(client->slot_count, sizeof client->retries[0]);
    bool has_cas = load->workload->spec.mix.weight[SYNOD_CAS] > 0;
    if (has_cas) {
        client->revisions = calloc(REVISIONS, sizeof client->revisions[0]);
    }
    if (client->slots == NULL || client->free_slots == NULL || client->retries == NULL ||
        (has_cas && client->revisions == NULL)) {
        return -ENOMEM;
    }
    set_depth(client, client->slot_count);
    return workload_stream_init(&client->stream, load->workload, number);
}

int load_init(struct load *load, const struct load_options *options, struct problem *problem)
{
    *load = (struct load){
        .workload = options->workload,
        .target = options->target,
        .gaps = options->gaps,
        .clients = options->clients,
        .depth = options->depth,
        .is_collected = true,
        .window_start_ns = UINT64_MAX,
        .window_end_ns = UINT64_MAX,
    };
    load->samples = calloc(2 * (size_t)options->clients, sizeof *load->samples);
    load->all = aligned_alloc(CACHELINE_PAIR, options->clients * sizeof *load->all);
    bool has_memory = load->samples != NULL && load->all != NULL;
    if (has_memory) {
        memset(load->all, 0, options->clients * sizeof *load->all);
        for (size_t i = 0; i < 2 * (size_t)options->clients; i++) {
            load_samples_reset(&load->samples[i]);
        }
        for (uint32_t i = 0; i < options->clients && has_memory; i++) {
            has_memory = client_init(load, i, options) == 0;
        }
    }
    if (!has_memory) {
        (void)problem_set(problem, "no memory for %" PRIu32 " clients; use fewer --clients",
                          options->clients);
        load_deinit(load);
        return -ENOMEM;
    }
    return 0;
}

int load_start(struct load *load, struct problem *problem)
{
    while (load->threads < load->clients) {
        struct load_client *client = &load->all[load->threads];
        int error = pthread_create(&client->thread, NULL, client_main, client);
        if (error != 0) {
            (void)problem_set(problem, "cannot start client thread %" PRIu32 " of %" PRIu32 ": %s",
                              load->threads + 1, load->clients, strerrordesc_np(error));
            return -error;
        }
        load->threads++;
    }
    return 0;
}

void load_deinit(struct load *load)
{
    load_set_phase(load, LOAD_EXIT);
    for (uint32_t i = 0; i < load->threads; i++) {
        (void)pthread_join(load->all[i].thread, NULL);
    }
    for (uint32_t i = 0; load->all != NULL && i < load->clients; i++) {
        struct load_client *client = &load->all[i];
        workload_stream_deinit(&client->stream);
        free(client->slots);
        free(client->free_slots);
        free(client->retries);
        free(client->revisions);
    }
    free(load->all);
    free(load->samples);
    load->all = NULL;
    load->samples = NULL;
    load->threads = 0;
}

void load_set_phase(struct load *load, enum load_phase phase)
{
    /* Release: pairs with phase_of [H2]. */
    atomic_store_explicit(&load->phase, (uint32_t)phase, memory_order_release);
}

void load_set_window(struct load *load, uint64_t start_ns, uint64_t end_ns)
{
    atomic_store_explicit(&load->window_start_ns, start_ns, memory_order_relaxed);
    atomic_store_explicit(&load->window_end_ns, end_ns, memory_order_relaxed);
}

bool load_has_reached(const struct load *load, enum load_stage stage)
{
    for (uint32_t i = 0; i < load->clients; i++) {
        /* Acquire: pairs with reach [H1]. */
        uint32_t reached =
            atomic_load_explicit(&load->all[i].published.stage, memory_order_acquire);
        if (reached < (uint32_t)stage) {
            return false;
        }
    }
    return true;
}

enum synod_status load_broken(const struct load *load)
{
    for (uint32_t i = 0; i < load->clients; i++) {
        uint32_t status =
            atomic_load_explicit(&load->all[i].published.broken, memory_order_relaxed);
        if (status != SYNOD_OK) {
            return (enum synod_status)status;
        }
    }
    return SYNOD_OK;
}

struct load_counters load_count(const struct load *load)
{
    struct load_counters sum = {0};
    for (uint32_t i = 0; i < load->clients; i++) {
        const struct published *from = &load->all[i].published;
        sum.completed += atomic_load_explicit(&from->completed, memory_order_relaxed);
        sum.failed += atomic_load_explicit(&from->failed, memory_order_relaxed);
        sum.unknown += atomic_load_explicit(&from->unknown, memory_order_relaxed);
        sum.wrong += atomic_load_explicit(&from->wrong, memory_order_relaxed);
        sum.lost_cas += atomic_load_explicit(&from->lost_cas, memory_order_relaxed);
        sum.refused += atomic_load_explicit(&from->refused, memory_order_relaxed);
        sum.answered += atomic_load_explicit(&from->answered, memory_order_relaxed);
    }
    return sum;
}

uint64_t load_last_answer_ns(const struct load *load)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < load->clients; i++) {
        uint64_t own = load->all[i].last_answer_ns;
        last = own > last ? own : last;
    }
    return last;
}

static bool has_changed_over(const struct load *load, uint32_t epoch)
{
    for (uint32_t i = 0; i < load->clients; i++) {
        /* Acquire: pairs with change_over [H4]. */
        uint32_t seen = atomic_load_explicit(&load->all[i].published.epoch, memory_order_acquire);
        if (seen != epoch) {
            return false;
        }
    }
    return true;
}

bool load_collect(struct load *load, struct load_samples *into, uint64_t wait_ns)
{
    uint32_t epoch = atomic_load_explicit(&load->epoch, memory_order_relaxed);
    if (load->is_collected) {
        epoch++;
        /* Release: pairs with change_over [H3]; the sets emptied last time are handed back. */
        atomic_store_explicit(&load->epoch, epoch, memory_order_release);
        load->is_collected = false;
    }
    uint64_t give_up = time_source_now_ns() + wait_ns;
    while (!has_changed_over(load, epoch)) {
        if (time_source_now_ns() >= give_up) {
            return false;
        }
        time_source_sleep_ns(BETWEEN_NS);
    }
    for (uint32_t i = 0; i < load->clients; i++) {
        struct load_samples *left = &load->all[i].sets[(epoch & 1) ^ 1];
        load_samples_merge(into, left);
        load_samples_reset(left);
    }
    load->is_collected = true;
    return true;
}

void load_collect_rest(struct load *load, struct load_samples *into)
{
    for (size_t i = 0; i < 2 * (size_t)load->clients; i++) {
        load_samples_merge(into, &load->samples[i]);
        load_samples_reset(&load->samples[i]);
    }
}

void load_samples_reset(struct load_samples *samples)
{
    for (size_t i = 0; i < WORKLOAD_OPERATIONS; i++) {
        histogram_reset(&samples->latency[i]);
    }
}

void load_samples_merge(struct load_samples *into, const struct load_samples *from)
{
    for (size_t i = 0; i < WORKLOAD_OPERATIONS; i++) {
        if (histogram_count(&from->latency[i]) > 0) {
            histogram_merge(&into->latency[i], &from->latency[i]);
        }
    }
}
