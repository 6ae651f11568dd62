/* SPDX-License-Identifier: MIT */

/* synod bench: opens what the options ask for, runs it, and tells the report. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/live.h"
#include "bench/options.h"
#include "bench/placement.h"
#include "bench/report.h"
#include "bench/run.h"
#include "bench/target.h"
#include "bench/workload.h"
#include "command.h"

#define WINDOW_SLOTS_MIN (1U << 14) /* the library's default */
#define WINDOW_SLOTS_MAX (1U << 20)

static volatile sig_atomic_t interrupts;

/* The first asks for an early end with a whole report, the second ends at once. */
static void on_interrupt(int number)
{
    (void)number;
    if (interrupts > 0) {
        _exit(EXIT_INTERRUPTED);
    }
    interrupts = 1;
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static int complain(const struct problem *problem, int exit_code)
{
    (void)fprintf(stderr, "synod bench: %s\n", problem->text);
    return exit_code;
}

static int exit_code_of(enum synod_status status)
{
    switch (status) {
    case SYNOD_OK:
        return EXIT_GOOD;
    case SYNOD_INVALID:
        return EXIT_USAGE;
    case SYNOD_NO_SPACE:
    case SYNOD_IN_USE:
    case SYNOD_NO_MEMORY:
    case SYNOD_FOREIGN:
        return EXIT_RESOURCES;
    case SYNOD_CORRUPT:
        return EXIT_CORRUPT;
    case SYNOD_NOT_FOUND:
    case SYNOD_MISMATCH:
    case SYNOD_BUSY:
    case SYNOD_TIMEOUT:
    case SYNOD_CLOSED:
    case SYNOD_NO_LEADER:
    case SYNOD_WRONG_THREAD:
    case SYNOD_IO_ERROR:
    default:
        return EXIT_INTERNAL;
    }
}

/* The window must hold what all clients can have in flight, twice over. */
static uint32_t window_slots(const struct options *options)
{
    uint64_t wanted = 2 * options->clients * options->depth;
    uint32_t slots = WINDOW_SLOTS_MIN;
    while (slots < wanted && slots < WINDOW_SLOTS_MAX) {
        slots *= 2;
    }
    return slots;
}

static void cluster_options(const struct options *options, const struct placement *placement,
                            const int *priorities, struct synod_options *cluster)
{
    synod_options_init(cluster);
    cluster->nodes = (uint32_t)options->nodes;
    cluster->max_clients = (uint32_t)options->clients;
    cluster->expected_keys = options->keys;
    cluster->directory = options->wal_directory[0] == '\0' ? NULL : options->wal_directory;
    cluster->keep = options->keep;
    cluster->segment_bytes = options->segment_bytes;
    cluster->segment_count = (uint32_t)options->segments;
    cluster->sync = (enum synod_sync)options->wal_sync;
    cluster->idle = (enum synod_idle)options->idle;
    cluster->window_slots = window_slots(options);
    cluster->election_timeout_ns = options->election_timeout_ns;
    cluster->seed = options->seed;
    cluster->max_in_flight =
        options->depth > LOAD_PRELOAD_MIN ? (uint32_t)options->depth : LOAD_PRELOAD_MIN;
    /* Lanes are sized by the largest command: no larger than what will come, so that they stay in
     * the caches and small segments will do. */
    cluster->max_key_bytes = (uint32_t)options->key_bytes;
    cluster->max_value_bytes = (uint32_t)options->value_bytes;
    if (options->batch > 0) {
        cluster->batch_slots = (uint32_t)options->batch;
    }
    if (placement->is_pinned) {
        cluster->pin = placement->nodes;
        cluster->pin_count = cluster->nodes;
    }
    if (options->pin.kind == PLACEMENT_AUTO) {
        cluster->priorities = priorities;
    }
}

static enum synod_status open_target(const struct options *options,
                                     const struct placement *placement, struct target *target,
                                     struct problem *problem)
{
    /* Automatic placement has put node 0 where the leader should be. */
    static const int priorities[SYNOD_MAX_NODES] = {1};
    if (options->target == OPTIONS_TARGET_NULL) {
        enum synod_status status = target_null_open(target, LOAD_MAX_DEPTH);
        if (status != SYNOD_OK) {
            (void)problem_set(problem, "%s", synod_status_text(status));
        }
        return status;
    }
    uint64_t needed = options->nodes * options->segments * options->segment_bytes;
    const char *directory = options->wal_directory[0] == '\0' ? NULL : options->wal_directory;
    if (environment_check_space(directory, needed, problem) != 0) {
        return SYNOD_NO_SPACE;
    }
    struct synod_options cluster;
    cluster_options(options, placement, priorities, &cluster);
    return target_cluster_open(target, &cluster, problem);
}

static int write_results(const struct report *report, FILE *json_file)
{
    bool is_good = true;
    if (json_file != stdout) {
        report_text(report, stdout);
        is_good = fflush(stdout) == 0 && ferror(stdout) == 0;
    }
    if (json_file != NULL) {
        json_t *document = report_json(report);
        is_good = is_good && document != NULL &&
                  json_dumpf(document, json_file, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) == 0 &&
                  fputc('\n', json_file) != EOF && fflush(json_file) == 0;
        json_decref(document);
    }
    if (!is_good) {
        (void)fprintf(stderr, "synod bench: cannot write the result: %s\n", strerrordesc_np(errno));
        return EXIT_INTERNAL;
    }
    if (report->interrupted) {
        return EXIT_INTERRUPTED;
    }
    return report_exit_code(report);
}

static void tell_warnings(const struct environment *environment)
{
    for (size_t i = 0; i < environment->warning_count; i++) {
        const struct environment_warning *warning = &environment->warnings[i];
        (void)fprintf(stderr, "synod bench: warning: %s\n                      %s\n", warning->text,
                      warning->fix);
    }
}

/* Runs on an open target; the exit code. */
static int run(const struct options *options, const struct workload *workload,
               const struct target *target, const struct placement *placement,
               struct report *report, FILE *json_file)
{
    struct problem problem = {.text = ""};
    struct live live;
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    live_init(&live, stderr,
              options->progress == OPTIONS_PROGRESS_ALWAYS ||
                  (options->progress == OPTIONS_PROGRESS_AUTO && is_terminal),
              is_terminal);
    struct run plan = {.options = options,
                       .workload = workload,
                       .target = target,
                       .placement = placement,
                       .live = &live,
                       .interrupts = &interrupts};
    size_t warnings = report->environment.warning_count;
    switch (run_bench(&plan, report, &problem)) {
    case 0:
        break;
    case -EINTR:
        return complain(&problem, EXIT_INTERRUPTED);
    case -ETIME:
        return complain(&problem, EXIT_NO_PROGRESS);
    case -ENOMEM:
        return complain(&problem, EXIT_RESOURCES);
    default:
        return complain(&problem, EXIT_INTERNAL);
    }
    int exit_code = write_results(report, json_file);
    bool is_worse = report->environment.warning_count > warnings;
    if (exit_code == EXIT_GOOD && options->strict_environment && is_worse) {
        (void)problem_set(&problem, "--strict-env: %s",
                          report->environment.warnings[warnings].text);
        return complain(&problem, EXIT_RESOURCES);
    }
    return exit_code;
}

/* Everything that can be refused is refused before the cluster is opened. */
static int prepare_and_run(const struct options *options, FILE *json_file)
{
    struct problem problem = {.text = ""};
    struct workload workload;
    struct workload_spec spec = {.mix = options->mix,
                                 .distribution = options->distribution,
                                 .keys = options->keys,
                                 .key_bytes = (uint32_t)options->key_bytes,
                                 .value_bytes = (uint32_t)options->value_bytes,
                                 .consistency = (enum synod_consistency)options->reads,
                                 .seed = options->seed};
    if (workload_init(&workload, &spec, &problem) != 0) {
        return complain(&problem, EXIT_USAGE);
    }
    struct placement placement;
    if (placement_make(&placement, &options->pin, (uint32_t)options->nodes,
                       (uint32_t)options->clients, &problem) != 0) {
        return complain(&problem, EXIT_RESOURCES);
    }
    int exit_code = EXIT_RESOURCES;
    struct target target = {0};
    static struct report report; /* too large for a stack; one run a process */
    if (report_init(&report, options) != 0) {
        (void)problem_set(&problem, "out of memory");
        placement_deinit(&placement);
        return complain(&problem, exit_code);
    }
    struct environment_plan plan = {
        .nodes = options->target == OPTIONS_TARGET_NULL ? 1 : (uint32_t)options->nodes,
        .clients = (uint32_t)options->clients,
        .wal_directory = options->wal_directory[0] == '\0' ? NULL : options->wal_directory};
    environment_read(&report.environment, &plan);
    tell_warnings(&report.environment);
    if (options->strict_environment && environment_is_strictly_bad(&report.environment)) {
        (void)problem_set(&problem, "--strict-env: not run under the warnings above");
        (void)complain(&problem, exit_code);
    } else {
        enum synod_status status = open_target(options, &placement, &target, &problem);
        exit_code = status == SYNOD_OK
                        ? run(options, &workload, &target, &placement, &report, json_file)
                        : complain(&problem, exit_code_of(status));
    }
    target_close(&target);
    report_deinit(&report);
    placement_deinit(&placement);
    return exit_code;
}

int command_bench(int count, const char **arguments)
{
    struct problem problem = {.text = ""};
    struct options options;
    options_init(&options);
    if (options_parse(&options, count, arguments, &problem) != 0) {
        return complain(&problem, EXIT_USAGE);
    }
    if (options.wants_help) {
        options_help(stdout);
        return EXIT_GOOD;
    }
    if (options.wants_version) {
        (void)puts("synod bench " SYNOD_VERSION);
        return EXIT_GOOD;
    }
    FILE *json_file = NULL;
    if (options.json[0] != '\0') {
        /* Before the run: a name that cannot be written must not cost one. */
        json_file = strcmp(options.json, "-") == 0 ? stdout : fopen(options.json, "we");
        if (json_file == NULL) {
            (void)problem_set(&problem, "--json %s: %s", options.json, strerrordesc_np(errno));
            return complain(&problem, EXIT_INTERNAL);
        }
    }
    catch_interrupts();
    int exit_code = prepare_and_run(&options, json_file);
    if (json_file != NULL && json_file != stdout && fclose(json_file) != 0) {
        (void)problem_set(&problem, "--json %s: %s", options.json, strerrordesc_np(errno));
        return complain(&problem, EXIT_INTERNAL);
    }
    return exit_code;
}
