/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_H
#define SYNOD_H

/* libsynod: a replicated key-value store inside one process. See README.md for ten lines that use
 * it. */
#include "synod/client.h"
#include "synod/cluster.h"
#include "synod/kv.h"
#include "synod/status.h"

#define SYNOD_VERSION "0.1.0"

#endif
