/* SPDX-License-Identifier: MIT */
/* Planted: a library does not print. */
#include <stdio.h>

void core_prints(int slot);
void core_prints(int slot)
{
    fprintf(stderr, "%d\n", slot);
}
