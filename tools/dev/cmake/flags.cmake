# SPDX-License-Identifier: MIT
# One interface target carries every compiler flag, so that no module can differ from another.
add_library(synod_flags INTERFACE)
target_compile_definitions(synod_flags INTERFACE _GNU_SOURCE)
target_compile_options(synod_flags INTERFACE
  -g -fno-omit-frame-pointer -fno-strict-overflow
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wcast-align -Wcast-qual -Wpointer-arith -Wwrite-strings -Wundef
  -Wformat=2 -Wswitch-enum -Wunused-result -Wdouble-promotion -Wno-gnu-zero-variadic-macro-arguments)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(synod_flags INTERFACE -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O3")
set(CMAKE_C_FLAGS_DEBUG "-O1")

# CRC32C comes from the processor: SSE4.2 (every x86-64 since 2009) or the ARMv8 CRC extension.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(synod_flags INTERFACE -march=x86-64-v2)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  target_compile_options(synod_flags INTERFACE -march=armv8-a+crc)
endif()

if(SYNOD_SANITIZE STREQUAL "address")
  set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(SYNOD_SANITIZE STREQUAL "thread")
  set(sanitizers -fsanitize=thread)
elseif(NOT SYNOD_SANITIZE STREQUAL "")
  message(FATAL_ERROR "SYNOD_SANITIZE is '${SYNOD_SANITIZE}'; use 'address', 'thread' or nothing")
endif()
if(DEFINED sanitizers)
  target_compile_options(synod_flags INTERFACE ${sanitizers})
  target_link_options(synod_flags INTERFACE ${sanitizers})
endif()
if(SYNOD_SLOW_ASSERTS)
  target_compile_definitions(synod_flags INTERFACE SYNOD_SLOW_ASSERTS=1)
endif()
