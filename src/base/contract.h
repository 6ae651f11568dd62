/* SPDX-License-Identifier: MIT */
#ifndef SYNOD_BASE_CONTRACT_H
#define SYNOD_BASE_CONTRACT_H

/*
 * Contracts between functions of this program, checked at run time in two levels:
 *
 *   ASSERT(x)       always, in release too: costs at most a predicted branch.
 *   ASSERT_SLOW(x)  only with SYNOD_SLOW_ASSERTS (debug builds, simulator): may loop.
 *
 * Never on client input and never on bytes from a disk: those are errors, not broken contracts.
 */
#define MUST_USE    __attribute__((warn_unused_result))
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ASSERT(x) ((void)(LIKELY(x) ? 0 : (contract_violated(#x, __FILE__, __LINE__), 0)))
#ifdef SYNOD_SLOW_ASSERTS
#define ASSERT_SLOW(x) ASSERT(x)
#else
#define ASSERT_SLOW(x) ((void)sizeof(x))
#endif

/* Reports the broken contract on stderr and aborts. Any thread. */
_Noreturn void contract_violated(const char *claim, const char *file, int line)
    __attribute__((cold));

#endif
