/* SPDX-License-Identifier: MIT */
#include "base/contract.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void contract_violated(const char *claim, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken contract: %s\n", file, line, claim);
    abort();
}
