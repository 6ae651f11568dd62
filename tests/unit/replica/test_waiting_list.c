/* SPDX-License-Identifier: MIT */
#include "replica/waiting_list.h"

#include <check.h>
#include <string.h>

#include "base/prng.h"
#include "test_main.h"

START_TEST(proposal_is_taken_once_and_by_its_slot_alone)
{
    struct waiting_list list;
    struct waiting_proposal proposal;
    ck_assert_int_eq(waiting_list_init(&list, 8, 1024), 0);
    waiting_list_add(&list, 11, 3, 77);
    ck_assert(!waiting_list_take(&list, 3, &proposal)); /* the same place */
    ck_assert(!waiting_list_take(&list, 19, &proposal));
    ck_assert(waiting_list_take(&list, 11, &proposal));
    ck_assert_uint_eq(proposal.client, 3);
    ck_assert_uint_eq(proposal.sequence, 77);
    ck_assert(!waiting_list_take(&list, 11, &proposal));
    ck_assert_uint_eq(list.proposals_waiting, 0);
    waiting_list_deinit(&list);
}
END_TEST

START_TEST(as_many_proposals_as_places_wait_at_once)
{
    struct waiting_list list;
    struct waiting_proposal proposal;
    ck_assert_int_eq(waiting_list_init(&list, 8, 1024), 0);
    for (uint64_t slot = 1005; slot < 1013; slot++) {
        waiting_list_add(&list, slot, 1, slot);
    }
    for (uint64_t slot = 1012; slot >= 1005; slot--) {
        ck_assert(waiting_list_take(&list, slot, &proposal));
        ck_assert_uint_eq(proposal.sequence, slot);
    }
    waiting_list_deinit(&list);
}
END_TEST

static struct request read_of(uint8_t *bytes, const uint8_t *key, uint16_t key_bytes,
                              uint64_t sequence)
{
    struct command command = {
        .op = COMMAND_GET, .key = key, .key_bytes = key_bytes, .sequence = sequence};
    command_encode(&command, bytes);
    return (struct request){.kind = REQUEST_READ,
                            .client = (uint32_t)sequence & 7,
                            .sequence = sequence,
                            .command = bytes,
                            .command_bytes = (uint32_t)command_size(&command)};
}

/* Keys whose length and bytes follow from the sequence. */
static uint16_t key_of(uint8_t *key, uint64_t sequence)
{
    uint16_t size = (uint16_t)(1 + sequence * 37 % 90);
    memset(key, (int)(sequence & 0xff), size);
    return size;
}

static bool add_read(struct waiting_list *list, uint64_t sequence)
{
    uint8_t bytes[256];
    uint8_t key[128];
    struct request request = read_of(bytes, key, key_of(key, sequence), sequence);
    return waiting_list_add_read(list, &request);
}

static void check_first_read(const struct waiting_list *list, uint64_t sequence, uint64_t round)
{
    uint8_t expected[128];
    const uint8_t *key = NULL;
    const struct waiting_read *read = waiting_list_first_read(list, &key);
    ck_assert_uint_eq(read->sequence, sequence);
    ck_assert_uint_eq(read->client, sequence & 7);
    ck_assert_uint_eq(read->round, round);
    ck_assert_uint_eq(read->key_bytes, key_of(expected, sequence));
    ck_assert_mem_eq(key, expected, read->key_bytes);
}

START_TEST(reads_come_out_in_order_with_their_keys_however_the_ring_wraps)
{
    struct waiting_list list;
    struct prng prng;
    uint64_t rounds[64]; /* by sequence % 64 */
    prng_init(&prng, 5);
    ck_assert_int_eq(waiting_list_init(&list, 8, 1024), 0);
    uint64_t first = 1;
    uint64_t next = 1;
    uint64_t round = 0;
    uint64_t refused = 0;
    while (next < 20000) {
        uint64_t die = prng_below(&prng, 5);
        if (die < 2) {
            bool is_added = add_read(&list, next);
            rounds[next % 64] = UINT64_MAX;
            next += is_added;
            refused += !is_added;
        } else if (die == 2) {
            round++;
            waiting_list_assign_round(&list, round, round * 3);
            for (uint64_t i = first; i < next; i++) {
                rounds[i % 64] = rounds[i % 64] == UINT64_MAX ? round : rounds[i % 64];
            }
        } else if (first < next) {
            check_first_read(&list, first, rounds[first % 64]);
            waiting_list_drop_first_read(&list);
            first++;
        }
        ck_assert(waiting_list_has_reads(&list) == (first < next));
    }
    ck_assert_uint_gt(refused, 100);
    waiting_list_deinit(&list);
}
END_TEST

START_TEST(full_ring_of_reads_refuses_and_takes_again_when_one_is_gone)
{
    struct waiting_list list;
    ck_assert_int_eq(waiting_list_init(&list, 8, 1024), 0);
    uint64_t count = 0;
    while (add_read(&list, count + 1)) {
        count++;
    }
    ck_assert_uint_gt(count, 5);
    ck_assert(!add_read(&list, count + 1));
    for (uint64_t i = 1; i <= count; i++) {
        check_first_read(&list, i, UINT64_MAX); /* a refused one has disturbed nothing */
        waiting_list_drop_first_read(&list);
    }
    ck_assert(add_read(&list, 9));
    check_first_read(&list, 9, UINT64_MAX);
    waiting_list_deinit(&list);
}
END_TEST

START_TEST(read_that_cannot_be_decoded_waits_without_a_key)
{
    struct waiting_list list;
    const uint8_t *key = NULL;
    uint8_t bytes[8] = {0xff};
    struct request request = {.kind = REQUEST_READ,
                              .client = 2,
                              .sequence = 5,
                              .command = bytes,
                              .command_bytes = sizeof bytes};
    ck_assert_int_eq(waiting_list_init(&list, 8, 1024), 0);
    ck_assert(waiting_list_add_read(&list, &request));
    ck_assert_uint_eq(waiting_list_first_read(&list, &key)->key_bytes, 0);
    ck_assert_uint_eq(waiting_list_first_read(&list, &key)->sequence, 5);
    waiting_list_drop_first_read(&list);
    ck_assert(!waiting_list_has_reads(&list));
    waiting_list_deinit(&list);
}
END_TEST

START_TEST(round_is_given_to_reads_that_have_none_only)
{
    struct waiting_list list;
    ck_assert_int_eq(waiting_list_init(&list, 8, 1024), 0);
    ck_assert(add_read(&list, 1));
    waiting_list_assign_round(&list, 7, 70);
    ck_assert(add_read(&list, 2));
    waiting_list_assign_round(&list, 8, 80);
    ck_assert(add_read(&list, 3));
    check_first_read(&list, 1, 7);
    waiting_list_drop_first_read(&list);
    check_first_read(&list, 2, 8);
    waiting_list_drop_first_read(&list);
    check_first_read(&list, 3, UINT64_MAX);
    waiting_list_drop_first_read(&list); /* before it was given one */
    ck_assert(add_read(&list, 4));
    waiting_list_assign_round(&list, 9, 90);
    check_first_read(&list, 4, 9);
    waiting_list_deinit(&list);
}
END_TEST

TEST_MAIN("replica/waiting_list", proposal_is_taken_once_and_by_its_slot_alone,
          as_many_proposals_as_places_wait_at_once,
          reads_come_out_in_order_with_their_keys_however_the_ring_wraps,
          full_ring_of_reads_refuses_and_takes_again_when_one_is_gone,
          read_that_cannot_be_decoded_waits_without_a_key,
          round_is_given_to_reads_that_have_none_only)
