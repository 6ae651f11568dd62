/* SPDX-License-Identifier: MIT */
#include "bench/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/time_source.h"
#include "bench/units.h"

#define TICK_NS         UINT64_C(5000000)
#define COLLECT_WAIT_NS UINT64_C(50000000)
#define LEADER_WAIT_NS  UINT64_C(10000000000)
#define STALL_NS        UINT64_C(10000000000) /* pre-loading without an answer */
#define QUIET_WAIT_NS   UINT64_C(10000000000)
#define UNLIMITED_NS    UINT64_C(3600000000000) /* of gaps, when only --ops limits the run */

/* What one run needs beside its report; all of it is allocated before the window. */
struct work {
    const struct run *run;
    struct report *report;
    struct problem *problem;
    struct load load;
    struct gaps gaps;
    bool has_gaps;
    struct process_threads threads_before;
    struct process_machine_time machine_before;
    struct synod_node_status nodes_before[SYNOD_MAX_NODES];
    struct load_samples interval;
    uint64_t interval_start_ns; /* of the time series, absolute */
    uint64_t start_ns, end_ns;  /* of the window, absolute; end UINT64_MAX: by operations */
};

static bool is_interrupted(const struct work *work)
{
    return work->run->interrupts != NULL && *work->run->interrupts > 0;
}

static int check_clients(struct work *work)
{
    enum synod_status status = load_broken(&work->load);
    if (status == SYNOD_OK) {
        return 0;
    }
    (void)problem_set(work->problem, "a client was refused for good: %s",
                      synod_status_text(status));
    return -EIO;
}

/* ---- Before the window ---------------------------------------------------------------------- */

static int await_ready(struct work *work)
{
    const struct target *target = work->run->target;
    live_say(work->run->live, "waiting for a leader");
    if (target->operations->await_leader(target->state, LEADER_WAIT_NS) < 0) {
        (void)problem_set(work->problem, "no leader within %s; is the machine overloaded?",
                          units_duration((double)LEADER_WAIT_NS).text);
        return -ETIME;
    }
    while (!load_has_reached(&work->load, LOAD_READY)) {
        time_source_sleep_ns(TICK_NS);
    }
    return check_clients(work);
}

static int preload(struct work *work)
{
    uint64_t keys = work->run->options->keys;
    uint64_t seen = 0;
    uint64_t moved_ns = time_source_now_ns();
    uint64_t shown_ns = 0;
    load_set_phase(&work->load, LOAD_PRELOAD);
    while (!load_has_reached(&work->load, LOAD_PRELOADED)) {
        uint64_t now = time_source_now_ns();
        uint64_t answered = load_count(&work->load).answered;
        moved_ns = answered != seen ? now : moved_ns;
        seen = answered;
        if (is_interrupted(work)) {
            (void)problem_set(work->problem, "interrupted while pre-loading");
            return -EINTR;
        }
        if (now - moved_ns > STALL_NS) {
            (void)problem_set(work->problem, "pre-loading: no answer for %s",
                              units_duration((double)STALL_NS).text);
            return -ETIME;
        }
        if (now - shown_ns >= work->run->options->interval_ns) {
            shown_ns = now;
            uint64_t percent = answered >= keys ? 99 : answered * 100 / keys;
            live_say(work->run->live, "pre-loading %s keys: %" PRIu64 " %%",
                     units_grouped(keys).text, percent);
        }
        time_source_sleep_ns(TICK_NS);
    }
    return check_clients(work);
}

static int warm_up(struct work *work)
{
    const struct options *options = work->run->options;
    work->start_ns = time_source_now_ns() + options->warmup_ns;
    work->end_ns = options->duration_ns == 0 ? UINT64_MAX : work->start_ns + options->duration_ns;
    load_set_window(&work->load, work->start_ns, work->end_ns);
    load_set_phase(&work->load, LOAD_RUN);
    if (options->warmup_ns > 0) {
        live_say(work->run->live, "warming up for %s",
                 units_exact_duration(options->warmup_ns).text);
    }
    while (time_source_now_ns() < work->start_ns) {
        if (is_interrupted(work)) {
            (void)problem_set(work->problem, "interrupted while warming up");
            return -EINTR;
        }
        uint64_t left = work->start_ns - time_source_now_ns();
        time_source_sleep_ns(left < TICK_NS ? left : TICK_NS);
    }
    return check_clients(work);
}

/* ---- The window ----------------------------------------------------------------------------- */

static void read_before(struct work *work)
{
    const struct target *target = work->run->target;
    process_threads_read(&work->threads_before);
    process_machine_time_read(&work->machine_before);
    for (uint32_t i = 0; i < target->nodes; i++) {
        if (target->operations->status(target->state, i, &work->nodes_before[i]) != SYNOD_OK) {
            work->nodes_before[i] = (struct synod_node_status){0};
        }
    }
}

static void close_interval(struct work *work, uint64_t now)
{
    const struct run *run = work->run;
    if (!load_collect(&work->load, &work->interval, COLLECT_WAIT_NS)) {
        return; /* some client is stuck in its poll: the next interval is longer */
    }
    struct report *report = work->report;
    size_t count = report->interval_count;
    uint64_t length = now - work->interval_start_ns;
    report_add_interval(report, &work->interval, now - work->start_ns, length);
    load_samples_merge(&report->samples, &work->interval);
    load_samples_reset(&work->interval);
    work->interval_start_ns = now;
    if (report->interval_count == count) {
        return;
    }
    const struct report_interval *last = &report->intervals[count];
    struct load_counters counters = load_count(&work->load);
    uint64_t end = work->end_ns;
    struct live_line line = {
        .rate = (double)last->operations * 1e9 / (double)length,
        .p50_ns = last->has_p50 ? last->p50_ns : 0,
        .p99_ns = last->has_p99 ? last->p99_ns : 0,
        .leader = run->target->operations->leader(run->target->state),
        .failed = counters.failed,
        .unknown = counters.unknown,
        .left_ns = end == UINT64_MAX ? UINT64_MAX
                   : end > now       ? end - now
                                     : 0,
    };
    live_show(run->live, &line);
}

/* Until the time is up, the operations are done, the user has seen enough, or a client breaks. */
static void watch_window(struct work *work)
{
    uint64_t interval_ns = work->run->options->interval_ns;
    work->interval_start_ns = work->start_ns;
    for (;;) {
        uint64_t now = time_source_now_ns();
        if (now >= work->end_ns || load_has_reached(&work->load, LOAD_FINISHED) ||
            load_broken(&work->load) != SYNOD_OK) {
            break;
        }
        if (is_interrupted(work)) {
            work->report->interrupted = true;
            break;
        }
        /* The rest of the window is left to the end, where all is collected at once. */
        uint64_t due = work->interval_start_ns + interval_ns;
        if (now >= due && (work->end_ns == UINT64_MAX || work->end_ns - now > interval_ns / 2)) {
            close_interval(work, now);
            continue;
        }
        uint64_t wait = now < due && due - now < TICK_NS ? due - now : TICK_NS;
        wait = work->end_ns - now < wait ? work->end_ns - now : wait;
        time_source_sleep_ns(wait);
    }
    uint64_t now = time_source_now_ns();
    work->end_ns = now < work->end_ns ? now : work->end_ns;
    load_set_window(&work->load, work->start_ns, work->end_ns);
}

static void drain(struct work *work)
{
    struct report *report = work->report;
    process_threads_read(&report->threads);
    process_threads_subtract(&report->threads, &work->threads_before);
    struct process_machine_time machine_after;
    process_machine_time_read(&machine_after);
    environment_check_steal(&report->environment, &work->machine_before, &machine_after);
    load_set_phase(&work->load, LOAD_DRAIN);
    while (!load_has_reached(&work->load, LOAD_DRAINED)) {
        time_source_sleep_ns(TICK_NS);
    }
    uint64_t last = load_last_answer_ns(&work->load);
    if (work->run->options->operations > 0 && last > work->start_ns && !report->interrupted) {
        /* By operations: the window ends with the last one. */
        uint64_t counted = load_count(&work->load).completed + load_count(&work->load).failed +
                           load_count(&work->load).unknown;
        work->end_ns = counted >= work->run->options->operations ? last + 1 : work->end_ns;
    }
    load_collect_rest(&work->load, &work->interval);
    uint64_t from = work->interval_start_ns;
    if (work->end_ns > from) {
        report_add_interval(report, &work->interval, work->end_ns - work->start_ns,
                            work->end_ns - from);
    }
    load_samples_merge(&report->samples, &work->interval);
    report->counters = load_count(&work->load);
    report->window_ns = work->end_ns - work->start_ns;
}

/* ---- After the window ----------------------------------------------------------------------- */

/* What a counter grew by; a node that crashed began again, and what it had before is in `lost`. */
static uint64_t growth(uint64_t before, uint64_t after, uint64_t lost)
{
    return after + lost > before ? after + lost - before : 0;
}

static void add_node(struct work *work, uint32_t node, const struct synod_node_status *now)
{
    const struct synod_node_status *before = &work->nodes_before[node];
    const struct fault_totals *lost = &work->report->faults.lost[node];
    struct report_cluster *cluster = &work->report->cluster;
    struct fault_totals *totals = &cluster->totals;
    totals->elections += growth(before->elections, now->elections, lost->elections);
    totals->messages_sent += growth(before->messages_sent, now->messages_sent, lost->messages_sent);
    totals->bytes_replicated +=
        growth(before->bytes_replicated, now->bytes_replicated, lost->bytes_replicated);
    totals->batches += growth(before->batches, now->batches, lost->batches);
    totals->slots_proposed +=
        growth(before->slots_proposed, now->slots_proposed, lost->slots_proposed);
    cluster->log_bytes += now->log_bytes_reserved;
    cluster->snapshot_bytes += now->snapshot_bytes;
    cluster->store_bytes += now->store_bytes;
    cluster->snapshots_taken += now->snapshots_taken;
    bool is_up = now->role != SYNOD_DOWN && now->role != SYNOD_FAILED;
    cluster->nodes_up += is_up ? 1 : 0;
    cluster->generation =
        now->generation_round > cluster->generation ? now->generation_round : cluster->generation;
}

/* Every store that is up, at one slot, must have one digest. */
static void compare_node(struct report_cluster *cluster, const struct synod_node_status *now)
{
    if (now->role == SYNOD_DOWN || now->role == SYNOD_FAILED) {
        return;
    }
    if (cluster->nodes_up == 0) {
        cluster->digest = now->digest;
        cluster->digest_slot = now->applied;
        cluster->keys = now->keys;
        cluster->are_equal = true;
    } else {
        cluster->are_equal = cluster->are_equal && cluster->digest == now->digest &&
                             cluster->digest_slot == now->applied;
    }
}

static void read_after(struct work *work)
{
    const struct target *target = work->run->target;
    struct report_cluster *cluster = &work->report->cluster;
    uint64_t mark_before = 0;
    uint64_t mark_now = 0;
    live_say(work->run->live, "comparing the nodes");
    cluster->was_quiet = target->operations->await_quiet(target->state, QUIET_WAIT_NS) == SYNOD_OK;
    cluster->leader = target->operations->leader(target->state);
    for (uint32_t i = 0; i < target->nodes; i++) {
        struct synod_node_status now;
        if (target->operations->status(target->state, i, &now) != SYNOD_OK) {
            now = (struct synod_node_status){.role = SYNOD_DOWN};
        }
        if (cluster->was_quiet) {
            compare_node(cluster, &now);
        }
        add_node(work, i, &now);
        uint64_t before = work->nodes_before[i].high_watermark;
        mark_before = before > mark_before ? before : mark_before;
        mark_now = now.high_watermark > mark_now ? now.high_watermark : mark_now;
    }
    cluster->slots_committed = mark_now > mark_before ? mark_now - mark_before : 0;
    const char *directory = target->operations->directory(target->state);
    bool is_kept = work->run->options->keep || work->run->options->wal_directory[0] != '\0';
    (void)snprintf(cluster->directory, sizeof cluster->directory, "%s",
                   directory != NULL && is_kept ? directory : "");
    process_memory_read(&work->report->memory);
}

static void judge(struct work *work)
{
    struct report *report = work->report;
    if (report->counters.wrong > 0) {
        report->verdict = REPORT_WRONG_RESULTS;
    } else if (report->cluster.was_quiet && !report->cluster.are_equal) {
        report->verdict = REPORT_DIGESTS_DIFFER;
    } else if (report->counters.completed == 0 && !report->interrupted) {
        report->verdict = REPORT_NO_PROGRESS;
    }
}

static int measure(struct work *work)
{
    const struct run *run = work->run;
    struct report *report = work->report;
    read_before(work);
    int result = faults_start(&report->faults, &run->options->crashes, run->target, &work->load,
                              work->start_ns, work->problem);
    if (result != 0) {
        return result;
    }
    watch_window(work);
    faults_stop(&report->faults);
    drain(work);
    result = check_clients(work);
    if (result != 0) {
        return result;
    }
    if (work->has_gaps) {
        faults_conclude(&report->faults, &work->gaps, report->window_ns);
    }
    read_after(work);
    judge(work);
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------ */

static int prepare(struct work *work)
{
    const struct run *run = work->run;
    const struct options *options = run->options;
    load_samples_reset(&work->interval);
    work->has_gaps = options->crashes.count > 0;
    uint64_t span = options->duration_ns == 0 ? UNLIMITED_NS : options->duration_ns;
    size_t capacity = work->report->threads.capacity;
    if (process_threads_init(&work->threads_before, capacity) != 0 ||
        (work->has_gaps && gaps_init(&work->gaps, (uint32_t)options->clients, span) != 0)) {
        (void)problem_set(work->problem, "out of memory");
        return -ENOMEM;
    }
    struct load_options load = {
        .workload = run->workload,
        .target = run->target,
        .gaps = work->has_gaps ? &work->gaps : NULL,
        .clients = (uint32_t)options->clients,
        .depth = (uint32_t)options->depth,
        .operations = options->operations,
        .pin = run->placement->is_pinned ? run->placement->clients : NULL,
    };
    return load_init(&work->load, &load, work->problem);
}

int run_bench(const struct run *run, struct report *report, struct problem *problem)
{
    struct work *work = calloc(1, sizeof *work);
    if (work == NULL) {
        (void)problem_set(problem, "out of memory");
        return -ENOMEM;
    }
    work->run = run;
    work->report = report;
    work->problem = problem;
    int result = prepare(work);
    if (result == 0) {
        result = load_start(&work->load, problem);
        result = result == 0 ? await_ready(work) : result;
        result = result == 0 ? preload(work) : result;
        result = result == 0 ? warm_up(work) : result;
        result = result == 0 ? measure(work) : result;
        load_deinit(&work->load);
    }
    live_clear(run->live);
    gaps_deinit(&work->gaps);
    process_threads_deinit(&work->threads_before);
    free(work);
    return result;
}
