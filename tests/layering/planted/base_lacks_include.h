/* SPDX-License-Identifier: MIT */
/* Planted: relies on what others included before it. */
uint64_t base_lacks_include(void);
