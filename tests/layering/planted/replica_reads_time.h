/* SPDX-License-Identifier: MIT */
/* Planted: time is an argument of a replica's turn. */
#include "base/time_source.h"
