/* SPDX-License-Identifier: MIT */
/*
 * leader_crashes [OPTION...]: crashes the leader again and again while clients work, and proves
 * from what they were told that nothing acknowledged was lost (ledger.h). Crashed nodes restart at
 * once, or when service is back, or only after the next crash where a majority stays up; now and
 * then a follower crashes too, or every node, or leadership is handed over. At quiet moments in
 * between all nodes must hold the same.
 *
 * Exit: 0; 10: a contract was violated, or the cluster hung; 1: could not run; 2: usage.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"

#define WORKERS_MOST     16
#define LEADER_WAIT_NS   UINT64_C(60000000000)
#define QUIET_WAIT_NS    UINT64_C(60000000000)
#define HANG_NS          UINT64_C(120000000000)
#define EXIT_VIOLATION   10
#define CRASHES_AN_EPOCH 20

struct settings {
    uint32_t crashes, nodes, clients, depth, keys;
    uint32_t value_min, value_max;
    uint32_t election_ms;
    uint32_t segment_mib, segments;
    uint32_t work_ms;        /* at most, between service and the next crash */
    uint32_t transfer_of_10; /* so many rounds of ten hand over instead */
    uint32_t follower_of_10; /* so many crashes of ten take a follower along */
    uint32_t blackout_of_10; /* so many rounds of ten crash every node */
    uint64_t seed;
};

struct run {
    struct settings settings;
    struct campaign campaign;
    struct worker workers[WORKERS_MOST];
    struct ledger ledger;
    uint64_t random;
    uint32_t down[SYNOD_MAX_NODES]; /* crashed nodes, the one down longest first */
    uint32_t down_count;
    uint32_t leader_crashes, follower_crashes, blackouts, transfers, epochs;
    _Atomic uint64_t *known_of_key;
    uint64_t *gaps_ns;
    uint32_t gap_count;
    uint64_t gets_checked, writes_checked;
    uint64_t snapshots_taken, snapshots_installed;
    uint64_t violations;
    pthread_t watchdog;
    const char *_Atomic doing; /* for the watchdog's last words */
    _Atomic bool is_over;
};

static uint32_t majority(const struct run *run)
{
    return run->settings.nodes / 2 + 1;
}

static uint32_t up_count(const struct run *run)
{
    return run->settings.nodes - run->down_count;
}

static _Noreturn void cannot_run(const char *why)
{
    (void)fprintf(stderr, "leader_crashes: %s\n", why);
    _exit(1);
}

static bool is_down(const struct run *run, uint32_t node)
{
    for (uint32_t i = 0; i < run->down_count; i++) {
        if (run->down[i] == node) {
            return true;
        }
    }
    return false;
}

/* Not for the watchdog: a call that hangs may hold what this waits for. */
static void describe_nodes(struct run *run)
{
    for (uint32_t node = 0; node < run->settings.nodes; node++) {
        struct synod_node_status status;
        if (synod_cluster_status(run->campaign.cluster, node, &status) == SYNOD_OK) {
            (void)fprintf(stderr,
                          "  node %" PRIu32 ": role %d, ballot %" PRIu64 ".%d, log %" PRIu64
                          " to %" PRIu64 ", mark %" PRIu64 ", applied %" PRIu64 ", turns %" PRIu64
                          ", snapshots %" PRIu64 " + %" PRIu64 "\n",
                          node, (int)status.role, status.generation_round, status.generation_node,
                          status.log_first, status.log_last, status.high_watermark, status.applied,
                          status.turns, status.snapshots_taken, status.snapshots_installed);
        }
    }
}

static _Noreturn void give_up(struct run *run, const char *what, const char *why)
{
    (void)fprintf(stderr, "VIOLATION: %s: %s\n", what, why);
    describe_nodes(run);
    (void)fprintf(stderr, "  after %" PRIu32 " leader crashes, seed %" PRIu64 "; logs left in %s\n",
                  run->leader_crashes, run->settings.seed,
                  synod_cluster_directory(run->campaign.cluster));
    (void)fflush(NULL);
    _exit(EXIT_VIOLATION);
}

/* ---- The watchdog: a hang is a violation too ---- */

static void *watch(void *argument)
{
    struct run *run = argument;
    uint64_t seen = 0;
    const char *doing = NULL;
    uint64_t since_ns = now_ns();
    while (!atomic_load(&run->is_over)) {
        uint64_t done = atomic_load(&run->campaign.done);
        const char *now_doing = atomic_load(&run->doing);
        if (done != seen || now_doing != doing) {
            seen = done;
            doing = now_doing;
            since_ns = now_ns();
        } else if (now_ns() - since_ns > HANG_NS) {
            (void)fprintf(stderr, "VIOLATION: nothing has moved for two minutes while %s\n", doing);
            _exit(EXIT_VIOLATION);
        }
        sleep_ns(50000000);
    }
    return NULL;
}

/* ---- Crashes and restarts ---- */

static void crash(struct run *run, uint32_t node)
{
    atomic_store(&run->doing, "crashing a node");
    enum synod_status status = synod_cluster_crash(run->campaign.cluster, node);
    if (status != SYNOD_OK) {
        give_up(run, "crash", synod_status_text(status));
    }
    run->down[run->down_count++] = node;
}

static void restart_oldest(struct run *run)
{
    atomic_store(&run->doing, "restarting a node");
    char problem[512];
    enum synod_status status =
        synod_cluster_restart(run->campaign.cluster, run->down[0], problem, sizeof problem);
    if (status != SYNOD_OK) {
        give_up(run, "restart", problem);
    }
    run->down_count--;
    memmove(&run->down[0], &run->down[1], run->down_count * sizeof run->down[0]);
}

static uint32_t await_leader(struct run *run)
{
    atomic_store(&run->doing, "waiting for a leader");
    int leader = synod_cluster_await_leader(run->campaign.cluster, LEADER_WAIT_NS);
    if (leader < 0) {
        give_up(run, "no leader", "a majority is up, and nobody leads for a minute");
    }
    return (uint32_t)leader;
}

static void await_service(struct run *run)
{
    atomic_store(&run->doing, "waiting for service");
    uint64_t start_ns = now_ns();
    while (atomic_load(&run->campaign.served_ns) == 0) {
        if (now_ns() - start_ns > LEADER_WAIT_NS) {
            give_up(run, "no service", "a majority is up, and no request is answered for a minute");
        }
        sleep_ns(50000);
    }
}

static void begin_timing(struct run *run)
{
    atomic_store(&run->campaign.served_ns, 0);
    atomic_store(&run->campaign.crashed_ns, now_ns());
}

static void crash_leader(struct run *run)
{
    while (up_count(run) - 1 < majority(run)) {
        restart_oldest(run);
    }
    uint32_t leader = await_leader(run);
    begin_timing(run);
    if (is_down(run, leader)) {
        give_up(run, "leader", "a node that is down is said to lead");
    }
    crash(run, leader);
    run->leader_crashes++;
    bool takes_follower = up_count(run) - 1 >= majority(run) &&
                          random_below(&run->random, 10) < run->settings.follower_of_10;
    if (takes_follower) {
        uint32_t node = (uint32_t)random_below(&run->random, run->settings.nodes);
        if (!is_down(run, node)) {
            crash(run, node);
            run->follower_crashes++;
        }
    }
    bool restarts_at_once = random_below(&run->random, 2) == 0;
    if (restarts_at_once) {
        restart_oldest(run);
    }
    await_service(run);
    run->gaps_ns[run->gap_count++] =
        atomic_load(&run->campaign.served_ns) - atomic_load(&run->campaign.crashed_ns);
    atomic_store(&run->campaign.crashed_ns, 0);
    bool restarts_now = run->down_count > 0 && random_below(&run->random, 2) == 0;
    if (restarts_now) {
        restart_oldest(run);
    }
}

/*
 * Every node crashes, followers first, and a majority that may lack the leader comes back. While a
 * crashed leader's messages still reach its followers, a crashed follower loses those it has not
 * read: what was acknowledged must be in the logs of a majority, not on its way to them.
 */
static void black_out(struct run *run)
{
    uint32_t leader = await_leader(run);
    begin_timing(run);
    uint32_t first = (uint32_t)random_below(&run->random, run->settings.nodes);
    for (uint32_t i = 0; i < run->settings.nodes; i++) {
        uint32_t node = (first + i) % run->settings.nodes;
        if (node != leader && !is_down(run, node)) {
            crash(run, node);
        }
    }
    if (!is_down(run, leader)) {
        crash(run, leader);
    }
    run->blackouts++;
    while (up_count(run) < majority(run)) {
        restart_oldest(run);
    }
    await_service(run);
    atomic_store(&run->campaign.crashed_ns, 0); /* not one of the gaps that are reported */
}

static void hand_over(struct run *run)
{
    atomic_store(&run->doing, "handing over");
    uint32_t node = (uint32_t)random_below(&run->random, run->settings.nodes);
    enum synod_status status = synod_cluster_transfer(run->campaign.cluster, node);
    if (status != SYNOD_OK && status != SYNOD_NO_LEADER) {
        give_up(run, "transfer", synod_status_text(status));
    }
    run->transfers += status == SYNOD_OK;
}

/* ---- Quiet moments ---- */

static void pause_workers(struct run *run)
{
    atomic_store(&run->doing, "waiting for the clients' answers");
    atomic_store(&run->campaign.order, ORDER_PAUSE);
    while (atomic_load(&run->campaign.paused) < run->settings.clients) {
        sleep_ns(200000);
    }
}

static void resume_workers(struct run *run, enum campaign_order order)
{
    atomic_store(&run->campaign.order, order);
    while (order == ORDER_WORK && atomic_load(&run->campaign.paused) > 0) {
        sleep_ns(200000);
    }
}

/* Every node holds the same. The slot they stand at. */
static uint64_t compare_nodes(struct run *run)
{
    atomic_store(&run->doing, "waiting for quiet");
    if (synod_cluster_await_quiet(run->campaign.cluster, QUIET_WAIT_NS) != SYNOD_OK) {
        give_up(run, "quiet", "the nodes do not come to stand at one slot within a minute");
    }
    struct synod_node_status first = {0};
    for (uint32_t node = 0; node < run->settings.nodes; node++) {
        struct synod_node_status status;
        if (synod_cluster_status(run->campaign.cluster, node, &status) != SYNOD_OK) {
            give_up(run, "status", "of a node that exists");
        }
        first = node == 0 ? status : first;
        run->snapshots_taken += status.snapshots_taken;
        run->snapshots_installed += status.snapshots_installed;
        bool is_same = status.digest == first.digest && status.keys == first.keys &&
                       status.applied == first.applied;
        if (!is_same || status.role == SYNOD_FAILED || status.role == SYNOD_DOWN) {
            (void)fprintf(stderr,
                          "VIOLATION: node %" PRIu32 " (role %d) holds %" PRIu64
                          " keys at slot %" PRIu64 ", digest %016" PRIx64 "; node 0 %" PRIu64
                          " keys at slot %" PRIu64 ", digest %016" PRIx64 "\n",
                          node, (int)status.role, status.keys, status.applied, status.digest,
                          first.keys, first.applied, first.digest);
            run->violations++;
        }
    }
    return first.applied;
}

static void read_finals(struct run *run, struct ledger_read *finals)
{
    atomic_store(&run->doing, "reading all keys");
    struct synod_client *client;
    if (synod_client_open(run->campaign.cluster, &client) != SYNOD_OK) {
        give_up(run, "client", "there is room for one more");
    }
    for (uint32_t key = 0; key < run->settings.keys; key++) {
        char name[16];
        key_name(key, name);
        struct synod_completion done;
        enum synod_status status = synod_get(client, (struct synod_bytes){name, strlen(name)},
                                             SYNOD_READ_QUORUM, 0, &done);
        if (status != SYNOD_OK && status != SYNOD_NOT_FOUND) {
            give_up(run, "a read of a quiet cluster", synod_status_text(status));
        }
        bool is_found = status == SYNOD_OK;
        finals[key] = (struct ledger_read){.key = key, .is_found = is_found};
        if (is_found) {
            finals[key].revision = done.revision;
            finals[key].id = value_id(done.value, key);
            run->violations += finals[key].id == 0;
        }
    }
    synod_client_close(client);
}

static void check_books(struct run *run, const struct ledger_read *finals, uint64_t slot)
{
    atomic_store(&run->doing, "checking the books");
    struct records all = {0};
    for (uint32_t i = 0; i < run->settings.clients; i++) {
        all.write_count += run->workers[i].records.write_count;
        all.read_count += run->workers[i].records.read_count;
    }
    all.writes = calloc(all.write_count + 1, sizeof *all.writes);
    all.reads = calloc(all.read_count + 1, sizeof *all.reads);
    if (all.writes == NULL || all.reads == NULL) {
        cannot_run("out of memory");
    }
    size_t writes = 0;
    size_t reads = 0;
    for (uint32_t i = 0; i < run->settings.clients; i++) {
        struct records *records = &run->workers[i].records;
        if (records->write_count > 0) {
            memcpy(all.writes + writes, records->writes, records->write_count * sizeof *all.writes);
        }
        if (records->read_count > 0) {
            memcpy(all.reads + reads, records->reads, records->read_count * sizeof *all.reads);
        }
        writes += records->write_count;
        reads += records->read_count;
        records->write_count = 0;
        records->read_count = 0;
    }
    struct ledger_epoch epoch = {.writes = all.writes,
                                 .write_count = writes,
                                 .reads = all.reads,
                                 .read_count = reads,
                                 .finals = finals,
                                 .last_slot = slot};
    run->violations += ledger_check(&run->ledger, &epoch);
    run->writes_checked += writes;
    run->gets_checked += reads;
    free(all.writes);
    free(all.reads);
}

static void settle(struct run *run, enum campaign_order next)
{
    while (run->down_count > 0) {
        restart_oldest(run);
    }
    pause_workers(run);
    uint64_t slot = compare_nodes(run);
    struct ledger_read *finals = calloc(run->settings.keys, sizeof *finals);
    if (finals == NULL) {
        cannot_run("out of memory");
    }
    read_finals(run, finals);
    check_books(run, finals, slot);
    free(finals);
    run->epochs++;
    resume_workers(run, next);
}

/* ---- The campaign ---- */

static void open_cluster(struct run *run)
{
    const struct settings *settings = &run->settings;
    struct synod_options options;
    synod_options_init(&options);
    options.nodes = settings->nodes;
    options.max_clients = settings->clients + 1;
    options.max_in_flight = settings->depth + 1;
    options.max_value_bytes = settings->value_max;
    options.segment_bytes = (uint64_t)settings->segment_mib << 20;
    options.segment_count = settings->segments;
    options.window_slots = 1024;
    options.election_timeout_ns = (uint64_t)settings->election_ms * 1000000;
    options.seed = settings->seed;
    char problem[512];
    if (synod_cluster_open(&options, &run->campaign.cluster, problem, sizeof problem) != SYNOD_OK) {
        cannot_run(problem);
    }
}

static void begin(struct run *run)
{
    const struct settings *settings = &run->settings;
    run->random = settings->seed;
    run->gaps_ns = calloc(settings->crashes + 1, sizeof *run->gaps_ns);
    run->known_of_key = calloc(settings->keys, sizeof *run->known_of_key);
    run->campaign = (struct campaign){.keys = settings->keys,
                                      .depth = settings->depth,
                                      .value_min = settings->value_min,
                                      .value_max = settings->value_max,
                                      .known_of_key = run->known_of_key};
    if (run->gaps_ns == NULL || run->known_of_key == NULL) {
        cannot_run("out of memory");
    }
    ledger_init(&run->ledger, settings->keys);
    open_cluster(run);
    atomic_store(&run->doing, "starting");
    if (pthread_create(&run->watchdog, NULL, watch, run) != 0) {
        cannot_run("no thread for the watchdog");
    }
    (void)await_leader(run);
    for (uint32_t i = 0; i < settings->clients; i++) {
        worker_start(&run->workers[i], &run->campaign, i, random_next(&run->random));
    }
}

static void end(struct run *run)
{
    for (uint32_t i = 0; i < run->settings.clients; i++) {
        worker_join(&run->workers[i]);
    }
    atomic_store(&run->is_over, true);
    (void)pthread_join(run->watchdog, NULL);
    synod_cluster_close(run->campaign.cluster);
    ledger_deinit(&run->ledger);
    run->violations += atomic_load(&run->campaign.mistakes);
}

static int compare_gaps(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void report(struct run *run, uint64_t elapsed_ns)
{
    qsort(run->gaps_ns, run->gap_count, sizeof *run->gaps_ns, compare_gaps);
    double seconds = (double)elapsed_ns / 1e9;
    uint32_t middle = run->gap_count / 2;
    double median_ms = run->gap_count > 0 ? (double)run->gaps_ns[middle] / 1e6 : 0.0;
    double max_ms = run->gap_count > 0 ? (double)run->gaps_ns[run->gap_count - 1] / 1e6 : 0.0;
    (void)printf("%" PRIu32 " nodes, values %" PRIu32 " to %" PRIu32 " B, log %" PRIu32
                 " x %" PRIu32 " MiB, election timeout %" PRIu32 " ms\n",
                 run->settings.nodes, run->settings.value_min, run->settings.value_max,
                 run->settings.segments, run->settings.segment_mib, run->settings.election_ms);
    (void)printf("%" PRIu32 " leader crashes (%.1f a second), %" PRIu32 " of followers, %" PRIu32
                 " of all nodes, %" PRIu32 " transfers, in %.1f s\n",
                 run->leader_crashes, run->leader_crashes / seconds, run->follower_crashes,
                 run->blackouts, run->transfers, seconds);
    (void)printf("service gap: median %.1f ms, longest %.1f ms\n", median_ms, max_ms);
    (void)printf("%" PRIu64 " operations, %" PRIu64 " writes with unknown outcome, %" PRIu64
                 " client handles\n",
                 atomic_load(&run->campaign.done), atomic_load(&run->campaign.unknown),
                 atomic_load(&run->campaign.handles));
    (void)printf("%" PRIu64 " writes and %" PRIu64 " reads checked in %" PRIu32
                 " epochs; snapshots seen: %" PRIu64 " taken, %" PRIu64 " installed\n",
                 run->writes_checked, run->gets_checked, run->epochs, run->snapshots_taken,
                 run->snapshots_installed);
    (void)printf("%" PRIu64 " violations\n", run->violations);
}

static void campaign(struct run *run)
{
    uint64_t start_ns = now_ns();
    begin(run);
    while (run->leader_crashes < run->settings.crashes && run->violations == 0) {
        sleep_ns(random_below(&run->random, (uint64_t)run->settings.work_ms * 1000000 + 1));
        if (random_below(&run->random, 10) < run->settings.transfer_of_10) {
            hand_over(run);
            continue;
        }
        if (random_below(&run->random, 10) < run->settings.blackout_of_10) {
            black_out(run);
            continue;
        }
        crash_leader(run);
        if (run->leader_crashes % CRASHES_AN_EPOCH == 0 &&
            run->leader_crashes < run->settings.crashes) {
            settle(run, ORDER_WORK);
        }
    }
    settle(run, ORDER_STOP);
    end(run);
    report(run, now_ns() - start_ns);
    free(run->gaps_ns);
    free(run->known_of_key);
}

static void usage(FILE *out)
{
    (void)fputs("usage: leader_crashes [OPTION N]...\n"
                "  --crashes --nodes --clients --depth --keys --seed\n"
                "  --value-min --value-max     bytes\n"
                "  --segment-mib --segments    a node's log\n"
                "  --election-ms --work-ms     time-out; most time between service and a crash\n"
                "  --transfers --followers --blackouts   of ten rounds so many hand over, take a\n"
                "                              follower along, crash every node\n",
                out);
}

/* What an option sets; NULL: no such option. */
static uint32_t *setting_of(struct settings *settings, int option)
{
    uint32_t *const all[] = {
        &settings->crashes,        &settings->nodes,         &settings->clients,
        &settings->depth,          &settings->keys,          &settings->value_min,
        &settings->value_max,      &settings->election_ms,   &settings->segment_mib,
        &settings->segments,       &settings->work_ms,       &settings->transfer_of_10,
        &settings->follower_of_10, &settings->blackout_of_10};
    return option >= 0 && (size_t)option < sizeof all / sizeof all[0] ? all[option] : NULL;
}

static bool parse(int argc, char **argv, struct settings *settings)
{
    static const struct option options[] = {
        {"crashes", required_argument, NULL, 0},     {"nodes", required_argument, NULL, 1},
        {"clients", required_argument, NULL, 2},     {"depth", required_argument, NULL, 3},
        {"keys", required_argument, NULL, 4},        {"value-min", required_argument, NULL, 5},
        {"value-max", required_argument, NULL, 6},   {"election-ms", required_argument, NULL, 7},
        {"segment-mib", required_argument, NULL, 8}, {"segments", required_argument, NULL, 9},
        {"work-ms", required_argument, NULL, 10},    {"transfers", required_argument, NULL, 11},
        {"followers", required_argument, NULL, 12},  {"blackouts", required_argument, NULL, 13},
        {"seed", required_argument, NULL, 's'},      {0}};
    int option;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): before the first thread
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *rest = NULL;
        unsigned long long value = optarg != NULL ? strtoull(optarg, &rest, 10) : 0;
        if (optarg == NULL || *optarg == '\0' || *rest != '\0') {
            return false;
        }
        uint32_t *setting = setting_of(settings, option);
        if (option == 's') {
            settings->seed = value;
        } else if (setting != NULL && value <= UINT32_MAX) {
            *setting = (uint32_t)value;
        } else {
            return false;
        }
    }
    return optind == argc && settings->clients >= 1 && settings->clients <= WORKERS_MOST &&
           settings->nodes >= 3 && settings->nodes <= SYNOD_MAX_NODES && settings->depth >= 1 &&
           settings->keys >= 1 && settings->value_min >= 16 &&
           settings->value_max >= settings->value_min && settings->transfer_of_10 < 10 &&
           settings->blackout_of_10 < 10;
}

int main(int argc, char **argv)
{
    static struct run run; /* threads look at it to the last */
    run.settings = (struct settings){.crashes = 100,
                                     .nodes = 3,
                                     .clients = 4,
                                     .depth = 8,
                                     .keys = 64,
                                     .value_min = 16,
                                     .value_max = 512,
                                     .election_ms = 30,
                                     .segment_mib = 1,
                                     .segments = 8,
                                     .work_ms = 40,
                                     .transfer_of_10 = 1,
                                     .follower_of_10 = 2,
                                     .blackout_of_10 = 1,
                                     .seed = 1};
    if (!parse(argc, argv, &run.settings)) {
        usage(stderr);
        return 2;
    }
    campaign(&run);
    return run.violations == 0 ? 0 : EXIT_VIOLATION;
}
