/* SPDX-License-Identifier: MIT */
/* Planted: one seed, one run: randomness comes from outside. */
#include <stdlib.h>

long replica_draws_lots(void);
long replica_draws_lots(void)
{
    return random();
}
