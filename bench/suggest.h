/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BENCH_SUGGEST_H
#define SYNOD_BENCH_SUGGEST_H

/*
 * "Did you mean ...?": the nearest of some names by edit distance. Pure functions, any thread.
 */
#include <stddef.h>

/*
 * Insertions, deletions, replacements and swaps of neighbours that turn one text into the other
 * (the restricted Damerau-Levenshtein distance). Texts longer than 63 characters count as cut
 * there.
 */
size_t suggest_distance(const char *from, const char *to);

/* The name nearest to `text`, or NULL when none is near enough to be meant: at most a third of the
 * text's length away, and at least one edit is always forgiven. */
const char *suggest_nearest(const char *text, const char *const *names, size_t count);

#endif
