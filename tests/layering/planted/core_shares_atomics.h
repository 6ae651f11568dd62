/* SPDX-License-Identifier: MIT */
/* Planted: atomics belong to the queues. */
/* _Atomic in a comment is nobody's business. */
struct core_shares_atomics {
    _Atomic int shared;
};
