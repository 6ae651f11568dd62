/* SPDX-License-Identifier: MIT */
#include "bench/options.h"

#include <errno.h>
#include <inttypes.h>
#include <popt.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "bench/suggest.h"
#include "bench/units.h"

#define SECOND_NS UINT64_C(1000000000)

enum kind { COUNT, SIZE, DURATION, CHOICE, PATH, FLAG, CUSTOM };

struct rule {
    const char *name;
    enum kind kind;
    size_t offset;     /* of the member in struct options; CUSTOM: unused */
    uint64_t min, max; /* COUNT, SIZE, DURATION */
    const char
        *argument; /* as the help shows it; CHOICE: the names, blank between, in enum's order */
    const char *help;
    int (*parse)(struct options *options, const char *text, struct problem *problem); /* CUSTOM */
    bool (*print)(const struct options *options, char *text); /* NULL: said by another */
    const char *group;                                        /* the heading before it, or NULL */
};

#define MEMBER(member) offsetof(struct options, member)

/* ---- Options with a grammar of their own ---------------------------------------------------- */

static int parse_batch(struct options *options, const char *text, struct problem *problem)
{
    options->batch = 0;
    if (strcmp(text, "auto") == 0) {
        return 0;
    }
    if (units_parse_count(text, &options->batch, problem) != 0) {
        return -EINVAL;
    }
    return options->batch >= 1 && options->batch <= 4096
               ? 0
               : problem_set(problem, "out of range; use auto, or 1 to 4096");
}

static bool print_batch(const struct options *options, char *text)
{
    (void)snprintf(text, OPTIONS_TEXT, options->batch == 0 ? "auto" : "%" PRIu64, options->batch);
    return true;
}

static int parse_mix(struct options *options, const char *text, struct problem *problem)
{
    return workload_parse_mix(text, &options->mix, problem);
}

static bool print_mix(const struct options *options, char *text)
{
    workload_print_mix(&options->mix, text);
    return true;
}

static int parse_workload(struct options *options, const char *text, struct problem *problem)
{
    return workload_parse_name(text, &options->mix, problem);
}

static int parse_distribution(struct options *options, const char *text, struct problem *problem)
{
    return workload_parse_distribution(text, &options->distribution, problem);
}

static bool print_distribution(const struct options *options, char *text)
{
    workload_print_distribution(&options->distribution, text);
    return true;
}

static int parse_pin(struct options *options, const char *text, struct problem *problem)
{
    return placement_parse(text, &options->pin, problem);
}

static bool print_pin(const struct options *options, char *text)
{
    (void)snprintf(text, OPTIONS_TEXT, "%s", options->pin.text);
    return true;
}

static int parse_crash(struct options *options, const char *text, struct problem *problem)
{
    return faults_parse(text, &options->crashes, problem);
}

static bool print_crash(const struct options *options, char *text)
{
    faults_print(&options->crashes, text);
    return options->crashes.count > 0;
}

/* ---- The table ------------------------------------------------------------------------------ */

/* Field order: name, kind, offset, min, max, argument, help, parse, print, group. */
static const struct rule rules[] = {
    {"nodes", COUNT, MEMBER(nodes), 1, SYNOD_MAX_NODES, "N", "nodes, a thread each (3)", NULL, NULL,
     "The cluster"},
    {"batch", CUSTOM, 0, 0, 0, "auto|N", "commands proposed together, at most (auto)", parse_batch,
     print_batch, NULL},
    {"idle", CHOICE, MEMBER(idle), 0, 0, "auto spin yield park", "what an idle thread does (auto)",
     NULL, NULL, NULL},
    {"pin", CUSTOM, 0, 0, 0, "auto|none|LIST", "CPUs for nodes, then clients; 0-3,8 (none)",
     parse_pin, print_pin, NULL},
    {"election-timeout", DURATION, MEMBER(election_timeout_ns), 10000000, 60 * SECOND_NS, "TIME",
     "drawn anew from [TIME, 2 TIME) (200ms)", NULL, NULL, NULL},
    {"wal-dir", PATH, MEMBER(wal_directory), 0, 0, "DIR",
     "where the logs live (a fresh one below\n/dev/shm, removed at the end)", NULL, NULL, NULL},
    {"keep", FLAG, MEMBER(keep), 0, 0, NULL, "keep the fresh directory", NULL, NULL, NULL},
    {"wal-sync", CHOICE, MEMBER(wal_sync), 0, 0, "none batch",
     "flush each batch to the disk before\nanswering (none)", NULL, NULL, NULL},
    {"segment-size", SIZE, MEMBER(segment_bytes), 1 << 20, 1 << 30, "SIZE",
     "of a log segment, a power of two (64m)", NULL, NULL, NULL},
    {"segments", COUNT, MEMBER(segments), 4, 4096, "N", "reserved by each node (8)", NULL, NULL,
     NULL},

    {"clients", COUNT, MEMBER(clients), 1, LOAD_MAX_CLIENTS, "N", "client threads (1)", NULL, NULL,
     "The load"},
    {"depth", COUNT, MEMBER(depth), 1, LOAD_MAX_DEPTH, "N",
     "operations in flight for each client (1)", NULL, NULL, NULL},
    {"mix", CUSTOM, 0, 0, 0, "OP:W,...", "weights of put get cas delete (put:1)", parse_mix,
     print_mix, NULL},
    {"workload", CUSTOM, 0, 0, 0, "put|get", "a mix by name, instead of --mix", parse_workload,
     NULL, NULL},
    {"reads", CHOICE, MEMBER(reads), 0, 0, "quorum log", "how gets are served (quorum)", NULL, NULL,
     NULL},
    {"dist", CUSTOM, 0, 0, 0, "KIND",
     "uniform, zipf:S, or hot:N (nine of ten\noperations on N keys) (uniform)", parse_distribution,
     print_distribution, NULL},
    {"keys", COUNT, MEMBER(keys), 1, WORKLOAD_MAX_KEYS, "N", "different keys (1m)", NULL, NULL,
     NULL},
    {"key-size", SIZE, MEMBER(key_bytes), 1, 32 << 10, "SIZE", "bytes of a key (16)", NULL, NULL,
     NULL},
    {"value-size", SIZE, MEMBER(value_bytes), 0, 8 << 20, "SIZE", "bytes of a value (64)", NULL,
     NULL, NULL},
    {"seed", COUNT, MEMBER(seed), 0, INT64_MAX, "N", "of keys, values and time-outs (1)", NULL,
     NULL, NULL},

    {"duration", DURATION, MEMBER(duration_ns), 1000000, 3600000 * SECOND_NS, "TIME",
     "how long to measure (10s, or until --ops)", NULL, NULL, "The run"},
    {"ops", COUNT, MEMBER(operations), 1, INT64_MAX, "N", "stop after so many operations", NULL,
     NULL, NULL},
    {"warmup", DURATION, MEMBER(warmup_ns), 0, 3600 * SECOND_NS, "TIME",
     "load before the measured window (1s)", NULL, NULL, NULL},
    {"crash", CUSTOM, 0, 0, 0, "WHO@T[+T]",
     "crash leader or a node number at T into\nthe window, back after 1s or +T; may be\nrepeated",
     parse_crash, print_crash, NULL},
    {"target", CHOICE, MEMBER(target), 0, 0, "cluster null",
     "null: answer at once, to measure the\nharness itself (cluster)", NULL, NULL, NULL},
    {"strict-env", FLAG, MEMBER(strict_environment), 0, 0, NULL,
     "refuse to run where a warning applies", NULL, NULL, NULL},

    {"json", PATH, MEMBER(json), 0, 0, "FILE|-", "write the result document", NULL, NULL,
     "The result"},
    {"progress", CHOICE, MEMBER(progress), 0, 0, "auto always never",
     "a live line on stderr (auto: if it is a\nterminal)", NULL, NULL, NULL},
    {"interval", DURATION, MEMBER(interval_ns), 100000000, 3600 * SECOND_NS, "TIME",
     "of the live line and the time series (1s)", NULL, NULL, NULL},
    {"help", FLAG, MEMBER(wants_help), 0, 0, NULL, "this text", NULL, NULL, NULL},
    {"version", FLAG, MEMBER(wants_version), 0, 0, NULL, "the version", NULL, NULL, NULL},
};

#define RULE_COUNT (sizeof rules / sizeof rules[0])

void options_init(struct options *options)
{
    *options = (struct options){
        .nodes = 3,
        .clients = 1,
        .depth = 1,
        .value_bytes = 64,
        .key_bytes = 16,
        .keys = 1000000,
        .mix = {.weight = {[SYNOD_PUT] = 1}},
        .reads = SYNOD_READ_QUORUM,
        .warmup_ns = SECOND_NS,
        .interval_ns = SECOND_NS,
        .seed = 1,
        .idle = SYNOD_IDLE_AUTO,
        .pin = {.kind = PLACEMENT_NONE, .text = "none"},
        .wal_sync = SYNOD_SYNC_NONE,
        .segment_bytes = 64 << 20,
        .segments = 8,
        .election_timeout_ns = 200000000,
    };
}

/* ---- Setting -------------------------------------------------------------------------------- */

static void *member_of(struct options *options, const struct rule *rule)
{
    return (unsigned char *)options + rule->offset;
}

static const void *const_member_of(const struct options *options, const struct rule *rule)
{
    return (const unsigned char *)options + rule->offset;
}

static struct units_text bound_text(enum kind kind, uint64_t value)
{
    switch ((int)kind) {
    case SIZE:
        return units_exact_size(value);
    case DURATION:
        return units_exact_duration(value);
    default:
        return units_exact_count(value);
    }
}

static int set_number(const struct rule *rule, const char *text, uint64_t *value,
                      struct problem *problem)
{
    int result = rule->kind == COUNT  ? units_parse_count(text, value, problem)
                 : rule->kind == SIZE ? units_parse_size(text, value, problem)
                                      : units_parse_duration(text, value, problem);
    if (result == 0 && (*value < rule->min || *value > rule->max)) {
        return problem_set(problem, "out of range; use %s to %s",
                           bound_text(rule->kind, rule->min).text,
                           bound_text(rule->kind, rule->max).text);
    }
    return result;
}

#define CHOICES_MAX 8

/* The names of a choice, cut apart in `text`. */
static size_t split_choices(const struct rule *rule, char *text, size_t size, const char **names)
{
    size_t count = 0;
    (void)snprintf(text, size, "%s", rule->argument);
    char *rest = text;
    for (char *name = strsep(&rest, " "); name != NULL && count < CHOICES_MAX;
         name = strsep(&rest, " ")) {
        names[count++] = name;
    }
    return count;
}

static int set_choice(const struct rule *rule, const char *text, uint32_t *value,
                      struct problem *problem)
{
    char copy[64];
    const char *names[CHOICES_MAX];
    size_t count = split_choices(rule, copy, sizeof copy, names);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *value = (uint32_t)i;
            return 0;
        }
    }
    const char *nearest = suggest_nearest(text, names, count);
    return nearest != NULL ? problem_set(problem, "unknown value; did you mean '%s'?", nearest)
                           : problem_set(problem, "unknown value; use %s", rule->argument);
}

static int set_path(const char *text, char *path, struct problem *problem)
{
    if (text[0] == '\0' || strlen(text) >= OPTIONS_PATH) {
        return problem_set(problem, "not a path of 1 to %d characters", OPTIONS_PATH - 1);
    }
    memcpy(path, text, strlen(text) + 1);
    return 0;
}

static int set_flag(const char *text, bool *flag, struct problem *problem)
{
    *flag = strcmp(text, "true") == 0;
    return *flag || strcmp(text, "false") == 0
               ? 0
               : problem_set(problem, "unknown value; use true or false");
}

static int set_rule(struct options *options, const struct rule *rule, const char *text,
                    struct problem *problem)
{
    int result = 0;
    switch (rule->kind) {
    case COUNT:
    case SIZE:
    case DURATION:
        result = set_number(rule, text, member_of(options, rule), problem);
        break;
    case CHOICE:
        result = set_choice(rule, text, member_of(options, rule), problem);
        break;
    case PATH:
        result = set_path(text, member_of(options, rule), problem);
        break;
    case FLAG:
        result = set_flag(text, member_of(options, rule), problem);
        break;
    case CUSTOM:
        result = rule->parse(options, text, problem);
        break;
    }
    return result == 0 ? 0 : problem_prefix(problem, "--%s %s", rule->name, text);
}

const char *options_name(size_t i)
{
    return i < RULE_COUNT ? rules[i].name : NULL;
}

/* An abbreviation is never taken, but it tells what was meant. */
static int unknown_option(const char *name, struct problem *problem)
{
    const char *names[RULE_COUNT];
    const char *nearest = NULL;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        names[i] = rules[i].name;
        if (nearest == NULL && name[0] != '\0' && strncmp(name, names[i], strlen(name)) == 0) {
            nearest = names[i];
        }
    }
    nearest = nearest != NULL ? nearest : suggest_nearest(name, names, RULE_COUNT);
    return nearest != NULL
               ? problem_set(problem, "unknown option '--%s'; did you mean '--%s'?", name, nearest)
               : problem_set(problem, "unknown option '--%s'; see synod bench --help", name);
}

int options_set(struct options *options, const char *name, const char *value,
                struct problem *problem)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (strcmp(rules[i].name, name) == 0) {
            return set_rule(options, &rules[i], value, problem);
        }
    }
    return unknown_option(name, problem);
}

/* ---- Checking what belongs together --------------------------------------------------------- */

static int check_crashes(const struct options *options, struct problem *problem)
{
    const struct fault_plan *plan = &options->crashes;
    if (plan->count > 0 && options->target == OPTIONS_TARGET_NULL) {
        return problem_set(problem, "--crash: the null target has no nodes to crash");
    }
    for (size_t i = 0; i < plan->count; i++) {
        const struct fault_spec *fault = &plan->faults[i];
        struct fault_plan alone = {.faults = {*fault}, .count = 1};
        char text[FAULTS_TEXT];
        faults_print(&alone, text);
        if (fault->node != FAULTS_LEADER && fault->node >= options->nodes) {
            return problem_set(problem, "--crash %.60s: there is no such node; use 0 to %" PRIu64,
                               text, options->nodes - 1);
        }
        if (options->duration_ns != 0 && fault->at_ns >= options->duration_ns) {
            return problem_set(problem,
                               "--crash %.60s: the window is over after %s; a longer --duration, "
                               "or an earlier crash",
                               text, units_exact_duration(options->duration_ns).text);
        }
    }
    return 0;
}

static int check(struct options *options, const bool *is_given, struct problem *problem)
{
    bool has_mix = false;
    bool has_workload = false;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        has_mix = has_mix || (is_given[i] && rules[i].parse == parse_mix);
        has_workload = has_workload || (is_given[i] && rules[i].parse == parse_workload);
    }
    if (has_mix && has_workload) {
        return problem_set(problem, "--mix and --workload both say what to ask for; give one");
    }
    if (!bytes_is_power_of_two(options->segment_bytes)) {
        return problem_set(problem, "--segment-size %" PRIu64 ": no power of two; use 1m to 1g",
                           options->segment_bytes);
    }
    if (options->duration_ns == 0 && options->operations == 0) {
        options->duration_ns = 10 * SECOND_NS;
    }
    return check_crashes(options, problem);
}

/* ---- Reading the arguments ------------------------------------------------------------------ */

static int popt_problem(poptContext context, int error, struct problem *problem)
{
    char name[64];
    const char *bad = poptBadOption(context, POPT_BADOPTION_NOALIAS);
    (void)snprintf(name, sizeof name, "%s", bad);
    name[strcspn(name, "=")] = '\0';
    if (error == POPT_ERROR_NOARG) {
        return problem_set(problem, "%s: its value is missing", name);
    }
    if (error != POPT_ERROR_BADOPT) {
        return problem_set(problem, "%s: %s", name, poptStrerror(error));
    }
    if (strncmp(name, "--", 2) != 0) {
        return problem_set(problem, "unknown option '%s'; see synod bench --help", name);
    }
    return unknown_option(name + 2, problem);
}

static int read_arguments(struct options *options, poptContext context, bool *is_given,
                          struct problem *problem)
{
    int value;
    while ((value = poptGetNextOpt(context)) > 0) {
        const struct rule *rule = &rules[value - 1];
        is_given[value - 1] = true;
        char *text = poptGetOptArg(context);
        int result = set_rule(options, rule, rule->kind == FLAG ? "true" : text, problem);
        free(text);
        if (result != 0) {
            return result;
        }
    }
    if (value < -1) {
        return popt_problem(context, value, problem);
    }
    const char *extra = poptGetArg(context);
    if (extra != NULL && !options->wants_help && !options->wants_version) {
        return problem_set(problem, "unexpected argument '%s'; options begin with --", extra);
    }
    return 0;
}

int options_parse(struct options *options, int count, const char **arguments,
                  struct problem *problem)
{
    struct poptOption table[RULE_COUNT + 1];
    bool is_given[RULE_COUNT] = {false};
    memset(table, 0, sizeof table);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        table[i].longName = rules[i].name;
        table[i].shortName = strcmp(rules[i].name, "help") == 0 ? 'h' : '\0';
        table[i].argInfo = rules[i].kind == FLAG ? POPT_ARG_NONE : POPT_ARG_STRING;
        table[i].val = (int)i + 1;
    }
    poptContext context = poptGetContext("synod bench", count, arguments, table, 0);
    if (context == NULL) {
        (void)problem_set(problem, "out of memory");
        return -ENOMEM;
    }
    int result = read_arguments(options, context, is_given, problem);
    poptFreeContext(context);
    if (result != 0 || options->wants_help || options->wants_version) {
        return result;
    }
    return check(options, is_given, problem);
}

/* ---- Printing ------------------------------------------------------------------------------- */

static bool print_number(const struct rule *rule, uint64_t value, char *text)
{
    if (rule->kind == DURATION) {
        (void)snprintf(text, OPTIONS_TEXT, "%s", units_exact_duration(value).text);
    } else {
        (void)snprintf(text, OPTIONS_TEXT, "%" PRIu64, value);
    }
    return value >= rule->min; /* 0 where the smallest is above: not limited, not set */
}

static bool print_choice(const struct rule *rule, uint32_t value, char *text)
{
    char copy[64];
    const char *names[CHOICES_MAX];
    size_t count = split_choices(rule, copy, sizeof copy, names);
    (void)snprintf(text, OPTIONS_TEXT, "%s", value < count ? names[value] : "?");
    return true;
}

bool options_print(const struct options *options, size_t i, char *text)
{
    const struct rule *rule = &rules[i];
    const void *member = const_member_of(options, rule);
    text[0] = '\0';
    switch (rule->kind) {
    case COUNT:
    case SIZE:
    case DURATION:
        return print_number(rule, *(const uint64_t *)member, text);
    case CHOICE:
        return print_choice(rule, *(const uint32_t *)member, text);
    case PATH:
        (void)snprintf(text, OPTIONS_TEXT, "%s", (const char *)member);
        return text[0] != '\0';
    case FLAG:
        (void)snprintf(text, OPTIONS_TEXT, "%s", *(const bool *)member ? "true" : "false");
        return member != &options->wants_help && member != &options->wants_version;
    case CUSTOM:
        return rule->print != NULL && rule->print(options, text);
    }
    return false;
}

void options_help(FILE *to)
{
    (void)fputs("usage: synod bench [OPTION...]\n"
                "Starts a cluster in this process, puts a load on it, and reports throughput and\n"
                "latency. Defaults in parentheses. Counts take k m g (powers of 1000), sizes\n"
                "k m g (powers of 1024), times need one of ns us ms s m h.\n",
                to);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const struct rule *rule = &rules[i];
        if (rule->group != NULL) {
            (void)fprintf(to, "\n%s\n", rule->group);
        }
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", rule->name, rule->argument == NULL ? "" : " ",
                       rule->argument == NULL ? "" : rule->argument);
        for (char *at = left + strlen(rule->name) + 3; rule->kind == CHOICE && *at != '\0'; at++) {
            *at = *at == ' ' ? '|' : *at;
        }
        (void)fprintf(to, "  %-30s ", left);
        for (const char *at = rule->help; *at != '\0'; at++) {
            (void)fputc(*at, to);
            if (*at == '\n') {
                (void)fprintf(to, "%33s", "");
            }
        }
        (void)fputc('\n', to);
    }
}
