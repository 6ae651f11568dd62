/* SPDX-License-Identifier: MIT */
#include "bench/workload.h"

#include <stdlib.h>
#include <string.h>

#include "test_main.h"

static struct problem problem;

static struct workload_spec spec_of(uint64_t keys)
{
    return (struct workload_spec){.mix = {.weight = {[SYNOD_PUT] = 1}},
                                  .keys = keys,
                                  .key_bytes = 16,
                                  .value_bytes = 64,
                                  .seed = 7};
}

START_TEST(mix_is_read_and_printed_back)
{
    struct workload_mix mix;
    char text[WORKLOAD_TEXT];
    ck_assert_int_eq(workload_parse_mix("put:50,get:45,cas:5,delete:0", &mix, &problem), 0);
    ck_assert_uint_eq(mix.weight[SYNOD_PUT], 50);
    ck_assert_uint_eq(mix.weight[SYNOD_GET], 45);
    ck_assert_uint_eq(mix.weight[SYNOD_CAS], 5);
    ck_assert_uint_eq(mix.weight[SYNOD_DELETE], 0);
    workload_print_mix(&mix, text);
    ck_assert_str_eq(text, "put:50,get:45,cas:5");
}
END_TEST

START_TEST(mix_mistakes_are_told)
{
    struct workload_mix mix;
    ck_assert_int_ne(workload_parse_mix("putt:50", &mix, &problem), 0);
    ck_assert_str_eq(problem.text, "unknown operation 'putt'; did you mean 'put'?");
    ck_assert_int_ne(workload_parse_mix("scan", &mix, &problem), 0);
    ck_assert_int_ne(workload_parse_mix("put:0,get:0", &mix, &problem), 0);
    ck_assert_int_ne(workload_parse_mix("put:5x", &mix, &problem), 0);
    ck_assert_int_ne(workload_parse_mix("put:1,,get:1", &mix, &problem), 0);
    ck_assert_int_ne(workload_parse_mix("", &mix, &problem), 0);
}
END_TEST

START_TEST(distributions_are_read_and_printed_back)
{
    static const char *const TEXTS[] = {"uniform", "zipf:0.99", "zipf:1", "hot:100", "hot:2k"};
    struct workload_distribution distribution;
    char text[WORKLOAD_TEXT];
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        ck_assert_int_eq(workload_parse_distribution(TEXTS[i], &distribution, &problem), 0);
        workload_print_distribution(&distribution, text);
        ck_assert_str_eq(text, TEXTS[i]);
    }
    static const char *const WRONG[] = {"unifrom", "zipf:0", "zipf:x", "zipf:-1", "zipf:nan",
                                        "hot",     "hot:0",  "hot:1x", "",        "zipf:"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        ck_assert_int_ne(workload_parse_distribution(WRONG[i], &distribution, &problem), 0);
    }
}
END_TEST

START_TEST(keys_must_fit_their_size)
{
    struct workload workload;
    struct workload_spec spec = spec_of(257);
    spec.key_bytes = 2;
    ck_assert_int_ne(workload_init(&workload, &spec, &problem), 0);
    ck_assert_ptr_nonnull(strstr(problem.text, "at least 3"));
    spec.keys = 256;
    ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
}
END_TEST

START_TEST(key_is_fixed_width_hexadecimal)
{
    struct workload workload;
    struct workload_stream stream;
    struct workload_spec spec = spec_of(1000000);
    ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
    ck_assert_int_eq(workload_stream_init(&stream, &workload, 0), 0);
    struct synod_bytes key = workload_key(&stream, 0xabcde);
    ck_assert_uint_eq(key.size, 16);
    ck_assert_mem_eq(key.data, "00000000000abcde", 16);
    key = workload_key(&stream, 1);
    ck_assert_mem_eq(key.data, "0000000000000001", 16);
    workload_stream_deinit(&stream);
}
END_TEST

/* Whatever the number of keys: prime, power of two, one. */
START_TEST(spreading_is_a_bijection)
{
    static const uint64_t COUNTS[] = {1, 2, 3, 10, 97, 1000, 1024, 99991};
    for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
        struct workload workload;
        struct workload_spec spec = spec_of(COUNTS[i]);
        ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
        unsigned char *seen = calloc(1, COUNTS[i]);
        ck_assert_ptr_nonnull(seen);
        for (uint64_t rank = 0; rank < COUNTS[i]; rank++) {
            uint64_t key = workload_spread(&workload, rank);
            ck_assert_uint_lt(key, COUNTS[i]);
            ck_assert_uint_eq(seen[key]++, 0);
        }
        free(seen);
    }
}
END_TEST

START_TEST(popular_ranks_are_no_neighbours)
{
    struct workload workload;
    struct workload_spec spec = spec_of(1000000);
    ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
    for (uint64_t a = 0; a < 16; a++) {
        for (uint64_t b = 0; b < a; b++) {
            int64_t apart =
                (int64_t)workload_spread(&workload, a) - (int64_t)workload_spread(&workload, b);
            ck_assert_int_gt(llabs(apart), 10000);
        }
    }
}
END_TEST

START_TEST(values_differ_and_do_not_overrun)
{
    struct workload workload;
    struct workload_stream stream;
    struct workload_spec spec = spec_of(10);
    for (uint32_t size = 0; size <= 40; size += 5) {
        spec.value_bytes = size;
        ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
        ck_assert_int_eq(workload_stream_init(&stream, &workload, 3), 0);
        unsigned char first[40];
        struct synod_bytes value = workload_value(&stream);
        ck_assert_uint_eq(value.size, size);
        memcpy(first, value.data, size);
        value = workload_value(&stream);
        if (size >= 8) {
            ck_assert_mem_ne(value.data, first, size);
        }
        workload_stream_deinit(&stream);
    }
}
END_TEST

START_TEST(same_seed_same_stream_and_clients_differ)
{
    struct workload workload;
    struct workload_stream streams[3];
    struct workload_spec spec = spec_of(1000000);
    ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
    ck_assert_int_eq(workload_stream_init(&streams[0], &workload, 0), 0);
    ck_assert_int_eq(workload_stream_init(&streams[1], &workload, 0), 0);
    ck_assert_int_eq(workload_stream_init(&streams[2], &workload, 1), 0);
    int differing = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t key = workload_next_key(&streams[0]);
        ck_assert_uint_eq(key, workload_next_key(&streams[1]));
        differing += key != workload_next_key(&streams[2]) ? 1 : 0;
    }
    ck_assert_int_gt(differing, 90);
    for (int i = 0; i < 3; i++) {
        workload_stream_deinit(&streams[i]);
    }
}
END_TEST

START_TEST(mix_follows_its_weights)
{
    struct workload workload;
    struct workload_stream stream;
    struct workload_spec spec = spec_of(10);
    spec.mix = (struct workload_mix){{[SYNOD_PUT] = 1, [SYNOD_GET] = 3, [SYNOD_CAS] = 6}};
    ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
    ck_assert_int_eq(workload_stream_init(&stream, &workload, 0), 0);
    int counts[WORKLOAD_OPERATIONS] = {0};
    for (int i = 0; i < 100000; i++) {
        counts[workload_next_operation(&stream)]++;
    }
    ck_assert_int_eq(counts[SYNOD_DELETE], 0);
    ck_assert_int_lt(abs(counts[SYNOD_PUT] - 10000), 500); /* five standard deviations */
    ck_assert_int_lt(abs(counts[SYNOD_GET] - 30000), 750);
    workload_stream_deinit(&stream);
}
END_TEST

START_TEST(hot_keys_get_nine_of_ten)
{
    struct workload workload;
    struct workload_stream stream;
    struct workload_spec spec = spec_of(1000);
    spec.distribution = (struct workload_distribution){.shape = WORKLOAD_HOT, .hot_keys = 10};
    ck_assert_int_eq(workload_init(&workload, &spec, &problem), 0);
    ck_assert_int_eq(workload_stream_init(&stream, &workload, 0), 0);
    int counts[1000] = {0};
    for (int i = 0; i < 100000; i++) {
        counts[workload_next_key(&stream)]++;
    }
    int hot = 0;
    for (uint64_t rank = 0; rank < 10; rank++) {
        hot += counts[workload_spread(&workload, rank)];
    }
    ck_assert_int_lt(abs(hot - 90000), 500);
    workload_stream_deinit(&stream);
}
END_TEST

TEST_MAIN("bench/workload", mix_is_read_and_printed_back, mix_mistakes_are_told,
          distributions_are_read_and_printed_back, keys_must_fit_their_size,
          key_is_fixed_width_hexadecimal, spreading_is_a_bijection, popular_ranks_are_no_neighbours,
          values_differ_and_do_not_overrun, same_seed_same_stream_and_clients_differ,
          mix_follows_its_weights, hot_keys_get_nine_of_ten)
