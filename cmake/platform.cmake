# What the library can be built for, and with. Says why not, before anything is built.

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "flashstrike_wal runs on Linux only, not on ${CMAKE_SYSTEM_NAME}")
endif()

# Asks the compiler: CMAKE_SYSTEM_PROCESSOR is only what a toolchain file says.
try_compile(FLASHSTRIKE_WAL_PROCESSOR_FITS
  "${CMAKE_CURRENT_BINARY_DIR}/processor" "${CMAKE_CURRENT_LIST_DIR}/processor.c")
if(NOT FLASHSTRIKE_WAL_PROCESSOR_FITS)
  message(FATAL_ERROR "flashstrike_wal runs on 64-bit x86 with glibc only, and "
          "${CMAKE_C_COMPILER} ${CMAKE_C_FLAGS} does not compile for that")
endif()

find_program(CARGO_EXECUTABLE cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin")
if(NOT CARGO_EXECUTABLE)
  message(FATAL_ERROR
          "cargo was not found: install Rust from https://rustup.rs, or set CARGO_EXECUTABLE")
endif()
