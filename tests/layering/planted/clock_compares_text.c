/* SPDX-License-Identifier: MIT */
/* Planted: the clocks are arithmetic; what is not on their list is refused, known or not. */
#include <string.h>

int clock_compares_text(const char *left, const char *right);
int clock_compares_text(const char *left, const char *right)
{
    return strcoll(left, right);
}
