/* SPDX-License-Identifier: MIT */
/* Planted: impure by way of a module it may call. */
int provider_of_base(void);

int core_asks_through_base(void);
int core_asks_through_base(void)
{
    return provider_of_base();
}
