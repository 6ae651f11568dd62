/* SPDX-License-Identifier: MIT */
/* Planted: pretends to be part of base, and not a pure one. */
#include <unistd.h>

int provider_of_base(void);
int provider_of_base(void)
{
    return getpid();
}
