/* SPDX-License-Identifier: MIT */
#include "bench/faults.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time_source.h"
#include "bench/suggest.h"
#include "bench/units.h"

enum step { STEP_WAITING, STEP_DOWN, STEP_BACK, STEP_DONE };

/* ---- Texts ---------------------------------------------------------------------------------- */

static int parse_node(const char *text, uint32_t *node, struct problem *problem)
{
    static const char *const names[] = {"leader"};
    char *end;
    if (strcmp(text, names[0]) == 0) {
        *node = FAULTS_LEADER;
        return 0;
    }
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && number < SYNOD_MAX_NODES) {
        *node = (uint32_t)number;
        return 0;
    }
    const char *nearest = suggest_nearest(text, names, 1);
    return nearest != NULL
               ? problem_set(problem, "'%s' is no node; did you mean '%s'?", text, nearest)
               : problem_set(problem, "'%s' is no node; use leader or a number from 0", text);
}

static int parse_one(char *text, struct fault_spec *fault, struct problem *problem)
{
    char *at = strchr(text, '@');
    if (at == NULL) {
        return problem_set(problem, "says not when; use leader@2s, or 1@2s+500ms");
    }
    *at = '\0';
    if (parse_node(text, &fault->node, problem) != 0) {
        return -EINVAL;
    }
    char *when = at + 1;
    char *plus = strchr(when, '+');
    fault->restart_after_ns = FAULTS_RESTART_NS;
    if (plus != NULL) {
        *plus = '\0';
        if (units_parse_duration(plus + 1, &fault->restart_after_ns, problem) != 0) {
            return problem_prefix(problem, "restart delay '%s'", plus + 1);
        }
    }
    if (units_parse_duration(when, &fault->at_ns, problem) != 0) {
        return problem_prefix(problem, "time '%s'", when);
    }
    return 0;
}

int faults_parse(const char *text, struct fault_plan *plan, struct problem *problem)
{
    char copy[FAULTS_TEXT];
    if (strlen(text) >= sizeof copy) {
        return problem_set(problem, "longer than %zu characters", sizeof copy - 1);
    }
    memcpy(copy, text, strlen(text) + 1);
    char *rest = copy;
    for (char *part = strsep(&rest, ","); part != NULL; part = strsep(&rest, ",")) {
        if (plan->count == FAULTS_MAX) {
            return problem_set(problem, "more than %d crashes", FAULTS_MAX);
        }
        if (parse_one(part, &plan->faults[plan->count], problem) != 0) {
            return -EINVAL;
        }
        plan->count++;
    }
    return 0;
}

void faults_print(const struct fault_plan *plan, char *text)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < plan->count; i++) {
        const struct fault_spec *fault = &plan->faults[i];
        char node[16] = "leader";
        if (fault->node != FAULTS_LEADER) {
            (void)snprintf(node, sizeof node, "%" PRIu32, fault->node);
        }
        int length = snprintf(text + at, FAULTS_TEXT - at, "%s%s@%s+%s", i > 0 ? "," : "", node,
                              units_exact_duration(fault->at_ns).text,
                              units_exact_duration(fault->restart_after_ns).text);
        at += (size_t)length;
    }
}

/* ---- The timetable -------------------------------------------------------------------------- */

/* Its counters end with it: what they stood at is kept. At most one publication is missed. */
static void keep_totals(struct faults *faults, uint32_t node)
{
    struct synod_node_status status;
    struct fault_totals *lost = &faults->lost[node];
    if (faults->target->operations->status(faults->target->state, node, &status) == SYNOD_OK) {
        lost->elections += status.elections;
        lost->messages_sent += status.messages_sent;
        lost->bytes_replicated += status.bytes_replicated;
        lost->batches += status.batches;
        lost->slots_proposed += status.slots_proposed;
    }
}

static void crash(struct faults *faults, size_t at, uint64_t now)
{
    const struct fault_spec *fault = &faults->plan->faults[at];
    struct fault_result *result = &faults->results[at];
    const struct target *target = faults->target;
    int leader = target->operations->leader(target->state);
    result->node = fault->node == FAULTS_LEADER ? leader : (int)fault->node;
    result->crashed_ns = now;
    if (result->node < 0) {
        result->crash_status = SYNOD_NO_LEADER;
        faults->steps[at] = STEP_DONE;
        return;
    }
    result->was_leader = result->node == leader;
    result->unknown_before = load_count(faults->load).unknown;
    struct fault_totals before = faults->lost[result->node];
    keep_totals(faults, (uint32_t)result->node);
    result->crashed_ns = time_source_now_ns() - faults->start_ns;
    result->crash_status = target->operations->crash(target->state, (uint32_t)result->node);
    faults->steps[at] = STEP_DOWN;
    if (result->crash_status != SYNOD_OK) { /* it was down already */
        faults->lost[result->node] = before;
        faults->steps[at] = STEP_DONE;
    }
}

static void watch_election(struct faults *faults, struct fault_result *result, uint64_t now)
{
    const struct target *target = faults->target;
    int leader = target->operations->leader(target->state);
    /* For a moment the crashed node still counts as leader; later it may really be again. */
    result->is_deposed = result->is_deposed || leader != result->node;
    if (result->was_leader && result->elected < 0 && leader >= 0 && result->is_deposed) {
        result->elected = leader;
        result->elected_ns = now;
    }
}

/* Whatever the leader has as chosen when the node is back is what it must catch up with. */
static uint64_t target_slot(const struct target *target)
{
    struct synod_node_status status;
    int leader = target->operations->leader(target->state);
    if (leader < 0 ||
        target->operations->status(target->state, (uint32_t)leader, &status) != SYNOD_OK) {
        return UINT64_MAX;
    }
    return status.high_watermark;
}

static void restart(struct faults *faults, size_t at)
{
    struct fault_result *result = &faults->results[at];
    const struct target *target = faults->target;
    result->restart_status = target->operations->restart(
        target->state, (uint32_t)result->node, result->problem.text, sizeof result->problem.text);
    faults->steps[at] = STEP_DONE;
    if (result->restart_status == SYNOD_OK) {
        result->restarted_ns = time_source_now_ns() - faults->start_ns;
        faults->caught_up_at[at] = target_slot(target);
        faults->steps[at] = STEP_BACK;
    }
}

static void watch_catch_up(struct faults *faults, size_t at, uint64_t now)
{
    struct fault_result *result = &faults->results[at];
    const struct target *target = faults->target;
    struct synod_node_status status;
    if (faults->caught_up_at[at] == UINT64_MAX) { /* nobody led at the restart */
        faults->caught_up_at[at] = target_slot(target);
    }
    if (target->operations->status(target->state, (uint32_t)result->node, &status) == SYNOD_OK &&
        status.role != SYNOD_DOWN && status.applied >= faults->caught_up_at[at]) {
        result->caught_up_ns = now;
        faults->steps[at] = STEP_DONE;
    }
}

static void step(struct faults *faults, size_t at, uint64_t now)
{
    const struct fault_spec *fault = &faults->plan->faults[at];
    struct fault_result *result = &faults->results[at];
    switch ((enum step)faults->steps[at]) {
    case STEP_WAITING:
        if (now >= fault->at_ns) {
            crash(faults, at, now);
        }
        break;
    case STEP_DOWN:
        watch_election(faults, result, now);
        if (now >= result->crashed_ns + fault->restart_after_ns) {
            restart(faults, at);
        }
        break;
    case STEP_BACK:
        watch_election(faults, result, now);
        watch_catch_up(faults, at, now);
        break;
    case STEP_DONE:
        break;
    }
}

static void *faults_main(void *argument)
{
    struct faults *faults = argument;
    (void)pthread_setname_np(pthread_self(), "syn/faults");
    /* Relaxed: a flag alone; results are handed over by the join. */
    while (!atomic_load_explicit(&faults->is_over, memory_order_relaxed)) {
        uint64_t now = time_source_now_ns();
        now = now > faults->start_ns ? now - faults->start_ns : 0;
        bool is_done = true;
        for (size_t i = 0; i < faults->plan->count; i++) {
            step(faults, i, now);
            is_done = is_done && faults->steps[i] == STEP_DONE;
        }
        if (is_done) {
            break;
        }
        time_source_sleep_ns(FAULTS_TICK_NS);
    }
    return NULL;
}

int faults_start(struct faults *faults, const struct fault_plan *plan, const struct target *target,
                 const struct load *load, uint64_t start_ns, struct problem *problem)
{
    *faults = (struct faults){.plan = plan, .target = target, .load = load, .start_ns = start_ns};
    for (size_t i = 0; i < plan->count; i++) {
        faults->results[i] = (struct fault_result){.node = -1,
                                                   .elected = -1,
                                                   .crashed_ns = UINT64_MAX,
                                                   .elected_ns = UINT64_MAX,
                                                   .restarted_ns = UINT64_MAX,
                                                   .caught_up_ns = UINT64_MAX};
    }
    if (plan->count == 0) {
        return 0;
    }
    int error = pthread_create(&faults->thread, NULL, faults_main, faults);
    if (error != 0) {
        (void)problem_set(problem, "cannot start the thread that crashes nodes: %s",
                          strerrordesc_np(error));
        return -error;
    }
    faults->is_running = true;
    return 0;
}

void faults_stop(struct faults *faults)
{
    atomic_store_explicit(&faults->is_over, true, memory_order_relaxed);
    if (faults->is_running) {
        (void)pthread_join(faults->thread, NULL);
        faults->is_running = false;
    }
}

/* The next crash after this one in time, or the window's end. */
static uint64_t end_of_effect(const struct faults *faults, size_t at, uint64_t window_ns,
                              uint64_t *unknown)
{
    uint64_t end = window_ns;
    *unknown = load_count(faults->load).unknown;
    for (size_t i = 0; i < faults->plan->count; i++) {
        const struct fault_result *other = &faults->results[i];
        if (other->node >= 0 && other->crash_status == SYNOD_OK &&
            other->crashed_ns > faults->results[at].crashed_ns && other->crashed_ns < end) {
            end = other->crashed_ns;
            *unknown = other->unknown_before;
        }
    }
    return end;
}

void faults_conclude(struct faults *faults, const struct gaps *gaps, uint64_t window_ns)
{
    for (size_t i = 0; i < faults->plan->count; i++) {
        struct fault_result *result = &faults->results[i];
        if (result->crashed_ns == UINT64_MAX || result->crash_status != SYNOD_OK) {
            continue;
        }
        uint64_t unknown;
        uint64_t end = end_of_effect(faults, i, window_ns, &unknown);
        result->unknown = unknown - result->unknown_before;
        result->gap = gaps_longest(gaps, result->crashed_ns, end);
    }
}
