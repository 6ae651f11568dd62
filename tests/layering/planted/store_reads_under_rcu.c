/* SPDX-License-Identifier: MIT */
/* Planted: RCU stands behind the map port. */
void urcu_memb_synchronize_rcu(void);

void store_reads_under_rcu(void);
void store_reads_under_rcu(void)
{
    urcu_memb_synchronize_rcu();
}
