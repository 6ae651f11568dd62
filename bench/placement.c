/* SPDX-License-Identifier: MIT */
#include "bench/placement.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PLACEMENT_MAX_CPUS <= CPU_SETSIZE, "a cpu_set_t holds every CPU");

static bool read_cpu(const char **at, uint32_t *cpu)
{
    const char *start = *at;
    *cpu = 0;
    while (**at >= '0' && **at <= '9' && *cpu < PLACEMENT_MAX_CPUS) {
        *cpu = *cpu * 10 + (uint32_t)(**at - '0');
        (*at)++;
    }
    return *at > start && *cpu < PLACEMENT_MAX_CPUS;
}

static int add_range(struct placement_spec *spec, uint32_t first, uint32_t last,
                     struct problem *problem)
{
    for (uint32_t cpu = first; cpu <= last; cpu++) {
        if (spec->count == PLACEMENT_MAX_CPUS) {
            return problem_set(problem, "more than %d CPUs", PLACEMENT_MAX_CPUS);
        }
        spec->cpus[spec->count++] = (uint16_t)cpu;
    }
    return 0;
}

static int parse_list(const char *text, struct placement_spec *spec, struct problem *problem)
{
    const char *at = text;
    for (;;) {
        uint32_t first;
        if (!read_cpu(&at, &first)) {
            return problem_set(problem,
                               "expected a CPU number at column %td; use auto, none or a "
                               "list such as 0-3,8",
                               at - text + 1);
        }
        uint32_t last = first;
        if (*at == '-') {
            at++;
            if (!read_cpu(&at, &last) || last < first) {
                return problem_set(problem, "expected a CPU number above %" PRIu32 " at column %td",
                                   first, at - text + 1);
            }
        }
        if (add_range(spec, first, last, problem) != 0) {
            return -EINVAL;
        }
        if (*at == '\0') {
            return 0;
        }
        if (*at != ',') {
            return problem_set(problem, "unexpected '%c' at column %td", *at, at - text + 1);
        }
        at++;
    }
}

int placement_parse(const char *text, struct placement_spec *spec, struct problem *problem)
{
    *spec = (struct placement_spec){0};
    if (strlen(text) >= sizeof spec->text) {
        return problem_set(problem, "longer than %zu characters", sizeof spec->text - 1);
    }
    memcpy(spec->text, text, strlen(text) + 1);
    if (strcmp(text, "none") == 0) {
        return 0;
    }
    if (strcmp(text, "auto") == 0) {
        spec->kind = PLACEMENT_AUTO;
        return 0;
    }
    spec->kind = PLACEMENT_LIST;
    return parse_list(text, spec, problem);
}

uint32_t placement_usable(uint16_t *cpus)
{
    cpu_set_t set;
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (size_t cpu = 0; cpu < PLACEMENT_MAX_CPUS; cpu++) {
            if (CPU_ISSET(cpu, &set)) {
                cpus[count++] = (uint16_t)cpu;
            }
        }
    }
    if (count == 0) {
        cpus[count++] = 0;
    }
    return count;
}

static void place_auto(struct placement *placement, uint32_t nodes, uint32_t clients,
                       const uint16_t *cpus, uint32_t count)
{
    for (uint32_t i = 0; i < nodes; i++) {
        uint32_t at = i < count ? i : count == 1 ? 0 : 1 + (i - 1) % (count - 1);
        placement->nodes[i] = cpus[at];
    }
    uint32_t left = nodes < count ? count - nodes : 0;
    for (uint32_t i = 0; i < clients; i++) {
        placement->clients[i] = left == 0 ? cpus[0] : cpus[nodes + i % left];
    }
}

static int place_list(struct placement *placement, const struct placement_spec *spec,
                      uint32_t nodes, uint32_t clients, const uint16_t *usable,
                      uint32_t usable_count, struct problem *problem)
{
    ASSERT(spec->count > 0);
    for (uint32_t i = 0; i < spec->count; i++) {
        uint32_t at = 0;
        while (at < usable_count && usable[at] != spec->cpus[i]) {
            at++;
        }
        if (at == usable_count) {
            return problem_set(problem, "--pin %s: CPU %d is not usable here; see taskset -p $$",
                               spec->text, spec->cpus[i]);
        }
    }
    for (uint32_t i = 0; i < nodes; i++) {
        placement->nodes[i] = spec->cpus[i % spec->count];
    }
    for (uint32_t i = 0; i < clients; i++) {
        placement->clients[i] = spec->cpus[(nodes + i) % spec->count];
    }
    return 0;
}

int placement_make_on(struct placement *placement, const struct placement_spec *spec,
                      uint32_t nodes, uint32_t clients, const uint16_t *usable,
                      uint32_t usable_count, struct problem *problem)
{
    *placement = (struct placement){.is_pinned = spec->kind != PLACEMENT_NONE};
    if (!placement->is_pinned) {
        return 0;
    }
    placement->nodes = calloc(nodes, sizeof placement->nodes[0]);
    placement->clients = calloc(clients, sizeof placement->clients[0]);
    int result = -ENOMEM;
    if (placement->nodes != NULL && placement->clients != NULL) {
        result = 0;
        if (spec->kind == PLACEMENT_AUTO) {
            place_auto(placement, nodes, clients, usable, usable_count);
        } else {
            result = place_list(placement, spec, nodes, clients, usable, usable_count, problem);
        }
    } else {
        (void)problem_set(problem, "out of memory");
    }
    if (result != 0) {
        placement_deinit(placement);
    }
    return result;
}

int placement_make(struct placement *placement, const struct placement_spec *spec, uint32_t nodes,
                   uint32_t clients, struct problem *problem)
{
    uint16_t usable[PLACEMENT_MAX_CPUS];
    uint32_t count = placement_usable(usable);
    return placement_make_on(placement, spec, nodes, clients, usable, count, problem);
}

void placement_deinit(struct placement *placement)
{
    free(placement->nodes);
    free(placement->clients);
    *placement = (struct placement){0};
}
