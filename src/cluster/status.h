/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_CLUSTER_STATUS_H
#define SYNOD_CLUSTER_STATUS_H

#include "synod/status.h"

/* The one place where errno becomes a status. Takes either sign. */
enum synod_status status_from_errno(int error);

#endif
