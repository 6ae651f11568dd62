/* SPDX-License-Identifier: MIT */
/* Planted: the log is below the core and may not call it. */
int provider_of_core(int slot);

int wal_calls_core(int slot);
int wal_calls_core(int slot)
{
    return provider_of_core(slot);
}
