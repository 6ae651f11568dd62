/* SPDX-License-Identifier: MIT */
/* Planted: the core does not know the queues. */
#include "queue/spsc_ring.h"
