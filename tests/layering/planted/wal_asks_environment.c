/* SPDX-License-Identifier: MIT */
/* Planted: options come in by the front door. */
#include <stdlib.h>

const char *wal_asks_environment(void);
const char *wal_asks_environment(void)
{
    return getenv("TMPDIR");
}
