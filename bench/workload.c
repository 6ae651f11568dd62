/* SPDX-License-Identifier: MIT */
#include "bench/workload.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "bench/suggest.h"
#include "bench/units.h"

#define HOT_SHARE_OF_TEN 9

static const char *const operation_names[WORKLOAD_OPERATIONS] = {
    [SYNOD_PUT] = "put", [SYNOD_GET] = "get", [SYNOD_DELETE] = "delete", [SYNOD_CAS] = "cas"};

const char *workload_operation_name(enum synod_operation operation)
{
    return operation_names[operation];
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static int unknown_operation(const char *name, struct problem *problem)
{
    const char *nearest = suggest_nearest(name, operation_names, WORKLOAD_OPERATIONS);
    if (nearest != NULL) {
        return problem_set(problem, "unknown operation '%s'; did you mean '%s'?", name, nearest);
    }
    return problem_set(problem, "unknown operation '%s'; use put get cas delete", name);
}

static int parse_share(char *part, struct workload_mix *mix, struct problem *problem)
{
    uint64_t weight = 1;
    char *colon = strchr(part, ':');
    if (colon != NULL) {
        *colon = '\0';
        if (units_parse_count(colon + 1, &weight, problem) != 0) {
            return problem_prefix(problem, "weight '%s' of %s", colon + 1, part);
        }
        if (weight > 1000000) {
            return problem_set(problem, "weight %s of %s is above 1m", colon + 1, part);
        }
    }
    for (size_t i = 0; i < WORKLOAD_OPERATIONS; i++) {
        if (strcmp(part, operation_names[i]) == 0) {
            mix->weight[i] = (uint32_t)weight;
            return 0;
        }
    }
    return unknown_operation(part, problem);
}

int workload_parse_mix(const char *text, struct workload_mix *mix, struct problem *problem)
{
    char copy[WORKLOAD_TEXT];
    if (strlen(text) >= sizeof copy) {
        return problem_set(problem, "longer than %zu characters", sizeof copy - 1);
    }
    memcpy(copy, text, strlen(text) + 1);
    *mix = (struct workload_mix){0};
    char *rest = copy;
    for (char *part = strsep(&rest, ","); part != NULL; part = strsep(&rest, ",")) {
        if (parse_share(part, mix, problem) != 0) {
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < WORKLOAD_OPERATIONS; i++) {
        if (mix->weight[i] > 0) {
            return 0;
        }
    }
    return problem_set(problem, "every weight is zero; nothing would be asked for");
}

int workload_parse_name(const char *text, struct workload_mix *mix, struct problem *problem)
{
    static const char *const names[] = {"put", "get"};
    *mix = (struct workload_mix){0};
    if (strcmp(text, names[0]) == 0) {
        mix->weight[SYNOD_PUT] = 1;
        return 0;
    }
    if (strcmp(text, names[1]) == 0) {
        mix->weight[SYNOD_GET] = 1;
        return 0;
    }
    const char *nearest = suggest_nearest(text, names, sizeof names / sizeof names[0]);
    return nearest != NULL ? problem_set(problem, "unknown workload; did you mean '%s'?", nearest)
                           : problem_set(problem, "unknown workload; use put or get, or --mix");
}

static int parse_exponent(const char *text, double *exponent, struct problem *problem)
{
    char *end;
    *exponent = strtod(text, &end);
    if (end == text || *end != '\0' || !(*exponent > 0 && *exponent <= 10)) {
        return problem_set(problem, "'%s' is no exponent above 0 and up to 10, such as zipf:0.99",
                           text);
    }
    return 0;
}

int workload_parse_distribution(const char *text, struct workload_distribution *distribution,
                                struct problem *problem)
{
    static const char *const names[] = {"uniform", "zipf", "hot"};
    const char *colon = strchr(text, ':');
    size_t length = colon == NULL ? strlen(text) : (size_t)(colon - text);
    *distribution = (struct workload_distribution){0};
    if (strcmp(text, "uniform") == 0) {
        return 0;
    }
    if (length == 4 && strncmp(text, "zipf", length) == 0) {
        distribution->shape = WORKLOAD_ZIPF;
        distribution->exponent = 0.99;
        return colon == NULL ? 0 : parse_exponent(colon + 1, &distribution->exponent, problem);
    }
    if (length == 3 && strncmp(text, "hot", length) == 0) {
        distribution->shape = WORKLOAD_HOT;
        if (colon == NULL) {
            return problem_set(problem, "says not how many keys; use hot:N, such as hot:100");
        }
        if (units_parse_count(colon + 1, &distribution->hot_keys, problem) != 0) {
            return problem_prefix(problem, "'%s'", colon + 1);
        }
        return distribution->hot_keys > 0 ? 0 : problem_set(problem, "no hot key at all");
    }
    char name[WORKLOAD_TEXT];
    (void)snprintf(name, sizeof name, "%.*s", (int)length, text);
    const char *nearest = suggest_nearest(name, names, sizeof names / sizeof names[0]);
    return nearest != NULL
               ? problem_set(problem, "unknown distribution '%s'; did you mean '%s'?", name,
                             nearest)
               : problem_set(problem, "unknown distribution '%s'; use uniform zipf:S hot:N", name);
}

void workload_print_mix(const struct workload_mix *mix, char *text)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < WORKLOAD_OPERATIONS; i++) {
        if (mix->weight[i] > 0) {
            int length = snprintf(text + at, WORKLOAD_TEXT - at, "%s%s:%" PRIu32, at > 0 ? "," : "",
                                  operation_names[i], mix->weight[i]);
            at += (size_t)length;
        }
    }
}

void workload_print_distribution(const struct workload_distribution *distribution, char *text)
{
    switch (distribution->shape) {
    case WORKLOAD_UNIFORM:
        (void)snprintf(text, WORKLOAD_TEXT, "uniform");
        break;
    case WORKLOAD_ZIPF:
        (void)snprintf(text, WORKLOAD_TEXT, "zipf:%.15g", distribution->exponent);
        break;
    case WORKLOAD_HOT:
        (void)snprintf(text, WORKLOAD_TEXT, "hot:%s",
                       units_exact_count(distribution->hot_keys).text);
        break;
    }
}

/* ---- The workload --------------------------------------------------------------------------- */

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The number nearest above the golden section of `keys` that shares no factor with it. */
static uint64_t spreading_factor(uint64_t keys)
{
    uint64_t factor = (uint64_t)((double)keys * 0.6180339887498949);
    do {
        factor++;
    } while (greatest_common_divisor(factor, keys) != 1);
    return factor;
}

static uint32_t hexadecimal_digits(uint64_t number)
{
    uint32_t digits = 1;
    while (number > 15) {
        number /= 16;
        digits++;
    }
    return digits;
}

int workload_init(struct workload *workload, const struct workload_spec *spec,
                  struct problem *problem)
{
    *workload = (struct workload){.spec = *spec, .only = -1};
    if (spec->keys == 0 || spec->keys > WORKLOAD_MAX_KEYS) {
        return problem_set(problem, "--keys %" PRIu64 ": use 1 to %llu", spec->keys,
                           WORKLOAD_MAX_KEYS);
    }
    workload->digits = hexadecimal_digits(spec->keys - 1);
    if (spec->key_bytes < workload->digits) {
        return problem_set(problem,
                           "--key-size %" PRIu32 ": too short to tell %" PRIu64
                           " keys apart; use at least %" PRIu32 ", or fewer --keys",
                           spec->key_bytes, spec->keys, workload->digits);
    }
    if (spec->distribution.shape == WORKLOAD_HOT && spec->distribution.hot_keys > spec->keys) {
        return problem_set(problem, "--dist hot:%" PRIu64 ": there are only %" PRIu64 " keys",
                           spec->distribution.hot_keys, spec->keys);
    }
    uint32_t kinds = 0;
    for (int i = 0; i < WORKLOAD_OPERATIONS; i++) {
        workload->total_weight += spec->mix.weight[i];
        if (spec->mix.weight[i] > 0) {
            workload->only = kinds == 0 ? i : -1;
            kinds++;
        }
    }
    if (kinds == 0) {
        return problem_set(problem, "--mix: every weight is zero");
    }
    workload->factor = spreading_factor(spec->keys);
    if (spec->distribution.shape == WORKLOAD_ZIPF) {
        zipf_init(&workload->zipf, spec->keys, spec->distribution.exponent);
    }
    return 0;
}

uint64_t workload_spread(const struct workload *workload, uint64_t rank)
{
    return rank * workload->factor % workload->spec.keys;
}

/* ---- A client's stream ---------------------------------------------------------------------- */

int workload_stream_init(struct workload_stream *stream, const struct workload *workload,
                         uint32_t client)
{
    *stream = (struct workload_stream){.workload = workload, .serial = (uint64_t)client << 40};
    prng_init(&stream->prng, workload->spec.seed + 0x9e3779b97f4a7c15ULL * ((uint64_t)client + 1));
    stream->key = malloc(workload->spec.key_bytes);
    stream->value = malloc((size_t)workload->spec.value_bytes + 1); /* malloc(0) may be NULL */
    if (stream->key == NULL || stream->value == NULL) {
        workload_stream_deinit(stream);
        return -ENOMEM;
    }
    memset(stream->key, '0', workload->spec.key_bytes);
    for (uint32_t i = 0; i < workload->spec.value_bytes; i++) {
        stream->value[i] = (unsigned char)prng_next(&stream->prng);
    }
    return 0;
}

void workload_stream_deinit(struct workload_stream *stream)
{
    free(stream->key);
    free(stream->value);
    stream->key = NULL;
    stream->value = NULL;
}

enum synod_operation workload_next_operation(struct workload_stream *stream)
{
    const struct workload *workload = stream->workload;
    if (workload->only >= 0) {
        return (enum synod_operation)workload->only;
    }
    uint64_t draw = prng_below(&stream->prng, workload->total_weight);
    int operation = 0;
    while (draw >= workload->spec.mix.weight[operation]) {
        draw -= workload->spec.mix.weight[operation];
        operation++;
    }
    return (enum synod_operation)operation;
}

/* Nine of ten draws among the hot ranks, the tenth among all others (if there are any). */
static uint64_t draw_hot(struct workload_stream *stream, uint64_t keys, uint64_t hot)
{
    if (hot == keys || prng_below(&stream->prng, 10) < HOT_SHARE_OF_TEN) {
        return prng_below(&stream->prng, hot);
    }
    return hot + prng_below(&stream->prng, keys - hot);
}

uint64_t workload_next_key(struct workload_stream *stream)
{
    const struct workload *workload = stream->workload;
    uint64_t keys = workload->spec.keys;
    switch (workload->spec.distribution.shape) {
    case WORKLOAD_ZIPF:
        return workload_spread(workload, zipf_draw(&workload->zipf, &stream->prng) - 1);
    case WORKLOAD_HOT:
        return workload_spread(workload,
                               draw_hot(stream, keys, workload->spec.distribution.hot_keys));
    case WORKLOAD_UNIFORM:
    default:
        return prng_below(&stream->prng, keys);
    }
}

struct synod_bytes workload_key(struct workload_stream *stream, uint64_t number)
{
    const struct workload *workload = stream->workload;
    char *end = stream->key + workload->spec.key_bytes;
    for (uint32_t i = 1; i <= workload->digits; i++) {
        end[-(ptrdiff_t)i] = "0123456789abcdef"[number & 15];
        number >>= 4;
    }
    return (struct synod_bytes){stream->key, workload->spec.key_bytes};
}

struct synod_bytes workload_value(struct workload_stream *stream)
{
    unsigned char stamp[16];
    uint32_t size = stream->workload->spec.value_bytes;
    uint64_t serial = stream->serial++;
    bytes_store_u64(stamp, serial * 0x9e3779b97f4a7c15ULL); /* odd: distinct for distinct serials */
    bytes_store_u64(stamp + 8, serial);
    memcpy(stream->value, stamp, size < sizeof stamp ? size : sizeof stamp);
    return (struct synod_bytes){stream->value, size};
}
