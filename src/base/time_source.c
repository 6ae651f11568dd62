/* SPDX-License-Identifier: MIT */
#include "base/time_source.h"

#include <errno.h>
#include <time.h>

#include "base/contract.h"

#define NS_PER_S 1000000000ULL

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;
    int error = clock_gettime(id, &now);
    ASSERT(error == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t time_source_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t time_source_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void time_source_sleep_ns(uint64_t duration_ns)
{
    /* To a point in time, not for a duration: interruptions then add nothing. */
    uint64_t now_ns = time_source_now_ns();
    uint64_t until_ns = duration_ns <= INT64_MAX - now_ns ? now_ns + duration_ns : INT64_MAX;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};
    int error;
    do {
        error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    } while (error == EINTR);
    ASSERT(error == 0);
}
