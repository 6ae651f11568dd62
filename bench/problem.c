/* SPDX-License-Identifier: MIT */
#include "bench/problem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int problem_set(struct problem *problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

int problem_prefix(struct problem *problem, const char *format, ...)
{
    struct problem before = *problem;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof problem->text) {
        size_t left = sizeof problem->text - (size_t)length;
        (void)snprintf(problem->text + length, left, ": %.*s", (int)left, before.text);
    }
    return -EINVAL;
}
