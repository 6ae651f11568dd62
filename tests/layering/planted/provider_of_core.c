/* SPDX-License-Identifier: MIT */
/* Planted: pretends to be part of the core; breaks nothing. */
int provider_of_core(int slot);
int provider_of_core(int slot)
{
    return slot + 1;
}
