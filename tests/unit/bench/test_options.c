/* SPDX-License-Identifier: MIT */
#include "bench/options.h"

#include <string.h>

#include "test_main.h"

#define ARGUMENTS_MAX 16

static struct problem problem;
static struct options options;

/* Parses a line cut at blanks. */
static int parse(const char *line)
{
    static char copy[512];
    const char *arguments[ARGUMENTS_MAX + 1] = {"bench"};
    int count = 1;
    (void)snprintf(copy, sizeof copy, "%s", line);
    char *rest = copy;
    for (char *part = strsep(&rest, " "); part != NULL && count < ARGUMENTS_MAX;
         part = strsep(&rest, " ")) {
        if (part[0] != '\0') {
            arguments[count++] = part;
        }
    }
    problem.text[0] = '\0';
    options_init(&options);
    return options_parse(&options, count, arguments, &problem);
}

static void refuses(const char *line, const char *text)
{
    ck_assert_int_ne(parse(line), 0);
    ck_assert_str_eq(problem.text, text);
}

START_TEST(defaults_hold_without_flags)
{
    ck_assert_int_eq(parse(""), 0);
    ck_assert_uint_eq(options.nodes, 3);
    ck_assert_uint_eq(options.depth, 1);
    ck_assert_uint_eq(options.keys, 1000000);
    ck_assert_uint_eq(options.duration_ns, 10000000000);
    ck_assert_uint_eq(options.warmup_ns, 1000000000);
    ck_assert_uint_eq(options.segment_bytes, 64 << 20);
    ck_assert_str_eq(options.json, "");
}
END_TEST

START_TEST(flags_beat_defaults_and_the_last_one_counts)
{
    ck_assert_int_eq(parse("--nodes 5 --depth=64 --keys 10k --nodes 7 --json -"), 0);
    ck_assert_uint_eq(options.nodes, 7);
    ck_assert_uint_eq(options.depth, 64);
    ck_assert_uint_eq(options.keys, 10000);
    ck_assert_str_eq(options.json, "-");
}
END_TEST

START_TEST(operations_alone_set_no_time_limit)
{
    ck_assert_int_eq(parse("--ops 1m"), 0);
    ck_assert_uint_eq(options.operations, 1000000);
    ck_assert_uint_eq(options.duration_ns, 0);
    ck_assert_int_eq(parse("--ops 1m --duration 2s"), 0);
    ck_assert_uint_eq(options.duration_ns, 2000000000);
}
END_TEST

START_TEST(mistakes_are_told_with_flag_value_and_column)
{
    refuses("--duration 10x", "--duration 10x: unknown unit 'x' at column 3; use ns us ms s m h");
    refuses("--duration 10", "--duration 10: no unit at column 3; use ns us ms s m h");
    refuses("--nodes 0", "--nodes 0: out of range; use 1 to 15");
    refuses("--nodes 16", "--nodes 16: out of range; use 1 to 15");
    refuses("--idle spni", "--idle spni: unknown value; did you mean 'spin'?");
    refuses("--idle sleep", "--idle sleep: unknown value; use auto spin yield park");
    refuses("--workload gett", "--workload gett: unknown workload; did you mean 'get'?");
    refuses("--workload ycsb-a", "--workload ycsb-a: unknown workload; use put or get, or --mix");
    refuses("--dist zipff:1", "--dist zipff:1: unknown distribution 'zipff'; did you mean 'zipf'?");
    refuses("--segment-size 3m", "--segment-size 3145728: no power of two; use 1m to 1g");
    refuses("--mix put --workload get", "--mix and --workload both say what to ask for; give one");
    refuses("extra", "unexpected argument 'extra'; options begin with --");
}
END_TEST

START_TEST(unknown_and_abbreviated_flags_are_refused_with_a_suggestion)
{
    refuses("--dept 4", "unknown option '--dept'; did you mean '--depth'?");
    refuses("--dur 4s", "unknown option '--dur'; did you mean '--duration'?");
    refuses("--client=4", "unknown option '--client'; did you mean '--clients'?");
    refuses("--durration 4s", "unknown option '--durration'; did you mean '--duration'?");
    refuses("--fsync", "unknown option '--fsync'; see synod bench --help");
    refuses("-x", "unknown option '-x'; see synod bench --help");
    refuses("--nodes", "--nodes: its value is missing");
}
END_TEST

/* Flags of later work must not be taken silently. */
START_TEST(flags_that_do_nothing_yet_do_not_exist)
{
    static const char *const LATER[] = {"--rate",   "--runs",     "--link-delay",
                                        "--faults", "--perf-ctl", "--html",
                                        "--slo",    "--counters", "--out"};
    for (size_t i = 0; i < sizeof LATER / sizeof LATER[0]; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "%s 1", LATER[i]);
        ck_assert_int_ne(parse(line), 0);
        ck_assert_ptr_nonnull(strstr(problem.text, "unknown option"));
    }
    ck_assert_int_ne(parse("--reads lease"), 0);
    ck_assert_int_ne(parse("--reads stale"), 0);
}
END_TEST

START_TEST(crashes_add_up_and_are_checked_against_the_run)
{
    ck_assert_int_eq(parse("--crash leader@2s --crash 1@3s+500ms,2@4s"), 0);
    ck_assert_uint_eq(options.crashes.count, 3);
    ck_assert_uint_eq(options.crashes.faults[0].node, FAULTS_LEADER);
    ck_assert_uint_eq(options.crashes.faults[0].restart_after_ns, 1000000000);
    ck_assert_uint_eq(options.crashes.faults[1].node, 1);
    ck_assert_uint_eq(options.crashes.faults[1].at_ns, 3000000000);
    ck_assert_uint_eq(options.crashes.faults[1].restart_after_ns, 500000000);
    refuses("--crash 3@2s", "--crash 3@2s+1s: there is no such node; use 0 to 2");
    refuses("--crash leader@2s --duration 2s", "--crash leader@2s+1s: the window is over after 2s; "
                                               "a longer --duration, or an earlier crash");
    refuses("--crash leadr@2s", "--crash leadr@2s: 'leadr' is no node; did you mean 'leader'?");
    refuses("--crash leader", "--crash leader: says not when; use leader@2s, or 1@2s+500ms");
    refuses("--crash leader@2",
            "--crash leader@2: time '2': no unit at column 2; use ns us ms s m h");
    refuses("--crash 1@1s+x",
            "--crash 1@1s+x: restart delay 'x': expected a number at column 1, such as 10s");
    refuses("--crash 1@1s --target null", "--crash: the null target has no nodes to crash");
}
END_TEST

/* What the result document embeds makes the same run again. */
START_TEST(printed_configuration_sets_the_same_options)
{
    ck_assert_int_eq(parse("--nodes 5 --mix put:1,get:9 --dist zipf:0.99 --pin 0,0-1 --ops 10k "
                           "--crash leader@1s,0@2s+10ms --batch 32 --keep --wal-sync batch"),
                     0);
    struct options again;
    char first[OPTIONS_TEXT];
    char second[OPTIONS_TEXT];
    options_init(&again);
    for (size_t i = 0; options_name(i) != NULL; i++) {
        if (options_print(&options, i, first)) {
            ck_assert_int_eq(options_set(&again, options_name(i), first, &problem), 0);
        }
    }
    for (size_t i = 0; options_name(i) != NULL; i++) {
        bool is_set = options_print(&options, i, first);
        ck_assert(is_set == options_print(&again, i, second));
        ck_assert_str_eq(first, second);
    }
    ck_assert_uint_eq(again.crashes.faults[1].restart_after_ns, 10000000);
    ck_assert(again.keep);
}
END_TEST

START_TEST(help_fits_a_terminal_and_names_every_option)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(to);
    options_help(to);
    (void)fclose(to);
    for (size_t i = 0; options_name(i) != NULL; i++) {
        char flag[64];
        (void)snprintf(flag, sizeof flag, "  --%s ", options_name(i));
        ck_assert_msg(strstr(text, flag) != NULL, "%s", flag);
    }
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        ck_assert_msg(strlen(line) <= 80, "%s", line);
    }
    free(text);
}
END_TEST

TEST_MAIN("bench/options", defaults_hold_without_flags, flags_beat_defaults_and_the_last_one_counts,
          operations_alone_set_no_time_limit, mistakes_are_told_with_flag_value_and_column,
          unknown_and_abbreviated_flags_are_refused_with_a_suggestion,
          flags_that_do_nothing_yet_do_not_exist, crashes_add_up_and_are_checked_against_the_run,
          printed_configuration_sets_the_same_options, help_fits_a_terminal_and_names_every_option)
