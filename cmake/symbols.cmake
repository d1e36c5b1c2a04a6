# What the library exports: the functions that the header declares. Writes two files:
#   wal_symbol_list   one name a line, for objcopy
#   wal_version_map   a version script for the linker

set(wal_header "${PROJECT_SOURCE_DIR}/include/flashstrike_wal.h")
set(wal_symbol_list "${PROJECT_BINARY_DIR}/flashstrike_wal.symbols")
set(wal_version_map "${PROJECT_BINARY_DIR}/flashstrike_wal.map")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${wal_header}")

# A declaration begins at the start of a line; comments and what macros expand to do not.
file(READ "${wal_header}" header)
string(REGEX MATCHALL "\n[A-Za-z_][^\n;]*[ *]fs_wal_[a-z0-9_]+\\(" declarations "${header}")
set(symbols "")
foreach(declaration IN LISTS declarations)
  string(REGEX MATCH "(fs_wal_[a-z0-9_]+)\\($" name "${declaration}")
  list(APPEND symbols "${CMAKE_MATCH_1}")
endforeach()

list(JOIN symbols "\n" lines)
file(CONFIGURE OUTPUT "${wal_symbol_list}" CONTENT "${lines}\n" @ONLY)
list(JOIN symbols ";\n    " lines)
file(CONFIGURE OUTPUT "${wal_version_map}" CONTENT
"FLASHSTRIKE_WAL_${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} {
  global:
    ${lines};
  local:
    *;
};
" @ONLY)
