/* SPDX-License-Identifier: MIT */
/* Planted: a library does not end its program. */
#include <stdlib.h>

void cluster_exits(void);
void cluster_exits(void)
{
    exit(EXIT_FAILURE);
}
