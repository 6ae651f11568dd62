/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BASE_TIME_SOURCE_H
#define SYNOD_BASE_TIME_SOURCE_H

/*
 * The only door to the system's clocks: time_source.o is the one object that reads them. Code that
 * must be repeatable (core, replica, wal, store) is told the time instead of asking here.
 *
 * Any thread. None of these can fail.
 */
#include <stdbool.h>
#include <stdint.h>

/* Monotonic, in nanoseconds from an arbitrary start; never goes back, does not count suspension. */
uint64_t time_source_now_ns(void);

/* Nanoseconds since 1970-01-01 UTC as the machine believes; may jump either way when it is set. */
uint64_t time_source_wall_ns(void);

/* Returns no earlier than `duration_ns` from now by time_source_now_ns(), signals or not. */
void time_source_sleep_ns(uint64_t duration_ns);

#endif
