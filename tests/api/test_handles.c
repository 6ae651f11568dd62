/* SPDX-License-Identifier: MIT */
/* Who may use a handle, and what closed, missing and foreign ones answer. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "api_support.h"
#include "test_main.h"

START_TEST(missing_handles_answer_and_do_not_crash)
{
    struct synod_completion done;
    struct synod_request request = {
        .operation = SYNOD_PUT, .key = bytes_of("k"), .value = bytes_of("v")};
    struct synod_client *client = (struct synod_client *)(uintptr_t)1;
    EXPECT_STATUS(synod_client_open(NULL, &client), SYNOD_CLOSED);
    ck_assert_ptr_null(client);
    EXPECT_STATUS(synod_client_open(NULL, NULL), SYNOD_INVALID);
    synod_client_close(NULL);
    EXPECT_STATUS(synod_submit(NULL, &request), SYNOD_CLOSED);
    synod_flush(NULL);
    ck_assert_uint_eq(synod_poll(NULL, &done, 1, SECONDS), 0);
    ck_assert_uint_eq(synod_in_flight(NULL), 0);
    EXPECT_STATUS(synod_put(NULL, request.key, request.value, 0, &done), SYNOD_CLOSED);
    EXPECT_STATUS(synod_get(NULL, request.key, SYNOD_READ_QUORUM, 0, &done), SYNOD_CLOSED);
    EXPECT_STATUS(synod_delete(NULL, request.key, 0, &done), SYNOD_CLOSED);
    EXPECT_STATUS(synod_cas(NULL, request.key, 0, request.value, 0, &done), SYNOD_CLOSED);
    synod_cluster_close(NULL);
    ck_assert_int_eq(synod_cluster_leader(NULL), -1);
    ck_assert_int_eq(synod_cluster_await_leader(NULL, UINT64_MAX), -1);
    EXPECT_STATUS(synod_cluster_crash(NULL, 0), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_restart(NULL, 0, NULL, 0), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_transfer(NULL, 0), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_status(NULL, 0, &(struct synod_node_status){0}), SYNOD_INVALID);
    EXPECT_STATUS(synod_cluster_await_quiet(NULL, 0), SYNOD_INVALID);
    ck_assert_str_eq(synod_cluster_directory(NULL), "");
}
END_TEST

struct visit {
    struct synod_cluster *cluster;
    struct synod_client *client;
};

static void *call_from_elsewhere(void *argument)
{
    struct visit *visit = argument;
    struct synod_completion done;
    struct synod_request request = {
        .operation = SYNOD_PUT, .key = bytes_of("k"), .value = bytes_of("wrong")};
    EXPECT_STATUS(synod_submit(visit->client, &request), SYNOD_WRONG_THREAD);
    EXPECT_STATUS(synod_put(visit->client, request.key, request.value, 0, NULL),
                  SYNOD_WRONG_THREAD);
    EXPECT_STATUS(synod_get(visit->client, request.key, SYNOD_READ_LOG, 0, NULL),
                  SYNOD_WRONG_THREAD);
    EXPECT_STATUS(synod_delete(visit->client, request.key, 0, NULL), SYNOD_WRONG_THREAD);
    EXPECT_STATUS(synod_cas(visit->client, request.key, 0, request.value, 0, NULL),
                  SYNOD_WRONG_THREAD);
    ck_assert_uint_eq(synod_poll(visit->client, &done, 1, SECONDS), 0);
    synod_flush(visit->client);
    return NULL;
}

START_TEST(other_threads_are_told_and_change_nothing)
{
    struct synod_cluster *cluster = open_small(3);
    struct visit visit = {cluster, open_client(cluster)};
    put_text(visit.client, "k", "right");
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, call_from_elsewhere, &visit), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    expect_text(visit.client, "k", "right");
    ck_assert_uint_eq(synod_in_flight(visit.client), 0);
    synod_client_close(visit.client);
    synod_cluster_close(cluster);
}
END_TEST

static void *open_and_leave(void *argument)
{
    struct visit *visit = argument;
    visit->client = open_client(visit->cluster);
    put_text(visit->client, "k", "v");
    return NULL;
}

START_TEST(handle_of_a_thread_that_ended_may_be_closed_by_another)
{
    struct synod_cluster *cluster = open_small(3);
    for (int i = 0; i < 20; i++) { /* more than there are places */
        struct visit visit = {cluster, NULL};
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, open_and_leave, &visit), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        synod_client_close(visit.client);
    }
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(one_client_too_many_is_busy_until_one_closes)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *clients[8];
    for (int i = 0; i < 8; i++) {
        clients[i] = open_client(cluster);
    }
    struct synod_client *more;
    EXPECT_STATUS(synod_client_open(cluster, &more), SYNOD_BUSY);
    ck_assert_ptr_null(more);
    synod_client_close(clients[3]);
    clients[3] = open_client(cluster);
    for (int i = 0; i < 8; i++) {
        put_text(clients[i], "k", "v");
        synod_client_close(clients[i]);
    }
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(reopened_place_hears_no_answer_meant_for_the_handle_before)
{
    struct synod_cluster *cluster = open_small(3);
    for (uint64_t round = 1; round <= 100; round++) {
        struct synod_client *client = open_client(cluster);
        struct synod_completion done;
        EXPECT_STATUS(synod_put(client, bytes_of("mine"), bytes_of("v"), PATIENCE, &done),
                      SYNOD_OK);
        ck_assert_uint_eq(done.version, round);
        for (uint64_t tag = 0; tag < 32; tag++) {
            struct synod_request request = {.operation = tag % 2 == 0 ? SYNOD_PUT : SYNOD_GET,
                                            .key = bytes_of("left"),
                                            .value = bytes_of("behind"),
                                            .tag = 1000 + tag};
            EXPECT_STATUS(synod_submit(client, &request), SYNOD_OK);
        }
        if (round % 2 == 0) {
            synod_flush(client);
        }
        synod_client_close(client);
    }
    struct synod_client *client = open_client(cluster);
    struct synod_completion done;
    ck_assert_uint_eq(synod_poll(client, &done, 1, SECONDS / 100), 0);
    /* What was left in flight was handed over all the same: it is one of the outcomes. */
    expect_text(client, "left", "behind");
    synod_client_close(client);
    synod_cluster_close(cluster);
}
END_TEST

START_TEST(open_handle_of_a_closed_cluster_says_closed)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    put_text(client, "k", "v");
    synod_cluster_close(cluster);
    struct synod_request request = {.operation = SYNOD_GET, .key = bytes_of("k")};
    struct synod_completion done;
    EXPECT_STATUS(synod_submit(client, &request), SYNOD_CLOSED);
    EXPECT_STATUS(synod_put(client, bytes_of("k"), bytes_of("w"), 0, NULL), SYNOD_CLOSED);
    EXPECT_STATUS(synod_get(client, bytes_of("k"), SYNOD_READ_QUORUM, 0, NULL), SYNOD_CLOSED);
    ck_assert_uint_eq(synod_poll(client, &done, 1, SECONDS), 0);
    synod_flush(client);
    ck_assert_uint_eq(synod_in_flight(client), 0);
    synod_client_close(client);
}
END_TEST

START_TEST(requests_in_flight_when_a_cluster_closes_still_come_out)
{
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *clients[2] = {open_client(cluster), open_client(cluster)};
    for (int i = 0; i < 2; i++) {
        for (uint64_t tag = 0; tag < 30; tag++) {
            struct synod_request request = {.operation = tag % 2 == 0 ? SYNOD_PUT : SYNOD_GET,
                                            .key = bytes_of("k"),
                                            .value = bytes_of("v"),
                                            .tag = tag};
            EXPECT_STATUS(synod_submit(clients[i], &request), SYNOD_OK);
        }
    }
    synod_flush(clients[0]);
    synod_cluster_close(cluster);
    for (int i = 0; i < 2; i++) {
        struct synod_completion completions[30];
        poll_all(clients[i], completions, 30);
        for (size_t n = 0; n < 30; n++) {
            enum synod_status status = completions[n].status;
            bool is_possible = status == SYNOD_OK || status == SYNOD_NOT_FOUND ||
                               (completions[n].operation == SYNOD_PUT ? status == SYNOD_TIMEOUT
                                                                      : status == SYNOD_CLOSED);
            ck_assert_msg(is_possible, "%d: %s", (int)completions[n].operation,
                          synod_status_name(status));
        }
        ck_assert_uint_eq(synod_in_flight(clients[i]), 0);
        synod_client_close(clients[i]);
    }
}
END_TEST

static _Atomic int clients_at_work;

static void *work_until_closed(void *argument)
{
    struct visit *visit = argument;
    visit->client = open_client(visit->cluster);
    atomic_fetch_add(&clients_at_work, 1);
    enum synod_status status = SYNOD_OK;
    while (status == SYNOD_OK) {
        status = synod_put(visit->client, bytes_of("k"), bytes_of("v"), PATIENCE, NULL);
    }
    ck_assert_msg(status == SYNOD_TIMEOUT || status == SYNOD_CLOSED, "%s",
                  synod_status_name(status));
    EXPECT_STATUS(synod_put(visit->client, bytes_of("k"), bytes_of("v"), PATIENCE, NULL),
                  SYNOD_CLOSED);
    synod_client_close(visit->client);
    return NULL;
}

START_TEST(cluster_closes_under_clients_at_work)
{
    for (int round = 0; round < 5; round++) {
        struct synod_cluster *cluster = open_small(3);
        struct visit visits[3];
        pthread_t threads[3];
        atomic_store(&clients_at_work, 0);
        for (int i = 0; i < 3; i++) {
            visits[i] = (struct visit){cluster, NULL};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, work_until_closed, &visits[i]), 0);
        }
        struct synod_client *watcher = open_client(cluster);
        uint64_t start_ns = monotonic_ns();
        struct synod_completion done = {0};
        while ((done.version < 300 || atomic_load(&clients_at_work) < 3) &&
               monotonic_ns() - start_ns < PATIENCE) {
            enum synod_status status =
                synod_get(watcher, bytes_of("k"), SYNOD_READ_QUORUM, PATIENCE, &done);
            ck_assert(status == SYNOD_OK || status == SYNOD_NOT_FOUND);
        }
        synod_client_close(watcher);
        synod_cluster_close(cluster);
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        }
    }
}
END_TEST

static _Atomic int signals_seen;
static pthread_t signals_expected_on;
static _Atomic int signals_elsewhere;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
    if (!pthread_equal(pthread_self(), signals_expected_on)) {
        atomic_fetch_add(&signals_elsewhere, 1);
    }
}

/* A program's handlers run on its own threads, and waiting calls go on waiting. */
START_TEST(signals_disturb_neither_nodes_nor_calls)
{
    signals_expected_on = pthread_self();
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;
    ck_assert_int_eq(sigaction(SIGUSR1, &action, &before), 0);
    struct synod_cluster *cluster = open_small(3);
    struct synod_client *client = open_client(cluster);
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
        put_text(client, "k", "v");
    }
    ck_assert_int_ge(synod_cluster_await_leader(cluster, PATIENCE), 0);
    synod_client_close(client);
    synod_cluster_close(cluster);
    ck_assert_int_gt(atomic_load(&signals_seen), 0);
    ck_assert_int_eq(atomic_load(&signals_elsewhere), 0);
    ck_assert_int_eq(sigaction(SIGUSR1, &before, NULL), 0);
}
END_TEST

TEST_MAIN("api/handles", missing_handles_answer_and_do_not_crash,
          other_threads_are_told_and_change_nothing,
          handle_of_a_thread_that_ended_may_be_closed_by_another,
          one_client_too_many_is_busy_until_one_closes,
          reopened_place_hears_no_answer_meant_for_the_handle_before,
          open_handle_of_a_closed_cluster_says_closed,
          requests_in_flight_when_a_cluster_closes_still_come_out,
          cluster_closes_under_clients_at_work, signals_disturb_neither_nodes_nor_calls)
