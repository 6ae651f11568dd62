/* SPDX-License-Identifier: MIT */
#include "bench/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* A family of units, smallest first; `names` is what the error message offers. */
struct family {
    const char *names;
    bool unit_required;
    const char *example;
    struct unit units[8];
};

static const struct family count_units = {
    "k m g", false, "10k", {{"k", 1000}, {"m", 1000000}, {"g", 1000000000}}};
static const struct family size_units = {"k m g (powers of 1024)",
                                         false,
                                         "64m",
                                         {{"k", 1ULL << 10},
                                          {"m", 1ULL << 20},
                                          {"g", 1ULL << 30},
                                          {"ki", 1ULL << 10},
                                          {"mi", 1ULL << 20},
                                          {"gi", 1ULL << 30}}};
static const struct family duration_units = {"ns us ms s m h",
                                             true,
                                             "10s",
                                             {{"ns", 1},
                                              {"us", 1000},
                                              {"ms", 1000000},
                                              {"s", 1000000000},
                                              {"m", 60000000000},
                                              {"h", 3600000000000}}};

#define FAMILY_UNITS (sizeof count_units.units / sizeof count_units.units[0])

/* The value that `length` characters name as a unit, or 0. */
static uint64_t unit_factor(const struct family *family, const char *name, size_t length)
{
    for (size_t i = 0; i < FAMILY_UNITS && family->units[i].name != NULL; i++) {
        if (strlen(family->units[i].name) == length &&
            memcmp(family->units[i].name, name, length) == 0) {
            return family->units[i].factor;
        }
    }
    return 0;
}

static size_t span_digits(const char *text)
{
    return strspn(text, "0123456789");
}

/*
 * Digits, optionally a point and digits. Long double holds every 64-bit integer exactly on x86-64;
 * where it does not, whole numbers above 2^53 lose their last digits, far beyond any quantity asked
 * for here.
 */
static size_t read_number(const char *text, long double *number)
{
    size_t at = span_digits(text);
    if (at == 0) {
        return 0;
    }
    *number = 0;
    for (size_t i = 0; i < at; i++) {
        *number = *number * 10 + (text[i] - '0');
    }
    size_t fraction = text[at] == '.' ? span_digits(text + at + 1) : 0;
    long double weight = 0.1L;
    for (size_t i = 0; i < fraction; i++) {
        *number += weight * (text[at + 1 + i] - '0');
        weight /= 10;
    }
    return fraction == 0 ? at : at + 1 + fraction;
}

static int parse(const struct family *family, const char *text, uint64_t *value,
                 struct problem *problem)
{
    long double number;
    size_t at = read_number(text, &number);
    if (at == 0) {
        return problem_set(problem, "expected a number at column 1, such as %s", family->example);
    }
    uint64_t factor = 1;
    size_t unit_at = at;
    while (isalpha((unsigned char)text[at])) {
        at++;
    }
    if (at > unit_at) {
        factor = unit_factor(family, text + unit_at, at - unit_at);
        if (factor == 0) {
            return problem_set(problem, "unknown unit '%.*s' at column %zu; use %s",
                               (int)(at - unit_at), text + unit_at, unit_at + 1, family->names);
        }
    }
    if (text[at] != '\0') {
        return problem_set(problem, "unexpected '%c' at column %zu", text[at], at + 1);
    }
    if (at == unit_at && family->unit_required) {
        return problem_set(problem, "no unit at column %zu; use %s", at + 1, family->names);
    }
    number = roundl(number * (long double)factor);
    if (number >= 0x1p63L) {
        return problem_set(problem, "too large at column 1");
    }
    *value = (uint64_t)number;
    return 0;
}

int units_parse_count(const char *text, uint64_t *count, struct problem *problem)
{
    return parse(&count_units, text, count, problem);
}

int units_parse_size(const char *text, uint64_t *bytes, struct problem *problem)
{
    return parse(&size_units, text, bytes, problem);
}

int units_parse_duration(const char *text, uint64_t *duration_ns, struct problem *problem)
{
    return parse(&duration_units, text, duration_ns, problem);
}

struct scale {
    double from;
    const char *unit;
};

/* Three significant digits of value in the largest unit that it reaches; scales run downwards. */
static struct units_text scaled(double value, const struct scale *scales, const char *smallest)
{
    struct units_text out;
    const char *unit = smallest;
    for (const struct scale *scale = scales; scale->unit != NULL; scale++) {
        /* 999.7 of the unit below would be printed as 1000: it belongs here. */
        if (value >= scale->from * 0.9995) {
            value /= scale->from;
            unit = scale->unit;
            break;
        }
    }
    int decimals = unit == smallest || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    (void)snprintf(out.text, sizeof out.text, "%.*f%s%s", decimals, value, *unit == '\0' ? "" : " ",
                   unit);
    return out;
}

struct units_text units_duration(double duration_ns)
{
    static const struct scale scales[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {0, NULL}};
    return scaled(duration_ns, scales, "ns");
}

struct units_text units_rate(double per_second)
{
    static const struct scale scales[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {0, NULL}};
    return scaled(per_second, scales, "");
}

struct units_text units_bytes(uint64_t bytes)
{
    static const struct scale scales[] = {
        {0x1p40, "TiB"}, {0x1p30, "GiB"}, {0x1p20, "MiB"}, {0x1p10, "KiB"}, {0, NULL}};
    return scaled((double)bytes, scales, "B");
}

struct units_text units_grouped(uint64_t number)
{
    struct units_text plain;
    struct units_text out;
    int length = snprintf(plain.text, sizeof plain.text, "%" PRIu64, number);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            out.text[at++] = ',';
        }
        out.text[at++] = plain.text[i];
    }
    out.text[at] = '\0';
    return out;
}

static struct units_text exact(const struct family *family, uint64_t value)
{
    struct units_text out;
    struct unit best = {family->unit_required ? family->units[0].name : "", 1};
    for (size_t i = 0; i < FAMILY_UNITS && family->units[i].name != NULL; i++) {
        if (family->units[i].factor > best.factor && value != 0 &&
            value % family->units[i].factor == 0) {
            best = family->units[i];
        }
    }
    (void)snprintf(out.text, sizeof out.text, "%" PRIu64 "%s", value / best.factor, best.name);
    return out;
}

struct units_text units_exact_count(uint64_t count)
{
    return exact(&count_units, count);
}

struct units_text units_exact_size(uint64_t bytes)
{
    return exact(&size_units, bytes);
}

struct units_text units_exact_duration(uint64_t duration_ns)
{
    return exact(&duration_units, duration_ns);
}
