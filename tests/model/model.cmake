# SPDX-License-Identifier: MIT
# The Promela models of the lock-free protocols, checked as they are and with planted bugs. Skipped,
# visibly, where spin is not installed.
add_test(NAME model/spin COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh)
set_tests_properties(model/spin PROPERTIES LABELS model TIMEOUT 300 SKIP_RETURN_CODE 77
  ENVIRONMENT "CC=${CMAKE_C_COMPILER}")
