/* SPDX-License-Identifier: MIT */
#include "bench/suggest.h"

#include <string.h>

#define SUGGEST_MAX 63

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t suggest_distance(const char *from, const char *to)
{
    size_t rows = strnlen(from, SUGGEST_MAX);
    size_t columns = strnlen(to, SUGGEST_MAX);
    /* Three rows are enough: a swap of neighbours looks two back. */
    size_t cost[3][SUGGEST_MAX + 1];
    for (size_t j = 0; j <= columns; j++) {
        cost[0][j] = j;
    }
    for (size_t i = 1; i <= rows; i++) {
        size_t *now = cost[i % 3];
        const size_t *last = cost[(i + 2) % 3];
        const size_t *before = cost[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t replaced = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
            now[j] = smaller(replaced, smaller(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
                now[j] = smaller(now[j], before[j - 2] + 1);
            }
        }
    }
    return cost[rows % 3][columns];
}

const char *suggest_nearest(const char *text, const char *const *names, size_t count)
{
    size_t allowed = strlen(text) / 3;
    size_t best = (allowed == 0 ? 1 : allowed) + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance = suggest_distance(text, names[i]);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
